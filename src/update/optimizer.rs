use alloc::boxed::Box;

use crate::{check, error::Error};

/// An update rule with its learning rate and its state: `step` takes the parameters once against the gradient.
///
/// The parameters and gradients stay the caller's: they are borrowed for one call. `F` is any
/// [`num_traits::Float`] (f32, f64, `half::f16`, `half::bf16`). The trait is `dyn`-compatible, and open: implement it
/// for a rule of your own (with [`elementwise`](crate::elementwise) for the loop).
///
/// # Contract
/// - A call that returns `Err` has changed nothing: not the parameters, not the state.
/// - State is made at construction; `step` does not allocate.
/// - `step` fails exactly where [`check`](Optimizer::check) does; [`ParamGroups`](crate::ParamGroups) is all-or-nothing
///   because of it. The `check` that is given knows only the two lengths: override it if you hold state or refuse
///   anything else.
///
/// # Arithmetic
/// The rules of this crate compute as IEEE 754 says, in `F`, rounded to nearest. Subnormals are kept; what is too large
/// becomes infinite; an infinity or NaN in a parameter or a gradient goes on into the parameter and the state, where a
/// [`Guard`](crate::Guard) does not refuse it; 0 · ∞ is NaN, also where the 0 is a learning rate, momentum or decay.
/// The sign of a zero is the formula's: η = 0 may turn −0 into +0. Empty slices are a step like any other.
///
/// # Example
/// ```
/// use gradstep::{Error, Momentum, Optimizer, Sgd};
///
/// fn minimise(optimizer: &mut dyn Optimizer<f64>) -> Result<f64, Error> {
///     let mut x = [3.0];
///     for _ in 0..200 {
///         let gradient = [x[0] - 1.0]; // of (x - 1)²/2
///         optimizer.step(&mut x, &gradient)?;
///     }
///     Ok(x[0])
/// }
///
/// let mut optimizers: Vec<Box<dyn Optimizer<f64>>> = vec![Box::new(Sgd::new(0.5)?), Box::new(Momentum::new(0.1, 0.5, 1)?)];
/// for optimizer in &mut optimizers {
///     assert!((minimise(optimizer.as_mut())? - 1.0).abs() < 1e-9);
/// }
/// # Ok::<(), Error>(())
/// ```
pub trait Optimizer<F> {
    /// Updates `params` by one step against `grads`, which is the gradient at `params`, of the same length.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ from one another or from the state's, and whatever else the rule refuses
    /// (a [`Guard`](crate::Guard), for one, [`Error::NonFinite`]). Nothing has changed then.
    fn step(&mut self, params: &mut [F], grads: &[F]) -> Result<(), Error>;

    /// The learning rate η that the next step will use.
    fn learning_rate(&self) -> F;

    /// Sets the learning rate η for the steps to come.
    ///
    /// # Errors
    /// [`Error::Number`] if it is NaN, infinite or negative. The old one stays then.
    fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error>;

    /// Forgets the past: state and step count are as after construction. The settings stay.
    fn reset(&mut self);

    /// The error with which [`step`](Optimizer::step) would refuse these slices, without stepping.
    ///
    /// As given here it compares the two lengths. A rule that can refuse more must say so here too.
    ///
    /// # Errors
    /// Those of `step`.
    fn check(&self, params: &[F], grads: &[F]) -> Result<(), Error> {
        check::length("grads", grads.len(), "params", params.len())
    }

    /// How many parameters the state is for; `None`, as given here, if for any number.
    fn state_len(&self) -> Option<usize> {
        None
    }
}

impl<F, O: Optimizer<F> + ?Sized> Optimizer<F> for Box<O> {
    fn step(&mut self, params: &mut [F], grads: &[F]) -> Result<(), Error> {
        (**self).step(params, grads)
    }

    fn learning_rate(&self) -> F {
        (**self).learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error> {
        (**self).set_learning_rate(learning_rate)
    }

    fn reset(&mut self) {
        (**self).reset();
    }

    fn check(&self, params: &[F], grads: &[F]) -> Result<(), Error> {
        (**self).check(params, grads)
    }

    fn state_len(&self) -> Option<usize> {
        (**self).state_len()
    }
}
