//! `NoiseScale` where |G|² and tr Σ are known: from exact expectations, and from every batch that there is.

use approx::assert_relative_eq;
use gradstep::{Error, NoiseScale};
use proptest::prelude::*;

use crate::common::{config, says};

/// |G|² and tr Σ from one pair of norms.
fn estimate(small: (usize, f64), big: (usize, f64)) -> Result<(f64, f64), Error> {
    let mut noise = NoiseScale::new();
    noise.add(small, big)?;
    Ok((noise.squared_norm().unwrap(), noise.covariance_trace().unwrap()))
}

fn squared_norm_of_mean(set: &[[f64; 2]], batch: &[usize]) -> f64 {
    let mut mean = [0.0; 2];
    for &sample in batch {
        for (mean, g) in mean.iter_mut().zip(set[sample]) {
            *mean += g / batch.len() as f64;
        }
    }
    mean[0] * mean[0] + mean[1] * mean[1]
}

/// All ordered draws of `batch_size` samples out of `len`, with replacement.
fn draws(len: usize, batch_size: usize) -> Vec<Vec<usize>> {
    (0..len.pow(batch_size as u32))
        .map(|number| (0..batch_size).map(|place| number / len.pow(place as u32) % len).collect())
        .collect()
}

/// |G|² of the set, and Σ (g - G)², the sum of squares that tr Σ divides.
fn truth(set: &[[f64; 2]]) -> (f64, f64) {
    let all: Vec<usize> = (0..set.len()).collect();
    let squared_norm = squared_norm_of_mean(set, &all);
    let squares: f64 = set.iter().flatten().map(|g| g * g).sum();
    (squared_norm, squares - set.len() as f64 * squared_norm)
}

/// The mean of the estimates over every pair of a small and a big batch.
fn mean_estimate(set: &[[f64; 2]], small: &[Vec<usize>], big: &[Vec<usize>]) -> (f64, f64) {
    let (mut squared_norm, mut covariance_trace) = (0.0, 0.0);
    for small in small {
        for big in big {
            let at = |batch: &[usize]| (batch.len(), squared_norm_of_mean(set, batch));
            let (g, s) = estimate(at(small), at(big)).unwrap();
            squared_norm += g;
            covariance_trace += s;
        }
    }
    let pairs = (small.len() * big.len()) as f64;
    (squared_norm / pairs, covariance_trace / pairs)
}

/// Four samples, mean (2, 1): |G|² = 5 and Σ (g - G)² = 4 + 64 + 36 + 72 = 176, worked out by hand.
const SET: [[f64; 2]; 4] = [[2.0, 3.0], [2.0, -7.0], [8.0, 1.0], [-4.0, 7.0]];

#[test]
fn truth_worked_out_by_hand() {
    assert_eq!(truth(&SET), (5.0, 176.0));
}

/// Every number on the way is a multiple of 2^-6, so the means are exact: no tolerance.
#[test]
fn over_every_draw_with_replacement_it_is_exact() {
    for (small, big) in [(1, 2), (2, 4)] {
        assert_eq!(mean_estimate(&SET, &draws(4, small), &draws(4, big)), (5.0, 44.0));
    }
    for (small, big) in [(1, 3), (1, 4), (2, 3), (3, 4)] {
        let (squared_norm, covariance_trace) = mean_estimate(&SET, &draws(4, small), &draws(4, big));
        assert_relative_eq!(squared_norm, 5.0, max_relative = 1e-12);
        assert_relative_eq!(covariance_trace, 44.0, max_relative = 1e-12);
    }
}

/// The big batch, and a small one that is a part of it: dependent, and unbiased all the same.
#[test]
fn over_every_draw_of_a_batch_and_its_part_it_is_exact() {
    let (mut squared_norm, mut covariance_trace) = (0.0, 0.0);
    for big in draws(4, 4) {
        let at = |batch: &[usize]| (batch.len(), squared_norm_of_mean(&SET, batch));
        let (g, s) = estimate(at(&big[..2]), at(&big)).unwrap();
        squared_norm += g / 256.0;
        covariance_trace += s / 256.0;
    }
    assert_eq!((squared_norm, covariance_trace), (5.0, 44.0));
}

/// tr Σ with divisor N - 1, and |G|² less tr Σ / N, for all sizes up to the whole set.
#[test]
fn over_every_draw_without_replacement_it_is_what_the_page_says() {
    let set = [SET[0], SET[1], SET[2], SET[3], [12.0, -9.0]];
    let (whole_squared_norm, squares) = truth(&set);
    let distinct = |batch_size| {
        let mut batches = draws(5, batch_size);
        batches.retain(|batch| (1..batch.len()).all(|i| !batch[..i].contains(&batch[i])));
        batches
    };
    for (small, big) in [(1, 2), (1, 3), (2, 3), (1, 5), (2, 5), (4, 5)] {
        let (squared_norm, covariance_trace) = mean_estimate(&set, &distinct(small), &distinct(big));
        assert_relative_eq!(covariance_trace, squares / 4.0, max_relative = 1e-12);
        assert_relative_eq!(squared_norm, whole_squared_norm - squares / 4.0 / 5.0, max_relative = 1e-12);
    }
}

proptest! {
    #![proptest_config(config(256))]

    /// The two expectations |G|² + tr Σ / B are taken apart again.
    #[test]
    fn expectations_give_the_truth(
        squared_norm in 0.01_f64..100.0,
        trace in 0.01_f64..100.0,
        small in 1_usize..1_000,
        more in 1_usize..10_000,
    ) {
        let big = small + more;
        let at = |batch_size: usize| (batch_size, squared_norm + trace / batch_size as f64);
        let (g, s) = estimate(at(small), at(big)).unwrap();
        // The rounding of the two norms, enlarged as the formula does.
        let enlarged = 4.0 * f64::EPSILON * (squared_norm + trace) * (1.0 + small as f64 / more as f64);
        prop_assert!((g - squared_norm).abs() <= enlarged, "{} {}", g, squared_norm);
        prop_assert!((s - trace).abs() <= enlarged * big as f64, "{} {}", s, trace);
    }
}

#[test]
fn one_by_hand_and_a_negative_one() {
    assert_eq!(estimate((1, 10.0), (4, 4.0)).unwrap(), (2.0, 8.0)); // 2 + 8/1, 2 + 8/4
    assert_eq!(estimate((2, 3.0), (4, 1.0)).unwrap(), (-1.0, 8.0)); // -1 + 8/2, -1 + 8/4
    assert_eq!(estimate((2, 1.0), (4, 3.0)).unwrap(), (5.0, -8.0));
    assert_eq!(estimate((3, 0.0), (7, 0.0)).unwrap(), (0.0, 0.0));
}

#[test]
fn what_is_wrong_is_named() {
    says(estimate((0, 1.0), (4, 1.0)), "small batch size is 0, expected at least 1");
    says(estimate((4, 1.0), (4, 1.0)), "big batch size is 4, expected above small batch size = 4");
    says(estimate((8, 1.0), (4, 1.0)), "big batch size is 4, expected above small batch size = 8");
    for bad in [f64::NAN, f64::INFINITY, -0.5] {
        let expected = "expected a finite number of at least 0";
        says(estimate((1, bad), (4, 1.0)), &format!("squared norm of the small batch is {bad:?}, {expected}"));
        says(estimate((1, 1.0), (4, bad)), &format!("squared norm of the big batch is {bad:?}, {expected}"));
    }
}

#[test]
fn the_largest_numbers_give_a_result_or_say_that_it_is_beyond_f64() {
    // big |g_big|² alone would be beyond.
    let (squared_norm, trace) = estimate((1, f64::MAX), (1 << 30, f64::MAX)).unwrap();
    assert_eq!((squared_norm, trace), (f64::MAX, 0.0));
    says(estimate((1, f64::MAX), (2, 0.0)), "estimate of tr Σ is inf, expected a finite number");
    says(estimate((2, f64::MAX), (3, 0.0)), "estimate of |G|² is -inf, expected a finite number");
}

#[test]
fn the_smallest_numbers_lose_nothing_on_the_way() {
    let least = f64::from_bits(1);
    let (squared_norm, trace) = estimate((1, least), (1 << 30, 0.0)).unwrap();
    assert_eq!((squared_norm, trace), (0.0, least)); // |G|² = -2^-30 least rounds to -0
}

/// By hand: |G|² = (2 + -1 + 5) / 3 = 2 and tr Σ = (8 + 8 - 8) / 3 = 8/3, so B = 4/3.
#[test]
fn the_mean_comes_before_the_ratio() {
    let mut noise = NoiseScale::new();
    assert_eq!((noise.squared_norm(), noise.covariance_trace(), noise.batch_size()), (None, None, None));
    noise.add((2, 3.0), (4, 1.0)).unwrap();
    assert_eq!(noise.batch_size(), None); // |G|² is -1
    let mut at_zero = NoiseScale::new();
    at_zero.add((1, 2.0), (2, 1.0)).unwrap(); // |G|² is (2 · 1 - 1 · 2) / (2 - 1) = 0
    assert_eq!((at_zero.squared_norm(), at_zero.batch_size()), (Some(0.0), None));
    noise.add((1, 10.0), (4, 4.0)).unwrap();
    noise.add((2, 1.0), (4, 3.0)).unwrap();
    assert_eq!((noise.estimates(), noise.squared_norm(), noise.batch_size()), (3, Some(2.0), Some(8.0 / 3.0 / 2.0)));
}

#[test]
fn what_is_rejected_adds_nothing() {
    let mut noise = NoiseScale::new();
    noise.add((1, f64::MAX), (1 << 30, f64::MAX)).unwrap();
    let before = noise;
    says(noise.add((4, 1.0), (1, 1.0)), "big batch size is 1, expected above small batch size = 4");
    says(noise.add((1, f64::MAX), (1 << 30, f64::MAX)), "sum of |G|² is inf, expected a finite number");
    assert_eq!(noise, before);
}
