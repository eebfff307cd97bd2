//! Saved and restored to the bit, as JSON and in a binary format; what does not belong is rejected.
#![cfg(feature = "serde")]

use std::{
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use gradstep::{
    Accumulator, Adam, Batcher, ByName, Error, FiniteGuard, LossScale, Momentum, MomentumForm, MomentumRule,
    NoiseScale, Optimizer, ParamGroups, Permutation, Position, ReduceOnPlateau, Schedule, Sgd, Subset, WeightAverage,
    WeightDecay,
    exact::{self, Exact},
};
use num_traits::Float;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::common::{
    FORMS, bits, config, golden,
    rules::{Lion, Rule},
    same,
};

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

/// Through JSON (compact, spread out, and as a tree) and through postcard.
fn copies<T: Serialize + DeserializeOwned>(value: &T) -> [T; 4] {
    [
        serde_json::from_str(&json(value)).unwrap(),
        serde_json::from_reader(serde_json::to_string_pretty(value).unwrap().as_bytes()).unwrap(),
        serde_json::from_value(serde_json::to_value(value).unwrap()).unwrap(),
        postcard::from_bytes(&postcard::to_allocvec(value).unwrap()).unwrap(),
    ]
}

/// Loads it; the message is without the place in the text that serde_json puts behind it.
fn load<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string().split(" at line ").next().unwrap().to_string())
}

/// The sections of `tests/data/rejected.txt`, after two paragraphs that explain them: a name, a text that loads, and
/// the rows.
fn sections() -> Vec<(&'static str, &'static str, Vec<&'static str>)> {
    let lines: Vec<&str> = include_str!("../data/rejected.txt").lines().collect();
    let sections = lines.split(|line| line.is_empty()).skip(2);
    sections.map(|lines| (lines[0].trim_matches(['[', ']']), lines[1], lines[2..].to_vec())).collect()
}

/// The text that loads.
fn good(name: &str) -> &'static str {
    sections().into_iter().find(|section| section.0 == name).unwrap().1
}

/// A momentum whose velocity is `velocity`, after one step.
fn with_velocity<F: Float + Send + Sync + 'static>(velocity: &[F]) -> Momentum<F> {
    let momentum = Momentum::new(1.0, 0.0, velocity.len()).unwrap().with_form(MomentumForm::PyTorch);
    momentum.with_velocity(velocity, 1).unwrap()
}

const WIDE: [f64; 12] = [
    0.1,
    1.0 / 3.0,
    f64::MAX,
    f64::MIN,
    f64::MIN_POSITIVE,
    2.225_073_858_507_201e-308, // the largest subnormal
    5e-324,
    -5e-324,
    9_007_199_254_740_993e3,
    f64::EPSILON,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

const NARROW: [f32; 10] = [
    0.1,
    1.0 / 3.0,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    1e-45,
    -1e-45,
    16_777_217.0,
    f32::INFINITY,
    f32::NEG_INFINITY,
];

// To the bit ----------------------------------------------------------------------------------------------------------

/// To the bit; NaN stays NaN (binary formats keep its bits as well, text has only `NaN`).
fn comes_back<F: gradstep::SavedFloat>(velocity: &[F]) {
    let momentum = with_velocity(velocity);
    for copy in copies(&momentum) {
        assert_eq!(copy.velocity().len(), velocity.len());
        assert!(copy.velocity().iter().zip(velocity).all(|(&now, &then)| same(now, then)), "{copy:?}");
        assert!(velocity.iter().any(|m| m.is_nan()) || copy == momentum);
    }
}

#[test]
fn velocities_come_back_to_the_bit() {
    comes_back(&WIDE);
    comes_back(&NARROW);
    comes_back(&[-0.0, 0.0, f64::NAN]);
    comes_back(&[-0.0, 0.0, f32::NAN]);
    // As a setting too: -0.0 passes the constructors.
    for copy in copies(&Sgd::<f32>::new(-0.0).unwrap()) {
        assert_eq!(copy.learning_rate().to_bits(), 1 << 63);
    }
}

/// Two tensors, one of them frozen, under a common factor.
fn model() -> ParamGroups<f64, Momentum<f64>> {
    let mut model = ParamGroups::new();
    model.insert("weights", Momentum::new(0.1, 0.9, 2).unwrap()).unwrap();
    model.insert("bias", Momentum::new(0.3, 0.5, 1).unwrap()).unwrap();
    model.step(&mut [("weights", &mut [1.0; 2], &[0.3, 5e-324]), ("bias", &mut [1.0], &[-0.7])]).unwrap();
    model.scale_learning_rates(0.7).unwrap();
    model.freeze("bias").unwrap();
    model
}

/// A rate that was not set through the model is saved as it is.
#[test]
fn rates_of_a_model_come_back_as_they_were() {
    let mut model = model();
    model.get_mut("weights").unwrap().set_learning_rate(0.123).unwrap();
    for copy in copies(&model) {
        assert_eq!(copy, model);
    }
}

/// With a rule from outside among them, which its own derive saves.
#[test]
fn mixed_models_are_saved_through_an_enum() {
    let mut model = ParamGroups::new();
    model.insert("a", Rule::Sgd(Sgd::new(0.1).unwrap())).unwrap();
    model.insert("b", Rule::Momentum(with_velocity(&[1e-45, 0.1]))).unwrap();
    model.insert("c", Rule::Lion(Lion::<f32>::new(0.5, 1))).unwrap();
    model
        .step(&mut [("a", &mut [1.0; 2], &[1.0; 2]), ("b", &mut [0.0; 2], &[1.0; 2]), ("c", &mut [1.0], &[0.1])])
        .unwrap();
    for copy in copies(&model) {
        assert_eq!(copy, model);
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// Any bits, in a velocity, in settings, and in a decay that stands alone: JSON's own numbers may be off by a bit.
    #[test]
    fn any_number_comes_back(wide in prop::collection::vec(any::<u64>(), 0..6), narrow in prop::collection::vec(any::<u32>(), 0..6)) {
        let wide: Vec<f64> = wide.into_iter().map(f64::from_bits).collect();
        comes_back(&wide);
        comes_back(&narrow.into_iter().map(f32::from_bits).collect::<Vec<_>>());
        for rate in wide.into_iter().map(f64::abs).filter(|rate| rate.is_finite()) {
            let sgd = Sgd::<f64>::new(rate).unwrap().with_weight_decay(WeightDecay::Coupled(rate)).unwrap();
            prop_assert!(copies(&sgd).iter().all(|copy| copy.learning_rate().to_bits() == rate.to_bits()));
            prop_assert!(copies(&sgd.weight_decay()).iter().all(|copy| *copy == sgd.weight_decay()));
        }
    }
}

// Spelling ------------------------------------------------------------------------------------------------------------

fn spelled<T: Exact>(value: T) -> String {
    let text = exact::serialize(&value, serde_json::value::Serializer).unwrap();
    text.as_str().unwrap().to_string()
}

fn read<T: Exact>(text: &str) -> Result<T, String> {
    exact::deserialize(serde_json::Value::from(text)).map_err(|error: serde_json::Error| error.to_string())
}

fn is_spelled<F: Exact + Float + Debug>(number: F, text: &str) {
    assert_eq!(spelled(number), text);
    reads_back(text, number);
}

/// To the bit; of all NaNs it is the positive quiet one.
fn reads_back<F: Exact + Float + Debug>(text: &str, number: F) {
    let expected = if number.is_nan() { F::nan() } else { number };
    assert_eq!(bits(&[read::<F>(text).unwrap()]), bits(&[expected]), "{text}");
}

/// `tests/data/spelling.py` wrote them.
#[test]
fn value_stability_spelling() {
    for row in golden::table(include_str!("../data/spelling.csv"), 43) {
        let (bits, text) = (u64::from_str_radix(row[1], 16).unwrap(), row[2]);
        match row[0] {
            "f64" => is_spelled(f64::from_bits(bits), text),
            "f32" => is_spelled(f32::from_bits(bits as u32), text),
            #[cfg(feature = "half")]
            "bf16" => is_spelled(half::bf16::from_bits(bits as u16), text),
            #[cfg(feature = "half")]
            "f16" => is_spelled(half::f16::from_bits(bits as u16), text),
            "u64" => assert_eq!((spelled(bits), read(text)), (text.to_string(), Ok(bits))),
            kind => assert!(kind.ends_with("f16"), "{kind}"),
        }
    }
}

#[cfg(feature = "half")]
#[test]
fn every_half_is_read_back() {
    for half in 0..=u16::MAX {
        let (b, f) = (half::bf16::from_bits(half), half::f16::from_bits(half));
        reads_back(&spelled(b), b);
        reads_back(&spelled(f), f);
    }
}

/// The definition, word for word.
fn by_definition<F: Float + std::fmt::LowerExp + std::str::FromStr>(number: F) -> String {
    let rounded = (0..17).map(|decimals| format!("{number:.decimals$e}"));
    rounded.into_iter().find(|text| text.parse().is_ok_and(|read: F| bits(&[read]) == bits(&[number]))).unwrap()
}

#[test]
fn powers_of_two_and_ties_are_spelled_as_defined() {
    for number in
        (0..0x7FF).map(|exponent| f64::from_bits(exponent << 52)).chain((0..52).map(|bit| f64::from_bits(1 << bit)))
    {
        assert_eq!(spelled(number), by_definition(number));
    }
    for number in
        (0..0xFF).map(|exponent| f32::from_bits(exponent << 23)).chain((0..23).map(|bit| f32::from_bits(1 << bit)))
    {
        assert_eq!(spelled(number), by_definition(number));
    }
    for quarters in (1_u64 << 10..1 << 11).map(|quarters| quarters << 42) {
        let number = (quarters + 1) as f64 / 4.0;
        assert_eq!(spelled(number), by_definition(number));
    }
}

// Numbers of one's own ------------------------------------------------------------------------------------------------

/// What a user saves beside this crate's types.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Own64 {
    #[serde(with = "exact")]
    params: Vec<f64>,
    #[serde(with = "exact")]
    layers: Vec<Vec<f64>>,
    #[serde(with = "exact")]
    array: [f64; 2],
    #[serde(with = "exact")]
    boxed: Box<[[f32; 2]]>,
    #[serde(with = "exact")]
    best_loss: f64,
    #[serde(with = "exact")]
    samples: u64,
}

fn own(params: &[f64]) -> Own64 {
    Own64 {
        params: params.to_vec(),
        layers: vec![params.to_vec(), vec![], vec![0.1]],
        array: [f64::NEG_INFINITY, -0.0],
        boxed: Box::new([[f32::MIN_POSITIVE, 1e-45], [0.1, f32::INFINITY]]),
        best_loss: f64::INFINITY,
        samples: u64::MAX,
    }
}

/// serde_json as `cargo add` brings it, without `float_roundtrip`, reads its own numbers back with another last bit, and
/// writes an infinity as null.
fn own_comes_back(params: &[f64]) {
    let own = own(params);
    let same = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(&a, &b)| same(a, b));
    for copy in copies(&own) {
        assert!(same(&copy.params, params) && same(&copy.layers[0], params) && same(&copy.array, &own.array));
        assert!(params.iter().any(|number| number.is_nan()) || copy == own);
    }
}

#[test]
fn own_numbers_come_back_to_the_bit() {
    for params in [&WIDE[..], &[], &[-0.0, 0.0, f64::NAN, 0.099_990_880_489_349_37]] {
        own_comes_back(params);
    }
    assert_eq!(json(&own(&[0.1])), good("Own"));
}

/// Runs of 4,096 numbers are one string of bytes; one number is a run of one.
#[test]
fn own_numbers_in_a_binary_format() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct One(#[serde(with = "exact")] f32, #[serde(with = "exact")] Vec<f32>);
    let one = One(0.5, vec![0.25, 2.0]);
    let bytes = postcard::to_allocvec(&one).unwrap();
    let expected = [string(0.5_f32.to_le_bytes()), vec![1], string([0.25_f32, 2.0].map(f32::to_le_bytes).concat())];
    assert_eq!(bytes, expected.concat());
    assert_eq!(postcard::from_bytes::<One>(&bytes).unwrap(), one);
    // Two numbers where one is expected, and half a number, alone and at the end of a run.
    let half = [3, 0, 0, 0];
    for wrong in [[8, 0, 0, 0, 0, 0, 0, 0, 0].as_slice(), &half] {
        assert!(postcard::from_bytes::<One>(&[wrong, &[0]].concat()).is_err());
    }
    let two = |run: &[u8]| postcard::from_bytes::<One>(&[&string([0; 4])[..], &[2], &string([0; 4]), run].concat());
    assert!(two(&string([0; 4])).is_ok() && two(&half).is_err());
    for len in [4095, 4096, 4097, 10_000] {
        let one = One(0.0, (0..len).map(|i| i as f32).collect());
        assert!(copies(&one).iter().all(|copy| *copy == one), "{len}");
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// Any bits at all.
    #[test]
    fn any_own_number_comes_back(wide in prop::collection::vec(any::<u64>(), 1..6), narrow in any::<u32>()) {
        let params: Vec<f64> = wide.into_iter().map(f64::from_bits).collect();
        own_comes_back(&params);
        for number in params.into_iter().filter(|number| number.is_finite()) {
            prop_assert_eq!(spelled(number), by_definition(number));
        }
        let narrow = f32::from_bits(narrow);
        if narrow.is_finite() {
            prop_assert_eq!(spelled(narrow), by_definition(narrow));
        }
    }
}

// Files of released versions ------------------------------------------------------------------------------------------

/// One of each type that can be saved, in `tests/data/saved`. Once a version is released, its files stay as they are, and
/// a new version adds files beside them.
struct Golden {
    directory: PathBuf,
    write: bool,
    files: Vec<String>,
}

impl Golden {
    /// All of them, read and compared, or written.
    fn all(write: bool) -> Golden {
        let mut roots = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|root| root.join("tests/data/saved"));
        let directory = roots.find(|directory| directory.is_dir()).unwrap();
        let mut golden = Golden { directory, write, files: Vec::new() };
        golden.of_float::<f64>("f64");
        golden.of_float::<f32>("f32");
        #[cfg(feature = "half")]
        golden.of_halves();
        golden.file("MomentumForm.v1", FORMS.to_vec());
        golden.file("WeightDecay.v1", DECAYS.to_vec());
        golden.file("MomentumRule.v1", FORMS.into_iter().zip(DECAYS.into_iter().cycle()).map(rule).collect());
        golden.file("Schedule.v1", vec![schedule()]);
        golden.file("ParamGroups-f64.v1", vec![model(), ParamGroups::new()]);
        golden.file("Accumulator.v1", vec![Accumulator::new(1).unwrap(), accumulator()]);
        golden.file("WeightAverage-f64.v1", averages::<f64>());
        golden.file("WeightAverage-f32.v1", averages::<f32>());
        let two = [("weights", accumulator()), ("bias", Accumulator::new(1).unwrap())];
        golden.file("ByName.v1", vec![ByName::new(two).unwrap()]);
        golden.file("NoiseScale.v1", vec![NoiseScale::new(), noise_scale()]);
        golden.file("ReduceOnPlateau.v1", vec![ReduceOnPlateau::new(0.1, 10).unwrap(), plateau()]);
        golden.file("LossScale.v1", vec![LossScale::default(), loss_scale()]);
        golden.file("Position.v1", positions());
        golden
    }

    fn of_float<F: gradstep::SavedFloat>(&mut self, name: &str) {
        let tiny = F::min_positive_value() * F::epsilon();
        let [tenth, third] = [0.1, 1.0 / 3.0].map(|number| F::from(number).unwrap());
        let positive = [F::zero(), tenth, third, F::max_value(), F::min_positive_value(), tiny, F::infinity()];
        let velocity: Vec<F> = positive.into_iter().flat_map(|number| [number, -number]).collect();
        let sgd = |decay| Sgd::<F>::new(1.0 / 3.0).unwrap().with_weight_decay(decay).unwrap();
        let momentum = |settings| {
            let momentum = Momentum::with_rule(rule(settings), velocity.len()).unwrap();
            momentum.with_velocity(&velocity, u64::MAX).unwrap()
        };
        self.file(&format!("Sgd-{name}.v1"), DECAYS.map(sgd).to_vec());
        let settings = FORMS.into_iter().zip(DECAYS.into_iter().cycle());
        self.file(&format!("Momentum-{name}.v1"), settings.map(momentum).collect());
        let v: Vec<F> = velocity.iter().map(|number| number.abs()).collect();
        let adam = |decay| {
            let adam = Adam::with_settings(1.0 / 3.0, [0.9, 0.95], 1e-4, v.len()).unwrap();
            adam.with_weight_decay(decay).unwrap().with_state(&velocity, &v, u64::MAX).unwrap()
        };
        self.file(&format!("Adam-{name}.v1"), DECAYS.map(adam).to_vec());
    }

    #[cfg(feature = "half")]
    fn of_halves(&mut self) {
        use gradstep::MasterCopy;
        use half::{bf16, f16};
        self.of_float::<f16>("f16");
        self.of_float::<bf16>("bf16");
        let bf16s = [bf16::from_f32(0.1), bf16::MIN_POSITIVE_SUBNORMAL];
        self.file("MasterCopy-bf16.v1", vec![MasterCopy::new(with_velocity(&[1e-45_f32, 0.1]), &bf16s).unwrap()]);
        let f16s = [f16::from_f32(0.1), f16::NEG_ZERO];
        self.file("MasterCopy-f16.v1", vec![MasterCopy::new(FiniteGuard(Sgd::new(0.1).unwrap()), &f16s).unwrap()]);
    }

    fn file<T: Serialize + DeserializeOwned + PartialEq + Debug>(&mut self, name: &str, expected: Vec<T>) {
        let text = |values: &Vec<T>| json(values).into_bytes();
        let binary = |values: &Vec<T>| postcard::to_allocvec(values).unwrap();
        let paths = ["json", "postcard"].map(|format| self.directory.join(format!("{name}.{format}")));
        self.files.extend(paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_string()));
        if self.write {
            fs::write(&paths[0], text(&expected)).unwrap();
            fs::write(&paths[1], binary(&expected)).unwrap();
        }
        let [json, postcard] = paths.map(|path| fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}")));
        let from_text: Vec<T> = serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{name}: {error}"));
        let from_binary: Vec<T> = postcard::from_bytes(&postcard).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((&from_text, &from_binary), (&expected, &expected), "{name}");
        assert!(text(&from_text) == json && binary(&from_binary) == postcard, "{name} is written in another way");
        assert!(text(&from_binary) == json && binary(&from_text) == postcard, "the two files of {name} differ");
    }
}

/// Before an update, after some, and in the parameters' place.
fn averages<F: gradstep::SavedFloat>() -> Vec<WeightAverage<F>> {
    let number = |number: f64| F::from(number).unwrap();
    let ema = || WeightAverage::ema(0.999, 3).unwrap();
    let mut averages = vec![WeightAverage::mean(3).unwrap(), ema(), ema().with_warmup(), ema().with_warmup()];
    let mut params = [number(0.1), -F::zero(), F::min_positive_value() * F::epsilon()];
    for average in &mut averages[1..] {
        average.update(&params).unwrap();
        average.update(&[F::one(), F::zero(), number(1.0 / 3.0)]).unwrap();
    }
    averages[3].swap(&mut params).unwrap();
    averages
}

const DECAYS: [WeightDecay; 3] = [WeightDecay::None, WeightDecay::Coupled(0.1), WeightDecay::Decoupled(1e-4)];

fn rule((form, weight_decay): (MomentumForm, WeightDecay)) -> MomentumRule {
    MomentumRule { form, weight_decay, ..MomentumRule::new(1.0 / 3.0, 0.1) }
}

fn positions() -> Vec<Position> {
    vec![
        batcher().position(3, 4).unwrap(),
        Batcher::sequential(3, 2).unwrap().position(u64::MAX, 2).unwrap(),
        Batcher::over(Permutation::new(1 << 20, 5).unwrap(), 2).unwrap().position(0, 2).unwrap(),
        Batcher::over(Subset::new(vec![7, 9]).unwrap().shuffled(3).unwrap(), 2).unwrap().position(0, 0).unwrap(),
    ]
}

#[test]
fn value_stability_of_released_files() {
    let golden = Golden::all(false);
    // Every file is read. (Some are of halves.)
    #[cfg(feature = "half")]
    for file in fs::read_dir(&golden.directory).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(golden.files.contains(&name), "no test reads {name}");
    }
    assert!(golden.files.len() >= 26);
}

/// `cargo test --all-features --test all -- --ignored write_the_golden_files`
#[test]
#[ignore = "writes tests/data/saved anew: for a version that is not released yet"]
fn write_the_golden_files() {
    Golden::all(true);
}

// The format ----------------------------------------------------------------------------------------------------------

fn accumulator() -> Accumulator {
    let mut accumulator = Accumulator::new(2).unwrap();
    accumulator.add(&[0.1, f64::NEG_INFINITY], 3).unwrap(); // 3 · 0.1 rounds to 0.30000000000000004
    accumulator
}

#[test]
fn sums_of_minus_zero_come_back() {
    let accumulator = Accumulator::new(1).unwrap().with_sum(&[-0.0], 0).unwrap();
    for copy in copies(&accumulator) {
        assert_eq!(copy.sum()[0].to_bits(), (-0.0_f64).to_bits());
    }
}

/// Reduced once, and cooling down.
fn plateau() -> ReduceOnPlateau {
    let new = ReduceOnPlateau::new(0.3, 1).unwrap().with_threshold(0.01, 0.001).unwrap();
    let mut plateau = new.with_cooldown(3);
    for loss in [1.0; 4] {
        plateau.step(loss).unwrap();
    }
    plateau
}

fn loss_scale() -> LossScale {
    let mut loss_scale = LossScale::new(1.0, 9).unwrap();
    let infinite = Error::NonFinite { name: "grads".into(), index: 0, value: f64::INFINITY };
    loss_scale.update::<()>(Err(infinite)).unwrap();
    loss_scale.update(Ok(())).unwrap();
    loss_scale.update(Ok(())).unwrap();
    loss_scale
}

fn noise_scale() -> NoiseScale {
    let mut noise = NoiseScale::new();
    noise.add((1, 10.0), (4, 4.0)).unwrap();
    noise
}

fn sgd() -> Sgd<f64> {
    let mut sgd = Sgd::new(0.1).unwrap();
    sgd.step(&mut [1.0], &[1.0]).unwrap();
    sgd
}

fn momentum() -> Momentum<f64> {
    let mut momentum = Momentum::new(0.5, 0.9, 2).unwrap().with_form(MomentumForm::PyTorchNesterov);
    momentum = momentum.with_weight_decay(WeightDecay::Coupled(0.01)).unwrap();
    momentum.step(&mut [0.0; 2], &[0.1, -0.25]).unwrap();
    momentum
}

fn adam() -> Adam<f64> {
    let adam = Adam::with_settings(0.5, [0.9, 0.99], 1e-8, 2).unwrap();
    let adam = adam.with_weight_decay(WeightDecay::Decoupled(0.01)).unwrap();
    adam.with_state(&[0.1, -0.25], &[0.2, 0.0], 7).unwrap()
}

fn batcher() -> Batcher {
    Batcher::new(10, 4, u64::MAX).unwrap().drop_last()
}

/// What was saved must be readable by every release to come: a change here is a change of the format.
#[test]
fn value_stability_format() {
    for (saved, name) in [
        (json(&sgd()), "Sgd<f64>"),
        (json(&FiniteGuard(sgd())), "Sgd<f64>"),
        (json(&momentum()), "Momentum<f64>"),
        (json(&adam()), "Adam<f64>"),
        (json(&WeightDecay::Coupled(0.5)), "WeightDecay"),
        (json(&model()), "ParamGroups"),
        (json(&batcher().position(3, 4).unwrap()), "Position"),
        (json(&accumulator()), "Accumulator"),
        (json(&noise_scale()), "NoiseScale"),
        (json(&plateau()), "ReduceOnPlateau"),
        (json(&loss_scale()), "LossScale"),
        (json(&schedule()), "Schedule"),
    ] {
        assert_eq!(saved, good(name));
    }
}

/// A string of bytes as postcard writes it: its length, which is below 128 here, and the bytes.
fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[bytes.as_ref().len() as u8], bytes.as_ref()].concat()
}

/// The order of fields counts here: swapped, an old file would load as something else. Numbers are their bytes, the
/// lowest first; those of a velocity are one string. (The other types are in the golden files.)
#[test]
fn value_stability_binary() {
    for form in FORMS {
        for decay in [WeightDecay::None, WeightDecay::Coupled(0.5), WeightDecay::Decoupled(0.25)] {
            let momentum = Momentum::<f32>::new(1.0, 0.5, 2).unwrap().with_form(form);
            let momentum = momentum.with_weight_decay(decay).unwrap();
            let (name, strength) = match decay {
                WeightDecay::None => ("None", 0.0_f64),
                WeightDecay::Coupled(strength) => ("Coupled", strength),
                WeightDecay::Decoupled(strength) => ("Decoupled", strength),
            };
            let expected = [
                string("gradstep::Momentum<f32> v1"),
                string(0_u64.to_le_bytes()),
                vec![1], // one run of at most 4,096 numbers
                string([0; 8]),
                string("gradstep::MomentumRule v1"),
                string(1.0_f64.to_le_bytes()),
                string(0.5_f64.to_le_bytes()),
                string(format!("{form:?}")),
                string("gradstep::WeightDecay v1"),
                string(name),
                string(strength.to_le_bytes()),
            ];
            assert_eq!(postcard::to_allocvec(&momentum).unwrap(), expected.concat());
        }
    }
}

// Rejected inputs -----------------------------------------------------------------------------------------------------

/// One replacement at a time, by `tests/data/rejected.txt`.
#[test]
fn what_was_changed_by_hand_is_rejected() {
    fn loads<T: DeserializeOwned>(text: &str) -> Result<(), String> {
        load::<T>(text).map(drop)
    }
    fn reads<T: Exact>(text: &str) -> Result<(), String> {
        read::<T>(text).map(drop)
    }
    let sections = sections();
    assert_eq!((sections.len(), sections.iter().map(|section| section.2.len()).sum()), (22, 174));
    for (name, good, rows) in sections {
        let accept: fn(&str) -> Result<(), String> = match name {
            "f64" => reads::<f64>,
            "f32" => reads::<f32>,
            "u64" => reads::<u64>,
            "Sgd<f64>" => loads::<Sgd<f64>>,
            "WeightDecay" => loads::<WeightDecay>,
            "Momentum<f64>" => loads::<Momentum<f64>>,
            "Adam<f64>" => loads::<Adam<f64>>,
            "ParamGroups" | "ParamGroups, a large factor" => loads::<ParamGroups<f64, Momentum<f64>>>,
            "Position" => loads::<Position>,
            // Only the batcher that it is for can tell.
            "Position, resumed" => |text| batcher().resume(&load(text)?).map(drop).map_err(|error| error.to_string()),
            "ReduceOnPlateau" => loads::<ReduceOnPlateau>,
            "LossScale" => loads::<LossScale>,
            "Accumulator" => loads::<Accumulator>,
            "NoiseScale" => loads::<NoiseScale>,
            "WeightAverage<f64>" => loads::<WeightAverage<f64>>,
            // Its values are the parameters, which may be any numbers.
            "WeightAverage<f32>, swapped" => loads::<WeightAverage<f32>>,
            "ByName<Accumulator>" => loads::<ByName<Accumulator>>,
            "Schedule" => loads::<Schedule>,
            "Own" => loads::<Own64>,
            #[cfg(feature = "half")]
            "bf16" => reads::<half::bf16>,
            #[cfg(feature = "half")]
            "MasterCopy<bf16, Momentum>" => loads::<gradstep::MasterCopy<half::bf16, Momentum<f32>>>,
            _ => {
                assert!(cfg!(not(feature = "half")) && name.contains("bf16"), "{name}");
                continue;
            }
        };
        accept(good).unwrap();
        for row in rows {
            let (old, new) = row.split_once(" => ").unwrap();
            let (new, message) = new.split_once(" : ").unwrap();
            assert!(good.contains(old), "{name}: {row}");
            let error = accept(&good.replace(old, new)).unwrap_err();
            assert!(error.starts_with(message), "{name}: {row}\n{error}");
        }
    }
}

/// A million pieces in one another, and very many at the same step.
#[test]
fn hostile_schedules_are_rejected() {
    let head = r#"{"_type":"gradstep::Schedule v1","pieces":["#;
    assert_eq!(load::<Schedule>(&format!("{head}]}}")).unwrap_err(), "pieces is 0, expected at least 1");
    let million = |text: &str| load::<Schedule>(&[head, &text.repeat(1_000_000)].concat()).unwrap_err();
    assert!(million(r#"{"start":"0","pieces":["#).starts_with("unknown field `pieces`"));
    assert!(million("[").starts_with("invalid type: sequence"));
    let piece = r#"{"start":"0","kind":"constant","numbers":["1e0"],"counts":[]}"#;
    let pieces = format!("{head}{}{piece}]}}", format!("{piece},").repeat(100_000));
    assert_eq!(load::<Schedule>(&pieces).unwrap_err(), "start is 0, expected above 0");
}

/// At the last count the step is applied, and the count stands still.
#[test]
fn the_last_count_of_steps_stands_still() {
    let most = format!(r#""steps":"{}""#, u64::MAX);
    let last = |name| good(name).replacen(r#""steps":"1""#, &most, 1);
    let (mut a, mut b, mut c) = ([1.0], [1.0; 2], [1.0; 2]);
    let mut sgd: Sgd<f64> = load(&last("Sgd<f64>")).unwrap();
    sgd.step(&mut a, &[1.0]).unwrap();
    let mut momentum: Momentum<f64> = load(&last("Momentum<f64>")).unwrap();
    momentum.step(&mut b, &[1.0; 2]).unwrap();
    let mut model: ParamGroups<f64, Momentum<f64>> = load(&last("ParamGroups")).unwrap();
    model.step(&mut [("weights", &mut c, &[1.0; 2])]).unwrap();
    assert_eq!([sgd.steps(), momentum.steps(), model.steps()], [u64::MAX; 3]);
    assert!(a[0] < 1.0 && b[0] < 1.0 && c[0] < 1.0);
}

// Schedules -----------------------------------------------------------------------------------------------------------

/// One of each kind.
fn schedule() -> Schedule {
    let next = [
        (1, Schedule::linear(0.0, 0.1, 9)),
        (2, Schedule::polynomial(0.1, 5e-324, u32::MAX.into(), 8)),
        (3, Schedule::step_decay(0.3, 0.9, 7)),
        (4, Schedule::cosine(0.1, 0.001, u64::MAX)),
        (5, Schedule::geometric(1e-6, 10.0, 100)),
        (6, Schedule::inverse_time(0.4, 0.5, 4000)),
        (7, Schedule::one_cycle(0.0, 0.4, 1e-5, 30.5, 70.0)),
        (u64::MAX, Schedule::cosine_restarts(0.1, 0.0, 5, 2)),
    ];
    let first = Schedule::constant(-0.0).unwrap();
    next.into_iter().fold(first, |before, (steps, next)| before.then(steps, next.unwrap()))
}

#[test]
fn schedules_come_back() {
    let one_cycle = Schedule::one_cycle(0.0, 0.4, 1e-5, 30.0, 70.0).unwrap();
    let long = (1..10_000).fold(one_cycle.clone(), |before, i| before.then(100 * i, one_cycle.clone()));
    for schedule in [schedule(), one_cycle, long] {
        for copy in copies(&schedule) {
            assert_eq!((&copy, format!("{copy:?}")), (&schedule, format!("{schedule:?}"))); // a -0.0 by its text
        }
    }
}
