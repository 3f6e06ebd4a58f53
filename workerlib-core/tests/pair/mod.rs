//! Both sides of a connection and the two wires between them, in the hands of a test.

// It is compiled into each file of tests, and no file uses all of it.
#![allow(dead_code)]

use std::collections::VecDeque;
use std::iter;

use workerlib_core::{Arrived, CallId, Event, Message, Peer, Request, Session, SessionError};

/// Two connected sessions; side 0 has said Hello.
pub(crate) struct Pair {
    pub(crate) sides: [Session<u32>; 2],
    /// The messages that each side has sent and the other has not received.
    pub(crate) wires: [VecDeque<Message<u32>>; 2],
}

impl Pair {
    /// Opens a connection between two sides that take `window` calls and make `max_in_flight`.
    pub(crate) fn new(window: u32, max_in_flight: usize) -> Self {
        Self::with_windows(window, max_in_flight, workerlib_core::INVOKE_WINDOW)
    }

    /// Does the same between sides that take so many invocations.
    pub(crate) fn with_windows(window: u32, max_in_flight: usize, invoke_window: u32) -> Self {
        let peer = || Peer::local("test").with_window(window).with_invoke_window(invoke_window);
        let sides = [Session::connect(peer()), Session::listen(peer())];
        let mut pair = Self::between(sides.map(|side| side.limit_in_flight(max_in_flight)));
        assert!(pair.sides.iter().all(Session::is_open));
        pair.events(0);
        pair.events(1);
        pair
    }

    /// Lets two sides say what they have to say.
    pub(crate) fn between(sides: [Session<u32>; 2]) -> Self {
        let mut pair = Self { sides, wires: [VecDeque::new(), VecDeque::new()] };
        pair.settle();
        pair
    }

    /// Puts what a side wants to send on its wire.
    pub(crate) fn transmit(&mut self, side: usize) {
        while let Some(message) = self.sides[side].poll_transmit() {
            self.wires[side].push_back(message);
        }
    }

    /// Delivers one message that the other side sent, if there is one.
    pub(crate) fn deliver(&mut self, side: usize) -> bool {
        let Some(message) = self.wires[1 - side].pop_front() else { return false };
        self.sides[side].handle_message(message);
        self.transmit(side);
        true
    }

    /// Delivers all messages, and those that they cause.
    pub(crate) fn settle(&mut self) {
        self.transmit(0);
        self.transmit(1);
        while self.deliver(0) || self.deliver(1) {}
    }

    /// Takes a side's events out.
    pub(crate) fn events(&mut self, side: usize) -> Vec<Event<u32>> {
        iter::from_fn(|| self.sides[side].poll_event()).collect()
    }

    /// Sends a call whose turn has come; the payload is its own id.
    pub(crate) fn send(&mut self, side: usize, id: CallId, reports_start: bool) {
        let request = Request::new("f", 0);
        let request = if reports_start { request.reporting_start() } else { request };
        let sent = self.sides[side].send::<SessionError>(id, &request, |_| Ok(id.0));
        sent.expect("it is the call's turn");
        self.transmit(side);
    }

    /// Starts every call that waits at a side.
    pub(crate) fn start_all(&mut self, side: usize) -> Vec<Arrived<u32>> {
        let started = iter::from_fn(|| self.sides[side].poll_call()).collect();
        self.transmit(side);
        started
    }
}
