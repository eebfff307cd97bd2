use alloc::vec::Vec;
use core::slice;

use crate::{check, error::Error, order::shuffle};

/// Shuffled minibatches of the indices `0..len`, as plain data: no generator inside.
///
/// Every epoch holds every index once, in an order that depends on seed, len and epoch alone (the page
/// [`order`](crate::order) says how): not on the batch size, not on earlier epochs, not on features or the machine. So any
/// epoch can be had at any time, and given uniform random words every order is equally likely.
///
/// [`stream`](Batcher::stream) runs on over all epochs and can be resumed at any batch; [`shard`](Batcher::shard) splits
/// each batch among workers; [`gather`](crate::gather) copies a batch's rows side by side.
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
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(try_from = "crate::saved::Batcher", into = "crate::saved::Batcher")
)]
pub struct Batcher {
    len: usize,
    batch_size: usize,
    /// `None`: not shuffled.
    seed: Option<u64>,
    drop_last: bool,
}

impl Batcher {
    /// The largest `len`: 2^32, and on a 32-bit machine what a table can hold. Beyond it take
    /// [`Permutation`](crate::Permutation), which needs no table.
    pub const MAX_LEN: usize = if usize::BITS > 32 { (u32::MAX as usize).saturating_add(1) } else { usize::MAX / 8 };

    /// Batches of `batch_size` indices below `len`, shuffled anew each epoch. The last one is shorter where `batch_size`
    /// does not divide `len`; where it is above `len`, the one batch holds all.
    ///
    /// # Errors
    /// [`Error::Count`] if `len` or `batch_size` is 0, or `len` is above [`MAX_LEN`](Batcher::MAX_LEN).
    pub fn new(len: usize, batch_size: usize, seed: u64) -> Result<Self, Error> {
        Ok(Batcher { seed: Some(seed), ..Self::sequential(len, batch_size)? })
    }

    /// The same without a shuffle, for evaluation: every epoch is 0, 1, 2, ….
    ///
    /// # Errors
    /// Those of [`new`](Batcher::new).
    pub fn sequential(len: usize, batch_size: usize) -> Result<Self, Error> {
        check::at_least_one("len", len as u64)?;
        check::at_least_one("batch_size", batch_size as u64)?;
        if len > Self::MAX_LEN {
            let bound = Self::MAX_LEN as u64;
            return Err(Error::Count { name: "len", value: len as u64, expected: "at most", bound });
        }
        Ok(Batcher { len, batch_size, seed: None, drop_last: false })
    }

    /// The same without the last batch of an epoch, if it would be shorter than the others.
    ///
    /// Which samples are left out changes from epoch to epoch, as the order does.
    ///
    /// # Errors
    /// [`Error::Count`] if `batch_size` is above `len`: there would be no batch at all.
    pub fn drop_last(self) -> Result<Self, Error> {
        if self.batch_size > self.len {
            return Err(Error::Count {
                name: "batch_size with drop_last",
                value: self.batch_size as u64,
                expected: "at most len =",
                bound: self.len as u64,
            });
        }
        Ok(Batcher { drop_last: true, ..self })
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

    /// How many samples an epoch yields: `len`, less the remainder where it is dropped.
    pub fn samples_per_epoch(&self) -> usize {
        if self.drop_last { self.len - self.len % self.batch_size } else { self.len }
    }

    /// The batches of epoch `epoch`, counted from 0.
    ///
    /// Allocates one `usize` a sample, as `Vec` does (without memory for it, the process ends); [`Epoch::refill`]
    /// uses them again for another epoch.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let mut table = Epoch { batcher: *self, indices: (0..self.len).collect() };
        table.refill(epoch);
        table
    }
}

/// One epoch: its indices in their order, cut into batches.
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
    indices: Vec<usize>,
}

impl Epoch {
    /// Becomes epoch `epoch` of the same batcher, without allocation: a few nanoseconds an index.
    pub fn refill(&mut self, epoch: u64) {
        if let Some(seed) = self.batcher.seed {
            shuffle::fill(&mut self.indices, seed, epoch);
        }
    }

    /// Batch `batch`, counted from 0; `None` past the last.
    pub fn batch(&self, batch: usize) -> Option<&[usize]> {
        let start = batch.checked_mul(self.batcher.batch_size)?;
        let rest = self.indices().get(start..).filter(|rest| !rest.is_empty())?;
        Some(&rest[..rest.len().min(self.batcher.batch_size)])
    }

    /// All indices in order: the batches, one behind the other.
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
