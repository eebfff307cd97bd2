//! An optimizer of your own: Lion, to copy. It uses only gradstep's public API.
//!
//! ```sh
//! cargo run --example custom_optimizer          # --features serde,half: also saved and loaded, and in bf16
//! ```
//!
//! Checks two steps computed by hand, fits a logistic regression with clipped gradients, and uses
//! Lion with everything that takes an optimizer. Exits with code 1 if anything differs.

use std::mem::swap;
use std::ops::Bound::{Excluded, Included};
use std::ops::RangeBounds;

use anyhow::{Result, ensure};
use gradstep::{Error, FiniteGuard, Grads, Optimizer, ParamGroups, Restore, Schedule, Step, clip_global_norm};
use num_traits::Float;

/// `θ <- θ - η (sign(β₁ m + (1 - β₁) g) + w θ) ; m <- β₂ m + (1 - β₂) g`, with the old m and θ on
/// the right, where the sign of 0 is 0 (Chen et al. 2023, "Symbolic discovery of optimization
/// algorithms"). Without decay, every step changes each parameter by η, so η is usually a third to
/// a tenth of AdamW's.
///
/// Loading checks nothing. A text format may round the numbers; a binary one keeps every bit.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Lion<P> {
    learning_rate: f64,
    betas: [f64; 2],
    weight_decay: f64,
    m: Vec<P>,
    steps: u64,
}

impl<P: Float> Lion<P> {
    /// With the paper's β = 0.9 and 0.99.
    fn new(learning_rate: f64, weight_decay: f64, len: usize) -> Result<Self, Error> {
        let learning_rate = at_least_zero("learning_rate", learning_rate)?;
        let weight_decay = at_least_zero("weight_decay", weight_decay)?;
        Ok(Lion { learning_rate, betas: [0.9, 0.99], weight_decay, m: vec![P::zero(); len], steps: 0 })
    }
}

impl<P: Float + Send + Sync + 'static> Optimizer<P> for Lion<P> {
    fn check(&self, grads: Grads<P>) -> Result<(), Error> {
        grads.check_len("m", self.m.len())
    }

    fn update(&mut self, step: Step<P>) -> Result<(), Error> {
        let round = |number| P::from(number).unwrap_or(P::nan());
        let [[b1, rest1], [b2, rest2]] = self.betas.map(|beta| [beta, 1.0 - beta].map(round));
        let [rate, decay] = [self.learning_rate, self.weight_decay].map(round);
        step.apply([&mut self.m], move |p, [m], g| {
            let mean = b1 * m + rest1 * g;
            let sign = if mean == P::zero() { mean } else { mean.signum() };
            (p - rate * (sign + decay * p), [b2 * m + rest2 * g])
        })?;
        self.steps = self.steps.saturating_add(1);
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
        self.steps = 0;
    }

    fn state_len(&self) -> Option<usize> {
        Some(self.m.len())
    }
}

/// For resuming: a loaded optimizer gives its state to a new one, which keeps the program's
/// settings.
impl<P> Restore for Lion<P> {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        let [saved, expected] = [&*other, &*self].map(|lion| lion.m.len());
        if saved != expected {
            let [saved, expected] = [saved, expected].map(|len| len.to_string());
            return Err(Error::Saved { name: "length of m", saved, expected });
        }
        swap(&mut self.m, &mut other.m);
        swap(&mut self.steps, &mut other.steps);
        Ok(())
    }
}

fn at_least_zero(name: &'static str, value: f64) -> Result<f64, Error> {
    let range = (Included(0.0), Excluded(f64::INFINITY));
    if range.contains(&value) { Ok(value) } else { Err(Error::Number { name, value, range }) }
}

fn main() -> Result<()> {
    two_steps_by_hand()?;
    println!("two steps worked out by hand: agrees to the bit");
    let [slope, intercept] = logistic_fit()?;
    println!("hours of study against passing the exam: slope {slope:.4}, intercept {intercept:.4}");
    in_everything()?;
    let half = if cfg!(feature = "half") { ", in MasterCopy" } else { "" };
    println!("clipped, scaled, guarded, in ParamGroups{half}: as it should be");
    Ok(())
}

/// With η = β₁ = 1/2, β₂ = 3/4, w = 1/8 and θ = 16 at the start. The gradients:
///
/// - 4: the mean 1/2 · 4 is positive, so θ = 16 - 1/2 (1 + 16/8) = 14.5, and m = 1/4 · 4 = 1.
/// - -1: the mean 1/2 · 1 - 1/2 · 1 is 0, and so is its sign: θ = 14.5 - 1/2 · 14.5/8 = 13.59375; m
///   = 3/4 - 1/4 = 1/2. Or -3, in the second parameter: the mean is -1, so θ = 14.5 - 1/2 (-1 +
///   14.5/8) = 14.09375, and m = 3/4 - 3/4 = 0.
fn two_steps_by_hand() -> Result<()> {
    let mut lion = Lion { betas: [0.5, 0.75], ..Lion::new(0.5, 0.125, 2)? };
    let mut params = [16.0_f64; 2];
    for (grads, expected, m) in
        [([4.0, 4.0], [14.5, 14.5], [1.0, 1.0]), ([-1.0, -3.0], [13.59375, 14.09375], [0.5, 0.0])]
    {
        lion.step(&mut params, &grads)?;
        #[cfg(feature = "serde")] // Saving and loading changes nothing.
        {
            lion = postcard::from_bytes(&postcard::to_allocvec(&lion)?)?;
        }
        ensure!((params, &lion.m[..]) == (expected, &m[..]), "step {}: {params:?}, {:?}", lion.steps, lion.m);
    }
    Ok(())
}

/// Fits passing an exam to hours of study: twenty students, the example in Wikipedia's "Logistic
/// regression", whose best fit is 1.5046, -4.0777. In f32, so that Lion runs in both types. A norm
/// of 0.1 clips the first gradients.
fn logistic_fit() -> Result<[f32; 2]> {
    let failed = [0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5];
    let passed = [1.75, 2.25, 2.75, 3.25, 4.0, 4.25, 4.5, 4.75, 5.0, 5.5];
    let rows = || failed.map(|hours| (hours, 0.0)).into_iter().chain(passed.map(|hours| (hours, 1.0)));
    let mut lion = Lion::new(0.0, 0.0, 2)?;
    let schedule = Schedule::cosine(0.01, 0.0, 2000)?;
    let mut params = [0.0_f32; 2];
    for step in 0..2000 {
        let mut grads = [0.0, 0.0];
        for (hours, label) in rows() {
            let miss = 1.0 / (1.0 + (-(params[0] * hours + params[1])).exp()) - label;
            grads = [grads[0] + miss * hours / 20.0, grads[1] + miss / 20.0];
        }
        lion.set_learning_rate(schedule.at(step))?;
        lion.step_clipped(&mut params, Grads::new(&grads), 0.1)?;
    }
    let near = |(param, best): (f32, f64)| (f64::from(param) - best).abs() < 1e-4;
    ensure!(params.into_iter().zip([1.5046, -4.0777]).all(near), "the fit went to {params:?}");
    Ok(params)
}

/// Lion has no code for any of this: whatever takes an optimizer needs only its seven methods.
fn in_everything() -> Result<()> {
    let new = || Lion::new(0.1, 0.01, 2);
    let (start, grads, mut clipped) = ([1.0_f32, -2.0], [3.0, -4.0], [3.0, -4.0]);
    clip_global_norm(&mut [&mut clipped], 0.5)?;
    let (mut expected, mut plain) = (start, new()?);
    plain.step(&mut expected, &clipped)?;

    // The gradients of a loss times 1,024, scaled back and clipped in the same pass.
    let (mut params, mut lion) = (start, new()?);
    let scaled = Grads::new(&[3072.0, -4096.0]).scaled(1.0 / 1024.0);
    lion.step_clipped(&mut params, scaled, 0.5)?;
    ensure!((params, &lion) == (expected, &plain), "clipped to {params:?}, expected {expected:?}");

    // A NaN in the second of two tensors leaves both as they were.
    let mut model = ParamGroups::new();
    model.insert("weights", FiniteGuard(new()?))?;
    model.insert("bias", FiniteGuard(new()?))?;
    let (mut weights, mut bias, fresh) = (start, start, model.clone());
    let rejected = model.step(&mut [("weights", &mut weights, &grads), ("bias", &mut bias, &[0.0, f32::NAN])]);
    ensure!(rejected.is_err() && (weights, bias, &model) == (start, start, &fresh), "a NaN was taken: {rejected:?}");
    model.step(&mut [("weights", &mut weights, &clipped), ("bias", &mut bias, &clipped)])?;
    ensure!((weights, bias) == (expected, expected), "in groups to {weights:?}, expected {expected:?}");

    #[cfg(feature = "half")]
    {
        let mut params = start.map(half::bf16::from_f32);
        let mut lion = gradstep::MasterCopy::new(new()?, &params)?;
        lion.step_clipped(&mut params, Grads::from_f32(&grads), 0.5)?;
        ensure!(lion.master() == expected, "in bf16 to {:?}, expected {expected:?}", lion.master());
    }
    Ok(())
}
