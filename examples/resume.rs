//! Trains on the handwritten digits and saves as it goes: kill it whenever you like and start it again, and it goes on
//! from its last checkpoint to the same parameters, bit for bit, as if nothing had been.
//!
//! ```sh
//! cargo run --release --features serde --example resume -- target/digits.checkpoint
//! ```
//!
//! `common/checkpoint.rs` writes the file so that no kill leaves half of one, and refuses any that is damaged or foreign.

#[path = "common/checkpoint.rs"]
mod checkpoint;
mod common;

use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use common::{data, network::Network};
use gradstep::{Batcher, Momentum, Optimizer, Position, Stream, schedule};
use serde::{Deserialize, Serialize};

/// Trains a small multilayer perceptron on handwritten digits, from its last checkpoint on if there is one.
#[derive(Parser)]
struct Options {
    /// Where the checkpoint is, or will be
    checkpoint: PathBuf,
    /// The learning rate of the first step, from which it falls along a cosine to 0
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    learning_rate: f32,
    /// How many samples a step averages over
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// How many steps the whole run has
    #[arg(long, default_value_t = 600)]
    steps: u64,
    /// Seeds the initial weights and the order of the samples
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
}

/// All that decides how the run goes on; the data and the code aside.
#[derive(Serialize, Deserialize)]
struct State {
    params: Vec<f32>,
    momentum: Momentum<f32>, // with the velocity and the count of steps
    position: Position,      // with batch size and seed
    learning_rate: f32,      // the schedule's two numbers
    steps: u64,
}

const STEPS_PER_CHECKPOINT: u64 = 10; // in a long run rather one in some minutes

fn main() -> ExitCode {
    common::exit(train(&Options::parse()))
}

fn train(options: &Options) -> Result<()> {
    let &Options { ref checkpoint, learning_rate, batch_size, steps, seed } = options;
    let data = data::digits()?;
    let network = Network { inputs: data.train.inputs, hidden: 32, classes: 10 };
    let schedule = schedule::cosine(learning_rate, 0.0, steps)?;
    let batcher = Batcher::new(data.train.len(), batch_size, seed)?;
    let mut stream = batcher.stream();

    let params = network.initial(seed);
    let mut grads = vec![0.0; params.len()];
    let momentum = Momentum::new(learning_rate, 0.9, params.len())?;
    let mut state = State { params, momentum, position: stream.position(), learning_rate, steps };

    if let Some(saved) = checkpoint::load(checkpoint)? {
        stream = go_on(&mut state, saved, &batcher).with_context(|| checkpoint.display().to_string())?;
        println!("resumed at step {}", state.momentum.steps());
    } else {
        checkpoint::save(checkpoint, &state)?; // a place that cannot be written to shows now, not after hours
        println!("no checkpoint at {}: begun anew", checkpoint.display());
    }

    while state.momentum.steps() < steps {
        let batch = stream.next_batch().context("the stream has ended")?;
        let loss = network.loss_and_gradient(&state.params, &data.train, batch, &mut grads);
        state.momentum.set_learning_rate(schedule(state.momentum.steps()))?;
        state.momentum.step(&mut state.params, &grads)?;

        let done = state.momentum.steps();
        if done % STEPS_PER_CHECKPOINT == 0 || done == steps {
            state.position = stream.position();
            checkpoint::save(checkpoint, &state)?;
            println!("step {done}: loss {loss:.6}, saved");
        }
    }

    println!("held-out accuracy: {:.2} %", 100.0 * network.accuracy(&state.params, &data.held_out));
    let bytes: Vec<u8> = state.params.iter().flat_map(|param| param.to_le_bytes()).collect();
    println!("parameters: {:08x}", crc32fast::hash(&bytes)); // the same, however often the run was killed
    Ok(())
}

/// Makes `state` what was saved, and gives the batches that follow; what belongs to another run is refused.
fn go_on(state: &mut State, saved: State, batcher: &Batcher) -> Result<Stream> {
    same("learning_rate", saved.learning_rate, state.learning_rate)?;
    same("number of steps", saved.steps, state.steps)?;
    same("number of parameters", saved.params.len(), state.params.len())?;
    state.momentum.restore(saved.momentum)?;
    state.params = saved.params;
    Ok(batcher.resume(saved.position)?)
}

fn same<T: PartialEq + Display>(name: &str, saved: T, expected: T) -> Result<()> {
    ensure!(saved == expected, "saved {name} is {saved}, expected {expected}");
    Ok(())
}
