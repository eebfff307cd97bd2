//! Batchers and their epochs.

use std::{collections::HashSet, sync::Arc};

use gradstep::{Batcher, Draws, Error, Order, Permutation, Sequential, Shuffle, Subset};
use proptest::prelude::*;

use crate::common::{AnyOrder, Blocks, Rotated, Says, batchers, config, says};

fn sorted(indices: &[usize]) -> Vec<usize> {
    let mut indices = indices.to_vec();
    indices.sort_unstable();
    indices
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn an_epoch_is_a_permutation_cut_into_batches(batcher in batchers(), number in any::<u64>()) {
        let mut order = vec![0; batcher.len()];
        batcher.order().try_fill(number, 0, &mut order).unwrap();
        let samples = match batcher.order() {
            AnyOrder::Subset(subset) => subset.samples().to_vec(),
            AnyOrder::Weighted(_) | AnyOrder::Mixture(_) => sorted(&order), // not each once
            _ => (0..batcher.len()).collect(),
        };
        prop_assert_eq!(sorted(&order), samples);
        let epoch = batcher.epoch(number);
        let rest = if batcher.drops_last() { batcher.len() % batcher.batch_size() } else { 0 };
        prop_assert_eq!(epoch.indices().len() + rest, batcher.len());
        // The order knows nothing of the batch size, nor of drop_last.
        prop_assert_eq!(epoch.indices(), &order[..batcher.samples_per_epoch()]);

        let batches: Vec<&[usize]> = epoch.iter().collect();
        prop_assert_eq!(batches.concat(), epoch.indices());
        prop_assert_eq!(batches.len(), batcher.batches_per_epoch());
        let (last, full) = batches.split_last().unwrap();
        prop_assert!(full.iter().all(|batch| batch.len() == batcher.batch_size()));
        prop_assert!(!last.is_empty() && last.len() <= batcher.batch_size());
        prop_assert!(!batcher.drops_last() || last.len() == batcher.batch_size());
        for k in 0..=batches.len() {
            prop_assert_eq!(epoch.batch(k), batches.get(k).copied());
        }
        prop_assert_eq!(epoch.batch(usize::MAX), None);
    }

    #[test]
    fn epochs_do_not_depend_on_the_ones_before(batcher in batchers(), first in any::<u64>(), second in any::<u64>()) {
        let mut epoch = batcher.epoch(first);
        epoch.refill(second);
        let [alone, other] = [second, first].map(|number| batcher.epoch(number));
        prop_assert_eq!((epoch.number(), epoch.indices()), (second, alone.indices()));
        prop_assert_eq!(epoch == other, first == second);
        epoch.refill(first);
        prop_assert_eq!(&epoch, &other);
    }
}

/// Of 1,000,000 pairs 20 epochs of 1,000 hold 1,000,000 (1 - e^(-0.02)) = 19,801 different ones, if the orders are
/// independent.
#[test]
fn equal_seeds_pair_up_and_seeds_made_of_names_do_not() {
    let pairs = |left: &dyn Order, right: &dyn Order| {
        let (left, right) = (Batcher::over(left, 10).unwrap(), Batcher::over(right, 10).unwrap());
        let epochs = (0..20).map(|number| (left.epoch(number), right.epoch(number)));
        let pairs = epochs.flat_map(|(left, right)| {
            std::iter::zip(left.indices().to_vec(), right.indices().to_vec()).collect::<Vec<_>>()
        });
        pairs.collect::<HashSet<_>>().len()
    };
    let shuffle = |seed| Shuffle::new(1000, seed).unwrap();
    let part = |first, seed| Subset::new((first..first + 1000).collect()).unwrap().shuffled(seed).unwrap();
    assert_eq!(pairs(&shuffle(42), &shuffle(42)), 1000);
    assert_eq!(pairs(&part(0, 42), &part(1000, 42)), 1000);
    let [images, texts] = ["images", "texts"].map(|name| Draws::new(name, [0, 0], 42).word());
    for different in [
        pairs(&shuffle(images), &shuffle(texts)),
        pairs(&part(0, images), &part(1000, texts)),
        pairs(&shuffle(42), &shuffle(images)),
    ] {
        assert!((19_750..19_850).contains(&different), "{different}");
    }
}

#[test]
fn one_sample() {
    for seed in [0, 1, u64::MAX] {
        let batcher = Batcher::new(1, 1, seed).unwrap().drop_last();
        assert_eq!((batcher.batches_per_epoch(), batcher.samples_per_epoch()), (1, 1));
        for epoch in [0, 1, u64::MAX] {
            assert_eq!(batcher.epoch(epoch).iter().collect::<Vec<_>>(), [&[0]]);
        }
        let mut stream = batcher.stream();
        for epoch in 1..4 {
            assert_eq!(stream.next_batch(), Some(&[0][..]));
            assert_eq!((stream.position().epoch(), stream.position().samples()), (epoch, 0));
        }
        assert_eq!(batcher.shard(0, 1).unwrap().of(&[7]), [7]);
    }
    let mut two: Vec<_> = (0..64).map(|epoch| Batcher::new(2, 2, 1).unwrap().epoch(epoch).indices().to_vec()).collect();
    two.sort();
    two.dedup();
    assert_eq!(two, [[0, 1], [1, 0]]);
}

#[test]
fn invalid_settings_are_rejected() {
    for (len, batch_size, message) in [
        (0, 4, "len is 0, expected at least 1"),
        (10, 0, "batch_size is 0, expected at least 1"),
        (10, 11, "batch_size is 11, expected at most len = 10"), // most often swapped
    ] {
        says(Batcher::new(len, batch_size, 1), message);
        says(Batcher::sequential(len, batch_size), message);
        says(Batcher::over(Rotated(len), batch_size), message);
    }
    says(Shuffle::new(0, 1), "len is 0, expected at least 1");
    says(Sequential::new(0), "len is 0, expected at least 1");
    let message = format!("len is {}, expected at most {}", usize::MAX, Shuffle::MAX_LEN);
    says(Batcher::new(usize::MAX, 4, 1), &format!("{message}: use a Permutation for more samples"));
    if usize::BITS < 64 {
        let message = format!("len is {}, expected at most usize::MAX = {}", 1_u64 << 40, usize::MAX);
        says(Batcher::over(Permutation::new(1 << 40, 1).unwrap(), 4), &message);
    }
    assert!(Batcher::new(Shuffle::MAX_LEN, 4, 1).is_ok());
    assert_eq!(Shuffle::MAX_LEN as u64, if usize::BITS == 64 { 1 << 32 } else { (1 << 29) - 1 });
}

#[test]
fn an_order_behind_a_pointer_is_the_same_order() {
    let order = Blocks { len: 10, block_len: 3 };
    let same = |pointer: &dyn Order| {
        let epoch = |order: &dyn Order| Batcher::over(order, 3).unwrap().epoch(4).indices().to_vec();
        assert_eq!(epoch(&order), [5, 4, 3, 2, 1, 0, 9, 8, 7, 6][..]);
        assert_eq!(epoch(pointer), epoch(&order));
        let all = |order: &dyn Order| {
            (order.settings(), order.len(), order.run(0, 7), order.longest_run(), order.scratch_len())
        };
        assert_eq!(all(pointer), all(&order));
    };
    same(&&order);
    same(&(Box::new(order.clone()) as Box<dyn Order>));
    same(&(Arc::new(order.clone()) as Arc<dyn Order>));
}

#[test]
fn orders_that_cannot_be_cloned() {
    let (order, expected) = (Shuffle::new(10, 42).unwrap(), Batcher::new(10, 4, 42).unwrap().drop_last());
    let batcher = Batcher::over(Box::new(order) as Box<dyn Order>, 4).unwrap().drop_last();
    assert_eq!(batcher.as_ref().epoch(3).indices(), expected.epoch(3).indices());
    let (mut stream, mut same) = (batcher.as_ref().stream(), expected.stream());
    for _ in 0..7 {
        assert_eq!(stream.next_batch(), same.next_batch());
    }
    let mut resumed = batcher.as_ref().resume(&same.position()).unwrap();
    assert_eq!(resumed.next_batch(), same.next_batch());
    let mut shared = Batcher::over(Arc::new(order) as Arc<dyn Order>, 4).unwrap().stream(); // outlives its batcher
    assert_eq!(shared.next_batch(), expected.epoch(0).batch(0));
}

/// Each order fills whole runs only, and rejects a part of a run.
#[test]
fn what_is_no_run_is_an_error() {
    let mut out = [7; 12];
    let mut fill = |order: &dyn Order, start: u64, len: usize| {
        let result = order.try_fill(0, start, &mut out[..len]);
        assert!(result.is_ok() || out == [7; 12]);
        out = [7; 12];
        result
    };
    let shuffle = Shuffle::new(10, 42).unwrap();
    let subset = Subset::new((20..30).collect()).unwrap().shuffled(42).unwrap();
    for order in [&shuffle as &dyn Order, &subset, &&shuffle, &(Box::new(subset.clone()) as Box<dyn Order>)] {
        says(fill(order, 5, 3), "start is 5, expected at most the start of its run = 0");
        says(fill(order, 0, 3), "out has length 3, expected 10, the length of the runs from start on");
        says(fill(order, 0, 11), "length of out is 11, expected at most the number of places left = 10");
        says(fill(order, 11, 0), "start is 11, expected at most len = 10");
        assert!(fill(order, 0, 10).is_ok() && fill(order, 5, 0).is_ok());
    }
    // Windows of 6 and 4 places.
    let blocks = Blocks { len: 10, block_len: 3 };
    says(fill(&blocks, 5, 5), "start is 5, expected at most the start of its run = 0");
    says(fill(&blocks, 0, 7), "out has length 7, expected 10, the length of the runs from start on");
    says(fill(&blocks, 6, 3), "out has length 3, expected 4, the length of the runs from start on");
    says(fill(&blocks, u64::MAX, 1), &format!("start is {}, expected at most len = 10", u64::MAX));
    for (start, len) in [(0, 6), (6, 4), (0, 10), (10, 0)] {
        assert!(fill(&blocks, start, len).is_ok(), "{len} from {start}");
    }
    // Any place.
    for order in [&Sequential::new(10).unwrap() as &dyn Order, &Subset::new((20..30).collect()).unwrap(), &Rotated(10)]
    {
        says(fill(order, 6, 5), "length of out is 5, expected at most the number of places left = 4");
        assert!(fill(order, 3, 3).is_ok() && fill(order, 9, 1).is_ok());
    }
    if usize::BITS < 64 {
        let message = format!("len is {}, expected at most usize::MAX = {}", 1_u64 << 40, usize::MAX);
        says(fill(&Permutation::new(1 << 40, 1).unwrap(), 0, 3), &message);
    }
}

/// No panic, no endless loop, and no number that looks like a sample.
#[test]
fn an_order_that_contradicts_itself_has_no_samples() {
    let inner: [fn() -> Box<dyn Order>; 4] = [
        || Box::new(Shuffle::new(10, 42).unwrap()),
        || Box::new(Permutation::new(65_536, 42).unwrap()),
        || Box::new(Subset::new(vec![1, 2, 3]).unwrap()),
        || Box::new(Sequential::new(10).unwrap()),
    ];
    #[expect(clippy::reversed_empty_ranges, reason = "that is the lie")]
    let runs = [0..10, 0..u64::MAX, 3..4, 7..7, 9..2, 100..200, u64::MAX..0, 0..1, 5..15];
    for (inner, len) in inner.iter().flat_map(|inner| [10, 12, 70_000].map(|len| (inner, len))) {
        for (run, longest) in runs.iter().flat_map(|run| [0, 1, 5, 10, u64::MAX].map(|longest| (run.clone(), longest)))
        {
            let honest = (inner().longest_run() == 1 && run == (0..len)) || (run == (0..10) && len == 10);
            let run = move |_| run.clone();
            let order = Says { inner: inner(), len, settings: vec![], run, longest, scratch: 0 };
            let batcher = Batcher::over(order, 4).unwrap();
            let epoch = batcher.as_ref().epoch(1);
            let samples = epoch.indices();
            assert!(honest || samples.iter().all(|&sample| sample == usize::MAX), "{samples:?}");
            for samples in [0, 2, 4, 9, 10] {
                let mut stream = batcher.as_ref().resume(&batcher.position(3, samples).unwrap()).unwrap();
                for _ in 0..9 {
                    stream.next_batch().unwrap();
                }
            }
        }
    }
}

/// An order with more places than the one inside it.
#[test]
fn past_the_end_there_is_no_sample() {
    let past = |inner: Box<dyn Order>, len: u64| {
        let order = Says { inner, len, settings: vec![], run: |_| 0..len, longest: len, scratch: 0 };
        let batcher = Batcher::over(order, 1).unwrap();
        batcher.as_ref().epoch(0).indices().to_vec()
    };
    let samples = past(Box::new(Permutation::new(65_536, 1).unwrap()), 65_540);
    assert_eq!(sorted(&samples), Vec::from_iter((0..65_536).chain([usize::MAX; 4])));
    assert_eq!(past(Box::new(Subset::new(vec![5, 6]).unwrap()), 3), [5, 6, usize::MAX]);
    assert_eq!(past(Box::new(Shuffle::new(2, 1).unwrap()), 3), [usize::MAX; 3]);
}

/// Places beyond the last one: no panic, and nothing is filled.
#[test]
fn a_run_beyond_every_epoch() {
    let sequential = Sequential::new(5).unwrap();
    let permutation = Permutation::new(1 << 20, 1).unwrap();
    let subset = Subset::new(vec![7]).unwrap();
    let orders: [&dyn Order; 4] = [&sequential, &permutation, &subset, &Shuffle::new(5, 1).unwrap()];
    for order in orders {
        for place in [order.len(), u64::MAX - 1, u64::MAX] {
            let run = order.run(0, place);
            assert!(run.start <= place && run.end - run.start <= order.longest_run(), "{run:?}");
            assert!(order.try_fill(0, place, &mut [0]).is_err());
        }
    }
}

#[test]
fn an_epoch_or_a_stream_beyond_memory_is_an_error() {
    fn memory<T>(result: Result<T, Error>, name: &str, len: usize) {
        says(result, &format!("{name} of length {len} does not fit in memory"));
    }
    let most = usize::MAX;
    let all = Batcher::sequential(most, most).unwrap();
    memory(all.try_epoch(0), "epoch", most);
    memory(all.try_stream(), "stream", most);
    memory(all.resume(&all.position(1, 7).unwrap()), "stream", most);
    // An order that needs no table has a stream.
    let mut stream = Batcher::sequential(most, 3).unwrap().try_stream().unwrap();
    assert_eq!(stream.next_batch(), Some(&[0, 1, 2][..]));
    let (inner, len) = (Sequential::new(1).unwrap(), most as u64);
    let scratchy = Says { inner, len, settings: vec![], run: |_| 0..1, longest: u64::MAX, scratch: 0 };
    memory(Batcher::over(&scratchy, 1).unwrap().try_stream(), "stream", most);
    if usize::BITS == 64 {
        let len = 1 << 62;
        let permutation = Batcher::over(Permutation::new(len, 1).unwrap(), len as usize).unwrap();
        memory(permutation.try_stream(), "stream", len as usize);
    }
}
