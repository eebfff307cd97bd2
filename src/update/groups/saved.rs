use alloc::vec::Vec;
use core::iter;

use serde::{Deserialize, Serialize};

use super::{Group, ParamGroups, in_tensor, set_product};
use crate::{check, saved::exact, update::optimizer::Optimizer};

/// `N` and `O` are references when a model is saved, so that it is not copied, and values when it is loaded.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedGroup<N, O> {
    name: N,
    /// Without the common factor.
    #[serde(with = "exact")]
    learning_rate: f64,
    frozen: bool,
    optimizer: O,
}

crate::saved::saved! {
    [P: SavedFloat, O: Optimizer<P>] ParamGroups<P, O> where O: Saved = "ParamGroups<{}> v1", P::NAME;
    factor: Exact<f64>,
    steps: Exact<u64>,
    groups: Plain<Vec<SavedGroup<String, O>>> = groups,
    => {
        check::at_least_zero("factor", factor)?;
        let mut model = ParamGroups::new();
        for SavedGroup { name, learning_rate, frozen, mut optimizer } in groups {
            // `insert` would replace the optimizer's learning rate by the product. Here the product is only checked,
            // and the optimizer keeps the learning rate that it was saved with.
            let saved = optimizer.learning_rate();
            set_product(&mut optimizer, learning_rate, factor)
                .and_then(|()| optimizer.set_learning_rate(saved))
                .map_err(in_tensor(&name))?;
            model.push(name, Group { optimizer, learning_rate, frozen })?;
        }
        Ok(ParamGroups { factor, steps, ..model })
    }
}

fn groups<P, O>(model: &ParamGroups<P, O>) -> Vec<SavedGroup<&str, &O>> {
    let groups = iter::zip(model.names.names(), &model.groups);
    let saved = groups.map(|(name, Group { optimizer, learning_rate, frozen })| SavedGroup {
        name: name.as_str(),
        learning_rate: *learning_rate,
        frozen: *frozen,
        optimizer,
    });
    saved.collect()
}
