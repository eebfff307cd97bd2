//! Any float, any trait object, any crate: how the public face can be used.

use gradstep::{
    Accumulator, Batcher, Epoch, Error, Form, Guard, Momentum, Optimizer, ParamGroups, Permutation, Position, Sgd,
    Shard, Stream, WeightDecay, schedule,
};
use half::{bf16, f16};
use num_traits::{Float, cast};

/// η = 1/4, λ = 1/2, g = θ, θ₀ = 16, as in tests/sequences.rs: all of it fits into the 8 bits of bf16's significand.
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

/// A rule from outside, with no more than the four methods that have to be there.
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

    fn reset(&mut self) {}
}

#[test]
fn trait_objects_and_rules_from_outside() {
    let mut all: Vec<Box<dyn Optimizer<f32>>> = vec![
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
