//! The objects that calls are full of (ints, floats, strs, bools and None in lists, tuples and dicts), read
//! and made in loops that do nothing else.
//!
//! [`crate::source`] and [`crate::sink`] do the same work for every other object and place;
//! this is where the speed of the codec is decided (`cargo xtask bench codec`).

use std::sync::atomic::{AtomicPtr, Ordering};
use std::{mem, ptr};

use pyo3::ffi;
use pyo3::prelude::*;
use workerlib_codec::{Plain, PlainReader};

use crate::layout;

type Known<'py> = Bound<'py, PyAny>;

/// The hash of an int is its remainder by this number (`sys.hash_info.modulus`).
const MODULUS: u64 = if cfg!(target_pointer_width = "32") { (1 << 31) - 1 } else { (1 << 61) - 1 };

/// Returns whether ints like this one have each a hash of its own, but for -1 and -2.
#[inline(always)]
fn is_small(int: i64) -> bool {
    int.unsigned_abs() < MODULUS
}

/// Returns whether hardly any floats share a hash: with the longer modulus it is a power of two that tells them apart, of
/// which there are few.
const FLOATS_DIFFER: bool = cfg!(target_pointer_width = "64");

/// Returns whether an object's hash is one that hardly any other key has, whatever the peer chooses: Python makes those of
/// strs and bytes anew in each program.
#[inline]
pub(crate) fn hash_is_its_own(object: *mut ffi::PyObject) -> bool {
    // SAFETY: the object is alive; the statics are CPython's own types.
    unsafe {
        let class = ffi::Py_TYPE(object);
        let is = |exact: *mut ffi::PyTypeObject| ptr::eq(class, exact);
        if is(&raw mut ffi::PyUnicode_Type) || is(&raw mut ffi::PyBytes_Type) || is(&raw mut ffi::PyBool_Type)
        {
            return true;
        }
        if is(&raw mut ffi::PyLong_Type) {
            let mut overflow = 0;
            let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
            return overflow == 0 && is_small(value);
        }
        FLOATS_DIFFER && is(&raw mut ffi::PyFloat_Type)
    }
}

/// Returns whether nobody can choose an object's hash: Python makes those of strs and bytes anew in each program.
#[inline]
pub(crate) fn hash_is_secret(object: *mut ffi::PyObject) -> bool {
    // SAFETY: the object is alive; the statics are CPython's own types.
    unsafe {
        let class = ffi::Py_TYPE(object);
        ptr::eq(class, &raw const ffi::PyUnicode_Type) || ptr::eq(class, &raw const ffi::PyBytes_Type)
    }
}

/// Returns whether a plain key may go into a dict without a look at its hash.
#[inline(always)]
fn is_plain_key(key: &Plain<'_, '_, Known<'_>>, is_large: bool) -> bool {
    match key {
        Plain::Int(_) | Plain::Float(_) if is_large => false,
        Plain::Known(key) if is_large => hash_is_secret(key.as_ptr()),
        Plain::Int(value) => is_small(*value),
        Plain::Float(_) => FLOATS_DIFFER,
        Plain::Known(key) => hash_is_its_own(key.as_ptr()),
        _ => true,
    }
}

/// The first int that Python does not have once for all: up to 3.14 it has those before, as 3.15 has those that are kept here.
const FIRST_KEPT: i64 = 257;
/// The number of ints that are kept.
const KEPT: usize = 768;
/// Small ints that were decoded, each once: counts, codes and years come in thousands. None is ever given up.
static INTS: [AtomicPtr<ffi::PyObject>; KEPT] = [const { AtomicPtr::new(ptr::null_mut()) }; KEPT];

/// Makes an int: a new reference, or null and an exception.
#[inline(always)]
pub(crate) fn int(_: Python<'_>, value: i64) -> *mut ffi::PyObject {
    // SAFETY: attached to the interpreter, of which the process has one for this module; what is kept lives as long.
    unsafe {
        let Some(kept) = usize::try_from(value - FIRST_KEPT).ok().and_then(|place| INTS.get(place)) else {
            return ffi::PyLong_FromLongLong(value);
        };
        let mut object = kept.load(Ordering::Relaxed);
        if object.is_null() {
            object = ffi::PyLong_FromLongLong(value);
            if object.is_null() {
                return object;
            }
            kept.store(object, Ordering::Relaxed);
        }
        layout::take(object);
        object
    }
}

/// Makes the object of a plain value: a new reference; null, and no error, if there can be none.
#[inline(always)]
fn make_raw<'py>(py: Python<'py>, plain: Plain<'_, '_, Known<'py>>) -> *mut ffi::PyObject {
    let shared = |object| {
        // SAFETY: every caller has an object that is alive.
        unsafe { layout::take(object) };
        object
    };
    // SAFETY: constructors of CPython's, each of which returns a new reference, or null and an exception;
    // pointer and length of a str are those of a slice, and CPython checks that it is UTF-8.
    let made = unsafe {
        match plain {
            Plain::Int(value) => int(py, value),
            Plain::Float(value) => ffi::PyFloat_FromDouble(value),
            Plain::Str(utf8) => {
                ffi::PyUnicode_FromStringAndSize(utf8.as_ptr().cast(), utf8.len() as ffi::Py_ssize_t)
            }
            Plain::Nil => shared(ffi::Py_None()),
            Plain::Bool(value) => shared(if value { ffi::Py_True() } else { ffi::Py_False() }),
            Plain::Known(object) => shared(object.as_ptr()),
            // The decoder reads it, and says what it is.
            _ => ptr::null_mut(),
        }
    };
    if made.is_null() {
        forget_error(py);
    }
    made
}

/// Does the same where it seldom happens: for a key that stands in full, as in the first of many dicts.
#[inline(never)]
fn make_apart<'py>(py: Python<'py>, plain: Plain<'_, '_, Known<'py>>) -> *mut ffi::PyObject {
    make_raw(py, plain)
}

/// Does the same, and has the object dropped with what is returned.
#[inline(always)]
pub(crate) fn make<'py>(py: Python<'py>, plain: Plain<'_, '_, Known<'py>>) -> Option<Bound<'py, PyAny>> {
    // SAFETY: it is a new reference, or null.
    unsafe { Bound::from_owned_ptr_or_opt(py, make_apart(py, plain)) }
}

#[cold]
fn forget_error(py: Python<'_>) {
    drop(PyErr::take(py));
}

/// Puts plain values into the slots of a list, or of a tuple that nobody else has, from `slot` on, which becomes the first
/// that is left.
pub(crate) fn fill_slots<'py>(
    py: Python<'py>,
    object: *mut ffi::PyObject,
    is_tuple: bool,
    slot: &mut ffi::Py_ssize_t,
    reader: &mut PlainReader<'_, '_, Known<'py>>,
) -> PyResult<()> {
    while let Some(plain) = reader.next() {
        let value = make_raw(py, plain);
        if value.is_null() {
            reader.give_back();
            break;
        }
        // SAFETY: the decoder's list or tuple is alive; an index beyond its end is refused; the reference is given up.
        let is_set = unsafe {
            if is_tuple {
                ffi::PyTuple_SetItem(object, *slot, value) == 0
            } else {
                layout::set_list_item(object, *slot, value)
            }
        };
        if !is_set {
            return Err(PyErr::fetch(py));
        }
        *slot += 1;
    }
    Ok(())
}

/// Puts plain keys and values into a dict; `waiting` is a key whose value has not come yet, and owned.
pub(crate) fn fill_dict<'py>(
    py: Python<'py>,
    dict: *mut ffi::PyObject,
    waiting: &mut *mut ffi::PyObject,
    is_large: bool,
    reader: &mut PlainReader<'_, '_, Known<'py>>,
) -> PyResult<()> {
    loop {
        // A key that is known needs no reference of its own until it is in the dict.
        let (key, is_owned) = if waiting.is_null() {
            match reader.next() {
                None => return Ok(()),
                // The decoder counts those that have the same hash, and in a large dict their places.
                Some(plain) if !is_plain_key(&plain, is_large) => {
                    reader.give_back();
                    return Ok(());
                }
                Some(Plain::Known(key)) => (key.as_ptr(), false),
                Some(plain) => {
                    let key = make_apart(py, plain);
                    if key.is_null() {
                        reader.give_back();
                        return Ok(());
                    }
                    (key, true)
                }
            }
        } else {
            (mem::replace(waiting, ptr::null_mut()), true)
        };
        let value = match reader.next() {
            None => ptr::null_mut(),
            Some(plain) => {
                let value = make_raw(py, plain);
                if value.is_null() {
                    reader.give_back();
                }
                value
            }
        };
        if value.is_null() {
            if !is_owned {
                // SAFETY: the key is alive.
                unsafe { layout::take(key) };
            }
            *waiting = key;
            return Ok(());
        }
        // SAFETY: the decoder's dict is alive, as key and value are, to which the references are owned that are given up.
        unsafe {
            let code = ffi::PyDict_SetItem(dict, key, value);
            layout::give_up(value);
            if is_owned {
                layout::give_up(key);
            }
            if code != 0 {
                return Err(PyErr::fetch(py));
            }
        }
    }
}
