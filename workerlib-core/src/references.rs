//! The tables of references: what this side has given to the peer, what it holds of the peer's, and the peer's
//! invocations that have no answer yet. Nothing else.
//!
//! Invariants: what was given stays in the table while the peer holds it or an invocation of it runs, unless it is
//! revoked; an id is never given again while the table has it; a peer that gives back more than it got breaks the
//! protocol; what was revoked is never invoked again.

use std::collections::hash_map::Entry;

use crate::by_id::ById;
use crate::message::{CallId, RefId};

/// A function or an object that the peer may invoke.
#[derive(Debug)]
struct Given {
    /// The number of times that the peer has got it and not given it back.
    sends: u32,
    /// The number of its invocations that run here.
    running: u32,
    is_revoked: bool,
    /// Whether it ends with the call that it was passed to, if that is given up.
    is_revocable: bool,
}

/// An invocation by the peer that has no answer yet.
#[derive(Debug, Clone, Copy)]
struct Running {
    reference: RefId,
    /// Whether the peer waits for this answer alone.
    is_urgent: bool,
    /// Whether the reference counts it.
    is_counted: bool,
}

/// A function or an object of the peer.
#[derive(Debug, Default)]
struct Held {
    /// The number of times that the peer has given it and this side has not said to be without it.
    count: u32,
    /// The number of calls that carry it back and have no answer: the peer must have it until it has read them.
    pins: u32,
    /// The number of times that it is to be released as soon as it is not pinned.
    owed: u32,
}

/// The references of one side.
#[derive(Debug, Default)]
pub(crate) struct References {
    given: ById<RefId, Given>,
    last_id: u32,
    /// Whether ids have wrapped around: from then on each may have been given.
    has_wrapped: bool,
    /// The peer's references that this side holds.
    held: ById<RefId, Held>,
    running: ById<CallId, Running>,
    /// The peer's invocations that returned nothing, until the peer is told.
    heard: Vec<CallId>,
    /// The references that this side does not hold any more, until the peer is told.
    releases: Vec<(RefId, u32)>,
}

impl References {
    /// Enters something that is about to be sent for the first time.
    pub(crate) fn give(&mut self, is_revocable: bool) -> RefId {
        loop {
            let (id, wraps) = self.last_id.overflowing_add(1);
            self.last_id = id;
            self.has_wrapped |= wraps;
            let reference = RefId(id);
            if let Entry::Vacant(entry) = self.given.entry(reference) {
                entry.insert(Given { sends: 1, running: 0, is_revoked: false, is_revocable });
                return reference;
            }
        }
    }

    /// Notes that something is about to be sent once more; returns false if the table does not have it.
    pub(crate) fn give_again(&mut self, reference: RefId) -> bool {
        match self.given.get_mut(&reference) {
            Some(given) if !given.is_revoked && given.sends < u32::MAX => {
                given.sends += 1;
                true
            }
            _ => false,
        }
    }

    /// Takes in that the peer has given something back; returns whether it is gone.
    ///
    /// # Errors
    ///
    /// If the peer never had it so many times.
    pub(crate) fn give_back(&mut self, reference: RefId, count: u32) -> Result<bool, String> {
        let was_given = self.has_wrapped || (1..=self.last_id).contains(&reference.0);
        match self.given.get_mut(&reference) {
            Some(given) if count <= given.sends => {
                given.sends -= count;
                Ok(self.forget_unused(reference))
            }
            Some(_) => Err(format!("reference {} was released more often than it was sent", reference.0)),
            // It was revoked since: its release crossed that.
            None if was_given => Ok(false),
            None => Err(format!("reference {} was released, and was never sent", reference.0)),
        }
    }

    /// Takes back something that has not been sent after all; returns whether it is gone.
    pub(crate) fn take_back(&mut self, reference: RefId) -> bool {
        if let Some(given) = self.given.get_mut(&reference) {
            given.sends = given.sends.saturating_sub(1);
        }
        self.forget_unused(reference)
    }

    /// Has the peer's invocations of something refused from now on, if it ends with its call; returns whether it is
    /// gone.
    pub(crate) fn revoke(&mut self, reference: RefId) -> bool {
        if let Some(given) = self.given.get_mut(&reference).filter(|given| given.is_revocable) {
            given.is_revoked = true;
        }
        self.forget_unused(reference)
    }

    fn forget_unused(&mut self, reference: RefId) -> bool {
        let is_unused = |given: &Given| given.running == 0 && (given.sends == 0 || given.is_revoked);
        let is_gone = self.given.get(&reference).is_some_and(is_unused);
        if is_gone {
            self.given.remove(&reference);
        }
        is_gone
    }

    /// Returns whether the peer may invoke something.
    pub(crate) fn may_invoke(&self, reference: RefId) -> bool {
        self.given.get(&reference).is_some_and(|given| !given.is_revoked)
    }

    /// Takes in an invocation by the peer, whose id is free.
    pub(crate) fn invoke(&mut self, id: CallId, reference: RefId, is_urgent: bool) {
        let given = self.given.get_mut(&reference).filter(|given| !given.is_revoked);
        let is_counted = given.is_some();
        given.into_iter().for_each(|given| given.running += 1);
        self.running.insert(id, Running { reference, is_urgent, is_counted });
    }

    /// Notes that an invocation by the peer has an answer; returns what is gone with it.
    pub(crate) fn finish(&mut self, id: CallId) -> Option<RefId> {
        let Running { reference, is_counted, .. } = self.running.remove(&id)?;
        if is_counted && let Some(given) = self.given.get_mut(&reference) {
            given.running -= 1;
        }
        self.forget_unused(reference).then_some(reference)
    }

    /// Notes that an invocation by the peer, which has ended, returned nothing.
    pub(crate) fn hear(&mut self, id: CallId) {
        self.heard.push(id);
    }

    /// Returns whether an id is that of an invocation by the peer.
    pub(crate) fn is_running(&self, id: CallId) -> bool {
        self.running.contains_key(&id)
    }

    /// Returns whether the peer waits for the answer of an invocation, and for nothing else.
    pub(crate) fn is_urgent(&self, id: CallId) -> bool {
        self.running.get(&id).is_some_and(|running| running.is_urgent)
    }

    /// Returns how many invocations by the peer have no answer.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    /// Notes that the peer has given something.
    pub(crate) fn hold(&mut self, reference: RefId) {
        let held = self.held.entry(reference).or_default();
        held.count = held.count.saturating_add(1);
    }

    /// Returns whether this side holds something of the peer's.
    pub(crate) fn holds(&self, reference: RefId) -> bool {
        self.held.get(&reference).is_some_and(|held| held.count > held.owed)
    }

    /// Notes that this side holds something of the peer's no more, so many times.
    pub(crate) fn release(&mut self, reference: RefId, count: u32) {
        if let Some(held) = self.held.get_mut(&reference) {
            held.owed = held.owed.saturating_add(count).min(held.count);
            self.pay(reference);
        }
    }

    /// Keeps something of the peer's from being released while a call carries it.
    pub(crate) fn pin(&mut self, reference: RefId) {
        if let Some(held) = self.held.get_mut(&reference) {
            held.pins = held.pins.saturating_add(1);
        }
    }

    /// Takes that back: the call has an answer.
    pub(crate) fn unpin(&mut self, reference: RefId) {
        if let Some(held) = self.held.get_mut(&reference) {
            held.pins = held.pins.saturating_sub(1);
            self.pay(reference);
        }
    }

    /// Has the peer told of what is owed.
    fn pay(&mut self, reference: RefId) {
        let Some(held) = self.held.get_mut(&reference).filter(|held| held.pins == 0) else { return };
        let owed = std::mem::take(&mut held.owed);
        held.count -= owed;
        if held.count == 0 {
            self.held.remove(&reference);
        }
        if owed > 0 {
            self.releases.push((reference, owed));
        }
    }

    /// Takes out the invocations that returned nothing, and what this side does not hold any more.
    pub(crate) fn take_news(&mut self) -> (Vec<CallId>, Vec<(RefId, u32)>) {
        (std::mem::take(&mut self.heard), std::mem::take(&mut self.releases))
    }

    /// Returns whether there is something to tell the peer.
    pub(crate) fn has_news(&self) -> bool {
        !self.heard.is_empty() || !self.releases.is_empty()
    }

    /// Forgets everything: the session has ended.
    pub(crate) fn clear(&mut self) {
        self.given.clear();
        self.held.clear();
        self.running.clear();
        self.heard.clear();
        self.releases.clear();
    }

    /// The number of things that this side has given, and of the peer's things that it holds.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.given.len(), self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects an object that runs from the end of its last holder.
    #[test]
    fn what_runs_outlives_its_release() {
        let mut references = References::default();
        let reference = references.give(false);
        references.invoke(CallId(1), reference, false);
        assert_eq!(references.give_back(reference, 1), Ok(false), "it runs");
        assert_eq!(references.finish(CallId(1)), Some(reference));
        assert_eq!(references.counts(), (0, 0));
    }

    /// Protects this side from a peer that gives back more than it has.
    #[test]
    fn releases_that_nobody_owes_are_refused() {
        let mut references = References::default();
        let reference = references.give(false);
        assert!(references.give_again(reference));
        assert!(references.give_back(reference, 3).is_err());
        assert!(references.give_back(RefId(9), 1).is_err());
        assert!(references.give_back(RefId(0), 1).is_err());
        assert_eq!(references.give_back(reference, 1), Ok(false));
        assert_eq!(references.give_back(reference, 1), Ok(true));
    }

    /// Protects the page from the callbacks of a call that it has given up.
    #[test]
    fn what_is_revoked_is_gone_and_its_late_release_does_no_harm() {
        let mut references = References::default();
        let reference = references.give(true);
        references.invoke(CallId(1), reference, false);
        assert!(!references.revoke(reference), "an invocation runs");
        assert!(!references.may_invoke(reference));
        assert!(!references.give_again(reference), "it is never given again");
        references.invoke(CallId(2), reference, false);
        assert_eq!(references.finish(CallId(2)), None, "one that was refused keeps nothing alive");
        assert_eq!(references.finish(CallId(1)), Some(reference));
        assert_eq!(references.give_back(reference, 1), Ok(false));
        let handle = references.give(false);
        assert!(
            !references.revoke(handle) && references.may_invoke(handle),
            "an object has its holders' life"
        );
    }

    /// Protects an object from a holder of an earlier one with the same id.
    #[test]
    fn ids_that_wrap_around_pass_over_those_in_use() {
        let mut references = References::default();
        let first = references.give(false);
        references.last_id = u32::MAX;
        let (zero, next) = (references.give(false), references.give(false));
        assert_eq!((zero, next), (RefId(0), RefId(2)));
        assert_ne!(first, next);
        assert_eq!(references.give_back(RefId(7), 1), Ok(false), "it may have been given before");
    }

    /// Protects an object that travels back to its owner while its holder drops it.
    #[test]
    fn what_a_call_carries_is_released_after_its_answer() {
        let mut references = References::default();
        references.hold(RefId(4));
        references.pin(RefId(4));
        references.release(RefId(4), 1);
        assert!(!references.holds(RefId(4)) && !references.has_news());
        references.unpin(RefId(4));
        assert_eq!(references.take_news().1, [(RefId(4), 1)]);
        assert_eq!(references.counts(), (0, 0));
    }

    /// Protects a holder that got something again while its release was on the way.
    #[test]
    fn what_is_held_twice_is_released_twice() {
        let mut references = References::default();
        references.hold(RefId(4));
        references.hold(RefId(4));
        references.release(RefId(4), 1);
        assert!(references.holds(RefId(4)));
        references.release(RefId(4), 5);
        references.release(RefId(4), 1);
        assert_eq!(references.take_news().1, [(RefId(4), 1), (RefId(4), 1)]);
        assert!(!references.holds(RefId(4)) && !references.has_news());
    }
}
