use alloc::{string::ToString, vec::Vec};
use core::marker::PhantomData;

use half::{bf16, f16, slice::HalfFloatSliceExt};
use num_traits::Float;

use super::optimizer::Optimizer;
use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
    gradient::finite::finite,
    passes::pairs,
};

/// Half-precision parameters that learn: any optimizer over f32, on an f32 copy of bf16 or f16 parameters. Feature `half`.
///
/// bf16 has 8 bits of significand, so an update below 1/512 of its parameter rounds to nothing and training stalls.
/// Here the gradients are widened to f32, the optimizer steps on the f32 copy (its velocity is f32 too), and the
/// parameters become that copy, rounded to nearest (Micikevicius et al. 2018, "Mixed precision training").
///
/// `H` is `half::bf16` or `half::f16`. The settings are the inner optimizer's, in f32.
///
/// The copy holds the parameters; the half-precision ones are written and never read. To change them from outside, make
/// a new `MasterCopy`. Where a value of the copy is too large for `H`, the parameter becomes infinite; the copy keeps its
/// value, and training goes on.
///
/// A [`Guard`](crate::Guard) may stand outside or inside: an error changes nothing, also in a step of
/// [`ParamGroups`](crate::ParamGroups). The inner optimizer's `check` is not called: a rule of your own that rejects
/// anything but lengths must wrap the `MasterCopy`, not stand inside it.
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
/// assert_eq!(sgd.learning_rate(), 0.001_f32);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MasterCopy<H, O> {
    pub(crate) optimizer: O,
    pub(crate) master: Vec<f32>,
    /// The gradients in f32, for the time of a step.
    pub(crate) grads: Vec<f32>,
    pub(crate) params: PhantomData<fn(&mut [H])>,
}

/// The scratch for the gradients does not count.
impl<H, O: PartialEq> PartialEq for MasterCopy<H, O> {
    fn eq(&self, other: &Self) -> bool {
        self.optimizer == other.optimizer && self.master == other.master
    }
}

/// bf16 and f16. Sealed, to keep the traits of `half` out of the public API.
pub trait Half: Float + Send + Sync {
    fn widen(halves: &[Self], to: &mut [f32]);
    fn narrow(from: &[f32], halves: &mut [Self]);

    fn widen_scaled(halves: &[Self], scale: f64, to: &mut [f32]) {
        let scaled = |&half: &Self| to_f64(from_f64::<Self>(scale * to_f64(half))) as f32;
        pairs(
            to,
            halves,
            #[inline(always)]
            |to, halves| to.iter_mut().zip(halves).for_each(|(to, half)| *to = scaled(half)),
        );
    }
}

impl Half for f16 {
    fn widen(halves: &[f16], to: &mut [f32]) {
        pairs(to, halves, |to, halves| halves.convert_to_f32_slice(to));
    }

    fn narrow(from: &[f32], halves: &mut [f16]) {
        pairs(halves, from, |halves, from| halves.convert_from_f32_slice(from));
    }
}

/// Loops of our own: the functions of `half` for slices of bf16 take several times as long.
impl Half for bf16 {
    fn widen(halves: &[bf16], to: &mut [f32]) {
        let widen = |half: &bf16| f32::from_bits(u32::from(half.to_bits()) << 16);
        pairs(
            to,
            halves,
            #[inline(always)]
            |to, halves| to.iter_mut().zip(halves).for_each(|(to, half)| *to = widen(half)),
        );
    }

    fn narrow(from: &[f32], halves: &mut [bf16]) {
        pairs(
            halves,
            from,
            #[inline(always)]
            |halves, from| halves.iter_mut().zip(from).for_each(|(half, &from)| *half = to_bf16(from)),
        );
    }
}

/// Rounded to nearest, ties to even, as `bf16::from_f32`, but without a branch.
#[inline(always)]
fn to_bf16(value: f32) -> bf16 {
    let bits = value.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    let quiet = bits >> 16 | 0x40;
    bf16::from_bits(if value.is_nan() { quiet } else { rounded } as u16)
}

impl<H: Half, O: Optimizer<f32>> MasterCopy<H, O> {
    /// `optimizer` on an f32 copy of `params`.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no room for the copy; those of the optimizer's [`check`](Optimizer::check) if it is
    /// for another length.
    pub fn new(optimizer: O, params: &[H]) -> Result<Self, Error> {
        let mut master = check::zeros("master copy", params.len())?;
        H::widen(params, &mut master);
        Self::from_master(optimizer, master)
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

impl<H, O: Optimizer<f32>> MasterCopy<H, O> {
    fn check_lengths(&self, params: &[H], grads: &[H]) -> Result<(), Error> {
        check::length("grads", grads.len(), "params", params.len())?;
        check::length("params", params.len(), "master copy", self.master.len())
    }

    pub(crate) fn from_master(optimizer: O, master: Vec<f32>) -> Result<Self, Error> {
        let grads = check::zeros("master copy", master.len())?;
        optimizer.check(&master, &grads)?;
        Ok(MasterCopy { optimizer, master, grads, params: PhantomData })
    }
}

impl<H: Half, O: Optimizer<f32>> Optimizer<H, f32> for MasterCopy<H, O> {
    fn step(&mut self, params: &mut [H], grads: &[H]) -> Result<(), Error> {
        self.check(params, grads)?;
        self.step_checked(params, grads, 1.0)
    }

    fn step_checked(&mut self, params: &mut [H], grads: &[H], scale: f64) -> Result<(), Error> {
        self.check_lengths(params, grads)?;
        // Rounded to H, as if they had been clipped there.
        if scale == 1.0 {
            H::widen(grads, &mut self.grads)
        } else {
            H::widen_scaled(grads, scale, &mut self.grads)
        }
        self.optimizer.step_checked(&mut self.master, &self.grads, 1.0)?;
        H::narrow(&self.master, params);
        Ok(())
    }

    /// Always: the gradients are scaled where they are widened.
    fn can_scale(&self) -> bool {
        true
    }

    fn learning_rate(&self) -> f32 {
        self.optimizer.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), Error> {
        self.optimizer.set_learning_rate(learning_rate)
    }

    fn steps(&self) -> u64 {
        self.optimizer.steps()
    }

    fn reset(&mut self) {
        self.optimizer.reset();
    }

    fn check(&self, params: &[H], grads: &[H]) -> Result<(), Error> {
        self.check_lengths(params, grads)?;
        if let Some(len) = self.optimizer.state_len() {
            // Made for the same length, but `optimizer_mut` may have put another one in its place.
            check::length("master copy", self.master.len(), "optimizer's state", len)?;
        }
        // Widening is exact, so what is finite here is finite in f32.
        if self.optimizer.rejects_non_finite() { finite(|| "grads".to_string(), grads) } else { Ok(()) }
    }

    fn rejects_non_finite(&self) -> bool {
        self.optimizer.rejects_non_finite()
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.master.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every bf16, what is half-way to the next, and what is beside that; and NaN.
    #[test]
    fn rounding_is_that_of_half() {
        for high in 0..=u16::MAX {
            for low in [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF] {
                let value = f32::from_bits(u32::from(high) << 16 | low);
                assert_eq!(to_bf16(value).to_bits(), bf16::from_f32(value).to_bits(), "{value:?}");
            }
        }
    }
}
