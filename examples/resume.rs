//! Trains on the handwritten digits, each batch in micro-batches, and saves checkpoints, even
//! between two micro-batches of one batch. Kill it at any moment and start it again: it resumes
//! from its last checkpoint and ends with the same parameters, bit for bit, as an undisturbed run.
//!
//! ```sh
//! cargo run --release --features serde --example resume -- target/digits.checkpoint
//! ```
//!
//! `common/checkpoint.rs` writes the file. No kill leaves half a file, and a damaged or foreign
//! file is rejected.

#[path = "common/checkpoint.rs"]
mod checkpoint;
mod common;

use std::fmt::Display;
use std::path::PathBuf;
use std::process;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use common::{data, network::Network};
use gradstep::{Accumulator, Batcher, Momentum, Optimizer, Position, Restore, Schedule, Stream};
use serde::{Deserialize, Serialize};

/// Trains a small neural network on handwritten digits. Continues from the last checkpoint if there
/// is one.
#[derive(Parser)]
struct Options {
    /// The checkpoint's file
    checkpoint: PathBuf,
    /// The learning rate of the first step; it falls along a cosine to 0
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    learning_rate: f64,
    /// The number of samples in a batch
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// The number of steps of the whole run
    #[arg(long, default_value_t = 600)]
    steps: u64,
    /// The seed of the initial weights and of the order of the samples
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
}

/// All that decides the rest of the run, apart from the data and the code.
#[derive(Serialize, Deserialize)]
struct State {
    params: Vec<f32>,
    momentum: Momentum<f32>,  // with its velocity and step count
    position: Position,       // before the current batch; with batch size and seed
    accumulator: Accumulator, // the current batch's gradients, and how many of its samples are done
    learning_rate: f64,       // of the schedule, as is `steps`
    steps: u64,
}

const MICRO_BATCH: usize = 8;
const MICRO_BATCHES_PER_CHECKPOINT: u64 = 42; // In a long run, save every few minutes instead.

fn main() {
    if let Err(error) = train(&Options::parse()) {
        eprintln!("error: {error:#}");
        process::exit(1);
    }
}

fn train(options: &Options) -> Result<()> {
    let &Options { ref checkpoint, learning_rate, batch_size, steps, seed } = options;
    let data = data::digits()?;
    let network = Network { inputs: data.train.inputs, hidden: 32, classes: 10 };
    let schedule = Schedule::cosine(learning_rate, 0.0, steps)?;
    let batcher = Batcher::new(data.train.len(), batch_size, seed)?;
    let mut stream = batcher.stream();

    let params = network.initial(seed);
    let mut grads = vec![0.0; params.len()];
    let momentum = Momentum::new(learning_rate, 0.9, params.len())?;
    let accumulator = Accumulator::new(params.len())?;
    let mut state = State { params, momentum, position: stream.position(), accumulator, learning_rate, steps };

    if let Some(saved) = checkpoint::load(checkpoint)? {
        stream = resume(&mut state, saved, &batcher).with_context(|| checkpoint.display().to_string())?;
        println!("resumed at step {}", state.momentum.steps());
    } else {
        checkpoint::save(checkpoint, &state)?; // If the file cannot be written, say so now, not after hours.
        println!("no checkpoint at {}: begun anew", checkpoint.display());
    }

    // `restore` leaves the learning rate to the program: this is that of the next step.
    state.momentum.set_learning_rate(schedule.at(state.momentum.steps()))?;
    let mut micro_batches = 0;
    while state.momentum.steps() < steps {
        state.position = stream.position();
        let batch = stream.next_batch().context("the stream has ended")?;
        let done = state.accumulator.samples() as usize; // not 0 if it was stopped in the middle of the batch
        for micro_batch in batch[done..].chunks(MICRO_BATCH) {
            let loss = network.loss_and_gradient(&state.params, &data.train, micro_batch, &mut grads);
            state.accumulator.add(&grads, micro_batch.len())?;
            micro_batches += 1;
            if micro_batches % MICRO_BATCHES_PER_CHECKPOINT == 0 {
                checkpoint::save(checkpoint, &state)?;
                let samples = state.accumulator.samples();
                println!("step {} and {samples} samples: loss {loss:.6}, saved", state.momentum.steps());
            }
        }
        state.accumulator.mean(&mut grads)?;
        state.accumulator.reset();
        state.momentum.step(&mut state.params, &grads)?;
        state.momentum.set_learning_rate(schedule.at(state.momentum.steps()))?;
    }
    state.position = stream.position();
    checkpoint::save(checkpoint, &state)?;
    println!("step {}: saved", state.momentum.steps());

    println!("held-out accuracy: {:.2} %", 100.0 * network.accuracy(&state.params, &data.held_out));
    let bytes: Vec<u8> = state.params.iter().flat_map(|param| param.to_le_bytes()).collect();
    println!("parameters: {:08x}", crc32fast::hash(&bytes)); // the same, however often the run was killed
    Ok(())
}

/// Sets `state` to what was saved and returns the batches that follow. Rejects what another run
/// saved.
fn resume(state: &mut State, saved: State, batcher: &Batcher) -> Result<Stream> {
    same("learning_rate", saved.learning_rate, state.learning_rate)?;
    same("number of steps", saved.steps, state.steps)?;
    same("number of parameters", saved.params.len(), state.params.len())?;
    state.momentum.restore(saved.momentum)?;
    state.params = saved.params;
    state.accumulator = saved.accumulator;
    Ok(batcher.resume(&saved.position)?)
}

fn same<T: PartialEq + Display>(name: &str, saved: T, expected: T) -> Result<()> {
    ensure!(saved == expected, "saved {name} is {saved}, expected {expected}");
    Ok(())
}
