//! Python's objects as they are walked: containers of exact builtin types here, the content of builtin values in
//! `source/single_values.rs`, and objects of all other types in `source/beyond_builtins.rs`.
//!
//! A node is a borrowed pointer. As long as the types are builtin ones no Python code runs, since the
//! collector, whose finalizers may be anybody's, is paused ([`crate::gc_pause`]): nothing changes or frees what the
//! walk stands on. From the first call of a Python function on, what is remembered or waited for is owned,
//! and a container that changes under the walk is an error.

mod beyond_builtins;
mod single_values;

use std::collections::HashMap;
use std::ptr;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;
use workerlib_codec::marker::{Container, ext};
use workerlib_codec::{Buffer, Item, Path, PlainWriter, Source, Step};

use crate::block::{Block, Held, bytes_at};
use crate::errors::Refusal;
use crate::layout;
use crate::objects::Plan;
use crate::settings::Settings;
use crate::types::{self, Types};

type Object = *mut ffi::PyObject;

/// From how many bytes on the content of a str is copied only when the frame is put together.
const LONG: usize = 512;

/// The walk over one container, which is among [`PySource::open`] or [`PySource::kept`].
#[derive(Clone, Copy)]
pub(crate) enum Walk {
    List {
        list: Object,
        taken: ffi::Py_ssize_t,
    },
    Tuple {
        tuple: Object,
        taken: ffi::Py_ssize_t,
        /// The number of references to each element of which the walk knows: a copy of a set has two.
        owners: usize,
        /// The extension type whose values these are.
        extension: Option<u8>,
    },
    Dict {
        dict: Object,
        size: ffi::Py_ssize_t,
        position: ffi::Py_ssize_t,
        /// The position at which the key that was taken last was found.
        last: ffi::Py_ssize_t,
        /// The number of keys and values that were taken.
        taken: usize,
        value: Object,
        /// A key that was looked at and is not taken yet, or null.
        seen: Object,
        /// Whether it is the `__dict__` of an object, before whose keys and values another value stands.
        is_object: bool,
    },
}

/// A class whose instance was converted, and where it stood.
pub(crate) struct Conversion {
    pub(crate) class: Py<PyType>,
    pub(crate) path: Path,
}

/// Python's objects as a [`Source`].
pub(crate) struct PySource<'py> {
    py: Python<'py>,
    /// The buffers that go beside the frame, by number: objects whose buffer is the content.
    pub(crate) buffers: Vec<Py<PyAny>>,
    /// The first object of each class that was converted to something like it.
    pub(crate) conversions: Vec<Conversion>,
    /// The classes of these, by their addresses.
    converted: HashMap<usize, u32>,
    /// Long strs whose content is still to be put among what the encoder wrote, and where.
    pub(crate) late: Vec<(usize, Py<PyAny>)>,
    /// The buffer of the memoryview that was looked at last, if it could be used as it lies.
    held: Option<Held>,
    /// Content that had to be made for the last `look`.
    scratch: Vec<u8>,
    /// Objects that are remembered by their addresses, while nothing can free them.
    remembered: Vec<Object>,
    /// The containers whose walk has begun and is not over, while nothing can free them.
    open: Vec<Object>,
    /// Objects that must live as long as the frame is being written.
    kept: Vec<Py<PyAny>>,
    /// Whether Python code ran: what is remembered or open must be owned then.
    owning: bool,
    /// Whether nodes are refused for which Python code has to run.
    is_plain_only: bool,
    /// The weight of all patterns together.
    patterns: usize,
    pub(crate) types: Types<'py>,
    /// The keys of the adapters whose decoders are async on the other side.
    slow: Option<Py<PyAny>>,
    /// The builtin types that adapters are for; `None` if there is no such adapter.
    pub(crate) builtins: Option<Bound<'py, PyAny>>,
    /// Whether the node that was taken last is something of ours, that adapters must not see.
    is_structure: bool,
    /// Tuples whose elements, and dicts whose keys, are something of ours, by their addresses.
    structures: HashMap<usize, u32>,
    /// The numbers of those structures that are the first values of users' objects.
    firsts: HashMap<usize, u32>,
    /// The objects whose adapters' values are being walked.
    adapted: Vec<Object>,
    /// The slot of a deferred value that was made last, until it hears where it stands.
    slot: Option<Py<PyAny>>,
    /// The plans by which objects of the classes that were met are read.
    plans: Vec<Plan<'py>>,
}

impl<'py> PySource<'py> {
    /// Starts a walk.
    pub(crate) fn new(py: Python<'py>, settings: &Settings) -> Self {
        let types = Types::new(py, settings);
        let builtins = types.adapted_builtins();
        Self {
            py,
            buffers: Vec::new(),
            conversions: Vec::new(),
            converted: HashMap::new(),
            late: Vec::new(),
            held: None,
            scratch: Vec::new(),
            remembered: Vec::new(),
            open: Vec::new(),
            kept: Vec::new(),
            owning: false,
            is_plain_only: false,
            patterns: 0,
            types,
            plans: Vec::new(),
            slow: settings.slow.as_ref().map(|keys| keys.clone_ref(py)),
            builtins,
            is_structure: false,
            structures: HashMap::new(),
            firsts: HashMap::new(),
            adapted: Vec::new(),
            slot: None,
        }
    }

    /// Starts walks, one after the other, over values for which no Python code has to run: all others are refused. `None` if
    /// it has to run for each value.
    pub(crate) fn plain_only(py: Python<'py>, settings: &Settings) -> Option<Self> {
        let source = Self::new(py, settings);
        source.builtins.is_none().then_some(Self { is_plain_only: true, ..source })
    }

    /// Ends such a walk, after which all values may change. Strs cannot: the next walk may refer to them, so they get into `texts`.
    /// `forget` hears of all others that are remembered.
    pub(crate) fn end_walk(&mut self, texts: &mut Vec<Py<PyAny>>, mut forget: impl FnMut(usize)) {
        let mut nodes = std::mem::take(&mut self.remembered);
        for node in nodes.drain(..) {
            // SAFETY: a node is a live object, since no Python code has run.
            if ptr::eq(unsafe { ffi::Py_TYPE(node) }, &raw mut ffi::PyUnicode_Type) {
                texts.push(self.owned(node).unbind());
            } else {
                forget(node as usize);
            }
        }
        self.remembered = nodes;
        self.kept.clear();
        self.held = None;
    }

    /// Returns whether no Python code can have run.
    pub(crate) fn is_plain(&self) -> bool {
        !self.owning
    }

    fn owned(&self, node: Object) -> Bound<'py, PyAny> {
        // SAFETY: a node is a live object; this takes a reference of its own.
        unsafe { Bound::from_borrowed_ptr(self.py, node) }
    }

    /// Copies a set's elements, which cannot be walked by position.
    fn elements(&mut self, kind: Container, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
        // SAFETY: `node` is a set or a frozenset; the result is a new reference or null.
        let tuple = unsafe { Bound::from_owned_ptr_or_err(self.py, ffi::PySequence_Tuple(node)) }?;
        Ok(self.tuple(kind, tuple, 2))
    }

    /// Starts the walk over a tuple that was made for it.
    fn tuple(&mut self, kind: Container, tuple: Bound<'py, PyAny>, owners: usize) -> Item<'_, Object, Walk> {
        // SAFETY: every caller has a tuple.
        let count = unsafe { ffi::PyTuple_Size(tuple.as_ptr()) };
        let extension = if let Container::Extension(kind) = kind { Some(kind) } else { None };
        let walk = Walk::Tuple { tuple: tuple.as_ptr(), taken: 0, owners, extension };
        self.open(tuple.as_ptr());
        // To the end: its elements may be remembered by their address.
        self.kept.push(tuple.unbind());
        Item::Container(kind, count as usize, walk)
    }

    /// Takes the next node of a container.
    #[inline]
    fn take(&mut self, walk: &mut Walk) -> Option<Object> {
        match walk {
            Walk::List { list, taken } => {
                // SAFETY: the list is open or kept; an index beyond its end is refused.
                let node = self.found(unsafe { layout::list_item(*list, *taken) })?;
                *taken += 1;
                Some(node)
            }
            Walk::Tuple { tuple, taken, .. } => {
                // SAFETY: the tuple is open or kept; an index beyond its end is refused.
                let node = self.found(unsafe { ffi::PyTuple_GetItem(*tuple, *taken) })?;
                *taken += 1;
                Some(node)
            }
            // SAFETY: the dict is open or kept, and has the size that it had; key and value are in it, or kept.
            Walk::Dict { dict, size, position, last, taken, value, seen, .. } => unsafe {
                if *taken % 2 == 1 {
                    *taken += 1;
                    return Some(*value);
                }
                let mut key = std::mem::replace(seen, ptr::null_mut());
                if key.is_null() {
                    let start = *position;
                    if layout::dict_size(*dict) != *size
                        || ffi::PyDict_Next(*dict, position, &raw mut key, value) == 0
                    {
                        return None;
                    }
                    *last = start;
                }
                *taken += 1;
                if !ptr::eq(ffi::Py_TYPE(key), &raw mut ffi::PyUnicode_Type) {
                    // Such a key may run Python code before the value's turn.
                    self.remember(*value);
                }
                Some(key)
            },
        }
    }

    /// Takes references of what is remembered or open, before Python code can free it.
    fn own(&mut self) {
        if !self.owning {
            self.owning = true;
            let borrowed = [std::mem::take(&mut self.remembered), std::mem::take(&mut self.open)].concat();
            let owned: Vec<_> = borrowed.into_iter().map(|node| self.owned(node).unbind()).collect();
            self.kept.extend(owned);
        }
    }

    /// Notes that the walk over a container begins.
    #[inline]
    fn open(&mut self, container: Object) {
        if self.owning {
            self.kept.push(self.owned(container).unbind());
        } else {
            self.open.push(container);
        }
    }

    /// Takes what a container gave for an index: null, and an error that nobody needs, if it has become
    /// shorter.
    #[inline]
    fn found(&self, node: Object) -> Option<Object> {
        if node.is_null() {
            drop(PyErr::take(self.py));
            return None;
        }
        Some(node)
    }

    /// Writes a node if it is plain; nothing is written, and no error left, if it is not, or null.
    ///
    /// `place` is that of a key in its dict.
    #[inline(always)]
    fn write_plain(
        &mut self,
        node: Object,
        owners: usize,
        place: Option<usize>,
        writer: &mut PlainWriter<'_>,
    ) -> bool {
        if node.is_null() {
            drop(PyErr::take(self.py));
            return false;
        }
        // SAFETY: a node is a live object; the statics are CPython's own types.
        let class = unsafe { ffi::Py_TYPE(node) };
        let is = |exact: *mut ffi::PyTypeObject| ptr::eq(class, exact);
        if is(&raw mut ffi::PyUnicode_Type) {
            let identity = Self::identity(node, owners);
            if let Some(identity) = identity
                && writer.refer(identity, place)
            {
                return true;
            }
            // SAFETY: `node` is a str, alive until the frame is written.
            let Some(text) = (unsafe { text_of(node) }) else {
                drop(PyErr::take(self.py));
                return false;
            };
            let written = if text.len() >= LONG {
                let Some(position) = writer.late_str(identity, text.len()) else { return false };
                self.late.push((position, self.owned(node).unbind()));
                true
            } else if let Some(identity) = identity {
                writer.shared_str(identity, text)
            } else {
                return writer.str(text);
            };
            if written && identity.is_some() {
                self.remember(node);
            }
            return written;
        }
        if is(&raw mut ffi::PyLong_Type) {
            // SAFETY: `node` is an int, alive.
            let value = unsafe { layout::int(node) };
            if let Some(value) = value {
                writer.int(value);
            }
            value.is_some()
        } else if is(&raw mut ffi::PyFloat_Type) {
            // SAFETY: `node` is a float.
            writer.float(unsafe { layout::float(node) });
            true
        } else if is(&raw mut ffi::PyBool_Type) {
            // SAFETY: Py_True is a static.
            writer.bool(ptr::eq(node, unsafe { ffi::Py_True() }));
            true
        // SAFETY: Py_None is a static.
        } else if ptr::eq(node, unsafe { ffi::Py_None() }) {
            writer.nil();
            true
        } else {
            false
        }
    }

    /// Does the same where it seldom happens, or takes long enough: for a key that an earlier dict did not have in that place.
    #[inline(never)]
    pub(crate) fn write_plain_apart(
        &mut self,
        node: Object,
        owners: usize,
        place: Option<usize>,
        writer: &mut PlainWriter<'_>,
    ) -> bool {
        self.write_plain(node, owners, place, writer)
    }

    /// Finds the key that was found at a position of a dict of that size, if the dict still has that size.
    fn key_at(
        &self,
        dict: Object,
        size: ffi::Py_ssize_t,
        mut position: ffi::Py_ssize_t,
    ) -> Option<Bound<'py, PyAny>> {
        let mut key = ptr::null_mut();
        // SAFETY: the dict is open or kept. The position is one that CPython gave for it; in a dict that has changed
        // it is that of another key, or of none. The key is borrowed, and gets a reference at once.
        unsafe {
            if ffi::PyDict_Size(dict) != size
                || ffi::PyDict_Next(dict, &raw mut position, &raw mut key, ptr::null_mut()) == 0
            {
                return None;
            }
            Some(Bound::from_borrowed_ptr(self.py, key))
        }
    }
}

/// The content of a str, which CPython keeps as UTF-8; `None`, and an exception, if it has lone surrogates.
///
/// # Safety
///
/// `object` must be a str, and live as long as the result is used.
#[inline(always)]
pub(crate) unsafe fn text_of<'a>(object: Object) -> Option<&'a str> {
    let mut len = 0;
    // SAFETY: it is a str, and what CPython gives are its `len` bytes of UTF-8.
    unsafe {
        let text = ffi::PyUnicode_AsUTF8AndSize(object, &raw mut len);
        (!text.is_null()).then(|| std::str::from_utf8_unchecked(bytes_at(text.cast(), len)))
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
    const HASHES: bool = true;

    #[inline]
    fn identity(node: Object, owners: usize) -> Option<usize> {
        // SAFETY: a node is a live object. The low 32 bits are the count in every version of CPython that
        // has more in that word than the count.
        let count = unsafe { ffi::Py_REFCNT(node) } as u32;
        if count as usize <= owners {
            return None;
        }
        // SAFETY: a node is a live object.
        let class = unsafe { ffi::Py_TYPE(node) };
        let is = |exact: *mut ffi::PyTypeObject| ptr::eq(class, exact);
        // As in pickle: these have no identity that anybody should rely on.
        let scalar = is(&raw mut ffi::PyLong_Type)
            || is(&raw mut ffi::PyFloat_Type)
            || is(&raw mut ffi::PyBool_Type)
            // SAFETY: Py_None is a static.
            || ptr::eq(node, unsafe { ffi::Py_None() })
            // SAFETY: it is a tuple.
            || (is(&raw mut ffi::PyTuple_Type) && unsafe { ffi::PyTuple_Size(node) } == 0);
        (!scalar).then_some(node as usize)
    }

    fn owners(walk: &Walk) -> usize {
        match walk {
            Walk::Tuple { owners, .. } => *owners,
            Walk::List { .. } | Walk::Dict { .. } => 1,
        }
    }

    #[inline]
    fn remember(&mut self, node: Object) {
        if self.owning {
            self.kept.push(self.owned(node).unbind());
        } else {
            self.remembered.push(node);
        }
    }

    fn converted(&mut self, node: Object, path: impl FnOnce(&mut Self) -> Path) {
        if let Some(slot) = self.slot.take() {
            // Slots are objects of ours, which have that method.
            let path = path(self).to_string();
            let _ = slot.bind(self.py).call_method1(intern!(self.py, "place"), (path,));
            return;
        }
        // SAFETY: a node is a live object.
        let class = unsafe { ffi::Py_TYPE(node) };
        // One of a class is told of; the classes are kept, so that an address is of one class only.
        if self.converted.insert(class as usize, 0).is_none() {
            let (path, class) = (path(self), self.owned(node).get_type());
            self.kept.push(class.clone().into_any().unbind());
            self.conversions.push(Conversion { class: class.unbind(), path });
        }
    }

    #[inline]
    fn look(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
        // SAFETY: a node is a live object; the statics are CPython's own types.
        let class = unsafe { ffi::Py_TYPE(node) };
        let is = |exact: *mut ffi::PyTypeObject| ptr::eq(class, exact);
        if self.builtins.is_some() && self.is_adapted(node) {
            return self.other(node);
        }
        // Hot types first; each `is` compares two addresses.
        if is(&raw mut ffi::PyUnicode_Type) {
            self.str(node)
        } else if is(&raw mut ffi::PyLong_Type) {
            self.int(node)
        } else if is(&raw mut ffi::PyFloat_Type) {
            // SAFETY: `node` is a float.
            Ok(Item::Float(unsafe { ffi::PyFloat_AsDouble(node) }))
        } else if is(&raw mut ffi::PyBool_Type) {
            // SAFETY: Py_True is a static.
            Ok(Item::Bool(ptr::eq(node, unsafe { ffi::Py_True() })))
        // SAFETY: Py_None is a static.
        } else if ptr::eq(node, unsafe { ffi::Py_None() }) {
            Ok(Item::Nil)
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
        } else if is(&raw mut ffi::PySet_Type) {
            self.elements(Container::Set, node)
        } else if is(&raw mut ffi::PyFrozenSet_Type) {
            self.elements(Container::Frozenset, node)
        } else if is(&raw mut ffi::PyComplex_Type) {
            // SAFETY: `node` is a complex.
            let (real, imaginary) =
                unsafe { (ffi::PyComplex_RealAsDouble(node), ffi::PyComplex_ImagAsDouble(node)) };
            Ok(Item::Complex(real, imaginary))
        // SAFETY: Py_Ellipsis is a static.
        } else if ptr::eq(node, unsafe { ffi::Py_Ellipsis() }) {
            Ok(Item::Ellipsis)
        // SAFETY: Py_NotImplemented is a static.
        } else if ptr::eq(node, unsafe { ffi::Py_NotImplemented() }) {
            Ok(Item::NotImplemented)
        } else {
            self.composite(node)
        }
    }

    #[inline]
    fn enter(&mut self, node: Object) -> Option<(Container, usize, Walk)> {
        // SAFETY: a node is a live object; the statics are CPython's own types.
        let class = unsafe { ffi::Py_TYPE(node) };
        let is = |exact: *mut ffi::PyTypeObject| ptr::eq(class, exact);
        if self.builtins.is_some() && self.is_adapted(node) {
            return None;
        }
        let (kind, count, walk) = if is(&raw mut ffi::PyDict_Type) {
            // SAFETY: `node` is a dict.
            let size = unsafe { layout::dict_size(node) };
            let (position, last, taken) = (0, 0, 0);
            let (value, seen) = (ptr::null_mut(), ptr::null_mut());
            let walk = Walk::Dict { dict: node, size, position, last, taken, value, seen, is_object: false };
            (Container::Dict, size, walk)
        } else if is(&raw mut ffi::PyList_Type) {
            // SAFETY: `node` is a list.
            let count = unsafe { layout::list_size(node) };
            (Container::List, count, Walk::List { list: node, taken: 0 })
        } else if is(&raw mut ffi::PyTuple_Type) {
            // SAFETY: `node` is a tuple.
            let count = unsafe { ffi::PyTuple_Size(node) };
            (Container::Tuple, count, Walk::Tuple { tuple: node, taken: 0, owners: 1, extension: None })
        } else {
            return None;
        };
        self.open(node);
        Some((kind, count as usize, walk))
    }

    #[inline]
    fn next(&mut self, walk: &mut Walk) -> Option<Object> {
        let node = self.take(walk)?;
        if self.builtins.is_some() {
            self.note_place(walk, node);
        }
        Some(node)
    }

    #[inline]
    fn leave(&mut self, walk: &Walk) -> bool {
        if !self.owning {
            // Nothing can have changed it.
            self.open.pop();
            return true;
        }
        match *walk {
            // SAFETY: the list is kept.
            Walk::List { list, taken } => unsafe { ffi::PyList_Size(list) == taken },
            Walk::Tuple { extension, .. } => {
                if extension == Some(ext::ADAPTED) {
                    self.adapted.pop();
                }
                true
            }
            // SAFETY: the dict is kept.
            Walk::Dict { dict, size, .. } => unsafe { ffi::PyDict_Size(dict) == size },
        }
    }

    fn plain(&mut self, walk: &mut Walk, limit: usize, writer: &mut PlainWriter<'_>) -> usize {
        if self.builtins.is_some() {
            return 0;
        }
        let mut count = 0;
        match walk {
            Walk::List { .. } | Walk::Tuple { .. } => {
                let (sequence, taken, owners, is_list) = match walk {
                    Walk::List { list, taken } => (*list, taken, 1, true),
                    Walk::Tuple { tuple, taken, owners, .. } => (*tuple, taken, *owners, false),
                    Walk::Dict { .. } => return 0,
                };
                // One loop for both: what is written is large.
                while count < limit {
                    // SAFETY: the list or tuple is open or kept; an index beyond its end is refused.
                    let node = unsafe {
                        if is_list {
                            layout::list_item(sequence, *taken)
                        } else {
                            ffi::PyTuple_GetItem(sequence, *taken)
                        }
                    };
                    if !self.write_plain(node, owners, None, writer) {
                        break;
                    }
                    *taken += 1;
                    count += 1;
                }
            }
            Walk::Dict { dict, size, position, last, taken, value, seen, .. } => {
                // SAFETY: the dict is open or kept.
                if unsafe { layout::dict_size(*dict) } != *size {
                    return 0;
                }
                if *taken % 2 == 1 {
                    // Its key was not plain.
                    if limit == 0 || !self.write_plain_apart(*value, 1, None, writer) {
                        return 0;
                    }
                    *taken += 1;
                    count += 1;
                }
                while count < limit {
                    let (mut key, mut ahead) = (ptr::null_mut(), *position);
                    // SAFETY: the dict is open or kept, and is what it was: no Python code runs here. Key and
                    // value are borrowed from it.
                    let found = unsafe { ffi::PyDict_Next(*dict, &raw mut ahead, &raw mut key, value) };
                    if found == 0 {
                        break;
                    }
                    *last = *position;
                    *position = ahead;
                    let place = *taken / 2;
                    if !writer.refer_again(key as usize, place)
                        && !self.write_plain_apart(key, 1, Some(place), writer)
                    {
                        // Nothing runs until it is taken.
                        *seen = key;
                        break;
                    }
                    *taken += 1;
                    count += 1;
                    if !self.write_plain(*value, 1, None, writer) {
                        break;
                    }
                    *taken += 1;
                    count += 1;
                }
            }
        }
        count
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

    fn step(&mut self, walk: &Walk) -> Step {
        // A `repr()` is anybody's code.
        self.own();
        match walk {
            Walk::Tuple { tuple, taken, extension: Some(kind), .. } => {
                let index = (*taken - 1).max(0) as usize;
                // The value before this one: its key or its name, if it has one.
                let before = self.owned(*tuple).get_item(index.saturating_sub(1)).ok();
                types::step(*kind, index, before.as_ref())
            }
            Walk::List { taken, .. } | Walk::Tuple { taken, .. } => Step::Index((*taken - 1).max(0) as usize),
            // The first value stands before the names.
            Walk::Dict { taken: ..3, is_object: true, .. } => Step::Within,
            Walk::Dict { dict, size, last, is_object: true, .. } => {
                let name = self.key_at(*dict, *size, *last);
                name.map_or(Step::Within, |name| Step::Attribute(name.to_string()))
            }
            Walk::Dict { taken, .. } if taken % 2 == 1 => Step::KeyAt(taken / 2),
            Walk::Dict { dict, size, last, taken, .. } => {
                let key = self.key_at(*dict, *size, *last);
                key.map_or(Step::KeyAt((taken / 2).saturating_sub(1)), |key| types::key_step(&key))
            }
        }
    }
}
