//! Where the path of a rule is known in closed form, it is walked.

use approx::assert_relative_eq;
use gradstep::{Form, Momentum, Optimizer, Sgd};

/// |θ| after each of `steps` steps on a quadratic of curvature `h`, from θ = 1.
fn on_a_quadratic(mut optimizer: impl Optimizer<f64>, h: f64, steps: usize) -> Vec<f64> {
    let mut params = [1.0];
    let step = |_| {
        let grads = [h * params[0]];
        optimizer.step(&mut params, &grads).unwrap();
        params[0]
    };
    (0..steps).map(step).collect()
}

#[test]
fn momentum_under_a_constant_gradient_is_a_geometric_sum() {
    let (learning_rate, momentum, g) = (0.1, 0.9_f64, 3.0);
    let mut optimizer = Momentum::new(learning_rate, momentum, 1).unwrap();
    let mut params = [0.0];
    for k in 1..=200 {
        optimizer.step(&mut params, &[g]).unwrap();
        let expected = -learning_rate * g * (1.0 - momentum.powi(k)) / (1.0 - momentum);
        assert_relative_eq!(optimizer.velocity()[0], expected, max_relative = 1e-13);
    }
}

#[test]
fn sgd_contracts_a_quadratic_by_one_minus_learning_rate_times_curvature() {
    for (learning_rate, h) in [(0.1, 1.0), (0.1, 15.0), (0.3, 6.0), (0.01, 250.0)] {
        let path = on_a_quadratic(Sgd::new(learning_rate).unwrap(), h, 50);
        for (k, theta) in (1..).zip(path) {
            assert_relative_eq!(theta, (1.0 - learning_rate * h).powi(k), max_relative = 1e-12);
        }
    }
}

#[test]
fn momentum_is_stable_exactly_below_two_plus_two_lambda() {
    for momentum in [0.0, 0.25, 0.5, 0.9, 0.99] {
        let limit = 2.0 + 2.0 * momentum;
        let last = |learning_rate: f64| {
            let path = on_a_quadratic(Momentum::new(learning_rate, momentum, 1).unwrap(), 1.0, 3_000);
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
        let path = on_a_quadratic(Momentum::new(learning_rate, momentum, 1).unwrap(), h, 400);
        // The largest of a window, since inside the spectrum θ swings through 0; (2k/k)^(1/k) is left at its ends.
        let largest = |from: usize| path[from..from + 40].iter().fold(0.0_f64, |most, theta| most.max(theta.abs()));
        let measured = (largest(360) / largest(160)).powf(1.0 / 200.0);
        assert_relative_eq!(measured, rate, max_relative = 6e-3);
    }
}

#[test]
fn sgd_at_its_best_has_the_rate_of_the_condition_number() {
    let condition = 100.0;
    let learning_rate = 2.0 / (condition + 1.0);
    for h in [1.0, condition] {
        let path = on_a_quadratic(Sgd::new(learning_rate).unwrap(), h, 100);
        assert_relative_eq!(path[99].abs(), ((condition - 1.0) / (condition + 1.0)).powi(100), max_relative = 1e-12);
    }
}

#[test]
fn nesterov_on_a_quadratic_has_the_roots_of_its_recurrence() {
    // θ_{k+1} = (1 + λ)(1 - ηh) θ_k - λ(1 - ηh) θ_{k-1}: with complex roots, their modulus is √(λ (1 - ηh)).
    let (learning_rate, momentum, h) = (0.05, 0.9, 1.0);
    let modulus: f64 = (momentum * (1.0_f64 - learning_rate * h)).sqrt();
    for form in [Form::Nesterov, Form::PyTorchNesterov] {
        let path = on_a_quadratic(Momentum::new(learning_rate, momentum, 1).unwrap().with_form(form), h, 400);
        let largest = |from: usize| path[from..from + 60].iter().fold(0.0_f64, |most, theta| most.max(theta.abs()));
        assert_relative_eq!((largest(300) / largest(100)).powf(1.0 / 200.0), modulus, max_relative = 2e-3);
    }
}
