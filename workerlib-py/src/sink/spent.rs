//! The cost of building a frame so far: how long the values are that were handed to builders, and what patterns weigh.
//!
//! The limits are [`workerlib_codec::cost`]'s; this module measures Python's objects for them.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyList, PyMemoryView, PySet, PyString, PyTuple};
use workerlib_codec::cost::{Handed, SMALL};

/// The cost of building a frame so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    handed: Handed,
    /// The weight of all patterns.
    pub(super) patterns: usize,
}

impl Spent {
    /// Counts a value that is handed to a builder; refuses what a frame of `frame_len` bytes, with as many as
    /// `out_of_band` tells beside it, does not account for.
    pub(super) fn hand(
        &mut self,
        value: &Bound<'_, PyAny>,
        frame_len: usize,
        out_of_band: impl FnOnce() -> PyResult<usize>,
    ) -> PyResult<()> {
        let mut len = length(value);
        if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            // Arguments of an exception, say, stand one level deeper.
            len += tuple.iter_borrowed().map(|element| length(&element)).sum::<usize>();
        }
        if len == 0 {
            return Ok(());
        }
        if !self.handed.allows(len, frame_len, out_of_band)? {
            let text = "references to long values would take too much memory for a frame of this size";
            return Err(PyValueError::new_err(text));
        }
        Ok(())
    }
}

/// The number of bytes or elements that a builder may copy, if it is worth counting.
fn length(value: &Bound<'_, PyAny>) -> usize {
    let len = if let Ok(text) = value.cast_exact::<PyString>() {
        text.len().unwrap_or(0)
    } else if value.is_exact_instance_of::<PyInt>() {
        let mut overflow = 0;
        // SAFETY: it is an int, alive.
        unsafe { ffi::PyLong_AsLongLongAndOverflow(value.as_ptr(), &raw mut overflow) };
        // An int that is longer than 64 bits is asked how long.
        let bits = (overflow != 0)
            .then(|| value.call_method0(intern!(value.py(), "bit_length")).and_then(|bits| bits.extract()));
        bits.and_then(Result::ok).unwrap_or(0usize) / 8
    } else if let Ok(view) = value.cast_exact::<PyMemoryView>() {
        view.getattr(intern!(view.py(), "nbytes")).and_then(|nbytes| nbytes.extract()).unwrap_or(0)
    } else if value.is_exact_instance_of::<PyBytes>()
        || value.is_exact_instance_of::<PyByteArray>()
        || value.is_exact_instance_of::<PyList>()
        || value.is_exact_instance_of::<PyTuple>()
        || value.is_exact_instance_of::<PyDict>()
        || value.is_exact_instance_of::<PySet>()
    {
        value.len().unwrap_or(0)
    } else {
        0
    };
    if len > SMALL { len } else { 0 }
}
