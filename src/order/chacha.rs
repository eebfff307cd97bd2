//! ChaCha8, eight blocks side by side. With wide vectors this takes three quarters of the time of `rand_chacha`, in
//! which each step has to wait for the one before it.

use rand_chacha::ChaCha8Rng;

use crate::simd::wide;

/// How many bytes are computed at once.
pub(super) const AT_ONCE: usize = 64 * SIDE;
/// How many blocks are computed side by side. A block is 16 numbers, which are 64 bytes.
const SIDE: usize = 8;

/// The bytes that a generator gives from the start of a block on.
pub(super) struct Bytes {
    key: [u32; 8],
    stream: u64,
    /// The number of the next block.
    next: u64,
}

impl Bytes {
    /// The bytes from the position of `generator` on; `None` if that is not the start of a block.
    pub(super) fn of(generator: &ChaCha8Rng) -> Option<Self> {
        let position = generator.get_word_pos();
        let mut key = [0; 8];
        for (number, bytes) in key.iter_mut().zip(generator.get_seed().chunks_exact(4)) {
            *number = u32::from_le_bytes(bytes.first_chunk().copied().unwrap_or_default());
        }
        let bytes = Bytes { key, stream: generator.get_stream(), next: (position / 16) as u64 };
        (position % 16 == 0).then_some(bytes)
    }

    /// Moves `generator` to the first byte that was not taken.
    pub(super) fn leave(self, generator: &mut ChaCha8Rng) {
        generator.set_word_pos(16 * u128::from(self.next));
    }

    /// Writes what `fill_bytes` of the generator would write. The length of `out` is a multiple of [`AT_ONCE`].
    pub(super) fn fill_bytes(&mut self, out: &mut [u8]) {
        for out in out.chunks_exact_mut(AT_ONCE) {
            let mut rows = [[0; SIDE]; 16];
            wide(
                #[inline(always)]
                || blocks(&self.key, self.next, self.stream, &mut rows),
            );
            // Column i of the rows is block i.
            for (i, block) in out.chunks_exact_mut(64).enumerate() {
                for (bytes, row) in block.chunks_exact_mut(4).zip(&rows) {
                    bytes.copy_from_slice(&row[i].to_le_bytes());
                }
            }
            // The block counter has 64 bits and wraps around, as that of `rand_chacha` does.
            self.next = self.next.wrapping_add(SIDE as u64);
        }
    }
}

/// Writes number j of each block to row j, so that a row is filled with one vector.
#[inline(always)]
fn blocks(key: &[u32; 8], first: u64, stream: u64, rows: &mut [[u32; SIDE]; 16]) {
    for i in 0..SIDE {
        let numbers = block(key, first.wrapping_add(i as u64), stream);
        for (row, number) in rows.iter_mut().zip(numbers) {
            row[i] = number;
        }
    }
}

/// One block. It has no loop of its own, so that the compiler turns the loop in [`blocks`] into vectors, each of which
/// holds one number of all eight blocks.
#[inline(always)]
fn block(key: &[u32; 8], number: u64, stream: u64) -> [u32; 16] {
    let [k0, k1, k2, k3, k4, k5, k6, k7] = *key;
    // The constants of the ChaCha standard ("expand 32-byte k"), the key, the number of the block, the stream.
    #[rustfmt::skip]
    let start = [
        0x6170_7865, 0x3320_646E, 0x7962_2D32, 0x6B20_6574, k0, k1, k2, k3, k4, k5, k6, k7,
        number as u32, (number >> 32) as u32, stream as u32, (stream >> 32) as u32,
    ];
    let mut x = start;
    double_round(&mut x);
    double_round(&mut x);
    double_round(&mut x);
    double_round(&mut x);
    core::array::from_fn(|i| x[i].wrapping_add(start[i]))
}

#[inline(always)]
fn double_round(x: &mut [u32; 16]) {
    quarter_round(x, 0, 4, 8, 12);
    quarter_round(x, 1, 5, 9, 13);
    quarter_round(x, 2, 6, 10, 14);
    quarter_round(x, 3, 7, 11, 15);
    quarter_round(x, 0, 5, 10, 15);
    quarter_round(x, 1, 6, 11, 12);
    quarter_round(x, 2, 7, 8, 13);
    quarter_round(x, 3, 4, 9, 14);
}

#[inline(always)]
fn quarter_round(x: &mut [u32; 16], a: usize, b: usize, c: usize, d: usize) {
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(16);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(12);
    x[a] = x[a].wrapping_add(x[b]);
    x[d] = (x[d] ^ x[a]).rotate_left(8);
    x[c] = x[c].wrapping_add(x[d]);
    x[b] = (x[b] ^ x[c]).rotate_left(7);
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Compares the bytes, also where the low half of the block's number overflows, and where all of it does.
    #[test]
    fn is_what_rand_chacha_gives() {
        for block in [0, 1, (1 << 32) - 3, u64::MAX - 9] {
            let mut generator = ChaCha8Rng::from_seed(core::array::from_fn(|i| 7 * i as u8));
            generator.set_stream(0x0123_4567_89AB_CDEF);
            generator.set_word_pos(16 * u128::from(block) + 5);
            assert!(Bytes::of(&generator).is_none());
            generator.set_word_pos(16 * u128::from(block));
            let (mut bytes, mut expected, mut other) = ([0; 2 * AT_ONCE], [0; 2 * AT_ONCE], generator.clone());
            let ours = Bytes::of(&generator).map(|mut ours| {
                ours.fill_bytes(&mut bytes);
                ours.leave(&mut other);
            });
            generator.fill_bytes(&mut expected);
            assert_eq!((ours, bytes), (Some(()), expected), "block {block}");
            assert_eq!((other.next_u32(), other.get_word_pos()), (generator.next_u32(), generator.get_word_pos()));
        }
    }
}
