//! The learning rate as a pure function of the step.
//!
//! Each function here returns a closure `Fn(u64) -> F`. Any closure of that type is a schedule as well: there is no trait
//! and no state. It returns the rate of any step directly, also of step 10^12: the step is a `u64`, the arithmetic f64,
//! rounded to `F` once at the end. Only +, −, × and ÷ are used, so the bits are the same everywhere.
//!
//! A call takes less than a microsecond and no memory. In the formulas k is the step, counted from 0, and t = k / steps.
//! Where another library is named, it is optax 0.2 or torch 2.11.
//!
//! Before the rounding to `F`, [`polynomial`], [`step_decay`] and [`exponential`] are right to the last bit or two.
//! [`linear`] and the cosines are off by less than 2^-50 of the larger rate, for k and steps up to 2^64: a value far below
//! that rate, as just before an end at 0, has fewer right digits. For a line with all digits use [`polynomial`] with
//! power 1.
//!
//! ```
//! use gradstep::{Optimizer, Sgd, schedule};
//!
//! // Five steps of linear warm-up from 0, then a cosine down to 0 over a hundred.
//! let schedule = schedule::then(schedule::linear(0.0, 0.4, 5)?, 5, schedule::cosine(0.4, 0.0, 100)?);
//! let mut sgd = Sgd::new(0.0_f32)?;
//! let mut params = [1.0];
//! for _ in 0..105 {
//!     sgd.set_learning_rate(schedule(sgd.steps()))?; // follows the steps applied
//!     let grads = params;
//!     sgd.step(&mut params, &grads)?;
//! }
//! assert_eq!((schedule(0), schedule(5), schedule(105)), (0.0, 0.4, 0.0));
//! # Ok::<(), gradstep::Error>(())
//! ```

use num_traits::Float;

use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
};

/// η(k) = `learning_rate` for every k.
///
/// # Errors
/// [`Error::Number`] if it is NaN, infinite or negative.
///
/// # Example
/// ```
/// let schedule = gradstep::schedule::constant(0.1)?;
/// assert_eq!(schedule(1_000_000_000_000), 0.1);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn constant<F: Float + Send + Sync>(learning_rate: F) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    check::learning_rate(learning_rate)?;
    Ok(move |_| learning_rate)
}

/// η(k) = from + (to − from) t, up or down; `from` at step 0, `to` at `steps` and ever after.
///
/// `linear(0.0, peak, steps)` is the linear warm-up (Goyal et al. 2017). As `optax.linear_schedule`.
///
/// # Errors
/// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `steps` is 0.
///
/// # Example
/// ```
/// let warmup = gradstep::schedule::linear(0.0, 0.5, 10)?;
/// assert_eq!([0, 5, 10, 99].map(warmup), [0.0, 0.25, 0.5, 0.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn linear<F: Float + Send + Sync>(
    from: F,
    to: F,
    steps: u64,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    check_ramp(from, to, steps)?;
    Ok(move |k: u64| between(to, from, k.min(steps) as f64 / steps as f64))
}

/// η(k) = to + (from − to) (1 − t)^power; `from` at step 0, `to` at `steps` and ever after.
///
/// As `optax.polynomial_schedule` with a whole power (other powers would not have the same bits everywhere). Exact to
/// the last bit or two of f64, for every power, up to 2^50 steps; beyond that, a rising schedule may be off by a few bits. A
/// (1 − t)^power below the smallest f64, 2^-1074, is 0.
///
/// # Errors
/// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `power` or `steps` is 0.
///
/// # Example
/// ```
/// let schedule = gradstep::schedule::polynomial(1.0, 0.0, 2, 4)?;
/// assert_eq!([0, 2, 3, 4, 5].map(schedule), [1.0, 0.25, 0.0625, 0.0, 0.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn polynomial<F: Float + Send + Sync>(
    from: F,
    to: F,
    power: u32,
    steps: u64,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    check::at_least_one("power", u64::from(power))?;
    check_ramp(from, to, steps)?;
    Ok(move |k: u64| {
        let rest = quotient(steps - k.min(steps), steps);
        exactly_between(from, to, exact_power(rest, u64::from(power)))
    })
}

/// η(k) = learning_rate · factor^⌊k / every⌋; `learning_rate` until step `every`, where the first decay comes.
///
/// As `torch.optim.lr_scheduler.StepLR`, but computed afresh at each step (to the last bit or two of f64 also for
/// exponents of 10^12). A power below the smallest normal f64 loses digits, and below 2^-1074 it is 0.
///
/// # Errors
/// [`Error::Number`] if the learning rate is NaN, infinite or negative, or the factor is not within 0 to 1;
/// [`Error::Count`] if `every` is 0.
///
/// # Example
/// ```
/// let schedule = gradstep::schedule::step_decay(0.5, 0.5, 30)?;
/// assert_eq!([0, 29, 30, 60].map(schedule), [0.5, 0.5, 0.25, 0.125]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn step_decay<F: Float + Send + Sync>(
    learning_rate: F,
    factor: F,
    every: u64,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    check::learning_rate(learning_rate)?;
    check::fraction("factor", factor)?;
    check::at_least_one("every", every)?;
    let (learning_rate, factor) = (to_f64(learning_rate), to_f64(factor));
    Ok(move |k| from_f64(learning_rate * exact_power((factor, 0.0), k / every).0))
}

/// η(k) = learning_rate · factor^k, which is `learning_rate` at step 0: [`step_decay`] at every step.
/// `torch.optim.lr_scheduler.ExponentialLR`.
///
/// # Errors
/// [`Error::Number`] if the learning rate is NaN, infinite or negative, or the factor is not within 0 to 1.
///
/// # Example
/// ```
/// let schedule = gradstep::schedule::exponential(1.0, 0.5)?;
/// assert_eq!([0, 1, 10].map(schedule), [1.0, 0.5, 1.0 / 1024.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn exponential<F: Float + Send + Sync>(
    learning_rate: F,
    factor: F,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    step_decay(learning_rate, factor, 1)
}

/// η(k) = to + (from − to) (1 + cos πt) / 2; `from` at step 0, `to` at `steps` and ever after.
///
/// Loshchilov and Hutter 2017 (SGDR); `torch.optim.lr_scheduler.CosineAnnealingLR` up to `steps`. With `from` below
/// `to` it rises.
///
/// # Errors
/// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `steps` is 0.
///
/// # Example
/// ```
/// let schedule = gradstep::schedule::cosine(1.0_f32, 0.0, 100)?;
/// assert_eq!([0, 50, 100, 101].map(schedule), [1.0, 0.5, 0.0, 0.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn cosine<F: Float + Send + Sync>(
    from: F,
    to: F,
    steps: u64,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    ramp(from, to, steps, half_cosine)
}

/// [`cosine`] again and again: the first time over `steps` steps, then each time over `growth` times as many.
///
/// η is `from` at each restart, at k = steps · (1 + growth + growth² + …); the step before comes close to `to`.
/// Loshchilov and Hutter 2017 (T₀ = steps, T_mult = growth); it has no end.
///
/// # Errors
/// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `steps` or `growth` is 0.
///
/// # Example
/// ```
/// let schedule = gradstep::schedule::cosine_restarts(1.0_f32, 0.0, 10, 2)?;
/// assert_eq!([0, 5, 10, 20, 30, 50].map(schedule), [1.0, 0.5, 1.0, 0.5, 1.0, 0.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn cosine_restarts<F: Float + Send + Sync>(
    from: F,
    to: F,
    steps: u64,
    growth: u64,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    check_ramp(from, to, steps)?;
    check::at_least_one("growth", growth)?;
    Ok(move |k| {
        // In u128, since the last period may end beyond u64.
        let (mut k, mut period) = (u128::from(k), u128::from(steps));
        if growth == 1 {
            k %= period;
        }
        // At most 64 times: the periods grow at least twofold.
        while k >= period {
            k -= period;
            period *= u128::from(growth);
        }
        between(from, to, half_cosine(k as f64 / period as f64))
    })
}

/// A [`cosine`] up from `start` to `peak` over `rise` steps, then one down to `end` over `fall` steps.
///
/// `start` at step 0, `peak` at `rise`, `end` at `rise + fall` and ever after. Smith and Topin 2018, with cosines as in
/// `torch.optim.lr_scheduler.OneCycleLR`, whose defaults are start = peak / 25, end = start / 10⁴ and rise : fall = 3 : 7,
/// and which comes to `peak` and to `end` one step earlier.
///
/// # Errors
/// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `rise` or `fall` is 0.
///
/// # Example
/// ```
/// let schedule = gradstep::schedule::one_cycle(0.0, 1.0, 0.5, 30, 70)?;
/// assert_eq!([0, 15, 30, 65, 100, 101].map(schedule), [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn one_cycle<F: Float + Send + Sync>(
    start: F,
    peak: F,
    end: F,
    rise: u64,
    fall: u64,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    for (name, learning_rate) in [("start", start), ("peak", peak), ("end", end)] {
        check::at_least_zero(name, learning_rate)?;
    }
    check::at_least_one("rise", rise)?;
    check::at_least_one("fall", fall)?;
    let (up, down) = (cosine(start, peak, rise)?, cosine(peak, end, fall)?);
    // `then`, but `Copy`. (At `rise` itself both give `peak`.)
    Ok(move |k| if k < rise { up(k) } else { down(k - rise) })
}

/// `first` for `steps` steps, then `next`, which begins at its own step 0.
///
/// The value at k = `steps` is `next(0)`. Join more by joining again. As `optax.join_schedules`.
///
/// # Example
/// ```
/// use gradstep::schedule::{constant, then};
/// let schedule = then(constant(0.1)?, 3, |k| 1.0 / (1.0 + k as f64));
/// assert_eq!([2, 3, 4].map(schedule), [0.1, 1.0, 0.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn then<F>(first: impl Fn(u64) -> F, steps: u64, next: impl Fn(u64) -> F) -> impl Fn(u64) -> F {
    move |k| if k < steps { first(k) } else { next(k - steps) }
}

fn check_ramp<F: Float>(from: F, to: F, steps: u64) -> Result<(), Error> {
    check::at_least_zero("from", from)?;
    check::at_least_zero("to", to)?;
    check::at_least_one("steps", steps)
}

/// `from` where `shape(t)` is 1, `to` where it is 0, as it must be at t = 1.
fn ramp<F: Float + Send + Sync>(
    from: F,
    to: F,
    steps: u64,
    shape: impl Fn(f64) -> f64 + Copy + Send + Sync,
) -> Result<impl Fn(u64) -> F + Copy + Send + Sync, Error> {
    check_ramp(from, to, steps)?;
    Ok(move |k: u64| between(from, to, shape(k.min(steps) as f64 / steps as f64)))
}

/// `to + (from - to) share`, and the ends themselves where the share is 1 or 0: rounding would not always lead back to
/// `from`, and adding 0 turns -0 into +0.
fn between<F: Float>(from: F, to: F, share: f64) -> F {
    let (wide_from, wide_to) = (to_f64(from), to_f64(to));
    match share {
        1.0 => from,
        0.0 => to,
        _ => from_f64(wide_to + (wide_from - wide_to) * share),
    }
}

/// [`between`], to the last bit: also where the two terms nearly cancel, and at a share that f64 cannot hold.
fn exactly_between<F: Float>(from: F, to: F, share: (f64, f64)) -> F {
    match share {
        (1.0, 0.0) => from,
        (0.0, _) => to,
        _ => {
            let (from, to) = (to_f64(from), to_f64(to));
            // So that the factor 2^27 in `product` does not overflow.
            let scale = if from.max(to) > 1e280 { 1.0 / (1_u64 << 60) as f64 } else { 1.0 };
            let (from, to) = (scale * from, scale * to);
            let (change, change_low) = product(sum(from, -to), share);
            let (high, low) = sum(to, change);
            from_f64((high + (low + change_low)) / scale)
        }
    }
}

/// (1 + cos πt) / 2, by the Taylor series: a library's cosine has other bits on other machines.
fn half_cosine(t: f64) -> f64 {
    let angle = core::f64::consts::PI * t.min(1.0 - t); // at most π/2, where the first term left out is below 2^-60
    let square = angle * angle;
    // 1 - x²/(1·2) (1 - x²/(3·4) (1 - …))
    let cosine = (2..=24).rev().step_by(2).map(f64::from).fold(1.0, |c, n| 1.0 - square / (n * (n - 1.0)) * c);
    if t <= 0.5 { (1.0 + cosine) / 2.0 } else { (1.0 - cosine) / 2.0 }
}

// Double-double arithmetic: a number is an unevaluated sum high + low, of some 106 bits.

/// base^exponent for a base within 0 to 1, by squaring.
///
/// Each squaring doubles the relative error, so plain f64 would be off by 10^-4 at exponents of 10^12.
fn exact_power(base: (f64, f64), mut exponent: u64) -> (f64, f64) {
    let (mut power, mut square) = ((1.0, 0.0), base);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = product(power, square);
        }
        square = product(square, square);
        exponent >>= 1;
    }
    power
}

/// a / b: what f64 makes of it, and the division of what that leaves.
fn quotient(a: u64, b: u64) -> (f64, f64) {
    let (a, b) = (exact(a), exact(b));
    let high = a.0 / b.0;
    let taken = product((high, 0.0), b);
    let low = ((a.0 - taken.0) + (a.1 - taken.1)) / b.0;
    (high + low, low - ((high + low) - high))
}

fn exact(count: u64) -> (f64, f64) {
    let high = count as f64;
    (high, (i128::from(count) - high as i128) as f64)
}

/// a + b without rounding (Knuth 1969).
fn sum(a: f64, b: f64) -> (f64, f64) {
    let high = a + b;
    let taken = high - a;
    (high, (a - (high - taken)) + (b - taken))
}

/// The product of two numbers (Dekker 1971).
fn product((a, a_low): (f64, f64), (b, b_low): (f64, f64)) -> (f64, f64) {
    let halves = |x: f64| {
        let high = x * 134_217_729.0; // 2^27 + 1
        let high = high - (high - x);
        (high, x - high)
    };
    let ((a1, a2), (b1, b2)) = (halves(a), halves(b));
    let high = a * b;
    let low = ((a1 * b1 - high) + a1 * b2 + a2 * b1) + a2 * b2 + (a * b_low + a_low * b);
    (high + low, low - ((high + low) - high))
}
