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

/// Trains bf16 or f16 parameters: an optimizer over f32 steps an f32 copy of them. Feature `half`.
///
/// bf16 has 8 bits of significand, so an update below 1/512 of its parameter is lost to rounding, and training makes no
/// progress. Here the gradients are widened to f32, the optimizer steps the f32 copy (its velocity is f32 too), and the
/// copy is written to the parameters, rounded to nearest (Micikevicius et al. 2018, "Mixed precision training").
///
/// `H` is `half::bf16` or `half::f16`. The gradients are `H`, or f32 if you give them by `Grads::from_f32` and
/// [`step_with`](Optimizer::step_with). A scale, such as 1/S for a loss scale S or the factor of a clipped step,
/// multiplies the widened gradients, so nothing is rounded to `H` before the optimizer.
///
/// The copy holds the true parameters; a step writes the half-precision ones and never reads them. If you change them
/// yourself, call [`refresh`](MasterCopy::refresh). If a value of the copy is too large for `H`, its half-precision
/// parameter becomes infinite; the copy keeps the value, and training goes on.
///
/// A [`FiniteGuard`](crate::FiniteGuard) around the optimizer checks the gradients that the optimizer gets, in f32. One
/// around the `MasterCopy` checks them as `H` rounds them.
///
/// State: the optimizer's, and 4 bytes per parameter for the copy. Cost of a step: the optimizer's pass over f32, which
/// reads 2 bytes less per gradient and writes 2 bytes more per parameter; no allocation, and a block of 2 KiB on the
/// stack.
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
    // `fn`, since no `H` is stored.
    params: PhantomData<fn(&mut [H])>,
}

#[inline(always)]
fn widen<H: Half>(master: &mut [f32], params: &[H]) {
    master.iter_mut().zip(params).for_each(|(master, param)| *master = param.widen());
}

impl<H: Half, O: Optimizer<f32>> MasterCopy<H, O> {
    /// Creates an f32 copy of `params`, which `optimizer` steps.
    ///
    /// # Errors
    /// Those of [`from_master`](MasterCopy::from_master).
    pub fn new(optimizer: O, params: &[H]) -> Result<Self, Error> {
        let mut master = check::zeros("master copy", params.len())?;
        pairs(&mut master, params, widen);
        Self::from_master(optimizer, master)
    }

    /// Creates a `MasterCopy` whose f32 copy is `master`, such as parameters that were trained or saved in f32. The
    /// first step writes it to the half-precision parameters; [`write_params`](MasterCopy::write_params) does so at
    /// once.
    ///
    /// # Errors
    /// Those of the optimizer's [`check`](Optimizer::check), which is called with zeros for gradients:
    /// [`Error::Length`] if its state is for another length, [`Error::NotASlice`] if it needs its gradients as one
    /// slice, which they never are here. [`Error::Memory`] if there is no room for the copy or the zeros.
    pub fn from_master(optimizer: O, master: Vec<f32>) -> Result<Self, Error> {
        // An optimizer that does not fit is rejected here, and not at the first step.
        let zeros = check::zeros("master copy", master.len())?;
        optimizer.check(Grads::<H>::from_f32(&zeros).widened())?;
        Ok(MasterCopy { optimizer, master, params: PhantomData })
    }

    /// Copies `params` to f32 again, after you have loaded, changed or initialised them. Otherwise the next step would
    /// write the old values over them. The optimizer's state stays. Cost: one pass; no allocation.
    ///
    /// # Errors
    /// [`Error::Length`] if there are more or fewer parameters than in the copy. Nothing has changed then.
    pub fn refresh(&mut self, params: &[H]) -> Result<(), Error> {
        check::length("params", params.len(), "master copy", self.master.len())?;
        pairs(&mut self.master, params, widen);
        Ok(())
    }

    /// Writes the copy to `params`, rounded to nearest, as a step does. Cost: one pass; no allocation.
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

    /// Returns the f32 copy, one value per parameter.
    pub fn master(&self) -> &[f32] {
        &self.master
    }

    /// Returns the optimizer over f32.
    pub fn optimizer(&self) -> &O {
        &self.optimizer
    }

    /// Returns the optimizer over f32, to change its settings. If you put another one in its place that does not fit
    /// the copy, steps return the error that [`from_master`](MasterCopy::from_master) would.
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
        // Converted and rounded block by block (`halves.rs`), so the step is one pass over memory.
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

    /// Resets the optimizer. The copy stays, since it holds the parameters; to begin with others, call
    /// [`refresh`](MasterCopy::refresh).
    fn reset(&mut self) {
        self.optimizer.reset();
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.master.len())
    }
}

impl<H, O: Restore> Restore for MasterCopy<H, O> {
    /// Exchanges the copies too. Returns [`Error::Saved`] if their lengths differ.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        same("length of the master copy", other.master.len(), self.master.len())?;
        // Before the copies, since it may return an error.
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
