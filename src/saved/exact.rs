//! Saves numbers of your own to the bit, as this crate saves its own: `#[serde(with = "gradstep::exact")]`. Feature
//! `serde`.
//!
//! It works for f32, f64 and u64, with feature `half` for bf16 and f16, and for `Vec<T>`, `Box<[T]>` and `[T; N]` of
//! any of these, nested to any depth. In text formats each number is a string; in binary formats up to 4,096 numbers of
//! a list are one byte string. The page [`saving`](crate::saving) defines both. Infinities and NaN are saved too; only
//! the sign and payload of a NaN are lost in text formats.
//!
//! Loading returns an error for a number that is not written exactly as saving would write it, and for an array of
//! another length. In binary formats, saving copies up to 4,096 numbers at a time. Loading grows a list as it is read,
//! and does not trust the length that the file claims.
//!
//! # Example
//! ```
//! #[derive(serde::Serialize, serde::Deserialize)]
//! struct State {
//!     #[serde(with = "gradstep::exact")]
//!     layers: Vec<Vec<f64>>,
//!     #[serde(with = "gradstep::exact")]
//!     best_loss: f64,
//! }
//!
//! let state = State { layers: vec![vec![0.1, -2.5], vec![1e23]], best_loss: f64::INFINITY };
//! let text = serde_json::to_string(&state)?;
//! assert_eq!(text, r#"{"layers":[["1e-1","-2.5e0"],["1e23"]],"best_loss":"inf"}"#);
//! let loaded: State = serde_json::from_str(&text)?;
//! assert_eq!((loaded.layers, loaded.best_loss), (state.layers, state.best_loss));
//! # Ok::<(), serde_json::Error>(())
//! ```

use serde::{Deserializer, Serializer};

use super::written::Sealed;

/// The types that can be saved to the bit; the [module's page](self) lists them. Sealed.
pub trait Exact: Sealed {}

impl<T: Sealed> Exact for T {}

/// Writes `value` so that it is read back to the same bits.
///
/// # Errors
/// Those of the format.
pub fn serialize<T: Exact, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    value.save(serializer)
}

/// Reads what [`serialize`] wrote.
///
/// # Errors
/// Those of the format; an error with both spellings if a number is not spelled as [`serialize`] spells it.
pub fn deserialize<'de, T: Exact, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::load(deserializer)
}
