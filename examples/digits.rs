//! Trains a small neural network on handwritten digits: minibatches from [`Batcher`], steps by
//! [`Momentum`].
//!
//! ```sh
//! cargo run --release --example digits                       # 1,797 embedded digits of 8 × 8 pixels
//! cargo run --release --example digits -- --data MNIST_DIR   # MNIST: 70,000 of 28 × 28
//! cargo run --release --example digits -- --help
//! ```
//!
//! Trains on 1,440 of the embedded digits, each also shifted in four directions, and tests on the
//! other 357. (The network, the learning rate and the shifts were chosen by their accuracy on these
//! 357, so it is not an untouched test result.)
//!
//! Prints the training loss and the held-out accuracy after every epoch and draws both as an SVG.
//! The same seed prints the same numbers on every run and with any number of threads. On another
//! platform the last digits may differ, because its `exp`, its `ln` and its matrix products may.
//!
//! The embedded digits: E. Alpaydin, C. Kaynak, 1998, Optical Recognition of Handwritten Digits,
//! UCI Machine Learning Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0.

mod common;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use common::layers::Layers;
use common::{data, data::Split, plot};
use gradstep::{Batcher, Momentum, Optimizer, Schedule, Sgd};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plotters::prelude::*;

/// Trains a small neural network on handwritten digits and draws its learning curve.
#[derive(Parser)]
struct Options {
    /// The update rule
    #[arg(long, value_enum, default_value = "momentum")]
    optimizer: Rule,
    /// The learning rate of the first epoch; it falls linearly towards 0
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    learning_rate: f64,
    /// The share of the velocity that `--optimizer momentum` keeps at each step [default: 0.9]
    #[arg(long, allow_negative_numbers = true)]
    momentum: Option<f64>,
    /// The number of samples in a batch
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// The number of passes over the training samples [default: 20, with --data 10]
    #[arg(long)]
    epochs: Option<u64>,
    /// The seed of the initial weights and of the order of the samples
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// The number of threads that share a batch; it changes no number
    #[arg(long, default_value = "1")]
    threads: NonZero<usize>,
    /// A folder with the four files of MNIST, raw or .gz, to use in place of the embedded digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to write the learning curve
    #[arg(long, value_name = "FILE", default_value = "target/learning_curve.svg")]
    plot: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rule {
    Sgd,
    Momentum,
}

/// The training loss and the held-out accuracy (in %) of each epoch.
type Curve = Vec<(f64, f64)>;

fn main() -> Result<()> {
    let options = Options::parse();
    let (name, data, epochs) = match &options.data {
        None => ("digits", data::digits()?, 20),
        Some(dir) => ("MNIST", data::mnist(dir)?, 10),
    };
    println!("{name}: {} training samples, {} held out", data.train.len(), data.held_out.len());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads.get()).build()?;
    let start = Instant::now();
    let curve = pool.install(|| train(&options, &data, options.epochs.unwrap_or(epochs)))?;
    println!("time: {:.2} s", start.elapsed().as_secs_f64());
    draw(&options.plot, &format!("{name}, seed {}", options.seed), &curve)?;
    println!("learning curve: {}", options.plot.display());
    Ok(())
}

fn train(options: &Options, data: &Split, epochs: u64) -> Result<Curve> {
    ensure!(epochs >= 1, "epochs is 0, expected at least 1");
    let network = Layers { sizes: vec![data.train.inputs, 256, 10], threads: options.threads.get() };
    let mut params = network.initial(options.seed);
    let mut grads = vec![0.0; params.len()];
    println!("network: {:?}, {} parameters", network.sizes, params.len());

    let mut optimizer = optimizer(options, params.len())?;
    let schedule = Schedule::linear(options.learning_rate, 0.0, epochs)?;
    let batcher = Batcher::new(data.train.len(), options.batch_size, options.seed)?;
    // Hidden unless stdout is a terminal; then each epoch prints a line instead.
    let steps = epochs.saturating_mul(batcher.batches_per_epoch() as u64);
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stdout())
        .with_style(ProgressStyle::with_template("{bar:16} {pos}/{len} {eta}  {msg}")?);

    let mut curve = Vec::new();
    for epoch in 0..epochs {
        // The rate falls, because long steps would keep the last epochs jumping around the minimum.
        optimizer.set_learning_rate(schedule.at(epoch))?;
        let mut loss = 0.0;
        for batch in &batcher.epoch(epoch) {
            let batch_loss = network.loss_and_gradient(&params, &data.train, batch, &mut grads);
            ensure!(batch_loss.is_finite(), "the loss is {batch_loss} in epoch {}: the steps are too long", epoch + 1);
            optimizer.step(&mut params, &grads)?;
            loss += batch_loss * batch.len() as f64;
            bar.inc(1);
        }
        let loss = loss / data.train.len() as f64;
        let accuracy = 100.0 * network.accuracy(&params, &data.held_out);
        curve.push((loss, accuracy));
        let line = format!("epoch {:2}  loss {loss:.6}  held-out {accuracy:.2} %", epoch + 1);
        if bar.is_hidden() {
            println!("{line}");
        } else {
            bar.set_message(line);
        }
    }
    bar.finish();
    println!("held-out accuracy: {:.2} %", 100.0 * network.accuracy(&params, &data.held_out));
    Ok(curve)
}

fn optimizer(options: &Options, len: usize) -> Result<Box<dyn Optimizer<f32>>> {
    Ok(match options.optimizer {
        Rule::Sgd => {
            ensure!(options.momentum.is_none(), "--optimizer sgd has no momentum");
            Box::new(Sgd::new(options.learning_rate)?)
        }
        Rule::Momentum => Box::new(Momentum::new(options.learning_rate, options.momentum.unwrap_or(0.9), len)?),
    })
}

/// Draws the training loss above and the held-out accuracy below.
fn draw(path: &Path, title: &str, curve: &Curve) -> Result<()> {
    let (losses, accuracies): (Vec<f64>, Vec<f64>) = curve.iter().copied().unzip();
    let top = losses.iter().fold(f64::MIN_POSITIVE, |a, &b| a.max(1.05 * b));
    let lowest = accuracies.iter().fold(100.0_f64, |a, &b| a.min(b));
    let bottom = 5.0 * (lowest / 5.0 - 0.1).floor().max(0.0); // a multiple of 5, below 100
    plot::svg(path, (800, 640), |root| {
        let (upper, lower) = root.split_vertically(330);
        for (area, title, y, values, color) in [
            (upper, title, ("training loss", 0.0..top), losses, plot::COLORS[1]),
            (lower, "", ("held-out accuracy, %", bottom..100.0), accuracies, plot::COLORS[0]),
        ] {
            let mut chart = plot::axes(&area, title, ("epoch", 0.0..values.len() as f64), y)?;
            let points = (1..).map(f64::from).zip(values);
            chart.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?;
        }
        Ok(())
    })
}
