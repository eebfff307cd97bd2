//! Converts bf16 and f16 to f32 and back without branches or calls, so that loops vectorise: the functions of the crate
//! `half` take several times as long. The results are the same; only a NaN of f16 may have another payload.

use core::fmt::Debug;

use half::{bf16, f16};
use num_traits::Float;

/// The types `half::bf16` and `half::f16`. Sealed. Feature `half`.
pub trait Half: Convert + Float + Debug + Send + Sync + 'static {
    #[doc(hidden)]
    fn slice(halves: &[Self]) -> Either<&[bf16], &[f16]>;
    #[doc(hidden)]
    fn slice_mut(halves: &mut [Self]) -> Either<&mut [bf16], &mut [f16]>;
}

/// Which of the two types a generic half is.
#[derive(Debug)]
pub enum Either<B, F> {
    Bf16(B),
    F16(F),
}

macro_rules! half {
    ($half:ident $kind:ident) => {
        impl Half for $half {
            fn slice(halves: &[Self]) -> Either<&[bf16], &[f16]> {
                Either::$kind(halves)
            }

            fn slice_mut(halves: &mut [Self]) -> Either<&mut [bf16], &mut [f16]> {
                Either::$kind(halves)
            }
        }
    };
}

half!(bf16 Bf16);
half!(f16 F16);

pub trait Convert {
    fn widen(self) -> f32;
    /// Rounds to nearest, ties to even.
    fn narrow(value: f32) -> Self;
}

impl Convert for bf16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.to_bits()) << 16)
    }

    #[inline(always)]
    fn narrow(value: f32) -> bf16 {
        let bits = value.to_bits();
        // Adds half a unit of the last bit that is kept, less 1 if that bit is 0: so ties go to even.
        let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
        // A NaN whose upper digits are all 0 would be cut to an infinity, so one of these digits is set.
        let quiet = bits >> 16 | 0x40;
        bf16::from_bits(if value.is_nan() { quiet } else { rounded } as u16)
    }
}

/// 2^exponent.
const fn power(exponent: i32) -> f32 {
    f32::from_bits(((127 + exponent) as u32) << 23)
}

impl Convert for f16 {
    #[inline(always)]
    fn widen(self) -> f32 {
        let (sign, digits) = (u32::from(self.to_bits()) << 16 & 0x8000_0000, u32::from(self.to_bits() & 0x7FFF) << 13);
        // Adding 224 takes f16's largest exponent to f32's, so that infinity and NaN stay what they are. For other
        // numbers that is 112 too many, which a product takes back exactly.
        let shifted = f32::from_bits(digits + (224 << 23));
        let normal = shifted * power(-112);
        // An f16 with exponent 0 has no leading one: it is 2 · normal - 2^-14. For all others that is not below
        // `normal`, so the smaller one is right. (A subnormal f32 would lead there too, but CPUs are slow with those.)
        let subnormal = shifted * power(-111) - power(-14);
        let value = if subnormal < normal { subnormal } else { normal };
        f32::from_bits(sign | value.to_bits())
    }

    #[inline(always)]
    fn narrow(value: f32) -> f16 {
        let (sign, bits) = (value.to_bits() >> 16 & 0x8000, value.to_bits() & 0x7FFF_FFFF);
        let within = bits.min(power(16).to_bits()); // from 2^16 on all become infinite
        // f16 keeps 10 bits after the leading one, but none below 2^-24. A power of two that is 2^13 times as large as
        // the leading one (or as 2^-14, if that is larger) is added: then f32 keeps the same bits, and rounds as f16
        // does.
        let exponent = within.max(power(-14).to_bits()) & 0x7F80_0000;
        // For a leading one of 2^e, `exponent >> 13` puts e + 127 where f16 has its exponent e + 15. The leading one
        // itself adds 1, and 15 << 10 takes 113 off, since modulo 2^16 it is -(113 << 10). Subnormal numbers have no
        // leading one, so that nothing is added, and their exponent becomes 0.
        let large = f32::from_bits(exponent + (13 << 23) + (15 << 10));
        // Only the lower 16 bits of `number` are used.
        let number = (exponent >> 13).wrapping_add((f32::from_bits(within) + large).to_bits());
        let nan = if value.is_nan() { 0x0200 } else { 0 };
        f16::from_bits((sign | number | nan) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every half, the numbers half-way to the next, the neighbours of those, and NaN.
    #[test]
    fn conversions_are_those_of_half() {
        // The payload of a NaN may differ.
        let same = |a: f16, b: f16| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        for high in 0..=u16::MAX {
            for low in [0, 1, 0x0FFF, 0x1000, 0x1001, 0x2FFF, 0x3000, 0x3001, 0x7FFF, 0x8000, 0x8001, 0xFFFF] {
                let value = f32::from_bits(u32::from(high) << 16 | low);
                assert_eq!(<bf16 as Convert>::narrow(value).to_bits(), bf16::from_f32(value).to_bits(), "{value:?}");
                assert!(same(<f16 as Convert>::narrow(value), f16::from_f32(value)), "{value:?}");
            }
            let (b, f) = (bf16::from_bits(high), f16::from_bits(high));
            assert!(b.widen().to_bits() == b.to_f32().to_bits() || b.widen().is_nan() && b.is_nan(), "{b:?}");
            assert!(f.widen().to_bits() == f.to_f32().to_bits() || f.widen().is_nan() && f.is_nan(), "{f:?}");
            for beside in [-1, 0, 1] {
                let value = (f64::from(f) + f64::from(f16::from_bits(high.wrapping_add(1)))) / 2.0;
                let value = f32::from_bits((value as f32).to_bits().wrapping_add_signed(beside));
                assert!(same(<f16 as Convert>::narrow(value), f16::from_f32(value)), "{value:?}");
            }
        }
    }
}
