use num_traits::Float;

use super::{
    finite::check_finite,
    grads::{Grads, with_values},
};
use crate::{
    error::Error,
    float::{to_f32, to_f64},
    passes::{SLICES_AT_ONCE, together, total},
    simd::wide,
    threads::{ONE_THREAD_LEN, share},
};

/// The Euclidean norm √(Σ g²) of all slices as one long vector.
///
/// Summed in f64 along one fixed tree, so the bits depend on the values and their lengths only. In a block of 4,096
/// values, lane i of 16 sums the squares at i, i + 16, i + 32, …; then lane i + 8 is added to lane i, and so on with
/// distances 4, 2 and 1. The blocks of a slice are halved again and again, an odd one going to the left. The slices are
/// added from first to last. Nothing overflows or underflows on the way: where the squares would, the values are scaled by
/// a power of two first.
///
/// # Errors
/// [`Error::NonFinite`] naming the first NaN or infinity, if there is one; [`Error::Overflow`] if all values are finite
/// but their norm is above the largest f64.
///
/// # Cost
/// One pass; up to four where the sum of the squares is below 1e-270 (as for gradients that are all 0) or above f64's
/// largest number. No allocation.
///
/// # Example
/// ```
/// assert_eq!(gradstep::global_norm(&[&[3.0_f32][..], &[0.0, 4.0]])?, 5.0);
/// let norm = gradstep::global_norm(&[[3e200_f64, 4e200]])?; // the squares alone would overflow
/// assert!((norm / 5e200 - 1.0).abs() < 1e-15);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn global_norm<F: Float + Send + Sync + 'static>(grads: &[impl AsRef<[F]>]) -> Result<f64, Error> {
    norm(|| grads.iter().map(|slice| Grads::new(slice.as_ref())), || check_finite(grads))
}

/// The norm of all gradients, scaled and not rounded. `check_finite` names the first value that is not finite.
pub(crate) fn norm<'a, P, I>(
    grads: impl Fn() -> I,
    check_finite: impl FnOnce() -> Result<(), Error>,
) -> Result<f64, Error>
where
    P: Float + Send + Sync + 'static,
    I: Iterator<Item = Grads<'a, P>>,
{
    let squares = |scale: f64| {
        let mut sum = 0.0;
        together(grads(), Grads::new(&[]), |grads| {
            let mut sums = [0.0; SLICES_AT_ONCE];
            let len = total(grads.iter().map(Grads::len));
            let pairs = sums.iter_mut().zip(grads);
            let work = |(sum, grads): (&mut f64, &Grads<P>)| {
                *sum = with_values!(grads.source(), values => sum_of_squares(values, scale * grads.scale()));
            };
            if len <= ONE_THREAD_LEN {
                pairs.for_each(work)
            } else {
                share(grads.len(), pairs, work)
            }
            sums[..grads.len()].iter().for_each(|slice| sum += slice);
        });
        sum
    };
    let sum = squares(1.0);
    // In this range no square was lost that counts.
    if sum > 1e-270 && sum.is_finite() {
        return Ok(sum.sqrt());
    }
    check_finite()?;
    let largest = grads().fold(0.0, |largest: f64, grads| {
        let scale = grads.scale();
        let largest_of = with_values!(grads.source(), values => {
            values.iter().fold(0.0, |largest: f64, &g| largest.max((scale * to_f64(g)).abs()))
        });
        largest.max(largest_of)
    });
    if largest == 0.0 {
        return Ok(0.0);
    }
    // The power of two that takes a number to about 1: exponent bits e stand for 2^(e - 1023).
    let inverse = |number: f64| f64::from_bits(2046_u64.saturating_sub(number.to_bits() >> 52).max(1) << 52);
    // But not so large that its product with the gradients' own scale is infinite. `inverse(0.0)` is 2^1023.
    let largest_scale = grads().fold(1.0, |largest: f64, grads| largest.max(grads.scale().abs()));
    let scale = inverse(largest).min(inverse(0.0) * inverse(largest_scale));
    let norm = squares(scale).sqrt() / scale;
    finite_norm(norm)
}

pub(super) fn finite_norm(norm: f64) -> Result<f64, Error> {
    let overflow = || Error::Overflow { name: "global norm".into(), value: norm, max: f64::MAX };
    if norm.is_finite() { Ok(norm) } else { Err(overflow()) }
}

/// Four vectors of four f64: additions that do not wait for one another.
const LANES: usize = 16;
/// Long enough that the tree above it costs nothing, and short enough that rounding errors grow with log n only.
const BLOCK: usize = 4096;

fn sum_of_squares<F: Float + Send + Sync + 'static>(slice: &[F], scale: f64) -> f64 {
    // A scale of 1, which is nearly always, spares a multiplication of each value, said by the type: a constant 1 does not
    // reach the loop on wide vectors, which took 1.4 times as long. As two functions, and with halves widened to f32
    // directly: otherwise Rust 1.85 compiled wrong sums of bf16 and f16 for s390x.
    if scale == 1.0 { sum_scaled::<F, false>(slice, 1.0) } else { sum_scaled::<F, true>(slice, scale) }
}

#[inline(always)]
fn sum_scaled<F: Float + Send + Sync + 'static, const SCALED: bool>(slice: &[F], scale: f64) -> f64 {
    let alone = |slice: &[F]| {
        tree(slice, u32::MAX, &mut |block| {
            wide(
                #[inline(always)]
                || block_of_squares::<F, SCALED>(block, scale),
            )
        })
    };
    if slice.len() <= ONE_THREAD_LEN {
        return alone(slice);
    }
    // The lowest branches on threads, what joins them here.
    let (mut branches, mut count) = ([(&[][..], 0.0); 1 << DEPTH], 0);
    tree(slice, DEPTH, &mut |branch| {
        branches[count].0 = branch;
        count += 1;
        0.0
    });
    share(count, branches[..count].iter_mut(), |(branch, sum)| *sum = alone(branch));
    let mut sums = branches.iter().map(|&(_, sum)| sum);
    tree(slice, DEPTH, &mut |_| sums.next().unwrap_or_default())
}

/// How often a slice is halved for threads.
const DEPTH: u32 = 5;

/// Halves `slice`, at most `depth` times and not below a block, and adds up what `leaf` returns.
fn tree<'a, F>(slice: &'a [F], depth: u32, leaf: &mut impl FnMut(&'a [F]) -> f64) -> f64 {
    if depth == 0 || slice.len() <= BLOCK {
        return leaf(slice);
    }
    let (left, right) = slice.split_at(slice.len().div_ceil(2 * BLOCK) * BLOCK);
    tree(left, depth - 1, leaf) + tree(right, depth - 1, leaf)
}

#[inline(always)]
fn block_of_squares<F: Float + 'static, const SCALED: bool>(block: &[F], scale: f64) -> f64 {
    let mut sums = [0.0; LANES];
    if size_of::<F>() < size_of::<f32>() {
        // Halves are widened in a loop of their own, where they vectorise.
        let mut wide = [0.0; 16 * LANES];
        for part in block.chunks(wide.len()) {
            wide.iter_mut().zip(part).for_each(|(wide, &g)| *wide = to_f32(g));
            add_squares::<f32, SCALED>(&mut sums, &wide[..part.len()], scale);
        }
    } else {
        add_squares::<F, SCALED>(&mut sums, block, scale);
    }
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}

#[inline(always)]
fn add_squares<F: Float + 'static, const SCALED: bool>(sums: &mut [f64; LANES], values: &[F], scale: f64) {
    let rows = values.chunks_exact(LANES);
    let rest = rows.remainder();
    // Of their own, or the compiler takes them for 16 scalars: five times as slow.
    let mut lanes = *sums;
    for row in rows {
        add_row::<F, SCALED>(&mut lanes, row, scale);
    }
    *sums = lanes;
    add_row::<F, SCALED>(sums, rest, scale);
}

#[inline(always)]
fn add_row<F: Float + 'static, const SCALED: bool>(sums: &mut [f64; LANES], row: &[F], scale: f64) {
    for (sum, &g) in sums.iter_mut().zip(row) {
        let g = if SCALED { scale * to_f64(g) } else { to_f64(g) };
        *sum += g * g;
    }
}
