//! Random schedules of two peers: whatever they do to each other, every call settles exactly once, no id is
//! given to two calls in flight, calls start in order but for nested ones, which wait for no other, and nothing stays
//! behind.
//!
//! `WORKERLIB_SCHEDULES` says how many are run (over a million before a release, optimised), and
//! `WORKERLIB_SEED` which ones; both are printed. A schedule that fails is shrunk to the shortest that does.

mod flows;
mod pair;

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use std::{env, panic, thread};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use workerlib_core::{CallId, CancelEffect, Event, Message, Outcome, Request, SessionError};

use flows::{CREDIT, Flow, Flows};
use pair::Pair;

/// The number of schedules that a plain `cargo test` runs.
const FEW: u32 = 20_000;
const LONGEST: usize = 48;
/// Marks the payload of a nested call, which need not start in order.
const NESTED: u32 = 1 << 31;

/// A schedule is a list of numbers, which proptest makes, and shrinks, faster than any enum. This is what
/// one of them means.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A side begins a call, and sends it if it may.
    Call {
        reports_start: bool,
    },
    /// A side begins a call that asks for a stream, and sends it if it may.
    CallForStream,
    /// A call that a side serves, and that asks for a stream, returns one.
    Stream(usize),
    /// Something happens to a stream.
    Flow(Flow),
    /// A side begins a call on behalf of one that it serves, which passes those that wait for their turn.
    Nested,
    /// A side begins a call of which it cannot make the payload.
    FailToSend,
    /// A call that a side serves reports something.
    Report(usize),
    /// The oldest message of the other side arrives.
    Deliver,
    /// A side starts the next call that has arrived.
    Start,
    /// A call that a side serves returns, raises or lets itself be cancelled.
    Return(usize),
    Raise(usize),
    LetCancel(usize),
    /// A side cancels a call of its own, or gives it up.
    Cancel(usize),
    GiveUp(usize),
    /// The oldest message of the other side arrives twice, or never.
    Duplicate,
    Drop,
    /// A side closes the session, or finds out that the other is gone.
    Close,
    Die,
}

fn read(number: u16) -> (usize, Step) {
    let side = usize::from(number & 1);
    let choice = usize::from(number >> 8);
    let step = match (number >> 1) & 0x7f {
        0..7 => Step::Call { reports_start: choice & 1 == 1 },
        7 => Step::Nested,
        8 => Step::FailToSend,
        9..30 => Step::Deliver,
        30 => Step::Report(choice),
        31..41 => Step::Start,
        41..47 => Step::Return(choice),
        47..50 => Step::Raise(choice),
        50..53 => Step::LetCancel(choice),
        53..58 => Step::Cancel(choice),
        58..60 => Step::GiveUp(choice),
        60 => Step::Duplicate,
        61 => Step::Drop,
        62 => Step::Close,
        63 => Step::Die,
        64..70 => Step::CallForStream,
        70..78 => Step::Stream(choice),
        78..82 => Step::Flow(Flow::Open),
        82..90 => Step::Flow(Flow::Produce(choice)),
        90..93 => Step::Flow(Flow::End(choice)),
        93..95 => Step::Flow(Flow::Fail(choice)),
        95..98 => Step::Flow(Flow::LetStop(choice)),
        98..104 => Step::Flow(Flow::Grant(choice)),
        104..108 => Step::Flow(Flow::Stop(choice)),
        108..116 => Step::Start,
        _ => Step::Deliver,
    };
    // Ends come seldom, so that most schedules have something to end.
    match step {
        Step::Close | Step::Die | Step::Drop | Step::Duplicate if choice & 3 != 0 => (side, Step::Deliver),
        step => (side, step),
    }
}

/// The test's own account of one side.
#[derive(Default)]
struct Ledger {
    /// Its calls that have not settled, and whether they have been sent.
    open: BTreeMap<CallId, bool>,
    /// Its calls that were nested, which no limit holds up.
    nested: HashSet<CallId>,
    begun: u32,
    settled: u32,
    /// The calls of the other side that it has started and not answered.
    running: Vec<CallId>,
    /// The payload of the call that it started last.
    last_started: u32,
    is_closed: bool,
}

impl Ledger {
    fn settle(&mut self, id: CallId) {
        assert!(self.open.remove(&id).is_some(), "{id:?} settled without being open");
        self.settled += 1;
    }

    fn nth_open(&self, choice: usize) -> Option<CallId> {
        self.open.keys().nth(choice % self.open.len().max(1)).copied()
    }
}

struct Model {
    pair: Pair,
    ledgers: [Ledger; 2],
    flows: Flows,
    /// Whether the channel has kept its promise: in order, whole and once.
    is_reliable: bool,
    max_in_flight: usize,
    window: usize,
}

impl Model {
    fn new(window: u32, max_in_flight: usize) -> Self {
        Self {
            pair: Pair::new(window, max_in_flight),
            ledgers: Default::default(),
            flows: Flows::default(),
            is_reliable: true,
            max_in_flight,
            window: window as usize,
        }
    }

    fn send(&mut self, side: usize, id: CallId, reports_start: bool) {
        self.ledgers[side].open.insert(id, true);
        self.pair.send(side, id, reports_start);
    }

    fn take_events(&mut self) {
        for side in 0..2 {
            for event in self.pair.events(side) {
                let ledger = &mut self.ledgers[side];
                match event {
                    Event::Return { id, .. } | Event::Raise { id, .. } | Event::Cancelled { id } => {
                        assert_eq!(ledger.open.get(&id), Some(&true), "{id:?} was answered");
                        ledger.settle(id);
                    }
                    Event::Ready { id } => {
                        assert_eq!(ledger.open.get(&id), Some(&false), "the turn of {id:?} came");
                        // It may have closed since then: an event that says so follows.
                        if self.pair.sides[side].is_open() {
                            self.send(side, id, false);
                        }
                    }
                    Event::Report { id, .. } => {
                        assert_eq!(ledger.open.get(&id), Some(&true), "{id:?} reports");
                    }
                    Event::Started { id } => {
                        assert_eq!(ledger.open.get(&id), Some(&true), "{id:?} runs");
                    }
                    // One that was given up may be told of too.
                    Event::Cancelling { id } => {
                        assert_ne!(ledger.open.get(&id), Some(&false), "{id:?} was sent");
                    }
                    Event::Cancel { id } => {
                        assert!(ledger.running.contains(&id), "{id:?} runs here");
                        // Every other function is busy, and has an outcome before it hears of the cancel.
                        if id.0 % 2 == 0 {
                            self.pair.sides[side].acknowledge_cancel(id);
                            self.pair.transmit(side);
                        }
                    }
                    Event::Closed { lost, .. } => {
                        assert!(!ledger.is_closed, "a session ends once");
                        ledger.is_closed = true;
                        lost.into_iter().for_each(|id| ledger.settle(id));
                        ledger.running.clear();
                        self.flows.close(side);
                    }
                    Event::Dropped { .. } => {}
                    event => {
                        if let Event::Stream { id, .. } = event {
                            assert_eq!(ledger.open.get(&id), Some(&true), "{id:?} was answered");
                            ledger.settle(id);
                        }
                        self.flows.hear(&mut self.pair, side, event, self.is_reliable);
                    }
                }
            }
        }
    }

    fn answer(&mut self, side: usize, choice: usize, outcome: Outcome<u32>) {
        let running = &mut self.ledgers[side].running;
        if running.is_empty() {
            return;
        }
        let index = choice % running.len();
        let id = running[index];
        let may_refuse = outcome == Outcome::Cancelled;
        let answered = self.pair.sides[side].finish(id, outcome);
        assert!(answered || may_refuse, "{id:?} was running");
        if answered {
            running.remove(index);
        }
        self.pair.transmit(side);
    }

    fn take(&mut self, side: usize, step: Step) {
        match step {
            Step::CallForStream => {
                let Ok(begun) = self.pair.sides[side].begin() else { return };
                let ledger = &mut self.ledgers[side];
                ledger.begun += 1;
                assert_eq!(ledger.open.insert(begun.id, begun.is_ready), None, "it was given again");
                if begun.is_ready {
                    let request = Request::new("f", 0).streaming(CREDIT);
                    let sent =
                        self.pair.sides[side].send::<SessionError>(begun.id, &request, |_| Ok(begun.id.0));
                    sent.expect("it is the call's turn");
                    self.pair.transmit(side);
                }
            }
            Step::Stream(choice) => {
                let running = &mut self.ledgers[side].running;
                if running.is_empty() {
                    return;
                }
                let index = choice % running.len();
                if let Some(stream) = self.pair.sides[side].finish_streaming(running[index]) {
                    running.remove(index);
                    self.flows.answer(side, stream);
                }
                self.pair.transmit(side);
            }
            Step::Flow(flow) => self.flows.take(&mut self.pair, side, flow),
            Step::Call { reports_start } => {
                let Ok(begun) = self.pair.sides[side].begin() else { return };
                let (id, is_ready) = (begun.id, begun.is_ready);
                let ledger = &mut self.ledgers[side];
                ledger.begun += 1;
                assert_eq!(ledger.open.insert(id, false), None, "an id in flight was given again");
                if is_ready {
                    self.send(side, id, reports_start);
                }
            }
            Step::Nested if self.ledgers[side].running.is_empty() => {}
            Step::Nested => {
                let Ok(begun) = self.pair.sides[side].begin_nested() else { return };
                assert!(begun.is_ready, "it waits for no other call");
                let ledger = &mut self.ledgers[side];
                ledger.begun += 1;
                assert_eq!(ledger.open.insert(begun.id, true), None, "an id in flight was given again");
                ledger.nested.insert(begun.id);
                let request = Request::new("f", 0);
                let sent = self.pair.sides[side]
                    .send::<SessionError>(begun.id, &request, |_| Ok(begun.id.0 | NESTED));
                sent.expect("it may be sent");
                self.pair.transmit(side);
            }
            Step::Report(choice) => {
                let running = &self.ledgers[side].running;
                if !running.is_empty() {
                    let id = running[choice % running.len()];
                    assert!(self.pair.sides[side].report(id, 1), "{id:?} runs");
                    self.pair.transmit(side);
                }
            }
            Step::FailToSend => {
                let Ok(begun) = self.pair.sides[side].begin() else { return };
                let (id, is_ready) = (begun.id, begun.is_ready);
                if is_ready {
                    let failed = self.pair.sides[side]
                        .send(id, &Request::new("f", 0), |_| Err::<u32, _>(SessionError::NotOpen));
                    assert!(failed.is_err());
                } else {
                    assert!(self.pair.sides[side].give_up(id));
                }
            }
            Step::Deliver => {
                self.pair.deliver(side);
            }
            Step::Start => {
                if let Some(call) = self.pair.sides[side].poll_call() {
                    let ledger = &mut self.ledgers[side];
                    // The payload is the id, which does not wrap around in a schedule.
                    if call.payload & NESTED == 0 {
                        let in_order = call.payload > ledger.last_started;
                        assert!(in_order || !self.is_reliable, "{call:?} started late");
                        ledger.last_started = call.payload;
                    }
                    ledger.running.push(call.id);
                    self.pair.transmit(side);
                }
            }
            Step::Return(choice) => self.answer(side, choice, Outcome::Return(1)),
            Step::Raise(choice) => self.answer(side, choice, Outcome::Raise(1)),
            Step::LetCancel(choice) => self.answer(side, choice, Outcome::Cancelled),
            Step::Cancel(choice) => {
                if let Some(id) = self.ledgers[side].nth_open(choice) {
                    match self.pair.sides[side].cancel(id) {
                        // Every third cancel is known to the peer before its message arrives, as by an interrupt.
                        CancelEffect::AskedPeer if choice % 3 == 0 => {
                            self.pair.sides[1 - side].note_cancel(id)
                        }
                        CancelEffect::AskedPeer => {}
                        _ => self.ledgers[side].settle(id),
                    }
                    self.pair.transmit(side);
                    self.pair.transmit(1 - side);
                }
            }
            Step::GiveUp(choice) => {
                if let Some(id) = self.ledgers[side].nth_open(choice) {
                    assert!(self.pair.sides[side].give_up(id), "{id:?} was waited for");
                    self.ledgers[side].settle(id);
                    self.pair.transmit(side);
                }
            }
            Step::Duplicate => {
                self.is_reliable = false;
                if let Some(message) = self.pair.wires[1 - side].front().cloned() {
                    self.pair.wires[1 - side].push_front(message);
                }
                self.pair.deliver(side);
            }
            Step::Drop => {
                self.is_reliable = false;
                self.pair.wires[1 - side].pop_front();
            }
            Step::Close => {
                self.pair.sides[side].close("schedule");
                self.pair.transmit(side);
            }
            Step::Die => {
                // The other side is gone: it receives nothing that it could wait for.
                self.is_reliable = false;
                self.pair.sides[side].die("schedule");
                self.pair.transmit(side);
            }
        }
    }

    fn check(&self) {
        self.flows.check(&self.pair);
        for (side, ledger) in self.ledgers.iter().enumerate() {
            let session = &self.pair.sides[side];
            assert_eq!(session.is_open(), !ledger.is_closed);
            assert!(session.in_flight() >= ledger.open.len());
            let counts = |(id, is_sent): (&CallId, &bool)| *is_sent && !ledger.nested.contains(id);
            let sent = ledger.open.iter().filter(|&call| counts(call)).count();
            assert!(sent <= self.max_in_flight, "{sent} calls are under way");
            assert!(session.serving() - ledger.running.len() <= self.window, "the window is held to");
        }
    }

    /// Lets both sides do what they still owe; without a reliable channel, the session has to end first.
    fn conclude(&mut self) {
        if !self.is_reliable {
            self.take(0, Step::Close);
            self.take(1, Step::Die);
            self.take_events();
        }
        let mut last = (usize::MAX, usize::MAX);
        loop {
            self.pair.settle();
            self.take_events();
            for side in 0..2 {
                for call in self.pair.start_all(side) {
                    self.ledgers[side].running.push(call.id);
                }
                while !self.ledgers[side].running.is_empty() {
                    self.answer(side, 0, Outcome::Return(0));
                }
            }
            self.take_events();
            let left = (self.pair.sides[0].in_flight(), self.pair.sides[1].in_flight());
            if left == last && self.pair.wires.iter().all(|wire| wire.is_empty()) {
                break;
            }
            last = left;
        }
        self.flows.grant_all(&mut self.pair);
        self.pair.settle();
        self.take_events();
        if self.is_reliable {
            self.flows.check_credit(&self.pair);
        }
        self.flows.end_all(&mut self.pair);
        self.pair.settle();
        self.take_events();
        self.flows.check_empty(&self.pair);
        for (side, ledger) in self.ledgers.iter().enumerate() {
            assert!(ledger.open.is_empty(), "side {side} waits for ever for {:?}", ledger.open);
            assert_eq!(ledger.settled, ledger.begun);
            assert_eq!(self.pair.sides[side].in_flight(), 0);
            assert_eq!(self.pair.sides[side].serving(), 0);
        }
    }
}

fn run(window: u32, max_in_flight: usize, schedule: &[u16]) {
    let mut model = Model::new(window, max_in_flight);
    for &number in schedule {
        let (side, step) = read(number);
        model.take(side, step);
        model.take_events();
        model.check();
    }
    model.conclude();
}

fn schedules() -> impl Strategy<Value = (u32, usize, Vec<u16>)> {
    (1..5u32, 1..9usize, prop::collection::vec(any::<u16>(), 0..LONGEST))
}

/// Runs so many schedules from a seed; returns what to print about one that failed.
fn search(seed: u64, cases: u32) -> Option<String> {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8] = 1;
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &bytes);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome =
        TestRunner::new_with_rng(config, rng).run(&schedules(), |(window, max_in_flight, schedule)| {
            panic::catch_unwind(|| run(window, max_in_flight, &schedule)).map_err(|payload| {
                let text = payload.downcast_ref::<String>().cloned();
                let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                TestCaseError::fail(text.unwrap_or_default())
            })
        });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, (window, max_in_flight, schedule))) => {
            let steps: Vec<_> = schedule.iter().map(|&number| read(number)).collect();
            Some(format!(
                "{reason}\nwindow {window}, max_in_flight {max_in_flight}, steps by side: {steps:#?}"
            ))
        }
        Err(TestError::Abort(reason)) => Some(format!("given up: {reason}")),
    }
}

/// Runs what panics as a matter of course, each time a schedule fails, without a word about it.
fn quietly<T>(search: impl FnOnce() -> T) -> T {
    static HOOK: Mutex<()> = Mutex::new(());
    let _alone = HOOK.lock();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    let result = search();
    panic::set_hook(hook);
    result
}

fn number_from<T: std::str::FromStr>(variable: &str) -> Option<T> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

#[test]
fn every_call_settles_exactly_once_in_every_schedule() {
    let cases = number_from("WORKERLIB_SCHEDULES").unwrap_or(FEW);
    let seed = number_from("WORKERLIB_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is set");
        now.as_nanos() as u64
    });
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u32);
    let each = cases.div_ceil(threads);
    let start = Instant::now();
    let failures: Vec<_> = quietly(|| {
        thread::scope(|scope| {
            let searches: Vec<_> = (0..threads)
                .map(|number| scope.spawn(move || search(seed.wrapping_add(u64::from(number)), each)))
                .collect();
            searches.into_iter().filter_map(|search| search.join().expect("panics are caught")).collect()
        })
    });
    assert!(failures.is_empty(), "WORKERLIB_SEED={seed}:\n{}", failures.join("\n\n"));
    let seconds = start.elapsed().as_secs_f64();
    println!("schedules run: {} in {seconds:.1} s, WORKERLIB_SEED={seed}", each * threads);
}

#[test]
fn the_model_finds_an_answer_that_is_lost_and_shrinks_the_schedule() {
    // A session that lost an answer would look as this channel does, if its unreliability were not known.
    let mut runner = TestRunner::new_with_rng(
        Config { failure_persistence: None, ..Config::default() },
        TestRng::from_seed(RngAlgorithm::XorShift, &[7; 16]),
    );
    let runs = |(window, max_in_flight, schedule): (u32, usize, Vec<u16>)| {
        let lost = panic::catch_unwind(|| {
            let mut model = Model::new(window, max_in_flight);
            for &number in &schedule {
                let (side, step) = read(number);
                model.take(side, step);
                model.take_events();
                model.pair.wires[1].retain(|message| !matches!(message, Message::Return { .. }));
            }
            model.conclude();
        });
        lost.map_err(|_| TestCaseError::fail("an answer was lost"))
    };
    let found = quietly(|| runner.run(&schedules(), runs));
    let Err(TestError::Fail(_, (_, _, schedule))) = found else { panic!("it found nothing: {found:?}") };
    let steps: Vec<_> = schedule.iter().map(|&number| read(number).1).collect();
    let kinds: HashSet<_> = steps.iter().map(std::mem::discriminant).collect();
    assert_eq!(steps.len(), 4, "call, deliver, start, return: {steps:?}");
    assert_eq!(kinds.len(), 4);
}
