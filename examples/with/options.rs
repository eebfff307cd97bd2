//! The options of the programs with candle and burn.

use std::path::PathBuf;

use clap::Parser;

/// Trains a small neural network, and resumes from the last checkpoint if there is one.
#[derive(Parser)]
pub(crate) struct Options {
    /// The learning rate of the first step; it falls along a cosine to 0
    #[arg(long, default_value_t = 0.1, allow_negative_numbers = true)]
    pub(crate) learning_rate: f64,
    /// The number of passes over the training samples
    #[arg(long, default_value_t = 5)]
    pub(crate) epochs: u64,
    /// Where to save after every epoch, and to resume from
    #[arg(long, value_name = "FILE")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Stop after this step, as if the program had been killed
    #[arg(long)]
    pub(crate) stop_at: Option<u64>,
    /// Compare with the framework's own optimizer, and print a row of a table
    #[arg(long)]
    pub(crate) compare: bool,
}
