//! Batches, shards, streams and their positions.

use gradstep::{Batcher, Position};
use proptest::{prelude::*, test_runner::RngSeed};

/// The same cases in every run.
fn fixed() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

fn sorted(indices: &[usize]) -> Vec<usize> {
    let mut indices = indices.to_vec();
    indices.sort_unstable();
    indices
}

fn batchers() -> impl Strategy<Value = Batcher> {
    (1_usize..300, 1_usize..40, any::<u64>(), any::<bool>(), any::<bool>()).prop_map(
        |(len, batch_size, seed, drop, shuffle)| {
            let batcher =
                if shuffle { Batcher::new(len, batch_size, seed) } else { Batcher::sequential(len, batch_size) };
            let batcher = batcher.unwrap();
            if drop && batch_size <= len { batcher.drop_last().unwrap() } else { batcher }
        },
    )
}

/// The next `count` batches.
fn take(stream: &mut gradstep::Stream, count: usize) -> Vec<Vec<usize>> {
    (0..count).map(|_| stream.next_batch().unwrap().to_vec()).collect()
}

proptest! {
    #![proptest_config(fixed())]

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

    #[test]
    fn shards_in_rank_order_are_the_batch(batcher in batchers(), world_size in 1_usize..40, number in any::<u64>()) {
        prop_assume!(world_size <= batcher.batch_size());
        for batch in &batcher.epoch(number) {
            let mut together = Vec::new();
            for rank in 0..world_size {
                let shard = batcher.shard(rank, world_size).unwrap();
                prop_assert_eq!((shard.rank(), shard.world_size()), (rank, world_size));
                let part = shard.of(batch);
                prop_assert_eq!(shard.range(batch.len()), together.len()..together.len() + part.len());
                // As even as can be.
                prop_assert!(part.len() == batch.len() / world_size || part.len() == batch.len().div_ceil(world_size));
                together.extend_from_slice(part);
            }
            prop_assert_eq!(together, batch);
        }
    }

    #[test]
    fn a_stream_goes_on_from_any_position(batcher in batchers(), before in 0_usize..60, after in 1_usize..60) {
        let mut undisturbed = batcher.stream();
        take(&mut undisturbed, before);
        let position = undisturbed.position();
        let expected = take(&mut undisturbed, after);

        let mut resumed = batcher.resume(position).unwrap();
        prop_assert_eq!(resumed.position(), position);
        prop_assert_eq!(take(&mut resumed, after), expected.clone());

        // Once more, with a stop after each batch.
        let mut position = position;
        for batch in expected {
            let mut resumed = batcher.resume(position).unwrap();
            prop_assert_eq!(resumed.next_batch(), Some(&batch[..]));
            position = resumed.position();
        }
        prop_assert_eq!(position, undisturbed.position());

        // It is nothing but the epochs, one after the other.
        let per_epoch = batcher.batches_per_epoch();
        let mut stream = batcher.stream();
        for step in 0..before + after {
            let epoch = batcher.epoch((step / per_epoch) as u64);
            prop_assert_eq!(stream.next_batch(), epoch.batch(step % per_epoch));
        }
    }
}

#[test]
fn other_seeds_and_epochs_give_other_orders() {
    let order = |seed, epoch| Batcher::new(50, 1, seed).unwrap().epoch(epoch).indices().to_vec();
    // 50! orders: that two of these agree by chance is out of the question.
    let mut orders: Vec<_> = (0..10).flat_map(|seed| (0..10).map(move |epoch| order(seed, epoch))).collect();
    assert_eq!(orders[0], order(0, 0));
    orders.sort();
    orders.dedup();
    assert_eq!(orders.len(), 100);
}

#[test]
fn the_end_of_an_epoch_is_the_start_of_the_next() {
    let batcher = Batcher::new(10, 4, 42).unwrap();
    let at = |epoch, batch| batcher.resume(batcher.position(epoch, batch).unwrap()).unwrap();
    let (mut end, mut start) = (at(5, 3), at(6, 0));
    for _ in 0..7 {
        assert_eq!(end.next_batch(), start.next_batch());
        assert_eq!(end.position(), start.position());
    }
    assert_eq!((end.position().epoch(), end.position().batch()), (8, 1));
    assert_eq!(end.position().batcher(), batcher);
}

#[test]
fn a_stream_ends_with_the_last_epoch_that_a_u64_can_count() {
    let batcher = Batcher::new(10, 4, 42).unwrap();
    let mut stream = batcher.resume(batcher.position(u64::MAX, 2).unwrap()).unwrap();
    assert_eq!(stream.next_batch(), batcher.epoch(u64::MAX).batch(2));
    let end: Position = stream.position();
    for _ in 0..2 {
        assert_eq!(stream.next_batch(), None);
        assert_eq!(stream.position(), end);
    }
}

#[test]
fn another_world_size_in_mid_epoch_sees_the_same_samples() {
    let batcher = Batcher::new(1000, 64, 7).unwrap();
    let samples = |stream: &mut gradstep::Stream, world_size: usize| {
        let batch = stream.next_batch().unwrap();
        (0..world_size).flat_map(|rank| batcher.shard(rank, world_size).unwrap().of(batch).to_vec()).collect::<Vec<_>>()
    };
    let (mut one, mut changing) = (batcher.stream(), batcher.stream());
    for world_size in [4, 3, 1, 7, 64, 2] {
        changing = batcher.resume(changing.position()).unwrap();
        for _ in 0..9 {
            assert_eq!(samples(&mut changing, world_size), samples(&mut one, 1));
        }
    }
}

#[test]
fn a_batch_size_above_len_gives_one_batch() {
    let batcher = Batcher::new(10, usize::MAX, 1).unwrap();
    assert_eq!(batcher.batches_per_epoch(), 1);
    assert_eq!(batcher.epoch(0).batch(0).map(<[usize]>::len), Some(10));
    assert_eq!(batcher.shard(usize::MAX - 1, usize::MAX).unwrap().range(10), 9..10);
}
