//! Splits: every sample in one part, shares met, errors by name.

use std::cmp::Ordering;

use gradstep::{Batcher, Draws, Error, Shuffle, Split, Subset, stable_hash};
use proptest::prelude::*;

use crate::common::{
    config,
    golden::{digest_and_first_40, table},
    says,
};

fn parts(split: &Split) -> Vec<u64> {
    (0..split.len()).map(|sample| part_or_none(split, sample)).collect()
}

/// In golden rows, a sample without a part has the number of parts.
fn part_or_none(split: &Split, sample: usize) -> u64 {
    split.part_of(sample).unwrap_or(split.parts()) as u64
}

fn sizes(split: &Split) -> Vec<usize> {
    let mut sizes = vec![0; split.parts()];
    parts(split).iter().for_each(|&part| sizes[part as usize] += 1);
    assert_eq!(split.counts(), sizes);
    sizes
}

fn list(subset: Result<Subset, Error>) -> Vec<usize> {
    subset.unwrap().samples().to_vec()
}

/// How many samples of each class each part has.
fn by_class(split: &Split, labels: &[usize]) -> Vec<Vec<usize>> {
    let mut counts = vec![vec![0; split.parts()]; labels.iter().max().map_or(0, |most| most + 1)];
    labels.iter().zip(parts(split)).for_each(|(&label, part)| counts[label][part as usize] += 1);
    counts
}

/// Shares that add up to 1.
fn shares() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(1_u32..100, 1..8).prop_map(|weights| {
        let sum: u32 = weights.iter().sum();
        weights.into_iter().map(|weight| f64::from(weight) / f64::from(sum)).collect()
    })
}

/// To less than one sample, and a rounding.
fn shares_are_met(counts: &[usize], shares: &[f64]) {
    let len: usize = counts.iter().sum();
    for (part, (share, &count)) in shares.iter().zip(counts).enumerate() {
        let expected = share * len as f64;
        assert!((count as f64 - expected).abs() < 1.0 + 1e-6, "part {part}: {count} of {expected}");
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn every_sample_is_in_one_part_and_shares_are_met(shares in shares(), more in 0_usize..300, seed in any::<u64>()) {
        let len = shares.len() + more;
        let split = match Split::new(len, &shares, seed) {
            Ok(split) => split,
            Err(Error::EmptyPart { part, samples, share }) => {
                prop_assert_eq!(samples, len);
                prop_assert!(share * (len as f64) < 1.0 && (share - shares[part]).abs() < 1e-15);
                return Ok(());
            }
            Err(error) => panic!("{error}"),
        };
        prop_assert_eq!((split.len(), split.parts(), split.part_of(len)), (len, shares.len(), None));
        shares_are_met(&sizes(&split), &shares);
        for part in 0..shares.len() {
            let inside = split.part(part).unwrap().samples().to_vec();
            let outside = split.all_but(part).map_or(vec![], |samples| samples.samples().to_vec());
            prop_assert!(inside.iter().all(|&sample| split.part_of(sample) == Some(part)));
            prop_assert!(inside.is_sorted() && outside.is_sorted());
            let mut all = [inside, outside].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..len).collect::<Vec<_>>());
        }
    }

    /// Classes that are just large enough, and larger ones; their labels and the order of their samples are any.
    #[test]
    fn each_class_is_met_in_each_part(
        shares in shares(),
        more in prop::collection::vec(0_usize..40, 1..6),
        equal in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let shares = if equal { vec![1.0 / shares.len() as f64; shares.len()] } else { shares };
        let min = (1.0 / shares.iter().copied().fold(1.0, f64::min) - 1e-9).ceil() as usize;
        let mut labels: Vec<usize> = more.iter().enumerate().flat_map(|(label, more)| vec![label; min + more]).collect();
        let places = Batcher::new(labels.len(), 1, seed ^ 1).unwrap().epoch(0).indices().to_vec();
        labels = places.into_iter().map(|place| labels[place]).collect();
        let split = Split::stratified(&labels, &shares, seed).unwrap();
        for counts in by_class(&split, &labels) {
            prop_assert!(counts.iter().all(|&count| count > 0), "{:?}", counts);
            shares_are_met(&counts, &shares);
        }
        // All classes together too: always to within one with three parts or equal shares, and with more ones to within two
        // (0.95 is the most that was seen in 300,000 random cases).
        let within = if equal || shares.len() <= 3 { 1.0 } else { 2.0 };
        for (size, share) in sizes(&split).into_iter().zip(&shares) {
            prop_assert!((size as f64 - share * labels.len() as f64).abs() < within);
        }
        // Other labels of the same classes, in another order.
        let renamed: Vec<String> = labels.iter().map(|&label| format!("{}", label as u64 ^ (seed % 8))).collect();
        prop_assert_eq!(&Split::stratified(&renamed, &shares, seed).unwrap(), &split);
        // One sample less is too few.
        let place = labels.iter().position(|&label| more[label] == 0);
        if let Some(place) = place {
            let (label, smallest) = (labels.remove(place), (0..shares.len()).find(|&part| 1.0 / shares[part] > min as f64 - 1.0));
            let expected = Error::SmallClass {
                class: label.to_string(),
                samples: min - 1,
                part: smallest.unwrap(),
                min: min as u64,
            };
            let rejected = Split::stratified(&labels, &shares, seed);
            // No sample is left where one was enough.
            prop_assert!(min == 1 || rejected == Err(expected), "{:?}", rejected);
        }
    }

    /// With the invariants of scikit-learn's `TimeSeriesSplit`: training ends a gap before the part that validates, and
    /// grows.
    #[test]
    fn parts_in_order(shares in shares(), gap in 0_usize..20, more in 0_usize..300) {
        let gaps = gap * (shares.len() - 1);
        let len = gaps + shares.len() + more;
        let Ok(split) = Split::in_order(len, &shares, gap) else {
            prop_assert!(shares.iter().any(|share| share * ((len - gaps) as f64) < 1.0));
            return Ok(());
        };
        shares_are_met(split.counts(), &shares);
        let mut start = 0;
        for (part, &count) in split.counts().iter().enumerate() {
            let samples: Vec<usize> = (start..start + count).collect();
            prop_assert_eq!(list(split.part(part)), samples.clone());
            if part > 0 {
                let before: Vec<usize> = (0..start - gap).collect();
                prop_assert_eq!(list(split.before(part)), before);
            }
            prop_assert!(samples.iter().all(|&sample| split.part_of(sample) == Some(part)));
            start += count + gap;
        }
        prop_assert_eq!((start - gap, split.len(), split.counts().iter().sum()), (len, len, len - gaps));
        if shares.len() > 1 {
            let others = split.all_but(0).unwrap();
            prop_assert!(others.samples().iter().all(|&sample| split.part_of(sample).is_some_and(|part| part > 0)));
            prop_assert_eq!(others.samples().len(), len - gaps - split.counts()[0]);
        }
    }

    /// The parts of a part are of its own samples, each once, as those of a set with as many samples.
    #[test]
    fn a_part_is_split_again(len in 50_usize..300, seed in any::<u64>()) {
        let outer = Split::new(len, &[0.4, 0.3, 0.3], seed).unwrap();
        let training = outer.all_but(1).unwrap();
        let plain = Split::new(training.samples().len(), &[0.5, 0.3, 0.2], !seed).unwrap();
        let inner = training.split(|samples| Split::new(samples.len(), &[0.5, 0.3, 0.2], !seed)).unwrap();
        prop_assert_eq!((inner.len(), inner.parts(), inner.counts()), (plain.len(), 3, plain.counts()));
        let places = |subset| list(subset).into_iter().map(|place| training.samples()[place]).collect::<Vec<_>>();
        for part in 0..3 {
            let samples = inner.part(part).unwrap();
            prop_assert_eq!(samples.samples().to_vec(), places(plain.part(part)));
            prop_assert!(samples.samples().iter().all(|&sample| inner.part_of(sample) == Some(part)));
            prop_assert_eq!(list(inner.all_but(part)), places(plain.all_but(part)));
        }
        prop_assert_eq!(list(inner.before(2)), places(plain.before(2)));
        for sample in 0..len {
            prop_assert_eq!(inner.part_of(sample).is_none(), outer.part_of(sample) == Some(1));
        }
        let halves = |samples: &[usize]| Split::in_order(samples.len(), &[0.5, 0.5], 3);
        let third = inner.part(0).unwrap().split(halves).unwrap();
        prop_assert!(third.part(1).unwrap().samples().iter().all(|&sample| inner.part_of(sample) == Some(0)));
    }

    #[test]
    fn a_key_keeps_its_part(keys in prop::collection::vec(0_u64..50, 1..200), shares in shares(), seed in any::<u64>()) {
        let split = |keys: &[u64]| Split::by_key(keys.to_vec(), &shares, seed);
        let Ok(before) = split(&keys[..keys.len() / 2]) else { return Ok(()) };
        let after = split(&keys).unwrap();
        prop_assert_eq!(&parts(&before)[..], &parts(&after)[..keys.len() / 2]);
        for (i, key) in keys.iter().enumerate() {
            let first = keys.iter().position(|other| other == key).unwrap();
            prop_assert_eq!(after.part_of(i), after.part_of(first));
            prop_assert_eq!(after.part_of(i), Some(Split::part_of_key(*key, &shares, seed).unwrap()));
        }
    }
}

#[test]
fn value_stability_split() {
    for row in table(include_str!("../data/order_split.csv"), 1134) {
        let [kind, len, shares, seed, ..] = row[..] else { panic!("{row:?}") };
        let (len, seed) = (len.parse::<usize>().unwrap(), seed.parse::<u64>().unwrap());
        let shares: Vec<f64> = shares.split(' ').map(|share| share.parse().unwrap()).collect();
        let labels: Vec<usize> = (0..len).map(|i| (7 * i + i / 4) % 4).collect();
        let small: Vec<u64> = (0..len as u64).map(|i| i * i % 97).collect();
        let groups: Vec<u64> = (0..len as u64).map(|i| i * i / 5 % 29).collect();
        let keys = (0..len as u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let split = match kind {
            "plain" => Split::new(len, &shares, seed),
            "counts" => Split::of_counts(&shares.iter().map(|&count| count as usize).collect::<Vec<_>>(), seed),
            "stratified" => Split::stratified(&labels, &shares, seed),
            "small" => Split::stratified(&small, &shares, seed),
            "group" => Split::by_group(&groups, &shares, seed),
            "stratified group" => Split::stratified_by_group(&labels, &groups, &shares, seed),
            "in order" => Split::in_order(len, &shares, seed as usize),
            "again" => Split::new(len, &shares, seed)
                .and_then(|split| split.part(0))
                .and_then(|part| part.split(|samples| Split::new(samples.len(), &shares, seed.wrapping_add(1)))),
            _ => Split::by_key(keys, &shares, seed),
        };
        let split = split.unwrap();
        let parts: Vec<usize> = (0..len).map(|sample| part_or_none(&split, sample) as usize).collect();
        assert_eq!(digest_and_first_40(&parts), row[4..], "{row:?}");
    }
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

/// 3 classes of 5 in shares 0.5, 0.3, 0.2, worked out by hand: the parts get at least 2, 1, 1 of each class, and 1 is left.
///
/// | class | parts lack | of all | so get |
/// |---|---|---|---|
/// | first | 0.5, 0.5, 0 | 2.5, 1.5, 1 | 3, 1, 1 |
/// | second | 5 − 5, 3 − 2, 2 − 2 | 5, 3, 2 | 2, 2, 1 |
/// | third | 7.5 − 7, 4.5 − 4, 3 − 3 | 7.5, 4.5, 3 | 3, 1, 1 |
///
/// Which class is the second one depends on the seed: each is the second in 300 of 900 (standard deviation 14.1).
#[test]
fn a_small_case_by_hand() {
    let labels = [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1];
    let mut times = [0; 3];
    for seed in 0..900 {
        let mut counts = by_class(&Split::stratified(&labels, &[0.5, 0.3, 0.2], seed).unwrap(), &labels);
        times[counts.iter().position(|counts| counts[..] == [2, 2, 1]).unwrap()] += 1;
        counts.sort();
        assert_eq!(counts, [[2, 2, 1], [3, 1, 1], [3, 1, 1]]);
    }
    assert!(times.iter().all(|&times: &i32| (times - 300).abs() < 5 * 15), "{times:?}");
}

/// On average over seeds, a class of any size has its share in each part: here to within 0.2 of a sample.
#[test]
fn classes_of_all_sizes_have_their_share_on_average() {
    let sizes: Vec<usize> = (0..20).map(|class| 13 + class * class % 61).collect();
    let labels: Vec<usize> = sizes.iter().enumerate().flat_map(|(label, &size)| vec![label; size]).collect();
    for shares in [vec![0.8, 0.2], vec![0.7, 0.2, 0.1], vec![0.4, 0.25, 0.15, 0.12, 0.08], vec![0.2; 5]] {
        let mut sums = vec![vec![0; shares.len()]; 20];
        for seed in 0..1000 {
            let counts = by_class(&Split::stratified(&labels, &shares, seed).unwrap(), &labels);
            sums.iter_mut().flatten().zip(counts.iter().flatten()).for_each(|(sum, count)| *sum += count);
        }
        for (sums, &size) in sums.iter().zip(&sizes) {
            for (&sum, share) in sums.iter().zip(&shares) {
                let off = sum as f64 / 1000.0 - share * size as f64;
                assert!(off.abs() < 0.2, "{off} off in a class of {size}, share {share}");
            }
        }
    }
}

/// 0.29 · 100 is 28.999… in f64, and 1,000 shares of 0.001 add up to 1.0000000000000007.
#[test]
fn rounding_takes_no_sample_from_a_part() {
    assert_eq!(sizes(&Split::new(100, &[0.29, 0.71], 1).unwrap()), [29, 71]);
    assert_eq!(sizes(&Split::new(7000, &[0.001; 1000], 1).unwrap()), [7; 1000]);
    assert_eq!(sizes(&Split::new(1_000_000, &[1.0, 6e-7], 1).unwrap()), [999_999, 1]);
}

/// k folds of classes of k, with shares in f64 and in f32: 1 / 0.1 is 10 samples and not 11, and 9 are too few.
#[test]
fn a_share_of_one_in_k_needs_k_samples() {
    for k in 1..=1000 {
        let labels: Vec<usize> = (0..2 * k).map(|i| i % 2).collect();
        let (wide, narrow) = (1.0 / k as f64, f64::from(1.0 / k as f32));
        for share in [wide, narrow] {
            let split = Split::stratified(&labels, &vec![share; k], 1).unwrap();
            assert_eq!(sizes(&split), vec![2; k]);
            let rejected = Split::stratified(&labels[1..], &vec![share; k], 1);
            let (class, samples) = ("0".into(), k - 1);
            assert!(k == 1 || rejected == Err(Error::SmallClass { class, samples, part: 0, min: k as u64 }));
        }
    }
    // Two parts: 1/k in f32, and what is left of 1, computed in f32. (It is then off by up to 2^-25: a millionth in 30.)
    for k in 2..=30 {
        let rest = 1.0 - 1.0 / k as f32;
        for small in [1.0 / k as f32, 1.0 - rest] {
            let split = Split::stratified(&vec![0; k], &[rest.into(), small.into()], 1).unwrap();
            assert_eq!(sizes(&split), [k - 1, 1]);
        }
    }
}

/// Shares as people compute them in f32: their sum is off by up to 3e-8.
#[test]
fn shares_in_f32_are_accepted() {
    let split = |shares: &[f32]| {
        let wide: Vec<f64> = shares.iter().copied().map(f64::from).collect();
        sizes(&Split::new(1_000_000, &wide, 1).unwrap())
    };
    let sets: [&[f32]; 8] = [
        &[0.1; 10],
        &[0.8, 0.1, 0.1],
        &[0.7, 0.2, 0.1],
        &[0.6, 0.2, 0.2],
        &[0.9, 0.05, 0.05],
        &[0.98, 0.01, 0.01],
        &[0.7, 0.15, 1.0 - 0.7 - 0.15],
        &[0.001; 1000],
    ];
    for shares in sets {
        let expected: Vec<usize> = shares.iter().map(|share| (share * 1e6).round() as usize).collect();
        assert_eq!(split(shares), expected, "{shares:?}");
    }
    assert_eq!(split(&[1.0 / 3.0; 3]), [333_334, 333_333, 333_333]);
}

#[test]
fn counts_are_met_exactly() {
    assert_eq!(sizes(&Split::of_counts(&[800, 100, 100], 1).unwrap()), [800, 100, 100]);
    assert_eq!(sizes(&Split::of_counts(&[1], 1).unwrap()), [1]);
    assert_eq!(sizes(&Split::of_counts(&[2_000_003, 1, 7], 1).unwrap()), [2_000_003, 1, 7]);
    // The same samples as by shares.
    let shares = Split::new(1000, &[0.8, 0.1, 0.1], 7).unwrap();
    assert_eq!(Split::of_counts(shares.counts(), 7).unwrap(), shares);
}

/// A label whose `Ord` is no total order: NaN is equal to all. Any label may then be in any class. (std's sort panics for 377
/// of these 2,000 lists, Rust 1.95.0.)
#[test]
fn labels_without_a_total_order_do_not_panic() {
    #[derive(Debug, PartialEq)]
    struct Bad(f64);
    impl Eq for Bad {}
    impl PartialOrd for Bad {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }
    impl Ord for Bad {
        fn cmp(&self, other: &Self) -> Ordering {
            self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
        }
    }
    for seed in 0..2000 {
        let mut values = Draws::new("labels", [0, 0], seed);
        let labels: Vec<Bad> = (0..200)
            .map(|_| values.below(20).unwrap())
            .map(|n| Bad(if n == 0 { f64::NAN } else { n as f64 }))
            .collect();
        let split = Split::stratified(&labels, &[1.0], seed).unwrap();
        assert_eq!(sizes(&split), [200]);
        let _either = Split::stratified(&labels, &[0.5, 0.5], seed);
    }
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
    let by_key = |seed| {
        let keys = (0..20_000).map(|i| stable_hash(format!("patient {i}").as_bytes()));
        Split::by_key(keys, &[0.9, 0.1], seed).unwrap()
    };
    let (keys, other) = (by_key(7), by_key(8));
    let few = parts(&keys).iter().filter(|&&part| part == 1).count() as i32;
    assert!((few - 2000).abs() < 5 * 43, "{few}"); // standard deviation 42.4
    let both = parts(&keys).iter().zip(parts(&other)).filter(|&(&a, b)| a == 1 && b == 1).count() as i32;
    assert!((both - 200).abs() < 5 * 15, "{both}"); // seeds are independent
}

proptest! {
    #![proptest_config(config(64))]

    /// Groups stay whole, no part is empty while there are as many groups, and other names change nothing.
    #[test]
    fn groups_stay_whole(
        sizes in prop::collection::vec(1_usize..20, 1..30),
        shares in shares(),
        classes in 1_usize..5,
        seed in any::<u64>(),
    ) {
        let mut groups: Vec<usize> = sizes.iter().enumerate().flat_map(|(group, &size)| vec![group; size]).collect();
        let places = Batcher::new(groups.len(), 1, seed ^ 1).unwrap().epoch(0).indices().to_vec();
        groups = places.iter().map(|&place| groups[place]).collect();
        let labels: Vec<usize> = places.iter().map(|place| place * place % classes).collect();
        let [plain, stratified] =
            [Split::by_group(&groups, &shares, seed), Split::stratified_by_group(&labels, &groups, &shares, seed)];
        if sizes.len() < shares.len() {
            prop_assert!(plain.is_err() && stratified.is_err());
            return Ok(());
        }
        for split in [plain.as_ref().unwrap(), stratified.as_ref().unwrap()] {
            prop_assert!(self::sizes(split).iter().all(|&size| size > 0));
            for (sample, group) in groups.iter().enumerate() {
                let first = groups.iter().position(|other| other == group).unwrap();
                prop_assert_eq!(split.part_of(sample), split.part_of(first));
            }
        }
        let renamed: Vec<String> = groups.iter().map(|group| format!("{}", group ^ 5)).collect();
        let relabelled: Vec<usize> = labels.iter().map(|label| 10 - label).collect();
        prop_assert_eq!(Split::by_group(&renamed, &shares, seed), plain.clone());
        prop_assert_eq!(Split::stratified_by_group(&relabelled, &renamed, &shares, seed), stratified);
        // One class is no class; and single samples are shared as without groups.
        prop_assert_eq!(Split::stratified_by_group(&vec![(); groups.len()], &groups, &shares, seed), plain);
        let singles: Vec<usize> = (0..groups.len()).collect();
        shares_are_met(&self::sizes(&Split::by_group(&singles, &vec![1.0 / shares.len() as f64; shares.len()], seed).unwrap()), &vec![1.0 / shares.len() as f64; shares.len()]);
    }
}

/// Groups of 7, 5, 4, 3, 2 and 1 in shares 0.5, 0.3, 0.2 of 22, worked out by hand. Parts lack 11, 6.6, 4.4.
///
/// | group | goes to | which then lack |
/// |---|---|---|
/// | 7 | 0 | 4, 6.6, 4.4 |
/// | 5 | 1 | 4, 1.6, 4.4 |
/// | 4 | 2 | 4, 1.6, 0.4 |
/// | 3 | 0 | 1, 1.6, 0.4 |
/// | 2 | 1 | 1, −0.4, 0.4 |
/// | 1 | 0 | 0, −0.4, 0.4 |
#[test]
fn groups_by_hand() {
    let groups: Vec<usize> = [7, 5, 4, 3, 2, 1].into_iter().flat_map(|size| vec![size; size]).collect();
    let split = Split::by_group(&groups, &[0.5, 0.3, 0.2], 9).unwrap();
    assert_eq!(sizes(&split), [11, 7, 4]);
    let part = |size| split.part_of(groups.iter().position(|&group| group == size).unwrap()).unwrap();
    assert_eq!([7, 5, 4, 3, 2, 1].map(part), [0, 1, 2, 0, 1, 0]);
    // Where a part would get none, the last groups go there; ties by the seed, so each group is alone in each part.
    let mut alone = [[0; 4]; 3];
    for seed in 0..1200 {
        let split = Split::by_group(&[0, 0, 1, 1, 2, 2, 3, 3], &[0.9, 0.08, 0.02], seed).unwrap();
        assert_eq!(sizes(&split), [4, 2, 2]);
        for group in 0..4 {
            alone[split.part_of(2 * group).unwrap()][group] += 1;
        }
    }
    // 600 and 300 times, with standard deviations 17.3 and 15.
    assert!(alone[0].iter().all(|&times: &i32| (times - 600).abs() < 87), "{alone:?}");
    assert!(alone[1..].iter().flatten().all(|&times| (times - 300).abs() < 75), "{alone:?}");
}

/// What scikit-learn's tests ask of `GroupKFold` and `StratifiedGroupKFold`: folds of one size to within 5 % of the samples,
/// the shares of classes followed more closely than without labels, and groups of one class each spread evenly.
#[test]
fn folds_of_groups_are_even() {
    for seed in 0..50 {
        let draws = |purpose, n| {
            let mut values = vec![0; 1000];
            Draws::new(purpose, [0, 0], seed).fill_below(n, &mut values).unwrap();
            values
        };
        let groups = draws("groups", 15);
        let folds = Split::by_group(&groups, &[0.2; 5], seed).unwrap();
        assert!(sizes(&folds).iter().all(|size| size.abs_diff(200) <= 50), "{:?}", folds.counts());

        // 150 groups that differ in their classes, of which one is rare.
        let groups = draws("groups", 150);
        let labels: Vec<usize> = draws("labels", 20)
            .iter()
            .zip(&groups)
            .map(|(&label, group)| usize::from(label < 1 + group % 3) + usize::from(label == 19 && group % 5 == 0))
            .collect();
        let off = |split: Split| -> f64 {
            let counts = by_class(&split, &labels);
            let off = |counts: &Vec<usize>| -> f64 {
                let total: usize = counts.iter().sum();
                counts.iter().map(|&count| (count as f64 / total as f64 - 0.2).powi(2)).sum()
            };
            counts.iter().map(off).sum()
        };
        let without = off(Split::by_group(&groups, &[0.2; 5], seed).unwrap());
        let with = off(Split::stratified_by_group(&labels, &groups, &[0.2; 5], seed).unwrap());
        assert!(with < without, "{with} and {without}");

        // 10 groups of one class, 20 of another: each of 5 folds has 2 and 4 of them.
        let groups: Vec<usize> = (0..300).map(|sample| sample % 30).collect();
        let labels: Vec<usize> = groups.iter().map(|group| usize::from(group % 3 == 0)).collect();
        let folds = Split::stratified_by_group(&labels, &groups, &[0.2; 5], seed).unwrap();
        assert_eq!(by_class(&folds, &labels), [[40; 5], [20; 5]]);
    }
}

/// Key 25 under seed 3 gives the word 0x12E9035F2D474800 (`tests/data/order.py`), whose lowest 11 bits are 0: as a fraction of
/// 2^64 it is an f64, and can be a bound. A part begins with its bound.
#[test]
fn a_key_on_the_bound_is_in_the_next_part() {
    let grid = 1.0 / (1_u64 << 53) as f64;
    let u = (0x12E9_035F_2D47_4800_u64 >> 11) as f64 * grid;
    let part = |bound: f64| Split::by_key(0..100, &[bound, 1.0 - bound], 3).unwrap().part_of(25);
    assert_eq!([part(u - grid), part(u), part(u + grid)], [Some(1), Some(1), Some(0)]);
}

/// When a sample is added: 1 − Σ share² = 0.34 of the samples change their part, and none by key.
#[test]
fn which_samples_move_when_one_is_added() {
    let (shares, seeds) = ([0.8, 0.1, 0.1], 100);
    let labels: Vec<usize> = (0..1001).map(|sample| sample * sample % 10).collect();
    let moved = |split: &dyn Fn(usize, u64) -> Split| -> usize {
        let moved = |seed| {
            let (before, after) = (split(1000, seed), split(1001, seed));
            (0..1000).filter(|&sample| before.part_of(sample) != after.part_of(sample)).count()
        };
        (0..seeds).map(moved).sum()
    };
    let (plain, stratified, by_key) = (
        moved(&|len, seed| Split::new(len, &shares, seed).unwrap()),
        moved(&|len, seed| Split::stratified(&labels[..len], &shares, seed).unwrap()),
        moved(&|len, seed| Split::by_key(0..len as u64, &shares, seed).unwrap()),
    );
    println!("of 100,000 samples {plain} move, stratified {stratified}, by key {by_key}");
    assert!((33_000..35_000).contains(&plain) && (33_000..35_000).contains(&stratified));
    assert_eq!(by_key, 0);
}

/// As the documentation of `by_key` says: of 20 keys, one of five folds is empty for 5.7 % of all seeds.
#[test]
fn keys_may_leave_a_fold_empty() {
    let empty = (0..4000).filter(|&seed| Split::by_key(0..20, &[0.2; 5], seed).is_err()).count();
    assert!((empty as i32 - 4000 * 57 / 1000).abs() < 5 * 15, "{empty}"); // standard deviation 14.7
}

/// Lists keep their order, and a sample that is listed twice may be in two parts.
#[test]
fn a_list_is_split_in_its_order() {
    let by_time = Subset::new(vec![7, 3, 9, 3, 1]).unwrap();
    let split = by_time.split(|samples| Split::in_order(samples.len(), &[0.5, 0.5], 1)).unwrap();
    assert_eq!((list(split.part(0)), list(split.part(1))), (vec![7, 3], vec![3, 1]));
    assert_eq!([7, 3, 9, 1, 5, 0].map(|sample| split.part_of(sample)), [Some(0), Some(0), None, Some(1), None, None]);
    // Places of a list in a list: 9 and 7.
    let places = Subset::new(vec![2, 0, 2, 0, 2]).unwrap();
    let twice = by_time.split(|_| places.split(|samples| Split::in_order(samples.len(), &[0.6, 0.4], 0))).unwrap();
    assert_eq!((list(twice.part(0)), list(twice.part(1))), (vec![9, 7, 9], vec![7, 9]));
}

/// A case of scikit-learn's own tests, in which both libraries cut a set into parts of the same lengths.
#[test]
fn expanding_windows() {
    let split = Split::in_order(7, &[1.0 / 3.0; 3], 0).unwrap();
    assert_eq!((list(split.before(1)), list(split.part(1))), (vec![0, 1, 2], vec![3, 4]));
    assert_eq!((list(split.before(2)), list(split.part(2))), (vec![0, 1, 2, 3, 4], vec![5, 6]));
    // They also grow in a split that is not in order.
    let split = Split::new(10, &[0.2; 5], 3).unwrap();
    let grows: Vec<usize> = (1..5).map(|part| split.before(part).unwrap().samples().len()).collect();
    assert_eq!(grows, [2, 4, 6, 8]);
    assert_eq!(split.before(4).unwrap(), split.all_but(4).unwrap());
}

#[test]
fn what_is_wrong_is_named() {
    let too_few =
        |samples: &str, parts| format!("number of samples{samples}, expected at least number of parts = {parts}");
    says(Split::in_order(10, &[0.5, 0.5], 9), &too_few(" outside the gaps is 1", 2));
    says(Split::in_order(10, &[0.5, 0.5], usize::MAX), &too_few(" outside the gaps is 0", 2));
    says(Split::in_order(10, &[0.25; 4], usize::MAX), &too_few(" outside the gaps is 0", 4));
    says(Split::new(0, &[1.0], 1), &too_few(" is 0", 1));
    says(Split::new(4, &[0.2; 5], 1), &too_few(" is 4", 5));
    says(Split::stratified::<u8>(&[], &[1.0], 1), &too_few(" is 0", 1));
    let none = |part, samples, share| {
        format!("part {part} has none of {samples} samples, expected at least one: its share is {share:?}")
    };
    says(Split::in_order(12, &[0.99, 0.01], 2), &none(1, 10, 0.01));
    says(Split::new(10, &[0.99, 0.01], 1), &none(1, 10, 0.01));
    says(Split::by_key([], &[1.0], 1), &none(0, 0, 1.0));
    says(Split::by_key([1; 9], &[0.5, 0.5], 1), &none(1, 9, 0.5));
    // Shares so small that those before them add up to 1 and a rounding.
    let tiny = 1.0 / (1_u64 << 30) as f64;
    says(Split::new(1 << 20, &[1.0 - tiny, tiny], 1), &none(1, 1 << 20, tiny));
    says(Split::new(3, &[1.0, f64::MIN_POSITIVE / 4.0], 1), &none(1, 3, 2.0_f64.powi(-62)));

    let sum = |sum| format!("sum of the shares is {sum}, expected a number of at least 0.999999 and at most 1.000001");
    let list = Subset::new(vec![5, 6, 7]).unwrap();
    says(list.split(|samples| Split::new(samples.len(), &[0.9], 1)), &sum("0.9"));
    says(Split::new(10, &[0.5, 0.4], 1), &sum("0.9"));
    says(Split::new(10, &[0.5, 0.5000011], 1), &sum("1.0000011"));
    says(Split::by_key([1], &[0.5], 1), &sum("0.5"));
    says(Split::new(10, &[1.0, 0.0], 1), "share is 0.0, expected a finite number above 0");
    says(Split::new(10, &[f64::NAN], 1), "share is NaN, expected a finite number above 0");
    says(Split::new(10, &[], 1), "number of parts is 0, expected at least 1");
    says(Split::of_counts(&[], 1), "number of parts is 0, expected at least 1");
    says(Split::of_counts(&[3, 0], 1), "count is 0, expected at least 1");
    says(Split::new(10, &vec![1e-6; 1_000_001], 1), "number of parts is 1000001, expected at most 1000000");
    if usize::BITS > 32 {
        let most = |len: u64| format!("number of samples is {len}, expected at most Shuffle::MAX_LEN = 4294967296");
        says(Split::new(Shuffle::MAX_LEN + 1, &[1.0], 1), &most(4_294_967_297));
        says(Split::of_counts(&[Shuffle::MAX_LEN, 1], 1), &most(4_294_967_297));
        says(Split::of_counts(&[usize::MAX; 2], 1), &most(u64::MAX));
    }

    // Where several classes are too small, the error names the first in the order of labels, and the smallest part.
    let advice = "give rare labels one common label first";
    says(
        Split::stratified(&["a", "b", "a", "a", "b", "a"], &[0.3, 0.3, 0.4], 1),
        &format!("class \"b\" has 2 samples, expected at least 4 so that part 0 gets one: {advice}"),
    );
    says(
        Split::stratified(&[9, 7, 7, 8, 8, 8, 8, 8, 8, 8], &[0.8, 0.2], 1),
        &format!("class 7 has 2 samples, expected at least 5 so that part 1 gets one: {advice}"),
    );

    says(list.split(|_| Split::new(4, &[1.0], 1)), "split has length 4, expected 3, the length of samples");
    let whole = list.split(|_| list.split(|samples| Split::new(samples.len(), &[1.0], 1)));
    says(whole, "sample is 5, expected below number of samples = 3");
    let split = Split::in_order(12, &[0.5, 0.5], 2).unwrap();
    says(split.before(0), "part is 0, expected at least 1");
    for none in [split.before(2), split.part(2), split.all_but(2)] {
        says(none, "part is 2, expected below number of parts = 2");
    }
    says(Split::new(10, &[1.0], 1).unwrap().all_but(0), "number of parts is 1, expected at least 2");
}

/// Where memory is short, a split is an error and the process lives: 32 GiB where 2 are allowed.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn without_memory_it_is_an_error() {
    let program = std::env::current_exe().unwrap();
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 2000000 && exec \"$0\" split::short_of_memory --exact --ignored --nocapture"])
        .arg(program)
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && out.contains("1 passed"), "{out}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "the child of the one above"]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn short_of_memory() {
    if std::fs::read_to_string("/proc/self/limits").unwrap().contains("2048000000") {
        let too_long = |name, len| format!("{name} of length {len} does not fit in memory");
        says(Split::new(1 << 32, &[1.0], 1), &too_long("samples", 1_u64 << 32));
        says(Split::new(200_000_000, &[1.0], 1), &too_long("samples", 200_000_000)); // 0.8 GB fit, and 1.6 more do not
        says(Split::of_counts(&[1 << 31, 1 << 31], 1), &too_long("samples", 1_u64 << 32));
        says(Split::stratified(&[(); 1 << 32], &[1.0], 1), &too_long("labels", 1_u64 << 32));
        says(Split::by_key((0..1_u64 << 40).map(|_| 0), &[1.0], 1), &too_long("keys", 1_u64 << 40));
        says(Split::by_key(std::iter::repeat(0), &[1.0], 1), &too_long("keys", u64::MAX));
    }
}
