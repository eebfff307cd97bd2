//! Saving and loading of every type that can be saved: JSON, CBOR and postcard; plain, in an untagged and in an internally
//! tagged enum of all types.
//!
//! Any value comes back to the same bits. Any document is rejected, or what it loads to passes the constructors' checks,
//! can be used, and comes back to the same bits when saved; a text is what saving writes, the order of its fields aside. A
//! reader whose numbers are f64 returns the same or an error.
//! Loading takes at most a few times the memory of the document, whatever length its lists claim.
#![no_main]

mod common;

use std::fmt::Debug;

use common::{FORMS, Number, Scalar, Whole, seldom, tiled};
use gradstep::{
    Accumulator, Adam, Batcher, ByName, Error, FiniteGuard, LossScale, MasterCopy, Momentum, MomentumRule, NoiseScale,
    Optimizer, Order, ParamGroups, Position, ReduceOnPlateau, Restore, Schedule, Sequential, Sgd, Shuffle,
    WeightAverage, WeightDecay, exact,
};
use half::{bf16, f16};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary, Unstructured},
    fuzz_target,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

#[derive(Arbitrary, Debug)]
struct Input {
    kind: u8,
    nesting: u8,
    format: Format,
    /// `None`: the value is saved and loaded.
    document: Option<Document>,
    value: Vec<u8>,
}

fuzz_target!(|input: Input| CHECKS[usize::from(input.kind) % CHECKS.len()](&input));

macro_rules! types {
    ($($name:ident: $type:ty,)*) => {
        #[derive(Serialize, Deserialize, Debug)]
        #[serde(untagged)]
        enum Untagged { $($name($type)),* }

        #[derive(Serialize, Deserialize, Debug)]
        #[serde(tag = "kind")]
        enum Tagged { $($name($type)),* }

        $(impl Nested for $type {
            fn untagged(self) -> Untagged {
                Untagged::$name(self)
            }

            fn tagged(self) -> Tagged {
                Tagged::$name(self)
            }
        })*

        const CHECKS: &[fn(&Input)] = &[$(check::<$type>),*];
    };
}

types! {
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
    Decay: WeightDecay,
    Rule: MomentumRule,
    Guard: FiniteGuard<Momentum<f64>>,
    MasterF16: MasterCopy<f16, FiniteGuard<Sgd<f32>>>,
    MasterBf16: MasterCopy<bf16, Momentum<f32>>,
    Groups: ParamGroups<f64, Momentum<f64>>,
    HalfGroups: ParamGroups<bf16, FiniteGuard<MasterCopy<bf16, Momentum<f32>>>>,
    Accumulator: Accumulator,
    WeightAverageF32: WeightAverage<f32>,
    WeightAverageF64: WeightAverage<f64>,
    NamedAccumulators: ByName<Accumulator>,
    NamedAverages: ByName<WeightAverage<f32>>,
    NoiseScale: NoiseScale,
    Position: Position,
    Schedule: Schedule,
    Plateau: ReduceOnPlateau,
    LossScale: LossScale,
    Own: Own,
}

trait Nested: Savable {
    fn untagged(self) -> Untagged;
    fn tagged(self) -> Tagged;
}

fn check<T: Nested>(input: &Input) {
    let Ok(value) = T::any(&mut Unstructured::new(&input.value)) else { return };
    value.usable();
    match input.nesting % 3 {
        0 => check_nested(input, value, true, T::usable),
        // postcard does not say what comes next, so nothing can be chosen by its looks.
        1 => check_nested(input, value.untagged(), input.format != Format::Postcard, |_| {}),
        _ => check_nested(input, value.tagged(), input.format != Format::Postcard, |_| {}),
    }
}

fn check_nested<T: Serialize + DeserializeOwned>(input: &Input, value: T, can: bool, usable: impl Fn(&T)) {
    let Some(document) = &input.document else { return assert_eq!(comes_back(input.format, &value), can) };
    let bytes = document.bytes(input.format.save(&value));
    let mut loaded = None;
    let memory = allocation_counter::measure(|| loaded = input.format.load::<T>(&bytes)).bytes_max;
    // serde reserves up to 1 MiB for a list before it reads it; at most three lists are inside one another. (In its
    // buffer for enums there may be more.)
    let plain = input.nesting.is_multiple_of(3);
    assert!(!plain || memory < (4 << 20) + 100 * bytes.len() as u64, "{memory} bytes of memory");
    if let Some(loaded) = loaded {
        usable(&loaded);
        assert!(comes_back(input.format, &loaded));
        if let Some(rounded) = through_f64(input.format, &bytes) {
            assert_same(input.format, &rounded, &loaded);
        }
        if input.format == Format::Json {
            assert_eq!(leaves(&bytes), leaves(&Format::Json.save(&loaded)));
        }
    }
}

/// Whether `value` can be loaded; then it must have the same bits.
fn comes_back<T: Serialize + DeserializeOwned>(format: Format, value: &T) -> bool {
    let bytes = format.save(value);
    let Some(loaded) = format.load::<T>(&bytes) else { return false };
    assert_same(format, &loaded, value);
    if let Some(loaded) = through_f64(format, &bytes) {
        assert_same(format, &loaded, value);
    }
    true
}

fn assert_same<T: Serialize>(format: Format, a: &T, b: &T) {
    if format == Format::Json {
        let text = Format::Json.save(a);
        assert_eq!(text, Format::Json.save(b));
        if text.windows(3).any(|word| word == b"NaN") {
            return; // in text all NaN are one
        }
    }
    assert_eq!(Format::Postcard.save(a), Format::Postcard.save(b));
}

/// Loaded after a program has read and written it whose numbers are all f64, such as JavaScript.
fn through_f64<T: DeserializeOwned>(format: Format, bytes: &[u8]) -> Option<T> {
    fn round(value: &mut Value) {
        match value {
            Value::Number(number) => {
                let wide = number.as_f64().unwrap();
                let whole = wide.fract() == 0.0 && wide.abs() < 1e21;
                *value = if whole { serde_json::from_str(&format!("{wide}")).unwrap() } else { wide.into() };
            }
            Value::Array(values) => values.iter_mut().for_each(round),
            Value::Object(fields) => fields.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut value = Some(bytes).filter(|_| format == Format::Json).and_then(|json| Format::Json.load(json))?;
    round(&mut value);
    Format::Json.load(value.to_string().as_bytes())
}

/// The text of all strings, numbers and booleans, sorted: serde takes the fields of a struct in any order, and as a list.
fn leaves(json: &[u8]) -> Vec<String> {
    fn collect(value: Value, leaves: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.into_iter().for_each(|value| collect(value, leaves)),
            Value::Object(fields) => fields.into_iter().for_each(|(_, value)| collect(value, leaves)),
            leaf => leaves.push(leaf.to_string()),
        }
    }
    let mut leaves = vec![];
    collect(serde_json::from_slice(json).unwrap(), &mut leaves);
    leaves.sort();
    leaves
}

// Documents -----------------------------------------------------------------------------------------------------------

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
enum Format {
    Json,
    Cbor,
    Postcard,
}

impl Format {
    fn save<T: Serialize>(self, value: &T) -> Vec<u8> {
        match self {
            Format::Json => serde_json::to_vec(value).unwrap(),
            Format::Cbor => {
                let mut bytes = Vec::new();
                ciborium::into_writer(value, &mut bytes).unwrap();
                bytes
            }
            Format::Postcard => postcard::to_allocvec(value).unwrap(),
        }
    }

    fn load<T: DeserializeOwned>(self, bytes: &[u8]) -> Option<T> {
        match self {
            Format::Json => serde_json::from_slice(bytes).ok(),
            Format::Cbor => ciborium::from_reader(bytes).ok(),
            Format::Postcard => postcard::from_bytes(bytes).ok(),
        }
    }
}

/// Any bytes; or, since those seldom get far, the saved value with changes.
#[derive(Arbitrary, Debug)]
enum Document {
    Raw(Vec<u8>),
    Edited(Vec<(u16, Edit)>),
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Replace(u8),
    Insert(Vec<u8>),
    Remove(u8),
    Copy(u16, u8),
    Phrase(u8),
}

/// What may stand in place of a word or number.
#[rustfmt::skip]
const PHRASES: [&str; 26] = [
    "NaN", "-NaN", "inf", "-inf", "1e400", "5e-324", "1e300", "-0e0", "0e0", "0.1", "-1", "1", "0", "None", "Coupled",
    "Nesterov", "18446744073709551615", "4294967297", "9007199254740993", "f16", "bf16", "f32", "f64", "v2",
    "sequential", "SgdF32",
];

impl Document {
    fn bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let edits = match self {
            Document::Raw(bytes) => return bytes.clone(),
            Document::Edited(edits) => edits,
        };
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        for (at, edit) in edits.iter().take(20) {
            let at = usize::from(*at) % (bytes.len() + 1);
            let end = |from: usize, len: u8| (from + usize::from(len)).min(bytes.len());
            let (range, new) = match edit {
                Edit::Replace(new) => (at..end(at, 1), vec![*new]),
                Edit::Insert(new) => (at..at, new.clone()),
                Edit::Remove(len) => (at..end(at, *len), vec![]),
                Edit::Copy(from, len) => {
                    let from = usize::from(*from) % (bytes.len() + 1);
                    (at..at, bytes[from..end(from, *len)].to_vec())
                }
                Edit::Phrase(phrase) => {
                    let starts = |i: usize| word(bytes[i]) && (i == 0 || !word(bytes[i - 1]));
                    let starts: Vec<usize> = (0..bytes.len()).filter(|&i| starts(i)).collect();
                    let start = if starts.is_empty() { at } else { starts[at % starts.len()] };
                    let len = bytes[start..].iter().take_while(|&&byte| word(byte)).count();
                    (start..start + len, PHRASES[usize::from(*phrase) % PHRASES.len()].into())
                }
            };
            bytes.splice(range, new);
        }
        bytes
    }
}

// Values --------------------------------------------------------------------------------------------------------------

trait Savable: Serialize + DeserializeOwned + Clone + Debug {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self>;

    /// Whether it passes the checks of its constructors, and takes a step.
    fn usable(&self);
}

fn made<T>(made: Result<T, Error>) -> arbitrary::Result<T> {
    made.map_err(|_| arbitrary::Error::IncorrectFormat)
}

/// A learning rate or a strength.
fn setting(u: &mut Unstructured) -> arbitrary::Result<f64> {
    let number: f64 = u.arbitrary::<Number>()?.get();
    Ok(if number.is_finite() && number >= 0.0 { number } else { 1.0 })
}

fn decay(u: &mut Unstructured) -> arbitrary::Result<WeightDecay> {
    let strength = setting(u)?;
    u.choose(&[WeightDecay::None, WeightDecay::Coupled(strength), WeightDecay::Decoupled(strength)]).copied()
}

/// Short, or seldom around the 4096 numbers that are one string of bytes.
fn len(u: &mut Unstructured) -> arbitrary::Result<usize> {
    let long = seldom(&u.peek_bytes(u.len()));
    Ok(if long { u.int_in_range(4095..=4098)? } else { u.int_in_range(0..=15)? })
}

fn numbers<F: Scalar>(u: &mut Unstructured, len: usize) -> arbitrary::Result<Vec<F>> {
    Ok(tiled(&u.arbitrary::<Vec<Number>>()?, len))
}

fn rule(u: &mut Unstructured) -> arbitrary::Result<MomentumRule> {
    let number = u.arbitrary::<Number>()?.get::<f64>();
    let momentum = if (0.0..1.0).contains(&number) { number } else { 0.5 };
    let form = *u.choose(&FORMS)?;
    Ok(MomentumRule { learning_rate: setting(u)?, momentum, form, weight_decay: decay(u)? })
}

fn momentum<F: Scalar>(u: &mut Unstructured, len: usize) -> arbitrary::Result<Momentum<F>> {
    // Settings that are valid in f64 need not be valid in F.
    let momentum = made(Momentum::with_rule(rule(u)?, len))?;
    made(momentum.with_velocity(&numbers(u, len)?, u.arbitrary::<Whole>()?.get()))
}

impl<F: Scalar> Savable for Sgd<F>
where
    Sgd<F>: Serialize + DeserializeOwned,
{
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let mut sgd = made(made(Sgd::new(setting(u)?))?.with_weight_decay(decay(u)?))?;
        for _ in 0..u.int_in_range(0..=3)? {
            sgd.step(&mut [], &[]).unwrap();
        }
        Ok(sgd)
    }

    fn usable(&self) {
        Sgd::<F>::new(self.learning_rate()).unwrap().with_weight_decay(self.weight_decay()).unwrap();
        self.clone().step(&mut [F::one(); 3], &[F::one(); 3]).unwrap();
    }
}

impl<F: Scalar> Savable for Momentum<F>
where
    Momentum<F>: Serialize + DeserializeOwned,
{
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let len = len(u)?;
        momentum(u, len)
    }

    fn usable(&self) {
        let len = self.velocity().len();
        Momentum::<F>::with_rule(*self.rule(), len).unwrap();
        self.clone().step(&mut vec![F::one(); len], &vec![F::one(); len]).unwrap();
    }
}

impl<F: Scalar> Savable for Adam<F>
where
    Adam<F>: Serialize + DeserializeOwned,
{
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let len = len(u)?;
        let [beta1, beta2, eps] = u.arbitrary::<[Number; 3]>()?.map(|number| number.setting::<F>());
        let adam = made(Adam::with_settings(setting(u)?, [beta1, beta2], eps, len))?;
        let (m, mut v) = (numbers(u, len)?, numbers::<F>(u, len)?);
        v.iter_mut().for_each(|v| *v = v.abs());
        made(made(adam.with_weight_decay(decay(u)?))?.with_state(&m, &v, u.arbitrary::<Whole>()?.get()))
    }

    fn usable(&self) {
        let len = self.m().len();
        let adam = Adam::with_settings(self.learning_rate(), self.betas(), self.eps(), len).unwrap();
        let adam = adam.with_weight_decay(self.weight_decay()).unwrap();
        adam.with_state(self.m(), self.v(), self.steps()).unwrap();
        self.clone().step(&mut vec![F::one(); len], &vec![F::one(); len]).unwrap();
    }
}

impl Savable for WeightDecay {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        decay(u)
    }

    fn usable(&self) {
        Sgd::<f64>::new(1.0).unwrap().with_weight_decay(*self).unwrap();
    }
}

impl Savable for MomentumRule {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        rule(u)
    }

    fn usable(&self) {
        self.step(&mut [1.0], &mut [0.0], &[0.0]).unwrap();
    }
}

impl<O: Savable> Savable for FiniteGuard<O> {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        O::any(u).map(FiniteGuard)
    }

    fn usable(&self) {
        self.0.usable();
    }
}

macro_rules! master_copy {
    ($half:ty, $optimizer:ty, $len:ident => $any:expr) => {
        impl Savable for MasterCopy<$half, $optimizer> {
            fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
                let $len = len(u)?;
                let (mut params, grads) = (numbers(u, $len)?, numbers(u, $len)?);
                let any: fn(&mut Unstructured, usize) -> arbitrary::Result<$optimizer> = $any;
                let mut copy = made(MasterCopy::new(any(u, $len)?, &params))?;
                // Then the copy is not of the half type. Guarded ones reject some gradients.
                let _ = copy.step(&mut params, &grads);
                Ok(copy)
            }

            fn usable(&self) {
                self.optimizer().usable();
                let ones = vec![<$half>::ONE; self.master().len()];
                self.clone().step(&mut ones.clone(), &ones).unwrap();
            }
        }
    };
}

master_copy!(f16, FiniteGuard<Sgd<f32>>, len => |u, _| FiniteGuard::any(u));
master_copy!(bf16, Momentum<f32>, len => momentum);

/// Its optimizers have state.
impl<P: Scalar, O: Optimizer<P> + Restore + Savable> Savable for ParamGroups<P, O>
where
    ParamGroups<P, O>: Serialize + DeserializeOwned,
{
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let mut model = ParamGroups::new();
        for _ in 0..u.int_in_range(0..=4)? {
            // A name may come twice, and a rate be too large.
            let _ = model.insert(u.arbitrary::<String>()?, O::any(u)?);
        }
        let _ = model.scale_learning_rates(setting(u)?);
        let names: Vec<String> = model.names().map(String::from).collect();
        names.iter().for_each(|name| model.freeze(name).unwrap());
        for _ in 0..u.int_in_range(0..=3)? {
            model.step(&mut []).unwrap();
        }
        for name in names {
            if u.arbitrary()? {
                model.unfreeze(&name).unwrap();
            }
        }
        Ok(model)
    }

    fn usable(&self) {
        let names: Vec<&str> = self.names().collect();
        assert!((1..names.len()).all(|i| !names[..i].contains(&names[i])));
        names.iter().for_each(|name| self.get(name).unwrap().usable());
        let ones = |name: &&str| vec![P::one(); self.get(name).unwrap().state_len().unwrap()];
        let (mut params, grads): (Vec<_>, Vec<_>) = names.iter().map(|name| (ones(name), ones(name))).unzip();
        let tensors = names.iter().zip(&mut params).zip(&grads);
        let mut tensors: Vec<_> = tensors.map(|((name, params), grads)| (*name, &mut params[..], &grads[..])).collect();
        self.clone().step(&mut tensors).unwrap();
        // The common factor that it was saved with is one that it would take.
        let saved = serde_json::to_value(self).unwrap();
        let factor: f64 = saved["factor"].as_str().unwrap().parse().unwrap();
        self.clone().scale_learning_rates(factor).unwrap();
        self.clone().restore(self.clone()).unwrap();
    }
}

impl Savable for Accumulator {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let len = len(u)?;
        let mut accumulator = made(Accumulator::new(len))?;
        for _ in 0..u.int_in_range(0..=3)? {
            // The samples may be too many.
            let _ = accumulator.add::<f64>(&numbers(u, len)?, u.arbitrary::<Whole>()?.get() as usize);
        }
        Ok(accumulator)
    }

    fn usable(&self) {
        let saved = serde_json::to_value(self).unwrap();
        let (mut accumulator, zeros) = (self.clone(), vec![0.0; saved["sum"].as_array().unwrap().len()]);
        assert_eq!(accumulator.add(&zeros, 1).is_ok(), self.samples() < u64::MAX);
        let _ = accumulator.mean(&mut zeros.clone());
        accumulator.reset();
        accumulator.add(&zeros, 1).unwrap();
    }
}

impl<F: Scalar> Savable for WeightAverage<F>
where
    WeightAverage<F>: Serialize + DeserializeOwned,
{
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let (len, decay) = (len(u)?, u.arbitrary::<Number>()?.get());
        let mut average = made(WeightAverage::ema(decay, len).or_else(|_| WeightAverage::mean(len)))?;
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

    fn usable(&self) {
        let saved = serde_json::to_value(self).unwrap();
        let mut params = vec![F::one(); saved["values"].as_array().unwrap().len()];
        let mut average = self.clone();
        if average.is_swapped() {
            average.swap(&mut params).unwrap();
            params.fill(F::one());
            // These values came from `swap`, which does not check them.
            if average.values().unwrap().iter().any(|value| value.abs() > F::max_value() / (F::one() + F::one())) {
                return;
            }
        }
        average.update(&params).unwrap();
        average.restore(self.clone()).unwrap();
    }
}

impl<T: Savable> Savable for ByName<T>
where
    ByName<T>: Serialize + DeserializeOwned,
{
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        // At least one: without, all kinds look the same.
        let tensors = (0..u.int_in_range(1..=4)?).map(|_| Ok((u.arbitrary::<String>()?, T::any(u)?)));
        made(ByName::new(tensors.collect::<arbitrary::Result<Vec<_>>>()?)) // a name may come twice
    }

    fn usable(&self) {
        self.iter().for_each(|(name, each)| {
            each.usable();
            assert!(self.get(name).is_some());
        });
    }
}

impl Savable for NoiseScale {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let mut noise = NoiseScale::new();
        for _ in 0..u.int_in_range(0..=3)? {
            let _ = noise.add((u.int_in_range(1..=9)?, setting(u)?), (u.int_in_range(10..=99)?, setting(u)?));
        }
        Ok(noise)
    }

    fn usable(&self) {
        assert!(self.squared_norm().is_none_or(f64::is_finite) && self.covariance_trace().is_none_or(f64::is_finite));
        self.clone().add((1, 0.0), (2, 0.0)).unwrap();
    }
}

impl Savable for ReduceOnPlateau {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let [reduction, relative, absolute] = [setting(u)?, setting(u)?, setting(u)?];
        let [patience, cooldown] = u.arbitrary::<[Whole; 2]>()?.map(Whole::get);
        let new = made(made(ReduceOnPlateau::new(reduction, patience))?.with_threshold(relative, absolute))?;
        let mut plateau = new.with_cooldown(cooldown);
        for _ in 0..u.int_in_range(0..=9)? {
            let _ = plateau.step(u.arbitrary::<Number>()?.get());
        }
        Ok(plateau)
    }

    fn usable(&self) {
        let factor = self.clone().step(0.0).unwrap();
        assert!((0.0..=self.factor()).contains(&factor));
    }
}

impl Savable for LossScale {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let scale = 2_f64.powi(u.int_in_range(-130..=130)?);
        let mut loss_scale = made(LossScale::new(scale, u.arbitrary::<Whole>()?.get()))?;
        for _ in 0..u.int_in_range(0..=9)? {
            let bad = Error::NonFinite { name: String::new(), index: 0, value: f64::NAN };
            loss_scale.update(if u.arbitrary()? { Ok(()) } else { Err(bad) }).unwrap();
        }
        Ok(loss_scale)
    }

    fn usable(&self) {
        LossScale::new(self.scale(), 1).unwrap();
        self.clone().update(Ok(())).unwrap();
    }
}

impl Savable for Position {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let [len, batch_size, epoch, samples] = u.arbitrary::<[Whole; 4]>()?.map(Whole::get);
        let order: Box<dyn Order> = match u.arbitrary::<Option<Whole>>()? {
            Some(seed) => Box::new(made(Shuffle::new(len as usize, seed.get()))?),
            None => Box::new(made(Sequential::new(len as usize))?),
        };
        let batcher = made(Batcher::over(&order, batch_size as usize))?;
        let batcher = if u.arbitrary()? { batcher.drop_last() } else { batcher };
        // Too far on, it is the end of the epoch.
        made(batcher.position(epoch, samples.min(len)))
    }

    /// Of an order that it does not name it is refused.
    fn usable(&self) {
        assert!(self.batch_size() > 0);
        assert!(Batcher::new(3, 2, 77).unwrap().resume(self).is_err() || self.samples() <= 3);
    }
}

impl Savable for Schedule {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let [from, to] = [setting(u)?, setting(u)?];
        let [steps, other] = u.arbitrary::<[Whole; 2]>()?.map(Whole::get);
        let one = made(match u.int_in_range(0..=8)? {
            0 => Schedule::constant(from),
            1 => Schedule::linear(from, to, steps),
            2 => Schedule::polynomial(from, to, u.arbitrary::<Number>()?.get(), steps),
            3 => Schedule::step_decay(from, to, steps),
            4 => Schedule::cosine(from, to, steps),
            5 => Schedule::cosine_restarts(from, to, steps, other),
            6 => Schedule::geometric(from, to, steps),
            7 => Schedule::inverse_time(from, to, steps),
            _ => Schedule::one_cycle(from, to, from, u.arbitrary::<Number>()?.get(), other as f64),
        })?;
        Ok(if u.arbitrary()? { one.then(other, Self::any(u)?) } else { one })
    }

    fn usable(&self) {
        let rates = [0, 1, 1 << 40, u64::MAX].map(|step| self.at(step));
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate >= 0.0));
    }
}

/// Numbers of a user's own.
#[derive(Serialize, Deserialize, Clone, Debug)]
#[serde(deny_unknown_fields)]
struct Own {
    #[serde(with = "exact")]
    best_loss: f64,
    #[serde(with = "exact")]
    params: Vec<f32>,
    #[serde(with = "exact")]
    layers: Box<[Vec<[bf16; 2]>]>,
}

impl Savable for Own {
    fn any(u: &mut Unstructured) -> arbitrary::Result<Self> {
        let len = len(u)?;
        let layer = |u: &mut Unstructured| Ok(numbers(u, len)?.chunks_exact(2).map(|two| [two[0], two[1]]).collect());
        let layers = (0..u.int_in_range(0..=2)?).map(|_| layer(u)).collect::<arbitrary::Result<Vec<_>>>()?;
        Ok(Own { best_loss: u.arbitrary::<Number>()?.get(), params: numbers(u, len)?, layers: layers.into() })
    }

    fn usable(&self) {}
}
