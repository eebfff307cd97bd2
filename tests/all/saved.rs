//! Saved and restored to the bit, as JSON and in a binary format; what does not belong is rejected.
#![cfg(feature = "serde")]

use std::{
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use gradstep::{
    Accumulator, Adam, Batcher, ByName, Error, FiniteGuard, LossScale, Momentum, MomentumForm, MomentumRule,
    NoiseScale, Optimizer, Order, ParamGroups, Permutation, Position, ReduceOnPlateau, Restore, Schedule, Sequential,
    Sgd, Shuffle, Subset, WeightAverage, WeightDecay,
    exact::{self, Exact},
};
use num_traits::Float;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::common::{
    FORMS, bits, config, golden,
    rules::{Lion, Rule},
    same, says,
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

/// k steps, save, load, k steps: the same bits as 2k steps without a break.
fn goes_on<F, O>(mut optimizer: O)
where
    F: Float + Send + Sync + Debug,
    O: Optimizer<F> + Clone + PartialEq + Debug + Serialize + DeserializeOwned,
{
    let number = |i: usize| F::from((i * 7919 % 1000) as f64 / 300.0 - 1.7).unwrap();
    let run = |optimizer: &mut O, params: &mut Vec<F>, from: usize| {
        for k in from..from + 10 {
            let grads: Vec<F> = (0..params.len()).map(|i| number(i + 31 * k)).collect();
            optimizer.step(params, &grads).unwrap();
        }
    };
    let mut params: Vec<F> = (0..5).map(number).collect();
    run(&mut optimizer, &mut params, 0);
    let (saved, at) = (copies(&optimizer), params.clone());
    run(&mut optimizer, &mut params, 10);
    for mut copy in saved {
        let mut again = at.clone();
        run(&mut copy, &mut again, 10);
        assert_eq!((bits(&again), &copy), (bits(&params), &optimizer));
    }
}

#[test]
fn saving_half_way_changes_no_bit() {
    for decay in [WeightDecay::None, WeightDecay::Coupled(0.01), WeightDecay::Decoupled(0.01)] {
        for form in FORMS {
            let rule = MomentumRule { form, weight_decay: decay, ..MomentumRule::new(0.1, 0.9) };
            goes_on(Momentum::<f64>::with_rule(rule, 5).unwrap());
            goes_on(FiniteGuard(Momentum::<f32>::with_rule(rule, 5).unwrap()));
        }
        goes_on(Adam::<f64>::new(0.1, 5).unwrap().with_weight_decay(decay).unwrap());
        goes_on(FiniteGuard(Adam::<f32>::new(0.1, 5).unwrap().with_weight_decay(decay).unwrap()));
        goes_on(Sgd::<f64>::new(0.1).unwrap().with_weight_decay(decay).unwrap());
        goes_on(FiniteGuard(Sgd::<f32>::new(0.1).unwrap().with_weight_decay(decay).unwrap()));
    }
    #[cfg(feature = "half")]
    goes_on(gradstep::MasterCopy::new(Momentum::new(0.001, 0.9, 5).unwrap(), &[half::bf16::ONE; 5]).unwrap());
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

#[test]
fn models_go_on_as_if_never_saved() {
    let mut model = model();
    let saved = copies(&model);
    let run = |model: &mut ParamGroups<f64, Momentum<f64>>| {
        let (mut weights, mut bias) = ([1.0; 2], [1.0]);
        model.step(&mut [("weights", &mut weights, &[0.3, -0.1])]).unwrap();
        model.unfreeze("bias").unwrap();
        model.scale_learning_rates(0.3).unwrap(); // of the rate at factor 1, which is saved as well
        model.step(&mut [("bias", &mut bias, &[0.1]), ("weights", &mut weights, &[0.3, -0.1])]).unwrap();
        bits(&[weights[0], weights[1], bias[0]])
    };
    let expected = run(&mut model);
    for mut copy in saved {
        assert_eq!((run(&mut copy), &copy), (expected.clone(), &model));
    }
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
#[test]
fn own_numbers_come_back_to_the_bit() {
    let nan = |number: f64| number.is_nan();
    for params in [&WIDE[..], &[], &[-0.0, 0.0, f64::NAN, 0.099_990_880_489_349_37]] {
        let own = own(params);
        for copy in copies(&own) {
            assert_eq!((bits(&copy.params), bits(&copy.layers[0])), (bits(params), bits(params)));
            assert_eq!((bits(&copy.array), copy.layers.len()), (bits(&own.array), 3));
            assert!(params.iter().copied().any(nan) || copy == own);
        }
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
    // Two numbers where one is expected, and half a number.
    for wrong in [[[8].as_slice(), &[0; 8]].concat(), vec![3, 0, 0, 0]] {
        assert!(postcard::from_bytes::<One>(&[&wrong[..], &[0]].concat()).is_err());
    }
    for len in [4095, 4096, 4097] {
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
        for copy in copies(&own(&params)) {
            for (&now, &then) in copy.params.iter().zip(&params) {
                prop_assert!(now.to_bits() == then.to_bits() || now.is_nan() && then.is_nan());
            }
        }
        for number in params.into_iter().filter(|number| number.is_finite()) {
            prop_assert_eq!(spelled(number), by_definition(number));
        }
        let narrow = f32::from_bits(narrow);
        if narrow.is_finite() {
            prop_assert_eq!(spelled(narrow), by_definition(narrow));
        }
    }
}

/// Generic over the float, with the bound that the documentation gives.
#[test]
fn a_generic_struct_of_ones_own() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    #[serde(bound = "F: gradstep::SavedFloat")]
    struct Run<F> {
        #[serde(with = "exact")]
        params: Vec<F>,
        sgd: Sgd<F>,
        model: ParamGroups<F, FiniteGuard<Momentum<F>>>,
        decay: Option<WeightDecay>,
    }

    fn run<F: gradstep::SavedFloat>(momentum: Momentum<F>) {
        let mut model = ParamGroups::new();
        model.insert("w", FiniteGuard(momentum)).unwrap();
        let (params, sgd) = (vec![F::one(), F::infinity()], Sgd::new(1.0).unwrap());
        let run = Run { params, sgd, model, decay: Some(WeightDecay::None) };
        for copy in copies(&run) {
            assert_eq!(copy, run);
        }
    }
    run(momentum());
    run(with_velocity(&NARROW));
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

const SWAPPED_MEAN: &str = r#"{"_type":"gradstep::WeightAverage<f32> v1","decay":"1e0","warmup":true,"updates":"3","swapped":true,"values":["inf"]}"#;

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

/// Several runs of 4,096 numbers.
#[test]
fn long_velocities_come_back() {
    for len in [4095, 4096, 4097, 10_000] {
        let velocity: Vec<f32> = (0..len).map(|i| i as f32 + 0.5).collect();
        let momentum = with_velocity(&velocity);
        assert!(copies(&momentum).iter().all(|copy| *copy == momentum), "{len}");
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
    assert_eq!((sections.len(), sections.iter().map(|section| section.2.len()).sum()), (21, 165));
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

/// The numbers alone could be read, and another float would be rounded in silence.
#[test]
fn another_type_is_rejected_in_both_formats() {
    fn rejects<T: DeserializeOwned + Debug>(text: &str, saved: &str, expected: &str) {
        let message = format!("saved type is gradstep::{saved} v1, expected gradstep::{expected} v1");
        assert_eq!(load::<T>(text).unwrap_err(), message);
    }
    let [sgd_text, momentum_text, model] = ["Sgd<f64>", "Momentum<f64>", "ParamGroups"].map(good);
    rejects::<Momentum<f64>>(sgd_text, "Sgd<f64>", "Momentum<f64>");
    rejects::<Sgd<f64>>(momentum_text, "Momentum<f64>", "Sgd<f64>");
    rejects::<FiniteGuard<Sgd<f64>>>(momentum_text, "Momentum<f64>", "Sgd<f64>");
    rejects::<ParamGroups<f64, Sgd<f64>>>(model, "Momentum<f64>", "Sgd<f64>");
    rejects::<Sgd<f32>>(sgd_text, "Sgd<f64>", "Sgd<f32>");
    rejects::<Momentum<f32>>(momentum_text, "Momentum<f64>", "Momentum<f32>");
    rejects::<ParamGroups<f32, Momentum<f32>>>(model, "ParamGroups<f64>", "ParamGroups<f32>");
    #[cfg(feature = "half")]
    {
        use half::{bf16, f16};
        rejects::<Sgd<bf16>>(&json(&Sgd::<f16>::new(0.1).unwrap()), "Sgd<f16>", "Sgd<bf16>");
        rejects::<Sgd<f16>>(&json(&Sgd::<bf16>::new(1.0).unwrap()), "Sgd<bf16>", "Sgd<f16>");
    }
    // postcard drops the words of all errors.
    let [sgd, momentum] = [postcard::to_allocvec(&sgd()).unwrap(), postcard::to_allocvec(&momentum()).unwrap()];
    assert!(
        postcard::from_bytes::<Momentum<f64>>(&sgd).is_err() && postcard::from_bytes::<Sgd<f64>>(&momentum).is_err()
    );
    assert!(postcard::from_bytes::<Sgd<f32>>(&sgd).is_err());
}

/// Before the rest, which another version may write in any way.
#[test]
fn another_version_is_rejected_by_name() {
    let (text, message) = (
        r#"{"_type":"gradstep::Sgd<f64> v2","rate":0.5}"#,
        "saved type is gradstep::Sgd<f64> v2, expected gradstep::Sgd<f64> v1",
    );
    assert_eq!(load::<Sgd<f64>>(text).unwrap_err(), message);
    // Also in a tree whose keys are sorted.
    let tree: serde_json::Value = serde_json::from_str(text).unwrap();
    says(serde_json::from_value::<Sgd<f64>>(tree), message);
}

/// A string of bytes that ends within a number.
#[test]
fn half_a_number_is_rejected() {
    let mut bytes = postcard::to_allocvec(&with_velocity(&[0.5_f32])).unwrap();
    let at = bytes.windows(5).rposition(|five| five == [4, 0, 0, 0, 0x3F]).unwrap();
    postcard::from_bytes::<Momentum<f32>>(&bytes).unwrap();
    bytes.splice(at..at + 5, [3, 0, 0, 0x3F]);
    assert!(postcard::from_bytes::<Momentum<f32>>(&bytes).is_err());
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

/// Saved and loaded after each epoch, it gives the same factors as without.
#[test]
fn a_plateau_resumed_at_each_epoch() {
    let losses = (0..60).map(|epoch| (10.0 / f64::from(1 + epoch)).floor() / 3.0);
    let mut unbroken = plateau();
    let mut resumed = plateau();
    for loss in losses {
        for copy in copies(&resumed) {
            assert_eq!(copy, resumed);
        }
        resumed = serde_json::from_str(&json(&resumed)).unwrap();
        assert_eq!(resumed.step(loss).unwrap().to_bits(), unbroken.step(loss).unwrap().to_bits());
    }
    assert!(unbroken.factor() < 1e-3 && resumed == unbroken);
    for copy in copies(&ReduceOnPlateau::new(0.1, 10).unwrap()) {
        assert_eq!((copy.best(), copy.factor()), (f64::INFINITY, 1.0));
    }
}

/// While it is swapped, it holds the parameters, which may be any numbers.
#[test]
fn a_swapped_average_comes_back() {
    let mut average: WeightAverage<f32> = load(SWAPPED_MEAN).unwrap();
    assert_eq!(json(&average), SWAPPED_MEAN);
    let mut params = [1.0];
    average.swap(&mut params).unwrap();
    assert_eq!((params, average.values().unwrap()), ([f32::INFINITY], &[1.0][..]));
}

/// In the middle of an evaluation too: k updates, save, load, k updates.
#[test]
fn averages_go_on_as_if_never_saved() {
    for average in averages::<f32>() {
        let run = |average: &mut WeightAverage<f32>, mut params: [f32; 3]| {
            if average.is_swapped() {
                average.swap(&mut params).unwrap();
            }
            for k in 0..10 {
                params[k % 3] += 0.1;
                average.update(&params).unwrap();
            }
            (bits(average.values().unwrap()), bits(&params))
        };
        let mut whole = average.clone();
        let expected = run(&mut whole, [0.3; 3]);
        for mut copy in copies(&average) {
            assert_eq!(copy, average);
            assert_eq!((run(&mut copy, [0.3; 3]), &copy), (expected.clone(), &whole));
        }
    }
    let model = ByName::new([("b", averages::<f64>().remove(1)), ("a", averages().remove(2))]).unwrap();
    for copy in copies(&model) {
        assert_eq!((&copy, copy.iter().next().unwrap().0), (&model, "b"));
    }
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

// Restoring -----------------------------------------------------------------------------------------------------------

/// The state is taken, and the settings stay those of the program.
#[test]
fn what_was_loaded_is_restored() {
    let loaded: Momentum<f64> = load(good("Momentum<f64>")).unwrap();
    let mut own = Momentum::new(0.1, 0.5, 2).unwrap().with_form(MomentumForm::PyTorchNesterov);
    let rule = *own.rule();
    own.restore(loaded.clone()).unwrap();
    assert_eq!((own.velocity(), own.steps(), *own.rule()), (loaded.velocity(), 1, rule));
    let mut classical = Momentum::new(0.1, 0.5, 2).unwrap();
    let before = classical.clone();
    says(classical.restore(loaded), "saved form is PyTorchNesterov, expected Classical");
    assert_eq!(classical, before);

    let mut own = model();
    own.reset();
    own.unfreeze("bias").unwrap();
    own.set_learning_rate("weights", 0.25).unwrap();
    own.restore(load(good("ParamGroups")).unwrap()).unwrap();
    let mut expected = model();
    expected.set_learning_rate("weights", 0.25).unwrap();
    assert_eq!(own, expected);
    own = load(good("ParamGroups")).unwrap(); // and so the saved settings are taken too
    assert_eq!(own, model());

    let position: Position = load(good("Position")).unwrap();
    assert_eq!(batcher().resume(&position).unwrap().position(), position);
}

#[test]
fn streams_go_on_where_they_were_saved() {
    let orders: [Box<dyn Order>; 3] = [
        Box::new(Shuffle::new(7, 5).unwrap()),
        Box::new(Sequential::new(7).unwrap()),
        Box::new(Subset::new(vec![5, 3, 8]).unwrap().shuffled(1).unwrap()),
    ];
    for order in &orders {
        let batcher = Batcher::over(order, 2).unwrap();
        let mut stream = batcher.stream();
        for _ in 0..20 {
            // Also behind the last batch of an epoch.
            for position in copies(&stream.position()) {
                let mut resumed = batcher.resume(&position).unwrap();
                let mut unbroken = stream.clone();
                for _ in 0..10 {
                    assert_eq!(resumed.next_batch(), unbroken.next_batch());
                }
            }
            stream.next_batch().unwrap();
        }
    }
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
