//! Conversions between the floats.

#[cfg(feature = "half")]
pub(crate) mod half;

#[cfg(feature = "half")]
use ::half::{bf16, f16};
#[cfg(feature = "half")]
use core::any::Any;

use num_traits::Float;

#[cfg(feature = "half")]
use self::half::Convert;

/// Makes 0 of a subnormal number, for state that decays: rounding to nearest would keep it subnormal for ever, and CPUs
/// take up to a hundred times as long with such numbers.
#[inline(always)]
pub(crate) fn flush<F: Float>() -> impl Fn(F) -> F + Copy {
    let kept = smallest_kept::<F>();
    #[inline(always)]
    move |value: F| if value.abs() < kept { F::zero() } else { value }
}

/// The smallest normal number; 0 in f16, whose subnormals are kept: it is computed in f32, where they are normal.
#[inline(always)]
pub(crate) fn smallest_kept<F: Float>() -> F {
    let smallest_normal = F::min_positive_value();
    if smallest_normal.to_f64() > Some(f32::MIN_POSITIVE.into()) { F::zero() } else { smallest_normal }
}

/// Exact: every float here is at most as wide as f64.
#[inline(always)]
pub(crate) fn to_f64<F: Float + 'static>(value: F) -> f64 {
    if size_of::<F>() == 2 { to_f32(value).into() } else { value.to_f64().unwrap_or(f64::NAN) }
}

/// Exact for a float that is no wider than f32.
#[inline(always)]
pub(crate) fn to_f32<F: Float + 'static>(value: F) -> f32 {
    // Our own conversions of halves vectorise, those of `half` do not: several times as fast.
    #[cfg(feature = "half")]
    {
        // Which type it is, the compiler knows: no code is left of the question.
        let half: &dyn Any = &value;
        if let Some(&half) = half.downcast_ref::<bf16>() {
            return half.widen();
        }
        if let Some(&half) = half.downcast_ref::<f16>() {
            return half.widen();
        }
    }
    value.to_f32().unwrap_or(f32::NAN)
}

/// Rounded to the nearest F, once.
#[inline(always)]
pub(crate) fn from_f64<F: Float + 'static>(value: f64) -> F {
    #[cfg(feature = "half")]
    {
        let (b, f): (bf16, f16) = (Convert::narrow(to_odd(value)), Convert::narrow(to_odd(value)));
        if let Some(&half) = (&b as &dyn Any).downcast_ref() {
            return half;
        }
        if let Some(&half) = (&f as &dyn Any).downcast_ref() {
            return half;
        }
    }
    // `half`'s own conversions go by way of f32, also where this crate's feature `half` is off.
    let value = if size_of::<F>() < size_of::<f32>() { to_odd(value).into() } else { value };
    F::from(value).unwrap_or_else(F::nan)
}

/// To f32, an inexact one to that of its two neighbours whose last bit is 1, so that a second rounding, to half
/// precision, gives what one rounding of the value itself would (Boldo and Melquiond 2008).
#[inline(always)]
pub(crate) fn to_odd(value: f64) -> f32 {
    let narrow = value as f32;
    let bits = narrow.to_bits();
    let towards_zero = bits.wrapping_sub(u32::from(f64::from(narrow).abs() > value.abs()));
    let exact = !narrow.is_finite() || f64::from(narrow) == value;
    f32::from_bits(if exact { bits } else { towards_zero | 1 })
}
