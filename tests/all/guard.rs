//! The guard: a gradient that is not finite changes nothing, and no other gradient is changed.

use gradstep::{FiniteGuard, Grads, Momentum, Optimizer, ParamGroups, Schedule, Sgd};

use crate::common::{Scalar, bits, in_types, noise, says, tiny};

#[test]
fn what_is_rejected_changes_nothing() {
    let mut guard = FiniteGuard(Momentum::new(0.5_f64, 0.5, 3).unwrap());
    let mut params = [1.0, -0.0, 2.0];
    guard.step(&mut params, &[1.0, 0.0, 2.0]).unwrap();
    let (before, at) = (guard.clone(), params);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let message = format!("grads[1] is {bad:?}, expected a finite number");
        says(guard.check(Grads::new(&[1.0, bad, f64::NAN])), &message);
        says(guard.step(&mut params, &[1.0, bad, f64::NAN]), &message);
        assert_eq!((&guard, bits(&params)), (&before, bits(&at)));
    }
    for place in 0..3 {
        let mut grads = [1.0; 3];
        grads[place] = f64::NAN; // the only one, wherever it stands
        says(guard.step(&mut params, &grads), &format!("grads[{place}] is NaN, expected a finite number"));
    }
    // Lengths first, in the words of the optimizer inside.
    says(guard.step(&mut params, &[f64::NAN]), "grads has length 1, expected 3, the length of params");
    says(guard.step(&mut [0.0], &[f64::NAN]), "grads has length 1, expected 3, the length of velocity");
    assert_eq!((guard.0.steps(), &guard), (1, &before));
}

/// Finite gradients: the guard changes no bit.
#[test]
fn guard_is_the_optimizer_otherwise() {
    let mut plain = Momentum::<f32>::new(0.1, 0.9, 100).unwrap();
    let mut guard = FiniteGuard(plain.clone());
    let (mut a, mut b) = (noise(100), noise(100));
    for k in 0..10 {
        let grads = noise(100 + k)[k..].to_vec();
        plain.step(&mut a, &grads).unwrap();
        guard.step(&mut b, &grads).unwrap();
    }
    assert_eq!((bits(&a), &plain), (bits(&b), &guard.0));
    guard.set_learning_rate(0.25).unwrap();
    assert_eq!((guard.learning_rate(), guard.0.learning_rate()), (0.25, 0.25));
    says(guard.set_learning_rate(-1.0), "learning_rate is -1.0, expected a finite number of at least 0");
    guard.reset();
    assert_eq!((guard.0.steps(), guard.0.velocity()), (0, &[0.0; 100][..]));
}

/// Every third gradient is bad. The schedule 1, 1/2, 1/4, … must go on where it was, so that after six calls θ is
/// -(1 + 1/2 + 1/4 + 1/8); had the rejected steps counted, it would be -(1 + 1/4 + 1/8 + 1/32).
#[test]
fn schedule_follows_the_steps_applied() {
    let schedule = Schedule::step_decay(1.0, 0.5, 1).unwrap();
    let mut guard = FiniteGuard(Sgd::new(0.0).unwrap());
    let mut params = [0.0_f64];
    for k in 0..6 {
        guard.set_learning_rate(schedule.at(guard.0.steps())).unwrap();
        let grads = [if k % 3 == 1 { f64::NAN } else { 1.0 }];
        assert_eq!(guard.step(&mut params, &grads).is_err(), k % 3 == 1);
    }
    assert_eq!((guard.0.steps(), params), (4, [-1.875]));
}

/// One bad gradient in one tensor: no tensor moves, and the model's count stands still.
#[test]
fn guard_within_a_model() {
    let mut model = ParamGroups::new();
    model.insert("a", FiniteGuard(Momentum::new(0.5_f64, 0.5, 1).unwrap())).unwrap();
    model.insert("b", FiniteGuard(Momentum::new(0.5, 0.5, 2).unwrap())).unwrap();
    let (mut a, mut b) = ([1.0], [1.0, 2.0]);
    model.step(&mut [("a", &mut a, &[1.0]), ("b", &mut b, &[1.0, 1.0])]).unwrap();
    let before = (model.clone(), a, b);
    let stepped = model.step(&mut [("a", &mut a, &[1.0]), ("b", &mut b, &[1.0, f64::INFINITY])]);
    says(stepped, "tensor `b`: grads[1] is inf, expected a finite number");
    assert_eq!((model.clone(), a, b), before);
    assert_eq!(model.steps(), 1);
    assert_eq!(model.get("b").unwrap().0.steps(), 1);
}

/// The smallest, the largest and no numbers at all are finite.
fn finite_at_the_edges<F: Scalar>() {
    let (zero, max, tiny) = (F::zero(), F::max_value(), tiny::<F>());
    let mut params = [zero; 4];
    FiniteGuard(Sgd::new(1.0).unwrap()).step(&mut params, &[max, -max, tiny, -zero]).unwrap();
    assert_eq!(params, [-max, max, -tiny, zero]);
    assert_eq!(FiniteGuard(Sgd::<F>::new(1.0).unwrap()).step(&mut [], &[]), Ok(()));
}
in_types!(finite_at_the_edges: f32 f64 f16 bf16);
