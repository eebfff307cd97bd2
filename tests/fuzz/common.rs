//! Numbers as a fuzzer should choose them.
#![allow(dead_code, reason = "no target needs all of it")]

use std::{
    fmt::Debug,
    hash::{DefaultHasher, Hash, Hasher},
    ops::{Range, RangeBounds},
};

use gradstep::MomentumForm;
use half::{bf16, f16};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use num_traits::Float;

pub const FORMS: [MomentumForm; 4] =
    [MomentumForm::Classical, MomentumForm::Nesterov, MomentumForm::PyTorch, MomentumForm::PyTorchNesterov];

/// `None` is Sgd.
pub fn form(rule: u8) -> Option<MomentumForm> {
    usize::from(rule % 5).checked_sub(1).map(|form| FORMS[form])
}

/// Any bits at all, or numbers that are likely to matter.
#[derive(Arbitrary, Debug, Clone, Copy, Hash)]
pub enum Number {
    Bits(u64),
    Thousandths(i16),
    Special(u8),
}

impl Number {
    /// A setting for parameters of `F`: one of its numbers, or any of f64's, which `F` may round.
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

/// Any whole number, small ones and ends of ranges above all.
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

impl Scalar for f64 {
    fn from_low_bits(bits: u64) -> Self {
        f64::from_bits(bits)
    }

    fn bits(self) -> u64 {
        if self.is_nan() { u64::MAX } else { self.to_bits() }
    }

    fn nearest(value: f64) -> Self {
        value
    }
}

impl Scalar for f32 {
    fn from_low_bits(bits: u64) -> Self {
        f32::from_bits(bits as u32)
    }

    fn bits(self) -> u64 {
        if self.is_nan() { u64::MAX } else { self.to_bits().into() }
    }

    fn nearest(value: f64) -> Self {
        value as f32
    }
}

macro_rules! half {
    ($half:ty, $beyond_max:expr) => {
        impl Scalar for $half {
            fn from_low_bits(bits: u64) -> Self {
                <$half>::from_bits(bits as u16)
            }

            fn bits(self) -> u64 {
                if self.is_nan() { u64::MAX } else { self.to_bits().into() }
            }

            /// Of the neighbours of a near one the nearest, with infinity as the number behind the largest.
            fn nearest(value: f64) -> Self {
                if value.is_nan() || value.is_infinite() {
                    return <$half>::from_f64(value);
                }
                let near = <$half>::from_f64(value.abs()).to_bits();
                let number = |bits| <$half>::from_bits(bits);
                let distance = |bits| {
                    let candidate = number(bits);
                    let place = if candidate.is_infinite() { $beyond_max } else { candidate.to_f64() };
                    (place - value.abs()).abs()
                };
                let candidates = [near.saturating_sub(1), near, near + 1];
                let candidates = candidates.into_iter().filter(|&bits| !number(bits).is_nan());
                let closer = |&a: &u16, &b: &u16| distance(a).total_cmp(&distance(b)).then((a % 2).cmp(&(b % 2)));
                let size = number(candidates.min_by(closer).unwrap());
                if value.is_sign_negative() { -size } else { size }
            }
        }
    };
}

half!(f16, 65_536.0);
half!(bf16, 2_f64.powi(128));

/// One input in 64, by its hash: what comes from it by a mutation is then seldom again.
pub fn seldom(input: &impl Hash) -> bool {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    hasher.finish().is_multiple_of(64)
}

/// Whether a rule over `F` takes the setting `value`: it is in the range, and what `F` rounds it to is too, and above 0 where
/// it is.
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

/// `pattern` again and again up to `len`; from the second time on its bits tell the places apart.
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
