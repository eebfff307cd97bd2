//! Clipping, by the global norm and by value.

use gradstep::{clip_global_norm, clip_scale, clip_value, global_norm};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::common::{Scalar, bits, config, in_types, noise, number, same, says, slices, tiny};

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
    clip_value(&mut grads, 1.0).unwrap();
    assert_eq!(grads, [[bf16::ONE, bf16::from_f32(-0.25)]]);
}

#[test]
fn limits_must_be_finite_and_above_zero() {
    for limit in [0.0, -0.0, -1.0, f64::INFINITY, f64::NAN] {
        let mut grads = [[3.0_f64, 4.0]];
        let message = |name| format!("{name} is {limit:?}, expected a finite number above 0");
        says(clip_global_norm(&mut grads, limit), &message("max_norm"));
        says(clip_scale(1.0, limit), &message("max_norm"));
        says(clip_value(&mut grads, limit), &message("limit"));
        assert_eq!(grads, [[3.0, 4.0]]);
    }
}

/// For a norm from elsewhere.
#[test]
fn the_scale_of_a_norm() {
    assert_eq!(clip_scale(5.0, 2.5), Ok(0.5));
    assert_eq!(clip_scale(3.0, 1.0), Ok(1.0 / 3.0));
    for norm in [0.0, -0.0, 1.0, 2.5, f64::from_bits(1)] {
        assert_eq!(clip_scale(norm, 2.5), Ok(1.0), "{norm}");
    }
    says(clip_scale(-1.0, 1.0), "norm is -1.0, expected a finite number of at least 0");
    for norm in [f64::NAN, f64::INFINITY] {
        let expected = format!("global norm is {norm:?}, expected at most 1.7976931348623157e308 in absolute value");
        says(clip_scale(norm, 1.0), &expected);
        assert!(clip_scale(norm, 1.0).unwrap_err().is_bad_gradient());
    }
}

/// Limits are f64 whatever the gradients are; a limit that the type rounds to 0 or ∞ is rejected.
#[test]
fn a_limit_that_the_type_rounds_to_nothing_is_rejected() {
    let mut grads = [[f16::ONE, f16::MAX]];
    let rounds = |limit: &str, to: &str| {
        format!("limit is {limit}, which the type of the parameters rounds to {to}, expected a finite number above 0")
    };
    says(clip_value(&mut grads, 1e-8), &rounds("1e-8", "0.0"));
    says(clip_value(&mut grads, 1e5), &rounds("100000.0", "inf"));
    assert_eq!(grads, [[f16::ONE, f16::MAX]]);
    let mut grads = [[1.0_f32, -1.0]];
    clip_value(&mut grads, 0.1).unwrap();
    assert_eq!(grads, [[0.1_f32, -0.1]]);
}

/// The scale would be 0, or a subnormal with few digits left.
#[test]
fn a_limit_too_far_below_the_norm_is_rejected() {
    let mut grads = [[1e300]];
    for (limit, most) in [(1e-300, "44942328.3715579"), (1e-10, "4.49423283715579e297")] {
        let message =
            format!("global norm for max_norm = {limit:?} is 1e300, expected at most {most} in absolute value");
        says(clip_global_norm(&mut grads, limit), &message);
        says(clip_scale(1e300, limit), &message);
    }
    assert_eq!(grads, [[1e300]]);
}

proptest! {
    #![proptest_config(config(200))]

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
}

/// 4 · n values of one size have the norm 2 √n times that; clipped to half of it each is halved, ties to even.
fn halved_and_limited<F: Scalar>() {
    let (zero, max, tiny) = (F::zero(), F::max_value(), tiny::<F>());
    let [two, three] = [2.0, 3.0].map(|n| tiny * number(n));
    for root in [1, 16, 512] {
        for (g, halved) in [(tiny, zero), (-tiny, -zero), (two, tiny), (three, two), (-three, -two)] {
            let norm = 2.0 * f64::from(root) * g.abs().to_f64().unwrap();
            let mut grads = [vec![g; 4 * (root * root) as usize]];
            assert_eq!(global_norm(&grads), Ok(norm));
            assert_eq!(clip_global_norm(&mut grads, norm / 2.0), Ok(norm));
            assert!(grads[0].iter().all(|&g| same(g, halved)), "{g:?} times 4 · {root}²");
        }
    }

    let mut grads = [[three, -three, tiny, zero, -zero, max]];
    clip_value(&mut grads, tiny.to_f64().unwrap()).unwrap();
    assert!(grads[0].into_iter().zip([tiny, -tiny, tiny, zero, -zero, tiny]).all(|(g, expected)| same(g, expected)));
    let mut grads = [[max, -max]];
    clip_value(&mut grads, max.to_f64().unwrap()).unwrap();
    assert_eq!(grads, [[max, -max]]);
}
in_types!(halved_and_limited: f32 f64 f16 bf16);

#[test]
fn long_slices_are_clipped_to_their_ends() {
    // Longer than what threads share, and no multiple of a part.
    let grads = || [vec![8.0_f32; (1 << 18) + 7], vec![-8.0; 3], vec![8.0; (1 << 16) + 1]];
    let mut limited = grads();
    clip_value(&mut limited, 2.0).unwrap();
    assert!(limited.concat().iter().all(|g| g.abs() == 2.0));
    let mut halved = grads();
    let norm = global_norm(&halved).unwrap();
    clip_global_norm(&mut halved, norm / 2.0).unwrap();
    assert!(halved.concat().iter().all(|g| g.abs() == 4.0));
}
