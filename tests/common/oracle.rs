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
    for i in 0..params.len() {
        let (theta, g) = decayed(params[i], grads[i], decay, learning_rate);
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

/// A parameter and its gradient after weight decay.
fn decayed<F: Float>(theta: F, g: F, decay: WeightDecay, learning_rate: f64) -> (F, F) {
    match decay {
        WeightDecay::None => (theta, g),
        WeightDecay::Coupled(w) => (theta, g + F::from(w).unwrap() * theta),
        WeightDecay::Decoupled(w) => (theta - F::from(learning_rate * w).unwrap() * theta, g),
    }
}

/// `Adam`'s step number `t`, an element at a time. Settings are rounded to `F` once; m and v below the smallest normal number
/// become 0, and a square counts as 0 where its part of v would be below it, but in f16.
pub(crate) fn adam<F: Float>(
    params: &mut [F],
    [m, v]: [&mut [F]; 2],
    grads: &[F],
    decay: WeightDecay,
    (learning_rate, betas, eps): (f64, [f64; 2], f64),
    t: u32,
) {
    let number = |setting: f64| F::from(setting).unwrap();
    let smallest = smallest_kept::<F>();
    let [beta1, beta2] = betas.map(number);
    let [rest1, rest2] = [F::one() - beta1, F::one() - beta2];
    let [c1, c2] = [beta1, beta2].map(|beta| one_minus_power(beta.to_f64().unwrap(), t));
    let (rate, scale) = (number(learning_rate / c1), number(1.0 / c2.sqrt()));
    for i in 0..params.len() {
        let (theta, g) = decayed(params[i], grads[i], decay, learning_rate);
        m[i] = flushed(beta1 * m[i] + rest1 * g);
        let square = if g.abs() < (smallest / rest2).sqrt() { F::zero() } else { g * g };
        v[i] = flushed(beta2 * v[i] + rest2 * square);
        params[i] = theta - rate * (m[i] / (scale * v[i].sqrt() + number(eps)));
    }
}

/// `1 - beta^t` by integers of any length, rounded once. `beta` is at least 0 and below 1.
pub(crate) fn one_minus_power(beta: f64, t: u32) -> f64 {
    if beta == 0.0 {
        return if t == 0 { 0.0 } else { 1.0 };
    }
    // beta = digits / 2^places, and 1 - beta^t = (2^(places t) - digits^t) / 2^(places t).
    let (digits, exponent, _) = beta.integer_decode();
    let places = -i64::from(exponent) * i64::from(t);
    let mut power = vec![1_u32];
    for _ in 0..t {
        let mut carry = 0_u128;
        for word in &mut power {
            carry += u128::from(*word) * u128::from(digits);
            *word = carry as u32;
            carry >>= 32;
        }
        power.extend([carry as u32, (carry >> 32) as u32]);
    }
    // Its bits, from the highest on: 2^(places t) - x is the complement of x - 1.
    power.resize(places as usize / 32 + 2, 0);
    power.iter_mut().all(|word| {
        let borrows = *word == 0;
        *word = word.wrapping_sub(1);
        borrows
    });
    let mut bits = (0..places).rev().map(|place| power[place as usize / 32] >> (place % 32) & 1 == 0);
    let mut place = places - 1;
    while !bits.next().unwrap() {
        place -= 1;
    }
    let mut top = 1_u64;
    for _ in 0..63 {
        top = top << 1 | u64::from(bits.next().unwrap_or(false));
    }
    let top = top | u64::from(bits.any(|bit| bit)); // whether anything is left
    top as f64 * 2.0_f64.powi((place - 63 - places) as i32)
}

/// Below it state becomes 0: the smallest normal number, but in f16.
fn smallest_kept<F: Float>() -> F {
    let normal = F::min_positive_value();
    if size_of::<F>() == 2 && normal > F::from(1e-30).unwrap() { F::zero() } else { normal }
}

fn flushed<F: Float>(x: F) -> F {
    if x.abs() >= smallest_kept() || x.is_nan() { x } else { F::zero() }
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
