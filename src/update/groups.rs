use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{iter, marker::PhantomData, mem};

use num_traits::Float;

use super::{grads::Grads, optimizer::Optimizer};
use crate::{
    check,
    error::Error,
    gradient::{clip::clip_scale, finite::finite, norm::norm},
    threads::{ALONE, PART, try_share},
};

/// Several named tensors, each with an optimizer and settings of its own, stepped as one model.
///
/// The names are yours. State is found by name alone: the order in which tensors are given does not matter.
/// [`step`](ParamGroups::step) is all-or-nothing across all of them. (It asks each optimizer's
/// [`check`](Optimizer::check) before the first tensor moves, so a rule of your own must report there all that its
/// `step` would reject.)
///
/// `P` is the type of the parameters, `F` that of the settings ([`Optimizer`] says when they differ). `O` is one kind of
/// optimizer for all, or `Box<dyn Optimizer<P, F>>` to mix kinds. To mix kinds *and* save them with `serde`, let `O` be
/// an enum of yours.
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
/// let schedule = gradstep::schedule::linear(1.0, 0.0, 100)?; // a common schedule, as a factor: it keeps their ratio
/// model.scale_learning_rates(schedule(model.steps()))?; // now 0.099 and 0.198
/// model.freeze("bias")?; // keeps its velocity; may be left out of a step
/// model.step(&mut [("weights", &mut weights, &weight_grads)])?;
///
/// let error = model.step(&mut [("wieghts", &mut weights, &weight_grads)]).unwrap_err();
/// assert_eq!(error.to_string(), "tensor `wieghts` is unknown");
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ParamGroups<P, O, F = P> {
    /// In the order of insertion.
    pub(crate) groups: Vec<Group<O, F>>,
    pub(crate) factor: F,
    pub(crate) steps: u64,
    by_name: BTreeMap<String, usize>,
    /// Which group stood at each place of the last call: training steps come in the same order again and again.
    last_order: Vec<usize>,
    calls: u64,
    params: PhantomData<fn(&mut [P])>,
}

#[derive(Debug, Clone)]
pub(crate) struct Group<O, F> {
    pub(crate) name: String,
    pub(crate) optimizer: O,
    /// The learning rate at factor 1.
    pub(crate) learning_rate: F,
    pub(crate) frozen: bool,
    /// The number of the last call in which it was given.
    last_call: u64,
    /// The group that came after it then: found by it when a frozen tensor is left out, or is back, and all places shift.
    next: usize,
}

/// The memory of earlier calls does not count.
impl<P, O: PartialEq, F: PartialEq> PartialEq for ParamGroups<P, O, F> {
    fn eq(&self, other: &Self) -> bool {
        fn data<O, F>(group: &Group<O, F>) -> (&str, &O, &F, bool) {
            (&group.name, &group.optimizer, &group.learning_rate, group.frozen)
        }
        (&self.factor, self.steps) == (&other.factor, other.steps)
            && self.groups.iter().map(data).eq(other.groups.iter().map(data))
    }
}

impl<P, F: Float, O: Optimizer<P, F>> Default for ParamGroups<P, O, F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, F: Float, O: Optimizer<P, F>> ParamGroups<P, O, F> {
    /// A model without tensors.
    pub fn new() -> Self {
        ParamGroups {
            groups: Vec::new(),
            factor: F::one(),
            steps: 0,
            by_name: BTreeMap::new(),
            last_order: Vec::new(),
            calls: 0,
            params: PhantomData,
        }
    }

    /// Adds the tensor `name`, which `optimizer` steps. Its length is that of the optimizer's state; an optimizer
    /// without state, such as [`Sgd`](crate::Sgd), steps any length.
    ///
    /// # Errors
    /// [`Error::DuplicateTensor`] if there is one of that name already; [`Error::InTensor`] if the optimizer rejects its
    /// learning rate times the common factor. Nothing has changed then.
    pub fn insert(&mut self, name: impl Into<String>, mut optimizer: O) -> Result<(), Error> {
        let (name, learning_rate) = (name.into(), optimizer.learning_rate());
        self.check_new(&name)?; // before the optimizer, which may be a reference, is changed
        check::learning_rate(learning_rate)
            .and_then(|_| optimizer.set_learning_rate(learning_rate * self.factor))
            .map_err(|error| in_tensor(&name, error))?;
        self.push(name, optimizer, learning_rate, false);
        Ok(())
    }

    pub(crate) fn check_new(&self, name: &str) -> Result<(), Error> {
        if self.by_name.contains_key(name) { Err(Error::DuplicateTensor { name: name.to_string() }) } else { Ok(()) }
    }

    /// Adds a tensor whose name is new.
    pub(crate) fn push(&mut self, name: String, optimizer: O, learning_rate: F, frozen: bool) {
        self.by_name.insert(name.clone(), self.groups.len());
        self.last_order.push(self.groups.len());
        let next = self.groups.len() + 1;
        self.groups.push(Group { name, optimizer, learning_rate, frozen, last_call: 0, next });
    }

    /// One step of every tensor's optimizer on `(name, params, grads)`, in any order; all of them or none.
    ///
    /// A frozen tensor may be left out; given, it is checked and not changed.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnknownTensor`] or [`Error::DuplicateTensor`]; [`Error::InTensor`] naming the
    /// tensor whose optimizer rejects its slices. Nothing has changed then.
    ///
    /// # Cost
    /// The optimizers' [`check`](Optimizer::check) and `step`, and finding each tensor: one comparison of names if all are
    /// given in the order of insertion, up to three if it comes after the same tensor as in the last call, about log₂ n if
    /// not. No allocation. With feature `rayon` each long tensor is stepped by several threads; and if all are given in the
    /// order of insertion, short ones side by side.
    pub fn step(&mut self, tensors: &mut [Tensor<P>]) -> Result<(), Error>
    where
        P: Send + Sync,
        F: Send,
    {
        let in_order = self.check_all(tensors, |group, params, grads| group.optimizer.check(params, grads))?;
        self.step_found(tensors, 1.0, in_order)
    }

    /// Clips the gradients by the norm of all tensors together and steps, without changing the gradients: to the bit
    /// [`clip_global_norm`](crate::clip_global_norm) of all tensors in the order given and then
    /// [`step`](ParamGroups::step), also all or nothing. Returns the norm before. The norm is that of all tensors given,
    /// frozen ones too.
    ///
    /// # Errors
    /// Those of `step`; [`Error::Number`] if `max_norm` is not a finite number above 0, or too far below the norm, or if
    /// the norm is beyond f64; [`Error::InTensor`] naming the tensor with a gradient that is NaN or infinite, or whose
    /// optimizer cannot scale gradients ([`Error::CannotScale`]). Nothing has changed then.
    ///
    /// # Cost
    /// One pass over the gradients for their norm, and the step. No allocation. A [`Guard`](crate::Guard) is not needed,
    /// and costs a pass of its own.
    ///
    /// # Example
    /// ```
    /// use gradstep::{ParamGroups, Sgd};
    /// let mut model = ParamGroups::new();
    /// model.insert("weights", Sgd::new(0.5_f32)?)?;
    /// model.insert("bias", Sgd::new(0.5)?)?;
    /// let (mut weights, mut bias) = ([1.0], [1.0]);
    /// let norm = model.step_clipped(2.5, &mut [("weights", &mut weights, &[3.0]), ("bias", &mut bias, &[4.0])])?;
    /// assert_eq!((norm, weights, bias), (5.0, [0.25], [0.0])); // by half of the gradients
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn step_clipped(&mut self, max_norm: f64, tensors: &mut [Tensor<P>]) -> Result<f64, Error>
    where
        P: Float + Send + Sync + 'static,
        F: Send,
    {
        check::above_zero("max_norm", max_norm)?;
        let in_order = self.check_all(tensors, |group, params, grads| {
            if !group.frozen && !group.optimizer.can_scale() {
                return Err(Error::CannotScale);
            }
            group.optimizer.check(params, grads)
        })?;
        let norm = norm(
            || tensors.iter().map(|(_, _, grads)| *grads),
            || {
                tensors.iter().try_for_each(|(name, _, grads)| {
                    finite(|| "grads".to_string(), grads).map_err(|error| in_tensor(name, error))
                })
            },
        )?;
        let scale = clip_scale(norm, max_norm)?;
        self.step_found(tensors, scale, in_order)?;
        Ok(norm)
    }

    /// Finds all tensors and asks `check` about each, before the first one changes. Returns whether all are given in the
    /// order of insertion; otherwise `last_order` says which groups they are.
    fn check_all(
        &mut self,
        tensors: &mut [Tensor<P>],
        check: impl Fn(&Group<O, F>, &[P], &[P]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let named = |(group, (name, ..)): (&Group<O, F>, &Tensor<P>)| group.name == *name;
        let in_order = tensors.len() == self.groups.len() && iter::zip(&self.groups, &*tensors).all(named);
        if in_order {
            for (group, (name, params, grads)) in iter::zip(&self.groups, tensors) {
                check(group, params, grads).map_err(|error| in_tensor(name, error))?;
            }
        } else {
            let mut walk = |visit: &mut Visit<P>| {
                tensors.iter_mut().try_for_each(|(name, params, grads)| visit(name, params, grads))
            };
            self.visit_all(&mut walk, |group, params, grads| check(group, params, grads))?;
        }
        Ok(in_order)
    }

    fn step_found(&mut self, tensors: &mut [Tensor<P>], scale: f64, in_order: bool) -> Result<(), Error>
    where
        P: Send + Sync,
        F: Send,
    {
        let step = |(group, (name, params, grads)): (&mut Group<O, F>, &mut Tensor<P>)| match group.frozen {
            true => Ok(()),
            false => group
                .optimizer
                .step_checked(params, Grads::scaled(grads, scale))
                .map_err(|error| in_tensor(name, error)),
        };
        let len: usize = tensors.iter().map(|(_, params, _)| params.len()).sum();
        if !in_order {
            // The groups cannot be cut into runs.
            for (&found, tensor) in iter::zip(&self.last_order, tensors) {
                step((&mut self.groups[found], tensor))?;
            }
        } else if len > SIDE_BY_SIDE {
            try_share(len.div_ceil(PART), runs(&mut self.groups, tensors), |(groups, tensors)| {
                iter::zip(groups, tensors).try_for_each(step)
            })?;
        } else {
            iter::zip(&mut self.groups, tensors).try_for_each(step)?;
        }
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    /// [`step`](ParamGroups::step) where a framework lends only one tensor at a time.
    ///
    /// `walk` gets a function and calls it with the name, parameters and gradients of each tensor. It is called twice: the
    /// first time all tensors are checked and none is changed, the second time they are stepped. So it must visit the same
    /// tensors with the same gradients both times. What must be copied is better copied before. Its error may be
    /// any that an [`Error`] converts to, such as `Box<dyn std::error::Error>` or `anyhow::Error`.
    ///
    /// # Errors
    /// Those of `step`, and whatever else `walk` returns. If the first walk fails, nothing has changed. If only the second
    /// fails, the tensors visited before are stepped, and the step is not counted. Gradients are checked for NaN in the
    /// first walk only.
    ///
    /// # Example
    /// ```
    /// use std::cell::RefCell;
    /// use gradstep::{Error, ParamGroups, Sgd};
    ///
    /// // A framework that lends its tensors through a guard.
    /// let framework = [("weights", RefCell::new(vec![1.0, 2.0])), ("bias", RefCell::new(vec![3.0]))];
    /// let mut model = ParamGroups::new();
    /// model.insert("weights", Sgd::new(0.5)?)?;
    /// model.insert("bias", Sgd::new(0.25)?)?;
    /// model.step_each(|visit| {
    ///     for (name, tensor) in &framework {
    ///         let mut params = tensor.borrow_mut();
    ///         let grads = vec![1.0; params.len()];
    ///         visit(name, &mut params, &grads)?;
    ///     }
    ///     Ok::<(), Error>(())
    /// })?;
    /// assert_eq!((framework[0].1.take(), framework[1].1.take()), (vec![0.5, 1.5], vec![2.75]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn step_each<E: From<Error>>(&mut self, mut walk: impl FnMut(&mut Visit<P>) -> Result<(), E>) -> Result<(), E> {
        self.visit_all(&mut walk, |group, params, grads| group.optimizer.check(params, grads))?;
        self.visit_all(&mut walk, |group, params, grads| match group.frozen {
            true => group.optimizer.check(params, grads),
            false => group.optimizer.step_checked(params, grads.into()),
        })?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    fn visit_all<E: From<Error>>(
        &mut self,
        walk: &mut impl FnMut(&mut Visit<P>) -> Result<(), E>,
        visit: impl Fn(&mut Group<O, F>, &mut [P], &[P]) -> Result<(), Error>,
    ) -> Result<(), E> {
        self.calls += 1;
        let mut place = 0;
        let mut visit_one = |name: &str, params: &mut [P], grads: &[P]| {
            let found = self.find(name, place)?;
            let group = &mut self.groups[found];
            if group.last_call == self.calls {
                return Err(Error::DuplicateTensor { name: name.to_string() });
            }
            group.last_call = self.calls;
            place += 1;
            visit(group, params, grads).map_err(|error| in_tensor(name, error))
        };
        // Kept here too, since the walk may drop it.
        let mut rejected = Ok(());
        walk(&mut |name, params, grads| {
            let visited = visit_one(name, params, grads);
            if let (Ok(()), Err(error)) = (&rejected, &visited) {
                rejected = Err(error.clone());
            }
            visited
        })?;
        rejected?;
        if place == self.groups.len() {
            return Ok(()); // none was given twice, so these are all
        }
        let missing = self.groups.iter().find(|group| !group.frozen && group.last_call != self.calls);
        missing.map_or(Ok(()), |group| Err(Error::MissingTensor { name: group.name.clone() }.into()))
    }

    /// How many steps were applied to the model. A step that returned `Err` does not count. The count stops at
    /// `u64::MAX`.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Sets every tensor's learning rate to `factor` times its own: a common schedule that keeps their ratios.
    ///
    /// The factor replaces the one before; it does not multiply it. A tensor's own learning rate is the one that its
    /// optimizer was inserted with, or that was given to [`set_learning_rate`](ParamGroups::set_learning_rate).
    /// Allocates one number a tensor.
    ///
    /// # Errors
    /// [`Error::Number`] if `factor` is NaN, infinite or negative; [`Error::InTensor`] if an optimizer rejects the
    /// product. Nothing has changed then (if a rule of your own takes back a rate that it had).
    pub fn scale_learning_rates(&mut self, factor: F) -> Result<(), Error> {
        self.check_factor(factor)?;
        // An optimizer from outside may reject it all the same: then those before it get their old rates back.
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

    /// The common factor of all learning rates; 1 until [`scale_learning_rates`](ParamGroups::scale_learning_rates) is called.
    pub fn factor(&self) -> F {
        self.factor
    }

    /// Sets one tensor's own learning rate. Its optimizer gets this rate times the common factor.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`], or [`Error::InTensor`] if its optimizer rejects the learning rate. Nothing has changed
    /// then.
    pub fn set_learning_rate(&mut self, name: &str, learning_rate: F) -> Result<(), Error> {
        let factor = self.factor;
        let group = self.group(name)?;
        check::learning_rate(learning_rate)
            .and_then(|_| group.optimizer.set_learning_rate(learning_rate * factor))
            .map_err(|error| in_tensor(name, error))?;
        group.learning_rate = learning_rate;
        Ok(())
    }

    /// Leaves a tensor and its state unchanged in the steps to come.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`].
    pub fn freeze(&mut self, name: &str) -> Result<(), Error> {
        self.set_frozen(name, true)
    }

    /// Takes a frozen tensor into the steps again, with the velocity that it had.
    ///
    /// # Errors
    /// [`Error::UnknownTensor`].
    pub fn unfreeze(&mut self, name: &str) -> Result<(), Error> {
        self.set_frozen(name, false)
    }

    fn set_frozen(&mut self, name: &str, frozen: bool) -> Result<(), Error> {
        self.group(name)?.frozen = frozen;
        Ok(())
    }

    /// The names, in the order of insertion.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }

    /// A tensor's optimizer.
    pub fn get(&self, name: &str) -> Option<&O> {
        self.by_name.get(name).map(|&found| &self.groups[found].optimizer)
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

    /// Takes over all of `saved`, if it was saved from a model of the same tensors: state, counts, what is frozen, **and
    /// all settings, such as the learning rates and their factor**. Set them anew afterwards if they are to change.
    /// Copies nothing.
    ///
    /// # Errors
    /// [`Error::Saved`] if the names are not the same set; [`Error::InTensor`] if a state has another length. Nothing has
    /// changed then.
    pub fn restore(&mut self, saved: Self) -> Result<(), Error> {
        if !saved.by_name.keys().eq(self.by_name.keys()) {
            let names = |model: &Self| {
                let names: Vec<String> = model.by_name.keys().map(|name| format!("`{name}`")).collect();
                format!("[{}]", names.join(", "))
            };
            return Err(Error::Saved { name: "set of tensors", saved: names(&saved), expected: names(self) });
        }
        for ((name, &own), &other) in self.by_name.iter().zip(saved.by_name.values()) {
            let len = |model: &Self, place: usize| model.groups[place].optimizer.state_len();
            check_saved_len("length of the state", len(&saved, other), len(self, own))
                .map_err(|error| in_tensor(name, error))?;
        }
        *self = saved;
        Ok(())
    }

    /// Which group is next: the one that had this place in the last call, or else the one that came after the one before, or
    /// else any.
    fn find(&mut self, name: &str, place: usize) -> Result<usize, Error> {
        match self.last_order.get(place) {
            Some(&found) if self.groups[found].name == name => Ok(found),
            _ => self.find_elsewhere(name, place),
        }
    }

    #[cold]
    fn find_elsewhere(&mut self, name: &str, place: usize) -> Result<usize, Error> {
        let previous = place.checked_sub(1).map(|previous| self.last_order[previous]);
        let is_it = |&guess: &usize| self.groups.get(guess).is_some_and(|group| group.name == name);
        let after = previous.map(|previous| self.groups[previous].next).filter(is_it);
        let found = after.map_or_else(|| self.index(name), Ok)?;
        // Past the last place a tensor is given twice.
        if let Some(place) = self.last_order.get_mut(place) {
            *place = found;
        }
        if let Some(previous) = previous {
            self.groups[previous].next = found;
        }
        Ok(found)
    }

    fn group(&mut self, name: &str) -> Result<&mut Group<O, F>, Error> {
        let found = self.index(name)?;
        Ok(&mut self.groups[found])
    }

    fn index(&self, name: &str) -> Result<usize, Error> {
        self.by_name.get(name).copied().ok_or_else(|| Error::UnknownTensor { name: name.to_string() })
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

/// From so many parameters on, threads step several tensors side by side.
const SIDE_BY_SIDE: usize = 8 * ALONE;

/// Name, parameters, gradients.
type Tensor<'a, P> = (&'a str, &'a mut [P], &'a [P]);

/// Neighbours: as many as make up at least [`PART`] parameters.
fn runs<'a, 'b, G, P>(
    mut groups: &'a mut [G],
    mut tensors: &'a mut [Tensor<'b, P>],
) -> impl Iterator<Item = (&'a mut [G], &'a mut [Tensor<'b, P>])> {
    iter::from_fn(move || {
        let mut len = 0;
        let fits = |(_, params, _): &&Tensor<P>| {
            let before = len;
            len += params.len();
            before < PART
        };
        let count = tensors.iter().take_while(fits).count();
        let (run, run_tensors);
        (run, groups) = mem::take(&mut groups).split_at_mut(count);
        (run_tensors, tensors) = mem::take(&mut tensors).split_at_mut(count);
        (count > 0).then_some((run, run_tensors))
    })
}

/// What a walk calls with each tensor's name, parameters and gradients.
type Visit<'a, P> = dyn FnMut(&str, &mut [P], &[P]) -> Result<(), Error> + 'a;

fn check_saved_len(name: &'static str, saved: Option<usize>, expected: Option<usize>) -> Result<(), Error> {
    let words = |len: Option<usize>| len.map_or("any".to_string(), |len| len.to_string());
    if saved == expected { Ok(()) } else { Err(Error::Saved { name, saved: words(saved), expected: words(expected) }) }
}

#[cold]
fn in_tensor(name: &str, error: Error) -> Error {
    Error::InTensor { name: name.to_string(), error: Box::new(error) }
}
