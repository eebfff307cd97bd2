//! What the examples that train a network share.

#![allow(dead_code, reason = "no example takes all of it")]

pub(crate) mod data;
pub(crate) mod network;
pub(crate) mod plot;
