//! A step that converts its gradients, or rounds its parameters to half precision, as `MasterCopy` needs it.
//!
//! It goes block by block: it converts the gradients of a block, runs the loop that all steps run, and rounds. If the
//! conversions were part of that loop, they would be compiled again for each rule, which costs a user seconds per
//! build.

use half::{bf16, f16};
use num_traits::Float;

use super::elementwise::{Input, Slices, run, run_part, split};
use crate::{
    error::Error,
    float::half::{Convert, Either},
    gradient::grads::{Grads, with_values},
    simd::wide,
};

/// Few enough values that a block takes 2 KiB of stack, and enough that three calls per block cost little.
const BLOCK_LEN: usize = 512;

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
    // f64 parameters never come here: their gradients are f64, and they have no halves. Without this line, the loop
    // would be compiled for f64 too.
    if const { size_of::<P>() > size_of::<f32>() } {
        return Err(Error::NotASlice);
    }
    run(params, state, Converted { grads, halves }, rule)
}

struct Converted<'a, P> {
    grads: Grads<'a, P>,
    halves: Option<Halves<'a>>,
}

impl<P: Float + Send + Sync + 'static> Input<P> for Converted<'_, P> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (left, right) = self.grads.split_at(at);
        let (left_halves, right_halves) = match self.halves {
            None => (None, None),
            Some(Either::Bf16(halves)) => {
                let (left, right) = halves.split_at_mut(at);
                (Some(Either::Bf16(left)), Some(Either::Bf16(right)))
            }
            Some(Either::F16(halves)) => {
                let (left, right) = halves.split_at_mut(at);
                (Some(Either::F16(left)), Some(Either::F16(right)))
            }
        };
        (Converted { grads: left, halves: left_halves }, Converted { grads: right, halves: right_halves })
    }

    fn run<const N: usize>(
        self,
        params: &mut [P],
        state: [&mut [P]; N],
        rule: &(impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy),
    ) {
        let mut block = [P::zero(); BLOCK_LEN];
        let mut rest: Slices<P, Self, N> = (params, state, self);
        while !rest.0.is_empty() {
            let len = BLOCK_LEN.min(rest.0.len());
            let ((params, state, Converted { grads, halves }), others) = split(rest, len);
            let block = &mut block[..len];
            convert(grads, block);
            run_part((&mut *params, state, &*block), rule);
            round(params, halves);
            rest = others;
        }
    }
}

// Generic over the parameters' type only, as `round` is, so that it is compiled once for all rules.
#[inline(never)]
fn convert<P: Float + 'static>(grads: Grads<P>, block: &mut [P]) {
    #[inline(always)]
    fn fill<P: Float + 'static, T: Float + 'static>(block: &mut [P], values: &[T], scale: f64) {
        for (to, &value) in block.iter_mut().zip(values) {
            *to = Grads::rounded(scale, value);
        }
    }
    with_values!(grads.source(), values => wide(
        #[inline(always)]
        || match grads.factor() {
            // A constant, so that gradients without a scale are not multiplied.
            None => fill(block, values, 1.0),
            Some(scale) => fill(block, values, scale),
        }
    ));
}

#[inline(never)]
fn round<P: Float>(params: &[P], halves: Option<Halves>) {
    #[inline(always)]
    fn narrow<P: Float, H: Convert>(params: &[P], halves: &mut [H]) {
        wide(
            #[inline(always)]
            || {
                for (half, param) in halves.iter_mut().zip(params) {
                    *half = H::narrow(param.to_f32().unwrap_or(f32::NAN));
                }
            },
        );
    }
    match halves {
        None => {}
        Some(Either::Bf16(halves)) => narrow(params, halves),
        Some(Either::F16(halves)) => narrow(params, halves),
    }
}
