//! The cost of units that get no gradient any more: a step of each rule where all gradients, or some, have been 0 for
//! long, beside one where none has. Their velocity decays to subnormal numbers, with which CPUs are slow.
//!
//! `cargo bench --features half,simd --bench dead [-- LEN]`; microseconds per step, least of several rounds taken in
//! turn.

use gradstep::{
    Accumulator, MasterCopy, Momentum,
    MomentumForm::{self, Classical, Nesterov, PyTorch, PyTorchNesterov},
    Optimizer, Sgd,
};
use half::{bf16, f16};
use num_traits::Float;

mod common;
use common::{Pages, alternate, heading, largest};

#[global_allocator]
static PAGES: Pages = Pages;

/// Percent of the units that are dead.
const DEAD: [usize; 4] = [0, 1, 10, 100];

/// Steps without a gradient: 0.9^8000 is below f64's smallest number, 0.9^1200 below f32's.
fn long<F>() -> usize {
    if size_of::<F>() == 8 { 8000 } else { 1200 }
}

/// Steps of `len` parameters of which `percent` percent have lost their gradients.
fn stepping<P: Float>(mut optimizer: impl Optimizer<P>, len: usize, percent: usize) -> impl FnMut() {
    let number = |x: f32| P::from(x).expect("small");
    let mut params = vec![number(1.0); len];
    let mut grads: Vec<P> = (0..len).map(|i| number((i % 17) as f32 - 8.5)).collect();
    optimizer.step(&mut params, &grads).expect("same length");
    // Spread evenly, as dead units are.
    grads.iter_mut().enumerate().filter(|(i, _)| i * 37 % 100 < percent).for_each(|(_, g)| *g = P::zero());
    for _ in 0..long::<P>() {
        optimizer.step(&mut params, &grads).expect("same length");
    }
    move || optimizer.step(&mut params, &grads).expect("same length")
}

/// Sums of as many micro-batches.
fn adding(len: usize, percent: usize) -> impl FnMut() {
    let grads: Vec<f32> = (0..len).map(|i| if i * 37 % 100 < percent { 0.0 } else { 1.0 }).collect();
    let mut sum = Accumulator::new(len).expect("room");
    move || sum.add(&grads, 8).expect("same length")
}

fn row<S: FnMut()>(rule: &str, len: usize, make: impl Fn(usize) -> S) {
    let mut steps = DEAD.map(make);
    let [a, b, c, d] = &mut steps;
    let times = alternate(60, 3, &mut [a, b, c, d]).into_iter().map(|time| format!("{:.1}", time * 1e6));
    println!("{rule}, {len}, {}", times.collect::<Vec<_>>().join(", "));
}

fn momentum<P: Float + Send + Sync + 'static>(form: MomentumForm, len: usize) -> Momentum<P> {
    Momentum::new(1e-3, 0.9, len).expect("valid").with_form(form)
}

fn main() {
    heading("cargo bench --features half,simd --bench dead", "rule, n, live, 1 %, 10 %, 100 %");
    let len = largest(1 << 16);
    row("Sgd of f32", len, |dead| stepping::<f32>(Sgd::new(1e-3).expect("valid"), len, dead));
    for form in [Classical, Nesterov, PyTorch, PyTorchNesterov] {
        row(&format!("{form:?} of f32"), len, |dead| stepping::<f32>(momentum(form, len), len, dead));
        row(&format!("{form:?} of f64"), len, |dead| stepping::<f64>(momentum(form, len), len, dead));
    }
    row("Classical of bf16", len, |dead| stepping::<bf16>(momentum(Classical, len), len, dead));
    row("Classical of f16", len, |dead| stepping::<f16>(momentum(Classical, len), len, dead));
    let ones = vec![bf16::ONE; len];
    row("Classical of a MasterCopy of bf16", len, |dead| {
        stepping::<bf16>(MasterCopy::new(momentum(Classical, len), &ones).expect("room"), len, dead)
    });
    row("Accumulator of f32", len, |dead| adding(len, dead));
}
