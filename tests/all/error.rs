//! What errors say, and which of them blame the gradients.

use std::ops::Bound::{Excluded, Included};

use gradstep::{
    Accumulator, Error, FiniteGuard, Momentum, Optimizer, ParamGroups, Relation, Sgd, WeightAverage, check_finite,
    clip_global_norm, clip_value, global_norm,
};

/// Each variant, and each form of a range and of a relation.
#[test]
fn messages() {
    let number = |value, range| Error::Number { name: "x", value, range };
    let count = |relation, bound, of| Error::Count { name: "n", value: 3, relation, bound, of };
    let name = || "w".to_string();
    let finite = f64::INFINITY;
    let cases = [
        (number(-0.5, (Included(0.0), Excluded(finite))), "x is -0.5, expected a finite number of at least 0"),
        (number(f64::NAN, (Excluded(0.0), Excluded(finite))), "x is NaN, expected a finite number above 0"),
        (number(finite, (Excluded(-finite), Excluded(finite))), "x is inf, expected a finite number"),
        (number(1.0, (Included(0.0), Excluded(1.0))), "x is 1.0, expected a number of at least 0 and below 1"),
        (
            number(1e300, (Included(0.5), Included(1.5))),
            "x is 1e300, expected a number of at least 0.5 and at most 1.5",
        ),
        (Error::NotAPowerOfTwo { name: "x", value: 3.0 }, "x is 3.0, expected a power of two"),
        (count(Relation::AtLeast, 4, ""), "n is 3, expected at least 4"),
        (count(Relation::AtMost, 2, "len"), "n is 3, expected at most len = 2"),
        (count(Relation::Above, 3, ""), "n is 3, expected above 3"),
        (count(Relation::Below, 3, "ranks"), "n is 3, expected below ranks = 3"),
        (count(Relation::MultipleOf, 2, ""), "n is 3, expected a multiple of 2"),
        (Error::TooFewSamples { len: 1, min: 2 }, "len is 1, expected at least 2: use a Shuffle for fewer samples"),
        (Error::TooManySamples { len: 3, max: 2 }, "len is 3, expected at most 2: use a Permutation for more samples"),
        (
            Error::SmallClass { class: "7".into(), samples: 1, part: 2, min: 10 },
            "class 7 has 1 samples, expected at least 10 so that part 2 gets one: give rare labels one common label first",
        ),
        (
            Error::EmptyPart { part: 2, samples: 9, share: 0.1 },
            "part 2 has none of 9 samples, expected at least one: its share is 0.1",
        ),
        (
            Error::Length { name: "grads", len: 1, expected: 2, of: "params" },
            "grads has length 1, expected 2, the length of params",
        ),
        (Error::Memory { name: "velocity", len: 9 }, "velocity of length 9 does not fit in memory"),
        (Error::Saved { name: "seed", saved: "1".into(), expected: "2".into() }, "saved seed is 1, expected 2"),
        (
            Error::NonFinite { name: "grads".into(), index: 3, value: -finite },
            "grads[3] is -inf, expected a finite number",
        ),
        (
            Error::Overflow { name: "mean[3]".into(), value: -70_000.0, max: 65_504.0 },
            "mean[3] is -70000.0, expected at most 65504.0 in absolute value",
        ),
        (
            Error::Rounded { name: "momentum", value: 0.999, rounded: 1.0, range: (Included(0.0), Excluded(1.0)) },
            "momentum is 0.999, which the type of the parameters rounds to 1.0, expected a number of at least 0 and below 1",
        ),
        (
            Error::NotASlice,
            "this optimizer takes gradients as a plain slice, expected no scale, clipping or widening on the way",
        ),
        (Error::UnknownTensor { name: name() }, "tensor `w` is unknown"),
        (Error::MissingTensor { name: name() }, "tensor `w` is missing"),
        (Error::DuplicateTensor { name: name() }, "tensor `w` appears twice"),
        (
            Error::InTensor { name: name(), error: Box::new(Error::UnknownTensor { name: "v".into() }) },
            "tensor `w`: tensor `v` is unknown",
        ),
    ];
    for (error, message) in cases {
        assert_eq!((error.to_string(), format!("{error:?}")), (message.to_string(), message.to_string()));
    }
}

/// What `main` of the README prints, behind "Error: ".
#[test]
fn debug_is_the_sentence_wherever_it_stands() {
    let failed: Result<(), Error> = Err(Sgd::<f32>::new(-1.0).unwrap_err());
    assert_eq!(format!("{failed:?}"), "Err(learning_rate is -1.0, expected a finite number of at least 0)");
}

#[test]
fn bad_gradients_are_told_from_all_else_in_every_nesting() {
    let mut sums = Accumulator::new(1).unwrap();
    sums.add(&[f64::MAX], 1).unwrap();
    let mean_beyond_f32 = sums.mean(&mut [0.0_f32]).unwrap_err();
    sums.add(&[f64::MAX], 1).unwrap();
    let infinite_sum = sums.mean(&mut [0.0_f64]).unwrap_err();

    let guarded = |len| FiniteGuard(Momentum::new(0.1_f64, 0.9, len).unwrap());
    let mut model = ParamGroups::new();
    model.insert("w", guarded(2)).unwrap();
    let mut in_model = |grads: &[f64]| model.step(&mut [("w", &mut [0.0; 2], grads)]).unwrap_err();
    let bad = [
        guarded(1).step(&mut [0.0], &[f64::NAN]).unwrap_err(),
        in_model(&[0.0, f64::INFINITY]),
        check_finite(&[[f64::NAN]]).unwrap_err(),
        clip_value(&mut [[f64::NAN]], 1.0).unwrap_err(),
        global_norm(&[[f64::NEG_INFINITY]]).unwrap_err(),
        global_norm(&[[f64::MAX; 4]]).unwrap_err(),
        clip_global_norm(&mut [[f64::MAX; 4]], 1.0).unwrap_err(),
        clip_global_norm(&mut [[f64::MAX]], 1e-300).unwrap_err(),
        mean_beyond_f32,
        infinite_sum,
    ];
    for error in bad {
        assert!(error.is_bad_gradient(), "{error}");
        let nested = Error::InTensor { name: "outer".into(), error: Box::new(error) };
        assert!(nested.is_bad_gradient(), "{nested}");
    }
    let other = [
        in_model(&[f64::NAN]), // a length, before the values
        guarded(1).step(&mut [0.0], &[]).unwrap_err(),
        clip_global_norm(&mut [[1.0]], f64::INFINITY).unwrap_err(),
        Accumulator::new(1).unwrap().mean(&mut [0.0_f32]).unwrap_err(),
        Sgd::<f32>::new(f64::NAN).unwrap_err(),
        WeightAverage::mean(1).unwrap().update(&[f64::NAN]).unwrap_err(),
        WeightAverage::mean(1).unwrap().update(&[f64::MAX]).unwrap_err(),
    ];
    for error in other {
        assert!(!error.is_bad_gradient(), "{error}");
        assert!(!Error::InTensor { name: "outer".into(), error: Box::new(error) }.is_bad_gradient());
    }
}

/// Also where the rule stands inside a master copy.
#[cfg(feature = "half")]
#[test]
fn bad_gradients_of_halves() {
    use half::bf16;
    let (mut params, infinite) = ([bf16::ONE], [bf16::INFINITY]);
    let inner = || FiniteGuard(Sgd::new(0.1).unwrap());
    let mut model = ParamGroups::new();
    model.insert("w", gradstep::MasterCopy::new(inner(), &params).unwrap()).unwrap();
    let error = model.step(&mut [("w", &mut params, &infinite)]).unwrap_err();
    assert!(error.is_bad_gradient(), "{error}");
    let mut alone = FiniteGuard(gradstep::MasterCopy::new(inner(), &params).unwrap());
    assert!(alone.step(&mut params, &infinite).unwrap_err().is_bad_gradient());
}
