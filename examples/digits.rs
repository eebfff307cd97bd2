//! Trains a small multilayer perceptron on handwritten digits: minibatches from [`Batcher`], steps by [`Momentum`].
//!
//! ```sh
//! cargo run --release --example digits                       # 1,797 embedded digits of 8 × 8 pixels
//! cargo run --release --example digits -- --data MNIST_DIR   # MNIST: 70,000 of 28 × 28
//! cargo run --release --example digits -- --help
//! ```
//!
//! Of the embedded digits 1,440 are trained on, each of them also shifted four ways, and 357 are held out. (Network, rate
//! and shifts were chosen with an eye on those, so their accuracy is no untouched test result.)
//!
//! Prints training loss and held-out accuracy after every epoch and draws both as an SVG. The same seed prints the same
//! numbers on every run; on another platform the last digits may differ, as `exp` and `ln` are the platform's.
//!
//! The embedded digits: E. Alpaydin, C. Kaynak, 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning
//! Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0.

mod common;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::{Parser, ValueEnum};
use common::data;
use common::network::Network;
use common::plot::{self, Point};
use gradstep::{Batcher, Momentum, Optimizer, Sgd, schedule};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Trains a small multilayer perceptron on handwritten digits and draws its learning curve.
#[derive(Parser)]
struct Options {
    /// The update rule
    #[arg(long, value_enum, default_value = "momentum")]
    optimizer: Rule,
    /// The learning rate of the first epoch, from which it falls in equal steps towards 0
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    learning_rate: f32,
    /// How much of its velocity `--optimizer momentum` keeps from step to step [default: 0.9]
    #[arg(long, allow_negative_numbers = true)]
    momentum: Option<f32>,
    /// How many samples a step averages over
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// How often to go through the training samples [default: 20, with --data 10]
    #[arg(long)]
    epochs: Option<u64>,
    /// Seeds the initial weights and the order of the samples
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    seed: u64,
    /// A folder with the four files of MNIST, raw or .gz, to train on instead of the embedded digits
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

fn main() -> ExitCode {
    common::exit(train(&Options::parse()))
}

fn train(options: &Options) -> Result<()> {
    let (name, data, epochs) = match &options.data {
        None => ("digits", data::digits()?, 20),
        Some(dir) => ("MNIST", data::mnist(dir)?, 10),
    };
    let epochs = options.epochs.unwrap_or(epochs);
    ensure!(epochs >= 1, "epochs is 0, expected at least 1");

    let network = Network { inputs: data.train.inputs, hidden: 256, classes: 10 };
    let mut params = network.initial(options.seed);
    let mut grads = vec![0.0; params.len()];

    let mut optimizer: Box<dyn Optimizer<f32>> = match options.optimizer {
        Rule::Sgd => {
            ensure!(options.momentum.is_none(), "--optimizer sgd has no momentum");
            Box::new(Sgd::new(options.learning_rate)?)
        }
        Rule::Momentum => {
            Box::new(Momentum::new(options.learning_rate, options.momentum.unwrap_or(0.9), params.len())?)
        }
    };
    let schedule = schedule::linear(options.learning_rate, 0.0, epochs)?;
    let batcher = Batcher::new(data.train.len(), options.batch_size, options.seed)?;

    println!("{name}: {} training samples, {} held out", data.train.len(), data.held_out.len());
    println!("network: {} - {} - {}, {} parameters", network.inputs, network.hidden, network.classes, params.len());

    // On a terminal the bar, in a pipe (where the bar hides itself) a line an epoch.
    let steps = epochs.saturating_mul(batcher.batches_per_epoch() as u64);
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stdout())
        .with_style(ProgressStyle::with_template("{bar:16} {pos}/{len} {eta}  {msg}")?);

    let mut curve = Vec::new();
    let mut order = batcher.epoch(0);
    for epoch in 0..epochs {
        order.refill(epoch);
        // Smaller and smaller steps: with long ones the last epochs would only jump about the minimum.
        optimizer.set_learning_rate(schedule(epoch))?;
        let mut loss = 0.0;
        for batch in &order {
            let batch_loss = network.loss_and_gradient(&params, &data.train, batch, &mut grads);
            ensure!(batch_loss.is_finite(), "the loss is {batch_loss} in epoch {}: the steps are too long", epoch + 1);
            optimizer.step(&mut params, &grads)?;
            loss += batch_loss * batch.len() as f64;
            bar.inc(1);
        }
        let loss = loss / data.train.len() as f64;
        let accuracy = network.accuracy(&params, &data.held_out);
        curve.push(Point { loss, accuracy });

        let line = format!("epoch {:2}  loss {loss:.6}  held-out {:.2} %", epoch + 1, 100.0 * accuracy);
        if bar.is_hidden() {
            println!("{line}");
        } else {
            bar.set_message(line);
        }
    }
    bar.finish();

    let accuracy = network.accuracy(&params, &data.held_out);
    println!("held-out accuracy: {:.2} %", 100.0 * accuracy);
    plot::learning_curve(&options.plot, &format!("{name}, seed {}", options.seed), &curve)?;
    println!("learning curve: {}", options.plot.display());
    Ok(())
}
