//! The time of an update against the batch size: constant while moving the weights through memory takes longest, then
//! proportional to the multiply-adds. README.md discusses the results.
//!
//! Times two networks, computed by matrix products, on one thread and on all: one that fits in the caches, and one
//! whose weights do not. The small one also goes sample by sample. The same run measures two limits of this machine, of
//! memory and of arithmetic.

#[path = "../shared.rs"]
mod shared;

use std::time::Instant;

use ndarray::Array2;
use rayon::{ThreadPool, ThreadPoolBuilder};
use shared::common::layers::{Layers, multiply};
use shared::common::network::{self, Network};
use shared::common::plot::Area;
use shared::*;

/// One way to compute the updates of one network, and its times.
struct Way<'a> {
    name: String,
    color: RGBColor,
    pool: ThreadPool,
    gradient: Gradient<'a>,
    /// Seconds of an update, for each batch size.
    seconds: Vec<f64>,
    limits: Limits,
}

/// Writes the gradient of a batch and returns its loss.
type Gradient<'a> = Box<dyn Fn(&[f32], &[usize], &mut [f32]) -> f64 + Sync + 'a>;

/// The shortest time that this machine needs for an update.
#[derive(Clone, Copy)]
struct Limits {
    /// Seconds to move the bytes: both passes read the weights (but the way back not those of the first layer), the gradient
    /// is written, and the step reads parameters and gradient and writes parameters.
    bytes: f64,
    /// Seconds to multiply and add for one sample: for the outputs, the gradient and, except in the first layer, the way
    /// back.
    sample: f64,
}

impl Limits {
    fn update(&self, batch_size: f64) -> f64 {
        self.bytes.max(batch_size * self.sample)
    }

    /// The batch size at which both are equal.
    fn crossing(&self) -> f64 {
        self.bytes / self.sample
    }
}

/// A network, the batch sizes, and the ways.
type Times<'a> = (String, Vec<usize>, Vec<Way<'a>>);

fn main() -> Result<()> {
    let options = Options::parse();
    let (quick, (name, data)) = (options.quick, options.load()?);
    let samples = &data.train;
    let small = measure("weights in the cache", samples, &[64], quick)?;
    let large = measure("weights in memory", samples, &[4096, 4096], quick)?;
    for (what, in_epoch) in [("update", false), ("epoch", true)] {
        options.figures.draw(&format!("{what}_time_{name}"), (800, 880), |root| {
            let (upper, lower) = root.split_vertically(440);
            for (area, times) in [(&upper, &small), (&lower, &large)] {
                let updates = |size: f64| if in_epoch { samples.len() as f64 / size } else { 1.0 };
                draw(area, what, times, &updates)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

/// Times batches of 1, 2, 4, … and of all samples, in every way in turn.
fn measure<'a>(name: &str, samples: &'a Samples, hidden: &[usize], quick: bool) -> Result<Times<'a>> {
    let layers: Vec<usize> = [&[samples.inputs], hidden, &[10]].concat();
    let mut ways: Vec<Way> = Vec::new();
    for (threads, color) in [(1, COLORS[1]), (rayon::current_num_threads(), COLORS[0])] {
        let name = if threads == 1 { "one thread".into() } else { format!("{threads} threads") };
        let network = Layers { sizes: layers.clone(), threads };
        let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
        let limits = pool.install(|| limits(&network))?;
        let gradient: Gradient =
            Box::new(move |params, batch, grads| network.loss_and_gradient(params, samples, batch, grads));
        ways.push(Way { name, color, pool, gradient, seconds: Vec::new(), limits });
    }
    if let [hidden] = *hidden {
        let network = Network { inputs: samples.inputs, hidden, classes: 10 };
        let gradient: Gradient =
            Box::new(move |params, batch, grads| network.loss_and_gradient(params, samples, batch, grads));
        let (name, color) = ("sample by sample, one thread".into(), COLORS[2]);
        let pool = ThreadPoolBuilder::new().num_threads(1).build()?;
        ways.push(Way { name, color, pool, gradient, seconds: Vec::new(), limits: ways[0].limits });
    }

    let mut params = network::initial(&layers, 0);
    let mut grads = vec![0.0; params.len()];
    let widths = layers.iter().map(usize::to_string).collect::<Vec<_>>().join(" - ");
    let title = format!("{name}: {widths}, {} parameters", params.len());
    println!("\n{title}");
    for Way { name, limits, .. } in &ways[..2] {
        println!(
            "time  {name}: {:.3} ms for the bytes of an update, {:.4} ms for the multiply-adds of a sample: equal at {:.0}",
            1e3 * limits.bytes,
            1e3 * limits.sample,
            limits.crossing()
        );
    }
    let names = ways.iter().map(|way| format!("{:>28} (of limit)", way.name));
    println!("time  batch | update, ms: {}", names.collect::<Vec<_>>().join(" | "));
    let mut sizes: Vec<usize> = sizes(2, samples.len()).chain([samples.len()]).collect();
    if quick {
        sizes.truncate(7);
    }
    for &size in &sizes {
        let epoch = Batcher::new(samples.len(), size, 0)?.epoch(0);
        // What takes many seconds is timed only once.
        let rounds = if quick { 1 } else { (300_000_000_000 / (size * params.len())).clamp(1, 5) };
        for way in &mut ways {
            way.seconds.push(f64::INFINITY);
        }
        for _ in 0..rounds {
            for Way { pool, gradient, seconds, .. } in &mut ways {
                let mut sgd = Sgd::new(0.0)?; // so that every update does the same
                let mut batches = epoch.iter();
                let least = pool.install(|| {
                    least_time((1024 / size).clamp(1, 16).min(batches.len()), || {
                        gradient(&params, batches.next().expect("as many"), &mut grads);
                        sgd.step(&mut params, &grads)
                    })
                })?;
                let seconds = seconds.last_mut().expect("one for each size");
                *seconds = seconds.min(least);
            }
        }
        let columns = ways.iter().map(|way| {
            let seconds = way.seconds[way.seconds.len() - 1];
            format!("{:28.3} {:>10.1}", 1e3 * seconds, seconds / way.limits.update(size as f64))
        });
        println!("time {size:6} |             {}", columns.collect::<Vec<_>>().join(" | "));
    }
    Ok((title, sizes, ways))
}

/// The least time of `run`, in seconds, because other work of the machine only adds to a time.
fn least_time(rounds: usize, mut run: impl FnMut() -> Result<(), Error>) -> Result<f64, Error> {
    let mut least = f64::INFINITY;
    for _ in 0..rounds {
        let start = Instant::now();
        run()?;
        least = least.min(start.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// Measures the limits: of memory by the step itself, of arithmetic by a product of two matrices that stay in the cache.
fn limits(network: &Layers) -> Result<Limits, Error> {
    let mut params = network.initial(0);
    let (weights, first) = (params.len() as f64, (network.sizes[0] * network.sizes[1]) as f64);
    let (grads, mut sgd) = (vec![0.0; params.len()], Sgd::new(0.0)?);
    let step = least_time(20, || sgd.step(&mut params, &grads))?;
    let (a, b) = (Array2::<f32>::ones((512, 512)), Array2::<f32>::ones((512, 512)));
    let mut c = Array2::zeros((512, 512));
    let product = least_time(20, || {
        multiply(network.threads, a.view(), b.view(), 0.0, c.view_mut());
        Ok(())
    })?;
    // The step moves three numbers per weight, an update six, or five in the first layer.
    Ok(Limits {
        bytes: (6.0 * weights - first) / (3.0 * weights) * step,
        sample: (3.0 * weights - first) / 512_f64.powi(3) * product,
    })
}

fn draw(area: &Area, what: &str, (title, sizes, ways): &Times, updates: &dyn Fn(f64) -> f64) -> Result<()> {
    let milliseconds = |size: f64, seconds: f64| 1e3 * seconds * updates(size);
    let times = |way: &Way| -> Vec<(f64, f64)> {
        sizes.iter().zip(&way.seconds).map(|(&size, &s)| (size as f64, milliseconds(size as f64, s))).collect()
    };
    let least_and_most = |way: &Limits| -> Vec<(f64, f64)> {
        let mut at: Vec<f64> = sizes.iter().map(|&size| size as f64).chain([way.crossing()]).collect();
        at.retain(|&size| (1.0..=sizes[sizes.len() - 1] as f64).contains(&size));
        at.sort_by(f64::total_cmp);
        at.into_iter().map(|size| (size, milliseconds(size, way.update(size)))).collect()
    };
    let all: Vec<f64> =
        ways.iter().flat_map(|way| [times(way), least_and_most(&way.limits)].concat()).map(|p| p.1).collect();
    let power = |value: f64, round: fn(f64) -> f64| 10_f64.powf(round(value.log10()));
    let range = power(all.iter().copied().fold(f64::INFINITY, f64::min), f64::floor)
        ..power(all.iter().copied().fold(0.0, f64::max), f64::ceil);
    let x = ("batch size", (1.0..sizes[sizes.len() - 1] as f64).log_scale().base(2.0));
    let y = (&*format!("time of an {what}, ms"), range.log_scale());
    let mut chart = axes(area, title, x, y)?;
    for (way, limit) in ways.iter().zip([true, true, false]) {
        let series = LineSeries::new(times(way), way.color.stroke_width(2)).point_size(3);
        label(chart.draw_series(series)?, &way.name, way.color);
        if limit {
            let color = way.color.mix(0.35);
            let series = LineSeries::new(least_and_most(&way.limits), color.stroke_width(3));
            label(chart.draw_series(series)?, &format!("limits, {}", way.name), color);
        }
    }
    legend(&mut chart, if what == "epoch" { SeriesLabelPosition::UpperRight } else { SeriesLabelPosition::UpperLeft })
}
