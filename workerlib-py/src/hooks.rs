//! The module of Python's in which the extension looks up all that it needs of Python.

/// `workerlib/_values/native_hooks.py`, which tells where each name comes from.
pub(crate) const HOOKS: &str = "workerlib._values.native_hooks";
