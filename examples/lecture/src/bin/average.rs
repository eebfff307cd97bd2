//! Trains one network with batch sizes from 1 to thousands, and compares the average of its weights with the last ones, and
//! with those of a run whose learning rate falls to 0: accuracy, training loss and sharpness.
//!
//! ```sh
//! cargo run --release --bin average                              # the embedded digits
//! cargo run --release --bin average -- --quick                   # seconds, too short to show much
//! cargo run --release --bin average -- --data MNIST_DIR          # minutes
//! ```
//!
//! The rule is plain SGD. The same options print the same lines. On another platform the last digits may differ, because
//! its `exp`, its `ln` and its products of matrices may. README.md discusses the results.

#[path = "../../../common/mod.rs"]
mod common;
#[path = "../lines.rs"]
mod lines;
#[path = "../task.rs"]
mod task;

use anyhow::{Result, ensure};
use clap::Parser;
use common::plot::{self, COLORS};
use gradstep::{Batcher, Error, Optimizer, Schedule, Sgd, WeightAverage};
use indicatif::{ProgressBar, ProgressStyle};
use lines::{Line, spread};
use plotters::prelude::*;
use rayon::prelude::*;
use task::Task;

/// Shows what averaging the weights gains.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    task: task::Options,
    /// The learning rate, constant or at first
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f64,
    /// The number of passes over the training samples; averages begin half-way [default: 32, with --data 8]
    #[arg(long)]
    epochs: Option<u64>,
    /// The number of runs, each with its own seed, for each batch size [default: 5, with --data 3]
    #[arg(long)]
    seeds: Option<u64>,
    /// 2 seeds, 2 epochs
    #[arg(long, conflicts_with_all = ["seeds", "epochs"])]
    quick: bool,
}

/// The weights that a batch size and a seed end with.
const WEIGHTS: [&str; 4] = ["last", "mean", "ema", "falling rate"];
const NAMES: [&str; 4] =
    ["the last weights", "mean of the second half", "EMA over an epoch", "last, the rate falling to 0"];

/// What they are worth.
struct Worth {
    loss: f64,
    training: f64, // accuracy, %
    test: f64,
    sharpness: f64,
}

/// One for each of [`WEIGHTS`].
type Run = [Worth; 4];

/// A column of the table: its width, heading and digits, and the value.
type Column = (usize, &'static str, usize, fn(&Worth) -> f64);

struct Experiment {
    task: Task,
    sizes: Vec<usize>,
    learning_rate: f64,
    epochs: u64,
    seeds: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let task = Task::new(&options.task)?;
    let (mnist, len) = (options.task.data.is_some(), task.data.train.len());
    // On MNIST single samples hardly learn at this rate, and large batches learn little in so few epochs.
    let sizes = if mnist { task::sizes(4, 2048).skip(1).collect() } else { task::sizes(4, len).collect() };
    let (epochs, seeds) = if mnist { (8, 3) } else { (32, 5) };
    let (epochs, seeds) = if options.quick { (2, 2) } else { (epochs, seeds) };
    let (epochs, seeds) = (options.epochs.unwrap_or(epochs), options.seeds.unwrap_or(seeds));
    ensure!(seeds >= 1, "seeds is 0, expected at least 1");
    ensure!(epochs >= 2, "epochs is {epochs}, expected at least 2");
    let experiment = Experiment { task, sizes, learning_rate: options.learning_rate, epochs, seeds };
    let runs = experiment.train_all()?;
    experiment.print_table(&runs);
    experiment.draw(&options, &runs)
}

impl Experiment {
    /// By batch size and seed, as many at once as there are cores.
    fn train_all(&self) -> Result<Vec<Vec<Run>>> {
        let bar = ProgressBar::new(self.sizes.len() as u64 * self.seeds)
            .with_style(ProgressStyle::with_template("training {bar:32} {pos}/{len} {elapsed}, {eta} to go")?);
        let run = |size, seed| {
            let [last, mean, ema] = self.train(size, seed, false)?;
            let [falling, ..] = self.train(size, seed, true)?;
            bar.inc(1);
            Ok([last, mean, ema, falling].map(|params| self.worth(&params)))
        };
        let all_seeds = |&size| (0..self.seeds).into_par_iter().map(|seed| run(size, seed)).collect();
        let runs = self.sizes.par_iter().map(all_seeds).collect::<Result<_, Error>>()?;
        bar.finish_and_clear();
        Ok(runs)
    }

    /// The last weights, their mean over the second half, and their moving average.
    fn train(&self, batch_size: usize, seed: u64, falling: bool) -> Result<[Vec<f32>; 3], Error> {
        let batcher = Batcher::new(self.task.data.train.len(), batch_size, seed)?;
        let batches = batcher.batches_per_epoch() as u64;
        let half = self.epochs / 2;
        let end = if falling { 0.0 } else { self.learning_rate };
        let second_half = Schedule::linear(self.learning_rate, end, (self.epochs - half) * batches)?;
        let schedule = Schedule::constant(self.learning_rate)?.then(half * batches, second_half);
        let mut sgd = Sgd::new(self.learning_rate)?;
        let mut params = self.task.layers.initial(seed);
        let mut grads = vec![0.0; params.len()];
        let mut mean = WeightAverage::mean(params.len())?;
        let mut ema = WeightAverage::ema(1.0 - 1.0 / batches as f64, params.len())?;
        for epoch in 0..self.epochs {
            for batch in &batcher.epoch(epoch) {
                self.task.loss_and_gradient(&params, batch, &mut grads);
                sgd.set_learning_rate(schedule.at(sgd.steps()))?;
                sgd.step(&mut params, &grads)?;
                if epoch >= half {
                    mean.update(&params)?;
                    ema.update(&params)?;
                }
            }
        }
        Ok([params, mean.values()?.to_vec(), ema.values()?.to_vec()])
    }

    fn worth(&self, params: &[f32]) -> Worth {
        let Task { data, layers, .. } = &self.task;
        let [training, test] = [&data.train, &data.held_out].map(|samples| 100.0 * layers.accuracy(params, samples));
        Worth { loss: self.task.probe_loss(params), training, test, sharpness: self.task.sharpness(params) }
    }

    fn print_table(&self, runs: &[Vec<Run>]) {
        let columns: [Column; 4] = [
            (17, "training loss", 4, |worth| worth.loss),
            (15, "training %", 2, |worth| worth.training),
            (14, "test %", 2, |worth| worth.test),
            (16, "sharpness", 3, |worth| worth.sharpness),
        ];
        println!("\nafter {} epochs: the middle of {} seeds ± half their spread", self.epochs, self.seeds);
        let headings = columns.map(|(width, heading, ..)| format!("{heading:>width$}"));
        println!(" batch  {:12}{}", "weights", headings.concat());
        for (size, runs) in self.sizes.iter().zip(runs) {
            for (which, weights) in WEIGHTS.iter().enumerate() {
                let cells = columns.map(|(width, _, digits, value)| {
                    let [least, middle, most] = of_seeds(runs, which, value);
                    let cell = format!("{middle:.digits$} ±{:.digits$}", (most - least) / 2.0);
                    format!("{cell:>width$}")
                });
                println!("{size:>6}  {weights:12}{}", cells.concat());
            }
        }
    }

    fn draw(&self, options: &Options, runs: &[Vec<Run>]) -> Result<()> {
        let Experiment { task, epochs, .. } = self;
        let colors = [COLORS[0], COLORS[1], COLORS[2], BLACK];
        let lines = |value: fn(&Worth) -> f64| {
            (0..4).map(move |which| Line {
                name: NAMES[which].to_string(),
                color: colors[which].mix(if which == 3 { 0.5 } else { 1.0 }),
                points: (self.sizes.iter().zip(runs))
                    .map(|(&size, runs)| (size as f64, of_seeds(runs, which, value)))
                    .collect(),
            })
        };
        let path = |what: &str| options.task.figures.join(format!("average_{what}_{}.svg", task.name));
        let x = ("batch size", (self.sizes[0] as f64..self.sizes[self.sizes.len() - 1] as f64).log_scale().base(2.0));
        println!("figures: {}, {}", path("accuracy").display(), path("sharpness").display());

        plot::svg(&path("accuracy"), (800, 480), |root| {
            let title = format!("{}: held-out accuracy after {epochs} epochs", task.name);
            let mut chart = plot::axes(root, &title, x.clone(), ("accuracy, % (on the edge: below)", 90.0..100.0))?;
            lines::draw(&mut chart, 90.0..100.0, lines(|worth| worth.test))?;
            plot::legend(&mut chart, SeriesLabelPosition::LowerLeft)
        })?;
        plot::svg(&path("sharpness"), (800, 480), |root| {
            let title = format!("{}: sharpness after {epochs} epochs", task.name);
            let y = ("largest eigenvalue of the Hessian", (0.001..100.0).log_scale());
            let mut chart = plot::axes(root, &title, x.clone(), y)?;
            lines::draw(&mut chart, 0.001..100.0, lines(|worth| worth.sharpness))?;
            plot::legend(&mut chart, SeriesLabelPosition::LowerRight)
        })
    }
}

/// The least, the middle and the largest of the runs' values for some weights.
fn of_seeds(runs: &[Run], which: usize, value: fn(&Worth) -> f64) -> [f64; 3] {
    spread(runs.iter().map(|run| value(&run[which])))
}
