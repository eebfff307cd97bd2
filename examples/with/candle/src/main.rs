//! A candle network that gradstep trains: candle's autodiff, gradstep's momentum, batches and schedule.
//!
//! ```sh
//! cargo run --release -p with-candle                             # 1,797 embedded digits of 8 × 8 pixels
//! cargo run --release -p with-candle -- --checkpoint FILE        # kill it and start it again: it ends with the same bits
//! cargo run --release -p with-candle -- --compare                # beside candle_nn's SGD
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

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use candle_core::{D, DType, Device, Module, Tensor};
use candle_nn::{Linear, Optimizer, VarBuilder, VarMap, linear, loss::cross_entropy};
use clap::Parser;
use data::Samples;
use glue::{Config, Stepper};
use gradstep::{Batcher, Momentum, ParamGroups, Position, Schedule, gather};
use network::Network;
use options::Options;
use serde::{Deserialize, Serialize};

/// The seed of the initial weights and of the order of the samples.
const SEED: u64 = 0;

/// All that decides the rest of a run, apart from the data and the code.
#[derive(Serialize, Deserialize)]
struct State {
    model: ParamGroups<f32, Momentum<f32>>, // velocities, settings and the count of steps
    position: Position,                     // with batch size and seed
    params: BTreeMap<String, Vec<f32>>,
    schedule: Schedule,
}

struct Mlp(Linear, Linear);

impl Module for Mlp {
    fn forward(&self, pixels: &Tensor) -> candle_core::Result<Tensor> {
        self.1.forward(&self.0.forward(pixels)?.relu()?)
    }
}

impl Mlp {
    /// The layers, with weights from a seed, which candle's own generator on the CPU does not take.
    fn new(vars: &mut VarMap, inputs: usize, hidden: usize, seed: u64) -> Result<Mlp> {
        let builder = VarBuilder::from_varmap(vars, DType::F32, &Device::Cpu);
        let mlp = Mlp(linear(inputs, hidden, builder.pp("first"))?, linear(hidden, 10, builder.pp("second"))?);
        let mut params = Network { inputs, hidden, classes: 10 }.initial(seed).into_iter();
        for (layer, inputs, outputs) in [("first", inputs, hidden), ("second", hidden, 10)] {
            let mut next = |len| params.by_ref().take(len).collect::<Vec<f32>>();
            vars.set_one(format!("{layer}.bias"), Tensor::new(next(outputs), &Device::Cpu)?)?;
            let weights = Tensor::from_vec(next(inputs * outputs), (inputs, outputs), &Device::Cpu)?;
            vars.set_one(format!("{layer}.weight"), weights.t()?)?;
        }
        Ok(mlp)
    }

    fn accuracy(&self, samples: &Samples) -> Result<f64> {
        let (pixels, labels) = tensors(samples, &Vec::from_iter(0..samples.len()))?;
        let hits = self.forward(&pixels)?.argmax(D::Minus1)?.eq(&labels)?;
        Ok(f64::from(hits.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?) / samples.len() as f64)
    }
}

/// The pixels and the labels of a batch.
fn tensors(samples: &Samples, batch: &[usize]) -> Result<(Tensor, Tensor)> {
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    gather(&samples.pixels, samples.inputs, batch, &mut pixels)?;
    gather(&samples.labels, 1, batch, &mut labels)?;
    let labels = labels.into_iter().map(u32::from).collect::<Vec<u32>>();
    Ok((Tensor::from_vec(pixels, (batch.len(), samples.inputs), &Device::Cpu)?, Tensor::new(labels, &Device::Cpu)?))
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

fn train(options: &Options) -> Result<(f64, VarMap)> {
    let data = data::digits()?;
    let batcher = Batcher::new(data.train.len(), 32, SEED)?;
    let steps = options.epochs.saturating_mul(batcher.batches_per_epoch() as u64);
    let schedule = Schedule::cosine(options.learning_rate, 0.0, steps)?;

    let mut vars = VarMap::new();
    let mlp = Mlp::new(&mut vars, data.train.inputs, 128, SEED)?;
    let config = Config { learning_rate: 0.0, names: vars.clone(), rule: |_, len| Momentum::new(1.0, 0.9, len) };
    let mut optimizer = Stepper::new(vars.all_vars(), config)?;
    let mut stream = batcher.stream();

    let saved = options.checkpoint.as_deref().map(checkpoint::load::<State>).transpose()?.flatten();
    if let Some(saved) = saved {
        ensure!(saved.schedule == schedule, "saved schedule is {:?}, expected {schedule:?}", saved.schedule);
        stream = batcher.resume(&saved.position)?;
        optimizer.model.restore(saved.model)?;
        let mut params = saved.params;
        for (name, var) in vars.data().lock().unwrap().iter() {
            let params = params.remove(name).with_context(|| format!("`{name}` is not saved"))?;
            var.set(&Tensor::from_vec(params, var.shape(), &Device::Cpu)?)?;
        }
        println!("resumed at step {}", optimizer.model.steps());
    }

    let last = options.stop_at.unwrap_or(steps).min(steps);
    let (mut loss, mut count) = (0.0, 0.0);
    while optimizer.model.steps() < last {
        let (pixels, labels) = tensors(&data.train, stream.next_batch().context("the stream has ended")?)?;
        let batch_loss = cross_entropy(&mlp.forward(&pixels)?, &labels)?;
        let number = f64::from(batch_loss.to_scalar::<f32>()?);
        ensure!(number.is_finite(), "the loss is {number} at step {}: the steps are too long", optimizer.model.steps());
        optimizer.set_learning_rate(schedule.at(optimizer.model.steps())); // from the model's count, saved with it
        optimizer.backward_step(&batch_loss)?;
        (loss, count) = (loss + number, count + 1.0);

        let done = optimizer.model.steps();
        if stream.is_epoch_end() || done == last {
            println!("step {done}: loss {:.6}, held-out {:.1} %", loss / count, 100.0 * mlp.accuracy(&data.held_out)?);
            (loss, count) = (0.0, 0.0);
            if let Some(path) = &options.checkpoint {
                let model = optimizer.model.clone();
                checkpoint::save(
                    path,
                    &State { model, position: stream.position(), params: numbers(&vars)?, schedule: schedule.clone() },
                )?;
            }
        }
    }
    Ok((100.0 * mlp.accuracy(&data.held_out)?, vars))
}

/// The variables' numbers by name.
fn numbers(vars: &VarMap) -> candle_core::Result<BTreeMap<String, Vec<f32>>> {
    let vars = vars.data().lock().unwrap();
    vars.iter().map(|(name, var)| Ok((name.clone(), var.flatten_all()?.to_vec1()?))).collect()
}
