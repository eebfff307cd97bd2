//! From an order to batches, positions, shards and rows.

pub(crate) mod batcher;
pub(crate) mod gather;
pub(crate) mod shard;
pub(crate) mod stream;
