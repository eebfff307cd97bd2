//! Readers and writers whose numbers are all f64 (JavaScript, jq): the same bits or an error, never another value.

use crate::{
    formats::Format,
    hostile::{Token, tokens},
    kinds::files,
    verdict,
};

/// As JavaScript writes a number: the fewest digits that tell it from others, then zeros.
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
    for (kind, file) in files(Format::Json) {
        for write in [shortest, exact] {
            let foreign = rewritten(str::from_utf8(&file).unwrap(), write);
            for format in [Format::Json, Format::Json5F64] {
                if let Some(difference) = kind.difference(format, foreign.as_bytes(), &file) {
                    failures.push((format!("f64 in {format:?}"), kind.name.to_string(), difference));
                }
            }
        }
    }
    verdict(failures);
}
