use core::mem::take;

use crate::{
    check,
    error::Error,
    simd::wide,
    threads::{ONE_THREAD_LEN, PART_LEN, share},
};

/// Shorter slices gain less from wide vectors than it costs to find out which vectors the CPU has.
const SHORT: usize = 32;

/// Shorter slices gain less from aligned access than it costs to align them.
const LONG: usize = 256;

/// The loop of every update rule: replaces each parameter and its `N` values of state by what `rule` returns for them
/// and the gradient.
///
/// For every index i: `(params[i], [state[0][i], …]) <- rule(params[i], [state[0][i], …], grads[i])`. The rule gets the
/// old values and returns the new ones. It must be a pure function, since the order in which elements are visited is
/// not specified. If it panics, the elements visited before have changed; with feature `rayon` these may be anywhere in
/// the slices.
///
/// An optimizer of your own calls [`Step::apply`](crate::Step::apply), which runs this loop. Call `elementwise` if you
/// have no optimizer.
///
/// # Errors
/// [`Error::Length`] if `grads` or a slice of state has another length than `params`. Nothing has changed then.
///
/// # Cost
/// One pass over memory: each slice is read once, `params` and the state are written once. No allocation.
///
/// # Example
/// ```
/// // Sign descent: every step has the same size, whatever the gradient.
/// let mut params = [1.0_f32, 2.0];
/// gradstep::elementwise(&mut params, [], &[0.3, -7.0], |p, [], g| (p - 0.5 * g.signum(), []))?;
/// assert_eq!(params, [0.5, 2.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn elementwise<P, const N: usize>(
    params: &mut [P],
    state: [&mut [P]; N],
    grads: &[P],
    rule: impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
) -> Result<(), Error>
where
    P: Copy + Send + Sync,
{
    check::length("grads", grads.len(), "params", params.len())?;
    run(params, state, grads, rule)
}

/// The gradients of a step: a slice, or the `Converted` of `halves.rs`, which also holds the half-precision parameters
/// to write.
pub(super) trait Input<P>: Sized + Send {
    fn split_at(self, at: usize) -> (Self, Self);
    /// Applies `rule` to as many parameters as there are gradients, on this thread.
    fn run<const N: usize>(
        self,
        params: &mut [P],
        state: [&mut [P]; N],
        rule: &(impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy),
    );
}

impl<P: Copy + Sync> Input<P> for &[P] {
    #[inline(always)]
    fn split_at(self, at: usize) -> (Self, Self) {
        <[P]>::split_at(self, at)
    }

    #[inline(always)]
    fn run<const N: usize>(
        self,
        params: &mut [P],
        state: [&mut [P]; N],
        rule: &(impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy),
    ) {
        run_alone((params, state, self), rule);
    }
}

/// The loop for `grads` of the same length as `params`, which the caller has checked.
// This function and those that it calls must be inlined: each call would make a step of 64 parameters measurably
// slower.
#[inline(always)]
pub(super) fn run<P: Copy + Send + Sync, G: Input<P>, const N: usize>(
    params: &mut [P],
    state: [&mut [P]; N],
    grads: G,
    rule: impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
) -> Result<(), Error> {
    let len = params.len();
    for slice in &state {
        check::length("state", slice.len(), "params", len)?;
    }
    if len <= ONE_THREAD_LEN {
        grads.run(params, state, &rule);
    } else {
        run_on_threads(params, state, grads, &rule);
    }
    Ok(())
}

// Not inlined, so that a short step does not carry this code.
#[inline(never)]
fn run_on_threads<P: Copy + Send + Sync, G: Input<P>, const N: usize>(
    params: &mut [P],
    state: [&mut [P]; N],
    grads: G,
    rule: &(impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy + Sync),
) {
    share(params.len().div_ceil(PART_LEN), Parts(Some((params, state, grads))), |slices| run_part(slices, rule));
}

// Not inlined: the loop is compiled once per rule, instead of once for each of its callers.
#[inline(never)]
pub(super) fn run_part<P: Copy, G: Input<P>, const N: usize>(
    (params, state, grads): Slices<P, G, N>,
    rule: &(impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy),
) {
    grads.run(params, state, rule);
}

/// Parameters, state, gradients.
pub(super) type Slices<'a, P, G, const N: usize> = (&'a mut [P], [&'a mut [P]; N], G);

/// Cuts slices into parts of [`PART_LEN`], taken from either end; the part at the back may be shorter. It is `None`
/// once all parts are taken.
struct Parts<'a, P, G, const N: usize>(Option<Slices<'a, P, G, N>>);

impl<'a, P, G: Input<P>, const N: usize> Iterator for Parts<'a, P, G, N> {
    type Item = Slices<'a, P, G, N>;

    fn next(&mut self) -> Option<Self::Item> {
        let slices = self.0.take()?;
        let len = slices.0.len();
        let (first, others) = split(slices, len.min(PART_LEN));
        self.0 = (len > PART_LEN).then_some(others);
        Some(first)
    }
}

impl<P, G: Input<P>, const N: usize> DoubleEndedIterator for Parts<'_, P, G, N> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let slices = self.0.take()?;
        let len = slices.0.len();
        // At a multiple of `PART_LEN`, so that the parts are the same from whichever end they are taken.
        let (others, last) = split(slices, len.saturating_sub(1) / PART_LEN * PART_LEN);
        self.0 = (len > PART_LEN).then_some(others);
        Some(last)
    }
}

#[inline(always)]
pub(super) fn split<P, G: Input<P>, const N: usize>(
    (params, state, grads): Slices<P, G, N>,
    at: usize,
) -> (Slices<P, G, N>, Slices<P, G, N>) {
    let (left_params, right_params) = params.split_at_mut(at);
    let (left_grads, right_grads) = grads.split_at(at);
    let (mut left_state, mut right_state) = (state, [const { empty() }; N]);
    for (left, right) in left_state.iter_mut().zip(&mut right_state) {
        (*left, *right) = take(left).split_at_mut(at);
    }
    ((left_params, left_state, left_grads), (right_params, right_state, right_grads))
}

const fn empty<'a, P>() -> &'a mut [P] {
    &mut []
}

#[inline(always)]
fn run_alone<P: Copy + Sync, const N: usize>(
    slices: Slices<P, &[P], N>,
    rule: &(impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy),
) {
    let len = slices.0.len();
    let head = if cfg!(not(feature = "simd")) || len < SHORT {
        len
    } else if len < LONG {
        0
    } else {
        // Up to the first parameter at a multiple of 32 bytes, the size of a vector: allocators align to 16 bytes only,
        // and a vector that crosses a cache line costs twice.
        slices.0.as_ptr().align_offset(32).min(LONG)
    };
    let ((params, state, grads), rest) = split(slices, head);
    plain_loop(params, state, grads, rule);
    if head < len {
        let (params, state, grads) = rest;
        wide(
            #[inline(always)]
            || plain_loop(params, state, grads, rule),
        );
    }
}

// Each slice is an argument of its own: this tells the compiler that they do not overlap, so it does not test for that
// at run time.
#[inline(always)]
fn plain_loop<P: Copy, const N: usize>(
    params: &mut [P],
    mut state: [&mut [P]; N],
    grads: &[P],
    rule: &(impl Fn(P, [P; N], P) -> (P, [P; N]) + Copy),
) {
    let rule = *rule;
    // The lengths are equal; where the compiler sees that, it drops the bounds checks and vectorises.
    let len = params.len();
    let grads = &grads[..len];
    for slice in &mut state {
        *slice = &mut take(slice)[..len];
    }
    for i in 0..len {
        let grad = grads[i];
        let mut old = [grad; N];
        for n in 0..N {
            old[n] = state[n][i];
        }
        let (param, new) = rule(params[i], old, grad);
        params[i] = param;
        for n in 0..N {
            state[n][i] = new[n];
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::{PART_LEN, Parts};

    #[test]
    fn parts_taken_from_both_ends_are_those_taken_from_one() {
        for len in [0, 1, PART_LEN, PART_LEN + 1, 3 * PART_LEN - 1, 3 * PART_LEN, 4 * PART_LEN + 5] {
            let params: Vec<u32> = (0..len as u32).collect();
            let mut state_and_params = [params.clone(), params.clone()];
            let expected: Vec<_> = params.chunks(PART_LEN).collect();
            for pattern in 0..32 {
                let [state, changed] = &mut state_and_params;
                let mut parts = Parts(Some((&mut changed[..], [&mut state[..]], &params[..])));
                let mut taken = Vec::new();
                for turn in 0.. {
                    let from_back = pattern >> (turn % 5) & 1 == 1;
                    let Some(part) = (if from_back { parts.next_back() } else { parts.next() }) else { break };
                    taken.push(part);
                }
                taken.sort_by_key(|(params, ..)| params.first().copied());
                // Empty slices are one empty part.
                assert_eq!(taken.len(), expected.len().max(1));
                for ((params, [state], grads), expected) in taken.into_iter().zip(&expected) {
                    assert!(params == *expected && state == *expected && grads == *expected);
                }
            }
        }
    }
}
