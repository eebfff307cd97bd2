//! What several modules need: the list of all optimizers, numbers, bits, messages, and paths that are compared.
#![allow(dead_code, reason = "tests/allocations.rs and tests/threads.rs need only a part")]

pub(crate) mod golden;
pub(crate) mod oracle;
pub(crate) mod rules;

use std::{
    fmt::{Debug, Display},
    ops::Range,
};

use gradstep::{
    Adam, Batcher, Fill, FiniteGuard, Mixture, Momentum, MomentumForm, Optimizer, Order, Sequential, Sgd, Shuffle,
    Subset, WeightDecay, Weighted,
};
use num_traits::{Float, cast};
use proptest::{prelude::*, test_runner::RngSeed};
#[cfg(feature = "half")]
use {
    gradstep::MasterCopy,
    half::{bf16, f16},
};

use rules::Lion;

// Optimizers ----------------------------------------------------------------------------------------------------------

pub(crate) const LEARNING_RATE: f64 = 0.1;
pub(crate) const MOMENTUM: f64 = 0.9;
/// Of `Adam`, in every type; f16 and bf16 reject the usual ones.
pub(crate) const BETAS: [f64; 2] = [0.9, 0.99];
pub(crate) const EPS: f64 = 1e-4;
pub(crate) const DECAY: f64 = 0.01;
pub(crate) const DECAYS: [WeightDecay; 3] =
    [WeightDecay::None, WeightDecay::Coupled(DECAY), WeightDecay::Decoupled(DECAY)];
pub(crate) const FORMS: [MomentumForm; 4] =
    [MomentumForm::Classical, MomentumForm::Nesterov, MomentumForm::PyTorch, MomentumForm::PyTorchNesterov];

/// A name for messages, and the optimizer.
type Named<P> = (String, Box<dyn Optimizer<P>>);

/// Every rule with every form and decay, for `len` parameters; and Lion, a rule from outside.
pub(crate) fn optimizers<P: Scalar>(len: usize) -> Vec<Named<P>> {
    let mut all: Vec<Named<P>> = Vec::new();
    for decay in DECAYS {
        let sgd = Sgd::new(LEARNING_RATE).unwrap().with_weight_decay(decay).unwrap();
        all.push((format!("Sgd, {decay:?}"), Box::new(sgd)));
        for form in FORMS {
            let momentum = Momentum::new(LEARNING_RATE, MOMENTUM, len).unwrap().with_form(form);
            let momentum = momentum.with_weight_decay(decay).unwrap();
            all.push((format!("Momentum, {form:?}, {decay:?}"), Box::new(momentum)));
        }
    }
    let guarded = FiniteGuard(Momentum::new(LEARNING_RATE, MOMENTUM, len).unwrap());
    all.push(("FiniteGuard(Momentum)".into(), Box::new(guarded)));
    for decay in DECAYS {
        all.push((format!("Adam, {decay:?}"), Box::new(adam(len).with_weight_decay(decay).unwrap())));
    }
    all.push(("Lion".into(), Box::new(Lion::new(LEARNING_RATE, len))));
    all.push(("FiniteGuard(Lion)".into(), Box::new(FiniteGuard(Lion::new(LEARNING_RATE, len)))));
    all
}

pub(crate) fn adam<P: Scalar>(len: usize) -> Adam<P> {
    Adam::with_settings(LEARNING_RATE, BETAS, EPS, len).unwrap()
}

/// A name, whether a gradient that is not finite is rejected, and the optimizer.
#[cfg(feature = "half")]
pub(crate) type Nesting<H> = (String, bool, Box<dyn Optimizer<H>>);

/// bf16 and f16, for what `MasterCopy` does with both.
#[cfg(feature = "half")]
pub(crate) trait HalfScalar: Scalar {
    /// Rounded to nearest.
    fn of(value: f32) -> Self;
    fn widened(self) -> f32;
    fn grads_from_f32(grads: &[f32]) -> gradstep::Grads<'_, Self>;

    /// `MasterCopy` of any rule.
    type Master: Optimizer<Self> + 'static;
    fn master(rule: impl Optimizer<f32> + 'static, params: &[Self]) -> Self::Master;
    fn copy(master: &Self::Master) -> &[f32];

    /// Every rule in every nesting.
    fn nestings(params: &[Self]) -> Vec<Nesting<Self>>;
}

#[cfg(feature = "half")]
macro_rules! half_scalar {
    ($half:ident) => {
        impl HalfScalar for $half {
            fn of(value: f32) -> Self {
                $half::from_f32(value)
            }

            fn widened(self) -> f32 {
                self.to_f32()
            }

            fn grads_from_f32(grads: &[f32]) -> gradstep::Grads<'_, Self> {
                gradstep::Grads::from_f32(grads)
            }

            type Master = MasterCopy<$half, Box<dyn Optimizer<f32>>>;

            fn master(rule: impl Optimizer<f32> + 'static, params: &[Self]) -> Self::Master {
                MasterCopy::new(Box::new(rule) as Box<dyn Optimizer<f32>>, params).unwrap()
            }

            fn copy(master: &Self::Master) -> &[f32] {
                master.master()
            }

            fn nestings(params: &[Self]) -> Vec<Nesting<Self>> {
                fn nest<O: Optimizer<f32> + Clone + 'static>(
                    all: &mut Vec<Nesting<$half>>,
                    rule: &str,
                    inner: O,
                    params: &[$half],
                ) {
                    let copy = |inner: O| MasterCopy::new(inner, params).unwrap();
                    let guarded = || MasterCopy::new(FiniteGuard(inner.clone()), params).unwrap();
                    let boxed = $half::master(FiniteGuard(inner.clone()), params);
                    let mut add = |name, rejects, optimizer| all.push((format!("{name}, {rule}"), rejects, optimizer));
                    add("MasterCopy", false, Box::new(copy(inner.clone())));
                    add("FiniteGuard(MasterCopy)", true, Box::new(FiniteGuard(copy(inner.clone()))));
                    add("MasterCopy(FiniteGuard)", true, Box::new(guarded()));
                    add("MasterCopy(Box(FiniteGuard))", true, Box::new(boxed));
                    add("FiniteGuard(MasterCopy(FiniteGuard))", true, Box::new(FiniteGuard(guarded())));
                }
                let mut all = Vec::new();
                for form in FORMS {
                    let momentum = Momentum::new(LEARNING_RATE, MOMENTUM, params.len()).unwrap().with_form(form);
                    let momentum = momentum.with_weight_decay(WeightDecay::Coupled(DECAY)).unwrap();
                    nest(&mut all, &format!("{form:?}"), momentum, params);
                }
                nest(&mut all, "Sgd", Sgd::new(LEARNING_RATE).unwrap(), params);
                nest(&mut all, "Adam", adam(params.len()), params);
                nest(&mut all, "Lion", Lion::new(LEARNING_RATE, params.len()), params);
                all
            }
        }
    };
}

#[cfg(feature = "half")]
half_scalar!(bf16);
#[cfg(feature = "half")]
half_scalar!(f16);

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

/// Short ones, ones for whole vectors and a rest, around blocks of halves (512), and one that goes to two threads.
pub(crate) const FEW_LENS: [usize; 7] = [1, 31, 130, 512, 513, 1000, (1 << 17) + 77];

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

/// A test for each type: `check::<f32>()`, ….
#[allow(unused_macros, reason = "tests/allocations.rs has no such tests")]
macro_rules! in_types {
    ($check:ident: $($kind:ident)+) => {
        mod $check {
            #[allow(unused_imports, reason = "not every test is about halves")]
            use half::{bf16, f16};

            $(#[test]
            fn $kind() {
                super::$check::<$kind>();
            })+
        }
    };
}
#[allow(unused_imports, reason = "tests/allocations.rs has no such tests")]
pub(crate) use in_types;

// Messages and cases --------------------------------------------------------------------------------------------------

/// Asserts that it is rejected with this message.
pub(crate) fn says<T>(result: Result<T, impl Display>, message: &str) {
    let error = result.err().unwrap_or_else(|| panic!("accepted, not rejected with: {message}"));
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
    Blocks(Blocks),
    Weighted(Weighted),
    Mixture(Mixture<Shuffle>),
}

/// An order from outside, which can begin at any place: it begins one sample later each epoch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rotated(pub(crate) usize);

impl Order for Rotated {
    fn len(&self) -> u64 {
        self.0 as u64
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![("rotated", 1), ("len", self.len())]
    }

    fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
        place..place + 1
    }

    fn longest_run(&self) -> u64 {
        1
    }

    fn scratch_len(&self) -> usize {
        0
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        let first = (fill.epoch % self.len()) as usize;
        fill.out.iter_mut().zip(fill.start as usize..).for_each(|(sample, place)| *sample = (first + place) % self.0);
    }
}

/// An order from outside that is filled in windows, as one for data on a disk is: blocks of samples, the first of them
/// another one each epoch and one of them shorter; the samples of every two blocks backwards, by way of the scratch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blocks {
    pub(crate) len: usize,
    pub(crate) block_len: usize,
}

impl Blocks {
    fn block(&self, epoch: u64, number: usize) -> Range<usize> {
        let blocks = self.len.div_ceil(self.block_len);
        let block = (number + (epoch % blocks as u64) as usize) % blocks;
        block * self.block_len..self.len.min((block + 1) * self.block_len)
    }

    /// The first block of each window, and its places.
    fn windows(&self, epoch: u64) -> impl Iterator<Item = (usize, Range<u64>)> {
        let (blocks, mut end) = (self.len.div_ceil(self.block_len), 0);
        (0..blocks).step_by(2).map(move |number| {
            let start = end;
            end += (number..blocks.min(number + 2)).map(|number| self.block(epoch, number).len() as u64).sum::<u64>();
            (number, start..end)
        })
    }
}

impl Order for Blocks {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        vec![("blocks", 1), ("len", self.len()), ("block_len", self.block_len as u64)]
    }

    fn run(&self, epoch: u64, place: u64) -> Range<u64> {
        self.windows(epoch).find(|(_, places)| places.contains(&place)).unwrap().1
    }

    fn longest_run(&self) -> u64 {
        self.len().min(2 * self.block_len as u64)
    }

    fn scratch_len(&self) -> usize {
        self.longest_run() as usize
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        let mut out = fill.out.iter_mut();
        for (number, places) in self.windows(fill.epoch).skip_while(|(_, places)| places.start < fill.start) {
            let samples = self.block(fill.epoch, number).chain(self.block(fill.epoch, number + 1));
            let scratch = &mut fill.scratch[..(places.end - places.start) as usize];
            scratch.iter_mut().zip(samples).for_each(|(scratch, sample)| *scratch = sample);
            scratch.iter().rev().zip(&mut out).for_each(|(&sample, out)| *out = sample);
        }
        assert_eq!(out.len(), 0, "a run is cut");
    }
}

impl AnyOrder {
    fn inner(&self) -> &dyn Order {
        match self {
            AnyOrder::Shuffle(order) => order,
            AnyOrder::Sequential(order) => order,
            AnyOrder::Subset(order) => order,
            AnyOrder::Rotated(order) => order,
            AnyOrder::Blocks(order) => order,
            AnyOrder::Weighted(order) => order,
            AnyOrder::Mixture(order) => order,
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

    fn run(&self, epoch: u64, place: u64) -> Range<u64> {
        self.inner().run(epoch, place)
    }

    fn longest_run(&self) -> u64 {
        self.inner().longest_run()
    }

    fn scratch_len(&self) -> usize {
        self.inner().scratch_len()
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        self.inner().fill(fill);
    }
}

/// An order from outside that is filled by `inner`, and may contradict it in all else.
pub(crate) struct Says<O, R> {
    pub(crate) inner: O,
    pub(crate) len: u64,
    pub(crate) settings: Vec<(&'static str, u64)>,
    /// The run of a place.
    pub(crate) run: R,
    pub(crate) longest: u64,
    pub(crate) scratch: usize,
}

impl<O: Order, R: Fn(u64) -> Range<u64>> Order for Says<O, R> {
    fn len(&self) -> u64 {
        self.len
    }

    fn settings(&self) -> Vec<(&'static str, u64)> {
        self.settings.clone()
    }

    fn run(&self, _epoch: u64, place: u64) -> Range<u64> {
        (self.run)(place)
    }

    fn longest_run(&self) -> u64 {
        self.longest
    }

    fn scratch_len(&self) -> usize {
        self.scratch
    }

    fn fill(&self, fill: &mut Fill<'_>) {
        self.inner.fill(fill);
    }
}

/// `len` samples under these settings, in order.
pub(crate) fn named(len: usize, settings: &[(&'static str, u64)]) -> impl Order + use<> {
    let (inner, settings) = (Sequential::new(len).unwrap(), settings.to_vec());
    Says { inner, len: len as u64, settings, run: |place| place..place + 1, longest: 1, scratch: 0 }
}

pub(crate) fn orders() -> impl Strategy<Value = AnyOrder> {
    (1_usize..300, any::<u64>(), 0..7).prop_map(|(len, seed, kind)| match kind {
        0 => AnyOrder::Shuffle(Shuffle::new(len, seed).unwrap()),
        1 => AnyOrder::Sequential(Sequential::new(len).unwrap()),
        2 => AnyOrder::Subset(Subset::new((0..len).map(|i| 3 * i + 1).collect()).unwrap().shuffled(seed).unwrap()),
        3 => AnyOrder::Rotated(Rotated(len)),
        4 => AnyOrder::Blocks(Blocks { len, block_len: 1 + (seed % 60) as usize }),
        5 => AnyOrder::Weighted(Weighted::new(&[1.0, 0.0, 2.5], len, seed).unwrap()),
        _ => {
            let sets = [7, len].map(|len| Shuffle::new(len, seed).unwrap());
            AnyOrder::Mixture(Mixture::of_sets(sets.to_vec(), &[1, 1 + seed % 5], len as u64).unwrap())
        }
    })
}

pub(crate) fn batchers() -> impl Strategy<Value = Batcher<AnyOrder>> {
    (orders(), 1_usize..40, any::<bool>()).prop_map(|(order, batch_size, drop)| {
        let batch_size = batch_size.min(order.len() as usize);
        let batcher = Batcher::over(order, batch_size).unwrap();
        if drop { batcher.drop_last() } else { batcher }
    })
}

// Steps ---------------------------------------------------------------------------------------------------------------

/// `rows` are parameter, gradient, and the parameter after one step of `optimizer`; a slice holds them in turn.
pub(crate) fn steps_to<P: Scalar, const N: usize>(
    optimizer: impl Fn(&[P]) -> Box<dyn Optimizer<P>>,
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

/// The parameters after each step, one step after the other. `gradient` takes the number of the step, from 0, and the
/// parameters.
pub(crate) fn path<F: Scalar, const N: usize>(
    mut optimizer: impl Optimizer<F>,
    start: [f64; N],
    steps: usize,
    gradient: impl Fn(usize, [f64; N]) -> [f64; N],
) -> Vec<f64> {
    let exact = |params: [F; N]| params.map(|p| p.to_f64().unwrap());
    let mut params = start.map(number::<F>);
    let step = |k| {
        let grads = gradient(k, exact(params)).map(number);
        optimizer.step(&mut params, &grads).unwrap();
        exact(params)
    };
    (0..steps).flat_map(step).collect()
}

/// θ with g = θ, θ₀ = 16.
pub(crate) fn with_gradient_theta<F: Scalar>(optimizer: impl Optimizer<F>, steps: usize) -> Vec<f64> {
    path(optimizer, [16.0], steps, |_, theta| theta)
}
