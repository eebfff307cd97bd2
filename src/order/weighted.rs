use alloc::{vec, vec::Vec};
use core::ops::Range;

use super::{
    Fill, Order, VERSION,
    generator::{generator, with_bytes},
    hash::fnv,
};
use crate::{
    check,
    error::{Error, Relation},
};

/// Draws samples with replacement, in proportion to their weights: for imbalanced data, hard examples, importance
/// sampling. (It is torch's `WeightedRandomSampler`.)
///
/// Every place of an epoch is a draw of its own, so a sample may come several times in an epoch, or never. An epoch has
/// as many places as you choose. `weights[i]` is the weight of sample i: finite and at least 0, and at least one must
/// be above 0; they need not add up to 1. A sample of weight 0 never comes.
///
/// The order is a pure function of (weights, seed, epoch, place), the same on every machine: the weights become
/// integers, without a sum of floats. The probability of each sample is a multiple of 2^-63, and within 2^-60 of its
/// weight divided by the sum of the weights. So a sample whose weight is less than 2^-60 of the sum may never come.
/// [`order`](crate::order) describes it.
///
/// For classes in equal numbers use [`Mixture::balanced`](crate::Mixture::balanced), whose counts are exact and not
/// random. There are no weighted draws *without* replacement: the usual ways need a logarithm, which is not the same on
/// every machine, or a sort of the whole epoch.
///
/// Cost: a table of 8 bytes per weight, with the number of weights rounded up to a power of two; twice as much while it
/// is created, which takes 30 to 65 ns per weight. A clone copies the table; batches of a `&Weighted` or an
/// `Arc<Weighted>` do not. A place takes a 64-bit random word and one lookup (3 ns with a thousand weights, 8 ns
/// with a million). Any place is computed directly, without an allocation. (Alias method: Walker 1977, Vose 1991.)
///
/// # Example
/// ```
/// use gradstep::{Batcher, Weighted};
/// let labels = [0, 0, 0, 0, 0, 0, 0, 1]; // class 1 is rare
/// let weights = labels.map(|label| if label == 1 { 7.0 } else { 1.0 }); // now each class is half of the draws
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
    /// How many weights there are.
    weights: u64,
    hash: u64,
    /// There are 2^bits buckets.
    bits: u32,
    /// A number for each bucket. Its high 63 − bits bits say how much of the bucket belongs to the sample of the
    /// bucket's own number, and its low bits which sample has the rest.
    table: Vec<u64>,
}

impl Weighted {
    /// The largest number of weights.
    pub const MAX_WEIGHTS: u64 = 1 << 32;

    /// An order of `len` draws per epoch.
    ///
    /// # Errors
    /// [`Error::Weight`] if a weight is NaN, infinite or negative; [`Error::Count`] if there is no weight or more than
    /// [`MAX_WEIGHTS`](Self::MAX_WEIGHTS), if none is above 0, or if `len` is 0; [`Error::Memory`] if there is no
    /// memory for the table.
    pub fn new(weights: &[f64], len: usize, seed: u64) -> Result<Self, Error> {
        check::at_least_one("len", len as u64)?;
        check::at_least_one("number of weights", weights.len() as u64)?;
        check::count("number of weights", weights.len() as u64, Relation::AtMost, Self::MAX_WEIGHTS, "")?;
        if let Some(index) = weights.iter().position(|weight| !(0.0..f64::INFINITY).contains(weight)) {
            return Err(Error::Weight { index, value: weights[index] });
        }
        check::at_least_one("number of weights above 0", weights.iter().any(|&weight| weight > 0.0).into())?;
        // At least one bit, so that no shift is by 64.
        let bits = (usize::BITS - (weights.len() - 1).leading_zeros()).max(1);
        let mut table = check::zeros("table of the weights", 1 << bits)?;
        alias(&integers(weights, 1 << bits)?, bits, &mut table);
        let hash = fnv(weights.iter().flat_map(|&weight| bits_of(weight).to_le_bytes()));
        Ok(Weighted { len, seed, weights: weights.len() as u64, hash, bits, table })
    }

    /// The sample that a random word stands for: its high bits choose a bucket, the others a point in the bucket.
    #[inline(always)]
    fn sample(&self, word: u64) -> usize {
        let bucket = (word >> (64 - self.bits)) as usize;
        let Some(&entry) = self.table.get(bucket) else { return usize::MAX };
        let low = (2 << self.bits) - 1;
        if word << self.bits < entry & !low { bucket } else { (entry & low) as usize }
    }
}

/// The bits of a weight, with −0 as 0, so that equal weights have equal bits.
fn bits_of(weight: f64) -> u64 {
    (weight + 0.0).to_bits()
}

/// The weights as integers whose sum is 2^63, followed by zeros up to a length of `len`.
fn integers(weights: &[f64], len: usize) -> Result<Vec<u64>, Error> {
    // A float is m 2^e with integers m and e, up to a constant in e that makes no difference to the shares. Shifted by
    // `up`, the greatest weight has 94 bits.
    let decode = |weight: f64| {
        let (m, e) = (bits_of(weight) % (1 << 52), (bits_of(weight) >> 52) as i32);
        if e == 0 { (m, 1) } else { (m | 1 << 52, e) } // subnormal, or with a leading 1 that is not stored
    };
    let (m, e) = decode(weights.iter().fold(0.0, |a: f64, &b| a.max(b)));
    let up = 94 - (u64::BITS - m.leading_zeros()) as i32 - e;
    let scaled = |weight: f64| {
        let (m, e) = decode(weight);
        let up = up + e;
        if up >= 0 { u128::from(m) << up } else { u128::from(m.checked_shr(up.unsigned_abs()).unwrap_or(0)) }
    };
    // At most 2^32 weights: their sum has 94 to 126 bits, of which the first 64 are taken.
    let sum: u128 = weights.iter().map(|&weight| scaled(weight)).sum();
    let down = u64::BITS - sum.leading_zeros();
    let sum = sum >> down;

    let mut integers = check::zeros("integer weights", len)?;
    let (inverse, mut rest) = (((1 << 127) - 1) / sum, 1_u64 << 63);
    for (integer, &weight) in integers.iter_mut().zip(weights) {
        let part = scaled(weight) >> down;
        // ⌊2^63 part / sum⌋ or one less, which the next line sets right. A division of 128 bits would take ten times as
        // long.
        let quotient = (part * inverse) >> 64;
        *integer = (quotient + u128::from((part << 63) - quotient * sum >= sum)) as u64;
        rest -= *integer;
    }
    // The rest is less than 2 per weight above 0, so at most two rounds hand it out.
    while rest > 0 {
        for (integer, _) in integers.iter_mut().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            let one = rest.min(1);
            *integer += one;
            rest -= one;
        }
    }
    Ok(integers)
}

/// Writes the table. All buckets are filled to the same height: what a light bucket lacks comes from the first heavy
/// one that still has too much.
fn alias(integers: &[u64], bits: u32, table: &mut [u64]) {
    let full = 1_u64 << (63 - bits);
    let entry = |own: u64, sample: usize, giver: Option<usize>| match giver {
        Some(giver) if own < full => own << (bits + 1) | giver as u64,
        _ => sample as u64, // no rest: always this sample
    };
    let mut heavy = (0..integers.len()).filter(|&i| integers[i] > full);
    let mut giver = heavy.next();
    let mut left = giver.map_or(0, |i| integers[i]); // what the giver has left
    for i in (0..integers.len()).filter(|&i| integers[i] <= full) {
        table[i] = entry(integers[i], i, giver);
        left = left.saturating_sub(full - integers[i]);
        // A giver that is no longer heavy is light: the next one fills it up.
        while let Some(last) = giver.filter(|_| left <= full) {
            giver = heavy.next();
            table[last] = entry(left, last, giver);
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
        generator.set_word_pos(2 * u128::from(fill.start)); // in words of 32 bits, two for each place
        // The lookups are not compiled for wider vectors, with which they take 2.5 times as long.
        with_bytes(&mut generator, 8, fill.out, |bytes, out| {
            for (sample, word) in out.iter_mut().zip(bytes.chunks_exact(8)) {
                *sample = self.sample(u64::from_le_bytes(word.first_chunk().copied().unwrap_or_default()));
            }
        });
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    /// The integers of the weights, and how much the buckets of the table give each sample.
    fn made(weights: &[f64]) -> (Vec<u64>, Vec<u64>) {
        let order = Weighted::new(weights, 1, 0).unwrap();
        let integers = integers(weights, order.table.len()).unwrap();
        let (full, low) = (1 << (63 - order.bits), (2 << order.bits) - 1);
        let mut given = vec![0; integers.len()];
        for (bucket, entry) in order.table.iter().enumerate() {
            let own = entry >> (order.bits + 1);
            given[bucket] += own;
            given[(entry & low) as usize] += full - own;
        }
        (integers, given)
    }

    /// The values are from tests/data/order.py.
    #[test]
    fn value_stability_of_the_integers() {
        let thirds = [0.1, 1.1, 2.1, 0.1, 1.1];
        let squares = [0.0, 1.0, 4.0, 9.0, 16.0, 25.0];
        let wide = [0, 37, 74, 111, 148].map(|i| f64::from_bits((1 + i) << 52)); // 2^(i - 1022)
        let subnormal = [1, 2, 3].map(f64::from_bits);
        let expected: [(&[f64], &[u64]); 4] = [
            (
                &thirds,
                &[
                    204963823041217239,
                    2254602053453389685,
                    4304240283865561961,
                    204963823041217239,
                    2254602053453389684,
                ],
            ),
            (
                &squares,
                &[
                    0,
                    167697673397359561,
                    670790693589438241,
                    1509279060576236041,
                    2683162774357752962,
                    4192441834933989003,
                ],
            ),
            (&wide, &[1, 0, 0, 67108863, 9223372036787666944]),
            (&subnormal, &[1537228672809129302, 3074457345618258602, 4611686018427387904]),
        ];
        for (weights, expected) in expected {
            assert_eq!(integers(weights, weights.len()).unwrap(), expected);
        }
    }

    /// a · b: its bits from 64 on, and its low 64 bits.
    fn times(a: u128, b: u64) -> (u128, u64) {
        let low = u128::from(a as u64) * u128::from(b);
        ((a >> 64) * u128::from(b) + (low >> 64), low as u64)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, rng_seed: proptest::test_runner::RngSeed::Fixed(1), failure_persistence: None, ..Default::default() })]

        /// In exact arithmetic, the integers add up to 2^63, each is within 8 of 2^63 w / Σw, and the buckets give each
        /// sample its own integer.
        #[test]
        fn probabilities_are_exact(mut parts in prop::collection::vec((0_u64..1 << 53, 0_u32..60, 0..4), 1..70), scale in -1074..900_i32) {
            parts.push((1, 0, 1)); // so that one is above 0
            // In units of 2^scale. Each has at most 113 bits, and their sum at most 119.
            let exact: Vec<u128> = parts.iter().map(|&(m, e, kind)| if kind == 0 { 0 } else { u128::from(m) << e }).collect();
            let weights: Vec<f64> = exact.iter().map(|&weight| {
                let half = |power: i32| f64::from_bits(((1023 + power) as u64) << 52);
                weight as f64 * half(scale / 2) * half(scale - scale / 2) // exact, even where 2^scale is subnormal
            }).collect();
            let (integers, given) = made(&weights);
            prop_assert_eq!(&integers, &given);
            prop_assert_eq!(integers.iter().sum::<u64>(), 1 << 63);
            let sum: u128 = exact.iter().sum();
            for (&weight, &integer) in exact.iter().zip(&integers) {
                let weight_times = times(weight, 1 << 63);
                prop_assert!(times(sum, integer.saturating_sub(8)) <= weight_times && weight_times <= times(sum, integer + 8));
                prop_assert!(weight > 0 || integer == 0);
            }
        }
    }

    /// The weights add up to 8, so that a bucket holds 2: sample 1 fills its own exactly, and what sample 0 lacks comes from
    /// sample 2. The last word of sample 0 is the one before the middle of its bucket.
    #[test]
    fn a_bucket_to_the_word() {
        let order = Weighted::new(&[1.0, 2.0, 3.0, 2.0], 1, 0).unwrap();
        let middle = 1 << 61; // a bucket has 2^62 words
        let words = [0, middle - 1, middle, 2 * middle - 1, 2 * middle, 4 * middle - 1];
        assert_eq!(words.map(|word| order.sample(word)), [0, 0, 2, 2, 1, 1]);
    }

    #[test]
    fn the_corners() {
        for len in [1, 2, 3, 4, 5, 8, 9, 1024, 1025] {
            for weight in [1.0, 0.1, 5e-324, f64::MAX] {
                let (integers, given) = made(&vec![weight; len]);
                assert_eq!(integers, given);
                let (least, most) = (integers[..len].iter().min().unwrap(), integers[..len].iter().max().unwrap());
                assert!(most - least <= 1 && integers[len..].iter().all(|&integer| integer == 0));
            }
            let mut weights = vec![-0.0; len];
            weights[len / 2] = 5e-324;
            let (integers, given) = made(&weights);
            assert_eq!((integers[len / 2], &integers), (1 << 63, &given));
            // One weight takes almost all.
            weights.fill(5e-324);
            weights[len / 2] = f64::MAX;
            let (integers, given) = made(&weights);
            assert_eq!((integers.iter().sum::<u64>(), &integers), (1 << 63, &given));
        }
    }
}
