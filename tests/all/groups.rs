//! Several named tensors as one model: all or nothing, errors that name the tensor, common schedules, frozen groups.

use std::{
    ops::Bound::Included,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use gradstep::{
    Error, FiniteGuard, Grads, Momentum, Optimizer, ParamGroups, Schedule, Sgd, Step, WeightDecay, clip_scale,
    global_norm,
};
use proptest::prelude::*;

use crate::common::{
    self, Scalar, config, in_types, number, numbers, optimizers,
    rules::{Newtype, forward, lars},
    says,
};

fn momentum(learning_rate: f64, len: usize) -> Momentum<f64> {
    Momentum::new(learning_rate, 0.5, len).unwrap()
}

/// Tensors a, b and c of 1, 2 and 3 parameters at learning rates 1/2, 1/4 and 1/8.
fn model() -> ParamGroups<f64, Momentum<f64>> {
    let mut model = ParamGroups::new();
    for (name, len, learning_rate) in [("a", 1, 0.5), ("b", 2, 0.25), ("c", 3, 0.125)] {
        model.insert(name, momentum(learning_rate, len)).unwrap();
    }
    model
}

/// Parameters and gradients of one tensor.
type Tensor = (Vec<f64>, Vec<f64>);

fn tensors() -> [Tensor; 3] {
    [(vec![1.0], vec![1.0]), (vec![2.0, -0.0], vec![-1.0, 0.5]), (vec![3.0, 0.1, 7.0], vec![0.3, 2.0, -4.0])]
}

type Given<'a> = Vec<(&'a str, &'a mut [f64], Grads<'a, f64>)>;

/// Tensors by name and place in `tensors`.
fn given<'a>(tensors: &'a mut [Tensor], order: &[(&'a str, usize)]) -> Given<'a> {
    let mut slots: Vec<_> = tensors.iter_mut().map(Some).collect();
    let tensor = |&(name, place): &(&'a str, usize)| {
        let (params, grads) = slots[place].take().unwrap();
        (name, params.as_mut_slice(), Grads::new(grads))
    };
    order.iter().map(tensor).collect()
}

/// With plain slices.
fn step_plain<O: Optimizer<f64>>(model: &mut ParamGroups<f64, O>, given: &mut Given) -> Result<(), Error> {
    let mut slices = Vec::new();
    for (name, params, grads) in given {
        slices.push((*name, &mut **params, grads.as_slice().unwrap()));
    }
    model.step(&mut slices)
}

fn step<O: Optimizer<f64>>(
    model: &mut ParamGroups<f64, O>,
    tensors: &mut [Tensor],
    order: &[(&str, usize)],
) -> Result<(), Error> {
    step_plain(model, &mut given(tensors, order))
}

fn bits(tensors: &[Tensor]) -> Vec<u64> {
    tensors.iter().flat_map(|(params, _)| params).map(|p| p.to_bits()).collect()
}

const IN_ORDER: [(&str, usize); 3] = [("a", 0), ("b", 1), ("c", 2)];

// Stepping ------------------------------------------------------------------------------------------------------------

#[test]
fn a_model_without_tensors() {
    let mut model: ParamGroups<f64, Sgd<f64>> = ParamGroups::default();
    model.step(&mut []).unwrap();
    assert_eq!((model.steps(), model.names().count(), model.get("a")), (1, 0, None));
    model.set_steps(41);
    model.step(&mut []).unwrap();
    assert_eq!(model.steps(), 42);
    model.scale_learning_rates(0.5).unwrap();
    says(model.step(&mut [("a", &mut [], &[])]), "tensor `a` is unknown");
    let mut empty = ParamGroups::new();
    empty.insert("", Sgd::<f32>::new(0.1).unwrap()).unwrap();
    says(empty.step(&mut []), "tensor `` is missing");
    empty.step(&mut [("", &mut [], &[])]).unwrap();
}

// Rejected inputs -----------------------------------------------------------------------------------------------------

/// Tensors in disorder, and the message, whichever way to step is called. The numbers are how many parameters and gradients
/// are given.
#[test]
fn what_is_wrong_is_named() {
    let length = |tensor: char, grads: u64, expected: u64, of: &str| {
        format!("tensor `{tensor}`: grads has length {grads}, expected {expected}, the length of {of}")
    };
    let named = |tensor: &str, what: &str| format!("tensor `{tensor}` {what}");
    let (a, b, c) = (("a", 1, 1), ("b", 2, 2), ("c", 3, 3));
    let cases = [
        (vec![a, b], named("c", "is missing")),
        (vec![b, c], named("a", "is missing")),
        (vec![], named("a", "is missing")),
        (vec![a, b, ("d", 3, 3)], named("d", "is unknown")),
        (vec![a, b, c, ("A", 1, 1)], named("A", "is unknown")),
        (vec![a, a, b, c], named("a", "appears twice")),
        (vec![a, b, c, a], named("a", "appears twice")),
        (vec![c, b, b, a], named("b", "appears twice")),
        (vec![c, a, c], named("c", "appears twice")),
        (vec![a, ("b", 3, 3), c], length('b', 3, 2, "velocity")),
        (vec![("c", 3, 2), b, a], length('c', 2, 3, "params")),
        (vec![("a", 0, 0), b, c], length('a', 0, 1, "velocity")),
        (vec![a, ("b", 2, 3), c], length('b', 3, 2, "params")),
    ];
    type Way = fn(&mut ParamGroups<f64, Momentum<f64>>, &mut Given) -> Result<(), Error>;
    let ways: [Way; 4] = [
        step_plain,
        |model, given| model.step_with(given),
        |model, given| model.step_clipped(given, 1.0).map(drop),
        |model, given| model.step_each(|visit| given.iter_mut().try_for_each(|(name, p, g)| visit(name, p, *g))),
    ];
    for (tensors, message) in cases {
        for way in ways {
            let mut model = model();
            step(&mut model, &mut self::tensors(), &IN_ORDER).unwrap();
            let before = model.clone();
            let mut values: Vec<_> = tensors.iter().map(|&(_, p, g)| (vec![1.5; p], vec![1.0; g])).collect();
            let order: Vec<_> = tensors.iter().zip(0..).map(|(tensor, place)| (tensor.0, place)).collect();
            says(way(&mut model, &mut given(&mut values, &order)), &message);
            assert_eq!(model, before, "{message}");
            assert!(values.iter().all(|(params, _)| params.iter().all(|&p| p == 1.5)), "{message}");
        }
    }
}

/// Sgd has no state, and steps any length.
#[test]
fn optimizers_without_state_step_any_length() {
    let mut model = ParamGroups::new();
    model.insert("a", Sgd::new(0.5).unwrap()).unwrap();
    for len in [2, 3, 0] {
        let mut params = vec![1.0; len];
        model.step(&mut [("a", &mut params, &vec![1.0; len])]).unwrap();
        assert_eq!(params, vec![0.5; len]);
    }
}

#[test]
fn unknown_names_are_rejected() {
    let mut model = model();
    let before = model.clone();
    for rejected in [model.freeze("d"), model.unfreeze("d"), model.set_learning_rate("d", 0.1)] {
        says(rejected, "tensor `d` is unknown");
    }
    assert!(model.get("d").is_none() && model.get_mut("d").is_none());
    assert_eq!(model, before);
}

proptest! {
    #![proptest_config(config(300))]

    /// One thing wrong at any place among many tensors in any order: no parameter, velocity or count changes. Corrected, the
    /// same call succeeds, and only frozen tensors do not move.
    #[test]
    fn one_bad_tensor_and_nothing_changes(
        lens in prop::collection::vec(0..5_usize, 1..9),
        shuffle in prop::collection::vec(any::<u32>(), 9),
        place in any::<prop::sample::Index>(),
        frozen in any::<prop::sample::Index>(),
        wrong in 0..5,
    ) {
        let names: Vec<String> = (0..lens.len()).map(|i| format!("tensor {i}")).collect();
        let mut model = ParamGroups::new();
        for (name, &len) in names.iter().zip(&lens) {
            model.insert(name, momentum(0.5, len)).unwrap();
        }
        let mut tensors: Vec<_> = lens.iter().map(|&len| (vec![1.0; len], vec![1.0; len])).collect();
        let mut order: Vec<_> = names.iter().map(String::as_str).zip(0..).collect();
        step(&mut model, &mut tensors, &order).unwrap();
        order.sort_by_key(|&(_, i)| shuffle[i]);
        let place = place.index(order.len());
        let frozen = frozen.index(order.len());
        if frozen != order[place].1 {
            model.freeze(&names[frozen]).unwrap();
        }

        let (good_order, good) = (order.clone(), tensors.clone());
        let (name, i) = order[place];
        let named = match wrong {
            0 => { order.remove(place); format!("tensor `{name}` is missing") }
            1 => { order[place].0 = "other"; "tensor `other` is unknown".to_string() }
            2 => { tensors[i].0.push(1.0); format!("tensor `{name}`: ") }
            3 => { tensors[i].1.push(1.0); format!("tensor `{name}`: ") }
            _ => {
                tensors.push(tensors[i].clone());
                order.push((name, tensors.len() - 1));
                format!("tensor `{name}` appears twice")
            }
        };
        let before = (model.clone(), bits(&tensors));
        let error = step(&mut model, &mut tensors, &order).unwrap_err().to_string();
        prop_assert!(error.starts_with(&named), "{}", error);
        prop_assert_eq!((&model, bits(&tensors)), (&before.0, before.1));

        let mut tensors = good.clone();
        step(&mut model, &mut tensors, &good_order).unwrap();
        for (i, (now, then)) in tensors.iter().zip(&good).enumerate() {
            let still = lens[i] == 0 || (i == frozen && frozen != good_order[place].1);
            prop_assert_eq!(now.0 == then.0, still);
        }
    }
}

// Clipped -------------------------------------------------------------------------------------------------------------

#[test]
fn a_clipped_step_is_all_or_nothing() {
    let mut model = model();
    let before = model.clone();
    let (mut not_finite, good) = (tensors(), tensors());
    not_finite[2].1[1] = f64::NAN;
    says(
        model.step_clipped(&mut given(&mut not_finite, &IN_ORDER), 1.0),
        "tensor `c`: grads[1] is NaN, expected a finite number",
    );
    let message = "max_norm is -1.0, expected a finite number above 0";
    let mut limited = good.clone();
    says(model.step_clipped(&mut given(&mut limited, &IN_ORDER), -1.0), message);
    assert_eq!((model, bits(&not_finite), bits(&limited)), (before, bits(&good), bits(&good)));
}

type Boxes = ParamGroups<f64, Box<dyn Optimizer<f64>>>;

/// A rule that owns its loop is stepped as any other, and rejected where a step may clip or scale: nothing has changed.
#[test]
fn a_rule_that_owns_its_loop() {
    let mut model = Boxes::new();
    model.insert("a", Box::new(momentum(0.5, 1))).unwrap();
    model.insert("b", Box::new(Newtype(lars(0.5)))).unwrap();
    let not_a_slice = Error::InTensor { name: "b".into(), error: Box::new(Error::NotASlice) };
    for in_order in [true, false] {
        let (mut a, mut b) = ([1.0], [3.0, 4.0]);
        let (one, two) = (Grads::new(&[1.0]), Grads::new(&[0.0, 2.0]));
        let mut rejects = |step: fn(&mut Boxes, &mut Given) -> Error, two| {
            let steps = model.steps();
            let mut given = vec![("a", &mut a[..], one), ("b", &mut b, two)];
            if !in_order {
                given.reverse();
            }
            assert_eq!(step(&mut model, &mut given), not_a_slice);
            assert_eq!((model.steps(), a, b), (steps, [1.0], [3.0, 4.0]));
        };
        rejects(|model, given| model.step_clipped(given, 0.5).unwrap_err(), two);
        rejects(|model, given| model.step_clipped(given, 1e9).unwrap_err(), two);
        rejects(|model, given| model.step_with(given).unwrap_err(), two.scaled(1.0));
        rejects(|model, given| model.step_with(given).unwrap_err(), two.scaled(0.5));
        let visits = |model: &mut Boxes, given: &mut Given| {
            model.step_each(|visit| given.iter_mut().try_for_each(|(name, p, g)| visit(name, p, *g))).unwrap_err()
        };
        rejects(visits, two.scaled(1.0));

        // θ - η |θ| / |g| · g: 4 - 5/2 / 2 · 2.
        let mut given = vec![("a", &mut a[..], &[1.0][..]), ("b", &mut b, &[0.0, 2.0])];
        if !in_order {
            given.reverse();
        }
        model.step(&mut given).unwrap();
        assert_eq!(b, [3.0, 1.5]);
        let mut b = [3.0, 4.0];
        model.step_with(&mut [("a", &mut a, Grads::new(&[1.0])), ("b", &mut b, two)]).unwrap();
        assert_eq!(b, [3.0, 1.5]);
        model.step_each(|visit| visit("b", &mut b, two).and_then(|()| visit("a", &mut a, one))).unwrap();
    }
    assert_eq!(model.steps(), 6);
    // A frozen one is checked, too.
    model.freeze("b").unwrap();
    let given = &mut [("a", &mut [1.0][..], Grads::new(&[1.0])), ("b", &mut [1.0], Grads::new(&[1.0]))];
    assert_eq!(model.step_clipped(given, 1.0), Err(not_a_slice));
    model.step_clipped(&mut given[..1], 1.0).unwrap();
}

/// Every rule, Lion from outside among them, with its tensor: plain, scaled and clipped steps are those of each rule alone. The
/// norm is that of the gradients in the order of the call, whether the model computes it or the caller.
fn every_rule_in_a_model_is_itself<P: Scalar>() {
    let lens: Vec<usize> = (0..optimizers::<P>(1).len()).map(|i| [1, 33, 130, 7][i % 4]).collect();
    let mut alone: Vec<_> = lens.iter().enumerate().map(|(i, &len)| optimizers::<P>(len).swap_remove(i)).collect();
    let mut model = ParamGroups::<P, Box<dyn Optimizer<P>>>::new();
    for (i, &len) in lens.iter().enumerate() {
        let (name, optimizer) = optimizers(len).swap_remove(i);
        model.insert(name, optimizer).unwrap();
    }
    let start: Vec<Vec<P>> = lens.iter().map(|&len| numbers(len, 3)).collect();
    let mut grads: Vec<Vec<P>> = (0_u64..).zip(&lens).map(|(i, &len)| numbers(len, 100 + i)).collect();
    let names: Vec<String> = alone.iter().map(|(name, _)| name.clone()).collect();
    let (mut together, mut apart) = (start.clone(), start);
    let rounds =
        [None, Some(1e30), Some(1.0), Some(0.1)].map(|max_norm| [true, false].map(|inside| (max_norm, inside)));
    for (round, (max_norm, inside)) in rounds.into_iter().flatten().enumerate() {
        if round % 3 == 2 {
            grads.reverse();
        }
        let norm = global_norm(&grads).unwrap();
        if round % 3 == 2 {
            grads.reverse();
        }
        let scale = max_norm.map_or(1.0, |max_norm| clip_scale(norm, max_norm).unwrap());
        for ((_, optimizer), (params, grads)) in alone.iter_mut().zip(apart.iter_mut().zip(&grads)) {
            let changed = |&g: &P| if scale == 1.0 { g } else { number(scale * g.to_f64().unwrap()) };
            optimizer.step(params, &grads.iter().map(changed).collect::<Vec<P>>()).unwrap();
        }
        let tensors = names.iter().zip(&mut together).zip(&grads);
        let mut given: Vec<_> =
            tensors.map(|((name, params), grads)| (name.as_str(), &mut params[..], Grads::new(grads))).collect();
        if round % 3 == 2 {
            given.reverse();
        }
        match max_norm {
            Some(max_norm) if inside => assert_eq!(model.step_clipped(&mut given, max_norm), Ok(norm)),
            Some(_) => {
                given.iter_mut().for_each(|(.., grads)| *grads = grads.scaled(scale));
                model.step_with(&mut given).unwrap();
            }
            None => model.step_with(&mut given).unwrap(),
        }
        for ((name, together), apart) in names.iter().zip(&together).zip(&apart) {
            assert!(common::bits(together) == common::bits(apart), "{name}, {max_norm:?}");
        }
    }
    assert!(model.iter().all(|(_, optimizer)| optimizer.steps() == 8) && model.steps() == 8);
}
in_types!(every_rule_in_a_model_is_itself: f32 f64);

// One tensor at a time -----------------------------------------------------------------------------------------------

/// As a framework lends them: one tensor of a map at a time, whose gradients may fail to come.
fn step_each(
    model: &mut ParamGroups<f64, Momentum<f64>>,
    tensors: &mut [Tensor],
    order: &[(&str, usize)],
) -> Result<(), Box<dyn std::error::Error>> {
    model.step_each(|visit| {
        for &(name, place) in order {
            let (params, grads) = tensors.get_mut(place).ok_or("no such tensor")?;
            visit(name, params, Grads::new(grads))?;
        }
        Ok(())
    })
}

#[test]
fn one_at_a_time_is_all_at_once() {
    let (mut at_once, mut all) = (model(), tensors());
    let (mut lent, mut each) = (model(), tensors());
    let frozen_left_out = [("c", 2), ("b", 1)];
    for order in [&IN_ORDER[..], &[("c", 2), ("a", 0), ("b", 1)], &frozen_left_out] {
        if order == frozen_left_out {
            at_once.freeze("a").unwrap();
            lent.freeze("a").unwrap();
        }
        step(&mut at_once, &mut all, order).unwrap();
        step_each(&mut lent, &mut each, order).unwrap();
        assert_eq!((bits(&all), &at_once, at_once.steps()), (bits(&each), &lent, lent.steps()));
    }
}

/// All else that is rejected is in [`what_is_wrong_is_named`].
#[test]
fn an_error_of_the_framework_changes_nothing() {
    let (mut model, mut tensors) = (model(), tensors());
    let before = (model.clone(), bits(&tensors));
    says(step_each(&mut model, &mut tensors, &[("a", 0), ("b", 1), ("c", 7)]), "no such tensor");
    assert_eq!((model, bits(&tensors)), before);
}

/// The documented limit: what only the second walk does wrong is named, and the step is not counted.
#[test]
fn a_second_walk_that_differs_is_an_error() {
    let (mut model, mut tensors, mut walks) = (model(), tensors(), 0);
    let stepped = model.step_each(|visit| {
        walks += 1;
        for (name, place) in &IN_ORDER[..if walks == 1 { 3 } else { 2 }] {
            let (params, grads) = &mut tensors[*place];
            visit(name, params, Grads::new(grads))?;
        }
        Ok::<(), Error>(())
    });
    assert_eq!(stepped, Err(Error::MissingTensor { name: "c".into() }));
    assert_eq!(model.steps(), 0);

    // Also of a frozen tensor.
    model.freeze("a").unwrap();
    let mut walks = 0;
    let error = model.step_each(|visit| {
        walks += 1;
        visit("a", &mut [1.0][..], Grads::new(&[1.0; 2][..walks]))?;
        visit("b", &mut [1.0; 2], Grads::new(&[1.0; 2]))?;
        visit("c", &mut [1.0; 3], Grads::new(&[1.0; 3]))
    });
    says(error, "tensor `a`: grads has length 2, expected 1, the length of params");
}

/// An error that the walk drops is returned all the same.
#[test]
fn a_dropped_rejection_is_returned_all_the_same() {
    let mut model = ParamGroups::new();
    model.insert("w", FiniteGuard(Sgd::new(1.0).unwrap())).unwrap();
    let mut params = [1.0];
    let stepped = model.step_each(|visit| {
        let _ = visit("w", &mut params, Grads::new(&[f64::NAN]));
        let _ = visit("other", &mut params, Grads::new(&[1.0]));
        Ok::<(), Error>(())
    });
    says(stepped, "tensor `w`: grads[0] is NaN, expected a finite number");
    assert_eq!((params, model.steps()), ([1.0], 0));
}

/// Also where the optimizer is a reference.
#[test]
fn a_rejected_insertion_changes_no_optimizer() {
    let (mut a, mut b) = (Sgd::<f32>::new(1.0).unwrap(), Sgd::<f32>::new(1.0).unwrap());
    let mut model: ParamGroups<f32, &mut Sgd<f32>> = ParamGroups::new();
    model.insert("w", &mut a).unwrap();
    model.scale_learning_rates(0.5).unwrap();
    assert_eq!(model.insert("w", &mut b), Err(Error::DuplicateTensor { name: "w".into() }));
    assert!(model.names().eq(["w"]));
    assert_eq!((a.learning_rate(), b.learning_rate()), (0.5, 1.0));
}

// Learning rates ------------------------------------------------------------------------------------------------------

fn rates<O: Optimizer<f64>>(model: &ParamGroups<f64, O>) -> [f64; 3] {
    ["a", "b", "c"].map(|name| model.get(name).unwrap().learning_rate())
}

#[test]
fn a_common_schedule_keeps_the_ratios() {
    let mut model = model();
    let schedule = Schedule::cosine(1.0, 0.0, 4).unwrap();
    let mut got = tensors();
    for k in [0, 2, 4, 0] {
        // The factor replaces the one before, also after a step at rate 0.
        model.scale_learning_rates(schedule.at(k)).unwrap();
        assert_eq!(model.factor(), schedule.at(k));
        assert_eq!(rates(&model), [0.5, 0.25, 0.125].map(|rate| rate * schedule.at(k)));
        step(&mut model, &mut got, &IN_ORDER).unwrap();
    }
    assert_eq!(rates(&model), [0.5, 0.25, 0.125]);
    assert_eq!(model.steps(), 4);
}

/// Momentum and decay over time, the decay of all tensors but biases.
#[test]
fn other_settings_follow_schedules_by_a_condition_on_names() {
    let mut model = ParamGroups::new();
    for name in ["weights", "bias"] {
        model.insert(name, Momentum::new(0.5, 0.0, 1).unwrap()).unwrap();
    }
    let (momentum, decay) = (Schedule::linear(0.0, 0.5, 1).unwrap(), Schedule::linear(0.5, 0.25, 1).unwrap());
    let (mut weights, mut bias) = ([16.0], [16.0]);
    for _ in 0..2 {
        let step = model.steps();
        for (name, optimizer) in model.iter_mut() {
            optimizer.set_momentum(momentum.at(step)).unwrap();
            if name != "bias" {
                optimizer.set_weight_decay(WeightDecay::Decoupled(decay.at(step))).unwrap();
            }
        }
        model.step(&mut [("weights", &mut weights, &[0.0]), ("bias", &mut bias, &[2.0])]).unwrap();
    }
    // η w is 1/4 and then 1/8: 16 · 3/4 · 7/8. The velocity is -1, and then -1/2 - 1.
    assert_eq!((weights, bias), ([10.5], [16.0 - 1.0 - 1.5]));
}

#[test]
fn one_rate_is_set_under_the_common_factor() {
    let mut model = model();
    model.scale_learning_rates(0.5).unwrap();
    model.set_learning_rate("b", 2.0).unwrap();
    assert_eq!(rates(&model), [0.25, 1.0, 0.0625]);
    model.scale_learning_rates(0.25).unwrap();
    assert_eq!(rates(&model), [0.125, 0.5, 0.03125]);
    let before = model.clone();
    let message = "tensor `b`: learning_rate is -2.0, expected a finite number of at least 0";
    says(model.set_learning_rate("b", -2.0), message);
    assert_eq!(model, before);
    // Also where the product would be no worse than -0.
    model.scale_learning_rates(0.0).unwrap();
    assert!(model.set_learning_rate("b", -2.0).is_err());
    model.scale_learning_rates(0.25).unwrap();
    assert_eq!(model, before);
    // The factor applies to a tensor that is inserted later, too.
    model.insert("d", momentum(4.0, 1)).unwrap();
    assert_eq!(model.get("d").unwrap().learning_rate(), 1.0);
    model.scale_learning_rates(1.0).unwrap();
    assert_eq!((rates(&model), model.get("d").unwrap().learning_rate()), ([0.5, 2.0, 0.125], 4.0));
}

#[test]
fn factors_must_be_finite_and_not_negative() {
    let mut model = model();
    let before = model.clone();
    for factor in [-1.0, f64::NAN, f64::INFINITY] {
        let message = format!("factor is {factor:?}, expected a finite number of at least 0");
        says(model.scale_learning_rates(factor), &message);
    }
    assert_eq!(model, before);
}

/// Takes learning rates up to 1 only.
#[derive(Debug, Clone, PartialEq)]
struct Wary(Sgd<f64>);

impl Optimizer<f64> for Wary {
    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        if learning_rate > 1.0 {
            return Err(Error::Number {
                name: "learning_rate",
                value: learning_rate,
                range: (Included(0.0), Included(1.0)),
            });
        }
        self.0.set_learning_rate(learning_rate)
    }

    forward!(f64, self => self.0, self.0; check update learning_rate steps reset state_len);
}

fn wary() -> ParamGroups<f64, Wary> {
    let mut model = ParamGroups::new();
    for (name, learning_rate) in [("a", 0.25), ("b", 0.5), ("c", 0.25)] {
        model.insert(name, Wary(Sgd::new(learning_rate).unwrap())).unwrap();
    }
    model
}

#[test]
fn a_rejected_factor_changes_no_rate() {
    let message =
        |name| format!("tensor `{name}`: learning_rate is 1.5, expected a number of at least 0 and at most 1");
    let mut model = wary();
    model.scale_learning_rates(2.0).unwrap();
    let before = model.clone();
    says(model.scale_learning_rates(3.0), &message('b'));
    assert_eq!(model, before);
    // The factor is the old one too: a rate set now is doubled.
    model.set_learning_rate("a", 0.125).unwrap();
    assert_eq!(rates(&model), [0.25, 1.0, 0.5]);
    says(model.set_learning_rate("a", 0.75), &message('a'));
    says(model.insert("d", Wary(Sgd::new(0.75).unwrap())), &message('d'));
    model.scale_learning_rates(1.0).unwrap();
    assert_eq!(rates(&model), [0.125, 0.5, 0.25]);
    // Also a rate that was set past the model.
    model.get_mut("a").unwrap().set_learning_rate(0.75).unwrap();
    assert!(model.scale_learning_rates(3.0).is_err() && model.names().eq(["a", "b", "c"]));
    assert_eq!(rates(&model), [0.75, 0.5, 0.25]);
}

/// Takes any learning rate at all.
#[derive(Debug, Clone, PartialEq)]
struct Bold(f64, Sgd<f64>);

impl Optimizer<f64> for Bold {
    fn learning_rate(&self) -> f64 {
        self.0
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.0 = learning_rate;
        Ok(())
    }

    forward!(f64, self => self.1, self.1; check update steps reset state_len);
}

fn bold(learning_rate: f64) -> Bold {
    Bold(learning_rate, Sgd::new(1.0).unwrap())
}

/// The model itself rejects what is no learning rate, where the optimizers would take it.
#[test]
fn a_rate_that_overflows_is_named() {
    let mut model = ParamGroups::new();
    for (name, learning_rate) in [("a", 0.5), ("b", 4.0), ("c", 0.5)] {
        model.insert(name, bold(learning_rate)).unwrap();
    }
    let message = "tensor `b`: learning_rate is inf, expected a finite number of at least 0";
    says(model.scale_learning_rates(f64::MAX), message);
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        let message = format!("tensor `d`: learning_rate is {rate:?}, expected a finite number of at least 0");
        says(model.insert("d", bold(rate)), &message);
    }
    assert_eq!((rates(&model), model.names().count()), ([0.5, 4.0, 0.5], 3));
}

// Frozen --------------------------------------------------------------------------------------------------------------

/// One step, two while b is frozen, one more: b has made two steps, and has kept its velocity in between.
#[test]
fn frozen_tensors_keep_their_velocity() {
    let (mut model, mut got) = (model(), tensors());
    step(&mut model, &mut got, &IN_ORDER).unwrap();
    model.freeze("b").unwrap();
    let (kept, at) = (model.get("b").unwrap().clone(), got[1].clone());
    assert_ne!(kept.velocity(), [0.0; 2]);
    step(&mut model, &mut got, &IN_ORDER).unwrap(); // given
    step(&mut model, &mut got, &[("c", 2), ("a", 0)]).unwrap(); // left out
    model.scale_learning_rates(0.5).unwrap();
    model.scale_learning_rates(1.0).unwrap();
    assert_eq!((model.get("b").unwrap(), &got[1]), (&kept, &at));
    assert_eq!(model.steps(), 3);

    model.unfreeze("b").unwrap();
    step(&mut model, &mut got, &IN_ORDER).unwrap();
    let (mut alone, (mut params, grads)) = (momentum(0.25, 2), tensors()[1].clone());
    for _ in 0..2 {
        alone.step(&mut params, &grads).unwrap();
    }
    assert_eq!((model.get("b").unwrap(), &got[1].0), (&alone, &params));
    assert_eq!((model.get("a").unwrap().steps(), alone.steps()), (4, 2));
}

#[test]
fn frozen_tensors_are_checked_if_given() {
    let mut model = model();
    model.freeze("b").unwrap();
    model.freeze("b").unwrap(); // twice is once
    let before = (model.clone(), bits(&tensors()));
    let mut got = tensors();
    got[1].1.push(0.0);
    let message = "tensor `b`: grads has length 3, expected 2, the length of params";
    says(step(&mut model, &mut got, &IN_ORDER), message);
    let mut got = [tensors(), tensors()].concat();
    says(step(&mut model, &mut got, &[("a", 0), ("b", 1), ("c", 2), ("b", 4)]), "tensor `b` appears twice");
    assert_eq!((&model, bits(&got[..3])), (&before.0, before.1));
    model.unfreeze("b").unwrap();
    says(step(&mut model, &mut got, &[("a", 0), ("c", 2)]), "tensor `b` is missing");
}

#[test]
fn reset_forgets_all_but_the_settings() {
    let (mut model, mut got) = (model(), tensors());
    let fresh = model.clone();
    step(&mut model, &mut got, &IN_ORDER).unwrap();
    model.freeze("b").unwrap();
    model.scale_learning_rates(0.5).unwrap();
    model.reset();
    assert_eq!((model.steps(), rates(&model)), (0, [0.25, 0.125, 0.0625]));
    step(&mut model, &mut got, &[("a", 0), ("c", 2)]).unwrap(); // b is frozen still
    model.reset();
    model.unfreeze("b").unwrap();
    model.scale_learning_rates(1.0).unwrap();
    assert_eq!(model, fresh);
}

// Asking and changing -------------------------------------------------------------------------------------------------

#[test]
fn settings_read_back() {
    let mut model = model();
    model.scale_learning_rates(0.5).unwrap();
    model.freeze("b").unwrap();
    let own = ["a", "b", "c", "d"].map(|name| model.learning_rate(name));
    assert_eq!(own, [Some(0.5), Some(0.25), Some(0.125), None]); // without the factor
    assert_eq!(["a", "b", "c", "d"].map(|name| model.is_frozen(name)), [Some(false), Some(true), Some(false), None]);
    let all: Vec<_> = model.iter().map(|(name, momentum)| (name, momentum.learning_rate())).collect();
    assert_eq!(all, [("a", 0.25), ("b", 0.125), ("c", 0.0625)]);
    assert_eq!(model.factor(), 0.5);
}

/// Those, and no others: what was frozen before is not.
#[test]
fn freezing_by_a_condition() {
    let mut model = model();
    model.freeze("a").unwrap();
    model.freeze_where(|name| name > "a");
    assert_eq!(["a", "b", "c"].map(|name| model.is_frozen(name)), [false, true, true].map(Some));
    let mut got = tensors();
    step(&mut model, &mut got, &IN_ORDER[..1]).unwrap();
    model.freeze_where(|_| false);
    assert_eq!(step(&mut model, &mut got, &IN_ORDER[..1]), Err(Error::MissingTensor { name: "b".into() }));
}

/// A removed tensor is unknown, the others keep their state and their names, whatever was given in what order before.
#[test]
fn tensors_are_removed() {
    for gone in 0..3 {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
            let (mut model, mut got) = (model(), tensors());
            step(&mut model, &mut got, &order.map(|i| IN_ORDER[i])).unwrap();
            model.freeze(IN_ORDER[(gone + 1) % 3].0).unwrap();
            // A frozen tensor is left out, so that the call does not name all of them.
            let two = order.iter().filter(|&&i| i != (gone + 1) % 3).map(|&i| IN_ORDER[i]).collect::<Vec<_>>();
            step(&mut model, &mut got, &two).unwrap();
            model.freeze_where(|_| false);
            let kept: Vec<_> =
                model.iter().filter(|(name, _)| *name != IN_ORDER[gone].0).map(|(_, o)| o.clone()).collect();
            let last = model.get(IN_ORDER[gone].0).cloned();
            assert_eq!(model.remove(IN_ORDER[gone].0), last);
            assert_eq!((model.remove(IN_ORDER[gone].0), model.remove("d")), (None, None));
            assert_eq!(model.iter().map(|(_, o)| o.clone()).collect::<Vec<_>>(), kept);
            let others: Vec<_> = order.into_iter().filter(|&i| i != gone).map(|i| IN_ORDER[i]).collect();
            let error = step(&mut model, &mut got, &order.map(|i| IN_ORDER[i])).unwrap_err();
            assert_eq!(error, Error::UnknownTensor { name: IN_ORDER[gone].0.into() });
            for others in [others.clone(), others.into_iter().rev().collect()] {
                step(&mut model, &mut got, &others).unwrap();
                let error = step(&mut model, &mut got, &others[..1]).unwrap_err();
                assert_eq!(error, Error::MissingTensor { name: others[1].0.into() });
            }
            // Its name can be inserted again, at the end.
            model.insert(IN_ORDER[gone].0, momentum(1.0, gone + 1)).unwrap();
            assert_eq!(model.names().last(), Some(IN_ORDER[gone].0));
            step(&mut model, &mut got, &IN_ORDER).unwrap();
            assert_eq!((model.steps(), model.get(IN_ORDER[gone].0).unwrap().steps()), (5, 1));
        }
    }
}

/// A program's own function may take the tensors and hand them on: the lifetimes of names and parameters are two.
#[test]
fn tensors_are_handed_on() {
    fn log_and_step(model: &mut ParamGroups<f32, Sgd<f32>>, tensors: &mut [(&str, &mut [f32], &[f32])]) -> usize {
        model.step(tensors).unwrap();
        let mut clipped: Vec<_> = tensors.iter_mut().map(|(name, p, g)| (*name, &mut **p, Grads::new(g))).collect();
        model.step_clipped(&mut clipped, 1.0).unwrap();
        model.step(tensors).unwrap();
        tensors.iter().map(|(_, params, _)| params.len()).sum()
    }
    let mut model = ParamGroups::new();
    model.insert("w", Sgd::new(0.5).unwrap()).unwrap();
    let mut params = vec![1.0; 2];
    let name = String::from("w");
    assert_eq!(log_and_step(&mut model, &mut [(&name, &mut params, &[0.0; 2])]), 2);
    assert_eq!(log_and_step(&mut model, &mut [("w", &mut params, &[0.25; 2])]), 2);
    assert_eq!((params, model.steps()), (vec![0.625; 2], 6));
}

/// Twelve tensors in every way that calls differ from one to the next: a fixed order that is not that of insertion, frozen
/// ones left out by turns, mistakes in between. Each tensor moves by its own gradient, as often as it was given.
#[test]
fn orders_from_call_to_call() {
    let names: Vec<String> = (0..12).map(|i| format!("tensor {i}")).collect();
    let mut model = ParamGroups::new();
    for (i, name) in names.iter().enumerate() {
        model.insert(name, Sgd::new(1.0).unwrap()).unwrap();
        if i % 2 == 0 {
            model.freeze(name).unwrap();
        }
    }
    let mut params: Vec<[f64; 1]> = vec![[0.0]; 12];
    let grads: Vec<[f64; 1]> = (0..12).map(|i| [f64::from(1 << i)]).collect();
    let mut counts = [0.0; 12];
    let fixed: Vec<usize> = (0..12).map(|i| (i * 5 + 3) % 12).collect();
    let mut steps = 0;
    for call in 0..60 {
        let left_out = |i: usize| i % 2 == 0 && (call / 3 + i / 2) % 2 == 0; // frozen ones, by turns
        let mut given: Vec<usize> = fixed.iter().copied().filter(|&i| call % 3 == 0 || !left_out(i)).collect();
        if call % 10 == 9 {
            given.sort();
        }
        let (mistake, expected) = match call % 7 {
            2 => (Some((given.len(), given[3])), Some(Error::DuplicateTensor { name: names[given[3]].clone() })),
            4 => (Some((1, given[0])), Some(Error::DuplicateTensor { name: names[given[0]].clone() })),
            _ => (None, None),
        };
        let missing = (call % 7 == 5).then(|| given.remove(given.iter().position(|i| i % 2 == 1).unwrap()));
        let before = params.clone();
        let mut spare = [7.0];
        let mut slots: Vec<_> = params.iter_mut().map(Some).collect();
        let mut tensors: Vec<_> =
            given.iter().map(|&i| (names[i].as_str(), &mut slots[i].take().unwrap()[..], &grads[i][..])).collect();
        if let Some((place, name)) = mistake {
            tensors.insert(place, (&names[name], &mut spare, &[1.0]));
        } else if call % 7 == 6 {
            tensors.push(("other", &mut spare, &[1.0]));
        }
        let expected = expected
            .or(missing.map(|i| Error::MissingTensor { name: names[i].clone() }))
            .or((call % 7 == 6).then(|| Error::UnknownTensor { name: "other".into() }));
        match expected {
            Some(error) => {
                assert_eq!(model.step(&mut tensors), Err(error), "call {call}");
                assert_eq!((&params, spare), (&before, [7.0]));
            }
            None => {
                model.step(&mut tensors).unwrap();
                steps += 1;
                given.iter().filter(|&&i| i % 2 == 1).for_each(|&i| counts[i] += 1.0);
            }
        }
        assert!((0..12).all(|i| params[i][0] == -counts[i] * grads[i][0]), "call {call}: {params:?}");
        assert_eq!(model.steps(), steps);
    }
    assert!(steps > 20 && counts[1] == steps as f64);
}

/// Tensors side by side on threads, in the order of insertion and in another: each is what it is by itself.
#[test]
fn many_tensors_give_the_bits_of_each_alone() {
    let lens: Vec<usize> = (0..100).flat_map(|i| [0, 3, 64, 10_000 + i, 1]).chain([150_001, 7]).collect();
    let names: Vec<String> = (0..lens.len()).map(|i| format!("tensor {i}")).collect();
    let optimizer = |i: usize| -> Box<dyn Optimizer<f32>> {
        let momentum = Momentum::new(0.1 + i as f64 / 100.0, 0.9, lens[i]).unwrap();
        if i % 3 == 0 { Box::new(Sgd::new(0.5).unwrap()) } else { Box::new(FiniteGuard(momentum)) }
    };
    let values =
        |i: usize, step: usize| (0..lens[i]).map(|k| ((7 * k + i + step) % 31) as f32 - 15.0).collect::<Vec<_>>();
    let grads: Vec<_> = (0..lens.len()).map(|i| values(i, 1)).collect();
    let frozen = 4;

    let alone: Vec<_> = (0..lens.len())
        .map(|i| {
            let (mut params, mut optimizer) = (values(i, 0), optimizer(i));
            for _ in 0..if i == frozen { 0 } else { 3 } {
                optimizer.step(&mut params, &grads[i]).unwrap();
            }
            params
        })
        .collect();
    let together = || {
        let mut model = ParamGroups::new();
        (0..lens.len()).for_each(|i| model.insert(&*names[i], optimizer(i)).unwrap());
        model.freeze(&names[frozen]).unwrap();
        let mut params: Vec<_> = (0..lens.len()).map(|i| values(i, 0)).collect();
        let mut tensors: Vec<_> = (0..lens.len())
            .zip(&mut params)
            .map(|(i, params)| (names[i].as_str(), &mut params[..], &grads[i][..]))
            .collect();
        model.step(&mut tensors).unwrap();
        model.step(&mut tensors).unwrap();
        tensors.reverse();
        model.step(&mut tensors).unwrap();
        assert_eq!(model.steps(), 3);
        params
    };
    assert!(together() == alone);
    #[cfg(feature = "rayon")]
    for threads in 1..=3 {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(together) == alone, "{threads} threads");
    }
}

/// Lets every gradient through and then rejects the update, which it counts.
struct Rejects(Sgd<f32>, Arc<AtomicUsize>);

impl Optimizer<f32> for Rejects {
    fn update(&mut self, _: Step<f32>) -> Result<(), Error> {
        self.1.fetch_add(1, Relaxed);
        Err(Error::NotASlice)
    }

    forward!(f32, self => self.0, self.0; check learning_rate set_learning_rate steps reset state_len);
}

/// A rule that breaks what the trait asks: its `update` rejects what its `check` does not. The error is returned, and the
/// step is not counted.
#[test]
fn an_error_on_a_thread_comes_out() {
    let mut model = ParamGroups::<f32, Box<dyn Optimizer<f32>>>::new();
    model.insert("a", Box::new(Sgd::new(0.5).unwrap())).unwrap();
    model.insert("b", Box::new(Rejects(Sgd::new(0.5).unwrap(), Arc::default()))).unwrap();
    let (mut a, mut b, grads) = (vec![1.0; 1 << 20], vec![1.0; 100], vec![1.0; 1 << 20]);
    let error = model.step(&mut [("a", &mut a, &grads), ("b", &mut b, &grads[..100])]).unwrap_err();
    assert_eq!(error, Error::InTensor { name: "b".into(), error: Box::new(Error::NotASlice) });
    assert_eq!((model.steps(), b), (0, vec![1.0; 100]));
}

/// Each thread meets an error in its first part, so no more parts are begun than there are threads.
#[test]
fn after_an_error_no_part_is_begun() {
    let begun = Arc::new(AtomicUsize::new(0));
    let names: Vec<String> = (0..64).map(|i| format!("{i}")).collect();
    let mut model = ParamGroups::new();
    for name in &names {
        model.insert(name, Rejects(Sgd::new(0.5).unwrap(), begun.clone())).unwrap();
    }
    let (mut params, grads) = (vec![vec![1.0; 1 << 16]; 64], vec![1.0; 1 << 16]);
    let mut tensors: Vec<_> =
        names.iter().zip(&mut params).map(|(name, p)| (&name[..], &mut p[..], &grads[..])).collect();
    model.step(&mut tensors).unwrap_err();
    assert!((1..=rayon::current_num_threads()).contains(&begun.load(Relaxed)), "{begun:?}");
}

#[test]
fn models_with_other_names_are_not_equal() {
    let model = |name| {
        let mut model = ParamGroups::<f32, Sgd<f32>>::new();
        model.insert(name, Sgd::new(0.5).unwrap()).unwrap();
        model
    };
    assert_eq!(model("a"), model("a"));
    assert_ne!(model("a"), model("b"));
}

/// Own rates 1/2, 1/4 and 1/8 at factor 1/2: what comes out of the model has the product, as its documentation says.
#[test]
fn a_removed_tensor_has_the_factor_in_its_rate() {
    let mut model = model();
    model.scale_learning_rates(0.5).unwrap();
    let own = model.learning_rate("b").unwrap();
    let mut removed = model.remove("b").unwrap();
    assert_eq!((own, removed.learning_rate()), (0.25, 0.125));
    model.insert("twice", removed.clone()).unwrap();
    assert_eq!((model.learning_rate("twice"), model.get("twice").unwrap().learning_rate()), (Some(0.125), 0.0625));
    removed.set_learning_rate(own).unwrap();
    model.insert("once", removed).unwrap();
    assert_eq!((model.learning_rate("once"), model.get("once").unwrap().learning_rate()), (Some(0.25), 0.125));
}
