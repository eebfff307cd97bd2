//! The numbers that are saved to the bit, and how each is written: as text, and as bytes.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt::LowerExp, str::FromStr};

#[cfg(feature = "half")]
use half::{bf16, f16};
use num_traits::Float;

/// A number that is saved to the bit: u64, f32, f64, and with feature `half` f16 and bf16.
pub trait Number: Copy {
    const NAME: &'static str;
    const SIZE: usize;
    /// The one spelling of this number that loading accepts.
    fn spell(self) -> String;
    /// The number nearest to `text`, in any spelling.
    fn parse(text: &str) -> Option<Self>;
    fn append_to(self, bytes: &mut Vec<u8>);
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ident, as $written:ident, $spell:ident, $from:expr;)*) => {$(
        impl Number for $number {
            const NAME: &'static str = stringify!($number);
            const SIZE: usize = size_of::<$number>();

            fn spell(self) -> String {
                $spell($written::from(self))
            }

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok().map($from)
            }

            fn append_to(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}

numbers! {
    u64, as u64, decimal, |number: u64| number;
    f32, as f32, scientific, |number: f32| number;
    f64, as f64, scientific, |number: f64| number;
}
// Reading rounds to f32 first. That is exact for a number as it was saved; any other is rejected by its spelling.
#[cfg(feature = "half")]
numbers! {
    f16, as f32, scientific, f16::from_f32;
    bf16, as f32, scientific, bf16::from_f32;
}

fn decimal(number: u64) -> String {
    number.to_string()
}

/// The spelling that the documentation defines: the number rounded, ties to even, to the fewest digits that read back
/// as the same bits.
fn scientific<F: Float + LowerExp + FromStr>(number: F) -> String {
    if !number.is_finite() {
        return if number.is_nan() { "NaN" } else { ["inf", "-inf"][usize::from(number < F::zero())] }.into();
    }
    // Only the number of digits is taken from this. Rust writes as few digits as can be read back, but does not promise
    // which ones: of two equally near decimals it may take either. Next to a power of two, the nearest decimal of that
    // length may be another one, which is not read back as the number; then one digit more is needed.
    let shortest = format!("{number:e}");
    let decimals =
        shortest.bytes().take_while(|&byte| byte != b'e').filter(u8::is_ascii_digit).count().saturating_sub(1);
    let rounded = (decimals..=16).map(|decimals| format!("{number:.decimals$e}"));
    rounded.into_iter().find(|text| text.parse().is_ok_and(|read: F| read == number)).unwrap_or(shortest)
}
