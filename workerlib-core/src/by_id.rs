//! Tables by id, which each message asks several times.
//!
//! The standard hasher takes most of the time of such a question. Ids are numbers, and the peer chooses some of them: so a
//! product with a factor that the peer cannot know is hash enough.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A table whose keys are ids.
pub(crate) type ById<K, V> = HashMap<K, V, Factor>;

/// A random odd number.
#[derive(Debug, Clone)]
pub(crate) struct Factor(u64);

impl Default for Factor {
    fn default() -> Self {
        Self(RandomState::new().build_hasher().finish() | 1)
    }
}

impl BuildHasher for Factor {
    type Hasher = Product;

    fn build_hasher(&self) -> Product {
        Product(self.0)
    }
}

/// The factor, and after an id was written the product with it.
pub(crate) struct Product(u64);

impl Hasher for Product {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u32(u32::from(byte)));
    }

    fn write_u32(&mut self, id: u32) {
        // Each bit of the upper half depends on all of the id, and tables look at the lower bits first.
        self.0 = self.0.wrapping_mul(u64::from(id)).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::CallId;

    /// Protects the tables from ids in a pattern, which must not fall on few places.
    #[test]
    fn ids_in_patterns_are_spread() {
        for shift in [0, 4, 8, 12, 16, 20] {
            let factor = Factor(0x9e37_79b9_7f4a_7c15);
            let mut places: Vec<_> =
                (0..1 << 10).map(|id| factor.hash_one(CallId(id << shift)) & 0xfff).collect();
            places.sort_unstable();
            places.dedup();
            assert!(places.len() > 600, "{} places for ids in steps of 2^{shift}", places.len());
        }
    }
}
