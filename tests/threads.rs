//! Where no thread can be started, everything runs on the caller's: the same bits, and no panic from rayon's pool.
#![cfg(feature = "rayon")]

use std::{env, process::Command, thread};

use gradstep::{Batcher, Momentum, Optimizer, elementwise, global_norm};

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

/// This program once more, with stacks that no system has room for.
fn without_threads(pool: &str) {
    let output = Command::new(env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("RUST_MIN_STACK", (usize::MAX / 2).to_string())
        .env("GRADSTEP_TEST_POOL", pool)
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains(&bits()), "{out}\n{err}");
}

#[test]
fn no_thread_can_be_started() {
    without_threads("none");
}

/// rayon builds its global pool once: after a failure every later use of it panics.
#[test]
fn the_users_own_pool_could_not_be_started() {
    without_threads("failed");
}

#[test]
#[ignore = "the child of the two above"]
fn child() {
    let Ok(pool) = env::var("GRADSTEP_TEST_POOL") else { return };
    assert!(thread::Builder::new().spawn(|| ()).is_err(), "a thread was started");
    if pool == "failed" {
        assert!(rayon::ThreadPoolBuilder::new().build_global().is_err());
    }
    println!("{}", bits());
    // And again, now that it is known.
    println!("{}", bits());
}
