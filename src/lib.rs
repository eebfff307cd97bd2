//! SGD, momentum, Adam and seeded minibatches over plain float slices. You compute gradients; gradstep takes the steps,
//! shuffles the batches, and resumes where it stopped. The same inputs give the same bits on every machine. It has no
//! tensors and no automatic differentiation, and does not run on GPUs.
//!
//! ```
//! use gradstep::{Batcher, Error, Momentum, Optimizer};
//!
//! fn main() -> Result<(), Error> {
//!     // 100 points of the line y = 3x - 1.
//!     let xs: Vec<f32> = (0..100).map(|i| i as f32 / 50.0 - 1.0).collect();
//!     let ys: Vec<f32> = xs.iter().map(|x| 3.0 * x - 1.0).collect();
//!
//!     let mut params = [0.0, 0.0]; // slope and intercept
//!     let mut momentum = Momentum::new(0.05, 0.8, 2)?; // learning rate, momentum, parameters
//!     let batcher = Batcher::new(100, 10, 42)?; // samples, batch size, seed
//!     for epoch in 0..5 {
//!         // Each epoch has every sample once, in a new order.
//!         for batch in &batcher.epoch(epoch) {
//!             let mut grads = [0.0; 2];
//!             for &i in batch {
//!                 let error = params[0] * xs[i] + params[1] - ys[i];
//!                 grads[0] += 2.0 * error * xs[i] / batch.len() as f32;
//!                 grads[1] += 2.0 * error / batch.len() as f32;
//!             }
//!             momentum.step(&mut params, &grads)?;
//!         }
//!     }
//!     println!("slope {:.2}, intercept {:.2}", params[0], params[1]);
//!     # assert_eq!(format!("{:.2}, {:.2}", params[0], params[1]), "3.00, -1.00");
//!     Ok(())
//! }
//! ```
//!
//! [`recipes`] has whole pieces of training loops. [`saving`] tells how to resume, [`reproducibility`] what may run on
//! threads, and [`other_libraries`] what torch, Keras, optax and scikit-learn call these things.
//!
//! # Update rules
//! [`Sgd`], [`Momentum`] (classical, or in three other [forms](MomentumForm)) and [`Adam`] implement the trait
//! [`Optimizer`]. [`WeightDecay`] is coupled or decoupled, and [`FiniteGuard`] rejects gradients that are not finite.
//! [`ParamGroups`] steps named tensors as one model, [`WeightAverage`] averages the parameters over training, and a
//! [`Schedule`] or [`ReduceOnPlateau`] sets the learning rate.
//!
//! Parameters may be of any `num_traits::Float`; settings are f64. bf16 and f16 lose [small
//! updates](Optimizer#half-precision) to rounding: step them through a `MasterCopy` (feature `half`).
//!
//! For a rule of your own, implement [`Optimizer`], as `examples/custom_optimizer.rs` does for Lion: it can then be
//! clipped, scaled, guarded and grouped as the others are. [`MomentumRule`] steps a velocity that your program keeps;
//! [`elementwise`] is the loop alone, and [`elementwise_rows`] runs it over chosen rows of a table, such as embeddings.
//!
//! # Gradients
//! [`clip_global_norm`], [`clip_value`] and [`check_finite`] take one tensor or several;
//! [`step_clipped`](Optimizer::step_clipped) clips during the step. [`Grads`] are gradients with a factor that the step
//! applies. [`Accumulator`] computes the mean gradient of micro-batches, [`LossScale`] keeps small f16 gradients from
//! becoming 0, and [`NoiseScale`] measures from which batch size on larger batches gain little.
//!
//! # Batches
//! A [`Batcher`] yields minibatches, one [`Epoch`] at a time or as a [`Stream`] that resumes at a [`Position`]. A
//! [`Shard`] is one worker's part of each batch, and [`gather`] copies the rows of a batch. An [`Order`] says which
//! sample comes when: [`Shuffle`], [`Sequential`], [`Permutation`] (too many samples for a table), [`Blocks`] (data on
//! disk), [`Weighted`] and [`Mixture`] (imbalanced classes, several data sets), or one of your own. [`Split`] makes
//! validation sets and folds, each a [`Subset`]. [`Draws`] are all other random numbers: initial weights, noise,
//! dropout, augmentation.
//!
//! # Errors
//! A call that returns [`Err`](Error) has changed nothing, however this crate's types and yours are nested, if the
//! `check` of yours reports all that their `update` would reject. ([`ParamGroups::step_each`] names an exception.) The
//! message says what was wrong, the value, and what was expected; [`Error::is_bad_gradient`] is true for gradients that
//! are NaN, infinite or too large. No input panics. A rule of your own that panics may leave a part of the parameters
//! updated.
//!
//! Without memory, calls that allocate for each parameter or sample return [`Error::Memory`]. [`Batcher::epoch`],
//! [`Batcher::stream`], clones, saving, loading, restoring, and small allocations (names, messages, rayon's queue) end
//! the process, as `Vec` does; [`Batcher::try_epoch`] and [`Batcher::try_stream`] return the error.
//!
//! # Features
//! No feature changes a value. The default dependencies are num-traits, rand, rand_chacha and thiserror.
//!
//! | feature | adds | brings |
//! |---|---|---|
//! | `std` (default) | run-time CPU detection in rand_chacha and half; without it the crate is `no_std` with `alloc` | |
//! | `simd` | wider vectors where the CPU has them, detected at run time | pulp |
//! | `rayon` | [threads](reproducibility#threads): beyond 131,072 values, in a shuffled epoch 2^20 | rayon |
//! | `half` | `MasterCopy`: bf16 and f16 parameters with an f32 copy | half |
//! | `serde` | [saving and loading](saving) to the bit | serde |
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
// No input may panic.
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::unreachable, clippy::todo)]

extern crate alloc;

mod batch;
mod by_name;
mod check;
mod double;
mod error;
mod float;
mod gradient;
pub mod order;
pub mod other_libraries {
    #![doc = include_str!("other_libraries.md")]
}
mod passes;
mod plateau;
pub mod recipes {
    #![doc = include_str!("recipes.md")]
}
pub mod reproducibility {
    #![doc = include_str!("reproducibility.md")]
}
#[cfg(feature = "serde")]
mod saved;
pub mod saving {
    #![doc = include_str!("saving.md")]
}
mod schedule;
mod simd;
mod threads;
mod update;

pub use batch::{
    batcher::{Batcher, Epoch},
    gather::gather,
    shard::Shard,
    stream::{Position, Stream},
};
pub use by_name::ByName;
pub use error::{Error, Relation};
pub use gradient::{
    accumulator::Accumulator,
    clip::{clip_global_norm, clip_scale, clip_value},
    finite::check_finite,
    grads::Grads,
    loss_scale::LossScale,
    noise::NoiseScale,
    norm::global_norm,
};
pub use order::{
    Fill, Order,
    blocks::Blocks,
    draws::{DrawFloat, Draws},
    hash::stable_hash,
    mixture::Mixture,
    permutation::Permutation,
    sequential::Sequential,
    shuffle::Shuffle,
    split::Split,
    subset::Subset,
    weighted::Weighted,
};
pub use plateau::ReduceOnPlateau;
#[cfg(feature = "serde")]
pub use saved::{SavedFloat, exact};
pub use schedule::Schedule;
#[cfg(feature = "half")]
pub use update::half::MasterCopy;
pub use update::{
    adam::Adam,
    average::WeightAverage,
    elementwise::elementwise,
    groups::{
        ParamGroups,
        step::{Tensor, Visit},
    },
    guard::FiniteGuard,
    momentum::{Momentum, MomentumForm, MomentumRule},
    optimizer::Optimizer,
    restore::Restore,
    rows::elementwise_rows,
    sgd::Sgd,
    step::Step,
    weight_decay::WeightDecay,
};

/// Tests the README's program.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
