//! What is done to gradients between the backward pass and the step.

pub(crate) mod accumulator;
pub(crate) mod clip;
pub(crate) mod finite;
pub(crate) mod grads;
pub(crate) mod loss_scale;
pub(crate) mod noise;
pub(crate) mod norm;
