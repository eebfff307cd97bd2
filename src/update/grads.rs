use num_traits::Float;

#[cfg(feature = "half")]
use super::half::Halves;
use crate::float::from_f64;
#[cfg(feature = "half")]
use half::{bf16, f16};

/// The gradients of a step as [`elementwise_scaled`](crate::elementwise_scaled) reads them: each multiplied by a scale on the
/// way, and in a step of `MasterCopy` widened from bf16 or f16, without a copy of them in memory.
///
/// A scaled gradient is `scale · g`, computed in f64 and rounded once to the gradients' type, as
/// [`clip_global_norm`](crate::clip_global_norm) does.
#[derive(Debug)]
pub struct Grads<'a, F> {
    pub(super) source: Source<'a, F>,
    pub(super) scale: f64,
}

#[derive(Debug)]
pub(super) enum Source<'a, F> {
    Slice(&'a [F]),
    #[cfg(feature = "half")]
    Bf16(Halves<'a, bf16>),
    #[cfg(feature = "half")]
    F16(Halves<'a, f16>),
}

impl<'a, F> Grads<'a, F> {
    /// Each gradient multiplied by `scale`.
    pub fn scaled(grads: &'a [F], scale: f64) -> Self {
        Grads { source: Source::Slice(grads), scale }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Slice(grads) => grads.len(),
            #[cfg(feature = "half")]
            Source::Bf16(halves) => halves.grads.len(),
            #[cfg(feature = "half")]
            Source::F16(halves) => halves.grads.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The gradients, if they lie in memory as they are: not scaled, not halves.
    pub fn unscaled(&self) -> Option<&'a [F]> {
        self.slice().filter(|_| self.scale == 1.0)
    }

    pub(super) fn slice(&self) -> Option<&'a [F]> {
        match self.source {
            Source::Slice(grads) => Some(grads),
            #[cfg(feature = "half")]
            _ => None,
        }
    }
}

impl<'a, F> From<&'a [F]> for Grads<'a, F> {
    fn from(grads: &'a [F]) -> Self {
        Grads::scaled(grads, 1.0)
    }
}

/// What the loop reads gradients from, and where the new parameters go beside the parameters' own slice.
pub(super) trait Read<F>: Sized + Send {
    fn len(&self) -> usize;
    fn split(self, at: usize) -> (Self, Self);
    fn read(&self, i: usize) -> F;
    fn param(&mut self, i: usize, param: F);

    /// Rounded once, to the type that the gradients have in memory.
    fn round(value: f64) -> F
    where
        F: Float;
}

impl<F: Copy + Sync> Read<F> for &[F] {
    #[inline(always)]
    fn len(&self) -> usize {
        <[F]>::len(self)
    }

    #[inline(always)]
    fn split(self, at: usize) -> (Self, Self) {
        self.split_at(at)
    }

    #[inline(always)]
    fn read(&self, i: usize) -> F {
        self[i]
    }

    #[inline(always)]
    fn param(&mut self, _: usize, _: F) {}

    #[inline(always)]
    fn round(value: f64) -> F
    where
        F: Float,
    {
        from_f64(value)
    }
}
