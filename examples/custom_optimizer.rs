//! An optimizer of your own: AdamW, to copy. It uses only the public [`Optimizer`] and [`elementwise`].
//!
//! ```sh
//! cargo run --example custom_optimizer                      # with --features serde, AdamW is saved and loaded too
//! ```
//!
//! Checks AdamW against two steps computed by hand and twenty recorded from PyTorch (tests/data/adamw.py), then fits a
//! logistic regression with it. Exits with code 1 if anything differs.

use std::ops::{
    Bound::{Excluded, Included},
    RangeBounds,
};

use anyhow::{Context, Result, ensure};
use gradstep::{Error, Optimizer, elementwise, schedule};
use num_traits::Float;

/// `θ <- θ - η w θ ; m <- β₁ m + (1 - β₁) g ; v <- β₂ v + (1 - β₂) g² ; θ <- θ - η m̂ / (√v̂ + ε)`, where
/// `m̂ = m / (1 - β₁ᵗ)` and `v̂ = v / (1 - β₂ᵗ)` at step t = 1, 2, … (Loshchilov and Hutter 2019; `torch.optim.AdamW`).
///
/// Loading trusts the file. In text formats the numbers may come back rounded; binary ones keep every bit.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct AdamW<F> {
    learning_rate: F,
    betas: [F; 2],
    eps: F,
    weight_decay: F,
    state: [Vec<F>; 2], // m and v
    steps: u64,
}

impl<F: Float> AdamW<F> {
    fn new(learning_rate: F, betas: [F; 2], eps: F, weight_decay: F, len: usize) -> Result<Self, Error> {
        for (name, value) in [("learning_rate", learning_rate), ("eps", eps), ("weight_decay", weight_decay)] {
            checked(name, value, f64::INFINITY)?;
        }
        for beta in betas {
            checked("beta", beta, 1.0)?;
        }
        let state = [vec![F::zero(); len], vec![F::zero(); len]];
        Ok(AdamW { learning_rate, betas, eps, weight_decay, state, steps: 0 })
    }
}

impl<F: Float + Send + Sync> Optimizer<F> for AdamW<F> {
    fn step(&mut self, params: &mut [F], grads: &[F]) -> Result<(), Error> {
        self.check(params, grads)?;
        self.steps += 1;
        let ([b1, b2], eta, eps, one) = (self.betas, self.learning_rate, self.eps, F::one());
        let t = F::from(self.steps).unwrap_or(F::infinity());
        // 1 - βᵗ without cancellation: the plain formula loses three digits at first with β = 0.999.
        let [c1, c2] = self.betas.map(|beta| -(t * beta.ln()).exp_m1());
        let keep = one - eta * self.weight_decay;
        elementwise(params, self.state.each_mut().map(Vec::as_mut_slice), grads, move |p, [m, v], g| {
            let m = b1 * m + (one - b1) * g;
            let v = b2 * v + (one - b2) * g * g;
            (keep * p - eta * (m / c1) / ((v / c2).sqrt() + eps), [m, v])
        })
    }

    fn learning_rate(&self) -> F {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: F) -> Result<(), Error> {
        self.learning_rate = checked("learning_rate", learning_rate, f64::INFINITY)?;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn reset(&mut self) {
        self.state.iter_mut().for_each(|slice| slice.fill(F::zero()));
        self.steps = 0;
    }

    fn check(&self, params: &[F], grads: &[F]) -> Result<(), Error> {
        let [m, v] = self.state.each_ref().map(Vec::len);
        for (name, len) in [("params", params.len()), ("grads", grads.len()), ("v", v)] {
            if len != m {
                return Err(Error::Length { name, len, expected: m, of: "m" });
            }
        }
        Ok(())
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.state[0].len())
    }
}

/// `value`, if it is at least 0 and below `limit`.
fn checked<F: Float>(name: &'static str, value: F, limit: f64) -> Result<F, Error> {
    let (number, range) = (value.to_f64().unwrap_or(f64::NAN), (Included(0.0), Excluded(limit)));
    if range.contains(&number) { Ok(value) } else { Err(Error::Number { name, value: number, range }) }
}

fn main() -> Result<()> {
    let error = two_steps_by_hand()?;
    println!("two steps worked out by hand: agrees within {error:.0e}");
    let error = recorded_trajectory()?;
    println!("20 steps recorded from torch.optim.AdamW: agrees within {error:.0e}");
    let [slope, intercept] = logistic_fit()?;
    println!("hours of study against passing the exam: slope {slope:.4}, intercept {intercept:.4}");
    Ok(())
}

/// With η = w = β₁ = 1/2, β₂ = 3/4, ε = 1 and θ = 16 at the start, each step keeps 1 - η w = 3/4 of θ. By gradients:
///
/// - 1, then 1: m = 1 - β₁ᵗ and v = 1 - β₂ᵗ, so m̂ = v̂ = 1, and each step subtracts η · 1 / (1 + ε) = 1/4:
///   16 · 3/4 - 1/4 = 11.75, then 11.75 · 3/4 - 1/4 = 8.5625.
/// - 1, then -1: the same first step, and again v̂ = 1, because v depends on g² only. But now
///   m = 1/2 · 1/2 - 1/2 = -1/4 and m̂ = -1/4 / (1 - 1/4) = -1/3: 11.75 · 3/4 + 1/2 · 1/3 / 2 = 8.8125 + 1/12.
fn two_steps_by_hand() -> Result<f64> {
    let mut adamw = AdamW::new(0.5, [0.5, 0.75], 1.0, 0.5, 2)?;
    let (mut params, mut error) = ([16.0; 2], 0.0);
    for (grads, expected) in [([1.0, 1.0], [11.75, 11.75]), ([1.0, -1.0], [8.5625, 8.8125 + 1.0 / 12.0])] {
        adamw.step(&mut params, &grads)?;
        error = largest_difference(&params, &expected).max(error);
    }
    ensure!(error < 1e-14, "off by {error:e} from the steps worked out by hand");
    Ok(error)
}

/// The file has rows `step,learning_rate,grad…,param…`. Step 0 has the initial parameters.
fn recorded_trajectory() -> Result<f64> {
    let rows = include_str!("../tests/data/adamw.csv").lines().filter(|line| !line.starts_with('#')).skip(1);
    let mut rows = rows.map(|row| row.split(',').skip(1).map(|cell| cell.parse().unwrap_or(f64::NAN)).collect());
    let first: Vec<f64> = rows.next().context("tests/data/adamw.csv is empty")?;
    let mut params = first[4..].to_vec();
    let mut adamw = AdamW::new(0.1, [0.9, 0.999], 1e-8, 0.01, params.len())?;
    let mut error = 0.0;
    for row in rows {
        adamw.set_learning_rate(row[0])?;
        adamw.step(&mut params, &row[1..4])?;
        error = largest_difference(&params, &row[4..]).max(error);
        #[cfg(feature = "serde")] // Saving and loading changes nothing.
        {
            adamw = postcard::from_bytes(&postcard::to_allocvec(&adamw)?)?;
        }
        ensure!(error < 1e-12, "step {}: off by {error:e} from PyTorch", adamw.steps);
    }
    ensure!(adamw.steps == 20, "{} steps in tests/data/adamw.csv, expected 20", adamw.steps);
    Ok(error)
}

/// Fits hours of study to passing an exam: twenty students, the example of Wikipedia's "Logistic regression". The best
/// fit is 1.5046, -4.0777. In f32, so that AdamW runs in both types.
fn logistic_fit() -> Result<[f32; 2]> {
    let failed = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5];
    let passed = [1.75, 2.25, 2.75, 3.25, 4.0, 4.25, 4.5, 4.75, 5.0, 5.5];
    let rows = || failed.map(|hours| (hours, 0.0)).into_iter().chain(passed.map(|hours| (hours, 1.0)));
    let mut adamw = AdamW::new(0.0, [0.9, 0.999], 1e-8, 0.0, 2)?;
    let schedule = schedule::cosine(0.1, 0.0, 2000)?;
    let mut params = [0.0_f32; 2];
    for step in 0..2000 {
        let mut grads = [0.0, 0.0];
        for (hours, label) in rows() {
            let miss = 1.0 / (1.0 + (-(params[0] * hours + params[1])).exp()) - label;
            grads = [grads[0] + miss * hours / 20.0, grads[1] + miss / 20.0];
        }
        adamw.set_learning_rate(schedule(step))?;
        adamw.step(&mut params, &grads)?;
    }
    ensure!(largest_difference(&params.map(f64::from), &[1.5046, -4.0777]) < 1e-4, "the fit went to {params:?}");
    Ok(params)
}

/// Infinite if there is a NaN, so that no check accepts it.
fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, next| if next.is_nan() { f64::INFINITY } else { next.max(most) })
}
