//! A class that is one sample in a hundred, trained with a plain shuffle, with draws by weight, and
//! with classes in equal numbers.
//!
//! ```sh
//! cargo run --release --example imbalanced
//! ```
//!
//! Leaves out so many eights of the embedded digits that one training sample in a hundred is an
//! eight. The three runs of a seed begin with the same weights and take the same number of steps;
//! only the order differs. Prints, over all seeds, the recall of the eights (the share of held-out
//! eights that are recognised), their precision (the share of predicted eights that are eights) and
//! the accuracy on all held-out digits, and draws recall and accuracy by epoch as an SVG.

mod common;

use std::path::Path;

use anyhow::Result;
use common::data::{self, Samples};
use common::{layers::Layers, plot, statistics::mean_and_deviation};
use gradstep::{Batcher, Mixture, Momentum, Optimizer, Order, Schedule, Shuffle, Weighted, gather};
use plotters::prelude::*;

const RARE: u8 = 8;
const SEEDS: u64 = 10;
const EPOCHS: u64 = 15;
const PLOT: &str = "target/imbalanced.svg";

/// On the held-out digits, in %.
#[derive(Clone, Copy, Default)]
struct Scores {
    recall: f64,
    precision: f64,
    accuracy: f64,
}

/// A name, and the order of the samples for a seed.
type NewOrder<'a> = (&'static str, &'a dyn Fn(u64) -> Result<Box<dyn Order>>);

fn main() -> Result<()> {
    let data = data::digits()?;
    let train = imbalanced(&data.train)?;
    let len = train.len();
    let count = |class: u8| train.labels.iter().filter(|&&label| label == class).count();
    println!("{} of {len} training samples are eights; {SEEDS} seeds, {EPOCHS} epochs", count(RARE));

    // With these weights, every class is drawn equally often, whatever its size.
    let weights: Vec<f64> = train.labels.iter().map(|&label| 1.0 / count(label) as f64).collect();
    let orders: [NewOrder; 3] = [
        ("plain shuffle", &|seed| Ok(Box::new(Shuffle::new(len, seed)?))),
        ("drawn by weight", &|seed| Ok(Box::new(Weighted::new(&weights, len, seed)?))),
        ("equal numbers", &|seed| Ok(Box::new(Mixture::balanced(&train.labels, len as u64, seed)?))),
    ];

    println!("                 recall of eights, %  precision, %  accuracy, %");
    let mut curves = Vec::new();
    for (name, new) in orders {
        let run = |seed| run(&train, &data.held_out, new(seed)?, seed);
        let runs = (0..SEEDS).map(run).collect::<Result<Vec<_>>>()?;
        let last = |of: fn(&Scores) -> f64| {
            let scores = Vec::from_iter(runs.iter().filter_map(|run| run.last().map(of)));
            let (mean, deviation) = mean_and_deviation(&scores);
            format!("{mean:5.1} ± {deviation:4.1}")
        };
        let [recall, precision, accuracy] = [last(|s| s.recall), last(|s| s.precision), last(|s| s.accuracy)];
        println!("{name:>15}  {recall:>19}  {precision:>12}  {accuracy:>11}");
        curves.push((name, runs));
    }
    draw(Path::new(PLOT), &curves)?;
    println!("(mean ± standard deviation after the last epoch) {PLOT}");
    Ok(())
}

/// `samples` without most eights: one sample in a hundred is an eight.
fn imbalanced(samples: &Samples) -> Result<Samples> {
    let others = samples.labels.iter().filter(|&&label| label != RARE).count();
    let mut eights = 0;
    let is_kept = |&sample: &usize| {
        eights += usize::from(samples.labels[sample] == RARE);
        samples.labels[sample] != RARE || eights <= others / 99
    };
    let kept: Vec<usize> = (0..samples.len()).filter(is_kept).collect();
    let mut pixels = Vec::new();
    gather(&samples.pixels, samples.inputs, &kept, &mut pixels)?;
    let labels = kept.iter().map(|&sample| samples.labels[sample]).collect();
    Ok(Samples { inputs: samples.inputs, pixels, labels })
}

/// Trains a network and returns its scores after each epoch.
fn run(train: &Samples, held_out: &Samples, order: Box<dyn Order>, seed: u64) -> Result<Vec<Scores>> {
    let network = Layers { sizes: vec![train.inputs, 64, 10], threads: 1 };
    let mut params = network.initial(seed);
    let mut grads = vec![0.0; params.len()];
    let mut momentum = Momentum::new(0.1, 0.9, params.len())?;
    let schedule = Schedule::linear(0.1, 0.0, EPOCHS)?;
    let batcher = Batcher::over(order, 32)?;
    let mut scores = Vec::new();
    for number in 0..EPOCHS {
        momentum.set_learning_rate(schedule.at(number))?;
        for batch in &batcher.as_ref().epoch(number) {
            network.loss_and_gradient(&params, train, batch, &mut grads);
            momentum.step(&mut params, &grads)?;
        }
        scores.push(score(&network.predictions(&params, held_out), &held_out.labels));
    }
    Ok(scores)
}

fn score(predictions: &[u8], labels: &[u8]) -> Scores {
    let pairs = || predictions.iter().zip(labels);
    let count = |holds: &dyn Fn(u8, u8) -> bool| pairs().filter(|(p, l)| holds(**p, **l)).count() as f64;
    let right = count(&|prediction, label| prediction == RARE && label == RARE);
    Scores {
        recall: 100.0 * right / count(&|_, label| label == RARE),
        precision: 100.0 * right / count(&|prediction, _| prediction == RARE).max(1.0),
        accuracy: 100.0 * count(&|prediction, label| prediction == label) / labels.len() as f64,
    }
}

/// Draws the recall of the eights above and the accuracy below: the mean over the seeds, and each
/// seed as a thin line.
fn draw(path: &Path, curves: &[(&str, Vec<Vec<Scores>>)]) -> Result<()> {
    let recall: fn(&Scores) -> f64 = |scores| scores.recall;
    let accuracy: fn(&Scores) -> f64 = |scores| scores.accuracy;
    plot::svg(path, (800, 760), |root| {
        let (upper, lower) = root.split_vertically(400);
        let title = format!("digits, one in a hundred is an eight: {SEEDS} seeds and their mean");
        for (area, title, name, lowest, of) in [
            (upper, title.as_str(), "recall of held-out eights, %", 0.0, recall),
            (lower, "", "accuracy on all held-out digits, %", 80.0, accuracy),
        ] {
            let x = ("epoch", 0.0..EPOCHS as f64);
            let mut chart = plot::axes(&area, title, x, (name, lowest..100.0))?;
            let epochs = || (1..).map(f64::from);
            for ((name, runs), color) in curves.iter().zip(plot::COLORS) {
                for run in runs {
                    let line = LineSeries::new(epochs().zip(run.iter().map(of)), color.mix(0.25));
                    chart.draw_series(line)?;
                }
                let all = |epoch| Vec::from_iter(runs.iter().map(|run| of(&run[epoch])));
                let means = (0..EPOCHS as usize).map(|epoch| mean_and_deviation(&all(epoch)).0);
                let line = LineSeries::new(epochs().zip(means), color.stroke_width(3));
                plot::label(chart.draw_series(line)?, name, color);
            }
            plot::legend(&mut chart, SeriesLabelPosition::LowerRight)?;
        }
        Ok(())
    })
}
