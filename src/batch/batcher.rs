use alloc::{alloc::handle_alloc_error, vec, vec::Vec};
use core::{alloc::Layout, convert::Infallible, slice};

use crate::{
    check,
    error::{Error, Relation},
    order::{Order, fill_runs, sequential::Sequential, shuffle::Shuffle},
};

/// Minibatches of samples in a seeded order. A batcher is plain data, without a generator inside.
///
/// [`new`](Batcher::new) shuffles: every epoch holds every sample once, in an order that depends on seed, len and epoch
/// only ([`order`](crate::order) describes how), and not on the batch size, on earlier epochs, on features or on the
/// machine. So any epoch can be computed at any time, without the epochs before it. [`over`](Batcher::over) makes
/// batches of any other [`Order`].
///
/// [`stream`](Batcher::stream) runs over all epochs and can be resumed at any sample. [`shard`](Batcher::shard) splits
/// each batch among workers. [`gather`](crate::gather) copies the rows of a batch one after the other.
///
/// Cost: a batcher is its order and a few integers; [`epoch`](Batcher::epoch) and [`stream`](Batcher::stream) allocate.
///
/// # Example
/// ```
/// use gradstep::Batcher;
/// let batcher = Batcher::new(10, 4, 42)?;
/// let mut epoch = batcher.epoch(0);
/// for number in 0..3 {
///     epoch.refill(number); // in place
///     for batch in &epoch {
///         assert!(batch.len() == 4 || batch.len() == 2); // 4 + 4 + 2
///     }
/// }
/// assert_eq!(epoch.batch(2).map(<[usize]>::len), Some(2));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "dataloader")]
#[doc(alias = "DataLoader")]
#[doc(alias = "minibatch")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Batcher<O = Shuffle> {
    pub(super) order: O,
    /// The length of the order, which [`over`](Batcher::over) has checked to fit a `usize`.
    len: usize,
    batch_size: usize,
    drop_last: bool,
}

impl Batcher {
    /// Batches of `batch_size` indices below `len`, shuffled anew in each epoch. The last batch is shorter if
    /// `batch_size` does not divide `len`.
    ///
    /// Two batchers with the same `len` and `seed` have the same order, whatever the samples are: zipped, they give the
    /// same pairs in every epoch. So give each a seed of its own, made from the seed of the run and a name by
    /// [`Draws`](crate::Draws). (An order, a split and draws with the same seed are independent of each other.)
    ///
    /// # Example
    /// ```
    /// use gradstep::{Batcher, Draws};
    /// let seed = 42; // of the run
    /// let seed_of = |name| Draws::new(name, [0, 0], seed).word();
    /// let images = Batcher::new(1_000, 10, seed_of("images"))?;
    /// let texts = Batcher::new(1_000, 10, seed_of("texts"))?;
    /// assert_ne!(images.epoch(0).indices(), texts.epoch(0).indices()); // with `seed` itself they are equal
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`over`](Batcher::over); [`Error::TooManySamples`] if `len` is above [`Shuffle::MAX_LEN`].
    pub fn new(len: usize, batch_size: usize, seed: u64) -> Result<Self, Error> {
        Self::over(Shuffle::new(len, seed)?, batch_size)
    }
}

impl Batcher<Sequential> {
    /// Batches of `batch_size` indices below `len` without a shuffle, for evaluation: every epoch is 0, 1, 2, ….
    ///
    /// # Errors
    /// Those of [`over`](Batcher::over).
    pub fn sequential(len: usize, batch_size: usize) -> Result<Self, Error> {
        Self::over(Sequential::new(len)?, batch_size)
    }
}

impl<O: Order> Batcher<O> {
    /// Batches of any order: [`Permutation`](crate::Permutation), [`Subset`](crate::Subset) or one of your own.
    ///
    /// # Errors
    /// [`Error::Count`] if `batch_size` or the order's length is 0, if `batch_size` is above the length (most often
    /// because the two are swapped; for one batch of all samples pass the length), or if the length is above
    /// `usize::MAX`, so that this machine cannot count the samples.
    pub fn over(order: O, batch_size: usize) -> Result<Self, Error> {
        let len = order.len();
        check::at_least_one("len", len)?;
        check::count("len", len, Relation::AtMost, usize::MAX as u64, "usize::MAX")?;
        check::at_least_one("batch_size", batch_size as u64)?;
        // With `drop_last` there would be no batch at all.
        check::count("batch_size", batch_size as u64, Relation::AtMost, len, "len")?;
        Ok(Batcher { order, len: len as usize, batch_size, drop_last: false })
    }

    /// The same batches, but without the last one of an epoch if it would be shorter than the others.
    ///
    /// If the order changes from epoch to epoch, so do the samples that are left out.
    pub fn drop_last(self) -> Self {
        Batcher { drop_last: true, ..self }
    }

    /// A batcher that borrows this one's order, for orders that cannot be cloned, such as a `Box<dyn Order>`. Its
    /// epochs and streams borrow the order too, where others clone it. (An `Arc<dyn Order>` can be cloned.)
    ///
    /// # Example
    /// ```
    /// use gradstep::{Batcher, Order, Sequential, Shuffle};
    /// let shuffled = true; // what the user of a program chose
    /// let order: Box<dyn Order> =
    ///     if shuffled { Box::new(Shuffle::new(10, 42)?) } else { Box::new(Sequential::new(10)?) };
    /// let batcher = Batcher::over(order, 4)?;
    /// assert_eq!(batcher.as_ref().epoch(0).iter().len(), 3);
    /// assert_eq!(batcher.as_ref().stream().next_batch().map(<[usize]>::len), Some(4));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn as_ref(&self) -> Batcher<&O> {
        Batcher { order: &self.order, len: self.len, batch_size: self.batch_size, drop_last: self.drop_last }
    }

    /// The order.
    pub fn order(&self) -> &O {
        &self.order
    }

    /// How many samples the order has in an epoch.
    #[expect(clippy::len_without_is_empty, reason = "len is never 0")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// How many samples a batch has.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// Whether a shorter last batch is left out.
    pub fn drops_last(&self) -> bool {
        self.drop_last
    }

    /// How many batches an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        self.samples_per_epoch().div_ceil(self.batch_size)
    }

    /// How many samples the batches of an epoch have together: `len`, without those of a last batch that is dropped.
    pub fn samples_per_epoch(&self) -> usize {
        self.end(0)
    }

    /// Where the last batch of an epoch ends, if the batches begin at place `start`: a stream may resume with another
    /// batch size in the middle of an epoch.
    pub(super) fn end(&self, start: usize) -> usize {
        if self.drop_last { self.len - (self.len - start) % self.batch_size } else { self.len }
    }

    /// The batches of epoch `epoch`, counted from 0.
    ///
    /// Allocates one `usize` per sample, and the order's scratch; [`Epoch::refill`] reuses the memory for another
    /// epoch. If there is no memory for it, the process ends ([`try_epoch`](Batcher::try_epoch) returns an error).
    /// Clones the order, which may be a reference ([`as_ref`](Batcher::as_ref)). For an order whose epoch does not fit
    /// in memory use [`stream`](Batcher::stream).
    pub fn epoch(&self, epoch: u64) -> Epoch<O>
    where
        O: Clone,
    {
        // There is no error: `zeros_or_end` returns zeros or ends the process.
        let Ok(epoch) = self.epoch_in(epoch, zeros_or_end);
        epoch
    }

    /// The same as [`epoch`](Batcher::epoch).
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no memory for it. But if the order has a list in it and there is no memory to
    /// clone that, the process ends here too; the clone of a reference needs no memory.
    pub fn try_epoch(&self, epoch: u64) -> Result<Epoch<O>, Error>
    where
        O: Clone,
    {
        self.epoch_in(epoch, check::zeros)
    }

    /// `zeros` decides what happens if there is no memory.
    fn epoch_in<E>(
        &self,
        epoch: u64,
        zeros: impl Fn(&'static str, usize) -> Result<Vec<usize>, E>,
    ) -> Result<Epoch<O>, E>
    where
        O: Clone,
    {
        let (indices, scratch) = (zeros("epoch", self.len)?, zeros("scratch", self.order.scratch_len())?);
        let mut table = Epoch { batcher: self.clone(), number: epoch, indices, scratch };
        table.refill(epoch);
        Ok(table)
    }

    /// Fills `out` with the samples from place `start` on. If the runs of the order contradict each other, fills `out`
    /// with `usize::MAX`, which is not a valid index, since a batch cannot return an error.
    pub(super) fn fill(&self, epoch: u64, start: usize, out: &mut [usize], scratch: &mut [usize]) {
        if fill_runs(&self.order, epoch, start as u64, out, scratch).is_err() {
            out.fill(usize::MAX);
        }
    }
}

/// `len` zeros; if there is no memory, the process ends. The system zeroes their pages when they are first used, so
/// that a long epoch is created a third faster than with [`check::zeros`].
pub(super) fn zeros_or_end(_name: &'static str, len: usize) -> Result<Vec<usize>, Infallible> {
    let most = isize::MAX as usize / size_of::<usize>();
    if len > most {
        // `vec!` would panic, which no input may cause.
        handle_alloc_error(Layout::array::<usize>(most).unwrap_or(Layout::new::<usize>()));
    }
    Ok(vec![0; len])
}

/// One epoch: its indices in order, cut into batches.
///
/// # Example
/// ```
/// let mut epoch = gradstep::Batcher::sequential(5, 2)?.epoch(0);
/// assert_eq!(epoch.iter().collect::<Vec<_>>(), [&[0, 1][..], &[2, 3], &[4]]);
/// assert_eq!((epoch.batch(1), epoch.batch(3)), (Some(&[2, 3][..]), None));
/// epoch.refill(1);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Epoch<O = Shuffle> {
    batcher: Batcher<O>,
    number: u64,
    indices: Vec<usize>,
    scratch: Vec<usize>,
}

/// The scratch is not compared, since it holds whatever the last fill has left there.
impl<O: PartialEq> PartialEq for Epoch<O> {
    fn eq(&self, other: &Self) -> bool {
        (&self.batcher, self.number, &self.indices) == (&other.batcher, other.number, &other.indices)
    }
}

impl<O: Eq> Eq for Epoch<O> {}

impl<O: Order> Epoch<O> {
    /// Turns this into epoch `epoch` of the same batcher, in place.
    ///
    /// Cost: the time that the order takes to fill an epoch. No allocation, unless an order of your own makes one.
    pub fn refill(&mut self, epoch: u64) {
        self.number = epoch;
        self.batcher.fill(epoch, 0, &mut self.indices, &mut self.scratch);
    }

    /// The batcher that this epoch belongs to.
    pub fn batcher(&self) -> &Batcher<O> {
        &self.batcher
    }

    /// The number of this epoch, counted from 0.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Batch `batch`, counted from 0; `None` if the epoch has fewer batches.
    pub fn batch(&self, batch: usize) -> Option<&[usize]> {
        // Checked, since `batch` may be any number: a product that wraps around would be the place of another batch.
        let start = batch.checked_mul(self.batcher.batch_size)?;
        let rest = self.indices().get(start..).filter(|rest| !rest.is_empty())?;
        Some(&rest[..rest.len().min(self.batcher.batch_size)])
    }

    /// All indices in order: the batches, one after the other.
    pub fn indices(&self) -> &[usize] {
        // An order fills whole runs, so the table has the samples of a dropped batch too.
        &self.indices[..self.batcher.samples_per_epoch()]
    }

    /// The batches in order.
    pub fn iter(&self) -> slice::Chunks<'_, usize> {
        self.indices().chunks(self.batcher.batch_size)
    }
}

impl<'a, O: Order> IntoIterator for &'a Epoch<O> {
    type Item = &'a [usize];
    type IntoIter = slice::Chunks<'a, usize>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
