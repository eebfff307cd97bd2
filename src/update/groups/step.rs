use core::{iter, mem};

use num_traits::Float;

use super::{Group, ParamGroups, in_tensor};
use crate::{
    error::Error,
    gradient::{clip::clip_scale, grads::Grads, norm::norm},
    passes::total,
    threads::{ONE_THREAD_LEN, PART_LEN, try_share},
    update::{optimizer::Optimizer, step::Step},
};

/// A tensor in a step of [`ParamGroups`]: its name, its parameters, its gradients (`&[P]` or [`Grads`]).
pub type Tensor<'n, 'p, P, G> = (&'n str, &'p mut [P], G);

/// What the walk of [`ParamGroups::step_each`] calls with each tensor's name, parameters and gradients.
pub type Visit<'v, P> = dyn FnMut(&str, &mut [P], Grads<P>) -> Result<(), Error> + 'v;

/// From so many parameters on, threads step several tensors side by side.
const SIDE_BY_SIDE_LEN: usize = 8 * ONE_THREAD_LEN;

impl<P, O: Optimizer<P>> ParamGroups<P, O> {
    /// One step of every tensor's optimizer on `(name, params, grads)`, in any order; all of them or none.
    ///
    /// A frozen tensor may be left out; given, it is checked and not changed.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnknownTensor`] or [`Error::DuplicateTensor`]; [`Error::InTensor`] naming the
    /// tensor whose optimizer rejects its slices. Nothing has changed then.
    ///
    /// # Cost
    /// The optimizers' [`check`](Optimizer::check) and [`update`](Optimizer::update), and finding each tensor: one
    /// comparison of names if the tensors come in the order of insertion or of the last call, about log₂ n more if not.
    /// No allocation. With feature `rayon` each long tensor is stepped by several threads; and if all are given in the
    /// order of insertion, short ones side by side.
    pub fn step(&mut self, tensors: &mut [Tensor<P, &[P]>]) -> Result<(), Error>
    where
        P: Send + Sync,
    {
        let in_order = self.find_all(tensors)?;
        self.step_found(tensors, in_order, Grads::new)
    }

    /// [`step`](ParamGroups::step) with gradients that are scaled or widened on the way ([`Grads`]).
    ///
    /// # Errors
    /// Those of `step`; [`Error::InTensor`] with [`Error::NotASlice`] if an optimizer needs its gradients as one slice.
    pub fn step_with(&mut self, tensors: &mut [Tensor<P, Grads<P>>]) -> Result<(), Error>
    where
        P: Send + Sync,
    {
        let in_order = self.find_all(tensors)?;
        self.step_found(tensors, in_order, |grads| grads)
    }

    /// Clips the gradients by the norm of all tensors together and steps, without changing the gradients: to the bit
    /// [`clip_global_norm`](crate::clip_global_norm) of all tensors in the order given and then
    /// [`step`](ParamGroups::step), also all or nothing. Returns the norm before. The norm is that of all tensors given,
    /// frozen ones too. Scaled gradients are clipped by their scaled norm, and both factors are applied at once.
    ///
    /// # Errors
    /// Those of `step`; [`Error::Number`] if `max_norm` is not a finite number above 0, or too far below the norm;
    /// [`Error::Overflow`] if the norm is beyond f64; [`Error::InTensor`] naming the tensor with a gradient that is NaN or
    /// infinite. Nothing has changed then.
    ///
    /// # Cost
    /// [`global_norm`](crate::global_norm), nearly always one pass over the gradients, and the step. No allocation. A
    /// [`FiniteGuard`](crate::FiniteGuard) is not needed, and costs a pass of its own.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Grads, ParamGroups, Sgd};
    /// let mut model = ParamGroups::new();
    /// model.insert("weights", Sgd::new(0.5)?)?;
    /// model.insert("bias", Sgd::new(0.5)?)?;
    /// let (mut weights, mut bias) = ([1.0_f32], [1.0]);
    /// let mut tensors = [("weights", &mut weights[..], Grads::new(&[3.0])), ("bias", &mut bias, Grads::new(&[4.0]))];
    /// let norm = model.step_clipped(&mut tensors, 2.5)?;
    /// assert_eq!((norm, weights, bias), (5.0, [0.25], [0.0])); // by half of the gradients
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn step_clipped(&mut self, tensors: &mut [Tensor<P, Grads<P>>], max_norm: f64) -> Result<f64, Error>
    where
        P: Float + Send + Sync + 'static,
    {
        let in_order = self.find_all(tensors)?;
        let norm = norm(
            || tensors.iter().map(|&(.., grads)| grads),
            || tensors.iter().try_for_each(|(name, _, grads)| grads.check_finite().map_err(in_tensor(name))),
        )?;
        let scale = clip_scale(norm, max_norm)?;
        self.step_found(tensors, in_order, |grads| grads.scaled(scale))?;
        Ok(norm)
    }

    /// Finds all tensors. Returns whether they are given in the order of insertion; if not, `names.given()` says which
    /// groups they are.
    fn find_all<G>(&mut self, tensors: &[Tensor<P, G>]) -> Result<bool, Error> {
        if self.names.is_order_of_insertion(tensors.iter().map(|(name, ..)| *name)) {
            return Ok(true);
        }
        self.names.begin();
        for (name, ..) in tensors {
            self.names.next(name)?;
        }
        self.names.end(|index| self.groups[index].frozen)?;
        Ok(false)
    }

    /// Asks every optimizer, and then steps every tensor.
    fn step_found<'g, G: Copy + Send + Sync>(
        &mut self,
        tensors: &mut [Tensor<P, G>],
        in_order: bool,
        grads_of: impl Fn(G) -> Grads<'g, P> + Sync,
    ) -> Result<(), Error>
    where
        P: Send + Sync + 'g,
    {
        let check = |group: &Group<O>, (name, params, grads): &Tensor<P, G>| {
            group.check(params.len(), grads_of(*grads)).map_err(in_tensor(name))
        };
        let step = |(group, (name, params, grads)): (&mut Group<O>, &mut Tensor<P, G>)| {
            group.update(params, grads_of(*grads)).map_err(in_tensor(name))
        };
        if in_order {
            iter::zip(&self.groups, &*tensors).try_for_each(|(group, tensor)| check(group, tensor))?;
            let len = total(tensors.iter().map(|(_, params, _)| params.len()));
            if len > SIDE_BY_SIDE_LEN {
                let runs = Runs { groups: &mut self.groups, tensors, len: |(_, params, _)| params.len() };
                try_share(len.div_ceil(PART_LEN), runs, |(groups, tensors)| {
                    iter::zip(groups, tensors).try_for_each(step)
                })?;
            } else {
                iter::zip(&mut self.groups, tensors).try_for_each(step)?;
            }
        } else {
            // The groups cannot be cut into runs, so one tensor after the other is stepped.
            let given = self.names.given();
            iter::zip(given, &*tensors).try_for_each(|(&index, tensor)| check(&self.groups[index], tensor))?;
            iter::zip(given, tensors).try_for_each(|(&index, tensor)| step((&mut self.groups[index], tensor)))?;
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
    /// use gradstep::{Error, Grads, ParamGroups, Sgd};
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
    ///         visit(name, &mut params, Grads::new(&grads))?;
    ///     }
    ///     Ok::<(), Error>(())
    /// })?;
    /// assert_eq!((framework[0].1.take(), framework[1].1.take()), (vec![0.5, 1.5], vec![2.75]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn step_each<E: From<Error>>(&mut self, mut walk: impl FnMut(&mut Visit<P>) -> Result<(), E>) -> Result<(), E> {
        self.visit_all(&mut walk, |group, params, grads| group.check(params.len(), grads))?;
        self.visit_all(&mut walk, Group::update)?;
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    fn visit_all<E: From<Error>>(
        &mut self,
        walk: &mut impl FnMut(&mut Visit<P>) -> Result<(), E>,
        visit: impl Fn(&mut Group<O>, &mut [P], Grads<P>) -> Result<(), Error>,
    ) -> Result<(), E> {
        self.names.begin();
        // Kept here too, since the walk may drop it.
        let mut rejected = Ok(());
        walk(&mut |name, params, grads| {
            let found = self.names.next(name);
            let visited =
                found.and_then(|index| visit(&mut self.groups[index], params, grads).map_err(in_tensor(name)));
            if let (Ok(()), Err(error)) = (&rejected, &visited) {
                rejected = Err(error.clone());
            }
            visited
        })?;
        rejected?;
        Ok(self.names.end(|index| self.groups[index].frozen)?)
    }
}

impl<O> Group<O> {
    /// Asks the optimizer, a frozen one too.
    #[inline]
    fn check<P>(&self, params: usize, grads: Grads<P>) -> Result<(), Error>
    where
        O: Optimizer<P>,
    {
        grads.check_len("params", params)?;
        self.optimizer.check(grads)
    }

    /// Updates the parameters, unless they are frozen.
    #[inline]
    fn update<P>(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error>
    where
        O: Optimizer<P>,
    {
        let step = Step::new(params, grads)?;
        if self.frozen { Ok(()) } else { self.optimizer.update(step) }
    }
}

/// Neighbours, from either end: as many groups and tensors as make up at least [`PART_LEN`] parameters.
struct Runs<'a, G, T> {
    groups: &'a mut [G],
    tensors: &'a mut [T],
    len: fn(&T) -> usize,
}

impl<G, T> Runs<'_, G, T> {
    fn run_len<'t>(&self, tensors: impl Iterator<Item = &'t T>) -> usize
    where
        T: 't,
    {
        let mut len = 0_usize;
        let fits = |tensor: &&T| {
            let before = len;
            len = len.saturating_add((self.len)(tensor));
            before < PART_LEN
        };
        tensors.take_while(fits).count()
    }
}

impl<'a, G, T> Iterator for Runs<'a, G, T> {
    type Item = (&'a mut [G], &'a mut [T]);

    fn next(&mut self) -> Option<Self::Item> {
        let count = self.run_len(self.tensors.iter());
        let (groups, tensors);
        (groups, self.groups) = mem::take(&mut self.groups).split_at_mut(count);
        (tensors, self.tensors) = mem::take(&mut self.tensors).split_at_mut(count);
        (count > 0).then_some((groups, tensors))
    }
}

impl<G, T> DoubleEndedIterator for Runs<'_, G, T> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let count = self.run_len(self.tensors.iter().rev());
        let at = self.tensors.len() - count;
        let (groups, tensors);
        (self.groups, groups) = mem::take(&mut self.groups).split_at_mut(at);
        (self.tensors, tensors) = mem::take(&mut self.tensors).split_at_mut(at);
        (count > 0).then_some((groups, tensors))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use super::{PART_LEN, Runs};

    #[test]
    fn runs_from_both_ends_have_every_tensor_once() {
        let lens = [1, PART_LEN, 4, PART_LEN - 4, 2, 2 * PART_LEN, 0, 5, 0];
        for pattern in 0..256 {
            let mut groups: Vec<usize> = (0..lens.len()).collect();
            let mut tensors: Vec<(usize, usize)> = lens.into_iter().enumerate().collect();
            let mut runs = Runs { groups: &mut groups, tensors: &mut tensors, len: |&(_, len)| len };
            let mut seen = vec![0; lens.len()];
            for turn in 0.. {
                let from_back = pattern >> (turn % 8) & 1 == 1;
                let Some((groups, tensors)) = (if from_back { runs.next_back() } else { runs.next() }) else { break };
                assert!(groups.iter().eq(tensors.iter().map(|(index, _)| index)));
                let len: usize = tensors.iter().map(|(_, len)| len).sum();
                assert!(len >= PART_LEN || runs.tensors.is_empty());
                let (_, last) = tensors[if from_back { 0 } else { tensors.len() - 1 }];
                assert!(len - last < PART_LEN);
                groups.iter().for_each(|&index| seen[index] += 1);
            }
            assert_eq!(seen, [1; 9]);
        }
    }
}
