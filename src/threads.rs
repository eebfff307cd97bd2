//! The only place that knows whether there are threads.

#[cfg(feature = "rayon")]
extern crate std;

/// Up to this length one thread is faster than two.
pub(crate) const PART: usize = 1 << 17;

/// Runs both, side by side with feature `rayon`, one after the other without.
#[cfg(feature = "rayon")]
pub(crate) use rayon::join;

#[cfg(not(feature = "rayon"))]
pub(crate) fn join<A, B>(left: impl FnOnce() -> A, right: impl FnOnce() -> B) -> (A, B) {
    (left(), right())
}

/// Runs `work` on every one of the `count` parts: on this thread, and with feature `rayon` on those of the pool that wake
/// while some are left. Returns when all have ended.
///
/// (`join` from outside the pool sends this thread to sleep until others woke and worked: a step of 2^20 gained nothing.)
pub(crate) fn share<T: Send>(count: usize, parts: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    #[cfg(not(feature = "rayon"))]
    {
        let _ = count;
        parts.for_each(work);
    }
    #[cfg(feature = "rayon")]
    {
        use std::sync::{Mutex, PoisonError};
        let parts = Mutex::new(parts);
        let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
        let run = || {
            while let Some(part) = next() {
                work(part);
            }
        };
        rayon::in_place_scope(|scope| {
            for _ in 1..rayon::current_num_threads().min(count) {
                scope.spawn(|_| run());
            }
            run();
        });
    }
}
