//! The streams of a schedule: what a test knows of them on both sides, and what must hold.

use std::collections::{BTreeMap, BTreeSet};

use workerlib_core::{Credit, Event, StopKind, StreamEnd, StreamId};

use crate::pair::Pair;

/// The events in the life of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Flow {
    /// A side opens a stream that goes with some values, which arrive at once.
    Open,
    /// A producer produces some items.
    Produce(usize),
    /// A producer ends a stream: at its end, by an exception, or since it was stopped.
    End(usize),
    Fail(usize),
    LetStop(usize),
    /// A consumer takes all that has come, and grants as much again.
    Grant(usize),
    /// A consumer stops a stream.
    Stop(usize),
}

/// The credit of streams that calls ask for.
pub(crate) const CREDIT: Credit = Credit { items: 3, bytes: 20 };

/// The producer's half of a stream.
#[derive(Debug, Default)]
struct Produced {
    items: u32,
    is_stopped: bool,
}

/// The consumer's half of a stream.
#[derive(Debug, Default)]
struct Consumed {
    granted: u32,
    received: u32,
    taken: u32,
    bytes: u32,
    is_stopped: bool,
}

/// The streams of both sides: for each side those that it produces and those that it consumes.
#[derive(Default)]
pub(crate) struct Flows {
    produced: [BTreeMap<StreamId, Produced>; 2],
    consumed: [BTreeMap<StreamId, Consumed>; 2],
    /// The number of items that each stream had when it ended, by its producer.
    ended: [BTreeMap<StreamId, u32>; 2],
    /// The streams that each consumer knows of, or knew: not those that answered calls which were given up.
    known: [BTreeSet<StreamId>; 2],
}

fn nth<T>(streams: &BTreeMap<StreamId, T>, choice: usize) -> Option<StreamId> {
    streams.keys().nth(choice % streams.len().max(1)).copied()
}

impl Flows {
    /// Notes the stream with which a side answers a call.
    pub(crate) fn answer(&mut self, side: usize, stream: StreamId) {
        assert!(
            self.produced[side].insert(stream, Produced::default()).is_none(),
            "{stream:?} was given again"
        );
    }

    pub(crate) fn take(&mut self, pair: &mut Pair, side: usize, flow: Flow) {
        let session = &mut pair.sides[side];
        match flow {
            Flow::Open => {
                let Ok(stream) = session.open_stream() else { return };
                if pair.sides[1 - side].consume(stream) {
                    self.answer(side, stream);
                    self.consumed[1 - side].insert(stream, Consumed::default());
                    self.known[1 - side].insert(stream);
                } else {
                    pair.sides[side].withdraw_stream(stream);
                }
            }
            Flow::Produce(choice) => {
                let Some(stream) = nth(&self.produced[side], choice) else { return };
                let (count, bytes) = (1 + choice as u32 % 3, 1 + choice % 11);
                let may = session
                    .credit(stream)
                    .is_some_and(|(items, bytes)| items >= u64::from(count) && bytes > 0);
                let half = self.produced[side].get_mut(&stream).expect("it is one of them");
                assert_eq!(session.produce(stream, count, bytes, half.items), may);
                assert!(!(may && half.is_stopped), "nobody wants more of {stream:?}");
                half.items += if may { count } else { 0 };
            }
            Flow::End(choice) => self.end(pair, side, choice, StreamEnd::End),
            Flow::Fail(choice) => self.end(pair, side, choice, StreamEnd::Fail(7)),
            Flow::LetStop(choice) => self.end(pair, side, choice, StreamEnd::Stopped),
            Flow::Grant(choice) => {
                let Some(stream) = nth(&self.consumed[side], choice) else { return };
                let half = self.consumed[side].get_mut(&stream).expect("it is one of them");
                let items =
                    half.received - half.taken + u32::from(half.granted == 0) * (1 + choice as u32 % 4);
                let bytes = half.bytes + u32::from(half.granted == 0) * 20;
                (half.taken, half.bytes) = (half.received, 0);
                if !half.is_stopped {
                    half.granted += items;
                    session.grant(stream, Credit { items, bytes });
                }
            }
            Flow::Stop(choice) => {
                let Some(stream) = nth(&self.consumed[side], choice) else { return };
                self.consumed[side].get_mut(&stream).expect("it is one of them").is_stopped = true;
                let how = if choice % 2 == 0 { StopKind::Close } else { StopKind::Cancel };
                assert!(session.stop(stream, how), "{stream:?} has not ended");
            }
        }
        pair.transmit(side);
    }

    fn end(&mut self, pair: &mut Pair, side: usize, choice: usize, end: StreamEnd<u32>) {
        let Some(stream) = nth(&self.produced[side], choice) else { return };
        let may_refuse = end == StreamEnd::Stopped && !self.produced[side][&stream].is_stopped;
        assert_eq!(pair.sides[side].end_stream(stream, end), !may_refuse, "{stream:?} had not ended");
        if !may_refuse {
            let half = self.produced[side].remove(&stream).expect("it is one of them");
            self.ended[side].insert(stream, half.items);
        }
    }

    /// Takes in an event of a side that is about a stream.
    pub(crate) fn hear(&mut self, pair: &mut Pair, side: usize, event: Event<u32>, is_reliable: bool) {
        let (consumed, known) = (&mut self.consumed[side], &mut self.known[side]);
        match event {
            Event::Ended { stream } | Event::Failed { stream, .. } | Event::Stopped { stream }
                if !known.contains(&stream) => {}
            Event::Stopping { stream } if !known.contains(&stream) => {}
            Event::Stream { stream, .. } => {
                known.insert(stream);
                let half = Consumed { granted: CREDIT.items, ..Consumed::default() };
                assert!(consumed.insert(stream, half).is_none(), "{stream:?} began twice");
            }
            Event::Items { stream, count, bytes, payload } => {
                let half = consumed.get_mut(&stream).expect("it has not ended");
                assert!(!half.is_stopped, "nobody wants items of {stream:?}");
                // The payload is the number of the first item.
                assert!(payload == half.received || !is_reliable, "items of {stream:?} came out of order");
                half.received += count;
                half.bytes += bytes as u32;
                assert!(half.received <= half.granted, "more items of {stream:?} than it had credit for");
            }
            Event::Ended { stream } | Event::Failed { stream, .. } => {
                let half = consumed.remove(&stream).expect("a stream ends once");
                let items = self.ended[1 - side].get(&stream).copied();
                let is_whole = half.is_stopped || items == Some(half.received);
                assert!(is_whole || !is_reliable, "{stream:?} lost items");
            }
            Event::Stopped { stream } => {
                let half = consumed.remove(&stream).expect("a stream ends once");
                assert!(half.is_stopped, "nobody had stopped {stream:?}");
            }
            Event::Stopping { stream } => assert!(consumed[&stream].is_stopped),
            Event::Granted { stream } => {
                assert!(self.produced[side].contains_key(&stream), "{stream:?} is produced here");
            }
            Event::Stop { stream, .. } => {
                let half = self.produced[side].get_mut(&stream).expect("it has not ended");
                half.is_stopped = true;
                if stream.0 % 2 == 0 {
                    pair.sides[side].acknowledge_stop(stream);
                    pair.transmit(side);
                }
            }
            event => unreachable!("the pair was open, and nobody announces exports: {event:?}"),
        }
    }

    /// Notes that the session of a side has ended.
    pub(crate) fn close(&mut self, side: usize) {
        self.produced[side].clear();
        self.consumed[side].clear();
    }

    /// Lets every consumer take what has come, and grant as much again.
    pub(crate) fn grant_all(&mut self, pair: &mut Pair) {
        for side in 0..2 {
            (0..self.consumed[side].len()).for_each(|choice| self.take(pair, side, Flow::Grant(choice)));
        }
    }

    /// Checks, once everything has arrived, that no consumer waits for an item for which its producer has no credit.
    pub(crate) fn check_credit(&self, pair: &Pair) {
        for side in 0..2 {
            for (stream, half) in self.consumed[side].iter().filter(|(_, half)| !half.is_stopped) {
                let Some(there) = self.produced[1 - side].get(stream) else { continue };
                assert_eq!(half.received, there.items, "all items of {stream:?} have arrived");
                let (items, bytes) = pair.sides[1 - side].credit(*stream).expect("nobody has stopped it");
                assert_eq!(items, u64::from(half.granted - there.items), "no credit is lost");
                assert!(items > 0 && bytes > 0, "the consumer of {stream:?} waits for ever");
            }
        }
    }

    /// Has every producer end its streams.
    pub(crate) fn end_all(&mut self, pair: &mut Pair) {
        for side in 0..2 {
            while let Some((stream, half)) = self.produced[side].first_key_value() {
                let flow = if half.is_stopped && stream.0 % 3 == 0 { Flow::LetStop(0) } else { Flow::End(0) };
                self.take(pair, side, flow);
            }
        }
    }

    /// Checks that nothing is left of any stream.
    pub(crate) fn check_empty(&self, pair: &Pair) {
        for side in 0..2 {
            assert!(
                self.consumed[side].is_empty(),
                "side {side} waits for ever for {:?}",
                self.consumed[side]
            );
            assert_eq!(pair.sides[side].streams(), (0, 0), "side {side} has ended its streams");
        }
    }

    /// Checks the tables of both sides, which hold what has not ended.
    pub(crate) fn check(&self, pair: &Pair) {
        for side in 0..2 {
            let (producing, consuming) = pair.sides[side].streams();
            assert_eq!(producing, self.produced[side].len());
            // A call that was given up may have been answered with a stream, which is stopped then.
            assert!(consuming >= self.consumed[side].len());
        }
    }
}
