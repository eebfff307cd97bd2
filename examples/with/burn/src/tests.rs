//! The traps.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::Result;
use burn::module::Module;
use burn::optim::{GradientsParams, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor, TensorData};
use clap::Parser;

use crate::{Mlp, Options, compare, compare::numbers, glue::Stepper, momentum, train};

fn mlp() -> Mlp {
    Mlp::new(3, 4, 0, &Device::flex().autodiff())
}

fn grads(mlp: &Mlp, scale: f32) -> GradientsParams {
    let pixels = Tensor::<2>::ones([2, 3], &Device::flex().autodiff());
    GradientsParams::from_grads((mlp.forward(pixels) * scale).powf_scalar(2.0).mean().backward(), mlp)
}

/// 0, 1, 2, …
fn counted(shape: [usize; 2]) -> Tensor<2> {
    let numbers = (0..shape[0] * shape[1]).map(|i| i as f32).collect();
    Tensor::from_data(TensorData::new(numbers, shape), &Device::flex())
}

/// What a call panicked with.
fn panics<T>(call: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(call)).err().expect("a panic");
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| payload.downcast_ref::<&str>().unwrap().to_string())
}

/// Transposed views and windows step as in burn's Sgd, and a tensor that somebody else holds stays as it is.
#[test]
fn strided_tensors() -> Result<()> {
    let burns = burn::optim::SgdConfig::new().build();
    let window = counted([2, 9]).slice([0..2, 4..7]);
    for (params, grad) in [
        (counted([3, 2]).transpose(), counted([2, 3])),
        (counted([2, 3]), counted([3, 2]).transpose()),
        (counted([2, 3]), window.clone()),
        (window, counted([9, 3]).slice([4..6, 0..3])),
    ] {
        let before = params.to_data();
        let (here, _) = Stepper(momentum).step(0.1, params.clone(), grad.clone(), None);
        let (there, _) = burns.step(0.1, params.clone(), grad, None);
        assert_eq!(here.try_into_vec_as::<f32>()?, there.try_into_vec_as::<f32>()?);
        assert_eq!(params.to_data(), before);
    }
    Ok(())
}

/// burn's trait returns no error: invalid input panics, and a clone of the module is as it was.
#[test]
fn invalid_input_panics() -> Result<()> {
    let (mlp, mut optimizer) = (mlp(), ModuleOptimizer::from(Stepper(momentum)));
    let before = numbers(&mlp)?;
    let message = panics(|| optimizer.step(f64::NAN, mlp.clone(), grads(&mlp, 1.0)));
    assert!(message.contains("learning_rate is NaN, expected"), "{message}");
    let message = panics(|| Stepper(momentum).step(0.1, counted([2, 3]), counted([3, 2]), None));
    assert!(message.contains("another shape"), "{message}");
    let double = counted([2, 3]).cast(burn::tensor::FloatDType::F64);
    let message = panics(|| Stepper(momentum).step(0.1, counted([2, 3]), double, None));
    assert!(message.contains("F64"), "{message}");
    assert_eq!(numbers(&mlp)?, before);
    Ok(())
}

/// A layer without gradients stays, bit for bit.
#[test]
fn frozen() -> Result<()> {
    let Mlp { first, second } = mlp();
    let before = Mlp { first: first.no_grad(), second };
    let after = ModuleOptimizer::from(Stepper(momentum)).step(0.1, before.clone(), grads(&before, 1.0));
    let (before, after) = (numbers(&before)?, numbers(&after)?);
    assert_eq!(before[..16], after[..16]);
    assert_ne!(before[16..], after[16..]);
    Ok(())
}

/// burn finds state by the parameters' random ids, which come back with the module, but not with a newly built one.
#[test]
fn state_by_id() -> Result<()> {
    let mut optimizer = ModuleOptimizer::from(Stepper(momentum));
    let module = mlp();
    let module = optimizer.step(0.1, module.clone(), grads(&module, 1.0));
    let (bytes, record) = (optimizer.into_bytes()?, module.clone().into_record());
    let expected = numbers(&optimizer.step(0.1, module.clone(), grads(&module, -0.5)))?;

    let resumed = mlp().try_load_record(record)?;
    let mut optimizer = ModuleOptimizer::from(Stepper(momentum)).from_bytes(bytes.clone())?;
    assert_eq!(numbers(&optimizer.step(0.1, resumed.clone(), grads(&resumed, -0.5)))?, expected);

    let fresh = Mlp { first: anew(&module.first), second: anew(&module.second) }; // same numbers, other ids
    let mut optimizer = ModuleOptimizer::from(Stepper(momentum)).from_bytes(bytes)?;
    assert_ne!(numbers(&optimizer.step(0.1, fresh.clone(), grads(&fresh, -0.5)))?, expected);
    Ok(())
}

fn anew(layer: &burn::nn::Linear) -> burn::nn::Linear {
    use burn::module::Param;
    burn::nn::Linear {
        weight: Param::from_tensor(layer.weight.val().detach()),
        bias: layer.bias.as_ref().map(|bias| Param::from_tensor(bias.val().detach())),
    }
}

/// Saved state of another optimizer is not dropped silently, nor is state that cannot be read.
#[test]
fn foreign_state() -> Result<()> {
    let module = mlp();
    let mut burns = compare::burns();
    burns.step(0.1, module.clone(), grads(&module, 1.0));
    let message = panics(|| ModuleOptimizer::from(Stepper(momentum)).load_record(burns.to_record()));
    assert!(message.contains("is not gradstep's"), "{message}");

    let mut plain = ModuleOptimizer::from(Stepper(|_| gradstep::Sgd::<f32>::new(0.0)));
    plain.step(0.1, module.clone(), grads(&module, 1.0));
    let message = panics(|| ModuleOptimizer::from(Stepper(momentum)).load_record(plain.to_record()));
    assert!(message.contains("the saved state of parameter"), "{message}");
    Ok(())
}

/// Stopped in the middle of an epoch and resumed, it ends with the same bits.
#[test]
fn resumes() -> Result<()> {
    let checkpoint = std::env::temp_dir().join(format!("with-burn-{}.checkpoint", std::process::id()));
    let options = |more: &[&str]| Options::parse_from([&["with-burn", "--epochs", "1"], more].concat());
    let path = checkpoint.to_str().unwrap();
    let (_, whole) = train(&options(&["--stop-at", "50"]))?;
    train(&options(&["--checkpoint", path, "--stop-at", "23"]))?;
    let (_, resumed) = train(&options(&["--checkpoint", path, "--stop-at", "50"]))?;
    let rejected = train(&options(&["--checkpoint", path, "--learning-rate", "0.2"])).map(|_| ());
    fs::remove_file(&checkpoint)?;
    assert_eq!(numbers(&whole)?, numbers(&resumed)?);
    assert!(rejected.unwrap_err().to_string().contains("saved schedule is Schedule { pieces"));
    Ok(())
}
