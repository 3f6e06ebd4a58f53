//! From a [`Source`] to bytes: the wire format, section 4.
//!
//! The walk keeps its own stack, so that depth costs memory and never the thread's stack.

use crate::buffer::Buffer;
use crate::cost::{Excess, Hashed, Nesting, SHALLOW};
use crate::error::EncodeError;
use crate::limits::Limits;
use crate::marker::{self, Container, ext};
use crate::memo::Memo;
use crate::path::Path;
use crate::plain::PlainWriter;
use crate::source::{Item, Source};
use crate::write::{
    TooLong, write_buffer, write_count, write_ext, write_float, write_header, write_int, write_positions,
    write_str, write_uint,
};

/// Writes the values of one frame; what they share is written once.
#[derive(Debug)]
pub struct Encoder {
    limits: Limits,
    memo: Memo,
    buffers: u32,
    deepest: usize,
    /// The number of open containers that are no plain list, tuple or dict. A conversion may go on for ever: an
    /// iterable may have elements that are iterables of its own kind.
    foreign: usize,
    out: Vec<u8>,
    hashed: Hashed,
    /// The number of bytes that are added to what is written later ([`PlainWriter::late_str`]).
    late: usize,
}

/// A moment of an [`Encoder`]: what it had written then.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    written: usize,
    late: usize,
    shared: usize,
}

impl Encoder {
    /// Starts a frame's values, for which it makes room for `capacity` bytes.
    pub fn new(limits: &Limits, capacity: usize) -> Self {
        Self {
            limits: *limits,
            memo: Memo::default(),
            buffers: 0,
            deepest: 0,
            foreign: 0,
            hashed: Hashed::default(),
            out: Vec::with_capacity(capacity),
            late: 0,
        }
    }

    /// The number of levels of containers that the deepest value had.
    pub fn deepest(&self) -> usize {
        self.deepest
    }

    /// The number of bytes that the values have so far, which is the place of the next one.
    #[inline]
    pub fn position(&self) -> usize {
        self.out.len() + self.late
    }

    /// Ends the values: returns the sharing table, as it is written before them (section 4.5), and the
    /// values, into which the source puts what was left out by [`PlainWriter::late_str`].
    pub fn finish(self) -> (Vec<u8>, Vec<u8>) {
        let mut table = Vec::new();
        write_positions(&mut table, &self.memo.into_shared(), 0);
        (table, self.out)
    }

    // For a list whose elements come one after the other, and may be changed by then: a run of a stream's items.

    /// Ends values that are the elements of a list: returns the sharing table with the header of the list, and the elements,
    /// as [`Encoder::finish`] does.
    pub fn finish_list(self, count: usize) -> (Vec<u8>, Vec<u8>) {
        let mut header = Vec::new();
        // A frame has no more elements than bytes, and is refused beyond 4 GiB.
        let written = write_header(&mut header, Container::List, count);
        debug_assert!(written.is_ok(), "{written:?}");
        let mut table = Vec::new();
        write_positions(&mut table, &self.memo.into_shared(), header.len());
        table.append(&mut header);
        (table, self.out)
    }

    /// Tells how much there is, for [`Encoder::take_back`].
    pub fn mark(&self) -> Mark {
        Mark { written: self.out.len(), late: self.late, shared: self.memo.shared() }
    }

    /// Drops what was written since `mark`, such as the beginning of a value that cannot be encoded. Nothing can be written
    /// behind it.
    pub fn take_back(&mut self, mark: Mark) {
        self.out.truncate(mark.written);
        self.late = mark.late;
        self.memo.take_back(mark.shared);
    }

    /// Has no later value refer to the one with that identity, which may change or end.
    pub fn forget(&mut self, identity: usize) {
        self.memo.forget(identity);
    }

    /// Gives a writer for a value that is plain, and that nothing refers to.
    pub fn plain(&mut self) -> PlainWriter<'_> {
        PlainWriter { out: &mut self.out, memo: &mut self.memo, late: &mut self.late }
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
                    // The other node stands for it: it has the same identity, and nobody else refers to it.
                    source.converted(node, |source| path(source, &stack));
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
                    self.open_shared(level.shared.as_mut(), level.nesting.hashable());
                }
                // The values that open it are written by themselves.
                if level.left <= level.open_at {
                    let mut writer =
                        PlainWriter { out: &mut self.out, memo: &mut self.memo, late: &mut self.late };
                    level.left -= source.plain(&mut level.walk, level.left, &mut writer);
                }
                if level.left > 0 {
                    if let Some(next) = source.next(&mut level.walk) {
                        level.left -= 1;
                        node = next;
                        // A value in a container that is shared, and not known yet, may be met again by way of
                        // that container, though nothing else refers to the value.
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

    /// Writes a node that `Source::enter` does not open, of any kind.
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
            Item::BigInt(bytes) => {
                nesting = Nesting::of_int(bytes.len());
                write_ext(out, ext::BIG_INT, bytes)?;
            }
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
                if S::HASHES && kind == Buffer::Bytearray {
                    nesting = Nesting::UNHASHABLE;
                }
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
        if nesting == Nesting::FLAT { Ok(None) } else { self.hold::<S>(stack, nesting).map(|()| None) }
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
        // The outermost container does not count as a level in itself.
        if self.foreign > SHALLOW + 1 {
            return Err(Box::new(Refusal::TooDeep(SHALLOW)));
        }
        let (start, type_at) = (self.position(), self.out.len() + 1);
        write_header(&mut self.out, kind, count)?;
        let left = count * kind.values_per_element();
        let nesting = Nesting::of(kind, left, S::HASHES);
        let open_at = kind.exists_after().map_or(usize::MAX, |values| left.saturating_sub(values));
        stack.push(Level { kind, walk, left, shared: None, open_at, is_foreign, nesting });
        // Written where it is: an `Option` that is copied as a whole makes the processor wait for its parts.
        if let (Some(identity), Some(level)) = (identity, stack.last_mut()) {
            source.remember(node);
            level.shared = Some(Shared { identity, start, type_at, is_open: false });
            if kind.exists_after() == Some(0) {
                self.open_shared(level.shared.as_mut(), nesting.hashable());
            }
        }
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
            let nesting = if hashable { Nesting::FLAT } else { Nesting::UNHASHABLE };
            self.memo.insert(shared.identity, shared.start, nesting);
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
        outer.nesting.hold(outer.kind, is_key, held, &mut self.hashed, self.out.len())?;
        Ok(())
    }
}

/// A container whose elements are being written.
struct Level<W> {
    kind: Container,
    walk: W,
    /// The number of values that its header has promised and that are not written yet.
    left: usize,
    shared: Option<Shared>,
    /// With how many values left it can be referred to.
    open_at: usize,
    /// Whether it is no plain list, tuple or dict.
    is_foreign: bool,
    /// The nesting of its values so far.
    nesting: Nesting,
}

/// A container that something may refer to.
#[derive(Clone, Copy)]
struct Shared {
    identity: usize,
    start: usize,
    /// The place of its extension type among the written bytes.
    type_at: usize,
    /// Whether it can be referred to already, though its content is not complete.
    is_open: bool,
}

enum Refusal<E> {
    Source(E),
    TooLong,
    TooDeep(usize),
    Excess(Excess),
}

impl<E> From<TooLong> for Box<Refusal<E>> {
    #[cold]
    fn from(_: TooLong) -> Self {
        Box::new(Refusal::TooLong)
    }
}

impl<E> From<Excess> for Box<Refusal<E>> {
    #[cold]
    fn from(excess: Excess) -> Self {
        Box::new(Refusal::Excess(excess))
    }
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
        Refusal::Excess(Excess::Depth) => EncodeError::TooDeep { path, limit: SHALLOW },
        Refusal::Excess(Excess::Unhashable) => EncodeError::Unhashable { path },
        // Only a reader knows hashes.
        Refusal::Excess(Excess::Hashing | Excess::Collisions | Excess::Places) => {
            EncodeError::Hashing { path }
        }
    }
}

fn path<S: Source>(source: &mut S, stack: &[Level<S::Walk>]) -> Path {
    Path::through(stack.len(), |level| source.step(&stack[level].walk))
}
