use alloc::vec::Vec;
use core::slice;

use crate::{
    check,
    error::{Error, Relation},
    order::shuffle,
};

/// Shuffled minibatches of the indices `0..len`, as plain data: no generator inside.
///
/// Every epoch holds every index once, in an order that depends on seed, len and epoch only ([`order`](crate::order)
/// describes how): not on the batch size, on earlier epochs, on features or on the machine. So any epoch can be had at any
/// time. Given uniform random words, every order is equally likely.
///
/// [`stream`](Batcher::stream) runs over all epochs and can be resumed at any batch. [`shard`](Batcher::shard) splits
/// each batch among workers. [`gather`](crate::gather) copies the rows of a batch side by side.
///
/// # Example
/// ```
/// use gradstep::Batcher;
/// let batcher = Batcher::new(10, 4, 42)?;
/// let mut epoch = batcher.epoch(0);
/// for number in 0..3 {
///     epoch.refill(number); // in place
///     for batch in &epoch {
///         assert!(batch.len() == 4 || batch.len() == 2); // 4 + 4 + 2
///     }
/// }
/// assert_eq!(epoch.batch(2).map(<[usize]>::len), Some(2));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Batcher {
    len: usize,
    batch_size: usize,
    /// `None`: not shuffled.
    seed: Option<u64>,
    drop_last: bool,
}

impl Batcher {
    /// The largest `len`: 2^32, and on a 32-bit machine what a table can hold. For more samples there is
    /// [`Permutation`](crate::Permutation), which needs no table.
    pub const MAX_LEN: usize = if usize::BITS > 32 { (u32::MAX as usize).saturating_add(1) } else { usize::MAX / 8 };

    /// Batches of `batch_size` indices below `len`, shuffled anew each epoch. The last batch is shorter where `batch_size`
    /// does not divide `len`.
    ///
    /// # Errors
    /// [`Error::Count`] if `len` or `batch_size` is 0, or `batch_size` is above `len` (most often the two are swapped; for
    /// one batch of all samples pass `len` twice); [`Error::TooManySamples`] if `len` is above
    /// [`MAX_LEN`](Batcher::MAX_LEN).
    pub fn new(len: usize, batch_size: usize, seed: u64) -> Result<Self, Error> {
        Batcher { seed: Some(seed), ..Self::sequential(len, batch_size)? }.full_batch()
    }

    /// The same without a shuffle, for evaluation: every epoch is 0, 1, 2, …. `batch_size` may be above `len`: then the
    /// only batch holds all.
    ///
    /// # Errors
    /// Those of [`new`](Batcher::new), except for a `batch_size` above `len`.
    pub fn sequential(len: usize, batch_size: usize) -> Result<Self, Error> {
        check::at_least_one("len", len as u64)?;
        check::at_least_one("batch_size", batch_size as u64)?;
        Self::check_len(len as u64)?;
        Ok(Batcher { len, batch_size, seed: None, drop_last: false })
    }

    /// The same without the last batch of an epoch where it would be shorter than the others.
    ///
    /// Which samples are left out changes from epoch to epoch, as the order does.
    ///
    /// # Errors
    /// [`Error::Count`] if `batch_size` is above `len`: there would be no batch at all.
    pub fn drop_last(self) -> Result<Self, Error> {
        Batcher { drop_last: true, ..self }.full_batch()
    }

    pub(crate) fn check_len(len: u64) -> Result<(), Error> {
        let max = Self::MAX_LEN as u64;
        if len <= max { Ok(()) } else { Err(Error::TooManySamples { len, max }) }
    }

    /// Whether there is at least one batch of `batch_size`.
    fn full_batch(self) -> Result<Self, Error> {
        check::count("batch_size", self.batch_size as u64, Relation::AtMost, self.len as u64, "len")?;
        Ok(self)
    }

    /// How many samples there are.
    #[expect(clippy::len_without_is_empty, reason = "len is never 0")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many samples a batch has.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The seed; `None` for a sequential batcher.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Whether a shorter last batch is left out.
    pub fn is_drop_last(&self) -> bool {
        self.drop_last
    }

    /// How many batches an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        self.samples_per_epoch().div_ceil(self.batch_size)
    }

    /// How many samples an epoch has: `len`, without the remainder where it is dropped.
    pub fn samples_per_epoch(&self) -> usize {
        if self.drop_last { self.len - self.len % self.batch_size } else { self.len }
    }

    /// The batches of epoch `epoch`, counted from 0.
    ///
    /// Allocates one `usize` a sample, as `Vec` does (if there is no memory for it, the process ends);
    /// [`Epoch::refill`] reuses the memory for another epoch.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let mut table = Epoch { batcher: *self, number: epoch, indices: (0..self.len).collect() };
        table.refill(epoch);
        table
    }
}

/// One epoch: its indices in order, cut into batches.
///
/// # Example
/// ```
/// let mut epoch = gradstep::Batcher::sequential(5, 2)?.epoch(0);
/// assert_eq!(epoch.iter().collect::<Vec<_>>(), [&[0, 1][..], &[2, 3], &[4]]);
/// assert_eq!((epoch.batch(1), epoch.batch(3)), (Some(&[2, 3][..]), None));
/// epoch.refill(1);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Epoch {
    batcher: Batcher,
    number: u64,
    indices: Vec<usize>,
}

impl Epoch {
    /// Becomes epoch `epoch` of the same batcher, in place: a few nanoseconds an index, no allocation (except in rayon's
    /// queue).
    pub fn refill(&mut self, epoch: u64) {
        self.number = epoch;
        if let Some(seed) = self.batcher.seed {
            shuffle::fill(&mut self.indices, seed, epoch);
        }
    }

    /// The batcher that it belongs to.
    pub fn batcher(&self) -> Batcher {
        self.batcher
    }

    /// Which epoch it is, counted from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Batch `batch`, counted from 0; `None` past the last.
    pub fn batch(&self, batch: usize) -> Option<&[usize]> {
        let start = batch.checked_mul(self.batcher.batch_size)?;
        let rest = self.indices().get(start..).filter(|rest| !rest.is_empty())?;
        Some(&rest[..rest.len().min(self.batcher.batch_size)])
    }

    /// All indices in order: the batches, one after the other.
    pub fn indices(&self) -> &[usize] {
        &self.indices[..self.batcher.samples_per_epoch()]
    }

    /// The batches in order.
    pub fn iter(&self) -> slice::Chunks<'_, usize> {
        self.indices().chunks(self.batcher.batch_size)
    }
}

impl<'a> IntoIterator for &'a Epoch {
    type Item = &'a [usize];
    type IntoIter = slice::Chunks<'a, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
