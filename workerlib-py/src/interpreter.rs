//! Binds the module to the first interpreter of the process that loads it.

use std::sync::atomic::{AtomicI64, Ordering};

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

/// Refuses to be loaded by a second interpreter of one process (PEP 734).
///
/// The classes that the module makes and finds are those of the interpreter that loaded it first. Another one would be
/// given objects of foreign classes, which only pass for its own until something compares them.
///
/// # Errors
///
/// An ImportError that names the remedy.
pub(crate) fn refuse_a_second(_: Python<'_>) -> PyResult<()> {
    static FIRST: AtomicI64 = AtomicI64::new(NONE);
    const NONE: i64 = -1;
    // SAFETY: this thread is attached to an interpreter, which is the one that is asked for.
    let id = unsafe { ffi::PyInterpreterState_GetID(ffi::PyInterpreterState_Get()) };
    match FIRST.compare_exchange(NONE, id, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(first) if first == id => Ok(()),
        Err(_) => Err(PyImportError::new_err(
            "workerlib is loaded in another interpreter of this process, and can be in one only: use a process instead, \
             which workerlib.connect(\"worker.py\") starts",
        )),
    }
}
