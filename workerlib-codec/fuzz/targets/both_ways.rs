//! Two peers stream and invoke, and somebody between them repeats, drops, damages and invents frames.
//!
//! After any frames at all, no side has panicked; a consumer gets no item without credit, none after the end of its stream, and one end;
//! each call and each invocation settles once; after the end both sides' tables are empty. The input is a list of steps.
//! Plain calls and closes are those of `conversation.rs`.
#![no_main]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use libfuzzer_sys::fuzz_target;
use workerlib_codec::envelope;
use workerlib_core::{
    Arrived, CallId, CancelEffect, Credit, Event, Export, Message, Outcome, Peer, RefId, Request, Session,
    SessionError, Starts, Step, StopKind, StreamEnd, StreamId,
};

/// The number of frames that wait on a channel at most: an input that only calls would take all memory.
const MOST_FRAMES: usize = 256;

/// The reference that a payload brings, if any.
enum Luggage {
    Nothing,
    Given(RefId),
    Stream(StreamId),
}

impl Luggage {
    fn pack(&self) -> Vec<u8> {
        let (tag, number) = match self {
            Self::Nothing => return vec![0],
            Self::Given(RefId(number)) => (1, number),
            Self::Stream(StreamId(number)) => (2, number),
        };
        let mut bytes = vec![tag];
        bytes.extend(number.to_le_bytes());
        bytes
    }

    fn unpack(bytes: &[u8]) -> Self {
        let number = bytes.get(1..5).and_then(|part| part.try_into().ok()).map(u32::from_le_bytes);
        match (bytes.first(), number) {
            (Some(1), Some(number)) => Self::Given(RefId(number)),
            (Some(2), Some(number)) => Self::Stream(StreamId(number)),
            _ => Self::Nothing,
        }
    }
}

/// The test's account of a stream that a side consumes.
#[derive(Default)]
struct Account {
    granted: u64,
    taken: u64,
}

/// One side: its session, and what its driver knows.
struct Side {
    session: Session<Vec<u8>>,
    /// Calls and invocations of this side that have not settled.
    open: BTreeSet<CallId>,
    /// Calls and invocations of the other side that run here.
    running: Vec<CallId>,
    /// The items that calls for a stream grant.
    asked: BTreeMap<CallId, u64>,
    producing: Vec<StreamId>,
    consuming: BTreeMap<StreamId, Account>,
    /// How many calls for a stream were given up, and may still be answered by one, which ends without having been announced.
    unannounced: usize,
    holding: Vec<RefId>,
    given: Vec<RefId>,
    /// Frames on their way to the other side.
    sent: VecDeque<Vec<u8>>,
    is_closed: bool,
}

impl Side {
    fn new(session: Session<Vec<u8>>) -> Self {
        Self {
            session,
            open: BTreeSet::new(),
            running: Vec::new(),
            asked: BTreeMap::new(),
            producing: Vec::new(),
            consuming: BTreeMap::new(),
            unannounced: 0,
            holding: Vec::new(),
            given: Vec::new(),
            sent: VecDeque::new(),
            is_closed: false,
        }
    }

    /// Calls a function, which is to answer by a stream or by a value.
    fn call(&mut self, choice: u8) {
        let Ok(begun) = self.session.begin() else { return };
        assert!(self.open.insert(begun.id), "an id of two calls in flight");
        if begun.is_ready {
            self.send(begun.id, choice);
        }
    }

    fn send(&mut self, id: CallId, choice: u8) {
        let luggage = self.luggage(choice >> 4);
        let gives: Vec<RefId> = if let Luggage::Given(reference) = luggage { vec![reference] } else { vec![] };
        let mut request = Request::new("f", 0).giving(&gives);
        if choice & 1 == 0 {
            request = request.streaming(credit(choice));
            self.asked.insert(id, u64::from(credit(choice).items));
        }
        let sent: Result<(), SessionError> = self.session.send(id, &request, |_| Ok(luggage.pack()));
        if sent.is_err() {
            self.open.remove(&id);
        }
    }

    /// Makes something to send: a stream, or something that the other side may invoke.
    fn luggage(&mut self, choice: u8) -> Luggage {
        match choice & 3 {
            1 => self.session.give(choice & 4 == 0).map_or(Luggage::Nothing, |reference| {
                self.given.push(reference);
                Luggage::Given(reference)
            }),
            2 => self.session.open_stream().map_or(Luggage::Nothing, |stream| {
                self.producing.push(stream);
                Luggage::Stream(stream)
            }),
            3 => match self.given.last() {
                Some(&reference) if self.session.give_again(reference) => Luggage::Given(reference),
                _ => Luggage::Nothing,
            },
            _ => Luggage::Nothing,
        }
    }

    fn unpack(&mut self, payload: &[u8]) {
        match Luggage::unpack(payload) {
            Luggage::Given(reference) => {
                self.session.hold(reference);
                self.holding.push(reference);
            }
            Luggage::Stream(stream) => {
                if self.session.consume(stream) {
                    self.consuming.insert(stream, Account::default());
                }
            }
            Luggage::Nothing => {}
        }
    }

    fn settle(&mut self, id: CallId) {
        assert!(self.open.remove(&id), "call {} settled twice, or was none", id.0);
    }

    /// Carries out what the session says.
    fn carry_out(&mut self, starts: bool) {
        while let Some(step) = self.session.poll(if starts { Starts::Allowed } else { Starts::Held }) {
            match step {
                Step::Transmit(message) => self.transmit(&message),
                Step::Start(call) => self.start(&call),
                Step::Event(event) => self.hear(event),
                _ => {}
            }
        }
    }

    fn transmit(&mut self, message: &Message<Vec<u8>>) {
        let mut frame = Vec::new();
        envelope::write(message, &mut frame);
        let (read, end) = envelope::read(&frame).expect("what was written can be read");
        // The receiver measures the bytes of items itself.
        let bare = match message {
            Message::Items { stream, count, .. } => {
                Message::Items { stream: *stream, count: *count, bytes: 0, payload: () }
            }
            other => other.clone().map(|_| ()),
        };
        assert_eq!((end, &read), (frame.len(), &bare));
        frame.extend(message.payload().into_iter().flatten());
        self.sent.push_back(frame);
    }

    fn start(&mut self, call: &Arrived<Vec<u8>>) {
        self.unpack(&call.payload);
        if call.credit.is_none() {
            self.running.push(call.id);
        } else if let Some(stream) = self.session.finish_streaming(call.id) {
            self.producing.push(stream);
        }
    }

    fn hear(&mut self, event: Event<Vec<u8>>) {
        match event {
            Event::Ready { id } if self.open.contains(&id) => self.send(id, 0),
            Event::Return { id, payload } => {
                self.settle(id);
                self.unpack(&payload);
            }
            Event::Raise { id, .. } | Event::Cancelled { id } => self.settle(id),
            Event::Heard { ids } => ids.into_iter().for_each(|id| self.settle(id)),
            Event::Stream { id, stream } => {
                self.settle(id);
                let granted = self.asked.remove(&id).expect("a call that asks for a stream");
                self.consuming.insert(stream, Account { granted, taken: 0 });
            }
            Event::Items { stream, count, payload, .. } => {
                let account = self.consuming.get_mut(&stream).expect("items of a stream that is consumed");
                account.taken += u64::from(count);
                assert!(account.taken <= account.granted, "items without credit");
                self.unpack(&payload);
            }
            Event::Ended { stream } | Event::Failed { stream, .. } | Event::Stopped { stream } => {
                if self.consuming.remove(&stream).is_none() {
                    // Frames may be repeated: one number may answer several calls that were given up.
                    assert!(self.unannounced > 0, "a stream that ends twice");
                    self.unannounced -= 1;
                }
            }
            Event::Stop { stream, .. } if !self.producing.contains(&stream) => {
                panic!("a stop of a stream that this side does not produce");
            }
            Event::Invoke { id, is_refused, payload, .. } => {
                self.running.push(id);
                self.unpack(&payload);
                if is_refused {
                    self.end_a_call(1, self.running.len() - 1);
                }
            }
            Event::Gone { reference } => self.given.retain(|&one| one != reference),
            Event::Closed { lost, .. } => {
                assert!(!self.is_closed, "closed twice");
                self.is_closed = true;
                for id in lost {
                    self.open.remove(&id);
                }
                assert!(self.open.is_empty(), "calls that nobody settles: {:?}", self.open);
                self.consuming.clear();
            }
            _ => {}
        }
    }

    /// Takes in a frame as the driver does: what cannot be read is a violation.
    fn receive(&mut self, frame: &[u8]) {
        match envelope::read(frame) {
            Ok((message, end)) => {
                let payload = frame.get(end..).unwrap_or_default().to_vec();
                let bytes = payload.len();
                let message = match message.map(|()| payload) {
                    Message::Items { stream, count, payload, .. } => {
                        Message::Items { stream, count, bytes, payload }
                    }
                    other => other,
                };
                self.session.handle_message(message);
            }
            Err(error) => self.session.fail(&error.to_string()),
        }
        self.carry_out(false);
    }

    fn end_a_call(&mut self, choice: u8, place: usize) {
        if self.running.is_empty() {
            return;
        }
        let id = self.running.swap_remove(place % self.running.len());
        if choice & 3 == 3 && self.session.hear(id) {
            return;
        }
        let outcome = match choice & 3 {
            0 => Outcome::Return(self.luggage(choice >> 2).pack()),
            1 => Outcome::Raise(vec![0]),
            _ => Outcome::Return(vec![0]),
        };
        self.session.finish(id, outcome);
    }

    fn produce(&mut self, choice: u8) {
        let Some(&stream) = self.producing.get(usize::from(choice) % self.producing.len().max(1)) else { return };
        let payload = self.luggage(choice >> 6).pack();
        let (count, credit) = (u32::from(choice >> 3 & 7), self.session.credit(stream));
        let has_produced = self.session.produce(stream, count, payload.len(), payload);
        if has_produced {
            let (items, bytes) = credit.expect("a stream that can be produced has credit");
            assert!(u64::from(count) <= items && count > 0 && bytes > 0, "items beyond the credit");
        }
    }

    fn end_a_stream(&mut self, choice: u8) {
        if self.producing.is_empty() {
            return;
        }
        let place = usize::from(choice >> 2) % self.producing.len();
        let stream = self.producing[place];
        let has_ended = match choice & 3 {
            0 => self.session.end_stream(stream, StreamEnd::End),
            1 => self.session.end_stream(stream, StreamEnd::Fail(vec![0])),
            2 => self.session.end_stream(stream, StreamEnd::Stopped),
            _ => {
                self.session.acknowledge_stop(stream);
                false
            }
        };
        if has_ended {
            self.producing.swap_remove(place);
            assert!(!self.session.end_stream(stream, StreamEnd::End), "ended twice");
        }
    }

    fn use_a_stream(&mut self, choice: u8) {
        let Some((&stream, account)) = self.consuming.iter_mut().nth(usize::from(choice >> 3) % 8) else { return };
        match choice & 7 {
            0 => drop(self.session.stop(stream, StopKind::Close)),
            1 => drop(self.session.stop(stream, StopKind::Cancel)),
            _ => {
                let credit = credit(choice);
                account.granted += u64::from(credit.items);
                self.session.grant(stream, credit);
            }
        }
    }

    fn invoke(&mut self, choice: u8) {
        let Some(&reference) = self.holding.get(usize::from(choice >> 3) % self.holding.len().max(1)) else { return };
        let payload = self.luggage(choice >> 5).pack();
        let request = Request::new("", 0);
        let invoked: Result<CallId, SessionError> =
            self.session.invoke(reference, &request, choice & 1 == 0, |_| Ok(payload));
        if let Ok(id) = invoked {
            assert!(self.open.insert(id), "an id of two invocations in flight");
        }
    }

    fn release(&mut self, choice: u8) {
        if !self.holding.is_empty() {
            let place = usize::from(choice) % self.holding.len();
            let reference = self.holding.swap_remove(place);
            self.session.release(reference, 1);
        }
    }

    fn cancel(&mut self, choice: u8) {
        let Some(&id) = self.open.iter().nth(usize::from(choice >> 1) % self.open.len().max(1)) else { return };
        if choice & 1 == 0 {
            if self.session.cancel(id) == CancelEffect::Settled {
                self.settle(id);
            }
        } else {
            self.session.give_up(id);
            self.settle(id);
            self.unannounced += usize::from(self.asked.remove(&id).is_some());
        }
    }
}

/// Credit of few items, of none, and of as many as there can be.
fn credit(choice: u8) -> Credit {
    let items = if choice & 0xf0 == 0xf0 { u32::MAX } else { u32::from(choice >> 4) };
    Credit { items, bytes: u32::from(choice & 0x0f) * 4 }
}

fuzz_target!(|input: &[u8]| {
    let peer = |window| Peer::local("1").with_exports([Export::new("f")]).with_window(window).with_invoke_window(3);
    let mut input = input.iter().copied();
    let mut next = || input.next();
    let Some(first) = next() else { return };
    let mut sides = [
        Side::new(Session::connect(peer(u32::from(first & 7) + 1))),
        Side::new(Session::listen(peer(u32::from(first >> 3 & 7) + 1))),
    ];
    for side in &mut sides {
        side.carry_out(false);
    }
    while let Some(step) = next() {
        let choice = next().unwrap_or_default();
        let (this, other) = sides.split_at_mut(1);
        let (this, other) =
            if step & 1 == 0 { (&mut this[0], &mut other[0]) } else { (&mut other[0], &mut this[0]) };
        let has_room = this.sent.len() < MOST_FRAMES;
        match step >> 1 & 31 {
            0..3 if has_room => this.call(choice),
            3..11 => {
                if let Some(frame) = other.sent.pop_front() {
                    this.receive(&frame);
                }
            }
            11..14 => this.carry_out(true),
            14 => this.end_a_call(choice, usize::from(choice >> 4)),
            15..19 if has_room => this.produce(choice),
            19 => this.end_a_stream(choice),
            20..23 if has_room => this.use_a_stream(choice),
            23..25 if has_room => this.invoke(choice),
            25 => this.release(choice),
            26 => this.cancel(choice),
            27 => {
                if let Some(frame) = other.sent.front().cloned().filter(|_| other.sent.len() < MOST_FRAMES) {
                    other.sent.push_back(frame);
                }
            }
            28 => {
                if let Some(frame) = other.sent.front_mut() {
                    let place = usize::from(choice) % frame.len().max(1);
                    if let Some(byte) = frame.get_mut(place) {
                        *byte = next().unwrap_or(0xff);
                    }
                }
            }
            29 => {
                let frame: Vec<u8> = (0..choice % 24).map_while(|_| next()).collect();
                this.receive(&frame);
            }
            30 if step & 0xc0 == 0 => this.session.close("enough"),
            _ => {
                if choice & 7 == 0 {
                    other.sent.pop_front();
                }
            }
        }
        this.carry_out(false);
    }
    for side in &mut sides {
        side.session.die("the end of the input");
        side.carry_out(false);
        assert!(side.is_closed && side.open.is_empty(), "calls that nobody settles: {:?}", side.open);
        assert_eq!((side.session.in_flight(), side.session.streams()), (0, (0, 0)));
        assert_eq!(side.session.references(), (0, 0));
    }
});
