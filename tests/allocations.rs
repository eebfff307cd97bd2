//! No allocation in a step, in an epoch that is refilled, or per batch.
#![cfg(not(feature = "rayon"))] // the queue of its pool allocates

use allocation_counter::measure;
use gradstep::{
    Accumulator, Batcher, ByName, Draws, Grads, LossScale, Mixture, MomentumRule, Optimizer, Order, ParamGroups,
    Permutation, ReduceOnPlateau, Schedule, Sgd, Subset, WeightAverage, Weighted, check_finite, clip_global_norm,
    clip_value, elementwise, elementwise_rows, gather, global_norm, stable_hash,
};

mod common;

fn allocates_nothing<T>(what: &str, work: impl FnOnce() -> T) {
    let mut result = None;
    let info = measure(|| result = Some(work()));
    assert_eq!(info.count_total, 0, "{what}");
}

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(std::hint::black_box(vec![0_u8; 100]))).count_total, 1);
}

#[test]
fn steps() {
    for len in [1, 1000, 300_000] {
        let (mut params, grads) = (vec![1.0; len], vec![0.5; len]);
        for (name, mut optimizer) in common::optimizers(len) {
            allocates_nothing(&name, || optimizer.step(&mut params, &grads).unwrap());
            let grads = Grads::new(&grads).scaled(0.5);
            allocates_nothing(&name, || optimizer.step_with(&mut params, grads).unwrap());
            allocates_nothing(&name, || optimizer.step_clipped(&mut params, grads, 0.1).unwrap());
        }
        let (rule, mut velocity) = (MomentumRule::new(0.1, 0.9), vec![0.0; len]);
        allocates_nothing("MomentumRule", || rule.step(&mut params, &mut velocity, &grads).unwrap());
        let mut state = vec![0.0; len];
        allocates_nothing("elementwise", || {
            elementwise(&mut params, [&mut state], &grads, |p, [s], g| (p - g, [s + g]))
        });
        allocates_nothing("elementwise_rows", || {
            elementwise_rows(&mut params, [&mut state], len, &[0], &grads, |_, p, [s], g| (p - g, [s + g])).unwrap()
        });
    }
}

#[test]
#[cfg(feature = "half")]
fn half_precision() {
    use common::HalfScalar;
    use half::bf16;
    let (mut params, grads, wide) = (vec![bf16::ONE; 1000], vec![bf16::ONE; 1000], vec![0.5; 1000]);
    for (name, _, mut optimizer) in bf16::nestings(&params) {
        allocates_nothing(&name, || optimizer.step(&mut params, &grads).unwrap());
        for grads in [Grads::new(&grads).scaled(0.5), Grads::from_f32(&wide)] {
            allocates_nothing(&name, || optimizer.step_with(&mut params, grads).unwrap());
            allocates_nothing(&name, || optimizer.step_clipped(&mut params, grads, 0.1).unwrap());
        }
    }
    let mut master = gradstep::MasterCopy::new(Sgd::new(0.1).unwrap(), &params).unwrap();
    allocates_nothing("refresh", || master.refresh(&params).unwrap());
    allocates_nothing("write_params", || master.write_params(&mut params).unwrap());
}

#[test]
fn groups() {
    let mut model = ParamGroups::new();
    let names: Vec<String> = (0..20).map(|i| format!("tensor {i}")).collect();
    for name in &names {
        model.insert(name.as_str(), Sgd::new(0.1).unwrap()).unwrap();
    }
    let (mut params, grads) = (vec![[1.0; 3]; 20], [0.5; 3]);
    let params = params.iter_mut().map(|params| &mut params[..]);
    let mut tensors: Vec<_> =
        names.iter().zip(params).map(|(name, params)| (name.as_str(), params, &grads[..])).collect();
    allocates_nothing("in order", || model.step(&mut tensors).unwrap());
    tensors.reverse();
    allocates_nothing("in another order", || model.step(&mut tensors).unwrap());
    allocates_nothing("one at a time", || {
        model.step_each(|visit| tensors.iter_mut().try_for_each(|(name, p, g)| visit(name, p, Grads::new(g)))).unwrap();
    });
    let mut tensors: Vec<_> = tensors.into_iter().map(|(name, p, g)| (name, p, Grads::new(g).scaled(0.5))).collect();
    allocates_nothing("scaled", || model.step_with(&mut tensors).unwrap());
    allocates_nothing("clipped", || model.step_clipped(&mut tensors, 0.1).unwrap());
    tensors.reverse();
    allocates_nothing("clipped, in order", || model.step_clipped(&mut tensors, 0.1).unwrap());
    allocates_nothing("removed", || model.remove("tensor 7").unwrap());
}

#[test]
fn settings() {
    let schedule = Schedule::geometric(1e-6, 1.0, 100).unwrap();
    let schedule = schedule.then(100, Schedule::polynomial(1.0, 0.0, u32::MAX.into(), 1 << 40).unwrap());
    let schedule = schedule.then(109, Schedule::cosine_restarts(1.0, 0.0, 7, 2).unwrap());
    allocates_nothing("a rate", || [0, 37, 100, 108, 109, u64::MAX].map(|step| schedule.at(step)));
    allocates_nothing("a hash", || stable_hash(b"images"));
    let mut plateau = ReduceOnPlateau::new(0.5, 0).unwrap();
    allocates_nothing("a loss", || [1.0, 1.0].map(|loss| plateau.step(loss).unwrap()));
    let mut loss_scale = LossScale::new(1.0, 1).unwrap();
    allocates_nothing("a result", || loss_scale.update(Ok(())).unwrap());
}

#[test]
fn gradients() {
    let mut grads = [vec![0.5; 10_000], vec![0.25; 3]];
    allocates_nothing("check", || check_finite::<f64>(&grads).unwrap());
    allocates_nothing("check scaled", || Grads::new(&grads[0]).scaled(0.5).check_finite().unwrap());
    allocates_nothing("clip", || clip_global_norm::<f64, _>(&mut grads, 0.5).unwrap());
    allocates_nothing("clip each value", || clip_value::<f64, _>(&mut grads, 0.1).unwrap());
    allocates_nothing("norm", || global_norm(&[&[0.0_f64; 10][..], &[1e-200]]).unwrap()); // in four passes
    let mut accumulator = Accumulator::new(10_000).unwrap();
    allocates_nothing("accumulate", || {
        accumulator.add(&grads[0], 3).unwrap();
        accumulator.mean(&mut grads[0]).unwrap();
        accumulator.reset();
        grads[0][7] = f64::NAN;
        accumulator.add(&grads[0], 3).unwrap();
    });
}

#[test]
fn averages_and_accumulators() {
    let mut params = vec![0.5_f32; 300_000];
    let mut average = WeightAverage::ema(0.9, params.len()).unwrap();
    allocates_nothing("the first update", || average.update(&params).unwrap());
    allocates_nothing("update", || average.update(&params).unwrap());
    allocates_nothing("swap", || average.swap(&mut params).unwrap());
    allocates_nothing("swap back", || average.swap(&mut params).unwrap());
    let mut halves = vec![half::bf16::ONE; params.len()];
    allocates_nothing("write_params", || average.write_params(&mut halves).unwrap());

    let names = ["a", "b", "c"];
    let mut averages = ByName::new(names.map(|name| (name, WeightAverage::mean(2).unwrap()))).unwrap();
    let mut accumulators = ByName::new(names.map(|name| (name, Accumulator::new(2).unwrap()))).unwrap();
    let (given, mut params) = ([0.25_f32, 0.5], [[1.0_f32; 2]; 3]);
    for names in [names, ["c", "a", "b"]] {
        let given = names.map(|name| (name, &given[..]));
        let mut params = params.each_mut().map(|params| &mut params[..]).into_iter();
        let mut params = names.map(|name| (name, params.next().unwrap()));
        allocates_nothing("averages", || averages.update(&given).unwrap());
        allocates_nothing("averages, swap", || averages.swap(&mut params).unwrap());
        allocates_nothing("averages, swap back", || averages.swap(&mut params).unwrap());
        allocates_nothing("averages, write", || averages.write_params(&mut params).unwrap());
        allocates_nothing("accumulators", || accumulators.add(&given, 3).unwrap());
        allocates_nothing("accumulators, mean", || accumulators.mean(&mut params).unwrap());
        allocates_nothing("accumulators, reset", || accumulators.reset());
    }
}

#[test]
fn epochs_and_batches() {
    // The last two have buckets, the last stages for them.
    for len in [10, 1000, (1 << 20) + 1, (1 << 22) + 1] {
        let batcher = Batcher::new(len, len / 2, 1).unwrap();
        let mut epoch = batcher.epoch(0);
        allocates_nothing("refill", || epoch.refill(1));
        allocates_nothing("batches", || epoch.iter().map(<[usize]>::len).sum::<usize>());
        let mut stream = batcher.stream();
        let shard = batcher.shard(1, 2).unwrap();
        for _ in 0..4 {
            allocates_nothing("stream", || shard.of(stream.next_batch().unwrap()).len());
        }
    }
    let (rows, mut out) = (vec![0_u8; 1000], Vec::new());
    gather(&rows, 10, &[1, 2, 3], &mut out).unwrap();
    allocates_nothing("gather", || gather(&rows, 10, &[7, 99], &mut out).unwrap());
    let mut stream = Batcher::over(Permutation::new(1 << 31, 1).unwrap(), 100).unwrap().stream();
    allocates_nothing("the first batch of random access", || stream.next_batch().map(<[usize]>::len));
    let subset = Subset::new((0..100).collect()).unwrap().shuffled(1).unwrap();
    let mut part = Batcher::over(subset, 7).unwrap().stream();
    allocates_nothing("a part", || (0..30).map(|_| part.next_batch().map_or(0, <[usize]>::len)).sum::<usize>());
    allocates_nothing("where a stream is", || (stream.epoch(), stream.samples(), stream.is_epoch_end()));
    let mut clone = stream.clone();
    allocates_nothing("a clone", || clone.next_batch().map(<[usize]>::len));
    // Windows of other lengths in each epoch, with scratch; batches that are longer and shorter.
    for (len, block_len, batch_size) in [(1000, 30, 7), (1000, 30, 400), (1000, 7, 999), (10, 20, 3)] {
        let batcher = Batcher::over(common::Blocks { len, block_len }, batch_size).unwrap();
        let mut epoch = batcher.epoch(0);
        allocates_nothing("refill by windows", || epoch.refill(5));
        let mut stream = batcher.stream();
        for _ in 0..300 {
            allocates_nothing("batches of windows", || stream.next_batch().map(<[usize]>::len));
        }
    }
    let labels: Vec<usize> = (0..1000).map(|i| i * i % 7).collect();
    let permutations = vec![Permutation::new(1 << 20, 1).unwrap(), Permutation::new(1 << 17, 2).unwrap()];
    let blocks = vec![common::Blocks { len: 100, block_len: 30 }, common::Blocks { len: 30, block_len: 7 }];
    let orders: [Box<dyn Order>; 7] = [
        Box::new(gradstep::Blocks::new(1003, 10, 7, 1).unwrap().with_lanes(3).unwrap()),
        Box::new(gradstep::Blocks::new(1 << 18, 2, 100, 1).unwrap()),
        Box::new(Weighted::new(&[1.0, 0.0, 2.5], 1000, 1).unwrap()),
        Box::new(Mixture::stratified(&labels, 1).unwrap()),
        Box::new(Mixture::balanced(&labels, 300, 1).unwrap()),
        Box::new(Mixture::of_sets(permutations, &[1, 3], 10_000).unwrap()),
        Box::new(Mixture::new(blocks, &[1, 3], 333).unwrap().with_shares_from(3, &[2, 1]).unwrap()),
    ];
    for order in &orders {
        let batcher = Batcher::over(order, 100).unwrap();
        let mut epoch = batcher.epoch(0);
        allocates_nothing("refill by blocks, by weight and of mixtures", || epoch.refill(5));
        let mut stream = batcher.stream();
        for _ in 0..30 {
            allocates_nothing("batches of them", || stream.next_batch().map(<[usize]>::len));
        }
    }
    let mut draws = Draws::new("noise", [0, 0], 1);
    let (mut numbers, mut integers, mut coins) = ([0.0_f32; 1000], [0; 1000], [false; 1000]);
    allocates_nothing("draws", || {
        Draws::new("noise", [0, 1], 1).fill_normal(&mut numbers);
        draws.fill_uniform(&mut numbers);
        draws.fill_words(&mut integers);
        draws.fill_below(10, &mut integers).unwrap();
        draws.fill_coin(0.5, &mut coins).unwrap();
        let position = draws.position();
        draws.seek(position);
    });
}
