//! What is done to gradients between the backward pass and the step.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use num_traits::Float;

use crate::{
    Error,
    check::{self, from_f64, to_f64},
    simd::wide,
    threads::{PART, join},
};

/// Refuses NaN and infinities, and names the first place where one stands. One pass, no allocation.
///
/// # Errors
/// [`Error::NonFinite`] with the slice's number, the index in it and the value.
///
/// # Example
/// ```
/// let grads = [vec![1.0_f32, 2.0], vec![0.0, f32::NAN]];
/// let error = gradstep::check_finite(&grads).unwrap_err();
/// assert_eq!(error.to_string(), "grads[1][1] is NaN, expected a finite number");
/// ```
pub fn check_finite<F: Float>(grads: &[impl AsRef<[F]>]) -> Result<(), Error> {
    for (number, slice) in grads.iter().enumerate() {
        finite(|| format!("grads[{number}]"), slice.as_ref())?;
    }
    Ok(())
}

pub(crate) fn finite<F: Float>(name: impl FnOnce() -> String, slice: &[F]) -> Result<(), Error> {
    // Without an early way out, so that it vectorises.
    if wide(|| slice.iter().fold(true, |all, g| all & g.is_finite())) {
        return Ok(());
    }
    let bad = slice.iter().enumerate().find(|(_, g)| !g.is_finite());
    bad.map_or(Ok(()), |(index, &g)| Err(Error::NonFinite { name: name(), index, value: to_f64(g) }))
}

/// The Euclidean norm √(Σ g²) of all slices as one long vector.
///
/// Summed in f64 along one fixed tree, so the bits depend on nothing but the values and their lengths: in a block of
/// 4,096, lane i of 16 sums the squares at i, i + 16, i + 32, …; lane i is added to lane i + 8, then those 4, 2 and 1
/// apart; a slice's blocks are halved again and again, an odd one going to the left; the slices are added from first to
/// last. It does not overflow or underflow on the way: where the squares would, the values are scaled by a power of two
/// first.
///
/// # Errors
/// [`Error::NonFinite`] naming the first NaN or infinity, if there is one; [`Error::Number`] if all values are finite
/// but their norm is above the largest f64.
///
/// # Cost
/// One pass; four where the squares leave f64's range. No allocation.
///
/// # Example
/// ```
/// assert_eq!(gradstep::global_norm(&[&[3.0_f32][..], &[0.0, 4.0]])?, 5.0);
/// let norm = gradstep::global_norm(&[[3e200_f64, 4e200]])?; // the squares alone would overflow
/// assert!((norm / 5e200 - 1.0).abs() < 1e-15);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn global_norm<F: Float + Send + Sync>(grads: &[impl AsRef<[F]>]) -> Result<f64, Error> {
    let squares = |scale: f64| grads.iter().map(|slice| sum_of_squares(slice.as_ref(), scale)).sum::<f64>();
    let sum = squares(1.0);
    // In this range no square was lost that counts.
    if sum > 1e-270 && sum.is_finite() {
        return Ok(sum.sqrt());
    }
    check_finite(grads)?;
    let largest =
        grads.iter().flat_map(|slice| slice.as_ref()).fold(0.0, |largest: f64, &g| largest.max(to_f64(g).abs()));
    if largest == 0.0 {
        return Ok(0.0);
    }
    // The power of two that takes `largest` to about 1: exponent bits e stand for 2^(e - 1023).
    let exponent = largest.to_bits() >> 52;
    let scale = f64::from_bits((2046 - exponent).max(1) << 52);
    let norm = squares(scale).sqrt() / scale;
    if norm.is_finite() {
        Ok(norm)
    } else {
        Err(Error::Number { name: "the global norm", value: norm, expected: "a norm within the range of f64" })
    }
}

const LANES: usize = 16;
const BLOCK: usize = 4096;

fn sum_of_squares<F: Float + Send + Sync>(slice: &[F], scale: f64) -> f64 {
    if slice.len() <= BLOCK {
        return wide(
            #[inline(always)]
            || block_of_squares(slice, scale),
        );
    }
    let (left, right) = slice.split_at(slice.len().div_ceil(2 * BLOCK) * BLOCK);
    let (left, right) = (|| sum_of_squares(left, scale), || sum_of_squares(right, scale));
    let (left, right) = if slice.len() <= PART { (left(), right()) } else { join(left, right) };
    left + right
}

#[inline(always)]
fn block_of_squares<F: Float>(block: &[F], scale: f64) -> f64 {
    let mut sums = [0.0; LANES];
    let mut add = |row: &[F]| {
        for (sum, &g) in sums.iter_mut().zip(row) {
            let g = scale * to_f64(g);
            *sum += g * g;
        }
    };
    let rows = block.chunks_exact(LANES);
    let rest = rows.remainder();
    rows.for_each(&mut add);
    add(rest);
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}

/// Scales all slices by `max_norm / norm` if their [`global_norm`] is above `max_norm`; gives the norm as it was.
///
/// Each value becomes `g · (max_norm / norm)`, computed in f64 and rounded once: among subnormals, where rounding is
/// coarse, the norm may end up above `max_norm` or at 0 (Pascanu et al. 2013;
/// `torch.nn.utils.clip_grad_norm_` adds 10⁻⁶ to the norm, this does not).
///
/// # Errors
/// [`Error::Number`] if `max_norm` is not a finite number above 0, or so far below the norm that their ratio is below the
/// smallest normal f64; and those of [`global_norm`]: a norm that is not finite is never used as a scale. Nothing has
/// changed then.
///
/// # Cost
/// [`global_norm`], and one pass more where it clips.
///
/// # Example
/// ```
/// let (mut weights, mut bias) = ([3.0_f32], [0.0, 4.0]);
/// let norm = gradstep::clip_global_norm(&mut [&mut weights[..], &mut bias], 2.5)?;
/// assert_eq!((norm, weights, bias), (5.0, [1.5], [0.0, 2.0]));
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn clip_global_norm<F, S>(grads: &mut [S], max_norm: f64) -> Result<f64, Error>
where
    F: Float + Send + Sync,
    S: AsRef<[F]> + AsMut<[F]>,
{
    check::above_zero("max_norm", max_norm)?;
    let norm = global_norm(grads)?;
    if norm > max_norm {
        let scale = max_norm / norm;
        if !scale.is_normal() {
            return Err(Error::Number { name: "max_norm / norm", value: scale, expected: "a normal f64" });
        }
        for g in grads.iter_mut().flat_map(|slice| slice.as_mut()) {
            *g = from_f64(scale * to_f64(*g));
        }
    }
    Ok(norm)
}

/// Brings each value into `-limit..=limit`.
///
/// # Errors
/// [`Error::Number`] if `limit` is not a finite number above 0; [`Error::NonFinite`] naming the first NaN or infinity.
/// Nothing has changed then.
///
/// # Cost
/// Two passes: one to look, one to clip.
///
/// # Example
/// ```
/// let mut grads = [[0.5_f32, -3.0, 2.0]];
/// gradstep::clip_value(&mut grads, 1.0)?;
/// assert_eq!(grads, [[0.5, -1.0, 1.0]]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn clip_value<F, S>(grads: &mut [S], limit: F) -> Result<(), Error>
where
    F: Float,
    S: AsRef<[F]> + AsMut<[F]>,
{
    check::above_zero("limit", limit)?;
    check_finite(grads)?;
    for g in grads.iter_mut().flat_map(|slice| slice.as_mut()) {
        *g = g.max(-limit).min(limit);
    }
    Ok(())
}

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
