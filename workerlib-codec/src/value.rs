//! An owned object model: what tests, fuzzing and tools walk and build instead of Python's objects.

use std::convert::Infallible;
use std::marker::PhantomData;

use bytes::Bytes;

use crate::marker::Container;
use crate::{
    Buffer, Data, DecodeError, DecodeErrorKind, EncodeError, Item, Limits, Sink, Source, Step, ViewHeader,
    decode, encode,
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
}

impl Value {
    /// Encodes the value and the buffers that travel beside it.
    ///
    /// # Errors
    ///
    /// If a limit is passed.
    pub fn encode(&self, limits: &Limits) -> Result<(Vec<u8>, Vec<Bytes>), EncodeError<Infallible>> {
        let (mut walker, mut out, mut buffers) = (Walker::default(), Vec::new(), 0);
        encode(&mut walker, self, limits, &mut buffers, &mut out)?;
        Ok((out, walker.buffers))
    }

    /// Decodes a value that takes the whole of `frame`, and the buffers that came along.
    ///
    /// # Errors
    ///
    /// If the bytes are not one value of this version.
    pub fn decode(
        frame: &[u8],
        buffers: Vec<Bytes>,
        limits: &Limits,
    ) -> Result<Self, DecodeError<BuildError>> {
        let (mut builder, mut position, mut taken) = (Builder { buffers }, 0, 0);
        let value = decode(&mut builder, frame, &mut position, limits, &mut taken)?;
        if position < frame.len() {
            let kind = DecodeErrorKind::Trailing(frame.len() - position);
            return Err(DecodeError { offset: position, section: "2", kind });
        }
        Ok(value)
    }
}

impl Drop for Value {
    /// Drops without recursion, so that a value may be as deep as the codec allows.
    fn drop(&mut self) {
        fn children(value: &mut Value, into: &mut Vec<Value>) {
            match value {
                Value::List(values) | Value::Tuple(values) => into.append(values),
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
#[derive(Debug)]
pub enum Walk<'v> {
    /// A list or a tuple, and how many elements were taken.
    Sequence(&'v [Value], usize),
    /// A dict, and how many keys and values were taken.
    Pairs(&'v [(Value, Value)], usize),
}

impl<'v> Source for Walker<'v> {
    type Node = &'v Value;
    type Walk = Walk<'v>;
    type Error = Infallible;

    fn look(&mut self, node: Self::Node) -> Result<Item<'_, Self::Walk>, Self::Error> {
        Ok(match node {
            Value::Nil => Item::Nil,
            Value::Bool(value) => Item::Bool(*value),
            Value::Int(value) => Item::Int(*value),
            Value::Uint(value) => Item::Uint(*value),
            Value::BigInt(bytes) => Item::BigInt(bytes),
            Value::Float(value) => Item::Float(*value),
            Value::Str(value) => Item::Str(value),
            Value::Surrogates(bytes) => Item::Surrogates(bytes),
            Value::Bytes(data) => Item::Buffer(Buffer::Bytes, data),
            Value::Bytearray(data) => Item::Buffer(Buffer::Bytearray, data),
            Value::View(header, data) => Item::Buffer(Buffer::View(header.clone()), data),
            Value::List(values) => Item::Container(Container::List, values.len(), Walk::Sequence(values, 0)),
            Value::Tuple(values) => {
                Item::Container(Container::Tuple, values.len(), Walk::Sequence(values, 0))
            }
            Value::Dict(pairs) => Item::Container(Container::Dict, pairs.len(), Walk::Pairs(pairs, 0)),
        })
    }

    fn next(&mut self, walk: &mut Self::Walk) -> Result<Option<Self::Node>, Self::Error> {
        let (node, taken) = match walk {
            Walk::Sequence(values, taken) => (values.get(*taken), taken),
            Walk::Pairs(pairs, taken) => {
                let pair = pairs.get(*taken / 2);
                (pair.map(|(key, value)| if *taken % 2 == 0 { key } else { value }), taken)
            }
        };
        *taken += usize::from(node.is_some());
        Ok(node)
    }

    fn keep_out_of_band(&mut self, node: Self::Node) -> Result<(), Self::Error> {
        if let Value::Bytes(data) | Value::Bytearray(data) | Value::View(_, data) = node {
            self.buffers.push(data.clone());
        }
        Ok(())
    }

    fn step(&self, walk: &Self::Walk) -> Step {
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

/// Why a [`Value`] cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The frame names a buffer that did not come along.
    #[error("buffer {0} did not come with the frame")]
    NoBuffer(usize),
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
    type Build = (Container, Vec<Value>);
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

    fn str(&mut self, value: &str) -> Result<Value, BuildError> {
        Ok(Value::Str(value.to_owned()))
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

    fn begin(&mut self, kind: Container, count: usize) -> Result<Self::Build, BuildError> {
        Ok((kind, Vec::with_capacity(count * kind.values_per_element())))
    }

    fn push(&mut self, (_, values): &mut Self::Build, value: Value) -> Result<(), BuildError> {
        values.push(value);
        Ok(())
    }

    fn finish(&mut self, (kind, values): Self::Build) -> Result<Value, BuildError> {
        Ok(match kind {
            Container::List => Value::List(values),
            Container::Tuple => Value::Tuple(values),
            Container::Dict => {
                let mut values = values.into_iter();
                let pairs = std::iter::from_fn(|| Some((values.next()?, values.next()?)));
                Value::Dict(pairs.collect())
            }
        })
    }
}
