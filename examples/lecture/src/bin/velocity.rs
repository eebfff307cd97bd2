//! What momentum does to a real network: its velocity as a weighted sum of past gradients, the best learning rate for each
//! momentum, and the loss from step to step.
//!
//! ```sh
//! cargo run --release --bin velocity                             # the embedded digits
//! cargo run --release --bin velocity -- --quick                  # seconds, too short to show much
//! cargo run --release --bin velocity -- --data MNIST_DIR         # minutes
//! ```
//!
//! The same options print the same lines. On another platform the last digits may differ, because its `exp`, its `ln` and
//! its products of matrices may. README.md discusses the results.

#[path = "../../../common/mod.rs"]
mod common;
#[path = "../task.rs"]
mod task;

use std::path::Path;

use anyhow::{Result, ensure};
use clap::Parser;
use common::plot::{self, COLORS};
use gradstep::{Batcher, Error, Momentum, MomentumForm, Optimizer, Sgd};
use indicatif::{ProgressBar, ProgressStyle};
use plotters::prelude::*;
use rayon::prelude::*;
use task::Task;

/// Shows what the momentum does in the training of a network.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    task: task::Options,
    /// The number of samples in a batch
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// The number of steps of a run
    #[arg(long, default_value_t = 4000)]
    steps: usize,
    /// The number of runs, each with its own seed
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// 2 seeds, 200 steps
    #[arg(long, conflicts_with_all = ["seeds", "steps"])]
    quick: bool,
}

/// How many steps the loss is averaged over.
const WINDOW: usize = 100;
const MOMENTA: [f64; 7] = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99];
/// The learning rates tried: 2^-11 to 1.
const RATES: std::ops::RangeInclusive<i32> = -11..=0;

/// A rule at one learning rate: the loss, averaged over each window, of every seed.
type Losses = Vec<Vec<f64>>;

/// A rule at its best learning rate.
struct Best {
    name: String,
    exponent: i32,
    losses: Losses,
}

fn main() -> Result<()> {
    let mut options = Options::parse();
    if options.quick {
        (options.seeds, options.steps) = (2, 200);
    }
    ensure!(options.seeds >= 1, "seeds is 0, expected at least 1");
    ensure!(options.steps >= 2 * WINDOW, "steps is {}, expected at least {}", options.steps, 2 * WINDOW);
    let figures = &options.task.figures;
    weights(&figures.join("velocity_weights.svg"))?;

    let task = Task::new(&options.task)?;
    let rules = MOMENTA.map(|momentum| (momentum, MomentumForm::Classical)).into_iter().chain([
        (0.9, MomentumForm::PyTorch),
        (0.9, MomentumForm::Nesterov),
        (0.9, MomentumForm::PyTorchNesterov),
    ]);
    let bar = ProgressBar::new((MOMENTA.len() + 3) as u64 * RATES.count() as u64 * options.seeds)
        .with_style(ProgressStyle::with_template("training {bar:32} {pos}/{len} {elapsed}, {eta} to go")?);
    let mut sweep = Vec::new();
    for (momentum, form) in rules {
        let seeds = |exponent: i32| {
            let run = |seed| train(&task, &options, momentum, form, exponent, seed).inspect(|_| bar.inc(1));
            (0..options.seeds).into_par_iter().map(run).collect::<Result<Losses, Error>>()
        };
        let losses = RATES.collect::<Vec<_>>().into_par_iter().map(seeds).collect::<Result<Vec<_>, _>>()?;
        sweep.push((momentum, form, losses));
    }
    bar.finish_and_clear();

    let best = print(&options, &sweep);
    draw_rates(&figures.join(format!("velocity_rates_{}.svg", task.name)), &options, &sweep)?;
    draw_training(&figures.join(format!("velocity_training_{}.svg", task.name)), &best)
}

/// Trains with one rule and rate; the losses of the batches, averaged over each window. NaN from where they are not finite.
fn train(
    task: &Task,
    options: &Options,
    momentum: f64,
    form: MomentumForm,
    exponent: i32,
    seed: u64,
) -> Result<Vec<f64>, Error> {
    let mut params = task.layers.initial(seed);
    let mut grads = vec![0.0; params.len()];
    let mut optimizer: Box<dyn Optimizer<f32>> = match (2_f64.powi(exponent), momentum) {
        (rate, 0.0) => Box::new(Sgd::new(rate)?),
        (rate, momentum) => Box::new(Momentum::new(rate, momentum, params.len())?.with_form(form)),
    };
    let mut stream = Batcher::new(task.data.train.len(), options.batch_size, seed)?.stream();
    let mut losses = vec![0.0; options.steps / WINDOW];
    for losses in &mut losses {
        for _ in 0..WINDOW {
            let Some(batch) = stream.next_batch() else { break };
            *losses += task.loss_and_gradient(&params, batch, &mut grads) / WINDOW as f64;
            if !losses.is_finite() {
                *losses = f64::NAN;
                break;
            }
            optimizer.step(&mut params, &grads)?;
        }
    }
    Ok(losses)
}

/// The mean loss over the last quarter of the steps and all seeds.
fn end(losses: &Losses) -> f64 {
    let last = |losses: &Vec<f64>| {
        let quarter = losses.len().div_ceil(4);
        losses[losses.len() - quarter..].iter().sum::<f64>() / quarter as f64
    };
    losses.iter().map(last).sum::<f64>() / losses.len() as f64
}

type Sweep = Vec<(f64, MomentumForm, Vec<Losses>)>;

/// Prints the end of each rule and rate, and returns each rule at its best rate.
fn print(options: &Options, sweep: &Sweep) -> Vec<Best> {
    println!(
        "the loss over the last quarter of {} steps with batches of {}, mean of {} seeds; *: the best rate",
        options.steps, options.batch_size, options.seeds
    );
    let rates = RATES.map(|exponent| format!("    2^{exponent:<3}"));
    println!("rule                 {}   η / (1 - λ)", rates.collect::<String>());
    let mut all = Vec::new();
    for (momentum, form, runs) in sweep {
        let ends: Vec<f64> = runs.iter().map(end).collect();
        let best = (0..ends.len()).min_by(|&a, &b| ends[a].total_cmp(&ends[b])).expect("at least one rate");
        let name = if *momentum == 0.0 { "Sgd".into() } else { format!("{form:?} {momentum}") };
        let cells = ends.iter().enumerate().map(|(i, end)| format!("{end:8.4}{}", if i == best { '*' } else { ' ' }));
        let exponent = RATES.start() + best as i32;
        let reach = 2_f64.powi(exponent) / (1.0 - momentum);
        println!("{name:21}{}   {reach:.3}", cells.collect::<String>());
        all.push(Best { name, exponent, losses: runs[best].clone() });
    }
    all
}

/// Feeds one gradient of 1, then zeros: each further step is the share that this gradient has in the velocity.
fn weights(figure: &Path) -> Result<()> {
    const STEPS: usize = 60;
    println!("the weight of a gradient in the velocity, k steps later, in units of -η; λ^k in brackets");
    let rules = [
        (0.5, MomentumForm::Classical),
        (0.9, MomentumForm::Classical),
        (0.9, MomentumForm::Nesterov),
        (0.98, MomentumForm::Classical),
    ];
    let colors = [COLORS[2], COLORS[1], COLORS[0], BLACK];
    let mut lines = Vec::new();
    for ((momentum, form), color) in rules.into_iter().zip(colors) {
        let learning_rate = 0.5_f64; // a power of two: dividing by it is exact
        let (mut optimizer, mut x) = (Momentum::new(learning_rate, momentum, 1)?.with_form(form), [0.0]);
        let mut weights = Vec::new();
        for k in 0..STEPS {
            let before = x[0];
            optimizer.step(&mut x, &[if k == 0 { 1.0 } else { 0.0 }])?;
            weights.push((before - x[0]) / learning_rate);
        }
        let name = format!("{form:?}, λ = {momentum}");
        let shown = [0, 1, 2, 10, 50].map(|k| format!("k = {k}: {:.5} ({:.5})", weights[k], momentum.powi(k as i32)));
        println!("{name:22} {}", shown.join("  "));
        let largest = (0..).zip(&weights).map(|(k, w)| (w - momentum.powi(k)).abs()).fold(0.0, f64::max);
        if form == MomentumForm::Classical {
            ensure!(largest < 1e-12, "a weight is {largest:e} from λ^k");
        }
        lines.push((name, color, weights));
    }
    println!("figure: {}", figure.display());
    plot::svg(figure, (800, 440), |root| {
        let x = ("steps since the gradient, k", 0.0..STEPS as f64);
        let title = "the weight of one gradient in the steps that follow";
        let mut chart = plot::axes(root, title, x, ("step / -η g", 0.0..2.0))?;
        for (name, color, weights) in lines {
            let points = (0..).map(f64::from).zip(weights);
            plot::label(chart.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(2))?, &name, color);
        }
        plot::legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}

/// The loss at the end against the rate, and against the rate that a constant gradient would feel, η / (1 - λ).
fn draw_rates(figure: &Path, options: &Options, sweep: &Sweep) -> Result<()> {
    println!("figure: {}", figure.display());
    plot::svg(figure, (800, 880), |root| {
        let (upper, lower) = root.split_vertically(440);
        let y = ("training loss", (0.01..3.0).log_scale());
        let title = format!("loss at the end of {} steps, by learning rate", options.steps);
        let mut above = plot::axes(&upper, &title, ("learning rate η", (4e-4..1.0).log_scale()), y.clone())?;
        let title = "the same, by η / (1 - λ)";
        let mut below = plot::axes(&lower, title, ("η / (1 - λ)", (4e-4..128.0).log_scale()), y)?;
        for ((momentum, _, runs), number) in
            sweep.iter().filter(|(_, form, _)| *form == MomentumForm::Classical).zip(0..)
        {
            let color = HSLColor(0.08 + 0.1 * f64::from(number), 0.85, 0.4);
            let points = |scale: f64| {
                let ends = RATES.zip(runs).map(move |(exponent, losses)| (2_f64.powi(exponent) * scale, end(losses)));
                ends.filter(|(_, end)| *end < 3.0).collect::<Vec<_>>()
            };
            let line = LineSeries::new(points(1.0), color.stroke_width(2)).point_size(3);
            plot::label(above.draw_series(line)?, &format!("λ = {momentum}"), color);
            let reach = 1.0 / (1.0 - *momentum);
            below.draw_series(LineSeries::new(points(reach), color.stroke_width(2)).point_size(3))?;
        }
        plot::legend(&mut above, SeriesLabelPosition::LowerLeft)
    })
}

/// The loss from step to step, at the best rate of each rule: the mean of the seeds, and their range.
fn draw_training(figure: &Path, best: &[Best]) -> Result<()> {
    println!("figure: {}", figure.display());
    let shown =
        [("Sgd", COLORS[0]), ("Classical 0.9", COLORS[1]), ("Nesterov 0.9", COLORS[2]), ("Classical 0.99", BLACK)];
    plot::svg(figure, (800, 520), |root| {
        let steps = (best[0].losses[0].len() * WINDOW) as f64;
        let y = ("training loss", (0.02..3.0).log_scale());
        let title = format!("loss of the batches, mean of {WINDOW} steps, each rule at its best rate");
        let mut chart = plot::axes(root, &title, ("step", 0.0..steps), y)?;
        for (rule, color) in shown {
            let best = best.iter().find(|best| best.name == rule).expect("in the sweep");
            let windows = 0..best.losses[0].len();
            let (mut mean, mut least, mut most) = (Vec::new(), Vec::new(), Vec::new());
            for window in windows {
                let losses = || best.losses.iter().map(|losses| losses[window]);
                let step = ((window + 1) * WINDOW) as f64;
                mean.push((step, losses().sum::<f64>() / best.losses.len() as f64));
                least.push((step, losses().fold(f64::INFINITY, f64::min)));
                most.push((step, losses().fold(0.0, f64::max)));
            }
            let band = most.into_iter().chain(least.into_iter().rev()).collect::<Vec<_>>();
            chart.draw_series([Polygon::new(band, color.mix(0.15))])?;
            let line = LineSeries::new(mean, color.stroke_width(2));
            plot::label(chart.draw_series(line)?, &format!("{rule}, η = 2^{}", best.exponent), color);
        }
        plot::legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}
