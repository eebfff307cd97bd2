//! Trains one network with batch sizes from 1 to thousands and compares accuracy and sharpness after equal epochs,
//! after equal updates, and at equal training loss. README.md discusses the results.
//!
//! The rule is plain SGD, with a fixed learning rate and with one scaled with the batch size (Goyal et al. 2017).

#[path = "../shared.rs"]
mod shared;

use gradstep::Schedule;
use shared::*;

/// The batch size at which both rules have the same learning rate.
const REFERENCE: usize = 32;
/// The learning rate at that batch size.
const LEARNING_RATE: f64 = 0.1;
const RULES: [&str; 2] = ["fixed", "scaled"];
/// About ln 10, the loss of a network that has learnt nothing.
const CHANCE: f64 = 2.28;

/// All that decides the results.
struct Experiment {
    task: Task,
    sizes: Vec<usize>,
    epochs: u64,
    updates: u64,
    target: f64,
    seeds: u64,
}

/// The moments at which runs are compared: after equal epochs, after equal updates, at equal training loss.
type Run = [Option<Moment>; 3];
const EPOCHS: usize = 0;
const UPDATES: usize = 1;
const TARGET: usize = 2;

/// A column of the table: the gap before it, its width and heading, the moment, the digits, and the value.
type Column = (&'static str, usize, &'static str, usize, usize, fn(&Moment) -> f64);

/// A rule, a batch size, and the run of each seed.
type Case = (usize, usize, Vec<Run>);

fn main() -> Result<()> {
    let options = Options::parse();
    let experiment = Experiment::new(&options)?;
    let cases =
        Vec::from_iter([0, 1].into_iter().flat_map(|rule| experiment.sizes.iter().map(move |&size| (rule, size))));
    let runs = run_all(&cases, experiment.seeds, |&(rule, size), seed| experiment.train(rule, size, seed))?;
    let cases = Vec::from_iter(cases.into_iter().zip(runs).map(|((rule, size), runs)| (rule, size, runs)));
    experiment.print_table(&cases);
    experiment.draw(&options.figures, &cases)
}

impl Experiment {
    fn new(options: &Options) -> Result<Self> {
        let task = Task::new(options)?;
        let len = task.data.train.len();
        let (epochs, updates, target, seeds) = match (options.quick, options.is_mnist()) {
            (false, false) => (32, 4096, 0.05, 5),
            (false, true) => (16, 8192, 0.1, 3),
            (true, false) => (1, 16, 0.05, 2),
            (true, true) => (1, 16, 0.1, 2),
        };
        // Fewer sizes on MNIST, because it has twelve times the pixels of the digits and eight times the samples.
        let sizes = if options.is_mnist() { sizes(4, len).collect() } else { sizes(2, len).chain([len]).collect() };
        Ok(Experiment { task, sizes, epochs, updates, target, seeds })
    }

    fn train(&self, rule: usize, batch_size: usize, seed: u64) -> Result<Run, Error> {
        let Experiment { task, epochs, .. } = self;
        let len = task.data.train.len();
        let batcher = Batcher::new(len, batch_size, seed)?;
        // A rate above the fixed one starts there and climbs over five epochs, as in the paper.
        let scale = if rule == 0 { 1.0 } else { batch_size as f64 / REFERENCE as f64 };
        let (learning_rate, warmup) = (scale * LEARNING_RATE, 5 * batcher.batches_per_epoch() as u64);
        let schedule = Schedule::linear(learning_rate.min(LEARNING_RATE), learning_rate, warmup)?;
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
                break; // it will never learn
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

    /// `None` if the loss is not finite.
    fn moment(&self, params: &[f32], epochs: f64) -> Option<Moment> {
        let mut moment = self.task.moment(params, epochs);
        if moment.loss >= CHANCE {
            moment.sharpness = f64::NAN;
        }
        moment.loss.is_finite().then_some(moment)
    }

    fn print_table(&self, cases: &[Case]) {
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
        for (rule, size, runs) in cases {
            let cells = columns.map(|(gap, width, _, when, digits, value)| {
                format!("{gap}{:>width$}", cell(of_seeds(runs, when, value), digits))
            });
            println!("{:6} {size:>6}{}", RULES[*rule], cells.concat());
        }
    }

    fn draw(&self, figures: &Figures, cases: &[Case]) -> Result<()> {
        let Experiment { task: Task { name, .. }, sizes, epochs, target, .. } = self;
        let lines = |what: &str, opacity: f64, when: usize, value: fn(&Moment) -> f64| {
            [0, 1].map(|rule| Line {
                name: format!("{} rate{what}", RULES[rule]),
                color: COLORS[1 - rule].mix(opacity),
                points: (cases.iter().filter(|case| case.0 == rule))
                    .map(|(_, size, runs)| (*size as f64, of_seeds(runs, when, value)))
                    .collect(),
            })
        };
        figures.draw(&format!("batch_size_accuracy_{name}"), (800, 480), |root| {
            let title = format!("{name}: accuracy after {epochs} epochs");
            let y = ("accuracy, % (on the edge: below)", 90.0..100.0, 90.0..100.0);
            let training = lines(", training", 0.4, EPOCHS, |moment| moment.training);
            let test = lines(", test", 1.0, EPOCHS, |moment| moment.test);
            draw_by_size(root, &title, sizes, y, training.into_iter().chain(test), SeriesLabelPosition::LowerLeft)
        })?;
        figures.draw(&format!("batch_size_sharpness_{name}"), (800, 480), |root| {
            let title = format!("{name}: sharpness after {epochs} epochs, and at training loss {target}");
            let y = ("largest eigenvalue of the Hessian", (0.01..100.0).log_scale(), 0.01..100.0);
            let after = lines(&format!(", {epochs} epochs"), 0.4, EPOCHS, |moment| moment.sharpness);
            let at = lines(&format!(", loss {target}"), 1.0, TARGET, |moment| moment.sharpness);
            draw_by_size(root, &title, sizes, y, after.into_iter().chain(at), SeriesLabelPosition::LowerRight)
        })
    }
}

/// The least, the middle and the largest of the runs' values at one moment; NaN if a run has none.
fn of_seeds(runs: &[Run], when: usize, value: fn(&Moment) -> f64) -> [f64; 3] {
    spread(runs.iter().map(|run| run[when].as_ref().map_or(f64::NAN, value)))
}
