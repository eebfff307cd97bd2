//! `gather` against the plainest loop.

use gradstep::gather;
use proptest::{prelude::*, test_runner::RngSeed};

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]

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

#[test]
fn no_rows_and_an_empty_batch() {
    let mut out = vec![7];
    gather::<u8>(&[], 3, &[], &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn a_batch_beyond_memory_is_an_error() {
    // Rows of nothing, so that there can be as many as usize counts.
    let (rows, mut out) = (vec![(); usize::MAX], vec![(); 3]);
    let error = gather(&rows, usize::MAX, &[0, 0], &mut out).unwrap_err();
    assert_eq!(error.to_string(), format!("a batch of length {} does not fit in memory", usize::MAX));
    assert_eq!(out.len(), 3);
}
