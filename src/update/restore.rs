use alloc::boxed::Box;

use super::guard::FiniteGuard;
use crate::error::Error;

/// An optimizer that takes over the state of another one of its kind, such as one that was loaded from a file.
///
/// The state is what the steps have made: the velocity and the count of steps. The settings, such as the learning rate, are
/// the program's, and stay as they are: a run that follows a [`Schedule`](crate::Schedule) sets the rate of its next step
/// again. To take the saved settings too, assign what was loaded instead.
///
/// [`ParamGroups::restore`](crate::ParamGroups::restore) asks for it, so an enum of optimizers that is saved implements it:
/// it passes on the call to what both sides hold, and returns [`Error::Saved`] where they hold different rules.
///
/// # Example
/// ```
/// use gradstep::{Momentum, Optimizer, Restore};
/// let saved = Momentum::new(0.5, 0.5, 2)?.with_velocity(&[1.0_f32, 2.0], 7)?; // or loaded, with feature `serde`
/// let mut momentum = Momentum::new(0.1, 0.9, 2)?;
/// momentum.restore(saved)?;
/// assert_eq!((momentum.velocity(), momentum.steps()), (&[1.0, 2.0][..], 7));
/// assert_eq!(momentum.learning_rate(), 0.1);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub trait Restore {
    /// Exchanges the state of the two, and leaves the settings of both. (An exchange, so that
    /// [`ParamGroups`](crate::ParamGroups) can take it back where a later tensor is rejected.)
    ///
    /// # Errors
    /// [`Error::Saved`] if the state does not fit: another length, or another form of momentum. Nothing has changed then.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error>;

    /// Takes over the state of `saved`. Copies nothing.
    ///
    /// # Errors
    /// Those of [`swap_state`](Restore::swap_state).
    fn restore(&mut self, mut saved: Self) -> Result<(), Error>
    where
        Self: Sized,
    {
        self.swap_state(&mut saved)
    }
}

impl<O: Restore> Restore for Box<O> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        (**self).swap_state(other)
    }
}

impl<O: Restore> Restore for FiniteGuard<O> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        self.0.swap_state(&mut other.0)
    }
}
