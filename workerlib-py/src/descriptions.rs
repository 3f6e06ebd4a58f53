//! The handshake's descriptions of exports and adapters, as Python's tuples.
//!
//! `workerlib/_exports.py` and `workerlib/_values/adapters.py` have the types of these tuples. The descriptions
//! themselves are `workerlib-core`'s: there is no other shape of them here. Nothing of this is in a hurry, so each
//! conversion is there once, and never inlined.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyList;
use workerlib_core::{Adapter, Export, ExportKind, Exports, Parameter, ParameterKind};

/// A name and three other parts: what a description of a parameter is, and the beginning of that of an export.
type Parts<'py> = (String, Bound<'py, PyAny>, Bound<'py, PyAny>, Option<String>);

/// Reads exports: name, docstring, parameters, return annotation, and the number of the kind.
#[inline(never)]
pub(crate) fn read_exports(all: &Bound<'_, PyAny>) -> PyResult<Exports> {
    let mut exports = Vec::new();
    for one in all.try_iter()? {
        exports.push(read_export(&one?)?);
    }
    Ok(exports.into_iter().collect())
}

#[inline(never)]
fn read_export(one: &Bound<'_, PyAny>) -> PyResult<Export> {
    let (name, doc, parameters, returns, kind): (String, Bound<'_, PyAny>, Bound<'_, PyAny>, _, u8) =
        one.extract()?;
    let mut export = Export::new(name);
    (export.doc, export.returns) = (doc.extract()?, returns);
    export.kind =
        ExportKind::from_number(kind).ok_or_else(|| PyValueError::new_err("unknown kind of export"))?;
    if !parameters.is_none() {
        let read = export.parameters.insert(Vec::new());
        for one in parameters.try_iter()? {
            read.push(read_parameter(&one?)?);
        }
    }
    Ok(export)
}

/// Reads a parameter: name, kind, `repr()` of the default, annotation.
#[inline(never)]
fn read_parameter(one: &Bound<'_, PyAny>) -> PyResult<Parameter> {
    let (name, number, default, annotation): Parts<'_> = one.extract()?;
    let kind = ParameterKind::from_number(number.extract()?)
        .ok_or_else(|| PyValueError::new_err("unknown kind of parameter"))?;
    let mut parameter = Parameter::new(name, kind);
    (parameter.default, parameter.annotation) = (default.extract()?, annotation);
    Ok(parameter)
}

/// Reads adapters: key, entry of the configuration, whether the decoder is async.
#[inline(never)]
pub(crate) fn read_adapters(all: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Adapter>> {
    let Some(all) = all else { return Ok(Vec::new()) };
    let mut adapters = Vec::new();
    for one in all.try_iter()? {
        let (key, entry, is_async): (String, Option<String>, bool) = one?.extract()?;
        adapters.push(Adapter::new(key, entry, is_async));
    }
    Ok(adapters)
}

/// Describes exports for Python.
#[inline(never)]
pub(crate) fn describe_exports(py: Python<'_>, exports: Exports) -> PyResult<Bound<'_, PyList>> {
    let all = PyList::empty(py);
    for export in exports {
        let parameters = match export.parameters {
            Some(parameters) => describe_parameters(py, parameters)?.into_any(),
            None => py.None().into_bound(py),
        };
        all.append((export.name, export.doc, parameters, export.returns, export.kind.number()))?;
    }
    Ok(all)
}

#[inline(never)]
fn describe_parameters(py: Python<'_>, parameters: Vec<Parameter>) -> PyResult<Bound<'_, PyList>> {
    let all = PyList::empty(py);
    for parameter in parameters {
        let Parameter { name, kind, default, annotation, .. } = parameter;
        all.append((name, kind.number(), default, annotation))?;
    }
    Ok(all)
}

/// Describes adapters for Python.
#[inline(never)]
pub(crate) fn describe_adapters<'py>(py: Python<'py>, adapters: &[Adapter]) -> PyResult<Bound<'py, PyList>> {
    let all = PyList::empty(py);
    for adapter in adapters {
        all.append((&adapter.key, &adapter.entry, adapter.is_async))?;
    }
    Ok(all)
}
