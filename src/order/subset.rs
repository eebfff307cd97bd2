use alloc::vec::Vec;
use core::{mem, ops::Range};

use super::{Fill, Order, classes::Classes, hash::fnv, sequential::Sequential, shuffle::Shuffle};
use crate::{check, error::Error};

/// Some of the samples of a set, in an order of their own: a part of a [`Split`](crate::Split), or any list.
///
/// Its batches hold indices into the *whole* set, so you need not map them back. [`new`](Subset::new) keeps the list's
/// order in every epoch; [`shuffled`](Subset::shuffled) shuffles the list anew in each epoch.
///
/// Cost: 8 bytes per sample for the list. Creating a subset takes 8 multiplications per sample for a hash of the list;
/// a [`Position`](crate::Position) keeps the hash, so that it is not resumed with another list (except with a chance of
/// 2^-64). A place takes one lookup more than in the inner order.
///
/// # Example
/// ```
/// use gradstep::{Batcher, Subset};
/// let clean = Subset::new(vec![3, 14, 15, 92, 65])?; // of a larger set
/// let batcher = Batcher::over(clean.shuffled(42)?, 2)?;
/// for batch in &batcher.epoch(0) {
///     assert!(batch.iter().all(|i| [3, 14, 15, 92, 65].contains(i)));
/// }
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subset<O = Sequential> {
    samples: Vec<usize>,
    hash: u64,
    /// The order of the places of `samples`.
    order: O,
}

impl Subset {
    /// The order `samples`, the same in every epoch. A sample may be in the list several times.
    ///
    /// # Errors
    /// [`Error::Count`] if `samples` is empty.
    pub fn new(samples: Vec<usize>) -> Result<Self, Error> {
        check::at_least_one("number of samples", samples.len() as u64)?;
        let hash = fnv(samples.iter().flat_map(|&sample| (sample as u64).to_le_bytes()));
        Ok(Subset { order: Sequential::new(samples.len())?, samples, hash })
    }

    /// One subset for each class, which has the samples of that class in ascending order. `labels[i]` is the label of
    /// sample i, and samples with equal labels are a class. The classes are in ascending order of their labels.
    ///
    /// # Errors
    /// [`Error::Count`] if there is no label, or if there are more than [`Shuffle::MAX_LEN`]; [`Error::Memory`] if
    /// there is no memory for the lists.
    ///
    /// # Example
    /// ```
    /// let classes = gradstep::Subset::by_label(&["cat", "ant", "cat"])?;
    /// assert_eq!((classes[0].samples(), classes[1].samples()), (&[1][..], &[0, 2][..]));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn by_label<L: Ord>(labels: &[L]) -> Result<Vec<Subset>, Error> {
        check::at_least_one("number of labels", labels.len() as u64)?;
        let Classes { of, sizes, samples: ascending } = Classes::new(labels, 1)?;
        let mut lists = check::room("classes", sizes.len())?;
        for size in sizes {
            lists.push(check::room("samples", size)?);
        }
        for (sample, &class) in of.iter().enumerate() {
            lists[class as usize].push(sample);
        }
        let mut subsets = check::room("classes", ascending.len())?;
        // `of` numbers the classes by their first samples; `ascending` has one sample of each class, by label.
        for sample in ascending {
            subsets.push(Subset::new(mem::take(&mut lists[of[sample as usize] as usize]))?);
        }
        Ok(subsets)
    }

    /// The same samples, shuffled anew in each epoch.
    ///
    /// Two subsets of the same length that are shuffled with the same seed have their places in the same order: zipped,
    /// they give the same pairs in every epoch. So give each a [seed of its own](crate::Batcher::new).
    ///
    /// # Errors
    /// Those of [`Shuffle::new`].
    pub fn shuffled(self, seed: u64) -> Result<Subset<Shuffle>, Error> {
        let order = Shuffle::new(self.samples.len(), seed)?;
        Ok(Subset { samples: self.samples, hash: self.hash, order })
    }
}

impl<O> Subset<O> {
    /// The list of samples: as it was given, or in ascending order if this is a part of a [`Split`](crate::Split)
    /// of all samples.
    pub fn samples(&self) -> &[usize] {
        &self.samples
    }
}

impl<O: Order> Order for Subset<O> {
    fn len(&self) -> u64 {
        self.order.len()
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        let mut settings = self.order.settings();
        settings.push(("hash of the samples", self.hash));
        settings
    }

    fn run(&self, epoch: u64, place: u64) -> Range<u64> {
        self.order.run(epoch, place)
    }

    fn longest_run(&self) -> u64 {
        self.order.longest_run()
    }

    fn scratch_len(&self) -> usize {
        self.order.scratch_len()
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        self.order.fill(fill);
        // The inner order has written places of the list.
        for sample in &mut *fill.out {
            *sample = self.samples.get(*sample).copied().unwrap_or(usize::MAX);
        }
    }
}
