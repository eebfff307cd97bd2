//! Streams and their positions.

use gradstep::{Batcher, Error, Position};
use proptest::prelude::*;

use crate::common::{batchers, config, says};

/// The next `count` batches.
fn take(stream: &mut gradstep::Stream, count: usize) -> Vec<Vec<usize>> {
    (0..count).map(|_| stream.next_batch().unwrap().to_vec()).collect()
}

proptest! {
    #![proptest_config(config(256))]

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
fn the_last_position() {
    let batcher = Batcher::new(10, 4, u64::MAX).unwrap();
    let end = batcher.position(u64::MAX, 3).unwrap(); // there is no epoch after it
    assert_eq!((end.epoch(), end.batch()), (u64::MAX, 3));
    let mut stream = batcher.resume(end).unwrap();
    assert_eq!(stream.next_batch(), None);
    assert_eq!(stream.position(), end);
}

#[test]
fn a_batch_past_the_epoch_is_rejected() {
    let batcher = Batcher::new(10, 4, 1).unwrap();
    for past in [4, usize::MAX] {
        says(batcher.position(7, past), &format!("batch is {past}, expected at most batches_per_epoch = 3"));
    }
}

#[test]
fn resuming_with_other_settings() {
    let position = Batcher::new(10, 4, 1).unwrap().position(2, 1).unwrap();
    let resumed = |batcher: Result<Batcher, Error>| batcher.unwrap().resume(position);
    says(resumed(Batcher::new(11, 4, 1)), "saved len is 10, expected 11");
    says(resumed(Batcher::new(10, 5, 1)), "saved batch_size is 4, expected 5");
    says(resumed(Batcher::new(10, 4, 2)), "saved seed is 1, expected 2");
    says(resumed(Batcher::sequential(10, 4)), "saved seed is 1, expected none");
    says(resumed(Batcher::new(10, 4, 1).unwrap().drop_last()), "saved drop_last is false, expected true");
    let dropping = Batcher::new(10, 4, 1).unwrap().drop_last().unwrap();
    says(
        Batcher::new(10, 4, 1).unwrap().resume(dropping.position(2, 1).unwrap()),
        "saved drop_last is true, expected false",
    );
    assert!(resumed(Batcher::new(10, 4, 1)).is_ok());
}

#[test]
fn the_end_of_an_epoch_shows() {
    let batcher = Batcher::new(10, 4, 42).unwrap();
    let mut stream = batcher.stream();
    assert!(!stream.is_epoch_end());
    let mut ends = || {
        stream.next_batch().unwrap();
        stream.is_epoch_end()
    };
    assert_eq!([ends(), ends(), ends(), ends(), ends(), ends()], [false, false, true, false, false, true]);
    // Resumed at the start of the next epoch, which is the same position.
    assert!(!batcher.resume(stream.position()).unwrap().is_epoch_end());
}
