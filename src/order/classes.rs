use alloc::vec::Vec;

use super::shuffle::Shuffle;
use crate::{
    check,
    error::{Error, Relation},
};

/// Which samples have equal labels.
pub(super) struct Classes {
    /// The class of each sample; classes are counted from 0 in the order of their first samples.
    pub(super) of: Vec<u32>,
    /// How many samples each class has.
    pub(super) sizes: Vec<usize>,
    /// One sample of each class; the classes are in ascending order of their labels.
    pub(super) samples: Vec<u32>,
}

impl Classes {
    /// One class of all samples. Returns an error if `len` samples cannot be split into `parts` parts.
    pub(super) fn one(len: usize, parts: usize) -> Result<Self, Error> {
        check_len(len, parts)?;
        Ok(Classes {
            of: check::zeros("samples", len)?,
            sizes: check::list("classes", [len])?,
            samples: check::list("classes", [0])?,
        })
    }

    /// The classes of samples with these labels. Returns an error if the samples cannot be split into `parts` parts.
    ///
    /// It does not use the sorts of std, which may panic if `Ord` is not a total order.
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
            // From this sample on, `of` still has what the sort wrote: an earlier sample with the same label, whose
            // class is known by now, or the sample itself if it is the first of its class.
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

/// The numbers 0, 1, …, `len` − 1.
fn numbers(len: usize) -> Result<Vec<u32>, Error> {
    let mut numbers = check::zeros("labels", len)?;
    numbers.iter_mut().zip(0..).for_each(|(number, i)| *number = i);
    Ok(numbers)
}

/// Sorts `samples` by label and keeps only the first sample of each label. Moves those to the front, and returns how
/// many they are. For each other sample, writes an earlier sample with the same label to `earlier`.
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
        // If two labels are equal, the left sample is kept, because it is the earlier one.
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
