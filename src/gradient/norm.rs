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

/// Returns the Euclidean norm √(Σ g²) of all slices, taken as one long vector.
///
/// The squares are summed in f64 in one fixed order, so the bits of the result depend only on the values and the
/// lengths of the slices. In each block of 4,096 values, lane i of 16 sums the squares at i, i + 16, i + 32, …; then
/// lane i + 8 is added to lane i, and so on with distances 4, 2 and 1. The sums of a slice's blocks are added as a
/// binary tree: the list of blocks is halved again and again, and the left half of an odd number is the longer one. The
/// sums of the slices are added from first to last. If the squares overflow or underflow, they are summed again with
/// all values scaled by a power of two.
///
/// # Errors
/// [`Error::NonFinite`] if a value is NaN or infinite, naming the first; [`Error::Overflow`] if all values are finite
/// but their norm exceeds the largest f64.
///
/// # Cost
/// One pass; up to four if the sum of the squares is below 1e-270 (as for gradients that are all 0) or exceeds the
/// largest f64. No allocation.
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

/// Returns the norm of all gradients after scaling, without rounding them to `P`. `grads` is called for each pass.
/// `check_finite` returns the error that names the first value that is not finite.
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
    // Squares that underflowed are below 2^-1022, so in a sum above 1e-270 even 2^64 of them do not count.
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
    // The power of two that scales a number to about 1. Exponent bits e stand for 2^(e - 1023), and 2046 - e for its
    // inverse.
    let inverse = |number: f64| f64::from_bits(2046_u64.saturating_sub(number.to_bits() >> 52).max(1) << 52);
    // The scale is limited, so that its product with the gradients' own scale is not infinite. `inverse(0.0)` is
    // 2^1023.
    let largest_scale = grads().fold(1.0, |largest: f64, grads| largest.max(grads.scale().abs()));
    let scale = inverse(largest).min(inverse(0.0) * inverse(largest_scale));
    let norm = squares(scale).sqrt() / scale;
    finite_norm(norm)
}

pub(super) fn finite_norm(norm: f64) -> Result<f64, Error> {
    let overflow = || Error::Overflow { name: "global norm".into(), value: norm, max: f64::MAX };
    if norm.is_finite() { Ok(norm) } else { Err(overflow()) }
}

/// Four vectors of four f64, so that an addition need not wait for the one before it.
const LANES: usize = 16;
/// Long enough that adding the blocks' sums costs next to nothing, and short enough that rounding errors grow only with
/// the logarithm of the length.
const BLOCK: usize = 4096;

fn sum_of_squares<F: Float + Send + Sync + 'static>(slice: &[F], scale: f64) -> f64 {
    // The scale is nearly always 1, and then no value needs to be multiplied. A const generic says so: a constant
    // argument does not reach the loop on wide vectors, which then takes 1.4 times as long. There are two functions,
    // and halves are widened directly to f32, because Rust 1.85 compiles wrong sums of bf16 and f16 for s390x
    // otherwise.
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
    // The first walk collects the lowest branches, which threads sum. The second walk adds these sums along the same
    // tree, so the bits are those of one thread.
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

/// How often a slice is halved to share it among threads.
const DEPTH: u32 = 5;

/// Halves `slice` again and again, at most `depth` times and at most into blocks, and adds up what `leaf` returns for
/// the parts.
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
        // bf16 and f16 are widened in a loop of their own, since that loop vectorises. A part is a whole number of
        // rows, so each value stays in its lane.
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
    // A local copy, since the compiler treats `sums` itself as 16 scalars, which takes five times as long.
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
