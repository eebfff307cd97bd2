//! The network of `examples/common`, eight samples at a time: each value of a layer is a row of eight, one per sample.
//!
//! A vector register multiplies several samples at once, and a weight is read once for eight. Missing samples of the last
//! eight are zeros, and take as long. Exponentials and logarithms are libm's, so that every machine and browser computes the
//! same bits.

use crate::common::{data::Samples, network::Network};

const LANES: usize = 8;
type Lanes = [f32; LANES];

impl Network {
    /// Returns the mean cross-entropy over the samples of `batch` and writes its gradient to `grads`.
    pub(crate) fn by_lanes(&self, params: &[f32], samples: &Samples, batch: &[usize], grads: &mut [f32]) -> f64 {
        let (first, second) = params.split_at((1 + self.inputs) * self.hidden);
        grads.fill(0.0);
        let (first_grads, second_grads) = grads.split_at_mut(first.len());
        let mut pixels = vec![[0.0; LANES]; self.inputs];
        let mut hidden = vec![[0.0; LANES]; self.hidden];
        let mut output = vec![[0.0; LANES]; self.classes];
        let mut hidden_grads = vec![[0.0; LANES]; self.hidden];
        let mut rows = [vec![0.0; LANES * self.hidden], vec![0.0; LANES * self.classes]];
        let mut loss = 0.0;
        for block in batch.chunks(LANES) {
            pixels.fill([0.0; LANES]);
            for (lane, &sample) in block.iter().enumerate() {
                for (pixel, &value) in pixels.iter_mut().zip(samples.get(sample).0) {
                    pixel[lane] = value;
                }
            }
            affine(first, &pixels, &mut hidden);
            hidden.iter_mut().flatten().for_each(|h| *h = h.max(0.0));
            affine(second, &hidden, &mut output);
            loss += softmax_gradient(&mut output, block, samples, batch.len() as f32);
            for ((d, weights), h) in hidden_grads.iter_mut().zip(rows_of(second, self.classes)).zip(&hidden) {
                *d = [0.0; LANES];
                for (&w, o) in weights.iter().zip(&output) {
                    add(d, w, o);
                }
                for (d, &h) in d.iter_mut().zip(h) {
                    *d = if h > 0.0 { *d } else { 0.0 };
                }
            }
            let [of_hidden, of_output] = &mut rows;
            add_gradient(second_grads, &hidden, &output, of_output);
            add_gradient(first_grads, &pixels, &hidden_grads, of_hidden);
        }
        loss / batch.len() as f64
    }
}

fn rows_of(layer: &[f32], outputs: usize) -> impl Iterator<Item = &[f32]> {
    layer[outputs..].chunks_exact(outputs)
}

fn add(sum: &mut Lanes, w: f32, x: &Lanes) {
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum += w * x;
    }
}

/// `output = biases + Σ input[i] weights[i]`, for an even number of outputs.
fn affine(layer: &[f32], input: &[Lanes], output: &mut [Lanes]) {
    let (biases, weights) = layer.split_at(output.len());
    let columns = output.len();
    for (start, pair) in output.chunks_exact_mut(2).enumerate().map(|(i, pair)| (2 * i, pair)) {
        // The sums of two outputs at a time stay in registers.
        let mut sums = [[biases[start]; LANES], [biases[start + 1]; LANES]];
        for (x, weights) in input.iter().zip(weights.chunks_exact(columns)) {
            add(&mut sums[0], weights[start], x);
            add(&mut sums[1], weights[start + 1], x);
        }
        pair.copy_from_slice(&sums);
    }
}

/// Turns logits into their gradient, (softmax - one-hot label) / batch size, and returns the sum of the cross-entropies.
fn softmax_gradient(output: &mut [Lanes], block: &[usize], samples: &Samples, batch_size: f32) -> f64 {
    let mut loss = 0.0;
    for lane in 0..LANES {
        let Some(&sample) = block.get(lane) else {
            output.iter_mut().for_each(|o| o[lane] = 0.0);
            continue;
        };
        let label = samples.get(sample).1;
        // Subtract the largest: the result is the same, and exp cannot overflow.
        let largest = output.iter().fold(f32::NEG_INFINITY, |a, o| a.max(o[lane]));
        let shifted = output[label][lane] - largest;
        let mut sum = 0.0;
        for o in output.iter_mut() {
            o[lane] = libm::expf(o[lane] - largest);
            sum += o[lane];
        }
        loss += f64::from(libm::logf(sum) - shifted);
        for o in output.iter_mut() {
            o[lane] /= sum;
        }
        output[label][lane] -= 1.0;
        output.iter_mut().for_each(|o| o[lane] /= batch_size);
    }
    loss
}

/// Adds eight samples' gradients to a layer's: `d` to the biases, `input[i] d` to the weights of input i. `rows` is scratch
/// for `d` transposed: vectors along the outputs need no sum within a register.
fn add_gradient(layer: &mut [f32], input: &[Lanes], d: &[Lanes], rows: &mut [f32]) {
    let outputs = d.len();
    for (lane, row) in rows.chunks_exact_mut(outputs).enumerate() {
        for (r, d) in row.iter_mut().zip(d) {
            *r = d[lane];
        }
    }
    let (biases, weights) = layer.split_at_mut(outputs);
    add_rows(biases, &[1.0; LANES], rows);
    for (x, weights) in input.iter().zip(weights.chunks_exact_mut(outputs)) {
        if *x != [0.0; LANES] {
            add_rows(weights, x, rows);
        }
    }
}

fn add_rows(sum: &mut [f32], x: &Lanes, rows: &[f32]) {
    let len = sum.len();
    let rows: [&[f32]; LANES] = std::array::from_fn(|lane| &rows[lane * len..][..len]);
    // All lanes for one number before the next, so that each is read and written once.
    for (i, sum) in sum.iter_mut().enumerate() {
        for (&x, row) in x.iter().zip(rows) {
            *sum += x * row[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::data::digits;

    #[test]
    fn eight_at_once_are_what_one_by_one_are() {
        let samples = digits().unwrap().train;
        let network = Network { inputs: 64, hidden: 34, classes: 10 };
        let params = network.initial(7);
        for batch_size in [1, 2, 7, 8, 9, 32, 1_001] {
            let batch: Vec<usize> = (0..batch_size).map(|i| i * 31 % samples.len()).collect();
            let [mut grads, mut expected] = [(); 2].map(|()| vec![f32::NAN; params.len()]); // overwritten, not added to
            let loss = network.by_lanes(&params, &samples, &batch, &mut grads);
            let expected_loss = network.loss_and_gradient(&params, &samples, &batch, &mut expected);
            assert!((loss - expected_loss).abs() < 1e-5, "{loss} and {expected_loss}");
            for (i, (a, b)) in grads.iter().zip(&expected).enumerate() {
                assert!((a - b).abs() <= 1e-5, "batch size {batch_size}, at {i}: {a} and {b}");
            }
        }
    }
}
