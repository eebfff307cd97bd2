//! A network of two layers in ndarray, trained by gradstep on the handwritten digits.
//!
//! ```sh
//! cargo run --release -p with-ndarray                           # with --checkpoint FILE: kill it, and start it again
//! cargo run --release -p with-ndarray -- --compare              # beside the same update in ndarray's own operations
//! ```

#[path = "../../../common/checkpoint.rs"]
mod checkpoint;
mod compare;
#[path = "../../../common/data.rs"]
#[allow(dead_code, reason = "only the digits are read here")]
mod data;
#[path = "../../row.rs"]
mod row;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use data::Samples;
use gradstep::{Batcher, Draws, Momentum, ParamGroups, Position, Schedule, gather};
use ndarray::{Array2, ArrayD, ArrayView2, Axis, Ix2};
use serde::{Deserialize, Serialize};

/// Trains 64 - 32 - 10 on the digits.
#[derive(Parser)]
struct Options {
    /// Where to save after each epoch, and to resume from
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Compare with the same update in ndarray's own operations, and print a row of a table
    #[arg(long)]
    compare: bool,
}

const EPOCHS: u64 = 10;
const NAMES: [&str; 4] = ["first.weight", "first.bias", "second.weight", "second.bias"];

#[derive(Serialize, Deserialize)]
struct State {
    params: [ArrayD<f32>; 4],
    model: ParamGroups<f32, Momentum<f32>>,
    position: Position,
}

// glue
/// Steps all tensors. Parameters and gradients may have any memory order.
fn step(
    model: &mut ParamGroups<f32, Momentum<f32>>,
    params: &mut [ArrayD<f32>; 4],
    grads: &[ArrayD<f32>; 4],
) -> Result<()> {
    // Copies only what is not row by row. (`as_slice_memory_order` would return the numbers of a transposed array in another
    // order, without an error. The velocity has the order of the slice, so it must stay the same.)
    for param in params.iter_mut().filter(|param| !param.is_standard_layout()) {
        *param = param.as_standard_layout().into_owned();
    }
    let grads = grads.each_ref().map(|grad| grad.as_standard_layout());
    let mut tensors = Vec::with_capacity(4);
    for ((name, param), grad) in NAMES.into_iter().zip(params).zip(&grads) {
        let [shape, expected] = [grad.shape(), param.shape()];
        ensure!(shape == expected, "the gradient of {name} has the shape {shape:?}, expected {expected:?}");
        let slices = param.as_slice_mut().zip(grad.as_slice());
        let (param, grad) = slices.with_context(|| format!("{name} has no slice"))?;
        tensors.push((name, param, grad));
    }
    Ok(model.step(&mut tensors)?)
}
// glue

/// Uniform weights in ±√(6 / inputs), biases of 0.
fn initial(sizes: [usize; 3], seed: u64) -> [ArrayD<f32>; 4] {
    let weight = |layer, inputs: usize, outputs: usize| {
        let (mut draws, limit) = (Draws::new("weights", [layer, 0], seed), (6.0 / inputs as f32).sqrt());
        ArrayD::from_shape_simple_fn(vec![inputs, outputs], || limit * (2.0 * draws.uniform::<f32>() - 1.0))
    };
    let [a, b, c] = sizes;
    [weight(0, a, b), ArrayD::zeros(vec![b]), weight(1, b, c), ArrayD::zeros(vec![c])]
}

fn matrix(param: &ArrayD<f32>) -> ArrayView2<'_, f32> {
    param.view().into_dimensionality::<Ix2>().expect("two axes")
}

/// The hidden layer and the probabilities of the classes.
fn forward(params: &[ArrayD<f32>; 4], pixels: &ArrayView2<f32>) -> (Array2<f32>, Array2<f32>) {
    let bias = |param: &ArrayD<f32>| param.to_shape(param.len()).expect("one axis").into_owned();
    let hidden = (pixels.dot(&matrix(&params[0])) + bias(&params[1])).mapv_into(f32::tanh);
    let mut logits = hidden.dot(&matrix(&params[2])) + bias(&params[3]);
    for mut row in logits.rows_mut() {
        let largest = row.fold(f32::MIN, |a, &b| a.max(b));
        row.mapv_inplace(|logit| (logit - largest).exp());
        row /= row.sum();
    }
    (hidden, logits)
}

/// The mean loss over a batch, and its gradients in the order of `NAMES`.
fn loss_and_grads(params: &[ArrayD<f32>; 4], pixels: &ArrayView2<f32>, labels: &[u8]) -> (f32, [ArrayD<f32>; 4]) {
    let (hidden, mut delta) = forward(params, pixels);
    let (mut loss, count) = (0.0, labels.len() as f32);
    for (mut row, &label) in delta.rows_mut().into_iter().zip(labels) {
        loss -= row[usize::from(label)].ln() / count;
        row[usize::from(label)] -= 1.0;
    }
    delta /= count;
    let back = delta.dot(&matrix(&params[2]).t()) * hidden.mapv(|h| 1.0 - h * h);
    let grads = [
        pixels.t().dot(&back).into_dyn(),
        back.sum_axis(Axis(0)).into_dyn(),
        hidden.t().dot(&delta).into_dyn(),
        delta.sum_axis(Axis(0)).into_dyn(),
    ];
    (loss, grads)
}

fn accuracy(params: &[ArrayD<f32>; 4], samples: &Samples) -> Result<f64> {
    let pixels = ArrayView2::from_shape((samples.len(), samples.inputs), &samples.pixels)?;
    let (_, probabilities) = forward(params, &pixels);
    let rows = probabilities.rows().into_iter().zip(&samples.labels);
    let right = rows.filter(|(row, label)| row.iter().all(|&p| p <= row[usize::from(**label)])).count();
    Ok(100.0 * right as f64 / samples.len() as f64)
}

fn main() -> Result<()> {
    let options = Options::parse();
    if options.compare {
        return compare::row();
    }
    let data = data::digits()?;
    let batcher = Batcher::new(data.train.len(), 32, 0)?;
    let schedule = Schedule::cosine(0.05, 0.0, EPOCHS * batcher.batches_per_epoch() as u64)?;
    let mut stream = batcher.stream();
    let params = initial([64, 32, 10], 0);
    let mut model = ParamGroups::new();
    for (name, param) in NAMES.into_iter().zip(&params) {
        model.insert(name, Momentum::new(1.0, 0.9, param.len())?)?; // the schedule's rate is a factor
    }
    let mut state = State { params, model, position: stream.position() };
    if let Some(saved) = options.checkpoint.as_deref().map(checkpoint::load::<State>).transpose()?.flatten() {
        stream = batcher.resume(&saved.position)?;
        state.model.restore(saved.model)?;
        state.params = saved.params;
        println!("resumed at step {}", state.model.steps());
    }
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    while stream.position().epoch() < EPOCHS {
        let batch = stream.next_batch().context("the stream has ended")?;
        gather(&data.train.pixels, 64, batch, &mut pixels)?;
        gather(&data.train.labels, 1, batch, &mut labels)?;
        let pixels = ArrayView2::from_shape((batch.len(), 64), &pixels)?;
        let (loss, grads) = loss_and_grads(&state.params, &pixels, &labels);
        state.model.scale_learning_rates(schedule.at(state.model.steps()))?;
        step(&mut state.model, &mut state.params, &grads)?;
        if stream.is_epoch_end() {
            state.position = stream.position();
            let accuracy = accuracy(&state.params, &data.held_out)?;
            println!("step {}: loss {loss:.4}, held-out {accuracy:.1} %", state.model.steps());
            options.checkpoint.as_deref().map(|path| checkpoint::save(path, &state)).transpose()?;
        }
    }
    let accuracy = accuracy(&state.params, &data.held_out)?;
    println!("held-out accuracy: {accuracy:.1} %");
    ensure!(accuracy >= 95.0, "expected at least 95 %");
    Ok(())
}
