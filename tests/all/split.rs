//! Splits: every sample in one part, shares met, errors by name.

use gradstep::{Batcher, Error, Order, Shuffle, Split, stable_hash};
use proptest::prelude::*;

use crate::common::{config, golden::digest, says};

fn parts(split: &Split) -> Vec<u64> {
    (0..split.len()).map(|sample| split.part_of(sample).unwrap() as u64).collect()
}

fn sizes(split: &Split) -> Vec<usize> {
    let mut sizes = vec![0; split.parts()];
    parts(split).iter().for_each(|&part| sizes[part as usize] += 1);
    sizes
}

/// Shares that add up to 1.
fn shares() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(1_u32..100, 1..8).prop_map(|weights| {
        let sum: u32 = weights.iter().sum();
        weights.into_iter().map(|weight| f64::from(weight) / f64::from(sum)).collect()
    })
}

/// To less than one sample, and a rounding.
fn shares_are_met(parts: &[u64], shares: &[f64]) {
    for (part, share) in shares.iter().enumerate() {
        let count = parts.iter().filter(|&&of| of == part as u64).count() as f64;
        let expected = share * parts.len() as f64;
        assert!((count - expected).abs() < 1.0 + 1e-9, "part {part}: {count} of {expected}");
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn every_sample_is_in_one_part_and_shares_are_met(shares in shares(), more in 0_usize..300, seed in any::<u64>()) {
        let len = shares.len() + more;
        let split = Split::new(len, &shares, seed).unwrap();
        prop_assert_eq!((split.len(), split.parts(), split.part_of(len)), (len, shares.len(), None));
        shares_are_met(&parts(&split), &shares);
        for part in 0..shares.len() {
            let samples = |part: Result<gradstep::Subset, Error>| part.map_or(vec![], |part| part.samples().to_vec());
            let (inside, outside) = (samples(split.part(part)), samples(split.all_but(part)));
            prop_assert!(inside.iter().all(|&sample| split.part_of(sample) == Some(part)));
            let mut all = [inside, outside].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_class_is_met_to_within_one(shares in shares(), more in prop::collection::vec(0_usize..40, 1..6), seed in any::<u64>()) {
        let labels: Vec<usize> = more.iter().enumerate().flat_map(|(label, more)| vec![label; shares.len() + more]).collect();
        let split = Split::stratified(&labels, &shares, seed).unwrap();
        for label in 0..more.len() {
            let of_class: Vec<u64> =
                labels.iter().zip(parts(&split)).filter(|(of, _)| **of == label).map(|(_, part)| part).collect();
            shares_are_met(&of_class, &shares);
        }
        // All classes together too, to within two (0.9 is the most that was seen in 3,000 random cases).
        for (size, share) in sizes(&split).into_iter().zip(&shares) {
            prop_assert!((size as f64 - share * labels.len() as f64).abs() < 2.0);
        }
    }

    #[test]
    fn a_key_keeps_its_part(keys in prop::collection::vec(0_u64..50, 1..200), shares in shares(), seed in any::<u64>()) {
        let before = Split::by_key(keys[..keys.len() / 2].to_vec(), &shares, seed).unwrap();
        let after = Split::by_key(keys.clone(), &shares, seed).unwrap();
        prop_assert_eq!(&parts(&before)[..], &parts(&after)[..keys.len() / 2]);
        for (i, key) in keys.iter().enumerate() {
            let first = keys.iter().position(|other| other == key).unwrap();
            prop_assert_eq!(after.part_of(i), after.part_of(first));
        }
    }
}

#[test]
fn value_stability_split() {
    let mut rows = 0;
    for row in include_str!("../data/order_split.csv").lines().filter(|line| !line.starts_with('#')).skip(1) {
        let [kind, len, shares, seed, expected, values] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("row {row}")
        };
        let (len, seed) = (len.parse::<usize>().unwrap(), seed.parse().unwrap());
        let shares: Vec<f64> = shares.split(' ').map(|share| share.parse().unwrap()).collect();
        let labels: Vec<usize> = (0..len).map(|i| (7 * i + i / 4) % 4).collect();
        let small: Vec<u64> = (0..len as u64).map(|i| i * i % 97).collect();
        let keys = (0..len as u64).map(|i| (i / 3).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let split = match kind {
            "plain" => Split::new(len, &shares, seed),
            "stratified" => Split::stratified(&labels, &shares, seed),
            "small" => Split::stratified(&small, &shares, seed),
            _ => Split::by_key(keys, &shares, seed),
        };
        let parts = parts(&split.unwrap());
        let shown: Vec<String> = parts.iter().take(40).map(u64::to_string).collect();
        assert_eq!(shown.join(" "), values, "{kind}, len {len}, shares {shares:?}, seed {seed}");
        let fits = u64::from_str_radix(expected, 16).unwrap();
        assert_eq!(digest(&parts), fits, "digest of {kind}, len {len}, shares {shares:?}, seed {seed}");
        rows += 1;
    }
    assert_eq!(rows, 386);
}

/// Of each class of 11 samples, one of 10 folds has 2. Were it always the same fold, that one would have 200 samples.
#[test]
fn what_is_left_over_does_not_collect_in_one_part() {
    let labels: Vec<usize> = (0..1100).map(|i| i % 100).collect();
    let folds = Split::stratified(&labels, &[0.1; 10], 42).unwrap();
    assert_eq!(sizes(&folds), [110; 10]);
    // As scikit-learn's StratifiedKFold: with classes of all sizes too, folds are of one size, or of two.
    let labels: Vec<usize> = (0..1000).flat_map(|class| vec![class; 10 + class * class % 17]).collect();
    let sizes = sizes(&Split::stratified(&labels, &[0.1; 10], 42).unwrap());
    let least = labels.len() / 10;
    assert!(sizes.iter().all(|&size| size == least || size == least + 1), "{sizes:?}");
}

/// 3 classes of 5 in shares 0.5, 0.3, 0.2, worked out by hand: whole samples of each class are 2, 1, 1, and 1 is left.
///
/// | class | parts lack | of all | so get |
/// |---|---|---|---|
/// | first | 0.5, 0.5, 0 | 2.5, 1.5, 1 | 3, 1, 1 |
/// | second | 5 − 5, 3 − 2, 2 − 2 | 5, 3, 2 | 2, 2, 1 |
/// | third | 7.5 − 7, 4.5 − 4, 3 − 3 | 7.5, 4.5, 3 | 3, 1, 1 |
#[test]
fn a_small_case_by_hand() {
    let labels: Vec<char> = "cabcabcabcabcab".chars().collect();
    let parts = parts(&Split::stratified(&labels, &[0.5, 0.3, 0.2], 9).unwrap());
    let of = |label| {
        let of_part = |part| labels.iter().zip(&parts).filter(|&(&of, &p)| (of, p) == (label, part)).count();
        [of_part(0), of_part(1), of_part(2)]
    };
    assert_eq!([of('a'), of('b'), of('c')], [[3, 1, 1], [2, 2, 1], [3, 1, 1]]);
}

/// 0.29 · 100 is 28.999… in f64, and 1,000 shares of 0.001 add up to 1.0000000000000007.
#[test]
fn rounding_takes_no_sample_from_a_part() {
    assert_eq!(sizes(&Split::new(100, &[0.29, 0.71], 1).unwrap()), [29, 71]);
    assert_eq!(sizes(&Split::new(7000, &[0.001; 1000], 1).unwrap()), [7; 1000]);
    // Parts too small for a sample, or for a number.
    assert_eq!(sizes(&Split::new(3, &[1.0, 1e-300, f64::MIN_POSITIVE / 4.0], 1).unwrap()), [3, 0, 0]);
    assert_eq!(sizes(&Split::by_key(0..1000, &[1.0, 1e-300], 1).unwrap()), [1000, 0]);
}

/// Each sample is equally likely to be in the smaller part: over 2,000 seeds 200 times, with standard deviation 13.4.
#[test]
fn every_sample_is_equally_likely_in_each_part() {
    let mut times = [0; 20];
    for seed in 0..2000 {
        let split = Split::new(20, &[0.9, 0.1], seed).unwrap();
        (0..20).filter(|&sample| split.part_of(sample) == Some(1)).for_each(|sample| times[sample] += 1);
    }
    assert!(times.iter().all(|&times: &i32| (times - 200).abs() < 5 * 14), "{times:?}");
    let keys =
        Split::by_key((0..20_000).map(|i| stable_hash(format!("patient {i}").as_bytes())), &[0.9, 0.1], 7).unwrap();
    let few = parts(&keys).iter().filter(|&&part| part == 1).count() as i32;
    assert!((few - 2000).abs() < 5 * 43, "{few}"); // standard deviation 42.4
    let other =
        Split::by_key((0..20_000).map(|i| stable_hash(format!("patient {i}").as_bytes())), &[0.9, 0.1], 8).unwrap();
    let both = parts(&keys).iter().zip(parts(&other)).filter(|&(&a, b)| a == 1 && b == 1).count() as i32;
    assert!((both - 200).abs() < 5 * 15, "{both}"); // seeds are independent
}

/// Key 17 under seed 3 gives u = 0x139993BE430619 / 2^53 (`tests/data/order.py`'s words). A part begins with its bound.
#[test]
fn a_key_on_the_bound_is_in_the_next_part() {
    let grid = 1.0 / (1_u64 << 53) as f64;
    let u = 0x0013_9993_BE43_0619_u64 as f64 * grid;
    let part = |bound: f64| Split::by_key([17], &[bound, 1.0 - bound], 3).unwrap().part_of(0);
    assert_eq!([part(u - grid), part(u), part(u + grid)], [Some(1), Some(1), Some(0)]);
}

#[test]
fn parts_are_orders_over_the_whole() {
    let split = Split::new(100, &[0.8, 0.2], 3).unwrap();
    let validation = split.part(1).unwrap();
    assert!(validation.samples().is_sorted());
    let batcher = Batcher::over(&validation, 7).unwrap();
    assert_eq!(batcher.epoch(5).indices(), validation.samples());
    let training = Batcher::over(split.part(0).unwrap().shuffled(9).unwrap(), 7).unwrap();
    let mut all = [training.epoch(1).indices(), validation.samples()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..100).collect::<Vec<_>>());
    // Places are shuffled as any 80 samples are.
    let places = Batcher::new(80, 7, 9).unwrap().epoch(1).indices().to_vec();
    let expected: Vec<usize> = places.iter().map(|&place| split.part(0).unwrap().samples()[place]).collect();
    assert_eq!(training.epoch(1).indices(), expected);
    assert_ne!(Split::new(100, &[0.8, 0.2], 4).unwrap(), split);
    assert_eq!(validation.shuffled(1).unwrap().longest_run(), 20);
}

#[test]
fn what_is_wrong_is_named() {
    says(Split::new(10, &[], 1), "number of parts is 0, expected at least 1");
    says(
        Split::new(10, &[0.5, 0.4], 1),
        "sum of the shares is 0.9, expected a number of at least 0.999999999 and at most 1.000000001",
    );
    says(Split::new(10, &[1.0, 0.0], 1), "share is 0.0, expected a finite number above 0");
    says(Split::new(10, &[f64::NAN], 1), "share is NaN, expected a finite number above 0");
    says(Split::new(0, &[1.0], 1), "number of samples is 0, expected at least number of parts = 1");
    says(Split::new(4, &[0.2; 5], 1), "number of samples is 4, expected at least number of parts = 5");
    says(
        Split::stratified(&["a", "b", "a", "a", "b"], &[0.3, 0.3, 0.4], 1),
        "class \"b\" has 2 samples, expected at least 3, the number of parts",
    );
    says(Split::stratified::<u8>(&[], &[1.0], 1), "number of samples is 0, expected at least number of parts = 1");
    if usize::BITS > 32 {
        says(
            Split::new(Shuffle::MAX_LEN + 1, &[1.0], 1),
            "number of samples is 4294967297, expected at most Shuffle::MAX_LEN = 4294967296",
        );
    }
    let split = Split::new(10, &[0.99, 0.01], 1).unwrap();
    says(split.part(2), "part is 2, expected below number of parts = 2");
    says(split.all_but(2), "part is 2, expected below number of parts = 2");
    says(split.part(1), "number of samples is 0, expected at least 1");
    says(Split::by_key([], &[1.0], 1).unwrap().part(0), "number of samples is 0, expected at least 1");
    // A share so small that those before it add up to 1 and a rounding.
    let rounded = Split::new(1 << 20, &[1.0, 1e-10], 1).unwrap();
    assert_eq!(rounded.part(0).unwrap().samples().len(), 1 << 20);
}
