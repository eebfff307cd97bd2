//! The maintainers of `rand_chacha` have moved to `chacha20`. Both give the same words at the same positions, so that
//! `chacha20` can replace `rand_chacha` without a change of values. (It has no `Clone`, so `Draws` would need
//! [`copy`].)

use rand::{Rng, SeedableRng};

/// The same calls on each, from all positions that the crate can reach. (From 2^68 words on, the positions differ.)
#[test]
fn chacha20_gives_what_rand_chacha_gives() {
    let seeds = [[0; 32], [255; 32], std::array::from_fn(|i| (151 * i + 7) as u8)];
    for seed in seeds {
        for stream in [0, 1, 1 << 32, u64::MAX] {
            for start in [0, 1, 15, 16, 255, (1 << 36) - 17, (1 << 64) - 83, (1 << 65) - 9] {
                let mut ours = rand_chacha::ChaCha8Rng::from_seed(seed);
                let mut theirs = chacha20::ChaCha8Rng::from_seed(seed);
                // In this order: a new stream begins at its start in chacha20, and at the same place in rand_chacha.
                ours.set_stream(stream);
                theirs.set_stream(stream);
                ours.set_word_pos(start);
                theirs.set_word_pos(start);
                for call in 0..40 {
                    let place = format!("{seed:?}, stream {stream}, from {start}, call {call}");
                    let len = [0, 1, 3, 4, 7, 64, 65, 256, 299][call % 9];
                    let (mut bytes, mut expected) = (vec![0; len], vec![0; len]);
                    theirs.fill_bytes(&mut bytes);
                    ours.fill_bytes(&mut expected);
                    assert_eq!(bytes, expected, "{place}");
                    assert_eq!(theirs.next_u32(), ours.next_u32(), "{place}");
                    assert_eq!(theirs.get_word_pos(), ours.get_word_pos(), "{place}");
                    assert_eq!(theirs.next_u64(), ours.next_u64(), "{place}");
                    assert_eq!(theirs.get_word_pos(), ours.get_word_pos(), "{place}");
                }
                assert_eq!((ours.get_seed(), ours.get_stream()), (seed, stream));
                assert_eq!((theirs.get_seed(), theirs.get_stream()), (seed, stream));
                assert_eq!(copy(&theirs), theirs);
                assert_eq!(copy(&theirs).next_u64(), ours.next_u64());
            }
        }
    }
}

fn copy(generator: &chacha20::ChaCha8Rng) -> chacha20::ChaCha8Rng {
    let mut copy = chacha20::ChaCha8Rng::from_seed(generator.get_seed());
    copy.set_stream(generator.get_stream());
    copy.set_word_pos(generator.get_word_pos());
    copy
}
