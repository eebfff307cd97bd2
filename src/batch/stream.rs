use alloc::{borrow::Cow, vec::Vec};

use super::batcher::Batcher;
use crate::{
    check,
    error::{Error, Relation},
    order::{Order, shuffle::Shuffle},
};

/// Batches over epoch after epoch, from any position on.
///
/// Not an [`Iterator`], since a batch is borrowed from the stream: no allocation (except in rayon's queue, or in an order of
/// your own). It ends after the last batch of epoch 2^64 − 1.
///
/// Memory: one `usize` a sample of an epoch; of a batch, where the order is of random access.
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
    /// Of the whole epoch; where the order is of random access, of one batch.
    samples: Vec<usize>,
}

/// Where a [`Stream`] is: the settings of its batcher, the epoch, and how many samples of it are done.
///
/// It counts samples, so that a run goes on in mid-epoch with any batch size. After the last batch of epoch e it is
/// (e + 1, 0).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Position {
    pub(crate) epoch: u64,
    pub(crate) samples: u64,
    pub(crate) batch_size: u64,
    pub(crate) drop_last: bool,
    /// The order's.
    pub(crate) settings: Vec<(Cow<'static, str>, u64)>,
}

impl<O: Order> Batcher<O> {
    /// The position after `samples` samples of epoch `epoch`. Where no batch is left, it is the start of the next epoch.
    ///
    /// # Errors
    /// [`Error::Count`] if an epoch has fewer samples.
    pub fn position(&self, epoch: u64, samples: u64) -> Result<Position, Error> {
        Ok(self.position_at(epoch, self.done(samples)?))
    }

    fn done(&self, samples: u64) -> Result<usize, Error> {
        check::count("samples", samples, Relation::AtMost, self.len() as u64, "len")?;
        Ok(samples as usize)
    }

    /// The same place, or the start of the next epoch where no batch is left.
    fn normal(&self, epoch: u64, done: usize) -> (u64, usize) {
        match epoch.checked_add(1) {
            Some(next) if done == self.end(done) => (next, 0),
            _ => (epoch, done),
        }
    }

    fn position_at(&self, epoch: u64, done: usize) -> Position {
        let (epoch, done) = self.normal(epoch, done);
        Position {
            epoch,
            samples: done as u64,
            batch_size: self.batch_size() as u64,
            drop_last: self.is_drop_last(),
            settings: self.order.settings().into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }
}

impl<O: Order + Clone> Batcher<O> {
    /// The batches of all epochs, from epoch 0 on. Allocates one `usize` a sample, once; for an order of random access, one
    /// a sample of a batch. Copies the order, which may be a reference.
    pub fn stream(&self) -> Stream<O> {
        self.stream_from(0, 0)
    }

    /// The batches from `position` on, exactly as the stream at that position would go on.
    ///
    /// # Errors
    /// [`Error::Saved`] if the position belongs to a batcher with other settings: it would be another order.
    /// [`Error::Count`] if it is past the end of its epoch.
    pub fn resume(&self, position: &Position) -> Result<Stream<O>, Error> {
        check::same("batch_size", position.batch_size, self.batch_size())?;
        self.resume_with_new_batch_size(position)
    }

    /// The same, with this batcher's batch size whatever the position's was: no sample is lost or seen twice. Batches of
    /// the new size begin with the first sample that is not done, so that the last one of the epoch may be shorter, or
    /// left out with [`drop_last`](Batcher::drop_last).
    ///
    /// # Errors
    /// Those of [`resume`](Batcher::resume), but for the batch size.
    pub fn resume_with_new_batch_size(&self, position: &Position) -> Result<Stream<O>, Error> {
        let expected = self.order.settings();
        let saved_names = Vec::from_iter(position.settings.iter().map(|(name, _)| &**name));
        let expected_names = Vec::from_iter(expected.iter().map(|&(name, _)| name));
        check::same("order", saved_names.join(", "), expected_names.join(", "))?;
        for (&(name, expected), &(_, saved)) in expected.iter().zip(&position.settings) {
            check::same(name, saved, expected)?;
        }
        check::same("drop_last", position.drop_last, self.is_drop_last())?;
        Ok(self.stream_from(position.epoch, self.done(position.samples)?))
    }

    fn stream_from(&self, epoch: u64, done: usize) -> Stream<O> {
        let (epoch, done) = self.normal(epoch, done);
        let mut stream = Stream { batcher: self.clone(), epoch, done, samples: Vec::new() };
        stream.enter(epoch, done);
        stream
    }
}

impl<O: Order> Stream<O> {
    /// The next batch; `None` after the last one of epoch 2^64 − 1.
    pub fn next_batch(&mut self) -> Option<&[usize]> {
        if self.is_epoch_end() {
            self.enter(self.epoch.checked_add(1)?, 0);
        }
        let start = self.done;
        let len = self.batcher.batch_size().min(self.batcher.end(start) - start);
        self.done += len;
        if self.batcher.order.is_random_access() {
            self.samples.resize(len, 0);
            self.batcher.order.fill(self.epoch, start, &mut self.samples);
            Some(&self.samples)
        } else {
            self.samples.get(start..self.done)
        }
    }

    fn enter(&mut self, epoch: u64, done: usize) {
        (self.epoch, self.done) = (epoch, done);
        if !self.batcher.order.is_random_access() {
            self.samples.resize(self.batcher.len(), 0);
            self.batcher.order.fill(epoch, 0, &mut self.samples);
        }
    }

    /// Whether the batch that was just returned is the last of its epoch: the time to evaluate. `false` in a
    /// stream that was just resumed, so evaluate before you save.
    pub fn is_epoch_end(&self) -> bool {
        self.done == self.batcher.end(self.done)
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

    /// How many of its samples are done.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The batch size of its stream.
    pub fn batch_size(&self) -> u64 {
        self.batch_size
    }
}
