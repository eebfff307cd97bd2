//! A training run with update rules chosen by name in a file, one for each layer: sgd, momentum,
//! nesterov or adamw. An enum of the rules is itself an optimizer, so one model mixes them and can
//! be saved.
//!
//! ```sh
//! cargo run --release --features serde --example from_config     # examples/from_config.json
//! cargo run --release --features serde --example from_config -- OTHER.json
//! ```
//!
//! Trains on the handwritten digits twice: without a break, and stopped half-way, saved, loaded and
//! resumed. Exits with code 1 unless both end with the same bits. (`resume.rs` saves to a file, and
//! can be killed at any moment.)

mod common;

use std::{env, fs};

use anyhow::{Context, Result, ensure};
use common::{data, network::Network};
use gradstep::{
    Adam, Batcher, Error, Grads, Momentum, MomentumForm, Optimizer, ParamGroups, Position, Restore, Schedule, Sgd,
    Step, WeightDecay,
};
use serde::{Deserialize, Serialize};

/// An optimizer that is any of these.
#[derive(PartialEq, Serialize, Deserialize)]
enum Rule {
    Sgd(Sgd<f32>),
    Momentum(Momentum<f32>),
    Adam(Adam<f32>),
}

impl Rule {
    fn get(&self) -> &dyn Optimizer<f32> {
        match self {
            Rule::Sgd(rule) => rule,
            Rule::Momentum(rule) => rule,
            Rule::Adam(rule) => rule,
        }
    }

    fn get_mut(&mut self) -> &mut dyn Optimizer<f32> {
        match self {
            Rule::Sgd(rule) => rule,
            Rule::Momentum(rule) => rule,
            Rule::Adam(rule) => rule,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Rule::Sgd(_) => "Sgd",
            Rule::Momentum(_) => "Momentum",
            Rule::Adam(_) => "Adam",
        }
    }
}

impl Optimizer<f32> for Rule {
    fn check(&self, grads: Grads<f32>) -> Result<(), Error> {
        self.get().check(grads)
    }

    fn update(&mut self, step: Step<f32>) -> Result<(), Error> {
        self.get_mut().update(step)
    }

    fn learning_rate(&self) -> f64 {
        self.get().learning_rate()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<(), Error> {
        self.get_mut().set_learning_rate(learning_rate)
    }

    fn steps(&self) -> u64 {
        self.get().steps()
    }

    fn reset(&mut self) {
        self.get_mut().reset();
    }

    fn state_len(&self) -> Option<usize> {
        self.get().state_len()
    }
}

impl Restore for Rule {
    fn swap_state(&mut self, other: &mut Self) -> Result<(), Error> {
        match (self, other) {
            (Rule::Sgd(own), Rule::Sgd(other)) => own.swap_state(other),
            (Rule::Momentum(own), Rule::Momentum(other)) => own.swap_state(other),
            (Rule::Adam(own), Rule::Adam(other)) => own.swap_state(other),
            (own, other) => Err(Error::Saved { name: "rule", saved: other.name().into(), expected: own.name().into() }),
        }
    }
}

/// A rule for each layer of the network.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    first: Settings,
    second: Settings,
}

#[derive(Deserialize)]
#[serde(tag = "rule", rename_all = "lowercase", deny_unknown_fields)]
enum Settings {
    Sgd { learning_rate: f64 },
    Momentum { learning_rate: f64, momentum: f64 },
    Nesterov { learning_rate: f64, momentum: f64 },
    AdamW { learning_rate: f64, weight_decay: f64 },
}

impl Settings {
    /// A fresh rule for a tensor of `len` numbers.
    fn rule(&self, len: usize) -> Result<Rule, Error> {
        Ok(match *self {
            Settings::Sgd { learning_rate } => Rule::Sgd(Sgd::new(learning_rate)?),
            Settings::Momentum { learning_rate, momentum } => {
                Rule::Momentum(Momentum::new(learning_rate, momentum, len)?)
            }
            Settings::Nesterov { learning_rate, momentum } => {
                Rule::Momentum(Momentum::new(learning_rate, momentum, len)?.with_form(MomentumForm::Nesterov))
            }
            Settings::AdamW { learning_rate, weight_decay } => {
                let decay = WeightDecay::Decoupled(weight_decay);
                Rule::Adam(Adam::new(learning_rate, len)?.with_weight_decay(decay)?)
            }
        })
    }
}

/// All that decides the rest of a run, apart from the configuration, the data and the code.
#[derive(Serialize, Deserialize)]
struct State {
    params: Vec<f32>,
    model: ParamGroups<f32, Rule>,
    position: Position,
}

fn main() -> Result<()> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/from_config.json");
    let path = env::args().nth(1).unwrap_or(default.into());
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let config: Config = serde_json::from_str(&text).with_context(|| path.clone())?;

    let data = data::digits()?;
    let network = Network { inputs: data.train.inputs, hidden: 32, classes: 10 };
    let first = (1 + network.inputs) * network.hidden; // parameters of the first layer
    let batcher = Batcher::new(data.train.len(), 32, 0)?;
    let steps = 5 * batcher.batches_per_epoch() as u64;
    let schedule = Schedule::cosine(1.0, 0.0, steps)?; // a factor of every learning rate

    let fresh = || -> Result<State> {
        let mut model = ParamGroups::new();
        model.insert("first", config.first.rule(first)?)?;
        model.insert("second", config.second.rule(network.len() - first)?)?;
        Ok(State { params: network.initial(0), model, position: batcher.position(0, 0)? })
    };
    let train = |State { mut params, mut model, position }: State, until: u64| -> Result<State> {
        let mut stream = batcher.resume(&position)?;
        let mut grads = vec![0.0; params.len()];
        while model.steps() < until {
            let batch = stream.next_batch().context("the stream has ended")?;
            network.loss_and_gradient(&params, &data.train, batch, &mut grads);
            model.scale_learning_rates(schedule.at(model.steps()))?;
            let ((params, others), (grads, other_grads)) = (params.split_at_mut(first), grads.split_at(first));
            model.step(&mut [("first", params, grads), ("second", others, other_grads)])?;
        }
        Ok(State { params, model, position: stream.position() })
    };

    let whole = train(fresh()?, steps)?;
    println!("{steps} steps, held-out accuracy: {:.2} %", 100.0 * network.accuracy(&whole.params, &data.held_out));

    let saved = postcard::to_allocvec(&train(fresh()?, steps / 2)?)?;
    let saved: State = postcard::from_bytes(&saved)?;
    let mut resumed = State { params: saved.params, position: saved.position, ..fresh()? };
    resumed.model.restore(saved.model)?; // only the state: the settings stay those of the file
    let resumed = train(resumed, steps)?;
    ensure!(
        (resumed.params, resumed.model) == (whole.params, whole.model),
        "saved and resumed, it ends with other bits"
    );
    println!("saved at step {} and resumed: the same bits", steps / 2);
    Ok(())
}
