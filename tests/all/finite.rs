//! The check for values that are not finite.

use gradstep::{Error, check_finite, clip_global_norm, clip_value, global_norm};
use half::f16;

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

/// More slices than threads share at a time, long enough for them: a part that is finite does not hide one that is not.
#[test]
fn many_slices() {
    let mut grads = vec![vec![1.0_f32; 5000]; 100];
    check_finite(&grads).unwrap();
    for (slice, index) in [(99, 4999), (64, 0), (63, 17), (0, 1)] {
        grads[slice][index] = f32::NAN;
        let error = check_finite(&grads).unwrap_err();
        assert_eq!(error.to_string(), format!("grads[{slice}][{index}] is NaN, expected a finite number"));
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
