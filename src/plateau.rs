use core::ops::Bound::{Excluded, Included};

use crate::{check, error::Error};

/// Reduces the learning rate when the loss has stopped falling: it takes one loss per epoch and returns a factor for
/// the rate.
///
/// The factor is 1 at first. An epoch is bad if its loss is not better than the best loss so far. After more than
/// `patience` bad epochs in a row the factor is multiplied by `reduction`. Better means
///
/// ```text
/// loss < best - relative · |best| - absolute
/// ```
///
/// where `relative` is 10⁻⁴ and `absolute` is 0 by default. After each reduction, the next `cooldown` epochs (by
/// default 0) never count as bad.
///
/// Multiply the learning rate by the factor: a number, the rate of a [`Schedule`](crate::Schedule), or the rates of all
/// tensors by [`scale_learning_rates`](crate::ParamGroups::scale_learning_rates). To keep the rate above a minimum,
/// write `(0.1 * factor).max(1e-5)`. Without a minimum the rate becomes 0 after some 320 reductions by 0.1.
///
/// `torch.optim.lr_scheduler.ReduceLROnPlateau` (torch 2.15) reduces at the same epochs, except that it leaves the rate
/// unchanged if the change would be less than `eps` = 10⁻⁸. For a number that should rise, such as an accuracy, pass
/// its negative, which is `mode="max"` in torch. (If the best loss is negative, torch's relative threshold also accepts
/// losses that are slightly worse; this one does not.) Keras' callback and optax's `reduce_on_plateau` reduce one epoch
/// earlier: their patience p is p − 1 here.
///
/// This value holds all state. It can be copied, compared and saved, and allocates nothing. To resume, assign the
/// loaded value.
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
/// assert_eq!(rates, [0.1, 0.1, 0.1, 0.05, 0.05, 0.025]); // bad epochs: the third and fourth, and the last two
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
    /// Creates a value that multiplies the factor by `reduction` after more than `patience` bad epochs in a row.
    ///
    /// # Errors
    /// [`Error::Number`] if `reduction` is not above 0 and below 1.
    pub fn new(reduction: f64, patience: u64) -> Result<Self, Error> {
        check::number("reduction", reduction, (Excluded(0.0), Excluded(1.0)))?;
        let (cooldown, relative, absolute) = (0, 1e-4, 0.0);
        let (factor, best, bad_epochs, cooling) = (1.0, f64::INFINITY, 0, 0);
        Ok(ReduceOnPlateau { reduction, patience, cooldown, relative, absolute, factor, best, bad_epochs, cooling })
    }

    /// Returns this value with a threshold: a loss is better if it is below the best so far by more than `relative`
    /// times the size of the best, plus `absolute`. torch's `threshold_mode` "rel" is (threshold, 0), and "abs" is (0,
    /// threshold).
    ///
    /// # Errors
    /// [`Error::Number`] if `relative` is not at least 0 and below 1, or `absolute` is NaN, infinite or negative.
    pub fn with_threshold(self, relative: f64, absolute: f64) -> Result<Self, Error> {
        check::number("relative threshold", relative, (Included(0.0), Excluded(1.0)))?;
        check::at_least_zero("absolute threshold", absolute)?;
        Ok(ReduceOnPlateau { relative, absolute, ..self })
    }

    /// Returns this value with a cooldown: after each reduction, this many epochs never count as bad.
    #[must_use]
    pub fn with_cooldown(self, cooldown: u64) -> Self {
        ReduceOnPlateau { cooldown, ..self }
    }

    /// Takes the loss of an epoch and returns the factor for the learning rate of the next epoch.
    ///
    /// # Errors
    /// [`Error::Number`] if the loss is NaN or infinite. Nothing has changed then.
    pub fn step(&mut self, loss: f64) -> Result<f64, Error> {
        check::number("loss", loss, check::FINITE)?;
        // `best - relative · |best|` as a product, since ∞ - ∞ would be NaN before the first loss.
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

    /// Returns the product of all reductions so far; 1 at first.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Returns the best loss so far; infinite before the first.
    pub fn best(&self) -> f64 {
        self.best
    }

    /// Returns how many of the last epochs were bad in a row; at most the patience.
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

        let new =
            ReduceOnPlateau::new(reduction, patience)?.with_threshold(relative, absolute)?.with_cooldown(cooldown);
        check::fraction("factor", factor)?;
        // Infinite before the first loss.
        check::number("best", best, (Excluded(f64::NEG_INFINITY), Included(f64::INFINITY)))?;
        check::count("bad_epochs", bad_epochs, AtMost, patience, "patience")?;
        check::count("cooling", cooling, AtMost, cooldown, "cooldown")?;
        Ok(ReduceOnPlateau { factor, best, bad_epochs, cooling, ..new })
    }
}
