//! The learning rate as a function of the step.

use alloc::{vec, vec::Vec};

use crate::{check, error::Error};

/// The learning rate as a pure function of the step: a value that can be stored, copied, compared, printed and saved.
///
/// [`at`](Self::at) returns the rate of any step directly, also of step 10^12: the step is a `u64`, the arithmetic f64.
/// Only +, −, × and ÷ are used, so the bits are the same everywhere. The optimizer rounds the rate to the type of its
/// parameters, once a step, and rejects one above 0 that is 0 there: 1e-10 is 0 in f16.
///
/// Nothing asks for this type: [`set_learning_rate`](crate::Optimizer::set_learning_rate) takes a number, so any
/// `Fn(u64) -> f64` of your own serves as well.
///
/// In the formulas k is the step, counted from 0, and t = k / steps. Where another library is named, it is optax 0.2 or
/// torch 2.11. Two schedules are equal if they have the same formulas with the same numbers, joined at the same steps.
///
/// [`polynomial`](Self::polynomial) and [`step_decay`](Self::step_decay) are right to the last bit or two, while their power
/// is at least 2^-1022, the smallest normal f64.
/// [`linear`](Self::linear) and the cosines are off by less than 2^-50 of the larger rate, for k and steps up to 2^64: a
/// value far below that rate, as just before an end at 0, has fewer right digits. For a line with all digits use
/// `polynomial` with power 1.
///
/// # Example
/// ```
/// use gradstep::{Optimizer, Schedule, Sgd};
///
/// // Five steps of linear warm-up from 0, then a cosine down to 0 over a hundred.
/// let schedule = Schedule::linear(0.0, 0.4, 5)?.then(5, Schedule::cosine(0.4, 0.0, 100)?);
/// let mut sgd = Sgd::new(0.0)?;
/// let mut params = [1.0];
/// for _ in 0..105 {
///     sgd.set_learning_rate(schedule.at(sgd.steps()))?; // follows the steps applied
///     let grads = params;
///     sgd.step(&mut params, &grads)?;
/// }
/// assert_eq!([0, 5, 105].map(|step| schedule.at(step)), [0.0, 0.4, 0.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Each with the step at which it begins: the first at 0, each other one after the one before. Never empty. A flat
    /// list, since nested schedules could be too deep for the stack.
    pieces: Vec<(u64, Shape)>,
}

/// A formula with its numbers, which were checked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Constant { learning_rate: f64 },
    Linear { from: f64, to: f64, steps: u64 },
    Polynomial { from: f64, to: f64, power: u32, steps: u64 },
    StepDecay { learning_rate: f64, factor: f64, every: u64 },
    Cosine { from: f64, to: f64, steps: u64 },
    CosineRestarts { from: f64, to: f64, steps: u64, growth: u64 },
}

impl Schedule {
    /// η(k) = `learning_rate` for every k.
    ///
    /// # Errors
    /// [`Error::Number`] if it is NaN, infinite or negative.
    ///
    /// # Example
    /// ```
    /// let schedule = gradstep::Schedule::constant(0.1)?;
    /// assert_eq!(schedule.at(1_000_000_000_000), 0.1);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn constant(learning_rate: f64) -> Result<Self, Error> {
        check::at_least_zero("learning_rate", learning_rate)?;
        Ok(Shape::Constant { learning_rate }.alone())
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
    /// let warmup = gradstep::Schedule::linear(0.0, 0.5, 10)?;
    /// assert_eq!([0, 5, 10, 99].map(|step| warmup.at(step)), [0.0, 0.25, 0.5, 0.5]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn linear(from: f64, to: f64, steps: u64) -> Result<Self, Error> {
        check_ramp(from, to, steps)?;
        Ok(Shape::Linear { from, to, steps }.alone())
    }

    /// η(k) = to + (from − to) (1 − t)^power; `from` at step 0, `to` at `steps` and ever after.
    ///
    /// As `optax.polynomial_schedule` with a whole power (other powers would not have the same bits everywhere). Exact to
    /// the last bit or two, up to 2^50 steps; beyond that, a rising schedule may be off by a few bits. A (1 − t)^power below
    /// the smallest normal f64, 2^-1022, loses digits, and below 2^-1074 it is 0.
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `power` or `steps` is 0.
    ///
    /// # Example
    /// ```
    /// let schedule = gradstep::Schedule::polynomial(1.0, 0.0, 2, 4)?;
    /// assert_eq!([0, 2, 3, 4, 5].map(|step| schedule.at(step)), [1.0, 0.25, 0.0625, 0.0, 0.0]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn polynomial(from: f64, to: f64, power: u32, steps: u64) -> Result<Self, Error> {
        check::at_least_one("power", u64::from(power))?;
        check_ramp(from, to, steps)?;
        Ok(Shape::Polynomial { from, to, power, steps }.alone())
    }

    /// η(k) = learning_rate · factor^⌊k / every⌋; `learning_rate` until step `every`, where the first decay comes.
    ///
    /// As `torch.optim.lr_scheduler.StepLR`, and with `every` = 1 the exponential decay learning_rate · factor^k, as
    /// `torch.optim.lr_scheduler.ExponentialLR`; but computed afresh at each step (to the last bit or two also for
    /// exponents of 10^12). A power below the smallest normal f64 loses digits, and below 2^-1074 it is 0.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative, or the factor is not within 0 to 1;
    /// [`Error::Count`] if `every` is 0.
    ///
    /// # Example
    /// ```
    /// let schedule = gradstep::Schedule::step_decay(0.5, 0.5, 30)?;
    /// assert_eq!([0, 29, 30, 60].map(|step| schedule.at(step)), [0.5, 0.5, 0.25, 0.125]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[doc(alias = "exponential")]
    #[doc(alias = "ExponentialLR")]
    pub fn step_decay(learning_rate: f64, factor: f64, every: u64) -> Result<Self, Error> {
        check::at_least_zero("learning_rate", learning_rate)?;
        check::fraction("factor", factor)?;
        check::at_least_one("every", every)?;
        Ok(Shape::StepDecay { learning_rate, factor, every }.alone())
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
    /// let schedule = gradstep::Schedule::cosine(1.0, 0.0, 100)?;
    /// assert_eq!([0, 50, 100, 101].map(|step| schedule.at(step)), [1.0, 0.5, 0.0, 0.0]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn cosine(from: f64, to: f64, steps: u64) -> Result<Self, Error> {
        check_ramp(from, to, steps)?;
        Ok(Shape::Cosine { from, to, steps }.alone())
    }

    /// [`cosine`](Self::cosine) again and again: the first time over `steps` steps, then each time over `growth` times as
    /// many.
    ///
    /// η is `from` at each restart, at k = steps · (1 + growth + growth² + …); the step before comes close to `to`.
    /// Loshchilov and Hutter 2017 (T₀ = steps, T_mult = growth); it has no end.
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `steps` or `growth` is 0.
    ///
    /// # Example
    /// ```
    /// let schedule = gradstep::Schedule::cosine_restarts(1.0, 0.0, 10, 2)?;
    /// assert_eq!([0, 5, 10, 20, 30, 50].map(|step| schedule.at(step)), [1.0, 0.5, 1.0, 0.5, 1.0, 0.5]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn cosine_restarts(from: f64, to: f64, steps: u64, growth: u64) -> Result<Self, Error> {
        check_ramp(from, to, steps)?;
        check::at_least_one("growth", growth)?;
        Ok(Shape::CosineRestarts { from, to, steps, growth }.alone())
    }

    /// A [`cosine`](Self::cosine) up from `start` to `peak` over `rise` steps, [`then`](Self::then) one down to `end` over
    /// `fall` steps.
    ///
    /// `start` at step 0, `peak` at `rise`, `end` at `rise + fall` and ever after. Smith and Topin 2018, with cosines as in
    /// `torch.optim.lr_scheduler.OneCycleLR`, whose defaults are start = peak / 25, end = start / 10⁴ and
    /// rise : fall = 3 : 7, and which comes to `peak` and to `end` one step earlier.
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `rise` or `fall` is 0.
    ///
    /// # Example
    /// ```
    /// let schedule = gradstep::Schedule::one_cycle(0.0, 1.0, 0.5, 30, 70)?;
    /// assert_eq!([0, 15, 30, 65, 100, 101].map(|step| schedule.at(step)), [0.0, 0.5, 1.0, 0.75, 0.5, 0.5]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn one_cycle(start: f64, peak: f64, end: f64, rise: u64, fall: u64) -> Result<Self, Error> {
        for (name, learning_rate) in [("start", start), ("peak", peak), ("end", end)] {
            check::at_least_zero(name, learning_rate)?;
        }
        check::at_least_one("rise", rise)?;
        check::at_least_one("fall", fall)?;
        Ok(Self::cosine(start, peak, rise)?.then(rise, Self::cosine(peak, end, fall)?))
    }

    /// This schedule for `steps` steps, then `next`, which begins at its own step 0.
    ///
    /// The rate at k = `steps` is `next.at(0)`. Join more by joining again: `steps` then counts from the beginning of the
    /// whole, as the boundaries of `optax.join_schedules`. Takes as long as `next` has pieces.
    ///
    /// # Example
    /// ```
    /// use gradstep::Schedule;
    /// let schedule = Schedule::constant(0.1)?.then(3, Schedule::linear(1.0, 0.0, 2)?).then(4, Schedule::constant(0.2)?);
    /// assert_eq!([2, 3, 4, 5].map(|step| schedule.at(step)), [0.1, 1.0, 0.2, 0.2]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[must_use]
    pub fn then(mut self, steps: u64, next: Self) -> Self {
        self.pieces.truncate(self.pieces.partition_point(|&(start, _)| start < steps));
        // Without what begins beyond the last step.
        self.pieces
            .extend(next.pieces.into_iter().map_while(|(start, shape)| Some((start.checked_add(steps)?, shape))));
        self
    }

    /// The learning rate of a step, counted from 0. Finite and at least 0. A search among the pieces and
    /// some dozen operations, with a high power up to a few thousand; no allocation.
    pub fn at(&self, step: u64) -> f64 {
        let begun = self.pieces.partition_point(|&(start, _)| start <= step);
        self.pieces[..begun].last().map_or(0.0, |&(start, shape)| shape.at(step - start))
    }
}

impl Shape {
    fn alone(self) -> Schedule {
        Schedule { pieces: vec![(0, self)] }
    }

    fn at(self, k: u64) -> f64 {
        match self {
            Shape::Constant { learning_rate } => learning_rate,
            Shape::Linear { from, to, steps } => between(to, from, k.min(steps) as f64 / steps as f64),
            Shape::Polynomial { from, to, power, steps } => {
                let rest = quotient(steps - k.min(steps), steps);
                exactly_between(from, to, exact_power(rest, u64::from(power)))
            }
            Shape::StepDecay { learning_rate, factor, every } => {
                learning_rate * exact_power((factor, 0.0), k / every).0
            }
            Shape::Cosine { from, to, steps } => between(from, to, half_cosine(k.min(steps) as f64 / steps as f64)),
            Shape::CosineRestarts { from, to, steps, growth } => {
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
            }
        }
    }
}

fn check_ramp(from: f64, to: f64, steps: u64) -> Result<(), Error> {
    check::at_least_zero("from", from)?;
    check::at_least_zero("to", to)?;
    check::at_least_one("steps", steps)
}

/// `to + (from - to) share`, and the ends themselves where the share is 1 or 0: rounding would not always lead back to
/// `from`, and adding 0 turns -0 into +0.
fn between(from: f64, to: f64, share: f64) -> f64 {
    match share {
        1.0 => from,
        0.0 => to,
        _ => to + (from - to) * share,
    }
}

/// [`between`], to the last bit: also where the two terms nearly cancel, and at a share that f64 cannot hold.
fn exactly_between(from: f64, to: f64, share: (f64, f64)) -> f64 {
    match share {
        (1.0, 0.0) => from,
        (0.0, _) => to,
        _ => {
            // So that the factor 2^27 in `product` does not overflow.
            let scale = if from.max(to) > 1e280 { 1.0 / (1_u64 << 60) as f64 } else { 1.0 };
            let (from, to) = (scale * from, scale * to);
            let (change, change_low) = product(sum(from, -to), share);
            let (high, low) = sum(to, change);
            (high + (low + change_low)) / scale
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
pub(crate) fn exact_power(base: (f64, f64), mut exponent: u64) -> (f64, f64) {
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
pub(crate) fn sum(a: f64, b: f64) -> (f64, f64) {
    let high = a + b;
    let taken = high - a;
    (high, (a - (high - taken)) + (b - taken))
}

/// The product of two numbers (Dekker 1971).
pub(crate) fn product((a, a_low): (f64, f64), (b, b_low): (f64, f64)) -> (f64, f64) {
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

#[cfg(feature = "serde")]
mod saved {
    use alloc::{format, string::String, vec, vec::Vec};

    use serde::{Deserialize, Serialize};

    use super::{Schedule, Shape};
    use crate::{
        check::{self, same},
        error::{Error, Relation},
        saved::exact,
    };

    crate::saved::saved! {
        [] Schedule = "Schedule v1";
        pieces: Plain<Vec<Piece>> = Piece::all,
        => {
            check::at_least_one("pieces", pieces.len() as u64)?;
            let mut schedule = Schedule { pieces: Vec::new() };
            for piece in pieces {
                match schedule.pieces.last() {
                    Some(&(before, _)) => check::count("start", piece.start, Relation::Above, before, "")?,
                    None => same("start", piece.start, 0)?,
                }
                schedule = schedule.then(piece.start, piece.schedule()?);
            }
            Ok(schedule)
        }
    }

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Piece {
        /// The step at which it begins.
        #[serde(with = "exact")]
        start: u64,
        /// The function that makes it, which takes the numbers and then the counts.
        kind: String,
        #[serde(with = "exact")]
        numbers: Vec<f64>,
        #[serde(with = "exact")]
        counts: Vec<u64>,
    }

    impl Piece {
        fn all(schedule: &Schedule) -> Vec<Self> {
            schedule.pieces.iter().map(|&(start, shape)| Self::new(start, shape)).collect()
        }

        fn new(start: u64, shape: Shape) -> Self {
            let (kind, numbers, counts) = match shape {
                Shape::Constant { learning_rate } => ("constant", vec![learning_rate], vec![]),
                Shape::Linear { from, to, steps } => ("linear", vec![from, to], vec![steps]),
                Shape::Polynomial { from, to, power, steps } => {
                    ("polynomial", vec![from, to], vec![power.into(), steps])
                }
                Shape::StepDecay { learning_rate, factor, every } => {
                    ("step_decay", vec![learning_rate, factor], vec![every])
                }
                Shape::Cosine { from, to, steps } => ("cosine", vec![from, to], vec![steps]),
                Shape::CosineRestarts { from, to, steps, growth } => {
                    ("cosine_restarts", vec![from, to], vec![steps, growth])
                }
            };
            Piece { start, kind: kind.into(), numbers, counts }
        }

        fn schedule(&self) -> Result<Schedule, Error> {
            match (self.kind.as_str(), &self.numbers[..], &self.counts[..]) {
                ("constant", &[rate], []) => Schedule::constant(rate),
                ("linear", &[from, to], &[steps]) => Schedule::linear(from, to, steps),
                ("polynomial", &[from, to], &[power, steps]) => {
                    check::count("power", power, Relation::AtMost, u32::MAX.into(), "")?;
                    Schedule::polynomial(from, to, power as u32, steps)
                }
                ("step_decay", &[rate, factor], &[every]) => Schedule::step_decay(rate, factor, every),
                ("cosine", &[from, to], &[steps]) => Schedule::cosine(from, to, steps),
                ("cosine_restarts", &[from, to], &[steps, growth]) => {
                    Schedule::cosine_restarts(from, to, steps, growth)
                }
                (kind, numbers, counts) => Err(Error::Saved {
                    name: "piece",
                    saved: format!("{kind} with {} numbers and {} counts", numbers.len(), counts.len()),
                    expected: "constant, linear, polynomial, step_decay, cosine or cosine_restarts with its own".into(),
                }),
            }
        }
    }
}
