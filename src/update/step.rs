use num_traits::Float;

use super::elementwise::run;
#[cfg(feature = "half")]
use super::halves::{Converted, Halves};
#[cfg(feature = "half")]
use crate::{check, float::half::Half, gradient::grads::Source};
use crate::{error::Error, gradient::grads::Grads};

/// One step of one tensor, as an update rule gets it: the parameters, and as many [`Grads`].
///
/// A rule runs its formula over it by [`apply`](Step::apply). Scaling, widening, rounding to half precision, vectors and
/// threads are done on the way, and the rule does not know of them.
#[derive(Debug)]
pub struct Step<'a, P> {
    params: &'a mut [P],
    grads: Grads<'a, P>,
    /// Parameters of half precision that become what `params` become, rounded.
    #[cfg(feature = "half")]
    halves: Option<Halves<'a>>,
}

impl<'a, P> Step<'a, P> {
    /// A step of `params` against `grads`.
    ///
    /// # Errors
    /// [`Error::Length`] if the lengths differ.
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

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.params.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The gradients.
    pub fn grads(&self) -> Grads<'a, P> {
        self.grads
    }

    /// The parameters and the gradients, for a rule that owns its loop.
    ///
    /// # Errors
    /// Those of [`Grads::as_slice`].
    pub fn into_slices(self) -> Result<(&'a mut [P], &'a [P]), Error> {
        Ok((self.params, self.grads.as_slice()?))
    }

    #[cfg(feature = "half")]
    pub(crate) fn into_parts(self) -> (&'a mut [P], Grads<'a, P>) {
        (self.params, self.grads)
    }
}

impl<P: Float + Send + Sync + 'static> Step<'_, P> {
    /// Applies `rule` to each parameter, its `N` values of state and its gradient, as [`elementwise`](crate::elementwise)
    /// does.
    ///
    /// # Errors
    /// [`Error::Length`] if a slice of state has another length than the parameters; nothing has changed then.
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
    // Inlined: each call copies the slices' pointers, which a step of 64 parameters would feel.
    #[inline(always)]
    pub fn apply<const N: usize>(
        self,
        state: [&mut [P]; N],
        rule: impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
    ) -> Result<(), Error> {
        #[cfg(feature = "half")]
        if !matches!((self.grads.source(), &self.halves), (Source::Slice(_), None)) {
            return run(self.params, state, Converted { grads: self.grads, halves: self.halves }, rule);
        }
        let Step { params, grads, .. } = self;
        match (grads.slice(), grads.factor()) {
            (slice, None) => run(params, state, slice, rule),
            (slice, Some(scale)) => run(params, state, slice, move |p, s, g| rule(p, s, Grads::rounded(scale, g))),
        }
    }
}

#[cfg(feature = "half")]
impl<'a> Step<'a, f32> {
    /// A step of `master`, the f32 copy of `params`, which become what `master` becomes.
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
