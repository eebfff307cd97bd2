//! Every type that can be saved, with values that are hard to save.

use std::fmt::Debug;

use gradstep::{
    Accumulator, Adam, Batcher, Blocks, ByName, Error, FiniteGuard, Grads, LossScale, MasterCopy, Mixture, Momentum,
    MomentumForm, MomentumRule, NoiseScale, Optimizer, Order, ParamGroups, Permutation, Position, ReduceOnPlateau,
    Schedule, Sequential, Sgd, Shuffle, Step, Subset, WeightAverage, WeightDecay, Weighted, exact,
};
use half::{bf16, f16};
use num_traits::Float;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    formats::Format,
    nestings::{self, Cell, Nesting},
};

/// The list. A name of the table in `matrix.rs` stands for all types that begin with it.
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
            MomentumRule: gradstep::MomentumRule,
            Form: gradstep::MomentumForm,
            Guard: FiniteGuard<Momentum<f32>>,
            Groups: Groups,
            MixedGroups: MixedGroups,
            MasterBf16: MasterBf16,
            MasterF16: MasterF16,
            Position: Position,
            Accumulator: gradstep::Accumulator,
            WeightAverageF32: gradstep::WeightAverage<f32>,
            WeightAverageF64: gradstep::WeightAverage<f64>,
            NamedAccumulators: gradstep::ByName<gradstep::Accumulator>,
            NamedAverages: gradstep::ByName<gradstep::WeightAverage<f32>>,
            NoiseScale: gradstep::NoiseScale,
            Schedule: gradstep::Schedule,
            ReduceOnPlateau: gradstep::ReduceOnPlateau,
            LossScale: gradstep::LossScale,
            Own: Own,
        }
    };
}
pub(crate) use every_type;

pub type Groups = ParamGroups<f64, Momentum<f64>>;
pub type MixedGroups = ParamGroups<f32, Mixed>;
pub type MasterBf16 = MasterCopy<bf16, Momentum<f32>>;
pub type MasterF16 = MasterCopy<f16, FiniteGuard<Sgd<f32>>>;

pub trait Subject: Clone + PartialEq + Debug + 'static {
    fn values() -> Vec<Self>;

    /// What the value does from here on, to the bit.
    fn goes_on(self) -> String;
}

/// A type with its name, without the type.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    /// Every value in a format.
    pub files: fn(Format) -> Vec<Vec<u8>>,
    /// Loaded and saved again.
    pub again: fn(Format, &[u8]) -> Result<Vec<u8>, String>,
    pub cell: fn(Nesting, Format) -> Cell,
}

macro_rules! kinds {
    ($($name:ident: $type:ty,)*) => {
        pub fn kinds() -> Vec<Kind> {
            vec![$(Kind {
                name: stringify!($name),
                files: files::<$type>,
                again: again::<$type>,
                cell: nestings::cell::<$type>,
            }),*]
        }
    };
}
every_type!(kinds);

fn files<T: Subject + Serialize>(format: Format) -> Vec<Vec<u8>> {
    T::values().iter().filter_map(|value| format.save(value).ok()).collect()
}

fn again<T: Serialize + DeserializeOwned>(format: Format, bytes: &[u8]) -> Result<Vec<u8>, String> {
    format.save(&format.load::<T>(bytes)?)
}

// Values --------------------------------------------------------------------------------------------------------------

fn number<F: Float>(value: f64) -> F {
    F::from(value).unwrap()
}

fn hard<F: Float>() -> Vec<F> {
    let (least, tiny) = (F::min_positive_value(), F::min_positive_value() * F::epsilon());
    let finite = [number(0.1), F::one() + F::epsilon(), F::max_value(), least, least - tiny, tiny, F::zero()];
    let both = finite.into_iter().flat_map(|value| [value, -value]);
    both.chain([F::infinity(), F::neg_infinity(), F::nan()]).collect()
}

/// Those that a setting can have; -0.0 is among them.
fn settings<F: Float>() -> Vec<F> {
    hard().into_iter().filter(|value: &F| value.is_finite() && *value >= F::zero()).collect()
}

fn decay<F: Float + Send + Sync + 'static>(i: usize) -> WeightDecay {
    let valid = |strength: &f64| Sgd::<F>::new(*strength).is_ok(); // the same numbers are valid rates
    let strengths: Vec<f64> = settings().into_iter().filter(valid).collect();
    let strength = strengths[i % strengths.len()];
    [WeightDecay::None, WeightDecay::Coupled(strength), WeightDecay::Decoupled(strength)][i % 3]
}

/// Valid for `F`.
fn rules<F: Float + Send + Sync + 'static>() -> Vec<MomentumRule> {
    let numbers = settings::<f64>;
    let valid = |rule: &MomentumRule| Momentum::<F>::with_rule(*rule, 0).is_ok();
    let all = numbers().into_iter().flat_map(|rate| numbers().into_iter().map(move |lambda| (rate, lambda)));
    let rule = |(i, (rate, lambda))| MomentumRule {
        form: FORMS[i % 4],
        weight_decay: decay::<F>(i),
        ..MomentumRule::new(rate, lambda)
    };
    all.enumerate().map(rule).filter(valid).step_by(3).take(12).collect()
}

const FORMS: [MomentumForm; 4] =
    [MomentumForm::Classical, MomentumForm::Nesterov, MomentumForm::PyTorch, MomentumForm::PyTorchNesterov];
const STEPS: [u64; 5] = [0, 300, (1 << 53) + 1, 1 << 63, u64::MAX];

fn ten_steps<F: Float + Serialize>(len: usize, mut step: impl FnMut(&mut [F], &[F]) -> Result<(), Error>) -> String {
    let at = |i: usize| number((i * 7919 % 1000) as f64 / 300.0 - 1.7);
    let mut params: Vec<F> = (0..len).map(at).collect();
    let steps: Vec<_> = (1..=10)
        .map(|k| {
            let grads: Vec<F> = (0..len).map(|i| at(i + 31 * k)).collect();
            step(&mut params, &grads)
        })
        .collect();
    format!("{steps:?} {:?}", nestings::bits(&params))
}

impl<F: Float + Send + Sync + Debug + Serialize + 'static> Subject for Sgd<F> {
    fn values() -> Vec<Self> {
        let new = |(i, rate)| Some(Sgd::new(rate).ok()?.with_weight_decay(decay::<F>(i)).unwrap());
        let mut values: Vec<_> = settings().into_iter().enumerate().filter_map(new).collect();
        values[0].step(&mut [], &[]).unwrap();
        values
    }

    fn goes_on(mut self) -> String {
        let steps = ten_steps(3, |params, grads| self.step(params, grads));
        format!("{steps} {self:?}")
    }
}

impl<F: Float + Send + Sync + Debug + Serialize + 'static> Subject for Momentum<F> {
    fn values() -> Vec<Self> {
        let new = |(i, rule)| {
            let velocity = if i == 5 { Vec::new() } else { hard::<F>() };
            let new = Momentum::with_rule(rule, velocity.len()).unwrap();
            new.with_velocity(&velocity, STEPS[i % 5]).unwrap()
        };
        rules::<F>().into_iter().enumerate().map(new).collect()
    }

    fn goes_on(mut self) -> String {
        let steps = ten_steps(self.velocity().len(), |params, grads| self.step(params, grads));
        format!("{steps} {self:?}")
    }
}

impl<F: Float + Send + Sync + Debug + Serialize + 'static> Subject for Adam<F> {
    fn values() -> Vec<Self> {
        let numbers = settings::<f64>;
        let new = |(i, eps)| {
            let beta = |i: usize| numbers().into_iter().cycle().nth(i).unwrap();
            let m = if i == 5 { Vec::new() } else { hard::<F>() };
            let v: Vec<F> = m.iter().map(|m| m.abs()).collect();
            let adam = Adam::with_settings(0.1, [beta(i), beta(i + 3)], eps, m.len()).ok()?;
            adam.with_weight_decay(decay::<F>(i)).ok()?.with_state(&m, &v, STEPS[i % 5]).ok()
        };
        let all = numbers().into_iter().cycle().take(60);
        let usual = Adam::with_settings(0.1, [0.9, 0.95], 1e-4, 2).unwrap();
        all.enumerate().filter_map(new).take(12).chain([usual]).collect()
    }

    fn goes_on(mut self) -> String {
        let steps = ten_steps(self.m().len(), |params, grads| self.step(params, grads));
        format!("{steps} {self:?}")
    }
}

impl Subject for FiniteGuard<Momentum<f32>> {
    fn values() -> Vec<Self> {
        Subject::values().into_iter().map(FiniteGuard).collect()
    }

    fn goes_on(mut self) -> String {
        let steps = ten_steps(self.0.velocity().len(), |params, grads| self.step(params, grads));
        format!("{steps} {:?}", self.0)
    }
}

impl Subject for MomentumRule {
    fn values() -> Vec<Self> {
        rules::<f64>()
    }

    fn goes_on(self) -> String {
        format!("{self:?}")
    }
}

impl Subject for WeightDecay {
    fn values() -> Vec<Self> {
        let decays = settings().into_iter().flat_map(|w| [WeightDecay::Coupled(w), WeightDecay::Decoupled(w)]);
        [WeightDecay::None].into_iter().chain(decays).collect()
    }

    fn goes_on(self) -> String {
        format!("{self:?}")
    }
}

impl Subject for MomentumForm {
    fn values() -> Vec<Self> {
        FORMS.to_vec()
    }

    fn goes_on(self) -> String {
        format!("{self:?}")
    }
}

/// Several tensors, one of them frozen, under a common factor.
fn groups<O: Optimizer<F>, F: Float>(optimizers: Vec<O>) -> ParamGroups<F, O> {
    let mut groups = ParamGroups::new();
    for (i, mut optimizer) in optimizers.into_iter().enumerate() {
        optimizer.set_learning_rate([0.1, 0.7][i % 2]).unwrap();
        groups.insert(format!("tensor {i}"), optimizer).unwrap();
    }
    groups.scale_learning_rates(0.7).unwrap();
    groups.freeze("tensor 1").unwrap();
    groups
}

fn groups_go_on<O: Optimizer<F> + Debug, F: Float + Serialize + Debug + Send + Sync>(
    mut groups: ParamGroups<F, O>,
) -> String {
    let names: Vec<String> = groups.names().map(String::from).collect();
    let lens: Vec<usize> = names.iter().map(|name| groups.get(name).unwrap().state_len().unwrap_or(2)).collect();
    groups.unfreeze("tensor 1").unwrap();
    groups.scale_learning_rates(0.3).unwrap(); // of the rates at factor 1, which are saved as well
    let steps = ten_steps(lens.iter().sum(), |mut params: &mut [F], mut grads: &[F]| {
        let mut tensors = Vec::new();
        for (name, &len) in names.iter().zip(&lens) {
            let (own, rest) = params.split_at_mut(len);
            tensors.push((name.as_str(), own, &grads[..len]));
            (params, grads) = (rest, &grads[len..]);
        }
        groups.step(&mut tensors)
    });
    format!("{steps} {groups:?}")
}

impl Subject for Groups {
    fn values() -> Vec<Self> {
        vec![groups(Momentum::values()), ParamGroups::new()]
    }

    fn goes_on(self) -> String {
        if self.names().count() > 0 { groups_go_on(self) } else { format!("{self:?}") }
    }
}

/// Kinds of optimizers in one model, as a user writes it who wants the files without a tag of the user's own.
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

impl Subject for MixedGroups {
    fn values() -> Vec<Self> {
        let sgds = Sgd::values().into_iter().map(Mixed::Sgd);
        vec![groups(sgds.chain(Momentum::values().into_iter().map(Mixed::Momentum)).collect())]
    }

    fn goes_on(self) -> String {
        groups_go_on(self)
    }
}

/// After three steps, so that the master copy is no longer of the half type.
macro_rules! master {
    ($type:ty, $half:ty, $optimizer:expr) => {
        impl Subject for $type {
            fn values() -> Vec<Self> {
                let mut params: [$half; 3] = [number(0.1), -<$half>::MIN_POSITIVE_SUBNORMAL, <$half>::NEG_ZERO];
                let mut stepped = MasterCopy::new($optimizer, &params).unwrap();
                let new = stepped.clone();
                for grad in [0.3, -1e-4, 0.7] {
                    stepped.step(&mut params, &[number(grad); 3]).unwrap();
                }
                vec![new, stepped]
            }

            fn goes_on(mut self) -> String {
                let steps = ten_steps(3, |params: &mut [$half], grads| self.step(params, grads));
                format!("{steps} {:?} {:?}", self.master(), self.optimizer())
            }
        }
    };
}
master!(MasterBf16, bf16, {
    let new = Momentum::new(1e-3, 0.9, 3).unwrap().with_form(MomentumForm::PyTorch);
    new.with_velocity(&[0.1, 1e-45, -0.0], u64::MAX - 20).unwrap()
});
master!(MasterF16, f16, FiniteGuard(Sgd::new(2e-8).unwrap().with_weight_decay(WeightDecay::Decoupled(0.1)).unwrap()));

fn orders() -> [Box<dyn Order>; 10] {
    let mixed: Vec<Box<dyn Order>> =
        vec![Box::new(Shuffle::new(10, 3).unwrap()), Box::new(Sequential::new(7).unwrap())];
    [
        Box::new(Shuffle::new(10, (1 << 53) + 1).unwrap()),
        Box::new(Shuffle::new(10, u64::MAX).unwrap()),
        Box::new(Shuffle::new(Shuffle::MAX_LEN, 0).unwrap()),
        Box::new(Sequential::new(10).unwrap()),
        Box::new(Permutation::new(1 << 48, 7).unwrap()),
        Box::new(Blocks::new(1 << 62, 1 << 10, 16, u64::MAX).unwrap().with_lanes(8).unwrap()),
        Box::new(Subset::new((3..13).collect()).unwrap().shuffled(1).unwrap()),
        Box::new(Weighted::new(&[0.1, 0.0, 3.0], 1 << 30, u64::MAX).unwrap()),
        Box::new(Mixture::stratified(&[0, 1, 0, 2, 0, 1, 0], 1).unwrap()),
        Box::new(Mixture::of_sets(mixed, &[3, 1], 10).unwrap().with_shares_from(1 << 60, &[1, 1]).unwrap()),
    ]
}

impl Subject for Position {
    fn values() -> Vec<Self> {
        let epochs = [0, (1 << 53) + 1, u64::MAX - 1].into_iter();
        let positions = |epoch| {
            orders().map(|order| {
                let batcher = Batcher::over(order, 3).unwrap();
                let batcher = if epoch > 0 { batcher.drop_last() } else { batcher };
                batcher.position(epoch, 6).unwrap()
            })
        };
        epochs.flat_map(positions).collect()
    }

    fn goes_on(self) -> String {
        let streams = orders().map(|order| {
            let batcher = Batcher::over(&order, 3).unwrap();
            let batcher = if self.epoch() > 0 { batcher.drop_last() } else { batcher };
            // The longest table would take minutes.
            let mut stream = (order.len() != Shuffle::MAX_LEN as u64).then(|| batcher.resume(&self))?.ok()?;
            Some((0..10).map(|_| stream.next_batch().map(<[usize]>::to_vec)).collect::<Vec<_>>())
        });
        format!("{self:?} {streams:?}")
    }
}

/// Finite, since a sum that is not has no mean.
fn micro_batch() -> Vec<f64> {
    hard().into_iter().filter(|value: &f64| value.abs() < 2.0).collect()
}

impl Subject for Accumulator {
    fn values() -> Vec<Self> {
        let accumulated = |samples: &[usize]| {
            let mut accumulator = Accumulator::new(micro_batch().len()).unwrap();
            samples.iter().for_each(|&samples| accumulator.add(&micro_batch(), samples).unwrap());
            accumulator
        };
        vec![accumulated(&[]), accumulated(&[3, 7]), accumulated(&[(1 << 53) + 1]), accumulated(&[usize::MAX])]
    }

    fn goes_on(mut self) -> String {
        let mut mean = micro_batch();
        let steps = [self.add(&micro_batch(), 3), self.mean(&mut mean)];
        format!("{steps:?} {:?} {self:?}", nestings::bits(&mean))
    }
}

/// Of each kind: before an update, after two, and swapped with parameters of any bits.
impl<F: Float + Send + Sync + Debug + Serialize + 'static> Subject for WeightAverage<F> {
    fn values() -> Vec<Self> {
        let largest: F = F::max_value() / number(2.0);
        let valid: Vec<F> = hard().into_iter().filter(|value: &F| value.abs() <= largest).collect();
        let ema = |decay| WeightAverage::ema(decay, valid.len()).unwrap();
        let kinds = [WeightAverage::mean(valid.len()).unwrap(), ema(0.999), ema(-0.0), ema(0.1).with_warmup()];
        let mut values = Vec::new();
        for new in kinds {
            let mut updated = new.clone();
            updated.update(&valid).unwrap();
            updated.update(&valid.iter().rev().copied().collect::<Vec<F>>()).unwrap();
            let mut swapped = updated.clone();
            swapped.swap(&mut hard::<F>()[3..][..valid.len()]).unwrap();
            values.extend([new, updated, swapped]);
        }
        values
    }

    fn goes_on(mut self) -> String {
        let mut params: Vec<F> = vec![number(0.3); hard::<F>().len() - 5];
        let steps = [self.is_swapped().then(|| self.swap(&mut params)), Some(self.update(&params))];
        format!("{steps:?} {:?} {self:?}", self.values().map(|values| nestings::bits(&values.to_vec())))
    }
}

/// Several by name.
macro_rules! by_name {
    ($type:ty, $each:ident => $goes_on:expr) => {
        impl Subject for ByName<$type> {
            fn values() -> Vec<Self> {
                let names = ["weights", "", "π \" \n"].into_iter().cycle().zip(0..);
                let tensors =
                    names.zip(<$type as Subject>::values()).map(|((name, i), each)| (format!("{name}{i}"), each));
                vec![ByName::new(tensors).unwrap()] // without tensors, all kinds look the same
            }

            fn goes_on(self) -> String {
                self.iter().map(|(name, $each)| format!("{name} {}", $goes_on)).collect()
            }
        }
    };
}
by_name!(Accumulator, each => each.clone().goes_on());
by_name!(WeightAverage<f32>, each => each.clone().goes_on());

impl Subject for NoiseScale {
    fn values() -> Vec<Self> {
        let mut noise = NoiseScale::new();
        let norms = [(0.1, 0.3), (5e-324, 0.0), (f64::MAX, f64::MAX)];
        let mut after = |(small, big)| {
            noise.add((1, small), (1 << 40, big)).unwrap();
            noise
        };
        [NoiseScale::new()].into_iter().chain(norms.map(&mut after)).collect()
    }

    fn goes_on(self) -> String {
        format!("{self:?} {:?}", self.batch_size())
    }
}

impl Subject for ReduceOnPlateau {
    fn values() -> Vec<Self> {
        let new = ReduceOnPlateau::new(0.3, u64::MAX).unwrap();
        let mut used = ReduceOnPlateau::new(0.7, 1).unwrap().with_threshold(0.1, 5e-324).unwrap().with_cooldown(9);
        let after = |loss| {
            used.step(loss).unwrap();
            used
        };
        [new].into_iter().chain([0.1, 1.0, 2.0, 1.0 / 3.0, -f64::MAX].map(after)).collect()
    }

    fn goes_on(mut self) -> String {
        let factors: Vec<f64> = [0.1, 0.05, 0.05, 0.05].map(|loss| self.step(loss).unwrap()).into();
        format!("{self:?} {:?}", nestings::bits(&factors))
    }
}

impl Subject for LossScale {
    fn values() -> Vec<Self> {
        let mut used = LossScale::new(2_f64.powi(-126), u64::MAX).unwrap();
        used.update(Ok(())).unwrap();
        vec![LossScale::default(), used, LossScale::new(2_f64.powi(126), 1).unwrap()]
    }

    fn goes_on(mut self) -> String {
        self.update(Ok(())).unwrap();
        format!("{self:?}")
    }
}

impl Subject for Schedule {
    fn values() -> Vec<Self> {
        let rates = settings::<f64>();
        let next = |(i, &rate): (usize, &f64)| match i % 8 {
            0 => Schedule::constant(rate),
            1 => Schedule::linear(rate, 0.1, STEPS[1 + i % 4]),
            2 => Schedule::polynomial(0.1, rate, 0.1 + i as f64, STEPS[1 + i % 4]),
            3 => Schedule::step_decay(rate, f64::EPSILON, STEPS[1 + i % 4]),
            4 => Schedule::cosine_restarts(rate, -0.0, 7, STEPS[1 + i % 4]),
            5 => Schedule::one_cycle(rate, 0.3, rate, 7.1, STEPS[1 + i % 4] as f64),
            6 => Schedule::geometric(0.1, rate.max(f64::from_bits(1)), STEPS[1 + i % 4]),
            _ => Schedule::inverse_time(rate, 0.5, STEPS[1 + i % 4]),
        };
        let alone: Vec<_> = rates.iter().enumerate().map(|rate| next(rate).unwrap()).collect();
        let joined = alone.iter().cloned().reduce(|before, next| next.then(3, before)).unwrap();
        alone.into_iter().chain([joined]).collect()
    }

    fn goes_on(self) -> String {
        let rates: Vec<f64> = (0..50).chain(STEPS).map(|step| self.at(step)).collect();
        format!("{self:?} {:?}", nestings::bits(&rates))
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
    params: Vec<f64>,
    #[serde(with = "exact")]
    halves: Box<[f16]>,
    #[serde(with = "exact")]
    layers: Vec<[f32; 17]>,
}

impl Subject for Own {
    fn values() -> Vec<Self> {
        let own = |(best_loss, samples)| {
            let layer: [f32; 17] = hard().try_into().unwrap();
            Own { best_loss, samples, params: hard(), halves: hard().into(), layers: vec![layer; 2] }
        };
        let empty = Own { best_loss: 0.1, samples: 0, params: vec![], halves: Box::new([]), layers: vec![] };
        // NaN, the infinities, the least numbers.
        hard().into_iter().rev().zip(STEPS).map(own).chain([empty]).collect()
    }

    fn goes_on(self) -> String {
        format!("{self:?}")
    }
}
