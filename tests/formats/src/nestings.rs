//! Where a user puts a saved value.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{difference, formats::Format, kinds::values, savable::*};

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Nesting {
    Plain,
    /// A field among others, in a `Vec` and in an `Option`.
    Struct,
    /// An untagged enum of all types, in that struct.
    Untagged,
    /// The same with the variants in reverse.
    Reversed,
    /// All types under `#[serde(tag = "kind")]`.
    Internal,
    /// All types under `#[serde(tag = "kind", content = "content")]`.
    Adjacent,
    /// `#[serde(flatten)]` between two fields.
    Flattened,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Loads,
    Rejected(String),
    /// Some values load, others are rejected.
    Partly(String),
    /// Loaded to something else, or panicked.
    Wrong(String),
}

#[derive(Debug, PartialEq)]
pub struct Seen {
    bits: (String, Vec<u8>),
    goes_on: String,
}

/// What holds one value or several.
trait Holder: Serialize + DeserializeOwned {
    fn see(&self, text: bool) -> Vec<Seen>;

    fn equals(&self, _: &Self) -> bool {
        true
    }
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Plain<T>(T);

impl<T: Savable> Holder for Plain<T> {
    fn see(&self, text: bool) -> Vec<Seen> {
        vec![Seen { bits: bits(&self.0, text), goes_on: self.0.clone().goes_on() }]
    }

    fn equals(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

#[derive(Serialize, Deserialize)]
struct Struct<T> {
    before: u8,
    value: T,
    list: Vec<T>,
    option: Option<T>,
    none: Option<T>,
    after: String,
}

impl<T: Holder> Holder for Struct<T> {
    fn see(&self, text: bool) -> Vec<Seen> {
        assert_eq!((self.before, self.after.as_str(), self.none.is_none()), (7, "after", true));
        [&self.value].into_iter().chain(&self.list).chain(&self.option).flat_map(|held| held.see(text)).collect()
    }
}

#[derive(Serialize, Deserialize)]
struct Flattened<T> {
    before: u8,
    #[serde(flatten)]
    value: T,
    after: String,
}

impl<T: Holder> Holder for Flattened<T> {
    fn see(&self, text: bool) -> Vec<Seen> {
        assert_eq!((self.before, self.after.as_str()), (7, "after"));
        self.value.see(text)
    }
}

/// Puts a value into an enum `E` of all types.
pub trait In<E> {
    fn held(self) -> E;
}

macro_rules! holder {
    ($(#[$meta:meta])* $holder:ident { $($name:ident: $type:ty,)* }) => {
        #[derive(Serialize, Deserialize)]
        $(#[$meta])*
        pub enum $holder { $($name($type)),* }

        $(impl In<$holder> for $type {
            fn held(self) -> $holder {
                $holder::$name(self)
            }
        })*

        impl Holder for $holder {
            fn see(&self, text: bool) -> Vec<Seen> {
                match self { $($holder::$name(value) => Plain(value.clone()).see(text)),* }
            }
        }
    };
}

macro_rules! enums {
    ($($name:ident: $type:ty,)*) => {
        holder! { #[serde(untagged)] Untagged { $($name: $type,)* } }
        holder! { #[serde(tag = "kind")] Internal { $($name: $type,)* } }
        holder! { #[serde(tag = "kind", content = "content")] Adjacent { $($name: $type,)* } }
        reversed! { [$($name: $type,)*] }
    };
}

macro_rules! reversed {
    ([$name:ident: $type:ty, $($rest:tt)*] $($done:tt)*) => { reversed! { [$($rest)*] $name: $type, $($done)* } };
    ([] $($done:tt)*) => { holder! { #[serde(untagged)] Reversed { $($done)* } } };
}

every_type!(enums);

fn through<H: Holder>(format: Format, holder: H) -> Cell {
    let bytes = match format.save(&holder) {
        Ok(bytes) => bytes,
        Err(error) => return Cell::Rejected(format!("saving: {error}")),
    };
    let loaded: H = match format.load(&bytes) {
        Ok(loaded) => loaded,
        Err(error) => return Cell::Rejected(format!("loading: {error}")),
    };
    let (expected, found) = (holder.see(format.is_text()), loaded.see(format.is_text()));
    if let Some((expected, found)) = expected.iter().zip(&found).find(|(expected, found)| expected != found) {
        let goes_on = difference(&expected.goes_on, &found.goes_on);
        return Cell::Wrong(if expected.bits == found.bits {
            goes_on
        } else {
            format!("other type or bits: {goes_on}")
        });
    }
    if expected.len() != found.len() {
        return Cell::Wrong(format!("{} of {} values", found.len(), expected.len()));
    }
    // Unless there is a NaN inside.
    if holder.equals(&holder) && !loaded.equals(&holder) { Cell::Wrong("not equal".into()) } else { Cell::Loads }
}

fn one<T>(nesting: Nesting, format: Format, value: T) -> Cell
where
    T: Savable + In<Untagged> + In<Reversed> + In<Internal> + In<Adjacent>,
{
    fn within<H: Holder>(held: impl Fn() -> H) -> Struct<H> {
        let list = vec![held(), held()];
        Struct { before: 7, value: held(), list, option: Some(held()), none: None, after: "after".into() }
    }
    let new = || value.clone();
    match nesting {
        Nesting::Plain => through(format, Plain(new())),
        Nesting::Struct => through(format, within(|| Plain(new()))),
        Nesting::Untagged => through(format, within::<Untagged>(|| new().held())),
        Nesting::Reversed => through(format, within::<Reversed>(|| new().held())),
        Nesting::Internal => through(format, within::<Internal>(|| new().held())),
        Nesting::Adjacent => through(format, within::<Adjacent>(|| new().held())),
        Nesting::Flattened => through(format, Flattened { before: 7, value: Plain(new()), after: "after".into() }),
    }
}

/// All values of a type: loads if all do, rejected if all are.
pub fn cell<T>(nesting: Nesting, format: Format) -> Cell
where
    T: Savable + In<Untagged> + In<Reversed> + In<Internal> + In<Adjacent>,
{
    let judge = |value: T| {
        let words = format!("{value:?}");
        let cell = catch_unwind(AssertUnwindSafe(|| one(nesting, format, value)));
        (cell.unwrap_or_else(|_| Cell::Wrong("panicked".into())), words)
    };
    let cells: Vec<_> = values::<T>().into_iter().map(judge).collect();
    let all = |predicate: fn(&Cell) -> bool| cells.iter().all(|(cell, _)| predicate(cell));
    if let Some((Cell::Wrong(why), value)) = cells.iter().find(|(cell, _)| matches!(cell, Cell::Wrong(_))) {
        Cell::Wrong(format!("{why}, from {value}"))
    } else if all(|cell| *cell == Cell::Loads) || all(|cell| *cell != Cell::Loads) {
        cells[0].0.clone()
    } else {
        let rejected = cells.iter().find(|(cell, _)| *cell != Cell::Loads);
        Cell::Partly(format!("{rejected:?}"))
    }
}
