//! Half-precision parameters with an f32 copy move where they alone would stand still.
#![cfg(feature = "half")]

use gradstep::{
    Error, Grads, Guard, MasterCopy, Momentum, Optimizer, ParamGroups, Sgd, clip_global_norm, elementwise,
    elementwise_scaled, step_clipped,
};
use half::{bf16, f16};

use crate::common::{FEW_LENS, Scalar, half_optimizers, noise, says, steps_to, tiny};

#[test]
fn updates_are_not_lost_to_rounding() {
    // Near 1 the next bf16 below is 1 - 2^-8, so 1 - 2^-10 rounds back to 1.
    let rate = 2.0_f32.powi(-10);
    let (mut stuck, mut moving) = ([bf16::ONE], [bf16::ONE]);
    let mut plain = Sgd::new(bf16::from_f32(rate)).unwrap();
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
fn copies<H: Scalar>(master: impl Fn(&[H]) -> Box<dyn Optimizer<H, f32>>) {
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
    steps_to(master, rows, std::any::type_name::<H>());
}

#[test]
fn master_copies() {
    let sgd = || Sgd::new(1.0_f32).unwrap();
    copies::<f16>(|params| Box::new(MasterCopy::new(sgd(), params).unwrap()));
    copies::<bf16>(|params| Box::new(MasterCopy::new(sgd(), params).unwrap()));

    // Beyond f16's range and back: the copy has kept the number.
    let mut params = [f16::MAX];
    let mut master = MasterCopy::new(sgd(), &params).unwrap();
    master.step(&mut params, &[-f16::MAX]).unwrap();
    assert_eq!((params, master.master()), ([f16::INFINITY], &[131_008.0_f32][..]));
    master.step(&mut params, &[f16::MAX]).unwrap();
    assert_eq!(params, [f16::MAX]);

    let mut none = MasterCopy::<bf16, _>::new(sgd(), &[]).unwrap();
    assert_eq!((none.step(&mut [], &[]), none.master()), (Ok(()), &[][..]));
}

/// A learning rate in f32 passes through, too small or too fine for the half type (issue: 2e-8 became 0 in f16, and 0.001
/// became 0.00099945 in bf16).
#[test]
fn settings_are_f32() {
    let mut model = ParamGroups::new();
    model.insert("a", MasterCopy::new(Sgd::new(2e-8).unwrap(), &[f16::ONE]).unwrap()).unwrap();
    model.insert("b", MasterCopy::new(Sgd::new(0.001).unwrap(), &[f16::ONE]).unwrap()).unwrap();
    model.scale_learning_rates(1.0).unwrap();
    let rates = |model: &ParamGroups<f16, MasterCopy<f16, Sgd<f32>>, f32>| {
        ["a", "b"].map(|name| model.get(name).unwrap().optimizer().learning_rate())
    };
    assert_eq!(rates(&model), [2e-8, 0.001]);
    model.set_learning_rate("b", 0.003).unwrap();
    assert_eq!(rates(&model), [2e-8, 0.003]);
    let before = model.clone();
    model.scale_learning_rates(f32::NAN).unwrap_err();
    model.set_learning_rate("a", 1e30).unwrap();
    model.scale_learning_rates(1e30).unwrap_err();
    assert_eq!(rates(&model), [1e30, 0.003]);
    model.set_learning_rate("a", 2e-8).unwrap();
    assert_eq!(model, before);
}

/// In every nesting, `check` returns what `step` would, and an error changes nothing.
#[test]
fn nestings_are_all_or_nothing() {
    let half = |values: [f32; 3]| values.map(bf16::from_f32);
    let (start, good) = (half([1.0, -2.0, 0.5]), half([0.5, 0.25, -1.0]));
    for bad in [f32::NAN, f32::INFINITY] {
        let bad = half([0.5, bad, 1.0]);
        for (name, rejects, mut optimizer) in half_optimizers(&start) {
            let mut params = start;
            optimizer.step(&mut params, &good).unwrap();
            assert_eq!(optimizer.rejects_non_finite(), rejects, "{name}");
            assert_eq!(optimizer.check(&params, &bad).is_err(), rejects, "{name}");
            if rejects {
                let before = params;
                let error = optimizer.step(&mut params, &bad).unwrap_err();
                assert_eq!(optimizer.check(&params, &bad).unwrap_err().to_string(), error.to_string(), "{name}");
                // The state is as it was: the next step is that of one that never saw the error.
                let (_, _, mut other) = half_optimizers(&start).into_iter().find(|other| other.0 == name).unwrap();
                let mut expected = start;
                other.step(&mut expected, &good).unwrap();
                assert_eq!((params, optimizer.steps()), (before, 1), "{name}");
                optimizer.step(&mut params, &good).unwrap();
                other.step(&mut expected, &good).unwrap();
                assert_eq!((params, optimizer.steps()), (expected, 2), "{name}");
            }
            for wrong in [&mut [bf16::ONE; 2][..], &mut [bf16::ONE; 4]] {
                let grads = vec![bf16::ONE; wrong.len()];
                assert_eq!(optimizer.check(wrong, &grads), optimizer.step(wrong, &grads), "{name}");
                assert!(optimizer.check(wrong, &grads).is_err() && wrong.iter().all(|&p| p == bf16::ONE), "{name}");
            }
        }
        // The second of two tensors: the first has not moved.
        for (place, (name, rejects, _)) in half_optimizers(&start).iter().enumerate() {
            let mut model = ParamGroups::new();
            for tensor in ["a", "b"] {
                model.insert(tensor, half_optimizers(&start).swap_remove(place).2).unwrap();
            }
            let (mut a, mut b) = (start, start);
            let stepped = model.step(&mut [("a", &mut a, &good), ("b", &mut b, &bad)]);
            assert_eq!((stepped.is_err(), a == start, model.steps() == 0), (*rejects, *rejects, *rejects), "{name}");
        }
    }
}

#[test]
fn lengths_are_checked_in_a_checked_step_too() {
    let mut f16s = MasterCopy::new(Sgd::new(1.0).unwrap(), &[f16::ONE; 3]).unwrap();
    let mut bf16s = MasterCopy::new(Sgd::new(1.0).unwrap(), &[bf16::ONE; 3]).unwrap();
    let message = "params has length 2, expected 3, the length of master copy";
    for scale in [1.0, 0.5] {
        says(f16s.step_checked(&mut [f16::ONE; 2], Grads::scaled(&[f16::ONE; 2], scale)), message);
        says(bf16s.step_checked(&mut [bf16::ONE; 2], Grads::scaled(&[bf16::ONE; 2], scale)), message);
    }
    assert_eq!((f16s.steps(), bf16s.steps(), bf16s.master()), (0, 0, &[1.0; 3][..]));
}

/// A scaled gradient just above half-way between two halves; by way of f32 it would be half-way, and go to the even one.
#[test]
fn scaled_gradients_are_rounded_once() {
    macro_rules! steps_by {
        ($half:ident, $digits:literal, $rule:expr) => {
            let scale = 1.0 + 2.0_f64.powi(-$digits - 1) + 2.0_f64.powi(-40);
            let mut params = [$half::ZERO];
            let mut master = MasterCopy::new($rule, &params).unwrap();
            master.step_checked(&mut params, Grads::scaled(&[$half::ONE], scale)).unwrap();
            assert_eq!(master.master(), [-1.0 - 2.0_f32.powi(-$digits)]);
        };
    }
    steps_by!(bf16, 7, Sgd::new(1.0).unwrap());
    steps_by!(f16, 10, Sgd::new(1.0).unwrap());
    steps_by!(bf16, 7, Plain);
    steps_by!(f16, 10, Plain);
}

/// Its own loop: it needs the copy of the gradients.
struct Plain;

impl Optimizer<f32> for Plain {
    fn step(&mut self, params: &mut [f32], grads: &[f32]) -> Result<(), Error> {
        elementwise(params, [], grads, |p, [], g| (p - g, []))
    }

    fn learning_rate(&self) -> f32 {
        1.0
    }

    fn set_learning_rate(&mut self, _: f32) -> Result<(), Error> {
        Ok(())
    }

    fn steps(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}
}

/// Sign descent with a memory. `SCALES` says whether it takes all gradients, or owns its loop.
#[derive(Clone)]
struct Signs<const SCALES: bool>(Vec<f32>);

impl<const SCALES: bool> Optimizer<f32> for Signs<SCALES> {
    fn step(&mut self, params: &mut [f32], grads: &[f32]) -> Result<(), Error> {
        elementwise(params, [&mut self.0], grads, |p, [s], g| (p - 0.01 * (g + s).signum(), [g]))
    }

    fn step_checked(&mut self, params: &mut [f32], grads: Grads<f32>) -> Result<(), Error> {
        match grads.unscaled() {
            Some(grads) if !SCALES => self.step(params, grads),
            _ if !SCALES => Err(Error::CannotScale),
            _ => elementwise_scaled(params, [&mut self.0], grads, |p, [s], g| (p - 0.01 * (g + s).signum(), [g])),
        }
    }

    fn can_scale(&self) -> bool {
        SCALES
    }

    fn learning_rate(&self) -> f32 {
        0.01
    }

    fn set_learning_rate(&mut self, _: f32) -> Result<(), Error> {
        Ok(())
    }

    fn steps(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}
}

/// With a copy of the gradients and without, clipped and not: the f32 rule on the halves' numbers, then rounded.
macro_rules! outside_rules {
    ($half:ident, $len:ident) => {
        let half = |numbers: &[f32]| numbers.iter().map(|&x| $half::from_f32(x)).collect::<Vec<_>>();
        let widened = |halves: &[$half]| halves.iter().map(|half| half.to_f32()).collect::<Vec<_>>();
        let numbers = noise(2 * $len);
        let (start, grads) = (half(&numbers[..$len]), half(&numbers[$len..]));
        for max_norm in [None, Some(0.01)] {
            let (mut full, mut clipped) = (widened(&start), grads.clone());
            if let Some(max_norm) = max_norm {
                clip_global_norm(&mut [&mut clipped], max_norm).unwrap();
            }
            let mut rule = Signs::<true>(vec![0.0; $len]);
            rule.step(&mut full, &widened(&clipped)).unwrap();
            rule.step(&mut full, &widened(&clipped)).unwrap();

            let steps = |optimizer: &mut dyn Optimizer<$half, f32>| {
                let mut params = start.clone();
                for _ in 0..2 {
                    match max_norm {
                        Some(max_norm) => drop(step_clipped(optimizer, &mut params, &grads, max_norm).unwrap()),
                        None => optimizer.step(&mut params, &grads).unwrap(),
                    }
                }
                params
            };
            let mut takes_all = MasterCopy::new(Signs::<true>(vec![0.0; $len]), &start).unwrap();
            let mut owns_loop = MasterCopy::new(Signs::<false>(vec![0.0; $len]), &start).unwrap();
            assert_eq!((steps(&mut takes_all), takes_all.master()), (half(&full), &full[..]), "{max_norm:?}");
            assert_eq!((steps(&mut owns_loop), owns_loop.master()), (half(&full), &full[..]), "{max_norm:?}");
        }
    };
}

#[test]
fn rules_from_outside() {
    for len in FEW_LENS {
        outside_rules!(f16, len);
        outside_rules!(bf16, len);
    }
}

#[test]
fn a_rule_that_needs_a_copy_cannot_take_the_place_of_one_that_does_not() {
    let signs = |takes_all| -> Box<dyn Optimizer<f32>> {
        if takes_all { Box::new(Signs::<true>(vec![0.0; 2])) } else { Box::new(Signs::<false>(vec![0.0; 2])) }
    };
    let (mut params, grads) = ([bf16::ONE; 2], [bf16::ONE; 2]);
    let mut copy = MasterCopy::new(signs(true), &params).unwrap();
    *copy.optimizer_mut() = signs(false);
    let error = copy.check(&params, &grads).unwrap_err();
    assert_eq!(error.to_string(), "copy of the gradients has length 0, expected 2, the length of params");
    assert_eq!((copy.step(&mut params, &grads), params), (Err(error), [bf16::ONE; 2]));
    let mut copy = MasterCopy::new(signs(false), &params).unwrap();
    *copy.optimizer_mut() = signs(true);
    assert_eq!((copy.step(&mut params, &grads), params), (Ok(()), [bf16::from_f32(0.99); 2]));
}

/// The parameters are no gradients: an infinite one is not the guard's business.
#[test]
fn a_guard_inside_looks_at_gradients_only() {
    let mut params = [f16::MAX];
    let mut guarded = MasterCopy::new(Guard(Sgd::new(1.0).unwrap()), &params).unwrap();
    guarded.step(&mut params, &[-f16::MAX]).unwrap();
    assert_eq!(params, [f16::INFINITY]);
    guarded.step(&mut params, &[f16::MAX]).unwrap();
    assert_eq!(params, [f16::MAX]);
    let mut infinite = [f16::INFINITY];
    let mut guarded = MasterCopy::new(Guard(Sgd::new(1.0).unwrap()), &infinite).unwrap();
    assert_eq!(guarded.step(&mut infinite, &[f16::ONE]), Ok(()));
}

/// `optimizer_mut` gives the inner optimizer away: one for another length is seen before the first tensor moves.
#[test]
fn an_inner_optimizer_for_another_length_is_rejected() {
    let mut params = [bf16::ONE; 2];
    let mut master = MasterCopy::new(Momentum::new(0.1, 0.9, 2).unwrap(), &params).unwrap();
    *master.optimizer_mut() = Momentum::new(0.1, 0.9, 3).unwrap();
    let error = master.check(&params, &params).unwrap_err();
    assert_eq!(error.to_string(), "master copy has length 2, expected 3, the length of optimizer's state");
    let grads = params;
    assert_eq!(master.step(&mut params, &grads), Err(error));
}

#[test]
fn refusals_change_nothing() {
    let mut params = [bf16::ONE; 2];
    let wrong = MasterCopy::new(Momentum::new(0.1, 0.9, 3).unwrap(), &params).unwrap_err();
    assert_eq!(wrong.to_string(), "params has length 2, expected 3, the length of velocity");

    let mut guarded = Guard(MasterCopy::new(Momentum::new(0.1, 0.9, 2).unwrap(), &params).unwrap());
    let before = guarded.clone();
    let refused = |result: Result<(), gradstep::Error>| result.unwrap_err().to_string();
    assert_eq!(
        refused(guarded.step(&mut params, &[bf16::ONE; 3])),
        "grads has length 3, expected 2, the length of params"
    );
    assert_eq!(
        refused(guarded.step(&mut [bf16::ONE; 3], &[bf16::ONE; 3])),
        "params has length 3, expected 2, the length of master copy"
    );
    assert_eq!(
        refused(guarded.step(&mut params, &[bf16::ONE, bf16::NAN])),
        "grads[1] is NaN, expected a finite number"
    );
    assert_eq!((guarded, params), (before, [bf16::ONE; 2]));
}

#[test]
#[cfg(feature = "serde")]
fn saved_and_restored_in_mid_run() {
    let mut params = [bf16::ONE; 2];
    let mut whole = MasterCopy::new(Momentum::new(0.001, 0.9, 2).unwrap(), &params).unwrap();
    let grads = [bf16::from_f32(0.3), bf16::from_f32(-7.0)];
    whole.step(&mut params, &grads).unwrap();
    let mut restored: MasterCopy<bf16, Momentum<f32>> =
        serde_json::from_str(&serde_json::to_string(&whole).unwrap()).unwrap();
    assert_eq!(restored, whole);
    let mut params_of_restored = params;
    for _ in 0..50 {
        whole.step(&mut params, &grads).unwrap();
        restored.step(&mut params_of_restored, &grads).unwrap();
    }
    assert_eq!(params_of_restored, params);
    assert_eq!(restored, whole);
    let text =
        serde_json::to_string(&MasterCopy::new(Momentum::new(1.0, 0.0, 1).unwrap(), &[bf16::ONE]).unwrap()).unwrap();
    let torn = text.replace(r#""master":["1.0"]"#, r#""master":["1.0","2.0"]"#);
    let error = serde_json::from_str::<MasterCopy<bf16, Momentum<f32>>>(&torn).unwrap_err();
    assert_eq!(
        error.to_string().split(" at line ").next(),
        Some("params has length 2, expected 1, the length of velocity")
    );
}

/// By text alone either would read as the other, rounded in silence.
#[test]
#[cfg(feature = "serde")]
fn each_half_is_saved_under_its_name() {
    let sgd = Sgd::new(f16::from_f32(0.1)).unwrap();
    let text = serde_json::to_string(&sgd).unwrap();
    assert_eq!(serde_json::from_str::<Sgd<f16>>(&text).unwrap(), sgd);
    let refused = |error: serde_json::Error| error.to_string().split(" at line ").next().unwrap().to_string();
    let error = serde_json::from_str::<Sgd<bf16>>(&text).unwrap_err();
    assert_eq!(refused(error), "saved type is gradstep::Sgd<f16> v1, expected gradstep::Sgd<bf16> v1");
    let text = serde_json::to_string(&Sgd::new(bf16::ONE).unwrap()).unwrap();
    let error = serde_json::from_str::<Sgd<f16>>(&text).unwrap_err();
    assert_eq!(refused(error), "saved type is gradstep::Sgd<bf16> v1, expected gradstep::Sgd<f16> v1");
}
