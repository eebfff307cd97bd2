use alloc::vec::Vec;
use core::marker::PhantomData;

use half::{bf16, f16, slice::HalfFloatSliceExt};
use num_traits::Float;

use super::optimizer::Optimizer;
use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
    simd::wide,
};

/// Half-precision parameters that learn: any optimizer over f32, on an f32 copy of bf16 or f16 parameters (`H` is
/// `half::bf16` or `half::f16`). Feature `half`.
///
/// bf16 has 8 bits of significand, so an update below 1/512 of its parameter rounds to nothing, and training stands
/// still. Here the gradients are widened, the optimizer steps on the f32 copy (its velocity is f32 too), and the
/// parameters become that copy, rounded to nearest (Micikevicius et al. 2018, "Mixed precision training").
///
/// The copy is the truth: the parameters are written and never read. To set them anew, make a new `MasterCopy`. A
/// [`Guard`](crate::Guard) goes around it: inside, `check` would not see the gradients, and a step of
/// [`ParamGroups`](crate::ParamGroups) would no longer be all or nothing. Where the copy is beyond the parameters' range,
/// they are infinite, and the copy goes on.
/// `learning_rate` and `set_learning_rate` are in the parameters' type, as for every optimizer, and so round it (0.001 in
/// bf16 is 0.00099945); to set it in f32, use [`optimizer_mut`](MasterCopy::optimizer_mut).
///
/// State: the optimizer's, and 8 bytes a parameter. Cost of a step: the optimizer's on f32, a pass that widens and one
/// that narrows; no allocation.
///
/// # Example
/// ```
/// use gradstep::{MasterCopy, Optimizer, Sgd};
/// use half::bf16;
///
/// let mut params = [bf16::ONE];
/// let mut sgd = MasterCopy::new(Sgd::new(0.001_f32)?, &params)?;
/// for _ in 0..100 {
///     sgd.step(&mut params, &[bf16::ONE])?; // 1 - 0.001 rounds to 1 in bf16
/// }
/// assert_eq!(params, [bf16::from_f32(0.9)]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(
        try_from = "crate::saved::MasterCopy<O>",
        into = "crate::saved::MasterCopy<O>",
        bound(
            serialize = "H: Clone, O: Clone + serde::Serialize",
            deserialize = "O: Optimizer<f32> + serde::Deserialize<'de>"
        )
    )
)]
pub struct MasterCopy<H, O> {
    pub(crate) optimizer: O,
    pub(crate) master: Vec<f32>,
    /// The gradients in f32, for the time of a step.
    pub(crate) grads: Vec<f32>,
    pub(crate) params: PhantomData<H>,
}

/// The scratch for the gradients does not count.
impl<H, O: PartialEq> PartialEq for MasterCopy<H, O> {
    fn eq(&self, other: &Self) -> bool {
        self.optimizer == other.optimizer && self.master == other.master
    }
}

/// bf16 and f16. Out of reach from outside, so that the traits of `half` are no part of the face.
pub trait Half: Float {
    fn widen(halves: &[Self], to: &mut [f32]);
    fn narrow(from: &[f32], halves: &mut [Self]);
}

impl Half for f16 {
    fn widen(halves: &[f16], to: &mut [f32]) {
        halves.convert_to_f32_slice(to);
    }

    fn narrow(from: &[f32], halves: &mut [f16]) {
        halves.convert_from_f32_slice(from);
    }
}

/// Not by the functions for slices, which take several times as long.
impl Half for bf16 {
    fn widen(halves: &[bf16], to: &mut [f32]) {
        wide(
            #[inline(always)]
            || to.iter_mut().zip(halves).for_each(|(to, half)| *to = half.to_f32()),
        );
    }

    fn narrow(from: &[f32], halves: &mut [bf16]) {
        wide(
            #[inline(always)]
            || halves.iter_mut().zip(from).for_each(|(half, &from)| *half = bf16::from_f32(from)),
        );
    }
}

impl<H: Half, O: Optimizer<f32>> MasterCopy<H, O> {
    /// `optimizer` on an f32 copy of `params`.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no room for the copy; those of the optimizer's [`check`](Optimizer::check) if it is
    /// for another length.
    pub fn new(optimizer: O, params: &[H]) -> Result<Self, Error> {
        let mut master = check::zeros("a master copy", params.len())?;
        H::widen(params, &mut master);
        let grads = check::zeros("a master copy", params.len())?;
        optimizer.check(&master, &grads)?;
        Ok(MasterCopy { optimizer, master, grads, params: PhantomData })
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
    fn step(&mut self, params: &mut [H], grads: &[H]) -> Result<(), Error> {
        self.check(params, grads)?;
        H::widen(grads, &mut self.grads);
        self.optimizer.step(&mut self.master, &self.grads)?;
        H::narrow(&self.master, params);
        Ok(())
    }

    fn learning_rate(&self) -> H {
        from_f64(to_f64(self.optimizer.learning_rate()))
    }

    fn set_learning_rate(&mut self, learning_rate: H) -> Result<(), Error> {
        self.optimizer.set_learning_rate(from_f64(to_f64(learning_rate)))
    }

    fn reset(&mut self) {
        self.optimizer.reset();
    }

    fn check(&self, params: &[H], grads: &[H]) -> Result<(), Error> {
        check::length("grads", grads.len(), "params", params.len())?;
        check::length("params", params.len(), "the master copy", self.master.len())?;
        self.optimizer.check(&self.master, &self.master) // for the lengths
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.master.len())
    }
}
