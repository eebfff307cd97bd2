use alloc::boxed::Box;

use num_traits::Float;

use super::step::Step;
use crate::{
    error::Error,
    gradient::{clip::clip_scale, grads::Grads, norm::norm},
};

/// An update rule with its learning rate and its state. [`step`](Optimizer::step) moves the parameters once, against the
/// gradient.
///
/// The parameters and gradients stay yours: a call borrows them. `P` is their type, any [`num_traits::Float`] (f32, f64,
/// `half::f16`, `half::bf16`). Settings, such as the learning rate, are f64 whatever `P` is; a rule rounds them to `P` once
/// a step.
///
/// # A rule or a wrapper of your own
/// Implement the seven required methods; the compiler asks for all that a wrapper has to forward. The trait asks one thing
/// of you: **[`check`](Optimizer::check) returns an error for everything that [`update`](Optimizer::update) would reject.**
/// Then every step of it is all or nothing, scaled, clipped, under [`FiniteGuard`](crate::FiniteGuard), `MasterCopy` and
/// [`ParamGroups`](crate::ParamGroups), since these ask `check` before the first parameter moves. `update` runs its formula
/// by [`Step::apply`], and allocates nothing. `examples/custom_optimizer.rs` is Lion, `examples/from_config.rs` an enum of
/// rules. Do not override the provided methods.
///
/// A `P` of your own has to convert exactly to f64, and from f64 by rounding to nearest, in its
/// [`ToPrimitive`](num_traits::ToPrimitive) and [`NumCast`](num_traits::NumCast).
///
/// The trait is `dyn`-compatible, and `Send`, so that [`ParamGroups`](crate::ParamGroups) can step boxed optimizers on
/// threads.
///
/// # Arithmetic
/// The rules of this crate compute as IEEE 754 says, in `P`, rounded to nearest. What is too large becomes infinite; an
/// infinity or NaN in a parameter or a gradient spreads to the parameter and the state, unless a
/// [`FiniteGuard`](crate::FiniteGuard) rejects it; 0 · ∞ is NaN, also where the 0 is a learning rate, momentum or decay.
/// The sign of a zero is the formula's: η = 0 may turn −0 into +0. Empty slices are valid.
///
/// Subnormal parameters and gradients are kept. CPUs take up to a hundred times as long with them: gradients that
/// small, and parameters that a decay alone moves until they are that small, slow a step down. State that shrinks when
/// no gradient comes (the velocity of [`Momentum`](crate::Momentum), the moments of [`Adam`](crate::Adam)) is set to 0
/// there; do so in a rule of your own, by `if m.abs() < P::min_positive_value() { P::zero() } else { m }`.
///
/// # Half precision
/// A rule over bf16 or f16 rounds the new parameter to it. An update below 1/512 of its parameter (bf16) or 1/4,096
/// (f16) is then lost, without an error, and training stands still. `MasterCopy` (feature `half`) steps an f32 copy
/// instead.
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
/// let mut optimizers: Vec<Box<dyn Optimizer<f64>>> = vec![Box::new(Sgd::new(0.5)?), Box::new(Momentum::new(0.5, 0.5, 1)?)];
/// for optimizer in &mut optimizers {
///     assert!((minimise(optimizer.as_mut())? - 1.0).abs() < 1e-9);
/// }
/// # Ok::<(), Error>(())
/// ```
pub trait Optimizer<P>: Send {
    /// Returns the error that a step with these gradients would return, without a step: all that
    /// [`update`](Optimizer::update) would reject.
    ///
    /// # Errors
    /// [`Error::Length`] if the state is for another number of parameters, and whatever else the rule rejects.
    fn check(&self, grads: Grads<P>) -> Result<(), Error>;

    /// Moves the parameters and the state by one step, and counts it. The caller has asked [`check`](Optimizer::check)
    /// about these gradients.
    ///
    /// # Errors
    /// Those of `check`. Nothing has changed then.
    fn update(&mut self, step: Step<P>) -> Result<(), Error>;

    /// The learning rate η that the next step will use.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate η for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if it is NaN, infinite or negative; [`Error::Rounded`] if it is above 0 and 0 in `P`, or infinite
    /// there. The old one stays then.
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error>;

    /// How many steps were applied since construction or [`reset`](Optimizer::reset): the argument of a
    /// [`Schedule`](crate::Schedule). A step that returned `Err` does not count. In this crate the count stops at
    /// `u64::MAX`.
    fn steps(&self) -> u64;

    /// Resets the state and the count of steps to what they were after construction. The settings stay.
    fn reset(&mut self);

    /// How many parameters the state is for; `None` if any number.
    fn state_len(&self) -> Option<usize>;

    /// Updates `params` by one step against `grads`, the gradient at `params`, of the same length.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ from one another or from the state's, and whatever else the rule rejects
    /// ([`FiniteGuard`](crate::FiniteGuard) returns [`Error::NonFinite`]). Nothing has changed then.
    #[inline]
    fn step(&mut self, params: &mut [P], grads: &[P]) -> Result<(), Error> {
        self.step_with(params, Grads::new(grads))
    }

    /// [`step`](Optimizer::step) with gradients that are scaled or widened on the way ([`Grads`]).
    ///
    /// # Errors
    /// Those of `step`; [`Error::NotASlice`] if the rule needs its gradients as one slice.
    #[inline]
    fn step_with(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error> {
        let step = Step::new(params, grads)?;
        self.check(grads)?;
        self.update(step)
    }

    /// Clips the gradients of one tensor by their norm and steps, without changing the gradients. Returns the norm before.
    /// [`ParamGroups::step_clipped`](crate::ParamGroups::step_clipped) does so for several tensors.
    ///
    /// For plain gradients it is to the bit [`clip_global_norm`](crate::clip_global_norm) and then `step`. Scaled ones are
    /// clipped by their scaled norm, and both factors are applied at once: `Grads::new(&grads).scaled(1.0 / loss_scale)` is
    /// the usual recipe of mixed precision in one pass.
    ///
    /// # Errors
    /// [`Error::NonFinite`] if a gradient is NaN or infinite; those of [`clip_scale`](crate::clip_scale) and of
    /// `step_with`. Nothing has changed then.
    ///
    /// # Cost
    /// [`global_norm`](crate::global_norm), nearly always one pass over the gradients, and the step. No allocation. A
    /// [`FiniteGuard`](crate::FiniteGuard) is not needed, and costs a pass of its own.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Grads, Optimizer, Sgd};
    /// let (mut params, grads) = ([1.0_f32, 1.0], [3.0, 4.0]);
    /// let norm = Sgd::new(0.5)?.step_clipped(&mut params, Grads::new(&grads), 2.5)?; // by half of the gradients
    /// assert_eq!((norm, params), (5.0, [0.25, 0.0]));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    fn step_clipped(&mut self, params: &mut [P], grads: Grads<P>, max_norm: f64) -> Result<f64, Error>
    where
        P: Float + Send + Sync + 'static,
    {
        let norm = norm(|| [grads].into_iter(), || grads.check_finite())?;
        self.step_with(params, grads.scaled(clip_scale(norm, max_norm)?))?;
        Ok(norm)
    }
}

/// As std does for its traits.
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

            // One call through a `dyn Optimizer`, and not two.
            fn step_with(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error> {
                (**self).step_with(params, grads)
            }
        }
    };
}

pointer!(Box<O>);
pointer!(&mut O);
