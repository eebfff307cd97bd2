//! The format of all that is saved (feature `serde`): the struct that is written in place of each type, and the checks on
//! the way back.
//!
//! Every struct begins with `_type`, its name and the version of its format, so that anything else is rejected by name
//! before the rest is parsed. (The underscore sorts first where a format sorts its keys.) Names are strings, not enums,
//! since RON loses the names of variants in serde's buffer. Fields that are tables come last, as TOML wants them.

mod number;

use alloc::{format, string::String, vec::Vec};
use core::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use self::number::{Exact, Exacts, Scalar};
use crate::{
    batch::stream::Position,
    check::{self, same},
    error::Error,
    gradient::{accumulator::Accumulator, noise::NoiseScale},
    update::{
        groups::ParamGroups,
        momentum::{Form, Momentum},
        optimizer::Optimizer,
        sgd::Sgd,
        weight_decay::WeightDecay,
    },
};

const VERSION: u64 = 1;

/// The field `_type`: the name of `T` and the version of its format.
struct Type<T>(PhantomData<T>);

trait Named {
    fn name() -> String;
}

impl<T: Named> Type<T> {
    const HERE: Self = Type(PhantomData);

    fn text() -> String {
        format!("gradstep::{} v{VERSION}", T::name())
    }
}

impl<T: Named> Serialize for Type<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Self::text())
    }
}

impl<'de, T: Named> Deserialize<'de> for Type<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = String::deserialize(deserializer)?;
        same("type", saved, Self::text()).map_err(D::Error::custom)?;
        Ok(Self::HERE)
    }
}

/// `save` makes the struct that is written, from a borrowed value: no state is copied. `load` checks it and makes the
/// value again. After `bounds` stand those that the two directions need beyond the generics.
macro_rules! saved {
    (
        [$($generics:tt)*] $type:ty, $name:expr,
        bounds [$($save_bound:tt)*] [$($load_bound:tt)*],
        save $value:ident: $save:expr,
        load $loaded:ident: $saved:ty => $load:expr
    ) => {
        impl<$($generics)*> Named for $type {
            fn name() -> String {
                $name.into()
            }
        }

        impl<$($generics)*> Serialize for $type
        where
            $($save_bound)*
        {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                $save.serialize(serializer)
            }
        }

        impl<'de, $($generics)*> Deserialize<'de> for $type
        where
            $($load_bound)*
        {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let $loaded = <$saved>::deserialize(deserializer)?;
                let load = || -> Result<Self, Error> { $load };
                load().map_err(D::Error::custom)
            }
        }
    };
}

// Optimizers ----------------------------------------------------------------------------------------------------------

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "F: Scalar")]
struct SavedSgd<F> {
    _type: Type<Sgd<F>>,
    learning_rate: Exact<F>,
    steps: Exact<u64>,
    weight_decay: WeightDecay<F>,
}

saved! {
    [F: Scalar] Sgd<F>, format!("Sgd<{}>", F::NAME),
    bounds [] [],
    save sgd: SavedSgd {
        _type: Type::HERE,
        learning_rate: Exact(sgd.learning_rate),
        steps: Exact(sgd.steps),
        weight_decay: sgd.weight_decay,
    },
    load saved: SavedSgd<F> => {
        let sgd = Sgd::new(saved.learning_rate.0)?.with_weight_decay(saved.weight_decay)?;
        Ok(Sgd { steps: saved.steps.0, ..sgd })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "F: Scalar, V: Serialize", deserialize = "F: Scalar, V: Deserialize<'de>")
)]
struct SavedMomentum<F, V> {
    _type: Type<Momentum<F>>,
    learning_rate: Exact<F>,
    momentum: Exact<F>,
    form: Form,
    steps: Exact<u64>,
    velocity: V,
    weight_decay: WeightDecay<F>,
}

saved! {
    [F: Scalar] Momentum<F>, format!("Momentum<{}>", F::NAME),
    bounds [] [],
    save momentum: SavedMomentum {
        _type: Type::HERE,
        learning_rate: Exact(momentum.learning_rate),
        momentum: Exact(momentum.momentum),
        form: momentum.form,
        steps: Exact(momentum.steps),
        velocity: Exacts(&momentum.velocity[..]),
        weight_decay: momentum.weight_decay,
    },
    load saved: SavedMomentum<F, Exacts<Vec<F>>> => {
        let momentum = Momentum::new(saved.learning_rate.0, saved.momentum.0, 0)?
            .with_form(saved.form)
            .with_weight_decay(saved.weight_decay)?;
        Ok(Momentum { velocity: saved.velocity.0, steps: saved.steps.0, ..momentum })
    }
}

const FORMS: [Form; 4] = [Form::Classical, Form::Nesterov, Form::PyTorch, Form::PyTorchNesterov];

impl Serialize for Form {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{self:?}"))
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = String::deserialize(deserializer)?;
        let form = FORMS.into_iter().find(|form| format!("{form:?}") == saved);
        form.ok_or_else(|| D::Error::custom(format!("saved form is {saved}, expected one of {FORMS:?}")))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "F: Scalar")]
struct SavedWeightDecay<F> {
    _type: Type<WeightDecay<F>>,
    form: String,
    /// 0 if there is no decay.
    strength: Exact<F>,
}

saved! {
    [F: Scalar] WeightDecay<F>, format!("WeightDecay<{}>", F::NAME),
    bounds [] [],
    save decay: {
        let (form, strength) = match *decay {
            WeightDecay::None => ("None", F::zero()),
            WeightDecay::Coupled(strength) => ("Coupled", strength),
            WeightDecay::Decoupled(strength) => ("Decoupled", strength),
        };
        SavedWeightDecay { _type: Type::HERE, form: form.into(), strength: Exact(strength) }
    },
    load saved: SavedWeightDecay<F> => match (saved.form.as_str(), saved.strength.0) {
        ("Coupled", strength) => WeightDecay::Coupled(strength).checked(),
        ("Decoupled", strength) => WeightDecay::Decoupled(strength).checked(),
        ("None", strength) => {
            same("strength", format!("{strength:?}"), format!("{:?}", F::zero()))?;
            Ok(WeightDecay::None)
        }
        _ => Err(Error::Saved { name: "form", saved: saved.form, expected: "None, Coupled or Decoupled".into() }),
    }
}

#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "F: Scalar, G: Serialize", deserialize = "F: Scalar, G: Deserialize<'de>")
)]
struct SavedParamGroups<P, O, F, G> {
    _type: Type<ParamGroups<P, O, F>>,
    factor: Exact<F>,
    steps: Exact<u64>,
    groups: Vec<G>,
}

/// `O` or a reference to it.
#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    bound(serialize = "F: Scalar, O: Serialize", deserialize = "F: Scalar, O: Deserialize<'de>")
)]
struct SavedGroup<F, O> {
    name: String,
    /// At factor 1.
    learning_rate: Exact<F>,
    frozen: bool,
    optimizer: O,
}

saved! {
    [P, O, F: Scalar] ParamGroups<P, O, F>, format!("ParamGroups<{}>", F::NAME),
    bounds [O: Serialize] [O: Optimizer<P, F> + Deserialize<'de>],
    save model: SavedParamGroups::<P, O, F, _> {
        _type: Type::HERE,
        factor: Exact(model.factor),
        steps: Exact(model.steps),
        groups: Vec::from_iter(model.groups.iter().map(|group| SavedGroup {
            name: group.name.clone(),
            learning_rate: Exact(group.learning_rate),
            frozen: group.frozen,
            optimizer: &group.optimizer,
        })),
    },
    load saved: SavedParamGroups<P, O, F, SavedGroup<F, O>> => {
        let mut model = ParamGroups::new();
        for SavedGroup { name, learning_rate, frozen, optimizer } in saved.groups {
            // Not by `insert`, which would set the optimizer's own learning rate.
            let learning_rate = check::learning_rate(learning_rate.0)?;
            model.check_new(&name)?;
            model.push(name, optimizer, learning_rate, frozen);
        }
        model.check_factor(saved.factor.0)?;
        model.factor = saved.factor.0;
        model.steps = saved.steps.0;
        Ok(model)
    }
}

#[cfg(feature = "half")]
mod half {
    use super::{number::Number, *};
    use crate::update::half::MasterCopy;

    #[derive(Serialize, Deserialize)]
    #[serde(
        deny_unknown_fields,
        bound(
            serialize = "H: Number, O: Serialize, V: Serialize",
            deserialize = "H: Number, O: Deserialize<'de>, V: Deserialize<'de>"
        )
    )]
    struct SavedMasterCopy<H, T, O, V> {
        _type: Type<MasterCopy<H, T>>,
        master: V,
        optimizer: O,
    }

    saved! {
        [H: Number, O] MasterCopy<H, O>, format!("MasterCopy<{}>", H::NAME),
        bounds [O: Serialize] [O: Optimizer<f32> + Deserialize<'de>],
        save copy: SavedMasterCopy::<H, O, _, _> {
            _type: Type::HERE,
            master: Exacts(&copy.master[..]),
            optimizer: &copy.optimizer,
        },
        load saved: SavedMasterCopy<H, O, O, Exacts<Vec<f32>>> => MasterCopy::from_master(saved.optimizer, saved.master.0)
    }
}

// Gradients -----------------------------------------------------------------------------------------------------------

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedAccumulator<V> {
    _type: Type<Accumulator>,
    samples: Exact<u64>,
    sum: V,
}

saved! {
    [] Accumulator, "Accumulator",
    bounds [] [],
    save accumulator: SavedAccumulator {
        _type: Type::HERE,
        samples: Exact(accumulator.samples),
        sum: Exacts(&accumulator.sum[..]),
    },
    load saved: SavedAccumulator<Exacts<Vec<f64>>> => {
        if saved.sum.0.iter().any(|sum| sum.to_bits() != 0) {
            check::at_least_one("samples", saved.samples.0)?;
        }
        Ok(Accumulator { sum: saved.sum.0, samples: saved.samples.0 })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedNoiseScale {
    _type: Type<NoiseScale>,
    estimates: Exact<u64>,
    squared_norms: Exact<f64>,
    traces: Exact<f64>,
}

saved! {
    [] NoiseScale, "NoiseScale",
    bounds [] [],
    save noise: SavedNoiseScale {
        _type: Type::HERE,
        estimates: Exact(noise.estimates),
        squared_norms: Exact(noise.squared_norms),
        traces: Exact(noise.traces),
    },
    load saved: SavedNoiseScale => {
        if (saved.squared_norms.0, saved.traces.0) != (0.0, 0.0) {
            check::at_least_one("estimates", saved.estimates.0)?;
        }
        Ok(NoiseScale {
            estimates: saved.estimates.0,
            squared_norms: check::number("squared_norms", saved.squared_norms.0, check::FINITE)?,
            traces: check::number("traces", saved.traces.0, check::FINITE)?,
        })
    }
}

// Batches -------------------------------------------------------------------------------------------------------------

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedPosition {
    _type: Type<Position>,
    epoch: Exact<u64>,
    samples: Exact<u64>,
    batch_size: Exact<u64>,
    drop_last: bool,
    /// The order's, by name.
    settings: Vec<(String, Exact<u64>)>,
}

saved! {
    [] Position, "Position",
    bounds [] [],
    save position: SavedPosition {
        _type: Type::HERE,
        epoch: Exact(position.epoch),
        samples: Exact(position.samples),
        batch_size: Exact(position.batch_size),
        drop_last: position.drop_last,
        settings: position.settings.iter().map(|(name, value)| (name.clone().into_owned(), Exact(*value))).collect(),
    },
    load saved: SavedPosition => {
        check::at_least_one("batch_size", saved.batch_size.0)?;
        Ok(Position {
            epoch: saved.epoch.0,
            samples: saved.samples.0,
            batch_size: saved.batch_size.0,
            drop_last: saved.drop_last,
            settings: saved.settings.into_iter().map(|(name, value)| (name.into(), value.0)).collect(),
        })
    }
}
