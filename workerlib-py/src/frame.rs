//! Frames: values of Python's behind an envelope, as bytes with buffers beside them.
//!
//! Values are encoded before it is known of which call they are, and outside of the session: what is not
//! builtin is taken apart by Python code, which may do anything with the session meanwhile.

use std::sync::atomic::{AtomicUsize, Ordering};

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyList};
use pyo3::{PyTraverseError, PyVisit};
use workerlib_codec::marker::{FIXEXT1, FIXEXT4, ext};
use workerlib_codec::{DecodeError, Decoder, Encoder, deferred, envelope};
use workerlib_core::{Message, RefId};

use crate::block::{region, uninitialised_bytes};
use crate::errors::{decode_error, encode_error, frame_error, unsendable_error};
use crate::gc_pause::{self, GcPause};
use crate::hooks::HOOKS;
use crate::settings::Settings;
use crate::sink::{PySink, Spent};
use crate::source::{PySource, text_of};

/// The number of bytes that the values of the last frame took: those of the next one often take as many, and room that
/// has to grow is copied.
static EXPECTED: AtomicUsize = AtomicUsize::new(64);
/// The most room that is made in advance.
const MOST_EXPECTED: usize = 16 << 20;

/// Values that share a sharing table, encoded, but for the bytes of long strs.
#[derive(Default)]
pub(crate) struct Values {
    table: Vec<u8>,
    body: Vec<u8>,
    /// Long strs whose content is still to be put into the body, and where.
    late: Vec<(usize, Py<PyAny>)>,
    pub(crate) buffers: Vec<Py<PyAny>>,
    /// The number of levels of containers that the deepest value has.
    pub(crate) deepest: usize,
    /// The object that keeps count of objects on their way through adapters, if there are such.
    pub(crate) outgoing: Option<Py<PyAny>>,
    /// The references that they give to the other side.
    pub(crate) given: Vec<RefId>,
    /// The references that they carry and the other side has given.
    pub(crate) carried: Vec<RefId>,
    /// Whether no Python code can have run for them.
    pub(crate) is_plain: bool,
}

impl Values {
    /// Shows the garbage collector the objects that the values refer to.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.buffers.iter().chain(&self.outgoing).try_for_each(|object| visit.call(object))
    }

    /// Encodes values, each with the name that errors call it by.
    ///
    /// `outgoing` is that of the values among which these belong, if they are a deferred value.
    pub(crate) fn encode<'py>(
        py: Python<'py>,
        values: &[(&str, &Bound<'py, PyAny>)],
        settings: &Settings,
        outgoing: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Self> {
        let mut source = PySource::new(py, settings);
        let is_row = outgoing.is_some();
        source.types.outgoing = outgoing;
        if values.first().is_some_and(|(root, _)| matches!(*root, "exception" | "value")) {
            // It, and what comes of `encode()`, is described in values of ours.
            source.builtins = None;
        }
        let mut encoder = Encoder::new(&settings.sent, EXPECTED.load(Ordering::Relaxed));
        let encoded = Self::walk(py, &mut source, &mut encoder, values, is_row);
        let outgoing = source.types.outgoing.take();
        if let Err(error) = encoded {
            if let Some(outgoing) = outgoing {
                outgoing.call_method0("discard")?;
            }
            return Err(error);
        }
        let deepest = encoder.deepest();
        let (table, body) = encoder.finish();
        EXPECTED.store(body.len().clamp(64, MOST_EXPECTED), Ordering::Relaxed);
        let outgoing = outgoing.map(Bound::unbind);
        let (given, carried) = source.types.take_references();
        let is_plain = source.is_plain();
        Ok(Self {
            table,
            body,
            late: source.late,
            buffers: source.buffers,
            deepest,
            outgoing,
            given,
            carried,
            is_plain,
        })
    }

    fn walk<'py>(
        py: Python<'py>,
        source: &mut PySource<'py>,
        encoder: &mut Encoder,
        values: &[(&str, &Bound<'py, PyAny>)],
        is_row: bool,
    ) -> PyResult<()> {
        let _pause = GcPause::new(py);
        for (root, value) in values {
            // Arguments are a tuple and a dict of ours, with their names; an item stands in a list of ours; what a deferred value
            // holds went through an adapter.
            let is_ours = matches!(*root, "args" | "kwargs" | "item") || is_row;
            source.begin(value.as_ptr(), is_ours, *root == "kwargs");
            encoder.encode(source, value.as_ptr()).map_err(|error| encode_error(py, root, error))?;
            for conversion in source.conversions.drain(..) {
                source.types.warn(&conversion.class, format!("{root}{}", conversion.path))?;
            }
            if let Some(outgoing) = &source.types.outgoing {
                outgoing.call_method1("name_root", (root,))?;
            }
        }
        Ok(())
    }

    /// Takes what an encoder has written: the sharing table with all that stands before the body, and the body; the long strs
    /// whose content belongs into that, and the buffers beside it.
    pub(crate) fn of_encoded(
        (table, body): (Vec<u8>, Vec<u8>),
        late: Vec<(usize, Py<PyAny>)>,
        buffers: Vec<Py<PyAny>>,
    ) -> Self {
        Self { table, body, late, buffers, ..Self::default() }
    }

    /// Returns whether there are objects in it that are encoded when they have been awaited.
    pub(crate) fn needs_deferred(&self, py: Python<'_>) -> PyResult<bool> {
        self.outgoing.as_ref().map_or(Ok(false), |outgoing| outgoing.bind(py).getattr("slots")?.is_truthy())
    }

    /// Refuses objects of async adapters, where nothing can be awaited.
    pub(crate) fn without_deferred(self, py: Python<'_>) -> PyResult<Self> {
        if self.needs_deferred(py)?
            && let Some(outgoing) = &self.outgoing
        {
            let outgoing = outgoing.bind(py);
            let slot = outgoing.getattr("slots")?.get_item(0)?;
            outgoing.call_method0("discard")?;
            let reason = "its adapter is async, and nothing can be awaited here";
            return Err(unsendable_error(
                py,
                slot.getattr("path")?.to_string(),
                slot.getattr("class_name")?.to_string(),
                Some(reason.to_owned()),
            ));
        }
        Ok(self)
    }

    /// The number of bytes that they take, buffers included.
    pub(crate) fn size(&self, py: Python<'_>) -> usize {
        // SAFETY: these are strs, owned here.
        let text = |text: &Py<PyAny>| unsafe { text_of(text.as_ptr()) }.map_or(0, str::len);
        let late = self.late.iter().map(|(_, late)| text(late)).sum::<usize>();
        self.table.len() + self.body.len() + late + size_of_buffers(py, &self.buffers)
    }

    /// Appends the values to `out`.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.table);
        let mut rest = (0, &self.body[..]);
        for (position, text) in &self.late {
            let (before, after) = rest.1.split_at(position - rest.0);
            out.extend_from_slice(before);
            // SAFETY: these are strs, owned here, whose UTF-8 was made when they were encoded.
            out.extend_from_slice(unsafe { text_of(text.as_ptr()) }.unwrap_or_default().as_bytes());
            rest = (*position, after);
        }
        out.extend_from_slice(rest.1);
    }

    /// Puts the values together behind `head`, without copying anything twice.
    pub(crate) fn bytes<'py>(&self, py: Python<'py>, head: &[&[u8]]) -> PyResult<Bound<'py, PyBytes>> {
        let mut parts = head.to_vec();
        parts.push(&self.table);
        let mut rest = (0, &self.body[..]);
        for (position, text) in &self.late {
            let (before, after) = rest.1.split_at(position - rest.0);
            // SAFETY: these are strs, owned here.
            let text = unsafe { text_of(text.as_ptr()) }.ok_or_else(|| PyErr::fetch(py))?;
            parts.extend([before, text.as_bytes()]);
            rest = (*position, after);
        }
        parts.push(rest.1);
        concatenated(py, &parts)
    }
}

/// A frame with the buffers beside it.
pub(crate) struct Frame {
    pub(crate) bytes: Py<PyBytes>,
    /// The offset at which the values begin, behind the envelope.
    pub(crate) body: usize,
    pub(crate) buffers: Vec<Py<PyAny>>,
}

impl Frame {
    /// Shows the garbage collector the buffers.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.buffers.iter().try_for_each(|buffer| visit.call(buffer))
    }

    /// Puts a message together with the values that it carries, and the deferred values that stand before these.
    pub(crate) fn new<P>(
        py: Python<'_>,
        message: &Message<P>,
        before: &[u8],
        values: Values,
    ) -> PyResult<Self> {
        let mut head = Vec::with_capacity(64);
        envelope::write(message, &mut head);
        let bytes = values.bytes(py, &[&head, before])?.unbind();
        Ok(Self { bytes, body: head.len(), buffers: values.buffers })
    }

    /// Copies the buffers, so that what their owners do to them before the frame is sent does not matter.
    pub(crate) fn copy_buffers(&mut self, py: Python<'_>) -> PyResult<()> {
        copy(py, &mut self.buffers)
    }

    /// Returns whether there may be references or streams in it: the bytes that begin one may mean something else, too.
    pub(crate) fn may_have_references(&self, py: Python<'_>) -> bool {
        let bytes = self.bytes.as_bytes(py).get(self.body..).unwrap_or_default();
        bytes.windows(2).any(|pair| matches!(pair, [FIXEXT1..=FIXEXT4, ext::REMOTE | ext::STREAM]))
    }

    /// Returns whether deferred values stand before the values.
    pub(crate) fn has_rows(&self, py: Python<'_>) -> bool {
        deferred::read(self.bytes.as_bytes(py), self.body).is_some()
    }

    /// Reads the values behind the envelope, which have these names, and how deep the deepest is.
    pub(crate) fn decode<'py, const N: usize>(
        &self,
        py: Python<'py>,
        names: [&str; N],
        settings: &Settings,
    ) -> PyResult<([Bound<'py, PyAny>; N], usize)> {
        let part = Part { is_last: true, ..Part::first(self.body) };
        let (values, deepest, _) = self.decode_part(py, names, settings, part, None)?;
        Ok((values, deepest))
    }

    /// Reads the values of a part of the frame, how deep the deepest is, and what follows.
    pub(crate) fn decode_part<'py, const N: usize>(
        &self,
        py: Python<'py>,
        names: [&str; N],
        settings: &Settings,
        part: Part,
        slots: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<([Bound<'py, PyAny>; N], usize, Part)> {
        let mut values = Vec::with_capacity(N);
        let (deepest, rest) = self.decode_into(py, &mut values, &names, settings, part, slots)?;
        let values = values.try_into().map_err(|_| frame_error(py, "another number of values"))?;
        Ok((values, deepest, rest))
    }

    /// Does the same for any number of values: the decoder is large, and there once.
    #[inline(never)]
    fn decode_into<'py>(
        &self,
        py: Python<'py>,
        values: &mut Vec<Bound<'py, PyAny>>,
        names: &[&str],
        settings: &Settings,
        part: Part,
        slots: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<(usize, Part)> {
        let bytes = self.bytes.as_bytes(py);
        let buffers: Vec<_> =
            self.buffers.iter().skip(part.buffers).map(|buffer| buffer.bind(py).clone()).collect();
        let mut sink = PySink::new(py, &buffers, (bytes.len(), part.spent), slots, settings);
        let _pause = GcPause::new(py);
        let mut decode = || -> Result<_, PyErr> {
            let whole = |error: DecodeError<PyErr>| decode_error(py, "", &Default::default(), &error);
            let mut decoder = Decoder::new(bytes, part.at, &settings.received).map_err(whole)?;
            for name in names {
                let value = decoder.decode(&mut sink);
                values.push(value.map_err(|error| decode_error(py, name, decoder.failed_at(), &error))?);
            }
            let deepest = decoder.deepest();
            let (at, buffers) = if part.is_last {
                decoder.finish().map_err(whole)?;
                (bytes.len(), 0)
            } else {
                decoder.end().map_err(whole)?
            };
            gc_pause::spare(py, sink.containers)?;
            Ok((deepest, Part { at, buffers: part.buffers + buffers, spent: sink.spent, is_last: false }))
        };
        let decoded = decode();
        if decoded.is_err() {
            sink.free(std::mem::take(values))?;
        }
        decoded
    }
}

/// The place in a frame at which values with a sharing table of their own start.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    /// The position of the sharing table.
    pub(crate) at: usize,
    /// The number of buffers that belong to what stands before.
    pub(crate) buffers: usize,
    /// The cost of building the values before these.
    pub(crate) spent: Spent,
    /// Whether the frame must end with these values.
    pub(crate) is_last: bool,
}

impl Part {
    /// The first of a frame's parts, which starts there.
    pub(crate) fn first(at: usize) -> Self {
        Self { at, buffers: 0, spent: Spent::default(), is_last: false }
    }
}

/// Encodes one value: bytes, and a list of the buffers beside them.
///
/// It raises UnsendableError where the value, or one in it, is of a type that cannot be sent. `table` is that of a
/// connection; by default the value belongs to none.
#[pyfunction]
#[pyo3(signature = (value, *, strict = false, table = None))]
pub(crate) fn encode<'py>(
    value: &Bound<'py, PyAny>,
    strict: bool,
    table: Option<Py<PyAny>>,
) -> PyResult<(Bound<'py, PyBytes>, Vec<Py<PyAny>>)> {
    static STRICT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = value.py();
    let table = match table {
        None if strict => Some(STRICT.import(py, HOOKS, "STRICT")?.clone().unbind()),
        table => table,
    };
    let settings = Settings { table, ..Settings::default() };
    let values = Values::encode(py, &[("value", value)], &settings, None)?.without_deferred(py)?;
    Ok((values.bytes(py, &[])?, values.buffers))
}

/// Decodes one value; the opposite of `encode`.
///
/// It raises FrameError where the bytes are not exactly one value. `table` is that of a connection; by default the
/// value belongs to none.
#[pyfunction]
#[pyo3(signature = (bytes, buffers, *, table = None))]
pub(crate) fn decode<'py>(
    bytes: Bound<'py, PyBytes>,
    buffers: Vec<Py<PyAny>>,
    table: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = bytes.py();
    let frame = Frame { bytes: bytes.unbind(), body: 0, buffers };
    let ([value], _) = frame.decode(py, ["value"], &Settings { table, ..Settings::default() })?;
    Ok(value)
}

/// The objects in a list.
#[inline(never)]
pub(crate) fn objects(list: &Bound<'_, PyList>) -> Vec<Py<PyAny>> {
    list.iter().map(Bound::unbind).collect()
}

/// The bytes of buffers in all, also of those that have arrived and lie in JavaScript's memory. An object of the host's has none: its
/// memory stays where it is.
pub(crate) fn size_of_buffers(py: Python<'_>, buffers: &[Py<PyAny>]) -> usize {
    let size = |buffer: &Py<PyAny>| {
        let buffer = buffer.bind(py);
        region(buffer).map(|(_, len)| len).or_else(|_| buffer.getattr(intern!(py, "byteLength"))?.extract())
    };
    buffers.iter().map(|buffer| size(buffer).unwrap_or(0)).sum()
}

/// Replaces buffers by copies; what is not a buffer is an object of the host's, of which there is one.
pub(crate) fn copy(py: Python<'_>, buffers: &mut [Py<PyAny>]) -> PyResult<()> {
    for buffer in buffers {
        // SAFETY: it is alive.
        if unsafe { ffi::PyObject_CheckBuffer(buffer.as_ptr()) } == 0 {
            continue;
        }
        // SAFETY: `buffer` is an object; what comes back is a new reference, or NULL with an error set.
        let copy = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromObject(buffer.as_ptr()))? };
        *buffer = copy.unbind();
    }
    Ok(())
}

/// Makes a bytes object of parts, without the zeros that `PyBytes::new_with` writes first.
fn concatenated<'py>(py: Python<'py>, parts: &[&[u8]]) -> PyResult<Bound<'py, PyBytes>> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    // SAFETY: all of it is written before anybody sees it.
    unsafe {
        let bytes = uninitialised_bytes(py, len)?;
        let mut to = ffi::PyBytes_AsString(bytes.as_ptr()).cast::<u8>();
        for part in parts {
            to.copy_from_nonoverlapping(part.as_ptr(), part.len());
            to = to.add(part.len());
        }
        Ok(bytes)
    }
}
