//! Orders and splits: the same checks for `Shuffle` and `Permutation`, and for shuffles made bad on purpose.

use gradstep::{Batcher, Order as _, Permutation, Split};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Scores, caught, chi_squared, chi_squared_score, equal_counts, fair, one};

type Order = Vec<usize>;

// The checks -----------------------------------------------------------------------------------------------------------

/// Each of the len! orders is equally likely.
fn every_order(orders: &[Order]) -> f64 {
    let len = orders[0].len();
    let mut counts = vec![0; (1..=len).product()];
    for x in orders {
        // Its number in the alphabet: at each place, how many smaller ones are still to come.
        let number = (0..len).fold(0, |number, i| {
            let smaller = x[i + 1..].iter().filter(|&&later| later < x[i]).count();
            number * (len - i) + smaller
        });
        counts[number] += 1;
    }
    let expected = orders.len() as f64 / counts.len() as f64;
    equal_counts(counts, expected)
}

/// Each value is equally likely at each position; of both, `bins` ranges are told apart.
fn places(bins: usize, orders: &[Order]) -> f64 {
    let (len, trials) = (orders[0].len(), orders.len() as f64);
    let bin = |index: usize| index * bins / len;
    let mut counts = vec![0; bins * bins];
    for (position, &value) in orders.iter().flat_map(|x| x.iter().enumerate()) {
        counts[bin(position) * bins + bin(value)] += 1;
    }
    let mut sizes = vec![0.0; bins];
    (0..len).for_each(|index| sizes[bin(index)] += 1.0);
    let expected = |cell: usize| trials * sizes[cell / bins] * sizes[cell % bins] / len as f64;
    let chi_squared = chi_squared(counts.into_iter().enumerate().map(|(cell, count)| (count, expected(cell))));
    // A row or column sum is fixed in each order: hence the degrees, and the factor of sampling without replacement.
    chi_squared_score(chi_squared * (len - 1) as f64 / len as f64, (bins - 1).pow(2))
}

/// From each value to the next one, each step mod len is equally likely; of len - 1 steps, `bins` ranges are told apart.
fn steps(bins: usize, orders: &[Order]) -> f64 {
    let len = orders[0].len();
    let bin = |step: usize| (step - 1) * bins / (len - 1);
    let mut counts = vec![0; bins];
    for pair in orders.iter().flat_map(|x| x.windows(2)) {
        counts[bin((pair[1] + len - pair[0]) % len)] += 1;
    }
    let mut expected = vec![0.0; bins];
    (1..len).for_each(|step| expected[bin(step)] += orders.len() as f64);
    chi_squared_score(chi_squared(counts.into_iter().zip(expected)), bins - 1)
}

/// As many exchanges away from 0, 1, 2, … as is even.
fn is_even(x: &Order) -> bool {
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
}

/// Half of the orders are even.
fn parity(orders: &[Order]) -> f64 {
    let (even, trials) = (orders.iter().filter(|x| is_even(x)).count(), orders.len() as f64);
    (2.0 * even as f64 - trials) / trials.sqrt()
}

/// One value per order stands at its own position, on average, with variance 1.
fn fixed_points(orders: &[Order]) -> f64 {
    let (all, trials) = (orders.iter().flat_map(|x| x.iter().enumerate()), orders.len() as f64);
    let count = all.filter(|(position, value)| position == *value).count();
    (count as f64 - trials) / trials.sqrt()
}

/// Parity and fixed points only where there are enough orders for them.
fn scores(place_bins: usize, step_bins: usize, orders: &[Order]) -> Scores {
    let mut scores = vec![("places".into(), places(place_bins, orders)), ("steps".into(), steps(step_bins, orders))];
    if orders.len() >= 100 {
        scores.extend([("parity".into(), parity(orders)), ("fixed points".into(), fixed_points(orders))]);
    }
    scores
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

// The sources ----------------------------------------------------------------------------------------------------------

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

/// `trials` orders in each of the four ways in which a run goes through orders, or from one to the next. `order` is a
/// function of (seed, epoch).
fn walks(trials: u64, order: impl Fn(u64, u64) -> Order) -> [(&'static str, Vec<Order>); 4] {
    let orders = |order: &dyn Fn(u64) -> Order| (0..trials).map(order).collect();
    [
        ("over seeds", orders(&|t| order(t, 0))),
        ("over epochs", orders(&|t| order(42, t))),
        ("from an epoch to the next", orders(&|t| relative(&order(42, t), &order(42, t + 1)))),
        ("from (s, e + 1) to (s + 1, e)", orders(&|t| relative(&order(t, 6), &order(t + 1, 5)))),
    ]
}

// Both orders are fair -------------------------------------------------------------------------------------------------

#[test]
fn exact_gives_every_order_of_up_to_six() {
    let mut count = 1;
    for len in 2..=6 {
        count *= len as u64;
        for (walk, orders) in walks(20 * count.max(24), exact(len)) {
            fair(one("every order", every_order(&orders)), &format!("{len} {walk}"));
        }
    }
}

/// 2^20 + 1 is the first length that goes through buckets.
#[test]
fn exact_is_fair() {
    let middle = [7, 16, 17, 33, 64, 100].map(|len| (len, len, len - 1, 2000));
    let large = [(1025, 32, 100), (4096, 64, 100), (65_537, 64, 4), ((1 << 20) + 1, 256, 2)];
    let large = large.map(|(len, bins, trials)| (len, bins, bins, trials));
    for (len, place_bins, step_bins, trials) in middle.into_iter().chain(large) {
        for (walk, orders) in walks(trials, exact(len)) {
            fair(scores(place_bins, step_bins, &orders), &format!("{len} {walk}"));
        }
    }
}

#[test]
fn permutation_is_fair() {
    for len in [1 << 16, (1 << 16) + 1, 257 * 257, 100_000] {
        for (walk, orders) in walks(4, permuted(len)) {
            fair(scores(64, 256, &orders), &format!("{len} {walk}"));
            fair(one("places in detail", places(128, &orders)), &format!("{len} {walk}"));
        }
    }
}

/// 2^16 fills its grid; 257^2 and 257^2 - 1 would all but fill one of two odd sides. There every round would be an even
/// permutation, being made of rotations of an odd number of things, and no order would be odd (or, less one, even).
#[test]
fn permutation_has_odd_and_even_orders_and_fixed_points() {
    for len in [1 << 16, (1 << 16) + 1, 257 * 257 - 1, 257 * 257] {
        let orders: Vec<_> = (0..100).map(|seed| permuted(len)(seed, 0)).collect();
        fair(one("parity", parity(&orders)), &format!("{len}"));
        fair(one("fixed points", fixed_points(&orders)), &format!("{len}"));
    }
}

/// Too long to go through: a stretch of each order, whose samples are nearly independent of each other.
#[test]
fn permutation_is_fair_at_huge_lens() {
    const SAMPLES: u64 = 1 << 16;
    for len in [1_000_000_000_000_u64, 1 << 48, 1 << 62] {
        let row = len.isqrt(); // where the left half of the position goes up by one
        let at = |seed, epoch| move |i| Permutation::new(len, seed).unwrap().at_epoch(epoch).get(i).unwrap();
        let stretch = |seed, epoch| (len / 3..=len / 3 + SAMPLES).map(at(seed, epoch)).collect::<Vec<u64>>();
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
                let mut counts = vec![0; 256];
                samples.iter().for_each(|&sample| counts[bin(sample) as usize] += 1);
                equal_counts(counts, samples.len() as f64 / 256.0)
            };
            fair(one("high part", score(&|sample| sample / len.div_ceil(256))), &format!("{len} {what}"));
            fair(one("low part", score(&|sample| sample % 256)), &format!("{len} {what}"));
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

fn orders(trials: u64, order: impl Fn(u64) -> Order) -> Vec<Order> {
    (0..trials).map(order).collect()
}

#[test]
fn a_fair_shuffle_by_other_means_passes() {
    fair(one("every order", every_order(&orders(2000, |t| fisher_yates(4, t)))), "Fisher and Yates");
    fair(scores(16, 15, &orders(1000, |t| fisher_yates(16, t))), "Fisher and Yates");
}

#[test]
fn bad_shuffles_are_caught() {
    let caught = |check: &str, score, what: &str| caught(one(check, score), what);
    let biased = |len| move |t| exchanges(len, t, |words, _| below(words, len));
    caught("every order", every_order(&orders(2000, biased(4))), "an exchange with any value");
    caught("places", places(16, &orders(1000, biased(16))), "an exchange with any value");
    // Sattolo's algorithm: a bound that is one too low gives only the orders that are one cycle.
    let cyclic = |len| move |t| exchanges(len, t, below);
    caught("every order", every_order(&orders(2000, cyclic(4))), "an exchange that never stays");
    caught("places", places(16, &orders(1000, cyclic(16))), "an exchange that never stays");
    caught("fixed points", fixed_points(&orders(100, cyclic(16))), "an exchange that never stays");
    caught("parity", parity(&orders(100, cyclic(16))), "an exchange that never stays");
    let even = |len| {
        move |t| {
            let mut x = fisher_yates(len, t);
            let is_odd = !is_even(&x);
            x.swap(0, usize::from(is_odd));
            x
        }
    };
    caught("every order", every_order(&orders(2000, even(4))), "even orders only");
    caught("parity", parity(&orders(100, even(16))), "even orders only");
    caught("parity", parity(&orders(100, even(1024))), "even orders only");
    let pairs = |t| fisher_yates(8, t).into_iter().flat_map(|pair| [2 * pair, 2 * pair + 1]).collect();
    caught("steps", steps(15, &orders(1000, pairs)), "neighbours that stay together");
    let sum = walks(1000, |seed, epoch| fisher_yates(16, seed + epoch)).map(|(_, orders)| places(16, &orders));
    caught("places", sum[3], "seed plus epoch");
    sum[..3].iter().for_each(|&score| fair(one("places", score), "seed plus epoch, by itself"));
}

// Splits are draws -----------------------------------------------------------------------------------------------------

/// The part of each sample, from labels, shares and a seed.
type Dealt = dyn Fn(&[usize], &[f64], u64) -> Vec<usize>;

fn stratified(labels: &[usize], shares: &[f64], seed: u64) -> Vec<usize> {
    let split = Split::stratified(labels, shares, seed).unwrap();
    (0..labels.len()).filter_map(|sample| split.part_of(sample)).collect()
}

/// Classes in the order of their labels, and what is left of each to the parts that lack most. How many samples of a class each
/// part has does not depend on the seed.
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
            fair(one("even draws", score), &format!("{of}, {classes} of {size} in {shares:?}"));
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
            caught(one("even draws", score), "by label");
        }
    }
    for shares in [&[0.25; 4][..], &[0.8, 0.2], &[0.5, 0.3, 0.2]] {
        assert!(invariant(shares, &by_label) < 6, "{shares:?}");
    }
}
