//! Weight decay, coupled and decoupled.

use gradstep::{Momentum, MomentumForm, Optimizer, Sgd, WeightDecay};

use crate::common::{Scalar, in_types, number, path, says, steps_to, tiny, with_gradient_theta};

/// η = w = 1/4, λ = 1/2, g = θ, θ₀ = 16.
fn four_steps<F: Scalar>(form: MomentumForm, decay: WeightDecay) -> Vec<f64> {
    let momentum = Momentum::<F>::new(0.25, 0.5, 1).unwrap().with_form(form);
    with_gradient_theta(momentum.with_weight_decay(decay).unwrap(), 4)
}

fn coupled_weight_decay<F: Scalar>() {
    // g' = θ + θ/4 = 5/4 θ
    // v = 20                            θ = 16 - 5 = 11
    // v = 10 + 55/4 = 95/4              θ = 11 - 95/16 = 81/16
    // v = 95/8 + 405/64 = 1165/64       θ = 81/16 - 1165/256 = 131/256
    // v = 1165/128 + 655/1024 = 9975/1024   θ = 131/256 - 9975/4096 = -7879/4096
    // The learning rate does not change, so the classical form walks the same path.
    for form in [MomentumForm::PyTorch, MomentumForm::Classical] {
        let expected = [11.0, 81.0 / 16.0, 131.0 / 256.0, -7879.0 / 4096.0];
        assert_eq!(four_steps::<F>(form, WeightDecay::Coupled(0.25)), expected);
    }
}
in_types!(coupled_weight_decay: f32 f64);

fn decoupled_weight_decay<F: Scalar>() {
    // θ loses θ/16 before the classical step with g = the old θ
    // m = -4                            θ = 16 - 1 - 4 = 11
    // m = -2 - 11/4 = -19/4             θ = 11 - 11/16 - 19/4 = 89/16
    // m = -19/8 - 89/64 = -241/64       θ = 89/16 - 89/256 - 241/64 = 371/256
    // m = -241/128 - 371/1024 = -2299/1024   θ = 371/256 - 371/4096 - 2299/1024 = -3631/4096
    let expected = [11.0, 89.0 / 16.0, 371.0 / 256.0, -3631.0 / 4096.0];
    assert_eq!(four_steps::<F>(MomentumForm::Classical, WeightDecay::Decoupled(0.25)), expected);
}
in_types!(decoupled_weight_decay: f32 f64);

#[test]
fn both_decays_agree_without_momentum() {
    // η = 1/2, w = 1/4. Coupled: g' = g + θ/4, θ <- θ - g'/2. Decoupled: θ <- (θ - θ/8) - g/2.
    // 1: g' = 3/4, θ = 1 - 3/8 = 5/8               or 7/8 - 1/4 = 5/8
    //    g' = -1/4, θ = -2 + 1/8 = -15/8           or -7/4 - 1/8 = -15/8
    // 2: g' = -27/32, θ = 5/8 + 27/64 = 67/64      or 35/64 + 1/2 = 67/64
    //    g' = 81/32, θ = -15/8 - 81/64 = -201/64   or -105/64 - 3/2 = -201/64
    // 3: g' = 67/256, θ = 67/64 - 67/512 = 469/512
    //    g' = -1/2 - 201/256 = -329/256, θ = -201/64 + 329/512 = -1279/512
    let expected = [5.0 / 8.0, -15.0 / 8.0, 67.0 / 64.0, -201.0 / 64.0, 469.0 / 512.0, -1279.0 / 512.0];
    for decay in [WeightDecay::Coupled(0.25), WeightDecay::Decoupled(0.25)] {
        let sgd = Sgd::<f32>::new(0.5).unwrap().with_weight_decay(decay).unwrap();
        assert_eq!(path(sgd, [1.0, -2.0], 3, |k, _| [[0.5, 0.25], [-1.0, 3.0], [0.0, -0.5]][k]), expected);
    }
}

fn weight_decay_at_its_ends<F: Scalar>() {
    let (zero, one, inf, nan) = (F::zero(), F::one(), F::infinity(), F::nan());
    let sgd = |decay| move |_: &[F]| Box::new(Sgd::new(1.0).unwrap().with_weight_decay(decay).unwrap()) as Box<_>;
    // Strength 0 is a decay all the same: -0 - 0 · -0 = +0, and 0 · ∞ is NaN.
    for decay in [WeightDecay::Coupled(0.0), WeightDecay::Decoupled(0.0)] {
        let zero_of_zero = if let WeightDecay::Coupled(_) = decay { -zero } else { zero };
        steps_to(sgd(decay), [(one, one, zero), (-zero, zero, zero_of_zero), (inf, one, nan)], "strength 0");
    }
    // η w = 1 takes the parameter to 0 at once; η w = ∞ gives NaN or ∞.
    steps_to(sgd(WeightDecay::Decoupled(1.0)), [(number(3.0), -one, one), (-one, zero, zero)], "strength 1");
    let overflow = |_: &[F]| {
        let max = F::max_value().to_f64().unwrap();
        Box::new(Sgd::new(max).unwrap().with_weight_decay(WeightDecay::Decoupled(max)).unwrap())
            as Box<dyn Optimizer<F>>
    };
    steps_to(overflow, [(one, zero, -inf), (-one, zero, inf), (zero, zero, nan)], "strength max");
    // Coupled: 3 tiny - (0 + 1/2 · 3 tiny, to even: 2 tiny).
    let tiny = tiny::<F>();
    steps_to(sgd(WeightDecay::Coupled(0.5)), [(tiny * number(3.0), zero, tiny)], "strength 1/2");
}
in_types!(weight_decay_at_its_ends: f32 f64 f16 bf16);

#[test]
fn invalid_strengths_are_rejected() {
    for bad in [-0.25, f64::NAN, f64::INFINITY] {
        let message = format!("weight_decay is {bad:?}, expected a finite number of at least 0");
        for decay in [WeightDecay::Coupled(bad), WeightDecay::Decoupled(bad)] {
            says(Sgd::<f64>::new(0.1).unwrap().with_weight_decay(decay), &message);
            says(Momentum::<f64>::new(0.1, 0.9, 3).unwrap().with_weight_decay(decay), &message);
        }
    }
}
