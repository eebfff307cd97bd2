//! How everything is saved: what `serde` sees in place of the types themselves, and the checks on the way back.

use alloc::{format, string::String, vec::Vec};
use core::{fmt::Debug, str::FromStr};

use num_traits::Float;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use crate::{
    batch::{batcher, stream},
    check,
    error::Error,
    float::to_f64,
    order,
    update::{groups, momentum, momentum::Form, sgd, weight_decay},
};

/// What a scalar needs to be saved: f32, f64, and `half`'s types with its feature `serde`.
pub trait Scalar: Float + Send + Sync + Debug + FromStr + Serialize + DeserializeOwned {}

impl<F: Float + Send + Sync + Debug + FromStr + Serialize + DeserializeOwned> Scalar for F {}

/// A scalar to the bit: as its shortest decimal string (that of `Debug`) where the format is text, since JSON knows neither NaN nor
/// infinity and its readers may be off by a bit; as it is in binary formats.
pub(crate) struct Exact<F>(F);

impl<F: Scalar> Serialize for Exact<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:?}", self.0))
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de, F: Scalar> Deserialize<'de> for Exact<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return F::deserialize(deserializer).map(Exact);
        }
        let text = String::deserialize(deserializer)?;
        let refused = |_| serde::de::Error::custom(format!("expected a number, found `{text}`"));
        text.parse().map(Exact).map_err(refused)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "F: Scalar")]
pub(crate) enum Optimizer<F> {
    Sgd {
        /// Which float: read as another it would be rounded in silence.
        scalar: String,
        learning_rate: Exact<F>,
        weight_decay: weight_decay::WeightDecay<F>,
        steps: u64,
    },
    Momentum {
        scalar: String,
        learning_rate: Exact<F>,
        momentum: Exact<F>,
        form: Form,
        weight_decay: weight_decay::WeightDecay<F>,
        velocity: Vec<Exact<F>>,
        steps: u64,
    },
}

impl<F> Optimizer<F> {
    fn instead_of(&self, expected: &str) -> Error {
        let saved = match self {
            Optimizer::Sgd { .. } => "Sgd",
            Optimizer::Momentum { .. } => "Momentum",
        };
        Error::Saved { name: "optimizer", saved: saved.into(), expected: expected.into() }
    }
}

fn scalar<F: Float>() -> &'static str {
    match size_of::<F>() {
        8 => "f64",
        4 => "f32",
        2 if to_f64(F::epsilon()) < 0.001 => "f16",
        2 => "bf16",
        _ => "another float",
    }
}

fn check_scalar<F: Float>(saved: String) -> Result<(), Error> {
    let expected = scalar::<F>();
    if saved == expected { Ok(()) } else { Err(Error::Saved { name: "scalar", saved, expected: expected.into() }) }
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "F: Scalar")]
pub(crate) enum WeightDecay<F> {
    None,
    Coupled(Exact<F>),
    Decoupled(Exact<F>),
}

impl<F> From<weight_decay::WeightDecay<F>> for WeightDecay<F> {
    fn from(decay: weight_decay::WeightDecay<F>) -> Self {
        match decay {
            weight_decay::WeightDecay::None => WeightDecay::None,
            weight_decay::WeightDecay::Coupled(w) => WeightDecay::Coupled(Exact(w)),
            weight_decay::WeightDecay::Decoupled(w) => WeightDecay::Decoupled(Exact(w)),
        }
    }
}

impl<F: Scalar> TryFrom<WeightDecay<F>> for weight_decay::WeightDecay<F> {
    type Error = Error;

    fn try_from(saved: WeightDecay<F>) -> Result<Self, Error> {
        match saved {
            WeightDecay::None => weight_decay::WeightDecay::None,
            WeightDecay::Coupled(w) => weight_decay::WeightDecay::Coupled(w.0),
            WeightDecay::Decoupled(w) => weight_decay::WeightDecay::Decoupled(w.0),
        }
        .checked()
    }
}

impl<F: Scalar> From<sgd::Sgd<F>> for Optimizer<F> {
    fn from(sgd: sgd::Sgd<F>) -> Self {
        Optimizer::Sgd {
            scalar: scalar::<F>().into(),
            learning_rate: Exact(sgd.learning_rate),
            weight_decay: sgd.weight_decay,
            steps: sgd.steps,
        }
    }
}

impl<F: Scalar> TryFrom<Optimizer<F>> for sgd::Sgd<F> {
    type Error = Error;

    fn try_from(saved: Optimizer<F>) -> Result<Self, Error> {
        match saved {
            Optimizer::Sgd { scalar, learning_rate, weight_decay, steps } => {
                check_scalar::<F>(scalar)?;
                Ok(sgd::Sgd { steps, ..sgd::Sgd::new(learning_rate.0)?.with_weight_decay(weight_decay)? })
            }
            other => Err(other.instead_of("Sgd")),
        }
    }
}

impl<F: Scalar> From<momentum::Momentum<F>> for Optimizer<F> {
    fn from(momentum: momentum::Momentum<F>) -> Self {
        Optimizer::Momentum {
            scalar: scalar::<F>().into(),
            learning_rate: Exact(momentum.learning_rate),
            momentum: Exact(momentum.momentum),
            form: momentum.form,
            weight_decay: momentum.weight_decay,
            velocity: momentum.velocity.into_iter().map(Exact).collect(),
            steps: momentum.steps,
        }
    }
}

impl<F: Scalar> TryFrom<Optimizer<F>> for momentum::Momentum<F> {
    type Error = Error;

    fn try_from(saved: Optimizer<F>) -> Result<Self, Error> {
        match saved {
            Optimizer::Momentum { scalar, learning_rate, momentum, form, weight_decay, velocity, steps } => {
                check_scalar::<F>(scalar)?;
                let settings = momentum::Momentum::new(learning_rate.0, momentum.0, 0)?
                    .with_form(form)
                    .with_weight_decay(weight_decay)?;
                Ok(momentum::Momentum { velocity: velocity.into_iter().map(|m| m.0).collect(), steps, ..settings })
            }
            other => Err(other.instead_of("Momentum")),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "F: Scalar, O: Serialize", deserialize = "F: Scalar, O: Deserialize<'de>")
)]
pub(crate) struct ParamGroups<F, O> {
    scalar: String,
    groups: Vec<Group<F, O>>,
    factor: Exact<F>,
    steps: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "F: Scalar, O: Serialize", deserialize = "F: Scalar, O: Deserialize<'de>")
)]
struct Group<F, O> {
    name: String,
    len: usize,
    learning_rate: Exact<F>,
    frozen: bool,
    optimizer: O,
}

impl<F: Scalar, O> From<groups::ParamGroups<F, O>> for ParamGroups<F, O> {
    fn from(model: groups::ParamGroups<F, O>) -> Self {
        let group = |group: groups::Group<F, O>| Group {
            name: group.name,
            len: group.len,
            learning_rate: Exact(group.learning_rate),
            frozen: group.frozen,
            optimizer: group.optimizer,
        };
        ParamGroups {
            scalar: scalar::<F>().into(),
            groups: model.groups.into_iter().map(group).collect(),
            factor: Exact(model.factor),
            steps: model.steps,
        }
    }
}

impl<F: Scalar, O: crate::Optimizer<F>> TryFrom<ParamGroups<F, O>> for groups::ParamGroups<F, O> {
    type Error = Error;

    fn try_from(saved: ParamGroups<F, O>) -> Result<Self, Error> {
        check_scalar::<F>(saved.scalar)?;
        let mut model = groups::ParamGroups::new();
        for Group { name, len, learning_rate, frozen, optimizer } in saved.groups {
            // As it was saved: `insert` would set the optimizer's own learning rate anew.
            let learning_rate = check::learning_rate(learning_rate.0)?;
            model.push(groups::Group { name, len, optimizer, learning_rate, frozen })?;
        }
        model.check_factor(saved.factor.0)?;
        model.factor = saved.factor.0;
        model.steps = saved.steps;
        Ok(model)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batcher {
    order_version: u64,
    len: u64,
    batch_size: u64,
    /// None has to be written out: a seed that got lost must not load as "not shuffled".
    #[serde(deserialize_with = "Option::deserialize")]
    seed: Option<u64>,
    drop_last: bool,
}

impl From<batcher::Batcher> for Batcher {
    fn from(batcher: batcher::Batcher) -> Self {
        Batcher {
            order_version: order::VERSION,
            len: batcher.len() as u64,
            batch_size: batcher.batch_size() as u64,
            seed: batcher.seed(),
            drop_last: batcher.is_drop_last(),
        }
    }
}

fn fits(name: &'static str, value: u64, most: usize) -> Result<usize, Error> {
    let bound = most as u64;
    usize::try_from(value).map_err(|_| Error::Count { name, value, expected: "at most", bound })
}

impl TryFrom<Batcher> for batcher::Batcher {
    type Error = Error;

    fn try_from(saved: Batcher) -> Result<Self, Error> {
        if saved.order_version != order::VERSION {
            let (saved, expected) = (format!("{}", saved.order_version), format!("{}", order::VERSION));
            return Err(Error::Saved { name: "order version", saved, expected });
        }
        let (len, batch_size) =
            (fits("len", saved.len, batcher::Batcher::MAX_LEN)?, fits("batch_size", saved.batch_size, usize::MAX)?);
        let batcher = match saved.seed {
            Some(seed) => batcher::Batcher::new(len, batch_size, seed)?,
            None => batcher::Batcher::sequential(len, batch_size)?,
        };
        if saved.drop_last { batcher.drop_last() } else { Ok(batcher) }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    batcher: batcher::Batcher,
    epoch: u64,
    batch: u64,
}

impl From<stream::Position> for Position {
    fn from(position: stream::Position) -> Self {
        Position { batcher: position.batcher(), epoch: position.epoch(), batch: position.batch() as u64 }
    }
}

impl TryFrom<Position> for stream::Position {
    type Error = Error;

    fn try_from(saved: Position) -> Result<Self, Error> {
        saved.batcher.position(saved.epoch, fits("batch", saved.batch, usize::MAX)?)
    }
}

#[cfg(feature = "half")]
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MasterCopy<O> {
    master: Vec<Exact<f32>>,
    optimizer: O,
}

#[cfg(feature = "half")]
impl<H, O> From<crate::MasterCopy<H, O>> for MasterCopy<O> {
    fn from(saved: crate::MasterCopy<H, O>) -> Self {
        MasterCopy { master: saved.master.into_iter().map(Exact).collect(), optimizer: saved.optimizer }
    }
}

#[cfg(feature = "half")]
impl<H, O: crate::Optimizer<f32>> TryFrom<MasterCopy<O>> for crate::MasterCopy<H, O> {
    type Error = Error;

    fn try_from(saved: MasterCopy<O>) -> Result<Self, Error> {
        let master: Vec<f32> = saved.master.into_iter().map(|value| value.0).collect();
        let grads = check::zeros("a master copy", master.len())?;
        saved.optimizer.check(&master, &grads)?;
        Ok(crate::MasterCopy { optimizer: saved.optimizer, master, grads, params: core::marker::PhantomData })
    }
}
