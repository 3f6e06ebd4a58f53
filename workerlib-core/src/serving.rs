//! The table of the peer's calls that this side has not answered yet, and nothing else.
//!
//! A call waits here until the driver has time to start it; the peer may have as many calls here that it
//! has not heard of as its window allows. Those that run take up room too until the peer is told, which is
//! done for several at a time.

use std::collections::{HashMap, VecDeque};

use crate::CallId;

/// A call that has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived<P> {
    /// Names the call.
    pub id: CallId,
    /// The function's name.
    pub function: String,
    /// The arguments.
    pub payload: P,
    /// Whether the peer wants to be told when it starts.
    pub reports_start: bool,
}

/// What a cancel of the peer's meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cancelled {
    /// A call that had not started, and never will.
    Waiting,
    /// A call that runs.
    Running,
    /// Nothing: the answer is on its way.
    Nothing,
}

/// The calls of the peer that have no answer yet.
#[derive(Debug)]
pub(crate) struct Serving<P> {
    window: usize,
    waiting: VecDeque<Arrived<P>>,
    /// Those that run, and whether the peer has cancelled them.
    running: HashMap<CallId, bool>,
    /// Those of them that the peer does not know to run.
    unreported: Vec<CallId>,
}

impl<P> Serving<P> {
    /// Makes the table of a side that takes so many calls which have not started.
    pub(crate) fn new(window: u32) -> Self {
        Self {
            window: window as usize,
            waiting: VecDeque::new(),
            running: HashMap::new(),
            unreported: Vec::new(),
        }
    }

    /// Takes in a call.
    ///
    /// # Errors
    ///
    /// If the peer may not make it; the text says why.
    pub(crate) fn arrive(&mut self, call: Arrived<P>) -> Result<(), String> {
        if self.running.contains_key(&call.id) || self.waiting.iter().any(|other| other.id == call.id) {
            return Err(format!("call {} was started twice", call.id.0));
        }
        if self.waiting.len() + self.unreported.len() >= self.window {
            return Err(format!("more calls at once than the window of {}", self.window));
        }
        self.waiting.push_back(call);
        Ok(())
    }

    /// Takes out the call to start next, and the calls of whose start the peer is to be told now.
    pub(crate) fn start(&mut self) -> Option<(Arrived<P>, Vec<CallId>)> {
        let call = self.waiting.pop_front()?;
        self.running.insert(call.id, false);
        if call.reports_start {
            let id = call.id;
            return Some((call, vec![id]));
        }
        self.unreported.push(call.id);
        // An answer tells as much, so calls that return at once are never reported.
        let is_time = self.unreported.len() >= (self.window / 2).max(1);
        let reported = if is_time { std::mem::take(&mut self.unreported) } else { Vec::new() };
        Some((call, reported))
    }

    /// Notes that the peer cancels a call.
    pub(crate) fn cancel(&mut self, id: CallId) -> Cancelled {
        if let Some(is_cancelled) = self.running.get_mut(&id) {
            *is_cancelled = true;
            return Cancelled::Running;
        }
        match self.waiting.iter().position(|call| call.id == id) {
            Some(index) => {
                self.waiting.remove(index);
                Cancelled::Waiting
            }
            None => Cancelled::Nothing,
        }
    }

    /// Returns whether a call runs that the peer has cancelled.
    pub(crate) fn is_cancelled(&self, id: CallId) -> bool {
        self.running.get(&id).is_some_and(|&is_cancelled| is_cancelled)
    }

    /// Takes out a call that has ended; returns whether it was running.
    pub(crate) fn finish(&mut self, id: CallId) -> bool {
        self.unreported.retain(|&other| other != id);
        self.running.remove(&id).is_some()
    }

    /// Forgets every call.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.running.clear();
        self.unreported.clear();
    }

    /// The number of calls without an answer.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(id: u32, reports_start: bool) -> Arrived<()> {
        Arrived { id: CallId(id), function: "f".into(), payload: (), reports_start }
    }

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

    #[test]
    fn calls_that_end_at_once_are_never_reported() {
        let mut serving = Serving::new(4);
        for id in 1..=20 {
            serving.arrive(call(id, false)).expect("none is under way");
            assert_eq!(serving.start().map(|(_, reported)| reported), Some(vec![]));
            assert!(serving.finish(CallId(id)));
        }
    }

    #[test]
    fn what_asks_for_it_is_reported_at_once() {
        let mut serving = Serving::new(8);
        serving.arrive(call(1, true)).expect("the window is 8");
        assert_eq!(serving.start().map(|(_, reported)| reported), Some(vec![CallId(1)]));
        assert!(serving.finish(CallId(1)));
        assert!(!serving.finish(CallId(1)), "it has ended");
    }

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
}
