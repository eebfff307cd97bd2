//! Steps of whole models: `ParamGroups`, one flat slice of the same size, bare loops, and torch's optimizer (if PYTHON
//! names an interpreter that has torch), on one thread and, with feature `rayon`, on all threads.
//!
//! `cargo bench --bench models [-- adamw] [LONGEST]`; momentum in PyTorch's form with coupled decay, or AdamW; f32;
//! microseconds per step, the least of several rounds taken in turn; torch's process takes its turns too. models.txt
//! has the lengths of the tensors.

use std::{cell::RefCell, sync::Mutex};

use gradstep::{Adam, Error, Momentum, MomentumForm, Optimizer, ParamGroups, WeightDecay};

mod common;
use common::{Contender, Torch, alone, best, heading, largest, race};

const LEARNING_RATE: f32 = 1e-3;
const MOMENTUM: f32 = 0.9;
const DECAY: f32 = 1e-4;
const TORCH: [&str; 4] = ["torch fused 1T", "torch fused 2T", "torch foreach 1T", "torch foreach 2T"];

/// Names and lengths, from models.txt.
fn models() -> Vec<(&'static str, Vec<usize>)> {
    let text = include_str!("models.txt").split_once('\n').expect("a comment").1;
    let lengths = |word: &str| {
        let (len, count) = word.split_once('*').unwrap_or((word, "1"));
        vec![len.parse().expect("a length"); count.parse().expect("a count")]
    };
    let model = |text: &'static str| {
        let (name, words) = text.split_once('\n').expect("a name");
        (name, words.split_whitespace().flat_map(lengths).collect())
    };
    text.split("\n\n").map(model).collect()
}

/// The bare loop over the parameters, two slices of state and the gradients, at step t.
type Bare = fn(&mut [f32], [&mut [f32]; 2], &[f32], i32);

#[inline(never)]
fn bare_momentum(params: &mut [f32], [velocity, _]: [&mut [f32]; 2], grads: &[f32], _: i32) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for ((p, v), &g) in params.iter_mut().zip(velocity).zip(grads) {
                *v = MOMENTUM * *v + (g + DECAY * *p);
                *p -= LEARNING_RATE * *v;
            }
        },
    );
}

#[inline(never)]
fn bare_adamw(params: &mut [f32], [m, v]: [&mut [f32]; 2], grads: &[f32], t: i32) {
    let (rest1, rest2) = (1.0 - 0.9_f32, 1.0 - 0.999_f32);
    let [c1, c2] = [0.9_f32, 0.999].map(|beta| 1.0 - f64::from(beta).powi(t));
    let (rate, scale) = ((f64::from(LEARNING_RATE) / c1) as f32, (1.0 / c2.sqrt()) as f32);
    let decay = (f64::from(LEARNING_RATE) * f64::from(DECAY)) as f32;
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            for (((p, m), v), &g) in params.iter_mut().zip(m).zip(v).zip(grads) {
                *p -= decay * *p;
                *m = 0.9 * *m + rest1 * g;
                *v = 0.999 * *v + rest2 * (g * g);
                *p -= rate * (*m / (scale * v.sqrt() + 1e-8));
            }
        },
    );
}

/// Cuts a slice into the tensors of a model.
fn cut<'a>(lens: &'a [usize], mut rest: &'a [f32]) -> impl Iterator<Item = &'a [f32]> {
    lens.iter().map(move |&len| {
        let first;
        (first, rest) = rest.split_at(len);
        first
    })
}

fn cut_mut<'a>(lens: &'a [usize], mut rest: &'a mut [f32]) -> impl Iterator<Item = &'a mut [f32]> {
    lens.iter().map(move |&len| {
        let first;
        (first, rest) = std::mem::take(&mut rest).split_at_mut(len);
        first
    })
}

fn momentum(len: usize) -> Result<Momentum<f32>, Error> {
    Momentum::new(LEARNING_RATE.into(), MOMENTUM.into(), len)?
        .with_form(MomentumForm::PyTorch)
        .with_weight_decay(WeightDecay::Coupled(DECAY.into()))
}

fn adamw(len: usize) -> Result<Adam<f32>, Error> {
    Adam::new(LEARNING_RATE.into(), len)?.with_weight_decay(WeightDecay::Decoupled(DECAY.into()))
}

fn main() -> Result<(), Error> {
    let adamw = std::env::args().any(|argument| argument == "adamw");
    heading(
        if adamw { "cargo bench --bench models -- adamw" } else { "cargo bench --bench models" },
        "model, contender, us",
    );
    if adamw { measure("adamw", self::adamw, bare_adamw) } else { measure("momentum", momentum, bare_momentum) }
}

fn measure<O: Optimizer<f32>>(rule: &str, new: fn(usize) -> Result<O, Error>, bare: Bare) -> Result<(), Error> {
    let longest = largest(usize::MAX);
    for (name, lens) in models() {
        let n = lens.iter().sum();
        if n > longest {
            continue;
        }
        let numbers = |modulus: usize, middle: f32| -> Vec<f32> {
            lens.iter().flat_map(|&len| (0..len).map(move |i| (i % modulus) as f32 - middle)).collect()
        };
        let (start, grads) = (numbers(5, 0.0), numbers(16, 7.5));
        let torch = Torch::start(rule, [LEARNING_RATE, MOMENTUM, DECAY].map(f64::from), &lens).map(RefCell::new);

        let names: Vec<String> = (0..lens.len()).map(|i| format!("layers.{i}.weight")).collect();
        let mut model = ParamGroups::new();
        for (name, &len) in names.iter().zip(&lens) {
            model.insert(name, new(len)?)?;
        }
        let mut whole = new(n)?;
        let mut three = (start.clone(), new(n)?);
        let mut three_loops = (start.clone(), vec![0.0; n], vec![0.0; n]);
        for t in 1..=3 {
            three.1.step(&mut three.0, &grads)?;
            bare(&mut three_loops.0, [&mut three_loops.1, &mut three_loops.2], &grads, t);
        }
        assert!(three_loops.0 == three.0, "another result than the bare loop's");
        drop(three_loops);
        if let Some(torch) = &torch {
            torch.borrow_mut().assert_sum(three.0.into_iter().map(f64::from).sum());
        }
        let [mut in_groups, mut flat, mut in_loops] = [start.clone(), start.clone(), start];
        let (mut first, mut second, mut t) = (vec![0.0; n], vec![0.0; n], 0);

        let mut tensors: Vec<(&str, &mut [f32], &[f32])> = cut_mut(&lens, &mut in_groups)
            .zip(cut(&lens, &grads))
            .zip(&names)
            .map(|((params, grads), name)| (name.as_str(), params, grads))
            .collect();
        let step_groups = Mutex::new(|| model.step(&mut tensors).expect("all tensors"));
        let step_flat = Mutex::new(|| whole.step(&mut flat, &grads).expect("the same length"));
        let step_loops = Mutex::new(|| {
            t += 1;
            let state = cut_mut(&lens, &mut first).zip(cut_mut(&lens, &mut second));
            let slices = cut_mut(&lens, &mut in_loops).zip(state).zip(cut(&lens, &grads));
            slices.for_each(|((params, (first, second)), grads)| bare(params, [first, second], grads, t));
        });
        let mut contenders: Vec<Contender> = vec![
            ("ParamGroups", Box::new(|| best(&step_groups))),
            ("flat", Box::new(|| best(&step_flat))),
            ("ParamGroups 1T", Box::new(|| alone(|| best(&step_groups)))),
            ("flat 1T", Box::new(|| alone(|| best(&step_flat)))),
            ("bare loops 1T", Box::new(|| best(&step_loops))),
        ];
        contenders.extend(Torch::contenders(&torch, &TORCH));
        race(name, (1_000_000_000 / n).clamp(8, 100), contenders);
        assert!(in_groups == flat, "ParamGroups and one slice differ");
    }
    Ok(())
}
