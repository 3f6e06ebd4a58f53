//! The small structs of a frame: envelopes, sharing tables, headers of memoryviews.
//!
//! A struct that is read becomes [`Field`]s first, one type for all structs. Fields have five forms, so the reader is short: a
//! deserializer for all of MessagePack would make a twentieth of the WebAssembly module, and one for each struct a quarter.

use serde::Serialize;

use crate::marker;
use crate::serializer::Serializer;

/// The depth to which arrays may stand in a struct: the parameters of exports in an envelope are the deepest.
const DEPTH: usize = 7;

/// Appends a struct, as a MessagePack array of its fields, to `out`.
pub(crate) fn write(out: &mut Vec<u8>, fields: &impl Serialize) {
    let Ok(()) = fields.serialize(&mut Serializer { out });
}

/// Reads a struct from the front of `bytes`, and leaves what follows it there.
pub(crate) fn read(bytes: &mut &[u8]) -> Result<Fields, Malformed> {
    match read_field(bytes, DEPTH) {
        Some(Field::Array(fields)) => Ok(Fields(fields.into_iter())),
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
#[error("expected {0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A field of a struct.
#[derive(Debug)]
#[cfg_attr(test, derive(PartialEq))]
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

/// Reads a field from the front of `bytes`, in which arrays may stand so deep; `None` if something else stands there.
fn read_field(bytes: &mut &[u8], depth: usize) -> Option<Field> {
    let [marker] = *take(bytes, 1)? else { return None };
    let form = match marker {
        0..=marker::POSITIVE_FIXINT_LAST => return Some(Field::Uint(marker.into())),
        marker::NIL => return Some(Field::Nil),
        marker::FALSE => return Some(Field::Bool(false)),
        marker::TRUE => return Some(Field::Bool(true)),
        marker::FIXARRAY..marker::FIXSTR => (Form::Array, usize::from(marker - marker::FIXARRAY)),
        marker::FIXSTR..marker::NIL => (Form::Str, usize::from(marker - marker::FIXSTR)),
        marker::UINT8..=marker::UINT64 => (Form::Uint, 1 << (marker - marker::UINT8)),
        marker::STR8..=marker::STR32 => (Form::Str, read_uint(bytes, 1 << (marker - marker::STR8))? as usize),
        marker::ARRAY16 | marker::ARRAY32 => {
            (Form::Array, read_uint(bytes, 2 << (marker - marker::ARRAY16))? as usize)
        }
        _ => return None,
    };
    Some(match form {
        (Form::Uint, len) => Field::Uint(read_uint(bytes, len)?),
        (Form::Str, len) => Field::Str(str::from_utf8(take(bytes, len)?).ok()?.to_owned()),
        (Form::Array, len) => {
            let depth = depth.checked_sub(1)?;
            // Not reserved ahead: the length is the sender's word.
            let mut fields = Vec::new();
            for _ in 0..len {
                fields.push(read_field(bytes, depth)?);
            }
            Field::Array(fields)
        }
    })
}

/// The form of a field behind a marker that does not tell all of it.
enum Form {
    Uint,
    Str,
    Array,
}

/// Reads an unsigned int of so many bytes.
fn read_uint(bytes: &mut &[u8], len: usize) -> Option<u64> {
    Some(take(bytes, len)?.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}

fn take<'f>(bytes: &mut &'f [u8], len: usize) -> Option<&'f [u8]> {
    let (taken, rest) = bytes.split_at_checked(len)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde::de::{self, SeqAccess, Visitor};
    use std::fmt;

    impl<'de> Deserialize<'de> for Field {
        fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(FieldVisitor)
        }
    }

    struct FieldVisitor;

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
            let mut fields = Vec::new();
            while let Some(field) = elements.next_element()? {
                fields.push(field);
            }
            Ok(Field::Array(fields))
        }
    }

    /// Reads a field by rmp-serde, which knows all of MessagePack: the field, and how many bytes are behind it.
    fn by_serde(mut bytes: &[u8]) -> Option<(Field, usize)> {
        let mut deserializer = rmp_serde::Deserializer::new(&mut bytes);
        // It counts what it has not begun yet.
        deserializer.set_max_depth(DEPTH + 1);
        let field = Field::deserialize(&mut deserializer).ok()?;
        Some((field, bytes.len()))
    }

    proptest::proptest! {
        /// Protects against an own reader of MessagePack that reads other things than MessagePack says, or less: rmp-serde is the
        /// judge, for bytes that are nearly right.
        #[test]
        fn fields_are_read_as_messagepack_says(
            bytes in proptest::collection::vec(
                proptest::prop_oneof![
                    0x90u8..0x94,
                    0xa0u8..0xa4,
                    0xc0u8..=0xdf,
                    proptest::sample::select(b"\0\x01a\x7f\xc3\xa9\xe0\xff".to_vec()),
                ],
                0..24,
            )
        ) {
            let mut rest = &bytes[..];
            let ours = read_field(&mut rest, DEPTH).map(|field| (field, rest.len()));
            proptest::prop_assert_eq!(ours, by_serde(&bytes));
        }
    }

    /// Protects each marker, and the limits between them; and the stack from arrays that have no end.
    #[test]
    fn each_form_is_read_as_messagepack_says() {
        let text = |head: &[u8], len: usize| [head, &b"x".repeat(len)[..]].concat();
        let mut all: Vec<Vec<u8>> = (0..=0xff).map(|marker| [&[marker][..], &[0; 9]].concat()).collect();
        all.extend((0..=0xff).map(|marker| vec![marker]));
        all.extend((0..12).map(|deep| [&b"\x91".repeat(deep)[..], b"\x90"].concat()));
        all.extend([
            b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff".to_vec(),
            b"\xcd\x01\x02".to_vec(),
            text(b"\xd9\xff", 255),
            text(b"\xda\x01\x00", 256),
            text(b"\xdb\x00\x01\x00\x00", 65_536),
            text(b"\xdb\xff\xff\xff\xff", 3),
            [&b"\xdc\x00\x10"[..], &[0xc0; 16]].concat(),
            [&b"\xdd\x00\x01\x00\x00"[..], &[7; 65_536]].concat(),
            b"\xdd\xff\xff\xff\xff\x01".to_vec(),
            b"\xa1\xff".to_vec(),
        ]);
        let mut read = 0;
        for bytes in all {
            let mut rest = &bytes[..];
            let ours = read_field(&mut rest, DEPTH).map(|field| (field, rest.len()));
            read += usize::from(ours.is_some());
            assert_eq!(ours, by_serde(&bytes), "{:02x?}", &bytes[..bytes.len().min(12)]);
        }
        assert!(read > 200, "{read} of them are fields");
    }
}
