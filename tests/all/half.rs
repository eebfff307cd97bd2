//! Half-precision parameters with an f32 copy move where, without the copy, rounding would leave them unchanged.
#![cfg(feature = "half")]

use gradstep::{
    Accumulator, FiniteGuard, Grads, MasterCopy, Momentum, Optimizer, ParamGroups, Sgd, clip_global_norm, clip_scale,
};
use half::{bf16, f16};

use crate::common::{
    FEW_LENS, HalfScalar, bits, in_types, noise, optimizers,
    rules::{Newtype, lars},
    says, steps_to, tiny,
};

#[test]
fn updates_are_not_lost_to_rounding() {
    // Near 1 the next bf16 below is 1 - 2^-8, so 1 - 2^-10 rounds back to 1.
    let rate = 2.0_f64.powi(-10);
    let (mut stuck, mut moving) = ([bf16::ONE], [bf16::ONE]);
    let mut plain = Sgd::new(rate).unwrap();
    let mut master = MasterCopy::new(Sgd::new(rate).unwrap(), &moving).unwrap();
    for _ in 0..512 {
        plain.step(&mut stuck, &[bf16::ONE]).unwrap();
        master.step(&mut moving, &[bf16::ONE]).unwrap();
    }
    assert_eq!((stuck, moving), ([bf16::ONE], [bf16::from_f32(0.5)]));
}

#[test]
fn it_is_the_f32_optimizer_rounded() {
    let (mut full, mut params) = ([1.0_f32, -2.0], [f16::from_f32(1.0), f16::from_f32(-2.0)]);
    let mut momentum = Momentum::new(0.001, 0.9, 2).unwrap();
    let mut master = MasterCopy::new(momentum.clone(), &params).unwrap();
    for k in 0..100 {
        let grads = [f16::from_f32(0.1 * k as f32), f16::from_f32(-3.0)];
        momentum.step(&mut full, &grads.map(f16::to_f32)).unwrap();
        master.step(&mut params, &grads).unwrap();
        assert_eq!((master.master(), params), (&full[..], full.map(f16::from_f32)));
    }
    assert_eq!(master.optimizer(), &momentum);
    // Equal if both the copy and the optimizer are.
    let same = master.clone();
    assert_eq!(master, same);
    master.optimizer_mut().set_momentum(0.5).unwrap();
    assert_ne!(master, same);
    assert_ne!(MasterCopy::new(momentum.clone(), &params).unwrap(), same);
    master.optimizer_mut().set_learning_rate(0.002).unwrap();
    assert_eq!(master.learning_rate(), 0.002);
    master.set_learning_rate(1.0).unwrap();
    master.reset();
    assert_eq!((master.optimizer().learning_rate(), master.optimizer().velocity()), (1.0, &[0.0; 2][..]));
}

/// Sgd with η = 1 on the f32 copy, whose range and digits are not the parameters'.
fn master_copies<H: HalfScalar>() {
    let (zero, one, max, inf, nan) = (H::zero(), H::one(), H::max_value(), H::infinity(), H::nan());
    let (normal, tiny) = (H::min_positive_value(), tiny::<H>());
    let rows = [
        (tiny, zero, tiny),
        (-zero, zero, -zero),
        (-normal, -tiny, tiny - normal),
        (max, -max, inf),
        (one, inf, -inf),
        (inf, inf, nan),
        (one, nan, nan),
        (nan, one, nan),
    ];
    let master = |params: &[H]| H::master(Sgd::new(1.0).unwrap(), params);
    steps_to(|params| Box::new(master(params)), rows, std::any::type_name::<H>());
    let mut none = master(&[]);
    assert_eq!((none.step(&mut [], &[]), H::copy(&none)), (Ok(()), &[][..]));
}
in_types!(master_copies: f16 bf16);

/// Beyond f16's range and back: the copy has kept the number. Parameters are no gradients, so that a guard inside takes an
/// infinite one.
#[test]
fn beyond_the_range_and_back() {
    let mut params = [f16::MAX];
    let mut master = MasterCopy::new(FiniteGuard(Sgd::new(1.0).unwrap()), &params).unwrap();
    master.step(&mut params, &[-f16::MAX]).unwrap();
    assert_eq!((params, master.master()), ([f16::INFINITY], &[131_008.0_f32][..]));
    master.step(&mut params, &[f16::MAX]).unwrap();
    assert_eq!(params, [f16::MAX]);
    let mut infinite = [f16::INFINITY];
    let mut guarded = MasterCopy::new(FiniteGuard(Sgd::new(1.0).unwrap()), &infinite).unwrap();
    assert_eq!(guarded.step(&mut infinite, &[f16::ONE]), Ok(()));
}

/// Learning rates that are too small or too fine for the half type are kept (in f16 2e-8 would be 0, in bf16 0.001 would be
/// 0.00099945); one that is too small for f32 is rejected.
#[test]
fn settings_are_f64() {
    let mut model = ParamGroups::new();
    model.insert("a", MasterCopy::new(Sgd::new(2e-8).unwrap(), &[f16::ONE]).unwrap()).unwrap();
    model.insert("b", MasterCopy::new(Sgd::new(0.001).unwrap(), &[f16::ONE]).unwrap()).unwrap();
    model.scale_learning_rates(1.0).unwrap();
    let rates = |model: &ParamGroups<f16, MasterCopy<f16, Sgd<f32>>>| {
        ["a", "b"].map(|name| model.get(name).unwrap().optimizer().learning_rate())
    };
    assert_eq!(rates(&model), [2e-8, 0.001]);
    model.set_learning_rate("b", 0.003).unwrap();
    assert_eq!(rates(&model), [2e-8, 0.003]);
    let before = model.clone();
    model.scale_learning_rates(f64::NAN).unwrap_err();
    model.set_learning_rate("a", 1e30).unwrap();
    model.scale_learning_rates(1e30).unwrap_err();
    assert_eq!(rates(&model), [1e30, 0.003]);
    model.set_learning_rate("a", 2e-8).unwrap();
    assert_eq!(model, before);
    says(
        model.set_learning_rate("a", 1e-50),
        "tensor `a`: learning_rate is 1e-50, which the type of the parameters rounds to 0.0, expected a finite number above 0",
    );
    assert_eq!(model, before);
}

/// In every nesting, `check` returns what `step` would, and an error changes nothing.
fn nestings_are_all_or_nothing<H: HalfScalar>() {
    let half = |values: [f32; 3]| values.map(H::of);
    let (start, good) = (half([1.0, -2.0, 0.5]), half([0.5, 0.25, -1.0]));
    for bad in [f32::NAN, f32::INFINITY] {
        let bad = half([0.5, bad, 1.0]);
        for (name, rejects, mut optimizer) in H::nestings(&start) {
            let mut params = start;
            optimizer.step(&mut params, &good).unwrap();
            assert_eq!(optimizer.check(Grads::new(&bad)).is_err(), rejects, "{name}");
            if rejects {
                let before = params;
                let error = optimizer.step(&mut params, &bad).unwrap_err();
                assert_eq!(error.to_string(), format!("grads[1] is {}, expected a finite number", bad[1].widened()));
                assert_eq!(optimizer.check(Grads::new(&bad)).unwrap_err().to_string(), error.to_string(), "{name}");
                // The state is as it was: the next step is that of one that never saw the error.
                let (_, _, mut other) = H::nestings(&start).into_iter().find(|other| other.0 == name).unwrap();
                let mut expected = start;
                other.step(&mut expected, &good).unwrap();
                assert_eq!((params, optimizer.steps()), (before, 1), "{name}");
                optimizer.step(&mut params, &good).unwrap();
                other.step(&mut expected, &good).unwrap();
                assert_eq!((params, optimizer.steps()), (expected, 2), "{name}");
            }
            for len in [2, 4] {
                let (mut wrong, grads) = (vec![H::one(); len], vec![H::one(); len]);
                let message = format!("grads has length {len}, expected 3, the length of master copy");
                says(optimizer.check(Grads::new(&grads)), &message);
                says(optimizer.step(&mut wrong, &grads), &message);
                says(optimizer.step_with(&mut wrong, H::grads_from_f32(&vec![1.0; len]).scaled(0.5)), &message);
                assert!(wrong.iter().all(|&p| p == H::one()), "{name}");
            }
        }
        // The second of two tensors: the first has not moved.
        for (place, (name, rejects, _)) in H::nestings(&start).iter().enumerate() {
            let mut model = ParamGroups::new();
            for tensor in ["a", "b"] {
                model.insert(tensor, H::nestings(&start).swap_remove(place).2).unwrap();
            }
            let (mut a, mut b) = (start, start);
            let stepped = model.step(&mut [("a", &mut a, &good), ("b", &mut b, &bad)]);
            assert_eq!((stepped.is_err(), a == start, model.steps() == 0), (*rejects, *rejects, *rejects), "{name}");
        }
    }
}
in_types!(nestings_are_all_or_nothing: f16 bf16);

// Gradients -----------------------------------------------------------------------------------------------------------

/// In f32 a scaled gradient is rounded once: 1 + 2^-24 + 2^-50 goes up.
fn scaled_gradients_are_rounded_once<H: HalfScalar>() {
    let scale = 1.0 + 2.0_f64.powi(-24) + 2.0_f64.powi(-50);
    let mut params = [H::zero()];
    let mut master = H::master(Sgd::new(1.0).unwrap(), &params);
    master.step_with(&mut params, Grads::new(&[H::one()]).scaled(scale)).unwrap();
    assert_eq!(H::copy(&master), [-1.0 - 2.0_f32.powi(-23)]);
    // A rule over the half type itself gets them rounded to it, also once. Rounded to f32 first, this one would be half-way,
    // and go to the even number.
    let scale = 1.0 + f64::from(H::epsilon().widened()) / 2.0 + 2.0_f64.powi(-40);
    for grads in [Grads::new(&[H::one()]), H::grads_from_f32(&[1.0])] {
        let mut params = [H::zero()];
        Sgd::new(1.0).unwrap().step_with(&mut params, grads.scaled(scale)).unwrap();
        assert_eq!(params, [-H::one() - H::epsilon()]);
    }
}
in_types!(scaled_gradients_are_rounded_once: f16 bf16);

/// Nothing is rounded to half precision on the way: what the optimizer gets is f32.
fn small_gradients_under_a_loss_scale_arrive<H: HalfScalar>() {
    let loss_scale = 65_536.0;
    // A gradient of 2^-27, η = 1/8: 2^16 steps of 2^-30, each exact in f32.
    let (mut params, grads) = ([H::zero()], [H::of((2.0_f64.powi(-27) * loss_scale) as f32)]);
    let mut sgd = H::master(Sgd::new(0.125).unwrap(), &params);
    for _ in 0..1 << 16 {
        sgd.step_with(&mut params, Grads::new(&grads).scaled(1.0 / loss_scale)).unwrap();
    }
    assert_eq!((H::copy(&sgd), params), (&[-(2.0_f32.powi(-14))][..], [H::of(-(2.0_f32.powi(-14)))]));
    // A gradient of 1e-8, to the digits that f16 and bf16 have, η = 0.1: a thousand steps of 1e-9.
    let (mut params, grads) = ([H::zero()], [H::of((1e-8 * loss_scale) as f32)]);
    let mut sgd = H::master(Sgd::new(0.1).unwrap(), &params);
    for _ in 0..1000 {
        sgd.step_with(&mut params, Grads::new(&grads).scaled(1.0 / loss_scale)).unwrap();
    }
    let gradient = f64::from(grads[0].widened()) / loss_scale;
    let arrived = f64::from(H::copy(&sgd)[0]);
    assert!((gradient / 1e-8 - 1.0).abs() < 0.004);
    assert!((arrived / (-1000.0 * 0.1 * gradient) - 1.0).abs() < 1e-5, "{arrived}");
}
in_types!(small_gradients_under_a_loss_scale_arrive: f16 bf16);

/// Clipped to 5 · 2^-40, where f16 ends at 2^-24; alone, and together with a loss scale.
fn small_clipped_gradients_arrive<H: HalfScalar>() {
    for loss_scale in [None, Some(1024.0)] {
        let mut params = [H::zero(); 2];
        let mut sgd = H::master(Sgd::new(1.0).unwrap(), &params);
        let halves = [3.0, -4.0].map(|g| H::of(g * loss_scale.unwrap_or(1.0) as f32));
        let grads = Grads::new(&halves);
        let grads = loss_scale.map_or(grads, |loss_scale| grads.scaled(1.0 / loss_scale));
        assert_eq!(sgd.step_clipped(&mut params, grads, 5.0 * 2.0_f64.powi(-40)), Ok(5.0));
        assert_eq!(H::copy(&sgd), [-3.0, 4.0].map(|g| g * 2.0_f32.powi(-40)));
    }
}
in_types!(small_clipped_gradients_arrive: f16 bf16);

type Way<'a, H> = &'a mut dyn FnMut(&mut dyn Optimizer<H>, &mut [H]);

/// Every rule in a master copy is that rule on f32, to the bit: with gradients of half precision and of f32, plain, scaled
/// and clipped; the parameters are the copy, rounded.
fn every_rule_on_the_copy_is_the_rule_on_f32<H: HalfScalar>() {
    for len in FEW_LENS {
        let numbers = noise(2 * len);
        let start: Vec<H> = numbers[..len].iter().map(|&x| H::of(x)).collect();
        let halves: Vec<H> = numbers[len..].iter().map(|&x| H::of(x)).collect();
        let wide = |halves: &[H]| halves.iter().map(|half| half.widened()).collect::<Vec<f32>>();
        // All digits of f32.
        let fine: Vec<f32> = numbers[len..].iter().map(|x| x / 3.0).collect();
        let full = wide(&halves);
        for (grads, full) in [(Grads::new(&halves), &full), (H::grads_from_f32(&fine), &fine)] {
            for ((name, mut alone), (_, rule)) in optimizers::<f32>(len).into_iter().zip(optimizers(len)) {
                let mut master = H::master(rule, &start);
                let (mut a, mut b) = (wide(&start), start.clone());
                let mut stepped = |how: &str, expected: &[f32], step: Way<H>| {
                    alone.step(&mut a, expected).unwrap();
                    step(&mut master, &mut b);
                    assert!(bits(H::copy(&master)) == bits(&a), "{name}, {len}, {how}");
                    assert!(b.iter().zip(&a).all(|(b, &a)| *b == H::of(a)), "{name}, {len}, {how}");
                    assert_eq!(master.steps(), alone.steps());
                };
                stepped("plain", full, &mut |master, b| master.step_with(b, grads).unwrap());
                let scaled: Vec<f32> = full.iter().map(|&g| (0.3 * f64::from(g)) as f32).collect();
                stepped("scaled", &scaled, &mut |master, b| master.step_with(b, grads.scaled(0.3)).unwrap());
                if len < 100_000 {
                    for max_norm in [0.001, 1e9] {
                        let mut clipped = full.clone();
                        let norm = clip_global_norm(&mut [&mut clipped], max_norm);
                        stepped("clipped", &clipped, &mut |master, b| {
                            assert_eq!(master.step_clipped(b, grads, max_norm), norm);
                        });
                        let scale = clip_scale(norm.unwrap(), max_norm).unwrap();
                        stepped("clipped from outside", &clipped, &mut |master, b| {
                            master.step_with(b, grads.scaled(scale)).unwrap();
                        });
                    }
                }
            }
        }
    }
}
in_types!(every_rule_on_the_copy_is_the_rule_on_f32: f16 bf16);

/// Momentum's copy and velocity too, to the last bit of f32, in several tensors.
#[test]
fn f32_gradients_step_the_copy_to_the_bit() {
    let momentum = || Momentum::<f32>::new(0.1, 0.9, 100).unwrap();
    let (start, mut full) = (noise(100).iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>(), vec![]);
    full.extend(start.iter().map(|half| half.to_f32()));
    let (mut alone, mut model, mut params) = (momentum(), ParamGroups::new(), start.clone());
    model.insert("w", MasterCopy::new(momentum(), &start).unwrap()).unwrap();
    let mut accumulator = Accumulator::new(100).unwrap();
    for k in 0..20 {
        accumulator.reset();
        accumulator.add(&noise(100 + k)[k..], 3).unwrap();
        accumulator.add(&noise(200 + k)[100 + k..], 2).unwrap();
        let mut grads = vec![0.0_f32; 100];
        accumulator.mean(&mut grads).unwrap();
        alone.step(&mut full, &grads).unwrap();
        if k % 2 == 0 {
            model.step_with(&mut [("w", &mut params, Grads::from_f32(&grads))]).unwrap();
        } else {
            model.step_each(|visit| visit("w", &mut params, Grads::from_f32(&grads))).unwrap();
        }
        let master = model.get("w").unwrap();
        assert_eq!((bits(master.master()), master.optimizer()), (bits(&full), &alone));
    }
}

/// A guard outside judges f32 gradients as the parameters' type has them, a guard inside as the copy gets them.
#[test]
fn guards_judge_what_they_get() {
    let mut params = [f16::ONE];
    let grads = Grads::from_f32(&[1e30]);
    let mut outside = FiniteGuard(MasterCopy::new(Sgd::new(1e-30).unwrap(), &params).unwrap());
    says(outside.step_with(&mut params, grads), "grads[0] is inf, expected a finite number");
    outside.step_with(&mut params, grads.scaled(1e-30)).unwrap();
    let mut inside = MasterCopy::new(FiniteGuard(Sgd::new(1e-30).unwrap()), &params).unwrap();
    inside.step_with(&mut params, grads).unwrap();
    assert_eq!(params, [f16::ZERO]);
    says(inside.step_with(&mut params, grads.scaled(1e10)), "grads[0] is inf, expected a finite number");
    let nan = Grads::from_f32(&[f32::NAN]);
    says(inside.step_clipped(&mut params, nan, 1.0), "grads[0] is NaN, expected a finite number");
    assert_eq!((params, inside.steps()), ([f16::ZERO], 1));
}

// The copy ------------------------------------------------------------------------------------------------------------

/// Without `refresh`, a parameter of 5.0 that is loaded after the copy was made is -0.8 after a step with a gradient of zero.
#[test]
fn refresh_takes_parameters_that_were_loaded() {
    let mut params = [bf16::from_f32(-0.8), bf16::ONE];
    let mut momentum = MasterCopy::new(Momentum::new(0.5, 0.5, 2).unwrap(), &params).unwrap();
    params = [bf16::from_f32(5.0), bf16::from_f32(-3.0)];
    momentum.refresh(&params).unwrap();
    momentum.step(&mut params, &[bf16::ZERO; 2]).unwrap();
    assert_eq!((params, momentum.master()), ([5.0, -3.0].map(bf16::from_f32), &[5.0, -3.0][..]));

    // The velocity stays, and so do the count and the settings.
    momentum.step(&mut params, &[bf16::ONE, -bf16::ONE]).unwrap(); // m = -1/2, 1/2
    params = [bf16::from_f32(2.0); 2];
    let optimizer = momentum.optimizer().clone();
    momentum.refresh(&params).unwrap();
    assert_eq!((momentum.optimizer(), momentum.master()), (&optimizer, &[2.0; 2][..]));
    momentum.step(&mut params, &[bf16::ZERO; 2]).unwrap(); // m = -1/4, 1/4
    assert_eq!((params, momentum.steps()), ([1.75, 2.25].map(bf16::from_f32), 3));

    let before = momentum.clone();
    says(momentum.refresh(&[bf16::ONE]), "params has length 1, expected 2, the length of master copy");
    says(momentum.refresh(&[bf16::ONE; 3]), "params has length 3, expected 2, the length of master copy");
    assert_eq!(momentum, before);

    let mut model = ParamGroups::new();
    model.insert("w", momentum).unwrap();
    model.get_mut("w").unwrap().refresh(&[bf16::ZERO; 2]).unwrap();
    assert_eq!(model.get("w").unwrap().master(), [0.0; 2]);
}

/// A master that was trained in f32 keeps its digits; the parameters become it, rounded.
#[test]
fn from_a_master() {
    for len in FEW_LENS {
        let start = noise(len);
        let mut full = start.clone();
        let mut alone = Momentum::new(0.01, 0.9, len).unwrap();
        let mut copy = MasterCopy::from_master(alone.clone(), start.clone()).unwrap();
        let rounded = |full: &[f32]| full.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>();
        let mut params = vec![bf16::NAN; len];
        copy.write_params(&mut params).unwrap();
        assert!(copy.master() == start && params == rounded(&start));
        params.fill(bf16::NAN); // they are written and never read
        let grads = vec![bf16::from_f32(0.5); len];
        alone.step(&mut full, &vec![0.5; len]).unwrap();
        copy.step(&mut params, &grads).unwrap();
        assert!(copy.master() == full && params == rounded(&full) && copy.optimizer() == &alone);
        assert_eq!(copy.state_len(), Some(len));

        let before = copy.clone();
        let mut wrong = vec![bf16::ONE; len + 1];
        let message = format!("params has length {}, expected {len}, the length of master copy", len + 1);
        says(copy.write_params(&mut wrong), &message);
        assert!(copy == before && wrong.iter().all(|&p| p == bf16::ONE));
    }
    let beyond = MasterCopy::from_master(Sgd::new(0.1).unwrap(), vec![1e5, -1e-9]).unwrap();
    let mut params = [f16::ONE; 2];
    beyond.write_params(&mut params).unwrap();
    assert_eq!(params, [f16::INFINITY, f16::NEG_ZERO]);
    let wrong = MasterCopy::<f16, _>::from_master(Momentum::new(0.1, 0.9, 3).unwrap(), vec![1.0; 2]);
    says(wrong, "grads has length 2, expected 3, the length of velocity");
}

/// Parameters that are initialised again: without `refresh` the copy writes the old ones over them.
#[test]
fn reset_leaves_the_copy() {
    let mut params = [bf16::ONE];
    let mut momentum = MasterCopy::new(Momentum::new(0.5, 0.5, 1).unwrap(), &params).unwrap();
    momentum.step(&mut params, &[bf16::ONE]).unwrap();
    momentum.reset();
    assert_eq!((momentum.steps(), momentum.optimizer().velocity(), momentum.master()), (0, &[0.0][..], &[0.5][..]));
    params = [bf16::from_f32(8.0)];
    let mut refreshed = momentum.clone();
    momentum.step(&mut params, &[bf16::ONE]).unwrap();
    assert_eq!(params, [bf16::ZERO]); // 0.5 - 0.5
    params = [bf16::from_f32(8.0)];
    refreshed.refresh(&params).unwrap();
    refreshed.step(&mut params, &[bf16::ONE]).unwrap();
    assert_eq!(params, [bf16::from_f32(7.5)]);
}

// Rejected inputs -----------------------------------------------------------------------------------------------------

/// When the copy is created, and not in mid-run; also behind a wrapper and a box.
#[test]
fn a_rule_that_owns_its_loop_is_rejected() {
    let message = "this optimizer takes gradients as a plain slice, expected no scale, clipping or widening on the way";
    says(MasterCopy::new(lars(0.1), &[bf16::ONE; 2]), message);
    says(MasterCopy::new(Newtype(lars(0.1)), &[f16::ONE; 2]), message);
    says(MasterCopy::<bf16, _>::from_master(FiniteGuard(lars(0.1)), vec![1.0; 2]), message);
    says(MasterCopy::<f16, _>::from_master(lars(0.1), vec![]), message);
    // Also where it replaces another optimizer.
    let (mut params, grads) = ([bf16::ONE; 2], [bf16::ONE; 2]);
    let boxed: Box<dyn Optimizer<f32>> = Box::new(Sgd::new(0.5).unwrap());
    let mut copy = MasterCopy::new(boxed, &params).unwrap();
    *copy.optimizer_mut() = Box::new(lars(0.1));
    for grads in [Grads::new(&grads), Grads::from_f32(&[1.0; 2])] {
        says(copy.check(grads), message);
        says(copy.step_with(&mut params, grads), message);
    }
    assert_eq!((params, copy.master(), copy.steps()), ([bf16::ONE; 2], &[1.0; 2][..], 0));
}

/// `optimizer_mut` can replace the inner optimizer: one for another length is rejected before any tensor moves.
#[test]
fn an_inner_optimizer_for_another_length_is_rejected() {
    let mut params = [bf16::ONE; 2];
    let mut master = MasterCopy::new(Momentum::new(0.1, 0.9, 2).unwrap(), &params).unwrap();
    *master.optimizer_mut() = Momentum::new(0.1, 0.9, 3).unwrap();
    let grads = params;
    let message = "grads has length 2, expected 3, the length of velocity";
    says(MasterCopy::new(master.optimizer().clone(), &params), message);
    says(master.check(Grads::new(&grads)), message);
    says(master.step(&mut params, &grads), message);
    assert_eq!(params, grads);
}
