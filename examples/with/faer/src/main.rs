//! Logistic regression on the handwritten digits with faer's `Mat`, trained by gradstep.
//!
//! ```sh
//! cargo run --release -p with-faer                      # with --compare: beside the same update in faer's operations
//! ```

#[path = "../../../common/data.rs"]
#[allow(dead_code, reason = "only the digits are read here")]
mod data;
#[path = "../../row.rs"]
mod row;

use std::env;

use anyhow::{Result, ensure};
use data::Samples;
use faer::{Mat, Scale, unzip, zip};
use gradstep::{Batcher, Error, Grads, Momentum, ParamGroups, Schedule};

// glue
/// A matrix for gradstep: a tensor for each column, because faer pads columns, which lie apart in memory.
struct Columns {
    model: ParamGroups<f32, Momentum<f32>>,
    names: Vec<String>,
}

impl Columns {
    fn new(optimizer: Momentum<f32>, count: usize) -> Result<Self, Error> {
        let (mut model, names) = (ParamGroups::new(), Vec::from_iter((0..count).map(|column| column.to_string())));
        for name in &names {
            model.insert(name, optimizer.clone())?;
        }
        Ok(Columns { model, names })
    }

    /// Steps all columns, or returns an error and steps none.
    fn step(&mut self, params: &mut Mat<f32>, grads: &Mat<f32>) -> Result<()> {
        ensure!(params.shape() == grads.shape(), "params {:?}, grads {:?}", params.shape(), grads.shape());
        Ok(self.model.step_each(|visit| {
            let mut columns = self.names.iter().enumerate();
            columns.try_for_each(|(j, name)| visit(name, params.col_as_slice_mut(j), Grads::new(grads.col_as_slice(j))))
        })?)
    }
}
// glue

/// A row for each sample: a 1 for the bias, then the pixels.
fn rows(samples: &Samples, batch: &[usize]) -> Mat<f32> {
    Mat::from_fn(batch.len(), 65, |i, j| if j == 0 { 1.0 } else { samples.get(batch[i]).0[j - 1] })
}

/// A row of probabilities for each sample.
fn probabilities(params: &Mat<f32>, pixels: &Mat<f32>) -> Mat<f32> {
    let mut logits = pixels * params;
    for i in 0..logits.nrows() {
        let largest = logits.row(i).iter().fold(f32::MIN, |a, &b| a.max(b));
        logits.row_mut(i).iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
        let sum: f32 = logits.row(i).iter().sum();
        logits.row_mut(i).iter_mut().for_each(|p| *p /= sum);
    }
    logits
}

/// The mean loss over a batch and its gradient.
fn loss_and_grads(params: &Mat<f32>, samples: &Samples, batch: &[usize]) -> (f32, Mat<f32>) {
    let pixels = rows(samples, batch);
    let mut delta = probabilities(params, &pixels);
    let (mut loss, count) = (0.0, batch.len() as f32);
    for (i, &sample) in batch.iter().enumerate() {
        let label = samples.get(sample).1;
        loss -= delta[(i, label)].ln() / count;
        delta[(i, label)] -= 1.0;
    }
    (loss, Scale(1.0 / count) * (pixels.transpose() * delta))
}

fn accuracy(params: &Mat<f32>, samples: &Samples) -> f64 {
    let all: Vec<usize> = (0..samples.len()).collect();
    let probabilities = probabilities(params, &rows(samples, &all));
    let right = |&&i: &&usize| (0..10).all(|j| probabilities[(i, j)] <= probabilities[(i, samples.get(i).1)]);
    100.0 * all.iter().filter(right).count() as f64 / samples.len() as f64
}

const EPOCHS: u64 = 10;

fn main() -> Result<()> {
    if env::args().any(|arg| arg == "--compare") {
        return compare();
    }
    let data = data::digits()?;
    let batcher = Batcher::new(data.train.len(), 32, 0)?;
    let schedule = Schedule::cosine(0.2, 0.0, EPOCHS * batcher.batches_per_epoch() as u64)?;
    let mut params = Mat::zeros(65, 10);
    let mut columns = Columns::new(Momentum::new(1.0, 0.9, 65)?, 10)?; // the schedule's rate is a factor
    let mut epoch = batcher.epoch(0);
    for number in 0..EPOCHS {
        epoch.refill(number);
        let mut loss = 0.0;
        for batch in &epoch {
            let (batch_loss, grads) = loss_and_grads(&params, &data.train, batch);
            columns.model.scale_learning_rates(schedule.at(columns.model.steps()))?;
            columns.step(&mut params, &grads)?;
            loss += batch_loss / batcher.batches_per_epoch() as f32;
        }
        println!("epoch {number}: loss {loss:.4}, held-out {:.1} %", accuracy(&params, &data.held_out));
    }
    let accuracy = accuracy(&params, &data.held_out);
    println!("held-out accuracy: {accuracy:.1} %");
    ensure!(accuracy >= 92.0, "expected at least 92 %");
    Ok(())
}

/// Compares with the same update in the library's own operations, and prints a row of a table.
fn compare() -> Result<()> {
    const RATE: f32 = 0.05;
    const LAMBDA: f32 = 0.9;
    let grads = Mat::from_fn(785, 128, |i, _| 0.1 * i as f32); // columns of 785 are padded
    let start = Mat::from_fn(785, 128, |i, j| (i + j) as f32);
    ensure!(start.col_stride() > 785, "no padding");
    let (mut here, mut there, mut velocity) = (start.clone(), start, Mat::<f32>::zeros(785, 128));
    let mut columns = Columns::new(Momentum::new(RATE.into(), LAMBDA.into(), 785)?, 128)?;
    let mut least = [f64::MAX; 2];
    for _ in 0..300 {
        row::time(&mut least[0], || columns.step(&mut here, &grads))?;
        row::time(&mut least[1], || {
            zip!(&mut velocity, &grads).for_each(|unzip!(m, g)| *m = LAMBDA * *m - RATE * *g);
            there += &velocity;
        });
    }
    let bits = |params: &Mat<f32>| -> Vec<u32> {
        (0..128).flat_map(|j| params.col_as_slice(j).iter().map(|param| param.to_bits())).collect()
    };
    ensure!(bits(&here) == bits(&there), "another trajectory");
    ensure!(columns.step(&mut here, &grads.transpose().to_owned()).is_err(), "a transposed gradient was taken");
    row::print("faer", "to the bit, 300 steps", least, include_str!("main.rs"), "nothing");
    Ok(())
}
