//! Python's objects as they are built from a frame, by raw pointers.
//!
//! Builtin types are made here, with CPython's own constructors, all others by the fixed table in
//! `workerlib/_values/table.py`; a frame can name nothing else.

mod buffers;
mod spent;

use std::{mem, ptr};

use pyo3::exceptions::{PyTypeError, PyUnicodeDecodeError, PyValueError};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyInt, PyList, PyString, PyTuple};
use workerlib_codec::cost::LARGE;
use workerlib_codec::marker::{Container, ext};
use workerlib_codec::{Data, Hashes, PlainReader, Sink, Step, ViewHeader};

use crate::block::{Block, uninitialised_bytes};
use crate::deep::dismantle;
use crate::layout;
use crate::objects::{Filling, Recipe};
use crate::plain;
use crate::settings::Settings;
use crate::types::{self, Types};

pub(crate) use spent::Spent;

/// Python's objects as a [`Sink`].
pub(crate) struct PySink<'py, 'b> {
    py: Python<'py>,
    /// The buffers beside the frame, by number: objects that export a buffer, or JavaScript's buffers.
    buffers: &'b [Bound<'py, PyAny>],
    types: Types<'py>,
    /// The restored deferred values of the frame, by number.
    slots: Option<&'b Bound<'py, PyDict>>,
    /// The content of a bad frame, to be freed with care.
    discarded: Vec<Bound<'py, PyAny>>,
    /// The number of bytes that the frame has.
    frame_len: usize,
    /// The cost of building it so far.
    pub(crate) spent: Spent,
    /// The number of containers that were begun.
    pub(crate) containers: usize,
    /// The plans by which objects of the classes that were met are made.
    recipes: Vec<Recipe<'py>>,
    /// The number of containers that exist whose content is not complete, so that their hashes may not be right.
    incomplete: usize,
}

/// Of how many classes a frame's objects are made by what is known of them already.
const MOST_RECIPES: usize = 64;

/// Puts None into the slots of a list or a tuple that are still null, which Python code must never see.
fn fill_slots(py: Python<'_>, object: &Bound<'_, PyAny>, from: ffi::Py_ssize_t) {
    let (object, none) = (object.as_ptr(), || py.None().into_ptr());
    // SAFETY: the slots from `from` on are there and null; each gets a reference of its own. A tuple is not
    // shared yet, as `PyTuple_SetItem` demands.
    unsafe {
        if ffi::PyTuple_CheckExact(object) != 0 {
            for slot in from..ffi::PyTuple_Size(object) {
                ffi::PyTuple_SetItem(object, slot, none());
            }
        } else if ffi::PyList_CheckExact(object) != 0 {
            for slot in from..ffi::PyList_Size(object) {
                ffi::PyList_SetItem(object, slot, none());
            }
        }
    }
}

/// Refuses something that a later `workerlib-codec` may read, and this bridge cannot build.
#[cold]
fn unknown(thing: &str) -> PyErr {
    PyValueError::new_err(format!("workerlib._native does not know this kind of {thing}"))
}

/// Returns whether the `repr()` of a key is short and nobody's code: not that of a tuple of tuples.
fn is_simple(key: &Bound<'_, PyAny>) -> bool {
    key.is_exact_instance_of::<PyString>() || key.is_exact_instance_of::<PyInt>()
}

/// A container whose elements are still being read.
///
/// It owns its references, and gives them up in [`Sink::finish`] or [`Sink::discard`]: a drop of its own would
/// keep it out of registers.
pub(crate) struct Build {
    kind: Container,
    /// The place of its recipe behind 0, if it is an object that is made by one.
    recipe: u32,
    /// Whether the decoder counts the places of its keys, if it is a dict.
    is_large: bool,
    /// The container, or what collects its values until they are all there; null when it was taken out.
    object: *mut ffi::PyObject,
    /// A container that exists before its content does and collects its values elsewhere, an array that has its
    /// content already, or null.
    made: *mut ffi::PyObject,
    filled: ffi::Py_ssize_t,
    /// A key whose value has not come yet, or null.
    key: *mut ffi::PyObject,
}

impl Build {
    fn filling(&mut self) -> Filling<'_> {
        let Self { made, object, filled, key, .. } = self;
        Filling { made: *made, content: *object, filled, key }
    }
}

impl<'py, 'b> PySink<'py, 'b> {
    /// Starts to build what a frame of that many bytes holds, of which a part that cost so much is
    /// built already; `slots` has what its deferred values were restored to, and `settings` are the connection's.
    pub(crate) fn new(
        py: Python<'py>,
        buffers: &'b [Bound<'py, PyAny>],
        (frame_len, spent): (usize, Spent),
        slots: Option<&'b Bound<'py, PyDict>>,
        settings: &Settings,
    ) -> Self {
        let types = Types::new(py, settings);
        Self {
            py,
            buffers,
            types,
            slots,
            discarded: Vec::new(),
            frame_len,
            spent,
            containers: 0,
            recipes: Vec::new(),
            incomplete: 0,
        }
    }

    /// Finds what a deferred value was restored to.
    fn slot(&self, values: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let number = values.get_item(0).ok().filter(|number| number.is_exact_instance_of::<PyInt>());
        if let (Some(number), Some(slots), 1) = (&number, self.slots, values.len()?)
            && let Some(found) = slots.get_item(number)?
        {
            return Ok(found);
        }
        let text = match number {
            Some(number) => format!("deferred value {number} has not come before its slot"),
            None => "a slot has to have one value, the number of a deferred value".to_owned(),
        };
        Err(PyValueError::new_err(text))
    }

    /// Counts what a builder may copy, and refuses what the frame does not account for.
    fn account(&mut self, value: &Bound<'py, PyAny>) -> PyResult<()> {
        let mut spent = self.spent;
        spent.hand(value, self.frame_len, || {
            (0..self.buffers.len()).map(|number| self.buffer_len(number)).sum()
        })?;
        self.spent = spent;
        Ok(())
    }

    /// Frees what was built of a bad frame, which may be deeper than Python could free it.
    pub(crate) fn free(self, values: Vec<Bound<'py, PyAny>>) -> PyResult<()> {
        let all = PyList::new(self.py, self.discarded.into_iter().chain(values).collect::<Vec<_>>())?;
        dismantle(&all)
    }

    /// Takes over the result of a constructor of CPython's.
    fn made(&self, object: *mut ffi::PyObject) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: every caller passes a new reference, or null with an exception set.
        unsafe { Bound::from_owned_ptr_or_err(self.py, object) }
    }

    /// Tells apart why CPython made no str: because it is not UTF-8, or anything else.
    #[cold]
    fn no_text(&self) -> PyResult<Option<Bound<'py, PyAny>>> {
        let error = PyErr::fetch(self.py);
        if error.is_instance_of::<PyUnicodeDecodeError>(self.py) { Ok(None) } else { Err(error) }
    }

    /// Makes what a container becomes that only collected its values so far.
    #[inline(never)]
    fn convert(
        &mut self,
        kind: Container,
        values: Bound<'py, PyAny>,
        made: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match kind {
            Container::Extension(number) if kind.is_filled() => {
                let object =
                    made.ok_or_else(|| PyValueError::new_err("there is no value to make it from"))?;
                self.types.fill(number, &object, &values)?;
                Ok(object)
            }
            Container::Extension(ext::SLOT) => self.slot(&values),
            Container::Extension(number) => {
                let values: Bound<'py, PyTuple> = values.cast_into()?;
                // The array has its content, so no other values may follow.
                if let Some(array) = made
                    && values.len() == if number == ext::ARRAY { 2 } else { 5 }
                {
                    return Ok(array);
                }
                for value in values.iter_borrowed() {
                    self.account(&value)?;
                }
                if number == ext::PATTERN && !values.is_empty() {
                    self.spent.patterns = self.types.weigh(self.spent.patterns, &values)?;
                }
                self.types.build(number, values)
            }
            // SAFETY: makes a new frozenset of the tuple's elements.
            _ => self.made(unsafe { ffi::PyFrozenSet_New(values.as_ptr()) }),
        }
    }

    /// Adds a value to an object of a filled type, which the first value makes.
    #[inline(never)]
    fn push_filled(&mut self, build: &mut Build, kind: u8, value: Bound<'py, PyAny>) -> PyResult<()> {
        if build.recipe > 0 {
            return self.recipes[build.recipe as usize - 1].push(&mut build.filling(), value);
        }
        if !build.made.is_null() {
            // SAFETY: the list that collects the values is alive.
            let code = unsafe { ffi::PyList_Append(build.object, value.as_ptr()) };
            build.filled += 1;
            return if code == 0 { Ok(()) } else { Err(PyErr::fetch(self.py)) };
        }
        self.account(&value)?;
        let made = match if kind == ext::OBJECT { self.recipe(&value)? } else { None } {
            Some(place) => {
                let (made, content) = self.recipes[place].make()?;
                build.recipe = place as u32 + 1;
                // SAFETY: the reference to the list that will not be needed is taken over.
                drop(unsafe {
                    Bound::from_owned_ptr(self.py, mem::replace(&mut build.object, content.into_ptr()))
                });
                made
            }
            None => {
                build.filled += 1;
                self.types.make(kind, value)?
            }
        };
        build.made = made.into_ptr();
        self.incomplete += 1;
        Ok(())
    }

    /// Finds the recipe for an object by the first of its values, which mostly is the same for many.
    fn recipe(&mut self, first: &Bound<'py, PyAny>) -> PyResult<Option<usize>> {
        if let Some(place) = self.recipes.iter().rposition(|recipe| recipe.is_for(first)) {
            return Ok(Some(place));
        }
        if self.recipes.len() == MOST_RECIPES {
            // The recipes that are there may be of open objects.
            return Ok(None);
        }
        self.recipes.push(Recipe::find(first)?);
        Ok(Some(self.recipes.len() - 1))
    }

    /// Tells why a dict or a set did not take a key.
    #[cold]
    fn no_key(&self, error: PyErr) -> PyErr {
        if self.incomplete == 0 || error.is_instance_of::<PyTypeError>(self.py) {
            return error;
        }
        PyValueError::new_err(format!(
            "{error}: the hash of a key was asked for before all of its attributes were there, since they hold it; \
             pickle cannot send that either"
        ))
    }

    /// Gives the values that a tuple has received so far.
    fn filled(&self, build: &Build) -> PyResult<Bound<'py, PyTuple>> {
        // SAFETY: the tuple that collects the values is alive; its first slots are filled, and only these are read.
        let values = unsafe { self.made(ffi::PyTuple_GetSlice(build.object, 0, build.filled)) };
        Ok(values?.cast_into()?)
    }
}

impl<'py> Sink for PySink<'py, '_> {
    type Value = Bound<'py, PyAny>;
    type Build = Build;
    type Error = PyErr;

    #[inline]
    fn nil(&mut self) -> PyResult<Self::Value> {
        Ok(self.py.None().into_bound(self.py))
    }

    #[inline]
    fn bool(&mut self, value: bool) -> PyResult<Self::Value> {
        // SAFETY: returns a new reference to a static.
        self.made(unsafe { ffi::PyBool_FromLong(value.into()) })
    }

    // Most ints are plain values, which do not come by here.
    #[inline(never)]
    fn int(&mut self, value: i64) -> PyResult<Self::Value> {
        self.made(plain::int(self.py, value))
    }

    fn uint(&mut self, value: u64) -> PyResult<Self::Value> {
        // SAFETY: attached to the interpreter, as `self.py` proves; so in all calls below.
        self.made(unsafe { ffi::PyLong_FromUnsignedLongLong(value) })
    }

    fn big_int(&mut self, bytes: &[u8]) -> PyResult<Self::Value> {
        let options = PyDict::new(self.py);
        options.set_item(intern!(self.py, "signed"), true)?;
        let bytes = PyBytes::new(self.py, bytes);
        self.py.get_type::<PyInt>().call_method(
            intern!(self.py, "from_bytes"),
            (bytes, "little"),
            Some(&options),
        )
    }

    #[inline]
    fn float(&mut self, value: f64) -> PyResult<Self::Value> {
        // SAFETY: as above.
        self.made(unsafe { ffi::PyFloat_FromDouble(value) })
    }

    #[inline]
    fn str(&mut self, bytes: &[u8]) -> PyResult<Option<Self::Value>> {
        // SAFETY: the pointer and the length are those of a slice. CPython's decoder is as strict as Rust's.
        let text = unsafe {
            ffi::PyUnicode_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as ffi::Py_ssize_t)
        };
        if text.is_null() { self.no_text() } else { self.made(text).map(Some) }
    }

    fn complex(&mut self, real: f64, imaginary: f64) -> PyResult<Self::Value> {
        // SAFETY: as above.
        self.made(unsafe { ffi::PyComplex_FromDoubles(real, imaginary) })
    }

    fn ellipsis(&mut self) -> PyResult<Self::Value> {
        Ok(self.py.Ellipsis().into_bound(self.py))
    }

    fn not_implemented(&mut self) -> PyResult<Self::Value> {
        Ok(self.py.NotImplemented().into_bound(self.py))
    }

    fn surrogates(&mut self, bytes: &[u8]) -> PyResult<Self::Value> {
        let bytes = PyBytes::new(self.py, bytes).into_any();
        Ok(PyString::from_encoded_object(&bytes, Some(c"utf-8"), Some(c"surrogatepass"))?.into_any())
    }

    fn bytes(&mut self, data: Data<'_>) -> PyResult<Self::Value> {
        match data {
            Data::Inline(data) => Ok(PyBytes::new(self.py, data).into_any()),
            Data::OutOfBand(number) => {
                let buffer = self.buffer(number)?;
                if buffer.is_exact_instance_of::<PyBytes>() {
                    return Ok(buffer.clone());
                }
                let len = self.buffer_len(number)?;
                // SAFETY: nobody but this function sees the content before `fill` has written all of it, and where that
                // fails it is dropped unread.
                unsafe {
                    let bytes = uninitialised_bytes(self.py, len)?;
                    self.fill(number, ffi::PyBytes_AsString(bytes.as_ptr()).cast(), len)?;
                    Ok(bytes.into_any())
                }
            }
            _ => Err(unknown("place of a buffer")),
        }
    }

    fn bytearray(&mut self, data: Data<'_>) -> PyResult<Self::Value> {
        match data {
            Data::Inline(data) => Ok(PyByteArray::new(self.py, data).into_any()),
            Data::OutOfBand(number) => {
                let len = self.buffer_len(number)?;
                // SAFETY: as in `bytes`.
                unsafe {
                    let len_ssize = len as ffi::Py_ssize_t;
                    let bytes = self.made(ffi::PyByteArray_FromStringAndSize(ptr::null(), len_ssize))?;
                    self.fill(number, ffi::PyByteArray_AsString(bytes.as_ptr()).cast(), len)?;
                    Ok(bytes)
                }
            }
            _ => Err(unknown("place of a buffer")),
        }
    }

    fn handle(&mut self, number: usize) -> PyResult<Self::Value> {
        // Only what came through a browser's port has this.
        match self.buffer(number)?.getattr_opt(intern!(self.py, "take_object"))? {
            Some(take) => take.call0(),
            None => Err(PyValueError::new_err(format!("buffer {number} is not an object of JavaScript's"))),
        }
    }

    fn view(&mut self, header: ViewHeader, data: Data<'_>) -> PyResult<Self::Value> {
        let impossible = || PyValueError::new_err("no memory can have the header of this memoryview");
        let len = match data {
            Data::Inline(data) => data.len(),
            Data::OutOfBand(number) => self.buffer_len(number)?,
            _ => return Err(unknown("place of a buffer")),
        };
        // The length is compared before memory is asked for: a header may claim any.
        if header.len() != Some(len as u64) {
            return Err(impossible());
        }
        // SAFETY: it is filled directly below, and dropped unread where that fails.
        let block = unsafe { Block::uninitialised(&header) }.ok_or_else(impossible)?;
        match data {
            // SAFETY: the block has `len` bytes, and nobody else has seen it yet.
            Data::Inline(data) => unsafe { block.start().copy_from_nonoverlapping(data.as_ptr(), len) },
            Data::OutOfBand(number) => self.fill(number, block.start(), len)?,
            _ => return Err(unknown("place of a buffer")),
        }
        let block = Bound::new(self.py, block)?;
        // SAFETY: a block exports a buffer.
        self.made(unsafe { ffi::PyMemoryView_FromObject(block.as_ptr()) })
    }

    fn view_within(
        &mut self,
        build: &mut Build,
        header: ViewHeader,
        data: Data<'_>,
    ) -> PyResult<Self::Value> {
        let made = match (build.kind, build.filled, &data) {
            (Container::Extension(ext::ARRAY), 1, _) => self.array(build, &header, &data)?,
            (Container::Extension(ext::NDARRAY), 4, &Data::OutOfBand(number)) => {
                self.ndarray(build, &header, number)?
            }
            _ => None,
        };
        let Some(made) = made else { return self.view(header, data) };
        build.made = made.into_ptr();
        self.nil()
    }

    #[inline(always)]
    fn begin(&mut self, kind: Container, count: usize) -> PyResult<Build> {
        let is_large = count >= LARGE;
        self.containers += 1;
        let count = count as ffi::Py_ssize_t;
        // SAFETY: constructors of CPython's; the slots of list and tuple are null until `push`.
        let object = unsafe {
            match kind {
                Container::List => ffi::PyList_New(count),
                Container::Dict => ffi::PyDict_New(),
                Container::Set => ffi::PySet_New(ptr::null_mut()),
                Container::Extension(_) if kind.is_filled() => ffi::PyList_New(0),
                Container::Tuple | Container::Frozenset | Container::Extension(_) => ffi::PyTuple_New(count),
                _ => return Err(unknown("container")),
            }
        };
        if object.is_null() {
            return Err(PyErr::fetch(self.py));
        }
        Ok(Build {
            kind,
            recipe: 0,
            is_large,
            object,
            made: ptr::null_mut(),
            filled: 0,
            key: ptr::null_mut(),
        })
    }

    #[inline]
    fn push(&mut self, build: &mut Build, value: Self::Value) -> PyResult<()> {
        let object = build.object;
        // SAFETY: the decoder pushes as many values as `begin` made room for; SetItem takes over the
        // reference that `into_ptr` gives up, and only this function refers to the container. The key's
        // reference is taken over from `build`.
        let code = unsafe {
            match build.kind {
                Container::List => {
                    i32::from(layout::set_list_item(object, build.filled, value.into_ptr())) - 1
                }
                Container::Dict if build.key.is_null() => {
                    build.key = value.into_ptr();
                    return Ok(());
                }
                Container::Dict => {
                    let key = mem::replace(&mut build.key, ptr::null_mut());
                    let value = value.into_ptr();
                    let code = ffi::PyDict_SetItem(object, key, value);
                    // The key or the value may be the last of its kind, and the code that frees it must not find an error.
                    let error = (code != 0).then(|| PyErr::fetch(self.py));
                    layout::give_up(key);
                    layout::give_up(value);
                    if let Some(error) = error {
                        return Err(self.no_key(error));
                    }
                    0
                }
                Container::Set => {
                    if ffi::PySet_Add(object, value.as_ptr()) != 0 {
                        return Err(self.no_key(PyErr::fetch(self.py)));
                    }
                    0
                }
                Container::Extension(kind) if build.kind.is_filled() => {
                    return self.push_filled(build, kind, value);
                }
                Container::Tuple | Container::Frozenset | Container::Extension(_) => {
                    ffi::PyTuple_SetItem(object, build.filled, value.into_ptr())
                }
                _ => return Err(unknown("container")),
            }
        };
        build.filled += 1;
        if code == 0 { Ok(()) } else { Err(PyErr::fetch(self.py)) }
    }

    #[inline]
    fn plain(&mut self, build: &mut Build, reader: &mut PlainReader<'_, '_, Self::Value>) -> PyResult<()> {
        match build.kind {
            Container::List => plain::fill_slots(self.py, build.object, false, &mut build.filled, reader),
            Container::Dict => {
                plain::fill_dict(self.py, build.object, &mut build.key, build.is_large, reader)
                    .map_err(|error| self.no_key(error))
            }
            Container::Extension(_) if build.recipe > 0 => {
                self.recipes[build.recipe as usize - 1].plain(&mut build.filling(), reader)
            }
            // Elements of sets are hashed, and some types are made from their first value.
            Container::Set | Container::Frozenset => Ok(()),
            kind if kind.is_filled() => Ok(()),
            _ => plain::fill_slots(self.py, build.object, true, &mut build.filled, reader),
        }
    }

    #[inline(always)]
    fn finish(&mut self, build: &mut Build) -> PyResult<Self::Value> {
        // SAFETY: the reference is taken over from `build`.
        let object =
            unsafe { Bound::from_owned_ptr(self.py, mem::replace(&mut build.object, ptr::null_mut())) };
        match build.kind {
            Container::List | Container::Dict | Container::Set | Container::Tuple => Ok(object),
            kind => {
                let made = mem::replace(&mut build.made, ptr::null_mut());
                // SAFETY: the reference is taken over from `build`.
                let made = unsafe { Bound::from_owned_ptr_or_opt(self.py, made) };
                self.incomplete -= usize::from(kind.is_filled() && made.is_some());
                match made {
                    Some(made) if build.recipe > 0 && build.key.is_null() => {
                        self.recipes[build.recipe as usize - 1].finish(&made, &object)?;
                        Ok(made)
                    }
                    _ if build.recipe > 0 => Err(PyValueError::new_err("the last attribute has no value")),
                    made => self.convert(kind, object, made),
                }
            }
        }
    }

    #[inline]
    fn hash(&mut self, value: &Self::Value, asked: Hashes) -> PyResult<Option<(isize, bool)>> {
        let is_shared = !plain::hash_is_its_own(value.as_ptr());
        let is_left_out = match asked {
            Hashes::Shared => !is_shared,
            Hashes::Chosen => plain::hash_is_secret(value.as_ptr()),
            _ => false,
        };
        if is_left_out {
            return Ok(None);
        }
        // SAFETY: the object is alive; -1 says that there is an exception.
        let hash = unsafe { ffi::PyObject_Hash(value.as_ptr()) };
        if hash == -1 { Err(self.no_key(PyErr::fetch(self.py))) } else { Ok(Some((hash, is_shared))) }
    }

    #[inline]
    fn keys(&self, build: &Build) -> Option<usize> {
        // SAFETY: the container is alive.
        let len = unsafe {
            match build.kind {
                Container::Dict => ffi::PyDict_Size(build.object),
                Container::Set => ffi::PySet_Size(build.object),
                _ => return None,
            }
        };
        usize::try_from(len).ok()
    }

    fn step(&self, build: &Build) -> Step {
        // SAFETY: what `build` owns is alive, or null; these take references of their own.
        let shared = |object| unsafe { Bound::from_borrowed_ptr_or_opt(self.py, object) };
        let index = build.filled as usize;
        match build.kind {
            Container::Dict => shared(build.key).filter(|key| is_simple(key)).map_or_else(
                || Step::KeyAt(shared(build.object).map_or(0, |dict| dict.len().unwrap_or(0))),
                |key| types::key_step(&key),
            ),
            Container::Extension(_) if !build.key.is_null() => {
                Step::Attribute(types::name_of(shared(build.key).as_ref()))
            }
            Container::Extension(kind) => {
                // The values that a filled object collects follow the value that it was made from. A slot of a tuple
                // that is not filled yet must not be looked at.
                let collected = index.checked_sub(1 + usize::from(build.kind.is_filled()));
                let values = shared(build.object);
                let before = collected.and_then(|last| values.and_then(|values| values.get_item(last).ok()));
                types::step(kind, index, before.filter(|one| is_simple(one)).as_ref())
            }
            _ => Step::Index(index),
        }
    }

    fn discard(&mut self, build: Build) {
        // SAFETY: the references are taken over from `build`.
        let owned = |object| unsafe { Bound::from_owned_ptr_or_opt(self.py, object) };
        self.incomplete -= usize::from(build.kind.is_filled() && !build.made.is_null());
        let (object, made, key) = (owned(build.object), owned(build.made), owned(build.key));
        if let Some(object) = &object {
            fill_slots(self.py, object, build.filled);
        }
        self.discarded.extend([object, made, key].into_iter().flatten());
    }

    fn define(&mut self, _number: usize, value: Self::Value) -> (Self::Value, Self::Value) {
        (value.clone(), value)
    }

    fn define_open(&mut self, _number: usize, build: &mut Build) -> Option<Self::Value> {
        // SAFETY: what `build` owns is alive, or null; this takes a reference of its own.
        let shared = |object| unsafe { Bound::from_borrowed_ptr_or_opt(self.py, object) };
        match build.kind {
            Container::List => {
                let object = shared(build.object)?;
                // From here on a user's `__eq__` or `__hash__` may come across it.
                fill_slots(self.py, &object, build.filled);
                Some(object)
            }
            Container::Dict | Container::Set => shared(build.object),
            Container::Extension(_) if build.kind.is_filled() => shared(build.made),
            _ => None,
        }
    }

    #[inline]
    fn refer(&mut self, defined: &Self::Value) -> Self::Value {
        defined.clone()
    }
}
