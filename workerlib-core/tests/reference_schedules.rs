//! Random schedules of two peers that give each other references and invoke them: what is given lives as long as the
//! peer holds it, a message has it or an invocation runs; what is revoked never runs again; each invocation settles once;
//! and in the end nothing is left.
//!
//! `WORKERLIB_SCHEDULES` and `WORKERLIB_SEED` are those of `schedules.rs`. A schedule that fails is shrunk to the shortest
//! that does.

mod pair;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, panic};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use workerlib_core::{CallId, CancelEffect, Event, Message, Outcome, RefId, Request, SessionError};

use pair::Pair;

/// The number of schedules that a plain `cargo test` runs.
const FEW: u32 = 20_000;
const LONGEST: usize = 64;
/// The number of invocations without an answer that a side takes.
const INVOKE_WINDOW: u32 = 3;

/// The content of a payload: a reference that its sender gives, one that the receiver has given, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luggage {
    Nothing,
    Given(RefId),
    Carried(RefId),
}

impl Luggage {
    fn pack(self) -> u32 {
        match self {
            Self::Nothing => 0,
            Self::Given(RefId(id)) => 1 << 30 | id,
            Self::Carried(RefId(id)) => 2 << 30 | id,
        }
    }

    fn unpack(payload: u32) -> Self {
        let id = RefId(payload & 0x3fff_ffff);
        match payload >> 30 {
            0 => Self::Nothing,
            1 => Self::Given(id),
            _ => Self::Carried(id),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// A side calls the other and gives it something that ends with the call, or something that its holder keeps.
    Give {
        is_revocable: bool,
    },
    /// A side gives something that it has given before.
    GiveAgain(usize),
    /// A side calls the other and gives it something back.
    Carry(usize),
    /// A side begins a call that gives something, and cannot be sent.
    FailToGive,
    /// The oldest message of the other side arrives.
    Deliver,
    /// A side starts the next call that has arrived.
    Start,
    /// A call or an invocation that a side serves returns, with or without something that it gives.
    Return(usize),
    GiveResult(usize),
    Raise(usize),
    LetCancel(usize),
    /// An invocation returns None.
    Hear(usize),
    /// A side invokes something that it holds.
    Invoke {
        choice: usize,
        is_urgent: bool,
    },
    /// A side drops something that it holds.
    Drop(usize),
    /// A side cancels something of its own, or gives it up, which revokes what was given with it.
    Cancel(usize),
    GiveUp(usize),
    Close,
}

fn read(number: u16) -> (usize, Step) {
    let side = usize::from(number & 1);
    let choice = usize::from(number >> 7);
    let step = match (number >> 1) & 0x3f {
        0..5 => Step::Give { is_revocable: choice & 1 == 0 },
        5 => Step::GiveAgain(choice),
        6..8 => Step::Carry(choice),
        8 => Step::FailToGive,
        9..28 => Step::Deliver,
        28..34 => Step::Start,
        34..37 => Step::Return(choice),
        37..39 => Step::GiveResult(choice),
        39 => Step::Raise(choice),
        40..42 => Step::LetCancel(choice),
        42..46 => Step::Hear(choice),
        46..53 => Step::Invoke { choice, is_urgent: choice & 1 == 0 },
        53..57 => Step::Drop(choice),
        57..60 => Step::Cancel(choice),
        60..63 => Step::GiveUp(choice),
        _ if choice & 7 == 0 => Step::Close,
        _ => Step::Deliver,
    };
    (side, step)
}

/// Something that a side has given.
#[derive(Debug, Default)]
struct Object {
    is_revocable: bool,
    /// The call with which it was given, as long as that may end it.
    call: Option<CallId>,
    is_revoked: bool,
}

/// The test's own account of one side.
#[derive(Default)]
struct Ledger {
    /// Its calls and invocations that have not settled.
    open: BTreeSet<CallId>,
    invocations: HashSet<CallId>,
    begun: u32,
    settled: u32,
    /// The calls that it serves, and those of them that are invocations, of which reference.
    running: Vec<CallId>,
    invoked: HashMap<CallId, RefId>,
    /// The objects that it has given, by number, until the session says that they are gone.
    objects: BTreeMap<RefId, Object>,
    /// The other side's objects that it holds, each as often as it got them.
    holding: Vec<RefId>,
    /// The objects that it has given and revoked, and that are gone.
    revoked: HashSet<RefId>,
    is_closed: bool,
}

impl Ledger {
    fn settle(&mut self, id: CallId) {
        assert!(self.open.remove(&id), "{id:?} settled without being open");
        self.invocations.remove(&id);
        self.settled += 1;
    }

    /// Notes that a call has ended by a cancel, or that nobody waits for it: what it gave is revoked.
    fn revoke(&mut self, id: CallId) {
        for object in self.objects.values_mut().filter(|object| object.call == Some(id)) {
            object.is_revoked |= object.is_revocable;
        }
    }

    fn nth_open(&self, choice: usize) -> Option<CallId> {
        self.open.iter().nth(choice % self.open.len().max(1)).copied()
    }
}

struct Model {
    pair: Pair,
    ledgers: [Ledger; 2],
    /// The number of unread payloads that give a reference of a side.
    in_transit: HashMap<(usize, RefId), u32>,
    /// The gifts of each call or invocation of a side.
    gifts: HashMap<(usize, CallId), RefId>,
}

impl Model {
    fn new(window: u32) -> Self {
        let pair = Pair::with_windows(window, usize::MAX, INVOKE_WINDOW);
        Self { pair, ledgers: Default::default(), in_transit: HashMap::new(), gifts: HashMap::new() }
    }

    fn give(&mut self, side: usize, is_revocable: bool) -> Option<RefId> {
        let reference = self.pair.sides[side].give(is_revocable).ok()?;
        let object = Object { is_revocable, ..Object::default() };
        assert!(self.ledgers[side].objects.insert(reference, object).is_none(), "{reference:?} given again");
        Some(reference)
    }

    /// Notes that a payload is on its way.
    fn pack(&mut self, side: usize, id: CallId, luggage: Luggage) -> u32 {
        if let Luggage::Given(reference) = luggage {
            *self.in_transit.entry((side, reference)).or_default() += 1;
            self.gifts.insert((side, id), reference);
            if let Some(object) = self.ledgers[side].objects.get_mut(&reference) {
                object.call = Some(id);
            }
        }
        luggage.pack()
    }

    fn call(&mut self, side: usize, luggage: Luggage) {
        let Ok(begun) = self.pair.sides[side].begin() else { return };
        let (given, carried) = match luggage {
            Luggage::Nothing => (vec![], vec![]),
            Luggage::Given(reference) => (vec![reference], vec![]),
            Luggage::Carried(reference) => (vec![], vec![reference]),
        };
        let payload = self.pack(side, begun.id, luggage);
        let request = Request::new("f", 0).giving(&given).carrying(&carried);
        let sent = self.pair.sides[side].send::<SessionError>(begun.id, &request, |_| Ok(payload));
        sent.expect("it is its turn");
        self.ledgers[side].begun += 1;
        self.ledgers[side].open.insert(begun.id);
        self.pair.transmit(side);
    }

    /// A side reads a payload, and keeps what it brings.
    fn unpack(&mut self, side: usize, payload: u32) {
        let ledger = &mut self.ledgers[side];
        match Luggage::unpack(payload) {
            Luggage::Nothing => {}
            Luggage::Given(reference) => {
                *self.in_transit.get_mut(&(1 - side, reference)).expect("it was given") -= 1;
                self.pair.sides[side].hold(reference);
                if !ledger.is_closed {
                    ledger.holding.push(reference);
                }
            }
            Luggage::Carried(reference) => {
                // An object that may be revoked may be gone when it comes back.
                let is_there = ledger.objects.contains_key(&reference);
                let was_revoked = ledger.revoked.contains(&reference);
                assert!(is_there || was_revoked || ledger.is_closed, "{reference:?} is gone");
            }
        }
    }

    fn drop_held(&mut self, side: usize, choice: usize) {
        let holding = &mut self.ledgers[side].holding;
        if !holding.is_empty() {
            let reference = holding.swap_remove(choice % holding.len());
            self.pair.sides[side].release(reference, 1);
            self.pair.transmit(side);
        }
    }

    fn take_events(&mut self) {
        for side in 0..2 {
            for event in self.pair.events(side) {
                self.take_event(side, event);
            }
            self.pair.transmit(side);
        }
    }

    fn take_event(&mut self, side: usize, event: Event<u32>) {
        let ledger = &mut self.ledgers[side];
        match event {
            Event::Return { id, payload } => {
                ledger.settle(id);
                self.unpack(side, payload);
            }
            Event::Raise { id, .. } => ledger.settle(id),
            Event::Cancelled { id } => {
                ledger.settle(id);
                ledger.revoke(id);
            }
            Event::Heard { ids } => {
                for id in ids {
                    assert!(ledger.invocations.contains(&id), "{id:?} is an invocation");
                    ledger.settle(id);
                }
            }
            Event::Invoke { id, reference, is_refused, payload, .. } => {
                let object = ledger.objects.get(&reference);
                let may_run = object.is_some_and(|object| !object.is_revoked);
                assert!(is_refused || may_run, "{reference:?} was revoked");
                // The session may know already that the call was cancelled with which it was given.
                let session = &self.pair.sides[side];
                let has_ended =
                    object.and_then(|object| object.call).is_some_and(|id| !session.is_in_flight(id));
                assert!(!is_refused || !may_run || has_ended || !session.is_open(), "{reference:?} is known");
                if is_refused {
                    self.pair.sides[side].finish(id, Outcome::Raise(0));
                } else {
                    ledger.running.push(id);
                    ledger.invoked.insert(id, reference);
                }
                self.unpack(side, payload);
            }
            Event::Dropped { payload } => {
                self.unpack(side, payload);
                if let Luggage::Given(reference) = Luggage::unpack(payload) {
                    self.ledgers[side].holding.pop();
                    self.pair.sides[side].release(reference, 1);
                }
            }
            Event::Gone { reference } => {
                let object = ledger.objects.remove(&reference);
                let object = object.expect("what is gone was there");
                assert!(!ledger.invoked.values().any(|&one| one == reference), "{reference:?} runs");
                if object.is_revoked {
                    ledger.revoked.insert(reference);
                } else {
                    assert!(!self.ledgers[1 - side].holding.contains(&reference), "{reference:?} is held");
                    let waits = self.in_transit.get(&(side, reference)).copied().unwrap_or_default();
                    assert_eq!(waits, 0, "{reference:?} is on its way");
                }
            }
            // An invocation that was refused has its answer already.
            Event::Cancel { .. } | Event::Cancelling { .. } => {}
            Event::Closed { lost, .. } => {
                assert!(!ledger.is_closed, "a session ends once");
                ledger.is_closed = true;
                lost.into_iter().for_each(|id| ledger.settle(id));
                ledger.running.clear();
                ledger.invoked.clear();
                ledger.holding.clear();
                ledger.objects.clear();
            }
            event => unreachable!("{event:?}"),
        }
    }

    /// Takes out something that a side serves.
    fn served(&mut self, side: usize, choice: usize) -> Option<CallId> {
        let ledger = &mut self.ledgers[side];
        let count = ledger.running.len();
        let id = (count > 0).then(|| ledger.running.swap_remove(choice % count))?;
        ledger.invoked.remove(&id);
        Some(id)
    }

    fn take(&mut self, side: usize, step: Step) {
        let is_open = self.pair.sides[side].is_open();
        match step {
            Step::Give { is_revocable } => {
                if let Some(reference) = self.give(side, is_revocable) {
                    self.call(side, Luggage::Given(reference));
                }
            }
            Step::GiveAgain(choice) => {
                let objects = &self.ledgers[side].objects;
                let kept: Vec<_> = objects.iter().filter(|(_, one)| !one.is_revocable).collect();
                if let Some(&&reference) =
                    kept.get(choice % kept.len().max(1)).map(|(reference, _)| reference)
                    && self.pair.sides[side].give_again(reference)
                {
                    self.call(side, Luggage::Given(reference));
                }
            }
            Step::Carry(choice) => {
                let holding = &self.ledgers[side].holding;
                if is_open && let Some(&reference) = holding.get(choice % holding.len().max(1)) {
                    self.call(side, Luggage::Carried(reference));
                }
            }
            Step::FailToGive => {
                if let Some(reference) = self.give(side, true) {
                    self.pair.sides[side].take_back(reference);
                }
            }
            Step::Deliver => drop(self.pair.deliver(side)),
            Step::Start => {
                if let Some(call) = self.pair.sides[side].poll_call() {
                    self.ledgers[side].running.push(call.id);
                    self.pair.transmit(side);
                    self.unpack(side, call.payload);
                }
            }
            Step::Return(choice) | Step::Raise(choice) | Step::LetCancel(choice) | Step::Hear(choice) => {
                let Some(&id) =
                    self.ledgers[side].running.get(choice % self.ledgers[side].running.len().max(1))
                else {
                    return;
                };
                let session = &mut self.pair.sides[side];
                let is_answered = match step {
                    Step::Return(_) => session.finish(id, Outcome::Return(0)),
                    Step::Raise(_) => session.finish(id, Outcome::Raise(0)),
                    Step::LetCancel(_) => session.finish(id, Outcome::Cancelled),
                    // Only an invocation can be answered so.
                    _ => session.hear(id),
                };
                if is_answered {
                    self.ledgers[side].running.retain(|&one| one != id);
                    self.ledgers[side].invoked.remove(&id);
                }
                self.pair.transmit(side);
            }
            Step::GiveResult(choice) => {
                if is_open
                    && let Some(id) = self.served(side, choice)
                    && let Some(reference) = self.give(side, false)
                {
                    *self.in_transit.entry((side, reference)).or_default() += 1;
                    let payload = Luggage::Given(reference).pack();
                    assert!(self.pair.sides[side].finish(id, Outcome::Return(payload)));
                    self.pair.transmit(side);
                }
            }
            Step::Invoke { choice, is_urgent } => {
                let holding = &self.ledgers[side].holding;
                let Some(&reference) = holding.get(choice % holding.len().max(1)) else { return };
                // Every third one gives something, too.
                let gift = if choice % 3 == 0 { self.give(side, true) } else { None };
                let given: Vec<_> = gift.into_iter().collect();
                let request = Request::new("", 0).giving(&given);
                let may_invoke = self.pair.sides[side].may_invoke();
                let payload = gift.map_or(Luggage::Nothing, Luggage::Given);
                let sent =
                    self.pair.sides[side]
                        .invoke::<SessionError>(reference, &request, is_urgent, |_| Ok(payload.pack()));
                match sent {
                    Ok(id) => {
                        assert!(may_invoke);
                        self.pack(side, id, payload);
                        let ledger = &mut self.ledgers[side];
                        ledger.begun += 1;
                        assert!(ledger.open.insert(id), "an id in flight was given again");
                        ledger.invocations.insert(id);
                    }
                    Err(_) => {
                        assert!(!may_invoke || !is_open);
                        given.into_iter().for_each(|one| self.pair.sides[side].take_back(one));
                    }
                }
                self.pair.transmit(side);
            }
            Step::Drop(choice) => self.drop_held(side, choice),
            Step::Cancel(choice) | Step::GiveUp(choice) => {
                let Some(id) = self.ledgers[side].nth_open(choice) else { return };
                let is_over = if matches!(step, Step::GiveUp(_)) {
                    assert!(self.pair.sides[side].give_up(id), "{id:?} was waited for");
                    true
                } else {
                    self.pair.sides[side].cancel(id) != CancelEffect::AskedPeer
                };
                if is_over {
                    self.ledgers[side].settle(id);
                    self.ledgers[side].revoke(id);
                    if !self.pair.sides[side].is_in_flight(id)
                        && let Some(reference) = self.gifts.remove(&(side, id))
                    {
                        // It never left.
                        *self.in_transit.get_mut(&(side, reference)).expect("it was given") -= 1;
                    }
                }
                self.pair.transmit(side);
            }
            Step::Close => {
                self.pair.sides[side].close("schedule");
                self.pair.transmit(side);
            }
        }
    }

    fn check(&self) {
        for (side, ledger) in self.ledgers.iter().enumerate() {
            let session = &self.pair.sides[side];
            assert_eq!(session.is_open(), !ledger.is_closed);
            assert!(ledger.invoked.len() <= INVOKE_WINDOW as usize, "the window is held to");
            if session.is_open() {
                assert_eq!(session.references().0, ledger.objects.len(), "what is given is known");
            }
        }
    }

    /// Lets both sides do what they still owe, and drop what they hold.
    fn conclude(&mut self) {
        let mut last = None;
        loop {
            self.pair.settle();
            self.take_events();
            for side in 0..2 {
                while let Some(call) = self.pair.sides[side].poll_call() {
                    self.ledgers[side].running.push(call.id);
                    self.unpack(side, call.payload);
                }
                while let Some(id) = self.served(side, 0) {
                    assert!(self.pair.sides[side].finish(id, Outcome::Return(0)));
                }
                while !self.ledgers[side].holding.is_empty() {
                    self.drop_held(side, 0);
                }
                self.pair.transmit(side);
            }
            self.take_events();
            let left = self.pair.sides.each_ref().map(|side| (side.in_flight(), side.references()));
            if last == Some(left) && self.pair.wires.iter().all(|wire| wire.is_empty()) {
                break;
            }
            last = Some(left);
        }
        for (side, ledger) in self.ledgers.iter().enumerate() {
            let session = &self.pair.sides[side];
            assert!(ledger.open.is_empty(), "side {side} waits for ever for {:?}", ledger.open);
            assert_eq!(ledger.settled, ledger.begun);
            assert_eq!((session.in_flight(), session.serving()), (0, 0));
            assert_eq!(session.references(), (0, 0), "side {side} keeps {:?}", ledger.objects);
            assert!(ledger.objects.is_empty(), "side {side} was not told of the end of {:?}", ledger.objects);
        }
    }
}

fn run(window: u32, schedule: &[u16]) {
    let mut model = Model::new(window);
    for &number in schedule {
        let (side, step) = read(number);
        model.take(side, step);
        model.take_events();
        model.check();
    }
    model.conclude();
}

fn number_from<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

fn search(seed: u64, cases: u32, run: impl Fn(u32, &[u16])) -> Result<(), TestError<(u32, Vec<u16>)>> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = 1;
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let schedules = (1..5u32, prop::collection::vec(any::<u16>(), 0..LONGEST));
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let outcome = TestRunner::new_with_rng(config, rng).run(&schedules, |(window, schedule)| {
        panic::catch_unwind(panic::AssertUnwindSafe(|| run(window, &schedule))).map_err(|payload| {
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            TestCaseError::fail(text.unwrap_or_default())
        })
    });
    panic::set_hook(hook);
    outcome
}

/// Protects what one side gives the other: invariants 5, 6, 7 and 10 of the design of both directions.
#[test]
fn references_live_as_long_as_they_are_held_in_every_schedule() {
    let cases = number_from("WORKERLIB_SCHEDULES").unwrap_or(FEW);
    let seed = number_from("WORKERLIB_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
        now.as_nanos() as u64
    });
    if let Err(TestError::Fail(reason, (window, schedule))) = search(seed, cases, run) {
        let steps: Vec<_> = schedule.iter().map(|&number| read(number)).collect();
        panic!("WORKERLIB_SEED={seed}: {reason}\nwindow {window}, steps by side: {steps:#?}");
    }
    println!("schedules of references run: {cases}, WORKERLIB_SEED={seed}");
    // A session that forgot to release would look as this channel does.
    let loses = |window, schedule: &[u16]| {
        let mut model = Model::new(window);
        for &number in schedule {
            let (side, step) = read(number);
            model.take(side, step);
            model.take_events();
            model.pair.wires[1].retain(|message| !matches!(message, Message::Release { .. }));
        }
        model.pair.settle();
        model.conclude();
    };
    let Err(TestError::Fail(reason, (_, schedule))) = search(7, FEW, loses) else {
        panic!("a lost release was not found")
    };
    assert!(reason.to_string().contains("keeps"), "{reason}");
    assert!(schedule.len() <= 5, "give, deliver, start, drop: {schedule:?}");
}
