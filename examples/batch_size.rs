//! Trains one network with batch sizes from 1 to the whole set and shows what the size does: to the time of an update and
//! of an epoch, to accuracy, to the sharpness of the minimum, and how [`gradient_noise`] tells a good size beforehand.
//!
//! ```sh
//! cargo run --release --example batch_size                       # the embedded digits
//! cargo run --release --example batch_size -- --quick            # the same in seconds, to look at the code by
//! cargo run --release --example batch_size -- --data MNIST_DIR --samples 5000 --seeds 2 --updates 1024
//! ```
//!
//! Plain SGD, with the learning rate fixed, and scaled with the batch (Goyal et al. 2017); both are the same at batch size
//! 32. Prints a table and draws five figures. The same options print the same lines, but for those that begin with `time`;
//! on another platform the last digits may differ, as `exp` and `ln` are the platform's. `examples/README.md` tells the story.

mod common;

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use common::data::{self, Samples, Split};
use common::network::Network;
use common::plot::{self, Axis, Line};
use gradstep::{Batcher, Error, Optimizer, Sgd, global_norm, gradient_noise, schedule};
use indicatif::{ProgressBar, ProgressStyle};
use plotters::chart::SeriesLabelPosition::{LowerLeft, LowerRight, UpperLeft};
use plotters::style::RGBColor;
use rayon::prelude::*;

/// Shows what the batch size does to speed, accuracy and the minimum that is found.
#[derive(Parser)]
struct Options {
    /// A folder with the four files of MNIST, raw or .gz, to train on instead of the embedded digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Train on the first so many samples only
    #[arg(long)]
    samples: Option<usize>,
    /// The learning rate of every batch size, and, scaled with the batch, of batch size 32
    #[arg(long, default_value_t = 0.1)]
    learning_rate: f32,
    /// How often to go through the training samples
    #[arg(long, default_value_t = 32)]
    epochs: u64,
    /// How many updates to compare after; where they take longer than the epochs, training goes on until then
    #[arg(long, default_value_t = 4096)]
    updates: u64,
    /// The training loss to which the epochs are counted
    #[arg(long, default_value_t = 0.05)]
    target: f64,
    /// How many runs with different seeds for each batch size and rule
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
const RULES: [(&str, RGBColor); 2] = [("fixed", RGBColor(31, 119, 180)), ("scaled", RGBColor(214, 39, 40))];
/// About ln 10, the loss of a network that has learnt nothing.
const CHANCE: f64 = 2.28;
const LIGHT: [RGBColor; 2] = [RGBColor(158, 202, 225), RGBColor(252, 174, 145)];
const GREY: RGBColor = RGBColor(110, 110, 110);

/// The network at one moment of its training. `loss` and `sharpness` are over the probe, a fifth of the training samples.
struct Moment {
    epochs: f64,
    loss: f64,
    training: f64, // accuracy, %
    test: f64,
    sharpness: f64,
}

/// Which moments a run keeps: after equal epochs, after equal updates, at equal training loss.
const EPOCHS: usize = 0;
const UPDATES: usize = 1;
const TARGET: usize = 2;

#[derive(Default)]
struct Run {
    moments: [Option<Moment>; 3],
    noise: Vec<(f64, f64)>, // |G|² and tr Σ after each epoch, with the reference batch size
}

fn main() -> Result<()> {
    let mut options = Options::parse();
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
    let sizes: Vec<usize> = (0..).map(|power| 1 << power).take_while(|&size| size < len).chain([len]).collect();
    println!("{name}: {len} training samples, {} held out, {} parameters", data.held_out.len(), network.len());

    // Time. The least of several rounds, since whatever else the machine does only adds to it.
    let rounds = if options.quick { 1 } else { 7 };
    let progress = |jobs: usize, what: &'static str| -> Result<ProgressBar> {
        let style = ProgressStyle::with_template("{msg} {bar:32} {pos}/{len} {elapsed}, {eta} to go")?;
        Ok(ProgressBar::new(jobs as u64).with_style(style).with_message(what))
    };
    let threads = rayon::current_num_threads();
    let bar = progress(rounds * sizes.len(), "timing")?;
    let mut seconds = vec![[f64::INFINITY; 2]; sizes.len()]; // an epoch's, on one thread and on all
    for _ in 0..rounds {
        for (seconds, &size) in seconds.iter_mut().zip(&sizes) {
            for (seconds, threads) in seconds.iter_mut().zip([1, threads]) {
                // Inside rayon's pool: from outside, each update would begin with a wait for it to wake.
                let epoch = rayon::scope(|_| time_of_an_epoch(&network, &data.train, size, threads))?;
                *seconds = seconds.min(epoch);
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    println!(
        "time  batch  updates | update, µs: one thread, {threads} threads | epoch, ms: one thread, {threads} threads"
    );
    for (&size, &[one, all]) in sizes.iter().zip(&seconds) {
        let updates = len.div_ceil(size);
        let [update_one, update_all] = [one, all].map(|seconds| 1e6 * seconds / updates as f64);
        let [one, all] = [one, all].map(|seconds| 1e3 * seconds);
        println!("time {size:6} {updates:8} | {update_one:22.1}, {update_all:9.1} | {one:21.1}, {all:9.1}");
    }

    // Training: every rule, batch size and seed, as many at once as there are cores. The order changes nothing.
    let mut jobs = Vec::new();
    for rule in 0..RULES.len() {
        for &size in &sizes {
            jobs.extend((0..options.seeds).map(|seed| (rule, size, seed)));
        }
    }
    let bar = progress(jobs.len(), "training")?;
    let train = |&(rule, size, seed): &(usize, usize, u64)| {
        let scale = if rule == 0 { 1.0 } else { size as f32 / REFERENCE as f32 };
        let run = train(&network, &data, size, scale, seed, &options);
        bar.inc(1);
        run
    };
    let runs = jobs.par_iter().map(train).collect::<Result<Vec<Run>, Error>>()?;
    bar.finish_and_clear();

    // A value of all seeds' runs with a rule and a batch size: least, middle, most; NaN where one of them has none.
    let runs_with = |rule, size| jobs.iter().zip(&runs).filter(move |(job, _)| (job.0, job.1) == (rule, size));
    let spread = |rule: usize, size: usize, when: usize, value: fn(&Moment) -> f64| {
        let values = runs_with(rule, size).map(|(_, run)| run.moments[when].as_ref().map_or(f64::NAN, value));
        let mut values = values.collect::<Vec<f64>>();
        values.sort_by(f64::total_cmp); // NaN last
        let most = values[values.len() - 1];
        if most.is_nan() { [most; 3] } else { [values[0], values[values.len() / 2], most] }
    };
    let (epochs, updates, target) = (options.epochs, options.updates, options.target);
    println!("\nthe middle of {} seeds ± half their spread; -: not every seed came to it", options.seeds);
    println!("              | after {epochs:2} epochs{:46} | {updates} updates | at training loss {target}", "");
    let columns = ["training loss", "training %", "test %", "sharpness", "test %", "epochs", "test %", "sharpness"];
    let row = |rate: &str, size: &str, [a, b, c, d, e, f, g, h]: [String; 8]| {
        println!("{rate:6} {size:>6} | {a:>15}  {b:>12}  {c:>12}  {d:>14} | {e:>12} | {f:>10}  {g:>12}  {h:>14}");
    };
    row("rate", "batch", columns.map(String::from));
    for (rule, (name, _)) in RULES.iter().enumerate() {
        for &size in &sizes {
            let cell = |when, digits: usize, value| {
                let [least, middle, most] = spread(rule, size, when, value);
                let half = (most - least) / 2.0;
                if middle.is_nan() { "-".into() } else { format!("{middle:.digits$} ±{half:.digits$}") }
            };
            let cells = [
                cell(EPOCHS, 4, |moment| moment.loss),
                cell(EPOCHS, 2, |moment| moment.training),
                cell(EPOCHS, 2, |moment| moment.test),
                cell(EPOCHS, 3, |moment| moment.sharpness),
                cell(UPDATES, 2, |moment| moment.test),
                cell(TARGET, 1, |moment| moment.epochs),
                cell(TARGET, 2, |moment| moment.test),
                cell(TARGET, 3, |moment| moment.sharpness),
            ];
            row(name, &size.to_string(), cells);
        }
    }

    // The noise scale along the runs with the reference size: both parts averaged over a stretch and the seeds, and then
    // divided.
    println!();
    let mut noise_scales = Vec::new();
    for first in (0..).map(|power| 1 << power).take_while(|first| 2 * first - 1 <= epochs as usize) {
        let runs = runs_with(0, REFERENCE).filter(|(_, run)| run.noise.len() >= 2 * first - 1);
        let parts: Vec<(f64, f64)> = runs.flat_map(|(_, run)| &run.noise[first - 1..2 * first - 1]).copied().collect();
        let squared_norm = parts.iter().map(|part| part.0).sum::<f64>() / parts.len() as f64;
        let trace = parts.iter().map(|part| part.1).sum::<f64>() / parts.len() as f64;
        let noise_scale = trace / squared_norm;
        println!(
            "epochs {first:2} to {:2}: |G|² {squared_norm:.4}, tr Σ {trace:6.3}, noise scale {noise_scale:.0}",
            2 * first - 1
        );
        if first as f64 <= spread(0, REFERENCE, TARGET, |moment| moment.epochs)[1] {
            noise_scales.push(noise_scale);
        }
    }
    noise_scales.retain(|&noise_scale| noise_scale > 0.0); // below, or NaN, where |G|² was lost in the noise
    noise_scales.sort_by(f64::total_cmp);

    // The figures.
    let figure = |file: &str, legend, title: &str, y: (&'static str, Range<f64>, Option<f64>), lines: &[Line]| {
        let x = Axis { name: "batch size", range: 1.0..len as f64, base: Some(2.0) };
        let y = Axis { name: y.0, range: y.1, base: y.2 };
        plot::lines(&options.figures.join(file), &format!("{name}: {title}"), [&x, &y], legend, lines)
    };
    let line = |name: String, color, value: &dyn Fn(usize) -> [f64; 3]| Line {
        name,
        color,
        points: (0..sizes.len()).map(|i| (sizes[i] as f64, value(i))).collect(),
    };
    let time = |scale: &dyn Fn(usize) -> f64| {
        let lines = [(0, "one thread".to_string()), (1, format!("{threads} threads"))];
        lines.map(|(i, name)| line(name, RULES[i].1, &|at| [seconds[at][i] * scale(sizes[at]); 3]))
    };
    let curves = |colors: [RGBColor; 2], what: &str, when, value| {
        let name = |rule: usize| format!("{} rate{what}", RULES[rule].0);
        [0, 1].map(|rule| line(name(rule), colors[rule], &|at| spread(rule, sizes[at], when, value)))
    };
    let strong = RULES.map(|rule| rule.1);

    let lines = time(&|size| 1e6 / len.div_ceil(size) as f64);
    let y = ("time of one update, µs", 1.0..1e6, Some(10.0));
    figure("batch_size_update.svg", UpperLeft, "time of one update", y, &lines)?;
    let longest = seconds.iter().flatten().fold(0.0_f64, |a, &b| a.max(1e3 * b));
    let y = ("time of one epoch, ms", 0.0..1.1 * longest, None);
    figure("batch_size_epoch.svg", LowerLeft, "time of one epoch", y, &time(&|_| 1e3))?;

    let mut lines = Vec::from(curves(LIGHT, ", training", EPOCHS, |moment| moment.training));
    lines.extend(curves(strong, ", test", EPOCHS, |moment| moment.test));
    let y = ("accuracy, % (on the edge: below)", 90.0..100.0, None);
    figure("batch_size_accuracy.svg", LowerLeft, &format!("accuracy after {epochs} epochs"), y, &lines)?;

    let mut lines = Vec::from(curves(LIGHT, &format!(", {epochs} epochs"), EPOCHS, |moment| moment.sharpness));
    lines.extend(curves(strong, &format!(", loss {target}"), TARGET, |moment| moment.sharpness));
    let y = ("largest eigenvalue of the Hessian", 0.001..10.0, Some(10.0));
    let title = format!("sharpness after {epochs} epochs, and at training loss {target}");
    figure("batch_size_sharpness.svg", LowerRight, &title, y, &lines)?;

    let mut lines = Vec::from(curves(strong, "", TARGET, |moment| moment.epochs));
    lines.extend(noise_scales.first().into_iter().chain(noise_scales.last()).map(|&noise_scale| Line {
        name: format!("noise scale {noise_scale:.0}"),
        color: GREY,
        points: vec![(noise_scale, [1.0, 1.0, 4096.0])],
    }));
    let y = ("epochs", 1.0..4096.0, Some(2.0));
    figure("batch_size_noise_scale.svg", UpperLeft, &format!("epochs to training loss {target}"), y, &lines)?;
    println!("figures: {}", options.figures.display());
    Ok(())
}

/// Seconds for the gradients and steps of one epoch, with each batch split among `threads`.
fn time_of_an_epoch(network: &Network, samples: &Samples, batch_size: usize, threads: usize) -> Result<f64, Error> {
    let mut params = network.initial(0);
    let mut grads = vec![0.0; params.len()];
    let mut sgd = Sgd::new(0.0)?; // so that every round does the same
    let epoch = Batcher::new(samples.len(), batch_size, 0)?.epoch(0);
    let start = Instant::now();
    for batch in &epoch {
        if threads == 1 {
            network.loss_and_gradient(&params, samples, batch, &mut grads);
        } else {
            let parts: Vec<_> = batch
                .par_chunks(batch.len().div_ceil(threads))
                .map(|part| {
                    let mut grads = vec![0.0; params.len()];
                    network.loss_and_gradient(&params, samples, part, &mut grads);
                    (part.len() as f32 / batch.len() as f32, grads)
                })
                .collect();
            grads.fill(0.0);
            for (share, part) in &parts {
                grads.iter_mut().zip(part).for_each(|(g, part)| *g += share * part);
            }
        }
        sgd.step(&mut params, &grads)?;
    }
    Ok(start.elapsed().as_secs_f64())
}

fn train(
    network: &Network,
    data: &Split,
    batch_size: usize,
    scale: f32,
    seed: u64,
    options: &Options,
) -> Result<Run, Error> {
    let probe: Vec<usize> = (0..data.train.len()).step_by(5).collect(); // of the embedded digits, those not shifted
    let singles = Batcher::new(probe.len(), 64, seed)?;
    let batcher = Batcher::new(data.train.len(), batch_size, seed)?;
    let mut order = batcher.epoch(0);
    // Where it is scaled up, it climbs to that over five epochs, as in the paper.
    let (learning_rate, warmup) = (scale * options.learning_rate, 5 * batcher.batches_per_epoch() as u64);
    let schedule = schedule::linear(learning_rate.min(options.learning_rate), learning_rate, warmup)?;
    let mut sgd = Sgd::new(learning_rate)?;
    let mut params = network.initial(seed);
    let mut grads = vec![0.0; params.len()];
    let mut run = Run::default();
    for epoch in 1.. {
        order.refill(epoch - 1);
        for (batch, done) in order.iter().zip(1..) {
            network.loss_and_gradient(&params, &data.train, batch, &mut grads);
            sgd.set_learning_rate(schedule(sgd.steps()))?;
            sgd.step(&mut params, &grads)?;
            if sgd.steps() == options.updates {
                let epochs = (epoch - 1) as f64 + (done * batch_size) as f64 / data.train.len() as f64;
                run.moments[UPDATES] = moment(network, data, &probe, &params, epochs);
            }
        }
        let loss = network.loss_and_gradient(&params, &data.train, &probe, &mut grads);
        if !loss.is_finite() || (epoch > options.epochs && loss > CHANCE) {
            break; // it will not learn any more
        }
        if batch_size == REFERENCE && epoch <= options.epochs {
            let big = global_norm(&[&grads])?.powi(2);
            let (order, mut small) = (singles.epoch(epoch), 0.0);
            let singles = order.batch(0).unwrap_or_default();
            for &single in singles {
                network.loss_and_gradient(&params, &data.train, &[probe[single]], &mut grads);
                small += global_norm(&[&grads])?.powi(2) / singles.len() as f64;
            }
            run.noise.push(gradient_noise((1, small), (probe.len(), big))?);
        }
        if loss <= options.target && run.moments[TARGET].is_none() {
            run.moments[TARGET] = moment(network, data, &probe, &params, epoch as f64);
        }
        if epoch == options.epochs {
            run.moments[EPOCHS] = moment(network, data, &probe, &params, epoch as f64);
        }
        if epoch >= options.epochs && sgd.steps() >= options.updates {
            break;
        }
    }
    Ok(run)
}

fn moment(network: &Network, data: &Split, probe: &[usize], params: &[f32], epochs: f64) -> Option<Moment> {
    let loss = network.loss_and_gradient(params, &data.train, probe, &mut vec![0.0; params.len()]);
    let [training, test] = [&data.train, &data.held_out].map(|samples| 100.0 * network.accuracy(params, samples));
    let sharpness = if loss < CHANCE { sharpness(network, &data.train, probe, params) } else { f64::NAN };
    loss.is_finite().then_some(Moment { epochs, loss, training, test, sharpness })
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
