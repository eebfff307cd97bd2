//! The draws of a shuffle are uniform, and so are its orders: shown for every sequence of small words.
//!
//! [`draw`] and [`shuffle`] are written from `order.md`, for words of any number of bits. With 64 bits they are
//! compared with the crate's; with a few bits every sequence of words is tried.

use std::collections::HashMap;

use gradstep::{Batcher, Shuffle};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `k` draws, the first below `bound`, the next below `bound` - 1, …; `None` where the words end.
fn draw(bits: u32, bound: usize, k: usize, words: &mut impl Iterator<Item = u64>) -> Option<Vec<usize>> {
    let range = 1_u128 << bits;
    let product: u128 = (bound - k + 1..=bound).map(|bound| bound as u128).product();
    assert!(product <= range);
    loop {
        let mut rest = u128::from(words.next()?);
        let draws = (0..k).map(|i| {
            let wide = rest * (bound - i) as u128;
            rest = wide % range;
            (wide / range) as usize
        });
        let draws: Vec<usize> = draws.collect();
        if rest >= range % product {
            return Some(draws);
        }
    }
}

/// How many draws a word gives where `left` samples are left.
fn at_once(left: usize) -> usize {
    let more_than = [(1 << 20, 2), (1 << 15, 3), (1 << 12, 4), (1 << 10, 5), (6, 6)];
    more_than.into_iter().find(|&(than, _)| left > than).map_or(1, |(_, k)| k)
}

fn shuffle(bits: u32, len: usize, words: &mut impl Iterator<Item = u64>) -> Option<Vec<usize>> {
    let (mut order, mut left) = (Vec::from_iter(0..len), len);
    while left > 1 {
        let k = at_once(left);
        for (i, with) in draw(bits, left, k, words)?.into_iter().enumerate() {
            order.swap(left - 1 - i, with);
        }
        left -= k;
    }
    Some(order)
}

#[test]
fn with_64_bits_it_is_the_order_of_the_crate() {
    for len in (1..70).chain([1023, 1024, 1025, 1030, 4097, 32_769, 1 << 20]) {
        let mut key = *b"order v1________________________";
        key[8..].copy_from_slice(&[42, len as u64, 7].map(u64::to_le_bytes).concat());
        let mut words = ChaCha8Rng::from_seed(key);
        let expected = shuffle(64, len, &mut std::iter::repeat_with(|| words.next_u64())).unwrap();
        let order = Batcher::over(Shuffle::new(len, 42).unwrap(), 1).unwrap();
        assert_eq!(order.epoch(7).indices(), expected, "{len}");
    }
    // A word is enough for all draws that are made of it, up to the longest shuffle.
    for left in [1 << 32, 1 << 20, 1 << 15, 1 << 12, 1 << 10_u64] {
        let product: u128 = (0..at_once(left as usize) as u64).map(|i| u128::from(left - i)).product();
        assert!(product < 1 << 64, "{left}");
    }
}

/// Tries all words of 8 and of 13 bits: each outcome comes from the same number of words, and no more words are rejected than
/// that takes.
#[test]
fn every_outcome_of_a_draw_is_equally_likely() {
    let mut cases = 0;
    for bits in [8, 13] {
        for k in 1..=6 {
            for bound in k..=1 << bits {
                let product =
                    (bound - k + 1..=bound).fold(1_u64, |product, bound| product.saturating_mul(bound as u64));
                // With 13 bits and one draw, a few bounds of the 8192.
                if product > 1 << bits || bits == 13 && k == 1 && bound % 509 != 3 {
                    continue;
                }
                let mut counts = HashMap::<_, u64>::new();
                for word in 0..1 << bits {
                    if let Some(draws) = draw(bits, bound, k, &mut std::iter::once(word)) {
                        assert!(draws.iter().enumerate().all(|(i, &draw)| draw < bound - i));
                        *counts.entry(draws).or_default() += 1;
                    }
                }
                assert_eq!(counts.len() as u64, product, "{bits} bits, {k} draws below {bound}");
                assert!(counts.into_values().all(|count| count == (1 << bits) / product));
                cases += 1;
            }
        }
    }
    assert_eq!(cases, CASES);
}

const CASES: usize = 419;

/// Among all sequences of words after which the shuffle has just ended, each order is equally frequent, also where words are
/// rejected. Up to six samples are drawn one by one, seven from one word.
#[test]
fn every_order_is_equally_likely() {
    for (bits, len, word_count) in [(3, 2, 5), (3, 3, 5), (3, 4, 6), (3, 5, 6), (3, 6, 6), (5, 4, 3), (16, 7, 1)] {
        let mut counts = HashMap::<(usize, Vec<usize>), u64>::new();
        for sequence in 0..1_u64 << (bits * word_count) {
            let mut used = 0;
            let mut words = (0..word_count).map(|i| sequence >> (bits * i) & ((1 << bits) - 1)).inspect(|_| used += 1);
            if let Some(order) = shuffle(bits, len, &mut words) {
                *counts.entry((used, order)).or_default() += 1;
            }
        }
        let orders: u64 = (1..=len as u64).product();
        for used in 1..=word_count as usize {
            let of_used: Vec<u64> = counts.iter().filter(|((u, _), _)| *u == used).map(|(_, &count)| count).collect();
            // None where no word is rejected, or more words are needed.
            let equal = of_used.iter().all(|&count| count == of_used[0]);
            assert!(of_used.is_empty() || of_used.len() as u64 == orders && equal, "{bits} {len} {used}");
        }
    }
}
