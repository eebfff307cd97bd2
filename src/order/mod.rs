#![doc = include_str!("order.md")]

pub(crate) mod blocks;
#[cfg(feature = "simd")]
mod chacha;
mod classes;
pub(crate) mod draws;
mod generator;
mod grouped;
pub(crate) mod hash;
pub(crate) mod mixture;
mod normal32;
mod normal64;
pub(crate) mod permutation;
pub(crate) mod sequential;
mod shares;
pub(crate) mod shuffle;
pub(crate) mod split;
pub(crate) mod subset;
pub(crate) mod weighted;

use alloc::{boxed::Box, vec::Vec};
use core::ops::Range;

use crate::{
    check,
    error::{Error, Relation},
};

/// The version of the orders and splits that this page describes; the orders of this crate save it with
/// each [`Position`](crate::Position).
pub const VERSION: u64 = 1;

/// Says which sample is at each place of an epoch. [`Batcher::over`](crate::Batcher::over) cuts any order into batches.
///
/// An order is a pure function of its settings and the epoch: it is the same today and tomorrow, on every machine. This
/// crate has [`Shuffle`](crate::Shuffle), [`Sequential`](crate::Sequential), [`Permutation`](crate::Permutation)
/// (shuffled, without a table), [`Blocks`](crate::Blocks) (shuffled in windows, for data that is read from disk),
/// [`Subset`](crate::Subset) (some of the samples, in turn or shuffled), [`Weighted`](crate::Weighted) (draws in
/// proportion to weights) and [`Mixture`](crate::Mixture) (several orders in fixed shares). `&O`, `Box<O>` and `Arc<O>`
/// are orders too.
///
/// A sample is an index into the caller's data. It may be [`len`](Order::len) or above, as in a `Subset`. An epoch may
/// have a sample several times or not at all, as in a `Weighted` or a `Mixture`.
///
/// # Runs
/// Some orders can compute the sample at any single place, others only the samples of many places at once. So an order
/// cuts each epoch into *runs*, and [`fill`](Order::fill) always gets whole runs. A run is one place (then a
/// [`Stream`](crate::Stream) needs memory for a batch), or the whole epoch (then it needs memory for the epoch), or a
/// window of places; windows may differ in length. An order that wraps another one forwards `run`, `longest_run` and
/// `scratch_len` to it, and its `fill` first calls the inner order's `fill`.
///
/// # Example
/// An order of your own, which goes backwards through the samples in every epoch. `examples/curriculum.rs` has one that
/// wraps a shuffle.
/// ```
/// use core::ops::Range;
/// use gradstep::{Batcher, Fill, Order};
///
/// #[derive(Clone)]
/// struct Backwards(u64);
///
/// impl Order for Backwards {
///     fn len(&self) -> u64 {
///         self.0
///     }
///     fn settings(&self) -> Vec<(&'static str, u64)> {
///         vec![("backwards", 1), ("len", self.0)]
///     }
///     fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
///         place..place + 1
///     }
///     fn longest_run(&self) -> u64 {
///         1
///     }
///     fn scratch_len(&self) -> usize {
///         0
///     }
///     fn fill(&self, fill: &mut Fill<'_>) {
///         for (sample, place) in fill.out.iter_mut().zip(fill.start..) {
///             *sample = (self.0 - 1 - place) as usize;
///         }
///     }
/// }
///
/// let batcher = Batcher::over(Backwards(5), 2)?;
/// assert_eq!(batcher.epoch(0).iter().collect::<Vec<_>>(), [&[4, 3][..], &[2, 1], &[0]]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "sampler")]
#[doc(alias = "Sampler")]
#[expect(clippy::len_without_is_empty, reason = "an order without places is rejected by Batcher::over")]
pub trait Order {
    /// How many places an epoch has; it is the same in every epoch.
    fn len(&self) -> u64;

    /// Everything that decides the order, as named integers. The first should be the order's own name with its version.
    /// A [`Position`](crate::Position) saves them, and only an order with the same settings can resume from it.
    fn settings(&self) -> Vec<(&'static str, u64)>;

    /// The run of epoch `epoch` that contains `place`; `place` is below [`len`](Order::len). The runs of an epoch must
    /// follow each other from 0 to `len`. (If an order breaks this rule, [`try_fill`](Order::try_fill) returns an
    /// error, and batches hold `usize::MAX`, which is not a valid index.)
    fn run(&self, epoch: u64, place: u64) -> Range<u64>;

    /// How many places a run has at most, over all epochs. A [`Stream`](crate::Stream) allocates memory for two such
    /// runs and a batch, but never for more than an epoch.
    fn longest_run(&self) -> u64;

    /// The length of [`Fill::scratch`] that `fill` needs, however many runs it fills at once; 0 if it needs none.
    fn scratch_len(&self) -> usize;

    /// Writes the samples of one or more whole runs that follow each other. Implement this method, but call
    /// [`try_fill`](Order::try_fill), which checks the places first.
    fn fill(&self, fill: &mut Fill<'_>);

    /// Writes the samples at the places `start`, `start + 1`, … of epoch `epoch` to `out`. There is no need to
    /// implement this method.
    ///
    /// Cost: that of [`fill`](Order::fill), and one allocation of [`scratch_len`](Order::scratch_len) numbers, unless
    /// that is 0.
    ///
    /// # Errors
    /// [`Error::Count`] if `start` is not the start of a run, if `out` reaches past the end of the epoch, or if `len`
    /// is above `usize::MAX`; [`Error::Length`] if `out` does not end where a run ends; [`Error::Memory`] if there is
    /// no memory for the scratch.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Order, Permutation, Shuffle};
    /// let mut out = [0; 3];
    /// Permutation::new(1_000_000, 42)?.try_fill(0, 5, &mut out)?;
    /// let error = Shuffle::new(10, 42)?.try_fill(0, 0, &mut out).unwrap_err(); // only whole epochs
    /// assert_eq!(error.to_string(), "out has length 3, expected 10, the length of the runs from start on");
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    fn try_fill(&self, epoch: u64, start: u64, out: &mut [usize]) -> Result<(), Error> {
        fill_runs(self, epoch, start, out, &mut check::zeros("scratch", self.scratch_len())?)
    }
}

/// The whole runs that an [`Order`] has to fill. Only this crate creates a `Fill`, from what [`Order::run`] returned.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fill<'a> {
    /// The epoch.
    pub epoch: u64,
    /// The first place, where a run starts.
    pub start: u64,
    /// Where to write the samples at the places from `start` on. It ends where a run ends. What it holds before the
    /// call has no meaning.
    pub out: &'a mut [usize],
    /// As many numbers as [`Order::scratch_len`] returns, which the order may use as it likes. What they are before the
    /// call has no meaning.
    pub scratch: &'a mut [usize],
}

/// Checks that the places are whole runs and fills them; writes nothing if they are not. Nothing else creates a
/// [`Fill`], so an order may trust one, unless an order that wraps it has changed it.
pub(crate) fn fill_runs(
    order: &(impl Order + ?Sized),
    epoch: u64,
    start: u64,
    out: &mut [usize],
    scratch: &mut [usize],
) -> Result<(), Error> {
    let (places, count) = (order.len(), out.len() as u64);
    check::count("len", places, Relation::AtMost, usize::MAX as u64, "usize::MAX")?;
    check::count("start", start, Relation::AtMost, places, "len")?;
    check::count("length of out", count, Relation::AtMost, places - start, "the number of places left")?;
    if count > 0 {
        // `start` is never below the start of its run. So if it is not above it either, it is that start.
        check::count("start", start, Relation::AtMost, order.run(epoch, start).start, "the start of its run")?;
        // Saturating, since an order from outside this crate may return any range.
        let len = order.run(epoch, start + count - 1).end.saturating_sub(start);
        check::length("out", out.len(), "the runs from start on", usize::try_from(len).unwrap_or(usize::MAX))?;
        order.fill(&mut Fill { epoch, start, out, scratch });
    }
    Ok(())
}

/// Implements [`Order`] for a pointer to an order.
macro_rules! pointer {
    ($($pointer:tt)+) => {
        impl<O: Order + ?Sized> Order for $($pointer)+ {
            fn len(&self) -> u64 {
                (**self).len()
            }

            fn settings(&self) -> Vec<(&'static str, u64)> {
                (**self).settings()
            }

            fn run(&self, epoch: u64, place: u64) -> Range<u64> {
                (**self).run(epoch, place)
            }

            fn longest_run(&self) -> u64 {
                (**self).longest_run()
            }

            fn scratch_len(&self) -> usize {
                (**self).scratch_len()
            }

            fn fill(&self, fill: &mut Fill<'_>) {
                (**self).fill(fill);
            }
        }
    };
}

pointer!(&O);
pointer!(Box<O>);
#[cfg(target_has_atomic = "ptr")]
pointer!(alloc::sync::Arc<O>);
