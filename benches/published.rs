//! The orders that others use for data on disk, written anew from what their documents, papers and sources say they do.
//! Each keeps 2^17 samples in memory, if it keeps any.
//!
//! Each function returns the samples of an epoch of `len`, from a seed. Those that know the sample at a place without
//! the places before it give only the first `count` of them.

use std::mem;

use gradstep::Draws;

/// Samples in a shard, for the schemes that read whole shards, pages or chunks.
pub const SHARD: usize = 4096;

const HELD: usize = 1 << 17;

fn draws(seed: u64, epoch: u64) -> Draws {
    Draws::new("published orders", [epoch, 0], seed)
}

fn below(draws: &mut Draws, n: usize) -> usize {
    draws.below(n as u64).expect("above 0") as usize
}

fn shuffle<T>(list: &mut [T], draws: &mut Draws) {
    (1..list.len()).rev().for_each(|i| list.swap(i, below(draws, i + 1)));
}

/// Runs of `SHARD` neighbours, in a random order.
fn shards(len: usize, draws: &mut Draws) -> Vec<Vec<usize>> {
    let mut shards: Vec<Vec<usize>> = (0..len).step_by(SHARD).map(|at| (at..len.min(at + SHARD)).collect()).collect();
    shuffle(&mut shards, draws);
    shards
}

/// A buffer from which a random sample leaves for each one that comes.
fn through_buffer(samples: impl IntoIterator<Item = usize>, draws: &mut Draws) -> Vec<usize> {
    let mut samples = samples.into_iter();
    let mut held: Vec<usize> = samples.by_ref().take(HELD).collect();
    let mut out: Vec<usize> = samples.map(|next| mem::replace(&mut held[below(draws, HELD)], next)).collect();
    shuffle(&mut held, draws);
    out.extend(held);
    out
}

/// tensorflow.org/api_docs/python/tf/data/Dataset, `shuffle(buffer_size)`; NVIDIA DALI's readers, `random_shuffle` with
/// `initial_fill`: a buffer behind the file in its order.
pub fn buffer(len: usize, _: usize, seed: u64, epoch: u64) -> Vec<usize> {
    through_buffer(0..len, &mut draws(seed, epoch))
}

/// github.com/webdataset/webdataset: `shardshuffle`, then `shuffle(size)`: a buffer behind the shards in a random
/// order.
pub fn webdataset(len: usize, _: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut draws = draws(seed, epoch);
    through_buffer(shards(len, &mut draws).into_iter().flatten(), &mut draws)
}

/// github.com/google/grain, `index_shuffle`: four rounds of the cipher Simon (Beaulieu et al. 2013) on two halves,
/// walked on until the result is at most `max`. The bits are those of the logarithm of `max`, rounded up, where they
/// should be those of `max`: at 2^16 the highest place loses its only bit, and gives what place 0 gives. (Keys: our
/// own.)
fn index_shuffle(max: usize, seed: u64) -> impl Fn(usize) -> usize {
    let bits = (max as f64).log2().ceil() as u32;
    let half = (bits + bits % 2).max(16) / 2;
    let mask = (1 << half) - 1;
    let turn = move |x: usize, by: u32| (x << by | x >> (half - by)) & mask;
    let round = move |x: usize| turn(x, 1) & turn(x, 8) ^ turn(x, 2);
    let mut keys = [0; 4];
    draws(seed, 0).fill_words(&mut keys);
    let keys = keys.map(|key| key as usize & mask);
    move |place| {
        let mut value = place;
        loop {
            let (mut left, mut right) = (value >> half & mask, value & mask);
            for pair in keys.chunks_exact(2) {
                left ^= round(right) ^ pair[0];
                right ^= round(left) ^ pair[1];
            }
            value = left << half | right;
            if value <= max {
                return value;
            }
        }
    }
}

/// The same, `MapDataset.shuffle`: a new seed each epoch, the sum of the two.
pub fn grain(len: usize, count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    (0..count).map(index_shuffle(len - 1, seed + epoch)).collect()
}

/// The same, `WindowShuffleIterDataset`: neighbours in windows, each with the seed plus its number, counted on over
/// epochs.
pub fn grain_window(len: usize, count: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let windows = (0..count).step_by(HELD).zip(epoch * len.div_ceil(HELD) as u64..);
    let window = |(start, number)| {
        let place = index_shuffle(HELD.min(len - start) - 1, seed + number);
        (0..HELD.min(count - start)).map(move |i| start + place(i))
    };
    windows.flat_map(window).collect()
}

/// The shards of MosaicML's streaming (docs.mosaicml.com/projects/streaming, "Shuffling"), for one canonical node: in
/// an order for the whole run, shuffled again with the seed plus the epoch.
fn mosaic_shards(len: usize, seed: u64, epoch: u64) -> (Vec<Vec<usize>>, Draws) {
    let (mut shards, mut draws) = (shards(len, &mut draws(seed, u64::MAX)), draws(seed + epoch, 0));
    shuffle(&mut shards, &mut draws);
    (shards, draws)
}

/// The same, `py1s`: each shard is shuffled for itself.
pub fn py1s(len: usize, _: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let (mut shards, mut draws) = mosaic_shards(len, seed, epoch);
    shards.iter_mut().for_each(|shard| shuffle(shard, &mut draws));
    shards.concat()
}

/// The same, `py1br`: shuffled in blocks of 0.75 to 1.25 times the block size; the first one is cut short.
pub fn py1br(len: usize, _: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let (shards, mut draws) = mosaic_shards(len, seed, epoch);
    let mut out = shards.concat();
    let (mut rest, mut shorter) = (&mut out[..], below(&mut draws, HELD * 3 / 4));
    while !rest.is_empty() {
        let size = HELD * 3 / 4 + below(&mut draws, HELD / 2) - mem::take(&mut shorter);
        let (now, later) = rest.split_at_mut(size.min(rest.len()));
        shuffle(now, &mut draws);
        rest = later;
    }
    out
}

/// The same, `py1e`: each sample moves by a random distance, so that its shard spreads over 0.75 to 1.25 times the
/// block size, and no place is beyond the ends.
pub fn py1e(len: usize, _: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let (shards, mut draws) = mosaic_shards(len, seed, epoch);
    let (mut places, mut start) = (Vec::with_capacity(len), 0);
    for mut shard in shards {
        shuffle(&mut shard, &mut draws);
        let range = HELD * 3 / 4 + below(&mut draws, HELD / 2);
        let reach = range.saturating_sub(shard.len()) / 2;
        let (down, up) = (reach.min(start), reach.min(len - start - shard.len()));
        for (sample, place) in shard.iter().zip(start..) {
            places.push((place as f64 - down as f64 + draws.uniform::<f64>() * (down + up) as f64, *sample));
        }
        start += shard.len();
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.into_iter().map(|(_, sample)| sample).collect()
}

/// Xu et al. 2022, "In-Database Machine Learning with CorgiPile": blocks in a random order, as many at a time as the
/// buffer holds, shuffled together. (Here, as in their PyTorch version, every block comes once an epoch.)
pub fn corgipile(len: usize, _: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut draws = draws(seed, epoch);
    let mut out = shards(len, &mut draws).concat();
    out.chunks_mut(HELD).for_each(|buffer| shuffle(buffer, &mut draws));
    out
}

/// github.com/libffcv/ffcv, `OrderOption.QUASI_RANDOM`: pages, each shuffled, in a random order, some of them open;
/// each sample comes from a random open one. There twice as many are open as a batch has samples; here as many as
/// memory holds.
pub fn ffcv(len: usize, _: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut draws = draws(seed, epoch);
    let mut closed = shards(len, &mut draws);
    closed.iter_mut().for_each(|page| shuffle(page, &mut draws));
    let mut open = closed.split_off(closed.len().saturating_sub(HELD / SHARD));
    let mut out = Vec::with_capacity(len);
    while !open.is_empty() {
        let page = below(&mut draws, open.len());
        out.extend(open[page].pop());
        if open[page].is_empty() {
            open.swap_remove(page);
            open.extend(closed.pop());
        }
    }
    out
}

/// github.com/marin-community/marin, lib/levanter, `FeistelPermutation`: five rounds on the bits of the next power of
/// two, walked on until the result is below `len`. The round multiplies by an odd number and adds: its lowest bit
/// depends on the lowest bit only, so that in the end the lowest bit is one of the place's, next to the middle.
fn feistel(len: usize, number: u64, seed: u64) -> impl Fn(usize) -> usize {
    let bits = len.next_power_of_two().trailing_zeros();
    let half = bits - bits / 2;
    let mask = (1 << half) - 1;
    let mut keys = [0; 5];
    Draws::new("Feistel", [number, 0], seed).fill_words(&mut keys);
    move |place| {
        let mut value = place;
        loop {
            let (mut left, mut right) = (value >> half, value & mask);
            for key in keys {
                let mixed = right.wrapping_mul(2_654_435_761).wrapping_add(key as usize) & mask; // Knuth's 2^32 / φ
                (left, right) = (right, left ^ mixed);
            }
            value = left << half | right;
            if value < len {
                return value;
            }
        }
    }
}

/// The same, `PermutationDataset`. It knows no epochs: every one is the same.
pub fn levanter(len: usize, count: usize, seed: u64, _: u64) -> Vec<usize> {
    (0..count).map(feistel(len, 0, seed)).collect()
}

/// The same, `EraShufflingDataset`: neighbours in windows.
pub fn levanter_eras(len: usize, count: usize, seed: u64, _: u64) -> Vec<usize> {
    let era = |start: usize| {
        let place = feistel(HELD.min(len - start), (start / HELD) as u64, seed);
        (0..HELD.min(count - start)).map(move |i| start + place(i))
    };
    (0..count).step_by(HELD).flat_map(era).collect()
}

/// The same, `BlockShufflingDataset`, with the blocks of 256 and windows of 512 (2^17 samples) of its configuration:
/// the blocks in a random order, each window shuffled; a short last block stays at the end, and the last window is what
/// remains.
pub fn levanter_windows(len: usize, count: usize, seed: u64, _: u64) -> Vec<usize> {
    const BLOCK: usize = 256;
    let full = len / BLOCK * BLOCK;
    let block = feistel(len / BLOCK, 0, seed);
    let window = |start: usize| {
        let size = HELD.min(full - start);
        let blocks: Vec<usize> = (start / BLOCK..(start + size) / BLOCK).map(&block).collect();
        let place = feistel(size, 1 + (start / HELD) as u64, seed);
        (0..size.min(count - start)).map(move |i| blocks[place(i) / BLOCK] * BLOCK + place(i) % BLOCK)
    };
    let tail = feistel((len - full).max(1), u64::MAX, seed);
    let mut out: Vec<usize> = (0..full.min(count)).step_by(HELD).flat_map(window).collect();
    out.extend((full..count).map(|place| full + tail(place - full)));
    out
}
