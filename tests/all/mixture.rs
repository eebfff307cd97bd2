//! Several orders in fixed shares.

use std::{cell::Cell, collections::BTreeMap, ops::Range, sync::Arc};

use gradstep::{Batcher, Fill, Mixture, Order, Permutation, Sequential, Shuffle, Subset};
use proptest::prelude::*;

use crate::common::{
    AnyOrder, Blocks, Rotated, Says, config,
    golden::{digest_and_first_40, table},
    named, orders, says,
};

fn epoch(order: &impl Order, epoch: u64) -> Vec<usize> {
    Batcher::over(order, 1).unwrap().epoch(epoch).indices().to_vec()
}

/// The samples of epochs 0, 1, …, one after the other.
fn epochs(order: &impl Order, count: u64) -> Vec<usize> {
    (0..count).flat_map(|number| epoch(order, number)).collect()
}

/// A mixture as the frozen page defines it: place by place, with a count for each source. `changes` are the epoch from which
/// on shares hold, and these.
fn expected(sources: &[impl Order], changes: &[(u64, Vec<u64>)], len: u64, places: usize) -> Vec<(usize, usize)> {
    let mut samples: Vec<_> = sources.iter().map(|source| (0..).flat_map(|number| epoch(source, number))).collect();
    let mut changes = changes.iter().map(|(from, shares)| (from * len, shares)).peekable();
    let (mut period, mut start) = (Vec::new(), 0);
    (0..places as u64)
        .map(|place| {
            if let Some((from, shares)) = changes.next_if(|&(from, _)| from == place) {
                (period, start) = (period_of(shares), from);
            }
            let source = period[((place - start) % period.len() as u64) as usize];
            (source, samples[source].next().unwrap())
        })
        .collect()
}

/// Each place to the source whose next place has the earliest deadline, of those that may stand there.
fn period_of(shares: &[u64]) -> Vec<usize> {
    let divisor = (1..=shares[0]).rev().find(|divisor| shares.iter().all(|share| share % divisor == 0)).unwrap();
    let shares: Vec<u64> = shares.iter().map(|share| share / divisor).collect();
    let (len, mut had) = (shares.iter().sum::<u64>(), vec![0; shares.len()]);
    (0..len)
        .map(|place| {
            let may_stand = |&j: &usize| had[j] < shares[j] && had[j] * len / shares[j] <= place;
            let deadline = |&j: &usize| ((had[j] + 1) * len).div_ceil(shares[j]);
            let source = (0..shares.len()).filter(may_stand).min_by_key(deadline).unwrap();
            had[source] += 1;
            source
        })
        .collect()
}

const LABEL: fn(usize) -> usize = |i| (7 * i + i / 4) % 4;
const SMALL: fn(usize) -> usize = |i| i * i % 97;

#[test]
fn value_stability_of_mixtures() {
    for row in table(include_str!("../data/order_mixture.csv"), 24) {
        let len: usize = row[1].parse().unwrap();
        let (kind, numbers) = row[0].split_once(' ').unwrap_or((row[0], ""));
        let numbers: Vec<u64> = numbers.split_whitespace().map(|number| number.parse().unwrap()).collect();
        let labels: Vec<usize> = (0..len).map(if len == 40 { LABEL } else { SMALL }).collect();
        let samples = match kind {
            "sets" => epochs(&changing(), 8),
            "stratified" => epochs(&Mixture::stratified(&labels, numbers[0]).unwrap(), 2),
            "balanced" => epochs(&Mixture::balanced(&labels, 300, numbers[0]).unwrap(), 2),
            // Each source gives 0 only: sample 0 of set s is s.
            "period" => {
                let sets = vec![Sequential::new(1).unwrap(); numbers.len()];
                let order = Mixture::of_sets(sets, &numbers, len as u64).unwrap();
                assert_eq!(epoch(&order, 1), epoch(&order, 0));
                epoch(&order, 0)
            }
            _ => panic!("{row:?}"),
        };
        assert_eq!(digest_and_first_40(&samples), row[2..], "{row:?}");
    }
}

/// 12 samples per epoch of two sets, at 1 to 3; from epoch 3 on at 2 to 1, from epoch 5 on at 3 to 5.
fn changing() -> Mixture<Shuffle> {
    let sets = vec![Shuffle::new(5, 1).unwrap(), Shuffle::new(40, 2).unwrap()];
    let mixture = Mixture::of_sets(sets, &[1, 3], 12).unwrap();
    mixture.with_shares_from(3, &[2, 1]).unwrap().with_shares_from(5, &[30, 50]).unwrap()
}

/// What a position keeps for ever; tests/data/order.py prints it.
#[test]
fn value_stability_of_the_hashes() {
    assert_eq!(
        changing().settings(),
        [
            ("mixture", 1),
            ("len", 12),
            ("number of sources", 2),
            ("hash of the sources", 0x40E8DC895D63280B),
            ("hash of the shares", 0x652DBA4A3416471A),
            ("numbered by set", 1),
        ]
    );
}

/// Shares 1 and 3 of 4. The place of source 0 has its deadline at 4; those of source 1 may stand from 0, 1 and 2 on (n · 4 / 3,
/// rounded down) and have theirs at 2, 3 and 4 ((n + 1) · 4 / 3, rounded up). So places 0 and 1 are of source 1. At place 2 both
/// have to stand before 4: the lower one comes first.
#[test]
fn one_to_three_by_hand() {
    let sources = [0, 100].map(|first| Subset::new((first..first + 5).collect()).unwrap());
    let mixture = Mixture::new(sources.to_vec(), &[1, 3], 7).unwrap();
    assert_eq!(epoch(&mixture, 0), [100, 101, 0, 102, 103, 104, 1]);
    assert_eq!(epoch(&mixture, 1), [100, 101, 102, 2, 103, 104, 100]); // goes on where the epoch ended
    let sets = vec![Sequential::new(5).unwrap(), Sequential::new(2).unwrap()];
    assert_eq!(epoch(&Mixture::of_sets(sets, &[2, 6], 4).unwrap(), 0), [1, 3, 0, 1]); // sample i of set s is 2 i + s
}

fn shares() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![1_u64..6, 1_u64..200], 1..9)
}

proptest! {
    #![proptest_config(config(128))]

    /// After t places, |count − t · share / sum| < 1, over all epochs; from a change on, of the places since.
    #[test]
    fn each_count_is_within_one_of_its_share((first, second) in (shares(), shares()), len in 1_u64..400, change in 1_u64..4) {
        let second: Vec<u64> = first.iter().zip(second.iter().cycle()).map(|(_, &share)| share).collect();
        let sets = vec![Sequential::new(1).unwrap(); first.len()];
        let mixture = Mixture::of_sets(sets, &first, len).unwrap().with_shares_from(change, &second).unwrap();
        let all = epochs(&mixture, change + 4);
        let (before, after) = all.split_at((change * len) as usize);
        for (sources, shares) in [(before, &first), (after, &second)] {
            let (sum, mut counts) = (shares.iter().sum::<u64>(), vec![0_u64; shares.len()]);
            for (t, &source) in (1..).zip(sources) {
                counts[source] += 1;
                for (count, share) in counts.iter().zip(shares) {
                    prop_assert!((count * sum).abs_diff(t * share) < sum, "{shares:?} after {t}: {counts:?}");
                }
            }
        }
    }

    /// Each source goes through its own orders, in turn: all kinds of orders, in boxes, after changes of the shares.
    #[test]
    fn each_source_has_epochs_of_its_own(
        sources in prop::collection::vec(orders(), 1..6), shares in (shares(), shares()), len in 1_u64..300, change in 1_u64..3,
    ) {
        let of = |shares: &[u64]| shares.iter().copied().cycle().take(sources.len()).collect::<Vec<_>>();
        let changes = [(0, of(&shares.0)), (change, of(&shares.1))];
        let boxed: Vec<Arc<dyn Order>> = sources.iter().map(|source| Arc::new(source.clone()) as _).collect();
        let mixture = Mixture::new(boxed, &changes[0].1, len).unwrap().with_shares_from(change, &changes[1].1).unwrap();
        let reference = expected(&sources, &changes, len, 5 * len as usize);
        let samples: Vec<usize> = reference.iter().map(|&(_, sample)| sample).collect();
        prop_assert_eq!(epochs(&mixture, 5), &samples[..]);
        let k = sources.len();
        let sets = Mixture::of_sets(sources, &changes[0].1, len).unwrap().with_shares_from(change, &changes[1].1).unwrap();
        prop_assert_eq!(epochs(&sets, 5), reference.iter().map(|&(s, i)| i * k + s).collect::<Vec<_>>());
        // Within a mixture: once more the same law.
        let outer = Mixture::new(vec![sets, mixture_of_one()], &[2, 3], len).unwrap();
        let inner = [outer.sources()[0].clone(), mixture_of_one()];
        let reference = expected(&inner, &[(0, vec![2, 3])], len, 3 * len as usize);
        prop_assert_eq!(epochs(&outer, 3), reference.iter().map(|&(_, sample)| sample).collect::<Vec<_>>());
    }

    /// Batches of other sizes, on other ranks, from any place on, are cut from the same epochs.
    #[test]
    fn any_batch_size_and_rank_in_mid_epoch(
        sources in prop::collection::vec(orders(), 1..4), shares in shares(), len in 2_u64..200, sizes in prop::collection::vec(1_usize..40, 1..8),
        world_size in 1_usize..5,
    ) {
        let shares: Vec<u64> = shares.iter().copied().cycle().take(sources.len()).collect();
        let mixture = Mixture::of_sets(sources, &shares, len).unwrap();
        let all = epochs(&mixture, 3);
        let mut done = 0;
        let mut position = Batcher::over(&mixture, 1).unwrap().stream().position();
        for size in sizes {
            let size = size.min(len as usize);
            let batcher = Batcher::over(&mixture, size).unwrap();
            let mut stream = batcher.resume_with_new_batch_size(&position).unwrap();
            for _ in 0..2 {
                let batch = stream.next_batch().unwrap();
                if done + batch.len() <= all.len() {
                    prop_assert_eq!(batch, &all[done..done + batch.len()]);
                    let world_size = world_size.min(size);
                    let shards = (0..world_size).flat_map(|rank| batcher.shard(rank, world_size).unwrap().of(batch).to_vec());
                    prop_assert_eq!(shards.collect::<Vec<_>>(), batch);
                }
                done += batch.len();
            }
            position = stream.position();
        }
    }

    /// Every sample once per epoch; each class within one of its share at every prefix, so within two in every batch.
    #[test]
    fn stratified_is_a_shuffle_with_every_class_in_every_batch(
        labels in prop::collection::vec(prop_oneof![0_u8..3, 0_u8..40], 1..300), seed: u64, number: u64, batch_size in 1_usize..60,
    ) {
        let mixture = Mixture::stratified(&labels, seed).unwrap();
        let samples = epoch(&mixture, number);
        let mut sorted = samples.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..labels.len()).collect::<Vec<_>>());
        let mut sizes = BTreeMap::new();
        labels.iter().for_each(|label| *sizes.entry(label).or_insert(0_i64) += 1);
        let len = labels.len() as i64;
        let count = |samples: &[usize], label| samples.iter().filter(|&&sample| labels[sample] == label).count() as i64;
        for (&&label, size) in &sizes {
            for batch in samples.chunks(batch_size) { // the last one, too
                prop_assert!((count(batch, label) * len - batch.len() as i64 * size).abs() < 2 * len);
            }
            for t in 0..samples.len() {
                prop_assert!((count(&samples[..t], label) * len - t as i64 * size).abs() < len);
            }
        }
    }

    #[test]
    fn an_order_that_contradicts_itself_gives_no_sample_and_no_panic(
        lies in prop::collection::vec((0_u64..30, 0_u64..30, 0_u64..30, 0_u64..40, 0_usize..8), 1..4), len in 1_u64..50, batch_size in 1_usize..20,
    ) {
        let liar = |(len, start, run_len, longest, scratch): (u64, u64, u64, u64, usize)| Liar {
            len: Cell::new(len), calls: Cell::new(0), run: start..start.wrapping_add(run_len).wrapping_sub(5), longest, scratch,
        };
        let sources: Vec<Liar> = lies.into_iter().map(liar).collect();
        let shares = vec![2; sources.len()];
        let Ok(mixture) = Mixture::of_sets(sources, &shares, len) else { return Ok(()) };
        let batcher = Batcher::over(mixture, batch_size.min(len as usize)).unwrap();
        let batcher = batcher.as_ref();
        for number in [0, 7, u64::MAX] {
            batcher.epoch(number);
            let mut stream = batcher.resume(&batcher.position(number, len / 2).unwrap()).unwrap();
            for _ in 0..5 {
                stream.next_batch();
            }
        }
    }
}

fn mixture_of_one() -> Mixture<AnyOrder> {
    Mixture::new(vec![AnyOrder::Blocks(Blocks { len: 50, block_len: 7 })], &[1], 11).unwrap()
}

/// An order whose answers do not fit each other, and whose length becomes 0 in time.
#[derive(Debug)]
struct Liar {
    len: Cell<u64>,
    calls: Cell<u32>,
    run: Range<u64>,
    longest: u64,
    scratch: usize,
}

impl Order for Liar {
    fn len(&self) -> u64 {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() > 60 {
            self.len.set(0);
        }
        self.len.get()
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
        if place % 3 == 0 { place..place + 1 } else { self.run.clone() }
    }

    fn longest_run(&self) -> u64 {
        self.longest
    }

    fn scratch_len(&self) -> usize {
        self.scratch
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        fill.out.fill(7);
    }
}

/// Orders around a mixture that do not forward what it says.
#[test]
fn a_careless_order_around_it_gets_no_sample() {
    for len in [3, 12, 1000] {
        let order = Says { inner: changing(), len, settings: vec![], run: |_| 0..len, longest: len, scratch: 0 };
        let batcher = Batcher::over(order, 2).unwrap();
        assert!(batcher.as_ref().epoch(0).indices().iter().all(|&sample| sample == usize::MAX));
    }
}

#[test]
fn sources_that_know_any_place_are_had_at_any_place() {
    let sources: Vec<Permutation> =
        [(1 << 16, 1), (100_000, 2)].map(|(len, seed)| Permutation::new(len, seed).unwrap()).to_vec();
    let mixture = Mixture::of_sets(sources.clone(), &[2, 3], 1_000_003).unwrap();
    assert_eq!((mixture.longest_run(), mixture.run(3, 17)), (1, 17..18));
    let reference = expected(&sources, &[(0, vec![2, 3])], 1_000_003, 1_050_003);
    let reference: Vec<usize> = reference.into_iter().map(|(s, i)| 2 * i + s).collect();
    assert_eq!(epoch(&mixture, 0), reference[..1_000_003]);
    for (start, count) in [(0, 1), (1, 4095), (4095, 4097), (163_838, 5), (999_000, 1003)] {
        let mut out = vec![0; count];
        mixture.try_fill(0, start, &mut out).unwrap();
        assert_eq!(out, reference[start as usize..][..count], "from {start}");
    }
    let batcher = Batcher::over(&mixture, 100).unwrap();
    let mut stream = batcher.resume(&batcher.position(0, 1_000_000).unwrap()).unwrap();
    assert_eq!(stream.next_batch().unwrap(), &reference[1_000_000..1_000_003]);
    assert_eq!(stream.next_batch().unwrap(), &reference[1_000_003..1_000_103]);

    // In the last of all epochs.
    let end = batcher.resume(&batcher.position(u64::MAX, 1_000_000).unwrap()).unwrap().next_batch().unwrap().to_vec();
    let place = (u128::from(u64::MAX) * 1_000_003 + 1_000_000) / 5; // periods before it: 2 and 3 places of the sources each
    let (start, first) = ((u128::from(u64::MAX) * 1_000_003 + 1_000_000) % 5, end[0]);
    let before = period_of(&[2, 3])[..start as usize].to_vec();
    let source = period_of(&[2, 3])[start as usize];
    let own = place * [2, 3][source] + before.iter().filter(|&&other| other == source).count() as u128;
    let len = u128::from(sources[source].len());
    let sample = sources[source].at_epoch((own / len) as u64).get((own % len) as u64).unwrap();
    assert_eq!(first, 2 * sample as usize + source);
}

/// 6 samples of class 0 and 2 of class 1, four of each per epoch: class 1 has two epochs of its own.
#[test]
fn classes_in_equal_numbers() {
    let labels = ["a", "a", "b", "a", "a", "a", "b", "a"];
    let mixture = Mixture::balanced(&labels, 8, 42).unwrap();
    for number in 0..5 {
        let samples = epoch(&mixture, number);
        for pair in samples.chunks(2) {
            assert_eq!((labels[pair[0]], labels[pair[1]]), ("a", "b"));
        }
        let rare: Vec<usize> = samples.into_iter().skip(1).step_by(2).collect();
        for own in rare.chunks(2) {
            assert!(own == [2, 6] || own == [6, 2]);
        }
    }
    // Classes have orders of their own: with the same seed, two of equal sizes would go in step.
    let labels: Vec<usize> = (0..40).map(|i| i % 2).collect();
    let samples = epoch(&Mixture::balanced(&labels, 40, 1).unwrap(), 0);
    assert!(samples.chunks(2).any(|pair| pair[0] / 2 != pair[1] / 2));
    // One class alone.
    assert_eq!(epoch(&Mixture::balanced(&[7; 3], 3, 1).unwrap(), 0).len(), 3);
}

#[test]
fn only_the_same_mixture_is_resumed() {
    let sources = |seed| vec![Shuffle::new(5, seed).unwrap(), Shuffle::new(9, 2).unwrap()];
    let batcher = |mixture: Mixture<Shuffle>| Batcher::over(mixture, 3).unwrap();
    let new = |seed, shares: &[u64], len| Mixture::new(sources(seed), shares, len).unwrap();
    let mut stream = batcher(new(1, &[1, 3], 20)).stream();
    stream.next_batch();
    let position = stream.position();
    for same in [new(1, &[1, 3], 20), new(1, &[5, 15], 20)] {
        assert_eq!(batcher(same).resume(&position).unwrap().next_batch(), stream.clone().next_batch());
    }
    says(batcher(new(1, &[1, 3], 21)).resume(&position), "saved len is 20, expected 21");
    for (other, what) in [
        (new(3, &[1, 3], 20), "sources"),
        (new(1, &[1, 2], 20), "shares"),
        (new(1, &[1, 3], 20).with_shares_from(5, &[1, 3]).unwrap(), "shares"),
    ] {
        let error = batcher(other).resume(&position).unwrap_err().to_string();
        assert!(error.starts_with(&format!("saved hash of the {what} is ")), "{error}");
    }
    let numbered = Mixture::of_sets(sources(1), &[1, 3], 20).unwrap();
    says(batcher(numbered).resume(&position), "saved numbered by set is 0, expected 1");
    // A setting that moves from one source to the other changes the hash.
    let hash = |a: &[(&'static str, u64)], b: &[(&'static str, u64)]| {
        Mixture::new(vec![named(1, a), named(1, b)], &[1, 1], 2).unwrap().settings()[3]
    };
    assert_ne!(hash(&[("a", 1), ("b", 2)], &[("c", 3)]), hash(&[("a", 1)], &[("b", 2), ("c", 3)]));
    assert_ne!(hash(&[("a", 1)], &[("b", 2)]), hash(&[("b", 2)], &[("a", 1)]));
}

#[test]
fn what_is_wrong_is_named() {
    let two = || vec![Rotated(5), Rotated(7)];
    says(Mixture::<Rotated>::new(vec![], &[], 10), "number of sources is 0, expected at least 1");
    says(Mixture::new(two(), &[1, 1], 0), "len is 0, expected at least 1");
    says(Mixture::new(two(), &[1], 10), "shares has length 1, expected 2, the length of sources");
    says(Mixture::new(two(), &[1, 0], 10), "share is 0, expected at least 1");
    says(Mixture::new(vec![Rotated(0)], &[1], 10), "len of a source is 0, expected at least 1");
    let most = Mixture::<Rotated>::MAX_PERIOD;
    says(
        Mixture::new(two(), &[most, 1], 10),
        &format!("sum of the shares is {}, expected at most Mixture::MAX_PERIOD = {most}", most + 1),
    );
    says(
        Mixture::new(two(), &[u64::MAX, u64::MAX - 1], 10),
        &format!("sum of the shares is {}, expected at most Mixture::MAX_PERIOD = {most}", u64::MAX),
    );
    assert!(Mixture::new(two(), &[u64::MAX; 2], 10).is_ok()); // 1 to 1
    let half = usize::MAX / 2;
    let sets = vec![Sequential::new(half + 1).unwrap(), Sequential::new(1).unwrap()];
    says(
        Mixture::of_sets(sets, &[1, 1], 10),
        &format!("len of a set is {}, expected at most usize::MAX / number of sets = {half}", half + 1),
    );
    let mixture = Mixture::new(two(), &[1, 1], 10).unwrap().with_shares_from(3, &[1, 2]).unwrap();
    says(
        Mixture::new(two(), &[1, 1], 10).unwrap().with_shares_from(0, &[1, 2]),
        "epoch is 0, expected above the epoch of the last change = 0",
    );
    says(mixture.clone().with_shares_from(3, &[1, 2]), "epoch is 3, expected above the epoch of the last change = 3");
    says(mixture.with_shares_from(4, &[1, 2, 3]), "shares has length 3, expected 2, the length of sources");
    says(Mixture::stratified::<u8>(&[], 1), "number of labels is 0, expected at least 1");
    says(Mixture::balanced(&[1], 0, 1), "len is 0, expected at least 1");
}
