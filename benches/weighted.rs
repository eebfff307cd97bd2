//! Draws in proportion to weights, beside rand_distr's `WeightedAliasIndex` with ChaCha8 (and torch's `multinomial` and
//! numpy's `choice`, if PYTHON names an interpreter that has them). Below: mixtures of classes beside a shuffle.
//!
//! `cargo bench --bench weighted [-- LONGEST]`; nanoseconds per draw and per weight, least of several rounds taken in
//! turn, one thread. With 10^8 weights it needs 6 GB.

use gradstep::{Batcher, Draws, Mixture, Order, Permutation, Shuffle, Weighted};
use rand::{SeedableRng, distr::Distribution};
use rand_chacha::ChaCha8Rng;
use rand_distr::weighted::WeightedAliasIndex;

mod common;
use common::{alone, alternate, heading, largest, seconds, torch_and_numpy};

fn main() {
    heading(
        "cargo bench --bench weighted",
        "order, len, gradstep, rand_distr, torch, numpy, gradstep to make, rand_distr to make",
    );
    let longest = largest(100_000_000);
    for len in [1_000, 1_000_000, 100_000_000].into_iter().filter(|&len| len <= longest) {
        draws(len);
    }
    alone(|| classes(longest.min(1_000_000)));
}

fn draws(len: usize) {
    let mut weights = vec![0.0_f64; len];
    Draws::new("weights", [0, 0], 1).fill_uniform(&mut weights);
    let count = 1 << 16;
    let (mut own, mut theirs) = (vec![0; count], vec![0; count]);
    let (mut order, mut own_new) = (None, f64::INFINITY);
    for _ in 0..if len > 1_000_000 { 1 } else { 3 } {
        order = None; // the old table first makes room
        own_new = own_new.min(seconds(|| order = Some(Weighted::new(&weights, count, 1).expect("valid"))));
    }
    let order = order.expect("made");
    let copy = weights.clone();
    let (mut alias, mut copy) = (None, Some(copy));
    let rand_new = seconds(|| alias = copy.take().map(|copy| WeightedAliasIndex::new(copy).expect("valid")));
    let (alias, mut words) = (alias.expect("made"), ChaCha8Rng::seed_from_u64(1));

    let mut epoch = 0;
    let times = alternate(
        300,
        3,
        &mut [
            &mut || {
                epoch += 1;
                order.try_fill(epoch, 0, &mut own).expect("in the epoch");
            },
            &mut || theirs.fill_with(|| alias.sample(&mut words)),
        ],
    );
    // A sample's weight is 2/3 on average, with variance 1/18.
    for samples in [&own, &theirs] {
        let sum: f64 = weights.iter().sum();
        let expected = weights.iter().map(|weight| weight * weight / sum).sum::<f64>();
        let found = samples.iter().map(|&sample| weights[sample]).sum::<f64>() / count as f64;
        assert!((found - expected).abs() < 6.0 / (18.0 * count as f64).sqrt(), "{found}, expected {expected}");
    }
    let [own, rand] = [times[0], times[1]].map(|time| time / count as f64 * 1e9);
    let [own_new, rand_new] = [own_new, rand_new].map(|time| time / len as f64 * 1e9);
    drop((order, alias));
    let others = torch_and_numpy("weighted.py", &[&len.to_string()]);
    println!("Weighted, {len}, {own:.2}, {rand:.2}, {others}, {own_new:.1}, {rand_new:.1}");
}

/// Ten classes of `each` samples, in any order of the labels.
fn classes(each: usize) {
    let len = 10 * each;
    let mut labels: Vec<u8> = (0..len).map(|i| (i % 10) as u8).collect();
    let mut with = vec![0; len];
    Draws::new("labels", [0, 0], 1).fill_below(len as u64, &mut with).expect("valid");
    (0..len).for_each(|i| labels.swap(i, with[i] as usize));

    epochs("Shuffle", || Shuffle::new(len, 1).expect("valid"));
    epochs("Mixture::stratified", || Mixture::stratified(&labels, 1).expect("valid"));
    epochs("Mixture::balanced", || Mixture::balanced(&labels, len as u64, 1).expect("valid"));
    if each as u64 >= Permutation::MIN_LEN {
        epochs("Mixture::of_sets of ten Permutations", || {
            let sources = (0..10).map(|seed| Permutation::new(each as u64, seed).expect("valid"));
            Mixture::of_sets(sources.collect(), &[1; 10], len as u64).expect("valid")
        });
    }
}

fn epochs<O: Order>(name: &str, new: impl Fn() -> O) {
    let mut order = None;
    let time_new = seconds(|| order = Some(new()));
    let batcher = Batcher::over(order.expect("made"), 100).expect("valid");
    let (mut epoch, mut number) = (batcher.as_ref().epoch(0), 0);
    let mut refill = || {
        number += 1;
        epoch.refill(number);
    };
    let time = alternate(3, 2, &mut [&mut refill])[0];
    let [place, new] = [time, time_new].map(|time| time / batcher.len() as f64 * 1e9);
    println!("{name}, {}, {place:.2}, , , , {new:.1}, ", batcher.len());
}
