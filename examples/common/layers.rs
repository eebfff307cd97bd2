//! A neural network over one flat slice of parameters, a whole batch at a time: its work is products of matrices.
//!
//! The products are ndarray's. They use fused multiply-add where the CPU has it, so another kind of CPU computes other
//! last digits. The number of threads changes nothing.

use gradstep::gather;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, Zip};

use super::data::Samples;
use super::network;

/// Fully connected layers from each of `sizes` to the next, ReLU between them, softmax after the last.
///
/// The parameters are one slice: layer after layer, each a row of biases, then a row of weights for each of its inputs.
pub(crate) struct Layers {
    pub(crate) sizes: Vec<usize>,
    /// The number of threads that share a product. With more than one, call it in rayon's pool.
    pub(crate) threads: usize,
}

/// Longer batches are divided into parts of this many samples, to save memory.
const PART: usize = 1024;

/// The inputs of each layer, then the logits.
type Activations = Vec<Array2<f32>>;

impl Layers {
    /// The number of parameters.
    pub(crate) fn len(&self) -> usize {
        self.sizes.windows(2).map(len).sum()
    }

    /// The parameters of [`network::initial`].
    pub(crate) fn initial(&self, seed: u64) -> Vec<f32> {
        network::initial(&self.sizes, seed)
    }

    /// Returns the mean cross-entropy over the samples of `batch` and writes its gradient to `grads`.
    pub(crate) fn loss_and_gradient(
        &self,
        params: &[f32],
        samples: &Samples,
        batch: &[usize],
        grads: &mut [f32],
    ) -> f64 {
        let mut loss = 0.0;
        for (number, part) in batch.chunks(PART).enumerate() {
            let mut activations = self.forward(params, rows(samples, part));
            let mut delta = activations.pop().expect("the logits");
            for (mut row, &sample) in delta.rows_mut().into_iter().zip(part) {
                // d loss / d logits = (softmax - one-hot label) / batch size
                let label = usize::from(samples.labels[sample]);
                loss += network::softmax(row.as_slice_mut().expect("rows are slices"), label);
                row[label] -= 1.0;
                row /= batch.len() as f32;
            }
            self.backward(params, activations, delta, number > 0, grads);
        }
        loss / batch.len() as f64
    }

    /// Writes the gradient to `grads`, or adds it, from the inputs of each layer and the gradient of the logits.
    fn backward(&self, params: &[f32], inputs: Activations, mut delta: Array2<f32>, add: bool, grads: &mut [f32]) {
        let mut start = params.len();
        for (sizes, input) in self.sizes.windows(2).zip(inputs).rev() {
            let range = start - len(sizes)..start;
            start = range.start;
            let (_, weights) = layer(&params[range.clone()], sizes);
            let (mut bias_grads, weight_grads) = layer_mut(&mut grads[range], sizes);
            let beta = if add { 1.0 } else { 0.0 };
            if !add {
                bias_grads.fill(0.0);
            }
            bias_grads += &delta.sum_axis(Axis(0));
            multiply(self.threads, input.t(), delta.view(), beta, weight_grads);
            if start > 0 {
                let mut back = Array2::zeros(input.raw_dim());
                multiply(self.threads, delta.view(), weights.t(), 0.0, back.view_mut());
                Zip::from(&mut back).and(&input).for_each(|d, &h| *d = if h > 0.0 { *d } else { 0.0 });
                delta = back;
            }
        }
    }

    /// The mean cross-entropy over the samples of `batch`, and the share of them whose class has the largest output.
    pub(crate) fn loss_and_accuracy(&self, params: &[f32], samples: &Samples, batch: &[usize]) -> (f64, f64) {
        let (mut loss, mut correct) = (0.0, 0);
        for part in batch.chunks(PART) {
            let mut activations = self.forward(params, rows(samples, part));
            for (mut row, &sample) in activations.pop().expect("the logits").rows_mut().into_iter().zip(part) {
                let label = usize::from(samples.labels[sample]);
                let output = row.as_slice_mut().expect("rows are slices");
                correct += usize::from(network::is_largest(output, label));
                loss += network::softmax(output, label);
            }
        }
        (loss / batch.len() as f64, correct as f64 / batch.len() as f64)
    }

    /// The share of all `samples` whose class has the largest output.
    pub(crate) fn accuracy(&self, params: &[f32], samples: &Samples) -> f64 {
        self.loss_and_accuracy(params, samples, &Vec::from_iter(0..samples.len())).1
    }

    /// The class with the largest output, for each of all `samples`.
    pub(crate) fn predictions(&self, params: &[f32], samples: &Samples) -> Vec<u8> {
        let mut activations = self.forward(params, rows(samples, &Vec::from_iter(0..samples.len())));
        let logits = activations.pop().expect("the logits");
        let largest = |row: ArrayView1<f32>| (0..10).find(|&label| network::is_largest(&row.to_vec(), label.into()));
        logits.rows().into_iter().map(|row| largest(row).unwrap_or_default()).collect()
    }

    fn forward(&self, params: &[f32], pixels: Array2<f32>) -> Activations {
        let mut activations = vec![pixels];
        let mut rest = params;
        for sizes in self.sizes.windows(2) {
            let (of_layer, after) = rest.split_at(len(sizes));
            rest = after;
            let (biases, weights) = layer(of_layer, sizes);
            let input = activations.last_mut().expect("at least the pixels");
            let mut output = biases.broadcast((input.nrows(), sizes[1])).expect("a row for each").to_owned();
            multiply(self.threads, input.view(), weights, 1.0, output.view_mut());
            if !rest.is_empty() {
                output.mapv_inplace(|z| z.max(0.0));
            }
            activations.push(output);
        }
        activations
    }
}

/// The images of a batch, a row each.
fn rows(samples: &Samples, batch: &[usize]) -> Array2<f32> {
    let mut pixels = Vec::new();
    gather(&samples.pixels, samples.inputs, batch, &mut pixels).expect("every sample of a batch is there");
    Array2::from_shape_vec((batch.len(), samples.inputs), pixels).expect("a row for each sample")
}

/// The number of parameters of one layer.
fn len(sizes: &[usize]) -> usize {
    (1 + sizes[0]) * sizes[1]
}

/// A layer's biases and weights.
fn layer<'a>(params: &'a [f32], sizes: &[usize]) -> (ArrayView1<'a, f32>, ArrayView2<'a, f32>) {
    let (biases, weights) = params.split_at(sizes[1]);
    (biases.into(), ArrayView2::from_shape((sizes[0], sizes[1]), weights).expect("as long"))
}

fn layer_mut<'a>(params: &'a mut [f32], sizes: &[usize]) -> (ArrayViewMut1<'a, f32>, ArrayViewMut2<'a, f32>) {
    let (biases, weights) = params.split_at_mut(sizes[1]);
    (biases.into(), ArrayViewMut2::from_shape((sizes[0], sizes[1]), weights).expect("as long"))
}

/// `c = a b + beta c`, the longer side of c divided among the threads. Each number is computed as on one thread.
pub(crate) fn multiply(threads: usize, a: ArrayView2<f32>, b: ArrayView2<f32>, beta: f32, mut c: ArrayViewMut2<f32>) {
    // A short product takes less time than waking a thread.
    if threads <= 1 || a.nrows() * a.ncols() * b.ncols() < 1 << 20 {
        return general_mat_mul(1.0, &a, &b, beta, &mut c);
    }
    let (rows, columns) = c.dim();
    let first = |len: usize| len * (threads / 2) / threads;
    let (left, right) = if rows >= columns {
        let (a0, a1) = a.split_at(Axis(0), first(rows));
        let (c0, c1) = c.split_at(Axis(0), first(rows));
        ((a0, b, c0), (a1, b, c1))
    } else {
        let (b0, b1) = b.split_at(Axis(1), first(columns));
        let (c0, c1) = c.split_at(Axis(1), first(columns));
        ((a, b0, c0), (a, b1, c1))
    };
    rayon::join(
        || multiply(threads / 2, left.0, left.1, beta, left.2),
        || multiply(threads - threads / 2, right.0, right.1, beta, right.2),
    );
}
