//! From a [`Source`] to bytes: `docs/wire-format.md`, section 4.
//!
//! The walk keeps its own stack, so that depth costs memory and never the thread's stack.

use crate::marker::{self, Container, SHALLOW, ext, most_hashed};
use crate::memo::{Memo, Nesting};
use crate::{Buffer, EncodeError, Item, Limits, Path, PlainWriter, Source, metadata};

/// Writes the values of one frame; what they share is written once.
#[derive(Debug)]
pub struct Encoder<'l> {
    limits: &'l Limits,
    memo: Memo,
    buffers: u32,
    deepest: usize,
    /// How many open containers are no plain list, tuple or dict. What is converted may go on for ever: an
    /// iterable whose elements are iterables of its own kind.
    foreign: usize,
    out: Vec<u8>,
    /// How many values Python visits to hash what was put where it is hashed.
    hashed: usize,
    /// How many bytes come into what is written later ([`PlainWriter::late_str`]).
    late: usize,
}

impl<'l> Encoder<'l> {
    /// Starts a frame's values, for which it makes room for `capacity` bytes.
    pub fn new(limits: &'l Limits, capacity: usize) -> Self {
        Self {
            limits,
            memo: Memo::default(),
            buffers: 0,
            deepest: 0,
            foreign: 0,
            hashed: 0,
            out: Vec::with_capacity(capacity),
            late: 0,
        }
    }

    /// How many levels of containers the deepest value had.
    pub fn deepest(&self) -> usize {
        self.deepest
    }

    /// Where in the frame's values the next one will stand.
    #[inline]
    fn position(&self) -> usize {
        self.out.len() + self.late
    }

    /// Ends the values: returns the sharing table, as it is written before them (section 4.5), and the
    /// values, into which the source puts what was left out by [`PlainWriter::late_str`].
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
        loop {
            match self.write(source, node, identity, is_converted, &mut stack) {
                Ok(None) => {}
                Ok(Some(other)) => {
                    // What it is sent as stands for it: the same identity, and nobody else refers to it.
                    let path = path(source, &stack);
                    source.converted(node, path);
                    node = other;
                    is_converted = true;
                    continue;
                }
                Err(refusal) => return Err(refused(source, &stack, *refusal)),
            }
            is_converted = false;
            loop {
                let Some(level) = stack.last_mut() else { return Ok(()) };
                if level.left == level.open_at {
                    self.open_shared(level.shared.as_mut(), level.nesting.hashable);
                }
                // What opens it is written by itself.
                if level.left <= level.open_at {
                    let mut writer =
                        PlainWriter { out: &mut self.out, memo: &mut self.memo, late: &mut self.late };
                    level.left -= source.plain(&mut level.walk, level.left, &mut writer);
                }
                if level.left > 0 {
                    if let Some(next) = source.next(&mut level.walk) {
                        level.left -= 1;
                        node = next;
                        // What stands in a container that is shared, and not known yet, may be met again by way of
                        // it, though nothing else refers to it.
                        let is_known = level.shared.is_none_or(|shared| shared.is_open);
                        let owners = if is_known { S::owners(&level.walk) } else { 0 };
                        identity = S::identity(node, owners);
                        break;
                    }
                } else if source.leave(&level.walk) {
                    let (shared, mut nesting) = (level.shared, level.nesting);
                    self.foreign -= usize::from(level.is_foreign);
                    stack.truncate(stack.len() - 1);
                    if let Some(shared) = shared {
                        nesting = self.finish_shared(shared, nesting);
                    }
                    match self.hold::<S>(&mut stack, nesting) {
                        Ok(()) => continue,
                        Err(refusal) => return Err(refused(source, &stack, *refusal)),
                    }
                }
                stack.truncate(stack.len() - 1);
                return Err(EncodeError::Changed { path: path(source, &stack) });
            }
        }
    }

    /// Writes a scalar, or the header of a container that it puts on the stack; returns what the node is to be
    /// converted to before it is written, if it is.
    #[inline]
    fn write<S: Source>(
        &mut self,
        source: &mut S,
        node: S::Node,
        identity: Option<usize>,
        is_converted: bool,
        stack: &mut Vec<Level<S::Walk>>,
    ) -> Result<Option<S::Node>, Box<Refusal<S::Error>>> {
        if let Some((number, nesting)) = identity.and_then(|identity| self.memo.refer(identity)) {
            write_count(&mut self.out, ext::REFERENCE, number);
            return self.hold::<S>(stack, nesting).map(|()| None);
        }
        match source.enter(node) {
            Some(entered) => self.open(source, node, identity, is_converted, entered, stack).map(|()| None),
            None => self.write_seldom(source, node, identity, is_converted, stack),
        }
    }

    /// Does the same for a node of any kind that is not known.
    #[inline(never)]
    fn write_seldom<S: Source>(
        &mut self,
        source: &mut S,
        node: S::Node,
        identity: Option<usize>,
        is_converted: bool,
        stack: &mut Vec<Level<S::Walk>>,
    ) -> Result<Option<S::Node>, Box<Refusal<S::Error>>> {
        let start = self.position();
        let out = &mut self.out;
        let mut nesting = Nesting::FLAT;
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
                nesting.hashable = !S::HASHES || kind != Buffer::Bytearray;
                let detached = data.len() >= self.limits.out_of_band;
                write_buffer(out, &kind, data, detached.then_some(self.buffers))?;
                if detached {
                    source.keep_out_of_band(node).map_err(Refusal::Source)?;
                    self.buffers += 1;
                }
            }
            Item::Handle => {
                write_ext(out, ext::HANDLE, &self.buffers.to_be_bytes())?;
                source.keep_out_of_band(node).map_err(Refusal::Source)?;
                self.buffers += 1;
            }
            Item::Container(kind, count, walk) => {
                let entered = (kind, count, walk);
                self.open(source, node, identity, is_converted, entered, stack)?;
                return Ok(None);
            }
            Item::Converted(other) => return Ok(Some(other)),
        }
        if let Some(identity) = identity {
            source.remember(node);
            self.memo.insert(identity, start, nesting);
        }
        if nesting.hashable { Ok(None) } else { self.hold::<S>(stack, nesting).map(|()| None) }
    }

    /// Writes the header of a container, and puts it on the stack.
    // Inlined, so that the level is written where it will be, and nowhere before.
    #[inline(always)]
    fn open<S: Source>(
        &mut self,
        source: &mut S,
        node: S::Node,
        identity: Option<usize>,
        is_converted: bool,
        (kind, count, walk): (Container, usize, S::Walk),
        stack: &mut Vec<Level<S::Walk>>,
    ) -> Result<(), Box<Refusal<S::Error>>> {
        let is_foreign = is_converted || !kind.nests(false);
        self.foreign += usize::from(is_foreign);
        if stack.len() >= self.limits.depth {
            return Err(Box::new(Refusal::TooDeep(self.limits.depth)));
        }
        // The outermost is none of the levels in it.
        if self.foreign > SHALLOW + 1 {
            return Err(Box::new(Refusal::TooDeep(SHALLOW)));
        }
        let (start, type_at) = (self.position(), self.out.len() + 1);
        write_header(&mut self.out, kind, count)?;
        let left = count * kind.values_per_element();
        let nesting = Nesting {
            levels: 1,
            hashable: !S::HASHES || kind.is_hashable(),
            hashing: saturated(kind.hashing(left)),
        };
        let mut shared = None;
        if let Some(identity) = identity {
            source.remember(node);
            shared = Some(Shared { identity, start, type_at, is_open: false });
            if kind.exists_after() == Some(0) {
                self.open_shared(shared.as_mut(), nesting.hashable);
            }
        }
        let open_at = kind.exists_after().map_or(usize::MAX, |values| left.saturating_sub(values));
        stack.push(Level { kind, walk, left, shared, open_at, is_foreign, nesting });
        self.deepest = self.deepest.max(stack.len());
        Ok(())
    }

    /// Notes a container that can be referred to from now on, though its content is not complete.
    fn open_shared(&mut self, shared: Option<&mut Shared>, hashable: bool) {
        // Known is one that stood in its own first value, where a copy of it was written: the copy is it.
        if let Some(shared) = shared
            && !shared.is_open
            && !self.memo.is_known(shared.identity)
        {
            self.memo.insert(shared.identity, shared.start, Nesting { levels: 0, hashable, hashing: 0 });
            shared.is_open = true;
        }
    }

    /// Notes a container whose content is complete, and returns what there is in what it is now.
    fn finish_shared(&mut self, shared: Shared, nesting: Nesting) -> Nesting {
        let Shared { identity, start, type_at, is_open } = shared;
        if is_open {
            self.memo.complete(identity, nesting);
            return nesting;
        }
        match self.memo.refer(identity) {
            None => {
                self.memo.insert(identity, start, nesting);
                nesting
            }
            // Its content holds it, and was written, with a copy of it, in the meantime. The copy is it.
            Some((number, of_copy)) => {
                self.out[type_at] = ext::CYCLE;
                write_count(&mut self.out, ext::REFERENCE, number);
                of_copy
            }
        }
    }

    /// Counts what was put into the innermost container last, and refuses what cannot stand there: section 6.
    #[inline]
    fn hold<S: Source>(
        &mut self,
        stack: &mut [Level<S::Walk>],
        held: Nesting,
    ) -> Result<(), Box<Refusal<S::Error>>> {
        let Some(outer) = stack.last_mut() else { return Ok(()) };
        // An element of a dict has two values: the one before the last of them is its key.
        let is_key = outer.left % 2 == 1;
        if usize::from(held.levels) > SHALLOW && !outer.kind.nests(is_key) {
            return Err(Box::new(Refusal::TooDeep(SHALLOW)));
        }
        outer.nesting.levels = outer.nesting.levels.max(held.levels.saturating_add(1));
        if held.hashing > 0 && outer.kind.hashes(is_key) {
            self.hashed = self.hashed.saturating_add(held.hashing as usize);
            if self.hashed > most_hashed(self.out.len()) {
                return Err(Box::new(Refusal::Hashing));
            }
        }
        let hashing = outer.kind.hashing_of_content(held.hashing as usize);
        outer.nesting.hashing = outer.nesting.hashing.saturating_add(saturated(hashing));
        if !held.hashable {
            if outer.kind.hashes(is_key) {
                return Err(Box::new(Refusal::Unhashable));
            }
            // Another container's class has a hash of its own, which may not ask for its content's.
            outer.nesting.hashable &= outer.kind != Container::Tuple;
        }
        Ok(())
    }
}

/// One container whose elements are being written.
struct Level<W> {
    kind: Container,
    walk: W,
    /// How many values its header has promised that are not written yet.
    left: usize,
    shared: Option<Shared>,
    /// With how many values left it can be referred to.
    open_at: usize,
    /// Whether it is no plain list, tuple or dict.
    is_foreign: bool,
    /// What there is in it so far.
    nesting: Nesting,
}

/// A container that something may refer to.
#[derive(Clone, Copy)]
struct Shared {
    identity: usize,
    start: usize,
    /// Where its extension type stands in what is written.
    type_at: usize,
    /// Whether it can be referred to already, though its content is not complete.
    is_open: bool,
}

/// As many as can be said, which is more than can be allowed.
fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

pub(crate) enum Refusal<E> {
    Source(E),
    TooLong,
    TooDeep(usize),
    Unhashable,
    Hashing,
}

#[cold]
fn refused<S: Source>(
    source: &mut S,
    stack: &[Level<S::Walk>],
    refusal: Refusal<S::Error>,
) -> EncodeError<S::Error> {
    let path = path(source, stack);
    match refusal {
        Refusal::Source(error) => EncodeError::Source { path, error },
        Refusal::TooLong => EncodeError::TooLong { path },
        Refusal::TooDeep(limit) => EncodeError::TooDeep { path, limit },
        Refusal::Unhashable => EncodeError::Unhashable { path },
        Refusal::Hashing => EncodeError::Hashing { path },
    }
}

fn path<S: Source>(source: &mut S, stack: &[Level<S::Walk>]) -> Path {
    Path::through(stack.len(), |level| source.step(&stack[level].walk))
}

#[inline]
pub(crate) fn write_int(out: &mut Vec<u8>, value: i64) {
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
pub(crate) fn write_float(out: &mut Vec<u8>, value: f64) {
    put(out, marker::FLOAT64, value.to_be_bytes());
}

#[inline]
pub(crate) fn write_str<E>(out: &mut Vec<u8>, value: &str) -> Result<(), Box<Refusal<E>>> {
    write_str_header(out, value.len())?;
    write_text(out, value.as_bytes());
    Ok(())
}

#[inline]
pub(crate) fn write_str_header<E>(out: &mut Vec<u8>, len: usize) -> Result<(), Box<Refusal<E>>> {
    match length(len)? {
        count @ 0..=31 => out.push(marker::FIXSTR | count as u8),
        count => write_length(out, count, [marker::STR8, marker::STR16, marker::STR32]),
    }
    Ok(())
}

/// Appends bytes of which there mostly are few.
#[inline]
fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    // Up to here a copy of known length costs less than a call of `memcpy`, which is in another module.
    const SHORT: usize = 16;
    let len = bytes.len();
    let mut block = [0; SHORT];
    match len {
        8..=SHORT => {
            block[..8].copy_from_slice(&bytes[..8]);
            block[len - 8..len].copy_from_slice(&bytes[len - 8..]);
        }
        4..8 => {
            block[..4].copy_from_slice(&bytes[..4]);
            block[len - 4..len].copy_from_slice(&bytes[len - 4..]);
        }
        0..4 => {
            for (to, from) in block.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
        _ => return out.extend_from_slice(bytes),
    }
    let end = out.len() + len;
    out.extend_from_slice(&block);
    out.truncate(end);
}

fn write_bin<E>(out: &mut Vec<u8>, data: &[u8]) -> Result<(), Box<Refusal<E>>> {
    write_length(out, length(data.len())?, [marker::BIN8, marker::BIN16, marker::BIN32]);
    out.extend_from_slice(data);
    Ok(())
}

fn write_ext<E>(out: &mut Vec<u8>, kind: u8, payload: &[u8]) -> Result<(), Box<Refusal<E>>> {
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
) -> Result<(), Box<Refusal<E>>> {
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
fn write_header<E>(out: &mut Vec<u8>, kind: Container, count: usize) -> Result<(), Box<Refusal<E>>> {
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
pub(crate) fn write_count(out: &mut Vec<u8>, kind: u8, count: u32) {
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

fn length<E>(count: usize) -> Result<u32, Box<Refusal<E>>> {
    u32::try_from(count).map_err(|_| Box::new(Refusal::TooLong))
}

/// Appends a marker and its bytes in one go, so that the vector checks its capacity once.
#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    let mut whole = [0; 9];
    whole[0] = marker;
    whole[1..=N].copy_from_slice(&bytes);
    out.extend_from_slice(&whole[..=N]);
}
