//! candle_nn's SGD and gradstep's, on the same gradients.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use candle_core::{DType, Device, Module, Tensor};
use candle_nn::{Optimizer, SGD, VarMap, loss::cross_entropy};
use gradstep::{Batcher, Momentum, Sgd};

use crate::{Mlp, data, glue::Config, glue::Stepper, numbers, row, tensors};

/// Prints a row of a table.
pub(crate) fn row() -> Result<()> {
    let [here, there] = [train::<Stepper<Sgd<f32>>>(300, sgd)?, train::<SGD>(300, |_| 0.1)?];
    let [here, there] = [bits(&here)?, bits(&there)?];
    ensure!(here == there, "the parameters of candle_nn's SGD are others");

    let mut sgd = timed::<Stepper<Sgd<f32>>>(sgd)?;
    let mut momentum = timed::<Stepper<Momentum<f32>>>(momentum)?;
    let mut candle = timed::<SGD>(|_| 0.1)?;
    let mut least = [f64::MAX; 3];
    for _ in 0..50 {
        for (least, time) in least.iter_mut().zip([sgd()?, momentum()?, candle()?]) {
            *least = least.min(1e6 * time.as_secs_f64());
        }
    }
    let [sgd, momentum, candle] = least;
    row::print("candle", "to the bit, 300 steps", [sgd, candle], include_str!("glue.rs"), "nothing");
    println!("time of a step of 101,770 parameters with momentum, which candle_nn has not: {momentum:.0} µs");
    Ok(())
}

pub(crate) fn sgd(names: &VarMap) -> Config<Sgd<f32>> {
    Config { learning_rate: 0.1, names: names.clone(), rule: |_, _| Sgd::new(1.0) }
}

fn momentum(names: &VarMap) -> Config<Momentum<f32>> {
    Config { learning_rate: 0.1, names: names.clone(), rule: |_, len| Momentum::new(1.0, 0.9, len) }
}

/// The variables after `steps` steps on the digits.
fn train<O: Optimizer>(steps: usize, config: fn(&VarMap) -> O::Config) -> Result<VarMap> {
    let data = data::digits()?.train;
    let mut vars = VarMap::new();
    let mlp = Mlp::new(&mut vars, data.inputs, 128, 0)?;
    let mut optimizer = O::new(vars.all_vars(), config(&vars))?;
    let mut stream = Batcher::new(data.len(), 32, 0)?.stream();
    for _ in 0..steps {
        let (pixels, labels) = tensors(&data, stream.next_batch().unwrap_or_default())?;
        optimizer.backward_step(&cross_entropy(&mlp.forward(&pixels)?, &labels)?)?;
    }
    Ok(vars)
}

fn bits(vars: &VarMap) -> Result<Vec<u32>> {
    Ok(numbers(vars)?.into_values().flatten().map(f32::to_bits).collect())
}

/// The mean time of one of twenty steps of 784 - 128 - 10.
fn timed<O: Optimizer + 'static>(config: fn(&VarMap) -> O::Config) -> Result<impl FnMut() -> Result<Duration>> {
    let mut vars = VarMap::new();
    let mlp = Mlp::new(&mut vars, 784, 128, 0)?;
    let pixels = Tensor::ones((32, 784), DType::F32, &Device::Cpu)?;
    let grads = mlp.forward(&pixels)?.sqr()?.mean_all()?.backward()?;
    let mut optimizer = O::new(vars.all_vars(), config(&vars))?;
    optimizer.set_learning_rate(1e-6); // stays near where it is: no infinities, no subnormals
    Ok(move || {
        let begin = Instant::now();
        for _ in 0..20 {
            optimizer.step(&grads)?;
        }
        Ok(begin.elapsed() / 20)
    })
}
