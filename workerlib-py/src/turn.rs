//! Runs the callbacks that a message schedules at the end of its event: the part of `_channels/loop_shortcuts.py` that each
//! message needs.
//!
//! While a message is handled, a [`Turn`] stands in the place of the event loop's `call_soon`. It knows the callbacks that have
//! the caller of a call go on: those of the call's future, and those of the task that awaits it. Every other callback is
//! Python's matter.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use crate::call::{method, tuple};

/// The number of levels of callbacks that run: a task ends, `gather` hears of it and ends, and what awaits that goes on.
const LEVELS: usize = 3;

/// Whether the future that ends is that of a call which `gather()` has started: the loop's code starts no such calls.
pub(crate) static IS_GATHERED: AtomicBool = AtomicBool::new(false);

/// Collects between `begin` and `end`, and runs then.
#[pyclass(module = "workerlib._native", frozen)]
pub(crate) struct Turn {
    /// The attributes of the event loop.
    attributes: Py<PyDict>,
    /// The callbacks that are ready: handles, and tuples of a callback, a call's future and a context.
    ready: Py<PyList>,
    /// Does what is rare, and names the rest: a `Rest` of `_channels/loop_shortcuts.py`.
    rest: Py<PyAny>,
    /// The class of the futures of calls, from which those of a stream's steps are derived.
    pending: Py<PyAny>,
    /// The context variable that says whether all that code makes ready is left to the loop.
    started_by_loop: Py<PyAny>,
    /// Tells whether this Python's own code may block; None where no code can.
    may_block: Py<PyAny>,
    /// The code of callbacks of tasks whose handles nobody keeps.
    without_handles: Py<PyTuple>,
    is_early: AtomicBool,
    /// Whether what was collected runs: only callbacks of futures are collected then.
    is_running: AtomicBool,
    /// The entry of the loop's attributes that `call_soon` replaces.
    shadowed: Mutex<Option<Py<PyAny>>>,
}

#[pymethods]
impl Turn {
    #[new]
    fn new(attributes: Py<PyDict>, ready: Py<PyList>, rest: &Bound<'_, PyAny>) -> PyResult<Self> {
        let part = |name| rest.getattr(name).map(Bound::unbind);
        let (is_early, is_running) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Self {
            attributes,
            ready,
            pending: part("pending")?,
            started_by_loop: part("started_by_loop")?,
            may_block: part("may_block")?,
            without_handles: rest.getattr("without_handles")?.cast_into()?.unbind(),
            rest: rest.clone().unbind(),
            is_early,
            is_running,
            shadowed: Mutex::new(None),
        })
    }

    // Shows the garbage collector the objects that callbacks lead to.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.attributes)?;
        visit.call(&self.ready)?;
        [&self.rest, &self.pending, &self.started_by_loop, &self.may_block]
            .into_iter()
            .try_for_each(|one| visit.call(one))
    }

    // The entry of the loop's attributes that `call_soon` replaces.
    #[getter]
    fn shadowed(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.shadowed.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|one| one.clone_ref(py))
    }

    // Begins to collect, unless this Python's own code may block.
    pub(crate) fn begin(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let may_block = this.may_block.bind(py);
        let may_block = !may_block.is_none() && may_block.call0()?.is_truthy()?;
        this.is_early.store(!may_block, Ordering::Relaxed);
        if !may_block {
            let (attributes, name) = (this.attributes.bind(py), intern!(py, "call_soon"));
            let shadowed = attributes.get_item(name)?.map(Bound::unbind);
            *this.shadowed.lock().unwrap_or_else(PoisonError::into_inner) = shadowed;
            attributes.as_any().set_item(name, slf)?;
        }
        Ok(())
    }

    // Runs what was collected.
    pub(crate) fn end(slf: &Bound<'_, Self>) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        if !this.is_early.load(Ordering::Relaxed) {
            return Ok(());
        }
        let ready = this.ready.bind(py);
        if ready.is_empty() {
            // Such as on the side of a sync function, whose answer has left.
            return this.unshadow(py);
        }
        let rest = this.rest.bind(py);
        this.is_running.store(true, Ordering::Relaxed);
        let ran = this.run(py);
        this.is_running.store(false, Ordering::Relaxed);
        this.unshadow(py)?;
        for entry in take(ready)? {
            method(rest, intern!(py, "give_late"), &[&entry])?;
        }
        ran
    }

    // Does what `call_soon` of the loop does, for callbacks that run at the end of the event.
    #[pyo3(signature = (*args, **kwargs))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        args: &Bound<'py, PyTuple>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (this, py) = (slf.get(), slf.py());
        let is_running = this.is_running.load(Ordering::Relaxed);
        if args.len() == 2 {
            // A caller goes on: the future is workerlib's own, and nobody keeps the handle of its callbacks.
            let (callback, future) = (args.get_item(0)?, args.get_item(1)?);
            let has_no_handle = is_of(&future, this.pending.bind(py))
                || is_running && is_one_of(&callback, this.without_handles.bind(py))?;
            if has_no_handle {
                let context = match kwargs {
                    Some(kwargs) => kwargs.get_item(intern!(py, "context"))?,
                    None => None,
                };
                // Pyodide's tasks give None, which means the context that is there now.
                let context = match context.filter(|context| !context.is_none()) {
                    Some(context) => context,
                    None => method(this.rest.bind(py), intern!(py, "copy_context"), &[])?,
                };
                if IS_GATHERED.load(Ordering::Relaxed)
                    || !is_left_to_loop(&context, this.started_by_loop.bind(py))?
                {
                    this.ready.bind(py).append(tuple(py, &[&callback, &future, &context])?)?;
                    return Ok(py.None().into_bound(py));
                }
            }
        }
        let collect = if is_running { intern!(py, "collect_wakeup") } else { intern!(py, "collect") };
        this.rest.bind(py).getattr(collect)?.call(args, kwargs)
    }
}

impl Turn {
    /// Runs what is ready, and what that makes ready, some levels deep.
    fn run(&self, py: Python<'_>) -> PyResult<()> {
        let (ready, rest) = (self.ready.bind(py), self.rest.bind(py));
        for _ in 0..LEVELS {
            if ready.is_empty() {
                break;
            }
            for entry in take(ready)? {
                let Ok(wakeup) = entry.cast_exact::<PyTuple>() else {
                    method(rest, intern!(py, "run"), &[&entry])?;
                    continue;
                };
                let (callback, pending) = (wakeup.get_item(0)?, wakeup.get_item(1)?);
                let ran = method(&wakeup.get_item(2)?, intern!(py, "run"), &[&callback, &pending]);
                if let Err(error) = ran {
                    let error = error.into_value(py).into_bound(py);
                    method(rest, intern!(py, "fail"), &[&callback, &pending, &error])?;
                }
            }
        }
        Ok(())
    }

    /// Has the loop's `call_soon` in its place again.
    fn unshadow(&self, py: Python<'_>) -> PyResult<()> {
        let shadowed = self.shadowed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (attributes, name) = (self.attributes.bind(py), intern!(py, "call_soon"));
        match shadowed {
            Some(shadowed) => attributes.as_any().set_item(name, shadowed.bind(py)),
            None => attributes.del_item(name),
        }
    }
}

/// Returns whether the code of a callback is one of these. They are compared by their addresses: to compute the hash of code
/// takes longer than all the rest.
fn is_one_of(callback: &Bound<'_, PyAny>, codes: &Bound<'_, PyTuple>) -> PyResult<bool> {
    let code = callback.getattr_opt(intern!(callback.py(), "__code__"))?;
    Ok(code.is_some_and(|code| codes.iter_borrowed().any(|one| one.is(&code))))
}

/// Returns whether an object is of a class, or of one derived from it; the class is not asked.
fn is_of(object: &Bound<'_, PyAny>, class: &Bound<'_, PyAny>) -> bool {
    // SAFETY: both are alive; the second is a class.
    unsafe { ffi::PyType_IsSubtype(ffi::Py_TYPE(object.as_ptr()), class.as_ptr().cast()) != 0 }
}

/// Returns whether code that runs in a context leaves to the loop all that it makes ready.
fn is_left_to_loop(context: &Bound<'_, PyAny>, started_by_loop: &Bound<'_, PyAny>) -> PyResult<bool> {
    let (py, no) = (context.py(), PyBool::new(context.py(), false));
    method(context, intern!(py, "get"), &[started_by_loop, &no])?.is_truthy()
}

/// Takes all entries out of a list.
fn take<'py>(list: &Bound<'py, PyList>) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let entries = list.iter().collect();
    list.del_slice(0, list.len())?;
    Ok(entries)
}
