use alloc::{format, string::String};

use num_traits::Float;

use super::grads::{Grads, with_values};
use crate::{
    error::Error,
    float::to_f64,
    passes::{all, together, total},
    threads::PART_LEN,
};

/// Checks that all gradients are finite. The error names the first NaN or infinity.
///
/// # Errors
/// [`Error::NonFinite`] with the number of the slice, the index in it, and the value.
///
/// # Cost
/// One pass. If a value is not finite, a second pass searches for it, and the error allocates its name.
///
/// # Example
/// ```
/// let grads = [vec![1.0_f32, 2.0], vec![0.0, f32::NAN]];
/// let error = gradstep::check_finite(&grads).unwrap_err();
/// assert_eq!(error.to_string(), "grads[1][1] is NaN, expected a finite number");
/// ```
pub fn check_finite<F: Float + Send + Sync + 'static>(grads: &[impl AsRef<[F]>]) -> Result<(), Error> {
    // This pass runs on vectors and threads, and so cannot tell which value is the first that is not finite.
    if all_finite(grads.iter().map(|slice| Grads::new(slice.as_ref()))) {
        return Ok(());
    }
    let mut numbered = grads.iter().enumerate();
    numbered.try_for_each(|(number, slice)| Grads::new(slice.as_ref()).first_bad(|| format!("grads[{number}]")))
}

impl<P: Float + Send + Sync + 'static> Grads<'_, P> {
    /// Checks that all gradients are finite as the update rule receives them: scaled, and rounded to `P`. The error
    /// names the first that is not.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the index and the scaled value.
    ///
    /// # Cost
    /// One pass. If a value is not finite, a second pass searches for it, and the error allocates its name.
    ///
    /// # Example
    /// ```
    /// let grads = gradstep::Grads::new(&[1.0_f32, 1e38]).scaled(10.0);
    /// assert_eq!(grads.check_finite().unwrap_err().to_string(), "grads[1] is inf, expected a finite number");
    /// ```
    pub fn check_finite(&self) -> Result<(), Error> {
        if all_finite([*self].into_iter()) { Ok(()) } else { self.first_bad(|| "grads".into()) }
    }

    fn first_bad(&self, name: impl FnOnce() -> String) -> Result<(), Error> {
        let scale = self.scale();
        let bad = with_values!(self.source(), values => {
            let mut scaled = values.iter().map(|&g| Self::rounded(scale, g)).enumerate();
            scaled.find(|(_, g)| !g.is_finite())
        });
        bad.map_or(Ok(()), |(index, g)| Err(Error::NonFinite { name: name(), index, value: to_f64(g) }))
    }
}

#[inline(always)]
fn all_finite<'a, P: Float + Send + Sync + 'static>(grads: impl Iterator<Item = Grads<'a, P>>) -> bool {
    let mut finite = true;
    together(grads, Grads::new(&[]), |grads| {
        finite &= all(
            total(grads.iter().map(Grads::len)),
            grads.iter().flat_map(|grads| grads.chunks(PART_LEN)),
            #[inline(always)]
            |part| is_finite(&part),
        );
    });
    finite
}

// There is no early exit, and unscaled gradients have a loop of their own, so that the loops vectorise.
#[inline(always)]
fn is_finite<P: Float + 'static>(grads: &Grads<P>) -> bool {
    let scale = grads.scale();
    with_values!(grads.source(), values => {
        if scale == 1.0 {
            values.iter().fold(true, |all, &g| all & Grads::<P>::rounded(1.0, g).is_finite())
        } else {
            values.iter().fold(true, |all, &g| all & Grads::<P>::rounded(scale, g).is_finite())
        }
    })
}
