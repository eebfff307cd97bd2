//! The only place that knows whether there are wider vectors.

/// Runs `f`, compiled for the widest vectors that this CPU has (feature `simd`).
///
/// The same operations in the same order: only how many elements go side by side changes, so no bit does.
#[inline(always)]
pub(crate) fn wide<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "simd")]
    return pulp::Arch::new().dispatch(f);
    #[cfg(not(feature = "simd"))]
    f()
}
