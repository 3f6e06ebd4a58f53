//! Incoming frames, and the driver's next steps as Python's objects: messages to send, events, and calls to start.
//!
//! Values are decoded here, while the session is not borrowed: adapters may use it.

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFrozenSet, PyList, PyString, PyTuple};
use workerlib_codec::envelope;
use workerlib_core::{Arrived, CallId, CloseReason, Event, Message, RefId, Starts, Step, StopKind, StreamId};

use crate::deep::{DEEP, dismantle};
use crate::deferred::Arrival;
use crate::descriptions::{describe_adapters, describe_exports};
use crate::direct::{Direct, Kind};
use crate::errors::{frame_error, session_error};
use crate::frame::Frame;
use crate::session::Session;
use crate::settings::Settings;
use crate::streams;

/// A step of the driver: its name, and its details.
type Described<'py> = (Bound<'py, PyString>, Bound<'py, PyTuple>);

impl Session {
    /// Takes in what the other side sent: bytes, and the buffers beside them.
    #[inline(never)]
    pub(crate) fn take_in(&mut self, bytes: Bound<'_, PyBytes>, buffers: Vec<Py<PyAny>>) {
        match envelope::read(bytes.as_bytes()) {
            Ok((message, body)) => {
                let py = bytes.py();
                let frame = Frame { bytes: bytes.unbind(), body, buffers };
                let size = if let Message::Items { .. } = message { streams::size_of(py, &frame) } else { 0 };
                let mut message = message.map(|()| frame);
                if let Message::Items { bytes, .. } = &mut message {
                    *bytes = size;
                }
                self.core.handle_message(message);
            }
            Err(violation) => self.core.fail(&violation.to_string()),
        }
    }

    /// Takes out what is to be done next: `poll`.
    #[inline(never)]
    pub(super) fn next_step<'py>(
        slf: &Bound<'py, Self>,
        may_start: bool,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let starts = if may_start { Starts::Allowed } else { Starts::Held };
        loop {
            let step = slf.borrow_mut().core.poll(starts);
            let Some(step) = step else { return Ok(None) };
            if let Some(described) = Self::describe_step(slf, step)? {
                return described.into_pyobject(slf.py()).map(Some);
            }
        }
    }

    /// Does what is to be done and can be done without Python; returns the first step that cannot: `carry_out`.
    #[inline(never)]
    pub(crate) fn carry_out_directly<'py>(
        slf: &Bound<'py, Self>,
        connection: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let py = slf.py();
        loop {
            let (step, direct, is_alone) = {
                let mut this = slf.borrow_mut();
                let starts = if this.holds_starts { Starts::Held } else { Starts::Allowed };
                let step = this.core.poll(starts);
                let is_alone = this.core.waiting() == 0 && !this.core.has_transmits();
                (step, this.direct_path(py)?, is_alone)
            };
            let described = match (step, direct) {
                (None, _) => return Ok(None),
                (Some(Step::Event(Event::Return { id, payload })), Some(direct)) if !payload.has_rows(py) => {
                    let settings = Arc::clone(&slf.borrow().settings);
                    match payload.decode(py, ["result"], &settings) {
                        Ok(([value], deepest)) => {
                            direct.get().settle(id, &PyList::new(py, [value])?, deepest)?;
                            None
                        }
                        Err(error) => Some(about_error("bad_answer", id.0, py, error)?),
                    }
                }
                (Some(Step::Start(call)), Some(direct)) if is_alone => {
                    match direct.get().function(py, &call)? {
                        Some(function) => {
                            let (id, name) = (call.id, call.function.clone());
                            let kind = if call.credit.is_none() { Kind::Call } else { Kind::Stream };
                            let mut serve = |arguments: &Bound<'py, PyTuple>| {
                                let call = (id, &*name, kind);
                                Direct::serve(&direct, slf, connection, call, &function, arguments)
                            };
                            Self::describe_call(slf, call, &mut serve)?
                        }
                        None => Self::describe_call(slf, call, &mut |_| Ok(false))?,
                    }
                }
                (
                    Some(Step::Event(Event::Invoke { id, reference, member, payload, is_refused: false })),
                    Some(direct),
                ) => {
                    let mut serve = |arguments: &Bound<'py, PyTuple>| {
                        let invocation = (id, reference, &*member);
                        Direct::serve_invocation(&direct, slf, connection, invocation, arguments)
                    };
                    describe_invocation(slf, (id, reference, &member), Some(&payload), &mut serve)?
                }
                (Some(Step::Event(Event::Heard { ids })), Some(direct)) if !ids.is_empty() => {
                    for id in ids {
                        direct.get().settle(id, &PyList::new(py, [py.None()])?, 0)?;
                    }
                    None
                }
                (Some(Step::Event(Event::Stream { id, stream })), Some(direct)) => {
                    direct.get().take_in_stream(py, id.0, stream.0)?;
                    None
                }
                (Some(Step::Event(Event::Items { stream, count, bytes, payload })), Some(direct))
                    if !payload.has_rows(py) =>
                {
                    let settings = Arc::clone(&slf.borrow().settings);
                    match streams::read_items(py, &payload, count, &settings) {
                        Ok((items, is_deep)) => {
                            direct.get().take_in_items(&items, (stream.0, bytes, is_deep))?;
                            None
                        }
                        Err(error) => Some(about_error("bad_items", stream.0, py, error)?),
                    }
                }
                (Some(Step::Transmit(message)), Some(direct)) if direct.get().sends_itself() => {
                    let tells_answers = slf.borrow().tells_answers;
                    let first = Self::message(py, message, tells_answers)?;
                    direct.get().send_on(slf, connection, first)?;
                    None
                }
                (Some(step), _) => Self::describe_step(slf, step)?,
            };
            if let Some(described) = described {
                return described.into_pyobject(py).map(Some);
            }
        }
    }

    /// Returns whether a call of the other side waits to be started.
    pub(crate) fn has_waiting(slf: &Bound<'_, Self>) -> bool {
        slf.borrow().core.waiting() > 0
    }

    /// Has no call of the other side start from now on, or lets them start.
    pub(crate) fn hold_starts(slf: &Bound<'_, Self>, holds: bool) {
        slf.borrow_mut().holds_starts = holds;
    }

    /// Describes a step; `None` if there is nothing to be done for it.
    #[inline(never)]
    fn describe_step<'py>(slf: &Bound<'py, Self>, step: Step<Frame>) -> PyResult<Option<Described<'py>>> {
        let py = slf.py();
        // Not borrowed while values are decoded: adapters may use the session.
        Ok(Some(match step {
            Step::Transmit(message) => {
                let tells_answers = slf.borrow().tells_answers;
                (PyString::new(py, "transmit"), Self::message(py, message, tells_answers)?)
            }
            Step::Event(Event::Dropped { payload }) => {
                Self::release_references(slf, &payload);
                return Ok(None);
            }
            Step::Event(event) => Self::describe_event(slf, event)?,
            Step::Start(call) => return Self::describe_call(slf, call, &mut |_| Ok(false)),
            _ => return Err(session_error()),
        }))
    }

    /// Describes an event.
    #[inline(never)]
    pub(super) fn describe_event<'py>(
        slf: &Bound<'py, Session>,
        event: Event<Frame>,
    ) -> PyResult<Described<'py>> {
        let py = slf.py();
        let settings = Arc::clone(&slf.borrow().settings);
        Ok(match event {
            Event::Opened(peer) => {
                let exports = describe_exports(py, peer.exports)?;
                let slow = peer.adapters.iter().filter(|adapter| adapter.is_async).map(|one| &one.key);
                let slow = PyFrozenSet::new(py, slow)?;
                let mut this = slf.borrow_mut();
                let mut settings = this.settings.clone_ref(py);
                settings.slow = Some(slow.into_any().unbind());
                this.settings = Arc::new(settings);
                let ours = describe_adapters(py, &this.adapters)?;
                let theirs = describe_adapters(py, &peer.adapters)?;
                (PyString::new(py, "opened"), (peer.version, exports, ours, theirs).into_pyobject(py)?)
            }
            Event::Exports(exports) => {
                let exports = describe_exports(py, exports)?;
                (PyString::new(py, "exports"), (exports,).into_pyobject(py)?)
            }
            Event::Ready { id } => return about(py, "ready", id),
            Event::Started { id } => return about(py, "started", id),
            Event::Cancelling { id } => return about(py, "cancelling", id),
            Event::Cancelled { id } => return about(py, "cancelled", id),
            Event::Cancel { id } => return about(py, "cancel", id),
            Event::Unheard { id: CallId(id), invocations } => {
                let invocations: Vec<u32> = invocations.into_iter().map(|CallId(id)| id).collect();
                (PyString::new(py, "unheard"), (id, invocations).into_pyobject(py)?)
            }
            Event::Return { id: CallId(id), payload } if payload.has_rows(py) => (
                PyString::new(py, "return_with_deferred"),
                (id, Arrival::new(py, payload, settings)).into_pyobject(py)?,
            ),
            Event::Return { id: CallId(id), payload } => match payload.decode(py, ["result"], &settings) {
                Ok(([value], deepest)) => {
                    // In a list, out of which it can be taken without that anything else holds it.
                    let result = PyList::new(py, [value])?;
                    (intern!(py, "return").clone(), (id, result, deepest > DEEP).into_pyobject(py)?)
                }
                Err(error) => {
                    return about_error("bad_answer", id, py, error);
                }
            },
            Event::Raise { id: CallId(id), payload } => match payload.decode(py, ["exception"], &settings) {
                Ok(([error], _)) => return about_with("raise", id, error),
                Err(error) => {
                    return about_error("bad_answer", id, py, error);
                }
            },
            Event::Report { id, payload } => return describe_report(py, id, payload, &settings),
            Event::Output { stream, text } => {
                (PyString::new(py, "output"), (stream, text).into_pyobject(py)?)
            }
            Event::Blocked { ids } => {
                let ids: Vec<u32> = ids.into_iter().map(|CallId(id)| id).collect();
                (PyString::new(py, "blocked"), (ids,).into_pyobject(py)?)
            }
            Event::Invoke { id, reference, member, payload, is_refused } => {
                if is_refused {
                    Self::release_references(slf, &payload);
                }
                let payload = (!is_refused).then_some(&payload);
                let described =
                    describe_invocation(slf, (id, reference, &member), payload, &mut |_| Ok(false))?;
                return described.ok_or_else(session_error);
            }
            Event::Heard { ids } => {
                let ids: Vec<u32> = ids.into_iter().map(|CallId(id)| id).collect();
                (PyString::new(py, "heard"), (ids,).into_pyobject(py)?)
            }
            Event::Gone { reference: RefId(reference) } => {
                (PyString::new(py, "gone"), (reference,).into_pyobject(py)?)
            }
            Event::Closed { reason, lost } => {
                let kind = match reason {
                    CloseReason::Protocol { .. } => "protocol",
                    CloseReason::Violation(_) => "violation",
                    CloseReason::Peer(_) => "peer",
                    CloseReason::Died(_) => "died",
                    _ => "local",
                };
                let lost: Vec<u32> = lost.into_iter().map(|CallId(id)| id).collect();
                (PyString::new(py, "closed"), (kind, reason.to_string(), lost).into_pyobject(py)?)
            }
            event => return describe_stream_event(py, event, settings),
        })
    }

    /// Describes a call of the other side: as "bad_call" if its arguments cannot be read. `serve` may serve the call of
    /// these arguments, the positional and the keyword ones; then there is nothing to describe.
    #[inline(never)]
    fn describe_call<'py>(
        slf: &Bound<'py, Session>,
        call: Arrived<Frame>,
        serve: &mut dyn FnMut(&Bound<'py, PyTuple>) -> PyResult<bool>,
    ) -> PyResult<Option<Described<'py>>> {
        let py = slf.py();
        let settings = {
            let mut session = slf.borrow_mut();
            session.arrived_trace = call.trace;
            Arc::clone(&session.settings)
        };
        let (CallId(id), function) = (call.id, call.function);
        if call.payload.has_rows(py) {
            let arrival = Arrival::new(py, call.payload, settings);
            let arguments = (id, function, arrival, call.credit.is_some()).into_pyobject(py)?;
            return Ok(Some((PyString::new(py, "call_with_deferred"), arguments)));
        }
        let error = match call.payload.decode(py, ["args", "kwargs"], &settings) {
            Ok((values, deepest))
                if values[0].is_instance_of::<PyTuple>() && values[1].is_instance_of::<PyDict>() =>
            {
                if deepest <= DEEP && serve(&PyTuple::new(py, &values)?)? {
                    return Ok(None);
                }
                // In a list, out of which they can be taken without that anything else holds them.
                let arguments = PyList::new(py, values)?;
                let name =
                    if call.credit.is_none() { intern!(py, "call") } else { intern!(py, "stream_call") };
                let call = (id, function, arguments, deepest > DEEP).into_pyobject(py)?;
                return Ok(Some((name.clone(), call)));
            }
            Ok(_) => frame_error(py, "a call without a tuple and a dict"),
            Err(error) => error,
        };
        Ok(Some((PyString::new(py, "bad_call"), (id, function, error).into_pyobject(py)?)))
    }

    /// Releases the references in a payload that nobody will use, by building and dropping its values.
    #[cold]
    #[inline(never)]
    pub(super) fn release_references(slf: &Bound<'_, Session>, payload: &Frame) {
        let py = slf.py();
        if !payload.may_have_references(py) || payload.has_rows(py) {
            return;
        }
        let settings = Arc::clone(&slf.borrow().settings);
        let values = match envelope::read(payload.bytes.as_bytes(py)) {
            Ok((Message::Call { .. } | Message::Invoke { .. }, _)) => payload
                .decode(py, ["args", "kwargs"], &settings)
                .and_then(|(values, _)| PyList::new(py, values)),
            Ok((Message::Items { count, .. }, _)) => {
                streams::read_items(py, payload, count, &settings).map(|(items, _)| items)
            }
            Ok(_) => {
                payload.decode(py, ["result"], &settings).and_then(|(values, _)| PyList::new(py, values))
            }
            Err(_) => return,
        };
        // A payload that cannot be read has released what it brought so far.
        if let Ok(values) = values {
            let _ = dismantle(&values);
        }
    }
}

/// Describes what is known by its call alone.
#[inline(never)]
fn about<'py>(py: Python<'py>, name: &str, CallId(id): CallId) -> PyResult<Described<'py>> {
    Ok((PyString::new(py, name), (id,).into_pyobject(py)?))
}

/// Describes what is known by its call and something else.
#[inline(never)]
fn about_with<'py>(name: &str, id: u32, what: Bound<'py, PyAny>) -> PyResult<Described<'py>> {
    let py = what.py();
    Ok((PyString::new(py, name), (id, what).into_pyobject(py)?))
}

/// Describes an error in what is known by its call.
#[inline(never)]
fn about_error<'py>(name: &str, id: u32, py: Python<'py>, error: PyErr) -> PyResult<Described<'py>> {
    about_with(name, id, error.into_value(py).into_bound(py).into_any())
}

/// Describes a report: as "bad_report" if it is not a tuple, or cannot be read.
#[inline(never)]
fn describe_report<'py>(
    py: Python<'py>,
    CallId(id): CallId,
    payload: Frame,
    settings: &Settings,
) -> PyResult<Described<'py>> {
    let error = match payload.decode(py, ["report"], settings) {
        Ok(([values], _)) if values.is_instance_of::<PyTuple>() => return about_with("report", id, values),
        Ok(_) => frame_error(py, "a report that is not a tuple"),
        Err(error) => error,
    };
    about_with("bad_report", id, error.into_value(py).into_bound(py).into_any())
}

/// Describes an event of a stream.
#[inline(never)]
fn describe_stream_event<'py>(
    py: Python<'py>,
    event: Event<Frame>,
    settings: Arc<Settings>,
) -> PyResult<Described<'py>> {
    let of = |name, StreamId(stream)| about(py, name, CallId(stream));
    match event {
        Event::Stream { id: CallId(id), stream: StreamId(stream) } => {
            Ok((PyString::new(py, "stream"), (id, stream).into_pyobject(py)?))
        }
        Event::Items { stream: StreamId(stream), count, bytes, payload } => {
            let described = if payload.has_rows(py) {
                let arrival = Bound::new(py, Arrival::new(py, payload, settings))?;
                Ok((PyList::new(py, [arrival])?, false))
            } else {
                streams::read_items(py, &payload, count, &settings)
            };
            match described {
                Ok((items, is_deep)) => {
                    let arguments = (stream, items, bytes, is_deep).into_pyobject(py)?;
                    Ok((intern!(py, "items").clone(), arguments))
                }
                Err(error) => about_error("bad_items", stream, py, error),
            }
        }
        Event::Ended { stream } => of("ended", stream),
        Event::Failed { stream: StreamId(stream), payload } => {
            match payload.decode(py, ["exception"], &settings) {
                Ok(([error], _)) => about_with("failed", stream, error),
                Err(error) => about_error("bad_items", stream, py, error),
            }
        }
        Event::Stopping { stream } => of("stopping", stream),
        Event::Stopped { stream } => of("stopped", stream),
        Event::Granted { stream } => of("granted", stream),
        Event::Stop { stream: StreamId(stream), how } => {
            Ok((PyString::new(py, "stop"), (stream, how == StopKind::Cancel).into_pyobject(py)?))
        }
        _ => Err(session_error()),
    }
}

/// Describes an invocation by the other side: as "bad_invoke" if it is refused, and has no payload then, or if its arguments
/// cannot be read. `serve` may serve the invocation with these arguments, the positional and the keyword ones; then there is
/// nothing to describe.
#[inline(never)]
fn describe_invocation<'py>(
    slf: &Bound<'py, Session>,
    (CallId(id), RefId(reference), member): (CallId, RefId, &str),
    payload: Option<&Frame>,
    serve: &mut dyn FnMut(&Bound<'py, PyTuple>) -> PyResult<bool>,
) -> PyResult<Option<Described<'py>>> {
    let py = slf.py();
    let settings = Arc::clone(&slf.borrow().settings);
    let error = match payload.map(|payload| payload.decode(py, ["args", "kwargs"], &settings)) {
        Some(Ok((values, deepest)))
            if values[0].is_instance_of::<PyTuple>() && values[1].is_instance_of::<PyDict>() =>
        {
            if deepest <= DEEP && serve(&PyTuple::new(py, &values)?)? {
                return Ok(None);
            }
            let arguments = PyList::new(py, values)?;
            let invocation = (id, reference, member, arguments, deepest > DEEP).into_pyobject(py)?;
            return Ok(Some((PyString::new(py, "invoke"), invocation)));
        }
        Some(Ok(_)) => Some(frame_error(py, "an invocation without a tuple and a dict")),
        Some(Err(error)) => Some(error),
        None => None,
    };
    Ok(Some((PyString::new(py, "bad_invoke"), (id, reference, member, error).into_pyobject(py)?)))
}
