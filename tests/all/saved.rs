//! Saved and restored to the bit, as JSON and in a binary format; what does not belong is refused.
#![cfg(feature = "serde")]

use std::fmt::Debug;

use gradstep::{
    Batcher, Error, Form, Guard, Momentum, Optimizer, ParamGroups, Position, Sgd, WeightDecay, elementwise,
};
use num_traits::Float;
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};

use crate::common::{bits, config};

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
    assert_eq!(json(&WeightDecay::Coupled(0.1_f64)), r#"{"Coupled":"0.1"}"#);
    let message = "weight_decay is -1.0, expected a finite number of at least 0";
    assert!(refusal::<WeightDecay<f64>>(r#"{"Decoupled":"-1"}"#).starts_with(message));
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
    model.insert("weights", 2, Momentum::new(0.1, 0.9, 2).unwrap()).unwrap();
    model.insert("bias", 1, Momentum::new(0.3, 0.5, 1).unwrap()).unwrap();
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

    fn reset(&mut self) {}
}

#[test]
fn mixed_models_are_saved_through_an_enum() {
    let mut model = ParamGroups::new();
    model.insert("a", 1, Either::Plain(Sgd::new(0.1).unwrap())).unwrap();
    model.insert("b", 2, Either::Heavy(with_velocity(&[1e-45, 0.1]))).unwrap();
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

const SGD: &str = r#"{"Sgd":{"scalar":"f64","learning_rate":"0.1","weight_decay":"None","steps":1}}"#;
const MOMENTUM: &str = r#"{"Momentum":{"scalar":"f64","learning_rate":"0.5","momentum":"0.9","form":"PyTorchNesterov","weight_decay":{"Coupled":"0.01"},"velocity":["0.1","-0.25"],"steps":1}}"#;
const MODEL: &str = r#"{"scalar":"f64","groups":[{"name":"weights","len":2,"learning_rate":"0.1","frozen":false,"optimizer":{"Momentum":{"scalar":"f64","learning_rate":"0.06999999999999999","momentum":"0.9","form":"Classical","weight_decay":"None","velocity":["-0.03","0.0"],"steps":1}}},{"name":"bias","len":1,"learning_rate":"0.3","frozen":true,"optimizer":{"Momentum":{"scalar":"f64","learning_rate":"0.21","momentum":"0.5","form":"Classical","weight_decay":"None","velocity":["0.21"],"steps":1}}}],"factor":"0.7","steps":1}"#;
const BATCHER: &str = r#"{"order_version":1,"len":10,"batch_size":4,"seed":18446744073709551615,"drop_last":true}"#;
const POSITION: &str = r#"{"batcher":{"order_version":1,"len":10,"batch_size":4,"seed":18446744073709551615,"drop_last":true},"epoch":3,"batch":1}"#;

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
    assert_eq!(json(&batcher()), BATCHER);
    assert_eq!(json(&batcher().position(3, 1).unwrap()), POSITION);
    let sequential = Batcher::sequential(3, 2).unwrap();
    assert_eq!(json(&sequential), r#"{"order_version":1,"len":3,"batch_size":2,"seed":null,"drop_last":false}"#);
    // Binary: the variant, then the fields in order; numbers as their eight bytes, counts as varints.
    let bytes = [b"\x00\x03f64", &0.1_f64.to_le_bytes()[..], &[0, 1]].concat();
    assert_eq!(postcard::to_allocvec(&sgd()).unwrap(), bytes);
}

/// The numbers of variants and the order of fields count here: swapped, an old file would load as something else.
#[test]
fn value_stability_binary() {
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut all = Vec::new();
    for form in [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov] {
        for decay in [WeightDecay::None, WeightDecay::Coupled(0.5_f32), WeightDecay::Decoupled(0.25)] {
            let momentum = Momentum::new(1.0, 0.5, 1).unwrap().with_form(form).with_weight_decay(decay).unwrap();
            all.push(hex(postcard::to_allocvec(&momentum).unwrap()));
        }
    }
    // variant 1, "f32", 1.0, 0.5, form, decay (with its strength), one velocity of 0, no steps
    let expected = |form: u8, decay: &str| format!("01036633320000803f0000003f{form:02x}{decay}010000000000");
    let decays = ["00", "010000003f", "020000803e"];
    assert_eq!(all, [0, 1, 2, 3].map(|form| decays.map(|decay| expected(form, decay))).concat());
    // "f64", groups, each: name, len, learning rate, frozen, optimizer; then factor and steps
    let mut model = ParamGroups::new();
    model.insert("w", 1, Sgd::new(1.0_f64).unwrap()).unwrap();
    model.freeze("w").unwrap();
    let one = "000000000000f03f";
    let expected = format!("03663634010177 01{one}01 0003663634{one}0000 {one}00").replace(' ', "");
    assert_eq!(hex(postcard::to_allocvec(&model).unwrap()), expected);
    // version, len, batch size, seed, drop_last; then epoch and batch
    let batcher = Batcher::new(10, 4, 42).unwrap().drop_last().unwrap();
    assert_eq!(hex(postcard::to_allocvec(&batcher).unwrap()), "010a04012a01");
    assert_eq!(hex(postcard::to_allocvec(&batcher.position(7, 1).unwrap()).unwrap()), "010a04012a010701");
}

// Refusals ------------------------------------------------------------------------------------------------------------

#[test]
fn another_kind_is_refused_in_both_formats() {
    assert_eq!(refusal::<Momentum<f64>>(SGD), "saved optimizer is Sgd, expected Momentum");
    assert_eq!(refusal::<Sgd<f64>>(MOMENTUM), "saved optimizer is Momentum, expected Sgd");
    assert_eq!(refusal::<Guard<Sgd<f64>>>(MOMENTUM), "saved optimizer is Momentum, expected Sgd");
    assert_eq!(refusal::<ParamGroups<f64, Sgd<f64>>>(MODEL), "saved optimizer is Momentum, expected Sgd");
    // postcard drops the words of all errors.
    assert!(postcard::from_bytes::<Momentum<f64>>(&postcard::to_allocvec(&sgd()).unwrap()).is_err());
    assert!(postcard::from_bytes::<Sgd<f64>>(&postcard::to_allocvec(&momentum()).unwrap()).is_err());
}

/// Text alone would do, rounded in silence.
#[test]
fn another_scalar_is_refused_in_both_formats() {
    let message = "saved scalar is f64, expected f32";
    assert_eq!(refusal::<Sgd<f32>>(SGD), message);
    assert_eq!(refusal::<Momentum<f32>>(MOMENTUM), message);
    assert_eq!(refusal::<ParamGroups<f32, Momentum<f32>>>(MODEL), message);
    assert!(postcard::from_bytes::<Sgd<f32>>(&postcard::to_allocvec(&sgd()).unwrap()).is_err());
}

#[test]
fn tampered_sgd_is_refused() {
    let cases = [
        (r#""0.1""#, r#""-0.1""#, "learning_rate is -0.1, expected a finite number of at least 0"),
        (r#""0.1""#, r#""NaN""#, "learning_rate is NaN, expected a finite number of at least 0"),
        (r#""0.1""#, r#""inf""#, "learning_rate is inf, expected a finite number of at least 0"),
        (r#""0.1""#, r#""a tenth""#, "expected a number, found `a tenth`"),
        (r#""0.1""#, "0.1", "invalid type: floating point `0.1`, expected a string"),
        (r#""None""#, r#"{"Coupled":"-1"}"#, "weight_decay is -1.0, expected a finite number of at least 0"),
        (r#""None""#, r#"{"Decoupled":"inf"}"#, "weight_decay is inf, expected a finite number of at least 0"),
        (r#""None""#, r#""Strong""#, "unknown variant `Strong`"),
        (r#""steps":1"#, r#""steps":-1"#, "invalid value: integer `-1`, expected u64"),
        (r#","steps":1"#, "", "missing field `steps`"),
        (r#""steps":1"#, r#""steps":1,"velocity":[]"#, "unknown field `velocity`"),
        ("Sgd", "Adam", "unknown variant `Adam`, expected `Sgd` or `Momentum`"),
    ];
    refused::<Sgd<f64>>(SGD, &cases);
}

#[test]
fn tampered_momentum_is_refused() {
    let cases = [
        (r#""0.9""#, r#""1""#, "momentum is 1.0, expected a number from 0 up to, but not including, 1"),
        (r#""0.9""#, r#""-0.5""#, "momentum is -0.5, expected a number from 0 up to, but not including, 1"),
        (r#""0.9""#, r#""NaN""#, "momentum is NaN, expected a number from 0 up to, but not including, 1"),
        (r#""0.5""#, r#""-0.5""#, "learning_rate is -0.5, expected a finite number of at least 0"),
        (r#""0.01""#, r#""-1""#, "weight_decay is -1.0, expected a finite number of at least 0"),
        ("PyTorchNesterov", "Keras", "unknown variant `Keras`"),
        ("-0.25", "-0,25", "expected a number, found `-0,25`"),
        (r#""form""#, r#""shape""#, "unknown field `shape`"),
    ];
    refused::<Momentum<f64>>(MOMENTUM, &cases);
}

#[test]
fn tampered_models_are_refused() {
    let cases = [
        (r#""factor":"0.7""#, r#""factor":"-1""#, "factor is -1.0, expected a finite number of at least 0"),
        (r#""factor":"0.7""#, r#""factor":"NaN""#, "factor is NaN, expected a finite number of at least 0"),
        (r#""factor":"0.7","#, "", "missing field `factor`"),
        (r#""factor":"0.7""#, r#""factor":"1e309""#, "factor is inf, expected a finite number of at least 0"),
        (r#""name":"bias""#, r#""name":"weights""#, "tensor `weights` is there already"),
        (
            r#""learning_rate":"0.3","frozen""#,
            r#""learning_rate":"-0.3","frozen""#,
            "learning_rate is -0.3, expected a finite number of at least 0",
        ),
        (
            r#""momentum":"0.5""#,
            r#""momentum":"1""#,
            "momentum is 1.0, expected a number from 0 up to, but not including, 1",
        ),
        (r#""frozen":true,"#, "", "missing field `frozen`"),
        (
            r#""len":1"#,
            r#""len":7"#,
            "tensor `bias`: the optimizer's state has length 1, expected 7, the length of the tensor",
        ),
        (r#""frozen":true"#, r#""frozen":true,"colour":1"#, "unknown field `colour`"),
        (r#""len":1"#, r#""len":-1"#, "invalid value: integer `-1`"),
    ];
    refused::<ParamGroups<f64, Momentum<f64>>>(MODEL, &cases);
}

#[test]
fn tampered_batchers_are_refused() {
    let cases = [
        (r#""order_version":1"#, r#""order_version":2"#, "saved order version is 2, expected 1"),
        (r#""order_version":1"#, r#""order_version":0"#, "saved order version is 0, expected 1"),
        (r#""len":10"#, r#""len":0"#, "len is 0, expected at least 1"),
        (r#""batch_size":4"#, r#""batch_size":0"#, "batch_size is 0, expected at least 1"),
        (r#""batch_size":4"#, r#""batch_size":11"#, "batch_size with drop_last is 11, expected at most len = 10"),
        (r#""drop_last":true"#, r#""drop_last":1"#, "invalid type: integer `1`, expected a boolean"),
        (r#","drop_last":true"#, "", "missing field `drop_last`"),
        (r#""order_version":1,"#, "", "missing field `order_version`"),
        (r#""len":10"#, r#""len":10,"workers":2"#, "unknown field `workers`"),
        (r#""seed":18446744073709551615"#, r#""seed":-1"#, "invalid value: integer `-1`, expected u64"),
    ];
    refused::<Batcher>(BATCHER, &cases);
    refused::<Position>(POSITION, &cases);
    let cases = [
        (r#""batch":1"#, r#""batch":3"#, "batch is 3, expected at most batches_per_epoch = 2"),
        (r#","epoch":3"#, "", "missing field `epoch`"),
        (r#""epoch":3"#, r#""epoch":3,"step":1"#, "unknown field `step`"),
    ];
    refused::<Position>(POSITION, &cases);
    // On a 32-bit machine it is beyond usize already.
    let message = format!("len is 4294967297, expected at most {}", Batcher::MAX_LEN);
    refused::<Batcher>(BATCHER, &[(r#""len":10"#, r#""len":4294967297"#, &message)]);
}

/// As `scale_learning_rates` would refuse it.
#[test]
fn a_factor_that_takes_a_learning_rate_out_of_range_is_refused() {
    let large = MODEL.replace(r#""factor":"0.7""#, r#""factor":"1e308""#);
    serde_json::from_str::<ParamGroups<f64, Momentum<f64>>>(&large).unwrap();
    let error = refusal::<ParamGroups<f64, Momentum<f64>>>(&large.replace(r#""0.3","frozen""#, r#""30","frozen""#));
    assert!(
        error.starts_with("tensor `bias`: learning_rate is inf, expected a finite number of at least 0"),
        "{error}"
    );
}

/// Without a seed a batcher is another one, unshuffled: it must be said, not left out.
#[test]
fn a_batcher_without_its_seed_is_refused() {
    refused::<Batcher>(BATCHER, &[(r#""seed":18446744073709551615,"#, "", "missing field `seed`")]);
}

/// A count of steps at its very end: the step may be refused, or the count stand still; it may not panic.
#[test]
fn the_last_count_of_steps_does_not_panic() {
    let most = format!(r#""steps":{}"#, u64::MAX);
    let mut sgd: Sgd<f64> = serde_json::from_str(&SGD.replace(r#""steps":1"#, &most)).unwrap();
    let _ = sgd.step(&mut [1.0], &[1.0]);
    let mut momentum: Momentum<f64> = serde_json::from_str(&MOMENTUM.replace(r#""steps":1"#, &most)).unwrap();
    let _ = momentum.step(&mut [1.0; 2], &[1.0; 2]);
    let mut model: ParamGroups<f64, Momentum<f64>> =
        serde_json::from_str(&MODEL.replace(r#""steps":1}"#, &format!("{most}}}"))).unwrap();
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
    assert_eq!(batcher().resume(position).unwrap().position(), position);
}

#[test]
fn streams_go_on_where_they_were_saved() {
    for batcher in [batcher(), Batcher::new(7, 3, 5).unwrap(), Batcher::sequential(7, 2).unwrap()] {
        assert!(copies(&batcher).iter().all(|copy| *copy == batcher));
        let mut stream = batcher.stream();
        for _ in 0..20 {
            // Also behind the last batch of an epoch.
            for position in copies(&stream.position()) {
                let mut resumed = batcher.resume(position).unwrap();
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

    fn reset(&mut self) {}
}

#[test]
fn models_of_a_rule_of_ones_own() {
    let mut model = ParamGroups::new();
    model.insert("a", 2, Own(0.5)).unwrap();
    model.step(&mut [("a", &mut [1.0; 2], &[1.0; 2])]).unwrap();
    for copy in copies(&model) {
        assert_eq!(copy, model);
    }
}
