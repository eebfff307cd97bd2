//! Streams and their positions.

use std::sync::Arc;

use gradstep::{Batcher, Draws, Error, Order, Permutation, Position, Shuffle, Stream};
use proptest::prelude::*;

use crate::common::{Blocks, Rotated, batchers, config, named, says};

/// The next `count` batches.
fn take(stream: &mut Stream<impl Order>, count: usize) -> Vec<Vec<usize>> {
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

        let mut resumed = batcher.resume(&position).unwrap();
        prop_assert_eq!(&resumed.position(), &position);
        prop_assert_eq!(take(&mut resumed, after), expected.clone());

        // Once more, with a stop after each batch.
        let mut position = position;
        for batch in expected {
            let mut resumed = batcher.resume(&position).unwrap();
            prop_assert_eq!(resumed.next_batch(), Some(&batch[..]));
            position = resumed.position();
        }
        prop_assert_eq!(position, undisturbed.position());

        // A stream is the epochs, one after the other.
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
    let at = |epoch, samples| batcher.resume(&batcher.position(epoch, samples).unwrap()).unwrap();
    let (mut end, mut start) = (at(5, 10), at(6, 0));
    for _ in 0..7 {
        assert_eq!(end.next_batch(), start.next_batch());
        assert_eq!(end.position(), start.position());
    }
    assert_eq!((end.position().epoch(), end.position().samples(), end.position().batch_size()), (8, 4, 4));
}

#[test]
fn a_stream_ends_with_the_last_epoch_that_a_u64_can_count() {
    let batcher = Batcher::new(10, 4, 42).unwrap();
    let mut stream = batcher.resume(&batcher.position(u64::MAX, 8).unwrap()).unwrap();
    assert_eq!(stream.next_batch(), batcher.epoch(u64::MAX).batch(2));
    let end = stream.position();
    for _ in 0..2 {
        assert_eq!(stream.next_batch(), None);
        assert_eq!(stream.position(), end);
    }
}

#[test]
fn the_last_position() {
    let batcher = Batcher::new(10, 4, u64::MAX).unwrap();
    let end = batcher.position(u64::MAX, 10).unwrap(); // there is no epoch after it
    assert_eq!((end.epoch(), end.samples()), (u64::MAX, 10));
    let mut stream = batcher.resume(&end).unwrap();
    assert_eq!(stream.next_batch(), None);
    assert_eq!(stream.position(), end);
}

#[test]
fn a_position_past_the_epoch_is_rejected() {
    let batcher = Batcher::new(10, 4, 1).unwrap();
    for past in [11, u64::MAX] {
        says(batcher.position(7, past), &format!("samples is {past}, expected at most len = 10"));
    }
}

#[test]
fn resuming_with_other_settings() {
    let batcher = Batcher::new(10, 4, 1).unwrap();
    let position = batcher.position(2, 4).unwrap();
    fn resumed(batcher: Batcher<impl Order + Clone>, position: &Position) -> Result<(), Error> {
        batcher.resume(position).map(|_| ())
    }
    let shuffled = |len, batch_size, seed| Batcher::new(len, batch_size, seed).unwrap();
    says(resumed(shuffled(11, 4, 1), &position), "saved len is 10, expected 11");
    says(resumed(shuffled(10, 5, 1), &position), "saved batch_size is 4, expected 5");
    says(resumed(shuffled(10, 4, 2), &position), "saved seed is 1, expected 2");
    says(shuffled(10, 5, 2).resume_with_new_batch_size(&position), "saved seed is 1, expected 2");
    let sequential = Batcher::sequential(10, 4).unwrap();
    says(
        resumed(sequential, &position),
        "saved order is [\"shuffle\", \"len\", \"seed\"], expected [\"sequential\", \"len\"]",
    );
    says(resumed(batcher.drop_last(), &position), "saved drop_last is false, expected true");
    let dropping = batcher.drop_last().position(2, 4).unwrap();
    says(resumed(batcher, &dropping), "saved drop_last is true, expected false");
    assert!(resumed(batcher, &position).is_ok());
}

/// A comma in a name does not make two settings of one, nor one of two.
#[test]
fn settings_are_compared_one_by_one() {
    let named = |settings: &[(&'static str, u64)]| Batcher::over(Arc::new(named(10, settings)), 2).unwrap();
    let (three, two) = (named(&[("mine", 1), ("a", 1), ("b", 2)]), named(&[("mine", 1), ("a, b", 1)]));
    let [of_three, of_two] = [&three, &two].map(|batcher| batcher.position(3, 4).unwrap());
    let (names, other_names) = (r#"["mine", "a", "b"]"#, r#"["mine", "a, b"]"#);
    says(two.resume(&of_three), &format!("saved order is {names}, expected {other_names}"));
    says(three.resume(&of_two), &format!("saved order is {other_names}, expected {names}"));
    assert!(two.resume(&of_two).is_ok());
    // Shorter lists and longer ones.
    let shuffled = Batcher::new(10, 2, 10).unwrap();
    for settings in [
        &[("shuffle", 1), ("len, seed", 10)][..],
        &[("shuffle", 1), ("len", 10)],
        &[("shuffle", 1), ("len", 10), ("seed", 10), ("more", 1)],
        &[("shuffle", 1), ("seed", 10), ("len", 10)],
        &[],
    ] {
        assert!(shuffled.resume(&named(settings).position(3, 4).unwrap()).is_err(), "{settings:?}");
    }
    let same = named(&[("shuffle", 1), ("len", 10), ("seed", 10)]);
    assert!(shuffled.resume(&same.position(3, 4).unwrap()).is_ok());
}

/// 1.3 epochs of 10 with batches of 4, then batches of 3: 4 5 6, 7 8 9; then epoch 2 in batches of 3.
#[test]
fn another_batch_size_by_hand() {
    let batcher = |batch_size| Batcher::over(Rotated(10), batch_size).unwrap();
    let mut stream = batcher(4).stream();
    take(&mut stream, 4);
    let position = stream.position();
    assert_eq!((position.epoch(), position.samples()), (1, 4));
    let mut other = batcher(3).resume_with_new_batch_size(&position).unwrap();
    assert_eq!(take(&mut other, 2), [[5, 6, 7], [8, 9, 0]]);
    assert!(other.is_epoch_end());
    assert_eq!(take(&mut other, 4).concat(), [2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);

    // What is left is less than a batch: with drop_last it is left out.
    let dropping = batcher(7).drop_last();
    let position = batcher(4).drop_last().position(1, 4).unwrap();
    let mut other = dropping.resume_with_new_batch_size(&position).unwrap();
    assert_eq!((other.position().epoch(), other.position().samples(), other.is_epoch_end()), (2, 0, false));
    assert_eq!(dropping.position(1, 7), dropping.position(2, 0));
    assert_eq!(other.next_batch(), Some(&[2, 3, 4, 5, 6, 7, 8][..]));
}

/// Runs that are killed and go on with another batch size on another number of ranks: each epoch still has every sample
/// once, and with `drop_last` every one but those left over.
#[test]
fn no_sample_is_lost_or_seen_twice_in_10_000_schedules() {
    let mut draws = Draws::new("schedules", [0, 0], 42);
    let mut below = |n: usize| draws.below(n as u64).unwrap() as usize;
    for schedule in 0..10_000_u64 {
        let (len, drop_last) = (1 + below(60), below(2) == 0);
        let shuffle = Shuffle::new(len, schedule).unwrap();
        let orders: [&dyn Order; 3] = [&shuffle, &Rotated(len), &Blocks { len, block_len: 1 + below(len) }];
        let order = orders[below(3)];
        let mut seen = vec![vec![0; len]; 4];
        let mut left_out = [0; 4];
        let mut position = None;
        'run: loop {
            let batch_size = 1 + below(len);
            let batcher = Batcher::over(order, batch_size).unwrap();
            let batcher = if drop_last { batcher.drop_last() } else { batcher };
            let mut stream = match &position {
                None => batcher.stream(),
                Some(position) => batcher.resume_with_new_batch_size(position).unwrap(),
            };
            // What the new batch size drops of the epoch that it goes on with.
            if let Some(old) = position.filter(|old: &Position| stream.position().epoch() > old.epoch()) {
                left_out[old.epoch() as usize] = len - old.samples() as usize;
            }
            let world_size = 1 + below(batch_size);
            for _ in 0..below(8) {
                let at = stream.position();
                if at.epoch() == 4 {
                    break 'run;
                }
                let batch = stream.next_batch().unwrap();
                let done = at.samples() as usize + batch.len();
                for rank in 0..world_size {
                    for &sample in batcher.shard(rank, world_size).unwrap().of(batch) {
                        seen[at.epoch() as usize][sample] += 1;
                    }
                }
                if stream.is_epoch_end() {
                    left_out[at.epoch() as usize] = len - done;
                }
            }
            position = Some(stream.position());
        }
        for (seen, left_out) in seen.iter().zip(left_out) {
            assert!(drop_last || left_out == 0);
            assert!(seen.iter().all(|&times| times <= 1), "seen twice: {seen:?}, schedule {schedule}");
            let lost = seen.iter().filter(|&&times| times == 0).count();
            assert_eq!(lost, left_out, "schedule {schedule}");
        }
    }
}

#[test]
fn a_trillion_samples_in_the_memory_of_a_batch() {
    if usize::BITS < 64 {
        return;
    }
    let order = Permutation::new(1_000_000_000_000, 42).unwrap();
    let batcher = Batcher::over(order, 100).unwrap();
    let mut stream = batcher.resume(&batcher.position(3, 999_999_999_800).unwrap()).unwrap();
    for (epoch, start) in [(3, 999_999_999_800), (3, 999_999_999_900), (4, 0), (4, 100)] {
        let order = order.at_epoch(epoch);
        let expected: Vec<_> = (start..start + 100).map(|place| order.get(place).unwrap() as usize).collect();
        assert_eq!(stream.next_batch(), Some(&expected[..]), "epoch {epoch}, place {start}");
        assert_eq!(stream.is_epoch_end(), start == 999_999_999_900);
    }
    assert_eq!(batcher.batches_per_epoch() as u64, 10_000_000_000);
}

/// At the last places that a `usize` counts.
#[test]
fn an_epoch_as_long_as_can_be() {
    let (most, batcher) = (usize::MAX, Batcher::sequential(usize::MAX, 100).unwrap());
    let mut stream = batcher.resume(&batcher.position(2, most as u64 - 150).unwrap()).unwrap();
    assert_eq!(stream.next_batch().map(|batch| (batch.len(), batch[0])), Some((100, most - 150)));
    assert_eq!(stream.next_batch().map(|batch| (batch.len(), batch[49])), Some((50, most - 1)));
    assert!(stream.is_epoch_end());
    assert_eq!(stream.next_batch().map(|batch| batch[99]), Some(99));
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn a_stream_says_where_it_is(batcher in batchers(), samples in any::<prop::sample::Index>()) {
        let samples = samples.index(batcher.len() + 1) as u64;
        let mut stream = batcher.resume(&batcher.position(u64::MAX - 2, samples).unwrap()).unwrap();
        loop {
            let position = stream.position();
            prop_assert_eq!((stream.epoch(), stream.samples()), (position.epoch(), position.samples()));
            if stream.next_batch().is_none() {
                break;
            }
        }
    }
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
    assert!(!batcher.resume(&stream.position()).unwrap().is_epoch_end());
}
