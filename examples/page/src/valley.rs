//! A batch in a valley: fits a line to points with batches of any size. What is fast per update, and what per sample?

use gradstep::{Batcher, Draws, Error, Optimizer, Sgd};

use crate::common::orders::{Order, epochs};

pub const POINTS: usize = 256;
/// A run is over when it has made as many epochs and as many updates.
pub const EPOCHS: usize = 8;
pub const UPDATES: usize = 64;
/// The number of gradients that show the noise.
const ARROWS: u64 = 48;
const START: [f64; 2] = [-1.6, 1.4];

/// The mean of ½ (a x + b - y)² over the points, from the start down to the line that fits best.
pub struct Valley {
    points: Vec<[f64; 2]>,
    batch_size: usize,
    seed: u64,
    sgd: Sgd<f64>,
    epochs: Box<dyn Iterator<Item = Vec<usize>>>,
    /// The samples of this epoch, of which the first `done` have been used.
    epoch: Vec<usize>,
    done: usize,
    samples: usize,
    /// The parameters [a, b] before each update, and after the last.
    path: Vec<[f64; 2]>,
}

impl Valley {
    /// `order`: 0 with replacement, 1 one fixed order, 2 reshuffled each epoch.
    pub fn new(learning_rate: f64, batch_size: usize, order: u8, seed: u64) -> Result<Self, Error> {
        let order = [Order::Replacement, Order::Fixed, Order::Reshuffled][usize::from(order)];
        let mut draws = Draws::new("points", [0, 0], seed);
        let point = |_| {
            let x = 0.8 + 1.2 * draws.normal::<f64>();
            [x, 0.8 * x - 0.4 + 0.8 * draws.normal::<f64>()]
        };
        Ok(Valley {
            points: (0..POINTS).map(point).collect(),
            batch_size,
            seed,
            sgd: Sgd::new(learning_rate)?,
            epochs: Box::new(epochs(order, POINTS, seed)?),
            epoch: Vec::new(),
            done: 0,
            samples: 0,
            path: vec![START],
        })
    }

    /// Makes one update. Returns false once the run is over.
    pub fn step(&mut self) -> Result<bool, Error> {
        if self.over() {
            return Ok(false);
        }
        if self.done == self.epoch.len() {
            (self.epoch, self.done) = (self.epochs.next().expect("there is always a next epoch"), 0);
        }
        let to = (self.done + self.batch_size).min(POINTS);
        let batch = &self.epoch[self.done..to];
        let mut params = self.params();
        let grads = self.gradient(params, batch);
        self.sgd.step(&mut params, &grads)?;
        self.samples += batch.len();
        self.done = to;
        self.path.push(params);
        Ok(true)
    }

    /// Whether the run has made enough epochs and updates, or has left the picture.
    pub fn over(&self) -> bool {
        let left = !self.params().iter().all(|p| p.abs() < 1e6);
        left || (self.samples >= EPOCHS * POINTS && self.updates() >= UPDATES)
    }

    pub fn updates(&self) -> usize {
        self.path.len() - 1
    }

    /// a, b, the loss above its least, the gradient, updates and samples so far, and the least loss.
    pub fn state(&self) -> [f64; 8] {
        let [a, b] = self.params();
        let all = Vec::from_iter(0..POINTS);
        let [da, db] = self.gradient([a, b], &all);
        let least = self.loss(self.best());
        [a, b, self.loss([a, b]) - least, da, db, self.updates() as f64, self.samples as f64, least]
    }

    /// a and b, before each update and after the last.
    pub fn path(&self) -> impl Iterator<Item = f64> {
        self.path.iter().copied().flatten()
    }

    /// The loss above its least, before each update and after the last.
    pub fn losses(&self) -> impl Iterator<Item = f64> {
        let least = self.loss(self.best());
        self.path.iter().map(move |&params| self.loss(params) - least)
    }

    /// The gradients of some other batches of this size at the present place, two numbers each.
    pub fn cloud(&self) -> Result<impl Iterator<Item = f64>, Error> {
        let batcher = Batcher::new(POINTS, self.batch_size, Draws::new("cloud", [0, 0], self.seed).word())?;
        let gradient = move |epoch| self.gradient(self.params(), &batcher.epoch(epoch).indices()[..self.batch_size]);
        Ok((0..ARROWS).flat_map(gradient))
    }

    /// The best a and b, and the Hessian's three numbers: the means of x², x and 1.
    pub fn bowl(&self) -> [f64; 5] {
        let ([a, b], [[xx, x], [_, one]]) = (self.best(), self.hessian());
        [a, b, xx, x, one]
    }

    fn params(&self) -> [f64; 2] {
        self.path[self.path.len() - 1]
    }

    fn loss(&self, [a, b]: [f64; 2]) -> f64 {
        let square = |&[x, y]: &[f64; 2]| (a * x + b - y) * (a * x + b - y);
        self.points.iter().map(square).sum::<f64>() / (2 * POINTS) as f64
    }

    fn gradient(&self, [a, b]: [f64; 2], batch: &[usize]) -> [f64; 2] {
        let mut grads = [0.0; 2];
        for &i in batch {
            let [x, y] = self.points[i];
            let error = (a * x + b - y) / batch.len() as f64;
            grads[0] += error * x;
            grads[1] += error;
        }
        grads
    }

    fn hessian(&self) -> [[f64; 2]; 2] {
        let mean = |of: fn(f64) -> f64| self.points.iter().map(|point| of(point[0])).sum::<f64>() / POINTS as f64;
        let x = mean(|x| x);
        [[mean(|x| x * x), x], [x, 1.0]]
    }

    /// Where the gradient is 0.
    fn best(&self) -> [f64; 2] {
        let [[xx, x], [_, one]] = self.hessian();
        let [xy, y] = self.gradient([0.0; 2], &Vec::from_iter(0..POINTS)).map(|g| -g);
        let determinant = xx * one - x * x;
        [(xy * one - x * y) / determinant, (xx * y - x * xy) / determinant]
    }
}
