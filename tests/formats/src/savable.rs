//! The list of the types that can be saved, and how to make and use a value of each. It serves this package and the
//! fuzz target `saved`: a new type is added here only.

use std::fmt::Debug;

use arbitrary::{Error::IncorrectFormat, Unstructured};
// Public, since the list is expanded elsewhere.
pub use gradstep::{
    Accumulator, Adam, Batcher, Blocks, ByName, Error, FiniteGuard, Grads, LossScale, MasterCopy, Mixture, Momentum,
    MomentumForm, MomentumRule, NoiseScale, Optimizer, Order, ParamGroups, Permutation, Position, ReduceOnPlateau,
    Restore, SavedFloat, Schedule, Sequential, Sgd, Shuffle, Step, Subset, WeightAverage, WeightDecay, Weighted, exact,
};
pub use half::{bf16, f16};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::common::{FORMS, Number, Scalar, Whole, decays, seldom, tiled};

/// Passes the list to the macro `then`. The table in `matrix.rs` refers to the types by the beginnings of their names.
macro_rules! every_type {
    ($then:ident) => {
        $then! {
            SgdF16: Sgd<f16>,
            SgdBf16: Sgd<bf16>,
            SgdF32: Sgd<f32>,
            SgdF64: Sgd<f64>,
            MomentumF16: Momentum<f16>,
            MomentumBf16: Momentum<bf16>,
            MomentumF32: Momentum<f32>,
            MomentumF64: Momentum<f64>,
            AdamF16: Adam<f16>,
            AdamBf16: Adam<bf16>,
            AdamF32: Adam<f32>,
            AdamF64: Adam<f64>,
            WeightDecay: WeightDecay,
            MomentumRule: MomentumRule,
            Form: MomentumForm,
            Guard: FiniteGuard<Momentum<f32>>,
            Groups: ParamGroups<f64, Momentum<f64>>,
            HalfGroups: ParamGroups<bf16, FiniteGuard<MasterCopy<bf16, Momentum<f32>>>>,
            MixedGroups: ParamGroups<f32, Mixed>,
            MasterBf16: MasterCopy<bf16, Momentum<f32>>,
            MasterF16: MasterCopy<f16, FiniteGuard<Sgd<f32>>>,
            Position: Position,
            Accumulator: Accumulator,
            WeightAverageF32: WeightAverage<f32>,
            WeightAverageF64: WeightAverage<f64>,
            NamedAccumulators: ByName<Accumulator>,
            NamedAverages: ByName<WeightAverage<f32>>,
            NoiseScale: NoiseScale,
            Schedule: Schedule,
            ReduceOnPlateau: ReduceOnPlateau,
            LossScale: LossScale,
            Own: Own,
        }
    };
}
pub(crate) use every_type;

pub trait Savable: Serialize + DeserializeOwned + Clone + PartialEq + Debug + 'static {
    /// Whether there is an untagged enum inside, which postcard and bincode cannot read.
    const UNTAGGED: bool = false;

    /// How many values the tests of this package try: enough for one of each kind.
    #[allow(dead_code, reason = "the fuzz target does not use it")]
    const VALUES: usize = 12;

    /// A value made from the bytes of `u`.
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self>;

    /// Uses the value, and returns all digits of the results. Panics if a constructor would reject the value.
    fn goes_on(self) -> String;
}

/// All bits of `value`: its JSON and postcard's bytes. A `text` format has only one NaN, so a value with a NaN is compared
/// by its JSON alone.
pub fn bits<T: Serialize>(value: &T, text: bool) -> (String, Vec<u8>) {
    let json = serde_json::to_string(value).unwrap();
    let nan = text && json.contains("NaN");
    (json, if nan { vec![] } else { postcard::to_allocvec(value).unwrap() })
}

// Parts of values -----------------------------------------------------------------------------------------------------

fn made<T>(made: Result<T, Error>) -> arbitrary::Result<T> {
    made.map_err(|_| IncorrectFormat)
}

fn whole(u: &mut Unstructured) -> arbitrary::Result<u64> {
    u.arbitrary().map(Whole::get)
}

/// A learning rate or a strength of parameters of `F`, mostly valid.
fn setting<F: Scalar>(u: &mut Unstructured) -> arbitrary::Result<f64> {
    let number = u.arbitrary::<Number>()?.setting::<F>();
    Ok(if number.is_finite() && number >= 0.0 { number } else { 1.0 })
}

/// At least 0 and below 1, such as a momentum.
fn fraction<F: Scalar>(u: &mut Unstructured) -> arbitrary::Result<f64> {
    let number = u.arbitrary::<Number>()?.setting::<F>();
    Ok(if (0.0..1.0).contains(&number) { number } else { 0.5 })
}

fn decay<F: Scalar>(u: &mut Unstructured) -> arbitrary::Result<WeightDecay> {
    let strength = setting::<F>(u)?;
    u.choose(&decays(strength)).copied()
}

fn rule<F: Scalar>(u: &mut Unstructured) -> arbitrary::Result<MomentumRule> {
    let (learning_rate, momentum) = (setting::<F>(u)?, fraction::<F>(u)?);
    Ok(MomentumRule { learning_rate, momentum, form: *u.choose(&FORMS)?, weight_decay: decay::<F>(u)? })
}

/// Short, or seldom around the 4096 numbers that are one string of bytes.
fn len(u: &mut Unstructured) -> arbitrary::Result<usize> {
    let long = seldom(&u.peek_bytes(u.len()));
    u.int_in_range(if long { 4095..=4098 } else { 0..=15 })
}

fn numbers<F: Scalar>(u: &mut Unstructured, len: usize) -> arbitrary::Result<Vec<F>> {
    let own = (0..len.min(15)).map(|_| u.arbitrary()).collect::<arbitrary::Result<Vec<Number>>>()?;
    Ok(tiled(&own, len))
}

/// One of four, so that a name comes twice, or any string.
fn name(u: &mut Unstructured) -> arbitrary::Result<String> {
    Ok(match u.int_in_range(0..=4)? {
        4 => u.arbitrary()?,
        i => ["weights", "", "π \" \n", "bias"][i].into(),
    })
}

/// Three steps with gradients of usual sizes.
fn steps<P: Scalar>(mut optimizer: impl Optimizer<P> + Debug) -> String {
    let len = optimizer.state_len().unwrap_or(3);
    let at = |i: usize| P::nearest((i * 7919 % 1000) as f64 / 300.0 - 1.7);
    let mut params: Vec<P> = (0..len).map(at).collect();
    for k in 1..=3 {
        let grads: Vec<P> = (0..len).map(|i| at(i + 31 * k)).collect();
        optimizer.step(&mut params, &grads).unwrap();
    }
    format!("{params:?} {optimizer:?}")
}

// Optimizers ----------------------------------------------------------------------------------------------------------

impl<F: Scalar + SavedFloat> Savable for Sgd<F> {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let mut sgd = made(made(Sgd::new(setting::<F>(u)?))?.with_weight_decay(decay::<F>(u)?))?;
        for _ in 0..u.int_in_range(0..=3)? {
            sgd.step(&mut [], &[]).unwrap();
        }
        Ok(sgd)
    }

    fn goes_on(self) -> String {
        Sgd::<F>::new(self.learning_rate()).unwrap().with_weight_decay(self.weight_decay()).unwrap();
        steps(self)
    }
}

impl<F: Scalar + SavedFloat> Savable for Momentum<F> {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let len = len(u)?;
        let momentum = made(Momentum::with_rule(rule::<F>(u)?, len))?;
        made(momentum.with_velocity(&numbers(u, len)?, whole(u)?))
    }

    fn goes_on(self) -> String {
        Momentum::<F>::with_rule(*self.rule(), self.velocity().len()).unwrap();
        steps(self)
    }
}

impl<F: Scalar + SavedFloat> Savable for Adam<F> {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let (len, betas) = (len(u)?, [fraction::<F>(u)?, fraction::<F>(u)?]);
        let adam = made(Adam::with_settings(setting::<F>(u)?, betas, setting::<F>(u)?, len))?;
        let (m, mut v) = (numbers(u, len)?, numbers::<F>(u, len)?);
        v.iter_mut().for_each(|v| *v = v.abs());
        made(made(adam.with_weight_decay(decay::<F>(u)?))?.with_state(&m, &v, whole(u)?))
    }

    fn goes_on(self) -> String {
        let adam = Adam::with_settings(self.learning_rate(), self.betas(), self.eps(), self.m().len()).unwrap();
        let adam = adam.with_weight_decay(self.weight_decay()).unwrap();
        adam.with_state(self.m(), self.v(), self.steps()).unwrap();
        steps(self)
    }
}

impl Savable for WeightDecay {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        decay::<f64>(u)
    }

    fn goes_on(self) -> String {
        Sgd::<f64>::new(1.0).unwrap().with_weight_decay(self).unwrap();
        format!("{self:?}")
    }
}

impl Savable for MomentumRule {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        rule::<f64>(u)
    }

    fn goes_on(self) -> String {
        self.step(&mut [1.0], &mut [0.0], &[0.0]).unwrap();
        format!("{self:?}")
    }
}

impl Savable for MomentumForm {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        u.choose(&FORMS).copied()
    }

    fn goes_on(self) -> String {
        format!("{self:?}")
    }
}

impl<O: Savable> Savable for FiniteGuard<O> {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        O::any(u).map(FiniteGuard)
    }

    fn goes_on(self) -> String {
        self.0.goes_on()
    }
}

macro_rules! master_copy {
    ($half:ty, $optimizer:ty) => {
        impl Savable for MasterCopy<$half, $optimizer> {
            fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
                let optimizer = <$optimizer>::any(u)?;
                let len = Optimizer::<f32>::state_len(&optimizer).map_or_else(|| len(u), Ok)?;
                let (mut params, grads) = (numbers(u, len)?, numbers(u, len)?);
                let mut copy = made(MasterCopy::new(optimizer, &params))?;
                // After a step the copy is not of the half type. Guarded ones reject some gradients.
                let _ = copy.step(&mut params, &grads);
                Ok(copy)
            }

            fn goes_on(self) -> String {
                format!("{} {:?} {}", self.optimizer().clone().goes_on(), self.master(), steps::<$half>(self.clone()))
            }
        }
    };
}
master_copy!(bf16, Momentum<f32>);
master_copy!(f16, FiniteGuard<Sgd<f32>>);

/// Two kinds of optimizers for one model, in an enum that writes no tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mixed {
    Sgd(Sgd<f32>),
    Momentum(Momentum<f32>),
}

macro_rules! either {
    ($self:ident, $optimizer:ident => $call:expr) => {
        match $self {
            Mixed::Sgd($optimizer) => $call,
            Mixed::Momentum($optimizer) => $call,
        }
    };
}

impl Optimizer<f32> for Mixed {
    fn check(&self, grads: Grads<f32>) -> Result<(), Error> {
        either!(self, optimizer => optimizer.check(grads))
    }

    fn update(&mut self, step: Step<f32>) -> Result<(), Error> {
        either!(self, optimizer => optimizer.update(step))
    }

    fn learning_rate(&self) -> f64 {
        either!(self, optimizer => optimizer.learning_rate())
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        either!(self, optimizer => optimizer.set_learning_rate(learning_rate))
    }

    fn steps(&self) -> u64 {
        either!(self, optimizer => optimizer.steps())
    }

    fn reset(&mut self) {
        either!(self, optimizer => optimizer.reset())
    }

    fn state_len(&self) -> Option<usize> {
        either!(self, optimizer => optimizer.state_len())
    }
}

impl Restore for Mixed {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        match (self, other) {
            (Mixed::Sgd(own), Mixed::Sgd(other)) => own.swap_state(other),
            (Mixed::Momentum(own), Mixed::Momentum(other)) => own.swap_state(other),
            _ => unreachable!("only restored from its own copy"),
        }
    }
}

impl Savable for Mixed {
    const UNTAGGED: bool = true;

    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        if u.arbitrary()? { Sgd::any(u).map(Mixed::Sgd) } else { Momentum::any(u).map(Mixed::Momentum) }
    }

    fn goes_on(self) -> String {
        either!(self, optimizer => optimizer.goes_on())
    }
}

impl<P: Scalar + SavedFloat, O: Optimizer<P> + Restore + Savable> Savable for ParamGroups<P, O> {
    const UNTAGGED: bool = O::UNTAGGED;

    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let mut model = ParamGroups::new();
        for _ in 0..u.int_in_range(0..=4)? {
            // A name may come twice, and a rate be too large.
            let _ = model.insert(name(u)?, O::any(u)?);
        }
        let _ = model.scale_learning_rates(setting::<P>(u)?);
        let names: Vec<String> = model.names().map(String::from).collect();
        names.iter().for_each(|name| model.freeze(name).unwrap());
        for _ in 0..u.int_in_range(0..=3)? {
            model.step(&mut []).unwrap();
        }
        for name in &names {
            if u.arbitrary()? {
                model.unfreeze(name).unwrap();
            }
        }
        // Without tensors there is nothing untagged.
        if O::UNTAGGED && names.is_empty() { Err(IncorrectFormat) } else { Ok(model) }
    }

    fn goes_on(mut self) -> String {
        let names: Vec<String> = self.names().map(String::from).collect();
        assert!((1..names.len()).all(|i| !names[..i].contains(&names[i])));
        let each: Vec<String> = names.iter().map(|name| self.get(name).unwrap().clone().goes_on()).collect();
        // The factor that it was saved with is one that it would take.
        let saved = serde_json::to_value(&self).unwrap();
        self.clone().scale_learning_rates(saved["factor"].as_str().unwrap().parse().unwrap()).unwrap();
        self.clone().restore(self.clone()).unwrap();
        names.iter().for_each(|name| self.unfreeze(name).unwrap());
        // From the rates at factor 1, which are saved as well. Some become too small.
        let scaled = self.scale_learning_rates(0.3);
        let ones = |name: &String| vec![P::one(); self.get(name).unwrap().state_len().unwrap_or(3)];
        let (mut params, grads): (Vec<_>, Vec<_>) = names.iter().map(|name| (ones(name), ones(name))).unzip();
        let tensors = names.iter().zip(&mut params).zip(&grads);
        let mut tensors: Vec<_> =
            tensors.map(|((name, params), grads)| (&**name, &mut params[..], &grads[..])).collect();
        self.step(&mut tensors).unwrap();
        let stepped: Vec<&O> = names.iter().filter_map(|name| self.get(name)).collect();
        format!("{each:?} {scaled:?} {params:?} {stepped:?} {}", self.steps())
    }
}

// Gradients and averages ----------------------------------------------------------------------------------------------

impl Savable for Accumulator {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let len = len(u)?;
        let mut accumulator = made(Accumulator::new(len))?;
        for _ in 0..u.int_in_range(0..=3)? {
            // The samples may be too many.
            let _ = accumulator.add::<f64>(&numbers(u, len)?, whole(u)? as usize);
        }
        Ok(accumulator)
    }

    fn goes_on(mut self) -> String {
        let samples = self.samples();
        let zeros = vec![0.0; serde_json::to_value(&self).unwrap()["sum"].as_array().unwrap().len()];
        assert_eq!(self.add(&zeros, 1).is_ok(), samples < u64::MAX);
        let mut mean = zeros.clone();
        let before = format!("{:?} {mean:?} {self:?}", self.mean(&mut mean));
        self.reset();
        self.add(&zeros, 1).unwrap();
        before
    }
}

impl<F: Scalar + SavedFloat> Savable for WeightAverage<F> {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let (len, decay) = (len(u)?, fraction::<F>(u)?);
        let mut average = made(if u.arbitrary()? { WeightAverage::mean(len) } else { WeightAverage::ema(decay, len) })?;
        if u.arbitrary()? {
            average = average.with_warmup();
        }
        for _ in 0..u.int_in_range(0..=3)? {
            // Some parameters are not finite.
            let _ = average.update(&numbers(u, len)?);
        }
        if u.arbitrary()? {
            let _ = average.swap(&mut numbers(u, len)?);
        }
        Ok(average)
    }

    fn goes_on(self) -> String {
        let saved = serde_json::to_value(&self).unwrap();
        let mut params = vec![F::one(); saved["values"].as_array().unwrap().len()];
        let mut average = self.clone();
        if average.is_swapped() {
            average.swap(&mut params).unwrap();
        }
        let swapped = format!("{params:?} {average:?}");
        params.fill(F::one());
        // `swap` does not check the values that it takes.
        let half = F::max_value() / (F::one() + F::one());
        if average.values().is_err() || average.values().unwrap().iter().all(|value| value.abs() <= half) {
            average.update(&params).unwrap();
        }
        average.restore(self).unwrap();
        format!("{swapped} {average:?}")
    }
}

impl<T: Savable> Savable for ByName<T> {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        // At least one, since all types look the same without.
        let tensors = (0..u.int_in_range(1..=4)?).map(|_| Ok((name(u)?, T::any(u)?)));
        made(ByName::new(tensors.collect::<arbitrary::Result<Vec<_>>>()?)) // a name may come twice
    }

    fn goes_on(self) -> String {
        assert!(self.iter().all(|(name, _)| self.get(name).is_some()));
        self.iter().map(|(name, each)| format!("{name} {}", each.clone().goes_on())).collect()
    }
}

impl Savable for NoiseScale {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let mut noise = NoiseScale::new();
        for _ in 0..u.int_in_range(0..=3)? {
            let small = (u.int_in_range(1..=9)?, setting::<f64>(u)?);
            let _ = noise.add(small, (10 + whole(u)? as usize / 2, setting::<f64>(u)?));
        }
        Ok(noise)
    }

    fn goes_on(mut self) -> String {
        assert!(self.squared_norm().is_none_or(f64::is_finite) && self.covariance_trace().is_none_or(f64::is_finite));
        self.add((1, 0.0), (2, 0.0)).unwrap();
        format!("{self:?} {:?}", self.batch_size())
    }
}

// Schedules -----------------------------------------------------------------------------------------------------------

impl Savable for Schedule {
    const VALUES: usize = 40;

    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let [from, to] = [setting::<f64>(u)?, setting::<f64>(u)?];
        let [steps, other] = [whole(u)?, whole(u)?];
        let one = made(match u.int_in_range(0..=9)? {
            0 => Schedule::constant(from),
            1 => Schedule::linear(from, to, steps),
            2 => Schedule::polynomial(from, to, setting::<f64>(u)?, steps),
            3 => Schedule::step_decay(from, fraction::<f64>(u)?, steps),
            4 => Schedule::cosine(from, to, steps),
            5 => Schedule::cosine_restarts(from, to, steps, other),
            6 => Schedule::geometric(from, to, steps),
            7 => Schedule::inverse_time(from, setting::<f64>(u)?, steps),
            8 => Schedule::piecewise_constant(from, &[(steps, to), (other, from)]),
            _ => Schedule::one_cycle(from, to, from, setting::<f64>(u)?, other as f64),
        })?;
        Ok(if u.arbitrary()? { one.then(other, Self::any(u)?) } else { one })
    }

    fn goes_on(self) -> String {
        let steps = (0..50).chain([300, 1 << 40, (1 << 53) + 1, 1 << 63, u64::MAX]);
        let rates: Vec<f64> = steps.map(|step| self.at(step)).collect();
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
        format!("{self:?} {rates:?}")
    }
}

impl Savable for ReduceOnPlateau {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let [reduction, relative, absolute] = [fraction::<f64>(u)?, fraction::<f64>(u)?, setting::<f64>(u)?];
        let new = made(ReduceOnPlateau::new(reduction, whole(u)?))?;
        let mut plateau = made(new.with_threshold(relative, absolute))?.with_cooldown(whole(u)?);
        for _ in 0..u.int_in_range(0..=9)? {
            let _ = plateau.step(u.arbitrary::<Number>()?.get());
        }
        Ok(plateau)
    }

    fn goes_on(mut self) -> String {
        let before = self.factor();
        let factors = [0.1, 0.05, 0.0, 0.0].map(|loss| self.step(loss).unwrap());
        assert!(factors.iter().all(|factor| (0.0..=before).contains(factor)));
        format!("{factors:?} {self:?}")
    }
}

impl Savable for LossScale {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let mut loss_scale = made(LossScale::new(2_f64.powi(u.int_in_range(-126..=126)?), whole(u)?))?;
        for _ in 0..u.int_in_range(0..=9)? {
            let bad = Error::NonFinite { name: String::new(), index: 0, value: f64::NAN };
            loss_scale.update(if u.arbitrary()? { Ok(()) } else { Err(bad) }).unwrap();
        }
        Ok(loss_scale)
    }

    fn goes_on(mut self) -> String {
        LossScale::new(self.scale(), 1).unwrap();
        self.update(Ok(())).unwrap();
        format!("{self:?}")
    }
}

// Positions -----------------------------------------------------------------------------------------------------------

/// An order of each kind.
fn orders() -> [Box<dyn Order>; 9] {
    let mixed: Vec<Box<dyn Order>> =
        vec![Box::new(Shuffle::new(10, 3).unwrap()), Box::new(Sequential::new(7).unwrap())];
    [
        Box::new(Shuffle::new(10, (1 << 53) + 1).unwrap()),
        Box::new(Shuffle::new(10, u64::MAX).unwrap()),
        Box::new(Sequential::new(10).unwrap()),
        Box::new(Permutation::new(1 << 48, 7).unwrap()),
        Box::new(Blocks::new(1 << 62, 1 << 10, 16, u64::MAX).unwrap().with_lanes(8).unwrap()),
        Box::new(Subset::new((3..13).collect()).unwrap().shuffled(1).unwrap()),
        Box::new(Weighted::new(&[0.1, 0.0, 3.0], 1 << 30, u64::MAX).unwrap()),
        Box::new(Mixture::stratified(&[0, 1, 0, 2, 0, 1, 0], 1).unwrap()),
        Box::new(Mixture::of_sets(mixed, &[3, 1], 10).unwrap().with_shares_from(1 << 60, &[1, 1]).unwrap()),
    ]
}

impl Savable for Position {
    const VALUES: usize = 40;

    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let (order, batch_size): (Box<dyn Order>, _) = match u.int_in_range(0..=11)? {
            0 => (Box::new(made(Shuffle::new(whole(u)? as usize, whole(u)?))?), whole(u)?),
            1 => (Box::new(made(Sequential::new(whole(u)? as usize))?), whole(u)?),
            2 => (Box::new(Shuffle::new(Shuffle::MAX_LEN, whole(u)?).unwrap()), 3),
            i => (orders().into_iter().nth(i - 3).unwrap(), 3),
        };
        let batcher = made(Batcher::over(&order, batch_size as usize))?;
        let batcher = if u.arbitrary()? { batcher.drop_last() } else { batcher };
        made(batcher.position(whole(u)?, whole(u)? % order.len().saturating_add(1)))
    }

    fn goes_on(self) -> String {
        assert!(self.batch_size() > 0);
        assert!(Batcher::new(3, 2, 77).unwrap().resume(&self).is_err() || self.samples() <= 3);
        let streams = orders().map(|order| {
            let batcher = Batcher::over(&order, 3).unwrap();
            [batcher, batcher.drop_last()].map(|batcher| {
                let mut stream = batcher.resume(&self).ok()?;
                Some((0..10).map(|_| stream.next_batch().map(<[usize]>::to_vec)).collect::<Vec<_>>())
            })
        });
        format!("{self:?} {streams:?}")
    }
}

/// A user's own numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    #[serde(with = "exact")]
    best_loss: f64,
    #[serde(with = "exact")]
    samples: u64,
    #[serde(with = "exact")]
    params: Vec<f32>,
    #[serde(with = "exact")]
    halves: Box<[f16]>,
    #[serde(with = "exact")]
    layers: Box<[Vec<[bf16; 17]>]>,
}

impl Savable for Own {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let (len, layers) = (len(u)?, u.int_in_range(0..=2)?);
        let layer = |u: &mut Unstructured| Ok(numbers(u, 2 * 17)?.as_chunks().0.to_vec());
        Ok(Own {
            best_loss: u.arbitrary::<Number>()?.get(),
            samples: whole(u)?,
            params: numbers(u, len)?,
            halves: numbers(u, len)?.into(),
            layers: (0..layers).map(|_| layer(u)).collect::<arbitrary::Result<_>>()?,
        })
    }

    fn goes_on(self) -> String {
        format!("{self:?}")
    }
}
