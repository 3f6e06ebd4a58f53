//! An owned object model: what tests, fuzzing and tools walk and build instead of Python's objects.

use std::marker::PhantomData;

use bytes::Bytes;

use crate::marker::Container;
use crate::{
    Buffer, Data, DecodeError, Decoder, EncodeError, Encoder, Item, Limits, Path, Plain, PlainReader,
    PlainWriter, Sink, Source, Step, ViewHeader,
};

/// One value with everything in it.
#[derive(Debug, Clone, PartialEq)]
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
        let (mut builder, mut decoder) = (Builder { buffers }, Decoder::new(frame, 0, limits)?);
        let value = decoder.decode(&mut builder)?;
        decoder.finish()?;
        Ok(value)
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
pub struct Walker<'v> {
    /// The buffers that went out of band, by number.
    pub buffers: Vec<Bytes>,
    values: PhantomData<&'v Value>,
}

/// The walk over one container of a [`Value`].
#[derive(Debug, Clone, Copy)]
pub enum Walk<'v> {
    /// A list or a tuple, and how many elements were taken.
    Sequence(&'v [Value], usize),
    /// A dict, and how many keys and values were taken.
    Pairs(&'v [(Value, Value)], usize),
}

/// A [`Value::Shared`] that nothing before it defines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("value {0} is not defined")]
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

    fn converted(&mut self, _node: Self::Node, _path: Path) {}

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
                Some(Value::Shared(number)) if writer.refer(*number) => {}
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
            Container::Dict => {
                let mut values = values.into_iter();
                let pairs = std::iter::from_fn(|| Some((values.next()?, values.next()?)));
                Value::Dict(pairs.collect())
            }
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
