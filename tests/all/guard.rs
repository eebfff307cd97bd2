//! The guard: a gradient that is not finite changes nothing, and no other gradient is changed.

use gradstep::{FiniteGuard, Grads, Momentum, Optimizer, Sgd};

use crate::common::{Scalar, bits, in_types, says, tiny};

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
    assert_eq!((guard.steps(), guard.state_len(), &guard), (1, Some(3), &before));
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
