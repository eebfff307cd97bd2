#![doc = include_str!("order.md")]

pub(crate) mod draws;
pub(crate) mod hash;
mod normal;
pub(crate) mod permutation;
pub(crate) mod shuffle;
mod words;

/// The version of the order that this page describes; it is saved with every [`Batcher`](crate::Batcher).
pub const VERSION: u64 = 1;
