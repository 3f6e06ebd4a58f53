//! The values that the encoder has written already, so that a shared value is written once: section 4.5.

use crate::cost::Nesting;

/// The values of a frame that something may refer to again, by their identity.
///
/// A table with linear probing, never more than half full: no slot is ever free again, and the encoder
/// asks it for each key of each dict.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    slots: Vec<Slot>,
    used: usize,
    shared: Vec<u32>,
    /// The keys that were referred to last, by their place in the dict: identity and number.
    keys: Vec<(usize, u32)>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    identity: usize,
    position: u32,
    number: u32,
    nesting: Nesting,
}

/// A position that no value has: the slot is free.
const FREE: u32 = u32::MAX;
/// A number that no value has: nothing refers to it so far.
const UNSHARED: u32 = u32::MAX;
/// An identity that no value has: the one that was there is forgotten.
const NOBODY: usize = usize::MAX;
/// The number of keys of a dict that are noted by their place.
const MOST_KEYS: usize = 32;

impl Memo {
    /// Returns the number in the sharing table of a value that was written before, and how deep its content is nested.
    #[inline]
    pub(crate) fn refer(&mut self, identity: usize) -> Option<(u32, Nesting)> {
        self.refer_if(identity, |_| true)
    }

    /// Returns the number of a value that was written before, if it is no container or a container that is still open.
    #[inline]
    pub(crate) fn refer_flat(&mut self, identity: usize) -> Option<u32> {
        self.refer_if(identity, |nesting| nesting == Nesting::FLAT).map(|(number, _)| number)
    }

    #[inline(always)]
    fn refer_if(&mut self, identity: usize, is_fit: impl Fn(Nesting) -> bool) -> Option<(u32, Nesting)> {
        if self.slots.is_empty() {
            return None;
        }
        let index = self.find(identity);
        let slot = &mut self.slots[index];
        if slot.position == FREE || !is_fit(slot.nesting) {
            return None;
        }
        if slot.number == UNSHARED {
            slot.number = self.shared.len() as u32;
            self.shared.push(slot.position);
        }
        Some((slot.number, slot.nesting))
    }

    /// Notes the number of a key, and its place in its dict.
    #[inline]
    pub(crate) fn note_key(&mut self, place: usize, identity: usize, number: u32) {
        if let Some(key) = self.keys.get_mut(place) {
            *key = (identity, number);
        } else if place == self.keys.len() && place < MOST_KEYS {
            self.keys.push((identity, number));
        }
    }

    /// Returns the number of a key, if it was noted for that place.
    #[inline]
    pub(crate) fn key_at(&self, place: usize, identity: usize) -> Option<u32> {
        self.keys.get(place).filter(|key| key.0 == identity).map(|key| key.1)
    }

    /// Notes what there is in a value, now that all of it has been written.
    pub(crate) fn complete(&mut self, identity: usize, nesting: Nesting) {
        if !self.slots.is_empty() {
            let index = self.find(identity);
            self.slots[index].nesting = nesting;
        }
    }

    /// Returns whether a value was written before.
    pub(crate) fn is_known(&self, identity: usize) -> bool {
        !self.slots.is_empty() && self.slots[self.find(identity)].position != FREE
    }

    /// Notes where a value stands.
    #[inline]
    pub(crate) fn insert(&mut self, identity: usize, position: usize, nesting: Nesting) {
        // Beyond 4 GiB nothing is shared; the frame is refused there anyway.
        let Some(position) = u32::try_from(position).ok().filter(|&position| position != FREE) else {
            return;
        };
        if self.used * 2 >= self.slots.len() {
            self.grow();
        }
        let index = self.find(identity);
        self.used += usize::from(self.slots[index].position == FREE);
        self.slots[index] = Slot { identity, position, number: UNSHARED, nesting };
    }

    /// Forgets a value, if it is known.
    pub(crate) fn forget(&mut self, identity: usize) {
        self.keys.clear();
        if !self.slots.is_empty() {
            let index = self.find(identity);
            if self.slots[index].position != FREE {
                // Other values may have been put behind it, and are found by way of this slot.
                self.slots[index].identity = NOBODY;
            }
        }
    }

    /// The number of values that were referred to.
    pub(crate) fn shared(&self) -> usize {
        self.shared.len()
    }

    /// Drops what was referred to since there were so many.
    pub(crate) fn take_back(&mut self, shared: usize) {
        self.shared.truncate(shared);
        self.keys.clear();
    }

    /// The positions of the values that were referred to, by their number.
    pub(crate) fn into_shared(self) -> Vec<u32> {
        self.shared
    }

    /// Finds the slot of an identity, or the free one where it belongs; there must be slots.
    #[inline]
    fn find(&self, identity: usize) -> usize {
        let mask = self.slots.len() - 1;
        // Fibonacci hashing: addresses have equal low bits, the high ones of the product depend on all others.
        let hash = (identity as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let mut index = hash as usize & mask;
        loop {
            let slot = &self.slots[index];
            if slot.identity == identity || slot.position == FREE {
                return index;
            }
            index = (index + 1) & mask;
        }
    }

    #[cold]
    fn grow(&mut self) {
        let free = Slot { identity: 0, position: FREE, number: UNSHARED, nesting: Nesting::FLAT };
        let larger = vec![free; (self.slots.len() * 2).max(16)];
        self.used = 0;
        for slot in std::mem::replace(&mut self.slots, larger) {
            if slot.position != FREE && slot.identity != NOBODY {
                let index = self.find(slot.identity);
                self.slots[index] = slot;
                self.used += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects streams: what a generator may have changed is written anew, and its place still leads to others.
    #[test]
    fn forgotten_values_are_not_known() {
        let mut memo = Memo::default();
        for identity in 1..=100 {
            memo.insert(identity * 8, identity, Nesting::FLAT);
        }
        for identity in (2..=100).step_by(2) {
            memo.forget(identity * 8);
        }
        memo.forget(4);
        for identity in 1..=100 {
            assert_eq!(memo.is_known(identity * 8), identity % 2 == 1, "{identity}");
        }
        memo.insert(16, 7, Nesting::FLAT);
        assert_eq!(memo.refer(16).map(|(number, _)| number), Some(0));
        // So many that the table grows.
        for identity in 101..=1_000 {
            memo.insert(identity * 8, identity, Nesting::FLAT);
            memo.forget(identity * 8);
        }
        assert!((3..=100).all(|identity| memo.is_known(identity * 8) == (identity % 2 == 1)));
        assert_eq!(memo.into_shared(), [7]);
    }

    /// Protects the reader of a run: a value that was dropped leaves none of its references in the sharing table.
    #[test]
    fn references_are_taken_back() {
        let mut memo = Memo::default();
        memo.insert(8, 1, Nesting::FLAT);
        memo.insert(16, 2, Nesting::FLAT);
        memo.refer(8);
        let shared = memo.shared();
        memo.refer(16);
        memo.take_back(shared);
        assert_eq!(memo.into_shared(), [1]);
    }

    /// Protects the keys of dicts: a place tells the number of the key that stood there, and of no other one; what was
    /// dropped or forgotten is told by no place.
    #[test]
    fn keys_are_known_by_their_place() {
        let mut memo = Memo::default();
        memo.note_key(1, 16, 1);
        assert_eq!(memo.key_at(1, 16), None, "places come in order");
        memo.note_key(0, 8, 0);
        memo.note_key(1, 16, 1);
        assert_eq!((memo.key_at(0, 8), memo.key_at(1, 16)), (Some(0), Some(1)));
        assert_eq!((memo.key_at(0, 16), memo.key_at(2, 8)), (None, None));
        memo.note_key(0, 24, 2);
        assert_eq!((memo.key_at(0, 8), memo.key_at(0, 24)), (None, Some(2)));
        memo.take_back(0);
        assert_eq!(memo.key_at(0, 24), None);
        memo.note_key(0, 8, 0);
        memo.forget(8);
        assert_eq!(memo.key_at(0, 8), None);
    }
}
