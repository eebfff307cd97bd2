//! A file of one type read as another: rejected, or saved again as the same bytes (`FiniteGuard<O>` reads what `O`
//! wrote).

use crate::{
    formats::ALL,
    kinds::{files, kinds},
    verdict,
};

#[test]
fn files_of_another_type() {
    let mut failures = Vec::new();
    for &format in ALL {
        for (saved, file) in files(format) {
            for read in kinds().into_iter().filter(|read| read.name != saved.name) {
                if let Some(difference) = read.difference(format, &file, &file) {
                    let what = format!("{} loads as {}", saved.name, read.name);
                    failures.push((what, format!("{format:?}"), difference));
                }
            }
        }
    }
    verdict(failures);
}
