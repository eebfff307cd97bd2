//! What a new shuffle each epoch buys, against one fixed order and against drawing with replacement.
//!
//! ```sh
//! cargo run --release --example shuffle                                  # figures into target/figures
//! cargo run --release --example shuffle -- --figures examples/figures    # those of examples/README.md
//! ```
//!
//! Three problems: two samples, where the exact answer is known; least squares, where theory gives the exponents; and
//! the digits. The same numbers on every run; on another platform the last digits may differ.

mod common;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, ensure};
use clap::Parser;
use common::data;
use common::figure::{self, COLORS, Chart, axes, legend, name};
use common::network::Network;
use gradstep::{Batcher, Momentum, Optimizer, Sgd};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use plotters::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Three ways to order the samples, measured on two samples, on least squares and on the digits.
#[derive(Parser)]
struct Options {
    /// Where to write the figures
    #[arg(long, value_name = "DIR", default_value = "target/figures")]
    figures: PathBuf,
}

fn main() -> ExitCode {
    let dir = Options::parse().figures;
    common::exit(two_samples(&dir).and_then(|()| least_squares(&dir)).and_then(|()| digits(&dir)))
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    Replacement,
    Fixed,
    Reshuffled,
}

const ORDERS: [(Order, &str, RGBColor); 3] = [
    (Order::Replacement, "with replacement", COLORS[0]),
    (Order::Fixed, "one fixed order", COLORS[2]),
    (Order::Reshuffled, "reshuffled", COLORS[1]),
];

/// The samples of an epoch, as many as there are. `words` is drawn from only with replacement.
fn indices(order: Order, batcher: &Batcher, epoch: u64, words: &mut ChaCha8Rng) -> Vec<usize> {
    match order {
        Order::Reshuffled => batcher.epoch(epoch).indices().to_vec(),
        Order::Fixed => batcher.epoch(0).indices().to_vec(),
        // A word's share of 2^32, as a share of len.
        Order::Replacement => {
            (0..batcher.len()).map(|_| ((u64::from(words.next_u32()) * batcher.len() as u64) >> 32) as usize).collect()
        }
    }
}

/// The loss ½(x - s)² with s = 1 or -1, whose mean has its minimum at 0: a step is x <- (1 - η) x + η s.
///
/// - With replacement: var = (1 - η)² var + η², so var = η² / (1 - (1 - η)²): 1/7 at η = 1/4.
/// - Reshuffled, an epoch is x <- (1 - η)² x + η (1 - η) s - η s = (1 - η)² x - η² s, with s new each time, so
///   var = η⁴ / (1 - (1 - η)⁴): 1/175.
/// - In a fixed order, s is always the same: no variance, but x comes to rest at -η² s / (1 - (1 - η)²): 1/7 off.
fn exact(order: Order, eta: f64) -> (f64, f64) {
    let kept = (1.0 - eta) * (1.0 - eta);
    match order {
        Order::Replacement => (eta * eta / (1.0 - kept), 0.0),
        Order::Fixed => (0.0, eta * eta / (1.0 - kept)),
        Order::Reshuffled => (eta.powi(4) / (1.0 - kept * kept), 0.0),
    }
}

fn two_samples(dir: &Path) -> Result<()> {
    const SEEDS: u64 = 10;
    const EPOCHS: u64 = 50_000;
    println!("Two samples: x at the end of an epoch, {EPOCHS} epochs, mean of {SEEDS} seeds");
    println!("{:>8}  {:17}{:>10}{:>10}{:>10}{:>10}{:>10}", "η", "order", "variance", "+-", "exact", "bias", "exact");
    let mut squares = Vec::new();
    for eta in [0.0625, 0.125, 0.25, 0.5, 0.75] {
        for (order, label, color) in ORDERS {
            let (mut variances, mut means) = (Vec::new(), Vec::new());
            for seed in 0..SEEDS {
                let batcher = Batcher::new(2, 1, seed)?;
                let mut words = ChaCha8Rng::seed_from_u64(seed);
                let mut sgd = Sgd::new(eta)?;
                let (mut x, mut ends) = ([0.0], Vec::new());
                for epoch in 0..200 + EPOCHS {
                    for i in indices(order, &batcher, epoch, &mut words) {
                        let grads = [x[0] - [1.0, -1.0][i]];
                        sgd.step(&mut x, &grads)?;
                    }
                    ends.push(x[0]);
                }
                // The first 200 lead from the start to where it stays.
                let (mean, deviation) = mean_and_deviation(&ends[200..]);
                variances.push(deviation * deviation);
                // Which sample the fixed order begins with decides the sign: so without it there.
                means.push(if order == Order::Fixed { mean.abs() } else { mean });
            }
            let (variance, deviation) = mean_and_deviation(&variances);
            let (error, bias) = (deviation / (SEEDS as f64).sqrt(), mean_and_deviation(&means).0);
            let (exact_variance, exact_bias) = exact(order, eta);
            println!(
                "{eta:8.4}  {label:17}{variance:10.6}{error:10.6}{exact_variance:10.6}{:10.6}{exact_bias:10.6}",
                bias.abs()
            );
            let near = (variance - exact_variance).abs() <= 5.0 * error + 1e-12;
            ensure!(near, "{label}, η = {eta}: the variance is {variance:.3e}, expected {exact_variance:.3e}");
            squares.push((eta, variance + bias * bias, color));
        }
    }

    figure::svg(dir, "shuffle_two_samples.svg", (800, 450), |root| {
        let (x, y) = ((0.05..1.0).log_scale(), (1e-5..1.0).log_scale());
        let title = "two samples: variance + bias² at the end of an epoch (dots: measured, lines: exact)";
        let mut chart = axes(root, title, ("learning rate", x), ("mean square distance", y))?;
        for (order, label, color) in ORDERS {
            let etas = (0..=20).map(|i| 0.05 * 20.0_f64.powf(f64::from(i) / 20.0));
            let line =
                etas.map(|eta| (eta, exact(order, eta))).map(|(eta, (variance, bias))| (eta, variance + bias * bias));
            name(chart.draw_series(LineSeries::new(line, color.stroke_width(2)))?, label, color);
        }
        chart.draw_series(squares.iter().map(|&(x, y, color)| Circle::new((x, y), 5, color.filled())))?;
        for (square, label) in [(1.0 / 7.0, "1/7"), (1.0 / 49.0, "1/49"), (1.0 / 175.0, "1/175")] {
            chart.draw_series([Text::new(label, (0.265, square * 0.85), ("sans-serif", 17))])?;
        }
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })
}

/// The mean of `values`, and how far they lie from it.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
}

const ROWS: usize = 100;
const COLUMNS: usize = 5;

/// The gradient of ½(row · x - target)² with respect to x.
fn row_gradient((row, target): &([f64; COLUMNS], f64), x: &[f64]) -> [f64; COLUMNS] {
    let miss = row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() - target;
    row.map(|a| a * miss)
}

fn least_squares(dir: &Path) -> Result<()> {
    const SEEDS: u64 = 20;
    const EPOCHS: u64 = 3_000;
    // Entries and noise uniform in [-1, 1); target = the sum of the row + noise.
    let mut words = ChaCha8Rng::seed_from_u64(0);
    let mut uniform = || f64::from(words.next_u32()) / 2.0_f64.powi(31) - 1.0;
    let rows = (0..ROWS).map(|_| {
        let row: [f64; COLUMNS] = std::array::from_fn(|_| uniform());
        (row, row.iter().sum::<f64>() + uniform())
    });
    let rows: Vec<_> = rows.collect();

    // The optimum: full gradients until nothing moves.
    let (mut optimum, mut momentum) = ([0.0; COLUMNS], Momentum::new(0.5, 0.5, COLUMNS)?);
    for _ in 0..1_000 {
        let mut grads = [0.0; COLUMNS];
        for row in &rows {
            let one = row_gradient(row, &optimum);
            grads.iter_mut().zip(one).for_each(|(sum, g)| *sum += g / ROWS as f64);
        }
        momentum.step(&mut optimum, &grads)?;
    }
    ensure!(momentum.velocity().iter().all(|m| m.abs() < 1e-14), "the full gradients have not reached the optimum");

    println!("\nLeast squares, {ROWS} rows of {COLUMNS}, one a step: squared distance from the optimum, {SEEDS} seeds");
    println!("{:10}  {:17}{:>12}{:>12}{:>12}{:>10}", "η", "order", "epoch 10", "epoch 100", "epoch 1000", "slope");
    // About 12 in every tenfold.
    let mut shown: Vec<u64> = (0..42).map(|i| 10.0_f64.powf(f64::from(i) / 12.0).round() as u64).collect();
    shown.push(EPOCHS);
    shown.dedup();
    let xs: Vec<f64> = shown.iter().map(|&epoch| epoch as f64).collect();

    figure::svg(dir, "shuffle_least_squares.svg", (800, 900), |root| {
        let (upper, lower) = root.split_vertically(450);
        for (area, constant, title) in [(upper, true, "η = 0.02"), (lower, false, "η = 0.4 / (4 + epoch)")] {
            let y = ("squared distance from the optimum", (if constant { 1e-5..1.0 } else { 1e-11..1.0 }).log_scale());
            let title = format!("least squares, {title}: mean and range of {SEEDS} seeds");
            let mut chart = axes(&area, &title, ("epoch", (1.0..EPOCHS as f64).log_scale()), y)?;
            for (order, label, color) in ORDERS {
                let mut runs = Vec::new();
                for seed in 0..SEEDS {
                    let batcher = Batcher::new(ROWS, 1, seed)?;
                    let mut words = ChaCha8Rng::seed_from_u64(seed);
                    let (mut x, mut sgd, mut run) = ([0.0; COLUMNS], Sgd::new(0.02)?, Vec::new());
                    for epoch in 0..EPOCHS {
                        if !constant {
                            sgd.set_learning_rate(0.4 / (4.0 + epoch as f64))?;
                        }
                        for i in indices(order, &batcher, epoch, &mut words) {
                            let grads = row_gradient(&rows[i], &x);
                            sgd.step(&mut x, &grads)?;
                        }
                        if shown.contains(&(epoch + 1)) {
                            run.push(x.iter().zip(optimum).map(|(x, best)| (x - best) * (x - best)).sum());
                        }
                    }
                    runs.push(run);
                }
                draw_range(&mut chart, &xs, &runs, color)?;
                let means = mean_of(&runs);
                let line = xs.iter().copied().zip(means.iter().copied());
                name(chart.draw_series(LineSeries::new(line, color.stroke_width(2)))?, label, color);
                let at = |epoch: f64| means[xs.iter().position(|&x| x == epoch).unwrap_or(0)];
                let slope = if constant { String::new() } else { format!("{:.2}", slope(&xs, &means)) };
                let rate = if constant { "constant" } else { "decreasing" };
                println!("{rate:10}  {label:17}{:12.1e}{:12.1e}{:12.1e}{slope:>10}", at(10.0), at(100.0), at(1000.0));
            }
            legend(&mut chart, SeriesLabelPosition::LowerLeft)?;
        }
        Ok(())
    })
}

/// The exponent p of the best fit y ~ x^p from epoch 300 on.
fn slope(xs: &[f64], ys: &[f64]) -> f64 {
    let logs: Vec<_> = xs.iter().zip(ys).filter(|(x, _)| **x >= 300.0).map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let (x_mean, y_mean) =
        (logs.iter().map(|l| l.0).sum::<f64>() / count, logs.iter().map(|l| l.1).sum::<f64>() / count);
    let products: f64 = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    products / logs.iter().map(|(x, _)| (x - x_mean) * (x - x_mean)).sum::<f64>()
}

/// Draws a band from the least to the greatest of the runs.
fn draw_range<'a, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut Chart<'a, X, Y>,
    xs: &[f64],
    runs: &[Vec<f64>],
    color: RGBColor,
) -> Result<()> {
    let column = |i: usize| runs.iter().map(move |run| run[i]);
    let lowest = (0..xs.len()).map(|i| (xs[i], column(i).fold(f64::INFINITY, f64::min)));
    let highest = (0..xs.len()).rev().map(|i| (xs[i], column(i).fold(f64::NEG_INFINITY, f64::max)));
    chart.draw_series([Polygon::new(lowest.chain(highest).collect::<Vec<_>>(), color.mix(0.15))])?;
    Ok(())
}

/// The mean of the runs, epoch by epoch.
fn mean_of(runs: &[Vec<f64>]) -> Vec<f64> {
    (0..runs[0].len()).map(|i| runs.iter().map(|run| run[i]).sum::<f64>() / runs.len() as f64).collect()
}

fn digits(dir: &Path) -> Result<()> {
    const SEEDS: u64 = 20;
    const EPOCHS: u64 = 20;
    let data = data::digits()?;
    let network = Network { inputs: data.train.inputs, hidden: 32, classes: 10 };
    let all: Vec<usize> = (0..data.train.len()).collect();
    let bar = ProgressBar::with_draw_target(Some(3 * SEEDS * EPOCHS), ProgressDrawTarget::stderr())
        .with_style(ProgressStyle::with_template("{bar:16} {pos}/{len} epochs {eta}")?);

    println!("\nThe digits, Sgd 0.1 in batches of 8, {SEEDS} seeds: mean +- deviation after {EPOCHS} epochs;");
    println!("and the difference in training loss, mean of all epochs +- its standard error");
    let (mut losses, mut accuracies) = (Vec::new(), Vec::new());
    for (order, ..) in ORDERS {
        let (mut order_losses, mut order_accuracies) = (Vec::new(), Vec::new());
        for seed in 0..SEEDS {
            let batcher = Batcher::new(all.len(), 8, seed)?;
            let mut words = ChaCha8Rng::seed_from_u64(seed);
            let (mut params, mut sgd) = (network.initial(seed), Sgd::new(0.1)?);
            let mut grads = vec![0.0; params.len()];
            let (mut loss, mut accuracy) = (Vec::new(), Vec::new());
            for epoch in 0..EPOCHS {
                for batch in indices(order, &batcher, epoch, &mut words).chunks(batcher.batch_size()) {
                    network.loss_and_gradient(&params, &data.train, batch, &mut grads);
                    sgd.step(&mut params, &grads)?;
                }
                loss.push(network.loss_and_gradient(&params, &data.train, &all, &mut grads));
                accuracy.push(100.0 * network.accuracy(&params, &data.held_out));
                bar.inc(1);
            }
            order_losses.push(loss);
            order_accuracies.push(accuracy);
        }
        losses.push(order_losses);
        accuracies.push(order_accuracies);
    }
    bar.finish_and_clear();

    println!("{:17}{:>20}{:>20}{:>30}", "order", "training loss", "held out, %", "all epochs: loss - reshuffled");
    for (i, (_, label, _)) in ORDERS.iter().enumerate() {
        let last = |runs: &[Vec<f64>]| mean_and_deviation(&runs.iter().map(|r| r[r.len() - 1]).collect::<Vec<_>>());
        let ((loss, d), (accuracy, e)) = (last(&losses[i]), last(&accuracies[i]));
        // Seed by seed, since the seed decides the first weights.
        let pairs = losses[i].iter().zip(&losses[2]);
        let differences: Vec<f64> = pairs.map(|(a, b)| mean_and_deviation(a).0 - mean_and_deviation(b).0).collect();
        let (difference, f) = mean_and_deviation(&differences);
        let error = f / (SEEDS as f64).sqrt();
        println!("{label:17}{loss:11.4} +- {d:.4}{accuracy:12.2} +- {e:.2}{difference:18.4} +- {error:.4}");
    }
    figure::svg(dir, "shuffle_digits.svg", (800, 860), |root| {
        let (upper, lower) = root.split_vertically(430);
        let xs: Vec<f64> = (1..=EPOCHS).map(|epoch| epoch as f64).collect();
        let title = format!("digits: mean and range of {SEEDS} seeds");
        for (area, title, y, curves) in [
            (&upper, &*title, ("training loss", 0.0..0.4), &losses),
            (&lower, "", ("held-out accuracy, %", 91.0..99.0), &accuracies),
        ] {
            let mut chart = axes(area, title, ("epoch", 0.0..EPOCHS as f64), y)?;
            for (runs, (.., color)) in curves.iter().zip(ORDERS) {
                draw_range(&mut chart, &xs, runs, color)?;
            }
            for (runs, (_, label, color)) in curves.iter().zip(ORDERS) {
                let line = xs.iter().copied().zip(mean_of(runs));
                name(chart.draw_series(LineSeries::new(line, color.stroke_width(2)))?, label, color);
            }
            let corner =
                if title.is_empty() { SeriesLabelPosition::LowerRight } else { SeriesLabelPosition::UpperRight };
            legend(&mut chart, corner)?;
        }
        Ok(())
    })
}
