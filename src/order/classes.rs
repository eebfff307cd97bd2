use alloc::vec::Vec;

use super::shuffle::Shuffle;
use crate::{
    check,
    error::{Error, Relation},
};

/// Which samples have equal labels.
pub(super) struct Classes {
    /// The class of each sample, counted from 0 in the order in which they come.
    pub(super) of: Vec<u32>,
    /// How many samples each class has.
    pub(super) sizes: Vec<usize>,
    /// A sample of each class, in ascending order of labels.
    pub(super) samples: Vec<u32>,
}

impl Classes {
    /// All samples are one class. `parts` can be made of it, or it is an error.
    pub(super) fn one(len: usize, parts: usize) -> Result<Self, Error> {
        check_len(len, parts)?;
        Ok(Classes {
            of: check::zeros("samples", len)?,
            sizes: check::list("classes", [len])?,
            samples: check::list("classes", [0])?,
        })
    }

    /// Not by std's sorts, which may panic where `Ord` is no total order.
    pub(super) fn new<L: Ord>(labels: &[L], parts: usize) -> Result<Self, Error> {
        let len = labels.len();
        check_len(len, parts)?;
        let mut of = numbers(len)?;
        let mut samples = numbers(len)?;
        let count = merge_sort(labels, &mut samples, &mut check::zeros("labels", len)?, &mut of);
        samples.truncate(count);

        let mut sizes = check::zeros("classes", count)?;
        let mut next = 0;
        for sample in 0..len {
            // An earlier sample with the same label, which has its class by now; or itself.
            let earlier = of[sample] as usize;
            if earlier == sample {
                of[sample] = next;
                next += 1;
            } else {
                of[sample] = of[earlier];
            }
            sizes[of[sample] as usize] += 1;
        }
        Ok(Classes { of, sizes, samples })
    }

    /// How many samples the class of `sample` has.
    pub(super) fn size_of(&self, sample: u32) -> usize {
        self.sizes[self.of[sample as usize] as usize]
    }
}

fn check_len(len: usize, parts: usize) -> Result<(), Error> {
    check::count("number of samples", len as u64, Relation::AtLeast, parts as u64, "number of parts")?;
    check::count("number of samples", len as u64, Relation::AtMost, Shuffle::MAX_LEN as u64, "Shuffle::MAX_LEN")
}

fn numbers(len: usize) -> Result<Vec<u32>, Error> {
    let mut numbers = check::zeros("labels", len)?;
    numbers.iter_mut().zip(0..).for_each(|(number, i)| *number = i);
    Ok(numbers)
}

/// Sorts `samples` by label, and keeps only the first of those with one label: returns how many are kept, which stand in
/// front. In `earlier` each other one is given a sample before it with the same label.
fn merge_sort<L: Ord>(labels: &[L], samples: &mut [u32], scratch: &mut [u32], earlier: &mut [u32]) -> usize {
    if samples.len() < 2 {
        return samples.len();
    }
    let (left, right) = samples.split_at_mut(samples.len() / 2);
    let left_len = merge_sort(labels, left, scratch, earlier);
    let right_len = merge_sort(labels, right, scratch, earlier);
    let (mut left, mut right) = (&left[..left_len], &right[..right_len]);

    let mut len = 0;
    while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
        let order = labels[*a as usize].cmp(&labels[*b as usize]);
        if order.is_eq() {
            earlier[*b as usize] = *a;
        }
        scratch[len] = if order.is_gt() { *b } else { *a };
        len += 1;
        left = if order.is_gt() { left } else { left_rest };
        right = if order.is_lt() { right } else { right_rest };
    }
    for rest in [left, right] {
        scratch[len..len + rest.len()].copy_from_slice(rest);
        len += rest.len();
    }
    samples[..len].copy_from_slice(&scratch[..len]);
    len
}
