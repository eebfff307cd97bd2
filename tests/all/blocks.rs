//! Windows of blocks: what is read, in which order.

use std::ops::Range;

use gradstep::{Batcher, Blocks, Error, Order, Position};
use proptest::prelude::*;

use crate::common::{
    Says, config,
    golden::{digest_and_first_40, table},
    says,
};

fn epoch(order: Blocks, epoch: u64) -> Vec<usize> {
    Batcher::over(order, 1).unwrap().epoch(epoch).indices().to_vec()
}

/// The runs of an epoch.
fn windows(order: Blocks, epoch: u64) -> Vec<Range<u64>> {
    let mut windows = vec![order.run(epoch, 0)];
    while windows.last().unwrap().end < order.len() {
        windows.push(order.run(epoch, windows.last().unwrap().end));
        assert!(windows.len() as u64 <= order.len());
    }
    windows
}

/// The samples of ranges, one after the other.
fn samples(ranges: &[Range<u64>]) -> Vec<usize> {
    ranges.iter().flat_map(|range| range.clone()).map(|sample| sample as usize).collect()
}

#[test]
fn value_stability_of_blocks() {
    let mut rows = 0;
    for row in table(include_str!("../data/order_blocks.csv"), 103) {
        let [len, block_len, window_len, lanes, seed, epoch, window] =
            [0, 1, 2, 3, 4, 5, 6].map(|i| row[i].parse::<u64>().unwrap());
        if usize::try_from(len).is_err() {
            continue;
        }
        let order = Blocks::new(len, block_len, window_len, seed).unwrap().with_lanes(lanes).unwrap();
        let run = if len > 1 << 32 { run_of_window(order, epoch, window) } else { 0..len };
        let mut out = vec![0; (run.end - run.start) as usize];
        order.try_fill(epoch, run.start, &mut out).unwrap();
        assert_eq!(digest_and_first_40(&out), row[7..], "{row:?}");
        rows += 1;
    }
    assert_eq!(rows, if usize::BITS > 32 { 103 } else { 100 });
}

/// Window by window where it is near.
fn run_of_window(order: Blocks, epoch: u64, window: u64) -> Range<u64> {
    let mut run = order.run(epoch, 0);
    if window < 100 {
        (0..window).for_each(|_| run = order.run(epoch, run.end));
        return run;
    }
    // In the rows with a distant window, all windows have the same length.
    order.run(epoch, window * order.longest_run())
}

/// Seven samples in blocks of two are blocks 0, 1, 2 and 3, which has sample 6 only; two of them are a window.
#[test]
fn seven_samples_by_hand() {
    let order = Blocks::new(7, 2, 2, 5).unwrap();
    for number in 0..50 {
        let windows = windows(order, number);
        let lens: Vec<u64> = windows.iter().map(|run| run.end - run.start).collect();
        let samples = epoch(order, number);
        let with_last = usize::from(!samples[..lens[0] as usize].contains(&6));
        assert_eq!((lens[with_last], lens[1 - with_last]), (3, 4));
        for (run, window) in windows.iter().zip([0, 1]) {
            let mut of_window = samples[run.start as usize..run.end as usize].to_vec();
            of_window.sort_unstable();
            assert_eq!(of_window.len(), 4 - usize::from(window == with_last));
            // Whole blocks.
            assert!(of_window.iter().all(|&sample| sample == 6 || of_window.contains(&(sample ^ 1))), "{of_window:?}");
        }
    }
}

/// With all blocks in one window every order is equally likely, as in a shuffle; with one block per window every order that
/// keeps blocks together is; and with two windows each block is equally often in the first. The short block is equally often
/// at each place.
#[test]
fn orders_are_equally_likely() {
    let count = |order: Blocks, of: &dyn Fn(&[usize]) -> usize, kinds: usize| {
        let mut counts = vec![0_u32; kinds];
        (0..4000).for_each(|number| counts[of(&epoch(order, number))] += 1);
        let expected = 4000.0 / kinds as f64;
        let chi: f64 = counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
        let freedom = (kinds - 1) as f64;
        assert!(chi < freedom + 5.0 * (2.0 * freedom).sqrt(), "{chi} for {freedom}: {counts:?}");
    };
    let rank = |order: &[usize]| {
        order
            .iter()
            .enumerate()
            .fold(0, |rank, (i, &a)| rank * (order.len() - i) + order[i + 1..].iter().filter(|&&b| b < a).count())
    };
    count(Blocks::new(5, 1, 5, 1).unwrap(), &rank, 120);
    count(Blocks::new(5, 1, 1, 1).unwrap(), &rank, 120);
    count(Blocks::new(5, 1, 2, 1).unwrap(), &rank, 120);
    count(Blocks::new(5, 2, 3, 1).unwrap(), &rank, 120);
    count(Blocks::new(5, 5, 1, 1).unwrap(), &rank, 120);
    let short = Blocks::new(10, 3, 1, 1).unwrap();
    count(short, &|order| order.iter().position(|&sample| sample == 9).unwrap() / 3, 4);
    // Three lanes of one block each: sample 5 is equally often at each of the six places.
    let lanes = Blocks::new(6, 2, 3, 1).unwrap().with_lanes(3).unwrap();
    count(lanes, &|order| order.iter().position(|&sample| sample == 5).unwrap(), 6);
}

/// No two shuffles are the same: of lanes, windows, epochs or seeds.
#[test]
fn each_shuffle_is_its_own() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..4 {
        let order = Blocks::new(1200, 20, 10, seed).unwrap().with_lanes(5).unwrap();
        for number in 0..4 {
            let samples = epoch(order, number);
            for run in windows(order, number) {
                for lane in 0..5 {
                    let read = order.window(number, run.start, lane..lane + 1).unwrap();
                    let in_order = samples[run.start as usize..run.end as usize].iter();
                    let rows: Vec<usize> = in_order.filter_map(|&sample| order.row(&read, sample)).collect();
                    assert!(rows.len() == 40 && seen.insert(rows));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config(128))]

    #[test]
    fn every_sample_once_in_whole_blocks(
        len in 1_u64..3000,
        block_len in 1_u64..40,
        per_window in 1_u64..60,
        lanes in 1_u64..9,
        world_size in 1_u64..9,
        seed in any::<u64>(),
        number in any::<u64>(),
    ) {
        let block_len = block_len.min(len);
        let count = len.div_ceil(block_len);
        let order = Blocks::new(len, block_len, per_window.min(count), seed).unwrap();
        let smallest = count / count.div_ceil(per_window.min(count));
        let order = order.with_lanes(lanes.min(smallest)).unwrap();
        let lanes = lanes.min(smallest);
        let samples_of = epoch(order, number);
        let mut all = samples_of.clone();
        all.sort_unstable();
        prop_assert_eq!(all, (0..len as usize).collect::<Vec<_>>());

        let runs = windows(order, number);
        prop_assert_eq!(runs.len() as u64, count.div_ceil(per_window.min(count)));
        let mut blocks_of = vec![];
        for run in &runs {
            for place in run.clone() {
                prop_assert_eq!(&order.run(number, place), run);
            }
            prop_assert!(run.end - run.start <= order.longest_run());
            let in_order = &samples_of[run.start as usize..run.end as usize];
            let window = order.window(number, run.end - 1, 0..lanes).unwrap();
            prop_assert!(window.is_sorted_by_key(|range| range.start));
            prop_assert!(window.iter().all(|range| range.start % block_len == 0
                && (range.end - range.start == block_len || range.end == len)));
            blocks_of.push(window.len());
            // The ranges hold the samples of the window, each at the row that `row` returns.
            let read = samples(&window);
            let mut sorted = in_order.to_vec();
            sorted.sort_unstable();
            prop_assert_eq!(&read, &sorted);
            for sample in 0..len as usize + 2 {
                let row = order.row(&window, sample);
                prop_assert_eq!(row, read.iter().position(|&read| read == sample));
            }
            // Each lane's part of every prefix: within two samples of its share.
            let mut parts = vec![];
            for lane in 0..lanes {
                let read = order.window(number, run.start, lane..lane + 1).unwrap();
                let is_in = |&&sample: &&usize| order.row(&read, sample).is_some();
                let (size, mut so_far) = (samples(&read).len() as f64, 0.0);
                for (i, sample) in in_order.iter().enumerate() {
                    so_far += f64::from(u8::from(is_in(&sample)));
                    let share = size * (i + 1) as f64 / in_order.len() as f64;
                    prop_assert!((so_far - share).abs() < 3.0, "lane {} of {:?}: {} of {}", lane, parts, so_far, share);
                }
                parts.push(read.len());
            }
            prop_assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
            // Ranks have neighbours, all together the window.
            let world_size = world_size.min(lanes);
            let mut of_ranks: Vec<Range<u64>> = (0..world_size)
                .flat_map(|rank| order.window(number, run.start, order.lanes_of(rank, world_size).unwrap()).unwrap())
                .collect();
            of_ranks.sort_unstable_by_key(|range| range.start);
            prop_assert_eq!(of_ranks, window);
        }
        prop_assert!(blocks_of.iter().max().unwrap() - blocks_of.iter().min().unwrap() <= 1);
    }

    /// Batches are those of the epoch wherever a stream begins, and whatever the batch size is then.
    #[test]
    fn resumes_anywhere(len in 1_u64..500, seed in any::<u64>(), at in 0_u64..1000, lanes in 1_u64..4) {
        let block_len = len.min(7);
        let order = Blocks::new(len, block_len, len.div_ceil(block_len).min(5), seed).unwrap();
        let order = order.with_lanes(lanes).unwrap_or(order);
        let (number, done) = (at / len, at % len);
        let position: Position = Batcher::over(order, 1).unwrap().position(number, done).unwrap();
        let batcher = Batcher::over(order, len.min(11) as usize).unwrap();
        let mut stream = batcher.resume_with_new_batch_size(&position).unwrap();
        let rest = &epoch(order, number)[done as usize..];
        prop_assert!(rest.starts_with(stream.next_batch().unwrap()));
    }
}

/// A trillion samples, and the most there may be: any place is found directly.
#[test]
#[cfg(target_pointer_width = "64")]
fn as_many_samples_as_there_may_be() {
    for len in [1_000_000_000_000, Blocks::MAX_LEN - 1, Blocks::MAX_LEN] {
        let order = Blocks::new(len, 1 << 10, 64, 3).unwrap().with_lanes(60).unwrap();
        for place in [0, len / 3, len - 1] {
            let run = order.run(u64::MAX, place);
            assert!(run.contains(&place) && run.end <= len);
            let mut out = vec![0; (run.end - run.start) as usize];
            order.try_fill(u64::MAX, run.start, &mut out).unwrap();
            let window = order.window(u64::MAX, place, 0..60).unwrap();
            assert!(out.iter().all(|&sample| order.row(&window, sample).is_some()));
            out.sort_unstable();
            assert_eq!(out, samples(&window));
        }
    }
}

/// A 32-bit machine too can ask what to read of more samples than a `usize` counts.
#[test]
fn places_of_a_file_are_64_bits() {
    let order = Blocks::new(1 << 40, 1 << 10, 64, 3).unwrap();
    let window = order.window(7, 1 << 39, 0..1).unwrap();
    assert_eq!(window.len(), 64);
    assert!(window.iter().any(|range| range.start > 1 << 32));
    assert_eq!(order.row(&window, 5), None);
}

#[test]
fn a_checkpoint_of_four_goes_on_with_three() {
    let order = Blocks::new(10_000, 10, 100, 9).unwrap().with_lanes(12).unwrap();
    let mut stream = Batcher::over(order, 240).unwrap().stream();
    for _ in 0..3 {
        let (start, epoch) = (stream.samples(), stream.epoch());
        let batch = stream.next_batch().unwrap().to_vec();
        for world_size in [1, 3, 4] {
            let mut seen: Vec<&usize> = vec![];
            for rank in 0..world_size {
                let lanes = order.lanes_of(rank, world_size).unwrap();
                // A batch may begin in one window and end in the next.
                let windows = [start, start + 239].map(|place| order.window(epoch, place, lanes.clone()).unwrap());
                let mine: Vec<_> = batch
                    .iter()
                    .filter(|&&sample| windows.iter().any(|window| order.row(window, sample).is_some()))
                    .collect();
                let share = 240 / world_size as usize;
                assert!(mine.len().abs_diff(share) <= 20, "{} of {share}", mine.len());
                seen.extend(mine);
            }
            seen.sort_unstable();
            let mut batch: Vec<_> = batch.iter().collect();
            batch.sort_unstable();
            assert_eq!(seen, batch);
        }
    }
}

#[test]
fn other_settings_are_not_resumed() {
    let batcher = |order| Batcher::over(order, 1).unwrap();
    let order = Blocks::new(100, 5, 4, 1).unwrap();
    let position = batcher(order).position(0, 7).unwrap();
    assert!(batcher(order).resume(&position).is_ok());
    let other = |order: Result<Blocks, Error>, message| says(batcher(order.unwrap()).resume(&position), message);
    other(Blocks::new(101, 5, 4, 1), "saved len is 100, expected 101");
    other(Blocks::new(100, 4, 4, 1), "saved block_len is 5, expected 4");
    other(Blocks::new(100, 5, 3, 1), "saved blocks_per_window is 4, expected 3");
    other(Blocks::new(100, 5, 4, 2), "saved seed is 1, expected 2");
    other(order.with_lanes(2), "saved lanes is 1, expected 2");
}

/// An order around it that names other runs, or has less scratch, gets no sample rather than a wrong one.
#[test]
fn other_runs_get_no_sample() {
    let order = Blocks::new(40, 5, 2, 1).unwrap(); // windows of 10
    let scratch = order.scratch_len();
    let samples = |first, scratch| {
        let mut samples = vec![0; 40];
        let (left, right) = samples.split_at_mut(first);
        let run = |place| if place < first as u64 { 0..first as u64 } else { first as u64..40 };
        let order = Says { inner: order, len: 40, settings: vec![], run, longest: 40, scratch };
        order.try_fill(3, 0, left).unwrap();
        order.try_fill(3, first as u64, right).unwrap();
        samples
    };
    assert_eq!(samples(20, scratch), epoch(order, 3));
    assert_eq!(samples(1, scratch), [usize::MAX; 40]);
    assert_eq!(samples(25, scratch)[..20], epoch(order, 3)[..20]);
    assert_eq!(samples(25, scratch)[20..], [usize::MAX; 20]);
    assert_eq!(samples(20, scratch - 1), [usize::MAX; 40]);
}

#[test]
fn what_is_wrong_is_named() {
    says(Blocks::new(0, 1, 1, 1), "len is 0, expected at least 1");
    says(Blocks::new(u64::MAX, 1, 1, 1), "len is 18446744073709551615, expected at most 4611686018427387904");
    says(Blocks::new(10, 0, 1, 1), "block_len is 0, expected at least 1");
    says(Blocks::new(10, 11, 1, 1), "block_len is 11, expected at most len = 10");
    says(Blocks::new(10, 3, 0, 1), "blocks_per_window is 0, expected at least 1");
    says(Blocks::new(10, 3, 5, 1), "blocks_per_window is 5, expected at most number of blocks = 4");
    let max = gradstep::Shuffle::MAX_LEN as u64;
    says(
        Blocks::new(1 << 62, 1 << 31, 3, 1),
        &format!("number of samples in a window is {}, expected at most Shuffle::MAX_LEN = {max}", 3_u64 << 31),
    );
    let order = Blocks::new(100, 10, 4, 1).unwrap(); // windows of 3, 3 and 4 blocks
    // A place after the last is in the last window.
    assert_eq!([100, u64::MAX].map(|place| order.run(0, place)), [60..100, 60..100]);
    says(order.with_lanes(0), "lanes is 0, expected at least 1");
    says(order.with_lanes(4), "lanes is 4, expected at most number of blocks in the smallest window = 3");
    let order = order.with_lanes(3).unwrap();
    says(order.lanes_of(0, 0), "world_size is 0, expected at least 1");
    says(order.lanes_of(0, 4), "world_size is 4, expected at most lanes = 3");
    says(order.lanes_of(3, 3), "rank is 3, expected below world_size = 3");
    says(order.window(0, 100, 0..3), "place is 100, expected below len = 100");
    says(order.window(0, 99, 0..4), "end of lanes is 4, expected at most number of lanes = 3");
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is tried")]
    let none = [order.window(0, 99, 1..1).unwrap(), order.window(0, 99, 3..2).unwrap()];
    assert_eq!(none, [vec![], vec![]]);
    // Twice as many blocks as lanes, so that the first block of lane 2^63 is number 2^64.
    let order = Blocks::new(40, 5, 8, 1).unwrap().with_lanes(4).unwrap();
    #[expect(clippy::reversed_empty_ranges, reason = "it is what is tried")]
    let none = order.window(0, 0, 1 << 63..3).unwrap();
    assert_eq!(none, []);
}
