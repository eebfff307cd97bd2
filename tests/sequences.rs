//! Update sequences worked out by hand, in fractions that f32 and f64 hold exactly: they must match to the bit.

use gradstep::{Form, Momentum, Optimizer, Sgd, WeightDecay};
use num_traits::Float;

/// The parameter after each step, one step for each learning rate; `gradient` is a function of the parameter.
fn path<F: Float>(
    mut optimizer: impl Optimizer<F>,
    start: f64,
    gradient: impl Fn(f64) -> f64,
    learning_rates: &[f64],
) -> Vec<f64> {
    let exact = |x: f64| F::from(x).unwrap();
    let mut params = [exact(start)];
    let step = |learning_rate: &f64| {
        optimizer.set_learning_rate(exact(*learning_rate)).unwrap();
        let grads = [exact(gradient(params[0].to_f64().unwrap()))];
        optimizer.step(&mut params, &grads).unwrap();
        params[0].to_f64().unwrap()
    };
    learning_rates.iter().map(step).collect()
}

/// θ with g = θ, θ₀ = 16, η = 1/4 at every step.
fn with_gradient_theta(f32s: impl Optimizer<f32>, f64s: impl Optimizer<f64>, expected: &[f64]) {
    let rates = vec![0.25; expected.len()];
    assert_eq!(path(f32s, 16.0, |x| x, &rates), expected);
    assert_eq!(path(f64s, 16.0, |x| x, &rates), expected);
}

/// θ with g = 1, θ₀ = 0 and these learning rates.
fn with_gradient_one(f32s: impl Optimizer<f32>, f64s: impl Optimizer<f64>, rates: &[f64], expected: &[f64]) {
    assert_eq!(path(f32s, 0.0, |_| 1.0, rates), expected);
    assert_eq!(path(f64s, 0.0, |_| 1.0, rates), expected);
}

fn half<F: Float + Send + Sync>(form: Form) -> Momentum<F> {
    let half = F::from(0.5).unwrap();
    Momentum::new(half, half, 1).unwrap().with_form(form)
}

fn decayed<F: Float + Send + Sync>(form: Form, decay: fn(F) -> WeightDecay<F>) -> Momentum<F> {
    half(form).with_weight_decay(decay(F::from(0.25).unwrap())).unwrap()
}

#[test]
fn sgd() {
    // θ <- θ - θ/4 = 3/4 θ: 16, 12, 9, 27/4, 81/16
    with_gradient_theta(Sgd::new(1.0).unwrap(), Sgd::new(1.0).unwrap(), &[12.0, 9.0, 27.0 / 4.0, 81.0 / 16.0]);
}

#[test]
fn momentum() {
    // m <- m/2 - θ/4 ; θ <- θ + m
    // m = -4                            θ = 12
    // m = -2 - 3 = -5                   θ = 7
    // m = -5/2 - 7/4 = -17/4            θ = 11/4
    // m = -17/8 - 11/16 = -45/16        θ = -1/16
    // m = -45/32 + 1/64 = -89/64        θ = -93/64
    let expected = [12.0, 7.0, 11.0 / 4.0, -1.0 / 16.0, -93.0 / 64.0];
    with_gradient_theta(half(Form::Classical), half(Form::Classical), &expected);

    let mut momentum = Momentum::new(0.25_f32, 0.5, 1).unwrap();
    let mut params = [16.0];
    for m in [-4.0, -5.0, -17.0 / 4.0, -45.0 / 16.0] {
        let grads = params;
        momentum.step(&mut params, &grads).unwrap();
        assert_eq!(momentum.velocity(), [m]);
    }
}

#[test]
fn momentum_under_a_constant_gradient() {
    // m <- m/2 - 1: -1, -3/2, -7/4, -15/8; their sums are θ
    let expected = [-1.0, -5.0 / 2.0, -17.0 / 4.0, -49.0 / 8.0];
    with_gradient_one(half(Form::Classical), half(Form::Classical), &[1.0; 4], &expected);
}

#[test]
fn a_changing_learning_rate_tells_the_forms_apart() {
    let rates = [1.0, 1.0, 0.25, 0.25];
    // m = -1, -3/2; then coasting on: -3/4 - 1/4 = -1, -1/2 - 1/4 = -3/4
    let classical = [-1.0, -5.0 / 2.0, -7.0 / 2.0, -17.0 / 4.0];
    // v = 1, 3/2, 7/4, 15/8; θ -= 1, 3/2, then 7/16, 15/32
    let pytorch = [-1.0, -5.0 / 2.0, -47.0 / 16.0, -109.0 / 32.0];
    // θ += m/2 - η with the m of above: -3/2, -7/4, -3/4, -5/8
    let nesterov = [-3.0 / 2.0, -13.0 / 4.0, -4.0, -37.0 / 8.0];
    // θ -= η (1 + v/2): 3/2, 7/4, 15/32, 31/64
    let pytorch_nesterov = [-3.0 / 2.0, -13.0 / 4.0, -119.0 / 32.0, -269.0 / 64.0];
    let forms = [
        (Form::Classical, classical),
        (Form::PyTorch, pytorch),
        (Form::Nesterov, nesterov),
        (Form::PyTorchNesterov, pytorch_nesterov),
    ];
    for (form, expected) in forms {
        with_gradient_one(half(form), half(form), &rates, &expected);
    }
}

#[test]
fn both_nesterov_forms_agree_at_a_constant_learning_rate() {
    // m <- m/2 - θ/4 ; θ <- θ + (m/2 - θ/4), with the old θ on the right
    // m = -4                              θ = 16 - 2 - 4 = 10
    // m = -2 - 5/2 = -9/2                 θ = 10 - 9/4 - 5/2 = 21/4
    // m = -9/4 - 21/16 = -57/16           θ = 21/4 - 57/32 - 21/16 = 69/32
    // m = -57/32 - 69/128 = -297/128      θ = 69/32 - 297/256 - 69/128 = 117/256
    // m = -297/256 - 117/1024 = -1305/1024   θ = 117/256 - 1305/2048 - 117/1024 = -603/2048
    let expected = [10.0, 21.0 / 4.0, 69.0 / 32.0, 117.0 / 256.0, -603.0 / 2048.0];
    for form in [Form::Nesterov, Form::PyTorchNesterov] {
        with_gradient_theta(half(form), half(form), &expected);
    }
}

#[test]
fn coupled_weight_decay() {
    // g' = θ + θ/4 = 5/4 θ
    // v = 20                            θ = 16 - 5 = 11
    // v = 10 + 55/4 = 95/4              θ = 11 - 95/16 = 81/16
    // v = 95/8 + 405/64 = 1165/64       θ = 81/16 - 1165/256 = 131/256
    // v = 1165/128 + 655/1024 = 9975/1024   θ = 131/256 - 9975/4096 = -7879/4096
    let expected = [11.0, 81.0 / 16.0, 131.0 / 256.0, -7879.0 / 4096.0];
    let form = Form::PyTorch;
    with_gradient_theta(decayed(form, WeightDecay::Coupled), decayed(form, WeightDecay::Coupled), &expected);
    // The learning rate does not change, so the classical form walks the same path.
    let form = Form::Classical;
    with_gradient_theta(decayed(form, WeightDecay::Coupled), decayed(form, WeightDecay::Coupled), &expected);
}

#[test]
fn decoupled_weight_decay() {
    // θ loses θ/16 before the classical step with g = the old θ
    // m = -4                            θ = 16 - 1 - 4 = 11
    // m = -2 - 11/4 = -19/4             θ = 11 - 11/16 - 19/4 = 89/16
    // m = -19/8 - 89/64 = -241/64       θ = 89/16 - 89/256 - 241/64 = 371/256
    // m = -241/128 - 371/1024 = -2299/1024   θ = 371/256 - 371/4096 - 2299/1024 = -3631/4096
    let expected = [11.0, 89.0 / 16.0, 371.0 / 256.0, -3631.0 / 4096.0];
    let form = Form::Classical;
    with_gradient_theta(decayed(form, WeightDecay::Decoupled), decayed(form, WeightDecay::Decoupled), &expected);
}

/// Two parameters, three gradients that change.
const START: [f32; 2] = [1.0, -2.0];
const GRADS: [[f32; 2]; 3] = [[0.5, 0.25], [-1.0, 3.0], [0.0, -0.5]];

fn walk(optimizer: &mut impl Optimizer<f32>) -> Vec<[f32; 2]> {
    let mut params = START;
    let step = |grads: &[f32; 2]| {
        optimizer.step(&mut params, grads).unwrap();
        params
    };
    GRADS.iter().map(step).collect()
}

#[test]
fn sgd_with_two_parameters() {
    // η = 1/2:  1 - 1/4 = 3/4     -2 - 1/8 = -17/8
    //         3/4 + 1/2 = 5/4  -17/8 - 3/2 = -29/8
    //           5/4 - 0 = 5/4  -29/8 + 1/4 = -27/8
    let expected = [[0.75, -17.0 / 8.0], [1.25, -29.0 / 8.0], [1.25, -27.0 / 8.0]];
    assert_eq!(walk(&mut Sgd::new(0.5).unwrap()), expected);
}

#[test]
fn momentum_with_two_parameters() {
    // η = 1/2, λ = 1/4
    // m = -1/4, -1/8                                    θ = 3/4, -17/8
    // m = -1/16 + 1/2 = 7/16, -1/32 - 3/2 = -49/32      θ = 19/16, -117/32
    // m = 7/64 - 0 = 7/64, -49/128 + 1/4 = -17/128      θ = 83/64, -485/128
    let expected = [[3.0 / 4.0, -17.0 / 8.0], [19.0 / 16.0, -117.0 / 32.0], [83.0 / 64.0, -485.0 / 128.0]];
    assert_eq!(walk(&mut Momentum::new(0.5, 0.25, 2).unwrap()), expected);
}

#[test]
fn both_decays_agree_without_momentum() {
    // η = 1/2, w = 1/4. Coupled: g' = g + θ/4, θ <- θ - g'/2. Decoupled: θ <- (θ - θ/8) - g/2.
    // 1: g' = 3/4, θ = 1 - 3/8 = 5/8               or 7/8 - 1/4 = 5/8
    //    g' = -1/4, θ = -2 + 1/8 = -15/8           or -7/4 - 1/8 = -15/8
    // 2: g' = -27/32, θ = 5/8 + 27/64 = 67/64      or 35/64 + 1/2 = 67/64
    //    g' = 81/32, θ = -15/8 - 81/64 = -201/64   or -105/64 - 3/2 = -201/64
    // 3: g' = 67/256, θ = 67/64 - 67/512 = 469/512
    //    g' = -1/2 - 201/256 = -329/256, θ = -201/64 + 329/512 = -1279/512
    let expected = [[5.0 / 8.0, -15.0 / 8.0], [67.0 / 64.0, -201.0 / 64.0], [469.0 / 512.0, -1279.0 / 512.0]];
    for decay in [WeightDecay::Coupled(0.25), WeightDecay::Decoupled(0.25)] {
        assert_eq!(walk(&mut Sgd::new(0.5).unwrap().with_weight_decay(decay).unwrap()), expected);
    }
}

#[test]
fn reset_begins_anew() {
    let mut momentum = Momentum::new(0.5, 0.25, 2).unwrap();
    let first = walk(&mut momentum);
    assert_eq!(momentum.steps(), 3);
    Optimizer::<f32>::reset(&mut momentum);
    assert_eq!((momentum.velocity(), momentum.steps()), (&[0.0, 0.0][..], 0));
    assert!(momentum.velocity().iter().all(|m| m.is_sign_positive()), "-0 is not as new");
    assert_eq!(walk(&mut momentum), first);

    let mut sgd = Sgd::new(0.5).unwrap();
    walk(&mut sgd);
    assert_eq!(sgd.steps(), 3);
    Optimizer::<f32>::reset(&mut sgd);
    assert_eq!(sgd.steps(), 0);
}
