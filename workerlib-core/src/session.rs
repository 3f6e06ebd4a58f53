//! The state of one side of a connection.
//!
//! Invariants: each call settles exactly once (a return, a raise, a cancel by its caller, or the close of
//! the session); an id is not given again while its call is in flight; after the close nothing is sent.
//! A peer that breaks the protocol cannot make this side panic: the session closes and says why.

use std::collections::{HashSet, VecDeque};

use crate::{CallId, InFlight, Message, PROTOCOL, Peer};

/// Why a local intent cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The handshake has not ended yet.
    #[error("the connection is not open yet")]
    NotOpen,
    /// The session has ended.
    #[error("the connection is closed: {0}")]
    Closed(CloseReason),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("{0}")]
    Local(String),
    /// The peer closed it.
    #[error("the other side closed it ({0})")]
    Peer(String),
    /// The peer speaks another protocol.
    #[error(
        "the other side speaks protocol {theirs}, this side speaks {ours}: install the same workerlib on both"
    )]
    Protocol {
        /// This side's protocol.
        ours: u32,
        /// The peer's protocol.
        theirs: u32,
    },
    /// The peer sent what cannot be right.
    #[error("the other side broke the protocol: {0}")]
    Violation(String),
}

/// Something that the driver must tell its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<P> {
    /// The handshake ended: calls may be made.
    Opened(Peer),
    /// The peer calls a function; the driver answers with [`Session::finish`].
    Call {
        /// Names the call.
        id: CallId,
        /// The function's name.
        function: String,
        /// The arguments.
        payload: P,
    },
    /// The peer no longer wants the result of its call.
    Cancel {
        /// The call that the peer made.
        id: CallId,
    },
    /// A call of this side returned.
    Return {
        /// The call.
        id: CallId,
        /// The result.
        payload: P,
    },
    /// A call of this side raised.
    Raise {
        /// The call.
        id: CallId,
        /// The exception.
        payload: P,
    },
    /// The session ended, and with it the calls of this side that had no answer, the oldest first.
    Closed {
        /// Why.
        reason: CloseReason,
        /// The calls that will have no answer.
        lost: Vec<CallId>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Waits for the peer's Hello.
    Listening,
    /// Sent its Hello, waits for the answer.
    Connecting,
    Open,
    Closed(CloseReason),
}

/// One side of a connection; `P` is what calls and answers carry.
#[derive(Debug)]
pub struct Session<P> {
    state: State,
    local: Peer,
    in_flight: InFlight,
    serving: HashSet<CallId>,
    transmits: VecDeque<Message<P>>,
    events: VecDeque<Event<P>>,
}

impl<P> Session<P> {
    /// Creates the side that speaks first.
    pub fn connect(local: Peer) -> Self {
        let mut session = Self::new(State::Connecting, local.clone());
        session.transmits.push_back(Message::Hello(local));
        session
    }

    /// Creates the side that waits for the other's first word.
    pub fn listen(local: Peer) -> Self {
        Self::new(State::Listening, local)
    }

    fn new(state: State, local: Peer) -> Self {
        Self {
            state,
            local,
            in_flight: InFlight::default(),
            serving: HashSet::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Returns whether calls can be made.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The number of this side's calls that have no answer yet, cancelled ones included.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The number of the peer's calls that this side has not answered yet.
    pub fn serving(&self) -> usize {
        self.serving.len()
    }

    /// Starts a call; `payload` makes its arguments once the id is known.
    ///
    /// # Errors
    ///
    /// If the session is not open, or with the error of `payload`, after which no call is in flight.
    pub fn call<E: From<SessionError>>(
        &mut self,
        function: &str,
        payload: impl FnOnce(CallId) -> Result<P, E>,
    ) -> Result<CallId, E> {
        self.check_open()?;
        let id = self.in_flight.start();
        match payload(id) {
            Ok(payload) => {
                let function = function.to_owned();
                self.transmits.push_back(Message::Call { id, function, payload });
                Ok(id)
            }
            Err(error) => {
                self.in_flight.settle(id);
                Err(error)
            }
        }
    }

    /// Gives up a call of this side: its answer will be dropped, and the peer is told.
    ///
    /// Returns whether it was waited for; a call that was settled before is not an error, because a cancel
    /// may cross the answer.
    pub fn cancel(&mut self, id: CallId) -> bool {
        let waiting = self.in_flight.cancel(id);
        if waiting {
            self.transmits.push_back(Message::Cancel { id });
        }
        waiting
    }

    /// Answers a call of the peer with a result, or with an exception.
    ///
    /// Returns false where there is nothing to answer: the call was answered before, or the session ended.
    pub fn finish(&mut self, id: CallId, outcome: Result<P, P>) -> bool {
        let expected = self.serving.remove(&id);
        if expected {
            self.transmits.push_back(match outcome {
                Ok(payload) => Message::Return { id, payload },
                Err(payload) => Message::Raise { id, payload },
            });
        }
        expected
    }

    /// Ends the session from this side and tells the peer.
    pub fn close(&mut self, reason: &str) {
        if !matches!(self.state, State::Closed(_)) {
            self.end(CloseReason::Local(reason.to_owned()));
            self.transmits.push_back(Message::Close { reason: reason.to_owned() });
        }
    }

    /// Ends the session because the peer sent bytes that cannot be right, and tells the peer.
    pub fn fail(&mut self, violation: &str) {
        if !matches!(self.state, State::Closed(_)) {
            self.end(CloseReason::Violation(violation.to_owned()));
            let reason = format!("protocol violation: {violation}");
            self.transmits.push_back(Message::Close { reason });
        }
    }

    /// Takes in what the peer sent.
    pub fn handle_message(&mut self, message: Message<P>) {
        match (&self.state, message) {
            // What was under way when one side closed is no violation.
            (State::Closed(_), _) => {}
            (_, Message::Close { reason }) => self.end(CloseReason::Peer(reason)),
            (State::Listening, Message::Hello(peer)) => self.handle_hello(peer),
            (State::Connecting, Message::Welcome(peer)) => self.handle_welcome(peer),
            (State::Connecting, Message::Refuse { protocol, reason }) => {
                self.end(if protocol == self.local.protocol {
                    CloseReason::Peer(reason)
                } else {
                    CloseReason::Protocol { ours: self.local.protocol, theirs: protocol }
                });
            }
            (State::Open, Message::Call { id, function, payload }) => {
                if self.serving.insert(id) {
                    self.events.push_back(Event::Call { id, function, payload });
                } else {
                    self.fail(&format!("call {} was started twice", id.0));
                }
            }
            (State::Open, Message::Cancel { id }) => {
                // An unknown id is a cancel that crossed the answer.
                if self.serving.contains(&id) {
                    self.events.push_back(Event::Cancel { id });
                }
            }
            (State::Open, Message::Return { id, payload }) => {
                if self.in_flight.settle(id) {
                    self.events.push_back(Event::Return { id, payload });
                }
            }
            (State::Open, Message::Raise { id, payload }) => {
                if self.in_flight.settle(id) {
                    self.events.push_back(Event::Raise { id, payload });
                }
            }
            (State::Open, Message::Hello(_) | Message::Welcome(_) | Message::Refuse { .. }) => {
                self.fail("a second handshake on one connection");
            }
            (State::Listening | State::Connecting, _) => {
                self.fail("a message before the handshake");
            }
        }
    }

    /// Takes out the next message to send, if there is one.
    pub fn poll_transmit(&mut self) -> Option<Message<P>> {
        self.transmits.pop_front()
    }

    /// Takes out the next event, if there is one.
    pub fn poll_event(&mut self) -> Option<Event<P>> {
        self.events.pop_front()
    }

    fn check_open(&self) -> Result<(), SessionError> {
        match &self.state {
            State::Open => Ok(()),
            State::Closed(reason) => Err(SessionError::Closed(reason.clone())),
            State::Listening | State::Connecting => Err(SessionError::NotOpen),
        }
    }

    fn handle_hello(&mut self, peer: Peer) {
        if peer.protocol == self.local.protocol {
            self.state = State::Open;
            self.transmits.push_back(Message::Welcome(self.local.clone()));
            self.events.push_back(Event::Opened(peer));
        } else {
            let (ours, theirs) = (self.local.protocol, peer.protocol);
            let reason = CloseReason::Protocol { ours, theirs };
            self.transmits.push_back(Message::Refuse { protocol: ours, reason: reason.to_string() });
            self.end(reason);
        }
    }

    fn handle_welcome(&mut self, peer: Peer) {
        if peer.protocol == self.local.protocol {
            self.state = State::Open;
            self.events.push_back(Event::Opened(peer));
        } else {
            let reason = CloseReason::Protocol { ours: self.local.protocol, theirs: peer.protocol };
            self.transmits.push_back(Message::Close { reason: reason.to_string() });
            self.end(reason);
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed(reason.clone());
        self.serving.clear();
        // Calls that nobody has sent yet will never be sent.
        self.transmits.retain(|message| !matches!(message, Message::Call { .. } | Message::Cancel { .. }));
        let lost = self.in_flight.drain();
        self.events.push_back(Event::Closed { reason, lost });
    }
}

impl Peer {
    /// Describes this side: the protocol is [`PROTOCOL`].
    pub fn local(version: &str, exports: Vec<crate::Export>) -> Self {
        Self { protocol: PROTOCOL, version: version.to_owned(), exports }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Both sides of a connection and the two wires between them.
    struct Pair {
        sides: [Session<u32>; 2],
        wires: [VecDeque<Message<u32>>; 2],
    }

    impl Pair {
        fn new() -> Self {
            let peer = || Peer::local("test", Vec::new());
            let mut pair = Self {
                sides: [Session::connect(peer()), Session::listen(peer())],
                wires: [VecDeque::new(), VecDeque::new()],
            };
            pair.settle();
            assert!(pair.sides.iter().all(Session::is_open));
            pair.events(0);
            pair.events(1);
            pair
        }

        /// Puts what a side wants to send on its wire.
        fn transmit(&mut self, side: usize) {
            while let Some(message) = self.sides[side].poll_transmit() {
                self.wires[side].push_back(message);
            }
        }

        /// Delivers one message that the other side sent, if there is one.
        fn deliver(&mut self, side: usize) -> bool {
            let message = self.wires[1 - side].pop_front();
            let delivered = message.is_some();
            if let Some(message) = message {
                self.sides[side].handle_message(message);
            }
            self.transmit(side);
            delivered
        }

        fn settle(&mut self) {
            self.transmit(0);
            self.transmit(1);
            while self.deliver(0) || self.deliver(1) {}
        }

        fn events(&mut self, side: usize) -> Vec<Event<u32>> {
            std::iter::from_fn(|| self.sides[side].poll_event()).collect()
        }

        fn call(&mut self, side: usize, payload: u32) -> CallId {
            let id =
                self.sides[side].call::<SessionError>("f", |_| Ok(payload)).expect("the session is open");
            self.transmit(side);
            id
        }
    }

    #[test]
    fn a_call_is_answered_by_its_id_in_any_order() {
        let mut pair = Pair::new();
        let first = pair.call(0, 1);
        let second = pair.call(0, 2);
        pair.settle();
        assert_eq!(pair.sides[1].serving(), 2);
        pair.sides[1].finish(second, Ok(20));
        pair.sides[1].finish(first, Err(10));
        pair.settle();
        assert_eq!(
            pair.events(0),
            [Event::Return { id: second, payload: 20 }, Event::Raise { id: first, payload: 10 }]
        );
        assert_eq!((pair.sides[0].in_flight(), pair.sides[1].serving()), (0, 0));
    }

    #[test]
    fn a_payload_that_cannot_be_made_leaves_no_call_behind() {
        let mut pair = Pair::new();
        let refused: Result<_, SessionError> = pair.sides[0].call("f", |_| Err(SessionError::NotOpen));
        assert!(refused.is_err());
        assert_eq!(pair.sides[0].in_flight(), 0);
        assert_eq!(pair.sides[0].poll_transmit(), None);
    }

    #[test]
    fn a_late_answer_of_a_cancelled_call_is_dropped() {
        let mut pair = Pair::new();
        let id = pair.call(0, 1);
        pair.settle();
        assert!(pair.sides[0].cancel(id));
        pair.sides[1].finish(id, Ok(5));
        pair.settle();
        assert_eq!(pair.events(0), []);
        assert_eq!(pair.sides[0].in_flight(), 0);
    }

    #[test]
    fn a_close_loses_the_calls_in_flight_oldest_first() {
        let mut pair = Pair::new();
        let first = pair.call(0, 1);
        let second = pair.call(0, 2);
        pair.sides[0].close("done");
        let reason = CloseReason::Local("done".into());
        assert_eq!(pair.events(0), [Event::Closed { reason: reason.clone(), lost: vec![first, second] }]);
        let refused = pair.sides[0].call("f", |_| Ok::<_, SessionError>(3));
        assert_eq!(refused, Err(SessionError::Closed(reason)));
        pair.settle();
        assert!(!pair.sides[1].is_open());
    }

    #[test]
    fn protocols_that_differ_are_refused_on_both_sides() {
        let peer = |protocol| Peer { protocol, ..Peer::default() };
        let mut pair = Pair {
            sides: [Session::connect(peer(7)), Session::listen(peer(8))],
            wires: [VecDeque::new(), VecDeque::new()],
        };
        pair.settle();
        for (side, ours, theirs) in [(0, 7, 8), (1, 8, 7)] {
            let reason = CloseReason::Protocol { ours, theirs };
            assert_eq!(pair.events(side), [Event::Closed { reason, lost: vec![] }]);
        }
    }

    #[test]
    fn a_violation_closes_the_session_and_names_it() {
        let mut pair = Pair::new();
        let call = || Message::Call { id: CallId(9), function: "f".into(), payload: 0 };
        pair.sides[1].handle_message(call());
        pair.sides[1].handle_message(call());
        let events = pair.events(1);
        assert!(
            matches!(&events[1], Event::Closed { reason: CloseReason::Violation(text), .. } if text.contains("twice"))
        );
    }

    /// One step of a random schedule; the numbers choose a side or a call.
    #[derive(Debug, Clone)]
    enum Step {
        Call(usize),
        Deliver(usize),
        Finish(usize, usize, bool),
        Cancel(usize, usize),
        Repeat(usize),
        Close(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let side = 0..2usize;
        prop_oneof![
            4 => side.clone().prop_map(Step::Call),
            8 => side.clone().prop_map(Step::Deliver),
            4 => (side.clone(), any::<usize>(), any::<bool>()).prop_map(|(s, n, ok)| Step::Finish(s, n, ok)),
            2 => (side.clone(), any::<usize>()).prop_map(|(s, n)| Step::Cancel(s, n)),
            1 => side.clone().prop_map(Step::Repeat),
            1 => side.prop_map(Step::Close),
        ]
    }

    /// What the test knows of one side: its calls by id, and how often each was settled.
    #[derive(Default)]
    struct Ledger {
        open: HashMap<CallId, u32>,
        to_answer: Vec<CallId>,
        settled: u32,
        started: u32,
    }

    impl Ledger {
        fn settle(&mut self, id: CallId) {
            assert!(self.open.remove(&id).is_some(), "{id:?} settled without being open");
            self.settled += 1;
        }

        fn take(&mut self, events: Vec<Event<u32>>) {
            for event in events {
                match event {
                    Event::Return { id, .. } | Event::Raise { id, .. } => self.settle(id),
                    Event::Closed { lost, .. } => {
                        lost.into_iter().for_each(|id| self.settle(id));
                        self.to_answer.clear();
                    }
                    Event::Call { id, .. } => self.to_answer.push(id),
                    Event::Cancel { id } => assert!(self.to_answer.contains(&id)),
                    Event::Opened(_) => unreachable!("the pair was open already"),
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 5_000, ..ProptestConfig::default() })]

        /// Every call settles exactly once and nothing stays behind, whatever the schedule.
        #[test]
        fn every_call_settles_exactly_once(steps in prop::collection::vec(step(), 0..60)) {
            let mut pair = Pair::new();
            let mut ledgers = [Ledger::default(), Ledger::default()];
            for step in steps {
                match step {
                    Step::Call(side) => {
                        if pair.sides[side].is_open() {
                            let id = pair.call(side, 0);
                            let ledger = &mut ledgers[side];
                            ledger.started += 1;
                            prop_assert_eq!(ledger.open.insert(id, 0), None, "an id in flight was reused");
                        }
                    }
                    Step::Deliver(side) => {
                        pair.deliver(side);
                    }
                    Step::Finish(side, choice, ok) => {
                        let ledger = &mut ledgers[side];
                        if !ledger.to_answer.is_empty() {
                            let id = ledger.to_answer.remove(choice % ledger.to_answer.len());
                            pair.sides[side].finish(id, if ok { Ok(1) } else { Err(1) });
                            pair.transmit(side);
                        }
                    }
                    Step::Cancel(side, choice) => {
                        let mut open: Vec<_> = ledgers[side].open.keys().copied().collect();
                        open.sort();
                        if !open.is_empty() {
                            let id = open[choice % open.len()];
                            if pair.sides[side].cancel(id) {
                                ledgers[side].settle(id);
                            }
                            pair.transmit(side);
                        }
                    }
                    Step::Repeat(side) => {
                        let repeated = match pair.wires[side].front() {
                            Some(answer @ (Message::Return { .. } | Message::Raise { .. })) => Some(answer.clone()),
                            _ => None,
                        };
                        pair.wires[side].extend(repeated);
                    }
                    Step::Close(side) => {
                        pair.sides[side].close("schedule");
                        pair.transmit(side);
                    }
                }
                for (side, ledger) in ledgers.iter_mut().enumerate() {
                    ledger.take(pair.events(side));
                }
            }
            // Either side answers what it still owes, or the connection is gone: nobody waits for ever.
            for _ in 0..2 {
                pair.settle();
                for (side, ledger) in ledgers.iter_mut().enumerate() {
                    ledger.take(pair.events(side));
                    for id in std::mem::take(&mut ledger.to_answer) {
                        pair.sides[side].finish(id, Ok(0));
                    }
                }
            }
            pair.settle();
            for (side, ledger) in ledgers.iter_mut().enumerate() {
                ledger.take(pair.events(side));
                prop_assert_eq!(ledger.open.len(), 0);
                prop_assert_eq!(ledger.settled, ledger.started);
                prop_assert_eq!(pair.sides[side].in_flight(), 0);
                prop_assert_eq!(pair.sides[side].serving(), 0);
            }
        }
    }

    #[test]
    fn an_error_type_of_the_driver_passes_through() {
        #[derive(Debug)]
        struct Mine;
        impl From<SessionError> for Mine {
            fn from(_: SessionError) -> Self {
                Self
            }
        }
        let mut session: Session<Infallible> = Session::listen(Peer::default());
        assert!(session.call::<Mine>("f", |_| Err(Mine)).is_err());
    }
}
