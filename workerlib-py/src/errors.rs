//! From Rust's errors to the classes in `workerlib/_errors.py`: the one place that makes them.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;
use workerlib_codec::cost::SHALLOW;
use workerlib_codec::{DecodeError, DecodeErrorKind, EncodeError, Path};
use workerlib_core::{CloseReason, SessionError};

use crate::hooks::HOOKS;

/// Why an object cannot be sent.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Its type cannot be sent: the type's name, and a reason if there is another one.
    Type(String, Option<String>),
    /// The same, with the exception that was raised when it was tried.
    Because(String, String, PyErr),
    /// Python raised while it was read.
    Raised(PyErr),
    /// The encoder of the adapter with that key raised.
    Adapter(String, PyErr),
    /// Python code would have to run, in a walk in which none may.
    NotPlain,
}

impl From<PyErr> for Refusal {
    fn from(error: PyErr) -> Self {
        Self::Raised(error)
    }
}

fn class<'py>(
    py: Python<'py>,
    cell: &'static PyOnceLock<Py<PyType>>,
    name: &str,
) -> PyResult<&'py Bound<'py, PyType>> {
    cell.import(py, HOOKS, name)
}

/// Makes the `UnsendableError` (or what Python itself raised) for a value that could not be encoded.
///
/// `root` is the name of what was encoded, such as `args`.
pub(crate) fn encode_error(py: Python<'_>, root: &str, error: EncodeError<Refusal>) -> PyErr {
    let place = |path: &Path| place_of(root, path);
    let (path, type_name, reason) = match error {
        EncodeError::Source { error: Refusal::Raised(error), .. } => return error,
        EncodeError::Source { path, error: Refusal::Adapter(key, error) } => {
            return noted(py, error, &format!("while encoding {} by the adapter {key}", place(&path)));
        }
        EncodeError::Source { path, error: Refusal::Type(type_name, reason) } => (path, type_name, reason),
        EncodeError::Source { path, error: Refusal::Because(type_name, reason, cause) } => {
            let error = unsendable_error(py, place(&path), type_name, Some(reason));
            error.set_cause(py, Some(cause));
            return error;
        }
        EncodeError::TooDeep { path, limit } => {
            let place = if limit == SHALLOW { " in a key, a set or a library type" } else { "" };
            (path, String::new(), Some(format!("more than {limit} levels of containers{place}")))
        }
        EncodeError::Hashing { path } => {
            let reason = "keys, or elements of sets, that hold the same tuples so often that to hash them takes too long";
            (path, String::new(), Some(reason.to_owned()))
        }
        EncodeError::Unhashable { path } => {
            let reason = "it would arrive as a list, dict, set or bytearray, or with one in it, which Python cannot \
                          hash: a key or an element of a set must be a tuple or a frozenset of it";
            (path, String::new(), Some(reason.to_owned()))
        }
        EncodeError::TooLong { path } => {
            (path, String::new(), Some("longer than 4,294,967,295 elements or bytes".to_owned()))
        }
        EncodeError::Changed { path } => {
            (path, String::new(), Some("it changed while it was being sent".to_owned()))
        }
        _ => (Default::default(), String::new(), Some("it cannot be encoded".to_owned())),
    };
    unsendable_error(py, place(&path), type_name, reason)
}

/// Names the place of a value for people: an item of a stream stands in a list that nobody has seen.
fn place_of(root: &str, path: &Path) -> String {
    let text = path.to_string();
    let path = if root == "item" { text.strip_prefix("[0]").unwrap_or(&text) } else { &text };
    format!("{root}{path}")
}

/// Makes an `UnsendableError`.
pub(crate) fn unsendable_error(
    py: Python<'_>,
    path: String,
    type_name: String,
    reason: Option<String>,
) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match class(py, &CLASS, "UnsendableError") {
        Ok(class) => PyErr::from_type(class.clone(), (path, type_name, reason)),
        Err(error) => error,
    }
}

/// Makes the `FrameError` for bytes that could not be decoded, or takes what an adapter's decoder raised.
///
/// `root` is the name of what was decoded, `path` says where in it.
pub(crate) fn decode_error(py: Python<'_>, root: &str, path: &Path, error: &DecodeError<PyErr>) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if let DecodeErrorKind::Sink(raised) = &error.kind
        && let Ok(class) = CLASS.import(py, HOOKS, "AdapterFailure")
        && raised.is_instance(py, class)
        && let Ok(error) = raised.value(py).getattr("error")
    {
        let key = raised.value(py).getattr("key").map_or_else(|_| String::new(), |key| key.to_string());
        let note = format!("while decoding {} by the adapter {key}", place_of(root, path));
        return noted(py, PyErr::from_value(error), &note);
    }
    static UNKNOWN: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    if let DecodeErrorKind::Sink(raised) = &error.kind
        && let Ok(class) = UNKNOWN.import(py, HOOKS, "UnknownClassError")
        && raised.is_instance(py, class)
    {
        // The frame is as it should be: the path says more than the byte.
        return frame_error(py, &format!("{root}{path}: {}", raised.value(py)));
    }
    let mut text = error.to_string();
    if let DecodeErrorKind::TooDeep(limit) = error.kind
        && limit != SHALLOW
    {
        text.push_str(
            ": max_depth, in the section [workerlib] of the receiver's configuration, allows more; but Pyodide ends when \
             Python frees a value of some thousands of levels, so take such a value apart before you drop it",
        );
    }
    frame_error(py, &text)
}

/// Adds a note to an exception.
fn noted(py: Python<'_>, error: PyErr, note: &str) -> PyErr {
    // A class that takes no notes keeps its exception all the same.
    let _ = error.value(py).call_method1("add_note", (note,));
    error
}

/// Makes a `FrameError`.
pub(crate) fn frame_error(py: Python<'_>, text: &str) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match class(py, &CLASS, "FrameError") {
        Ok(class) => PyErr::from_type(class.clone(), (text.to_owned(),)),
        Err(error) => error,
    }
}

/// Makes the `ConnectionClosedError`, or the one of its kinds, for a call on a session that is not open.
pub(crate) fn closed_error(py: Python<'_>, error: &SessionError) -> PyErr {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static DIED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = match error {
        SessionError::Closed(CloseReason::Died(_)) => class(py, &DIED, "WorkerDiedError"),
        _ => class(py, &CLASS, "ConnectionClosedError"),
    };
    match class {
        Ok(class) => PyErr::from_type(class.clone(), (error.to_string(),)),
        Err(error) => error,
    }
}

/// Makes the error for a session that is newer than this bridge, which cannot carry out what the session says.
#[cold]
pub(crate) fn session_error() -> PyErr {
    PyRuntimeError::new_err("workerlib._native does not know this kind of event")
}
