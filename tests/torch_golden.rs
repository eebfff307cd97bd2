//! Trajectories recorded from `torch.optim.SGD` in float64 (the version stands in each file), to 1e-12.

use approx::assert_abs_diff_eq;
use gradstep::{Form, Momentum, Optimizer, Sgd, WeightDecay};

struct Trajectory {
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    start: Vec<f64>,
    /// Learning rate, gradient, and the parameters after the step.
    steps: Vec<(f64, Vec<f64>, Vec<f64>)>,
}

fn read(text: &str) -> Trajectory {
    let setting = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let number = |name| setting(name).map_or(0.0, |value| value.parse().unwrap());
    let rows = text.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_digit()));
    let mut rows = rows.map(|row| row.split(',').map(|cell| cell.parse().unwrap_or(f64::NAN)).collect::<Vec<f64>>());
    // step, learning_rate, grad0..grad4, param0..param4
    Trajectory {
        momentum: number("# momentum="),
        nesterov: setting("# nesterov=") == Some("True"),
        weight_decay: number("# weight_decay="),
        start: rows.next().unwrap()[7..].to_vec(),
        steps: rows.map(|row| (row[1], row[2..7].to_vec(), row[7..].to_vec())).collect(),
    }
}

fn follows(mut optimizer: impl Optimizer<f64>, trajectory: &Trajectory) {
    assert!(trajectory.steps.len() >= 50, "{} steps", trajectory.steps.len());
    let mut params = trajectory.start.clone();
    for (learning_rate, grads, expected) in &trajectory.steps {
        optimizer.set_learning_rate(*learning_rate).unwrap();
        optimizer.step(&mut params, grads).unwrap();
        assert_abs_diff_eq!(params[..], expected[..], epsilon = 1e-12);
    }
}

fn sgd_follows(text: &str) {
    let trajectory = read(text);
    let decay = WeightDecay::Coupled(trajectory.weight_decay);
    follows(Sgd::new(1.0).unwrap().with_weight_decay(decay).unwrap(), &trajectory);
}

fn momentum_follows(text: &str, classical_too: bool) {
    let trajectory = read(text);
    assert_eq!(trajectory.momentum, 0.9);
    let [classical, pytorch] = match trajectory.nesterov {
        false => [Form::Classical, Form::PyTorch],
        true => [Form::Nesterov, Form::PyTorchNesterov],
    };
    let momentum = |form| {
        let momentum = Momentum::new(1.0, trajectory.momentum, 5).unwrap().with_form(form);
        momentum.with_weight_decay(WeightDecay::Coupled(trajectory.weight_decay)).unwrap()
    };
    follows(momentum(pytorch), &trajectory);
    if classical_too {
        follows(momentum(classical), &trajectory);
    }
}

#[test]
fn sgd() {
    sgd_follows(include_str!("data/sgd.csv"));
    sgd_follows(include_str!("data/sgd_l2.csv"));
}

#[test]
fn momentum() {
    momentum_follows(include_str!("data/momentum.csv"), true);
    momentum_follows(include_str!("data/momentum_l2.csv"), true);
    momentum_follows(include_str!("data/nesterov.csv"), true);
}

#[test]
fn momentum_with_a_changing_learning_rate() {
    momentum_follows(include_str!("data/momentum_step_lr.csv"), false);
    momentum_follows(include_str!("data/nesterov_step_lr.csv"), false);
}

#[test]
#[should_panic = "assert_abs_diff_eq"]
fn the_classical_form_parts_from_torch_when_the_learning_rate_changes() {
    momentum_follows(include_str!("data/momentum_step_lr.csv"), true);
}
