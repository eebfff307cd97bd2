use core::ops::Bound::Included;

use crate::{check, error::Error};

/// A loss scale for f16 that adapts itself: the loss is multiplied by a power of two, so that small gradients do not
/// become 0 in f16, and the step divides the gradients by it again.
///
/// f16 has no positive numbers below 2^-24 ≈ 6 · 10^-8, and fewer digits below 2^-14. bf16 has the range of f32 and
/// needs no loss scale.
///
/// If the gradients of a step are NaN, infinite or too large, the step is rejected, changes nothing, and the scale is
/// halved. After `growth_interval` applied steps in a row the scale is doubled. It stays within 2^-126 to 2^126, where
/// both it and its inverse are normal f32 numbers. Multiplying by a power of two changes no digit: the unscaled
/// gradients are exactly those of a run without a loss scale, except where one of them overflowed or underflowed.
///
/// This is what `torch.amp.GradScaler` does (torch 2.15; first scale 2^16, interval 2,000), and Keras'
/// `LossScaleOptimizer` (Keras 3; 2^15 and 2,000, which are the defaults here). Source: Micikevicius et al. 2018,
/// "Mixed precision training".
///
/// Multiply the loss, or the gradient with respect to the network's outputs, by the [`scale`](LossScale::scale). Wrap
/// the optimizer in a [`FiniteGuard`](crate::FiniteGuard) or clip with
/// [`step_clipped`](crate::Optimizer::step_clipped): otherwise infinite gradients are not rejected, and the scale is
/// never halved.
///
/// # Example
/// ```
/// use gradstep::{FiniteGuard, Grads, LossScale, Optimizer, Sgd};
/// let mut loss_scale = LossScale::new(8.0, 2)?; // small numbers for the example
/// let mut sgd = FiniteGuard(Sgd::new(0.5)?);
/// let mut params = [1.0_f32];
/// let mut scales = Vec::new();
/// for grad in [f32::INFINITY, 1.0, 1.0] {
///     let grads = [grad * loss_scale.scale() as f32]; // the backward pass of the scaled loss returns these
///     let result = sgd.step_with(&mut params, Grads::new(&grads).scaled(1.0 / loss_scale.scale()));
///     let applied = loss_scale.update(result)?.is_some();
///     assert!(applied || loss_scale.skipped() < 20, "the gradients are infinite at any scale");
///     scales.push((applied, loss_scale.scale()));
/// }
/// assert_eq!(scales, [(false, 4.0), (true, 4.0), (true, 8.0)]);
/// assert_eq!(params, [0.0]); // two steps of 0.5
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "GradScaler")]
#[doc(alias = "amp")]
#[doc(alias = "mixed_precision")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossScale {
    scale: f64,
    growth_interval: u64,
    /// How many steps were applied in a row since the scale last changed.
    applied: u64,
    skipped: u64,
}

const SMALLEST: f64 = 1.0 / LARGEST;
const LARGEST: f64 = (1_u128 << 126) as f64;

impl Default for LossScale {
    /// Creates a loss scale that starts at 2^15 and doubles after 2,000 applied steps in a row.
    fn default() -> Self {
        LossScale { scale: 32_768.0, growth_interval: 2_000, applied: 0, skipped: 0 }
    }
}

impl LossScale {
    /// Creates a loss scale that starts at `scale` and doubles after `growth_interval` applied steps in a row.
    ///
    /// # Errors
    /// [`Error::Number`] if the scale is not within 2^-126 to 2^126, [`Error::NotAPowerOfTwo`] if it is not a power of
    /// two; [`Error::Count`] if `growth_interval` is 0.
    pub fn new(scale: f64, growth_interval: u64) -> Result<Self, Error> {
        check::number("scale", scale, (Included(SMALLEST), Included(LARGEST)))?;
        // The shift removes sign and exponent. What is left of a power of two is 0, since it has no digit after its
        // first.
        if scale.to_bits() << 12 != 0 {
            return Err(Error::NotAPowerOfTwo { name: "scale", value: scale });
        }
        check::at_least_one("growth_interval", growth_interval)?;
        Ok(LossScale { scale, growth_interval, applied: 0, skipped: 0 })
    }

    /// Returns the factor for the loss of the next step. Scale the gradients by its inverse, which is exact.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Takes the result of a step and adapts the scale. Returns the value that the step returned, or `None` if the step
    /// was rejected because of its gradients: then go on with the next batch.
    ///
    /// # Errors
    /// The error of the step if it has another cause than the gradients ([`Error::is_bad_gradient`]), such as a wrong
    /// length. The scale has not changed then.
    pub fn update<T>(&mut self, result: Result<T, Error>) -> Result<Option<T>, Error> {
        match result {
            Ok(value) => {
                (self.applied, self.skipped) = (self.applied + 1, 0);
                if self.applied >= self.growth_interval {
                    (self.applied, self.scale) = (0, (2.0 * self.scale).min(LARGEST));
                }
                Ok(Some(value))
            }
            Err(error) if error.is_bad_gradient() => {
                (self.applied, self.skipped) = (0, self.skipped.saturating_add(1));
                self.scale = (0.5 * self.scale).max(SMALLEST);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Returns how many steps in a row were skipped up to now. If there are many, no scale helps, for instance because
    /// the parameters are NaN.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] LossScale = "LossScale v1";
    scale: Exact<f64>,
    growth_interval: Exact<u64>,
    applied: Exact<u64>,
    skipped: Exact<u64>,
    => {
        use crate::error::Relation::Below;

        let new = LossScale::new(scale, growth_interval)?;
        check::count("applied", applied, Below, growth_interval, "growth_interval")?;
        // A skipped step sets `applied` to 0, and an applied step sets `skipped` to 0.
        if skipped > 0 {
            check::same("applied", applied, 0)?;
        }
        Ok(LossScale { applied, skipped, ..new })
    }
}
