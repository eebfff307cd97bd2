//! Splits of any labels, keys and shares are rejected where the documentation says so. All others put every sample into
//! one part, meet the shares, and give orders over their parts. Further targets: any weights; mixtures of any orders in
//! any shares; blocks; and draws from any position, one at a time or many.
#![no_main]

mod common;

use std::{collections::BTreeMap, ops::Range};

use arbitrary::Arbitrary;
use common::Whole;
use gradstep::{
    Batcher, Blocks, DrawFloat, Draws, Error, Mixture, Order, Permutation, Sequential, Shuffle, Split, Subset, Weighted,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input {
    /// The class of each sample, which serves as its group and its key too.
    labels: Vec<u8>,
    shares: Shares,
    seed: u64,
    part: Whole,
    purpose: String,
    counters: [u64; 2],
    position: Whole,
    n: u64,
    p: f64,
    weights: Vec<f64>,
    /// For each source of a mixture its kind, its length, and its shares before and after the change.
    sources: Vec<(u8, u8, u16, u8)>,
    len: u8,
    change: u8,
    epoch: u64,
}

#[derive(Arbitrary, Debug)]
enum Shares {
    Any(Vec<f64>),
    /// The shares are these numbers divided by their sum.
    Weights(Vec<u16>),
}

fuzz_target!(|input: Input| {
    splits(&input);
    weighted(&input);
    mixture(&input);
    blocks(&input);
    draws(&input);
});

fn blocks(input: &Input) {
    let (len, block_len, per_window, lanes) =
        (input.n % 5000, input.len.into(), u64::from(input.change), input.counters[0] % 9);
    let valid = (1..=len).contains(&block_len) && (1..=len.div_ceil(block_len)).contains(&per_window);
    let order = Blocks::new(len, block_len, per_window, input.seed);
    assert_eq!(order.is_ok(), valid, "{order:?}");
    let Ok(order) = order.and_then(|order| order.with_lanes(lanes)) else { return };
    let mut samples = Batcher::over(order, 1).unwrap().epoch(input.epoch).indices().to_vec();
    let place = input.counters[1] % (len + 1);
    let run = order.run(input.epoch, place);
    if let Ok(window) = order.window(input.epoch, place, 0..lanes) {
        let in_window = |place: u64| order.row(&window, samples[place as usize]).is_some();
        assert!((0..len).all(|place| in_window(place) == run.contains(&place)));
    }
    samples.sort_unstable();
    assert!(samples.into_iter().eq(0..len as usize));
    // In an order of up to 2^62 samples, a window has the samples of the ranges that it names.
    let (per_window, block_len) = (1 + per_window, 1 + block_len);
    let Ok(order) = Blocks::new(input.n, block_len, per_window, input.seed) else { return };
    let run = order.run(input.epoch, input.counters[1]);
    let mut out = vec![0; (run.end - run.start) as usize];
    if order.try_fill(input.epoch, run.start, &mut out).is_ok() {
        out.sort_unstable();
        let window = order.window(input.epoch, run.start, 0..1).unwrap();
        assert!(window.into_iter().flatten().map(|sample| sample as usize).eq(out));
    }
}

fn weighted(input: &Input) {
    let (weights, len) = (&input.weights, usize::from(input.len));
    let order = Weighted::new(weights, len, input.seed);
    let valid =
        weights.iter().all(|&weight| weight >= 0.0 && weight.is_finite()) && weights.iter().any(|&weight| weight > 0.0);
    assert_eq!(order.is_ok(), valid && len > 0, "{order:?}");
    let Ok(order) = order else { return };
    let samples = Batcher::over(&order, 1).unwrap().epoch(input.epoch).indices().to_vec();
    assert!(samples.iter().all(|&sample| weights[sample] > 0.0));
    let start = usize::from(input.change) % len;
    let mut part = vec![0; len - start];
    order.try_fill(input.epoch, start as u64, &mut part).unwrap();
    assert_eq!(part, samples[start..]);
}

fn mixture(input: &Input) {
    let source = |&(kind, len, ..): &(u8, u8, u16, u8)| -> Result<Box<dyn Order>, Error> {
        let len = usize::from(len);
        Ok(match kind % 4 {
            0 => Box::new(Shuffle::new(len, input.seed)?),
            1 => Box::new(Sequential::new(len)?),
            2 => Box::new(Permutation::new(len as u64 + (1 << 16), input.seed)?),
            _ => Box::new(Weighted::new(&[1.0, 3.0], len, input.seed)?),
        })
    };
    let sources: Result<Vec<_>, _> = input.sources.iter().map(source).collect();
    let Ok(sources) = sources else { return };
    let shares: Vec<u64> = input.sources.iter().map(|&(.., share, _)| share.into()).collect();
    let other_shares: Vec<u64> = input.sources.iter().map(|&(.., share)| share.into()).collect();
    let (len, change, k) = (u64::from(input.len), u64::from(input.change), sources.len());
    let mixture = Mixture::of_sets(sources, &shares, len);
    assert_eq!(mixture.is_ok(), k > 0 && len > 0 && !shares.contains(&0));
    let Ok(mixture) = mixture else { return };
    let mixture = mixture.with_shares_from(change, &other_shares);
    assert_eq!(mixture.is_ok(), change > 0 && !other_shares.contains(&0));
    let Ok(mixture) = mixture else { return };
    let batcher = Batcher::over(&mixture, 1).unwrap();
    batcher.epoch(input.epoch);
    // Each source gives its own epochs in turn, and at any time as many samples as its share is, give or take one.
    let sum: u64 = shares.iter().sum();
    let (mut counts, mut t) = (vec![0_u64; k], 0);
    let mut runs = vec![(0, vec![]); k]; // for each source the first place and the samples of the run that it is in
    for number in 0..change.min(3) {
        for &index in batcher.epoch(number).indices() {
            let (source, sample) = (index % k, index / k);
            let (count, (start, run)) = (&mut counts[source], &mut runs[source]);
            if *count == *start + run.len() as u64 {
                let own = &mixture.sources()[source];
                let (epoch, place) = (*count / own.len(), *count % own.len());
                let places = own.run(epoch, place);
                assert_eq!(places.start, place);
                (*start, *run) = (*count, vec![0; (places.end - place) as usize]);
                own.try_fill(epoch, place, run).unwrap();
            }
            assert_eq!(sample, run[(*count - *start) as usize]);
            (*count, t) = (*count + 1, t + 1);
            assert!(counts.iter().zip(&shares).all(|(count, share)| (count * sum).abs_diff(t * share) < sum));
        }
    }
}

fn splits(input: &Input) {
    let shares = match &input.shares {
        Shares::Any(shares) => shares.clone(),
        Shares::Weights(weights) => {
            let sum: f64 = weights.iter().copied().map(f64::from).sum();
            weights.iter().map(|&weight| f64::from(weight) / sum).collect()
        }
    };
    let (labels, len) = (&input.labels, input.labels.len());
    let sum: f64 = shares.iter().sum();
    let valid = !shares.is_empty() && shares.iter().all(|&share| share > 0.0) && (sum - 1.0).abs() <= 1e-6;
    let near = ((sum - 1.0).abs() - 1e-6).abs() < 1e-9; // `sum` may be rounded to the other side
    let mut classes = BTreeMap::<u8, Vec<usize>>::new();
    for (sample, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(sample);
    }
    let all = Vec::from_iter(0..len);
    // Whether the shares give every part a sample of a class, and whether rounding decides that.
    let smallest = shares.iter().copied().fold(1.0, f64::min) / sum;
    let sure = |class: &Vec<usize>| smallest * class.len() as f64 >= 1.0 - 1e-6;
    let close = |class: &Vec<usize>| (smallest * class.len() as f64 - 1.0).abs() < 1e-5;

    groups(input, &shares, labels);
    let made = [
        Split::new(len, &shares, input.seed),
        Split::stratified(labels, &shares, input.seed),
        Split::by_key(labels.iter().map(|&label| label.into()), &shares, input.seed),
    ];
    for (i, split) in made.into_iter().enumerate() {
        if let Err(error) = &split {
            let right = match error {
                Error::EmptyPart { .. } => valid && (i == 2 || smallest * (len as f64) < 1.0),
                Error::SmallClass { .. } => {
                    valid && i == 1 && !classes.values().all(sure) | classes.values().any(close)
                }
                _ => !valid || (i < 2 && shares.len() > len),
            };
            assert!(near || right, "{error}");
            continue;
        }
        let split = split.unwrap();
        assert!(near || valid && (i != 1 || classes.values().all(|class| sure(class) || close(class))), "{split:?}");
        assert_eq!((split.len(), split.parts(), split.part_of(len)), (len, shares.len(), None));
        assert!(!split.counts().contains(&0));
        let groups = if i == 0 { vec![&all] } else { classes.values().collect() };
        for group in groups {
            let mut counts = vec![0; shares.len()];
            group.iter().for_each(|&sample| counts[split.part_of(sample).unwrap()] += 1);
            for (share, &count) in shares.iter().zip(&counts) {
                let met = (f64::from(count) - share / sum * group.len() as f64).abs() < 1.0 + 1e-6;
                assert!(if i < 2 { met } else { [0, group.len() as i32].contains(&count) }, "{counts:?}");
                assert!(i != 1 || count > 0, "{counts:?}");
            }
        }
        let again = Split::of_counts(split.counts(), input.seed).unwrap();
        assert!(again.counts() == split.counts() && (i > 0 || again == split));
        let part = input.part.get() as usize;
        let (inside, outside) = all.iter().partition(|&&sample| split.part_of(sample) == Some(part));
        for part in split.part(part).iter().chain(&split.all_but(part)) {
            split_again(part, &shares, usize::from(input.len % 8));
        }
        parts(split.part(part), part < shares.len(), inside, input.seed);
        parts(split.all_but(part), part < shares.len() && shares.len() > 1, outside, input.seed);
    }
}

/// Groups stay whole, and no part is empty.
fn groups(input: &Input, shares: &[f64], groups: &[u8]) {
    let labels: Vec<u8> = groups.iter().zip(0_u8..=255).map(|(group, i)| (group ^ i) % 5).collect();
    let labels: Vec<u8> = labels.into_iter().chain(std::iter::repeat(9)).take(groups.len()).collect();
    let plain = Split::by_group(groups, shares, input.seed);
    let stratified = Split::stratified_by_group(&labels, groups, shares, input.seed);
    assert_eq!(plain.is_ok(), stratified.is_ok());
    for split in [plain, stratified].into_iter().flatten() {
        assert!(!split.counts().contains(&0) && split.counts().iter().sum::<usize>() == groups.len());
        let mut part = BTreeMap::new();
        for (sample, group) in groups.iter().enumerate() {
            assert_eq!(*part.entry(group).or_insert(split.part_of(sample)), split.part_of(sample));
        }
    }
    let distinct: std::collections::BTreeSet<_> = groups.iter().collect();
    assert!(distinct.len() >= shares.len() || Split::by_group(groups, shares, input.seed).is_err());
}

/// A part, split again and in order: each of its samples is in one of the new parts, or in a gap.
fn split_again(part: &Subset, shares: &[f64], gap: usize) {
    let Ok(split) = part.split(|samples| Split::in_order(samples.len(), shares, gap)) else { return };
    let samples = part.samples();
    let mut start = 0;
    for (k, &count) in split.counts().iter().enumerate() {
        assert_eq!(split.part(k).unwrap().samples(), &samples[start..start + count]);
        assert!(k == 0 || split.before(k).unwrap().samples() == &samples[..start - gap]);
        start += count + gap;
    }
    assert_eq!(start - gap, samples.len());
}

/// The order of a part has its samples, ascending or shuffled.
fn parts(part: Result<Subset, Error>, exists: bool, samples: Vec<usize>, seed: u64) {
    assert_eq!(part.is_ok(), exists && !samples.is_empty());
    let Ok(part) = part else { return };
    assert_eq!(part.samples(), samples);
    let batch_size = samples.len().min(7);
    let batcher = Batcher::over(part.clone(), batch_size).unwrap();
    assert_eq!(batcher.epoch(seed).indices(), samples);
    let mut shuffled = Batcher::over(part.shuffled(seed).unwrap(), batch_size).unwrap().epoch(seed).indices().to_vec();
    shuffled.sort_unstable();
    assert_eq!(shuffled, samples);
}

fn draws(input: &Input) {
    let draws = Draws::new(&input.purpose, input.counters, input.seed);
    let at = |position: u64| {
        let mut draws = draws.clone();
        draws.seek(position);
        draws
    };
    let start = input.position.get();
    assert_eq!(at(start).position(), start);
    if let Some(next) = start.checked_add(1) {
        let mut one = at(start);
        one.uniform::<f32>();
        assert_eq!(one, at(next));
    }
    let (mut words, mut single) = ([0; 100], at(start));
    at(start).fill_words(&mut words);
    assert!(words.iter().all(|&word| word == single.word()));
    if let Some(end) = start.checked_add(200) {
        assert_eq!(single, at(end));
    }

    let (mut filled, mut single, mut filling) = ([0; 100], at(start), at(start));
    assert_eq!(filling.fill_below(input.n, &mut filled).is_ok(), input.n > 0);
    if input.n > 0 {
        assert!(filled.iter().all(|&number| number < input.n && Ok(number) == single.below(input.n)));
    }
    assert_eq!(single, filling);

    let (mut coins, mut single, mut filling) = ([false; 100], at(start), at(start));
    let holds = (0.0..=1.0).contains(&input.p);
    assert_eq!(filling.fill_coin(input.p, &mut coins).is_ok(), holds);
    if holds {
        assert!(coins.iter().all(|&coin| Ok(coin) == single.coin(input.p)));
        assert!(input.p > 0.0 || !coins.contains(&true));
        assert!(input.p < 1.0 || !coins.contains(&false));
    }
    assert_eq!(single, filling);

    reals::<f32>(&at(start), 1e-10..6.34);
    reals::<f64>(&at(start), 1e-20..9.3);
}

fn reals<F: DrawFloat + Default + PartialEq + Into<f64>>(draws: &Draws, magnitudes: Range<f64>) {
    let (mut uniform, mut normal) = ([F::default(); 100], [F::default(); 100]);
    draws.clone().fill_uniform(&mut uniform);
    draws.clone().fill_normal(&mut normal);
    let mut single = [draws.clone(), draws.clone()];
    assert!(uniform.iter().all(|&x| (0.0..1.0).contains(&x.into()) && x == single[0].uniform()));
    assert!(normal.iter().all(|&x| magnitudes.contains(&x.into().abs()) && x == single[1].normal()));
}
