use alloc::{boxed::Box, string::ToString};

use num_traits::Float;

use super::grads::Grads;
use crate::{
    check,
    error::Error,
    gradient::{clip::clip_scale, finite::finite, norm::norm},
};

/// An update rule with its learning rate and its state. `step` moves the parameters once, against the gradient.
///
/// The parameters and gradients stay yours: a call borrows them. `P` is their type, any [`num_traits::Float`] (f32, f64,
/// `half::f16`, `half::bf16`). `F` is the type of the settings, such as the learning rate. They are the same type,
/// except in `MasterCopy`: half-precision parameters with f32 settings.
///
/// The trait is `dyn`-compatible, and open (`Send`, so that [`ParamGroups`](crate::ParamGroups) can step boxed ones on
/// threads): implement it for a rule of your own, with
/// [`elementwise`](crate::elementwise) for the loop.
///
/// # Contract
/// - A call that returns `Err` has changed nothing: neither the parameters nor the state.
/// - State is made at construction; `step` does not allocate.
/// - `step` returns an error exactly where [`check`](Optimizer::check) does.
///   [`ParamGroups`](crate::ParamGroups) is all-or-nothing because of it. A rule that holds state overrides `check` and
///   [`state_len`](Optimizer::state_len), and a rule that rejects anything else overrides `check`: the provided ones know
///   the two lengths only.
///
/// # Arithmetic
/// The rules of this crate compute as IEEE 754 says, in `P`, rounded to nearest. Subnormals are kept; what is too large
/// becomes infinite; an infinity or NaN in a parameter or a gradient spreads to the parameter and the state, unless a
/// [`Guard`](crate::Guard) rejects it; 0 · ∞ is NaN, also where the 0 is a learning rate, momentum or decay.
/// The sign of a zero is the formula's: η = 0 may turn −0 into +0. Empty slices are valid.
///
/// # Example
/// ```
/// use gradstep::{Error, Momentum, Optimizer, Sgd, schedule};
///
/// fn minimise(optimizer: &mut dyn Optimizer<f64>) -> Result<f64, Error> {
///     let schedule = schedule::linear(0.5, 0.0, 200)?;
///     let mut x = [3.0];
///     for _ in 0..200 {
///         let gradient = [x[0] - 1.0]; // of (x - 1)²/2
///         optimizer.set_learning_rate(schedule(optimizer.steps()))?;
///         optimizer.step(&mut x, &gradient)?;
///     }
///     Ok(x[0])
/// }
///
/// let mut optimizers: Vec<Box<dyn Optimizer<f64>>> = vec![Box::new(Sgd::new(0.5)?), Box::new(Momentum::new(0.5, 0.5, 1)?)];
/// for optimizer in &mut optimizers {
///     assert!((minimise(optimizer.as_mut())? - 1.0).abs() < 1e-9);
/// }
/// # Ok::<(), Error>(())
/// ```
pub trait Optimizer<P, F = P>: Send {
    /// Updates `params` by one step against `grads`, the gradient at `params`, of the same length.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ from one another or from the state's, and whatever else the rule rejects
    /// ([`Guard`](crate::Guard) returns [`Error::NonFinite`]). Nothing has changed then.
    fn step(&mut self, params: &mut [P], grads: &[P]) -> Result<(), Error>;

    /// The learning rate η that the next step will use.
    fn learning_rate(&self) -> F;

    /// Sets the learning rate η for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if it is NaN, infinite or negative. The old one stays then.
    fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error>;

    /// How many steps were applied since construction or [`reset`](Optimizer::reset): the argument of a
    /// [`schedule`](crate::schedule). A step that returned `Err` does not count. In this crate the count stops at
    /// `u64::MAX`.
    fn steps(&self) -> u64;

    /// Resets the state and the count of steps to what they were after construction. The settings stay.
    fn reset(&mut self);

    /// Returns the error that [`step`](Optimizer::step) would return for these slices, without a step.
    ///
    /// The provided method compares the two lengths. A rule that rejects more must override it.
    ///
    /// # Errors
    /// Those of `step`.
    fn check(&self, params: &[P], grads: &[P]) -> Result<(), Error> {
        check::length("grads", grads.len(), "params", params.len())
    }

    /// Steps with gradients that may be scaled or widened on the way ([`Grads`]). The caller has called
    /// [`check`](Optimizer::check) with the same slices (and unscaled gradients), so values need not be checked again;
    /// lengths must be. [`ParamGroups`](crate::ParamGroups), [`step_clipped`](crate::step_clipped) and `MasterCopy` step by it.
    ///
    /// The provided method steps where the gradients are [`unscaled`](Grads::unscaled), and returns an error otherwise. A
    /// rule that overrides it for all gradients, by [`elementwise_scaled`](crate::elementwise_scaled), says so in
    /// [`can_scale`](Optimizer::can_scale).
    ///
    /// # Errors
    /// Those of `step`, and [`Error::CannotScale`].
    fn step_checked(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error> {
        grads.unscaled().map_or(Err(Error::CannotScale), |grads| self.step(params, grads))
    }

    /// Whether [`step_checked`](Optimizer::step_checked) takes all [`Grads`]. `false` in the provided method.
    fn can_scale(&self) -> bool {
        false
    }

    /// Whether `step` rejects gradients that are NaN or infinite. `false` in the provided method.
    ///
    /// [`Guard`](crate::Guard) returns `true`. A wrapper of yours passes on what the inner optimizer returns. `MasterCopy`
    /// relies on it: its `check` has no f32 gradients to pass to the inner optimizer's.
    fn rejects_non_finite(&self) -> bool {
        false
    }

    /// How many parameters the state is for; `None`, as in the provided method, if any number.
    fn state_len(&self) -> Option<usize> {
        None
    }
}

/// Clips the gradients of one tensor by their norm and steps, without changing the gradients: to the bit
/// [`clip_global_norm`](crate::clip_global_norm) and then [`step`](Optimizer::step). Returns the norm before.
/// [`ParamGroups::step_clipped`](crate::ParamGroups::step_clipped) does so for several tensors.
///
/// # Errors
/// Those of [`clip_global_norm`](crate::clip_global_norm) and of `step`; [`Error::CannotScale`] for a rule of your own that
/// does not override [`step_checked`](Optimizer::step_checked). Nothing has changed then.
///
/// # Cost
/// One pass over the gradients for their norm, and the step. No allocation.
///
/// # Example
/// ```
/// use gradstep::{Sgd, step_clipped};
/// let (mut params, grads) = ([1.0_f32, 1.0], [3.0, 4.0]);
/// let norm = step_clipped(&mut Sgd::new(0.5)?, &mut params, &grads, 2.5)?; // by half of the gradients
/// assert_eq!((norm, params), (5.0, [0.25, 0.0]));
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn step_clipped<P: Float + Send + Sync + 'static, F>(
    optimizer: &mut (impl Optimizer<P, F> + ?Sized),
    params: &mut [P],
    grads: &[P],
    max_norm: f64,
) -> Result<f64, Error> {
    check::above_zero("max_norm", max_norm)?;
    let norm = norm(|| [grads].into_iter(), || finite(|| "grads".to_string(), grads))?;
    let scale = clip_scale(norm, max_norm)?;
    if !optimizer.can_scale() {
        return Err(Error::CannotScale);
    }
    optimizer.check(params, grads)?;
    optimizer.step_checked(params, Grads::scaled(grads, scale))?;
    Ok(norm)
}

/// The methods that are the same in each rule of this crate.
macro_rules! learning_rate_and_steps {
    () => {
        fn can_scale(&self) -> bool {
            true
        }

        fn learning_rate(&self) -> F {
            self.learning_rate
        }

        fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error> {
            self.learning_rate = check::learning_rate(learning_rate)?;
            Ok(())
        }

        fn steps(&self) -> u64 {
            self.steps
        }
    };
}
pub(crate) use learning_rate_and_steps;

/// As std does for its traits.
macro_rules! pointer {
    ($pointer:ty) => {
        impl<P, F, O: Optimizer<P, F> + ?Sized> Optimizer<P, F> for $pointer {
            fn step(&mut self, params: &mut [P], grads: &[P]) -> Result<(), Error> {
                (**self).step(params, grads)
            }

            fn learning_rate(&self) -> F {
                (**self).learning_rate()
            }

            fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error> {
                (**self).set_learning_rate(learning_rate)
            }

            fn steps(&self) -> u64 {
                (**self).steps()
            }

            fn reset(&mut self) {
                (**self).reset();
            }

            fn check(&self, params: &[P], grads: &[P]) -> Result<(), Error> {
                (**self).check(params, grads)
            }

            fn step_checked(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error> {
                (**self).step_checked(params, grads)
            }

            fn can_scale(&self) -> bool {
                (**self).can_scale()
            }

            fn rejects_non_finite(&self) -> bool {
                (**self).rejects_non_finite()
            }

            fn state_len(&self) -> Option<usize> {
                (**self).state_len()
            }
        }
    };
}

pointer!(Box<O>);
pointer!(&mut O);
