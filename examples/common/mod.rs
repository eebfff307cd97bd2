//! What the examples that train a network share.

pub(crate) mod data;
pub(crate) mod network;
pub(crate) mod plot;
