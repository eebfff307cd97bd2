//! Trains one network with batch sizes from 1 to thousands and compares accuracy and sharpness after equal epochs, after
//! equal updates, and at equal training loss.
//!
//! ```sh
//! cargo run --release --bin batch_size                           # the embedded digits: minutes
//! cargo run --release --bin batch_size -- --quick                # seconds, too short to show much
//! cargo run --release --bin batch_size -- --data MNIST_DIR       # half an hour on two cores
//! ```
//!
//! The rule is plain SGD, with a fixed learning rate and with one scaled with the batch size (Goyal et al. 2017). Both
//! are the same at batch size 32. The same options print the same lines. On another platform the last digits may differ,
//! because its `exp`, its `ln` and its products of matrices may. README.md discusses the results.

#[path = "../../../common/mod.rs"]
mod common;
#[path = "../lines.rs"]
mod lines;
#[path = "../task.rs"]
mod task;

use anyhow::{Result, ensure};
use clap::Parser;
use common::plot::{self, COLORS};
use gradstep::{Batcher, Error, Optimizer, Schedule, Sgd};
use indicatif::{ProgressBar, ProgressStyle};
use lines::{Line, spread};
use plotters::prelude::*;
use rayon::prelude::*;
use task::Task;

/// Shows what the batch size does to accuracy and to the minimum found.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    task: task::Options,
    /// The learning rate: of every batch size, or, scaled with the batch size, of 32
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f64,
    /// The number of passes over the training samples [default: 32, with --data 16]
    #[arg(long)]
    epochs: Option<u64>,
    /// The number of updates after which to compare, and for which to train if the epochs have fewer
    /// [default: 4096, with --data 8192]
    #[arg(long)]
    updates: Option<u64>,
    /// The training loss at which to compare [default: 0.05, with --data 0.1]
    #[arg(long)]
    target: Option<f64>,
    /// The number of runs, each with its own seed, for each batch size and rule [default: 5, with --data 3]
    #[arg(long)]
    seeds: Option<u64>,
    /// 2 seeds, 1 epoch, 16 updates
    #[arg(long, conflicts_with_all = ["seeds", "epochs", "updates"])]
    quick: bool,
}

/// The batch size at which both rules have the same learning rate.
const REFERENCE: usize = 32;
const RULES: [&str; 2] = ["fixed", "scaled"];
/// About ln 10, the loss of a network that has learnt nothing.
const CHANCE: f64 = 2.28;

/// All that decides the results.
struct Experiment {
    task: Task,
    sizes: Vec<usize>,
    learning_rate: f64,
    epochs: u64,
    updates: u64,
    target: f64,
    seeds: u64,
}

/// The network at one moment of its training.
struct Moment {
    epochs: f64,
    loss: f64,
    training: f64, // accuracy, %
    test: f64,
    sharpness: f64,
}

/// The moments that a run keeps: after equal epochs, after equal updates, at equal training loss.
type Run = [Option<Moment>; 3];
const EPOCHS: usize = 0;
const UPDATES: usize = 1;
const TARGET: usize = 2;

/// A column of the table: the gap before it, its width and heading, the moment, the digits, and the value.
type Column = (&'static str, usize, &'static str, usize, usize, fn(&Moment) -> f64);

/// By rule, batch size and seed.
type Runs = Vec<Vec<Vec<Run>>>;

fn main() -> Result<()> {
    let options = Options::parse();
    let experiment = Experiment::new(&options)?;
    let runs = experiment.train_all()?;
    experiment.print_table(&runs);
    experiment.draw(&options, &runs)
}

impl Experiment {
    fn new(options: &Options) -> Result<Self> {
        let task = Task::new(&options.task)?;
        // MNIST has twelve times the pixels of the digits and eight times the samples. So fewer sizes, up to a quarter.
        let (mnist, len) = (options.task.data.is_some(), task.data.train.len());
        let sizes = if mnist { task::sizes(4, len).collect() } else { task::sizes(2, len).chain([len]).collect() };
        let (epochs, updates, target, seeds) = if mnist { (16, 8192, 0.1, 3) } else { (32, 4096, 0.05, 5) };
        let (epochs, updates, seeds) = if options.quick { (1, 16, 2) } else { (epochs, updates, seeds) };
        let seeds = options.seeds.unwrap_or(seeds);
        ensure!(seeds >= 1, "seeds is 0, expected at least 1");
        Ok(Experiment {
            task,
            sizes,
            learning_rate: options.learning_rate,
            epochs: options.epochs.unwrap_or(epochs),
            updates: options.updates.unwrap_or(updates),
            target: options.target.unwrap_or(target),
            seeds,
        })
    }

    /// Trains with every rule, batch size and seed, as many at once as there are cores.
    fn train_all(&self) -> Result<Runs> {
        let bar = ProgressBar::new((RULES.len() * self.sizes.len()) as u64 * self.seeds)
            .with_style(ProgressStyle::with_template("training {bar:32} {pos}/{len} {elapsed}, {eta} to go")?);
        let train = |rule, size, seed| self.train(rule, size, seed).inspect(|_| bar.inc(1));
        let all_seeds = |rule, size| (0..self.seeds).into_par_iter().map(|seed| train(rule, size, seed)).collect();
        let all_sizes = |rule| self.sizes.par_iter().map(|&size| all_seeds(rule, size)).collect();
        let runs = (0..RULES.len()).into_par_iter().map(all_sizes).collect::<Result<Runs, Error>>()?;
        bar.finish_and_clear();
        Ok(runs)
    }

    fn train(&self, rule: usize, batch_size: usize, seed: u64) -> Result<Run, Error> {
        let Experiment { task, epochs, .. } = self;
        let len = task.data.train.len();
        let batcher = Batcher::new(len, batch_size, seed)?;
        // A rate scaled up starts at the fixed one and climbs over five epochs, as in the paper.
        let scale = if rule == 0 { 1.0 } else { batch_size as f64 / REFERENCE as f64 };
        let (learning_rate, warmup) = (scale * self.learning_rate, 5 * batcher.batches_per_epoch() as u64);
        let schedule = Schedule::linear(learning_rate.min(self.learning_rate), learning_rate, warmup)?;
        let mut sgd = Sgd::new(learning_rate)?;
        let mut params = task.layers.initial(seed);
        let mut grads = vec![0.0; params.len()];
        let mut run = Run::default();
        for epoch in 1.. {
            for (batch, done) in batcher.epoch(epoch - 1).iter().zip(1..) {
                task.loss_and_gradient(&params, batch, &mut grads);
                sgd.set_learning_rate(schedule.at(sgd.steps()))?;
                sgd.step(&mut params, &grads)?;
                if sgd.steps() == self.updates {
                    run[UPDATES] = self.moment(&params, (epoch - 1) as f64 + (done * batch_size) as f64 / len as f64);
                }
            }
            let loss = task.probe_loss(&params);
            if !loss.is_finite() || (epoch > *epochs && loss > CHANCE) {
                break; // it will not learn any more
            }
            if loss <= self.target && run[TARGET].is_none() {
                run[TARGET] = self.moment(&params, epoch as f64);
            }
            if epoch == *epochs {
                run[EPOCHS] = self.moment(&params, epoch as f64);
            }
            if epoch >= *epochs && sgd.steps() >= self.updates {
                break;
            }
        }
        Ok(run)
    }

    fn moment(&self, params: &[f32], epochs: f64) -> Option<Moment> {
        let Task { data, layers, .. } = &self.task;
        let loss = self.task.probe_loss(params);
        let [training, test] = [&data.train, &data.held_out].map(|samples| 100.0 * layers.accuracy(params, samples));
        let sharpness = if loss < CHANCE { self.task.sharpness(params) } else { f64::NAN };
        loss.is_finite().then_some(Moment { epochs, loss, training, test, sharpness })
    }

    fn print_table(&self, runs: &Runs) {
        let Experiment { epochs, updates, target, seeds, .. } = self;
        let columns: [Column; 8] = [
            (" | ", 15, "training loss", EPOCHS, 4, |moment| moment.loss),
            ("  ", 12, "training %", EPOCHS, 2, |moment| moment.training),
            ("  ", 12, "test %", EPOCHS, 2, |moment| moment.test),
            ("  ", 14, "sharpness", EPOCHS, 3, |moment| moment.sharpness),
            (" | ", 12, "test %", UPDATES, 2, |moment| moment.test),
            (" | ", 10, "epochs", TARGET, 1, |moment| moment.epochs),
            ("  ", 12, "test %", TARGET, 2, |moment| moment.test),
            ("  ", 14, "sharpness", TARGET, 3, |moment| moment.sharpness),
        ];
        println!("\nthe middle of {seeds} seeds ± half their spread; -: not every seed came to it");
        println!("              | after {epochs:2} epochs{:46} | {updates} updates | at training loss {target}", "");
        let headings = columns.map(|(gap, width, heading, ..)| format!("{gap}{heading:>width$}"));
        println!("rate    batch{}", headings.concat());
        for (rule, runs) in RULES.iter().zip(runs) {
            for (size, runs) in self.sizes.iter().zip(runs) {
                let cells = columns.map(|(gap, width, _, when, digits, value)| {
                    let [least, middle, most] = of_seeds(runs, when, value);
                    let half = (most - least) / 2.0;
                    let cell =
                        if middle.is_nan() { "-".into() } else { format!("{middle:.digits$} ±{half:.digits$}") };
                    format!("{gap}{cell:>width$}")
                });
                println!("{rule:6} {size:>6}{}", cells.concat());
            }
        }
    }

    fn draw(&self, options: &Options, runs: &Runs) -> Result<()> {
        let Experiment { task, epochs, target, .. } = self;
        let lines = |what: &str, opacity: f64, when: usize, value: fn(&Moment) -> f64| {
            [0, 1].map(|rule| Line {
                name: format!("{} rate{what}", RULES[rule]),
                color: COLORS[1 - rule].mix(opacity),
                points: (self.sizes.iter().zip(&runs[rule]))
                    .map(|(&size, runs)| (size as f64, of_seeds(runs, when, value)))
                    .collect(),
            })
        };
        let path = |what: &str| options.task.figures.join(format!("batch_size_{what}_{}.svg", task.name));
        let x = ("batch size", (1.0..self.sizes[self.sizes.len() - 1] as f64).log_scale().base(2.0));
        println!("figures: {}, {}", path("accuracy").display(), path("sharpness").display());

        plot::svg(&path("accuracy"), (800, 480), |root| {
            let title = format!("{}: accuracy after {epochs} epochs", task.name);
            let y = ("accuracy, % (on the edge: below)", 90.0..100.0);
            let mut chart = plot::axes(root, &title, x.clone(), y)?;
            let training = lines(", training", 0.4, EPOCHS, |moment| moment.training);
            let test = lines(", test", 1.0, EPOCHS, |moment| moment.test);
            lines::draw(&mut chart, 90.0..100.0, training.into_iter().chain(test))?;
            plot::legend(&mut chart, SeriesLabelPosition::LowerLeft)
        })?;
        plot::svg(&path("sharpness"), (800, 480), |root| {
            let title = format!("{}: sharpness after {epochs} epochs, and at training loss {target}", task.name);
            let y = ("largest eigenvalue of the Hessian", (0.01..100.0).log_scale());
            let mut chart = plot::axes(root, &title, x.clone(), y)?;
            let after = lines(&format!(", {epochs} epochs"), 0.4, EPOCHS, |moment| moment.sharpness);
            let at = lines(&format!(", loss {target}"), 1.0, TARGET, |moment| moment.sharpness);
            lines::draw(&mut chart, 0.01..100.0, after.into_iter().chain(at))?;
            plot::legend(&mut chart, SeriesLabelPosition::LowerRight)
        })
    }
}

/// The least, the middle and the largest of the runs' values at one moment; NaN if a run has none.
fn of_seeds(runs: &[Run], when: usize, value: fn(&Moment) -> f64) -> [f64; 3] {
    spread(runs.iter().map(|run| run[when].as_ref().map_or(f64::NAN, value)))
}
