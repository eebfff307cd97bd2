use alloc::string::ToString;

use super::batcher::{Batcher, Epoch};
use crate::{
    check,
    error::{Error, Relation},
};

/// Batches over epoch after epoch, from any position on.
///
/// Not an [`Iterator`], since a batch is borrowed from the stream: no allocation (except in rayon's queue) and no copy. It
/// ends after the last batch of epoch 2^64 − 1.
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
/// assert_eq!((position.epoch(), position.batch()), (33, 1)); // 33 epochs of 3 batches, and 1 more
///
/// let mut resumed = batcher.resume(position)?;
/// assert_eq!(resumed.next_batch(), stream.next_batch());
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Stream {
    epoch: Epoch,
    /// How many batches of the epoch are done.
    batch: usize,
}

/// Where a [`Stream`] is: its batcher's settings, the epoch, and how many batches of it are done.
///
/// After the last batch of epoch e it is (e + 1, 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    batcher: Batcher,
    epoch: u64,
    batch: usize,
}

impl Batcher {
    /// The batches of all epochs, from epoch 0 on. Allocates one `usize` a sample, once.
    pub fn stream(&self) -> Stream {
        Stream { epoch: self.epoch(0), batch: 0 }
    }

    /// The position after `batch` batches of epoch `epoch`; after all of them it is the start of the next epoch.
    ///
    /// # Errors
    /// [`Error::Count`] if an epoch has fewer batches.
    pub fn position(&self, epoch: u64, batch: usize) -> Result<Position, Error> {
        let last = self.batches_per_epoch();
        check::count("batch", batch as u64, Relation::AtMost, last as u64, "batches_per_epoch")?;
        Ok(match epoch.checked_add(1) {
            Some(next) if batch == last => Position { batcher: *self, epoch: next, batch: 0 },
            _ => Position { batcher: *self, epoch, batch },
        })
    }

    /// The batches from `position` on, exactly as the stream at that position would go on.
    ///
    /// # Errors
    /// [`Error::Saved`] if the position belongs to a batcher with other settings: it would be another order.
    pub fn resume(&self, position: Position) -> Result<Stream, Error> {
        let seed = |seed: Option<u64>| seed.map_or("none".to_string(), |seed| seed.to_string());
        let saved = position.batcher;
        check::same("len", saved.len(), self.len())?;
        check::same("batch_size", saved.batch_size(), self.batch_size())?;
        check::same("seed", seed(saved.seed()), seed(self.seed()))?;
        check::same("drop_last", saved.is_drop_last(), self.is_drop_last())?;
        Ok(Stream { epoch: self.epoch(position.epoch), batch: position.batch })
    }
}

impl Stream {
    /// The next batch; `None` after the last one of epoch 2^64 − 1.
    pub fn next_batch(&mut self) -> Option<&[usize]> {
        if self.is_epoch_end() {
            self.epoch.refill(self.epoch.number().checked_add(1)?);
            self.batch = 0;
        }
        self.batch += 1;
        self.epoch.batch(self.batch - 1)
    }

    /// Whether the batch that was just returned is the last of its epoch: the time to evaluate. `false` in a
    /// stream that was just resumed, so evaluate before you save.
    pub fn is_epoch_end(&self) -> bool {
        self.batch == self.epoch.batcher().batches_per_epoch()
    }

    /// The position after the batch that was just returned.
    pub fn position(&self) -> Position {
        let (batcher, epoch, batch) = (self.epoch.batcher(), self.epoch.number(), self.batch);
        batcher.position(epoch, batch).unwrap_or(Position { batcher, epoch, batch })
    }
}

impl Position {
    /// The batcher's settings.
    pub fn batcher(&self) -> Batcher {
        self.batcher
    }

    /// The epoch, counted from 0.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many of its batches are done.
    pub fn batch(&self) -> usize {
        self.batch
    }
}
