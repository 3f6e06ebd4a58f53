//! A way of their own for the values that frames are full of: ints, floats, strs, bools and `None` that stand
//! next to each other in one container.
//!
//! The object model drives here: it goes from one plain value to the next without a look at the encoder's or
//! decoder's stack between them, and nothing has to be put in a form that could hold any value. A value that is not
//! plain, or not right, is left to [`Encoder`](crate::Encoder) and [`Decoder`](crate::Decoder), which can do all that is done
//! here; so nothing here fails.

use crate::cost::Nesting;
use crate::marker::{self, ext};
use crate::memo::Memo;
use crate::write::{write_count, write_float, write_int, write_str, write_str_header};

/// Writes plain values: the wire format, section 4.1.
#[derive(Debug)]
pub struct PlainWriter<'e> {
    pub(crate) out: &'e mut Vec<u8>,
    pub(crate) memo: &'e mut Memo,
    pub(crate) late: &'e mut usize,
}

impl PlainWriter<'_> {
    /// Writes `None`.
    #[inline]
    pub fn nil(&mut self) {
        self.out.push(marker::NIL);
    }

    /// Writes a bool.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.out.push(if value { marker::TRUE } else { marker::FALSE });
    }

    /// Writes an int.
    #[inline]
    pub fn int(&mut self, value: i64) {
        write_int(self.out, value);
    }

    /// Writes a float.
    #[inline]
    pub fn float(&mut self, value: f64) {
        write_float(self.out, value);
    }

    /// Writes a str to which nothing else refers; returns whether it could be.
    #[inline]
    pub fn str(&mut self, value: &str) -> bool {
        write_str(self.out, value).is_ok()
    }

    /// Writes a reference to a value that was written before and is not a container; returns whether there is one.
    ///
    /// `place` is that of a key in its dict: [`PlainWriter::refer_again`] finds it there in the next dict.
    #[inline]
    pub fn refer(&mut self, identity: usize, place: Option<usize>) -> bool {
        let number = self.memo.refer_flat(identity);
        if let Some(number) = number {
            write_count(self.out, ext::REFERENCE, number);
            if let Some(place) = place {
                self.memo.note_key(place, identity, number);
            }
        }
        number.is_some()
    }

    /// Writes a reference to a key if an earlier dict had it in the same place; returns whether it had. Dicts of a list
    /// mostly have the same keys, which need not be looked up then.
    #[inline]
    pub fn refer_again(&mut self, identity: usize, place: usize) -> bool {
        let number = self.memo.key_at(place, identity);
        if let Some(number) = number {
            write_count(self.out, ext::REFERENCE, number);
        }
        number.is_some()
    }

    /// Writes a str to which something may refer again; returns whether it could be. The source remembers it.
    #[inline]
    pub fn shared_str(&mut self, identity: usize, value: &str) -> bool {
        let start = self.out.len() + *self.late;
        let written = self.str(value);
        if written {
            self.memo.insert(identity, start, Nesting::FLAT);
        }
        written
    }

    /// Writes all of a str but its `len` bytes, which come into the frame when it is put together, so that a
    /// long text is copied once; returns where among what the encoder wrote they belong, if the str can be
    /// written.
    ///
    /// It is the source that keeps them until then, and remembers the str if it has an identity.
    pub fn late_str(&mut self, identity: Option<usize>, len: usize) -> Option<usize> {
        let start = self.out.len() + *self.late;
        write_str_header(self.out, len).ok()?;
        *self.late += len;
        if let Some(identity) = identity {
            self.memo.insert(identity, start, Nesting::FLAT);
        }
        Some(self.out.len())
    }
}

/// A plain value as a [`PlainReader`] finds it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Plain<'f, 'd, V> {
    /// `None`.
    Nil,
    /// A bool.
    Bool(bool),
    /// An int.
    Int(i64),
    /// A float.
    Float(f64),
    /// Bytes that should be the UTF-8 of a str.
    Str(&'f [u8]),
    /// A value that was defined before, and is neither a container nor a long int.
    Known(&'d V),
}

/// A value of the sharing table.
#[derive(Debug)]
pub(crate) struct Defined<V> {
    pub(crate) value: V,
    pub(crate) nesting: Nesting,
}

/// Reads the plain values that follow each other in one container: the wire format, section 4.1.
#[derive(Debug)]
pub struct PlainReader<'f, 'd, V> {
    pub(crate) rest: &'f [u8],
    /// The last value and what follows it.
    pub(crate) last: &'f [u8],
    /// The number of values that the container still waits for.
    pub(crate) left: usize,
    /// The number of bytes that are left at the start of the next value to which others refer, which is not read here.
    pub(crate) shared: usize,
    pub(crate) defined: &'d [Option<Defined<V>>],
}

impl<'f, 'd, V> Iterator for PlainReader<'f, 'd, V> {
    type Item = Plain<'f, 'd, V>;

    /// Reads the next value; `None` if it is not plain, or not there.
    #[inline(always)]
    fn next(&mut self) -> Option<Plain<'f, 'd, V>> {
        let len = self.rest.len();
        if self.left == 0 || len <= self.shared {
            return None;
        }
        let (&marker, rest) = self.rest.split_first()?;
        let (plain, rest) = match marker {
            fixint @ 0..=marker::POSITIVE_FIXINT_LAST => (Plain::Int(i64::from(fixint)), rest),
            fixstr @ marker::FIXSTR..marker::NIL => {
                let (text, rest) = rest.split_at_checked(usize::from(fixstr & 0x1f))?;
                (Plain::Str(text), rest)
            }
            marker::NIL => (Plain::Nil, rest),
            marker::FALSE => (Plain::Bool(false), rest),
            marker::TRUE => (Plain::Bool(true), rest),
            marker::FLOAT64 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (Plain::Float(f64::from_be_bytes(bytes)), rest)
            }
            marker::UINT8 => {
                let (&value, rest) = rest.split_first()?;
                (Plain::Int(i64::from(value)), rest)
            }
            marker::UINT16 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (Plain::Int(i64::from(u16::from_be_bytes(bytes))), rest)
            }
            marker::UINT32 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (Plain::Int(i64::from(u32::from_be_bytes(bytes))), rest)
            }
            marker::UINT64 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (Plain::Int(i64::try_from(u64::from_be_bytes(bytes)).ok()?), rest)
            }
            marker::INT16 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (Plain::Int(i64::from(i16::from_be_bytes(bytes))), rest)
            }
            marker::INT32 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (Plain::Int(i64::from(i32::from_be_bytes(bytes))), rest)
            }
            marker::INT64 => {
                let (&bytes, rest) = rest.split_first_chunk()?;
                (Plain::Int(i64::from_be_bytes(bytes)), rest)
            }
            marker::FIXEXT1 => match rest {
                [ext::REFERENCE, number, rest @ ..] => match self.defined.get(usize::from(*number)) {
                    Some(Some(Defined { value, nesting })) if *nesting == Nesting::FLAT => {
                        (Plain::Known(value), rest)
                    }
                    _ => return None,
                },
                _ => return None,
            },
            marker::STR8 => {
                let (&count, rest) = rest.split_first()?;
                let (text, rest) = rest.split_at_checked(usize::from(count))?;
                (Plain::Str(text), rest)
            }
            marker::STR16 => {
                let (&count, rest) = rest.split_first_chunk()?;
                let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(count)))?;
                (Plain::Str(text), rest)
            }
            negative @ marker::NEGATIVE_FIXINT.. => (Plain::Int(i64::from(negative as i8)), rest),
            _ => return None,
        };
        self.last = self.rest;
        self.rest = rest;
        self.left -= 1;
        Some(plain)
    }
}

impl<V> PlainReader<'_, '_, V> {
    /// Gives back the last value, which the decoder then reads, and says what is wrong with it.
    #[cold]
    pub fn give_back(&mut self) {
        self.rest = self.last;
        self.left += 1;
    }
}
