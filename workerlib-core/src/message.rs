//! The messages of two peers: the wire format, section 3.
//!
//! The codec makes bytes of a message; with the feature `serde`, [`Message`] is serialized as the
//! envelope that stands for it. Which message may be sent when is the session's.

use crate::exports::{Export, Exports};
use crate::streams::{Credit, StopKind, StreamId};

/// The version of the wire format that this crate speaks; both peers must speak the same one.
pub const PROTOCOL: u32 = 1;

/// The number of calls that a peer of this crate takes before they have started.
///
/// They are enough to keep the peer busy while answers and the next calls are under way, many in one message, and
/// few enough that a cancel soon gets past them.
pub const WINDOW: u32 = 64;

/// The number of invocations without an answer that a peer of this crate takes.
pub const INVOKE_WINDOW: u32 = 4_096;

/// The number that ties a reply to its call, unique among the calls of one peer that are in flight.
// The wire format fixes what it is, so a field is never added.
#[expect(clippy::exhaustive_structs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct CallId(pub u32);

/// Names something that one peer has given the other to invoke: a callback, or an object.
#[expect(clippy::exhaustive_structs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct RefId(pub u32);

/// A peer's description of itself in the handshake.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Peer {
    /// The wire format that it speaks; see [`PROTOCOL`].
    pub protocol: u32,
    /// The version of its library, for messages to people.
    pub version: String,
    /// The functions that the other side may call.
    pub exports: Exports,
    /// The number of calls that it takes before it has said that they started; see [`WINDOW`].
    pub window: u32,
    /// The adapters that it has, in their order.
    pub adapters: Vec<Adapter>,
    /// The number of invocations without an answer that it takes; see [`INVOKE_WINDOW`].
    pub invoke_window: u32,
}

impl Peer {
    /// Describes this side: the protocol is [`PROTOCOL`], the windows are [`WINDOW`] and [`INVOKE_WINDOW`], and
    /// nothing is exported.
    pub fn local(version: impl Into<String>) -> Self {
        let (window, invoke_window) = (WINDOW, INVOKE_WINDOW);
        Self { protocol: PROTOCOL, version: version.into(), window, invoke_window, ..Self::default() }
    }

    /// Adds exports.
    pub fn with_exports(mut self, exports: impl IntoIterator<Item = Export>) -> Self {
        self.exports.extend(exports);
        self
    }

    /// Adds adapters.
    pub fn with_adapters(mut self, adapters: impl IntoIterator<Item = Adapter>) -> Self {
        self.adapters.extend(adapters);
        self
    }

    /// Sets how many calls this side takes that have not started; a peer refuses 0.
    pub fn with_window(mut self, window: u32) -> Self {
        self.window = window;
        self
    }

    /// Sets how many invocations this side takes that it has not answered.
    pub fn with_invoke_window(mut self, window: u32) -> Self {
        self.invoke_window = window;
        self
    }
}

/// An adapter that a peer has for objects of some class.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Adapter {
    /// The name by which both sides know it.
    pub key: String,
    /// The entry of the peer's configuration that names it, if there is one: the other side must have the adapter then.
    pub entry: Option<String>,
    /// Whether its decoder is async, so that its objects must travel in deferred values.
    pub is_async: bool,
}

impl Adapter {
    /// Describes an adapter.
    pub fn new(key: impl Into<String>, entry: Option<String>, is_async: bool) -> Self {
        Self { key: key.into(), entry, is_async }
    }
}

/// A message; `P` is the payload of a call, a result or an exception.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<P> {
    /// The first message of the side that connects.
    Hello(Peer),
    /// The answer to [`Message::Hello`]: the connection is open.
    Welcome(Peer),
    /// The other answer to [`Message::Hello`]: there will be no connection.
    Refuse {
        /// The protocol of the side that refuses.
        protocol: u32,
        /// Why, for people.
        reason: String,
    },
    /// Calls a function that the receiver exports.
    Call {
        /// Names the call in its answer.
        id: CallId,
        /// The name of the exported function.
        function: String,
        /// The arguments.
        payload: P,
        /// Whether the receiver is to say when it starts.
        reports_start: bool,
        /// The credit that the stream starts with, if the call is to return one.
        credit: Option<Credit>,
        /// The trace that the call belongs to, in the form of W3C's `traceparent`.
        trace: Option<String>,
    },
    /// The call returned.
    Return {
        /// The call that this answers.
        id: CallId,
        /// The result.
        payload: P,
        /// The invocations that the function made and whose answers it has neither heard nor asked for: one that
        /// raised decides the call.
        unheard: Vec<CallId>,
    },
    /// The call raised.
    Raise {
        /// The call that this answers.
        id: CallId,
        /// The exception.
        payload: P,
    },
    /// The caller wants the call to end; it is answered all the same.
    Cancel {
        /// The call that is meant.
        id: CallId,
    },
    /// Calls run: they no longer take up the window.
    Started {
        /// The calls that are meant.
        ids: Vec<CallId>,
    },
    /// The function has been told of a cancel; the answer follows when it has ended.
    Cancelling {
        /// The call that is meant.
        id: CallId,
    },
    /// The call ended because its caller cancelled it: the third kind of answer.
    Cancelled {
        /// The call that this answers.
        id: CallId,
    },
    /// A running call tells its caller something; it goes on.
    Report {
        /// The call that reports.
        id: CallId,
        /// The report.
        payload: P,
    },
    /// The sender's program has written text.
    Output {
        /// The name of the stream, for example `stdout`.
        stream: String,
        /// The text.
        text: String,
    },
    /// The sender waits for the answers of these calls of its own, and starts no other call until it has them.
    Blocked {
        /// The calls that are meant.
        ids: Vec<CallId>,
    },
    /// The receiver may call these too, or their description has changed.
    Exports(Exports),
    /// The consumer of a stream grants credit.
    Next {
        /// The stream that is meant.
        stream: StreamId,
        /// The additional credit.
        credit: Credit,
    },
    /// The next items of a stream.
    Items {
        /// The stream that they are of.
        stream: StreamId,
        /// The number of items.
        count: u32,
        /// The number of bytes that the payload takes. It is not written: each side measures it.
        bytes: usize,
        /// The items.
        payload: P,
    },
    /// A stream has no more items.
    End {
        /// The stream that is meant.
        stream: StreamId,
    },
    /// A stream raised.
    Fail {
        /// The stream that is meant.
        stream: StreamId,
        /// The exception.
        payload: P,
    },
    /// The consumer of a stream wants no more of it; the producer says when it has ended.
    Stop {
        /// The stream that is meant.
        stream: StreamId,
        /// The way in which it is to end.
        how: StopKind,
    },
    /// A stream ended because its consumer stopped it, and has cleaned up.
    Stopped {
        /// The stream that is meant.
        stream: StreamId,
    },
    /// The call returned a stream, which has the credit that came with the call: the fourth kind of answer.
    Stream {
        /// The call that this answers.
        id: CallId,
        /// The stream.
        stream: StreamId,
    },
    /// The generator of a stream has been told that it is stopped; its end follows.
    Stopping {
        /// The stream that is meant.
        stream: StreamId,
    },
    /// Calls something that the receiver has given.
    Invoke {
        /// Names the invocation in its answer, as a call.
        id: CallId,
        /// The function or object that is called.
        reference: RefId,
        /// The method of an object; empty where the thing itself is called.
        member: String,
        /// Whether the sender waits for this answer and nothing else.
        is_urgent: bool,
        /// The arguments.
        payload: P,
    },
    /// These invocations returned None.
    Heard {
        /// The invocations that are meant.
        ids: Vec<CallId>,
    },
    /// The sender holds these no more, so many times.
    Release {
        /// The references that it held, and for each how many of the times that it got it are over.
        counts: Vec<(RefId, u32)>,
    },
    /// The sender will neither send nor answer anything after this.
    Close {
        /// Why, for people.
        reason: String,
    },
}

impl<P> Message<P> {
    /// Returns the payload, if this message has one.
    pub fn payload(&self) -> Option<&P> {
        match self {
            Self::Call { payload, .. }
            | Self::Return { payload, .. }
            | Self::Raise { payload, .. }
            | Self::Report { payload, .. }
            | Self::Items { payload, .. }
            | Self::Fail { payload, .. }
            | Self::Invoke { payload, .. } => Some(payload),
            _ => None,
        }
    }

    /// Replaces the payload, if this message has one.
    pub fn map<Q>(self, payload_of: impl FnOnce(P) -> Q) -> Message<Q> {
        match self {
            Self::Call { id, function, payload, reports_start, credit, trace } => {
                Message::Call { id, function, payload: payload_of(payload), reports_start, credit, trace }
            }
            Self::Return { id, payload, unheard } => {
                Message::Return { id, payload: payload_of(payload), unheard }
            }
            Self::Raise { id, payload } => Message::Raise { id, payload: payload_of(payload) },
            Self::Hello(peer) => Message::Hello(peer),
            Self::Welcome(peer) => Message::Welcome(peer),
            Self::Refuse { protocol, reason } => Message::Refuse { protocol, reason },
            Self::Cancel { id } => Message::Cancel { id },
            Self::Started { ids } => Message::Started { ids },
            Self::Cancelling { id } => Message::Cancelling { id },
            Self::Cancelled { id } => Message::Cancelled { id },
            Self::Report { id, payload } => Message::Report { id, payload: payload_of(payload) },
            Self::Output { stream, text } => Message::Output { stream, text },
            Self::Blocked { ids } => Message::Blocked { ids },
            Self::Exports(exports) => Message::Exports(exports),
            Self::Invoke { id, reference, member, is_urgent, payload } => {
                Message::Invoke { id, reference, member, is_urgent, payload: payload_of(payload) }
            }
            Self::Heard { ids } => Message::Heard { ids },
            Self::Release { counts } => Message::Release { counts },
            Self::Close { reason } => Message::Close { reason },
            Self::Next { stream, credit } => Message::Next { stream, credit },
            Self::Items { stream, count, bytes, payload } => {
                Message::Items { stream, count, bytes, payload: payload_of(payload) }
            }
            Self::End { stream } => Message::End { stream },
            Self::Fail { stream, payload } => Message::Fail { stream, payload: payload_of(payload) },
            Self::Stop { stream, how } => Message::Stop { stream, how },
            Self::Stopped { stream } => Message::Stopped { stream },
            Self::Stream { id, stream } => Message::Stream { id, stream },
            Self::Stopping { stream } => Message::Stopping { stream },
        }
    }
}

/// The numbers of the message kinds: the wire format, section 3.2. 13, 22, 23 and 26 to 63 are reserved (3.3).
/// The numbers of the message kinds: the wire format, section 3.2. The others up to 63 are reserved (3.3).
pub mod kind {
    /// [`Message::Hello`](super::Message::Hello).
    pub const HELLO: u8 = 0;
    /// [`Message::Welcome`](super::Message::Welcome).
    pub const WELCOME: u8 = 1;
    /// [`Message::Refuse`](super::Message::Refuse).
    pub const REFUSE: u8 = 2;
    /// [`Message::Call`](super::Message::Call).
    pub const CALL: u8 = 3;
    /// [`Message::Return`](super::Message::Return).
    pub const RETURN: u8 = 4;
    /// [`Message::Raise`](super::Message::Raise).
    pub const RAISE: u8 = 5;
    /// [`Message::Cancel`](super::Message::Cancel).
    pub const CANCEL: u8 = 6;
    /// [`Message::Close`](super::Message::Close).
    pub const CLOSE: u8 = 7;
    /// [`Message::Started`](super::Message::Started).
    pub const STARTED: u8 = 8;
    /// [`Message::Cancelling`](super::Message::Cancelling).
    pub const CANCELLING: u8 = 9;
    /// [`Message::Cancelled`](super::Message::Cancelled).
    pub const CANCELLED: u8 = 10;
    /// [`Message::Report`](super::Message::Report).
    pub const REPORT: u8 = 11;
    /// [`Message::Output`](super::Message::Output).
    pub const OUTPUT: u8 = 12;
    /// [`Message::Blocked`](super::Message::Blocked).
    pub const BLOCKED: u8 = 14;
    /// [`Message::Exports`](super::Message::Exports).
    pub const EXPORTS: u8 = 15;
    /// [`Message::Next`](super::Message::Next).
    pub const NEXT: u8 = 16;
    /// [`Message::Items`](super::Message::Items).
    pub const ITEMS: u8 = 17;
    /// [`Message::End`](super::Message::End).
    pub const END: u8 = 18;
    /// [`Message::Fail`](super::Message::Fail).
    pub const FAIL: u8 = 19;
    /// [`Message::Stop`](super::Message::Stop).
    pub const STOP: u8 = 20;
    /// [`Message::Stopped`](super::Message::Stopped).
    pub const STOPPED: u8 = 21;
    /// [`Message::Stream`](super::Message::Stream).
    pub const STREAM: u8 = 24;
    /// [`Message::Stopping`](super::Message::Stopping).
    pub const STOPPING: u8 = 25;
    /// [`Message::Invoke`](super::Message::Invoke).
    pub const INVOKE: u8 = 32;
    /// [`Message::Heard`](super::Message::Heard).
    pub const HEARD: u8 = 33;
    /// [`Message::Release`](super::Message::Release).
    pub const RELEASE: u8 = 48;
}

/// Serializes the envelope of a message, whatever its payload is: the wire format, section 3.
///
/// It stands here, and not in the codec, because the compiler checks in this crate alone that no kind is forgotten.
#[cfg(feature = "serde")]
impl<P> serde::Serialize for Message<P> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of_peer = |kind: u8, peer: &Peer, serializer: S| {
            let Peer { protocol, version, exports, window, adapters, invoke_window } = peer;
            (kind, protocol, version, exports, window, adapters, invoke_window).serialize(serializer)
        };
        match self {
            Self::Hello(peer) => of_peer(kind::HELLO, peer, serializer),
            Self::Welcome(peer) => of_peer(kind::WELCOME, peer, serializer),
            Self::Refuse { protocol, reason } => (kind::REFUSE, protocol, reason).serialize(serializer),
            Self::Call { id, function, reports_start, credit, trace, .. } => {
                use serde::ser::SerializeTuple;

                // Fields at the end that say nothing are left out: nearly every call is as short as can be.
                let len = match (reports_start, credit, trace) {
                    (_, _, Some(_)) => 6,
                    (_, Some(_), None) => 5,
                    (true, None, None) => 4,
                    (false, None, None) => 3,
                };
                let mut fields = serializer.serialize_tuple(len)?;
                fields.serialize_element(&kind::CALL)?;
                fields.serialize_element(id)?;
                fields.serialize_element(function)?;
                if len > 3 {
                    fields.serialize_element(reports_start)?;
                }
                if len > 4 {
                    fields.serialize_element(credit)?;
                }
                if len > 5 {
                    fields.serialize_element(trace)?;
                }
                fields.end()
            }
            Self::Return { id, unheard, .. } if unheard.is_empty() => {
                numbers(kind::RETURN, &[id.0], serializer)
            }
            Self::Return { id, unheard, .. } => (kind::RETURN, id, unheard).serialize(serializer),
            Self::Raise { id, .. } => numbers(kind::RAISE, &[id.0], serializer),
            Self::Cancel { id } => numbers(kind::CANCEL, &[id.0], serializer),
            Self::Close { reason } => (kind::CLOSE, reason).serialize(serializer),
            Self::Started { ids } => (kind::STARTED, ids).serialize(serializer),
            Self::Cancelling { id } => numbers(kind::CANCELLING, &[id.0], serializer),
            Self::Cancelled { id } => numbers(kind::CANCELLED, &[id.0], serializer),
            Self::Report { id, .. } => numbers(kind::REPORT, &[id.0], serializer),
            Self::Output { stream, text } => (kind::OUTPUT, stream, text).serialize(serializer),
            Self::Blocked { ids } => (kind::BLOCKED, ids).serialize(serializer),
            Self::Exports(exports) => (kind::EXPORTS, exports).serialize(serializer),
            Self::Next { stream, credit } => {
                numbers(kind::NEXT, &[stream.0, credit.items, credit.bytes], serializer)
            }
            Self::Items { stream, count, .. } => numbers(kind::ITEMS, &[stream.0, *count], serializer),
            Self::End { stream } => numbers(kind::END, &[stream.0], serializer),
            Self::Fail { stream, .. } => numbers(kind::FAIL, &[stream.0], serializer),
            Self::Stop { stream, how } => {
                numbers(kind::STOP, &[stream.0, u32::from(how.number())], serializer)
            }
            Self::Stopped { stream } => numbers(kind::STOPPED, &[stream.0], serializer),
            Self::Stream { id, stream } => numbers(kind::STREAM, &[id.0, stream.0], serializer),
            Self::Stopping { stream } => numbers(kind::STOPPING, &[stream.0], serializer),
            Self::Invoke { id, reference, member, is_urgent, .. } => {
                (kind::INVOKE, id, reference, member, u8::from(*is_urgent)).serialize(serializer)
            }
            Self::Heard { ids } => (kind::HEARD, ids).serialize(serializer),
            Self::Release { counts } => (kind::RELEASE, counts).serialize(serializer),
        }
    }
}

/// Serializes a kind whose fields are numbers: one function for all of them, which keeps the module small.
#[cfg(feature = "serde")]
fn numbers<S: serde::Serializer>(kind: u8, fields: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeSeq;

    let mut array = serializer.serialize_seq(Some(1 + fields.len()))?;
    array.serialize_element(&kind)?;
    for field in fields {
        array.serialize_element(field)?;
    }
    array.end()
}
