//! The learning rate as a function of the step.

use alloc::{vec, vec::Vec};
use core::ops::Bound::{Excluded, Included};

use num_traits::Float;

use crate::{
    check,
    double::{Double, exact, geometric_mean, power, product, quotient, root, sum, whole_power},
    error::{Error, Relation},
};

/// The learning rate as a pure function of the step. A schedule is a value that can be stored, cloned, compared,
/// printed and saved.
///
/// [`at`](Self::at) computes the rate of any step directly, step 10^12 included. The step is a `u64`, the arithmetic is
/// f64. Only +, −, ×, ÷ and square roots are used, so the bits are the same on every machine. The optimizer rounds the
/// rate to the type of its parameters, once per step, and rejects a rate above 0 that rounds to 0: 1e-10 is 0 in f16.
///
/// No function of this crate requires this type: [`set_learning_rate`](crate::Optimizer::set_learning_rate) takes a
/// number, so any `Fn(u64) -> f64` of your own works as well.
///
/// In the formulas k is the step, counted from 0, and t = k / steps. Comparisons are with optax 0.2 and torch 2.15. Two
/// schedules are equal if they have the same formulas with the same numbers, joined at the same steps.
///
/// [`polynomial`](Self::polynomial), [`step_decay`](Self::step_decay), [`geometric`](Self::geometric) and
/// [`inverse_time`](Self::inverse_time) are right to the last bit or two, as long as the power in their formula is at
/// least 2^-1022, the smallest normal f64. [`linear`](Self::linear) and the cosines are off by less than 2^-50 times
/// the larger rate, for k and steps up to 2^64. So a rate that is far below the larger one, as just before an end at 0,
/// has fewer right digits. For a line with all digits use `polynomial` with power 1.
///
/// # The first step and the last
/// A warm-up from 0 wastes its first batch: the gradient is computed, but no parameter moves. Begin above 0, for
/// instance at the peak divided by the number of warm-up steps, as the example does.
///
/// After its end a schedule stays at its last rate. If that is 0, the parameters no longer move, and no error says so:
/// a run that may go on longer than planned needs the assertion in the example.
///
/// # Example
/// ```
/// use gradstep::{Optimizer, Schedule, Sgd};
///
/// // A linear warm-up to 0.4, reached at step 5, then a cosine down to 0 over a hundred steps.
/// let schedule = Schedule::linear(0.08, 0.4, 5)?.then(5, Schedule::cosine(0.4, 0.0, 100)?);
/// assert_eq!([0, 5, 105].map(|step| schedule.at(step)), [0.08, 0.4, 0.0]);
///
/// let mut sgd = Sgd::new(0.08)?;
/// let mut params = [1.0];
/// for _ in 0..105 {
///     let learning_rate = schedule.at(sgd.steps()); // counts only steps that were applied
///     assert!(learning_rate > 0.0, "step {}: the schedule is at its end, where the rate is 0", sgd.steps());
///     sgd.set_learning_rate(learning_rate)?;
///     let grads = params;
///     sgd.step(&mut params, &grads)?;
/// }
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "lr")]
#[doc(alias = "lr_scheduler")]
#[doc(alias = "scheduler")]
#[doc(alias = "warmup")]
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Each shape with the step at which it begins: the first at 0, the others in increasing order. Never empty. A flat
    /// list, since nested schedules could be too deep for the stack.
    pieces: Vec<(u64, Shape)>,
}

/// A formula with its numbers, which the constructors have checked.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Constant { learning_rate: f64 },
    Linear { from: f64, to: f64, steps: u64 },
    Polynomial { from: f64, to: f64, power: f64, steps: u64 },
    Geometric { from: f64, to: f64, steps: u64 },
    StepDecay { learning_rate: f64, factor: f64, every: u64 },
    InverseTime { learning_rate: f64, power: f64, steps: u64 },
    Cosine { from: f64, to: f64, steps: u64 },
    CosineRestarts { from: f64, to: f64, steps: u64, growth: u64 },
    OneCycle { start: f64, peak: f64, end: f64, rise: f64, fall: f64 },
}

impl Schedule {
    /// η(k) = `learning_rate` for every k.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative.
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

    /// η(k) = from + (to − from) t, rising or falling: `from` at step 0, `to` from step `steps` on.
    ///
    /// `linear(peak / steps, peak, steps)` is a linear warm-up (Goyal et al. 2017). The same as
    /// `optax.linear_schedule`.
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or negative, [`Error::Count`] if `steps` is 0.
    ///
    /// # Example
    /// ```
    /// let warmup = gradstep::Schedule::linear(0.125, 0.5, 6)?;
    /// assert_eq!([0, 2, 6, 99].map(|step| warmup.at(step)), [0.125, 0.25, 0.5, 0.5]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn linear(from: f64, to: f64, steps: u64) -> Result<Self, Error> {
        check_ramp(from, to, steps)?;
        Ok(Shape::Linear { from, to, steps }.alone())
    }

    /// η(k) = to + (from − to) (1 − t)^power: `from` at step 0, `to` from step `steps` on.
    ///
    /// The same as `optax.polynomial_schedule` and `torch.optim.lr_scheduler.PolynomialLR`. With power 0.9 and `to` = 0
    /// it is the "poly" policy of segmentation (DeepLab). The power need not be whole: (1 − t)^power is computed to
    /// some 60 bits by multiplications and square roots. So the rate is right to the last bit or two for every power,
    /// up to 2^50 steps; with more steps a rising schedule may be off by a few bits. If (1 − t)^power is below 2^-1022,
    /// the smallest normal f64, it loses digits, and below 2^-1074 it is 0.
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or negative, or if `power` is not above 0 and at most
    /// 2^32 - 1; [`Error::Count`] if `steps` is 0.
    ///
    /// # Example
    /// ```
    /// use gradstep::Schedule;
    /// let schedule = Schedule::polynomial(1.0, 0.0, 2.0, 4)?;
    /// assert_eq!([0, 2, 3, 4, 5].map(|step| schedule.at(step)), [1.0, 0.25, 0.0625, 0.0, 0.0]);
    /// let root = Schedule::polynomial(1.0, 0.0, 0.5, 4)?;
    /// assert_eq!([0, 3, 4].map(|step| root.at(step)), [1.0, 0.5, 0.0]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[doc(alias = "PolynomialLR")]
    pub fn polynomial(from: f64, to: f64, power: f64, steps: u64) -> Result<Self, Error> {
        check_power(power)?;
        check_ramp(from, to, steps)?;
        Ok(Shape::Polynomial { from, to, power, steps }.alone())
    }

    /// η(k) = from^(1 − t) · to^t, rising or falling by the same factor at each step: `from` at step 0, `to` from step
    /// `steps` on.
    ///
    /// A rising one is for the range test of the learning rate (Smith 2017): train with rates from far too small to far
    /// too large, and take a rate somewhat below the one at which the loss begins to rise. A falling one is
    /// [`step_decay`](Self::step_decay) with `every` = 1 and the factor (to / from)^(1 / steps), or
    /// `optax.exponential_decay`. The rate is right to the last bit or two: it is computed by up to 64 square roots in
    /// double-double arithmetic.
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or not above 0, [`Error::Count`] if `steps` is 0.
    ///
    /// # Example
    /// ```
    /// let range_test = gradstep::Schedule::geometric(0.0625, 4.0, 6)?; // twice the rate at each step
    /// assert_eq!([0, 1, 3, 6, 7].map(|step| range_test.at(step)), [0.0625, 0.125, 0.5, 4.0, 4.0]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[doc(alias = "range_test")]
    #[doc(alias = "lr_finder")]
    #[doc(alias = "exponential")]
    pub fn geometric(from: f64, to: f64, steps: u64) -> Result<Self, Error> {
        check::above_zero("from", from)?;
        check::above_zero("to", to)?;
        check::at_least_one("steps", steps)?;
        Ok(Shape::Geometric { from, to, steps }.alone())
    }

    /// η(k) = `learning_rate` before the first boundary, and from each boundary on the rate that is given with it.
    ///
    /// Each of `changes` is a boundary, which is a step, and the rate from that step on.
    /// `optax.piecewise_constant_schedule` and `torch.optim.lr_scheduler.MultiStepLR` do the same, but take factors
    /// instead of rates: `MultiStepLR` with `milestones=[30, 80]` and `gamma=0.1`, starting at 0.1, is
    /// `piecewise_constant(0.1, &[(30, 0.01), (80, 0.001)])`. (Keras' `PiecewiseConstantDecay` changes the rate one
    /// step later.) For boundaries at equal distances use [`step_decay`](Self::step_decay).
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or negative; [`Error::Count`] if a boundary is not above
    /// the one before, or the first one is 0.
    ///
    /// # Example
    /// ```
    /// let schedule = gradstep::Schedule::piecewise_constant(0.1, &[(30, 0.01), (80, 0.001)])?;
    /// assert_eq!([0, 29, 30, 79, 80].map(|step| schedule.at(step)), [0.1, 0.1, 0.01, 0.01, 0.001]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[doc(alias = "MultiStepLR")]
    #[doc(alias = "multi_step")]
    pub fn piecewise_constant(learning_rate: f64, changes: &[(u64, f64)]) -> Result<Self, Error> {
        check::at_least_zero("learning_rate", learning_rate)?;
        let mut pieces = vec![(0, Shape::Constant { learning_rate })];
        let mut before = 0;
        for &(boundary, learning_rate) in changes {
            check::count("boundary", boundary, Relation::Above, before, "")?;
            check::at_least_zero("learning_rate", learning_rate)?;
            pieces.push((boundary, Shape::Constant { learning_rate }));
            before = boundary;
        }
        Ok(Schedule { pieces })
    }

    /// η(k) = learning_rate · factor^⌊k / every⌋: the rate decays at steps `every`, 2 · `every`, ….
    ///
    /// This is `torch.optim.lr_scheduler.StepLR`, and with `every` = 1 the exponential decay learning_rate · factor^k
    /// of `torch.optim.lr_scheduler.ExponentialLR`. But each rate is computed from k alone, so rounding errors do not
    /// add up: a rate is right to the last bit or two even for an exponent of 10^12. A power of the factor below
    /// 2^-1022, the smallest normal f64, loses digits, and below 2^-1074 it is 0.
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
    #[doc(alias = "StepLR")]
    pub fn step_decay(learning_rate: f64, factor: f64, every: u64) -> Result<Self, Error> {
        check::at_least_zero("learning_rate", learning_rate)?;
        check::fraction("factor", factor)?;
        check::at_least_one("every", every)?;
        Ok(Shape::StepDecay { learning_rate, factor, every }.alone())
    }

    /// η(k) = learning_rate / (1 + t)^power, which has no end: with power 1 it is `learning_rate` at step 0, half of
    /// that at `steps`, a third at 2 · `steps`.
    ///
    /// With power 1 it is the inverse time decay (Robbins and Monro 1951; Keras' `InverseTimeDecay`, whose
    /// `decay_steps / decay_rate` is `steps`). With power 0.5, after a warm-up of `steps` steps, it is the inverse
    /// square root schedule of transformers (Vaswani et al. 2017), peak · √(steps / k), as in the example. The rate is
    /// right to the last bit or two.
    ///
    /// # Errors
    /// [`Error::Number`] if the learning rate is NaN, infinite or negative, or if `power` is not above 0 and at most
    /// 2^32 - 1; [`Error::Count`] if `steps` is 0.
    ///
    /// # Example
    /// ```
    /// use gradstep::Schedule;
    /// let schedule = Schedule::inverse_time(0.5, 1.0, 100)?;
    /// assert_eq!([0, 100, 300].map(|step| schedule.at(step)), [0.5, 0.25, 0.125]);
    ///
    /// let transformer = Schedule::linear(0.1, 0.5, 100)?.then(100, Schedule::inverse_time(0.5, 0.5, 100)?);
    /// assert_eq!([0, 100, 400].map(|step| transformer.at(step)), [0.1, 0.5, 0.25]); // 0.5 · √(100 / 400)
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[doc(alias = "inverse_sqrt")]
    #[doc(alias = "noam")]
    pub fn inverse_time(learning_rate: f64, power: f64, steps: u64) -> Result<Self, Error> {
        check::at_least_zero("learning_rate", learning_rate)?;
        check_power(power)?;
        check::at_least_one("steps", steps)?;
        Ok(Shape::InverseTime { learning_rate, power, steps }.alone())
    }

    /// η(k) = to + (from − to) (1 + cos πt) / 2: `from` at step 0, `to` from step `steps` on. It rises if `from` is
    /// below `to`.
    ///
    /// The same as `torch.optim.lr_scheduler.CosineAnnealingLR` up to step `steps`. Source: Loshchilov and Hutter 2017
    /// (SGDR).
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

    /// [`cosine`](Self::cosine) again and again, without end: first over `steps` steps, then each time over `growth`
    /// times as many.
    ///
    /// The rate is `from` at each restart, at k = steps, steps · (1 + growth), steps · (1 + growth + growth²), …. At
    /// the step before, it is close to `to`. Source: Loshchilov and Hutter 2017 (T₀ = steps, T_mult = growth).
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

    /// A [`cosine`](Self::cosine) up from `start` to `peak` over `rise` steps, then one down to `end` over `fall`
    /// steps.
    ///
    /// The rate is `start` at step 0, `peak` at `rise`, and `end` from `rise + fall` on. Source: Smith and Topin 2018,
    /// with cosines as in `torch.optim.lr_scheduler.OneCycleLR`.
    ///
    /// `rise` and `fall` need not be whole; then the peak may be between two steps. `OneCycleLR(max_lr, total_steps)`
    /// with its defaults is peak = max_lr, start = max_lr / 25, end = start / 10⁴, rise = 0.3 · total_steps − 1 and
    /// fall = 0.7 · total_steps. Such a rise is seldom whole, and rounding it changes some rates by up to 7 % of the
    /// peak over 25 steps, or 1.4 % over 105 steps.
    ///
    /// # Errors
    /// [`Error::Number`] if a learning rate is NaN, infinite or negative, or `rise` or `fall` is NaN, infinite or not
    /// above 0.
    ///
    /// # Example
    /// As in the paper, the momentum falls while the learning rate rises, and then rises again. Here it goes from 0.95
    /// to 0.85 and back, as torch's does. To set the momentum of many tensors, use
    /// [`ParamGroups::iter_mut`](crate::ParamGroups::iter_mut).
    /// ```
    /// use gradstep::{Momentum, Optimizer, Schedule};
    /// let learning_rate = Schedule::one_cycle(0.04, 1.0, 0.0, 30.0, 70.0)?;
    /// let momentum = Schedule::one_cycle(0.95, 0.85, 0.95, 30.0, 70.0)?;
    ///
    /// let (mut optimizer, mut params) = (Momentum::new(0.04, 0.95, 1)?, [1.0]);
    /// for step in 0..100 {
    ///     optimizer.set_learning_rate(learning_rate.at(step))?;
    ///     optimizer.set_momentum(momentum.at(step))?;
    ///     let grads = params.map(|param| param * 0.1);
    ///     optimizer.step(&mut params, &grads)?;
    /// }
    /// assert_eq!([0, 30, 65, 100, 101].map(|step| learning_rate.at(step)), [0.04, 1.0, 0.5, 0.0, 0.0]);
    /// assert_eq!([0, 30, 100].map(|step| momentum.at(step)), [0.95, 0.85, 0.95]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[doc(alias = "OneCycleLR")]
    pub fn one_cycle(start: f64, peak: f64, end: f64, rise: f64, fall: f64) -> Result<Self, Error> {
        for (name, learning_rate) in [("start", start), ("peak", peak), ("end", end)] {
            check::at_least_zero(name, learning_rate)?;
        }
        check::above_zero("rise", rise)?;
        check::above_zero("fall", fall)?;
        Ok(Shape::OneCycle { start, peak, end, rise, fall }.alone())
    }

    /// Follows this schedule for `steps` steps, then `next`, which begins at its own step 0.
    ///
    /// The rate at k = `steps` is `next.at(0)`. To join more schedules, call `then` again: `steps` counts from the
    /// beginning of the joined schedule, as the boundaries of `optax.join_schedules` do.
    ///
    /// Cost: time in proportion to the number of pieces of `next`, which are moved; it may allocate.
    ///
    /// # Example
    /// ```
    /// use gradstep::Schedule;
    /// let schedule =
    ///     Schedule::constant(0.1)?.then(3, Schedule::linear(1.0, 0.0, 2)?).then(4, Schedule::constant(0.2)?);
    /// assert_eq!([2, 3, 4, 5].map(|step| schedule.at(step)), [0.1, 1.0, 0.2, 0.2]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[must_use]
    pub fn then(mut self, steps: u64, next: Self) -> Self {
        self.pieces.truncate(self.pieces.partition_point(|&(start, _)| start < steps));
        // Pieces that would begin after step u64::MAX are never reached.
        self.pieces
            .extend(next.pieces.into_iter().map_while(|(start, shape)| Some((start.checked_add(steps)?, shape))));
        self
    }

    /// Returns the learning rate of a step, counted from 0. It is finite and at least 0.
    ///
    /// Cost: a binary search among the pieces and a few dozen operations; for `geometric`, and for a power that is high
    /// or not whole, some thousand. No allocation.
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
                let rest = quotient(exact((steps - k.min(steps)).into()), exact(steps.into()));
                exactly_between(from, to, self::power(rest, power))
            }
            Shape::Geometric { from, .. } if k == 0 => from,
            Shape::Geometric { to, steps, .. } if k >= steps => to,
            Shape::Geometric { from, to, steps } => {
                // The mean of the fourth roots, and its fourth power: products of fourth roots neither overflow nor
                // underflow.
                let fourth_root = |rate: f64| {
                    // Scaled towards 1, since parts of the products in `root` would underflow for the smallest rates.
                    let exponent = if rate < 1.0 { 512 } else { -512 };
                    let (high, low) = root(root((rate * power_of_two(exponent), 0.0)));
                    (high * power_of_two(-exponent / 4), low * power_of_two(-exponent / 4))
                };
                let share = (u128::from(k) << 64) / u128::from(steps); // below 2^64
                let (high, low) = geometric_mean(fourth_root(from), fourth_root(to), share as u64);
                // A mean above 1 is halved first, since parts of a product near the largest f64 would overflow.
                let part = if high > 1.0 { 0.5 } else { 1.0 };
                let square = product((high * part, low * part), (high * part, low * part));
                let rate = product(square, square).0 / (part * part * part * part);
                // If rounding led beyond an end, or beyond the largest f64, the rate is that end.
                rate.min(from.max(to)).max(from.min(to))
            }
            Shape::StepDecay { learning_rate, factor, every } => {
                learning_rate * whole_power((factor, 0.0), k / every).0
            }
            Shape::InverseTime { learning_rate, power, steps } => {
                let steps = u128::from(steps);
                let base = quotient(exact(steps), exact(steps + u128::from(k)));
                learning_rate * self::power(base, power).0
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
            Shape::OneCycle { start, peak, end, rise, fall } => {
                // `rise` in two parts, to subtract the whole one as an integer: f64 cannot tell steps beyond 2^53
                // apart.
                let (whole, part) = (rise as u64, Float::fract(rise));
                match k.checked_sub(whole).map(|past| past as f64 - part) {
                    Some(past) if past >= 0.0 => between(peak, end, half_cosine(past.min(fall) / fall)),
                    _ => between(start, peak, half_cosine(k as f64 / rise)),
                }
            }
        }
    }
}

fn check_ramp(from: f64, to: f64, steps: u64) -> Result<(), Error> {
    check::at_least_zero("from", from)?;
    check::at_least_zero("to", to)?;
    check::at_least_one("steps", steps)
}

/// 2^exponent, which must be a normal number.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((1023 + exponent) << 52) as u64)
}

fn check_power(power: f64) -> Result<f64, Error> {
    check::number("power", power, (Excluded(0.0), Included(u32::MAX.into())))
}

/// `to + (from - to) · share`. If the share is 1 or 0, it is the end itself, since rounding would not always lead back
/// to `from`, and adding 0 would turn -0 into +0.
fn between(from: f64, to: f64, share: f64) -> f64 {
    match share {
        1.0 => from,
        0.0 => to,
        _ => to + (from - to) * share,
    }
}

/// [`between`], right to the last bit also if the two terms nearly cancel, and for a share that f64 cannot hold.
fn exactly_between(from: f64, to: f64, share: Double) -> f64 {
    match share {
        (1.0, 0.0) => from,
        (0.0, _) => to,
        _ => {
            // Large rates are scaled down so that the factor 2^27 in `product` does not overflow.
            let scale = if from.max(to) > 1e280 { 1.0 / (1_u64 << 60) as f64 } else { 1.0 };
            let (from, to) = (scale * from, scale * to);
            let (change, change_low) = product(sum(from, -to), share);
            let (high, low) = sum(to, change);
            (high + (low + change_low)) / scale
        }
    }
}

/// (1 + cos πt) / 2, by the Taylor series, since the cosine of a library has other bits on other machines.
fn half_cosine(t: f64) -> f64 {
    let angle = core::f64::consts::PI * t.min(1.0 - t); // at most π/2, where the first term left out is below 2^-60
    let square = angle * angle;
    // 1 - x²/(1·2) (1 - x²/(3·4) (1 - …))
    let cosine = (2..=24).rev().step_by(2).map(f64::from).fold(1.0, |c, n| 1.0 - square / (n * (n - 1.0)) * c);
    if t <= 0.5 { (1.0 + cosine) / 2.0 } else { (1.0 - cosine) / 2.0 }
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
        /// The constructor of `Schedule` that creates it from the numbers and then the counts.
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
                Shape::Polynomial { from, to, power, steps } => ("polynomial", vec![from, to, power], vec![steps]),
                Shape::Geometric { from, to, steps } => ("geometric", vec![from, to], vec![steps]),
                Shape::StepDecay { learning_rate, factor, every } => {
                    ("step_decay", vec![learning_rate, factor], vec![every])
                }
                Shape::InverseTime { learning_rate, power, steps } => {
                    ("inverse_time", vec![learning_rate, power], vec![steps])
                }
                Shape::Cosine { from, to, steps } => ("cosine", vec![from, to], vec![steps]),
                Shape::CosineRestarts { from, to, steps, growth } => {
                    ("cosine_restarts", vec![from, to], vec![steps, growth])
                }
                Shape::OneCycle { start, peak, end, rise, fall } => {
                    ("one_cycle", vec![start, peak, end, rise, fall], vec![])
                }
            };
            Piece { start, kind: kind.into(), numbers, counts }
        }

        fn schedule(&self) -> Result<Schedule, Error> {
            match (self.kind.as_str(), &self.numbers[..], &self.counts[..]) {
                ("constant", &[rate], []) => Schedule::constant(rate),
                ("linear", &[from, to], &[steps]) => Schedule::linear(from, to, steps),
                ("polynomial", &[from, to, power], &[steps]) => Schedule::polynomial(from, to, power, steps),
                ("geometric", &[from, to], &[steps]) => Schedule::geometric(from, to, steps),
                ("step_decay", &[rate, factor], &[every]) => Schedule::step_decay(rate, factor, every),
                ("inverse_time", &[rate, power], &[steps]) => Schedule::inverse_time(rate, power, steps),
                ("cosine", &[from, to], &[steps]) => Schedule::cosine(from, to, steps),
                ("cosine_restarts", &[from, to], &[steps, growth]) => {
                    Schedule::cosine_restarts(from, to, steps, growth)
                }
                ("one_cycle", &[start, peak, end, rise, fall], []) => Schedule::one_cycle(start, peak, end, rise, fall),
                (kind, numbers, counts) => Err(Error::Saved {
                    name: "piece",
                    saved: format!("{kind} with {} numbers and {} counts", numbers.len(), counts.len()),
                    expected: "the name of a schedule with its numbers and counts".into(),
                }),
            }
        }
    }
}
