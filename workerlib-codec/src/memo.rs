//! What the encoder has written already, so that what is shared is written once: section 4.5.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// The values of a frame that something may refer to again, by their identity.
#[derive(Debug)]
pub(crate) struct Memo {
    known: HashMap<usize, Slot, BuildHasherDefault<IdentityHasher>>,
    shared: Vec<u32>,
    /// Identities and numbers of scalars that were referred to lately: the keys of records, mostly.
    recent: [(usize, u32); RECENT],
}

/// A power of two: the keys of most records fit, and clearing it costs next to nothing.
const RECENT: usize = 64;

impl Default for Memo {
    fn default() -> Self {
        // An identity that nothing has: no object stands at the last address.
        Self { known: HashMap::default(), shared: Vec::new(), recent: [(usize::MAX, 0); RECENT] }
    }
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    position: u32,
    number: Option<u32>,
    /// How many levels of containers the value has, as far as it is known.
    height: u32,
}

impl Memo {
    /// Returns the number in the sharing table of a value that was written before, and how many levels of
    /// containers it has.
    #[inline]
    pub(crate) fn refer(&mut self, identity: usize) -> Option<(u32, usize)> {
        let slot = self.known.get_mut(&identity)?;
        let number = *slot.number.get_or_insert_with(|| {
            self.shared.push(slot.position);
            (self.shared.len() - 1) as u32
        });
        Some((number, slot.height as usize))
    }

    /// Returns the number of a value that was written before and is no container.
    #[inline(always)]
    pub(crate) fn refer_to_scalar(&mut self, identity: usize) -> Option<u32> {
        // The lowest bits of an address are all the same.
        let (known, number) = self.recent[(identity >> 4) % RECENT];
        if known == identity { Some(number) } else { self.look_for_scalar(identity) }
    }

    fn look_for_scalar(&mut self, identity: usize) -> Option<u32> {
        if self.known.get(&identity)?.height > 0 {
            return None;
        }
        let (number, _) = self.refer(identity)?;
        self.recent[(identity >> 4) % RECENT] = (identity, number);
        Some(number)
    }

    /// Notes how many levels of containers a value has.
    pub(crate) fn set_height(&mut self, identity: usize, height: usize) {
        if let Some(slot) = self.known.get_mut(&identity) {
            slot.height = u32::try_from(height).unwrap_or(u32::MAX);
        }
    }

    /// Returns whether a value was written before.
    pub(crate) fn is_known(&self, identity: usize) -> bool {
        self.known.contains_key(&identity)
    }

    /// Notes where a value stands.
    #[inline]
    pub(crate) fn insert(&mut self, identity: usize, position: usize) {
        // Beyond 4 GiB nothing is shared; the frame is refused there anyway.
        if let Ok(position) = u32::try_from(position) {
            self.known.insert(identity, Slot { position, number: None, height: 0 });
        }
    }

    /// The positions of the values that were referred to, by their number.
    pub(crate) fn into_shared(self) -> Vec<u32> {
        self.shared
    }
}

/// Spreads addresses, whose low bits are all the same, over the table.
#[derive(Debug, Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte) ^ self.0 as usize);
        }
    }

    #[inline]
    fn write_usize(&mut self, identity: usize) {
        // Fibonacci hashing: the high bits, which the table looks at first, depend on all others.
        self.0 = (identity as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}
