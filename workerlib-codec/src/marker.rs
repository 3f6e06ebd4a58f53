//! The bytes that say what follows: the wire format, section 4.
//!
//! MessagePack's own markers, and the extension types that carry what Python has beyond MessagePack. The
//! numbers are the wire format: they are never given another meaning.

/// `nil`: `None`.
pub const NIL: u8 = 0xc0;
/// `false`.
pub const FALSE: u8 = 0xc2;
/// `true`.
pub const TRUE: u8 = 0xc3;
/// `bin 8`: bytes, their number in one byte.
pub const BIN8: u8 = 0xc4;
/// `bin 16`.
pub const BIN16: u8 = 0xc5;
/// `bin 32`.
pub const BIN32: u8 = 0xc6;
/// `ext 8`: an extension, the length of its payload in one byte.
pub const EXT8: u8 = 0xc7;
/// `ext 16`.
pub const EXT16: u8 = 0xc8;
/// `ext 32`.
pub const EXT32: u8 = 0xc9;
/// `float 32`: read, never written.
pub const FLOAT32: u8 = 0xca;
/// `float 64`.
pub const FLOAT64: u8 = 0xcb;
/// `uint 8`.
pub const UINT8: u8 = 0xcc;
/// `uint 16`.
pub const UINT16: u8 = 0xcd;
/// `uint 32`.
pub const UINT32: u8 = 0xce;
/// `uint 64`.
pub const UINT64: u8 = 0xcf;
/// `int 8`.
pub const INT8: u8 = 0xd0;
/// `int 16`.
pub const INT16: u8 = 0xd1;
/// `int 32`.
pub const INT32: u8 = 0xd2;
/// `int 64`.
pub const INT64: u8 = 0xd3;
/// `fixext 1`: an extension with one byte of payload.
pub const FIXEXT1: u8 = 0xd4;
/// `fixext 2`.
pub const FIXEXT2: u8 = 0xd5;
/// `fixext 4`.
pub const FIXEXT4: u8 = 0xd6;
/// `fixext 8`.
pub const FIXEXT8: u8 = 0xd7;
/// `fixext 16`.
pub const FIXEXT16: u8 = 0xd8;
/// `str 8`.
pub const STR8: u8 = 0xd9;
/// `str 16`.
pub const STR16: u8 = 0xda;
/// `str 32`.
pub const STR32: u8 = 0xdb;
/// `array 16`.
pub const ARRAY16: u8 = 0xdc;
/// `array 32`.
pub const ARRAY32: u8 = 0xdd;
/// `map 16`.
pub const MAP16: u8 = 0xde;
/// `map 32`.
pub const MAP32: u8 = 0xdf;
/// The first `positive fixint` is 0x00, the last is this.
pub const POSITIVE_FIXINT_LAST: u8 = 0x7f;
/// The first `fixmap`; its low four bits are the number of pairs.
pub const FIXMAP: u8 = 0x80;
/// The first `fixarray`; its low four bits are the number of elements.
pub const FIXARRAY: u8 = 0x90;
/// The first `fixstr`; its low five bits are the number of bytes.
pub const FIXSTR: u8 = 0xa0;
/// The first `negative fixint`; the byte is the number as two's complement.
pub const NEGATIVE_FIXINT: u8 = 0xe0;

/// The extension types: sections 4.3 to 4.8.
///
/// The types of section 4.6 open with the name of their row in the Python package's table; a test there compares
/// both.
pub mod ext {
    /// An int beyond 64 bits: little-endian two's complement, as short as can be.
    pub const BIG_INT: u8 = 1;
    /// A str with lone surrogates: UTF-8 as Python's `surrogatepass` writes it.
    pub const SURROGATES: u8 = 2;
    /// A bytearray: the payload is its content.
    pub const BYTEARRAY: u8 = 3;
    /// A memoryview: the payload is its header, a bytes value follows.
    pub const VIEW: u8 = 4;
    /// Bytes out of band: the payload is the buffer's number, four bytes, big-endian.
    pub const BUFFER_BYTES: u8 = 5;
    /// A bytearray out of band: as [`BUFFER_BYTES`].
    pub const BUFFER_BYTEARRAY: u8 = 6;
    /// A complex: two floats of eight bytes, big-endian.
    pub const COMPLEX: u8 = 7;
    /// `Ellipsis`: no payload.
    pub const ELLIPSIS: u8 = 8;
    /// `NotImplemented`: no payload.
    pub const NOT_IMPLEMENTED: u8 = 9;
    /// A tuple: the payload is the number of the elements, which follow.
    pub const TUPLE: u8 = 16;
    /// A set, likewise.
    pub const SET: u8 = 17;
    /// A frozenset, likewise.
    pub const FROZENSET: u8 = 18;
    /// The first of the types that are made from the first value that follows and filled with the others,
    /// so that they can contain themselves.
    pub const FILLED_FIRST: u8 = 19;
    /// `collections.deque`.
    pub const DEQUE: u8 = 19;
    /// The first of those that are filled with keys and values, as a dict is.
    pub const MAPPING_FIRST: u8 = 20;
    /// `collections.OrderedDict`.
    pub const ORDERED_DICT: u8 = 20;
    /// `collections.defaultdict`.
    pub const DEFAULT_DICT: u8 = 21;
    /// `collections.Counter`.
    pub const COUNTER: u8 = 22;
    /// The last of those that are filled with keys and values.
    pub const MAPPING_LAST: u8 = 22;
    /// `types.SimpleNamespace`.
    pub const NAMESPACE: u8 = 23;
    /// `builtins.BaseException`: any exception.
    pub const EXCEPTION: u8 = 24;
    /// `object`: an object of a user's class that is its attributes and nothing else.
    pub const OBJECT: u8 = 25;
    /// The last of the types that can contain themselves.
    pub const FILLED_LAST: u8 = 31;
    /// The first of the types that are made from all values that follow.
    pub const BUILT_FIRST: u8 = 48;
    /// `builtins.range`.
    pub const RANGE: u8 = 48;
    /// `builtins.slice`.
    pub const SLICE: u8 = 49;
    /// `builtins.mappingproxy`.
    pub const MAPPING_PROXY: u8 = 50;
    /// `array.array`.
    pub const ARRAY: u8 = 51;
    /// `datetime.datetime`.
    pub const DATETIME: u8 = 52;
    /// `datetime.date`.
    pub const DATE: u8 = 53;
    /// `datetime.time`.
    pub const TIME: u8 = 54;
    /// `datetime.timedelta`.
    pub const TIMEDELTA: u8 = 55;
    /// `datetime.timezone`.
    pub const TIMEZONE: u8 = 56;
    /// `zoneinfo.ZoneInfo`.
    pub const ZONE_INFO: u8 = 57;
    /// `decimal.Decimal`.
    pub const DECIMAL: u8 = 58;
    /// `fractions.Fraction`.
    pub const FRACTION: u8 = 59;
    /// `uuid.UUID`.
    pub const UUID: u8 = 60;
    /// `pathlib.PurePosixPath`.
    pub const PURE_POSIX_PATH: u8 = 61;
    /// `pathlib.PureWindowsPath`.
    pub const PURE_WINDOWS_PATH: u8 = 62;
    /// `pathlib.PosixPath`.
    pub const POSIX_PATH: u8 = 63;
    /// `pathlib.WindowsPath`.
    pub const WINDOWS_PATH: u8 = 64;
    /// `ipaddress.IPv4Address`.
    pub const IPV4_ADDRESS: u8 = 65;
    /// `ipaddress.IPv6Address`.
    pub const IPV6_ADDRESS: u8 = 66;
    /// `ipaddress.IPv4Network`.
    pub const IPV4_NETWORK: u8 = 67;
    /// `ipaddress.IPv6Network`.
    pub const IPV6_NETWORK: u8 = 68;
    /// `ipaddress.IPv4Interface`.
    pub const IPV4_INTERFACE: u8 = 69;
    /// `ipaddress.IPv6Interface`.
    pub const IPV6_INTERFACE: u8 = 70;
    /// `re.Pattern`: compiling one takes time, so those of a frame have a limit together.
    pub const PATTERN: u8 = 71;
    /// `builtins.type`: a class as a value.
    pub const CLASS: u8 = 72;
    /// `numpy.ndarray`.
    pub const NDARRAY: u8 = 73;
    /// `numpy.generic`: a scalar of numpy's.
    pub const NUMPY_SCALAR: u8 = 74;
    /// `numpy.dtype`.
    pub const DTYPE: u8 = 75;
    /// `enum`: a member of a user's enum.
    pub const ENUM: u8 = 76;
    /// `namedtuple`.
    pub const NAMED_TUPLE: u8 = 77;
    /// A library type by its name, which is the first value: the table of names is in the Python package.
    pub const NAMED: u8 = 78;
    /// The last of the types that are made from all values that follow, but for those from [`LIBRARY_FIRST`] on.
    pub const BUILT_LAST: u8 = 79;
    /// A value that stands elsewhere in the frame: the payload is its number in the sharing table.
    pub const REFERENCE: u8 = 80;
    /// A value that contains itself and is made when its content is complete: the payload is the number of
    /// values that follow; they are passed over for the reference behind them.
    pub const CYCLE: u8 = 81;
    /// An object that passed through an adapter: the payload is the number of values that follow, three.
    pub const ADAPTED: u8 = 82;
    /// The slot of a deferred value, which stands for the object that it is restored to: one value follows, its number.
    pub const SLOT: u8 = 83;
    /// Deferred values, which stand before the values of a frame: the payload is their number. It is not a value.
    pub const DEFERRED: u8 = 84;
    /// The first of further types that are made from all values that follow: functions, and those of
    /// other people's libraries.
    pub const LIBRARY_FIRST: u8 = 86;
    /// `function`.
    pub const FUNCTION: u8 = 86;
    /// `PIL.Image.Image`.
    pub const IMAGE: u8 = 87;
    /// `pandas.DataFrame`.
    pub const DATA_FRAME: u8 = 88;
    /// `pandas.Series`.
    pub const SERIES: u8 = 89;
    /// `pandas.Index`.
    pub const INDEX: u8 = 90;
    /// `pandas.api.extensions.ExtensionArray`.
    pub const PANDAS_ARRAY: u8 = 91;
    /// `pandas scalar`.
    pub const PANDAS_SCALAR: u8 = 92;
    /// `pyarrow.lib.Table`.
    pub const ARROW_TABLE: u8 = 93;
    /// `pydantic_core.Url`.
    pub const URL: u8 = 94;
    /// `pydantic_core.MultiHostUrl`.
    pub const MULTI_HOST_URL: u8 = 95;
    /// The last of these.
    pub const LIBRARY_LAST: u8 = 95;
    /// An object of the host's that came beside the frame: the payload is the buffer's number.
    pub const HANDLE: u8 = 96;
    /// `reference`: something that is called where it is, such as a callback.
    pub const REMOTE: u8 = 97;
    /// `stream`: an iterable whose items the sender produces one by one; one value follows, the stream's id.
    pub const STREAM: u8 = 98;
}

/// A value that holds other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Container {
    /// A list: a MessagePack array.
    List,
    /// A dict: a MessagePack map, in insertion order, any hashable key.
    Dict,
    /// A tuple: [`ext::TUPLE`].
    Tuple,
    /// A set: [`ext::SET`].
    Set,
    /// A frozenset: [`ext::FROZENSET`].
    Frozenset,
    /// Another type, by its extension type: one of those from [`ext::FILLED_FIRST`],
    /// [`ext::BUILT_FIRST`] and [`ext::LIBRARY_FIRST`] on. Only the object model knows the meaning of its
    /// values.
    Extension(u8),
}

impl Container {
    /// The number of values that one of its elements takes: two where it maps keys to values.
    pub fn values_per_element(self) -> usize {
        if self == Self::Dict { 2 } else { 1 }
    }

    /// Returns whether what stands in it may be nested without limit; `is_key` tells a dict's keys from its
    /// values.
    ///
    /// Python hashes, compares and frees by recursion; only what is freed by hand may be deeper than that
    /// can go.
    pub fn nests(self, is_key: bool) -> bool {
        match self {
            Self::List | Self::Tuple => true,
            Self::Dict => !is_key,
            Self::Set | Self::Frozenset | Self::Extension(_) => false,
        }
    }

    /// Returns whether Python hashes it, as long as its content can be hashed.
    pub fn is_hashable(self) -> bool {
        !matches!(self, Self::List | Self::Dict | Self::Set)
    }

    /// Returns whether what stands in it is hashed; `is_key` tells keys from their values.
    pub fn hashes(self, is_key: bool) -> bool {
        match self {
            Self::Dict | Self::Extension(ext::MAPPING_FIRST..=ext::MAPPING_LAST) => is_key,
            Self::Set | Self::Frozenset => true,
            Self::List | Self::Tuple | Self::Extension(_) => false,
        }
    }

    /// The number of its values that must be there before it exists and can be referred to; `None` if all.
    pub fn exists_after(self) -> Option<usize> {
        match self {
            Self::List | Self::Dict | Self::Set => Some(0),
            Self::Extension(ext::FILLED_FIRST..=ext::FILLED_LAST) => Some(1),
            Self::Tuple | Self::Frozenset | Self::Extension(_) => None,
        }
    }

    /// Returns whether it exists before all of its content does, and so can contain itself.
    pub fn is_filled(self) -> bool {
        self.exists_after().is_some()
    }
}
