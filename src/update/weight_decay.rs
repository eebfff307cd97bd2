use num_traits::Float;

use super::elementwise::elementwise;
use crate::{check, error::Error};

/// Pulling the parameters towards zero at each step, in one of its two forms. `w` is the decay's strength.
///
/// Under plain SGD the two are the same in exact arithmetic; with momentum they are not: the coupled decay is gathered
/// into the velocity, the decoupled one is not. Porting: `torch.optim.SGD(weight_decay=w)` and optax's
/// `add_decayed_weights` before the rule are [`Coupled`](WeightDecay::Coupled); Keras' `SGD(weight_decay=w)` is
/// [`Decoupled`](WeightDecay::Decoupled). (As of torch 2.11, optax 0.2 and Keras 3.)
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
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(
        try_from = "crate::saved::WeightDecay<F>",
        into = "crate::saved::WeightDecay<F>",
        bound = "F: crate::saved::Scalar"
    )
)]
pub enum WeightDecay<F> {
    /// No decay: the default.
    #[default]
    None,
    /// L2: `g <- g + w θ`, before the rule. The gradient of `w/2 |θ|²` added to the loss.
    Coupled(F),
    /// `θ <- θ - (η w) θ`, before the rule, which is given the gradient as it was (Loshchilov and Hutter 2019). The product
    /// η w is made once a step; it should be well below 1, where it would take θ to 0 at once.
    Decoupled(F),
}

impl<F: Float + Send + Sync> WeightDecay<F> {
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if let WeightDecay::Coupled(strength) | WeightDecay::Decoupled(strength) = self {
            check::at_least_zero("weight_decay", strength)?;
        }
        Ok(self)
    }

    /// [`elementwise`] with the decay before `rule`, in the same pass.
    pub(crate) fn elementwise<const N: usize>(
        self,
        learning_rate: F,
        params: &mut [F],
        state: [&mut [F]; N],
        grads: &[F],
        rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
    ) -> Result<(), Error> {
        match self {
            WeightDecay::None => elementwise(params, state, grads, rule),
            WeightDecay::Coupled(w) => elementwise(params, state, grads, move |p, s, g| rule(p, s, g + w * p)),
            WeightDecay::Decoupled(w) => {
                let decay = learning_rate * w;
                elementwise(params, state, grads, move |p, s, g| rule(p - decay * p, s, g))
            }
        }
    }
}
