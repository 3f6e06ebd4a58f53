//! Values to bytes and back: the frames of `docs/wire-format.md`.
//!
//! A [`Source`] is walked by an [`Encoder`], a [`Sink`] is built by a [`Decoder`]; neither makes an intermediate
//! tree. [`Value`] is an owned model of both for tests, fuzzing and tools. [`envelope`] is what stands
//! before a value in a frame: which message it is, and of which call.
//!
//! What this crate does not do: it knows neither Python nor JavaScript, it does not know what an
//! out-of-band buffer is (only its number), and it never calls anything that a frame names.
//!
//! # Untrusted input
//!
//! A frame comes from the other side of a connection. No bytes, however made, panic, overflow the stack,
//! loop without end, or make a [`Decoder`] allocate memory out of proportion to the length of the input.

mod decode;
mod encode;
pub mod envelope;
mod error;
pub mod marker;
mod memo;
mod metadata;
mod path;
mod plain;
pub mod rows;
mod sink;
mod source;
mod value;

pub use decode::Decoder;
pub use encode::Encoder;
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use path::{Path, Step};
pub use plain::{Plain, PlainReader, PlainWriter};
pub use sink::{Data, Sink};
pub use source::{Buffer, Item, Source, ViewHeader};
pub use value::{Build, BuildError, Builder, Undefined, Value, Walk, Walker};

/// What a codec does not go beyond, whatever a value or a frame asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many containers may stand inside each other.
    pub depth: usize,
    /// From how many bytes on a buffer travels beside the frame instead of in it.
    pub out_of_band: usize,
}

impl Default for Limits {
    fn default() -> Self {
        // A copy into and out of the frame costs less than a transferred buffer of its own up to about here.
        Self { depth: 1_000_000, out_of_band: 16 * 1024 }
    }
}
