//! `WeightAverage`: by hand, in closed form, beside PyTorch; what is swapped, rejected and restored.

use approx::{assert_abs_diff_eq, assert_relative_eq};
use gradstep::{Error, Momentum, Optimizer, Restore, WeightAverage};
use half::{bf16, f16};
use proptest::prelude::*;

use crate::common::{FEW_LENS, LENS, Scalar, bits, config, golden, in_types, number, numbers, same, says, tiny};

/// The average of one parameter after each update.
fn averages<P: Scalar>(mut average: WeightAverage<P>, params: &[f64]) -> Vec<f64> {
    let update = |&param: &f64| {
        average.update(&[number(param)]).unwrap();
        average.values().unwrap()[0].to_f64().unwrap()
    };
    params.iter().map(update).collect()
}

fn by_hand<P: Scalar>() {
    let params = [8.0, 4.0, 3.0, 9.0, 1.0];
    // 8, 12/2, 15/3, 24/4, 25/5
    assert_eq!(averages(WeightAverage::<P>::mean(1).unwrap(), &params), [8.0, 6.0, 5.0, 6.0, 5.0]);
    // 8; 8 - 4/4 = 7; 7 - 4/4 = 6; 6 + 3/4 = 6.75; 6.75 - 5.75/4 = 5.3125
    let ema = WeightAverage::<P>::ema(0.75, 1).unwrap();
    assert_eq!(averages(ema.clone(), &params), [8.0, 7.0, 6.0, 6.75, 5.3125]);
    // It is the mean up to the fourth update. From then on an update weighs 1/4: 6 - 5/4
    assert_eq!(averages(ema.with_warmup(), &params), [8.0, 6.0, 5.0, 6.0, 4.75]);
    // With decay 0 it is the last value, also where -1 + (1e-20 + 1) would not be.
    let last = averages(WeightAverage::<P>::ema(0.0, 1).unwrap(), &[-1.0, 1e-20])[1];
    assert_eq!(number::<P>(last), number(1e-20));
}
in_types!(by_hand: f32 f64);

/// Columns: parameters, then the averages; rows: updates. `torch_average.py` made them.
#[test]
fn averages_of_pytorch() {
    let rows = golden::table(include_str!("../data/average.csv"), 60);
    let rows: Vec<Vec<f64>> = rows.map(|row| row.iter().map(|cell| cell.parse().unwrap()).collect()).collect();
    let ema = || WeightAverage::ema(0.9, 5).unwrap();
    for (column, mut average) in (1..).zip([WeightAverage::mean(5).unwrap(), ema(), ema().with_warmup()]) {
        for row in &rows {
            average.update(&row[..5]).unwrap();
            assert_abs_diff_eq!(average.values().unwrap(), &row[5 * column..][..5], epsilon = 1e-12);
        }
    }
}

/// The formula in a plain loop, with w as it is in the n-th update. Numbers of all sizes: there are products that would be
/// subnormal.
fn any_length_is_the_plain_loop<P: Scalar>() {
    for len in LENS {
        let ema = |decay| WeightAverage::<P>::ema(decay, len).unwrap();
        let averages = [WeightAverage::mean(len).unwrap(), ema(0.75), ema(0.9999).with_warmup()];
        for (kind, mut average) in averages.into_iter().enumerate() {
            let mut expected = vec![P::zero(); len];
            for n in 1..=4_u64 {
                let params = numbers::<P>(len, 7 * n);
                let weight = if n == 1 { 1.0 } else { [1.0 / n as f64, 0.25, 1.0 / n as f64][kind] };
                let weight: P = number(weight);
                for (average, &param) in expected.iter_mut().zip(&params) {
                    let difference = param - *average;
                    if n == 1 {
                        *average = param;
                    } else {
                        let counts = difference.abs() >= P::min_positive_value() / weight;
                        *average = *average + weight * if counts { difference } else { P::zero() };
                    }
                }
                average.update(&params).unwrap();
                assert!(bits(average.values().unwrap()) == bits(&expected), "{kind}, {len}, {n}");
            }
        }
    }
}
in_types!(any_length_is_the_plain_loop: f32 f64);

/// It decays until a change would be subnormal, and stays there.
fn the_average_of_what_has_become_0_is_never_subnormal<P: Scalar>() {
    for decay in [0.5, 0.99] {
        let mut average = WeightAverage::<P>::ema(decay, 2).unwrap();
        average.update(&[P::one(), -P::one()]).unwrap();
        for _ in 0..80_000 {
            average.update(&[P::zero(); 2]).unwrap();
        }
        let [value, negative] = average.values().unwrap() else { panic!("two") };
        let least = P::min_positive_value() / number(1.0 - decay);
        assert!(P::min_positive_value() <= *value && *value < least && same(*negative, -*value), "{value:?}");
    }
}
in_types!(the_average_of_what_has_become_0_is_never_subnormal: f32 f64);

/// All differences are 0 then. (Of -0 it is +0.)
#[test]
fn the_average_of_equal_parameters_is_these_parameters() {
    let params: Vec<f32> = numbers(1000, 1).into_iter().map(|param: f32| param + 0.0).collect();
    for mut average in [WeightAverage::mean(1000).unwrap(), WeightAverage::ema(0.9, 1000).unwrap()] {
        for _ in 0..100 {
            average.update(&params).unwrap();
        }
        assert!(bits(average.values().unwrap()) == bits(&params));
    }
}

/// Half of the largest number is valid, with both signs: the difference is the largest.
fn averages_of_the_largest_numbers_are_finite<P: Scalar>() {
    let half = P::max_value() / number(2.0);
    let ema = |decay| WeightAverage::ema(decay, 2).unwrap();
    for mut average in [WeightAverage::mean(2).unwrap(), ema(0.0), ema(0.9)] {
        for sign in [1.0, -1.0, -1.0, 1.0] {
            average.update(&[half * number(sign), -half * number(sign)]).unwrap();
            assert!(average.values().unwrap().iter().all(|value| value.abs() <= half));
        }
    }
}
in_types!(averages_of_the_largest_numbers_are_finite: f32 f64);

proptest! {
    #![proptest_config(config(200))]

    /// The mean in f64 is the sum over n, but for rounding; the average is between the least and the largest.
    #[test]
    fn means(params in prop::collection::vec(-1e3..1e3_f64, 1..50), decay in 0.0..1.0_f64) {
        let (least, largest) = params.iter().fold((f64::MAX, f64::MIN), |(least, largest), &p| (p.min(least), p.max(largest)));
        for (n, mean) in (1..).zip(averages(WeightAverage::<f64>::mean(1).unwrap(), &params)) {
            prop_assert!((mean - params[..n].iter().sum::<f64>() / n as f64).abs() < 1e-11);
        }
        for average in [WeightAverage::<f64>::ema(decay, 1).unwrap(), WeightAverage::ema(decay, 1).unwrap().with_warmup()] {
            let values = averages(average, &params);
            prop_assert!(values.iter().all(|value| (least - 1e-11..largest + 1e-11).contains(value)));
        }
    }
}

// Into the parameters -------------------------------------------------------------------------------------------------

/// For parameters of any bits, NaN included.
#[test]
fn swapped_twice_is_to_the_bit() {
    for len in LENS {
        let mut average = WeightAverage::<f32>::ema(0.5, len).unwrap();
        average.update(&numbers(len, 1)).unwrap();
        let values = average.values().unwrap().to_vec();
        let mut params = numbers::<f32>(len, 2);
        if let Some(last) = params.last_mut() {
            *last = f32::from_bits(0x7FC0_1234);
        }
        let before: Vec<u32> = params.iter().map(|param| param.to_bits()).collect();
        average.swap(&mut params).unwrap();
        assert!((bits(&params), average.is_swapped()) == (bits(&values), true), "{len}");
        average.swap(&mut params).unwrap();
        assert!(params.iter().map(|param| param.to_bits()).eq(before), "{len}");
        assert!((bits(average.values().unwrap()), average.is_swapped()) == (bits(&values), false), "{len}");
    }
}

#[test]
fn a_swap_that_was_not_taken_back_is_noticed() {
    let (mut average, mut params) = (WeightAverage::mean(1).unwrap(), [3.0_f32]);
    average.update(&[1.0]).unwrap();
    average.swap(&mut params).unwrap();
    let before = average.clone();
    let message = "the average is in the parameters' place, expected it to be swapped back first";
    says(average.update(&[1.0]), message);
    says(average.values(), message);
    says(average.write_params(&mut params), message);
    assert_eq!((&average, params), (&before, [1.0]));
    average.swap(&mut params).unwrap();
    average.update(&params).unwrap();
    assert_eq!((average.values().unwrap(), average.updates()), (&[2.0][..], 2));
}

/// Rounded once, also on the way from f64 by f32.
#[test]
fn written_to_any_float() {
    for len in FEW_LENS {
        let mut average = WeightAverage::<f64>::mean(len).unwrap();
        let above_the_tie = 1.0 + 2.0_f64.powi(-11) + 2.0_f64.powi(-40);
        average.update(&vec![above_the_tie; len]).unwrap();
        fn is_written<P: Scalar>(average: &WeightAverage<f64>, len: usize, expected: P) {
            let mut params = vec![P::zero(); len];
            average.write_params(&mut params).unwrap();
            assert!(params.iter().all(|&value| value == expected), "{expected:?}, {len}");
        }
        is_written(&average, len, above_the_tie);
        is_written(&average, len, above_the_tie as f32);
        is_written(&average, len, f16::ONE + f16::EPSILON);
        is_written(&average, len, bf16::ONE);
    }
}

/// The average of the copy moves where that of the halves would not: from 1 by 1/1024, a hundredth of the way each time.
#[test]
#[cfg(feature = "half")]
fn half_parameters_are_averaged_by_their_copy() {
    use gradstep::{MasterCopy, Sgd};
    let mut params = [bf16::ONE; 3];
    let mut sgd = MasterCopy::new(Sgd::new(1.0 / 1024.0).unwrap(), &params).unwrap();
    let (mut average, mut plain) = (WeightAverage::ema(0.99, 3).unwrap(), WeightAverage::<f32>::ema(0.99, 3).unwrap());
    for _ in 0..300 {
        sgd.step(&mut params, &[bf16::ONE; 3]).unwrap();
        average.update(sgd.master()).unwrap();
        plain.update(sgd.master()).unwrap();
    }
    let trained = params;
    average.write_params(&mut params).unwrap();
    // θ = 1 - k/1024; about a hundred steps behind.
    let value = average.values().unwrap()[0];
    assert!((value - (1.0 - 206.0 / 1024.0)).abs() < 6.0 / 1024.0, "{value}");
    assert_eq!(params, [bf16::from_f32(value); 3]);
    sgd.write_params(&mut params).unwrap();
    assert_eq!((params, average), (trained, plain));
}

// Rejected ------------------------------------------------------------------------------------------------------------

#[test]
fn settings_that_are_rejected() {
    for decay in [1.0, -0.1, f64::NAN, f64::INFINITY] {
        let message = format!("decay is {decay:?}, expected a number of at least 0 and below 1");
        says(WeightAverage::<f32>::ema(decay, 1), &message);
    }
    let message = format!("average of length {} does not fit in memory", usize::MAX);
    says(WeightAverage::<f32>::mean(usize::MAX), &message);
    says(WeightAverage::<f64>::ema(0.5, usize::MAX), &message);
}

#[test]
fn before_the_first_update_there_is_no_average() {
    let (mut average, mut params) = (WeightAverage::mean(1).unwrap(), [3.0_f32]);
    let message = "number of updates is 0, expected at least 1";
    says(average.values(), message);
    says(average.swap(&mut params), message);
    says(average.write_params(&mut params), message);
    assert_eq!((average, params), (WeightAverage::mean(1).unwrap(), [3.0]));
}

#[test]
fn another_length_is_rejected() {
    let mut average = WeightAverage::ema(0.5, 2).unwrap();
    average.update(&[1.0_f32, 2.0]).unwrap();
    let before = average.clone();
    let mut params = [7.0_f32; 3];
    let message = "params has length 3, expected 2, the length of average";
    says(average.update(&params), message);
    says(average.swap(&mut params), message);
    says(average.write_params(&mut params), message);
    assert_eq!((average, params), (before, [7.0; 3]));
}

/// At any index: behind the last whole vector, and in the part of another thread.
fn parameters_that_are_not_finite_change_nothing<P: Scalar>() {
    let half: P = P::max_value() / number(2.0);
    let above = half * (P::one() + P::epsilon());
    for len in FEW_LENS {
        let mut average = WeightAverage::<P>::mean(len).unwrap();
        average.update(&vec![P::one(); len]).unwrap();
        let before = average.clone();
        for index in [0, len / 2, len - 1] {
            for bad in [P::nan(), P::infinity(), P::neg_infinity(), above, -above] {
                let mut params = vec![number(2.0); len];
                params[index] = bad;
                if let Some(later) = params.get_mut(index + 1) {
                    *later = P::nan(); // the first is named
                }
                let max = format!("at most {:?} in absolute value", half.to_f64().unwrap());
                let expected = if bad.is_finite() { &max } else { "a finite number" };
                let message = format!("params[{index}] is {:?}, expected {expected}", bad.to_f64().unwrap());
                says(average.update(&params), &message);
                assert!(average == before);
            }
        }
    }
}
in_types!(parameters_that_are_not_finite_change_nothing: f32 f64);

/// The first update copies them; the next changes nothing, since w times the difference would be subnormal.
#[test]
fn subnormal_parameters() {
    let mut average = WeightAverage::<f32>::mean(2).unwrap();
    average.update(&[tiny::<f32>(), -0.0]).unwrap();
    assert_eq!(average.values().unwrap().iter().map(|value| value.to_bits()).collect::<Vec<_>>(), [1, 1 << 31]);
    average.update(&[0.0, f32::MIN_POSITIVE]).unwrap(); // half of the way is subnormal
    assert_eq!(average.values().unwrap().iter().map(|value| value.to_bits()).collect::<Vec<_>>(), [1, 0]); // -0 + 0
}

// Restored ------------------------------------------------------------------------------------------------------------

#[test]
fn restored_it_goes_on_and_keeps_its_settings() {
    let mut params = [1.0_f64, 2.0];
    let mut momentum = Momentum::new(0.1, 0.9, 2).unwrap();
    let mut whole = WeightAverage::ema(0.75, 2).unwrap().with_warmup();
    let mut run = |average: &mut WeightAverage<f64>, params: &mut [f64; 2], steps| {
        for _ in 0..steps {
            let grads = *params;
            momentum.step(params, &grads).unwrap();
            average.update(params).unwrap();
        }
    };
    run(&mut whole, &mut params, 3);
    let mut restored = WeightAverage::ema(0.75, 2).unwrap().with_warmup();
    restored.restore(whole.clone()).unwrap();
    assert_eq!(restored, whole);
    let mut mean = WeightAverage::mean(2).unwrap();
    mean.restore(whole.clone()).unwrap();
    whole.update(&[0.0; 2]).unwrap();
    restored.update(&[0.0; 2]).unwrap();
    assert_eq!(restored, whole);
    // Five updates: 1/4 here, and 1/5 for the mean.
    let before = mean.clone();
    mean.update(&[0.0; 2]).unwrap();
    mean.update(&[0.0; 2]).unwrap();
    assert_relative_eq!(mean.values().unwrap()[0], before.values().unwrap()[0] * 0.75 * 0.8, max_relative = 1e-15);

    says(restored.restore(WeightAverage::mean(3).unwrap()), "saved length of the average is 3, expected 2");
    assert_eq!(restored, whole);
    // The swap is state.
    whole.swap(&mut params).unwrap();
    restored.restore(whole).unwrap();
    assert!(restored.is_swapped() && matches!(restored.values(), Err(Error::Swapped)));
}

#[test]
fn an_average_from_elsewhere_goes_on() {
    let mut whole = WeightAverage::ema(0.5, 2).unwrap();
    whole.update(&[1.0_f64, 3.0]).unwrap();
    let mut loaded = WeightAverage::ema(0.5, 2).unwrap().with_values(whole.values().unwrap(), whole.updates()).unwrap();
    for average in [&mut whole, &mut loaded] {
        average.update(&[2.0, -1.0]).unwrap();
    }
    assert_eq!((loaded.values().unwrap(), &loaded), (&[1.5, 1.0][..], &whole));

    for (values, updates, message) in [
        (&[1.0, 2.0][..], 0, "number of updates is 0, expected at least 1"),
        (&[1.0], 1, "params has length 1, expected 2, the length of average"),
        (&[f64::NAN, 2.0], 1, "params[0] is NaN, expected a finite number"),
    ] {
        says(WeightAverage::ema(0.5, 2).unwrap().with_values(values, updates), message);
    }
}
