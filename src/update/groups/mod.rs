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

/// Several named tensors, stepped as one model. A group here is one tensor, with an optimizer and settings of its own.
///
/// The names are yours. State is found by name alone: the order in which tensors are given does not matter. A step is all
/// or nothing across all of them: each optimizer's [`check`](Optimizer::check) is asked before the first tensor moves.
///
/// `P` is the type of the parameters. `O` is one kind of optimizer for all, or `Box<dyn Optimizer<P>>` to mix kinds. To mix
/// kinds *and* save them with `serde`, let `O` be an enum of yours: `examples/from_config.rs` has one.
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
/// let schedule = gradstep::Schedule::linear(1.0, 0.0, 100)?; // a common schedule, as a factor: it keeps their ratio
/// model.scale_learning_rates(schedule.at(model.steps()))?; // now 0.099 and 0.198
/// model.freeze("bias")?; // keeps its velocity; may be left out of a step
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
    params: PhantomData<fn(&mut [P])>,
}

#[derive(Debug, Clone, PartialEq)]
struct Group<O> {
    optimizer: O,
    /// At factor 1.
    learning_rate: f64,
    frozen: bool,
}

/// The order in which the last step gave the tensors does not count.
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
    /// A model without tensors.
    pub fn new() -> Self {
        ParamGroups { names: Lookup::default(), groups: Vec::new(), factor: 1.0, steps: 0, params: PhantomData }
    }

    /// Adds the tensor `name`, which `optimizer` steps. Its length is that of the optimizer's state; an optimizer
    /// without state, such as [`Sgd`](crate::Sgd), steps any length.
    ///
    /// # Errors
    /// [`Error::DuplicateTensor`] if there is one of that name already; [`Error::InTensor`] if the optimizer rejects its
    /// learning rate times the common factor. Nothing has changed then.
    pub fn insert(&mut self, name: impl Into<String>, mut optimizer: O) -> Result<(), Error> {
        let (name, learning_rate) = (name.into(), optimizer.learning_rate());
        if self.names.index(&name).is_some() {
            return Err(Error::DuplicateTensor { name }); // before the optimizer, which may be a reference, is changed
        }
        set_product(&mut optimizer, learning_rate, self.factor).map_err(in_tensor(&name))?;
        self.push(name, Group { optimizer, learning_rate, frozen: false })
    }

    fn push(&mut self, name: String, group: Group<O>) -> Result<(), Error> {
        self.names.insert(name)?;
        self.groups.push(group);
        Ok(())
    }

    /// Takes the tensor `name` out of the model and returns its optimizer; `None` if there is none.
    ///
    /// Its learning rate is the product of its own and the common factor. To insert it again, or into another model,
    /// set its own first, or the factor would count twice.
    pub fn remove(&mut self, name: &str) -> Option<O> {
        let index = self.names.index(name)?;
        self.names.remove(index);
        Some(self.groups.remove(index).optimizer)
    }

    /// How many steps were applied to the model. A step that returned `Err` does not count. The count stops at
    /// `u64::MAX`.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets the count of steps, for a model whose state was saved elsewhere and is put together by hand.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// Sets every tensor's learning rate to `factor` times its own: a common schedule that keeps their ratios.
    ///
    /// The factor replaces the one before; it does not multiply it. A tensor's own learning rate is the one that its
    /// optimizer was inserted with, or that was given to [`set_learning_rate`](ParamGroups::set_learning_rate).
    /// Allocates one number per tensor.
    ///
    /// # Errors
    /// [`Error::Number`] if `factor` is NaN, infinite or negative; [`Error::InTensor`] if an optimizer rejects the
    /// product; [`Error::Memory`]. Nothing has changed then.
    pub fn scale_learning_rates(&mut self, factor: f64) -> Result<(), Error> {
        check::at_least_zero("factor", factor)?;
        let rates = self.groups.iter().map(|group| group.optimizer.learning_rate());
        let before = check::list("learning rates", rates)?;
        for i in 0..self.groups.len() {
            let group = &mut self.groups[i];
            if let Err(error) = set_product(&mut group.optimizer, group.learning_rate, factor) {
                // Each takes back a rate that it had.
                for (group, before) in self.groups[..i].iter_mut().zip(before) {
                    let _ = group.optimizer.set_learning_rate(before);
                }
                return Err(in_tensor(&self.names.names()[i])(error));
            }
        }
        self.factor = factor;
        Ok(())
    }

    /// The common factor of all learning rates; 1 until [`scale_learning_rates`](ParamGroups::scale_learning_rates) is
    /// called.
    pub fn factor(&self) -> f64 {
        self.factor
    }

    /// A tensor's own learning rate, without the common factor; `None` if there is no such tensor.
    pub fn learning_rate(&self, name: &str) -> Option<f64> {
        self.names.index(name).map(|index| self.groups[index].learning_rate)
    }

    /// Sets one tensor's own learning rate. Its optimizer gets this rate times the common factor.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`], or [`Error::InTensor`] if its optimizer rejects the learning rate. Nothing has changed
    /// then.
    pub fn set_learning_rate(&mut self, name: &str, learning_rate: f64) -> Result<(), Error> {
        let factor = self.factor;
        let group = self.group(name)?;
        set_product(&mut group.optimizer, learning_rate, factor).map_err(in_tensor(name))?;
        group.learning_rate = learning_rate;
        Ok(())
    }

    /// Leaves a tensor and its state unchanged in the steps to come.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`].
    pub fn freeze(&mut self, name: &str) -> Result<(), Error> {
        self.group(name)?.frozen = true;
        Ok(())
    }

    /// Takes a frozen tensor into the steps again, with the velocity that it had.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`].
    pub fn unfreeze(&mut self, name: &str) -> Result<(), Error> {
        self.group(name)?.frozen = false;
        Ok(())
    }

    /// Freezes the tensors whose names `is_frozen` returns true for, and no others:
    /// `model.freeze_where(|name| name.starts_with("backbone."))`.
    pub fn freeze_where(&mut self, is_frozen: impl Fn(&str) -> bool) {
        for (name, group) in iter::zip(self.names.names(), &mut self.groups) {
            group.frozen = is_frozen(name);
        }
    }

    /// Whether a tensor is frozen; `None` if there is no such tensor.
    pub fn is_frozen(&self, name: &str) -> Option<bool> {
        self.names.index(name).map(|index| self.groups[index].frozen)
    }

    /// The names, in the order of insertion.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.names().iter().map(String::as_str)
    }

    /// The names and optimizers, in the order of insertion.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &O)> {
        iter::zip(self.names(), self.groups.iter().map(|group| &group.optimizer))
    }

    /// The names and optimizers, to change settings: by a condition on the names, and over time by a
    /// [`Schedule`](crate::Schedule), once before each step. What [`get_mut`](ParamGroups::get_mut) is not for, this is not
    /// either.
    ///
    /// Each call sets one optimizer. A setting that all of them take leaves all set; of one that some reject, such as a
    /// momentum that is 1 in bf16, those before the first such one have been set.
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
        let names = self.names.names().iter().map(String::as_str);
        iter::zip(names, self.groups.iter_mut().map(|group| &mut group.optimizer))
    }

    /// A tensor's optimizer.
    pub fn get(&self, name: &str) -> Option<&O> {
        self.names.index(name).map(|index| &self.groups[index].optimizer)
    }

    /// A tensor's optimizer, to change its settings.
    ///
    /// Not for its learning rate, which the next common factor would overwrite: use
    /// [`set_learning_rate`](ParamGroups::set_learning_rate). And not to `step` it: the model would not count the step,
    /// and a frozen tensor would move: use [`step_each`](ParamGroups::step_each).
    pub fn get_mut(&mut self, name: &str) -> Option<&mut O> {
        self.group(name).ok().map(|group| &mut group.optimizer)
    }

    /// Resets the state of every tensor, frozen ones too, and the count of steps. Learning rates, their factor and what
    /// is frozen stay.
    pub fn reset(&mut self) {
        self.groups.iter_mut().for_each(|group| group.optimizer.reset());
        self.steps = 0;
    }

    fn group(&mut self, name: &str) -> Result<&mut Group<O>, Error> {
        let index = self.names.find(name)?;
        Ok(&mut self.groups[index])
    }
}

/// Looks at both numbers, since a rule from outside may take any.
fn set_product<P, O: Optimizer<P>>(optimizer: &mut O, learning_rate: f64, factor: f64) -> Result<(), Error> {
    check::at_least_zero("learning_rate", learning_rate)?;
    optimizer.set_learning_rate(check::at_least_zero("learning_rate", learning_rate * factor)?)
}

/// What names the tensor in its error.
#[inline]
pub(crate) fn in_tensor(name: &str) -> impl FnOnce(Error) -> Error {
    #[cold]
    move |error| Error::InTensor { name: name.to_string(), error: Box::new(error) }
}
