use alloc::vec::Vec;
use core::ops::Bound::{self, Included};

use crate::{
    check,
    error::{Error, Relation},
};

/// The valid sums of the shares: about 1, since each share may have been rounded to f32.
const ABOUT_ONE: (Bound<f64>, Bound<f64>) = (Included(1.0 - 1e-6), Included(1.0 + 1e-6));
/// The largest number of parts. It is below 2^20, so that all parts together are never sure of more samples than there
/// are.
const MAX_PARTS: u64 = 1_000_000;

/// The shares of the parts of a split, as integers, so that dealing is exact: part j has the share `units[j] / sum`.
pub(super) struct Shares {
    units: Vec<u64>,
    sum: u64,
}

impl Shares {
    pub(super) fn new(shares: &[f64]) -> Result<Self, Error> {
        let mut units = zeros(shares.len())?;
        let mut sum = 0.0;
        for (units, &share) in units.iter_mut().zip(shares) {
            sum += check::above_zero("share", share)?;
            // The product is exact, since a power of two changes only the exponent; `as` rounds it down.
            *units = ((share * (1_u64 << 62) as f64) as u64).max(1);
        }
        check::number("sum of the shares", sum, ABOUT_ONE)?;
        Ok(Shares { sum: units.iter().sum(), units })
    }

    pub(super) fn of_counts(counts: &[usize]) -> Result<Self, Error> {
        let mut units = zeros(counts.len())?;
        let mut sum = 0_u64;
        for (units, &count) in units.iter_mut().zip(counts) {
            check::at_least_one("count", count as u64)?;
            *units = count as u64;
            // Saturating, since the caller checks the sum against the largest number of samples.
            sum = sum.saturating_add(*units);
        }
        Ok(Shares { units, sum })
    }

    /// How many parts there are.
    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    pub(super) fn sum(&self) -> u64 {
        self.sum
    }

    /// The share of part `part` as a float, for messages.
    pub(super) fn share(&self, part: usize) -> f64 {
        self.units[part] as f64 / self.sum as f64
    }

    /// Where each part ends in 0..sum.
    pub(super) fn ends(&self) -> Result<Vec<u64>, Error> {
        let mut ends = zeros(self.len())?;
        let mut end = 0;
        for (ends, units) in ends.iter_mut().zip(&self.units) {
            end += units;
            *ends = end;
        }
        Ok(ends)
    }

    /// How many of `samples` samples part `part` gets at least.
    pub(super) fn sure(&self, part: usize, samples: usize) -> usize {
        // In u128: the units may have 62 bits and the samples 32.
        let times = u128::from(self.units[part]) * samples as u128;
        ((times + u128::from(self.rounding())) / u128::from(self.sum)) as usize
    }

    /// The part with the smallest share, and the least number of samples of which it is sure to get one.
    pub(super) fn smallest(&self) -> (usize, u64) {
        let smallest = self.units.iter().enumerate().min_by_key(|&(_, &units)| units);
        let (part, &units) = smallest.unwrap_or((0, &1));
        (part, (self.sum - self.rounding()).div_ceil(units))
    }

    /// How much may be missing from a sample that still counts as a whole one: a millionth, since shares may have been
    /// rounded to f32. A whole sample is `sum` in these units.
    fn rounding(&self) -> u64 {
        self.sum >> 20
    }

    /// How many samples part `part` lacks of its share of `seen` samples if it has `given`, times `sum`.
    pub(super) fn lacks(&self, part: usize, seen: usize, given: usize) -> i128 {
        i128::from(self.units[part]) * seen as i128 - i128::from(self.sum) * given as i128
    }

    /// What part `part` lacks of its share of a group of `size` samples, times `sum` · 2^32. `has` is what it already
    /// has of the group's classes, times 2^32.
    pub(super) fn lacks_in_group(&self, part: usize, size: usize, has: u128) -> i128 {
        // Both products are below 2^127: the units and `sum` are about 2^62 at most, `size` 2^32, and `has` 2^64.
        ((i128::from(self.units[part]) * size as i128) << 32) - i128::from(self.sum) * has as i128
    }
}

/// A zero for each part, or an error if the number of parts is invalid.
fn zeros(parts: usize) -> Result<Vec<u64>, Error> {
    check::at_least_one("number of parts", parts as u64)?;
    check::count("number of parts", parts as u64, Relation::AtMost, MAX_PARTS, "")?;
    check::zeros("parts", parts)
}
