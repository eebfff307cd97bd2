use num_traits::Float;

use super::{
    grads::Grads,
    optimizer::{Optimizer, learning_rate_and_steps},
    weight_decay::WeightDecay,
};
use crate::{check, error::Error};

/// Gradient descent, stochastic or not: `θ <- θ - η g`.
///
/// [`Sgd::new`] is the plain rule; [`with_weight_decay`](Sgd::with_weight_decay) adds a decay.
/// Rounded after each operation, in the order in which the formula is written.
///
/// State: a count of steps. Cost of a step: one pass, two slices read, one written; no allocation.
///
/// Source: Robbins and Monro 1951, "A stochastic approximation method". The bits are those of `p - lr * g`;
/// `torch.optim.SGD` (2.11) agrees to rounding.
///
/// # Example
/// ```
/// use gradstep::{Optimizer, Sgd};
/// let mut sgd = Sgd::new(0.25)?;
/// let mut params = [16.0_f32, -2.0];
/// sgd.step(&mut params, &[16.0, 4.0])?;
/// assert_eq!(params, [12.0, -3.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Sgd<F> {
    pub(crate) learning_rate: F,
    pub(crate) weight_decay: WeightDecay<F>,
    pub(crate) steps: u64,
}

impl<F: Float + Send + Sync> Sgd<F> {
    /// Plain gradient descent with learning rate η.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative.
    pub fn new(learning_rate: F) -> Result<Self, Error> {
        Ok(Sgd { learning_rate: check::learning_rate(learning_rate)?, weight_decay: WeightDecay::None, steps: 0 })
    }

    /// The same with a weight decay.
    ///
    /// # Errors
    /// [`Error::Number`] if its strength is NaN, infinite or negative.
    pub fn with_weight_decay(self, weight_decay: WeightDecay<F>) -> Result<Self, Error> {
        Ok(Sgd { weight_decay: weight_decay.checked()?, ..self })
    }

    /// The weight decay.
    pub fn weight_decay(&self) -> WeightDecay<F> {
        self.weight_decay
    }
}

impl<F: Float + Send + Sync> Optimizer<F> for Sgd<F> {
    fn step(&mut self, params: &mut [F], grads: &[F]) -> Result<(), Error> {
        self.step_checked(params, grads.into())
    }

    fn step_checked(&mut self, params: &mut [F], grads: Grads<F>) -> Result<(), Error> {
        let learning_rate = self.learning_rate;
        self.weight_decay.elementwise(learning_rate, params, [], grads, move |p, [], g| (p - learning_rate * g, []))?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    learning_rate_and_steps!();

    fn reset(&mut self) {
        self.steps = 0;
    }
}
