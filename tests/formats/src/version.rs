//! A file of another version is rejected before the rest is read, with an error that names the version.

use crate::{
    formats::{ALL, Format},
    kinds::{Kind, files},
    verdict,
};

/// `Form` is one word of a list that can only grow, and `Own` is a user's.
fn versioned(format: Format) -> impl Iterator<Item = (Kind, Vec<u8>)> {
    files(format).filter(|(kind, _)| !["Form", "Own"].contains(&kind.name))
}

#[test]
fn every_version_in_a_text() {
    let mut failures = Vec::new();
    for (kind, file) in versioned(Format::Json) {
        let text = str::from_utf8(&file).unwrap();
        let places: Vec<_> = text.match_indices(r#" v1""#).map(|(place, _)| place).collect();
        let mut others: Vec<_> =
            places.iter().map(|&place| format!("{} v2{}", &text[..place], &text[place + 3..])).collect();
        let before = &text[..places[0]];
        // A later version may have a shape that version 1 does not know.
        for rest in ["}", r#","rate":[1.5,null,{"a":"b"}]}"#, r#","learning_rate":{},"steps":-1,"len":"x"}"#] {
            others.push(format!(r#"{before} v2"{rest}"#));
        }
        others.push(format!("{before} v10{}", &text[before.len() + 3..]));
        for other in others {
            match (kind.again)(Format::Json, other.as_bytes()) {
                Ok(_) => failures.push(("another version loads".into(), kind.name.into(), other)),
                // serde does not pass on the errors inside an untagged enum.
                Err(error) if ["v2", "v10", "untagged enum Mixed"].iter().any(|named| error.contains(named)) => {}
                Err(error) => {
                    failures.push(("the version is not named".into(), kind.name.into(), format!("{error} of {other}")));
                }
            }
        }
    }
    verdict(failures);
}

/// postcard drops the texts of all errors.
#[test]
fn the_first_version_in_every_format() {
    let mut failures = Vec::new();
    for &format in ALL {
        for (kind, mut file) in versioned(format) {
            let place = file.windows(3).position(|three| three == b" v1").unwrap();
            file[place + 2] = b'2';
            let what = match (kind.again)(format, &file) {
                Ok(_) => "another version loads",
                Err(error) if error.contains("v2") || format == Format::Postcard => continue,
                Err(_) => "the version is not named",
            };
            failures.push((what.into(), format!("{} in {format:?}", kind.name), String::new()));
        }
    }
    verdict(failures);
}
