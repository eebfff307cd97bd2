use num_traits::Float;

#[cfg(feature = "half")]
use half::{bf16, f16};

#[cfg(feature = "half")]
use crate::float::half::{Either, Half};
use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
};

/// The gradients of one step: a borrowed slice, and how it is read on the way to the update rule.
///
/// [`scaled`](Grads::scaled) multiplies each gradient, by 1/S for a loss scale S or by the factor of a norm that you
/// clip by. In half precision the gradients may also be f32 (`Grads::from_f32`), and `MasterCopy` widens bf16 and f16
/// to f32. None of it is written to memory.
///
/// A scaled gradient is `scale · g`, computed in f64 and rounded once to `P`. Under `MasterCopy` it is rounded to f32, so
/// nothing is rounded to half precision on the way.
///
/// # Example
/// ```
/// use gradstep::{Grads, Optimizer, Sgd};
/// let mut params = [1.0_f32, 2.0];
/// let loss_scale = 1024.0;
/// Sgd::new(0.5)?.step_with(&mut params, Grads::new(&[1024.0, -2048.0]).scaled(1.0 / loss_scale))?;
/// assert_eq!(params, [0.5, 3.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[derive(Debug)]
pub struct Grads<'a, P> {
    source: Source<'a, P>,
    scale: Option<f64>,
}

#[derive(Debug)]
pub(crate) enum Source<'a, P> {
    Slice(&'a [P]),
    /// For parameters of half precision.
    #[cfg(feature = "half")]
    F32(&'a [f32]),
    /// For the f32 copy of bf16 parameters.
    #[cfg(feature = "half")]
    Bf16(&'a [bf16]),
    #[cfg(feature = "half")]
    F16(&'a [f16]),
}

// Not derived: that would ask the same of `P`.
impl<P> Clone for Grads<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Grads<'_, P> {}

impl<P> Clone for Source<'_, P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Source<'_, P> {}

/// The same expression for each type of values.
macro_rules! with_values {
    ($source:expr, $values:ident => $result:expr) => {
        match $source {
            $crate::gradient::grads::Source::Slice($values) => $result,
            #[cfg(feature = "half")]
            $crate::gradient::grads::Source::F32($values) => $result,
            #[cfg(feature = "half")]
            $crate::gradient::grads::Source::Bf16($values) => $result,
            #[cfg(feature = "half")]
            $crate::gradient::grads::Source::F16($values) => $result,
        }
    };
}
pub(crate) use with_values;

impl<'a, P> Grads<'a, P> {
    /// These gradients as they are.
    pub fn new(grads: &'a [P]) -> Self {
        Grads { source: Source::Slice(grads), scale: None }
    }

    /// Each gradient multiplied by `scale`, and by the scales before. A scale that is NaN or infinite makes gradients that
    /// are, which a [`FiniteGuard`](crate::FiniteGuard) and [`step_clipped`](crate::Optimizer::step_clipped) reject.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        Grads { scale: Some(self.scale() * scale), ..self }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        with_values!(self.source, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// By what each gradient is multiplied; 1 if by nothing.
    pub fn scale(&self) -> f64 {
        self.scale.unwrap_or(1.0)
    }

    /// The gradients as one slice, for a rule that owns its loop. Such a rule calls this in its
    /// [`check`](crate::Optimizer::check).
    ///
    /// # Errors
    /// [`Error::NotASlice`] if they are scaled, also by 1, or of another type in memory: then no slice holds them. (So a
    /// step that may clip fails at the first call, not at the first large gradient.)
    pub fn as_slice(&self) -> Result<&'a [P], Error> {
        match *self {
            Grads { source: Source::Slice(grads), scale: None } => Ok(grads),
            _ => Err(Error::NotASlice),
        }
    }

    /// Returns an error unless there are as many as `len`, the length of the state `name`.
    ///
    /// # Errors
    /// [`Error::Length`].
    // Inlined: a step of a few parameters would otherwise spend its time in calls.
    #[inline]
    pub fn check_len(&self, name: &'static str, len: usize) -> Result<(), Error> {
        check::length("grads", self.len(), name, len)
    }

    #[inline(always)]
    pub(crate) fn source(&self) -> Source<'a, P> {
        self.source
    }

    pub(super) fn chunks(self, len: usize) -> impl DoubleEndedIterator<Item = Self> {
        (0..self.len()).step_by(len).map(move |start| {
            let (_, rest) = self.split_at(start);
            rest.split_at(rest.len().min(len)).0
        })
    }

    /// By what they are multiplied, if that changes them.
    #[inline(always)]
    pub(crate) fn factor(&self) -> Option<f64> {
        self.scale.filter(|&scale| scale != 1.0)
    }

    /// The slice, of `P` or empty.
    #[inline(always)]
    pub(crate) fn slice(&self) -> &'a [P] {
        match self.source {
            Source::Slice(grads) => grads,
            #[cfg(feature = "half")]
            _ => &[],
        }
    }

    /// The first `at`, and the others.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        fn split<T>(values: &[T], at: usize) -> (&[T], &[T]) {
            values.split_at(at)
        }
        macro_rules! halves {
            ($($kind:ident)+) => {
                match self.source {
                    $(Source::$kind(values) => {
                        let (left, right) = split(values, at);
                        (Source::$kind(left), Source::$kind(right))
                    })+
                }
            };
        }
        #[cfg(feature = "half")]
        let (left, right) = halves!(Slice F32 Bf16 F16);
        #[cfg(not(feature = "half"))]
        let (left, right) = halves!(Slice);
        (Grads { source: left, ..self }, Grads { source: right, ..self })
    }
}

impl<P: Float + 'static> Grads<'_, P> {
    /// `scale · g`, rounded once.
    #[inline(always)]
    pub(crate) fn rounded<T: Float + 'static>(scale: f64, value: T) -> P {
        from_f64(scale * to_f64(value))
    }
}

#[cfg(feature = "half")]
impl<'a, P: Half> Grads<'a, P> {
    /// f32 gradients of bf16 or f16 parameters, as an [`Accumulator`](crate::Accumulator) gives them. Feature `half`.
    ///
    /// `MasterCopy` steps with them as they are; a rule over the half type itself gets them rounded to it.
    pub fn from_f32(grads: &'a [f32]) -> Self {
        Grads { source: Source::F32(grads), scale: None }
    }

    /// For an f32 copy of the parameters. Never one slice: the parameters have to be written as well.
    pub(crate) fn widened(self) -> Grads<'a, f32> {
        let source = match self.source {
            Source::Slice(halves) => match P::slice(halves) {
                Either::Bf16(halves) => Source::Bf16(halves),
                Either::F16(halves) => Source::F16(halves),
            },
            Source::F32(grads) => Source::Slice(grads),
            // Only gradients of f32 parameters are halves, and `P` is a half type.
            Source::Bf16(_) | Source::F16(_) => Source::Slice(&[]),
        };
        Grads { source, scale: Some(self.scale()) }
    }
}
