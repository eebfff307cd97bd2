use num_traits::Float;

use super::elementwise::run;
#[cfg(feature = "half")]
use super::halves::{Halves, run_converted};
#[cfg(feature = "half")]
use crate::{check, float::half::Half};
use crate::{
    error::Error,
    gradient::grads::{Grads, Source},
};

/// What an update rule is given for one step of one tensor: the parameters, and [`Grads`] of the same length.
///
/// A rule passes its formula to [`apply`](Step::apply), which runs it over all parameters. Scaling, widening, rounding
/// to half precision, vectors and threads are part of `apply`, so a rule contains nothing about them.
#[derive(Debug)]
pub struct Step<'a, P> {
    params: &'a mut [P],
    grads: Grads<'a, P>,
    /// The half-precision parameters of which `params` is the f32 copy. [`apply`](Step::apply) writes the new `params`
    /// to them, rounded.
    #[cfg(feature = "half")]
    halves: Option<Halves<'a>>,
}

impl<'a, P> Step<'a, P> {
    /// Creates a step that moves `params` against `grads`.
    ///
    /// # Errors
    /// [`Error::Length`] if their lengths differ.
    #[inline]
    pub fn new(params: &'a mut [P], grads: Grads<'a, P>) -> Result<Self, Error> {
        grads.check_len("params", params.len())?;
        Ok(Step {
            params,
            grads,
            #[cfg(feature = "half")]
            halves: None,
        })
    }

    /// Returns the number of parameters.
    pub fn len(&self) -> usize {
        self.params.len()
    }

    /// Returns whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the gradients, with their scale.
    pub fn grads(&self) -> Grads<'a, P> {
        self.grads
    }

    /// Returns the parameters and the gradients as slices, for a rule that runs its own loop instead of
    /// [`apply`](Step::apply).
    ///
    /// # Errors
    /// [`Error::NotASlice`] if the gradients are scaled or of another type in memory ([`Grads::as_slice`]), as they
    /// always are under `MasterCopy`.
    pub fn into_slices(self) -> Result<(&'a mut [P], &'a [P]), Error> {
        Ok((self.params, self.grads.as_slice()?))
    }

    /// For `MasterCopy`, which creates the step of its f32 copy from them.
    #[cfg(feature = "half")]
    pub(crate) fn into_parts(self) -> (&'a mut [P], Grads<'a, P>) {
        (self.params, self.grads)
    }
}

impl<P: Float + Send + Sync + 'static> Step<'_, P> {
    /// Replaces each parameter and its `N` values of state by what `rule` returns for them and the gradient, as
    /// [`elementwise`](crate::elementwise) does. Each of the `N` slices of state is as long as the parameters.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice of state has another length than the parameters. Nothing has changed then.
    ///
    /// # Cost
    /// One pass over memory: each slice is read once, the parameters and the state are written once. No allocation.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Grads, Step};
    /// let (mut params, mut velocity, grads) = ([1.0_f32, 2.0], [0.0, 1.0], [4.0, -8.0]);
    /// let step = Step::new(&mut params, Grads::new(&grads).scaled(0.25))?;
    /// step.apply([&mut velocity], |p, [v], g| (p - 0.5 * (v + g), [v + g]))?;
    /// assert_eq!((params, velocity), ([0.5, 2.5], [1.0, -1.0]));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    // This function must be inlined: a call would copy the pointers of all slices, and make a step of 64 parameters
    // measurably slower.
    #[inline(always)]
    pub fn apply<const N: usize>(
        self,
        state: [&mut [P]; N],
        rule: impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
    ) -> Result<(), Error> {
        #[cfg(feature = "half")]
        let Step { params, grads, halves: None } = self else {
            return run_converted(self.params, state, self.grads, self.halves, rule);
        };
        #[cfg(not(feature = "half"))]
        let Step { params, grads } = self;
        // Two loops, so that unscaled gradients are not multiplied.
        match (grads.source(), grads.factor()) {
            (Source::Slice(slice), None) => run(params, state, slice, rule),
            (Source::Slice(slice), Some(scale)) => {
                run(params, state, slice, move |p, s, g| rule(p, s, Grads::rounded(scale, g)))
            }
            #[cfg(feature = "half")]
            _ => run_converted(params, state, grads, None, rule),
        }
    }
}

#[cfg(feature = "half")]
impl<'a> Step<'a, f32> {
    /// Creates a step that moves `master`, the f32 copy of `params`, and writes the result to `params` too, rounded.
    pub(crate) fn of_copy<H: Half>(
        master: &'a mut [f32],
        params: &'a mut [H],
        grads: Grads<'a, H>,
    ) -> Result<Self, Error> {
        check::length("params", params.len(), "master copy", master.len())?;
        let step = Step::new(master, grads.widened())?;
        Ok(Step { halves: Some(H::slice_mut(params)), ..step })
    }
}
