//! The uses that a peer may make of references that it was given, and those that it may not.

mod pair;

use workerlib_core::{
    CallId, CancelEffect, CloseReason, Event, Message, Outcome, RefId, Request, Session, SessionError, WINDOW,
};

use pair::Pair;

/// Gives something from side 0 to side 1, which holds it.
fn given(pair: &mut Pair) -> RefId {
    let reference = pair.sides[0].give(true).expect("the session is open");
    let id = pair.sides[0].begin().expect("the session is open").id;
    let request = Request::new("f", 0);
    let given = [reference];
    let sent = pair.sides[0].send::<SessionError>(id, &request.giving(&given), |_| Ok(0));
    sent.expect("it may be sent");
    pair.settle();
    pair.start_all(1);
    pair.sides[1].hold(reference);
    reference
}

fn invoke(side: &mut Session<u32>, reference: RefId) -> Result<CallId, SessionError> {
    side.invoke(reference, &Request::new("", 0), false, |_| Ok(0))
}

fn violation(pair: &mut Pair, side: usize) -> String {
    match pair.events(side).pop() {
        Some(Event::Closed { reason: CloseReason::Violation(text), .. }) => text,
        event => panic!("no violation: {event:?}"),
    }
}

/// Protects what was never given, or to another peer, from a peer that makes a reference up.
#[test]
fn a_forged_reference_is_refused_and_meets_nothing() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let reference = given(&mut pair);
    for forged in [RefId(0), RefId(reference.0 + 1), RefId(u32::MAX)] {
        let (id, payload) = (CallId(forged.0 ^ 77), 5);
        let member = String::new();
        let invoke = Message::Invoke { id, reference: forged, member, is_urgent: false, payload };
        pair.sides[0].handle_message(invoke);
        let [Event::Invoke { is_refused: true, .. }] = pair.events(0)[..] else { panic!("it is refused") };
        assert!(pair.sides[0].finish(id, Outcome::Raise(1)));
    }
    assert_eq!(pair.sides[0].references().0, 1, "nothing was done to what was given");
    assert!(pair.sides[0].is_open());
}

/// Protects objects from a peer that releases what it never had, or more often than it had it.
#[test]
fn a_release_that_nobody_owes_is_a_violation() {
    for excess in [(0, 2), (1, 1), (40, 1)] {
        let mut pair = Pair::new(WINDOW, usize::MAX);
        let reference = given(&mut pair);
        let counts = vec![(RefId(reference.0 + excess.0), excess.1)];
        pair.sides[0].handle_message(Message::Release { counts });
        assert!(violation(&mut pair, 0).contains("released"));
        assert_eq!(pair.sides[0].references(), (0, 0));
    }
}

/// Protects this side's memory from a peer that holds to no window.
#[test]
fn a_flood_of_invocations_is_a_violation() {
    let mut pair = Pair::with_windows(WINDOW, usize::MAX, 8);
    let reference = given(&mut pair);
    for number in 0..9 {
        let (id, member) = (CallId(1_000 + number), String::new());
        pair.sides[0].handle_message(Message::Invoke { id, reference, member, is_urgent: false, payload: 0 });
    }
    assert!(violation(&mut pair, 0).contains("window of 8"));
}

/// Protects two invocations from having one id, and a call from an invocation with its id.
#[test]
fn an_invocation_with_an_id_that_is_taken_is_a_violation() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let reference = given(&mut pair);
    for _ in 0..2 {
        let (id, member) = (CallId(1_000), String::new());
        pair.sides[0].handle_message(Message::Invoke { id, reference, member, is_urgent: false, payload: 0 });
    }
    assert!(violation(&mut pair, 0).contains("twice"));
}

/// Protects this side from answers that nobody asked for.
#[test]
fn a_heard_for_calls_and_for_nothing_settles_nothing() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let call = pair.sides[0].begin().expect("the session is open").id;
    pair.send(0, call, false);
    pair.sides[0].handle_message(Message::Heard { ids: vec![call, CallId(99)] });
    assert_eq!(pair.events(0), []);
    assert!(pair.sides[0].is_in_flight(call));
}

/// Protects calls and their cancels from a peer whose window of invocations is full.
#[test]
fn a_call_is_made_cancelled_and_answered_while_no_invocation_may_be_sent() {
    let mut pair = Pair::with_windows(2, usize::MAX, 2);
    let reference = given(&mut pair);
    for _ in 0..2 {
        invoke(&mut pair.sides[1], reference).expect("the window is 2");
    }
    let full = invoke(&mut pair.sides[1], reference);
    assert_eq!(full, Err(SessionError::InvokeWindow(2)));
    for outcome in [Outcome::Return(1), Outcome::Cancelled] {
        let call = pair.sides[1].begin().expect("the session is open").id;
        pair.send(1, call, false);
        pair.settle();
        assert_eq!(pair.start_all(0).len(), 1, "it starts");
        if outcome == Outcome::Cancelled {
            assert_eq!(pair.sides[1].cancel(call), CancelEffect::AskedPeer);
            pair.settle();
        }
        assert!(pair.sides[0].finish(call, outcome));
        pair.settle();
        assert!(matches!(pair.events(1)[..], [Event::Return { .. } | Event::Cancelled { .. }]));
    }
}

/// Protects a caller that waits for room from waiting for ever: an answer that nobody waits for makes room, too.
#[test]
fn room_for_invocations_is_told_whatever_makes_it() {
    type Answer = fn(&mut Session<u32>, CallId) -> bool;
    let answers: [Answer; 3] = [
        |side, id| side.hear(id),
        |side, id| side.finish(id, Outcome::Return(1)),
        |side, id| side.finish(id, Outcome::Raise(1)),
    ];
    for answer in answers {
        let mut pair = Pair::with_windows(2, usize::MAX, 2);
        let reference = given(&mut pair);
        let ids = [0, 1].map(|_| invoke(&mut pair.sides[1], reference).expect("the window is 2"));
        pair.settle();
        ids.iter().for_each(|&id| assert!(pair.sides[1].give_up(id)));
        pair.events(1);
        for (at, &id) in ids.iter().enumerate() {
            assert!(answer(&mut pair.sides[0], id));
            pair.settle();
            let told = pair.events(1).iter().filter(|event| **event == Event::Heard { ids: vec![] }).count();
            assert_eq!(told, usize::from(at == 0), "once, when there was none before");
        }
    }
}

/// Protects short messages: many answers that say nothing go in one, but an urgent one does not wait for others.
#[test]
fn answers_of_none_go_together() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let reference = given(&mut pair);
    let side = &mut pair.sides[1];
    let quiet: Vec<_> = (0..3).map(|_| invoke(side, reference).expect("it is held")).collect();
    let urgent =
        side.invoke::<SessionError>(reference, &Request::new("", 0), true, |_| Ok(0)).expect("it is held");
    pair.transmit(1);
    while let Some(message) = pair.wires[1].pop_front() {
        pair.sides[0].handle_message(message);
    }
    for &id in &[quiet[0], quiet[1], urgent, quiet[2]] {
        assert!(pair.sides[0].hear(id));
        assert!(!pair.sides[0].hear(id), "it has its answer");
    }
    pair.transmit(0);
    let heard: Vec<_> = pair.wires[0].drain(..).collect();
    assert_eq!(heard, [Message::Heard { ids: vec![urgent] }, Message::Heard { ids: quiet }]);
}

/// Protects a caller from the return of a function that did not hear that its callback raised.
#[test]
fn a_return_names_the_invocations_that_nobody_has_heard_of() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let reference = given(&mut pair);
    let call = pair.sides[0].call_given(reference).expect("the call has no answer");
    let invocation = invoke(&mut pair.sides[1], reference).expect("it is held");
    assert!(pair.sides[1].finish_unheard(call, 7, vec![invocation]));
    pair.settle();
    let events = pair.events(0);
    let [Event::Invoke { .. }, unheard, answer] = &events[..] else { panic!("{events:?}") };
    assert_eq!(*unheard, Event::Unheard { id: call, invocations: vec![invocation] });
    assert_eq!(*answer, Event::Return { id: call, payload: 7 });
}

/// Protects an object from its release while a call that carries it back waits to be read.
#[test]
fn what_a_call_carries_back_is_there_when_the_call_starts() {
    let mut pair = Pair::new(WINDOW, usize::MAX);
    let reference = given(&mut pair);
    let call = pair.sides[0].call_given(reference).expect("the call has no answer");
    pair.sides[1].finish(call, Outcome::Return(0));
    let back = pair.sides[1].begin().expect("the session is open").id;
    let carried = [reference];
    let request = Request::new("f", 0).carrying(&carried);
    pair.sides[1].send::<SessionError>(back, &request, |_| Ok(0)).expect("it may be sent");
    pair.sides[1].release(reference, 1);
    pair.settle();
    assert_eq!(pair.sides[0].references().0, 1, "the release waits for the answer");
    pair.start_all(0);
    assert!(pair.sides[0].finish(back, Outcome::Return(0)));
    pair.settle();
    assert_eq!(pair.sides[0].references().0, 0);
    assert!(pair.events(0).contains(&Event::Gone { reference }));
}
