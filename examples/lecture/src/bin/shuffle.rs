//! What a new order each epoch gains over one fixed order and over drawing with replacement. README.md discusses the
//! results.
//!
//! Three problems: two samples, where the exact answer is known; least squares, where theory gives the exponents; and
//! the digits.

#[path = "../shared.rs"]
mod shared;

use gradstep::Draws;
use shared::common::network::Network;
use shared::common::orders::{Order, epochs};
use shared::*;

/// Compares three ways to order the samples, on two samples, on least squares and on the digits.
#[derive(Parser)]
struct Options {
    /// Take seconds: fewer seeds and epochs, whose numbers say little
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    figures: Figures,
}

fn main() -> Result<()> {
    let Options { quick, figures } = Options::parse();
    two_samples(&figures, if quick { 1_000 } else { 50_000 })?;
    least_squares(&figures, if quick { 4 } else { 20 })?;
    let (seeds, epochs) = if quick { (4, 5) } else { (20, 20) };
    digits(&figures, seeds, epochs)
}

const ORDERS: [(Order, &str, RGBColor); 3] = [
    (Order::Replacement, "with replacement", COLORS[0]),
    (Order::Fixed, "one fixed order", COLORS[2]),
    (Order::Reshuffled, "reshuffled", COLORS[1]),
];

/// The name, the colour and the runs of each order.
fn groups(runs: &[Vec<Vec<f64>>]) -> impl Iterator<Item = (String, RGBColor, &Vec<Vec<f64>>)> + Clone {
    ORDERS.into_iter().zip(runs).map(|((_, name, color), runs)| (name.into(), color, runs))
}

/// The exact variance and bias of x at the end of an epoch, for the loss ½(x - s)² with s = 1 or -1.
///
/// The mean loss has its minimum at 0, and a step is x <- (1 - η) x + η s.
///
/// - With replacement: var = (1 - η)² var + η², so var = η² / (1 - (1 - η)²): 1/7 at η = 1/4.
/// - Reshuffled, an epoch is x <- (1 - η)² x + η (1 - η) s - η s = (1 - η)² x - η² s, with a new s each time, so
///   var = η⁴ / (1 - (1 - η)⁴): 1/175.
/// - In a fixed order, s is always the same: no variance, but x comes to rest at -η² s / (1 - (1 - η)²): 1/7 off.
fn exact(order: Order, eta: f64) -> (f64, f64) {
    let kept = (1.0 - eta) * (1.0 - eta);
    match order {
        Order::Replacement => (eta * eta / (1.0 - kept), 0.0),
        Order::Fixed => (0.0, eta * eta / (1.0 - kept)),
        Order::Reshuffled => (eta.powi(4) / (1.0 - kept * kept), 0.0),
    }
}

/// The variance and the mean of x over `count` ends of epochs.
fn variance_and_mean(order: Order, seed: u64, eta: f64, count: usize) -> Result<(f64, f64), Error> {
    const WARM_UP: usize = 200; // epochs on the way from the start to where x stays
    let (mut x, mut sgd, mut ends) = ([0.0], Sgd::new(eta)?, Vec::new());
    for indices in epochs(order, 2, seed)?.take(WARM_UP + count) {
        for i in indices {
            let grads = [x[0] - [1.0, -1.0][i]];
            sgd.step(&mut x, &grads)?;
        }
        ends.push(x[0]);
    }
    let (mean, deviation) = mean_and_deviation(&ends[WARM_UP..]);
    // In the fixed order the sign depends on which sample comes first.
    Ok((deviation * deviation, if order == Order::Fixed { mean.abs() } else { mean }))
}

fn two_samples(figures: &Figures, epochs: usize) -> Result<()> {
    const SEEDS: u64 = 10;
    println!("Two samples: x at the end of an epoch, {epochs} epochs, mean of {SEEDS} seeds");
    println!("{:>8}  {:17}{:>10}{:>10}{:>10}{:>10}{:>10}", "η", "order", "variance", "+-", "exact", "bias", "exact");
    let mut squares = Vec::new();
    for eta in [0.0625, 0.125, 0.25, 0.5, 0.75] {
        let runs = run_all(&ORDERS, SEEDS, |&(order, ..), seed| variance_and_mean(order, seed, eta, epochs))?;
        for ((order, name, color), runs) in ORDERS.into_iter().zip(runs) {
            let (variances, means): (Vec<f64>, Vec<f64>) = runs.into_iter().unzip();
            let (variance, deviation) = mean_and_deviation(&variances);
            let (error, bias) = (deviation / (SEEDS as f64).sqrt(), mean_and_deviation(&means).0.abs());
            let (exact_variance, exact_bias) = exact(order, eta);
            println!(
                "{eta:8.4}  {name:17}{variance:10.6}{error:10.6}{exact_variance:10.6}{bias:10.6}{exact_bias:10.6}"
            );
            let near = (variance - exact_variance).abs() <= 5.0 * error + 1e-12;
            ensure!(near, "{name}, η = {eta}: the variance is {variance:.3e}, expected {exact_variance:.3e}");
            squares.push((eta, variance + bias * bias, color));
        }
    }
    figures.draw("shuffle_two_samples", (800, 450), |root| {
        let title = "two samples: variance + bias² at the end of an epoch (dots: measured, lines: exact)";
        let x = ("learning rate", (0.05..1.0).log_scale());
        let mut chart = axes(root, title, x, ("mean square distance", (1e-5..1.0).log_scale()))?;
        for (order, name, color) in ORDERS {
            let line = (0..=20).map(|i| 0.05 * 20.0_f64.powf(f64::from(i) / 20.0)).map(|eta| {
                let (variance, bias) = exact(order, eta);
                (eta, variance + bias * bias)
            });
            label(chart.draw_series(LineSeries::new(line, color.stroke_width(2)))?, name, color);
        }
        chart.draw_series(squares.iter().map(|&(x, y, color)| Circle::new((x, y), 5, color.filled())))?;
        for (square, label) in [(1.0 / 7.0, "1/7"), (1.0 / 49.0, "1/49"), (1.0 / 175.0, "1/175")] {
            chart.draw_series([Text::new(label, (0.265, square * 0.85), ("sans-serif", 17))])?;
        }
        legend(&mut chart, SeriesLabelPosition::UpperLeft)
    })
}

const ROWS: usize = 100;
const COLUMNS: usize = 5;
type Row = ([f64; COLUMNS], f64);

/// The gradient of ½(row · x - target)² with respect to x.
fn row_gradient((row, target): &Row, x: &[f64]) -> [f64; COLUMNS] {
    let miss = row.iter().zip(x).map(|(a, x)| a * x).sum::<f64>() - target;
    row.map(|a| a * miss)
}

/// Entries and noise uniform in [-1, 1); target = the sum of the row + noise.
fn rows() -> Vec<Row> {
    let mut draws = Draws::new("rows", [0, 0], 0);
    let mut uniform = || 2.0 * draws.uniform::<f64>() - 1.0;
    let row = |_| {
        let row: [f64; COLUMNS] = std::array::from_fn(|_| uniform());
        (row, row.iter().sum::<f64>() + uniform())
    };
    (0..ROWS).map(row).collect()
}

/// Steps by full gradients until nothing moves.
fn optimum(rows: &[Row]) -> Result<[f64; COLUMNS]> {
    let (mut x, mut momentum) = ([0.0; COLUMNS], Momentum::new(0.5, 0.5, COLUMNS)?);
    for _ in 0..1_000 {
        let mut grads = [0.0; COLUMNS];
        for row in rows {
            let one = row_gradient(row, &x);
            grads.iter_mut().zip(one).for_each(|(sum, g)| *sum += g / ROWS as f64);
        }
        momentum.step(&mut x, &grads)?;
    }
    ensure!(momentum.velocity().iter().all(|m| m.abs() < 1e-14), "the full gradients have not reached the optimum");
    Ok(x)
}

fn least_squares(figures: &Figures, seeds: u64) -> Result<()> {
    const EPOCHS: usize = 3_000;
    let rows = rows();
    let optimum = optimum(&rows)?;
    let mut shown: Vec<usize> = (0..42).map(|i| 10.0_f64.powf(f64::from(i) / 12.0).round() as usize).collect();
    shown.push(EPOCHS);
    shown.dedup();
    let xs: Vec<f64> = shown.iter().map(|&epoch| epoch as f64).collect();
    // The squared distance from the optimum after each of the epochs `shown`.
    let distances = |order, seed, learning_rate: fn(f64) -> f64| {
        let (mut x, mut sgd, mut run) = ([0.0; COLUMNS], Sgd::new(0.0)?, Vec::new());
        for (indices, epoch) in epochs(order, ROWS, seed)?.take(EPOCHS).zip(1..) {
            sgd.set_learning_rate(learning_rate((epoch - 1) as f64))?;
            for i in indices {
                let grads = row_gradient(&rows[i], &x);
                sgd.step(&mut x, &grads)?;
            }
            if shown.contains(&epoch) {
                run.push(x.iter().zip(optimum).map(|(x, best)| (x - best) * (x - best)).sum());
            }
        }
        Ok(run)
    };
    let constant = run_all(&ORDERS, seeds, |&(order, ..), seed| distances(order, seed, |_| 0.02))?;
    let decreasing = run_all(&ORDERS, seeds, |&(order, ..), seed| distances(order, seed, |epoch| 0.4 / (4.0 + epoch)))?;

    println!("\nLeast squares, {ROWS} rows of {COLUMNS}, one a step: squared distance from the optimum, {seeds} seeds");
    println!("{:10}  {:17}{:>12}{:>12}{:>12}{:>10}", "η", "order", "epoch 10", "epoch 100", "epoch 1000", "slope");
    for (rate, runs) in [("constant", &constant), ("decreasing", &decreasing)] {
        for ((_, name, _), runs) in ORDERS.iter().zip(runs) {
            let means = means(runs);
            let [a, b, c] = [10.0, 100.0, 1_000.0].map(|epoch| means[xs.partition_point(|&x| x < epoch)]);
            let slope = if rate == "constant" { String::new() } else { format!("{:.2}", slope(&xs, &means)) };
            println!("{rate:10}  {name:17}{a:12.1e}{b:12.1e}{c:12.1e}{slope:>10}");
        }
    }

    figures.draw("shuffle_least_squares", (800, 900), |root| {
        let (upper, lower) = root.split_vertically(450);
        for (area, runs, title, lowest) in
            [(upper, constant, "η = 0.02", 1e-5), (lower, decreasing, "η = 0.4 / (4 + epoch)", 1e-11)]
        {
            let title = format!("least squares, {title}: mean and range of {seeds} seeds");
            let y = ("squared distance from the optimum", (lowest..1.0).log_scale());
            let mut chart = axes(&area, &title, ("epoch", (1.0..EPOCHS as f64).log_scale()), y)?;
            draw_bands(&mut chart, &xs, groups(&runs))?;
            legend(&mut chart, SeriesLabelPosition::LowerLeft)?;
        }
        Ok(())
    })
}

/// The exponent p of the best fit y ~ x^p from epoch 300 on.
fn slope(xs: &[f64], ys: &[f64]) -> f64 {
    let logs = xs.iter().zip(ys).filter(|(x, _)| **x >= 300.0).map(|(x, y)| (x.ln(), y.ln()));
    let (xs, ys): (Vec<f64>, Vec<f64>) = logs.unzip();
    let ((x_mean, _), (y_mean, _)) = (mean_and_deviation(&xs), mean_and_deviation(&ys));
    let products: f64 = xs.iter().zip(&ys).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    products / xs.iter().map(|x| (x - x_mean) * (x - x_mean)).sum::<f64>()
}

fn digits(figures: &Figures, seeds: u64, count: usize) -> Result<()> {
    let data = data::digits()?;
    let network = Network { inputs: data.train.inputs, hidden: 32, classes: 10 };
    let all: Vec<usize> = (0..data.train.len()).collect();
    // The training losses and the held-out accuracies, epoch by epoch.
    let train = |order, seed| {
        let (mut params, mut sgd) = (network.initial(seed), Sgd::new(0.1)?);
        let mut grads = vec![0.0; params.len()];
        let mut curve = Vec::new();
        for indices in epochs(order, all.len(), seed)?.take(count) {
            for batch in indices.chunks(8) {
                network.loss_and_gradient(&params, &data.train, batch, &mut grads);
                sgd.step(&mut params, &grads)?;
            }
            let loss = network.loss_and_gradient(&params, &data.train, &all, &mut grads);
            curve.push((loss, 100.0 * network.accuracy(&params, &data.held_out)));
        }
        Ok(curve.into_iter().unzip())
    };
    let (losses, accuracies): (Vec<_>, Vec<_>) = run_all(&ORDERS, seeds, |&(order, ..), seed| train(order, seed))?
        .into_iter()
        .map(|runs| runs.into_iter().unzip::<Vec<f64>, Vec<f64>, Vec<_>, Vec<_>>())
        .unzip();

    println!("\nThe digits, Sgd 0.1 in batches of 8, {seeds} seeds: mean +- deviation after {count} epochs;");
    println!("and the difference in training loss, mean of all epochs +- its standard error");
    println!("{:17}{:>20}{:>20}{:>30}", "order", "training loss", "held out, %", "all epochs: loss - reshuffled");
    for (i, (_, name, _)) in ORDERS.iter().enumerate() {
        let last = |runs: &[Vec<f64>]| mean_and_deviation(&runs.iter().map(|run| run[count - 1]).collect::<Vec<_>>());
        let ((loss, d), (accuracy, e)) = (last(&losses[i]), last(&accuracies[i]));
        // Seed by seed, because the seed also decides the first weights.
        let pairs = losses[i].iter().zip(&losses[2]);
        let differences: Vec<f64> = pairs.map(|(a, b)| mean_and_deviation(a).0 - mean_and_deviation(b).0).collect();
        let (difference, f) = mean_and_deviation(&differences);
        let error = f / (seeds as f64).sqrt();
        println!("{name:17}{loss:11.4} +- {d:.4}{accuracy:12.2} +- {e:.2}{difference:18.4} +- {error:.4}");
    }

    figures.draw("shuffle_digits", (800, 860), |root| {
        let (upper, lower) = root.split_vertically(430);
        let xs: Vec<f64> = (1..=count).map(|epoch| epoch as f64).collect();
        let title = format!("digits: mean and range of {seeds} seeds");
        for (area, title, y, runs, corner) in [
            (upper, &*title, ("training loss", 0.0..0.4), losses, SeriesLabelPosition::UpperRight),
            (lower, "", ("held-out accuracy, %", 91.0..99.0), accuracies, SeriesLabelPosition::LowerRight),
        ] {
            let mut chart = axes(&area, title, ("epoch", 0.0..count as f64), y)?;
            draw_bands(&mut chart, &xs, groups(&runs))?;
            legend(&mut chart, corner)?;
        }
        Ok(())
    })
}
