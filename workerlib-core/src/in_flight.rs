//! The table of this side's calls that have no answer yet, and nothing else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::CallId;

#[derive(Debug, Clone, Copy)]
struct Call {
    /// Counts the calls of the session: the id cannot tell a call's age, because it wraps around.
    serial: u64,
    waiting: bool,
}

/// The calls of one side that have no answer yet.
///
/// A cancelled call stays here until its answer arrives, so that its id is not given to another call that
/// the late answer would then settle.
#[derive(Debug, Default)]
pub struct InFlight {
    calls: HashMap<CallId, Call>,
    started: u64,
    last_id: u32,
}

impl InFlight {
    /// Enters a new call and returns its id, which no other call in flight has.
    pub fn start(&mut self) -> CallId {
        self.started += 1;
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = CallId(self.last_id);
            if let Entry::Vacant(entry) = self.calls.entry(id) {
                entry.insert(Call { serial: self.started, waiting: true });
                return id;
            }
        }
    }

    /// Notes that nobody waits for the call any more, and returns whether somebody did until now.
    pub fn cancel(&mut self, id: CallId) -> bool {
        self.calls.get_mut(&id).is_some_and(|call| std::mem::take(&mut call.waiting))
    }

    /// Takes an answered call out and returns whether somebody still waits for the answer.
    pub fn settle(&mut self, id: CallId) -> bool {
        self.calls.remove(&id).is_some_and(|call| call.waiting)
    }

    /// Takes every call out and returns those that somebody still waits for, the oldest first.
    pub fn drain(&mut self) -> Vec<CallId> {
        let mut waiting: Vec<_> = self.calls.drain().filter(|(_, call)| call.waiting).collect();
        waiting.sort_by_key(|(_, call)| call.serial);
        waiting.into_iter().map(|(id, _)| id).collect()
    }

    /// The number of calls without an answer, cancelled ones included.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Returns whether no call lacks its answer.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_flight_is_not_given_again_after_wrapping() {
        let mut calls = InFlight::default();
        let first = calls.start();
        calls.last_id = u32::MAX;
        let wrapped = calls.start();
        let next = calls.start();
        assert_eq!(wrapped, CallId(0));
        assert_ne!(next, first, "the first call is still in flight");
        assert_eq!(calls.drain(), [first, wrapped, next], "oldest first, across the wrap");
    }

    #[test]
    fn a_cancelled_call_keeps_its_id_until_answered() {
        let mut calls = InFlight::default();
        let id = calls.start();
        assert!(calls.cancel(id));
        assert!(!calls.cancel(id), "a second cancel has nothing to cancel");
        assert_eq!(calls.len(), 1);
        assert!(!calls.settle(id), "nobody waits for it any more");
        assert!(calls.is_empty());
    }
}
