//! How functions loop over slices: in parts, on wide vectors, and on several threads if the slices are long enough for
//! that to pay. The step of an optimizer has a loop of its own, `elementwise`.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::{
    simd::wide,
    threads::{ONE_THREAD_LEN, PART_LEN, share},
};

/// Calls `work` with each of `parts`, which have about [`PART_LEN`] values each and `len` together. Mark the closure
/// `#[inline(always)]`: only what is inlined into [`wide`] is compiled for wide vectors.
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

/// [`pass`] over two slices of the same length: `work` gets the same range of both.
#[inline(always)]
pub(crate) fn pairs<T: Send, U: Sync>(to: &mut [T], from: &[U], work: impl Fn(&mut [T], &[U]) + Sync) {
    pass(
        to.len(),
        to.chunks_mut(PART_LEN).zip(from.chunks(PART_LEN)),
        #[inline(always)]
        |(to, from)| work(to, from),
    );
}

/// The sum of the lengths of several slices, or `usize::MAX` if it is larger. It can be larger, since the same slice
/// may be given many times, and elements of size zero take no memory. It only decides how many threads work, so
/// stopping there does no harm.
#[inline]
pub(crate) fn total(lens: impl Iterator<Item = usize>) -> usize {
    lens.fold(0, usize::saturating_add)
}

/// How many slices [`together`] passes on at a time, at most.
pub(crate) const SLICES_AT_ONCE: usize = 32;

/// Calls `visit` with the `slices`, [`SLICES_AT_ONCE`] at a time, so that threads can share many short slices. They are
/// collected in an array, since a list of all of them would need an allocation. `empty` is what the array is filled
/// with at first; `visit` never gets it.
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

/// Returns whether `holds` returns true for each of `parts`.
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
                // `pass` returns after all threads have finished, so no other ordering is needed to see this.
                all.store(false, Relaxed);
            }
        },
    );
    all.into_inner()
}

#[cfg(test)]
mod tests {
    use super::total;

    /// On a 32-bit machine a slice of 2^27 halves takes 2^28 bytes; given 32 times it has 2^32 values, which `usize`
    /// cannot count.
    #[test]
    fn more_than_memory_holds_is_counted() {
        assert_eq!(total([].into_iter()), 0);
        assert_eq!(total([3, 4].into_iter()), 7);
        assert_eq!(total([usize::MAX / 2 + 1, usize::MAX / 2, 7].into_iter()), usize::MAX);
        assert_eq!(total([usize::MAX / 32 + 1; 32].into_iter()), usize::MAX);
    }
}
