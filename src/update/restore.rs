use alloc::boxed::Box;

use super::guard::FiniteGuard;
use crate::error::Error;

/// Takes over the state of another optimizer of the same type, such as one that was loaded from a file, and keeps its
/// own settings.
///
/// The state is what the steps have produced, such as the velocity and the count of steps. The settings, such as the
/// learning rate, belong to the program: a run that follows a [`Schedule`](crate::Schedule) sets the learning rate
/// before its next step in any case. To take the saved settings too, assign the loaded optimizer instead of restoring
/// from it.
///
/// [`ParamGroups::restore`](crate::ParamGroups::restore) requires this trait. To save and restore an enum of
/// optimizers, implement it: forward the call if both sides hold the same rule, and return [`Error::Saved`] if they do
/// not.
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
    /// Exchanges the state of the two optimizers; each keeps its settings. (It is an exchange and not a move, so that
    /// [`ParamGroups`](crate::ParamGroups) can undo it if a later tensor is rejected.)
    ///
    /// # Errors
    /// [`Error::Saved`] if the state does not fit, for instance because the lengths or the forms of momentum differ.
    /// Nothing has changed then.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error>;

    /// Takes over the state of `saved`, without copying it.
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
