//! The only module that knows about threads: with feature `rayon` its functions use several, without it they do all
//! work on the caller's thread.

#[cfg(feature = "rayon")]
extern crate std;

/// Up to this length one thread is faster than two, because waking the second costs more than it saves. In a loop that
/// calls again and again, two threads pay from 2^16 on. But training works for about 1 ms between two calls; the second
/// thread sleeps by then, and waking it takes 20 to 50 µs, as long as the norm of 2^18 values (`benches/pauses.rs`).
pub(crate) const ONE_THREAD_LEN: usize = 1 << 17;

/// How many values a thread takes at a time. It is less than [`ONE_THREAD_LEN`], so that a thread that wakes late still
/// finds a part to work on.
pub(crate) const PART_LEN: usize = ONE_THREAD_LEN / 2;

/// Returns whether rayon can be used; if no pool exists, tries to start the global one. It is asked before each call of
/// rayon, which would panic if the global pool cannot start.
#[cfg(feature = "rayon")]
fn has_pool() -> bool {
    use core::error::Error;
    use std::{panic::catch_unwind, sync::OnceLock};

    static GLOBAL: OnceLock<bool> = OnceLock::new();
    let starts = || match rayon::ThreadPoolBuilder::new().build_global() {
        Ok(()) => true,
        // Only an I/O error has a source: the operating system started no thread.
        Err(error) if error.source().is_some() => false,
        // The program has built the pool, or tried to. rayon tells which only by a panic when the pool is used.
        Err(_) => catch_unwind(rayon::current_num_threads).is_ok(),
    };
    // On wasm rayon runs everything on the caller's thread by itself, but no longer does so after `build_global` has
    // failed.
    cfg!(target_family = "wasm") || rayon::current_thread_index().is_some() || *GLOBAL.get_or_init(starts)
}

/// Returns whether there is no thread to share work with.
pub(crate) fn alone() -> bool {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::current_num_threads() == 1;
    }
    true
}

/// Calls both and returns both results. With feature `rayon` they run at the same time; without it, or if no thread can
/// be started, one after the other.
pub(crate) fn join<A: Send, B: Send>(left: impl FnOnce() -> A + Send, right: impl FnOnce() -> B + Send) -> (A, B) {
    #[cfg(feature = "rayon")]
    if has_pool() {
        return rayon::join(left, right);
    }
    (left(), right())
}

/// Calls `work` with each of the `count` parts: on this thread and, with feature `rayon`, on the threads of the pool
/// that wake while parts are left. Returns when all parts are done.
///
/// This thread takes parts from the front and the others take them from the back, so that in the next pass or step a
/// part is likely to go to the core that has it in its cache. (If each thread just takes the next part, clipping a
/// gradient of 2^20 values takes 1.3 times as long.)
///
/// `join` would not serve: called from outside the pool, it puts this thread to sleep until other threads have woken
/// and done the work, and then a step of 2^20 parameters gains nothing from threads.
pub(crate) fn share<T: Send, I: DoubleEndedIterator<Item = T> + Send>(count: usize, parts: I, work: impl Fn(T) + Sync) {
    #[cfg(feature = "rayon")]
    if has_pool() {
        use std::sync::{Mutex, PoisonError};
        let parts = Mutex::new(parts);
        // A poisoned lock is used as it is, since rayon passes the panic that poisoned it on to the caller.
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

/// Calls `here` on this thread, and `there` on up to `count - 1` others, since more threads than parts would wake for
/// nothing. It is not generic, so that rayon's code is compiled once and not again for every rule.
#[cfg(feature = "rayon")]
fn on_threads(count: usize, here: &(dyn Fn() + Sync), there: &(dyn Fn() + Sync)) {
    rayon::in_place_scope(|scope| {
        for _ in 1..rayon::current_num_threads().min(count) {
            scope.spawn(|_| there());
        }
        here();
    });
}

/// [`share`] for `work` that can fail, and that may call `share` itself, as the step of a long tensor does. All of it
/// runs on threads of the pool: a thread outside, in its own inner `share`, would have to wait for pool threads that
/// are busy with other parts. Returns an error if a part failed; no part is begun after that.
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
        // Called from outside the pool, `join` runs its closures on threads of the pool.
        join(|| share(count, parts, work), || ());
        return rejected.into_inner().unwrap_or_else(PoisonError::into_inner);
    }
    let _ = count;
    parts.try_for_each(work)
}
