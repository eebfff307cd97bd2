use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::iter;

use crate::error::Error;

/// The names of a model's tensors. The index of a tensor is its place in the order of insertion.
///
/// A call, such as a step, looks its tensors up one after the other: it calls [`begin`](Lookup::begin), then
/// [`next`](Lookup::next) for each tensor, then [`end`](Lookup::end). Their order is nearly always that of the last
/// call, so `next` first compares the name with the one at the same position in that call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookup {
    /// In the order of insertion.
    names: Vec<String>,
    /// All indices, sorted by name, for a binary search.
    sorted: Vec<usize>,
    /// The indices in the order of the last call; the present call overwrites the first `given`. It is always as long
    /// as `names`, so that a call does not allocate.
    order: Vec<usize>,
    /// How many tensors the present call has given so far.
    given: usize,
    /// For each tensor the number of the last call that gave it. With numbers no flag has to be cleared before a call.
    last_call: Vec<u64>,
    calls: u64,
}

impl Lookup {
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn index(&self, name: &str) -> Option<usize> {
        self.search(name).ok().map(|place| self.sorted[place])
    }

    pub(crate) fn find(&self, name: &str) -> Result<usize, Error> {
        self.index(name).ok_or_else(|| Error::UnknownTensor { name: name.to_string() })
    }

    /// Returns the position of `name` in `sorted`, or as `Err` the position at which to insert it.
    fn search(&self, name: &str) -> Result<usize, usize> {
        self.sorted.binary_search_by(|&index| self.names[index].as_str().cmp(name))
    }

    /// Adds a name after all others.
    pub(crate) fn insert(&mut self, name: String) -> Result<(), Error> {
        let Err(place) = self.search(&name) else { return Err(Error::DuplicateTensor { name }) };
        self.sorted.insert(place, self.names.len());
        self.order.push(self.names.len());
        self.names.push(name);
        self.last_call.push(0); // none: calls are counted from 1
        Ok(())
    }

    /// Removes a tensor. The indices of those that were inserted later become one smaller.
    pub(crate) fn remove(&mut self, index: usize) {
        self.names.remove(index);
        self.last_call.remove(index);
        self.sorted.retain(|&other| other != index);
        self.sorted.iter_mut().filter(|other| **other > index).for_each(|other| *other -= 1);
        // Any order of the new indices serves; the next call replaces it.
        self.order.clear();
        self.order.extend(0..self.names.len());
    }

    /// Returns whether `names` are those of all tensors, in the order of insertion.
    pub(crate) fn is_order_of_insertion<'a>(&self, names: impl ExactSizeIterator<Item = &'a str>) -> bool {
        names.len() == self.names.len() && iter::zip(&self.names, names).all(|(own, name)| own == name)
    }

    pub(crate) fn begin(&mut self) {
        self.calls += 1;
        self.given = 0;
    }

    /// Returns the index of `name`, the next tensor of the call, or an error if it is unknown or was given before.
    /// Tries the tensor that had this position in the last call first, and then searches the sorted names.
    pub(crate) fn next(&mut self, name: &str) -> Result<usize, Error> {
        let found = match self.order.get(self.given) {
            Some(&last) if self.names[last] == name => last,
            _ => self.find(name)?,
        };
        if self.last_call[found] == self.calls {
            return Err(Error::DuplicateTensor { name: name.to_string() });
        }
        self.last_call[found] = self.calls;
        // In range: no tensor is given twice, so fewer than all were given before this one.
        self.order[self.given] = found;
        self.given += 1;
        Ok(found)
    }

    /// Returns the indices of the tensors that the call has given, in its order.
    pub(crate) fn given(&self) -> &[usize] {
        &self.order[..self.given]
    }

    /// Returns an error if the call left out a tensor that may not be left out.
    pub(crate) fn end(&self, may_be_left_out: impl Fn(usize) -> bool) -> Result<(), Error> {
        if self.given == self.names.len() {
            return Ok(()); // none was given twice, so these are all
        }
        let mut left_out = (0..self.names.len()).filter(|&index| self.last_call[index] != self.calls);
        let missing = left_out.find(|&index| !may_be_left_out(index));
        missing.map_or(Ok(()), |index| Err(Error::MissingTensor { name: self.names[index].clone() }))
    }
}
