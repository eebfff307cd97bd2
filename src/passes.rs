//! How a loop over all values runs, but for the step (which `elementwise` runs): in parts, on wide vectors, and on threads
//! where they pay.

use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::{
    simd::wide,
    threads::{ONE_THREAD_LEN, PART_LEN, share},
};

/// `work` on each of `parts`, which have at most [`PART_LEN`] values each and `len` in all. `work` is `#[inline(always)]`, so
/// that it is compiled for wide vectors.
#[inline(always)]
pub(crate) fn pass<T: Send>(len: usize, parts: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
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
    parts: impl Iterator<Item = T> + Send,
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
