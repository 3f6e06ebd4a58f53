//! The tables of streams: those that this side produces, those that it consumes, and nothing else.
//!
//! The producer of a stream gives it its id. The consumer grants credit, in items and in bytes; the producer sends no item
//! beyond it. The credit in bytes may be overdrawn by the last message, which is then paid back first: an item may be larger
//! than any credit.

use std::collections::hash_map::Entry;

use crate::by_id::ById;
/// The number that names a stream, given by its producer; the ids of the two sides are independent.
// The wire format fixes what it is, so a field is never added.
#[expect(clippy::exhaustive_structs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u32);

/// The credit that the consumer of a stream grants in addition to the credit before.
// The wire format fixes what it is, so a field is never added.
#[expect(clippy::exhaustive_structs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Credit {
    /// The number of items.
    pub items: u32,
    /// The number of bytes.
    pub bytes: u32,
}

/// The way in which a consumer ends a stream early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum StopKind {
    /// Nobody wants the rest.
    Close = 0,
    /// A step was cancelled: the generator is to hear of that.
    Cancel = 1,
}

impl StopKind {
    /// Returns the kind with that number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Close, Self::Cancel].into_iter().find(|kind| kind.number() == number)
    }

    /// Returns the number of the kind.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// The end of a stream at its producer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamEnd<P> {
    /// There are no more items.
    End,
    /// It raised this.
    Fail(P),
    /// It ended because its consumer stopped it, and has cleaned up.
    Stopped,
}

/// The credit of a stream that has not been used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Balance {
    items: u64,
    /// Below zero if the last message took more than there was.
    bytes: i64,
}

impl Balance {
    fn add(&mut self, credit: Credit) {
        self.items = self.items.saturating_add(u64::from(credit.items));
        self.bytes = self.bytes.saturating_add(i64::from(credit.bytes));
    }

    /// Uses credit for one message; returns whether there was enough.
    fn spend(&mut self, items: u32, bytes: usize) -> bool {
        if items == 0 || u64::from(items) > self.items || self.bytes <= 0 {
            return false;
        }
        self.items -= u64::from(items);
        self.bytes = self.bytes.saturating_sub_unsigned(bytes as u64);
        true
    }
}

/// One side's half of a stream that has not ended.
#[derive(Debug, Clone, Copy, Default)]
struct Half {
    balance: Balance,
    /// Whether the consumer has stopped it.
    is_stopping: bool,
}

/// The streams that this side produces and has not ended.
#[derive(Debug, Default)]
pub(crate) struct Producing {
    streams: ById<StreamId, Half>,
    last_id: u32,
}

impl Producing {
    /// Enters a new stream with the credit that it starts with. Ids count up, so that what the consumer sends late
    /// meets no other stream.
    pub(crate) fn enter(&mut self, credit: Credit) -> StreamId {
        let mut half = Half::default();
        half.balance.add(credit);
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if let Entry::Vacant(entry) = self.streams.entry(StreamId(self.last_id)) {
                return *entry.insert_entry(half).key();
            }
        }
    }

    /// Adds credit; returns whether the stream is still to be produced.
    pub(crate) fn grant(&mut self, id: StreamId, credit: Credit) -> bool {
        let Some(half) = self.streams.get_mut(&id).filter(|half| !half.is_stopping) else { return false };
        half.balance.add(credit);
        true
    }

    /// The credit in items and bytes; `None` if the stream is not to be produced any more.
    pub(crate) fn credit(&self, id: StreamId) -> Option<(u64, u64)> {
        let half = self.streams.get(&id).filter(|half| !half.is_stopping)?;
        Some((half.balance.items, half.balance.bytes.max(0).unsigned_abs()))
    }

    /// Uses credit for a message; returns whether it may be sent.
    pub(crate) fn spend(&mut self, id: StreamId, items: u32, bytes: usize) -> bool {
        let half = self.streams.get_mut(&id).filter(|half| !half.is_stopping);
        half.is_some_and(|half| half.balance.spend(items, bytes))
    }

    /// Notes that the consumer stops a stream; returns whether there is such a one.
    pub(crate) fn stop(&mut self, id: StreamId) -> bool {
        self.streams.get_mut(&id).map(|half| half.is_stopping = true).is_some()
    }

    /// Returns whether the consumer has stopped a stream that has not ended.
    pub(crate) fn is_stopping(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|half| half.is_stopping)
    }

    /// Takes out a stream that has ended; returns whether it was there.
    pub(crate) fn remove(&mut self, id: StreamId) -> bool {
        self.streams.remove(&id).is_some()
    }

    /// Forgets every stream.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }

    /// The number of streams that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }
}

/// The streams that this side consumes and that have not ended.
///
/// A stream that was stopped stays here until its producer says that it has ended.
#[derive(Debug, Default)]
pub(crate) struct Consuming {
    streams: ById<StreamId, Half>,
}

impl Consuming {
    /// Enters a stream of the peer's with the credit that it has; returns false if it is there already.
    pub(crate) fn enter(&mut self, id: StreamId, credit: Credit) -> bool {
        let Entry::Vacant(entry) = self.streams.entry(id) else { return false };
        entry.insert(Half::default()).balance.add(credit);
        true
    }

    /// Notes credit that is granted; returns whether the producer is to be told.
    pub(crate) fn grant(&mut self, id: StreamId, credit: Credit) -> bool {
        let Some(half) = self.streams.get_mut(&id).filter(|half| !half.is_stopping) else { return false };
        half.balance.add(credit);
        true
    }

    /// Takes in a message with items: whether they are wanted.
    ///
    /// # Errors
    ///
    /// If the producer had no credit for them; the text says so.
    pub(crate) fn receive(&mut self, id: StreamId, items: u32, bytes: usize) -> Result<bool, String> {
        // An unknown stream has no credit either, but nothing can be lost with it.
        let Some(half) = self.streams.get_mut(&id) else { return Ok(false) };
        if half.balance.spend(items, bytes) {
            Ok(!half.is_stopping)
        } else {
            Err(format!("items of stream {} beyond its credit", id.0))
        }
    }

    /// Notes that this side stops a stream; returns whether the producer is to be told.
    pub(crate) fn stop(&mut self, id: StreamId) -> bool {
        self.streams.get_mut(&id).map(|half| half.is_stopping = true).is_some()
    }

    /// Returns whether this side has stopped a stream that has not ended.
    pub(crate) fn is_stopping(&self, id: StreamId) -> bool {
        self.streams.get(&id).is_some_and(|half| half.is_stopping)
    }

    /// Returns whether a stream has not ended.
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.streams.contains_key(&id)
    }

    /// Takes out a stream that has ended; returns whether it was there.
    pub(crate) fn remove(&mut self, id: StreamId) -> bool {
        self.streams.remove(&id).is_some()
    }

    /// Forgets every stream.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }

    /// The number of streams that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Credit = Credit { items: 1, bytes: 10 };

    /// Protects streams from each other's late messages, after 2³² of them too.
    #[test]
    fn ids_count_up_and_pass_over_those_that_are_taken() {
        let mut producing = Producing::default();
        let first = producing.enter(ONE);
        let second = producing.enter(ONE);
        assert!(first < second);
        producing.remove(second);
        assert!(second < producing.enter(ONE), "though the second has ended");
        producing.last_id = first.0 - 1;
        assert_ne!(producing.enter(ONE), first, "that has not ended");
    }

    /// Protects the consumer's memory: a large item is paid back before the next one.
    #[test]
    fn bytes_may_be_overdrawn_once() {
        let mut producing = Producing::default();
        let id = producing.enter(Credit { items: 9, bytes: 10 });
        assert!(producing.spend(id, 1, 25));
        assert_eq!(producing.credit(id), Some((8, 0)));
        assert!(!producing.spend(id, 1, 1), "15 bytes are owed");
        assert!(producing.grant(id, Credit { items: 0, bytes: 15 }));
        assert!(!producing.spend(id, 1, 1), "nothing is owed, and nothing is left");
        assert!(producing.grant(id, Credit { items: 0, bytes: 1 }));
        assert!(producing.spend(id, 1, 1));
    }

    /// Protects this side from a peer that grants without an end.
    #[test]
    fn credit_has_no_end_to_run_over() {
        let mut producing = Producing::default();
        let most = Credit { items: u32::MAX, bytes: u32::MAX };
        let id = producing.enter(most);
        producing.streams.get_mut(&id).expect("it is there").balance =
            Balance { items: u64::MAX - 1, bytes: i64::MAX - 1 };
        assert!(producing.grant(id, most));
        assert_eq!(producing.credit(id), Some((u64::MAX, i64::MAX as u64)));
        assert!(producing.spend(id, u32::MAX, usize::MAX), "more bytes than there can be");
        assert!(!producing.spend(id, 1, 1), "they are owed");
    }

    /// Protects the consumer: what exceeds its credit is noticed before it is kept, also once nobody wants it.
    #[test]
    fn items_beyond_credit_are_refused() {
        let mut consuming = Consuming::default();
        let id = StreamId(7);
        assert!(consuming.enter(id, ONE));
        assert!(!consuming.enter(id, ONE), "it is there");
        assert_eq!(consuming.receive(StreamId(8), 1, 1), Ok(false), "an unknown stream");
        assert!(consuming.receive(id, 0, 1).is_err(), "no items");
        assert!(consuming.receive(id, 2, 1).is_err(), "one too many");
        assert_eq!(consuming.receive(id, 1, 1), Ok(true));
        assert!(consuming.grant(id, ONE));
        assert!(consuming.stop(id));
        assert_eq!(consuming.receive(id, 1, 1), Ok(false), "nobody wants it");
        assert!(!consuming.grant(id, ONE), "nobody wants more");
        assert!(consuming.receive(id, 1, 1).is_err());
    }
}
