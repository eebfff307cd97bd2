use alloc::{format, vec::Vec};
use core::{cmp::Reverse, fmt::Debug, iter::repeat_n, mem};

use rand::Rng;

use super::{classes::Classes, generator::generator, grouped, shares::Shares, shuffle, subset::Subset};
use crate::{
    check,
    error::{Error, Relation},
};

/// Says which part each sample of a set belongs to: training, validation and test, or the k folds of a
/// cross-validation.
///
/// Each part has a share of the samples. For folds, pass equal shares: with `&[0.2; 5]`, [`part`](Split::part)`(k)` is
/// the validation set of fold k, and [`all_but`](Split::all_but)`(k)` its training set. Both are an
/// [`Order`](crate::Order) whose samples are indices into the *whole* set, so you need not map them back, even if a
/// part is split again ([`Subset::split`]).
///
/// A split is a pure function of its arguments; [`order`](crate::order) describes it. No part is empty: a call that
/// would leave a part without a sample returns an error that names the part.
///
/// Cost: 4 bytes per sample, and 8 bytes per sample of each part that is taken. While it is created, another 8 bytes
/// per sample; for a stratified split 16, and 8 for each part of each class. With a million samples, a plain split
/// takes as long as two shuffles of them, a part as long as 1 to 3, a split by key as long as 40, and a stratified
/// split as long as 15 to 30 (with 50,000 classes 60).
///
/// # Example
/// ```
/// use gradstep::{Batcher, Draws, Split, stable_hash};
///
/// let split = Split::new(1_000, &[0.8, 0.1, 0.1], 42)?;
/// let training = Batcher::over(split.part(0)?.shuffled(42)?, 32)?; // shuffled anew each epoch
/// let validation = Batcher::over(split.part(1)?, 100)?; // in ascending order
/// assert_eq!((training.len(), validation.len()), (800, 100));
///
/// // Parts may also be given as numbers of samples.
/// assert_eq!(Split::of_counts(&[800, 100, 100], 42)?, split);
/// assert_eq!(split.counts(), [800, 100, 100]);
///
/// // Five folds; each has its share of each class.
/// let labels: Vec<u8> = (0..1_000).map(|i| (i % 10) as u8).collect();
/// let folds = Split::stratified(&labels, &[0.2; 5], 42)?;
/// for fold in 0..5 {
///     let (training, validation) = (folds.all_but(fold)?, folds.part(fold)?);
///     assert_eq!((training.samples().len(), validation.samples().len()), (800, 200));
///     let seed = Draws::new("fold", [fold as u64, 0], 42).word(); // with one seed, all would be shuffled alike
///     let training = Batcher::over(training.shuffled(seed)?, 32)?;
/// }
///
/// // All samples of a patient are in one part, and the shares are met as well as possible.
/// let patients = ["ann", "bob", "ann", "cleo", "bob"];
/// assert_eq!(Split::by_group(&patients, &[0.6, 0.4], 1)?.counts(), [3, 2]);
///
/// // All samples of a patient are in one part, and stay there when patients are added.
/// let split = Split::by_key(patients.map(|name| stable_hash(name.as_bytes())), &[0.5, 0.5], 1)?;
/// assert_eq!(split.part_of(0), split.part_of(2));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "kfold")]
#[doc(alias = "KFold")]
#[doc(alias = "StratifiedKFold")]
#[doc(alias = "train_test_split")]
#[doc(alias = "cross_validation")]
#[doc(alias = "random_split")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Split {
    /// The part of each sample; [`NO_PART`] for those of a gap.
    parts: Vec<u32>,
    /// How many samples each part has.
    counts: Vec<usize>,
    /// The samples that `parts` is about, if they are not 0, 1, 2, …
    samples: Option<Vec<usize>>,
}

/// Stands for no part: a split has at most a million parts.
const NO_PART: u32 = u32::MAX;

impl Split {
    /// Each part gets its share of the samples `0..len`, to within one sample, chosen at random.
    ///
    /// Another `len` gives another split: if a sample is added, about 1 − Σ share² of the samples change their part.
    /// With shares 0.8, 0.1, 0.1 this is a third of them. With [`by_key`](Split::by_key), no sample changes its part.
    ///
    /// Do not use this for samples that have something in common: the other parts would give away what is in the test
    /// part. If a patient has several rows, use [`by_group`](Split::by_group); if windows of time overlap, use
    /// [`in_order`](Split::in_order) with a gap as long as a window.
    ///
    /// # Errors
    /// [`Error::Number`] if a share is not above 0, or if the shares do not add up to 1 (to within 1e-6, since they may
    /// have been rounded to f32). [`Error::Count`] if there is no part, if there are more parts than samples or more
    /// than a million, or if `len` is above [`Shuffle::MAX_LEN`](crate::Shuffle::MAX_LEN). [`Error::EmptyPart`] if a
    /// share is too small to get a sample. [`Error::Memory`] if there is no memory for the split.
    pub fn new(len: usize, shares: &[f64], seed: u64) -> Result<Self, Error> {
        let shares = Shares::new(shares)?;
        Self::deal(Classes::one(len, shares.len())?, &shares, seed)
    }

    /// Part k gets `counts[k]` samples, chosen at random; together they get the samples `0..counts.iter().sum()`.
    ///
    /// # Errors
    /// [`Error::Count`] if a count is 0, if there is no count or more than a million, or if they add up to more than
    /// [`Shuffle::MAX_LEN`](crate::Shuffle::MAX_LEN). [`Error::Memory`] if there is no memory for the split.
    ///
    /// # Example
    /// ```
    /// use gradstep::Split;
    /// let split = Split::of_counts(&[50_000, 10_000], 42)?;
    /// assert_eq!(split.counts(), [50_000, 10_000]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn of_counts(counts: &[usize], seed: u64) -> Result<Self, Error> {
        let shares = Shares::of_counts(counts)?;
        let len = usize::try_from(shares.sum()).unwrap_or(usize::MAX);
        Self::deal(Classes::one(len, shares.len())?, &shares, seed)
    }

    /// Each part gets its share of each class, to within one sample and at least one, chosen at random. `labels[i]` is
    /// the label of sample i; samples with equal labels are a class.
    ///
    /// What is left of a class goes to the parts that lack most. So each part also has its share of all samples,
    /// however small the classes are: to within one sample if there are up to three parts or all shares are equal.
    /// (With more parts this is not proved, but was so in every random case that was tried.) The seed decides in which
    /// classes a part has one sample more. The labels themselves have no effect: other labels for the same classes give
    /// the same split.
    ///
    /// If a sample is added, as many samples change their part as in [`new`](Split::new).
    ///
    /// A class must have at least 1 / share samples, rounded up, for the smallest share: 10 samples for a share of 0.1.
    /// If some classes have fewer, give all rare labels one common label first. Floats are not `Ord`: pass their bits
    /// (`f64::to_bits`). If the `Ord` of a label is not a total order, any label may be in any class, but nothing
    /// panics.
    ///
    /// # Errors
    /// Those of [`new`](Split::new); [`Error::SmallClass`] if a class is too small for each part to get a sample of it.
    ///
    /// # Example
    /// ```
    /// use gradstep::Split;
    /// let labels = ["cat", "dog", "cat", "dog", "yak", "cat", "dog", "cat", "dog", "eel"];
    /// let error = Split::stratified(&labels, &[0.5, 0.5], 42).unwrap_err();
    /// assert!(error.to_string().starts_with(r#"class "eel" has 1 samples, expected at least 2"#));
    ///
    /// let often = |label| labels.iter().filter(|&&other| other == label).count() >= 2;
    /// let labels = labels.map(|label| if often(label) { label } else { "rare" });
    /// assert_eq!(Split::stratified(&labels, &[0.5, 0.5], 42)?.counts(), [5, 5]);
    ///
    /// // Labels that are floats.
    /// let doses = [0.5, 2.5, 0.5, 2.5];
    /// assert_eq!(Split::stratified(&doses.map(f64::to_bits), &[0.5, 0.5], 42)?.counts(), [2, 2]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn stratified<L: Ord + Debug>(labels: &[L], shares: &[f64], seed: u64) -> Result<Self, Error> {
        let shares = Shares::new(shares)?;
        let classes = Classes::new(labels, shares.len())?;
        let (part, min) = shares.smallest();
        for &sample in &classes.samples {
            let (label, samples) = (&labels[sample as usize], classes.size_of(sample));
            if (samples as u64) < min {
                return Err(Error::SmallClass { class: format!("{label:?}"), samples, part, min });
            }
        }
        Self::deal(classes, &shares, seed)
    }

    /// Samples of one group stay together in one part: all rows of a patient, all frames of a film. Each part gets its
    /// share of the samples as well as that allows. `groups[i]` is the group of sample i.
    ///
    /// The groups are dealt out from the largest to the smallest, each to the part that lacks most samples; the seed
    /// decides the order of groups of equal size. The last groups go to parts that have none, so that each part has a
    /// group. This is not a random draw: a group that is larger than all others is in the part with the largest share,
    /// whatever the seed is. And if a sample is added, any group may change its part. For data that grows, and for
    /// random parts, use [`by_key`](Split::by_key).
    ///
    /// # Errors
    /// Those of [`new`](Split::new); [`Error::Count`] if there are more parts than groups.
    ///
    /// # Example
    /// ```
    /// use gradstep::Split;
    /// let patients = ["ann", "bob", "ann", "cleo", "bob", "ann"];
    /// let folds = Split::by_group(&patients, &[1.0 / 3.0; 3], 1)?;
    /// assert_eq!(folds.counts(), [3, 2, 1]);
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn by_group<G: Ord>(groups: &[G], shares: &[f64], seed: u64) -> Result<Self, Error> {
        let shares = Shares::new(shares)?;
        let classes = Classes::one(groups.len(), shares.len())?;
        Self::grouped(groups, &classes, &shares, seed)
    }

    /// The same as [`by_group`](Split::by_group), but each part also gets its share of each class as well as possible.
    /// Each group goes to the part that lacks most of its share of that group's classes; all classes have the same
    /// weight. `labels[i]` and `groups[i]` are the label and the group of sample i.
    ///
    /// If only a few groups have a class, a part may be without it; to see whether this is so, use
    /// [`part_of`](Split::part_of).
    ///
    /// # Errors
    /// Those of [`by_group`](Split::by_group); [`Error::Length`] if there are not as many labels as groups.
    pub fn stratified_by_group<L: Ord, G: Ord>(
        labels: &[L],
        groups: &[G],
        shares: &[f64],
        seed: u64,
    ) -> Result<Self, Error> {
        check::length("labels", labels.len(), "groups", groups.len())?;
        let shares = Shares::new(shares)?;
        let classes = Classes::new(labels, shares.len())?;
        Self::grouped(groups, &classes, &shares, seed)
    }

    fn grouped<G: Ord>(groups: &[G], classes: &Classes, shares: &Shares, seed: u64) -> Result<Self, Error> {
        let groups = Classes::new(groups, shares.len())?;
        let (parts, counts) = grouped::deal(groups, classes, shares, seed)?;
        Self::without_empty_part(parts, counts, shares)
    }

    /// The parts follow each other: part 0 has the first samples, and so on. Each has its share of the samples that are
    /// not in a gap, to within one sample. Between two parts, `gap` samples are in no part: if windows of time overlap,
    /// a gap as long as a window keeps the rows of the test out of the training. Nothing is random. With `gap` 0 and
    /// equal shares, the parts are folds that are not shuffled.
    ///
    /// For expanding windows, train on what is [`before`](Split::before) part k and validate on part k, for k = 1, 2,
    /// …. (This is scikit-learn's `TimeSeriesSplit`, except that there the validation sets follow each other without a
    /// gap.)
    ///
    /// # Errors
    /// Those of [`new`](Split::new) for the shares; [`Error::Count`] if the gaps leave fewer samples than parts;
    /// [`Error::EmptyPart`] and [`Error::Memory`] as in [`new`](Split::new).
    ///
    /// # Example
    /// ```
    /// use gradstep::Split;
    /// let split = Split::in_order(12, &[0.5, 0.25, 0.25], 2)?;
    /// assert_eq!(split.part(0)?.samples(), [0, 1, 2, 3]);
    /// assert_eq!(split.part(1)?.samples(), [6, 7]);
    /// assert_eq!(split.part(2)?.samples(), [10, 11]);
    /// assert_eq!(split.before(2)?.samples(), [0, 1, 2, 3, 4, 5, 6, 7]); // with the gap between parts 0 and 1
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    #[doc(alias = "TimeSeriesSplit")]
    pub fn in_order(len: usize, shares: &[f64], gap: usize) -> Result<Self, Error> {
        let shares = Shares::new(shares)?;
        let left = len.saturating_sub((shares.len() - 1).saturating_mul(gap));
        let (name, count) = ("number of samples outside the gaps", shares.len() as u64);
        check::count(name, left as u64, Relation::AtLeast, count, "number of parts")?;
        let (mut parts, mut counts) = (check::room("samples", len)?, check::zeros("parts", shares.len())?);
        Dealer::new(&shares)?.deal(left, &mut counts);
        for (part, &count) in counts.iter().enumerate() {
            parts.extend(repeat_n(NO_PART, if part > 0 { gap } else { 0 }));
            parts.extend(repeat_n(part as u32, count));
        }
        Self::without_empty_part(parts, counts, &shares)
    }

    /// The part of a sample depends only on its key, the shares and the seed: samples with equal keys stay together,
    /// and if samples are added, no sample changes its part. `keys` are the keys of all samples in turn;
    /// [`stable_hash`](crate::stable_hash) makes a key from a name.
    ///
    /// A part gets its share of the keys only on average: with n different keys, a part of share s gets none with a
    /// chance of (1 − s)ⁿ. For example, with 20 keys and five equal folds, a fold is empty for 6 seeds of 100.
    ///
    /// # Errors
    /// [`Error::Number`] and [`Error::Count`] as in [`new`](Split::new) for the shares. [`Error::EmptyPart`] if a part
    /// gets no key: another seed, more keys or a larger share may help. [`Error::Memory`] if there is no memory for the
    /// split.
    pub fn by_key(keys: impl IntoIterator<Item = u64>, shares: &[f64], seed: u64) -> Result<Self, Error> {
        let shares = Shares::new(shares)?;
        let part_of = part_of_key(&shares, seed)?;
        let keys = keys.into_iter();
        let mut parts = check::room("keys", keys.size_hint().0)?;
        let mut counts = check::zeros("counts", shares.len())?;
        for key in keys {
            let part = part_of(key);
            check::push("keys", &mut parts, part as u32)?;
            counts[part] += 1;
        }
        Self::without_empty_part(parts, counts, &shares)
    }

    /// The part to which [`by_key`](Split::by_key) gives the samples with this key, even if no sample has it.
    ///
    /// Cost: two lists with one number per part.
    ///
    /// # Errors
    /// [`Error::Number`] and [`Error::Count`] as in [`new`](Split::new) for the shares; [`Error::Memory`] if there is
    /// no memory for them.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Split, stable_hash};
    /// let user = stable_hash(b"ann");
    /// let split = Split::by_key([user, stable_hash(b"bob")], &[0.5, 0.5], 2)?;
    /// assert_eq!(split.part_of(0), Some(Split::part_of_key(user, &[0.5, 0.5], 2)?));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn part_of_key(key: u64, shares: &[f64], seed: u64) -> Result<usize, Error> {
        Ok(part_of_key(&Shares::new(shares)?, seed)?(key))
    }

    /// How many samples there are, including those in gaps.
    #[expect(clippy::len_without_is_empty, reason = "a split is never empty")]
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// How many parts there are.
    pub fn parts(&self) -> usize {
        self.counts.len()
    }

    /// How many samples each part has.
    pub fn counts(&self) -> &[usize] {
        &self.counts
    }

    /// The part of a sample, counted from 0; `None` if it is in no part. In a split of a part ([`Subset::split`]), this
    /// searches through all samples of that part; in others it is one lookup.
    pub fn part_of(&self, sample: usize) -> Option<usize> {
        let place = match &self.samples {
            Some(samples) => samples.iter().position(|&other| other == sample)?,
            None => sample,
        };
        self.parts.get(place).filter(|&&part| part != NO_PART).map(|&part| part as usize)
    }

    /// The samples of part `part`, in ascending order (in the order of the list, if it was split by [`Subset::split`]). [`Subset::shuffled`] shuffles them.
    ///
    /// # Errors
    /// [`Error::Count`] if there is no such part. [`Error::Memory`] if there is no memory for the list.
    pub fn part(&self, part: usize) -> Result<Subset, Error> {
        self.samples(part, self.len(), |of| of as usize == part)
    }

    /// The samples of all parts but `part`, in ascending order.
    ///
    /// # Errors
    /// Those of [`part`](Split::part); [`Error::Count`] if there is only one part.
    pub fn all_but(&self, part: usize) -> Result<Subset, Error> {
        check::count("number of parts", self.parts() as u64, Relation::AtLeast, 2, "")?;
        self.samples(part, self.len(), |of| of as usize != part && of != NO_PART)
    }

    /// The samples of all parts before `part`, and of the gaps between them, in ascending order: the training set of an
    /// expanding window ([`in_order`](Split::in_order)). In a random split, these are training sets that grow with
    /// `part`.
    ///
    /// # Errors
    /// Those of [`part`](Split::part); [`Error::Count`] if `part` is 0.
    pub fn before(&self, part: usize) -> Result<Subset, Error> {
        check::at_least_one("part", part as u64)?;
        let is_before = |of: u32| (of as usize) < part;
        let end = self.parts.iter().rposition(|&of| is_before(of)).map_or(0, |last| last + 1);
        self.samples(part, end, |of| is_before(of) || of == NO_PART)
    }

    /// Returns those of the first `end` samples whose part `keep` accepts.
    fn samples(&self, part: usize, end: usize, keep: impl Fn(u32) -> bool) -> Result<Subset, Error> {
        check::count("part", part as u64, Relation::Below, self.parts() as u64, "number of parts")?;
        let count = self.parts[..end].iter().filter(|&&of| keep(of)).count();
        let mut samples = check::room("samples", count)?;
        let kept = self.parts[..end].iter().enumerate().filter(|&(_, &of)| keep(of)).map(|(place, _)| place);
        match &self.samples {
            Some(list) => samples.extend(kept.map(|place| list[place])),
            None => samples.extend(kept),
        }
        Subset::new(samples)
    }

    /// Goes through the samples in random order, and deals out each class when its first sample comes.
    fn deal(mut classes: Classes, shares: &Shares, seed: u64) -> Result<Self, Error> {
        let (mut parts, count) = (classes.of, shares.len());
        let mut samples = check::zeros("samples", parts.len())?;
        let mut scratch = check::zeros("scratch", shuffle::scratch_len(samples.len()))?;
        shuffle::fill(&mut samples, &mut scratch, b"split v1", seed, 0);

        // For each class, how many samples each part still gets, and which part gets the next one.
        let mut left = check::zeros("classes", classes.sizes.len().saturating_mul(count))?;
        let mut next = check::zeros("classes", classes.sizes.len())?;
        let mut dealer = Dealer::new(shares)?;
        if let [size] = classes.sizes[..] {
            // With one class the parts can be dealt out in turn, which takes a third of the time of the loop below.
            dealer.deal(size, &mut left);
            let dealt = left.iter().enumerate().flat_map(|(part, &count)| repeat_n(part as u32, count));
            samples.drain(..).zip(dealt).for_each(|(sample, part)| parts[sample] = part);
        }
        // `parts` has the class of a sample until its turn, and its part from then on.
        for sample in samples {
            let class = parts[sample] as usize;
            let (left, next): (&mut [usize], &mut usize) = (&mut left[class * count..][..count], &mut next[class]);
            let size = mem::take(&mut classes.sizes[class]);
            // Only for the first sample of a class is the size still there.
            if size > 0 {
                dealer.deal(size, left);
            }
            while left[*next] == 0 {
                *next += 1;
            }
            left[*next] -= 1;
            parts[sample] = *next as u32;
        }
        Self::without_empty_part(parts, dealer.given, shares)
    }

    /// The split, or an error if a part has no sample.
    fn without_empty_part(parts: Vec<u32>, counts: Vec<usize>, shares: &Shares) -> Result<Self, Error> {
        match counts.iter().position(|&count| count == 0) {
            Some(part) => Err(Error::EmptyPart { part, samples: counts.iter().sum(), share: shares.share(part) }),
            None => Ok(Split { parts, counts, samples: None }),
        }
    }
}

impl<O> Subset<O> {
    /// Splits this part again, for nested cross-validation, or to take a validation set out of a training set. The
    /// samples of the new parts are indices into the *whole* set, so you need not map them back.
    ///
    /// `split` gets the list of samples and returns a split of 0..n, where n is the length of the list and i stands for
    /// its sample at place i. What it needs for each sample, such as a label, it looks up by the sample in the list.
    /// The parts keep the order of [`samples`](Subset::samples). Give each split a [seed of its
    /// own](crate::Batcher::new).
    ///
    /// Cost: that of `split`, and 8 bytes per sample.
    ///
    /// # Errors
    /// Those of `split`; [`Error::Length`] if it returns a split of another number of samples; [`Error::Count`] if it
    /// returns a split of a part, some of whose samples are not places in the list; [`Error::Memory`] if there is no
    /// memory for the list.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Error, Split};
    /// let labels: Vec<u8> = (0..100).map(|i| i % 3).collect();
    /// let folds = Split::stratified(&labels, &[0.2; 5], 1)?;
    /// for outer in 0..5 {
    ///     let training = folds.all_but(outer)?;
    ///     let inner = training.split(|samples| {
    ///         let labels: Vec<u8> = samples.iter().map(|&sample| labels[sample]).collect();
    ///         Split::stratified(&labels, &[0.25; 4], 2 + outer as u64)
    ///     })?;
    ///     for sample in inner.part(0)?.samples() {
    ///         assert_ne!(folds.part_of(*sample), Some(outer)); // not in the test set
    ///     }
    /// }
    /// # Ok::<(), Error>(())
    /// ```
    #[doc(alias = "nested")]
    pub fn split(&self, split: impl FnOnce(&[usize]) -> Result<Split, Error>) -> Result<Split, Error> {
        let mut split = split(self.samples())?;
        check::length("split", split.len(), "samples", self.samples().len())?;
        let mut samples = check::room("samples", split.len())?;
        match &split.samples {
            // `split` has itself split a part, whose samples are places in this list.
            Some(places) => {
                for &place in places {
                    check::count(
                        "sample",
                        place as u64,
                        Relation::Below,
                        self.samples().len() as u64,
                        "number of samples",
                    )?;
                    samples.push(self.samples()[place]);
                }
            }
            None => samples.extend_from_slice(self.samples()),
        }
        split.samples = Some(samples);
        Ok(split)
    }
}

fn part_of_key(shares: &Shares, seed: u64) -> Result<impl Fn(u64) -> usize, Error> {
    let (ends, sum) = (shares.ends()?, shares.sum());
    Ok(move |key| {
        let word = generator(b"keys  v1", seed, key, 0, 0).next_u64();
        let place = ((u128::from(word) * u128::from(sum)) >> 64) as u64;
        ends.partition_point(|&end| end <= place)
    })
}

/// Says how many samples of each class each part gets, one class after the other, and remembers what the parts have so
/// far.
struct Dealer<'a> {
    shares: &'a Shares,
    /// How many samples each part has so far.
    given: Vec<usize>,
    /// How many samples all parts have together, those that are being dealt included.
    seen: usize,
    /// What each part lacks, and the part. It is kept so that its memory is used again.
    lacks: Vec<(i128, usize)>,
}

impl<'a> Dealer<'a> {
    fn new(shares: &'a Shares) -> Result<Self, Error> {
        let (given, lacks) = (check::zeros("parts", shares.len())?, check::room("parts", shares.len())?);
        Ok(Dealer { shares, given, seen: 0, lacks })
    }

    /// Deals out `samples` more samples, and writes to `counts` how many each part gets.
    fn deal(&mut self, samples: usize, counts: &mut [usize]) {
        self.seen += samples;
        let mut rest = samples;
        self.lacks.clear();
        for (part, count) in counts.iter_mut().enumerate() {
            *count = self.shares.sure(part, samples);
            self.given[part] += *count;
            rest -= *count;
            self.lacks.push((self.shares.lacks(part, self.seen, self.given[part]), part));
        }
        // Each of the remaining samples goes to another part: first to the one that lacks most of its share of all
        // samples so far. (No two parts have the same key, so an unstable sort gives one order.)
        self.lacks.sort_unstable_by_key(|&(lacks, part)| (Reverse(lacks), part));
        for &(_, part) in self.lacks.iter().take(rest) {
            counts[part] += 1;
            self.given[part] += 1;
        }
    }
}
