//! The traps.

use std::fs;

use anyhow::Result;
use candle_core::{DType, Device, Tensor, Var, backprop::GradStore};
use candle_nn::{Optimizer, SGD, VarMap};
use clap::Parser;
use gradstep::{Momentum, MomentumForm};

use crate::{Options, compare, glue::Config, glue::Stepper, numbers, train};

/// Variables by name, of the given shapes, all ones.
fn ones(shapes: &[(&str, (usize, usize))]) -> Result<VarMap> {
    let vars = VarMap::new();
    for &(name, shape) in shapes {
        let var = Var::from_tensor(&Tensor::ones(shape, DType::F32, &Device::Cpu)?)?;
        vars.data().lock().unwrap().insert(name.to_string(), var);
    }
    Ok(vars)
}

fn var(vars: &VarMap, name: &str) -> Var {
    vars.data().lock().unwrap()[name].clone()
}

/// 0, 1, 2, …
fn counted(shape: (usize, usize)) -> Result<Tensor> {
    let numbers = (0..shape.0 * shape.1).map(|i| i as f32).collect();
    Ok(Tensor::from_vec(numbers, shape, &Device::Cpu)?)
}

/// A store that has a gradient for each name.
fn store(vars: &VarMap, grads: &[(&str, Tensor)]) -> Result<GradStore> {
    let mut store = Tensor::zeros(1, DType::F32, &Device::Cpu)?.backward()?; // candle has no public `new`
    for (name, grad) in grads {
        store.insert(&var(vars, name), grad.clone());
    }
    Ok(store)
}

/// A transposed gradient, and one that is a window of a larger tensor, step as in candle's SGD.
#[test]
fn strided_gradients() -> Result<()> {
    let (transposed, window) = (counted((3, 2))?.t()?, counted((2, 9))?.narrow(1, 4, 3)?);
    let offset = counted((9, 3))?.narrow(0, 4, 2)?; // contiguous, and not at the beginning
    assert!(!transposed.is_contiguous() && !window.is_contiguous() && offset.is_contiguous());
    for grad in [transposed, window, offset] {
        let [here, there] = [ones(&[("w", (2, 3))])?, ones(&[("w", (2, 3))])?];
        Stepper::new(here.all_vars(), compare::sgd(&here))?.step(&store(&here, &[("w", grad.clone())])?)?;
        SGD::new(there.all_vars(), 0.1)?.step(&store(&there, &[("w", grad)])?)?;
        assert_eq!(numbers(&here)?, numbers(&there)?);
    }
    Ok(())
}

/// An error of one tensor leaves all as they were, also those before it.
#[test]
fn all_or_nothing() -> Result<()> {
    let vars = ones(&[("a", (2, 2)), ("b", (2, 3))])?;
    let before = numbers(&vars)?;
    let rule = |_: &str, len| Momentum::new(1.0, 0.9, len);
    let mut optimizer = Stepper::new(vars.all_vars(), Config { learning_rate: 0.1, names: vars.clone(), rule })?;
    let fresh = optimizer.model.clone();
    let a = ("a", counted((2, 2))?);
    let double = counted((2, 3))?.to_dtype(DType::F64)?;
    let itself = var(&vars, "b").as_detached_tensor();
    for (b, expected) in [
        (Some(counted((3, 2))?), "`b`: the gradient has shape [3, 2], expected [2, 3]"),
        (Some(double), "`b`: parameters or gradients of another type, expected f32"),
        (Some(itself), "shares storage with dst"),
        (None, "tensor `b` is missing"),
    ] {
        let grads: Vec<_> = [Some(a.clone()), b.map(|b| ("b", b))].into_iter().flatten().collect();
        let error = optimizer.step(&store(&vars, &grads)?).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!((numbers(&vars)?, &optimizer.model), (before.clone(), &fresh));
    }
    // A learning rate that candle's trait cannot reject is the next step's error.
    optimizer.set_learning_rate(f64::NAN);
    let grads = store(&vars, &[a, ("b", counted((2, 3))?)])?;
    let error = optimizer.step(&grads).unwrap_err().to_string();
    assert!(error.contains("factor is NaN"), "{error}");
    assert_eq!((numbers(&vars)?, &optimizer.model), (before, &fresh));
    optimizer.set_learning_rate(0.1);
    optimizer.step(&grads)?;
    assert_eq!(optimizer.model.steps(), 1);
    Ok(())
}

/// A frozen variable stays as it is, and may have no gradient.
#[test]
fn frozen() -> Result<()> {
    let vars = ones(&[("a", (2, 2)), ("b", (2, 3))])?;
    vars.data().lock().unwrap().insert("count".to_string(), Var::zeros(1, DType::I64, &Device::Cpu)?); // left out, as by SGD
    let mut optimizer = Stepper::new(vars.all_vars(), compare::sgd(&vars))?;
    vars.data().lock().unwrap().remove("count");
    optimizer.model.freeze("b")?;
    optimizer.step(&store(&vars, &[("a", counted((2, 2))?), ("b", counted((2, 3))?)])?)?;
    optimizer.step(&store(&vars, &[("a", counted((2, 2))?)])?)?;
    assert_eq!(numbers(&vars)?["b"], [1.0; 6]);
    assert_eq!((numbers(&vars)?["a"][3], optimizer.model.steps()), (1.0 - 0.3 - 0.3, 2));
    Ok(())
}

/// State is found by name, in whatever order the HashMap gives the variables.
#[test]
fn order_of_the_map() -> Result<()> {
    let names: Vec<String> = (0..20).map(|i| format!("layer{i}")).collect();
    let shapes: Vec<(&str, (usize, usize))> = names.iter().map(|name| (name.as_str(), (1, 1))).collect();
    let vars = ones(&shapes)?;
    let rule = |_: &str, len| Momentum::new(1.0, 0.5, len);
    let config = || Config { learning_rate: 1.0, names: vars.clone(), rule };
    let grads: Vec<_> = shapes
        .iter()
        .zip(1..)
        .map(|((name, _), i)| Ok((*name, (counted((1, 1))? + f64::from(i))?)))
        .collect::<Result<_>>()?;
    let grads = store(&vars, &grads)?;
    let mut first = Stepper::new(vars.all_vars(), config())?;
    first.step(&grads)?;

    let mut other_order = vars.all_vars();
    other_order.reverse();
    let mut resumed = Stepper::new(other_order, config())?;
    resumed.model.restore(first.model.clone())?;
    resumed.step(&grads)?;
    for (name, i) in names.iter().zip(1..) {
        assert_eq!(numbers(&vars)?[name], [1.0 - i as f32 - 1.5 * i as f32], "{name}");
    }
    assert!(Stepper::new(vec![Var::ones(2, DType::F32, &Device::Cpu)?], config()).is_err());
    assert!(Stepper::new([vars.all_vars(), vars.all_vars()].concat(), config()).is_err());
    Ok(())
}

/// PyTorch's momentum, written in candle's operations, takes the same path to the bit.
#[test]
fn momentum_in_candles_operations() -> Result<()> {
    let vars = ones(&[("w", (50, 40))])?;
    let rule = |_: &str, len| Ok(Momentum::new(1.0, 0.9, len)?.with_form(MomentumForm::PyTorch));
    let mut optimizer = Stepper::new(vars.all_vars(), Config { learning_rate: 0.0, names: vars.clone(), rule })?;
    let (mut params, mut velocity) = (var(&vars, "w").as_tensor().copy()?, counted((50, 40))?.zeros_like()?);
    for step in 1..100 {
        let learning_rate = 0.1 / f64::from(step);
        let grad = ((params.sin()? - 0.3)? * counted((50, 40))?)?.detach();
        velocity = ((velocity * 0.9)? + &grad)?;
        params = (params - (&velocity * learning_rate)?)?;
        optimizer.set_learning_rate(learning_rate);
        optimizer.step(&store(&vars, &[("w", grad)])?)?;
        let params = params.flatten_all()?.to_vec1::<f32>()?;
        assert!(numbers(&vars)?["w"].iter().zip(&params).all(|(a, b)| a.to_bits() == b.to_bits()), "step {step}");
    }
    Ok(())
}

/// Stopped in the middle of an epoch and resumed, it ends with the same bits.
#[test]
fn resumes() -> Result<()> {
    let checkpoint = std::env::temp_dir().join(format!("with-candle-{}.checkpoint", std::process::id()));
    let options = |more: &[&str]| Options::parse_from([&["with-candle", "--epochs", "1"], more].concat());
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
