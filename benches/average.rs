//! A step of momentum and the update of an average of the weights, beside torch's fused SGD and `AveragedModel`, and beside
//! one loop that does both in one pass.
//!
//! `cargo bench --features simd,rayon --bench average [-- LONGEST]`, with torch if PYTHON names an interpreter that has it.
//! f32, microseconds, least of all rounds; the contenders run in turn.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use gradstep::{Momentum, MomentumForm, Optimizer, WeightAverage, elementwise};

mod common;
use common::{alone, heading, largest, seconds};

const LEARNING_RATE: f64 = 1e-3;
const MOMENTUM: f64 = 0.9;
const DECAY: f64 = 0.999;

struct Torch(Child);

impl Torch {
    fn start(len: usize) -> Option<Torch> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/average.py");
        let settings = [LEARNING_RATE, MOMENTUM, DECAY].map(|setting| setting.to_string());
        let process = Command::new(std::env::var_os("PYTHON")?)
            .arg(script)
            .args(settings)
            .arg(len.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        Some(Torch(process.expect("PYTHON runs")))
    }

    fn line(&mut self) -> String {
        // Byte by byte: a buffer of its own would take more than the line.
        let mut line = String::new();
        let out = self.0.stdout.as_mut().expect("piped");
        BufReader::with_capacity(1, out).read_line(&mut line).expect("average.py answers");
        line.trim().to_string()
    }

    /// The seconds of a step and an average.
    fn step(&mut self, threads: usize) -> f64 {
        writeln!(self.0.stdin.as_mut().expect("piped"), "{threads}").expect("average.py listens");
        self.line().parse::<f64>().expect("nanoseconds") / 1e9
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), gradstep::Error> {
    heading("cargo bench --bench average");
    let longest = largest(1 << 25);
    println!("{:>10}, {:28}, {:>10}, {:>13}", "n", "contender", "us", "time / ours");
    for n in [65_536, 1 << 20, 1 << 25].into_iter().filter(|&n| n <= longest) {
        let start: Vec<f32> = (0..n).map(|i| (i % 5) as f32).collect();
        let grads: Vec<f32> = (0..n).map(|i| (i % 16) as f32 - 7.5).collect();
        let momentum = Momentum::new(LEARNING_RATE, MOMENTUM, n)?.with_form(MomentumForm::PyTorch);
        let (mut params, mut momentum, mut average) = (start.clone(), momentum, WeightAverage::ema(DECAY, n)?);
        let mut ours = || {
            momentum.step(&mut params, &grads).expect("the same length");
            average.update(&params).expect("finite");
        };
        let mut torch = Torch::start(n);
        (0..3).for_each(|_| ours());
        if let Some(torch) = &mut torch {
            println!("# torch {}", torch.line());
            let theirs: f64 = torch.line().parse().expect("a sum");
            let mut check =
                (start.clone(), Momentum::new(LEARNING_RATE, MOMENTUM, n)?.with_form(MomentumForm::PyTorch));
            let mut average = WeightAverage::ema(DECAY, n)?;
            for _ in 0..3 {
                check.1.step(&mut check.0, &grads)?;
                average.update(&check.0)?;
            }
            let sum: f64 = average.values()?.iter().copied().map(f64::from).sum();
            assert!((sum - theirs).abs() <= 1e-6 * sum.abs(), "torch gets {theirs}, gradstep {sum}");
        }

        let [mut params, mut velocity, mut averaged] = [start.clone(), vec![0.0; n], start];
        let (rate, lambda, weight) = (LEARNING_RATE as f32, MOMENTUM as f32, (1.0 - DECAY) as f32);
        let mut in_one_pass = || {
            elementwise(&mut params, [&mut velocity, &mut averaged], &grads, |p, [v, a], g| {
                let v = lambda * v + g;
                let p = p - rate * v;
                (p, [v, a + weight * (p - a)])
            })
            .expect("the same length");
        };
        let best = |work: &mut dyn FnMut()| (0..3).map(|_| seconds(&mut *work)).fold(f64::INFINITY, f64::min);
        let mut times: Vec<(&str, f64)> = Vec::new();
        for _ in 0..(1_000_000_000 / n).clamp(12, 400) {
            let mut round = vec![
                ("ours", best(&mut ours)),
                ("ours, one thread", alone(|| best(&mut ours))),
                ("one pass, unchecked", best(&mut in_one_pass)),
                ("one pass, unchecked, 1 thread", alone(|| best(&mut in_one_pass))),
            ];
            if let Some(torch) = &mut torch {
                round.push(("torch, two threads", torch.step(2)));
                round.push(("torch, one thread", torch.step(1)));
                // Its threads stay awake for a while, and there are no more cores than they.
                thread::sleep(Duration::from_millis(20));
            }
            times.resize(round.len(), ("", f64::INFINITY));
            for (least, (name, time)) in times.iter_mut().zip(round) {
                *least = (name, time.min(least.1));
            }
        }
        for (contender, time) in &times {
            println!("{n:>10}, {contender:28}, {:10.1}, {:13.2}", time * 1e6, time / times[0].1);
        }
    }
    Ok(())
}
