use alloc::{collections::BinaryHeap, vec, vec::Vec};
use core::{cmp::Reverse, ops::Range};

use rand::Rng;

use super::{Fill, Order, VERSION, fill_runs, generator::generator, hash::fnv, shuffle::Shuffle, subset::Subset};
use crate::{
    check,
    error::{Error, Relation},
};

/// How many places are filled at a time if every source knows the sample at any place. This bounds the scratch.
const AT_ONCE: usize = 4096;

/// Several orders, mixed in fixed shares: data sets at 3 to 1, every class in every batch, or classes in equal numbers.
///
/// After any number of places, each source has given its share of the samples, to within one sample (Tijdeman 1980). So
/// a batch of any size has its share of each source, to within two samples. Each source has epochs of its own: a small
/// source begins again, with its next epoch, while a large one goes on. An epoch of the mixture has as many places as
/// you choose, and the next one goes on where it ended.
///
/// A mixture is a pure function of (the sources, the shares, epoch, place): one position is enough for all sources, on
/// any number of ranks. [`order`](crate::order) describes it.
///
/// | you want | use |
/// |---|---|
/// | several data sets | [`of_sets`](Mixture::of_sets), whose batches say which set a sample is from |
/// | every class in every batch, each sample once per epoch | [`stratified`](Mixture::stratified) |
/// | classes in equal numbers, small ones seen again | [`balanced`](Mixture::balanced) |
/// | classes in other shares | [`new`](Mixture::new) over what [`Subset::by_label`] returns |
///
/// Cost: 8 bytes per place of a period, whose length is the sum of the shares divided by their greatest common divisor.
/// A clone copies them. Creating a mixture takes some 80 ns per place of the period.
///
/// If every source knows the sample at any place, as a [`Permutation`](crate::Permutation) does, then so does the
/// mixture. With other sources, such as a [`Shuffle`], a run is an epoch of the mixture, and each epoch of a source
/// from which it takes a sample is computed as a whole; if a source is much longer than its part of an epoch, this is
/// most of the work. Such a run needs memory for two epochs of the mixture and one of its longest source. Ten classes
/// of a million samples each take a fifth longer than one shuffle of all of them. Refilling an epoch does not allocate.
///
/// # Example
/// ```
/// use gradstep::{Batcher, Mixture, Shuffle};
/// let sets = vec![Shuffle::new(50, 1)?, Shuffle::new(1_000, 2)?]; // seeds of their own
/// let mixture = Mixture::of_sets(sets, &[1, 3], 200)?; // of every 4 samples 1 and 3; 200 per epoch
/// for batch in &Batcher::over(mixture, 8)?.epoch(0) {
///     let samples: Vec<_> = batch.iter().map(|&i| (i % 2, i / 2)).collect(); // set and sample
///     assert_eq!(samples.iter().filter(|&&(set, _)| set == 0).count(), 2);
/// }
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "interleave")]
#[doc(alias = "StratifiedBatchSampler")]
#[doc(alias = "oversampling")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mixture<O> {
    sources: Vec<O>,
    /// How many places an epoch has.
    len: u64,
    /// Whether the indices of a batch say which source a sample is from.
    numbered: bool,
    /// Whether each source knows the sample at any place, so that a run is one place.
    any_place: bool,
    /// The first shares and each change, in ascending order of their starts.
    blends: Vec<Blend>,
}

impl<O: Order> Mixture<O> {
    /// The largest sum of the shares, after they were divided by their greatest common divisor.
    pub const MAX_PERIOD: u64 = 1 << 32;

    /// With S the sum of the shares, `shares[s]` of every S samples are from `sources[s]`. An epoch has `len` samples.
    /// The samples are as the sources give them, so this is for sources that are parts of one set.
    ///
    /// Sources with equal seeds and lengths have the same order: give each a [seed of its own](crate::Batcher::new).
    ///
    /// # Errors
    /// [`Error::Length`] if there are not as many shares as sources; [`Error::Count`] if there is no source, if a
    /// share, `len` or the length of a source is 0, or if the sum of the shares, divided by their greatest common
    /// divisor, is above [`MAX_PERIOD`](Self::MAX_PERIOD); [`Error::Memory`] if there is no memory for the period.
    pub fn new(sources: Vec<O>, shares: &[u64], len: u64) -> Result<Self, Error> {
        check::at_least_one("number of sources", sources.len() as u64)?;
        check::at_least_one("len", len)?;
        for source in &sources {
            check::at_least_one("len of a source", source.len())?;
        }
        let blend = Blend::new(shares, 0, check::zeros("sources", sources.len())?)?;
        let any_place = sources.iter().all(|source| source.longest_run() == 1);
        Ok(Mixture { sources, len, numbered: false, any_place, blends: check::list("shares", [blend])? })
    }

    /// Like [`new`](Mixture::new), but for k different sets: sample j of set s has the index `j * k + s`. So if `i` is
    /// an index in a batch, `i % k` is the set and `i / k` the sample.
    ///
    /// # Errors
    /// Those of [`new`](Mixture::new); [`Error::Count`] if a set is longer than `usize::MAX / k`.
    pub fn of_sets(sets: Vec<O>, shares: &[u64], len: u64) -> Result<Self, Error> {
        let most = usize::MAX as u64 / (sets.len() as u64).max(1);
        for set in &sets {
            check::count("len of a set", set.len(), Relation::AtMost, most, "usize::MAX / number of sets")?;
        }
        Ok(Mixture { numbered: true, ..Self::new(sets, shares, len)? })
    }

    /// The same mixture, with other shares from the start of epoch `epoch` on. The sources go on where they are. After
    /// the change, each source gives its new share of the samples since then, to within one sample.
    ///
    /// # Errors
    /// Those of [`new`](Mixture::new) for the shares; [`Error::Count`] if `epoch` is not after the epoch of the last
    /// change, or is 0.
    pub fn with_shares_from(mut self, epoch: u64, shares: &[u64]) -> Result<Self, Error> {
        if let Some(last) = self.blends.last() {
            let last_epoch = (last.start / u128::from(self.len)) as u64;
            check::count("epoch", epoch, Relation::Above, last_epoch, "the epoch of the last change")?;
            let start = u128::from(epoch) * u128::from(self.len);
            let blend = Blend::new(shares, start, last.counts(start)?)?;
            check::push("changes of the shares", &mut self.blends, blend)?;
        }
        Ok(self)
    }

    /// The sources.
    pub fn sources(&self) -> &[O] {
        &self.sources
    }

    /// Calls `visit` for each of `count` places from `first` on, which are of one epoch. It gets the number of the place,
    /// counted from 0 at `first`, its source, and how many places that source had before.
    fn each_place(&self, first: u128, count: usize, mut visit: impl FnMut(usize, usize, u128)) {
        // Shares change only where an epoch starts.
        let begun = self.blends.partition_point(|blend| blend.start <= first);
        let Some(blend) = self.blends[..begun].last() else { return };
        let len = blend.period.len() as u128;
        // The loop counts on from here, without a division per place.
        let (mut cycle, mut at) = ((first - blend.start) / len, ((first - blend.start) % len) as usize);
        for i in 0..count {
            let (source, rank) = blend.period[at];
            let source = source as usize;
            visit(i, source, blend.before[source] + cycle * u128::from(blend.shares[source]) + u128::from(rank));
            at += 1;
            if at == blend.period.len() {
                (cycle, at) = (cycle + 1, 0);
            }
        }
    }

    /// Fills `out` with the samples at the places `first`, `first + 1`, …, counted over all epochs. Returns `None` if
    /// there is not enough scratch, which is only so if an order that wraps this one asks for less.
    fn fill_places(&self, first: u128, out: &mut [usize], scratch: &mut [usize]) -> Option<()> {
        let sources = self.sources.len();
        let (counts, rest) = scratch.split_at_mut_checked(sources)?;
        let (next, rest) = rest.split_at_mut_checked(sources)?;
        let (samples, rest) = rest.split_at_mut_checked(out.len())?;
        counts.fill(0);
        // First counts the samples of each source, so that each can give all of its samples in one go.
        self.each_place(first, out.len(), |_, source, _| counts[source] += 1);
        let mut start = 0;
        for (next, &mut count) in next.iter_mut().zip(&mut *counts) {
            *next = start;
            start += count;
        }
        self.each_place(first, out.len(), |i, source, rank| {
            let next = &mut next[source];
            if counts[source] > 0 {
                // The first place of this source here: fills all of its samples.
                fill_source(&self.sources[source], rank, &mut samples[*next..*next + counts[source]], rest);
                counts[source] = 0;
            }
            let sample = samples[*next];
            *next += 1;
            out[i] = if self.numbered { sample.saturating_mul(sources).saturating_add(source) } else { sample };
        });
        Some(())
    }
}

impl Mixture<Subset<Shuffle>> {
    /// Every batch has its share of every class, to within two samples, and every sample comes once per epoch. Each
    /// class that [`Subset::by_label`] returns is shuffled by itself. `labels[i]` is the label of sample i.
    ///
    /// # Errors
    /// Those of [`new`](Mixture::new), and of [`Subset::by_label`].
    ///
    /// # Example
    /// ```
    /// use gradstep::{Batcher, Mixture};
    /// let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    /// for batch in &Batcher::over(Mixture::stratified(&labels, 42)?, 5)?.epoch(0) {
    ///     assert_eq!(batch.iter().filter(|&&i| labels[i] == 1).count(), 1);
    /// }
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn stratified<L: Ord>(labels: &[L], seed: u64) -> Result<Self, Error> {
        let classes = Subset::by_label(labels)?;
        let sizes = check::list("shares", classes.iter().map(Order::len))?;
        Self::new(shuffled(classes, seed)?, &sizes, labels.len() as u64)
    }

    /// All classes in equal numbers, `len` samples per epoch. Each class has epochs of its own, so that the samples of
    /// a small class come several times while those of a large one come once (oversampling). For example, `len` may be
    /// `labels.len()`. `labels[i]` is the label of sample i.
    ///
    /// # Errors
    /// Those of [`stratified`](Mixture::stratified).
    ///
    /// # Example
    /// ```
    /// use gradstep::{Batcher, Mixture};
    /// let labels = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    /// let epoch = Batcher::over(Mixture::balanced(&labels, 16, 42)?, 4)?.epoch(0);
    /// assert!(epoch.iter().all(|batch| batch.iter().filter(|&&i| labels[i] == 1).count() == 2));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn balanced<L: Ord>(labels: &[L], len: u64, seed: u64) -> Result<Self, Error> {
        let classes = shuffled(Subset::by_label(labels)?, seed)?;
        let shares = check::list("shares", classes.iter().map(|_| 1))?;
        Self::new(classes, &shares, len)
    }
}

/// Shuffles each class with a seed of its own, so that no two classes of one length have the same order.
fn shuffled(classes: Vec<Subset>, seed: u64) -> Result<Vec<Subset<Shuffle>>, Error> {
    let seed_of = |class| generator(b"classes1", seed, class, 0, 0).next_u64();
    let mut all = check::room("classes", classes.len())?;
    for (class, samples) in (0..).zip(classes) {
        all.push(samples.shuffled(seed_of(class))?);
    }
    Ok(all)
}

/// Fills `out` with the samples of `source` from its place `place` on, counted over all of its epochs.
///
/// Where the runs of the source contradict each other, it writes `usize::MAX`.
fn fill_source(source: &impl Order, mut place: u128, mut out: &mut [usize], scratch: &mut [usize]) {
    let (len, longest, scratch_len) = (source.len(), buffer_len(source), source.scratch_len());
    let (buffer, scratch) = scratch.split_at_mut(longest.min(scratch.len()));
    let Some(scratch) = scratch.get_mut(..scratch_len).filter(|_| len > 0) else { return out.fill(usize::MAX) };
    while !out.is_empty() {
        let (epoch, start) = ((place / u128::from(len)) as u64, (place % u128::from(len)) as u64);
        let end = len.min(start.saturating_add(out.len() as u64));
        let (first, last) = (source.run(epoch, start), source.run(epoch, end - 1));
        // Whole runs are filled directly, a part of a run by way of the buffer.
        let whole_end = if last.end <= end { last.end } else { last.start };
        let is_whole = first.start == start && (start + 1..=end).contains(&whole_end);
        // Clamped, since a source from outside this crate may return any range.
        let part_end = if is_whole { whole_end } else { first.end.clamp(start + 1, end) };
        let (part, rest) = out.split_at_mut((part_end - start) as usize);
        let filled = if is_whole {
            fill_runs(source, epoch, start, part, scratch).ok()
        } else {
            fill_part(source, epoch, first, start, part, buffer, scratch)
        };
        if filled.is_none() {
            part.fill(usize::MAX);
        }
        (out, place) = (rest, place + u128::from(part_end - start));
    }
}

/// Fills a part of the run `run`, from place `start` on: fills the whole run in `buffer`, and copies the part. `None`
/// if the runs of the source contradict each other.
fn fill_part(
    source: &impl Order,
    epoch: u64,
    run: Range<u64>,
    start: u64,
    out: &mut [usize],
    buffer: &mut [usize],
    scratch: &mut [usize],
) -> Option<()> {
    let to_usize = |x: Option<u64>| usize::try_from(x?).ok();
    let whole = buffer.get_mut(..to_usize(run.end.checked_sub(run.start))?)?;
    fill_runs(source, epoch, run.start, whole, scratch).ok()?;
    let from = to_usize(start.checked_sub(run.start))?;
    out.copy_from_slice(whole.get(from..from.checked_add(out.len())?)?);
    Some(())
}

/// The length of the buffer for a part of a run: 0 if runs are one place, which has no parts.
fn buffer_len(source: &impl Order) -> usize {
    usize::try_from(source.longest_run()).map_or(usize::MAX, |run| if run > 1 { run } else { 0 })
}

impl<O: Order> Order for Mixture<O> {
    fn len(&self) -> u64 {
        self.len
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        // With all lengths, so that two different lists of sources are never the same bytes.
        let mut sources = Vec::new();
        for source in &self.sources {
            let settings = source.settings();
            sources.extend((settings.len() as u64).to_le_bytes());
            for (name, value) in settings {
                sources.extend((name.len() as u64).to_le_bytes());
                sources.extend(name.bytes());
                sources.extend(value.to_le_bytes());
            }
        }
        let shares = self.blends.iter().flat_map(|blend| {
            blend.start.to_le_bytes().into_iter().chain(blend.shares.iter().flat_map(|share| share.to_le_bytes()))
        });
        vec![
            ("mixture", VERSION),
            ("len", self.len),
            ("number of sources", self.sources.len() as u64),
            ("hash of the sources", fnv(sources)),
            ("hash of the shares", fnv(shares)),
            ("numbered by set", self.numbered.into()),
        ]
    }

    fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
        if self.any_place { place..place + 1 } else { 0..self.len }
    }

    fn longest_run(&self) -> u64 {
        if self.any_place { 1 } else { self.len }
    }

    fn scratch_len(&self) -> usize {
        let len = usize::try_from(self.len).unwrap_or(usize::MAX);
        let samples = if self.any_place { len.min(AT_ONCE) } else { len };
        let buffer = self.sources.iter().map(buffer_len).max().unwrap_or(0);
        let scratch = self.sources.iter().map(Order::scratch_len).max().unwrap_or(0);
        (2 * self.sources.len()).saturating_add(samples).saturating_add(buffer).saturating_add(scratch)
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        // In u128, since the places of all epochs together are more than a u64 counts.
        let mut first = u128::from(fill.epoch) * u128::from(self.len) + u128::from(fill.start);
        for out in fill.out.chunks_mut(if self.any_place { AT_ONCE } else { usize::MAX }) {
            if self.fill_places(first, out, fill.scratch).is_none() {
                out.fill(usize::MAX);
            }
            first += out.len() as u128;
        }
    }
}

/// The shares that hold from a place on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Blend {
    /// The first place with these shares, counted over all epochs.
    start: u128,
    shares: Vec<u64>,
    /// How many places each source had before `start`.
    before: Vec<u128>,
    /// For each place of a period its source, and how many places of the period this source had before it.
    period: Vec<(u32, u32)>,
}

impl Blend {
    fn new(shares: &[u64], start: u128, before: Vec<u128>) -> Result<Self, Error> {
        check::length("shares", shares.len(), "sources", before.len())?;
        shares.iter().try_for_each(|&share| check::at_least_one("share", share))?;
        let divisor = shares.iter().fold(0, |a, &b| greatest_common_divisor(a, b)).max(1);
        let shares = check::list("shares", shares.iter().map(|share| share / divisor))?;
        let len = shares.iter().fold(0_u64, |sum, &share| sum.saturating_add(share));
        check::count(
            "sum of the shares",
            len,
            Relation::AtMost,
            Mixture::<Shuffle>::MAX_PERIOD,
            "Mixture::MAX_PERIOD",
        )?;
        Ok(Blend { start, period: period(&shares, len)?, shares, before })
    }

    /// How many places each source has had before `place`.
    fn counts(&self, place: u128) -> Result<Vec<u128>, Error> {
        let (place, len) = (place - self.start, self.period.len() as u128);
        let cycles = self.before.iter().zip(&self.shares);
        let mut counts =
            check::list("sources", cycles.map(|(before, &share)| before + place / len * u128::from(share)))?;
        for &(source, _) in &self.period[..(place % len) as usize] {
            counts[source as usize] += 1;
        }
        Ok(counts)
    }
}

/// The period of these shares. Turn n of a source may be from place ⌊n · len / share⌋ on, and must be before place
/// ⌈(n + 1) · len / share⌉, its deadline. Each place goes to the source with the earliest deadline, of those whose next
/// turn may be there.
fn period(shares: &[u64], len: u64) -> Result<Vec<(u32, u32)>, Error> {
    let mut period = check::room("period of the shares", usize::try_from(len).unwrap_or(usize::MAX))?;
    let from = |source: usize, n: u64| (u128::from(n) * u128::from(len) / u128::from(shares[source])) as u64;
    let before =
        |source: usize, n: u64| (u128::from(n + 1) * u128::from(len)).div_ceil(u128::from(shares[source])) as u64;
    let mut had = check::zeros("sources", shares.len())?;
    // `waiting` is sorted by the place from which on a source's next turn may be, `ready` by its deadline. Both have
    // room for all sources, so that no push allocates.
    let mut waiting = BinaryHeap::from(check::room("sources", shares.len())?);
    let all = (0..shares.len()).map(|source| Reverse((before(source, 0), source)));
    let mut ready = BinaryHeap::from(check::list("sources", all)?);
    for place in 0..len {
        while waiting.peek().is_some_and(|&Reverse((from, _))| from <= place) {
            let Some(Reverse((_, source))) = waiting.pop() else { break };
            ready.push(Reverse((before(source, had[source]), source)));
        }
        let Some(Reverse((_, source))) = ready.pop() else { break };
        period.push((source as u32, had[source] as u32));
        had[source] += 1;
        waiting.push(Reverse((from(source, had[source]), source)));
    }
    Ok(period)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
