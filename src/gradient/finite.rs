use alloc::{format, string::String};

use num_traits::Float;

use crate::{error::Error, float::to_f64, passes::all, threads::PART};

/// Returns an error that names the first NaN or infinity, if there is one. One pass, no allocation.
///
/// # Errors
/// [`Error::NonFinite`] with the slice's number, the index in it and the value.
///
/// # Example
/// ```
/// let grads = [vec![1.0_f32, 2.0], vec![0.0, f32::NAN]];
/// let error = gradstep::check_finite(&grads).unwrap_err();
/// assert_eq!(error.to_string(), "grads[1][1] is NaN, expected a finite number");
/// ```
pub fn check_finite<F: Float + Sync>(grads: &[impl AsRef<[F]>]) -> Result<(), Error> {
    for (number, slice) in grads.iter().enumerate() {
        finite(|| format!("grads[{number}]"), slice.as_ref())?;
    }
    Ok(())
}

pub(crate) fn finite<F: Float + Sync>(name: impl FnOnce() -> String, slice: &[F]) -> Result<(), Error> {
    let finite = all(
        slice.len(),
        slice.chunks(PART),
        // Without an early exit, so that it vectorises.
        #[inline(always)]
        |part| part.iter().fold(true, |all, g| all & g.is_finite()),
    );
    if finite {
        return Ok(());
    }
    let bad = slice.iter().enumerate().find(|(_, g)| !g.is_finite());
    bad.map_or(Ok(()), |(index, &g)| Err(Error::NonFinite { name: name(), index, value: to_f64(g) }))
}
