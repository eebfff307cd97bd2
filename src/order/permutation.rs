use alloc::{vec, vec::Vec};
use core::{array, ops::Range};

use rand::Rng;

use super::{Fill, Order, VERSION, generator::generator};
use crate::{
    check,
    error::{Error, Relation},
    simd::wide,
};

/// How many indices go through the rounds side by side, so that the compiler makes vectors of them.
const LANES: usize = 32;
const ROUNDS: usize = 8;

/// A shuffled order without a table, for sets that are too large for one. It directly computes the sample at any place,
/// and the place of any sample.
///
/// A pure function of (`len`, `seed`, `epoch`) in constant memory. [`Batcher::over`](crate::Batcher::over) makes
/// batches of it. Without a batcher, [`at_epoch`](Permutation::at_epoch) chooses the epoch, [`get`](Permutation::get)
/// returns the sample at a place, and [`place`](Permutation::place) the place of a sample.
///
/// It is **pseudorandom, not exactly uniform**: no test here tells it from a random order, but its keys have 504 bits,
/// far too few for all len! orders. [`Shuffle`](crate::Shuffle) is exactly uniform, given uniform random words: use it
/// wherever its table (8 bytes per sample) fits. A set smaller than [`MIN_LEN`](Permutation::MIN_LEN) is rejected.
/// [`order`](crate::order) describes the algorithm.
///
/// Cost: per place, eight rounds of a few operations, whatever `len` is; a batch computes many places side by side (on
/// wider vectors with feature `simd`). Each batch also computes the keys of its epoch, from 256 bytes of ChaCha8. No
/// allocation.
///
/// # Example
/// ```
/// use gradstep::{Batcher, Permutation};
///
/// let order = Permutation::new(1_000_000_000_000, 42)?; // a trillion samples, seed 42
/// let mut stream = Batcher::over(order, 128)?.stream(); // a batch in memory, not a table
/// for _step in 0..3 {
///     for &i in stream.next_batch().expect("the first epoch") { /* load sample i */ }
/// }
/// let third = order.at_epoch(3);
/// let place = third.place(123_456_789).expect("below len");
/// assert_eq!(third.get(place), Some(123_456_789)); // so batch `place / 128` sees sample 123,456,789
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permutation {
    len: u64,
    seed: u64,
    epoch: u64,
    /// An index is `left * right_len + right`, with `left < left_len` and `right < right_len`.
    left_len: u32,
    right_len: u32,
    /// The keys of the rounds in epoch `epoch`.
    keys: [Key; ROUNDS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u32, u32);

impl Key {
    /// A pseudorandom number below `bound`, which depends only on this key and `half`.
    #[inline(always)]
    fn hash(self, half: u32, bound: u32) -> u32 {
        // Both factors are odd, so that no product maps two numbers to one.
        let mut hash = (half ^ self.0).wrapping_mul(0x9E37_79B9); // 2^32 / golden ratio
        hash ^= hash >> 15;
        hash = hash.wrapping_mul(self.1);
        hash ^= hash >> 16;
        ((u64::from(hash) * u64::from(bound)) >> 32) as u32
    }
}

/// `(a + b) mod m` for a < m and b <= m <= 2^31, without a branch: if a + b < m, then a + b - m wraps around and is the
/// larger of the two.
#[inline(always)]
fn add_mod(a: u32, b: u32, m: u32) -> u32 {
    (a + b).min((a + b).wrapping_sub(m))
}

/// `(a - b) mod m` for a < m and b < m <= 2^31.
fn sub_mod(a: u32, b: u32, m: u32) -> u32 {
    add_mod(a, m - b, m)
}

impl Permutation {
    /// The smallest `len`.
    pub const MIN_LEN: u64 = 1 << 16;
    /// The largest `len`.
    pub const MAX_LEN: u64 = 1 << 62;

    /// The order of `len` samples for this seed. In [`get`](Self::get) and [`place`](Self::place) it is that of epoch
    /// 0; [`at_epoch`](Self::at_epoch) returns it at another epoch.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`] if `len` is below [`MIN_LEN`](Self::MIN_LEN): use a [`Shuffle`](crate::Shuffle) then;
    /// [`Error::Count`] if it is above [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(len: u64, seed: u64) -> Result<Self, Error> {
        if len < Self::MIN_LEN {
            return Err(Error::TooFewSamples { len, min: Self::MIN_LEN });
        }
        check::count("len", len, Relation::AtMost, Self::MAX_LEN, "")?;
        // Even, since a rotation of an odd number of things is an even permutation: if both lengths were odd, half of
        // all orders could never occur.
        let root = ((len - 1).isqrt() + 1).next_multiple_of(2);
        let (left_len, right_len) = (root as u32, len.div_ceil(root) as u32);
        Ok(Permutation { len, seed, epoch: 0, left_len, right_len, keys: [Key(0, 0); ROUNDS] }.at_epoch(0))
    }

    /// The same order, at epoch `epoch` for [`get`](Self::get) and [`place`](Self::place).
    pub fn at_epoch(&self, epoch: u64) -> Self {
        let mut generator = generator(b"permut 1", self.seed, self.len, epoch, 0);
        Permutation { epoch, keys: array::from_fn(|_| Key(generator.next_u32(), generator.next_u32() | 1)), ..*self }
    }

    /// The sample at `place`; `None` if `place` is not below `len`.
    pub fn get(&self, place: u64) -> Option<u64> {
        let right_len = u64::from(self.right_len);
        // The grid may have a few more indices than `len`. If the rounds return one of these, they are applied again,
        // until the cycle comes to an index below `len`; so this is a bijection of 0..len.
        let mut index = (place < self.len).then_some(place)?;
        loop {
            let (mut left, mut right) = ([(index / right_len) as u32], [(index % right_len) as u32]);
            self.rounds(&mut left, &mut right);
            index = u64::from(left[0]) * right_len + u64::from(right[0]);
            if index < self.len {
                return Some(index);
            }
        }
    }

    /// The place of `sample`, so that `get(place(sample)) = sample`; `None` if `sample` is not below `len`.
    pub fn place(&self, sample: u64) -> Option<u64> {
        let right_len = u64::from(self.right_len);
        let mut index = (sample < self.len).then_some(sample)?;
        loop {
            let (mut left, mut right) = ((index / right_len) as u32, (index % right_len) as u32);
            // The rounds of `get` backwards.
            for [to_left, to_right] in self.key_pairs().rev() {
                right = sub_mod(right, to_right.hash(left, self.right_len), self.right_len);
                left = sub_mod(left, to_left.hash(right, self.left_len), self.left_len);
            }
            index = u64::from(left) * right_len + u64::from(right);
            if index < self.len {
                return Some(index);
            }
        }
    }

    fn key_pairs(&self) -> impl DoubleEndedIterator<Item = [Key; 2]> {
        self.keys.chunks_exact(2).map(|pair| [pair[0], pair[1]])
    }

    #[inline(always)]
    fn rounds<const N: usize>(&self, left: &mut [u32; N], right: &mut [u32; N]) {
        for [to_left, to_right] in self.key_pairs() {
            for lane in 0..N {
                left[lane] = add_mod(left[lane], to_left.hash(right[lane], self.left_len), self.left_len);
            }
            for lane in 0..N {
                right[lane] = add_mod(right[lane], to_right.hash(left[lane], self.right_len), self.right_len);
            }
        }
    }

    #[inline(always)]
    fn fill_lanes(&self, start: u64, out: &mut [usize]) {
        let right_len = u64::from(self.right_len);
        // The halves of the first index of a chunk. They are carried on from chunk to chunk, so that a call takes one
        // division.
        let (mut first_left, mut first_right) = ((start / right_len) as u32, (start % right_len) as u32);
        let mut place = start;
        for chunk in out.chunks_mut(LANES) {
            let mut left = [first_left; LANES];
            let mut right = [first_right; LANES];
            for lane in 0..LANES {
                let sum = right[lane] + lane as u32;
                // LANES < right_len, so there is one carry at most.
                left[lane] += u32::from(sum >= self.right_len);
                right[lane] = sum.min(sum.wrapping_sub(self.right_len));
            }
            self.rounds(&mut left, &mut right);
            let mut samples = [0; LANES];
            for lane in 0..LANES {
                samples[lane] = u64::from(left[lane]) * right_len + u64::from(right[lane]);
            }
            // The grid has fewer than `left_len` indices too many, so at most about one index in sqrt(len) has to go
            // through the rounds again.
            if samples.iter().any(|&sample| sample >= self.len) {
                for (lane, sample) in samples.iter_mut().enumerate() {
                    if *sample >= self.len {
                        *sample = self.get(place + lane as u64).unwrap_or(*sample);
                    }
                }
            }
            for (to, &sample) in chunk.iter_mut().zip(&samples) {
                *to = sample as usize;
            }
            place += LANES as u64;
            first_right += LANES as u32;
            if first_right >= self.right_len {
                first_right -= self.right_len;
                first_left += 1;
            }
        }
    }
}

impl Order for Permutation {
    fn len(&self) -> u64 {
        self.len
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![("permutation", VERSION), ("len", self.len), ("seed", self.seed)]
    }

    fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
        place..place.saturating_add(1)
    }

    fn longest_run(&self) -> u64 {
        1
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        let (start, room) = (fill.start, self.len.saturating_sub(fill.start));
        let order = if fill.epoch == self.epoch { *self } else { self.at_epoch(fill.epoch) };
        let (out, past) = fill.out.split_at_mut(fill.out.len().min(usize::try_from(room).unwrap_or(usize::MAX)));
        wide(
            #[inline(always)]
            || order.fill_lanes(start, out),
        );
        // Empty, unless an order that wraps this one has more places.
        past.fill(usize::MAX);
    }
}
