use alloc::{string::String, vec::Vec};
use core::iter;

use num_traits::Float;

use crate::{
    error::Error,
    gradient::accumulator::Accumulator,
    update::{
        average::WeightAverage,
        groups::{in_tensor, lookup::Lookup, restore::same_names},
        restore::Restore,
    },
};

/// One [`Accumulator`] or [`WeightAverage`] for each of several named tensors, used together: a call changes all or
/// none.
///
/// Each call takes a pair `(name, slice)` for every tensor, in any order. All names and slices are checked before the
/// first tensor changes. Use the names of the [`ParamGroups`](crate::ParamGroups) that steps the model, if there is
/// one.
///
/// Cost of a call: that of each `T`, and of finding each name: one comparison if the tensors come in the order of the
/// last call, otherwise about log₂ n more for n tensors. No allocation.
///
/// # Example
/// ```
/// use gradstep::{Accumulator, ByName, ParamGroups, Sgd, WeightAverage};
/// let (mut weights, mut bias) = ([1.0_f32, 2.0], [3.0]);
/// let mut model = ParamGroups::new();
/// model.insert("weights", Sgd::new(0.5)?)?;
/// model.insert("bias", Sgd::new(0.5)?)?;
///
/// let mut accumulator = ByName::new([("weights", Accumulator::new(2)?), ("bias", Accumulator::new(1)?)])?;
/// accumulator.add(&[("weights", &[4.0_f32, 0.0][..]), ("bias", &[1.0])], 1)?; // one sample
/// accumulator.add(&[("weights", &[0.0_f32, 4.0][..]), ("bias", &[1.0])], 3)?; // the mean of three
/// let (mut weight_grads, mut bias_grads) = ([0.0; 2], [0.0]);
/// accumulator.mean(&mut [("weights", &mut weight_grads[..]), ("bias", &mut bias_grads)])?;
/// accumulator.reset(); // for the next batch
///
/// model.step(&mut [("weights", &mut weights, &weight_grads), ("bias", &mut bias, &bias_grads)])?;
/// assert_eq!((weights, bias), ([0.5, 0.5], [2.5]));
///
/// let mut average = ByName::new([("weights", WeightAverage::mean(2)?), ("bias", WeightAverage::mean(1)?)])?;
/// average.update(&[("weights", &weights), ("bias", &bias)])?;
/// average.swap(&mut [("weights", &mut weights), ("bias", &mut bias)])?; // evaluate, and swap again
///
/// let error = average.update(&[("weights", &weights), ("bais", &bias)]).unwrap_err();
/// assert_eq!(error.to_string(), "tensor `bais` is unknown");
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ByName<T> {
    names: Lookup,
    /// In the order of the names.
    each: Vec<T>,
}

/// Two are equal if their names and values are. The order of the tensors in the last call, which `names` remembers too,
/// does not count.
impl<T: PartialEq> PartialEq for ByName<T> {
    fn eq(&self, other: &Self) -> bool {
        self.names.names() == other.names.names() && self.each == other.each
    }
}

impl<T> ByName<T> {
    /// Creates a `ByName` from one `(name, T)` for each tensor.
    ///
    /// # Errors
    /// [`Error::DuplicateTensor`] if a name appears twice.
    pub fn new<N: Into<String>>(tensors: impl IntoIterator<Item = (N, T)>) -> Result<Self, Error> {
        let mut new = ByName { names: Lookup::default(), each: Vec::new() };
        for (name, each) in tensors {
            new.names.insert(name.into())?;
            new.each.push(each);
        }
        Ok(new)
    }

    /// Returns the `T` of a tensor; `None` if there is no such tensor.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.names.index(name).map(|index| &self.each[index])
    }

    /// Returns the names and their `T`s, in the order in which they were given to [`new`](ByName::new).
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        iter::zip(self.names.names().iter().map(String::as_str), &self.each)
    }

    /// Finds all tensors and runs `check` on each. If all are valid, [`apply`](ByName::apply) may follow.
    fn check<S>(&mut self, tensors: &[(&str, S)], check: impl Fn(&T, &S) -> Result<(), Error>) -> Result<(), Error> {
        self.names.begin();
        for (name, _) in tensors {
            self.names.next(name)?;
        }
        self.names.end(|_| false)?;
        iter::zip(self.names.given(), tensors)
            .try_for_each(|(&index, (name, slice))| check(&self.each[index], slice).map_err(in_tensor(name)))
    }

    /// Calls `apply` for each of the tensors that [`check`](ByName::check) has just found.
    fn apply<S>(&mut self, tensors: impl IntoIterator<Item = S>, mut apply: impl FnMut(&mut T, S)) {
        iter::zip(self.names.given(), tensors).for_each(|(&index, tensor)| apply(&mut self.each[index], tensor));
    }
}

impl ByName<Accumulator> {
    /// Adds the mean gradient of `samples` samples, by [`Accumulator::add`] for each tensor.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnknownTensor`] or [`Error::DuplicateTensor`] if the names are not those of
    /// this `ByName`, each once; [`Error::InTensor`] naming the first tensor whose accumulator rejects its gradients.
    /// Nothing has changed then.
    pub fn add<F: Float + Sync + 'static>(&mut self, means: &[(&str, &[F])], samples: usize) -> Result<(), Error> {
        self.check(means, |accumulator, mean| accumulator.check_add(mean, samples))?;
        self.apply(means, |accumulator, (_, mean)| accumulator.apply_add(mean, samples));
        Ok(())
    }

    /// Writes the mean over all samples into the gradients, by [`Accumulator::mean`] for each tensor.
    ///
    /// # Errors
    /// As [`add`](ByName::add), where [`Error::InTensor`] has the error of [`Accumulator::mean`]. No gradient has
    /// changed then.
    pub fn mean<F: Float + Send + 'static>(&mut self, grads: &mut [(&str, &mut [F])]) -> Result<(), Error> {
        self.check(grads, |accumulator, grads| accumulator.check_mean::<F>(grads.len()))?;
        self.apply(grads, |accumulator, (_, grads)| accumulator.apply_mean(grads));
        Ok(())
    }

    /// Sets the sums and the numbers of samples to 0, for the next batch.
    pub fn reset(&mut self) {
        self.each.iter_mut().for_each(Accumulator::reset);
    }
}

impl<P: Float + Send + Sync + 'static> ByName<WeightAverage<P>> {
    /// Moves the averages towards the parameters, by [`WeightAverage::update`] for each tensor.
    ///
    /// # Errors
    /// [`Error::MissingTensor`], [`Error::UnknownTensor`] or [`Error::DuplicateTensor`] if the names are not those of
    /// this `ByName`, each once; [`Error::InTensor`] naming the first tensor whose average rejects its parameters.
    /// Nothing has changed then.
    pub fn update(&mut self, params: &[(&str, &[P])]) -> Result<(), Error> {
        self.check(params, |average, params| average.check_update(params))?;
        self.apply(params, |average, (_, params)| average.apply_update(params));
        Ok(())
    }

    /// Exchanges the averages and the parameters, by [`WeightAverage::swap`] for each tensor.
    ///
    /// # Errors
    /// As [`update`](ByName::update).
    pub fn swap(&mut self, params: &mut [(&str, &mut [P])]) -> Result<(), Error> {
        self.check(params, |average, params| average.check_swap(params.len()))?;
        self.apply(params, |average, (_, params)| average.apply_swap(params));
        Ok(())
    }

    /// Writes the averages to the parameters, rounded to nearest, by [`WeightAverage::write_params`] for each tensor.
    ///
    /// # Errors
    /// As [`update`](ByName::update).
    pub fn write_params<Q: Float + Send + 'static>(&mut self, params: &mut [(&str, &mut [Q])]) -> Result<(), Error> {
        self.check(params, |average, params| average.check_write(params.len()))?;
        self.apply(params, |average, (_, params)| average.apply_write(params));
        Ok(())
    }
}

impl<T: Restore> Restore for ByName<T> {
    /// Returns [`Error::Saved`] if the names are not the same set; [`Error::InTensor`] if the state of a tensor does
    /// not fit.
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        same_names(&self.names, &other.names)?;
        for index in 0..self.each.len() {
            if let Err(error) = self.swap_one(other, index) {
                // A second swap gives the tensors before this one their own state back, so nothing has changed.
                (0..index).for_each(|index| drop(self.swap_one(other, index)));
                return Err(in_tensor(&self.names.names()[index])(error));
            }
        }
        Ok(())
    }
}

impl<T: Restore> ByName<T> {
    fn swap_one(&mut self, other: &mut Self, index: usize) -> Result<(), Error> {
        let there = other.names.find(&self.names.names()[index])?;
        self.each[index].swap_state(&mut other.each[there])
    }
}

#[cfg(feature = "serde")]
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedTensor<N, T> {
    name: N,
    state: T,
}

#[cfg(feature = "serde")]
crate::saved::saved! {
    [T] ByName<T> where T: Saved = "ByName v1";
    tensors: Plain<Vec<SavedTensor<String, T>>> = tensors,
    => ByName::new(tensors.into_iter().map(|SavedTensor { name, state }| (name, state)))
}

#[cfg(feature = "serde")]
fn tensors<T>(by_name: &ByName<T>) -> Vec<SavedTensor<&str, &T>> {
    by_name.iter().map(|(name, state)| SavedTensor { name, state }).collect()
}
