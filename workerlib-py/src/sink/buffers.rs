//! The buffers that came beside a frame, and the arrays that are made of them without a memoryview on the way.
//!
//! A buffer is an object that exports one, or a buffer of JavaScript's, which has to be copied by a method of its own. Its length is
//! compared with what the header claims before memory is asked for. For arrays that need a closer look, these functions make nothing.

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PySlice};
use workerlib_codec::{Data, ViewHeader};

use super::{Build, PySink};
use crate::block::native_format;
use crate::frequent::Arrays;

impl<'py, 'b> PySink<'py, 'b> {
    /// The buffer of a number.
    pub(super) fn buffer(&self, number: usize) -> PyResult<&'b Bound<'py, PyAny>> {
        self.buffers
            .get(number)
            .ok_or_else(|| PyValueError::new_err(format!("buffer {number} did not come with the frame")))
    }

    /// The number of bytes in a buffer that came along.
    pub(super) fn buffer_len(&self, number: usize) -> PyResult<usize> {
        let buffer = self.buffer(number)?;
        // A JavaScript buffer (pyodide.ffi.JsBuffer) has its length under this name, and no buffer protocol.
        match buffer.getattr_opt(intern!(self.py, "byteLength"))? {
            Some(len) => len.extract(),
            None => buffer.len(),
        }
    }

    /// Makes an array of its content, without a memoryview on the way; `None` if it has to be looked at more closely.
    pub(super) fn array(
        &self,
        build: &Build,
        header: &ViewHeader,
        data: &Data<'_>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let len = match *data {
            Data::Inline(data) => data.len(),
            Data::OutOfBand(number) => self.buffer_len(number)?,
            _ => return Ok(None),
        };
        let itemsize = header.itemsize as usize;
        let format = native_format(&header.format, itemsize).filter(|_| header.len() == Some(len as u64));
        let Some(format) = format else { return Ok(None) };
        let typecode = self.filled(build)?.get_item(0)?;
        let Some(arrays) = Arrays::find(&typecode, &format, itemsize) else { return Ok(None) };
        match *data {
            Data::Inline(data) => arrays.make(PyBytes::new(self.py, data).as_any()).map(Some),
            Data::OutOfBand(number) => {
                let buffer = self.buffer(number)?;
                if buffer.is_exact_instance_of::<PyBytes>() {
                    return arrays.make(buffer).map(Some);
                }
                let array = arrays.make_empty(len / itemsize)?;
                let (start, _): (usize, usize) =
                    array.call_method0(intern!(self.py, "buffer_info"))?.extract()?;
                self.fill(number, start as *mut u8, len)?;
                Ok(Some(array))
            }
            _ => Ok(None),
        }
    }

    /// Makes an array of numpy's of the buffer that is its content.
    pub(super) fn ndarray(
        &self,
        build: &Build,
        header: &ViewHeader,
        number: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let len = self.buffer_len(number)?;
        if header.len() != Some(len as u64) {
            return Ok(None);
        }
        let values = self.filled(build)?;
        let Some((array, start)) = self.types.ndarray(&values, len)? else { return Ok(None) };
        self.fill(number, start as *mut u8, len)?;
        if !values.get_item(3)?.is_truthy()? {
            array.call_method1(intern!(self.py, "setflags"), (false,))?;
        }
        Ok(Some(array))
    }

    /// Copies a buffer that came along to `to`, where there is room for `len` bytes: its length.
    pub(super) fn fill(&self, number: usize, to: *mut u8, len: usize) -> PyResult<()> {
        // SAFETY: the caller has just made the memory and keeps it alive; the view is dropped before that.
        let view =
            unsafe { ffi::PyMemoryView_FromMemory(to.cast(), len as ffi::Py_ssize_t, ffi::PyBUF_WRITE) };
        let view = self.made(view)?;
        let buffer = self.buffer(number)?;
        if buffer.hasattr(intern!(self.py, "assign_to"))? {
            buffer.call_method1(intern!(self.py, "assign_to"), (&view,))?;
        } else {
            view.set_item(PySlice::full(self.py), buffer)?;
        }
        view.call_method0(intern!(self.py, "release"))?;
        Ok(())
    }
}
