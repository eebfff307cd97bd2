//! `gather` against a plain loop.

use gradstep::gather;
use proptest::prelude::*;

use crate::common::{config, says};

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn matches_naive(row_len in 1_usize..20, count in 1_usize..50, picks in prop::collection::vec(any::<prop::sample::Index>(), 0..80)) {
        let rows: Vec<u32> = (0..(row_len * count) as u32).collect();
        let batch: Vec<usize> = picks.iter().map(|pick| pick.index(count)).collect();
        let mut out = vec![7; 5];
        gather(&rows, row_len, &batch, &mut out).unwrap();
        let naive = batch.iter().flat_map(|&i| (0..row_len).map(move |k| (i, k))).map(|(i, k)| rows[i * row_len + k]);
        prop_assert_eq!(out, naive.collect::<Vec<_>>());
    }
}

/// Enough for threads, with a last part that is not whole; rows longer than a part.
#[test]
fn long_batches() {
    for (row_len, count, rows_in_batch) in [(1, 1000, 300_007), (7, 1000, 50_001), (100_003, 3, 5), (200_000, 3, 2)] {
        let rows: Vec<u32> = (0..row_len * count).map(|i| i as u32).collect();
        let batch: Vec<usize> = (0..rows_in_batch).map(|i| i * 7919 % count).collect();
        let mut out = Vec::new();
        gather(&rows, row_len, &batch, &mut out).unwrap();
        let naive: Vec<u32> = batch.iter().flat_map(|&i| &rows[i * row_len..][..row_len]).copied().collect();
        assert!(out == naive, "{row_len}");
    }
}

#[test]
fn no_rows_and_an_empty_batch() {
    let mut out = vec![7];
    gather::<u8>(&[], 3, &[], &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn rows_of_nothing() {
    let mut out = vec![7];
    gather(&[1, 2], 2, &[], &mut out).unwrap();
    assert!(out.is_empty());
    gather(&[1, 2], 1, &[1, 1], &mut out).unwrap();
    assert_eq!(out, [2, 2]);
    gather(&[1, 2], 1, &[0], &mut out).unwrap();
    assert_eq!(out, [1]); // shorter than the last
}

#[test]
fn invalid_rows_and_indices_are_rejected() {
    let mut out = vec![7];
    says(gather(&[1, 2], 0, &[0], &mut out), "row_len is 0, expected at least 1");
    says(gather(&[1, 2, 3], 2, &[0], &mut out), "length of rows is 3, expected a multiple of row_len = 2");
    says(gather(&[1, 2], 3, &[], &mut out), "length of rows is 2, expected a multiple of row_len = 3");
    let most = usize::MAX;
    let message = format!("length of rows is 2, expected a multiple of row_len = {most}");
    says(gather(&[1, 2], most, &[0], &mut out), &message);
    says(gather(&[1, 2, 3, 4], 2, &[1, 2], &mut out), "index in batch is 2, expected below number of rows = 2");
    says(gather(&[], 3, &[0], &mut out), "index in batch is 0, expected below number of rows = 0");
    assert_eq!(out, [7]);
}

#[test]
fn a_batch_beyond_memory_is_an_error() {
    // Rows of nothing, so that there can be as many as usize counts.
    let (rows, mut out) = (vec![(); usize::MAX], vec![(); 3]);
    let error = gather(&rows, usize::MAX, &[0, 0], &mut out).unwrap_err();
    assert_eq!(error.to_string(), format!("batch of length {} does not fit in memory", usize::MAX));
    assert_eq!(out.len(), 3);
}
