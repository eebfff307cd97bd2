//! A step of momentum and the update of an average of the weights, beside torch's fused SGD and `AveragedModel`, and
//! beside one loop that does both in one pass.
//!
//! `cargo bench --features simd,rayon --bench average [-- LONGEST]`, with torch if PYTHON names an interpreter that has
//! it. f32, microseconds, least of all rounds; the contenders run in turn.

use std::{cell::RefCell, sync::Mutex};

use gradstep::{Error, Momentum, MomentumForm, Optimizer, WeightAverage, elementwise};

mod common;
use common::{Contender, Torch, alone, best, heading, largest, race};

const LEARNING_RATE: f64 = 1e-3;
const MOMENTUM: f64 = 0.9;
const DECAY: f64 = 0.999;

fn main() -> Result<(), Error> {
    heading("cargo bench --bench average", "n, contender, us");
    let longest = largest(1 << 25);
    for n in [65_536, 1 << 20, 1 << 25].into_iter().filter(|&n| n <= longest) {
        let start: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
        let grads: Vec<f32> = (0..n).map(|i| (i % 16) as f32 - 7.5).collect();
        let mut momentum = Momentum::new(LEARNING_RATE, MOMENTUM, n)?.with_form(MomentumForm::PyTorch);
        let (mut params, mut average) = (start.clone(), WeightAverage::ema(DECAY, n)?);
        let mut step = |average: &mut WeightAverage<f32>| {
            momentum.step(&mut params, &grads).expect("the same length");
            average.update(&params).expect("finite");
        };
        (0..3).for_each(|_| step(&mut average));
        let torch = Torch::start("average", [LEARNING_RATE, MOMENTUM, DECAY], &[n]).map(RefCell::new);
        if let Some(torch) = &torch {
            torch.borrow_mut().assert_sum(average.values()?.iter().copied().map(f64::from).sum());
        }
        let ours = Mutex::new(|| step(&mut average));

        let [mut params, mut velocity, mut averaged] = [start.clone(), vec![0.0; n], start];
        let (rate, lambda, weight) = (LEARNING_RATE as f32, MOMENTUM as f32, (1.0 - DECAY) as f32);
        let in_one_pass = Mutex::new(|| {
            elementwise(&mut params, [&mut velocity, &mut averaged], &grads, |p, [v, a], g| {
                let v = lambda * v + g;
                let p = p - rate * v;
                (p, [v, a + weight * (p - a)])
            })
            .expect("the same length");
        });
        let mut contenders: Vec<Contender> = vec![
            ("gradstep", Box::new(|| best(&ours))),
            ("one pass without a check", Box::new(|| best(&in_one_pass))),
            ("gradstep 1T", Box::new(|| alone(|| best(&ours)))),
            ("one pass without a check 1T", Box::new(|| alone(|| best(&in_one_pass)))),
        ];
        contenders.extend(Torch::contenders(&torch, &["torch fused 2T", "torch fused 1T"]));
        race(&n.to_string(), (1_000_000_000 / n).clamp(12, 200), contenders);
    }
    Ok(())
}
