//! The table of the peer's calls that this side has not answered yet, and nothing else.
//!
//! A call waits here until the driver has time to start it. The peer may have as many calls here that it has not heard
//! of as its window allows. A running call takes up room too until the peer is told, which is done for several
//! calls at a time.

use std::collections::hash_map::Entry;

use crate::by_id::ById;
use crate::line::Line;
use crate::message::CallId;
use crate::streams::Credit;

/// A call that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrived<P> {
    /// Names the call.
    pub id: CallId,
    /// The function's name.
    pub function: String,
    /// The arguments.
    pub payload: P,
    /// Whether the peer wants to be told when it starts.
    pub reports_start: bool,
    /// The credit that the stream starts with, if the call is to return one.
    pub credit: Option<Credit>,
    /// The trace that the call belongs to, if its caller has one.
    pub trace: Option<String>,
}

/// The effect of a cancel by the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cancelled<P> {
    /// The call had not started, and never will; these were its arguments.
    Waiting(P),
    /// The call runs.
    Running,
    /// There is no such call: the answer is on its way.
    Nothing,
}

/// The progress of a call of the peer.
#[derive(Debug)]
enum Stage {
    /// It waits to be started, with that ticket.
    Waiting(u64),
    Running {
        /// Whether the peer has cancelled it.
        is_cancelled: bool,
        /// Whether the peer knows that it runs.
        is_reported: bool,
        /// The credit of the stream that it is to return, if it is to return one.
        credit: Option<Credit>,
    },
}

/// The calls of the peer that have no answer yet.
#[derive(Debug)]
pub(crate) struct Serving<P> {
    window: usize,
    calls: ById<CallId, Stage>,
    waiting: Line<Arrived<P>>,
    /// The calls that were started and not reported, in order, and some that have ended since.
    started: Vec<CallId>,
    /// The number of these that still run and are unknown to the peer.
    unreported: usize,
}

impl<P> Serving<P> {
    /// Makes the table of a side that takes so many calls which have not started.
    pub(crate) fn new(window: u32) -> Self {
        Self {
            window: window as usize,
            calls: ById::default(),
            waiting: Line::default(),
            started: Vec::new(),
            unreported: 0,
        }
    }

    /// Takes in a call.
    ///
    /// # Errors
    ///
    /// If the peer may not make it; the text says why.
    pub(crate) fn arrive(&mut self, call: Arrived<P>) -> Result<(), String> {
        let is_full = self.waiting.len() + self.unreported >= self.window;
        match self.calls.entry(call.id) {
            Entry::Occupied(_) => Err(format!("call {} was started twice", call.id.0)),
            Entry::Vacant(_) if is_full => {
                Err(format!("more calls at once than the window of {}", self.window))
            }
            Entry::Vacant(entry) => {
                entry.insert(Stage::Waiting(self.waiting.push(call)));
                Ok(())
            }
        }
    }

    /// Takes in an invocation, which runs at once and takes up no room in the window.
    ///
    /// # Errors
    ///
    /// If its id is taken; the text says so.
    pub(crate) fn run(&mut self, id: CallId) -> Result<(), String> {
        match self.calls.entry(id) {
            Entry::Occupied(_) => Err(format!("call {} was started twice", id.0)),
            Entry::Vacant(entry) => {
                entry.insert(Stage::Running { is_cancelled: false, is_reported: true, credit: None });
                Ok(())
            }
        }
    }

    /// Takes out the call to start next, and the calls of whose start the peer is to be told now.
    pub(crate) fn start(&mut self) -> Option<(Arrived<P>, Vec<CallId>)> {
        let call = self.waiting.pop()?;
        let is_reported = call.reports_start;
        let credit = call.credit;
        self.calls.insert(call.id, Stage::Running { is_cancelled: false, is_reported, credit });
        if is_reported {
            let id = call.id;
            return Some((call, vec![id]));
        }
        self.started.push(call.id);
        self.unreported += 1;
        // An answer tells as much, so calls that return at once are never reported.
        let is_time = self.unreported >= (self.window / 2).max(1);
        let reported = if is_time { self.report() } else { Vec::new() };
        Some((call, reported))
    }

    /// Takes the calls of which the peer does not know that they run, in the order of their start.
    fn report(&mut self) -> Vec<CallId> {
        let calls = &mut self.calls;
        let mut is_news = |id: &CallId| match calls.get_mut(id) {
            // An id may stand there twice, if another call has it now.
            Some(Stage::Running { is_reported, .. }) => !std::mem::replace(is_reported, true),
            _ => false,
        };
        self.unreported = 0;
        self.started.drain(..).filter(|id| is_news(id)).collect()
    }

    /// Notes that the peer cancels a call.
    pub(crate) fn cancel(&mut self, id: CallId) -> Cancelled<P> {
        match self.calls.get_mut(&id) {
            Some(Stage::Running { is_cancelled, .. }) => {
                *is_cancelled = true;
                Cancelled::Running
            }
            Some(&mut Stage::Waiting(ticket)) => {
                self.calls.remove(&id);
                let waiting = self.waiting.remove(ticket);
                waiting.map_or(Cancelled::Nothing, |call| Cancelled::Waiting(call.payload))
            }
            None => Cancelled::Nothing,
        }
    }

    /// Returns the credit of the stream that a running call is to return, if it is to return one.
    pub(crate) fn credit(&self, id: CallId) -> Option<Credit> {
        match self.calls.get(&id) {
            Some(Stage::Running { credit, .. }) => *credit,
            _ => None,
        }
    }

    /// Returns whether a call runs that the peer has cancelled.
    pub(crate) fn is_cancelled(&self, id: CallId) -> bool {
        matches!(self.calls.get(&id), Some(Stage::Running { is_cancelled: true, .. }))
    }

    /// Returns whether a call runs.
    pub(crate) fn is_running(&self, id: CallId) -> bool {
        matches!(self.calls.get(&id), Some(Stage::Running { .. }))
    }

    /// Takes out a call that has ended; returns whether it was running.
    pub(crate) fn finish(&mut self, id: CallId) -> bool {
        let Entry::Occupied(entry) = self.calls.entry(id) else { return false };
        let Stage::Running { is_reported, .. } = *entry.get() else { return false };
        entry.remove();
        if !is_reported {
            self.unreported -= 1;
            if self.started.len() > 2 * self.unreported + 16 {
                let calls = &self.calls;
                let runs =
                    |id: &CallId| matches!(calls.get(id), Some(Stage::Running { is_reported: false, .. }));
                self.started.retain(runs);
            }
        }
        true
    }

    /// Returns the payloads of the calls that have not started.
    pub(crate) fn payloads(&self) -> impl Iterator<Item = &P> {
        self.waiting.iter().map(|call| &call.payload)
    }

    /// Forgets every call.
    pub(crate) fn clear(&mut self) {
        self.calls.clear();
        self.waiting.clear();
        self.started.clear();
        self.unreported = 0;
    }

    /// The number of calls that wait to be started.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of calls without an answer.
    pub(crate) fn len(&self) -> usize {
        self.calls.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u32, reports_start: bool) -> Arrived<()> {
        Arrived {
            id: CallId(id),
            function: "f".into(),
            payload: (),
            reports_start,
            credit: None,
            trace: None,
        }
    }

    /// Protects the peer's window from calls that run on.
    #[test]
    fn starts_are_reported_when_half_the_window_is_taken_up() {
        let mut serving = Serving::new(4);
        for id in 1..=3 {
            serving.arrive(call(id, false)).expect("the window is 4");
        }
        let mut reports = Vec::new();
        while let Some((_, reported)) = serving.start() {
            reports.push(reported);
        }
        assert_eq!(reports, [vec![], vec![CallId(1), CallId(2)], vec![]]);
    }

    /// Protects short calls from a second message for each.
    #[test]
    fn calls_that_end_at_once_are_never_reported() {
        let mut serving = Serving::new(4);
        for id in 1..=20 {
            serving.arrive(call(id, false)).expect("none is under way");
            assert_eq!(serving.start().map(|(_, reported)| reported), Some(vec![]));
            assert!(serving.finish(CallId(id)));
        }
    }

    /// Protects timeouts, which begin when the peer says that a call runs.
    #[test]
    fn what_asks_for_it_is_reported_at_once() {
        let mut serving = Serving::new(8);
        serving.arrive(call(1, true)).expect("the window is 8");
        assert_eq!(serving.start().map(|(_, reported)| reported), Some(vec![CallId(1)]));
        assert!(serving.finish(CallId(1)));
        assert!(!serving.finish(CallId(1)), "it has ended");
    }

    /// Protects this side from a peer that holds to no window.
    #[test]
    fn the_window_and_ids_that_are_taken_are_held_to() {
        let mut serving = Serving::new(2);
        serving.arrive(call(1, false)).expect("the first");
        assert!(serving.arrive(call(1, false)).is_err(), "taken by one that waits");
        serving.start();
        assert!(serving.arrive(call(1, false)).is_err(), "taken by one that runs");
        serving.arrive(call(2, false)).expect("the first was reported");
        serving.arrive(call(3, false)).expect("the second in the window");
        assert!(serving.arrive(call(4, false)).is_err(), "the window is full");
    }

    /// Protects memory: calls that end at once are never reported, and leave nothing behind while others run.
    #[test]
    fn calls_that_have_ended_leave_nothing_behind() {
        let mut serving = Serving::new(64);
        for id in 0..10_000 {
            serving.arrive(call(id, false)).expect("few are under way");
            serving.start();
            if id >= 8 {
                assert!(serving.finish(CallId(id)));
            }
        }
        assert!(serving.started.len() < 64, "{}", serving.started.len());
        assert_eq!(serving.report(), (0..8).map(CallId).collect::<Vec<_>>());
    }

    /// Protects the report of an id that was used, answered and used again.
    #[test]
    fn an_id_that_comes_again_is_reported_once() {
        let mut serving = Serving::new(64);
        for _ in 0..3 {
            serving.arrive(call(1, false)).expect("it was answered");
            serving.start();
            serving.finish(CallId(1));
        }
        serving.arrive(call(1, false)).expect("it was answered");
        serving.start();
        assert_eq!(serving.report(), [CallId(1)]);
    }
}
