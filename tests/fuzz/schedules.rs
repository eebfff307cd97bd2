//! At any step, every schedule gives a learning rate that optimizers accept, close to its formula.
#![no_main]

mod common;

use std::f64::consts::PI;

use arbitrary::Arbitrary;
use common::{Number, Whole};
use gradstep::{LossScale, Optimizer, ReduceOnPlateau, Schedule, Sgd};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    from: Number,
    to: Number,
    end: Number,
    factor: Number,
    steps: Whole,
    other: Whole,
    power: Number,
    rise: Number,
    fall: Number,
    growth: Whole,
    at: Vec<Whole>,
    losses: Vec<Number>,
}

fuzz_target!(|input: Input| {
    let [from, to, end, factor] = [input.from, input.to, input.end, input.factor].map(|number| number.get::<f64>());
    let [power, rise, fall] = [input.power, input.rise, input.fall].map(|number| number.get::<f64>());
    let [steps, other, growth] = [input.steps, input.other, input.growth].map(Whole::get);
    let rate = |rate: f64| rate.is_finite() && rate >= 0.0;
    let ramp = rate(from) && rate(to) && steps > 0;
    let has_power = power > 0.0 && power <= u32::MAX.into();
    // How much of the way is done at step `k`.
    let t = |k: u64, steps: u64| if k < steps { k as f64 / steps as f64 } else { 1.0 };
    let line = |from: f64, to: f64, share: f64| to * (1.0 - share) + from * share;
    let cosine = |t: f64| (1.0 + (PI * t).cos()) / 2.0;
    let largest = from.max(to);

    let all = [
        (rate(from), from, from, Schedule::constant(from).ok()),
        (ramp, from, to, Schedule::linear(from, to, steps).ok()),
        (ramp && has_power, from, to, Schedule::polynomial(from, to, power, steps).ok()),
        (ramp, from, to, Schedule::cosine(from, to, steps).ok()),
    ];
    // Each gets the share that is done and the share that is left: near the end 1 - t would be rounded to 0, near the
    // beginning to 1.
    let log = |t: f64, left: f64| if t < 0.5 { (-t).ln_1p() } else { left.ln() };
    let shapes: [&dyn Fn(f64, f64) -> f64; 4] =
        [&|_, _| 1.0, &|_, left| left, &|t, left| (power * log(t, left)).exp(), &|t, _| cosine(t)];
    for ((holds, first, last, schedule), shape) in all.into_iter().zip(shapes) {
        assert_eq!(schedule.is_some(), holds);
        let Some(schedule) = schedule else { continue };
        // Not by their bits, since a zero may have either sign.
        assert_eq!([0, steps, u64::MAX].map(|k| schedule.at(k)), [first, last, last]);
        for k in input.at.iter().map(|k| k.get()) {
            let left = steps.saturating_sub(k) as f64 / steps as f64;
            close(schedule.at(k), line(from, last, shape(t(k, steps), left)), largest);
        }
    }

    let geometric = Schedule::geometric(from, to, steps).ok();
    assert_eq!(geometric.is_some(), ramp && from > 0.0 && to > 0.0);
    if let Some(schedule) = geometric {
        assert_eq!([0, steps, u64::MAX].map(|k| schedule.at(k)), [from, to, to]);
        for k in input.at.iter().map(|k| k.get()) {
            let t = t(k, steps);
            let (got, expected) = (schedule.at(k), (from.ln() * (1.0 - t) + to.ln() * t).exp());
            // The logarithms are some 700, and rounded.
            assert!((got - expected).abs() <= expected * 1e-12 + 2.0 * f64::from_bits(1), "{got:e} {expected:e}");
            assert!(from.min(to) <= got && got <= from.max(to));
        }
    }

    let inverse = Schedule::inverse_time(from, power, steps).ok();
    assert_eq!(inverse.is_some(), rate(from) && has_power && steps > 0);
    if let Some(schedule) = inverse {
        assert_eq!(schedule.at(0), from);
        for k in input.at.iter().map(|k| k.get()) {
            close(schedule.at(k), from * (-power * (k as f64 / steps as f64).ln_1p()).exp(), from);
        }
    }

    let boundaries = [(steps, to), (other, end)];
    let pieces = Schedule::piecewise_constant(from, &boundaries).ok();
    assert_eq!(pieces.is_some(), [from, to, end].into_iter().all(rate) && 0 < steps && steps < other);
    if let Some(schedule) = pieces {
        for k in input.at.iter().map(|k| k.get()) {
            assert_eq!(
                schedule.at(k),
                if k < steps {
                    from
                } else if k < other {
                    to
                } else {
                    end
                }
            );
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

    plateau(factor, [steps, other], [to, end], &input.losses);
    let scale = LossScale::new(from, steps).ok();
    let in_range = (2_f64.powi(-126)..=2_f64.powi(126)).contains(&from);
    let is_power_of_two = from.to_bits() << 12 == 0; // the fraction, which a logarithm would round away
    assert_eq!(scale.is_some(), in_range && is_power_of_two && steps > 0);

    let length = |length: f64| length.is_finite() && length > 0.0;
    for (rise, fall) in [(rise, fall), (steps as f64, other as f64)] {
        let cycle = Schedule::one_cycle(from, to, end, rise, fall).ok();
        assert_eq!(cycle.is_some(), rate(from) && rate(to) && rate(end) && length(rise) && length(fall));
        let Some(cycle) = cycle else { continue };
        for k in input.at.iter().map(|k| k.get()) {
            // `past` is exact for steps below 2^53. Elsewhere the value only has to be a rate.
            let past = k as f64 - rise;
            let expected = if past < 0.0 {
                line(from, to, cosine(k as f64 / rise))
            } else {
                line(to, end, cosine((past / fall).min(1.0)))
            };
            let largest = largest.max(end);
            if k < 1 << 53 {
                close(cycle.at(k), expected, largest);
            }
            assert!((0.0..=largest).contains(&cycle.at(k)));
        }
        // Three schedules joined, from the left and from the right.
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

/// The reference is torch's rule, line by line.
fn plateau(reduction: f64, [patience, cooldown]: [u64; 2], [relative, absolute]: [f64; 2], losses: &[Number]) {
    let made = ReduceOnPlateau::new(reduction, patience).ok();
    assert_eq!(made.is_some(), 0.0 < reduction && reduction < 1.0);
    let made = made.and_then(|made| made.with_threshold(relative, absolute).ok());
    let thresholds = (0.0..1.0).contains(&relative) && (0.0..f64::INFINITY).contains(&absolute);
    assert_eq!(made.is_some(), 0.0 < reduction && reduction < 1.0 && thresholds);
    let Some(plateau) = made else { return };
    let mut plateau = plateau.with_cooldown(cooldown);
    let (mut factor, mut best, mut bad, mut cooling) = (1.0, f64::INFINITY, 0_u64, 0);
    for loss in losses.iter().map(|loss| loss.get::<f64>()) {
        let before = plateau;
        let stepped = plateau.step(loss);
        assert_eq!(stepped.is_ok(), loss.is_finite());
        if !loss.is_finite() {
            assert_eq!(plateau, before);
            continue;
        }
        let share = if best < 0.0 { 1.0 + relative } else { 1.0 - relative };
        if loss < best * share - absolute {
            (best, bad) = (loss, 0);
        } else {
            bad += 1;
        }
        if cooling > 0 {
            (cooling, bad) = (cooling - 1, 0);
        }
        if bad > patience {
            factor *= reduction;
            (cooling, bad) = (cooldown, 0);
        }
        assert_eq!((stepped.unwrap(), plateau.best(), plateau.bad_epochs()), (factor, best, bad));
    }
}

/// Asserts that `value` is a valid rate, and within rounding and 2^-36 of the largest rate of `expected` (double-double
/// over 64 squarings).
fn close(value: f64, expected: f64, largest: f64) {
    Sgd::<f64>::new(0.0).unwrap().set_learning_rate(value).unwrap();
    let room = largest * 2_f64.powi(-36) + expected * f64::EPSILON + f64::from_bits(1);
    assert!((value - expected).abs() <= room, "{value:?} is not {expected:?}");
}
