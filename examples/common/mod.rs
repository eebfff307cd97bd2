//! What the examples share.

#![allow(dead_code, reason = "no example takes all of it")]

use std::process::ExitCode;

pub(crate) mod data;
pub(crate) mod figure;
pub(crate) mod network;
pub(crate) mod plot;

/// The end of a program: an error in words, with what led to it.
pub(crate) fn exit(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
