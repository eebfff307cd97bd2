//! How a loop over all values runs, but for the step (which `elementwise` runs): in parts, on wide vectors, and on threads
//! where they pay.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::{
    simd::wide,
    threads::{ONE_THREAD_LEN, PART_LEN, share},
};

/// `work` on each of `parts`, which have at most [`PART_LEN`] values each and `len` in all. `work` is
/// `#[inline(always)]`, so that it is compiled for wide vectors.
#[inline(always)]
pub(crate) fn pass<T: Send>(len: usize, parts: impl DoubleEndedIterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    let work = |part| {
        wide(
            #[inline(always)]
            || work(part),
        )
    };
    if len <= ONE_THREAD_LEN { parts.for_each(work) } else { share(len.div_ceil(PART_LEN), parts, work) }
}

/// [`pass`] over two slices of the same length, side by side.
#[inline(always)]
pub(crate) fn pairs<T: Send, U: Sync>(to: &mut [T], from: &[U], work: impl Fn(&mut [T], &[U]) + Sync) {
    pass(
        to.len(),
        to.chunks_mut(PART_LEN).zip(from.chunks(PART_LEN)),
        #[inline(always)]
        |(to, from)| work(to, from),
    );
}

/// The lengths of several slices together. They may be the same slice again and again, or have elements without a size,
/// and so be more than memory holds: then it stops at `usize::MAX`, which is long enough for threads.
#[inline]
pub(crate) fn total(lens: impl Iterator<Item = usize>) -> usize {
    lens.fold(0, usize::saturating_add)
}

/// How many slices threads share at a time.
pub(crate) const SLICES_AT_ONCE: usize = 32;

/// Hands `slices` to `visit`, [`SLICES_AT_ONCE`] at a time, so that threads can share many short ones without an
/// allocation. `empty` is any slice.
#[inline(always)]
pub(crate) fn together<S: Copy>(slices: impl Iterator<Item = S>, empty: S, mut visit: impl FnMut(&[S])) {
    let (mut some, mut count) = ([empty; SLICES_AT_ONCE], 0);
    for slice in slices {
        some[count] = slice;
        count += 1;
        if count == SLICES_AT_ONCE {
            visit(&some);
            count = 0;
        }
    }
    if count > 0 {
        visit(&some[..count]);
    }
}

/// Whether `holds` for all of `parts`.
#[inline(always)]
pub(crate) fn all<T: Send>(
    len: usize,
    parts: impl DoubleEndedIterator<Item = T> + Send,
    holds: impl Fn(T) -> bool + Sync,
) -> bool {
    let all = AtomicBool::new(true);
    pass(
        len,
        parts,
        #[inline(always)]
        |part| {
            if !holds(part) {
                all.store(false, Relaxed);
            }
        },
    );
    all.into_inner()
}

#[cfg(test)]
mod tests {
    use super::total;

    /// On a 32-bit machine 32 times a slice of 2^27 halves is 2^32 of them.
    #[test]
    fn more_than_memory_holds_is_counted() {
        assert_eq!(total([].into_iter()), 0);
        assert_eq!(total([3, 4].into_iter()), 7);
        assert_eq!(total([usize::MAX / 2 + 1, usize::MAX / 2, 7].into_iter()), usize::MAX);
        assert_eq!(total([usize::MAX / 32 + 1; 32].into_iter()), usize::MAX);
    }
}
