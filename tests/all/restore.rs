//! Restoring takes the state and leaves the settings; what does not fit changes nothing.

use gradstep::{Adam, Error, FiniteGuard, Momentum, MomentumForm, Optimizer, ParamGroups, Restore, Sgd, WeightDecay};

use crate::common::{
    FORMS, adam,
    rules::{Lion, Newtype, NoNegative, Rule},
    says,
};

fn momentum(learning_rate: f64, len: usize) -> Momentum<f64> {
    Momentum::new(learning_rate, 0.5, len).unwrap()
}

/// With a past: as many steps as `steps`.
fn stepped<O: Optimizer<f64>>(mut optimizer: O, len: usize, steps: u32) -> O {
    let mut params = vec![1.0; len];
    (0..steps).for_each(|step| optimizer.step(&mut params, &vec![f64::from(step + 1); len]).unwrap());
    optimizer
}

type Tensors<'a> = &'a [(&'a str, usize)];

/// A model of tensors of these names and lengths.
fn model<O: Optimizer<f64>>(tensors: Tensors, optimizer: impl Fn(usize) -> O) -> ParamGroups<f64, O> {
    let mut model = ParamGroups::new();
    tensors.iter().for_each(|&(name, len)| model.insert(name, optimizer(len)).unwrap());
    model
}

const TENSORS: [(&str, usize); 3] = [("a", 1), ("b", 2), ("c", 3)];

// One optimizer -------------------------------------------------------------------------------------------------------

#[test]
fn the_state_comes_and_the_settings_stay() {
    let decay = WeightDecay::Decoupled(0.25);
    for form in FORMS {
        let mut momentum = momentum(0.5, 2).with_form(form).with_weight_decay(decay).unwrap();
        let saved = stepped(Momentum::new(0.125, 0.75, 2).unwrap().with_form(form), 2, 3);
        let rule = *momentum.rule();
        momentum.restore(saved.clone()).unwrap();
        assert_eq!((momentum.velocity(), momentum.steps()), (saved.velocity(), 3));
        assert_eq!(momentum.rule(), &rule);
    }
    // From here on the bias correction uses the program's own β.
    let mut adam = Adam::with_settings(0.5, [0.5, 0.75], 1.0, 2).unwrap().with_weight_decay(decay).unwrap();
    let mut saved = stepped(self::adam(2), 2, 70);
    let (m, v) = (saved.m().to_vec(), saved.v().to_vec());
    adam.swap_state(&mut saved).unwrap();
    assert_eq!((adam.learning_rate(), adam.betas(), adam.eps(), adam.weight_decay()), (0.5, [0.5, 0.75], 1.0, decay));
    let fresh = Adam::with_settings(0.5, [0.5, 0.75], 1.0, 2).unwrap().with_weight_decay(decay).unwrap();
    assert_eq!(adam, fresh.with_state(&m, &v, 70).unwrap());
    assert_eq!(saved, self::adam(2));
    let mut sgd = Sgd::new(0.5).unwrap().with_weight_decay(decay).unwrap();
    sgd.restore(stepped(Sgd::new(0.25).unwrap(), 2, 3)).unwrap();
    assert_eq!((sgd.steps(), sgd.learning_rate(), sgd.weight_decay()), (3, 0.5, decay));
}

/// A velocity has another meaning in another form.
#[test]
fn another_form_or_length_is_rejected() {
    for own in FORMS {
        for saved in FORMS.into_iter().filter(|&saved| saved != own) {
            let mut momentum = stepped(momentum(0.5, 2).with_form(own), 2, 1);
            let before = momentum.clone();
            let message = format!("saved form is {saved:?}, expected {own:?}");
            says(momentum.restore(stepped(Momentum::new(0.5, 0.5, 2).unwrap().with_form(saved), 2, 3)), &message);
            assert_eq!(momentum, before);
        }
    }
    let mut momentum = stepped(momentum(0.5, 2), 2, 1);
    let before = momentum.clone();
    says(momentum.restore(Momentum::new(0.5, 0.5, 3).unwrap()), "saved length of the velocity is 3, expected 2");
    assert_eq!(momentum, before);
    // Neither side of an exchange that fails has changed.
    let mut other = Momentum::new(0.5, 0.5, 3).unwrap();
    assert!(momentum.swap_state(&mut other).is_err());
    assert_eq!((momentum, other), (before, Momentum::new(0.5, 0.5, 3).unwrap()));
}

fn is_rejected<O: Restore + Optimizer<f64> + Clone + PartialEq + std::fmt::Debug>(own: O, saved: O, message: &str) {
    let (mut own, before) = (stepped(own.clone(), 2, 1), stepped(own, 2, 1));
    says(own.restore(saved), message);
    assert_eq!(own, before);
}

/// Behind wrappers and in an enum, which forward what the compiler asks for.
#[test]
fn wrappers_reject_the_same() {
    let nesterov = |len| momentum(0.5, len).with_form(MomentumForm::Nesterov);
    let len = "saved length of the velocity is 3, expected 2";
    let form = "saved form is Nesterov, expected Classical";
    is_rejected(FiniteGuard(momentum(0.5, 2)), FiniteGuard(momentum(0.5, 3)), len);
    is_rejected(Box::new(FiniteGuard(momentum(0.5, 2))), Box::new(FiniteGuard(nesterov(2))), form);
    is_rejected(Newtype(momentum(0.5, 2)), Newtype(momentum(0.5, 3)), len);
    is_rejected(Newtype(NoNegative(momentum(0.5, 2))), Newtype(NoNegative(nesterov(2))), form);
    is_rejected(Rule::Momentum(momentum(0.5, 2)), Rule::Momentum(momentum(0.5, 3)), len);
    is_rejected(Rule::Guarded(FiniteGuard(momentum(0.5, 2))), Rule::Guarded(FiniteGuard(nesterov(2))), form);
    is_rejected(Rule::Adam(adam(2)), Rule::Adam(adam(3)), "saved length of m is 3, expected 2");
    is_rejected(Rule::Lion(Lion::new(0.5, 2)), Rule::Lion(Lion::new(0.5, 3)), "saved length of m is 3, expected 2");
    let sgd = Rule::Sgd(Sgd::new(0.5).unwrap());
    is_rejected(Rule::Momentum(momentum(0.5, 2)), sgd, "saved rule is another, expected the same");
    let mut rule = Newtype(Rule::Lion(Lion::new(0.5, 2)));
    let saved = stepped(Newtype(Rule::Lion(Lion::new(0.25, 2))), 2, 3);
    rule.restore(saved).unwrap();
    assert_eq!((rule.steps(), rule.learning_rate()), (3, 0.5));
}

#[test]
#[cfg(feature = "half")]
fn a_master_copy_is_state() {
    use gradstep::MasterCopy;
    use half::bf16;
    let copy = |len: usize, form| {
        let momentum = Momentum::<f32>::new(0.5, 0.5, len).unwrap().with_form(form);
        MasterCopy::new(momentum, &vec![bf16::ONE; len]).unwrap()
    };
    let mut saved = copy(2, MomentumForm::Classical);
    saved.step(&mut [bf16::ONE; 2], &[bf16::ONE; 2]).unwrap();
    let mut own = MasterCopy::new(Momentum::<f32>::new(0.25, 0.5, 2).unwrap(), &[bf16::ZERO; 2]).unwrap();
    let before = own.clone();
    says(own.restore(copy(3, MomentumForm::Classical)), "saved length of the master copy is 3, expected 2");
    says(own.restore(copy(2, MomentumForm::PyTorch)), "saved form is PyTorch, expected Classical");
    assert_eq!(own, before);
    own.restore(saved.clone()).unwrap();
    assert_eq!((own.master(), own.optimizer().velocity()), (&[0.5; 2][..], saved.optimizer().velocity()));
    assert_eq!((own.learning_rate(), own.steps()), (0.25, 1));
}

// Several tensors -----------------------------------------------------------------------------------------------------

/// Parameters of a model's tensors, all of one value, in one step with gradients of ones.
fn step<O: Optimizer<f64>>(model: &mut ParamGroups<f64, O>, params: &mut [Vec<f64>; 3]) {
    let [a, b, c] = params;
    model.step(&mut [("a", a, &[1.0]), ("b", b, &[1.0; 2]), ("c", c, &[1.0; 3])]).unwrap();
}

fn params() -> [Vec<f64>; 3] {
    [vec![1.0], vec![2.0; 2], vec![3.0; 3]]
}

/// A model inserted in another order, with other settings and a past of its own: state, count and what is frozen are restored;
/// rates, their factor, form and decay stay.
#[test]
fn a_model_takes_the_state_and_keeps_its_settings() {
    let nesterov = |len| momentum(0.5, len).with_form(MomentumForm::Nesterov);
    let mut saved = model(&TENSORS, nesterov);
    step(&mut saved, &mut params());
    step(&mut saved, &mut params());
    saved.freeze("c").unwrap();
    saved.scale_learning_rates(0.5).unwrap();

    let own = |len| nesterov(len).with_weight_decay(WeightDecay::Coupled(0.25)).unwrap();
    let mut other = model(&[("b", 2), ("c", 3), ("a", 1)], own);
    other.set_learning_rate("a", 0.25).unwrap();
    other.scale_learning_rates(0.125).unwrap();
    other.freeze("a").unwrap();
    let rules: Vec<_> = other.iter().map(|(_, momentum)| *momentum.rule()).collect();
    other.restore(saved.clone()).unwrap();
    assert_eq!((other.steps(), other.factor()), (2, 0.125));
    assert_eq!(other.iter().map(|(_, momentum)| *momentum.rule()).collect::<Vec<_>>(), rules);
    assert_eq!(["a", "b", "c"].map(|name| other.learning_rate(name)), [0.25, 0.5, 0.5].map(Some));
    assert_eq!(["a", "b", "c"].map(|name| other.is_frozen(name)), [false, false, true].map(Some));
    for name in ["a", "b", "c"] {
        let (own, saved) = (other.get(name).unwrap(), saved.get(name).unwrap());
        assert_eq!((own.velocity(), own.steps()), (saved.velocity(), 2));
    }
    // The names keep their order and their places.
    assert_eq!(other.names().collect::<Vec<_>>(), ["b", "c", "a"]);
}

#[test]
fn a_restored_model_goes_on_to_the_bit() {
    let mut whole = model(&TENSORS, |len| momentum(0.5, len));
    let mut a = params();
    step(&mut whole, &mut a);
    let mut other = model(&[("c", 3), ("a", 1), ("b", 2)], |len| momentum(0.5, len));
    step(&mut other, &mut params());
    step(&mut other, &mut params());
    other.restore(whole.clone()).unwrap();
    let mut b = a.clone();
    step(&mut whole, &mut a);
    step(&mut other, &mut b);
    assert_eq!((a, other.steps()), (b, whole.steps()));
    // To take the settings too, assign.
    other = whole.clone();
    assert_eq!(other, whole);
}

/// The state that does not fit is the last of three: those before it went back.
#[test]
fn a_model_that_does_not_fit_changes_nothing() {
    let lens = "tensor `c`: saved length of the velocity is 4, expected 3";
    let forms = "tensor `c`: saved form is Nesterov, expected Classical";
    let cases: [(Tensors, MomentumForm, &str); 2] = [
        (&[("a", 1), ("b", 2), ("c", 4)], MomentumForm::Classical, lens),
        (&[("c", 3), ("b", 2), ("a", 1)], MomentumForm::Nesterov, forms),
    ];
    for (tensors, form, message) in cases {
        let saved = || {
            let mut saved = model(tensors, |len| momentum(0.1, len));
            if form == MomentumForm::Nesterov {
                saved.get_mut("c").unwrap().set_form(form);
            }
            saved.freeze("a").unwrap();
            saved
        };
        let mut own = model(&TENSORS, |len| momentum(0.5, len));
        step(&mut own, &mut params());
        let before = own.clone();
        let error = own.restore(saved()).unwrap_err();
        assert!(matches!(&error, Error::InTensor { .. }));
        assert_eq!((error.to_string(), &own), (message.into(), &before));
        assert_eq!((own.restore_shared(saved()).unwrap_err(), &own), (error, &before));
    }
    // And through wrappers and an enum.
    let mut own = model(&TENSORS, |len| Newtype(Rule::Momentum(momentum(0.5, len))));
    step(&mut own, &mut params());
    let before = own.clone();
    let mut saved = model(&TENSORS, |len| Newtype(Rule::Momentum(momentum(0.5, len))));
    saved.get_mut("c").unwrap().0 = Rule::Sgd(Sgd::new(0.5).unwrap());
    says(own.restore(saved), "tensor `c`: saved rule is another, expected the same");
    assert_eq!(own, before);
}

#[test]
fn other_names_are_rejected() {
    let mut own = model(&TENSORS, |len| momentum(0.5, len));
    let before = own.clone();
    let cases: [(Tensors, &str); 3] = [
        (&[("b", 2), ("a", 1)], "without `c` and with none"),
        (&[("d", 3), ("b", 2), ("a", 1)], "without `c` and with `d`"),
        (&[("a", 1), ("b", 2), ("c", 3), ("d", 1), ("e", 1)], "without none and with `d`, `e`"),
    ];
    for (tensors, which) in cases {
        let message = format!("saved set of tensors is {which}, expected the same names");
        says(own.restore(model(tensors, |len| momentum(0.9, len))), &message);
        assert_eq!(own, before);
    }
}

/// It names a few and counts the rest.
#[test]
fn a_failed_restore_of_many_tensors_is_short() {
    let names = |kind: &str| (0..300).map(|i| format!("layers.{i}.{kind}")).collect::<Vec<_>>();
    let of = |names: &[String]| {
        model(&names.iter().map(|name| (name.as_str(), 1)).collect::<Vec<_>>(), |len| momentum(0.5, len))
    };
    let (weights, biases) = (names("weight"), names("bias"));
    let mut own = of(&weights);
    let before = own.clone();
    for saved in [of(&biases), of(&weights[..1]), of(&[&weights[..], &biases[..]].concat())] {
        let message = own.restore(saved).unwrap_err().to_string();
        assert!(message.len() < 300 && message.contains("more"), "{}: {message}", message.len());
        assert_eq!(own, before);
    }
    says(
        own.restore(of(&biases)),
        "saved set of tensors is without `layers.0.weight`, `layers.1.weight`, `layers.2.weight`, `layers.3.weight`, \
         `layers.4.weight` and 295 more and with `layers.0.bias`, `layers.1.bias`, `layers.2.bias`, `layers.3.bias`, \
         `layers.4.bias` and 295 more, expected the same names",
    );
}

/// A new head on an old backbone: what both have is restored, the rest stays as it is and is named.
#[test]
fn shared_tensors_are_restored() {
    let mut saved = model(&[("old", 3), ("a", 1), ("b", 2)], |len| momentum(0.9, len));
    let (mut old, mut a, mut b) = ([0.0; 3], [0.0], [0.0; 2]);
    saved.step(&mut [("old", &mut old, &[1.0; 3]), ("a", &mut a, &[1.0]), ("b", &mut b, &[1.0; 2])]).unwrap();
    saved.freeze("b").unwrap();
    let mut own = model(&[("a", 1), ("b", 2), ("new", 4)], |len| momentum(0.5, len));
    own.freeze("new").unwrap();
    own.freeze("a").unwrap(); // what was saved was not frozen, and that counts
    let (only_own, only_saved) = own.restore_shared(saved.clone()).unwrap();
    assert_eq!((only_own, only_saved), (vec!["new".to_string()], vec!["old".to_string()]));
    assert_eq!(own.steps(), 1);
    assert_eq!(["a", "b"].map(|name| own.get(name).unwrap().velocity()), [&[-0.9][..], &[-0.9; 2]]);
    assert_eq!((own.get("new").unwrap().velocity(), own.get("new").unwrap().steps()), (&[0.0; 4][..], 0));
    assert_eq!(["a", "b", "new"].map(|name| own.is_frozen(name)), [false, true, true].map(Some));
    assert_eq!(own.learning_rate("a"), Some(0.5));

    let all = own.restore_shared(own.clone()).unwrap();
    assert_eq!(all, (vec![], vec![]));
    let nothing = own.restore_shared(model(&[("x", 1)], |len| momentum(0.5, len))).unwrap();
    assert_eq!(nothing, (vec!["a".into(), "b".into(), "new".into()], vec!["x".into()]));
    assert_eq!(own.get("a").unwrap().velocity(), [-0.9]);
}
