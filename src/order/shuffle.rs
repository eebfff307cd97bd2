use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::words::words;
use crate::threads::join;

/// Up to this length one Fisher–Yates shuffle, most of whose exchanges hit the caches; above it, buckets.
const ONE_SHUFFLE: usize = 1 << 20;
/// A bucket has on average at most 2 to this power indices, so that it fits the caches (1 MiB), as long as ...
const BUCKET_BITS: u32 = 17;
/// ... there are no more than 2 to this power of buckets: more write streams than that outgrow the caches.
const MAX_BITS: u32 = 10;

/// One number a bucket.
type Buckets = [usize; 1 << MAX_BITS];

/// Writes the order of version 1 for (`seed`, `indices.len()`, `epoch`) into `indices`.
pub(crate) fn fill(indices: &mut [usize], seed: u64, epoch: u64) {
    let len = indices.len();
    let words = |stream| words(b"order v1", seed, len as u64, epoch, stream);
    if len <= ONE_SHUFFLE {
        for (i, index) in indices.iter_mut().enumerate() {
            *index = i;
        }
        shuffle(indices, 0, &words);
    } else {
        fill_in_buckets(indices, &words);
    }
}

// Its 8 KiB of stack are not for shorter orders.
#[inline(never)]
fn fill_in_buckets(indices: &mut [usize], words: &(impl Fn(u64) -> ChaCha8Rng + Sync)) {
    let bits = bucket_bits(indices.len() as u64);
    let mut ends = [0; 1 << MAX_BITS];
    scatter(indices, bits, &mut ends, || words(0));
    shuffle_buckets(indices, &ends[..1 << bits], 0, 1, words);
}

/// How many buckets there are, as a power of two.
fn bucket_bits(len: u64) -> u32 {
    (u64::BITS - (len - 1).leading_zeros() - BUCKET_BITS).min(MAX_BITS)
}

/// Deals 0..len out to 2^bits buckets, each index to a random one, and writes where each bucket ends to `next`.
fn scatter(indices: &mut [usize], bits: u32, next: &mut Buckets, words: impl Fn() -> ChaCha8Rng) {
    let bucket = |lane: u16| usize::from(lane >> (16 - bits)) % (1 << MAX_BITS);

    // The same draws twice: first to learn the sizes, then to place. Four counts, so that no add waits for the last;
    // in the table itself, since 32 KiB are more than some threads' stacks have.
    let len = indices.len();
    let counts = &mut indices[..4 << MAX_BITS];
    counts.fill(0);
    each_lanes(len, words(), |_, lanes| {
        for (i, &lane) in lanes.iter().enumerate() {
            counts[4 * bucket(lane) + i % 4] += 1;
        }
    });
    let mut start = 0;
    for (next, counts) in next.iter_mut().zip(counts.chunks_exact(4)) {
        *next = start;
        start += counts.iter().sum::<usize>();
    }
    each_lanes(len, words(), |first, lanes| {
        for (i, &lane) in lanes.iter().enumerate() {
            let next = &mut next[bucket(lane)];
            indices[*next] = first + i;
            *next += 1;
        }
    });
}

/// Calls `visit` with the first index and the lanes of up to four indices, for all of 0..len.
fn each_lanes(len: usize, mut words: ChaCha8Rng, mut visit: impl FnMut(usize, &[u16])) {
    for first in (0..len).step_by(4) {
        let word = words.next_u64();
        let lanes: [u16; 4] = core::array::from_fn(|i| (word >> (16 * i)) as u16);
        if first + 4 <= len {
            visit(first, &lanes);
        } else {
            visit(first, &lanes[..len - first]);
        }
    }
}

/// Shuffles each of the buckets that end at `ends`, counted from `start` in `indices`; the first is on stream `stream`.
/// In halves, so at most `MAX_BITS` levels deep.
fn shuffle_buckets(
    indices: &mut [usize],
    ends: &[usize],
    start: usize,
    stream: u64,
    words: &(impl Fn(u64) -> ChaCha8Rng + Sync),
) {
    if let [_] = ends {
        return shuffle(indices, stream, words);
    }
    let (left_ends, right_ends) = ends.split_at(ends.len() / 2);
    let middle = left_ends[left_ends.len() - 1];
    let (left, right) = indices.split_at_mut(middle - start);
    let right_stream = stream + left_ends.len() as u64;
    join(
        || shuffle_buckets(left, left_ends, start, stream, words),
        || shuffle_buckets(right, right_ends, middle, right_stream, words),
    );
}

/// Fisher–Yates from the end, several indices drawn from one word (Brackett-Rozinsky and Lemire 2024).
// Inlined, it would put a generator on the stack at each level of `shuffle_buckets`.
#[inline(never)]
fn shuffle(indices: &mut [usize], stream: u64, words: &impl Fn(u64) -> ChaCha8Rng) {
    let words = &mut words(stream);
    let mut left = indices.len();
    // Up to 2^30 the product of the bounds is at most 2^60, so that a word is seldom drawn again.
    swap_down::<2>(indices, &mut left, 1 << 20, words);
    swap_down::<3>(indices, &mut left, 1 << 15, words);
    swap_down::<4>(indices, &mut left, 1 << 12, words);
    swap_down::<5>(indices, &mut left, 1 << 10, words);
    swap_down::<6>(indices, &mut left, 6, words);
    swap_down::<1>(indices, &mut left, 1, words);
}

/// While more than `until` are left: swaps the last `K` of them, one after the other, with one at or before it.
#[inline(always)]
fn swap_down<const K: usize>(indices: &mut [usize], left: &mut usize, until: usize, words: &mut ChaCha8Rng) {
    while *left > until {
        let rest = &mut indices[..*left];
        let with = draw::<K>(rest.len() as u64, words);
        for (k, with) in with.into_iter().enumerate() {
            rest.swap(rest.len() - 1 - k, with as usize);
        }
        *left -= K;
    }
}

/// Uniform draws below `bound`, `bound - 1`, …, `bound - K + 1`, all from one word.
///
/// A word is a fraction w/2^64; times the bound, its whole part is a draw and the rest is a fraction again.
/// The last rest tells whether the word is one of the 2^64 mod (product of the bounds) that would make some draws
/// likelier than others; then the next word is taken.
#[inline(always)]
pub(super) fn draw<const K: usize>(bound: u64, words: &mut ChaCha8Rng) -> [u64; K] {
    let product = (0..K as u64).fold(1_u64, |product, k| product * (bound - k));
    loop {
        let mut rest = words.next_u64();
        let draws = core::array::from_fn(|k| {
            let wide = u128::from(rest) * u128::from(bound - k as u64);
            rest = wide as u64;
            (wide >> 64) as u64
        });
        if rest >= product || rest >= product.wrapping_neg() % product {
            return draws;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// From the outside, two draws to a word are seen only above 2^30.
    #[test]
    fn value_stability_of_a_bucket_above_2_to_the_20() {
        let mut indices: Vec<usize> = (0..(1 << 20) + 5).collect();
        shuffle(&mut indices, 1, &|stream| words(b"order v1", 42, 7, 3, stream));
        // FNV-1a over each index as 8 bytes; tests/data/order.py prints it.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        let bytes = indices.iter().flat_map(|&index| (index as u64).to_le_bytes());
        assert_eq!(bytes.fold(0xCBF2_9CE4_8422_2325, fold), 0x9EB9_8FE3_A97A_FE0D);
    }

    #[test]
    fn value_stability_of_the_number_of_buckets() {
        let lens = [(1 << 20) + 1, 1 << 21, (1 << 21) + 1, 1 << 26, (1 << 26) + 1, (1 << 27) + 1, 1 << 32];
        assert_eq!(lens.map(bucket_bits), [4, 4, 5, 9, 10, 10, 10]);
    }
}
