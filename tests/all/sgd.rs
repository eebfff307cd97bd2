//! `Sgd`: by hand, in closed form, and beside PyTorch.

use approx::assert_relative_eq;
use gradstep::{Optimizer, Sgd, WeightDecay};
use half::{bf16, f16};

use crate::common::{Scalar, golden, in_types, path, says, with_gradient_theta};

/// bf16 has 8 bits, which is enough. θ <- θ - θ/4 = 3/4 θ: 16, 12, 9, 27/4, 81/16
fn by_hand<F: Scalar>() {
    let sgd = Sgd::<F>::new(0.25).unwrap();
    assert_eq!(with_gradient_theta(sgd, 4), [12.0, 9.0, 27.0 / 4.0, 81.0 / 16.0]);
}
in_types!(by_hand: f32 f64 f16 bf16);

#[test]
fn sgd_contracts_a_quadratic_by_one_minus_learning_rate_times_curvature() {
    for (learning_rate, h) in [(0.1, 1.0), (0.1, 15.0), (0.3, 6.0), (0.01, 250.0)] {
        let path = path(Sgd::<f64>::new(learning_rate).unwrap(), [1.0], 50, |_, [x]| [h * x]);
        for (k, theta) in (1..).zip(path) {
            assert_relative_eq!(theta, (1.0 - learning_rate * h).powi(k), max_relative = 1e-12);
        }
    }
}

fn sgd_follows(text: &str) {
    let trajectory = golden::trajectory(text);
    let decay = WeightDecay::Coupled(trajectory.weight_decay);
    golden::follows(Sgd::new(1.0).unwrap().with_weight_decay(decay).unwrap(), &trajectory);
}

#[test]
fn trajectories_of_pytorch() {
    sgd_follows(include_str!("../data/sgd.csv"));
    sgd_follows(include_str!("../data/sgd_l2.csv"));
}

#[test]
fn a_count_from_elsewhere_goes_on() {
    let mut sgd = Sgd::new(0.5).unwrap().with_steps(7);
    sgd.step(&mut [1.0_f32], &[1.0]).unwrap();
    assert_eq!((sgd.steps(), sgd.state_len()), (8, None));
}

#[test]
fn another_length_is_rejected() {
    let mut params = [1.0_f32, 2.0];
    says(Sgd::new(0.1).unwrap().step(&mut params, &[1.0; 3]), "grads has length 3, expected 2, the length of params");
    assert_eq!(params, [1.0, 2.0]);
}

/// 1,000 steps against a gradient of 1, from 1. The next bf16 below 1 is 1 - 2^-8, the next f16 1 - 2^-11; an update of less
/// than half of that rounds to nothing. (1e-3 is 2.05 of f16's steps, so that there the parameter moves by 2 each time.)
#[test]
fn small_updates_of_halves_are_lost() {
    fn walked<P: Scalar>(learning_rate: f64) -> f64 {
        path(Sgd::<P>::new(learning_rate).unwrap(), [1.0], 1000, |_, _| [1.0])[999]
    }
    let at_rest = [walked::<bf16>(1e-3), walked::<bf16>(1.9e-3), walked::<f16>(1e-4), walked::<f16>(2.4e-4)];
    assert_eq!(at_rest, [1.0; 4]);
    assert!([walked::<bf16>(2e-3), walked::<f16>(2.5e-4), walked::<f16>(1e-3)].iter().all(|&end| end < 1.0));
    assert!(walked::<f32>(1e-3).abs() < 1e-4);
}
