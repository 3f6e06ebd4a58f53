//! From bytes to a [`Sink`]: the wire format, section 4.
//!
//! The contract with untrusted input: no bytes panic, overflow the stack, loop without end, or make the
//! sink allocate out of proportion to the length of the input. Two facts carry it. Every value takes at
//! least one byte, so the values that all open containers together still wait for can never outnumber the
//! bytes that are left; and every turn of the loop reads at least one byte.

use std::collections::BinaryHeap;

use crate::buffer::ViewHeader;
use crate::cost::{Collisions, Excess, Hashed, LARGE, Large, Nesting, SHALLOW};
use crate::error::{DecodeError, DecodeErrorKind as Kind};
use crate::limits::Limits;
use crate::marker::{self, Container, ext};
use crate::metadata::{self, Malformed};
use crate::path::Path;
use crate::plain::{Defined, PlainReader};
use crate::sink::{Data, Hashes, Sink};

const VALUES: &str = "4.1";
const CONTAINERS: &str = "4.2";
const EXTENSIONS: &str = "4.3";
const BUFFERS: &str = "4.4";
const SHARING: &str = "4.5";
const LIBRARY: &str = "4.6";
const LIMITS: &str = "6";

/// The section that says how a container is built.
fn section_of(kind: Container) -> &'static str {
    if let Container::Extension(_) = kind { LIBRARY } else { CONTAINERS }
}

/// Reads the values of one frame.
#[derive(Debug)]
pub struct Decoder<'f, V> {
    reader: Reader<'f>,
    depth: usize,
    deepest: usize,
    /// The sharing table by position: where a value stands that others refer to, and its number.
    expected: std::vec::IntoIter<(usize, usize)>,
    /// The next of these.
    next: Option<(usize, usize)>,
    /// The values of the sharing table by number, once they are there.
    defined: Vec<Option<Defined<V>>>,
    hashed: Hashed,
    collisions: Collisions,
    failed_at: Path,
}

impl<'f, V> Decoder<'f, V> {
    /// Starts with the sharing table (section 4.5), which stands at `position` in the frame.
    ///
    /// # Errors
    ///
    /// If there is no sharing table.
    pub fn new<E: std::error::Error + 'static>(
        frame: &'f [u8],
        position: usize,
        limits: &Limits,
    ) -> Result<Self, DecodeError<E>> {
        let mut rest = frame.get(position..).unwrap_or_default();
        let table = metadata::read_positions(&mut rest).map_err(|error| {
            let kind = Kind::Metadata(format!("the sharing table cannot be read: {error}"));
            DecodeError { offset: position, section: SHARING, kind }
        })?;
        let start = frame.len() - rest.len();
        let mut expected: Vec<(usize, usize)> = table
            .iter()
            .enumerate()
            .map(|(number, &position)| (start.saturating_add(position), number))
            .collect();
        // Most tables are in order. A heap sorts the others by a tenth of the code of `sort_unstable`.
        if !expected.is_sorted() {
            expected = BinaryHeap::from(expected).into_sorted_vec();
        }
        let mut expected = expected.into_iter();
        Ok(Self {
            reader: Reader { frame, position: start, start, buffers: 0 },
            depth: limits.depth,
            deepest: 0,
            next: expected.next(),
            expected,
            defined: std::iter::repeat_with(|| None).take(table.len()).collect(),
            hashed: Hashed::default(),
            collisions: Collisions::default(),
            failed_at: Path::default(),
        })
    }

    /// The place in the value at which [`Decoder::decode`] failed.
    pub fn failed_at(&self) -> &Path {
        &self.failed_at
    }

    /// The number of levels of containers that the deepest value had.
    pub fn deepest(&self) -> usize {
        self.deepest
    }

    /// Reads the next value.
    ///
    /// # Errors
    ///
    /// If the bytes are not a value of this version, or the sink refuses it.
    pub fn decode<S: Sink<Value = V>>(&mut self, sink: &mut S) -> Result<V, DecodeError<S::Error>> {
        let mut stack = Vec::new();
        self.read(sink, &mut stack).map_err(|wrong| {
            let (section, kind) = *wrong;
            // A container that is complete failed itself.
            let open = stack.len() - usize::from(stack.last().is_some_and(|level| level.left == 0));
            self.failed_at = Path::through(open, |level| sink.step(&stack[level].build));
            stack.into_iter().for_each(|level| sink.discard(level.build));
            DecodeError { offset: self.reader.start, section, kind }
        })
    }

    /// Checks that nothing is left of the frame.
    ///
    /// # Errors
    ///
    /// If bytes are left, or the sharing table names a position where no value starts.
    pub fn finish<E: std::error::Error + 'static>(self) -> Result<(), DecodeError<E>> {
        let len = self.reader.frame.len();
        let (position, _) = self.end()?;
        if position < len {
            let kind = Kind::Trailing(len - position);
            return Err(DecodeError { offset: position, section: "2", kind });
        }
        Ok(())
    }

    /// Ends the values where something else follows: returns where, and how many buffers they referred to.
    ///
    /// # Errors
    ///
    /// If the sharing table names a position where no value starts.
    pub fn end<E: std::error::Error + 'static>(self) -> Result<(usize, usize), DecodeError<E>> {
        match self.next {
            Some((offset, _)) => Err(DecodeError { offset, section: SHARING, kind: Kind::Sharing(offset) }),
            None => Ok((self.reader.position, self.reader.buffers)),
        }
    }

    fn read<S: Sink<Value = V>>(
        &mut self,
        sink: &mut S,
        stack: &mut Vec<Level<S::Build>>,
    ) -> Result<V, Wrong<S::Error>> {
        let refused = |kind, error| wrong(section_of(kind), Kind::Sink(error));
        // The number of values that all open containers together have announced and of which no byte is read yet.
        let mut unread = 1usize;
        'values: loop {
            unread -= 1;
            let shared = self.shared_here()?;
            let mut finished = match self.reader.value(sink)? {
                Read::Value(value) => Some((self.define(sink, shared, value, Nesting::FLAT), Nesting::FLAT)),
                Read::LongInt(value, len) => {
                    let nesting = Nesting::of_int(len);
                    Some((self.define(sink, shared, value, nesting), nesting))
                }
                Read::Reference(number) => Some(self.refer(sink, number)?),
                Read::View(view) => {
                    let (header, data) = *view;
                    let built = match stack.last_mut() {
                        Some(level) if shared.is_none() => sink.view_within(&mut level.build, header, data),
                        _ => sink.view(header, data),
                    };
                    let value = built.map_err(|error| wrong(EXTENSIONS, Kind::Sink(error)))?;
                    Some((self.define(sink, shared, value, Nesting::FLAT), Nesting::FLAT))
                }
                Read::Container(kind, count, cycle) => {
                    let left = self.reader.frame.len() - self.reader.position;
                    let values = count.saturating_mul(kind.values_per_element());
                    unread = unread.saturating_add(values).saturating_add(usize::from(cycle));
                    if unread > left {
                        return Err(wrong(CONTAINERS, Kind::Overlong { announced: unread, left }));
                    }
                    if stack.len() >= self.depth {
                        return Err(wrong(CONTAINERS, Kind::TooDeep(self.depth)));
                    }
                    let build = sink.begin(kind, count).map_err(|error| refused(kind, error))?;
                    stack.push(Level {
                        kind,
                        build,
                        left: values,
                        number: shared,
                        open: false,
                        cycle,
                        nesting: Nesting::of(kind, values, false),
                        is_large: count >= LARGE,
                    });
                    self.deepest = self.deepest.max(stack.len());
                    if let (Some(_), Some(level)) = (shared, stack.last_mut()) {
                        self.define_open(sink, level);
                    }
                    None
                }
            };
            // A finished value goes into the innermost open container, which it may finish in turn.
            loop {
                let depth = stack.len();
                let Some(level) = stack.last_mut() else { break };
                if let Some((value, nesting)) = finished {
                    let (kind, is_key) = (level.kind, level.left % 2 == 0);
                    level
                        .nesting
                        .hold(kind, is_key, nesting, &mut self.hashed, self.reader.frame.len())
                        .map_err(exceeded)?;
                    if kind.hashes(is_key) {
                        let large = level.is_large.then(|| Large { keys: sink.keys(&level.build) });
                        let asked = match large {
                            None => Hashes::Shared,
                            Some(Large { keys: Some(_), .. }) => Hashes::Chosen,
                            // Nobody else counts the keys.
                            Some(_) => Hashes::All,
                        };
                        if let Some((hash, is_shared)) =
                            sink.hash(&value, asked).map_err(|error| refused(kind, error))?
                        {
                            let len = self.reader.frame.len();
                            let compared = if is_shared { nesting.compared() } else { 0 };
                            let keys = level.left.div_ceil(kind.values_per_element());
                            let place = (kind, depth, keys);
                            self.collisions.add(place, hash, compared, len, large).map_err(exceeded)?;
                        }
                    }
                    sink.push(&mut level.build, value).map_err(|error| refused(kind, error))?;
                    level.left -= 1;
                    if level.number.is_some() {
                        self.define_open(sink, level);
                    }
                }
                if level.left > 0 {
                    unread -= self.plain(sink, level)?;
                    if level.number.is_some() {
                        self.define_open(sink, level);
                    }
                }
                if level.left > 0 {
                    continue 'values;
                }
                unread -= usize::from(level.cycle);
                if self.collisions.depth() == depth {
                    self.collisions.close();
                }
                finished = Some(self.close(sink, level)?);
                // Dropped where it is: `pop` would copy it first.
                stack.truncate(stack.len() - 1);
            }
            if let Some((value, _)) = finished {
                return Ok(value);
            }
        }
    }

    /// Lets the sink take the plain values that come next in a container; returns how many it took.
    #[inline]
    fn plain<S: Sink<Value = V>>(
        &mut self,
        sink: &mut S,
        level: &mut Level<S::Build>,
    ) -> Result<usize, Wrong<S::Error>> {
        let frame = self.reader.frame;
        let rest = &frame[self.reader.position..];
        let mut reader = PlainReader {
            rest,
            last: rest,
            left: level.left,
            shared: self.next.map_or(0, |(position, _)| frame.len().saturating_sub(position)),
            defined: &self.defined,
        };
        let filled = sink.plain(&mut level.build, &mut reader);
        let taken = level.left - reader.left;
        level.left = reader.left;
        self.reader.position = frame.len() - reader.rest.len();
        self.reader.start = frame.len() - reader.last.len();
        filled.map(|()| taken).map_err(|error| wrong(section_of(level.kind), Kind::Sink(error)))
    }

    /// Ends a container all of whose values are there; returns it, and how many levels it has.
    #[inline]
    fn close<S: Sink<Value = V>>(
        &mut self,
        sink: &mut S,
        level: &mut Level<S::Build>,
    ) -> Result<(V, Nesting), Wrong<S::Error>> {
        if level.cycle {
            // The value that was built stands in for the one that the reference behind it refers to.
            return self.cycle(sink);
        }
        let (kind, nesting) = (level.kind, level.nesting);
        let value =
            sink.finish(&mut level.build).map_err(|error| wrong(section_of(kind), Kind::Sink(error)))?;
        let Some(number) = level.number else { return Ok((value, nesting)) };
        if !level.open {
            return Ok((self.define(sink, Some(number), value, nesting), nesting));
        }
        if let Some(defined) = &mut self.defined[number] {
            defined.nesting = nesting;
        }
        Ok((value, nesting))
    }

    /// Reads the reference that must follow a cycle.
    #[inline(never)]
    fn cycle<S: Sink<Value = V>>(&mut self, sink: &mut S) -> Result<(V, Nesting), Wrong<S::Error>> {
        self.reader.start = self.reader.position;
        match self.reader.value(sink)? {
            Read::Reference(number) => self.refer(sink, number),
            _ => Err(wrong(SHARING, Kind::Metadata("a cycle without its reference".to_owned()))),
        }
    }

    /// Builds a reference; returns it, and how many levels it has.
    fn refer<S: Sink<Value = V>>(
        &self,
        sink: &mut S,
        number: usize,
    ) -> Result<(V, Nesting), Wrong<S::Error>> {
        match self.defined.get(number) {
            Some(Some(defined)) => Ok((sink.refer(&defined.value), defined.nesting)),
            _ => Err(wrong(SHARING, Kind::Reference(number))),
        }
    }

    /// Tells the number in the sharing table of the value that starts here.
    #[inline]
    fn shared_here<E: std::error::Error + 'static>(&mut self) -> Result<Option<usize>, Wrong<E>> {
        let Some((position, number)) = self.next else { return Ok(None) };
        if position > self.reader.position {
            return Ok(None);
        }
        if position < self.reader.position {
            return Err(wrong(SHARING, Kind::Sharing(position)));
        }
        self.next = self.expected.next();
        Ok(Some(number))
    }

    #[inline]
    fn define<S: Sink<Value = V>>(
        &mut self,
        sink: &mut S,
        number: Option<usize>,
        value: V,
        nesting: Nesting,
    ) -> V {
        let Some(number) = number else { return value };
        let (value, defined) = sink.define(number, value);
        self.defined[number] = Some(Defined { value: defined, nesting });
        value
    }

    /// Lets a container be referred to as soon as it exists, so that its content can.
    #[inline]
    fn define_open<S: Sink<Value = V>>(&mut self, sink: &mut S, level: &mut Level<S::Build>) {
        if let (Some(number), false) = (level.number, level.open)
            && let Some(value) = sink.define_open(number, &mut level.build)
        {
            self.defined[number] = Some(Defined { value, nesting: Nesting::FLAT });
            level.open = true;
        }
    }
}

/// A container whose elements are being read.
struct Level<B> {
    kind: Container,
    build: B,
    left: usize,
    /// Its number in the sharing table.
    number: Option<usize>,
    /// Whether it can be referred to already.
    open: bool,
    /// Whether a reference follows that stands for it.
    cycle: bool,
    /// The nesting of its values so far.
    nesting: Nesting,
    /// Whether the places of its keys are counted, if it has any.
    is_large: bool,
}

#[cold]
fn exceeded<E: std::error::Error + 'static>(excess: Excess) -> Wrong<E> {
    match excess {
        Excess::Depth => wrong(CONTAINERS, Kind::TooDeep(SHALLOW)),
        Excess::Hashing | Excess::Unhashable => wrong(SHARING, Kind::Hashing),
        Excess::Collisions => wrong(LIMITS, Kind::Collisions),
        Excess::Places => wrong(LIMITS, Kind::Places),
    }
}

enum Read<'f, V> {
    Value(V),
    /// An int beyond 64 bits, and how many bytes it has.
    LongInt(V, usize),
    Reference(usize),
    /// A memoryview, which may be content of the container around it; boxed, because it is seldom.
    View(Box<(ViewHeader, Data<'f>)>),
    /// Its kind, the number of its elements, and whether a reference follows that stands for it.
    Container(Container, usize, bool),
}

/// The section that was broken, and how; boxed, because nearly every result is none.
type Wrong<E> = Box<(&'static str, Kind<E>)>;

#[cold]
fn wrong<E: std::error::Error + 'static>(section: &'static str, kind: Kind<E>) -> Wrong<E> {
    Box::new((section, kind))
}

#[derive(Debug)]
struct Reader<'f> {
    frame: &'f [u8],
    position: usize,
    /// The offset of the value that is being read, which an error names.
    start: usize,
    buffers: usize,
}

impl<'f> Reader<'f> {
    #[inline(always)]
    fn value<S: Sink>(&mut self, sink: &mut S) -> Result<Read<'f, S::Value>, Wrong<S::Error>> {
        self.start = self.position;
        let built = match self.byte()? {
            fixint @ 0..=marker::POSITIVE_FIXINT_LAST => sink.int(i64::from(fixint)),
            fixmap @ marker::FIXMAP..marker::FIXARRAY => {
                return Ok(Read::Container(Container::Dict, usize::from(fixmap & 0x0f), false));
            }
            fixarray @ marker::FIXARRAY..marker::FIXSTR => {
                return Ok(Read::Container(Container::List, usize::from(fixarray & 0x0f), false));
            }
            fixstr @ marker::FIXSTR..marker::NIL => return self.str(sink, usize::from(fixstr & 0x1f)),
            marker::NIL => sink.nil(),
            marker::FALSE => sink.bool(false),
            marker::TRUE => sink.bool(true),
            found @ marker::BIN8..=marker::BIN32 => {
                let count = self.length(found - marker::BIN8)?;
                sink.bytes(Data::Inline(self.take(count)?))
            }
            found @ marker::EXT8..=marker::EXT32 => {
                let count = self.length(found - marker::EXT8)?;
                return self.extension(sink, count);
            }
            marker::FIXEXT1 if self.frame.get(self.position) == Some(&ext::REFERENCE) => {
                self.position += 1;
                return Ok(Read::Reference(usize::from(self.byte()?)));
            }
            marker::FIXEXT1 if self.frame.get(self.position) == Some(&ext::TUPLE) => {
                self.position += 1;
                return Ok(Read::Container(Container::Tuple, usize::from(self.byte()?), false));
            }
            found @ marker::FIXEXT1..=marker::FIXEXT16 => {
                return self.extension(sink, 1 << (found - marker::FIXEXT1));
            }
            marker::FLOAT32 => sink.float(f64::from(f32::from_be_bytes(self.array()?))),
            marker::FLOAT64 => sink.float(f64::from_be_bytes(self.array()?)),
            marker::UINT8 => sink.int(i64::from(self.byte()?)),
            marker::UINT16 => sink.int(i64::from(u16::from_be_bytes(self.array()?))),
            marker::UINT32 => sink.int(i64::from(u32::from_be_bytes(self.array()?))),
            marker::UINT64 => sink.uint(u64::from_be_bytes(self.array()?)),
            marker::INT8 => sink.int(i64::from(i8::from_be_bytes(self.array()?))),
            marker::INT16 => sink.int(i64::from(i16::from_be_bytes(self.array()?))),
            marker::INT32 => sink.int(i64::from(i32::from_be_bytes(self.array()?))),
            marker::INT64 => sink.int(i64::from_be_bytes(self.array()?)),
            found @ marker::STR8..=marker::STR32 => {
                let count = self.length(found - marker::STR8)?;
                return self.str(sink, count);
            }
            found @ (marker::ARRAY16 | marker::ARRAY32) => {
                return Ok(Read::Container(
                    Container::List,
                    self.length(found - marker::ARRAY16 + 1)?,
                    false,
                ));
            }
            found @ (marker::MAP16 | marker::MAP32) => {
                return Ok(Read::Container(Container::Dict, self.length(found - marker::MAP16 + 1)?, false));
            }
            found @ marker::NEGATIVE_FIXINT.. => sink.int(i64::from(found as i8)),
            unknown => return Err(wrong(VALUES, Kind::UnknownMarker(unknown))),
        };
        built.map(Read::Value).map_err(|error| wrong(VALUES, Kind::Sink(error)))
    }

    /// Reads an extension after its length: its type, its payload, and what its type says follows.
    #[inline(never)]
    fn extension<S: Sink>(
        &mut self,
        sink: &mut S,
        count: usize,
    ) -> Result<Read<'f, S::Value>, Wrong<S::Error>> {
        let kind = self.byte()?;
        let payload = self.take(count)?;
        let built = match kind {
            ext::BIG_INT if count > 0 => {
                let built = sink.big_int(payload).map_err(|error| wrong(EXTENSIONS, Kind::Sink(error)))?;
                return Ok(Read::LongInt(built, count));
            }
            ext::SURROGATES => sink.surrogates(payload),
            ext::BYTEARRAY => sink.bytearray(Data::Inline(payload)),
            ext::BUFFER_BYTES => sink.bytes(self.out_of_band(payload)?),
            ext::BUFFER_BYTEARRAY => sink.bytearray(self.out_of_band(payload)?),
            ext::HANDLE => sink.handle(self.number(payload)?),
            ext::VIEW => {
                let header = view_header(payload).map_err(|error| {
                    wrong(
                        BUFFERS,
                        Kind::Metadata(format!("the header of this memoryview cannot be read: {error}")),
                    )
                })?;
                let data = self.view_data()?;
                if let Data::Inline(data) = data
                    && header.len() != Some(data.len() as u64)
                {
                    let text = format!("a memoryview of this shape cannot have {} bytes", data.len());
                    return Err(wrong(BUFFERS, Kind::Metadata(text)));
                }
                return Ok(Read::View(Box::new((header, data))));
            }
            ext::COMPLEX if count == 16 => {
                let mut halves = Reader { frame: payload, position: 0, start: 0, buffers: 0 };
                sink.complex(f64::from_be_bytes(halves.array()?), f64::from_be_bytes(halves.array()?))
            }
            ext::ELLIPSIS if count == 0 => sink.ellipsis(),
            ext::NOT_IMPLEMENTED if count == 0 => sink.not_implemented(),
            ext::BIG_INT | ext::COMPLEX | ext::ELLIPSIS | ext::NOT_IMPLEMENTED => {
                return Err(wrong(EXTENSIONS, Kind::ExtensionLength(kind, count)));
            }
            ext::REFERENCE => return Ok(Read::Reference(count_of(kind, payload)?)),
            ext::CYCLE => return Ok(Read::Container(Container::Tuple, count_of(kind, payload)?, true)),
            ext::TUPLE => return Ok(Read::Container(Container::Tuple, count_of(kind, payload)?, false)),
            ext::SET => return Ok(Read::Container(Container::Set, count_of(kind, payload)?, false)),
            ext::FROZENSET => {
                return Ok(Read::Container(Container::Frozenset, count_of(kind, payload)?, false));
            }
            ext::FILLED_FIRST..=ext::FILLED_LAST
            | ext::BUILT_FIRST..=ext::BUILT_LAST
            | ext::LIBRARY_FIRST..=ext::LIBRARY_LAST
            | ext::ADAPTED
            | ext::SLOT
            | ext::REMOTE
            | ext::STREAM => {
                return Ok(Read::Container(Container::Extension(kind), count_of(kind, payload)?, false));
            }
            _ => return Err(wrong(EXTENSIONS, Kind::UnknownExtension(kind as i8))),
        };
        built.map(Read::Value).map_err(|error| wrong(EXTENSIONS, Kind::Sink(error)))
    }

    /// Reads the value that must follow a memoryview's header: bytes, in the frame or out of band.
    fn view_data<E: std::error::Error + 'static>(&mut self) -> Result<Data<'f>, Wrong<E>> {
        match self.byte()? {
            found @ marker::BIN8..=marker::BIN32 => {
                let count = self.length(found - marker::BIN8)?;
                Ok(Data::Inline(self.take(count)?))
            }
            marker::FIXEXT4 if self.frame.get(self.position) == Some(&ext::BUFFER_BYTES) => {
                self.position += 1;
                let payload = self.take(4)?;
                self.out_of_band(payload)
            }
            found => Err(wrong(BUFFERS, Kind::UnknownMarker(found))),
        }
    }

    fn out_of_band<E: std::error::Error + 'static>(&mut self, payload: &[u8]) -> Result<Data<'f>, Wrong<E>> {
        self.number(payload).map(Data::OutOfBand)
    }

    /// Reads the number of what is beside the frame: always the next one.
    fn number<E: std::error::Error + 'static>(&mut self, payload: &[u8]) -> Result<usize, Wrong<E>> {
        let number: [u8; 4] = payload
            .try_into()
            .map_err(|_| wrong(BUFFERS, Kind::ExtensionLength(ext::BUFFER_BYTES, payload.len())))?;
        let (found, expected) = (u32::from_be_bytes(number) as usize, self.buffers);
        if found != expected {
            return Err(wrong(BUFFERS, Kind::BufferOrder { found, expected }));
        }
        self.buffers += 1;
        Ok(found)
    }

    #[inline]
    fn str<S: Sink>(&mut self, sink: &mut S, count: usize) -> Result<Read<'f, S::Value>, Wrong<S::Error>> {
        match sink.str(self.take(count)?) {
            Ok(Some(value)) => Ok(Read::Value(value)),
            Ok(None) => Err(wrong(VALUES, Kind::Utf8)),
            Err(error) => Err(wrong(VALUES, Kind::Sink(error))),
        }
    }

    #[inline]
    fn byte<E: std::error::Error + 'static>(&mut self) -> Result<u8, Wrong<E>> {
        let byte = *self.frame.get(self.position).ok_or_else(|| wrong(VALUES, Kind::Truncated))?;
        self.position += 1;
        Ok(byte)
    }

    #[inline]
    fn take<E: std::error::Error + 'static>(&mut self, count: usize) -> Result<&'f [u8], Wrong<E>> {
        let bytes = self.frame[self.position..].get(..count).ok_or_else(|| wrong(VALUES, Kind::Truncated))?;
        self.position += count;
        Ok(bytes)
    }

    #[inline]
    fn array<const N: usize, E: std::error::Error + 'static>(&mut self) -> Result<[u8; N], Wrong<E>> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// Reads a length of 1, 2 or 4 bytes; `size` is the binary logarithm of that.
    #[inline]
    fn length<E: std::error::Error + 'static>(&mut self, size: u8) -> Result<usize, Wrong<E>> {
        Ok(match size {
            0 => usize::from(self.byte()?),
            1 => usize::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?) as usize,
        })
    }
}

/// Reads the number of values that an extension announces: 1, 2 or 4 bytes.
fn count_of<E: std::error::Error + 'static>(kind: u8, payload: &[u8]) -> Result<usize, Wrong<E>> {
    match *payload {
        [a] => Ok(usize::from(a)),
        [a, b] => Ok(usize::from(u16::from_be_bytes([a, b]))),
        [a, b, c, d] => Ok(u32::from_be_bytes([a, b, c, d]) as usize),
        _ => Err(wrong(EXTENSIONS, Kind::ExtensionLength(kind, payload.len()))),
    }
}

fn view_header(mut payload: &[u8]) -> Result<ViewHeader, Malformed> {
    let mut fields = metadata::read(&mut payload)?;
    Ok(ViewHeader {
        readonly: fields.bool("whether it is read-only")?,
        itemsize: fields.uint("the size of an item")?,
        format: fields.str("the format")?,
        shape: fields.array("the shape", |all| all.uint("a length"))?,
    })
}
