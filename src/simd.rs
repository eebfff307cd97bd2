//! The only module that knows about SIMD; all loops on wide vectors go through [`wide`].

/// Calls `f`, which with feature `simd` is compiled for the widest vectors that this CPU has and pulp is built for.
/// `f`, and all that it calls, must be `#[inline(always)]` for that.
///
/// The result is the same to the bit: each element gets the same operations in the same order, and only the number of
/// elements that one instruction processes changes.
#[inline(always)]
pub(crate) fn wide<R>(f: impl FnOnce() -> R) -> R {
    #[cfg(feature = "simd")]
    return pulp::Arch::new().dispatch(f);
    #[cfg(not(feature = "simd"))]
    f()
}
