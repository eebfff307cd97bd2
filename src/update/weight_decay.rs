use num_traits::Float;

use super::{elementwise::elementwise_scaled, grads::Grads};
use crate::{check, error::Error};

/// Pulls the parameters towards zero at each step, in one of two forms. `w` is the strength of the decay.
///
/// Under plain SGD the two are the same in exact arithmetic. With momentum they are not: the coupled decay enters the
/// velocity, the decoupled one does not. `torch.optim.SGD(weight_decay=w)`, and optax's `add_decayed_weights` before the
/// rule, are [`Coupled`](WeightDecay::Coupled); Keras' `SGD(weight_decay=w)` is [`Decoupled`](WeightDecay::Decoupled).
/// (As of torch 2.11, optax 0.2 and Keras 3.)
///
/// # Example
/// ```
/// use gradstep::{Optimizer, Sgd, WeightDecay};
/// let mut sgd = Sgd::new(0.25)?.with_weight_decay(WeightDecay::Coupled(0.25))?;
/// let mut params = [16.0_f64];
/// sgd.step(&mut params, &[16.0])?; // 16 - 1/4 (16 + 1/4 · 16)
/// assert_eq!(params, [11.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum WeightDecay<F> {
    /// No decay: the default.
    #[default]
    None,
    /// L2: `g <- g + w θ`, before the rule. The gradient of `w/2 |θ|²` added to the loss.
    Coupled(F),
    /// `θ <- θ - (η w) θ`, before the rule, which gets the gradient unchanged (Loshchilov and Hutter 2019). The product
    /// η w is computed once a step. It should be well below 1: at 1 a single step sets θ to 0.
    Decoupled(F),
}

impl<F: Float + Send + Sync> WeightDecay<F> {
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if let WeightDecay::Coupled(strength) | WeightDecay::Decoupled(strength) = self {
            check::at_least_zero("weight_decay", strength)?;
        }
        Ok(self)
    }

    /// [`elementwise_scaled`] with the decay before `rule`, in the same pass.
    // Inlined, as what it calls: each call copies the slices' pointers, which a step of 64 would feel.
    #[inline(always)]
    pub(crate) fn elementwise<const N: usize>(
        self,
        learning_rate: F,
        params: &mut [F],
        state: [&mut [F]; N],
        grads: Grads<F>,
        rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
    ) -> Result<(), Error> {
        match self {
            WeightDecay::None => elementwise_scaled(params, state, grads, rule),
            WeightDecay::Coupled(w) => elementwise_scaled(params, state, grads, move |p, s, g| rule(p, s, g + w * p)),
            WeightDecay::Decoupled(w) => {
                let decay = learning_rate * w;
                elementwise_scaled(params, state, grads, move |p, s, g| rule(p - decay * p, s, g))
            }
        }
    }
}
