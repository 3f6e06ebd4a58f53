#![doc = include_str!("../README.md")]
// A public type may get more fields or variants in any version.
#![deny(clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod buffer;
pub mod cost;
mod decode;
pub mod deferred;
mod encode;
pub mod envelope;
mod error;
mod limits;
pub mod marker;
mod memo;
mod metadata;
mod path;
mod plain;
mod serializer;
mod sink;
mod source;
mod value;
mod write;

pub use buffer::{Buffer, ViewHeader};
pub use decode::Decoder;
pub use encode::{Encoder, Mark};
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use limits::Limits;
pub use path::{Path, Step};
pub use plain::{Plain, PlainReader, PlainWriter};
pub use sink::{Data, Hashes, Sink};
pub use source::{Item, Source};
pub use value::{Build, BuildError, Builder, Undefined, Value, Walk, Walker};
