//! The only place that knows whether there are threads.

/// Up to this length one thread is faster than two.
pub(crate) const PART: usize = 1 << 17;

/// Runs both, side by side with feature `rayon`, one after the other without.
#[cfg(feature = "rayon")]
pub(crate) use rayon::join;

#[cfg(not(feature = "rayon"))]
pub(crate) fn join<A, B>(left: impl FnOnce() -> A, right: impl FnOnce() -> B) -> (A, B) {
    (left(), right())
}
