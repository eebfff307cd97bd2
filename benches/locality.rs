//! Judges orders for data that lives on disk: gradstep's, and the published ones.
//!
//! `cargo bench --bench locality [-- EPOCHS]`; minutes. It fails if `Blocks` in its recommended setting has a fault, or
//! if it does not find a fault that another order is known for. 2^20 samples sorted by label, ten classes, batches of
//! 256; the mean of 32 epochs, each with a seed of its own. The columns:
//!
//! - h: the share of the labels' variance that is between blocks (1: sorted)
//! - held: the most samples that are read and not given yet, in % of all, if each unit is read once, as late as can be
//! - variance: of the shares of the classes in a batch; 1 in a full shuffle
//! - predicted: 1 + h (B / k) (1 - k / n), for k of n blocks in a window
//! - tail: the variance in the last 5 % of the batches / in the others, at a length that leaves a short last window
//! - parity: of 4,096 batches, how many have even samples only, or odd ones only
//! - neighbours: pairs of neighbours that stay neighbours; 2 in a full shuffle
//! - epochs: the correlation of an epoch with the next one (that is, of the samples at the same places)
//! - seeds: the correlation of an epoch with the same epoch of the next seed, or of the next epoch with it; the one
//!   farther from 0
//! - displacement: the mean distance of a sample from where it was, in lengths of the epoch; 1/3 in a full shuffle
//! - inversions: the share of pairs in reversed order; 1/2 in a full shuffle
//! - spearman: the rank correlation of samples and places, without its sign; 0 in a full shuffle
//! - missing: samples that never come, at the worst of five lengths
//! - first: seconds to the first batch of 10^9 samples, least of five, where that takes neither a table of all nor a
//!   full buffer
//! - faults: what is beyond the bars in `judge`

use std::hint::black_box;

use gradstep::{Batcher, Blocks, Draws, Order, Permutation, Sequential, Shuffle};

mod common;
mod published;
use common::{heading, largest, seconds};
use published::SHARD;

const LEN: usize = 1 << 20;
const BATCH: usize = 256;
const CLASSES: usize = 10;
/// 2^16 + 1 (a prime), 2^20, two more primes, and one of seven windows of 2^17, ten blocks of 256, and 67 more.
const LENGTHS: [usize; 5] = [65_537, LEN, 99_991, 1_000_003, SHORT_WINDOW];
const SHORT_WINDOW: usize = 7 * (LEN / 8) + 10 * 256 + 67;

/// From (len, count, seed, epoch) the first `count` samples of the epoch.
type Epoch = fn(usize, usize, u64, u64) -> Vec<usize>;

struct Scheme {
    name: &'static str,
    /// How many samples it reads at once.
    unit: usize,
    /// How many of these units it shuffles together, if that is all it does.
    window: usize,
    /// Whether it can begin 10^9 samples at once.
    at_once: bool,
    epoch: Epoch,
}

const fn scheme(name: &'static str, unit: usize, window: usize, at_once: bool, epoch: Epoch) -> Scheme {
    Scheme { name, unit, window, at_once, epoch }
}

const RECOMMENDED: Scheme = scheme("Blocks 52 x 2560", 52, 2560, true, blocks::<52, 2560, 1>);

const SCHEMES: [Scheme; 19] = [
    RECOMMENDED,
    scheme("Blocks 52 x 2560 in 8 lanes", 52, 2560, true, blocks::<52, 2560, 8>),
    scheme("Blocks 16 x 2560", 16, 2560, true, blocks::<16, 2560, 1>),
    scheme("Blocks 256 x 512", 256, 512, true, blocks::<256, 512, 1>),
    scheme("Shuffle", 256, 0, false, |len, count, seed, epoch| {
        ours(Shuffle::new(len, seed).expect("valid"), count, epoch)
    }),
    scheme("Permutation", 256, 0, true, |len, count, seed, epoch| {
        ours(Permutation::new(len as u64, seed).expect("long enough"), count, epoch)
    }),
    scheme("Sequential", 256, 0, true, |len, count, _, epoch| ours(Sequential::new(len).expect("valid"), count, epoch)),
    scheme("shuffle buffer (tf.data; DALI)", 256, 0, false, published::buffer),
    scheme("WebDataset", SHARD, 0, false, published::webdataset),
    scheme("Grain's window", 256, 0, true, published::grain_window),
    scheme("Grain's index_shuffle", 256, 0, true, published::grain),
    scheme("MosaicML py1s", SHARD, 1, false, published::py1s),
    scheme("MosaicML py1br", SHARD, 0, false, published::py1br),
    scheme("MosaicML py1e", SHARD, 0, false, published::py1e),
    scheme("CorgiPile", SHARD, 32, false, published::corgipile),
    scheme("FFCV quasi-random", SHARD, 0, false, published::ffcv),
    scheme("Levanter's Feistel", 256, 0, true, published::levanter),
    scheme("Levanter's eras", 256, 0, true, published::levanter_eras),
    scheme("Levanter's windows", 256, 512, true, published::levanter_windows),
];

/// Settings whose variance is only compared with what is predicted, and h.
const PREDICTED: [(Scheme, f64); 7] = [
    (scheme("Blocks 4096 x 32", SHARD, 32, true, blocks::<{ SHARD as u64 }, 32, 1>), 1.0),
    (scheme("Blocks 256 x 64", 256, 64, true, blocks::<256, 64, 1>), 1.0),
    (scheme("Blocks 256 x 64", 256, 64, true, blocks::<256, 64, 1>), 0.5),
    (scheme("Blocks 256 x 64", 256, 64, true, blocks::<256, 64, 1>), 0.1),
    (scheme("Blocks 64 x 256", 64, 256, true, blocks::<64, 256, 1>), 1.0),
    (scheme("Blocks 64 x 1024", 64, 1024, true, blocks::<64, 1024, 1>), 0.5),
    (scheme("Blocks 256 x 2560", 256, 2560, true, blocks::<256, 2560, 1>), 1.0),
];

fn blocks<const BLOCK: u64, const WINDOW: u64, const LANES: u64>(
    len: usize,
    count: usize,
    seed: u64,
    epoch: u64,
) -> Vec<usize> {
    let window = WINDOW.min((len as u64).div_ceil(BLOCK));
    let order = Blocks::new(len as u64, BLOCK, window, seed).and_then(|order| order.with_lanes(LANES)).expect("valid");
    ours(order, count, epoch)
}

fn ours(order: impl Order + Clone, count: usize, epoch: u64) -> Vec<usize> {
    let batcher = Batcher::over(order, BATCH).expect("valid");
    if count == batcher.len() {
        batcher.epoch(epoch).indices().to_vec()
    } else {
        batcher.stream().next_batch().expect("the first").to_vec()
    }
}

fn epochs() -> u64 {
    largest(32) as u64
}

fn main() {
    heading(
        "cargo bench --bench locality",
        "scheme, h, held, variance, predicted, tail, parity, neighbours, epochs, seeds, displacement, inversions, spearman, \
         missing, first, faults",
    );
    for scheme in &SCHEMES {
        let faults = judge(scheme);
        let known = match scheme.name {
            "Grain's index_shuffle" => ["65537", "seed + epoch"],
            "Levanter's Feistel" => ["parity", "same epochs"],
            "Levanter's windows" => ["tail", "same epochs"],
            _ => continue,
        };
        assert!(known.iter().all(|fault| faults.contains(fault)), "{}: {faults}, expected {known:?}", scheme.name);
    }
    for (scheme, h) in &PREDICTED {
        let (variance, _) = variance(scheme, LEN, *h);
        let predicted = predicted(scheme, *h).expect("a window");
        println!("{}, {h}, {:.1}, {variance:.3}, {predicted:.3}, , , , , , , , , , ,", scheme.name, held(scheme));
        assert!((variance / predicted - 1.0).abs() < 0.1, "{}: {variance}, predicted {predicted}", scheme.name);
    }
}

/// Prints a row, and returns the faults.
fn judge(scheme: &Scheme) -> String {
    let epoch = |seed, epoch| (scheme.epoch)(LEN, LEN, seed, epoch);
    let mut means = [0.0; 5];
    for i in 0..epochs() {
        let order = epoch(i, i);
        let values = [parity, neighbours, displacement, inversions, spearman].map(|value| value(&order));
        means.iter_mut().zip(values).for_each(|(mean, value)| *mean += value / epochs() as f64);
    }
    let [parity, neighbours, displacement, inversions, spearman] = means;
    let epochs = correlation(&epoch(0, 0), &epoch(0, 1));
    let (same, other) = (correlation(&epoch(0, 0), &epoch(1, 0)), correlation(&epoch(0, 1), &epoch(1, 0)));
    let seeds = if same.abs() > other.abs() { same } else { other };
    let (variance, _) = variance(scheme, LEN, 1.0);
    let (_, tail) = self::variance(scheme, SHORT_WINDOW, 1.0);
    let missing = LENGTHS.map(|len| missing(&(scheme.epoch)(len, len, 1, 1)));
    let first = scheme.at_once.then(|| {
        (0..5)
            .map(|_| seconds(|| drop(black_box((scheme.epoch)(1_000_000_000, BATCH, 1, 0)))))
            .fold(f64::INFINITY, f64::min)
    });

    let mut faults = Vec::new();
    let mut fault = |is, name: &str| {
        if is {
            faults.push(name.to_string())
        }
    };
    LENGTHS.iter().zip(missing).for_each(|(len, missing)| fault(missing > 0, &format!("no bijection at {len}")));
    fault(parity > 0.0, "parity");
    fault(epochs > 0.99, "same epochs");
    fault(other > 0.99, "seed + epoch");
    fault(!(0.9..=1.1).contains(&variance), "variance");
    fault(tail > 1.2, "tail");
    fault(neighbours > 100.0, "neighbours");
    fault(displacement < 0.331 || inversions < 0.498 || spearman > 0.01, "marin's bars");
    let faults = faults.join("; ");
    let predicted = predicted(scheme, 1.0).map(|value| format!("{value:.3}")).unwrap_or_default();
    let first = first.map(|value| format!("{value:.2e}")).unwrap_or_default();
    println!(
        "{}, 1, {:.1}, {variance:.3}, {predicted}, {tail:.2}, {parity:.0}, {neighbours:.0}, {epochs:.3}, {seeds:.3}, \
         {displacement:.4}, {inversions:.4}, {spearman:.4}, {}, {first}, {faults}",
        scheme.name,
        held(scheme),
        missing.iter().max().expect("five"),
    );
    assert!(scheme.name != RECOMMENDED.name || faults.is_empty(), "{}: {faults}", scheme.name);
    faults
}

/// What the documentation of `Blocks` says, for as many blocks in a window as there are.
fn predicted(scheme: &Scheme, h: f64) -> Option<f64> {
    let n = LEN.div_ceil(scheme.unit);
    let k = n as f64 / n.div_ceil(scheme.window.max(1)) as f64;
    (scheme.window > 0).then_some(1.0 + h * BATCH as f64 / k * (1.0 - k / n as f64))
}

/// The variance of the shares of the classes in a batch / that in a full shuffle; and that in the last 5 % of the
/// batches / that in the others.
///
/// Each label is that of the sorted list with probability √h, else any: so h is the correlation of two labels in a
/// block.
fn variance(scheme: &Scheme, len: usize, h: f64) -> (f64, f64) {
    let mut draws = Draws::new("labels", [0, 0], 1);
    let labels: Vec<usize> =
        (0..len).map(|i| if draws.coin(h.sqrt()).expect("valid") { i * CLASSES / len } else { i % CLASSES }).collect();
    let mut whole = [0.0; CLASSES];
    labels.iter().for_each(|&label| whole[label] += 1.0 / len as f64);
    // Without replacement, so a little below the binomial's.
    let left = (len - BATCH) as f64 / (len - 1) as f64;
    let full = (1.0 - whole.iter().map(|share| share * share).sum::<f64>()) / BATCH as f64 * left;

    let batches = len / BATCH;
    let mut sums = [0.0; 2];
    for i in 0..epochs() {
        for (number, batch) in (scheme.epoch)(len, len, i, i).chunks_exact(BATCH).enumerate() {
            let mut shares = [0.0; CLASSES];
            batch.iter().for_each(|&sample| shares[labels[sample]] += 1.0 / BATCH as f64);
            let squares = shares.iter().zip(whole).map(|(share, whole)| (share - whole).powi(2)).sum::<f64>();
            sums[usize::from(number >= batches - batches / 20)] += squares / full / epochs() as f64;
        }
    }
    let [front, tail] = sums;
    let tail_batches = (batches / 20) as f64;
    ((front + tail) / batches as f64, tail / tail_batches / (front / (batches as f64 - tail_batches)))
}

/// In % of the samples.
fn held(scheme: &Scheme) -> f64 {
    let mut read = vec![false; LEN.div_ceil(scheme.unit)];
    let (mut held, mut most) = (0, 0);
    for sample in (scheme.epoch)(LEN, LEN, 1, 1) {
        let unit = sample / scheme.unit;
        if !read[unit] {
            read[unit] = true;
            held += scheme.unit.min(LEN - unit * scheme.unit);
            most = most.max(held);
        }
        held -= 1;
    }
    100.0 * most as f64 / LEN as f64
}

fn parity(order: &[usize]) -> f64 {
    let odd = |batch: &[usize]| batch.iter().filter(|&&sample| sample % 2 == 1).count();
    order.chunks_exact(BATCH).filter(|batch| [0, BATCH].contains(&odd(batch))).count() as f64
}

fn neighbours(order: &[usize]) -> f64 {
    order.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) == 1).count() as f64
}

fn displacement(order: &[usize]) -> f64 {
    let sum: usize = order.iter().enumerate().map(|(place, sample)| sample.abs_diff(place)).sum();
    sum as f64 / (order.len() as f64).powi(2)
}

/// The part of all pairs whose later one is the smaller one. The tree counts those that came (Fenwick 1994).
fn inversions(order: &[usize]) -> f64 {
    let len = order.len();
    let (mut tree, mut inversions) = (vec![0_u32; len + 1], 0_u64);
    for (came, &sample) in order.iter().enumerate() {
        let (mut below, mut at) = (0, sample);
        while at > 0 {
            below += u64::from(tree[at]);
            at &= at - 1;
        }
        inversions += came as u64 - below;
        at = sample + 1;
        while at <= len {
            tree[at] += 1;
            at += at & at.wrapping_neg();
        }
    }
    inversions as f64 / (len as f64 * (len as f64 - 1.0) / 2.0)
}

fn spearman(order: &[usize]) -> f64 {
    correlation(&(0..order.len()).collect::<Vec<_>>(), order).abs()
}

fn correlation(a: &[usize], b: &[usize]) -> f64 {
    let middle = (a.len() as f64 - 1.0) / 2.0;
    let product = |a: &[usize], b: &[usize]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| (a as f64 - middle) * (b as f64 - middle)).sum()
    };
    product(a, b) / (product(a, a) * product(b, b)).sqrt()
}

fn missing(order: &[usize]) -> usize {
    let mut came = vec![false; order.len()];
    order.iter().for_each(|&sample| came[sample] = true);
    came.iter().filter(|&&came| !came).count()
}
