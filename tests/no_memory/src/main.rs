//! Lets every allocation of each call in `calls.rs` fail in turn: alone, and with all that follow. Each such run is a
//! process of its own, since an allocation that fails inside `Vec` ends the process and cannot be caught.

mod calls;
mod failing;

use std::{
    env,
    fmt::Debug,
    ops::Range,
    process::{self, Command},
};

use gradstep::Error;

use crate::calls::{Call, End};

/// The exit code of a process in which an allocation failed and the call returned an error.
const RETURNED: i32 = 3;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    let calls = calls::calls();
    if let [_, index, start, end] = &arguments[..] {
        let number = |text: &str| text.parse::<u64>().unwrap();
        (calls[number(index) as usize].run)(number(start)..number(end));
        return;
    }
    let (mut errors, mut ends) = (0, 0);
    for (index, call) in calls.iter().enumerate() {
        let without = |numbers: Range<u64>| ended(call, index, numbers);
        let (mut returned, mut ended) = (0, 0);
        for first in 0.. {
            let Some(end) = without(first..first + 1) else { break };
            match end {
                End::Error => returned += 1,
                End::Process => ended += 1,
            }
            assert_eq!(without(first..u64::MAX), Some(end), "{}: allocations from {first} on", call.name);
        }
        match call.end {
            End::Error => assert!(returned > 0 && ended == 0, "{}: {returned} errors, ended {ended} times", call.name),
            End::Process => assert!(ended > 0, "{}: {returned} errors, and never ended the process", call.name),
        }
        (errors, ends) = (errors + returned, ends + ended);
    }
    println!("{} calls: {errors} allocations whose failure is an error, {ends} that end the process", calls.len());
}

/// Runs `call` in a process where the allocations with these numbers fail. Returns how it ends there, or `None` if the
/// call has fewer allocations.
fn ended(call: &Call, index: usize, numbers: Range<u64>) -> Option<End> {
    let arguments = [index as u64, numbers.start, numbers.end].map(|number| number.to_string());
    // Two threads even on a machine with one core, and no backtraces, which are slow.
    let settings = [("RAYON_NUM_THREADS", "2"), ("RUST_BACKTRACE", "0")];
    let output = Command::new(env::current_exe().unwrap()).args(arguments).envs(settings).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    match output.status.code() {
        Some(0) => None,
        Some(RETURNED) => Some(End::Error),
        // A signal ended the process, as documented, and std's message says why.
        None if said.starts_with("memory allocation of ") => Some(End::Process),
        _ => panic!("{} with allocations {numbers:?} failing: {}, {said}", call.name, output.status),
    }
}

/// Makes a call that creates something.
fn makes<T>(numbers: Range<u64>, call: impl FnOnce() -> Result<T, Error>) {
    changes(numbers, &mut (), |()| call());
}

/// Makes a call that creates something from `it`.
fn makes_from<S, T>(numbers: Range<u64>, it: S, call: impl FnOnce(S) -> Result<T, Error>) {
    makes(numbers, || call(it));
}

/// Makes a call that changes `it`, but not if it returns an error.
fn changes<S: Debug, T>(numbers: Range<u64>, it: &mut S, call: impl FnOnce(&mut S) -> Result<T, Error>) {
    let before = format!("{it:?}");
    let (result, failed) = failing::without(numbers, || call(it));
    match (result, failed) {
        (Ok(_), false) => {}
        (Err(Error::Memory { .. }), true) => {
            assert_eq!(format!("{it:?}"), before);
            process::exit(RETURNED);
        }
        (result, failed) => panic!("an allocation failed: {failed}; the call returned {:?}", result.map(drop)),
    }
}

/// Makes a call that does not return a `Result`.
fn ends<S, T>(numbers: Range<u64>, it: S, call: impl FnOnce(S) -> T) {
    makes(numbers, || Ok(call(it)));
}

/// Makes a call that is rejected, with a message that is an allocation.
fn rejected<T>(numbers: Range<u64>, call: impl FnOnce() -> Result<T, Error>) {
    makes(numbers, || match call().map(drop).unwrap_err() {
        error @ Error::Memory { .. } => Err(error),
        _ => Ok(()),
    });
}
