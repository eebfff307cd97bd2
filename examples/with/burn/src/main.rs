//! A burn network that gradstep trains: burn's autodiff, gradstep's momentum, batches and schedule.
//!
//! ```sh
//! cargo run --release                           # in this folder: 1,797 embedded digits of 8 × 8 pixels
//! cargo run --release -- --checkpoint FILE      # kill it and start it again: it ends with the same bits
//! cargo run --release -- --compare              # beside burn's Sgd with momentum
//! ```

#[path = "../../../common/checkpoint.rs"]
mod checkpoint;
mod compare;
#[path = "../../../common/data.rs"]
#[allow(dead_code, reason = "only the digits are read here")]
mod data;
mod glue;
#[path = "../../../common/network.rs"]
#[allow(dead_code, reason = "the initial weights alone are taken")]
mod network;
#[path = "../../options.rs"]
mod options;
#[path = "../../row.rs"]
#[allow(dead_code, reason = "compare.rs measures the times")]
mod row;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result, ensure};
use burn::module::{Module, Param};
use burn::nn::{Linear, loss::CrossEntropyLossConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::store::ModuleRecord;
use burn::tensor::{Bytes, Device, Int, Tensor, TensorData, activation::relu};
use clap::Parser;
use data::Samples;
use glue::Stepper;
use gradstep::{Batcher, Momentum, MomentumForm, Position, Schedule, gather};
use network::Network;
use options::Options;
use serde::{Deserialize, Serialize};

/// The seed of the initial weights and of the order of the samples.
const SEED: u64 = 0;

/// All that decides the rest of a run, apart from the data and the code.
#[derive(Serialize, Deserialize)]
struct State {
    position: Position, // with batch size and seed
    module: Vec<u8>,    // parameters, and the random ids by which burn finds their state
    optimizer: Vec<u8>, // that state
    step: u64,          // burn's optimizers do not tell how often they stepped
    schedule: Schedule,
}

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    second: Linear,
}

impl Mlp {
    fn new(inputs: usize, hidden: usize, seed: u64, device: &Device) -> Mlp {
        let mut params = Network { inputs, hidden, classes: 10 }.initial(seed).into_iter();
        let mut layer = |inputs, outputs| {
            let mut next = |len| params.by_ref().take(len).collect::<Vec<f32>>();
            let bias = Some(Param::from_data(TensorData::new(next(outputs), [outputs]), device));
            let weight = Param::from_data(TensorData::new(next(inputs * outputs), [inputs, outputs]), device);
            Linear { weight, bias }
        };
        Mlp { first: layer(inputs, hidden), second: layer(hidden, 10) }
    }

    fn forward(&self, pixels: Tensor<2>) -> Tensor<2> {
        self.second.forward(relu(self.first.forward(pixels)))
    }

    fn loss(&self, samples: &Samples, batch: &[usize], device: &Device) -> Result<Tensor<1>> {
        let (pixels, labels) = tensors(samples, batch, device)?;
        Ok(CrossEntropyLossConfig::new().init(device).forward(self.forward(pixels), labels))
    }

    fn accuracy(&self, samples: &Samples) -> Result<f64> {
        let (pixels, labels) = tensors(samples, &Vec::from_iter(0..samples.len()), &Device::flex())?;
        let hits = self.valid().forward(pixels).argmax(1).flatten::<1>(0, 1).equal(labels);
        Ok(100.0 * hits.int().sum().into_scalar::<i64>() as f64 / samples.len() as f64)
    }
}

/// The pixels and the labels of a batch.
fn tensors(samples: &Samples, batch: &[usize], device: &Device) -> Result<(Tensor<2>, Tensor<1, Int>)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    gather(&samples.pixels, samples.inputs, batch, &mut pixels)?;
    gather(&samples.labels, 1, batch, &mut labels)?;
    let labels = labels.into_iter().map(i64::from).collect::<Vec<i64>>();
    Ok((
        Tensor::from_data(TensorData::new(pixels, [batch.len(), samples.inputs]), device),
        Tensor::from_data(TensorData::new(labels, [batch.len()]), device),
    ))
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.compare {
        return compare::row();
    }
    let (accuracy, _) = train(&options)?;
    println!("held-out accuracy: {accuracy:.1} %");
    ensure!(options.stop_at.is_some() || accuracy >= 95.0, "expected at least 95 %");
    Ok(())
}

/// burn's momentum has PyTorch's form.
fn momentum(len: usize) -> Result<Momentum<f32>, gradstep::Error> {
    Ok(Momentum::new(0.0, 0.9, len)?.with_form(MomentumForm::PyTorch))
}

fn train(options: &Options) -> Result<(f64, Mlp)> {
    let data = data::digits()?;
    let batcher = Batcher::new(data.train.len(), 32, SEED)?;
    let steps = options.epochs.saturating_mul(batcher.batches_per_epoch() as u64);
    let schedule = Schedule::cosine(options.learning_rate, 0.0, steps)?;

    let device = Device::flex().autodiff();
    let mut mlp = Mlp::new(data.train.inputs, 128, SEED, &device);
    let mut optimizer = ModuleOptimizer::from(Stepper(momentum));
    let (mut stream, mut step) = (batcher.stream(), 0);

    let saved = options.checkpoint.as_deref().map(checkpoint::load::<State>).transpose()?.flatten();
    if let Some(saved) = saved {
        ensure!(saved.schedule == schedule, "saved schedule is {:?}, expected {schedule:?}", saved.schedule);
        (stream, step) = (batcher.resume(&saved.position)?, saved.step);
        mlp = mlp.try_load_record(ModuleRecord::from_bytes(Bytes::from_bytes_vec(saved.module))?)?;
        optimizer = optimizer.from_bytes(Bytes::from_bytes_vec(saved.optimizer))?;
        println!("resumed at step {step}");
    }

    let last = options.stop_at.unwrap_or(steps).min(steps);
    let (mut loss, mut count) = (0.0, 0.0);
    while step < last {
        let batch = stream.next_batch().context("the stream has ended")?;
        let batch_loss = mlp.loss(&data.train, batch, &device)?;
        let number = batch_loss.clone().into_scalar::<f64>();
        ensure!(number.is_finite(), "the loss is {number} at step {step}: the steps are too long");
        let grads = GradientsParams::from_grads(batch_loss.backward(), &mlp);
        mlp = optimizer.step(schedule.at(step), mlp, grads);
        step += 1;
        (loss, count) = (loss + number, count + 1.0);

        if stream.is_epoch_end() || step == last {
            println!("step {step}: loss {:.6}, held-out {:.1} %", loss / count, mlp.accuracy(&data.held_out)?);
            (loss, count) = (0.0, 0.0);
            if let Some(path) = &options.checkpoint {
                let (module, optimizer) = (mlp.clone().into_record().into_bytes()?, optimizer.into_bytes()?);
                let (module, optimizer, position) = (module.to_vec(), optimizer.to_vec(), stream.position());
                checkpoint::save(path, &State { position, module, optimizer, step, schedule: schedule.clone() })?;
            }
        }
    }
    Ok((mlp.accuracy(&data.held_out)?, mlp))
}
