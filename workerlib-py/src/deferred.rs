//! Frames with deferred values, which hold objects that are awaited before they can be sent or used: the wire format, section 4.8.
//!
//! `workerlib/_values/async_adapters.py` awaits; this module has the bytes, on their way out and on their way in.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};
use pyo3::{PyTraverseError, PyVisit};
use workerlib_codec::deferred;

use crate::deep::DEEP;
use crate::errors::frame_error;
use crate::frame::{self, Frame, Part, Values};
use crate::settings::{Settings, lock};

/// A deferred value as Python has it: bytes, and a list of the buffers beside them.
type PyDeferred<'py> = (Bound<'py, PyBytes>, Bound<'py, PyList>);

/// The arguments of a call, or a result, of which a part has to be awaited before it can be encoded.
#[pyclass(module = "workerlib._native")]
pub(crate) struct Unfinished {
    values: Values,
    settings: Arc<Settings>,
}

impl Unfinished {
    /// Keeps values until their deferred values are there. Their buffers are copied: the values are sent as they are now.
    pub(crate) fn new(py: Python<'_>, mut values: Values, settings: Arc<Settings>) -> PyResult<Self> {
        frame::copy(py, &mut values.buffers)?;
        Ok(Self { values, settings })
    }

    /// Gives what stands before the values, and these, with the deferred values' buffers before their own. `levels` are lists
    /// of deferred values.
    #[inline(never)]
    pub(crate) fn finish(&mut self, levels: &Bound<'_, PyList>) -> PyResult<(Vec<u8>, Values)> {
        let mut values = std::mem::take(&mut self.values);
        let (mut before, mut buffers) = (Vec::new(), Vec::new());
        for level in levels {
            let level = level.cast_into::<PyList>()?;
            deferred::write(&mut before, u32::try_from(level.len())?);
            for one in level {
                let (bytes, beside): PyDeferred<'_> = one.extract()?;
                before.extend_from_slice(bytes.as_bytes());
                buffers.append(&mut frame::objects(&beside));
            }
        }
        buffers.append(&mut values.buffers);
        values.buffers = buffers;
        Ok((before, values))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.values.given.is_empty() {
            lock(&self.settings.written).unsent.append(&mut self.values.given);
        }
    }
}

#[pymethods]
impl Unfinished {
    // Shows the garbage collector the objects that wait to be sent.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.values.traverse(&visit)?;
        self.settings.traverse(&visit)
    }

    // Drops these objects; nobody has this any more.
    fn __clear__(&mut self) {
        self.values = Values::default();
        self.settings = Arc::default();
    }

    // The object that keeps count of the objects that are to be awaited: `Outgoing` of `_values/slot.py`.
    #[getter]
    fn outgoing(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.values.outgoing.as_ref().map(|outgoing| outgoing.clone_ref(py))
    }

    // Encodes the values of a deferred value; errors call them by a name.
    fn deferred_value<'py>(
        slf: &Bound<'py, Self>,
        values: &Bound<'py, PyTuple>,
        name: &str,
    ) -> PyResult<(Bound<'py, PyBytes>, Vec<Py<PyAny>>)> {
        let py = slf.py();
        // Not while this is borrowed: adapters may do anything.
        let (settings, outgoing) = {
            let this = slf.borrow();
            let outgoing = this.values.outgoing.as_ref().map(|outgoing| outgoing.bind(py).clone());
            (Arc::clone(&this.settings), outgoing)
        };
        let all: Vec<_> = values.iter().collect();
        let all: Vec<_> = all.iter().map(|value| (name, value)).collect();
        let mut value = Values::encode(py, &all, &settings, outgoing)?;
        {
            let values = &mut slf.borrow_mut().values;
            values.given.append(&mut value.given);
            values.carried.append(&mut value.carried);
        }
        Ok((value.bytes(py, &[])?, value.buffers))
    }
}

/// A call, or an answer, that came with deferred values: they are restored before its values can be read.
#[pyclass(module = "workerlib._native")]
pub(crate) struct Arrival {
    frame: Frame,
    settings: Arc<Settings>,
    rest: Part,
    /// The restored deferred values, by their number.
    #[pyo3(get)]
    slots: Py<PyDict>,
}

impl Arrival {
    pub(crate) fn new(py: Python<'_>, frame: Frame, settings: Arc<Settings>) -> Self {
        let rest = Part::first(frame.body);
        Self { frame, settings, rest, slots: PyDict::new(py).unbind() }
    }

    /// Reads the values behind the deferred values, and how deep the deepest is.
    fn values<'py, const N: usize>(
        slf: &Bound<'py, Self>,
        names: [&str; N],
    ) -> PyResult<([Bound<'py, PyAny>; N], usize)> {
        let this = slf.borrow();
        let part = Part { is_last: true, ..this.rest };
        let slots = this.slots.bind(slf.py());
        let (values, deepest, _) =
            this.frame.decode_part(slf.py(), names, &this.settings, part, Some(slots))?;
        Ok((values, deepest))
    }
}

#[pymethods]
impl Arrival {
    // Shows the garbage collector the buffers that came, and the objects that deferred values were restored to.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.frame.traverse(&visit)?;
        self.settings.traverse(&visit)?;
        visit.call(&self.slots)
    }

    // Drops these objects; nobody has this any more.
    fn __clear__(&mut self) {
        self.frame.buffers.clear();
        self.settings = Arc::default();
        // The dict is cleared by its own class, if it stands in the circle.
    }

    // Reads the deferred values that stand next, which need none of each other: a list of tuples of a number, an
    // adapter's key, data, a class's name and a path. None if there are no more.
    fn deferred_values<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyList>>> {
        let py = slf.py();
        let (read, mut rest) = (PyList::empty(py), slf.borrow().rest);
        let Some((count, at)) = deferred::read(slf.borrow().frame.bytes.as_bytes(py), rest.at) else {
            return Ok(None);
        };
        rest.at = at;
        for _ in 0..count {
            let this = slf.borrow();
            let slots = Some(this.slots.bind(py));
            let (values, _, next) =
                this.frame.decode_part(py, ["a deferred value"; 5], &this.settings, rest, slots)?;
            rest = next;
            read.append(PyTuple::new(py, values)?)?;
        }
        slf.borrow_mut().rest = rest;
        Ok(Some(read))
    }

    // Reads the arguments of a call, positional and by keyword, and tells whether they are deep.
    fn arguments<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyList>, bool)> {
        let ([args, kwargs], deepest) = Self::values(slf, ["args", "kwargs"])?;
        if !args.is_instance_of::<PyTuple>() || !kwargs.is_instance_of::<PyDict>() {
            return Err(frame_error(slf.py(), "a call without a tuple and a dict"));
        }
        Ok((PyList::new(slf.py(), [args, kwargs])?, deepest > DEEP))
    }

    // Reads an item of a stream.
    fn item<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let ([run], _) = Self::values(slf, ["item"])?;
        run.cast_exact::<PyList>()
            .ok()
            .filter(|run| run.len() == 1)
            .ok_or_else(|| frame_error(slf.py(), "no list of one item"))?
            .get_item(0)
    }

    // Reads the result of a call.
    fn result<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let ([value], _) = Self::values(slf, ["result"])?;
        Ok(value)
    }
}
