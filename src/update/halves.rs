//! The loop of a step that converts gradients as it reads them, or rounds parameters to half precision, as `MasterCopy`
//! needs it.

use half::{bf16, f16};
use num_traits::Float;

use super::elementwise::{Read, run};
use crate::{
    error::Error,
    float::half::{Convert, Either},
    gradient::grads::{Grads, Source, with_values},
};

/// The half-precision parameters to which a step of their f32 copy writes the result too.
pub(super) type Halves<'a> = Either<&'a mut [bf16], &'a mut [f16]>;

// Not inlined, so that a step that converts nothing does not carry this code.
#[inline(never)]
pub(super) fn run_converted<P: Float + Send + Sync + 'static, const N: usize>(
    params: &mut [P],
    state: [&mut [P]; N],
    grads: Grads<P>,
    halves: Option<Halves>,
    rule: impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
) -> Result<(), Error> {
    let scale = grads.factor();
    // The sizes are constants, so that for each `P` only the loops that it can reach are compiled. f32 gradients are
    // always multiplied by their scale, even if it is 1, which saves a loop.
    match (grads.source(), halves) {
        _ if const { size_of::<P>() > size_of::<f32>() } => Err(Error::NotASlice),
        (_, None) => run(params, state, Converted(grads), rule),
        _ if const { size_of::<P>() < size_of::<f32>() } => Err(Error::NotASlice),
        (Source::Bf16(grads), Some(Either::Bf16(halves))) => match scale {
            None => run(params, state, Copied::<_, _, false> { grads, scale: 1.0, halves }, rule),
            Some(scale) => run(params, state, Copied::<_, _, true> { grads, scale, halves }, rule),
        },
        (Source::F16(grads), Some(Either::F16(halves))) => match scale {
            None => run(params, state, Copied::<_, _, false> { grads, scale: 1.0, halves }, rule),
            Some(scale) => run(params, state, Copied::<_, _, true> { grads, scale, halves }, rule),
        },
        (Source::Slice(grads), Some(Either::Bf16(halves))) => {
            run(params, state, Copied::<_, _, true> { grads, scale: scale.unwrap_or(1.0), halves }, rule)
        }
        (Source::Slice(grads), Some(Either::F16(halves))) => {
            run(params, state, Copied::<_, _, true> { grads, scale: scale.unwrap_or(1.0), halves }, rule)
        }
        _ => Err(Error::NotASlice),
    }
}

/// The gradients for an f32 copy, and the half-precision parameters of which it is the copy. `SCALED` is part of the
/// type, so that unscaled gradients are not multiplied.
struct Copied<'a, T, H, const SCALED: bool> {
    grads: &'a [T],
    scale: f64,
    halves: &'a mut [H],
}

impl<P, T, H, const SCALED: bool> Read<P> for Copied<'_, T, H, SCALED>
where
    P: Float + 'static,
    T: Float + Sync + 'static,
    H: Convert + Send,
{
    #[inline(always)]
    fn split_at(self, at: usize) -> (Self, Self) {
        let ((left, right), (left_halves, right_halves)) = (self.grads.split_at(at), self.halves.split_at_mut(at));
        (Copied { grads: left, halves: left_halves, ..self }, Copied { grads: right, halves: right_halves, ..self })
    }

    #[inline(always)]
    fn grad(&self, i: usize) -> P {
        Grads::rounded(if SCALED { self.scale } else { 1.0 }, self.grads[i])
    }

    #[inline(always)]
    fn param(&mut self, i: usize, param: P) {
        self.halves[i] = H::narrow(param.to_f32().unwrap_or(f32::NAN));
    }
}

/// Gradients of another type than the parameters: f32 for half-precision parameters, or the reverse. They are rare
/// without a `MasterCopy`, so one loop serves all types.
struct Converted<'a, P>(Grads<'a, P>);

impl<P: Float + Sync + 'static> Read<P> for Converted<'_, P> {
    #[inline(always)]
    fn split_at(self, at: usize) -> (Self, Self) {
        let (left, right) = self.0.split_at(at);
        (Converted(left), Converted(right))
    }

    #[inline(always)]
    fn grad(&self, i: usize) -> P {
        with_values!(self.0.source(), values => Grads::rounded(self.0.scale(), values[i]))
    }

    #[inline(always)]
    fn param(&mut self, _: usize, _: P) {}
}
