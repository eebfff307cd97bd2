//! Reducing the learning rate on a plateau: by hand, and beside torch.

use gradstep::{Error, Optimizer, ParamGroups, ReduceOnPlateau, Schedule, Sgd};
use proptest::prelude::*;

use crate::common::{config, says};

fn factors(plateau: &mut ReduceOnPlateau, losses: impl IntoIterator<Item = f64>) -> Vec<f64> {
    losses.into_iter().map(|loss| plateau.step(loss).unwrap()).collect()
}

#[test]
fn reduces_after_more_bad_epochs_than_its_patience() {
    let mut plateau = ReduceOnPlateau::new(0.5, 2).unwrap().with_threshold(0.0, 0.0).unwrap();
    assert_eq!((plateau.factor(), plateau.best(), plateau.bad_epochs()), (1.0, f64::INFINITY, 0));
    // The third bad epoch in a row reduces; a better one begins the count anew. The same loss is not better.
    let losses = [3.0, 3.0, 3.5, 2.0, 2.0, 2.5, 2.25, 2.0, 1.0];
    assert_eq!(factors(&mut plateau, losses), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5]);
    assert_eq!((plateau.factor(), plateau.best(), plateau.bad_epochs()), (0.5, 1.0, 0));
    // A patience of 0: each bad epoch. Down to 0 at last.
    let mut at_once = ReduceOnPlateau::new(0.25, 0).unwrap();
    assert_eq!(factors(&mut at_once, [1.0, 1.0, 1.0, 0.5, 0.5]), [1.0, 0.25, 0.0625, 0.0625, 1.0 / 64.0]);
    assert_eq!(factors(&mut at_once, [0.5; 600]).last(), Some(&0.0));
    let mut never = ReduceOnPlateau::new(0.5, u64::MAX).unwrap();
    assert_eq!(factors(&mut never, [1.0; 100]), [1.0; 100]);
    assert_eq!(never.bad_epochs(), 99);
}

#[test]
fn no_epoch_counts_while_it_cools_down() {
    let mut plateau = ReduceOnPlateau::new(0.5, 1).unwrap().with_cooldown(2);
    // Bad: epochs 1 and 2, which reduce; 3 and 4 cool down; 5 and 6 reduce; 7 and 8 cool down.
    assert_eq!(factors(&mut plateau, [1.0; 9]), [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25]);
    // A better loss counts during the cooldown, too.
    let mut plateau = ReduceOnPlateau::new(0.5, 0).unwrap().with_cooldown(1);
    assert_eq!(factors(&mut plateau, [1.0, 1.0, 0.5, 0.75]), [1.0, 0.5, 0.5, 0.25]);
    assert_eq!(plateau.best(), 0.5);
}

/// Below best - relative |best| - absolute, and not just at it.
#[test]
fn better_by_more_than_the_thresholds() {
    let better = |relative, absolute, best: f64, loss: f64| {
        let mut plateau = ReduceOnPlateau::new(0.5, 9).unwrap().with_threshold(relative, absolute).unwrap();
        factors(&mut plateau, [best, loss]);
        plateau.best() == loss
    };
    assert!(!better(0.25, 0.0, 4.0, 3.0) && better(0.25, 0.0, 4.0, 2.99));
    assert!(!better(0.0, 0.25, 4.0, 3.75) && better(0.0, 0.25, 4.0, 3.74));
    assert!(!better(0.25, 0.5, 4.0, 2.5) && better(0.25, 0.5, 4.0, 2.49));
    // Also where losses are negative: a quarter of 4 below -4.
    assert!(!better(0.25, 0.0, -4.0, -5.0) && better(0.25, 0.0, -4.0, -5.01));
    assert!(!better(0.25, 0.0, -4.0, -3.5));
    // The default: 10^-4 of the best.
    let mut plateau = ReduceOnPlateau::new(0.5, 9).unwrap();
    factors(&mut plateau, [1.0, 0.99991]);
    assert_eq!(plateau.best(), 1.0);
    factors(&mut plateau, [0.99989]);
    assert_eq!(plateau.best(), 0.99989);
}

#[test]
fn nan_and_infinite_losses_are_rejected() {
    let mut plateau = ReduceOnPlateau::new(0.5, 1).unwrap();
    factors(&mut plateau, [1.0, 1.0]);
    let before = plateau;
    for loss in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        says(plateau.step(loss), &format!("loss is {loss:?}, expected a finite number"));
        assert_eq!(plateau, before);
    }
    assert_eq!(factors(&mut plateau, [f64::MAX, f64::MIN, f64::MIN]), [0.5; 3]);
}

#[test]
fn bad_settings_are_rejected() {
    for bad in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
        let message = format!("reduction is {bad:?}, expected a number above 0 and below 1");
        says(ReduceOnPlateau::new(bad, 1), &message);
    }
    let new = || ReduceOnPlateau::new(0.5, 1).unwrap();
    for bad in [1.0, -0.1, f64::NAN] {
        let message = format!("relative threshold is {bad:?}, expected a number of at least 0 and below 1");
        says(new().with_threshold(bad, 0.0), &message);
    }
    for bad in [f64::INFINITY, -0.1, f64::NAN] {
        let message = format!("absolute threshold is {bad:?}, expected a finite number of at least 0");
        says(new().with_threshold(0.0, bad), &message);
    }
}

/// A schedule within an epoch, times the factor of the epochs.
#[test]
fn multiplies_a_schedule_and_all_rates_of_a_model() {
    let mut model = ParamGroups::new();
    for (name, rate) in [("weights", 0.5), ("bias", 0.25)] {
        model.insert(name, Sgd::<f64>::new(rate).unwrap()).unwrap();
    }
    let schedule = Schedule::linear(1.0, 0.5, 2).unwrap();
    let mut plateau = ReduceOnPlateau::new(0.5, 0).unwrap();
    let rates = [1.0, 1.0, 1.0].map(|loss| {
        model.scale_learning_rates(schedule.at(model.steps()) * plateau.factor()).unwrap();
        model.step(&mut [("weights", &mut [0.0], &[1.0]), ("bias", &mut [0.0], &[1.0])]).unwrap();
        plateau.step(loss).unwrap();
        ["weights", "bias"].map(|name| model.get(name).unwrap().learning_rate())
    });
    assert_eq!(rates, [[0.5, 0.25], [0.375, 0.1875], [0.125, 0.0625]]);
}

// Beside torch --------------------------------------------------------------------------------------------------------

/// torch's `mode`, `threshold_mode`, `threshold`, `patience`, `cooldown` and `factor`.
struct Case<'a>(&'a str, &'a str, f64, u64, u64, f64);

impl Case<'_> {
    /// The learning rates after each loss, 0.5 at first and `min_lr` at least.
    fn rates(&self, metrics: impl IntoIterator<Item = f64>, min_lr: f64) -> Result<Vec<f64>, Error> {
        let &Case(mode, threshold_mode, threshold, patience, cooldown, factor) = self;
        let thresholds = if threshold_mode == "rel" { (threshold, 0.0) } else { (0.0, threshold) };
        let mut plateau =
            ReduceOnPlateau::new(factor, patience)?.with_threshold(thresholds.0, thresholds.1)?.with_cooldown(cooldown);
        let sign = if mode == "max" { -1.0 } else { 1.0 };
        metrics.into_iter().map(|metric| Ok((0.5 * plateau.step(sign * metric)?).max(min_lr))).collect()
    }
}

/// `tests/data/torch_schedules.py` recorded them.
#[test]
fn as_torch() {
    let lines: Vec<_> = include_str!("../data/plateau.csv").lines().skip(1).collect();
    assert_eq!(lines.len(), 3 * 17);
    let mut reductions = 0;
    for case in lines.chunks(3) {
        let settings: Vec<_> = case[0].split(',').collect();
        let number = |at: usize| settings[at].parse::<f64>().unwrap();
        let torch = Case(settings[0], settings[1], number(2), number(3) as u64, number(4) as u64, number(5));
        let rates = torch.rates(case[1].split(',').map(|loss| loss.parse().unwrap()), number(6)).unwrap();
        let mut changes = case[2].split(',').map(|change| {
            let (epoch, rate) = change.split_once(':').unwrap();
            (epoch.parse::<usize>().unwrap(), rate.parse::<f64>().unwrap())
        });
        for (epoch, pair) in [&[0.5], &rates[..]].concat().windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1])
        {
            let expected = changes.next().unwrap();
            assert_eq!(epoch, expected.0, "{}", case[0]);
            assert!((pair[1] / expected.1 - 1.0).abs() < 1e-14, "{}: {} and {}", case[0], pair[1], expected.1);
            reductions += 1;
        }
        assert_eq!(changes.next(), None, "{}", case[0]);
    }
    assert!(reductions > 100, "{reductions}");
}

/// The eight cases of torch's own tests (`test_reduce_lr_on_plateau1` to `8`), whose rate is 0.5 at first and whose factor
/// is 0.1: which epochs reduce.
#[test]
fn torch_s_own_cases() {
    let reductions = |case: Case, metrics: Vec<f64>| {
        let rates = case.rates(metrics, 0.0).unwrap();
        let before = [&[0.5], &rates[..]].concat();
        (0..rates.len()).filter(|&epoch| rates[epoch] < before[epoch]).collect::<Vec<_>>()
    };
    let growing = |base: f64| (0..20).map(|i| 1.5 * base.powi(i)).collect::<Vec<_>>();
    let falling = |by: f64, epochs: i32| (0..epochs).map(|i| 10.0 - f64::from(i) * by).collect::<Vec<_>>();
    let steps = [vec![1.0; 7], vec![0.6], vec![0.5; 12]].concat();

    assert_eq!(reductions(Case("min", "abs", 0.01, 5, 5, 0.1), falling(0.0167, 20)), [0; 0]);
    assert_eq!(reductions(Case("min", "abs", 0.1, 5, 0, 0.1), falling(0.0165, 22)), [6, 13, 20]);
    let metrics = [vec![-0.8; 2], vec![-0.234; 20]].concat();
    assert_eq!(reductions(Case("max", "abs", 1e-4, 5, 5, 0.1), metrics), [8, 19]);
    assert_eq!(reductions(Case("max", "rel", 0.1, 3, 0, 0.1), growing(1.025)), [0; 0]);
    assert_eq!(reductions(Case("max", "rel", 0.1, 5, 5, 0.1), growing(1.005)), [6, 17]);
    assert_eq!(reductions(Case("min", "rel", 0.1, 10, 0, 0.1), growing(0.85)), [0; 0]);
    assert_eq!(reductions(Case("min", "rel", 0.1, 5, 5, 0.1), steps), [6, 17]);
    let floors = [0.4, 0.3].map(|min_lr| Case("max", "rel", 0.1, 5, 5, 0.1).rates(growing(1.005), min_lr).unwrap());
    for (rates, min_lr) in floors.iter().zip([0.4, 0.3]) {
        assert_eq!(rates[..], [vec![0.5; 6], vec![min_lr; 14]].concat());
    }
}

// Properties ----------------------------------------------------------------------------------------------------------

proptest! {
    #![proptest_config(config(200))]

    /// Never up; never sooner after a reduction than patience and cooldown allow; the best is the smallest loss, where
    /// there is no threshold.
    #[test]
    fn reduces_no_sooner_than_it_may(
        losses in prop::collection::vec(-1.0..1.0_f64, 1..100),
        patience in 0..5_u64,
        cooldown in 0..5_u64,
    ) {
        let mut plateau = ReduceOnPlateau::new(0.5, patience).unwrap().with_cooldown(cooldown);
        plateau = plateau.with_threshold(0.0, 0.0).unwrap();
        let (mut before, mut since) = (1.0, cooldown); // as if there had been one just before
        for (epoch, &loss) in losses.iter().enumerate() {
            let factor = plateau.step(loss).unwrap();
            since += 1;
            if factor != before {
                prop_assert!(factor == 0.5 * before && since > patience + cooldown, "epoch {}", epoch);
                since = 0;
            }
            before = factor;
            let best = losses[..=epoch].iter().copied().fold(f64::INFINITY, f64::min);
            prop_assert_eq!(plateau.best(), best);
            prop_assert!(plateau.bad_epochs() <= patience);
        }
    }
}
