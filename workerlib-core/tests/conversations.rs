//! The things that two peers can do to each other, one case at a time; `schedules.rs` tries all that can happen.

mod pair;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use workerlib_core::{
    CallId, CancelEffect, CloseReason, Departure, Event, Export, Exports, Message, Outcome, Peer, Request,
    Session, SessionError, Starts, Step, WINDOW,
};

use pair::Pair;

/// Begins a call and sends it if that is possible at once; the payload is the call's own id.
fn call(pair: &mut Pair, side: usize) -> CallId {
    let begun = pair.sides[side].begin().expect("the session is open");
    if begun.is_ready {
        pair.send(side, begun.id, false);
    }
    begun.id
}

#[test]
fn a_call_is_answered_by_its_id_in_any_order() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let (first, second) = (call(&mut pair, 0), call(&mut pair, 0));
    pair.settle();
    assert_eq!(pair.start_all(1).len(), 2);
    assert!(pair.sides[1].finish(second, Outcome::Return(20)));
    assert!(pair.sides[1].finish(first, Outcome::Raise(10)));
    assert!(!pair.sides[1].finish(first, Outcome::Return(11)), "it is answered");
    pair.settle();
    assert_eq!(
        pair.events(0),
        [Event::Return { id: second, payload: 20 }, Event::Raise { id: first, payload: 10 }]
    );
    assert_eq!((pair.sides[0].in_flight(), pair.sides[1].serving()), (0, 0));
}

#[test]
fn a_payload_that_cannot_be_made_leaves_no_call_behind() {
    let mut pair = Pair::new(WINDOW, 1);
    let id = pair.sides[0].begin().expect("the session is open").id;
    let next = pair.sides[0].begin().expect("the session is open");
    assert!(!next.is_ready);
    let failed = pair.sides[0].send(id, &Request::new("f", 0), |_| Err(SessionError::NotOpen));
    assert!(failed.is_err());
    assert_eq!(pair.events(0), [Event::Ready { id: next.id }]);
    assert_eq!(pair.sides[0].in_flight(), 1);
    assert_eq!(pair.sides[0].poll_transmit(), None);
}

#[test]
fn no_more_calls_than_the_window_wait_at_the_peer() {
    let mut pair = Pair::new(2, usize::MAX);
    let calls: Vec<_> = (0..5).map(|_| call(&mut pair, 0)).collect();
    pair.settle();
    assert_eq!(pair.sides[1].serving(), 2);
    let first = pair.sides[1].poll_call().expect("two wait");
    assert_eq!(first.id, calls[0]);
    pair.sides[1].finish(first.id, Outcome::Return(0));
    pair.settle();
    assert_eq!(pair.sides[1].serving(), 2, "the answer made room for one");
}

#[test]
fn a_call_starts_after_all_that_came_with_it() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let (first, second) = (call(&mut pair, 0), call(&mut pair, 0));
    pair.settle();
    assert_eq!(pair.sides[0].cancel(second), CancelEffect::AskedPeer);
    pair.transmit(0);
    let side = &mut pair.sides[1];
    side.handle_message(pair.wires[0].pop_front().expect("the cancel"));
    assert_eq!(side.poll(Starts::Allowed), Some(Step::Transmit(Message::Cancelled { id: second })));
    assert_eq!(side.poll(Starts::Held), Some(Step::Event(Event::Dropped { payload: second.0 })));
    assert_eq!(side.poll(Starts::Held), None, "its driver may not start one now");
    assert!(matches!(side.poll(Starts::Allowed), Some(Step::Start(started)) if started.id == first));
    side.handle_message(Message::Exports(Exports::default()));
    side.handle_message(Message::Call {
        id: CallId(7),
        function: "f".into(),
        payload: 7,
        reports_start: false,
        credit: None,
        trace: None,
    });
    assert_eq!(side.poll(Starts::Allowed), Some(Step::Event(Event::Exports(Exports::default()))));
    assert!(matches!(side.poll(Starts::Allowed), Some(Step::Start(started)) if started.id == CallId(7)));
    assert_eq!(side.poll(Starts::Allowed), None);
}

#[test]
fn calls_that_wait_are_sent_many_at_a_time() {
    let mut pair = Pair::new(8, usize::MAX);
    let calls: Vec<_> = (0..20).map(|_| call(&mut pair, 0)).collect();
    pair.settle();
    let mut sent = Vec::new();
    for &id in &calls[..8] {
        let started = pair.sides[1].poll_call().expect("eight wait");
        assert_eq!(started.id, id);
        pair.sides[1].finish(id, Outcome::Return(0));
        pair.transmit(1);
        pair.deliver(0);
        sent.push(pair.wires[0].len());
        pair.settle();
    }
    assert_eq!(sent, [0, 0, 0, 4, 0, 0, 0, 4], "when half of the window is free, that half is filled");
}

#[test]
fn heavy_calls_take_up_more_of_the_window() {
    let mut pair = Pair::new(16, usize::MAX);
    let heavy = Request::new("f", 1 << 20);
    assert!(heavy.reports_start(), "when it gives that back is to be known");
    for _ in 0..20 {
        let id = pair.sides[0].begin().expect("the session is open").id;
        pair.sides[0].send::<SessionError>(id, &heavy, |_| Ok(0)).expect("it is the call's turn");
    }
    pair.settle();
    assert_eq!(pair.sides[1].serving(), 8);
    for _ in 0..12 {
        assert!(pair.sides[1].poll_call().is_some(), "though none has been answered");
        pair.settle();
    }
    assert_eq!(pair.sides[1].serving(), 20);
}

#[test]
fn functions_that_run_on_leave_the_window_to_others() {
    let mut pair = Pair::new(4, usize::MAX);
    let calls: Vec<_> = (0..100).map(|_| call(&mut pair, 0)).collect();
    let mut started = Vec::new();
    for _ in 0..100 {
        pair.settle();
        started.extend(pair.start_all(1).into_iter().map(|call| call.id));
    }
    assert_eq!(started, calls, "all of them, in their order, though none has been answered");
}

#[test]
fn a_queued_call_is_told_that_it_has_to_wait() {
    let mut pair = Pair::new(1, usize::MAX);
    let mut departures = Vec::new();
    for _ in 0..2 {
        let id = pair.sides[0].begin().expect("the session is open").id;
        let sent = pair.sides[0].send::<SessionError>(id, &Request::new("f", 0), |departure| {
            departures.push(departure);
            Ok(0)
        });
        sent.expect("it is the call's turn");
    }
    assert_eq!(departures, [Departure::Now, Departure::Later]);
}

#[test]
fn a_cancelled_call_that_has_not_left_is_settled_at_once() {
    let mut pair = Pair::new(1, 2);
    let (sent, queued, in_line) = (call(&mut pair, 0), call(&mut pair, 0), call(&mut pair, 0));
    assert_eq!(pair.sides[0].cancel(queued), CancelEffect::Settled);
    assert_eq!(pair.events(0), [Event::Ready { id: in_line }], "it made room");
    assert_eq!(
        pair.sides[0].cancel(in_line),
        CancelEffect::Settled,
        "its turn had come, but it was not sent"
    );
    assert_eq!(pair.sides[0].cancel(sent), CancelEffect::AskedPeer, "the peer has it");
    let refused = pair.sides[0].send::<SessionError>(in_line, &Request::new("f", 0), |_| Ok(0));
    assert_eq!(refused, Err(SessionError::NotReady(in_line)));
    pair.settle();
    assert_eq!(pair.sides[1].poll_call(), None, "cancelled before it started");
    assert_eq!(pair.events(0), [Event::Cancelled { id: sent }]);
    assert_eq!(pair.sides[0].in_flight(), 0);
}

#[test]
fn those_who_wait_for_room_come_first() {
    let mut pair = Pair::new(WINDOW, 1);
    let calls: Vec<_> = (0..3).map(|_| call(&mut pair, 0)).collect();
    for turn in 0..3 {
        pair.settle();
        assert_eq!(pair.start_all(1).len(), 1);
        pair.sides[1].finish(calls[turn], Outcome::Return(0));
        pair.settle();
        assert!(!pair.sides[0].begin().expect("the session is open").is_ready || turn == 2);
        let ready: Vec<_> =
            pair.events(0).into_iter().filter(|event| matches!(event, Event::Ready { .. })).collect();
        if turn < 2 {
            assert_eq!(ready, [Event::Ready { id: calls[turn + 1] }]);
            pair.send(0, calls[turn + 1], false);
        }
    }
}

#[test]
fn the_outcome_of_a_cancelled_function_settles_the_call() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let calls: Vec<_> = (0..3).map(|_| call(&mut pair, 0)).collect();
    pair.settle();
    pair.start_all(1);
    assert!(!pair.sides[1].finish(calls[0], Outcome::Cancelled), "nobody has cancelled it");
    for &id in &calls {
        assert_eq!(pair.sides[0].cancel(id), CancelEffect::AskedPeer);
    }
    pair.settle();
    assert_eq!(pair.events(1), calls.iter().map(|&id| Event::Cancel { id }).collect::<Vec<_>>());
    assert_eq!(pair.events(0), [], "the functions have not been told yet");
    calls.iter().for_each(|&id| pair.sides[1].acknowledge_cancel(id));
    pair.settle();
    assert_eq!(pair.events(0), calls.iter().map(|&id| Event::Cancelling { id }).collect::<Vec<_>>());
    pair.sides[1].finish(calls[0], Outcome::Cancelled);
    pair.sides[1].finish(calls[1], Outcome::Return(5));
    pair.sides[1].finish(calls[2], Outcome::Raise(6));
    pair.settle();
    assert_eq!(
        pair.events(0),
        [
            Event::Cancelled { id: calls[0] },
            Event::Return { id: calls[1], payload: 5 },
            Event::Raise { id: calls[2], payload: 6 }
        ]
    );
}

#[test]
fn a_late_answer_of_a_call_that_was_given_up_is_dropped() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let id = call(&mut pair, 0);
    pair.settle();
    pair.start_all(1);
    assert!(pair.sides[0].give_up(id));
    assert!(!pair.sides[0].give_up(id), "nobody waits for it any more");
    assert_eq!(pair.sides[0].in_flight(), 1, "its id is taken until the answer is there");
    pair.settle();
    assert_eq!(pair.events(1), [Event::Cancel { id }]);
    pair.sides[1].finish(id, Outcome::Return(5));
    pair.settle();
    assert_eq!(pair.events(0), [Event::Dropped { payload: 5 }]);
    assert_eq!(pair.sides[0].in_flight(), 0);
}

#[test]
fn starts_are_told_to_those_who_ask() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let quiet = call(&mut pair, 0);
    let asking = pair.sides[0].begin().expect("the session is open").id;
    pair.send(0, asking, true);
    pair.settle();
    assert_eq!(pair.events(0), []);
    pair.start_all(1);
    pair.settle();
    assert_eq!(pair.events(0), [Event::Started { id: asking }]);
    pair.sides[1].finish(quiet, Outcome::Return(0));
}

#[test]
fn a_close_loses_the_calls_in_flight_oldest_first() {
    let mut pair = Pair::new(1, 2);
    let calls: Vec<_> = (0..4).map(|_| call(&mut pair, 0)).collect();
    pair.sides[0].close("done");
    let reason = CloseReason::Local("done".into());
    assert_eq!(pair.events(0), [Event::Closed { reason: reason.clone(), lost: calls }]);
    assert_eq!(pair.sides[0].begin(), Err(SessionError::Closed(reason)));
    pair.settle();
    assert!(!pair.sides[1].is_open());
}

#[test]
fn a_death_settles_everything_and_says_nothing_to_the_dead() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let id = call(&mut pair, 0);
    pair.sides[0].die("it was terminated");
    pair.sides[0].die("again");
    let reason = CloseReason::Died("it was terminated".into());
    assert_eq!(pair.events(0), [Event::Closed { reason, lost: vec![id] }]);
    assert_eq!(pair.sides[0].poll_transmit(), None);
}

#[test]
fn protocols_that_differ_are_refused_on_both_sides() {
    let peer = |protocol| {
        let mut peer = Peer::local("test");
        peer.protocol = protocol;
        peer
    };
    let mut pair = Pair::between([Session::connect(peer(7)), Session::listen(peer(8))]);
    for (side, ours, theirs) in [(0, 7, 8), (1, 8, 7)] {
        let reason = CloseReason::Protocol { ours, theirs };
        assert_eq!(pair.events(side), [Event::Closed { reason, lost: vec![] }]);
    }
}

#[test]
fn a_violation_closes_the_session_and_names_it() {
    let call = |id| Message::Call {
        id: CallId(id),
        function: "f".into(),
        payload: 0,
        reports_start: false,
        credit: None,
        trace: None,
    };
    let cases = [
        (vec![call(9), call(9)], "twice"),
        ((0..3).map(call).collect(), "window"),
        (vec![Message::Welcome(Peer::default())], "handshake"),
    ];
    for (messages, text) in cases {
        let mut pair = Pair::new(2, usize::MAX);
        messages.into_iter().for_each(|message| pair.sides[1].handle_message(message));
        let events = pair.events(1);
        let [Event::Closed { reason: CloseReason::Violation(violation), .. }] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(violation.contains(text), "{violation}");
    }
}

#[test]
fn a_call_that_was_given_up_is_in_flight_until_its_answer_comes() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let id = call(&mut pair, 0);
    pair.settle();
    pair.start_all(1);
    pair.sides[1].acknowledge_cancel(id);
    pair.settle();
    assert_eq!(pair.events(0), [], "nobody has cancelled it");
    assert!(pair.sides[0].give_up(id));
    pair.settle();
    pair.sides[1].acknowledge_cancel(id);
    pair.settle();
    assert_eq!(pair.events(0), [Event::Cancelling { id }], "whoever interrupts it stops");
    assert!(pair.sides[0].is_in_flight(id));
    pair.sides[1].finish(id, Outcome::Return(5));
    pair.sides[1].acknowledge_cancel(id);
    pair.settle();
    assert_eq!(pair.events(0), [Event::Dropped { payload: 5 }], "a late answer is dropped");
    assert!(!pair.sides[0].is_in_flight(id));
}

#[test]
fn an_answer_that_nobody_asked_for_is_passed_over() {
    let mut pair = Pair::new(1, usize::MAX);
    let (_, queued) = (call(&mut pair, 0), call(&mut pair, 0));
    for id in [queued, CallId(99)] {
        pair.sides[0].handle_message(Message::Return { id, payload: 1, unheard: Vec::new() });
        pair.sides[0].handle_message(Message::Started { ids: vec![id] });
        pair.sides[0].handle_message(Message::Cancelling { id });
    }
    assert_eq!(pair.events(0), []);
    assert_eq!(pair.sides[0].in_flight(), 2);
}

#[test]
fn a_call_that_ends_as_cancelled_without_a_cancel_is_a_violation() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let id = call(&mut pair, 0);
    pair.sides[0].handle_message(Message::Cancelled { id });
    let events = pair.events(0);
    assert!(
        matches!(&events[..], [Event::Closed { reason: CloseReason::Violation(_), lost }] if *lost == [id])
    );
}

#[test]
fn exports_that_are_announced_before_the_handshake_follow_it() {
    let mut page = Session::<u32>::connect(Peer::local("1"));
    let mut worker = Session::<u32>::listen(Peer::local("1").with_exports([Export::new("early")]));
    worker.announce([Export::new("late")]);
    assert_eq!(worker.poll_transmit(), None, "nothing may come before the handshake");
    worker.handle_message(page.poll_transmit().expect("the page says Hello"));
    worker.announce([Export::new("later")]);
    while let Some(message) = worker.poll_transmit() {
        page.handle_message(message);
    }
    let told: Vec<_> = std::iter::from_fn(|| page.poll_event())
        .flat_map(|event| match event {
            Event::Opened(peer) => peer.exports,
            Event::Exports(exports) => exports,
            event => panic!("{event:?}"),
        })
        .map(|export| export.name)
        .collect();
    assert_eq!(told, ["early", "late", "later"]);
}

#[test]
fn a_window_without_room_is_refused() {
    let mut pair = Pair {
        sides: [Session::connect(Peer::local("test").with_window(0)), Session::listen(Peer::local("test"))],
        wires: [VecDeque::new(), VecDeque::new()],
    };
    pair.settle();
    assert!(!pair.sides[1].is_open());
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
    let mut session: Session<Infallible> = Session::listen(Peer::local("test"));
    assert!(session.send::<Mine>(CallId(1), &Request::new("f", 0), |_| Err(Mine)).is_err());
}

/// Protects a call that is cancelled by an interrupt before it starts: its caller waited for ever.
#[test]
fn a_call_that_waits_is_answered_when_its_cancel_is_noted() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let (id, other) = (call(&mut pair, 0), call(&mut pair, 0));
    pair.settle();
    assert_eq!(pair.sides[0].cancel(id), CancelEffect::AskedPeer);
    pair.sides[1].note_cancel(id);
    pair.settle();
    assert_eq!(pair.events(0), [Event::Cancelled { id }]);
    let dropped = Event::Dropped { payload: id.0 };
    assert_eq!(pair.events(1), [dropped], "the message that follows finds nothing");
    assert_eq!(pair.start_all(1).iter().map(|call| call.id).collect::<Vec<_>>(), [other]);
}

/// Protects this side from a peer whose window is as large as can be said, whatever its calls weigh.
#[test]
fn the_largest_window_has_room_for_calls_of_every_weight() {
    let mut pair = Pair::new(u32::MAX, usize::MAX);
    let mut departures = Vec::new();
    for size in [0, 1 << 20, 0].into_iter().chain([1 << 20; 9]) {
        let id = pair.sides[0].begin().expect("the session is open").id;
        let sent = pair.sides[0].send::<SessionError>(id, &Request::new("f", size), |departure| {
            departures.push(departure);
            Ok(0)
        });
        sent.expect("it is the call's turn");
    }
    let waiting = departures.iter().filter(|&&departure| departure == Departure::Later).count();
    assert_eq!(waiting, 2, "eight eighths leave room for light calls: {departures:?}");
    pair.settle();
    let mut started = pair.start_all(1).len();
    pair.settle();
    started += pair.start_all(1).len();
    assert_eq!(started, 12, "what has started leaves room for the others");
}

/// Protects the event loop: to cancel many calls in any order takes time in proportion to their number.
///
/// Were each one searched for, this would take minutes.
#[test]
fn many_calls_that_wait_are_cancelled_in_any_order() {
    const CALLS: usize = 200_000;
    for (window, max_in_flight) in [(1, usize::MAX), (1, 2)] {
        let mut pair = Pair::new(window, max_in_flight);
        let mut calls: Vec<_> = (0..CALLS).map(|_| call(&mut pair, 0)).collect();
        // From the middle outwards, so that neither end is near.
        let half = calls.split_off(CALLS / 2);
        let start = Instant::now();
        for (&id, &other) in calls[1..].iter().rev().zip(&half) {
            assert_eq!(pair.sides[0].cancel(id), CancelEffect::Settled);
            assert!(pair.sides[0].give_up(other));
        }
        let taken = start.elapsed();
        assert!(taken < Duration::from_secs(30), "{taken:?}");
    }
}

/// Protects the peer's caches of signatures: only news is sent.
#[test]
fn an_export_that_is_known_is_not_announced_again() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let described = Export::new("f");
    pair.sides[1].announce([described.clone()]);
    pair.sides[1].announce([described.clone()]);
    let mut changed = described.clone();
    changed.doc = Some("says more".into());
    pair.sides[1].announce([described.clone(), changed.clone()]);
    pair.settle();
    let announced = |export| Event::Exports([export].into_iter().collect());
    assert_eq!(pair.events(0), [announced(described), announced(changed)]);
}

/// Protects the calls between a page and a worker from their own limits: however many calls there are, one that is made
/// on behalf of another starts, is cancelled, and is answered.
#[test]
fn nested_calls_of_any_depth_go_on_at_a_limit_of_one() {
    let mut pair = Pair::new(1, 1);
    let mut calls = vec![call(&mut pair, 0)];
    let waiting = pair.sides[0].begin().expect("the session is open");
    assert!(!waiting.is_ready);
    for depth in 1..100 {
        let (caller, callee) = (depth % 2, 1 - depth % 2);
        pair.settle();
        assert_eq!(pair.start_all(caller).len(), 1);
        let begun = pair.sides[caller].begin_nested().expect("the session is open");
        assert!(begun.is_ready);
        pair.send(caller, begun.id, false);
        calls.push(begun.id);
        pair.settle();
        assert!(pair.sides[callee].serving() > 0);
    }
    let last = calls.len() - 1;
    assert_eq!(pair.sides[last % 2].cancel(calls[last]), CancelEffect::AskedPeer);
    pair.settle();
    assert_eq!(pair.events(last % 2), [Event::Cancelled { id: calls[last] }]);
    assert_eq!(pair.events(1 - last % 2), [Event::Dropped { payload: calls[last].0 }], "its arguments");
    for depth in (0..last).rev() {
        let (caller, callee) = (depth % 2, 1 - depth % 2);
        assert!(pair.sides[callee].finish(calls[depth], Outcome::Return(0)));
        pair.settle();
        let answer = Event::Return { id: calls[depth], payload: 0 };
        assert!(pair.events(caller).contains(&answer));
    }
    assert!(pair.sides.iter().all(|side| side.serving() == 0));
}

/// Protects callers from reports of calls that are not theirs: those that have ended, were given up, or never were.
#[test]
fn a_report_reaches_the_caller_while_the_call_runs() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let id = call(&mut pair, 0);
    pair.settle();
    assert!(!pair.sides[1].report(id, 1), "it has not started");
    pair.start_all(1);
    assert!(pair.sides[1].report(id, 2));
    pair.settle();
    assert_eq!(pair.events(0), [Event::Report { id, payload: 2 }]);
    pair.sides[1].report(id, 3);
    assert!(pair.sides[1].finish(id, Outcome::Return(0)));
    assert!(!pair.sides[1].report(id, 4), "it has ended");
    pair.settle();
    let events = [Event::Report { id, payload: 3 }, Event::Return { id, payload: 0 }];
    assert_eq!(pair.events(0), events, "a report comes before the answer");
    pair.sides[0].handle_message(Message::Report { id, payload: 5 });
    let given_up = call(&mut pair, 0);
    pair.settle();
    pair.start_all(1);
    assert!(pair.sides[0].give_up(given_up));
    pair.sides[1].report(given_up, 6);
    pair.settle();
    assert_eq!(pair.events(0), []);
    assert!(pair.sides.iter().all(Session::is_open), "late reports are not a violation");
}

/// Protects the detection of calls that wait for each other: the peer hears for which answer this side waits.
#[test]
fn what_a_side_writes_and_waits_for_is_told() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let id = call(&mut pair, 0);
    pair.sides[0].block(id);
    assert!(pair.sides[0].output("stdout", "text"));
    pair.settle();
    let output = Event::Output { stream: "stdout".into(), text: "text".into() };
    assert_eq!(pair.events(1), [Event::Blocked { ids: vec![id] }, output]);
    pair.start_all(1);
    assert!(pair.sides[1].finish(id, Outcome::Return(0)));
    pair.settle();
    pair.events(0);
    pair.sides[0].block(id);
    assert_eq!(pair.sides[0].poll_transmit(), None, "it has been answered");
    pair.sides[0].close("over");
    assert!(!pair.sides[0].output("stdout", "text"));
}
