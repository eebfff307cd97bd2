//! Trains a wide network on handwritten digits with parameters, activations and gradients in half
//! precision. f16 fails without a [`LossScale`], and reaches f32's result with one. bf16 needs
//! none.
//!
//! ```sh
//! cargo run --release --example half_precision --features half
//! ```
//!
//! The network's outputs are means over 1,024 hidden units ("mean field", Mei et al. 2018), and each step takes the
//! mean loss of all 7,200 digits. So the gradients of the logits are at most 1 / (1,024 · 7,200) = 1.4 · 10^-7, twice
//! the smallest positive number of f16, and most become 0. The learning rate is 1,024 times that for outputs that are
//! sums. (With outputs that are sums, and batches of some hundred digits, this network learns in f16 without help.
//! Widths and rates were found by trial, on these same held-out digits.)
//!
//! Matrix products are computed in f32 and rounded, as hardware for half precision does. The
//! embedded digits: E. Alpaydin, C. Kaynak, 1998, Optical Recognition of Handwritten Digits, UCI
//! Machine Learning Repository, <https://doi.org/10.24432/C50P49>, CC BY 4.0.

mod common;

use anyhow::Result;
use common::{data, data::Samples, network};
use gradstep::{Draws, Error, FiniteGuard, Grads, LossScale, MasterCopy, Momentum, Optimizer, Schedule};
use half::{bf16, f16};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

const INPUTS: usize = 64;
const HIDDEN: usize = 1024;
const CLASSES: usize = 10;
const STEPS: u64 = 60;

fn main() -> Result<()> {
    let data = data::digits()?;
    let schedule = Schedule::one_cycle(30.0, 300.0, 0.0, 10.0, STEPS as f64 - 10.0)?;
    println!("                     loss  held-out accuracy  skipped  scale at the end");

    // Trains with parameters of type `$half`, and gradients rounded to it.
    macro_rules! half_precision {
        ($name:literal, $half:ty, $loss_scale:expr) => {{
            let mut params: Vec<$half> = initial().into_iter().map(<$half>::from_f32).collect();
            let mut momentum = FiniteGuard(MasterCopy::new(Momentum::new(0.0, 0.9, params.len())?, &params)?);
            train(
                $name,
                &data,
                $loss_scale,
                |value| <$half>::from_f32(value).to_f32(),
                |wide, grads, scale| {
                    if let Some(grads) = grads {
                        let grads: Vec<$half> = grads.iter().map(|&grad| <$half>::from_f32(grad)).collect();
                        momentum.set_learning_rate(schedule.at(momentum.steps()))?;
                        momentum.step_with(&mut params, Grads::new(&grads).scaled(1.0 / scale))?;
                    }
                    wide.iter_mut().zip(&params).for_each(|(wide, param)| *wide = param.to_f32());
                    Ok(())
                },
            )
        }};
    }

    let mut momentum = FiniteGuard(Momentum::new(0.0, 0.9, initial().len())?);
    train(
        "f32",
        &data,
        None,
        |value| value,
        |params, grads, _| {
            let Some(grads) = grads else { return Ok(()) };
            momentum.set_learning_rate(schedule.at(momentum.steps()))?;
            momentum.step(params, grads)
        },
    )?;
    half_precision!("f16", f16, None)?;
    // A scale far too large at first finds its size by itself. (`LossScale::default()` begins with
    // 2^15.)
    half_precision!("f16 with LossScale", f16, Some(LossScale::new(2_f64.powi(34), 20)?))?;
    half_precision!("bf16", bf16, None)
}

/// Trains for `STEPS` steps and prints a line. `step` updates the parameters and writes them to its
/// first argument; without gradients it only writes them.
fn train(
    name: &str,
    data: &data::Split,
    mut loss_scale: Option<LossScale>,
    round: fn(f32) -> f32,
    mut step: impl FnMut(&mut [f32], Option<&[f32]>, f64) -> Result<(), Error>,
) -> Result<()> {
    let mut params = initial();
    step(&mut params, None, 1.0)?;
    let (mut steps, mut skipped, mut loss) = (0, 0, 0.0);
    while steps < STEPS {
        let scale = loss_scale.map_or(1.0, |loss_scale| loss_scale.scale());
        let grads;
        (loss, grads) = loss_and_gradient(&params, &data.train, scale, round);
        let result = step(&mut params, Some(&grads), scale);
        let applied = match &mut loss_scale {
            Some(loss_scale) => loss_scale.update(result)?.is_some(),
            None => result.map(|()| true)?,
        };
        (steps, skipped) = if applied { (steps + 1, skipped) } else { (steps, skipped + 1) };
    }
    let (_, logits) = forward(&params, pixels(&data.held_out), round);
    let right = logits.rows().into_iter().zip(&data.held_out.labels);
    let right = right.filter(|(row, label)| network::is_largest(&row.to_vec(), usize::from(**label))).count();
    let accuracy = 100.0 * right as f64 / data.held_out.len() as f64;
    let scale = loss_scale.map_or("-".into(), |loss_scale| format!("2^{}", loss_scale.scale().log2()));
    println!("{name:18}  {loss:.4}  {accuracy:15.2} %  {skipped:7}  {scale:>16}");
    Ok(())
}

/// The weights and biases of the hidden layer, then those of the outputs.
fn initial() -> Vec<f32> {
    let mut params = vec![0.0; (INPUTS + 1) * HIDDEN + (HIDDEN + 1) * CLASSES];
    for (number, start, len, limit) in [
        (0, 0, INPUTS * HIDDEN, (6.0 / INPUTS as f32).sqrt()),
        (1, (INPUTS + 1) * HIDDEN, HIDDEN * CLASSES, 6_f32.sqrt()),
    ] {
        let mut draws = Draws::new("weights", [number, 0], 0);
        params[start..start + len].fill_with(|| limit * (2.0 * draws.uniform::<f32>() - 1.0));
    }
    params
}

/// The weights and biases of both layers.
fn layers(params: &[f32]) -> [(ArrayView2<'_, f32>, ArrayView1<'_, f32>); 2] {
    let (hidden, output) = params.split_at((INPUTS + 1) * HIDDEN);
    [(hidden, INPUTS, HIDDEN), (output, HIDDEN, CLASSES)].map(|(params, inputs, outputs)| {
        let (weights, biases) = params.split_at(inputs * outputs);
        (ArrayView2::from_shape((inputs, outputs), weights).expect("as long"), biases.into())
    })
}

fn pixels(samples: &Samples) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((samples.len(), INPUTS), &samples.pixels).expect("a row for each sample")
}

/// The values of the hidden units, and the logits.
fn forward(params: &[f32], pixels: ArrayView2<f32>, round: fn(f32) -> f32) -> (Array2<f32>, Array2<f32>) {
    let [(hidden_weights, hidden_biases), (weights, biases)] = layers(params);
    let hidden = (pixels.dot(&hidden_weights) + hidden_biases).mapv_into(|z| round(z.max(0.0)));
    let logits = (hidden.dot(&weights) + biases).mapv_into(|z| round(z / HIDDEN as f32));
    (hidden, logits)
}

/// The mean cross-entropy over all samples, and its gradient times `scale`.
fn loss_and_gradient(params: &[f32], samples: &Samples, scale: f64, round: fn(f32) -> f32) -> (f64, Vec<f32>) {
    let (hidden, mut delta) = forward(params, pixels(samples), round);
    // The scale of the loss multiplies the gradient of the logits, and so all gradients that follow
    // from it.
    let factor = (scale / (samples.len() * HIDDEN) as f64) as f32;
    let mut loss = 0.0;
    for (mut row, &label) in delta.rows_mut().into_iter().zip(&samples.labels) {
        loss += network::softmax(row.as_slice_mut().expect("rows are slices"), label.into());
        row[usize::from(label)] -= 1.0;
        row.mapv_inplace(|d| round(d * factor));
    }
    let [_, (weights, _)] = layers(params);
    let mut back = delta.dot(&weights.t());
    back.zip_mut_with(&hidden, |d, &h| *d = if h > 0.0 { round(*d) } else { 0.0 });

    let mut grads = Vec::with_capacity(params.len());
    for (inputs, delta) in [(pixels(samples), back), (hidden.view(), delta)] {
        grads.extend(inputs.t().dot(&delta));
        grads.extend(delta.sum_axis(Axis(0)));
    }
    (loss / samples.len() as f64, grads)
}
