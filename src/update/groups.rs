use alloc::{boxed::Box, format, string::String, string::ToString, vec::Vec};

use num_traits::Float;

use super::optimizer::Optimizer;
use crate::{check, error::Error};

/// Several named tensors, each with an optimizer and settings of its own, stepped as one model.
///
/// The names are yours, and state is keyed by them alone: the order in which tensors are given does not matter.
/// [`step`](ParamGroups::step) is all-or-nothing across all of them. (A rule of your own must say in its
/// [`check`](Optimizer::check) all that its `step` would refuse: only what is known before the first tensor moves can keep
/// all of them from moving.)
///
/// `O` is one kind of optimizer for all, or `Box<dyn Optimizer<F>>` to mix kinds. (To mix kinds *and* save them with
/// `serde`, let `O` be an enum of yours.)
///
/// # Example
/// ```
/// use gradstep::{Momentum, Optimizer, ParamGroups};
///
/// let (mut weights, mut bias) = (vec![1.0_f32; 6], vec![0.0; 2]);
/// let mut model = ParamGroups::new();
/// model.insert("weights", weights.len(), Momentum::new(0.1, 0.9, weights.len())?)?;
/// model.insert("bias", bias.len(), Momentum::new(0.2, 0.9, bias.len())?)?;
///
/// let (weight_grads, bias_grads) = (vec![0.5; 6], vec![1.0; 2]);
/// model.step(&mut [("weights", &mut weights, &weight_grads), ("bias", &mut bias, &bias_grads)])?;
///
/// let schedule = gradstep::schedule::linear(1.0, 0.0, 100)?; // a common schedule, as a factor: it keeps their ratio
/// model.scale_learning_rates(schedule(model.steps()))?; // now 0.099 and 0.198
/// model.freeze("bias")?; // keeps its velocity; may be left out of a step
/// model.step(&mut [("weights", &mut weights, &weight_grads)])?;
///
/// let error = model.step(&mut [("wieghts", &mut weights, &weight_grads)]).unwrap_err();
/// assert_eq!(error.to_string(), "tensor `wieghts` is unknown");
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(
        try_from = "crate::saved::ParamGroups<F, O>",
        into = "crate::saved::ParamGroups<F, O>",
        bound(
            serialize = "F: crate::saved::Scalar, O: Clone + serde::Serialize",
            deserialize = "F: crate::saved::Scalar, O: Optimizer<F> + serde::Deserialize<'de>"
        )
    )
)]
pub struct ParamGroups<F, O> {
    pub(crate) groups: Vec<Group<F, O>>,
    pub(crate) factor: F,
    pub(crate) steps: u64,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group<F, O> {
    pub(crate) name: String,
    pub(crate) len: usize,
    pub(crate) optimizer: O,
    /// The learning rate at factor 1.
    pub(crate) learning_rate: F,
    pub(crate) frozen: bool,
}

impl<F: Float, O: Optimizer<F>> Default for ParamGroups<F, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Float, O: Optimizer<F>> ParamGroups<F, O> {
    /// A model without tensors.
    pub fn new() -> Self {
        ParamGroups { groups: Vec::new(), factor: F::one(), steps: 0 }
    }

    /// Adds the tensor `name` of `len` parameters.
    ///
    /// # Errors
    /// [`Error::Tensor`] if there is one of that name already; [`Error::InTensor`] if its optimizer is for another
    /// length, or refuses its learning rate times the common factor.
    pub fn insert(&mut self, name: impl Into<String>, len: usize, mut optimizer: O) -> Result<(), Error> {
        let (name, learning_rate) = (name.into(), optimizer.learning_rate());
        check::learning_rate(learning_rate).map_err(|error| in_tensor(&name, error))?;
        // Not at factor 1: `MasterCopy` would round its rate to the type of the parameters.
        if self.factor != F::one() {
            let set = optimizer.set_learning_rate(learning_rate * self.factor);
            set.map_err(|error| in_tensor(&name, error))?;
        }
        self.push(Group { name, len, optimizer, learning_rate, frozen: false })
    }

    pub(crate) fn push(&mut self, group: Group<F, O>) -> Result<(), Error> {
        if self.find(&group.name, 0).is_some() {
            return Err(Error::Tensor { name: group.name, problem: "is there already" });
        }
        let state_len = group.optimizer.state_len().unwrap_or(group.len);
        check::length("the optimizer's state", state_len, "the tensor", group.len)
            .map_err(|error| in_tensor(&group.name, error))?;
        self.groups.push(group);
        Ok(())
    }

    /// One step of every tensor's optimizer on `(name, params, grads)`, in any order; all of them or none.
    ///
    /// A frozen tensor may be left out; given, it is checked and not changed.
    ///
    /// # Errors
    /// [`Error::Tensor`] naming a tensor that is missing, unknown or given twice; [`Error::InTensor`] naming one that has
    /// another length than it was inserted with, or that its optimizer refuses. Nothing has changed then.
    ///
    /// # Cost
    /// That of the optimizers' steps, and comparing the names: quickest if given in the order of insertion. No allocation.
    pub fn step(&mut self, tensors: &mut [(&str, &mut [F], &[F])]) -> Result<(), Error> {
        let mut in_order = true;
        for (place, (name, params, grads)) in tensors.iter().enumerate() {
            let refused = |problem| Error::Tensor { name: name.to_string(), problem };
            let found = self.find(name, place).ok_or_else(|| refused("is unknown"))?;
            in_order &= found == place;
            if !in_order && tensors[..place].iter().any(|(earlier, ..)| earlier == name) {
                return Err(refused("was given twice"));
            }
            let group = &self.groups[found];
            check::length("params", params.len(), "the tensor as inserted", group.len)
                .and_then(|()| group.optimizer.check(params, grads))
                .map_err(|error| in_tensor(name, error))?;
        }
        for (place, group) in self.groups.iter().enumerate() {
            let here = |tensor: &(&str, &mut [F], &[F])| tensor.0 == group.name;
            if !group.frozen && !tensors.get(place).is_some_and(here) && !tensors.iter().any(here) {
                return Err(Error::Tensor { name: group.name.clone(), problem: "is missing" });
            }
        }
        for (place, (name, params, grads)) in tensors.iter_mut().enumerate() {
            let Some(found) = self.find(name, place) else { continue };
            let group = &mut self.groups[found];
            if !group.frozen {
                group.optimizer.step(params, grads).map_err(|error| in_tensor(name, error))?;
            }
        }
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    /// How many steps were applied to the model. A step that returned `Err` does not count.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets every tensor's learning rate to `factor` times its own: a common schedule that keeps their ratios.
    ///
    /// The factor replaces the one before; it does not multiply it. "Its own" is the learning rate that the optimizer was
    /// inserted with, or that was given to [`set_learning_rate`](ParamGroups::set_learning_rate). Allocates one number a
    /// tensor.
    ///
    /// # Errors
    /// [`Error::Number`] if `factor` is NaN, infinite or negative; [`Error::InTensor`] if an optimizer refuses the
    /// product. Nothing has changed then.
    pub fn scale_learning_rates(&mut self, factor: F) -> Result<(), Error> {
        self.check_factor(factor)?;
        // An optimizer from outside may refuse it all the same: then the ones before it get theirs back.
        let before: Vec<F> = self.groups.iter().map(|group| group.optimizer.learning_rate()).collect();
        for i in 0..self.groups.len() {
            let group = &mut self.groups[i];
            if let Err(error) = group.optimizer.set_learning_rate(group.learning_rate * factor) {
                let error = in_tensor(&group.name, error);
                for (group, before) in self.groups[..i].iter_mut().zip(before) {
                    let _ = group.optimizer.set_learning_rate(before);
                }
                return Err(error);
            }
        }
        self.factor = factor;
        Ok(())
    }

    /// Sets one tensor's own learning rate; the common factor applies to it.
    ///
    /// # Errors
    /// [`Error::Tensor`] if it is unknown, [`Error::InTensor`] if its optimizer refuses the learning rate. Nothing has
    /// changed then.
    pub fn set_learning_rate(&mut self, name: &str, learning_rate: F) -> Result<(), Error> {
        check::learning_rate(learning_rate).map_err(|error| in_tensor(name, error))?;
        let factor = self.factor;
        let group = self.group(name)?;
        let set = group.optimizer.set_learning_rate(learning_rate * factor);
        set.map_err(|error| in_tensor(name, error))?;
        group.learning_rate = learning_rate;
        Ok(())
    }

    /// Leaves a tensor and its state as they are in the steps to come.
    ///
    /// # Errors
    /// [`Error::Tensor`] if it is unknown.
    pub fn freeze(&mut self, name: &str) -> Result<(), Error> {
        self.group(name)?.frozen = true;
        Ok(())
    }

    /// Takes a frozen tensor into the steps again, with the velocity that it had.
    ///
    /// # Errors
    /// [`Error::Tensor`] if it is unknown.
    pub fn unfreeze(&mut self, name: &str) -> Result<(), Error> {
        self.group(name)?.frozen = false;
        Ok(())
    }

    /// The names, in the order of insertion.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// A tensor's optimizer.
    pub fn get(&self, name: &str) -> Option<&O> {
        self.find(name, 0).map(|found| &self.groups[found].optimizer)
    }

    /// A tensor's optimizer, to change its settings. Its learning rate is better set by
    /// [`set_learning_rate`](ParamGroups::set_learning_rate): the next common factor would not know of it.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut O> {
        self.find(name, 0).map(|found| &mut self.groups[found].optimizer)
    }

    /// Forgets the past of every tensor, frozen ones too. Learning rates, their factor and what is frozen stay.
    pub fn reset(&mut self) {
        self.groups.iter_mut().for_each(|group| group.optimizer.reset());
        self.steps = 0;
    }

    /// Takes over all of `saved`, if it was saved from a model of the same tensors. Copies nothing.
    ///
    /// # Errors
    /// [`Error::Saved`] if the names are not the same set; [`Error::InTensor`] if a length differs. Nothing has changed
    /// then.
    pub fn restore(&mut self, saved: Self) -> Result<(), Error> {
        let names = |model: &Self| {
            let mut names: Vec<String> = model.names().map(|name| format!("`{name}`")).collect();
            names.sort_unstable();
            names
        };
        let (saved_names, own_names) = (names(&saved), names(self));
        if saved_names != own_names {
            let [saved, expected] = [saved_names, own_names].map(|names| format!("[{}]", names.join(", ")));
            return Err(Error::Saved { name: "set of tensors", saved, expected });
        }
        for own in &self.groups {
            let found = saved.groups.iter().find(|group| group.name == own.name);
            if let Some(group) = found.filter(|group| group.len != own.len) {
                let error =
                    Error::Saved { name: "length", saved: format!("{}", group.len), expected: format!("{}", own.len) };
                return Err(in_tensor(&own.name, error));
            }
        }
        *self = saved;
        Ok(())
    }

    /// Looks at `place` first.
    fn find(&self, name: &str, place: usize) -> Option<usize> {
        if self.groups.get(place).is_some_and(|group| group.name == name) {
            return Some(place);
        }
        self.groups.iter().position(|group| group.name == name)
    }

    fn group(&mut self, name: &str) -> Result<&mut Group<F, O>, Error> {
        match self.find(name, 0) {
            Some(found) => Ok(&mut self.groups[found]),
            None => Err(Error::Tensor { name: name.to_string(), problem: "is unknown" }),
        }
    }

    /// Whether `factor`, and every learning rate times it, is a learning rate.
    pub(crate) fn check_factor(&self, factor: F) -> Result<(), Error> {
        check::at_least_zero("factor", factor)?;
        for group in &self.groups {
            check::learning_rate(group.learning_rate * factor).map_err(|error| in_tensor(&group.name, error))?;
        }
        Ok(())
    }
}

fn in_tensor(name: &str, error: Error) -> Error {
    Error::InTensor { name: name.to_string(), error: Box::new(error) }
}
