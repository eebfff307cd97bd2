//! One epoch's order, beside rand's shuffle (and torch's and numpy's, if PYTHON names an interpreter that has them);
//! and the order without a table.
//!
//! `cargo bench --bench epoch [-- LONGEST]`; nanoseconds an index, least of several rounds taken in turn, one thread.

use std::process::Command;

use gradstep::{Batcher, Permutation};
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

mod alternate;
use alternate::alternate;

fn assert_permutation(indices: &[usize]) {
    let mut seen = vec![false; indices.len()];
    for &i in indices {
        assert!(!std::mem::replace(&mut seen[i], true), "{i} twice");
    }
}

/// Nanoseconds an index of torch.randperm and numpy's Generator.permutation.
fn python(len: usize) -> Option<Vec<f64>> {
    let interpreter = std::env::var_os("PYTHON")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/epoch.py");
    let output = Command::new(interpreter).arg(script).arg(len.to_string()).output().expect("PYTHON runs");
    let text = String::from_utf8(output.stdout).expect("plain text");
    Some(text.split_whitespace().map(|figure| figure.parse().expect("a figure")).collect())
}

fn main() {
    let longest = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(100_000_000);
    println!("|       len | gradstep | rand | torch | numpy | rand / | torch / | numpy / |");
    println!("|----------:|---------:|-----:|------:|------:|-------:|--------:|--------:|");
    for len in (3..=9).map(|digits| 10_usize.pow(digits)).take_while(|&len| len <= longest) {
        let mut epoch = Batcher::new(len, 128, 1).expect("valid").epoch(0);
        let mut indices = epoch.indices().to_vec();
        let (mut number, mut seed) = (0, 0);
        let calls = 3;
        let rounds = (30_000_000 / len).clamp(2, 300);
        let times = alternate(
            rounds,
            calls,
            &mut [
                &mut || {
                    number += 1;
                    epoch.refill(number);
                },
                &mut || {
                    seed += 1;
                    for (i, index) in indices.iter_mut().enumerate() {
                        *index = i;
                    }
                    indices.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
                },
            ],
        );
        assert_permutation(epoch.indices());
        assert_permutation(&indices);
        let mut figures: Vec<f64> = times.iter().map(|time| time / len as f64 * 1e9).collect();
        figures.extend(python(len).unwrap_or(vec![f64::NAN; 2]));
        let [own, rand, torch, numpy] = figures[..] else { panic!("epoch.py prints two figures") };
        println!(
            "| {len:>9} | {own:8.2} | {rand:4.1} | {torch:5.1} | {numpy:5.1} | {:6.2} | {:7.2} | {:7.2} |",
            rand / own,
            torch / own,
            numpy / own
        );
    }
    permutation(longest);
}

/// Filling a buffer that fits the caches, at any length; and the exact order of the longest table in the same run.
fn permutation(longest: usize) {
    let mut out = vec![0; 65_536];
    let mut epoch = Batcher::new(longest, 128, 1).expect("valid").epoch(0);
    let lens = [100_000, 1_000_000, 100_000_000, 1_000_000_000_000, Permutation::MAX_LEN];
    let orders = lens.map(|len| Permutation::new(len, 1, 1).expect("valid"));
    println!("\n| len | Permutation::fill | Epoch::refill | refill / fill |");
    println!("|----:|------------------:|--------------:|--------------:|");
    let exact = alternate(2, 2, &mut [&mut || epoch.refill(1)])[0] / longest as f64 * 1e9;
    for order in orders {
        let fill = alternate(20, 3, &mut [&mut || order.fill(0, &mut out).expect("below len")])[0];
        assert!((0..10).all(|i| order.get(i) == Some(out[i as usize])));
        let fill = fill / out.len() as f64 * 1e9;
        println!("| {} | {fill:.2} | {exact:.2} at {longest} | {:.2} |", order.len(), exact / fill);
    }
}
