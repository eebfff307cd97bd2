//! How numbers, and lists of numbers, are written to the bit: in text formats as one string per number, in binary
//! formats as little-endian bytes.

use alloc::{boxed::Box, format, vec::Vec};
use core::{fmt, marker::PhantomData};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};

use super::number::Number;

/// Cannot be named outside this crate, so that no other crate adds types to the format.
pub trait Sealed: Sized {
    fn save<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error>;

    fn load<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    fn save_all<S: Serializer>(all: &[Self], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(Saving))
    }

    /// Reads one element of a saved list. In binary formats an element holds several numbers.
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

/// A number is never written as a number of the format, since readers whose only numbers are f64 round a u64, and many
/// readers are off by one bit in a float. Strings and bytes can also be told apart when they are loaded from serde's
/// own buffer (of untagged and internally tagged enums), which claims to be a text format even if it was filled from a
/// binary one.
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

/// The most numbers in one byte string: saving copies one such run at a time, not the whole list.
const RUN: usize = 4096;

struct Run<'a, T>(&'a [T]);

impl<T: Number> Serialize for Run<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(size_of_val(self.0));
        self.0.iter().for_each(|number| number.append_to(&mut bytes));
        serializer.serialize_bytes(&bytes)
    }
}

/// Reads a string, which is one number, or a byte string, which is any number of numbers.
struct Append<'a, T>(&'a mut Vec<T>);

impl<T: Number> Visitor<'_> for Append<'_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "a string with a {}", T::NAME)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let number = T::parse(text).ok_or_else(|| E::custom(format!("expected a number, found `{text}`")))?;
        // If the number was rounded on its way, its spelling differs.
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
        // Without the capacity that the file claims, since a damaged file may claim any.
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
