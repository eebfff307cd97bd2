use alloc::string::ToString;

use num_traits::Float;

use super::{grads::Grads, optimizer::Optimizer};
use crate::{error::Error, gradient::finite::finite};

/// An optimizer that rejects gradients with a NaN or an infinity.
///
/// A rejected step changes nothing and is not counted, so a schedule of [`steps`](Optimizer::steps) follows the steps
/// applied.
///
/// Cost: a pass over the gradients before the step, since it must know before it writes.
/// [`step_clipped`](crate::step_clipped) rejects such gradients by itself, with the pass that it makes for the norm.
/// It has no state and adds nothing to what is saved: a guarded optimizer and a bare one load each other's files.
///
/// # Example
/// ```
/// use gradstep::{Guard, Optimizer, Sgd};
/// let mut sgd = Guard(Sgd::new(0.1)?);
/// let mut params = [1.0_f32, 2.0];
/// let error = sgd.step(&mut params, &[0.5, f32::INFINITY]).unwrap_err();
/// assert_eq!(error.to_string(), "grads[1] is inf, expected a finite number");
/// assert_eq!((params, sgd.steps()), ([1.0, 2.0], 0));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Guard<O>(pub O);

impl<P: Float + Send + Sync, F, O: Optimizer<P, F>> Optimizer<P, F> for Guard<O> {
    fn step(&mut self, params: &mut [P], grads: &[P]) -> Result<(), Error> {
        self.check(params, grads)?;
        self.0.step_checked(params, grads.into())
    }

    /// Does not look at the gradients again.
    fn step_checked(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error> {
        self.0.step_checked(params, grads)
    }

    fn can_scale(&self) -> bool {
        self.0.can_scale()
    }

    fn learning_rate(&self) -> F {
        self.0.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error> {
        self.0.set_learning_rate(learning_rate)
    }

    fn steps(&self) -> u64 {
        self.0.steps()
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn check(&self, params: &[P], grads: &[P]) -> Result<(), Error> {
        self.0.check(params, grads)?;
        finite(|| "grads".to_string(), grads)
    }

    fn rejects_non_finite(&self) -> bool {
        true
    }

    fn state_len(&self) -> Option<usize> {
        self.0.state_len()
    }
}
