//! Calls of Python's functions, methods and attributes by one function each: pyo3's own are compiled anew for each kind of
//! arguments, and the module is fetched by every visitor.

use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// Calls a function with these arguments.
#[inline(never)]
pub(crate) fn call<'py>(
    function: &Bound<'py, PyAny>,
    arguments: &[&Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    function.call1(tuple(function.py(), arguments)?)
}

/// Calls a method with these arguments.
#[inline(never)]
pub(crate) fn method<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    arguments: &[&Bound<'py, PyAny>],
) -> PyResult<Bound<'py, PyAny>> {
    call(&object.getattr(name)?, arguments)
}

/// Makes a tuple.
#[inline(never)]
pub(crate) fn tuple<'py>(py: Python<'py>, items: &[&Bound<'py, PyAny>]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, items)
}

/// Sets an attribute.
#[inline(never)]
pub(crate) fn set<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
    value: &Bound<'py, PyAny>,
) -> PyResult<()> {
    object.setattr(name, value)
}

/// Gets an attribute, and tells whether it is None.
#[inline(never)]
pub(crate) fn is_none(object: &Bound<'_, PyAny>, name: &Bound<'_, PyString>) -> PyResult<bool> {
    Ok(object.getattr(name)?.is_none())
}
