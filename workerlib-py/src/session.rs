//! `workerlib._native.Session`: one side of a connection, for the driver in `workerlib/_rpc/connection.py`.
//!
//! Frames come in and go out as bytes with a list of buffers; calls and results are Python's objects. The
//! rules are `workerlib_core::Session`'s: nothing is decided here.

mod incoming;
mod outgoing;

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use workerlib_core::{
    Adapter, CallId, CancelEffect, Credit, Outcome, Peer, RefId, StopKind, StreamEnd, StreamId,
};

use crate::deferred::Unfinished;
use crate::descriptions::{read_adapters, read_exports};
use crate::errors::closed_error;
use crate::frame::Frame;
use crate::sending::Sending;
use crate::settings::{Settings, lock};
use crate::streams::Batch;

/// One side of a connection.
#[pyclass(module = "workerlib._native")]
pub(crate) struct Session {
    core: workerlib_core::Session<Frame>,
    adapters: Vec<Adapter>,
    connects: bool,
    settings: Arc<Settings>,
    /// Whether messages that a sleeping peer waits for are told by the call that they answer.
    tells_answers: bool,
    /// The traces that calls of this side belong to, until they are sent.
    traces: Vec<(u32, String)>,
    /// The trace of the call that `poll` has told last.
    arrived_trace: Option<String>,
    /// Whether no call of the other side may start now.
    holds_starts: bool,
    /// A `Direct`, which does the commonest steps without Python, if the connection has such a path.
    direct: Option<Py<PyAny>>,
}

#[pymethods]
impl Session {
    // Shows the garbage collector the objects that wait to be sent, told or started.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.core.payloads().try_for_each(|frame| frame.traverse(&visit))?;
        visit.call(&self.direct)?;
        self.settings.traverse(&visit)
    }

    // Drops these objects; nobody has the session any more.
    fn __clear__(&mut self) {
        self.core.die("it was collected");
        while self.core.poll_event().is_some() {}
        self.settings = Arc::default();
        self.direct = None;
    }

    // Makes the side that connects, and tells it what it exports.
    #[staticmethod]
    #[pyo3(signature = (
        version, *, exports = None, adapters = None, table = None, max_depth = None,
        max_in_flight = usize::MAX
    ))]
    fn connect(
        version: &str,
        exports: Option<Bound<'_, PyAny>>,
        adapters: Option<Bound<'_, PyAny>>,
        table: Option<Py<PyAny>>,
        max_depth: Option<usize>,
        max_in_flight: usize,
    ) -> PyResult<Self> {
        let adapters = read_adapters(adapters.as_ref())?;
        let exports = exports.as_ref().map(read_exports).transpose()?.unwrap_or_default();
        let local = Peer::local(version).with_exports(exports).with_adapters(adapters.clone());
        let core = workerlib_core::Session::connect(local);
        let core = core.limit_in_flight(max_in_flight);
        Ok(Self {
            core,
            adapters,
            connects: true,
            settings: Arc::new(Settings::new(table, max_depth)),
            tells_answers: false,
            traces: Vec::new(),
            arrived_trace: None,
            holds_starts: false,
            direct: None,
        })
    }

    // Makes the side that waits to be connected to, and tells it what it exports.
    #[staticmethod]
    #[pyo3(signature = (
        version, exports, *, adapters = None, table = None, max_depth = None
    ))]
    fn listen(
        version: &str,
        exports: &Bound<'_, PyAny>,
        adapters: Option<Bound<'_, PyAny>>,
        table: Option<Py<PyAny>>,
        max_depth: Option<usize>,
    ) -> PyResult<Self> {
        let adapters = read_adapters(adapters.as_ref())?;
        let local = Peer::local(version).with_exports(read_exports(exports)?).with_adapters(adapters.clone());
        let core = workerlib_core::Session::listen(local);
        Ok(Self {
            core,
            adapters,
            connects: false,
            settings: Arc::new(Settings::new(table, max_depth)),
            tells_answers: false,
            traces: Vec::new(),
            arrived_trace: None,
            holds_starts: false,
            direct: None,
        })
    }

    // Takes a weak reference to the connection that the values are of, for the functions among them.
    fn belong_to(&mut self, py: Python<'_>, connection: Py<PyAny>) {
        let mut settings = self.settings.clone_ref(py);
        settings.owner = Some(connection);
        self.settings = Arc::new(settings);
    }

    // Begins a call: its id, and whether it may be sent now or only after its event "ready". A call that is made
    // on behalf of one of the other side's is `nested`, and waits for no other.
    fn begin(&mut self, py: Python<'_>, nested: bool) -> PyResult<(u32, bool)> {
        let begun = if nested { self.core.begin_nested() } else { self.core.begin() };
        let begun = begun.map_err(|error| closed_error(py, &error))?;
        Ok((begun.id.0, begun.is_ready))
    }

    // Begins a call and, if its turn has come, sends it at once: then it returns `pending`, the future of the outcome.
    // Otherwise it returns what `begin` would, and what is unfinished of the call if an adapter is async: that is for
    // `send_with_deferred`. `parent` is the other side's call on whose behalf it is made. `credit` asks for a stream, as in `send`.
    #[expect(clippy::too_many_arguments, reason = "Python gives them one by one")]
    #[pyo3(signature = (connection, function, args, kwargs, pending, parent, credit = None))]
    fn call<'py>(
        slf: &Bound<'py, Self>,
        connection: &Bound<'py, PyAny>,
        function: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        pending: &Bound<'py, PyAny>,
        parent: Option<Bound<'py, PyAny>>,
        credit: Option<(u32, u32)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::call_directly(slf, connection, function, (args, kwargs), (parent, pending), credit)
    }

    // Sends a call whose turn has come, with a copy of the arguments as they are now.
    //
    // With `reports_start` there will be an event "started". `credit` asks for a stream, which starts with so many items
    // and bytes. It returns what is unfinished of the call if an adapter is async: that is for `send_with_deferred`.
    #[pyo3(signature = (id, function, args, kwargs, reports_start, credit = None))]
    fn send<'py>(
        slf: &Bound<'py, Self>,
        id: u32,
        function: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        reports_start: bool,
        credit: Option<(u32, u32)>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let settings = Arc::clone(&slf.borrow().settings);
        let values = Self::encode(slf, &[("args", args.as_any()), ("kwargs", kwargs.as_any())], &settings)?;
        if values.needs_deferred(py)? {
            return Ok(Some(Bound::new(py, Unfinished::new(py, values, settings)?)?.into_any()));
        }
        slf.borrow_mut().put(py, &Sending { id, function, reports_start, credit }, &[], values)?;
        Ok(None)
    }

    // Sends a call whose deferred values are there: lists of them, of which none needs one of its own list.
    #[pyo3(signature = (id, function, unfinished, deferred, reports_start, credit = None))]
    fn send_with_deferred(
        &mut self,
        id: u32,
        function: &str,
        unfinished: &Bound<'_, Unfinished>,
        deferred: &Bound<'_, PyList>,
        reports_start: bool,
        credit: Option<(u32, u32)>,
    ) -> PyResult<()> {
        let (before, values) = unfinished.borrow_mut().finish(deferred)?;
        self.put(unfinished.py(), &Sending { id, function, reports_start, credit }, &before, values)
    }

    // Says to which trace a call belongs that is about to be sent, as W3C's `traceparent`; None forgets that.
    fn set_trace(&mut self, id: u32, trace: Option<String>) {
        self.traces.retain(|(call, _)| *call != id);
        self.traces.extend(trace.map(|trace| (id, trace)));
    }

    // The trace of the call that `poll` has told last, as its caller has said it: any text.
    #[getter]
    fn arrived_trace(&self) -> Option<&str> {
        self.arrived_trace.as_deref()
    }

    // Cancels a call of this side; returns whether the other side was asked to end it, whose answer settles
    // it then. Otherwise it is settled.
    fn cancel(&mut self, id: u32) -> bool {
        self.core.cancel(CallId(id)) == CancelEffect::AskedPeer
    }

    // Gives up a call of this side, whose answer will be dropped; returns whether it was waited for.
    fn give_up(&mut self, id: u32) -> bool {
        self.take_back_unsent();
        self.core.give_up(CallId(id))
    }

    // Answers a call of the other side with a result; returns whether it is so deep that it has to be
    // taken apart by `dismantle`, or what is unfinished of the answer if an adapter is async.
    //
    // `unheard` are invocations that the function made and whose answers it has neither heard nor asked for.
    #[pyo3(signature = (id, value, unheard = None))]
    fn return_value<'py>(
        slf: &Bound<'py, Self>,
        id: u32,
        value: &Bound<'py, PyAny>,
        unheard: Option<Vec<u32>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (unfinished, is_deep) = Self::answer_with(slf, id, value, unheard)?;
        Ok(match unfinished {
            Some(unfinished) => unfinished.into_any(),
            None => is_deep.into_pyobject(py)?.to_owned().into_any(),
        })
    }

    // Answers a call with a result whose deferred values are there; returns whether it is deep.
    #[pyo3(signature = (id, unfinished, deferred, unheard = None))]
    fn return_with_deferred(
        &mut self,
        py: Python<'_>,
        id: u32,
        unfinished: &Bound<'_, Unfinished>,
        deferred: &Bound<'_, PyList>,
        unheard: Option<Vec<u32>>,
    ) -> PyResult<bool> {
        let (before, values) = unfinished.borrow_mut().finish(deferred)?;
        self.answer(py, id, &before, values, unheard)
    }

    // Answers a call of the other side with an exception, as `_errors.py` describes it in plain values.
    //
    // The limits that users set are for their values; an exception is told whatever they are.
    // With `is_stream` the number is that of a stream of this side's, which it ends.
    #[pyo3(signature = (id, error, is_stream = false))]
    fn raise_error(&mut self, id: u32, error: &Bound<'_, PyAny>, is_stream: bool) -> PyResult<bool> {
        self.put_error(id, error, is_stream)
    }

    // Answers a call that the other side has cancelled by that; returns false if it has not, and the call
    // has to be answered otherwise.
    fn finish_cancelled(&mut self, id: u32) -> bool {
        self.core.finish(CallId(id), Outcome::Cancelled)
    }

    // Tells the caller of a call of the other side's something; returns false if no such call runs.
    fn report<'py>(slf: &Bound<'py, Self>, id: u32, values: &Bound<'py, PyTuple>) -> PyResult<bool> {
        Self::put_report(slf, CallId(id), values)
    }

    // Tells the other side of text that this one has written; returns false if the session is not open.
    fn output(&mut self, stream: &str, text: &str) -> bool {
        self.core.output(stream, text)
    }

    // Tells the other side that this one waits for the answer of a call, and starts no other before it.
    fn block(&mut self, id: u32) {
        self.core.block(CallId(id));
    }

    // Enters something that the values which are being encoded give to the other side: its number.
    //
    // With `is_revocable` it ends with the call that it is sent with, if that is cancelled or given up.
    fn give(&mut self, py: Python<'_>, is_revocable: bool) -> PyResult<u32> {
        self.take_back_unsent();
        let reference = self.core.give(is_revocable).map_err(|error| closed_error(py, &error))?;
        lock(&self.settings.written).given.push(reference);
        Ok(reference.0)
    }

    // Notes that the values which are being encoded give something once more; false if it is to be given anew.
    fn give_again(&mut self, reference: u32) -> bool {
        let is_known = self.core.give_again(RefId(reference));
        if is_known {
            lock(&self.settings.written).given.push(RefId(reference));
        }
        is_known
    }

    // Notes that the values which are being encoded carry something that the other side has given.
    fn carry(&self, reference: u32) {
        lock(&self.settings.written).carried.push(RefId(reference));
    }

    // Notes that values brought something of the other side's.
    fn hold(&mut self, reference: u32) {
        self.core.hold(RefId(reference));
    }

    // Notes that this side does not hold something of the other side's any more, which came so many times.
    fn release(&mut self, reference: u32, count: u32) {
        self.core.release(RefId(reference), count);
    }

    // The call of this side with which something was given, if it has no answer yet.
    fn call_given(&self, reference: u32) -> Option<u32> {
        self.core.call_given(RefId(reference)).map(|CallId(id)| id)
    }

    // Whether the other side takes another invocation now.
    #[getter]
    fn may_invoke(&self) -> bool {
        self.core.may_invoke()
    }

    // The number of things that this side has given, and of the other side's things that it holds.
    #[getter]
    fn references(&self) -> (usize, usize) {
        self.core.references()
    }

    // Sends an invocation of something that the other side has given: its id.
    fn invoke<'py>(
        slf: &Bound<'py, Self>,
        reference: u32,
        member: &str,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
        is_urgent: bool,
    ) -> PyResult<u32> {
        Self::put_invocation(slf, RefId(reference), member, (args, kwargs), is_urgent)
    }

    // Answers an invocation that returned None; returns false if there is nothing to answer.
    pub(crate) fn hear(&mut self, id: u32) -> bool {
        self.core.hear(CallId(id))
    }

    // Tells the other side of exports that were made since the handshake, or before it and after `listen`.
    fn announce(&mut self, exports: &Bound<'_, PyAny>) -> PyResult<()> {
        self.core.announce(read_exports(exports)?);
        Ok(())
    }

    // Has each transmit of answers name their calls too, and that of another message that a sleeping peer has to
    // hear of name none.
    fn tell_answers(&mut self, tells: bool) {
        self.tells_answers = tells;
    }

    // Ends the session.
    fn close(&mut self, reason: &str) {
        self.core.close(reason);
    }

    // Tells the other side that the function of a call has been told of its cancel.
    fn acknowledge_cancel(&mut self, id: u32) {
        self.core.acknowledge_cancel(CallId(id));
    }

    // Whether a call of this side has no answer yet, though perhaps nobody waits for it any more.
    fn is_in_flight(&self, id: u32) -> bool {
        self.core.is_in_flight(CallId(id))
    }

    // Answers a call of the other side with a stream and returns its id, or opens one that is sent among values if there is
    // no call; None if the call did not ask for a stream, or needs no answer any more.
    #[pyo3(signature = (call = None))]
    fn open_stream(&mut self, py: Python<'_>, call: Option<u32>) -> PyResult<Option<u32>> {
        let opened = match call {
            Some(call) => self.core.finish_streaming(CallId(call)),
            None => Some(self.core.open_stream().map_err(|error| closed_error(py, &error))?),
        };
        Ok(opened.map(|StreamId(stream)| stream))
    }

    // Whether the first item of the stream that a call asks for may be sent.
    fn may_begin(&self, call: u32) -> bool {
        self.core.call_credit(CallId(call)).is_some_and(|credit| credit.items > 0 && credit.bytes > 0)
    }

    // The credit of a stream of this side's, in items and bytes; None if it is not to be produced any more.
    fn credit(&self, stream: u32) -> Option<(u64, u64)> {
        self.core.credit(StreamId(stream))
    }

    // Makes an empty batch, for the items of a stream.
    fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.settings))
    }

    // Sends the items of a batch, which is empty then, or an unfinished item whose deferred values are there. It does
    // nothing if the stream is not to be produced any more.
    #[pyo3(signature = (stream, items, deferred = None))]
    fn send_items(
        &mut self,
        stream: u32,
        items: &Bound<'_, PyAny>,
        deferred: Option<&Bound<'_, PyList>>,
    ) -> PyResult<()> {
        self.put_items(StreamId(stream), items, deferred)
    }

    // Does something with a stream that needs no values; the words are those of the core's methods.
    //
    // Of this side's streams it takes back one that was not sent ("withdraw"), ends one ("end"; "stopped", if the other
    // side has stopped it), or tells that its generator knows of the stop ("acknowledge"). Of the other side's it notes one
    // that came among values ("consume"), grants credit ("grant"), stops one ("close", "cancel"), or tells whether it has
    // not ended ("is_consuming"). Returns whether there was such a stream.
    #[pyo3(signature = (action, stream, items = 0, bytes = 0))]
    fn stream(&mut self, action: &str, stream: u32, items: u32, bytes: u32) -> bool {
        let (core, stream) = (&mut self.core, StreamId(stream));
        match action {
            "withdraw" => core.withdraw_stream(stream),
            "end" => return core.end_stream(stream, StreamEnd::End),
            "stopped" => {
                return core.end_stream(stream, StreamEnd::Stopped)
                    || core.end_stream(stream, StreamEnd::End);
            }
            "acknowledge" => core.acknowledge_stop(stream),
            "consume" => return core.consume(stream),
            "grant" => core.grant(stream, Credit { items, bytes }),
            "close" => return core.stop(stream, StopKind::Close),
            "cancel" => return core.stop(stream, StopKind::Cancel),
            _ => return core.is_consuming(stream),
        }
        true
    }

    // The numbers of streams that this side produces and consumes, and that have not ended.
    #[getter]
    fn streams(&self) -> (usize, usize) {
        self.core.streams()
    }

    // Notes that the other side has cancelled a call by an interrupt, which its message follows.
    fn note_cancel(&mut self, id: u32) {
        self.core.note_cancel(CallId(id));
    }

    // Ends the session because the other side is gone.
    fn die(&mut self, reason: &str) {
        self.core.die(reason);
    }

    // Takes in what the other side sent: bytes, and a list of the buffers beside them.
    fn handle(&mut self, bytes: Bound<'_, PyBytes>, buffers: Vec<Py<PyAny>>) {
        self.take_in(bytes, buffers);
    }

    // Has the commonest steps done without Python, by `carry_out` and `transmit`; with None no longer, which ends the
    // reference to what does them.
    fn be_direct(&mut self, direct: Option<Py<PyAny>>) {
        self.direct = direct;
    }

    // Does for a connection what is to be done and can be done without Python. It returns the first step that cannot, as
    // `poll` would; further ones may follow.
    fn carry_out<'py>(
        slf: &Bound<'py, Self>,
        connection: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        Self::carry_out_directly(slf, connection)
    }

    // Sends what is to be sent; returns false if Python has to.
    fn transmit(slf: &Bound<'_, Self>, connection: &Bound<'_, PyAny>) -> PyResult<bool> {
        Self::transmit_all(slf, connection)
    }

    // Whether no call of the other side may start now: one is being started, or this side sleeps.
    #[getter]
    fn holds_starts(&self) -> bool {
        self.holds_starts
    }

    #[setter]
    fn set_holds_starts(&mut self, holds: bool) {
        self.holds_starts = holds;
    }

    // Takes out the next frame to send, if there is one: bytes, and a list of the buffers beside them.
    fn poll_transmit<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.core.poll_transmit().map(|message| Self::message(py, message, self.tells_answers)).transpose()
    }

    // Takes out what is to be done next, if there is anything: its name, and a tuple of what is to be known.
    //
    // With `may_start` it may be a call of the other side.
    fn poll<'py>(slf: &Bound<'py, Self>, may_start: bool) -> PyResult<Option<Bound<'py, PyTuple>>> {
        Self::next_step(slf, may_start)
    }

    // Whether this is the side that connects.
    #[getter]
    fn connects(&self) -> bool {
        self.connects
    }

    // Whether calls can be made.
    #[getter]
    fn is_open(&self) -> bool {
        self.core.is_open()
    }

    // The number of this side's calls that have no answer yet, cancelled ones included.
    #[getter]
    fn in_flight(&self) -> usize {
        self.core.in_flight()
    }

    // Whether a call of the other side waits to be started.
    #[getter]
    fn is_waiting(&self) -> bool {
        self.core.waiting() > 0
    }

    // The number of the other side's calls that this side has not answered yet.
    #[getter]
    fn serving(&self) -> usize {
        self.core.serving()
    }
}
