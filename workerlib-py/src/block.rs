//! Memory behind a memoryview: the one place that implements the buffer protocol (PEP 3118).
//!
//! A [`Block`] either owns its memory (a received memoryview's) or holds somebody else's buffer (a
//! memoryview that is being sent). It has no other purpose than `memoryview(block)`.

use std::ffi::{CString, c_char, c_int, c_void};
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ptr;

use pyo3::exceptions::{PyBufferError, PyMemoryError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use pyo3::{PyTraverseError, PyVisit};
use workerlib_codec::ViewHeader;

/// The alignment of owned memory in bytes, enough for every item that `struct` or numpy know.
type Unit = u128;

/// A buffer that another object exports, held until this is dropped.
pub(crate) struct Held {
    /// Boxed: some exporters keep the address of the struct that they filled.
    view: Box<ffi::Py_buffer>,
}

// SAFETY: a Py_buffer is plain data; it is only used while attached to the interpreter (`py` below).
unsafe impl Send for Held {}
// SAFETY: as above; nothing mutates it after it was filled.
unsafe impl Sync for Held {}

impl Held {
    /// Asks `object` for its buffer, with format, shape and strides.
    pub(crate) fn get(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: `object` is alive and `view` is writable; on success the view owns a reference.
        let code = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *view, ffi::PyBUF_FULL_RO) };
        if code == 0 { Ok(Self { view }) } else { Err(PyErr::fetch(object.py())) }
    }

    /// Shows the garbage collector the object that exports the buffer.
    fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(exporter) = ptr::NonNull::new(self.view.obj) else { return Ok(()) };
        // SAFETY: `Py` is such a pointer (it is `repr(transparent)`), and this one is alive as long as the view. The
        // copy is never dropped, so the count of references stays what it is.
        let exporter =
            ManuallyDrop::new(unsafe { mem::transmute::<ptr::NonNull<ffi::PyObject>, Py<PyAny>>(exporter) });
        visit.call(&*exporter)
    }

    /// Tells format, shape and whether it may be written to.
    pub(crate) fn header(&self) -> ViewHeader {
        let view = &*self.view;
        let format = if view.format.is_null() {
            "B".to_owned()
        } else {
            // SAFETY: the buffer protocol has a NUL-terminated string here, alive as long as the view.
            unsafe { std::ffi::CStr::from_ptr(view.format) }.to_string_lossy().into_owned()
        };
        let dimensions = usize::try_from(view.ndim).unwrap_or(0);
        let shape = if dimensions == 0 {
            Vec::new()
        } else {
            // SAFETY: PyBUF_FULL_RO asks for the shape, an array of `ndim` numbers.
            unsafe { std::slice::from_raw_parts(view.shape, dimensions) }.iter().map(|&n| n as u64).collect()
        };
        ViewHeader::new(view.readonly != 0, view.itemsize as u32, format, shape)
    }

    /// The content if it lies in C order, without a gap.
    pub(crate) fn contiguous(&self) -> Option<&[u8]> {
        // SAFETY: the view was filled by PyObject_GetBuffer.
        let contiguous = unsafe { ffi::PyBuffer_IsContiguous(&raw const *self.view, b'C' as c_char) } != 0;
        // SAFETY: a contiguous buffer has `len` bytes at `buf`, which the exporter may not move or free
        // while the view is held. That Python code writes to them meanwhile is excluded by the GIL.
        contiguous.then(|| unsafe { bytes_at(self.view.buf.cast(), self.view.len) })
    }

    /// Copies the content into C order.
    pub(crate) fn copy(&self, py: Python<'_>) -> PyResult<Vec<u8>> {
        let mut bytes: Vec<u8> = Vec::with_capacity(self.view.len as usize);
        // SAFETY: the vector has room for `len` bytes, all of which the call writes if it succeeds.
        unsafe {
            let to = bytes.as_mut_ptr().cast::<c_void>();
            // The view is only read; the parameter's type lacks the const in some versions.
            let from = (&raw const *self.view).cast_mut();
            if ffi::PyBuffer_ToContiguous(to, from, self.view.len, b'C' as c_char) != 0 {
                return Err(PyErr::fetch(py));
            }
            bytes.set_len(self.view.len as usize);
        }
        Ok(bytes)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        Python::attach(|_| {
            // SAFETY: filled by PyObject_GetBuffer and released once, here.
            unsafe { ffi::PyBuffer_Release(&raw mut *self.view) };
        });
    }
}

/// Makes a slice of what C calls `len` bytes at `start`.
///
/// # Safety
///
/// `len` bytes at `start` must be readable for `'a`; if `len` is 0, `start` may be anything.
pub(crate) unsafe fn bytes_at<'a>(start: *const u8, len: ffi::Py_ssize_t) -> &'a [u8] {
    if len <= 0 {
        return &[];
    }
    // SAFETY: promised by the caller.
    unsafe { std::slice::from_raw_parts(start, len as usize) }
}

enum Memory {
    Owned(Box<[MaybeUninit<Unit>]>),
    Held(Held),
}

/// Memory that a memoryview can be made of: what a received memoryview, or one that is sent, stands on.
#[pyclass(module = "workerlib._native", frozen)]
pub(crate) struct Block {
    memory: Memory,
    len: usize,
    readonly: bool,
    itemsize: usize,
    format: CString,
    shape: Box<[ffi::Py_ssize_t]>,
    strides: Box<[ffi::Py_ssize_t]>,
}

impl Block {
    /// Makes a block with the header's format and shape; `None` if the header cannot be right.
    ///
    /// # Safety
    ///
    /// Its content is not initialised: all of it must be written before anybody else has the block.
    pub(crate) unsafe fn uninitialised(header: &ViewHeader) -> Option<Self> {
        let len = usize::try_from(header.len()?).ok().filter(|&len| isize::try_from(len).is_ok())?;
        let itemsize = usize::try_from(header.itemsize).ok()?;
        let shape: Box<[ffi::Py_ssize_t]> = header
            .shape
            .iter()
            .map(|&length| ffi::Py_ssize_t::try_from(length).ok())
            .collect::<Option<_>>()?;
        // PyBUF_MAX_NDIM: CPython's memoryview refuses more.
        if shape.len() > 64 {
            return None;
        }
        let mut strides: Box<[ffi::Py_ssize_t]> = vec![0; shape.len()].into();
        let mut stride = ffi::Py_ssize_t::try_from(itemsize).ok()?;
        for (place, &length) in strides.iter_mut().zip(&shape).rev() {
            *place = stride;
            stride = stride.saturating_mul(length.max(1));
        }
        Some(Self {
            memory: Memory::Owned(Box::new_uninit_slice(len.div_ceil(size_of::<Unit>()))),
            len,
            readonly: header.readonly,
            itemsize,
            format: CString::new(native_format(&header.format, itemsize)?).ok()?,
            shape,
            strides,
        })
    }

    /// Makes a block of bytes, as a view of them can be sent.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let mut memory = Box::new_uninit_slice(bytes.len().div_ceil(size_of::<Unit>()));
        // SAFETY: the memory has at least as many bytes, and nobody else has it.
        unsafe { memory.as_mut_ptr().cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Self::raw(Memory::Owned(memory), bytes.len())
    }

    /// Makes a block of bytes of a buffer that another object exports, which must be contiguous.
    pub(crate) fn of_held(held: Held) -> Self {
        let len = held.view.len as usize;
        Self::raw(Memory::Held(held), len)
    }

    fn raw(memory: Memory, len: usize) -> Self {
        let (shape, strides) = ([len as ffi::Py_ssize_t].into(), [1].into());
        Self { memory, len, readonly: true, itemsize: 1, format: c"B".into(), shape, strides }
    }

    /// The address of the first byte; `len` of them are there.
    pub(crate) fn start(&self) -> *mut u8 {
        match &self.memory {
            Memory::Owned(memory) => memory.as_ptr().cast_mut().cast(),
            Memory::Held(held) => held.view.buf.cast(),
        }
    }
}

/// Returns a format for items of `itemsize` bytes that this machine reads as the sender's, if there is one.
///
/// CPython's memoryview trusts the format more than the item size when it reads an item, and numpy takes
/// `O` for pointers to objects: a frame must not be able to say either.
pub(crate) fn native_format(format: &str, itemsize: usize) -> Option<String> {
    let mut characters = format.strip_prefix('@').unwrap_or(format).chars();
    let (Some(kind), None) = (characters.next(), characters.next()) else {
        // Between colons stand the names of fields.
        let has_pointers = format.split(':').step_by(2).any(|part| part.contains(['O', '&', 'X']));
        return (!has_pointers).then(|| format.to_owned());
    };
    let sized = |sizes: [(usize, char); 4]| {
        sizes.into_iter().find(|&(size, _)| size == itemsize).map(|(_, kind)| kind)
    };
    let readable = match kind {
        'b' | 'h' | 'i' | 'l' | 'q' | 'n' => sized([(1, 'b'), (2, 'h'), (4, 'i'), (8, 'q')]),
        'B' | 'H' | 'I' | 'L' | 'Q' | 'N' | 'P' => sized([(1, 'B'), (2, 'H'), (4, 'I'), (8, 'Q')]),
        'c' | '?' => (itemsize == 1).then_some(kind),
        'e' => (itemsize == 2).then_some(kind),
        'f' => (itemsize == 4).then_some(kind),
        'd' => (itemsize == 8).then_some(kind),
        _ => None,
    }?;
    // The sender's own character stays where it has that size here too.
    let same = match kind {
        'l' | 'L' => itemsize == size_of::<std::ffi::c_long>(),
        'n' | 'N' | 'P' => itemsize == size_of::<usize>(),
        _ => true,
    };
    Some(if same { kind } else { readable }.to_string())
}

#[pymethods]
impl Block {
    // Shows the garbage collector (PEP 442) the object whose buffer is held.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        match &self.memory {
            Memory::Held(held) => held.traverse(&visit),
            Memory::Owned(_) => Ok(()),
        }
    }

    // Fills in a buffer request (PEP 3118).
    //
    // # Safety
    //
    // CPython calls it with a `view` that it may write to.
    unsafe fn __getbuffer__(slf: Bound<'_, Self>, view: *mut ffi::Py_buffer, flags: c_int) -> PyResult<()> {
        let block = slf.get();
        let asks = |flag| flags & flag == flag;
        if block.readonly && asks(ffi::PyBUF_WRITABLE) {
            return Err(PyBufferError::new_err("this memory is read-only"));
        }
        // SAFETY: `view` is writable (see above). Its memory belongs to the block, never moves
        // (the class is frozen), and lives until the reference in `obj` is dropped.
        unsafe {
            (*view).buf = block.start().cast();
            (*view).len = block.len as ffi::Py_ssize_t;
            (*view).readonly = c_int::from(block.readonly);
            (*view).itemsize = block.itemsize as ffi::Py_ssize_t;
            (*view).format =
                if asks(ffi::PyBUF_FORMAT) { block.format.as_ptr().cast_mut() } else { ptr::null_mut() };
            (*view).ndim = block.shape.len() as c_int;
            (*view).shape =
                if asks(ffi::PyBUF_ND) { block.shape.as_ptr().cast_mut() } else { ptr::null_mut() };
            (*view).strides =
                if asks(ffi::PyBUF_STRIDES) { block.strides.as_ptr().cast_mut() } else { ptr::null_mut() };
            (*view).suboffsets = ptr::null_mut();
            (*view).internal = ptr::null_mut();
            (*view).obj = slf.into_ptr();
        }
        Ok(())
    }

    // The number of bytes.
    fn __len__(&self) -> usize {
        self.len
    }
}

/// Makes a bytes object.
///
/// # Safety
///
/// Its content is not initialised: all of it must be written before anybody reads it.
pub(crate) unsafe fn uninitialised_bytes(py: Python<'_>, len: usize) -> PyResult<Bound<'_, PyBytes>> {
    let len = ffi::Py_ssize_t::try_from(len).map_err(|_| PyMemoryError::new_err(()))?;
    // SAFETY: what comes back is a new reference to a bytes object, or null with an error set.
    unsafe {
        Ok(Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(ptr::null(), len))?
            .cast_into_unchecked())
    }
}

/// Makes a bytes object whose content is whatever was in the memory: for a channel, which writes all of it before it hands the
/// object on. To write zeros first takes a third of the time that the content takes.
#[pyfunction]
pub(crate) fn room(py: Python<'_>, len: usize) -> PyResult<Bound<'_, PyBytes>> {
    // SAFETY: promised by the channel: nobody else gets the object before.
    unsafe { uninitialised_bytes(py, len) }
}

/// Tells where the content of a contiguous buffer lies, and how many bytes it has.
///
/// The address is right until something is done with the object, or to Python's memory as a whole: it is for
/// those who copy at once.
#[pyfunction]
pub(crate) fn region(object: &Bound<'_, PyAny>) -> PyResult<(usize, usize)> {
    if let Ok(bytes) = object.cast_exact::<PyBytes>() {
        let bytes = bytes.as_bytes();
        return Ok((bytes.as_ptr().addr(), bytes.len()));
    }
    let held = Held::get(object)?;
    let bytes = held.contiguous().ok_or_else(|| PyBufferError::new_err("the content is not in one piece"))?;
    Ok((bytes.as_ptr().addr(), bytes.len()))
}
