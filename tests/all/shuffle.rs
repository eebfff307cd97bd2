//! The order of an epoch: golden vectors of version 1.

use gradstep::Batcher;

use crate::common::golden::{Row, digest, rows};

#[test]
fn value_stability_batcher() {
    for Row { len, seed, epoch, digest: expected, values } in rows(include_str!("../data/order_batcher.csv"), 431) {
        let batcher = Batcher::new(len.try_into().unwrap(), 1, seed).unwrap();
        let order: Vec<_> = batcher.epoch(epoch).indices().iter().map(|&index| index as u64).collect();
        let shown = if len <= 33 { order.clone() } else { [&order[..8], &order[order.len() - 8..]].concat() };
        assert_eq!(shown, values, "len {len}, seed {seed}, epoch {epoch}");
        assert_eq!(digest(&order), expected, "digest of len {len}, seed {seed}, epoch {epoch}");
    }
}

/// The order has nothing to do with how it is cut into batches, with what the table held before, or with other epochs.
#[test]
fn value_stability_across_batch_sizes_and_refills() {
    for len in [1, 2, 10, 33, 1000, (1 << 20) + 1] {
        let order = Batcher::new(len, 1, 42).unwrap().epoch(7);
        for batch_size in if len > 1000 { vec![64] } else { vec![len.min(3), len.min(64), len] } {
            let mut epoch = Batcher::new(len, batch_size, 42).unwrap().epoch(u64::MAX);
            epoch.refill(7);
            assert_eq!(
                epoch.iter().collect::<Vec<_>>().concat(),
                order.indices(),
                "len {len}, batch size {batch_size}"
            );
        }
    }
}

/// Also above 2^20, where the order needs the most, and above 2^22, where it has scratch: 20 KiB with all that a thread of std
/// needs, in a build for tests, and 16 in a release.
#[test]
#[cfg(target_arch = "x86_64")]
fn refill_takes_little_stack() {
    for len in [1 << 21, (1 << 22) + 1] {
        let mut epoch = Batcher::new(len, 64, 42).unwrap().epoch(7);
        let expected = epoch.clone();
        epoch.refill(8);
        // std may give more than it is asked for where that is little: so of 64 KiB, 44 or 48 are taken.
        let thread = std::thread::Builder::new().stack_size(64 << 10);
        let epoch = thread.spawn(move || {
            let mut taken = [0_u8; if cfg!(debug_assertions) { 44 << 10 } else { 48 << 10 }];
            std::hint::black_box(&mut taken);
            epoch.refill(7);
            std::hint::black_box(&mut taken);
            epoch
        });
        assert!(epoch.unwrap().join().unwrap() == expected);
    }
}

/// The parts that are dealt out side by side need the most; and the order is that of one thread.
#[test]
#[cfg(feature = "rayon")]
fn refill_in_a_pool_takes_less_than_192_kib_of_stack() {
    for len in [(1 << 21) + 3, (1 << 22) + 3] {
        let epoch = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(192 << 10).build().unwrap();
            pool.install(|| Batcher::new(len, 64, 42).unwrap().epoch(7))
        };
        let expected = epoch(1);
        for threads in [2, 3, 5] {
            assert!(epoch(threads) == expected, "{threads} threads, {len} samples");
        }
    }
}
