//! Does the gradient noise scale predict how large a batch is worth its cost? Searches the best learning rate of each
//! batch size, counts the epochs to a training loss, and measures the noise scale on the way. README.md discusses the
//! results.

#[path = "../shared.rs"]
mod shared;

use gradstep::{NoiseScale, global_norm};
use shared::*;

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
    /// All rates that were tried, and the middle of their epochs: infinite if they were cut off.
    tried: Vec<(f64, f64)>,
}

/// How often per epoch the loss is measured.
const CHECKS: usize = 8;
/// The batch size of the runs whose noise is measured.
const REFERENCE: usize = 64;

fn main() -> Result<()> {
    let options = Options::parse();
    let task = Task::new(&options)?;
    let (target, seeds) = match (options.quick, options.is_mnist()) {
        (false, false) => (0.05, 3),
        (false, true) => (0.1, 3),
        (true, _) => (0.5, 2),
    };
    let experiment = Experiment { task, target, seeds };
    let best = experiment.search_all()?;
    let doubling = doubling(&best);
    println!("epochs double at a batch of {doubling:.0}");
    let noise_scales = experiment.noise_scales(&best)?;
    experiment.draw(&options.figures, &best, &noise_scales)
}

impl Experiment {
    /// Finds the best rate of each batch size, on all cores.
    fn search_all(&self) -> Result<Vec<Best>> {
        let task = &self.task;
        let len = task.data.train.len();
        let sizes: Vec<usize> = sizes(4, len).chain([len]).collect();
        let bar = ProgressBar::new(sizes.len() as u64)
            .with_style(ProgressStyle::with_template("searching {bar:32} {pos}/{len} sizes {elapsed}")?);
        // Large batches take longest, and start first.
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
        // Low enough to learn at all; the search climbs from there.
        let start = 0.4 * (batch_size as f64 / 32.0).min(1.0);
        let mut best = Best { batch_size, learning_rate: start, epochs: [f64::INFINITY; 3], tried: Vec::new() };
        best.try_rate(self, start)?;
        for factor in [2.0, 0.5] {
            while best.try_rate(self, factor * best.learning_rate)? {}
        }
        best.tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        Ok(best)
    }

    /// Returns the epochs until the training loss is at the target, infinite if more than `limit`. Calls `check` with the
    /// parameters after each measurement of the loss.
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

    /// Prints and returns the noise scale along runs of the reference size at its best rate, for each quarter of the way to
    /// the target and for the whole: the ratio of the two means.
    fn noise_scales(&self, best: &[Best]) -> Result<[f64; 5]> {
        let best = best.iter().find(|best| best.batch_size == REFERENCE).expect("the sizes are 1, 4, 16, 64, …");
        let runs = run_all(&[best.learning_rate], self.seeds, |&rate, seed| {
            let mut norms = Vec::new();
            self.train(REFERENCE, rate, seed, f64::INFINITY, |params| {
                norms.push(self.squared_norms(params, seed, norms.len() as u64)?);
                Ok(())
            })?;
            Ok(norms)
        })?;
        let mut noise_scales = [f64::NAN; 5];
        println!("noise scale along the runs with batches of {REFERENCE} at rate {}", best.learning_rate);
        for (noise_scale, (from, to)) in noise_scales.iter_mut().zip([(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]) {
            let mut noise = NoiseScale::new();
            for norms in &runs[0] {
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

    /// The squared norm of the gradient over one sample (the mean of 64) and over the probe, from which the 64 are.
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

    fn draw(&self, figures: &Figures, best: &[Best], noise_scales: &[f64; 5]) -> Result<()> {
        let Experiment { task, target, .. } = self;
        figures.draw(&format!("noise_scale_{}", task.name), (800, 720), |root| {
            let (upper, lower) = root.split_vertically(400);
            let x = ("batch size", (1.0..task.data.train.len() as f64).log_scale().base(2.0));
            let over = |value: fn(&Best) -> [f64; 3]| {
                let reached = best.iter().filter(|best| best.epochs[2].is_finite());
                reached.map(|best| (best.batch_size as f64, value(best))).collect()
            };

            let title = format!("{}: epochs to training loss {target}, at the best rate of each size", task.name);
            let mut chart = axes(&upper, &title, x.clone(), ("epochs", (1.0..1024.0).log_scale().base(2.0)))?;
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
            draw_lines(&mut chart, 1.0..1024.0, lines)?;
            legend(&mut chart, SeriesLabelPosition::UpperLeft)?;

            let mut chart = axes(&lower, "the best learning rate", x, ("learning rate", (0.001..10.0).log_scale()))?;
            let points = over(|best| [best.learning_rate; 3]);
            draw_lines(&mut chart, 0.001..10.0, [Line { name: String::new(), color: COLORS[0].mix(1.0), points }])
        })
    }
}

impl Best {
    /// Tries a rate with every seed. If it takes fewer epochs, keeps it and returns true.
    fn try_rate(&mut self, experiment: &Experiment, learning_rate: f64) -> Result<bool, Error> {
        if self.tried.iter().any(|&(tried, _)| tried == learning_rate) {
            return Ok(false);
        }
        // A run that takes longer than this is cut off: its rate is not the best.
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
