//! The library types that come in thousands: arrays, datetimes, numpy's scalars, named tuples, and exceptions of builtin
//! classes.
//!
//! The rows of `workerlib/_values/` call a Python function for each object. This module reads and builds the simple objects
//! of these types without one; the frame is the same. All other objects, and all that a frame has no right to, take the way of
//! the row, which also knows the error.

use std::cell::RefCell;
use std::ptr;

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyMemoryView, PyString, PyTuple, PyType};
use workerlib_codec::marker::ext;

use crate::hooks::HOOKS;

/// The way in which the objects of one class are read.
#[derive(Clone)]
pub(crate) enum Reader<'py> {
    /// By the row of the table.
    Row,
    /// An `array.array`.
    Array,
    /// A `datetime`.
    Datetime,
    /// An exception of the builtin class of that name.
    Exception(Bound<'py, PyString>),
    /// A scalar of numpy with that description of its dtype.
    Scalar(Bound<'py, PyString>),
}

impl<'py> Reader<'py> {
    /// Finds the reader for objects of a class that follow an extension type.
    pub(crate) fn find(class: &Bound<'py, PyType>, kind: Option<u8>) -> PyResult<Self> {
        let py = class.py();
        Ok(match kind {
            Some(ext::ARRAY) if class.is(array(py)?) => Self::Array,
            Some(ext::DATETIME) if class.is(datetime(py)?) => Self::Datetime,
            Some(ext::EXCEPTION) if is_plain_exception(class) => {
                let name = class.name()?;
                let own = builtin(&name)?;
                if own.is_some_and(|own| own.is(class)) { Self::Exception(name) } else { Self::Row }
            }
            Some(ext::NUMPY_SCALAR) => {
                let found = py.import(HOOKS)?.getattr(intern!(py, "describe_scalars"))?.call1((class,))?;
                found.cast_into().map_or(Self::Row, Self::Scalar)
            }
            _ => Self::Row,
        })
    }

    /// Gives the values of an object; `None` if its row has to.
    pub(crate) fn read(&self, object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        match self {
            Self::Row => Ok(None),
            Self::Array => read_array(object),
            Self::Datetime => read_datetime(object),
            Self::Exception(name) => read_exception(object, name),
            Self::Scalar(descr) => {
                let content = object.call_method0(intern!(object.py(), "tobytes"))?;
                PyTuple::new(object.py(), [descr.as_any(), &content]).map(Some)
            }
        }
    }
}

/// The common parts of a frame's objects that are alike, looked up once.
#[derive(Default)]
pub(crate) struct Builders<'py> {
    scalar: RefCell<Option<Scalars<'py>>>,
    named_tuple: RefCell<Option<NamedTuples<'py>>>,
}

/// numpy's scalars of one dtype.
#[derive(Clone)]
struct Scalars<'py> {
    /// The description that a frame has.
    descr: Bound<'py, PyAny>,
    /// Makes a scalar of a dtype and bytes; none where the row has to.
    found: Option<(Bound<'py, PyAny>, Bound<'py, PyAny>, usize)>,
}

/// Named tuples of one class.
#[derive(Clone)]
struct NamedTuples<'py> {
    /// The class's name and fields, as a frame has them.
    key: Bound<'py, PyAny>,
    fields: Bound<'py, PyAny>,
    class: Bound<'py, PyType>,
    /// The number of items that a tuple has.
    count: usize,
}

impl<'py> Builders<'py> {
    /// Builds an object of an extension type from all of its values; `None` if its row has to.
    pub(crate) fn build(
        &self,
        kind: u8,
        values: &Bound<'py, PyTuple>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match kind {
            ext::DATETIME => build_datetime(values),
            ext::NUMPY_SCALAR if values.len() == 2 => self.scalar(values),
            ext::NAMED_TUPLE if values.len() > 2 => self.named_tuple(values),
            _ => Ok(None),
        }
    }

    fn scalar(&self, values: &Bound<'py, PyTuple>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (descr, content) = (values.get_item(0)?, values.get_item(1)?);
        let known = self.scalar.borrow().as_ref().filter(|known| known.descr.is(&descr)).cloned();
        let known = match known {
            Some(known) => known,
            None => {
                let hooks = values.py().import(HOOKS)?;
                let found = hooks.getattr(intern!(values.py(), "scalar_maker"))?.call1((&descr,))?;
                self.scalar.borrow_mut().insert(Scalars { descr, found: found.extract()? }).clone()
            }
        };
        let Some((make, dtype, itemsize)) = known.found else { return Ok(None) };
        let fits = content.cast_exact::<PyBytes>().is_ok_and(|content| content.as_bytes().len() == itemsize);
        if fits { make.call1((dtype, content)).map(Some) } else { Ok(None) }
    }

    fn named_tuple(&self, values: &Bound<'py, PyTuple>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = values.py();
        let (key, fields) = (values.get_item(0)?, values.get_item(1)?);
        let is_known = |known: &&NamedTuples<'_>| known.key.is(&key) && known.fields.is(&fields);
        let known = self.named_tuple.borrow().as_ref().filter(is_known).cloned();
        let known = match known {
            Some(known) => known,
            None => {
                let find = py.import(HOOKS)?.getattr(intern!(py, "find_named_tuple"))?;
                let (class, count) = find.call1((&key, &fields))?.extract()?;
                self.named_tuple.borrow_mut().insert(NamedTuples { key, fields, class, count }).clone()
            }
        };
        if values.len() != known.count + 2 {
            return Ok(None);
        }
        let arguments = PyTuple::new(py, [values.get_slice(2, values.len())])?;
        // SAFETY: the slot of `tuple` is a function of that type. The class is one of tuple's, as `find_named_tuple`
        // checked; the function returns a new reference, or null and an exception.
        unsafe {
            let new = ffi::PyType_GetSlot(&raw mut ffi::PyTuple_Type, ffi::Py_tp_new);
            let new = std::mem::transmute::<*mut std::ffi::c_void, ffi::newfunc>(new);
            let made = new(known.class.as_type_ptr(), arguments.as_ptr(), ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, made).map(Some)
        }
    }
}

// Arrays. Those of characters have no format that a memoryview could be cast to, and are the row's.

fn array(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "array", "array")
}

fn read_array<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = object.py();
    let typecode = object.getattr(intern!(py, "typecode"))?.cast_into::<PyString>()?;
    if size_of_item(typecode.to_str()?).is_none() {
        return Ok(None);
    }
    let content = PyMemoryView::from(object)?;
    PyTuple::new(py, [typecode.as_any(), content.as_any()]).map(Some)
}

/// The number of bytes that a number of an array has on this machine; `None` for what is not a typecode of numbers.
fn size_of_item(typecode: &str) -> Option<usize> {
    Some(match typecode {
        "b" | "B" => 1,
        "h" | "H" => size_of::<std::ffi::c_short>(),
        "i" | "I" => size_of::<std::ffi::c_int>(),
        "l" | "L" => size_of::<std::ffi::c_long>(),
        "q" | "Q" => size_of::<std::ffi::c_longlong>(),
        "f" => size_of::<f32>(),
        "d" => size_of::<f64>(),
        _ => return None,
    })
}

/// The arrays of one typecode.
pub(crate) struct Arrays<'py> {
    typecode: Bound<'py, PyString>,
    itemsize: usize,
}

impl<'py> Arrays<'py> {
    /// Finds the arrays for a frame's typecode, which may be anything, and a format that this machine has for items of that
    /// size; `None` if there are none.
    pub(crate) fn find(typecode: &Bound<'py, PyAny>, format: &str, itemsize: usize) -> Option<Self> {
        let typecode = typecode.cast_exact::<PyString>().ok()?;
        let size = size_of_item(typecode.to_str().ok()?)?;
        // 'l' has four bytes here and eight there: the content decides.
        let typecode = match size_of_item(format) {
            _ if size == itemsize => typecode.clone(),
            Some(size) if size == itemsize => PyString::new(typecode.py(), format),
            _ => return None,
        };
        Some(Self { typecode, itemsize })
    }

    /// Makes an array of a bytes object, which has whole items.
    pub(crate) fn make(&self, content: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        array(self.typecode.py())?.call1((&self.typecode, content))
    }

    /// Makes an array of so many zeros.
    pub(crate) fn make_empty(&self, count: usize) -> PyResult<Bound<'py, PyAny>> {
        let one = self.make(PyBytes::new(self.typecode.py(), &[0; 8][..self.itemsize]).as_any())?;
        one.call_method1(intern!(one.py(), "__mul__"), (count,))
    }
}

// Datetimes. Both ways lead over the state that `datetime` has for pickle: ten bytes, and a time zone if there is one.

fn datetime(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "datetime", "datetime")
}

/// Returns whether the fold of a datetime is what its state says: the zones of pytz have none, and their row knows why.
fn has_its_fold(zone: &Bound<'_, PyAny>) -> bool {
    let module = zone.get_type().module();
    module.is_ok_and(|module| module.to_str().is_ok_and(|name| name.split('.').next() != Some("pytz")))
}

fn read_datetime<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let reduced = object.call_method1(intern!(object.py(), "__reduce_ex__"), (4,))?;
    let state = reduced.cast_into::<PyTuple>()?.get_item(1)?.cast_into::<PyTuple>()?;
    let is_simple = state.len() == 1 || has_its_fold(&state.get_item(1)?);
    Ok(is_simple.then_some(state))
}

fn build_datetime<'py>(values: &Bound<'py, PyTuple>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let class = datetime(values.py())?;
    let state = values.get_item(0).ok().and_then(|state| state.cast_into_exact::<PyBytes>().ok());
    // The class itself looks at the month only.
    if !state.is_some_and(|state| state.as_bytes().try_into().is_ok_and(is_moment)) {
        return Ok(None);
    }
    match values.len() {
        1 => class.call1(values).map(Some),
        // A value that is no time zone is refused; the row says that in our words.
        2 if has_its_fold(&values.get_item(1)?) => Ok(class.call1(values).ok()),
        _ => Ok(None),
    }
}

/// Returns whether these bytes are a date and a time.
fn is_moment([high, low, month, day, hour, minute, second, micros @ ..]: [u8; 10]) -> bool {
    let (year, month) = (u16::from_be_bytes([high, low]), month & 0x7f);
    let [a, b, c] = micros;
    (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && day >= 1
        && day <= days(year, month)
        && hour < 24
        && minute < 60
        && second < 60
        && u32::from_be_bytes([0, a, b, c]) < 1_000_000
}

/// The number of days that a month has.
fn days(year: u16, month: u8) -> u8 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

// Exceptions whose builtin classes add nothing to `BaseException`.

/// Returns whether a class has the constructor of `Exception`: its objects are their arguments and nothing else.
fn is_plain_exception(class: &Bound<'_, PyType>) -> bool {
    let slot = |class, slot| {
        // SAFETY: every class has these slots, or null.
        unsafe { ffi::PyType_GetSlot(class, slot) }
    };
    // SAFETY: the static points to the class, which is never freed.
    let plain = unsafe { ffi::PyExc_ValueError }.cast();
    let class = class.as_type_ptr();
    [ffi::Py_tp_new, ffi::Py_tp_init].into_iter().all(|each| ptr::eq(slot(class, each), slot(plain, each)))
}

fn builtin<'py>(name: &Bound<'py, PyString>) -> PyResult<Option<Bound<'py, PyAny>>> {
    static NAMES: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
    let py = name.py();
    NAMES.import(py, "builtins", "__dict__")?.get_item(name)
}

fn read_exception<'py>(
    object: &Bound<'py, PyAny>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let py = object.py();
    let reduced = object.call_method0(intern!(py, "__reduce__"))?.cast_into::<PyTuple>()?;
    // The third is its attributes.
    if reduced.len() != 2 {
        return Ok(None);
    }
    let arguments = reduced.get_item(1)?.cast_into::<PyTuple>()?;
    let first = PyTuple::new(py, arguments.iter().chain([name.clone().into_any()]).collect::<Vec<_>>())?;
    let values = [
        first.into_any(),
        object.getattr(intern!(py, "__cause__"))?,
        object.getattr(intern!(py, "__context__"))?,
        object.getattr(intern!(py, "__suppress_context__"))?,
        PyDict::new(py).into_any(),
    ];
    PyTuple::new(py, values).map(Some)
}

/// Makes an exception of its arguments and the name of its builtin class; `None` if the row has to.
pub(crate) fn make_exception<'py>(first: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Ok(first) = first.cast_exact::<PyTuple>() else { return Ok(None) };
    let Some(last) = first.len().checked_sub(1) else { return Ok(None) };
    let Ok(name) = first.get_item(last)?.cast_into_exact::<PyString>() else { return Ok(None) };
    match builtin(&name)?.map(Bound::cast_into::<PyType>) {
        Some(Ok(class)) if is_plain_exception(&class) => class.call1(first.get_slice(0, last)).map(Some),
        _ => Ok(None),
    }
}

/// Returns whether an exception is complete without the rest of its values: cause, context, whether that is
/// suppressed, and attributes.
pub(crate) fn is_complete(made: &Bound<'_, PyAny>, values: &Bound<'_, PyAny>) -> bool {
    let none = || -> PyResult<bool> {
        let state = values.get_item(3)?;
        Ok(values.len()? == 4
            && values.get_item(0)?.is_none()
            && values.get_item(1)?.is_none()
            && values.get_item(2)?.is(pyo3::types::PyBool::new(values.py(), false).as_any())
            && state.cast_exact::<PyDict>().is_ok_and(|state| state.is_empty()))
    };
    is_plain_exception(&made.get_type()) && none().unwrap_or(false)
}
