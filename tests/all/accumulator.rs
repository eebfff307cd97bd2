//! Accumulation over microbatches.

use gradstep::Accumulator;
use half::{bf16, f16};
use proptest::prelude::*;

use crate::common::{FEW_LENS, Scalar, config, in_types, number, same, says, tiny};

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
fn what_is_rejected_changes_nothing() {
    let (mut accumulator, mut grads) = (Accumulator::new(2).unwrap(), [7.0_f32, 7.0]);
    says(accumulator.mean(&mut grads), "number of samples is 0, expected at least 1");
    accumulator.add(&[1.0, 2.0], 3).unwrap();
    let before = accumulator.clone();
    says(accumulator.add(&[1.0, 2.0], 0), "samples is 0, expected at least 1");
    says(accumulator.add(&[1.0; 3], 1), "mean has length 3, expected 2, the length of accumulator");
    says(accumulator.mean(&mut grads[..1]), "grads has length 1, expected 2, the length of accumulator");
    assert_eq!((accumulator, grads), (before, [7.0, 7.0]));
    let message = format!("accumulator of length {} does not fit in memory", usize::MAX);
    says(Accumulator::new(usize::MAX), &message);
}

/// Too many samples are an error, and the count does not overflow.
#[test]
#[cfg(target_pointer_width = "64")]
fn too_many_samples_are_an_error() {
    let mut accumulator = Accumulator::new(1).unwrap();
    accumulator.add(&[1.0_f64], usize::MAX).unwrap();
    let before = accumulator.clone();
    says(accumulator.add(&[1.0], 1), "samples is 1, expected at most u64::MAX - samples so far = 0");
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

/// A sum that is not finite is rejected, and the error names the micro-batch: of three with 2, 3 and 4 samples the second is
/// bad, and the third too, at an earlier place.
#[test]
fn a_mean_that_is_not_finite_names_the_micro_batch() {
    for len in FEW_LENS.into_iter().filter(|&len| len > 1) {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308] {
            let bad = |index: usize, value| {
                let mut mean = vec![0.5; len];
                mean[index] = value;
                mean
            };
            let mut accumulator = Accumulator::new(len).unwrap();
            accumulator.add(&bad(0, 1.0), 2).unwrap();
            accumulator.add(&bad(len - 1, value), 3).unwrap(); // 3 · 1e308 is beyond f64
            let mut grads = vec![7.0; len];
            let (index, sum) = (len - 1, 3.0 * value);
            let message = format!("micro-batch after 2 samples: sum[{index}] is {sum:?}, expected a finite number");
            says(accumulator.mean(&mut grads), &message);
            accumulator.add(&bad(0, f64::NAN), 4).unwrap();
            says(accumulator.mean(&mut grads), &message); // the first of two
            assert_eq!(grads, vec![7.0; len]);
            assert_eq!(accumulator.samples(), 9);
            let mut loaded = accumulator.clone().with_sum(&vec![2.0; len], 1).unwrap();
            loaded.mean(&mut grads).unwrap();
            assert_eq!(grads, vec![2.0; len]);
            loaded.add(&vec![f64::NAN; len], 1).unwrap(); // all of them, so that equal bits meet
            says(loaded.mean(&mut grads), "micro-batch after 1 samples: sum[0] is NaN, expected a finite number");
            accumulator.reset();
            assert_eq!(accumulator, Accumulator::new(len).unwrap());
            accumulator.add(&bad(0, 1.0), 2).unwrap();
            accumulator.mean(&mut grads).unwrap();
            assert_eq!(grads, bad(0, 1.0));
        }
    }
}

/// Between 1 and the next number or the one after it: by way of f32 these would be ties, and go to the even one.
#[test]
fn half_precision_is_rounded_once() {
    fn rounded<H: Scalar>(mean: f64) -> Vec<H> {
        let (mut accumulator, mut grads) = (Accumulator::new(2).unwrap(), [H::zero(); 2]);
        accumulator.add(&[mean, -mean], 1).unwrap();
        accumulator.mean(&mut grads).unwrap();
        grads.to_vec()
    }
    let [half, above, odd] = [-11, -40, -23].map(|power| 2.0_f64.powi(power));
    let next = [f16::ONE + f16::EPSILON, -f16::ONE - f16::EPSILON];
    assert_eq!(rounded::<f16>(1.0 + half + above), next);
    assert_eq!(rounded::<f16>(1.0 + half + odd + odd / 4.0), next); // in f32 an odd last bit
    // 1 + 2^-7, not the even 1 + 2^-6
    let below_the_tie = 1.0 + 3.0 * 2.0_f64.powi(-8) - above;
    assert_eq!(rounded::<bf16>(below_the_tie), [bf16::ONE + bf16::EPSILON, -bf16::ONE - bf16::EPSILON]);
}

proptest! {
    #![proptest_config(config(200))]

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

/// The mean of tiny and 2 tiny is 1.5, to even: 2; of -0 and -0 it is +0, since the sum begins there.
fn means_at_the_edges<F: Scalar>() {
    let (zero, tiny) = (F::zero(), tiny::<F>());
    let [two, three] = [2.0, 3.0].map(|n| tiny * number(n));
    for len in FEW_LENS {
        let mut accumulator = Accumulator::new(2 * len).unwrap();
        accumulator.add(&[tiny, -zero].repeat(len), 1).unwrap();
        accumulator.add(&[two, -zero].repeat(len), 1).unwrap();
        let mut mean = vec![F::nan(); 2 * len];
        accumulator.mean(&mut mean).unwrap();
        assert!(mean.chunks(2).all(|pair| same(pair[0], two) && same(pair[1], zero)), "{len}");
    }
    let mut accumulator = Accumulator::new(1).unwrap();
    accumulator.add(&[three], usize::MAX).unwrap();
    let mut mean = [F::nan()];
    accumulator.mean(&mut mean).unwrap();
    assert_eq!(mean, [three]);
}
in_types!(means_at_the_edges: f32 f64 f16 bf16);

#[test]
fn no_gradients() {
    let mut accumulator = Accumulator::new(0).unwrap();
    assert!(accumulator.mean::<f32>(&mut []).is_err());
    accumulator.add::<f32>(&[], 1).unwrap();
    assert_eq!(accumulator.mean::<f32>(&mut []), Ok(()));
}

/// 70,000 is beyond f16, whose largest number is 65,504, and 1e300 beyond f32; 65,519 rounds to 65,504, and 65,520 does not.
#[test]
fn a_mean_beyond_the_gradients_type_is_an_error() {
    let mut accumulator = Accumulator::new(2).unwrap();
    accumulator.add(&[1.0, -70_000.0], 2).unwrap();
    let mut halves = [f16::ONE; 2];
    says(accumulator.mean(&mut halves), "mean[1] is -70000.0, expected at most 65504.0 in absolute value");
    assert_eq!(halves, [f16::ONE; 2]);
    let (mut brains, mut singles) = ([bf16::ONE; 2], [1.0_f32; 2]);
    accumulator.mean(&mut brains).unwrap();
    accumulator.mean(&mut singles).unwrap();
    assert_eq!((brains[1], singles[1]), (bf16::from_f32(-70_000.0), -70_000.0));

    let mut accumulator = Accumulator::new(1).unwrap();
    accumulator.add(&[1e300], 1).unwrap();
    assert!(accumulator.mean(&mut singles[..1]).is_err() && accumulator.mean(&mut [0.0_f64]).is_ok());
    for (mean, fits) in [(65_519.0, true), (65_520.0, false)] {
        let mut accumulator = Accumulator::new(1).unwrap();
        accumulator.add(&[mean], 1).unwrap();
        assert_eq!(accumulator.mean(&mut halves[..1]).is_ok(), fits, "{mean}");
    }
}

#[test]
fn sums_from_elsewhere_go_on() {
    let mut whole = Accumulator::new(2).unwrap();
    whole.add(&[3.0_f32, -1.0], 2).unwrap();
    let mut loaded = Accumulator::new(2).unwrap().with_sum(whole.sum(), whole.samples()).unwrap();
    assert_eq!((loaded.sum(), &loaded), (&[6.0, -2.0][..], &whole));
    for accumulator in [&mut whole, &mut loaded] {
        accumulator.add(&[0.0_f32, 2.0], 2).unwrap();
    }
    assert_eq!(loaded, whole);

    for (sum, samples, message) in [
        (&[1.0][..], 1, "sum has length 1, expected 2, the length of accumulator"),
        (&[1.0, f64::NAN], 1, "sum[1] is NaN, expected a finite number"),
        (&[0.0, 1.0], 0, "samples is 0, expected at least 1"),
    ] {
        says(Accumulator::new(2).unwrap().with_sum(sum, samples), message);
    }
    assert!(Accumulator::new(1).unwrap().with_sum(&[0.0], 0).is_ok());
}
