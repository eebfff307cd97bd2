//! What half precision costs: a step of `Momentum` on f32, on a `MasterCopy` of bf16 or f16, and on bf16 as it is.
//!
//! `cargo bench --features half --bench half [-- LONGEST]`; microseconds a step, least of several rounds taken in turn.

use gradstep::{MasterCopy, Momentum, Optimizer};
use half::{bf16, f16};
use num_traits::{Float, NumCast};

mod common;
use common::{Pages, alternate, heading, largest};

#[global_allocator]
static PAGES: Pages = Pages;

fn slices<F: Float>(n: usize) -> (Vec<F>, Vec<F>) {
    let numbers = |modulus: usize| {
        let number = move |i: usize| (i % modulus) as f32 - 7.5;
        (0..n).map(|i| NumCast::from(number(i)).expect("small")).collect()
    };
    (numbers(5), numbers(17))
}

/// A step of its own slices.
fn stepping<P: Float>(mut optimizer: impl Optimizer<P>, (mut params, grads): (Vec<P>, Vec<P>)) -> impl FnMut() {
    move || optimizer.step(&mut params, &grads).expect("same length")
}

fn main() -> Result<(), gradstep::Error> {
    heading("cargo bench --features half --bench half");
    println!("{:>7}, f32 µs, MasterCopy bf16/f32, MasterCopy f16/f32, plain bf16/f32", "n");
    let longest = largest(1 << 22);
    for n in [4096, 65_536, 1 << 20, 1 << 22].into_iter().take_while(|&n| n <= longest) {
        let momentum = Momentum::<f32>::new(1e-3, 0.9, n)?;
        let plain = Momentum::<bf16>::new(1e-3, 0.9, n)?;
        let (b, f) = (slices::<bf16>(n), slices::<f16>(n));
        let mut times = alternate(
            (20_000_000 / n).clamp(5, 200),
            3,
            &mut [
                &mut stepping(momentum.clone(), slices::<f32>(n)),
                &mut stepping(MasterCopy::new(momentum.clone(), &b.0)?, b.clone()),
                &mut stepping(MasterCopy::new(momentum, &f.0)?, f),
                &mut stepping(plain, b),
            ],
        );
        let single = times.remove(0);
        let [bf16, f16, plain] = times[..] else { unreachable!() };
        println!(
            "{n:>7}, {:6.1}, {:19.2}, {:18.2}, {:14.2}",
            single * 1e6,
            bf16 / single,
            f16 / single,
            plain / single
        );
    }
    Ok(())
}
