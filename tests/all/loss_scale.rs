//! The scale of the loss: by hand, and beside torch.

use gradstep::{Error, FiniteGuard, Grads, LossScale, Momentum, Optimizer, ParamGroups, Sgd};
use proptest::prelude::*;

use crate::common::{config, says};

const INFINITE: Result<(), Error> = Err(Error::Overflow { name: String::new(), value: f64::INFINITY, max: 1.0 });

/// The scale after each step; `steps` says which were applied.
fn scales(loss_scale: &mut LossScale, steps: impl IntoIterator<Item = bool>) -> Vec<f64> {
    let after = |applied| {
        let result = loss_scale.update(if applied { Ok(()) } else { INFINITE });
        assert_eq!(result, Ok(applied.then_some(())));
        loss_scale.scale()
    };
    steps.into_iter().map(after).collect()
}

#[test]
fn halves_when_skipped_and_doubles_after_the_interval() {
    let mut loss_scale = LossScale::new(8.0, 3).unwrap();
    let (yes, no) = (true, false);
    // The skipped step begins the count of three anew; after a doubling too.
    let steps = [yes, yes, no, yes, yes, yes, yes, yes, yes, no, no];
    assert_eq!(scales(&mut loss_scale, steps), [8.0, 8.0, 4.0, 4.0, 4.0, 8.0, 8.0, 8.0, 16.0, 8.0, 4.0]);
    assert_eq!(loss_scale.skipped(), 2);
    assert_eq!((scales(&mut loss_scale, [yes]), loss_scale.skipped()), (vec![4.0], 0));
    assert_eq!(scales(&mut LossScale::new(0.25, 1).unwrap(), [yes; 4]), [0.5, 1.0, 2.0, 4.0]);
    assert_eq!(LossScale::default(), LossScale::new(32_768.0, 2_000).unwrap());
}

/// Both the scale and its inverse stay normal numbers of f32.
#[test]
fn stays_where_it_is_a_normal_number() {
    let mut loss_scale = LossScale::default();
    let scales_down = scales(&mut loss_scale, [false; 300]);
    let smallest = scales_down[299];
    assert_eq!((smallest, smallest as f32), (2_f64.powi(-126), f32::MIN_POSITIVE));
    assert_eq!(loss_scale.skipped(), 300);
    let mut growing = LossScale::new(smallest, 1).unwrap();
    let largest = scales(&mut growing, [true; 300])[299];
    assert_eq!((largest, (1.0 / largest) as f32), (2_f64.powi(126), f32::MIN_POSITIVE));
    assert_eq!(scales(&mut growing, [true, false, true]), [largest, largest / 2.0, largest]);
}

/// An error that is not about gradients is returned, and nothing is counted.
#[test]
fn other_errors_are_never_skipped() {
    let mut loss_scale = LossScale::new(8.0, 2).unwrap();
    scales(&mut loss_scale, [true]);
    let before = loss_scale;
    let result = Sgd::<f32>::new(0.1).unwrap().step(&mut [1.0], &[1.0, 2.0]);
    assert_eq!(loss_scale.update(result.clone()), result.map(Some));
    assert_eq!(loss_scale, before);
}

/// By each way to step: a guard, a clipped step (whose norm comes back), a model.
#[test]
fn takes_the_result_of_any_step() {
    let mut loss_scale = LossScale::new(4.0, 9).unwrap();
    for (grad, applied) in [(f32::NAN, false), (f32::INFINITY, false), (2.0, true)] {
        let mut params = [1.0_f32];
        let mut guarded = FiniteGuard(Momentum::new(0.5, 0.0, 1).unwrap());
        let grads = [grad];
        let grads = Grads::new(&grads).scaled(0.5);
        let result = guarded.step_with(&mut params, grads);
        assert_eq!(loss_scale.update(result), Ok(applied.then_some(())));
        assert_eq!((params, guarded.steps()), ([if applied { 0.5 } else { 1.0 }], u64::from(applied)));

        let clipped = Sgd::new(0.5).unwrap().step_clipped(&mut params, grads, 0.25);
        assert_eq!(loss_scale.update(clipped), Ok(applied.then_some(1.0)));

        let mut model = ParamGroups::new();
        model.insert("w", FiniteGuard(Sgd::new(0.5).unwrap())).unwrap();
        let result = model.step_with(&mut [("w", &mut params, grads)]);
        assert_eq!(loss_scale.update(result), Ok(applied.then_some(())));
    }
    assert_eq!((loss_scale.scale(), loss_scale.skipped()), (4.0 / 64.0, 0));
}

#[test]
fn bad_settings_are_rejected() {
    for bad in [0.0, -2.0, 2_f64.powi(127), 2_f64.powi(-127), f64::INFINITY, f64::NAN] {
        let range = "of at least 1.1754943508222875e-38 and at most 8.507059173023462e37";
        says(LossScale::new(bad, 1), &format!("scale is {bad:?}, expected a number {range}"));
    }
    says(LossScale::new(3.0, 1), "scale is 3.0, expected a power of two");
    says(LossScale::new(1.0 + f64::EPSILON, 1), "scale is 1.0000000000000002, expected a power of two");
    says(LossScale::new(2.0, 0), "growth_interval is 0, expected at least 1");
}

/// `tests/data/torch_schedules.py` recorded `torch.amp.GradScaler`.
#[test]
fn as_torch() {
    let lines: Vec<_> = include_str!("../data/loss_scale.csv").lines().skip(1).collect();
    assert_eq!(lines.len(), 3 * 5);
    for case in lines.chunks(3) {
        let (first, interval) = case[0].split_once(',').unwrap();
        let first = first.parse::<f64>().unwrap();
        let mut loss_scale = LossScale::new(first, interval.parse().unwrap()).unwrap();
        let scales = scales(&mut loss_scale, case[1].bytes().map(|step| step == b'1'));
        let before = [&[first], &scales[..]].concat();
        let changed: Vec<_> = (0..scales.len()).filter(|&step| scales[step] != before[step]).collect();
        let recorded = case[2].split(',').map(|change| {
            let (step, scale) = change.split_once(':').unwrap();
            (step.parse().unwrap(), scale.parse().unwrap())
        });
        assert_eq!(changed.iter().map(|&step| (step, scales[step])).collect::<Vec<_>>(), recorded.collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// Unscaling is exact: a step with gradients S times as large, and 1/S, is the step without.
    #[test]
    fn unscaling_changes_no_bit(grad in -1.0..1.0_f32, exponent in -60..60_i32) {
        let loss_scale = LossScale::new(2_f64.powi(exponent), 1).unwrap();
        let (mut scaled, mut plain) = ([0.5_f32], [0.5]);
        let grads = [grad * loss_scale.scale() as f32];
        Sgd::new(0.1).unwrap().step_with(&mut scaled, Grads::new(&grads).scaled(1.0 / loss_scale.scale())).unwrap();
        Sgd::new(0.1).unwrap().step(&mut plain, &[grad]).unwrap();
        prop_assert_eq!(scaled[0].to_bits(), plain[0].to_bits());
    }
}
