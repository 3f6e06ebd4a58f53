//! The places that keys take in Python's hash tables: the wire format, section 6.
//!
//! Keys of different hashes can be made to look for a place in the same places, one after the other: a table of 65,536 places
//! that is filled so takes seconds. This module follows CPython's search (`Objects/dictobject.c`, `Objects/setobject.c`) by
//! hashes alone, and counts its steps. It knows no keys, and decides nothing.

/// By how many bits the rest of a hash moves at each step of a search.
const PERTURB_SHIFT: u32 = 5;
/// The number of places behind the first one at which a set looks, before it goes elsewhere.
const LINEAR_PROBES: usize = 9;
/// The number of places that the smallest table has.
const SMALLEST: usize = 8;

/// Which of Python's tables: they search and grow in ways of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The table of a dict, and of what is made of one.
    Dict,
    /// The table of a set or a frozenset.
    Set,
}

/// The places that are taken in the table of one container.
#[derive(Debug)]
pub(super) struct Slots {
    kind: Kind,
    /// The hashes that have a place, and how many keys have each.
    hashes: Vec<(usize, u32)>,
    /// The table; and a second one where it may have another size, because keys of an unknown kind came first.
    tables: Vec<Table>,
}

#[derive(Debug)]
struct Table {
    mask: usize,
    /// The number of the hash that has the place, from 1 on; 0 if it is free.
    taken: Vec<u32>,
}

impl Slots {
    /// The places of a container that has so many keys whose hashes nobody chooses.
    pub(super) fn new(kind: Kind, keys: usize) -> Self {
        let mut size = SMALLEST;
        for used in 0..=keys {
            if is_full(kind, used, size) {
                size = grown(kind, used);
            }
        }
        let mut tables = vec![Table::new(size)];
        // The table of a dict that had strs alone is made anew when another key comes.
        if kind == Kind::Dict && keys > 0 && grown(kind, keys) != size {
            tables.push(Table::new(grown(kind, keys)));
        }
        Self { kind, hashes: Vec::new(), tables }
    }

    /// Searches the place of a key in a container that has so many keys, or as many as have come, and takes it if no key has the
    /// same hash. Returns how many places were looked at, for this key and for those that move to a larger table, and how many
    /// keys have the same hash.
    pub(super) fn add(&mut self, hash: isize, keys: Option<usize>) -> (usize, usize) {
        let Self { kind, hashes, tables } = self;
        let (kind, hash, keys) = (*kind, hash as usize, keys.unwrap_or(hashes.len()));
        let (mut steps, mut known) = (0, None);
        for table in &mut *tables {
            let mut own = 0;
            if is_full(kind, keys, table.mask + 1) {
                *table = Table::new(grown(kind, keys));
                for number in 0..hashes.len() {
                    own += table.search(kind, hashes[number].0, &hashes[..number]).0;
                }
            }
            let found = table.search(kind, hash, hashes);
            known = found.1;
            steps = steps.max(own + found.0);
        }
        if let [one, other] = &tables[..]
            && one.mask == other.mask
        {
            tables.truncate(1);
        }
        let Some(known) = known else {
            hashes.push((hash, 1));
            return (steps, 0);
        };
        let count = &mut hashes[known].1;
        let equal = *count as usize;
        *count = count.saturating_add(1);
        (steps, equal)
    }
}

/// Tells whether a table of that many places grows before it takes another key.
fn is_full(kind: Kind, keys: usize, size: usize) -> bool {
    match kind {
        Kind::Dict => keys >= size * 2 / 3,
        Kind::Set => keys * 5 >= (size - 1) * 3,
    }
}

/// Tells how many places a table of so many keys has after it has grown.
fn grown(kind: Kind, keys: usize) -> usize {
    match kind {
        Kind::Dict => keys.saturating_mul(3).max(SMALLEST).next_power_of_two(),
        Kind::Set => {
            let least = keys.saturating_mul(if keys > 50_000 { 2 } else { 4 });
            least.saturating_add(1).max(SMALLEST).next_power_of_two()
        }
    }
}

impl Table {
    fn new(size: usize) -> Self {
        Self { mask: size - 1, taken: vec![0; size] }
    }

    /// Searches a free place for a hash, and takes it if no key has that hash; returns how many places were looked at, and which of
    /// the hashes it is.
    #[inline]
    fn search(&mut self, kind: Kind, hash: usize, hashes: &[(usize, u32)]) -> (usize, Option<usize>) {
        let (mut perturb, mut place, mut steps, mut known) = (hash, hash & self.mask, 0, None);
        loop {
            let near =
                if kind == Kind::Set && place + LINEAR_PROBES <= self.mask { LINEAR_PROBES } else { 0 };
            for one in place..=place + near {
                steps += 1;
                match (self.taken[one] as usize).checked_sub(1) {
                    None => {
                        if known.is_none() {
                            // No frame has so many keys that the number would be too large.
                            self.taken[one] = u32::try_from(hashes.len() + 1).unwrap_or(0);
                        }
                        return (steps, known);
                    }
                    // Python finds another key there, and goes on.
                    Some(number) if hashes[number].0 == hash => known = Some(number),
                    Some(_) => {}
                }
            }
            // A table that follows a container of which it knows too few keys must not search for ever.
            if steps > self.mask.saturating_mul(2) + 128 {
                return (steps, known);
            }
            perturb >>= PERTURB_SHIFT;
            place = place.wrapping_mul(5).wrapping_add(perturb).wrapping_add(1) & self.mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds keys to a dict or a set, and returns the steps.
    fn steps(kind: Kind, hashes: impl IntoIterator<Item = isize>) -> usize {
        let mut slots = Slots::new(kind, 0);
        hashes.into_iter().enumerate().map(|(keys, hash)| slots.add(hash, Some(keys)).0).sum()
    }

    /// Protects speed and memory: keys that follow each other take a place each, and tables grow as CPython's do.
    #[test]
    fn keys_in_a_row_take_one_step_each() {
        for kind in [Kind::Dict, Kind::Set] {
            let all = steps(kind, 0..100_000);
            assert!(all < 400_000, "{kind:?}: {all}");
        }
        assert_eq!(grown(Kind::Dict, 5), 16);
        assert_eq!(grown(Kind::Dict, 21_845), 65_536);
        assert_eq!(grown(Kind::Set, 5), 32);
        assert_eq!(grown(Kind::Set, 60_000), 131_072);
    }

    /// Protects from long searches: keys along CPython's own path through the table make it as long as they like.
    #[test]
    fn a_chain_is_counted() {
        let mask = (1 << 14) - 1;
        let chain = std::iter::successors(Some(0_isize), |place| Some((place * 5 + 1) & mask)).take(5_462);
        let mut slots = Slots::new(Kind::Dict, 0);
        for (keys, hash) in chain.enumerate() {
            slots.add(hash, Some(keys));
        }
        // The first place of this hash, and all that follow, are in the chain.
        assert!(slots.add(0, Some(5_463)).0 > 5_000);
    }

    /// Protects from keys that nobody counts: a dict that had strs alone may have a larger table than another one.
    #[test]
    fn both_sizes_of_a_dict_are_followed_until_they_are_one() {
        let mut slots = Slots::new(Kind::Dict, 30_000);
        assert_eq!(slots.tables.iter().map(|table| table.mask + 1).collect::<Vec<_>>(), [65_536, 131_072]);
        slots.add(1, Some(43_690));
        assert_eq!(slots.tables.len(), 1);
    }
}
