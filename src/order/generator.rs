use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[cfg(feature = "simd")]
use super::chacha::{AT_ONCE, Bytes};

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

/// How many words [`with_bytes`] hands over at once.
pub(super) const BLOCK: usize = 128;

/// Goes through `out` in parts of at most [`BLOCK`] elements, and calls `take` for each part with the next bytes of
/// `generator`, `size` of them for each element.
#[inline(always)]
pub(super) fn with_bytes<T>(
    generator: &mut ChaCha8Rng,
    size: usize,
    out: &mut [T],
    mut take: impl FnMut(&[u8], &mut [T]),
) {
    let mut bytes = [0; 8 * BLOCK];
    let mut fill = |out: &mut [T], fill_bytes: &mut dyn FnMut(&mut [u8])| {
        let bytes = &mut bytes[..size * out.len()];
        fill_bytes(bytes);
        take(bytes, out);
    };
    #[cfg(feature = "simd")]
    let out = {
        const { assert!(4 * BLOCK % AT_ONCE == 0) }; // for the shorter words, of 4 bytes
        // First the elements up to the end of a ChaCha block, since `Bytes` begins with a whole block. Then as many as
        // `Bytes` can give in whole parts. The rest, at the end of this function, is too short for it.
        let before = generator.get_word_pos().wrapping_neg() as usize % 16 * 4 / size;
        let (first, rest) = out.split_at_mut(before.min(out.len()));
        fill(first, &mut |bytes| generator.fill_bytes(bytes));
        let many = rest.len() / BLOCK * BLOCK;
        match (many > 0).then(|| Bytes::of(generator)).flatten() {
            Some(mut ours) => {
                let (many, rest) = rest.split_at_mut(many);
                many.chunks_mut(BLOCK).for_each(|out| fill(out, &mut |bytes| ours.fill_bytes(bytes)));
                ours.leave(generator);
                rest
            }
            // 64-bit words that begin at an odd position never end where a block does.
            None => rest,
        }
    };
    out.chunks_mut(BLOCK).for_each(|out| fill(out, &mut |bytes| generator.fill_bytes(bytes)));
}

/// The uniform number in [0, 1) of a word: a multiple of 2^-53.
#[inline(always)]
pub(crate) fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / (1_u64 << 53) as f64
}
