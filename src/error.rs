use alloc::{boxed::Box, string::String};

/// Every way in which an input is refused.
///
/// Each message says what was wrong, the value, and what was expected. An `Err` means that nothing has changed.
///
/// # Example
/// ```
/// use gradstep::{Error, Momentum};
/// let error = Momentum::new(0.1, 1.0, 10).unwrap_err();
/// assert!(matches!(error, Error::Number { name: "momentum", value: 1.0, .. }));
/// assert_eq!(error.to_string(), "momentum is 1.0, expected a number from 0 up to, but not including, 1");
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A real number outside its range, such as a negative learning rate.
    #[error("{name} is {value:?}, expected {expected}")]
    Number {
        /// The argument's name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The range.
        expected: &'static str,
    },

    /// A whole number outside its range, such as a batch size of 0.
    #[error("{name} is {value}, expected {expected} {bound}")]
    Count {
        /// The argument's name.
        name: &'static str,
        /// What was given.
        value: u64,
        /// How it should relate to `bound`, such as `at least`.
        expected: &'static str,
        /// What `expected` refers to.
        bound: u64,
    },

    /// Two slices that must have the same length and do not.
    #[error("{name} has length {len}, expected {expected}, the length of {of}")]
    Length {
        /// The slice that does not fit.
        name: &'static str,
        /// Its length.
        len: usize,
        /// The length that it should have.
        expected: usize,
        /// Where that length comes from.
        of: &'static str,
    },

    /// State that does not fit in memory.
    #[error("{name} of length {len} does not fit in memory")]
    Memory {
        /// What was to be made.
        name: &'static str,
        /// How long it was to be.
        len: usize,
    },

    /// Something saved that does not belong to what it is loaded into.
    #[error("saved {name} is {saved}, expected {expected}")]
    Saved {
        /// What differs.
        name: &'static str,
        /// What was saved.
        saved: String,
        /// What was expected.
        expected: String,
    },

    /// A gradient that is NaN or infinite.
    #[error("{name}[{index}] is {value:?}, expected a finite number")]
    NonFinite {
        /// The slice in which it stands.
        name: String,
        /// The first place there.
        index: usize,
        /// NaN or an infinity.
        value: f64,
    },

    /// A tensor that is missing, unknown, or there twice.
    #[error("tensor `{name}` {problem}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is the matter with it.
        problem: &'static str,
    },

    /// An error in one of several tensors.
    #[error("tensor `{name}`: {error}")]
    InTensor {
        /// The tensor.
        name: String,
        /// The error. It is part of the message, and so not given again as a `source`.
        error: Box<Error>,
    },
}
