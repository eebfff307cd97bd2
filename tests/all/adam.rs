//! `Adam`, coupled and decoupled: by hand, in closed form, and beside PyTorch.

use approx::{assert_abs_diff_eq, assert_relative_eq};
use gradstep::{Adam, Grads, Optimizer, WeightDecay};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::common::{
    BETAS, DECAYS, EPS, FEW_LENS, LEARNING_RATE, LENS, Scalar, adam, bits, config, golden, in_types, number, numbers,
    oracle, path, says, starts_and_grads, tiny,
};

/// θ after each of these gradients.
fn along<F: Scalar>(adam: &mut Adam<F>, theta: f64, grads: &[f64]) -> Vec<f64> {
    path(adam, [theta], grads.len(), |k, _| [grads[k]])
}

fn usual(learning_rate: f64) -> Adam<f64> {
    Adam::new(learning_rate, 1).unwrap()
}

// By hand -------------------------------------------------------------------------------------------------------------

/// η = β₁ = 1/2, β₂ = 3/4, ε = 1.
fn by_hand<F: Scalar>(len: usize) -> Adam<F> {
    Adam::with_settings(0.5, [0.5, 0.75], 1.0, len).unwrap()
}

/// All of the first step is exact in every type: m = 1/2, v = 1/4, η / (1 - β₁) = 1, √v̂ = 2 · 1/2 = 1, θ = 16 - 1 · (1/2) / 2;
/// and for g = -3: m = -3/2, v = 9/4, √v̂ = 3, θ = -2 + (3/2) / 4.
fn the_first_step<F: Scalar>() {
    let mut adam = by_hand::<F>(2);
    let mut params = [16.0, -2.0].map(number::<F>);
    adam.step(&mut params, &[1.0, -3.0].map(number)).unwrap();
    assert_eq!(params, [15.75, -1.625].map(number));
    assert_eq!((adam.m(), adam.v()), (&[0.5, -1.5].map(number::<F>)[..], &[0.25, 2.25].map(number::<F>)[..]));
    assert_eq!(adam.steps(), 1);
}
in_types!(the_first_step: f32 f64 f16 bf16);

/// With decoupled w = 1/2 each step keeps 1 - η w = 3/4 of θ = 16. By gradients:
///
/// - 1, then 1: m = 1 - β₁ᵗ and v = 1 - β₂ᵗ, so m̂ = v̂ = 1, and each step subtracts η · 1 / (1 + ε) = 1/4:
///   16 · 3/4 - 1/4 = 11.75, then 11.75 · 3/4 - 1/4 = 8.5625.
/// - 1, then -1: the same first step, and again v̂ = 1, because v depends on g² only. But now
///   m = 1/2 · 1/2 - 1/2 = -1/4 and m̂ = -1/4 / (1 - 1/4) = -1/3: 11.75 · 3/4 + 1/2 · 1/3 / 2 = 8.8125 + 1/12.
#[test]
fn two_steps_with_decoupled_decay() {
    let mut adam = by_hand::<f64>(2).with_weight_decay(WeightDecay::Decoupled(0.5)).unwrap();
    let mut params = [16.0; 2];
    adam.step(&mut params, &[1.0, 1.0]).unwrap();
    assert_eq!(params, [11.75; 2]);
    adam.step(&mut params, &[1.0, -1.0]).unwrap();
    assert_abs_diff_eq!(params[..], [8.5625, 8.8125 + 1.0 / 12.0], epsilon = 1e-14);
    assert_eq!((adam.m(), adam.v()), (&[0.75, -0.25][..], &[0.4375; 2][..]));
}

/// Coupled w = 1/2: g' = g + θ/2. θ = 2, g = 1: g' = 2, m̂ = 2, √v̂ = 2, θ = 2 - 1/2 · 2/3 = 5/3. Then g = -5/6, so that g' = 0:
/// m = 1/2 · 1 = 1/2, m̂ = 2/3; v = 3/4 · 1 = 3/4, v̂ = (3/4) / (7/16) = 12/7; θ = 5/3 - 1/3 / (√(12/7) + 1).
#[test]
fn two_steps_with_coupled_decay() {
    let mut adam = by_hand::<f64>(1).with_weight_decay(WeightDecay::Coupled(0.5)).unwrap();
    let thetas = along(&mut adam, 2.0, &[1.0, -5.0 / 6.0]);
    let expected = [5.0 / 3.0, 5.0 / 3.0 - 1.0 / 3.0 / ((12.0_f64 / 7.0).sqrt() + 1.0)];
    assert_abs_diff_eq!(thetas[..], expected, epsilon = 1e-15);
}

// In closed form ------------------------------------------------------------------------------------------------------

/// Under a constant gradient m̂ = g and √v̂ = |g| at every step, so each is η · g / (|g| + ε): the correction is of the β that
/// the type has, or f32's steps would be off by 1e-5 from the hundredth on.
fn constant_gradient<F: Scalar>(steps: usize, within: f64) {
    for g in [0.75, -100.0, 1e-3] {
        let mut adam = Adam::<F>::with_settings(0.125, [0.9, 0.99], 1e-3, 1).unwrap();
        for step in 1..=steps {
            let moved = along(&mut adam, 0.0, &[g])[0];
            let expected = -0.125 * g / (g.abs() + 1e-3);
            assert!((moved / expected - 1.0).abs() < within, "{g}, step {step}: {moved}, not {expected}");
        }
    }
}

#[test]
fn every_step_under_a_constant_gradient_is_the_first() {
    constant_gradient::<f64>(3000, 1e-13);
    constant_gradient::<f32>(3000, 2e-5);
    constant_gradient::<bf16>(20, 0.05);
}

#[test]
fn the_first_step_is_the_learning_rate_whatever_the_gradient() {
    for g in [1e-2, 1.0, 1e12] {
        for (g, sign) in [(g, 1.0), (-g, -1.0)] {
            assert_relative_eq!(along(&mut usual(0.1), 0.0, &[g])[0], -0.1 * sign, max_relative = 1e-5);
        }
    }
}

/// m and v are weighted sums of all earlier gradients.
#[test]
fn moments_are_weighted_sums() {
    let ([b1, b2], grads) = (BETAS, numbers::<f64>(200, 3));
    let mut adam = adam::<f64>(1);
    for (k, g) in grads.iter().enumerate() {
        adam.step(&mut [0.0], &[*g]).unwrap();
        let sum = |beta: f64, power: i32| -> f64 {
            (0..=k).map(|j| (1.0 - beta) * beta.powi((k - j) as i32) * grads[j].powi(power)).sum()
        };
        assert_relative_eq!(adam.m()[0], sum(b1, 1), max_relative = 1e-9);
        assert_relative_eq!(adam.v()[0], sum(b2, 2), max_relative = 1e-12);
    }
}

/// `1 - βᵗ` to the last bit, beside integers of any length: with m = 1, v = 0, g = 0 and η = ε = 1 the step is
/// -(1 / (1 - β₁ᵗ)) β₁. Around multiples of 64, and from where it is 1.
#[test]
fn the_bias_correction_has_all_digits() {
    let just_below_one = 1.0 - f64::EPSILON / 2.0;
    for beta in [0.0, 1e-300, 0.1, 0.5, 0.9, 0.999, 1.0 - 1e-10, just_below_one] {
        for t in (1..=70).chain([127, 128, 129, 355, 399, 400, 401, 1000]) {
            let adam = Adam::<f64>::with_settings(1.0, [beta, 0.5], 1.0, 1).unwrap();
            let mut adam = adam.with_state(&[1.0], &[0.0], t - 1).unwrap();
            let moved = along(&mut adam, 0.0, &[0.0])[0];
            let expected = 0.0 - (1.0 / oracle::one_minus_power(beta, t as u32)) * beta;
            assert_eq!(moved.to_bits(), expected.to_bits(), "β = {beta:?}, t = {t}");
        }
    }
    // Once it is 1 it stays 1, also at the last count of steps.
    for steps in [50_000, u64::MAX - 1, u64::MAX] {
        let mut adam = usual(1.0).with_state(&[1.0], &[0.0], steps).unwrap();
        let moved = along(&mut adam, 0.0, &[0.0])[0];
        assert_eq!(moved, -(0.9 / 1e-8), "{steps}");
        assert_eq!(adam.steps(), steps.saturating_add(1));
    }
}

#[test]
fn the_reference_counts_right() {
    for (beta, t, expected) in [(0.5, 3, 0.875), (0.75, 2, 0.4375), (0.0, 7, 1.0), (0.999, 1, 1.0 - 0.999)] {
        assert_eq!(oracle::one_minus_power(beta, t), expected);
    }
    // 1 - (1 - x)³ = 3x - 3x² + x³ for x = 2^-53: three quarters of the last bit below 3x. And 1 - 0.999^100 by logarithms.
    assert_eq!(oracle::one_minus_power(1.0 - f64::EPSILON / 2.0, 3), 1.5 * f64::EPSILON * (1.0 - f64::EPSILON / 2.0));
    assert_relative_eq!(oracle::one_minus_power(0.999, 100), -(100.0 * 0.999_f64.ln()).exp_m1(), max_relative = 1e-14);
}

// The same bits -------------------------------------------------------------------------------------------------------

/// Each element by the formula, whatever the vectors, the threads and the alignment. From step 63 on, so that the powers go
/// from one block to the next.
fn equals_the_plain_loop<F: Scalar>(lens: &[usize]) {
    for &len in lens {
        for offset in if len < 100 { 0..4 } else { 1..2 } {
            for decay in DECAYS {
                let steps = if len < 100_000 { [0, 62].as_slice() } else { &[0] };
                for &before in steps {
                    let mut params = numbers::<F>(offset + len, 1);
                    let mut expected = params[offset..].to_vec();
                    let (mut m, mut v) = (numbers::<F>(len, 5), numbers::<F>(len, 6));
                    v.iter_mut().for_each(|v| *v = v.abs());
                    let mut adam = adam(len).with_weight_decay(decay).unwrap().with_state(&m, &v, before).unwrap();
                    for t in before + 1..=before + if len < 100_000 { 3 } else { 1 } {
                        let grads = numbers::<F>(offset + len, 1000 + t);
                        adam.step(&mut params[offset..], &grads[offset..]).unwrap();
                        let (state, settings) = ([&mut m[..], &mut v], (LEARNING_RATE, BETAS, EPS));
                        oracle::adam(&mut expected, state, &grads[offset..], decay, settings, t as u32);
                    }
                    assert!(bits(&params[offset..]) == bits(&expected), "len {len}, offset {offset}, {decay:?}");
                    assert!(bits(adam.m()) == bits(&m) && bits(adam.v()) == bits(&v), "state, len {len}, {decay:?}");
                }
            }
        }
    }
}

#[test]
fn every_element_by_the_formula() {
    equals_the_plain_loop::<f32>(&LENS);
    equals_the_plain_loop::<f64>(&LENS);
    equals_the_plain_loop::<f16>(&FEW_LENS[..4]);
    equals_the_plain_loop::<bf16>(&FEW_LENS[..4]);
}

/// Restored from m, v and the count at any step, it is equal.
#[test]
fn resumed_at_any_step_it_is_the_same() {
    let mut params = numbers::<f64>(3, 1);
    let mut adam = Adam::new(0.1, 3).unwrap();
    for step in 1..=450 {
        adam.step(&mut params, &numbers(3, step)).unwrap();
        let resumed = Adam::new(0.1, 3).unwrap().with_state(adam.m(), adam.v(), step).unwrap();
        assert_eq!(resumed, adam, "step {step}");
    }
}

// Beside PyTorch ------------------------------------------------------------------------------------------------------

#[test]
fn trajectories_of_pytorch() {
    let usual = ([0.9, 0.999], 1e-8);
    type Decay = fn(f64) -> WeightDecay;
    let cases: [(&str, _, Decay); 4] = [
        (include_str!("../data/adam.csv"), usual, |_| WeightDecay::None),
        (include_str!("../data/adam_l2.csv"), ([0.5, 0.9], 1e-4), WeightDecay::Coupled),
        (include_str!("../data/adamw.csv"), usual, WeightDecay::Decoupled),
        (include_str!("../data/adamw_step_lr.csv"), usual, WeightDecay::Decoupled),
    ];
    for (text, (betas, eps), decay) in cases {
        let trajectory = golden::trajectory(text);
        let adam = Adam::with_settings(1.0, betas, eps, 5).unwrap();
        golden::follows(adam.with_weight_decay(decay(trajectory.weight_decay)).unwrap(), &trajectory);
    }
    // Coupled decay is another rule.
    let trajectory = golden::trajectory(cases[2].0);
    let coupled = Adam::new(1.0, 5).unwrap().with_weight_decay(WeightDecay::Coupled(trajectory.weight_decay)).unwrap();
    assert!(golden::farthest(coupled, &trajectory) > 1e-3);
}

// Properties ----------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(config(128))]

    /// Kingma and Ba's first property: the steps do not depend on the scale of the gradients, if ε is scaled with them. To the
    /// bit for a power of two; a scale of -1 turns the sign.
    #[test]
    fn the_scale_of_gradients_does_not_matter((start, grads) in starts_and_grads()) {
        let adam = |eps| Adam::with_settings(0.1, BETAS, eps, start.len()).unwrap();
        let (mut plain, mut scaled, mut mirrored) = (adam(0.5), adam(512.0), adam(0.5));
        let (mut a, mut b, mut c) = (start.clone(), start.clone(), start.iter().map(|p| -p).collect::<Vec<_>>());
        for g in &grads {
            plain.step(&mut a, g).unwrap();
            scaled.step_with(&mut b, Grads::new(g).scaled(1024.0)).unwrap();
            mirrored.step_with(&mut c, Grads::new(g).scaled(-1.0)).unwrap();
            prop_assert_eq!(bits(&a), bits(&b));
            c.iter_mut().for_each(|p| *p = -*p);
            prop_assert_eq!(&a, &c);
            c.iter_mut().for_each(|p| *p = -*p);
        }
    }

    /// Their second property: no step is longer than η (1 - β₁) / √(1 - β₂), or than η where that is less, whatever the gradients.
    #[test]
    fn the_learning_rate_bounds_each_step((start, grads) in starts_and_grads(), b1 in 0.0..0.99, b2 in 0.0..0.9999) {
        prop_assume!(b1 * b1 < b2); // for other β they grow without bound
        let mut adam = Adam::with_settings(0.1, [b1, b2], 1e-8, start.len()).unwrap();
        let bound = |t: i32| {
            // Cauchy and Schwarz: m̂² ≤ v̂ · Σ a_j² / b_j, with the weights a of m̂ and b of v̂.
            let (c1, c2) = (1.0 - b1.powi(t), 1.0 - b2.powi(t));
            let terms = (0..t).map(|j| ((1.0 - b1) * b1.powi(j) / c1).powi(2) / ((1.0 - b2) * b2.powi(j) / c2));
            0.1 * terms.sum::<f64>().sqrt() * (1.0 + 1e-9)
        };
        let mut params = start;
        for (t, g) in (1..).zip(&grads) {
            let before = params.clone();
            adam.step(&mut params, g).unwrap();
            for (a, b) in before.iter().zip(&params) {
                prop_assert!((a - b).abs() <= bound(t) + 1e-13, "{} at {}, bound {}", a - b, t, bound(t));
            }
        }
    }
}

/// β₁ = β₂ = 0: each step is η g / (|g| + ε).
#[test]
fn without_means_it_is_the_sign() {
    let mut adam = Adam::<f64>::with_settings(0.5, [0.0, 0.0], 0.5, 1).unwrap();
    assert_eq!(along(&mut adam, 0.0, &[0.5, -1.5, 0.0]), [-0.25, -0.25 + 0.375, 0.125]);
}

/// Without gradients: decoupled decay shrinks by 1 - η w and leaves m and v at 0; without decay, or with η = 0, nothing moves.
#[test]
fn without_gradients() {
    let mut adamw = Adam::new(0.5, 1).unwrap().with_weight_decay(WeightDecay::Decoupled(0.25)).unwrap();
    assert_eq!(along(&mut adamw, 64.0, &[0.0; 3]), [56.0, 49.0, 42.875]);
    assert_eq!((adamw.m(), adamw.v()), (&[0.0][..], &[0.0][..]));
    assert_eq!(along(&mut usual(0.5), 64.0, &[0.0; 3]), [64.0; 3]);
    let mut still = usual(0.0);
    assert_eq!(along(&mut still, 64.0, &[1.0, -3.0]), [64.0; 2]);
    assert!(still.m()[0] != 0.0 && still.v()[0] > 0.0 && still.steps() == 2);
}

// Small and large numbers ---------------------------------------------------------------------------------------------

/// The state of a dead unit becomes 0, and is never a subnormal number before.
fn moments_of_dead_units_become_zero<F: Scalar>() {
    let mut adam = Adam::<F>::with_settings(0.1, [0.5, 0.5], 1e-4, 2).unwrap();
    adam.step(&mut [F::one(); 2], &[F::one(), -F::one()]).unwrap();
    for _ in 0..1100 {
        adam.step(&mut [F::one(); 2], &[F::zero(), -F::zero()]).unwrap();
        let subnormal = |x: &F| *x != F::zero() && x.abs() < F::min_positive_value();
        assert!(!adam.m().iter().chain(adam.v()).any(subnormal));
    }
    assert_eq!((adam.m(), adam.v()), (&[F::zero(); 2][..], &[F::zero(); 2][..]));
}

in_types!(moments_of_dead_units_become_zero: f32 f64 bf16);

/// Its smallest number, 2^-24, stays.
#[test]
fn f16_keeps_subnormal_moments() {
    let mut adam = Adam::<f16>::with_settings(0.1, [0.5, 0.5], 1e-4, 1).unwrap();
    adam = adam.with_state(&[tiny()], &[tiny::<f16>() * number::<f16>(4.0)], 1).unwrap();
    adam.step(&mut [f16::ONE], &[f16::ZERO]).unwrap();
    assert_eq!((adam.m(), adam.v()), (&[f16::ZERO][..], &[tiny::<f16>() * number::<f16>(2.0)][..])); // half of tiny is a tie
}

/// In f32 with β₂ = 3/4: g² / 4 is normal from g = 2^-62 on.
#[test]
fn a_square_below_the_normal_numbers_is_none() {
    let [below, from] = [2.0_f32.powi(-62) * (1.0 - f32::EPSILON / 2.0), 2.0_f32.powi(-62)];
    let mut adam = Adam::with_settings(0.5, [0.5, 0.75], 1e-4, 3).unwrap();
    adam.step(&mut [1.0; 3], &[below, from, -from]).unwrap();
    assert_eq!(adam.v(), [0.0, f32::MIN_POSITIVE, f32::MIN_POSITIVE]);
    assert_eq!(adam.m(), [below / 2.0, from / 2.0, -from / 2.0]);
    // Nor is it added to a v above 0: 3/4 · 4 = 3.
    let adam = Adam::with_settings(0.5, [0.5, 0.75], 1e-4, 2).unwrap();
    let mut adam = adam.with_state(&[0.0; 2], &[4.0 * f32::MIN_POSITIVE; 2], 1).unwrap();
    adam.step(&mut [1.0; 2], &[below, from]).unwrap();
    assert_eq!(adam.v(), [3.0 * f32::MIN_POSITIVE, 4.0 * f32::MIN_POSITIVE]);
}

#[test]
fn what_is_not_finite_spreads_and_a_square_may_overflow() {
    let mut adam = Adam::<f32>::new(0.5, 4).unwrap();
    let mut params = [1.0; 4];
    adam.step(&mut params, &[f32::NAN, f32::INFINITY, 1e20, 1.0]).unwrap();
    assert!(params[0].is_nan() && params[1].is_nan() && params[2..] == [1.0, 0.5], "{params:?}"); // ∞ / ∞, and m / ∞
    adam.step(&mut params, &[1.0; 4]).unwrap();
    assert!(params[0].is_nan() && params[2] == 1.0 && adam.v()[2] == f32::INFINITY, "{params:?}");
}

// Rejected inputs -----------------------------------------------------------------------------------------------------

#[test]
fn invalid_settings_are_rejected() {
    for bad in [1.0, -0.25, 2.0, f64::NAN, f64::INFINITY] {
        for (name, betas) in [("beta1", [bad, 0.9]), ("beta2", [0.9, bad])] {
            let message = format!("{name} is {bad:?}, expected a number of at least 0 and below 1");
            says(Adam::<f64>::with_settings(0.1, betas, 1e-8, 2), &message);
            let mut adam = usual(0.1).with_state(&[1.0], &[1.0], 3).unwrap();
            let before = adam.clone();
            says(adam.set_betas(betas), &message);
            assert_eq!(adam, before);
        }
    }
    for bad in [0.0, -1e-8, f64::NAN, f64::INFINITY] {
        let message = format!("eps is {bad:?}, expected a finite number above 0");
        says(Adam::<f64>::with_settings(0.1, [0.9, 0.999], bad, 2), &message);
    }
    says(Adam::<f64>::new(-1.0, 2), "learning_rate is -1.0, expected a finite number of at least 0");
    let mut adam = usual(0.1);
    says(adam.set_learning_rate(f64::NAN), "learning_rate is NaN, expected a finite number of at least 0");
    let decay = WeightDecay::Decoupled(-1.0);
    says(adam.set_weight_decay(decay), "weight_decay is -1.0, expected a finite number of at least 0");
    says(usual(0.1).with_weight_decay(decay), "weight_decay is -1.0, expected a finite number of at least 0");
    assert_eq!(adam, usual(0.1));
    says(Adam::<f64>::new(0.1, usize::MAX), &format!("m of length {} does not fit in memory", usize::MAX));
}

/// The usual settings are invalid for half types, and the error says so: such parameters need `MasterCopy`.
#[test]
fn settings_that_the_type_rounds_away_are_rejected() {
    let rounds = "which the type of the parameters rounds to";
    let beta2 = format!("beta2 is 0.999, {rounds} 1.0, expected a number above 0 and below 1");
    says(Adam::<bf16>::new(0.1, 2), &beta2);
    says(adam::<bf16>(2).set_betas([0.9, 0.999]), &beta2);
    says(Adam::<f16>::new(0.1, 2), &format!("eps is 1e-8, {rounds} 0.0, expected a finite number above 0"));
    let below_one = "expected a number above 0 and below 1";
    let large = Adam::<f32>::with_settings(0.1, [0.9, 1.0 - 1e-9], 1e-8, 2);
    says(large, &format!("beta2 is 0.999999999, {rounds} 1.0, {below_one}"));
    let small = Adam::<f32>::with_settings(0.1, [1e-50, 0.9], 1e-8, 2);
    says(small, &format!("beta1 is 1e-50, {rounds} 0.0, {below_one}"));
    let decayed = Adam::<f32>::new(0.1, 2).unwrap().with_weight_decay(WeightDecay::Coupled(1e-50));
    says(decayed, &format!("weight_decay is 1e-50, {rounds} 0.0, expected a finite number above 0"));
}

#[test]
fn another_state() {
    let new = || Adam::<f64>::new(0.1, 2).unwrap();
    says(new().with_state(&[1.0], &[1.0; 2], 5), "m has length 1, expected 2, the length of params");
    says(new().with_state(&[1.0; 2], &[1.0; 3], 5), "v has length 3, expected 2, the length of params");
    says(new().with_state(&[1.0; 2], &[1.0, -1e-9], 5), "v is -1e-9, expected a number of at least 0");
    says(new().with_state(&[1.0; 2], &[f64::NEG_INFINITY, 1.0], 5), "v is -inf, expected a number of at least 0");
    let adam = new().with_state(&[-0.0, f64::INFINITY], &[f64::NAN, f64::INFINITY], 5).unwrap();
    assert_eq!((adam.m()[0].to_bits(), adam.m()[1]), ((-0.0_f64).to_bits(), f64::INFINITY));
    assert!(adam.v()[0].is_nan() && adam.v()[1] == f64::INFINITY && adam.steps() == 5);
}

#[test]
fn settings_read_back_and_are_set_under_way() {
    let decay = WeightDecay::Coupled(0.25);
    let adam = Adam::<f64>::with_settings(0.5, [0.5, 0.75], 0.5, 2).unwrap().with_weight_decay(decay).unwrap();
    assert_eq!((adam.learning_rate(), adam.betas(), adam.eps()), (0.5, [0.5, 0.75], 0.5));
    assert_eq!((adam.weight_decay(), adam.state_len(), adam.steps()), (decay, Some(2), 0));
    let mut adam = by_hand(1);
    adam.set_weight_decay(decay).unwrap();
    adam.set_weight_decay(WeightDecay::None).unwrap();
    along(&mut adam, 0.0, &[1.0]); // m = 1/2, v = 1/4
    // β₁ = 3/4, 1 - β₁² = 7/16, m = 3/8 + 1/4 = 5/8; β₂ = 0, v = 1: θ = -1/2 · (16/7) · (5/8) / 2
    adam.set_betas([0.75, 0.0]).unwrap();
    assert_eq!(adam.betas(), [0.75, 0.0]);
    assert_abs_diff_eq!(along(&mut adam, 0.0, &[1.0])[0], -5.0 / 14.0, epsilon = 1e-15);
    assert_eq!((adam.m(), adam.v()), (&[0.625][..], &[1.0][..]));
    adam.reset();
    assert_eq!(adam, Adam::with_settings(0.5, [0.75, 0.0], 1.0, 1).unwrap());
}

/// A power βᵗ that is small, but large enough to change 1 - βᵗ in f64, must not be taken for 0. Here β₁⁶⁴ is 1.5e-16, so
/// 1 - β₁⁶⁴ rounds to 1 - 2^-53, and η = 3/2 divided by that rounds to 3/2 + 2^-52. With β₂ = 0 and ε = g = 1/2 the
/// denominator √v + ε is 1, so θ = -(3/2 + 2^-52) m.
#[test]
fn the_smallest_power_that_counts() {
    let adam = Adam::<f64>::with_settings(1.5, [0.566, 0.0], 0.5, 1).unwrap();
    let mut adam = adam.with_state(&[1.0], &[0.0], 63).unwrap();
    let theta = along(&mut adam, 0.0, &[0.5])[0];
    assert_eq!(theta, -(1.5 + f64::EPSILON) * adam.m()[0]);
    assert_ne!(theta, -1.5 * adam.m()[0]);
}
