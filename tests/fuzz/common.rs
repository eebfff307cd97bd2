//! Numbers for the fuzz targets, above all those at which something may go wrong.
#![allow(dead_code, reason = "no target needs all of it")]

use std::{
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    ops::{Range, RangeBounds},
};

use arbitrary::Arbitrary;
use gradstep::{MomentumForm, WeightDecay};
use half::{bf16, f16};
use num_traits::Float;

pub const FORMS: [MomentumForm; 4] =
    [MomentumForm::Classical, MomentumForm::Nesterov, MomentumForm::PyTorch, MomentumForm::PyTorchNesterov];

/// The form of `Momentum` that the number `rule` stands for, or `None` for `Sgd`.
pub fn form(rule: u8) -> Option<MomentumForm> {
    usize::from(rule % 5).checked_sub(1).map(|form| FORMS[form])
}

pub fn decays(strength: f64) -> [WeightDecay; 3] {
    [WeightDecay::None, WeightDecay::Coupled(strength), WeightDecay::Decoupled(strength)]
}

/// Any bits at all, or numbers that are likely to matter.
#[derive(Arbitrary, Debug, Clone, Copy, Hash)]
pub enum Number {
    Bits(u64),
    Thousandths(i16),
    Special(u8),
}

impl Number {
    /// A setting for parameters of `F`: a number of `F`, or any f64, which `F` may round.
    pub fn setting<F: Scalar>(self) -> f64 {
        match self {
            Number::Bits(bits) => f64::from_bits(bits),
            other => other.get::<F>().to_f64().unwrap(),
        }
    }

    pub fn get<F: Scalar>(self) -> F {
        match self {
            Number::Bits(bits) => F::from_low_bits(bits),
            Number::Thousandths(value) => F::from(f64::from(value) / 1000.0).unwrap(),
            Number::Special(which) => {
                let below_one = F::one() - F::epsilon() / (F::one() + F::one());
                let special = [
                    F::zero(),
                    F::one(),
                    below_one,
                    F::epsilon(),
                    F::max_value(),
                    F::max_value() / (F::one() + F::one()), // a sum of three overflows
                    F::min_positive_value(),
                    F::from_low_bits(1), // the smallest subnormal
                    F::infinity(),
                    F::nan(),
                ];
                let value = special[usize::from(which / 2) % special.len()];
                if which % 2 == 0 { value } else { -value }
            }
        }
    }
}

/// Any whole number, most often a small one or one near the end of a range.
#[derive(Arbitrary, Debug, Clone, Copy, Hash)]
pub enum Whole {
    Small(u8),
    Medium(u16),
    Power(u8, i8),
    Any(u64),
    FromEnd(u8),
}

impl Whole {
    pub fn get(self) -> u64 {
        match self {
            Whole::Small(value) => value.into(),
            Whole::Medium(value) => value.into(),
            Whole::Power(power, more) => (1_u64 << (power % 64)).wrapping_add_signed(more.into()),
            Whole::Any(value) => value,
            Whole::FromEnd(value) => u64::MAX - u64::from(value),
        }
    }
}

pub trait Scalar: Float + Debug + Send + Sync + 'static {
    fn from_low_bits(bits: u64) -> Self;

    /// The bits; the same for every NaN.
    fn bits(self) -> u64;

    /// The nearest number to `value`, of two the even one.
    fn nearest(value: f64) -> Self;
}

macro_rules! scalar {
    ($($float:ident, $bits:ty, $nearest:expr;)*) => {$(
        impl Scalar for $float {
            fn from_low_bits(bits: u64) -> Self {
                $float::from_bits(bits as $bits)
            }

            fn bits(self) -> u64 {
                if self.is_nan() { u64::MAX } else { u64::from(self.to_bits()) }
            }

            fn nearest(value: f64) -> Self {
                $nearest(value)
            }
        }
    )*};
}

scalar! {
    f64, u64, |value| value;
    f32, u32, |value| value as f32;
    f16, u16, |value| nearest_half(value, 65_536.0);
    bf16, u16, |value| nearest_half(value, 2_f64.powi(128));
}

/// The nearest of the three numbers about a conversion that may be one off. Infinity stands at `beyond_max`, where the
/// number after the largest would be.
fn nearest_half<H: Scalar>(value: f64, beyond_max: f64) -> H {
    let converted: H = H::from(value.abs()).unwrap();
    if !value.is_finite() {
        return H::from(value).unwrap();
    }
    let distance = |bits: u64| {
        let candidate = H::from_low_bits(bits);
        let place = if candidate.is_infinite() { beyond_max } else { candidate.to_f64().unwrap() };
        (place - value.abs()).abs()
    };
    let candidates = [converted.bits().saturating_sub(1), converted.bits(), converted.bits() + 1];
    let candidates = candidates.into_iter().filter(|&bits| !H::from_low_bits(bits).is_nan());
    let closer = |&a: &u64, &b: &u64| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2)));
    let size = H::from_low_bits(candidates.min_by(closer).unwrap());
    if value.is_sign_negative() { -size } else { size }
}

/// True for one input in 512, by its hash, so that the mutations of a slow input are seldom slow.
pub fn seldom(input: &impl Hash) -> bool {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    hasher.finish().is_multiple_of(512)
}

/// Whether a rule over `F` accepts the setting `value`: it is in the range, the number to which `F` rounds it is too,
/// and a value above 0 is not rounded to 0.
pub fn holds<F: Scalar>(value: f64, range: impl RangeBounds<f64>) -> bool {
    let rounded = F::nearest(value).to_f64().unwrap();
    range.contains(&value) && range.contains(&rounded) && (value > 0.0) == (rounded > 0.0)
}

/// Learning rates and decays.
pub const RATES: Range<f64> = 0.0..f64::INFINITY;

/// Momentum.
pub const MOMENTA: Range<f64> = 0.0..1.0;

pub fn bits<F: Scalar>(values: &[F]) -> Vec<u64> {
    values.iter().map(|value| value.bits()).collect()
}

/// Repeats `pattern` up to `len`. Each repetition changes other low bits, so that the numbers differ.
pub fn tiled<F: Scalar>(pattern: &[Number], len: usize) -> Vec<F> {
    if pattern.is_empty() {
        return vec![F::one(); len];
    }
    let once = pattern.len();
    let values: Vec<F> = pattern.iter().map(|number| number.get()).collect();
    let nth = |i: usize| {
        let value = values[i % once];
        if i < once { value } else { F::from_low_bits(value.bits() ^ (i / once) as u64) }
    };
    (0..len).map(nth).collect()
}
