//! The items of streams as bytes, on their way out and on their way in: the wire format, section 2.
//!
//! A message with items is a sequence of runs, each of which is a list with a sharing table of its own. An item is encoded
//! when it is produced, since the generator may change it afterwards, so it is a run of its own; only immutable scalars are
//! kept as they are until there is another item, or the message is sent.

use std::sync::Arc;

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyList;
use pyo3::{PyTraverseError, PyVisit};
use workerlib_core::RefId;

use crate::deep::DEEP;
use crate::deferred::Unfinished;
use crate::errors::frame_error;
use crate::frame::{self, Frame, Part, Values};
use crate::settings::Settings;
use crate::types::adapts_builtins;

/// From how many bytes on a message is sent: more in one does not make it cheaper.
const ENOUGH: usize = 64 << 10;
/// How many bytes a scalar takes at most.
const SCALAR: usize = 9;

/// The items of a stream that have been produced and not been sent.
#[pyclass(module = "workerlib._native")]
pub(crate) struct Batch {
    settings: Arc<Settings>,
    /// Scalars that are not encoded yet; they stand behind `runs`.
    scalars: Vec<Py<PyAny>>,
    runs: Vec<u8>,
    buffers: Vec<Py<PyAny>>,
    /// The references that the items give to the other side.
    given: Vec<RefId>,
    count: u32,
    size: usize,
}

impl Batch {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self {
            settings,
            scalars: Vec::new(),
            runs: Vec::new(),
            buffers: Vec::new(),
            given: Vec::new(),
            count: 0,
            size: 0,
        }
    }

    /// Encodes the scalars.
    fn close_run(&mut self, py: Python<'_>) -> PyResult<()> {
        if !self.scalars.is_empty() {
            let run = PyList::new(py, self.scalars.drain(..))?;
            // No Python code runs for a scalar, so this may be borrowed meanwhile.
            let values = Values::encode(py, &[("item", run.as_any())], &self.settings, None)?;
            values.append_to(&mut self.runs);
        }
        Ok(())
    }

    /// Takes the items out: how many they are, their bytes, and what belongs to these.
    pub(crate) fn take(&mut self, py: Python<'_>) -> PyResult<(u32, Vec<u8>, Values)> {
        self.close_run(py)?;
        self.size = 0;
        let mut values = Values::of_buffers(std::mem::take(&mut self.buffers));
        values.given = std::mem::take(&mut self.given);
        Ok((std::mem::take(&mut self.count), std::mem::take(&mut self.runs), values))
    }
}

/// Returns whether an object is an immutable scalar whose encoding needs nothing of Python.
fn is_scalar(object: &Bound<'_, PyAny>) -> bool {
    let object = object.as_ptr();
    // SAFETY: the object is alive; the statics are CPython's own types.
    unsafe {
        let class = ffi::Py_TYPE(object);
        let is = |exact: *mut ffi::PyTypeObject| std::ptr::eq(class, exact);
        if is(&raw mut ffi::PyLong_Type) {
            let mut overflow = 0;
            ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
            return overflow == 0;
        }
        is(&raw mut ffi::PyFloat_Type) || is(&raw mut ffi::PyBool_Type) || object == ffi::Py_None()
    }
}

#[pymethods]
impl Batch {
    // Shows the garbage collector the objects that wait to be sent.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.buffers.iter().chain(&self.scalars).try_for_each(|object| visit.call(object))?;
        self.settings.traverse(&visit)
    }

    // Drops these objects; nobody has this any more.
    fn __clear__(&mut self) {
        self.buffers.clear();
        self.scalars.clear();
        self.settings = Arc::default();
    }

    // The number of items.
    fn __len__(&self) -> usize {
        self.count as usize
    }

    // Adds an item as it is now. Returns 1 if the batch is to be sent before the next item is produced, 2 if the item is
    // so deep besides that it has to be taken apart by `dismantle`, else 0; or what is unfinished of the item if an
    // adapter is async, which is not added then.
    fn add<'py>(slf: &Bound<'py, Self>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let settings = {
            let mut this = slf.borrow_mut();
            if !adapts_builtins() && is_scalar(item) {
                this.scalars.push(item.clone().unbind());
                this.count += 1;
                this.size += SCALAR;
                return told(py, u8::from(this.size >= ENOUGH));
            }
            Arc::clone(&this.settings)
        };
        let item = PyList::new(py, [item])?;
        // Not while this is borrowed: adapters may do anything.
        let values = Values::encode(py, &[("item", item.as_any())], &settings, None)?;
        if values.needs_deferred(py)? {
            return Ok(Bound::new(py, Unfinished::new(py, values, settings)?)?.into_any());
        }
        let mut this = slf.borrow_mut();
        this.close_run(py)?;
        this.size += values.size(py);
        this.count += 1;
        values.append_to(&mut this.runs);
        // Buffers beside the frame have not been copied.
        let is_due = this.size >= ENOUGH || !values.buffers.is_empty();
        this.buffers.extend(values.buffers);
        this.given.extend(values.given);
        told(py, if values.deepest > DEEP { 2 } else { u8::from(is_due) })
    }
}

fn told(py: Python<'_>, code: u8) -> PyResult<Bound<'_, PyAny>> {
    Ok(code.into_pyobject(py)?.into_any())
}

/// Reads the items of a message, and tells whether one of them is deep.
pub(crate) fn read_items<'py>(
    py: Python<'py>,
    frame: &Frame,
    count: u32,
    settings: &Settings,
) -> PyResult<(Bound<'py, PyList>, bool)> {
    let end = frame.bytes.as_bytes(py).len();
    let (mut part, mut deepest) = (Part::first(frame.body), 0);
    let mut items: Option<Bound<'py, PyList>> = None;
    while part.at < end {
        let ([run], depth, rest) = frame.decode_part(py, ["item"], settings, part, None)?;
        let run: Bound<'py, PyList> =
            run.cast_into_exact().map_err(|_| frame_error(py, "items that are no list"))?;
        (part, deepest) = (rest, deepest.max(depth));
        match &items {
            None => items = Some(run),
            Some(items) => items.as_any().call_method1(pyo3::intern!(py, "extend"), (run,)).map(drop)?,
        }
    }
    let items = items.filter(|items| items.len() == count as usize);
    let items = items.ok_or_else(|| frame_error(py, "another number of items than their message says"))?;
    // The list around each item is ours.
    Ok((items, deepest > DEEP + 1))
}

/// The number of bytes that the items of a message take, buffers included: as the producer counts them.
pub(crate) fn size_of(py: Python<'_>, frame: &Frame) -> usize {
    frame.bytes.as_bytes(py).len() - frame.body + frame::size_of_buffers(py, &frame.buffers)
}
