use alloc::{format, vec, vec::Vec};
use core::fmt::Debug;

use rand::Rng;

use super::{
    shuffle,
    shuffle::Shuffle,
    subset::Subset,
    words::{unit, words},
};
use crate::{
    check,
    error::{Error, Relation},
};

/// Which part each sample of a set belongs to: training, validation and test, or the k folds of a cross-validation.
///
/// A part has a share of the samples. Folds are equal shares: with `&[0.2; 5]`, [`part`](Split::part)`(k)` is the validation
/// set of fold k, and [`all_but`](Split::all_but)`(k)` its training set. Both are an [`Order`](crate::Order) over samples of
/// the *whole* set, so nothing has to be mapped back.
///
/// A pure function of its arguments; [`order`](crate::order) describes it. Memory: 4 bytes a sample, and 8 a sample of each
/// part that is taken. Time to make: that of a shuffle; stratified, also of a stable sort by label; by key, some 0.2
/// microseconds a sample.
///
/// # Example
/// ```
/// use gradstep::{Batcher, Split, stable_hash};
///
/// let split = Split::new(1_000, &[0.8, 0.1, 0.1], 42)?;
/// let training = Batcher::over(split.part(0)?.shuffled(42)?, 32)?; // shuffled anew each epoch
/// let validation = Batcher::over(split.part(1)?, 100)?; // in ascending order
/// assert_eq!((training.len(), validation.len()), (800, 100));
///
/// // Five folds; each has its share of each class.
/// let labels: Vec<u8> = (0..1_000).map(|i| (i % 10) as u8).collect();
/// let folds = Split::stratified(&labels, &[0.2; 5], 42)?;
/// for fold in 0..5 {
///     let (training, validation) = (folds.all_but(fold)?, folds.part(fold)?);
///     assert_eq!((training.samples().len(), validation.samples().len()), (800, 200));
/// }
///
/// // All samples of a patient on one side, where they stay when patients are added.
/// let patients = ["ann", "bob", "ann", "cleo", "bob"];
/// let split = Split::by_key(patients.map(|name| stable_hash(name.as_bytes())), &[0.5, 0.5], 1)?;
/// assert_eq!(split.part_of(0), split.part_of(2));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Split {
    /// Of each sample.
    parts: Vec<u32>,
    count: usize,
}

impl Split {
    /// Each part gets its share of the samples `0..len`, to within one sample, chosen at random.
    ///
    /// # Errors
    /// [`Error::Number`] if a share is not above 0, or all together are not 1 (to within 1e-9). [`Error::Count`] if there
    /// are more parts than samples, or no part; [`Error::TooManySamples`] if `len` is above [`Shuffle::MAX_LEN`].
    pub fn new(len: usize, shares: &[f64], seed: u64) -> Result<Self, Error> {
        let bounds = bounds(shares)?;
        let samples = shuffled(len, seed)?;
        check::count("number of samples", len as u64, Relation::AtLeast, shares.len() as u64, "number of parts")?;
        let mut split = Split { parts: vec![0; len], count: shares.len() };
        split.deal(&samples, &bounds, 0);
        Ok(split)
    }

    /// The same within each class: each part gets its share of each class, to within one sample. `labels` are those of all
    /// samples in turn.
    ///
    /// # Errors
    /// Those of [`new`](Split::new); [`Error::SmallClass`] if a class has fewer samples than there are parts.
    pub fn stratified<L: Ord + Debug>(labels: &[L], shares: &[f64], seed: u64) -> Result<Self, Error> {
        let bounds = bounds(shares)?;
        let mut samples = shuffled(labels.len(), seed)?;
        samples.sort_by_key(|&sample| &labels[sample]);
        let mut split = Split { parts: vec![0; labels.len()], count: shares.len() };
        for (number, class) in samples.chunk_by(|&a, &b| labels[a] == labels[b]).enumerate() {
            if class.len() < split.count {
                let label = format!("{:?}", labels[class[0]]);
                return Err(Error::SmallClass { class: label, samples: class.len(), parts: split.count });
            }
            split.deal(class, &bounds, number);
        }
        Ok(split)
    }

    /// The part of a sample depends on its key and the seed alone: samples with one key stay together, and a sample keeps
    /// its part when others are added. The shares are met in expectation, over keys. [`stable_hash`](crate::stable_hash)
    /// makes a key from a name.
    ///
    /// # Errors
    /// Those of [`new`](Split::new) for the shares. (A part without a sample is an error of [`part`](Split::part).)
    pub fn by_key(keys: impl IntoIterator<Item = u64>, shares: &[f64], seed: u64) -> Result<Self, Error> {
        let bounds = bounds(shares)?;
        let part = |key| {
            let unit = unit(words(b"keys  v1", seed, key, 0, 0).next_u64());
            bounds.partition_point(|&bound| bound <= unit) as u32
        };
        Ok(Split { parts: keys.into_iter().map(part).collect(), count: shares.len() })
    }

    /// Deals one class out: `samples` are in random order.
    fn deal(&mut self, samples: &[usize], bounds: &[f64], class: usize) {
        // What is left over when a class is cut goes to other parts in the next class, so that no part collects it.
        let offset = (2 * ((class * 159 + 128) % 256) + 1) as f64 / 512.0;
        let len = samples.len();
        // A bound may be above 1 by a rounding.
        let ends = bounds.iter().map(|bound| ((bound * len as f64 + offset) as usize).min(len)).chain([len]);
        let mut start = 0;
        for (part, end) in ends.enumerate() {
            for &sample in &samples[start..end] {
                self.parts[sample] = part as u32;
            }
            start = end;
        }
    }

    /// How many samples there are.
    #[expect(clippy::len_without_is_empty, reason = "only by_key takes no sample at all")]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.count
    }

    /// The part of a sample, counted from 0; `None` from [`len`](Split::len) on.
    pub fn part_of(&self, sample: usize) -> Option<usize> {
        self.parts.get(sample).map(|&part| part as usize)
    }

    /// The samples of part `part`, in ascending order. [`Subset::shuffled`] shuffles them.
    ///
    /// # Errors
    /// [`Error::Count`] if there is no such part, or no sample in it.
    pub fn part(&self, part: usize) -> Result<Subset, Error> {
        self.samples(part, |of| of == part)
    }

    /// The samples of all parts but `part`, in ascending order.
    ///
    /// # Errors
    /// Those of [`part`](Split::part).
    pub fn all_but(&self, part: usize) -> Result<Subset, Error> {
        self.samples(part, |of| of != part)
    }

    fn samples(&self, part: usize, is_in: impl Fn(usize) -> bool) -> Result<Subset, Error> {
        check::count("part", part as u64, Relation::Below, self.count as u64, "number of parts")?;
        let parts = self.parts.iter().enumerate();
        Subset::new(parts.filter(|&(_, &of)| is_in(of as usize)).map(|(sample, _)| sample).collect())
    }
}

/// Where one part ends and the next begins, in [0, 1].
fn bounds(shares: &[f64]) -> Result<Vec<f64>, Error> {
    check::at_least_one("number of parts", shares.len() as u64)?;
    let mut sum = 0.0;
    let mut bounds = Vec::with_capacity(shares.len());
    for &share in shares {
        sum += check::above_zero("share", share)?;
        bounds.push(sum);
    }
    check::number("sum of the shares", sum, check::ABOUT_ONE)?;
    bounds.pop();
    Ok(bounds)
}

/// 0..len in random order.
fn shuffled(len: usize, seed: u64) -> Result<Vec<usize>, Error> {
    Shuffle::new(len, seed)?;
    let mut samples = vec![0; len];
    shuffle::fill(&mut samples, b"split v1", seed, 0);
    Ok(samples)
}
