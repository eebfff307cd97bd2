//! What several modules need: the list of all optimizers, numbers, bits, messages, and paths that are compared.
#![allow(dead_code, reason = "tests/allocations.rs needs only the list of optimizers")]

pub(crate) mod golden;
pub(crate) mod oracle;

use std::fmt::Debug;

use gradstep::{
    Batcher, Error, Form, Guard, Momentum, Optimizer, Order, Sequential, Sgd, Shuffle, Subset, WeightDecay,
};
use num_traits::{Float, cast};
use proptest::{prelude::*, test_runner::RngSeed};
#[cfg(feature = "half")]
use {gradstep::MasterCopy, half::bf16};

// Optimizers ----------------------------------------------------------------------------------------------------------

pub(crate) const LEARNING_RATE: f64 = 0.1;
pub(crate) const MOMENTUM: f64 = 0.9;
pub(crate) const DECAY: f64 = 0.01;
pub(crate) const DECAYS: [WeightDecay<f64>; 3] =
    [WeightDecay::None, WeightDecay::Coupled(DECAY), WeightDecay::Decoupled(DECAY)];
pub(crate) const FORMS: [Form; 4] = [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov];

/// Every rule with every form and decay, for `len` parameters, with a name for messages.
pub(crate) fn optimizers(len: usize) -> Vec<(String, Box<dyn Optimizer<f64>>)> {
    let mut all: Vec<(String, Box<dyn Optimizer<f64>>)> = Vec::new();
    for decay in DECAYS {
        let sgd = Sgd::new(LEARNING_RATE).unwrap().with_weight_decay(decay).unwrap();
        all.push((format!("Sgd, {decay:?}"), Box::new(sgd)));
        for form in FORMS {
            let momentum = Momentum::new(LEARNING_RATE, MOMENTUM, len).unwrap().with_form(form);
            let momentum = momentum.with_weight_decay(decay).unwrap();
            all.push((format!("Momentum, {form:?}, {decay:?}"), Box::new(momentum)));
        }
    }
    all.push(("Guard".into(), Box::new(Guard(Momentum::new(LEARNING_RATE, MOMENTUM, len).unwrap()))));
    all
}

/// A name, whether a gradient that is not finite is rejected, and the optimizer.
#[cfg(feature = "half")]
type Nesting = (String, bool, Box<dyn Optimizer<bf16, f32>>);

/// Half-precision optimizers in every nesting.
#[cfg(feature = "half")]
pub(crate) fn half_optimizers(params: &[bf16]) -> Vec<Nesting> {
    let mut all: Vec<Nesting> = Vec::new();
    for form in FORMS {
        let inner = || {
            let momentum = Momentum::new(LEARNING_RATE as f32, MOMENTUM as f32, params.len()).unwrap().with_form(form);
            momentum.with_weight_decay(WeightDecay::Coupled(DECAY as f32)).unwrap()
        };
        let boxed = || Box::new(Guard(inner())) as Box<dyn Optimizer<f32>>;
        let mut add = |name, rejects, optimizer| all.push((format!("{name}, {form:?}"), rejects, optimizer));
        add("MasterCopy", false, Box::new(MasterCopy::new(inner(), params).unwrap()));
        add("Guard(MasterCopy)", true, Box::new(Guard(MasterCopy::new(inner(), params).unwrap())));
        add("MasterCopy(Guard)", true, Box::new(MasterCopy::new(Guard(inner()), params).unwrap()));
        add("MasterCopy(Box(Guard))", true, Box::new(MasterCopy::new(boxed(), params).unwrap()));
        add("Guard(MasterCopy(Guard))", true, Box::new(Guard(MasterCopy::new(Guard(inner()), params).unwrap())));
    }
    let sgd = Sgd::new(LEARNING_RATE as f32).unwrap();
    all.push(("MasterCopy(Sgd)".into(), false, Box::new(MasterCopy::new(sgd, params).unwrap())));
    all
}

// Numbers and bits ----------------------------------------------------------------------------------------------------

pub(crate) trait Scalar: Float + Send + Sync + Debug + 'static {}

impl<F: Float + Send + Sync + Debug + 'static> Scalar for F {}

pub(crate) fn number<F: Float>(x: f64) -> F {
    cast(x).unwrap()
}

pub(crate) fn tiny<F: Float>() -> F {
    F::min_positive_value() * F::epsilon()
}

/// Equal to the bit, NaN's payload aside.
pub(crate) fn same<F: Float>(a: F, b: F) -> bool {
    (a.is_nan() && b.is_nan()) || (a == b && a.is_sign_negative() == b.is_sign_negative())
}

/// The sign, exponent and significand, which tell all numbers apart, -0 from +0 too.
pub(crate) fn bits<F: Float>(values: &[F]) -> Vec<(u64, i16, i8)> {
    values.iter().map(|value| value.integer_decode()).collect()
}

/// Lengths around every boundary: vectors, their choice (32), their alignment (256), threads (2^17).
#[rustfmt::skip]
pub(crate) const LENS: [usize; 25] = [
    0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 255, 256, 257, 1000, 131_071, 131_072, 131_073, 300_007,
];

/// Short ones, ones for whole vectors and a rest, and one that goes to two threads.
pub(crate) const FEW_LENS: [usize; 5] = [1, 31, 130, 1000, (1 << 17) + 77];

/// Numbers of all sizes and signs, with zeros of both signs and subnormals among them; reproducible.
pub(crate) fn numbers<F: Float>(len: usize, salt: u64) -> Vec<F> {
    let number = |i: u64| {
        let mut x = (i + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        x ^= x >> 29;
        let size = [1.0, 1e-3, 1e3, 1e-30, 1e-40, 0.0][(x % 6) as usize];
        cast::<f64, F>(size * ((x >> 11) as f64 / (1_u64 << 52) as f64 - 1.0)).unwrap()
    };
    (0..len as u64).map(number).collect()
}

/// Multiples of 2^-23 in -1..1 from a linear congruential generator (Knuth's MMIX), exact in f32 and f64.
pub(crate) fn noise(len: usize) -> Vec<f32> {
    let mut state = len as u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// [`noise`] in 53 bits, so that the squares round.
pub(crate) fn noise64(len: usize) -> Vec<f64> {
    noise(len).into_iter().map(|g| f64::from(g) / 3.0).collect()
}

// Messages and cases --------------------------------------------------------------------------------------------------

/// That it is rejected in these words.
pub(crate) fn says<T>(result: Result<T, Error>, message: &str) {
    let error = result.err().expect("refused");
    assert_eq!(error.to_string(), message);
    assert!(!message.ends_with('.') && message.starts_with(char::is_lowercase));
}

/// The same cases on every run.
pub(crate) fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() }
}

/// A start and some gradients, all of one length.
pub(crate) fn starts_and_grads() -> impl Strategy<Value = (Vec<f64>, Vec<Vec<f64>>)> {
    (1_usize..40).prop_flat_map(|len| {
        let values = || prop::collection::vec(-100.0..100.0, len);
        (values(), prop::collection::vec(values(), 1..20))
    })
}

pub(crate) fn slices() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(-1e3..1e3, 0..40), 0..5)
}

// Orders --------------------------------------------------------------------------------------------------------------

/// One order of each kind.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AnyOrder {
    Shuffle(Shuffle),
    Sequential(Sequential),
    Subset(Subset<Shuffle>),
    Rotated(Rotated),
}

/// An order from outside, of random access: it begins one sample later each epoch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rotated(pub(crate) usize);

impl Order for Rotated {
    fn len(&self) -> u64 {
        self.0 as u64
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![("rotated", 1), ("len", self.len())]
    }

    fn fill(&self, epoch: u64, start: usize, out: &mut [usize]) {
        let first = (epoch % self.len()) as usize;
        out.iter_mut().zip(start..).for_each(|(sample, place)| *sample = (first + place) % self.0);
    }

    fn is_random_access(&self) -> bool {
        true
    }
}

impl AnyOrder {
    fn inner(&self) -> &dyn Order {
        match self {
            AnyOrder::Shuffle(order) => order,
            AnyOrder::Sequential(order) => order,
            AnyOrder::Subset(order) => order,
            AnyOrder::Rotated(order) => order,
        }
    }
}

impl Order for AnyOrder {
    fn len(&self) -> u64 {
        self.inner().len()
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        self.inner().settings()
    }

    fn fill(&self, epoch: u64, start: usize, out: &mut [usize]) {
        self.inner().fill(epoch, start, out);
    }

    fn is_random_access(&self) -> bool {
        self.inner().is_random_access()
    }
}

pub(crate) fn orders() -> impl Strategy<Value = AnyOrder> {
    (1_usize..300, any::<u64>(), 0..4).prop_map(|(len, seed, kind)| match kind {
        0 => AnyOrder::Shuffle(Shuffle::new(len, seed).unwrap()),
        1 => AnyOrder::Sequential(Sequential::new(len).unwrap()),
        2 => AnyOrder::Subset(Subset::new((0..len).map(|i| 3 * i + 1).collect()).unwrap().shuffled(seed).unwrap()),
        _ => AnyOrder::Rotated(Rotated(len)),
    })
}

pub(crate) fn batchers() -> impl Strategy<Value = Batcher<AnyOrder>> {
    (orders(), 1_usize..40, any::<bool>()).prop_map(|(order, batch_size, drop)| {
        let batcher = Batcher::over(order, batch_size).unwrap();
        if drop && batch_size <= batcher.len() { batcher.drop_last().unwrap() } else { batcher }
    })
}

// Steps ---------------------------------------------------------------------------------------------------------------

/// `rows` are parameter, gradient, and the parameter after one step of `optimizer`; a slice holds them in turn.
pub(crate) fn steps_to<P: Scalar, F, const N: usize>(
    optimizer: impl Fn(&[P]) -> Box<dyn Optimizer<P, F>>,
    rows: [(P, P, P); N],
    name: &str,
) {
    for len in FEW_LENS {
        let mut params: Vec<P> = (0..len).map(|i| rows[i % N].0).collect();
        let grads: Vec<P> = (0..len).map(|i| rows[i % N].1).collect();
        optimizer(&params).step(&mut params, &grads).unwrap();
        for (i, &after) in params.iter().enumerate() {
            let (before, g, expected) = rows[i % N];
            assert!(same(after, expected), "{name}: {before:?}, {g:?} -> {after:?}, not {expected:?}; {i} of {len}");
        }
    }
}

pub(crate) fn one_by_one<F: Scalar>(optimizer: &mut dyn Optimizer<F>, param: f64, grads: &[f64]) -> Vec<F> {
    let mut params = [number::<F>(param)];
    let mut step = |&g: &f64| {
        optimizer.step(&mut params, &[number(g)]).unwrap();
        params[0]
    };
    grads.iter().map(&mut step).collect()
}

/// The parameter after each step, one step for each learning rate; `gradient` is a function of the parameter.
pub(crate) fn path<F: Float>(
    mut optimizer: impl Optimizer<F>,
    start: f64,
    gradient: impl Fn(f64) -> f64,
    learning_rates: &[f64],
) -> Vec<f64> {
    let exact = |x: f64| F::from(x).unwrap();
    let mut params = [exact(start)];
    let step = |learning_rate: &f64| {
        optimizer.set_learning_rate(exact(*learning_rate)).unwrap();
        let grads = [exact(gradient(params[0].to_f64().unwrap()))];
        optimizer.step(&mut params, &grads).unwrap();
        params[0].to_f64().unwrap()
    };
    learning_rates.iter().map(step).collect()
}

/// θ with g = θ, θ₀ = 16, η = 1/4 at every step.
pub(crate) fn with_gradient_theta(f32s: impl Optimizer<f32>, f64s: impl Optimizer<f64>, expected: &[f64]) {
    let rates = vec![0.25; expected.len()];
    assert_eq!(path(f32s, 16.0, |x| x, &rates), expected);
    assert_eq!(path(f64s, 16.0, |x| x, &rates), expected);
}

/// η = λ = 1/2, until a learning rate is set.
pub(crate) fn half<F: Float + Send + Sync>(form: Form) -> Momentum<F> {
    let half = F::from(0.5).unwrap();
    Momentum::new(half, half, 1).unwrap().with_form(form)
}

/// Two parameters, three gradients that change.
const START: [f32; 2] = [1.0, -2.0];
const GRADS: [[f32; 2]; 3] = [[0.5, 0.25], [-1.0, 3.0], [0.0, -0.5]];

pub(crate) fn walk(optimizer: &mut impl Optimizer<f32>) -> Vec<[f32; 2]> {
    let mut params = START;
    let step = |grads: &[f32; 2]| {
        optimizer.step(&mut params, grads).unwrap();
        params
    };
    GRADS.iter().map(step).collect()
}

/// |θ| after each of `steps` steps on a quadratic of curvature `h`, from θ = 1.
pub(crate) fn on_a_quadratic(mut optimizer: impl Optimizer<f64>, h: f64, steps: usize) -> Vec<f64> {
    let mut params = [1.0];
    let step = |_| {
        let grads = [h * params[0]];
        optimizer.step(&mut params, &grads).unwrap();
        params[0]
    };
    (0..steps).map(step).collect()
}
