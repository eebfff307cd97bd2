//! The contract of what is saved: it loads to the same bits or is rejected, in every format and nesting.
//!
//! `matrix.rs` holds the table of what loads where.

#[path = "../../fuzz/common.rs"]
mod common;
mod cross;
mod foreign;
mod formats;
mod hostile;
mod kinds;
mod matrix;
mod nestings;
mod savable;
mod version;

/// What went wrong, with which type or format, and how it showed.
type Failure = (String, String, String);

/// All failures at once, with one example of each kind, so that one run shows everything.
fn verdict(failures: Vec<Failure>) {
    let mut kinds: Vec<(String, Vec<String>, String)> = Vec::new();
    for (what, with, example) in failures {
        match kinds.iter_mut().find(|kind| kind.0 == what) {
            Some(kind) if kind.1.contains(&with) => {}
            Some(kind) => kind.1.push(with),
            None => kinds.push((what, vec![with], example)),
        }
    }
    let line = |(what, with, example): &(String, Vec<String>, String)| {
        let example = if example.is_empty() { String::new() } else { format!("\n    {example:.300}") };
        format!("- {what}: {}{example}", with.join(", "))
    };
    let lines: Vec<_> = kinds.iter().map(line).collect();
    assert!(lines.is_empty(), "{} kinds of failure\n{}", lines.len(), lines.join("\n"));
}

/// The first place where two texts differ.
fn difference(expected: &str, found: &str) -> String {
    let same = expected.bytes().zip(found.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(25);
    let part = |text: &str| String::from_utf8_lossy(&text.as_bytes()[same..(same + 60).min(text.len())]).into_owned();
    format!("expected …{}…, found …{}…", part(expected), part(found))
}
