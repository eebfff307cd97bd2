//! Fills a buffer that fits the caches from the order without a table, at any length, and refills the table of the
//! longest epoch in the same run.
//!
//! `cargo bench --bench permutation [-- LONGEST]`; nanoseconds per index, least of several rounds, one thread.

use gradstep::{Batcher, Order, Permutation};

mod common;
use common::{alternate, heading, largest};

fn main() {
    heading("cargo bench --bench permutation", "order, len, ns");
    let longest = largest(100_000_000);
    let mut out = vec![0; 65_536];
    let mut epoch = Batcher::new(longest, 128, 1).expect("valid").epoch(0);
    let refill = alternate(2, 2, &mut [&mut || epoch.refill(1)])[0];
    println!("Epoch::refill, {longest}, {:.2}", refill / longest as f64 * 1e9);
    for len in [100_000, 1_000_000, 100_000_000, 1_000_000_000_000, Permutation::MAX_LEN] {
        let order = Permutation::new(len, 1).expect("valid");
        let fill = alternate(20, 3, &mut [&mut || order.try_fill(0, 0, &mut out).expect("in the epoch")])[0];
        assert!((0..10).all(|i| order.get(i) == Some(out[i as usize] as u64)));
        println!("Permutation::try_fill, {len}, {:.2}", fill / out.len() as f64 * 1e9);
    }
}
