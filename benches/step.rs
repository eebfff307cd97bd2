//! One step of `Sgd` and `Momentum`, beside the bare loop over the same memory.
//!
//! `cargo bench --bench step [-- LONGEST]`; f32; nanoseconds per step, least of several rounds taken in turn.

use gradstep::{Error, Momentum, Optimizer, Sgd};

mod common;
use common::{Pages, alternate, heading, largest};

#[global_allocator]
static PAGES: Pages = Pages;

const LEARNING_RATE: f32 = 1e-3;
const MOMENTUM: f32 = 0.9;

#[inline(never)]
fn bare_sgd(params: &mut [f32], grads: &[f32]) {
    for (p, &g) in params.iter_mut().zip(grads) {
        *p -= LEARNING_RATE * g;
    }
}

#[inline(never)]
fn bare_momentum(params: &mut [f32], velocity: &mut [f32], grads: &[f32]) {
    for ((p, m), &g) in params.iter_mut().zip(velocity).zip(grads) {
        *m = MOMENTUM * *m - LEARNING_RATE * g;
        *p += *m;
    }
}

fn race(rule: &str, n: usize, mut ours: impl Optimizer<f32>, mut bare: impl FnMut(&mut [f32], &[f32])) {
    let grads: Vec<f32> = (0..n).map(|i| (i % 17) as f32 - 8.0).collect();
    let start: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
    let [mut a, mut b] = [start.clone(), start.clone()];
    // Short steps are repeated, so that the clock's own cost does not count.
    let repeat = (20_000 / n).max(1);
    let times = alternate(
        (50_000_000 / n).clamp(5, 1000),
        3,
        &mut [&mut || (0..repeat).for_each(|_| ours.step(&mut a, &grads).expect("same length")), &mut || {
            (0..repeat).for_each(|_| bare(&mut b, &grads))
        }],
    );
    assert!(a != start, "nothing moved");
    assert!(a == b, "another result than the bare loop's");
    let [ours, bare] = [times[0], times[1]].map(|time| time / repeat as f64 * 1e9);
    println!("{rule}, {n}, {ours:.1}, {bare:.1}");
}

fn main() -> Result<(), Error> {
    heading("cargo bench --bench step", "rule, n, ours, bare");
    let longest = largest(1 << 25);
    for n in [64, 1000, 4096, 65_536, 1 << 20, 1 << 22, 1 << 25].into_iter().filter(|&n| n <= longest) {
        race("Sgd", n, Sgd::new(LEARNING_RATE.into())?, bare_sgd);
        let mut velocity = vec![0.0; n];
        let momentum = Momentum::new(LEARNING_RATE.into(), MOMENTUM.into(), n)?;
        race("Momentum", n, momentum, |params, grads| bare_momentum(params, &mut velocity, grads));
    }
    Ok(())
}
