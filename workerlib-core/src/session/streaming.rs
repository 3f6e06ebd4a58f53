//! The work of a session on streams: it opens, fills, stops and ends them, and takes in the peer's messages about them.
//!
//! The tables are in [`crate::streams`].

use crate::event::{Event, SessionError};
use crate::in_flight::Stage;
use crate::message::{CallId, Message};
use crate::session::Session;
use crate::streams::{Credit, StopKind, StreamEnd, StreamId};

impl<P> Session<P> {
    /// Answers a call of the peer with a stream, which has the credit that came with the call.
    ///
    /// Returns `None` where there is nothing to answer, or the call does not ask for a stream.
    pub fn finish_streaming(&mut self, id: CallId) -> Option<StreamId> {
        let credit = self.serving.credit(id)?;
        self.serving.finish(id);
        let stream = self.producing.enter(credit);
        self.transmits.push_back(Message::Stream { id, stream });
        Some(stream)
    }

    /// The credit that came with a call of the peer that asks for a stream, as long as it is not answered.
    pub fn call_credit(&self, id: CallId) -> Option<Credit> {
        self.serving.credit(id)
    }

    /// Opens a stream that this side produces, and whose id it sends among values. It has no credit yet.
    ///
    /// # Errors
    ///
    /// If the session is not open.
    pub fn open_stream(&mut self) -> Result<StreamId, SessionError> {
        self.check_open()?;
        Ok(self.producing.enter(Credit::default()))
    }

    /// Takes back a stream whose id has not been sent.
    pub fn withdraw_stream(&mut self, stream: StreamId) {
        self.producing.remove(stream);
    }

    /// The credit, in items and bytes, of a stream that this side produces; `None` if it is not to be produced any
    /// more.
    pub fn credit(&self, stream: StreamId) -> Option<(u64, u64)> {
        self.producing.credit(stream)
    }

    /// Sends items of a stream; returns false where their stream has been stopped, or has no credit for them.
    pub fn produce(&mut self, stream: StreamId, count: u32, bytes: usize, payload: P) -> bool {
        let may_send = self.producing.spend(stream, count, bytes);
        if may_send {
            self.transmits.push_back(Message::Items { stream, count, bytes, payload });
        }
        may_send
    }

    /// Tells the consumer that the generator of a stream has been told that it is stopped.
    ///
    /// It changes nothing where the consumer has not stopped the stream, or the stream has ended.
    pub fn acknowledge_stop(&mut self, stream: StreamId) {
        if self.producing.is_stopping(stream) {
            self.transmits.push_back(Message::Stopping { stream });
        }
    }

    /// Ends a stream that this side produces.
    ///
    /// Returns false where it has ended before. So it does for [`StreamEnd::Stopped`] where the consumer has not
    /// stopped the stream, which is still to be ended then.
    pub fn end_stream(&mut self, stream: StreamId, end: StreamEnd<P>) -> bool {
        let is_refused = matches!(end, StreamEnd::Stopped) && !self.producing.is_stopping(stream);
        if is_refused || !self.producing.remove(stream) {
            return false;
        }
        self.transmits.push_back(match end {
            StreamEnd::End => Message::End { stream },
            StreamEnd::Fail(payload) => Message::Fail { stream, payload },
            StreamEnd::Stopped => Message::Stopped { stream },
        });
        true
    }

    /// Notes a stream of the peer's that came among values: this side consumes it. Returns false if it does so
    /// already, or the session is not open.
    pub fn consume(&mut self, stream: StreamId) -> bool {
        self.is_open() && self.consuming.enter(stream, Credit::default())
    }

    /// Grants credit to the producer of a stream; it changes nothing where the stream is stopped or has ended.
    pub fn grant(&mut self, stream: StreamId, credit: Credit) {
        if self.consuming.grant(stream, credit) {
            self.transmits.push_back(Message::Next { stream, credit });
        }
    }

    /// Stops a stream that this side consumes; its items are dropped from now on.
    ///
    /// Returns whether the producer was asked to end it, which may be done several times; otherwise it has ended.
    pub fn stop(&mut self, stream: StreamId, how: StopKind) -> bool {
        let is_asked = self.consuming.stop(stream);
        if is_asked {
            self.transmits.push_back(Message::Stop { stream, how });
        }
        is_asked
    }

    /// Returns whether a stream that this side consumes has not ended.
    pub fn is_consuming(&self, stream: StreamId) -> bool {
        self.consuming.contains(stream)
    }

    /// The numbers of streams that this side produces and consumes, and that have not ended.
    pub fn streams(&self) -> (usize, usize) {
        (self.producing.len(), self.consuming.len())
    }

    /// Takes in what the other side of a stream says. An unknown id is one of a message that crossed the end.
    #[inline(never)]
    pub(super) fn handle_stream_message(&mut self, message: Message<P>) {
        let event = match message {
            Message::Stream { id, stream } => return self.handle_stream(id, stream),
            Message::Next { stream, credit } if self.producing.grant(stream, credit) => {
                Event::Granted { stream }
            }
            Message::Stop { stream, how } if self.producing.stop(stream) => Event::Stop { stream, how },
            Message::Items { stream, count, bytes, payload } => {
                match self.consuming.receive(stream, count, bytes) {
                    Ok(true) => Event::Items { stream, count, bytes, payload },
                    Ok(false) => Event::Dropped { payload },
                    Err(violation) => return self.fail(&violation),
                }
            }
            Message::End { stream } if self.consuming.remove(stream) => Event::Ended { stream },
            Message::Fail { stream, payload } if self.consuming.remove(stream) => {
                Event::Failed { stream, payload }
            }
            Message::Fail { payload, .. } => Event::Dropped { payload },
            Message::Stopping { stream } if self.consuming.is_stopping(stream) => Event::Stopping { stream },
            Message::Stopped { stream } if self.consuming.is_stopping(stream) => {
                self.consuming.remove(stream);
                Event::Stopped { stream }
            }
            Message::Stopped { stream } if self.consuming.contains(stream) => {
                return self.fail(&format!("stream {} was stopped, which nobody asked for", stream.0));
            }
            _ => return,
        };
        self.events.push_back(event);
    }

    /// Takes in the answer that is a stream. One that nobody waits for any more is stopped.
    fn handle_stream(&mut self, id: CallId, stream: StreamId) {
        let credit = match self.in_flight.get(id) {
            Some(call) if matches!(call.stage, Stage::Sent | Stage::Started) => call.credit,
            _ => return,
        };
        let Some(credit) = credit else {
            return self.fail(&format!("call {} was answered with a stream, which it did not ask for", id.0));
        };
        if !self.consuming.enter(stream, credit) {
            return self.fail(&format!("stream {} was opened twice", stream.0));
        }
        if !self.in_flight.get(id).is_some_and(|call| call.is_wanted) {
            self.stop(stream, StopKind::Close);
        }
        self.handle_answer(id, Event::Stream { id, stream });
    }
}
