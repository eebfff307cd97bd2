use crate::{
    Error, check,
    simd::wide,
    threads::{PART, join},
};

/// Below this length wide vectors gain less than it costs to choose them.
const SHORT: usize = 128;

/// The one loop that every update runs through: `rule` on each parameter with its gradient and its `N` values of state.
///
/// For every index i: `(params[i], [state[0][i], …]) <- rule(params[i], [state[0][i], …], grads[i])`.
/// The rule is given what stood there before and returns what shall stand there after.
/// It must be a pure function: in which order the elements are visited is not promised.
///
/// Write your own optimizer with it (`examples/custom_optimizer.rs` is AdamW in a screenful).
///
/// # Errors
/// [`Error::Length`] if `grads` or a slice of state has another length than `params`; nothing has changed then.
///
/// # Cost
/// One pass over memory: each slice is read once, `params` and the state are written once. No allocation.
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
    // Not through `halves` at once: it calls itself, so it is never inlined, and a short step would be all calls.
    if len <= PART {
        part((params, state, grads), rule);
    } else {
        halves((params, state, grads), rule);
    }
    Ok(())
}

/// Parameters, state, gradients.
type Slices<'a, F, const N: usize> = (&'a mut [F], [&'a mut [F]; N], &'a [F]);

/// Halves on two threads, down to a length where that pays; without threads it goes from left to right all the same.
fn halves<F: Copy + Send + Sync, const N: usize>(
    slices: Slices<F, N>,
    rule: impl Fn(F, [F; N], F) -> (F, [F; N]) + Copy + Send + Sync,
) {
    let len = slices.0.len();
    if len <= PART {
        return part(slices, rule);
    }
    let (left, right) = split(slices, len / 2);
    join(|| halves(left, rule), || halves(right, rule));
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
    let head = slices.0.as_ptr().align_offset(32).min(SHORT);
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
        let mut old = [params[i]; N];
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
