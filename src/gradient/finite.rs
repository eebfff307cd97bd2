use alloc::{format, string::String};

use num_traits::Float;

use crate::{
    error::Error,
    float::to_f64,
    passes::{all, together},
    threads::PART,
};

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
    if all_finite(grads.iter().map(AsRef::as_ref)) {
        return Ok(());
    }
    let mut numbered = grads.iter().enumerate();
    numbered.try_for_each(|(number, slice)| first_bad(|| format!("grads[{number}]"), slice.as_ref()))
}

pub(crate) fn finite<F: Float + Sync>(name: impl FnOnce() -> String, slice: &[F]) -> Result<(), Error> {
    if all_finite([slice].into_iter()) { Ok(()) } else { first_bad(name, slice) }
}

#[inline(always)]
fn all_finite<'a, F: Float + Sync + 'a>(slices: impl Iterator<Item = &'a [F]>) -> bool {
    let mut finite = true;
    together(slices, |slices| {
        finite &= all(
            slices.iter().map(|slice| slice.len()).sum(),
            slices.iter().flat_map(|slice| slice.chunks(PART)),
            // Without an early exit, so that it vectorises.
            #[inline(always)]
            |part| part.iter().fold(true, |all, g| all & g.is_finite()),
        );
    });
    finite
}

fn first_bad<F: Float>(name: impl FnOnce() -> String, slice: &[F]) -> Result<(), Error> {
    let bad = slice.iter().enumerate().find(|(_, g)| !g.is_finite());
    bad.map_or(Ok(()), |(index, &g)| Err(Error::NonFinite { name: name(), index, value: to_f64(g) }))
}
