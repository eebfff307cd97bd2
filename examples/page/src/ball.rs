//! A ball on a curve: where does each rule stop?

use gradstep::{Draws, Error, Momentum, MomentumForm, Optimizer, Sgd};

use crate::common::curve::{self, End, START};

/// `Sgd`, and `Momentum` in its four forms.
pub const RULES: usize = 5;
/// A run is over after this many steps.
pub const STEPS: usize = 1_000;
/// A ball this far away has left the picture.
const FAR: f64 = 100.0;

/// Not `dyn Optimizer`, which would bring all methods of all rules into the page.
enum Rule {
    Sgd(Sgd<f64>),
    Momentum(Momentum<f64>),
}

/// Five balls that start at the same place, each with a rule of its own.
pub struct Balls {
    balls: [Ball; RULES],
    learning_rate: f64,
    noise: f64,
    seed: u64,
    steps: usize,
}

struct Ball {
    rule: Rule,
    /// The place before each step and after the last.
    path: Vec<f64>,
    /// The gradient of each step.
    gradients: Vec<f64>,
}

impl Balls {
    pub fn new(learning_rate: f64, momentum: f64, noise: f64, seed: u64) -> Result<Self, Error> {
        use MomentumForm::{Classical, Nesterov, PyTorch, PyTorchNesterov};
        let sgd = Sgd::new(learning_rate)?;
        let momentum = Momentum::new(learning_rate, momentum, 1)?;
        let form = |form| Rule::Momentum(momentum.clone().with_form(form));
        let rules = [Rule::Sgd(sgd), form(Classical), form(Nesterov), form(PyTorch), form(PyTorchNesterov)];
        let ball = |rule| Ball { rule, path: vec![START], gradients: Vec::new() };
        Ok(Balls { balls: rules.map(ball), learning_rate, noise, seed, steps: 0 })
    }

    /// Moves every ball by a step. Returns false once the run is over.
    pub fn step(&mut self) -> Result<bool, Error> {
        if self.over() {
            return Ok(false);
        }
        // The same noise for every ball.
        let noise = self.noise * Draws::new("noise", [self.steps as u64, 0], self.seed).normal::<f64>();
        for ball in self.balls.iter_mut().filter(|ball| !ball.has_left()) {
            let (mut x, gradient) = ([ball.x()], curve::gradient(ball.x()) + noise);
            match &mut ball.rule {
                Rule::Sgd(sgd) => sgd.step(&mut x, &[gradient])?,
                Rule::Momentum(momentum) => momentum.step(&mut x, &[gradient])?,
            }
            ball.path.push(x[0]);
            ball.gradients.push(gradient);
        }
        self.steps += 1;
        Ok(true)
    }

    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whether nothing moves any more, or 1,000 steps were made.
    pub fn over(&self) -> bool {
        let near = |ball: &Ball, x: f64| (x - ball.x()).abs() < 1e-6;
        let stands = |ball: &Ball| ball.has_left() || ball.path.iter().rev().take(20).all(|&x| near(ball, x));
        self.steps >= STEPS || (self.steps >= 20 && self.balls.iter().all(stands))
    }

    /// For each ball its place, the height of the curve there, its velocity, the last gradient, and where it is: 0 moving,
    /// 1 at rest in the small minimum, 2 at the flat place, 3 at the lowest point, 4 out of the picture.
    pub fn state(&self) -> impl Iterator<Item = f64> {
        self.balls.iter().flat_map(|ball| {
            let velocity = ball.velocities().last().unwrap_or_default();
            let gradient = ball.gradients.last().copied().unwrap_or_default();
            [ball.x(), curve::loss(ball.x()), velocity, gradient, f64::from(ball.place(self.learning_rate))]
        })
    }

    /// The places of one ball, before each step and after the last.
    pub fn path(&self, rule: usize) -> impl Iterator<Item = f64> {
        self.balls[rule].path.iter().copied()
    }

    /// How far each step went.
    pub fn velocities(&self, rule: usize) -> impl Iterator<Item = f64> {
        self.balls[rule].velocities()
    }

    /// The gradient of each step.
    pub fn gradients(&self, rule: usize) -> impl Iterator<Item = f64> {
        self.balls[rule].gradients.iter().copied()
    }

    /// Points of the curve, x and loss in turn.
    pub fn curve() -> impl Iterator<Item = f64> {
        (-90..=590).step_by(5).map(|x| f64::from(x) / 100.0).flat_map(|x| [x, curve::loss(x)])
    }
}

impl Ball {
    fn x(&self) -> f64 {
        self.path[self.path.len() - 1]
    }

    fn has_left(&self) -> bool {
        self.x().is_nan() || self.x().abs() >= FAR
    }

    fn velocities(&self) -> impl Iterator<Item = f64> {
        self.path.windows(2).map(|pair| pair[1] - pair[0])
    }

    fn place(&self, learning_rate: f64) -> u8 {
        // A ball that turns back is slow for a moment, but it stands on a slope.
        let steep = (learning_rate * curve::gradient(self.x())).abs() > 1e-3;
        match *self.path {
            _ if self.has_left() => 4,
            [.., before, x] if !steep => match End::of(x, before) {
                End::NoRest => 0,
                End::SmallMinimum => 1,
                End::FlatPlace => 2,
                End::Lowest => 3,
            },
            _ => 0,
        }
    }
}
