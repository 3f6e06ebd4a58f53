//! An owned object model, which tests, fuzzing and tools walk and build instead of Python's objects.
//!
//! No operation of it recurses: a value may be as deep as the codec allows, on a stack of any size.

use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;

use crate::buffer::{Buffer, ViewHeader};
use crate::decode::Decoder;
use crate::encode::Encoder;
use crate::error::{DecodeError, EncodeError};
use crate::limits::Limits;
use crate::marker::Container;
use crate::path::{Path, Step};
use crate::plain::{Plain, PlainReader, PlainWriter};
use crate::sink::{Data, Sink};
use crate::source::{Item, Source};

/// A value with everything in it.
#[non_exhaustive]
pub enum Value {
    /// `None`.
    Nil,
    /// A bool.
    Bool(bool),
    /// An int within 64 bits.
    Int(i64),
    /// An int beyond `i64` within 64 bits.
    Uint(u64),
    /// Any other int: little-endian two's complement.
    BigInt(Bytes),
    /// A float.
    Float(f64),
    /// A str.
    Str(String),
    /// A str with lone surrogates, as Python's `surrogatepass` writes it.
    Surrogates(Bytes),
    /// A bytes object.
    Bytes(Bytes),
    /// A bytearray.
    Bytearray(Bytes),
    /// A memoryview and its content in C order.
    View(ViewHeader, Bytes),
    /// A list.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A dict in its order.
    Dict(Vec<(Value, Value)>),
    /// A set.
    Set(Vec<Value>),
    /// A frozenset.
    Frozenset(Vec<Value>),
    /// A complex.
    Complex(f64, f64),
    /// `Ellipsis`.
    Ellipsis,
    /// `NotImplemented`.
    NotImplemented,
    /// Another type, by its extension type.
    Extension(u8, Vec<Value>),
    /// A value to which [`Value::Shared`] of the same number refers.
    Defined(usize, Box<Value>),
    /// The value that has this number.
    Shared(usize),
}

impl Value {
    /// Encodes the value as all that there is in a frame: the sharing table, the value, and the buffers that
    /// travel beside it.
    ///
    /// # Errors
    ///
    /// If a limit is passed, or something is [`Value::Shared`] that is not [`Value::Defined`].
    pub fn encode(&self, limits: &Limits) -> Result<(Vec<u8>, Vec<Bytes>), EncodeError<Undefined>> {
        let (mut walker, mut encoder) = (Walker::default(), Encoder::new(limits, 0));
        encoder.encode(&mut walker, self)?;
        let (mut frame, values) = encoder.finish();
        frame.extend_from_slice(&values);
        Ok((frame, walker.buffers))
    }

    /// Decodes what [`Value::encode`] wrote.
    ///
    /// # Errors
    ///
    /// If the bytes are not one value of this version.
    pub fn decode(
        frame: &[u8],
        buffers: Vec<Bytes>,
        limits: &Limits,
    ) -> Result<Self, DecodeError<BuildError>> {
        let (mut builder, mut decoder) = (Builder::new(buffers), Decoder::new(frame, 0, limits)?);
        let value = decoder.decode(&mut builder)?;
        decoder.finish()?;
        Ok(value)
    }

    /// Returns one of the values that this one holds: keys and values of a dict are counted alike.
    fn held(&self, index: usize) -> Option<&Value> {
        match self {
            Self::List(values)
            | Self::Tuple(values)
            | Self::Set(values)
            | Self::Frozenset(values)
            | Self::Extension(_, values) => values.get(index),
            Self::Dict(pairs) => {
                pairs.get(index / 2).map(|(key, value)| if index.is_multiple_of(2) { key } else { value })
            }
            Self::Defined(_, value) => (index == 0).then_some(value),
            _ => None,
        }
    }

    /// Makes the same value of copies of the values that it holds.
    fn with(&self, mut held: Vec<Value>) -> Value {
        match self {
            Self::Nil => Self::Nil,
            Self::Bool(value) => Self::Bool(*value),
            Self::Int(value) => Self::Int(*value),
            Self::Uint(value) => Self::Uint(*value),
            Self::BigInt(bytes) => Self::BigInt(bytes.clone()),
            Self::Float(value) => Self::Float(*value),
            Self::Str(text) => Self::Str(text.clone()),
            Self::Surrogates(bytes) => Self::Surrogates(bytes.clone()),
            Self::Bytes(data) => Self::Bytes(data.clone()),
            Self::Bytearray(data) => Self::Bytearray(data.clone()),
            Self::View(header, data) => Self::View(header.clone(), data.clone()),
            Self::Complex(real, imaginary) => Self::Complex(*real, *imaginary),
            Self::Ellipsis => Self::Ellipsis,
            Self::NotImplemented => Self::NotImplemented,
            Self::Shared(number) => Self::Shared(*number),
            Self::List(_) => Self::List(held),
            Self::Tuple(_) => Self::Tuple(held),
            Self::Set(_) => Self::Set(held),
            Self::Frozenset(_) => Self::Frozenset(held),
            Self::Extension(kind, _) => Self::Extension(*kind, held),
            Self::Dict(_) => Self::Dict(pairs_of(held)),
            Self::Defined(number, _) => Self::Defined(*number, Box::new(held.pop().unwrap_or(Self::Nil))),
        }
    }

    /// Returns whether two values are the same but for the values that they hold, of which they have as many.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nil, Self::Nil)
            | (Self::Ellipsis, Self::Ellipsis)
            | (Self::NotImplemented, Self::NotImplemented) => true,
            (Self::Defined(left, _), Self::Defined(right, _)) => left == right,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Int(left), Self::Int(right)) => left == right,
            (Self::Uint(left), Self::Uint(right)) => left == right,
            (Self::Float(left), Self::Float(right)) => left == right,
            (Self::Complex(real, imaginary), Self::Complex(other_real, other_imaginary)) => {
                real == other_real && imaginary == other_imaginary
            }
            (Self::Str(left), Self::Str(right)) => left == right,
            (Self::BigInt(left), Self::BigInt(right))
            | (Self::Surrogates(left), Self::Surrogates(right))
            | (Self::Bytes(left), Self::Bytes(right))
            | (Self::Bytearray(left), Self::Bytearray(right)) => left == right,
            (Self::View(header, left), Self::View(other_header, right)) => {
                header == other_header && left == right
            }
            (Self::List(left), Self::List(right))
            | (Self::Tuple(left), Self::Tuple(right))
            | (Self::Set(left), Self::Set(right))
            | (Self::Frozenset(left), Self::Frozenset(right)) => left.len() == right.len(),
            (Self::Extension(kind, left), Self::Extension(other_kind, right)) => {
                kind == other_kind && left.len() == right.len()
            }
            (Self::Dict(left), Self::Dict(right)) => left.len() == right.len(),
            (Self::Shared(left), Self::Shared(right)) => left == right,
            _ => false,
        }
    }

    /// Writes a scalar, or what stands before the values that this one holds.
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("Nil"),
            Self::Bool(value) => write!(f, "Bool({value:?})"),
            Self::Int(value) => write!(f, "Int({value:?})"),
            Self::Uint(value) => write!(f, "Uint({value:?})"),
            Self::BigInt(bytes) => write!(f, "BigInt({bytes:?})"),
            Self::Float(value) => write!(f, "Float({value:?})"),
            Self::Str(text) => write!(f, "Str({text:?})"),
            Self::Surrogates(bytes) => write!(f, "Surrogates({bytes:?})"),
            Self::Bytes(data) => write!(f, "Bytes({data:?})"),
            Self::Bytearray(data) => write!(f, "Bytearray({data:?})"),
            Self::View(header, data) => write!(f, "View({header:?}, {data:?})"),
            Self::Complex(real, imaginary) => write!(f, "Complex({real:?}, {imaginary:?})"),
            Self::Ellipsis => f.write_str("Ellipsis"),
            Self::NotImplemented => f.write_str("NotImplemented"),
            Self::Shared(number) => write!(f, "Shared({number:?})"),
            Self::List(_) => f.write_str("List(["),
            Self::Tuple(_) => f.write_str("Tuple(["),
            Self::Set(_) => f.write_str("Set(["),
            Self::Frozenset(_) => f.write_str("Frozenset(["),
            Self::Extension(kind, _) => write!(f, "Extension({kind:?}, ["),
            Self::Dict(_) => f.write_str("Dict(["),
            Self::Defined(number, _) => write!(f, "Defined({number:?}, "),
        }
    }

    /// Tells what stands behind the values that this one holds, if it may hold values.
    fn tail(&self) -> Option<&'static str> {
        match self {
            Self::List(_) | Self::Tuple(_) | Self::Set(_) | Self::Frozenset(_) => Some("])"),
            Self::Extension(..) | Self::Dict(_) => Some("])"),
            Self::Defined(..) => Some(")"),
            _ => None,
        }
    }
}

/// Puts keys and values together.
fn pairs_of(values: Vec<Value>) -> Vec<(Value, Value)> {
    let mut values = values.into_iter();
    std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
}

impl Clone for Value {
    fn clone(&self) -> Self {
        if self.held(0).is_none() {
            return self.with(Vec::new());
        }
        // The values that are being copied, with the copies of what they hold.
        let mut open = vec![(self, Vec::new())];
        loop {
            let Some((value, copies)) = open.last_mut() else { return Self::Nil };
            if let Some(held) = value.held(copies.len()) {
                open.push((held, Vec::new()));
                continue;
            }
            let copy = value.with(std::mem::take(copies));
            open.pop();
            match open.last_mut() {
                Some((_, copies)) => copies.push(copy),
                None => return copy,
            }
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        if !self.is_like(other) {
            return false;
        }
        // Pairs of values that are alike, and how many of the values in them have been compared.
        let mut open = vec![(self, other, 0)];
        while let Some((left, right, compared)) = open.last_mut() {
            match (left.held(*compared), right.held(*compared)) {
                (Some(left), Some(right)) if left.is_like(right) => {
                    *compared += 1;
                    open.push((left, right, 0));
                }
                (None, None) => drop(open.pop()),
                _ => return false,
            }
        }
        true
    }
}

impl fmt::Debug for Value {
    /// Writes the value as the derived implementation would, without line breaks in any case.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        // The values that are being written, and how many of the values in them have been.
        let mut open = vec![(self, 0usize)];
        while let Some((value, written)) = open.last_mut() {
            let (value, index) = (*value, *written);
            let is_dict = matches!(value, Self::Dict(_));
            let Some(held) = value.held(index) else {
                if is_dict && index > 0 {
                    f.write_str(")")?;
                }
                f.write_str(value.tail().unwrap_or_default())?;
                open.pop();
                continue;
            };
            f.write_str(match (is_dict, index) {
                (true, 0) => "(",
                (true, _) if index % 2 == 0 => "), (",
                (false, 0) => "",
                _ => ", ",
            })?;
            *written += 1;
            held.write_head(f)?;
            open.push((held, 0));
        }
        Ok(())
    }
}

impl Drop for Value {
    /// Drops without recursion, so that a value may be as deep as the codec allows.
    fn drop(&mut self) {
        fn children(value: &mut Value, into: &mut Vec<Value>) {
            match value {
                Value::List(values)
                | Value::Tuple(values)
                | Value::Set(values)
                | Value::Frozenset(values)
                | Value::Extension(_, values) => into.append(values),
                Value::Defined(_, value) => into.push(std::mem::replace(value, Value::Nil)),
                Value::Dict(pairs) => into.extend(std::mem::take(pairs).into_iter().flat_map(<[_; 2]>::from)),
                _ => {}
            }
        }
        let mut stack = Vec::new();
        children(self, &mut stack);
        while let Some(mut value) = stack.pop() {
            children(&mut value, &mut stack);
        }
    }
}

/// [`Value`] as a [`Source`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Walker<'v> {
    /// The buffers that went out of band, by number.
    pub buffers: Vec<Bytes>,
    values: PhantomData<&'v Value>,
}

/// The walk over one container of a [`Value`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Walk<'v> {
    /// A list or a tuple, and how many elements were taken.
    Sequence(&'v [Value], usize),
    /// A dict, and how many keys and values were taken.
    Pairs(&'v [(Value, Value)], usize),
}

/// A [`Value::Shared`] that nothing before it defines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("value {0} is not defined")]
#[non_exhaustive]
pub struct Undefined(pub usize);

impl<'v> Source for Walker<'v> {
    type Node = &'v Value;
    type Walk = Walk<'v>;
    type Error = Undefined;

    fn look(&mut self, node: Self::Node) -> Result<Item<'_, Self::Node, Self::Walk>, Self::Error> {
        let sequence =
            |kind, values: &'v [Value]| Item::Container(kind, values.len(), Walk::Sequence(values, 0));
        Ok(match node {
            Value::Nil => Item::Nil,
            Value::Bool(value) => Item::Bool(*value),
            Value::Int(value) => Item::Int(*value),
            Value::Uint(value) => Item::Uint(*value),
            Value::BigInt(bytes) => Item::BigInt(bytes),
            Value::Float(value) => Item::Float(*value),
            Value::Complex(real, imaginary) => Item::Complex(*real, *imaginary),
            Value::Ellipsis => Item::Ellipsis,
            Value::NotImplemented => Item::NotImplemented,
            Value::Str(value) => Item::Str(value),
            Value::Surrogates(bytes) => Item::Surrogates(bytes),
            Value::Bytes(data) => Item::Buffer(Buffer::Bytes, data),
            Value::Bytearray(data) => Item::Buffer(Buffer::Bytearray, data),
            Value::View(header, data) => Item::Buffer(Buffer::View(header.clone()), data),
            Value::List(values) => sequence(Container::List, values),
            Value::Tuple(values) => sequence(Container::Tuple, values),
            Value::Set(values) => sequence(Container::Set, values),
            Value::Frozenset(values) => sequence(Container::Frozenset, values),
            Value::Extension(kind, values) => sequence(Container::Extension(*kind), values),
            Value::Dict(pairs) => Item::Container(Container::Dict, pairs.len(), Walk::Pairs(pairs, 0)),
            Value::Defined(_, value) => Item::Converted(value),
            // The encoder asks only if it does not know the number yet.
            Value::Shared(number) => return Err(Undefined(*number)),
        })
    }

    fn identity(node: Self::Node, _owners: usize) -> Option<usize> {
        match node {
            Value::Defined(number, _) | Value::Shared(number) => Some(*number),
            _ => None,
        }
    }

    fn owners(_walk: &Self::Walk) -> usize {
        1
    }

    fn remember(&mut self, _node: Self::Node) {}

    fn converted(&mut self, _node: Self::Node, _path: impl FnOnce(&mut Self) -> Path) {}

    fn next(&mut self, walk: &mut Self::Walk) -> Option<Self::Node> {
        let (node, taken) = match walk {
            Walk::Sequence(values, taken) => (values.get(*taken)?, taken),
            Walk::Pairs(pairs, taken) => {
                let (key, value) = pairs.get(*taken / 2)?;
                (if *taken % 2 == 0 { key } else { value }, taken)
            }
        };
        *taken += 1;
        Some(node)
    }

    fn leave(&mut self, _walk: &Self::Walk) -> bool {
        // It is borrowed: nothing can change it.
        true
    }

    fn plain(&mut self, walk: &mut Self::Walk, limit: usize, writer: &mut PlainWriter<'_>) -> usize {
        let mut count = 0;
        while count < limit {
            let mut ahead = *walk;
            match self.next(&mut ahead) {
                Some(Value::Nil) => writer.nil(),
                Some(Value::Bool(value)) => writer.bool(*value),
                Some(Value::Int(value)) => writer.int(*value),
                Some(Value::Float(value)) => writer.float(*value),
                Some(Value::Str(value)) if writer.str(value) => {}
                Some(Value::Shared(number)) if writer.refer(*number, None) => {}
                _ => break,
            }
            *walk = ahead;
            count += 1;
        }
        count
    }

    fn keep_out_of_band(&mut self, node: Self::Node) -> Result<(), Self::Error> {
        if let Value::Bytes(data) | Value::Bytearray(data) | Value::View(_, data) = node {
            self.buffers.push(data.clone());
        }
        Ok(())
    }

    fn step(&mut self, walk: &Self::Walk) -> Step {
        match walk {
            Walk::Sequence(_, taken) => Step::Index(taken.saturating_sub(1)),
            Walk::Pairs(_, taken) if taken % 2 == 1 => Step::KeyAt(taken / 2),
            Walk::Pairs(pairs, taken) => Step::Key(format!("{:?}", pairs[(taken / 2).saturating_sub(1)].0)),
        }
    }
}

/// [`Value`] as a [`Sink`].
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Builder {
    /// The buffers that came along, by number.
    pub buffers: Vec<Bytes>,
}

/// A container of a [`Value`] whose elements are still being read.
#[derive(Debug)]
pub struct Build {
    kind: Container,
    values: Vec<Value>,
    /// Its number in the sharing table, if something may refer to it.
    number: Option<usize>,
}

/// Why a [`Value`] cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The frame names a buffer that did not come along.
    #[error("buffer {0} did not come with the frame")]
    NoBuffer(usize),
    /// The frame has an object of a host's, of which there is none here.
    #[error("object {0} of a host's, which only a browser has")]
    NoHost(usize),
    /// A buffer has another length than its header says.
    #[error("a buffer of {0} bytes for a memoryview of another length")]
    BufferLength(usize),
}

impl Builder {
    /// Starts to build values of a frame that came with these buffers.
    pub fn new(buffers: Vec<Bytes>) -> Self {
        Self { buffers }
    }

    fn data(&mut self, data: Data<'_>) -> Result<Bytes, BuildError> {
        match data {
            Data::Inline(data) => Ok(Bytes::copy_from_slice(data)),
            Data::OutOfBand(number) => {
                self.buffers.get_mut(number).map(std::mem::take).ok_or(BuildError::NoBuffer(number))
            }
        }
    }
}

impl Sink for Builder {
    type Value = Value;
    type Build = Build;
    type Error = BuildError;

    fn nil(&mut self) -> Result<Value, BuildError> {
        Ok(Value::Nil)
    }

    fn bool(&mut self, value: bool) -> Result<Value, BuildError> {
        Ok(Value::Bool(value))
    }

    fn int(&mut self, value: i64) -> Result<Value, BuildError> {
        Ok(Value::Int(value))
    }

    fn uint(&mut self, value: u64) -> Result<Value, BuildError> {
        Ok(i64::try_from(value).map_or(Value::Uint(value), Value::Int))
    }

    fn big_int(&mut self, bytes: &[u8]) -> Result<Value, BuildError> {
        Ok(Value::BigInt(Bytes::copy_from_slice(bytes)))
    }

    fn float(&mut self, value: f64) -> Result<Value, BuildError> {
        Ok(Value::Float(value))
    }

    fn complex(&mut self, real: f64, imaginary: f64) -> Result<Value, BuildError> {
        Ok(Value::Complex(real, imaginary))
    }

    fn ellipsis(&mut self) -> Result<Value, BuildError> {
        Ok(Value::Ellipsis)
    }

    fn not_implemented(&mut self) -> Result<Value, BuildError> {
        Ok(Value::NotImplemented)
    }

    fn str(&mut self, bytes: &[u8]) -> Result<Option<Value>, BuildError> {
        Ok(std::str::from_utf8(bytes).ok().map(|text| Value::Str(text.to_owned())))
    }

    fn surrogates(&mut self, bytes: &[u8]) -> Result<Value, BuildError> {
        Ok(Value::Surrogates(Bytes::copy_from_slice(bytes)))
    }

    fn bytes(&mut self, data: Data<'_>) -> Result<Value, BuildError> {
        self.data(data).map(Value::Bytes)
    }

    fn bytearray(&mut self, data: Data<'_>) -> Result<Value, BuildError> {
        self.data(data).map(Value::Bytearray)
    }

    fn view(&mut self, header: ViewHeader, data: Data<'_>) -> Result<Value, BuildError> {
        let data = self.data(data)?;
        if header.len() != Some(data.len() as u64) {
            return Err(BuildError::BufferLength(data.len()));
        }
        Ok(Value::View(header, data))
    }

    fn handle(&mut self, number: usize) -> Result<Value, BuildError> {
        Err(BuildError::NoHost(number))
    }

    fn begin(&mut self, kind: Container, count: usize) -> Result<Build, BuildError> {
        let values = Vec::with_capacity(count * kind.values_per_element());
        Ok(Build { kind, values, number: None })
    }

    fn push(&mut self, build: &mut Build, value: Value) -> Result<(), BuildError> {
        build.values.push(value);
        Ok(())
    }

    fn plain(
        &mut self,
        build: &mut Build,
        reader: &mut PlainReader<'_, '_, Value>,
    ) -> Result<(), BuildError> {
        while let Some(plain) = reader.next() {
            build.values.push(match plain {
                Plain::Nil => Value::Nil,
                Plain::Bool(value) => Value::Bool(value),
                Plain::Int(value) => Value::Int(value),
                Plain::Float(value) => Value::Float(value),
                Plain::Known(value) => value.clone(),
                Plain::Str(utf8) => match std::str::from_utf8(utf8) {
                    Ok(text) => Value::Str(text.to_owned()),
                    Err(_) => {
                        reader.give_back();
                        break;
                    }
                },
            });
        }
        Ok(())
    }

    fn finish(&mut self, build: &mut Build) -> Result<Value, BuildError> {
        let values = std::mem::take(&mut build.values);
        let value = match build.kind {
            Container::List => Value::List(values),
            Container::Tuple => Value::Tuple(values),
            Container::Set => Value::Set(values),
            Container::Frozenset => Value::Frozenset(values),
            Container::Extension(kind) => Value::Extension(kind, values),
            Container::Dict => Value::Dict(pairs_of(values)),
        };
        Ok(match build.number {
            Some(number) => Value::Defined(number, Box::new(value)),
            None => value,
        })
    }

    fn step(&self, build: &Build) -> Step {
        Step::Index(build.values.len() / build.kind.values_per_element())
    }

    fn discard(&mut self, _build: Build) {}

    fn define(&mut self, number: usize, value: Value) -> (Value, Value) {
        (Value::Defined(number, Box::new(value)), Value::Shared(number))
    }

    fn define_open(&mut self, number: usize, build: &mut Build) -> Option<Value> {
        let exists = build.kind.exists_after().is_some_and(|values| build.values.len() >= values);
        exists.then(|| {
            build.number = Some(number);
            Value::Shared(number)
        })
    }

    fn refer(&mut self, defined: &Value) -> Value {
        defined.clone()
    }
}
