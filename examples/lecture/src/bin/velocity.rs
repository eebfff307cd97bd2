//! What momentum does to a real network: its velocity as a weighted sum of past gradients, the best learning rate for
//! each momentum, and the loss from step to step. README.md discusses the results.

#[path = "../shared.rs"]
mod shared;

use shared::*;

/// Shows what the momentum does in the training of a network.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Options,
    /// The number of samples in a batch
    #[arg(long, default_value_t = 32)]
    batch_size: usize,
    /// The number of steps of a run
    #[arg(long, default_value_t = 4000, conflicts_with = "quick")]
    steps: usize,
    /// The number of runs, each with its own seed
    #[arg(long, default_value_t = 5, conflicts_with = "quick")]
    seeds: u64,
}

/// The loss is averaged over this many steps.
const WINDOW: usize = 100;
const MOMENTA: [f64; 7] = [0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99];
/// The learning rates tried: 2^-11 to 1.
const RATES: std::ops::RangeInclusive<i32> = -11..=0;

/// The losses of a rule at one learning rate: for every seed the mean of each window.
type Losses = Vec<Vec<f64>>;

/// A rule at its best learning rate.
struct Best<'a> {
    name: String,
    exponent: i32,
    losses: &'a Losses,
}

fn main() -> Result<()> {
    let mut options = Arguments::parse();
    if options.common.quick {
        (options.seeds, options.steps) = (2, 200);
    }
    ensure!(options.steps >= 2 * WINDOW, "steps is {}, expected at least {}", options.steps, 2 * WINDOW);
    let figures = &options.common.figures;
    weights(figures)?;

    let task = Task::new(&options.common)?;
    let forms = [MomentumForm::PyTorch, MomentumForm::Nesterov, MomentumForm::PyTorchNesterov];
    let rules = MOMENTA.map(|momentum| (momentum, MomentumForm::Classical)).into_iter();
    let rules = Vec::from_iter(rules.chain(forms.map(|form| (0.9, form))));
    let cases = Vec::from_iter(rules.iter().flat_map(|&rule| RATES.map(move |exponent| (rule, exponent))));
    let train = |&(rule, exponent): &(_, i32), seed| train(&task, &options, rule, exponent, seed);
    let mut runs = run_all(&cases, options.seeds, train)?.into_iter();
    let sweep = Vec::from_iter(
        rules.into_iter().map(|(momentum, form)| (momentum, form, runs.by_ref().take(RATES.count()).collect())),
    );

    let best = print(&options, &sweep);
    draw_rates(figures, &format!("velocity_rates_{}", task.name), &options, &sweep)?;
    draw_training(figures, &format!("velocity_training_{}", task.name), &best)
}

/// Trains with one rule and rate, and returns the mean loss of each window; NaN from where it is not finite.
fn train(
    task: &Task,
    options: &Arguments,
    (momentum, form): (f64, MomentumForm),
    exponent: i32,
    seed: u64,
) -> Result<Vec<f64>, Error> {
    let mut params = task.layers.initial(seed);
    let mut grads = vec![0.0; params.len()];
    let mut optimizer: Box<dyn Optimizer<f32>> = match (2_f64.powi(exponent), momentum) {
        (rate, 0.0) => Box::new(Sgd::new(rate)?),
        (rate, momentum) => Box::new(Momentum::new(rate, momentum, params.len())?.with_form(form)),
    };
    let mut stream = Batcher::new(task.data.train.len(), options.batch_size, seed)?.stream();
    let mut losses = vec![0.0; options.steps / WINDOW];
    for losses in &mut losses {
        for _ in 0..WINDOW {
            let Some(batch) = stream.next_batch() else { break };
            *losses += task.loss_and_gradient(&params, batch, &mut grads) / WINDOW as f64;
            if !losses.is_finite() {
                *losses = f64::NAN;
                break;
            }
            optimizer.step(&mut params, &grads)?;
        }
    }
    Ok(losses)
}

/// The mean loss over the last quarter of the steps and all seeds.
fn end(losses: &Losses) -> f64 {
    let last = |losses: &Vec<f64>| {
        let quarter = losses.len().div_ceil(4);
        losses[losses.len() - quarter..].iter().sum::<f64>() / quarter as f64
    };
    losses.iter().map(last).sum::<f64>() / losses.len() as f64
}

type Sweep = Vec<(f64, MomentumForm, Vec<Losses>)>;

/// Prints the final loss of each rule and rate, and returns each rule at its best rate.
fn print<'a>(options: &Arguments, sweep: &'a Sweep) -> Vec<Best<'a>> {
    println!(
        "the loss over the last quarter of {} steps with batches of {}, mean of {} seeds; *: the best rate",
        options.steps, options.batch_size, options.seeds
    );
    let rates = RATES.map(|exponent| format!("    2^{exponent:<3}"));
    println!("rule                 {}   η / (1 - λ)", rates.collect::<String>());
    let mut all = Vec::new();
    for (momentum, form, runs) in sweep {
        let ends: Vec<f64> = runs.iter().map(end).collect();
        let best = (0..ends.len()).min_by(|&a, &b| ends[a].total_cmp(&ends[b])).expect("at least one rate");
        let name = if *momentum == 0.0 { "Sgd".into() } else { format!("{form:?} {momentum}") };
        let cells = ends.iter().enumerate().map(|(i, end)| format!("{end:8.4}{}", if i == best { '*' } else { ' ' }));
        let exponent = RATES.start() + best as i32;
        let reach = 2_f64.powi(exponent) / (1.0 - momentum);
        println!("{name:21}{}   {reach:.3}", cells.collect::<String>());
        all.push(Best { name, exponent, losses: &runs[best] });
    }
    all
}

/// Takes one gradient of 1, then zeros, so that each step shows the weight of this gradient in the velocity.
fn weights(figures: &Figures) -> Result<()> {
    const STEPS: usize = 60;
    println!("the weight of a gradient in the velocity, k steps later, in units of -η; λ^k in brackets");
    let rules = [
        (0.5, MomentumForm::Classical),
        (0.9, MomentumForm::Classical),
        (0.9, MomentumForm::Nesterov),
        (0.98, MomentumForm::Classical),
    ];
    let colors = [COLORS[2], COLORS[1], COLORS[0], BLACK];
    let mut lines = Vec::new();
    for ((momentum, form), color) in rules.into_iter().zip(colors) {
        let learning_rate = 0.5_f64; // a power of two: dividing by it is exact
        let (mut optimizer, mut x) = (Momentum::new(learning_rate, momentum, 1)?.with_form(form), [0.0]);
        let mut weights = Vec::new();
        for k in 0..STEPS {
            let before = x[0];
            optimizer.step(&mut x, &[if k == 0 { 1.0 } else { 0.0 }])?;
            weights.push((before - x[0]) / learning_rate);
        }
        let name = format!("{form:?}, λ = {momentum}");
        let shown = [0, 1, 2, 10, 50].map(|k| format!("k = {k}: {:.5} ({:.5})", weights[k], momentum.powi(k as i32)));
        println!("{name:22} {}", shown.join("  "));
        let largest = (0..).zip(&weights).map(|(k, w)| (w - momentum.powi(k)).abs()).fold(0.0, f64::max);
        if form == MomentumForm::Classical {
            ensure!(largest < 1e-12, "a weight is {largest:e} from λ^k");
        }
        lines.push((name, color, weights));
    }
    figures.draw("velocity_weights", (800, 440), |root| {
        let x = ("steps since the gradient, k", 0.0..STEPS as f64);
        let title = "the weight of one gradient in the steps that follow";
        let mut chart = axes(root, title, x, ("step / -η g", 0.0..2.0))?;
        for (name, color, weights) in lines {
            let points = (0..).map(f64::from).zip(weights);
            label(chart.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(2))?, &name, color);
        }
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}

/// Draws the final loss against the rate, and against η / (1 - λ), the rate in the long run.
fn draw_rates(figures: &Figures, name: &str, options: &Arguments, sweep: &Sweep) -> Result<()> {
    figures.draw(name, (800, 880), |root| {
        let (upper, lower) = root.split_vertically(440);
        let y = ("training loss", (0.01..3.0).log_scale());
        let title = format!("loss at the end of {} steps, by learning rate", options.steps);
        let mut above = axes(&upper, &title, ("learning rate η", (4e-4..1.0).log_scale()), y.clone())?;
        let title = "the same, by η / (1 - λ)";
        let mut below = axes(&lower, title, ("η / (1 - λ)", (4e-4..128.0).log_scale()), y)?;
        for ((momentum, _, runs), number) in
            sweep.iter().filter(|(_, form, _)| *form == MomentumForm::Classical).zip(0..)
        {
            let color = HSLColor(0.08 + 0.1 * f64::from(number), 0.85, 0.4);
            let points = |scale: f64| {
                let ends = RATES.zip(runs).map(move |(exponent, losses)| (2_f64.powi(exponent) * scale, end(losses)));
                ends.filter(|(_, end)| *end < 3.0).collect::<Vec<_>>()
            };
            let line = LineSeries::new(points(1.0), color.stroke_width(2)).point_size(3);
            label(above.draw_series(line)?, &format!("λ = {momentum}"), color);
            let reach = 1.0 / (1.0 - *momentum);
            below.draw_series(LineSeries::new(points(reach), color.stroke_width(2)).point_size(3))?;
        }
        legend(&mut above, SeriesLabelPosition::LowerLeft)
    })
}

/// Draws the loss from step to step at the best rate of each rule: the mean of the seeds, and their range.
fn draw_training(figures: &Figures, name: &str, best: &[Best<'_>]) -> Result<()> {
    let shown =
        [("Sgd", COLORS[0]), ("Classical 0.9", COLORS[1]), ("Nesterov 0.9", COLORS[2]), ("Classical 0.99", BLACK)];
    figures.draw(name, (800, 520), |root| {
        let steps: Vec<f64> = (1..=best[0].losses[0].len()).map(|window| (window * WINDOW) as f64).collect();
        let x = ("step", 0.0..steps[steps.len() - 1]);
        let title = format!("loss of the batches, mean of {WINDOW} steps, each rule at its best rate");
        let mut chart = axes(root, &title, x, ("training loss", (0.02..3.0).log_scale()))?;
        let groups = shown.into_iter().map(|(rule, color)| {
            let best = best.iter().find(|best| best.name == rule).expect("in the sweep");
            (format!("{rule}, η = 2^{}", best.exponent), color, best.losses)
        });
        draw_bands(&mut chart, &steps, groups)?;
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}
