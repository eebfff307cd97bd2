//! How numbers and lists of them are written to the bit: a string each in text formats, little-endian bytes in binary ones.

use alloc::{boxed::Box, format, vec::Vec};
use core::{fmt, marker::PhantomData};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

use super::number::Number;

/// Out of reach, so that the format is this crate's alone.
pub trait Sealed: Sized {
    fn save<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    fn save_all<S: Serializer>(all: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(Saving))
    }

    /// Reads one element of a list, which may hold several of these.
    fn append<'de, D: Deserializer<'de>>(deserializer: D, to: &mut Vec<Self>) -> Result<(), D::Error> {
        to.push(Self::load(deserializer)?);
        Ok(())
    }
}

struct Saving<'a, T>(&'a T);

impl<T: Sealed> Serialize for Saving<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.save(serializer)
    }
}

// Numbers -------------------------------------------------------------------------------------------------------------

/// Never a number of the format: readers whose only numbers are f64 round a u64, and many are off by a bit in a float.
/// Strings and bytes also stay apart in serde's own buffer (untagged and internally tagged enums), which claims to be a
/// text format whatever it was read from.
impl<T: Number> Sealed for T {
    fn save<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.spell())
        } else {
            Run(&[*self]).serialize(serializer)
        }
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut numbers = Vec::with_capacity(1);
        Self::append(deserializer, &mut numbers)?;
        match numbers[..] {
            [number] => Ok(number),
            _ => Err(D::Error::custom(format!("expected one {}, found {}", T::NAME, numbers.len()))),
        }
    }

    fn save_all<S: Serializer>(all: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_seq(all.iter().map(Saving))
        } else {
            serializer.collect_seq(all.chunks(RUN).map(Run))
        }
    }

    fn append<'de, D: Deserializer<'de>>(deserializer: D, to: &mut Vec<Self>) -> Result<(), D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Append(to))
        } else {
            deserializer.deserialize_byte_buf(Append(to))
        }
    }
}

/// So many numbers are one string of bytes, so that a save copies a run at a time and not all.
const RUN: usize = 4096;

struct Run<'a, T>(&'a [T]);

impl<T: Number> Serialize for Run<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(size_of_val(self.0));
        self.0.iter().for_each(|number| number.append_to(&mut bytes));
        serializer.serialize_bytes(&bytes)
    }
}

/// Reads one string of text (a number) or of bytes (any count of them).
struct Append<'a, T>(&'a mut Vec<T>);

impl<T: Number> Visitor<'_> for Append<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a string with a {}", T::NAME)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let number = T::parse(text).ok_or_else(|| E::custom(format!("expected a number, found `{text}`")))?;
        // A number that was rounded, or is written in another way, is rejected.
        let exact = number.spell();
        if exact != text {
            return Err(E::custom(format!("expected a number as it is saved, `{exact}`, found `{text}`")));
        }
        self.0.push(number);
        Ok(())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<(), E> {
        for number in bytes.chunks(T::SIZE).map(T::from_bytes) {
            let wrong = || E::custom(format!("expected {} bytes for each {}", T::SIZE, T::NAME));
            self.0.push(number.ok_or_else(wrong)?);
        }
        Ok(())
    }
}

// Lists ---------------------------------------------------------------------------------------------------------------

impl<T: Sealed> Sealed for Vec<T> {
    fn save<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::save_all(self, serializer)
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(All(PhantomData))
    }
}

impl<T: Sealed> Sealed for Box<[T]> {
    fn save<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::save_all(self, serializer)
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::load(deserializer).map(Vec::into_boxed_slice)
    }
}

impl<T: Sealed, const N: usize> Sealed for [T; N] {
    fn save<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        T::save_all(self, serializer)
    }

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |all: Vec<T>| D::Error::custom(format!("expected an array of length {N}, found {}", all.len()));
        Vec::load(deserializer)?.try_into().map_err(wrong)
    }
}

struct All<T>(PhantomData<T>);

impl<'de, T: Sealed> Visitor<'de> for All<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list of numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut all = Vec::new();
        while seq.next_element_seed(Element(&mut all))?.is_some() {}
        Ok(all)
    }
}

struct Element<'a, T>(&'a mut Vec<T>);

impl<'de, T: Sealed> DeserializeSeed<'de> for Element<'_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        T::append(deserializer, self.0)
    }
}
