//! Walking and building without that the collector runs: its finalizers may be anybody's code.

use std::marker::PhantomData;

use pyo3::ffi;
use pyo3::prelude::*;

/// Keeps Python's garbage collector, and with it everybody's finalizers, from running while it lives.
pub(crate) struct GcPause<'py> {
    enabled: bool,
    attached: PhantomData<Python<'py>>,
}

impl<'py> GcPause<'py> {
    pub(crate) fn new(_: Python<'py>) -> Self {
        // SAFETY: `Python` is the proof that this thread is attached to the interpreter.
        let enabled = unsafe { ffi::PyGC_Disable() } != 0;
        Self { enabled, attached: PhantomData }
    }
}

impl Drop for GcPause<'_> {
    fn drop(&mut self) {
        if self.enabled {
            // SAFETY: the lifetime is that of the attachment.
            unsafe { ffi::PyGC_Enable() };
        }
    }
}
