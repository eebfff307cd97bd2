//! The golden vectors of order version 1, which tests/data/order.py made from the words of src/order/order.md.

use anyhow::Context;
use gradstep::{Batcher, Permutation};

struct Row {
    len: u64,
    seed: u64,
    epoch: u64,
    digest: u64,
    values: Vec<u64>,
}

fn rows(csv: &str) -> anyhow::Result<Vec<Row>> {
    let lines = csv.lines().filter(|line| !line.starts_with('#'));
    lines.skip(1).map(|line| row(line).with_context(|| format!("row {line}"))).collect()
}

fn row(line: &str) -> anyhow::Result<Row> {
    let columns: Vec<_> = line.split(',').collect();
    let [len, seed, epoch, digest, values] = columns[..] else { anyhow::bail!("not five columns") };
    Ok(Row {
        len: len.parse()?,
        seed: seed.parse()?,
        epoch: epoch.parse()?,
        digest: u64::from_str_radix(digest, 16)?,
        values: values.split(' ').map(str::parse).collect::<Result<_, _>>()?,
    })
}

/// FNV-1a of 64 bits over each index as 8 little-endian bytes.
fn digest(indices: &[u64]) -> u64 {
    indices
        .iter()
        .flat_map(|index| index.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn value_stability_batcher() {
    for Row { len, seed, epoch, digest: expected, values } in rows(include_str!("data/order_batcher.csv")).unwrap() {
        let batcher = Batcher::new(len.try_into().unwrap(), 1, seed).unwrap();
        let order: Vec<_> = batcher.epoch(epoch).indices().iter().map(|&index| index as u64).collect();
        let shown = if len <= 33 { order.clone() } else { [&order[..8], &order[order.len() - 8..]].concat() };
        assert_eq!(shown, values, "len {len}, seed {seed}, epoch {epoch}");
        assert_eq!(digest(&order), expected, "digest of len {len}, seed {seed}, epoch {epoch}");
    }
}

#[test]
fn value_stability_permutation() {
    for Row { len, seed, epoch, digest: expected, values } in rows(include_str!("data/order_permutation.csv")).unwrap()
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

/// The order has nothing to do with how it is cut into batches, with what the table held before, or with other epochs.
#[test]
fn value_stability_across_batch_sizes_and_refills() {
    for len in [1, 2, 10, 33, 1000, (1 << 20) + 1] {
        let order = Batcher::new(len, 1, 42).unwrap().epoch(7);
        for batch_size in if len > 1000 { vec![64] } else { vec![3, 64, len, usize::MAX] } {
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

/// Also above 2^20, where the order takes the most: 16 KiB with all that a thread of std takes.
#[test]
#[cfg(target_arch = "x86_64")]
fn refill_takes_little_stack() {
    let mut epoch = Batcher::new(1 << 21, 64, 42).unwrap().epoch(7);
    let digest =
        |epoch: &gradstep::Epoch| digest(&epoch.indices().iter().map(|&index| index as u64).collect::<Vec<_>>());
    let expected = digest(&epoch);
    epoch.refill(8);
    // std may give more than it is asked for where that is little: so of 64 KiB, 48 are taken.
    let thread = std::thread::Builder::new().stack_size(64 << 10);
    let epoch = thread.spawn(move || {
        let mut taken = [0_u8; 48 << 10];
        std::hint::black_box(&mut taken);
        epoch.refill(7);
        std::hint::black_box(&mut taken);
        epoch
    });
    assert_eq!(digest(&epoch.unwrap().join().unwrap()), expected);
}
