use alloc::{
    boxed::Box,
    format,
    string::{String, ToString},
};
use core::{fmt, ops::Bound};

/// Every reason for which an input is rejected.
///
/// Each message says what was wrong, what the value was, and what was expected. `{:?}` prints the message too, so that
/// a `main` that returns an `Error` shows it. A call that returns an `Err` has changed nothing.
///
/// # Example
/// ```
/// use gradstep::{Error, Momentum};
/// let error = Momentum::<f32>::new(0.1, 1.0, 10).unwrap_err();
/// assert!(matches!(error, Error::Number { name: "momentum", value: 1.0, .. }));
/// assert_eq!(error.to_string(), "momentum is 1.0, expected a number of at least 0 and below 1");
/// ```
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A real number outside its range, such as a negative learning rate.
    #[error("{name} is {value:?}, expected {}", Range(*range))]
    Number {
        /// The argument's name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The valid range; `range.contains(&value)` is false. An excluded infinity as a bound means that the value
        /// must be finite.
        range: (Bound<f64>, Bound<f64>),
    },

    /// A sample weight that is NaN, infinite or negative.
    #[error("weights[{index}] is {value:?}, expected a finite number of at least 0")]
    Weight {
        /// The index of the first sample with such a weight.
        index: usize,
        /// The weight.
        value: f64,
    },

    /// A setting that is valid as it was given, but not once it is rounded to the type of the parameters: momentum
    /// 0.999 is 1 in bf16.
    #[error("{name} is {value:?}, which the type of the parameters rounds to {rounded:?}, expected {}", Range(*range))]
    Rounded {
        /// The setting's name.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What it is once it is rounded to the type of the parameters.
        rounded: f64,
        /// The valid range; `range.contains(&rounded)` is false.
        range: (Bound<f64>, Bound<f64>),
    },

    /// A number that must be a power of two, and is not.
    #[error("{name} is {value:?}, expected a power of two")]
    NotAPowerOfTwo {
        /// The argument's name.
        name: &'static str,
        /// What was given.
        value: f64,
    },

    /// A whole number outside its range, such as a batch size of 0.
    #[error("{name} is {value}, expected {relation} {}{bound}", Named(of))]
    Count {
        /// The argument's name.
        name: &'static str,
        /// What was given.
        value: u64,
        /// How a valid value relates to `bound`.
        relation: Relation,
        /// What the value is compared with.
        bound: u64,
        /// The name of `bound`, such as `len`; empty if it has none.
        of: &'static str,
    },

    /// Fewer samples than a [`Permutation`](crate::Permutation) needs.
    #[error("len is {len}, expected at least {min}: use a Shuffle for fewer samples")]
    TooFewSamples {
        /// How many samples were given.
        len: u64,
        /// [`Permutation::MIN_LEN`](crate::Permutation::MIN_LEN).
        min: u64,
    },

    /// More samples than the table of a [`Shuffle`](crate::Shuffle) can have.
    #[error("len is {len}, expected at most {max}: use a Permutation for more samples")]
    TooManySamples {
        /// How many samples were given.
        len: u64,
        /// [`Shuffle::MAX_LEN`](crate::Shuffle::MAX_LEN).
        max: u64,
    },

    /// A class with so few samples that a part of a stratified [`Split`](crate::Split) might get none of them.
    #[error(
        "class {class} has {samples} samples, expected at least {min} so that part {part} gets one: \
         give rare labels one common label first"
    )]
    SmallClass {
        /// The label of the class.
        class: String,
        /// How many samples have this label.
        samples: usize,
        /// The part with the smallest share; if several have it, the first.
        part: usize,
        /// How many samples are enough: 1 / the part's share, rounded up.
        min: u64,
    },

    /// A part of a [`Split`](crate::Split) without a sample.
    #[error("part {part} has none of {samples} samples, expected at least one: its share is {share:?}")]
    EmptyPart {
        /// The first part without a sample.
        part: usize,
        /// How many samples all parts have together.
        samples: usize,
        /// The share of this part.
        share: f64,
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
        /// What has that length.
        of: &'static str,
    },

    /// State that does not fit in memory.
    #[error("{name} of length {len} does not fit in memory")]
    Memory {
        /// What was to be allocated.
        name: &'static str,
        /// The length that it was to have.
        len: usize,
    },

    /// Something saved that is damaged, or that does not fit what it is loaded into.
    #[error("saved {name} is {saved}, expected {expected}")]
    Saved {
        /// What differs.
        name: &'static str,
        /// What was saved.
        saved: String,
        /// What was expected.
        expected: String,
    },

    /// A gradient, a sum of gradients, or a parameter to average that is NaN or infinite.
    #[error("{name}[{index}] is {value:?}, expected a finite number")]
    NonFinite {
        /// The slice that holds it.
        name: String,
        /// The index of the first such value in it.
        index: usize,
        /// NaN or an infinity.
        value: f64,
    },

    /// A mean or norm of finite gradients, or a parameter to average, that is too large for its type or for the call.
    #[error("{name} is {value:?}, expected at most {max:?} in absolute value")]
    Overflow {
        /// What was computed, with the index of the first value that is too large, such as `mean[3]`.
        name: String,
        /// The result, which may be infinite, or NaN if [`clip_scale`](crate::clip_scale) was given NaN.
        value: f64,
        /// The largest valid absolute value.
        max: f64,
    },

    /// An optimizer that needs its gradients as one slice of the parameters' type was given gradients that are scaled
    /// or widened on the way ([`Grads::as_slice`](crate::Grads::as_slice)).
    #[error("this optimizer takes gradients as a plain slice, expected no scale, clipping or widening on the way")]
    NotASlice,

    /// An average that was swapped with the parameters and not swapped back
    /// ([`WeightAverage::swap`](crate::WeightAverage::swap)).
    #[error("the average is in the parameters' place, expected it to be swapped back first")]
    Swapped,

    /// A tensor that is not part of the model.
    #[error("tensor `{name}` is unknown")]
    UnknownTensor {
        /// The name that was given.
        name: String,
    },

    /// A tensor of the model that was not given and is not frozen.
    #[error("tensor `{name}` is missing")]
    MissingTensor {
        /// The tensor.
        name: String,
    },

    /// A tensor that was inserted twice, or given twice in one step.
    #[error("tensor `{name}` appears twice")]
    DuplicateTensor {
        /// The tensor.
        name: String,
    },

    /// An error in one of several tensors.
    #[error("tensor `{name}`: {error}")]
    InTensor {
        /// The tensor.
        name: String,
        /// The error. `source()` is `None`, since the message already contains this error.
        error: Box<Error>,
    },
}

impl Error {
    /// Returns whether the gradients caused the error: one is NaN or infinite, or they are so large that their norm,
    /// sum or mean is infinite or too large for its type. This includes errors inside [`InTensor`](Error::InTensor).
    ///
    /// # Example
    /// ```
    /// use gradstep::{FiniteGuard, Optimizer, Sgd};
    /// let mut sgd = FiniteGuard(Sgd::new(0.1)?);
    /// let mut skipped = 0;
    /// for grads in [[0.5_f32], [f32::NAN]] {
    ///     match sgd.step(&mut [1.0], &grads) {
    ///         Err(error) if error.is_bad_gradient() => skipped += 1,
    ///         result => result?,
    ///     }
    /// }
    /// assert_eq!((sgd.steps(), skipped), (1, 1));
    /// # Ok::<(), gradstep::Error>(())
    /// ```
    pub fn is_bad_gradient(&self) -> bool {
        match self {
            // `WeightAverage` returns these errors for parameters, which it names `params`.
            Error::NonFinite { name, .. } | Error::Overflow { name, .. } => !name.starts_with("params"),
            Error::InTensor { error, .. } => error.is_bad_gradient(),
            _ => false,
        }
    }
}

// The message, since a `main` that returns an `Err` prints it by `Debug`.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How a valid whole number relates to the bound in [`Error::Count`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Relation {
    /// Equal to the bound or larger.
    AtLeast,
    /// Equal to the bound or smaller.
    AtMost,
    /// Larger than the bound.
    Above,
    /// Smaller than the bound.
    Below,
    /// Divisible by the bound.
    MultipleOf,
}

impl Relation {
    pub(crate) fn holds(self, value: u64, bound: u64) -> bool {
        match self {
            Relation::AtLeast => value >= bound,
            Relation::AtMost => value <= bound,
            Relation::Above => value > bound,
            Relation::Below => value < bound,
            Relation::MultipleOf => value % bound == 0,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Relation::AtLeast => "at least",
            Relation::AtMost => "at most",
            Relation::Above => "above",
            Relation::Below => "below",
            Relation::MultipleOf => "a multiple of",
        })
    }
}

/// Prints the name of a bound as in `len = `, and nothing if the name is empty.
struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{} = ", self.0) }
    }
}

/// Prints a range in words.
struct Range((Bound<f64>, Bound<f64>));

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (from, to) = self.0;
        // `Debug` has exponents, unlike `Display`, but writes 0 as 0.0.
        let short = |x: f64| format!("{x:?}").trim_end_matches(".0").to_string();
        f.write_str(if to == Bound::Excluded(f64::INFINITY) { "a finite number" } else { "a number" })?;
        match from {
            Bound::Included(from) => write!(f, " of at least {}", short(from))?,
            Bound::Excluded(from) if from.is_finite() => write!(f, " above {}", short(from))?,
            _ => {}
        }
        match to {
            Bound::Included(to) => write!(f, " and at most {}", short(to)),
            Bound::Excluded(to) if to.is_finite() => write!(f, " and below {}", short(to)),
            _ => Ok(()),
        }
    }
}
