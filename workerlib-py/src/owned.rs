//! References to Python's objects that cost as little as they can.
//!
//! PyO3 counts references by calls into CPython, because the stable ABI allows no other way from 3.12 on. An
//! extension for the stable ABI of 3.11, as this one is, may count by itself, as that version's headers do;
//! in WebAssembly, where each call crosses from one module to another, that is a tenth of decoding.

use std::marker::PhantomData;
use std::ptr::NonNull;

use pyo3::ffi;
use pyo3::prelude::*;

/// A reference to an object, owned, of a thread that is attached to the interpreter.
pub(crate) struct Owned<'py> {
    object: NonNull<ffi::PyObject>,
    attached: PhantomData<Bound<'py, PyAny>>,
}

impl<'py> Owned<'py> {
    /// Takes over a new reference; `None` if there is none.
    ///
    /// # Safety
    ///
    /// `object` must be null or a reference that nobody else gives up.
    #[inline(always)]
    pub(crate) unsafe fn from_owned(_: Python<'py>, object: *mut ffi::PyObject) -> Option<Self> {
        Some(Self { object: NonNull::new(object)?, attached: PhantomData })
    }

    /// Takes a reference of its own to a live object.
    ///
    /// # Safety
    ///
    /// `object` must be a live object.
    #[inline(always)]
    pub(crate) unsafe fn from_borrowed(_: Python<'py>, object: *mut ffi::PyObject) -> Self {
        // SAFETY: promised by the caller: it is alive, and so not null.
        unsafe {
            incref(object);
            Self { object: NonNull::new_unchecked(object), attached: PhantomData }
        }
    }

    /// The object; it lives as long as this.
    #[inline(always)]
    pub(crate) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.object.as_ptr()
    }

    /// Gives up the reference to whoever takes the pointer.
    #[inline(always)]
    pub(crate) fn into_ptr(self) -> *mut ffi::PyObject {
        std::mem::ManuallyDrop::new(self).as_ptr()
    }

    /// Turns into PyO3's type.
    #[inline]
    pub(crate) fn into_bound(self, py: Python<'py>) -> Bound<'py, PyAny> {
        // SAFETY: the reference is handed over.
        unsafe { Bound::from_owned_ptr(py, self.into_ptr()) }
    }
}

impl<'py> From<Bound<'py, PyAny>> for Owned<'py> {
    #[inline]
    fn from(object: Bound<'py, PyAny>) -> Self {
        // SAFETY: a Bound is never null, and gives its reference up here.
        Self { object: unsafe { NonNull::new_unchecked(object.into_ptr()) }, attached: PhantomData }
    }
}

impl Clone for Owned<'_> {
    #[inline(always)]
    fn clone(&self) -> Self {
        // SAFETY: the object lives as long as `self`.
        unsafe { incref(self.as_ptr()) };
        Self { ..*self }
    }
}

impl Drop for Owned<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the reference is this one's own.
        unsafe { decref(self.as_ptr()) };
    }
}

/// Counts one reference more.
#[inline(always)]
unsafe fn incref(object: *mut ffi::PyObject) {
    // SAFETY: of a live object, as the callers promise. The count is the first word of every object in the
    // stable ABI; CPython lets counts of immortal objects drift for the sake of such extensions (PEP 683).
    #[cfg(target_arch = "wasm32")]
    unsafe {
        *object.cast::<ffi::Py_ssize_t>() += 1;
    }
    // SAFETY: of a live object, as the callers promise.
    #[cfg(not(target_arch = "wasm32"))]
    unsafe {
        ffi::Py_INCREF(object);
    }
}

/// Counts one reference less, and has the object freed with the last one.
#[inline(always)]
unsafe fn decref(object: *mut ffi::PyObject) {
    // SAFETY: as in `incref`; the last reference is left for CPython to take.
    #[cfg(target_arch = "wasm32")]
    unsafe {
        let count = object.cast::<ffi::Py_ssize_t>();
        if *count > 1 {
            *count -= 1;
        } else {
            ffi::Py_DECREF(object);
        }
    }
    // SAFETY: as in `incref`.
    #[cfg(not(target_arch = "wasm32"))]
    unsafe {
        ffi::Py_DECREF(object);
    }
}
