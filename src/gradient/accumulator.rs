use alloc::{format, vec::Vec};

use num_traits::Float;

use crate::{
    check,
    error::{Error, Relation},
    float::{from_f64, to_f64},
    passes::{all, pairs},
    threads::PART_LEN,
};

/// The mean gradient of a batch that is too large for one backward pass, from micro-batches of any sizes.
///
/// With mean gradients gᵢ over nᵢ samples it is `(Σ nᵢ gᵢ) / (Σ nᵢ)`: the mean over all samples, not the mean of the
/// means. It is summed in f64, in the order of the calls, and rounded to the gradients' type once at the end. The sum
/// starts at +0, so gradients of −0 give a mean of +0. Plain data: save it to stop a run between two micro-batches.
///
/// Cost: one pass over the gradients for each micro-batch and two for the mean; no allocation after construction.
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
#[derive(Debug, Clone, PartialEq)]
pub struct Accumulator {
    sum: Vec<f64>,
    samples: u64,
}

impl Accumulator {
    /// An empty one for gradients of length `len`. It takes 8 bytes for each.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no room for it.
    pub fn new(len: usize) -> Result<Self, Error> {
        Ok(Accumulator { sum: check::zeros("accumulator", len)?, samples: 0 })
    }

    /// Adds the mean gradient of `samples` samples.
    ///
    /// # Errors
    /// [`Error::Length`] if `mean` has another length; [`Error::Count`] if `samples` is 0, or more than a `u64` can count
    /// with those before. Nothing has changed then.
    pub fn add<F: Float + Sync + 'static>(&mut self, mean: &[F], samples: usize) -> Result<(), Error> {
        self.check_add(mean, samples)?;
        self.apply_add(mean, samples);
        Ok(())
    }

    pub(crate) fn check_add<F>(&self, mean: &[F], samples: usize) -> Result<(), Error> {
        check::length("mean", mean.len(), "accumulator", self.sum.len())?;
        let (samples, bound) = (samples as u64, u64::MAX - self.samples);
        check::at_least_one("samples", samples)?;
        check::count("samples", samples, Relation::AtMost, bound, "u64::MAX - samples so far")
    }

    /// What [`check_add`](Accumulator::check_add) let through.
    pub(crate) fn apply_add<F: Float + Sync + 'static>(&mut self, mean: &[F], samples: usize) {
        self.samples = self.samples.saturating_add(samples as u64);
        let weight = samples as f64;
        pairs(
            &mut self.sum,
            mean,
            #[inline(always)]
            |sum, mean| sum.iter_mut().zip(mean).for_each(|(sum, &g)| *sum += weight * to_f64(g)),
        );
    }

    /// How many samples were added.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Writes the mean over all samples into `grads`.
    ///
    /// # Errors
    /// [`Error::Length`] if `grads` has another length; [`Error::Count`] if nothing was added yet;
    /// [`Error::NonFinite`] if a sum is NaN or infinite, because a gradient was or because it is beyond f64;
    /// [`Error::Overflow`] if a mean is beyond `F`. `grads` has not changed then.
    pub fn mean<F: Float + Send + 'static>(&self, grads: &mut [F]) -> Result<(), Error> {
        self.check_mean::<F>(grads.len())?;
        self.apply_mean(grads);
        Ok(())
    }

    pub(crate) fn check_mean<F: Float + 'static>(&self, len: usize) -> Result<(), Error> {
        check::length("grads", len, "accumulator", self.sum.len())?;
        check::at_least_one("number of samples", self.samples)?;
        let samples = self.samples as f64;
        let fits = |sum: &f64| from_f64::<F>(sum / samples).is_finite();
        let fit = all(
            len,
            self.sum.chunks(PART_LEN),
            // Without an early exit, so that it vectorises.
            #[inline(always)]
            |sum| sum.iter().fold(true, |all, sum| all & fits(sum)),
        );
        if fit { Ok(()) } else { self.first_overflow(fits, to_f64(F::max_value())) }
    }

    /// What [`check_mean`](Accumulator::check_mean) let through.
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
        let sum = self.sum[index];
        Err(if sum.is_finite() {
            Error::Overflow { name: format!("mean[{index}]"), value: sum / self.samples as f64, max }
        } else {
            Error::NonFinite { name: "sum".into(), index, value: sum }
        })
    }

    /// Empties it for the next batch.
    pub fn reset(&mut self) {
        self.sum.fill(0.0);
        self.samples = 0;
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] Accumulator = "Accumulator v1";
    samples: Exact<u64>,
    sum: Exact<Vec<f64>>,
    => {
        if sum.iter().any(|sum| sum.to_bits() != 0) {
            check::at_least_one("samples", samples)?;
        }
        Ok(Accumulator { sum, samples })
    }
}
