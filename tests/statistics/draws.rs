//! Draws, uniform, normal and by weight.

use gradstep::{Batcher, DrawFloat, Draws, Weighted};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Scores, caught, chi_squared, chi_squared_score, equal_counts, fair, one};

// Draws are fair -------------------------------------------------------------------------------------------------------

/// Each of `bins` equal parts of [0, 1) is hit equally often.
fn evenness(values: &[f64], bins: usize) -> f64 {
    let mut counts = vec![0; bins];
    values.iter().for_each(|x| counts[(x * bins as f64) as usize] += 1);
    equal_counts(counts, values.len() as f64 / bins as f64)
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
fn uniformity(values: &[f64]) -> Scores {
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
fn moments(values: &[f64]) -> Scores {
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

const DRAWS: usize = 1 << 16;

fn of<T>(values: impl IntoIterator<Item = T>, number: impl Fn(T) -> f64) -> Vec<f64> {
    values.into_iter().map(number).collect()
}

/// Streams, and first draws over seeds, purposes and counters: the ways in which a run gets draws.
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
    fn floats<F: DrawFloat + Default + Into<f64>>() {
        for (way, values) in ways(|mut draws, out: &mut [F]| draws.fill_uniform(out)) {
            fair(uniformity(&of(values, Into::into)), &format!("uniform draws over {way}"));
        }
    }
    floats::<f64>();
    floats::<f32>();
    // Each half of a word, and its lowest bits, which no float shows.
    for (way, words) in ways(|mut draws, out: &mut [u64]| draws.fill_words(out)) {
        let lowest = of(words.iter().copied(), |word| (word % 4096) as f64 / 4096.0);
        fair(
            uniformity(&of(words, |word| f64::from(word as u32) / 2.0_f64.powi(32))),
            &format!("the low half over {way}"),
        );
        fair(one("the lowest bits", evenness(&lowest, 64)), way);
    }
}

#[test]
fn normal_draws_are_fair() {
    fn floats<F: DrawFloat + Default + Into<f64>>() {
        for (way, values) in ways(|mut draws, out: &mut [F]| draws.fill_normal(out)) {
            let values = of(values, Into::into);
            fair(moments(&values), &format!("normal draws over {way}"));
            fair(uniformity(&of(values, phi)), &format!("normal draws over {way}"));
        }
    }
    floats::<f64>();
    floats::<f32>();
}

/// The score of a count of what happens with probability `p`.
fn rate(count: usize, trials: usize, p: f64) -> f64 {
    (count as f64 - trials as f64 * p) / (trials as f64 * p * (1.0 - p)).sqrt()
}

/// How even integers below n are: in a bin each up to 1,000, else in 64 ranges.
fn integers(n: u64, values: &[u64]) -> f64 {
    let bins = if n <= 1000 { n as usize } else { 64 };
    evenness(&of(values, |&value| (value as f64 + 0.5) / n as f64), bins)
}

#[test]
fn integers_and_coins_are_fair() {
    // 3/4 of 2^64 would, without rejection, make every third number twice as likely.
    for n in [2, 3, 5, 10, 100, 1000, 1_000_003, 3 << 40, 3 << 62, u64::MAX] {
        for (way, values) in ways(|mut draws, out: &mut [u64]| draws.fill_below(n, out).unwrap()) {
            fair(one("numbers", integers(n, &values)), &format!("below {n} over {way}"));
            fair(one("remainders", thirds(n, &values)), &format!("below {n} over {way}"));
        }
    }
    for p in [0.001, 0.1, 0.5, 0.9] {
        for (way, values) in ways(|mut draws, out: &mut [bool]| draws.fill_coin(p, out).unwrap()) {
            let heads = |values: &[bool]| values.iter().filter(|&&coin| coin).count();
            fair(one("heads", rate(heads(&values), values.len(), p)), &format!("{p} over {way}"));
            let twice = values.chunks_exact(2).filter(|pair| pair[0] && pair[1]).count();
            fair(one("two heads", rate(twice, values.len() / 2, p * p)), &format!("{p} over {way}"));
        }
    }
}

/// Remainders by 3, where they are equally likely (n divisible by 3) or nearly so.
fn thirds(n: u64, values: &[u64]) -> f64 {
    if n % 3 != 0 && n < 1 << 20 {
        return 0.0;
    }
    evenness(&of(values, |value| ((value % 3) as f64 + 0.5) / 3.0), 3)
}

/// Streams whose settings differ a little are independent, draw by draw.
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
            fair(one("correlation", correlation(&base[lag..], &other)), &format!("{what}, lag {lag}"));
            fair(one("correlation", correlation(&other[lag..], &base)), &format!("{what}, lag -{lag}"));
        }
        let between: Vec<_> = base.iter().zip(&other).map(|(a, b)| (a - b).rem_euclid(1.0).min(1.0 - 1e-16)).collect();
        fair(uniformity(&between), &format!("the difference to {what}"));
    }
    let (one, two) = (stream(5, "noise", [1, 2]), stream(5, "noise", [2, 1]));
    fair(self::one("correlation", correlation(&one, &two)), "counters exchanged");
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

fn unit(word: u64) -> f64 {
    (word >> 11) as f64 / 2.0_f64.powi(53)
}

#[test]
fn bad_uniforms_are_caught() {
    fair(uniformity(&of(words(1), unit)), "good ones");
    caught(uniformity(&of(words(1), |word| unit(word & 0x3F << 58))), "only six bits");
    caught(uniformity(&of(words(1), |word| unit(word >> 1))), "the highest bit lost");
    caught(uniformity(&of(words(1).flat_map(|word| [word; 2]), unit)), "each word twice");
    caught(uniformity(&of(words(1), |word| unit(word & word << 32))), "one half upon the other");
    caught(uniformity(&of(words(1), |word| unit(word).powf(1.05))), "slightly towards 0");
    caught(uniformity(&of(0..1 << 16, |i| f64::from(i) / 65_536.0)), "a counter");
}

#[test]
fn bad_normals_are_caught() {
    let mut four = vec![0.0; DRAWS];
    for seed in 0..4 {
        four.iter_mut().zip(words(seed)).for_each(|(sum, word)| *sum += 3.0_f64.sqrt() * (unit(word) - 0.5));
    }
    caught(moments(&four), "the sum of four uniforms");
    let mut good = vec![0.0_f64; DRAWS];
    Draws::new("weights", [0, 0], 0).fill_normal(&mut good);
    caught(moments(&of(&good, |x| 1.02 * x)), "4 % more variance");
    caught(moments(&of(&good, |x| x.clamp(-2.5, 2.5))), "clamped at 2.5");
    caught(moments(&of(&good, |x| x.abs())), "no sign");
}

#[test]
fn bad_integers_are_caught() {
    let wide = |n: u64| move |word: u64| ((u128::from(word) * u128::from(n)) >> 64) as u64;
    let caught = |score, what: &str| caught(one("evenness", score), what);
    caught(thirds(3 << 62, &words(1).map(wide(3 << 62)).collect::<Vec<_>>()), "3/4 of 2^64 without rejection");
    caught(integers(3 << 62, &words(1).map(|word| word % (3 << 62)).collect::<Vec<_>>()), "a remainder");
    caught(integers(10, &words(1).map(wide(9)).collect::<Vec<_>>()), "a bound one too low");
}

// Draws by weight ------------------------------------------------------------------------------------------------------

/// Each sample is as frequent as its weight says; one of weight 0 never comes.
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
fn weighted_scores(weights: &[f64], samples: &[usize]) -> Scores {
    let mut scores = vec![("each sample".into(), by_weight(weights, samples))];
    for lag in [1, 2, 4, 16, 64] {
        scores.push((format!("pairs {lag} apart"), pairs_by_weight(weights, samples, lag)));
    }
    scores
}

fn epoch(weights: &[f64], len: usize, seed: u64, number: u64) -> Vec<usize> {
    Batcher::over(Weighted::new(weights, len, seed).unwrap(), 1).unwrap().epoch(number).indices().to_vec()
}

#[test]
fn weighted_draws_are_fair() {
    for weights in [
        vec![1.0, 3.0],
        vec![0.3, 0.0, 0.1, 0.35, 0.25],
        vec![1.0; 10],
        (1..=16).map(f64::from).collect(),
        (0..33).map(|i| f64::from(i * i % 7)).collect(),
    ] {
        let first = |seed, number| epoch(&weights, 1, seed, number)[0];
        let walks = [
            ("in an epoch", epoch(&weights, DRAWS, 1, 0)),
            ("in a late epoch", epoch(&weights, DRAWS, u64::MAX, u64::MAX)),
            ("over epochs", (0..DRAWS as u64 / 4).map(|number| first(42, number)).collect()),
            ("over seeds", (0..DRAWS as u64 / 4).map(|seed| first(seed, 0)).collect()),
        ];
        for (walk, samples) in walks {
            fair(weighted_scores(&weights, &samples), &format!("{} weights {walk}", weights.len()));
        }
    }
    // In two epochs, and under two seeds, place by place.
    let weights = [1.0, 3.0, 2.0];
    let epoch = |seed, number| epoch(&weights, DRAWS, seed, number);
    for other in [epoch(1, 1), epoch(2, 0)] {
        let both: Vec<usize> = epoch(1, 0).into_iter().zip(other).flat_map(|(a, b)| [a, b]).collect();
        fair(one("pairs", pairs_by_weight(&weights, &both, 1)), "two epochs, two seeds");
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
