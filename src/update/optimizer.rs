use alloc::boxed::Box;

use num_traits::Float;

use super::step::Step;
use crate::{
    error::Error,
    gradient::{clip::clip_scale, grads::Grads, norm::norm},
};

/// An update rule with its learning rate and its state. Each [`step`](Optimizer::step) moves the parameters once,
/// against the gradient.
///
/// The parameters and gradients stay yours: a call only borrows them. `P` is their type, any [`num_traits::Float`]
/// (f32, f64, `half::f16`, `half::bf16`). Settings, such as the learning rate, are f64 whatever `P` is; a rule rounds
/// them to `P` once per step.
///
/// # A rule or a wrapper of your own
/// Implement the seven required methods; a wrapper forwards all of them. The trait requires one thing that the compiler
/// cannot check: **[`check`](Optimizer::check) returns an error for everything that [`update`](Optimizer::update) would
/// reject.** Then each of its steps is all or nothing, also with scaled or clipped gradients and inside
/// [`FiniteGuard`](crate::FiniteGuard), `MasterCopy` and [`ParamGroups`](crate::ParamGroups), since all of these call
/// `check` before the first parameter changes. `update` passes its formula to [`Step::apply`] and should not allocate.
/// `examples/custom_optimizer.rs` implements Lion, `examples/from_config.rs` an enum of rules. Do not override the
/// provided methods.
///
/// If `P` is a type of your own, its [`ToPrimitive`](num_traits::ToPrimitive) must convert to f64 exactly, and its
/// [`NumCast`](num_traits::NumCast) from f64 by rounding to nearest.
///
/// The trait is `dyn`-compatible. It requires `Send`, so that [`ParamGroups`](crate::ParamGroups) can step boxed
/// optimizers on several threads.
///
/// # Arithmetic
/// The rules of this crate compute in `P` as IEEE 754 specifies, rounded to nearest. A result that is too large becomes
/// infinite. A NaN or an infinity in a parameter or its gradient spreads to the parameter and its state; a
/// [`FiniteGuard`](crate::FiniteGuard) rejects such gradients. 0 · ∞ is NaN, also if the 0 is a learning rate, a
/// momentum or a decay. The sign of a zero is what the formula gives: a step with η = 0 may turn −0 into +0. Empty
/// slices are valid.
///
/// Subnormal parameters and gradients are kept, although CPUs take up to a hundred times as long with them. So
/// gradients of that size make a step slow, and so do parameters that weight decay alone has made that small. State
/// that shrinks while the gradients are 0 (the velocity of [`Momentum`](crate::Momentum), the moments of
/// [`Adam`](crate::Adam)) is set to 0 instead of becoming subnormal. Do the same in a rule of your own, by
/// `if m.abs() < P::min_positive_value() { P::zero() } else { m }`.
///
/// # Half precision
/// A rule over bf16 or f16 rounds the new parameter to that type. An update below 1/512 of its parameter in bf16, or
/// below 1/4,096 in f16, is then lost without an error, and training makes no progress. `MasterCopy` (feature `half`)
/// steps an f32 copy instead.
/// ```
/// use gradstep::{Optimizer, Sgd};
/// use half::bf16;
/// let (mut sgd, mut params) = (Sgd::new(0.001)?, [bf16::ONE]);
/// for _ in 0..1_000 {
///     sgd.step(&mut params, &[bf16::ONE])?; // 1 - 0.001 rounds to 1
/// }
/// assert_eq!(params, [bf16::ONE]); // in f32 it is nearly 0 now
/// # Ok::<(), gradstep::Error>(())
/// ```
///
/// # Example
/// ```
/// use gradstep::{Error, Momentum, Optimizer, Schedule, Sgd};
///
/// fn minimise(optimizer: &mut dyn Optimizer<f64>) -> Result<f64, Error> {
///     let schedule = Schedule::linear(0.5, 0.0, 200)?;
///     let mut x = [3.0];
///     for _ in 0..200 {
///         let gradient = [x[0] - 1.0]; // of (x - 1)²/2
///         optimizer.set_learning_rate(schedule.at(optimizer.steps()))?;
///         optimizer.step(&mut x, &gradient)?;
///     }
///     Ok(x[0])
/// }
///
/// let mut optimizers: Vec<Box<dyn Optimizer<f64>>> =
///     vec![Box::new(Sgd::new(0.5)?), Box::new(Momentum::new(0.5, 0.5, 1)?)];
/// for optimizer in &mut optimizers {
///     assert!((minimise(optimizer.as_mut())? - 1.0).abs() < 1e-9);
/// }
/// # Ok::<(), Error>(())
/// ```
pub trait Optimizer<P>: Send {
    /// Returns the error that a step with these gradients would return, and changes nothing. It must find everything
    /// that [`update`](Optimizer::update) would reject.
    ///
    /// # Errors
    /// [`Error::Length`] if the state is for another number of parameters, and whatever else the rule rejects.
    fn check(&self, grads: Grads<P>) -> Result<(), Error>;

    /// Moves the parameters and the state by one step, and adds 1 to the count of steps. The caller has called
    /// [`check`](Optimizer::check) with the same gradients before.
    ///
    /// # Errors
    /// Those of `check`. Nothing has changed then.
    fn update(&mut self, step: Step<P>) -> Result<(), Error>;

    /// Returns the learning rate η that the next step will use.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate η for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if it is NaN, infinite or negative; [`Error::Rounded`] if `P` rounds it to infinity, or to 0
    /// although it is above 0. The old learning rate stays then.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error>;

    /// Returns the number of steps applied since construction or [`reset`](Optimizer::reset), which is what a
    /// [`Schedule`](crate::Schedule) takes. A step that returned `Err` does not count. In this crate the count stops at
    /// `u64::MAX`.
    fn steps(&self) -> u64;

    /// Resets the state and the count of steps to what they were after construction. The settings stay.
    fn reset(&mut self);

    /// Returns the number of parameters that the state is for, or `None` if the optimizer steps any number.
    fn state_len(&self) -> Option<usize>;

    /// Moves `params` by one step against `grads`, the gradient of the loss at `params`. Both have the same length.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ from one another or from the state's, and whatever else the rule rejects
    /// ([`FiniteGuard`](crate::FiniteGuard) returns [`Error::NonFinite`]). Nothing has changed then.
    #[inline]
    fn step(&mut self, params: &mut [P], grads: &[P]) -> Result<(), Error> {
        self.step_with(params, Grads::new(grads))
    }

    /// Moves `params` as [`step`](Optimizer::step) does, with gradients that are scaled or widened as they are read
    /// ([`Grads`]).
    ///
    /// # Errors
    /// Those of `step`; [`Error::NotASlice`] if the rule needs its gradients as one slice, and these are scaled or
    /// widened.
    #[inline]
    fn step_with(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error> {
        // Compares the lengths of the two slices, which `check` does not see together.
        let step = Step::new(params, grads)?;
        self.check(grads)?;
        self.update(step)
    }

    /// Steps with the gradients of one tensor clipped to a norm of at most `max_norm`. Returns the norm before
    /// clipping. `grads` itself does not change. For several tensors use
    /// [`ParamGroups::step_clipped`](crate::ParamGroups::step_clipped).
    ///
    /// With plain gradients the result is, to the bit, that of [`clip_global_norm`](crate::clip_global_norm) followed
    /// by `step`. With scaled gradients the norm after scaling is clipped, and each gradient is multiplied once, by the
    /// product of both factors. So `Grads::new(&grads).scaled(1.0 / loss_scale)` removes a loss scale without a further
    /// pass.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if a gradient is NaN or infinite; those of [`clip_scale`](crate::clip_scale) and of
    /// `step_with`. Nothing has changed then.
    ///
    /// # Cost
    /// The norm, nearly always one pass over the gradients ([`global_norm`](crate::global_norm)), and the step. No
    /// allocation. A [`FiniteGuard`](crate::FiniteGuard) is not needed, and would cost a further pass.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Grads, Optimizer, Sgd};
    /// let (mut params, grads) = ([1.0_f32, 1.0], [3.0, 4.0]);
    /// // Moves by η times half of the gradients.
    /// let norm = Sgd::new(0.5)?.step_clipped(&mut params, Grads::new(&grads), 2.5)?;
    /// assert_eq!((norm, params), (5.0, [0.25, 0.0]));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    fn step_clipped(&mut self, params: &mut [P], grads: Grads<P>, max_norm: f64) -> Result<f64, Error>
    where
        P: Float + Send + Sync + 'static,
    {
        let norm = norm(|| [grads].into_iter(), || grads.check_finite())?;
        // The step applies the factor as it reads the gradients, so that they need not be written.
        self.step_with(params, grads.scaled(clip_scale(norm, max_norm)?))?;
        Ok(norm)
    }
}

/// The methods of [`Optimizer`] for the learning rate and the count of steps. They are the same in every rule, except
/// for the name of the field that holds the learning rate.
macro_rules! learning_rate_and_steps {
    ($($learning_rate:ident).+) => {
        fn learning_rate(&self) -> f64 {
            self.$($learning_rate).+
        }

        fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), $crate::error::Error> {
            self.$($learning_rate).+ = $crate::check::learning_rate::<P>(learning_rate)?;
            Ok(())
        }

        fn steps(&self) -> u64 {
            self.steps
        }
    };
}
pub(crate) use learning_rate_and_steps;

/// Implements [`Optimizer`] for a pointer to an optimizer, as std does with its own traits.
macro_rules! pointer {
    ($pointer:ty) => {
        impl<P, O: Optimizer<P> + ?Sized> Optimizer<P> for $pointer {
            fn check(&self, grads: Grads<P>) -> Result<(), Error> {
                (**self).check(grads)
            }

            fn update(&mut self, step: Step<P>) -> Result<(), Error> {
                (**self).update(step)
            }

            fn learning_rate(&self) -> f64 {
                (**self).learning_rate()
            }

            fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
                (**self).set_learning_rate(learning_rate)
            }

            fn steps(&self) -> u64 {
                (**self).steps()
            }

            fn reset(&mut self) {
                (**self).reset();
            }

            fn state_len(&self) -> Option<usize> {
                (**self).state_len()
            }

            // The provided method would make two calls through a `dyn Optimizer`, `check` and `update`; this makes one.
            fn step_with(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error> {
                (**self).step_with(params, grads)
            }
        }
    };
}

pointer!(Box<O>);
pointer!(&mut O);
