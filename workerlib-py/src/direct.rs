//! Carries out the commonest steps of a session without Python code in between: a call of a sync function that may start
//! in the event of its message, one of a sync generator up to its first item, an invocation of a callback, and the answer of
//! each that returned.
//!
//! It does what `_rpc/serving.py`, `_rpc/invocations.py`, `Streams.serve` and `Connection._on_return` do, for calls and
//! invocations that need nothing else of these: no callback among the arguments, no trace, no log. Every other step is
//! described for Python, which does it.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use workerlib_core::{Arrived, CallId, RefId};

use crate::call::{call, is_none, method, set, tuple};
use crate::deep::{DEEP, dismantle};
use crate::frame::{Frame, Values};
use crate::sending::Sending;
use crate::session::Session;
use crate::turn::IS_GATHERED;

/// The time that a function may take while the answers of other calls wait for it.
const BRIEF: Duration = Duration::from_micros(100);

/// The objects of a connection and of Python that the direct path uses, by their place in `_Parts` of
/// `_rpc/direct_path.py`.
#[derive(Clone, Copy)]
enum Part {
    /// The futures of this side's calls, by id.
    Calls,
    /// The other side's calls that run here, by id: each a `Served`.
    Served,
    /// The callbacks among the values that were decoded last.
    Brought,
    /// The streams among the values that were encoded last.
    Unsent,
    /// The functions that the other side may call, by name.
    Functions,
    /// The functions whose calls may start in the event of their message, and have no task.
    AtOnce,
    /// The sync generator functions of which the same is true.
    StreamsAtOnce,
    /// The connection's log of calls.
    Log,
    /// Runs a function so that it can be interrupted; None if nobody can interrupt it.
    Guard,
    /// The event loop.
    EventLoop,
    /// The endpoint, which sends what has buffers.
    Endpoint,
    /// Notes an answer for a peer whose thread may sleep; None if it never does.
    Note,
    /// Takes in a stream that is the answer of a call of this side's.
    OnStream,
    /// Takes in items of a stream.
    OnItems,
    /// Takes the first step of a stream, and answers its call.
    BeginStream,
    /// Goes on with that stream.
    Produce,
    /// The functions and objects that the other side may invoke, by number: each a `Given`.
    Given,
    /// Makes what stands for a call that is served.
    MakeServed,
    /// Makes what stands for an invocation that is served.
    MakeInvocation,
    /// Notes that the code that follows runs for such a call.
    Enter,
    CopyContext,
    CurrentTask,
    IsAwaitable,
    /// Has the awaitable awaited that a function has returned.
    HandOver,
    /// Has the adapters awaited that a result needs.
    FinishLater,
    /// Answers a call with an exception.
    Fail,
    /// Has awaited what a callback has returned, or the adapters that its result needs.
    FinishInvocation,
    /// Answers an invocation with an exception.
    FailInvocation,
    /// The class of the futures of calls that have no task.
    Gathered,
    /// Ends such a future with the result of its call.
    EndGathered,
}

/// The kinds of work that the other side asks for.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Call,
    Invocation,
    Stream,
}

/// Does the commonest steps of one connection.
#[pyclass(module = "workerlib._native", frozen)]
pub(crate) struct Direct {
    parts: Py<PyTuple>,
    /// Sends small frames, where that needs no Python.
    poster: Option<Poster>,
    /// The function that ran last while frames went together, by its address, if it took little time.
    brief: AtomicUsize,
    /// Whether arguments are sent as they are: no adapter is for all of them, and none has to be awaited.
    may_call: bool,
}

#[pymethods]
impl Direct {
    #[new]
    fn new(parts: Py<PyTuple>, poster: Option<(usize, u32)>, may_call: bool) -> Self {
        let poster = poster.and_then(|(function, channel)| Poster::new(function, channel));
        Self { parts, poster, brief: AtomicUsize::new(0), may_call }
    }

    // Shows the garbage collector the objects of the connection.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.parts)
    }

    // Runs the function of a call and answers the call, in the call's context. It is called with the session, the
    // connection, the call as it is served, its id, the function, the positional and the keyword arguments, and a number of
    // `Kind`. It returns what `Produce` needs of a stream.
    #[pyo3(signature = (*of_call))]
    fn __call__<'py>(slf: &Bound<'py, Self>, of_call: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let (py, this) = (slf.py(), slf.get());
        let (connection, served) = (of_call.get_item(1)?, of_call.get_item(2)?);
        let yes = PyBool::new(py, true);
        set(&served, intern!(py, "has_begun"), &yes)?;
        call(&this.part(py, Part::Enter)?, &[&served])?;
        let nothing = py.None().into_bound(py);
        let kind = of_call.get_item(6)?.extract::<u8>()?;
        let ran = if kind == Kind::Stream as u8 {
            this.begin_stream(of_call).map(Some)
        } else {
            this.run(of_call, kind == Kind::Invocation as u8).map(|is_done| is_done.then(|| nothing.clone()))
        };
        let mut done = nothing.clone();
        match ran {
            Ok(Some(value)) => done = value,
            // A task does the rest.
            Ok(None) => return Ok(nothing),
            Err(error) if kind == Kind::Invocation as u8 => {
                let error = error.into_value(py).into_bound(py);
                call(&this.part(py, Part::FailInvocation)?, &[&connection, &served, &error])?;
                return Ok(nothing);
            }
            Err(error) => {
                let error = error.into_value(py).into_bound(py);
                call(&this.part(py, Part::Fail)?, &[&connection, &served, &error])?;
            }
        }
        this.dict(py, Part::Served)?.del_item(of_call.get_item(3)?)?;
        set(&served, intern!(py, "has_ended"), &yes)?;
        if !this.part(py, Part::Guard)?.is_none() {
            // It refers to the frames in which it was raised, and these to the call.
            set(&served, intern!(py, "interrupt"), &nothing)?;
        }
        Ok(done)
    }
}

impl Direct {
    #[inline(never)]
    fn part<'py>(&self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyAny>> {
        self.parts.bind(py).get_item(part as usize)
    }

    fn dict<'py>(&self, py: Python<'py>, part: Part) -> PyResult<Bound<'py, PyDict>> {
        Ok(self.part(py, part)?.cast_into()?)
    }

    /// Empties a list.
    fn clear(&self, py: Python<'_>, part: Part) -> PyResult<()> {
        let part = self.part(py, part)?;
        let list = part.cast::<PyList>()?;
        if list.is_empty() { Ok(()) } else { list.del_slice(0, list.len()) }
    }

    /// Has Python make a generator, take its first step and answer with the stream and the item: what is needed to go on, or
    /// None if nobody wants the stream.
    fn begin_stream<'py>(&self, of_call: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        let (served, function, arguments) =
            (of_call.get_item(2)?, of_call.get_item(4)?, of_call.get_item(5)?);
        call(&self.part(of_call.py(), Part::BeginStream)?, &[&served, &function, &arguments])
    }

    /// Runs the function and answers; returns false if something has to be awaited first.
    #[inline(never)]
    fn run(&self, of_call: &Bound<'_, PyTuple>, is_invocation: bool) -> PyResult<bool> {
        let py = of_call.py();
        let (session, connection, served) =
            (of_call.get_item(0)?, of_call.get_item(1)?, of_call.get_item(2)?);
        let session = session.cast::<Session>()?;
        let (id, function, arguments) = (of_call.get_item(3)?, of_call.get_item(4)?, of_call.get_item(5)?);
        let (args, kwargs) = (arguments.get_item(0)?, arguments.get_item(1)?);
        let guard = self.part(py, Part::Guard)?;
        let result = if guard.is_none() {
            let is_computing = intern!(py, "is_computing");
            set(&served, is_computing, &PyBool::new(py, true))?;
            let result = function.call(args.cast::<PyTuple>()?, Some(kwargs.cast::<PyDict>()?));
            set(&served, is_computing, &PyBool::new(py, false))?;
            result?
        } else {
            call(&guard, &[&served, &function, &args, &kwargs])?
        };
        if is_invocation && result.is_none() {
            // Such answers go together, when all that has arrived has been done.
            session.borrow_mut().hear(id.extract()?);
            return Ok(true);
        }
        let may_be_awaitable = !is_plain(&result);
        if may_be_awaitable && call(&self.part(py, Part::IsAwaitable)?, &[&result])?.is_truthy()? {
            let result = PyList::new(py, [result])?;
            if is_invocation {
                let nothing = py.None().into_bound(py);
                call(&self.part(py, Part::FinishInvocation)?, &[&connection, &served, &result, &nothing])?;
            } else {
                call(&self.part(py, Part::HandOver)?, &[&connection, &served, &arguments, &result])?;
            }
            return Ok(false);
        }
        if !is_invocation
            && (!is_none(&served, intern!(py, "reporter"))? || !is_none(&connection, intern!(py, "outlet"))?)
        {
            method(&connection, intern!(py, "_flush"), &[&served])?;
        }
        let (unfinished, is_deep) = Session::answer_with(session, id.extract()?, &result, None)?;
        let result = PyList::new(py, [result])?;
        if let Some(unfinished) = unfinished {
            // An adapter has given an awaitable, which no adapter has said before.
            if is_invocation {
                let finish = self.part(py, Part::FinishInvocation)?;
                call(&finish, &[&connection, &served, &result, &unfinished])?;
            } else {
                let finish = self.part(py, Part::FinishLater)?;
                call(&finish, &[&connection, &served, &arguments, &result, &unfinished])?;
            }
            return Ok(false);
        }
        if is_deep {
            dismantle(&result)?;
        }
        // The answers of functions that take little time go together, the first too.
        let is_brief = self.brief.load(Ordering::Relaxed) == function.as_ptr() as usize;
        self.send_all(session, &connection, MESSAGES, if is_brief { SOON } else { HELD })?;
        Ok(true)
    }

    /// Sends what the session wants sent: several messages in one, since that costs little more than one of them. Where so
    /// much goes together, it goes with others, in this way.
    #[inline(never)]
    pub(crate) fn send_all(
        &self,
        session: &Bound<'_, Session>,
        connection: &Bound<'_, PyAny>,
        if_together: u8,
        together: u32,
    ) -> PyResult<()> {
        self.clear(session.py(), Part::Unsent)?;
        match Session::next_transmit(session)? {
            Some(first) => {
                let is_held = TOGETHER.load(Ordering::Relaxed) >= if_together;
                let how = if is_held { [together; 2] } else { [AT_ONCE, ADDED] };
                self.send_from(session, connection, first, how)
            }
            None => Ok(()),
        }
    }

    /// Whether small frames are sent without Python, which otherwise sends several in one.
    pub(crate) fn sends_itself(&self) -> bool {
        self.poster.is_some()
    }

    /// Sends the messages that an arrived one has brought about: what answers bring are the calls that have waited for them.
    pub(crate) fn send_on(
        &self,
        session: &Bound<'_, Session>,
        connection: &Bound<'_, PyAny>,
        first: Bound<'_, PyTuple>,
    ) -> PyResult<()> {
        let is_held = TOGETHER.load(Ordering::Relaxed) >= MESSAGES;
        // The other side has others to do meanwhile: they have waited until half of its window was free.
        self.send_from(session, connection, first, [if is_held { HELD } else { AT_ONCE }, SOON])
    }

    /// Sends a message and all that the session wants sent after it, in the one way if it is alone, else in the other.
    #[inline(never)]
    fn send_from(
        &self,
        session: &Bound<'_, Session>,
        connection: &Bound<'_, PyAny>,
        first: Bound<'_, PyTuple>,
        [alone, several]: [u32; 2],
    ) -> PyResult<()> {
        let mut next = Session::next_transmit(session)?;
        let how = if next.is_some() { several } else { alone };
        self.send(connection, first, how)?;
        while let Some(message) = next {
            self.send(connection, message, how)?;
            next = Session::next_transmit(session)?;
        }
        if how == ADDED
            && let Some(poster) = &self.poster
        {
            poster.flush();
        }
        Ok(())
    }

    /// Sends a message.
    #[inline(never)]
    fn send(&self, connection: &Bound<'_, PyAny>, mut message: Bound<'_, PyTuple>, how: u32) -> PyResult<()> {
        let py = message.py();
        if message.len() > 2 {
            // The other side may sleep: it is told which calls these are the answers of.
            let note = self.part(py, Part::Note)?;
            if !note.is_none() {
                call(&note, &[&message.get_item(2)?, &message.get_item(0)?, &message.get_item(1)?])?;
            }
            message = message.get_slice(0, 2);
        }
        if let Some(poster) = &self.poster
            && poster.post(&message, how)?
        {
            return Ok(());
        }
        let endpoint = self.part(py, Part::Endpoint)?;
        if let Err(error) = endpoint.getattr(intern!(py, "post"))?.call1(message) {
            if !error.is_instance_of::<PyException>(py) {
                return Err(error);
            }
            method(connection, intern!(py, "_fail"), &[&error.into_value(py).into_bound(py)])?;
        }
        Ok(())
    }

    /// Sends a call of this side, which has begun, with these values; its outcome is that of a future.
    #[inline(never)]
    pub(crate) fn call<'py>(
        &self,
        session: &Bound<'py, Session>,
        connection: &Bound<'py, PyAny>,
        sending: &Sending<'_>,
        (parent, pending): (Option<&Bound<'py, PyAny>>, &Bound<'py, PyAny>),
        values: Values,
    ) -> PyResult<()> {
        let py = session.py();
        let id = sending.id.into_pyobject(py)?;
        set(pending, intern!(py, "call"), &id)?;
        set(pending, intern!(py, "name"), &PyString::new(py, sending.function))?;
        set(pending, intern!(py, "connection"), connection)?;
        if let Some(parent) = parent {
            set(pending, intern!(py, "parent"), parent)?;
        }
        let calls = self.dict(py, Part::Calls)?;
        // Before anything is sent: a channel that fails settles the call in no time.
        calls.as_any().set_item(&id, pending)?;
        let put = session.borrow_mut().put(py, sending, &[], values);
        if let Err(error) = put {
            calls.as_any().del_item(&id)?;
            return Err(error);
        }
        self.send_all(session, connection, MESSAGES, HELD)
    }

    /// Returns whether a call of this side may be made here.
    pub(crate) fn may_call(&self) -> bool {
        self.may_call
    }

    /// Settles a call of this side with what was returned: in a list, out of which it can be taken without that anything
    /// else holds it.
    #[inline(never)]
    pub(crate) fn settle(&self, id: CallId, result: &Bound<'_, PyList>, deepest: usize) -> PyResult<()> {
        let py = result.py();
        self.clear(py, Part::Brought)?;
        let (calls, id) = (self.dict(py, Part::Calls)?, id.0.into_pyobject(py)?);
        if let Some(pending) = calls.get_item(&id)? {
            // Such a future leaves the table as it ends.
            if pending.get_type_ptr().cast() == self.part(py, Part::Gathered)?.as_ptr()
                && is_none(&pending, intern!(py, "timers"))?
            {
                calls.del_item(&id)?;
                IS_GATHERED.store(true, Ordering::Relaxed);
                let ended = call(&self.part(py, Part::EndGathered)?, &[&pending, &result.get_item(0)?]);
                IS_GATHERED.store(false, Ordering::Relaxed);
                return ended.map(drop);
            }
            if !method(&pending, intern!(py, "done"), &[])?.is_truthy()? {
                let outcome = tuple(py, &[&PyBool::new(py, true), result])?;
                method(&pending, intern!(py, "set_result"), &[&outcome])?;
                return Ok(());
            }
        }
        if deepest > DEEP {
            // Its caller was cancelled in this turn of the loop.
            dismantle(result)?;
        }
        Ok(())
    }

    /// Has Python take in a stream that is the answer of a call.
    pub(crate) fn take_in_stream(&self, py: Python<'_>, id: u32, stream: u32) -> PyResult<()> {
        let (id, stream) = (id.into_pyobject(py)?, stream.into_pyobject(py)?);
        call(&self.part(py, Part::OnStream)?, &[&id, &stream]).map(drop)
    }

    /// Has Python take in items of a stream, which take so many bytes.
    pub(crate) fn take_in_items(
        &self,
        items: &Bound<'_, PyList>,
        (stream, bytes, is_deep): (u32, usize, bool),
    ) -> PyResult<()> {
        let py = items.py();
        let (stream, bytes) = (stream.into_pyobject(py)?, bytes.into_pyobject(py)?);
        call(&self.part(py, Part::OnItems)?, &[&stream, items, &bytes, &PyBool::new(py, is_deep)]).map(drop)
    }

    /// Begins to run a function while frames go together: answers wait for it only if it took little time before.
    fn begin_together(&self, function: &Bound<'_, PyAny>) -> Option<Instant> {
        if TOGETHER.load(Ordering::Relaxed) == NOTHING {
            return None;
        }
        if self.brief.load(Ordering::Relaxed) != function.as_ptr() as usize
            && let Some(poster) = &self.poster
        {
            poster.flush();
        }
        Some(Instant::now())
    }

    /// Returns the function of a call that may be served here, as far as is known before its arguments are read.
    #[inline(never)]
    pub(crate) fn function<'py>(
        &self,
        py: Python<'py>,
        arrived: &Arrived<Frame>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let may_begin = arrived.credit.is_none_or(|credit| credit.items > 0 && credit.bytes > 0);
        if !may_begin || arrived.reports_start || arrived.payload.has_rows(py) {
            return Ok(None);
        }
        let name = PyString::new(py, &arrived.function);
        let at_once = if arrived.credit.is_none() { Part::AtOnce } else { Part::StreamsAtOnce };
        let Some(function) = self.dict(py, at_once)?.get_item(&name)? else { return Ok(None) };
        let exported = self.dict(py, Part::Functions)?.get_item(&name)?;
        if !exported.is_some_and(|exported| exported.is(&function)) {
            return Ok(None);
        }
        let is_logged = self.part(py, Part::Log)?.getattr(intern!(py, "is_on"))?.is_truthy()?;
        Ok((!is_logged).then_some(function))
    }

    /// Serves a call, if it may be served here; returns false if Python has to.
    #[inline(never)]
    pub(crate) fn serve<'py>(
        slf: &Bound<'py, Self>,
        session: &Bound<'py, Session>,
        connection: &Bound<'py, PyAny>,
        (id, name, kind): (CallId, &str, Kind),
        function: &Bound<'py, PyAny>,
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        // The function must not take the task of somebody else for its own.
        if !this.part(py, Part::Brought)?.cast::<PyList>()?.is_empty()
            || !call(&this.part(py, Part::CurrentTask)?, &[&this.part(py, Part::EventLoop)?])?.is_none()
        {
            return Ok(false);
        }
        let id = id.0.into_pyobject(py)?;
        let name = PyString::new(py, name);
        let served = this.make_served(connection, id.as_any(), Part::MakeServed)?;
        set(&served, intern!(py, "name"), &name)?;
        Session::hold_starts(session, true);
        let began = this.begin_together(function);
        let context = this.part(py, Part::CopyContext)?.call0()?;
        let kind = (kind as u8).into_pyobject(py)?;
        let of_call = [slf.as_any(), session, connection, &served, &id, function, arguments, &kind];
        let begun = method(&context, intern!(py, "run"), &of_call)?;
        if !begun.is_none() {
            call(&this.part(py, Part::Produce)?, &[&context, &name, &begun])?;
        }
        if let Some(began) = began {
            let brief = if began.elapsed() < BRIEF { function.as_ptr() as usize } else { 0 };
            this.brief.store(brief, Ordering::Relaxed);
        }
        if Session::has_waiting(session) {
            let (later, go_on) = (0i32.into_pyobject(py)?, connection.getattr(intern!(py, "_go_on"))?);
            method(&this.part(py, Part::EventLoop)?, intern!(py, "call_later"), &[&later, &go_on])?;
        } else {
            Session::hold_starts(session, false);
        }
        Ok(true)
    }

    /// Makes what stands for a call that is served, and enters it.
    #[inline(never)]
    fn make_served<'py>(
        &self,
        connection: &Bound<'py, PyAny>,
        id: &Bound<'py, PyAny>,
        make: Part,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = connection.py();
        let served = self.part(py, make)?.call0()?;
        set(&served, intern!(py, "call"), id)?;
        set(&served, intern!(py, "connection"), connection)?;
        self.dict(py, Part::Served)?.as_any().set_item(id, &served)?;
        Ok(served)
    }

    /// Serves an invocation of a function, or of an object's method, if it may be served here; returns false if Python has
    /// to.
    #[inline(never)]
    pub(crate) fn serve_invocation<'py>(
        slf: &Bound<'py, Self>,
        session: &Bound<'py, Session>,
        connection: &Bound<'py, PyAny>,
        (CallId(id), RefId(reference), member): (CallId, RefId, &str),
        arguments: &Bound<'py, PyTuple>,
    ) -> PyResult<bool> {
        let (py, this) = (slf.py(), slf.get());
        if !this.may_call || !this.part(py, Part::Brought)?.cast::<PyList>()?.is_empty() {
            return Ok(false);
        }
        let (id, number) = (id.into_pyobject(py)?, reference.into_pyobject(py)?);
        let Some(given) = this.dict(py, Part::Given)?.get_item(&number)? else { return Ok(false) };
        let is_function = member.is_empty() && given.getattr(intern!(py, "is_function"))?.is_truthy()?;
        let function = if is_function {
            given.getattr(intern!(py, "function"))?
        } else {
            let found = method(&given, intern!(py, "find"), &[&PyString::new(py, member)]);
            // Python answers with the error.
            let Ok(found) = found else { return Ok(false) };
            found
        };
        let served = this.make_served(connection, id.as_any(), Part::MakeInvocation)?;
        set(&served, intern!(py, "number"), &number)?;
        // Messages that arrive while it runs are carried out after it.
        let is_hearing = intern!(py, "_is_hearing");
        let (yes, was_hearing) = (PyBool::new(py, true), connection.getattr(is_hearing)?);
        set(connection, is_hearing, &yes)?;
        let context = method(&given.getattr(intern!(py, "context"))?, intern!(py, "copy"), &[])?;
        let kind = (Kind::Invocation as u8).into_pyobject(py)?;
        let of_call = [slf.as_any(), session, connection, &served, &id, &function, arguments, &kind];
        let ran = method(&context, intern!(py, "run"), &of_call);
        set(connection, is_hearing, &was_hearing)?;
        ran.map(|_| true)
    }
}

/// Returns whether a value is of a builtin type whose objects nobody can await.
fn is_plain(value: &Bound<'_, PyAny>) -> bool {
    value.is_none()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
        || value.is_exact_instance_of::<PyBool>()
        || value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyDict>()
        || value.is_exact_instance_of::<PyList>()
        || value.is_exact_instance_of::<PyTuple>()
}

/// Which frames go together that are sent in the same event.
static TOGETHER: AtomicU8 = AtomicU8::new(NOTHING);
/// None: each goes at once.
const NOTHING: u8 = 0;
/// Calls and answers that messages have brought about. A message that a running function sends is not among them: it goes at once.
const MESSAGES: u8 = 1;
/// All of them.
pub(crate) const ALL: u8 = 2;

/// Has so much go together from now on, or lets each frame go at once.
pub(crate) fn put_together(together: bool) {
    TOGETHER.store(if together { MESSAGES } else { NOTHING }, Ordering::Relaxed);
}

/// Has all small frames go together from now on that are sent in the same event, or lets each go at once.
#[pyfunction]
pub(crate) fn send_together(is_on: bool) {
    TOGETHER.store(if is_on { ALL } else { NOTHING }, Ordering::Relaxed);
}

/// The way in which JavaScript sends a frame: now, with what was kept before it.
const AT_ONCE: u32 = 0;
/// Together with others of the same event; the first of them now.
pub(crate) const HELD: u32 = 1;
/// Together with the next ones, until it is told to send.
const ADDED: u32 = 2;
/// Together with others of the same event, the first of them too.
const SOON: u32 = 3;

/// A function of JavaScript's that sends a frame, in the table of functions that all of WebAssembly shares.
struct Poster {
    #[cfg_attr(not(target_os = "emscripten"), allow(dead_code, reason = "there is no JavaScript"))]
    function: usize,
    #[cfg_attr(not(target_os = "emscripten"), allow(dead_code, reason = "there is no JavaScript"))]
    channel: u32,
}

impl Poster {
    fn new(function: usize, channel: u32) -> Option<Self> {
        (function != 0).then_some(Self { function, channel })
    }

    /// Sends a message that has no buffers; returns false if it has to be sent by Python.
    fn post(&self, message: &Bound<'_, PyTuple>, how: u32) -> PyResult<bool> {
        let (frame, buffers) = (message.get_item(0)?, message.get_item(1)?);
        if !buffers.cast::<PyList>()?.is_empty() {
            return Ok(false);
        }
        Ok(self.call(frame.cast::<PyBytes>()?.as_bytes(), how))
    }

    /// Sends the frames that were to go together with others.
    fn flush(&self) {
        self.call(&[], AT_ONCE);
    }

    /// Has JavaScript send a frame, or what it holds; returns whether it could.
    #[cfg(target_os = "emscripten")]
    fn call(&self, frame: &[u8], how: u32) -> bool {
        type Post = extern "C" fn(u32, *const u8, usize, u32) -> i32;
        // SAFETY: `message_port.js` has put a function of that type there, for as long as this Python lives.
        let post = unsafe { std::mem::transmute::<usize, Post>(self.function) };
        post(self.channel, frame.as_ptr(), frame.len(), how) == 0
    }

    #[cfg(not(target_os = "emscripten"))]
    fn call(&self, _frame: &[u8], _how: u32) -> bool {
        false
    }
}
