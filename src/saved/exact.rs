//! Numbers of your own, saved to the bit as those of this crate are: `#[serde(with = "gradstep::exact")]`. Feature `serde`.
//!
//! For f32, f64, u64, and with feature `half` bf16 and f16; for `Vec<T>`, `Box<[T]>` and `[T; N]` of them, and of one
//! another. In text formats each number is a string, in binary formats up to 4,096 numbers of a list are one string of
//! bytes. The front page, under "Saving", defines both. An infinity and a NaN are numbers like others; only the sign and
//! payload of a NaN are lost in text.
//!
//! Loading returns an error for a number that is not written exactly as saving would write it, and for an array of another
//! length. Saving copies a run of 4,096 numbers at a time; loading a list grows it as it is read, whatever length the file
//! claims.
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

/// What can be saved to the bit; the [page](self) lists it. Sealed.
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
/// Those of the format; an error that gives both spellings, if a number is spelled in another way.
pub fn deserialize<'de, T: Exact, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    T::load(deserializer)
}
