//! What momentum does: it carries past a small minimum and a flat place, and speeds up the way down a narrow valley.
//! README.md discusses the results.
//!
//! Prints and draws where each rule ends on a curve, and how fast each descends a quadratic, beside theory.

#[path = "../shared.rs"]
mod shared;

use shared::common::curve::{End, LEARNING_RATE, START, gradient, loss};
use shared::*;

/// Runs gradient descent and momentum on a curve and on a quadratic, and draws both.
#[derive(Parser)]
struct Options {
    #[command(flatten)]
    figures: Figures,
}

fn main() -> Result<()> {
    let Options { figures } = Options::parse();
    curve(&figures)?;
    sweep(&figures)?;
    quadratic(&figures)
}

/// The place of `optimizer` on the curve before each step, and after the last.
fn roll(mut optimizer: impl Optimizer<f64>, start: f64, steps: usize) -> Result<Vec<f64>> {
    let mut x = [start];
    let mut path = vec![start];
    while path.len() <= steps && x[0].abs() < 100.0 {
        let grads = [gradient(x[0])];
        optimizer.step(&mut x, &grads)?;
        path.push(x[0]);
    }
    Ok(path)
}

fn curve(figures: &Figures) -> Result<()> {
    println!("The curve, learning rate {LEARNING_RATE}: where a rule is after");
    println!("{:24}{:>8}{:>10}{:>10}{:>12}{:>12}", "steps", 0, 30, 100, 1_000, 100_000);
    let runs = [
        ("Sgd", COLORS[0], roll(Sgd::new(LEARNING_RATE)?, START, 100_000)?),
        ("Sgd, from past the rim", COLORS[2], roll(Sgd::new(LEARNING_RATE)?, 1.2, 100_000)?),
        ("Momentum 0.9", COLORS[1], roll(Momentum::new(LEARNING_RATE, 0.9, 1)?, START, 100_000)?),
    ];
    for (name, _, path) in &runs {
        let [a, b, c, d, e] = [0, 30, 100, 1_000, 100_000].map(|step| path[step]);
        println!("{name:24}{a:8.3}{b:10.4}{c:10.4}{d:12.4}{e:12.5}");
    }
    figures.draw("momentum_curve", (800, 880), |root| {
        let (upper, lower) = root.split_vertically(480);
        let title = "100 steps with learning rate 0.05, past a small minimum and a flat place";
        let mut chart = axes(&upper, title, ("x", -0.9..5.9), ("loss", -1.2..1.4))?;
        let line = (0..=130).map(|i| f64::from(i) / 20.0 - 0.7).map(|x| (x, loss(x)));
        chart.draw_series(LineSeries::new(line, BLACK.mix(0.4).stroke_width(2)))?;
        // The last path is drawn above the curve, so that it does not hide the others.
        for ((name, color, path), above) in runs.iter().zip([0.0, 0.0, 0.07]) {
            let dots = path[..=100].iter().map(|&x| Circle::new((x, loss(x) + above), 4, color.mix(0.6).filled()));
            label(chart.draw_series(dots)?, name, color);
        }
        legend(&mut chart, SeriesLabelPosition::UpperMiddle)?;

        let (left, right) = lower.split_horizontally(400);
        let mut velocity = axes(&left, "velocity", ("step", 0.0..100.0), ("change of x in a step", -0.25..0.35))?;
        let mut slope = axes(&right, "gradient", ("step", 0.0..100.0), ("slope at x", -4.0..3.0))?;
        for (_, color, path) in runs {
            let velocities = path[..=100].windows(2).map(|pair| pair[1] - pair[0]);
            let gradients = path[..100].iter().map(|&x| gradient(x));
            let steps = || (0..).map(f64::from);
            velocity.draw_series(LineSeries::new(steps().zip(velocities), color.stroke_width(2)))?;
            slope.draw_series(LineSeries::new(steps().zip(gradients), color.stroke_width(2)))?;
        }
        Ok(())
    })
}

/// Where a run is after 10,000 steps, if it has come to rest.
fn end(learning_rate: f64, momentum: f64, form: MomentumForm) -> Result<End> {
    let path = roll(Momentum::new(learning_rate, momentum, 1)?.with_form(form), START, 10_000)?;
    Ok(End::of(path[path.len() - 1], path[path.len() - 2]))
}

/// The first and the last of neighbouring λ with the same end.
type Span = (f64, f64, End);

/// The ends for λ = 0, 0.01, …, 0.99.
fn ends(learning_rate: f64, form: MomentumForm) -> Result<Vec<Span>> {
    let mut spans: Vec<Span> = Vec::new();
    for momentum in (0..100).map(|percent| f64::from(percent) / 100.0) {
        let end = end(learning_rate, momentum, form)?;
        match spans.last_mut() {
            Some(span) if span.2 == end => span.1 = momentum,
            _ => spans.push((momentum, momentum, end)),
        }
    }
    Ok(spans)
}

fn sweep(figures: &Figures) -> Result<()> {
    println!("\nFor which momentum it escapes, learning rate {LEARNING_RATE}");
    for form in [MomentumForm::Classical, MomentumForm::Nesterov] {
        for (first, last, end) in ends(LEARNING_RATE, form)? {
            println!("{:12}{first:.2} to {last:.2}: {end:?}", format!("{form:?}"));
        }
    }
    println!("\nThe least momentum that ends at the lowest point (Classical)");
    let columns: Vec<(f64, _)> = (-24..=0)
        .map(|eighth| 10.0_f64.powf(f64::from(eighth) / 8.0))
        .map(|learning_rate| Ok((learning_rate, ends(learning_rate, MomentumForm::Classical)?)))
        .collect::<Result<_>>()?;
    for (learning_rate, spans) in columns.iter().step_by(4) {
        let least = spans.iter().find(|span| span.2 == End::Lowest).map(|span| format!("{:.2}", span.0));
        println!("learning rate {learning_rate:.4}: {}", least.as_deref().unwrap_or("none"));
    }
    figures.draw("momentum_sweep", (800, 480), |root| {
        let title = "where 10,000 steps of Momentum end, from x = -0.6";
        let x = ("learning rate", (10.0_f64.powf(-3.0625)..10.0_f64.powf(0.0625)).log_scale());
        let mut chart = axes(root, title, x, ("momentum", 0.0..1.0))?;
        let half = 10.0_f64.powf(1.0 / 16.0);
        for (end, color, name) in [
            (End::SmallMinimum, COLORS[0].mix(0.6), "the small minimum"),
            (End::FlatPlace, RGBColor(240, 228, 66).mix(0.9), "the flat place"),
            (End::Lowest, COLORS[1].mix(0.6), "the lowest point"),
            (End::NoRest, BLACK.mix(0.6), "no rest"),
        ] {
            let cells = columns.iter().flat_map(|(rate, spans)| spans.iter().map(move |span| (rate, span)));
            let cells = cells.filter(|(_, span)| span.2 == end).map(|(rate, &(first, last, _))| {
                Rectangle::new([(rate / half, first), (rate * half, last + 0.01)], color.filled())
            });
            label(chart.draw_series(cells)?, name, color);
        }
        legend(&mut chart, SeriesLabelPosition::LowerLeft)
    })
}

/// A rule, and the factor by which in theory, in the long run, a step shrinks the distance from the minimum.
type Rule = (&'static str, Box<dyn Optimizer<f64>>, f64);

/// The rules for a quadratic whose curvatures lie between μ = 1 and L = κ.
fn rules(kappa: f64) -> Result<[Rule; 3]> {
    let root = kappa.sqrt();
    let (eta, lambda) = (4.0 / ((root + 1.0) * (root + 1.0)), (root - 1.0) / (root + 1.0));
    Ok([
        ("Sgd", Box::new(Sgd::new(2.0 / (kappa + 1.0))?), (kappa - 1.0) / (kappa + 1.0)),
        // Polyak 1964: η = 4 / (√L + √μ)², λ = ((√κ - 1) / (√κ + 1))².
        ("Classical", Box::new(Momentum::new(eta, lambda * lambda, 2)?), lambda),
        // Nesterov 2004: η = 1 / L, λ = (√κ - 1) / (√κ + 1). For every convex loss with these curvatures, the loss
        // shrinks by a factor of 1 - 1 / √κ. On a quadratic, so does the distance: in the slowest direction, both roots
        // of z² - (1 + λ)(1 - μη) z + λ(1 - μη) = 0 are 1 - 1 / √κ.
        (
            "Nesterov",
            Box::new(Momentum::new(1.0 / kappa, lambda, 2)?.with_form(MomentumForm::Nesterov)),
            1.0 - 1.0 / root,
        ),
    ])
}

/// The path down `(x² + κ y²) / 2` from (1, 1), until the distance is 1e-140 of the first.
fn descend(optimizer: &mut dyn Optimizer<f64>, kappa: f64) -> Result<Vec<[f64; 2]>> {
    let mut params = [1.0, 1.0];
    let mut path = vec![params];
    while distance(&params) > 1e-140 {
        ensure!(distance(&params) < 1e6, "{params:?} after {} steps: it diverges", path.len() - 1);
        let grads = [params[0], kappa * params[1]];
        optimizer.step(&mut params, &grads)?;
        path.push(params);
    }
    Ok(path)
}

/// The distance from the minimum; 1 at the start.
fn distance(params: &[f64; 2]) -> f64 {
    ((params[0] * params[0] + params[1] * params[1]) / 2.0).sqrt()
}

fn quadratic(figures: &Figures) -> Result<()> {
    println!(
        "\nThe quadratic: shrinking of the distance in a step (measured over the second half of the way to 1e-140),"
    );
    println!("steps until it stays below 1e-6 of the first, and how far away it was on the way, in units of the first");
    println!("{:>8}  {:12}{:>10}{:>10}{:>9}{:>10}", "κ", "rule", "measured", "theory", "steps", "furthest");
    for kappa in [10.0, 100.0, 1_000.0, 10_000.0] {
        for (rule, mut optimizer, theory) in rules(kappa)? {
            let distances: Vec<f64> = descend(&mut *optimizer, kappa)?.iter().map(distance).collect();
            let last = distances.len() - 1;
            let rate = (distances[last] / distances[last / 2]).powf(1.0 / (last - last / 2) as f64);
            let steps = 1 + distances.iter().rposition(|&d| d > 1e-6).unwrap_or(0);
            let furthest = distances.iter().fold(0.0_f64, |a, &b| a.max(b));
            ensure!(
                (rate / theory - 1.0).abs() < 0.005,
                "{rule}, κ = {kappa}: a factor of {rate:.5} a step, expected {theory:.5}"
            );
            println!("{kappa:8}  {rule:12}{rate:10.5}{theory:10.5}{steps:9}{furthest:10.2}");
        }
    }
    figures.draw("momentum_quadratic", (800, 900), |root| {
        let (upper, lower) = root.split_vertically(470);
        let mut chart = axes(&upper, "30 steps on (x² + 25 y²) / 2, from (1, 1)", ("x", -0.4..1.2), ("y", -2.0..2.0))?;
        for (level, sign) in [0.05, 0.5, 2.0, 6.0, 14.0, 26.0, 42.0].into_iter().flat_map(|l| [(l, 1.0), (l, -1.0)]) {
            let squares = (-40..=120).map(|i| f64::from(i) / 100.0).map(|x| (x, (2.0 * level - x * x) / 25.0));
            let line = squares.filter(|&(_, square)| square >= 0.0).map(|(x, square)| (x, sign * square.sqrt()));
            chart.draw_series(LineSeries::new(line.step_by(2), BLACK.mix(0.3)))?;
        }
        for ((rule, mut optimizer, _), color) in rules(25.0)?.into_iter().zip(COLORS) {
            let path = descend(&mut *optimizer, 25.0)?;
            let points = path[..=30].iter().map(|&[x, y]| (x, y));
            label(chart.draw_series(LineSeries::new(points, color.stroke_width(2)).point_size(3))?, rule, color);
        }
        legend(&mut chart, SeriesLabelPosition::LowerLeft)?;

        let y = ("distance / first distance", (1e-8..20.0).log_scale());
        let title = "κ = 100: measured, and dashed the factor of theory to the power of the step";
        let mut chart = axes(&lower, title, ("step", 0.0..400.0), y)?;
        for ((rule, mut optimizer, theory), color) in rules(100.0)?.into_iter().zip(COLORS) {
            let path = descend(&mut *optimizer, 100.0)?;
            let points = path.iter().enumerate().step_by(2).map(|(step, params)| (step as f64, distance(params)));
            let points = points.take_while(|&(step, distance)| step <= 400.0 && distance > 1e-8);
            label(chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?, rule, color);
            let end = (1e-8_f64.ln() / theory.ln()).min(400.0);
            let line = [(0.0, 1.0), (end, theory.powf(end))];
            chart.draw_series(DashedLineSeries::new(line, 6, 4, color.stroke_width(1)))?;
        }
        legend(&mut chart, SeriesLabelPosition::UpperRight)
    })
}
