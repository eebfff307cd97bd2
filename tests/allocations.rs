//! No allocation in a step, in an epoch that is refilled, or per batch.
#![cfg(not(feature = "rayon"))] // the queue of its pool allocates

use allocation_counter::measure;
use gradstep::{
    Batcher, Draws, Optimizer, ParamGroups, Permutation, Sgd, check_finite, clip_global_norm, elementwise, gather,
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
        }
        let mut state = vec![0.0; len];
        allocates_nothing("elementwise", || {
            elementwise(&mut params, [&mut state], &grads, |p, [s], g| (p - g, [s + g]))
        });
    }
}

#[test]
#[cfg(feature = "half")]
fn half_precision() {
    let (mut params, grads) = (vec![half::bf16::ONE; 1000], vec![half::bf16::ONE; 1000]);
    for (name, _, mut optimizer) in common::half_optimizers(&params) {
        allocates_nothing(&name, || optimizer.step(&mut params, &grads).unwrap());
    }
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
}

#[test]
fn gradients() {
    let mut grads = [vec![0.5; 10_000], vec![0.25; 3]];
    allocates_nothing("check", || check_finite::<f64>(&grads).unwrap());
    allocates_nothing("clip", || clip_global_norm::<f64, _>(&mut grads, 0.5).unwrap());
}

#[test]
fn epochs_and_batches() {
    // The last has buckets.
    for len in [10, 1000, (1 << 20) + 1] {
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
    let mut stream = Batcher::over(Permutation::new(1 << 40, 1).unwrap(), 100).unwrap().stream();
    stream.next_batch().unwrap();
    allocates_nothing("permutation", || stream.next_batch().map(<[usize]>::len));
    let mut draws = Draws::new(1, "noise", [0, 0]);
    let (mut numbers, mut integers, mut coins) = ([0.0_f32; 1000], [0; 1000], [false; 1000]);
    allocates_nothing("draws", || {
        Draws::new(1, "noise", [0, 1]).fill_normal(&mut numbers);
        draws.fill_uniform(&mut numbers);
        draws.fill_words(&mut integers);
        draws.fill_below(10, &mut integers).unwrap();
        draws.fill_coin(0.5, &mut coins).unwrap();
    });
}
