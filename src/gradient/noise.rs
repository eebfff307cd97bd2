use crate::{
    check,
    error::{Error, Relation},
};

/// The gradient noise scale B = tr Σ / |G|²: the batch size beyond which larger batches stop paying. Measured from squared
/// gradient norms at two batch sizes, averaged over as many steps as you add.
///
/// G is the true gradient, Σ the covariance of the gradient of a single sample. Each [`add`](NoiseScale::add) makes
/// unbiased estimates of their two parts,
///
/// ```text
/// |G|² = (big |g_big|² - small |g_small|²) / (big - small)
/// tr Σ = (|g_small|² - |g_big|²) / (1/small - 1/big)
/// ```
///
/// and B is the mean of the second over the mean of the first. (The ratio of two unbiased estimates is not unbiased, so
/// averages come first.) A single estimate says little: |G|² is a difference, and may be 0 or negative. Where its mean is,
/// the noise hides the gradient: add more steps, or use a larger `big`. Until then all that is known is that B is large.
///
/// |G|² has the unit of the gradient squared, tr Σ that times samples, B is in samples. B grows as the loss falls, so
/// average over a stretch of training, not all of it. In a step with a batch of B samples the loss falls half as far as
/// with the exact gradient, if the learning rate is tuned to the batch and the curvature is the same in all directions
/// (B_simple of the paper).
///
/// Computed as `|g_big|² - d * (small / (big - small))` and `d * (small * (big / (big - small)))` with
/// d = |g_small|² - |g_big|². Source: McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", appendix A.1.
///
/// # What Σ and G refer to
/// - Samples drawn independently, or with replacement from a set: to the distribution or to the set.
/// - Batches without replacement from N samples, as [`Batcher`](crate::Batcher)'s are, at any sizes up to N: tr Σ is that
///   of the set with divisor N - 1, and |G|² is the set's less tr Σ / N, since 1/B shrinks to 1/B - 1/N. These are the
///   unbiased estimates for the distribution from which the set was drawn; the set's own |G|² is `|G|² + tr Σ / N`.
///
/// # Example
/// ```
/// use gradstep::{NoiseScale, global_norm};
///
/// // The gradients of four samples, all at the same parameters, and their mean.
/// let samples = [[3.0_f32, 2.0], [1.0, -2.0], [3.0, -2.0], [1.0, 2.0]];
/// let mean = [2.0_f32, 0.0];
///
/// let mut single = 0.0;
/// for sample in &samples {
///     single += global_norm(&[sample])?.powi(2) / 4.0;
/// }
/// let whole = global_norm(&[mean])?.powi(2);
///
/// let mut noise = NoiseScale::new();
/// noise.add((1, single), (4, whole))?; // once every some steps of training
///
/// let (squared_norm, trace) = (noise.squared_norm().unwrap(), noise.covariance_trace().unwrap());
/// assert!((trace - 20.0 / 3.0).abs() < 1e-12); // (4 · 1 + 4 · 4) / (4 - 1)
/// assert!((squared_norm - (4.0 - trace / 4.0)).abs() < 1e-12);
/// assert_eq!(noise.batch_size(), Some(trace / squared_norm)); // 2.9 samples
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "gradient_noise_scale")]
#[doc(alias = "critical_batch_size")]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NoiseScale {
    squared_norms: f64,
    traces: f64,
    estimates: u64,
}

impl NoiseScale {
    /// Without an estimate yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one estimate from two pairs of a batch size and |g|², the square of the [`global_norm`](crate::global_norm) of
    /// the mean gradient over such a batch, at the same parameters.
    ///
    /// |g|² may be the mean over several batches of that size: over all micro-batches beside the mean gradient of their
    /// [`Accumulator`](crate::Accumulator), or over all workers beside the reduced gradient. The batches may overlap, and
    /// the sizes may differ from call to call.
    ///
    /// # Errors
    /// [`Error::Count`] if the small batch size is 0, or the big one is not above it (as it is where the two are swapped);
    /// [`Error::Number`] if a squared norm is NaN, infinite or negative, or an estimate or a sum of estimates is beyond
    /// f64. Nothing has changed then.
    pub fn add(&mut self, small: (usize, f64), big: (usize, f64)) -> Result<(), Error> {
        check::at_least_one("small batch size", small.0 as u64)?;
        check::count("big batch size", big.0 as u64, Relation::Above, small.0 as u64, "small batch size")?;
        let small_square = check::at_least_zero("squared norm of the small batch", small.1)?;
        let big_square = check::at_least_zero("squared norm of the big batch", big.1)?;
        let difference = small_square - big_square;
        let (small, more, big) = (small.0 as f64, (big.0 - small.0) as f64, big.0 as f64);
        let squared_norm = check::number("estimate of |G|²", big_square - difference * (small / more), check::FINITE)?;
        let trace = check::number("estimate of tr Σ", difference * (small * (big / more)), check::FINITE)?;
        *self = NoiseScale {
            squared_norms: check::number("sum of |G|²", self.squared_norms + squared_norm, check::FINITE)?,
            traces: check::number("sum of tr Σ", self.traces + trace, check::FINITE)?,
            estimates: self.estimates.saturating_add(1),
        };
        Ok(())
    }

    /// How many estimates were added. Stops at `u64::MAX`.
    pub fn estimates(&self) -> u64 {
        self.estimates
    }

    /// The mean estimate of |G|²; `None` before the first.
    pub fn squared_norm(&self) -> Option<f64> {
        self.mean(self.squared_norms)
    }

    /// The mean estimate of tr Σ; `None` before the first.
    pub fn covariance_trace(&self) -> Option<f64> {
        self.mean(self.traces)
    }

    /// The noise scale B, in samples; `None` while the mean of |G|² is not above 0. Negative if the mean of tr Σ is: then
    /// too few estimates were added.
    pub fn batch_size(&self) -> Option<f64> {
        let squared_norm = self.squared_norm().filter(|&mean| mean > 0.0)?;
        Some(self.covariance_trace()? / squared_norm)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        (self.estimates > 0).then(|| sum / self.estimates as f64)
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] NoiseScale = "NoiseScale v1";
    estimates: Exact<u64>,
    squared_norms: Exact<f64>,
    traces: Exact<f64>,
    => {
        if (squared_norms, traces) != (0.0, 0.0) {
            check::at_least_one("estimates", estimates)?;
        }
        check::number("squared_norms", squared_norms, check::FINITE)?;
        check::number("traces", traces, check::FINITE)?;
        Ok(NoiseScale { squared_norms, traces, estimates })
    }
}
