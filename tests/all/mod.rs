//! One list of all optimizers, for every test that holds for each of them.

use gradstep::{Form, Guard, Momentum, Optimizer, Sgd, WeightDecay};

pub(crate) const LEARNING_RATE: f64 = 0.1;
pub(crate) const MOMENTUM: f64 = 0.9;
pub(crate) const DECAY: f64 = 0.01;
pub(crate) const DECAYS: [WeightDecay<f64>; 3] =
    [WeightDecay::None, WeightDecay::Coupled(DECAY), WeightDecay::Decoupled(DECAY)];
pub(crate) const FORMS: [Form; 4] = [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov];

/// Every rule with every form and decay, for `len` parameters, with a name for messages.
pub(crate) fn optimizers(len: usize) -> Vec<(String, Box<dyn Optimizer<f64>>)> {
    let mut all: Vec<(String, Box<dyn Optimizer<f64>>)> = Vec::new();
    for decay in DECAYS {
        let sgd = Sgd::new(LEARNING_RATE).unwrap().with_weight_decay(decay).unwrap();
        all.push((format!("Sgd, {decay:?}"), Box::new(sgd)));
        for form in FORMS {
            let momentum = Momentum::new(LEARNING_RATE, MOMENTUM, len).unwrap().with_form(form);
            let momentum = momentum.with_weight_decay(decay).unwrap();
            all.push((format!("Momentum, {form:?}, {decay:?}"), Box::new(momentum)));
        }
    }
    all.push(("Guard".into(), Box::new(Guard(Momentum::new(LEARNING_RATE, MOMENTUM, len).unwrap()))));
    all
}
