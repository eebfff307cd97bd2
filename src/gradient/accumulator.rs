use alloc::{format, vec::Vec};

use num_traits::Float;

use crate::{
    check,
    error::{Error, Relation},
    float::{from_f64, to_f64},
    passes::{all, pairs},
    threads::PART_LEN,
};

/// Computes the mean gradient of a batch that is too large for one backward pass, from micro-batches of any sizes.
///
/// From mean gradients gᵢ of micro-batches of nᵢ samples it computes `(Σ nᵢ gᵢ) / (Σ nᵢ)`: the mean over all samples,
/// not the mean of the means. The sum is computed in f64, in the order of the calls, and the mean is rounded once to
/// the type of the gradients. The sum starts at +0, so gradients of −0 have a mean of +0. To stop a run between two
/// micro-batches, save the accumulator.
///
/// Cost: per micro-batch one pass over the gradients and the sums, and for the mean two passes over the sums; no
/// allocation after construction.
///
/// # Example
/// ```
/// let mut accumulator = gradstep::Accumulator::new(1)?;
/// accumulator.add(&[3.0_f32], 1)?; // one sample
/// accumulator.add(&[1.0_f32], 3)?; // the mean of three
/// let mut grads = [0.0_f32];
/// accumulator.mean(&mut grads)?;
/// assert_eq!(grads, [1.5]);
/// accumulator.reset();
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "gradient_accumulation")]
#[doc(alias = "micro_batch")]
#[derive(Debug, Clone, PartialEq)]
pub struct Accumulator {
    sum: Vec<f64>,
    samples: u64,
    /// Set by the first micro-batch that made a sum NaN or infinite: how many samples came before it, and the index of
    /// the first such sum.
    bad: Option<(u64, usize)>,
}

impl Accumulator {
    /// Creates an empty accumulator for `len` gradients. It allocates 8 bytes per gradient.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no room for them.
    pub fn new(len: usize) -> Result<Self, Error> {
        Ok(Accumulator { sum: check::zeros("accumulator", len)?, samples: 0, bad: None })
    }

    /// Returns this accumulator with the sums Σ nᵢ gᵢ and the number of samples Σ nᵢ, to resume a run whose
    /// [`sum`](Accumulator::sum) and [`samples`](Accumulator::samples) were saved.
    ///
    /// # Errors
    /// [`Error::Length`] if `sum` has another length than the accumulator; [`Error::NonFinite`] if a sum is NaN or
    /// infinite; [`Error::Count`] if `samples` is 0 and a sum is not.
    pub fn with_sum(mut self, sum: &[f64], samples: u64) -> Result<Self, Error> {
        check::length("sum", sum.len(), "accumulator", self.sum.len())?;
        if let Some(index) = sum.iter().position(|sum| !sum.is_finite()) {
            return Err(Error::NonFinite { name: "sum".into(), index, value: sum[index] });
        }
        if sum.iter().any(|&sum| sum != 0.0) {
            check::at_least_one("samples", samples)?;
        }
        self.sum.copy_from_slice(sum);
        Ok(Accumulator { samples, bad: None, ..self })
    }

    /// Adds the mean gradient of `samples` samples.
    ///
    /// A gradient that is NaN or infinite is added too, since searching for one first would take another pass.
    /// [`mean`](Accumulator::mean) then returns an error that names this micro-batch. To leave such micro-batches out,
    /// call [`check_finite`](crate::check_finite) before `add`.
    ///
    /// # Errors
    /// [`Error::Length`] if `mean` has another length than the accumulator; [`Error::Count`] if `samples` is 0, or if
    /// the total number of samples would exceed `u64::MAX`. Nothing has changed then.
    pub fn add<F: Float + Sync + 'static>(&mut self, mean: &[F], samples: usize) -> Result<(), Error> {
        self.check_add(mean, samples)?;
        self.apply_add(mean, samples);
        Ok(())
    }

    /// Separate from [`apply_add`](Accumulator::apply_add), so that [`ByName`](crate::ByName) can check all tensors
    /// before the first one changes.
    pub(crate) fn check_add<F>(&self, mean: &[F], samples: usize) -> Result<(), Error> {
        check::length("mean", mean.len(), "accumulator", self.sum.len())?;
        let (samples, bound) = (samples as u64, u64::MAX - self.samples);
        check::at_least_one("samples", samples)?;
        check::count("samples", samples, Relation::AtMost, bound, "u64::MAX - samples so far")
    }

    /// Adds what [`check_add`](Accumulator::check_add) has accepted.
    pub(crate) fn apply_add<F: Float + Sync + 'static>(&mut self, mean: &[F], samples: usize) {
        let weight = samples as f64;
        let finite = all(
            mean.len(),
            self.sum.chunks_mut(PART_LEN).zip(mean.chunks(PART_LEN)),
            #[inline(always)]
            |(sum, mean)| {
                #[expect(clippy::eq_op, reason = "x - x is +0, whose bits are 0, unless x is NaN or infinite")]
                let add = |bits, (sum, &g): (&mut f64, &F)| {
                    *sum += weight * to_f64(g);
                    bits | (*sum - *sum).to_bits()
                };
                sum.iter_mut().zip(mean).fold(0, add) == 0
            },
        );
        // Only the first micro-batch counts: a sum that is NaN or infinite stays so.
        if !finite && self.bad.is_none() {
            self.bad = self.sum.iter().position(|sum| !sum.is_finite()).map(|index| (self.samples, index));
        }
        self.samples = self.samples.saturating_add(samples as u64);
    }

    /// Returns the sums so far: Σ nᵢ gᵢ for each gradient.
    pub fn sum(&self) -> &[f64] {
        &self.sum
    }

    /// Returns how many samples were added so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Writes the mean over all samples into `grads`.
    ///
    /// # Errors
    /// [`Error::Length`] if `grads` has another length than the accumulator; [`Error::Count`] if nothing was added yet;
    /// [`Error::NonFinite`] if a sum is NaN or infinite, because a gradient was, or because the sum exceeds the largest
    /// f64; [`Error::Overflow`] if a mean exceeds the largest `F`. `grads` has not changed then.
    ///
    /// [`Error::NonFinite`] names the first micro-batch that made a sum NaN or infinite, and each call returns it until
    /// [`reset`](Accumulator::reset).
    pub fn mean<F: Float + Send + 'static>(&self, grads: &mut [F]) -> Result<(), Error> {
        self.check_mean::<F>(grads.len())?;
        self.apply_mean(grads);
        Ok(())
    }

    pub(crate) fn check_mean<F: Float + 'static>(&self, len: usize) -> Result<(), Error> {
        check::length("grads", len, "accumulator", self.sum.len())?;
        check::at_least_one("number of samples", self.samples)?;
        if let Some((before, index)) = self.bad {
            let name = format!("micro-batch after {before} samples: sum");
            return Err(Error::NonFinite { name, index, value: self.sum[index] });
        }
        let samples = self.samples as f64;
        let fits = |sum: &f64| from_f64::<F>(sum / samples).is_finite();
        let fit = all(
            len,
            self.sum.chunks(PART_LEN),
            // There is no early exit, so that the loop vectorises.
            #[inline(always)]
            |sum| sum.iter().fold(true, |all, sum| all & fits(sum)),
        );
        if fit { Ok(()) } else { self.first_overflow(fits, to_f64(F::max_value())) }
    }

    /// Writes the mean that [`check_mean`](Accumulator::check_mean) has accepted.
    pub(crate) fn apply_mean<F: Float + Send + 'static>(&self, grads: &mut [F]) {
        let samples = self.samples as f64;
        pairs(
            grads,
            &self.sum,
            #[inline(always)]
            |grads, sum| grads.iter_mut().zip(sum).for_each(|(g, &sum)| *g = from_f64(sum / samples)),
        );
    }

    fn first_overflow(&self, fits: impl Fn(&f64) -> bool, max: f64) -> Result<(), Error> {
        let Some(index) = self.sum.iter().position(|sum| !fits(sum)) else { return Ok(()) };
        let name = format!("mean[{index}]");
        Err(Error::Overflow { name, value: self.sum[index] / self.samples as f64, max })
    }

    /// Sets the sums and the number of samples to 0, for the next batch.
    pub fn reset(&mut self) {
        self.sum.fill(0.0);
        self.samples = 0;
        self.bad = None;
    }
}

#[cfg(feature = "serde")]
impl Accumulator {
    /// Returns `bad` as a list of zero or two numbers, since [`exact`](crate::exact) has lists but no `Option`.
    fn saved_bad(&self) -> Vec<u64> {
        self.bad.into_iter().flat_map(|(before, index)| [before, index as u64]).collect()
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] Accumulator = "Accumulator v1";
    samples: Exact<u64>,
    bad: Exact<Vec<u64>> = Accumulator::saved_bad,
    sum: Exact<Vec<f64>>,
    => {
        // `with_sum` checks the same.
        if sum.iter().any(|&sum| sum != 0.0) {
            check::at_least_one("samples", samples)?;
        }
        // `bad` has to name a sum that is NaN or infinite, and may be empty only if there is none.
        let found = match bad[..] {
            [before, index] if before < samples => {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                sum.get(index).filter(|sum| !sum.is_finite()).map(|_| (before, index))
            }
            _ => None,
        };
        if found.is_none() && !(bad.is_empty() && sum.iter().all(|sum| sum.is_finite())) {
            let expected = "two numbers if a sum is not finite, else none: the samples before it and its index".into();
            return Err(Error::Saved { name: "bad", saved: format!("{bad:?}"), expected });
        }
        Ok(Accumulator { sum, samples, bad: found })
    }
}
