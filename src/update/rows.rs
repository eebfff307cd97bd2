use super::elementwise::run;
use crate::{
    check,
    error::{Error, Relation},
};

/// [`elementwise`](crate::elementwise) for chosen rows of a table, such as an embedding, where a batch has gradients
/// for a few rows only.
///
/// `params` and each slice of state are tables: rows of `row_len` elements, one after the other. Row k of `grads` is
/// the gradient of row `rows[k]` of the table. For k = 0, 1, … in this order, and for each element i of the row:
/// `(params[i], [state[0][i], …]) <- rule(k, params[i], [state[0][i], …], grads[i])`. All other rows stay as they are.
///
/// A row that is given twice is stepped twice. (If its two gradients are parts of one gradient, add them up first.)
/// Count the steps yourself, one per call, so that a learning rate follows the batches and not the number of their
/// rows.
///
/// `rule` is given k, for values that differ between rows, such as a learning rate or the number of steps that a row
/// has missed. If every step covered all rows, the velocity of a row without gradients would decay by λ per step; the
/// second half of the example makes up for that when the row is next chosen. (`torch.optim.SparseAdam`, as of 2.15,
/// does not.) The example does not make up for the moves of the parameters in between.
///
/// # Errors
/// [`Error::Length`] if a slice of state has another length than `params`, or `grads` another one than
/// `rows.len() * row_len`; [`Error::Count`] if `row_len` is 0, if the length of `params` is not a multiple of it, or if
/// one of `rows` is not below the number of rows. Nothing has changed then.
///
/// # Cost
/// One pass over `rows` to check them, and one over the chosen rows of each table. No allocation.
///
/// # Example
/// ```
/// use gradstep::{Schedule, elementwise_rows};
/// let mut table = [0.0_f32, 0.0, 1.0, 1.0, 2.0, 2.0]; // three rows of two
/// elementwise_rows(&mut table, [], 2, &[2, 0], &[1.0, 2.0, 3.0, 4.0], |_, p, [], g| (p - 0.5 * g, []))?;
/// assert_eq!(table, [-1.5, -2.0, 1.0, 1.0, 1.5, 1.0]);
///
/// // Momentum with λ = η = 1/2.
/// let (rows, grads, step) = ([0, 2], [1.0, 1.0, 1.0, 1.0], 7);
/// let (mut velocity, mut last_step) = ([4.0_f32; 6], [3_u64, 6, 6]);
/// let decays = Schedule::step_decay(1.0, 0.5, 1)?; // λ^k, with the same bits everywhere
/// let idle = rows.map(|row| decays.at(step - last_step[row]) as f32); // row 0 missed three steps: λ⁴, row 2 none: λ
/// elementwise_rows(&mut table, [&mut velocity], 2, &rows, &grads, |k, p, [m], g| {
///     let m = idle[k] * m - 0.5 * g;
///     (p + m, [m])
/// })?;
/// rows.map(|row| last_step[row] = step);
/// assert_eq!(velocity, [-0.25, -0.25, 4.0, 4.0, 1.5, 1.5]);
/// # Ok::<(), gradstep::Error>(())
/// ```
#[doc(alias = "embedding")]
#[doc(alias = "sparse")]
pub fn elementwise_rows<P: Copy + Send + Sync, const N: usize>(
    params: &mut [P],
    mut state: [&mut [P]; N],
    row_len: usize,
    rows: &[usize],
    grads: &[P],
    rule: impl Fn(usize, P, [P; N], P) -> (P, [P; N]) + Copy + Sync,
) -> Result<(), Error> {
    check::at_least_one("row_len", row_len as u64)?;
    check::count("length of params", params.len() as u64, Relation::MultipleOf, row_len as u64, "row_len")?;
    let count = (params.len() / row_len) as u64;
    for &row in rows {
        check::count("row", row as u64, Relation::Below, count, "number of rows")?;
    }
    for slice in &state {
        check::length("state", slice.len(), "params", params.len())?;
    }
    // No slice is as long as a product above `usize::MAX`, so a product that saturates is rejected too.
    check::length("grads", grads.len(), "rows * row_len", rows.len().saturating_mul(row_len))?;
    for (k, (&row, grads)) in rows.iter().zip(grads.chunks_exact(row_len)).enumerate() {
        let range = row * row_len..(row + 1) * row_len;
        let state = state.each_mut().map(|slice| &mut slice[range.clone()]);
        run(&mut params[range.clone()], state, grads, move |p, state, g| rule(k, p, state, g))?;
    }
    Ok(())
}
