//! The checks that several modules share.

use alloc::{string::ToString, vec::Vec};
use core::ops::{
    Bound::{self, Excluded, Included},
    RangeBounds,
};

use num_traits::{Float, Zero};

use crate::{
    error::{Error, Relation},
    float::{from_f64, to_f64},
};

pub(crate) const FINITE: (Bound<f64>, Bound<f64>) = (Excluded(f64::NEG_INFINITY), Excluded(f64::INFINITY));
const AT_LEAST_ZERO: (Bound<f64>, Bound<f64>) = (Included(0.0), Excluded(f64::INFINITY));
const ABOVE_ZERO: (Bound<f64>, Bound<f64>) = (Excluded(0.0), Excluded(f64::INFINITY));

/// Checks that `value` is in `range`. NaN is in no range.
pub(crate) fn number(name: &'static str, value: f64, range: (Bound<f64>, Bound<f64>)) -> Result<f64, Error> {
    if range.contains(&value) { Ok(value) } else { Err(Error::Number { name, value, range }) }
}

pub(crate) fn at_least_zero(name: &'static str, value: f64) -> Result<f64, Error> {
    number(name, value, AT_LEAST_ZERO)
}

pub(crate) fn above_zero(name: &'static str, value: f64) -> Result<f64, Error> {
    number(name, value, ABOVE_ZERO)
}

pub(crate) fn fraction(name: &'static str, value: f64) -> Result<f64, Error> {
    number(name, value, (Included(0.0), Included(1.0)))
}

/// Checks a setting with which a rule computes in `P`: rounded to `P` it must be in the range too, and above 0 if
/// `value` is.
#[inline]
fn setting<P: Float + 'static>(
    name: &'static str,
    value: f64,
    (from, to): (Bound<f64>, Bound<f64>),
) -> Result<f64, Error> {
    number(name, value, (from, to))?;
    let rounded = to_f64(from_f64::<P>(value));
    // A setting that rounds from above 0 to 0 would switch itself off without an error.
    let range = (if value > 0.0 { Excluded(0.0) } else { from }, to);
    if range.contains(&rounded) { Ok(value) } else { Err(Error::Rounded { name, value, rounded, range }) }
}

pub(crate) fn learning_rate<P: Float + 'static>(value: f64) -> Result<f64, Error> {
    setting::<P>("learning_rate", value, AT_LEAST_ZERO)
}

pub(crate) fn momentum<P: Float + 'static>(value: f64) -> Result<f64, Error> {
    setting::<P>("momentum", value, (Included(0.0), Excluded(1.0)))
}

/// The factor by which a running mean decays per step.
pub(crate) fn beta<P: Float + 'static>(name: &'static str, value: f64) -> Result<f64, Error> {
    setting::<P>(name, value, (Included(0.0), Excluded(1.0)))
}

pub(crate) fn eps<P: Float + 'static>(value: f64) -> Result<f64, Error> {
    setting::<P>("eps", value, ABOVE_ZERO)
}

pub(crate) fn weight_decay<P: Float + 'static>(value: f64) -> Result<f64, Error> {
    setting::<P>("weight_decay", value, AT_LEAST_ZERO)
}

pub(crate) fn limit<P: Float + 'static>(value: f64) -> Result<f64, Error> {
    setting::<P>("limit", value, ABOVE_ZERO)
}

/// `of` is the name of the bound in the message; it may be empty.
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

// Inlined, since a step of a few parameters would otherwise spend its time on calls.
#[inline]
pub(crate) fn length(name: &'static str, len: usize, of: &'static str, expected: usize) -> Result<(), Error> {
    if len == expected { Ok(()) } else { Err(Error::Length { name, len, expected, of }) }
}

/// Checks that `saved` and `expected` are the same as text.
pub(crate) fn same(name: &'static str, saved: impl ToString, expected: impl ToString) -> Result<(), Error> {
    let (saved, expected) = (saved.to_string(), expected.to_string());
    if saved == expected { Ok(()) } else { Err(Error::Saved { name, saved, expected }) }
}

/// Returns `len` zeros, or an error where `vec!` would panic or abort the process.
pub(crate) fn zeros<T: Zero + Clone>(name: &'static str, len: usize) -> Result<Vec<T>, Error> {
    let mut zeros = room(name, len)?;
    zeros.resize(len, T::zero());
    Ok(zeros)
}

/// Returns an empty list with room for `len` items, or an error if memory is missing.
pub(crate) fn room<T>(name: &'static str, len: usize) -> Result<Vec<T>, Error> {
    let mut room = Vec::new();
    room.try_reserve_exact(len).map_err(|_| Error::Memory { name, len })?;
    Ok(room)
}

/// Collects the items into a list, or returns an error if memory is missing.
pub(crate) fn list<T, I>(name: &'static str, items: I) -> Result<Vec<T>, Error>
where
    I: IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
{
    let items = items.into_iter();
    let mut list = room(name, items.len())?;
    list.extend(items);
    Ok(list)
}

/// Adds an item, or returns an error if memory is missing.
pub(crate) fn push<T>(name: &'static str, list: &mut Vec<T>, item: T) -> Result<(), Error> {
    list.try_reserve(1).map_err(|_| Error::Memory { name, len: list.len() + 1 })?;
    list.push(item);
    Ok(())
}
