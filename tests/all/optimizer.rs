//! What holds for every optimizer of the list, for any float, behind any trait object.

use std::fmt::Debug;

use gradstep::{
    Accumulator, Adam, Batcher, ByName, Epoch, Error, FiniteGuard, Grads, LossScale, Momentum, MomentumForm,
    MomentumRule, Optimizer, ParamGroups, Permutation, Position, ReduceOnPlateau, Restore, Schedule, Sgd, Shard, Step,
    Stream, WeightAverage, WeightDecay, clip_global_norm, clip_scale,
};
use half::{bf16, f16};
use num_traits::cast;
use proptest::prelude::*;

use crate::common::{
    DECAYS, FEW_LENS, FORMS, LEARNING_RATE, LENS, MOMENTUM, Scalar, adam, bits, config, golden, in_types, number,
    numbers, optimizers, oracle, path,
    rules::{Lion, Newtype, NoNegative, Rule, SignDescent, lars, negative},
    same, says, starts_and_grads, steps_to, tiny,
};

// Any use -------------------------------------------------------------------------------------------------------------

#[test]
fn trait_objects_and_rules_from_outside() {
    let mut borrowed = Sgd::new(0.5).unwrap();
    let mut all: Vec<Box<dyn Optimizer<f32> + '_>> = vec![
        Box::new(&mut borrowed),
        Box::new(Sgd::new(0.5).unwrap()),
        Box::new(Momentum::new(0.5, 0.5, 2).unwrap()),
        Box::new(SignDescent(0.5)),
        Box::new(FiniteGuard(SignDescent(0.5))),
        Box::new(FiniteGuard(Box::new(Sgd::new(0.5).unwrap()) as Box<dyn Optimizer<f32>>)),
    ];
    for optimizer in &mut all {
        let mut params = [1.0, -1.0];
        optimizer.step(&mut params, &[1.0, -1.0]).unwrap();
        assert_eq!(params, [0.5, -0.5]);
        assert!(optimizer.step(&mut params, &[1.0]).is_err());
        assert!(optimizer.step_with(&mut params, Grads::new(&[1.0]).scaled(1.0)).is_err());
        assert_eq!(optimizer.check(Grads::new(&[1.0, -1.0])), Ok(()));
        optimizer.set_learning_rate(0.25).unwrap();
        assert_eq!(optimizer.learning_rate(), 0.25);
        optimizer.reset();
        optimizer.step(&mut params, &[1.0, -1.0]).unwrap();
        assert_eq!(params, [0.25, -0.25]);
    }
}

/// They only have to compile.
#[test]
fn traits_of_every_type() {
    fn check<T: Send + Sync + Unpin + 'static>() {}
    check::<Sgd<f32>>();
    check::<Momentum<f64>>();
    check::<Adam<f64>>();
    check::<FiniteGuard<Sgd<f32>>>();
    check::<ParamGroups<f32, Momentum<f32>>>();
    check::<(MomentumForm, MomentumRule, WeightDecay, Accumulator, Grads<f32>)>();
    check::<(Batcher, Epoch, Stream, Position, Shard, Permutation, Schedule, ReduceOnPlateau, LossScale)>();
    check::<(WeightAverage<f32>, ByName<Accumulator>)>();
    check::<(Sgd<bf16>, Momentum<f16>, Error)>();
    check::<ParamGroups<f32, Box<dyn Optimizer<f32> + Send + Sync>>>();
    #[cfg(feature = "half")]
    check::<gradstep::MasterCopy<bf16, Momentum<f32>>>();
    fn is_send<T: Send + ?Sized>() {}
    is_send::<dyn Optimizer<f32>>();
    is_send::<Box<dyn Optimizer<bf16>>>();
    is_send::<ParamGroups<f32, Box<dyn Optimizer<f32>>>>();
    is_send::<(Grads<f32>, Step<f64>)>();
    fn restores<T: Restore>() {}
    restores::<Box<FiniteGuard<Momentum<f32>>>>();
    restores::<Sgd<f64>>();
}

#[test]
fn settings_read_back() {
    let decay = WeightDecay::Decoupled(0.25);
    let sgd = Sgd::<f32>::new(0.5).unwrap().with_weight_decay(decay).unwrap();
    assert_eq!((sgd.learning_rate(), sgd.weight_decay(), sgd.steps()), (0.5, decay, 0));
    let form = MomentumForm::PyTorch;
    let momentum = Momentum::<f32>::new(0.5, 0.75, 2).unwrap().with_form(form).with_weight_decay(decay).unwrap();
    let rule = MomentumRule { learning_rate: 0.5, momentum: 0.75, form, weight_decay: decay };
    assert_eq!((momentum.rule(), momentum.velocity()), (&rule, &[0.0, 0.0][..]));
    assert_eq!(momentum.learning_rate(), 0.5);
    assert_eq!(Momentum::with_rule(rule, 2), Ok(momentum.clone()));
    let mut momentum = momentum;
    momentum.set_momentum(0.25).unwrap();
    momentum.set_learning_rate(0.125).unwrap();
    momentum.set_form(MomentumForm::Nesterov);
    momentum.set_weight_decay(WeightDecay::None).unwrap();
    let form = MomentumForm::Nesterov;
    let rule = MomentumRule { learning_rate: 0.125, momentum: 0.25, form, weight_decay: WeightDecay::None };
    assert_eq!(momentum.rule(), &rule);
    let mut sgd = sgd;
    sgd.set_weight_decay(WeightDecay::Coupled(0.5)).unwrap();
    assert_eq!(sgd.weight_decay(), WeightDecay::Coupled(0.5));
    assert_eq!((MomentumForm::default(), WeightDecay::default()), (MomentumForm::Classical, WeightDecay::None));
}

#[test]
fn invalid_learning_rates_are_rejected() {
    for bad in [-0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let message = format!("learning_rate is {bad:?}, expected a finite number of at least 0");
        says(Sgd::<f64>::new(bad), &message);
        says(Momentum::<f64>::new(bad, 0.9, 3), &message);
        let mut sgd = Sgd::<f64>::new(0.1).unwrap();
        says(sgd.set_learning_rate(bad), &message);
        assert_eq!(sgd.learning_rate(), 0.1);
        let mut momentum = Momentum::<f64>::new(0.1, 0.9, 3).unwrap();
        says(momentum.set_learning_rate(bad), &message);
        assert_eq!(momentum.learning_rate(), 0.1);
    }
    says(Sgd::<f32>::new(-0.5), "learning_rate is -0.5, expected a finite number of at least 0");
    assert!(Sgd::<f64>::new(0.0).is_ok() && Sgd::<f64>::new(f64::MAX).is_ok());
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
        for (name, mut disturbed, mut left_alone) in pairs(start.len()) {
            let (mut a, mut b) = (start.clone(), start.clone());
            for g in &grads {
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
        for (name, mut used, mut new) in pairs(start.len()) {
            let (mut a, mut b) = (start.clone(), start.clone());
            used.step(&mut [0.5].repeat(start.len()), &grads[0]).unwrap();
            used.reset();
            for g in &grads {
                used.step(&mut a, g).unwrap();
                new.step(&mut b, g).unwrap();
            }
            prop_assert_eq!((bits(&a), used.steps()), (bits(&b), new.steps()), "{}", name);
        }
    }
}

// The same bits whatever the features, the threads and the alignment. The plain loops know no features, so two builds
// that both pass agree with each other.

/// A step or three, on slices that begin at every offset within a vector.
fn every_rule_is_the_plain_loop<F: Scalar>() {
    for len in LENS {
        for offset in if len < 100 { 0..4 } else { 1..2 } {
            for decay in DECAYS {
                for form in [None].into_iter().chain(FORMS.map(Some)) {
                    let mut params = numbers::<F>(offset + len, 1);
                    let (mut expected, mut velocity) = (params[offset..].to_vec(), vec![F::zero(); len]);
                    let (eta, lambda) = (LEARNING_RATE, MOMENTUM);
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
                    let state = bits(momentum.velocity());
                    assert!(state == bits(&velocity), "velocity, len {len}, offset {offset}, {form:?}");
                }
            }
        }
    }
}

in_types!(every_rule_is_the_plain_loop: f32 f64);

/// Literal bits, so that a build on another machine is held to the same ones.
#[test]
fn value_stability_of_a_thousand_steps() {
    let mut rows = golden::table(include_str!("../data/thousand_steps.csv"), 21);
    for (name, mut optimizer) in optimizers(33) {
        let mut params = numbers::<f64>(33, 5);
        for step in 0..1000 {
            optimizer.step(&mut params, &numbers(33, 77 * step)).unwrap();
        }
        let digest = golden::digest(&params.iter().map(|p| p.to_bits()).collect::<Vec<_>>());
        assert_eq!(rows.next().unwrap(), [&format!("{digest:016x}"), &*name.replace(',', "")]);
    }
    assert_eq!(rows.next(), None);
}

// Edges: subnormals, signed zeros, infinities, NaN, worked by hand, in units of the type (tiny is its smallest subnormal).

/// Parameter and gradient, and the parameter after the first step at η = λ = 1/2 by: Sgd, and Momentum in its four forms.
fn first_steps<F: Scalar>() {
    let (zero, one, max, nan, inf) = (F::zero(), F::one(), F::max_value(), F::nan(), F::infinity());
    let (normal, tiny) = (F::min_positive_value(), tiny::<F>());
    let [two, three] = [2.0, 3.0].map(|n| tiny * number(n));
    #[rustfmt::skip]
    let mut rows: [(F, F, [F; 5]); 18] = [
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
        // Half of tiny rounds to 0: too small an update is lost.
        (three, tiny, [three; 5]),
        // η g = 1 tiny. The velocity is subnormal, so it becomes 0, and only what adds the gradient itself moves: Sgd and
        // the Nesterov forms.
        (tiny, two, [zero, tiny, zero, tiny, zero]),
        (three, two, [two, three, two, three, two]),
        // From the normal numbers into the subnormal ones.
        (normal, two, [normal - tiny, normal, normal - tiny, normal, normal - tiny]),
    ];
    if size_of::<F>() == 2 && normal > number(1e-30) {
        // f16 keeps its subnormal velocities. Nesterov's λ m = -1/2 tiny rounds to -0; PyTorch's 2 + 1/2 · 2 = 3, halved:
        // 1.5, to even: 2.
        rows[15].2 = [zero, zero, zero, zero, -tiny];
        rows[16].2 = [two, two, two, two, tiny];
        rows[17].2 = [normal - tiny, normal - tiny, normal - tiny, normal - tiny, normal - two];
    }
    assert!(tiny > zero && tiny * number(0.5) == zero && (normal - tiny) + tiny == normal && normal - tiny < normal);
    let rule = |n: usize| rows.map(|(p, g, after)| (p, g, after[n]));
    let kind = std::any::type_name::<F>();
    steps_to(|_| Box::new(Sgd::new(0.5).unwrap()), rule(0), &format!("Sgd, {kind}"));
    for (n, form) in FORMS.into_iter().enumerate() {
        let momentum = |params: &[F]| Momentum::new(0.5, 0.5, params.len()).unwrap().with_form(form);
        steps_to(|params| Box::new(momentum(params)), rule(n + 1), &format!("{form:?}, {kind}"));
    }
}
in_types!(first_steps: f32 f64 f16 bf16);

/// The same once more as literal bits, so that a wrong `tiny` or `number` above cannot hide a flush to zero.
#[test]
fn subnormal_parameters_and_gradients_are_kept_to_the_bit() {
    for len in FEW_LENS {
        let mut params: Vec<f32> = (0..len as u32).map(|i| f32::from_bits(0x0080_0000 + i % 4)).collect(); // 2^-126 + i 2^-149
        Sgd::new(1.0).unwrap().step(&mut params, &vec![f32::from_bits(0x0000_0005); len]).unwrap();
        assert!(params.iter().zip(0..).all(|(p, i)| p.to_bits() == 0x007F_FFFB + i % 4), "f32, {len}");

        // m = -(2^-1022 + 4 · 2^-1074), the smallest normal number and four steps; 2^-1022 + i - m
        let mut params: Vec<f64> = (0..len as u64).map(|i| f64::from_bits(0x0010_0000_0000_0000 + i % 4)).collect();
        let mut momentum = Momentum::new(1.0, 0.5, len).unwrap();
        momentum.step(&mut params, &vec![f64::from_bits(0x0010_0000_0000_0004); len]).unwrap();
        for (p, i) in params.iter().zip(0..) {
            assert_eq!(*p, -f64::from_bits(4 - i % 4), "f64, {len}");
        }
        assert!(momentum.velocity().iter().all(|m| m.to_bits() == 0x8010_0000_0000_0004), "velocity, {len}");
    }
}

/// The velocity after one step with λ = 1/2 and a gradient of 0, from a velocity that it halves.
fn halved<F: Scalar>(velocity: F, form: MomentumForm, len: usize) -> F {
    let mut params = vec![F::zero(); len];
    let momentum = Momentum::new(1.0, 0.5, len).unwrap().with_form(form);
    let mut momentum = momentum.with_velocity(&vec![velocity; len], 0).unwrap();
    momentum.step(&mut params, &vec![F::zero(); len]).unwrap();
    assert!(momentum.velocity().iter().all(|&m| same(m, momentum.velocity()[0])), "{form:?}, {len}");
    momentum.velocity()[0]
}

/// What would stay subnormal for ever, and slow every step down, becomes 0: from one below the smallest normal number on.
#[test]
fn a_velocity_below_the_smallest_normal_number_becomes_0() {
    fn at_the_edge<F: Scalar>(normal: F, below: F) {
        let two = F::one() + F::one();
        for form in FORMS {
            for len in FEW_LENS {
                for sign in [F::one(), -F::one()] {
                    let halved = |m: F| halved(m * two * sign, form, len);
                    assert!(same(halved(normal), normal * sign), "{normal:?} {form:?}");
                    assert!(same(halved(below), F::zero()), "{below:?} {form:?}");
                    assert!(same(halved(F::infinity()), F::infinity() * sign), "{form:?}");
                }
                assert!(halved(F::nan(), form, len).is_nan(), "{form:?}");
            }
        }
    }
    at_the_edge(f32::from_bits(0x0080_0000), f32::from_bits(0x007F_FFFF));
    at_the_edge(f64::from_bits(0x0010_0000_0000_0000), f64::from_bits(0x000F_FFFF_FFFF_FFFF));
    at_the_edge(bf16::from_bits(0x0080), bf16::from_bits(0x007F));
    // f16 keeps its subnormals down to the last: 2 · 2^-24 / 2.
    assert_eq!(halved(f16::from_bits(2), MomentumForm::Classical, 33), f16::from_bits(1));
}

/// dfdx#59: a unit that dies. λ = 0.9, one gradient of 1, η = 1: m = -0.9^k is below 2^-126 from k = 829 on, since
/// 126 · ln 2 / -ln 0.9 = 828.92; rounding to nearest would keep it at -4 · 2^-149 for ever.
#[test]
fn the_velocity_of_a_dead_unit_ends_at_0() {
    for form in FORMS {
        let mut momentum = Momentum::<f32>::new(1.0, 0.9, 1).unwrap().with_form(form);
        momentum.step(&mut [0.0], &[1.0]).unwrap();
        for k in 1..=840 {
            momentum.step(&mut [0.0], &[0.0]).unwrap();
            assert_eq!(momentum.velocity()[0] == 0.0, k >= 829, "{form:?}, {k}: {:e}", momentum.velocity()[0]);
        }
        assert_eq!(momentum.velocity()[0].to_bits(), 0, "{form:?}");
    }
}

fn learning_rate_zero<F: Scalar>() {
    let (zero, inf) = (F::zero(), F::infinity());
    for rate in [0.0, -0.0] {
        let mut sgd = Sgd::<F>::new(rate).unwrap();
        assert_eq!(path(&mut sgd, [3.0], 2, |k, _| [[8.0, -8.0][k]]), [3.0; 2]);
        assert!(path(sgd, [3.0], 1, |_, _| [f64::INFINITY])[0].is_nan(), "0 · ∞");
    }
    // -0 - 0 · 1 = -0, and -0 - 0 · -1 = +0: the sign of a zero is not kept.
    let rows = [(-zero, F::one(), -zero), (-zero, -F::one(), zero), (zero, F::one(), zero), (inf, F::one(), inf)];
    steps_to(|_| Box::new(Sgd::new(0.0).unwrap()), rows, "η = 0");

    // θ = 16, g = 16, η = 1/4, λ = 1/2; then η = 0, g = 8 twice. The classical forms coast on, PyTorch's stand still.
    let expected = [[12.0, 10.0, 9.0], [10.0, 9.0, 8.5], [12.0; 3], [10.0; 3]];
    let velocity = [-1.0, -1.0, 16.0, 16.0]; // m: -4, -2, -1; v: 16, 8 + 8, 8 + 8
    for ((form, expected), velocity) in FORMS.into_iter().zip(expected).zip(velocity) {
        let mut momentum = Momentum::<F>::new(0.25, 0.5, 1).unwrap().with_form(form);
        let first = path(&mut momentum, [16.0], 1, |_, theta| theta);
        momentum.set_learning_rate(0.0).unwrap();
        let rest = path(&mut momentum, [first[0]], 2, |_, _| [8.0]);
        assert_eq!([first, rest].concat(), expected, "{form:?}");
        assert_eq!(momentum.velocity(), [number(velocity)], "{form:?}");
    }
}
in_types!(learning_rate_zero: f32 f64 f16 bf16);

#[test]
fn no_parameters_are_a_step_too() {
    for (name, mut optimizer) in optimizers::<f64>(0) {
        assert_eq!(optimizer.check(Grads::new(&[])), Ok(()), "{name}");
        assert_eq!((optimizer.step(&mut [], &[]), optimizer.steps()), (Ok(()), 1), "{name}");
        assert!(optimizer.step(&mut [], &[1.0]).is_err(), "{name}");
    }
}

// Scaled and clipped --------------------------------------------------------------------------------------------------

/// Each pair of optimizers is stepped: the first in one call, the second on gradients that were changed before.
fn pairs<P: Scalar>(len: usize) -> impl Iterator<Item = (String, Box<dyn Optimizer<P>>, Box<dyn Optimizer<P>>)> {
    optimizers(len).into_iter().zip(optimizers(len)).map(|((name, once), (_, twice))| (name, once, twice))
}

/// To the bit `clip_global_norm` and then `step`, whether it clips or not, and the gradients do not change; also where the norm
/// comes from outside.
fn clipping_and_stepping_are_one<P: Scalar>() {
    let (start, grads) = (numbers::<P>(130, 3), numbers::<P>(130, 7));
    for (name, mut once, mut twice) in pairs::<P>(130) {
        let (_, mut outside, _) = pairs::<P>(130).find(|(other, ..)| *other == name).unwrap();
        let (mut a, mut b, mut c) = (start.clone(), start.clone(), start.clone());
        for max_norm in [1e30, 1.0, 0.37] {
            let mut clipped = grads.clone();
            let norm = clip_global_norm(&mut [&mut clipped], max_norm).unwrap();
            twice.step(&mut a, &clipped).unwrap();
            assert_eq!(once.step_clipped(&mut b, Grads::new(&grads), max_norm), Ok(norm), "{name}");
            let scale = clip_scale(norm, max_norm).unwrap();
            assert_eq!(scale == 1.0, max_norm == 1e30);
            outside.step_with(&mut c, Grads::new(&grads).scaled(scale)).unwrap();
            assert_eq!((bits(&a), once.steps()), (bits(&b), twice.steps()), "{name}, {max_norm}");
            assert_eq!(bits(&a), bits(&c), "{name}, {max_norm}, from outside");
        }
    }
    assert!(bits(&grads) == bits(&numbers::<P>(130, 7)));
}
in_types!(clipping_and_stepping_are_one: f32 f64 f16 bf16);

/// `scale · g` in f64, rounded once to `P`; at every length, where there are vectors and threads.
fn scaling_and_stepping_are_one<P: Scalar>() {
    for len in FEW_LENS {
        let (start, grads) = (numbers::<P>(len, 3), numbers::<P>(len, 7));
        for scale in [1.0, 1.0 / 1024.0, 0.3, -7.0, 0.0] {
            let scaled: Vec<P> = grads.iter().map(|g| cast(scale * g.to_f64().unwrap()).unwrap()).collect();
            for (name, mut once, mut twice) in pairs::<P>(len) {
                let (mut a, mut b) = (start.clone(), start.clone());
                for _ in 0..if len < 100_000 { 2 } else { 1 } {
                    twice.step(&mut a, &scaled).unwrap();
                    once.step_with(&mut b, Grads::new(&grads).scaled(scale)).unwrap();
                }
                assert!(bits(&a) == bits(&b), "{name}, {len}, {scale}");
            }
        }
    }
}
in_types!(scaling_and_stepping_are_one: f32 f64);

/// 1/S for a loss scale S, and the clip, by both factors at once: the norm is that of the scaled gradients.
#[test]
fn scaled_gradients_are_clipped_by_their_scaled_norm() {
    let (start, grads) = (numbers::<f64>(130, 3), numbers::<f64>(130, 7));
    let large: Vec<f64> = grads.iter().map(|g| 1024.0 * g).collect();
    for max_norm in [1e30, 1.0, 0.37] {
        for (name, mut once, mut twice) in pairs::<f64>(130) {
            let (mut a, mut b) = (start.clone(), start.clone());
            let norm = twice.step_clipped(&mut a, Grads::new(&grads), max_norm);
            assert_eq!(once.step_clipped(&mut b, Grads::new(&large).scaled(1.0 / 1024.0), max_norm), norm, "{name}");
            assert_eq!(bits(&a), bits(&b), "{name}, {max_norm}");
        }
    }
}

/// A guarded rule is the rule itself where gradients are finite, and rejects what is not finite once it is scaled.
#[test]
fn every_rule_is_guarded() {
    let grads = numbers::<f32>(33, 7);
    for (name, mut plain, inner) in pairs::<f32>(33) {
        let mut guarded = FiniteGuard(inner);
        let (mut a, mut b) = (numbers::<f32>(33, 3), numbers::<f32>(33, 3));
        plain.step(&mut a, &grads).unwrap();
        guarded.step(&mut b, &grads).unwrap();
        let mut large = grads.clone();
        large[7] = 1e38;
        says(guarded.step_with(&mut b, Grads::new(&large).scaled(4.0)), "grads[7] is inf, expected a finite number");
        assert_eq!((bits(&a), plain.steps()), (bits(&b), guarded.steps()), "{name}");
        plain.step_with(&mut a, Grads::new(&large).scaled(0.5)).unwrap();
        guarded.step_with(&mut b, Grads::new(&large).scaled(0.5)).unwrap();
        assert_eq!((bits(&a), plain.steps()), (bits(&b), guarded.steps()), "{name}");
    }
}

/// The rest of what is rejected is in [`is_all_or_nothing`].
#[test]
fn a_limit_that_is_rejected_changes_nothing() {
    let mut momentum = FiniteGuard(Momentum::new(0.5, 0.5, 2).unwrap());
    let before = momentum.clone();
    let mut params = [1.0; 2];
    let beyond = "expected at most 4.49423283715579e297 in absolute value";
    for (grads, max_norm, message) in [
        ([1.0; 2], 0.0, "max_norm is 0.0, expected a finite number above 0"),
        ([1e300; 2], 1e-10, &format!("global norm for max_norm = 1e-10 is 1.4142135623730952e300, {beyond}")),
    ] {
        says(momentum.step_clipped(&mut params, Grads::new(&grads), max_norm), message);
        assert_eq!((&momentum, params), (&before, [1.0; 2]));
    }
}

/// A scale that is large where the gradients are small, and the other way round: the norm is as exact as it is unscaled.
#[test]
fn the_norm_of_scaled_gradients_neither_overflows_nor_vanishes() {
    for (g, scale) in
        [(1e-310, 1e10), (1e-315, 65_536.0), (1e300, 1e-320), (1e-300, 1e-10), (1e10, 1e200), (0.0, 1e300)]
    {
        let (mut params, grads, product) = ([0.0; 2], [3.0 * g, 4.0 * g], 5.0 * (scale * g));
        let norm =
            Sgd::new(1.0).unwrap().step_clipped(&mut params, Grads::new(&grads).scaled(scale), f64::MAX).unwrap();
        assert!((norm - product).abs() <= 1e-3 * product, "{g:e} {scale:e}: {norm:e}"); // subnormals have few digits
    }
}

// All or nothing ------------------------------------------------------------------------------------------------------

/// What is stepped with, and how it is rejected.
struct Rejected<P> {
    params: Vec<P>,
    grads: Vec<P>,
    message: String,
}

/// What an optimizer of two parameters has to reject: lengths of all kinds, and what its rule rejects.
fn rejections<P: Scalar>(state: &str, also: &[([f64; 2], &str)]) -> Vec<Rejected<P>> {
    let lens = |params: usize, grads: usize, of: &str| {
        let expected = if grads == params { 2 } else { params };
        let message = format!("grads has length {grads}, expected {expected}, the length of {of}");
        Rejected { params: vec![P::one(); params], grads: vec![P::one(); grads], message }
    };
    let mut all = vec![
        lens(2, 1, "params"),
        lens(2, 3, "params"),
        lens(1, 2, "params"),
        lens(0, 2, "params"),
        lens(1, 1, state),
        lens(3, 3, state),
        lens(0, 0, state),
    ];
    all.extend(also.iter().map(|(grads, message)| Rejected {
        params: vec![P::one(); 2],
        grads: grads.map(number).to_vec(),
        message: message.to_string(),
    }));
    all
}

/// Every way to step, each with the same gradients or a multiple.
type Way<P> = fn(&mut dyn Optimizer<P>, &mut [P], &[P]) -> Result<(), Error>;

fn ways<P: Scalar>() -> [Way<P>; 6] {
    [
        |optimizer, params, grads| optimizer.step(params, grads),
        |optimizer, params, grads| optimizer.step_with(params, Grads::new(grads)),
        |optimizer, params, grads| optimizer.step_with(params, Grads::new(grads).scaled(1.0)),
        |optimizer, params, grads| optimizer.step_with(params, Grads::new(grads).scaled(0.5)),
        |optimizer, params, grads| optimizer.step_clipped(params, Grads::new(grads), 1e30).map(drop),
        |optimizer, params, grads| optimizer.step_clipped(params, Grads::new(grads).scaled(3.0), 0.25).map(drop),
    ]
}

/// A model's ways; the tensors are given as names, parameters and gradients.
type Given<'a, P> = [(&'a str, &'a mut [P], &'a [P])];
type ModelWay<P, O> = fn(&mut ParamGroups<P, O>, &mut Given<P>) -> Result<(), Error>;

fn with_grads<'a, P>(given: &'a mut Given<P>, scale: Option<f64>) -> Vec<(&'a str, &'a mut [P], Grads<'a, P>)> {
    let grads = |grads| scale.map_or(Grads::new(grads), |scale| Grads::new(grads).scaled(scale));
    given.iter_mut().map(|(name, params, g)| (*name, &mut **params, grads(*g))).collect()
}

fn model_ways<P: Scalar, O: Optimizer<P>>() -> [ModelWay<P, O>; 7] {
    [
        |model, given| model.step(given),
        |model, given| model.step_with(&mut with_grads(given, None)),
        |model, given| model.step_with(&mut with_grads(given, Some(1.0))),
        |model, given| model.step_with(&mut with_grads(given, Some(0.5))),
        |model, given| model.step_clipped(&mut with_grads(given, None), 1e30).map(drop),
        |model, given| model.step_clipped(&mut with_grads(given, Some(3.0)), 0.25).map(drop),
        |model, given| {
            model.step_each(|visit| given.iter_mut().try_for_each(|(name, p, g)| visit(name, p, Grads::new(g))))
        },
    ]
}

/// `optimizer`, for two parameters, alone and as one of three tensors: whatever is rejected changes nothing, neither
/// parameters nor velocity nor count, and the next step is that of one that never saw it.
fn is_all_or_nothing<P: Scalar, O: Optimizer<P> + Clone + PartialEq + Debug>(
    mut optimizer: O,
    state: &str,
    also: &[([f64; 2], &str)],
) {
    let grads = [number::<P>(0.5), number(0.25)];
    optimizer.step(&mut [P::one(); 2], &grads).unwrap();
    let before = optimizer.clone();
    for Rejected { params, grads, message } in rejections::<P>(state, also) {
        for (number, way) in ways::<P>().into_iter().enumerate() {
            let mut moved = params.clone();
            let stepped = way(&mut optimizer, &mut moved, &grads);
            assert_eq!(stepped.map_err(|error| error.to_string()), Err(message.clone()), "{optimizer:?}, {number}");
            assert_eq!((&optimizer, bits(&moved)), (&before, bits(&params)), "{message}, {number}");
        }
    }

    let names = ["a", "b", "c"];
    let mut model = ParamGroups::new();
    names.iter().for_each(|name| model.insert(*name, before.clone()).unwrap());
    for (frozen, order) in [(false, [0, 1, 2]), (false, [2, 0, 1]), (true, [0, 1, 2]), (true, [1, 2, 0])] {
        // A frozen tensor is checked too.
        model.freeze_where(|name| frozen && name == "b");
        let before = model.clone();
        for Rejected { params, grads: bad, message } in rejections::<P>(state, also) {
            for (number, way) in model_ways::<P, O>().into_iter().enumerate() {
                let start = [vec![P::one(); 2], params.clone(), vec![P::one(); 2]];
                let mut moved = start.clone();
                let mut slots = moved.each_mut().map(Some);
                let mut given = Vec::new();
                for i in order {
                    let grads = if i == 1 { &bad[..] } else { &grads };
                    given.push((names[i], &mut slots[i].take().unwrap()[..], grads));
                }
                let stepped = way(&mut model, &mut given);
                let expected = format!("tensor `b`: {message}");
                assert_eq!(stepped.map_err(|error| error.to_string()), Err(expected), "{number}");
                assert_eq!((&model, moved), (&before, start), "{message}, {number}");
            }
        }
    }
}

const NEGATIVE: ([f64; 2], &str) = ([0.5, -1.0], "gradient is -1.0, expected a number of at least 0");

#[test]
fn wrappers_that_forward_what_the_compiler_asks_for_are_all_or_nothing() {
    let momentum = || Momentum::<f64>::new(0.1, 0.9, 2).unwrap().with_form(MomentumForm::Nesterov);
    let nan = ([1.0, f64::NAN], "grads[1] is NaN, expected a finite number");
    let inf = ([f64::INFINITY, 1.0], "grads[0] is inf, expected a finite number");
    is_all_or_nothing(Rule::Momentum(momentum()), "velocity", &[]);
    is_all_or_nothing(Rule::<f32>::Adam(adam(2)), "m", &[]);
    is_all_or_nothing(Rule::<f32>::Lion(Lion::new(0.1, 2)), "m", &[]);
    is_all_or_nothing(Rule::Guarded(FiniteGuard(momentum())), "velocity", &[nan, inf]);
    is_all_or_nothing(Rule::NoNegative(NoNegative(momentum())), "velocity", &[NEGATIVE]);
    is_all_or_nothing(Newtype(momentum()), "velocity", &[]);
    is_all_or_nothing(Newtype(FiniteGuard(Newtype(momentum()))), "velocity", &[nan, inf]);
    is_all_or_nothing(Newtype(FiniteGuard(Newtype(NoNegative(momentum())))), "velocity", &[nan, inf, NEGATIVE]);
    is_all_or_nothing(FiniteGuard(Rule::NoNegative(NoNegative(momentum()))), "velocity", &[nan, inf, NEGATIVE]);
    is_all_or_nothing(Newtype(Box::new(FiniteGuard(Rule::Momentum(momentum())))), "velocity", &[nan, inf]);
}

#[test]
#[cfg(feature = "half")]
fn wrappers_around_and_in_a_master_copy_are_all_or_nothing() {
    use gradstep::MasterCopy;
    let nan = ([1.0, f64::NAN], "grads[1] is NaN, expected a finite number");
    let momentum = || Momentum::<f32>::new(0.1, 0.9, 2).unwrap();
    macro_rules! master_copies {
        ($half:ident) => {
            let params = [$half::ONE; 2];
            let copy = MasterCopy::<$half, _>::new(Rule::Guarded(FiniteGuard(momentum())), &params).unwrap();
            is_all_or_nothing(Newtype(copy), "master copy", &[nan]);
            let copy = MasterCopy::<$half, _>::new(Newtype(NoNegative(momentum())), &params).unwrap();
            is_all_or_nothing(Newtype(FiniteGuard(Newtype(copy))), "master copy", &[nan, NEGATIVE]);
            let copy = MasterCopy::<$half, _>::new(Rule::Adam(adam(2)), &params).unwrap();
            is_all_or_nothing(copy, "master copy", &[]);
        };
    }
    master_copies!(f16);
    master_copies!(bf16);
}

/// A rule that rejects by itself, with gradients as it gets them: a negative scale turns the sign.
#[test]
fn a_rule_s_own_check_sees_scaled_gradients() {
    let mut rule = NoNegative(Sgd::new(0.5).unwrap());
    let mut params = [1.0_f32, -1.0];
    assert_eq!(rule.step(&mut params, &[3.0, -4.0]), Err(negative()));
    assert_eq!(rule.step_clipped(&mut params, Grads::new(&[3.0, -4.0]), 2.5), Err(negative()));
    assert_eq!(rule.step_with(&mut params, Grads::new(&[3.0, 4.0]).scaled(-0.5)), Err(negative()));
    assert_eq!((rule.steps(), params), (0, [1.0, -1.0]));
    assert_eq!(rule.step_with(&mut params, Grads::new(&[-2.0, -4.0]).scaled(-0.5)), Ok(()));
    assert_eq!((rule.steps(), params), (1, [0.5, -2.0]));
}

/// A rule that owns its loop fails at the first call that may clip, not at the first large gradient.
#[test]
fn a_rule_that_owns_its_loop_is_rejected_where_there_is_no_slice() {
    let message = "this optimizer takes gradients as a plain slice, expected no scale, clipping or widening on the way";
    let (mut params, grads) = ([3.0, 4.0], [0.0, 2.0]);
    let mut rule = Newtype(lars(0.5));
    for limit in [1.0, 1e9] {
        says(rule.step_with(&mut params, Grads::new(&grads).scaled(limit)), message);
        says(rule.step_clipped(&mut params, Grads::new(&grads), limit), message);
    }
    assert_eq!((params, Optimizer::<f64>::steps(&rule)), ([3.0, 4.0], 0));
    rule.step(&mut params, &grads).unwrap(); // 4 - 1/2 · 5/2 · 2
    assert_eq!(params, [3.0, 1.5]);
}

// Settings as the parameters' type has them -------------------------------------------------------------------------------

/// `value` is a valid setting, and what `P` rounds it to is not: all that takes it returns the same message.
fn rounded_away<P: Scalar>(value: f64, rounded: &str) {
    let (sgd, momentum) = (Sgd::<P>::new(0.5).unwrap(), Momentum::<P>::new(0.5, 0.5, 1).unwrap());
    let says_of = |name: &str, result: Result<(), Error>| {
        let which = "which the type of the parameters rounds to";
        says(result, &format!("{name} is {value:?}, {which} {rounded}, expected a finite number above 0"));
    };
    let rule = MomentumRule { learning_rate: value, ..MomentumRule::new(0.5, 0.5) };
    says_of("learning_rate", Sgd::<P>::new(value).map(drop));
    says_of("learning_rate", Momentum::<P>::new(value, 0.5, 1).map(drop));
    says_of("learning_rate", Momentum::<P>::with_rule(rule, 1).map(drop));
    says_of("learning_rate", rule.step(&mut [P::one()], &mut [P::one()], &[P::one()]));
    let mut changed = (sgd.clone(), momentum.clone());
    says_of("learning_rate", changed.0.set_learning_rate(value));
    says_of("learning_rate", changed.1.set_learning_rate(value));
    for decay in [WeightDecay::Coupled(value), WeightDecay::Decoupled(value)] {
        says_of("weight_decay", changed.0.set_weight_decay(decay));
        says_of("weight_decay", changed.1.set_weight_decay(decay));
        says_of("weight_decay", sgd.clone().with_weight_decay(decay).map(drop));
        says_of("weight_decay", momentum.clone().with_weight_decay(decay).map(drop));
        let rule = MomentumRule { weight_decay: decay, ..MomentumRule::new(0.5, 0.5) };
        says_of("weight_decay", Momentum::<P>::with_rule(rule, 1).map(drop));
    }
    assert_eq!(changed, (sgd.clone(), momentum));

    let mut model = ParamGroups::<P, _>::new();
    model.insert("a", Sgd::new(1.0).unwrap()).unwrap();
    model.insert("b", Sgd::new(1.0).unwrap()).unwrap();
    let before = model.clone();
    says_of("tensor `b`: learning_rate", model.set_learning_rate("b", value));
    says_of("tensor `a`: learning_rate", model.scale_learning_rates(value));
    model.scale_learning_rates(1.0).unwrap();
    assert_eq!(model, before);
    if value < 1.0 {
        // Rates that are valid, under a factor that takes one of them below the type.
        model.set_learning_rate("a", (1.0 / value).sqrt()).unwrap();
        let before = model.clone();
        let error = model.scale_learning_rates(value).unwrap_err();
        assert!(matches!(error, Error::InTensor { ref name, .. } if name == "b"), "{error}");
        assert_eq!(model, before);
    }
}

#[test]
fn settings_that_the_type_rounds_to_nothing_are_rejected() {
    rounded_away::<f32>(1e-50, "0.0");
    rounded_away::<f32>(7.006492321624085e-46, "0.0"); // half of the smallest: a tie, to even
    rounded_away::<f32>(1e39, "inf");
    rounded_away::<f16>(1e-8, "0.0");
    rounded_away::<f16>(2.0_f64.powi(-25), "0.0");
    rounded_away::<f16>(65_520.0, "inf");
    rounded_away::<bf16>(1e-41, "0.0");
    rounded_away::<bf16>(1e39, "inf");
    // One digit further they are valid.
    let just_above = |tie: f64| f64::from_bits(tie.to_bits() + 1);
    Sgd::<f32>::new(just_above(7.006492321624085e-46)).unwrap();
    Sgd::<f16>::new(just_above(2.0_f64.powi(-25))).unwrap();
    Sgd::<f16>::new(65_519.0).unwrap();
    Sgd::<f64>::new(f64::from_bits(1)).unwrap();
    assert!(Sgd::<f16>::new(0.0).is_ok() && Sgd::<bf16>::new(-0.0).is_ok());
}

fn momentum_rounds_to<P: Scalar>(value: f64, rounded: &str) {
    let message = format!(
        "momentum is {value:?}, which the type of the parameters rounds to {rounded}, expected a number above 0 and below 1"
    );
    says(Momentum::<P>::new(0.1, value, 2), &message);
    says(Momentum::<P>::with_rule(MomentumRule::new(0.1, value), 2), &message);
    let (mut params, mut velocity) = ([P::one()], [P::one()]);
    says(MomentumRule::new(0.1, value).step(&mut params, &mut velocity, &[P::one()]), &message);
    assert_eq!((params, velocity), ([P::one()], [P::one()]));
    let mut momentum = Momentum::<P>::new(0.1, 0.9, 2).unwrap();
    says(momentum.set_momentum(value), &message);
    assert_eq!(momentum.rule().momentum, 0.9);
}

#[test]
fn a_momentum_that_the_type_rounds_to_one_or_zero_is_rejected() {
    momentum_rounds_to::<bf16>(0.999, "1.0");
    momentum_rounds_to::<f16>(0.9999, "1.0");
    momentum_rounds_to::<f32>(0.99999999, "1.0");
    momentum_rounds_to::<f16>(1e-8, "0.0");
    momentum_rounds_to::<f32>(1e-46, "0.0");
    Momentum::<f16>::new(0.1, 0.999, 2).unwrap();
    Momentum::<f32>::new(0.1, 0.999, 2).unwrap();
}

/// A setting is kept as it was given, and rounded to the parameters' type once a step.
#[test]
fn settings_are_kept_in_f64() {
    let mut momentum =
        Momentum::<bf16>::new(0.1, 0.9, 1).unwrap().with_weight_decay(WeightDecay::Coupled(0.01)).unwrap();
    let rule = MomentumRule { weight_decay: WeightDecay::Coupled(0.01), ..MomentumRule::new(0.1, 0.9) };
    assert_eq!((momentum.learning_rate(), momentum.rule()), (0.1, &rule));
    momentum.set_learning_rate(0.3).unwrap();
    assert_eq!(momentum.learning_rate(), 0.3);
    let mut model = ParamGroups::<f16, _>::new();
    model.insert("a", Sgd::new(0.1).unwrap()).unwrap();
    model.scale_learning_rates(0.7).unwrap();
    assert_eq!(model.get("a").unwrap().learning_rate(), 0.1 * 0.7);
    // η w is a product in f64, rounded once: in f32 it would be another.
    let (rate, w) = (0.8, 0.9);
    assert_ne!((rate as f32) * (w as f32), (rate * w) as f32);
    let mut sgd = Sgd::new(rate).unwrap().with_weight_decay(WeightDecay::Decoupled(w)).unwrap();
    let mut params = [1.0_f32];
    sgd.step(&mut params, &[0.0]).unwrap();
    assert_eq!(params, [1.0 - (rate * w) as f32]);
}
