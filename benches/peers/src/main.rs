//! gradstep beside its peers: the same data, the same rule, one process, one line per contender.
//!
//! `[PYTHON=python3] cargo run --release [--features simd,rayon] [-- LONGEST]`
//!
//! With `PYTHON`, an interpreter with torch and numpy, `torch_sgd.py` adds its contenders. Nanoseconds per step, least
//! of several rounds taken in turn, at several places in memory, where another one begins each time. Before it is timed
//! each contender takes 3 steps, and must then have moved every parameter to where gradstep has it; while timed it must
//! have moved them on.

use std::error::Error;

use candle_core::{DType, WithDType};

#[path = "../../common.rs"]
mod common;
mod contenders;
use common::{alternate, features, heading, largest, python};
use contenders::{Contenders, Data, LEARNING_RATE, Scalar, contenders, scalar};

const MOMENTUM: f64 = 0.9;

fn is_f32<F: Scalar>() -> bool {
    F::DTYPE == DType::F32
}

fn close<F: Scalar>(a: &[F], b: &[F]) -> bool {
    // burn holds the momentum as f32, whatever the tensor: hence no closer in f64.
    let tolerance = scalar(if is_f32::<F>() { 1e-5 } else { 1e-8 });
    a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| (a - b).abs() <= tolerance)
}

/// Nanoseconds per step, and the sum of the parameters after 3 steps.
fn race<F: Scalar>(data: &Data<F>, contenders: &mut Contenders<F>) -> (Vec<f64>, f64) {
    let first = data.place % contenders.len();
    let moved = |from: &[F], to: &[F]| from.iter().zip(to).all(|(a, b)| a != b);
    contenders.iter_mut().for_each(|(_, contender)| contender.steps(3));
    let expected = contenders[0].1.params();
    for (name, contender) in &*contenders {
        let params = contender.params();
        assert!(moved(&data.start, &params), "{name}: some parameters did not move");
        assert!(close(&params, &expected), "{name}: not what gradstep gets");
    }

    // Short steps are repeated, so that the clock's own cost does not count.
    let n = data.start.len();
    let repeat = (20_000 / n).max(1);
    let mut closures: Vec<_> = contenders.iter_mut().map(|(_, contender)| move || contender.steps(repeat)).collect();
    let mut closures: Vec<_> = closures.iter_mut().map(|closure| closure as &mut dyn FnMut()).collect();
    closures.rotate_left(first);
    let mut times = alternate((10_000_000 / n).clamp(10, 100), 3, &mut closures);
    times.rotate_right(first);

    for (name, contender) in contenders {
        assert!(moved(&expected, &contender.params()), "{name}: did not step while timed");
    }
    let sum = expected.iter().map(|&param| WithDType::to_f64(param)).sum();
    (times.into_iter().map(|time| time / repeat as f64 * 1e9).collect(), sum)
}

/// Measures `n` parameters and prints a line for each contender.
fn measure<F: Scalar>(n: usize, momentum: Option<f64>) -> Result<(), Box<dyn Error>> {
    // Where the heap happens to put short vectors (against cache lines, and against one another modulo a page) can
    // double a step's time. So that it is not luck who is fast, all are made and timed at several places.
    let places = match n {
        ..=65_536 => 16,
        ..=4_194_304 => 4,
        _ => 1,
    };
    let (mut times, mut sum) = (Vec::<(String, f64)>::new(), 0.0);
    for place in 0..places {
        let data = Data::<F>::new(n, place);
        let mut contenders = contenders(&data, momentum)?;
        let (here, sum_here) = race(&data, &mut contenders);
        times.resize_with(here.len(), || (String::new(), f64::INFINITY));
        for (((name, least), time), (contender, _)) in times.iter_mut().zip(here).zip(&contenders) {
            (*name, *least) = (contender.to_string(), time.min(*least));
        }
        sum = sum_here;
    }

    let dtype = if is_f32::<F>() { "float32" } else { "float64" };
    let arguments = [n.to_string(), dtype.into(), LEARNING_RATE.to_string(), momentum.unwrap_or(0.0).to_string()];
    for line in python("torch_sgd.py", &arguments.each_ref().map(String::as_str)).lines() {
        let [name, time, other_sum] = line.split('\t').collect::<Vec<_>>()[..] else { return Err(line.into()) };
        let (time, other_sum): (f64, f64) = (time.parse()?, other_sum.parse()?);
        assert!((sum - other_sum).abs() <= 1e-6 * sum.abs(), "{name}: not the sum that gradstep gets");
        times.push((name.into(), time));
    }
    let (rule, features) = (if momentum.is_some() { "Momentum" } else { "Sgd" }, features());
    for (name, time) in times {
        println!("{features}, {dtype}, {rule}, {n}, {name}, {time:.1}");
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    heading("cd benches/peers && cargo run --release", "features, dtype, rule, n, contender, ns");
    for peer in include_str!("../Cargo.toml").lines().filter(|line| line.contains("\"=")) {
        println!("# {peer}");
    }
    let longest = largest(1 << 25);
    for momentum in [None, Some(MOMENTUM)] {
        for n in [64, 1000, 4096, 65_536, 1 << 20, 1 << 22, 1 << 25].into_iter().filter(|&n| n <= longest) {
            measure::<f32>(n, momentum)?;
        }
        for n in [4096, 1 << 20].into_iter().filter(|&n| n <= longest) {
            measure::<f64>(n, momentum)?;
        }
    }
    Ok(())
}
