//! Does the gradient noise scale predict how large a batch is worth its cost? Searches the best learning rate of each
//! batch size, counts the epochs to a training loss, and measures the noise scale on the way.
//!
//! ```sh
//! cargo run --release --bin noise_scale                          # the embedded digits: minutes
//! cargo run --release --bin noise_scale -- --quick               # seconds, too short to show much
//! cargo run --release --bin noise_scale -- --data MNIST_DIR      # a quarter of an hour on two cores
//! ```
//!
//! The rule is plain SGD at a constant rate. The same options print the same lines. On another platform the last digits
//! may differ, because its `exp`, its `ln` and its products of matrices may. README.md discusses the results.

#[path = "../../../common/mod.rs"]
mod common;
#[path = "../lines.rs"]
mod lines;
#[path = "../task.rs"]
mod task;

use anyhow::{Result, ensure};
use clap::Parser;
use common::plot::{self, COLORS};
use gradstep::{Batcher, Error, NoiseScale, Optimizer, Sgd, global_norm};
use indicatif::{ProgressBar, ProgressStyle};
use lines::{Line, spread};
use plotters::prelude::*;
use rayon::prelude::*;
use task::Task;

/// Compares the gradient noise scale with the batch size at which the epochs to a target double.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    task: task::Options,
    /// The training loss to reach [default: 0.05, with --data 0.1]
    #[arg(long)]
    target: Option<f64>,
    /// The number of runs, each with its own seed, for each batch size and learning rate
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// 2 seeds, a target of 0.5
    #[arg(long, conflicts_with_all = ["seeds", "target"])]
    quick: bool,
}

struct Experiment {
    task: Task,
    target: f64,
    seeds: u64,
}

/// What the search found for one batch size.
struct Best {
    batch_size: usize,
    learning_rate: f64,
    /// Until the target: the least, the middle and the largest of the seeds.
    epochs: [f64; 3],
    /// All rates that were tried, and the middle of their epochs; infinite: longer than another rate, or never.
    tried: Vec<(f64, f64)>,
}

/// How often in an epoch the loss is measured.
const CHECKS: usize = 8;
/// In the run whose noise is measured.
const REFERENCE: usize = 64;

fn main() -> Result<()> {
    let options = Options::parse();
    let task = Task::new(&options.task)?;
    let target = match options.task.data {
        _ if options.quick => 0.5,
        None => options.target.unwrap_or(0.05),
        Some(_) => options.target.unwrap_or(0.1),
    };
    let seeds = if options.quick { 2 } else { options.seeds };
    ensure!(seeds >= 1, "seeds is 0, expected at least 1");
    let experiment = Experiment { task, target, seeds };
    let best = experiment.search_all()?;
    let doubling = doubling(&best);
    println!("epochs double at a batch of {doubling:.0}");
    let noise_scales = experiment.noise_scales(&best)?;
    experiment.draw(&options, &best, &noise_scales)
}

impl Experiment {
    /// Finds the best rate of each batch size, the sizes side by side on all cores.
    fn search_all(&self) -> Result<Vec<Best>> {
        let task = &self.task;
        let len = task.data.train.len();
        let sizes: Vec<usize> = task::sizes(4, len).chain([len]).collect();
        let bar = ProgressBar::new(sizes.len() as u64)
            .with_style(ProgressStyle::with_template("searching {bar:32} {pos}/{len} sizes {elapsed}")?);
        // The longest first.
        let search = |&size| self.search(size).inspect(|_| bar.inc(1));
        let mut best = sizes.par_iter().rev().with_max_len(1).map(search).collect::<Result<Vec<Best>, Error>>()?;
        bar.finish_and_clear();
        best.reverse();
        println!("epochs to training loss {}: the middle of {} seeds, least to largest", self.target, self.seeds);
        println!(" batch   rate     epochs                  updates   rates tried, and their epochs");
        for Best { batch_size, learning_rate, epochs: [least, middle, most], tried } in &best {
            let updates = middle * len as f64 / *batch_size as f64;
            let tried = tried.iter().map(|(rate, epochs)| format!("{rate}: {epochs:.1}")).collect::<Vec<_>>();
            println!(
                "{batch_size:6} {learning_rate:7} {middle:9.2} ({least:.2} to {most:.2}) {updates:9.0}   {}",
                tried.join(", ")
            );
        }
        Ok(best)
    }

    /// Doubles and halves the learning rate as long as that saves epochs.
    fn search(&self, batch_size: usize) -> Result<Best, Error> {
        // Low enough to learn at all: from there the search climbs.
        let start = 0.4 * (batch_size as f64 / 32.0).min(1.0);
        let mut best = Best { batch_size, learning_rate: start, epochs: [f64::INFINITY; 3], tried: Vec::new() };
        best.try_rate(self, start)?;
        for factor in [2.0, 0.5] {
            while best.try_rate(self, factor * best.learning_rate)? {}
        }
        best.tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(best)
    }

    /// The epochs until the training loss is at the target; infinite if they are more than `limit`. Calls `check` with
    /// the parameters whenever it has measured the loss.
    fn train(
        &self,
        batch_size: usize,
        learning_rate: f64,
        seed: u64,
        limit: f64,
        mut check: impl FnMut(&[f32]) -> Result<(), Error>,
    ) -> Result<f64, Error> {
        let task = &self.task;
        let batcher = Batcher::new(task.data.train.len(), batch_size, seed)?;
        let updates = batcher.batches_per_epoch();
        let between = updates.div_ceil(CHECKS);
        let mut sgd = Sgd::new(learning_rate)?;
        let mut params = task.layers.initial(seed);
        let mut grads = vec![0.0; params.len()];
        for epoch in 0.. {
            for (batch, done) in batcher.epoch(epoch).iter().zip(1..) {
                task.loss_and_gradient(&params, batch, &mut grads);
                sgd.step(&mut params, &grads)?;
                if done % between == 0 || done == updates {
                    let (loss, epochs) = (task.probe_loss(&params), epoch as f64 + done as f64 / updates as f64);
                    if loss <= self.target {
                        return Ok(epochs);
                    }
                    if !loss.is_finite() || epochs >= limit {
                        return Ok(f64::INFINITY);
                    }
                    check(&params)?;
                }
            }
        }
        unreachable!("there is always a next epoch")
    }

    /// Prints the noise scale along runs of the reference size at its best rate, by quarters of the way to the target:
    /// the mean of each part, then their ratio. Returns them.
    fn noise_scales(&self, best: &[Best]) -> Result<[f64; 5]> {
        let best = best.iter().find(|best| best.batch_size == REFERENCE).expect("the sizes are 1, 4, 16, 64, …");
        let measure = |seed| {
            let mut norms = Vec::new();
            let epochs = self.train(REFERENCE, best.learning_rate, seed, f64::INFINITY, |params| {
                norms.push(self.squared_norms(params, seed, norms.len() as u64)?);
                Ok(())
            })?;
            Ok((epochs, norms))
        };
        let runs = (0..self.seeds).into_par_iter().map(measure).collect::<Result<Vec<_>, Error>>()?;
        let mut noise_scales = [f64::NAN; 5];
        println!("noise scale along the runs with batches of {REFERENCE} at rate {}", best.learning_rate);
        for (noise_scale, (from, to)) in noise_scales.iter_mut().zip([(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]) {
            let mut noise = NoiseScale::new();
            for (_, norms) in &runs {
                let [from, to] = [from, to].map(|quarter| quarter * norms.len() / 4);
                for &[small, big] in &norms[from..to] {
                    noise.add(small, big)?;
                }
            }
            let [squared_norm, trace] =
                [noise.squared_norm(), noise.covariance_trace()].map(|mean| mean.unwrap_or(f64::NAN));
            *noise_scale = trace / squared_norm; // not positive if |G|² was lost in the noise
            println!(
                "{from}/4 to {to}/4 of the way: |G|² {squared_norm:.4}, tr Σ {trace:6.3}, noise scale {noise_scale:.0}"
            );
        }
        Ok(noise_scales)
    }

    /// The squared norm of the gradient over 1 sample (the mean of 64) and over the probe that they are from.
    fn squared_norms(&self, params: &[f32], seed: u64, check: u64) -> Result<[(usize, f64); 2], Error> {
        let probe = &self.task.probe;
        let mut grads = vec![0.0; params.len()];
        self.task.loss_and_gradient(params, probe, &mut grads);
        let big = global_norm(&[&grads])?.powi(2);
        let order = Batcher::new(probe.len(), 64, seed)?.epoch(check);
        let singles = order.batch(0).unwrap_or_default();
        let mut small = 0.0;
        for &single in singles {
            self.task.loss_and_gradient(params, &[probe[single]], &mut grads);
            small += global_norm(&[&grads])?.powi(2) / singles.len() as f64;
        }
        Ok([(1, small), (probe.len(), big)])
    }

    fn draw(&self, options: &Options, best: &[Best], noise_scales: &[f64; 5]) -> Result<()> {
        let Experiment { task, target, .. } = self;
        let path = options.task.figures.join(format!("noise_scale_{}.svg", task.name));
        println!("figure: {}", path.display());
        plot::svg(&path, (800, 720), |root| {
            let (upper, lower) = root.split_vertically(400);
            let x = ("batch size", (1.0..task.data.train.len() as f64).log_scale().base(2.0));
            let over = |value: fn(&Best) -> [f64; 3]| {
                let reached = best.iter().filter(|best| best.epochs[2].is_finite());
                reached.map(|best| (best.batch_size as f64, value(best))).collect()
            };

            let title = format!("{}: epochs to training loss {target}, at the best rate of each size", task.name);
            let mut chart = plot::axes(&upper, &title, x.clone(), ("epochs", (1.0..1024.0).log_scale().base(2.0)))?;
            let mut lines =
                vec![Line { name: "epochs".into(), color: COLORS[1].mix(1.0), points: over(|best| best.epochs) }];
            let [first, .., whole] = noise_scales;
            for (name, noise_scale, opacity) in [("at first", first, 0.3), ("on the whole way", whole, 0.6)] {
                lines.push(Line {
                    name: format!("noise scale {name}: {noise_scale:.0}"),
                    color: BLACK.mix(opacity),
                    points: vec![(*noise_scale, [1.0, 1.0, 1024.0])],
                });
            }
            lines::draw(&mut chart, 1.0..1024.0, lines)?;
            plot::legend(&mut chart, SeriesLabelPosition::UpperLeft)?;

            let mut chart =
                plot::axes(&lower, "the best learning rate", x, ("learning rate", (0.001..10.0).log_scale()))?;
            let points = over(|best| [best.learning_rate; 3]);
            lines::draw(&mut chart, 0.001..10.0, [Line { name: String::new(), color: COLORS[0].mix(1.0), points }])
        })
    }
}

impl Best {
    /// Tries a rate with every seed; keeps it, and returns true, if its epochs are fewer.
    fn try_rate(&mut self, experiment: &Experiment, learning_rate: f64) -> Result<bool, Error> {
        if self.tried.iter().any(|&(tried, _)| tried == learning_rate) {
            return Ok(false);
        }
        // A run that takes longer than this is not the best.
        let limit = if self.epochs[1].is_finite() { 1.5 * self.epochs[1] } else { 4096.0 };
        let train = |seed| experiment.train(self.batch_size, learning_rate, seed, limit, |_| Ok(()));
        let epochs = (0..experiment.seeds).into_par_iter().map(train).collect::<Result<Vec<f64>, Error>>()?;
        let epochs = spread(epochs);
        self.tried.push((learning_rate, epochs[1]));
        let better = epochs[1] < self.epochs[1];
        if better {
            (self.learning_rate, self.epochs) = (learning_rate, epochs);
        }
        Ok(better)
    }
}

/// The batch size at which the epochs are twice the fewest, between two sizes on a straight line in logarithms.
fn doubling(best: &[Best]) -> f64 {
    let fewest = best.iter().map(|best| best.epochs[1]).fold(f64::INFINITY, f64::min);
    let log = |best: &Best| ((best.batch_size as f64).ln(), (best.epochs[1] / (2.0 * fewest)).ln());
    let crossing = best.windows(2).rfind(|pair| pair[0].epochs[1] <= 2.0 * fewest && pair[1].epochs[1] > 2.0 * fewest);
    crossing.map_or(f64::NAN, |pair| {
        let ((x0, y0), (x1, y1)) = (log(&pair[0]), log(&pair[1]));
        (x0 - y0 * (x1 - x0) / (y1 - y0)).exp()
    })
}
