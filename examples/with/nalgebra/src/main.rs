//! Logistic regression on the handwritten digits with nalgebra's `DMatrix`, trained by gradstep.
//!
//! ```sh
//! cargo run --release -p with-nalgebra                  # with --compare: beside the same update in nalgebra's operations
//! ```

#[path = "../../../common/data.rs"]
#[allow(dead_code, reason = "only the digits are read here")]
mod data;
#[path = "../../row.rs"]
mod row;

use std::env;

use anyhow::{Result, ensure};
use data::Samples;
use gradstep::{Batcher, Momentum, Optimizer, Schedule};
use nalgebra::DMatrix;

// glue
/// Both are column by column, as every `DMatrix` is. (A view of rows or of every other column is not: copy it with
/// `clone_owned`.) Compares the shapes, because a transposed gradient has the same length.
fn step(optimizer: &mut impl Optimizer<f32>, params: &mut DMatrix<f32>, grads: &DMatrix<f32>) -> Result<()> {
    ensure!(params.shape() == grads.shape(), "params {:?}, grads {:?}", params.shape(), grads.shape());
    Ok(optimizer.step(params.as_mut_slice(), grads.as_slice())?)
}
// glue

/// A column for each sample: a 1 for the bias, then the pixels.
fn columns(samples: &Samples, batch: impl ExactSizeIterator<Item = usize> + Clone) -> DMatrix<f32> {
    let column = |sample| std::iter::once(1.0).chain(samples.get(sample).0.iter().copied());
    DMatrix::from_iterator(65, batch.len(), batch.flat_map(column))
}

/// A column of probabilities for each sample.
fn probabilities(params: &DMatrix<f32>, pixels: &DMatrix<f32>) -> DMatrix<f32> {
    let mut logits = params * pixels;
    for mut column in logits.column_iter_mut() {
        let largest = column.max();
        column.apply(|logit| *logit = (*logit - largest).exp());
        let sum = column.sum();
        column /= sum;
    }
    logits
}

/// The mean loss over a batch and its gradient.
fn loss_and_grads(params: &DMatrix<f32>, samples: &Samples, batch: &[usize]) -> (f32, DMatrix<f32>) {
    let pixels = columns(samples, batch.iter().copied());
    let mut delta = probabilities(params, &pixels);
    let (mut loss, count) = (0.0, batch.len() as f32);
    for (mut column, &sample) in delta.column_iter_mut().zip(batch) {
        let label = samples.get(sample).1;
        loss -= column[label].ln() / count;
        column[label] -= 1.0;
    }
    (loss, delta * pixels.transpose() / count)
}

fn accuracy(params: &DMatrix<f32>, samples: &Samples) -> f64 {
    let probabilities = probabilities(params, &columns(samples, 0..samples.len()));
    let right = (0..samples.len()).filter(|&i| probabilities.column(i).imax() == samples.get(i).1).count();
    100.0 * right as f64 / samples.len() as f64
}

const EPOCHS: u64 = 10;

fn main() -> Result<()> {
    if env::args().any(|arg| arg == "--compare") {
        return compare();
    }
    let data = data::digits()?;
    let batcher = Batcher::new(data.train.len(), 32, 0)?;
    let schedule = Schedule::cosine(0.2, 0.0, EPOCHS * batcher.batches_per_epoch() as u64)?;
    let mut params = DMatrix::zeros(10, 65);
    let mut momentum = Momentum::new(0.0, 0.9, params.len())?;
    let mut epoch = batcher.epoch(0);
    for number in 0..EPOCHS {
        epoch.refill(number);
        let mut loss = 0.0;
        for batch in &epoch {
            let (batch_loss, grads) = loss_and_grads(&params, &data.train, batch);
            momentum.set_learning_rate(schedule.at(momentum.steps()))?;
            step(&mut momentum, &mut params, &grads)?;
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
    let (start, grads) =
        (DMatrix::from_fn(128, 795, |i, j| (i + j) as f32), DMatrix::from_fn(128, 795, |i, _| 0.1 * i as f32));
    let (mut here, mut there, mut velocity) = (start.clone(), start.clone(), DMatrix::zeros(128, 795));
    let mut momentum = Momentum::new(RATE.into(), LAMBDA.into(), start.len())?;
    let mut least = [f64::MAX; 2];
    for _ in 0..300 {
        row::time(&mut least[0], || step(&mut momentum, &mut here, &grads))?;
        row::time(&mut least[1], || {
            velocity.zip_apply(&grads, |m, g| *m = LAMBDA * *m - RATE * g);
            there += &velocity;
        });
    }
    let bits = |params: &DMatrix<f32>| -> Vec<u32> { params.iter().map(|param| param.to_bits()).collect() };
    ensure!(bits(&here) == bits(&there), "another trajectory");
    ensure!(step(&mut momentum, &mut here, &grads.transpose()).is_err(), "a transposed gradient was taken");
    row::print("nalgebra", "to the bit, 300 steps", least, include_str!("main.rs"), "nothing");
    Ok(())
}
