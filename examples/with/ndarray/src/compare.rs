//! gradstep beside the same update in ndarray's own operations.

use anyhow::{Result, ensure};
use gradstep::{Momentum, ParamGroups};
use ndarray::ArrayD;

use crate::{NAMES, initial, row, step};

const RATE: f32 = 0.05;
const LAMBDA: f32 = 0.9;

/// `m <- λ m - η g ; θ <- θ + m`.
fn own_step(velocity: &mut [ArrayD<f32>; 4], params: &mut [ArrayD<f32>; 4], grads: &[ArrayD<f32>; 4]) {
    for ((m, param), grad) in velocity.iter_mut().zip(params).zip(grads) {
        m.zip_mut_with(grad, |m, g| *m = LAMBDA * *m - RATE * g);
        *param += &*m;
    }
}

/// Prints a row of a table.
pub(crate) fn row() -> Result<()> {
    // 784 - 128 - 10; gradients row by row, and then column by column, with the same numbers.
    let (start, grads) = (initial([784, 128, 10], 0), initial([784, 128, 10], 1));
    let columns = grads.each_ref().map(|grad| grad.t().as_standard_layout().into_owned().reversed_axes());
    ensure!(!columns[0].is_standard_layout() && columns[0] == grads[0], "the second layout is no other");
    let model = || -> Result<_> {
        let mut model = ParamGroups::new();
        for (name, param) in NAMES.into_iter().zip(&start) {
            model.insert(name, Momentum::new(RATE.into(), LAMBDA.into(), param.len())?)?;
        }
        Ok(model)
    };
    // The third begins column by column, too.
    let turned_start = start.each_ref().map(|param| param.t().as_standard_layout().into_owned().reversed_axes());
    let (mut here, mut there, mut turned) = (start.clone(), start.clone(), turned_start);
    let mut velocity = start.each_ref().map(|param| ArrayD::zeros(param.raw_dim()));
    let (mut model_here, mut model_turned) = (model()?, model()?);
    let mut least = [f64::MAX; 2];
    for _ in 0..300 {
        row::time(&mut least[0], || step(&mut model_here, &mut here, &grads))?;
        row::time(&mut least[1], || own_step(&mut velocity, &mut there, &grads));
        step(&mut model_turned, &mut turned, &columns)?;
    }
    let bits =
        |params: &[ArrayD<f32>; 4]| -> Vec<u32> { params.iter().flatten().map(|param| param.to_bits()).collect() };
    ensure!(bits(&here) == bits(&there) && bits(&here) == bits(&turned), "another trajectory");
    row::print("ndarray", "to the bit, 300 steps", least, include_str!("main.rs"), "what is not in row order");
    Ok(())
}
