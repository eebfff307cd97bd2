//! Trains one network with batch sizes from 1 to the whole set and shows what the batch size changes: the time of an
//! update and of an epoch, the accuracy, and the sharpness of the minimum. Also shows how [`NoiseScale`] tells a
//! good batch size in advance.
//!
//! ```sh
//! cargo run --release --example batch_size                       # the embedded digits
//! cargo run --release --example batch_size -- --quick            # the same, too short to show much
//! cargo run --release --example batch_size -- --data MNIST_DIR --samples 5000 --seeds 2 --updates 1024
//! ```
//!
//! The rule is plain SGD, with a fixed learning rate and with one scaled with the batch size (Goyal et al. 2017). Both
//! are the same at batch size 32. Prints a table and draws five figures. The same options print the same lines, except
//! those that start with `time`. On another platform the last digits may differ, because its `exp` and `ln` may.
//! `examples/README.md` discusses the results.

mod common;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use common::data::{self, Samples, Split};
use common::network::Network;
use common::plot::{self, COLORS};
use gradstep::{Batcher, Error, NoiseScale, Optimizer, Sgd, global_norm, schedule};
use indicatif::{ProgressBar, ProgressStyle};
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use rayon::prelude::*;

/// Shows what the batch size does to speed, accuracy and the minimum found.
#[derive(Parser)]
struct Options {
    /// A folder with the four files of MNIST, raw or .gz, to use in place of the embedded digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Train on the first samples only: this many
    #[arg(long)]
    samples: Option<usize>,
    /// The learning rate: of every batch size, or, scaled with the batch size, of 32
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f32,
    /// The number of passes over the training samples
    #[arg(long, default_value_t = 32)]
    epochs: u64,
    /// The number of updates after which to compare; training goes on until then if the epochs have fewer
    #[arg(long, default_value_t = 4096)]
    updates: u64,
    /// The training loss at which to compare
    #[arg(long, default_value_t = 0.05)]
    target: f64,
    /// The number of runs, each with its own seed, for each batch size and rule
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// 2 seeds, 2 epochs, 16 updates, one round of timing
    #[arg(long, conflicts_with_all = ["seeds", "epochs", "updates"])]
    quick: bool,
    /// Where to write the figures
    #[arg(long, value_name = "DIR", default_value = "target/figures")]
    figures: PathBuf,
}

/// The batch size at which both rules have the same learning rate.
const REFERENCE: usize = 32;
const RULES: [&str; 2] = ["fixed", "scaled"];
/// About ln 10, the loss of a network that has learnt nothing.
const CHANCE: f64 = 2.28;

/// All that decides the results.
struct Experiment {
    options: Options,
    name: &'static str,
    data: Split,
    network: Network,
    sizes: Vec<usize>,
    /// The training samples on which loss and sharpness are measured: every fifth (the embedded digits not shifted).
    probe: Vec<usize>,
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
const EPOCHS: usize = 0;
const UPDATES: usize = 1;
const TARGET: usize = 2;

#[derive(Default)]
struct Run {
    moments: [Option<Moment>; 3],
    noise: Vec<[(usize, f64); 2]>, // batch sizes and squared norms after each epoch, with the reference batch size
}

/// A column of the table: the gap before it, its width and heading, the moment, the digits, and the value.
type Column = (&'static str, usize, &'static str, usize, usize, fn(&Moment) -> f64);

/// By rule, batch size and seed.
type Runs = Vec<Vec<Vec<Run>>>;

fn main() -> Result<()> {
    let experiment = Experiment::new(Options::parse())?;
    let seconds = experiment.time()?;
    let runs = experiment.train_all()?;
    experiment.print_table(&runs);
    let noise_scales = experiment.noise_scales(&runs)?;
    experiment.draw_times(&seconds)?;
    experiment.draw_runs(&runs, &noise_scales)?;
    println!("figures: {}", experiment.options.figures.display());
    Ok(())
}

impl Experiment {
    fn new(mut options: Options) -> Result<Self> {
        if options.quick {
            (options.seeds, options.epochs, options.updates) = (2, 2, 16);
        }
        ensure!(options.seeds >= 1, "seeds is 0, expected at least 1");
        let (name, mut data) = match &options.data {
            None => ("digits", data::digits()?),
            Some(dir) => ("MNIST", data::mnist(dir)?),
        };
        if let Some(samples) = options.samples {
            let all = data.train.len();
            ensure!((64..=all).contains(&samples), "samples is {samples}, expected 64 to {all}");
            data.train.labels.truncate(samples);
            data.train.pixels.truncate(samples * data.train.inputs);
        }
        let len = data.train.len();
        let network = Network { inputs: data.train.inputs, hidden: 64, classes: 10 };
        println!("{name}: {len} training samples, {} held out, {} parameters", data.held_out.len(), network.len());
        let sizes = (0..).map(|power| 1 << power).take_while(|&size| size < len).chain([len]).collect();
        Ok(Experiment { options, name, data, network, sizes, probe: (0..len).step_by(5).collect() })
    }

    /// Measures the seconds an epoch takes, for each batch size on one thread and on all: the least time of several
    /// rounds, because whatever else the machine does only adds to it.
    fn time(&self) -> Result<Vec<[f64; 2]>> {
        let (rounds, threads) = (if self.options.quick { 1 } else { 7 }, rayon::current_num_threads());
        let bar = ProgressBar::new((rounds * self.sizes.len()) as u64);
        let mut seconds = vec![[f64::INFINITY; 2]; self.sizes.len()];
        for _ in 0..rounds {
            for (seconds, &size) in seconds.iter_mut().zip(&self.sizes) {
                for (seconds, threads) in seconds.iter_mut().zip([1, threads]) {
                    // Inside rayon's pool, because from outside each update would wait for the pool to wake up.
                    *seconds = seconds.min(rayon::scope(|_| self.time_epoch(size, threads))?);
                }
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        println!(
            "time  batch  updates | update, µs: one thread, {threads} threads | epoch, ms: one thread, {threads} threads"
        );
        for (&size, seconds) in self.sizes.iter().zip(&seconds) {
            let updates = self.data.train.len().div_ceil(size);
            let [update_one, update_all] = seconds.map(|seconds| 1e6 * seconds / updates as f64);
            let [one, all] = seconds.map(|seconds| 1e3 * seconds);
            println!("time {size:6} {updates:8} | {update_one:22.1}, {update_all:9.1} | {one:21.1}, {all:9.1}");
        }
        Ok(seconds)
    }

    /// Seconds for the gradients and steps of one epoch, with each batch split among `threads`.
    fn time_epoch(&self, batch_size: usize, threads: usize) -> Result<f64, Error> {
        let (network, samples) = (&self.network, &self.data.train);
        let mut params = network.initial(0);
        let mut grads = vec![0.0; params.len()];
        let mut sgd = Sgd::new(0.0)?; // so that every round does the same
        let epoch = Batcher::new(samples.len(), batch_size, 0)?.epoch(0);
        let start = Instant::now();
        for batch in &epoch {
            if threads == 1 {
                network.loss_and_gradient(&params, samples, batch, &mut grads);
            } else {
                let part = |part: &[usize]| {
                    let mut grads = vec![0.0; params.len()];
                    network.loss_and_gradient(&params, samples, part, &mut grads);
                    (part.len() as f32 / batch.len() as f32, grads)
                };
                let parts: Vec<_> = batch.par_chunks(batch.len().div_ceil(threads)).map(part).collect();
                grads.fill(0.0);
                for (share, part) in &parts {
                    grads.iter_mut().zip(part).for_each(|(g, part)| *g += share * part);
                }
            }
            sgd.step(&mut params, &grads)?;
        }
        Ok(start.elapsed().as_secs_f64())
    }

    /// Trains with every rule, batch size and seed, as many at once as there are cores.
    fn train_all(&self) -> Result<Runs> {
        let bar = ProgressBar::new((RULES.len() * self.sizes.len()) as u64 * self.options.seeds)
            .with_style(ProgressStyle::with_template("training {bar:32} {pos}/{len} {elapsed}, {eta} to go")?);
        let train = |rule, size, seed| self.train(rule, size, seed).inspect(|_| bar.inc(1));
        let all_seeds =
            |rule, size| (0..self.options.seeds).into_par_iter().map(|seed| train(rule, size, seed)).collect();
        let all_sizes = |rule| self.sizes.par_iter().map(|&size| all_seeds(rule, size)).collect();
        let runs = (0..RULES.len()).into_par_iter().map(all_sizes).collect::<Result<Runs, Error>>()?;
        bar.finish_and_clear();
        Ok(runs)
    }

    fn train(&self, rule: usize, batch_size: usize, seed: u64) -> Result<Run, Error> {
        let Experiment { options, data, network, .. } = self;
        let batcher = Batcher::new(data.train.len(), batch_size, seed)?;
        // A rate scaled up starts at the fixed one and climbs over five epochs, as in the paper.
        let scale = if rule == 0 { 1.0 } else { batch_size as f32 / REFERENCE as f32 };
        let (learning_rate, warmup) = (scale * options.learning_rate, 5 * batcher.batches_per_epoch() as u64);
        let schedule = schedule::linear(learning_rate.min(options.learning_rate), learning_rate, warmup)?;
        let mut sgd = Sgd::new(learning_rate)?;
        let mut params = network.initial(seed);
        let mut grads = vec![0.0; params.len()];
        let mut run = Run::default();
        for epoch in 1.. {
            for (batch, done) in batcher.epoch(epoch - 1).iter().zip(1..) {
                network.loss_and_gradient(&params, &data.train, batch, &mut grads);
                sgd.set_learning_rate(schedule(sgd.steps()))?;
                sgd.step(&mut params, &grads)?;
                if sgd.steps() == options.updates {
                    let epochs = (epoch - 1) as f64 + (done * batch_size) as f64 / data.train.len() as f64;
                    run.moments[UPDATES] = self.moment(&params, epochs);
                }
            }
            let loss = network.loss_and_gradient(&params, &data.train, &self.probe, &mut grads);
            if !loss.is_finite() || (epoch > options.epochs && loss > CHANCE) {
                break; // it will not learn any more
            }
            if batch_size == REFERENCE && epoch <= options.epochs {
                run.noise.push(self.noise(&params, &grads, seed, epoch)?);
            }
            if loss <= options.target && run.moments[TARGET].is_none() {
                run.moments[TARGET] = self.moment(&params, epoch as f64);
            }
            if epoch == options.epochs {
                run.moments[EPOCHS] = self.moment(&params, epoch as f64);
            }
            if epoch >= options.epochs && sgd.steps() >= options.updates {
                break;
            }
        }
        Ok(run)
    }

    /// The squared norm of the gradient over 1 sample (the mean of 64) and over the probe that they are from.
    fn noise(&self, params: &[f32], grads: &[f32], seed: u64, epoch: u64) -> Result<[(usize, f64); 2], Error> {
        let big = global_norm(&[grads])?.powi(2);
        let mut grads = vec![0.0; params.len()];
        let order = Batcher::new(self.probe.len(), 64, seed)?.epoch(epoch);
        let singles = order.batch(0).unwrap_or_default();
        let mut small = 0.0;
        for &single in singles {
            self.network.loss_and_gradient(params, &self.data.train, &[self.probe[single]], &mut grads);
            small += global_norm(&[&grads])?.powi(2) / singles.len() as f64;
        }
        Ok([(1, small), (self.probe.len(), big)])
    }

    fn moment(&self, params: &[f32], epochs: f64) -> Option<Moment> {
        let Experiment { data, network, probe, .. } = self;
        let loss = network.loss_and_gradient(params, &data.train, probe, &mut vec![0.0; params.len()]);
        let [training, test] = [&data.train, &data.held_out].map(|samples| 100.0 * network.accuracy(params, samples));
        let sharpness = if loss < CHANCE { sharpness(network, &data.train, probe, params) } else { f64::NAN };
        loss.is_finite().then_some(Moment { epochs, loss, training, test, sharpness })
    }

    fn print_table(&self, runs: &Runs) {
        let Options { epochs, updates, target, seeds, .. } = self.options;
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
                    let [least, middle, most] = spread(runs, when, value);
                    let half = (most - least) / 2.0;
                    let cell =
                        if middle.is_nan() { "-".into() } else { format!("{middle:.digits$} ±{half:.digits$}") };
                    format!("{gap}{cell:>width$}")
                });
                println!("{rule:6} {size:>6}{}", cells.concat());
            }
        }
    }

    /// Prints the noise scale along the runs with the reference size, by stretches of 1, 2, 4, … epochs: the mean of
    /// each part over the stretch and the seeds, then their ratio. Returns those up to the target, in rising order.
    fn noise_scales(&self, runs: &Runs) -> Result<Vec<f64>, Error> {
        let runs = &runs[0][REFERENCE.ilog2() as usize];
        let epochs_to_target = spread(runs, TARGET, |moment| moment.epochs)[1];
        let mut noise_scales = Vec::new();
        println!();
        for first in (0..).map(|power| 1 << power).take_while(|first| 2 * first - 1 <= self.options.epochs as usize) {
            let last = 2 * first - 1;
            let runs = runs.iter().filter(|run| run.noise.len() >= last);
            let mut noise = NoiseScale::new();
            for &[small, big] in runs.flat_map(|run| &run.noise[first - 1..last]) {
                noise.add(small, big)?;
            }
            let [squared_norm, trace] =
                [noise.squared_norm(), noise.covariance_trace()].map(|mean| mean.unwrap_or(f64::NAN));
            let noise_scale = trace / squared_norm;
            println!(
                "epochs {first:2} to {last:2}: |G|² {squared_norm:.4}, tr Σ {trace:6.3}, noise scale {noise_scale:.0}"
            );
            // Not positive, or NaN, if |G|² was lost in the noise.
            if first as f64 <= epochs_to_target && noise_scale > 0.0 {
                noise_scales.push(noise_scale);
            }
        }
        noise_scales.sort_by(f64::total_cmp);
        Ok(noise_scales)
    }

    fn draw_times(&self, seconds: &[[f64; 2]]) -> Result<()> {
        let lines = |unit: &dyn Fn(usize) -> f64| {
            [(1, 0), (rayon::current_num_threads(), 1)].map(|(threads, i)| Line {
                name: if threads == 1 { "one thread".into() } else { format!("{threads} threads") },
                color: COLORS[1 - i].mix(1.0),
                points: (self.sizes.iter().zip(seconds))
                    .map(|(&size, seconds)| (size as f64, [seconds[i] * unit(size); 3]))
                    .collect(),
            })
        };
        let y = ("time of one update, µs", (1.0..1e6).log_scale());
        let updates = lines(&|size| 1e6 / self.data.train.len().div_ceil(size) as f64);
        self.draw("update", "time of one update", y, SeriesLabelPosition::UpperLeft, &updates)?;
        let longest = seconds.iter().flatten().fold(0.0_f64, |a, &b| a.max(1e3 * b));
        let y = ("time of one epoch, ms", 0.0..1.1 * longest);
        self.draw("epoch", "time of one epoch", y, SeriesLabelPosition::LowerLeft, &lines(&|_| 1e3))
    }

    fn draw_runs(&self, runs: &Runs, noise_scales: &[f64]) -> Result<()> {
        let Options { epochs, target, .. } = self.options;
        let lines = |what: &str, opacity: f64, when: usize, value: fn(&Moment) -> f64| {
            [0, 1].map(|rule| Line {
                name: format!("{} rate{what}", RULES[rule]),
                color: COLORS[1 - rule].mix(opacity),
                points: (self.sizes.iter().zip(&runs[rule]))
                    .map(|(&size, runs)| (size as f64, spread(runs, when, value)))
                    .collect(),
            })
        };
        let y = ("accuracy, % (on the edge: below)", 90.0..100.0);
        let training = lines(", training", 0.4, EPOCHS, |moment| moment.training);
        let test = lines(", test", 1.0, EPOCHS, |moment| moment.test);
        let title = format!("accuracy after {epochs} epochs");
        self.draw("accuracy", &title, y, SeriesLabelPosition::LowerLeft, training.iter().chain(&test))?;

        let y = ("largest eigenvalue of the Hessian", (0.001..10.0).log_scale());
        let after = lines(&format!(", {epochs} epochs"), 0.4, EPOCHS, |moment| moment.sharpness);
        let at = lines(&format!(", loss {target}"), 1.0, TARGET, |moment| moment.sharpness);
        let title = format!("sharpness after {epochs} epochs, and at training loss {target}");
        self.draw("sharpness", &title, y, SeriesLabelPosition::LowerRight, after.iter().chain(&at))?;

        let y = ("epochs", (1.0..4096.0).log_scale().base(2.0));
        let mut lines = Vec::from(lines("", 1.0, TARGET, |moment| moment.epochs));
        lines.extend(noise_scales.first().into_iter().chain(noise_scales.last()).map(|&noise_scale| Line {
            name: format!("noise scale {noise_scale:.0}"),
            color: BLACK.mix(0.5),
            points: vec![(noise_scale, [1.0, 1.0, 4096.0])],
        }));
        let title = format!("epochs to training loss {target}");
        self.draw("noise_scale", &title, y, SeriesLabelPosition::UpperLeft, &lines)
    }

    /// Draws lines over the batch size, with a dot at each middle value and a bar from the least to the largest.
    fn draw<'a, Y: AsRangedCoord<Value = f64>>(
        &self,
        file: &str,
        title: &str,
        y: (&str, Y),
        corner: SeriesLabelPosition,
        lines: impl IntoIterator<Item = &'a Line>,
    ) -> Result<()>
    where
        Y::CoordDescType: ValueFormatter<f64>,
    {
        plot::svg(&self.options.figures.join(format!("batch_size_{file}.svg")), (800, 480), |root| {
            let x = ("batch size", (1.0..self.data.train.len() as f64).log_scale().base(2.0));
            let mut chart = plot::axes(root, &format!("{}: {title}", self.name), x, y)?;
            let range = chart.y_range();
            let inside = |value: f64| value.clamp(range.start, range.end);
            for Line { name, color, points } in lines {
                for part in points.split(|(_, values)| values[0].is_nan()) {
                    let middle = part.iter().map(|&(x, [_, middle, _])| (x, inside(middle)));
                    chart.draw_series(LineSeries::new(middle, color.stroke_width(2)).point_size(3))?;
                }
                let bars = points
                    .iter()
                    .filter(|(_, values)| !values[0].is_nan())
                    .map(|&(x, [least, _, most])| PathElement::new([(x, inside(least)), (x, inside(most))], color));
                plot::label(chart.draw_series(bars)?, name, color);
            }
            plot::legend(&mut chart, corner)
        })
    }
}

/// One line of a chart: at each x the least, the middle and the largest value. A NaN interrupts the line.
struct Line {
    name: String,
    color: RGBAColor,
    points: Vec<(f64, [f64; 3])>,
}

/// The least, the middle and the largest of the runs' values at one moment; NaN if a run has none.
fn spread(runs: &[Run], when: usize, value: fn(&Moment) -> f64) -> [f64; 3] {
    let values = runs.iter().map(|run| run.moments[when].as_ref().map_or(f64::NAN, value));
    let mut values = values.collect::<Vec<f64>>();
    values.sort_by(f64::total_cmp); // NaN last
    let most = values[values.len() - 1];
    if most.is_nan() { [most; 3] } else { [values[0], values[values.len() / 2], most] }
}

/// The largest eigenvalue of the loss's Hessian H, by power iteration: H v ≈ (g(θ + εv) - g(θ - εv)) / 2ε.
fn sharpness(network: &Network, samples: &Samples, probe: &[usize], params: &[f32]) -> f64 {
    const EPSILON: f32 = 1e-2;
    let gradient = |sign: f32, v: &[f32]| {
        let moved: Vec<f32> = params.iter().zip(v).map(|(p, v)| p + sign * EPSILON * v).collect();
        let mut grads = vec![0.0; params.len()];
        network.loss_and_gradient(&moved, samples, probe, &mut grads);
        grads
    };
    let norm = |v: &[f32]| v.iter().map(|v| v * v).sum::<f32>().sqrt();
    let mut v = network.initial(1); // any direction will do
    let mut eigenvalue = 0.0;
    for _ in 0..20 {
        let length = norm(&v);
        if length == 0.0 {
            break; // flat to the last digit
        }
        v.iter_mut().for_each(|v| *v /= length);
        let product: Vec<f32> =
            gradient(1.0, &v).iter().zip(gradient(-1.0, &v)).map(|(a, b)| (a - b) / (2.0 * EPSILON)).collect();
        eigenvalue = product.iter().zip(&v).map(|(p, v)| f64::from(p * v)).sum();
        v = product;
    }
    eigenvalue
}
