#![doc = include_str!("order.md")]

pub(crate) mod draws;
pub(crate) mod hash;
mod normal32;
mod normal64;
pub(crate) mod permutation;
pub(crate) mod sequential;
pub(crate) mod shuffle;
pub(crate) mod split;
pub(crate) mod subset;
mod words;

use alloc::{boxed::Box, vec::Vec};

/// The version of the orders and splits that this page describes; it is saved with every [`Position`](crate::Position).
pub const VERSION: u64 = 1;

/// Says which sample stands at each place of an epoch. [`Batcher::over`](crate::Batcher::over) cuts any order into batches.
///
/// An order is a pure function of its settings and the epoch: the same today and tomorrow, on every machine. This crate has
/// [`Shuffle`](crate::Shuffle), [`Sequential`](crate::Sequential), [`Permutation`](crate::Permutation) (shuffled, without a
/// table) and [`Subset`](crate::Subset) (some of the samples, in turn or shuffled). `&O` and `Box<O>` are orders too.
///
/// # Example
/// An order of your own: every epoch goes through the samples backwards. `examples/curriculum.rs` is a longer one.
/// ```
/// use gradstep::{Batcher, Order};
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
///     fn fill(&self, _epoch: u64, start: usize, out: &mut [usize]) {
///         for (place, sample) in (start..).zip(out) {
///             *sample = self.0 as usize - 1 - place;
///         }
///     }
///     fn is_random_access(&self) -> bool {
///         true
///     }
/// }
///
/// let batcher = Batcher::over(Backwards(5), 2)?;
/// assert_eq!(batcher.epoch(0).iter().collect::<Vec<_>>(), [&[4, 3][..], &[2, 1], &[0]]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[expect(clippy::len_without_is_empty, reason = "an order without places is rejected by Batcher::over")]
pub trait Order {
    /// How many places an epoch has, the same in every epoch.
    fn len(&self) -> u64;

    /// All that decides the order, as named integers; the first should be the order's own name, with its version. A
    /// [`Position`](crate::Position) keeps them: it is resumed only by an order with the same.
    fn settings(&self) -> Vec<(&'static str, u64)>;

    /// Writes the samples at the places `start`, `start + 1`, … of epoch `epoch` to `out`, all of them below
    /// [`len`](Order::len). `out` holds anything before.
    ///
    /// Unless [`is_random_access`](Order::is_random_access) it is called for whole epochs only: `start` is 0, and `out` is
    /// as long as the epoch.
    fn fill(&self, epoch: u64, start: usize, out: &mut [usize]);

    /// Whether [`fill`](Order::fill) may begin anywhere, and costs no more than what it writes. Then a
    /// [`Stream`](crate::Stream) keeps a batch in memory, if not, the epoch. `false` unless you say otherwise.
    fn is_random_access(&self) -> bool {
        false
    }
}

/// An order behind a pointer is an order.
macro_rules! pointer {
    ($($pointer:tt)+) => {
        impl<O: Order + ?Sized> Order for $($pointer)+ {
            fn len(&self) -> u64 {
                (**self).len()
            }

            fn settings(&self) -> Vec<(&'static str, u64)> {
                (**self).settings()
            }

            fn fill(&self, epoch: u64, start: usize, out: &mut [usize]) {
                (**self).fill(epoch, start, out);
            }

            fn is_random_access(&self) -> bool {
                (**self).is_random_access()
            }
        }
    };
}

pointer!(&O);
pointer!(Box<O>);
