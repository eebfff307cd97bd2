use core::ops::Bound::Included;

use crate::{check, error::Error};

/// The scale of the loss for f16: a power of two by which the loss is multiplied, so that small gradients do not become 0
/// in f16, and by whose inverse the step multiplies them again.
///
/// f16 has no numbers below 2^-24 = 6 · 10^-8, and fewer digits below 2^-14. bf16 has the range of f32 and needs no scale.
///
/// The scale looks for its own size: it is halved at each step that was rejected because of gradients that were NaN,
/// infinite or too large, which then changed nothing, and doubled after `growth_interval` applied steps in a row. It stays
/// within 2^-126 to 2^126, where both it and its inverse are normal numbers of f32. A power of two changes no digit: the
/// unscaled gradients are exactly those without a scale, except where one of them overflowed or underflowed.
///
/// As `torch.amp.GradScaler` (torch 2.15), whose scale is 2^16 at first and doubles after 2,000 steps, and Keras'
/// `LossScaleOptimizer` (Keras 3), with 2^15 and 2,000: the default here. Micikevicius et al. 2018, "Mixed precision
/// training".
///
/// Wrap the optimizer in a [`FiniteGuard`](crate::FiniteGuard), or clip by
/// [`step_clipped`](crate::Optimizer::step_clipped): an optimizer that takes infinite gradients never halves the scale.
/// Multiply the loss, or the gradient with respect to the network's outputs, by the [`scale`](LossScale::scale).
///
/// # Example
/// ```
/// use gradstep::{FiniteGuard, Grads, LossScale, Optimizer, Sgd};
/// let mut loss_scale = LossScale::new(8.0, 2)?; // small numbers for the example
/// let mut sgd = FiniteGuard(Sgd::new(0.5)?);
/// let mut params = [1.0_f32];
/// let mut scales = Vec::new();
/// for grad in [f32::INFINITY, 1.0, 1.0] {
///     let grads = [grad * loss_scale.scale() as f32]; // as the backward pass of a loss times the scale makes them
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
    /// Applied in a row since the scale last changed.
    applied: u64,
    skipped: u64,
}

const SMALLEST: f64 = 1.0 / LARGEST;
const LARGEST: f64 = (1_u128 << 126) as f64;

impl Default for LossScale {
    /// 2^15, doubled after 2,000 steps.
    fn default() -> Self {
        LossScale { scale: 32_768.0, growth_interval: 2_000, applied: 0, skipped: 0 }
    }
}

impl LossScale {
    /// Begins with `scale`, and doubles it after `growth_interval` applied steps in a row.
    ///
    /// # Errors
    /// [`Error::Number`] if the scale is not within 2^-126 to 2^126, [`Error::NotAPowerOfTwo`] if it is not a power of two;
    /// [`Error::Count`] if `growth_interval` is 0.
    pub fn new(scale: f64, growth_interval: u64) -> Result<Self, Error> {
        check::number("scale", scale, (Included(SMALLEST), Included(LARGEST)))?;
        // A normal number is one if it has no digits after the first.
        if scale.to_bits() << 12 != 0 {
            return Err(Error::NotAPowerOfTwo { name: "scale", value: scale });
        }
        check::at_least_one("growth_interval", growth_interval)?;
        Ok(LossScale { scale, growth_interval, applied: 0, skipped: 0 })
    }

    /// By what to multiply the loss of the next step; the step's gradients get its inverse, which is exact.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Takes the result of a step, and halves or doubles the scale if it is time to. `None` if the step was rejected
    /// for its gradients and is to be skipped; otherwise what the step returned.
    ///
    /// # Errors
    /// The step's own, if its gradients were not to blame ([`Error::is_bad_gradient`]): a wrong length is never
    /// skipped. The scale has not changed then.
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

    /// How many steps in a row were skipped up to now. Many mean that no scale helps, as when the parameters are NaN.
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
        if skipped > 0 {
            check::same("applied", applied, 0)?;
        }
        Ok(LossScale { applied, skipped, ..new })
    }
}
