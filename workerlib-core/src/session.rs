//! The state of one side of a connection.
//!
//! Invariants: each call settles exactly once (a return, a raise, a cancel, its caller giving up, or the end
//! of the session); an id is not given again while its call is in flight; calls start in the order in which
//! they began, but for those made while the peer waits for this side; no more calls wait at the peer than its window
//! allows, so that a cancel soon gets past them; what arrives in order (answers, invocations) is told in that order;
//! a stream ends once on each side, and has no more items under way than its consumer granted;
//! after the end nothing is sent. A peer that breaks the protocol cannot make this side panic: the session
//! closes and says why.

mod invoking;
mod streaming;

use std::collections::VecDeque;

use crate::event::{Begun, CancelEffect, CloseReason, Departure, Event, Outcome, SessionError, Starts, Step};
use crate::exports::{Export, Exports};
use crate::in_flight::{InFlight, Stage};
use crate::line::Line;
use crate::message::{CallId, Message, Peer};
use crate::references::References;
use crate::request::Request;
use crate::serving::{Arrived, Cancelled, Serving};
use crate::streams::{Consuming, Producing};

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
    /// The number of calls that may be in flight before others have to wait in line.
    max_in_flight: usize,
    in_flight: InFlight,
    /// The calls that wait until fewer are in flight.
    line: Line<CallId>,
    /// The calls that wait for room in the peer's window.
    queue: Line<(CallId, Message<P>)>,
    /// The number of calls that the peer takes before it has said that they started.
    peer_window: u32,
    /// The part of that which is taken up; it is never more.
    unstarted: u32,
    serving: Serving<P>,
    producing: Producing,
    consuming: Consuming,
    references: References,
    /// The number of invocations without an answer that the peer takes.
    peer_invoke_window: u32,
    /// Exports that the handshake does not tell, until the peer can be told.
    late_exports: Exports,
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

    #[inline(never)]
    fn new(state: State, local: Peer) -> Self {
        Self {
            state,
            max_in_flight: usize::MAX,
            in_flight: InFlight::default(),
            line: Line::default(),
            queue: Line::default(),
            peer_window: 0,
            unstarted: 0,
            serving: Serving::new(local.window),
            producing: Producing::default(),
            consuming: Consuming::default(),
            references: References::default(),
            peer_invoke_window: 0,
            late_exports: Exports::default(),
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

    /// Tells the peer of further exports, as soon as the session is open.
    ///
    /// An export that the peer knows already, by its name and all of its description, is not sent again.
    #[inline(never)]
    pub fn announce(&mut self, exports: impl IntoIterator<Item = Export>) {
        for export in exports {
            if self.local.exports.get(&export.name) != Some(&export) {
                self.late_exports.insert(export);
            }
        }
        if self.is_open() && !self.late_exports.is_empty() {
            let exports = std::mem::take(&mut self.late_exports);
            self.local.exports.extend(exports.iter().cloned());
            self.transmits.push_back(Message::Exports(exports));
        }
    }

    /// Begins a call.
    ///
    /// # Errors
    ///
    /// If the session is not open.
    pub fn begin(&mut self) -> Result<Begun, SessionError> {
        let is_ready = self.has_room();
        self.enter(is_ready)
    }

    /// Begins a call that is made on behalf of a call of the peer's, which cannot end before this one.
    ///
    /// It may be sent at once, however many calls are in flight: otherwise the limit would have two calls wait for each
    /// other.
    ///
    /// # Errors
    ///
    /// If the session is not open.
    pub fn begin_nested(&mut self) -> Result<Begun, SessionError> {
        self.enter(true)
    }

    fn enter(&mut self, is_ready: bool) -> Result<Begun, SessionError> {
        self.check_open()?;
        let id = self.in_flight.enter(if is_ready { Stage::Ready } else { Stage::InLine });
        if !is_ready {
            let ticket = self.line.push(id);
            self.in_flight.get_mut(id).into_iter().for_each(|call| call.ticket = ticket);
        }
        Ok(Begun { id, is_ready })
    }

    /// Sends a call whose turn has come.
    ///
    /// `payload` makes its arguments. It is told when they leave: while they wait here, they must not change.
    ///
    /// # Errors
    ///
    /// If the session has ended or it is not the call's turn, or with the error of `payload`, after which
    /// the call is no longer in flight.
    pub fn send<E: From<SessionError>>(
        &mut self,
        id: CallId,
        request: &Request<'_>,
        payload: impl FnOnce(Departure) -> Result<P, E>,
    ) -> Result<(), E> {
        self.check_open()?;
        let (weight, reports_start) = (request.weight(self.peer_window), request.reports_start());
        let has_room = self.queue.is_empty() && self.fits(weight);
        let Some(call) = self.in_flight.get_mut(id).filter(|call| call.stage == Stage::Ready) else {
            return Err(SessionError::NotReady(id).into());
        };
        match payload(if has_room { Departure::Now } else { Departure::Later }) {
            Ok(payload) => {
                call.stage = Stage::Queued;
                (call.reports_start, call.weight, call.credit) = (reports_start, weight, request.credit());
                (call.gives, call.carries) = (request.gives().to_vec(), request.carries().to_vec());
                request.carries().iter().for_each(|&reference| self.references.pin(reference));
                let function = request.function().to_owned();
                let (credit, trace) = (request.credit(), request.trace().map(str::to_owned));
                let message = Message::Call { id, function, payload, reports_start, credit, trace };
                if has_room {
                    self.post_call(id, message);
                } else {
                    call.ticket = self.queue.push((id, message));
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
    #[inline(never)]
    pub fn cancel(&mut self, id: CallId) -> CancelEffect {
        let Some(call) = self.in_flight.get_mut(id) else { return CancelEffect::Settled };
        if !call.stage.is_sent() {
            self.forget(id);
            return CancelEffect::Settled;
        }
        call.is_cancelled = true;
        self.transmits.push_back(Message::Cancel { id });
        CancelEffect::AskedPeer
    }

    /// Gives up a call of this side: its answer will be dropped, and the peer is asked to cancel it.
    ///
    /// Returns whether it was waited for; a call that was settled before is not an error, because this may
    /// cross the answer.
    pub fn give_up(&mut self, id: CallId) -> bool {
        let Some(call) = self.in_flight.get_mut(id) else { return false };
        let was_wanted = std::mem::take(&mut call.is_wanted);
        let (is_cancelled, gives) = (call.is_cancelled, call.gives.clone());
        if !is_cancelled {
            self.cancel(id);
        }
        self.revoke(&gives);
        was_wanted
    }

    /// Answers a call of the peer.
    ///
    /// Returns false where there is nothing to answer: the call was answered before, or the session ended.
    /// So it does for [`Outcome::Cancelled`] where the peer has not cancelled the call, which is still to be
    /// answered then.
    pub fn finish(&mut self, id: CallId, outcome: Outcome<P>) -> bool {
        if matches!(outcome, Outcome::Cancelled) && !self.serving.is_cancelled(id) || !self.end_serving(id) {
            return false;
        }
        self.transmits.push_back(match outcome {
            Outcome::Return(payload) => Message::Return { id, payload, unheard: Vec::new() },
            Outcome::Raise(payload) => Message::Raise { id, payload },
            Outcome::Cancelled => Message::Cancelled { id },
        });
        true
    }

    /// Tells the caller something from a call of the peer's that runs; returns false if no such call runs.
    pub fn report(&mut self, id: CallId, payload: P) -> bool {
        let is_running = self.serving.is_running(id);
        if is_running {
            self.transmits.push_back(Message::Report { id, payload });
        }
        is_running
    }

    /// Tells the peer of text that this side's program has written; returns false if the session is not open.
    #[inline(never)]
    pub fn output(&mut self, stream: &str, text: &str) -> bool {
        if self.is_open() {
            self.transmits.push_back(Message::Output { stream: stream.to_owned(), text: text.to_owned() });
        }
        self.is_open()
    }

    /// Tells the peer that this side waits for the answer of a call of its own, and starts no other call before it.
    ///
    /// It changes nothing where the call has been answered.
    #[inline(never)]
    pub fn block(&mut self, id: CallId) {
        if self.in_flight.contains(id) {
            self.transmits.push_back(Message::Blocked { ids: vec![id] });
        }
    }

    /// Notes that the peer has cancelled a call of its own otherwise than by a message, which follows.
    ///
    /// A call that waits here is answered at once, as if the message had come; of one that runs there is no event,
    /// because the driver knows already.
    pub fn note_cancel(&mut self, id: CallId) {
        self.handle_cancel(id);
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

    /// Returns the payloads that the session holds, in no particular order.
    pub fn payloads(&self) -> impl Iterator<Item = &P> {
        let queued = self.queue.iter().map(|(_, message)| message);
        let messages = queued.chain(&self.transmits).filter_map(Message::payload);
        messages.chain(self.events.iter().filter_map(Event::payload)).chain(self.serving.payloads())
    }

    /// Ends the session from this side and tells the peer.
    pub fn close(&mut self, reason: &str) {
        self.close_with(CloseReason::Local(reason.to_owned()), reason.to_owned());
    }

    /// Ends the session because the peer sent bytes that cannot be right, and tells the peer.
    #[inline(never)]
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
            // Messages that were under way when one side closed are not a violation.
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
            (State::Open, Message::Call { id, function, payload, reports_start, credit, trace }) => {
                let call = Arrived { id, function, payload, reports_start, credit, trace };
                if let Err(violation) = self.serving.arrive(call) {
                    self.fail(&violation);
                }
            }
            (State::Open, Message::Invoke { id, reference, member, is_urgent, payload }) => {
                if self.references.running() >= self.local.invoke_window as usize {
                    let window = self.local.invoke_window;
                    self.fail(&format!("more invocations at once than the window of {window}"));
                } else if let Err(violation) = self.serving.run(id) {
                    self.fail(&violation);
                } else {
                    self.references.invoke(id, reference, is_urgent);
                    self.events.push_back(Event::Invoke {
                        id,
                        reference,
                        member,
                        payload,
                        is_refused: false,
                    });
                }
            }
            (State::Open, Message::Heard { ids }) => self.handle_heard(ids),
            (State::Open, Message::Release { counts }) => self.handle_release(&counts),
            // Below, an unknown id is one of a message that crossed another.
            (State::Open, Message::Cancel { id }) => {
                if self.handle_cancel(id) {
                    self.events.push_back(Event::Cancel { id });
                }
            }
            (State::Open, Message::Started { ids }) => self.handle_started(&ids),
            (State::Open, Message::Report { id, payload }) => {
                if self.in_flight.get_mut(id).is_some_and(|call| call.is_wanted && call.stage.is_sent()) {
                    self.events.push_back(Event::Report { id, payload });
                }
            }
            (State::Open, Message::Output { stream, text }) => {
                self.events.push_back(Event::Output { stream, text });
            }
            (State::Open, Message::Blocked { ids }) => self.events.push_back(Event::Blocked { ids }),
            (State::Open, Message::Exports(exports)) => self.events.push_back(Event::Exports(exports)),
            (State::Open, Message::Cancelling { id }) => {
                if self.in_flight.get_mut(id).is_some_and(|call| call.is_cancelled) {
                    self.events.push_back(Event::Cancelling { id });
                }
            }
            (State::Open, Message::Return { id, payload, unheard }) => {
                if !unheard.is_empty() && self.in_flight.get(id).is_some_and(|call| call.is_wanted) {
                    self.events.push_back(Event::Unheard { id, invocations: unheard });
                }
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
            (State::Open, message) => self.handle_stream_message(message),
        }
    }

    /// Takes out the next thing to do, if there is any. A call is started when nothing else is left.
    pub fn poll(&mut self, starts: Starts) -> Option<Step<P>> {
        if let Some(message) = self.transmits.pop_front() {
            return Some(Step::Transmit(message));
        }
        if let Some(event) = self.poll_event() {
            return Some(Step::Event(event));
        }
        if self.references.has_news() {
            return self.poll_transmit().map(Step::Transmit);
        }
        match starts {
            Starts::Allowed => self.poll_call().map(Step::Start),
            Starts::Held => None,
        }
    }

    /// Takes out the next message to send, if there is one.
    pub fn poll_transmit(&mut self) -> Option<Message<P>> {
        if self.transmits.is_empty() && self.references.has_news() {
            let (ids, counts) = self.references.take_news();
            let heard = (!ids.is_empty()).then_some(Message::Heard { ids });
            let released = (!counts.is_empty()).then_some(Message::Release { counts });
            self.transmits.extend(heard.into_iter().chain(released));
        }
        self.transmits.pop_front()
    }

    /// Returns whether there is a message to send.
    pub fn has_transmits(&self) -> bool {
        !self.transmits.is_empty() || self.references.has_news()
    }

    /// The number of the peer's calls that wait to be started.
    pub fn waiting(&self) -> usize {
        self.serving.waiting()
    }

    /// Takes out the next event, if there is one.
    pub fn poll_event(&mut self) -> Option<Event<P>> {
        let mut event = self.events.pop_front()?;
        // It may have been revoked since it arrived.
        if let Event::Invoke { reference, is_refused, .. } = &mut event {
            *is_refused = !self.references.may_invoke(*reference);
        }
        Some(event)
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
        self.in_flight.len() - self.in_flight.invocations() - self.line.len() < self.max_in_flight
    }

    /// Returns whether the peer's window has room for so much.
    fn fits(&self, weight: u32) -> bool {
        weight <= self.peer_window - self.unstarted
    }

    /// Takes out a call that has not been sent.
    #[inline(never)]
    fn forget(&mut self, id: CallId) {
        if let Some(call) = self.in_flight.remove(id) {
            match call.stage {
                Stage::InLine => drop(self.line.remove(call.ticket)),
                Stage::Queued => drop(self.queue.remove(call.ticket)),
                _ => {}
            }
            call.gives.into_iter().for_each(|reference| self.take_back(reference));
            call.carries.into_iter().for_each(|reference| self.references.unpin(reference));
        }
        self.admit();
    }

    /// Tells those who wait in line that their turn has come, as far as there is room.
    fn admit(&mut self) {
        while self.has_room()
            && let Some(id) = self.line.pop()
        {
            if let Some(call) = self.in_flight.get_mut(id) {
                call.stage = Stage::Ready;
            }
            self.events.push_back(Event::Ready { id });
        }
    }

    /// Sends calls that wait for room in the peer's window, when half of it is free: that many at a time can go in
    /// one message, and the peer does not run out of them.
    fn fill_window(&mut self) {
        if self.unstarted > self.peer_window / 2 {
            return;
        }
        while let Some(&(id, _)) = self.queue.front()
            && self.in_flight.get(id).is_none_or(|call| self.fits(call.weight))
            && let Some((id, message)) = self.queue.pop()
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

    /// Takes in a cancel of the peer's: a call that has not started is answered. Returns whether it runs.
    fn handle_cancel(&mut self, id: CallId) -> bool {
        match self.serving.cancel(id) {
            Cancelled::Running => true,
            Cancelled::Nothing => false,
            Cancelled::Waiting(payload) => {
                self.transmits.push_back(Message::Cancelled { id });
                self.events.push_back(Event::Dropped { payload });
                false
            }
        }
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
        if !self.in_flight.get_mut(id).is_some_and(|call| call.stage.is_sent()) {
            return;
        }
        let was_full = !self.may_invoke();
        let Some(call) = self.in_flight.remove(id) else { return };
        let revokes = !call.gives.is_empty() && matches!(answer, Event::Cancelled { .. });
        call.carries.iter().for_each(|&reference| self.references.unpin(reference));
        if call.is_wanted {
            self.events.push_back(answer);
        } else {
            if let Event::Return { payload, .. } | Event::Raise { payload, .. } = answer {
                self.events.push_back(Event::Dropped { payload });
            }
            self.note_room(was_full);
        }
        if revokes {
            self.revoke(&call.gives);
        }
        if call.stage == Stage::Sent {
            self.unstarted -= call.weight;
        }
        self.fill_window();
        self.admit();
    }

    #[inline(never)]
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

    #[inline(never)]
    fn handle_welcome(&mut self, peer: Peer) {
        if peer.protocol == self.local.protocol {
            self.open(peer);
        } else {
            let reason = CloseReason::Protocol { ours: self.local.protocol, theirs: peer.protocol };
            let text = reason.to_string();
            self.close_with(reason, text);
        }
    }

    #[inline(never)]
    fn open(&mut self, peer: Peer) {
        if peer.window == 0 {
            return self.fail("a window in which no call has room");
        }
        self.state = State::Open;
        self.peer_window = peer.window;
        self.peer_invoke_window = peer.invoke_window;
        self.events.push_back(Event::Opened(peer));
        self.announce([]);
    }

    #[inline(never)]
    fn close_with(&mut self, reason: CloseReason, text: String) {
        if !matches!(self.state, State::Closed(_)) {
            self.end(reason);
            self.transmits.push_back(Message::Close { reason: text });
        }
    }

    #[inline(never)]
    fn end(&mut self, reason: CloseReason) {
        self.state = State::Closed(reason.clone());
        self.serving.clear();
        self.producing.clear();
        self.consuming.clear();
        self.references.clear();
        self.line.clear();
        self.queue.clear();
        self.unstarted = 0;
        // A message that nobody will read is not sent.
        self.transmits.retain(|message| {
            matches!(message, Message::Hello(_) | Message::Welcome(_) | Message::Refuse { .. })
                || matches!(message, Message::Return { .. } | Message::Raise { .. } | Message::Stream { .. })
                || matches!(message, Message::Items { .. } | Message::End { .. } | Message::Fail { .. })
        });
        let lost = self.in_flight.drain();
        self.events.push_back(Event::Closed { reason, lost });
    }
}
