/// A hash that never changes: 64-bit FNV-1a, for names that decide something in a run (std's hashes change).
pub fn stable_hash(bytes: &[u8]) -> u64 {
    fnv(bytes.iter().copied())
}

pub(super) fn fnv(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let fold = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.into_iter().fold(0xCBF2_9CE4_8422_2325, fold)
}
