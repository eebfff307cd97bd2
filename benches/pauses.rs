//! Measures what a second thread gains where the program does something else between two calls, as training does: a
//! thread of the pool that sleeps must be woken, and the call waits for it.
//!
//! `cargo bench --features simd,rayon --bench pauses`; median of 151 calls in microseconds, f32, after a pause in which
//! this thread works and the others have nothing to do: on one thread, on all threads called from outside the pool, and
//! on all threads called from inside it.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use gradstep::{Adam, Momentum, Optimizer, Sgd, global_norm};

mod common;
use common::heading;

fn median(pause: Duration, mut call: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..151)
        .map(|_| {
            let start = Instant::now();
            while start.elapsed() < pause {
                black_box(0);
            }
            let start = Instant::now();
            call();
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn times(len: usize, pause: Duration) -> [f64; 4] {
    let grads: Vec<f32> = (0..len).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    let mut params = grads.clone();
    let mut sgd = Sgd::new(1e-3).expect("valid");
    let mut momentum = Momentum::new(1e-3, 0.9, len).expect("valid");
    let mut adam = Adam::new(1e-3, len).expect("valid");
    [
        median(pause, || assert!(global_norm(&[&grads]).is_ok())),
        median(pause, || sgd.step(&mut params, &grads).expect("same length")),
        median(pause, || momentum.step(&mut params, &grads).expect("same length")),
        median(pause, || adam.step(&mut params, &grads).expect("same length")),
    ]
}

fn main() {
    heading(
        "cargo bench --features simd,rayon --bench pauses",
        "n, pause, threads, global_norm, Sgd::step, Momentum::step, Adam::step",
    );
    for len in [1 << 17, 200_000, 1 << 18, 1 << 19, 1 << 20] {
        for pause in [0, 100, 1000] {
            let times = || times(len, Duration::from_micros(pause));
            let show = |threads, times: [f64; 4]| {
                println!("{len}, {pause}, {threads}, {}", times.map(|time| format!("{time:.1}")).join(", "));
            };
            show("one", common::alone(times));
            show("two", times());
            show("two; the loop inside the pool", rayon::join(times, || ()).0);
        }
    }
}
