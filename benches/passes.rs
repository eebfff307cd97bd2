//! Every pass over all parameters, beside the bare loop with the same traffic and the same vectors.
//!
//! `cargo bench --features simd,half --bench passes [-- LONGEST]`; time of the bare loop / ours (1: as fast as the loop,
//! above: faster), least of several rounds taken in turn, f32. With feature `rayon` ours has all threads, the loops one.

use gradstep::{
    Accumulator, MasterCopy, Momentum, Optimizer, Sgd, check_finite, clip_global_norm, clip_value, gather, global_norm,
    step_clipped,
};
use half::{bf16, f16};
use pulp::Arch;

mod common;
use common::{alternate, heading, largest};

const RATE: f32 = 1e-3;
const LAMBDA: f32 = 0.9;

/// The bare loop, with the vectors that `gradstep` has.
fn wide<R>(f: impl FnOnce() -> R) -> R {
    if cfg!(feature = "simd") { Arch::new().dispatch(f) } else { f() }
}

#[inline(always)]
fn squares(grads: &[f32]) -> f64 {
    let mut sums = [0.0; 16];
    for row in grads.chunks_exact(16) {
        for (sum, &g) in sums.iter_mut().zip(row) {
            *sum += f64::from(g) * f64::from(g);
        }
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

#[inline(always)]
fn all_finite(grads: &[f32]) -> bool {
    grads.iter().fold(true, |all, g| all & g.is_finite())
}

type Contender<'a> = Box<dyn FnMut() + 'a>;

/// Ours and the bare loop.
type Pair<'a> = (&'static str, Contender<'a>, Contender<'a>);

fn main() {
    heading("cargo bench --features half --bench passes");
    let longest = largest(1 << 25);
    let lens: Vec<usize> = [4096, 65_536, 1 << 20, 1 << 22, 1 << 25].into_iter().filter(|&n| n <= longest).collect();
    let mut rows: Vec<(&str, Vec<f64>)> = Vec::new();
    for &n in &lens {
        let grads: Vec<f32> = (0..n).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
        for (place, (name, mut ours, mut bare)) in pairs(&grads).into_iter().enumerate() {
            let times = alternate((30_000_000 / n).clamp(5, 2000), 3, &mut [&mut *ours, &mut *bare]);
            if rows.len() == place {
                rows.push((name, Vec::new()));
            }
            rows[place].1.push(times[1] / times[0]);
        }
    }
    let titles: Vec<_> = lens.iter().map(|n| format!("{n:>8}")).collect();
    println!("{:34}, {}", "bare / ours at n =", titles.join(", "));
    for (name, ratios) in rows {
        let ratios: Vec<_> = ratios.iter().map(|ratio| format!("{ratio:8.2}")).collect();
        println!("{name:34}, {}", ratios.join(", "));
    }
}

/// `step_clipped` with one limit, and `clip_global_norm` and `step` with a limit that falls by a factor in each round.
fn two_calls<'a>(
    grads: &'a [f32],
    optimizer: impl Optimizer<f32> + Clone + 'a,
    max_norm: f64,
    (mut limit, factor): (f64, f64),
) -> (Contender<'a>, Contender<'a>) {
    let (mut a, mut b, mut clipped) = (grads.to_vec(), grads.to_vec(), grads.to_vec());
    let (mut ours, mut theirs) = (optimizer.clone(), optimizer);
    (
        Box::new(move || assert!(step_clipped(&mut ours, &mut a, grads, max_norm).is_ok())),
        Box::new(move || {
            limit *= factor;
            clip_global_norm(&mut [&mut clipped], limit).expect("finite");
            theirs.step(&mut b, &clipped).expect("same length");
        }),
    )
}

fn pairs(grads: &[f32]) -> Vec<Pair<'_>> {
    let n = grads.len();
    let copy = || grads.to_vec();
    let mut pairs: Vec<Pair> = Vec::new();
    let mut add = |name, ours, bare| pairs.push((name, ours, bare));
    let bare_norm = || -> Contender {
        Box::new(move || {
            let sum = wide(
                #[inline(always)]
                || squares(grads),
            );
            assert!(sum >= 0.0);
        })
    };
    let bare_momentum = || -> Contender {
        let (mut params, mut velocity) = (copy(), vec![0.0; n]);
        Box::new(move || {
            wide(
                #[inline(always)]
                || momentum(&mut params, &mut velocity, grads),
            )
        })
    };

    add("global_norm", Box::new(move || assert!(global_norm(&[grads]).is_ok())), bare_norm());
    add("check_finite", Box::new(move || assert!(check_finite(&[grads]).is_ok())), {
        Box::new(move || {
            assert!(wide(
                #[inline(always)]
                || all_finite(grads)
            ))
        })
    });

    // Less and less, so that it clips each time.
    let (mut a, mut b, mut max) = (copy(), copy(), global_norm(&[grads]).expect("finite"));
    add(
        "clip_global_norm, clips",
        Box::new(move || {
            max *= 0.9999;
            assert!(clip_global_norm(&mut [&mut a], max).expect("finite") > max);
        }),
        Box::new(move || {
            wide(
                #[inline(always)]
                || {
                    assert!(squares(&b) > 0.0);
                    scale(&mut b, 0.9999);
                },
            );
        }),
    );
    let (mut a, mut b) = (copy(), copy());
    add("clip_value", Box::new(move || clip_value(&mut [&mut a], 0.5).expect("finite")), {
        Box::new(move || {
            wide(
                #[inline(always)]
                || {
                    assert!(all_finite(&b));
                    b.iter_mut().for_each(|g| *g = g.clamp(-0.5, 0.5));
                },
            )
        })
    });
    let (mut accumulator, mut sum) = (Accumulator::new(n).expect("memory"), vec![0.0_f64; n]);
    add("Accumulator::add", Box::new(move || accumulator.add(grads, 3).expect("same length")), {
        Box::new(move || {
            wide(
                #[inline(always)]
                || sum.iter_mut().zip(grads).for_each(|(sum, &g)| *sum += 3.0 * f64::from(g)),
            )
        })
    });
    let mut accumulator = Accumulator::new(n).expect("memory");
    accumulator.add(grads, 3).expect("same length");
    let (sum, mut a, mut b) = (vec![0.5_f64; n], copy(), copy());
    add("Accumulator::mean", Box::new(move || accumulator.mean(&mut a).expect("finite")), {
        Box::new(move || {
            wide(
                #[inline(always)]
                || {
                    assert!(sum.iter().fold(true, |all, sum| all & ((sum / 3.0) as f32).is_finite()));
                    b.iter_mut().zip(&sum).for_each(|(g, sum)| *g = (sum / 3.0) as f32);
                },
            )
        })
    });

    let (mut a, mut b, mut sgd) = (copy(), copy(), Sgd::new(RATE).expect("valid"));
    add("Sgd::step", Box::new(move || sgd.step(&mut a, grads).expect("same length")), {
        Box::new(move || {
            wide(
                #[inline(always)]
                || b.iter_mut().zip(grads).for_each(|(p, &g)| *p -= RATE * g),
            )
        })
    });
    let rule = Momentum::new(RATE, LAMBDA, n).expect("valid");
    let (mut a, mut ours) = (copy(), rule.clone());
    add("Momentum::step", Box::new(move || ours.step(&mut a, grads).expect("same length")), bare_momentum());

    let max = global_norm(&[grads]).expect("finite") / 2.0;
    let (mut a, mut b, mut velocity, mut ours) = (copy(), copy(), vec![0.0; n], rule.clone());
    add(
        "step_clipped, Momentum, clips",
        Box::new(move || assert!(step_clipped(&mut ours, &mut a, grads, max).is_ok())),
        Box::new(move || {
            wide(
                #[inline(always)]
                || {
                    let scale = max / squares(grads).sqrt();
                    for ((p, m), &g) in b.iter_mut().zip(&mut velocity).zip(grads) {
                        *m = LAMBDA * *m - RATE * (f64::from(g) * scale) as f32;
                        *p += *m;
                    }
                },
            )
        }),
    );
    // The two calls in place of the bare loop. Each time the gradients are clipped a little more, if at all.
    let (ours, theirs) = two_calls(grads, rule.clone(), max, (2.0 * max, 0.9999));
    add("two calls / step_clipped, Momentum", ours, theirs);
    let (ours, theirs) = two_calls(grads, Sgd::new(RATE).expect("valid"), max, (2.0 * max, 0.9999));
    add("two calls / step_clipped, Sgd", ours, theirs);
    let (ours, theirs) = two_calls(grads, rule.clone(), 9.0 * max, (9.0 * max, 1.0));
    add("the same where it does not clip", ours, theirs);

    let half: Vec<bf16> = grads.iter().map(|&g| bf16::from_f32(g)).collect();
    let mut params = half.clone();
    let mut ours = MasterCopy::new(rule.clone(), &params).expect("same length");
    add(
        "MasterCopy bf16 / f32 momentum",
        Box::new(move || ours.step(&mut params, &half).expect("same length")),
        bare_momentum(),
    );
    let half: Vec<f16> = grads.iter().map(|&g| f16::from_f32(g)).collect();
    let mut params = half.clone();
    let mut ours = MasterCopy::new(rule, &params).expect("same length");
    let again = half.clone();
    add(
        "MasterCopy f16 / f32 momentum",
        Box::new(move || ours.step(&mut params, &half).expect("same length")),
        bare_momentum(),
    );
    let bf16s: Vec<bf16> = grads.iter().map(|&g| bf16::from_f32(g)).collect();
    add("global_norm bf16 / f32", Box::new(move || assert!(global_norm(&[&bf16s]).is_ok())), bare_norm());
    add("global_norm f16 / f32", Box::new(move || assert!(global_norm(&[&again]).is_ok())), bare_norm());

    let batch: Vec<usize> = (0..n / 64).map(|i| i * 7919 % (n / 64)).collect();
    let (mut out, mut bare, rows) = (Vec::new(), vec![0.0; n], batch.clone());
    add("gather, rows of 64", Box::new(move || gather(grads, 64, &batch, &mut out).expect("valid")), {
        Box::new(move || {
            for (row, &i) in bare.chunks_exact_mut(64).zip(&rows) {
                row.copy_from_slice(&grads[64 * i..][..64]);
            }
        })
    });
    pairs
}
