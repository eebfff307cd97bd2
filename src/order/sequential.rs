use alloc::{vec, vec::Vec};
use core::ops::Range;

use super::{Fill, Order, VERSION};
use crate::{check, error::Error};

/// The order 0, 1, 2, … in every epoch, for evaluation.
///
/// Cost: no memory, and one store per place.
///
/// # Example
/// ```
/// use gradstep::{Batcher, Sequential};
/// assert_eq!(Batcher::over(Sequential::new(5)?, 2)?, Batcher::sequential(5, 2)?);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sequential {
    len: usize,
}

impl Sequential {
    /// The order 0, 1, …, `len` − 1.
    ///
    /// # Errors
    /// [`Error::Count`] if `len` is 0.
    pub fn new(len: usize) -> Result<Self, Error> {
        check::at_least_one("len", len as u64)?;
        Ok(Sequential { len })
    }
}

impl Order for Sequential {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![("sequential", VERSION), ("len", self.len())]
    }

    fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
        place..place.saturating_add(1)
    }

    fn longest_run(&self) -> u64 {
        1
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        let start = fill.start as usize;
        for (i, sample) in fill.out.iter_mut().enumerate() {
            // Wrapping, since an order that wraps this one may ask for places beyond the end.
            *sample = start.wrapping_add(i);
        }
    }
}
