use alloc::{
    string::{String, ToString},
    vec::Vec,
};
use core::iter;

use crate::error::Error;

/// The names of a model's tensors, and where each is.
///
/// A step asks for all of them by [`begin`](Lookup::begin) and [`next`](Lookup::next), nearly always in the order of the
/// step before: so a name is first looked for at its position then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lookup {
    /// In the order of insertion.
    names: Vec<String>,
    /// Which tensors they are, in the order of their names.
    sorted: Vec<usize>,
    /// Which tensors the last call gave, in its order; as long as there are tensors.
    order: Vec<usize>,
    /// How many tensors this call has given so far.
    given: usize,
    /// The last call that gave each tensor.
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

    fn search(&self, name: &str) -> Result<usize, usize> {
        self.sorted.binary_search_by(|&index| self.names[index].as_str().cmp(name))
    }

    /// Adds a name after all others.
    pub(crate) fn insert(&mut self, name: String) -> Result<(), Error> {
        let Err(place) = self.search(&name) else { return Err(Error::DuplicateTensor { name }) };
        self.sorted.insert(place, self.names.len());
        self.order.push(self.names.len());
        self.names.push(name);
        self.last_call.push(0);
        Ok(())
    }

    pub(crate) fn remove(&mut self, index: usize) {
        self.names.remove(index);
        self.last_call.remove(index);
        self.sorted.retain(|&other| other != index);
        self.sorted.iter_mut().filter(|other| **other > index).for_each(|other| *other -= 1);
        self.order.clear();
        self.order.extend(0..self.names.len());
    }

    /// Whether `names` are all tensors in the order of insertion.
    pub(crate) fn is_order_of_insertion<'a>(&self, names: impl ExactSizeIterator<Item = &'a str>) -> bool {
        names.len() == self.names.len() && iter::zip(&self.names, names).all(|(own, name)| own == name)
    }

    /// Begins a call that gives the tensors one after the other.
    pub(crate) fn begin(&mut self) {
        self.calls += 1;
        self.given = 0;
    }

    /// The tensor that the call gives next.
    pub(crate) fn next(&mut self, name: &str) -> Result<usize, Error> {
        let found = match self.order.get(self.given) {
            Some(&last) if self.names[last] == name => last,
            _ => self.find(name)?,
        };
        if self.last_call[found] == self.calls {
            return Err(Error::DuplicateTensor { name: name.to_string() });
        }
        self.last_call[found] = self.calls;
        // There is room: no tensor is given twice.
        self.order[self.given] = found;
        self.given += 1;
        Ok(found)
    }

    /// The tensors that the call has given, in its order.
    pub(crate) fn given(&self) -> &[usize] {
        &self.order[..self.given]
    }

    /// Returns an error if the call left out a tensor that `may_be_left_out` does not allow.
    pub(crate) fn end(&self, may_be_left_out: impl Fn(usize) -> bool) -> Result<(), Error> {
        if self.given == self.names.len() {
            return Ok(()); // none was given twice, so these are all
        }
        let mut left_out = (0..self.names.len()).filter(|&index| self.last_call[index] != self.calls);
        let missing = left_out.find(|&index| !may_be_left_out(index));
        missing.map_or(Ok(()), |index| Err(Error::MissingTensor { name: self.names[index].clone() }))
    }
}
