//! burn's Sgd with momentum and gradstep's, on the same batches.

use std::time::Instant;

use anyhow::{Result, ensure};
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, Tensor};
use gradstep::Batcher;

use crate::{Mlp, data, glue::Stepper, momentum, row};

/// Prints a row of a table.
pub(crate) fn row() -> Result<()> {
    let [here, there] = [Stepper(momentum).into(), burns()].map(digits);
    let (here, there) = (numbers(&here?)?, numbers(&there?)?);
    let differ = here.iter().zip(&there).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
    let farthest = here.iter().zip(&there).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    ensure!(farthest < 1e-5, "the parameters of burn's Sgd are others: by up to {farthest:e}");

    let mut timed = [Stepper(momentum).into(), burns()].map(timed);
    let mut least = [f64::MAX; 2];
    for _ in 0..200 {
        for (least, time) in least.iter_mut().zip(&mut timed) {
            *least = least.min(time());
        }
    }
    let same = if differ == 0 { format!("{} bits, 300 steps", 32 * here.len()) } else { format!("to {farthest:e}") };
    row::print("burn", &same, least, include_str!("glue.rs"), "what somebody else holds too");
    Ok(())
}

/// burn's own, as in PyTorch: without dampening, whose default in burn is 0.1.
pub(crate) fn burns() -> ModuleOptimizer {
    SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_momentum(0.9).with_dampening(0.0))).init()
}

/// The network after 300 steps on the digits.
fn digits(mut optimizer: ModuleOptimizer) -> Result<Mlp> {
    let (data, device) = (data::digits()?.train, Device::flex().autodiff());
    let mut mlp = Mlp::new(data.inputs, 128, 0, &device);
    let mut stream = Batcher::new(data.len(), 32, 0)?.stream();
    for step in 1..=300 {
        let loss = mlp.loss(&data, stream.next_batch().unwrap_or_default(), &device)?;
        let grads = GradientsParams::from_grads(loss.backward(), &mlp);
        mlp = optimizer.step(0.1 / f64::from(step).sqrt(), mlp, grads);
    }
    Ok(mlp)
}

pub(crate) fn numbers(mlp: &Mlp) -> Result<Vec<f32>> {
    let mut numbers = Vec::new();
    for layer in [&mlp.first, &mlp.second] {
        numbers.extend(layer.weight.val().try_into_vec_as::<f32>()?);
        numbers.extend(
            layer.bias.as_ref().map(|bias| bias.val().try_into_vec_as::<f32>()).transpose()?.into_iter().flatten(),
        );
    }
    Ok(numbers)
}

/// The time of one step of 784 - 128 - 10, in microseconds.
fn timed(mut optimizer: ModuleOptimizer) -> impl FnMut() -> f64 {
    let device = Device::flex().autodiff();
    let mut mlp = Some(Mlp::new(784, 128, 0, &device));
    move || {
        let before = mlp.take().expect("it is put back");
        let loss = before.forward(Tensor::ones([32, 784], &device)).powf_scalar(2.0).mean();
        let grads = GradientsParams::from_grads(loss.backward(), &before);
        let begin = Instant::now();
        mlp = Some(optimizer.step(1e-6, before, grads)); // stays near where it is: no infinities, no subnormals
        1e6 * begin.elapsed().as_secs_f64()
    }
}
