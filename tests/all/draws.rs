//! Draws: golden values, the same from every method, and what is rejected.

use gradstep::{DrawFloat, Draws, stable_hash};

use crate::common::{golden::table, says};

fn stream() -> Draws {
    Draws::new("weights", [3, 4], 42)
}

/// `len` draws, one after the other.
fn single<T>(len: usize, draw: impl Fn(&mut Draws) -> T) -> Vec<T> {
    let mut draws = stream();
    (0..len).map(|_| draw(&mut draws)).collect()
}

fn filled<T: Copy + Default>(len: usize, fill: impl FnOnce(&mut Draws, &mut [T])) -> Vec<T> {
    let mut out = vec![T::default(); len];
    fill(&mut stream(), &mut out);
    out
}

/// The bits of `len` draws from `draws`, drawn one after the other, and filled in.
fn both(draws: &Draws, kind: &str, argument: &str, len: usize) -> anyhow::Result<[Vec<u64>; 2]> {
    fn reals<F: DrawFloat + Default, const NORMAL: bool>(
        mut draws: Draws,
        len: usize,
        bits: fn(F) -> u64,
    ) -> [Vec<u64>; 2] {
        let mut out = vec![F::default(); len];
        let mut filling = draws.clone();
        if NORMAL {
            filling.fill_normal(&mut out)
        } else {
            filling.fill_uniform(&mut out)
        }
        let single = (0..len).map(|_| bits(if NORMAL { draws.normal() } else { draws.uniform() })).collect();
        assert_eq!(draws, filling, "both are at the same place");
        [single, out.into_iter().map(bits).collect()]
    }
    let bits32 = |x: f32| u64::from(x.to_bits());
    let (mut draws, mut filling) = (draws.clone(), draws.clone());
    let mut out = vec![0; len];
    let single = match kind {
        "uniform32" => return Ok(reals::<f32, false>(draws, len, bits32)),
        "uniform64" => return Ok(reals::<f64, false>(draws, len, f64::to_bits)),
        "normal32" => return Ok(reals::<f32, true>(draws, len, bits32)),
        "normal64" => return Ok(reals::<f64, true>(draws, len, f64::to_bits)),
        "word" => {
            filling.fill_words(&mut out);
            (0..len).map(|_| draws.word()).collect()
        }
        "below" => {
            let n = argument.parse()?;
            filling.fill_below(n, &mut out)?;
            (0..len).map(|_| draws.below(n)).collect::<Result<_, _>>()?
        }
        "coin" => {
            let (p, mut coins) = (argument.parse()?, vec![false; len]);
            filling.fill_coin(p, &mut coins)?;
            out = coins.into_iter().map(u64::from).collect();
            (0..len).map(|_| draws.coin(p).map(u64::from)).collect::<Result<_, _>>()?
        }
        kind => anyhow::bail!("no draw {kind}"),
    };
    assert_eq!(draws, filling, "both are at the same place");
    Ok([single, out])
}

#[test]
fn value_stability_draws() {
    for row in table(include_str!("../data/draws.csv"), 531) {
        let [kind, argument, seed, purpose, counter0, counter1, position, values] = row[..] else { panic!("{row:?}") };
        let number = |column: &str| column.parse::<u64>().unwrap();
        let mut draws = Draws::new(purpose, [number(counter0), number(counter1)], number(seed));
        draws.seek(number(position));
        let values: Vec<_> = values.split(' ').map(|value| u64::from_str_radix(value, 16).unwrap()).collect();
        for drawn in both(&draws, kind, argument, values.len()).unwrap() {
            assert_eq!(drawn, values, "{row:?}");
        }
    }
}

/// Blocks, buffers and vectors begin and end anywhere, also in the middle of a word.
#[test]
fn filling_is_drawing_one_after_another() {
    for kind in ["word", "below", "uniform32", "uniform64", "normal32", "normal64", "coin"] {
        let argument = match kind {
            "below" => "13835058055282163712", // 3/4 of 2^64, so that words are rejected
            "coin" => "0.3",
            _ => "",
        };
        for len in [0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000] {
            for start in [0, 1, 2, 7, 14, 63, 64] {
                let mut draws = stream();
                draws.seek(start);
                let [single, filled] = both(&draws, kind, argument, len).unwrap();
                assert_eq!(single, filled, "{len} of {kind} from word {start}");
            }
        }
    }
}

/// "Some 300 bytes."
#[test]
fn a_stream_takes_little_memory() {
    assert!((290..=320).contains(&size_of::<Draws>()), "{}", size_of::<Draws>());
}

#[test]
fn seek_goes_anywhere() {
    let halves: Vec<_> =
        single(400, Draws::word).into_iter().flat_map(|word| [word & 0xFFFF_FFFF, word >> 32]).collect();
    let mut draws = stream();
    for start in (0..790).chain((0..790).rev().step_by(7)) {
        draws.seek(start as u64);
        assert_eq!(draws.word(), halves[start] | halves[start + 1] << 32, "from {start}");
        draws.seek(start as u64);
        assert_eq!(draws.uniform::<f32>(), (halves[start] >> 8) as f32 / 16_777_216.0, "from {start}");
    }
    for last in [1 << 32, 1 << 36, u64::MAX] {
        draws.seek(last);
        let word = draws.word();
        draws.seek(last - 2);
        draws.word();
        assert_eq!(draws.word(), word, "from {last}");
    }
}

/// Each draw takes as many words as the table of `Draws` says, also from the middle of a word.
#[test]
fn position_counts_the_words_that_were_drawn() {
    type Fill = fn(&mut Draws, usize);
    let takes: [(u64, Fill); 7] = [
        (2, |draws, len| draws.fill_words(&mut vec![0; len])),
        (2, |draws, len| draws.fill_below(16, &mut vec![0; len]).unwrap()), // rejects nothing
        (1, |draws, len| draws.fill_uniform(&mut vec![0.0_f32; len])),
        (2, |draws, len| draws.fill_uniform(&mut vec![0.0_f64; len])),
        (1, |draws, len| draws.fill_normal(&mut vec![0.0_f32; len])),
        (2, |draws, len| draws.fill_normal(&mut vec![0.0_f64; len])),
        (2, |draws, len| draws.fill_coin(0.3, &mut vec![false; len]).unwrap()),
    ];
    for (kind, (words, fill)) in takes.into_iter().enumerate() {
        for (start, len) in [(0, 0), (0, 1), (1, 3), (63, 2), (64, 1000), (1 << 36, 65), (u64::MAX - 200, 100)] {
            let mut draws = stream();
            draws.seek(start);
            assert_eq!(draws.position(), start);
            fill(&mut draws, len);
            assert_eq!(draws.position(), start + words * len as u64, "{len} of kind {kind} from word {start}");
        }
    }
    let mut last = stream();
    last.seek(u64::MAX);
    last.word();
    assert_eq!(last.position(), u64::MAX);
}

/// Nearly every second word is rejected: the position leads back to each draw, twice its number does not.
#[test]
fn a_draw_below_n_is_found_by_its_position() {
    let (mut draws, n) = (stream(), (1 << 63) + 1);
    let kept: Vec<_> = (0..100).map(|_| (draws.position(), draws.below(n).unwrap())).collect();
    for &(position, number) in kept.iter().rev() {
        draws.seek(position);
        assert_eq!(draws.below(n), Ok(number), "at {position}");
    }
    let (position, number) = kept[60];
    assert!((200..280).contains(&position), "{position}"); // 60 draws of 4 words each, in the mean
    draws.seek(120);
    assert_ne!(draws.below(n), Ok(number));
}

/// The largest magnitude of an f32: the middle of the last of 2^32 steps. One draw in 2^31 is it.
#[test]
fn the_largest_normal_f32_is_6_338() {
    let mut draws = Draws::new("tails", [0, 0], 1000);
    draws.seek(51_110_238_552);
    assert_eq!(draws.clone().word() as u32 & 0x7FFF_FFFF, 0x7FFF_FFFF); // no probability is farther from 1/2
    let largest = draws.normal::<f32>().abs();
    assert_eq!((largest.to_bits(), (1e3 * largest).round()), (0x40CA_D08D, 6338.0));
}

#[test]
fn seed_purpose_and_both_counters_all_count() {
    let first = |seed, purpose, counters| Draws::new(purpose, counters, seed).word();
    let mut words = vec![];
    for seed in [0, 1, 2, 1 << 32] {
        for purpose in ["", "a", "b", "ab", "ba", "a\0"] {
            for counters in [[0, 0], [0, 1], [1, 0], [1, 1], [1 << 32, 0], [0, 1 << 32]] {
                words.push(first(seed, purpose, counters));
            }
        }
    }
    let len = words.len();
    words.sort();
    words.dedup();
    assert_eq!(words.len(), len);
    assert_eq!(stream(), Draws::new("weights", [3, 4], 42));
}

#[test]
fn uniforms_are_on_their_grid_from_the_top_bits() {
    for (x, word) in single(1000, Draws::uniform::<f64>).into_iter().zip(single(1000, Draws::word)) {
        assert!((0.0..1.0).contains(&x));
        assert_eq!((x * 2.0_f64.powi(53)) as u64, word >> 11);
    }
    for x in single(1000, Draws::uniform::<f32>) {
        assert!((0.0..1.0).contains(&x));
        assert_eq!((x * 16_777_216.0).fract(), 0.0);
    }
}

#[test]
fn below_is_below() {
    for n in [1, 2, 3, 10, 1 << 32, (1 << 63) + 1, u64::MAX] {
        assert!(single(1000, |draws| draws.below(n).unwrap()).into_iter().all(|number| number < n));
    }
    // A power of two takes the highest bits and rejects nothing.
    let top: Vec<_> = single(1000, Draws::word).into_iter().map(|word| word >> 60).collect();
    assert_eq!(single(1000, |draws| draws.below(16).unwrap()), top);
}

#[test]
fn a_coin_of_0_or_1_is_sure() {
    let coins = |p| filled(1000, |draws, out| draws.fill_coin(p, out).unwrap());
    assert_eq!(coins(0.0), [false; 1000]);
    assert_eq!(coins(-0.0), [false; 1000]);
    assert_eq!(coins(1.0), [true; 1000]);
    // Below p, not at most.
    let p = stream().uniform::<f64>();
    let above = f64::from_bits(p.to_bits() + 1);
    assert_eq!((stream().coin(p), stream().coin(above)), (Ok(false), Ok(true)));
    assert_eq!([coins(p)[0], coins(above)[0]], [false, true]);
    let uniform = single(1000, Draws::uniform::<f64>);
    assert_eq!(coins(0.25), uniform.into_iter().map(|x| x < 0.25).collect::<Vec<_>>());
}

/// Φ of the normal of a word is the word's place: by a series and a continued fraction, to within their rounding.
#[test]
fn normals_are_quantiles() {
    // How likely a larger magnitude is, times two: 1 - erf (a series), or erfc (Laplace's continued fraction).
    let both_tails = |x: f64| {
        let density = (-x * x / 2.0).exp() * (2.0 / std::f64::consts::PI).sqrt();
        if x < 3.0 {
            let (mut term, mut sum) = (x, x);
            for k in 1..100 {
                term *= x * x / f64::from(2 * k + 1);
                sum += term;
            }
            1.0 - density * sum
        } else {
            density / (1..200).rev().fold(x, |fraction, k| x + f64::from(k) / fraction)
        }
    };
    let mut draws = stream();
    for _ in 0..20_000 {
        let before = draws.clone().word();
        let x = draws.normal::<f64>();
        assert_eq!(x < 0.0, before >> 63 == 1, "the sign is the highest bit");
        let outside = (before << 1 | 1).wrapping_neg() as f64 / 2.0_f64.powi(64);
        let error = (both_tails(x.abs()) - outside).abs();
        // The series cancels; relative to a small probability, the fraction is as good as x.
        assert!(
            error <= if x.abs() < 3.0 { 2e-15 } else { 2e-14 * outside },
            "{before:#x} gives {x}, off by {error:e}"
        );
    }
    // The one beyond 6.6 standard deviations that tests/data/order.py knows.
    let mut draws = Draws::new("tails", [0, 0], 42);
    draws.seek(2 * 1_207_513_883);
    let outside = (draws.clone().word() << 1 | 1).wrapping_neg() as f64 / 2.0_f64.powi(64);
    let x = draws.normal::<f64>();
    assert!((6.6..6.8).contains(&x) && (both_tails(x) / outside - 1.0).abs() < 1e-12, "{x}");
}

#[test]
fn errors_say_what_was_expected_and_draw_nothing() {
    let mut draws = stream();
    draws.word();
    let before = draws.clone();
    let (mut numbers, mut coins) = ([7; 3], [true; 3]);
    says(draws.below(0), "n is 0, expected at least 1");
    says(draws.fill_below(0, &mut numbers), "n is 0, expected at least 1");
    for (p, shown) in
        [(-1e-300, "-1e-300"), (1.0 + f64::EPSILON, "1.0000000000000002"), (f64::INFINITY, "inf"), (f64::NAN, "NaN")]
    {
        let message = format!("p is {shown}, expected a number of at least 0 and at most 1");
        says(draws.coin(p), &message);
        says(draws.fill_coin(p, &mut coins), &message);
    }
    assert_eq!((draws, numbers, coins), (before, [7; 3], [true; 3]));
}

/// Published values: Fowler, Noll and Vo's test suite (also in RFC 9923).
#[test]
fn value_stability_stable_hash() {
    assert_eq!(stable_hash(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(stable_hash(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(stable_hash(b"foobar"), 0x8594_4171_f739_67e8);
}
