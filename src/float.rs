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

/// Returns a function that replaces subnormal numbers by 0, for state that decays: rounding to nearest would keep such
/// state subnormal for ever, and CPUs take up to a hundred times as long with subnormal numbers.
#[inline(always)]
pub(crate) fn flush<F: Float>() -> impl Fn(F) -> F + Copy {
    let kept = smallest_kept::<F>();
    #[inline(always)]
    move |value: F| if value.abs() < kept { F::zero() } else { value }
}

/// The smallest normal number. For f16 it is 0, so that subnormals are kept: f16 is computed in f32, where they are
/// normal numbers.
#[inline(always)]
pub(crate) fn smallest_kept<F: Float>() -> F {
    let smallest_normal = F::min_positive_value();
    if smallest_normal.to_f64() > Some(f32::MIN_POSITIVE.into()) { F::zero() } else { smallest_normal }
}

/// Exact, since every float here is at most as wide as f64.
#[inline(always)]
pub(crate) fn to_f64<F: Float + 'static>(value: F) -> f64 {
    if size_of::<F>() == 2 { to_f32(value).into() } else { value.to_f64().unwrap_or(f64::NAN) }
}

/// Exact for a float that is no wider than f32.
#[inline(always)]
pub(crate) fn to_f32<F: Float + 'static>(value: F) -> f32 {
    // Our own conversions of halves vectorise, so they are several times as fast as those of the crate `half`.
    #[cfg(feature = "half")]
    {
        // The compiler knows the type, so these tests leave no code.
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

/// Rounds to the nearest `F`, once.
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
    // The user's `F` may be a half even if this crate's feature `half` is off. The crate `half` converts by way of f32,
    // which rounds twice, unless the f32 was rounded to odd.
    let value = if size_of::<F>() < size_of::<f32>() { to_odd(value).into() } else { value };
    F::from(value).unwrap_or_else(F::nan)
}

/// Rounds to odd: a value between two f32 becomes the one whose last bit is 1. A second rounding, to half precision,
/// then gives the same number as one rounding of the value itself (Boldo and Melquiond 2008).
#[inline(always)]
pub(crate) fn to_odd(value: f64) -> f32 {
    let narrow = value as f32;
    let bits = narrow.to_bits();
    let towards_zero = bits.wrapping_sub(u32::from(f64::from(narrow).abs() > value.abs()));
    let exact = !narrow.is_finite() || f64::from(narrow) == value;
    f32::from_bits(if exact { bits } else { towards_zero | 1 })
}
