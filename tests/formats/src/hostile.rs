//! Numbers that are written in another way than saving writes them: refused, or loaded as exactly that text.

use std::ops::Range;

use crate::{difference, formats::Format, subjects::kinds, verdict};

#[derive(Debug, PartialEq)]
pub enum Token {
    /// A number without quotes.
    Number,
    /// A string that is a number, with its quotes.
    Quoted,
}

/// The numbers of a JSON text, which has no escapes in its strings.
pub fn tokens(text: &str) -> Vec<(Range<usize>, Token)> {
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

const HOSTILE: [&str; 32] = [
    r#""1e-50""#,
    r#""1e39""#,
    r#""1e309""#,
    r#""1e-400""#,
    r#""1.0000000000000000001e-1""#,
    r#""1.000e-1""#,
    r#""0.1""#,
    r#""10e-2""#,
    r#""042""#,
    r#""+1""#,
    r#"" 1""#,
    r#""1 ""#,
    r#""1.e0""#,
    r#"".5e0""#,
    r#""1""#,
    r#""1e0""#,
    r#""1E5""#,
    r#""1e+5""#,
    r#""1e05""#,
    r#""-0""#,
    r#""-0e0""#,
    r#""0x10""#,
    r#""NaN""#,
    r#""-NaN""#,
    r#""inf""#,
    r#""infinity""#,
    r#""18446744073709551616""#,
    "7",
    "9007199254740993",
    "0.5",
    "null",
    r#""""#,
];

#[test]
fn texts_that_saving_does_not_write() {
    let mut failures = Vec::new();
    for kind in kinds() {
        for file in (kind.files)(Format::Json) {
            let text = str::from_utf8(&file).unwrap();
            for (range, _) in tokens(text) {
                for other in HOSTILE {
                    let hostile = format!("{}{other}{}", &text[..range.start], &text[range.end..]);
                    match (kind.again)(Format::Json, hostile.as_bytes()) {
                        Ok(again) if again != hostile.as_bytes() => failures.push((
                            format!("{other} loads as another text"),
                            kind.name.to_string(),
                            difference(&hostile, &String::from_utf8_lossy(&again)),
                        )),
                        _ => {}
                    }
                }
            }
        }
    }
    verdict(failures);
}
