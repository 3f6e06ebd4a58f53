//! Why a value cannot be encoded, or a frame decoded.

use crate::path::Path;

/// Why a value could not be encoded, and where in it.
///
/// Paths begin with a step: the caller puts the name of the value before them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError<E> {
    /// The source refused a value.
    #[error("at value{path}: {error}")]
    Source {
        /// The place of the value.
        path: Path,
        /// The source's own error.
        error: E,
    },
    /// Containers stand deeper inside each other than [`Limits::depth`](crate::Limits::depth), or than
    /// [`SHALLOW`](crate::cost::SHALLOW) where that is the limit.
    #[error("at value{path}: more than {limit} levels of containers")]
    TooDeep {
        /// The place at which that was seen.
        path: Path,
        /// The limit.
        limit: usize,
    },
    /// A dict's key, or an element of a set, would have no hash on the other side.
    #[error("at value{path}: a key, or an element of a set, has no hash")]
    Unhashable {
        /// Its place.
        path: Path,
    },
    /// Keys, or elements of sets, refer to each other so often that to hash them takes too long.
    #[error("at value{path}: keys, or elements of sets, take too long to hash")]
    Hashing {
        /// The place of the value that is too much.
        path: Path,
    },
    /// A container or buffer has more than 2³² - 1 elements or bytes, which MessagePack cannot say.
    #[error("at value{path}: more than 4294967295 elements or bytes")]
    TooLong {
        /// Its place.
        path: Path,
    },
    /// A container had another number of elements at the end of the walk than at its start.
    #[error("at value{path}: it changed while it was encoded")]
    Changed {
        /// Its place.
        path: Path,
    },
}

/// Why bytes could not be decoded, and where in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at byte {offset}: {kind} (wire format, section {section})")]
#[non_exhaustive]
pub struct DecodeError<E: std::error::Error + 'static> {
    /// The position of the first byte that could not be read, from the start of the frame.
    pub offset: usize,
    /// The section of the wire format that says what should have been there.
    pub section: &'static str,
    /// The fault.
    pub kind: DecodeErrorKind<E>,
}

/// A fault in the bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind<E: std::error::Error + 'static> {
    /// The input ends in the middle of a value.
    #[error("the frame ends here, in the middle of a value")]
    Truncated,
    /// Input is left after the last value.
    #[error("{0} bytes are left behind the values")]
    Trailing(usize),
    /// A marker that this version does not know.
    #[error("0x{0:02x} is not a marker of this version")]
    UnknownMarker(u8),
    /// An extension type that this version does not know.
    #[error("extension type {0} is unknown to this version")]
    UnknownExtension(i8),
    /// The payload of an extension has a length that its type cannot have.
    #[error("the payload of extension type {0} cannot have {1} bytes")]
    ExtensionLength(u8, usize),
    /// The header of a memoryview, or an envelope, is not what it must be.
    #[error("{0}")]
    Metadata(String),
    /// A str is not UTF-8.
    #[error("this str is not UTF-8")]
    Utf8,
    /// A container or payload announces more than the input can hold.
    #[error("{announced} values should follow, and only {left} bytes are left")]
    Overlong {
        /// The number of values that all open containers still wait for.
        announced: usize,
        /// The number of bytes that there are.
        left: usize,
    },
    /// Containers stand deeper inside each other than [`Limits::depth`](crate::Limits::depth).
    #[error("more than {0} levels of containers")]
    TooDeep(usize),
    /// An out-of-band buffer is used twice or out of order.
    #[error("buffer {expected} should come next, and this is buffer {found}")]
    BufferOrder {
        /// The number in the frame.
        found: usize,
        /// The next number.
        expected: usize,
    },
    /// A reference to a value that has not been read, or not far enough to be referred to.
    #[error("this reference is to value {0} of the sharing table, which has not been read yet")]
    Reference(usize),
    /// Keys, or elements of sets, hold references to each other in such a way that to hash them takes for ever.
    #[error("keys with so many references would take too long to hash")]
    Hashing,
    /// So many keys of a dict, or elements of a set, have the same hash that to tell them apart takes too long.
    #[error(
        "so many keys of a dict, or elements of a set, have the same hash that to tell them apart takes too long: send a \
         list of pairs, or of elements"
    )]
    Collisions,
    /// The hashes of so many keys of a dict, or elements of a set, lead to the same places of Python's table that to find each
    /// its own takes too long.
    #[error(
        "the hashes of so many keys of a dict, or elements of a set, lead to the same places of Python's table that to find \
         each its own takes too long: send a list of pairs, or of elements"
    )]
    Places,
    /// The sharing table names a position where no value starts, or one position twice.
    #[error("the sharing table names byte {0} of the values, where no value starts")]
    Sharing(usize),
    /// The sink refused a value.
    #[error("{0}")]
    Sink(E),
}
