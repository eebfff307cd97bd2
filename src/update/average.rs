use alloc::{format, vec::Vec};
use core::{
    mem,
    ops::Bound::{Excluded, Included},
};

use num_traits::Float;

use super::restore::Restore;
use crate::{
    check::{self, same},
    error::Error,
    float::{from_f64, to_f64},
    passes::{all, pairs, pass},
    threads::PART_LEN,
};

/// The average of the parameters over training, to evaluate a network with (EMA, SWA, Polyak-Ruppert averaging).
///
/// Each [`update`](WeightAverage::update) moves the average θ̄ towards the parameters θ by a weight w:
///
/// ```text
/// θ̄ <- θ̄ + w (θ - θ̄)
/// ```
///
/// In the first update w is 1, so the average begins as a copy of the parameters. In the n-th update it is:
///
/// | kind of average | w | result |
/// |---|---|---|
/// | [`mean`](WeightAverage::mean) | 1/n | the mean of all parameters given so far |
/// | [`ema`](WeightAverage::ema) | 1 - decay | an average over about the last 1 / (1 - decay) updates |
/// | [`ema`](WeightAverage::ema), [`with_warmup`](WeightAverage::with_warmup) | the larger of 1 - decay and 1/n | the mean until n is 1 / (1 - decay), then as `ema`; the first parameters do not weigh more than later ones |
///
/// Call `update` after each step, or once per epoch. To average the last part of a run only (SWA), create the average
/// where that part begins.
///
/// # Evaluation
/// If your model takes its parameters as a slice, give it [`values`](WeightAverage::values). If it holds them itself,
/// [`swap`](WeightAverage::swap) puts the average in their place; a second call puts the parameters back, to the bit.
/// The model must compute again what it derives from the parameters, such as the running statistics of a batch
/// normalisation.
///
/// # Half precision
/// An average in bf16 or f16 would not move, because w (θ - θ̄) would be lost to rounding. So `P` must have at
/// least 32 bits: bf16 and f16 do not compile. Average the f32 copy of a `MasterCopy` instead. To evaluate, write the average to the
/// half-precision parameters by [`write_params`](WeightAverage::write_params); `MasterCopy::write_params` restores
/// them:
///
#[cfg_attr(feature = "half", doc = "```")]
#[cfg_attr(not(feature = "half"), doc = "```ignore")]
/// use gradstep::{MasterCopy, Optimizer, Sgd, WeightAverage};
/// use half::bf16;
///
/// let mut params = [bf16::ONE];
/// let mut sgd = MasterCopy::new(Sgd::new(0.25)?, &params)?;
/// let mut average = WeightAverage::mean(1)?;
/// for _ in 0..2 {
///     sgd.step(&mut params, &[bf16::ONE])?;
///     average.update(sgd.master())?; // 0.75, 0.5
/// }
/// average.write_params(&mut params)?; // to evaluate
/// assert_eq!(params, [bf16::from_f32(0.625)]);
/// sgd.write_params(&mut params)?; // to go on
/// assert_eq!(params, [bf16::from_f32(0.5)]);
/// # Ok::<(), gradstep::Error>(())
/// ```
///
/// # Several tensors
/// A [`ByName`](crate::ByName) of averages is updated and swapped as one, all or nothing.
///
/// # Arithmetic
/// The average is computed in `P`: w is rounded to `P`, and then each operation is rounded, in the order of the
/// formula. In f32, an average near x does not move if w |θ - θ̄| is below 2^-25 x; unless w is tiny, steps change the
/// parameters by far more than that. Nor does it move if w |θ - θ̄| would be subnormal (below 10^-38 in f32), since
/// CPUs take up to eighty times as long with subnormal numbers. So the average of a parameter that has become 0 ends at
/// 10^-38 / w, not at 0.
///
/// State: the average, as long as the parameters, and a count of updates. Cost of an update: one pass that checks all
/// parameters before the average changes, and one that reads the parameters and the average and writes the average; no
/// allocation.
///
/// # From other libraries
/// | there | here |
/// |---|---|
/// | `torch.optim.swa_utils.AveragedModel(model)` (torch 2.11) | `mean` |
/// | `AveragedModel` with `multi_avg_fn=get_ema_multi_avg_fn(decay)` | `ema(decay, len)` |
/// | `use_ema=True, ema_momentum=decay` of Keras 3's optimizers | `ema(decay, len)`; for `ema_overwrite_frequency=n`, call `write_params` every n steps |
/// | `optax.ema(decay, debias=True)` (optax 0.2) of the parameters | closest is `ema(decay, len)` with warm-up; optax begins at 0 and divides by 1 - decayⁿ, which amounts to w = (1 - decay) / (1 - decayⁿ) |
///
/// Source: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging"; Izmailov et al. 2018,
/// "Averaging weights leads to wider optima and better generalization" (SWA: the mean).
///
/// # Example
/// ```
/// use gradstep::{Momentum, Optimizer, WeightAverage};
/// let mut params = [8.0_f32];
/// let mut momentum = Momentum::new(0.25, 0.5, 1)?;
/// let mut average = WeightAverage::ema(0.75, 1)?;
/// for _ in 0..3 {
///     let grads = params; // of θ²/2
///     momentum.step(&mut params, &grads)?; // to 6, 3.5, 1.375
///     average.update(&params)?; // 6, then a quarter of the way to 3.5, to 1.375
/// }
/// assert_eq!(average.values()?, [4.375]);
///
/// average.swap(&mut params)?;
/// assert_eq!(params, [4.375]); // evaluate the model
/// average.swap(&mut params)?;
/// assert_eq!(params, [1.375]); // and go on
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "ema")]
#[doc(alias = "swa")]
#[doc(alias = "polyak")]
#[doc(alias = "AveragedModel")]
#[derive(Debug, Clone, PartialEq)]
pub struct WeightAverage<P> {
    /// 1 for [`mean`](WeightAverage::mean), so that its weight is 1/n, that of a warm-up, in every update.
    decay: f64,
    warmup: bool,
    /// The average; while `swapped`, the parameters.
    values: Vec<P>,
    updates: u64,
    swapped: bool,
}

impl<P: Float + Send + Sync + 'static> WeightAverage<P> {
    /// Creates the mean of all parameters that [`update`](WeightAverage::update) will be given, `len` per update.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no room for the average.
    pub fn mean(len: usize) -> Result<Self, Error> {
        const { assert!(size_of::<P>() >= size_of::<f32>(), "average the f32 copy of half-precision parameters") }
        Ok(WeightAverage {
            decay: 1.0,
            warmup: true,
            values: check::zeros("average", len)?,
            updates: 0,
            swapped: false,
        })
    }

    /// Creates the exponential moving average of `len` parameters. In each update it keeps `decay` times its old value;
    /// usual decays are 0.99 to 0.9999.
    ///
    /// # Errors
    /// [`Error::Number`] if `decay` is NaN, negative, or not below 1; [`Error::Memory`] if there is no room for the
    /// average.
    pub fn ema(decay: f64, len: usize) -> Result<Self, Error> {
        check::number("decay", decay, (Included(0.0), Excluded(1.0)))?;
        Ok(WeightAverage { decay, warmup: false, ..Self::mean(len)? })
    }

    /// Returns this average with a weight of at least 1/n in the n-th update, so that the first parameters do not weigh
    /// more than later ones. Without it, the first parameters still make up nine tenths of an `ema` with decay 0.999
    /// after 100 updates.
    #[must_use]
    pub fn with_warmup(self) -> Self {
        WeightAverage { warmup: true, ..self }
    }

    /// Returns this average with these values and this count of updates, to resume a run whose
    /// [`values`](WeightAverage::values) and [`updates`](WeightAverage::updates) were saved.
    ///
    /// # Errors
    /// Those of [`update`](WeightAverage::update) for `values`; [`Error::Count`] if `updates` is 0.
    pub fn with_values(mut self, values: &[P], updates: u64) -> Result<Self, Error> {
        check::at_least_one("number of updates", updates)?;
        self.check_update(values)?;
        self.values.copy_from_slice(values);
        Ok(WeightAverage { updates, ..self })
    }

    /// Moves the average towards `params`.
    ///
    /// # Errors
    /// [`Error::Length`] if there are more or fewer parameters than values; [`Error::NonFinite`] if a parameter is NaN
    /// or infinite; [`Error::Overflow`] if one is beyond half of `P`'s largest number, so that the average is always
    /// finite; [`Error::Swapped`] if the average is in the place of the parameters. Nothing has changed then.
    pub fn update(&mut self, params: &[P]) -> Result<(), Error> {
        self.check_update(params)?;
        self.apply_update(params);
        Ok(())
    }

    pub(crate) fn check_update(&self, params: &[P]) -> Result<(), Error> {
        check::length("params", params.len(), "average", self.values.len())?;
        self.not_swapped()?;
        if are_valid(params) { Ok(()) } else { first_invalid(params) }
    }

    /// The caller has checked `params`.
    pub(crate) fn apply_update(&mut self, params: &[P]) {
        self.updates = self.updates.saturating_add(1);
        let weight: P = from_f64(match self.updates {
            1 => 1.0,
            n if self.warmup => (1.0 - self.decay).max(1.0 / n as f64),
            _ => 1.0 - self.decay,
        });
        // A copy, since θ̄ + 1 · (θ - θ̄) is rounded and may differ from θ.
        if weight == P::one() {
            return pairs(
                &mut self.values,
                params,
                #[inline(always)]
                |average, params| average.copy_from_slice(params),
            );
        }
        // The product with a smaller difference would be subnormal, and CPUs take up to eighty times as long with
        // those.
        let least = P::min_positive_value() / weight;
        pairs(
            &mut self.values,
            params,
            #[inline(always)]
            |average, params| {
                for (average, &param) in average.iter_mut().zip(params) {
                    let difference = param - *average;
                    *average = *average + weight * if difference.abs() < least { P::zero() } else { difference };
                }
            },
        );
    }

    /// Returns the average.
    ///
    /// # Errors
    /// [`Error::Count`] before the first update; [`Error::Swapped`] while the average is in the place of the
    /// parameters.
    pub fn values(&self) -> Result<&[P], Error> {
        check::at_least_one("number of updates", self.updates)?;
        self.not_swapped()?;
        Ok(&self.values)
    }

    /// Exchanges the average and `params`. The first call puts the average in the place of the parameters, to evaluate
    /// it; the second call puts the parameters back. Until then [`update`](WeightAverage::update) and
    /// [`values`](WeightAverage::values) return an error, so that a forgotten second call is noticed. If you save the
    /// average and the parameters in between, they are saved exchanged, and the second call can follow after loading.
    ///
    /// # Errors
    /// [`Error::Length`] if there are more or fewer parameters than values; [`Error::Count`] before the first update.
    /// Nothing has changed then.
    ///
    /// # Cost
    /// One pass that reads and writes both slices; no allocation.
    pub fn swap(&mut self, params: &mut [P]) -> Result<(), Error> {
        self.check_swap(params.len())?;
        self.apply_swap(params);
        Ok(())
    }

    pub(crate) fn check_swap(&self, len: usize) -> Result<(), Error> {
        check::length("params", len, "average", self.values.len())?;
        check::at_least_one("number of updates", self.updates)
    }

    pub(crate) fn apply_swap(&mut self, params: &mut [P]) {
        self.swapped = !self.swapped;
        pass(
            params.len(),
            self.values.chunks_mut(PART_LEN).zip(params.chunks_mut(PART_LEN)),
            #[inline(always)]
            |(values, params)| values.swap_with_slice(params),
        );
    }

    /// Returns whether the average is in the place of the parameters: whether [`swap`](WeightAverage::swap) was called
    /// an odd number of times.
    pub fn is_swapped(&self) -> bool {
        self.swapped
    }

    /// Writes the average to `params` of any float type, rounded to nearest: to a copy of the model, or to
    /// half-precision parameters, which their `MasterCopy` can restore.
    ///
    /// # Errors
    /// [`Error::Length`] if there are more or fewer parameters than values; those of [`values`](WeightAverage::values).
    /// Nothing has changed then.
    ///
    /// # Cost
    /// One pass; no allocation.
    pub fn write_params<Q: Float + Send + 'static>(&self, params: &mut [Q]) -> Result<(), Error> {
        self.check_write(params.len())?;
        self.apply_write(params);
        Ok(())
    }

    pub(crate) fn check_write(&self, len: usize) -> Result<(), Error> {
        self.values().and_then(|values| check::length("params", len, "average", values.len()))
    }

    pub(crate) fn apply_write<Q: Float + Send + 'static>(&self, params: &mut [Q]) {
        pairs(
            params,
            &self.values,
            #[inline(always)]
            |params, values| params.iter_mut().zip(values).for_each(|(param, &value)| *param = from_f64(to_f64(value))),
        );
    }

    /// Returns the number of updates. The count stops at `u64::MAX`.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    fn not_swapped(&self) -> Result<(), Error> {
        if self.swapped { Err(Error::Swapped) } else { Ok(()) }
    }
}

/// The largest valid parameter: the difference of two larger ones may be infinite.
fn largest<P: Float>() -> P {
    P::max_value() / (P::one() + P::one())
}

fn are_valid<P: Float + Sync>(params: &[P]) -> bool {
    let largest = largest::<P>();
    all(
        params.len(),
        // Backwards: the step has left the end of the parameters in the caches, and the update after this pass reads
        // from the beginning.
        params.chunks(PART_LEN).rev(),
        // Without an early exit, so that the loop vectorises; with u32, since these are combined faster than bools.
        #[inline(always)]
        |part| part.iter().fold(1, |all, param| all & u32::from(param.abs() <= largest)) == 1,
    )
}

/// Returns the error that names the first invalid parameter. Only a rejected update searches for it.
fn first_invalid<P: Float + 'static>(params: &[P]) -> Result<(), Error> {
    let largest = largest::<P>();
    let is_valid = |param: &P| param.abs() <= largest; // NaN is not
    let Some(index) = params.iter().position(|param| !is_valid(param)) else { return Ok(()) };
    let (value, max) = (to_f64(params[index]), to_f64(largest));
    Err(if value.is_finite() {
        Error::Overflow { name: format!("params[{index}]"), value, max }
    } else {
        Error::NonFinite { name: "params".into(), index, value }
    })
}

impl<P> Restore for WeightAverage<P> {
    /// Returns [`Error::Saved`] if the lengths differ.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        same("length of the average", other.values.len(), self.values.len())?;
        mem::swap(&mut self.values, &mut other.values);
        mem::swap(&mut self.updates, &mut other.updates);
        mem::swap(&mut self.swapped, &mut other.swapped);
        Ok(())
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [P: SavedFloat] WeightAverage<P> = "WeightAverage<{}> v1", P::NAME;
    decay: Exact<f64>,
    warmup: Plain<bool>,
    updates: Exact<u64>,
    swapped: Plain<bool>,
    values: Exact<Vec<P>>,
    => {
        if !(warmup && decay == 1.0) {
            check::number("decay", decay, (Included(0.0), Excluded(1.0)))?;
        }
        // While swapped, the values are the parameters, which may be any numbers.
        if swapped {
            check::at_least_one("number of updates", updates)?;
        } else if !are_valid(&values) {
            first_invalid(&values)?;
        }
        Ok(WeightAverage { decay, warmup, values, updates, swapped })
    }
}
