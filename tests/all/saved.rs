//! Saved and restored to the bit, as JSON and in a binary format; what does not belong is refused.
#![cfg(feature = "serde")]

use std::fmt::Debug;

use gradstep::{
    Accumulator, Batcher, Error, Form, Guard, Momentum, NoiseScale, Optimizer, Order, ParamGroups, Permutation,
    Position, Sequential, Sgd, Shuffle, Subset, WeightDecay, elementwise,
};
use num_traits::Float;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::common::{bits, config, says};

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

/// A momentum whose velocity is `velocity` (but for -0.0, which becomes 0.0 + -0.0): one step from rest in PyTorch's form.
fn with_velocity<F: Float + Send + Sync>(velocity: &[F]) -> Momentum<F> {
    let mut momentum = Momentum::new(F::one(), F::zero(), velocity.len()).unwrap().with_form(Form::PyTorch);
    momentum.step(&mut vec![F::zero(); velocity.len()], velocity).unwrap();
    momentum
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

/// -0.0 is a velocity of the classical forms: λ · 0 - η · 0 is 0, but (1/2) · (-0.0) - 1 · 0 is -0.0 - 0.0 = -0.0.
#[test]
fn signed_zeros_come_back() {
    let mut momentum = Momentum::new(1.0, 0.5, 2).unwrap();
    momentum.step(&mut [0.0; 2], &[f64::from_bits(1), 0.0]).unwrap(); // m = -2^-1074
    momentum.step(&mut [0.0; 2], &[0.0, 0.0]).unwrap(); // half of it rounds to -0
    assert_eq!(momentum.velocity().iter().map(|m| m.to_bits()).collect::<Vec<_>>(), [1 << 63, 0]);
    for copy in copies(&momentum) {
        assert_eq!(copy.velocity().iter().map(|m| m.to_bits()).collect::<Vec<_>>(), [1 << 63, 0]);
    }
    // As a setting too: -0.0 passes the constructors.
    for copy in copies(&Sgd::new(-0.0_f32).unwrap()) {
        assert_eq!(copy.learning_rate().to_bits(), 1 << 31);
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
        let mut sgd = Sgd::new(0.1_f64).unwrap().with_weight_decay(weight_decay).unwrap();
        sgd.step(&mut [1.0], &[0.3]).unwrap();
        for copy in copies(&sgd) {
            assert_eq!((&copy, copy.steps(), copy.weight_decay()), (&sgd, 1, weight_decay));
        }
        for copy in copies(&Guard(sgd.clone())) {
            assert_eq!(copy.0, sgd);
        }
        for form in [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov] {
            let momentum = Momentum::new(0.1_f64, 0.3, 2).unwrap().with_form(form).with_weight_decay(weight_decay);
            for copy in copies(momentum.as_ref().unwrap()) {
                assert_eq!((&copy, copy.form()), (momentum.as_ref().unwrap(), form));
            }
        }
    }
}

/// Also outside of an optimizer, in a struct of one's own: JSON's own numbers may be off by a bit.
#[test]
fn weight_decay_alone_comes_back_to_the_bit() {
    for decay in [WeightDecay::None, WeightDecay::Coupled(0.09999088048934937_f64), WeightDecay::Decoupled(5e-324)] {
        for copy in copies(&decay) {
            assert_eq!(copy, decay);
        }
    }
    let text = r#"{"_type":"gradstep::WeightDecay<f64> v1","form":"Coupled","strength":"0.1"}"#;
    assert_eq!(json(&WeightDecay::Coupled(0.1_f64)), text);
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
    for form in [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov] {
        for (wide, narrow) in [
            (WeightDecay::None, WeightDecay::None),
            (WeightDecay::Coupled(0.01), WeightDecay::Coupled(0.01)),
            (WeightDecay::Decoupled(0.01), WeightDecay::Decoupled(0.01)),
        ] {
            goes_on(Momentum::new(0.1_f64, 0.9, 5).unwrap().with_form(form).with_weight_decay(wide).unwrap());
            goes_on(Guard(Momentum::new(0.1_f32, 0.9, 5).unwrap().with_form(form).with_weight_decay(narrow).unwrap()));
        }
    }
    goes_on(Sgd::new(0.1_f64).unwrap());
    goes_on(Sgd::new(0.1_f32).unwrap().with_weight_decay(WeightDecay::Coupled(0.01)).unwrap());
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

impl Optimizer<f32> for Either {
    fn step(&mut self, params: &mut [f32], grads: &[f32]) -> Result<(), Error> {
        match self {
            Either::Plain(sgd) => sgd.step(params, grads),
            Either::Heavy(momentum) => momentum.step(params, grads),
        }
    }

    fn learning_rate(&self) -> f32 {
        match self {
            Either::Plain(sgd) => sgd.learning_rate(),
            Either::Heavy(momentum) => momentum.learning_rate(),
        }
    }

    fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), Error> {
        match self {
            Either::Plain(sgd) => sgd.set_learning_rate(learning_rate),
            Either::Heavy(momentum) => momentum.set_learning_rate(learning_rate),
        }
    }

    fn steps(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}
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
            for copy in copies(&Sgd::new(rate).unwrap()) {
                prop_assert_eq!(copy.learning_rate().to_bits(), rate.to_bits());
            }
        }
    }
}

// The format ----------------------------------------------------------------------------------------------------------

const SGD: &str = r#"{"_type":"gradstep::Sgd<f64> v1","learning_rate":"0.1","steps":"1","weight_decay":{"_type":"gradstep::WeightDecay<f64> v1","form":"None","strength":"0.0"}}"#;
const MOMENTUM: &str = r#"{"_type":"gradstep::Momentum<f64> v1","learning_rate":"0.5","momentum":"0.9","form":"PyTorchNesterov","steps":"1","velocity":["0.1","-0.25"],"weight_decay":{"_type":"gradstep::WeightDecay<f64> v1","form":"Coupled","strength":"0.01"}}"#;
const MODEL: &str = r#"{"_type":"gradstep::ParamGroups<f64> v1","factor":"0.7","steps":"1","groups":[{"name":"weights","learning_rate":"0.1","frozen":false,"optimizer":{"_type":"gradstep::Momentum<f64> v1","learning_rate":"0.06999999999999999","momentum":"0.9","form":"Classical","steps":"1","velocity":["-0.03","0.0"],"weight_decay":{"_type":"gradstep::WeightDecay<f64> v1","form":"None","strength":"0.0"}}},{"name":"bias","learning_rate":"0.3","frozen":true,"optimizer":{"_type":"gradstep::Momentum<f64> v1","learning_rate":"0.21","momentum":"0.5","form":"Classical","steps":"1","velocity":["0.21"],"weight_decay":{"_type":"gradstep::WeightDecay<f64> v1","form":"None","strength":"0.0"}}}]}"#;
const POSITION: &str = r#"{"_type":"gradstep::Position v1","epoch":"3","samples":"4","batch_size":"4","drop_last":true,"settings":[["shuffle","1"],["len","10"],["seed","18446744073709551615"]]}"#;
const ACCUMULATOR: &str = r#"{"_type":"gradstep::Accumulator v1","samples":"3","sum":["0.30000000000000004","-inf"]}"#;
const NOISE_SCALE: &str = r#"{"_type":"gradstep::NoiseScale v1","estimates":"1","squared_norms":"2.0","traces":"8.0"}"#;

fn accumulator() -> Accumulator {
    let mut accumulator = Accumulator::new(2).unwrap();
    accumulator.add(&[0.1, f64::NEG_INFINITY], 3).unwrap(); // 3 · 0.1 rounds to 0.30000000000000004
    accumulator
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
    let mut momentum = Momentum::new(0.5, 0.9, 2).unwrap().with_form(Form::PyTorchNesterov);
    momentum = momentum.with_weight_decay(WeightDecay::Coupled(0.01)).unwrap();
    momentum.step(&mut [0.0; 2], &[0.1, -0.25]).unwrap();
    momentum
}

fn batcher() -> Batcher {
    Batcher::new(10, 4, u64::MAX).unwrap().drop_last().unwrap()
}

/// What was saved must be readable by every release to come: a change here is a change of the format.
#[test]
fn value_stability_format() {
    assert_eq!(json(&sgd()), SGD);
    assert_eq!(json(&Guard(sgd())), SGD);
    assert_eq!(json(&momentum()), MOMENTUM);
    assert_eq!(json(&model()), MODEL);
    assert_eq!(json(&batcher().position(3, 4).unwrap()), POSITION);
    let orders = [
        json(&Batcher::sequential(3, 2).unwrap().position(0, 2).unwrap()),
        json(&Batcher::over(Permutation::new(1 << 20, 5).unwrap(), 2).unwrap().position(0, 2).unwrap()),
        json(&Batcher::over(Subset::new(vec![7]).unwrap(), 2).unwrap().position(0, 0).unwrap()),
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
    for form in [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov] {
        for decay in [WeightDecay::None, WeightDecay::Coupled(0.5_f32), WeightDecay::Decoupled(0.25)] {
            let momentum = Momentum::new(1.0, 0.5, 2).unwrap().with_form(form).with_weight_decay(decay).unwrap();
            let (name, strength) = match decay {
                WeightDecay::None => ("None", 0.0_f32),
                WeightDecay::Coupled(strength) => ("Coupled", strength),
                WeightDecay::Decoupled(strength) => ("Decoupled", strength),
            };
            let expected = [
                string("gradstep::Momentum<f32> v1"),
                string(1.0_f32.to_le_bytes()),
                string(0.5_f32.to_le_bytes()),
                string(format!("{form:?}")),
                string(0_u64.to_le_bytes()),
                vec![1], // one run of at most 4,096 numbers
                string([0; 8]),
                string("gradstep::WeightDecay<f32> v1"),
                string(name),
                string(strength.to_le_bytes()),
            ];
            assert_eq!(postcard::to_allocvec(&momentum).unwrap(), expected.concat());
        }
    }
    let mut model = ParamGroups::new();
    model.insert("w", Sgd::new(1.0_f64).unwrap()).unwrap();
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
        string("gradstep::WeightDecay<f64> v1"),
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
        refusal::<Guard<Sgd<f64>>>(MOMENTUM),
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
        (r#""0.1""#, r#""-0.1""#, "learning_rate is -0.1, expected a finite number of at least 0"),
        (r#""0.1""#, r#""NaN""#, "learning_rate is NaN, expected a finite number of at least 0"),
        (r#""0.1""#, r#""inf""#, "learning_rate is inf, expected a finite number of at least 0"),
        (r#""0.1""#, r#""a tenth""#, "expected a number, found `a tenth`"),
        (r#""0.1""#, "0.1", "invalid type: floating point `0.1`, expected a string with a f64"),
        (r#""0.1""#, r#""1e-400""#, "expected a number as it is saved, `0.0`, found `1e-400`"),
        (r#""0.1""#, r#""1e309""#, "expected a number as it is saved, `inf`, found `1e309`"),
        (r#""0.1""#, r#""0.10""#, "expected a number as it is saved, `0.1`, found `0.10`"),
        (r#""None""#, r#""Strong""#, "saved form is Strong, expected None, Coupled or Decoupled"),
        (r#""strength":"0.0""#, r#""strength":"0.5""#, "saved strength is 0.5, expected 0.0"),
        (r#""steps":"1""#, r#""steps":"-1""#, "expected a number, found `-1`"),
        (r#""steps":"1""#, r#""steps":"+1""#, "expected a number as it is saved, `1`, found `+1`"),
        (r#""steps":"1""#, r#""steps":1"#, "invalid type: integer `1`, expected a string with a u64"),
        (r#","steps":"1""#, "", "missing field `steps`"),
        (r#""steps":"1""#, r#""steps":"1","velocity":[]"#, "unknown field `velocity`"),
        ("Sgd", "Adam", "saved type is gradstep::Adam<f64> v1, expected gradstep::Sgd<f64> v1"),
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
        (r#""0.5""#, r#""-1.0""#, "weight_decay is -1.0, expected a finite number of at least 0"),
        (r#""0.5""#, r#""inf""#, "weight_decay is inf, expected a finite number of at least 0"),
        ("Coupled", "None", "saved strength is 0.5, expected 0.0"),
    ];
    refused::<WeightDecay<f64>>(&decay, &cases);
}

#[test]
fn tampered_momentum_is_refused() {
    let cases = [
        (r#""0.9""#, r#""1.0""#, "momentum is 1.0, expected a number of at least 0 and below 1"),
        (r#""0.9""#, r#""-0.5""#, "momentum is -0.5, expected a number of at least 0 and below 1"),
        (r#""0.9""#, r#""NaN""#, "momentum is NaN, expected a number of at least 0 and below 1"),
        (r#""0.5""#, r#""-0.5""#, "learning_rate is -0.5, expected a finite number of at least 0"),
        (r#""0.01""#, r#""-1.0""#, "weight_decay is -1.0, expected a finite number of at least 0"),
        (
            "PyTorchNesterov",
            "Keras",
            "saved form is Keras, expected one of [Classical, Nesterov, PyTorch, PyTorchNesterov]",
        ),
        ("-0.25", "-0,25", "expected a number, found `-0,25`"),
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
fn tampered_models_are_refused() {
    let cases = [
        (r#""factor":"0.7""#, r#""factor":"-1.0""#, "factor is -1.0, expected a finite number of at least 0"),
        (r#""factor":"0.7""#, r#""factor":"NaN""#, "factor is NaN, expected a finite number of at least 0"),
        (r#""factor":"0.7","#, "", "missing field `factor`"),
        (r#""factor":"0.7""#, r#""factor":"inf""#, "factor is inf, expected a finite number of at least 0"),
        (r#""name":"bias""#, r#""name":"weights""#, "tensor `weights` appears twice"),
        (
            r#""learning_rate":"0.3","frozen""#,
            r#""learning_rate":"-0.3","frozen""#,
            "learning_rate is -0.3, expected a finite number of at least 0",
        ),
        (r#""momentum":"0.5""#, r#""momentum":"1.0""#, "momentum is 1.0, expected a number of at least 0 and below 1"),
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
        (r#"["len","10"]"#, r#"["size","10"]"#, "saved order is shuffle, size, seed, expected shuffle, len, seed"),
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

#[test]
fn tampered_sums_are_refused() {
    let cases = [
        (r#""3""#, r#""-3""#, "expected a number, found `-3`"),
        (r#""3""#, r#""0""#, "samples is 0, expected at least 1"), // and sums that are not 0
    ];
    refused::<Accumulator>(ACCUMULATOR, &cases);
    let cases = [
        (r#""8.0""#, r#""inf""#, "traces is inf, expected a finite number"),
        (r#""1""#, r#""0""#, "estimates is 0, expected at least 1"),
    ];
    refused::<NoiseScale>(NOISE_SCALE, &cases);
}

/// As `scale_learning_rates` would refuse it.
#[test]
fn a_factor_that_takes_a_learning_rate_out_of_range_is_refused() {
    let large = MODEL.replace(r#""factor":"0.7""#, r#""factor":"1e308""#);
    serde_json::from_str::<ParamGroups<f64, Momentum<f64>>>(&large).unwrap();
    let error = refusal::<ParamGroups<f64, Momentum<f64>>>(&large.replace(r#""0.3","frozen""#, r#""30.0","frozen""#));
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

#[test]
fn what_was_loaded_is_restored() {
    let loaded: Momentum<f64> = serde_json::from_str(MOMENTUM).unwrap();
    let mut same = Momentum::new(0.1, 0.5, 2).unwrap();
    same.restore(loaded).unwrap();
    assert_eq!(same, momentum());
    let mut own = model();
    own.reset();
    own.restore(serde_json::from_str(MODEL).unwrap()).unwrap();
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
    fn step(&mut self, params: &mut [f32], grads: &[f32]) -> Result<(), Error> {
        let learning_rate = self.0;
        elementwise(params, [], grads, move |p, [], g| (p - learning_rate * g, []))
    }

    fn learning_rate(&self) -> f32 {
        self.0
    }

    fn set_learning_rate(&mut self, learning_rate: f32) -> Result<(), Error> {
        self.0 = learning_rate;
        Ok(())
    }

    fn steps(&self) -> u64 {
        0
    }

    fn reset(&mut self) {}
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
