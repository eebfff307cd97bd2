use alloc::{vec, vec::Vec};
use core::ops::Range;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::{
    Fill, Order, VERSION,
    generator::generator,
    permutation::Permutation,
    shuffle::{self, Shuffle},
};
use crate::{
    check,
    error::{Error, Relation},
};

/// A shuffle for data that is read from disk or object storage: it reads whole blocks of neighbouring samples, each
/// once per epoch, and shuffles many blocks together.
///
/// In each epoch, the blocks of `block_len` samples (the last one may be shorter) are put in a new order and cut into
/// as few windows as `blocks_per_window` allows, all equal to within one block. Then the samples of each window are
/// shuffled, exactly uniformly as far as the bits of the seed allow (see [`Shuffle`]). The order of the blocks is that
/// of a [`Shuffle`], or with 65,537 blocks or more that of a [`Permutation`].
///
/// A program that keeps one window in memory and reads the next one ahead reads only long stretches of its file.
/// [`window`](Blocks::window) returns these as ranges of samples.
///
/// # How well it shuffles
/// If similar samples are next to each other (because the data is sorted by label, for example), the share of a class
/// varies more from batch to batch than in a full shuffle. With batches of B samples, its variance is that of a full
/// shuffle times 1 + h (B / k) (1 − k / n). Here k is the number of blocks in a window, n the number of all blocks, and
/// h the part of the variance that is between blocks: 1 if each block has only one class, 0 if the samples were
/// shuffled before. With a `blocks_per_window` of 10 B this factor is at most 1.1, with 5 B at most 1.2.
///
/// So the number of blocks in a window matters, and not the number of samples: choose blocks as small as the disk can
/// read well. Over the whole epoch, the order is as even as that of n things: the rank correlation of samples and
/// places is 0 ± 1 / √n.
///
/// If a window has too many or too few samples of a class, so have all of its batches: for one window, a class of share
/// p is off by √((1 − p) / (p k)), relative to p. If momentum averages over many batches, take more blocks per window.
/// [`order`](crate::order) describes the algorithm.
///
/// # Several machines
/// [`with_lanes`](Blocks::with_lanes) cuts each window into lanes, and each batch takes samples from all lanes in turn.
/// So a machine that has some of the lanes ([`lanes_of`](Blocks::lanes_of)) reads only the blocks of these, and has
/// about the same share of every batch. The order does not depend on the number of machines: a run on four machines can
/// go on with three.
///
/// # Cost
/// A [`Stream`](crate::Stream) allocates memory for two windows and a batch, 8 bytes per sample. Filling a window takes 1 to 1.5
/// times as long as shuffling as many samples, with lanes up to 2.5 times. A stream can start at any place of any epoch
/// without computing what comes before, even with 10^12 samples. With fewer than 65,537 blocks, each window also
/// shuffles the numbers of all blocks (0.1 ms).
///
/// # Example
/// ```
/// use gradstep::{Batcher, Blocks};
///
/// // 10,000 samples in a file, read 16 at a time; 50 blocks are 800 samples in memory.
/// let order = Blocks::new(10_000, 16, 50, 42)?;
/// let mut stream = Batcher::over(order, 100)?.stream();
///
/// let window = order.window(0, 0, 0..1)?; // here a program would read these ranges, one after the other
/// assert_eq!((window.len(), window[0].end - window[0].start), (48, 16)); // 625 blocks in 13 windows
/// let batch = stream.next_batch().expect("the first");
/// for &sample in batch {
///     let row = order.row(&window, sample).expect("in the window"); // where it is in what was read
///     assert!(row < 800);
/// }
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "shuffle_buffer")]
#[doc(alias = "IterableDataset")]
#[doc(alias = "WebDataset")]
#[doc(alias = "streaming")]
#[doc(alias = "memmap")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blocks {
    len: u64,
    block_len: u64,
    blocks_per_window: u64,
    lanes: u64,
    seed: u64,
    /// The order of all blocks but the last, if they are too many for a table.
    many: Option<Permutation>,
}

/// One window of an epoch.
struct Window {
    /// Its number in the epoch, from 0.
    number: u64,
    places: Range<u64>,
    /// How many blocks the window has.
    count: u64,
    /// Where the window's blocks begin in the order of all blocks but the last one.
    first: u64,
    /// Which of the window's blocks is the last block of all, if one is. It may be shorter than the others, so it comes
    /// last in its lane.
    last: Option<u64>,
}

impl Blocks {
    /// The largest `len`.
    pub const MAX_LEN: u64 = 1 << 62;

    /// An order of `len` samples in blocks of `block_len`, `blocks_per_window` of which are shuffled together. Two
    /// orders with the same arguments are equal: give each data set a [seed of its own](crate::Batcher::new).
    ///
    /// # Errors
    /// [`Error::Count`] if `len` is 0 or above [`MAX_LEN`](Self::MAX_LEN), if `block_len` is 0 or above `len`, if
    /// `blocks_per_window` is 0 or above the number of blocks, or if a window has more samples than
    /// [`Shuffle::MAX_LEN`].
    pub fn new(len: u64, block_len: u64, blocks_per_window: u64, seed: u64) -> Result<Self, Error> {
        check::at_least_one("len", len)?;
        check::count("len", len, Relation::AtMost, Self::MAX_LEN, "")?;
        check::at_least_one("block_len", block_len)?;
        check::count("block_len", block_len, Relation::AtMost, len, "len")?;
        check::at_least_one("blocks_per_window", blocks_per_window)?;
        let mut order = Blocks { len, block_len, blocks_per_window, lanes: 1, seed, many: None };
        check::count("blocks_per_window", blocks_per_window, Relation::AtMost, order.count(), "number of blocks")?;
        let (longest, max) = (order.longest_run(), Shuffle::MAX_LEN as u64);
        check::count("number of samples in a window", longest, Relation::AtMost, max, "Shuffle::MAX_LEN")?;
        if order.count() > Permutation::MIN_LEN {
            let seed = generator(b"blocks 1", seed, order.count(), 0, 2).next_u64();
            order.many = Some(Permutation::new(order.count() - 1, seed)?);
        }
        Ok(order)
    }

    /// The same blocks, with each window cut into `lanes` lanes, which take turns in every batch. Another number of
    /// lanes gives another order.
    ///
    /// # Errors
    /// [`Error::Count`] if `lanes` is 0, or above the number of blocks in the smallest window.
    pub fn with_lanes(self, lanes: u64) -> Result<Self, Error> {
        check::at_least_one("lanes", lanes)?;
        let smallest = self.count() / self.windows();
        check::count("lanes", lanes, Relation::AtMost, smallest, "number of blocks in the smallest window")?;
        Ok(Blocks { lanes, ..self })
    }

    /// The lanes of rank `rank` of `world_size`. They are next to each other, and all ranks have equally many, to
    /// within one.
    ///
    /// # Errors
    /// [`Error::Count`] if `world_size` is 0 or above the number of lanes, or `rank` is not below `world_size`.
    pub fn lanes_of(&self, rank: u64, world_size: u64) -> Result<Range<u64>, Error> {
        check::at_least_one("world_size", world_size)?;
        check::count("world_size", world_size, Relation::AtMost, self.lanes, "lanes")?;
        check::count("rank", rank, Relation::Below, world_size, "world_size")?;
        Ok(part(rank, world_size, self.lanes))
    }

    /// The samples to read for `lanes` of the window that contains `place`: one range for each block, in ascending
    /// order. The next window begins at place [`run`](Order::run)`(epoch, place).end`, and after the last window of an
    /// epoch at place 0 of the next one. Without [`with_lanes`](Blocks::with_lanes) there is only lane 0: pass `0..1`.
    ///
    /// A program that reads batch after batch instead of windows can sort each batch; then
    /// `batch.chunk_by(|a, b| a + 1 == *b)` returns its stretches of neighbouring samples.
    ///
    /// Cost: allocates a list of the ranges, and with fewer than 65,537 blocks also one of the numbers of all blocks,
    /// which it shuffles.
    ///
    /// # Errors
    /// [`Error::Count`] if `place` is not below `len`, or if `lanes` ends beyond the number of lanes; [`Error::Memory`]
    /// if there is no memory for the lists.
    pub fn window(&self, epoch: u64, place: u64, lanes: Range<u64>) -> Result<Vec<Range<u64>>, Error> {
        check::count("place", place, Relation::Below, self.len, "len")?;
        check::count("end of lanes", lanes.end, Relation::AtMost, self.lanes, "number of lanes")?;
        let mut table = check::zeros("table of the blocks", self.table_len())?;
        self.fill_table(epoch, &mut table);
        let window = self.window_at(epoch, place);
        // A range of lanes whose end is below its start asks for none.
        let block = |lane| start_of(lane, self.lanes, window.count) as usize;
        let lanes = block(lanes.start.min(lanes.end))..block(lanes.end);
        let mut ranges = check::room("blocks", lanes.len())?;
        ranges.extend(
            self.firsts(epoch, &window, &table)
                .skip(lanes.start)
                .take(lanes.len())
                .map(|first| first..self.len.min(first + self.block_len)),
        );
        ranges.sort_unstable_by_key(|range| range.start);
        Ok(ranges)
    }

    /// The row of `sample` in memory, counted from 0, if the ranges `window` were read one after the other; `None` if
    /// it is in none of them. The ranges must be those that [`window`](Blocks::window) returned, in their order and not
    /// joined.
    ///
    /// Cost: a binary search in `window`, without an allocation.
    pub fn row(&self, window: &[Range<u64>], sample: usize) -> Option<usize> {
        let sample = sample as u64;
        let block = window.partition_point(|range| range.end <= sample);
        let row = sample.checked_sub(window.get(block)?.start)?;
        usize::try_from(self.block_len.checked_mul(block as u64)?.checked_add(row)?).ok()
    }

    /// How many blocks there are.
    fn count(&self) -> u64 {
        self.len.div_ceil(self.block_len)
    }

    /// How many windows an epoch has.
    fn windows(&self) -> u64 {
        self.count().div_ceil(self.blocks_per_window)
    }

    /// How many samples the last block has fewer than the others.
    fn missing(&self) -> u64 {
        self.count() * self.block_len - self.len
    }

    fn window_at(&self, epoch: u64, place: u64) -> Window {
        let (place, count, windows) = (place.min(self.len - 1), self.count(), self.windows());
        // The last block, which may be shorter, has its place drawn from a stream of its own. So the start of a window
        // is known without the order of all blocks.
        let [last] = shuffle::draw(count, &mut self.generator(epoch, 1));
        // The place as it would be if all blocks had the same length.
        let in_blocks = if place < last * self.block_len { place } else { place + self.missing() };
        let number = which_part(in_blocks / self.block_len, windows, count);
        let blocks = part(number, windows, count);
        let start = |block| block * self.block_len - if last < block { self.missing() } else { 0 };
        let count = blocks.end - blocks.start;
        let lane_end = |i| part(which_part(i, self.lanes, count), self.lanes, count).end;
        Window {
            number,
            places: start(blocks.start)..start(blocks.end),
            count,
            first: blocks.start - u64::from(last < blocks.start),
            last: blocks.contains(&last).then(|| lane_end(last - blocks.start) - 1),
        }
    }

    fn generator(&self, epoch: u64, stream: u64) -> ChaCha8Rng {
        generator(b"blocks 1", self.seed, self.count(), epoch, stream)
    }

    fn table_len(&self) -> usize {
        if self.many.is_some() { 0 } else { self.count() as usize - 1 }
    }

    /// Fills `table` with the order of all blocks but the last. It is empty if there are too many for a table.
    fn fill_table(&self, epoch: u64, table: &mut [usize]) {
        shuffle::fill_from(table, &mut [], &|stream| self.generator(epoch, stream));
    }

    /// The first sample of each block of the window, lane after lane.
    fn firsts<'a>(&self, epoch: u64, window: &Window, table: &'a [usize]) -> impl Iterator<Item = u64> + use<'a> {
        let many = self.many.map(|order| order.at_epoch(epoch));
        let (first, last, end, block_len) = (window.first, window.last, self.count() - 1, self.block_len);
        (0..window.count).map(move |i| {
            let block = match last {
                Some(last) if i == last => end,
                last => {
                    let place = first + i - u64::from(last.is_some_and(|last| last < i));
                    many.map_or_else(|| table[place as usize] as u64, |order| order.get(place).unwrap_or(end))
                }
            };
            block * block_len
        })
    }

    fn fill_window(&self, epoch: u64, window: &Window, table: &[usize], scratch: &mut [usize], out: &mut [usize]) {
        let (firsts, scratch) = scratch.split_at_mut(window.count as usize);
        for (to, first) in firsts.iter_mut().zip(self.firsts(epoch, window, table)) {
            *to = first as usize;
        }
        // `copy` is scratch for the shuffle of a lane first, and then a copy of the window.
        let (turns, copy) = scratch.split_at_mut(3 * self.lanes as usize);
        let block_len = self.block_len as usize;
        let mut start = 0;
        for (lane, turn) in (0..self.lanes).zip(turns.chunks_exact_mut(3)) {
            let blocks = part(lane, self.lanes, window.count);
            let missing = if window.last.is_some_and(|last| blocks.contains(&last)) { self.missing() } else { 0 };
            let firsts = &firsts[blocks.start as usize..blocks.end as usize];
            let len = firsts.len() * block_len - missing as usize;
            let samples = &mut out[start..start + len];
            let number = window.number * self.lanes + lane;
            let streams = |stream| generator(b"window 1", self.seed, number, epoch, stream);
            if len <= shuffle::ONE_SHUFFLE {
                // Gives the same samples as the other branch, but takes no division per sample: a shuffle exchanges
                // places, whatever they hold.
                for (samples, first) in samples.chunks_mut(block_len).zip(firsts) {
                    samples.iter_mut().zip(*first..).for_each(|(to, sample)| *to = sample);
                }
                shuffle::shuffle(samples, 0, &streams);
            } else {
                shuffle::fill_from(samples, copy, &streams);
                for sample in samples {
                    *sample = firsts[*sample / block_len] + *sample % block_len;
                }
            }
            turn.copy_from_slice(&[len, start, 0]);
            start += len;
        }
        if self.lanes > 1 {
            copy[..out.len()].copy_from_slice(out);
            take_turns(turns, copy, out);
        }
    }
}

/// Merges the lanes into `out`. There are as many rounds as the longest lane has samples. In each round, every lane
/// saves up a part of a turn, in proportion to its length. When it has a whole turn, it spends it and gives its next
/// sample. For each lane `turns` has its length, the place of its next sample in `samples`, and what it has saved up; a
/// whole turn is `rounds`.
fn take_turns(turns: &mut [usize], samples: &[usize], out: &mut [usize]) {
    let rounds = turns.chunks_exact(3).map(|turn| turn[0]).max().unwrap_or(0);
    let mut out = out.iter_mut();
    for _ in 0..rounds {
        for turn in turns.chunks_exact_mut(3) {
            turn[2] += turn[0];
            if turn[2] >= rounds {
                turn[2] -= rounds;
                if let Some(out) = out.next() {
                    *out = samples[turn[1]];
                }
                turn[1] += 1;
            }
        }
    }
}

/// Part `i` of `total` things that are cut into `parts` parts, all equal to within one thing.
fn part(i: u64, parts: u64, total: u64) -> Range<u64> {
    start_of(i, parts, total)..start_of(i + 1, parts, total)
}

/// Where [`part`] `i` begins.
fn start_of(i: u64, parts: u64, total: u64) -> u64 {
    (u128::from(i) * u128::from(total) / u128::from(parts)) as u64
}

/// Which [`part`] the thing `i` is in.
fn which_part(i: u64, parts: u64, total: u64) -> u64 {
    (((u128::from(i) + 1) * u128::from(parts) - 1) / u128::from(total)) as u64
}

impl Order for Blocks {
    fn len(&self) -> u64 {
        self.len
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("blocks", VERSION),
            ("len", self.len),
            ("block_len", self.block_len),
            ("blocks_per_window", self.blocks_per_window),
            ("lanes", self.lanes),
            ("seed", self.seed),
        ]
    }

    fn run(&self, epoch: u64, place: u64) -> Range<u64> {
        self.window_at(epoch, place).places
    }

    fn longest_run(&self) -> u64 {
        self.len.min(self.count().div_ceil(self.windows()) * self.block_len)
    }

    fn scratch_len(&self) -> usize {
        let blocks = usize::try_from(self.count().div_ceil(self.windows())).unwrap_or(usize::MAX);
        let longest = usize::try_from(self.longest_run()).unwrap_or(usize::MAX);
        let copy = if self.lanes > 1 { longest } else { shuffle::scratch_len(longest) };
        [blocks, 3 * self.lanes as usize, copy].into_iter().fold(self.table_len(), usize::saturating_add)
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        let (mut start, mut out) = (fill.start, &mut *fill.out);
        // Only an order that wraps this one can have less scratch.
        let Some(scratch) = fill.scratch.get_mut(..self.scratch_len()) else { return out.fill(usize::MAX) };
        let (table, scratch) = scratch.split_at_mut(self.table_len());
        self.fill_table(fill.epoch, table);
        while !out.is_empty() {
            let window = self.window_at(fill.epoch, start);
            let len = (window.places.end - window.places.start) as usize;
            // Only an order that wraps this one can name other runs.
            if window.places.start != start || out.len() < len {
                return out.fill(usize::MAX);
            }
            let (samples, rest) = out.split_at_mut(len);
            self.fill_window(fill.epoch, &window, table, scratch, samples);
            (start, out) = (window.places.end, rest);
        }
    }
}
