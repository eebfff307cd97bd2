use num_traits::Float;

use super::{optimizer::Optimizer, step::Step};
use crate::{error::Error, gradient::grads::Grads};

/// An optimizer that rejects gradients with a NaN or an infinity.
///
/// A rejected step changes nothing and is not counted, so a schedule of [`steps`](Optimizer::steps) follows the steps
/// applied.
///
/// Cost: a pass over the gradients before the step, since it must know before it writes.
/// [`step_clipped`](Optimizer::step_clipped) rejects such gradients by itself, with the pass that it makes for the norm.
/// It has no state and adds nothing to what is saved: a guarded optimizer and a bare one load each other's files.
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
        self.0.check(grads)?;
        grads.check_finite()
    }

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
