use core::{marker::PhantomData, mem};

use num_traits::Float;

use super::{optimizer::Optimizer, restore::Restore, step::Step, weight_decay::WeightDecay};
use crate::{check, error::Error, float::from_f64, gradient::grads::Grads};

/// Gradient descent, stochastic or not: `θ <- θ - η g`.
///
/// [`Sgd::new`] is the plain rule; [`with_weight_decay`](Sgd::with_weight_decay) adds a decay. The rule is computed in
/// `P`: η is rounded to `P` once per step, and then each operation is rounded, in the order of the formula.
///
/// In bf16 and f16, small updates are lost to rounding without an error (how small:
/// [`Optimizer`](crate::Optimizer#half-precision)); use a `MasterCopy` there.
///
/// State: a count of steps. Cost of a step: one pass that reads two slices and writes one; no allocation.
///
/// Source: Robbins and Monro 1951, "A stochastic approximation method". The result is that of `p - lr * g` to the bit;
/// `torch.optim.SGD` (2.11) differs by rounding only.
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
pub struct Sgd<P> {
    learning_rate: f64,
    weight_decay: WeightDecay,
    steps: u64,
    // `fn`, since no `P` is stored: `Sgd` is `Send` and `Sync` whatever `P` is.
    params: PhantomData<fn(&mut [P])>,
}

impl<P: Float + Send + Sync + 'static> Sgd<P> {
    /// Creates plain gradient descent with learning rate η.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative; [`Error::Rounded`] if `P` rounds it to
    /// infinity, or to 0 although it is above 0.
    pub fn new(learning_rate: f64) -> Result<Self, Error> {
        let learning_rate = check::learning_rate::<P>(learning_rate)?;
        Ok(Sgd { learning_rate, weight_decay: WeightDecay::None, steps: 0, params: PhantomData })
    }

    /// Returns this optimizer with a weight decay.
    ///
    /// # Errors
    /// Those of [`set_weight_decay`](Sgd::set_weight_decay).
    pub fn with_weight_decay(mut self, weight_decay: WeightDecay) -> Result<Self, Error> {
        self.set_weight_decay(weight_decay)?;
        Ok(self)
    }

    /// Returns this optimizer with a count of `steps` instead of 0, to resume a run that was saved in a format of your
    /// own.
    #[must_use]
    pub fn with_steps(self, steps: u64) -> Self {
        Sgd { steps, ..self }
    }

    /// Returns the weight decay.
    pub fn weight_decay(&self) -> WeightDecay {
        self.weight_decay
    }

    /// Sets the weight decay for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if its strength is NaN, infinite or negative; [`Error::Rounded`] if `P` rounds the strength to
    /// infinity, or to 0 although it is above 0. The old decay stays then.
    pub fn set_weight_decay(&mut self, weight_decay: WeightDecay) -> Result<(), Error> {
        self.weight_decay = weight_decay.check::<P>()?;
        Ok(())
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Sgd<P> {
    // Without state, gradients of every length and value are valid.
    fn check(&self, _: Grads<P>) -> Result<(), Error> {
        Ok(())
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        // Rounded once per step, so that the loop computes in `P` alone.
        let learning_rate = from_f64::<P>(self.learning_rate);
        self.weight_decay.apply(self.learning_rate, step, [], move |p, [], g| (p - learning_rate * g, []))?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    super::optimizer::learning_rate_and_steps!(learning_rate);

    fn reset(&mut self) {
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        None
    }
}

impl<P> Restore for Sgd<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        mem::swap(&mut self.steps, &mut other.steps);
        Ok(())
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [P: SavedFloat] Sgd<P> = "Sgd<{}> v1", P::NAME;
    learning_rate: Exact<f64>,
    steps: Exact<u64>,
    weight_decay: Plain<WeightDecay>,
    => {
        Ok(Sgd::new(learning_rate)?.with_weight_decay(weight_decay)?.with_steps(steps))
    }
}
