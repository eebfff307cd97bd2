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

/// A tensor in a step of [`ParamGroups`]: its name, its parameters, and its gradients (`&[P]` or [`Grads`]).
pub type Tensor<'n, 'p, P, G> = (&'n str, &'p mut [P], G);

/// The function that the `walk` of [`ParamGroups::step_each`] calls with the name, parameters and gradients of each
/// tensor.
pub type Visit<'v, P> = dyn FnMut(&str, &mut [P], Grads<P>) -> Result<(), Error> + 'v;

/// If a model has more parameters than this, threads step different tensors at the same time. After a pause of 1 ms, as
/// between two steps of training, waking them takes some 100 µs: up to 2^20 parameters, more than they save. With 1.3
/// million, a step on two cores then takes 0.7 times as long as on one.
const SIDE_BY_SIDE_LEN: usize = 8 * ONE_THREAD_LEN;

impl<P, O: Optimizer<P>> ParamGroups<P, O> {
    /// Steps all tensors, each given as `(name, params, grads)`, in any order. Either all of them are stepped or none.
    ///
    /// A frozen tensor may be left out. If it is given, it is checked but does not change.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnknownTensor`] or [`Error::DuplicateTensor`] if a tensor is missing, unknown
    /// or given twice; [`Error::InTensor`] with the name of the tensor whose optimizer rejects its slices. Nothing has
    /// changed then.
    ///
    /// # Cost
    /// The optimizers' [`check`](Optimizer::check) and [`update`](Optimizer::update), and finding each tensor: one
    /// comparison of names if the tensors come in the order of insertion or of the last call, and otherwise about
    /// log₂ n more for n tensors. No allocation. With feature `rayon` several threads share each long tensor. If a
    /// model has more than 2^20 parameters and its tensors are given in the order of insertion, threads also step
    /// different tensors at the same time.
    pub fn step(&mut self, tensors: &mut [Tensor<P, &[P]>]) -> Result<(), Error>
    where
        P: Send + Sync,
    {
        let in_order = self.find_all(tensors)?;
        self.step_found(tensors, in_order, Grads::new)
    }

    /// Steps all tensors as [`step`](ParamGroups::step) does, with gradients that are scaled or widened as they are
    /// read ([`Grads`]).
    ///
    /// # Errors
    /// Those of `step`; [`Error::InTensor`] with [`Error::NotASlice`] if an optimizer needs its gradients as one slice,
    /// and these are scaled or widened.
    pub fn step_with(&mut self, tensors: &mut [Tensor<P, Grads<P>>]) -> Result<(), Error>
    where
        P: Send + Sync,
    {
        let in_order = self.find_all(tensors)?;
        self.step_found(tensors, in_order, |grads| grads)
    }

    /// Steps with the gradients of all tensors clipped together to a norm of at most `max_norm`. Returns the norm
    /// before clipping: that of all tensors given, also of frozen ones. The gradients themselves do not change.
    ///
    /// With plain gradients the result is, to the bit, that of [`clip_global_norm`](crate::clip_global_norm) for all
    /// tensors in the order given, followed by [`step`](ParamGroups::step). With scaled gradients the norm after
    /// scaling is clipped, and each gradient is multiplied once, by the product of both factors. Either all tensors are
    /// stepped or none.
    ///
    /// # Errors
    /// Those of `step_with`; [`Error::Number`] if `max_norm` is not a finite number above 0; [`Error::Overflow`] if the
    /// norm is above the largest f64, or too far above `max_norm` ([`clip_scale`](crate::clip_scale));
    /// [`Error::InTensor`] with the name of the tensor in which a gradient is NaN or infinite. Nothing has changed
    /// then.
    ///
    /// # Cost
    /// The norm, nearly always one pass over the gradients ([`global_norm`](crate::global_norm)), and the step. No
    /// allocation. A [`FiniteGuard`](crate::FiniteGuard) is not needed, and would cost a further pass.
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
    /// assert_eq!((norm, weights, bias), (5.0, [0.25], [0.0])); // moved by η times half of the gradients
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

    /// Finds all tensors. Returns whether they are given in the order of insertion; if not, `names.given()` has the
    /// indices of their groups.
    fn find_all<G>(&mut self, tensors: &[Tensor<P, G>]) -> Result<bool, Error> {
        // In this order groups and tensors can be walked side by side, which is faster than by indices, and cut into
        // runs for threads.
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

    /// Calls `check` for every tensor, and then steps them all.
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
            // If all threads stepped one tensor after the other, they would wait for one another at the end of each
            // long one, and one thread alone would step the short ones.
            if len > SIDE_BY_SIDE_LEN {
                let runs = Runs { groups: &mut self.groups, tensors, len: |(_, params, _)| params.len() };
                try_share(len.div_ceil(PART_LEN), runs, |(groups, tensors)| {
                    iter::zip(groups, tensors).try_for_each(step)
                })?;
            } else {
                iter::zip(&mut self.groups, tensors).try_for_each(step)?;
            }
        } else {
            // Groups and tensors in different orders cannot be cut into the same runs for threads.
            let given = self.names.given();
            iter::zip(given, &*tensors).try_for_each(|(&index, tensor)| check(&self.groups[index], tensor))?;
            iter::zip(given, tensors).try_for_each(|(&index, tensor)| step((&mut self.groups[index], tensor)))?;
        }
        self.steps = self.steps.saturating_add(1);
        Ok(())
    }

    /// Does what [`step`](ParamGroups::step) does, for a framework that lends only one tensor at a time.
    ///
    /// `walk` is given a function, and calls it with the name, parameters and gradients of each tensor. `walk` itself
    /// is called twice: in the first walk all tensors are checked and none changes, in the second they are stepped. So
    /// it must visit the same tensors with the same gradients both times. If gradients must be copied, copy them before
    /// `step_each`, or they are copied twice. The error of `walk` may be of any type that [`Error`] converts to, such
    /// as `Box<dyn std::error::Error>` or `anyhow::Error`.
    ///
    /// # Errors
    /// Those of `step_with`, and whatever else `walk` returns. If the first walk fails, nothing has changed. If only
    /// the second fails, the tensors that it has visited before are stepped, and the step is not counted. A
    /// [`FiniteGuard`](crate::FiniteGuard) checks the gradients in the first walk only.
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

    /// Calls `visit` for each tensor of a walk. Returns an error if the walk does not give every tensor once.
    fn visit_all<E: From<Error>>(
        &mut self,
        walk: &mut impl FnMut(&mut Visit<P>) -> Result<(), E>,
        visit: impl Fn(&mut Group<O>, &mut [P], Grads<P>) -> Result<(), Error>,
    ) -> Result<(), E> {
        self.names.begin();
        // The first error is kept here too, since `walk` may drop it.
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
    /// Checks a tensor, also a frozen one.
    #[inline]
    fn check<P>(&self, params: usize, grads: Grads<P>) -> Result<(), Error>
    where
        O: Optimizer<P>,
    {
        grads.check_len("params", params)?;
        self.optimizer.check(grads)
    }

    /// Steps a tensor, unless it is frozen.
    #[inline]
    fn update<P>(&mut self, params: &mut [P], grads: Grads<P>) -> Result<(), Error>
    where
        O: Optimizer<P>,
    {
        // For a frozen tensor too: in a second walk its slices may be others than those checked in the first.
        let step = Step::new(params, grads)?;
        if self.frozen { Ok(()) } else { self.optimizer.update(step) }
    }
}

/// Cuts groups and their tensors into runs of neighbours, taken from either end, for threads to step. A run has as many
/// tensors as make up [`PART_LEN`] parameters; the last run may have fewer.
struct Runs<'a, G, T> {
    groups: &'a mut [G],
    tensors: &'a mut [T],
    len: fn(&T) -> usize,
}

impl<G, T> Runs<'_, G, T> {
    /// Returns how many of `tensors`, from the first on, make up a run.
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
