//! The object model on the receiving side: a trait for what the decoder builds.

use crate::buffer::ViewHeader;
use crate::marker::Container;
use crate::path::Step;
use crate::plain::PlainReader;

/// Which hashes of keys the decoder asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hashes {
    /// Hashes that a frame can give to many keys: not that of a str, whose hashes are others in each program, nor that of an
    /// int which is its own hash.
    Shared,
    /// Hashes that a frame can choose: all but those of strs and bytes.
    Chosen,
    /// All of them.
    All,
}

/// The place of a buffer's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Data<'d> {
    /// In the frame.
    Inline(&'d [u8]),
    /// Beside the frame: the number of the buffer. The decoder asks for each number once, in order.
    OutOfBand(usize),
}

/// An object model that can be built without recursion.
///
/// The decoder has checked lengths; a sink checks what only its model knows (whether a key is
/// hashable, whether a buffer with that number came along).
pub trait Sink {
    /// A finished value.
    type Value;
    /// A container whose elements are still being read; it ends in [`Sink::finish`] or [`Sink::discard`].
    type Build;
    /// Why a value cannot be built.
    type Error: std::error::Error + 'static;

    /// Builds `None`.
    fn nil(&mut self) -> Result<Self::Value, Self::Error>;
    /// Builds a bool.
    fn bool(&mut self, value: bool) -> Result<Self::Value, Self::Error>;
    /// Builds an int.
    fn int(&mut self, value: i64) -> Result<Self::Value, Self::Error>;
    /// Builds an int.
    fn uint(&mut self, value: u64) -> Result<Self::Value, Self::Error>;
    /// Builds an int from its little-endian two's complement.
    fn big_int(&mut self, bytes: &[u8]) -> Result<Self::Value, Self::Error>;
    /// Builds a float.
    fn float(&mut self, value: f64) -> Result<Self::Value, Self::Error>;
    /// Builds a complex.
    fn complex(&mut self, real: f64, imaginary: f64) -> Result<Self::Value, Self::Error>;
    /// Builds `Ellipsis`.
    fn ellipsis(&mut self) -> Result<Self::Value, Self::Error>;
    /// Builds `NotImplemented`.
    fn not_implemented(&mut self) -> Result<Self::Value, Self::Error>;
    /// Builds a str of what should be UTF-8, as Rust understands it; `None` if it is not.
    ///
    /// The check is the sink's, because a model that makes its own copy checks anyway.
    fn str(&mut self, bytes: &[u8]) -> Result<Option<Self::Value>, Self::Error>;
    /// Builds a str from what Python's `surrogatepass` wrote; the sink checks that it is that.
    fn surrogates(&mut self, bytes: &[u8]) -> Result<Self::Value, Self::Error>;
    /// Builds a bytes object.
    fn bytes(&mut self, data: Data<'_>) -> Result<Self::Value, Self::Error>;
    /// Builds a bytearray.
    fn bytearray(&mut self, data: Data<'_>) -> Result<Self::Value, Self::Error>;
    /// Builds a memoryview; the sink checks that out-of-band data has the length that the header says.
    fn view(&mut self, header: ViewHeader, data: Data<'_>) -> Result<Self::Value, Self::Error>;
    /// Builds the object of the host's that came beside the frame under that number.
    fn handle(&mut self, number: usize) -> Result<Self::Value, Self::Error>;

    /// Does what `view` does where the memoryview stands in `build` and nothing else can refer to it, so that a
    /// sink may put the content where it will be in the end, and return something else, which is pushed next.
    fn view_within(
        &mut self,
        build: &mut Self::Build,
        header: ViewHeader,
        data: Data<'_>,
    ) -> Result<Self::Value, Self::Error> {
        let _ = build;
        self.view(header, data)
    }

    /// Begins a container of `count` elements.
    fn begin(&mut self, kind: Container, count: usize) -> Result<Self::Build, Self::Error>;
    /// Adds the next value: an element, or a key, or the value of the key before it.
    fn push(&mut self, build: &mut Self::Build, value: Self::Value) -> Result<(), Self::Error>;
    /// Adds values to a container as long as the reader finds plain ones, as `push` would; it may
    /// leave them all to `push`. A value that it takes out of the reader and refuses makes the frame bad.
    fn plain(
        &mut self,
        build: &mut Self::Build,
        reader: &mut PlainReader<'_, '_, Self::Value>,
    ) -> Result<(), Self::Error> {
        let _ = (build, reader);
        Ok(())
    }
    /// Takes out a container to which as many values were pushed as it was begun for; after that, `build` is
    /// only dropped, or discarded where this fails.
    fn finish(&mut self, build: &mut Self::Build) -> Result<Self::Value, Self::Error>;

    /// Tells the hash of a key, or of an element of a set, that is pushed next, if it is asked for, and whether it is of
    /// [`Hashes::Shared`]; else `None`.
    ///
    /// # Errors
    ///
    /// If it has no hash.
    fn hash(&mut self, value: &Self::Value, asked: Hashes) -> Result<Option<(isize, bool)>, Self::Error> {
        let _ = (value, asked);
        Ok(None)
    }

    /// Tells how many different keys or elements a container has, if it is a table already.
    fn keys(&self, build: &Self::Build) -> Option<usize> {
        let _ = build;
        None
    }

    /// Tells where the next value of a container stands in it, for the message of an error.
    fn step(&self, build: &Self::Build) -> Step;

    /// Takes back a container that will never be finished, because the frame is bad.
    fn discard(&mut self, build: Self::Build);

    /// Splits a value that the sharing table has as `number` into the one that stands here and the one that
    /// references to it are made of.
    fn define(&mut self, number: usize, value: Self::Value) -> (Self::Value, Self::Value);
    /// Splits a container that is not finished in the same way, if references to it are already possible.
    fn define_open(&mut self, number: usize, build: &mut Self::Build) -> Option<Self::Value>;
    /// Builds a reference to a defined value.
    fn refer(&mut self, defined: &Self::Value) -> Self::Value;
}
