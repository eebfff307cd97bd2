//! One step of `Sgd` and `Momentum`, beside the bare loop over the same memory.
//!
//! `cargo bench --bench step [-- LONGEST]`; f32; microseconds a step, least of several rounds taken in turn.

use gradstep::{Momentum, Optimizer, Sgd};

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

fn main() {
    heading("cargo bench --bench step");
    println!("{:>8}, rule    ,   rule µs,   bare µs, bare/rule, GB/s of the rule", "n");
    let longest = largest(1 << 25);
    for n in [64, 1000, 4096, 65_536, 1 << 20, 1 << 22, 1 << 25].into_iter().take_while(|&n| n <= longest) {
        let grads: Vec<f32> = (0..n).map(|i| (i % 17) as f32 - 8.0).collect();
        let start: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
        let mut params: [Vec<f32>; 4] = std::array::from_fn(|_| start.clone());
        let [a, b, c, d] = &mut params;
        let mut velocity = vec![0.0; n];
        let mut sgd = Sgd::new(LEARNING_RATE.into()).expect("valid");
        let mut momentum = Momentum::new(LEARNING_RATE.into(), MOMENTUM.into(), n).expect("valid");

        // Short steps are repeated, so that the clock's own cost does not count.
        let repeat = (20_000 / n).max(1);
        let again = |step: &mut dyn FnMut()| (0..repeat).for_each(|_| step());
        let times = alternate(
            (50_000_000 / n).clamp(5, 1000),
            3,
            &mut [
                &mut || again(&mut || sgd.step(a, &grads).expect("same length")),
                &mut || again(&mut || bare_sgd(b, &grads)),
                &mut || again(&mut || momentum.step(c, &grads).expect("same length")),
                &mut || again(&mut || bare_momentum(d, &mut velocity, &grads)),
            ],
        )
        .into_iter()
        .map(|time| time / repeat as f64)
        .collect::<Vec<_>>();

        assert!(params[0] != start && params[2] != start, "nothing moved");
        assert!(params[0] == params[1] && params[2] == params[3], "another result than the bare loop's");
        let [sgd, bare_sgd, momentum, bare_momentum] = times[..] else { unreachable!() };
        for (name, floats_moved, rule, bare) in [("Sgd", 3, sgd, bare_sgd), ("Momentum", 5, momentum, bare_momentum)] {
            let gigabytes = (4 * floats_moved * n) as f64 / 1e9;
            let (ratio, speed) = (bare / rule, gigabytes / rule);
            println!("{n:>8}, {name:8}, {:9.3}, {:9.3}, {ratio:9.2}, {speed:16.0}", rule * 1e6, bare * 1e6);
        }
    }
}
