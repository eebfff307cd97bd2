//! Draws in proportion to weights.

use gradstep::{Batcher, Order, Weighted};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::common::{config, golden::table, says};

fn epoch(weights: &[f64], len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    Batcher::over(Weighted::new(weights, len, seed).unwrap(), 1).unwrap().epoch(epoch).indices().to_vec()
}

/// The random words of the places, as the frozen page says: the key is the tag, seed, number of weights and epoch.
fn words(seed: u64, weights: u64, epoch: u64) -> impl Iterator<Item = u64> {
    let mut key = *b"weight 1________________________";
    key[8..].copy_from_slice(&[seed, weights, epoch].map(u64::to_le_bytes).concat());
    let mut words = ChaCha8Rng::from_seed(key);
    std::iter::repeat_with(move || words.next_u64())
}

/// The weights of tests/data/order.py.
fn golden_weight(name: &str, i: usize) -> f64 {
    match name {
        "ones" => 1.0,
        "thirds" => 0.1 + (i % 3) as f64,
        "squares" => (i * i % 97) as f64,
        "wide" => 2.0_f64.powi((i * 37 % 2046) as i32 - 1022),
        "subnormal" => (i + 1) as f64 * 5e-324,
        "one" => [0.0, 3.5][usize::from(i == 2)],
        _ => panic!("{name}"),
    }
}

#[test]
fn value_stability_of_weighted_draws() {
    for row in table(include_str!("../data/order_weighted.csv"), 63) {
        let [name, number, seed, epoch, hash, samples] = row[..] else { panic!("{row:?}") };
        let [number, seed, epoch] = [number, seed, epoch].map(|number| number.parse::<u64>().unwrap());
        let weights: Vec<f64> = (0..number as usize).map(|i| golden_weight(name, i)).collect();
        let order = Weighted::new(&weights, 1 << 31, seed).unwrap();
        let samples: Vec<usize> = samples.split(' ').map(|sample| sample.parse().unwrap()).collect();
        let (mut first, mut last) = ([0; 16], [0; 2]);
        order.try_fill(epoch, 0, &mut first).unwrap();
        order.try_fill(epoch, (1 << 31) - 2, &mut last).unwrap();
        assert_eq!((&first[..], &last[..]), samples.split_at(16), "{row:?}");
        let hash = u64::from_str_radix(hash, 16).unwrap();
        assert_eq!(order.settings()[3..], [("number of weights", number), ("hash of the weights", hash)]);
        assert_eq!((order.longest_run(), order.run(epoch, 5)), (1, 5..6));
    }
}

/// Weights 1 and 3 are 2^61 and 3 · 2^61 of 2^63. There are two buckets of 2^62, chosen by the word's highest bit. The first
/// holds 2^61 of sample 0, which is half of it, and then sample 1; the second is sample 1's. So sample 0 has the words below
/// 2^62: a quarter.
#[test]
fn one_and_three_by_hand() {
    for (seed, number) in [(0, 0), (7, 3), (u64::MAX, u64::MAX)] {
        let expected: Vec<usize> = words(seed, 2, number).take(1000).map(|word| usize::from(word >= 1 << 62)).collect();
        assert_eq!(epoch(&[1.0, 3.0], 1000, seed, number), expected);
    }
}

/// Weights 5, 1, 0 and 2 are 40, 8, 0 and 16 of 64, and each of four buckets holds 16. Bucket 1 takes 8 of sample 0, bucket 2
/// takes 16 of it, bucket 3 is full, and what is left of sample 0 is 16: its own bucket.
#[test]
fn four_buckets_by_hand() {
    let sample = |word: u64| match word >> 62 {
        0 | 2 => 0,
        1 => usize::from(word << 2 < 1 << 63), // the lower half of the bucket
        _ => 3,
    };
    let expected: Vec<usize> = words(5, 4, 6).take(1000).map(sample).collect();
    assert_eq!(epoch(&[5.0, 1.0, 0.0, 2.0], 1000, 5, 6), expected);
}

/// As many weights as buckets, all the same: the highest bits of the word.
#[test]
fn equal_weights_are_the_high_bits() {
    for bits in [1, 2, 5, 10] {
        for weight in [1.0, 0.3, 5e-324, f64::MAX] {
            let expected: Vec<usize> = words(1, 1 << bits, 2).take(300).map(|w| (w >> (64 - bits)) as usize).collect();
            assert_eq!(epoch(&vec![weight; 1 << bits], 300, 1, 2), expected);
        }
    }
}

#[test]
fn a_weight_of_0_never_comes() {
    for len in [3, 64, 65, 1000] {
        let weights: Vec<f64> = (0..len).map(|i| [0.0, -0.0, 0.1, 1e-300, 7.0][i % 5]).collect();
        for sample in epoch(&weights, 10_000, 3, 4) {
            // 1e-300 is less than 2^-60 of the sum.
            assert!([0.1, 7.0].contains(&weights[sample]), "{}", weights[sample]);
        }
    }
    for (len, only) in [(1, 0), (2, 0), (2, 1), (3, 2), (64, 63), (65, 64), (1000, 500)] {
        let mut weights = vec![0.0; len];
        weights[only] = 5e-324;
        assert_eq!(epoch(&weights, 1000, 3, 4), [only; 1000]);
    }
}

/// Only the ratios count, up to the largest numbers.
#[test]
fn weights_need_not_add_up_to_anything() {
    let weights = [3.0, 1.0, 0.0, 7.0, 0.5];
    let expected = epoch(&weights, 1000, 1, 0);
    for scale in [2.0_f64.powi(-1073), 2.0_f64.powi(-1000), 0.125, 2.0_f64.powi(1021)] {
        assert_eq!(epoch(&weights.map(|weight| weight * scale), 1000, 1, 0), expected, "times {scale}");
    }
    assert_eq!(epoch(&[f64::MAX; 4], 1000, 1, 0), epoch(&[1.0; 4], 1000, 1, 0));
}

#[test]
fn minus_0_is_0() {
    let [plus, minus] = [0.0, -0.0].map(|zero| Weighted::new(&[1.0, zero, 2.5], 10, 1).unwrap());
    assert_eq!((plus.settings(), &plus), (minus.settings(), &minus));
}

proptest! {
    #![proptest_config(config(64))]

    /// A place is a function of (weights, seed, epoch, place): wherever filling begins, whatever an epoch's length.
    #[test]
    fn any_place_at_once(
        weights in prop::collection::vec(prop_oneof![Just(0.0), 0.0..1e3, 0.0..f64::MAX], 0..100),
        seed: u64, number: u64, start in 0_usize..700, count in 0_usize..300,
    ) {
        let weights = [&weights[..], &[1.0]].concat();
        let whole = epoch(&weights, 1000, seed, number);
        prop_assert!(whole.iter().all(|&sample| weights[sample] > 0.0));
        let mut part = vec![0; count];
        Weighted::new(&weights, 1000, seed).unwrap().try_fill(number, start as u64, &mut part).unwrap();
        prop_assert_eq!(&part, &whole[start..start + count]);
        Weighted::new(&weights, 5000, seed).unwrap().try_fill(number, start as u64, &mut part).unwrap();
        prop_assert_eq!(&part, &whole[start..start + count]);
    }
}

#[test]
fn an_epoch_may_be_of_any_length() {
    let order = Weighted::new(&[1.0, 1.0], usize::MAX, 1).unwrap();
    let batcher = Batcher::over(&order, 4).unwrap();
    let most = usize::MAX as u64;
    let mut stream = batcher.resume(&batcher.position(u64::MAX, most - 3).unwrap()).unwrap();
    assert_eq!(stream.next_batch().map(<[usize]>::len), Some(3));
    assert_eq!(stream.next_batch(), None);
    assert_eq!(epoch(&[1.0; 100], 1, 1, 0).len(), 1);
}

#[test]
fn only_the_same_draws_are_resumed() {
    let batcher = |weights: &[f64], len, seed| Batcher::over(Weighted::new(weights, len, seed).unwrap(), 3).unwrap();
    let mut stream = batcher(&[1.0, 2.0], 10, 5).stream();
    stream.next_batch();
    let position = stream.position();
    let mut resumed = batcher(&[1.0, 2.0], 10, 5).resume(&position).unwrap();
    assert_eq!(resumed.next_batch(), stream.next_batch());
    says(batcher(&[1.0, 2.0], 11, 5).resume(&position), "saved len is 10, expected 11");
    says(batcher(&[1.0, 2.0], 10, 6).resume(&position), "saved seed is 5, expected 6");
    says(batcher(&[1.0, 2.0, 0.0], 10, 5).resume(&position), "saved number of weights is 2, expected 3");
    let error = batcher(&[1.0, 2.5], 10, 5).resume(&position).unwrap_err().to_string();
    assert!(error.starts_with("saved hash of the weights is "), "{error}");
}

#[test]
fn what_is_wrong_is_named() {
    let new = |weights: &[f64]| Weighted::new(weights, 10, 1);
    says(new(&[]), "number of weights is 0, expected at least 1");
    says(new(&[0.0, -0.0]), "number of weights above 0 is 0, expected at least 1");
    says(new(&[1.0, f64::NAN, -1.0]), "weights[1] is NaN, expected a finite number of at least 0");
    says(new(&[1.0, 2.0, f64::INFINITY]), "weights[2] is inf, expected a finite number of at least 0");
    says(new(&[-5e-324]), "weights[0] is -5e-324, expected a finite number of at least 0");
    says(new(&[f64::NEG_INFINITY]), "weights[0] is -inf, expected a finite number of at least 0");
    says(Weighted::new(&[1.0], 0, 1), "len is 0, expected at least 1");
}
