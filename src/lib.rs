//! SGD, momentum, Adam and seeded minibatches over plain float slices. You compute gradients; gradstep takes the steps,
//! shuffles the batches, and resumes where it stopped. The same inputs give the same bits on every machine.
//!
//! ```
//! use gradstep::{Batcher, Error, Momentum, Optimizer};
//!
//! fn main() -> Result<(), Error> {
//!     // Points near the line y = 3x - 1.
//!     let xs: Vec<f32> = (0..100).map(|i| i as f32 / 50.0 - 1.0).collect();
//!     let ys: Vec<f32> = (0..100).map(|i| 3.0 * xs[i] - 1.0 + (i * 7 % 5) as f32 / 10.0 - 0.2).collect();
//!
//!     let mut params = [0.0_f32, 0.0]; // slope and intercept
//!     let mut momentum = Momentum::new(0.05, 0.8, params.len())?; // learning rate, momentum, number of parameters
//!     let batcher = Batcher::new(xs.len(), 10, 42)?; // number of samples, batch size, seed
//!
//!     for epoch in 0..5 {
//!         let mut loss = 0.0;
//!         // Each epoch has every sample once, in a new order.
//!         for batch in &batcher.epoch(epoch) {
//!             let mut grads = [0.0; 2];
//!             for &i in batch {
//!                 let error = params[0] * xs[i] + params[1] - ys[i];
//!                 loss += error * error / xs.len() as f32;
//!                 grads[0] += 2.0 * error * xs[i] / batch.len() as f32;
//!                 grads[1] += 2.0 * error / batch.len() as f32;
//!             }
//!             momentum.step(&mut params, &grads)?;
//!         }
//!         println!("epoch {epoch}: loss {loss:.4}");
//!     }
//!     println!("slope {:.2}, intercept {:.2}", params[0], params[1]);
//!     Ok(())
//! }
//! ```
//!
//! # Update rules
//! [`Sgd`], [`Momentum`] and [`Adam`] implement the trait [`Optimizer`]: [`step`](Optimizer::step),
//! [`learning_rate`](Optimizer::learning_rate), [`set_learning_rate`](Optimizer::set_learning_rate),
//! [`steps`](Optimizer::steps) and [`reset`](Optimizer::reset). Parameters may be any float; settings are f64. bf16 and
//! f16 parameters lose [small updates](Optimizer#half-precision) to rounding: use a `MasterCopy` (feature `half`).
//! [`MomentumForm`] chooses among four forms of momentum (classical and PyTorch's, plain and Nesterov), [`WeightDecay`]
//! adds a coupled or a decoupled decay (with which [`Adam`] is AdamW), and [`FiniteGuard`] rejects gradients that are
//! not finite. [`ParamGroups`] steps several named tensors as one model, all or nothing. A [`Schedule`] is the learning
//! rate, or any other setting, as a function of the step; [`ReduceOnPlateau`] makes it smaller when the loss stops
//! falling. [`WeightAverage`] is the average of the parameters over training, to evaluate with.
//!
//! For a rule of your own, implement [`Optimizer`]: its [`check`](Optimizer::check) says what it rejects, and its
//! [`update`](Optimizer::update) runs the formula by [`Step::apply`]. It is then clipped, scaled, guarded, grouped and
//! copied in f32 as the rules of this crate are: `examples/custom_optimizer.rs` is Lion. A [`MomentumRule`] steps a
//! velocity that you keep yourself, [`elementwise`] is the loop alone, and [`elementwise_rows`] the loop over chosen
//! rows of a table (embeddings).
//!
//! # Gradients
//! [`global_norm`], [`clip_global_norm`], [`clip_value`] and [`check_finite`] work on one tensor or several.
//! [`step_clipped`](Optimizer::step_clipped) clips and steps in one pass, and leaves the gradients as they are.
//! [`step_with`](Optimizer::step_with) takes [`Grads`], which are scaled on the way: by one over a loss scale, or by the
//! [`clip_scale`] of a norm that you computed. [`Accumulator`] makes the mean gradient of a large batch from micro-batches;
//! a [`ByName`] of them does so for several tensors.
//! [`LossScale`] keeps small gradients from becoming 0 in f16. [`NoiseScale`] measures the batch size beyond which larger
//! batches stop paying.
//!
//! # Batches
//! [`Batcher`] yields shuffled minibatches: one [`Epoch`] at a time, or as a [`Stream`] over all epochs, which resumes
//! at a [`Position`], also with another batch size. A [`Shard`] is one worker's part of each batch. [`gather`] copies
//! the rows of a batch one after the other.
//!
//! An [`Order`] says which sample stands at each place of an epoch: [`Shuffle`], [`Sequential`], [`Permutation`] for
//! sets that are too large for a table, [`Blocks`] for data that is read from disk, or one of your own. For imbalanced
//! classes there are [`Weighted`] (draws in proportion to weights) and [`Mixture`] (classes or data sets in fixed shares).
//! [`Split`] makes training, validation and test sets, and folds; each part is a [`Subset`], an order again. The page
//! [`order`] describes how seed and epoch become an order.
//!
//! # Draws
//! [`Draws`] are everything else that a seed decides: initial weights, noise, dropout, augmentation. Each purpose, and
//! each step, or sample and epoch, has a stream of its own, so nothing needs to be replayed. Two orders that are to be
//! independent need [two seeds](Batcher::new), which a draw makes of two names. [`stable_hash`] makes a number of a
//! name.
//!
//! # What is the same to the bit, and what is up to you
//! The result of every call depends on its arguments only: not on features, on the machine, on debug or release, or on how
//! many threads this crate uses inside (feature `rayon`). No fused multiply-add, no reassociation, no draw as wide as
//! `usize`. Only the sign and payload of a NaN may differ.
//!
//! Gradients are yours. If you compute parts of a batch on several threads and add them up as they come, the sum depends on
//! the schedule of the threads. To get the same bits on any number of threads, cut each batch into micro-batches of a fixed
//! size, compute each micro-batch's mean gradient on any thread, and add them to an [`Accumulator`] in the order of the
//! batch:
//!
//! ```
//! # use gradstep::{Accumulator, Batcher, Error};
//! # fn mean_gradient(_params: &[f32], samples: &[usize]) -> Vec<f32> { vec![samples.len() as f32; 2] }
//! # fn main() -> Result<(), Error> {
//! # let (params, batcher) = ([0.0_f32; 2], Batcher::new(1_000, 64, 42)?);
//! # let mut grads = [0.0_f32; 2];
//! let mut accumulator = Accumulator::new(params.len())?;
//! for batch in &batcher.epoch(0) {
//!     let parts: Vec<&[usize]> = batch.chunks(16).collect(); // 16, whatever the number of threads
//!     let means: Vec<Vec<f32>> = std::thread::scope(|scope| {
//!         let threads: Vec<_> = parts.iter().map(|part| scope.spawn(|| mean_gradient(&params, part))).collect();
//!         threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
//!     });
//!     accumulator.reset();
//!     for (part, mean) in parts.iter().zip(&means) {
//!         accumulator.add(mean, part.len())?;
//!     }
//!     accumulator.mean(&mut grads)?;
//!     // optimizer.step(&mut params, &grads)?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//! A call that returns [`Err`](Error) has changed nothing, however the types of this crate, and wrappers and rules of
//! your own that keep the one sentence of [`Optimizer`], are nested. ([`ParamGroups::step_each`] has a limit; its page
//! says which.) The message says what was wrong, the value, and what was expected. [`Error::is_bad_gradient`] tells
//! gradients that are NaN, infinite or too large from all else. A call changes its `&mut` arguments and nothing else.
//!
//! No input panics. A rule of your own that panics may leave a part of the parameters updated.
//!
//! Where memory is missing, what grows with the parameters or the samples is an error, [`Error::Memory`]: state, orders,
//! splits, tables, batches. The rest is small, and ends the process as `Vec` does: names, messages, the settings of an
//! order, the pieces of a schedule, the queue of rayon. So do clones, saving, loading, restoring, positions and resuming,
//! [`Batcher::epoch`] and [`Batcher::stream`]; [`Batcher::try_epoch`] and [`Batcher::try_stream`] return an error.
//!
//! # Saving
//! With feature `serde`, save the parameters, the optimizer (or the [`ParamGroups`]) and the [`Stream`]'s
//! [`position`](Stream::position), the [`WeightAverage`], and inside a batch the [`Accumulator`]. Loading checks what
//! the constructors check. [`Restore::restore`], [`ParamGroups::restore`] and [`Batcher::resume`] take over what was
//! loaded where it fits: the same names, lengths, form of momentum and order. They say what differs if not. They cannot
//! know whether it was saved from the same model or the same data.
//!
//! What is restored is state: the velocity, the count of steps, what is frozen. Settings, such as the learning rate,
//! stay as the program set them, so set the rate of the next step again from its [`Schedule`]. To take the saved
//! settings too, assign what was loaded: `momentum = loaded`.
//!
//! This crate's types are saved to the bit. For numbers of your own, ask for the same with
//! `#[serde(with = "gradstep::exact")]`: many formats and readers are off by a bit in a float, or cannot write an infinity.
//!
#![cfg_attr(feature = "serde", doc = "```")]
#![cfg_attr(not(feature = "serde"), doc = "```ignore")]
//! use gradstep::{Batcher, Momentum, Optimizer, Position, Restore, exact};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Run {
//!     #[serde(with = "exact")]
//!     params: Vec<f64>, // or a number, an array, a Vec<Vec<f64>>
//!     #[serde(with = "exact")]
//!     best_loss: f64,
//!     momentum: Momentum<f64>, // with its velocity and count of steps
//!     position: Position,
//! }
//!
//! let batcher = Batcher::new(100, 10, 42)?;
//! let momentum = Momentum::new(0.1, 0.9, 2)?;
//! let position = batcher.stream().position();
//! let mut run = Run { params: vec![0.1, 1.0 / 3.0], best_loss: f64::INFINITY, momentum, position };
//! run.momentum.step(&mut run.params, &[0.5, 1e-9])?;
//!
//! let text = serde_json::to_string(&run)?;
//! let loaded: Run = serde_json::from_str(&text)?;
//! assert_eq!((&loaded.params, loaded.best_loss), (&run.params, f64::INFINITY)); // the same bits
//! run.momentum.restore(loaded.momentum)?;
//! let stream = batcher.resume(&loaded.position)?;
//! # let _ = stream;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
#![cfg_attr(
    feature = "serde",
    doc = "A struct that is generic over the float needs a line more, which [`SavedFloat`] shows."
)]
//!
//! Everything saved, except a bare [`MomentumForm`], begins with its type and the version of that type's format,
//! `gradstep::Momentum<f32> v1`; anything else is rejected by name. What one release has saved, all later ones load.
//!
//! In text formats each number is a string, so that no reader can round it:
//! - An integer in decimal: `"18446744073709551615"`.
//! - A float in scientific notation: `"1e-1"`, `"-1.5e3"`, `"0e0"`, `"-0e0"`. That is a `-` if the sign bit is set, one
//! digit, `.` and more digits if there are any, `e`, and the exponent in decimal, with a `-` if it is negative. The
//! digits are the value rounded to as few as are read back as the same float; both roundings are to nearest, ties to
//! even. (In C or Python, this is the first of `%.0e`, `%.1e`, … that is read back; only the exponent is written in
//! another way.)
//! - bf16 and f16 as the f32 of the same value. `"inf"`, `"-inf"` and `"NaN"` are the others.
//!
//! A string that is not written in just this way is rejected, also if it means the same number (`"0.1"`), so that a number
//! that was rounded on its way (`"1e-50"` for an f32) is noticed. In binary formats a number is a string of its
//! little-endian bytes, and a list of numbers is a sequence of such strings, each of 4,096 numbers but the last. Both are
//! exact; only the sign and payload of a NaN are lost in text.
//!
//! | format | plain, or in your struct | `#[serde(untagged)]`, `#[serde(tag = "…")]` |
//! |---|---|---|
//! | JSON, JSON5, YAML, TOML, RON | to the bit | to the bit |
//! | CBOR, MessagePack | to the bit | to the bit |
//! | postcard, bincode | to the bit | loading returns an error: these formats do not describe themselves |
//!
//! These formats are tested; others may fail or change names (XML does). [`MomentumForm`] is saved as a string, so it
//! cannot be internally tagged, flattened, or a whole TOML document. Give bincode a limit: without one, a damaged file
//! can make it allocate any amount of memory. And serde's `#[serde(flatten)]` on an `Option` turns every rejection into
//! `None`: do not use it on what must not be lost.
//!
//! # Features
//! Default dependencies: num-traits, rand, rand_chacha, thiserror. No feature changes a value.
//!
//! | feature | adds | brings |
//! |---|---|---|
//! | `std` (default) | run-time CPU detection in rand_chacha and half; without it the crate is `no_std` with `alloc` | |
//! | `simd` | wider vectors where the CPU has them, detected at run time | pulp |
//! | `rayon` | threads, for slices long enough to profit | rayon |
//! | `half` | `MasterCopy`: bf16 and f16 parameters that learn, through an f32 copy | half |
//! | `serde` | saving and loading, to the bit | serde |
//!
//! With `rayon`, calls run on the caller's thread where no thread can be started. The first long call builds rayon's
//! global pool, if you have not. A training loop that runs inside the pool (in `rayon::join` or `ThreadPool::install`) does
//! not wait for threads that sleep: that is faster where a step is short and much else lies between two steps. Wherever these
//! pages say that a call does not allocate, the queue of rayon is left out: a call that threads share allocates a few times
//! there. Inside a rayon pool, do not call this crate while you hold a lock: while the call waits, its thread may run another
//! job that needs the lock.
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
mod passes;
mod plateau;
pub mod recipes {
    #![doc = include_str!("recipes.md")]
}
#[cfg(feature = "serde")]
mod saved;
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
