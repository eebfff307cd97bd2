//! Permutation: a bijection, the same by every way in, and refused where it should be.

use gradstep::Permutation;

use crate::common::golden::{Row, digest, rows};

const LENS: [u64; 5] = [1 << 16, (1 << 16) + 1, 257 * 257, 100_000, (1 << 20) - 1];
const HUGE: [u64; 6] = [1_000_000_007, 1 << 32, 1_000_000_000_000, 1 << 48, (1 << 48) + 1, 1 << 62];

fn filled(order: &Permutation, start: u64, count: usize) -> Vec<u64> {
    let mut out = vec![0; count];
    order.fill(start, &mut out).unwrap();
    out
}

#[test]
fn every_sample_comes_once() {
    let around = |power: u64| [power - 1, power, power + 1];
    for len in (16..=20).flat_map(|k| around(1 << k)).skip(1).chain([257 * 257, 100_000]) {
        let order = Permutation::new(len, 42, len).unwrap();
        let mut seen = vec![false; len as usize];
        for (position, sample) in (0..).zip(filled(&order, 0, len as usize)) {
            assert!(!std::mem::replace(&mut seen[sample as usize], true), "{sample} twice, len {len}");
            // The two scalar ways take a few times as long: all of the shortest two, and of the others a part.
            if len <= (1 << 16) + 1 || position % 61 == 0 {
                assert_eq!(order.get(position), Some(sample), "position {position}, len {len}");
                assert_eq!(order.position(sample), Some(position), "sample {sample}, len {len}");
            }
        }
    }
}

#[test]
fn position_is_the_inverse_of_get_at_huge_lens() {
    for len in HUGE {
        let order = Permutation::new(len, 1, 2).unwrap();
        let spread = (0..1000_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % len);
        for i in spread.chain(0..100).chain(len - 100..len) {
            assert_eq!(order.position(order.get(i).unwrap()), Some(i), "position {i}, len {len}");
            assert_eq!(order.get(order.position(i).unwrap()), Some(i), "sample {i}, len {len}");
        }
    }
}

#[test]
fn nothing_is_at_len_or_beyond() {
    for len in LENS.into_iter().chain(HUGE) {
        let order = Permutation::new(len, 0, 0).unwrap();
        assert_eq!(order.len(), len);
        for beyond in [len, len + 1, u64::MAX] {
            assert_eq!((order.get(beyond), order.position(beyond)), (None, None), "{beyond}, len {len}");
        }
    }
}

/// Whatever a call begins and ends with: the lanes, 32 side by side, and the rows of the grid are cut anywhere.
#[test]
fn fill_is_get_from_any_start() {
    for len in LENS.into_iter().chain(HUGE) {
        let order = Permutation::new(len, 7, 3).unwrap();
        for count in [0, 1, 2, 31, 32, 33, 63, 64, 65, 300] {
            let row = len.isqrt();
            for start in [0, 1, 31, 32, row - 40, row, len / 2, len - 400, len - count] {
                let expected: Vec<_> = (start..start + count).map(|i| order.get(i).unwrap()).collect();
                assert_eq!(filled(&order, start, count as usize), expected, "{count} from {start}, len {len}");
            }
        }
    }
}

#[test]
fn seed_len_and_epoch_all_count() {
    let first = |len, seed, epoch| filled(&Permutation::new(len, seed, epoch).unwrap(), 0, 8);
    let base = first(1 << 48, 5, 6);
    assert_eq!(first(1 << 48, 5, 6), base);
    for other in [first((1 << 48) - 1, 5, 6), first(1 << 48, 6, 6), first(1 << 48, 5, 7), first(1 << 48, 6, 5)] {
        assert_ne!(other, base);
    }
}

#[test]
fn batches_are_the_order_in_pieces() {
    for size in [31, 32, 100, 128, 65_536, 65_537, 70_000] {
        let order = Permutation::new(65_537, 42, 0).unwrap();
        let mut buffer = vec![0; size];
        let mut joined = Vec::new();
        for k in 0..(65_537_u64).div_ceil(size as u64) {
            joined.extend_from_slice(order.batch(k, &mut buffer).unwrap());
        }
        assert_eq!(joined, filled(&order, 0, 65_537), "batches of {size}");
    }
}

#[test]
fn the_last_batch_is_shorter_and_then_there_is_none() {
    let order = Permutation::new(100_000, 42, 0).unwrap();
    let mut buffer = [u64::MAX; 64];
    assert_eq!(order.batch(1562, &mut buffer), Some(&filled(&order, 1562 * 64, 32)[..]));
    assert_eq!(buffer[32..], [u64::MAX; 32], "past the batch nothing is written");
    let before = buffer;
    for past in [1563, 1564, 1 << 58, u64::MAX] {
        assert_eq!(order.batch(past, &mut buffer), None);
    }
    assert_eq!(buffer, before);

    let mut whole = [0; 50];
    assert!(order.batch(1999, &mut whole).is_some_and(|batch| batch.len() == 50));
    assert_eq!(order.batch(2000, &mut whole), None);
    assert_eq!((order.batch(0, &mut []), order.batch(u64::MAX, &mut [])), (None, None));
}

#[test]
fn permutations_of_the_last_seed_and_epoch() {
    for len in [Permutation::MIN_LEN, Permutation::MAX_LEN] {
        let order = Permutation::new(len, u64::MAX, u64::MAX).unwrap();
        for position in [0, 1, len - 1] {
            let sample = order.get(position).unwrap();
            assert!(sample < len && order.position(sample) == Some(position));
        }
        let mut out = [0];
        assert_eq!(order.batch(len - 1, &mut out).map(|batch| batch[0]), order.get(len - 1));
        assert_eq!(order.batch(len, &mut out), None);
    }
}

#[test]
fn value_stability_permutation() {
    for Row { len, seed, epoch, digest: expected, values } in
        rows(include_str!("../data/order_permutation.csv")).unwrap()
    {
        let order = Permutation::new(len, seed, epoch).unwrap();
        let shown: Vec<_> =
            (0..8).chain([len / 2]).chain(len - 4..len).map(|position| order.get(position).unwrap()).collect();
        assert_eq!(shown, values, "len {len}, seed {seed}, epoch {epoch}");
        let mut first = [0; 5000];
        order.fill(0, &mut first).unwrap();
        assert_eq!(digest(&first), expected, "digest of len {len}, seed {seed}, epoch {epoch}");
    }
}

#[test]
fn errors_say_what_was_expected() {
    let refusal = |len| Permutation::new(len, 0, 0).unwrap_err().to_string();
    assert_eq!(refusal(0), "len is 0, expected at least 65536: use a Batcher for fewer samples");
    assert_eq!(refusal(65_535), "len is 65535, expected at least 65536: use a Batcher for fewer samples");
    assert_eq!(refusal((1 << 62) + 1), "len is 4611686018427387905, expected at most 4611686018427387904");
    assert!(
        Permutation::new(Permutation::MIN_LEN, 0, 0).is_ok() && Permutation::new(Permutation::MAX_LEN, 0, 0).is_ok()
    );

    let order = Permutation::new(100_000, 0, 0).unwrap();
    let mut out = [7; 10];
    for (start, room) in [(99_991, 9), (100_000, 0), (u64::MAX, 0)] {
        let message = order.fill(start, &mut out).unwrap_err().to_string();
        assert_eq!(message, format!("length of out is 10, expected at most len - start = {room}"));
    }
    assert_eq!(out, [7; 10], "as it was");
    assert_eq!(order.fill(99_990, &mut out), Ok(()));
    assert_eq!(order.fill(u64::MAX, &mut []), Ok(()));
}
