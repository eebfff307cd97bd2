//! One epoch's order, beside rand's shuffle, the shuffle that Brackett-Rozinsky and Lemire describe, rip_shuffle's
//! (with its feature), and torch's and numpy's (if PYTHON names an interpreter that has them).
//!
//! `cargo bench --bench epoch [-- LONGEST]`; nanoseconds per index, least of several rounds taken in turn. Everything
//! runs on one thread; with feature `rayon`, gradstep also runs on all threads. 10^9 needs 16 GB of memory.

use std::cell::RefCell;

use gradstep::Batcher;
use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

mod common;
use common::{alone, alternate, heading, largest, torch_and_numpy};

fn assert_permutation(indices: &[usize]) {
    let mut seen = vec![false; indices.len()];
    for &i in indices {
        assert!(!std::mem::replace(&mut seen[i], true), "{i} twice");
    }
}

/// "Batched ranged random integer generation" (2024) shuffles so: as many draws from a word of 64 bits as the length
/// allows.
fn shuffle_in_batches(indices: &mut [usize], generator: &mut ChaCha8Rng) {
    let left = &mut indices.len();
    swap_down::<1>(indices, left, 1 << 30, generator);
    swap_down::<2>(indices, left, 1 << 19, generator);
    swap_down::<3>(indices, left, 1 << 14, generator);
    swap_down::<4>(indices, left, 1 << 11, generator);
    swap_down::<5>(indices, left, 1 << 9, generator);
    swap_down::<6>(indices, left, 6, generator);
    swap_down::<1>(indices, left, 1, generator);
}

/// `K` places at a time while more than `until` are left. The page divides by the product of the bounds only where a
/// bound on it tells too little, and passes the bound on.
fn swap_down<const K: usize>(indices: &mut [usize], left: &mut usize, until: usize, generator: &mut ChaCha8Rng) {
    let mut most = (0..K as u64).map(|k| (*left as u64).saturating_sub(k).max(1)).product::<u64>();
    while *left > until {
        let rest = &mut indices[..*left];
        let bounds: [u64; K] = std::array::from_fn(|k| (rest.len() - k) as u64);
        let draw = |mut word: u64| {
            let places = bounds.map(|bound| {
                let wide = u128::from(word) * u128::from(bound);
                word = wide as u64;
                (wide >> 64) as usize
            });
            (places, word)
        };
        let (mut places, mut fraction) = draw(generator.next_u64());
        if fraction < most {
            most = bounds.iter().product();
            while fraction < most.wrapping_neg() % most {
                (places, fraction) = draw(generator.next_u64());
            }
        }
        for (k, place) in places.into_iter().enumerate() {
            rest.swap(rest.len() - 1 - k, place);
        }
        *left -= K;
    }
}

fn main() {
    heading("cargo bench --bench epoch", "len, gradstep, rand, batched, rip_shuffle, gradstep 1T, torch, numpy");
    let longest = largest(1_000_000_000);
    let lens = [1_000, 10_000, 100_000, 1_000_000, 2_000_000, 10_000_000, 100_000_000, 1_000_000_000];
    for len in lens.into_iter().filter(|&len| len <= longest) {
        let figures = figures(len).map(|time| if time > 0.0 { format!("{time:.2}") } else { String::new() }).join(", ");
        println!("{len}, {figures}, {}", torch_and_numpy("epoch.py", &[&len.to_string()]));
    }
}

/// The nanoseconds per index of gradstep, rand, batched, rip_shuffle (0 without its feature), and gradstep on one
/// thread.
fn figures(len: usize) -> [f64; 5] {
    // In turn they fill one table, and gradstep another: at 10^9 there is no memory for more.
    let (epoch, indices) =
        (RefCell::new(Batcher::new(len, 128, 1).expect("valid").epoch(0)), RefCell::new(vec![0; len]));
    let shuffled = |seed: &mut u64, shuffle: &dyn Fn(&mut [usize], u64)| {
        *seed += 1;
        let mut indices = indices.borrow_mut();
        for (i, index) in indices.iter_mut().enumerate() {
            *index = i;
        }
        shuffle(&mut indices, *seed);
    };
    let (mut number, mut number_alone, mut seeds) = (0, 0, [0_u64; 3]);
    let [rand_seed, batched_seed, rip_seed] = &mut seeds;
    // There a round takes up to minutes, and no cache matters.
    let (rounds, calls) = if len > 10_000_000 { (2, 1) } else { ((30_000_000 / len).clamp(2, 300), 3) };
    let times = alternate(
        rounds,
        calls,
        &mut [
            &mut || {
                number += 1;
                epoch.borrow_mut().refill(number);
            },
            &mut || shuffled(rand_seed, &|indices, seed| indices.shuffle(&mut ChaCha8Rng::seed_from_u64(seed))),
            &mut || {
                shuffled(batched_seed, &|indices, seed| {
                    shuffle_in_batches(indices, &mut ChaCha8Rng::seed_from_u64(seed))
                })
            },
            &mut || {
                #[cfg(feature = "rip_shuffle")]
                shuffled(rip_seed, &|indices, seed| {
                    use rand_chacha_0_3::{ChaCha8Rng, rand_core::SeedableRng};
                    use rip_shuffle::RipShuffleSequential;
                    indices.seq_shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
                });
                #[cfg(not(feature = "rip_shuffle"))]
                let _ = &rip_seed;
            },
            &mut || {
                number_alone += 1;
                let epoch = &mut *epoch.borrow_mut();
                alone(|| epoch.refill(number_alone));
            },
        ],
    );
    let mut epoch = epoch.into_inner();
    assert_permutation(epoch.indices());
    assert_permutation(&indices.borrow());
    let mut indices = indices.into_inner();
    indices.copy_from_slice(epoch.indices()); // as one thread had it
    epoch.refill(epoch.number());
    assert!(epoch.indices() == indices, "another order on one thread");
    let own = |i: usize| times[i] / len as f64 * 1e9;
    [own(0), own(1), own(2), if cfg!(feature = "rip_shuffle") { own(3) } else { 0.0 }, own(4)]
}
