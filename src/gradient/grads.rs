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

/// The gradients of one step: a borrowed slice, and how its values are scaled or converted when the update rule reads
/// them.
///
/// [`scaled`](Grads::scaled) multiplies each gradient by a number, such as 1/S to undo a loss scale S, or a
/// [`clip_scale`](crate::clip_scale). Gradients of bf16 or f16 parameters may also be f32 (`Grads::from_f32`), and
/// `MasterCopy` converts bf16 and f16 gradients to f32. Scaling takes no memory; converted gradients go
/// through a block of 512 on the stack.
///
/// A scaled gradient is `scale · g`, computed in f64 and rounded once to `P`. Under `MasterCopy` it is rounded to f32
/// and never to half precision.
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
    /// `None` if no scale was ever set, which [`as_slice`](Grads::as_slice) tells from a scale of 1.
    scale: Option<f64>,
}

#[derive(Debug)]
pub(crate) enum Source<'a, P> {
    Slice(&'a [P]),
    /// f32 gradients of bf16 or f16 parameters.
    #[cfg(feature = "half")]
    F32(&'a [f32]),
    /// bf16 gradients of the f32 copy of bf16 parameters.
    #[cfg(feature = "half")]
    Bf16(&'a [bf16]),
    /// f16 gradients of the f32 copy of f16 parameters.
    #[cfg(feature = "half")]
    F16(&'a [f16]),
}

// Not derived, since a derived `Clone` or `Copy` would require the same of `P`.
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

/// Evaluates `$result` with `$values` as the slice. A macro, since a closure cannot be generic over the type of the
/// values.
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
    /// Creates `Grads` that pass these gradients on unchanged.
    pub fn new(grads: &'a [P]) -> Self {
        Grads { source: Source::Slice(grads), scale: None }
    }

    /// Multiplies each gradient by `scale`. A second call multiplies by the product of both scales. A scale of -1 is for
    /// a function to maximise, and for code that computes the negative gradients.
    ///
    /// A scale that is NaN or infinite makes gradients NaN or infinite, which a [`FiniteGuard`](crate::FiniteGuard) and
    /// [`step_clipped`](crate::Optimizer::step_clipped) reject.
    #[must_use]
    pub fn scaled(self, scale: f64) -> Self {
        Grads { scale: Some(self.scale() * scale), ..self }
    }

    /// Returns the number of gradients.
    pub fn len(&self) -> usize {
        with_values!(self.source, values => values.len())
    }

    /// Returns whether there are no gradients.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the factor by which each gradient is multiplied; 1 if none was set.
    pub fn scale(&self) -> f64 {
        self.scale.unwrap_or(1.0)
    }

    /// Returns the gradients as one slice, for an update rule that runs its own loop instead of
    /// [`Step::apply`](crate::Step::apply). Such a rule must call this in its [`check`](crate::Optimizer::check) too.
    ///
    /// # Errors
    /// [`Error::NotASlice`] if the gradients are scaled or have another type in memory, since then no slice holds the
    /// values that the rule has to use. A scale of 1 is an error too, so that a step that may clip fails at its first
    /// call and not at the first large gradient.
    pub fn as_slice(&self) -> Result<&'a [P], Error> {
        match *self {
            Grads { source: Source::Slice(grads), scale: None } => Ok(grads),
            _ => Err(Error::NotASlice),
        }
    }

    /// Checks that the number of gradients is `len`, the length of the state called `name`.
    ///
    /// # Errors
    /// [`Error::Length`] if it is not.
    // Inlined, since a step of a few parameters would otherwise spend its time on calls.
    #[inline]
    pub fn check_len(&self, name: &'static str, len: usize) -> Result<(), Error> {
        check::length("grads", self.len(), name, len)
    }

    #[inline(always)]
    pub(crate) fn source(&self) -> Source<'a, P> {
        self.source
    }

    /// Returns consecutive parts of `len` gradients each; the last may be shorter.
    pub(super) fn chunks(self, len: usize) -> impl DoubleEndedIterator<Item = Self> {
        (0..self.len()).step_by(len).map(move |start| {
            let (_, rest) = self.split_at(start);
            rest.split_at(rest.len().min(len)).0
        })
    }

    /// Returns the scale, or `None` if it is 1, so that a step can leave the multiplication out.
    #[inline(always)]
    pub(crate) fn factor(&self) -> Option<f64> {
        self.scale.filter(|&scale| scale != 1.0)
    }

    /// Splits into the first `at` gradients and the rest.
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
    /// Returns `scale · value`, rounded once.
    #[inline(always)]
    pub(crate) fn rounded<T: Float + 'static>(scale: f64, value: T) -> P {
        from_f64(scale * to_f64(value))
    }
}

#[cfg(feature = "half")]
impl<'a, P: Half> Grads<'a, P> {
    /// Creates `Grads` from f32 gradients of bf16 or f16 parameters, such as the mean of an
    /// [`Accumulator`](crate::Accumulator). Feature `half`.
    ///
    /// `MasterCopy` uses them unchanged. A rule that steps the bf16 or f16 parameters directly gets them rounded to
    /// that type.
    pub fn from_f32(grads: &'a [f32]) -> Self {
        Grads { source: Source::F32(grads), scale: None }
    }

    /// Returns these gradients for the f32 copy of the parameters. They always have a scale, so that `as_slice` returns
    /// an error: a rule that runs its own loop would write only the copy, not the parameters.
    pub(crate) fn widened(self) -> Grads<'a, f32> {
        let source = match self.source {
            Source::Slice(halves) => match P::slice(halves) {
                Either::Bf16(halves) => Source::Bf16(halves),
                Either::F16(halves) => Source::F16(halves),
            },
            Source::F32(grads) => Source::Slice(grads),
            // Never here: these variants hold gradients of f32 parameters, and `P` is bf16 or f16.
            Source::Bf16(_) | Source::F16(_) => Source::Slice(&[]),
        };
        Grads { source, scale: Some(self.scale()) }
    }
}
