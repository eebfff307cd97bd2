use alloc::string::ToString;

use num_traits::Float;

use super::optimizer::Optimizer;
use crate::{error::Error, gradient::finite::finite};

/// An optimizer that refuses gradients with a NaN or an infinity in them.
///
/// A refused step changes nothing, and is not counted: a schedule that follows `steps()` follows the steps applied.
/// Cost: one more pass over the gradients, since it must know before it writes. It has no state and adds nothing to what is
/// saved: a guarded optimizer and a bare one read each other's files.
///
/// # Example
/// ```
/// use gradstep::{Guard, Optimizer, Sgd};
/// let mut sgd = Guard(Sgd::new(0.1)?);
/// let mut params = [1.0_f32, 2.0];
/// let error = sgd.step(&mut params, &[0.5, f32::INFINITY]).unwrap_err();
/// assert_eq!(error.to_string(), "grads[1] is inf, expected a finite number");
/// assert_eq!((params, sgd.0.steps()), ([1.0, 2.0], 0));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Guard<O>(pub O);

impl<F: Float, O: Optimizer<F>> Optimizer<F> for Guard<O> {
    fn step(&mut self, params: &mut [F], grads: &[F]) -> Result<(), Error> {
        self.check(params, grads)?;
        self.0.step(params, grads)
    }

    fn learning_rate(&self) -> F {
        self.0.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error> {
        self.0.set_learning_rate(learning_rate)
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn check(&self, params: &[F], grads: &[F]) -> Result<(), Error> {
        self.0.check(params, grads)?;
        finite(|| "grads".to_string(), grads)
    }

    fn state_len(&self) -> Option<usize> {
        self.0.state_len()
    }
}
