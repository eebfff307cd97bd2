//! From gradients to new parameters.

pub(crate) mod elementwise;
pub(crate) mod grads;
pub(crate) mod groups;
pub(crate) mod guard;
#[cfg(feature = "half")]
pub(crate) mod half;
pub(crate) mod momentum;
pub(crate) mod optimizer;
pub(crate) mod sgd;
pub(crate) mod weight_decay;
