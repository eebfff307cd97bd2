//! Filling a slice with draws, beside rand and rand_distr with ChaCha8 (and torch and numpy, if PYTHON names an
//! interpreter that has them).
//!
//! `cargo bench --bench draws [-- LONGEST]`; nanoseconds per draw, least of several rounds taken in turn, one thread.

use std::hint::black_box;

use gradstep::{DrawFloat, Draws};
use rand::{Rng, RngExt, SeedableRng, distr::Distribution};
use rand_chacha::ChaCha8Rng;

mod common;
use common::{alternate, heading, largest, torch_and_numpy};

/// Times `fill` beside `peer`, which gives one value at a time, and the same of torch and numpy.
fn beside<T: Copy + Default>(
    name: &str,
    len: usize,
    fill: impl Fn(&mut Draws, &mut [T]),
    peer: impl Fn(&mut ChaCha8Rng) -> T,
    number: impl Fn(T) -> f64,
    mean: f64,
) {
    let (mut draws, mut words) = (Draws::new("bench", [0, 0], 1), ChaCha8Rng::seed_from_u64(1));
    let (mut own, mut theirs) = (vec![T::default(); len], vec![T::default(); len]);
    let times = alternate(
        (10_000_000 / len).clamp(5, 1000),
        3,
        &mut [&mut || fill(&mut draws, &mut own), &mut || theirs.fill_with(|| peer(&mut words))],
    );
    for values in [&own, &theirs] {
        let found = values.iter().map(|&x| number(x)).sum::<f64>() / len as f64;
        // A standard deviation is at most 1 (or 300 of integers below 1,000, whose mean is 499.5).
        let limit = 6.0 * mean.max(1.0) / (len as f64).sqrt();
        assert!((found - mean).abs() < limit, "{name}: mean {found}, expected {mean}");
    }
    let [own, peer] = [times[0], times[1]].map(|time| time / len as f64 * 1e9);
    println!("{name}, {len}, {own:.2}, {peer:.2}, {}", torch_and_numpy("draws.py", &[name, &len.to_string()]));
}

fn uniform<F: DrawFloat + Default + Into<f64>>(name: &str, len: usize, peer: impl Fn(&mut ChaCha8Rng) -> F) {
    beside(name, len, |draws, out: &mut [F]| draws.fill_uniform(out), peer, F::into, 0.5);
}

fn normal<F: DrawFloat + Default + Into<f64>>(name: &str, len: usize)
where
    rand_distr::StandardNormal: Distribution<F>,
{
    let peer = |words: &mut ChaCha8Rng| words.sample(rand_distr::StandardNormal);
    beside(name, len, |draws, out: &mut [F]| draws.fill_normal(out), peer, F::into, 0.0);
}

fn main() {
    heading("cargo bench --bench draws", "draw, len, gradstep, rand, torch, numpy");
    let longest = largest(1 << 20);
    for len in [1 << 10, 1 << 14, 1 << 20].into_iter().filter(|&len| len <= longest) {
        uniform("uniform f32", len, |words| words.random::<f32>());
        uniform("uniform f64", len, |words| words.random::<f64>());
        normal::<f32>("normal f32", len);
        normal::<f64>("normal f64", len);
        let word = |x: u64| x as f64 / 2.0_f64.powi(64);
        beside("word", len, |draws, out| draws.fill_words(out), ChaCha8Rng::next_u64, word, 0.5);
        let below = |draws: &mut Draws, out: &mut [u64]| draws.fill_below(1000, out).expect("valid");
        beside("below 1000", len, below, |words| words.random_range(0..1000), |x| x as f64, 499.5);
        let coin = |draws: &mut Draws, out: &mut [bool]| draws.fill_coin(0.3, out).expect("valid");
        beside("coin", len, coin, |words| words.random_bool(0.3), f64::from, 0.3);
    }
    // One at a time, and from a stream of its own, as an augmentation takes them.
    let (mut uniforms, mut normals, mut sample) = (Draws::new("bench", [0, 0], 1), Draws::new("bench", [0, 1], 1), 0);
    let times = alternate(
        1000,
        3,
        &mut [
            &mut || (0..1000).for_each(|_| _ = black_box(uniforms.uniform::<f32>())),
            &mut || (0..1000).for_each(|_| _ = black_box(normals.normal::<f64>())),
            &mut || {
                for _ in 0..1000 {
                    sample += 1;
                    black_box(Draws::new("augmentation", [0, sample], 1).uniform::<f64>());
                }
            },
        ],
    );
    for (name, time) in ["uniform f32", "normal f64", "new stream and uniform f64"].iter().zip(times) {
        println!("{name}, 1, {:.2}, , , ", time / 1000.0 * 1e9);
    }
}
