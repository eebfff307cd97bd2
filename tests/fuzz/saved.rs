//! Whatever bytes are loaded, as JSON or postcard, into everything that can be saved: either they are refused, or what
//! comes out passes the constructors' checks, can be used, and is saved and loaded again to the bit. Never more memory
//! than a few times the input, however long its lists say they are.
#![no_main]

use std::fmt::Debug;

use gradstep::{Batcher, Form, Guard, MasterCopy, Momentum, Optimizer, ParamGroups, Position, Sgd, WeightDecay};
use half::bf16;
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use serde::{Serialize, de::DeserializeOwned};

#[derive(Arbitrary, Debug)]
struct Input {
    kind: u8,
    json: bool,
    document: Document,
}

/// Any bytes; or, since those seldom get far, something that was saved, with changes.
#[derive(Arbitrary, Debug)]
enum Document {
    Raw(Vec<u8>),
    Edited(Vec<(u16, Edit)>),
}

#[derive(Arbitrary, Debug)]
enum Edit {
    Replace(u8),
    Insert(Vec<u8>),
    Remove(u8),
    Copy(u16, u8),
    Phrase(u8),
}

/// What a document may hold, in place of the string or the digits that stand there.
const PHRASES: [&str; 16] = [
    "NaN",
    "-NaN",
    "inf",
    "-inf",
    "1e400",
    "5e-324",
    "1e300",
    "-0.0",
    "-1",
    "1",
    "0",
    "None",
    "Coupled",
    "Nesterov",
    "18446744073709551615",
    "4294967297",
];

impl Document {
    fn bytes(&self, saved: Vec<u8>) -> Vec<u8> {
        let edits = match self {
            Document::Raw(bytes) => return bytes.clone(),
            Document::Edited(edits) => edits,
        };
        let mut bytes = saved;
        for (at, edit) in edits.iter().take(20) {
            let at = usize::from(*at) % (bytes.len() + 1);
            let end = |from: usize, len: u8| (from + usize::from(len)).min(bytes.len());
            let (range, new) = match edit {
                Edit::Replace(new) => (at..end(at, 1), vec![*new]),
                Edit::Insert(new) => (at..at, new.clone()),
                Edit::Remove(len) => (at..end(at, *len), vec![]),
                Edit::Copy(from, len) => {
                    let from = usize::from(*from) % (bytes.len() + 1);
                    (at..at, bytes[from..end(from, *len)].to_vec())
                }
                Edit::Phrase(phrase) => {
                    let word = |byte: &u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
                    let start = bytes[..at].iter().rposition(|byte| !word(byte)).map_or(0, |i| i + 1);
                    let end = bytes[at..].iter().position(|byte| !word(byte)).map_or(bytes.len(), |i| at + i);
                    (start..end, PHRASES[usize::from(*phrase) % 16].into())
                }
            };
            bytes.splice(range, new);
        }
        bytes
    }
}

fuzz_target!(|input: Input| {
    let momentum = || {
        let momentum = Momentum::new(0.5_f64, 0.9, 2).unwrap().with_form(Form::PyTorch);
        momentum.with_weight_decay(WeightDecay::Coupled(0.01)).unwrap()
    };
    let sgd = Sgd::new(0.1_f32).unwrap().with_weight_decay(WeightDecay::Decoupled(0.5)).unwrap();
    let batcher = Batcher::new(10, 4, u64::MAX).unwrap().drop_last().unwrap();
    match input.kind % 9 {
        0 => load(&input, &sgd, usable_sgd),
        1 => load(&input, &Guard(sgd), |sgd| usable_sgd(&sgd.0)),
        2 => load(&input, &momentum(), usable_momentum),
        3 => load(&input, &Form::PyTorch, |_| {}),
        4 => load(&input, &WeightDecay::Coupled(0.1_f64), |decay| {
            Sgd::new(0.1).unwrap().with_weight_decay(*decay).unwrap();
        }),
        5 => {
            let mut model = ParamGroups::new();
            model.insert("weights", 2, momentum()).unwrap();
            model.insert("bias", 2, momentum()).unwrap();
            model.scale_learning_rates(0.75).unwrap();
            model.freeze("bias").unwrap();
            load(&input, &model, usable_model);
        }
        6 => {
            let small = Momentum::new(0.5_f32, 0.9, 2).unwrap();
            load(&input, &MasterCopy::new(small, &[bf16::ONE; 2]).unwrap(), |copy| {
                let params = vec![bf16::ONE; copy.master().len()];
                copy.clone().step(&mut params.clone(), &params).unwrap();
            });
        }
        7 => load(&input, &batcher, usable_batcher),
        _ => load(&input, &batcher.position(3, 1).unwrap(), |position: &Position| {
            let batcher = position.batcher();
            usable_batcher(&batcher);
            assert_eq!(batcher.position(position.epoch(), position.batch()).as_ref(), Ok(position));
            // A table takes as long as it is.
            if batcher.len() <= 4096 {
                batcher.resume(*position).unwrap().next_batch();
            }
        }),
    }
});

fn load<T: Serialize + DeserializeOwned + Debug>(input: &Input, good: &T, usable: impl Fn(&T)) {
    let saved = if input.json { json(good).into_bytes() } else { binary(good) };
    let bytes = input.document.bytes(saved);
    let mut loaded = None;
    let memory = allocation_counter::measure(|| {
        loaded = if input.json { serde_json::from_slice(&bytes).ok() } else { postcard::from_bytes::<T>(&bytes).ok() };
    });
    // serde sets aside up to 1 MiB for a list before it has seen it; here at most two lists are inside one another.
    assert!(memory.bytes_max < (4 << 20) + 100 * bytes.len() as u64, "{} bytes of memory", memory.bytes_max);
    let Some(loaded) = loaded else { return };
    usable(&loaded);
    // In text all NaN are one, so binary is compared with binary only.
    let text = json(&loaded);
    assert_eq!(json(&serde_json::from_str::<T>(&text).unwrap()), text);
    assert_eq!(binary(&postcard::from_bytes::<T>(&binary(&loaded)).unwrap()), binary(&loaded));
    assert_eq!(json(&postcard::from_bytes::<T>(&binary(&loaded)).unwrap()), text);
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap()
}

fn binary<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).unwrap()
}

fn usable_sgd(sgd: &Sgd<f32>) {
    Sgd::new(sgd.learning_rate()).unwrap().with_weight_decay(sgd.weight_decay()).unwrap();
    sgd.clone().step(&mut [1.0; 3], &[1.0; 3]).unwrap();
}

fn usable_momentum(momentum: &Momentum<f64>) {
    let len = momentum.velocity().len();
    let made = Momentum::new(momentum.learning_rate(), momentum.momentum(), len).unwrap();
    made.with_weight_decay(momentum.weight_decay()).unwrap();
    momentum.clone().step(&mut vec![1.0; len], &vec![1.0; len]).unwrap();
}

fn usable_model(model: &ParamGroups<f64, Momentum<f64>>) {
    let names: Vec<&str> = model.names().collect();
    let lens: Vec<usize> = names.iter().map(|name| model.get(name).unwrap().velocity().len()).collect();
    names.iter().for_each(|name| usable_momentum(model.get(name).unwrap()));
    assert!(names.iter().all(|name| names.iter().filter(|other| *other == name).count() == 1));
    let mut params: Vec<Vec<f64>> = lens.iter().map(|&len| vec![1.0; len]).collect();
    let grads = params.clone();
    let tensors = names.iter().zip(&mut params).zip(&grads);
    let mut tensors: Vec<_> = tensors.map(|((name, params), grads)| (*name, &mut params[..], &grads[..])).collect();
    model.clone().step(&mut tensors).unwrap();
    // The common factor that it was saved with is one that it would take.
    let saved = serde_json::to_value(model).unwrap();
    let factor = saved["factor"].as_str().unwrap().parse().unwrap();
    model.clone().scale_learning_rates(factor).unwrap();
    model.clone().restore(model.clone()).unwrap();
}

fn usable_batcher(batcher: &Batcher) {
    let (len, batch_size) = (batcher.len(), batcher.batch_size());
    let made = Batcher::sequential(len, batch_size).unwrap();
    assert!(!batcher.is_drop_last() || made.drop_last().is_ok());
    assert!(batcher.batches_per_epoch() > 0);
}
