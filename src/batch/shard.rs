use core::ops::Range;

use super::batcher::Batcher;
use crate::{
    check,
    error::{Error, Relation},
    order::Order,
};

/// One rank's part of every global batch.
///
/// Of the B samples of a global batch, rank r of W takes those from place ⌊r B / W⌋ up to, but not including, place
/// ⌊(r + 1) B / W⌋. So a step has the same samples for every number of ranks, the shards of all ranks in turn are the
/// batch, and no sample is repeated or padded. Divide the sum of the gradients of all ranks by the size of the global
/// batch, `batch.len()`, which each rank knows. If a last batch is shorter than W, some ranks get an empty shard, and
/// their sum of gradients is zero.
///
/// Cost: no allocation; a shard is a slice of the batch.
///
/// # Example
/// ```
/// use gradstep::Batcher;
/// let batcher = Batcher::new(10, 4, 42)?;
/// let (first, second) = (batcher.shard(0, 2)?, batcher.shard(1, 2)?);
/// for batch in &batcher.epoch(0) {
///     assert_eq!([first.of(batch), second.of(batch)].concat(), batch);
/// }
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "DistributedSampler")]
#[doc(alias = "data_parallel")]
#[doc(alias = "rank")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shard {
    rank: usize,
    world_size: usize,
}

impl Shard {
    /// The part that rank `rank` of `world_size` takes of each batch of up to `batch_size` samples, wherever the
    /// batches come from. For those of a [`Batcher`] there is [`Batcher::shard`], which knows the batch size.
    ///
    /// # Errors
    /// [`Error::Count`] if `world_size` is 0 or above `batch_size`, or `rank` is not below `world_size`.
    pub fn new(batch_size: usize, rank: usize, world_size: usize) -> Result<Self, Error> {
        let (ranks, samples) = (world_size as u64, batch_size as u64);
        check::at_least_one("world_size", ranks)?;
        check::count("world_size", ranks, Relation::AtMost, samples, "batch_size")?;
        check::count("rank", rank as u64, Relation::Below, ranks, "world_size")?;
        Ok(Shard { rank, world_size })
    }

    /// The rank, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The number of ranks.
    pub fn world_size(&self) -> usize {
        self.world_size
    }

    /// The places of this rank's samples in a global batch of `len` samples.
    pub fn range(&self, len: usize) -> Range<usize> {
        // In u128, since the product may be above `usize::MAX`.
        let start = |rank: usize| (rank as u128 * len as u128 / self.world_size as u128) as usize;
        start(self.rank)..start(self.rank + 1)
    }

    /// This rank's part of a global batch: of its indices, or of any slice with one element per sample.
    pub fn of<'a, T>(&self, batch: &'a [T]) -> &'a [T] {
        &batch[self.range(batch.len())]
    }
}

impl<O: Order> Batcher<O> {
    /// The part that rank `rank` of `world_size` takes of each batch.
    ///
    /// # Errors
    /// Those of [`Shard::new`].
    pub fn shard(&self, rank: usize, world_size: usize) -> Result<Shard, Error> {
        Shard::new(self.batch_size(), rank, world_size)
    }
}
