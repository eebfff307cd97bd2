//! Long work is shared by the threads of rayon's pool. Where no thread can be started, everything runs on the caller's: the
//! same bits, and no panic from rayon's pool.
#![cfg(feature = "rayon")]

use std::{
    collections::HashSet,
    env,
    process::Command,
    sync::{Condvar, Mutex},
    thread::{self, ThreadId},
    time::Duration,
};

use gradstep::{Batcher, Error, Momentum, Optimizer, ParamGroups, Sgd, Step, elementwise, global_norm};
use rayon::ThreadPoolBuilder;

mod common;
use common::rules::forward;

/// The bits of all that goes through threads: a step and a norm of 2^18 values, an epoch of 2^21 samples.
fn bits() -> String {
    let grads: Vec<f32> = (0..1 << 18).map(|i| (i % 1009) as f32 / 1009.0 - 0.3).collect();
    let mut params = grads.clone();
    let mut momentum = Momentum::new(0.1, 0.9, params.len()).unwrap();
    momentum.step(&mut params, &grads).unwrap();
    momentum.step(&mut params, &grads).unwrap();
    elementwise(&mut params, [], &grads, |param, [], grad| (param * grad, [])).unwrap();
    let norm = global_norm(&[&params, &grads]).unwrap();
    let epoch = Batcher::new(1 << 21, 64, 42).unwrap().epoch(7);
    let words = params.iter().map(|param| u64::from(param.to_bits())).chain([norm.to_bits()]);
    // FNV-1a, a word at a time.
    let digest = words
        .chain(epoch.indices().iter().map(|&index| index as u64))
        .fold(0xcbf2_9ce4_8422_2325, |hash, word| (hash ^ word).wrapping_mul(0x0000_0100_0000_01b3));
    format!("bits {digest:016x}")
}

/// Where the first thread waits for a second, for ten seconds at most, so that the test ends if none comes.
#[derive(Default)]
struct Meeting {
    threads: Mutex<HashSet<ThreadId>>,
    second: Condvar,
}

impl Meeting {
    fn attend(&self) {
        let mut threads = self.threads.lock().unwrap();
        if threads.insert(thread::current().id()) {
            self.second.notify_all();
            drop(
                self.second.wait_timeout_while(threads, Duration::from_secs(10), |threads| threads.len() < 2).unwrap(),
            );
        }
    }

    fn has_two(&self) -> bool {
        self.threads.lock().unwrap().len() == 2
    }
}

/// A rule whose updates meet.
struct Meets<'a>(Sgd<f32>, &'a Meeting);

impl Optimizer<f32> for Meets<'_> {
    fn update(&mut self, step: Step<f32>) -> Result<(), Error> {
        self.1.attend();
        self.0.update(step)
    }

    forward!(f32, self => self.0, self.0; check learning_rate set_learning_rate steps reset state_len);
}

/// Two threads share a long pass, and two long tensors.
fn two_threads_meet() {
    let (mut params, grads, meeting) = (vec![0.0_f32; 1 << 18], vec![0.0; 1 << 18], Meeting::default());
    elementwise(&mut params, [], &grads, |param, [], _| {
        meeting.attend();
        (param, [])
    })
    .unwrap();
    assert!(meeting.has_two(), "a pass");

    let (mut a, mut b, grads, meeting) =
        (vec![0.0; 1 << 20], vec![0.0; 1 << 20], vec![0.0; 1 << 20], Meeting::default());
    let mut model = ParamGroups::new();
    for name in ["a", "b"] {
        model.insert(name, Meets(Sgd::new(0.5).unwrap(), &meeting)).unwrap();
    }
    model.step(&mut [("a", &mut a, &grads), ("b", &mut b, &grads)]).unwrap();
    assert!(meeting.has_two(), "two tensors");
}

/// This program once more, with stacks that no system has room for. Returns what it printed as an error.
fn without_threads(pool: &str) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("RUST_MIN_STACK", (usize::MAX / 2).to_string())
        .env("GRADSTEP_TEST_POOL", pool)
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains(&bits()), "{out}\n{err}");
    err
}

#[test]
fn no_thread_can_be_started() {
    let said = without_threads("none");
    assert!(!said.contains("panicked"), "{said}");
}

/// rayon builds its global pool once: after a failure every later use of it panics.
#[test]
fn the_users_own_pool_could_not_be_started() {
    without_threads("failed");
}

#[test]
fn threads_of_the_users_global_pool_are_used() {
    without_threads("global");
}

/// Where the global pool cannot be started.
#[test]
fn threads_of_the_users_own_pool_are_used() {
    without_threads("own");
}

#[test]
#[ignore = "the child of the four above"]
fn child() {
    let Ok(pool) = env::var("GRADSTEP_TEST_POOL") else { return };
    assert!(thread::Builder::new().spawn(|| ()).is_err(), "a thread was started");
    // It has stacks of its own.
    let two_threads = || ThreadPoolBuilder::new().num_threads(2).stack_size(1 << 20);
    match &pool[..] {
        "failed" => assert!(ThreadPoolBuilder::new().build_global().is_err()),
        "global" => {
            two_threads().build_global().unwrap();
            two_threads_meet();
        }
        "own" => two_threads().build().unwrap().install(two_threads_meet),
        _ => {}
    }
    println!("{}", bits());
    // And again, now that it is known.
    println!("{}", bits());
}
