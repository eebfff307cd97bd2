//! What the experiments train: one network, on the digits or on MNIST.

#![allow(dead_code, reason = "no experiment uses all of it")]

use std::path::PathBuf;

use anyhow::{Result, ensure};

use crate::common::data::{self, Split};
use crate::common::layers::Layers;
use crate::common::network::Network;
use crate::common::sharpness::sharpness;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// A folder with the four files of MNIST, raw or .gz, to use in place of the embedded digits
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Where to write the figures
    #[arg(long, value_name = "DIR", default_value = "target/figures")]
    pub(crate) figures: PathBuf,
}

impl Options {
    /// The data, and its name in figures.
    pub(crate) fn load(&self) -> Result<(&'static str, Split)> {
        Ok(match &self.data {
            None => ("digits", data::digits()?),
            Some(dir) => ("mnist", data::mnist(dir)?),
        })
    }
}

/// Batch sizes: 1, then each `factor` times as large as the one before, below `len`.
pub(crate) fn sizes(factor: usize, len: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1), move |size| Some(size * factor)).take_while(move |&size| size < len)
}

pub(crate) struct Task {
    pub(crate) name: &'static str,
    pub(crate) data: Split,
    /// Every fifth training sample (the embedded digits not shifted): on these the training loss is measured.
    pub(crate) probe: Vec<usize>,
    pub(crate) layers: Layers,
    network: Network,
}

impl Task {
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let (name, data) = options.load()?;
        let (len, network) = (data.train.len(), Network { inputs: data.train.inputs, hidden: 64, classes: 10 });
        ensure!(len >= 64, "{len} training samples, expected at least 64");
        println!("{name}: {len} training samples, {} held out, {} parameters", data.held_out.len(), network.len());
        let layers = Layers { sizes: vec![network.inputs, network.hidden, network.classes], threads: 1 };
        Ok(Task { name, data, probe: (0..len).step_by(5).collect(), layers, network })
    }

    pub(crate) fn loss_and_gradient(&self, params: &[f32], batch: &[usize], grads: &mut [f32]) -> f64 {
        // Few samples are faster one after the other, where zeros are skipped. Both networks have the same parameters.
        if batch.len() < 8 {
            self.network.loss_and_gradient(params, &self.data.train, batch, grads)
        } else {
            self.layers.loss_and_gradient(params, &self.data.train, batch, grads)
        }
    }

    pub(crate) fn probe_loss(&self, params: &[f32]) -> f64 {
        self.layers.loss_and_accuracy(params, &self.data.train, &self.probe).0
    }

    pub(crate) fn sharpness(&self, params: &[f32]) -> f64 {
        sharpness(params, &self.layers.initial(1), |params, grads| {
            self.loss_and_gradient(params, &self.probe, grads);
        })
    }
}
