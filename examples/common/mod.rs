//! What the examples share.

pub(crate) mod data;
pub(crate) mod network;
pub(crate) mod plot;
