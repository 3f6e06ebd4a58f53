//! Keeps Python's garbage collector from running while values are walked or built: its finalizers may be anybody's code.
//!
//! Users' functions that run meanwhile find the collector as the program has set it, and may set it otherwise.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering};

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

use crate::hooks::HOOKS;

/// From how many containers on it matters that Python would look at them as soon as they are built.
const MANY: usize = 500;

/// Whether the collector is to run again when the innermost pause ends.
// Only a thread that is attached to the interpreter uses it.
static RESUMES: AtomicBool = AtomicBool::new(false);

/// Stops the collector; returns whether it ran.
fn stop(_: Python<'_>) -> bool {
    // SAFETY: `Python` is the proof that this thread is attached to the interpreter.
    unsafe { ffi::PyGC_Disable() != 0 }
}

/// Lets the collector run.
fn start() {
    // SAFETY: every caller is attached to the interpreter, as a `Python` or its lifetime proves.
    unsafe { ffi::PyGC_Enable() };
}

/// Keeps the collector, and with it everybody's finalizers, from running while it lives.
pub(crate) struct GcPause<'py> {
    /// The state that the pause around this one, if there is one, restores at its end.
    outer: bool,
    attached: PhantomData<Python<'py>>,
}

impl<'py> GcPause<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        let outer = RESUMES.swap(stop(py), Ordering::Relaxed);
        Self { outer, attached: PhantomData }
    }
}

impl Drop for GcPause<'_> {
    fn drop(&mut self) {
        if RESUMES.swap(self.outer, Ordering::Relaxed) {
            start();
        }
    }
}

/// Calls a function of the user's within a pause, with the collector as it is outside of the pause.
///
/// The function may turn the collector on or off: so it stays when the pause ends.
pub(crate) fn with_collector<T>(py: Python<'_>, call: impl FnOnce() -> T) -> T {
    if RESUMES.load(Ordering::Relaxed) {
        start();
    }
    let result = call();
    RESUMES.store(stop(py), Ordering::Relaxed);
    result
}

/// Has the collector wait for as many containers more as a frame's values have: they have just been built, and are not garbage
/// yet. It is called within the pause. `_values/fresh_values.py` does it.
pub(crate) fn spare(py: Python<'_>, containers: usize) -> PyResult<()> {
    static SPARE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    // Not where the program has turned the collector off.
    if containers >= MANY && RESUMES.load(Ordering::Relaxed) {
        SPARE.import(py, HOOKS, "spare")?.call1((containers,))?;
    }
    Ok(())
}
