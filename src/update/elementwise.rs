use core::iter;

use num_traits::Float;

use crate::{
    check,
    error::Error,
    float::{from_f64, to_f64},
    simd::wide,
    threads::{ALONE, PART, share},
};

/// Below this length wide vectors gain less than it costs to choose them.
const SHORT: usize = 32;

/// Below this length aligning gains less than it costs.
const LONG: usize = 256;

/// The loop of every update rule: applies `rule` to each parameter, its `N` values of state and its gradient.
///
/// For every index i: `(params[i], [state[0][i], …]) <- rule(params[i], [state[0][i], …], grads[i])`.
/// The rule gets the old values and returns the new ones. It must be a pure function: the elements are visited in any
/// order. If it panics, the elements already visited have changed; with feature `rayon` these may be anywhere.
///
/// Use it to write your own optimizer: `examples/custom_optimizer.rs` is AdamW.
///
/// # Errors
/// [`Error::Length`] if `grads` or a slice of state has another length than `params`; nothing has changed then.
///
/// # Cost
/// One pass over memory: each slice is read once, `params` and the state are written once. No
/// allocation (except in rayon's queue).
///
/// # Example
/// ```
/// // Sign descent: a step of the same size whatever the gradient.
/// let mut params = [1.0_f32, 2.0];
/// gradstep::elementwise(&mut params, [], &[0.3, -7.0], |p, [], g| (p - 0.5 * g.signum(), []))?;
/// assert_eq!(params, [0.5, 2.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn elementwise<F, const N: usize>(
    params: &mut [F],
    state: [&mut [F]; N],
    grads: &[F],
    rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
) -> Result<(), Error>
where
    F: Copy + Send + Sync,
{
    let len = params.len();
    check::length("grads", grads.len(), "params", len)?;
    for slice in &state {
        check::length("state", slice.len(), "params", len)?;
    }
    let slices = (params, state, grads);
    if len <= ALONE {
        part(slices, rule);
    } else {
        share(len.div_ceil(PART), parts(slices), |slices| part(slices, rule));
    }
    Ok(())
}

/// [`elementwise`] with each gradient multiplied by `scale` first: `scale · g` in f64, rounded once to `F`, as
/// [`clip_global_norm`](crate::clip_global_norm) does. For [`Optimizer::step_checked`](crate::Optimizer::step_checked) of a
/// rule of your own. With a scale of 1 it is [`elementwise`] to the bit.
///
/// # Errors
/// Those of [`elementwise`].
///
/// # Cost
/// That of [`elementwise`]: the gradients are scaled on the way, and not written.
///
/// # Example
/// ```
/// let mut params = [1.0_f32, 2.0];
/// gradstep::elementwise_scaled(&mut params, [], &[4.0, -8.0], 0.25, |p, [], g| (p - 0.5 * g, []))?;
/// assert_eq!(params, [0.5, 3.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn elementwise_scaled<F, const N: usize>(
    params: &mut [F],
    state: [&mut [F]; N],
    grads: &[F],
    scale: f64,
    rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
) -> Result<(), Error>
where
    F: Float + Send + Sync,
{
    if scale == 1.0 {
        elementwise(params, state, grads, rule)
    } else {
        elementwise(params, state, grads, move |p, s, g| rule(p, s, from_f64(scale * to_f64(g))))
    }
}

/// Parameters, state, gradients.
type Slices<'a, F, const N: usize> = (&'a mut [F], [&'a mut [F]; N], &'a [F]);

fn parts<F, const N: usize>(slices: Slices<F, N>) -> impl Iterator<Item = Slices<F, N>> {
    let mut rest = Some(slices);
    iter::from_fn(move || {
        let slices = rest.take()?;
        let len = slices.0.len();
        let (first, others) = split(slices, len.min(PART));
        rest = (len > PART).then_some(others);
        Some(first)
    })
}

fn split<F, const N: usize>((params, state, grads): Slices<F, N>, at: usize) -> (Slices<F, N>, Slices<F, N>) {
    let (left_params, right_params) = params.split_at_mut(at);
    let (left_grads, right_grads) = grads.split_at(at);
    let (mut left_state, mut right_state) = ([(); N].map(|()| &mut [][..]), [(); N].map(|()| &mut [][..]));
    for (n, slice) in state.into_iter().enumerate() {
        (left_state[n], right_state[n]) = slice.split_at_mut(at);
    }
    ((left_params, left_state, left_grads), (right_params, right_state, right_grads))
}

#[inline(always)]
fn part<F: Copy, const N: usize>(slices: Slices<F, N>, rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy) {
    if cfg!(not(feature = "simd")) || slices.0.len() < SHORT {
        return each(slices, rule);
    }
    // Up to where a vector of 32 bytes begins: a vector across two cache lines costs twice, and allocators align to 16.
    let head = if slices.0.len() < LONG { 0 } else { slices.0.as_ptr().align_offset(32).min(LONG) };
    let (head, aligned) = split(slices, head);
    each(head, rule);
    wide(
        #[inline(always)]
        || each(aligned, rule),
    );
}

#[inline(always)]
fn each<F: Copy, const N: usize>((params, state, grads): Slices<F, N>, rule: impl Fn(F, [F; N], F) -> (F, [F; N])) {
    // Equal lengths, said once more where the compiler sees it: it then drops the bounds checks and vectorises.
    let len = params.len();
    let grads = &grads[..len];
    let state = state.map(|slice| &mut slice[..len]);
    for i in 0..len {
        let g = grads[i];
        let mut old = [g; N];
        for n in 0..N {
            old[n] = state[n][i];
        }
        let (param, new) = rule(params[i], old, g);
        params[i] = param;
        for n in 0..N {
            state[n][i] = new[n];
        }
    }
}
