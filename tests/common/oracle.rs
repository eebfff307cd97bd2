//! Plain references, from the words of the documentation: for the tests and for tests/fuzz.
#![allow(dead_code, reason = "a fuzz target needs one of them")]

use gradstep::{MomentumForm, WeightDecay};
use num_traits::Float;

/// `Sgd`, or `Momentum` if there is a form: a step of an element at a time, in the order of the formulas. Settings are
/// rounded to `F` once; η w is a product in f64 before. A velocity below the smallest normal number becomes 0, but in f16.
pub(crate) fn step<F: Float>(
    params: &mut [F],
    velocity: &mut [F],
    grads: &[F],
    form: Option<MomentumForm>,
    decay: WeightDecay,
    learning_rate: f64,
    momentum: f64,
) {
    let number = |setting: f64| F::from(setting).unwrap();
    let (eta, lambda) = (number(learning_rate), number(momentum));
    let normal = F::min_positive_value();
    let flushed = |m: F| {
        if size_of::<F>() == 2 && normal > number(1e-30) || m.abs() >= normal || m.is_nan() { m } else { F::zero() }
    };
    for i in 0..params.len() {
        let (mut theta, mut g) = (params[i], grads[i]);
        match decay {
            WeightDecay::None => {}
            WeightDecay::Coupled(w) => g = g + number(w) * theta,
            WeightDecay::Decoupled(w) => theta = theta - number(learning_rate * w) * theta,
        }
        let m = &mut velocity[i];
        params[i] = match form {
            None => theta - eta * g,
            Some(MomentumForm::Classical) => {
                *m = flushed(lambda * *m - eta * g);
                theta + *m
            }
            Some(MomentumForm::Nesterov) => {
                *m = flushed(lambda * *m - eta * g);
                theta + (lambda * *m - eta * g)
            }
            Some(MomentumForm::PyTorch) => {
                *m = flushed(lambda * *m + g);
                theta - eta * *m
            }
            Some(MomentumForm::PyTorchNesterov) => {
                *m = flushed(lambda * *m + g);
                theta - eta * (g + lambda * *m)
            }
        };
    }
}

/// The sum of squares along the tree of `global_norm`: lane i of a block sums the squares at i, i + 16, …; the lanes are
/// added in halves, i and i + 8 first; the blocks in halves, of which the left one takes the odd block.
pub(crate) fn sum_of_squares<F: Float>(slice: &[F]) -> f64 {
    let blocks = slice.len().div_ceil(4096);
    if blocks > 1 {
        let (left, right) = slice.split_at(blocks.div_ceil(2) * 4096);
        return sum_of_squares(left) + sum_of_squares(right);
    }
    let mut lanes = [0.0; 16];
    for (i, g) in slice.iter().enumerate() {
        lanes[i % 16] += g.to_f64().unwrap() * g.to_f64().unwrap();
    }
    for apart in [8, 4, 2, 1] {
        for i in 0..apart {
            lanes[i] += lanes[i + apart];
        }
    }
    lanes[0]
}
