//! Timing in turn: on a machine whose speed drifts, only what ran side by side can be compared.

use std::{hint::black_box, time::Instant};

/// Runs all contenders in turn, `rounds` times, each `calls` times in a row (so that it meets its own data in the
/// caches, not its neighbour's), and returns the least time of each, in seconds a call.
pub fn alternate(rounds: usize, calls: usize, contenders: &mut [&mut dyn FnMut()]) -> Vec<f64> {
    let mut least = vec![f64::INFINITY; contenders.len()];
    for _ in 0..rounds {
        for (least, contender) in least.iter_mut().zip(contenders.iter_mut()) {
            for _ in 0..calls {
                let start = Instant::now();
                black_box(&mut *contender)();
                *least = least.min(start.elapsed().as_secs_f64());
            }
        }
    }
    least
}
