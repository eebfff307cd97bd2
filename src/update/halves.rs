//! The loop where gradients are converted on the way, or parameters are rounded to half precision: `MasterCopy`'s.

use half::{bf16, f16};
use num_traits::Float;

use super::elementwise::{Read, run};
use crate::{
    error::Error,
    float::half::{Convert, Either},
    gradient::grads::{Grads, Source, with_values},
};

/// Parameters of half precision that become what the f32 ones become.
pub(super) type Halves<'a> = Either<&'a mut [bf16], &'a mut [f16]>;

// Not inlined, so that a plain step stays short.
#[inline(never)]
pub(super) fn run_converted<P: Float + Send + Sync + 'static, const N: usize>(
    params: &mut [P],
    state: [&mut [P]; N],
    grads: Grads<P>,
    halves: Option<Halves>,
    rule: impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
) -> Result<(), Error> {
    let scale = grads.factor();
    // Each type compiles the loops that it can reach only. f32 gradients are multiplied in any case, by 1 too: one loop less.
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

/// Gradients of an f32 copy, and the parameters of which it is a copy.
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

/// Gradients of another type than the parameters: f32 for halves, or halves for f32. Seldom, so one loop serves all.
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
