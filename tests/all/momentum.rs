//! `Momentum` in its four forms: by hand, in closed form, and beside PyTorch.

use approx::assert_relative_eq;
use gradstep::{Grads, Momentum, MomentumForm, MomentumRule, Optimizer, Sgd, WeightDecay};
use proptest::prelude::*;

use crate::common::{
    DECAYS, FEW_LENS, FORMS, LEARNING_RATE, Scalar, bits, config, golden, in_types, number, numbers, path, same, says,
    starts_and_grads, with_gradient_theta,
};

/// λ = 1/2.
fn half<F: Scalar>(learning_rate: f64, form: MomentumForm) -> Momentum<F> {
    Momentum::new(learning_rate, 0.5, 1).unwrap().with_form(form)
}

/// g = 1.
const ONE: fn(usize, [f64; 1]) -> [f64; 1] = |_, _| [1.0];

// Computed by hand, in fractions that f32 and f64 hold exactly --------------------------------------------------------

/// bf16 has 8 bits, which is enough.
fn by_hand<F: Scalar>() {
    // m <- m/2 - θ/4 ; θ <- θ + m
    // m = -4                            θ = 12
    // m = -2 - 3 = -5                   θ = 7
    // m = -5/2 - 7/4 = -17/4            θ = 11/4
    // m = -17/8 - 11/16 = -45/16        θ = -1/16
    // m = -45/32 + 1/64 = -89/64        θ = -93/64
    let mut momentum = half::<F>(0.25, MomentumForm::Classical);
    let expected = [12.0, 7.0, 11.0 / 4.0, -1.0 / 16.0, -93.0 / 64.0];
    assert_eq!(with_gradient_theta(&mut momentum, 5), expected);
    assert_eq!(momentum.velocity(), [number(-89.0 / 64.0)]);
}
in_types!(by_hand: f32 f64 f16 bf16);

fn a_changing_learning_rate_tells_the_forms_apart<F: Scalar>() {
    // m <- m/2 - 1: -1, -3/2; then coasting on: -3/4 - 1/4 = -1, -1/2 - 1/4 = -3/4
    let classical = [-1.0, -5.0 / 2.0, -7.0 / 2.0, -17.0 / 4.0];
    // v = 1, 3/2, 7/4, 15/8; θ -= 1, 3/2, then 7/16, 15/32
    let pytorch = [-1.0, -5.0 / 2.0, -47.0 / 16.0, -109.0 / 32.0];
    // θ += m/2 - η with the m of above: -3/2, -7/4, -3/4, -5/8
    let nesterov = [-3.0 / 2.0, -13.0 / 4.0, -4.0, -37.0 / 8.0];
    // θ -= η (1 + v/2): 3/2, 7/4, 15/32, 31/64
    let pytorch_nesterov = [-3.0 / 2.0, -13.0 / 4.0, -119.0 / 32.0, -269.0 / 64.0];
    for (form, expected) in FORMS.into_iter().zip([classical, nesterov, pytorch, pytorch_nesterov]) {
        let mut momentum = half::<F>(1.0, form);
        let first = path(&mut momentum, [0.0], 2, ONE);
        momentum.set_learning_rate(0.25).unwrap();
        let rest = path(momentum, [first[1]], 2, ONE);
        assert_eq!([first, rest].concat(), expected, "{form:?}");
    }
}
in_types!(a_changing_learning_rate_tells_the_forms_apart: f32 f64);

/// With `digits` digits the largest momentum below 1 is 1 - 2^-digits. At g = -1 the classical velocity goes 1, 2 and 3 (each a
/// tie, to even), then 4 - 2^(2 - digits): λ 3 = 3 - 3 · 2^-digits, to the nearest multiple of 2^(2 - digits).
fn momentum_zero_and_just_below_one<F: Scalar>() {
    let digits = 1 - F::epsilon().to_f64().unwrap().log2() as i32;
    let below_one = 1.0 - 2.0_f64.powi(-digits);
    assert_eq!(number::<F>(below_one), F::one() - F::epsilon() * number(0.5));
    let mut momentum = Momentum::new(1.0, below_one, 1).unwrap();
    for velocity in [1.0, 2.0, 3.0, 4.0 - 2.0_f64.powi(2 - digits)] {
        momentum.step(&mut [F::zero()], &[-F::one()]).unwrap();
        assert_eq!(momentum.velocity(), [number::<F>(velocity)]);
    }

    for form in FORMS {
        // λ = 0 forgets every velocity but an infinite one, since 0 · ∞ is NaN.
        let mut momentum = Momentum::new(0.5, 0.0, 2).unwrap().with_form(form);
        let mut params = [F::zero(); 2];
        momentum.step(&mut params, &[number(4.0), F::infinity()]).unwrap();
        let nesterov = matches!(form, MomentumForm::Nesterov | MomentumForm::PyTorchNesterov); // it uses λ times the new velocity
        assert!(same(params[1], if nesterov { F::nan() } else { F::neg_infinity() }), "{form:?}");
        momentum.step(&mut params, &[F::one(); 2]).unwrap();
        assert!(params[0] == number(-2.5) && params[1].is_nan(), "{form:?}");
        momentum.reset();
        assert!(momentum.velocity().iter().all(|&m| same(m, F::zero())), "{form:?}");
    }
}

in_types!(momentum_zero_and_just_below_one: f32 f64 f16 bf16);

// In closed form ------------------------------------------------------------------------------------------------------

#[test]
fn momentum_is_stable_exactly_below_two_plus_two_lambda() {
    for momentum in [0.0, 0.25, 0.5, 0.9, 0.99] {
        let limit = 2.0 + 2.0 * momentum;
        let last = |learning_rate: f64| {
            let momentum = Momentum::<f64>::new(learning_rate, momentum, 1).unwrap();
            let path = path(momentum, [1.0], 3_000, |_, theta| theta);
            // Past the largest float it is infinity, then infinity - infinity.
            let size = |theta: &f64| if theta.is_finite() { theta.abs() } else { f64::INFINITY };
            path[2_000..].iter().map(size).fold(0.0, f64::max)
        };
        assert!(last(0.01) < 1e-3, "λ = {momentum}: slow, but it goes down");
        assert!(last(limit - 0.01) < 1e-3, "λ = {momentum}: just below the limit");
        assert!(last(limit + 0.01) > 1e3, "λ = {momentum}: just above");
    }
}

#[test]
fn momentum_at_its_best_has_the_rate_of_the_root_of_the_condition_number() {
    let condition: f64 = 100.0;
    let rate = (condition.sqrt() - 1.0) / (condition.sqrt() + 1.0);
    // Polyak 1964, for curvatures from 1 to κ.
    let (momentum, learning_rate) = (rate * rate, (2.0 / (condition.sqrt() + 1.0)).powi(2));
    for h in [1.0, 10.0, 50.0, 100.0] {
        let momentum = Momentum::<f64>::new(learning_rate, momentum, 1).unwrap();
        let path = path(momentum, [1.0], 400, |_, [x]| [h * x]);
        // The largest of a window, since inside the spectrum θ swings through 0; (2k/k)^(1/k) is left at its ends.
        let largest = |from: usize| path[from..from + 40].iter().fold(0.0_f64, |most, theta| most.max(theta.abs()));
        let measured = (largest(360) / largest(160)).powf(1.0 / 200.0);
        assert_relative_eq!(measured, rate, max_relative = 6e-3);
    }
}

#[test]
fn nesterov_on_a_quadratic_has_the_roots_of_its_recurrence() {
    // θ_{k+1} = (1 + λ)(1 - ηh) θ_k - λ(1 - ηh) θ_{k-1}: with complex roots, their modulus is √(λ (1 - ηh)).
    // h = 1
    let modulus = (0.9 * (1.0 - 0.05_f64)).sqrt();
    for form in [MomentumForm::Nesterov, MomentumForm::PyTorchNesterov] {
        let path = path(Momentum::<f64>::new(0.05, 0.9, 1).unwrap().with_form(form), [1.0], 400, |_, theta| theta);
        let largest = |from: usize| path[from..from + 60].iter().fold(0.0_f64, |most, theta| most.max(theta.abs()));
        assert_relative_eq!((largest(300) / largest(100)).powf(1.0 / 200.0), modulus, max_relative = 2e-3);
    }
}

// Beside PyTorch ------------------------------------------------------------------------------------------------------

/// The optimizer of a trajectory, in torch's form or in the classical one.
fn of_trajectory(trajectory: &golden::Trajectory, classical: bool) -> Momentum<f64> {
    assert_eq!(trajectory.momentum, 0.9);
    let form = match (trajectory.nesterov, classical) {
        (false, false) => MomentumForm::PyTorch,
        (false, true) => MomentumForm::Classical,
        (true, false) => MomentumForm::PyTorchNesterov,
        (true, true) => MomentumForm::Nesterov,
    };
    let momentum = Momentum::new(1.0, trajectory.momentum, 5).unwrap().with_form(form);
    momentum.with_weight_decay(WeightDecay::Coupled(trajectory.weight_decay)).unwrap()
}

#[test]
fn trajectories_of_pytorch() {
    for text in [
        include_str!("../data/momentum.csv"),
        include_str!("../data/momentum_l2.csv"),
        include_str!("../data/nesterov.csv"),
    ] {
        let trajectory = golden::trajectory(text);
        for classical in [false, true] {
            golden::follows(of_trajectory(&trajectory, classical), &trajectory);
        }
    }
}

/// Then the classical forms part from torch's.
#[test]
fn trajectories_of_pytorch_with_a_changing_learning_rate() {
    for text in [include_str!("../data/momentum_step_lr.csv"), include_str!("../data/nesterov_step_lr.csv")] {
        let trajectory = golden::trajectory(text);
        golden::follows(of_trajectory(&trajectory, false), &trajectory);
        assert!(golden::farthest(of_trajectory(&trajectory, true), &trajectory) > 1e-3);
    }
}

/// A regression of y = 3 x₁ + x₂ - 2 on four points, from 0, at η = 0.004 and λ = 0.1. The numbers are PyTorch's, of the tests of
/// candle-optimisers, one of which has dampening 0.2: of all gradients but the first.
#[test]
fn dampening_is_a_factor_of_all_gradients_but_the_first() {
    let points = [([2.0_f32, 1.0], 5.0), ([7.0, 4.0], 23.0), ([-4.0, 12.0], -2.0), ([5.0, 8.0], 21.0)];
    let fit = |dampening: f64, first: f64| {
        let mut momentum = Momentum::new(0.004, 0.1, 3).unwrap().with_form(MomentumForm::PyTorch);
        let mut params = [0.0; 3];
        for _ in 0..100 {
            let mut grads = [0.0; 3];
            for ([x1, x2], y) in points {
                let miss = 2.0 * (params[0] * x1 + params[1] * x2 + params[2] - y);
                [miss * x1, miss * x2, miss].into_iter().zip(&mut grads).for_each(|(part, g)| *g += part);
            }
            let scale = if momentum.steps() == 0 { first } else { 1.0 - dampening };
            momentum.step_with(&mut params, Grads::new(&grads).scaled(scale)).unwrap();
        }
        params
    };
    approx::assert_abs_diff_eq!(fit(0.0, 1.0)[..], [2.8870, 0.8589, -0.6341], epsilon = 1e-4);
    approx::assert_abs_diff_eq!(fit(0.2, 1.0)[..], [2.8746, 0.8434, -0.4838], epsilon = 1e-4);
    // To dampen the first one too is a smaller learning rate, and another run.
    assert!((fit(0.2, 0.8)[2] + 0.4838).abs() > 1e-3);
}

// Properties ----------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(config(256))]

    /// m_k = -η Σ_j λ^(k-j) g_j
    #[test]
    fn velocity_is_the_weighted_sum_of_all_earlier_gradients((start, grads) in starts_and_grads()) {
        let (learning_rate, momentum) = (0.125, 0.75_f64);
        let mut optimizer = Momentum::new(learning_rate, momentum, start.len()).unwrap();
        let mut params = start;
        for (k, g) in grads.iter().enumerate() {
            optimizer.step(&mut params, g).unwrap();
            for (i, m) in optimizer.velocity().iter().enumerate() {
                let terms = (0..=k).map(|j| -learning_rate * momentum.powi((k - j) as i32) * grads[j][i]);
                assert_relative_eq!(*m, terms.sum::<f64>(), epsilon = 1e-10);
            }
        }
    }

    #[test]
    fn without_momentum_every_form_is_sgd((start, grads) in starts_and_grads()) {
        for decay in DECAYS {
            for form in FORMS {
                let momentum = Momentum::new(LEARNING_RATE, 0.0, start.len()).unwrap();
                let mut momentum = momentum.with_form(form).with_weight_decay(decay).unwrap();
                let mut sgd = Sgd::new(LEARNING_RATE).unwrap().with_weight_decay(decay).unwrap();
                let (mut a, mut b) = (start.clone(), start.clone());
                for g in &grads {
                    momentum.step(&mut a, g).unwrap();
                    sgd.step(&mut b, g).unwrap();
                }
                // Equal as numbers, so to the bit but for the sign of a zero.
                prop_assert_eq!(&a, &b);
            }
        }
    }
}

// Rejected inputs -----------------------------------------------------------------------------------------------------

#[test]
fn invalid_momentum_is_rejected() {
    for bad in [1.0, -0.25, 2.0, f64::NAN, f64::INFINITY] {
        let message = format!("momentum is {bad:?}, expected a number of at least 0 and below 1");
        says(Momentum::<f64>::new(0.1, bad, 3), &message);
        let mut momentum = Momentum::<f64>::new(0.1, 0.9, 3).unwrap();
        says(momentum.set_momentum(bad), &message);
        assert_eq!(momentum.rule().momentum, 0.9);
    }
    let just_below_one = 1.0 - f64::EPSILON / 2.0;
    assert_eq!(Momentum::<f64>::new(0.1, just_below_one, 3).unwrap().rule().momentum, just_below_one);
    assert!(Momentum::<f64>::new(0.1, 0.0, 3).is_ok());
    let message = format!("velocity of length {} does not fit in memory", usize::MAX);
    says(Momentum::<f64>::new(0.1, 0.9, usize::MAX), &message);
}

#[test]
fn another_velocity() {
    let momentum = Momentum::new(0.5, 0.25, 2).unwrap().with_form(MomentumForm::PyTorch);
    for wrong in [&[][..], &[1.0], &[1.0; 3]] {
        let message = format!("velocity has length {}, expected 2, the length of params", wrong.len());
        says(momentum.clone().with_velocity(wrong, 5), &message);
    }
    let mut momentum = momentum.with_velocity(&[-0.0, f64::INFINITY], 5).unwrap();
    assert_eq!(momentum.velocity()[0].to_bits(), (-0.0_f64).to_bits());
    assert_eq!(
        (momentum.velocity()[1], momentum.steps(), momentum.rule().form),
        (f64::INFINITY, 5, MomentumForm::PyTorch)
    );
    momentum.step(&mut [1.0; 2], &[1.0; 2]).unwrap();
    assert_eq!((momentum.velocity(), momentum.steps()), (&[1.0, f64::INFINITY][..], 6));
}

// Settings and a velocity of one's own -----------------------------------------------------------------------------------

/// `MomentumRule` on a velocity that the caller owns is `Momentum`, to the bit, in all forms and decays.
fn a_rule_on_a_velocity_of_one_s_own_is_momentum<F: Scalar>() {
    for len in FEW_LENS {
        for form in FORMS {
            for weight_decay in DECAYS {
                let rule = MomentumRule { form, weight_decay, ..MomentumRule::new(LEARNING_RATE, 0.9) };
                let mut momentum = Momentum::with_rule(rule, len).unwrap();
                let (mut a, mut b, mut velocity) = (numbers::<F>(len, 1), numbers::<F>(len, 1), vec![F::zero(); len]);
                let shared = &rule; // it steps by a shared reference
                for step in 0..if len < 100_000 { 3 } else { 1 } {
                    let grads = numbers::<F>(len, 100 + step);
                    momentum.step(&mut a, &grads).unwrap();
                    shared.step(&mut b, &mut velocity, &grads).unwrap();
                }
                assert!(bits(&a) == bits(&b) && bits(momentum.velocity()) == bits(&velocity), "{rule:?}, {len}");
                assert_eq!(momentum.rule(), &rule);
            }
        }
    }
}

in_types!(a_rule_on_a_velocity_of_one_s_own_is_momentum: f32 f64 f16 bf16);

/// The fields are plain numbers, checked where they are used.
#[test]
fn a_rule_with_bad_settings_changes_nothing() {
    let good = MomentumRule::new(0.1, 0.9);
    let rate = "learning_rate is -1.0, expected a finite number of at least 0";
    let momentum = "momentum is NaN, expected a number of at least 0 and below 1";
    let decay = "weight_decay is inf, expected a finite number of at least 0";
    let (mut params, mut velocity) = ([1.0_f64, 2.0], [3.0, 4.0]);
    for (rule, message) in [
        (MomentumRule { learning_rate: -1.0, ..good }, rate),
        (MomentumRule { momentum: f64::NAN, ..good }, momentum),
        (MomentumRule { weight_decay: WeightDecay::Coupled(f64::INFINITY), ..good }, decay),
        (MomentumRule { weight_decay: WeightDecay::Decoupled(f64::INFINITY), ..good }, decay),
    ] {
        says(rule.step(&mut params, &mut velocity, &[1.0; 2]), message);
        says(Momentum::<f64>::with_rule(rule, 2), message);
    }
    says(good.step(&mut params, &mut velocity, &[1.0]), "grads has length 1, expected 2, the length of params");
    let message = "state has length 1, expected 2, the length of params";
    says(good.step(&mut params, &mut velocity[..1], &[1.0; 2]), message);
    assert_eq!((params, velocity), ([1.0, 2.0], [3.0, 4.0]));
    good.step::<f32>(&mut [], &mut [], &[]).unwrap();
}

/// Setters that return an error leave the optimizer as it is, and those of one that has stepped keep its velocity.
#[test]
fn settings_are_set_under_way() {
    let mut momentum = Momentum::new(0.5, 0.5, 1).unwrap();
    let mut params = [0.0_f64];
    momentum.step(&mut params, &[1.0]).unwrap(); // m = -1/2
    momentum.set_form(MomentumForm::Nesterov);
    momentum.set_momentum(0.25).unwrap();
    momentum.set_weight_decay(WeightDecay::Decoupled(1.0)).unwrap();
    let before = momentum.clone();
    says(
        momentum.set_weight_decay(WeightDecay::Coupled(-1.0)),
        "weight_decay is -1.0, expected a finite number of at least 0",
    );
    assert_eq!((&momentum, momentum.velocity(), momentum.steps()), (&before, &[-0.5][..], 1));
    momentum.step(&mut params, &[1.0]).unwrap(); // θ = -1/2 + 1/4 ; m = -1/8 - 1/2 ; θ += -5/32 - 1/2
    assert_eq!((params, momentum.velocity()), ([-0.25 - 5.0 / 32.0 - 0.5], &[-0.625][..]));
    let fresh = Momentum::<f64>::with_rule(*momentum.rule(), 3).unwrap();
    assert_eq!((fresh.rule(), fresh.velocity(), fresh.steps()), (momentum.rule(), &[0.0; 3][..], 0));
    assert_eq!(fresh.state_len(), Some(3));
}
