//! Every schedule, asked for any step, gives a learning rate that optimizers take, close to its formula.
#![no_main]

mod common;

use std::f64::consts::PI;

use common::{Number, Whole};
use gradstep::{Optimizer, Schedule, Sgd};
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
    let [from, to, end, factor] = [input.from, input.to, input.end, input.factor].map(|number| number.get::<f64>());
    let [steps, other, growth] = [input.steps, input.other, input.growth].map(Whole::get);
    let rate = |rate: f64| rate.is_finite() && rate >= 0.0;
    let ramp = rate(from) && rate(to) && steps > 0;
    let power = input.power;
    // Between the ends, at a share t of the way; beyond it the last.
    let t = |k: u64, steps: u64| if k < steps { k as f64 / steps as f64 } else { 1.0 };
    let line = |from: f64, to: f64, share: f64| to * (1.0 - share) + from * share;
    let cosine = |t: f64| (1.0 + (PI * t).cos()) / 2.0;
    let largest = from.max(to);

    let all = [
        (rate(from), from, from, Schedule::constant(from).ok()),
        (ramp, from, to, Schedule::linear(from, to, steps).ok()),
        (ramp && power > 0, from, to, Schedule::polynomial(from, to, power, steps).ok()),
        (ramp, from, to, Schedule::cosine(from, to, steps).ok()),
    ];
    let shapes: [&dyn Fn(f64) -> f64; 4] =
        [&|_| 1.0, &|t| 1.0 - t, &|t| (f64::from(power) * (-t).ln_1p()).exp(), &|t| cosine(t)];
    for ((holds, first, last, schedule), shape) in all.into_iter().zip(shapes) {
        assert_eq!(schedule.is_some(), holds);
        let Some(schedule) = schedule else { continue };
        // The sign of a zero aside.
        assert_eq!([0, steps, u64::MAX].map(|k| schedule.at(k)), [first, last, last]);
        for k in input.at.iter().map(|k| k.get()) {
            close(schedule.at(k), line(from, last, shape(t(k, steps))), largest);
        }
    }

    let fraction = (0.0..=1.0).contains(&factor);
    for (every, schedule) in
        [(steps, Schedule::step_decay(from, factor, steps).ok()), (1, Schedule::step_decay(from, factor, 1).ok())]
    {
        assert_eq!(schedule.is_some(), rate(from) && fraction && every > 0);
        let Some(schedule) = schedule else { continue };
        for k in input.at.iter().map(|k| k.get()) {
            close(schedule.at(k), from * factor.powf((k / every) as f64), from);
            assert!(schedule.at(k) <= from);
        }
    }

    let restarts = Schedule::cosine_restarts(from, to, steps, growth).ok();
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
            close(restarts.at(k), line(from, to, share), largest);
        }
    }

    let cycle = Schedule::one_cycle(from, to, end, steps, other).ok();
    assert_eq!(cycle.is_some(), ramp && rate(end) && other > 0);
    if let Some(cycle) = cycle {
        for k in input.at.iter().map(|k| k.get()) {
            let expected = if k < steps {
                line(from, to, cosine(t(k, steps)))
            } else {
                line(to, end, cosine(t(k - steps, other)))
            };
            close(cycle.at(k), expected, largest.max(end));
        }
        // Joined twice, in both ways.
        let constant = Schedule::constant(from).unwrap();
        let [left, right] = [
            constant.clone().then(steps, cycle.clone()).then(other, constant.clone()),
            constant.clone().then(steps, cycle.clone().then(other, constant)),
        ];
        for k in input.at.iter().map(|k| k.get()) {
            let one = if k < steps { from } else { cycle.at(k - steps) };
            assert_eq!(left.at(k).to_bits(), if k < other { one } else { from }.to_bits());
            let over = k.checked_sub(steps).is_some_and(|k| k >= other);
            assert_eq!(right.at(k).to_bits(), if over { from } else { one }.to_bits());
        }
    }
});

/// Within rounding and 2^-36 of the largest rate (double-double over 64 squarings), and a rate that is taken.
fn close(value: f64, expected: f64, largest: f64) {
    Sgd::<f64>::new(0.0).unwrap().set_learning_rate(value).unwrap();
    let room = largest * 2_f64.powi(-36) + expected * f64::EPSILON + f64::from_bits(1);
    assert!((value - expected).abs() <= room, "{value:?} is not {expected:?}");
}
