//! Any settings of batchers, shards, positions and permutations. They are rejected where the documentation says so. All
//! others give every index once per epoch, and the same order from wherever it begins. Few inputs have a table of up to
//! 2^20 + 2^16 indices, which takes milliseconds.
#![no_main]

mod common;

use arbitrary::Arbitrary;
use common::{Whole, seldom};
use gradstep::{Batcher, Order, Permutation, Sequential, Shard, Shuffle, gather};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug, Hash)]
struct Input {
    len: Whole,
    batch_size: Whole,
    seed: Option<u64>,
    drop_last: bool,
    epoch: Whole,
    other_epoch: u64,
    batch: Whole,
    rank: Whole,
    world_size: Whole,
    long: Whole,
    start: Whole,
    row_len: u8,
    /// The bytes that nothing else takes. They count for [`seldom`]: else all that differs from a slow input only in
    /// them would be slow too.
    _rest: Vec<u8>,
}

fuzz_target!(|input: Input| {
    batcher(&input);
    permutation(&input);
    let [len, rank, world_size] = [input.len, input.rank, input.world_size].map(|whole| whole.get() as usize);
    let (batch, shard) = (input.batch.get() as usize, Shard::new(len, rank, world_size));
    assert_eq!(shard.is_ok(), 0 < world_size && world_size <= len && rank < world_size);
    if let Ok(shard) = shard {
        // ⌊(r + 1) B / W⌋ − ⌊r B / W⌋ is ⌊B / W⌋ or one more.
        let part = shard.range(batch);
        assert!(part.start <= part.end && part.end <= batch);
        assert!([0, 1].contains(&(part.len() - batch / world_size)));
        assert_eq!(part.start == 0, rank as u128 * (batch as u128) < world_size as u128);
        assert!(rank + 1 < world_size || part.end == batch);
    }
});

fn batcher(input: &Input) {
    let [len, batch_size, number] = [input.len, input.batch_size, input.batch].map(|whole| whole.get() as usize);
    let made = match input.seed {
        Some(seed) => Shuffle::new(len, seed).map(|order| Box::new(order) as Box<dyn Order>),
        None => Sequential::new(len).map(|order| Box::new(order) as Box<dyn Order>),
    };
    let order = made.as_ref().map_err(Clone::clone);
    let made = order.and_then(|order| Batcher::over(order, batch_size));
    let made = if input.drop_last { made.map(Batcher::drop_last) } else { made };
    let fits = (1..=1 << 32).contains(&len) || (len > 0 && input.seed.is_none());
    assert_eq!(made.is_ok(), fits && (1..=len).contains(&batch_size));
    let new = Batcher::new(len, batch_size, input.seed.unwrap_or(0));
    assert_eq!(new.is_ok(), (1..=1 << 32).contains(&len) && batch_size > 0 && batch_size <= len);
    let Ok(batcher) = made else { return };
    let samples = if input.drop_last { len / batch_size * batch_size } else { len };
    let batches = samples.div_ceil(batch_size);
    assert_eq!((batcher.samples_per_epoch(), batcher.batches_per_epoch()), (samples, batches));
    let epoch = input.epoch.get();
    let position = batcher.position(epoch, number as u64);
    assert_eq!(position.is_ok(), number <= len);
    if len > 4096 && !(((1 << 20) - 64..=(1 << 20) + (1 << 16)).contains(&len) && seldom(input)) {
        return;
    }

    // Every index comes once, and the batches are pieces of the order.
    let mut table = batcher.epoch(epoch);
    let order = table.indices().to_vec();
    let mut seen = vec![false; len];
    order.iter().for_each(|&index| assert!(!std::mem::replace(&mut seen[index], true)));
    assert_eq!(order.len(), samples);
    assert!(input.seed.is_some() || order.iter().enumerate().all(|(i, &index)| i == index));
    assert!(table.iter().eq(order.chunks(batch_size)));
    assert_eq!(table.batch(number), order.chunks(batch_size).nth(number));
    table.refill(input.other_epoch);
    let other = table.clone();
    table.refill(epoch);
    assert_eq!((table.indices(), other.indices()), (&order[..], batcher.epoch(input.other_epoch).indices()));
    assert_eq!((table.number(), other.number()), (epoch, input.other_epoch));

    // A stream from any position gives the batches of the epochs, and its own position tells where it is.
    if let Ok(position) = position {
        let mut stream = batcher.resume(&position).unwrap();
        // Batches may begin at any sample. `drop_last` leaves out the last one if it is short.
        let end = |start: usize| if input.drop_last { len - (len - start) % batch_size } else { len };
        let whole = Batcher::over(batcher.order(), len).unwrap();
        let (mut epoch, mut done, mut table) = (epoch, number, whole.epoch(epoch));
        for _ in 0..if len > 4096 { 3 } else { 20 } {
            if done == end(done) && epoch < u64::MAX {
                (epoch, done) = (epoch + 1, 0);
                table.refill(epoch);
            }
            let position = stream.position();
            assert_eq!((position.epoch(), position.samples()), (epoch, done as u64));
            assert_eq!((stream.epoch(), stream.samples()), (epoch, done as u64));
            let batch = &table.indices()[done..end(done).min(done.saturating_add(batch_size))];
            assert_eq!(stream.next_batch().unwrap_or(&[]), batch);
            done += batch.len();
            assert_eq!(stream.is_epoch_end(), done == end(done));
        }
    }

    // The shards in rank order are the batch, and `gather` copies its rows.
    let Some(batch) = order.chunks(batch_size).last() else { return };
    let world_size = input.world_size.get() as usize;
    if (1..=batch_size.min(64)).contains(&world_size) {
        let shards = (0..world_size).map(|rank| batcher.shard(rank, world_size).unwrap().of(batch));
        assert_eq!(shards.collect::<Vec<_>>().concat(), batch);
    }
    let row_len = usize::from(input.row_len % 8);
    if len <= 4096 {
        let rows: Vec<usize> = (0..len * row_len).collect();
        let mut out = vec![7];
        assert_eq!(gather(&rows, row_len, batch, &mut out).is_ok(), row_len > 0);
        let expected: Vec<usize> = batch.iter().flat_map(|i| i * row_len..(i + 1) * row_len).collect();
        assert_eq!(out, if row_len > 0 { expected } else { vec![7] });
        let wrong = gather(&rows, row_len, &[batch[0], len], &mut out);
        assert!(wrong.is_err());
    }
}

fn permutation(input: &Input) {
    let (len, start) = (input.long.get(), input.start.get());
    let made = Permutation::new(len, input.seed.unwrap_or(0)).map(|order| order.at_epoch(input.epoch.get()));
    assert_eq!(made.is_ok(), (1 << 16..=1 << 62).contains(&len));
    let Ok(order) = made else { return };
    let mut out = vec![0; usize::from(input.row_len)];
    let filled = order.try_fill(input.epoch.get(), start, &mut out);
    assert_eq!(filled.is_ok(), start.checked_add(out.len() as u64).is_some_and(|end| end <= len));
    if filled.is_ok() {
        for (place, sample) in (start..).zip(out) {
            // Since `place` leads back from each sample, all samples are different.
            assert_eq!((order.get(place), order.place(sample as u64)), (Some(sample as u64), Some(place)));
        }
    }
    assert_eq!((order.get(start).is_some(), order.place(start).is_some()), (start < len, start < len));
}
