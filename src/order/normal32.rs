//! Normal numbers in f32, by the inverse of the normal distribution (Wichura 1988, Algorithm AS 241, PPND7). `order.md`
//! fixes the order of all operations, on which the bits depend.
#![expect(clippy::excessive_precision, reason = "the digits of the paper")]

use core::f32::consts::{FRAC_1_SQRT_2, LN_2};

use num_traits::Float;

/// The standard normal number of `word`, whose highest bit is the sign and whose other bits are the probability.
///
/// Both formulas are always computed: without a branch, the compiler can compute many numbers side by side.
#[inline(always)]
pub(super) fn normal(word: u32) -> f32 {
    let k = (word & MAX as u32) as i32;
    let (from_half, outside) = (STEP * (k as f32 + 0.5), STEP * ((MAX - k) as f32 + 0.5));
    let (central, tail) = (central(from_half), tail(outside));
    let magnitude = if from_half <= 0.425 { central } else { tail };
    f32::from_bits(magnitude.to_bits() | word & 1 << 31)
}

const MAX: i32 = i32::MAX;
/// 2^-32. The probabilities are in the middle of 2^31 equal steps from 0 to 1/2.
const STEP: f32 = f32::from_bits((127 - 32) << 23);

/// The magnitude, from the distance of the probability from 1/2.
#[inline(always)]
fn central(q: f32) -> f32 {
    let r = 0.180625 - q * q;
    q * polynomial(&A, r) / polynomial(&B, r)
}

/// The magnitude, from the probability of a larger magnitude with the same sign.
#[inline(always)]
fn tail(p: f32) -> f32 {
    const ROOT_HALF: u32 = FRAC_1_SQRT_2.to_bits();
    // p = f / 2^e with √½ <= f < √2
    let e = (ROOT_HALF + ((1 << 23) - 1)).wrapping_sub(p.to_bits()) >> 23;
    let f = f32::from_bits(p.to_bits() + (e << 23));
    // −ln f = 2 artanh s = 2 (s + s³/3 + s⁵/5 + s⁷/7 + …)
    let s = (1.0 - f) / (1.0 + f);
    let depth = Float::sqrt(e as i32 as f32 * LN_2 + 2.0 * s * polynomial(&ARTANH, s * s));
    polynomial(&C, depth - 1.6) / polynomial(&D, depth - 1.6)
}

#[inline(always)]
fn polynomial(c: &[f32; 4], x: f32) -> f32 {
    (c[0] + c[1] * x) + (c[2] + c[3] * x) * (x * x)
}

const ARTANH: [f32; 4] = [1.0, 1.0 / 3.0, 1.0 / 5.0, 1.0 / 7.0];
const A: [f32; 4] = [3.3871327179, 5.0434271938e1, 1.5929113202e2, 5.9109374720e1];
const B: [f32; 4] = [1.0, 1.7895169469e1, 7.8757757664e1, 6.7187563600e1];
const C: [f32; 4] = [1.4234372777, 2.7568153900, 1.3067284816, 1.7023821103e-1];
const D: [f32; 4] = [1.0, 7.3700164250e-1, 1.2021132975e-1, 0.0];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{generator::BLOCK, normal64};

    /// Compared with the f64 quantile of the same probability, which has a test of its own.
    #[test]
    fn within_5e_7_of_the_quantile() {
        let ends = (0..2000).chain(0x6CCC_C000..0x6CCC_D000).chain(0x7FFF_F000..=0x7FFF_FFFF);
        for word in ends.chain((0..1 << 31).step_by(10_007)) {
            let exact = normal64::normal(u64::from(word) << 32 | 0x7FFF_FFFF);
            let off = (f64::from(normal(word)) / exact - 1.0).abs();
            assert!(off < 5e-7, "{word:#x} is {}, expected {exact}", normal(word));
            assert_eq!(normal(word | 1 << 31), -normal(word), "{word:#x}");
        }
    }

    /// All words. Larger words give larger numbers, except that two neighbours may be in the wrong order by less than
    /// the error of both.
    #[test]
    #[ignore = "2^31 words: a minute, optimised"]
    fn every_number_is_within_5e_7_of_the_quantile() {
        extern crate std;
        let half = |words: core::ops::Range<u32>| {
            let (mut exact, mut last) = ([0.0; BLOCK], 0.0_f32);
            for first in words.step_by(BLOCK) {
                let words: [u32; BLOCK] = core::array::from_fn(|i| first + i as u32);
                normal64::normals(&words.map(|word| u64::from(word) << 32 | 0x7FFF_FFFF), &mut exact);
                for (word, exact) in words.into_iter().zip(exact) {
                    let x = normal(word);
                    assert!((f64::from(x) / exact - 1.0).abs() < 5e-7, "{word:#x} is {x}, expected {exact}");
                    assert!(f64::from(x) > f64::from(last) * (1.0 - 5e-7), "{word:#x} is {x}, after {last}");
                    assert_eq!(normal(word | 1 << 31).to_bits(), x.to_bits() | 1 << 31, "{word:#x}");
                    last = x;
                }
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| half(0..1 << 30));
            half(1 << 30..1 << 31);
        });
    }

    /// The ends of both ranges, and of the integers that an f32 can hold, and a probability of √½ · 2^-k, where the
    /// logarithm takes the other exponent; tests/data/order.py prints them.
    #[test]
    fn value_stability_of_the_quantiles() {
        let quantiles: [(u32, u32); 11] = [
            (0x0000_0000, 0x2FA0_6C99),
            (0x0000_0001, 0x3070_A2E6),
            (0x007F_FFFF, 0x3BA0_6CC2),
            (0x0080_0000, 0x3BA0_6CC3),
            (0x4000_0000, 0x3F2C_AB5B),
            (0x6CCC_CD40, 0x3FB8_4291),
            (0x6CCC_CD41, 0x3FB8_4292),
            (0x7F80_0000, 0x4038_AE3C),
            (0x7FFF_FFFE, 0x40C5_5362),
            (0x7FFF_FFFF, 0x40CA_D08D),
            (0x7E95_F619, 0x4022_A25A),
        ];
        for (word, bits) in quantiles {
            assert_eq!(normal(word).to_bits(), bits, "{word:#x}");
        }
    }
}
