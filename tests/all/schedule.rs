//! Schedules: the value at step 0, at the joints, past the end, and at 10^12 steps, to the bit.

use std::borrow::Borrow;

use gradstep::{Error, Optimizer, Schedule, Sgd};
use proptest::prelude::*;

use crate::common::config;

const TRILLION: u64 = 1_000_000_000_000;

fn at<const N: usize>(schedule: impl Borrow<Schedule>, steps: [u64; N]) -> [f64; N] {
    steps.map(|k| schedule.borrow().at(k))
}

// Values worked out by hand: dyadic, so exact ------------------------------------------------------------------------

#[test]
fn constant_everywhere() {
    let schedule = Schedule::constant(0.1).unwrap();
    assert_eq!(at(&schedule, [0, 1, TRILLION, u64::MAX]), [0.1; 4]);
}

#[test]
fn linear_up_and_down() {
    let up = Schedule::linear(0.25, 1.25, 4).unwrap();
    assert_eq!(at(&up, [0, 1, 2, 3, 4, 5, TRILLION, u64::MAX]), [0.25, 0.5, 0.75, 1.0, 1.25, 1.25, 1.25, 1.25]);
    let down = Schedule::linear(1.0, 0.0, 8).unwrap();
    assert_eq!(at(&down, [0, 1, 4, 7, 8, 9, u64::MAX]), [1.0, 0.875, 0.5, 0.125, 0.0, 0.0, 0.0]);
    let at_once = Schedule::linear(1.0, 0.5, 1).unwrap();
    assert_eq!(at(&at_once, [0, 1, 2]), [1.0, 0.5, 0.5]);
}

#[test]
fn polynomial_of_any_whole_power() {
    // 1/4 + 2 (1 - k/4)^3: 1 - k/4 is 1, 3/4, 1/2, 1/4, with cubes 1, 27/64, 1/8, 1/64.
    let cubic = Schedule::polynomial(2.25, 0.25, 3.0, 4).unwrap();
    assert_eq!(at(&cubic, [0, 1, 2, 3, 4, 5]), [2.25, 1.09375, 0.5, 0.28125, 0.25, 0.25]);
    assert_eq!(cubic.at(u64::MAX), 0.25);
    // (1 - t)^0 would be 1 until the end, and no ramp.
    assert_eq!(
        refusal(Schedule::polynomial(1.0, 0.5, 0.0, 4)),
        "power is 0.0, expected a number above 0 and at most 4294967295"
    );
    // Power 1 is linear (but for a rounding: it counts from the other end).
    let (one, line) = (Schedule::polynomial(0.1, 0.003, 1.0, 97).unwrap(), Schedule::linear(0.1, 0.003, 97).unwrap());
    assert!((0..100).all(|k| (one.at(k) - line.at(k)).abs() < 2e-17));
    let steepest = Schedule::polynomial(1.0, 0.0, u32::MAX.into(), 2).unwrap();
    assert_eq!(at(&steepest, [0, 1, 2]), [1.0, 0.0, 0.0]); // 2^-4294967295 is below every f64
}

/// Powers of 4, 1/4 and 1/16, whose square roots are whole or dyadic.
#[test]
fn polynomial_of_a_power_that_is_not_whole() {
    let square_root = Schedule::polynomial(1.0, 0.0, 0.5, 16).unwrap();
    assert_eq!(at(&square_root, [0, 7, 12, 15, 16, 17]), [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]);
    // (1/4)^1.5 = 1/8, between 1/2 and 1 from below and from above.
    assert_eq!(Schedule::polynomial(1.0, 0.5, 1.5, 4).unwrap().at(3), 0.5 + 0.5 / 8.0);
    assert_eq!(Schedule::polynomial(0.5, 1.0, 1.5, 4).unwrap().at(3), 1.0 - 0.5 / 8.0);
    // A power so small that it is 0 in fixed point: 1 until the end.
    assert_eq!(at(Schedule::polynomial(1.0, 0.0, 1e-30, 4).unwrap(), [0, 3, 4]), [1.0, 1.0, 0.0]);
}

#[test]
fn geometric_up_and_down() {
    let up = Schedule::geometric(0.5, 8.0, 4).unwrap();
    assert_eq!(at(&up, [0, 1, 2, 3, 4, 5, u64::MAX]), [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]);
    // Thirds: no share of 64 bits is a third.
    let down = Schedule::geometric(27.0, 1.0, 3).unwrap();
    assert_eq!(at(&down, [0, 1, 2, 3, TRILLION]), [27.0, 9.0, 3.0, 1.0, 1.0]);
    assert_eq!(at(Schedule::geometric(0.1, 0.1, 3).unwrap(), [0, 1, 2, 3]), [0.1; 4]);
    assert_eq!(at(Schedule::geometric(1.0, 0.25, u64::MAX).unwrap(), [0, 1 << 63, u64::MAX]), [1.0, 0.5, 0.25]);
    // From the smallest number to the largest, and never beyond.
    let all = Schedule::geometric(f64::from_bits(1), f64::MAX, u64::MAX).unwrap();
    assert_eq!(at(&all, [1, 1000, u64::MAX]), [f64::from_bits(1), f64::from_bits(1), f64::MAX]);
    // The largest times exp(-1454 / 2^64), which is 0.7 units in the last place less.
    assert_eq!(all.at(u64::MAX - 1), f64::from_bits(f64::MAX.to_bits() - 1));
}

/// `geometric` to 0.1^8 in 8 steps is `step_decay` at every step by 0.1, but for the last bits.
#[test]
fn geometric_is_exponential() {
    let (one, other) = (Schedule::geometric(3.0, 3e-8, 8).unwrap(), Schedule::step_decay(3.0, 0.1, 1).unwrap());
    assert!((0..=8).all(|k| (one.at(k) / other.at(k) - 1.0).abs() < 1e-15));
}

#[test]
fn piecewise_constant_changes_at_each_boundary() {
    let schedule = Schedule::piecewise_constant(0.1, &[(2, 0.5), (5, 0.0), (u64::MAX, 0.3)]).unwrap();
    assert_eq!(at(&schedule, [0, 1, 2, 4, 5, TRILLION, u64::MAX]), [0.1, 0.1, 0.5, 0.5, 0.0, 0.0, 0.3]);
    assert_eq!(Schedule::piecewise_constant(0.1, &[]), Schedule::constant(0.1));
    let constant = |rate| Schedule::constant(rate).unwrap();
    let joined = constant(0.1).then(2, constant(0.5)).then(5, constant(0.0)).then(u64::MAX, constant(0.3));
    assert_eq!(schedule, joined);
    let message = |boundary, before| format!("boundary is {boundary}, expected above {before}");
    assert_eq!(refusal(Schedule::piecewise_constant(0.1, &[(0, 0.2)])), message(0, 0));
    assert_eq!(refusal(Schedule::piecewise_constant(0.1, &[(3, 0.2), (3, 0.1)])), message(3, 3));
    assert_eq!(refusal(Schedule::piecewise_constant(0.1, &[(3, 0.2), (2, 0.1)])), message(2, 3));
    let rate = refusal(Schedule::piecewise_constant(0.1, &[(3, f64::NAN)]));
    assert_eq!(rate, "learning_rate is NaN, expected a finite number of at least 0");
}

#[test]
fn inverse_time_of_any_power() {
    let schedule = Schedule::inverse_time(0.5, 1.0, 10).unwrap();
    assert_eq!(at(&schedule, [0, 10, 30, 70, 150]), [0.5, 0.25, 0.125, 0.0625, 0.03125]);
    // (1 + 3)^-1.5 = 1/8; (1 + 8)^-0.5 = 1/3.
    assert_eq!(Schedule::inverse_time(0.5, 1.5, 1).unwrap().at(3), 0.0625);
    assert_eq!(Schedule::inverse_time(3.0, 0.5, 2).unwrap().at(16), 1.0);
    // 2^64 - 1 and as many more are half; 1 + (2^64 - 1) is 2^64.
    assert_eq!(Schedule::inverse_time(1.0, 1.0, u64::MAX).unwrap().at(u64::MAX), 0.5);
    assert_eq!(Schedule::inverse_time(1.0, 0.5, 1).unwrap().at(u64::MAX), 1.0 / (1_u64 << 32) as f64);
}

/// 2.5 up and 1.5 down: shares 0, 2/5, 4/5 up; 1/3 and 1 down.
#[test]
fn one_cycle_with_its_peak_between_two_steps() {
    let cycle = Schedule::one_cycle(0.5, 2.0, 0.25, 2.5, 1.5).unwrap();
    let share = |t: f64| (1.0 + (std::f64::consts::PI * t).cos()) / 2.0;
    assert_eq!(at(&cycle, [0, 4, 5, u64::MAX]), [0.5, 0.25, 0.25, 0.25]);
    for (k, expected) in [(1, 2.0 - 1.5 * share(0.4)), (2, 2.0 - 1.5 * share(0.8)), (3, 0.25 + 1.75 * share(1.0 / 3.0))]
    {
        assert!((cycle.at(k) - expected).abs() < 1e-15, "{k}: {}", cycle.at(k));
    }
    // Shorter than a step: step 1 is half way down.
    assert_eq!(at(Schedule::one_cycle(0.5, 2.0, 1.0, 0.5, 1.0).unwrap(), [0, 1, 2]), [0.5, 1.5, 1.0]);
    // Beyond 2^53 too each step is told from the next.
    let far = Schedule::one_cycle(0.0, 1.0, 0.0, (1_u64 << 60) as f64, 2.0).unwrap();
    assert_eq!(at(&far, [1 << 60, (1 << 60) + 1, (1 << 60) + 2]), [1.0, 0.5, 0.0]);
}

#[test]
fn step_decay_falls_at_each_multiple() {
    let schedule = Schedule::step_decay(3.0, 0.5, 10).unwrap();
    assert_eq!(at(&schedule, [0, 9, 10, 19, 20, 99]), [3.0, 3.0, 1.5, 1.5, 0.75, 3.0 / 512.0]);
    assert_eq!(at(&schedule, [10 * TRILLION, u64::MAX]), [0.0, 0.0]);
    let (kept, stopped) = (Schedule::step_decay(0.1, 1.0, 1).unwrap(), Schedule::step_decay(0.1, 0.0, 2).unwrap());
    assert_eq!(at(&kept, [0, TRILLION, u64::MAX]), [0.1; 3]);
    assert_eq!(at(&stopped, [0, 1, 2, 3]), [0.1, 0.1, 0.0, 0.0]);
    let last = Schedule::step_decay(0.1, 0.5, u64::MAX).unwrap();
    assert_eq!(at(&last, [0, u64::MAX - 1, u64::MAX]), [0.1, 0.1, 0.05]);
}

#[test]
fn step_decay_at_every_step_is_exponential() {
    let schedule = Schedule::step_decay(3.0, 0.5, 1).unwrap();
    assert_eq!(at(&schedule, [0, 1, 2, 10]), [3.0, 1.5, 0.75, 3.0 / 1024.0]);
    // To the last subnormal and past it: 2^-1074 = bits 1, and 2^-1075 is no f64.
    let halves = Schedule::step_decay(1.0, 0.5, 1).unwrap();
    assert_eq!(at(&halves, [1022, 1074, 1075, u64::MAX]), [f64::MIN_POSITIVE, f64::from_bits(1), 0.0, 0.0]);
    assert_eq!(Schedule::step_decay(0.1, 1.0, 1).unwrap().at(u64::MAX), 0.1);
}

#[test]
fn cosine_at_its_exact_angles() {
    // cos 0 = 1, cos 60° = 1/2, cos 90° = 0, cos 120° = -1/2: shares 1, 3/4, 1/2, 1/4.
    let schedule = Schedule::cosine(1.0, 0.5, 6).unwrap();
    assert_eq!(at(&schedule, [0, 2, 3, 4, 6, 7, u64::MAX]), [1.0, 0.875, 0.75, 0.625, 0.5, 0.5, 0.5]);
    let rising = Schedule::cosine(0.0, 1.0, 2).unwrap();
    assert_eq!(at(&rising, [0, 1, 2]), [0.0, 0.5, 1.0]);
    assert_eq!(at(Schedule::cosine(1.0, 0.25, 1).unwrap(), [0, 1]), [1.0, 0.25]);
}

#[test]
fn restarts_grow() {
    // Periods 6, 18, 54: restarts at 6, 24, 78.
    let schedule = Schedule::cosine_restarts(1.0, 0.0, 6, 3).unwrap();
    assert_eq!(at(&schedule, [0, 2, 3, 6, 12, 15, 24]), [1.0, 0.75, 0.5, 1.0, 0.75, 0.5, 1.0]);
    assert_eq!(at(&schedule, [51, 78]), [0.5, 1.0]);
    // The step before a restart is a step away from `to`.
    assert!(schedule.at(5) > 0.0 && schedule.at(5) < 0.07 && schedule.at(77) < 0.001);

    let even = Schedule::cosine_restarts(1.0, 0.5, 4, 1).unwrap();
    assert_eq!(at(&even, [0, 2, 4, 6, 8]), [1.0, 0.75, 1.0, 0.75, 1.0]);
    assert_eq!(at(&even, [4 * TRILLION, 4 * TRILLION + 2]), [1.0, 0.75]);
    assert_eq!(at(Schedule::cosine_restarts(0.1, 0.0, 1, 1).unwrap(), [0, 1, 2, u64::MAX]), [0.1; 4]);
}

#[test]
fn restarts_at_the_far_end() {
    // Periods 2^40 · 2^i begin at 2^40 (2^i - 1); the last to begin within u64 is i = 24.
    let doubled = Schedule::cosine_restarts(1.0, 0.0, 1 << 40, 2).unwrap();
    assert_eq!(doubled.at((1 << 40) * ((1 << 24) - 1)), 1.0);
    for i in [1, 10, 23] {
        let start = (1 << 40) * ((1_u64 << i) - 1);
        assert_eq!(at(&doubled, [start, start + (1 << (39 + i))]), [1.0, 0.5], "period {i}");
    }
    // The second period is 2^40 · 2^40 = 2^80 steps: 2^63 of them are 2^-17 of the way, where (1 + cos πt) / 2 is
    // 1 - (πt)²/4 = 1 - 1.4e-10.
    let vast = Schedule::cosine_restarts(1.0, 0.0, 1 << 40, 1 << 40).unwrap();
    assert!((vast.at((1 << 63) + (1 << 40)) - (1.0 - 1.436_2e-10)).abs() < 1e-13, "{}", vast.at((1 << 63) + (1 << 40)));
    // 2 (2^64 - 1) steps, of which u64::MAX - 2 are just short of half.
    let once = Schedule::cosine_restarts(1.0, 0.0, 2, u64::MAX).unwrap();
    assert!((once.at(u64::MAX) - 0.5).abs() < 1e-15, "{}", once.at(u64::MAX));
    assert_eq!(
        at(Schedule::cosine_restarts(1.0, 0.0, u64::MAX, 9).unwrap(), [0, u64::MAX - 1, u64::MAX]),
        [1.0, 0.0, 1.0]
    );
}

#[test]
fn one_cycle_up_and_down() {
    let schedule = Schedule::one_cycle(0.25, 1.25, 0.0, 6.0, 3.0).unwrap();
    assert_eq!(at(&schedule, [0, 2, 3, 4, 6]), [0.25, 0.5, 0.75, 1.0, 1.25]);
    assert_eq!(at(&schedule, [7, 9, 10, TRILLION, u64::MAX]), [0.9375, 0.0, 0.0, 0.0, 0.0]);
    // Longer than u64 together: the end is never reached, and nothing overflows.
    let long = Schedule::one_cycle(0.0, 1.0, 0.0, u64::MAX as f64, u64::MAX as f64).unwrap();
    assert_eq!(at(&long, [0, 1 << 63, u64::MAX]), [0.0, 0.5, 1.0]);
}

#[test]
fn joined_one_after_another() {
    let up = || Schedule::linear(0.0, 1.0, 4).unwrap();
    let down = || Schedule::linear(1.0, 0.0, 2).unwrap();
    let constant = |rate| Schedule::constant(rate).unwrap();
    // Warm-up over 4, flat for 2, down over 2; another constant after that.
    let schedule = up().then(4, constant(1.0).then(2, down()));
    assert_eq!(at(&schedule, [0, 2, 3, 4, 5, 6, 7, 8, 9]), [0.0, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.0, 0.0]);
    let more = schedule.clone().then(9, constant(3.0));
    assert_eq!(at(more, [7, 8, 9, 10, 9 + TRILLION]), [0.5, 0.0, 3.0, 3.0, 3.0]);
    // The same joined from the left.
    let left = up().then(4, constant(1.0)).then(6, down());
    assert!((0..12).all(|k| left.at(k) == schedule.at(k)));
    assert_eq!(left, schedule);
    // Cut short, also to a part of the joined ones, to their joint, and to nothing.
    assert_eq!(at(up().then(2, down()), [1, 2, 3, 4]), [0.25, 1.0, 0.5, 0.0]);
    assert_eq!(at(left.clone().then(3, down()), [2, 3, 4, 5, 6]), [0.5, 1.0, 0.5, 0.0, 0.0]);
    assert_eq!(left.clone().then(4, down()), up().then(4, down()));
    assert_eq!(left.then(0, schedule.clone()), schedule);
    assert_eq!(at(constant(9.0).then(u64::MAX, down()), [u64::MAX - 1, u64::MAX]), [9.0, 1.0]);
    // A schedule that begins beyond the last step is never reached.
    let far = constant(1.0).then(u64::MAX, constant(2.0).then(1, constant(3.0)));
    assert_eq!(at(&far, [u64::MAX - 1, u64::MAX]), [1.0, 2.0]);
    assert_eq!(at(far.then(3, constant(4.0)), [2, 3, u64::MAX]), [1.0, 4.0, 4.0]);
}

/// However it was nested, and with little stack.
#[test]
fn a_hundred_thousand_joined_schedules() {
    const MANY: u64 = 100_000;
    let piece = |i| Schedule::linear(i as f64, i as f64 + 1.0, 2).unwrap();
    let job = move || {
        let left = (1..MANY).fold(piece(0), |before, i| before.then(2 * i, piece(i)));
        // Twice as many each time, from the right too.
        let halved = (0..17).fold(piece(0), |half, i| half.clone().then(2 << i, half));
        let right = (0..2_000).rev().fold(piece(2_000), |after, i| piece(i).then(2, after));
        for k in (0..2 * MANY).step_by(7_777) {
            assert_eq!(left.at(k), k as f64 / 2.0);
            assert_eq!(halved.at(k), (k % 2) as f64 / 2.0);
        }
        assert_eq!(at(&left, [2 * MANY - 1, 2 * MANY, u64::MAX]), [MANY as f64 - 0.5, MANY as f64, MANY as f64]);
        assert!((0..4_002).all(|k| right.at(k) == k as f64 / 2.0));
        let copy = left.clone();
        assert_eq!((copy == left, copy == halved, format!("{copy:?}").len() > 1_000_000), (true, false, true));
        // Cut to the part that the others have as well.
        assert_eq!(left.then(4_002, piece(7)), right.then(4_002, piece(7)));
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(job).unwrap().join().unwrap();
}

/// Equal if formulas, numbers and joints are; what it prints has them all.
#[test]
fn compared_and_printed() {
    let schedule = |peak, steps| {
        Schedule::linear(0.0, peak, 5).unwrap().then(steps, Schedule::polynomial(peak, 0.0, 2.0, 9).unwrap())
    };
    assert_eq!(schedule(0.5, 5), schedule(0.5, 5));
    assert_ne!(schedule(0.5, 5), schedule(0.25, 5));
    assert_ne!(schedule(0.5, 5), schedule(0.5, 4));
    assert_ne!(Schedule::linear(0.5, 0.0, 3).unwrap(), Schedule::cosine(0.5, 0.0, 3).unwrap());
    let text = "Schedule { pieces: [(0, Linear { from: 0.0, to: 0.5, steps: 5 }), \
                (4, Polynomial { from: 0.5, to: 0.0, power: 2.0, steps: 9 })] }";
    assert_eq!(format!("{:?}", schedule(0.5, 4)), text);
}

/// `set_learning_rate` takes a number, wherever it comes from.
#[test]
fn any_closure_serves() {
    fn train(schedule: impl Fn(u64) -> f64) -> f64 {
        let (mut sgd, mut params) = (Sgd::new(0.0).unwrap(), [0.0]);
        for _ in 0..3 {
            sgd.set_learning_rate(schedule(sgd.steps())).unwrap();
            sgd.step(&mut params, &[-1.0]).unwrap();
        }
        params[0]
    }
    let schedule = Schedule::linear(1.0, 0.0, 4).unwrap();
    assert_eq!(train(|k| schedule.at(k)), 1.0 + 0.75 + 0.5);
    assert_eq!(train(|k| 1.0 / (1 << k) as f64), 1.75);
    assert_eq!(train(|k| if k < 2 { schedule.at(k) } else { 3.0 }), 4.75);
}

// The ends, for any rate ----------------------------------------------------------------------------------------------

/// "`from` at step 0, `to` at `steps`": the very number given, not one a rounding away.
#[test]
fn the_ends_are_the_numbers_given() {
    let rates = [0.1, 0.7, 0.3, 1e-3, 1e-8, 0.0, -0.0, 3.0, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1)];
    for (from, to) in rates.iter().flat_map(|&from| rates.map(|to| (from, to))) {
        let ends = [from, to, to].map(f64::to_bits);
        let got = |value: [f64; 3]| value.map(f64::to_bits);
        assert_eq!(got(at(Schedule::linear(from, to, 10).unwrap(), [0, 10, 11])), ends, "linear {from:e} {to:e}");
        assert_eq!(
            got(at(Schedule::polynomial(from, to, 3.0, 10).unwrap(), [0, 10, 11])),
            ends,
            "polynomial {from:e} {to:e}"
        );
        assert_eq!(got(at(Schedule::cosine(from, to, 10).unwrap(), [0, 10, 11])), ends, "cosine {from:e} {to:e}");
        let again = at(Schedule::cosine_restarts(from, to, 10, 2).unwrap(), [0, 10, 30]);
        assert_eq!(got(again), [from; 3].map(f64::to_bits), "restarts {from:e} {to:e}");
        let cycle = at(Schedule::one_cycle(from, to, from, 10.0, 10.0).unwrap(), [0, 10, 20]);
        assert_eq!(got(cycle), [from, to, from].map(f64::to_bits), "one-cycle {from:e} {to:e}");
    }
}

/// from + (to - from) k / steps. Over 1 - k / steps instead, a tenth would be 0.09999999999999998, and the first of
/// 10^12 steps would have four digits of sixteen left.
#[test]
fn linear_warm_up_is_its_formula() {
    let tenths = Schedule::linear(0.0, 1.0, 10).unwrap();
    assert_eq!(at(&tenths, [0, 1, 2, 3, 4, 5]), [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]);
    let long = Schedule::linear(0.0, 1.0, TRILLION).unwrap();
    for k in [1, 7, 1000, 123_456_789] {
        let truth = k as f64 / 1e12;
        assert!((long.at(k) / truth - 1.0).abs() < 1e-15, "{k}: {:e}", long.at(k));
    }
}

#[test]
fn equal_ends_are_a_constant() {
    for rate in [0.1, 0.3, 0.7, 1e-3] {
        for k in 0..12 {
            assert_eq!(Schedule::linear(rate, rate, 10).unwrap().at(k), rate);
            assert_eq!(Schedule::cosine(rate, rate, 10).unwrap().at(k), rate);
            assert_eq!(Schedule::cosine_restarts(rate, rate, 3, 2).unwrap().at(k), rate);
        }
    }
}

// Far steps -----------------------------------------------------------------------------------------------------------

#[test]
fn exact_at_a_trillion() {
    let (quarter, n) = (TRILLION / 4, TRILLION);
    let ks = [0, quarter, 2 * quarter, 3 * quarter, n, n + 1, u64::MAX];
    assert_eq!(at(Schedule::linear(0.0, 1.0, n).unwrap(), ks), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0]);
    assert_eq!(at(Schedule::polynomial(1.0, 0.0, 2.0, n).unwrap(), ks), [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0, 0.0]);
    assert_eq!(at(Schedule::cosine(1.0, 0.0, n).unwrap(), [n / 2, n]), [0.5, 0.0]);
    assert_eq!(at(Schedule::step_decay(1.0, 0.5, n).unwrap(), [n - 1, n, 2 * n]), [1.0, 0.5, 0.25]);
    assert_eq!(at(Schedule::cosine_restarts(1.0, 0.0, n, 2).unwrap(), [n, 2 * n, 3 * n]), [1.0, 0.5, 1.0]);
    let joined = Schedule::constant(0.5).unwrap().then(n, Schedule::linear(1.0, 0.0, 4).unwrap());
    assert_eq!(at(&joined, [n - 1, n, n + 1, n + 4]), [0.5, 1.0, 0.75, 0.0]);
}

/// f32 has 24 bits and f64 53: a counter of these types would stand still. A step of the u64 moves the value still.
#[test]
fn schedules_count_beyond_24_and_53_bits() {
    let start = 1 << 60;
    let ramp = Schedule::constant(0.0).unwrap().then(start, Schedule::linear(0.0, 1.0, 4).unwrap());
    assert_eq!(at(&ramp, [start - 1, start, start + 1, start + 2, start + 3]), [0.0, 0.0, 0.25, 0.5, 0.75]);
    let decay = Schedule::step_decay(1.0, 0.5, (1 << 53) + 1).unwrap();
    assert_eq!(at(&decay, [1 << 53, (1 << 53) + 1, (1 << 54) + 1, (1 << 54) + 2]), [1.0, 0.5, 0.5, 0.25]);
    let restarts = Schedule::cosine_restarts(1.0, 0.0, 2, 1).unwrap();
    assert_eq!(at(&restarts, [TRILLION, TRILLION + 1, TRILLION + 2]), [1.0, 0.5, 1.0]);
    assert_eq!(at(&restarts, [(1 << 60) + 1, (1 << 60) + 2]), [0.5, 1.0]);
}

// True values, worked out in 80 decimal digits (Python's `decimal`) ---------------------------------------------------

/// factor^k of the f64 nearest to the decimal written: 1 ulp, at any exponent.
/// `float(Decimal(factor) ** k)` with 80 digits.
#[test]
fn powers_are_right_to_the_last_bit() {
    let truths: [(f64, u64, f64); 7] = [
        (0.999_999_999_999, TRILLION, 0.367_887_579_387_309_76),
        (0.999_999_9, 3_000_000_000, 5.148_123_812_906_238e-131),
        (0.9999, 123_456, 4.346_162_347_759_27e-6),
        (0.99, 50_000, 5.750_821_364_590_612e-219),
        (0.9, 6000, 2.851_390_090_453_217_4e-275),
        (0.3, 400, 7.055_079_108_655_229e-210),
        (0.1, 300, 1.000_000_000_000_016_6e-300),
    ];
    for (factor, k, truth) in truths {
        let got = Schedule::step_decay(1.0, factor, 1).unwrap().at(k);
        assert!(got.to_bits().abs_diff(truth.to_bits()) <= 1, "{factor}^{k}: {got:e}, expected {truth:e}");
        assert_eq!(Schedule::step_decay(1.0, factor, 3).unwrap().at(3 * k + 2), got);
        assert_eq!(Schedule::step_decay(0.5, factor, 1).unwrap().at(k), 0.5 * got);
    }
    // The standard library, by another way: (1 - 10^-12)^(10^12) = exp(10^12 ln(1 - 10^-12)).
    let factor = 0.999_999_999_999_f64;
    let by_exp = (1e12 * (factor - 1.0).ln_1p()).exp();
    assert!((Schedule::step_decay(1.0, factor, 1).unwrap().at(TRILLION) / by_exp - 1.0).abs() < 1e-15);
}

/// `(from, to, k, steps, truth)`, π and cos to 80 digits. Off by at most 2^-53 of the larger rate.
#[test]
fn cosines_are_right_to_the_last_bit() {
    let truths = [
        (1.0, 0.0, 1, 4, 0.853_553_390_593_273_7),
        (1.0, 0.0, 3, 4, 0.146_446_609_406_726_24),
        (1.0, 0.0, 1, 6, 0.933_012_701_892_219_3),
        (1.0, 0.0, 5, 6, 0.066_987_298_107_780_67),
        (0.1, 0.001, 1, 100, 0.099_975_574_738_103_71),
        (0.1, 0.001, 37, 100, 0.070_158_820_586_421_64),
        (0.1, 0.001, 63, 100, 0.030_841_179_413_578_362),
        (0.1, 0.001, 99, 100, 0.001_024_425_261_896_287_9),
        (0.3, 0.7, 17, 1000, 0.300_285_163_776_098_04),
        (0.5, 0.0, 123_456_789_012, TRILLION, 0.481_430_992_647_366_94),
        (0.5, 0.0, 999_999_000_000, TRILLION, 1.233_700_550_135_155_2e-12),
        (1.0, 0.0, 999_999, 1_000_000, 2.467_401_100_270_310_3e-12),
    ];
    for (from, to, k, steps, truth) in truths {
        let got = Schedule::cosine(from, to, steps).unwrap().at(k);
        let off = (got - truth).abs();
        assert!(off <= f64::EPSILON / 2.0 * f64::max(from, to), "{from} {to} {k}/{steps}: {got:e}, off by {off:e}");
    }
}

/// The library's cosine and powf as a second opinion, all along.
#[test]
fn agrees_with_the_standard_library() {
    for k in 0..=1000_u64 {
        let t = k as f64 / 1000.0;
        let half = (1.0 + (std::f64::consts::PI * t).cos()) / 2.0;
        assert!((Schedule::cosine(1.0, 0.0, 1000).unwrap().at(k) - half).abs() < 4e-16, "{k}");
        assert!((Schedule::polynomial(1.0, 0.0, 7.0, 1000).unwrap().at(k) - (1.0 - t).powi(7)).abs() < 1e-15, "{k}");
        assert!(
            (Schedule::step_decay(1.0, 0.99, 1).unwrap().at(k) / 0.99_f64.powf(k as f64) - 1.0).abs() < 1e-14,
            "{k}"
        );
    }
}

/// Literal bits: another machine, feature or release must give these. A change here is a change of values.
#[test]
fn value_stability_schedules() {
    let ks = [0, 1, 33, 66, 99, 100, 150, 1000, TRILLION];
    let bits = |schedule: &Schedule| ks.map(|k| schedule.at(k).to_bits());
    let golden = [
        (
            "linear",
            bits(&Schedule::linear(0.001, 0.1, 100).unwrap()),
            [
                0x3f50_624d_d2f1_a9fc,
                0x3f60_4d55_1d68_c693,
                0x3fa1_3d31_b9b6_6f94,
                0x3fb0_fba8_826a_a8ec,
                0x3fb9_58b8_27fa_1a0d,
                0x3fb9_9999_9999_999a,
                0x3fb9_9999_9999_999a,
                0x3fb9_9999_9999_999a,
                0x3fb9_9999_9999_999a,
            ],
        ),
        (
            "polynomial",
            bits(&Schedule::polynomial(0.1, 0.001, 3.0, 100).unwrap()),
            [
                0x3fb9_9999_9999_999a,
                0x3fb8_d8e5_e40e_cc91,
                0x3f9f_839f_53ba_33bb,
                0x3f74_08af_95c9_1953,
                0x3f50_62b8_1fdb_566c,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
            ],
        ),
        (
            "step_decay",
            bits(&Schedule::step_decay(0.1, 0.9, 7).unwrap()),
            [
                0x3fb9_9999_9999_999a,
                0x3fb9_9999_9999_999a,
                0x3fb0_cbd1_244a_6224,
                0x3fa3_d5ff_7202_d533,
                0x3f97_6d03_8db9_caa5,
                0x3f97_6d03_8db9_caa5,
                0x3f86_68b4_cfe7_acc9,
                0x3e61_12a6_c977_c5bc,
                0x0000_0000_0000_0000,
            ],
        ),
        (
            "exponential",
            bits(&Schedule::step_decay(0.1, 0.99, 1).unwrap()),
            [
                0x3fb9_9999_9999_999a,
                0x3fb9_5810_624d_d2f2,
                0x3fb2_5fb8_047c_2a9e,
                0x3faa_6001_5675_4be7,
                0x3fa2_ee1e_cc69_db35,
                0x3fa2_bda8_bb02_65d1,
                0x3f96_ad39_c988_5c9c,
                0x3ed2_1b7a_367c_b40b,
                0x0000_0000_0000_0000,
            ],
        ),
        (
            "slow exponential",
            bits(&Schedule::step_decay(0.1, 0.999_999_999_999, 1).unwrap()),
            [
                0x3fb9_9999_9999_999a,
                0x3fb9_9999_9999_7d74,
                0x3fb9_9999_9995_f8c1,
                0x3fb9_9999_9992_57e8,
                0x3fb9_9999_998e_b710,
                0x3fb9_9999_998e_9aea,
                0x3fb9_9999_9989_1b92,
                0x3fb9_9999_992b_a6ba,
                0x3fa2_d5f9_e06a_2487,
            ],
        ),
        (
            "cosine",
            bits(&Schedule::cosine(0.1, 0.001, 100).unwrap()),
            [
                0x3fb9_9999_9999_999a,
                0x3fb9_97ff_cfe6_2231,
                0x3fb3_60ea_25fa_b957,
                0x3f9b_4af9_8357_d1f7,
                0x3f50_c8c0_3fcf_8424,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
            ],
        ),
        (
            "rising cosine",
            bits(&Schedule::cosine(0.001, 0.1, 10_000_000_000_000).unwrap()),
            [
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f50_624d_d2f1_a9fc,
                0x3f6c_09ed_61dd_95a0,
            ],
        ),
        (
            "restarts",
            bits(&Schedule::cosine_restarts(0.1, 0.001, 70, 2).unwrap()),
            [
                0x3fb9_9999_9999_999a,
                0x3fb9_9655_5ea8_cfe3,
                0x3fac_20b8_b903_71a1,
                0x3f5d_6acf_bae7_f094,
                0x3fb7_0299_789b_3ef1,
                0x3fb6_d5da_b688_77c6,
                0x3fa4_3767_eba0_d48b,
                0x3f68_0a49_62d2_f567,
                0x3f9a_dd61_efe3_fc01,
            ],
        ),
        (
            "even restarts",
            bits(&Schedule::cosine_restarts(0.1, 0.001, 70, 1).unwrap()),
            [
                0x3fb9_9999_9999_999a,
                0x3fb9_9655_5ea8_cfe3,
                0x3fac_20b8_b903_71a1,
                0x3f5d_6acf_bae7_f094,
                0x3fb0_4c99_9c3b_ffea,
                0x3faf_7edd_b629_ebf9,
                0x3fb8_5856_ffa7_922d,
                0x3fb4_d430_59b6_634c,
                0x3f94_1bc9_dcbb_f3d7,
            ],
        ),
        (
            "one-cycle",
            bits(&Schedule::one_cycle(0.004, 0.1, 4e-7, 60.0, 140.0).unwrap()),
            [
                0x3f70_624d_d2f1_a9fc,
                0x3f70_a748_225c_c810,
                0x3fae_77f1_ce45_2ec1,
                0x3fb9_7bf1_bd83_40e6,
                0x3fb5_00d3_6f6d_d18b,
                0x3fb4_c7db_37a3_7094,
                0x3f9c_fc46_3408_2372,
                0x3e9a_d7f2_9abc_af48,
                0x3e9a_d7f2_9abc_af48,
            ],
        ),
    ];
    for (name, got, expected) in golden {
        assert_eq!(got, expected, "{name}: {got:#x?}");
    }
    // Rounded to f32 by whoever uses it.
    let single = Schedule::cosine(0.1_f32.into(), 0.001_f32.into(), 100).unwrap();
    let got = ks.map(|k| (single.at(k) as f32).to_bits());
    assert_eq!(
        got,
        [
            0x3dcc_cccd,
            0x3dcc_bfff,
            0x3d9b_0751,
            0x3cda_57cc,
            0x3a86_4602,
            0x3a83_126f,
            0x3a83_126f,
            0x3a83_126f,
            0x3a83_126f
        ],
        "{got:#x?}"
    );
}

// Beside torch --------------------------------------------------------------------------------------------------------

/// `tests/data/torch_schedules.py` recorded them.
#[test]
fn as_torch() {
    let one_cycle = |total: f64, share: f64, [start, peak, end]: [f64; 3]| {
        Schedule::one_cycle(start, peak, end, share * total - 1.0, (1.0 - share) * total)
    };
    let rates = [0.02, 0.5, 2e-6];
    let momenta = [0.95, 0.85, 0.95];
    let cases = [
        ("one_cycle_whole", one_cycle(100.0, 0.31, rates)),
        ("one_cycle_whole_momentum", one_cycle(100.0, 0.31, momenta)),
        ("one_cycle_default_100", one_cycle(100.0, 0.3, rates)),
        ("one_cycle_default_100_momentum", one_cycle(100.0, 0.3, momenta)),
        ("one_cycle_default_47", one_cycle(47.0, 0.3, rates)),
        ("one_cycle_default_47_momentum", one_cycle(47.0, 0.3, momenta)),
        ("one_cycle_short", one_cycle(11.0, 0.25, rates)),
        ("one_cycle_short_momentum", one_cycle(11.0, 0.25, momenta)),
        ("multi_step", Schedule::piecewise_constant(0.1, &[(2, 0.05), (5, 0.025), (9, 0.0125)])),
        ("polynomial_0.9", Schedule::polynomial(0.05, 0.0, 0.9, 37)),
        ("polynomial_0.5", Schedule::polynomial(0.05, 0.0, 0.5, 37)),
        ("polynomial_2.5", Schedule::polynomial(0.05, 0.0, 2.5, 37)),
        ("polynomial_3.0", Schedule::polynomial(0.05, 0.0, 3.0, 37)),
        ("exponential", Schedule::geometric(0.05, 0.05 * 0.9_f64.powi(40), 40)),
    ];
    let recorded: Vec<_> = include_str!("../data/schedules.csv").lines().skip(1).collect();
    assert_eq!(recorded.len(), cases.len());
    for (line, (name, schedule)) in recorded.iter().zip(cases) {
        let (recorded, rates) = line.split_once(',').unwrap();
        assert_eq!(recorded, name);
        let schedule = schedule.unwrap();
        for (k, rate) in (0..).zip(rates.split(',').map(|rate| rate.parse::<f64>().unwrap())) {
            assert!((schedule.at(k) - rate).abs() < 1e-15, "{name} at {k}: {} and {rate}", schedule.at(k));
        }
    }
}

// Edges ---------------------------------------------------------------------------------------------------------------

#[test]
fn edges() {
    let (zero, one, half, max, tiny) = (0.0, 1.0, 0.5, f64::MAX, f64::from_bits(1));
    // The largest rates do not overflow on the way, the smallest are rounded once: half of tiny is a tie, to even.
    assert_eq!(at(Schedule::linear(max, zero, 2).unwrap(), [0, 1, 2]), [max, max * half, zero]);
    assert_eq!(at(Schedule::linear(max, max, 2).unwrap(), [0, 1, 2]), [max; 3]);
    assert_eq!(at(Schedule::cosine(zero, max, 2).unwrap(), [0, 1, 2]), [zero, max * half, max]);
    assert_eq!(at(Schedule::polynomial(max, zero, 1.0, 2).unwrap(), [0, 1, 2]), [max, max * half, zero]);
    assert_eq!(at(Schedule::linear(zero, tiny, 2).unwrap(), [0, 1, 2]), [zero, zero, tiny]);
    assert_eq!(at(Schedule::cosine(tiny * 3.0, zero, 2).unwrap(), [0, 1, 2])[1], tiny * 2.0);
    assert_eq!(at(Schedule::step_decay(max, half, 1).unwrap(), [0, 1, 2]), [max, max * half, max * half * half]);

    // Factors: 0^0 is 1, 1 stays 1, and a power below the smallest f64 is 0.
    assert_eq!(at(Schedule::step_decay(one, zero, 1).unwrap(), [0, 1, u64::MAX]), [one, zero, zero]);
    assert_eq!(at(Schedule::step_decay(tiny, one, 1).unwrap(), [0, 1, u64::MAX]), [tiny; 3]);
    assert_eq!(at(Schedule::step_decay(one, tiny, 1).unwrap(), [0, 1]), [one, tiny]);
    assert_eq!(at(Schedule::step_decay(max, tiny, 1).unwrap(), [500, u64::MAX]), [zero; 2]);

    // Steps: the first, the last that a u64 counts, and ramps over all of them.
    let last = u64::MAX;
    assert_eq!(at(Schedule::linear(zero, one, last).unwrap(), [0, last]), [zero, one]);
    assert_eq!(at(Schedule::cosine(one, half, last).unwrap(), [0, last]), [one, half]);
    assert_eq!(at(Schedule::polynomial(one, half, u32::MAX.into(), last).unwrap(), [0, last]), [one, half]);
    assert_eq!(at(Schedule::step_decay(one, half, last).unwrap(), [0, last - 1, last]), [one, one, half]);
    assert_eq!(at(Schedule::one_cycle(zero, one, half, 1.0, 1.0).unwrap(), [0, 1, 2, last]), [zero, one, half, half]);
    assert_eq!(at(Schedule::cosine_restarts(one, half, last, last).unwrap(), [0, last]), [one; 2]);
}

/// A power below f64's smallest is 0, and so is the rate, though their product would have been 2^-100.
#[test]
fn a_power_below_f64_is_zero() {
    let schedule = Schedule::step_decay(2.0_f64.powi(1000), 0.5, 1).unwrap();
    assert_eq!(at(&schedule, [1074, 1075, 1100]), [2.0_f64.powi(-74), 0.0, 0.0]);
}

// What is refused -----------------------------------------------------------------------------------------------------

/// The message of the refusal; the empty text where there is none.
fn refusal(schedule: Result<Schedule, Error>) -> String {
    schedule.err().map_or(String::new(), |error| error.to_string())
}

#[test]
fn bad_rates_are_refused() {
    for (bad, text) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let message = |name: &str| format!("{name} is {text}, expected a finite number of at least 0");
        assert_eq!(refusal(Schedule::constant(bad)), message("learning_rate"));
        assert_eq!(refusal(Schedule::step_decay(bad, 0.5, 1)), message("learning_rate"));
        assert_eq!(refusal(Schedule::inverse_time(bad, 0.5, 1)), message("learning_rate"));
        for (from, to, name) in [(bad, 0.5, "from"), (0.5, bad, "to")] {
            let above_zero = format!("{name} is {text}, expected a finite number above 0");
            assert_eq!(refusal(Schedule::geometric(from, to, 1)), above_zero);
            assert_eq!(refusal(Schedule::linear(from, to, 1)), message(name));
            assert_eq!(refusal(Schedule::polynomial(from, to, 2.0, 1)), message(name));
            assert_eq!(refusal(Schedule::cosine(from, to, 1)), message(name));
            assert_eq!(refusal(Schedule::cosine_restarts(from, to, 1, 1)), message(name));
        }
        assert_eq!(refusal(Schedule::one_cycle(bad, 0.5, 0.5, 1.0, 1.0)), message("start"));
        assert_eq!(refusal(Schedule::one_cycle(0.5, bad, 0.5, 1.0, 1.0)), message("peak"));
        assert_eq!(refusal(Schedule::one_cycle(0.5, 0.5, bad, 1.0, 1.0)), message("end"));
    }
    assert_eq!(refusal(Schedule::linear(-0.0, f64::MAX, 1)), "");
}

#[test]
fn bad_factors_are_refused() {
    for (bad, text) in [(-0.5, "-0.5"), (1.5, "1.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let message = format!("factor is {text}, expected a number of at least 0 and at most 1");
        assert_eq!(refusal(Schedule::step_decay(0.1, bad, 1)), message);
    }
}

#[test]
fn bad_powers_and_lengths_are_refused() {
    for (bad, text) in
        [(-0.5, "-0.5"), (0.0, "0.0"), (4_294_967_296.0, "4294967296.0"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")]
    {
        let message = format!("power is {text}, expected a number above 0 and at most 4294967295");
        assert_eq!(refusal(Schedule::polynomial(0.1, 0.5, bad, 1)), message);
        assert_eq!(refusal(Schedule::inverse_time(0.1, bad, 1)), message);
        if bad < 1.0 || !bad.is_finite() {
            let message = |name| format!("{name} is {text}, expected a finite number above 0");
            assert_eq!(refusal(Schedule::one_cycle(0.1, 0.5, 0.1, bad, 1.0)), message("rise"));
            assert_eq!(refusal(Schedule::one_cycle(0.1, 0.5, 0.1, 1.0, bad)), message("fall"));
        }
    }
    assert_eq!(refusal(Schedule::geometric(0.0, 0.1, 1)), "from is 0.0, expected a finite number above 0");
    assert_eq!(refusal(Schedule::one_cycle(0.1, 0.5, 0.1, f64::MAX, f64::MIN_POSITIVE)), "");
}

#[test]
fn zero_steps_are_refused() {
    assert_eq!(refusal(Schedule::geometric(0.1, 1.0, 0)), "steps is 0, expected at least 1");
    assert_eq!(refusal(Schedule::inverse_time(0.1, 1.0, 0)), "steps is 0, expected at least 1");
    assert_eq!(refusal(Schedule::linear(0.0, 1.0, 0)), "steps is 0, expected at least 1");
    assert_eq!(refusal(Schedule::polynomial(0.0, 1.0, 2.0, 0)), "steps is 0, expected at least 1");
    assert_eq!(refusal(Schedule::step_decay(0.1, 0.5, 0)), "every is 0, expected at least 1");
    assert_eq!(refusal(Schedule::cosine(0.0, 1.0, 0)), "steps is 0, expected at least 1");
    assert_eq!(refusal(Schedule::cosine_restarts(0.0, 1.0, 0, 1)), "steps is 0, expected at least 1");
    assert_eq!(refusal(Schedule::cosine_restarts(0.0, 1.0, 1, 0)), "growth is 0, expected at least 1");
    assert_eq!(refusal(Schedule::one_cycle(0.0, 1.0, 0.0, 0.0, 1.0)), "rise is 0.0, expected a finite number above 0");
    assert_eq!(refusal(Schedule::one_cycle(0.0, 1.0, 0.0, 1.0, 0.0)), "fall is 0.0, expected a finite number above 0");
}

// Properties ----------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(config(300))]

    /// At any step at all: a learning rate that an optimizer takes, between the two ends (but for a rounding).
    #[test]
    fn always_between_its_ends(from in 0.0..10.0_f64, to in 0.0..10.0_f64, k: u64, steps in 1..=u64::MAX, growth in 1..9_u64) {
        let (low, high) = (from.min(to), from.max(to));
        let values = [
            Schedule::linear(from, to, steps).unwrap().at(k),
            Schedule::polynomial(from, to, 3.0, steps).unwrap().at(k),
            Schedule::polynomial(from, to, 0.3, steps).unwrap().at(k),
            Schedule::geometric(from + 1e-9, to + 1e-9, steps).unwrap().at(k),
            Schedule::cosine(from, to, steps).unwrap().at(k),
            Schedule::cosine_restarts(from, to, steps, growth).unwrap().at(k),
            Schedule::cosine_restarts(from, to, 1 + steps % 100, growth).unwrap().at(k),
            Schedule::one_cycle(from, to, from, steps as f64, steps as f64).unwrap().at(k),
        ];
        for value in values {
            prop_assert!(value >= low * (1.0 - 1e-15) && value <= (high + 1e-9) * (1.0 + 1e-15), "{:?}", values);
        }
    }

    /// A tree of joints, built from the leaves, against the definition: `first` before `steps`, `next` from there on.
    #[test]
    fn joined_in_any_way(joints in prop::collection::vec((any::<bool>(), 0..40_u64, 0..40_u64), 0..8)) {
        let piece = |i: usize| Schedule::linear(i as f64, i as f64 + 1.0, 50).unwrap();
        let (mut joined, mut rate): (_, Box<dyn Fn(u64) -> f64>) = (piece(0), Box::new(move |k| piece(0).at(k)));
        for (i, &(on_the_left, inner, steps)) in joints.iter().enumerate() {
            let pair = move |k| if k < inner { piece(i).at(k) } else { piece(i + 1).at(k - inner) };
            let other = piece(i).then(inner, piece(i + 1));
            if on_the_left {
                joined = other.then(steps, joined);
                rate = Box::new(move |k| if k < steps { pair(k) } else { rate(k - steps) });
            } else {
                joined = joined.then(steps, other);
                rate = Box::new(move |k| if k < steps { rate(k) } else { pair(k - steps) });
            }
        }
        for k in 0..400 {
            prop_assert_eq!(joined.at(k), rate(k));
        }
    }

    /// Down all the way, never up by more than a rounding.
    #[test]
    fn falling_schedules_fall(steps in 1..2000_u64, factor in 0.0..1.0_f64) {
        let falls = |schedule: &Schedule| (0..steps + 2).all(|k| schedule.at(k + 1) <= schedule.at(k) + 1e-16);
        prop_assert!(falls(&Schedule::linear(1.0, 0.1, steps).unwrap()));
        prop_assert!(falls(&Schedule::cosine(1.0, 0.1, steps).unwrap()));
        prop_assert!(falls(&Schedule::polynomial(1.0, 0.1, 2.0, steps).unwrap()));
        prop_assert!(falls(&Schedule::polynomial(1.0, 0.1, 0.9, steps).unwrap()));
        prop_assert!(falls(&Schedule::geometric(1.0, 0.1, steps).unwrap()));
        prop_assert!(falls(&Schedule::inverse_time(1.0, 0.1 + factor, steps).unwrap()));
        prop_assert!(falls(&Schedule::step_decay(1.0, factor, 1).unwrap()));
    }

    /// Restart i of period steps · growth^i is the plain cosine of that period.
    #[test]
    fn each_restart_is_a_cosine(steps in 1..50_u64, growth in 1..5_u64, nth in 0..6_u32, k in 0..40_000_u64) {
        let start: u64 = (0..nth).map(|i| steps * growth.pow(i)).sum();
        let period = steps * growth.pow(nth);
        let k = k % period;
        let (restarts, once) = (Schedule::cosine_restarts(0.1, 0.01, steps, growth).unwrap(), Schedule::cosine(0.1, 0.01, period).unwrap());
        prop_assert_eq!(restarts.at(start + k).to_bits(), once.at(k).to_bits());
    }
}

// Far steps and high powers against true values -----------------------------------------------------------------------

/// `(from, to, power, steps, k, truth)`. Python, with 150 digits:
/// `float(D(to) + (D(from) - D(to)) * (D(steps - k) / D(steps)) ** power)`.
#[test]
fn polynomials_are_right_to_the_last_bit() {
    let truths: [(f64, f64, u32, u64, u64, f64); 14] = [
        (1.0, 0.0, 1_000_000_000, TRILLION, 3, 0.997_004_495_503_368_4),
        (1.0, 0.0, u32::MAX, u64::MAX, 12_345_678_901, 0.056_447_043_408_763_65),
        (1.0, 0.0, 3, TRILLION, TRILLION - 7, 3.43e-34),
        (0.1, 0.001, 3, 100, 33, 0.030_775_537_000_000_002),
        (0.1, 0.001, 3, 100, 66, 0.004_891_096),
        (0.3, 0.7, 5, 1_000, 17, 0.332_863_485_525_942_8),
        (0.7, 0.3, 3, 1_000, 4, 0.695_219_174_399_999_9),
        (1.0, 0.0, 1, u64::MAX, u64::MAX - 3, 1.626_303_258_728_256_7e-19),
        (0.5, 0.1, 2, u64::MAX, (1 << 63) + 12_345, 0.199_999_999_999_999_73),
        (0.0, 1.0, 1, TRILLION, 1, 1e-12),
        (0.0, 1.0, 1_000_000_000, TRILLION, 3, 0.002_995_504_496_631_510_6),
        (1e-08, 0.1, 7, 1_000_000, 1, 7.099_978_300_037_1e-07),
        (f64::MAX, 1e300, 3, 7, 2, 6.551_359_884_483_658e307),
        (3e-300, 1e-300, 2, 7, 3, 1.653_061_224_489_796e-300),
    ];
    for (from, to, power, steps, k, truth) in truths {
        let got = Schedule::polynomial(from, to, power.into(), steps).unwrap().at(k);
        assert_eq!(got, truth, "{from} {to} ^{power} {k}/{steps}: {got:e}, expected {truth:e}");
    }
}

/// As above: powers that are not whole.
#[test]
fn broken_powers_are_right_to_the_last_bit() {
    let truths: [(f64, f64, f64, u64, u64, f64); 9] = [
        (0.1, 0.0, 0.9, 20_000, 1, 0.099_995_499_988_749_8),
        (0.1, 0.0, 0.9, 20_000, 19_999, 1.346_086_609_098_477_8e-5),
        (0.1, 0.001, 0.5, 100, 33, 0.082_034_992_441_537_27),
        (0.3, 0.7, 1.5, 1_000, 17, 0.310_156_526_385_268_3),
        (1.0, 0.0, 0.1, u64::MAX, u64::MAX - 1, 0.011_841_535_675_862_483),
        (1.0, 0.0, 1_000_000_000.5, TRILLION, 3, 0.997_004_495_501_873),
        (0.7, 0.3, std::f64::consts::E, 1_000, 4, 0.695_665_681_233_716_5),
        (1.0, 0.0, 1e-5, 100, 50, 0.999_993_068_552_217),
        (1.0, 0.0, 1e-30, 100, 50, 1.0),
    ];
    for (from, to, power, steps, k, truth) in truths {
        let got = Schedule::polynomial(from, to, power, steps).unwrap().at(k);
        assert_eq!(got, truth, "{from} {to} ^{power} {k}/{steps}: {got:e}, expected {truth:e}");
    }
}

/// (3/4)^2462 is 2^-1021.8, the last power that is a normal number, and has all digits. (3/4)^2500 is 2^-1037.6: 37 bits are
/// left of it, and (3/4)^2580 has five. Times 10^300, so that it shows. (Python: `float(Fraction(3, 4) ** 2462 * 10 ** 300)`.)
#[test]
fn a_power_below_the_normal_numbers_loses_digits() {
    let off = |power, truth: f64| (Schedule::polynomial(1e300, 0.0, power, 4).unwrap().at(1) / truth - 1.0).abs();
    assert!(off(2461.0, 3.355_592_437_637_783e-8) < 1e-15 && off(2462.0, 2.516_694_328_228_337e-8) < 1e-15);
    assert!((1e-13..1e-11).contains(&off(2500.0, 4.499_440_148_913_483e-13)));
    assert!((1e-3..0.2).contains(&off(2580.0, 4.550_504_525_231_912e-23)));
    assert_eq!(Schedule::polynomial(1e300, 0.0, 2600.0, 4).unwrap().at(1), 0.0);
}

/// `(from, to, steps, k, truth)`. Python's mpmath with 60 digits: `from ** (1 - k / steps) * to ** (k / steps)`.
#[test]
fn geometric_schedules_are_right_to_the_last_bit_or_two() {
    let truths: [(f64, f64, u64, u64, f64); 13] = [
        (1e-8, 10.0, 100, 1, 1.230_268_770_812_381_6e-8),
        (1e-8, 10.0, 100, 37, 2.137_962_089_502_232e-5),
        (1e-8, 10.0, 100, 99, 8.128_305_161_640_993),
        (0.1, 0.001, 7, 3, 0.013_894_954_943_731_377),
        (0.3, 0.7, TRILLION, 123_456_789, 0.300_031_383_043_328_9),
        (1.0, 8.0, 3, 1, 2.0),
        (1e300, 1e-300, 3, 1, 1e100),
        (f64::from_bits(1), f64::MAX, 1_000, 1, f64::from_bits(4)),
        (f64::from_bits(1), f64::MAX, 1_000, 500, 2.980_232_238_769_531e-8),
        (f64::from_bits(1), f64::MAX, 1_000, 999, 4.199_084_643_015_037e307),
        (f64::MIN_POSITIVE, 1e300, u64::MAX, (1 << 63) + 12_345, 0.000_149_166_814_624_143_83),
        // Found by the fuzz target: they were the largest f64.
        (f64::MAX, f64::from_bits(1), TRILLION, 1, 1.797_693_132_248_069_5e308),
        (f64::MAX, f64::from_bits(1), u64::MAX, 1 << 23, 1.797_693_133_673_494e308),
    ];
    for (from, to, steps, k, truth) in truths {
        let got = Schedule::geometric(from, to, steps).unwrap().at(k);
        let off = got.to_bits().abs_diff(truth.to_bits());
        assert!(off <= 1, "{from:e} to {to:e} {k}/{steps}: {got:e}, expected {truth:e}");
    }
}

/// `(learning_rate, power, steps, k, truth)`, in the same way: `rate * (steps / (steps + k)) ** power`.
#[test]
fn inverse_times_are_right_to_the_last_bit_or_two() {
    let truths: [(f64, f64, u64, u64, f64); 9] = [
        (0.5, 0.5, 4_000, 1, 0.499_937_511_716_309_1),
        (0.1, 1.0, 100, 50, 0.066_666_666_666_666_67),
        (0.1, 1.0, 100, TRILLION, 9.999_999_999_000_001e-12),
        (0.3, 0.75, 10_000, 12_345, 0.164_148_147_358_576_44),
        (0.3, 2.5, 7, u64::MAX, 2.661_135_867_331_478_4e-47),
        (0.3, 0.1, u64::MAX, u64::MAX, 0.279_909_897_461_042_2),
        (1.0, u32::MAX.into(), u64::MAX, 12_345_678_901, 0.056_447_043_517_354_085),
        (0.7, 1e-3, 3, 1_000_000_000, 0.686_396_659_517_860_3),
        (0.7, 1e-9, 1, u64::MAX, 0.699_999_968_947_007),
    ];
    for (rate, power, steps, k, truth) in truths {
        let got = Schedule::inverse_time(rate, power, steps).unwrap().at(k);
        let off = got.to_bits().abs_diff(truth.to_bits());
        assert!(off <= 1, "{rate} ^{power} {k}/{steps}: {got:e}, expected {truth:e}");
    }
}

/// `(from, to, steps, k, line, cosine)` of the formulas in the same way, π and cos to 120 digits: also where k and steps
/// are rounded to f64.
#[test]
fn far_lines_and_cosines_keep_to_their_bound() {
    let truths: [(f64, f64, u64, u64, f64, f64); 6] = [
        (0.1, 0.3, u64::MAX, (1 << 53) + 1, 0.100_097_656_25, 0.100_000_117_654_829_81),
        (0.1, 0.3, u64::MAX, (1 << 63) + 12_345, 0.200_000_000_000_000_12, 0.200_000_000_000_000_2),
        (0.3, 0.1, u64::MAX - 2, u64::MAX - 4097, 0.100_000_000_000_000_05, 0.1),
        (1.0, 0.0, (1 << 60) + 1, (1 << 60) - 4096, 3.553_581_040_538_489e-15, 3.115_818_863_765_706e-29),
        (
            0.7,
            0.001,
            10_000_000 * TRILLION,
            3_000_000 * TRILLION + 1,
            0.490_299_999_999_999_96,
            0.555_930_945_676_219_4,
        ),
        (0.0, 1.0, (1 << 53) + 1, 1 << 53, 0.999_999_999_999_999_9, 1.0),
    ];
    for (from, to, steps, k, line, curve) in truths {
        let bound = from.max(to) / (1_u64 << 50) as f64;
        for (got, truth) in [
            (Schedule::linear(from, to, steps).unwrap().at(k), line),
            (Schedule::cosine(from, to, steps).unwrap().at(k), curve),
        ] {
            assert!((got - truth).abs() < bound, "{from} {to} {k}/{steps}: {got:e}, expected {truth:e}");
        }
    }
}
