use alloc::vec::Vec;

use crate::{
    check,
    error::{Error, Relation},
    passes::pass,
    threads::PART_LEN,
};

/// Copies the rows of a batch one after the other into `out`. Pass the same `out` for each batch, and its memory is
/// used again.
///
/// `rows` holds rows of `row_len` elements, one after the other; row i is `rows[i * row_len..][..row_len]`.
/// Afterwards `out` has `batch.len() * row_len` elements. Labels are rows of length 1.
///
/// # Errors
/// [`Error::Count`] if `row_len` is 0, `rows` does not end with a whole row, or an index of the batch is not below the
/// number of rows; [`Error::Memory`] if there is no memory for the batch. After an error, `out` is what it was before
/// the call.
///
/// # Cost
/// One pass over the indices of the batch to check them, and then one copy of its rows. With feature `rayon`, threads
/// share a long copy. No allocation if `out` has room for the batch.
///
/// # Example
/// ```
/// let pixels = [0, 1, 10, 11, 20, 21]; // three rows of two
/// let mut out = Vec::new();
/// gradstep::gather(&pixels, 2, &[2, 0], &mut out)?;
/// assert_eq!(out, [20, 21, 0, 1]);
/// # Ok::<(), gradstep::Error>(())
/// ```
pub fn gather<T: Copy + Send + Sync>(
    rows: &[T],
    row_len: usize,
    batch: &[usize],
    out: &mut Vec<T>,
) -> Result<(), Error> {
    check::at_least_one("row_len", row_len as u64)?;
    let count = rows.len() / row_len;
    check::count("length of rows", rows.len() as u64, Relation::MultipleOf, row_len as u64, "row_len")?;
    for &index in batch {
        check::count("index in batch", index as u64, Relation::Below, count as u64, "number of rows")?;
    }
    // New elements of `out` need some value until they are overwritten, so one that exists is taken.
    let Some(&any) = rows.first().filter(|_| !batch.is_empty()) else {
        out.clear();
        return Ok(());
    };
    let too_long = |len| Error::Memory { name: "batch", len };
    let len = batch.len().checked_mul(row_len).ok_or(too_long(usize::MAX))?;
    // `resize` alone would end the process if there is no memory.
    out.try_reserve(len.saturating_sub(out.len())).map_err(|_| too_long(len))?;
    out.resize(len, any);
    // How many rows a thread copies at a time.
    let part = PART_LEN.div_ceil(row_len);
    pass(
        // The length as if these were f32s, since the time depends on the bytes and not on the elements.
        size_of_val(&out[..]) / size_of::<f32>(),
        out.chunks_mut(part.saturating_mul(row_len)).zip(batch.chunks(part)),
        #[inline(always)]
        |(out, batch)| {
            for (row, &index) in out.chunks_exact_mut(row_len).zip(batch) {
                row.copy_from_slice(&rows[index * row_len..][..row_len]);
            }
        },
    );
    Ok(())
}
