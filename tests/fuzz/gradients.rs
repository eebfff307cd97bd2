//! Norm, clipping, accumulation, averages and noise scale against their formulas, on any values in f64, f32, f16 and
//! bf16. Long slices, for which there are threads, repeat a pattern.
#![no_main]

mod common;
#[path = "../common/oracle.rs"]
mod oracle;

use arbitrary::Arbitrary;
use common::{Number, RATES, Scalar, Whole, bits, holds, seldom, tiled};
use gradstep::{
    Accumulator, ByName, Error, Grads, NoiseScale, Optimizer, Sgd, WeightAverage, check_finite, clip_global_norm,
    clip_scale, clip_value, global_norm,
};
use half::{bf16, f16};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug, Hash)]
struct Input {
    scalar: u8,
    slices: Vec<Vec<Number>>,
    long: u8,
    extra: u16,
    max_norm: Number,
    limit: Number,
    samples: Vec<usize>,
    /// Pairs of batch size and squared norm.
    noise: Vec<[(Whole, Number); 2]>,
}

fuzz_target!(|input: Input| {
    noise_scale(&input.noise);
    match input.scalar % 4 {
        0 => {
            check::<f64>(&input);
            averages::<f64>(&input);
        }
        1 => {
            check::<f32>(&input);
            averages::<f32>(&input);
        }
        2 => check::<f16>(&input),
        _ => check::<bf16>(&input),
    }
});

fn check<F: Scalar>(input: &Input) {
    let mut slices: Vec<Vec<F>> = input.slices.iter().map(|pattern| tiled(pattern, pattern.len())).collect();
    // Only a few inputs have a long one, which takes milliseconds.
    let boundary = match input.long % 8 {
        7 => 1 << 17,
        blocks => 4096 * usize::from(blocks),
    };
    if let (true, Some(pattern)) = (seldom(input), input.slices.first()) {
        slices.push(tiled(pattern, boundary + usize::from(input.extra % 5000)));
    }
    let copy = slices.clone();
    let changed = |now: &[Vec<F>]| now.iter().zip(&copy).any(|(now, then)| bits(now) != bits(then));

    let bad = copy.iter().enumerate().find_map(|(number, slice)| {
        let index = slice.iter().position(|g| !g.is_finite())?;
        Some((format!("grads[{number}]"), index, slice[index].bits()))
    });
    let named = |error: Option<Error>| match error {
        Some(Error::NonFinite { name, index, value }) => Some((name, index, F::from(value).unwrap().bits())),
        None => None,
        Some(other) => panic!("{other}"),
    };
    assert_eq!(named(check_finite(&slices).err()), bad);

    let norm = global_norm(&slices);
    let largest = copy.iter().flatten().fold(0.0_f64, |largest, g| largest.max(g.to_f64().unwrap().abs()));
    let sum = copy.iter().map(|slice| oracle::sum_of_squares(slice)).fold(0.0, |sum, squares| sum + squares);
    match &norm {
        _ if bad.is_some() => assert_eq!(named(norm.clone().err()), bad),
        Ok(norm) if (1e-270..f64::INFINITY).contains(&sum) => assert_eq!(norm.to_bits(), sum.sqrt().to_bits()),
        Ok(norm) => {
            let ratios = copy.iter().flatten().map(|g| g.to_f64().unwrap() / largest);
            let expected = if largest == 0.0 { 0.0 } else { ratios.map(|r| r * r).sum::<f64>().sqrt() * largest };
            assert!((norm - expected).abs() <= 1e-10 * norm + 1e-323, "{norm:?} is not {expected:?}");
        }
        Err(error) => assert!(matches!(error, Error::Overflow { .. }) && largest > 1e150),
    }

    let max_norm = input.max_norm.get::<f64>();
    let clipped = clip_global_norm(&mut slices, max_norm);
    if let Ok(norm) = norm {
        // The results are compared as text, since NaN is not equal to NaN.
        assert_eq!(format!("{clipped:?}"), format!("{:?}", clip_scale(norm, max_norm).map(|_| norm)));
    }
    scaled(&copy, input.limit.get::<f64>(), max_norm);
    match &norm {
        Ok(norm) if max_norm.is_finite() && max_norm > 0.0 => {
            let scale = max_norm / norm;
            if *norm <= max_norm || !scale.is_normal() {
                assert_eq!(clipped.is_ok(), *norm <= max_norm);
                assert!(!changed(&slices));
            } else {
                assert_eq!(clipped, Ok(*norm));
                for (now, then) in slices.iter().flatten().zip(copy.iter().flatten()) {
                    assert_eq!(now.bits(), F::nearest(scale * then.to_f64().unwrap()).bits());
                }
            }
        }
        _ => assert!(clipped.is_err() && !changed(&slices)),
    }

    let (given, mut slices) = (input.limit.setting::<F>(), copy.clone());
    let holds = holds::<F>(given, RATES) && given > 0.0 && bad.is_none();
    assert_eq!(clip_value(&mut slices, given).is_ok(), holds);
    let limit = F::nearest(given);
    for (now, &then) in slices.iter().flatten().zip(copy.iter().flatten()) {
        let within = if then > limit {
            limit
        } else if then < -limit {
            -limit
        } else {
            then
        };
        assert_eq!(now.bits(), if holds { within.bits() } else { then.bits() });
    }

    // Slices of the first one's length are accepted, others rejected.
    let len = copy.first().map_or(0, Vec::len);
    let (mut accumulator, mut sums, mut count) = (Accumulator::new(len).unwrap(), vec![0.0; len], 0_u64);
    let mut bad = None;
    for (slice, &samples) in copy.iter().zip(&input.samples) {
        let total = count.checked_add(samples as u64).filter(|_| samples > 0 && slice.len() == len);
        assert_eq!(accumulator.add(slice, samples).is_ok(), total.is_some());
        if let Some(total) = total {
            let before = std::mem::replace(&mut count, total);
            sums.iter_mut().zip(slice).for_each(|(sum, g)| *sum += samples as f64 * g.to_f64().unwrap());
            let index = sums.iter().position(|sum| !sum.is_finite());
            bad = bad.or(index.map(|index| (format!("micro-batch after {before} samples: sum"), index)));
        }
        assert_eq!(accumulator.samples(), count);
    }
    let means: Vec<F> = sums.iter().map(|sum| F::nearest(sum / count as f64)).collect();
    let mut mean = vec![F::one(); len];
    let result = accumulator.mean(&mut mean);
    let beyond = means.iter().position(|mean| !mean.is_finite());
    match result.clone() {
        Ok(()) => assert!(count > 0 && bad.is_none() && bits(&mean) == bits(&means) && beyond.is_none()),
        Err(Error::Count { value: 0, .. }) => assert_eq!(count, 0),
        Err(Error::Overflow { name, value, max }) => {
            let index = beyond.unwrap();
            assert_eq!(name, format!("mean[{index}]"));
            assert!(value.is_finite() && value == sums[index] / count as f64);
            assert_eq!(max, F::max_value().to_f64().unwrap());
        }
        Err(Error::NonFinite { name, index, .. }) => assert_eq!(Some((name, index)), bad),
        Err(other) => panic!("{other}"),
    }
    assert!(result.is_ok() || mean.iter().all(|&mean| mean == F::one()));
    assert!(accumulator.mean(&mut vec![F::one(); len + 1]).is_err());
}

/// The slices are first the parameters of one tensor after each update, then those of several tensors at once.
fn averages<F: Scalar>(input: &Input) {
    let slices: Vec<Vec<F>> = input.slices.iter().map(|pattern| tiled(pattern, pattern.len())).collect();
    let largest = F::max_value() / (F::one() + F::one());
    let valid = |slice: &[F]| slice.iter().all(|param| param.abs() <= largest);
    let (len, decay) = (slices.first().map_or(0, Vec::len), input.limit.get::<f64>());
    let ema = WeightAverage::<F>::ema(decay, len);
    assert_eq!(ema.is_ok(), (0.0..1.0).contains(&decay));
    let warmup = input.long.is_multiple_of(2);
    let (mut average, decay) = match ema {
        Ok(ema) if warmup => (ema.with_warmup(), decay),
        Ok(ema) => (ema, decay),
        Err(_) => (WeightAverage::mean(len).unwrap(), 1.0),
    };
    let (mut expected, mut updates) = (vec![F::zero(); len], 0_u64);
    for slice in &slices {
        let holds = slice.len() == len && valid(slice);
        assert_eq!(average.update(slice).is_ok(), holds);
        if holds {
            updates += 1;
            let mean = if updates == 1 || warmup || decay == 1.0 { 1.0 / updates as f64 } else { 0.0 };
            let weight = F::nearest((1.0 - decay).max(mean));
            for (average, &param) in expected.iter_mut().zip(slice) {
                let difference = param - *average;
                let counts = difference.abs() >= F::min_positive_value() / weight;
                *average = match weight == F::one() {
                    true => param,
                    false => *average + weight * if counts { difference } else { F::zero() },
                };
            }
        }
        assert_eq!(average.updates(), updates);
        match average.values() {
            Ok(values) => assert!(updates > 0 && bits(values) == bits(&expected) && valid(values)),
            Err(_) => assert_eq!(updates, 0),
        }
        let mut params = slice.clone();
        assert_eq!(average.swap(&mut params).is_ok(), updates > 0 && slice.len() == len);
        if average.is_swapped() {
            assert!(bits(&params) == bits(&expected) && average.update(slice).is_err());
            average.swap(&mut params).unwrap();
        }
        assert_eq!(bits(&params), bits(slice));
    }

    // Names that may come twice, and by them the slices as one tensor each.
    let names: Vec<String> = (0..slices.len()).map(|i| (i % usize::from(input.extra % 7 + 1)).to_string()).collect();
    let tensors: Vec<(&str, &[F])> = names.iter().zip(&slices).map(|(name, slice)| (&**name, &slice[..])).collect();
    let each = || tensors.iter().map(|&(name, slice)| (name, slice.len()));
    let averages = ByName::new(each().map(|(name, len)| (name, WeightAverage::<F>::mean(len).unwrap())));
    let unique = slices.len() <= usize::from(input.extra % 7 + 1);
    assert_eq!(averages.is_ok(), unique);
    let Ok(mut averages) = averages else { return };
    let mut sums = ByName::new(each().map(|(name, len)| (name, Accumulator::new(len).unwrap()))).unwrap();
    let before = averages.clone();
    let backwards: Vec<_> = tensors.iter().rev().copied().collect();
    let all_valid = slices.iter().all(|slice| valid(slice));
    for tensors in [&tensors, &backwards] {
        assert_eq!(averages.update(tensors).is_ok(), all_valid);
        let _ = sums.add(tensors, 1);
    }
    if all_valid {
        assert!(
            averages
                .iter()
                .zip(&slices)
                .all(|((_, average), slice)| bits(average.values().unwrap()).len() == slice.len())
        );
    } else {
        assert_eq!(averages, before);
    }
    if let Some(fewer) = tensors.get(1..) {
        assert!(averages.update(fewer).is_err() && sums.add(fewer, 1).is_err());
    }
}

/// Scaled gradients are checked, used and clipped as if the scaled numbers had been written out.
fn scaled<F: Scalar>(slices: &[Vec<F>], scale: f64, max_norm: f64) {
    for slice in slices {
        let grads = Grads::new(slice).scaled(scale);
        let written: Vec<F> = slice.iter().map(|g| F::nearest(scale * g.to_f64().unwrap())).collect();
        assert_eq!(grads.check_finite().is_ok(), written.iter().all(|g| g.is_finite()));
        let (mut a, mut b) = (vec![F::zero(); slice.len()], vec![F::zero(); slice.len()]);
        Sgd::new(1.0).unwrap().step_with(&mut a, grads).unwrap();
        Sgd::new(1.0).unwrap().step(&mut b, &written).unwrap();
        assert_eq!(bits(&a), bits(&b));

        let start = vec![F::one(); slice.len()];
        let (mut a, mut b) = (start.clone(), start.clone());
        match Sgd::new(1.0).unwrap().step_clipped(&mut a, grads, max_norm) {
            Ok(norm) => {
                let scale = clip_scale(norm, max_norm).unwrap();
                Sgd::new(1.0).unwrap().step_with(&mut b, grads.scaled(scale)).unwrap();
                assert_eq!(bits(&a), bits(&b));
            }
            Err(_) => assert_eq!(bits(&a), bits(&start)),
        }
    }
}

fn noise_scale(pairs: &[[(Whole, Number); 2]]) {
    let (mut noise, mut estimates) = (NoiseScale::new(), 0_u64);
    let (mut squared_norms, mut traces) = (0.0, 0.0);
    // Each pair comes three times, so that sums overflow where estimates do not.
    for pair in pairs.iter().flat_map(|pair| [pair; 3]) {
        let [(small, small_square), (big, big_square)] =
            pair.map(|(size, square)| (size.get() as usize, square.get::<f64>()));
        let (b, more, difference) = (small as f64, big.saturating_sub(small) as f64, small_square - big_square);
        let squared_norm = big_square - difference * (b / more);
        let trace = difference * (b * (big as f64 / more));
        let sums = (squared_norms + squared_norm, traces + trace);
        let holds = 0 < small
            && small < big
            && [small_square, big_square].iter().all(|square| (0.0..f64::INFINITY).contains(square))
            && [squared_norm, trace, sums.0, sums.1].iter().all(|value| value.is_finite());
        let before = noise;
        assert_eq!(noise.add((small, small_square), (big, big_square)).is_ok(), holds);
        if holds {
            estimates += 1;
            (squared_norms, traces) = sums;
        } else {
            assert_eq!(noise, before);
        }
        assert_eq!(noise.estimates(), estimates);
        let mean = |sum: f64| (estimates > 0).then(|| sum / estimates as f64);
        assert_eq!((noise.squared_norm(), noise.covariance_trace()), (mean(squared_norms), mean(traces)));
        let above_zero = noise.squared_norm().filter(|&mean| mean > 0.0);
        assert_eq!(noise.batch_size(), above_zero.map(|mean| noise.covariance_trace().unwrap() / mean));
    }
}
