use alloc::vec::Vec;
use core::{marker::PhantomData, mem};

use super::{optimizer::Optimizer, restore::Restore, step::Step};
use crate::{
    check::{self, same},
    error::Error,
    float::half::Half,
    gradient::grads::Grads,
    passes::pairs,
};

/// Half-precision parameters that learn: any optimizer over f32, on an f32 copy of bf16 or f16 parameters. Feature `half`.
///
/// bf16 has 8 bits of significand, so an update below 1/512 of its parameter rounds to nothing and training stalls.
/// Here the optimizer steps on an f32 copy of the parameters (its velocity is f32 too), with the gradients widened to f32,
/// and the parameters become that copy, rounded to nearest (Micikevicius et al. 2018, "Mixed precision training").
///
/// `H` is `half::bf16` or `half::f16`. Gradients are `H`, or f32 by `Grads::from_f32` and
/// [`step_with`](Optimizer::step_with). A scale, such as 1/S for a loss scale S or the factor of a clipped step, multiplies
/// them after they are widened: nothing is rounded to `H` on the way.
///
/// The copy holds the parameters; the half-precision ones are written and never read. If you change them from outside, call
/// [`refresh`](MasterCopy::refresh). Where a value of the copy is too large for `H`, the parameter becomes infinite; the
/// copy keeps its value, and training goes on.
///
/// A [`FiniteGuard`](crate::FiniteGuard) may stand inside, where it judges what the optimizer gets, or outside, where it
/// judges the gradients in `H`.
///
/// State: the optimizer's, and 4 bytes per parameter. Cost of a step: one pass, the optimizer's on f32, which also reads 2
/// bytes per parameter instead of 4 and writes 2 more; no allocation.
///
/// # Example
/// ```
/// use gradstep::{MasterCopy, Optimizer, Sgd};
/// use half::bf16;
///
/// let mut params = [bf16::ONE];
/// let mut sgd = MasterCopy::new(Sgd::new(0.001)?, &params)?;
/// for _ in 0..100 {
///     sgd.step(&mut params, &[bf16::ONE])?; // 1 - 0.001 rounds to 1 in bf16
/// }
/// assert_eq!(params, [bf16::from_f32(0.9)]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "amp")]
#[doc(alias = "bf16")]
#[doc(alias = "f16")]
#[doc(alias = "mixed_precision")]
#[derive(Debug, Clone, PartialEq)]
pub struct MasterCopy<H, O> {
    optimizer: O,
    master: Vec<f32>,
    params: PhantomData<fn(&mut [H])>,
}

#[inline(always)]
fn widen<H: Half>(master: &mut [f32], params: &[H]) {
    master.iter_mut().zip(params).for_each(|(master, param)| *master = param.widen());
}

impl<H: Half, O: Optimizer<f32>> MasterCopy<H, O> {
    /// `optimizer` on an f32 copy of `params`.
    ///
    /// # Errors
    /// Those of [`from_master`](MasterCopy::from_master).
    pub fn new(optimizer: O, params: &[H]) -> Result<Self, Error> {
        let mut master = check::zeros("master copy", params.len())?;
        pairs(&mut master, params, widen);
        Self::from_master(optimizer, master)
    }

    /// `optimizer` on `master`, such as parameters that were trained or saved in f32. The half-precision parameters become
    /// it in the first step, or at once by [`write_params`](MasterCopy::write_params).
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no room; those of the optimizer's [`check`](Optimizer::check) if it is for another
    /// length; [`Error::NotASlice`] if it needs its gradients as one slice, which no f32 gradients are here.
    pub fn from_master(optimizer: O, master: Vec<f32>) -> Result<Self, Error> {
        let zeros = check::zeros("master copy", master.len())?;
        optimizer.check(Grads::<H>::from_f32(&zeros).widened())?;
        Ok(MasterCopy { optimizer, master, params: PhantomData })
    }

    /// Makes the copy anew from `params`, for parameters that were loaded, changed or initialised again from outside:
    /// without it the next step writes the old ones over them. The optimizer's state stays.
    ///
    /// # Errors
    /// [`Error::Length`] if there are more or fewer parameters than before. Nothing has changed then.
    pub fn refresh(&mut self, params: &[H]) -> Result<(), Error> {
        check::length("params", params.len(), "master copy", self.master.len())?;
        pairs(&mut self.master, params, widen);
        Ok(())
    }

    /// Writes the copy to `params`, rounded to nearest, as a step does.
    ///
    /// # Errors
    /// [`Error::Length`] if there are more or fewer parameters than in the copy. Nothing has changed then.
    pub fn write_params(&self, params: &mut [H]) -> Result<(), Error> {
        check::length("params", params.len(), "master copy", self.master.len())?;
        pairs(
            params,
            &self.master,
            #[inline(always)]
            |params, master| params.iter_mut().zip(master).for_each(|(param, &master)| *param = H::narrow(master)),
        );
        Ok(())
    }

    /// The parameters in f32.
    pub fn master(&self) -> &[f32] {
        &self.master
    }

    /// The optimizer over f32.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// The optimizer over f32, to change its settings.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }
}

impl<H: Half, O: Optimizer<f32>> Optimizer<H> for MasterCopy<H, O> {
    fn check(&self, grads: Grads<H>) -> Result<(), Error> {
        grads.check_len("master copy", self.master.len())?;
        self.optimizer.check(grads.widened())
    }

    fn update(&mut self, step: Step<H>) -> Result<(), Error> {
        let (params, grads) = step.into_parts();
        self.optimizer.update(Step::of_copy(&mut self.master, params, grads)?)
    }

    fn learning_rate(&self) -> f64 {
        self.optimizer.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.optimizer.set_learning_rate(learning_rate)
    }

    fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    /// Resets the optimizer. The copy stays, since it is the parameters: for others call [`refresh`](MasterCopy::refresh).
    fn reset(&mut self) {
        self.optimizer.reset();
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.master.len())
    }
}

impl<H, O: Restore> Restore for MasterCopy<H, O> {
    /// The copy is state too.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        same("length of the master copy", other.master.len(), self.master.len())?;
        self.optimizer.swap_state(&mut other.optimizer)?;
        mem::swap(&mut self.master, &mut other.master);
        Ok(())
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [H: SavedFloat + Half, O: Optimizer<f32>] MasterCopy<H, O> where O: Saved = "MasterCopy<{}> v1", H::NAME;
    master: Exact<Vec<f32>>,
    optimizer: Plain<O>,
    => MasterCopy::from_master(optimizer, master)
}
