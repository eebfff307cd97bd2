//! Where the time of a step goes, and how much memory a rank needs.

use std::fs;
use std::time::Instant;

use mpi::collective::SystemOperation;
use mpi::traits::*;

/// The phases of a step. `Wait` is for the slowest rank's gradient.
#[derive(Clone, Copy)]
pub(crate) enum Phase {
    Gradient,
    Wait,
    Reduce,
    Gather,
    Update,
}

const NAMES: [&str; 5] = ["gradient", "wait", "reduce", "gather", "update"];

pub(crate) struct Profile {
    last: Instant,
    seconds: [Vec<f64>; 5],
}

impl Profile {
    pub(crate) fn new() -> Self {
        Profile { last: Instant::now(), seconds: Default::default() }
    }

    /// A step begins here.
    pub(crate) fn start(&mut self) {
        self.last = Instant::now();
    }

    /// `phase` ends here.
    pub(crate) fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        self.seconds[phase as usize].push((now - self.last).as_secs_f64());
        self.last = now;
    }

    /// Prints the medians over the steps, and the peak memory, each of the rank where it is largest.
    pub(crate) fn print(mut self, world: &impl Communicator, state: usize) {
        let mut most = [0.0; 7];
        let mut mine = [0.0; 7];
        for (median, seconds) in mine.iter_mut().zip(&mut self.seconds) {
            seconds.sort_by(f64::total_cmp);
            *median = 1e6 * seconds.get(seconds.len() / 2).copied().unwrap_or(0.0);
        }
        (mine[5], mine[6]) = (state as f64, peak_memory());
        world.all_reduce_into(&mine[..], &mut most[..], SystemOperation::max());
        if world.rank() == 0 {
            let times: Vec<_> = NAMES.iter().zip(most).map(|(name, median)| format!("{name} {median:.1}")).collect();
            println!("profile: microseconds a step: {}", times.join(", "));
            println!("profile: bytes a rank: optimizer state {}, peak resident {}", most[5], most[6]);
        }
    }
}

/// In bytes; 0 except on Linux.
fn peak_memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .map_or(0.0, |kilobytes| 1024.0 * kilobytes)
}
