//! Python's objects as they are walked: exact builtin types, by raw pointers.
//!
//! A node is a borrowed pointer. That is right because no Python code runs during the walk: all types are
//! builtin ones, and the collector, whose finalizers may be anybody's, is paused ([`GcPause`]). So nothing
//! changes or frees a container on the walk's stack; each is owned by its [`Walk`] all the same.

use std::marker::PhantomData;
use std::ptr;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyType;
use workerlib_codec::marker::Container;
use workerlib_codec::{Buffer, Item, Source, Step};

use crate::block::{Block, Held, bytes_at};

type Object = *mut ffi::PyObject;

/// Why an object cannot be sent.
pub(crate) enum Refusal {
    /// Its type is none that can be sent; the type's name.
    Type(String),
    /// Python raised while it was read.
    Raised(PyErr),
}

/// The walk over one container, which it keeps alive.
pub(crate) enum Walk {
    List { list: Py<PyAny>, taken: ffi::Py_ssize_t },
    Tuple { tuple: Py<PyAny>, taken: ffi::Py_ssize_t },
    Dict { dict: Py<PyAny>, position: ffi::Py_ssize_t, taken: usize, key: Object, value: Object },
}

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

/// Python's objects as a [`Source`].
pub(crate) struct PySource<'py> {
    py: Python<'py>,
    /// What goes out of band, by number: objects whose buffer is the content.
    pub(crate) buffers: Vec<Py<PyAny>>,
    /// The buffer of the memoryview that was looked at last, if it could be used as it lies.
    held: Option<Held>,
    /// Content that had to be made for the last `look`.
    scratch: Vec<u8>,
}

impl<'py> PySource<'py> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Self { py, buffers: Vec::new(), held: None, scratch: Vec::new() }
    }

    fn owned(&self, node: Object) -> Bound<'py, PyAny> {
        // SAFETY: a node is a live object; this takes a reference of its own.
        unsafe { Bound::from_borrowed_ptr(self.py, node) }
    }

    fn raised(&self) -> Refusal {
        Refusal::Raised(PyErr::fetch(self.py))
    }

    #[inline]
    fn str(&mut self, node: Object) -> Result<Item<'_, Walk>, Refusal> {
        let mut len = 0;
        // SAFETY: `node` is a str, alive.
        let text = unsafe { ffi::PyUnicode_AsUTF8AndSize(node, &raw mut len) };
        if text.is_null() {
            return self.surrogates(node);
        }
        // SAFETY: CPython keeps these `len` bytes of UTF-8 as long as the str lives.
        Ok(Item::Str(unsafe { std::str::from_utf8_unchecked(bytes_at(text.cast(), len)) }))
    }

    #[cold]
    fn surrogates(&mut self, node: Object) -> Result<Item<'_, Walk>, Refusal> {
        drop(PyErr::take(self.py));
        let text = self.owned(node);
        // SAFETY: `text` is a str, alive; the result is a new reference or null.
        let encoded = unsafe {
            let bytes =
                ffi::PyUnicode_AsEncodedString(text.as_ptr(), c"utf-8".as_ptr(), c"surrogatepass".as_ptr());
            Bound::from_owned_ptr_or_err(self.py, bytes)
        };
        let encoded = encoded.map_err(Refusal::Raised)?;
        self.scratch = encoded.extract().map_err(Refusal::Raised)?;
        Ok(Item::Surrogates(&self.scratch))
    }

    #[inline]
    fn int(&mut self, node: Object) -> Result<Item<'_, Walk>, Refusal> {
        let mut overflow = 0;
        // SAFETY: `node` is an int, alive.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(node, &raw mut overflow) };
        if overflow == 0 { Ok(Item::Int(value)) } else { self.big_int(node) }
    }

    #[cold]
    fn big_int(&mut self, node: Object) -> Result<Item<'_, Walk>, Refusal> {
        let int = self.owned(node);
        let bytes = |int: &Bound<'py, PyAny>| -> PyResult<Vec<u8>> {
            let bits: usize = int.call_method0("bit_length")?.extract()?;
            // One bit more for the sign.
            let bytes = int.py().import("builtins")?.getattr("int")?.getattr("to_bytes")?;
            let options = pyo3::types::PyDict::new(int.py());
            options.set_item("signed", true)?;
            bytes.call((int, bits / 8 + 1, "little"), Some(&options))?.extract()
        };
        self.scratch = bytes(&int).map_err(Refusal::Raised)?;
        // -2**(8n - 1) fits n bytes, though it has as many bits as numbers that do not.
        if let [.., 0x80..=0xff, 0xff] = self.scratch[..] {
            self.scratch.pop();
        }
        if let [low @ .., 0] = &self.scratch[..]
            && let Ok(low) = <[u8; 8]>::try_from(low)
        {
            return Ok(Item::Uint(u64::from_le_bytes(low)));
        }
        Ok(Item::BigInt(&self.scratch))
    }

    fn view(&mut self, node: Object) -> Result<Item<'_, Walk>, Refusal> {
        let held = self.held.insert(Held::get(&self.owned(node)).map_err(Refusal::Raised)?);
        let header = held.header();
        if held.contiguous().is_none() {
            self.scratch = held.copy(self.py).map_err(Refusal::Raised)?;
            self.held = None;
            return Ok(Item::Buffer(Buffer::View(header), &self.scratch));
        }
        let data = self.held.as_ref().and_then(Held::contiguous).unwrap_or_default();
        Ok(Item::Buffer(Buffer::View(header), data))
    }

    #[cold]
    fn refuse(&self, node: Object) -> Refusal {
        Refusal::Type(type_name(&self.owned(node).get_type()))
    }
}

/// Names a type as a user would import it: `datetime.date`, but `complex`.
pub(crate) fn type_name(class: &Bound<'_, PyType>) -> String {
    let name = class.fully_qualified_name().map(|name| name.to_string());
    name.unwrap_or_else(|_| "a type without a name".to_owned())
}

impl Source for PySource<'_> {
    type Node = Object;
    type Walk = Walk;
    type Error = Refusal;

    #[inline]
    fn look(&mut self, node: Object) -> Result<Item<'_, Walk>, Refusal> {
        // SAFETY: a node is a live object; the statics are CPython's own types.
        let class = unsafe { ffi::Py_TYPE(node) };
        let is = |exact: *mut ffi::PyTypeObject| ptr::eq(class, exact);
        // Hot types first; each `is` compares two addresses.
        if is(&raw mut ffi::PyUnicode_Type) {
            self.str(node)
        } else if is(&raw mut ffi::PyLong_Type) {
            self.int(node)
        } else if is(&raw mut ffi::PyFloat_Type) {
            // SAFETY: `node` is a float.
            Ok(Item::Float(unsafe { ffi::PyFloat_AsDouble(node) }))
        } else if is(&raw mut ffi::PyDict_Type) {
            // SAFETY: `node` is a dict.
            let count = unsafe { ffi::PyDict_Size(node) };
            let dict = self.owned(node).unbind();
            let walk =
                Walk::Dict { dict, position: 0, taken: 0, key: ptr::null_mut(), value: ptr::null_mut() };
            Ok(Item::Container(Container::Dict, count as usize, walk))
        } else if is(&raw mut ffi::PyList_Type) {
            // SAFETY: `node` is a list.
            let count = unsafe { ffi::PyList_Size(node) };
            let walk = Walk::List { list: self.owned(node).unbind(), taken: 0 };
            Ok(Item::Container(Container::List, count as usize, walk))
        } else if is(&raw mut ffi::PyBool_Type) {
            // SAFETY: Py_True is a static.
            Ok(Item::Bool(ptr::eq(node, unsafe { ffi::Py_True() })))
        // SAFETY: Py_None is a static.
        } else if ptr::eq(node, unsafe { ffi::Py_None() }) {
            Ok(Item::Nil)
        } else if is(&raw mut ffi::PyTuple_Type) {
            // SAFETY: `node` is a tuple.
            let count = unsafe { ffi::PyTuple_Size(node) };
            let walk = Walk::Tuple { tuple: self.owned(node).unbind(), taken: 0 };
            Ok(Item::Container(Container::Tuple, count as usize, walk))
        } else if is(&raw mut ffi::PyBytes_Type) {
            // SAFETY: `node` is a bytes object; its content does not move or change while it lives.
            let data = unsafe { bytes_at(ffi::PyBytes_AsString(node).cast(), ffi::PyBytes_Size(node)) };
            Ok(Item::Buffer(Buffer::Bytes, data))
        } else if is(&raw mut ffi::PyByteArray_Type) {
            // SAFETY: `node` is a bytearray; no Python code runs until the encoder has copied the content.
            let data =
                unsafe { bytes_at(ffi::PyByteArray_AsString(node).cast(), ffi::PyByteArray_Size(node)) };
            Ok(Item::Buffer(Buffer::Bytearray, data))
        } else if is(&raw mut ffi::PyMemoryView_Type) {
            self.view(node)
        } else {
            Err(self.refuse(node))
        }
    }

    #[inline]
    fn next(&mut self, walk: &mut Walk) -> Result<Option<Object>, Refusal> {
        match walk {
            // SAFETY: the walk owns the list; an index beyond its end is refused.
            Walk::List { list, taken } => unsafe {
                if *taken >= ffi::PyList_Size(list.as_ptr()) {
                    return Ok(None);
                }
                let node = ffi::PyList_GetItem(list.as_ptr(), *taken);
                *taken += 1;
                if node.is_null() { Err(self.raised()) } else { Ok(Some(node)) }
            },
            // SAFETY: the walk owns the tuple; an index beyond its end is refused.
            Walk::Tuple { tuple, taken } => unsafe {
                if *taken >= ffi::PyTuple_Size(tuple.as_ptr()) {
                    return Ok(None);
                }
                let node = ffi::PyTuple_GetItem(tuple.as_ptr(), *taken);
                *taken += 1;
                if node.is_null() { Err(self.raised()) } else { Ok(Some(node)) }
            },
            // SAFETY: the walk owns the dict, and with it key and value, since nothing changes it.
            Walk::Dict { dict, position, taken, key, value } => unsafe {
                *taken += 1;
                if *taken % 2 == 0 {
                    return Ok(Some(*value));
                }
                let more = ffi::PyDict_Next(dict.as_ptr(), position, key, value);
                Ok((more != 0).then_some(*key))
            },
        }
    }

    fn keep_out_of_band(&mut self, node: Object) -> Result<(), Refusal> {
        // SAFETY: a node is a live object.
        let is_view = ptr::eq(unsafe { ffi::Py_TYPE(node) }, &raw mut ffi::PyMemoryView_Type);
        let kept = match (is_view, self.held.take()) {
            (false, _) => Ok(self.owned(node)),
            (true, Some(held)) => Bound::new(self.py, Block::of_held(held)).map(Bound::into_any),
            (true, None) => Bound::new(self.py, Block::of_bytes(&self.scratch)).map(Bound::into_any),
        };
        self.buffers.push(kept.map_err(Refusal::Raised)?.unbind());
        Ok(())
    }

    fn step(&self, walk: &Walk) -> Step {
        let repr = |key: Object| {
            let text = self.owned(key).repr().map(|text| text.to_string_lossy().into_owned());
            let text = text.unwrap_or_else(|_| "…".to_owned());
            if text.chars().count() > 40 {
                format!("{}…", text.chars().take(40).collect::<String>())
            } else {
                text
            }
        };
        match walk {
            Walk::List { taken, .. } | Walk::Tuple { taken, .. } => Step::Index((*taken - 1).max(0) as usize),
            Walk::Dict { taken, .. } if taken % 2 == 1 => Step::KeyAt(taken / 2),
            Walk::Dict { key, .. } if key.is_null() => Step::KeyAt(0),
            Walk::Dict { key, .. } => Step::Key(repr(*key)),
        }
    }
}
