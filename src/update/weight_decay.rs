use num_traits::Float;

use super::step::Step;
use crate::{check, error::Error, float::from_f64};

/// Pulls the parameters towards zero at each step, in one of two forms. `w` is the strength of the decay, a finite
/// number of at least 0.
///
/// With plain [`Sgd`](crate::Sgd) both forms are the same in exact arithmetic. With momentum they differ: the coupled
/// decay enters the velocity, the decoupled one does not.
///
/// `torch.optim.SGD(weight_decay=w)` and optax's `add_decayed_weights` before the rule are
/// [`Coupled`](WeightDecay::Coupled); Keras' `SGD(weight_decay=w)` is [`Decoupled`](WeightDecay::Decoupled). (As of
/// torch 2.11, optax 0.2 and Keras 3.)
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
#[doc(alias = "l2")]
#[doc(alias = "regularization")]
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum WeightDecay {
    /// No decay: the default.
    #[default]
    None,
    /// `g <- g + w θ`, before the rule. This is L2 regularisation: the loss with `w/2 |θ|²` added to it has this
    /// gradient.
    Coupled(f64),
    /// `θ <- θ - (η w) θ`, before the rule, which gets the gradient unchanged (Loshchilov and Hutter 2019). The product
    /// η w is computed in f64, once per step. It should be well below 1: at 1 the decay sets θ to 0 in a single step.
    Decoupled(f64),
}

impl WeightDecay {
    pub(crate) fn check<P: Float + 'static>(self) -> Result<Self, Error> {
        if let WeightDecay::Coupled(strength) | WeightDecay::Decoupled(strength) = self {
            check::weight_decay::<P>(strength)?;
        }
        Ok(self)
    }

    /// Runs [`Step::apply`] with the decay before `rule`, in the same pass.
    // This function must be inlined, for the reason that `Step::apply` gives.
    #[inline(always)]
    pub(crate) fn apply<P: Float + Send + Sync + 'static, const N: usize>(
        self,
        learning_rate: f64,
        step: Step<P>,
        state: [&mut [P]; N],
        rule: impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
    ) -> Result<(), Error> {
        // Each form has a loop of its own: one loop for all would multiply by 0 where there is no decay.
        match self {
            WeightDecay::None => step.apply(state, rule),
            WeightDecay::Coupled(w) => {
                let w = from_f64::<P>(w);
                step.apply(state, move |p, s, g| rule(p, s, g + w * p))
            }
            WeightDecay::Decoupled(w) => {
                let decay = from_f64::<P>(learning_rate * w);
                step.apply(state, move |p, s, g| rule(p - decay * p, s, g))
            }
        }
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] WeightDecay = "WeightDecay v1";
    form: Plain<String> = form,
    strength: Exact<f64> = strength,
    // This checks as f64, since the type of the parameters is not known here. The optimizer checks again in its own
    // type.
    => match &*form {
        "Coupled" => WeightDecay::Coupled(strength).check::<f64>(),
        "Decoupled" => WeightDecay::Decoupled(strength).check::<f64>(),
        "None" => {
            check::same("strength", strength.spell(), 0.0.spell())?;
            Ok(WeightDecay::None)
        }
        _ => Err(Error::Saved { name: "form", saved: form, expected: "None, Coupled or Decoupled".into() }),
    }
}

#[cfg(feature = "serde")]
fn form(decay: &WeightDecay) -> &'static str {
    match decay {
        WeightDecay::None => "None",
        WeightDecay::Coupled(_) => "Coupled",
        WeightDecay::Decoupled(_) => "Decoupled",
    }
}

/// Returns the strength that is saved, 0 if there is no decay.
#[cfg(feature = "serde")]
fn strength(decay: &WeightDecay) -> f64 {
    match *decay {
        WeightDecay::None => 0.0,
        WeightDecay::Coupled(strength) | WeightDecay::Decoupled(strength) => strength,
    }
}
