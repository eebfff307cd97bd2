//! Norm, clipping and accumulation against the formulas written out, on any values in f64, f32, f16 and bf16. Slices up
//! to 2^18 long, where threads come in, from a pattern that is repeated.
#![no_main]

mod common;
#[path = "../common/oracle.rs"]
mod oracle;

use common::{Number, Scalar, bits, seldom, tiled};
use gradstep::{Accumulator, Error, check_finite, clip_global_norm, clip_value, global_norm};
use half::{bf16, f16};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Arbitrary, Debug, Hash)]
struct Input {
    scalar: u8,
    slices: Vec<Vec<Number>>,
    long: u8,
    extra: u16,
    max_norm: Number,
    limit: Number,
    samples: Vec<usize>,
}

fuzz_target!(|input: Input| match input.scalar % 4 {
    0 => check::<f64>(&input),
    1 => check::<f32>(&input),
    2 => check::<f16>(&input),
    _ => check::<bf16>(&input),
});

fn check<F: Scalar>(input: &Input) {
    let mut slices: Vec<Vec<F>> = input.slices.iter().map(|pattern| tiled(pattern, pattern.len())).collect();
    // Long ones, which take milliseconds, only for a few of the inputs.
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
        Err(error) => assert!(matches!(error, Error::Number { name: "the global norm", .. }) && largest > 1e150),
    }

    let max_norm = input.max_norm.get::<f64>();
    let clipped = clip_global_norm(&mut slices, max_norm);
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

    let (limit, mut slices) = (input.limit.get::<F>(), copy.clone());
    let holds = limit.is_finite() && limit > F::zero() && bad.is_none();
    assert_eq!(clip_value(&mut slices, limit).is_ok(), holds);
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

    // Slices of the first one's length are taken, others refused.
    let len = copy.first().map_or(0, Vec::len);
    let (mut accumulator, mut sums, mut count) = (Accumulator::new(len).unwrap(), vec![0.0; len], 0_u64);
    for (slice, &samples) in copy.iter().zip(&input.samples) {
        let total = count.checked_add(samples as u64).filter(|_| samples > 0 && slice.len() == len);
        assert_eq!(accumulator.add(slice, samples).is_ok(), total.is_some());
        if let Some(total) = total {
            count = total;
            sums.iter_mut().zip(slice).for_each(|(sum, g)| *sum += samples as f64 * g.to_f64().unwrap());
        }
        assert_eq!(accumulator.samples(), count);
    }
    let mut mean = vec![F::one(); len];
    let holds = count > 0 && sums.iter().all(|sum| sum.is_finite());
    assert_eq!(accumulator.mean(&mut mean).is_ok(), holds);
    for (mean, sum) in mean.iter().zip(&sums) {
        assert_eq!(mean.bits(), if holds { F::nearest(sum / count as f64) } else { F::one() }.bits());
    }
    assert!(accumulator.mean(&mut vec![F::one(); len + 1]).is_err());
}
