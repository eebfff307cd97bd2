/// A hash that never changes, for names that decide something in a run: 64-bit FNV-1a. (The hashes in std may change.)
///
/// h ← 14695981039346656037, then for each byte b: h ← (h ^ b) · 1099511628211 mod 2^64.
///
/// [`Draws`](crate::Draws) hashes its purpose with it. It makes a seed, a counter or a key
/// ([`Split::by_key`](crate::Split::by_key)) from the name of a patient, a document or a file. Two different names have
/// the same hash with a chance of 2^-64, unless somebody chose them to collide. The hash keeps nothing secret, and its
/// high bits alone are not random: use all 64 bits as a seed or a counter, and never as a draw.
///
/// Cost: one pass with one multiplication per byte; no allocation. (Fowler, Noll, Vo 1991, "FNV-1a"; RFC 9923.)
///
/// # Example
/// ```
/// assert_eq!(gradstep::stable_hash(b"patient 17"), 0x1EA2F029059E6F72);
/// ```
pub fn stable_hash(bytes: &[u8]) -> u64 {
    fnv(bytes.iter().copied())
}

/// [`stable_hash`] of bytes that are not in a slice, so that a list of numbers is hashed without a copy.
pub(super) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let fold = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, fold)
}
