//! `ByName` does what each tensor's own accumulator or average does, for all tensors or for none.

use gradstep::{Accumulator, ByName, Error, Restore, WeightAverage};
use half::f16;

use crate::common::{numbers, says};

const TENSORS: [(&str, usize); 3] = [("a", 1), ("b", 2), ("c", 3)];

fn accumulators() -> ByName<Accumulator> {
    ByName::new(TENSORS.map(|(name, len)| (name, Accumulator::new(len).unwrap()))).unwrap()
}

fn averages() -> ByName<WeightAverage<f32>> {
    ByName::new(TENSORS.map(|(name, len)| (name, WeightAverage::ema(0.5, len).unwrap()))).unwrap()
}

/// Of these names, with numbers that depend on the name alone.
fn slices<'a>(names: &[&'a str], salt: u64) -> Vec<(&'a str, Vec<f32>)> {
    let len = |name| TENSORS.iter().find(|tensor| tensor.0 == name).map_or(1, |tensor| tensor.1);
    names.iter().map(|&name| (name, numbers(len(name), salt + u64::from(name.as_bytes()[0])))).collect()
}

fn shared<'a>(tensors: &'a [(&'a str, Vec<f32>)]) -> Vec<(&'a str, &'a [f32])> {
    tensors.iter().map(|(name, slice)| (*name, &slice[..])).collect()
}

fn mutable<'a>(tensors: &'a mut [(&str, Vec<f32>)]) -> Vec<(&'a str, &'a mut [f32])> {
    tensors.iter_mut().map(|(name, slice)| (&**name, &mut slice[..])).collect()
}

const ORDERS: [[&str; 3]; 4] = [["a", "b", "c"], ["c", "b", "a"], ["b", "a", "c"], ["b", "a", "c"]];

#[test]
fn other_names_are_not_equal() {
    let of = |name| ByName::new([(name, Accumulator::new(1).unwrap())]).unwrap();
    assert_eq!(of("a"), of("a"));
    assert_ne!(of("a"), of("b"));
}

#[test]
fn in_any_order_as_each_alone() {
    let (mut accumulators, mut averages) = (accumulators(), averages());
    let mut alone: Vec<_> = TENSORS
        .iter()
        .map(|&(name, len)| (name, Accumulator::new(len).unwrap(), WeightAverage::ema(0.5, len).unwrap()))
        .collect();
    for (salt, order) in (0..).zip(ORDERS) {
        let tensors = slices(&order, salt);
        accumulators.add(&shared(&tensors), 3).unwrap();
        averages.update(&shared(&tensors)).unwrap();
        for (name, accumulator, average) in &mut alone {
            let slice = &tensors.iter().find(|tensor| tensor.0 == *name).unwrap().1;
            accumulator.add(slice, 3).unwrap();
            average.update(slice).unwrap();
        }
    }
    for (name, accumulator, average) in &alone {
        assert_eq!((accumulators.get(name), averages.get(name)), (Some(accumulator), Some(average)));
    }
    assert!(averages.iter().map(|(name, _)| name).eq(["a", "b", "c"]));
    assert_eq!(accumulators.get("d"), None);

    let mut grads = slices(&ORDERS[1], 9);
    accumulators.mean(&mut mutable(&mut grads)).unwrap();
    for (name, accumulator, average) in &alone {
        let (_, grads) = grads.iter_mut().find(|tensor| tensor.0 == *name).unwrap();
        let mut mean = vec![0.0; grads.len()];
        accumulator.mean(&mut mean).unwrap();
        assert_eq!(*grads, mean);
        grads.copy_from_slice(average.values().unwrap());
    }
    // `grads` are the averages now.
    let (start, mut params, mut copy) = (slices(&ORDERS[2], 5), slices(&ORDERS[2], 5), slices(&ORDERS[1], 0));
    averages.write_params(&mut mutable(&mut copy)).unwrap();
    assert_eq!(copy, grads);
    averages.swap(&mut mutable(&mut params)).unwrap();
    params.iter().for_each(|tensor| assert!(grads.contains(tensor)));
    averages.swap(&mut mutable(&mut params)).unwrap();
    assert_eq!(params, start);

    accumulators.reset();
    assert!(accumulators.iter().all(|(_, accumulator)| accumulator.samples() == 0));
    assert_eq!(accumulators, self::accumulators());
}

#[test]
fn names_that_are_wrong_change_nothing() {
    let (mut accumulators, mut averages) = (accumulators(), averages());
    let tensors = slices(&ORDERS[0], 0);
    accumulators.add(&shared(&tensors), 1).unwrap();
    averages.update(&shared(&tensors)).unwrap();
    let before = (accumulators.clone(), averages.clone());
    for (names, message) in [
        (&["a", "b"][..], "tensor `c` is missing"),
        (&["a", "b", "c", "d"], "tensor `d` is unknown"),
        (&["a", "b", "C"], "tensor `C` is unknown"),
        (&["a", "b", "b"], "tensor `b` appears twice"),
        (&["a", "b", "c", "a"], "tensor `a` appears twice"),
        (&[], "tensor `a` is missing"),
    ] {
        let mut tensors = slices(names, 7);
        let start = tensors.clone();
        says(accumulators.add(&shared(&tensors), 1), message);
        says(averages.update(&shared(&tensors)), message);
        says(accumulators.mean(&mut mutable(&mut tensors)), message);
        says(averages.swap(&mut mutable(&mut tensors)), message);
        says(averages.write_params(&mut mutable(&mut tensors)), message);
        assert_eq!(tensors, start);
    }
    assert_eq!((accumulators, averages), before);
    says(ByName::new([("a", 1), ("b", 2), ("a", 3)]), "tensor `a` appears twice");
}

/// The last tensor given is the one that does not fit.
#[test]
fn a_tensor_that_is_rejected_changes_no_other() {
    let (mut accumulators, mut averages) = (accumulators(), averages());
    let tensors = slices(&ORDERS[0], 0);
    let mut some = slices(&ORDERS[0], 0);
    says(accumulators.mean(&mut mutable(&mut some)), "tensor `a`: number of samples is 0, expected at least 1");
    says(averages.swap(&mut mutable(&mut some)), "tensor `a`: number of updates is 0, expected at least 1");
    accumulators.add(&shared(&tensors), 1).unwrap();
    averages.update(&shared(&tensors)).unwrap();
    let before = (accumulators.clone(), averages.clone());

    let mut longer = slices(&ORDERS[2], 3);
    longer[2].1.push(1.0);
    let start = longer.clone();
    let message = |name, of| format!("tensor `c`: {name} has length 4, expected 3, the length of {of}");
    says(accumulators.add(&shared(&longer), 1), &message("mean", "accumulator"));
    says(accumulators.mean(&mut mutable(&mut longer)), &message("grads", "accumulator"));
    says(averages.update(&shared(&longer)), &message("params", "average"));
    says(averages.swap(&mut mutable(&mut longer)), &message("params", "average"));
    says(averages.write_params(&mut mutable(&mut longer)), &message("params", "average"));
    assert_eq!(longer, start);

    let mut bad = slices(&ORDERS[2], 3);
    bad[2].1[1] = f32::NAN;
    says(averages.update(&shared(&bad)), "tensor `c`: params[1] is NaN, expected a finite number");
    says(accumulators.add(&shared(&slices(&ORDERS[2], 3)), 0), "tensor `b`: samples is 0, expected at least 1");
    assert_eq!((&accumulators, &averages), (&before.0, &before.1));

    // A mean that f16 cannot hold, in one of them.
    let mut large = slices(&ORDERS[2], 3);
    large[2].1[0] = 1e6;
    accumulators.reset();
    accumulators.add(&shared(&large), 1).unwrap();
    let mut grads =
        ORDERS[2].map(|name| (name, vec![f16::ONE; TENSORS.iter().find(|tensor| tensor.0 == name).unwrap().1]));
    let mut tensors: Vec<_> = grads.iter_mut().map(|(name, grads)| (*name, &mut grads[..])).collect();
    let error = accumulators.mean(&mut tensors).unwrap_err();
    assert!(
        error.is_bad_gradient() && error.to_string().starts_with("tensor `c`: mean[0] is 1000000.0, expected"),
        "{error}"
    );
    assert!(grads.iter().all(|(_, grads)| grads.iter().all(|&grad| grad == f16::ONE)));
}

#[test]
fn without_tensors() {
    let mut none = ByName::new([("a", Accumulator::new(1).unwrap())].into_iter().skip(1)).unwrap();
    none.add::<f32>(&[], 1).unwrap();
    none.mean::<f32>(&mut []).unwrap();
    assert_eq!(none.iter().count(), 0);
}

#[test]
fn restored_by_name() {
    let mut saved = averages();
    saved.update(&shared(&slices(&ORDERS[0], 0))).unwrap();
    let turned =
        ByName::new(saved.iter().map(|(name, average)| (name, average.clone())).collect::<Vec<_>>().into_iter().rev());
    let mut restored = averages();
    restored.restore(turned.unwrap()).unwrap();
    assert_eq!(restored, saved);

    let with = |tensors: &[(&str, usize)]| {
        ByName::new(tensors.iter().map(|&(name, len)| (name, WeightAverage::<f32>::ema(0.5, len).unwrap()))).unwrap()
    };
    let message = "saved set of tensors is without `c` and with `d`, expected the same names";
    says(restored.restore(with(&[("a", 1), ("b", 2), ("d", 3)])), message);
    // The tensors before it get back their state, on both sides.
    let (mut other, mut own) = (with(&[("a", 1), ("b", 2), ("c", 4)]), restored.clone());
    let error = own.swap_state(&mut other).unwrap_err();
    assert!(matches!(&error, Error::InTensor { name, .. } if name == "c"), "{error}");
    assert_eq!((own, other), (restored, with(&[("a", 1), ("b", 2), ("c", 4)])));
}
