//! Every schedule, asked for any step, gives a learning rate that optimizers take, close to its formula.
#![no_main]

mod common;

use std::f64::consts::PI;

use common::{Number, Scalar, Whole};
use gradstep::{Optimizer, Sgd, schedule};
use half::{bf16, f16};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

#[derive(Arbitrary, Debug)]
struct Input {
    from: Number,
    to: Number,
    end: Number,
    factor: Number,
    steps: Whole,
    other: Whole,
    power: u32,
    growth: Whole,
    at: Vec<Whole>,
}

fuzz_target!(|input: Input| {
    check::<f64>(&input);
    check::<f32>(&input);
    check::<f16>(&input);
    check::<bf16>(&input);
});

fn check<F: Scalar>(input: &Input) {
    let [from, to, end, factor] = [input.from, input.to, input.end, input.factor].map(|number| number.get::<F>());
    let [steps, other, growth] = [input.steps, input.other, input.growth].map(Whole::get);
    let rate = |rate: F| rate.is_finite() && rate >= F::zero();
    let f64 = |value: F| value.to_f64().unwrap();
    let ramp = rate(from) && rate(to) && steps > 0;
    let power = input.power;
    // Between the ends, at a share t of the way; beyond it the last.
    let t = |k: u64, steps: u64| if k < steps { k as f64 / steps as f64 } else { 1.0 };
    let line = |from: F, to: F, share: f64| f64(to) * (1.0 - share) + f64(from) * share;
    let cosine = |t: f64| (1.0 + (PI * t).cos()) / 2.0;
    let largest = f64(from).max(f64(to));

    let all = [
        (rate(from), from, from, taken(schedule::constant(from))),
        (ramp, from, to, taken(schedule::linear(from, to, steps))),
        (ramp && power > 0, from, to, taken(schedule::polynomial(from, to, power, steps))),
        (ramp, from, to, taken(schedule::cosine(from, to, steps))),
    ];
    let shapes: [&dyn Fn(f64) -> f64; 4] =
        [&|_| 1.0, &|t| 1.0 - t, &|t| (f64::from(power) * (-t).ln_1p()).exp(), &|t| cosine(t)];
    for ((holds, first, last, schedule), shape) in all.into_iter().zip(shapes) {
        assert_eq!(schedule.is_some(), holds);
        let Some(schedule) = schedule else { continue };
        // The sign of a zero aside.
        assert_eq!([schedule(0), schedule(steps), schedule(u64::MAX)], [first, last, last]);
        for k in input.at.iter().map(|k| k.get()) {
            close(schedule(k), line(from, last, shape(t(k, steps))), largest);
        }
    }

    let fraction = factor >= F::zero() && factor <= F::one();
    for (every, schedule) in
        [(steps, taken(schedule::step_decay(from, factor, steps))), (1, taken(schedule::exponential(from, factor)))]
    {
        assert_eq!(schedule.is_some(), rate(from) && fraction && every > 0);
        let Some(schedule) = schedule else { continue };
        for k in input.at.iter().map(|k| k.get()) {
            close(schedule(k), f64(from) * f64(factor).powf((k / every) as f64), f64(from));
            assert!(schedule(k) <= from);
        }
    }

    let restarts = taken(schedule::cosine_restarts(from, to, steps, growth));
    assert_eq!(restarts.is_some(), ramp && growth > 0);
    if let Some(restarts) = restarts {
        for k in input.at.iter().map(|k| k.get()) {
            let (mut start, mut period) = (0, u128::from(steps));
            if growth == 1 {
                start = u128::from(k / steps * steps);
            }
            while start + period <= u128::from(k) {
                start += period;
                period *= u128::from(growth);
            }
            let share = cosine((u128::from(k) - start) as f64 / period as f64);
            close(restarts(k), line(from, to, share), largest);
        }
    }

    let cycle = taken(schedule::one_cycle(from, to, end, steps, other));
    assert_eq!(cycle.is_some(), ramp && rate(end) && other > 0);
    if let Some(cycle) = cycle {
        for k in input.at.iter().map(|k| k.get()) {
            let expected = if k < steps {
                line(from, to, cosine(t(k, steps)))
            } else {
                line(to, end, cosine(t(k - steps, other)))
            };
            close(cycle(k), expected, largest.max(f64(end)));
        }
        let joined = schedule::then(schedule::constant(from).unwrap(), steps, &cycle);
        for k in input.at.iter().map(|k| k.get()) {
            let expected = if k < steps { from } else { cycle(k - steps) };
            assert_eq!(joined(k).bits(), expected.bits());
        }
    }
}

fn taken<F: Scalar, E>(schedule: Result<impl Fn(u64) -> F + 'static, E>) -> Option<Box<dyn Fn(u64) -> F>> {
    schedule.ok().map(|schedule| Box::new(schedule) as Box<dyn Fn(u64) -> F>)
}

/// Within rounding to `F` and 2^-36 of the largest rate (double-double over 64 squarings), and a rate that is taken.
fn close<F: Scalar>(value: F, expected: f64, largest: f64) {
    Sgd::new(F::zero()).unwrap().set_learning_rate(value).unwrap();
    let room = largest * 2_f64.powi(-36) + expected * F::epsilon().to_f64().unwrap();
    let room = room + F::from_low_bits(1).to_f64().unwrap();
    assert!((value.to_f64().unwrap() - expected).abs() <= room, "{value:?} is not {expected:?}");
}
