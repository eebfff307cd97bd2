//! Numbers that are not spelled as saving spells them: rejected, or loaded and saved again as exactly that text.

use std::ops::Range;

use crate::{formats::Format, kinds::files, verdict};

#[derive(Debug, PartialEq)]
pub enum Token {
    /// A number without quotes.
    Number,
    /// A string that is a number, with its quotes.
    Quoted,
}

/// The numbers of a JSON text.
pub fn tokens(text: &str) -> Vec<(Range<usize>, Token)> {
    let text = text.replace("\\\"", "  "); // no quotes inside strings
    let (mut found, mut start) = (Vec::new(), 0);
    for (i, part) in text.split('"').enumerate() {
        let end = start + part.len();
        if i % 2 == 1 && part.parse::<f64>().is_ok() {
            found.push((start - 1..end + 1, Token::Quoted));
        }
        if i % 2 == 0 {
            let numbers = part.split(|c: char| !c.is_ascii_digit() && !".+-eE".contains(c));
            let at = |number: &str| start + (number.as_ptr() as usize - part.as_ptr() as usize);
            let numbers = numbers.filter(|number| number.parse::<f64>().is_ok());
            found.extend(numbers.map(|number| (at(number)..at(number) + number.len(), Token::Number)));
        }
        start = end + 1;
    }
    found
}

#[rustfmt::skip]
const HOSTILE: [&str; 32] = [
    r#""1e-50""#, r#""1e39""#, r#""1e309""#, r#""1e-400""#, r#""1.0000000000000000001e-1""#, r#""1.000e-1""#,
    r#""0.1""#, r#""10e-2""#, r#""042""#, r#""+1""#, r#"" 1""#, r#""1 ""#, r#""1.e0""#, r#"".5e0""#, r#""1""#, r#""1e0""#,
    r#""1E5""#, r#""1e+5""#, r#""1e05""#, r#""-0""#, r#""-0e0""#, r#""0x10""#, r#""NaN""#, r#""-NaN""#, r#""inf""#,
    r#""infinity""#, r#""18446744073709551616""#, r#""""#, "7", "9007199254740993", "0.5", "null",
];

#[test]
fn texts_that_saving_does_not_write() {
    let mut failures = Vec::new();
    for (kind, file) in files(Format::Json) {
        let text = str::from_utf8(&file).unwrap();
        for (range, _) in tokens(text) {
            for other in HOSTILE {
                let hostile = [&text[..range.start], other, &text[range.end..]].concat().into_bytes();
                if let Some(difference) = kind.difference(Format::Json, &hostile, &hostile) {
                    failures.push((format!("{other} loads as another text"), kind.name.to_string(), difference));
                }
            }
        }
    }
    verdict(failures);
}
