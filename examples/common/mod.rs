//! What the examples share.

#![allow(dead_code, reason = "no example uses all of it")]

pub(crate) mod curve;
pub(crate) mod data;
pub(crate) mod layers;
pub(crate) mod network;
pub(crate) mod orders;
pub(crate) mod plot;
pub(crate) mod sharpness;
pub(crate) mod statistics;
