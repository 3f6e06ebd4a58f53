//! The state of one side of a connection.
//!
//! Invariants: each call settles exactly once (a return, a raise, a cancel, its caller giving up, or the end
//! of the session); an id is not given again while its call is in flight; calls start in the order in which
//! they began; no more calls wait at the peer than its window allows, so that a cancel soon gets past them;
//! after the end nothing is sent. A peer that breaks the protocol cannot make this side panic: the session
//! closes and says why.

use std::collections::VecDeque;

use crate::in_flight::{InFlight, Stage};
use crate::serving::{Arrived, Cancelled, Serving};
use crate::{CallId, Export, Message, PROTOCOL, Peer, WINDOW};

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
    /// The call was given up, was sent before, or its turn has not come.
    #[error("call {} cannot be sent now", .0.0)]
    NotReady(CallId),
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
    /// The peer is gone, and has not said so itself.
    #[error("{0}")]
    Died(String),
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
    /// The peer exports more than it said before, or describes an export anew.
    Exports(Vec<Export>),
    /// The turn of a call of this side has come, which had to wait when it began: the driver sends it.
    Ready {
        /// The call.
        id: CallId,
    },
    /// A call of this side runs; only for those that asked to be told.
    Started {
        /// The call.
        id: CallId,
    },
    /// The function of a call of this side has been told of the cancel; the answer follows. So it is said
    /// also if the call has been given up since.
    Cancelling {
        /// The call.
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
    /// A call of this side ended because it was cancelled.
    Cancelled {
        /// The call.
        id: CallId,
    },
    /// The peer cancels a call of its own that runs here; it may do so again while the function cleans up.
    /// The driver tells the function, and the peer by [`Session::acknowledge_cancel`] that it has.
    Cancel {
        /// The call that the peer made.
        id: CallId,
    },
    /// The session ended, and with it the calls of this side that had no answer, the oldest first.
    Closed {
        /// Why.
        reason: CloseReason,
        /// The calls that will have no answer.
        lost: Vec<CallId>,
    },
}

/// What the driver has to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<P> {
    /// To send this.
    Transmit(Message<P>),
    /// To tell its user.
    Event(Event<P>),
    /// To start a call of the peer.
    Start(Arrived<P>),
}

/// How a call of the peer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<P> {
    /// It returned this.
    Return(P),
    /// It raised this.
    Raise(P),
    /// It ended as its caller asked by a cancel.
    Cancelled,
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

/// From how many bytes on a call is heavy: it takes up an eighth of the peer's window.
const HEAVY: usize = 64 << 10;

/// What a call asks for, without its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'f> {
    /// The function's name.
    pub function: &'f str,
    /// How many bytes its arguments take.
    pub size: usize,
    /// Whether there is to be an [`Event::Started`].
    pub reports_start: bool,
}

impl<'f> Request<'f> {
    /// Makes one; of a heavy call the start is told in any case, since the peer does not know how much of its window
    /// that gives back.
    pub fn new(function: &'f str, size: usize, reports_start: bool) -> Self {
        Self { function, size, reports_start: reports_start || size >= HEAVY }
    }
}

/// One side of a connection; `P` is what calls and answers carry.
#[derive(Debug)]
pub struct Session<P> {
    state: State,
    local: Peer,
    /// How many calls may be in flight before others have to wait in line.
    max_in_flight: usize,
    in_flight: InFlight,
    /// The calls that wait until fewer are in flight.
    line: VecDeque<CallId>,
    /// The calls that wait for room in the peer's window.
    queue: VecDeque<(CallId, Message<P>)>,
    /// How many calls the peer takes that it has not said to have started, and how much of that is taken up.
    peer_window: u32,
    unstarted: u32,
    serving: Serving<P>,
    /// What this side exports besides what the handshake tells, until the peer can be told.
    late_exports: Vec<Export>,
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
            max_in_flight: usize::MAX,
            in_flight: InFlight::default(),
            line: VecDeque::new(),
            queue: VecDeque::new(),
            peer_window: 0,
            unstarted: 0,
            serving: Serving::new(local.window),
            late_exports: Vec::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            local,
        }
    }

    /// Has calls of this side wait while so many of them are in flight; there is no such limit otherwise.
    pub fn limit_in_flight(mut self, max_in_flight: usize) -> Self {
        self.max_in_flight = max_in_flight.max(1);
        self
    }

    /// Returns whether calls can be made.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// The number of this side's calls that have no answer yet, those that nobody waits for included.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The number of the peer's calls that this side has not answered yet.
    pub fn serving(&self) -> usize {
        self.serving.len()
    }

    /// Tells the peer what this side exports besides what the handshake tells, as soon as it is open.
    pub fn announce(&mut self, exports: Vec<Export>) {
        self.late_exports.extend(exports);
        if self.is_open() && !self.late_exports.is_empty() {
            self.transmits.push_back(Message::Exports(std::mem::take(&mut self.late_exports)));
        }
    }

    /// Begins a call: returns its id, and whether it may be sent now or only after its [`Event::Ready`].
    ///
    /// # Errors
    ///
    /// If the session is not open.
    pub fn begin(&mut self) -> Result<(CallId, bool), SessionError> {
        self.check_open()?;
        let is_ready = self.has_room();
        let id = self.in_flight.enter(if is_ready { Stage::Ready } else { Stage::InLine });
        if !is_ready {
            self.line.push_back(id);
        }
        Ok((id, is_ready))
    }

    /// Sends a call whose turn has come.
    ///
    /// `payload` makes its arguments. It is told whether they have to wait here for room in the peer's
    /// window, and so must not change until then.
    ///
    /// # Errors
    ///
    /// If the session has ended or it is not the call's turn, or with the error of `payload`, after which
    /// the call is no longer in flight.
    pub fn send<E: From<SessionError>>(
        &mut self,
        id: CallId,
        request: &Request<'_>,
        payload: impl FnOnce(bool) -> Result<P, E>,
    ) -> Result<(), E> {
        self.check_open()?;
        let &Request { function, size, reports_start } = request;
        let weight = if size < HEAVY { 1 } else { (self.peer_window / 8).max(1) };
        let has_room = self.queue.is_empty() && self.unstarted + weight <= self.peer_window;
        let Some(call) = self.in_flight.get_mut(id).filter(|call| call.stage == Stage::Ready) else {
            return Err(SessionError::NotReady(id).into());
        };
        match payload(!has_room) {
            Ok(payload) => {
                call.stage = Stage::Queued;
                (call.reports_start, call.weight) = (reports_start, weight);
                let function = function.to_owned();
                let message = Message::Call { id, function, payload, reports_start };
                if has_room {
                    self.post_call(id, message);
                } else {
                    self.queue.push_back((id, message));
                }
                Ok(())
            }
            Err(error) => {
                self.forget(id);
                Err(error)
            }
        }
    }

    /// Cancels a call of this side.
    ///
    /// Returns whether the peer was asked to end it: its answer settles it then. Otherwise it is settled:
    /// it never left this side, or its answer was there before.
    pub fn cancel(&mut self, id: CallId) -> bool {
        let Some(call) = self.in_flight.get_mut(id) else { return false };
        if !matches!(call.stage, Stage::Sent | Stage::Started) {
            self.forget(id);
            return false;
        }
        call.is_cancelled = true;
        self.transmits.push_back(Message::Cancel { id });
        true
    }

    /// Gives up a call of this side: its answer will be dropped, and the peer is asked to cancel it.
    ///
    /// Returns whether it was waited for; a call that was settled before is not an error, because this may
    /// cross the answer.
    pub fn give_up(&mut self, id: CallId) -> bool {
        let Some(call) = self.in_flight.get_mut(id) else { return false };
        let was_wanted = std::mem::take(&mut call.is_wanted);
        if !call.is_cancelled {
            self.cancel(id);
        }
        was_wanted
    }

    /// Answers a call of the peer.
    ///
    /// Returns false where there is nothing to answer: the call was answered before, or the session ended.
    /// So it does for [`Outcome::Cancelled`] where the peer has not cancelled the call, which is still to be
    /// answered then.
    pub fn finish(&mut self, id: CallId, outcome: Outcome<P>) -> bool {
        if matches!(outcome, Outcome::Cancelled) && !self.serving.is_cancelled(id) || !self.serving.finish(id)
        {
            return false;
        }
        self.transmits.push_back(match outcome {
            Outcome::Return(payload) => Message::Return { id, payload },
            Outcome::Raise(payload) => Message::Raise { id, payload },
            Outcome::Cancelled => Message::Cancelled { id },
        });
        true
    }

    /// Notes that the peer has cancelled a call of its own otherwise than by a message, which follows.
    pub fn note_cancel(&mut self, id: CallId) {
        self.serving.cancel(id);
    }

    /// Tells the peer that the function of a call has been told of its cancel.
    ///
    /// It changes nothing where the peer has not cancelled the call, or the call has ended.
    pub fn acknowledge_cancel(&mut self, id: CallId) {
        if self.serving.is_cancelled(id) {
            self.transmits.push_back(Message::Cancelling { id });
        }
    }

    /// Returns whether a call of this side has no answer yet, though perhaps nobody waits for it any more.
    pub fn is_in_flight(&self, id: CallId) -> bool {
        self.in_flight.contains(id)
    }

    /// Ends the session from this side and tells the peer.
    pub fn close(&mut self, reason: &str) {
        self.close_with(CloseReason::Local(reason.to_owned()), reason.to_owned());
    }

    /// Ends the session because the peer sent bytes that cannot be right, and tells the peer.
    pub fn fail(&mut self, violation: &str) {
        let reason = format!("protocol violation: {violation}");
        self.close_with(CloseReason::Violation(violation.to_owned()), reason);
    }

    /// Ends the session because the peer is gone: there is nobody left to tell.
    pub fn die(&mut self, reason: &str) {
        if !matches!(self.state, State::Closed(_)) {
            self.end(CloseReason::Died(reason.to_owned()));
            self.transmits.clear();
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
            (State::Listening | State::Connecting, _) => {
                self.fail("a message before the handshake");
            }
            (State::Open, Message::Hello(_) | Message::Welcome(_) | Message::Refuse { .. }) => {
                self.fail("a second handshake on one connection");
            }
            (State::Open, Message::Call { id, function, payload, reports_start }) => {
                if let Err(violation) = self.serving.arrive(Arrived { id, function, payload, reports_start })
                {
                    self.fail(&violation);
                }
            }
            // Below, an unknown id is one of a message that crossed another.
            (State::Open, Message::Cancel { id }) => match self.serving.cancel(id) {
                Cancelled::Waiting => self.transmits.push_back(Message::Cancelled { id }),
                Cancelled::Running => self.events.push_back(Event::Cancel { id }),
                Cancelled::Nothing => {}
            },
            (State::Open, Message::Started { ids }) => self.handle_started(&ids),
            (State::Open, Message::Exports(exports)) => self.events.push_back(Event::Exports(exports)),
            (State::Open, Message::Cancelling { id }) => {
                if self.in_flight.get_mut(id).is_some_and(|call| call.is_cancelled) {
                    self.events.push_back(Event::Cancelling { id });
                }
            }
            (State::Open, Message::Return { id, payload }) => {
                self.handle_answer(id, Event::Return { id, payload });
            }
            (State::Open, Message::Raise { id, payload }) => {
                self.handle_answer(id, Event::Raise { id, payload });
            }
            (State::Open, Message::Cancelled { id }) => {
                if self.in_flight.get_mut(id).is_none_or(|call| call.is_cancelled) {
                    self.handle_answer(id, Event::Cancelled { id });
                } else {
                    self.fail(&format!("call {} ended as cancelled, which it was not", id.0));
                }
            }
        }
    }

    /// Takes out what is to be done next, if there is anything: a call is started when nothing else is left.
    ///
    /// A driver that may not start one now, since another has just begun to compute, says so.
    pub fn poll(&mut self, may_start: bool) -> Option<Step<P>> {
        if let Some(message) = self.poll_transmit() {
            return Some(Step::Transmit(message));
        }
        if let Some(event) = self.poll_event() {
            return Some(Step::Event(event));
        }
        may_start.then(|| self.poll_call()).flatten().map(Step::Start)
    }

    /// Takes out the next message to send, if there is one.
    pub fn poll_transmit(&mut self) -> Option<Message<P>> {
        self.transmits.pop_front()
    }

    /// Takes out the next event, if there is one.
    pub fn poll_event(&mut self) -> Option<Event<P>> {
        self.events.pop_front()
    }

    /// Takes out the next call of the peer, if one waits: the driver starts it now, and answers it by
    /// [`Session::finish`].
    pub fn poll_call(&mut self) -> Option<Arrived<P>> {
        let (call, ids) = self.serving.start()?;
        if !ids.is_empty() {
            self.transmits.push_back(Message::Started { ids });
        }
        Some(call)
    }

    fn check_open(&self) -> Result<(), SessionError> {
        match &self.state {
            State::Open => Ok(()),
            State::Closed(reason) => Err(SessionError::Closed(reason.clone())),
            State::Listening | State::Connecting => Err(SessionError::NotOpen),
        }
    }

    fn has_room(&self) -> bool {
        self.in_flight.len() - self.line.len() < self.max_in_flight
    }

    /// Takes out a call that has not been sent.
    fn forget(&mut self, id: CallId) {
        match self.in_flight.remove(id).map(|call| call.stage) {
            Some(Stage::InLine) => drop_first(&mut self.line, |&other| other == id),
            Some(Stage::Queued) => drop_first(&mut self.queue, |(other, _)| *other == id),
            _ => {}
        }
        self.admit();
    }

    /// Tells those who wait in line that their turn has come, as far as there is room.
    fn admit(&mut self) {
        while self.has_room()
            && let Some(id) = self.line.pop_front()
        {
            if let Some(call) = self.in_flight.get_mut(id) {
                call.stage = Stage::Ready;
            }
            self.events.push_back(Event::Ready { id });
        }
    }

    /// Sends calls that wait for room in the peer's window, when half of it is free: so many at a time can go in
    /// one message, and the peer does not run out of them.
    fn fill_window(&mut self) {
        if self.unstarted > self.peer_window / 2 {
            return;
        }
        while let Some(&(id, _)) = self.queue.front()
            && self.in_flight.get_mut(id).is_none_or(|call| self.unstarted + call.weight <= self.peer_window)
            && let Some((id, message)) = self.queue.pop_front()
        {
            self.post_call(id, message);
        }
    }

    /// Sends a call for which there is room in the peer's window.
    fn post_call(&mut self, id: CallId, message: Message<P>) {
        if let Some(call) = self.in_flight.get_mut(id) {
            call.stage = Stage::Sent;
            self.unstarted += call.weight;
        }
        self.transmits.push_back(message);
    }

    fn handle_started(&mut self, ids: &[CallId]) {
        for &id in ids {
            if let Some(call) = self.in_flight.get_mut(id).filter(|call| call.stage == Stage::Sent) {
                call.stage = Stage::Started;
                self.unstarted -= call.weight;
                if call.reports_start && call.is_wanted {
                    self.events.push_back(Event::Started { id });
                }
            }
        }
        self.fill_window();
    }

    /// Settles a call, which must be one that the peer has.
    fn handle_answer(&mut self, id: CallId, answer: Event<P>) {
        let sent = |stage| matches!(stage, Stage::Sent | Stage::Started);
        if !self.in_flight.get_mut(id).is_some_and(|call| sent(call.stage)) {
            return;
        }
        let Some(call) = self.in_flight.remove(id) else { return };
        if call.is_wanted {
            self.events.push_back(answer);
        }
        if call.stage == Stage::Sent {
            self.unstarted -= call.weight;
        }
        self.fill_window();
        self.admit();
    }

    fn handle_hello(&mut self, peer: Peer) {
        if peer.protocol == self.local.protocol {
            self.transmits.push_back(Message::Welcome(self.local.clone()));
            self.open(peer);
        } else {
            let (ours, theirs) = (self.local.protocol, peer.protocol);
            let reason = CloseReason::Protocol { ours, theirs };
            self.transmits.push_back(Message::Refuse { protocol: ours, reason: reason.to_string() });
            self.end(reason);
        }
    }

    fn handle_welcome(&mut self, peer: Peer) {
        if peer.protocol == self.local.protocol {
            self.open(peer);
        } else {
            let reason = CloseReason::Protocol { ours: self.local.protocol, theirs: peer.protocol };
            let text = reason.to_string();
            self.close_with(reason, text);
        }
    }

    fn open(&mut self, peer: Peer) {
        if peer.window == 0 {
            return self.fail("a window in which no call has room");
        }
        self.state = State::Open;
        self.peer_window = peer.window;
        self.events.push_back(Event::Opened(peer));
        self.announce(Vec::new());
    }

    fn close_with(&mut self, reason: CloseReason, text: String) {
        if !matches!(self.state, State::Closed(_)) {
            self.end(reason);
            self.transmits.push_back(Message::Close { reason: text });
        }
    }

    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed(reason.clone());
        self.serving.clear();
        self.line.clear();
        self.queue.clear();
        self.unstarted = 0;
        // What nobody has sent yet, and nobody will read, will never be sent.
        self.transmits.retain(|message| {
            matches!(message, Message::Hello(_) | Message::Welcome(_) | Message::Refuse { .. })
                || matches!(message, Message::Return { .. } | Message::Raise { .. })
        });
        let lost = self.in_flight.drain();
        self.events.push_back(Event::Closed { reason, lost });
    }
}

fn drop_first<T>(entries: &mut VecDeque<T>, is_meant: impl FnMut(&T) -> bool) {
    if let Some(index) = entries.iter().position(is_meant) {
        entries.remove(index);
    }
}

impl Peer {
    /// Describes this side: the protocol is [`PROTOCOL`], the window [`WINDOW`].
    pub fn local(version: &str, exports: Vec<Export>, adapters: Vec<crate::Adapter>) -> Self {
        Self { protocol: PROTOCOL, version: version.to_owned(), exports, window: WINDOW, adapters }
    }
}
