//! Update rules: they compute new parameters from gradients. Wrappers, groups and averages are here too.

pub(crate) mod adam;
pub(crate) mod average;
pub(crate) mod elementwise;
pub(crate) mod groups;
pub(crate) mod guard;
#[cfg(feature = "half")]
pub(crate) mod half;
#[cfg(feature = "half")]
mod halves;
pub(crate) mod momentum;
pub(crate) mod optimizer;
pub(crate) mod restore;
pub(crate) mod rows;
pub(crate) mod sgd;
pub(crate) mod step;
pub(crate) mod weight_decay;
