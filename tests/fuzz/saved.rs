//! Saves and loads every type that can be saved, in JSON, CBOR and postcard: alone, in an untagged enum of all types,
//! and in an internally tagged one.
//!
//! - A value comes back with the same bits.
//! - A document is rejected, or it loads to a value that passes the constructors' checks, can be used, and comes back
//!   with the same bits. A text is then what saving writes, except for the order of its fields.
//! - A reader whose numbers are all f64 gets the same value or an error.
//! - Loading allocates at most a few times the size of the document, whatever length its lists claim.
#![no_main]

mod common;
#[path = "../formats/src/savable.rs"]
mod savable;

use arbitrary::{Arbitrary, Unstructured};
use libfuzzer_sys::fuzz_target;
use savable::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

#[derive(Arbitrary, Debug)]
struct Input {
    kind: u8,
    nesting: u8,
    format: Format,
    /// `None`: the value is saved and loaded.
    document: Option<Document>,
    value: Vec<u8>,
}

fuzz_target!(|input: Input| CHECKS[usize::from(input.kind) % CHECKS.len()](&input));

macro_rules! checks {
    ($($name:ident: $type:ty,)*) => {
        #[derive(Serialize, Deserialize)]
        #[serde(untagged)]
        enum Untagged { $($name($type)),* }

        #[derive(Serialize, Deserialize)]
        #[serde(tag = "kind")]
        enum Tagged { $($name($type)),* }

        const CHECKS: &[fn(&Input)] =
            &[$(|input| check::<$type>(input, stringify!($name), Untagged::$name, Tagged::$name)),*];
    };
}

every_type!(checks);

fn check<T: Savable>(input: &Input, name: &str, untagged: fn(T) -> Untagged, tagged: fn(T) -> Tagged) {
    let Ok(value) = T::any(&mut Unstructured::new(&input.value)) else { return };
    value.clone().goes_on();
    // postcard does not say what comes next, so it cannot choose a variant by the fields that it finds.
    let says = input.format != Format::Postcard;
    match input.nesting % 3 {
        0 => check_nested(input, value, says || !T::UNTAGGED, !T::UNTAGGED, |loaded| drop(loaded.goes_on())),
        1 => check_nested(input, untagged(value), says, false, drop),
        _ if name == "Form" => {} // one word, which has no place for a tag
        _ => check_nested(input, tagged(value), says, false, drop),
    }
}

fn check_nested<T>(input: &Input, value: T, can: bool, bounded: bool, uses: fn(T))
where
    T: Serialize + DeserializeOwned,
{
    let Some(document) = &input.document else { return assert_eq!(comes_back(input.format, &value), can) };
    let bytes = document.bytes(input.format.save(&value));
    let mut loaded = None;
    let memory = allocation_counter::measure(|| loaded = input.format.load::<T>(&bytes)).bytes_max;
    // serde reserves up to 1 MiB for a list before it reads it; at most three lists are inside one another. Its buffer
    // for enums may reserve more.
    assert!(!bounded || memory < (4 << 20) + 100 * bytes.len() as u64, "{memory} bytes of memory");
    if let Some(loaded) = loaded {
        assert!(comes_back(input.format, &loaded));
        if let Some(rounded) = through_f64(input.format, &bytes) {
            assert_same(input.format, &rounded, &loaded);
        }
        if input.format == Format::Json {
            assert_eq!(leaves(&bytes), leaves(&Format::Json.save(&loaded)));
        }
        uses(loaded);
    }
}

/// Whether `value` can be loaded. Panics if it comes back to other bits.
fn comes_back<T: Serialize + DeserializeOwned>(format: Format, value: &T) -> bool {
    let bytes = format.save(value);
    let Some(loaded) = format.load::<T>(&bytes) else { return false };
    assert_same(format, &loaded, value);
    if let Some(loaded) = through_f64(format, &bytes) {
        assert_same(format, &loaded, value);
    }
    true
}

fn assert_same<T: Serialize>(format: Format, a: &T, b: &T) {
    let text = format == Format::Json;
    assert_eq!(bits(a, text), bits(b, text));
}

/// Loads the document after a program whose numbers are all f64 (JavaScript) has read and written it.
fn through_f64<T: DeserializeOwned>(format: Format, bytes: &[u8]) -> Option<T> {
    fn round(value: &mut Value) {
        match value {
            Value::Number(number) => {
                let wide = number.as_f64().unwrap();
                let whole = wide.fract() == 0.0 && wide.abs() < 1e21;
                *value = if whole { serde_json::from_str(&format!("{wide}")).unwrap() } else { wide.into() };
            }
            Value::Array(values) => values.iter_mut().for_each(round),
            Value::Object(fields) => fields.values_mut().for_each(round),
            _ => {}
        }
    }
    let mut value = Some(bytes).filter(|_| format == Format::Json).and_then(|json| Format::Json.load(json))?;
    round(&mut value);
    Format::Json.load(value.to_string().as_bytes())
}

/// The text of all strings, numbers and booleans, sorted, since serde accepts fields in any order and as a list.
fn leaves(json: &[u8]) -> Vec<String> {
    fn collect(value: Value, leaves: &mut Vec<String>) {
        match value {
            Value::Array(values) => values.into_iter().for_each(|value| collect(value, leaves)),
            Value::Object(fields) => fields.into_iter().for_each(|(_, value)| collect(value, leaves)),
            leaf => leaves.push(leaf.to_string()),
        }
    }
    let mut leaves = vec![];
    collect(serde_json::from_slice(json).unwrap(), &mut leaves);
    leaves.sort();
    leaves
}

// Documents -----------------------------------------------------------------------------------------------------------

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
enum Format {
    Json,
    Cbor,
    Postcard,
}

impl Format {
    fn save<T: Serialize>(self, value: &T) -> Vec<u8> {
        match self {
            Format::Json => serde_json::to_vec(value).unwrap(),
            Format::Cbor => {
                let mut bytes = Vec::new();
                ciborium::into_writer(value, &mut bytes).unwrap();
                bytes
            }
            Format::Postcard => postcard::to_allocvec(value).unwrap(),
        }
    }

    fn load<T: DeserializeOwned>(self, bytes: &[u8]) -> Option<T> {
        match self {
            Format::Json => serde_json::from_slice(bytes).ok(),
            Format::Cbor => ciborium::from_reader(bytes).ok(),
            Format::Postcard => postcard::from_bytes(bytes).ok(),
        }
    }
}

/// Any bytes, which are seldom accepted, or the saved value with changes.
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

/// What `Edit::Phrase` puts in place of a word or number.
#[rustfmt::skip]
const PHRASES: [&str; 26] = [
    "NaN", "-NaN", "inf", "-inf", "1e400", "5e-324", "1e300", "-0e0", "0e0", "0.1", "-1", "1", "0", "None", "Coupled",
    "Nesterov", "18446744073709551615", "4294967297", "9007199254740993", "f16", "bf16", "f32", "f64", "v2",
    "sequential", "SgdF32",
];

impl Document {
    fn bytes(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        let edits = match self {
            Document::Raw(bytes) => return bytes.clone(),
            Document::Edited(edits) => edits,
        };
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
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
                    let starts = |i: usize| word(bytes[i]) && (i == 0 || !word(bytes[i - 1]));
                    let starts: Vec<usize> = (0..bytes.len()).filter(|&i| starts(i)).collect();
                    let start = if starts.is_empty() { at } else { starts[at % starts.len()] };
                    let len = bytes[start..].iter().take_while(|&&byte| word(byte)).count();
                    (start..start + len, PHRASES[usize::from(*phrase) % PHRASES.len()].into())
                }
            };
            bytes.splice(range, new);
        }
        bytes
    }
}
