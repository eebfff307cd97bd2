use core::ops::Range;

use super::batcher::Batcher;
use crate::{
    check,
    error::{Error, Relation},
    order::Order,
};

/// One rank's part of every global batch.
///
/// Of the B samples of a global batch, rank r of W takes those from ⌊r B / W⌋ up to ⌊(r + 1) B / W⌋. So the samples of
/// step k are the same set for every number of ranks, the shards in rank order are the batch, and no sample is repeated
/// or padded. Divide sums of gradients by the size of the global batch, `batch.len()`, which each rank knows. In a last
/// batch that is shorter than W some ranks get an empty shard; their sum is zero.
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
    /// The part that rank `rank` of `world_size` takes of each batch of up to `batch_size` samples, whatever they come
    /// from ([`Batcher::shard`] knows its own batch size).
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

    /// Which of a global batch's `len` samples are this rank's.
    pub fn range(&self, len: usize) -> Range<usize> {
        let start = |rank: usize| (rank as u128 * len as u128 / self.world_size as u128) as usize;
        start(self.rank)..start(self.rank + 1)
    }

    /// This rank's part of a global batch: of its indices, or of anything else that runs along with them.
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
