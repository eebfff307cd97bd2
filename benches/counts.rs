//! Small calls, for `benches/counts` to count their instructions: `counts NAME CALLS` makes so many of one kind. Without
//! arguments it prints the names.

use std::{env, hint::black_box};

use gradstep::{Adam, Batcher, Error, Momentum, Optimizer, ParamGroups, Sgd};

fn step(mut optimizer: impl Optimizer<f32>, len: usize, calls: usize) -> Result<(), Error> {
    let (mut params, grads) = (vec![1.0; len], vec![1e-3; len]);
    for _ in 0..calls {
        black_box(&mut optimizer).step(black_box(&mut params), black_box(&grads))?;
    }
    Ok(())
}

fn set_learning_rate(calls: usize) -> Result<(), Error> {
    let mut sgd = Sgd::<f32>::new(0.1)?;
    for _ in 0..calls {
        black_box(&mut sgd).set_learning_rate(black_box(0.2))?;
    }
    Ok(())
}

fn batches(calls: usize) -> Result<(), Error> {
    // One epoch has more batches than are asked for.
    let mut stream = Batcher::new(100_000, 10, 1)?.stream();
    for _ in 0..calls {
        black_box(black_box(&mut stream).next_batch().expect("streams do not end"));
    }
    Ok(())
}

fn groups(calls: usize) -> Result<(), Error> {
    let names: Vec<String> = (0..100).map(|i| format!("layer.{i}.weight")).collect();
    let mut model = ParamGroups::new();
    for name in &names {
        model.insert(name, Momentum::new(0.1, 0.9, 4)?)?;
    }
    let (mut params, grads) = ([[1.0_f32; 4]; 100], [1e-3; 4]);
    let mut tensors: Vec<_> =
        names.iter().zip(&mut params).map(|(name, params)| (name.as_str(), &mut params[..], &grads[..])).collect();
    for _ in 0..calls {
        black_box(&mut model).step(black_box(&mut tensors))?;
    }
    Ok(())
}

/// What one of the calls is named, and how to make so many of it.
type Call = (&'static str, fn(usize) -> Result<(), Error>);

const CALLS: [Call; 9] = [
    ("sgd_4", |calls| step(Sgd::new(1e-3)?, 4, calls)),
    ("sgd_64", |calls| step(Sgd::new(1e-3)?, 64, calls)),
    ("momentum_4", |calls| step(Momentum::new(1e-3, 0.9, 4)?, 4, calls)),
    ("momentum_64", |calls| step(Momentum::new(1e-3, 0.9, 64)?, 64, calls)),
    ("adam_4", |calls| step(Adam::new(1e-3, 4)?, 4, calls)),
    ("adam_64", |calls| step(Adam::new(1e-3, 64)?, 64, calls)),
    ("set_learning_rate", set_learning_rate),
    ("stream_batch_of_10", batches),
    ("groups_of_100_by_4", groups),
];

fn main() -> Result<(), Error> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if let [name, calls] = &arguments[..] {
        let (_, call) = CALLS.iter().find(|(known, _)| known == name).expect("one of the names");
        call(calls.parse().expect("a number"))?;
    } else {
        CALLS.iter().for_each(|(name, _)| println!("{name}"));
    }
    Ok(())
}
