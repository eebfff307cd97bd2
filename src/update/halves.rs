//! A step whose gradients are converted on the way, or whose parameters are rounded to half precision: `MasterCopy`'s.
//!
//! Block by block, so that the loop of the rule is the one that all steps have: compiled into it, the conversions would be
//! compiled once more for each rule, in each program that uses one.

use half::{bf16, f16};
use num_traits::Float;

use super::elementwise::{Input, Slices, run_part, split};
use crate::{
    float::half::{Convert, Either},
    gradient::grads::{Grads, with_values},
    simd::wide,
};

/// So many values that their gradients stay in the first cache, and that a call for each block costs little.
const BLOCK_LEN: usize = 1024;

/// On a cache line, so that no vector lies across two.
#[repr(align(64))]
struct Block<P>([P; BLOCK_LEN]);

/// Gradients of any type, and the parameters of half precision that become what the others become, if there are any.
pub(super) struct Converted<'a, P> {
    pub(super) grads: Grads<'a, P>,
    pub(super) halves: Option<Halves<'a>>,
}

pub(super) type Halves<'a> = Either<&'a mut [bf16], &'a mut [f16]>;

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
        let mut block = Block([P::zero(); BLOCK_LEN]);
        let mut rest: Slices<P, Self, N> = (params, state, self);
        // The blocks after the first one begin where a vector does.
        let mut len = rest.0.as_ptr().align_offset(64).min(BLOCK_LEN);
        while !rest.0.is_empty() {
            let at = len.min(rest.0.len());
            let ((params, state, Converted { grads, halves }), others) = split(rest, at);
            let block = &mut block.0[..params.len()];
            convert(grads, block);
            run_part((&mut *params, state, &*block), rule);
            round(params, halves);
            (rest, len) = (others, BLOCK_LEN);
        }
    }
}

#[inline(never)]
fn convert<P: Float + 'static>(grads: Grads<P>, block: &mut [P]) {
    with_values!(grads.source(), values => wide(
        #[inline(always)]
        || match grads.factor() {
            None => {
                for (to, &value) in block.iter_mut().zip(values) {
                    *to = Grads::rounded(1.0, value);
                }
            }
            Some(scale) => {
                for (to, &value) in block.iter_mut().zip(values) {
                    *to = Grads::rounded(scale, value);
                }
            }
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
