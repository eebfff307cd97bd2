//! Trains one network on samples sorted by label, in five orders: shuffled, in windows of many blocks ([`Blocks`]), in
//! windows of few large ones, through a shuffle buffer, and not shuffled. The three in the middle hold at most an
//! eighth of the samples in memory. README.md discusses the results.

#[path = "../shared.rs"]
mod shared;

use gradstep::{Blocks, Draws, Order, Sequential, Shuffle};
use shared::*;

/// Compares orders of data on disk on samples sorted by label.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// The number of runs, each with its own seed, for each order
    #[arg(long, default_value_t = 20, conflicts_with = "quick")]
    seeds: u64,
}

const BATCH_SIZE: usize = 32;
const EPOCHS: u64 = 5;

/// Returns the samples of an epoch, by their places in the sorted list, from (len, seed, epoch).
type Epoch = fn(usize, u64, u64) -> Result<Vec<usize>, Error>;

const ORDERS: [(&str, Epoch); 5] = [
    ("shuffled", |len, seed, epoch| all(Shuffle::new(len, seed)?, epoch)),
    ("Blocks, ten batches of them in a window", |len, seed, epoch| blocks(len, 10 * BATCH_SIZE, seed, epoch)),
    ("Blocks, 8 in a window", |len, seed, epoch| blocks(len, 8, seed, epoch)),
    ("shuffle buffer", |len, seed, epoch| Ok(buffer(len, len / 8, seed, epoch))),
    ("not shuffled", |len, _, epoch| all(Sequential::new(len)?, epoch)),
];

fn blocks(len: usize, in_window: usize, seed: u64, epoch: u64) -> Result<Vec<usize>, Error> {
    all(Blocks::new(len as u64, (len / 8 / in_window).max(1) as u64, in_window as u64, seed)?, epoch)
}

fn all(order: impl Order + Clone, epoch: u64) -> Result<Vec<usize>, Error> {
    Ok(Batcher::over(order, 1)?.epoch(epoch).indices().to_vec())
}

/// Whenever a sample comes in, a random one of the waiting samples goes out.
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
    let options = Arguments::parse();
    let task = Task::new(&options.common)?;
    let labels = &task.data.train.labels;
    let mut sorted: Vec<usize> = (0..labels.len()).collect();
    sorted.sort_by_key(|&sample| labels[sample]);

    let seeds = if options.common.quick { 2 } else { options.seeds };
    println!("batches of {BATCH_SIZE}, held out, % after {EPOCHS} epochs, {seeds} seeds:");
    println!("{:42}{:>8}{:>8}{:>8}{:>8}", "", "mean", "+-", "least", "most");
    let runs = run_all(&ORDERS, seeds, |&(_, order), seed| train(&task, &sorted, order, seed))?;
    for ((name, _), accuracies) in ORDERS.iter().zip(runs) {
        let (mean, deviation) = mean_and_deviation(&accuracies);
        let [least, _, most] = spread(accuracies);
        println!("{name:42}{mean:8.2}{deviation:8.2}{least:8.2}{most:8.2}");
    }
    Ok(())
}

/// The held-out accuracy at the end.
fn train(task: &Task, sorted: &[usize], order: Epoch, seed: u64) -> Result<f64, Error> {
    let mut params = task.layers.initial(seed);
    let (mut grads, mut sgd) = (vec![0.0; params.len()], Sgd::new(0.1)?);
    for epoch in 0..EPOCHS {
        let samples = Vec::from_iter(order(sorted.len(), seed, epoch)?.into_iter().map(|place| sorted[place]));
        for batch in samples.chunks(BATCH_SIZE) {
            task.loss_and_gradient(&params, batch, &mut grads);
            sgd.step(&mut params, &grads)?;
        }
    }
    Ok(100.0 * task.layers.accuracy(&params, &task.data.held_out))
}
