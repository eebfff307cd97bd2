//! `Grads`: how the gradients of a step are read.

use gradstep::{Error, Grads, Optimizer, Sgd};
use half::{bf16, f16};

use crate::common::{FEW_LENS, Scalar, in_types, number, numbers, says};

/// What a rule gets: a step of zeros with learning rate 1, negated.
fn read<P: Scalar>(grads: Grads<P>) -> Vec<P> {
    let mut params = vec![P::zero(); grads.len()];
    Sgd::new(1.0).unwrap().step_with(&mut params, grads).unwrap();
    params.into_iter().map(|p| -p).collect()
}

#[test]
fn scales_are_multiplied() {
    let values = [3.0_f64, -0.5];
    let grads = Grads::new(&values);
    assert_eq!(grads.scale(), 1.0);
    let twice = grads.scaled(0.1).scaled(0.7);
    assert_eq!((twice.scale(), read(twice)), (0.1 * 0.7, vec![(0.1 * 0.7) * 3.0, (0.1 * 0.7) * -0.5]));
    // The product of the scales, and not the gradient rounded twice: here the first scale alone would overflow.
    let values = [1e38_f32, -2e38];
    assert_eq!(read(Grads::new(&values).scaled(1e10).scaled(1e-10)), values);
    // `scaled` returns a copy.
    assert_eq!((grads.scale(), read(grads)), (1.0, vec![3.0, -0.5]));
}

/// In f64, rounded once to the gradients' type.
fn scaled_gradients_are_rounded_once<P: Scalar>() {
    let tie = 1.0 + P::epsilon().to_f64().unwrap() / 2.0;
    assert_eq!(read(Grads::new(&[P::one()]).scaled(tie + 2.0_f64.powi(-50))), [P::one() + P::epsilon()]);
    assert_eq!(read(Grads::new(&[P::one()]).scaled(tie)), [P::one()]); // to even
}
in_types!(scaled_gradients_are_rounded_once: f32 f16 bf16);

#[test]
fn lengths() {
    for len in FEW_LENS {
        let values = vec![1.0_f32; len];
        let grads = Grads::new(&values);
        assert_eq!((grads.len(), grads.scaled(0.5).len(), grads.is_empty()), (len, len, false));
        assert_eq!((grads.check_len("m", len), grads.scaled(0.5).check_len("m", len)), (Ok(()), Ok(())));
        says(grads.check_len("m", len + 1), &format!("grads has length {len}, expected {}, the length of m", len + 1));
    }
    let none = Grads::<f64>::new(&[]);
    assert_eq!((none.len(), none.is_empty(), none.check_finite(), none.check_len("m", 0)), (0, true, Ok(()), Ok(())));
}

/// Scaled gradients are no slice, even if the scale is 1, so that the error does not depend on the numbers.
#[test]
fn a_slice_only_as_they_are() {
    let values = [1.0_f32, 2.0];
    let grads = Grads::new(&values);
    assert_eq!(grads.as_slice(), Ok(&values[..]));
    assert_eq!(grads.scaled(1.0).as_slice(), Err(Error::NotASlice));
    assert_eq!(grads.scaled(2.0).scaled(0.5).as_slice(), Err(Error::NotASlice));
    #[cfg(feature = "half")]
    assert_eq!(Grads::<bf16>::from_f32(&values).as_slice(), Err(Error::NotASlice));
}

/// As the rule gets them: scaled, and rounded to its type.
#[test]
fn scaled_values_are_judged() {
    let says_inf = |grads: Grads<f32>, index| {
        says(grads.check_finite(), &format!("grads[{index}] is inf, expected a finite number"));
    };
    let values = [1.0, 1e38, 3e38];
    let grads = Grads::new(&values);
    assert_eq!(grads.check_finite(), Ok(()));
    assert_eq!(grads.scaled(1.0).check_finite(), Ok(()));
    says_inf(grads.scaled(2.0), 2);
    says_inf(grads.scaled(4.0), 1);
    says_inf(grads.scaled(1e39), 0);
    assert_eq!(grads.scaled(4.0).scaled(0.25).check_finite(), Ok(()));
    says(grads.scaled(-2.0).check_finite(), "grads[2] is -inf, expected a finite number");
    says(grads.scaled(f64::NAN).check_finite(), "grads[0] is NaN, expected a finite number");
    says(Grads::new(&[f32::INFINITY]).scaled(0.0).check_finite(), "grads[0] is NaN, expected a finite number");
    says(Grads::new(&[f32::NEG_INFINITY]).scaled(0.5).check_finite(), "grads[0] is -inf, expected a finite number");
    says(Grads::new(&[f16::MAX]).scaled(1.1).check_finite(), "grads[0] is inf, expected a finite number");
    assert_eq!(Grads::new(&[bf16::MAX]).scaled(0.5).check_finite(), Ok(()));
    assert_eq!(Grads::new(&[1e200_f64]).scaled(1e-300).check_finite(), Ok(()));
}

/// At every place, scaled or not, where there are vectors and threads.
#[test]
fn the_first_bad_value_is_named() {
    for len in FEW_LENS {
        let mut values = numbers::<f32>(len, 5);
        for scale in [None, Some(1.0), Some(0.5)] {
            for place in [0, len / 3, len - 1] {
                let good = values[place];
                values[place] = f32::NAN;
                let last = std::mem::replace(&mut values[len - 1], f32::NAN);
                let grads = Grads::new(&values);
                let grads = scale.map_or(grads, |scale| grads.scaled(scale));
                says(grads.check_finite(), &format!("grads[{place}] is NaN, expected a finite number"));
                values[len - 1] = last;
                values[place] = good;
            }
            assert_eq!(Grads::new(&values).check_finite(), Ok(()));
        }
    }
}

/// f32 gradients of half parameters: a rule over the half type gets them scaled and rounded to it, once.
#[cfg(feature = "half")]
fn f32_gradients_of_half_parameters<H: crate::common::HalfScalar>() {
    use crate::common::bits;
    for len in FEW_LENS {
        let values = numbers::<f32>(len, 9);
        let grads = H::grads_from_f32(&values);
        assert_eq!((grads.len(), grads.scale()), (len, 1.0));
        let rounded: Vec<H> = values.iter().map(|&g| H::of(g)).collect();
        assert!(bits(&read(grads)) == bits(&read(Grads::new(&rounded))), "{len}");
        let doubled: Vec<H> = values.iter().map(|&g| H::of(2.0 * g)).collect();
        assert!(bits(&read(grads.scaled(2.0))) == bits(&read(Grads::new(&doubled))), "{len}");
    }
    let values = [H::max_value().widened(), f32::INFINITY];
    assert_eq!(H::grads_from_f32(&values[..1]).check_finite(), Ok(()));
    says(H::grads_from_f32(&values).check_finite(), "grads[1] is inf, expected a finite number");
    says(H::grads_from_f32(&values[..1]).scaled(1.01).check_finite(), "grads[0] is inf, expected a finite number");
    assert_eq!(H::grads_from_f32(&values[..1]).scaled(1.01).scaled(0.5).check_finite(), Ok(()));
    says(H::grads_from_f32(&values).check_len("m", 3), "grads has length 2, expected 3, the length of m");
}

#[cfg(feature = "half")]
in_types!(f32_gradients_of_half_parameters: f16 bf16);

/// Any type that is a float, whether or not it can be copied as one.
#[test]
fn gradients_are_copied_and_not_their_values() {
    let values = vec![number::<f64>(1.0)];
    let grads = Grads::new(&values);
    let (a, b) = (grads, grads);
    assert!(std::ptr::eq(a.as_slice().unwrap(), b.as_slice().unwrap()));
}
