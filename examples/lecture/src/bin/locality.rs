//! Trains one network on samples sorted by label, in five orders: shuffled, in windows of blocks ([`Blocks`]), of few large
//! blocks, through a shuffle buffer, and not shuffled. The three between hold an eighth of the samples in memory.
//!
//! ```sh
//! cargo run --release --bin locality                              # the embedded digits
//! cargo run --release --bin locality -- --data MNIST_DIR          # minutes
//! ```

#[path = "../../../common/mod.rs"]
mod common;
#[path = "../statistics.rs"]
mod statistics;
#[path = "../task.rs"]
mod task;

use anyhow::Result;
use clap::Parser;
use gradstep::{Batcher, Blocks, Draws, Error, Optimizer, Order, Sequential, Sgd, Shuffle};
use indicatif::ProgressBar;
use rayon::prelude::*;
use statistics::mean_and_deviation;
use task::Task;

/// Compares orders of data on disk on samples sorted by label.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    task: task::Options,
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f64,
    #[arg(long, default_value_t = 5)]
    epochs: u64,
    /// The number of runs, each with its own seed, for each order
    #[arg(long, default_value_t = 20)]
    seeds: u64,
}

/// From (len, batch size, seed, epoch) the place in the sorted list of each sample.
type Epoch = fn(usize, usize, u64, u64) -> Result<Vec<usize>, Error>;

const ORDERS: [(&str, Epoch); 5] = [
    ("shuffled", |len, _, seed, epoch| all(Shuffle::new(len, seed)?, epoch)),
    ("Blocks, ten batches of them in a window", |len, batch_size, seed, epoch| {
        blocks(len, 10 * batch_size, seed, epoch)
    }),
    ("Blocks, 8 in a window", |len, _, seed, epoch| blocks(len, 8, seed, epoch)),
    ("shuffle buffer", |len, _, seed, epoch| Ok(buffer(len, len / 8, seed, epoch))),
    ("not shuffled", |len, _, _, epoch| all(Sequential::new(len)?, epoch)),
];

fn blocks(len: usize, in_window: usize, seed: u64, epoch: u64) -> Result<Vec<usize>, Error> {
    all(Blocks::new(len as u64, (len / 8 / in_window).max(1) as u64, in_window as u64, seed)?, epoch)
}

fn all(order: impl Order + Clone, epoch: u64) -> Result<Vec<usize>, Error> {
    Ok(Batcher::over(order, 1)?.epoch(epoch).indices().to_vec())
}

/// For each sample that comes, a random one of those that wait leaves.
fn buffer(len: usize, size: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut draws = Draws::new("buffer", [epoch, 0], seed);
    let mut waiting: Vec<usize> = (0..size).collect();
    let mut out = Vec::with_capacity(len);
    for next in size..len + size {
        let leaving = draws.below(waiting.len() as u64).expect("some wait") as usize;
        out.push(waiting.swap_remove(leaving));
        waiting.extend((next < len).then_some(next));
    }
    out
}

fn main() -> Result<()> {
    let options = Options::parse();
    let task = Task::new(&options.task)?;
    let labels = &task.data.train.labels;
    let mut sorted: Vec<usize> = (0..labels.len()).collect();
    sorted.sort_by_key(|&sample| labels[sample]);

    let bar = ProgressBar::new(ORDERS.len() as u64 * options.seeds);
    println!(
        "batches of {}, held out, % after {} epochs, {} seeds:",
        options.batch_size, options.epochs, options.seeds
    );
    println!("{:42}{:>8}{:>8}{:>8}{:>8}", "", "mean", "+-", "least", "most");
    for (name, order) in ORDERS {
        let run = |seed| train(&task, &options, &sorted, order, seed).inspect(|_| bar.inc(1));
        let accuracies = (0..options.seeds).into_par_iter().map(run).collect::<Result<Vec<f64>, Error>>()?;
        let (mean, deviation) = mean_and_deviation(&accuracies);
        let least = accuracies.iter().copied().fold(f64::INFINITY, f64::min);
        let most = accuracies.iter().copied().fold(0.0, f64::max);
        println!("{name:42}{mean:8.2}{deviation:8.2}{least:8.2}{most:8.2}");
    }
    bar.finish_and_clear();
    Ok(())
}

/// The held-out accuracy at the end.
fn train(task: &Task, options: &Options, sorted: &[usize], order: Epoch, seed: u64) -> Result<f64, Error> {
    let mut params = task.layers.initial(seed);
    let (mut grads, mut sgd) = (vec![0.0; params.len()], Sgd::new(options.learning_rate)?);
    for epoch in 0..options.epochs {
        let samples: Vec<usize> =
            order(sorted.len(), options.batch_size, seed, epoch)?.into_iter().map(|place| sorted[place]).collect();
        for batch in samples.chunks(options.batch_size) {
            task.loss_and_gradient(&params, batch, &mut grads);
            sgd.step(&mut params, &grads)?;
        }
    }
    Ok(100.0 * task.layers.accuracy(&params, &task.data.held_out))
}
