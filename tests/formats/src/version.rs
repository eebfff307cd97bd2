//! A file of another version is refused, by name and before the rest is read.

use crate::{
    formats::{ALL, Format},
    subjects::{Kind, kinds},
    verdict,
};

/// `Form` alone is one word of a list that can only grow, and `Own` is a user's.
fn versioned() -> impl Iterator<Item = Kind> {
    kinds().into_iter().filter(|kind| !["Form", "Own"].contains(&kind.name))
}

#[test]
fn another_version_is_refused_by_name() {
    let mut failures = Vec::new();
    for kind in versioned() {
        for file in (kind.files)(Format::Json) {
            let text = str::from_utf8(&file).unwrap();
            let places: Vec<_> = text.match_indices(r#" v1""#).map(|(place, _)| place).collect();
            if places.is_empty() {
                failures.push(("no version".into(), kind.name.into(), text.into()));
            }
            let other = |&place: &usize| format!("{} v2{}", &text[..place], &text[place + 3..]);
            let mut others: Vec<_> = places.iter().map(other).collect();
            if let Some(&first) = places.first() {
                // What comes behind the first version is of a shape that version 1 does not know.
                for rest in ["}", r#","rate":[1.5,null,{"a":"b"}]}"#, r#","learning_rate":{},"steps":-1,"len":"x"}"#] {
                    others.push(format!(r#"{} v2"{rest}"#, &text[..first]));
                }
                others.push(format!("{} v10{}", &text[..first], &text[first + 3..]));
            }
            for other in others {
                match (kind.again)(Format::Json, other.as_bytes()) {
                    Ok(_) => failures.push(("another version loads".into(), kind.name.into(), other)),
                    // Of what went wrong inside an untagged enum serde says nothing.
                    Err(error) if error.contains("any variant of untagged enum Mixed") => {}
                    Err(error) if !error.contains("v2") && !error.contains("v10") => {
                        failures.push(("refused without name".into(), kind.name.into(), format!("{error} of {other}")));
                    }
                    Err(_) => {}
                }
            }
        }
    }
    verdict(failures);
}

/// In every format; postcard drops the words of all errors.
#[test]
fn another_version_is_refused_in_every_format() {
    let mut failures = Vec::new();
    for format in ALL {
        for kind in versioned() {
            for mut file in (kind.files)(format) {
                let Some(place) = file.windows(3).position(|three| three == b" v1") else {
                    failures.push(("no version".into(), format!("{} in {format:?}", kind.name), String::new()));
                    continue;
                };
                file[place + 2] = b'2';
                match (kind.again)(format, &file) {
                    Ok(_) => failures.push((
                        "another version loads".into(),
                        format!("{} in {format:?}", kind.name),
                        String::new(),
                    )),
                    Err(error) if !error.contains("v2") && format != Format::Postcard => {
                        failures.push((format!("refused without name in {format:?}"), kind.name.into(), error));
                    }
                    Err(_) => {}
                }
            }
        }
    }
    verdict(failures);
}
