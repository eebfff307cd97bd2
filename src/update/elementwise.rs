use core::{iter, mem::take};

use num_traits::Float;

use super::grads::{Grads, Read, Source};
use crate::{
    check,
    error::Error,
    float::to_f64,
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
    run(params, state, grads, rule)
}

/// [`elementwise`] with gradients that are scaled, or widened, on the way: for
/// [`Optimizer::step_checked`](crate::Optimizer::step_checked) of a rule of your own.
///
/// # Errors
/// Those of [`elementwise`].
///
/// # Cost
/// That of [`elementwise`]: the scaled or widened gradients are not written to memory.
///
/// # Example
/// ```
/// use gradstep::{Grads, elementwise_scaled};
/// let mut params = [1.0_f32, 2.0];
/// elementwise_scaled(&mut params, [], Grads::scaled(&[4.0, -8.0], 0.25), |p, [], g| (p - 0.5 * g, []))?;
/// assert_eq!(params, [0.5, 3.0]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[inline]
pub fn elementwise_scaled<F, const N: usize>(
    params: &mut [F],
    state: [&mut [F]; N],
    Grads { source, scale }: Grads<F>,
    rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
) -> Result<(), Error>
where
    F: Float + Send + Sync,
{
    match source {
        Source::Slice(grads) => scaled(params, state, grads, scale, rule),
        // `MasterCopy` alone has halves, and f32s: the loops of all other types need not be compiled.
        #[cfg(feature = "half")]
        _ if const { size_of::<F>() != size_of::<f32>() } => Err(Error::CannotScale),
        #[cfg(feature = "half")]
        Source::Bf16(halves) => scaled(params, state, halves, scale, rule),
        #[cfg(feature = "half")]
        Source::F16(halves) => scaled(params, state, halves, scale, rule),
    }
}

#[inline(always)]
fn scaled<F: Float + Send + Sync, G: Read<F>, const N: usize>(
    params: &mut [F],
    state: [&mut [F]; N],
    grads: G,
    scale: f64,
    rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
) -> Result<(), Error> {
    if scale == 1.0 {
        run(params, state, grads, rule)
    } else {
        run(params, state, grads, move |p, s, g| rule(p, s, G::round(scale * to_f64(g))))
    }
}

/// Parameters, state, gradients.
type Slices<'a, F, G, const N: usize> = (&'a mut [F], [&'a mut [F]; N], G);

// Inlined, as what it calls: a step of 64 parameters would feel each call.
#[inline(always)]
fn run<F: Copy + Send + Sync, G: Read<F>, const N: usize>(
    params: &mut [F],
    state: [&mut [F]; N],
    grads: G,
    rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
) -> Result<(), Error> {
    let len = params.len();
    check::length("grads", grads.len(), "params", len)?;
    for slice in &state {
        check::length("state", slice.len(), "params", len)?;
    }
    if len <= ALONE {
        part((params, state, grads), &rule);
    } else {
        shared(params, state, grads, &rule);
    }
    Ok(())
}

// Not inlined, so that the way of a short step stays short.
#[inline(never)]
fn shared<F: Copy + Send + Sync, G: Read<F>, const N: usize>(
    params: &mut [F],
    state: [&mut [F]; N],
    grads: G,
    rule: &(impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync),
) {
    // Compiled once, and not for each way in which parts are handed out.
    #[inline(never)]
    fn work<F: Copy, G: Read<F>, const N: usize>(
        slices: Slices<F, G, N>,
        rule: &(impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy),
    ) {
        part(slices, rule);
    }
    share(params.len().div_ceil(PART), parts((params, state, grads)), |slices| work(slices, rule));
}

fn parts<F, G: Read<F>, const N: usize>(slices: Slices<F, G, N>) -> impl Iterator<Item = Slices<F, G, N>> {
    let mut rest = Some(slices);
    iter::from_fn(move || {
        let slices = rest.take()?;
        let len = slices.0.len();
        let (first, others) = split(slices, len.min(PART));
        rest = (len > PART).then_some(others);
        Some(first)
    })
}

#[inline(always)]
fn split<F, G: Read<F>, const N: usize>(
    (params, state, grads): Slices<F, G, N>,
    at: usize,
) -> (Slices<F, G, N>, Slices<F, G, N>) {
    let (left_params, right_params) = params.split_at_mut(at);
    let (left_grads, right_grads) = grads.split(at);
    let (mut left_state, mut right_state) = (state, [const { empty() }; N]);
    for (left, right) in left_state.iter_mut().zip(&mut right_state) {
        (*left, *right) = take(left).split_at_mut(at);
    }
    ((left_params, left_state, left_grads), (right_params, right_state, right_grads))
}

const fn empty<'a, F>() -> &'a mut [F] {
    &mut []
}

#[inline(always)]
fn part<F: Copy, G: Read<F>, const N: usize>(
    slices: Slices<F, G, N>,
    rule: &(impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy),
) {
    let len = slices.0.len();
    let head = if cfg!(not(feature = "simd")) || len < SHORT {
        len
    } else if len < LONG {
        0
    } else {
        // Up to where a vector of 32 bytes begins: a vector across two cache lines costs twice, and allocators align to 16.
        slices.0.as_ptr().align_offset(32).min(LONG)
    };
    let ((params, state, grads), rest) = split(slices, head);
    each(params, state, grads, rule);
    if head < len {
        let (params, state, grads) = rest;
        wide(
            #[inline(always)]
            || each(params, state, grads, rule),
        );
    }
}

// Each slice an argument: then the compiler knows that they do not overlap, and does not compare their ends in each call.
#[inline(always)]
fn each<F: Copy, G: Read<F>, const N: usize>(
    params: &mut [F],
    mut state: [&mut [F]; N],
    grads: G,
    rule: &(impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy),
) {
    let rule = *rule;
    // Equal lengths, said once more where the compiler sees it: it then drops the bounds checks and vectorises.
    let len = params.len();
    let (mut grads, _) = grads.split(len);
    for slice in &mut state {
        *slice = &mut take(slice)[..len];
    }
    for i in 0..len {
        let g = grads.read(i);
        let mut old = [g; N];
        for n in 0..N {
            old[n] = state[n][i];
        }
        let (param, new) = rule(params[i], old, g);
        params[i] = param;
        grads.param(i, param);
        for n in 0..N {
            state[n][i] = new[n];
        }
    }
}
