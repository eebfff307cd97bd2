//! Trains one network with batch sizes from 1 to thousands, and compares the average of its weights with the last ones,
//! and with those of a run whose learning rate falls to 0: accuracy, training loss and sharpness. README.md discusses
//! the results.

#[path = "../shared.rs"]
mod shared;

use gradstep::{Schedule, WeightAverage};
use shared::*;

/// Constant, or the first of a run whose rate falls.
const LEARNING_RATE: f64 = 0.1;
/// The weights that a batch size and a seed end with.
const WEIGHTS: [&str; 4] = ["last", "mean", "ema", "falling rate"];
const NAMES: [&str; 4] =
    ["the last weights", "mean of the second half", "EMA over an epoch", "last, the rate falling to 0"];

/// One for each of [`WEIGHTS`].
type Run = [Moment; 4];

/// A column of the table: its width, heading and digits, and the value.
type Column = (usize, &'static str, usize, fn(&Moment) -> f64);

struct Experiment {
    task: Task,
    sizes: Vec<usize>,
    epochs: u64,
    seeds: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let task = Task::new(&options)?;
    let len = task.data.train.len();
    // On MNIST single samples hardly learn at this rate, and large batches learn little in so few epochs.
    let sizes = if options.is_mnist() { sizes(4, 2048).skip(1).collect() } else { sizes(4, len).collect() };
    let (epochs, seeds) = match (options.quick, options.is_mnist()) {
        (false, false) => (32, 5),
        (false, true) => (8, 3),
        (true, _) => (2, 2),
    };
    let experiment = Experiment { task, sizes, epochs, seeds };
    let runs = run_all(&experiment.sizes, seeds, |&size, seed| experiment.run(size, seed))?;
    experiment.print_table(&runs);
    experiment.draw(&options.figures, &runs)
}

impl Experiment {
    fn run(&self, size: usize, seed: u64) -> Result<Run, Error> {
        let [last, mean, ema] = self.train(size, seed, false)?;
        let [falling, ..] = self.train(size, seed, true)?;
        Ok([last, mean, ema, falling].map(|params| self.task.moment(&params, self.epochs as f64)))
    }

    /// The last weights, their mean over the second half, and their moving average.
    fn train(&self, batch_size: usize, seed: u64, falling: bool) -> Result<[Vec<f32>; 3], Error> {
        let batcher = Batcher::new(self.task.data.train.len(), batch_size, seed)?;
        let batches = batcher.batches_per_epoch() as u64;
        let half = self.epochs / 2;
        let end = if falling { 0.0 } else { LEARNING_RATE };
        let second_half = Schedule::linear(LEARNING_RATE, end, (self.epochs - half) * batches)?;
        let schedule = Schedule::constant(LEARNING_RATE)?.then(half * batches, second_half);
        let mut sgd = Sgd::new(LEARNING_RATE)?;
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

    fn print_table(&self, runs: &[Vec<Run>]) {
        let columns: [Column; 4] = [
            (17, "training loss", 4, |moment| moment.loss),
            (15, "training %", 2, |moment| moment.training),
            (14, "test %", 2, |moment| moment.test),
            (16, "sharpness", 3, |moment| moment.sharpness),
        ];
        println!("\nafter {} epochs: the middle of {} seeds ± half their spread", self.epochs, self.seeds);
        let headings = columns.map(|(width, heading, ..)| format!("{heading:>width$}"));
        println!(" batch  {:12}{}", "weights", headings.concat());
        for (size, runs) in self.sizes.iter().zip(runs) {
            for (which, weights) in WEIGHTS.iter().enumerate() {
                let cells = columns
                    .map(|(width, _, digits, value)| format!("{:>width$}", cell(of_seeds(runs, which, value), digits)));
                println!("{size:>6}  {weights:12}{}", cells.concat());
            }
        }
    }

    fn draw(&self, figures: &Figures, runs: &[Vec<Run>]) -> Result<()> {
        let Experiment { task: Task { name, .. }, sizes, epochs, .. } = self;
        let colors = [COLORS[0].mix(1.0), COLORS[1].mix(1.0), COLORS[2].mix(1.0), BLACK.mix(0.5)];
        let lines = |value: fn(&Moment) -> f64| {
            (0..4).map(move |which| Line {
                name: NAMES[which].to_string(),
                color: colors[which],
                points: (sizes.iter().zip(runs))
                    .map(|(&size, runs)| (size as f64, of_seeds(runs, which, value)))
                    .collect(),
            })
        };
        figures.draw(&format!("average_accuracy_{name}"), (800, 480), |root| {
            let title = format!("{name}: held-out accuracy after {epochs} epochs");
            let y = ("accuracy, % (on the edge: below)", 90.0..100.0, 90.0..100.0);
            draw_by_size(root, &title, sizes, y, lines(|moment| moment.test), SeriesLabelPosition::LowerLeft)
        })?;
        figures.draw(&format!("average_sharpness_{name}"), (800, 480), |root| {
            let title = format!("{name}: sharpness after {epochs} epochs");
            let y = ("largest eigenvalue of the Hessian", (0.001..100.0).log_scale(), 0.001..100.0);
            draw_by_size(root, &title, sizes, y, lines(|moment| moment.sharpness), SeriesLabelPosition::LowerRight)
        })
    }
}

/// The least, the middle and the largest of the runs' values for some weights.
fn of_seeds(runs: &[Run], which: usize, value: fn(&Moment) -> f64) -> [f64; 3] {
    spread(runs.iter().map(|run| value(&run[which])))
}
