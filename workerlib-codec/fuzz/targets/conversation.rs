//! Two peers talk by frames, and somebody between them repeats, drops, damages and invents frames.
//!
//! After any frames at all, no side has panicked, each call and each invocation of a side settles exactly once, and a side that has closed
//! sends nothing more but answers and has no references. The input is a list of steps; a step that invents a frame takes its
//! bytes from the input. A payload that begins with [`GIFT`] brings a reference, which may be one that nobody has given.
#![no_main]

use std::collections::{BTreeSet, VecDeque};

use libfuzzer_sys::fuzz_target;
use workerlib_codec::envelope;
use workerlib_core::{
    Begun, CallId, CancelEffect, Event, Export, Message, Outcome, Peer, RefId, Request, Session,
    SessionError, Starts, Step,
};

/// The number of frames that wait on a channel at most: an input that only calls would take all memory.
const MOST_FRAMES: usize = 256;

/// The first byte of a payload that brings a reference, whose number is the second one.
const GIFT: u8 = 9;
/// The number of invocations that a side takes at a time.
const INVOCATIONS: u32 = 8;

/// One side: its session, and what its driver knows.
struct Side {
    session: Session<Vec<u8>>,
    /// Calls and invocations of this side that have not settled.
    open: BTreeSet<CallId>,
    /// Calls and invocations of the other side that run here.
    running: Vec<CallId>,
    /// The references that payloads have brought, each as often as it came.
    holding: Vec<RefId>,
    /// Frames on their way to the other side.
    sent: VecDeque<Vec<u8>>,
    is_closed: bool,
}

impl Side {
    fn new(session: Session<Vec<u8>>) -> Self {
        let (open, running, holding) = Default::default();
        Self { session, open, running, holding, sent: VecDeque::new(), is_closed: false }
    }

    fn call(&mut self, choice: u8) {
        let begun: Result<Begun, SessionError> =
            if choice & 1 == 0 { self.session.begin() } else { self.session.begin_nested() };
        let Ok(Begun { id, is_ready, .. }) = begun else { return };
        assert!(self.open.insert(id), "an id of two calls in flight");
        if is_ready {
            self.send(id, choice);
        }
    }

    fn send(&mut self, id: CallId, choice: u8) {
        let mut request = Request::new("f", usize::from(choice));
        if choice & 2 != 0 {
            request = request.reporting_start();
        }
        let sent: Result<(), SessionError> = self.session.send(id, &request, |_| Ok(vec![1, 2, 3]));
        if sent.is_err() {
            self.open.remove(&id);
        }
    }

    /// Calls the other side with something that it may invoke.
    fn give(&mut self, choice: u8) {
        let Ok(reference) = self.session.give(choice & 1 == 0) else { return };
        let Ok(Begun { id, is_ready: true, .. }) = self.session.begin() else {
            self.session.take_back(reference);
            return;
        };
        self.open.insert(id);
        let given = [reference];
        let payload = vec![GIFT, u8::try_from(reference.0).unwrap_or(choice)];
        let sent: Result<(), SessionError> =
            self.session.send(id, &Request::new("f", 0).giving(&given), |_| Ok(payload));
        if sent.is_err() {
            self.open.remove(&id);
        }
    }

    /// Reads a payload, as the driver does: what it brings is held.
    fn unpack(&mut self, payload: &[u8]) {
        if let [GIFT, number, ..] = payload
            && self.session.is_open()
        {
            let reference = RefId(u32::from(*number));
            self.session.hold(reference);
            self.holding.push(reference);
        }
    }

    fn release(&mut self, choice: u8) {
        if !self.holding.is_empty() {
            let reference = self.holding.swap_remove(usize::from(choice) % self.holding.len());
            self.session.release(reference, 1);
        }
    }

    fn invoke(&mut self, choice: u8) {
        let Some(&reference) = self.holding.get(usize::from(choice) % self.holding.len().max(1)) else {
            return;
        };
        let sent: Result<CallId, SessionError> =
            self.session.invoke(reference, &Request::new("m", 0), choice & 1 == 0, |_| Ok(vec![choice]));
        if let Ok(id) = sent {
            assert!(self.open.insert(id), "an id of two calls in flight");
        }
    }

    /// Tells the other side something from what runs here, or answers an invocation with None.
    fn tell(&mut self, choice: u8) {
        let Some(&id) = self.running.get(usize::from(choice) % self.running.len().max(1)) else { return };
        match choice >> 6 {
            0 => drop(self.session.report(id, vec![choice])),
            1 => drop(self.session.output("stdout", "text")),
            _ => {
                if self.session.hear(id) {
                    self.running.retain(|&one| one != id);
                }
            }
        }
        if choice & 32 != 0
            && let Some(&waited) = self.open.first()
        {
            self.session.block(waited);
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
                Step::Start(call) => {
                    self.running.push(call.id);
                    self.unpack(&call.payload);
                }
                Step::Event(event) => self.hear(event),
                _ => {}
            }
        }
    }

    fn transmit(&mut self, message: &Message<Vec<u8>>) {
        assert!(
            !self.is_closed || !matches!(message, Message::Call { .. } | Message::Cancel { .. }),
            "{message:?} after the end"
        );
        let mut frame = Vec::new();
        envelope::write(message, &mut frame);
        let (read, end) = envelope::read(&frame).expect("what was written can be read");
        assert_eq!((end, &read), (frame.len(), &bare(message)));
        frame.extend(message.payload().into_iter().flatten());
        self.sent.push_back(frame);
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
            Event::Invoke { id, is_refused: true, .. } => {
                let _ = self.session.finish(id, Outcome::Raise(vec![6]));
            }
            Event::Invoke { id, payload, .. } => {
                self.running.push(id);
                self.unpack(&payload);
            }
            Event::Dropped { payload } => {
                self.unpack(&payload);
                if payload.first() == Some(&GIFT)
                    && let Some(reference) = self.holding.pop()
                {
                    self.session.release(reference, 1);
                }
            }
            Event::Closed { lost, .. } => {
                assert!(!self.is_closed, "closed twice");
                self.is_closed = true;
                for id in lost {
                    self.open.remove(&id);
                }
                assert!(self.open.is_empty(), "calls that nobody settles: {:?}", self.open);
                self.holding.clear();
                assert_eq!(self.session.references(), (0, 0), "references of a session that has ended");
            }
            _ => {}
        }
    }

    /// Takes in a frame as the driver does: what cannot be read is a violation.
    fn receive(&mut self, frame: &[u8]) {
        match envelope::read(frame) {
            Ok((message, end)) => {
                let payload = frame.get(end..).unwrap_or_default().to_vec();
                self.session.handle_message(message.map(|()| payload));
            }
            Err(error) => self.session.fail(&error.to_string()),
        }
        self.carry_out(false);
    }

    fn end_a_call(&mut self, choice: u8) {
        if self.running.is_empty() {
            return;
        }
        let id = self.running.swap_remove(usize::from(choice) % self.running.len());
        let outcome = match choice % 3 {
            0 if choice & 64 != 0 => match self.session.give(false) {
                Ok(reference) => Outcome::Return(vec![GIFT, u8::try_from(reference.0).unwrap_or(0)]),
                Err(_) => Outcome::Return(vec![4]),
            },
            0 => Outcome::Return(vec![4]),
            1 => Outcome::Raise(vec![5]),
            _ => Outcome::Cancelled,
        };
        self.session.finish(id, outcome);
        self.carry_out(false);
    }

    fn give_up_a_call(&mut self, choice: u8) {
        let Some(&id) = self.open.iter().nth(usize::from(choice) % self.open.len().max(1)) else { return };
        if choice & 1 == 0 {
            if self.session.cancel(id) == CancelEffect::Settled {
                self.settle(id);
            }
        } else {
            self.session.give_up(id);
            self.settle(id);
        }
        self.carry_out(false);
    }
}

/// The message without its payload.
fn bare(message: &Message<Vec<u8>>) -> Message<()> {
    message.clone().map(|_| ())
}

fuzz_target!(|input: &[u8]| {
    let peer = |window| {
        Peer::local("1").with_exports([Export::new("f")]).with_window(window).with_invoke_window(INVOCATIONS)
    };
    let mut input = input.iter().copied();
    let mut next = || input.next();
    let Some(first) = next() else { return };
    let connecting =
        Session::connect(peer(u32::from(first & 7) + 1)).limit_in_flight(usize::from(first >> 5) + 1);
    let mut sides = [Side::new(connecting), Side::new(Session::listen(peer(u32::from(first >> 3 & 3) + 1)))];
    for side in &mut sides {
        side.carry_out(false);
    }
    while let Some(step) = next() {
        let choice = next().unwrap_or_default();
        let (this, other) = sides.split_at_mut(1);
        let (this, other) =
            if step & 1 == 0 { (&mut this[0], &mut other[0]) } else { (&mut other[0], &mut this[0]) };
        match step >> 1 & 15 {
            0..2 if this.sent.len() < MOST_FRAMES => {
                this.call(choice);
                this.carry_out(false);
            }
            2..6 => {
                if let Some(frame) = other.sent.pop_front() {
                    this.receive(&frame);
                }
            }
            6 | 7 => this.carry_out(true),
            8 => this.end_a_call(choice),
            9 => this.give_up_a_call(choice),
            10 => {
                if let Some(frame) = other.sent.front().cloned().filter(|_| other.sent.len() < MOST_FRAMES) {
                    other.sent.push_back(frame);
                }
            }
            11 => {
                if let Some(frame) = other.sent.front_mut() {
                    let place = usize::from(choice) % frame.len().max(1);
                    if let Some(byte) = frame.get_mut(place) {
                        *byte = next().unwrap_or(0xff);
                    }
                    if step & 32 != 0 {
                        frame.truncate(place);
                    }
                }
            }
            12 => {
                let frame: Vec<u8> = (0..choice % 48).map_while(|_| next()).collect();
                this.receive(&frame);
            }
            13 => {
                if let Some(&id) = this.running.get(usize::from(choice) % this.running.len().max(1)) {
                    this.session.acknowledge_cancel(id);
                    this.session.note_cancel(id);
                    this.carry_out(false);
                }
            }
            14 if step & 0xc0 == 0 => {
                if choice & 1 == 0 {
                    this.session.close("enough");
                } else {
                    this.session.die("gone");
                }
                this.carry_out(false);
            }
            15 if step & 0xc0 != 0 && this.sent.len() < MOST_FRAMES => {
                match step >> 5 & 7 {
                    2 | 3 => this.give(choice),
                    4 => this.release(choice),
                    5 | 6 => this.invoke(choice),
                    _ => this.tell(choice),
                }
                this.carry_out(false);
            }
            _ => {
                if choice & 7 == 0 {
                    other.sent.pop_front();
                }
            }
        }
    }
    for side in &mut sides {
        side.session.die("the end of the input");
        side.carry_out(false);
        assert!(side.is_closed && side.open.is_empty(), "calls that nobody settles: {:?}", side.open);
        assert_eq!(side.session.in_flight(), 0);
    }
});
