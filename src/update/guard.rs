use num_traits::Float;

use super::{optimizer::Optimizer, step::Step};
use crate::{error::Error, gradient::grads::Grads};

/// Wraps an optimizer, and rejects gradients that contain NaN or an infinity with [`Error::NonFinite`].
///
/// A rejected step changes nothing and is not counted, so a schedule over [`steps`](Optimizer::steps) advances only
/// with the steps that were applied.
///
/// Cost of a step: a pass over the gradients before that of the optimizer, since no parameter may change before all
/// gradients are known to be finite; no allocation. [`step_clipped`](Optimizer::step_clipped) needs no guard: it finds
/// such gradients in the pass that computes the norm.
///
/// The guard has no state and adds nothing to what is saved, so a guarded optimizer and a bare one can load each
/// other's files.
///
/// # Example
/// ```
/// use gradstep::{FiniteGuard, Optimizer, Sgd};
/// let mut sgd = FiniteGuard(Sgd::new(0.1)?);
/// let mut params = [1.0_f32, 2.0];
/// let error = sgd.step(&mut params, &[0.5, f32::INFINITY]).unwrap_err();
/// assert_eq!(error.to_string(), "grads[1] is inf, expected a finite number");
/// assert_eq!((params, sgd.steps()), ([1.0, 2.0], 0));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "nan")]
#[doc(alias = "apply_if_finite")]
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct FiniteGuard<O>(pub O);

impl<P: Float + Send + Sync + 'static, O: Optimizer<P>> Optimizer<P> for FiniteGuard<O> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        // First, since it usually compares two lengths only, and `check_finite` reads all gradients.
        self.0.check(grads)?;
        grads.check_finite()
    }

    // The gradients are not read again here: the caller has called `check`.
    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        self.0.update(step)
    }

    fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.0.set_learning_rate(learning_rate)
    }

    fn steps(&self) -> u64 {
        self.0.steps()
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn state_len(&self) -> Option<usize> {
        self.0.state_len()
    }
}
