//! `workerlib._native.Session`: one side of a connection, for the driver in `workerlib/_connection.py`.
//!
//! Frames come in and go out as bytes with a list of buffers; calls and results are Python's objects. The
//! rules are `workerlib_core::Session`'s: nothing is decided here.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use workerlib_codec::{DecodeError, Decoder, Encoder, Limits, envelope};
use workerlib_core::{
    CallId, CloseReason, Event, Export, Message, Outcome, Parameter, ParameterKind, Peer, SessionError,
};

use crate::deep::DEEP;
use crate::errors::{closed_error, decode_error, encode_error, frame_error};
use crate::gc_pause::GcPause;
use crate::sink::PySink;
use crate::source::{Conversion, PySource, text_of};

/// A frame with the buffers beside it.
struct Frame {
    bytes: Py<PyBytes>,
    /// Where the values begin, behind the envelope.
    body: usize,
    buffers: Vec<Py<PyAny>>,
    /// How deep the deepest of the values is, where this side wrote them.
    deepest: usize,
}

/// How one side encodes and decodes.
#[derive(Default)]
struct Settings {
    limits: Limits,
    /// Whether an object that would arrive as something like it is refused.
    strict: bool,
}

impl Settings {
    fn new(strict: bool, depth: usize) -> Self {
        Self { limits: Limits { depth, ..Limits::default() }, strict }
    }
}

/// An export as Python has it: name, docstring, parameters, return annotation.
type PyExport = (String, Option<String>, Option<Vec<PyParameter>>, Option<String>);
/// A parameter as Python has it: name, kind, `repr()` of the default, annotation.
type PyParameter = (String, u8, Option<String>, Option<String>);

/// One side of a connection.
#[pyclass(module = "workerlib._native")]
pub(crate) struct Session {
    core: workerlib_core::Session<Frame>,
    settings: Settings,
}

#[pymethods]
impl Session {
    /// Makes the side that connects.
    #[staticmethod]
    #[pyo3(signature = (
        version, *, strict = false, max_depth = Limits::default().depth, max_in_flight = usize::MAX
    ))]
    fn connect(version: &str, strict: bool, max_depth: usize, max_in_flight: usize) -> Self {
        let core = workerlib_core::Session::connect(Peer::local(version, Vec::new()));
        let core = core.limit_in_flight(max_in_flight);
        Self { core, settings: Settings::new(strict, max_depth) }
    }

    /// Makes the side that waits to be connected to, and tells it what it exports.
    #[staticmethod]
    #[pyo3(signature = (version, exports, *, strict = false, max_depth = Limits::default().depth))]
    fn listen(version: &str, exports: Vec<PyExport>, strict: bool, max_depth: usize) -> PyResult<Self> {
        let exports = exports.into_iter().map(export).collect::<PyResult<_>>()?;
        let core = workerlib_core::Session::listen(Peer::local(version, exports));
        Ok(Self { core, settings: Settings::new(strict, max_depth) })
    }

    /// Begins a call: its id, and whether it may be sent now or only after its event "ready".
    fn begin(&mut self, py: Python<'_>) -> PyResult<(u32, bool)> {
        let (CallId(id), is_ready) = self.core.begin().map_err(|error| closed_error(py, &error))?;
        Ok((id, is_ready))
    }

    /// Sends a call whose turn has come, with a copy of the arguments as they are now.
    ///
    /// With `reports_start` there will be an event "started".
    fn send<'py>(
        &mut self,
        py: Python<'py>,
        id: u32,
        function: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        reports_start: bool,
    ) -> PyResult<()> {
        let settings = &self.settings;
        let id = CallId(id);
        let sent = self.core.send(id, function, reports_start, |has_to_wait| -> Result<Frame, CallError> {
            let message = Message::Call { id, function: function.to_owned(), payload: (), reports_start };
            let values = [("args", args.as_any()), ("kwargs", kwargs.as_any())];
            let mut frame = Frame::encode(py, &message, &values, settings).map_err(CallError::Raised)?;
            if has_to_wait {
                frame.copy_buffers(py).map_err(CallError::Raised)?;
            }
            Ok(frame)
        });
        sent.map_err(|error| match error {
            CallError::Raised(error) => error,
            CallError::Session(error) => closed_error(py, &error),
        })
    }

    /// Cancels a call of this side; returns whether the other side was asked to end it, whose answer settles
    /// it then. Otherwise it is settled.
    fn cancel(&mut self, id: u32) -> bool {
        self.core.cancel(CallId(id))
    }

    /// Gives up a call of this side, whose answer will be dropped; returns whether it was waited for.
    fn give_up(&mut self, id: u32) -> bool {
        self.core.give_up(CallId(id))
    }

    /// Answers a call of the other side with a result; returns whether it is so deep that it has to be
    /// taken apart by `dismantle`.
    fn return_value<'py>(&mut self, py: Python<'py>, id: u32, value: &Bound<'py, PyAny>) -> PyResult<bool> {
        let id = CallId(id);
        let message = Message::Return { id, payload: () };
        let frame = Frame::encode(py, &message, &[("result", value)], &self.settings)?;
        let is_deep = frame.deepest > DEEP;
        self.core.finish(id, Outcome::Return(frame));
        Ok(is_deep)
    }

    /// Answers a call of the other side with an exception, as `_errors.py` describes it in plain values.
    ///
    /// The limits that users set are for their values; an exception is told whatever they are.
    fn raise_error<'py>(&mut self, py: Python<'py>, id: u32, error: &Bound<'py, PyAny>) -> PyResult<bool> {
        let id = CallId(id);
        let message = Message::Raise { id, payload: () };
        let frame = Frame::encode(py, &message, &[("exception", error)], &Settings::default())?;
        Ok(self.core.finish(id, Outcome::Raise(frame)))
    }

    /// Answers a call that the other side has cancelled by that; returns false if it has not, and the call
    /// has to be answered otherwise.
    fn finish_cancelled(&mut self, id: u32) -> bool {
        self.core.finish(CallId(id), Outcome::Cancelled)
    }

    /// Ends the session.
    fn close(&mut self, reason: &str) {
        self.core.close(reason);
    }

    /// Ends the session because the other side is gone.
    fn die(&mut self, reason: &str) {
        self.core.die(reason);
    }

    /// Takes in what the other side sent: bytes, and a list of the buffers beside them.
    fn handle(&mut self, bytes: Bound<'_, PyBytes>, buffers: Vec<Py<PyAny>>) {
        match envelope::read(bytes.as_bytes()) {
            Ok((message, body)) => {
                let frame = Frame { bytes: bytes.unbind(), body, buffers, deepest: 0 };
                self.core.handle_message(message.map(|()| frame));
            }
            Err(violation) => self.core.fail(&violation),
        }
    }

    /// Takes out the next frame to send, if there is one: bytes, and a list of the buffers beside them.
    fn poll_transmit<'py>(
        &mut self,
        py: Python<'py>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyList>)>> {
        let Some(message) = self.core.poll_transmit() else { return Ok(None) };
        let frame = match message {
            Message::Call { payload, .. }
            | Message::Return { payload, .. }
            | Message::Raise { payload, .. } => payload,
            message => Frame::encode(py, &message, &[], &self.settings)?,
        };
        Ok(Some((frame.bytes.into_bound(py), PyList::new(py, frame.buffers)?)))
    }

    /// Takes out the next event, if there is one: a tuple that starts with its name.
    fn poll_event<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(event) = self.core.poll_event() else { return Ok(None) };
        let event = match event {
            Event::Opened(peer) => {
                let exports: Vec<PyExport> = peer.exports.into_iter().map(py_export).collect();
                ("opened", peer.version, exports).into_pyobject(py)?
            }
            Event::Ready { id: CallId(id) } => ("ready", id).into_pyobject(py)?,
            Event::Started { id: CallId(id) } => ("started", id).into_pyobject(py)?,
            Event::Cancelling { id: CallId(id) } => ("cancelling", id).into_pyobject(py)?,
            Event::Cancelled { id: CallId(id) } => ("cancelled", id).into_pyobject(py)?,
            Event::Cancel { id: CallId(id) } => ("cancel", id).into_pyobject(py)?,
            Event::Return { id: CallId(id), payload } => match payload.decode::<1>(py, &self.settings.limits)
            {
                Ok(([value], deepest)) => {
                    // In a list, out of which it can be taken without that anything else holds it.
                    ("return", id, PyList::new(py, [value])?, deepest > DEEP).into_pyobject(py)?
                }
                Err(error) => ("bad_answer", id, error).into_pyobject(py)?,
            },
            Event::Raise { id: CallId(id), payload } => {
                match payload.decode::<1>(py, &self.settings.limits) {
                    Ok(([error], _)) => ("raise", id, error).into_pyobject(py)?,
                    Err(error) => ("bad_answer", id, error).into_pyobject(py)?,
                }
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
                ("closed", kind, reason.to_string(), lost).into_pyobject(py)?
            }
        };
        Ok(Some(event))
    }

    /// Takes out the next call of the other side, if one waits: the driver starts it now. A tuple that starts
    /// with "call", or with "bad_call" if its arguments cannot be read.
    fn poll_call<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Some(call) = self.core.poll_call() else { return Ok(None) };
        let (CallId(id), function) = (call.id, call.function);
        let call = match call.payload.decode::<2>(py, &self.settings.limits) {
            Ok(([args, kwargs], deepest))
                if args.is_instance_of::<PyTuple>() && kwargs.is_instance_of::<PyDict>() =>
            {
                // In a list, out of which they can be taken without that anything else holds them.
                ("call", id, function, PyList::new(py, [args, kwargs])?, deepest > DEEP).into_pyobject(py)?
            }
            Ok(_) => ("bad_call", id, function, frame_error(py, "a call without a tuple and a dict"))
                .into_pyobject(py)?,
            Err(error) => ("bad_call", id, function, error).into_pyobject(py)?,
        };
        Ok(Some(call))
    }

    /// Whether calls can be made.
    #[getter]
    fn is_open(&self) -> bool {
        self.core.is_open()
    }

    /// The number of this side's calls that have no answer yet, cancelled ones included.
    #[getter]
    fn in_flight(&self) -> usize {
        self.core.in_flight()
    }

    /// The number of the other side's calls that this side has not answered yet.
    #[getter]
    fn serving(&self) -> usize {
        self.core.serving()
    }
}

/// Encodes one value: bytes, and a list of the buffers beside them.
///
/// It raises UnsendableError where the value, or one in it, is of a type that cannot be sent.
#[pyfunction]
#[pyo3(signature = (value, *, strict = false))]
pub(crate) fn encode<'py>(
    value: &Bound<'py, PyAny>,
    strict: bool,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Py<PyAny>>)> {
    let settings = Settings { strict, ..Settings::default() };
    let (bytes, buffers, _) = encode_values(value.py(), &[], &[("value", value)], &settings)?;
    Ok((bytes, buffers))
}

/// Decodes one value; the opposite of `encode`.
///
/// It raises FrameError where the bytes are not exactly one value.
#[pyfunction]
pub(crate) fn decode<'py>(
    bytes: Bound<'py, PyBytes>,
    buffers: Vec<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = bytes.py();
    let frame = Frame { bytes: bytes.unbind(), body: 0, buffers, deepest: 0 };
    let ([value], _) = frame.decode(py, &Limits::default())?;
    Ok(value)
}

/// Why a call could not be started.
enum CallError {
    Session(SessionError),
    Raised(PyErr),
}

impl From<SessionError> for CallError {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

/// How many bytes the values of the last frame took: those of the next one often take as many, and room that
/// has to grow is copied.
static EXPECTED: AtomicUsize = AtomicUsize::new(64);
/// The most room that is made in advance.
const MOST_EXPECTED: usize = 4 << 20;

/// Encodes the values of a frame, each with the name that errors call it by, behind `head`.
///
/// Returns the bytes, the buffers beside them, and how deep the deepest value is.
fn encode_values<'py>(
    py: Python<'py>,
    head: &[u8],
    values: &[(&str, &Bound<'py, PyAny>)],
    settings: &Settings,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Py<PyAny>>, usize)> {
    let mut source = PySource::new(py, settings.strict);
    let mut encoder = Encoder::new(&settings.limits, EXPECTED.load(Ordering::Relaxed));
    {
        let _pause = GcPause::new(py);
        for (root, value) in values {
            encoder.encode(&mut source, value.as_ptr()).map_err(|error| encode_error(py, root, error))?;
            for conversion in source.conversions.drain(..) {
                warn_of_conversion(py, root, &conversion)?;
            }
        }
    }
    let deepest = encoder.deepest();
    let (table, body) = if values.is_empty() { Default::default() } else { encoder.finish() };
    EXPECTED.store(body.len().clamp(64, MOST_EXPECTED), Ordering::Relaxed);
    let mut parts = vec![head, &table];
    let mut rest = (0, &body[..]);
    for (position, text) in &source.late {
        let (before, after) = rest.1.split_at(position - rest.0);
        // SAFETY: these are strs, owned by the source.
        let text = unsafe { text_of(text.as_ptr()) }.ok_or_else(|| PyErr::fetch(py))?;
        parts.extend([before, text.as_bytes()]);
        rest = (*position, after);
    }
    parts.push(rest.1);
    Ok((concatenated(py, &parts)?, source.buffers, deepest))
}

/// Makes a bytes object of parts, without the zeros that `PyBytes::new_with` writes first.
fn concatenated<'py>(py: Python<'py>, parts: &[&[u8]]) -> PyResult<Bound<'py, PyBytes>> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    // SAFETY: makes a bytes object whose content is not initialised; all of it is written before anybody
    // sees it.
    unsafe {
        let bytes = ffi::PyBytes_FromStringAndSize(std::ptr::null(), len as ffi::Py_ssize_t);
        let bytes = Bound::from_owned_ptr_or_err(py, bytes)?;
        let mut to = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<u8>();
        for part in parts {
            to.copy_from_nonoverlapping(part.as_ptr(), part.len());
            to = to.add(part.len());
        }
        Ok(bytes.cast_into_unchecked())
    }
}

impl Frame {
    /// Writes a message and the values that it carries, each with the name that errors call it by.
    fn encode<'py, P>(
        py: Python<'py>,
        message: &Message<P>,
        values: &[(&str, &Bound<'py, PyAny>)],
        settings: &Settings,
    ) -> PyResult<Self> {
        let mut head = Vec::with_capacity(64);
        envelope::write(message, &mut head);
        let (bytes, buffers, deepest) = encode_values(py, &head, values, settings)?;
        Ok(Self { bytes: bytes.unbind(), body: head.len(), buffers, deepest })
    }

    /// Copies the buffers, so that what their owners do to them before the frame is sent does not matter.
    fn copy_buffers(&mut self, py: Python<'_>) -> PyResult<()> {
        for buffer in &mut self.buffers {
            // SAFETY: `buffer` is an object; what comes back is a new reference, or NULL with an error set.
            let copy = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromObject(buffer.as_ptr()))? };
            *buffer = copy.unbind();
        }
        Ok(())
    }

    /// Reads the values behind the envelope, of which there must be `N`, and how deep the deepest is.
    fn decode<'py, const N: usize>(
        &self,
        py: Python<'py>,
        limits: &Limits,
    ) -> PyResult<([Bound<'py, PyAny>; N], usize)> {
        let buffers: Vec<_> = self.buffers.iter().map(|buffer| buffer.bind(py).clone()).collect();
        let mut sink = PySink::new(py, &buffers, self.bytes.as_bytes(py).len());
        let _pause = GcPause::new(py);
        let mut values = Vec::with_capacity(N);
        let mut decode = || -> Result<usize, DecodeError<PyErr>> {
            let mut decoder = Decoder::new(self.bytes.as_bytes(py), self.body, limits)?;
            for _ in 0..N {
                values.push(decoder.decode(&mut sink)?);
            }
            let deepest = decoder.deepest();
            decoder.finish()?;
            Ok(deepest)
        };
        let deepest = match decode() {
            Ok(deepest) => deepest,
            Err(error) => {
                sink.free(values)?;
                return Err(decode_error(py, &error));
            }
        };
        let values = values.try_into();
        values.map(|values| (values, deepest)).map_err(|_| frame_error(py, "another number of values"))
    }
}

/// Tells the user, once for each class, that an object arrives as something like it.
fn warn_of_conversion(py: Python<'_>, root: &str, conversion: &Conversion) -> PyResult<()> {
    static WARN: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let path = format!("{root}{}", conversion.path);
    WARN.import(py, "workerlib._types", "warn_of_conversion")?.call1((&conversion.class, path)).map(drop)
}

fn export((name, doc, parameters, returns): PyExport) -> PyResult<Export> {
    let parameter = |(name, number, default, annotation): PyParameter| {
        let kind = ParameterKind::from_number(number)
            .ok_or_else(|| pyo3::exceptions::PyValueError::new_err("no such kind of parameter"))?;
        Ok(Parameter { name, kind, default, annotation })
    };
    let parameters: Option<PyResult<Vec<_>>> =
        parameters.map(|parameters| parameters.into_iter().map(parameter).collect());
    Ok(Export { name, doc, parameters: parameters.transpose()?, returns })
}

fn py_export(export: Export) -> PyExport {
    let parameter = |Parameter { name, kind, default, annotation }| (name, kind as u8, default, annotation);
    let parameters = export.parameters.map(|all| all.into_iter().map(parameter).collect());
    (export.name, export.doc, parameters, export.returns)
}
