use alloc::{boxed::Box, format, vec, vec::Vec};

use gradstep::{
    Accumulator, Adam, Batcher, Blocks, DrawFloat, Draws, Error, Grads, Mixture, Momentum, MomentumForm, Optimizer,
    Order, Permutation, Schedule, Sequential, Sgd, Shuffle, Split, Subset, WeightAverage, WeightDecay, Weighted,
    clip_global_norm, clip_value, global_norm,
};
use num_traits::{Float, ToPrimitive};

#[cfg(feature = "half")]
type Master<H> = gradstep::MasterCopy<H, Adam<f32>>;

/// Prints a line per digest. Every line has the same value on every machine and with every set of features.
pub(crate) fn all(print: impl Fn(&str)) -> Result<(), Error> {
    let say = |name: &str, words: Vec<u64>| print(&format!("{:016x} {name}", digest(&words)));
    say("shuffle", order(Shuffle::new(1_003, 42)?)?);
    say("sequential", order(Sequential::new(10)?)?);
    say("permutation", permutation(70_001)?);
    say("a large permutation", permutation(1 << 50)?);
    say("subset", order(Subset::new(vec![7, 3, 99, 12, 5, 12, 0, 4, 8])?.shuffled(42)?)?);
    say("weighted", order(Weighted::new(&[0.5, 1e-9, 7.25, 0.0, 1e300, 3e299], 503, 42)?)?);
    say("mixture", order(Mixture::of_sets(vec![Shuffle::new(50, 1)?, Shuffle::new(300, 2)?], &[2, 5], 203)?)?);
    say("stratified", order(Mixture::stratified(&labels(203), 42)?)?);
    say("balanced", order(Mixture::balanced(&labels(203), 300, 42)?)?);
    say("blocks", order(Blocks::new(1_003, 10, 7, 42)?.with_lanes(3)?)?);
    say("splits", splits()?);
    say("draws of f32", draws::<f32>()?);
    say("draws of f64", draws::<f64>()?);
    say("schedules", schedules()?);
    say("steps of f32", steps::<f32>(211)?);
    say("steps of f64", steps::<f64>(211)?);
    say("norms of f32", norms::<f32>(1_003)?);
    say("norms of f64", norms::<f64>(1_003)?);
    say("averages of f32", averages::<f32>(211)?);
    say("averages of f64", averages::<f64>(211)?);
    #[cfg(feature = "half")]
    {
        say("steps of bf16", half_steps::<half::bf16>(Master::new)?);
        say("steps of f16", half_steps::<half::f16>(Master::new)?);
    }
    #[cfg(feature = "serde")]
    say("saved", saved()?);
    // Long enough for threads. A bare machine has too little memory.
    #[cfg(not(target_os = "none"))]
    {
        say("long steps", steps::<f32>(300_007)?);
        say("long norms", norms::<f32>(300_007)?);
        say("long averages", averages::<f32>(300_007)?);
    }
    Ok(())
}

/// FNV-1a.
fn digest(words: &[u64]) -> u64 {
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn order(order: impl Order + Clone) -> Result<Vec<u64>, Error> {
    let batcher = Batcher::over(order, 7)?;
    let mut words = vec![];
    for epoch in [0, 1, 1 << 40] {
        words.extend(batcher.as_ref().epoch(epoch).indices().iter().map(|&sample| sample as u64));
    }
    let mut stream = batcher.stream();
    for _ in 0..3 * batcher.batches_per_epoch() / 2 {
        words.extend(stream.next_batch().into_iter().flatten().map(|&sample| sample as u64));
    }
    Ok(words)
}

/// Some places of an order that is too long for a table.
fn permutation(len: u64) -> Result<Vec<u64>, Error> {
    let order = Permutation::new(len, 42)?.at_epoch(3);
    Ok((0..1_000).map(|i| order.get(len / 1_000 * i + i % 7).unwrap_or(u64::MAX)).collect())
}

fn labels(len: u64) -> Vec<u64> {
    (0..len).map(|i| i * i % 7 % 3).collect()
}

fn splits() -> Result<Vec<u64>, Error> {
    let (labels, groups, shares) = (labels(200), (0..200).map(|i| i * 7 % 31).collect::<Vec<u64>>(), [0.5, 0.3, 0.2]);
    let splits = [
        Split::new(1_003, &shares, 42)?,
        Split::of_counts(&[100, 20, 3], 42)?,
        Split::stratified(&labels, &shares, 42)?,
        Split::by_group(&groups, &shares, 42)?,
        Split::stratified_by_group(&labels, &groups, &shares, 42)?,
        Split::in_order(200, &shares, 5)?,
        Split::by_key(groups.iter().copied(), &shares, 42)?,
    ];
    let mut words = vec![];
    for split in &splits {
        words.extend((0..split.len()).map(|sample| split.part_of(sample).map_or(u64::MAX, |part| part as u64)));
    }
    Ok(words)
}

fn bits<F: ToPrimitive>(values: &[F]) -> impl Iterator<Item = u64> {
    values.iter().map(|value| value.to_f64().map_or(u64::MAX, f64::to_bits))
}

fn draws<F: DrawFloat + ToPrimitive + Default + Copy>() -> Result<Vec<u64>, Error> {
    let mut draws = Draws::new("digests", [1, 2], 42);
    let (mut values, mut below, mut coins) = (vec![F::default(); 1_003], vec![0; 1_003], vec![false; 1_003]);
    let mut words = vec![draws.word(), draws.below(1_000_000_007)?];
    draws.fill_below(12_345_678_901, &mut below)?;
    words.extend_from_slice(&below);
    draws.fill_coin(0.3, &mut coins)?;
    words.extend(coins.iter().map(|&coin| u64::from(coin)));
    draws.fill_uniform(&mut values);
    words.extend(bits(&values));
    draws.fill_normal(&mut values);
    words.extend(bits(&values));
    words.extend(bits(&[draws.uniform::<F>(), draws.normal()]));
    words.push(draws.position());
    Ok(words)
}

fn schedules() -> Result<Vec<u64>, Error> {
    let schedules = [
        Schedule::linear(0.1, 0.003, 1_000)?,
        Schedule::polynomial(0.1, 0.003, 2.5, 1_000)?,
        Schedule::geometric(1e-6, 1.0, 1_000)?,
        Schedule::piecewise_constant(0.1, &[(30, 0.01), (800, 0.001)])?,
        Schedule::step_decay(0.1, 0.97, 3)?,
        Schedule::inverse_time(0.1, 0.7, 100)?,
        Schedule::cosine(0.1, 0.003, 1_000)?,
        Schedule::cosine_restarts(0.1, 0.003, 100, 2)?,
        Schedule::one_cycle(0.01, 0.1, 0.001, 300.0, 700.0)?.then(500, Schedule::constant(0.2)?),
    ];
    Ok(schedules.iter().flat_map(|schedule| (0..1_010).step_by(7).map(|k| schedule.at(k).to_bits())).collect())
}

/// Numbers of many magnitudes, some of them subnormal.
fn values<F: Float>(len: usize, at: u64) -> Vec<F> {
    let mut draws = Draws::new("values", [at, 0], 42);
    let small = F::min_positive_value() / F::from(2).unwrap_or(F::one());
    let value = |i| {
        let value: F = F::from(draws.normal::<f32>()).unwrap_or(F::nan());
        if i % 17 == 3 { value * small } else { value }
    };
    (0..len).map(value).collect()
}

fn steps<F: Float + Send + Sync + 'static>(len: usize) -> Result<Vec<u64>, Error> {
    let momentum = |form, decay| Momentum::new(0.1, 0.9, len)?.with_form(form).with_weight_decay(decay);
    let (coupled, decoupled) = (WeightDecay::Coupled(0.01), WeightDecay::Decoupled(0.01));
    let mut rules: Vec<Box<dyn Optimizer<F>>> = vec![
        Box::new(Sgd::new(0.1)?.with_weight_decay(coupled)?),
        Box::new(momentum(MomentumForm::Classical, decoupled)?),
        Box::new(momentum(MomentumForm::Nesterov, coupled)?),
        Box::new(momentum(MomentumForm::PyTorch, WeightDecay::None)?),
        Box::new(momentum(MomentumForm::PyTorchNesterov, decoupled)?),
        Box::new(Adam::new(0.01, len)?.with_weight_decay(decoupled)?),
    ];
    let mut words = vec![];
    for rule in &mut rules {
        let mut params = values(len, 0);
        for step in 1..4 {
            let grads = values(len, step);
            rule.step(&mut params, &grads)?;
            rule.step_with(&mut params, Grads::new(&grads).scaled(0.7))?;
            words.push(rule.step_clipped(&mut params, Grads::new(&grads), 2.5)?.to_bits());
        }
        words.extend(bits(&params));
    }
    Ok(words)
}

fn norms<F: Float + Send + Sync + 'static>(len: usize) -> Result<Vec<u64>, Error> {
    let mut grads = [values::<F>(len, 0), values(3, 1), values(100, 2)];
    let mut words = vec![global_norm(&grads)?.to_bits(), clip_global_norm(&mut grads, 3.0)?.to_bits()];
    words.extend(bits(&grads[0]));
    clip_value(&mut grads, 0.01)?;
    words.extend(bits(&grads[0]));
    // Gradients whose squares underflow or overflow in f32.
    let far = |by: f64| values::<F>(len, 3).into_iter().map(move |x| x * F::from(by).unwrap_or(F::nan()));
    for by in [1e-30, 1e30] {
        words.push(global_norm(&[far(by).collect::<Vec<F>>()])?.to_bits());
    }
    Ok(words)
}

fn averages<F: Float + Send + Sync + 'static>(len: usize) -> Result<Vec<u64>, Error> {
    let (mut mean, mut ema) = (WeightAverage::<F>::mean(len)?, WeightAverage::ema(0.9, len)?.with_warmup());
    let (mut accumulator, mut grads) = (Accumulator::new(len)?, vec![F::zero(); len]);
    for at in 0..5 {
        let values = values(len, at);
        mean.update(&values)?;
        ema.update(&values)?;
        accumulator.add(&values, 3 + at as usize)?;
    }
    accumulator.mean(&mut grads)?;
    Ok(bits(mean.values()?).chain(bits(ema.values()?)).chain(bits(&grads)).collect())
}

#[cfg(feature = "half")]
fn half_steps<H: Float>(new: impl FnOnce(Adam<f32>, &[H]) -> Result<Master<H>, Error>) -> Result<Vec<u64>, Error>
where
    Master<H>: Optimizer<H>,
{
    let mut params = values::<H>(211, 0);
    let mut master = new(Adam::new(0.01, params.len())?, &params)?;
    for step in 1..4 {
        master.step(&mut params, &values(211, step))?;
    }
    Ok(bits(&params).collect())
}

#[cfg(feature = "serde")]
fn saved() -> Result<Vec<u64>, Error> {
    let mut adam = Adam::new(0.01, 21)?;
    adam.step(&mut values::<f32>(21, 0), &values(21, 1))?;
    let position = Batcher::new(100, 10, 42)?.position(3, 20)?;
    let text = serde_json::to_string(&(adam, position, Schedule::cosine(0.1, 0.003, 1_000)?)).unwrap_or_default();
    Ok(text.bytes().map(u64::from).collect())
}
