//! The things that the two sides of a stream can do to each other, one case at a time; `schedules.rs` tries all that can happen.

mod pair;

use workerlib_core::{
    CallId, CloseReason, Credit, Event, Message, Outcome, Request, Session, SessionError, StopKind,
    StreamEnd, StreamId, WINDOW,
};

use pair::Pair;

const CREDIT: Credit = Credit { items: 4, bytes: 100 };

/// Calls for a stream from side 0, which side 1 opens.
fn open(pair: &mut Pair) -> StreamId {
    let id = pair.sides[0].begin().expect("the session is open").id;
    let request = Request::new("f", 0).streaming(CREDIT);
    pair.sides[0].send::<SessionError>(id, &request, |_| Ok(0)).expect("it is the call's turn");
    pair.settle();
    let call = pair.sides[1].poll_call().expect("it has arrived");
    assert_eq!(call.credit, Some(CREDIT));
    let stream = pair.sides[1].finish_streaming(call.id).expect("it is the answer");
    pair.settle();
    assert_eq!(pair.events(0), [Event::Stream { id, stream }]);
    assert_eq!((pair.sides[0].in_flight(), pair.sides[1].serving()), (0, 0), "the call is over");
    stream
}

fn produce(pair: &mut Pair, stream: StreamId, count: u32) -> bool {
    pair.sides[1].produce(stream, count, 10, count)
}

fn items(stream: StreamId, count: u32) -> Event<u32> {
    Event::Items { stream, count, bytes: 10, payload: count }
}

fn is_violation(pair: &mut Pair, side: usize, part: &str) -> bool {
    pair.events(side).iter().any(|event| {
        matches!(event, Event::Closed { reason: CloseReason::Violation(text), .. } if text.contains(part))
    })
}

#[test]
fn items_follow_the_answer_without_a_further_trip() {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = open(&mut pair);
    assert_eq!(pair.sides[1].credit(stream), Some((4, 100)), "that came with the call");
    assert!(produce(&mut pair, stream, 3));
    assert!(pair.sides[1].end_stream(stream, StreamEnd::End));
    assert!(!pair.sides[1].end_stream(stream, StreamEnd::End), "it has ended");
    pair.settle();
    assert_eq!(pair.events(0), [items(stream, 3), Event::Ended { stream }]);
    assert_eq!((pair.sides[0].streams(), pair.sides[1].streams()), ((0, 0), (0, 0)));
}

#[test]
fn a_producer_holds_to_its_credit() {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = open(&mut pair);
    assert!(!produce(&mut pair, stream, 5), "there are four");
    assert!(!produce(&mut pair, stream, 0), "no items are not a message");
    assert!(produce(&mut pair, stream, 4));
    assert!(!produce(&mut pair, stream, 1));
    pair.sides[0].grant(stream, Credit { items: 1, bytes: 0 });
    pair.settle();
    assert_eq!(pair.events(1), [Event::Granted { stream }]);
    assert!(produce(&mut pair, stream, 1));
}

#[test]
fn a_stream_among_values_waits_for_credit() {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = pair.sides[1].open_stream().expect("the session is open");
    assert!(!produce(&mut pair, stream, 1), "nobody has asked");
    assert!(pair.sides[0].consume(stream));
    assert!(!pair.sides[0].consume(stream), "it came before");
    pair.sides[0].grant(stream, CREDIT);
    pair.settle();
    assert!(produce(&mut pair, stream, 1));
    assert!(pair.sides[1].end_stream(stream, StreamEnd::Fail(7)));
    pair.settle();
    assert_eq!(pair.events(0), [items(stream, 1), Event::Failed { stream, payload: 7 }]);
}

#[test]
fn a_stream_that_is_stopped_ends_once_its_generator_has_cleaned_up() {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = open(&mut pair);
    assert!(produce(&mut pair, stream, 1));
    assert!(pair.sides[0].stop(stream, StopKind::Close));
    assert!(pair.sides[0].stop(stream, StopKind::Cancel), "it may be told again");
    pair.sides[0].grant(stream, CREDIT);
    pair.settle();
    let stop = |how| Event::Stop { stream, how };
    assert_eq!(pair.events(1), [stop(StopKind::Close), stop(StopKind::Cancel)], "and no credit");
    assert_eq!(pair.sides[1].credit(stream), None);
    assert!(!produce(&mut pair, stream, 1), "nobody would take it");
    pair.sides[1].acknowledge_stop(stream);
    pair.settle();
    assert_eq!(pair.events(0), [Event::Dropped { payload: 1 }, Event::Stopping { stream }]);
    assert!(pair.sides[0].is_consuming(stream));
    assert!(pair.sides[1].end_stream(stream, StreamEnd::Stopped));
    pair.settle();
    assert_eq!(pair.events(0), [Event::Stopped { stream }]);
    assert!(!pair.sides[0].stop(stream, StopKind::Close), "it has ended");
}

#[test]
fn a_stop_that_crosses_the_end_is_ignored() {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = open(&mut pair);
    assert!(!pair.sides[1].end_stream(stream, StreamEnd::Stopped), "nobody has stopped it");
    assert!(pair.sides[1].end_stream(stream, StreamEnd::End));
    assert!(pair.sides[0].stop(stream, StopKind::Close));
    pair.settle();
    assert_eq!((pair.events(0), pair.events(1)), (vec![Event::Ended { stream }], vec![]));
    let next = open(&mut pair);
    assert!(next > stream, "what comes late meets no other stream");
}

#[test]
fn a_stream_that_answers_a_call_that_was_given_up_is_stopped() {
    let mut pair = Pair::new(WINDOW, 1);
    let id = pair.sides[0].begin().expect("the session is open").id;
    let request = Request::new("f", 0).streaming(CREDIT);
    pair.sides[0].send::<SessionError>(id, &request, |_| Ok(0)).expect("it is the call's turn");
    pair.settle();
    let call = pair.sides[1].poll_call().expect("it has arrived");
    let stream = pair.sides[1].finish_streaming(call.id).expect("it is the answer");
    assert!(produce(&mut pair, stream, 1));
    assert!(pair.sides[0].give_up(id));
    pair.settle();
    assert_eq!(pair.events(1), [Event::Stop { stream, how: StopKind::Close }]);
    assert_eq!(pair.events(0), [Event::Dropped { payload: 1 }]);
    assert!(pair.sides[1].end_stream(stream, StreamEnd::Stopped));
    pair.settle();
    assert_eq!((pair.sides[0].streams(), pair.sides[1].streams()), ((0, 0), (0, 0)));
}

#[test]
fn payloads_that_nobody_will_have_are_told_of() {
    let mut pair = Pair::new(WINDOW, 2);
    let ids: Vec<_> = (0..2).map(|_| pair.sides[0].begin().expect("the session is open").id).collect();
    ids.iter().for_each(|&id| pair.send(0, id, false));
    pair.settle();
    let running = pair.sides[1].poll_call().expect("it has arrived").id;
    ids.iter().for_each(|&id| assert!(pair.sides[0].give_up(id)));
    pair.settle();
    assert_eq!(
        pair.events(1),
        [Event::Cancel { id: running }, Event::Dropped { payload: ids[1].0 }],
        "the arguments of the call that never started"
    );
    assert!(pair.sides[1].finish(running, Outcome::Return(9)));
    pair.settle();
    assert_eq!(pair.events(0), [Event::Dropped { payload: 9 }], "the result that nobody waits for");
}

#[test]
fn a_session_that_ends_ends_its_streams() {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = open(&mut pair);
    assert!(produce(&mut pair, stream, 1));
    pair.sides[1].close("done");
    pair.settle();
    let [first, Event::Closed { .. }] = &pair.events(0)[..] else { panic!("items, then the end") };
    assert_eq!(first, &items(stream, 1), "what was produced before is not lost");
    for side in &mut pair.sides {
        assert_eq!(side.streams(), (0, 0));
        assert_eq!(side.credit(stream), None);
        assert!(side.open_stream().is_err());
        assert!(!side.consume(stream));
        assert!(!side.end_stream(stream, StreamEnd::End));
        assert!(!side.stop(stream, StopKind::Close));
        side.grant(stream, CREDIT);
        assert_eq!(side.poll_transmit(), None);
    }
}

/// Makes a session and a peer that is the test: every message is its own.
fn hostile() -> (Pair, StreamId) {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = open(&mut pair);
    (pair, stream)
}

fn consumer(pair: &mut Pair) -> &mut Session<u32> {
    &mut pair.sides[0]
}

#[test]
fn items_beyond_credit_end_the_connection() {
    let (mut pair, stream) = hostile();
    consumer(&mut pair).handle_message(Message::Items { stream, count: 5, bytes: 1, payload: 0 });
    assert!(is_violation(&mut pair, 0, "beyond its credit"));
    let (mut pair, stream) = hostile();
    consumer(&mut pair).handle_message(Message::Items { stream, count: 1, bytes: 1_000, payload: 0 });
    assert_eq!(pair.events(0).len(), 1, "one message may have more bytes than there are");
    consumer(&mut pair).handle_message(Message::Items { stream, count: 1, bytes: 1, payload: 0 });
    assert!(is_violation(&mut pair, 0, "beyond its credit"));
    let (mut pair, stream) = hostile();
    consumer(&mut pair).handle_message(Message::Items { stream, count: 0, bytes: 1, payload: 0 });
    assert!(is_violation(&mut pair, 0, "beyond its credit"), "a message without an item is none");
    let (mut pair, stream) = hostile();
    consumer(&mut pair).stop(stream, StopKind::Close);
    consumer(&mut pair).handle_message(Message::Items { stream, count: 5, bytes: 1, payload: 0 });
    assert!(is_violation(&mut pair, 0, "beyond its credit"), "though nobody wants them");
}

#[test]
fn streams_that_nobody_asked_for_end_the_connection() {
    let (mut pair, stream) = hostile();
    let id = pair.sides[0].begin().expect("the session is open").id;
    pair.send(0, id, false);
    consumer(&mut pair).handle_message(Message::Stream { id, stream: StreamId(stream.0 + 1) });
    assert!(is_violation(&mut pair, 0, "did not ask for"));
    let (mut pair, stream) = hostile();
    let id = pair.sides[0].begin().expect("the session is open").id;
    let request = Request::new("f", 0).streaming(CREDIT);
    pair.sides[0].send::<SessionError>(id, &request, |_| Ok(0)).expect("it is the call's turn");
    consumer(&mut pair).handle_message(Message::Stream { id, stream });
    assert!(is_violation(&mut pair, 0, "opened twice"));
    let (mut pair, stream) = hostile();
    consumer(&mut pair).handle_message(Message::Stopped { stream });
    assert!(is_violation(&mut pair, 0, "nobody asked for"));
}

#[test]
fn messages_about_streams_of_others_change_nothing() {
    let (mut pair, stream) = hostile();
    let other = StreamId(stream.0 + 1_000);
    for side in &mut pair.sides {
        for message in [
            Message::Next { stream: other, credit: Credit { items: u32::MAX, bytes: u32::MAX } },
            Message::Stop { stream: other, how: StopKind::Cancel },
            Message::End { stream: other },
            Message::Stopping { stream: other },
            Message::Stopped { stream: other },
            Message::Stream { id: CallId(99), stream: other },
        ] {
            side.handle_message(message);
        }
        side.handle_message(Message::Items { stream: other, count: 1, bytes: 1, payload: 1 });
        side.handle_message(Message::Fail { stream: other, payload: 2 });
        assert!(side.is_open());
    }
    let dropped = [Event::Dropped { payload: 1 }, Event::Dropped { payload: 2 }];
    assert_eq!((pair.events(0), pair.events(1)), (dropped.to_vec(), dropped.to_vec()));
    // The consumer of a stream says what only its producer may say, and the other way round.
    pair.sides[1].handle_message(Message::End { stream });
    pair.sides[1].handle_message(Message::Stopped { stream });
    pair.sides[0].handle_message(Message::Next { stream, credit: CREDIT });
    pair.sides[0].handle_message(Message::Stop { stream, how: StopKind::Close });
    assert_eq!((pair.events(0), pair.events(1)), (vec![], vec![]));
    assert_eq!(pair.sides[1].credit(stream), Some((4, 100)));
}

#[test]
fn a_peer_that_grants_without_end_gets_no_more_than_there_is() {
    let (mut pair, stream) = hostile();
    for _ in 0..10 {
        let credit = Credit { items: u32::MAX, bytes: u32::MAX };
        pair.sides[1].handle_message(Message::Next { stream, credit });
    }
    let (items, bytes) = pair.sides[1].credit(stream).expect("it is open");
    assert_eq!((items, bytes), (10 * u64::from(u32::MAX) + 4, 10 * u64::from(u32::MAX) + 100));
}

#[test]
fn a_peer_that_never_grants_holds_up_nobody_else() {
    let mut pair = Pair::new(WINDOW, 1);
    let stream = pair.sides[1].open_stream().expect("the session is open");
    assert!(pair.sides[0].consume(stream));
    let other = open(&mut pair);
    assert!(produce(&mut pair, other, 1));
    let id = pair.sides[0].begin().expect("the session is open").id;
    pair.send(0, id, false);
    pair.settle();
    assert_eq!(pair.start_all(1).len(), 1, "a call starts as well");
    assert_eq!(pair.sides[1].credit(stream), Some((0, 0)));
}
