//! Every pass over all parameters, beside the bare loop with the same traffic and the same vectors.
//!
//! `cargo bench --features simd,half,rayon --bench passes [-- LONGEST]`; microseconds, least of several rounds taken in
//! turn, f32: ours and the bare loop on one thread, then both on all. The bare loop's threads are rayon's too. Last
//! come `step_clipped` and the two calls that it replaces, on one thread.

use std::hint::black_box;

use gradstep::{
    Accumulator, Adam, Grads, MasterCopy, Momentum, Optimizer, Sgd, WeightAverage, check_finite, clip_global_norm,
    clip_value, gather, global_norm,
};
use half::{bf16, f16};
use pulp::Arch;

mod common;
use common::{Pages, alone, heading, largest, least, seconds};

#[global_allocator]
static PAGES: Pages = Pages;

const RATE: f32 = 1e-3;
const LAMBDA: f32 = 0.9;
/// Of the average.
const WEIGHT: f32 = 1e-3;

/// The bare loop, with the vectors that `gradstep` has.
fn wide<R>(f: impl FnOnce() -> R) -> R {
    if cfg!(feature = "simd") { Arch::new().dispatch(f) } else { f() }
}

/// By value: behind a reference the sums are taken for 16 scalars.
#[inline(always)]
fn add_squares(mut sums: [f64; 16], grads: &[f32]) -> [f64; 16] {
    for row in grads.chunks_exact(16) {
        for (sum, &g) in sums.iter_mut().zip(row) {
            *sum += f64::from(g) * f64::from(g);
        }
    }
    sums
}

#[inline(always)]
fn squares(grads: &[f32]) -> f64 {
    add_squares([0.0; 16], grads).iter().sum()
}

/// Of bf16, widened part by part, so that both loops vectorise.
#[inline(always)]
fn squares_bf16(grads: &[bf16]) -> f64 {
    let (mut sums, mut wide) = ([0.0; 16], [0.0; 256]);
    for part in grads.chunks_exact(256) {
        wide.iter_mut().zip(part).for_each(|(wide, g)| *wide = f32::from_bits(u32::from(g.to_bits()) << 16));
        sums = add_squares(sums, &wide);
    }
    sums.iter().sum()
}

#[inline(always)]
fn scale(grads: &mut [f32], by: f64) {
    grads.iter_mut().for_each(|g| *g = (f64::from(*g) * by) as f32);
}

#[inline(always)]
fn momentum(params: &mut [f32], velocity: &mut [f32], grads: &[f32]) {
    for ((p, m), &g) in params.iter_mut().zip(velocity).zip(grads) {
        *m = LAMBDA * *m - RATE * g;
        *p += *m;
    }
}

/// The same into bf16, with the rounding of `half`, branch-free.
#[inline(always)]
fn momentum_bf16(master: &mut [f32], velocity: &mut [f32], grads: &[bf16], params: &mut [bf16]) {
    for (((p, m), &g), half) in master.iter_mut().zip(velocity).zip(grads).zip(params) {
        *m = LAMBDA * *m - RATE * f32::from_bits(u32::from(g.to_bits()) << 16);
        *p += *m;
        let bits = p.to_bits();
        let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
        *half = bf16::from_bits(if p.is_nan() { bits >> 16 | 0x40 } else { rounded } as u16);
    }
}

#[inline(always)]
fn average(average: &mut [f32], params: &[f32]) {
    average.iter_mut().zip(params).for_each(|(average, &p)| *average += WEIGHT * (p - *average));
}

/// That many updates with `params` after one with `start`.
fn averages(start: f32, params: Vec<f32>) -> Contender<'static> {
    let mut ours = WeightAverage::ema(1.0 - f64::from(WEIGHT), params.len()).expect("valid");
    ours.update(&vec![start; params.len()]).expect("valid");
    Box::new(move || ours.update(&params).expect("valid"))
}

#[inline(always)]
fn all_finite(grads: &[f32]) -> bool {
    grads.iter().fold(true, |all, g| all & g.is_finite())
}

type Contender<'a> = Box<dyn FnMut() + Send + 'a>;

/// A name, ours, and what makes the bare loop over the gradients or a part of them.
type Row<'a> = (&'static str, Contender<'a>, Box<dyn Fn(&'a [f32]) -> Contender<'a> + 'a>);

fn main() {
    heading("cargo bench --features simd,half,rayon --bench passes", "pass, n, ours 1T, bare 1T, ours, bare");
    let longest = largest(1 << 25);
    for n in [4096, 65_536, 1 << 20, 1 << 22, 1 << 25].into_iter().filter(|&n| n <= longest) {
        let grads: Vec<f32> = (0..n).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
        let rounds = (30_000_000 / n).clamp(5, 2000);
        let show = |name, times: Vec<f64>| {
            let cell = |i: usize| times.get(i).map(|time| format!("{:.2}", time * 1e6)).unwrap_or_default();
            println!("{name}, {n}, {}", [0, 1, 2, 3].map(cell).join(", "));
        };
        for (name, ours, bare) in rows(&grads) {
            show(name, measure(rounds, &grads, ours, &*bare));
        }
        for (name, mut ours, theirs) in two_calls(&grads) {
            let mut theirs = theirs(&grads);
            show(name, alone(|| least(rounds, 3, &mut [&mut ours, &mut theirs], |call| seconds(&mut **call))));
        }
    }
}

fn measure<'a>(
    rounds: usize,
    grads: &'a [f32],
    ours: Contender<'a>,
    bare: &dyn Fn(&'a [f32]) -> Contender<'a>,
) -> Vec<f64> {
    let threads = rayon::current_num_threads();
    let mut parts: Vec<Contender> = grads.chunks(grads.len().div_ceil(threads)).map(bare).collect();
    let mut shared = || {
        let (first, others) = parts.split_first_mut().expect("a part");
        rayon::in_place_scope(|scope| {
            others.iter_mut().for_each(|other| scope.spawn(|_| other()));
            first();
        });
    };
    let (ours, mut bare) = (std::cell::RefCell::new(ours), bare(grads));
    // Both timed inside, so that waking the one thread does not count, and both there: another core has other caches.
    let mut one_thread = || {
        let ours = &mut **ours.borrow_mut();
        alone(|| seconds(ours))
    };
    let contenders: &mut [&mut dyn FnMut() -> f64] = &mut [
        &mut one_thread,
        &mut || alone(|| seconds(&mut bare)),
        &mut || seconds(&mut **ours.borrow_mut()),
        &mut || seconds(&mut shared),
    ];
    least(rounds, 3, contenders, |contender| contender())
}

/// `step_clipped` with one limit, and `clip_global_norm` and `step` with a limit that falls by a factor in each round:
/// each time the gradients are clipped a little more, if at all.
fn two_calls(grads: &[f32]) -> Vec<Row<'_>> {
    fn row<'a>(
        name: &'static str,
        grads: &'a [f32],
        optimizer: impl Optimizer<f32> + Clone + 'a,
        max_norm: f64,
        (limit, factor): (f64, f64),
    ) -> Row<'a> {
        let (mut params, mut ours) = (grads.to_vec(), optimizer.clone());
        (
            name,
            Box::new(move || assert!(ours.step_clipped(&mut params, Grads::new(grads), max_norm).is_ok())),
            Box::new(move |grads| {
                let (mut params, mut clipped, mut limit) = (grads.to_vec(), grads.to_vec(), limit);
                let mut theirs = optimizer.clone();
                Box::new(move || {
                    limit *= factor;
                    clip_global_norm(&mut [&mut clipped], limit).expect("finite");
                    theirs.step(&mut params, &clipped).expect("same length");
                })
            }),
        )
    }
    let norm = global_norm(&[grads]).expect("finite");
    let momentum = Momentum::new(RATE.into(), LAMBDA.into(), grads.len()).expect("valid");
    let sgd = Sgd::new(RATE.into()).expect("valid");
    vec![
        row("two calls / step_clipped; Momentum", grads, momentum.clone(), norm / 2.0, (norm, 0.9999)),
        row("two calls / step_clipped; Sgd", grads, sgd, norm / 2.0, (norm, 0.9999)),
        row("two calls / step_clipped; does not clip", grads, momentum, 9.0 * norm, (9.0 * norm, 1.0)),
    ]
}

fn bare_norm<'a>(grads: &'a [f32]) -> Contender<'a> {
    Box::new(move || {
        let sum = wide(
            #[inline(always)]
            || squares(grads),
        );
        assert!(sum >= 0.0);
    })
}

fn bare_momentum<'a>(grads: &'a [f32]) -> Contender<'a> {
    let (mut params, mut velocity) = (grads.to_vec(), vec![0.0; grads.len()]);
    Box::new(move || {
        wide(
            #[inline(always)]
            || momentum(&mut params, &mut velocity, grads),
        )
    })
}

/// A bare loop over `grads` with slices of its own, on the vectors that `gradstep` has.
macro_rules! bare {
    (|$grads:ident| $(let $own:ident = $start:expr;)* $work:expr) => {
        Box::new(move |$grads: &[f32]| -> Contender {
            $(#[allow(unused_mut, reason = "some are only read")] let mut $own = $start;)*
            Box::new(move || {
                wide(
                    #[inline(always)]
                    || $work,
                )
            })
        })
    };
}

fn rows(grads: &[f32]) -> Vec<Row<'_>> {
    let n = grads.len();
    let norm = global_norm(&[grads]).expect("finite");
    let momentum = Momentum::new(RATE.into(), LAMBDA.into(), n).expect("valid");
    let sgd = Sgd::new(RATE.into()).expect("valid");
    let mut rows: Vec<Row> = Vec::new();

    rows.push(("global_norm", Box::new(move || assert!(global_norm(&[grads]).is_ok())), Box::new(bare_norm)));
    rows.push((
        "check_finite",
        Box::new(move || assert!(check_finite(&[grads]).is_ok())),
        bare!(|grads| assert!(all_finite(grads))),
    ));

    // Less and less, so that it clips each time.
    let (mut clipped, mut max) = (grads.to_vec(), norm);
    rows.push((
        "clip_global_norm; clips",
        Box::new(move || {
            max *= 0.9999;
            assert!(clip_global_norm(&mut [&mut clipped], max).expect("finite") > max);
        }),
        bare!(|grads| let clipped = grads.to_vec(); {
            assert!(squares(&clipped) > 0.0);
            scale(&mut clipped, 0.9999);
        }),
    ));
    let mut clipped = grads.to_vec();
    rows.push((
        "clip_value",
        Box::new(move || clip_value(&mut [&mut clipped], 0.5).expect("finite")),
        bare!(|grads| let clipped = grads.to_vec(); {
            assert!(all_finite(&clipped));
            clipped.iter_mut().for_each(|g| *g = g.clamp(-0.5, 0.5));
        }),
    ));
    let mut accumulator = Accumulator::new(n).expect("memory");
    rows.push((
        "Accumulator::add",
        Box::new(move || accumulator.add(grads, 3).expect("same length")),
        bare!(|grads| let sum = vec![0.0_f64; grads.len()]; {
            sum.iter_mut().zip(grads).for_each(|(sum, &g)| *sum += 3.0 * f64::from(g));
        }),
    ));
    let (mut accumulator, mut mean) = (Accumulator::new(n).expect("memory"), grads.to_vec());
    accumulator.add(grads, 3).expect("same length");
    rows.push((
        "Accumulator::mean",
        Box::new(move || accumulator.mean(&mut mean).expect("finite")),
        bare!(|grads| let sum = vec![0.5_f64; grads.len()]; let mean = grads.to_vec(); {
            assert!(sum.iter().fold(true, |all, sum| all & ((sum / 3.0) as f32).is_finite()));
            mean.iter_mut().zip(&sum).for_each(|(g, sum)| *g = (sum / 3.0) as f32);
        }),
    ));

    rows.push((
        "WeightAverage::update",
        averages(1.0, grads.to_vec()),
        bare!(|grads| let own = vec![1.0; grads.len()]; {
            assert!(all_finite(grads));
            average(&mut own, grads);
        }),
    ));
    rows.push((
        "a loop without a check / WeightAverage::update",
        averages(1.0, grads.to_vec()),
        bare!(|grads| let own = vec![1.0; grads.len()]; average(&mut own, grads)),
    ));
    rows.push((
        "live / WeightAverage::update of parameters that became 0",
        averages(1e-35, vec![0.0; n]),
        Box::new(|grads| averages(1.0, grads.to_vec())),
    ));
    let (mut params, mut ours) = (grads.to_vec(), WeightAverage::mean(n).expect("valid"));
    ours.update(grads).expect("valid");
    rows.push((
        "WeightAverage::swap",
        Box::new(move || ours.swap(&mut params).expect("same length")),
        bare!(|grads| let own = (grads.to_vec(), grads.to_vec()); own.0.swap_with_slice(&mut own.1)),
    ));

    let (mut params, mut ours) = (grads.to_vec(), sgd.clone());
    rows.push((
        "Sgd::step",
        Box::new(move || ours.step(&mut params, grads).expect("same length")),
        bare!(|grads| let params = grads.to_vec(); params.iter_mut().zip(grads).for_each(|(p, &g)| *p -= RATE * g)),
    ));
    let (mut params, mut ours) = (grads.to_vec(), momentum.clone());
    rows.push((
        "Momentum::step",
        Box::new(move || ours.step(&mut params, grads).expect("same length")),
        Box::new(bare_momentum),
    ));

    // The correction of the first step.
    let (mut params, mut ours) = (grads.to_vec(), Adam::new(RATE.into(), n).expect("valid"));
    rows.push((
        "Adam::step",
        Box::new(move || ours.step(&mut params, grads).expect("same length")),
        bare!(|grads| let params = grads.to_vec(); let m = vec![0.0; grads.len()]; let v = vec![0.0; grads.len()]; {
            for (((p, m), v), &g) in params.iter_mut().zip(&mut m).zip(&mut v).zip(grads) {
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * (g * g);
                *p -= 10.0 * RATE * (*m / (31.6 * f32::sqrt(*v) + 1e-8));
            }
        }),
    ));

    let max = norm / 2.0;
    let (mut params, mut ours) = (grads.to_vec(), momentum.clone());
    rows.push((
        "step_clipped; Momentum; clips",
        Box::new(move || assert!(ours.step_clipped(&mut params, Grads::new(grads), max).is_ok())),
        bare!(|grads| let params = grads.to_vec(); let velocity = vec![0.0; grads.len()]; {
            let scale = max / squares(grads).sqrt();
            for ((p, m), &g) in params.iter_mut().zip(&mut velocity).zip(grads) {
                *m = LAMBDA * *m - RATE * (f64::from(g) * scale) as f32;
                *p += *m;
            }
        }),
    ));
    let bf16s = |grads: &[f32]| -> Vec<bf16> { grads.iter().map(|&g| bf16::from_f32(g)).collect() };
    let f16s = |grads: &[f32]| -> Vec<f16> { grads.iter().map(|&g| f16::from_f32(g)).collect() };
    let (half, mut params) = (bf16s(grads), bf16s(grads));
    let mut ours = MasterCopy::new(momentum.clone(), &params).expect("same length");
    let (again, mut params_again, mut ours_again) = (half.clone(), half.clone(), ours.clone());
    rows.push((
        "f32 momentum / MasterCopy of bf16",
        Box::new(move || ours.step(&mut params, &half).expect("same length")),
        Box::new(bare_momentum),
    ));
    rows.push((
        "bf16 momentum / MasterCopy of bf16",
        Box::new(move || ours_again.step(&mut params_again, &again).expect("same length")),
        bare!(|grads| let half = bf16s(grads); let own = (grads.to_vec(), grads.to_vec(), half.clone()); {
            momentum_bf16(&mut own.0, &mut own.1, &half, &mut own.2);
        }),
    ));
    let (half, mut params) = (f16s(grads), f16s(grads));
    let mut ours = MasterCopy::new(momentum, &params).expect("same length");
    rows.push((
        "f32 momentum / MasterCopy of f16",
        Box::new(move || ours.step(&mut params, &half).expect("same length")),
        Box::new(bare_momentum),
    ));
    let half = bf16s(grads);
    rows.push((
        "f32 norm / global_norm of bf16",
        Box::new(move || assert!(global_norm(&[&half]).is_ok())),
        Box::new(bare_norm),
    ));
    let half = bf16s(grads);
    rows.push((
        "bf16 norm / global_norm of bf16",
        Box::new(move || assert!(global_norm(&[&half]).is_ok())),
        bare!(|grads| let half = bf16s(grads); assert!(squares_bf16(&half) > 0.0)),
    ));
    let half = f16s(grads);
    rows.push((
        "f32 norm / global_norm of f16",
        Box::new(move || assert!(global_norm(&[&half]).is_ok())),
        Box::new(bare_norm),
    ));

    let order = move |grads: &[f32]| -> Vec<usize> {
        let rows = grads.len() / 64;
        (0..rows).map(|i| i * 7919 % rows).collect()
    };
    let row_len = black_box(64); // ours does not know it beforehand either
    let (batch, mut out) = (order(grads), Vec::new());
    rows.push((
        "gather; rows of 64",
        Box::new(move || gather(grads, 64, &batch, &mut out).expect("valid")),
        bare!(|grads| let batch = order(grads); let out = vec![0.0; grads.len()]; {
            for (row, &i) in out.chunks_exact_mut(row_len).zip(&batch) {
                row.copy_from_slice(&grads[row_len * i..][..row_len]);
            }
        }),
    ));
    rows
}
