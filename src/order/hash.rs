/// A hash that never changes: 64-bit FNV-1a, for names that decide something in a run (std's hashes change).
///
/// h ← 14695981039346656037, then for each byte b: h ← (h ^ b) · 1099511628211 mod 2^64.
///
/// [`Draws`](crate::Draws) hashes its purpose so; a patient's, a document's or a file's name becomes a number to seed
/// with. Names that differ get different hashes, but for a chance of 2^-64 a pair, unless somebody chose them to
/// collide. It is no secret, and its high bits alone are not random: take all 64 as a seed or a counter, not as a draw.
///
/// Cost: one pass, a multiplication a byte; no allocation. (Fowler, Noll, Vo 1991, "FNV-1a"; RFC 9923.)
///
/// # Example
/// ```
/// assert_eq!(gradstep::stable_hash(b"patient 17"), 0x1EA2F029059E6F72);
/// ```
pub fn stable_hash(bytes: &[u8]) -> u64 {
    fnv(bytes.iter().copied())
}

pub(super) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let fold = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, fold)
}
