use alloc::{vec, vec::Vec};
use core::ops::Range;

use rand::Rng;

use super::{Fill, Order, VERSION, generator::generator, hash::fnv};
use crate::{
    check,
    error::{Error, Relation},
};

/// How many words are drawn at a time.
const BLOCK: usize = 64;

/// Draws with replacement, each sample in proportion to its weight: for imbalanced data, hard examples, importance sampling.
/// (torch's `WeightedRandomSampler`.)
///
/// Every place of an epoch is a draw of its own, so a sample may come several times in an epoch, or never; an epoch has as
/// many places as you like. The weights are those of samples 0, 1, 2, …, any numbers of which at least one is above 0; they
/// need not add up to anything. A weight of 0 never comes.
///
/// A pure function of (weights, seed, epoch, place), the same on every machine: the weights become integers, without a sum of
/// floats. The probability of each sample is within 2^-60 of its weight's part of the sum, and a multiple of 2^-63.
/// [`order`](crate::order) describes it.
///
/// For classes in equal numbers there is [`Mixture::balanced`](crate::Mixture::balanced), whose counts are exact and not
/// random.
///
/// Cost: 8 bytes for each weight, up to the next power of two, and 16 while it is made. Any place at once: a place takes a
/// 64-bit random word and one lookup. No allocation. (Alias method: Walker 1977, Vose 1991.)
///
/// # Example
/// ```
/// use gradstep::{Batcher, Weighted};
/// let labels = [0, 0, 0, 0, 0, 0, 0, 1]; // class 1 is rare
/// let weights = labels.map(|label| if label == 1 { 7.0 } else { 1.0 }); // now each is half of the draws
/// let batcher = Batcher::over(Weighted::new(&weights, 1_000, 42)?, 100)?;
/// let rare = batcher.epoch(0).indices().iter().filter(|&&i| labels[i] == 1).count();
/// assert_eq!(rare, 497); // of a thousand
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "WeightedRandomSampler")]
#[doc(alias = "multinomial")]
#[doc(alias = "oversampling")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Weighted {
    len: usize,
    seed: u64,
    weights: u64,
    hash: u64,
    /// There are 2^bits buckets.
    bits: u32,
    /// For each bucket: below which part of it the sample is the bucket's own, and in the low bits which one it is else.
    table: Vec<u64>,
}

impl Weighted {
    /// The largest number of weights.
    pub const MAX_WEIGHTS: u64 = 1 << 32;

    /// An order of `len` draws an epoch.
    ///
    /// # Errors
    /// [`Error::Weight`] if a weight is NaN, infinite or negative; [`Error::Count`] if there is
    /// no weight or more than [`MAX_WEIGHTS`](Self::MAX_WEIGHTS), if none is above 0, or if `len` is 0; [`Error::Memory`] if
    /// there is no room for the table.
    pub fn new(weights: &[f64], len: usize, seed: u64) -> Result<Self, Error> {
        check::at_least_one("len", len as u64)?;
        check::at_least_one("number of weights", weights.len() as u64)?;
        check::count("number of weights", weights.len() as u64, Relation::AtMost, Self::MAX_WEIGHTS, "")?;
        if let Some(index) = weights.iter().position(|weight| !(0.0..f64::INFINITY).contains(weight)) {
            return Err(Error::Weight { index, value: weights[index] });
        }
        check::at_least_one(
            "number of weights above 0",
            weights.iter().filter(|&&weight| weight > 0.0).count() as u64,
        )?;
        // At least one bit, so that no shift is by 64.
        let bits = (usize::BITS - (weights.len() - 1).leading_zeros()).max(1);
        let mut table = check::zeros("table of the weights", 1 << bits)?;
        alias(&integers(weights, 1 << bits)?, bits, &mut table);
        let hash = fnv(weights.iter().flat_map(|&weight| (weight + 0.0).to_bits().to_le_bytes())); // −0 is 0
        Ok(Weighted { len, seed, weights: weights.len() as u64, hash, bits, table })
    }

    #[inline(always)]
    fn sample(&self, word: u64) -> usize {
        let bucket = (word >> (64 - self.bits)) as usize;
        let Some(&entry) = self.table.get(bucket) else { return usize::MAX };
        let low = (2 << self.bits) - 1;
        if word << self.bits < entry & !low { bucket } else { (entry & low) as usize }
    }
}

/// The weights as integers whose sum is 2^63, and zeros up to `len`.
fn integers(weights: &[f64], len: usize) -> Result<Vec<u64>, Error> {
    // A float is m 2^e with integers m and e; the greatest weight is below 2^94 after a shift by `up`.
    let decode = |weight: f64| {
        let (bits, exponent) = (weight.to_bits() % (1 << 52), (weight.to_bits() >> 52) as i32);
        if exponent == 0 { (bits, 1) } else { (bits | 1 << 52, exponent) }
    };
    let greatest = weights.iter().fold(0.0, |a: f64, &b| a.max(b));
    let (m, e) = decode(greatest);
    let up = 94 - (64 - m.leading_zeros() as i32) - e;
    let scaled = |weight: f64| {
        let (m, e) = decode(weight);
        let by = e + up;
        if by >= 0 { u128::from(m) << by } else { u128::from(m.checked_shr(by.unsigned_abs()).unwrap_or(0)) }
    };
    let sum: u128 = weights.iter().map(|&weight| scaled(weight)).sum();
    let down = 64 - sum.leading_zeros(); // sum >= 2^93
    let sum = sum >> down;

    let mut integers = check::zeros("integer weights", len)?;
    let mut rest = 1_u64 << 63;
    for (integer, &weight) in integers.iter_mut().zip(weights) {
        *integer = (((scaled(weight) >> down) << 63) / sum) as u64;
        rest -= *integer;
    }
    // At most three rounds.
    while rest > 0 {
        for (integer, _) in integers.iter_mut().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            let one = rest.min(1);
            *integer += one;
            rest -= one;
        }
    }
    Ok(integers)
}

/// Fills all buckets to the same height: what a light one lacks, the first heavy one that is left gives.
fn alias(integers: &[u64], bits: u32, table: &mut [u64]) {
    let full = 1_u64 << (63 - bits);
    let mut heavy = (0..integers.len()).filter(|&i| integers[i] > full);
    let mut giver = heavy.next();
    let mut left = giver.map_or(0, |i| integers[i]);
    let entry = |own: u64, i: usize, other: usize| {
        if own == full { i as u64 } else { own << (bits + 1) | other as u64 }
    };
    for i in (0..integers.len()).filter(|&i| integers[i] <= full) {
        table[i] = entry(integers[i], i, giver.unwrap_or(i));
        left = left.wrapping_sub(full - integers[i]);
        while let Some(last) = giver.filter(|_| left <= full) {
            giver = heavy.next();
            table[last] = entry(left, last, giver.unwrap_or(last));
            left = giver.map_or(0, |next| integers[next] - (full - left));
        }
    }
}

impl Order for Weighted {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("weighted", VERSION),
            ("len", self.len()),
            ("seed", self.seed),
            ("number of weights", self.weights),
            ("hash of the weights", self.hash),
        ]
    }

    fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
        place..place + 1
    }

    fn longest_run(&self) -> u64 {
        1
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        let mut generator = generator(b"weight 1", self.seed, self.weights, fill.epoch, 0);
        generator.set_word_pos(2 * u128::from(fill.start)); // in words of 32 bits
        let mut bytes = [0; 8 * BLOCK];
        for out in fill.out.chunks_mut(BLOCK) {
            let bytes = &mut bytes[..8 * out.len()];
            generator.fill_bytes(bytes);
            for (sample, word) in out.iter_mut().zip(bytes.chunks_exact(8)) {
                *sample = self.sample(u64::from_le_bytes(word.first_chunk().copied().unwrap_or_default()));
            }
        }
    }
}
