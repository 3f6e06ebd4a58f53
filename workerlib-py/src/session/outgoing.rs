//! Outgoing messages: calls, answers and others with values are encoded, and given to the core to be sent.
//!
//! Values are encoded while the session is not borrowed: adapters may use it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use workerlib_core::{
    CallId, Credit, Departure, Message, Outcome, RefId, Request, SessionError, StreamEnd, StreamId,
};

use crate::deep::DEEP;
use crate::deferred::Unfinished;
use crate::direct::{ALL, Direct, HELD};
use crate::errors::closed_error;
use crate::frame::{Frame, Values};
use crate::sending::Sending;
use crate::session::Session;
use crate::settings::{Settings, lock};
use crate::streams::Batch;

impl Session {
    /// Returns what does the commonest steps without Python, if the connection has such a path.
    pub(super) fn direct_path<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, Direct>>> {
        Ok(match &self.direct {
            Some(direct) => Some(direct.bind(py).clone().cast_into()?),
            None => None,
        })
    }

    /// Sends a call, with what stands before the values: its deferred values.
    #[inline(never)]
    pub(crate) fn put(
        &mut self,
        py: Python<'_>,
        call: &Sending<'_>,
        before: &[u8],
        mut values: Values,
    ) -> PyResult<()> {
        let Sending { id, function, reports_start, credit } = *call;
        let id = CallId(id);
        let (given, carried) = (std::mem::take(&mut values.given), std::mem::take(&mut values.carried));
        let size = before.len() + values.size(py);
        // A side that does not trace has none.
        let at = self.traces.iter().position(|(call, _)| *call == id.0);
        let trace = at.map(|at| self.traces.swap_remove(at).1);
        let mut request =
            Request::new(function, size).giving(&given).carrying(&carried).in_trace(trace.as_deref());
        if reports_start {
            request = request.reporting_start();
        }
        if let Some((items, bytes)) = credit {
            request = request.streaming(Credit { items, bytes });
        }
        let sent = self.core.send(id, &request, |departure| -> Result<Frame, CallError> {
            let (reports_start, credit) = (request.reports_start(), request.credit());
            let (function, trace) = (function.to_owned(), trace.clone());
            let message = Message::Call { id, function, payload: (), reports_start, credit, trace };
            let mut frame = Frame::new(py, &message, before, values).map_err(CallError::Raised)?;
            if departure == Departure::Later {
                frame.copy_buffers(py).map_err(CallError::Raised)?;
            }
            Ok(frame)
        });
        if sent.is_err() {
            given.into_iter().for_each(|reference| self.core.take_back(reference));
        }
        sent.map_err(|error| error.into_python(py))
    }

    /// Answers a call of the other side with a result; returns whether that is deep.
    #[inline(never)]
    pub(super) fn answer(
        &mut self,
        py: Python<'_>,
        id: u32,
        before: &[u8],
        mut values: Values,
        unheard: Option<Vec<u32>>,
    ) -> PyResult<bool> {
        let id = CallId(id);
        let is_deep = values.deepest > DEEP;
        let given = std::mem::take(&mut values.given);
        let mut message =
            Message::Return { id, payload: (), unheard: unheard.into_iter().flatten().map(CallId).collect() };
        let frame = Frame::new(py, &message, before, values)?;
        let unheard = match &mut message {
            Message::Return { unheard, .. } => std::mem::take(unheard),
            _ => Vec::new(),
        };
        if !self.core.finish_unheard(id, frame, unheard) {
            given.into_iter().for_each(|reference| self.core.take_back(reference));
        }
        Ok(is_deep)
    }

    /// Begins a call and sends it, if its turn has come: `call`.
    #[inline(never)]
    pub(super) fn call_directly<'py>(
        slf: &Bound<'py, Self>,
        connection: &Bound<'py, PyAny>,
        function: &str,
        (args, kwargs): (&Bound<'py, PyTuple>, &Bound<'py, PyDict>),
        (parent, pending): (Option<Bound<'py, PyAny>>, &Bound<'py, PyAny>),
        credit: Option<(u32, u32)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (id, is_ready) = slf.borrow_mut().begin(py, parent.is_some())?;
        let (direct, settings) = {
            let this = slf.borrow();
            (this.direct_path(py)?, Arc::clone(&this.settings))
        };
        let Some(direct) = direct.filter(|direct| is_ready && direct.get().may_call()) else {
            return Ok((id, is_ready).into_pyobject(py)?.into_any());
        };
        let encoded = Self::encode(slf, &[("args", args.as_any()), ("kwargs", kwargs.as_any())], &settings);
        let sent = encoded.and_then(|values| {
            if values.needs_deferred(py)? {
                let unfinished = Unfinished::new(py, values, settings)?;
                return Ok((id, is_ready, unfinished).into_pyobject(py)?.into_any());
            }
            let call = Sending { id, function, reports_start: false, credit };
            direct.get().call(slf, connection, &call, (parent.as_ref(), pending), values)?;
            Ok(pending.clone())
        });
        if sent.is_err() {
            slf.borrow_mut().give_up(id);
        }
        sent
    }

    /// Answers a call of the other side with a result: what is unfinished of it if an adapter is async, and whether the
    /// result is deep.
    #[inline(never)]
    pub(crate) fn answer_with<'py>(
        slf: &Bound<'py, Self>,
        id: u32,
        value: &Bound<'py, PyAny>,
        unheard: Option<Vec<u32>>,
    ) -> PyResult<(Option<Bound<'py, Unfinished>>, bool)> {
        let py = slf.py();
        let settings = Arc::clone(&slf.borrow().settings);
        let values = Self::encode(slf, &[("result", value)], &settings)?;
        if values.needs_deferred(py)? {
            return Ok((Some(Bound::new(py, Unfinished::new(py, values, settings)?)?), false));
        }
        Ok((None, slf.borrow_mut().answer(py, id, &[], values, unheard)?))
    }

    /// Answers a call with an exception, or ends a stream by it: `raise_error`.
    #[inline(never)]
    pub(super) fn put_error(&mut self, id: u32, error: &Bound<'_, PyAny>, is_stream: bool) -> PyResult<bool> {
        let py = error.py();
        let values = Values::encode(py, &[("exception", error)], &Settings::default(), None)?;
        let values = values.without_deferred(py)?;
        let (call, stream) = (CallId(id), StreamId(id));
        let message = if is_stream {
            Message::Fail { stream, payload: () }
        } else {
            Message::Raise { id: call, payload: () }
        };
        let frame = Frame::new(py, &message, &[], values)?;
        Ok(if is_stream {
            self.core.end_stream(stream, StreamEnd::Fail(frame))
        } else {
            self.core.finish(call, Outcome::Raise(frame))
        })
    }

    /// Tells the caller of a call something: `report`.
    #[inline(never)]
    pub(super) fn put_report(
        slf: &Bound<'_, Self>,
        id: CallId,
        values: &Bound<'_, PyTuple>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let settings = Arc::clone(&slf.borrow().settings);
        let values = Self::encode(slf, &[("report", values.as_any())], &settings)?;
        let mut values = values.without_deferred(py)?;
        let given = std::mem::take(&mut values.given);
        let frame = Frame::new(py, &Message::Report { id, payload: () }, &[], values)?;
        let mut this = slf.borrow_mut();
        let is_sent = this.core.report(id, frame);
        if !is_sent {
            given.into_iter().for_each(|reference| this.core.take_back(reference));
        }
        Ok(is_sent)
    }

    /// Sends an invocation of something that the other side has given, and gives its id: `invoke`.
    #[inline(never)]
    pub(super) fn put_invocation(
        slf: &Bound<'_, Self>,
        reference: RefId,
        member: &str,
        (args, kwargs): (&Bound<'_, PyTuple>, &Bound<'_, PyDict>),
        is_urgent: bool,
    ) -> PyResult<u32> {
        let py = slf.py();
        let settings = Arc::clone(&slf.borrow().settings);
        let values = Self::encode(slf, &[("args", args.as_any()), ("kwargs", kwargs.as_any())], &settings)?;
        let mut values = values.without_deferred(py)?;
        let (given, carried) = (std::mem::take(&mut values.given), std::mem::take(&mut values.carried));
        let request = Request::new(member, 0).giving(&given).carrying(&carried);
        let mut this = slf.borrow_mut();
        let sent = this.core.invoke(reference, &request, is_urgent, |id| -> Result<Frame, CallError> {
            let member = member.to_owned();
            let message = Message::Invoke { id, reference, member, is_urgent, payload: () };
            Frame::new(py, &message, &[], values).map_err(CallError::Raised)
        });
        if sent.is_err() {
            given.into_iter().for_each(|reference| this.core.take_back(reference));
        }
        sent.map(|CallId(id)| id).map_err(|error| error.into_python(py))
    }

    /// Sends the items of a batch, or an unfinished item: `send_items`.
    #[inline(never)]
    pub(super) fn put_items(
        &mut self,
        stream: StreamId,
        items: &Bound<'_, PyAny>,
        deferred: Option<&Bound<'_, PyList>>,
    ) -> PyResult<()> {
        let py = items.py();
        let (count, before, mut values) = match deferred {
            Some(deferred) => {
                let (before, values) = items.cast::<Unfinished>()?.borrow_mut().finish(deferred)?;
                (1, before, values)
            }
            None => items.cast::<Batch>()?.borrow_mut().take(),
        };
        let given = std::mem::take(&mut values.given);
        let bytes = before.len() + values.size(py);
        let message = Message::Items { stream, count, bytes, payload: () };
        let frame = Frame::new(py, &message, &before, values)?;
        if !self.core.produce(stream, count, bytes, frame) {
            given.into_iter().for_each(|reference| self.core.take_back(reference));
        }
        Ok(())
    }

    /// Takes out the next message to send, if there is one.
    #[inline(never)]
    pub(crate) fn next_transmit<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let (message, tells_answers) = {
            let mut this = slf.borrow_mut();
            (this.core.poll_transmit(), this.tells_answers)
        };
        message.map(|message| Self::message(slf.py(), message, tells_answers)).transpose()
    }

    /// Sends what is to be sent, if that needs no Python: `transmit`. It goes at once, unless it is one of several calls that
    /// start together.
    pub(super) fn transmit_all(slf: &Bound<'_, Self>, connection: &Bound<'_, PyAny>) -> PyResult<bool> {
        let direct = slf.borrow().direct_path(slf.py())?;
        match direct {
            Some(direct) if direct.get().sends_itself() => {
                direct.get().send_all(slf, connection, ALL, HELD)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Takes back what values would have given that have not been sent.
    pub(super) fn take_back_unsent(&mut self) {
        let unsent = std::mem::take(&mut lock(&self.settings.written).unsent);
        unsent.into_iter().for_each(|reference| self.core.take_back(reference));
    }

    /// Encodes the values of a message, while the session is not borrowed: adapters may use it.
    #[inline(never)]
    pub(super) fn encode<'py>(
        slf: &Bound<'py, Self>,
        values: &[(&str, &Bound<'py, PyAny>)],
        settings: &Settings,
    ) -> PyResult<Values> {
        let encoded = Values::encode(slf.py(), values, settings, None);
        if encoded.is_err() {
            slf.borrow_mut().take_back_unsent();
        }
        encoded
    }

    /// Gives what is sent: bytes, and a list of the buffers beside them; if that is to be told, the calls that it answers.
    #[inline(never)]
    pub(super) fn message<'py>(
        py: Python<'py>,
        message: Message<Frame>,
        tells_answers: bool,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let answered = match &message {
            _ if !tells_answers => None,
            Message::Return { id, .. } | Message::Raise { id, .. } | Message::Cancelled { id } => {
                Some(vec![id.0])
            }
            Message::Heard { ids } => Some(ids.iter().map(|id| id.0).collect()),
            Message::Started { .. } | Message::Cancelling { .. } | Message::Close { .. } => Some(Vec::new()),
            _ => None,
        };
        let frame = match message {
            Message::Call { payload, .. }
            | Message::Return { payload, .. }
            | Message::Raise { payload, .. }
            | Message::Report { payload, .. }
            | Message::Items { payload, .. }
            | Message::Fail { payload, .. }
            | Message::Invoke { payload, .. } => payload,
            message => Frame::new(py, &message, &[], Values::default())?,
        };
        let buffers = PyList::new(py, frame.buffers)?;
        match answered {
            Some(calls) => (frame.bytes, buffers, calls).into_pyobject(py),
            None => (frame.bytes, buffers).into_pyobject(py),
        }
    }
}

/// Why a call could not be started.
pub(super) enum CallError {
    Session(SessionError),
    Raised(PyErr),
}

impl CallError {
    pub(super) fn into_python(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Raised(error) => error,
            Self::Session(error) => closed_error(py, &error),
        }
    }
}

impl From<SessionError> for CallError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}
