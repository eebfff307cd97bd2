//! The calls that allocate, and how each ends if an allocation fails. The documentation says which end the process: the
//! front page, or the page of the call. `tests/allocations.rs` has the calls that do not allocate.

use std::ops::Range;

use gradstep::{
    Accumulator, Adam, Batcher, Blocks, ByName, Error, Mixture, Momentum, Optimizer, Order, ParamGroups, Permutation,
    Position, Restore, Schedule, Sgd, Shuffle, Split, Subset, WeightAverage, Weighted, check_finite, clip_scale,
    gather,
};

use crate::{changes, ends, makes, makes_from, rejected};

/// How a call ends if an allocation fails: with [`gradstep::Error::Memory`] and nothing changed, or with the process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum End {
    Error,
    Process,
}

pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) end: End,
    /// Prepares the call, and makes it so that its allocations with these numbers fail.
    pub(crate) run: fn(Range<u64>),
}

/// Parameters enough for several threads.
const LONG: usize = 1 << 18;
const LABELS: [u8; 8] = [1, 0, 1, 2, 2, 0, 1, 2];
const GROUPS: [u8; 8] = [0, 1, 0, 2, 3, 1, 4, 3];
const HALVES: [f64; 2] = [0.5, 0.5];

#[rustfmt::skip]
pub(crate) fn calls() -> Vec<Call> {
    let error = |name, run| Call { name, end: End::Error, run };
    let process = |name, run| Call { name, end: End::Process, run };
    vec![
        // State.
        error("Momentum::new", |k| makes(k, || Momentum::<f32>::new(0.1, 0.9, 8))),
        error("Adam::new", |k| makes(k, || Adam::<f64>::new(0.1, 8))),
        error("WeightAverage::mean", |k| makes(k, || WeightAverage::<f32>::mean(8))),
        error("WeightAverage::ema", |k| makes(k, || WeightAverage::<f32>::ema(0.5, 8))),
        error("Accumulator::new", |k| makes(k, || Accumulator::new(8))),
        error("MasterCopy::new", |k| makes(k, || gradstep::MasterCopy::new(sgd(), &[half::bf16::ONE; 8]))),
        error("MasterCopy::from_master", |k| {
            makes_from(k, vec![1.0; 8], |master| gradstep::MasterCopy::<half::f16, _>::from_master(sgd(), master));
        }),
        // Orders and splits.
        error("Subset::by_label", |k| makes(k, || Subset::by_label(&LABELS))),
        error("Weighted::new", |k| makes(k, || Weighted::new(&[0.5, 1.5, 7.0], 10, 42))),
        error("Mixture::new", |k| makes_from(k, shuffles(), |sources| Mixture::new(sources, &[2, 6], 10))),
        error("Mixture::of_sets", |k| makes_from(k, shuffles(), |sets| Mixture::of_sets(sets, &[3, 1], 10))),
        error("Mixture::with_shares_from", |k| {
            makes_from(k, mixture(), |mixture| {
                mixture.with_shares_from(1, &[3, 4]).inspect_err(|error| {
                    if let Error::Memory { name: "changes of the shares", len } = error {
                        assert_eq!(*len, 2);
                    }
                })
            });
        }),
        error("Mixture::stratified", |k| makes(k, || Mixture::stratified(&LABELS, 42))),
        error("Mixture::balanced", |k| makes(k, || Mixture::balanced(&LABELS, 10, 42))),
        error("Blocks::window", |k| {
            makes_from(k, Blocks::new(100, 10, 3, 42).unwrap(), |blocks| blocks.window(0, 0, 0..1));
        }),
        error("Split::new", |k| makes(k, || Split::new(20, &HALVES, 42))),
        error("Split::of_counts", |k| makes(k, || Split::of_counts(&[3, 4, 5], 42))),
        error("Split::stratified", |k| makes(k, || Split::stratified(&LABELS, &HALVES, 42))),
        error("Split::by_group", |k| makes(k, || Split::by_group(&GROUPS, &HALVES, 42))),
        error("Split::stratified_by_group", |k| {
            makes(k, || Split::stratified_by_group(&LABELS, &GROUPS, &HALVES, 42));
        }),
        error("Split::in_order", |k| makes(k, || Split::in_order(20, &HALVES, 3))),
        error("Split::by_key", |k| makes(k, || Split::by_key((0..40).filter(|key| key % 2 == 0), &HALVES, 42))),
        error("Split::part_of_key", |k| makes(k, || Split::part_of_key(7, &HALVES, 42))),
        error("Split::part", |k| makes_from(k, split(), |split| split.part(1))),
        error("Split::all_but", |k| makes_from(k, split(), |split| split.all_but(1))),
        error("Split::before", |k| makes_from(k, split(), |split| split.before(1))),
        error("Subset::split", |k| {
            makes_from(k, split().part(0).unwrap(), |part| part.split(|samples| Split::new(samples.len(), &HALVES, 1)));
        }),
        error("Order::try_fill", |k| {
            let (order, mut out) = (mixture(), vec![7; 10]);
            changes(k, &mut out, |out| order.try_fill(0, 0, out));
        }),
        // Batches.
        error("Batcher::try_epoch", |k| makes_from(k, batcher(), |batcher| batcher.try_epoch(3))),
        error("Batcher::try_epoch of a reference", |k| {
            makes_from(k, mixed_batcher(), |batcher| batcher.as_ref().try_epoch(3).map(|epoch| epoch.number()));
        }),
        error("Batcher::try_stream", |k| makes_from(k, batcher(), |batcher| batcher.try_stream())),
        error("gather", |k| {
            let mut out = vec![5; 3];
            changes(k, &mut out, |out| gather(&[1, 2, 3, 4], 2, &[1, 0, 1], out));
        }),
        // Groups.
        error("ParamGroups::scale_learning_rates", |k| {
            changes(k, &mut model(), |model| model.scale_learning_rates(0.5));
        }),
        // These end the process: names, messages, settings, pieces of schedules, clones, and calls whose pages say so.
        process("ParamGroups::insert", |k| changes(k, &mut model(), |model| model.insert("c", sgd()))),
        process("ParamGroups::restore", |k| {
            let saved = model();
            changes(k, &mut model(), |model| model.restore(saved));
        }),
        process("ParamGroups::clone", |k| ends(k, model(), |model| model.clone())),
        process("ByName::new", |k| makes(k, || ByName::new([("a", 1), ("b", 2)]))),
        process("Momentum::restore", |k| {
            let momentum = Momentum::<f32>::new(0.1, 0.9, 8).unwrap();
            let saved = momentum.clone();
            changes(k, &mut momentum.clone(), |momentum| momentum.restore(saved));
        }),
        process("message: not finite", |k| rejected(k, || check_finite(&[[f64::NAN]]))),
        process("message: a norm too large", |k| rejected(k, || clip_scale(f64::MAX, f64::MIN_POSITIVE))),
        process("message: an unknown tensor", |k| rejected(k, || model().freeze("x"))),
        process("message: in a tensor", |k| {
            let mut model = model();
            rejected(k, || model.step(&mut [("a", &mut [1.0], &[1.0]), ("b", &mut [1.0], &[])]));
        }),
        process("message: a small class", |k| rejected(k, || Split::stratified(&["a", "b", "b"], &HALVES, 42))),
        process("Schedule::constant", |k| makes(k, || Schedule::constant(0.1))),
        process("Schedule::piecewise_constant", |k| {
            makes(k, || Schedule::piecewise_constant(0.1, &[(3, 0.2), (9, 0.3)]));
        }),
        process("Schedule::then", |k| {
            ends(k, [0.1, 0.2].map(|rate| Schedule::constant(rate).unwrap()), |[first, next]| first.then(3, next));
        }),
        process("Order::settings", |k| ends(k, mixture(), |mixture| mixture.settings())),
        process("Batcher::epoch", |k| ends(k, batcher(), |batcher| batcher.epoch(3))),
        process("Batcher::stream", |k| ends(k, batcher(), |batcher| batcher.stream())),
        process("Batcher::try_stream, whose order is cloned", |k| {
            makes_from(k, mixed_batcher(), |batcher| batcher.try_stream());
        }),
        process("Stream::position", |k| ends(k, batcher().stream(), |stream| stream.position())),
        process("Batcher::resume", |k| {
            let batcher = Batcher::over(Permutation::new(1 << 20, 42).unwrap(), 3).unwrap();
            let position = batcher.position(0, 3).unwrap();
            makes(k, || batcher.resume(&position));
        }),
        process("saving", |k| ends(k, position(), |position| serde_json::to_string(&position).unwrap())),
        process("loading", |k| {
            let saved = serde_json::to_string(&position()).unwrap();
            ends(k, saved, |saved| serde_json::from_str::<Position>(&saved).unwrap());
        }),
        process("a step by several threads", |k| {
            let (mut params, grads) = (vec![1.0_f32; LONG], vec![1.0; LONG]);
            rayon::current_num_threads(); // starts the pool
            makes(k, || sgd().step(&mut params, &grads));
        }),
    ]
}

fn sgd() -> Sgd<f32> {
    Sgd::new(0.1).unwrap()
}

fn shuffles() -> Vec<Shuffle> {
    [5, 6].map(|len| Shuffle::new(len, 42).unwrap()).into()
}

fn mixture() -> Mixture<Shuffle> {
    Mixture::new(shuffles(), &[2, 1], 10).unwrap()
}

fn batcher() -> Batcher {
    Batcher::new(100, 10, 42).unwrap()
}

fn mixed_batcher() -> Batcher<Mixture<Shuffle>> {
    Batcher::over(mixture(), 3).unwrap()
}

fn position() -> Position {
    batcher().position(1, 30).unwrap()
}

fn split() -> Split {
    Split::new(20, &HALVES, 42).unwrap()
}

fn model() -> ParamGroups<f32, Sgd<f32>> {
    let mut model = ParamGroups::new();
    for name in ["a", "b"] {
        model.insert(name, sgd()).unwrap();
    }
    model
}
