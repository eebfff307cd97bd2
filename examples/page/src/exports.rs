//! The functions that the script calls. Each room has one run at a time (the valley three). A list of numbers goes to one
//! place in memory, where the script reads `len()` numbers before its next call.

#![allow(unsafe_code, reason = "a name that is not mangled could be another's; nothing is linked to these")]

use std::cell::RefCell;
use std::thread::LocalKey;

use gradstep::Error;

use crate::{
    ball::Balls,
    digits::{Training, Updates},
    valley::Valley,
};

type Cell<T> = RefCell<Option<T>>;

thread_local! {
    static BALLS: Cell<Balls> = const { RefCell::new(None) };
    static VALLEYS: [Cell<Valley>; 3] = const { [const { RefCell::new(None) }; 3] };
    static TRAINING: Cell<Training> = const { RefCell::new(None) };
    static UPDATES: Cell<Updates> = const { RefCell::new(None) };
    static NUMBERS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// The controls offer only valid settings. (Printing the error would bring all of Rust's formatting into the page.)
fn valid<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|_| panic!("a setting is not valid"))
}

fn with<T, R>(cell: &'static LocalKey<Cell<T>>, f: impl FnOnce(&mut T) -> R) -> R {
    cell.with_borrow_mut(|run| f(run.as_mut().expect("the script has started a run")))
}

fn with_valley<R>(which: usize, f: impl FnOnce(&mut Valley) -> R) -> R {
    VALLEYS.with(|valleys| f(valleys[which].borrow_mut().as_mut().expect("the script has started a run")))
}

fn put(numbers: impl IntoIterator<Item = f64>) -> *const f64 {
    NUMBERS.with_borrow_mut(|list| {
        list.clear();
        list.extend(numbers);
        list.as_ptr()
    })
}

/// Exports the functions under their own names. Every list is written to one place; `len()` is its length.
macro_rules! exports {
    ($(fn $name:ident($($arg:ident: $type:ty),*) $(-> $result:ty)? { $body:expr })*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name($($arg: $type),*) $(-> $result)? {
                $body
            }
        )*
    };
}

exports! {
    fn len() -> usize { NUMBERS.with_borrow(Vec::len) }

    fn ball(learning_rate: f64, momentum: f64, noise: f64, seed: f64) {
        BALLS.set(Some(valid(Balls::new(learning_rate, momentum, noise, seed as u64))))
    }
    fn ball_step() -> bool { with(&BALLS, |balls| valid(balls.step())) }
    fn ball_state() -> *const f64 { with(&BALLS, |balls| put(balls.state())) }
    fn ball_path(rule: usize) -> *const f64 { with(&BALLS, |balls| put(balls.path(rule))) }
    fn ball_velocities(rule: usize) -> *const f64 { with(&BALLS, |balls| put(balls.velocities(rule))) }
    fn ball_gradients(rule: usize) -> *const f64 { with(&BALLS, |balls| put(balls.gradients(rule))) }
    fn ball_curve() -> *const f64 { put(Balls::curve()) }

    fn valley(which: usize, learning_rate: f64, batch_size: usize, order: u8, seed: f64) {
        VALLEYS.with(|valleys| {
            valleys[which].replace(Some(valid(Valley::new(learning_rate, batch_size, order, seed as u64))));
        })
    }
    fn valley_step(which: usize) -> bool { with_valley(which, |valley| valid(valley.step())) }
    fn valley_state(which: usize) -> *const f64 { with_valley(which, |valley| put(valley.state())) }
    fn valley_path(which: usize) -> *const f64 { with_valley(which, |valley| put(valley.path())) }
    fn valley_losses(which: usize) -> *const f64 { with_valley(which, |valley| put(valley.losses())) }
    fn valley_cloud(which: usize) -> *const f64 { with_valley(which, |valley| put(valid(valley.cloud()))) }
    fn valley_bowl(which: usize) -> *const f64 { with_valley(which, |valley| put(valley.bowl())) }

    fn digits(learning_rate: f64, momentum: f64, batch_size: usize, seed: f64) {
        TRAINING.set(Some(valid(Training::new(learning_rate, momentum, batch_size, seed as u64))))
    }
    fn digits_step() -> bool { with(&TRAINING, |training| valid(training.step())) }
    fn digits_checks() -> *const f64 { with(&TRAINING, |training| put(training.checks())) }
    fn digits_end() -> *const f64 { with(&TRAINING, |training| put(training.end())) }
    fn digits_params() -> *const f64 {
        with(&TRAINING, |training| put(training.params().iter().copied().map(f64::from)))
    }

    fn updates(batch_size: usize) { UPDATES.set(Some(valid(Updates::new(batch_size)))) }
    fn updates_run(by_lanes: bool, count: usize) { with(&UPDATES, |updates| valid(updates.run(by_lanes, count))) }
}
