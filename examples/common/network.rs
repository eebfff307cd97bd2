//! A neural network with one hidden layer over one flat slice of parameters. It takes one sample after the other, and its
//! gradient is written by hand.

use gradstep::Draws;

use super::data::Samples;

/// The sizes of a network: `inputs` → `hidden`, ReLU → `classes`, softmax. The caller owns the parameters.
///
/// The parameters are one slice: the first layer, then the second. A layer is a row of biases, then a row of weights
/// for each of its inputs. A row has one number for each output. So both passes run along rows, and skip the row of an
/// input that is 0: most pixels of a digit, and about half of the hidden units.
pub(crate) struct Network {
    pub(crate) inputs: usize,
    pub(crate) hidden: usize,
    pub(crate) classes: usize,
}

impl Network {
    /// Where the second layer's parameters begin.
    fn second(&self) -> usize {
        (1 + self.inputs) * self.hidden
    }

    /// The number of parameters.
    pub(crate) fn len(&self) -> usize {
        self.second() + (1 + self.hidden) * self.classes
    }

    /// The parameters of [`initial`].
    pub(crate) fn initial(&self, seed: u64) -> Vec<f32> {
        initial(&[self.inputs, self.hidden, self.classes], seed)
    }

    /// Returns the mean cross-entropy over the samples of `batch` and writes its gradient to `grads`.
    pub(crate) fn loss_and_gradient(
        &self,
        params: &[f32],
        samples: &Samples,
        batch: &[usize],
        grads: &mut [f32],
    ) -> f64 {
        let (_, second) = params.split_at(self.second());
        grads.fill(0.0);
        let (first_grads, second_grads) = grads.split_at_mut(self.second());
        let mut hidden = vec![0.0; self.hidden];
        let mut hidden_grads = vec![0.0; self.hidden];
        let mut output = vec![0.0; self.classes];
        let mut loss = 0.0;
        for &sample in batch {
            let (pixels, label) = samples.get(sample);
            self.forward(params, pixels, &mut hidden, &mut output);
            loss += softmax(&mut output, label);

            // d loss / d logits = (softmax - one-hot label) / batch size, in place.
            output[label] -= 1.0;
            for o in &mut output {
                *o /= batch.len() as f32;
            }
            add_gradient(second_grads, &hidden, &output);
            for ((d, weights), &h) in hidden_grads.iter_mut().zip(rows(second, self.classes)).zip(&hidden) {
                *d = if h > 0.0 { weights.iter().zip(&output).map(|(w, o)| w * o).sum() } else { 0.0 };
            }
            add_gradient(first_grads, pixels, &hidden_grads);
        }
        loss / batch.len() as f64
    }

    /// The share of `samples` whose class has the largest output.
    pub(crate) fn accuracy(&self, params: &[f32], samples: &Samples) -> f64 {
        let mut hidden = vec![0.0; self.hidden];
        let mut output = vec![0.0; self.classes];
        let correct = (0..samples.len()).filter(|&sample| {
            let (pixels, label) = samples.get(sample);
            self.forward(params, pixels, &mut hidden, &mut output);
            is_largest(&output, label)
        });
        correct.count() as f64 / samples.len() as f64
    }

    /// Writes the logits of one image to `output`.
    fn forward(&self, params: &[f32], pixels: &[f32], hidden: &mut [f32], output: &mut [f32]) {
        let (first, second) = params.split_at(self.second());
        affine(first, pixels, hidden);
        for h in hidden.iter_mut() {
            *h = h.max(0.0);
        }
        affine(second, hidden, output);
    }
}

/// The parameters of layers from each size to the next, in the order that [`Network`] has them: biases of 0, and weights
/// uniform in ±√(6 / the layer's inputs) (He et al. 2015, for ReLU).
pub(crate) fn initial(sizes: &[usize], seed: u64) -> Vec<f32> {
    let mut params = Vec::new();
    for (number, layer) in (0..).zip(sizes.windows(2)) {
        let (inputs, outputs) = (layer[0], layer[1]);
        let (mut draws, limit) = (Draws::new("weights", [number, 0], seed), (6.0 / inputs as f32).sqrt());
        params.resize(params.len() + outputs, 0.0);
        params.extend((0..inputs * outputs).map(|_| limit * (2.0 * draws.uniform::<f32>() - 1.0)));
    }
    params
}

/// A layer's rows of weights, one for each input.
fn rows(layer: &[f32], outputs: usize) -> impl Iterator<Item = &[f32]> {
    layer[outputs..].chunks_exact(outputs)
}

/// `output = biases + Σ input[i] weights[i]`
fn affine(layer: &[f32], input: &[f32], output: &mut [f32]) {
    output.copy_from_slice(&layer[..output.len()]);
    for (&x, weights) in input.iter().zip(rows(layer, output.len())) {
        if x != 0.0 {
            for (o, w) in output.iter_mut().zip(weights) {
                *o += x * w;
            }
        }
    }
}

/// Adds one sample's gradient to a layer's: `d` to the biases, `input[i] d` to the weights of input i.
fn add_gradient(layer: &mut [f32], input: &[f32], d: &[f32]) {
    let (biases, weights) = layer.split_at_mut(d.len());
    for (b, d) in biases.iter_mut().zip(d) {
        *b += d;
    }
    for (&x, weights) in input.iter().zip(weights.chunks_exact_mut(d.len())) {
        if x != 0.0 {
            for (w, d) in weights.iter_mut().zip(d) {
                *w += x * d;
            }
        }
    }
}

/// Whether `label` has the largest output; of equal ones the last counts.
pub(crate) fn is_largest(output: &[f32], label: usize) -> bool {
    (0..output.len()).max_by(|&a, &b| output[a].total_cmp(&output[b])) == Some(label)
}

/// Turns logits into probabilities in place and returns the cross-entropy `-ln p[label]`.
pub(crate) fn softmax(logits: &mut [f32], label: usize) -> f64 {
    // Subtract the largest: the result is the same, and exp cannot overflow.
    let largest = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
    let shifted = logits[label] - largest;
    let mut sum = 0.0;
    for z in logits.iter_mut() {
        *z = (*z - largest).exp();
        sum += *z;
    }
    for z in logits.iter_mut() {
        *z /= sum;
    }
    f64::from(sum.ln() - shifted)
}
