//! The small structs of a frame, by serde and rmp-serde: envelopes, sharing tables, headers of memoryviews.
//!
//! Values do not go through serde: their walk needs its own stack, and reading them by hand is faster. A struct that is
//! read becomes [`Field`]s first, one type for all structs: a `Deserialize` of its own for each would make a
//! quarter of the WebAssembly module.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// How deep arrays may stand in a struct: the parameters of exports in an envelope are the deepest.
const DEPTH: usize = 8;

/// Appends a struct, as a MessagePack array of its fields, to `out`.
pub(crate) fn write(out: &mut Vec<u8>, fields: &impl Serialize) {
    // Writing to a vector cannot fail, and no field has a form that MessagePack lacks.
    let written = rmp_serde::encode::write(out, fields);
    debug_assert!(written.is_ok(), "{written:?}");
}

/// Reads a struct from the front of `bytes`, and leaves what follows it there.
pub(crate) fn read(bytes: &mut &[u8]) -> Result<Fields, Malformed> {
    let mut deserializer = rmp_serde::Deserializer::new(bytes);
    deserializer.set_max_depth(DEPTH);
    match Field::deserialize(&mut deserializer) {
        Ok(Field::Array(fields)) => Ok(Fields(fields.into_iter())),
        _ => Err(Malformed("an array of nil, bools, unsigned ints, strs and such arrays")),
    }
}

/// Reads an array of positions from the front of `bytes`, and leaves what follows it there.
pub(crate) fn read_positions(bytes: &mut &[u8]) -> Result<Vec<usize>, Malformed> {
    // Nearly every frame has none.
    if let [NO_POSITIONS, rest @ ..] = bytes {
        *bytes = rest;
        return Ok(Vec::new());
    }
    let mut fields = read(bytes)?;
    let mut positions = Vec::new();
    while !fields.is_empty() {
        positions.push(fields.uint("a position")?);
    }
    Ok(positions)
}

/// An empty MessagePack array.
const NO_POSITIONS: u8 = 0x90;

/// The thing that should have been there and was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} should stand here")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// One field of a struct.
#[derive(Debug)]
enum Field {
    Nil,
    Bool(bool),
    Uint(u64),
    Str(String),
    Array(Vec<Field>),
}

/// The fields of a struct, taken from the first on; those that are left are of a later version.
pub(crate) struct Fields(std::vec::IntoIter<Field>);

impl Fields {
    /// Returns whether no field is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_slice().is_empty()
    }

    pub(crate) fn bool(&mut self, what: &'static str) -> Result<bool, Malformed> {
        match self.0.next() {
            Some(Field::Bool(value)) => Ok(value),
            _ => Err(Malformed(what)),
        }
    }

    pub(crate) fn uint<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, Malformed> {
        match self.0.next() {
            Some(Field::Uint(value)) => T::try_from(value).map_err(|_| Malformed(what)),
            _ => Err(Malformed(what)),
        }
    }

    pub(crate) fn str(&mut self, what: &'static str) -> Result<String, Malformed> {
        self.optional_str(what)?.ok_or(Malformed(what))
    }

    pub(crate) fn optional_str(&mut self, what: &'static str) -> Result<Option<String>, Malformed> {
        match self.0.next() {
            Some(Field::Nil) => Ok(None),
            Some(Field::Str(value)) => Ok(Some(value)),
            _ => Err(Malformed(what)),
        }
    }

    /// Takes an array whose elements `read` takes from it until it is empty.
    pub(crate) fn array<T>(
        &mut self,
        what: &'static str,
        read: impl FnMut(&mut Fields) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.optional_array(what, read)?.ok_or(Malformed(what))
    }

    pub(crate) fn optional_array<T>(
        &mut self,
        what: &'static str,
        mut read: impl FnMut(&mut Fields) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        match self.0.next() {
            Some(Field::Nil) => Ok(None),
            Some(Field::Array(fields)) => {
                let mut fields = Fields(fields.into_iter());
                let mut elements = Vec::new();
                while !fields.is_empty() {
                    elements.push(read(&mut fields)?);
                }
                Ok(Some(elements))
            }
            _ => Err(Malformed(what)),
        }
    }

    /// Takes a struct within this one.
    pub(crate) fn fields(&mut self, what: &'static str) -> Result<Fields, Malformed> {
        self.optional_fields(what)?.ok_or(Malformed(what))
    }

    /// Takes a struct within this one, if there is one.
    pub(crate) fn optional_fields(&mut self, what: &'static str) -> Result<Option<Fields>, Malformed> {
        match self.0.next() {
            Some(Field::Nil) => Ok(None),
            Some(Field::Array(fields)) => Ok(Some(Fields(fields.into_iter()))),
            _ => Err(Malformed(what)),
        }
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

/// Refuses without serde's own message, which would bring the formatting of floats into the module.
fn refuse<T, E: de::Error>() -> Result<T, E> {
    Err(E::custom("no field"))
}

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Field, E> {
        Ok(Field::Nil)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Field, E> {
        Ok(Field::Bool(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Field, E> {
        Ok(Field::Uint(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Field, E> {
        Ok(Field::Str(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Field, A::Error> {
        // Not reserved ahead: the length is the sender's word.
        let mut fields = Vec::new();
        while let Some(field) = elements.next_element()? {
            fields.push(field);
        }
        Ok(Field::Array(fields))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Field, E> {
        refuse()
    }

    fn visit_f32<E: de::Error>(self, _: f32) -> Result<Field, E> {
        refuse()
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Field, E> {
        refuse()
    }

    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Field, E> {
        refuse()
    }

    fn visit_map<A: de::MapAccess<'de>>(self, _: A) -> Result<Field, A::Error> {
        refuse()
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, _: D) -> Result<Field, D::Error> {
        refuse()
    }
}
