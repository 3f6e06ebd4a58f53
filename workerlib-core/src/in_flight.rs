//! The table of this side's calls that have no answer yet, and nothing else.

use std::collections::BinaryHeap;
use std::collections::hash_map::Entry;

use crate::by_id::ById;
use crate::message::{CallId, RefId};
use crate::streams::Credit;

/// The progress of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It waits until fewer calls are in flight.
    InLine,
    /// It may be sent: its driver makes the payload.
    Ready,
    /// Its payload is made, and it waits for room in the peer's window.
    Queued,
    /// It takes up room in the peer's window.
    Sent,
    /// The peer has said that it runs.
    Started,
}

impl Stage {
    /// Returns whether the peer has the call.
    pub(crate) fn is_sent(self) -> bool {
        matches!(self, Self::Sent | Self::Started)
    }
}

/// A call without an answer.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// Counts the calls of the session: the id cannot tell a call's age, because it wraps around.
    serial: u64,
    /// Its progress.
    pub(crate) stage: Stage,
    /// Its place in the line, if it is in line or queued.
    pub(crate) ticket: u64,
    /// Whether somebody waits for the answer.
    pub(crate) is_wanted: bool,
    /// Whether the peer has been asked to cancel it.
    pub(crate) is_cancelled: bool,
    /// Whether the driver asked to be told of its start.
    pub(crate) reports_start: bool,
    /// The part of the peer's window that it takes up once it is sent.
    pub(crate) weight: u32,
    /// The credit of the stream that it is to return, if it is to return one.
    pub(crate) credit: Option<Credit>,
    /// The references that were given to the peer with it.
    pub(crate) gives: Vec<RefId>,
    /// The references of the peer's that it carries.
    pub(crate) carries: Vec<RefId>,
    /// Whether it is an invocation, for which there is a window of its own.
    pub(crate) is_invocation: bool,
}

/// The calls of one side that have no answer yet.
///
/// A call that nobody waits for any more stays here until its answer arrives, so that its id is not given to
/// another call that the late answer would then settle.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    calls: ById<CallId, Call>,
    entered: u64,
    last_id: u32,
    invocations: usize,
}

impl InFlight {
    /// Enters a new call and returns its id, which no other call in flight has.
    pub(crate) fn enter(&mut self, stage: Stage) -> CallId {
        self.entered += 1;
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let id = CallId(self.last_id);
            if let Entry::Vacant(entry) = self.calls.entry(id) {
                entry.insert(Call {
                    serial: self.entered,
                    stage,
                    ticket: 0,
                    is_wanted: true,
                    is_cancelled: false,
                    reports_start: false,
                    weight: 1,
                    credit: None,
                    gives: Vec::new(),
                    carries: Vec::new(),
                    is_invocation: false,
                });
                return id;
            }
        }
    }

    /// Enters an invocation and returns its id.
    pub(crate) fn enter_invocation(&mut self) -> CallId {
        let id = self.enter(Stage::Sent);
        if let Some(call) = self.calls.get_mut(&id) {
            (call.is_invocation, call.weight) = (true, 0);
            self.invocations += 1;
        }
        id
    }

    /// The number of invocations without an answer.
    pub(crate) fn invocations(&self) -> usize {
        self.invocations
    }

    /// Returns the call with which something was given, if it has no answer yet.
    pub(crate) fn call_given(&self, reference: RefId) -> Option<CallId> {
        self.calls.iter().find(|(_, call)| call.gives.contains(&reference)).map(|(&id, _)| id)
    }

    /// Returns whether a call has no answer yet.
    pub(crate) fn contains(&self, id: CallId) -> bool {
        self.calls.contains_key(&id)
    }

    /// Returns a call.
    pub(crate) fn get(&self, id: CallId) -> Option<&Call> {
        self.calls.get(&id)
    }

    /// Returns a call, to be changed.
    pub(crate) fn get_mut(&mut self, id: CallId) -> Option<&mut Call> {
        self.calls.get_mut(&id)
    }

    /// Takes a call out.
    pub(crate) fn remove(&mut self, id: CallId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        self.invocations -= usize::from(call.is_invocation);
        Some(call)
    }

    /// Takes every call out and returns those that somebody waits for, the oldest first.
    pub(crate) fn drain(&mut self) -> Vec<CallId> {
        let wanted = self.calls.drain().filter(|(_, call)| call.is_wanted);
        // A heap sorts by a tenth of the code of `sort`, which every visitor of a page fetches.
        let wanted: BinaryHeap<_> = wanted.map(|(id, call)| (call.serial, id)).collect();
        self.invocations = 0;
        wanted.into_sorted_vec().into_iter().map(|(_, id)| id).collect()
    }

    /// The number of calls without an answer, those that nobody waits for included.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects the tie between an answer and its call after 2³² calls.
    #[test]
    fn an_id_in_flight_is_not_given_again_after_wrapping() {
        let mut calls = InFlight::default();
        let first = calls.enter(Stage::Ready);
        calls.last_id = u32::MAX;
        let wrapped = calls.enter(Stage::Ready);
        let next = calls.enter(Stage::Ready);
        assert_eq!(wrapped, CallId(0));
        assert_ne!(next, first, "the first call is still in flight");
        assert_eq!(calls.drain(), [first, wrapped, next], "oldest first, across the wrap");
        assert_eq!(calls.len(), 0);
    }

    /// Protects later calls from the late answer of one that was given up.
    #[test]
    fn a_call_that_nobody_wants_keeps_its_id() {
        let mut calls = InFlight::default();
        let id = calls.enter(Stage::Sent);
        calls.get_mut(id).expect("it is in flight").is_wanted = false;
        calls.last_id = id.0 - 1;
        assert_ne!(calls.enter(Stage::Ready), id);
        assert_eq!(calls.remove(id).map(|call| call.stage), Some(Stage::Sent));
        assert_eq!(calls.drain().len(), 1);
    }
}
