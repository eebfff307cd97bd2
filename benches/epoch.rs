//! One epoch's order, beside rand's shuffle (and torch's and numpy's, if PYTHON names an interpreter that has them).
//!
//! `cargo bench --bench epoch [-- LONGEST]`; nanoseconds an index, least of several rounds taken in turn. One thread; with
//! feature `rayon` gradstep on as many as there are, and on one beside it.

use std::process::Command;

use gradstep::Batcher;
use rand::{SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

mod common;
use common::{alternate, heading, largest};

fn assert_permutation(indices: &[usize]) {
    let mut seen = vec![false; indices.len()];
    for &i in indices {
        assert!(!std::mem::replace(&mut seen[i], true), "{i} twice");
    }
}

/// What epoch.py prints: the versions without an argument, else nanoseconds an index of torch and numpy.
fn python(arguments: &[String]) -> Option<String> {
    let interpreter = std::env::var_os("PYTHON")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/epoch.py");
    let output = Command::new(interpreter).arg(script).args(arguments).output().expect("PYTHON runs");
    assert!(output.status.success(), "epoch.py: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).expect("plain text").trim().to_string())
}

/// On this thread alone, whatever the features.
fn alone(work: impl FnOnce() + Send) {
    #[cfg(feature = "rayon")]
    {
        use std::sync::LazyLock;
        static ONE: LazyLock<rayon::ThreadPool> =
            LazyLock::new(|| rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread"));
        ONE.install(work);
    }
    #[cfg(not(feature = "rayon"))]
    work();
}

fn main() {
    let versions = python(&[]).unwrap_or("PYTHON names no interpreter".to_string());
    heading(&format!("cargo bench --bench epoch ({versions})"));
    println!(
        "{:>9}, gradstep,   rand,  torch,  numpy, rand/gradstep, torch/gradstep, numpy/gradstep, one thread, one thread/gradstep",
        "len"
    );
    let longest = largest(100_000_000);
    for len in (3..=9).map(|digits| 10_usize.pow(digits)).take_while(|&len| len <= longest) {
        let mut epoch = Batcher::new(len, 128, 1).expect("valid").epoch(0);
        let mut indices = epoch.indices().to_vec();
        let mut epoch_alone = epoch.clone();
        let (mut number, mut number_alone, mut seed) = (0, 0, 0);
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
                &mut || {
                    number_alone += 1;
                    alone(|| epoch_alone.refill(number_alone));
                },
            ],
        );
        assert_permutation(epoch.indices());
        assert_permutation(&indices);
        assert!(epoch == epoch_alone, "another order on one thread");
        let mut figures: Vec<f64> = times.iter().map(|time| time / len as f64 * 1e9).collect();
        let others = python(&[len.to_string()]).unwrap_or("nan nan".to_string());
        figures.extend(others.split_whitespace().map(|figure| figure.parse::<f64>().expect("a figure")));
        let [own, rand, alone, torch, numpy] = figures[..] else { panic!("epoch.py prints two figures") };
        println!(
            "{len:>9}, {own:8.2}, {rand:6.2}, {torch:6.2}, {numpy:6.2}, {:13.2}, {:14.2}, {:14.2}, {alone:10.2}, {:19.2}",
            rand / own,
            torch / own,
            numpy / own,
            alone / own
        );
    }
}
