//! Freeing what is nested deeper than the stack is.
//!
//! CPython frees a list within a list by recursion. Natively it stops that in time; in WebAssembly the
//! stack ends before, and Pyodide with it. So what this library made, and nobody else has, is taken apart
//! level by level.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// From how many levels on a value is taken apart: Pyodide frees a thousand well.
pub(crate) const DEEP: usize = 200;

/// Empties a list, and all containers in it to which nothing else refers, without recursion.
#[pyfunction]
pub(crate) fn dismantle(values: &Bound<'_, PyList>) -> PyResult<()> {
    let mut stack: Vec<Bound<'_, PyAny>> = values.iter().collect();
    values.del_slice(0, values.len())?;
    while let Some(value) = stack.pop() {
        // SAFETY: `value` is alive. The low 32 bits are the count (see `PySource::identity`).
        if unsafe { ffi::Py_REFCNT(value.as_ptr()) } as u32 != 1 {
            continue;
        }
        if let Ok(list) = value.cast_exact::<PyList>() {
            stack.extend(list.iter());
            list.del_slice(0, list.len())?;
        } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
            stack.extend(tuple.iter());
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            stack.extend(dict.values().iter());
            dict.clear();
        }
    }
    Ok(())
}
