use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator of stream `stream` under the key (`tag`, `seed`, `len`, `epoch`).
pub(crate) fn generator(tag: &[u8; 8], seed: u64, len: u64, epoch: u64, stream: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(tag);
    key[8..16].copy_from_slice(&seed.to_le_bytes());
    key[16..24].copy_from_slice(&len.to_le_bytes());
    key[24..].copy_from_slice(&epoch.to_le_bytes());
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(stream);
    generator
}

/// Of a word of it: uniform in [0, 1), on a grid of 2^-53.
#[inline(always)]
pub(crate) fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1_u64 << 53) as f64
}
