//! A network on digits, as `batch_size` of the lecture trains it: one hidden layer of 64.

use std::sync::LazyLock;

use gradstep::{Batcher, Epoch, Error, Momentum, Optimizer};

use crate::common::data::{self, Samples, Split};
use crate::common::network::Network;
use crate::common::sharpness::sharpness;

/// A run is over after this many.
pub const EPOCHS: u64 = 32;
/// How often per epoch the loss is recorded.
const CHECKS: usize = 8;
const NETWORK: Network = Network { inputs: 64, hidden: 64, classes: 10 };

static DATA: LazyLock<Split> = LazyLock::new(|| data::digits().unwrap_or_else(|_| panic!("the embedded digits")));

pub struct Training {
    epoch: Epoch,
    /// The batches of this epoch that have been used.
    done: usize,
    /// With a momentum of 0 it makes the steps of `Sgd`.
    optimizer: Momentum<f32>,
    params: Vec<f32>,
    grads: Vec<f32>,
    /// Losses since the last check: their sum and number.
    losses: (f64, usize),
    checks: Vec<[f64; 3]>,
}

impl Training {
    pub fn new(learning_rate: f64, momentum: f64, batch_size: usize, seed: u64) -> Result<Self, Error> {
        let params = NETWORK.initial(seed);
        Ok(Training {
            epoch: Batcher::new(DATA.train.len(), batch_size, seed)?.epoch(0),
            done: 0,
            optimizer: Momentum::new(learning_rate, momentum, params.len())?,
            grads: vec![0.0; params.len()],
            params,
            losses: (0.0, 0),
            checks: Vec::new(),
        })
    }

    /// Makes one update. Returns false once the run is over.
    pub fn step(&mut self) -> Result<bool, Error> {
        if self.over() {
            return Ok(false);
        }
        let per_epoch = self.epoch.batcher().batches_per_epoch();
        let batch = self.epoch.batch(self.done).expect("refilled below when it is used up");
        let loss = NETWORK.by_lanes(&self.params, &DATA.train, batch, &mut self.grads);
        self.optimizer.step(&mut self.params, &self.grads)?;
        self.done += 1;
        self.losses = (self.losses.0 + loss, self.losses.1 + 1);
        if self.done.is_multiple_of(per_epoch.div_ceil(CHECKS)) || self.done == per_epoch {
            let epochs = self.epoch.number() as f64 + self.done as f64 / per_epoch as f64;
            let accuracy = 100.0 * NETWORK.accuracy(&self.params, &DATA.held_out);
            self.checks.push([epochs, self.losses.0 / self.losses.1 as f64, accuracy]);
            self.losses = (0.0, 0);
        }
        if self.done == per_epoch {
            self.epoch.refill(self.epoch.number() + 1);
            self.done = 0;
        }
        Ok(true)
    }

    /// Whether the run has made enough epochs, or the loss is no longer finite because the steps are too long.
    pub fn over(&self) -> bool {
        self.epoch.number() == EPOCHS || !self.losses.0.is_finite() || self.lost()
    }

    fn lost(&self) -> bool {
        self.checks.last().is_some_and(|check| !check[1].is_finite())
    }

    pub fn updates(&self) -> u64 {
        self.optimizer.steps()
    }

    /// For each check the epochs so far, the mean loss of the batches since the last check, and the held-out accuracy in %.
    pub fn checks(&self) -> impl Iterator<Item = f64> {
        self.checks.iter().copied().flatten()
    }

    /// The training loss and accuracy in %, the held-out accuracy in %, and the sharpness. The training loss and the
    /// sharpness are over every fifth sample: the digits that are not shifted.
    pub fn end(&self) -> [f64; 4] {
        let probe: Vec<usize> = (0..DATA.train.len()).step_by(5).collect();
        let loss = |params: &[f32], grads: &mut [f32]| NETWORK.by_lanes(params, &DATA.train, &probe, grads);
        let accuracy = |samples: &Samples| 100.0 * NETWORK.accuracy(&self.params, samples);
        let sharpness = sharpness(&self.params, &NETWORK.initial(1), |params, grads| {
            loss(params, grads);
        });
        let mut grads = vec![0.0; self.params.len()];
        [loss(&self.params, &mut grads), accuracy(&DATA.train), accuracy(&DATA.held_out), sharpness]
    }

    pub fn params(&self) -> &[f32] {
        &self.params
    }
}

/// Updates of one batch size, to be timed.
pub struct Updates {
    epoch: Epoch,
    optimizer: Momentum<f32>,
    params: Vec<f32>,
    grads: Vec<f32>,
    done: usize,
}

impl Updates {
    pub fn new(batch_size: usize) -> Result<Self, Error> {
        let params = NETWORK.initial(0);
        Ok(Updates {
            epoch: Batcher::new(DATA.train.len(), batch_size, 0)?.epoch(0),
            optimizer: Momentum::new(0.0, 0.0, params.len())?, // so that every update does the same
            grads: vec![0.0; params.len()],
            params,
            done: 0,
        })
    }

    /// Makes `updates` updates, eight samples at a time or sample by sample.
    pub fn run(&mut self, by_lanes: bool, updates: usize) -> Result<(), Error> {
        let gradient = if by_lanes { Network::by_lanes } else { Network::loss_and_gradient };
        for _ in 0..updates {
            let batch = self.epoch.batch(self.done % self.epoch.batcher().batches_per_epoch());
            gradient(&NETWORK, &self.params, &DATA.train, batch.expect("there is one"), &mut self.grads);
            self.optimizer.step(&mut self.params, &self.grads)?;
            self.done += 1;
        }
        Ok(())
    }
}
