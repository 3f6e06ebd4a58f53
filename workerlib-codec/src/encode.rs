//! From a [`Source`] to bytes: `docs/wire-format.md`, section 4.
//!
//! The walk keeps its own stack, so that depth costs memory and never the thread's stack.

use crate::marker::{self, Container, SHALLOW, ext};
use crate::memo::Memo;
use crate::{Buffer, EncodeError, Item, Limits, Path, Peek, Source, metadata};

/// Writes the values of one frame; what they share is written once.
#[derive(Debug)]
pub struct Encoder<'l> {
    limits: &'l Limits,
    memo: Memo,
    buffers: u32,
    deepest: usize,
    out: Vec<u8>,
}

impl<'l> Encoder<'l> {
    /// Starts a frame's values.
    pub fn new(limits: &'l Limits) -> Self {
        Self { limits, memo: Memo::default(), buffers: 0, deepest: 0, out: Vec::with_capacity(64) }
    }

    /// How many levels of containers the deepest value had.
    pub fn deepest(&self) -> usize {
        self.deepest
    }

    /// Ends the values: returns the sharing table, as it is written before them (section 4.5), and the
    /// values.
    pub fn finish(self) -> (Vec<u8>, Vec<u8>) {
        let mut table = Vec::new();
        metadata::write(&mut table, &self.memo.into_shared());
        (table, self.out)
    }

    /// Writes a value.
    ///
    /// # Errors
    ///
    /// If the source refuses a value, changes under the walk, or a limit is passed; the values then end in
    /// the middle of one and are of no use.
    pub fn encode<S: Source>(&mut self, source: &mut S, root: S::Node) -> Result<(), EncodeError<S::Error>> {
        let mut stack: Vec<Level<S::Walk>> = Vec::new();
        let mut node = root;
        let mut identity = S::identity(node, 0);
        let mut is_converted = false;
        // How many open levels are no plain list, tuple or dict. What is converted may go on for ever: an
        // iterable whose elements are iterables of its own kind.
        let mut foreign = 0usize;
        loop {
            match self.write(source, node, identity, &mut stack) {
                Ok(Written::Scalar) => {}
                Ok(Written::Reference(height)) => {
                    if let Some(level) = stack.last_mut() {
                        level.take_in(height)?;
                    }
                }
                Ok(Written::Container) => {
                    let levels = stack.len();
                    self.deepest = self.deepest.max(levels);
                    if let Some(level) = stack.last_mut()
                        && (is_converted || !level.kind.nests(false))
                    {
                        level.is_foreign = true;
                        foreign += 1;
                    }
                    if levels > self.limits.depth {
                        return Err(EncodeError::TooDeep { limit: self.limits.depth });
                    }
                    if foreign > SHALLOW {
                        return Err(EncodeError::TooDeep { limit: SHALLOW });
                    }
                }
                Ok(Written::Converted(other)) => {
                    // What it is sent as stands for it: the same identity, and nobody else refers to it.
                    source.converted(node, path(source, &stack));
                    node = other;
                    is_converted = true;
                    continue;
                }
                Err(refusal) => {
                    let path = path(source, &stack);
                    return Err(match refusal {
                        Refusal::Source(error) => EncodeError::Source { path, error },
                        Refusal::TooLong => EncodeError::TooLong { path },
                    });
                }
            }
            is_converted = false;
            loop {
                let Some(level) = stack.last_mut() else { return Ok(()) };
                if level.left == level.open_at {
                    self.open_shared(&mut level.shared);
                }
                self.write_scalars(source, level);
                if level.left == 0 {
                    let (shared, height) = (level.shared.take(), level.height);
                    foreign -= usize::from(level.is_foreign);
                    if let Some(identity) = level.identity {
                        self.memo.set_height(identity, height);
                    }
                    stack.pop();
                    self.finish_shared(shared, height);
                    if let Some(outer) = stack.last_mut() {
                        outer.take_in(height)?;
                    }
                    continue;
                }
                match source.next(&mut level.walk) {
                    Ok(Some(next)) => {
                        level.left -= 1;
                        node = next;
                        identity = S::identity(node, level.owners);
                        break;
                    }
                    // What has grown meanwhile is sent as it was when its header was written.
                    Ok(None) => {
                        stack.pop();
                        return Err(EncodeError::Changed { path: path(source, &stack) });
                    }
                    Err(error) => {
                        stack.pop();
                        return Err(EncodeError::Source { path: path(source, &stack), error });
                    }
                }
            }
        }
    }

    /// Writes the next elements of a container as long as they are easily told: most of what is sent is so.
    ///
    /// Leaves everything that needs more care to `write`, which does all this too, only slower.
    #[inline(always)]
    fn write_scalars<S: Source>(&mut self, source: &mut S, level: &mut Level<S::Walk>) {
        let out = &mut self.out;
        // The value after which a container can be referred to is for the caller to see.
        while level.left > 0 && level.left != level.open_at {
            match source.peek(&mut level.walk) {
                Some(Peek::Int(value)) => write_int(out, value),
                Some(Peek::Float(value)) => write_float(out, value),
                Some(Peek::Nil) => out.push(marker::NIL),
                Some(Peek::Bool(value)) => out.push(if value { marker::TRUE } else { marker::FALSE }),
                Some(Peek::Str(value)) if value.len() < 32 => {
                    out.push(marker::FIXSTR | value.len() as u8);
                    out.extend_from_slice(value.as_bytes());
                }
                Some(Peek::Shared(identity)) => match self.memo.refer_to_scalar(identity) {
                    Some(number) => write_count(out, ext::REFERENCE, number),
                    None => return,
                },
                Some(Peek::Str(_)) | None => return,
            }
            source.skip(&mut level.walk);
            level.left -= 1;
        }
    }

    /// Writes a scalar, or the header of a container whose level it returns.
    #[inline]
    fn write<S: Source>(
        &mut self,
        source: &mut S,
        node: S::Node,
        identity: Option<usize>,
        stack: &mut Vec<Level<S::Walk>>,
    ) -> Result<Written<S>, Refusal<S::Error>> {
        let out = &mut self.out;
        if let Some((number, height)) = identity.and_then(|identity| self.memo.refer(identity)) {
            write_count(out, ext::REFERENCE, number);
            return Ok(if height == 0 { Written::Scalar } else { Written::Reference(height) });
        }
        let start = out.len();
        match source.look(node).map_err(Refusal::Source)? {
            Item::Nil => out.push(marker::NIL),
            Item::Bool(value) => out.push(if value { marker::TRUE } else { marker::FALSE }),
            Item::Int(value) => write_int(out, value),
            Item::Uint(value) => write_uint(out, value),
            Item::BigInt(bytes) => write_ext(out, ext::BIG_INT, bytes)?,
            Item::Float(value) => write_float(out, value),
            Item::Complex(real, imaginary) => {
                let (real, imaginary) = (real.to_be_bytes(), imaginary.to_be_bytes());
                write_ext(out, ext::COMPLEX, &[real, imaginary].concat())?;
            }
            Item::Ellipsis => write_ext(out, ext::ELLIPSIS, &[])?,
            Item::NotImplemented => write_ext(out, ext::NOT_IMPLEMENTED, &[])?,
            Item::Str(value) => write_str(out, value)?,
            Item::Surrogates(bytes) => write_ext(out, ext::SURROGATES, bytes)?,
            Item::Buffer(kind, data) => {
                let detached = data.len() >= self.limits.out_of_band;
                write_buffer(out, &kind, data, detached.then_some(self.buffers))?;
                if detached {
                    source.keep_out_of_band(node).map_err(Refusal::Source)?;
                    self.buffers += 1;
                }
            }
            Item::Container(kind, count, walk) => {
                let type_at = start + 1;
                write_header(out, kind, count)?;
                let left = count * kind.values_per_element();
                let (mut shared, mut open_at) = (None, usize::MAX);
                if let Some(identity) = identity {
                    match kind.exists_after() {
                        Some(0) => self.memo.insert(identity, start),
                        after => {
                            shared = Some(Shared { identity, start, type_at });
                            open_at = after.map_or(usize::MAX, |values| left.saturating_sub(values));
                        }
                    }
                }
                let owners = S::owners(&walk);
                let (height, is_foreign) = (1, false);
                stack.push(Level { kind, walk, left, owners, identity, shared, open_at, is_foreign, height });
                if identity.is_some() {
                    source.remember(node);
                }
                return Ok(Written::Container);
            }
            Item::Converted(other) => return Ok(Written::Converted(other)),
        }
        if let Some(identity) = identity {
            source.remember(node);
            self.memo.insert(identity, start);
        }
        Ok(Written::Scalar)
    }

    /// Notes a container that can be referred to from now on, though its content is not complete.
    fn open_shared(&mut self, shared: &mut Option<Shared>) {
        // Known is one that stood in its own first value, where a copy of it was written: the copy is it.
        if let Some(Shared { identity, start, .. }) = *shared
            && !self.memo.is_known(identity)
        {
            self.memo.insert(identity, start);
            *shared = None;
        }
    }

    /// Notes a container that can be referred to only now that its content is complete.
    fn finish_shared(&mut self, shared: Option<Shared>, height: usize) {
        let Some(Shared { identity, start, type_at }) = shared else { return };
        match self.memo.refer(identity) {
            None => {
                self.memo.insert(identity, start);
                self.memo.set_height(identity, height);
            }
            // Its content holds it, and was written, with a copy of it, in the meantime. The copy is it.
            Some((number, _)) => {
                self.out[type_at] = ext::CYCLE;
                write_count(&mut self.out, ext::REFERENCE, number);
            }
        }
    }
}

enum Written<S: Source> {
    Scalar,
    /// A reference to a container of so many levels.
    Reference(usize),
    /// A container whose level is on the stack now.
    Container,
    Converted(S::Node),
}

/// One container whose elements are being written.
struct Level<W> {
    kind: Container,
    walk: W,
    /// How many values its header has promised that are not written yet.
    left: usize,
    owners: usize,
    identity: Option<usize>,
    shared: Option<Shared>,
    /// With how many values left it can be referred to.
    open_at: usize,
    /// Whether it is no plain list, tuple or dict.
    is_foreign: bool,
    /// How many levels of containers it has so far, itself included.
    height: usize,
}

impl<W> Level<W> {
    /// Notes that a container of so many levels stands in this one.
    fn take_in<E>(&mut self, height: usize) -> Result<(), EncodeError<E>> {
        if height > SHALLOW && !self.kind.nests(self.left % 2 == 1) {
            return Err(EncodeError::TooDeep { limit: SHALLOW });
        }
        self.height = self.height.max(height + 1);
        Ok(())
    }
}

/// A container that something may refer to, but not yet.
#[derive(Clone, Copy)]
struct Shared {
    identity: usize,
    start: usize,
    /// Where its extension type stands.
    type_at: usize,
}

enum Refusal<E> {
    Source(E),
    TooLong,
}

fn path<S: Source>(source: &S, stack: &[Level<S::Walk>]) -> Path {
    Path { steps: stack.iter().map(|level| source.step(&level.walk)).collect() }
}

#[inline]
fn write_int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => write_uint(out, value.unsigned_abs()),
        -32..0 => out.push(value as u8),
        _ => {
            if let Ok(value) = i8::try_from(value) {
                put(out, marker::INT8, value.to_be_bytes());
            } else if let Ok(value) = i16::try_from(value) {
                put(out, marker::INT16, value.to_be_bytes());
            } else if let Ok(value) = i32::try_from(value) {
                put(out, marker::INT32, value.to_be_bytes());
            } else {
                put(out, marker::INT64, value.to_be_bytes());
            }
        }
    }
}

#[inline]
fn write_uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[marker::UINT8, value as u8]),
        0x100..=0xffff => put(out, marker::UINT16, (value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => put(out, marker::UINT32, (value as u32).to_be_bytes()),
        _ => put(out, marker::UINT64, value.to_be_bytes()),
    }
}

#[inline]
fn write_float(out: &mut Vec<u8>, value: f64) {
    put(out, marker::FLOAT64, value.to_be_bytes());
}

#[inline]
fn write_str<E>(out: &mut Vec<u8>, value: &str) -> Result<(), Refusal<E>> {
    match length(value.len())? {
        count @ 0..=31 => out.push(marker::FIXSTR | count as u8),
        count => write_length(out, count, [marker::STR8, marker::STR16, marker::STR32]),
    }
    out.extend_from_slice(value.as_bytes());
    Ok(())
}

fn write_bin<E>(out: &mut Vec<u8>, data: &[u8]) -> Result<(), Refusal<E>> {
    write_length(out, length(data.len())?, [marker::BIN8, marker::BIN16, marker::BIN32]);
    out.extend_from_slice(data);
    Ok(())
}

fn write_ext<E>(out: &mut Vec<u8>, kind: u8, payload: &[u8]) -> Result<(), Refusal<E>> {
    match length(payload.len())? {
        1 => out.push(marker::FIXEXT1),
        2 => out.push(marker::FIXEXT2),
        4 => out.push(marker::FIXEXT4),
        8 => out.push(marker::FIXEXT8),
        16 => out.push(marker::FIXEXT16),
        count => write_length(out, count, [marker::EXT8, marker::EXT16, marker::EXT32]),
    }
    out.push(kind);
    out.extend_from_slice(payload);
    Ok(())
}

fn write_buffer<E>(
    out: &mut Vec<u8>,
    kind: &Buffer,
    data: &[u8],
    number: Option<u32>,
) -> Result<(), Refusal<E>> {
    if let Buffer::View(header) = kind {
        let mut payload = Vec::new();
        metadata::write(&mut payload, header);
        write_ext(out, ext::VIEW, &payload)?;
    }
    match (kind, number) {
        (Buffer::Bytearray, None) => write_ext(out, ext::BYTEARRAY, data),
        (Buffer::Bytearray, Some(number)) => write_ext(out, ext::BUFFER_BYTEARRAY, &number.to_be_bytes()),
        (Buffer::Bytes | Buffer::View(_), None) => write_bin(out, data),
        (Buffer::Bytes | Buffer::View(_), Some(number)) => {
            write_ext(out, ext::BUFFER_BYTES, &number.to_be_bytes())
        }
    }
}

#[inline]
fn write_header<E>(out: &mut Vec<u8>, kind: Container, count: usize) -> Result<(), Refusal<E>> {
    let count = length(count)?;
    match kind {
        Container::List if count < 16 => out.push(marker::FIXARRAY | count as u8),
        Container::List => write_long_length(out, count, [marker::ARRAY16, marker::ARRAY32]),
        Container::Dict if count < 16 => out.push(marker::FIXMAP | count as u8),
        Container::Dict => write_long_length(out, count, [marker::MAP16, marker::MAP32]),
        Container::Tuple => write_count(out, ext::TUPLE, count),
        Container::Set => write_count(out, ext::SET, count),
        Container::Frozenset => write_count(out, ext::FROZENSET, count),
        Container::Extension(kind) => write_count(out, kind, count),
    }
    Ok(())
}

/// Writes an extension whose payload is the number of the values that follow: section 4.3.
fn write_count(out: &mut Vec<u8>, kind: u8, count: u32) {
    match count {
        0..=0xff => out.extend_from_slice(&[marker::FIXEXT1, kind, count as u8]),
        0x100..=0xffff => {
            out.extend_from_slice(&[marker::FIXEXT2, kind]);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[marker::FIXEXT4, kind]);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

fn write_length(out: &mut Vec<u8>, count: u32, [short, medium, long]: [u8; 3]) {
    match u8::try_from(count) {
        Ok(count) => out.extend_from_slice(&[short, count]),
        Err(_) => write_long_length(out, count, [medium, long]),
    }
}

fn write_long_length(out: &mut Vec<u8>, count: u32, [medium, long]: [u8; 2]) {
    match u16::try_from(count) {
        Ok(count) => put(out, medium, count.to_be_bytes()),
        Err(_) => put(out, long, count.to_be_bytes()),
    }
}

fn length<E>(count: usize) -> Result<u32, Refusal<E>> {
    u32::try_from(count).map_err(|_| Refusal::TooLong)
}

/// Appends a marker and its bytes in one go, so that the vector checks its capacity once.
#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    let mut whole = [0; 9];
    whole[0] = marker;
    whole[1..=N].copy_from_slice(&bytes);
    out.extend_from_slice(&whole[..=N]);
}
