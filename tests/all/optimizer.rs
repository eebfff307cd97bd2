//! What holds for every optimizer of the list, for any float, behind any trait object.

use gradstep::{
    Accumulator, Batcher, Epoch, Error, Form, Grads, Guard, Momentum, Optimizer, ParamGroups, Permutation, Position,
    Sgd, Shard, Stream, WeightDecay, clip_global_norm, schedule, step_clipped,
};
use half::{bf16, f16};
use num_traits::{Float, cast};
use proptest::prelude::*;

use crate::common::{
    DECAY, FEW_LENS, FORMS, LEARNING_RATE, LENS, MOMENTUM, Scalar, bits, config, golden, number, numbers, one_by_one,
    optimizers, oracle, says, starts_and_grads, steps_to, tiny, walk,
};

// Any use -------------------------------------------------------------------------------------------------------------

/// η = 1/4, λ = 1/2, g = θ, θ₀ = 16, as in `sgd` and `momentum`: all of it fits into the 8 bits of bf16's significand.
fn steps_exactly<F: Float + Send + Sync + std::fmt::Debug>() {
    let number = |x: f64| cast::<f64, F>(x).unwrap();
    let mut params = [number(16.0)];
    let mut sgd = Sgd::new(number(0.25)).unwrap();
    for expected in [12.0, 9.0, 27.0 / 4.0, 81.0 / 16.0] {
        let grads = params;
        sgd.step(&mut params, &grads).unwrap();
        assert_eq!(params, [number(expected)]);
    }
    let mut params = [number(16.0)];
    let mut momentum = Momentum::new(number(0.25), number(0.5), 1).unwrap();
    for expected in [12.0, 7.0, 11.0 / 4.0, -1.0 / 16.0] {
        let grads = params;
        momentum.step(&mut params, &grads).unwrap();
        assert_eq!(params, [number(expected)]);
    }
    assert!(Sgd::new(F::nan()).is_err() && Momentum::new(number(0.25), F::one(), 1).is_err());
}

#[test]
fn every_float() {
    steps_exactly::<f32>();
    steps_exactly::<f64>();
    steps_exactly::<f16>();
    steps_exactly::<bf16>();
}

/// A rule from outside, with no more than the methods that have to be there.
struct SignDescent(f32);

impl Optimizer<f32> for SignDescent {
    fn step(&mut self, params: &mut [f32], grads: &[f32]) -> Result<(), Error> {
        let learning_rate = self.0;
        gradstep::elementwise(params, [], grads, |p, [], g| (p - learning_rate * g.signum(), []))
    }

    fn learning_rate(&self) -> f32 {
        self.0
    }

    fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), Error> {
        self.0 = learning_rate;
        Ok(())
    }

    fn steps(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}
}

#[test]
fn trait_objects_and_rules_from_outside() {
    let mut borrowed = Sgd::new(0.5).unwrap();
    let mut all: Vec<Box<dyn Optimizer<f32> + '_>> = vec![
        Box::new(&mut borrowed),
        Box::new(Sgd::new(0.5).unwrap()),
        Box::new(Momentum::new(0.5, 0.5, 2).unwrap()),
        Box::new(SignDescent(0.5)),
        Box::new(Guard(SignDescent(0.5))),
        Box::new(Guard(Box::new(Sgd::new(0.5_f32).unwrap()) as Box<dyn Optimizer<f32>>)),
    ];
    for optimizer in &mut all {
        let mut params = [1.0, -1.0];
        optimizer.step(&mut params, &[1.0, -1.0]).unwrap();
        assert_eq!(params, [0.5, -0.5]);
        assert!(optimizer.check(&params, &[1.0]).is_err() && optimizer.step(&mut params, &[1.0]).is_err());
        optimizer.set_learning_rate(0.25).unwrap();
        assert_eq!(optimizer.learning_rate(), 0.25);
        optimizer.reset();
        optimizer.step(&mut params, &[1.0, -1.0]).unwrap();
        assert_eq!(params, [0.25, -0.25]);
    }
}

#[test]
fn everything_is_send_and_sync() {
    fn check<T: Send + Sync + Unpin + 'static>() {}
    check::<Sgd<f32>>();
    check::<Momentum<f64>>();
    check::<Guard<Sgd<f32>>>();
    check::<ParamGroups<f32, Momentum<f32>>>();
    check::<(Form, WeightDecay<f32>, Accumulator)>();
    check::<(Batcher, Epoch, Stream, Position, Shard, Permutation)>();
    check::<(Sgd<bf16>, Momentum<f16>, Error)>();
    check::<ParamGroups<f32, Box<dyn Optimizer<f32> + Send + Sync>>>();
    #[cfg(feature = "half")]
    check::<gradstep::MasterCopy<bf16, Momentum<f32>>>();
    fn of<T: Send + Sync + Unpin + 'static>(_: T) {}
    let rate = || schedule::constant(0.1).unwrap();
    of(schedule::then(rate(), 5, schedule::cosine_restarts(0.1, 0.0, 5, 2).unwrap()));
}

#[test]
fn settings_read_back() {
    let decay = WeightDecay::Decoupled(0.25);
    let sgd = Sgd::new(0.5).unwrap().with_weight_decay(decay).unwrap();
    assert_eq!((sgd.learning_rate(), sgd.weight_decay(), sgd.steps()), (0.5, decay, 0));
    let momentum = Momentum::new(0.5, 0.75, 2).unwrap().with_form(Form::PyTorch).with_weight_decay(decay).unwrap();
    assert_eq!((momentum.learning_rate(), momentum.momentum()), (0.5, 0.75));
    assert_eq!(
        (momentum.form(), momentum.weight_decay(), momentum.velocity()),
        (Form::PyTorch, decay, &[0.0, 0.0][..])
    );
    let mut momentum = momentum;
    momentum.set_momentum(0.25).unwrap();
    momentum.set_learning_rate(0.125).unwrap();
    assert_eq!((momentum.momentum(), momentum.learning_rate()), (0.25, 0.125));
    assert_eq!((Form::default(), WeightDecay::<f32>::default()), (Form::Classical, WeightDecay::None));
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

#[test]
fn invalid_learning_rates_are_rejected() {
    for (bad, shown) in [(-0.5, "-0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf"), (f64::NEG_INFINITY, "-inf")] {
        let message = format!("learning_rate is {shown}, expected a finite number of at least 0");
        says(Sgd::new(bad), &message);
        says(Momentum::new(bad, 0.9, 3), &message);
        let mut sgd = Sgd::new(0.1).unwrap();
        says(sgd.set_learning_rate(bad), &message);
        assert_eq!(sgd.learning_rate(), 0.1);
        let mut momentum = Momentum::new(0.1, 0.9, 3).unwrap();
        says(momentum.set_learning_rate(bad), &message);
        assert_eq!(momentum.learning_rate(), 0.1);
    }
    says(Sgd::new(-0.5_f32), "learning_rate is -0.5, expected a finite number of at least 0");
    assert!(Sgd::new(0.0).is_ok() && Sgd::new(f64::MAX).is_ok());
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn a_slice_in_parts_is_the_whole((start, grads) in starts_and_grads(), cut in 0.0..1.0) {
        let cut = (cut * start.len() as f64) as usize;
        let whole = optimizers(start.len());
        let (left, right) = (optimizers(cut), optimizers(start.len() - cut));
        for (((name, mut whole), (_, mut left)), (_, mut right)) in whole.into_iter().zip(left).zip(right) {
            let (mut a, mut b) = (start.clone(), start.clone());
            for g in &grads {
                whole.step(&mut a, g).unwrap();
                left.step(&mut b[..cut], &g[..cut]).unwrap();
                right.step(&mut b[cut..], &g[cut..]).unwrap();
            }
            prop_assert_eq!(bits(&a), bits(&b), "{}", name);
        }
    }

    #[test]
    fn an_error_changes_nothing((start, grads) in starts_and_grads(), other in 0_usize..40) {
        prop_assume!(other != start.len());
        for ((name, mut disturbed), (_, mut left_alone)) in optimizers(start.len()).into_iter().zip(optimizers(start.len())) {
            let (mut a, mut b) = (start.clone(), start.clone());
            for g in &grads {
                // Refused: gradients, then parameters too, of another length, and learning rates that are none.
                let before = bits(&a);
                prop_assert!(disturbed.step(&mut a, &vec![1.0; other]).is_err(), "{}", name);
                for bad in [-1.0, f64::NAN, f64::INFINITY] {
                    prop_assert!(disturbed.set_learning_rate(bad).is_err(), "{}", name);
                }
                prop_assert_eq!(bits(&a), before, "{}", name);
                disturbed.step(&mut a, g).unwrap();
                left_alone.step(&mut b, g).unwrap();
                prop_assert_eq!(bits(&a), bits(&b), "{}", name);
            }
        }
    }

    #[test]
    fn reset_is_as_new((start, grads) in starts_and_grads()) {
        for ((name, mut used), (_, mut new)) in optimizers(start.len()).into_iter().zip(optimizers(start.len())) {
            let (mut a, mut b) = (start.clone(), start.clone());
            used.step(&mut [0.5].repeat(start.len()), &grads[0]).unwrap();
            used.reset();
            for g in &grads {
                used.step(&mut a, g).unwrap();
                new.step(&mut b, g).unwrap();
            }
            prop_assert_eq!(bits(&a), bits(&b), "{}", name);
        }
    }
}

// The same bits whatever the features, the threads and the alignment. The plain loops know no features, so two builds
// that both pass agree with each other.

/// A step or three, on slices that begin at every offset within a vector.
fn equals_the_plain_loop<F: Float + Send + Sync>() {
    let scalar = |w: f64| cast::<f64, F>(w).unwrap();
    for len in LENS {
        for offset in if len < 100 { 0..4 } else { 1..2 } {
            let w = scalar(DECAY);
            for decay in [WeightDecay::None, WeightDecay::Coupled(w), WeightDecay::Decoupled(w)] {
                for form in [None].into_iter().chain(FORMS.map(Some)) {
                    let mut params = numbers::<F>(offset + len, 1);
                    let (mut expected, mut velocity) = (params[offset..].to_vec(), vec![F::zero(); len]);
                    let (eta, lambda) = (scalar(LEARNING_RATE), scalar(MOMENTUM));
                    let mut sgd = Sgd::new(eta).unwrap().with_weight_decay(decay).unwrap();
                    let momentum = Momentum::new(eta, lambda, len).unwrap().with_form(form.unwrap_or_default());
                    let mut momentum = momentum.with_weight_decay(decay).unwrap();
                    for step in 0..if len < 100_000 { 3 } else { 1 } {
                        let grads = numbers::<F>(offset + len, 1000 + step);
                        let optimizer: &mut dyn Optimizer<F> = if form.is_none() { &mut sgd } else { &mut momentum };
                        optimizer.step(&mut params[offset..], &grads[offset..]).unwrap();
                        oracle::step(&mut expected, &mut velocity, &grads[offset..], form, decay, eta, lambda);
                    }
                    assert!(bits(&params[offset..]) == bits(&expected), "len {len}, offset {offset}, {form:?}");
                    assert!(
                        bits(momentum.velocity()) == bits(&velocity),
                        "velocity, len {len}, offset {offset}, {form:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_rule_in_f32() {
    equals_the_plain_loop::<f32>();
}

#[test]
fn every_rule_in_f64() {
    equals_the_plain_loop::<f64>();
}

/// Literal bits, so that a build on another machine is held to the same ones.
#[test]
fn value_stability_of_a_thousand_steps() {
    let mut digests = Vec::new();
    for (_, mut optimizer) in optimizers(33) {
        let mut params = numbers::<f64>(33, 5);
        for step in 0..1000 {
            optimizer.step(&mut params, &numbers(33, 77 * step)).unwrap();
        }
        digests.push(golden::digest(&params.iter().map(|p| p.to_bits()).collect::<Vec<_>>()));
    }
    let expected: [u64; 16] = [
        0x912D011E7AD15960,
        0x61F56DC1AFF1F645,
        0xBC689CC7F0D438F4,
        0xFE9520D4908BC001,
        0x68D28D8A59A3BBD1,
        0xBC086E98AD5A4FB2,
        0xDEE554E3E389D9BD,
        0xEFC6F43C6987B4A5,
        0xDE321D666A3C24AB,
        0x2953303E2812C583,
        0xD8E9F497EB0114EC,
        0xD6A45B7FE5E1E6F7,
        0x786CC68F7C65A99A,
        0xA1B27D08D5B74BB6,
        0x9DE7C43C8DA81588,
        0x61F56DC1AFF1F645,
    ];
    assert_eq!(digests, expected);
}

// Edges: subnormals, signed zeros, infinities, NaN, worked by hand, in units of the type (tiny is its smallest subnormal).

/// Parameter and gradient, and the parameter after the first step at η = λ = 1/2 by: Sgd, and Momentum in its four forms.
fn first_steps<F: Scalar>() {
    let (zero, one, max, nan, inf) = (F::zero(), F::one(), F::max_value(), F::nan(), F::infinity());
    let (normal, tiny) = (F::min_positive_value(), tiny::<F>());
    let [two, three] = [2.0, 3.0].map(|n| tiny * number(n));
    #[rustfmt::skip]
    let rows: [(F, F, [F; 5]); 18] = [
        (zero, zero, [zero; 5]),
        (zero, -zero, [zero; 5]),
        (-zero, zero, [-zero, zero, zero, -zero, -zero]), // the classical forms add m = 0 - 0 = +0
        (-zero, -zero, [zero, zero, zero, -zero, -zero]), // PyTorch's v = 0 + -0 = +0
        (inf, one, [inf; 5]),
        (one, inf, [-inf; 5]),
        (one, -inf, [inf; 5]),
        (-inf, inf, [-inf; 5]),
        (inf, inf, [nan; 5]),
        (one, nan, [nan; 5]),
        (nan, one, [nan; 5]),
        (max, -max, [inf; 5]),
        (-max, max, [-inf; 5]),
        (max, -one, [max; 5]),
        // 2 tiny / 2 = 1 tiny. Nesterov's λ m = -1/2 tiny rounds to -0; PyTorch's 2 + 1/2 · 2 = 3, halved: 1.5, to even: 2.
        (tiny, two, [zero, zero, zero, zero, -tiny]),
        // Half of tiny rounds to 0: too small an update is lost.
        (three, tiny, [three; 5]),
        (three, two, [two, two, two, two, tiny]),
        // From the normal numbers into the subnormal ones.
        (normal, two, [normal - tiny, normal - tiny, normal - tiny, normal - tiny, normal - two]),
    ];
    assert!(tiny > zero && tiny * number(0.5) == zero && (normal - tiny) + tiny == normal && normal - tiny < normal);
    let half = number::<F>(0.5);
    let rule = |n: usize| rows.map(|(p, g, after)| (p, g, after[n]));
    let kind = std::any::type_name::<F>();
    steps_to(|_| Box::new(Sgd::new(half).unwrap()), rule(0), &format!("Sgd, {kind}"));
    for (n, form) in FORMS.into_iter().enumerate() {
        let momentum = |params: &[F]| Momentum::new(half, half, params.len()).unwrap().with_form(form);
        steps_to(|params| Box::new(momentum(params)), rule(n + 1), &format!("{form:?}, {kind}"));
    }
}

#[test]
fn first_steps_in_every_type() {
    first_steps::<f32>();
    first_steps::<f64>();
    first_steps::<f16>();
    first_steps::<bf16>();
}

/// The same once more as literal bits, so that a wrong `tiny` or `number` above cannot hide a flush to zero.
#[test]
fn subnormals_are_kept_to_the_bit() {
    for len in FEW_LENS {
        let mut params: Vec<f32> = (0..len as u32).map(|i| f32::from_bits(0x0080_0000 + i % 4)).collect(); // 2^-126 + i 2^-149
        Sgd::new(1.0).unwrap().step(&mut params, &vec![f32::from_bits(0x0000_0005); len]).unwrap();
        assert!(params.iter().zip(0..).all(|(p, i)| p.to_bits() == 0x007F_FFFB + i % 4), "f32, {len}");

        let mut params: Vec<f64> = (0..len as u64).map(|i| f64::from_bits(0x0010_0000_0000_0000 + i % 4)).collect();
        let mut momentum = Momentum::new(1.0, 0.5, len).unwrap();
        momentum.step(&mut params, &vec![f64::from_bits(4); len]).unwrap(); // m = -4
        momentum.step(&mut params, &vec![f64::from_bits(1); len]).unwrap(); // m = -2 - 1
        assert!(params.iter().zip(0..).all(|(p, i)| p.to_bits() == 0x000F_FFFF_FFFF_FFF9 + i % 4), "f64, {len}");
        assert!(momentum.velocity().iter().all(|m| m.to_bits() == 0x8000_0000_0000_0003), "velocity, {len}");
    }
}

fn learning_rate_zero<F: Scalar>() {
    let (zero, inf) = (F::zero(), F::infinity());
    for rate in [zero, -zero] {
        let mut sgd = Sgd::new(rate).unwrap();
        assert_eq!(one_by_one(&mut sgd, 3.0, &[8.0, -8.0]), [number::<F>(3.0); 2]);
        assert!(one_by_one(&mut sgd, 3.0, &[f64::INFINITY])[0].is_nan(), "0 · ∞");
    }
    // -0 - 0 · 1 = -0, and -0 - 0 · -1 = +0: the sign of a zero is not kept.
    let rows = [(-zero, F::one(), -zero), (-zero, -F::one(), zero), (zero, F::one(), zero), (inf, F::one(), inf)];
    steps_to(|_| Box::new(Sgd::new(F::zero()).unwrap()), rows, "η = 0");

    // θ = 16, g = 16, η = 1/4, λ = 1/2; then η = 0, g = 8 twice. The classical forms coast on, PyTorch's stand still.
    let expected = [[12.0, 10.0, 9.0], [10.0, 9.0, 8.5], [12.0; 3], [10.0; 3]];
    let velocity = [-1.0, -1.0, 16.0, 16.0]; // m: -4, -2, -1; v: 16, 8 + 8, 8 + 8
    for ((form, expected), velocity) in FORMS.into_iter().zip(expected).zip(velocity) {
        let mut momentum = Momentum::new(number::<F>(0.25), number(0.5), 1).unwrap().with_form(form);
        assert_eq!(one_by_one(&mut momentum, 16.0, &[16.0]), [number::<F>(expected[0])], "{form:?}");
        momentum.set_learning_rate(zero).unwrap();
        let after = one_by_one(&mut momentum, expected[0], &[8.0, 8.0]);
        assert_eq!(after, [expected[1], expected[2]].map(number::<F>), "{form:?}");
        assert_eq!(momentum.velocity(), [number(velocity)], "{form:?}");
    }
}

#[test]
fn learning_rate_zero_in_every_type() {
    learning_rate_zero::<f32>();
    learning_rate_zero::<f64>();
    learning_rate_zero::<f16>();
    learning_rate_zero::<bf16>();
}

#[test]
fn no_parameters_are_a_step_too() {
    for (name, mut optimizer) in optimizers(0) {
        assert_eq!(optimizer.check(&[], &[]), Ok(()), "{name}");
        assert_eq!(optimizer.step(&mut [], &[]), Ok(()), "{name}");
        assert!(optimizer.step(&mut [], &[1.0]).is_err(), "{name}");
    }
    let mut sgd = Sgd::new(0.5_f32).unwrap();
    sgd.step(&mut [], &[]).unwrap();
    assert_eq!(sgd.steps(), 1);
    let mut model = ParamGroups::new();
    model.insert("none", Momentum::new(0.5, 0.5, 0).unwrap()).unwrap();
    model.insert("", Momentum::new(0.5, 0.5, 1).unwrap()).unwrap(); // a name like any other
    let mut one = [1.0_f64];
    model.step(&mut [("none", &mut [], &[]), ("", &mut one, &[1.0])]).unwrap();
    assert_eq!((one, model.steps()), ([0.5], 1));
}

// Clipped steps -------------------------------------------------------------------------------------------------------

/// To the bit `clip_global_norm` and then `step`, whether it clips or not, and the gradients stay.
fn steps_clipped<P: Scalar, F>(mut once: Box<dyn Optimizer<P, F>>, mut twice: Box<dyn Optimizer<P, F>>, name: &str) {
    let (start, grads) = (numbers::<P>(130, 3), numbers::<P>(130, 7));
    let (mut a, mut b) = (start.clone(), start);
    for max_norm in [1e30, 1.0, 0.37] {
        let mut clipped = grads.clone();
        let norm = clip_global_norm(&mut [&mut clipped], max_norm).unwrap();
        twice.step(&mut a, &clipped).unwrap();
        assert_eq!(step_clipped(&mut *once, &mut b, &grads, max_norm), Ok(norm), "{name}");
        assert_eq!((bits(&a), once.steps()), (bits(&b), twice.steps()), "{name}, {max_norm}");
    }
    assert!(bits(&grads) == bits(&numbers::<P>(130, 7)));
}

#[test]
fn clipping_and_stepping_are_one() {
    for ((name, once), (_, twice)) in optimizers(130).into_iter().zip(optimizers(130)) {
        steps_clipped(once, twice, &name);
    }
    steps_clipped::<f32, f32>(Box::new(Sgd::new(0.1).unwrap()), Box::new(Sgd::new(0.1).unwrap()), "f32");
    let half = || Box::new(Momentum::new(f16::from_f32(0.1), f16::from_f32(0.5), 130).unwrap());
    steps_clipped::<f16, f16>(half(), half(), "f16");
    #[cfg(feature = "half")]
    {
        let start = numbers::<bf16>(130, 3);
        let halves = || crate::common::half_optimizers(&start);
        for ((name, _, once), (_, _, twice)) in halves().into_iter().zip(halves()) {
            steps_clipped(once, twice, &name);
        }
    }
}

#[test]
fn a_clipped_step_is_all_or_nothing() {
    let mut momentum = Guard(Momentum::new(0.5, 0.5, 2).unwrap());
    let before = momentum.clone();
    let mut params = [1.0; 2];
    let mut refused = |grads: &[f64], max_norm, message: &str| {
        says(step_clipped(&mut momentum, &mut params, grads, max_norm), message);
        assert_eq!((&momentum, params), (&before, [1.0; 2]));
    };
    refused(&[1.0, f64::NAN], 1.0, "grads[1] is NaN, expected a finite number");
    refused(&[1.0], 1.0, "grads has length 1, expected 2, the length of params");
    refused(&[1.0; 2], 0.0, "max_norm is 0.0, expected a finite number above 0");
    refused(
        &[1e300; 2],
        1e-10,
        "max_norm / norm is 7.0710678118656e-311, expected a finite number of at least 2.2250738585072014e-308",
    );
    let error = step_clipped(&mut SignDescent(0.5), &mut [1.0_f32], &[1.0], 0.5).unwrap_err();
    assert_eq!(error, Error::CannotScale);
}

/// A rule from outside that refuses more than lengths, in `check` alone: `step_checked` may rely on it.
struct OnlyPositive(Sgd<f32>);

impl Optimizer<f32> for OnlyPositive {
    fn step(&mut self, params: &mut [f32], grads: &[f32]) -> Result<(), Error> {
        self.check(params, grads)?;
        self.0.step(params, grads)
    }

    fn check(&self, params: &[f32], grads: &[f32]) -> Result<(), Error> {
        if params.iter().any(|&p| p <= 0.0) {
            return Err(Sgd::new(-1.0_f32).unwrap_err()); // some error
        }
        self.0.check(params, grads)
    }

    fn step_checked(&mut self, params: &mut [f32], grads: Grads<f32>) -> Result<(), Error> {
        self.0.step_checked(params, grads)
    }

    fn can_scale(&self) -> bool {
        true
    }

    fn learning_rate(&self) -> f32 {
        self.0.learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), Error> {
        self.0.set_learning_rate(learning_rate)
    }

    fn steps(&self) -> u64 {
        self.0.steps()
    }

    fn reset(&mut self) {
        self.0.reset();
    }
}

#[test]
fn a_clipped_step_asks_the_rule_s_check() {
    let mut rule = OnlyPositive(Sgd::new(0.5).unwrap());
    let mut params = [1.0, -1.0];
    assert!(step_clipped(&mut rule, &mut params, &[3.0, 4.0], 2.5).is_err());
    assert_eq!((rule.steps(), params), (0, [1.0, -1.0]));
    assert_eq!(step_clipped(&mut rule, &mut params[..1], &[4.0], 2.0), Ok(4.0));
    assert_eq!((rule.steps(), params), (1, [0.0, -1.0]));
}
