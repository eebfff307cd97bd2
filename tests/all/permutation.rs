//! Permutation: a bijection, the same from every method, and what is rejected.

use gradstep::{Batcher, Order, Permutation};

use crate::common::{
    golden::{Row, digest, rows},
    says,
};

const LENS: [u64; 5] = [1 << 16, (1 << 16) + 1, 257 * 257, 100_000, (1 << 20) - 1];
const HUGE: [u64; 6] = [1_000_000_007, 1 << 32, 1_000_000_000_000, 1 << 48, (1 << 48) + 1, 1 << 62];

/// `order` is of epoch `epoch`, and so is what comes out.
fn filled(order: &Permutation, epoch: u64, start: u64, count: usize) -> Vec<u64> {
    let mut out = vec![0; count];
    order.try_fill(epoch, start, &mut out).unwrap();
    out.into_iter().map(|sample| sample as u64).collect()
}

fn at(len: u64, seed: u64, epoch: u64) -> Permutation {
    Permutation::new(len, seed).unwrap().at_epoch(epoch)
}

#[test]
fn every_sample_comes_once() {
    let around = |power: u64| [power - 1, power, power + 1];
    for len in (16..=20).flat_map(|k| around(1 << k)).skip(1).chain([257 * 257, 100_000]) {
        let order = at(len, 42, len);
        let mut seen = vec![false; len as usize];
        for (position, sample) in (0..).zip(filled(&order, len, 0, len as usize)) {
            assert!(!std::mem::replace(&mut seen[sample as usize], true), "{sample} twice, len {len}");
            // The two scalar ways take a few times as long: all of the shortest two, and of the others a part.
            if len <= (1 << 16) + 1 || position % 61 == 0 {
                assert_eq!(order.get(position), Some(sample), "position {position}, len {len}");
                assert_eq!(order.place(sample), Some(position), "sample {sample}, len {len}");
            }
        }
    }
}

#[test]
fn position_is_the_inverse_of_get_at_huge_lens() {
    for len in HUGE {
        let order = at(len, 1, 2);
        let spread = (0..1000_u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) % len);
        for i in spread.chain(0..100).chain(len - 100..len) {
            assert_eq!(order.place(order.get(i).unwrap()), Some(i), "position {i}, len {len}");
            assert_eq!(order.get(order.place(i).unwrap()), Some(i), "sample {i}, len {len}");
        }
    }
}

#[test]
fn nothing_is_at_len_or_beyond() {
    for len in LENS.into_iter().chain(HUGE) {
        let order = at(len, 0, 0);
        assert_eq!(order.len(), len);
        assert_eq!((order.settings(), order.longest_run()), (vec![("permutation", 1), ("len", len), ("seed", 0)], 1));
        for beyond in [len, len + 1, u64::MAX] {
            assert_eq!((order.get(beyond), order.place(beyond)), (None, None), "{beyond}, len {len}");
        }
    }
}

/// Whatever a call begins and ends with: the lanes, 32 side by side, and the rows of the grid are cut anywhere.
#[test]
fn fill_is_get_from_any_start() {
    for len in LENS.into_iter().chain(HUGE).filter(|&len| usize::try_from(len).is_ok()) {
        let order = at(len, 7, 3);
        assert_eq!(filled(&order, 0, 0, 40), filled(&at(len, 7, 0), 0, 0, 40)); // another epoch than its own
        for count in [0, 1, 2, 31, 32, 33, 63, 64, 65, 300] {
            let row = len.isqrt();
            for start in [0, 1, 31, 32, row - 40, row, len / 2, len - 400, len - count] {
                let expected: Vec<_> = (start..start + count).map(|i| order.get(i).unwrap()).collect();
                assert_eq!(filled(&order, 3, start, count as usize), expected, "{count} from {start}, len {len}");
            }
        }
    }
}

#[test]
fn streams_are_the_order_in_pieces() {
    for size in [31, 32, 100, 128, 65_536, 65_537] {
        let order = Permutation::new(65_537, 42).unwrap();
        let mut stream = Batcher::over(order, size).unwrap().stream();
        for epoch in 0..2 {
            let mut joined = Vec::new();
            while joined.len() < 65_537 {
                joined.extend(stream.next_batch().unwrap().iter().map(|&sample| sample as u64));
            }
            assert!(stream.is_epoch_end());
            assert_eq!(joined, filled(&order, epoch, 0, 65_537), "batches of {size}");
        }
    }
}

#[test]
fn permutations_of_the_last_seed_and_epoch() {
    for len in [Permutation::MIN_LEN, Permutation::MAX_LEN] {
        let order = at(len, u64::MAX, u64::MAX);
        for position in [0, 1, len - 1] {
            let sample = order.get(position).unwrap();
            assert!(sample < len && order.place(sample) == Some(position));
        }
        if usize::try_from(len).is_ok() {
            assert_eq!(filled(&order, u64::MAX, len - 1, 1), [order.get(len - 1).unwrap()]);
        }
    }
}

#[test]
fn value_stability_permutation() {
    for Row { len, seed, epoch, digest: expected, values } in rows(include_str!("../data/order_permutation.csv"), 40) {
        let order = at(len, seed, epoch);
        let shown: Vec<_> =
            (0..8).chain([len / 2]).chain(len - 4..len).map(|position| order.get(position).unwrap()).collect();
        assert_eq!(shown, values, "len {len}, seed {seed}, epoch {epoch}");
        let first = match usize::try_from(len) {
            Ok(_) => filled(&order, epoch, 0, 5000),
            Err(_) => (0..5000).map(|place| order.get(place).unwrap()).collect(),
        };
        assert_eq!(digest(&first), expected, "digest of len {len}, seed {seed}, epoch {epoch}");
    }
}

#[test]
fn errors_say_what_was_expected() {
    for len in [0, 65_535] {
        let message = format!("len is {len}, expected at least 65536: use a Shuffle for fewer samples");
        says(Permutation::new(len, 0), &message);
    }
    let message = "len is 4611686018427387905, expected at most 4611686018427387904";
    says(Permutation::new((1 << 62) + 1, 0), message);
    assert!(Permutation::new(Permutation::MIN_LEN, 0).is_ok() && Permutation::new(Permutation::MAX_LEN, 0).is_ok());
}
