//! Schedules: the value at step 0, at the joints, past the end, and at 10^12 steps, to the bit.

use std::borrow::Borrow;

use gradstep::{Error, Optimizer, Schedule, Sgd};
use proptest::prelude::*;

use crate::common::{config, golden, says};

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
    // From the smallest number to the largest, never beyond.
    let all = Schedule::geometric(f64::from_bits(1), f64::MAX, u64::MAX).unwrap();
    assert_eq!(at(&all, [1, 1000, u64::MAX]), [f64::from_bits(1), f64::from_bits(1), f64::MAX]);
    // The largest times exp(-1454 / 2^64), which is 0.7 units in the last place less.
    assert_eq!(all.at(u64::MAX - 1), f64::from_bits(f64::MAX.to_bits() - 1));
}

#[test]
fn piecewise_constant_changes_at_each_boundary() {
    let schedule = Schedule::piecewise_constant(0.1, &[(2, 0.5), (5, 0.0), (u64::MAX, 0.3)]).unwrap();
    assert_eq!(at(&schedule, [0, 1, 2, 4, 5, TRILLION, u64::MAX]), [0.1, 0.1, 0.5, 0.5, 0.0, 0.0, 0.3]);
    assert_eq!(Schedule::piecewise_constant(0.1, &[]), Schedule::constant(0.1));
    let constant = |rate| Schedule::constant(rate).unwrap();
    let joined = constant(0.1).then(2, constant(0.5)).then(5, constant(0.0)).then(u64::MAX, constant(0.3));
    assert_eq!(schedule, joined);
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
    // 1 + k / n is 1.1250077…, of numbers with more bits than an f64 has: the quotient to 60 digits is 0.888882764364209….
    let schedule = Schedule::inverse_time(1.0, 1.0, 9_223_372_037_937_045_569).unwrap();
    assert_eq!(schedule.at(1_152_992_998_833_853_505), 0.8888827643642092);
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
    // Beyond 2^53 too each step differs from the next.
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
fn even_restarts() {
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

/// "`from` at step 0, `to` at `steps`": exactly the numbers given.
#[test]
fn the_ends_are_the_numbers_given() {
    let rates = [0.1, 0.7, 0.3, 1e-3, 1e-8, 0.0, -0.0, 3.0, f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1)];
    for (from, to) in rates.iter().flat_map(|&from| rates.map(|to| (from, to))) {
        let is = |schedule: Result<Schedule, Error>, steps, expected: [f64; 3]| {
            let schedule = schedule.unwrap();
            assert_eq!(at(&schedule, steps).map(f64::to_bits), expected.map(f64::to_bits), "{schedule:?}");
        };
        is(Schedule::linear(from, to, 10), [0, 10, 11], [from, to, to]);
        is(Schedule::polynomial(from, to, 3.0, 10), [0, 10, 11], [from, to, to]);
        is(Schedule::cosine(from, to, 10), [0, 10, 11], [from, to, to]);
        is(Schedule::cosine_restarts(from, to, 10, 2), [0, 10, 30], [from; 3]);
        is(Schedule::one_cycle(from, to, from, 10.0, 10.0), [0, 10, 20], [from, to, from]);
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

/// f32 has 24 bits and f64 53: counters of these types would stand still. Each step of the u64 changes the value.
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

// Beside values from elsewhere ----------------------------------------------------------------------------------------

/// The schedule that tests/data names by its constructor and its arguments.
fn parsed(name: &str) -> Schedule {
    let words: Vec<&str> = name.split(' ').collect();
    let (x, n) = (|i: usize| words[i].parse::<f64>().unwrap(), |i: usize| words[i].parse::<u64>().unwrap());
    let schedule = match words[0] {
        "linear" => Schedule::linear(x(1), x(2), n(3)),
        "polynomial" => Schedule::polynomial(x(1), x(2), x(3), n(4)),
        "step_decay" => Schedule::step_decay(x(1), x(2), n(3)),
        "cosine" => Schedule::cosine(x(1), x(2), n(3)),
        "cosine_restarts" => Schedule::cosine_restarts(x(1), x(2), n(3), n(4)),
        "one_cycle" => Schedule::one_cycle(x(1), x(2), x(3), x(4), x(5)),
        "geometric" => Schedule::geometric(x(1), x(2), n(3)),
        "inverse_time" => Schedule::inverse_time(x(1), x(2), n(3)),
        _ => panic!("no schedule {name}"),
    };
    schedule.unwrap()
}

/// `tests/data/schedules.py` wrote them, from the formulas. Lines and cosines are within so many 2^-53 of the larger rate, all
/// others within so many units in the last place.
#[test]
fn values_are_right_to_the_last_bits() {
    for row in golden::table(include_str!("../data/schedule_values.csv"), 76) {
        let (got, truth) = (parsed(row[0]).at(row[1].parse().unwrap()), row[2].parse::<f64>().unwrap());
        let within: u32 = row[3].parse().unwrap();
        let near = match row[0].split(' ').collect::<Vec<_>>()[..] {
            ["linear" | "cosine", from, to, _] => {
                let larger = f64::max(from.parse().unwrap(), to.parse().unwrap());
                (got - truth).abs() <= f64::from(within) * larger * f64::EPSILON / 2.0
            }
            _ => got.to_bits().abs_diff(truth.to_bits()) <= within.into(),
        };
        assert!(near, "{row:?}: {got:e}");
    }
}

/// Beside the standard library's cosine and powf at every step.
#[test]
fn agrees_with_the_standard_library() {
    for k in 0..=1000_u64 {
        let t = k as f64 / 1000.0;
        let half = (1.0 + (std::f64::consts::PI * t).cos()) / 2.0;
        assert!((Schedule::cosine(1.0, 0.0, 1000).unwrap().at(k) - half).abs() < 4e-16, "{k}");
        assert!((Schedule::polynomial(1.0, 0.0, 7.0, 1000).unwrap().at(k) - (1.0 - t).powi(7)).abs() < 1e-15, "{k}");
        let power = Schedule::step_decay(1.0, 0.99, 1).unwrap().at(k);
        assert!((power / 0.99_f64.powf(k as f64) - 1.0).abs() < 1e-14, "{k}");
    }
}

/// Literal bits: another machine, feature or release must give these. A change here is a change of values.
#[test]
fn value_stability_schedules() {
    for row in golden::table(include_str!("../data/schedule_bits.csv"), 10) {
        let got = at(parsed(row[0]), [0, 1, 33, 66, 99, 100, 150, 1000, TRILLION]);
        assert_eq!(got.map(|value| format!("{:016x}", value.to_bits())), row[1..], "{}", row[0]);
    }
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

// Rejected inputs -----------------------------------------------------------------------------------------------------

#[test]
fn bad_rates_are_rejected() {
    for bad in [-0.5, f64::NAN, f64::INFINITY] {
        let message = |name: &str| format!("{name} is {bad:?}, expected a finite number of at least 0");
        says(Schedule::constant(bad), &message("learning_rate"));
        says(Schedule::step_decay(bad, 0.5, 1), &message("learning_rate"));
        says(Schedule::inverse_time(bad, 0.5, 1), &message("learning_rate"));
        says(Schedule::piecewise_constant(0.1, &[(3, bad)]), &message("learning_rate"));
        for (from, to, name) in [(bad, 0.5, "from"), (0.5, bad, "to")] {
            says(Schedule::geometric(from, to, 1), &format!("{name} is {bad:?}, expected a finite number above 0"));
            says(Schedule::linear(from, to, 1), &message(name));
            says(Schedule::polynomial(from, to, 2.0, 1), &message(name));
            says(Schedule::cosine(from, to, 1), &message(name));
            says(Schedule::cosine_restarts(from, to, 1, 1), &message(name));
        }
        says(Schedule::one_cycle(bad, 0.5, 0.5, 1.0, 1.0), &message("start"));
        says(Schedule::one_cycle(0.5, bad, 0.5, 1.0, 1.0), &message("peak"));
        says(Schedule::one_cycle(0.5, 0.5, bad, 1.0, 1.0), &message("end"));
    }
    Schedule::linear(-0.0, f64::MAX, 1).unwrap();
}

#[test]
fn other_bad_settings_are_rejected() {
    for bad in [-0.5, 1.5, f64::NAN, f64::INFINITY] {
        let message = format!("factor is {bad:?}, expected a number of at least 0 and at most 1");
        says(Schedule::step_decay(0.1, bad, 1), &message);
    }
    // (1 - t)^0 would be 1 until the end, and no ramp.
    for bad in [-0.5, 0.0, 4_294_967_296.0, f64::NAN, f64::INFINITY] {
        let message = format!("power is {bad:?}, expected a number above 0 and at most 4294967295");
        says(Schedule::polynomial(0.1, 0.5, bad, 1), &message);
        says(Schedule::inverse_time(0.1, bad, 1), &message);
    }
    let above_0 = |name, bad: f64| format!("{name} is {bad:?}, expected a finite number above 0");
    for bad in [-0.5, 0.0, f64::NAN, f64::INFINITY] {
        says(Schedule::one_cycle(0.1, 0.5, 0.1, bad, 1.0), &above_0("rise", bad));
        says(Schedule::one_cycle(0.1, 0.5, 0.1, 1.0, bad), &above_0("fall", bad));
    }
    says(Schedule::geometric(0.0, 0.1, 1), &above_0("from", 0.0));
    Schedule::one_cycle(0.1, 0.5, 0.1, f64::MAX, f64::MIN_POSITIVE).unwrap();
    for no_steps in [
        Schedule::geometric(0.1, 1.0, 0),
        Schedule::inverse_time(0.1, 1.0, 0),
        Schedule::linear(0.0, 1.0, 0),
        Schedule::polynomial(0.0, 1.0, 2.0, 0),
        Schedule::cosine(0.0, 1.0, 0),
        Schedule::cosine_restarts(0.0, 1.0, 0, 1),
    ] {
        says(no_steps, "steps is 0, expected at least 1");
    }
    says(Schedule::step_decay(0.1, 0.5, 0), "every is 0, expected at least 1");
    says(Schedule::cosine_restarts(0.0, 1.0, 1, 0), "growth is 0, expected at least 1");
    for (boundaries, message) in [
        (&[(0, 0.2)][..], "boundary is 0, expected above 0"),
        (&[(3, 0.2), (3, 0.1)], "boundary is 3, expected above 3"),
        (&[(3, 0.2), (2, 0.1)], "boundary is 2, expected above 3"),
    ] {
        says(Schedule::piecewise_constant(0.1, boundaries), message);
    }
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

    /// The rate is a factor, and steps between two multiples of `every` change nothing.
    #[test]
    fn step_decay_by_its_powers(factor in 0.0..1.0_f64, k in 0..1_000_000_u64, every in 1..1000_u64, more in 0..1000_u64) {
        let power = Schedule::step_decay(1.0, factor, 1).unwrap().at(k);
        let value = Schedule::step_decay(0.5, factor, every).unwrap().at(k * every + more % every);
        prop_assert_eq!(value, 0.5 * power);
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
