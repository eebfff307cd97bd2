//! Saved and restored to the bit, as JSON and in a binary format; what does not belong is refused.
#![cfg(feature = "serde")]

use std::{
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
};

use gradstep::{
    Accumulator, Adam, Batcher, ByName, Error, FiniteGuard, Grads, LossScale, Momentum, MomentumForm, MomentumRule,
    NoiseScale, Optimizer, Order, ParamGroups, Permutation, Position, ReduceOnPlateau, Restore, Schedule, Sequential,
    Sgd, Shuffle, Step, Subset, WeightAverage, WeightDecay,
    exact::{self, Exact},
};
use num_traits::Float;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::common::{FORMS, bits, config, rules::forward, says};

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

/// The message, without the place in the text that serde_json puts behind it.
fn refusal<T: DeserializeOwned + Debug>(text: &str) -> String {
    let error = serde_json::from_str::<T>(text).unwrap_err().to_string();
    error.split(" at line ").next().unwrap().to_string()
}

/// That `T` refuses each of the texts that `good` becomes by one replacement, with a message that begins with the third
/// part: all of it where the words are ours, and as far as it tells what is wrong where they are serde's.
fn refused<T: DeserializeOwned + Debug>(good: &str, cases: &[(&str, &str, &str)]) {
    serde_json::from_str::<T>(good).unwrap();
    for (old, new, message) in cases {
        assert!(good.contains(old), "{old}");
        let error = refusal::<T>(&good.replace(old, new));
        assert!(error.starts_with(message), "{old} -> {new}: {error}");
    }
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

#[test]
fn velocities_come_back_to_the_bit() {
    let (wide, narrow) = (with_velocity(&WIDE), with_velocity(&NARROW));
    assert_eq!((bits(wide.velocity()), bits(narrow.velocity())), (bits(&WIDE), bits(&NARROW)));
    for copy in copies(&wide) {
        assert_eq!((bits(copy.velocity()), &copy), (bits(&WIDE), &wide));
    }
    for copy in copies(&narrow) {
        assert_eq!((bits(copy.velocity()), &copy), (bits(&NARROW), &narrow));
    }
}

#[test]
fn signed_zeros_come_back() {
    for copy in copies(&with_velocity(&[-0.0_f64, 0.0])) {
        assert_eq!(copy.velocity().iter().map(|m| m.to_bits()).collect::<Vec<_>>(), [1 << 63, 0]);
    }
    // As a setting too: -0.0 passes the constructors.
    for copy in copies(&Sgd::<f32>::new(-0.0).unwrap()) {
        assert_eq!(copy.learning_rate().to_bits(), 1 << 63);
    }
}

/// A velocity that has become NaN stays NaN (binary formats keep its bits as well; text says only `NaN`).
#[test]
fn nan_stays_nan() {
    let momentum = with_velocity(&[f32::NAN, 1.0]);
    for copy in copies(&momentum) {
        assert!(copy.velocity()[0].is_nan() && copy.velocity()[1] == 1.0);
    }
}

#[test]
fn every_setting_comes_back() {
    let decays = [WeightDecay::None, WeightDecay::Coupled(0.1), WeightDecay::Decoupled(1e-300)];
    for weight_decay in decays {
        let mut sgd = Sgd::<f64>::new(0.1).unwrap().with_weight_decay(weight_decay).unwrap();
        sgd.step(&mut [1.0], &[0.3]).unwrap();
        for copy in copies(&sgd) {
            assert_eq!((&copy, copy.steps(), copy.weight_decay()), (&sgd, 1, weight_decay));
        }
        for copy in copies(&FiniteGuard(sgd.clone())) {
            assert_eq!(copy.0, sgd);
        }
        for form in FORMS {
            let momentum = Momentum::<f64>::new(0.1, 0.3, 2).unwrap().with_form(form).with_weight_decay(weight_decay);
            for copy in copies(momentum.as_ref().unwrap()) {
                assert_eq!((&copy, copy.rule().form), (momentum.as_ref().unwrap(), form));
            }
        }
    }
}

/// Also outside of an optimizer, in a struct of one's own: JSON's own numbers may be off by a bit.
#[test]
fn weight_decay_alone_comes_back_to_the_bit() {
    for decay in [WeightDecay::None, WeightDecay::Coupled(0.09999088048934937), WeightDecay::Decoupled(5e-324)] {
        for copy in copies(&decay) {
            assert_eq!(copy, decay);
        }
    }
    let text = r#"{"_type":"gradstep::WeightDecay v1","form":"Coupled","strength":"1e-1"}"#;
    assert_eq!(json(&WeightDecay::Coupled(0.1)), text);
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
    for form in FORMS {
        for decay in [WeightDecay::None, WeightDecay::Coupled(0.01), WeightDecay::Decoupled(0.01)] {
            goes_on(Momentum::<f64>::new(0.1, 0.9, 5).unwrap().with_form(form).with_weight_decay(decay).unwrap());
            let momentum = Momentum::<f32>::new(0.1, 0.9, 5).unwrap().with_form(form);
            goes_on(FiniteGuard(momentum.with_weight_decay(decay).unwrap()));
        }
    }
    for decay in [WeightDecay::None, WeightDecay::Coupled(0.01), WeightDecay::Decoupled(0.01)] {
        goes_on(Adam::<f64>::new(0.1, 5).unwrap().with_weight_decay(decay).unwrap());
        goes_on(FiniteGuard(Adam::<f32>::new(0.1, 5).unwrap().with_weight_decay(decay).unwrap()));
    }
    goes_on(Sgd::<f64>::new(0.1).unwrap());
    goes_on(Sgd::<f32>::new(0.1).unwrap().with_weight_decay(WeightDecay::Coupled(0.01)).unwrap());
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

/// A rate set past the model is saved as it stands.
#[test]
fn rates_of_a_model_come_back_as_they_were() {
    let mut model = model();
    model.get_mut("weights").unwrap().set_learning_rate(0.123).unwrap();
    for copy in copies(&model) {
        assert_eq!(copy, model);
    }
}

#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
enum Either {
    Plain(Sgd<f32>),
    Heavy(Momentum<f32>),
}

impl Either {
    fn get(&self) -> &dyn Optimizer<f32> {
        match self {
            Either::Plain(sgd) => sgd,
            Either::Heavy(momentum) => momentum,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Optimizer<f32> {
        match self {
            Either::Plain(sgd) => sgd,
            Either::Heavy(momentum) => momentum,
        }
    }
}

impl Optimizer<f32> for Either {
    forward!(f32, self => self.get(), self.get_mut());
}

#[test]
fn mixed_models_are_saved_through_an_enum() {
    let mut model = ParamGroups::new();
    model.insert("a", Either::Plain(Sgd::new(0.1).unwrap())).unwrap();
    model.insert("b", Either::Heavy(with_velocity(&[1e-45, 0.1]))).unwrap();
    for copy in copies(&model) {
        assert_eq!(copy, model);
    }
}

proptest! {
    #![proptest_config(config(300))]

    /// Any bits that are a number, in settings and velocity.
    #[test]
    fn any_number_comes_back(wide in prop::collection::vec(any::<u64>(), 0..6), narrow in prop::collection::vec(any::<u32>(), 0..6)) {
        let wide: Vec<f64> = wide.into_iter().map(f64::from_bits).filter(|m| !m.is_nan() && *m != 0.0).collect();
        let narrow: Vec<f32> = narrow.into_iter().map(f32::from_bits).filter(|m| !m.is_nan() && *m != 0.0).collect();
        for copy in copies(&with_velocity(&wide)) {
            prop_assert_eq!(bits(copy.velocity()), bits(&wide));
        }
        for copy in copies(&with_velocity(&narrow)) {
            prop_assert_eq!(bits(copy.velocity()), bits(&narrow));
        }
        for rate in wide.into_iter().map(f64::abs).filter(|rate| rate.is_finite()) {
            for copy in copies(&Sgd::<f64>::new(rate).unwrap()) {
                prop_assert_eq!(copy.learning_rate().to_bits(), rate.to_bits());
            }
        }
    }
}

// Spelling ------------------------------------------------------------------------------------------------------------

fn spelled<T: Exact>(value: T) -> String {
    let text = exact::serialize(&value, serde_json::value::Serializer).unwrap();
    text.as_str().unwrap().to_string()
}

fn read<T: Exact>(text: &str) -> Result<T, serde_json::Error> {
    exact::deserialize(serde_json::Value::from(text))
}

/// Made with Python's `"%.*e"`, digit by digit more until `float()` reads the same number (`struct` rounds to f32).
#[test]
fn value_stability_spelling() {
    let f64s = [
        (0.0, "0e0"),
        (-0.0, "-0e0"),
        (1.0, "1e0"),
        (-1500.0, "-1.5e3"),
        (0.1, "1e-1"),
        (1.0 / 3.0, "3.333333333333333e-1"),
        (1e23, "1e23"),
        (9_007_199_254_740_993e3, "9.007199254740993e18"),
        (5e-324, "5e-324"),
        (f64::from_bits(0x000F_FFFF_FFFF_FFFF), "2.225073858507201e-308"), // the largest subnormal
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::MIN, "-1.7976931348623157e308"),
        // Half-way between two of 17 digits, which both read back: the even one.
        (1_500_000_000_000_000.0 + 0.25, "1.5000000000000002e15"),
        (1_500_000_000_000_000.0 + 0.75, "1.5000000000000008e15"),
        // Powers of two: 5.960464477539063e-8 and 5.684341886080802e-14 read back too, but are not the nearest.
        (2_f64.powi(-24), "5.9604644775390625e-8"),
        (2_f64.powi(-44), "5.6843418860808015e-14"),
        (f64::INFINITY, "inf"),
        (f64::NEG_INFINITY, "-inf"),
        (f64::NAN, "NaN"),
        (-f64::NAN, "NaN"),
    ];
    for (number, text) in f64s {
        assert_eq!(spelled(number), text);
        assert_eq!(bits(&[read::<f64>(text).unwrap()]), bits(&[if number.is_nan() { f64::NAN } else { number }]));
    }
    let f32s = [
        (0.1, "1e-1"),
        (1e-45, "1e-45"),
        (f32::from_bits(0x007F_FFFF), "1.1754942e-38"),
        (f32::MIN_POSITIVE, "1.1754944e-38"),
        (f32::MAX, "3.4028235e38"),
        (3_000_000.0 + 0.25, "3.0000002e6"),
        (3_000_000.0 + 0.75, "3.0000008e6"),
        (2_f32.powi(-96), "1.26217745e-29"),
        (2_f32.powi(90), "1.23794004e27"),
        (f32::NEG_INFINITY, "-inf"),
        (f32::NAN, "NaN"),
    ];
    for (number, text) in f32s {
        assert_eq!(spelled(number), text);
        assert_eq!(bits(&[read::<f32>(text).unwrap()]), bits(&[number]));
    }
    for (number, text) in [(0, "0"), (1 << 53, "9007199254740992"), (u64::MAX, "18446744073709551615")] {
        assert_eq!((spelled(number), read::<u64>(text).unwrap()), (text.to_string(), number));
    }
}

/// As the f32 of the same value.
#[cfg(feature = "half")]
#[test]
fn value_stability_spelling_of_halves() {
    use half::{bf16, f16};
    let spellings = [
        (spelled(bf16::from_f32(0.1)), "1.00097656e-1"),
        (spelled(bf16::MAX), "3.3895314e38"),
        (spelled(bf16::MIN_POSITIVE_SUBNORMAL), "9.1835e-41"),
        (spelled(bf16::NEG_ZERO), "-0e0"),
        (spelled(f16::from_f32(0.1)), "9.9975586e-2"),
        (spelled(f16::MAX), "6.5504e4"),
        (spelled(f16::MIN_POSITIVE_SUBNORMAL), "5.9604645e-8"),
        (spelled(f16::NEG_INFINITY), "-inf"),
        (spelled(f16::NAN), "NaN"),
    ];
    for (found, expected) in spellings {
        assert_eq!(found, expected);
    }
    for half in 0..=u16::MAX {
        let (b, f) = (bf16::from_bits(half), f16::from_bits(half));
        assert_eq!(bits(&[read::<bf16>(&spelled(b)).unwrap()]), bits(&[if b.is_nan() { bf16::NAN } else { b }]));
        assert_eq!(bits(&[read::<f16>(&spelled(f)).unwrap()]), bits(&[if f.is_nan() { f16::NAN } else { f }]));
    }
    // The nearest half of another number.
    let error = read::<bf16>("1e-1").unwrap_err().to_string();
    assert_eq!(error, "expected a number as it is saved, `1.00097656e-1`, found `1e-1`");
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

#[test]
fn another_spelling_is_refused() {
    let cases = [
        ("0.1", "1e-1"),
        ("0.1e0", "1e-1"),
        ("10e-2", "1e-1"),
        ("1.0e-1", "1e-1"),
        ("1E-1", "1e-1"),
        ("+1e-1", "1e-1"),
        ("1e-01", "1e-1"),
        ("1e+1", "1e1"),
        ("1.e1", "1e1"),
        (".1e1", "1e0"),
        ("0", "0e0"),
        ("-0", "-0e0"),
        ("0e5", "0e0"),
        ("1e-400", "0e0"),
        ("1e400", "inf"),
        ("infinity", "inf"),
        ("+inf", "inf"),
        ("nan", "NaN"),
        ("-NaN", "NaN"),
        ("3e-324", "5e-324"),
        ("1.00000000000000005e-1", "1e-1"),
        ("5.960464477539063e-8", "5.9604644775390625e-8"),
        ("1.5000000000000003e15", "1.5000000000000002e15"),
    ];
    for (text, expected) in cases {
        let error = read::<f64>(text).unwrap_err().to_string();
        assert_eq!(error, format!("expected a number as it is saved, `{expected}`, found `{text}`"));
    }
    for text in ["", " 1e0", "1e0 ", "1,5e0", "0x1p3", "e1", "--1e0", "1e", "1_000e0", "\u{664}e0"] {
        let error = read::<f64>(text).unwrap_err().to_string();
        assert_eq!(error, format!("expected a number, found `{text}`"));
    }
    let of_f32 = read::<f32>("1e-50").unwrap_err().to_string();
    assert_eq!(of_f32, "expected a number as it is saved, `0e0`, found `1e-50`");
    for (text, message) in [
        ("007", "expected a number as it is saved, `7`, found `007`"),
        ("1e0", "expected a number, found `1e0`"),
        ("18446744073709551616", "expected a number, found `18446744073709551616`"),
    ] {
        assert_eq!(read::<u64>(text).unwrap_err().to_string(), message);
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
    let text = r#"{"params":["1e-1"],"layers":[["1e-1"],[],["1e-1"]],"array":["-inf","-0e0"],"boxed":[["1.1754944e-38","1e-45"],["1e-1","inf"]],"best_loss":"inf","samples":"18446744073709551615"}"#;
    assert_eq!(json(&own(&[0.1])), text);
    refused::<Own64>(
        text,
        &[
            (r#"["-inf","-0e0"]"#, r#"["-inf"]"#, "expected an array of length 2, found 1"),
            (r#"["-inf","-0e0"]"#, r#"["1e0","1e0","1e0"]"#, "expected an array of length 2, found 3"),
            (r#""best_loss":"inf""#, r#""best_loss":null"#, "invalid type: null, expected a string with a f64"),
            (r#""best_loss":"inf""#, r#""best_loss":["inf"]"#, "invalid type: sequence, expected a string with a f64"),
            (
                r#""params":["1e-1"]"#,
                r#""params":[0.1]"#,
                "invalid type: floating point `0.1`, expected a string with a f64",
            ),
            (r#""params":["1e-1"]"#, r#""params":"1e-1""#, "invalid type: string \"1e-1\", expected a list of numbers"),
            (
                r#""layers":[["1e-1"],"#,
                r#""layers":["1e-1","#,
                "invalid type: string \"1e-1\", expected a list of numbers",
            ),
        ],
    );
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
    // No file that nothing reads. (Some are of halves.)
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

const SGD: &str = r#"{"_type":"gradstep::Sgd<f64> v1","learning_rate":"1e-1","steps":"1","weight_decay":{"_type":"gradstep::WeightDecay v1","form":"None","strength":"0e0"}}"#;
const MOMENTUM: &str = r#"{"_type":"gradstep::Momentum<f64> v1","steps":"1","velocity":["1e-1","-2.5e-1"],"rule":{"_type":"gradstep::MomentumRule v1","learning_rate":"5e-1","momentum":"9e-1","form":"PyTorchNesterov","weight_decay":{"_type":"gradstep::WeightDecay v1","form":"Coupled","strength":"1e-2"}}}"#;
const MODEL: &str = r#"{"_type":"gradstep::ParamGroups<f64> v1","factor":"7e-1","steps":"1","groups":[{"name":"weights","learning_rate":"1e-1","frozen":false,"optimizer":{"_type":"gradstep::Momentum<f64> v1","steps":"1","velocity":["-3e-2","0e0"],"rule":{"_type":"gradstep::MomentumRule v1","learning_rate":"6.999999999999999e-2","momentum":"9e-1","form":"Classical","weight_decay":{"_type":"gradstep::WeightDecay v1","form":"None","strength":"0e0"}}}},{"name":"bias","learning_rate":"3e-1","frozen":true,"optimizer":{"_type":"gradstep::Momentum<f64> v1","steps":"1","velocity":["2.1e-1"],"rule":{"_type":"gradstep::MomentumRule v1","learning_rate":"2.1e-1","momentum":"5e-1","form":"Classical","weight_decay":{"_type":"gradstep::WeightDecay v1","form":"None","strength":"0e0"}}}}]}"#;
const POSITION: &str = r#"{"_type":"gradstep::Position v1","epoch":"3","samples":"4","batch_size":"4","drop_last":true,"settings":[["shuffle","1"],["len","10"],["seed","18446744073709551615"]]}"#;
const ACCUMULATOR: &str =
    r#"{"_type":"gradstep::Accumulator v1","samples":"3","bad":["0","1"],"sum":["3.0000000000000004e-1","-inf"]}"#;
const AVERAGE: &str = r#"{"_type":"gradstep::WeightAverage<f64> v1","decay":"9e-1","warmup":true,"updates":"3","swapped":false,"values":["1e-1","-0e0"]}"#;
const SWAPPED_MEAN: &str = r#"{"_type":"gradstep::WeightAverage<f32> v1","decay":"1e0","warmup":true,"updates":"3","swapped":true,"values":["inf"]}"#;
const BY_NAME: &str = r#"{"_type":"gradstep::ByName v1","tensors":[{"name":"a","state":{"_type":"gradstep::Accumulator v1","samples":"0","bad":[],"sum":["0e0"]}},{"name":"b","state":{"_type":"gradstep::Accumulator v1","samples":"0","bad":[],"sum":[]}}]}"#;
const NOISE_SCALE: &str = r#"{"_type":"gradstep::NoiseScale v1","estimates":"1","squared_norms":"2e0","traces":"8e0"}"#;

fn accumulator() -> Accumulator {
    let mut accumulator = Accumulator::new(2).unwrap();
    accumulator.add(&[0.1, f64::NEG_INFINITY], 3).unwrap(); // 3 · 0.1 rounds to 0.30000000000000004
    accumulator
}

const PLATEAU: &str = r#"{"_type":"gradstep::ReduceOnPlateau v1","reduction":"3e-1","patience":"1","cooldown":"3","relative":"1e-2","absolute":"1e-3","factor":"3e-1","best":"1e0","bad_epochs":"0","cooling":"2"}"#;
const LOSS_SCALE: &str =
    r#"{"_type":"gradstep::LossScale v1","scale":"5e-1","growth_interval":"9","applied":"2","skipped":"0"}"#;

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

fn batcher() -> Batcher {
    Batcher::new(10, 4, u64::MAX).unwrap().drop_last()
}

/// What was saved must be readable by every release to come: a change here is a change of the format.
#[test]
fn value_stability_format() {
    assert_eq!(json(&sgd()), SGD);
    assert_eq!(json(&FiniteGuard(sgd())), SGD);
    assert_eq!(json(&momentum()), MOMENTUM);
    assert_eq!(json(&model()), MODEL);
    assert_eq!(json(&batcher().position(3, 4).unwrap()), POSITION);
    let orders = [
        json(&Batcher::sequential(3, 2).unwrap().position(0, 2).unwrap()),
        json(&Batcher::over(Permutation::new(1 << 20, 5).unwrap(), 2).unwrap().position(0, 2).unwrap()),
        json(&Batcher::over(Subset::new(vec![7]).unwrap(), 1).unwrap().position(0, 0).unwrap()),
    ];
    let settings = [
        r#"[["sequential","1"],["len","3"]]"#,
        r#"[["permutation","1"],["len","1048576"],["seed","5"]]"#,
        // FNV-1a over 7, 0, 0, 0, 0, 0, 0, 0.
        r#"[["sequential","1"],["len","1"],["hash of the samples","5465015992139406178"]]"#,
    ];
    for (saved, expected) in orders.iter().zip(settings) {
        assert!(saved.contains(expected), "{saved}");
    }
    assert_eq!((json(&accumulator()), json(&noise_scale())), (ACCUMULATOR.to_string(), NOISE_SCALE.to_string()));
}

/// A string of bytes as postcard writes it: its length, which is below 128 here, and the bytes.
fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    [&[bytes.as_ref().len() as u8], bytes.as_ref()].concat()
}

/// The order of fields counts here: swapped, an old file would load as something else. Numbers are their bytes, the
/// lowest first; those of a velocity are one string.
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
    let mut model = ParamGroups::new();
    model.insert("w", Sgd::<f64>::new(1.0).unwrap()).unwrap();
    model.freeze("w").unwrap();
    let one = string(1.0_f64.to_le_bytes());
    let expected = [
        string("gradstep::ParamGroups<f64> v1"),
        one.clone(), // factor
        string([0; 8]),
        vec![1], // group
        string("w"),
        one.clone(),
        vec![1], // frozen
        string("gradstep::Sgd<f64> v1"),
        one,
        string([0; 8]),
        string("gradstep::WeightDecay v1"),
        string("None"),
        string([0; 8]),
    ];
    assert_eq!(postcard::to_allocvec(&model).unwrap(), expected.concat());
    let batcher = Batcher::new(10, 3, 42).unwrap();
    let number = |number: u64| string(number.to_le_bytes());
    let setting = |name: &str, value| [string(name), number(value)].concat();
    let expected = [
        [string("gradstep::Position v1"), number(7), number(8), number(3), vec![0]].concat(),
        [vec![3], setting("shuffle", 1), setting("len", 10), setting("seed", 42)].concat(),
    ];
    assert_eq!(postcard::to_allocvec(&batcher.position(7, 8).unwrap()).unwrap(), expected.concat());
    let expected = [
        string("gradstep::Accumulator v1"),
        number(3),
        vec![1],
        string([0_u64, 1].map(u64::to_le_bytes).concat()),
        vec![1],
        string([0.1_f64 * 3.0, f64::NEG_INFINITY].map(f64::to_le_bytes).concat()),
    ];
    assert_eq!(postcard::to_allocvec(&accumulator()).unwrap(), expected.concat());
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

// Refusals ------------------------------------------------------------------------------------------------------------

#[test]
fn another_kind_is_refused_in_both_formats() {
    assert_eq!(
        refusal::<Momentum<f64>>(SGD),
        "saved type is gradstep::Sgd<f64> v1, expected gradstep::Momentum<f64> v1"
    );
    assert_eq!(
        refusal::<Sgd<f64>>(MOMENTUM),
        "saved type is gradstep::Momentum<f64> v1, expected gradstep::Sgd<f64> v1"
    );
    assert_eq!(
        refusal::<FiniteGuard<Sgd<f64>>>(MOMENTUM),
        "saved type is gradstep::Momentum<f64> v1, expected gradstep::Sgd<f64> v1"
    );
    assert_eq!(
        refusal::<ParamGroups<f64, Sgd<f64>>>(MODEL),
        "saved type is gradstep::Momentum<f64> v1, expected gradstep::Sgd<f64> v1"
    );
    // postcard drops the words of all errors.
    assert!(postcard::from_bytes::<Momentum<f64>>(&postcard::to_allocvec(&sgd()).unwrap()).is_err());
    assert!(postcard::from_bytes::<Sgd<f64>>(&postcard::to_allocvec(&momentum()).unwrap()).is_err());
}

/// Text alone would do, rounded in silence.
#[test]
fn another_scalar_is_refused_in_both_formats() {
    let message = |name| format!("saved type is gradstep::{name}<f64> v1, expected gradstep::{name}<f32> v1");
    assert_eq!(refusal::<Sgd<f32>>(SGD), message("Sgd"));
    assert_eq!(refusal::<Momentum<f32>>(MOMENTUM), message("Momentum"));
    assert_eq!(refusal::<ParamGroups<f32, Momentum<f32>>>(MODEL), message("ParamGroups"));
    assert!(postcard::from_bytes::<Sgd<f32>>(&postcard::to_allocvec(&sgd()).unwrap()).is_err());
}

#[test]
fn tampered_sgd_is_refused() {
    let cases = [
        (r#""1e-1""#, r#""-1e-1""#, "learning_rate is -0.1, expected a finite number of at least 0"),
        (r#""1e-1""#, r#""NaN""#, "learning_rate is NaN, expected a finite number of at least 0"),
        (r#""1e-1""#, r#""inf""#, "learning_rate is inf, expected a finite number of at least 0"),
        (r#""1e-1""#, r#""a tenth""#, "expected a number, found `a tenth`"),
        (r#""1e-1""#, "1e-1", "invalid type: floating point `0.1`, expected a string with a f64"),
        (r#""1e-1""#, r#""1e-400""#, "expected a number as it is saved, `0e0`, found `1e-400`"),
        (r#""1e-1""#, r#""1e309""#, "expected a number as it is saved, `inf`, found `1e309`"),
        (r#""1e-1""#, r#""0.1""#, "expected a number as it is saved, `1e-1`, found `0.1`"),
        (r#""1e-1""#, r#""1.0e-1""#, "expected a number as it is saved, `1e-1`, found `1.0e-1`"),
        (r#""None""#, r#""Strong""#, "saved form is Strong, expected None, Coupled or Decoupled"),
        (r#""strength":"0e0""#, r#""strength":"5e-1""#, "saved strength is 5e-1, expected 0e0"),
        (r#""steps":"1""#, r#""steps":"-1""#, "expected a number, found `-1`"),
        (r#""steps":"1""#, r#""steps":"+1""#, "expected a number as it is saved, `1`, found `+1`"),
        (r#""steps":"1""#, r#""steps":1"#, "invalid type: integer `1`, expected a string with a u64"),
        (r#","steps":"1""#, "", "missing field `steps`"),
        (r#""steps":"1""#, r#""steps":"1","velocity":[]"#, "unknown field `velocity`"),
        ("Sgd", "Lion", "saved type is gradstep::Lion<f64> v1, expected gradstep::Sgd<f64> v1"),
    ];
    refused::<Sgd<f64>>(SGD, &cases);
}

/// Before the rest, which another version may write in any way.
#[test]
fn another_version_is_refused_by_name() {
    let text = r#"{"_type":"gradstep::Sgd<f64> v2","rate":0.5}"#;
    assert_eq!(refusal::<Sgd<f64>>(text), "saved type is gradstep::Sgd<f64> v2, expected gradstep::Sgd<f64> v1");
    // Also in a tree whose keys are sorted.
    let tree: serde_json::Value = serde_json::from_str(text).unwrap();
    let error = serde_json::from_value::<Sgd<f64>>(tree).unwrap_err();
    assert_eq!(error.to_string(), "saved type is gradstep::Sgd<f64> v2, expected gradstep::Sgd<f64> v1");
}

#[test]
fn tampered_weight_decay_is_refused() {
    let decay = json(&WeightDecay::Coupled(0.5));
    let cases = [
        (r#""5e-1""#, r#""-1e0""#, "weight_decay is -1.0, expected a finite number of at least 0"),
        (r#""5e-1""#, r#""inf""#, "weight_decay is inf, expected a finite number of at least 0"),
        ("Coupled", "None", "saved strength is 5e-1, expected 0e0"),
    ];
    refused::<WeightDecay>(&decay, &cases);
}

#[test]
fn tampered_momentum_is_refused() {
    let cases = [
        (r#""9e-1""#, r#""1e0""#, "momentum is 1.0, expected a number of at least 0 and below 1"),
        (r#""9e-1""#, r#""-5e-1""#, "momentum is -0.5, expected a number of at least 0 and below 1"),
        (r#""9e-1""#, r#""NaN""#, "momentum is NaN, expected a number of at least 0 and below 1"),
        (r#""5e-1""#, r#""-5e-1""#, "learning_rate is -0.5, expected a finite number of at least 0"),
        (r#""1e-2""#, r#""-1e0""#, "weight_decay is -1.0, expected a finite number of at least 0"),
        (
            "PyTorchNesterov",
            "Keras",
            "saved form is Keras, expected one of [Classical, Nesterov, PyTorch, PyTorchNesterov]",
        ),
        ("-2.5e-1", "-0,25", "expected a number, found `-0,25`"),
        (r#""form""#, r#""shape""#, "unknown field `shape`"),
    ];
    refused::<Momentum<f64>>(MOMENTUM, &cases);
    // A string of bytes that ends within a number.
    let mut bytes = postcard::to_allocvec(&with_velocity(&[0.5_f32])).unwrap();
    let at = bytes.windows(5).rposition(|five| five == [4, 0, 0, 0, 0x3F]).unwrap();
    postcard::from_bytes::<Momentum<f32>>(&bytes).unwrap();
    bytes.splice(at..at + 5, [3, 0, 0, 0x3F]);
    assert!(postcard::from_bytes::<Momentum<f32>>(&bytes).is_err());
}

#[test]
fn tampered_adam_is_refused() {
    let mut adam = Adam::<f64>::with_settings(0.5, [0.9, 0.99], 1e-8, 2).unwrap();
    adam = adam.with_weight_decay(WeightDecay::Decoupled(0.01)).unwrap();
    let good = adam.with_state(&[0.1, -0.25], &[0.2, 0.0], 7).unwrap();
    let good = json(&good);
    let expected = r#"{"_type":"gradstep::Adam<f64> v1","learning_rate":"5e-1","betas":["9e-1","9.9e-1"],"eps":"1e-8","steps":"7","m":["1e-1","-2.5e-1"],"v":["2e-1","0e0"],"weight_decay":{"_type":"gradstep::WeightDecay v1","form":"Decoupled","strength":"1e-2"}}"#;
    assert_eq!(good, expected);
    let cases = [
        (r#""2e-1""#, r#""-2e-1""#, "v is -0.2, expected a number of at least 0"),
        (r#""2e-1""#, r#""-inf""#, "v is -inf, expected a number of at least 0"),
        (r#""0e0"]"#, r#""0e0","0e0"]"#, "v has length 3, expected 2, the length of m"),
        (r#""9.9e-1""#, r#""1e0""#, "beta2 is 1.0, expected a number of at least 0 and below 1"),
        (r#"["9e-1""#, r#"["-9e-1""#, "beta1 is -0.9, expected a number of at least 0 and below 1"),
        (r#""9e-1","#, "", "expected an array of length 2, found 1"),
        (r#""1e-8""#, r#""0e0""#, "eps is 0.0, expected a finite number above 0"),
        (r#""5e-1""#, r#""-5e-1""#, "learning_rate is -0.5, expected a finite number of at least 0"),
        (r#""1e-2""#, r#""-1e0""#, "weight_decay is -1.0, expected a finite number of at least 0"),
        (r#""steps""#, r#""step""#, "unknown field `step`"),
    ];
    refused::<Adam<f64>>(&good, &cases);
}

#[test]
fn tampered_models_are_refused() {
    let cases = [
        (r#""factor":"7e-1""#, r#""factor":"-1e0""#, "factor is -1.0, expected a finite number of at least 0"),
        (r#""factor":"7e-1""#, r#""factor":"NaN""#, "factor is NaN, expected a finite number of at least 0"),
        (r#""factor":"7e-1","#, "", "missing field `factor`"),
        (r#""factor":"7e-1""#, r#""factor":"inf""#, "factor is inf, expected a finite number of at least 0"),
        (r#""name":"bias""#, r#""name":"weights""#, "tensor `weights` appears twice"),
        (
            r#""learning_rate":"3e-1","frozen""#,
            r#""learning_rate":"-3e-1","frozen""#,
            "tensor `bias`: learning_rate is -0.3, expected a finite number of at least 0",
        ),
        (r#""momentum":"5e-1""#, r#""momentum":"1e0""#, "momentum is 1.0, expected a number of at least 0 and below 1"),
        (r#""frozen":true,"#, "", "missing field `frozen`"),
        (r#""frozen":true"#, r#""frozen":true,"colour":1"#, "unknown field `colour`"),
    ];
    refused::<ParamGroups<f64, Momentum<f64>>>(MODEL, &cases);
}

#[test]
fn tampered_positions_are_refused() {
    let cases = [
        (r#""batch_size":"4""#, r#""batch_size":"0""#, "batch_size is 0, expected at least 1"),
        (r#""drop_last":true"#, r#""drop_last":1"#, "invalid type: integer `1`, expected a boolean"),
        (r#""drop_last":true,"#, "", "missing field `drop_last`"),
        (r#""epoch":"3","#, "", "missing field `epoch`"),
        (r#""epoch":"3""#, r#""epoch":"3","step":1"#, "unknown field `step`"),
        (r#"["len","10"]"#, r#"["len"]"#, "invalid length 1, expected a tuple of size 2"),
        (r#""18446744073709551615""#, r#""18446744073709551616""#, "expected a number, found"),
        (
            r#""18446744073709551615""#,
            r#"18446744073709551615"#,
            "invalid type: integer `18446744073709551615`, expected a string with a u64",
        ),
    ];
    refused::<Position>(POSITION, &cases);
    // Only the batcher that it is for can tell.
    let cases = [
        (r#""batch_size":"4""#, r#""batch_size":"5""#, "saved batch_size is 5, expected 4"),
        (r#"["len","10"]"#, r#"["len","0"]"#, "saved len is 0, expected 10"),
        (
            r#"["len","10"]"#,
            r#"["size","10"]"#,
            r#"saved order is ["shuffle", "size", "seed"], expected ["shuffle", "len", "seed"]"#,
        ),
        (r#","18446744073709551615"]"#, r#","0"]"#, "saved seed is 0, expected 18446744073709551615"),
        (r#"["shuffle","1"]"#, r#"["shuffle","2"]"#, "saved shuffle is 2, expected 1"),
        (r#""samples":"4""#, r#""samples":"11""#, "samples is 11, expected at most len = 10"),
        (r#""drop_last":true"#, r#""drop_last":false"#, "saved drop_last is false, expected true"),
    ];
    for (from, to, expected) in cases {
        assert!(POSITION.contains(from), "{from}");
        let position: Position = serde_json::from_str(&POSITION.replace(from, to)).unwrap();
        says(batcher().resume(&position), expected);
    }
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
    assert_eq!(json(&plateau()), PLATEAU);
    for copy in copies(&ReduceOnPlateau::new(0.1, 10).unwrap()) {
        assert_eq!((copy.best(), copy.factor()), (f64::INFINITY, 1.0));
    }
}

#[test]
fn tampered_plateaus_are_refused() {
    let cases = [
        (r#""reduction":"3e-1""#, r#""reduction":"1e0""#, "reduction is 1.0, expected a number above 0 and below 1"),
        (
            r#""relative":"1e-2""#,
            r#""relative":"1e0""#,
            "relative threshold is 1.0, expected a number of at least 0 and below 1",
        ),
        (
            r#""absolute":"1e-3""#,
            r#""absolute":"NaN""#,
            "absolute threshold is NaN, expected a finite number of at least 0",
        ),
        (r#""factor":"3e-1""#, r#""factor":"2e0""#, "factor is 2.0, expected a number of at least 0 and at most 1"),
        (r#""best":"1e0""#, r#""best":"NaN""#, "best is NaN, expected a number"),
        (r#""best":"1e0""#, r#""best":"-inf""#, "best is -inf, expected a number"),
        (r#""bad_epochs":"0""#, r#""bad_epochs":"2""#, "bad_epochs is 2, expected at most patience = 1"),
        (r#""cooling":"2""#, r#""cooling":"4""#, "cooling is 4, expected at most cooldown = 3"),
    ];
    refused::<ReduceOnPlateau>(PLATEAU, &cases);
}

#[test]
fn loss_scales_come_back() {
    assert_eq!(json(&loss_scale()), LOSS_SCALE);
    for loss_scale in [loss_scale(), LossScale::default()] {
        for copy in copies(&loss_scale) {
            assert_eq!(copy, loss_scale);
        }
    }
    let cases = [
        (r#""scale":"5e-1""#, r#""scale":"0e0""#, "scale is 0.0, expected a number of at least"),
        (r#""scale":"5e-1""#, r#""scale":"3e0""#, "scale is 3.0, expected a power of two"),
        (r#""growth_interval":"9""#, r#""growth_interval":"0""#, "growth_interval is 0, expected at least 1"),
        (r#""applied":"2""#, r#""applied":"9""#, "applied is 9, expected below growth_interval = 9"),
        (r#""skipped":"0""#, r#""skipped":"1""#, "saved applied is 2, expected 0"),
    ];
    refused::<LossScale>(LOSS_SCALE, &cases);
}

#[test]
fn tampered_sums_are_refused() {
    let cases = [
        (r#""3""#, r#""-3""#, "expected a number, found `-3`"),
        (r#""3""#, r#""0""#, "samples is 0, expected at least 1"), // and sums that are not 0
        (r#"["0","1"]"#, "[]", "saved bad is [], expected the samples before"),
        (r#"["0","1"]"#, r#"["0"]"#, "saved bad is [0], expected the samples before"),
        (r#"["0","1"]"#, r#"["0","0"]"#, "saved bad is [0, 0], expected the samples before"), // a finite sum
        (r#"["0","1"]"#, r#"["0","2"]"#, "saved bad is [0, 2], expected the samples before"),
        (r#"["0","1"]"#, r#"["0","4294967297"]"#, "saved bad is [0, 4294967297], expected the samples before"),
        (r#"["0","1"]"#, r#"["3","1"]"#, "saved bad is [3, 1], expected the samples before"),
        ("-inf", "1e0", "saved bad is [0, 1], expected the samples before"),
    ];
    refused::<Accumulator>(ACCUMULATOR, &cases);
    let cases = [
        (r#""8e0""#, r#""inf""#, "traces is inf, expected a finite number"),
        (r#""1""#, r#""0""#, "estimates is 0, expected at least 1"),
    ];
    refused::<NoiseScale>(NOISE_SCALE, &cases);
}

#[test]
fn tampered_averages_are_refused() {
    let decay = |value: &str| format!("decay is {value}, expected a number of at least 0 and below 1");
    let (one, above, nan) = (decay("1.0"), decay("1.1"), decay("NaN"));
    let cases = [
        (r#""9e-1","warmup":true"#, r#""1e0","warmup":false"#, &*one),
        (r#""9e-1""#, r#""1.1e0""#, &above),
        (r#""9e-1""#, r#""NaN""#, &nan),
        (r#""1e-1""#, r#""NaN""#, "params[0] is NaN, expected a finite number"),
        (r#""-0e0""#, r#""-1e308""#, "params[1] is -1e308, expected at most 8.988465674311579e307 in absolute value"),
        (r#""3","swapped":false"#, r#""0","swapped":true"#, "number of updates is 0, expected at least 1"),
        (r#""swapped":false"#, r#""swapped":0"#, "invalid type"),
        (
            "<f64> v1",
            "<f32> v1",
            "saved type is gradstep::WeightAverage<f32> v1, expected gradstep::WeightAverage<f64> v1",
        ),
    ];
    refused::<WeightAverage<f64>>(AVERAGE, &cases);
    // While it is in their place, these are the parameters, of which nothing is asked.
    let mut average: WeightAverage<f32> = serde_json::from_str(SWAPPED_MEAN).unwrap();
    assert_eq!(json(&average), SWAPPED_MEAN);
    let mut params = [1.0];
    average.swap(&mut params).unwrap();
    assert_eq!((params, average.values().unwrap()), ([f32::INFINITY], &[1.0][..]));

    let cases = [
        (r#""name":"b""#, r#""name":"a""#, "tensor `a` appears twice"),
        (r#""name":"b""#, r#""nam":"b""#, "unknown field"),
        ("Accumulator v1", "Accumulator v2", "saved type is gradstep::Accumulator v2"),
    ];
    refused::<ByName<Accumulator>>(BY_NAME, &cases);
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

/// As `scale_learning_rates` would refuse it.
#[test]
fn a_factor_that_takes_a_learning_rate_out_of_range_is_refused() {
    let large = MODEL.replace(r#""factor":"7e-1""#, r#""factor":"1e308""#);
    serde_json::from_str::<ParamGroups<f64, Momentum<f64>>>(&large).unwrap();
    let error = refusal::<ParamGroups<f64, Momentum<f64>>>(&large.replace(r#""3e-1","frozen""#, r#""3e1","frozen""#));
    assert!(
        error.starts_with("tensor `bias`: learning_rate is inf, expected a finite number of at least 0"),
        "{error}"
    );
}

/// A count of steps at its very end: the step may be refused, or the count stand still; it may not panic.
#[test]
fn the_last_count_of_steps_does_not_panic() {
    let most = format!(r#""steps":"{}""#, u64::MAX);
    let mut sgd: Sgd<f64> = serde_json::from_str(&SGD.replace(r#""steps":"1""#, &most)).unwrap();
    let _ = sgd.step(&mut [1.0], &[1.0]);
    let mut momentum: Momentum<f64> = serde_json::from_str(&MOMENTUM.replace(r#""steps":"1""#, &most)).unwrap();
    let _ = momentum.step(&mut [1.0; 2], &[1.0; 2]);
    let mut model: ParamGroups<f64, Momentum<f64>> =
        serde_json::from_str(&MODEL.replacen(r#""steps":"1""#, &most, 1)).unwrap();
    let _ = model.step(&mut [("weights", &mut [1.0; 2], &[1.0; 2])]);
}

// Restoring -----------------------------------------------------------------------------------------------------------

/// The state is taken, and the settings stay those of the program.
#[test]
fn what_was_loaded_is_restored() {
    let loaded: Momentum<f64> = serde_json::from_str(MOMENTUM).unwrap();
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
    own.restore(serde_json::from_str(MODEL).unwrap()).unwrap();
    let mut expected = model();
    expected.set_learning_rate("weights", 0.25).unwrap();
    assert_eq!(own, expected);
    own = serde_json::from_str(MODEL).unwrap(); // and so the saved settings are taken too
    assert_eq!(own, model());

    let position: Position = serde_json::from_str(POSITION).unwrap();
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

/// Values of no crate at all: a rule of one's own is saved by one's own derive, inside a model.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Own(f32);

impl Optimizer<f32> for Own {
    fn check(&self, _: Grads<f32>) -> Result<(), Error> {
        Ok(())
    }

    fn update(&mut self, step: Step<f32>) -> Result<(), Error> {
        let learning_rate = self.0;
        step.apply([], move |p, [], g| (p - learning_rate * g, []))
    }

    fn learning_rate(&self) -> f64 {
        self.0.into()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.0 = learning_rate as f32;
        Ok(())
    }

    fn steps(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}

    fn state_len(&self) -> Option<usize> {
        None
    }
}

#[test]
fn models_of_a_rule_of_ones_own() {
    let mut model = ParamGroups::new();
    model.insert("a", Own(0.5)).unwrap();
    model.step(&mut [("a", &mut [1.0; 2], &[1.0; 2])]).unwrap();
    for copy in copies(&model) {
        assert_eq!(copy, model);
    }
}

// Schedules -----------------------------------------------------------------------------------------------------------

const SCHEDULE: &str = r#"{"_type":"gradstep::Schedule v1","pieces":[{"start":"0","kind":"constant","numbers":["-0e0"],"counts":[]},{"start":"1","kind":"linear","numbers":["0e0","1e-1"],"counts":["9"]},{"start":"2","kind":"polynomial","numbers":["1e-1","5e-324","4.294967295e9"],"counts":["8"]},{"start":"3","kind":"step_decay","numbers":["3e-1","9e-1"],"counts":["7"]},{"start":"4","kind":"cosine","numbers":["1e-1","1e-3"],"counts":["18446744073709551615"]},{"start":"5","kind":"geometric","numbers":["1e-6","1e1"],"counts":["100"]},{"start":"6","kind":"inverse_time","numbers":["4e-1","5e-1"],"counts":["4000"]},{"start":"7","kind":"one_cycle","numbers":["0e0","4e-1","1e-5","3.05e1","7e1"],"counts":[]},{"start":"18446744073709551615","kind":"cosine_restarts","numbers":["1e-1","0e0"],"counts":["5","2"]}]}"#;

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
    assert_eq!(json(&schedule()), SCHEDULE);
    let one_cycle = Schedule::one_cycle(0.0, 0.4, 1e-5, 30.0, 70.0).unwrap();
    let long = (1..10_000).fold(one_cycle.clone(), |before, i| before.then(100 * i, one_cycle.clone()));
    for schedule in [schedule(), one_cycle, long] {
        for copy in copies(&schedule) {
            assert_eq!((&copy, format!("{copy:?}")), (&schedule, format!("{schedule:?}"))); // a -0.0 by its text
        }
    }
    // Numbers of a list are one string, and an empty list has none.
    let numbers = |numbers: &[f64]| [vec![1], string(numbers.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<_>>())];
    let counts = |counts: &[u64]| [vec![1], string(counts.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<_>>())];
    let expected = [
        [string("gradstep::Schedule v1"), vec![2]].concat(),
        [string([0; 8]), string("constant"), numbers(&[0.1]).concat(), vec![0]].concat(),
        [
            string(5_u64.to_le_bytes()),
            string("cosine_restarts"),
            numbers(&[0.2, 0.3]).concat(),
            counts(&[6, 7]).concat(),
        ]
        .concat(),
    ];
    let schedule = Schedule::constant(0.1).unwrap().then(5, Schedule::cosine_restarts(0.2, 0.3, 6, 7).unwrap());
    assert_eq!(postcard::to_allocvec(&schedule).unwrap(), expected.concat());
}

#[test]
fn tampered_schedules_are_refused() {
    let number = |name, value| format!("{name} is {value}, expected a finite number of at least 0");
    let kind = |saved| format!("saved piece is {saved}, expected the name of a schedule with its numbers and counts");
    let cases = [
        (r#"["-0e0"]"#, r#"["NaN"]"#, number("learning_rate", "NaN")),
        (r#"["0e0","1e-1"]"#, r#"["0e0","-1e-1"]"#, number("to", "-0.1")),
        (r#"["1e-1","1e-3"]"#, r#"["inf","1e-3"]"#, number("from", "inf")),
        (r#""9e-1""#, r#""1.5e0""#, "factor is 1.5, expected a number of at least 0 and at most 1".into()),
        (r#"["9"]"#, r#"["0"]"#, "steps is 0, expected at least 1".into()),
        (r#"["7"]"#, r#"["0"]"#, "every is 0, expected at least 1".into()),
        (r#"["5","2"]"#, r#"["5","0"]"#, "growth is 0, expected at least 1".into()),
        (
            r#""4.294967295e9""#,
            r#""4.294967296e9""#,
            "power is 4294967296.0, expected a number above 0 and at most 4294967295".into(),
        ),
        (
            r#""4e-1","5e-1""#,
            r#""4e-1","0e0""#,
            "power is 0.0, expected a number above 0 and at most 4294967295".into(),
        ),
        (r#""3.05e1""#, r#""0e0""#, "rise is 0.0, expected a finite number above 0".into()),
        (r#"["1e-6","1e1"]"#, r#"["0e0","1e1"]"#, "from is 0.0, expected a finite number above 0".into()),
        (r#"["9"]"#, r#"[]"#, kind("linear with 2 numbers and 0 counts")),
        (r#"["-0e0"]"#, r#"["0e0","1e-1"]"#, kind("constant with 2 numbers and 0 counts")),
        (r#""linear""#, r#""linier""#, kind("linier with 2 numbers and 1 counts")),
        (r#""start":"0""#, r#""start":"1""#, "saved start is 1, expected 0".into()),
        (r#""start":"3""#, r#""start":"2""#, "start is 2, expected above 2".into()),
        (r#""start":"4""#, r#""start":"0""#, "start is 0, expected above 3".into()),
        (r#""start":"1","#, "", "missing field `start`".into()),
        (r#""start":"1""#, r#""start":"1","end":"2""#, "unknown field `end`".into()),
        (r#"["7"]"#, r#"[7]"#, "invalid type: integer `7`, expected a string with a u64".into()),
        ("Schedule v1", "Schedule v2", "saved type is gradstep::Schedule v2, expected gradstep::Schedule v1".into()),
    ];
    refused::<Schedule>(SCHEDULE, &cases.each_ref().map(|(old, new, message)| (*old, *new, message.as_str())));
    let head = r#"{"_type":"gradstep::Schedule v1","pieces":["#;
    assert_eq!(refusal::<Schedule>(&format!("{head}]}}")), "pieces is 0, expected at least 1");
    // A million in one another, and very many at the same step.
    let million = |text: &str| refusal::<Schedule>(&[head, &text.repeat(1_000_000)].concat());
    assert!(million(r#"{"start":"0","pieces":["#).starts_with("unknown field `pieces`"));
    assert!(million("[").starts_with("invalid type: sequence"));
    let piece = r#"{"start":"0","kind":"constant","numbers":["1e0"],"counts":[]}"#;
    let pieces = format!("{head}{}{piece}]}}", format!("{piece},").repeat(100_000));
    assert_eq!(refusal::<Schedule>(&pieces), "start is 0, expected above 0");
}
