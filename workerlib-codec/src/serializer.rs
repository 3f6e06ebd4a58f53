//! serde's values to MessagePack, for envelopes: the wire format, section 3.1.
//!
//! It knows the forms that fields of envelopes have, and cannot fail: so the code that calls it has no way for errors, which is a
//! large part of what rmp-serde's makes. It does not write values: that is `write.rs`.

use std::fmt;

use serde::ser::{self, Serialize};

use crate::marker::{self, Container};
use crate::write::{write_header, write_str, write_uint};

/// Appends to `out`. Structs and tuples are arrays of their fields.
pub(crate) struct Serializer<'o> {
    pub(crate) out: &'o mut Vec<u8>,
}

/// The error that there is not.
#[derive(Debug)]
pub(crate) enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for Never {}

impl ser::Error for Never {
    #[cold]
    fn custom<T: fmt::Display>(_: T) -> Self {
        no_field()
    }
}

/// Ends for a form that no field of an envelope has (section 3.1): `workerlib_core::Message` has none.
#[cold]
fn no_field() -> ! {
    unreachable!("a field of an envelope in a form that it cannot have")
}

impl Serializer<'_> {
    #[inline(never)]
    fn array(&mut self, len: usize) {
        // A message has fewer fields than there are bytes.
        let written = write_header(self.out, Container::List, len);
        debug_assert!(written.is_ok(), "{written:?}");
    }
}

impl ser::Serializer for &mut Serializer<'_> {
    type Ok = ();
    type Error = Never;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = ser::Impossible<(), Never>;
    type SerializeMap = ser::Impossible<(), Never>;
    type SerializeStruct = Self;
    type SerializeStructVariant = ser::Impossible<(), Never>;

    fn serialize_bool(self, value: bool) -> Result<(), Never> {
        self.out.push(if value { marker::TRUE } else { marker::FALSE });
        Ok(())
    }

    fn serialize_u8(self, value: u8) -> Result<(), Never> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Never> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Never> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Never> {
        write_uint(self.out, value);
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Result<(), Never> {
        // A text of 4 GiB has no room beside what it is made of.
        let written = write_str(self.out, value);
        debug_assert!(written.is_ok(), "{written:?}");
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Never> {
        self.out.push(marker::NIL);
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Never> {
        value.serialize(self)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self, Never> {
        match len {
            Some(len) => self.serialize_tuple(len),
            None => no_field(),
        }
    }

    fn serialize_tuple(self, len: usize) -> Result<Self, Never> {
        self.array(len);
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Self, Never> {
        self.serialize_tuple(len)
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Self, Never> {
        self.serialize_tuple(len)
    }

    fn serialize_i8(self, _: i8) -> Result<(), Never> {
        no_field()
    }

    fn serialize_i16(self, _: i16) -> Result<(), Never> {
        no_field()
    }

    fn serialize_i32(self, _: i32) -> Result<(), Never> {
        no_field()
    }

    fn serialize_i64(self, _: i64) -> Result<(), Never> {
        no_field()
    }

    fn serialize_f32(self, _: f32) -> Result<(), Never> {
        no_field()
    }

    fn serialize_f64(self, _: f64) -> Result<(), Never> {
        no_field()
    }

    fn serialize_char(self, _: char) -> Result<(), Never> {
        no_field()
    }

    fn serialize_bytes(self, _: &[u8]) -> Result<(), Never> {
        no_field()
    }

    fn serialize_unit(self) -> Result<(), Never> {
        no_field()
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Never> {
        no_field()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Never> {
        no_field()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Never> {
        no_field()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Never> {
        no_field()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self::SerializeMap, Never> {
        no_field()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant, Never> {
        no_field()
    }
}

/// Has the parts of a form written one after the other: each form has a trait of its own, and all have the same bytes.
macro_rules! write_in_order {
    ($($form:ident: $function:ident($($name:ty)?);)*) => {$(
        impl ser::$form for &mut Serializer<'_> {
            type Ok = ();
            type Error = Never;

            fn $function<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Result<(), Never> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Never> {
                Ok(())
            }
        }
    )*};
}

write_in_order! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeStruct: serialize_field(&'static str);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize)]
    struct Fields(u8, u16, u32, u64, bool);

    #[derive(serde::Serialize)]
    struct Named {
        text: String,
        nothing: Option<u32>,
        something: Option<Vec<u32>>,
        newtype: Newtype,
        #[serde(skip_serializing_if = "Option::is_none")]
        left_out: Option<u32>,
        all: Vec<(u32, bool)>,
    }

    #[derive(serde::Serialize)]
    struct Newtype(u32);

    /// Protects the bytes of envelopes: rmp-serde is the judge.
    #[test]
    fn fields_are_written_as_messagepack_says() {
        let ours = |value: &dyn Fn(&mut Serializer<'_>) -> Result<(), Never>| {
            let mut out = Vec::new();
            let Ok(()) = value(&mut Serializer { out: &mut out });
            out
        };
        for number in (0..64).flat_map(|bits| [(1u64 << bits) - 1, 1 << bits]).chain([u64::MAX]) {
            let fields = Fields(number as u8, number as u16, number as u32, number, number.is_multiple_of(2));
            assert_eq!(ours(&|all| fields.serialize(all)), rmp_serde::to_vec(&fields).expect("it can"));
        }
        for len in [0, 1, 15, 16, 31, 32, 255, 256, 65_535, 65_536] {
            let named = Named {
                text: "x".repeat(len),
                nothing: None,
                something: (len > 1).then(|| vec![7; len]),
                newtype: Newtype(len as u32),
                left_out: (len == 16).then_some(300),
                all: vec![(1, true); len],
            };
            assert_eq!(
                ours(&|all| named.serialize(all)),
                rmp_serde::to_vec(&named).expect("it can"),
                "{len}"
            );
        }
    }
}
