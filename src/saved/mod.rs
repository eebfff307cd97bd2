//! Saving and loading (feature `serde`): what all types have in common. Each type lists its fields in its own file, in
//! a [`saved`] block.
//!
//! Every struct begins with the field `_type`, its name and the version of its format, so that anything else is
//! rejected by name before the rest is parsed. (The underscore makes it the first field in formats that sort their
//! keys.) Names are strings, not enums, since RON loses the names of variants in serde's buffer. Fields that are tables
//! come last, as TOML requires.
//!
//! Every released version is read for ever: `tests/data/saved` has a file of each type and version, and
//! `tests/all/saved.rs` loads them. The first field names the version, in binary formats too, so a type with a second
//! version can read `_type` first and then the fields of the version that it names.

pub mod exact;
mod number;
mod written;

use alloc::string::String;
use core::{fmt::Debug, marker::PhantomData};

use num_traits::Float;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

pub(crate) use self::number::Number;
use crate::check::same;

/// The floats with which this crate's types can be saved: f32, f64, and with feature `half` bf16 and f16. Sealed.
/// Feature `serde`.
///
/// A struct of your own that is generic over the float names this trait in serde's `bound`:
///
/// ```
/// use gradstep::{Momentum, exact};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// #[serde(bound = "F: gradstep::SavedFloat")]
/// struct Run<F> {
///     #[serde(with = "exact")]
///     params: Vec<F>,
///     momentum: Momentum<F>,
/// }
///
/// let run = Run { params: vec![0.5_f32], momentum: Momentum::new(0.1, 0.9, 1)? };
/// let text = serde_json::to_string(&run)?;
/// let loaded: Run<f32> = serde_json::from_str(&text)?;
/// assert_eq!((loaded.params, loaded.momentum), (run.params, run.momentum));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait SavedFloat: Number + Float + Debug + Send + Sync + 'static {}

impl<F: Number + Float + Debug + Send + Sync + 'static> SavedFloat for F {}

/// A field that is written to the bit, in every format.
pub(crate) struct Exact<T>(pub(crate) T);

impl<T: exact::Exact> Serialize for Exact<&T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        exact::serialize(self.0, serializer)
    }
}

impl<'de, T: exact::Exact> Deserialize<'de> for Exact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        exact::deserialize(deserializer).map(Exact)
    }
}

/// A field that is written by its type's own implementation of serde's traits.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Plain<T>(pub(crate) T);

/// The field `_type`: the name of `T` and the version of its format.
pub(crate) struct Type<T>(pub(crate) PhantomData<T>);

pub(crate) trait Named {
    fn name() -> String;
}

impl<T: Named> Serialize for Type<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&T::name())
    }
}

impl<'de, T: Named> Deserialize<'de> for Type<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let saved = String::deserialize(deserializer)?;
        same("type", saved, T::name()).map_err(D::Error::custom)?;
        Ok(Type(PhantomData))
    }
}

/// Implements serde's traits for a type, at the end of its file:
///
/// ```text
/// saved! {
///     [F: SavedFloat] Momentum<F> = "Momentum<{}> v1", F::NAME; // generics, type, name and version
///     momentum: Exact<F>,                      // a number, to the bit
///     velocity: Exact<Vec<F>>,                 // many numbers, to the bit
///     form: Plain<MomentumForm>,               // anything else that serde knows
///     strength: Exact<F> = strength,           // not a field: the function `strength` returns it from `&self`
///     => Momentum::new(momentum, velocity, …)  // the value from the loaded fields, or an error
/// }
/// ```
///
/// The fields are written in this order, under their names. They are borrowed, so no state is copied. `where O: Saved`
/// after the type says that its generic `O` must implement serde's traits too.
macro_rules! saved {
    (
        [$($generics:tt)*] $type:ty $(where $nested:ident: Saved)? = $name:literal $(, $argument:expr)?;
        $($field:ident: $how:ident<$saved:ty> $(= $value:path)?,)*
        => $build:expr
    ) => {
        #[allow(non_camel_case_types, reason = "generic parameters named like the fields")]
        const _: () = {
            use alloc::string::String;
            use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
            use $crate::saved::*;

            impl<$($generics)*> Named for $type {
                fn name() -> String {
                    alloc::format!(concat!("gradstep::", $name) $(, $argument)?)
                }
            }

            /// Each field's type is a generic parameter, named like the field, since saving fills in references and
            /// loading fills in values.
            #[derive(Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            struct Fields<_type, $($field),*> {
                _type: _type,
                $($field: $field),*
            }

            impl<$($generics)*> Serialize for $type
            $(where $nested: Serialize)?
            {
                fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    Fields {
                        _type: Type::<Self>(core::marker::PhantomData),
                        $($field: $how(saved!(@ self $field $($value)?))),*
                    }
                    .serialize(serializer)
                }
            }

            impl<'de, $($generics)*> Deserialize<'de> for $type
            $(where $nested: Deserialize<'de>)?
            {
                fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    let fields = Fields::<Type<Self>, $($how<$saved>),*>::deserialize(deserializer)?;
                    $(let $how($field) = fields.$field;)*
                    let build = || -> Result<Self, $crate::error::Error> { $build };
                    build().map_err(D::Error::custom)
                }
            }
        };
    };
    (@ $self:ident $field:ident) => { &$self.$field };
    (@ $self:ident $field:ident $value:path) => { &$value($self) };
}
pub(crate) use saved;

/// Implements serde's traits for an enum without fields, which is written as the name of its variant. Errors call the
/// enum `$what`.
macro_rules! saved_names {
    ($what:literal $type:ident: $($name:ident),*) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(match self { $($type::$name => stringify!($name)),* })
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match alloc::string::String::deserialize(deserializer)?.as_str() {
                    $(stringify!($name) => Ok($type::$name),)*
                    other => Err(serde::de::Error::custom(alloc::format!(
                        "saved {} is {other}, expected one of [{}]", $what, [$(stringify!($name)),*].join(", ")
                    ))),
                }
            }
        }
    };
}
pub(crate) use saved_names;
