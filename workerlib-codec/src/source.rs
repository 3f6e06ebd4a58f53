//! What can be walked: the object model on the sending side.

use serde::Serialize;

use crate::marker::Container;
use crate::{Path, Step};

/// Which of the buffer types a buffer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buffer {
    /// `bytes`.
    Bytes,
    /// `bytearray`.
    Bytearray,
    /// `memoryview`.
    View(ViewHeader),
}

/// What a memoryview says about its bytes: section 4.4. Its content is in C order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewHeader {
    /// Whether the receiver may not write to it.
    pub readonly: bool,
    /// The size of an item in bytes: that of `'l'` differs between machines.
    pub itemsize: u32,
    /// The items' format, as in Python's module `struct`.
    pub format: String,
    /// The number of items in each dimension; empty for a single item.
    pub shape: Vec<u64>,
}

impl ViewHeader {
    /// The number of bytes that the content has, or `None` if no address space could hold them.
    pub fn len(&self) -> Option<u64> {
        self.shape.iter().try_fold(u64::from(self.itemsize), |product, &length| product.checked_mul(length))
    }

    /// Returns whether the content has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// What a node of a [`Source`] is; scalars bring their content along.
#[derive(Debug)]
pub enum Item<'s, N, W> {
    /// `None`.
    Nil,
    /// A bool.
    Bool(bool),
    /// An int within 64 bits.
    Int(i64),
    /// An int beyond `i64` within 64 bits.
    Uint(u64),
    /// Any other int: little-endian two's complement, as short as can be.
    BigInt(&'s [u8]),
    /// A float.
    Float(f64),
    /// A complex.
    Complex(f64, f64),
    /// `Ellipsis`.
    Ellipsis,
    /// `NotImplemented`.
    NotImplemented,
    /// A str.
    Str(&'s str),
    /// A str with lone surrogates, as Python's `surrogatepass` writes it.
    Surrogates(&'s [u8]),
    /// A buffer and its content in C order.
    Buffer(Buffer, &'s [u8]),
    /// Something that holds other nodes: its kind, how many elements it has, and the walk over them.
    Container(Container, usize, W),
    /// Something that is sent as what another node is; the encoder tells [`Source::converted`] where.
    Converted(N),
}

/// What [`Source::peek`] tells of a node.
#[derive(Debug)]
pub enum Peek<'s> {
    /// `None`.
    Nil,
    /// A bool.
    Bool(bool),
    /// An int within 64 bits.
    Int(i64),
    /// A float.
    Float(f64),
    /// A str that nothing else refers to.
    Str(&'s str),
    /// Something that others may refer to: its identity.
    Shared(usize),
}

/// An object model that can be walked without recursion.
pub trait Source {
    /// A value in the model, good until the walk moves on.
    type Node: Copy;
    /// The state of the walk over one container.
    type Walk;
    /// Why a node cannot be sent.
    type Error;

    /// Tells what a node is.
    ///
    /// # Errors
    ///
    /// If the node is nothing that can be sent.
    fn look(&mut self, node: Self::Node) -> Result<Item<'_, Self::Node, Self::Walk>, Self::Error>;

    /// Tells what makes the node the same as another one, or `None` if nothing else can refer to it.
    ///
    /// `owners` is how many references to the node the walk knows of: [`Source::owners`], or 0 for a root.
    fn identity(node: Self::Node, owners: usize) -> Option<usize>;

    /// Tells how many references to each of its nodes a container's walk accounts for.
    fn owners(walk: &Self::Walk) -> usize;

    /// Hears that the identity of a node is remembered until the end of the frame: from now on no other
    /// node may have it.
    fn remember(&mut self, node: Self::Node);

    /// Hears where a node stands that [`Source::look`] said is converted.
    fn converted(&mut self, node: Self::Node, path: Path);

    /// Takes the next node of a container: elements in order, keys before their values.
    ///
    /// # Errors
    ///
    /// If the container is no longer what it was when the walk began.
    fn next(&mut self, walk: &mut Self::Walk) -> Result<Option<Self::Node>, Self::Error>;

    /// Tells what the next node of a container is, without taking it, if that is easily told.
    ///
    /// It makes the most frequent values quick; a source may always answer `None`.
    fn peek(&mut self, _walk: &mut Self::Walk) -> Option<Peek<'_>> {
        None
    }

    /// Takes the node that was peeked at, and leaves it at that.
    fn skip(&mut self, _walk: &mut Self::Walk) {}

    /// Takes the buffer that [`Source::look`] returned last out of the walk, to be sent beside the frame.
    ///
    /// The encoder calls it in the order of the buffers' numbers, 0 first.
    ///
    /// # Errors
    ///
    /// If the buffer cannot be kept.
    fn keep_out_of_band(&mut self, node: Self::Node) -> Result<(), Self::Error>;

    /// Tells which node of the container the walk returned last, for the message of an error.
    fn step(&self, walk: &Self::Walk) -> Step;
}
