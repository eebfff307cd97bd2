//! Batchers and their epochs.

use gradstep::{Batcher, Order, Permutation, Sequential, Shuffle};
use proptest::prelude::*;

use crate::common::{AnyOrder, Rotated, batchers, config, says};

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
        batcher.order().fill(number, 0, &mut order);
        let samples = match batcher.order() {
            AnyOrder::Subset(subset) => subset.samples().to_vec(),
            _ => (0..batcher.len()).collect(),
        };
        prop_assert_eq!(sorted(&order), samples);
        let epoch = batcher.epoch(number);
        let rest = if batcher.is_drop_last() { batcher.len() % batcher.batch_size() } else { 0 };
        prop_assert_eq!(epoch.indices().len() + rest, batcher.len());
        // The order knows nothing of the batch size, nor of drop_last.
        prop_assert_eq!(epoch.indices(), &order[..batcher.samples_per_epoch()]);

        let batches: Vec<&[usize]> = epoch.iter().collect();
        prop_assert_eq!(batches.concat(), epoch.indices());
        prop_assert_eq!(batches.len(), batcher.batches_per_epoch());
        let (last, full) = batches.split_last().unwrap();
        prop_assert!(full.iter().all(|batch| batch.len() == batcher.batch_size()));
        prop_assert!(!last.is_empty() && last.len() <= batcher.batch_size());
        prop_assert!(!batcher.is_drop_last() || last.len() == batcher.batch_size());
        for k in 0..=batches.len() {
            prop_assert_eq!(epoch.batch(k), batches.get(k).copied());
        }
        prop_assert_eq!(epoch.batch(usize::MAX), None);
    }

    #[test]
    fn epochs_do_not_depend_on_the_ones_before(batcher in batchers(), first in any::<u64>(), second in any::<u64>()) {
        let mut epoch = batcher.epoch(first);
        epoch.refill(second);
        prop_assert_eq!(&epoch, &batcher.epoch(second));
        epoch.refill(first);
        prop_assert_eq!(&epoch, &batcher.epoch(first));
    }
}

#[test]
fn a_sequential_batch_size_above_len_gives_one_batch() {
    let batcher = Batcher::sequential(10, usize::MAX).unwrap();
    assert_eq!(batcher.batches_per_epoch(), 1);
    assert_eq!(batcher.epoch(0).batch(0).map(<[usize]>::len), Some(10));
    assert_eq!(batcher.shard(usize::MAX - 1, usize::MAX).unwrap().range(10), 9..10);
}

#[test]
fn one_sample() {
    for seed in [0, 1, u64::MAX] {
        let batcher = Batcher::new(1, 1, seed).unwrap().drop_last().unwrap();
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
    says(Batcher::new(0, 4, 1), "len is 0, expected at least 1");
    says(Batcher::new(10, 0, 1), "batch_size is 0, expected at least 1");
    says(Batcher::sequential(0, 4), "len is 0, expected at least 1");
    says(Batcher::sequential(10, 0), "batch_size is 0, expected at least 1");
    says(
        Batcher::new(usize::MAX, 4, 1),
        &format!("len is {}, expected at most {}: use a Permutation for more samples", usize::MAX, Shuffle::MAX_LEN),
    );
    says(Batcher::new(10, 11, 1), "batch_size is 11, expected at most len = 10"); // most often swapped
    says(Batcher::sequential(10, 11).unwrap().drop_last(), "batch_size is 11, expected at most len = 10");
    assert!(Batcher::new(10, 10, 1).unwrap().drop_last().is_ok());
    says(Batcher::over(Rotated(0), 4), "len is 0, expected at least 1");
    says(Batcher::over(Rotated(10), 0), "batch_size is 0, expected at least 1");
    says(Shuffle::new(0, 1), "len is 0, expected at least 1");
    says(Sequential::new(0), "len is 0, expected at least 1");
    if usize::BITS < 64 {
        let message = format!("len is {}, expected at most usize::MAX = {}", 1_u64 << 40, usize::MAX);
        says(Batcher::over(Permutation::new(1 << 40, 1).unwrap(), 4), &message);
    }
    assert!(Batcher::new(Shuffle::MAX_LEN, 4, 1).is_ok());
    assert_eq!(Shuffle::MAX_LEN as u64, if usize::BITS == 64 { 1 << 32 } else { (1 << 29) - 1 });
}

#[test]
fn an_order_behind_a_pointer_is_the_same_order() {
    let order = Rotated(10);
    let boxed: Box<dyn Order> = Box::new(order.clone());
    let epoch = |order: &dyn Order| Batcher::over(order, 3).unwrap().epoch(4).indices().to_vec();
    assert_eq!(epoch(&order), [4, 5, 6, 7, 8, 9, 0, 1, 2, 3]);
    assert_eq!(epoch(&boxed), epoch(&order));
    assert_eq!((boxed.settings(), boxed.len(), boxed.is_random_access()), (order.settings(), 10, true));
}

/// The places of a stream past the last sample are asked for by nobody; asked by hand, they hold no sample.
#[test]
fn past_the_end_there_is_no_sample() {
    let permutation = Permutation::new(65_536, 1).unwrap();
    let mut out = [0; 4];
    permutation.fill(0, 65_534, &mut out);
    assert_eq!(out[2..], [usize::MAX; 2]);
    assert!(out[..2].iter().all(|&sample| sample < 65_536));
    permutation.fill(0, usize::MAX, &mut out);
    assert_eq!(out, [usize::MAX; 4]);
    Sequential::new(1).unwrap().fill(0, usize::MAX, &mut out);
    assert_eq!(out, [usize::MAX, 0, 1, 2]);
}
