//! A file of one type read as another: refused, or saved again as the same bytes (`FiniteGuard<O>` reads what `O` wrote).

use crate::{formats::ALL, subjects::kinds, verdict};

#[test]
fn files_of_another_type() {
    let mut failures = Vec::new();
    for format in ALL {
        for saved in kinds() {
            for file in (saved.files)(format) {
                for read in kinds().into_iter().filter(|read| read.name != saved.name) {
                    if (read.again)(format, &file).is_ok_and(|again| again != file) {
                        failures.push((
                            format!("{} loads as {}", saved.name, read.name),
                            format!("{format:?}"),
                            String::new(),
                        ));
                    }
                }
            }
        }
    }
    verdict(failures);
}
