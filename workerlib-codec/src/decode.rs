//! From bytes to a [`Sink`]: `docs/wire-format.md`, section 4.
//!
//! The contract with untrusted input: no bytes panic, overflow the stack, loop without end, or make the
//! sink allocate out of proportion to the length of the input. Two facts carry it. Every value takes at
//! least one byte, so the values that all open containers together still wait for can never outnumber the
//! bytes that are left; and every turn of the loop reads at least one byte.

use crate::marker::{self, Container, ext};
use crate::metadata::{self, Malformed};
use crate::{Data, DecodeError, DecodeErrorKind as Kind, Limits, Sink, ViewHeader};

const VALUES: &str = "4.1";
const CONTAINERS: &str = "4.2";
const EXTENSIONS: &str = "4.3";
const BUFFERS: &str = "4.4";

/// Reads the value that starts at `*position` in `frame`, and leaves `*position` behind it.
///
/// `buffers` counts the out-of-band buffers that were taken so far in this frame.
///
/// # Errors
///
/// If the bytes are not a value of this version, or the sink refuses it.
pub fn decode<S: Sink>(
    sink: &mut S,
    frame: &[u8],
    position: &mut usize,
    limits: &Limits,
    buffers: &mut usize,
) -> Result<S::Value, DecodeError<S::Error>> {
    let mut reader = Reader { frame, position: *position, start: *position, buffers: *buffers };
    let mut stack: Vec<Level<S::Build>> = Vec::new();
    // How many values are announced, by all open containers together, of which no byte is read yet.
    let mut unread = 1usize;
    let result = 'values: loop {
        unread -= 1;
        let mut value = match reader.value(sink) {
            Ok(Read::Value(value)) => value,
            Ok(Read::Container(kind, count)) => {
                let left = frame.len() - reader.position;
                let values = count.saturating_mul(kind.values_per_element());
                let announced = unread.saturating_add(values);
                if announced > left {
                    break Err((CONTAINERS, Kind::Overlong { announced, left }));
                }
                if stack.len() >= limits.depth {
                    break Err((CONTAINERS, Kind::TooDeep(limits.depth)));
                }
                match sink.begin(kind, count) {
                    Ok(build) => stack.push(Level { build, left: values }),
                    Err(error) => break Err((CONTAINERS, Kind::Sink(error))),
                }
                unread = announced;
                if values > 0 {
                    continue;
                }
                let Some(level) = stack.pop() else { continue };
                match sink.finish(level.build) {
                    Ok(value) => value,
                    Err(error) => break Err((CONTAINERS, Kind::Sink(error))),
                }
            }
            Err(error) => break Err(error),
        };
        // A finished value goes into the innermost open container, which it may finish in turn.
        loop {
            let Some(level) = stack.last_mut() else { break 'values Ok(value) };
            if let Err(error) = sink.push(&mut level.build, value) {
                break 'values Err((CONTAINERS, Kind::Sink(error)));
            }
            level.left -= 1;
            if level.left > 0 {
                break;
            }
            let Some(level) = stack.pop() else { break };
            match sink.finish(level.build) {
                Ok(finished) => value = finished,
                Err(error) => break 'values Err((CONTAINERS, Kind::Sink(error))),
            }
        }
    };
    *position = reader.position;
    *buffers = reader.buffers;
    result.map_err(|(section, kind)| DecodeError { offset: reader.start, section, kind })
}

/// One container whose elements are being read.
struct Level<B> {
    build: B,
    left: usize,
}

enum Read<V> {
    Value(V),
    Container(Container, usize),
}

type Wrong<E> = (&'static str, Kind<E>);

struct Reader<'f> {
    frame: &'f [u8],
    position: usize,
    /// Where the value that is being read starts: the offset that an error names.
    start: usize,
    buffers: usize,
}

impl<'f> Reader<'f> {
    #[inline]
    fn value<S: Sink>(&mut self, sink: &mut S) -> Result<Read<S::Value>, Wrong<S::Error>> {
        self.start = self.position;
        let built = match self.byte()? {
            fixint @ 0..=marker::POSITIVE_FIXINT_LAST => sink.int(i64::from(fixint)),
            fixmap @ marker::FIXMAP..marker::FIXARRAY => {
                return Ok(Read::Container(Container::Dict, usize::from(fixmap & 0x0f)));
            }
            fixarray @ marker::FIXARRAY..marker::FIXSTR => {
                return Ok(Read::Container(Container::List, usize::from(fixarray & 0x0f)));
            }
            fixstr @ marker::FIXSTR..marker::NIL => sink.str(self.str(usize::from(fixstr & 0x1f))?),
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
                sink.str(self.str(count)?)
            }
            found @ (marker::ARRAY16 | marker::ARRAY32) => {
                return Ok(Read::Container(Container::List, self.length(found - marker::ARRAY16 + 1)?));
            }
            found @ (marker::MAP16 | marker::MAP32) => {
                return Ok(Read::Container(Container::Dict, self.length(found - marker::MAP16 + 1)?));
            }
            found @ marker::NEGATIVE_FIXINT.. => sink.int(i64::from(found as i8)),
            unknown => return Err((VALUES, Kind::UnknownMarker(unknown))),
        };
        built.map(Read::Value).map_err(|error| (VALUES, Kind::Sink(error)))
    }

    /// Reads an extension after its length: its type, its payload, and what its type says follows.
    fn extension<S: Sink>(&mut self, sink: &mut S, count: usize) -> Result<Read<S::Value>, Wrong<S::Error>> {
        let kind = self.byte()?;
        let payload = self.take(count)?;
        let built = match kind {
            ext::BIG_INT if count > 0 => sink.big_int(payload),
            ext::SURROGATES => sink.surrogates(payload),
            ext::BYTEARRAY => sink.bytearray(Data::Inline(payload)),
            ext::BUFFER_BYTES => sink.bytes(self.out_of_band(payload)?),
            ext::BUFFER_BYTEARRAY => sink.bytearray(self.out_of_band(payload)?),
            ext::VIEW => {
                let header = view_header(payload).map_err(|error| {
                    (BUFFERS, Kind::Metadata(format!("no header of a memoryview: {error}")))
                })?;
                let data = self.view_data()?;
                if let Data::Inline(data) = data
                    && header.len() != Some(data.len() as u64)
                {
                    let text = format!("{} bytes for a memoryview of shape {:?}", data.len(), header.shape);
                    return Err((BUFFERS, Kind::Metadata(text)));
                }
                sink.view(header, data)
            }
            ext::TUPLE => return Ok(Read::Container(Container::Tuple, count_of(kind, payload)?)),
            _ if kind == ext::BIG_INT => return Err((EXTENSIONS, Kind::ExtensionLength(kind, count))),
            _ => return Err((EXTENSIONS, Kind::UnknownExtension(kind as i8))),
        };
        built.map(Read::Value).map_err(|error| (EXTENSIONS, Kind::Sink(error)))
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
            found => Err((BUFFERS, Kind::UnknownMarker(found))),
        }
    }

    fn out_of_band<E: std::error::Error + 'static>(&mut self, payload: &[u8]) -> Result<Data<'f>, Wrong<E>> {
        let number: [u8; 4] = payload
            .try_into()
            .map_err(|_| (BUFFERS, Kind::ExtensionLength(ext::BUFFER_BYTES, payload.len())))?;
        let (found, expected) = (u32::from_be_bytes(number) as usize, self.buffers);
        if found != expected {
            return Err((BUFFERS, Kind::BufferOrder { found, expected }));
        }
        self.buffers += 1;
        Ok(Data::OutOfBand(found))
    }

    #[inline]
    fn str<E: std::error::Error + 'static>(&mut self, count: usize) -> Result<&'f str, Wrong<E>> {
        std::str::from_utf8(self.take(count)?).map_err(|_| (VALUES, Kind::Utf8))
    }

    #[inline]
    fn byte<E: std::error::Error + 'static>(&mut self) -> Result<u8, Wrong<E>> {
        let byte = *self.frame.get(self.position).ok_or((VALUES, Kind::Truncated))?;
        self.position += 1;
        Ok(byte)
    }

    #[inline]
    fn take<E: std::error::Error + 'static>(&mut self, count: usize) -> Result<&'f [u8], Wrong<E>> {
        let bytes = self.frame[self.position..].get(..count).ok_or((VALUES, Kind::Truncated))?;
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
        _ => Err((EXTENSIONS, Kind::ExtensionLength(kind, payload.len()))),
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
