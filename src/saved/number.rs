//! A number that is saved to the bit: a string in text formats, little-endian bytes in binary ones.
//!
//! Never a number of the format: readers whose only numbers are f64 round a u64, and many are off by a bit in a float.
//! Strings and bytes also stay apart in serde's own buffer (untagged and internally tagged enums), which claims to be a
//! text format whatever it was read from.

use alloc::{format, vec::Vec};
use core::{
    fmt::{self, Debug},
    marker::PhantomData,
    str::FromStr,
};

#[cfg(feature = "half")]
use half::{bf16, f16};
use num_traits::Float;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

/// u64, f32, f64, and with feature `half` f16 and bf16.
pub trait Number: Copy + Debug + FromStr {
    const NAME: &'static str;
    const SIZE: usize;
    fn append_to(self, bytes: &mut Vec<u8>);
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($number:ident)*) => {$(
        impl Number for $number {
            const NAME: &'static str = stringify!($number);
            const SIZE: usize = size_of::<$number>();

            fn append_to(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self::from_le_bytes)
            }
        }
    )*};
}

numbers!(u64 f32 f64);
#[cfg(feature = "half")]
numbers!(f16 bf16);

/// A float that can be saved. Sealed.
pub trait Scalar: Number + Float + Send + Sync {}

impl<F: Number + Float + Send + Sync> Scalar for F {}

/// One number.
pub(super) struct Exact<T>(pub(super) T);

/// Many numbers: text one by one, bytes in runs, so that a save copies a run at a time and not all.
pub(super) struct Exacts<V>(pub(super) V);

/// So many numbers are one string of bytes.
const RUN: usize = 4096;

struct Bytes<'a, T>(&'a [T]);

impl<T: Number> Serialize for Exact<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&format_args!("{:?}", self.0))
        } else {
            Bytes(&[self.0]).serialize(serializer)
        }
    }
}

impl<T: Number> Serialize for Exacts<&[T]> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(self.0.iter().map(|&number| Exact(number)))
        } else {
            serializer.collect_seq(self.0.chunks(RUN).map(Bytes))
        }
    }
}

impl<T: Number> Serialize for Bytes<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(size_of_val(self.0));
        self.0.iter().for_each(|number| number.append_to(&mut bytes));
        serializer.serialize_bytes(&bytes)
    }
}

impl<'de, T: Number> Deserialize<'de> for Exact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Vec::with_capacity(1);
        Append(&mut numbers).deserialize(deserializer)?;
        match numbers[..] {
            [number] => Ok(Exact(number)),
            _ => Err(D::Error::custom(format!("expected one {}, found {}", T::NAME, numbers.len()))),
        }
    }
}

impl<'de, T: Number> Deserialize<'de> for Exacts<Vec<T>> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(All(PhantomData)).map(Exacts)
    }
}

struct All<T>(PhantomData<T>);

impl<'de, T: Number> Visitor<'de> for All<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a sequence of {}", T::NAME)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut numbers = Vec::new();
        while seq.next_element_seed(Append(&mut numbers))?.is_some() {}
        Ok(numbers)
    }
}

/// Reads one string of text (a number) or of bytes (any count of them).
struct Append<'a, T>(&'a mut Vec<T>);

impl<'de, T: Number> DeserializeSeed<'de> for Append<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(self)
        } else {
            deserializer.deserialize_byte_buf(self)
        }
    }
}

impl<T: Number> Visitor<'_> for Append<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a string with a {}", T::NAME)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let number: T = text.parse().map_err(|_| E::custom(format!("expected a number, found `{text}`")))?;
        // What was rounded, or written in another way, is rejected.
        let exact = format!("{number:?}");
        if exact != text {
            return Err(E::custom(format!("expected a number as it is saved, `{exact}`, found `{text}`")));
        }
        self.0.push(number);
        Ok(())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        let numbers = bytes.chunks(T::SIZE).map(T::from_bytes);
        for number in numbers {
            let wrong = || E::custom(format!("expected {} bytes for each {}", T::SIZE, T::NAME));
            self.0.push(number.ok_or_else(wrong)?);
        }
        Ok(())
    }
}
