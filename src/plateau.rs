use core::ops::Bound::{Excluded, Included};

use crate::{check, error::Error};

/// Reduces the learning rate when the loss has stopped falling: a factor for the rate, from one loss an epoch.
///
/// After more than `patience` epochs in a row without a loss that is better than the best so far, the factor, 1 at first,
/// is multiplied by `reduction`. Better means
///
/// ```text
/// loss < best - relative · |best| - absolute
/// ```
///
/// with a `relative` threshold of 10⁻⁴ and an `absolute` one of 0 at first. After each reduction, for `cooldown` epochs
/// (0 at first), no epoch counts as bad.
///
/// The factor multiplies whatever rate you have: a number, a [`Schedule`](crate::Schedule), or the rates of all tensors
/// by [`scale_learning_rates`](crate::ParamGroups::scale_learning_rates). For a smallest learning rate take the larger of
/// the two: `(0.1 * factor).max(1e-5)`. Without it, the rate becomes 0 at last, after some 320 reductions by 0.1.
///
/// As `torch.optim.lr_scheduler.ReduceLROnPlateau` (torch 2.15), to the epoch, but that torch leaves the rate as it is
/// where it would change by less than `eps` = 10⁻⁸. For what should rise, such as an accuracy, pass its negative: that
/// is `mode="max"`. (Of a negative loss, torch's relative threshold accepts a worse one; this one does not.) Keras'
/// callback and optax's `reduce_on_plateau` reduce one epoch earlier: their patience p is p − 1 here.
///
/// Everything is in the value, which can be copied, compared and saved, and takes no memory beside itself. To resume,
/// assign the loaded value.
///
/// # Example
/// ```
/// use gradstep::{Optimizer, ReduceOnPlateau, Sgd};
/// let mut plateau = ReduceOnPlateau::new(0.5, 1)?; // the reduction, and the patience in epochs
/// let mut sgd = Sgd::<f32>::new(0.1)?;
/// let mut rates = Vec::new();
/// for loss in [2.0, 1.0, 1.1, 1.0, 1.0, 1.0] {
///     // ... an epoch of training, with this loss on held-out data
///     let factor = plateau.step(loss)?;
///     sgd.set_learning_rate((0.1 * factor).max(1e-5))?;
///     rates.push(sgd.learning_rate());
/// }
/// assert_eq!(rates, [0.1, 0.1, 0.1, 0.05, 0.05, 0.025]); // the third and fourth loss were bad, and the last two
/// assert_eq!((plateau.best(), plateau.bad_epochs()), (1.0, 0));
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "ReduceLROnPlateau")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReduceOnPlateau {
    reduction: f64,
    patience: u64,
    cooldown: u64,
    relative: f64,
    absolute: f64,
    factor: f64,
    best: f64,
    bad_epochs: u64,
    /// Epochs of the cooldown that are still to come.
    cooling: u64,
}

impl ReduceOnPlateau {
    /// Multiplies the factor by `reduction` after more than `patience` bad epochs in a row.
    ///
    /// # Errors
    /// [`Error::Number`] if `reduction` is not above 0 and below 1.
    pub fn new(reduction: f64, patience: u64) -> Result<Self, Error> {
        check::number("reduction", reduction, (Excluded(0.0), Excluded(1.0)))?;
        let (cooldown, relative, absolute) = (0, 1e-4, 0.0);
        let (factor, best, bad_epochs, cooling) = (1.0, f64::INFINITY, 0, 0);
        Ok(ReduceOnPlateau { reduction, patience, cooldown, relative, absolute, factor, best, bad_epochs, cooling })
    }

    /// By how much a loss must be below the best so far: a share of the best, and a difference. torch's `threshold_mode`
    /// "rel" is (threshold, 0), and "abs" is (0, threshold).
    ///
    /// # Errors
    /// [`Error::Number`] if `relative` is not at least 0 and below 1, or `absolute` is NaN, infinite or negative.
    pub fn with_threshold(self, relative: f64, absolute: f64) -> Result<Self, Error> {
        check::number("relative threshold", relative, (Included(0.0), Excluded(1.0)))?;
        check::at_least_zero("absolute threshold", absolute)?;
        Ok(ReduceOnPlateau { relative, absolute, ..self })
    }

    /// For how many epochs after each reduction no epoch counts as bad.
    #[must_use]
    pub fn with_cooldown(self, cooldown: u64) -> Self {
        ReduceOnPlateau { cooldown, ..self }
    }

    /// Takes the loss of an epoch and returns the factor of the learning rate for the next.
    ///
    /// # Errors
    /// [`Error::Number`] if the loss is NaN or infinite. Nothing has changed then.
    pub fn step(&mut self, loss: f64) -> Result<f64, Error> {
        check::number("loss", loss, check::FINITE)?;
        let share = if self.best < 0.0 { 1.0 + self.relative } else { 1.0 - self.relative };
        let is_better = loss < self.best * share - self.absolute;
        if is_better {
            self.best = loss;
        }
        let cooled = self.cooling == 0;
        self.cooling = self.cooling.saturating_sub(1);
        self.bad_epochs = if is_better || !cooled { 0 } else { self.bad_epochs.saturating_add(1) };
        if self.bad_epochs > self.patience {
            self.factor *= self.reduction;
            self.cooling = self.cooldown;
            self.bad_epochs = 0;
        }
        Ok(self.factor)
    }

    /// The product of all reductions so far; 1 at first.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// The best loss so far; infinite before the first.
    pub fn best(&self) -> f64 {
        self.best
    }

    /// How many epochs in a row were bad, at most the patience.
    pub fn bad_epochs(&self) -> u64 {
        self.bad_epochs
    }
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [] ReduceOnPlateau = "ReduceOnPlateau v1";
    reduction: Exact<f64>,
    patience: Exact<u64>,
    cooldown: Exact<u64>,
    relative: Exact<f64>,
    absolute: Exact<f64>,
    factor: Exact<f64>,
    best: Exact<f64>,
    bad_epochs: Exact<u64>,
    cooling: Exact<u64>,
    => {
        use crate::error::Relation::AtMost;

        let new = ReduceOnPlateau::new(reduction, patience)?.with_threshold(relative, absolute)?.with_cooldown(cooldown);
        check::fraction("factor", factor)?;
        // Infinite before the first loss.
        check::number("best", best, (Excluded(f64::NEG_INFINITY), Included(f64::INFINITY)))?;
        check::count("bad_epochs", bad_epochs, AtMost, patience, "patience")?;
        check::count("cooling", cooling, AtMost, cooldown, "cooldown")?;
        Ok(ReduceOnPlateau { factor, best, bad_epochs, cooling, ..new })
    }
}
