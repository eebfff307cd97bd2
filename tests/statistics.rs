//! Statistics that a bad shuffle fails: the same checks for both orders, and for shuffles made bad on purpose. Below them,
//! the same for splits and draws.
//!
//! Each check looks at orders 0, 1, 2, … of a source and gives a score, which for a fair source is close to a standard
//! normal number: beyond ±5 it counts as unfair. Of all sources of seeds, one in 10^6 would fail a given check by
//! chance, and one in 10^5 those that count rare events (`fixed_points`), whose tail is somewhat heavier. There are
//! some 250 scores below: 1 in 1,000 for the file, once and for all, since every seed is fixed.

use gradstep::{Batcher, DrawFloat, Draws, Order as _, Permutation, Split, Weighted};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Order = Vec<usize>;

// The checks -----------------------------------------------------------------------------------------------------------

/// Where chi-squared of that many degrees of freedom would be on the standard normal scale (Wilson and Hilferty 1931).
fn chi_squared_score(chi_squared: f64, degrees: usize) -> f64 {
    let spread = 2.0 / (9.0 * degrees as f64);
    ((chi_squared / degrees as f64).cbrt() - (1.0 - spread)) / spread.sqrt()
}

fn chi_squared(counts: impl IntoIterator<Item = (usize, f64)>) -> f64 {
    counts.into_iter().map(|(count, expected)| (count as f64 - expected).powi(2) / expected).sum()
}

/// Each of the len! orders is equally likely.
fn every_order(trials: u64, order: impl Fn(u64) -> Order) -> f64 {
    let len = order(0).len();
    let mut counts = vec![0; (1..=len).product()];
    for x in (0..trials).map(order) {
        // Its number in the alphabet: at each place, how many smaller ones are still to come.
        let number = (0..len).fold(0, |number, i| {
            let smaller = x[i + 1..].iter().filter(|&&later| later < x[i]).count();
            number * (len - i) + smaller
        });
        counts[number] += 1;
    }
    let (degrees, expected) = (counts.len() - 1, trials as f64 / counts.len() as f64);
    chi_squared_score(chi_squared(counts.into_iter().map(|count| (count, expected))), degrees)
}

/// Each value is equally likely at each position; of both, `bins` ranges are told apart.
fn places(bins: usize, trials: u64, order: impl Fn(u64) -> Order) -> f64 {
    let len = order(0).len();
    let bin = |index: usize| index * bins / len;
    let mut counts = vec![0; bins * bins];
    for x in (0..trials).map(order) {
        for (position, &value) in x.iter().enumerate() {
            counts[bin(position) * bins + bin(value)] += 1;
        }
    }
    let mut sizes = vec![0.0; bins];
    (0..len).for_each(|index| sizes[bin(index)] += 1.0);
    let expected = |cell: usize| trials as f64 * sizes[cell / bins] * sizes[cell % bins] / len as f64;
    let chi_squared = chi_squared(counts.into_iter().enumerate().map(|(cell, count)| (count, expected(cell))));
    // A row or column sum is fixed in each order: hence the degrees, and the factor of sampling without replacement.
    chi_squared_score(chi_squared * (len - 1) as f64 / len as f64, (bins - 1).pow(2))
}

/// From each value to the next one, each step mod len is equally likely; of len - 1 steps, `bins` ranges are told apart.
fn steps(bins: usize, trials: u64, order: impl Fn(u64) -> Order) -> f64 {
    let len = order(0).len();
    let bin = |step: usize| (step - 1) * bins / (len - 1);
    let mut counts = vec![0; bins];
    for x in (0..trials).map(order) {
        for pair in x.windows(2) {
            counts[bin((pair[1] + len - pair[0]) % len)] += 1;
        }
    }
    let mut expected = vec![0.0; bins];
    (1..len).for_each(|step| expected[bin(step)] += trials as f64);
    chi_squared_score(chi_squared(counts.into_iter().zip(expected)), bins - 1)
}

/// Half of the orders are even: as many exchanges away from 0, 1, 2, ….
fn parity(trials: u64, order: impl Fn(u64) -> Order) -> f64 {
    let is_even = |x: &Order| {
        let mut seen = vec![false; x.len()];
        let mut cycles = 0;
        for start in 0..x.len() {
            cycles += usize::from(!seen[start]);
            let mut at = start;
            while !seen[at] {
                seen[at] = true;
                at = x[at];
            }
        }
        (x.len() - cycles) % 2 == 0
    };
    let even = (0..trials).map(order).filter(is_even).count();
    (2.0 * even as f64 - trials as f64) / (trials as f64).sqrt()
}

/// One value an order stands at its own position, on average, with variance 1.
fn fixed_points(trials: u64, order: impl Fn(u64) -> Order) -> f64 {
    let fixed = |x: Order| x.into_iter().enumerate().filter(|(position, value)| position == value).count();
    let count: usize = (0..trials).map(order).map(fixed).sum();
    (count as f64 - trials as f64) / (trials as f64).sqrt()
}

/// How `b` looks to one who calls each value by its position in `a`: if `a` and `b` are independent and all orders
/// equally likely, then so it is with this one.
fn relative(a: &Order, b: &Order) -> Order {
    let mut position_in_b = vec![0; b.len()];
    for (position, &value) in b.iter().enumerate() {
        position_in_b[value] = position;
    }
    a.iter().map(|&value| position_in_b[value]).collect()
}

fn assert_fair(score: f64, what: &str) {
    assert!(score.abs() < 5.0, "{what}: score {score}");
}

fn assert_caught(score: f64, what: &str) {
    assert!(score.abs() > 5.0, "{what} got through: score {score}");
}

// The sources ----------------------------------------------------------------------------------------------------------

/// An order as a function of (seed, epoch).
type Keyed<'a> = &'a dyn Fn(u64, u64) -> Order;

fn exact(len: usize) -> impl Fn(u64, u64) -> Order {
    move |seed, epoch| Batcher::new(len, 1, seed).unwrap().epoch(epoch).indices().to_vec()
}

fn permuted(len: usize) -> impl Fn(u64, u64) -> Order {
    move |seed, epoch| {
        let mut out = vec![0; len];
        Permutation::new(len as u64, seed).unwrap().try_fill(epoch, 0, &mut out).unwrap();
        out
    }
}

/// What it is, and order 0, 1, 2, … of it.
type Walk<'a> = (&'static str, Box<dyn Fn(u64) -> Order + 'a>);

/// The four ways in which a run goes through orders, or from one to the next.
fn walks(order: Keyed<'_>) -> [Walk<'_>; 4] {
    [
        ("over seeds", Box::new(|t| order(t, 0))),
        ("over epochs", Box::new(|t| order(42, t))),
        ("from an epoch to the next", Box::new(|t| relative(&order(42, t), &order(42, t + 1)))),
        ("from (s, e + 1) to (s + 1, e)", Box::new(|t| relative(&order(t, 6), &order(t + 1, 5)))),
    ]
}

// Both orders are fair -------------------------------------------------------------------------------------------------

#[test]
fn scores_are_normal() {
    // From a table of chi-squared: 1 in 1,000 is above 29.588 (10 degrees) and 149.449 (100), as above 3.090 sigma.
    assert!((chi_squared_score(29.588, 10) - 3.090).abs() < 0.02);
    assert!((chi_squared_score(149.449, 100) - 3.090).abs() < 0.02);
}

#[test]
fn exact_holds_every_index_once() {
    for k in 1..=20 {
        for len in [(1 << k) - 1, 1 << k, (1 << k) + 1] {
            let mut seen = vec![false; len];
            exact(len)(42, k).into_iter().for_each(|index| seen[index] = true);
            assert!(!seen.contains(&false), "len {len}");
        }
    }
}

#[test]
fn exact_gives_every_order_of_up_to_six() {
    let mut orders = 1;
    for len in 2..=6 {
        orders *= len as u64;
        for (walk, order) in walks(&exact(len)) {
            assert_fair(every_order(20 * orders.max(24), order), &format!("every order of {len} {walk}"));
        }
    }
}

#[test]
fn exact_is_fair_at_middle_lens() {
    for len in [7, 16, 17, 33, 64, 100] {
        for (walk, order) in walks(&exact(len)) {
            let what = |check| format!("{check} of {len} {walk}");
            let orders: Vec<_> = (0..2000).map(order).collect();
            let order = |t| orders[t as usize].clone();
            assert_fair(places(len, 2000, order), &what("places"));
            assert_fair(steps(len - 1, 2000, order), &what("steps"));
            assert_fair(parity(2000, order), &what("parity"));
            assert_fair(fixed_points(2000, order), &what("fixed points"));
        }
    }
}

/// 2^20 + 1 is the first length that goes through buckets.
#[test]
fn exact_is_fair_at_large_lens() {
    for (len, bins, trials) in [(1025, 32, 100), (4096, 64, 100), (65_537, 64, 4), ((1 << 20) + 1, 256, 2)] {
        for (walk, order) in walks(&exact(len)) {
            let orders: Vec<_> = (0..trials).map(order).collect();
            let order = |t| orders[t as usize].clone();
            let what = |check| format!("{check} of {len} {walk}");
            assert_fair(places(bins, trials, order), &what("places"));
            assert_fair(steps(bins, trials, order), &what("steps"));
            if trials >= 100 {
                assert_fair(parity(trials, order), &what("parity"));
                assert_fair(fixed_points(trials, order), &what("fixed points"));
            }
        }
    }
}

#[test]
fn permutation_is_fair() {
    for len in [1 << 16, (1 << 16) + 1, 257 * 257, 100_000] {
        for (walk, order) in walks(&permuted(len)) {
            let orders: Vec<_> = (0..4).map(order).collect();
            let order = |t| orders[t as usize].clone();
            let what = |check| format!("{check} of {len} {walk}");
            assert_fair(places(64, 4, order), &what("places"));
            assert_fair(places(128, 4, order), &what("places in detail"));
            assert_fair(steps(256, 4, order), &what("steps"));
        }
    }
}

/// 2^16 fills its grid; 257^2 and 257^2 - 1 would all but fill one of two odd sides. There every round would be an even
/// permutation, being made of rotations of an odd number of things, and no order would be odd (or, less one, even).
#[test]
fn permutation_has_odd_and_even_orders_and_fixed_points() {
    for len in [1 << 16, (1 << 16) + 1, 257 * 257 - 1, 257 * 257] {
        let order = permuted(len);
        let orders: Vec<_> = (0..100).map(|t| order(t, 0)).collect();
        let order = |t| orders[t as usize].clone();
        assert_fair(parity(100, order), &format!("parity of {len}"));
        assert_fair(fixed_points(100, order), &format!("fixed points of {len}"));
    }
}

/// Too long to go through: a stretch of each order, whose samples are then all but independent of each other.
#[test]
fn permutation_is_fair_at_huge_lens() {
    const SAMPLES: u64 = 1 << 16;
    for len in [1_000_000_000_000_u64, 1 << 48, 1 << 62] {
        let row = len.isqrt(); // where the left half of the position goes up by one
        let at = |seed, epoch| move |i| Permutation::new(len, seed).unwrap().at_epoch(epoch).get(i).unwrap();
        let stretch = |seed, epoch| -> Vec<u64> {
            let mut out = vec![0; SAMPLES as usize + 1];
            Permutation::new(len, seed).unwrap().try_fill(epoch, len / 3, &mut out).unwrap();
            out.into_iter().map(|sample| sample as u64).collect()
        };
        let minus = |a: u64, b: u64| (a + (len - b)) % len;
        let between = |a: Vec<u64>, b: Vec<u64>| a.into_iter().zip(b).map(|(a, b)| minus(a, b)).collect();
        let base = stretch(42, 6);
        let column: Vec<_> = (0..SAMPLES).map(|i| i * row % len).map(at(42, 6)).collect();
        let samples: [(&str, Vec<u64>); 8] = [
            ("along a row", base.clone()),
            ("steps along a row", base.windows(2).map(|pair| minus(pair[1], pair[0])).collect()),
            ("along a column", column.clone()),
            ("steps along a column", column.windows(2).map(|pair| minus(pair[1], pair[0])).collect()),
            ("from an epoch to the next", between(base.clone(), stretch(42, 7))),
            ("from (s, e + 1) to (s + 1, e)", between(base, stretch(43, 5))),
            ("over seeds", (0..SAMPLES / 4).map(|seed| at(seed, 0)(0)).collect()),
            ("over epochs", (0..SAMPLES / 4).map(|epoch| at(0, epoch)(0)).collect()),
        ];
        for (what, samples) in samples {
            let score = |bin: &dyn Fn(u64) -> u64| {
                let mut counts = [0; 256];
                samples.iter().for_each(|&sample| counts[bin(sample) as usize] += 1);
                chi_squared_score(chi_squared(counts.map(|count| (count, samples.len() as f64 / 256.0))), 255)
            };
            assert_fair(score(&|sample| sample / len.div_ceil(256)), &format!("high part {what}, len {len}"));
            assert_fair(score(&|sample| sample % 256), &format!("low part {what}, len {len}"));
        }
    }
}

// Bad shuffles are caught ----------------------------------------------------------------------------------------------

fn below(words: &mut ChaCha8Rng, bound: usize) -> usize {
    ((u128::from(words.next_u64()) * bound as u128) >> 64) as usize
}

/// Exchanges each of the `len` values, from the last to the second, with that at `other(random, its position)`.
fn exchanges(len: usize, seed: u64, other: impl Fn(&mut ChaCha8Rng, usize) -> usize) -> Order {
    let mut words = ChaCha8Rng::seed_from_u64(seed);
    let mut x: Order = (0..len).collect();
    for i in (1..len).rev() {
        x.swap(i, other(&mut words, i));
    }
    x
}

fn fisher_yates(len: usize, seed: u64) -> Order {
    exchanges(len, seed, |words, i| below(words, i + 1))
}

#[test]
fn a_fair_shuffle_by_other_means_passes() {
    assert_fair(every_order(2000, |t| fisher_yates(4, t)), "every order");
    assert_fair(places(16, 1000, |t| fisher_yates(16, t)), "places");
    assert_fair(steps(15, 1000, |t| fisher_yates(16, t)), "steps");
    assert_fair(parity(1000, |t| fisher_yates(16, t)), "parity");
    assert_fair(fixed_points(1000, |t| fisher_yates(16, t)), "fixed points");
}

#[test]
fn an_exchange_with_any_value_is_caught() {
    let biased = |len| move |t| exchanges(len, t, |words, _| below(words, len));
    assert_caught(every_order(2000, biased(4)), "every order");
    assert_caught(places(16, 1000, biased(16)), "places");
}

/// Sattolo's algorithm: a bound that is one too low gives only the orders that are one cycle.
#[test]
fn an_exchange_that_never_stays_is_caught() {
    let cyclic = |len| move |t| exchanges(len, t, below);
    assert_caught(every_order(2000, cyclic(4)), "every order");
    assert_caught(places(16, 1000, cyclic(16)), "places");
    assert_caught(fixed_points(100, cyclic(16)), "fixed points");
    assert_caught(parity(100, cyclic(16)), "parity");
}

#[test]
fn only_even_orders_are_caught() {
    let even = |len| {
        move |t| {
            let mut x = fisher_yates(len, t);
            let is_odd = parity(1, |_| x.clone()) < 0.0;
            x.swap(0, usize::from(is_odd));
            x
        }
    };
    assert_caught(every_order(2000, even(4)), "every order");
    assert_caught(parity(100, even(16)), "parity");
    assert_caught(parity(100, even(1024)), "parity");
}

#[test]
fn neighbours_that_stay_together_are_caught() {
    let pairs = |t| fisher_yates(8, t).into_iter().flat_map(|pair| [2 * pair, 2 * pair + 1]).collect();
    assert_caught(steps(15, 1000, pairs), "steps");
}

#[test]
fn seed_plus_epoch_is_caught() {
    let order = |seed: u64, epoch: u64| fisher_yates(16, seed + epoch);
    let [seeds, epochs, next_epoch, crossed] = walks(&order).map(|(_, order)| places(16, 1000, order));
    assert_fair(seeds, "over seeds");
    assert_fair(epochs, "over epochs");
    assert_fair(next_epoch, "from an epoch to the next");
    assert_caught(crossed, "from (s, e + 1) to (s + 1, e)");
}

// Splits are draws -----------------------------------------------------------------------------------------------------

/// The part of each sample, from labels, shares and a seed.
type Dealt = dyn Fn(&[usize], &[f64], u64) -> Vec<usize>;

fn stratified(labels: &[usize], shares: &[f64], seed: u64) -> Vec<usize> {
    let split = Split::stratified(labels, shares, seed).unwrap();
    (0..labels.len()).filter_map(|sample| split.part_of(sample)).collect()
}

/// As it was: classes in the order of their labels, and what is left of each to the parts that lack most. How many samples
/// of a class each part has does not depend on the seed.
fn by_label(labels: &[usize], shares: &[f64], seed: u64) -> Vec<usize> {
    let mut samples = fisher_yates(labels.len(), seed);
    samples.sort_by_key(|&sample| labels[sample]);
    let (mut parts, mut given, mut seen) = (vec![0; labels.len()], vec![0; shares.len()], 0);
    for class in samples.chunk_by(|&a, &b| labels[a] == labels[b]) {
        seen += class.len();
        let mut counts: Vec<_> = shares.iter().map(|share| (share * class.len() as f64 + 1e-9) as usize).collect();
        let lacks = |part: usize| shares[part] * seen as f64 - (given[part] + counts[part]) as f64;
        let mut behind: Vec<(f64, usize)> = (0..counts.len()).map(|part| (-lacks(part), part)).collect();
        behind.sort_by(|a, b| a.partial_cmp(b).unwrap());
        behind.iter().take(class.len() - counts.iter().sum::<usize>()).for_each(|&(_, part)| counts[part] += 1);
        let dealt = counts.iter().enumerate().flat_map(|(part, &count)| vec![part; count]);
        class.iter().zip(dealt).for_each(|(&sample, part)| parts[sample] = part);
        given.iter_mut().zip(counts).for_each(|(given, count)| *given += count);
    }
    parts
}

/// Even draws: of many classes of one size, each is equally likely to have one sample more than its share, rounded down, in
/// the last part (scikit-learn's `test_stratified_shuffle_split_even`). The scores of classes and of samples.
fn even_draws(classes: usize, size: usize, shares: &[f64], dealt: &Dealt) -> [f64; 2] {
    const SEEDS: usize = 1000;
    let labels: Vec<usize> = (0..classes * size).map(|sample| sample % classes).collect();
    let (mut of_class, mut of_sample) = (vec![0; classes], vec![0; labels.len()]);
    for seed in 0..SEEDS as u64 {
        let parts = dealt(&labels, shares, seed);
        for sample in (0..labels.len()).filter(|&sample| parts[sample] == shares.len() - 1) {
            of_class[labels[sample]] += 1;
            of_sample[sample] += 1;
        }
    }
    // The part's size is its share, rounded.
    let share = of_class.iter().sum::<usize>() as f64 / (SEEDS * labels.len()) as f64;
    let score = |counts: &[usize], mean: f64, extra: f64| {
        let variance = SEEDS as f64 * extra * (1.0 - extra);
        let sum: f64 = counts.iter().map(|&count| (count as f64 - SEEDS as f64 * mean).powi(2) / variance).sum();
        // One sum over all is fixed, as in `places`.
        let len = counts.len();
        chi_squared_score(sum * (len - 1) as f64 / len as f64, len - 1)
    };
    let mean = share * size as f64;
    [score(&of_class, mean, mean.fract()), score(&of_sample, share, share)]
}

/// Label invariance: other labels of the same classes change nothing (scikit-learn's
/// `test_stratified_kfold_label_invariance`). For how many of six ways to label three classes the split is the same.
fn invariant(shares: &[f64], dealt: &Dealt) -> usize {
    let class = |sample: usize| [0, 1, 2, 1, 1, 0, 1, 2, 1, 1, 1][sample % 11];
    let split =
        |labels: [usize; 3]| dealt(&(0..100).map(|sample| labels[class(sample)]).collect::<Vec<_>>(), shares, 42);
    let ways = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    ways.into_iter().filter(|&labels| split(labels) == split(ways[0])).count()
}

#[test]
fn stratified_splits_are_draws() {
    for (classes, size, shares) in [
        (2, 12, &[0.8, 0.2][..]),
        (100, 13, &[0.8, 0.2]),
        (100, 7, &[0.85, 0.15]),
        (60, 13, &[0.8, 0.1, 0.1]),
        (50, 7, &[0.2; 5]),
        (40, 33, &[0.35, 0.25, 0.2, 0.15, 0.05]),
    ] {
        for (score, of) in even_draws(classes, size, shares, &stratified).into_iter().zip(["classes", "samples"]) {
            assert_fair(score, &format!("even draws of {of}, {classes} of {size} in {shares:?}"));
        }
    }
    for shares in [&[0.25; 4][..], &[1.0 / 6.0; 6], &[1.0 / 7.0; 7], &[0.8, 0.2], &[0.5, 0.3, 0.2]] {
        assert_eq!(invariant(shares, &stratified), 6, "{shares:?}");
    }
}

#[test]
fn a_split_by_label_is_caught() {
    for (classes, size, shares) in [(100, 13, &[0.8, 0.2][..]), (100, 7, &[0.85, 0.15]), (50, 7, &[0.2; 5])] {
        for score in even_draws(classes, size, shares, &by_label) {
            assert_caught(score, "by label");
        }
    }
    for shares in [&[0.25; 4][..], &[0.8, 0.2], &[0.5, 0.3, 0.2]] {
        assert!(invariant(shares, &by_label) < 6, "{shares:?}");
    }
}

// Draws are fair -------------------------------------------------------------------------------------------------------

/// Each of `bins` equal parts of [0, 1) is hit equally often.
fn evenness(values: &[f64], bins: usize) -> f64 {
    let mut counts = vec![0; bins];
    values.iter().for_each(|x| counts[(x * bins as f64) as usize] += 1);
    let expected = values.len() as f64 / bins as f64;
    chi_squared_score(chi_squared(counts.into_iter().map(|count| (count, expected))), bins - 1)
}

/// Kolmogorov and Smirnov: how far the share of values below x is from x, at worst; scaled so that one in 10^6 is at 5.
fn kolmogorov(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let len = sorted.len() as f64;
    let above = |(i, x): (usize, &f64)| (x - i as f64 / len).abs().max((x - (i + 1) as f64 / len).abs());
    let distance = sorted.iter().enumerate().map(above).fold(0.0, f64::max) * len.sqrt();
    5.0 * distance / 2.7 // 2 exp(-2 · 2.7²) = 1e-6
}

/// The correlation of `a` and `b`, which are uniform.
fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| (a - 0.5) * (b - 0.5));
    let len = a.len().min(b.len()) as f64;
    products.sum::<f64>() * 12.0 / len.sqrt()
}

/// All scores of values that should be independent and uniform in [0, 1).
fn uniformity(values: &[f64]) -> Vec<(String, f64)> {
    let fine: Vec<f64> = values.iter().map(|x| (x * 4096.0).fract()).collect();
    let mut scores = vec![
        ("mean".into(), correlation(values, &vec![1.0; values.len()]) / 3.0_f64.sqrt()),
        ("64 bins".into(), evenness(values, 64)),
        ("1024 bins".into(), evenness(values, 1024)),
        ("256 bins of the low bits".into(), evenness(&fine, 256)),
        ("Kolmogorov-Smirnov".into(), kolmogorov(values)),
        ("high against low bits".into(), correlation(values, &fine)),
    ];
    for lag in [1, 2, 3, 4, 8, 16, 64, 128, 256] {
        scores.push((format!("lag {lag}"), correlation(values, &values[lag..])));
    }
    // Neighbours as the places of a 32 × 32 board.
    let pairs = values.chunks_exact(2).map(|pair| ((pair[0] * 32.0).floor() + pair[1]) / 32.0).collect::<Vec<_>>();
    scores.push(("pairs".into(), evenness(&pairs, 1024)));
    scores
}

/// Moments of what should be standard normal: E x = 0, E x² = 1, E x³ = 0, E x⁴ = 3, each over its standard deviation.
fn moments(values: &[f64]) -> Vec<(String, f64)> {
    let moment = |power, mean, variance: f64| {
        let sum: f64 = values.iter().map(|x| x.powi(power) - mean).sum();
        (format!("moment {power}"), sum / (variance * values.len() as f64).sqrt())
    };
    vec![moment(1, 0.0, 1.0), moment(2, 1.0, 2.0), moment(3, 0.0, 15.0), moment(4, 3.0, 96.0)]
}

/// Φ(x), by the series of the error function up to |x| = 6.
fn phi(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for k in 1..90 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    (0.5 + (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * sum).clamp(0.0, 1.0 - f64::EPSILON)
}

fn fair(scores: Vec<(String, f64)>, what: &str) {
    scores.into_iter().for_each(|(check, score)| assert_fair(score, &format!("{check} of {what}")));
}

fn caught(scores: Vec<(String, f64)>, what: &str) {
    let worst = scores.iter().map(|(_, score)| score.abs()).fold(0.0, f64::max);
    assert_caught(worst, what);
}

const DRAWS: usize = 1 << 16;

/// Streams, and first draws over seeds, purposes and counters: the ways in which a run comes by draws.
fn ways<T: Copy + Default>(fill: impl Fn(Draws, &mut [T])) -> Vec<(&'static str, Vec<T>)> {
    let stream = |draws: Draws| {
        let mut out = vec![T::default(); DRAWS];
        fill(draws, &mut out);
        out
    };
    let firsts = |draws: &dyn Fn(u64) -> Draws| {
        let first = |i| {
            let mut out = [T::default()];
            fill(draws(i), &mut out);
            out[0]
        };
        (0..DRAWS as u64 / 4).map(first).collect()
    };
    vec![
        ("a stream", stream(Draws::new("weights", [0, 0], 0))),
        ("another stream", stream(Draws::new("noise", [7, 1 << 40], u64::MAX))),
        ("firsts over seeds", firsts(&|i| Draws::new("noise", [0, 0], i))),
        ("firsts over purposes", firsts(&|i| Draws::new(&format!("{i}"), [0, 0], 42))),
        ("firsts over the first counter", firsts(&|i| Draws::new("noise", [i, 0], 42))),
        ("firsts over the second counter", firsts(&|i| Draws::new("noise", [0, i], 42))),
        ("firsts over both", firsts(&|i| Draws::new("noise", [i / 128, i % 128], 42))),
    ]
}

#[test]
fn uniform_draws_are_fair() {
    for (way, values) in ways(|mut draws, out: &mut [f64]| draws.fill_uniform(out)) {
        fair(uniformity(&values), &format!("uniform f64 over {way}"));
    }
    for (way, values) in ways(|mut draws, out: &mut [f32]| draws.fill_uniform(out)) {
        fair(uniformity(&values.into_iter().map(f64::from).collect::<Vec<_>>()), &format!("uniform f32 over {way}"));
    }
    // Each half of a word, and its lowest bits, which no float shows.
    for (way, words) in ways(|mut draws, out: &mut [u64]| draws.fill_words(out)) {
        let low: Vec<_> = words.iter().map(|&word| (word as u32) as f64 / 2.0_f64.powi(32)).collect();
        let lowest: Vec<_> = words.iter().map(|&word| (word % 4096) as f64 / 4096.0).collect();
        fair(uniformity(&low), &format!("the low half over {way}"));
        assert_fair(evenness(&lowest, 64), &format!("the lowest bits over {way}"));
    }
}

#[test]
fn normal_draws_are_fair() {
    for (way, values) in ways(|mut draws, out: &mut [f64]| draws.fill_normal(out)) {
        fair(moments(&values), &format!("normal f64 over {way}"));
        fair(uniformity(&values.into_iter().map(phi).collect::<Vec<_>>()), &format!("normal f64 over {way}"));
    }
    for (way, values) in ways(|mut draws, out: &mut [f32]| draws.fill_normal(out)) {
        let values: Vec<_> = values.into_iter().map(f64::from).collect();
        fair(moments(&values), &format!("normal f32 over {way}"));
        fair(uniformity(&values.into_iter().map(phi).collect::<Vec<_>>()), &format!("normal f32 over {way}"));
    }
}

/// The score of a count of what happens with probability `p`.
fn rate(count: usize, trials: usize, p: f64) -> f64 {
    (count as f64 - trials as f64 * p) / (trials as f64 * p * (1.0 - p)).sqrt()
}

/// How even integers below n are: in a bin each up to 1,000, else in 64 ranges.
fn integers(n: u64, values: &[u64]) -> f64 {
    let bins = if n <= 1000 { n as usize } else { 64 };
    evenness(&values.iter().map(|&value| (value as f64 + 0.5) / n as f64).collect::<Vec<_>>(), bins)
}

#[test]
fn integers_and_coins_are_fair() {
    // 3/4 of 2^64 would, without rejection, make every third number twice as likely.
    for n in [2, 3, 5, 10, 100, 1000, 1_000_003, 3 << 40, 3 << 62, u64::MAX] {
        for (way, values) in ways(|mut draws, out: &mut [u64]| draws.fill_below(n, out).unwrap()) {
            assert_fair(integers(n, &values), &format!("below {n} over {way}"));
            assert_fair(thirds(&values, n), &format!("remainders below {n} over {way}"));
        }
    }
    for p in [0.001, 0.1, 0.5, 0.9] {
        for (way, values) in ways(|mut draws, out: &mut [bool]| draws.fill_coin(p, out).unwrap()) {
            let heads = |values: &[bool]| values.iter().filter(|&&coin| coin).count();
            assert_fair(rate(heads(&values), values.len(), p), &format!("coin {p} over {way}"));
            let twice = values.chunks_exact(2).filter(|pair| pair[0] && pair[1]).count();
            assert_fair(rate(twice, values.len() / 2, p * p), &format!("two coins {p} over {way}"));
        }
    }
}

/// Remainders by 3, where they are equally likely (n divisible by 3) or all but so.
fn thirds(values: &[u64], n: u64) -> f64 {
    if n % 3 != 0 && n < 1 << 20 {
        return 0.0;
    }
    evenness(&values.iter().map(|value| ((value % 3) as f64 + 0.5) / 3.0).collect::<Vec<_>>(), 3)
}

/// Streams that differ a little have nothing to do with each other, draw by draw.
#[test]
fn streams_are_independent() {
    let stream = |seed, purpose, counters| {
        let mut out = vec![0.0_f64; DRAWS];
        Draws::new(purpose, counters, seed).fill_uniform(&mut out);
        out
    };
    let base = stream(5, "noise", [5, 5]);
    let others = [
        ("the next seed", stream(6, "noise", [5, 5])),
        ("another purpose", stream(5, "noisf", [5, 5])),
        ("the next first counter", stream(5, "noise", [6, 5])),
        ("the next second counter", stream(5, "noise", [5, 6])),
        ("seed and counter exchanged by one", stream(6, "noise", [4, 5])),
        ("one counter up, one down", stream(5, "noise", [4, 6])),
    ];
    for (what, other) in others {
        for lag in [0, 1, 2, 4, 8] {
            assert_fair(correlation(&base[lag..], &other), &format!("{what}, lag {lag}"));
            assert_fair(correlation(&other[lag..], &base), &format!("{what}, lag -{lag}"));
        }
        let between: Vec<_> = base.iter().zip(&other).map(|(a, b)| (a - b).rem_euclid(1.0).min(1.0 - 1e-16)).collect();
        fair(uniformity(&between), &format!("the difference to {what}"));
    }
    let (one, two) = (stream(5, "noise", [1, 2]), stream(5, "noise", [2, 1]));
    assert_fair(correlation(&one, &two), "counters exchanged");
}

/// 10^9 normal draws of each type: how many are beyond each of the half standard deviations up to 6, on each side.
/// `cargo test --release --features simd --test statistics -- --ignored`, 20 seconds.
#[test]
#[ignore = "2 · 10^9 draws"]
fn tails_of_a_billion_normals() {
    tails::<f64>();
    tails::<f32>();
}

fn tails<F: DrawFloat + Default + Into<f64>>() {
    const TRIALS: usize = 1_000_000_000;
    let mut beyond = [[0_usize; 13]; 2];
    let mut draws = Draws::new("tails", [0, 0], 2026);
    let mut out = vec![F::default(); 100_000];
    for _ in 0..TRIALS / out.len() {
        draws.fill_normal(&mut out);
        for &x in &out {
            // In the bin that it falls into; summed up below.
            let x: f64 = x.into();
            beyond[usize::from(x < 0.0)][((x.abs() * 2.0) as usize).min(12)] += 1;
        }
    }
    for (side, mut counts) in beyond.into_iter().enumerate() {
        (0..12).rev().for_each(|bin| counts[bin] += counts[bin + 1]);
        for (bin, count) in counts.into_iter().enumerate() {
            let (x, p) = (bin as f64 / 2.0, upper_tail(bin as f64 / 2.0));
            println!("beyond {x} on side {side}: {count}, expected {:.1}", TRIALS as f64 * p);
            // Where few are expected, a count has the wider tail of Poisson's distribution.
            let expected = TRIALS as f64 * p;
            assert!((count as f64 - expected).abs() < 5.0 * expected.sqrt() + 3.0, "{count} beyond {x}");
        }
    }
}

/// 1 - Φ(x): 1/2 at 0, else Laplace's continued fraction, in many steps since it is slow near 0.
fn upper_tail(x: f64) -> f64 {
    let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    if x < 3.0 { 1.0 - phi(x) } else { density / (1..500).rev().fold(x, |fraction, k| x + f64::from(k) / fraction) }
}

// Bad draws are caught -------------------------------------------------------------------------------------------------

fn words(seed: u64) -> impl Iterator<Item = u64> {
    let mut words = ChaCha8Rng::seed_from_u64(seed);
    std::iter::repeat_with(move || words.next_u64()).take(DRAWS)
}

#[test]
fn bad_uniforms_are_caught() {
    let unit = |word: u64| (word >> 11) as f64 / 2.0_f64.powi(53);
    fair(uniformity(&words(1).map(unit).collect::<Vec<_>>()), "good ones");
    caught(uniformity(&words(1).map(|word| unit(word & 0x3F << 58)).collect::<Vec<_>>()), "only six bits");
    caught(uniformity(&words(1).map(|word| unit(word >> 1)).collect::<Vec<_>>()), "the highest bit lost");
    caught(uniformity(&words(1).flat_map(|word| [unit(word); 2]).collect::<Vec<_>>()), "each word twice");
    caught(uniformity(&words(1).map(|word| unit(word & word << 32)).collect::<Vec<_>>()), "one half upon the other");
    caught(uniformity(&words(1).map(|word| unit(word).powf(1.05)).collect::<Vec<_>>()), "slightly towards 0");
    caught(uniformity(&(0..1 << 16).map(|i| f64::from(i) / 65_536.0).collect::<Vec<_>>()), "a counter");
}

#[test]
fn bad_normals_are_caught() {
    let unit = |word: u64| (word >> 11) as f64 / 2.0_f64.powi(53);
    let mut four = vec![0.0; DRAWS];
    for seed in 0..4 {
        four.iter_mut().zip(words(seed)).for_each(|(sum, word)| *sum += 3.0_f64.sqrt() * (unit(word) - 0.5));
    }
    caught(moments(&four), "the sum of four uniforms");
    let mut good = vec![0.0_f64; DRAWS];
    Draws::new("weights", [0, 0], 0).fill_normal(&mut good);
    caught(moments(&good.iter().map(|x| 1.02 * x).collect::<Vec<_>>()), "4 % more variance");
    caught(moments(&good.iter().map(|x| x.clamp(-2.5, 2.5)).collect::<Vec<_>>()), "clamped at 2.5");
    caught(moments(&good.iter().map(|x| x.abs()).collect::<Vec<_>>()), "no sign");
}

#[test]
fn bad_integers_are_caught() {
    let wide = |word: u64, n: u64| ((u128::from(word) * u128::from(n)) >> 64) as u64;
    // Without rejection, 3/4 of 2^64; a remainder; a bound one too low.
    assert_caught(thirds(&words(1).map(|word| wide(word, 3 << 62)).collect::<Vec<_>>(), 3 << 62), "no rejection");
    assert_caught(integers(3 << 62, &words(1).map(|word| word % (3 << 62)).collect::<Vec<_>>()), "a remainder");
    assert_caught(integers(10, &words(1).map(|word| wide(word, 9)).collect::<Vec<_>>()), "one too low");
}

// Draws by weight ------------------------------------------------------------------------------------------------------

/// Each sample as often as its weight says; one of weight 0 never.
fn by_weight(weights: &[f64], samples: &[usize]) -> f64 {
    let mut counts = vec![0; weights.len()];
    samples.iter().for_each(|&sample| counts[sample] += 1);
    let factor = samples.len() as f64 / weights.iter().sum::<f64>();
    let expected = counts.into_iter().zip(weights.iter().map(|weight| weight * factor));
    let (never, possible): (Vec<_>, Vec<_>) = expected.partition(|&(_, expected)| expected == 0.0);
    assert!(never.iter().all(|&(count, _)| count == 0), "a weight of 0 came");
    let degrees = possible.len() - 1;
    chi_squared_score(chi_squared(possible), degrees)
}

/// Each pair of samples, `lag` places apart, as often as the product of their weights says.
fn pairs_by_weight(weights: &[f64], samples: &[usize], lag: usize) -> f64 {
    let n = weights.len();
    let products: Vec<f64> = (0..n * n).map(|pair| weights[pair / n] * weights[pair % n]).collect();
    let pairs = samples.chunks_exact(2 * lag).flat_map(|chunk| (0..lag).map(|i| chunk[i] * n + chunk[i + lag]));
    by_weight(&products, &pairs.collect::<Vec<_>>())
}

/// Both, of what `sample` gives.
fn weighted_scores(weights: &[f64], samples: &[usize]) -> Vec<(String, f64)> {
    let mut scores = vec![("each sample".into(), by_weight(weights, samples))];
    for lag in [1, 2, 4, 16, 64] {
        scores.push((format!("pairs {lag} apart"), pairs_by_weight(weights, samples, lag)));
    }
    scores
}

fn some_weights() -> [Vec<f64>; 5] {
    [
        vec![1.0, 3.0],
        vec![0.3, 0.0, 0.1, 0.35, 0.25],
        vec![1.0; 10],
        (1..=16).map(f64::from).collect(),
        (0..33).map(|i| f64::from(i * i % 7)).collect(),
    ]
}

#[test]
fn weighted_draws_are_fair() {
    for weights in some_weights() {
        let epoch = |seed, number, len| {
            let order = Weighted::new(&weights, len, seed).unwrap();
            Batcher::over(&order, 1).unwrap().epoch(number).indices().to_vec()
        };
        let first = |seed, number| epoch(seed, number, 1)[0];
        let walks = [
            ("in an epoch", epoch(1, 0, DRAWS)),
            ("in a late epoch", epoch(u64::MAX, u64::MAX, DRAWS)),
            ("over epochs", (0..DRAWS as u64 / 4).map(|number| first(42, number)).collect()),
            ("over seeds", (0..DRAWS as u64 / 4).map(|seed| first(seed, 0)).collect()),
        ];
        for (walk, samples) in walks {
            fair(weighted_scores(&weights, &samples), &format!("{} weights {walk}", weights.len()));
        }
    }
    // In two epochs, and under two seeds, place by place.
    let weights = [1.0, 3.0, 2.0];
    let epoch = |seed, number| {
        Batcher::over(Weighted::new(&weights, DRAWS, seed).unwrap(), 1).unwrap().epoch(number).indices().to_vec()
    };
    for other in [epoch(1, 1), epoch(2, 0)] {
        let both: Vec<usize> = epoch(1, 0).into_iter().zip(other).flat_map(|(a, b)| [a, b]).collect();
        assert_fair(pairs_by_weight(&weights, &both, 1), "two epochs, two seeds");
    }
}

/// The table of `weights`, for as many as a power of two: below which part of a bucket its own sample comes, and the other.
fn alias_table(weights: &[f64]) -> Vec<(f64, usize)> {
    let sum: f64 = weights.iter().sum();
    let mut heights: Vec<f64> = weights.iter().map(|weight| weight * weights.len() as f64 / sum).collect();
    let mut table: Vec<_> = (0..weights.len()).map(|i| (1.0, i)).collect();
    let mut light: Vec<usize> = (0..weights.len()).filter(|&i| heights[i] < 1.0).collect();
    while let Some(i) = light.pop() {
        let Some(giver) = (0..weights.len()).find(|&j| heights[j] > 1.0) else { break };
        table[i] = (heights[i], giver);
        heights[giver] -= 1.0 - heights[i];
        heights[i] = 1.0;
        light.extend((heights[giver] < 1.0).then_some(giver));
    }
    table
}

#[test]
fn bad_weighted_draws_are_caught() {
    let weights: Vec<f64> = (1..=16).map(f64::from).collect();
    let table = alias_table(&weights);
    let unit = |word: u64| (word >> 11) as f64 / 2.0_f64.powi(53);
    let draw = |table: &[(f64, usize)], bucket: usize, part: f64| {
        if part < table[bucket].0 { bucket } else { table[bucket].1 }
    };
    let of = |table: &[(f64, usize)], bucket: fn(u64) -> u64, part: fn(u64) -> u64| {
        words(1).map(|word| draw(table, bucket(word) as usize, unit(part(word)))).collect::<Vec<_>>()
    };
    fair(weighted_scores(&weights, &of(&table, |word| word >> 60, |word| word << 4)), "a table by other means");
    let caught = |samples: &[usize], what: &str| caught(weighted_scores(&weights, samples), what);
    caught(&of(&table, |word| word >> 60, |word| word), "the bits of the bucket once more");
    caught(&of(&table, |word| word % 16, |word| word << 60), "the low bits once more");
    let mut wrong = table.clone();
    wrong[2].0 += 0.25;
    caught(&of(&wrong, |word| word >> 60, |word| word << 4), "a threshold off by a quarter of a bucket");
    let mut wrong = table.clone();
    wrong[0].1 = (wrong[0].1 + 1) % 16;
    caught(&of(&wrong, |word| word >> 60, |word| word << 4), "another alias in one bucket");
    let held: Vec<usize> =
        of(&table, |word| word >> 60, |word| word << 4).into_iter().flat_map(|sample| [sample; 2]).collect();
    caught(&held[..DRAWS], "each place twice");
}
