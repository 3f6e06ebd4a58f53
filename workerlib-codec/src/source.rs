//! The object model on the sending side: a trait for what the encoder walks.

use crate::buffer::Buffer;
use crate::marker::Container;
use crate::path::{Path, Step};
use crate::plain::PlainWriter;

/// The kind of a node of a [`Source`]; scalars bring their content along.
#[derive(Debug)]
#[non_exhaustive]
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
    /// An object of the host's, which has no content and goes beside the frame.
    Handle,
    /// A node that holds other nodes: its kind, the number of its elements, and the walk over them.
    Container(Container, usize, W),
    /// A node that is sent as another node; the encoder tells [`Source::converted`] where.
    Converted(N),
}

/// An object model that can be walked without recursion.
pub trait Source {
    /// A value in the model, good until the walk moves on.
    type Node: Copy;
    /// The state of the walk over one container. It is copied and dropped without notice.
    type Walk: Copy;
    /// Why a node cannot be sent.
    type Error;
    /// Whether lists, dicts, sets and bytearrays cannot be keys, nor stand in sets, as in Python.
    const HASHES: bool = false;

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

    /// Hears of a node that [`Source::look`] said is converted; `path` tells where it stands, which takes some time.
    fn converted(&mut self, node: Self::Node, path: impl FnOnce(&mut Self) -> Path);

    /// Begins the walk over a node that is a list, a tuple or a dict, as [`Source::look`] would, which may do
    /// it instead; tells its kind and how many elements it has.
    fn enter(&mut self, node: Self::Node) -> Option<(Container, usize, Self::Walk)> {
        let _ = node;
        None
    }

    /// Takes the next node of a container: elements in order, keys before their values. `None` if there is
    /// none, since the container is no longer what it was when the walk began.
    ///
    /// The encoder asks for as many as were announced.
    fn next(&mut self, walk: &mut Self::Walk) -> Option<Self::Node>;

    /// Ends a walk of which all nodes were taken, and tells whether the container is still what it was when
    /// the walk began.
    fn leave(&mut self, walk: &Self::Walk) -> bool;

    /// Takes nodes of a container, at most `limit`, as long as they are plain, and writes them;
    /// returns how many it took. [`Source::next`] gets the nodes that it leaves, which may be all.
    fn plain(&mut self, walk: &mut Self::Walk, limit: usize, writer: &mut PlainWriter<'_>) -> usize {
        let _ = (walk, limit, writer);
        0
    }

    /// Takes the buffer or handle that [`Source::look`] returned last out of the walk, to be sent beside the
    /// frame.
    ///
    /// The encoder calls it in the order of the buffers' numbers, 0 first.
    ///
    /// # Errors
    ///
    /// If the buffer cannot be kept.
    fn keep_out_of_band(&mut self, node: Self::Node) -> Result<(), Self::Error>;

    /// Tells which node of the container the walk returned last, for the message of an error.
    fn step(&mut self, walk: &Self::Walk) -> Step;
}
