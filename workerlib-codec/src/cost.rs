//! The memory and time that a frame may cost its reader: the wire format, section 6.
//!
//! All that bounds a frame besides its own [`Limits`](crate::Limits) stands here, with its constants. Writer and reader
//! count the same, so that a writer refuses what its peer would refuse. Nothing here looks at bytes or objects: the
//! encoder, the decoder and the sinks tell what they do.

use crate::marker::Container;
use slots::Slots;

mod slots;

/// The number of levels of containers that may stand in a dict's key, or in a container that is not a list, tuple or dict.
///
/// Python hashes, compares and frees by recursion, and a browser's stack is small.
pub const SHALLOW: usize = 200;

/// The number of values that may be visited for hashes whatever the frame's length: it takes Python a fraction of a second.
const HASHED_FREE: usize = 1 << 24;
/// The number of further values that may be visited for each byte of the frame.
const HASHED_PER_BYTE: usize = 8;

/// The number of values that a hash of a library type or of a user's class counts for, besides the values that it is made of: such a
/// hash is a function of Python's own.
const HASHED_BY_CLASS: usize = 64;
/// The number of bytes of a long int whose hash takes as long as that of one value.
const HASHED_BYTES: usize = 16;

/// The number of values that may be compared because the keys or elements that they stand in have equal hashes, whatever the frame's
/// length: it takes Python a fraction of a second.
const COMPARED_FREE: usize = 1 << 22;
/// The number of further values that may be compared for each byte of the frame.
const COMPARED_PER_BYTE: usize = 8;

/// From how many keys or elements on the places are counted that they take in Python's table.
pub const LARGE: usize = 1 << 10;
/// The number of places that may be looked at for all keys of large containers, whatever the frame's length: it takes Python a
/// fraction of a second.
const PROBED_FREE: usize = 1 << 22;
/// The number of further places that may be looked at for each byte of the frame.
const PROBED_PER_BYTE: usize = 16;

/// The number of times that the content of a frame may be handed, on the average, to builders, which copy it.
const COPIES: usize = 8;
/// The number of bytes or elements that may be handed over whatever the frame's length.
const HANDED_FREE: usize = 64 << 10;
/// A value of so many bytes or elements, or fewer, is not counted when it is handed to a builder.
pub const SMALL: usize = 256;

/// The reason why a value may not stand in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Excess {
    /// It has more than [`SHALLOW`] levels.
    Depth,
    /// Hashing it, and all that was hashed before, takes too long.
    Hashing,
    /// Too many others in its container have the same hash.
    Collisions,
    /// Other keys of its container have taken too many of the places that its hash leads to.
    Places,
    /// It has no hash.
    Unhashable,
}

/// The number of values that Python visits to hash the keys and elements of sets of one frame.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hashed(usize);

impl Hashed {
    /// Counts the values that are visited for one hash, and returns whether they are too many for a frame of `len` bytes.
    fn exceeds(&mut self, values: u32, len: usize) -> bool {
        self.0 = self.0.saturating_add(values as usize);
        values == u32::MAX || self.0 > len.saturating_mul(HASHED_PER_BYTE).saturating_add(HASHED_FREE)
    }
}

/// The cost of a value for a container that it is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nesting {
    /// The number of levels of containers that it has, itself included, as far as that matters.
    levels: u8,
    /// Whether it may be a key, or stand in a set.
    hashable: bool,
    /// The number of values that Python visits to hash it, by way of references as often as they stand there; the largest
    /// number means that many or more.
    hashing: u32,
}

impl Nesting {
    /// The cost of a scalar, and of a container that is still open.
    pub(crate) const FLAT: Self = Self { levels: 0, hashable: true, hashing: 0 };
    /// The cost of a scalar without a hash, and of such a container that is still open.
    pub(crate) const UNHASHABLE: Self = Self { hashable: false, ..Self::FLAT };

    /// The cost of a container of so many values, without theirs. With `hashes`, lists, dicts and sets have no hash.
    #[inline]
    pub(crate) fn of(kind: Container, values: usize, hashes: bool) -> Self {
        let is_hashable = kind.is_hashable();
        let own = if matches!(kind, Container::Extension(_)) { HASHED_BY_CLASS } else { 1 };
        let hashing = if is_hashable { saturated(values.saturating_add(own)) } else { 0 };
        Self { levels: 1, hashable: !hashes || is_hashable, hashing }
    }

    /// The cost of an int of so many bytes, whose hash Python does not keep.
    pub(crate) fn of_int(bytes: usize) -> Self {
        Self { hashing: saturated(bytes / HASHED_BYTES), ..Self::FLAT }
    }

    /// The number of values that Python compares to tell it from another one that has the same hash.
    pub(crate) fn compared(self) -> usize {
        (self.hashing as usize).max(1)
    }

    /// Returns whether the value may be a key, or stand in a set.
    #[inline]
    pub(crate) fn hashable(self) -> bool {
        self.hashable
    }

    /// Counts a value that is put into this container, which is of that kind; `is_key` tells a dict's keys from its
    /// values, and `len` is how long the frame is.
    #[inline]
    pub(crate) fn hold(
        &mut self,
        kind: Container,
        is_key: bool,
        held: Self,
        hashed: &mut Hashed,
        len: usize,
    ) -> Result<(), Excess> {
        if usize::from(held.levels) > SHALLOW && !kind.nests(is_key) {
            return Err(Excess::Depth);
        }
        self.levels = self.levels.max(held.levels.saturating_add(1));
        if held.hashing > 0 {
            if kind.hashes(is_key) && hashed.exceeds(held.hashing, len) {
                return Err(Excess::Hashing);
            }
            // A frozenset knows the hashes of its elements.
            if matches!(kind, Container::Tuple | Container::Extension(_)) {
                self.hashing = self.hashing.saturating_add(held.hashing);
            }
        }
        if !held.hashable {
            if kind.hashes(is_key) {
                return Err(Excess::Unhashable);
            }
            // Another container's class has a hash of its own, which may not ask for its content's.
            self.hashable &= kind != Container::Tuple;
        }
        Ok(())
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The hashes of keys, and of elements of sets, that a frame can choose: Python compares each with all others in its
/// container that have the same.
#[derive(Debug, Default)]
pub(crate) struct Collisions {
    /// The open containers that have such keys.
    open: Vec<Keys>,
    /// The number of values that Python compares for all of them.
    compared: usize,
    /// The number of places at which Python looks for those of large containers.
    probed: usize,
}

/// The keys of one open container whose hashes a frame can choose.
#[derive(Debug)]
struct Keys {
    depth: usize,
    hashes: Hashes,
}

/// The hashes of keys.
#[derive(Debug)]
enum Hashes {
    /// The hashes of a container that has few keys at most.
    Few(Vec<usize>),
    /// The hashes of a container with more keys, in the places that they take.
    Many(Slots),
}

/// The largest number of keys that counts as few.
const FEW: usize = 32;

/// A large container, as far as it is filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Large {
    /// The number of different keys that it has, if the sink can tell.
    pub(crate) keys: Option<usize>,
}

impl Collisions {
    /// Counts a key or element that is put into the innermost container, which is of that kind, has that depth and waits for
    /// `left` of them with it, in a frame of `len` bytes; `large` is that container if it is large.
    /// It takes Python `compared` steps to tell it from another one that has the same hash.
    #[inline(never)]
    pub(crate) fn add(
        &mut self,
        (kind, depth, left): (Container, usize, usize),
        hash: isize,
        compared: usize,
        len: usize,
        large: Option<Large>,
    ) -> Result<(), Excess> {
        if self.depth() != depth {
            let is_set = matches!(kind, Container::Set | Container::Frozenset);
            let table = if is_set { slots::Kind::Set } else { slots::Kind::Dict };
            let keys = large.and_then(|large| large.keys).unwrap_or(0);
            let is_few = large.is_none() && left <= FEW;
            let hashes = if is_few { Hashes::Few(Vec::new()) } else { Hashes::Many(Slots::new(table, keys)) };
            self.open.push(Keys { depth, hashes });
        }
        let equal = match self.open.last_mut().map(|keys| &mut keys.hashes) {
            Some(Hashes::Few(hashes)) => {
                let equal = hashes.iter().filter(|&&other| other == hash as usize).count();
                hashes.push(hash as usize);
                equal
            }
            Some(Hashes::Many(slots)) => {
                let (steps, equal) = slots.add(hash, large.and_then(|large| large.keys));
                if large.is_some() {
                    self.probed = self.probed.saturating_add(steps);
                }
                equal
            }
            None => 0,
        };
        self.compared = self.compared.saturating_add(equal.saturating_mul(compared));
        if self.compared > len.saturating_mul(COMPARED_PER_BYTE).saturating_add(COMPARED_FREE) {
            return Err(Excess::Collisions);
        }
        let most = len.saturating_mul(PROBED_PER_BYTE).saturating_add(PROBED_FREE);
        if self.probed > most { Err(Excess::Places) } else { Ok(()) }
    }

    /// The depth of the innermost container that has such keys; 0 if there is none.
    #[inline]
    pub(crate) fn depth(&self) -> usize {
        self.open.last().map_or(0, |keys| keys.depth)
    }

    /// Forgets the keys of that container, which is complete.
    pub(crate) fn close(&mut self) {
        self.open.pop();
    }
}

/// The share of a frame that was handed to builders of library types.
///
/// Builders copy, and a reference of three bytes can hand over a long value again and again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Handed(usize);

impl Handed {
    /// Counts a value of `len` bytes or elements that is handed to a builder.
    ///
    /// Returns whether the frame accounts for it: `frame` is how many bytes it has, and `beside` tells how many are in
    /// the buffers beside it, which is asked for only if it matters.
    ///
    /// # Errors
    ///
    /// With the error of `beside`.
    pub fn allows<E>(
        &mut self,
        len: usize,
        frame: usize,
        beside: impl FnOnce() -> Result<usize, E>,
    ) -> Result<bool, E> {
        let most = |bytes: usize| bytes.saturating_mul(COPIES).saturating_add(HANDED_FREE);
        self.0 = self.0.saturating_add(len);
        Ok(self.0 <= most(frame) || self.0 <= most(frame.saturating_add(beside()?)))
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn allows(handed: &mut Handed, len: usize, frame: usize, beside: usize) -> bool {
        handed.allows(len, frame, || Ok::<_, Infallible>(beside)).unwrap_or_else(|never| match never {})
    }

    /// Protects values from 512 MiB on where a `usize` has 32 bits: eight times their length is more than it can hold.
    #[test]
    fn lengths_near_the_largest_do_not_wrap_around() {
        let half = usize::MAX / 2;
        assert!(allows(&mut Handed::default(), half, half, 0));
        assert!(allows(&mut Handed::default(), half, 10, half));
        let mut handed = Handed::default();
        assert!(allows(&mut handed, half, half, half) && allows(&mut handed, half, half, half));
        assert!(!allows(&mut handed, half, 10, 10));
        assert!(!allows(&mut handed, half, 10, 10), "the sum stays at the largest number");
    }

    /// Protects memory: builders may copy the frame eight times, and no more.
    #[test]
    fn more_than_the_frame_accounts_for_is_refused() {
        let mut handed = Handed::default();
        assert!(allows(&mut handed, HANDED_FREE, 0, 0));
        assert!(allows(&mut handed, 8_000, 1_000, 0));
        assert!(!allows(&mut handed, 1, 1_000, 0));
        assert!(allows(&mut handed, 7_999, 1_000, 1_000), "what is beside the frame counts");
    }

    /// Protects time in frames of any length: a number that cannot be said is too many.
    #[test]
    fn hashes_that_cannot_be_counted_are_too_many() {
        let whole = Nesting::of(Container::Tuple, usize::MAX, true);
        let mut set = Nesting::of(Container::Set, 1, true);
        let mut hashed = Hashed::default();
        assert_eq!(set.hold(Container::Set, false, whole, &mut hashed, usize::MAX), Err(Excess::Hashing));
    }
}
