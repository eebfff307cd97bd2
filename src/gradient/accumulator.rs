use alloc::{string::ToString, vec::Vec};

use num_traits::Float;

use super::finite::finite;
use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
    simd::wide,
};

/// The mean gradient of a batch that is too large for one backward pass, from micro-batches of any sizes.
///
/// With mean gradients gᵢ over nᵢ samples it is `(Σ nᵢ gᵢ) / (Σ nᵢ)`: the mean over all samples, not the mean of the
/// means. Summed in f64, whatever the gradients are, in the order of the calls, and rounded to their type at the end. The
/// sum begins at +0, so a mean of −0 comes out as +0.
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
        Ok(Accumulator { sum: check::zeros("an accumulator", len)?, samples: 0 })
    }

    /// Adds the mean gradient of `samples` samples.
    ///
    /// # Errors
    /// [`Error::Length`] if `mean` has another length; [`Error::Count`] if `samples` is 0, or more than a `u64` can count
    /// with those before. Nothing has changed then.
    pub fn add<F: Float>(&mut self, mean: &[F], samples: usize) -> Result<(), Error> {
        check::length("mean", mean.len(), "the accumulator", self.sum.len())?;
        let (samples, bound) = (samples as u64, u64::MAX - self.samples);
        check::at_least_one("samples", samples)?;
        if samples > bound {
            return Err(Error::Count { name: "samples", value: samples, expected: "at most", bound });
        }
        self.samples += samples;
        let weight = samples as f64;
        let sum = &mut self.sum;
        wide(
            #[inline(always)]
            || sum.iter_mut().zip(mean).for_each(|(sum, &g)| *sum += weight * to_f64(g)),
        );
        Ok(())
    }

    /// How many samples were added.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Writes the mean over all samples into `grads`.
    ///
    /// # Errors
    /// [`Error::Length`] if `grads` has another length; [`Error::Count`] if nothing was added yet;
    /// [`Error::NonFinite`] if a sum is NaN or infinite, since a gradient was, or beyond f64. `grads` is as it was then.
    pub fn mean<F: Float>(&self, grads: &mut [F]) -> Result<(), Error> {
        check::length("grads", grads.len(), "the accumulator", self.sum.len())?;
        check::at_least_one("number of samples", self.samples)?;
        finite(|| "sum".to_string(), &self.sum)?;
        let samples = self.samples as f64;
        wide(
            #[inline(always)]
            || grads.iter_mut().zip(&self.sum).for_each(|(g, &sum)| *g = from_f64(sum / samples)),
        );
        Ok(())
    }

    /// Empties it for the next batch.
    pub fn reset(&mut self) {
        self.sum.fill(0.0);
        self.samples = 0;
    }
}
