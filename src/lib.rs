#![doc = include_str!("../README.md")]
#![no_std]
// Nothing on the public face may panic.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)]

extern crate alloc;

mod batch;
mod check;
mod error;
mod float;
mod gradient;
pub mod order;
#[cfg(feature = "serde")]
mod saved;
pub mod schedule;
mod simd;
mod threads;
mod update;

pub use batch::{
    batcher::{Batcher, Epoch},
    gather::gather,
    shard::Shard,
    stream::{Position, Stream},
};
pub use error::{Error, Relation};
pub use gradient::{
    accumulator::Accumulator,
    clip::{clip_global_norm, clip_value},
    finite::check_finite,
    noise::NoiseScale,
    norm::global_norm,
};
pub use order::permutation::Permutation;
#[cfg(feature = "half")]
pub use update::half::MasterCopy;
pub use update::{
    elementwise::elementwise,
    groups::ParamGroups,
    guard::Guard,
    momentum::{Form, Momentum},
    optimizer::Optimizer,
    sgd::Sgd,
    weight_decay::WeightDecay,
};
