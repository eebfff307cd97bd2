//! Readers and writers whose numbers are all f64 (JavaScript, jq): the same bits or a refusal, never another value.

use gradstep::{Batcher, Position};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    difference,
    formats::Format,
    hostile::{Token, tokens},
    subjects::kinds,
    verdict,
};

/// As JavaScript writes a number: the digits that it takes to tell it, then zeros.
fn shortest(number: f64) -> String {
    format!("{number}")
}

/// As jq 1.6 does: all digits.
fn exact(number: f64) -> String {
    if number.fract() == 0.0 { format!("{}", number as i128) } else { shortest(number) }
}

/// `text` as it comes out of such a program.
fn rewritten(text: &str, write: fn(f64) -> String) -> String {
    let mut rewritten = String::new();
    let mut end = 0;
    for (range, token) in tokens(text) {
        if token == Token::Number {
            rewritten += &text[end..range.start];
            rewritten += &write(text[range.clone()].parse().unwrap());
            end = range.end;
        }
    }
    rewritten + &text[end..]
}

#[test]
fn numbers_that_became_f64() {
    let mut failures = Vec::new();
    for kind in kinds() {
        for file in (kind.files)(Format::Json) {
            let text = str::from_utf8(&file).unwrap();
            for write in [shortest, exact] {
                let foreign = rewritten(text, write);
                for format in [Format::Json, Format::Json5F64] {
                    match (kind.again)(format, foreign.as_bytes()) {
                        Ok(again) if again != file => failures.push((
                            format!("f64 in {format:?}"),
                            kind.name.to_string(),
                            difference(text, &String::from_utf8_lossy(&again)),
                        )),
                        _ => {}
                    }
                }
            }
        }
    }
    verdict(failures);
}

fn changes<T: Serialize + DeserializeOwned + PartialEq>(value: &T) -> bool {
    let text = serde_json::to_string(value).unwrap();
    [shortest, exact].into_iter().any(|write| {
        let foreign = rewritten(&text, write);
        let loaded = [Format::Json, Format::Json5F64].map(|format| format.load::<T>(foreign.as_bytes()));
        loaded.iter().flatten().any(|loaded| loaded != value)
    })
}

/// 1,000 seeds (and epochs) of 64 random bits: those of SplitMix64.
#[test]
fn seeds_that_became_f64() {
    let mut state = 0_u64;
    let mut changed = 0;
    for _ in 0..1000 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let seed = mixed ^ (mixed >> 31);
        let position: Position = Batcher::new(10, 4, seed).unwrap().position(seed, 4).unwrap();
        changed += usize::from(changes(&position));
    }
    assert_eq!(changed, 0, "of 1,000 seeds");
}
