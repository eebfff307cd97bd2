//! Normal numbers in f64, by the inverse of the normal distribution (Wichura 1988, Algorithm AS 241, PPND16).
//! `order.md` fixes the order of all operations, on which the bits depend.
#![expect(clippy::excessive_precision, reason = "the digits of the paper")]

use core::f64::consts::{FRAC_1_SQRT_2, LN_2};

use num_traits::Float;

use super::generator::BLOCK;
use crate::simd::wide;

/// The standard normal number of `word`, whose highest bit is the sign and whose other bits are the probability.
#[inline(always)]
pub(super) fn normal(word: u64) -> f64 {
    if odd(word) <= CENTRE {
        return signed(word, central(from_half(word)));
    }
    let depth = depth(word);
    signed(word, if depth <= NEAR { near(depth) } else { far(depth) })
}

/// `out[i] = normal(words[i])`, for at most [`BLOCK`] words.
pub(super) fn normals(words: &[u64], out: &mut [f64]) {
    wide(
        #[inline(always)]
        || {
            // Two loops, here and below: in one loop, the chain of operations would be longer than a CPU looks ahead.
            let mut numbers = [0.0; BLOCK];
            for (q, &word) in numbers.iter_mut().zip(words) {
                *q = from_half(word);
            }
            for ((x, &q), &word) in out.iter_mut().zip(&numbers).zip(words) {
                *x = signed(word, central(q));
            }
            // 15 % of the numbers are not central. They are gathered, so that they too are computed side by side, and
            // then written over what the loop above has written for them.
            let (mut places, mut count) = ([0_u8; BLOCK], 0);
            for (place, &word) in (0..BLOCK as u8).zip(words) {
                // Each place is written, and counted only if it is not central: so there is no branch.
                places[count % BLOCK] = place;
                count += usize::from(odd(word) > CENTRE);
            }
            let (mut tails, mut any_far) = ([0; BLOCK], 0);
            let (places, tails) = (&places[..count], &mut tails[..count]);
            for (tail, &place) in tails.iter_mut().zip(places) {
                *tail = words[usize::from(place)];
            }
            for (depth, &tail) in numbers.iter_mut().zip(&*tails) {
                *depth = self::depth(tail);
            }
            for (tail, &depth) in tails.iter_mut().zip(&numbers) {
                any_far |= u64::from(depth > NEAR);
                *tail = signed(*tail, near(depth)).to_bits();
            }
            for (&tail, &place) in tails.iter().zip(places) {
                out[usize::from(place)] = f64::from_bits(tail);
            }
            // Numbers beyond 6.6 standard deviations are so rare that a block with one is computed again, one by one.
            if any_far > 0 {
                out.iter_mut().zip(words).for_each(|(x, &word)| *x = normal(word));
            }
        },
    );
}

/// 2^-65. The probabilities are its odd multiples, in the middle of 2^63 equal steps from 0 to 1/2.
const STEP: f64 = f64::from_bits((1023 - 65) << 52);
/// 0.425 in steps. Up to this distance from probability 1/2, `central` is valid.
const CENTRE: u64 = (0.425 / STEP) as u64;
/// Up to this depth `near` is valid, beyond it `far`. It is 6.6 standard deviations.
const NEAR: f64 = 5.0;

/// The distance of the probability from 1/2, in steps.
#[inline(always)]
fn odd(word: u64) -> u64 {
    word << 1 | 1
}

/// The magnitude, with the sign of `word`.
#[inline(always)]
fn signed(word: u64, magnitude: f64) -> f64 {
    f64::from_bits(magnitude.to_bits() | word & 1 << 63)
}

/// The distance of the probability from 1/2.
#[inline(always)]
fn from_half(word: u64) -> f64 {
    odd(word) as f64 * STEP
}

/// The magnitude, from the distance of the probability from 1/2.
#[inline(always)]
fn central(q: f64) -> f64 {
    let r = 0.180625 - q * q;
    q * polynomial(&A, r) / polynomial(&B, r)
}

/// The magnitude in the tail, up to a depth of [`NEAR`].
#[inline(always)]
fn near(depth: f64) -> f64 {
    polynomial(&C, depth - 1.6) / polynomial(&D, depth - 1.6)
}

/// The magnitude in the far tail.
#[inline(always)]
fn far(depth: f64) -> f64 {
    polynomial(&E, depth - 5.0) / polynomial(&F, depth - 5.0)
}

/// √(−ln p) for the probability p of a larger magnitude with this sign.
#[inline(always)]
fn depth(word: u64) -> f64 {
    const ROOT_HALF: u64 = FRAC_1_SQRT_2.to_bits();
    let p = (odd(word).wrapping_neg() as f64 * STEP).to_bits();
    // p = f / 2^e with √½ <= f < √2
    let e = (ROOT_HALF + ((1 << 52) - 1)).wrapping_sub(p) >> 52;
    let f = f64::from_bits(p + (e << 52));
    // −ln f = 2 artanh s = 2 (s + s³/3 + s⁵/5 + …)
    let s = (1.0 - f) / (1.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let series = polynomial(&ARTANH, s2) + (1.0 / 17.0 + 1.0 / 19.0 * s2) * (s4 * s4) * (s4 * s4);
    Float::sqrt(e as f64 * LN_2 + 2.0 * s * series)
}

/// The terms are added in pairs (Estrin 1960): the chain of operations that wait for each other is half as long as in
/// Horner's scheme.
#[inline(always)]
fn polynomial(c: &[f64; 8], x: f64) -> f64 {
    let x2 = x * x;
    let low = (c[0] + c[1] * x) + (c[2] + c[3] * x) * x2;
    let high = (c[4] + c[5] * x) + (c[6] + c[7] * x) * x2;
    low + high * (x2 * x2)
}

#[rustfmt::skip]
const ARTANH: [f64; 8] =
    [1.0, 1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0, 1.0 / 9.0, 1.0 / 11.0, 1.0 / 13.0, 1.0 / 15.0];
#[rustfmt::skip]
const A: [f64; 8] = [
    3.3871328727963666080, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
];
#[rustfmt::skip]
const B: [f64; 8] = [
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
];
#[rustfmt::skip]
const C: [f64; 8] = [
    1.42343711074968357734, 4.63033784615654529590, 5.76949722146069140550, 3.64784832476320460504,
    1.27045825245236838258, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
];
#[rustfmt::skip]
const D: [f64; 8] = [
    1.0, 2.05319162663775882187, 1.67638483018380384940, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
];
#[rustfmt::skip]
const E: [f64; 8] = [
    6.65790464350110377720, 5.46378491116411436990, 1.78482653991729133580, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
];
#[rustfmt::skip]
const F: [f64; 8] = [
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// A probability of √½ · 2^-k, where the logarithm takes the other exponent, two words that show its last term, and
    /// the ends of the three ranges; tests/data/order.py prints them.
    #[test]
    fn value_stability_of_the_quantiles() {
        let quantiles: [(u64, u64); 12] = [
            (0x7FF4_AFB0_CCC0_6219, 0x400C_A13D_92B8_95B7),
            (0x7A57_BABD_DFDF_21FF, 0x4000_1902_0809_6360),
            (0x7FFF_FF4B_0002_2B13, 0x4015_6E4A_CCC4_45EF),
            (0x0000_0000_0000_0000, 0x3BF4_0D93_1FF6_2706),
            (0x0000_0000_0000_0001, 0x3C0E_145C_AFF1_3A89),
            (0x4000_0000_0000_0000, 0x3FE5_956B_8752_8A49),
            (0x6CCC_CCCC_CCCC_CBFF, 0x3FF7_0852_26D3_E523),
            (0x6CCC_CCCC_CCCC_CC00, 0x3FF7_0852_26D3_E521),
            (0x7FFF_FFFF_FFFF_EFFF, 0x4020_4072_CD05_676C),
            (0x7FFF_FFFF_F85D_5960, 0x401B_0948_00A7_4738),
            (0x7FFF_FFFF_F85E_1CB0, 0x401B_0956_D4F8_287E),
            (0x7FFF_FFFF_FFFF_FFFF, 0x4022_4F82_AA55_EB15),
        ];
        for (word, bits) in quantiles {
            assert_eq!(normal(word).to_bits(), bits, "{word:#x}");
            assert_eq!(normal(word | 1 << 63).to_bits(), bits | 1 << 63, "{word:#x}, negative");
            // Among other words, at each place of a block.
            for place in 0..BLOCK {
                let mut words = [7; BLOCK];
                words[place] = word;
                let mut out = [0.0; BLOCK];
                normals(&words, &mut out);
                assert_eq!(out.map(f64::to_bits), words.map(|word| normal(word).to_bits()), "{word:#x} at {place}");
            }
        }
    }
}
