//! What a checkpoint holds: all that decides the rest of the run, and nothing about the ranks that wrote it.

use gradstep::Position;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) run: Run,
    pub(crate) done: u64,
    pub(crate) position: Position, // with batch size and seed
    pub(crate) params: Vec<f32>,
    pub(crate) velocity: Vec<f32>,
}

/// What must be the same to resume.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Run {
    pub(crate) program: String, // postcard saves no names by which to tell another program's checkpoint
    pub(crate) data: String,
    pub(crate) parameters: usize,
    pub(crate) epochs: u64,
    pub(crate) exact: bool,
    pub(crate) max_norm: Option<f64>,
}
