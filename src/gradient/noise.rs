use crate::{
    check,
    error::{Error, Relation},
};

/// The gradient noise scale B = tr Σ / |G|²: the batch size beyond which larger batches stop paying off. It is
/// estimated from squared gradient norms at two batch sizes, averaged over as many steps as you add.
///
/// G is the true gradient, and Σ the covariance of the gradients of single samples. Each [`add`](NoiseScale::add)
/// computes an unbiased estimate of |G|² and one of tr Σ:
///
/// ```text
/// |G|² = (big |g_big|² - small |g_small|²) / (big - small)
/// tr Σ = (|g_small|² - |g_big|²) / (1/small - 1/big)
/// ```
///
/// B is the mean estimate of tr Σ divided by the mean estimate of |G|². (The means come first, since the ratio of two
/// unbiased estimates is biased.) A single estimate says little: that of |G|² is a difference, and may be 0 or
/// negative. If the mean is 0 or negative too, the noise hides the gradient, and all that is known is that B is large:
/// add more steps, or use a larger `big`.
///
/// If a gradient has the unit u, then |G|² has u², tr Σ has u² times samples, and B is in samples. B grows as the loss
/// falls, so average over a part of the training, not over all of it. A step with a batch of B samples reduces the loss
/// half as much as a step with the exact gradient, if the learning rate is tuned to the batch size and the curvature is
/// the same in all directions (B_simple in the paper).
///
/// The estimates are computed in f64 as `|g_big|² - d * (small / (big - small))` and
/// `d * (small * (big / (big - small)))`, where d = |g_small|² - |g_big|². Source: McCandlish et al. 2018, "An
/// Empirical Model of Large-Batch Training", appendix A.1.
///
/// # What Σ and G refer to
/// - If samples are drawn independently from a distribution, or with replacement from a set, Σ and G are those of the
///   distribution, or of the set.
/// - If batches of any sizes up to N are drawn without replacement from a set of N samples, as those of a
///   [`Batcher`](crate::Batcher) are, tr Σ is that of the set, with divisor N - 1, and |G|² is that of the set minus
///   tr Σ / N. (The mean gradient of n samples then has the variance tr Σ · (1/n - 1/N), not tr Σ / n.) These are the
///   unbiased estimates for the distribution from which the set was drawn. |G|² of the set itself is `|G|² + tr Σ / N`.
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
/// noise.add((1, single), (4, whole))?; // once every few steps of training
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
    /// Creates a noise scale without estimates.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one estimate. `small` and `big` are pairs of a batch size and |g|², the square of the
    /// [`global_norm`](crate::global_norm) of the mean gradient over a batch of that size, both at the same parameters.
    ///
    /// Each |g|² may be a mean over several batches of the same size. For example, take for `small` the mean over all
    /// micro-batches and for `big` the mean gradient of their [`Accumulator`](crate::Accumulator), or for `small` the
    /// mean over all workers and for `big` the reduced gradient. The batches may overlap, and the sizes may differ from
    /// call to call.
    ///
    /// # Errors
    /// [`Error::Count`] if the small batch size is 0, or if the big one is not above the small one (two swapped pairs
    /// are rejected); [`Error::Number`] if a squared norm is NaN, infinite or negative, or if an estimate or a sum of
    /// estimates exceeds the largest f64. Nothing has changed then.
    pub fn add(&mut self, small: (usize, f64), big: (usize, f64)) -> Result<(), Error> {
        check::at_least_one("small batch size", small.0 as u64)?;
        check::count("big batch size", big.0 as u64, Relation::Above, small.0 as u64, "small batch size")?;
        let small_square = check::at_least_zero("squared norm of the small batch", small.1)?;
        let big_square = check::at_least_zero("squared norm of the big batch", big.1)?;
        let difference = small_square - big_square;
        let (small, more, big) = (small.0 as f64, (big.0 - small.0) as f64, big.0 as f64);
        let squared_norm = check::number("estimate of |G|²", big_square - difference * (small / more), check::FINITE)?;
        let trace = check::number("estimate of tr Σ", difference * (small * (big / more)), check::FINITE)?;
        // Assigned at once, after all checks, so that an error changes nothing.
        *self = NoiseScale {
            squared_norms: check::number("sum of |G|²", self.squared_norms + squared_norm, check::FINITE)?,
            traces: check::number("sum of tr Σ", self.traces + trace, check::FINITE)?,
            estimates: self.estimates.saturating_add(1),
        };
        Ok(())
    }

    /// Returns how many estimates were added, at most `u64::MAX`.
    pub fn estimates(&self) -> u64 {
        self.estimates
    }

    /// Returns the mean of the estimates of |G|²; `None` if there are none.
    pub fn squared_norm(&self) -> Option<f64> {
        self.mean(self.squared_norms)
    }

    /// Returns the mean of the estimates of tr Σ; `None` if there are none.
    pub fn covariance_trace(&self) -> Option<f64> {
        self.mean(self.traces)
    }

    /// Returns the noise scale B, in samples. It is `None` while the mean of |G|² is not above 0, and negative if the
    /// mean of tr Σ is: then add more estimates.
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
