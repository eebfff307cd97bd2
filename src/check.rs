//! The checks that several parts share.

use alloc::vec::Vec;

use num_traits::Float;

use crate::{error::Error, float::to_f64};

fn number<F: Float>(name: &'static str, value: F, expected: &'static str, holds: bool) -> Result<F, Error> {
    if holds { Ok(value) } else { Err(Error::Number { name, value: to_f64(value), expected }) }
}

// `value >= 0` rather than `!(value < 0)`: NaN must fail.
pub(crate) fn at_least_zero<F: Float>(name: &'static str, value: F) -> Result<F, Error> {
    number(name, value, "a finite number of at least 0", value.is_finite() && value >= F::zero())
}

pub(crate) fn above_zero<F: Float>(name: &'static str, value: F) -> Result<F, Error> {
    number(name, value, "a finite number above 0", value.is_finite() && value > F::zero())
}

pub(crate) fn fraction<F: Float>(name: &'static str, value: F) -> Result<F, Error> {
    number(name, value, "a number from 0 to 1", value >= F::zero() && value <= F::one())
}

pub(crate) fn learning_rate<F: Float>(value: F) -> Result<F, Error> {
    at_least_zero("learning_rate", value)
}

pub(crate) fn momentum<F: Float>(value: F) -> Result<F, Error> {
    let holds = value >= F::zero() && value < F::one();
    number("momentum", value, "a number from 0 up to, but not including, 1", holds)
}

// Inlined, so that a step of a few parameters is not all calls.
#[inline]
pub(crate) fn length(name: &'static str, len: usize, of: &'static str, expected: usize) -> Result<(), Error> {
    if len == expected { Ok(()) } else { Err(Error::Length { name, len, expected, of }) }
}

/// `len` zeros, or the error where `vec!` would panic or abort.
pub(crate) fn zeros<F: Float>(name: &'static str, len: usize) -> Result<Vec<F>, Error> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| Error::Memory { name, len })?;
    zeros.resize(len, F::zero());
    Ok(zeros)
}

pub(crate) fn at_least_one(name: &'static str, value: u64) -> Result<(), Error> {
    if value >= 1 { Ok(()) } else { Err(Error::Count { name, value, expected: "at least", bound: 1 }) }
}
