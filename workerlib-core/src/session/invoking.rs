//! The session's work with references: it gives and revokes them, invokes the peer's, and answers invocations.
//!
//! The tables are in [`crate::references`].

use crate::event::{Event, SessionError};
use crate::message::{CallId, Message, RefId};
use crate::request::Request;
use crate::session::Session;

impl<P> Session<P> {
    /// Answers a call of the peer that returned while invocations which it made had no answer, and which nobody asked
    /// for: if one of them raised, that decides the call.
    ///
    /// Returns false where there is nothing to answer, as [`Session::finish`].
    pub fn finish_unheard(&mut self, id: CallId, payload: P, unheard: Vec<CallId>) -> bool {
        if !self.end_serving(id) {
            return false;
        }
        self.transmits.push_back(Message::Return { id, payload, unheard });
        true
    }

    /// Answers an invocation by the peer that returned None; many such answers go in one message.
    ///
    /// Returns false where there is nothing to answer.
    pub fn hear(&mut self, id: CallId) -> bool {
        let is_urgent = self.references.is_urgent(id);
        if !self.references.is_running(id) || !self.end_serving(id) {
            return false;
        }
        if is_urgent {
            self.transmits.push_back(Message::Heard { ids: vec![id] });
        } else {
            self.references.hear(id);
        }
        true
    }

    /// Takes out a call or an invocation by the peer that has ended; returns whether it was running.
    pub(super) fn end_serving(&mut self, id: CallId) -> bool {
        if !self.serving.finish(id) {
            return false;
        }
        if self.references.running() > 0
            && let Some(reference) = self.references.finish(id)
        {
            self.events.push_back(Event::Gone { reference });
        }
        true
    }

    /// Enters something that the peer may invoke once it has been sent.
    ///
    /// With `is_revocable` it ends with the call that it is sent with, if that is cancelled or given up.
    ///
    /// # Errors
    ///
    /// If the session is not open.
    pub fn give(&mut self, is_revocable: bool) -> Result<RefId, SessionError> {
        self.check_open()?;
        Ok(self.references.give(is_revocable))
    }

    /// Notes that something which was given is sent once more; returns false if the peer may not invoke it any more,
    /// so that it has to be given anew.
    pub fn give_again(&mut self, reference: RefId) -> bool {
        self.references.give_again(reference)
    }

    /// Takes back something that has not been sent after all.
    pub fn take_back(&mut self, reference: RefId) {
        if self.references.take_back(reference) {
            self.events.push_back(Event::Gone { reference });
        }
    }

    /// Returns the call of this side with which something was given, if it has no answer yet.
    pub fn call_given(&self, reference: RefId) -> Option<CallId> {
        self.in_flight.call_given(reference)
    }

    /// Notes that a payload brought something that the peer has given.
    pub fn hold(&mut self, reference: RefId) {
        if self.is_open() {
            self.references.hold(reference);
        }
    }

    /// Notes that this side does not hold something of the peer's any more, so many of the times that it got it.
    pub fn release(&mut self, reference: RefId, count: u32) {
        self.references.release(reference, count);
    }

    /// The number of things that this side has given, and of the peer's things that it holds.
    pub fn references(&self) -> (usize, usize) {
        self.references.counts()
    }

    /// Returns whether the peer takes another invocation now.
    pub fn may_invoke(&self) -> bool {
        self.in_flight.invocations() < self.peer_invoke_window as usize
    }

    /// Invokes something that the peer has given. It is answered as a call, and can be cancelled as one.
    ///
    /// # Errors
    ///
    /// If the session is not open, this side does not hold it, or the peer takes no more invocations now; or with the
    /// error of `payload`. Nothing is sent then.
    pub fn invoke<E: From<SessionError>>(
        &mut self,
        reference: RefId,
        request: &Request<'_>,
        is_urgent: bool,
        payload: impl FnOnce(CallId) -> Result<P, E>,
    ) -> Result<CallId, E> {
        self.check_open()?;
        if !self.references.holds(reference) {
            return Err(SessionError::NotHeld(reference).into());
        }
        if !self.may_invoke() {
            return Err(SessionError::InvokeWindow(self.peer_invoke_window).into());
        }
        let id = self.in_flight.enter_invocation();
        match payload(id) {
            Ok(payload) => {
                let gives = request.gives().to_vec();
                self.in_flight.get_mut(id).into_iter().for_each(|call| call.gives = gives.clone());
                let member = request.function().to_owned();
                self.transmits.push_back(Message::Invoke { id, reference, member, is_urgent, payload });
                Ok(id)
            }
            Err(error) => {
                self.in_flight.remove(id);
                Err(error)
            }
        }
    }

    /// Has the peer's invocations of what was given with a call refused.
    pub(super) fn revoke(&mut self, gives: &[RefId]) {
        for &reference in gives {
            if self.references.revoke(reference) {
                self.events.push_back(Event::Gone { reference });
            }
        }
    }

    /// Settles invocations of this side that returned None.
    pub(super) fn handle_heard(&mut self, mut ids: Vec<CallId>) {
        let was_full = !self.may_invoke();
        let in_flight = &mut self.in_flight;
        ids.retain(|&id| {
            in_flight.get(id).is_some_and(|call| call.is_invocation)
                && in_flight.remove(id).is_some_and(|call| call.is_wanted)
        });
        if ids.is_empty() {
            self.note_room(was_full);
        } else {
            self.events.push_back(Event::Heard { ids });
        }
    }

    /// Tells that the peer takes invocations again, if no other event does: the answers were of some that nobody waits
    /// for any more.
    pub(super) fn note_room(&mut self, was_full: bool) {
        if was_full && self.may_invoke() {
            self.events.push_back(Event::Heard { ids: Vec::new() });
        }
    }

    /// Takes in what the peer does not hold any more.
    pub(super) fn handle_release(&mut self, counts: &[(RefId, u32)]) {
        for &(reference, count) in counts {
            match self.references.give_back(reference, count) {
                Ok(true) => self.events.push_back(Event::Gone { reference }),
                Ok(false) => {}
                Err(violation) => return self.fail(&violation),
            }
        }
    }
}
