//! The types of `savable.rs` in a list for loops, with values of each.

use arbitrary::Unstructured;
use half::{bf16, f16};

use crate::{
    common::{Scalar, bits},
    difference,
    formats::Format,
    nestings::{self, Cell, Nesting},
    savable::*,
};

/// What the tests need of a type, by its name.
#[derive(Clone, Copy)]
pub struct Kind {
    pub name: &'static str,
    /// Every value in a format.
    pub files: fn(Format) -> Vec<Vec<u8>>,
    /// Loads a file and saves it again.
    pub again: fn(Format, &[u8]) -> Result<Vec<u8>, String>,
    pub cell: fn(Nesting, Format) -> Cell,
}

impl Kind {
    /// Loads `file` and saves it again: the first difference to `expected`, unless the file is rejected.
    pub fn difference(&self, format: Format, file: &[u8], expected: &[u8]) -> Option<String> {
        let again = (self.again)(format, file).ok().filter(|again| again != expected)?;
        Some(difference(&String::from_utf8_lossy(expected), &String::from_utf8_lossy(&again)))
    }
}

macro_rules! kinds {
    ($($name:ident: $type:ty,)*) => {
        pub fn kinds() -> Vec<Kind> {
            vec![$(Kind {
                name: stringify!($name),
                files: |format| values::<$type>().iter().filter_map(|value| format.save(value).ok()).collect(),
                again: |format, bytes| format.save(&format.load::<$type>(bytes)?),
                cell: nestings::cell::<$type>,
            }),*]
        }
    };
}
every_type!(kinds);

/// Every value of every type in a format.
pub fn files(format: Format) -> impl Iterator<Item = (Kind, Vec<u8>)> {
    kinds().into_iter().flat_map(move |kind| (kind.files)(format).into_iter().map(move |file| (kind, file)))
}

/// SplitMix64.
fn words(seed: u64) -> impl Iterator<Item = u64> {
    (1..).map(move |i: u64| {
        let state = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    })
}

/// Short values, the same in every run.
pub fn values<T: Savable>() -> Vec<T> {
    let any = |seed| {
        let bytes: Vec<u8> = words(seed).take(300).flat_map(u64::to_le_bytes).collect();
        T::any(&mut Unstructured::new(&bytes)).ok()
    };
    (0..).filter_map(any).filter(|value| serde_json::to_string(value).unwrap().len() < 4000).take(T::VALUES).collect()
}

#[test]
fn the_values_have_the_numbers_that_are_hard_to_save() {
    fn check<F: Scalar + SavedFloat>() {
        let mut numbers: Vec<u64> = values::<Momentum<F>>().iter().flat_map(|value| bits(value.velocity())).collect();
        numbers.extend(values::<Adam<F>>().iter().flat_map(|value| bits(value.m())));
        let hard = [F::zero(), F::max_value(), F::min_positive_value(), F::from_low_bits(1), F::infinity()];
        for number in hard.into_iter().flat_map(|number| [number, -number]).chain([F::nan()]) {
            assert!(numbers.contains(&number.bits()), "no {number:?}");
        }
    }
    check::<f16>();
    check::<bf16>();
    check::<f32>();
    check::<f64>();
    let mut steps = values::<Momentum<f64>>().into_iter().map(|value| value.steps());
    assert!(steps.any(|steps| steps > 1 << 53 && steps % 2 == 1), "every count of steps is a number of f64");
}

#[test]
fn the_values_have_every_order_schedule_form_and_decay() {
    fn check<T: Savable>(names: &[&str]) {
        let text: String = values::<T>().iter().map(|value| serde_json::to_string(value).unwrap()).collect();
        for name in names {
            assert!(text.contains(&format!("\"{name}\"")), "no {name}");
        }
    }
    check::<Position>(&["shuffle", "sequential", "permutation", "hash of the samples"]);
    check::<Position>(&["blocks", "weighted", "mixture"]);
    check::<Schedule>(&["constant", "linear", "polynomial", "geometric", "step_decay", "inverse_time"]);
    check::<Schedule>(&["cosine", "cosine_restarts", "one_cycle"]);
    check::<MomentumForm>(&["Classical", "Nesterov", "PyTorch", "PyTorchNesterov"]);
    check::<WeightDecay>(&["None", "Coupled", "Decoupled"]);
    // Rates of 0 and of the largest number.
    check::<Sgd<f64>>(&["0e0", "1.7976931348623157e308"]);
}
