//! The checks that several modules share.

use alloc::{string::ToString, vec::Vec};
use core::ops::{
    Bound::{self, Excluded, Included},
    RangeBounds,
};

use num_traits::Float;

use crate::{
    error::{Error, Relation},
    float::to_f64,
};

pub(crate) const FINITE: (Bound<f64>, Bound<f64>) = (Excluded(f64::NEG_INFINITY), Excluded(f64::INFINITY));
/// What adds up to 1 but for rounding.
pub(crate) const ABOUT_ONE: (Bound<f64>, Bound<f64>) = (Included(1.0 - 1e-9), Included(1.0 + 1e-9));
const AT_LEAST_ZERO: (Bound<f64>, Bound<f64>) = (Included(0.0), Excluded(f64::INFINITY));
const ABOVE_ZERO: (Bound<f64>, Bound<f64>) = (Excluded(0.0), Excluded(f64::INFINITY));
const NORMAL: (Bound<f64>, Bound<f64>) = (Included(f64::MIN_POSITIVE), Excluded(f64::INFINITY));

/// NaN is in no range.
pub(crate) fn number<F: Float>(name: &'static str, value: F, range: (Bound<f64>, Bound<f64>)) -> Result<F, Error> {
    let wide = to_f64(value);
    if range.contains(&wide) { Ok(value) } else { Err(Error::Number { name, value: wide, range }) }
}

pub(crate) fn at_least_zero<F: Float>(name: &'static str, value: F) -> Result<F, Error> {
    number(name, value, AT_LEAST_ZERO)
}

pub(crate) fn above_zero<F: Float>(name: &'static str, value: F) -> Result<F, Error> {
    number(name, value, ABOVE_ZERO)
}

pub(crate) fn normal(name: &'static str, value: f64) -> Result<f64, Error> {
    number(name, value, NORMAL)
}

pub(crate) fn fraction<F: Float>(name: &'static str, value: F) -> Result<F, Error> {
    number(name, value, (Included(0.0), Included(1.0)))
}

pub(crate) fn learning_rate<F: Float>(value: F) -> Result<F, Error> {
    at_least_zero("learning_rate", value)
}

pub(crate) fn momentum<F: Float>(value: F) -> Result<F, Error> {
    number("momentum", value, (Included(0.0), Excluded(1.0)))
}

/// `of` says what the bound is; empty if it is always the same.
pub(crate) fn count(
    name: &'static str,
    value: u64,
    relation: Relation,
    bound: u64,
    of: &'static str,
) -> Result<(), Error> {
    if relation.holds(value, bound) { Ok(()) } else { Err(Error::Count { name, value, relation, bound, of }) }
}

pub(crate) fn at_least_one(name: &'static str, value: u64) -> Result<(), Error> {
    count(name, value, Relation::AtLeast, 1, "")
}

// Inlined: a step of a few parameters would otherwise spend its time in calls.
#[inline]
pub(crate) fn length(name: &'static str, len: usize, of: &'static str, expected: usize) -> Result<(), Error> {
    if len == expected { Ok(()) } else { Err(Error::Length { name, len, expected, of }) }
}

/// That what was saved is what is expected, as text.
pub(crate) fn same(name: &'static str, saved: impl ToString, expected: impl ToString) -> Result<(), Error> {
    let (saved, expected) = (saved.to_string(), expected.to_string());
    if saved == expected { Ok(()) } else { Err(Error::Saved { name, saved, expected }) }
}

/// `len` zeros, or an error where `vec!` would panic or abort.
pub(crate) fn zeros<F: Float>(name: &'static str, len: usize) -> Result<Vec<F>, Error> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| Error::Memory { name, len })?;
    zeros.resize(len, F::zero());
    Ok(zeros)
}
