//! A session's output for its driver: events, steps to be done next, and errors.

use crate::exports::Exports;
use crate::message::{CallId, Message, Peer, RefId};
use crate::serving::Arrived;
use crate::streams::{StopKind, StreamId};

/// Why a local intent cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The handshake has not ended yet.
    #[error("the connection is not open yet")]
    NotOpen,
    /// The session has ended.
    #[error("the connection is closed: {0}")]
    Closed(CloseReason),
    /// The call was given up, was sent before, or its turn has not come.
    #[error("call {} cannot be sent now", .0.0)]
    NotReady(CallId),
    /// This side does not hold what it is to invoke.
    #[error("reference {} is not held any more", .0.0)]
    NotHeld(RefId),
    /// The peer has not answered as many invocations as it takes at a time.
    #[error("{0} invocations have no answer yet, and the other side takes no more")]
    InvokeWindow(u32),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    #[error("{0}")]
    Local(String),
    /// The peer closed it.
    #[error("the other side closed it ({0})")]
    Peer(String),
    /// The peer is gone, and has not said so itself.
    #[error("{0}")]
    Died(String),
    /// The peer speaks another protocol.
    #[error(
        "the other side speaks protocol {theirs}, this side speaks {ours}: install the same workerlib on both"
    )]
    Protocol {
        /// This side's protocol.
        ours: u32,
        /// The peer's protocol.
        theirs: u32,
    },
    /// The peer sent what cannot be right.
    #[error("the other side broke the protocol: {0}")]
    Violation(String),
}

/// News that the driver must tell its user.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<P> {
    /// The handshake ended: calls may be made.
    Opened(Peer),
    /// The peer exports more than it said before, or describes an export anew.
    Exports(Exports),
    /// A call of this side that had to wait when it began may be sent now.
    Ready {
        /// The call.
        id: CallId,
    },
    /// A call of this side runs. Only a request that reports its start leads to this event.
    Started {
        /// The call.
        id: CallId,
    },
    /// The function of a call of this side has been told of the cancel; the answer follows. The event comes also if
    /// the call has been given up since.
    Cancelling {
        /// The call.
        id: CallId,
    },
    /// A call of this side that somebody waits for reports something, and goes on.
    Report {
        /// The call.
        id: CallId,
        /// The report.
        payload: P,
    },
    /// The peer's program has written text.
    Output {
        /// The name of the stream.
        stream: String,
        /// The text.
        text: String,
    },
    /// The peer waits for the answers of these calls, and starts no other call until it has them.
    ///
    /// The event names calls that were answered too, because this may cross the answer.
    Blocked {
        /// The calls that the peer made.
        ids: Vec<CallId>,
    },
    /// A call of this side returned.
    Return {
        /// The call.
        id: CallId,
        /// The result.
        payload: P,
    },
    /// A call of this side raised.
    Raise {
        /// The call.
        id: CallId,
        /// The exception.
        payload: P,
    },
    /// A call of this side ended because it was cancelled.
    Cancelled {
        /// The call.
        id: CallId,
    },
    /// The peer cancels a call of its own that runs here; it may do so again while the function cleans up.
    ///
    /// The driver tells the function, and the peer by [`Session::acknowledge_cancel`](crate::Session::acknowledge_cancel) that it has.
    Cancel {
        /// The call that the peer made.
        id: CallId,
    },
    /// A call of this side returned a stream: this side consumes it, with the credit of its request.
    Stream {
        /// The call.
        id: CallId,
        /// The stream.
        stream: StreamId,
    },
    /// Items of a stream that this side consumes.
    Items {
        /// The stream.
        stream: StreamId,
        /// The number of items.
        count: u32,
        /// The number of bytes that they take.
        bytes: usize,
        /// The items.
        payload: P,
    },
    /// A stream that this side consumes has no more items.
    Ended {
        /// The stream.
        stream: StreamId,
    },
    /// A stream that this side consumes raised.
    Failed {
        /// The stream.
        stream: StreamId,
        /// The exception.
        payload: P,
    },
    /// The generator of a stream that this side stopped has been told; its end follows.
    Stopping {
        /// The stream.
        stream: StreamId,
    },
    /// A stream that this side stopped has ended, and cleaned up.
    Stopped {
        /// The stream.
        stream: StreamId,
    },
    /// The consumer of a stream of this side's has granted credit.
    Granted {
        /// The stream.
        stream: StreamId,
    },
    /// The consumer of a stream of this side's wants no more of it; it may say so again while the generator cleans up.
    ///
    /// The driver ends the stream by [`Session::end_stream`](crate::Session::end_stream).
    Stop {
        /// The stream.
        stream: StreamId,
        /// The way in which it is to end.
        how: StopKind,
    },
    /// A payload that nobody will have: its call was cancelled before it started, or nobody waits for it any more.
    Dropped {
        /// The arguments, the result, the exception or the items.
        payload: P,
    },
    /// The peer invokes something that this side has given. The driver runs it before it takes in the next event, and
    /// answers it as a call, or by [`Session::hear`](crate::Session::hear) if it returned None.
    Invoke {
        /// Names the invocation.
        id: CallId,
        /// The function or object that is invoked.
        reference: RefId,
        /// The method of an object; empty where the thing itself is called.
        member: String,
        /// The arguments.
        payload: P,
        /// Whether this side has never given it, or has revoked it: then it must raise.
        is_refused: bool,
    },
    /// Invocations of this side's returned None, or the peer takes invocations again.
    Heard {
        /// The invocations; none where the answers that made room are of invocations that nobody waits for any more.
        ids: Vec<CallId>,
    },
    /// A call of this side made invocations whose answers its function has neither heard nor asked for. Its
    /// [`Event::Return`] follows: if one of them raised here, that is the call's outcome instead.
    Unheard {
        /// The call.
        id: CallId,
        /// The peer's invocations.
        invocations: Vec<CallId>,
    },
    /// The peer cannot invoke this any more, and nothing of it runs.
    Gone {
        /// The reference that this side had given.
        reference: RefId,
    },
    /// The session ended, and with it all streams and the calls of this side that had no answer, the oldest first.
    Closed {
        /// Why.
        reason: CloseReason,
        /// The calls that will have no answer.
        lost: Vec<CallId>,
    },
}

impl<P> Event<P> {
    /// Returns the payload, if this event has one.
    pub fn payload(&self) -> Option<&P> {
        match self {
            Self::Return { payload, .. }
            | Self::Raise { payload, .. }
            | Self::Report { payload, .. }
            | Self::Invoke { payload, .. } => Some(payload),
            Self::Items { payload, .. } | Self::Failed { payload, .. } => Some(payload),
            Self::Dropped { payload } => Some(payload),
            _ => None,
        }
    }
}

/// The next thing for the driver to do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step<P> {
    /// Send this message.
    Transmit(Message<P>),
    /// Tell the user.
    Event(Event<P>),
    /// Start a call of the peer, and answer it by [`Session::finish`](crate::Session::finish).
    Start(Arrived<P>),
}

/// The end of a call of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome<P> {
    /// It returned this.
    Return(P),
    /// It raised this.
    Raise(P),
    /// It ended as its caller asked by a cancel.
    Cancelled,
}

/// A call of this side that has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Begun {
    /// The call.
    pub id: CallId,
    /// Whether it may be sent now; if not, [`Event::Ready`] says when.
    pub is_ready: bool,
}

/// When a call leaves this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Departure {
    /// It is the next message.
    Now,
    /// It waits here for room in the peer's window, so its payload must not change until then.
    Later,
}

/// The effect of a cancel on a call of this side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelEffect {
    /// The peer was asked to end the call; its answer settles the call.
    AskedPeer,
    /// The call is settled: it had not left this side, or its answer was there before.
    Settled,
}

/// Whether [`Session::poll`](crate::Session::poll) may start a call of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Starts {
    /// A call may start.
    Allowed,
    /// No call may start now, for example because one has just begun to compute.
    Held,
}
