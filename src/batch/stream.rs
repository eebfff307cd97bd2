use alloc::{borrow::Cow, format, vec::Vec};
use core::ops::Range;

use super::batcher::{Batcher, zeros_or_end};
use crate::{
    check,
    error::{Error, Relation},
    order::{Order, shuffle::Shuffle},
};

/// The batches of one epoch after the other, from any position on.
///
/// A stream is not an [`Iterator`], since each batch is borrowed from it. So a batch allocates nothing, unless an order
/// of your own does. The stream ends after the last batch of epoch 2^64 − 1.
///
/// Memory: one `usize` per sample of a batch and of two of the order's runs, but never for more than an epoch; and the
/// order's scratch. For [`Sequential`](crate::Sequential) and [`Permutation`](crate::Permutation) this is a batch, for
/// [`Blocks`](crate::Blocks) two windows and a batch, for a [`Shuffle`] an epoch.
///
/// # Example
/// ```
/// use gradstep::Batcher;
/// let batcher = Batcher::new(10, 4, 42)?;
/// let mut stream = batcher.stream();
/// for _step in 0..100 {
///     let Some(_batch) = stream.next_batch() else { break };
///     if stream.is_epoch_end() { /* evaluate */ }
/// }
/// let position = stream.position(); // a few integers: save them with the parameters
/// assert_eq!((position.epoch(), position.samples()), (33, 4)); // 33 epochs of 3 batches, and 1 more
///
/// let mut resumed = batcher.resume(&position)?;
/// assert_eq!(resumed.next_batch(), stream.next_batch());
///
/// // Later on a larger machine: the same epoch goes on, in batches of another size.
/// let mut larger = Batcher::new(10, 6, 42)?.resume_with_new_batch_size(&position)?;
/// assert_eq!(larger.next_batch(), Some(&batcher.epoch(33).indices()[4..]));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stream<O = Shuffle> {
    batcher: Batcher<O>,
    epoch: u64,
    /// How many samples of the epoch are done.
    done: usize,
    /// The places of the epoch whose samples are at the front of `samples`; what is behind them has no meaning.
    filled: Range<usize>,
    samples: Vec<usize>,
    scratch: Vec<usize>,
}

/// Where a [`Stream`] is: the settings of its batcher, the epoch, and how many samples of it are done.
///
/// It counts samples and not batches, so that a run can go on in the middle of an epoch with any batch size. After the
/// last batch of epoch e it is at epoch e + 1 with 0 samples done.
#[doc(alias = "checkpoint")]
#[doc(alias = "resume")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    epoch: u64,
    samples: u64,
    batch_size: u64,
    drop_last: bool,
    /// The settings of the order. Their names are borrowed from the order, or owned in a position that was loaded.
    settings: Vec<(Cow<'static, str>, u64)>,
}

impl<O: Order> Batcher<O> {
    /// The position after `samples` samples of epoch `epoch`. If no batch of the epoch is left then, it is the start of
    /// the next epoch. Allocates a list of the order's settings.
    ///
    /// # Errors
    /// [`Error::Count`] if `samples` is above the length of an epoch.
    pub fn position(&self, epoch: u64, samples: u64) -> Result<Position, Error> {
        Ok(self.position_at(epoch, self.done(samples)?))
    }

    fn done(&self, samples: u64) -> Result<usize, Error> {
        check::count("samples", samples, Relation::AtMost, self.len() as u64, "len")?;
        Ok(samples as usize)
    }

    /// The same place, or the start of the next epoch if no batch is left: so a place has one position, however a run
    /// came there.
    fn normal(&self, epoch: u64, done: usize) -> (u64, usize) {
        match epoch.checked_add(1) {
            Some(next) if done == self.end(done) => (next, 0),
            // The last epoch has no next one: its end stays its end.
            _ => (epoch, done),
        }
    }

    fn position_at(&self, epoch: u64, done: usize) -> Position {
        let (epoch, done) = self.normal(epoch, done);
        Position {
            epoch,
            samples: done as u64,
            batch_size: self.batch_size() as u64,
            drop_last: self.drops_last(),
            settings: self.order.settings().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }
}

impl<O: Order + Clone> Batcher<O> {
    /// The batches of all epochs, from epoch 0 on. If there is no memory for the stream, the process ends
    /// ([`try_stream`](Batcher::try_stream) returns an error). Clones the order, which may be a reference
    /// ([`as_ref`](Batcher::as_ref)).
    pub fn stream(&self) -> Stream<O> {
        // There is no error: `zeros_or_end` returns zeros or ends the process.
        let Ok(stream) = self.stream_from(0, 0, zeros_or_end);
        stream
    }

    /// The same as [`stream`](Batcher::stream).
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no memory for the stream. If there is none for the clone of the order, the process
    /// ends, as in [`try_epoch`](Batcher::try_epoch).
    pub fn try_stream(&self) -> Result<Stream<O>, Error> {
        self.stream_from(0, 0, check::zeros)
    }

    /// The batches from `position` on, exactly as the stream that was at this position would go on. The position holds
    /// the settings of the order and nothing of your data, so other data of the same length are not noticed.
    ///
    /// # Errors
    /// [`Error::Saved`] if the position belongs to a batcher with other settings, whose batches would be others.
    /// [`Error::Count`] if it is past the end of its epoch; [`Error::Memory`] if there is no memory for the stream.
    pub fn resume(&self, position: &Position) -> Result<Stream<O>, Error> {
        check::same("batch_size", position.batch_size, self.batch_size())?;
        self.resume_with_new_batch_size(position)
    }

    /// Like [`resume`](Batcher::resume), but the position may have another batch size. No sample is lost or seen twice:
    /// batches of this batcher's size begin with the first sample that is not done. So the last batch of that epoch may
    /// be shorter, or is left out with [`drop_last`](Batcher::drop_last).
    ///
    /// # Errors
    /// Those of [`resume`](Batcher::resume), except for the batch size.
    pub fn resume_with_new_batch_size(&self, position: &Position) -> Result<Stream<O>, Error> {
        let expected = self.order.settings();
        let saved_names = Vec::from_iter(position.settings.iter().map(|(name, _)| &**name));
        let expected_names = Vec::from_iter(expected.iter().map(|&(name, _)| name));
        // Quoted, so that a comma in a name does not make one list look like another.
        check::same("order", format!("{saved_names:?}"), format!("{expected_names:?}"))?;
        for (&(name, expected), &(_, saved)) in expected.iter().zip(&position.settings) {
            check::same(name, saved, expected)?;
        }
        // This decides which samples come, so it may not differ either.
        check::same("drop_last", position.drop_last, self.drops_last())?;
        self.stream_from(position.epoch, self.done(position.samples)?, check::zeros)
    }

    /// `zeros` decides what happens if there is no memory.
    fn stream_from<E>(
        &self,
        epoch: u64,
        done: usize,
        zeros: impl Fn(&'static str, usize) -> Result<Vec<usize>, E>,
    ) -> Result<Stream<O>, E> {
        let (epoch, done) = self.normal(epoch, done);
        // A batch may begin with the last place of a run and end with the first place of another, and both are filled
        // whole.
        let around = usize::try_from(self.order.longest_run()).unwrap_or(usize::MAX).saturating_sub(1);
        let room = self.batch_size().saturating_add(around.saturating_mul(2)).min(self.len());
        let (samples, scratch) = (zeros("stream", room)?, zeros("scratch", self.order.scratch_len())?);
        Ok(Stream { batcher: self.clone(), epoch, done, filled: 0..0, samples, scratch })
    }
}

impl<O: Order> Stream<O> {
    /// The next batch; `None` after the last one of epoch 2^64 − 1.
    ///
    /// Cost: fills the runs of the order that the batch needs and that are not filled yet. With a [`Shuffle`], the
    /// first batch of an epoch takes the time of the whole epoch, and the others next to none. No allocation, unless an
    /// order of your own makes one.
    pub fn next_batch(&mut self) -> Option<&[usize]> {
        if self.is_epoch_end() {
            self.epoch = self.epoch.checked_add(1)?;
            // The samples in the buffer belong to the epoch that has ended.
            (self.done, self.filled) = (0, 0..0);
        }
        let start = self.done;
        self.done += self.batcher.batch_size().min(self.batcher.end(start) - start);
        if self.filled.end < self.done {
            self.fill_from(start);
        }
        self.samples.get(start - self.filled.start..self.done - self.filled.start)
    }

    /// Fills the runs that hold the places from `start` up to `done`, except for what is there already.
    ///
    /// Clamping changes nothing, unless the runs of an order contradict each other; then it keeps all places within the
    /// buffer.
    fn fill_from(&mut self, start: usize) {
        let (order, room) = (&self.batcher.order, self.samples.len());
        if self.filled.end <= start {
            let first = order.run(self.epoch, start as u64).start as usize;
            let first = first.clamp(self.done.saturating_sub(room), start);
            self.filled = first..first;
        } else {
            // The rest of the last run is the beginning of this batch. It moves to the front, so that the batch is one
            // slice.
            self.samples.copy_within(start - self.filled.start..self.filled.len(), 0);
            self.filled.start = start;
        }
        let (kept, old_end) = (self.filled.len(), self.filled.end);
        let end = order.run(self.epoch, self.done as u64 - 1).end as usize;
        self.filled.end = end.clamp(self.done, self.filled.start.saturating_add(room));
        let out = &mut self.samples[kept..self.filled.len()];
        self.batcher.fill(self.epoch, old_end, out, &mut self.scratch);
    }

    /// Whether the batch that was just returned is the last of its epoch, which is the time to evaluate. It is `false`
    /// in a stream that was just resumed, so evaluate before you save.
    pub fn is_epoch_end(&self) -> bool {
        self.done == self.batcher.end(self.done)
    }

    /// The epoch of the [`position`](Stream::position), without an allocation.
    pub fn epoch(&self) -> u64 {
        self.batcher.normal(self.epoch, self.done).0
    }

    /// How many samples of that epoch are done, as in the [`position`](Stream::position), without an allocation.
    pub fn samples(&self) -> u64 {
        self.batcher.normal(self.epoch, self.done).1 as u64
    }

    /// The position after the batch that was just returned. Allocates a list of the order's settings.
    pub fn position(&self) -> Position {
        self.batcher.position_at(self.epoch, self.done)
    }
}

impl Position {
    /// The epoch, counted from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many samples of the epoch are done.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The batch size of the stream or batcher that it is from.
    pub fn batch_size(&self) -> u64 {
        self.batch_size
    }

    #[cfg(feature = "serde")]
    fn borrowed_settings(&self) -> Vec<(&str, crate::saved::Exact<&u64>)> {
        self.settings.iter().map(|(name, value)| (&**name, crate::saved::Exact(value))).collect()
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] Position = "Position v1";
    epoch: Exact<u64>,
    samples: Exact<u64>,
    batch_size: Exact<u64>,
    drop_last: Plain<bool>,
    settings: Plain<Vec<(String, Exact<u64>)>> = Position::borrowed_settings,
    => {
        check::at_least_one("batch_size", batch_size)?;
        let settings = settings.into_iter().map(|(name, Exact(value))| (name.into(), value)).collect();
        Ok(Position { epoch, samples, batch_size, drop_last, settings })
    }
}
