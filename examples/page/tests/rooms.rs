//! Runs the rooms natively: they end as the lecture says.

use page::ball::Balls;
use page::digits::{EPOCHS, Training};
use page::valley::Valley;

/// Where each rule ends: `Sgd`, classical, Nesterov, PyTorch, PyTorch's Nesterov.
fn places(learning_rate: f64, momentum: f64) -> Vec<f64> {
    let mut balls = Balls::new(learning_rate, momentum, 0.0, 0).unwrap();
    while balls.step().unwrap() {}
    balls.state().skip(4).step_by(5).collect()
}

#[test]
fn the_balls_stop_where_the_lecture_says() {
    let [small, flat, lowest] = [1.0, 2.0, 3.0];
    assert_eq!(places(0.05, 0.88), [small; 5]);
    assert_eq!(places(0.05, 0.9), [small, lowest, small, lowest, small]);
    assert_eq!(places(0.05, 0.96), [small, lowest, lowest, lowest, lowest]);
    assert_eq!(places(0.1, 0.83)[1], lowest);
    assert_eq!(places(0.56, 0.0), [flat; 5]);
    assert_eq!(places(1.0, 0.95)[1], 4.0, "out of the picture");
}

#[test]
fn noise_is_the_seeds() {
    let path = |seed| {
        let mut balls = Balls::new(0.05, 0.9, 0.5, seed).unwrap();
        (0..50).for_each(|_| assert!(balls.step().unwrap()));
        Vec::from_iter(balls.path(1))
    };
    assert_eq!(path(1), path(1));
    assert_ne!(path(1), path(2));
}

fn run(batch_size: usize, order: u8, learning_rate: f64) -> Valley {
    let mut valley = Valley::new(learning_rate, batch_size, order, 0).unwrap();
    while valley.step().unwrap() {}
    valley
}

#[test]
fn updates_and_samples_are_counted() {
    for (batch_size, updates, samples) in [(1, 2_048, 2_048), (32, 64, 2_048), (256, 64, 16_384)] {
        let state = run(batch_size, 2, 0.1).state();
        assert_eq!(state[5..7], [updates as f64, samples as f64]);
    }
}

#[test]
fn all_points_at_once_have_one_path_without_noise() {
    let [shuffled, fixed] = [2, 1].map(|order| run(256, order, 0.1));
    for (a, b) in shuffled.path().zip(fixed.path()) {
        assert!((a - b).abs() < 1e-12); // only the order of the sums differs
    }
    let [_, _, _, da, db, ..] = shuffled.state();
    let gradients = Vec::from_iter(shuffled.cloud().unwrap());
    for pair in gradients.chunks(2) {
        assert!((pair[0] - da).abs() < 1e-12 && (pair[1] - db).abs() < 1e-12);
    }
}

/// The gradient is the Hessian times the distance from the best place, and no loss is below the least.
#[test]
fn the_valley_is_the_bowl_it_says() {
    let valley = run(8, 2, 0.02);
    let ([a, b, above, da, db, ..], [best_a, best_b, xx, x, one]) = (valley.state(), valley.bowl());
    let (a, b) = (a - best_a, b - best_b);
    assert!((xx * a + x * b - da).abs() < 1e-12 && (x * a + one * b - db).abs() < 1e-12);
    assert!(above > 0.0 && (above - (xx * a * a + 2.0 * x * a * b + one * b * b) / 2.0).abs() < 1e-12);
    // Half the mean square of the noise of the points, 0.8.
    assert!((valley.state()[7] - 0.32).abs() < 0.05, "{:?}", valley.state());
}

#[test]
fn better_per_update_and_better_per_epoch_are_different_questions() {
    let loss = |valley: &Valley, updates: usize| valley.losses().nth(updates).unwrap();
    let [single, all] = [1, 256].map(|size| run(size, 2, 0.1));
    assert!(loss(&all, 64) < 0.1 * loss(&single, 64));
    // After one epoch.
    assert!(loss(&single, 256) < 0.1 * loss(&all, 1));
}

#[test]
fn the_network_learns_and_small_batches_end_flatter() {
    let ends = [8, 256].map(|batch_size| {
        let mut training = Training::new(0.1, 0.0, batch_size, 0).unwrap();
        while training.step().unwrap() {}
        assert_eq!(training.updates(), EPOCHS * (7_200 / batch_size as u64 + u64::from(7_200 % batch_size > 0)));
        let checks = Vec::from_iter(training.checks());
        assert_eq!(checks[checks.len() - 3], 32.0);
        training.end()
    });
    let [[small_loss, _, small_held_out, small_sharpness], [large_loss, _, large_held_out, large_sharpness]] = ends;
    assert!(small_loss < 0.1 * large_loss && small_held_out > 97.0 && large_held_out > 95.0, "{ends:?}");
    assert!(3.0 * small_sharpness < large_sharpness, "{ends:?}");
}

#[test]
fn steps_that_are_too_long_end_the_run() {
    let mut training = Training::new(1e38, 0.9, 64, 0).unwrap();
    (0..10_000).find(|_| !training.step().unwrap()).expect("an end");
    assert!(training.updates() < 1_000);
}
