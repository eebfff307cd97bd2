//! The check for values that are not finite.

use gradstep::{Error, check_finite, clip_global_norm, clip_value, global_norm};
use half::f16;

use crate::common::says;

#[test]
fn first_non_finite_value_is_named() {
    let nan = f64::NAN;
    says(check_finite(&[vec![1.0], vec![], vec![0.0, nan]]), "grads[2][1] is NaN, expected a finite number");
    says(check_finite(&[[1.0, f64::INFINITY, nan]]), "grads[0][1] is inf, expected a finite number");
    says(check_finite(&[[f64::NEG_INFINITY], [nan]]), "grads[0][0] is -inf, expected a finite number");
    says(check_finite(&[[f16::ONE, f16::NAN]]), "grads[0][1] is NaN, expected a finite number");

    let mut grads = vec![vec![1.0_f32; 5000]; 3];
    (grads[1][4999], grads[2][0]) = (f32::INFINITY, f32::NAN);
    let error = check_finite(&grads).unwrap_err();
    assert_eq!(error, Error::NonFinite { name: "grads[1]".into(), index: 4999, value: f64::INFINITY });
}

/// More slices than threads share at a time, long enough for them: a part that is finite does not hide one that is not.
#[test]
fn many_slices() {
    let mut grads = vec![vec![1.0_f32; 5000]; 100];
    check_finite(&grads).unwrap();
    for (slice, index) in [(99, 4999), (64, 0), (63, 17), (0, 1)] {
        grads[slice][index] = f32::NAN;
        says(check_finite(&grads), &format!("grads[{slice}][{index}] is NaN, expected a finite number"));
        grads[slice][index] = 1.0; // the next is the only one again
    }
}

#[test]
fn finite_values_pass() {
    check_finite::<f64>(&[&[][..], &[f64::MAX, f64::MIN, -0.0, f64::from_bits(1)]]).unwrap();
    check_finite(&[[f16::MAX], [f16::MIN]]).unwrap();
    let none: [Vec<f32>; 0] = [];
    check_finite(&none).unwrap();
}

/// Whatever would compute with them rejects them, names the place, and changes nothing.
#[test]
fn non_finite_values_are_rejected_and_nothing_changes() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let message = format!("grads[1][2] is {bad:?}, expected a finite number");
        let before = [vec![3e30_f32, -4.0], vec![9.0, -0.0, bad, f32::NAN]];
        let mut grads = before.clone();
        says(global_norm(&grads), &message);
        says(clip_global_norm(&mut grads, 1.0), &message);
        says(clip_value(&mut grads, 1.0), &message);
        let all = |grads: &[Vec<f32>]| grads.concat().iter().map(|g| g.to_bits()).collect::<Vec<_>>();
        assert_eq!(all(&grads), all(&before));
    }
}
