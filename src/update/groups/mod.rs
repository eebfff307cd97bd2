pub(crate) mod lookup;
pub(crate) mod restore;
#[cfg(feature = "serde")]
mod saved;
pub(crate) mod step;

use alloc::{
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};
use core::{iter, marker::PhantomData};

use self::lookup::Lookup;
use super::optimizer::Optimizer;
use crate::{check, error::Error};

/// A model of several named tensors that are stepped together. Each tensor is a group of its own, with its own
/// optimizer and settings.
///
/// You choose the names. A tensor's state is found by its name, so tensors can be given in any order. A step is all or
/// nothing across all tensors: the [`check`](Optimizer::check) of each optimizer is called before the first tensor
/// changes.
///
/// `P` is the type of the parameters, `O` that of the optimizers. To mix several rules, let `O` be
/// `Box<dyn Optimizer<P>>`. To mix rules *and* save them with `serde`, let `O` be an enum of your own, as in
/// `examples/from_config.rs`.
///
/// # Example
/// ```
/// use gradstep::{Momentum, Optimizer, ParamGroups};
///
/// let (mut weights, mut bias) = (vec![1.0_f32; 6], vec![0.0; 2]);
/// let mut model = ParamGroups::new();
/// model.insert("weights", Momentum::new(0.1, 0.9, weights.len())?)?;
/// model.insert("bias", Momentum::new(0.2, 0.9, bias.len())?)?;
///
/// let (weight_grads, bias_grads) = (vec![0.5; 6], vec![1.0; 2]);
/// model.step(&mut [("weights", &mut weights, &weight_grads), ("bias", &mut bias, &bias_grads)])?;
///
/// let schedule = gradstep::Schedule::linear(1.0, 0.0, 100)?; // one schedule for all rates, as a factor
/// model.scale_learning_rates(schedule.at(model.steps()))?; // now 0.099 and 0.198
/// model.freeze("bias")?; // keeps its velocity, and may be left out of a step
/// model.step(&mut [("weights", &mut weights, &weight_grads)])?;
///
/// let error = model.step(&mut [("wieghts", &mut weights, &weight_grads)]).unwrap_err();
/// assert_eq!(error.to_string(), "tensor `wieghts` is unknown");
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "param_groups")]
#[doc(alias = "freeze")]
#[doc(alias = "multi_transform")]
#[derive(Debug, Clone)]
pub struct ParamGroups<P, O> {
    names: Lookup,
    /// In the order of insertion.
    groups: Vec<Group<O>>,
    factor: f64,
    steps: u64,
    // `fn`, since no `P` is stored: whether a model is `Send` and `Sync` depends on `O` only.
    params: PhantomData<fn(&mut [P])>,
}

#[derive(Debug, Clone, PartialEq)]
struct Group<O> {
    optimizer: O,
    /// Without the common factor.
    learning_rate: f64,
    frozen: bool,
}

/// The order in which the last steps gave the tensors does not count.
impl<P, O: PartialEq> PartialEq for ParamGroups<P, O> {
    fn eq(&self, other: &Self) -> bool {
        self.names.names() == other.names.names()
            && (&self.groups, self.factor, self.steps) == (&other.groups, other.factor, other.steps)
    }
}

impl<P, O: Optimizer<P>> Default for ParamGroups<P, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, O: Optimizer<P>> ParamGroups<P, O> {
    /// Creates a model without tensors.
    pub fn new() -> Self {
        ParamGroups { names: Lookup::default(), groups: Vec::new(), factor: 1.0, steps: 0, params: PhantomData }
    }

    /// Adds the tensor `name`, which `optimizer` will step. The tensor must be as long as the optimizer's state; an
    /// optimizer without state, such as [`Sgd`](crate::Sgd), steps any length.
    ///
    /// # Errors
    /// [`Error::DuplicateTensor`] if there is a tensor of that name already; [`Error::InTensor`] if the optimizer
    /// rejects its learning rate times the common factor. Nothing has changed then.
    pub fn insert(&mut self, name: impl Into<String>, mut optimizer: O) -> Result<(), Error> {
        let (name, learning_rate) = (name.into(), optimizer.learning_rate());
        if self.names.index(&name).is_some() {
            // Before `set_product`, since `optimizer` may be a reference to one that the caller keeps.
            return Err(Error::DuplicateTensor { name });
        }
        set_product(&mut optimizer, learning_rate, self.factor).map_err(in_tensor(&name))?;
        self.push(name, Group { optimizer, learning_rate, frozen: false })
    }

    /// Adds to both lists, since a tensor has the same index in both.
    fn push(&mut self, name: String, group: Group<O>) -> Result<(), Error> {
        self.names.insert(name)?;
        self.groups.push(group);
        Ok(())
    }

    /// Removes the tensor `name` and returns its optimizer; `None` if there is no such tensor.
    ///
    /// The learning rate of the returned optimizer still contains the common factor. Set it to the tensor's own
    /// learning rate before you insert the optimizer again, here or into another model; otherwise the factor would
    /// apply twice.
    pub fn remove(&mut self, name: &str) -> Option<O> {
        let index = self.names.index(name)?;
        self.names.remove(index);
        Some(self.groups.remove(index).optimizer)
    }

    /// Returns the number of steps that were applied to the model. A step that returned `Err` does not count. The count
    /// stops at `u64::MAX`.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets the count of steps, to resume a run that was saved in a format of your own.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Sets the learning rate of each optimizer to `factor` times its tensor's own learning rate, for a common schedule
    /// that keeps the ratios between tensors.
    ///
    /// A new factor replaces the last one; the two are not multiplied. A tensor's own learning rate is the one that its
    /// optimizer was inserted with, or the last one given to [`set_learning_rate`](ParamGroups::set_learning_rate).
    /// Allocates one number per tensor.
    ///
    /// # Errors
    /// [`Error::Number`] if `factor` is NaN, infinite or negative; [`Error::InTensor`] if an optimizer rejects the
    /// product; [`Error::Memory`] if there is no room for the numbers. Nothing has changed then.
    pub fn scale_learning_rates(&mut self, factor: f64) -> Result<(), Error> {
        check::at_least_zero("factor", factor)?;
        // The rates to go back to are read and not computed from the old factor: one may have been set by `get_mut`.
        let rates = self.groups.iter().map(|group| group.optimizer.learning_rate());
        let before = check::list("learning rates", rates)?;
        for i in 0..self.groups.len() {
            let group = &mut self.groups[i];
            if let Err(error) = set_product(&mut group.optimizer, group.learning_rate, factor) {
                // No optimizer rejects this, since it had this learning rate before.
                for (group, before) in self.groups[..i].iter_mut().zip(before) {
                    let _ = group.optimizer.set_learning_rate(before);
                }
                return Err(in_tensor(&self.names.names()[i])(error));
            }
        }
        self.factor = factor;
        Ok(())
    }

    /// Returns the common factor of all learning rates, which is 1 until
    /// [`scale_learning_rates`](ParamGroups::scale_learning_rates) is called.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// Returns a tensor's own learning rate, without the common factor; `None` if there is no such tensor.
    pub fn learning_rate(&self, name: &str) -> Option<f64> {
        self.names.index(name).map(|index| self.groups[index].learning_rate)
    }

    /// Sets one tensor's own learning rate. Its optimizer gets this rate times the common factor.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`] if there is no such tensor; [`Error::InTensor`] if its optimizer rejects the product.
    /// Nothing has changed then.
    pub fn set_learning_rate(&mut self, name: &str, learning_rate: f64) -> Result<(), Error> {
        let factor = self.factor;
        let group = self.group(name)?;
        set_product(&mut group.optimizer, learning_rate, factor).map_err(in_tensor(name))?;
        group.learning_rate = learning_rate;
        Ok(())
    }

    /// Freezes a tensor: the steps to come change neither it nor its state, and may leave it out.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`] if there is no such tensor.
    pub fn freeze(&mut self, name: &str) -> Result<(), Error> {
        self.group(name)?.frozen = true;
        Ok(())
    }

    /// Unfreezes a tensor: the steps to come change it again, beginning with the state that it had.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`] if there is no such tensor.
    pub fn unfreeze(&mut self, name: &str) -> Result<(), Error> {
        self.group(name)?.frozen = false;
        Ok(())
    }

    /// Freezes the tensors for whose names `is_frozen` returns true, and unfreezes all others:
    /// `model.freeze_where(|name| name.starts_with("backbone."))`.
    pub fn freeze_where(&mut self, is_frozen: impl Fn(&str) -> bool) {
        for (name, group) in iter::zip(self.names.names(), &mut self.groups) {
            group.frozen = is_frozen(name);
        }
    }

    /// Returns whether a tensor is frozen; `None` if there is no such tensor.
    pub fn is_frozen(&self, name: &str) -> Option<bool> {
        self.names.index(name).map(|index| self.groups[index].frozen)
    }

    /// Returns the names, in the order of insertion.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.names().iter().map(String::as_str)
    }

    /// Returns the names and optimizers, in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &O)> {
        iter::zip(self.names(), self.groups.iter().map(|group| &group.optimizer))
    }

    /// Returns the names and optimizers, to change settings by a condition on the names, or before each step by a
    /// [`Schedule`](crate::Schedule). As with [`get_mut`](ParamGroups::get_mut), do not set learning rates by it or
    /// step the optimizers.
    ///
    /// A loop over it is not all or nothing: if an optimizer rejects a setting, such as a momentum that is 1 in bf16,
    /// those before it have the new setting.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Momentum, ParamGroups, Schedule, WeightDecay};
    /// let mut model = ParamGroups::<f32, _>::new();
    /// model.insert("weights", Momentum::new(0.1, 0.9, 6)?)?;
    /// model.insert("bias", Momentum::new(0.1, 0.9, 2)?)?;
    ///
    /// let (momentum, decay) = (Schedule::one_cycle(0.95, 0.85, 0.95, 30.0, 70.0)?, Schedule::cosine(1e-2, 0.0, 100)?);
    /// let step = model.steps();
    /// for (name, optimizer) in model.iter_mut() {
    ///     optimizer.set_momentum(momentum.at(step))?;
    ///     if !name.ends_with("bias") {
    ///         optimizer.set_weight_decay(WeightDecay::Decoupled(decay.at(step)))?;
    ///     }
    /// }
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut O)> {
        // Not `self.names()`, which would borrow the groups too.
        let names = self.names.names().iter().map(String::as_str);
        iter::zip(names, self.groups.iter_mut().map(|group| &mut group.optimizer))
    }

    /// Returns a tensor's optimizer; `None` if there is no such tensor.
    pub fn get(&self, name: &str) -> Option<&O> {
        self.names.index(name).map(|index| &self.groups[index].optimizer)
    }

    /// Returns a tensor's optimizer, to change its settings; `None` if there is no such tensor.
    ///
    /// Set the learning rate by [`set_learning_rate`](ParamGroups::set_learning_rate) instead: the next common factor
    /// would overwrite one that is set here. To step tensors one at a time, use [`step_each`](ParamGroups::step_each):
    /// the model would not count a step that is made here, and a frozen tensor would move.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut O> {
        self.group(name).ok().map(|group| &mut group.optimizer)
    }

    /// Resets the state of every tensor, also of frozen ones, and the count of steps. The learning rates and the common
    /// factor stay, and frozen tensors stay frozen.
    pub fn reset(&mut self) {
        self.groups.iter_mut().for_each(|group| group.optimizer.reset());
        self.steps = 0;
    }

    fn group(&mut self, name: &str) -> Result<&mut Group<O>, Error> {
        let index = self.names.find(name)?;
        Ok(&mut self.groups[index])
    }
}

/// Sets the optimizer's learning rate to the product. Checks both numbers, since a rule from outside the crate may
/// accept any.
fn set_product<P, O: Optimizer<P>>(optimizer: &mut O, learning_rate: f64, factor: f64) -> Result<(), Error> {
    check::at_least_zero("learning_rate", learning_rate)?;
    optimizer.set_learning_rate(check::at_least_zero("learning_rate", learning_rate * factor)?)
}

/// Returns a function that puts the tensor's name around an error. The name is copied only if there is one.
#[inline]
pub(crate) fn in_tensor(name: &str) -> impl FnOnce(Error) -> Error {
    #[cold]
    move |error| Error::InTensor { name: name.to_string(), error: Box::new(error) }
}
