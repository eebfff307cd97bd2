//! The global norm.

use gradstep::{Grads, Optimizer, Sgd, clip_global_norm, global_norm};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::common::{config, golden, noise, noise64, oracle, says, slices};

/// The root of the slices' sums, added one after the other.
fn naive_norm(slices: &[&[f64]]) -> f64 {
    slices.iter().fold(0.0, |sum, slice| sum + oracle::sum_of_squares(slice)).sqrt()
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

/// More slices than threads share at a time; lengths around a block; some long enough for threads by themselves.
#[test]
fn many_slices() {
    let numbers = noise64(1_300_007);
    for lens in [&[5000, 4096, 1, 0, 4097][..], &[64], &[300_001, 9], &[1_300_007]] {
        let slices: Vec<&[f64]> =
            (0..150).map(|i| &numbers[..lens[i % lens.len()]]).take(20_000_000 / lens[0].max(133_334)).collect();
        assert_eq!(global_norm(&slices).unwrap().to_bits(), naive_norm(&slices).to_bits(), "{lens:?}");
    }
}

/// The norm of halves is that of the same numbers in f32.
#[test]
fn halves() {
    for len in [1, 255, 256, 257, 4096, 4097, 200_003] {
        let (bf16s, f16s): (Vec<_>, Vec<_>) =
            noise(len).iter().map(|&g| (bf16::from_f32(g), f16::from_f32(g / 1000.0))).unzip();
        let [wide_bf16s, wide_f16s] =
            [bf16s.iter().map(|g| g.to_f32()).collect::<Vec<_>>(), f16s.iter().map(|g| g.to_f32()).collect()];
        assert_eq!(global_norm(&[&bf16s]).unwrap().to_bits(), global_norm(&[&wide_bf16s]).unwrap().to_bits());
        assert_eq!(global_norm(&[&f16s]).unwrap().to_bits(), global_norm(&[&wide_f16s]).unwrap().to_bits());
    }
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
    // The gradients' own scale times the one that keeps the squares from underflow stays finite.
    let (mut sgd, grads) = (Sgd::new(0.1).unwrap(), [3.0 * tiny, 4.0 * tiny]);
    let norm = sgd.step_clipped(&mut [0.0; 2], Grads::new(&grads).scaled(1024.0), 1.0).unwrap();
    assert_eq!(norm, 5.0 * tiny * 1024.0);
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
    let mut grads = [[f64::MAX, f64::MAX]];
    let message = "global norm is inf, expected at most 1.7976931348623157e308 in absolute value";
    says(global_norm(&grads), message);
    says(clip_global_norm(&mut grads, 1.0), message);
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

/// A slice that threads share, with one number in each block. (Where two branches are exchanged, one case in 30 shows it.)
#[test]
fn a_long_slice_is_the_documented_tree_to_the_bit() {
    const BLOCKS: usize = 33;
    let mut grads = vec![0.0; BLOCKS * 4096];
    for (case, numbers) in noise64(300 * BLOCKS).chunks(BLOCKS).enumerate() {
        grads.iter_mut().step_by(4096).zip(numbers).for_each(|(g, &number)| *g = number);
        assert_eq!(global_norm(&[&grads]).unwrap().to_bits(), naive_norm(&[&grads]).to_bits(), "case {case}");
    }
}

/// Literal bits: another machine, feature or release must give these. A change here is a change of values.
#[test]
fn value_stability_norm() {
    for row in golden::table(include_str!("../data/norm.csv"), 14) {
        let len = row[0].parse().unwrap();
        let norms = [global_norm(&[noise(len)]).unwrap(), global_norm(&[noise64(len)]).unwrap()];
        assert_eq!(norms.map(|norm| format!("{:016x}", norm.to_bits())), row[1..], "len {len}");
    }
    let (a, b, c) = (noise64(131_073), noise64(17), noise64(4097));
    let got = global_norm(&[&a, &b, &c]).unwrap().to_bits();
    assert_eq!(got, 0x4051_b0f0_578e_3757, "{got:#x}");
}

/// Any finite f64, all exponents alike.
fn finite() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |g| g.is_finite())
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
}
