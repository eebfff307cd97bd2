//! What the experiments share: options, one network on the digits or on MNIST, runs side by side, statistics and charts.

#![allow(dead_code, unused_imports, reason = "no experiment uses all of it")]

#[path = "../../common/mod.rs"]
pub(crate) mod common;

use std::path::{Path, PathBuf};

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};

use common::network::Network;
use common::plot::{Area, Chart};
use common::{layers::Layers, sharpness::sharpness};

pub(crate) use std::ops::Range;

pub(crate) use anyhow::{Result, ensure};
pub(crate) use clap::Parser;
pub(crate) use common::data::{self, Samples, Split};
pub(crate) use common::plot::{self, COLORS, axes, label, legend};
pub(crate) use common::statistics::mean_and_deviation;
pub(crate) use gradstep::{Batcher, Error, Momentum, MomentumForm, Optimizer, Sgd};
pub(crate) use indicatif::{ProgressBar, ProgressStyle};
pub(crate) use plotters::prelude::*;
pub(crate) use rayon::prelude::*;

#[derive(clap::Args)]
pub(crate) struct Figures {
    /// Where to write the figures
    #[arg(long = "figures", value_name = "DIR", default_value = "target/figures")]
    dir: PathBuf,
}

impl Figures {
    /// Draws the figure `name`.svg and prints its path.
    pub(crate) fn draw(&self, name: &str, size: (u32, u32), draw: impl FnOnce(&Area) -> Result<()>) -> Result<()> {
        let path = self.dir.join(name).with_extension("svg");
        println!("figure: {}", path.display());
        plot::svg(&path, size, draw)
    }
}

#[derive(Parser)]
/// One of the lecture's experiments
pub(crate) struct Options {
    /// A folder with the four files of MNIST, raw or .gz, to use in place of the embedded digits
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) figures: Figures,
    /// Take seconds, and train too little to show much
    #[arg(long)]
    pub(crate) quick: bool,
}

impl Options {
    pub(crate) fn is_mnist(&self) -> bool {
        self.data.is_some()
    }

    /// The data, and its name in figures.
    pub(crate) fn load(&self) -> Result<(&'static str, Split)> {
        Ok(match &self.data {
            None => ("digits", data::digits()?),
            Some(dir) => ("mnist", data::mnist(dir)?),
        })
    }
}

/// Batch sizes: 1, then each `factor` times as large as the one before, below `len`.
pub(crate) fn sizes(factor: usize, len: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), move |size| Some(size * factor)).take_while(move |&size| size < len)
}

/// Runs every case with every seed, as many at once as there are cores.
pub(crate) fn run_all<C: Sync, T: Send>(
    cases: &[C],
    seeds: u64,
    run: impl Fn(&C, u64) -> Result<T, Error> + Sync,
) -> Result<Vec<Vec<T>>> {
    ensure!(seeds >= 1, "seeds is 0, expected at least 1");
    let bar = ProgressBar::new(cases.len() as u64 * seeds)
        .with_style(ProgressStyle::with_template("{bar:32} {pos}/{len} {elapsed}, {eta} to go")?);
    let all_seeds = |case| (0..seeds).into_par_iter().map(|seed| run(case, seed).inspect(|_| bar.inc(1))).collect();
    let runs = cases.par_iter().map(all_seeds).collect::<Result<_, Error>>()?;
    bar.finish_and_clear();
    Ok(runs)
}

/// A network with one hidden layer of 64, and its data.
pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) data: Split,
    /// The samples of the training loss: every fifth (of the embedded digits, those not shifted).
    pub(crate) probe: Vec<usize>,
    pub(crate) layers: Layers,
    network: Network,
}

/// The network at one moment of its training.
pub(crate) struct Moment {
    pub(crate) epochs: f64,
    pub(crate) loss: f64,
    pub(crate) training: f64, // accuracy, %
    pub(crate) test: f64,
    pub(crate) sharpness: f64,
}

impl Task {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let (name, data) = options.load()?;
        let (len, network) = (data.train.len(), Network { inputs: data.train.inputs, hidden: 64, classes: 10 });
        ensure!(len >= 64, "{len} training samples, expected at least 64");
        println!("{name}: {len} training samples, {} held out, {} parameters", data.held_out.len(), network.len());
        let layers = Layers { sizes: vec![network.inputs, network.hidden, network.classes], threads: 1 };
        Ok(Task { name, data, probe: (0..len).step_by(5).collect(), layers, network })
    }

    pub(crate) fn loss_and_gradient(&self, params: &[f32], batch: &[usize], grads: &mut [f32]) -> f64 {
        // Few samples are faster one by one, because that skips zeros. Both networks have the same parameters.
        if batch.len() < 8 {
            self.network.loss_and_gradient(params, &self.data.train, batch, grads)
        } else {
            self.layers.loss_and_gradient(params, &self.data.train, batch, grads)
        }
    }

    pub(crate) fn probe_loss(&self, params: &[f32]) -> f64 {
        self.layers.loss_and_accuracy(params, &self.data.train, &self.probe).0
    }

    pub(crate) fn moment(&self, params: &[f32], epochs: f64) -> Moment {
        let accuracy = |samples| 100.0 * self.layers.accuracy(params, samples);
        let gradient = |params: &[f32], grads: &mut [f32]| {
            self.loss_and_gradient(params, &self.probe, grads);
        };
        Moment {
            epochs,
            loss: self.probe_loss(params),
            training: accuracy(&self.data.train),
            test: accuracy(&self.data.held_out),
            sharpness: sharpness(params, &self.layers.initial(1), gradient),
        }
    }
}

/// The least, the middle and the largest of `values`; NaN if one of them is NaN.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut values = Vec::from_iter(values);
    values.sort_by(f64::total_cmp); // NaN last
    let most = values[values.len() - 1];
    if most.is_nan() { [most; 3] } else { [values[0], values[values.len() / 2], most] }
}

/// The middle ± half the spread, or "-" for NaN.
pub(crate) fn cell([least, middle, most]: [f64; 3], digits: usize) -> String {
    if middle.is_nan() { "-".into() } else { format!("{middle:.digits$} ±{:.digits$}", (most - least) / 2.0) }
}

/// At each x the least, the middle and the largest value. A NaN interrupts the line.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) color: RGBAColor,
    pub(crate) points: Vec<(f64, [f64; 3])>,
}

/// Draws each line with a dot at each middle value and a bar from the least to the largest, within `range`.
pub(crate) fn draw_lines<X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut Chart<'_, X, Y>,
    range: Range<f64>,
    lines: impl IntoIterator<Item = Line>,
) -> Result<()> {
    let inside = |value: f64| value.clamp(range.start, range.end);
    for Line { name, color, points } in lines {
        for part in points.split(|(_, values)| values[0].is_nan()) {
            let middle = part.iter().map(|&(x, [_, middle, _])| (x, inside(middle)));
            chart.draw_series(LineSeries::new(middle, color.stroke_width(2)).point_size(3))?;
        }
        let there = points.iter().filter(|(_, values)| !values[0].is_nan());
        let bars = there.map(|&(x, [least, _, most])| PathElement::new([(x, inside(least)), (x, inside(most))], color));
        label(chart.draw_series(bars)?, &name, color);
    }
    Ok(())
}

/// The mean of the runs at each x.
pub(crate) fn means(runs: &[Vec<f64>]) -> Vec<f64> {
    (0..runs[0].len()).map(|i| runs.iter().map(|run| run[i]).sum::<f64>() / runs.len() as f64).collect()
}

/// Draws the mean of each group of runs, in a band from the least to the largest.
pub(crate) fn draw_bands<'a, X: Ranged<ValueType = f64>, Y: Ranged<ValueType = f64>>(
    chart: &mut Chart<X, Y>,
    xs: &[f64],
    groups: impl Iterator<Item = (String, RGBColor, &'a Vec<Vec<f64>>)> + Clone,
) -> Result<()> {
    for (_, color, runs) in groups.clone() {
        let at = |i: usize| runs.iter().map(move |run| run[i]);
        let lowest = (0..xs.len()).map(|i| (xs[i], at(i).fold(f64::INFINITY, f64::min)));
        let highest = (0..xs.len()).rev().map(|i| (xs[i], at(i).fold(f64::NEG_INFINITY, f64::max)));
        chart.draw_series([Polygon::new(lowest.chain(highest).collect::<Vec<_>>(), color.mix(0.15))])?;
    }
    for (name, color, runs) in groups {
        let line = xs.iter().copied().zip(means(runs));
        label(chart.draw_series(LineSeries::new(line, color.stroke_width(2)))?, &name, color);
    }
    Ok(())
}

/// A chart against the batch size.
pub(crate) fn draw_by_size<Y>(
    area: &Area,
    title: &str,
    sizes: &[usize],
    (y_name, y, range): (&str, Y, Range<f64>),
    lines: impl IntoIterator<Item = Line>,
    corner: SeriesLabelPosition,
) -> Result<()>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64> + Ranged<ValueType = f64>,
{
    let x = (sizes[0] as f64..sizes[sizes.len() - 1] as f64).log_scale().base(2.0);
    let mut chart = axes(area, title, ("batch size", x), (y_name, y))?;
    draw_lines(&mut chart, range, lines)?;
    legend(&mut chart, corner)
}
