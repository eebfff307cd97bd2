//! Steps of whole models: `ParamGroups`, one flat slice of the same size, bare loops, and torch's optimizer (if PYTHON
//! names an interpreter that has torch), on one thread and, with feature `rayon`, on as many as there are.
//!
//! `cargo bench --bench models [-- adamw] [LONGEST]`; momentum in PyTorch's form with coupled decay, or AdamW; f32;
//! microseconds a step, the least of several rounds taken in turn, torch's process too. models.txt has the lengths of the
//! tensors.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use gradstep::{Adam, Error, Momentum, MomentumForm, Optimizer, ParamGroups, WeightDecay};

mod common;
use common::{alone, heading, largest, seconds};

const LEARNING_RATE: f32 = 1e-3;
const MOMENTUM: f32 = 0.9;
const DECAY: f32 = 1e-4;

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

/// A model in torch's process, not yet asked for a step.
struct Torch {
    process: Child,
    sum: f64,
}

impl Torch {
    fn line(process: &mut Child) -> String {
        // Byte by byte: a buffer of its own would take more than the line.
        let mut line = String::new();
        let out = process.stdout.as_mut().expect("piped");
        BufReader::with_capacity(1, out).read_line(&mut line).expect("models.py answers");
        line.trim().to_string()
    }

    fn start(rule: &str, lens: &[usize]) -> Option<Torch> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/models.py");
        let settings = [LEARNING_RATE, MOMENTUM, DECAY].map(|setting| setting.to_string());
        let mut process = Command::new(std::env::var_os("PYTHON")?)
            .args([script, rule])
            .args(settings.into_iter().chain(lens.iter().map(usize::to_string)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("PYTHON runs");
        println!("# torch {}", Self::line(&mut process));
        let sum = Self::line(&mut process).parse().expect("a sum");
        Some(Torch { process, sum })
    }

    /// The seconds of a step.
    fn step(&mut self, how: &str) -> f64 {
        writeln!(self.process.stdin.as_mut().expect("piped"), "{how}").expect("models.py listens");
        Self::line(&mut self.process).parse::<f64>().expect("nanoseconds") / 1e9
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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

/// Seconds of the faster of so many calls.
fn time(calls: usize, mut step: impl FnMut()) -> f64 {
    (0..calls).map(|_| seconds(&mut step)).fold(f64::INFINITY, f64::min)
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
    if std::env::args().any(|argument| argument == "adamw") {
        heading("cargo bench --bench models -- adamw");
        measure("adamw", adamw, bare_adamw)
    } else {
        heading("cargo bench --bench models");
        measure("momentum", momentum, bare_momentum)
    }
}

fn measure<O: Optimizer<f32>>(rule: &str, new: fn(usize) -> Result<O, Error>, bare: Bare) -> Result<(), Error> {
    println!("{:>15}, {:17}, {:>10}, {:>19}", "model", "contender", "us", "time / ParamGroups'");
    let longest = largest(usize::MAX);
    for (name, lens) in models() {
        let n = lens.iter().sum();
        if n > longest {
            continue;
        }
        let tensor = |len: usize| (0..len).map(|i| (i % 5) as f32);
        let start: Vec<f32> = lens.iter().flat_map(|&len| tensor(len)).collect();
        let grads: Vec<f32> = lens.iter().flat_map(|&len| (0..len).map(|i| (i % 16) as f32 - 7.5)).collect();
        let mut torch = Torch::start(rule, &lens);

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
        let sum: f64 = three.0.into_iter().map(f64::from).sum();
        if let Some(torch) = &torch {
            assert!((sum - torch.sum).abs() <= 1e-6 * sum.abs(), "torch gets {}, gradstep {sum}", torch.sum);
        }
        let [mut in_groups, mut flat, mut in_loops] = [start.clone(), start.clone(), start];
        let (mut first, mut second, mut t) = (vec![0.0; n], vec![0.0; n], 0);

        let mut tensors: Vec<(&str, &mut [f32], &[f32])> = cut_mut(&lens, &mut in_groups)
            .zip(cut(&lens, &grads))
            .zip(&names)
            .map(|((params, grads), name)| (name.as_str(), params, grads))
            .collect();
        let mut step_groups = || model.step(&mut tensors).expect("all tensors");
        let mut step_flat = || whole.step(&mut flat, &grads).expect("the same length");
        let mut step_loops = || {
            t += 1;
            let state = cut_mut(&lens, &mut first).zip(cut_mut(&lens, &mut second));
            let slices = cut_mut(&lens, &mut in_loops).zip(state).zip(cut(&lens, &grads));
            slices.for_each(|((params, (first, second)), grads)| bare(params, [first, second], grads, t));
        };
        let mut times: Vec<(String, f64)> = Vec::new();
        let rounds = (2_000_000_000 / n).clamp(12, 400);
        for _ in 0..rounds {
            let mut round = vec![
                ("ParamGroups".to_string(), time(3, &mut step_groups)),
                ("flat".to_string(), time(3, &mut step_flat)),
                ("ParamGroups 1T".to_string(), alone(|| time(3, &mut step_groups))),
                ("flat 1T".to_string(), alone(|| time(3, &mut step_flat))),
                ("bare loops 1T".to_string(), time(3, &mut step_loops)),
            ];
            if let Some(torch) = &mut torch {
                for how in ["fused 1", "fused 2", "foreach 1", "foreach 2"] {
                    round.push((format!("torch {how}T"), torch.step(how)));
                }
                // Its threads stay awake for a while, and there are no more cores than they.
                thread::sleep(Duration::from_millis(20));
            }
            times.resize_with(round.len(), || (String::new(), f64::INFINITY));
            for (least, (name, time)) in times.iter_mut().zip(round) {
                *least = (name, time.min(least.1));
            }
        }
        assert!(in_groups == flat, "ParamGroups and one slice differ");
        let groups = times[0].1;
        for (contender, time) in &times {
            println!("{name:>15}, {contender:17}, {:10.1}, {:19.2}", time * 1e6, time / groups);
        }
    }
    Ok(())
}
