use num_traits::Float;

use super::{finite::check_finite, norm::global_norm};
use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
};

/// Scales all slices by `max_norm / norm` if their [`global_norm`] is above `max_norm`; gives the norm as it was.
///
/// Each value becomes `g · (max_norm / norm)`, computed in f64 and rounded once: among subnormals, where rounding is
/// coarse, the norm may end up above `max_norm` or at 0 (Pascanu et al. 2013;
/// `torch.nn.utils.clip_grad_norm_` adds 10⁻⁶ to the norm, this does not).
///
/// # Errors
/// [`Error::Number`] if `max_norm` is not a finite number above 0, or so far below the norm that their ratio is below the
/// smallest normal f64; and those of [`global_norm`]: a norm that is not finite is never used as a scale. Nothing has
/// changed then.
///
/// # Cost
/// [`global_norm`], and one pass more where it clips.
///
/// # Example
/// ```
/// let (mut weights, mut bias) = ([3.0_f32], [0.0, 4.0]);
/// let norm = gradstep::clip_global_norm(&mut [&mut weights[..], &mut bias], 2.5)?;
/// assert_eq!((norm, weights, bias), (5.0, [1.5], [0.0, 2.0]));
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn clip_global_norm<F, S>(grads: &mut [S], max_norm: f64) -> Result<f64, Error>
where
    F: Float + Send + Sync,
    S: AsRef<[F]> + AsMut<[F]>,
{
    check::above_zero("max_norm", max_norm)?;
    let norm = global_norm(grads)?;
    if norm > max_norm {
        let scale = max_norm / norm;
        if !scale.is_normal() {
            return Err(Error::Number { name: "max_norm / norm", value: scale, expected: "a normal f64" });
        }
        for g in grads.iter_mut().flat_map(|slice| slice.as_mut()) {
            *g = from_f64(scale * to_f64(*g));
        }
    }
    Ok(norm)
}

/// Brings each value into `-limit..=limit`.
///
/// # Errors
/// [`Error::Number`] if `limit` is not a finite number above 0; [`Error::NonFinite`] naming the first NaN or infinity.
/// Nothing has changed then.
///
/// # Cost
/// Two passes: one to look, one to clip.
///
/// # Example
/// ```
/// let mut grads = [[0.5_f32, -3.0, 2.0]];
/// gradstep::clip_value(&mut grads, 1.0)?;
/// assert_eq!(grads, [[0.5, -1.0, 1.0]]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn clip_value<F, S>(grads: &mut [S], limit: F) -> Result<(), Error>
where
    F: Float,
    S: AsRef<[F]> + AsMut<[F]>,
{
    check::above_zero("limit", limit)?;
    check_finite(grads)?;
    for g in grads.iter_mut().flat_map(|slice| slice.as_mut()) {
        *g = g.max(-limit).min(limit);
    }
    Ok(())
}
