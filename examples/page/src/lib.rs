//! The rooms of the page. They are ordinary Rust: the tests run the same functions that the browser does.

#[path = "../../common"]
mod common {
    #![allow(dead_code, reason = "the page does not use all of it")]

    pub(crate) mod curve;
    pub(crate) mod data;
    pub(crate) mod network;
    pub(crate) mod orders;
    pub(crate) mod sharpness;
}

pub mod ball;
pub mod digits;
#[cfg(target_arch = "wasm32")]
mod exports;
mod lanes;
pub mod valley;
