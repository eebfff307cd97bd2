//! Batchers and their epochs.

use gradstep::Batcher;
use proptest::prelude::*;

use crate::common::{batchers, config, says};

fn sorted(indices: &[usize]) -> Vec<usize> {
    let mut indices = indices.to_vec();
    indices.sort_unstable();
    indices
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn an_epoch_is_a_permutation_cut_into_batches(batcher in batchers(), number in any::<u64>()) {
        let whole = Batcher::new(batcher.len(), 1, batcher.seed().unwrap_or(0)).unwrap().epoch(number);
        prop_assert_eq!(sorted(whole.indices()), (0..batcher.len()).collect::<Vec<_>>());
        let epoch = batcher.epoch(number);
        let rest = if batcher.is_drop_last() { batcher.len() % batcher.batch_size() } else { 0 };
        prop_assert_eq!(epoch.indices().len() + rest, batcher.len());
        // The order knows nothing of the batch size, nor of drop_last.
        let order = if batcher.seed().is_some() { whole.indices().to_vec() } else { (0..batcher.len()).collect() };
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
            assert_eq!((stream.position().epoch(), stream.position().batch()), (epoch, 0));
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
        &format!("len is {}, expected at most {}: use a Permutation for more samples", usize::MAX, Batcher::MAX_LEN),
    );
    says(Batcher::new(10, 11, 1), "batch_size is 11, expected at most len = 10"); // most often swapped
    says(Batcher::sequential(10, 11).unwrap().drop_last(), "batch_size is 11, expected at most len = 10");
    assert!(Batcher::new(10, 10, 1).unwrap().drop_last().is_ok());
    assert!(Batcher::new(Batcher::MAX_LEN, 4, 1).is_ok());
    assert_eq!(Batcher::MAX_LEN as u64, if usize::BITS == 64 { 1 << 32 } else { (1 << 29) - 1 });
}
