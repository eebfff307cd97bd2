//! An optimizer of your own: AdamW, to copy. It uses nothing of gradstep that is not public.
//!
//! ```sh
//! cargo run --example custom_optimizer          # with --features serde it is saved and loaded too, with half in bf16 too
//! ```
//!
//! Checks AdamW against two steps computed by hand and twenty recorded from PyTorch (tests/data/adamw.py), fits a logistic
//! regression with it, with clipped gradients, and puts it into everything that takes an optimizer. Exits with code 1 if
//! anything differs.

use std::{
    mem::swap,
    ops::{
        Bound::{Excluded, Included},
        RangeBounds,
    },
};

use anyhow::{Context, Result, ensure};
use gradstep::{Error, FiniteGuard, Grads, Optimizer, ParamGroups, Restore, Schedule, Step, clip_global_norm};
use num_traits::Float;

/// `θ <- θ - η w θ ; m <- β₁ m + (1 - β₁) g ; v <- β₂ v + (1 - β₂) g² ; θ <- θ - η m̂ / (√v̂ + ε)`, where
/// `m̂ = m / (1 - β₁ᵗ)` and `v̂ = v / (1 - β₂ᵗ)` at step t = 1, 2, … (Loshchilov and Hutter 2019; `torch.optim.AdamW`).
///
/// For f32 and f64: in f16 an ε of 1e-8 is 0, and 0 / 0 is NaN. bf16 and f16 parameters go into a `MasterCopy`.
///
/// Loading trusts the file. In text formats the numbers may come back rounded; binary ones keep every bit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct AdamW<P> {
    learning_rate: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    m: Vec<P>,
    v: Vec<P>,
    steps: u64,
}

impl<P: Float> AdamW<P> {
    /// With PyTorch's β = 0.9 and 0.999, and ε = 1e-8.
    pub(crate) fn new(learning_rate: f64, weight_decay: f64, len: usize) -> Result<Self, Error> {
        let learning_rate = at_least_zero("learning_rate", learning_rate)?;
        let weight_decay = at_least_zero("weight_decay", weight_decay)?;
        let (m, v) = (vec![P::zero(); len], vec![P::zero(); len]);
        Ok(AdamW { learning_rate, betas: [0.9, 0.999], eps: 1e-8, weight_decay, m, v, steps: 0 })
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for AdamW<P> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        grads.check_len("m", self.m.len())?;
        grads.check_len("v", self.v.len())
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        let steps = self.steps.saturating_add(1);
        let round = |number| P::from(number).unwrap_or(P::nan());
        // 1 - βᵗ without cancellation: the plain formula loses three digits at first with β = 0.999.
        let [c1, c2] = self.betas.map(|beta| round(-(steps as f64 * beta.ln()).exp_m1()));
        let [[b1, rest1], [b2, rest2]] = self.betas.map(|beta| [beta, 1.0 - beta].map(round));
        let keep = 1.0 - self.learning_rate * self.weight_decay;
        let [keep, rate, eps] = [keep, self.learning_rate, self.eps].map(round);
        step.apply([&mut self.m, &mut self.v], move |p, [m, v], g| {
            let m = b1 * m + rest1 * g;
            let v = b2 * v + rest2 * g * g;
            (keep * p - rate * (m / c1) / ((v / c2).sqrt() + eps), [m, v])
        })?;
        self.steps = steps;
        Ok(())
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.learning_rate = at_least_zero("learning_rate", learning_rate)?;
        Ok(())
    }

    fn steps(&self) -> u64 {
        self.steps
    }

    fn reset(&mut self) {
        self.m.fill(P::zero());
        self.v.fill(P::zero());
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.m.len())
    }
}

/// For a rule that is saved: what was loaded gives its state to one that the program has made.
impl<P> Restore for AdamW<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        let [saved, expected] = [&*other, &*self].map(|adamw| (adamw.m.len(), adamw.v.len()));
        if saved != expected {
            let [saved, expected] = [saved, expected].map(|lens| format!("{lens:?}"));
            return Err(Error::Saved { name: "lengths of m and v", saved, expected });
        }
        swap(&mut self.m, &mut other.m);
        swap(&mut self.v, &mut other.v);
        swap(&mut self.steps, &mut other.steps);
        Ok(())
    }
}

fn at_least_zero(name: &'static str, value: f64) -> Result<f64, Error> {
    let range = (Included(0.0), Excluded(f64::INFINITY));
    if range.contains(&value) { Ok(value) } else { Err(Error::Number { name, value, range }) }
}

fn main() -> Result<()> {
    let error = two_steps_by_hand()?;
    println!("two steps worked out by hand: agrees within {error:.0e}");
    let error = recorded_trajectory()?;
    println!("20 steps recorded from torch.optim.AdamW: agrees within {error:.0e}");
    let [slope, intercept] = logistic_fit()?;
    println!("hours of study against passing the exam: slope {slope:.4}, intercept {intercept:.4}");
    in_everything()?;
    println!(
        "clipped, scaled, guarded, in ParamGroups{}: as it should be",
        if cfg!(feature = "half") { ", in MasterCopy" } else { "" }
    );
    Ok(())
}

/// With η = w = β₁ = 1/2, β₂ = 3/4, ε = 1 and θ = 16 at the start, each step keeps 1 - η w = 3/4 of θ. By gradients:
///
/// - 1, then 1: m = 1 - β₁ᵗ and v = 1 - β₂ᵗ, so m̂ = v̂ = 1, and each step subtracts η · 1 / (1 + ε) = 1/4:
///   16 · 3/4 - 1/4 = 11.75, then 11.75 · 3/4 - 1/4 = 8.5625.
/// - 1, then -1: the same first step, and again v̂ = 1, because v depends on g² only. But now
///   m = 1/2 · 1/2 - 1/2 = -1/4 and m̂ = -1/4 / (1 - 1/4) = -1/3: 11.75 · 3/4 + 1/2 · 1/3 / 2 = 8.8125 + 1/12.
fn two_steps_by_hand() -> Result<f64> {
    let mut adamw = AdamW { betas: [0.5, 0.75], eps: 1.0, ..AdamW::new(0.5, 0.5, 2)? };
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
    let mut adamw = AdamW::new(0.1, 0.01, params.len())?;
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
/// fit is 1.5046, -4.0777. In f32, so that AdamW runs in both types; with gradients clipped to a norm of 0.1, as the first
/// ones are.
fn logistic_fit() -> Result<[f32; 2]> {
    let failed = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5];
    let passed = [1.75, 2.25, 2.75, 3.25, 4.0, 4.25, 4.5, 4.75, 5.0, 5.5];
    let rows = || failed.map(|hours| (hours, 0.0)).into_iter().chain(passed.map(|hours| (hours, 1.0)));
    let mut adamw = AdamW::new(0.0, 0.0, 2)?;
    let schedule = Schedule::cosine(0.1, 0.0, 2000)?;
    let mut params = [0.0_f32; 2];
    for step in 0..2000 {
        let mut grads = [0.0, 0.0];
        for (hours, label) in rows() {
            let miss = 1.0 / (1.0 + (-(params[0] * hours + params[1])).exp()) - label;
            grads = [grads[0] + miss * hours / 20.0, grads[1] + miss / 20.0];
        }
        adamw.set_learning_rate(schedule.at(step))?;
        adamw.step_clipped(&mut params, Grads::new(&grads), 0.1)?;
    }
    ensure!(largest_difference(&params.map(f64::from), &[1.5046, -4.0777]) < 1e-4, "the fit went to {params:?}");
    Ok(params)
}

/// None of this is work of AdamW's: whatever takes an optimizer finds what it needs in the seven methods.
fn in_everything() -> Result<()> {
    let new = || AdamW::new(0.1, 0.01, 2);
    let (start, grads, mut clipped) = ([1.0_f32, -2.0], [3.0, -4.0], [3.0, -4.0]);
    clip_global_norm(&mut [&mut clipped], 0.5)?;
    let (mut expected, mut plain) = (start, new()?);
    plain.step(&mut expected, &clipped)?;

    // The gradients of a loss times 1,024, scaled back and clipped in the same pass.
    let (mut params, mut adamw) = (start, new()?);
    let scaled = Grads::new(&[3072.0, -4096.0]).scaled(1.0 / 1024.0);
    adamw.step_clipped(&mut params, scaled, 0.5)?;
    ensure!((params, &adamw) == (expected, &plain), "clipped to {params:?}, expected {expected:?}");

    // A NaN in the second of two tensors leaves both as they were.
    let mut model = ParamGroups::new();
    model.insert("weights", FiniteGuard(new()?))?;
    model.insert("bias", FiniteGuard(new()?))?;
    let (mut weights, mut bias, fresh) = (start, start, model.clone());
    let refused = model.step(&mut [("weights", &mut weights, &grads), ("bias", &mut bias, &[0.0, f32::NAN])]);
    ensure!(refused.is_err() && (weights, bias, &model) == (start, start, &fresh), "a NaN was taken: {refused:?}");
    model.step(&mut [("weights", &mut weights, &clipped), ("bias", &mut bias, &clipped)])?;
    ensure!((weights, bias) == (expected, expected), "in groups to {weights:?}, expected {expected:?}");

    #[cfg(feature = "half")]
    {
        let mut params = start.map(half::bf16::from_f32);
        let mut adamw = gradstep::MasterCopy::new(new()?, &params)?;
        adamw.step_clipped(&mut params, Grads::from_f32(&grads), 0.5)?;
        ensure!(adamw.master() == expected, "in bf16 to {:?}, expected {expected:?}", adamw.master());
    }
    Ok(())
}

/// Infinite if there is a NaN, so that no check accepts it.
fn largest_difference(a: &[f64], b: &[f64]) -> f64 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    differences.fold(0.0, |most, next| if next.is_nan() { f64::INFINITY } else { next.max(most) })
}
