use alloc::{string::ToString, vec::Vec};
use core::{fmt::Debug, marker::PhantomData};

use half::{bf16, f16};
use num_traits::Float;

use super::{
    grads::{Grads, Read, Source},
    optimizer::Optimizer,
};
use crate::{
    check,
    error::Error,
    float::{half::Convert, to_odd},
    gradient::finite::finite,
    passes::pairs,
};

/// Half-precision parameters that learn: any optimizer over f32, on an f32 copy of bf16 or f16 parameters. Feature `half`.
///
/// bf16 has 8 bits of significand, so an update below 1/512 of its parameter rounds to nothing and training stalls.
/// Here the optimizer steps on an f32 copy of the parameters (its velocity is f32 too), with the gradients widened to f32,
/// and the parameters become that copy, rounded to nearest (Micikevicius et al. 2018, "Mixed precision training").
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
/// State: the optimizer's, and 4 bytes a parameter. Cost of a step: one pass, the optimizer's on f32, which also reads 2
/// bytes a parameter instead of 4 and writes 2 more; no allocation. For a rule of your own that does not take all
/// [`Grads`] (its [`can_scale`](Optimizer::can_scale) is `false`): 8 bytes a parameter, and two passes more, one that widens
/// into a copy of the gradients and one that narrows.
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
pub trait Half: Convert + Float + Debug + Send + Sync {
    fn grads(halves: Halves<Self>, scale: f64) -> Grads<f32>;
}

impl Half for bf16 {
    fn grads(halves: Halves<bf16>, scale: f64) -> Grads<f32> {
        Grads { source: Source::Bf16(halves), scale }
    }
}

impl Half for f16 {
    fn grads(halves: Halves<f16>, scale: f64) -> Grads<f32> {
        Grads { source: Source::F16(halves), scale }
    }
}

/// Gradients in half precision, and the parameters that get what the f32 ones become.
#[derive(Debug)]
pub struct Halves<'a, H> {
    pub(super) grads: &'a [H],
    params: &'a mut [H],
}

/// `F` is f32: [`Grads`] are made of halves for no other.
impl<F: Float, H: Half> Read<F> for Halves<'_, H> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.grads.len()
    }

    #[inline(always)]
    fn split(self, at: usize) -> (Self, Self) {
        let ((left, right), (left_params, right_params)) = (self.grads.split_at(at), self.params.split_at_mut(at));
        (Halves { grads: left, params: left_params }, Halves { grads: right, params: right_params })
    }

    #[inline(always)]
    fn read(&self, i: usize) -> F {
        from_f32(self.grads[i].widen())
    }

    #[inline(always)]
    fn param(&mut self, i: usize, param: F) {
        self.params[i] = H::narrow(param.to_f32().unwrap_or(f32::NAN));
    }

    #[inline(always)]
    fn round(value: f64) -> F {
        from_f32(H::narrow(to_odd(value)).widen())
    }
}

#[inline(always)]
fn from_f32<F: Float>(value: f32) -> F {
    F::from(value).unwrap_or_else(F::nan)
}

/// Scaled, they are rounded to `H`, as if they had been clipped there.
fn widen<H: Half>(halves: &[H], scale: f64, to: &mut [f32]) {
    let scaled = |half: H| Halves::<H>::round(scale * f64::from(half.widen()));
    pairs(
        to,
        halves,
        #[inline(always)]
        |to, halves| {
            let pairs = to.iter_mut().zip(halves);
            if scale == 1.0 {
                pairs.for_each(|(to, half)| *to = half.widen());
            } else {
                pairs.for_each(|(to, &half)| *to = scaled(half));
            }
        },
    );
}

impl<H: Half, O: Optimizer<f32>> MasterCopy<H, O> {
    /// `optimizer` on an f32 copy of `params`.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no room for the copy; those of the optimizer's [`check`](Optimizer::check) if it is
    /// for another length.
    pub fn new(optimizer: O, params: &[H]) -> Result<Self, Error> {
        let mut master = check::zeros("master copy", params.len())?;
        widen(params, 1.0, &mut master);
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
    ///
    /// Put in its place one that does not take all [`Grads`], where the one before did, and steps return
    /// [`Error::Length`]: there is no room for the copy of the gradients that it needs.
    pub fn optimizer_mut(&mut self) -> &mut O {
        &mut self.optimizer
    }
}

impl<H, O: Optimizer<f32>> MasterCopy<H, O> {
    fn check_lengths(&self, params: usize, grads: usize) -> Result<(), Error> {
        check::length("grads", grads, "params", params)?;
        check::length("params", params, "master copy", self.master.len())?;
        // `optimizer_mut` may have put one that needs it in the place of one that did not.
        let needed = if self.optimizer.can_scale() { self.grads.len() } else { self.master.len() };
        check::length("copy of the gradients", self.grads.len(), "params", needed)
    }

    pub(crate) fn from_master(optimizer: O, master: Vec<f32>) -> Result<Self, Error> {
        let grads = check::zeros("master copy", master.len())?;
        optimizer.check(&master, &grads)?;
        let grads = if optimizer.can_scale() { Vec::new() } else { grads };
        Ok(MasterCopy { optimizer, master, grads, params: PhantomData })
    }
}

impl<H: Half, O: Optimizer<f32>> Optimizer<H, f32> for MasterCopy<H, O> {
    fn step(&mut self, params: &mut [H], grads: &[H]) -> Result<(), Error> {
        self.check(params, grads)?;
        self.step_checked(params, grads.into())
    }

    fn step_checked(&mut self, params: &mut [H], grads: Grads<H>) -> Result<(), Error> {
        self.check_lengths(params.len(), grads.len())?;
        let scale = grads.scale;
        let Some(grads) = grads.slice() else { return Err(Error::CannotScale) };
        if self.optimizer.can_scale() {
            return self.optimizer.step_checked(&mut self.master, H::grads(Halves { grads, params }, scale));
        }
        widen(grads, scale, &mut self.grads);
        self.optimizer.step_checked(&mut self.master, (&self.grads[..]).into())?;
        pairs(
            params,
            &self.master,
            #[inline(always)]
            |params, master| params.iter_mut().zip(master).for_each(|(param, &master)| *param = H::narrow(master)),
        );
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
        self.check_lengths(params.len(), grads.len())?;
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
