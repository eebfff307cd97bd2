//! What half precision costs: a step of `Momentum` on f32, on a `MasterCopy` of bf16 or f16, and on bf16 as it is.
//!
//! `cargo bench --features half --bench half`; microseconds a step, least of several rounds taken in turn.

use gradstep::{MasterCopy, Momentum, Optimizer};
use half::{bf16, f16};
use num_traits::{Float, NumCast};

mod alternate;
use alternate::alternate;

fn slices<F: Float>(n: usize) -> (Vec<F>, Vec<F>) {
    let numbers = |modulus: usize| {
        let number = move |i: usize| (i % modulus) as f32 - 7.5;
        (0..n).map(|i| NumCast::from(number(i)).expect("small")).collect()
    };
    (numbers(5), numbers(17))
}

/// A step of its own slices.
fn stepping<F: Float>(mut optimizer: impl Optimizer<F>, (mut params, grads): (Vec<F>, Vec<F>)) -> impl FnMut() {
    move || optimizer.step(&mut params, &grads).expect("same length")
}

fn main() -> Result<(), gradstep::Error> {
    println!("|       n | f32 µs | MasterCopy bf16 / f32 | MasterCopy f16 / f32 | plain bf16 / f32 |");
    println!("|--------:|-------:|----------------------:|---------------------:|-----------------:|");
    for n in [4096, 65_536, 1 << 20, 1 << 22] {
        let momentum = Momentum::new(1e-3_f32, 0.9, n)?;
        let plain = Momentum::new(bf16::from_f32(1e-3), bf16::from_f32(0.9), n)?;
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
            "| {n:>7} | {:6.1} | {:21.2} | {:20.2} | {:16.2} |",
            single * 1e6,
            bf16 / single,
            f16 / single,
            plain / single
        );
    }
    Ok(())
}
