//! Every refusal, word for word, and that it changed nothing.

use gradstep::{Batcher, Error, Form, Momentum, Optimizer, Permutation, Sgd, WeightDecay, elementwise, gather};

fn says<T>(result: Result<T, Error>, message: &str) {
    let error = result.err().expect("refused");
    assert_eq!(error.to_string(), message);
    assert!(!message.ends_with('.') && message.starts_with(char::is_lowercase));
}

#[test]
fn learning_rate() {
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

#[test]
fn momentum() {
    for (bad, shown) in [(1.0, "1.0"), (-0.25, "-0.25"), (2.0, "2.0"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let message = format!("momentum is {shown}, expected a number from 0 up to, but not including, 1");
        says(Momentum::new(0.1, bad, 3), &message);
        let mut momentum = Momentum::new(0.1, 0.9, 3).unwrap();
        says(momentum.set_momentum(bad), &message);
        assert_eq!(momentum.momentum(), 0.9);
    }
    let just_below_one = 1.0 - f64::EPSILON / 2.0;
    assert_eq!(Momentum::new(0.1, just_below_one, 3).unwrap().momentum(), just_below_one);
    assert!(Momentum::new(0.1, 0.0, 3).is_ok());
}

#[test]
fn weight_decay() {
    for (bad, shown) in [(-0.25, "-0.25"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        let message = format!("weight_decay is {shown}, expected a finite number of at least 0");
        for decay in [WeightDecay::Coupled(bad), WeightDecay::Decoupled(bad)] {
            says(Sgd::new(0.1).unwrap().with_weight_decay(decay), &message);
            says(Momentum::new(0.1, 0.9, 3).unwrap().with_weight_decay(decay), &message);
        }
    }
}

#[test]
fn lengths() {
    let mut params = [1.0_f32, 2.0];
    says(Sgd::new(0.1).unwrap().step(&mut params, &[1.0; 3]), "grads has length 3, expected 2, the length of params");
    for form in [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov] {
        let mut momentum = Momentum::new(0.1, 0.9, 2).unwrap().with_form(form);
        says(momentum.step(&mut params, &[1.0]), "grads has length 1, expected 2, the length of params");
        let mut longer = [1.0; 5];
        says(momentum.step(&mut longer, &[1.0; 5]), "params has length 5, expected 2, the length of the velocity");
        assert_eq!((momentum.velocity(), momentum.steps(), longer), (&[0.0; 2][..], 0, [1.0; 5]));
    }
    assert_eq!(params, [1.0, 2.0]);
    let mut state = [0.0; 3];
    says(
        elementwise(&mut params, [&mut state], &[1.0; 2], |p, [s], _| (p, [s])),
        "state has length 3, expected 2, the length of params",
    );
    says(Momentum::new(0.1, 0.9, usize::MAX), &format!("velocity of length {} does not fit in memory", usize::MAX));
}

#[test]
fn restoring_another_length() {
    let mut momentum = Momentum::new(0.1, 0.9, 2).unwrap();
    let before = momentum.clone();
    says(momentum.restore(Momentum::new(0.5, 0.5, 3).unwrap()), "saved length of the velocity is 3, expected 2");
    assert_eq!(momentum, before);
    let mut stepped = Momentum::new(0.5, 0.5, 2).unwrap();
    stepped.step(&mut [1.0; 2], &[1.0; 2]).unwrap();
    momentum.restore(stepped.clone()).unwrap();
    assert_eq!(momentum, stepped);
}

#[test]
fn another_velocity() {
    let momentum = Momentum::new(0.5, 0.25, 2).unwrap().with_form(Form::PyTorch);
    for wrong in [&[][..], &[1.0], &[1.0; 3]] {
        let message = format!("velocity has length {}, expected 2, the length of the parameters", wrong.len());
        says(momentum.clone().with_velocity(wrong, 5), &message);
    }
    let mut momentum = momentum.with_velocity(&[-0.0, f64::INFINITY], 5).unwrap();
    assert_eq!(momentum.velocity()[0].to_bits(), (-0.0_f64).to_bits());
    assert_eq!((momentum.velocity()[1], momentum.steps(), momentum.form()), (f64::INFINITY, 5, Form::PyTorch));
    momentum.step(&mut [1.0; 2], &[1.0; 2]).unwrap();
    assert_eq!((momentum.velocity(), momentum.steps()), (&[1.0, f64::INFINITY][..], 6));
}

#[test]
fn batcher() {
    says(Batcher::new(0, 4, 1), "len is 0, expected at least 1");
    says(Batcher::new(10, 0, 1), "batch_size is 0, expected at least 1");
    says(Batcher::sequential(0, 4), "len is 0, expected at least 1");
    says(Batcher::sequential(10, 0), "batch_size is 0, expected at least 1");
    says(Batcher::new(usize::MAX, 4, 1), &format!("len is {}, expected at most {}", usize::MAX, Batcher::MAX_LEN));
    says(Batcher::new(10, 11, 1).unwrap().drop_last(), "batch_size with drop_last is 11, expected at most len = 10");
    assert!(Batcher::new(10, 10, 1).unwrap().drop_last().is_ok());
    assert!(Batcher::new(Batcher::MAX_LEN, 4, 1).is_ok());
    assert_eq!(Batcher::MAX_LEN as u64, if usize::BITS == 64 { 1 << 32 } else { (1 << 29) - 1 });
    let batcher = Batcher::new(10, 4, 1).unwrap();
    says(batcher.position(7, 4), "batch is 4, expected at most batches_per_epoch = 3");
}

#[test]
fn shards() {
    let batcher = Batcher::new(10, 4, 1).unwrap();
    says(batcher.shard(0, 0), "world_size is 0, expected at least 1");
    says(batcher.shard(0, 5), "world_size is 5, expected at most batch_size = 4");
    says(batcher.shard(3, 3), "rank is 3, expected below world_size = 3");
    assert!(batcher.shard(3, 4).is_ok());
}

#[test]
fn resuming_with_other_settings() {
    let position = Batcher::new(10, 4, 1).unwrap().position(2, 1).unwrap();
    let resumed = |batcher: Result<Batcher, Error>| batcher.unwrap().resume(position);
    says(resumed(Batcher::new(11, 4, 1)), "saved len is 10, expected 11");
    says(resumed(Batcher::new(10, 5, 1)), "saved batch_size is 4, expected 5");
    says(resumed(Batcher::new(10, 4, 2)), "saved seed is 1, expected 2");
    says(resumed(Batcher::sequential(10, 4)), "saved seed is 1, expected none");
    says(resumed(Batcher::new(10, 4, 1).unwrap().drop_last()), "saved drop_last is false, expected true");
    assert!(resumed(Batcher::new(10, 4, 1)).is_ok());
}

#[test]
fn permutation() {
    says(Permutation::new(65_535, 1, 1), "len is 65535, expected at least 65536");
    says(Permutation::new((1 << 62) + 1, 1, 1), "len is 4611686018427387905, expected at most 4611686018427387904");
    let mut out = [7; 3];
    says(
        Permutation::new(65_536, 1, 1).unwrap().fill(65_534, &mut out),
        "length of out is 3, expected at most len - start = 2",
    );
    assert_eq!(out, [7; 3]);
}

#[test]
fn rows() {
    let mut out = vec![7];
    says(gather(&[1, 2], 0, &[0], &mut out), "row_len is 0, expected at least 1");
    says(gather(&[1, 2, 3], 2, &[0], &mut out), "length of rows is 3, expected a multiple of row_len = 2");
    says(gather(&[1, 2, 3, 4], 2, &[1, 2], &mut out), "index in batch is 2, expected below the number of rows = 2");
    assert_eq!(out, [7]);
}
