//! Conversions between the floats.

use num_traits::Float;

/// Exact: every scalar here is at most as wide as f64.
pub(crate) fn to_f64<F: Float>(value: F) -> f64 {
    // half's types by way of f32: as exact, and several times as fast.
    if size_of::<F>() == 2 { value.to_f32().map_or(f64::NAN, f64::from) } else { value.to_f64().unwrap_or(f64::NAN) }
}

/// Rounded to the nearest F, once.
pub(crate) fn from_f64<F: Float>(value: f64) -> F {
    let convert = |value: f64| F::from(value).unwrap_or_else(F::nan);
    let narrow = value as f32;
    if size_of::<F>() >= size_of::<f32>() || !narrow.is_finite() || f64::from(narrow) == value {
        return convert(value);
    }
    // half's types go by way of f32. Rounded to odd there, the second rounding is that of the value itself
    // (Boldo and Melquiond 2008).
    let towards_zero = narrow.to_bits() - u32::from(f64::from(narrow).abs() > value.abs());
    convert(f32::from_bits(towards_zero | 1).into())
}
