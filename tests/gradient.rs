//! Gradients before the step: norm, clipping, the check for non-finite values, accumulation, and the guard.

use gradstep::{
    Accumulator, Error, Guard, Momentum, Optimizer, ParamGroups, Sgd, check_finite, clip_global_norm, clip_value,
    global_norm, schedule,
};
use half::{bf16, f16};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The same cases on every run.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

/// Multiples of 2^-23 in -1..1 from a linear congruential generator (Knuth's MMIX), exact in f32 and f64.
fn noise(len: usize) -> Vec<f32> {
    let mut state = len as u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// [`noise`] in 53 bits, so that the squares round.
fn noise64(len: usize) -> Vec<f64> {
    noise(len).into_iter().map(|g| f64::from(g) / 3.0).collect()
}

fn bits<F: num_traits::Float>(values: &[F]) -> Vec<(u64, i16, i8)> {
    values.iter().map(|value| value.integer_decode()).collect()
}

// The norm ------------------------------------------------------------------------------------------------------------

/// The tree of `global_norm`, from its words: lane i of a block sums the squares at i, i + 16, …; the lanes are added in
/// halves, i and i + 8 first; the blocks in halves, of which the left one takes the odd block.
fn naive_norm(slices: &[&[f64]]) -> f64 {
    fn lanes(block: &[f64], lane: usize, apart: usize) -> f64 {
        if apart == 16 {
            return block.iter().skip(lane).step_by(16).fold(0.0, |sum, g| sum + g * g);
        }
        lanes(block, lane, 2 * apart) + lanes(block, lane + apart, 2 * apart)
    }
    fn tree(blocks: &[&[f64]]) -> f64 {
        match blocks {
            [] => 0.0,
            [block] => lanes(block, 0, 1),
            _ => {
                let (left, right) = blocks.split_at(blocks.len().div_ceil(2));
                tree(left) + tree(right)
            }
        }
    }
    slices.iter().fold(0.0, |sum, slice| sum + tree(&slice.chunks(4096).collect::<Vec<_>>())).sqrt()
}

/// By hand: Pythagorean triples and quadruples, whose squares and roots are exact in every type.
#[test]
fn norms_worked_out_by_hand() {
    assert_eq!(global_norm(&[[3.0_f32, 4.0]]).unwrap(), 5.0);
    assert_eq!(global_norm(&[[3.0_f64], [-4.0]]).unwrap(), 5.0);
    assert_eq!(global_norm(&[&[2.0_f64, 3.0][..], &[], &[-6.0]]).unwrap(), 7.0);
    assert_eq!(global_norm(&[vec![f16::from_f32(1.0), f16::from_f32(4.0)], vec![f16::from_f32(-8.0)]]).unwrap(), 9.0);
    assert_eq!(global_norm(&[[bf16::from_f32(3.0), bf16::from_f32(4.0)]]).unwrap(), 5.0);
    assert_eq!(global_norm(&[vec![0.5_f32; 1 << 20]]).unwrap(), 512.0); // √(2^20 / 4)
}

#[test]
fn nothing_and_zeros_have_norm_zero() {
    let none: [&[f32]; 0] = [];
    for norm in [global_norm(&none), global_norm::<f32>(&[&[][..], &[]]), global_norm(&[[0.0_f32, -0.0]])] {
        assert_eq!(norm.unwrap().to_bits(), 0.0_f64.to_bits());
    }
}

#[test]
fn no_overflow_and_no_underflow_on_the_way() {
    let relative = |got: f64, truth: f64| (got / truth - 1.0).abs();
    for power in [1e200, 1e-200, 1e153, 1e155, 1e-134, 1e-136, 1e-160, 1e-162, 1e-300, 1e300] {
        let norm = global_norm(&[[3.0 * power, 4.0 * power]]).unwrap();
        assert!(relative(norm, 5.0 * power) < 1e-15, "{power:e}: {norm:e}");
    }
    // Powers of two stay exact to the smallest subnormal: 3, 4 -> 5 times 2^-1074.
    let tiny = f64::from_bits(1);
    assert_eq!(global_norm(&[[3.0 * tiny, 4.0 * tiny]]).unwrap(), 5.0 * tiny);
    assert_eq!(global_norm(&[[tiny]]).unwrap(), tiny);
    assert_eq!(global_norm(&[[f64::MIN_POSITIVE, -0.0]]).unwrap(), f64::MIN_POSITIVE);
    assert_eq!(global_norm(&[[-f64::MAX]]).unwrap(), f64::MAX);
    assert_eq!(global_norm(&[[f64::MAX, 1.0, tiny]]).unwrap(), f64::MAX);
    // 2^1023 · (3, 4) / 4 -> 2^1023 · 5 / 4 is finite.
    let huge = 2.0_f64.powi(1021);
    assert_eq!(global_norm(&[[3.0 * huge, 4.0 * huge]]).unwrap(), 5.0 * huge);
    // Large beside small: the small one is below the rounding.
    assert_eq!(global_norm(&[[1e-300, 1.0]]).unwrap(), 1.0);
    assert_eq!(global_norm(&[[1e300, 1.0]]).unwrap(), 1e300);

    let (most, least) = (f64::from(f32::MAX), f64::from(f32::from_bits(1)));
    assert_eq!(global_norm(&[[f32::MAX; 4]]).unwrap(), 2.0 * most);
    assert_eq!(global_norm(&[[f32::from_bits(1); 4]]).unwrap(), 2.0 * least);
    assert_eq!(global_norm(&[[f16::MAX; 4]]).unwrap(), 2.0 * 65504.0);
    assert_eq!(global_norm(&[[f16::from_bits(1); 4]]).unwrap(), 2.0_f64.powi(-23));
    assert_eq!(global_norm(&[[bf16::MAX; 4]]).unwrap(), 2.0 * f64::from(bf16::MAX));
}

#[test]
fn norm_beyond_f64_is_an_error() {
    let error = global_norm(&[[f64::MAX, f64::MAX]]).unwrap_err();
    assert_eq!(error.to_string(), "the global norm is inf, expected a norm within the range of f64");
    let mut grads = [[f64::MAX, f64::MAX]];
    assert_eq!(clip_global_norm(&mut grads, 1.0), Err(error));
    assert_eq!(grads, [[f64::MAX, f64::MAX]]);
}

/// Without regard to the tree: a plain sum in f64, one after the other.
#[test]
fn norm_agrees_with_a_plain_sum() {
    for len in [0, 1, 15, 16, 17, 100, 4095, 4097, 10_000] {
        let grads = noise64(len);
        let plain = grads.iter().map(|g| g * g).sum::<f64>().sqrt();
        let norm = global_norm(&[&grads]).unwrap();
        assert!((norm - plain).abs() <= 1e-13 * plain, "{len}: {norm} {plain}");
    }
}

#[test]
fn norm_is_the_documented_tree_to_the_bit() {
    for len in [1, 15, 16, 17, 31, 33, 4095, 4096, 4097, 8191, 8192, 8193, 12_289, 20_481, 131_073] {
        let grads = noise64(len);
        assert_eq!(global_norm(&[&grads]).unwrap().to_bits(), naive_norm(&[&grads]).to_bits(), "{len}");
        let (a, b) = grads.split_at(len / 3);
        assert_eq!(global_norm(&[a, b]).unwrap().to_bits(), naive_norm(&[a, b]).to_bits(), "{len} in two");
    }
}

/// Literal bits: another machine, feature or release must give these. A change here is a change of values.
#[test]
fn value_stability_norm() {
    let golden: [(usize, u64, u64); 14] = [
        (1, 0x3fc3_a891_0000_0000, 0x3faa_3616_aaaa_aaab),
        (15, 0x4003_05a4_9fd2_9526, 0x3fe9_5cdb_7fc3_7188),
        (16, 0x4001_9469_b029_1029, 0x3fe7_708c_eae1_6ae1),
        (17, 0x4001_e887_332a_7a87, 0x3fe7_e0b4_4438_a35f),
        (4095, 0x4042_8bb3_21e7_9f6b, 0x4028_ba44_2d34_d48f),
        (4096, 0x4042_9383_cad5_d71d, 0x4028_c4af_b91d_1ed1),
        (4097, 0x4042_86da_9cb1_2f4f, 0x4028_b3ce_2641_9468),
        (8191, 0x404a_25d4_449c_edee, 0x4031_6e8d_8313_4949),
        (8192, 0x404a_25c2_7d6d_032c, 0x4031_6e81_a8f3_5772),
        (8193, 0x404a_2555_6bff_1fb6, 0x4031_6e38_f2aa_1524),
        (131071, 0x406a_2769_8207_e0ef, 0x4051_6f9b_ac05_409f),
        (131072, 0x406a_184d_ca01_0ebd, 0x4051_6589_3156_09d3),
        (131073, 0x406a_20bf_739c_ec59, 0x4051_6b2a_4d13_483b),
        (270001, 0x4072_c3dd_6503_c9e0, 0x4059_0527_315a_6281),
    ];
    for (len, single, double) in golden {
        let got = (global_norm(&[noise(len)]).unwrap().to_bits(), global_norm(&[noise64(len)]).unwrap().to_bits());
        assert_eq!(got, (single, double), "len {len}: {got:#x?}");
    }
    let (a, b, c) = (noise64(131_073), noise64(17), noise64(4097));
    let got = global_norm(&[&a, &b, &c]).unwrap().to_bits();
    assert_eq!(got, 0x4051_b0f0_578e_3757, "{got:#x}");
}

// Non-finite values ---------------------------------------------------------------------------------------------------

#[test]
fn first_non_finite_value_is_named() {
    let named = |grads: &[Vec<f64>]| check_finite(grads).unwrap_err().to_string();
    assert_eq!(named(&[vec![1.0], vec![], vec![0.0, f64::NAN]]), "grads[2][1] is NaN, expected a finite number");
    assert_eq!(named(&[vec![1.0, f64::INFINITY, f64::NAN]]), "grads[0][1] is inf, expected a finite number");
    assert_eq!(named(&[vec![f64::NEG_INFINITY], vec![f64::NAN]]), "grads[0][0] is -inf, expected a finite number");
    let half = check_finite(&[[f16::ONE, f16::NAN]]).unwrap_err();
    assert_eq!(half.to_string(), "grads[0][1] is NaN, expected a finite number");

    let mut grads = vec![vec![1.0_f32; 5000]; 3];
    (grads[1][4999], grads[2][0]) = (f32::INFINITY, f32::NAN);
    let error = check_finite(&grads).unwrap_err();
    assert_eq!(error, Error::NonFinite { name: "grads[1]".into(), index: 4999, value: f64::INFINITY });
}

#[test]
fn finite_values_pass() {
    check_finite::<f64>(&[&[][..], &[f64::MAX, f64::MIN, -0.0, f64::from_bits(1)]]).unwrap();
    check_finite(&[[f16::MAX], [f16::MIN]]).unwrap();
    let none: [Vec<f32>; 0] = [];
    check_finite(&none).unwrap();
}

/// Whatever would compute with them refuses them, names the place, and leaves all as it was.
#[test]
fn non_finite_values_are_refused_and_nothing_changes() {
    for (bad, text) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let message = format!("grads[1][2] is {text}, expected a finite number");
        let before = [vec![3e30_f32, -4.0], vec![9.0, -0.0, bad, f32::NAN]];
        let mut grads = before.clone();
        assert_eq!(global_norm(&grads).unwrap_err().to_string(), message);
        assert_eq!(clip_global_norm(&mut grads, 1.0).unwrap_err().to_string(), message);
        assert_eq!(clip_value(&mut grads, 1.0).unwrap_err().to_string(), message);
        let all = |grads: &[Vec<f32>]| grads.concat().iter().map(|g| g.to_bits()).collect::<Vec<_>>();
        assert_eq!(all(&grads), all(&before));
    }
}

// Clipping ------------------------------------------------------------------------------------------------------------

#[test]
fn clipping_by_norm_is_exact_where_the_scale_is_dyadic() {
    let (mut a, mut b) = ([3.0_f32, -0.0], [4.0]);
    assert_eq!(clip_global_norm(&mut [&mut a[..], &mut b], 1.25).unwrap(), 5.0);
    assert_eq!((bits(&a), b), (bits(&[0.75_f32, -0.0]), [1.0]));

    let mut grads = [[f16::from_f32(3.0), f16::from_f32(4.0)]];
    assert_eq!(clip_global_norm(&mut grads, 2.5).unwrap(), 5.0);
    assert_eq!(grads, [[f16::from_f32(1.5), f16::from_f32(2.0)]]);

    // 5 · 2^600, whose square is beyond f64, down by 2^1000.
    let mut huge = [[3.0 * 2.0_f64.powi(600), 4.0 * 2.0_f64.powi(600)]];
    assert_eq!(clip_global_norm(&mut huge, 5.0 * 2.0_f64.powi(-400)).unwrap(), 5.0 * 2.0_f64.powi(600));
    assert_eq!(huge, [[3.0 * 2.0_f64.powi(-400), 4.0 * 2.0_f64.powi(-400)]]);
}

/// The scale and the product are f64's, also for f32 values.
#[test]
fn clipping_by_norm_rounds_once() {
    let before = noise(1000);
    let mut grads = [before.clone()];
    let norm = clip_global_norm(&mut grads, 0.7).unwrap();
    for (g, old) in grads[0].iter().zip(&before) {
        assert_eq!(g.to_bits(), (((0.7 / norm) * f64::from(*old)) as f32).to_bits());
    }
}

#[test]
fn at_or_below_the_norm_nothing_changes() {
    for max_norm in [5.0, 5.01, 6.0, f64::MAX] {
        let mut grads = [vec![3.0_f64, -0.0], vec![f64::from_bits(1), 4.0]];
        assert_eq!(clip_global_norm(&mut grads, max_norm).unwrap(), 5.0);
        assert_eq!(bits(&grads.concat()), bits(&[3.0, -0.0, f64::from_bits(1), 4.0]));
    }
    let none: &mut [Vec<f32>] = &mut [];
    assert_eq!(clip_global_norm(none, 1.0).unwrap(), 0.0);
    assert_eq!(clip_global_norm(&mut [[0.0_f32; 3]], f64::from_bits(1)).unwrap(), 0.0);
}

#[test]
fn clipping_by_value() {
    let mut grads = [vec![0.5_f64, -3.0, 2.0], vec![-0.0, 1.0, -1.0, f64::from_bits(1), f64::MAX]];
    clip_value(&mut grads, 1.0).unwrap();
    assert_eq!(bits(&grads.concat()), bits(&[0.5, -1.0, 1.0, -0.0, 1.0, -1.0, f64::from_bits(1), 1.0]));
    let mut grads = [[bf16::from_f32(3.0), bf16::from_f32(-0.25)]];
    clip_value(&mut grads, bf16::ONE).unwrap();
    assert_eq!(grads, [[bf16::ONE, bf16::from_f32(-0.25)]]);
}

#[test]
fn limits_must_be_finite_and_above_zero() {
    for (limit, text) in [(0.0, "0.0"), (-0.0, "-0.0"), (-1.0, "-1.0"), (f64::INFINITY, "inf"), (f64::NAN, "NaN")] {
        let mut grads = [[3.0_f64, 4.0]];
        assert_eq!(
            clip_global_norm(&mut grads, limit).unwrap_err().to_string(),
            format!("max_norm is {text}, expected a finite number above 0")
        );
        assert_eq!(
            clip_value(&mut grads, limit).unwrap_err().to_string(),
            format!("limit is {text}, expected a finite number above 0")
        );
        assert_eq!(grads, [[3.0, 4.0]]);
    }
}

// Accumulation --------------------------------------------------------------------------------------------------------

/// Ten samples with gradients in eighths, in batches of 1, 2, 3 and 4 with dyadic means (3 samples: sums divisible by 3).
/// All sums are exact, so the mean is the whole batch's to the bit: 25 / 10 and -5 / 10, rounded once.
#[test]
fn mean_over_unequal_batches_is_exact() {
    let batches: [(&[f64], usize); 4] = [(&[2.0, -0.5], 1), (&[1.5, 0.25], 2), (&[4.0, -1.0], 3), (&[2.0, -0.5], 4)];
    let mut accumulator = Accumulator::new(2).unwrap();
    for (mean, samples) in batches {
        accumulator.add(mean, samples).unwrap();
    }
    assert_eq!(accumulator.samples(), 10);
    let mut grads = [f64::NAN; 2];
    accumulator.mean(&mut grads).unwrap();
    // 2 + 3 + 12 + 8 = 25 and -0.5 + 0.5 - 3 - 2 = -5; the mean of the four means would be 2.375.
    assert_eq!(grads, [2.5, -0.5]);

    accumulator.mean(&mut grads).unwrap(); // asking does not empty it
    assert_eq!(grads, [2.5, -0.5]);
    accumulator.reset();
    assert_eq!((accumulator.samples(), accumulator == Accumulator::new(2).unwrap()), (0, true));
}

#[test]
fn accumulator_refuses_and_does_not_change() {
    let mut accumulator = Accumulator::new(2).unwrap();
    let mut grads = [7.0_f32, 7.0];
    let none = accumulator.mean(&mut grads).unwrap_err();
    assert_eq!(none.to_string(), "number of samples is 0, expected at least 1");
    accumulator.add(&[1.0, 2.0], 3).unwrap();
    let before = accumulator.clone();
    assert_eq!(accumulator.add(&[1.0, 2.0], 0).unwrap_err().to_string(), "samples is 0, expected at least 1");
    let long = accumulator.add(&[1.0; 3], 1).unwrap_err();
    assert_eq!(long.to_string(), "mean has length 3, expected 2, the length of the accumulator");
    let short = accumulator.mean(&mut grads[..1]).unwrap_err();
    assert_eq!(short.to_string(), "grads has length 1, expected 2, the length of the accumulator");
    assert_eq!((accumulator, grads), (before, [7.0, 7.0]));
    let huge = Accumulator::new(usize::MAX).unwrap_err();
    assert_eq!(huge.to_string(), format!("an accumulator of length {} does not fit in memory", usize::MAX));
}

/// Nothing on the public face may panic: not the count of samples either.
#[test]
#[cfg(target_pointer_width = "64")]
fn too_many_samples_are_an_error() {
    let mut accumulator = Accumulator::new(1).unwrap();
    accumulator.add(&[1.0_f64], usize::MAX).unwrap();
    let before = accumulator.clone();
    let error = accumulator.add(&[1.0], 1).unwrap_err();
    assert_eq!(error.to_string(), "samples is 1, expected at most 0");
    assert_eq!(accumulator, before);
}

/// The mean is within the range of the values, so it must not overflow on the way to it.
#[test]
fn the_mean_of_finite_gradients_is_finite() {
    let mut accumulator = Accumulator::new(1).unwrap();
    accumulator.add(&[f32::MAX], 2).unwrap();
    accumulator.add(&[f32::MAX], 2).unwrap();
    let mut grads = [0.0];
    accumulator.mean(&mut grads).unwrap();
    assert_eq!(grads, [f32::MAX]);

    let mut accumulator = Accumulator::new(1).unwrap();
    for _ in 0..4 {
        accumulator.add(&[f16::ONE], 1 << 15).unwrap(); // 2^17 samples, and f16 ends below 2^16
    }
    let mut grads = [f16::ZERO];
    accumulator.mean(&mut grads).unwrap();
    assert_eq!(grads, [f16::ONE]);
}

/// The scale would be 0, or a subnormal with few digits left.
#[test]
fn a_limit_too_far_below_the_norm_is_refused() {
    let mut grads = [[1e300]];
    let error = clip_global_norm(&mut grads, 1e-300).unwrap_err();
    assert_eq!(error.to_string(), "max_norm / norm is 0.0, expected a normal f64");
    let error = clip_global_norm(&mut grads, 1e-10).unwrap_err();
    assert_eq!(error.to_string(), "max_norm / norm is 1e-310, expected a normal f64");
    assert_eq!(grads, [[1e300]]);
}

/// Sums that are no number, or beyond f64, are refused and not handed on.
#[test]
fn a_mean_that_is_not_finite_is_refused() {
    for (value, samples, text) in [(f64::NAN, 1, "NaN"), (f64::INFINITY, 1, "inf"), (1e308, 10, "inf")] {
        let mut accumulator = Accumulator::new(2).unwrap();
        accumulator.add(&[0.0, value], samples).unwrap();
        let mut grads = [7.0, 7.0];
        let error = accumulator.mean(&mut grads).unwrap_err();
        assert_eq!(error.to_string(), format!("sum[1] is {text}, expected a finite number"));
        assert_eq!(grads, [7.0, 7.0]);
    }
}

/// f16 lies between 1 and 1 + 2^-10 here: by way of f32 it would be a tie, and go to 1.
#[test]
fn half_precision_is_rounded_once() {
    let mut accumulator = Accumulator::new(2).unwrap();
    let above_the_tie = 1.0 + 2.0_f64.powi(-11) + 2.0_f64.powi(-40);
    accumulator.add(&[above_the_tie, -above_the_tie], 1).unwrap();
    let mut grads = [f16::ZERO; 2];
    accumulator.mean(&mut grads).unwrap();
    assert_eq!(grads, [f16::ONE + f16::EPSILON, -f16::ONE - f16::EPSILON]);
    let just_above = 1.0 + 2.0_f64.powi(-11) + 2.0_f64.powi(-23) + 2.0_f64.powi(-25); // in f32 an odd last bit
    accumulator.reset();
    accumulator.add(&[just_above, -just_above], 1).unwrap();
    accumulator.mean(&mut grads).unwrap();
    assert_eq!(grads, [f16::ONE + f16::EPSILON, -f16::ONE - f16::EPSILON]);
    let mut grads = [bf16::ZERO; 2];
    let below_the_tie = 1.0 + 3.0 * 2.0_f64.powi(-8) - 2.0_f64.powi(-40); // 1 + 2^-7, not the even 1 + 2^-6
    accumulator.reset();
    accumulator.add(&[below_the_tie, -below_the_tie], 1).unwrap();
    accumulator.mean(&mut grads).unwrap();
    assert_eq!(grads, [bf16::ONE + bf16::EPSILON, -bf16::ONE - bf16::EPSILON]);
}

// The guard -----------------------------------------------------------------------------------------------------------

#[test]
fn guard_refuses_and_nothing_changes() {
    let mut guard = Guard(Momentum::new(0.5_f64, 0.5, 3).unwrap());
    let mut params = [1.0, -0.0, 2.0];
    guard.step(&mut params, &[1.0, 0.0, 2.0]).unwrap();
    let (before, at) = (guard.clone(), params);
    for (bad, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        let message = format!("grads[1] is {text}, expected a finite number");
        assert_eq!(guard.check(&params, &[1.0, bad, f64::NAN]).unwrap_err().to_string(), message);
        assert_eq!(guard.step(&mut params, &[1.0, bad, f64::NAN]).unwrap_err().to_string(), message);
        assert_eq!((&guard, bits(&params)), (&before, bits(&at)));
    }
    for place in 0..3 {
        let mut grads = [1.0; 3];
        grads[place] = f64::NAN; // the only one, wherever it stands
        let error = guard.step(&mut params, &grads).unwrap_err();
        assert_eq!(error.to_string(), format!("grads[{place}] is NaN, expected a finite number"));
    }
    // Lengths first, in the words of the optimizer inside.
    let error = guard.step(&mut params, &[f64::NAN]).unwrap_err();
    assert_eq!(error.to_string(), "grads has length 1, expected 3, the length of params");
    let error = guard.step(&mut [0.0], &[f64::NAN]).unwrap_err();
    assert_eq!(error.to_string(), "params has length 1, expected 3, the length of the velocity");
    assert_eq!((guard.0.steps(), &guard), (1, &before));
}

/// Finite gradients: the guard changes no bit.
#[test]
fn guard_is_the_optimizer_otherwise() {
    let mut plain = Momentum::new(0.1_f32, 0.9, 100).unwrap();
    let mut guard = Guard(plain.clone());
    let (mut a, mut b) = (noise(100), noise(100));
    for k in 0..10 {
        let grads = noise(100 + k)[k..].to_vec();
        plain.step(&mut a, &grads).unwrap();
        guard.step(&mut b, &grads).unwrap();
    }
    assert_eq!((bits(&a), &plain), (bits(&b), &guard.0));
    guard.set_learning_rate(0.25).unwrap();
    assert_eq!((guard.learning_rate(), guard.0.learning_rate()), (0.25, 0.25));
    let error = guard.set_learning_rate(-1.0).unwrap_err();
    assert_eq!(error.to_string(), "learning_rate is -1.0, expected a finite number of at least 0");
    guard.reset();
    assert_eq!((guard.0.steps(), guard.0.velocity()), (0, &[0.0; 100][..]));
}

/// Every third gradient is bad. The schedule 1, 1/2, 1/4, … must go on where it was, so that after six calls θ is
/// -(1 + 1/2 + 1/4 + 1/8); had the refused steps counted, it would be -(1 + 1/4 + 1/8 + 1/32).
#[test]
fn schedule_follows_the_steps_applied() {
    let schedule = schedule::exponential(1.0, 0.5).unwrap();
    let mut guard = Guard(Sgd::new(0.0).unwrap());
    let mut params = [0.0_f64];
    for k in 0..6 {
        guard.set_learning_rate(schedule(guard.0.steps())).unwrap();
        let grads = [if k % 3 == 1 { f64::NAN } else { 1.0 }];
        assert_eq!(guard.step(&mut params, &grads).is_err(), k % 3 == 1);
    }
    assert_eq!((guard.0.steps(), params), (4, [-1.875]));
}

#[test]
fn guard_of_any_optimizer() {
    let inner: Box<dyn Optimizer<f32>> = Box::new(Sgd::new(0.5).unwrap());
    let mut guard: Box<dyn Optimizer<f32>> = Box::new(Guard(inner));
    let mut params = [1.0];
    guard.step(&mut params, &[1.0]).unwrap();
    assert!(guard.step(&mut params, &[f32::NAN]).is_err());
    assert_eq!(params, [0.5]);
}

/// One bad gradient in one tensor: no tensor moves, and the model's count stands still.
#[test]
fn guard_within_a_model() {
    let mut model = ParamGroups::new();
    model.insert("a", 1, Guard(Momentum::new(0.5_f64, 0.5, 1).unwrap())).unwrap();
    model.insert("b", 2, Guard(Momentum::new(0.5, 0.5, 2).unwrap())).unwrap();
    let (mut a, mut b) = ([1.0], [1.0, 2.0]);
    model.step(&mut [("a", &mut a, &[1.0]), ("b", &mut b, &[1.0, 1.0])]).unwrap();
    let before = (model.clone(), a, b);
    let error = model.step(&mut [("a", &mut a, &[1.0]), ("b", &mut b, &[1.0, f64::INFINITY])]).unwrap_err();
    assert_eq!(error.to_string(), "tensor `b`: grads[1] is inf, expected a finite number");
    assert_eq!((model.clone(), a, b), before);
    assert_eq!(model.steps(), 1);
    assert_eq!(model.get("b").unwrap().0.steps(), 1);
}

// Properties ----------------------------------------------------------------------------------------------------------

/// Any finite f64, all exponents alike.
fn finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |g| g.is_finite())
}

fn slices() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(-1e3..1e3, 0..40), 0..5)
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn norm_is_that_of_the_naive_tree(grads in slices()) {
        let views: Vec<&[f64]> = grads.iter().map(Vec::as_slice).collect();
        prop_assert_eq!(global_norm(&grads).unwrap().to_bits(), naive_norm(&views).to_bits());
    }

    /// Whatever the exponents: an error only where the true norm is too large, and else between the largest value and
    /// √n times it.
    #[test]
    fn norm_is_finite_where_it_can_be(grads in prop::collection::vec(finite(), 1..8)) {
        let largest = grads.iter().fold(0.0_f64, |largest, g| largest.max(g.abs()));
        match global_norm(&[&grads]) {
            Ok(norm) => prop_assert!(
                norm >= largest * (1.0 - 1e-15) && norm / 3.0 <= largest && norm.is_finite(), "{} {}", norm, largest
            ),
            Err(error) => prop_assert!(largest > f64::MAX / 3.0, "{}", error),
        }
    }

    /// A power of two scales the norm exactly, far beyond where the squares overflow or vanish.
    #[test]
    fn norm_scales_with_powers_of_two(grads in prop::collection::vec(0.5..1.0_f64, 1..40), power in -900_i32..900) {
        let scaled: Vec<f64> = grads.iter().map(|g| g * 2.0_f64.powi(power)).collect();
        let (norm, expected) = (global_norm(&[scaled]).unwrap(), global_norm(&[grads]).unwrap() * 2.0_f64.powi(power));
        prop_assert_eq!(norm.to_bits(), expected.to_bits());
    }

    #[test]
    fn clipped_norm_is_the_limit(mut grads in slices(), limit in 0.01..1e3_f64) {
        let before = grads.clone();
        let norm = clip_global_norm(&mut grads, limit).unwrap();
        prop_assert_eq!(norm, global_norm(&before).unwrap());
        if norm > limit {
            prop_assert!((global_norm(&grads).unwrap() / limit - 1.0).abs() < 1e-14);
        } else {
            prop_assert_eq!(grads, before);
        }
    }

    #[test]
    fn clipped_values_are_within_the_limit(mut grads in slices(), limit in 0.01..1e3_f64) {
        let before = grads.concat();
        clip_value(&mut grads, limit).unwrap();
        for (g, old) in grads.concat().into_iter().zip(before) {
            let expected = if old.abs() > limit { limit.copysign(old) } else { old };
            prop_assert_eq!(g.to_bits(), expected.to_bits());
        }
    }

    /// Samples in 64ths, batches of powers of two: every batch mean and every sum is exact in f64.
    #[test]
    fn accumulated_mean_is_the_whole_batches(
        batches in prop::collection::vec((0_u32..6).prop_flat_map(|p| prop::collection::vec(-6400_i32..6400, 1 << p)), 1..6)
    ) {
        let value = |parts: i64| parts as f64 / 64.0;
        let total = |batch: &[i32]| batch.iter().map(|&g| i64::from(g)).sum::<i64>();
        let mut accumulator = Accumulator::new(1).unwrap();
        for batch in &batches {
            accumulator.add(&[value(total(batch)) / batch.len() as f64], batch.len()).unwrap();
        }
        let all = batches.concat();
        let mut mean = [0.0];
        accumulator.mean(&mut mean).unwrap();
        prop_assert_eq!(mean[0], value(total(&all)) / all.len() as f64);
        prop_assert_eq!(accumulator.samples(), all.len() as u64);
    }
}
