use num_traits::Float;

use super::finite::check_finite;
use crate::{
    check,
    error::Error,
    float::widen,
    passes::{TOGETHER, together},
    simd::wide,
    threads::{ALONE, share},
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
/// [`Error::NonFinite`] naming the first NaN or infinity, if there is one; [`Error::Number`] if all values are finite
/// but their norm is above the largest f64.
///
/// # Cost
/// One pass; four where the squares leave f64's range. No allocation.
///
/// # Example
/// ```
/// assert_eq!(gradstep::global_norm(&[&[3.0_f32][..], &[0.0, 4.0]])?, 5.0);
/// let norm = gradstep::global_norm(&[[3e200_f64, 4e200]])?; // the squares alone would overflow
/// assert!((norm / 5e200 - 1.0).abs() < 1e-15);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn global_norm<F: Float + Send + Sync + 'static>(grads: &[impl AsRef<[F]>]) -> Result<f64, Error> {
    norm(|| grads.iter().map(AsRef::as_ref), || check_finite(grads))
}

/// The norm of all slices. `check_finite` names the first value that is not finite.
pub(crate) fn norm<'a, F, I>(
    slices: impl Fn() -> I,
    check_finite: impl FnOnce() -> Result<(), Error>,
) -> Result<f64, Error>
where
    F: Float + Send + Sync + 'static,
    I: Iterator<Item = &'a [F]>,
{
    let squares = |scale: f64| {
        let mut sum = 0.0;
        together(slices(), |slices| {
            let mut sums = [0.0; TOGETHER];
            let len: usize = slices.iter().map(|slice| slice.len()).sum();
            let pairs = sums.iter_mut().zip(slices);
            let work = |(sum, slice): (&mut f64, &&[F])| *sum = sum_of_squares(slice, scale);
            if len <= ALONE {
                pairs.for_each(work)
            } else {
                share(slices.len(), pairs, work)
            }
            sums[..slices.len()].iter().for_each(|slice| sum += slice);
        });
        sum
    };
    let sum = squares(1.0);
    // In this range no square was lost that counts.
    if sum > 1e-270 && sum.is_finite() {
        return Ok(sum.sqrt());
    }
    check_finite()?;
    let largest = slices().flatten().fold(0.0, |largest: f64, &g| largest.max(widen(g).abs()));
    if largest == 0.0 {
        return Ok(0.0);
    }
    // The power of two that takes `largest` to about 1: exponent bits e stand for 2^(e - 1023).
    let exponent = largest.to_bits() >> 52;
    let scale = f64::from_bits((2046 - exponent).max(1) << 52);
    let norm = squares(scale).sqrt() / scale;
    check::number("global norm", norm, check::FINITE)
}

/// Four vectors of four f64: additions that do not wait for one another.
const LANES: usize = 16;
/// Long enough that the tree above it costs nothing, and short enough that rounding errors grow with log n only.
const BLOCK: usize = 4096;

fn sum_of_squares<F: Float + Send + Sync + 'static>(slice: &[F], scale: f64) -> f64 {
    let alone = |slice: &[F]| {
        tree(slice, u32::MAX, &mut |block| {
            wide(
                #[inline(always)]
                || block_of_squares(block, scale),
            )
        })
    };
    if slice.len() <= ALONE {
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
fn block_of_squares<F: Float + 'static>(block: &[F], scale: f64) -> f64 {
    let mut sums = [0.0; LANES];
    if size_of::<F>() < size_of::<f32>() {
        // Halves are widened in a loop of their own, where they vectorise.
        let mut wide = [0.0; 16 * LANES];
        for part in block.chunks(wide.len()) {
            wide.iter_mut().zip(part).for_each(|(wide, &g)| *wide = widen(g) as f32);
            add_squares(&mut sums, &wide[..part.len()], scale);
        }
    } else {
        add_squares(&mut sums, block, scale);
    }
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}

#[inline(always)]
fn add_squares<F: Float + 'static>(sums: &mut [f64; LANES], values: &[F], scale: f64) {
    let rows = values.chunks_exact(LANES);
    let rest = rows.remainder();
    // Of their own, or the compiler takes them for 16 scalars: five times as slow.
    let mut lanes = *sums;
    // Two loops: a scale of 1, which is nearly always, spares a multiplication of each value.
    if scale == 1.0 {
        for row in rows {
            add_row(&mut lanes, row, 1.0);
        }
    } else {
        for row in rows {
            add_row(&mut lanes, row, scale);
        }
    }
    *sums = lanes;
    add_row(sums, rest, scale);
}

#[inline(always)]
fn add_row<F: Float + 'static>(sums: &mut [f64; LANES], row: &[F], scale: f64) {
    for (sum, &g) in sums.iter_mut().zip(row) {
        let g = scale * widen(g);
        *sum += g * g;
    }
}
