use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use super::{ParamGroups, in_tensor, lookup::Lookup};
use crate::{
    error::Error,
    update::{optimizer::Optimizer, restore::Restore},
};

impl<P, O: Optimizer<P> + Restore> ParamGroups<P, O> {
    /// Takes over the state of `saved`, a model of the same tensors: the state of each optimizer, which tensors are
    /// frozen, and the count of steps. The settings, such as the learning rates and the common factor, stay. The state
    /// is moved, not copied.
    ///
    /// The same tensors are then frozen as in `saved`, whatever was frozen here; to freeze others, do so after
    /// restoring.
    ///
    /// To take the saved settings too, assign the loaded model: `model = saved`.
    ///
    /// # Errors
    /// [`Error::Saved`] if the two models do not have the same names; [`Error::InTensor`] if a tensor's state does not
    /// fit ([`Restore::swap_state`]). Nothing has changed then.
    pub fn restore(&mut self, saved: Self) -> Result<(), Error> {
        same_names(&self.names, &saved.names)?;
        self.take_shared(saved)
    }

    /// Takes over the count of steps, and the state of the tensors that both models have, as
    /// [`restore`](ParamGroups::restore) does. Returns the names that were left out: those that only this model has,
    /// whose tensors keep their state, and those that only `saved` has.
    ///
    /// A tensor that both models have is then frozen if and only if it is frozen in `saved`. To freeze a backbone that
    /// was trained there, do so after restoring.
    ///
    /// # Errors
    /// [`Error::InTensor`] if a tensor's state does not fit. Nothing has changed then.
    ///
    /// # Example
    /// ```
    /// use gradstep::{Momentum, ParamGroups};
    /// let (mut old, mut new) = (ParamGroups::<f32, _>::new(), ParamGroups::new());
    /// for (model, head) in [(&mut old, "old head"), (&mut new, "new head")] {
    ///     model.insert("backbone", Momentum::new(0.1, 0.9, 6)?)?;
    ///     model.insert(head, Momentum::new(0.1, 0.9, 2)?)?;
    /// }
    /// let (only_here, only_saved) = new.restore_shared(old)?;
    /// assert_eq!((only_here, only_saved), (vec!["new head".to_string()], vec!["old head".to_string()]));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn restore_shared(&mut self, saved: Self) -> Result<(Vec<String>, Vec<String>), Error> {
        let names = names_of_one(&self.names, &saved.names);
        self.take_shared(saved)?;
        Ok(names)
    }

    fn take_shared(&mut self, mut saved: Self) -> Result<(), Error> {
        let shared = |(index, name): (usize, &String)| Some((index, saved.names.index(name)?));
        let shared: Vec<(usize, usize)> = self.names.names().iter().enumerate().filter_map(shared).collect();
        for (done, &(own, other)) in shared.iter().enumerate() {
            let swapped = self.groups[own].optimizer.swap_state(&mut saved.groups[other].optimizer);
            if let Err(error) = swapped {
                // The tensors before get their own state back. No optimizer rejects this, since the same exchange
                // worked before.
                for &(own, other) in &shared[..done] {
                    let _ = self.groups[own].optimizer.swap_state(&mut saved.groups[other].optimizer);
                }
                return Err(in_tensor(&self.names.names()[own])(error));
            }
        }
        // This comes last, since an error must leave everything as it was.
        for &(own, other) in &shared {
            self.groups[own].frozen = saved.groups[other].frozen;
        }
        self.steps = saved.steps;
        Ok(())
    }
}

/// Returns the names that only `own` has, and those that only `saved` has.
fn names_of_one(own: &Lookup, saved: &Lookup) -> (Vec<String>, Vec<String>) {
    let not_in = |names: &Lookup, others: &Lookup| {
        names.names().iter().filter(|name| others.index(name).is_none()).cloned().collect()
    };
    (not_in(own, saved), not_in(saved, own))
}

/// Returns an error that lists the names which only one of the two has, if there are any.
pub(crate) fn same_names(own: &Lookup, saved: &Lookup) -> Result<(), Error> {
    let (missing, unknown) = names_of_one(own, saved);
    if missing.is_empty() && unknown.is_empty() {
        return Ok(());
    }
    Err(Error::Saved {
        name: "set of tensors",
        saved: format!("without {} and with {}", listed(&missing), listed(&unknown)),
        expected: "the same names".to_string(),
    })
}

/// Returns the first names as text, and the number of the others.
fn listed(names: &[String]) -> String {
    const MOST: usize = 5;
    let first: Vec<String> = names.iter().take(MOST).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "none".to_string(),
        len if len <= MOST => first.join(", "),
        len => format!("{} and {} more", first.join(", "), len - MOST),
    }
}
