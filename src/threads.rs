//! The only place that knows whether there are threads.

#[cfg(feature = "rayon")]
extern crate std;

/// Up to this length one thread is faster than two: waking the other costs more than it takes over. Where calls follow each
/// other at once, two would pay from 2^16 on. But a program that works 1 ms between two calls, as training does, waits 20 to
/// 50 µs for a thread that sleeps, which is what a norm of 2^18 takes (`benches/pauses.rs`).
pub(crate) const ONE_THREAD_LEN: usize = 1 << 17;

/// What a thread takes at a time: less than a thread is woken for, so that one that wakes late finds something left.
pub(crate) const PART_LEN: usize = ONE_THREAD_LEN / 2;

/// Whether there are threads to work beside this one. rayon itself would panic where its global pool cannot start.
#[cfg(feature = "rayon")]
fn has_pool() -> bool {
    use core::error::Error;
    use std::{panic::catch_unwind, sync::OnceLock};

    static GLOBAL: OnceLock<bool> = OnceLock::new();
    let starts = || match rayon::ThreadPoolBuilder::new().build_global() {
        Ok(()) => true,
        // No thread could be started.
        Err(error) if error.source().is_some() => false,
        // It was built before: with success or not, this is the only way to ask.
        Err(_) => catch_unwind(rayon::current_num_threads).is_ok(),
    };
    // On wasm rayon falls back on the caller's thread by itself, but not after an attempt of ours.
    cfg!(target_family = "wasm") || rayon::current_thread_index().is_some() || *GLOBAL.get_or_init(starts)
}

/// Whether all runs on this thread.
pub(crate) fn alone() -> bool {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::current_num_threads() == 1;
    }
    true
}

/// Runs both, side by side with feature `rayon`, one after the other without or where no thread starts.
pub(crate) fn join<A: Send, B: Send>(left: impl FnOnce() -> A + Send, right: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::join(left, right);
    }
    (left(), right())
}

/// Runs `work` on every one of the `count` parts: on this thread, and with feature `rayon` on those of the pool that wake
/// while some are left. Returns when all have ended.
///
/// This thread begins at the first part and the others at the last, so that a part is likely to meet, in the next pass or
/// the next step, the core whose cache has it. (At 2^20 parameters a clipped gradient took 1.3 times as long where parts
/// went to whoever asked.)
///
/// (Not by `join`: called from outside the pool, it puts this thread to sleep until others have woken and worked. A step of
/// 2^20 gained nothing.)
pub(crate) fn share<T: Send, I: DoubleEndedIterator<Item = T> + Send>(count: usize, parts: I, work: impl Fn(T) + Sync) {
    #[cfg(feature = "rayon")]
    if has_pool() {
        use std::sync::{Mutex, PoisonError};
        let parts = Mutex::new(parts);
        let take = |next: fn(&mut I) -> Option<T>| next(&mut parts.lock().unwrap_or_else(PoisonError::into_inner));
        let run = |next| {
            while let Some(part) = take(next) {
                work(part);
            }
        };
        return on_threads(count, &|| run(I::next), &|| run(I::next_back));
    }
    let _ = count;
    parts.for_each(work);
}

/// `here` on this thread and `there` on up to `count - 1` others. Not generic, so that rayon's part is compiled once and not
/// for every rule.
#[cfg(feature = "rayon")]
fn on_threads(count: usize, here: &(dyn Fn() + Sync), there: &(dyn Fn() + Sync)) {
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads().min(count) {
            scope.spawn(|_| there());
        }
        here();
    });
}

/// [`share`] of work that may fail, and whose parts may be shared again: all of it on threads of the pool, since a thread
/// outside would wait for helpers that are busy with other parts. After an error no part is begun.
pub(crate) fn try_share<T: Send, E: Send>(
    count: usize,
    mut parts: impl DoubleEndedIterator<Item = T> + Send,
    work: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    #[cfg(feature = "rayon")]
    if !alone() {
        use std::sync::{Mutex, PoisonError};
        let rejected = Mutex::new(Ok(()));
        let lock = || rejected.lock().unwrap_or_else(PoisonError::into_inner);
        let work = |part| {
            if lock().is_ok() {
                if let Err(error) = work(part) {
                    *lock() = Err(error);
                }
            }
        };
        join(|| share(count, parts, work), || ());
        return rejected.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
    let _ = count;
    parts.try_for_each(work)
}
