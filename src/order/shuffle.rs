use alloc::{vec, vec::Vec};
use core::{array, hint::black_box, mem, ops::Range, slice};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{Fill, Order, VERSION, generator::generator};
use crate::{
    check,
    error::Error,
    threads::{self, join, share},
};

/// Every sample once per epoch, in an order that depends on seed, len and epoch only. It is the order of
/// [`Batcher::new`](crate::Batcher::new).
///
/// Given uniform random words, every order is equally likely. But seed and epoch together have 128 bits, so with 35
/// samples or more, most orders can never occur (35! is above 2^128). [`order`](crate::order) describes how the order
/// is made.
///
/// Cost: memory for the epoch, one `usize` per sample, and with more than 2^22 samples at most a hundredth of that as
/// scratch. A few nanoseconds per sample.
///
/// # Example
/// ```
/// use gradstep::{Batcher, Shuffle};
/// assert_eq!(Batcher::over(Shuffle::new(10, 42)?, 4)?, Batcher::new(10, 4, 42)?);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shuffle {
    len: usize,
    seed: u64,
}

impl Shuffle {
    /// The largest `len`: 2^32, and on a 32-bit machine what a table can hold. For more samples use a
    /// [`Permutation`](crate::Permutation), which needs no table.
    pub const MAX_LEN: usize = if usize::BITS > 32 { (u32::MAX as usize).saturating_add(1) } else { usize::MAX / 8 };

    /// The order of `len` samples. Two orders with the same `len` and `seed` are equal: give each data set a [seed of
    /// its own](crate::Batcher::new).
    ///
    /// # Errors
    /// [`Error::Count`] if `len` is 0; [`Error::TooManySamples`] if it is above [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(len: usize, seed: u64) -> Result<Self, Error> {
        check::at_least_one("len", len as u64)?;
        let max = Self::MAX_LEN as u64;
        if len as u64 <= max { Ok(Shuffle { len, seed }) } else { Err(Error::TooManySamples { len: len as u64, max }) }
    }
}

impl Order for Shuffle {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![("shuffle", VERSION), ("len", self.len()), ("seed", self.seed)]
    }

    fn run(&self, _epoch: u64, _place: u64) -> Range<u64> {
        0..self.len()
    }

    fn longest_run(&self) -> u64 {
        self.len()
    }

    fn scratch_len(&self) -> usize {
        scratch_len(self.len)
    }

    fn fill(&self, run: &mut Fill<'_>) {
        if run.out.len() == self.len {
            fill(run.out, run.scratch, b"order v1", self.seed, run.epoch);
        } else {
            // Only an order that wraps this one and names other runs comes here. It gets no valid index, since the
            // order of another length would be silently wrong.
            run.out.fill(usize::MAX);
        }
    }
}

/// Up to this length, an order is one Fisher–Yates shuffle, most of whose exchanges hit the caches. A longer one is
/// shuffled in buckets.
pub(super) const ONE_SHUFFLE: usize = 1 << 20;
/// A bucket has on average at most 2 to this power indices, so that it fits the caches (1 MiB), unless that takes more
/// buckets than [`MAX_BITS`] allows.
const BUCKET_BITS: u32 = 17;
/// There are at most 2 to this power buckets: more streams of writes than that do not fit the caches.
const MAX_BITS: u32 = 10;

/// The indices are cut into this many parts, which threads deal out side by side. There are no more, since each takes
/// 24 KiB of stack, and a few threads already use all of the memory's bandwidth.
const PARTS: usize = 4;

/// Up to 2 to this power buckets, each index is written directly to its bucket. With more buckets, each has a buffer,
/// its *stage*, in which indices wait until many are written at once: the caches of memory and of page addresses hold
/// only so many places, and single writes would miss them.
const DIRECT_BITS: u32 = 5;
/// When this many words of a stage are full, its indices are written to the bucket: 2 KiB at a time.
const STAGE_LEN: usize = 128;
/// Indices are below 2^32, so that a word of a stage holds two on a 64-bit machine.
const PER_WORD: usize = usize::BITS as usize / 32;
/// The length of a stage, with room for what overflows while four indices are dealt out. It is not a power of two,
/// which would put all stages in the same few lines of the first-level cache.
const STAGE_ROOM: usize = STAGE_LEN + 8;
/// How many indices a cache line holds.
const LINE: usize = 8;

/// One number for each bucket.
type Buckets = [usize; 1 << MAX_BITS];

/// The length of scratch with which [`fill`] is fastest.
pub(crate) fn scratch_len(len: usize) -> usize {
    if len <= ONE_SHUFFLE { 0 } else { PARTS * part_scratch_len(bucket_bits(len as u64)) }
}

/// The same for one of the [`PARTS`]: a stage for each bucket, and the number of indices in it.
fn part_scratch_len(bits: u32) -> usize {
    if bits <= DIRECT_BITS { 0 } else { (1 + STAGE_ROOM) << bits }
}

/// Writes the order of version 1 for (`seed`, `indices.len()`, `epoch`) into `indices`. `scratch` may hold anything. If
/// it is shorter than [`scratch_len`], the order is the same but takes longer.
pub(crate) fn fill(indices: &mut [usize], scratch: &mut [usize], tag: &[u8; 8], seed: u64, epoch: u64) {
    let len = indices.len() as u64;
    fill_from(indices, scratch, &|stream| generator(tag, seed, len, epoch, stream));
}

/// Like [`fill`], with the words of `streams`.
pub(super) fn fill_from(indices: &mut [usize], scratch: &mut [usize], streams: &(impl Fn(u64) -> ChaCha8Rng + Sync)) {
    if indices.len() <= ONE_SHUFFLE {
        for (i, index) in indices.iter_mut().enumerate() {
            *index = i;
        }
        shuffle(indices, 0, streams);
    } else {
        fill_in_buckets(indices, scratch, streams);
    }
}

// Not inlined, so that shorter orders do not need its stack.
#[inline(never)]
fn fill_in_buckets(indices: &mut [usize], scratch: &mut [usize], streams: &(impl Fn(u64) -> ChaCha8Rng + Sync)) {
    let bits = bucket_bits(indices.len() as u64);
    let mut ends = [0; 1 << MAX_BITS];
    if threads::alone() {
        scatter(indices, scratch, bits, &mut ends, || streams(0));
    } else {
        // `join` runs it on a thread of the pool, since the caller's thread may not have 100 KiB of stack left.
        join(|| scatter_in_parts(indices, scratch, bits, &mut ends, || streams(0)), || ());
    }
    shuffle_buckets(indices, &ends[..1 << bits], 0, 1, streams);
}

/// The number of buckets is 2 to this power.
fn bucket_bits(len: u64) -> u32 {
    (u64::BITS - (len - 1).leading_zeros() - BUCKET_BITS).min(MAX_BITS)
}

/// Deals the indices 0..len out to 2^bits buckets, each to a random one, and writes to `next` where each bucket ends.
///
/// The same words are drawn twice: first to count the indices of each bucket, then to write them.
fn scatter(
    indices: &mut [usize],
    scratch: &mut [usize],
    bits: u32,
    next: &mut Buckets,
    lanes: impl Fn() -> ChaCha8Rng,
) {
    let len = indices.len();
    count(indices, 0..len, bits, next, lanes());
    let mut start = 0;
    for next in &mut *next {
        // Replaces the size of each bucket by its start, which each write moves on, at last to the bucket's end.
        start += mem::replace(next, start);
    }
    if let Some(stages) = stages(scratch, bits) {
        return deal_by_stages(0..len, stages, bits, lanes(), |bucket, words, count| {
            unpack(words, &mut indices[next[bucket]..][..count]);
            next[bucket] += count;
        });
    }
    each_lanes(0..len, lanes(), |first, lanes| {
        let mut places = [0; 4];
        // All four places are read before an index is written: as long as the CPU does not know where a write goes, it
        // may not read the next place.
        for (place, &lane) in places.iter_mut().zip(lanes) {
            *place = next[bucket(lane, bits)];
            next[bucket(lane, bits)] += 1;
        }
        for (i, place) in places[..lanes.len()].iter().enumerate() {
            indices[*place] = first + i;
        }
    });
}

/// [`scatter`] on several threads: each takes a part of 0..len, counts it, and then deals it out to its own places in
/// each bucket. In a bucket the parts follow each other, so that the order is that of one thread.
#[inline(never)]
fn scatter_in_parts(
    indices: &mut [usize],
    scratch: &mut [usize],
    bits: u32,
    ends: &mut Buckets,
    lanes: impl Fn() -> ChaCha8Rng + Sync,
) {
    let len = indices.len();
    // Four indices share a word.
    let part_len = len.div_ceil(PARTS).next_multiple_of(4);
    let range = |part: usize| part * part_len..len.min((part + 1) * part_len);

    let mut counts = [[0; 1 << MAX_BITS]; PARTS];
    // Until the indices are written, their memory is free: each part counts in its own piece of it.
    let parts = indices.chunks_mut(part_len).zip(&mut counts).enumerate();
    share(PARTS, parts, |(part, (scratch, counts))| count(scratch, range(part), bits, counts, lanes()));

    let mut places = [const { [const { None::<slice::IterMut<usize>> }; 1 << MAX_BITS] }; PARTS];
    let (mut end, mut rest) = (0, indices);
    for bucket in 0..1 << bits {
        for part in 0..PARTS {
            let count = counts[part][bucket];
            let (first, others) = rest.split_at_mut(count);
            (places[part][bucket], rest) = (Some(first.iter_mut()), others);
            end += count;
        }
        ends[bucket] = end;
    }
    let mut scratches = scratch.chunks_exact_mut(part_scratch_len(bits).max(1));
    let parts = places.iter_mut().map(|places| (places, scratches.next().unwrap_or_default())).enumerate();
    share(PARTS, parts, |(part, (places, scratch))| {
        if let Some(stages) = stages(scratch, bits) {
            return deal_by_stages(range(part), stages, bits, lanes(), |bucket, words, count| {
                let rest = places[bucket].take().unwrap_or_default().into_slice();
                let (first, others) = rest.split_at_mut(count);
                unpack(words, first);
                places[bucket] = Some(others.iter_mut());
            });
        }
        each_lanes(range(part), lanes(), |first, lanes| {
            for (i, &lane) in lanes.iter().enumerate() {
                if let Some(place) = places[bucket(lane, bits)].as_mut().and_then(Iterator::next) {
                    *place = first + i;
                }
            }
        });
    });
}

/// The counts and the stages in `scratch`. `None` with few buckets, and if an order that wraps this one asked for less
/// than [`scratch_len`].
fn stages(scratch: &mut [usize], bits: u32) -> Option<(&mut [usize], &mut [usize])> {
    scratch.get_mut(..part_scratch_len(bits))?.split_at_mut_checked(1 << bits)
}

/// Deals the indices of `range` out to the buckets by way of their stages. `write` gets a bucket, words with its next
/// indices, and how many indices these are.
#[inline(always)]
fn deal_by_stages(
    range: Range<usize>,
    (counts, stages): (&mut [usize], &mut [usize]),
    bits: u32,
    lanes: ChaCha8Rng,
    mut write: impl FnMut(usize, &[usize], usize),
) {
    const FULL: usize = STAGE_LEN * PER_WORD;
    counts.fill(0);
    each_lanes(range, lanes, |first, lanes| {
        let mut places = [0; 4];
        for (place, &lane) in places.iter_mut().zip(lanes) {
            *place = counts[bucket(lane, bits)];
            counts[bucket(lane, bits)] += 1;
        }
        for (i, (place, &lane)) in places.iter().zip(lanes).enumerate() {
            push(&mut stages[bucket(lane, bits) * STAGE_ROOM + place / PER_WORD], first + i);
        }
        for (place, &lane) in places.iter().zip(lanes) {
            let bucket = bucket(lane, bits);
            // Several of the four indices may go to one bucket. Once it is written, the second comparison is false for
            // the rest.
            if *place >= FULL - 1 && counts[bucket] >= FULL {
                let stage = &mut stages[bucket * STAGE_ROOM..][..STAGE_ROOM];
                write(bucket, &stage[..STAGE_LEN], FULL);
                stage.copy_within(STAGE_LEN..STAGE_LEN + 4, 0);
                counts[bucket] -= FULL;
            }
        }
    });
    for (bucket, (stage, &count)) in stages.chunks_exact_mut(STAGE_ROOM).zip(&*counts).enumerate() {
        // If the last word has only one index, that is in the high half, until a second one moves it to the low half.
        if count % PER_WORD > 0 {
            push(&mut stage[count / PER_WORD], 0);
        }
        write(bucket, stage, count);
    }
}

/// Adds an index to a word. The first index goes to the high half; the second one moves it to the low half.
#[inline(always)]
fn push(word: &mut usize, index: usize) {
    *word = if PER_WORD == 2 { word.wrapping_shr(32) | index.wrapping_shl(32) } else { index };
}

/// Fills `places` with the first indices in `words`.
#[inline(always)]
fn unpack(words: &[usize], places: &mut [usize]) {
    let (mut whole, mut words) = (places.chunks_exact_mut(PER_WORD), words.iter());
    // `zip` asks `whole` first. The other way round, it would take a word, find no whole chunk, and lose the word.
    for (places, &word) in whole.by_ref().zip(words.by_ref()) {
        for (place, shift) in places.iter_mut().zip([0, 32]) {
            *place = (word as u64 >> shift) as u32 as usize;
        }
    }
    for (place, &word) in whole.into_remainder().iter_mut().zip(words) {
        *place = word as u32 as usize;
    }
}

/// The bucket of an index whose lane is `lane`. The remainder changes nothing, but shows the compiler that the result
/// is in bounds.
#[inline(always)]
fn bucket(lane: u16, bits: u32) -> usize {
    usize::from(lane >> (16 - bits)) % (1 << MAX_BITS)
}

/// Counts how many indices of `range` each bucket gets.
///
/// Each bucket has four counts, so that no addition waits for the one before it. They are in `scratch`, since 32 KiB
/// are more than the stacks of some threads have left.
fn count(scratch: &mut [usize], range: Range<usize>, bits: u32, counts: &mut Buckets, generator: ChaCha8Rng) {
    let fours = &mut scratch[..4 << MAX_BITS];
    fours.fill(0);
    each_lanes(range, generator, |_, lanes| {
        for (i, &lane) in lanes.iter().enumerate() {
            fours[4 * bucket(lane, bits) + i % 4] += 1;
        }
    });
    for (count, fours) in counts.iter_mut().zip(fours.chunks_exact(4)) {
        *count = fours.iter().sum();
    }
}

/// Goes through `range` in steps of four indices (at its end perhaps fewer), and calls `visit` with the first of them
/// and the lanes of all. `range` starts at a multiple of 4. `generator` has the stream of the lanes, at any position.
#[inline(always)]
fn each_lanes(range: Range<usize>, mut generator: ChaCha8Rng, mut visit: impl FnMut(usize, &[u16])) {
    generator.set_word_pos(range.start as u128 / 2); // an index takes half a word of 32 bits
    for first in range.clone().step_by(4) {
        let word = generator.next_u64();
        let lanes: [u16; 4] = array::from_fn(|i| (word >> (16 * i)) as u16);
        if first + 4 <= range.end {
            visit(first, &lanes);
        } else {
            visit(first, &lanes[..range.end - first]);
        }
    }
}

/// Shuffles each bucket. `indices` are those of the whole order from `start` on, `ends` says where in the whole order
/// each bucket ends, and the first bucket is shuffled from stream `stream`.
///
/// It calls itself for each half of the buckets, so that threads can share them; this is at most `MAX_BITS` levels
/// deep.
fn shuffle_buckets(
    indices: &mut [usize],
    ends: &[usize],
    start: usize,
    stream: u64,
    streams: &(impl Fn(u64) -> ChaCha8Rng + Sync),
) {
    if let [_] = ends {
        // Reads the bucket from end to end, which the CPU can fetch ahead, so that the bucket is in the caches before
        // the random exchanges.
        black_box(indices.iter().step_by(LINE).fold(0, |all, index| all | index));
        return shuffle(indices, stream, streams);
    }
    let (left_ends, right_ends) = ends.split_at(ends.len() / 2);
    let middle = left_ends[left_ends.len() - 1];
    let (left, right) = indices.split_at_mut(middle - start);
    let right_stream = stream + left_ends.len() as u64;
    join(
        || shuffle_buckets(left, left_ends, start, stream, streams),
        || shuffle_buckets(right, right_ends, middle, right_stream, streams),
    );
}

/// Fisher–Yates from the end, several indices drawn from one word (Brackett-Rozinsky and Lemire 2024).
// Inlined, it would put a generator on the stack at each level of `shuffle_buckets`.
#[inline(never)]
pub(super) fn shuffle(indices: &mut [usize], stream: u64, streams: &impl Fn(u64) -> ChaCha8Rng) {
    let generator = &mut streams(stream);
    let mut left = indices.len();
    // Up to 2^30 the product of the bounds is at most 2^60, so that a word is seldom rejected.
    swap_down::<2>(indices, &mut left, 1 << 20, generator);
    swap_down::<3>(indices, &mut left, 1 << 15, generator);
    swap_down::<4>(indices, &mut left, 1 << 12, generator);
    swap_down::<5>(indices, &mut left, 1 << 10, generator);
    swap_down::<6>(indices, &mut left, 6, generator);
    swap_down::<1>(indices, &mut left, 1, generator);
}

/// While more than `until` indices are left: swaps each of the last `K`, one after the other, with a random one at or
/// before it.
#[inline(always)]
fn swap_down<const K: usize>(indices: &mut [usize], left: &mut usize, until: usize, generator: &mut ChaCha8Rng) {
    while *left > until {
        let rest = &mut indices[..*left];
        let with = draw::<K>(rest.len() as u64, generator);
        for (k, with) in with.into_iter().enumerate() {
            rest.swap(rest.len() - 1 - k, with as usize);
        }
        *left -= K;
    }
}

/// Uniform draws below `bound`, `bound - 1`, …, `bound - K + 1`, all from one word.
///
/// A word w stands for the fraction w/2^64. Times the bound, its integer part is a draw, and its fractional part is the
/// fraction for the next draw. The last fractional part tells whether the word is one of the 2^64 mod (product of the
/// bounds) words that would make some draws likelier than others. Such a word is rejected, and the next one is taken.
#[inline(always)]
pub(super) fn draw<const K: usize>(bound: u64, generator: &mut ChaCha8Rng) -> [u64; K] {
    let product = (0..K as u64).fold(1_u64, |product, k| product * (bound - k));
    loop {
        let mut rest = generator.next_u64();
        let draws = core::array::from_fn(|k| {
            let wide = u128::from(rest) * u128::from(bound - k as u64);
            rest = wide as u64;
            (wide >> 64) as u64
        });
        // The first comparison is nearly always true, and then there is no division.
        if rest >= product || rest >= product.wrapping_neg() % product {
            return draws;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// A word gives two draws only above 2^20 indices, and a bucket is that long only in an order above 2^30.
    #[test]
    fn value_stability_of_a_bucket_above_2_to_the_20() {
        let mut indices: Vec<usize> = (0..(1 << 20) + 5).collect();
        shuffle(&mut indices, 1, &|stream| generator(b"order v1", 42, 7, 3, stream));
        // The FNV-1a hash of all indices, each as 8 bytes; tests/data/order.py prints it.
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        let bytes = indices.iter().flat_map(|&index| (index as u64).to_le_bytes());
        assert_eq!(bytes.fold(0xCBF2_9CE4_8422_2325, fold), 0x9EB9_8FE3_A97A_FE0D);
    }

    /// Up to 2^22 samples an order needs no scratch. With more, neither less scratch nor other numbers in it change the
    /// order. In epoch 10, on one thread and on several, a stage has a single index at the end.
    #[test]
    fn value_stability_whatever_the_scratch() {
        for (len, expected) in [((1 << 22), 0), ((1 << 22) + 3, (PARTS * (1 + STAGE_ROOM)) << 6)] {
            assert_eq!(scratch_len(len), expected, "scratch for {len}");
            let order = |mut scratch: Vec<usize>| {
                let mut indices = vec![usize::MAX; len];
                fill(&mut indices, &mut scratch, b"order v1", 42, 10);
                indices
            };
            let without = order(Vec::new());
            for (len, number) in [(expected, 0), (expected, usize::MAX), (expected / PARTS * 2 + 5, 1 << 31)] {
                assert!(order(vec![number; len]) == without, "{len} numbers {number}");
            }
        }
    }

    #[test]
    fn value_stability_of_the_number_of_buckets() {
        let lens = [(1 << 20) + 1, 1 << 21, (1 << 21) + 1, 1 << 26, (1 << 26) + 1, (1 << 27) + 1, 1 << 32];
        assert_eq!(lens.map(bucket_bits), [4, 4, 5, 9, 10, 10, 10]);
    }
}
