//! [`Request`]: the description of a call that is to be sent.

use crate::message::RefId;
use crate::streams::Credit;

/// From how many bytes on a call is heavy.
const HEAVY: usize = 64 << 10;

/// A call without its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'f> {
    function: &'f str,
    size: usize,
    reports_start: bool,
    credit: Option<Credit>,
    trace: Option<&'f str>,
    gives: &'f [RefId],
    carries: &'f [RefId],
}

impl<'f> Request<'f> {
    /// Asks for a call of a function, whose arguments take `size` bytes.
    ///
    /// A heavy call takes up an eighth of the peer's window. Its start is always reported, because the peer does not
    /// know how much of its window that gives back.
    pub fn new(function: &'f str, size: usize) -> Self {
        Self {
            function,
            size,
            reports_start: size >= HEAVY,
            credit: None,
            trace: None,
            gives: &[],
            carries: &[],
        }
    }

    /// Asks for an [`Event::Started`](crate::Event::Started) too.
    pub fn reporting_start(mut self) -> Self {
        self.reports_start = true;
        self
    }

    /// Asks for a stream, which starts with so much credit.
    pub fn streaming(mut self, credit: Credit) -> Self {
        self.credit = Some(credit);
        self
    }

    /// Says what is given to the peer with the call: it is revoked if the call is given up, and taken back if the call
    /// is never sent.
    pub fn giving(mut self, gives: &'f [RefId]) -> Self {
        self.gives = gives;
        self
    }

    /// Says what the call carries back that the peer has given: it is not released before the call has an answer.
    pub fn carrying(mut self, carries: &'f [RefId]) -> Self {
        self.carries = carries;
        self
    }

    /// The references that are carried back.
    pub(crate) fn carries(&self) -> &'f [RefId] {
        self.carries
    }

    /// Says to which trace the call belongs, in the form of W3C's `traceparent`.
    pub fn in_trace(mut self, trace: Option<&'f str>) -> Self {
        self.trace = trace;
        self
    }

    /// The trace.
    pub(crate) fn trace(&self) -> Option<&'f str> {
        self.trace
    }

    /// The references that are given.
    pub(crate) fn gives(&self) -> &'f [RefId] {
        self.gives
    }

    /// The function's name.
    pub fn function(&self) -> &'f str {
        self.function
    }

    /// Whether the peer is to say when the call starts.
    pub fn reports_start(&self) -> bool {
        self.reports_start
    }

    /// The credit of the stream that the call is to return, if it is to return one.
    pub fn credit(&self) -> Option<Credit> {
        self.credit
    }

    /// The part of a window that the call takes up.
    pub(crate) fn weight(&self, window: u32) -> u32 {
        if self.size < HEAVY { 1 } else { (window / 8).max(1) }
    }
}
