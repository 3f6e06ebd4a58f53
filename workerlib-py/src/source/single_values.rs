//! Builtin values that hold no others: the content of a str, an int or a memoryview, as the encoder takes it.
//!
//! The content is borrowed where it lies, or from `scratch` where it has to be made first.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyInt};
use workerlib_codec::{Buffer, Item};

use super::{Object, PySource, Walk};
use crate::block::{Held, bytes_at};
use crate::errors::Refusal;

impl<'py> PySource<'py> {
    #[inline]
    pub(super) fn str(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
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
    fn surrogates(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
        drop(PyErr::take(self.py));
        let text = self.owned(node);
        // SAFETY: `text` is a str, alive; the result is a new reference or null.
        let encoded = unsafe {
            let bytes =
                ffi::PyUnicode_AsEncodedString(text.as_ptr(), c"utf-8".as_ptr(), c"surrogatepass".as_ptr());
            Bound::from_owned_ptr_or_err(self.py, bytes)
        };
        let encoded = encoded.map_err(Refusal::Raised)?;
        self.scratch = content(&encoded).map_err(Refusal::Raised)?;
        Ok(Item::Surrogates(&self.scratch))
    }

    #[inline]
    pub(super) fn int(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
        let mut overflow = 0;
        // SAFETY: `node` is an int, alive.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(node, &raw mut overflow) };
        if overflow == 0 { Ok(Item::Int(value)) } else { self.big_int(node) }
    }

    #[cold]
    fn big_int(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
        let int = self.owned(node);
        let bytes = |int: &Bound<'py, PyAny>| -> PyResult<Vec<u8>> {
            let bits: usize = int.call_method0(intern!(int.py(), "bit_length"))?.extract()?;
            // One bit more for the sign.
            let bytes = int.py().get_type::<PyInt>().getattr(intern!(int.py(), "to_bytes"))?;
            let options = PyDict::new(int.py());
            options.set_item(intern!(int.py(), "signed"), true)?;
            content(&bytes.call((int, bits / 8 + 1, "little"), Some(&options))?)
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

    pub(super) fn view(&mut self, node: Object) -> Result<Item<'_, Object, Walk>, Refusal> {
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
}

/// Copies the content of a bytes object.
fn content(bytes: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    Ok(bytes.cast::<PyBytes>()?.as_bytes().to_vec())
}
