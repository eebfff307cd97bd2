use crate::{check, error::Error};

/// Unbiased estimates of |G|² and tr Σ from squared gradient norms at two batch sizes: the parts of the gradient noise
/// scale B = tr Σ / |G|², the batch size beyond which larger batches stop paying.
///
/// G is the true gradient, Σ the covariance of a single sample's. `small` and `big` are a batch size each and |g|², the
/// square of the [`global_norm`](crate::global_norm) of the mean gradient over such a batch at the same parameters, or
/// the mean of several: of all the micro-batches, say, beside their [`Accumulator`](crate::Accumulator)'s mean, or of
/// all the workers beside the reduced gradient. The batches may overlap. Gives (|G|², tr Σ), where
///
/// ```text
/// |G|² = (big |g_big|² - small |g_small|²) / (big - small)
/// tr Σ = (|g_small|² - |g_big|²) / (1/small - 1/big)
/// ```
///
/// computed as `|g_big|² - d * (small / (big - small))` and `d * (small * (big / (big - small)))`, d = |g_small|² - |g_big|².
/// McCandlish et al. 2018, "An Empirical Model of Large-Batch Training", appendix A.1.
///
/// # From the two to the noise scale
/// Average both over many steps, and then divide. The ratio of unbiased estimates is not unbiased, and a single one says
/// little: |G|² is what is left of a difference, and may come out 0 or negative. Where its average does, the noise hides
/// the gradient: take more steps or a larger `big`; until then all that is known is that B is large.
///
/// |G|² has the gradient's unit squared, tr Σ that times samples, B is in samples. B grows as the loss falls, so average
/// over a stretch of training, not all of it. In a step of B samples the loss falls half as far as with an exact
/// gradient, if the learning rate is tuned to the batch and the curvature alike in all directions (B_simple of the paper).
///
/// # What Σ and G are of
/// - Samples drawn independently, or with replacement from a set: those of the distribution or of the set.
/// - Batches without replacement from N samples, as [`Batcher`](crate::Batcher)'s are, at any sizes up to N: tr Σ is that
///   of the set with divisor N - 1, and |G|² is the set's less tr Σ / N, since 1/B shrinks to 1/B - 1/N. Those are the
///   unbiased estimates for the distribution from which the set was drawn; the set's own |G|² is `|G|² + tr Σ / N`.
///
/// # Errors
/// [`Error::Count`] if the small batch size is 0 or the big one not above it; [`Error::Number`] if a squared norm is NaN,
/// infinite or negative, or an estimate beyond the range of f64.
///
/// # Example
/// ```
/// use gradstep::{global_norm, gradient_noise};
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
/// let (squared_norm, covariance_trace) = gradient_noise((1, single), (4, whole))?;
/// assert!((covariance_trace - 20.0 / 3.0).abs() < 1e-12); // (4 · 1 + 4 · 4) / (4 - 1)
/// assert!((squared_norm - (4.0 - covariance_trace / 4.0)).abs() < 1e-12);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn gradient_noise(small: (usize, f64), big: (usize, f64)) -> Result<(f64, f64), Error> {
    check::at_least_one("small batch size", small.0 as u64)?;
    if big.0 <= small.0 {
        return Err(Error::Count {
            name: "big batch size",
            value: big.0 as u64,
            expected: "above the small one =",
            bound: small.0 as u64,
        });
    }
    let small_square = check::at_least_zero("squared norm of the small batch", small.1)?;
    let big_square = check::at_least_zero("squared norm of the big batch", big.1)?;
    let difference = small_square - big_square;
    let (small, more, big) = (small.0 as f64, (big.0 - small.0) as f64, big.0 as f64);
    let squared_norm = big_square - difference * (small / more);
    let covariance_trace = difference * (small * (big / more));
    for (name, value) in [("estimate of |G|²", squared_norm), ("estimate of tr Σ", covariance_trace)] {
        if !value.is_finite() {
            return Err(Error::Number { name, value, expected: "a number within the range of f64" });
        }
    }
    Ok((squared_norm, covariance_trace))
}
