use core::array;

use rand::Rng;

use super::words::words;
use crate::{
    check,
    error::{Error, Relation},
    simd::wide,
};

/// How many indices go through the rounds side by side.
const LANES: usize = 32;
const ROUNDS: usize = 8;

/// A shuffled order of `0..len` without a table, for sets that are too large for one. It computes the sample at any
/// position directly, and the position of any sample.
///
/// A pure function of (`len`, `seed`, `epoch`) in constant memory. It is **pseudorandom, not exactly uniform**: no test here
/// tells it from a random order, but seed and epoch have 128 bits, so at most 2^128 of the len! orders can occur. The order
/// of [`Batcher`](crate::Batcher) is exactly uniform: use that wherever its table (8 bytes a sample) fits. A set smaller
/// than [`MIN_LEN`](Permutation::MIN_LEN) is rejected. [`order`](crate::order) describes the algorithm.
///
/// Cost: eight rounds of a few operations an index, the same at every len; [`fill`](Permutation::fill) takes many side by
/// side (feature `simd`). No allocation.
///
/// # Example
/// ```
/// use gradstep::Permutation;
///
/// let order = Permutation::new(1_000_000_000_000, 42, 0)?; // a trillion samples, seed 42, epoch 0
/// let mut buffer = [0; 128];
/// let mut k = 0;
/// while let Some(batch) = order.batch(k, &mut buffer) {
///     for &i in batch { /* load sample i */ }
///     k += 1;
///     # if k == 3 { break }
/// }
/// let position = order.position(123_456_789).expect("below len");
/// assert_eq!(order.get(position), Some(123_456_789)); // so batch `position / 128` sees sample 123,456,789
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Permutation {
    len: u64,
    /// An index is `left * right_len + right`, with `left < left_len` and `right < right_len`.
    left_len: u32,
    right_len: u32,
    keys: [Key; ROUNDS],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key(u32, u32);

impl Key {
    /// A pseudorandom number below `bound`, the same for the same `half`.
    #[inline(always)]
    fn hash(self, half: u32, bound: u32) -> u32 {
        let mut hash = (half ^ self.0).wrapping_mul(0x9E37_79B9); // 2^32 / golden ratio, odd
        hash ^= hash >> 15;
        hash = hash.wrapping_mul(self.1); // odd
        hash ^= hash >> 16;
        ((u64::from(hash) * u64::from(bound)) >> 32) as u32
    }
}

/// `(a + b) mod m` for a < m and b <= m <= 2^31: where a + b - m wraps around, it is the larger of the two.
#[inline(always)]
fn add_mod(a: u32, b: u32, m: u32) -> u32 {
    (a + b).min((a + b).wrapping_sub(m))
}

fn sub_mod(a: u32, b: u32, m: u32) -> u32 {
    add_mod(a, m - b, m)
}

impl Permutation {
    /// The smallest `len`.
    pub const MIN_LEN: u64 = 1 << 16;
    /// The largest `len`.
    pub const MAX_LEN: u64 = 1 << 62;

    /// The order of `0..len` for this seed and epoch.
    ///
    /// # Errors
    /// [`Error::TooFewSamples`] if `len` is below [`MIN_LEN`](Self::MIN_LEN): use a [`Batcher`](crate::Batcher) then;
    /// [`Error::Count`] if it is above [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(len: u64, seed: u64, epoch: u64) -> Result<Self, Error> {
        if len < Self::MIN_LEN {
            return Err(Error::TooFewSamples { len, min: Self::MIN_LEN });
        }
        check::count("len", len, Relation::AtMost, Self::MAX_LEN, "")?;
        // Even: rotations of an odd number of things are even permutations, and only half of all orders could come up.
        let root = ((len - 1).isqrt() + 1).next_multiple_of(2);
        let mut words = words(b"permut 1", seed, len, epoch, 0);
        Ok(Permutation {
            len,
            left_len: root as u32,
            right_len: len.div_ceil(root) as u32,
            keys: array::from_fn(|_| Key(words.next_u32(), words.next_u32() | 1)),
        })
    }

    /// How many samples there are.
    #[expect(clippy::len_without_is_empty, reason = "len is never 0")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The sample at `position`; `None` from `len` on.
    pub fn get(&self, position: u64) -> Option<u64> {
        let right_len = u64::from(self.right_len);
        // Walk on until an index below len comes up: it is one cycle's next such, so this stays a bijection.
        let mut index = (position < self.len).then_some(position)?;
        loop {
            let (mut left, mut right) = ([(index / right_len) as u32], [(index % right_len) as u32]);
            self.rounds(&mut left, &mut right);
            index = u64::from(left[0]) * right_len + u64::from(right[0]);
            if index < self.len {
                return Some(index);
            }
        }
    }

    /// Where `sample` stands, so that `get(position(sample)) = sample`; `None` from `len` on.
    pub fn position(&self, sample: u64) -> Option<u64> {
        let right_len = u64::from(self.right_len);
        let mut index = (sample < self.len).then_some(sample)?;
        loop {
            let (mut left, mut right) = ((index / right_len) as u32, (index % right_len) as u32);
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

    /// Writes the samples at `start..start + out.len()` into `out`.
    ///
    /// # Errors
    /// [`Error::Count`] if that range goes past `len`; `out` has not changed then.
    pub fn fill(&self, start: u64, out: &mut [u64]) -> Result<(), Error> {
        let room = self.len.saturating_sub(start);
        check::count("length of out", out.len() as u64, Relation::AtMost, room, "len - start")?;
        wide(
            #[inline(always)]
            || self.fill_lanes(start, out),
        );
        Ok(())
    }

    /// Batch `batch` of batches of `buffer.len()`, written into `buffer`: the last one may be shorter.
    ///
    /// `None` past the last, or if the buffer is empty.
    pub fn batch<'a>(&self, batch: u64, buffer: &'a mut [u64]) -> Option<&'a [u64]> {
        let start = batch.checked_mul(buffer.len() as u64)?;
        let len = self.len.checked_sub(start)?.min(buffer.len() as u64) as usize;
        let out = &mut buffer[..len];
        self.fill(start, out).ok().filter(|()| len > 0)?;
        Some(out)
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
    fn fill_lanes(&self, start: u64, out: &mut [u64]) {
        let right_len = u64::from(self.right_len);
        // The halves of the first index of a chunk: one division a call, carried on by hand.
        let (mut first_left, mut first_right) = ((start / right_len) as u32, (start % right_len) as u32);
        let mut position = start;
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
            chunk.copy_from_slice(&samples[..chunk.len()]);
            // Out of len * right_len at most: about one index in sqrt(len) has to walk on.
            if samples.iter().any(|&sample| sample >= self.len) {
                for (lane, sample) in chunk.iter_mut().enumerate() {
                    if *sample >= self.len {
                        *sample = self.get(position + lane as u64).unwrap_or(*sample);
                    }
                }
            }
            position += LANES as u64;
            first_right += LANES as u32;
            if first_right >= self.right_len {
                first_right -= self.right_len;
                first_left += 1;
            }
        }
    }
}
