use alloc::format;

use num_traits::Float;

use super::{
    finite::check_finite,
    norm::{finite_norm, global_norm},
};
use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
    passes::{pass, total},
    threads::PART_LEN,
};

/// Scales all slices by `max_norm / norm` if their [`global_norm`] is above `max_norm`. Returns the norm before
/// scaling.
///
/// Each value becomes `g · (max_norm / norm)`, computed in f64 and rounded once to `F`. The norm afterwards is
/// `max_norm` up to rounding. It may exceed `max_norm` by a relative 2^-24 in f32. In f64 it may do so by a few times
/// 2^-52, and by more with more values. bf16, f16 and subnormal numbers are rounded more coarsely. Source: Pascanu et
/// al. 2013. (`torch.nn.utils.clip_grad_norm_` adds 10⁻⁶ to the norm; this function does not.)
///
/// `grads` is a slice of slices or of vectors. For one tensor, wrap it: `&mut [&mut grads]`.
///
/// # Errors
/// [`Error::Number`] if `max_norm` is not a finite number above 0; [`Error::Overflow`] if `max_norm / norm` is below
/// the smallest normal f64; those of [`global_norm`] if a gradient or the norm is not finite. Nothing has changed then.
///
/// # Cost
/// That of [`global_norm`], and one more pass if the norm is above `max_norm`. No allocation.
///
/// # Example
/// ```
/// let (mut weights, mut bias) = ([3.0_f32], [0.0, 4.0]);
/// let norm = gradstep::clip_global_norm(&mut [&mut weights[..], &mut bias], 2.5)?;
/// assert_eq!((norm, weights, bias), (5.0, [1.5], [0.0, 2.0]));
///
/// let mut grads = vec![3.0_f32, 4.0]; // one vector
/// gradstep::clip_global_norm(&mut [&mut grads], 2.5)?;
/// assert_eq!(grads, [1.5, 2.0]);
///
/// let mut tensors = vec![vec![3.0_f64], vec![0.0, 4.0]]; // a vector of vectors
/// gradstep::clip_global_norm(&mut tensors, 2.5)?;
/// assert_eq!(tensors, [vec![1.5], vec![0.0, 2.0]]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "grad_clip")]
#[doc(alias = "clip_grad_norm")]
#[doc(alias = "clip_by_global_norm")]
pub fn clip_global_norm<F, S>(grads: &mut [S], max_norm: f64) -> Result<f64, Error>
where
    F: Float + Send + Sync + 'static,
    S: AsRef<[F]> + AsMut<[F]> + Send,
{
    check::above_zero("max_norm", max_norm)?;
    let norm = global_norm(grads)?;
    let scale = clip_scale(norm, max_norm)?;
    if scale != 1.0 {
        replace_each(
            grads,
            #[inline(always)]
            |g| from_f64(scale * to_f64(g)),
        );
    }
    Ok(norm)
}

/// Clips each value to `-limit..=limit`, where `limit` is rounded to `F`. (For another range, call `g.clamp(min, max)`
/// on each value.)
///
/// # Errors
/// [`Error::Number`] if `limit` is not a finite number above 0; [`Error::Rounded`] if `F` rounds it to 0 or infinity;
/// [`Error::NonFinite`] if a value is NaN or infinite, naming the first. Nothing has changed then.
///
/// # Cost
/// Two passes: the first checks that all values are finite, the second clips them. No allocation.
///
/// # Example
/// ```
/// let mut grads = [[0.5_f32, -3.0, 2.0]];
/// gradstep::clip_value(&mut grads, 1.0)?;
/// assert_eq!(grads, [[0.5, -1.0, 1.0]]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn clip_value<F, S>(grads: &mut [S], limit: f64) -> Result<(), Error>
where
    F: Float + Send + Sync + 'static,
    S: AsRef<[F]> + AsMut<[F]> + Send,
{
    let limit: F = from_f64(check::limit::<F>(limit)?);
    check_finite(grads)?;
    replace_each(
        grads,
        #[inline(always)]
        |g| {
            // `max` and `min` take several times as long, since they also handle NaN, which is ruled out here.
            let g = if g > limit { limit } else { g };
            if g < -limit { -limit } else { g }
        },
    );
    Ok(())
}

/// Returns the factor by which to multiply gradients so that their norm is at most `max_norm`: `max_norm / norm` if
/// `norm` is above `max_norm`, otherwise 1.
///
/// Use it for a norm that this crate does not compute, such as that of a model whose parts are on several machines, or
/// the largest absolute value (torch's `clip_grad_norm_(norm_type=inf)`). Pass the factor to
/// [`Grads::scaled`](crate::Grads::scaled).
///
/// # Errors
/// [`Error::Number`] if `max_norm` is not a finite number above 0, or `norm` is negative; [`Error::Overflow`] if `norm`
/// is NaN or infinite, or if `max_norm / norm` is below the smallest normal f64.
///
/// # Example
/// ```
/// use gradstep::{Grads, Optimizer, Sgd, clip_scale};
/// let (mut here, grads) = ([1.0_f32], [3.0]); // the other machine has a gradient of 4, so the norm is 5
/// Sgd::new(0.5)?.step_with(&mut here, Grads::new(&grads).scaled(clip_scale(5.0, 2.5)?))?;
/// assert_eq!(here, [0.25]);
///
/// use gradstep::FiniteGuard;
/// let (mut params, grads) = ([1.0_f32; 2], [2.0, -4.0]);
/// // `max` ignores NaN, so a guard has to reject it.
/// let largest = grads.iter().fold(0.0, |most: f64, &g| most.max(f32::abs(g).into()));
/// let clipped = Grads::new(&grads).scaled(clip_scale(largest, 1.0)?);
/// FiniteGuard(Sgd::new(0.5)?).step_with(&mut params, clipped)?;
/// assert_eq!(params, [0.75, 1.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn clip_scale(norm: f64, max_norm: f64) -> Result<f64, Error> {
    check::above_zero("max_norm", max_norm)?;
    let norm = finite_norm(norm).and_then(|norm| check::at_least_zero("norm", norm))?;
    let scale = if norm > max_norm { max_norm / norm } else { 1.0 };
    // A subnormal scale would have few digits left.
    if scale >= f64::MIN_POSITIVE {
        return Ok(scale);
    }
    let name = format!("global norm for max_norm = {max_norm:?}");
    Err(Error::Overflow { name, value: norm, max: max_norm / f64::MIN_POSITIVE })
}

#[inline(always)]
fn replace_each<F: Copy + Send, S: AsRef<[F]> + AsMut<[F]> + Send>(grads: &mut [S], new: impl Fn(F) -> F + Sync) {
    let len = total(grads.iter().map(|slice| slice.as_ref().len()));
    pass(
        len,
        grads.iter_mut().flat_map(|slice| slice.as_mut().chunks_mut(PART_LEN)),
        #[inline(always)]
        |part| part.iter_mut().for_each(|g| *g = new(*g)),
    );
}
