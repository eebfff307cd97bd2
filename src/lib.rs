#![doc = include_str!("../README.md")]
#![no_std]
// Nothing on the public face may panic.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)]

extern crate alloc;

mod batcher;
mod check;
mod elementwise;
mod error;
mod gather;
mod gradient;
mod groups;
mod guard;
#[cfg(feature = "half")]
mod master_copy;
mod momentum;
mod noise_scale;
mod optimizer;
pub mod order;
mod permutation;
#[cfg(feature = "serde")]
mod saved;
pub mod schedule;
mod sgd;
mod shard;
mod simd;
mod stream;
mod threads;
mod weight_decay;

pub use batcher::{Batcher, Epoch};
pub use elementwise::elementwise;
pub use error::Error;
pub use gather::gather;
pub use gradient::{Accumulator, check_finite, clip_global_norm, clip_value, global_norm};
pub use groups::ParamGroups;
pub use guard::Guard;
#[cfg(feature = "half")]
pub use master_copy::MasterCopy;
pub use momentum::{Form, Momentum};
pub use noise_scale::gradient_noise;
pub use optimizer::Optimizer;
pub use permutation::Permutation;
pub use sgd::Sgd;
pub use shard::Shard;
pub use stream::{Position, Stream};
pub use weight_decay::WeightDecay;
