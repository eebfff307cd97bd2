use alloc::{vec, vec::Vec};
use core::slice;

use crate::{
    check,
    error::{Error, Relation},
    order::{Order, sequential::Sequential, shuffle::Shuffle},
};

/// Minibatches of samples in a seeded order, as plain data: no generator inside.
///
/// [`new`](Batcher::new) shuffles: every epoch holds every sample once, in an order that depends on seed, len and epoch only
/// ([`order`](crate::order) describes how): not on the batch size, on earlier epochs, on features or on the machine. So any
/// epoch can be had at any time. [`over`](Batcher::over) makes batches of any other [`Order`].
///
/// [`stream`](Batcher::stream) runs over all epochs and can be resumed at any sample. [`shard`](Batcher::shard) splits
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
pub struct Batcher<O = Shuffle> {
    pub(super) order: O,
    /// The order's.
    len: usize,
    batch_size: usize,
    drop_last: bool,
}

impl Batcher {
    /// Batches of `batch_size` indices below `len`, shuffled anew each epoch. The last batch is shorter where `batch_size`
    /// does not divide `len`.
    ///
    /// # Errors
    /// [`Error::Count`] if `len` or `batch_size` is 0, or `batch_size` is above `len` (most often the two are swapped; for
    /// one batch of all samples pass `len` twice); [`Error::TooManySamples`] if `len` is above
    /// [`Shuffle::MAX_LEN`].
    pub fn new(len: usize, batch_size: usize, seed: u64) -> Result<Self, Error> {
        Self::over(Shuffle::new(len, seed)?, batch_size)?.full_batch()
    }
}

impl Batcher<Sequential> {
    /// The same without a shuffle, for evaluation: every epoch is 0, 1, 2, …. `batch_size` may be above `len`: then the
    /// only batch holds all.
    ///
    /// # Errors
    /// [`Error::Count`] if `len` or `batch_size` is 0.
    pub fn sequential(len: usize, batch_size: usize) -> Result<Self, Error> {
        Self::over(Sequential::new(len)?, batch_size)
    }
}

impl<O: Order> Batcher<O> {
    /// Batches of any order: [`Permutation`](crate::Permutation), [`Subset`](crate::Subset) or one of your own.
    /// `batch_size` may be above the order's length: then the only batch holds all.
    ///
    /// # Errors
    /// [`Error::Count`] if `batch_size` or the order's length is 0, or it is above `usize::MAX`, so that this machine cannot
    /// count its samples.
    pub fn over(order: O, batch_size: usize) -> Result<Self, Error> {
        let len = order.len();
        check::at_least_one("len", len)?;
        check::count("len", len, Relation::AtMost, usize::MAX as u64, "usize::MAX")?;
        check::at_least_one("batch_size", batch_size as u64)?;
        Ok(Batcher { order, len: len as usize, batch_size, drop_last: false })
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

    /// Whether there is at least one batch of `batch_size`.
    fn full_batch(self) -> Result<Self, Error> {
        check::count("batch_size", self.batch_size as u64, Relation::AtMost, self.len as u64, "len")?;
        Ok(self)
    }

    /// The order.
    pub fn order(&self) -> &O {
        &self.order
    }

    /// How many samples the order has in an epoch.
    #[expect(clippy::len_without_is_empty, reason = "len is never 0")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many samples a batch has.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Whether a shorter last batch is left out.
    pub fn is_drop_last(&self) -> bool {
        self.drop_last
    }

    /// How many batches an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        self.samples_per_epoch().div_ceil(self.batch_size)
    }

    /// How many samples the batches of an epoch have: `len`, without the remainder where it is dropped.
    pub fn samples_per_epoch(&self) -> usize {
        self.end(0)
    }

    /// Where the batches end that begin at place `start`.
    pub(super) fn end(&self, start: usize) -> usize {
        if self.drop_last { self.len - (self.len - start) % self.batch_size } else { self.len }
    }

    /// The batches of epoch `epoch`, counted from 0.
    ///
    /// Allocates one `usize` a sample, as `Vec` does (if there is no memory for it, the process ends);
    /// [`Epoch::refill`] reuses the memory for another epoch. Copies the order, which may be a reference. For an order that
    /// is longer than memory use [`stream`](Batcher::stream).
    pub fn epoch(&self, epoch: u64) -> Epoch<O>
    where
        O: Clone,
    {
        let mut table = Epoch { batcher: self.clone(), number: epoch, indices: vec![0; self.len] };
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
pub struct Epoch<O = Shuffle> {
    batcher: Batcher<O>,
    number: u64,
    indices: Vec<usize>,
}

impl<O: Order> Epoch<O> {
    /// Becomes epoch `epoch` of the same batcher, in place: a few nanoseconds an index, no allocation (except in rayon's
    /// queue, or in an order of your own).
    pub fn refill(&mut self, epoch: u64) {
        self.number = epoch;
        self.batcher.order.fill(epoch, 0, &mut self.indices);
    }

    /// The batcher that it belongs to.
    pub fn batcher(&self) -> &Batcher<O> {
        &self.batcher
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

impl<'a, O: Order> IntoIterator for &'a Epoch<O> {
    type Item = &'a [usize];
    type IntoIter = slice::Chunks<'a, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
