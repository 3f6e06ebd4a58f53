//! Fields of objects that are read, and references that are counted, without a call of CPython's.
//!
//! In Pyodide such a call goes from one WebAssembly module to another one. V8 copies small functions of the same module to
//! where they are called from, and cannot do so there: it takes ten times as long as the field that is asked for. A frame of
//! records has twenty such calls for each.
//!
//! The wheel for Pyodide can be installed in three Pythons, which its platform tags name: 3.13, 3.14 and 3.15, without
//! free threads and with 32 bits. Their lists, dicts, floats and ints have the fields that are read here. The native wheel is for
//! Pythons that are still to come, too: there, each function asks CPython.

use pyo3::ffi;

type Object = *mut ffi::PyObject;

/// Whether the fields of objects are known.
const IS_KNOWN: bool = cfg!(target_os = "emscripten");

/// From how many references on an object is immortal, and has no count: 3.13 sets exactly that number, later ones larger numbers.
const IMMORTAL: ffi::Py_ssize_t = 0x3fff_ffff;

/// `PyObject`.
#[repr(C)]
struct Head {
    count: ffi::Py_ssize_t,
    class: *mut ffi::PyTypeObject,
}

/// `PyListObject`, as far as it is needed.
#[repr(C)]
struct List {
    head: Head,
    size: ffi::Py_ssize_t,
    items: *mut Object,
}

/// `PyDictObject`, as far as it is needed.
#[repr(C)]
struct Dict {
    head: Head,
    used: ffi::Py_ssize_t,
}

/// `PyFloatObject`.
#[repr(C)]
struct Float {
    head: Head,
    value: f64,
}

/// `PyLongObject`: the lowest two bits of the tag are 0 for positive numbers, 1 for zero and 2 for negative ones; from the
/// fourth on it has the number of digits.
#[repr(C)]
struct Int {
    head: Head,
    tag: usize,
    digit: u32,
}

/// Takes a reference to an object.
///
/// # Safety
///
/// The object must be alive.
#[inline(always)]
pub(crate) unsafe fn take(object: Object) {
    // SAFETY: promised by the caller; see above for the field.
    unsafe {
        if !IS_KNOWN {
            ffi::Py_INCREF(object);
        } else if (*object.cast::<Head>()).count < IMMORTAL {
            (*object.cast::<Head>()).count += 1;
        }
    }
}

/// Gives up a reference to an object.
///
/// # Safety
///
/// The caller must own it.
#[inline(always)]
pub(crate) unsafe fn give_up(object: Object) {
    // SAFETY: promised by the caller; see above for the field. The last reference, and with it the object, is CPython's.
    unsafe {
        let head = object.cast::<Head>();
        if !IS_KNOWN || (*head).count == 1 {
            ffi::Py_DECREF(object);
        } else if (*head).count < IMMORTAL {
            (*head).count -= 1;
        }
    }
}

/// Returns an element of a list, borrowed; null if it has none there. There may be an error then, or none.
///
/// # Safety
///
/// The object must be a list, alive.
#[inline(always)]
pub(crate) unsafe fn list_item(list: Object, index: ffi::Py_ssize_t) -> Object {
    // SAFETY: promised by the caller; see above for the fields. The index is in the list.
    unsafe {
        if !IS_KNOWN {
            return ffi::PyList_GetItem(list, index);
        }
        let list = list.cast::<List>();
        if index < (*list).size { *(*list).items.offset(index) } else { std::ptr::null_mut() }
    }
}

/// Puts an object into a list in the place of what is there, or of null; returns whether there is such a place. The reference
/// to the object is given up in any case.
///
/// # Safety
///
/// The object must be a list, alive.
#[inline(always)]
pub(crate) unsafe fn set_list_item(list: Object, index: ffi::Py_ssize_t, item: Object) -> bool {
    // SAFETY: promised by the caller; see above for the fields. The index is in the list.
    unsafe {
        if IS_KNOWN {
            let list = list.cast::<List>();
            if index < (*list).size {
                let place = (*list).items.offset(index);
                if (*place).is_null() {
                    *place = item;
                    return true;
                }
            }
        }
        ffi::PyList_SetItem(list, index, item) == 0
    }
}

/// Returns how many elements a list has.
///
/// # Safety
///
/// The object must be a list, alive.
#[inline(always)]
pub(crate) unsafe fn list_size(list: Object) -> ffi::Py_ssize_t {
    // SAFETY: promised by the caller; see above for the field.
    unsafe { if IS_KNOWN { (*list.cast::<List>()).size } else { ffi::PyList_Size(list) } }
}

/// Returns how many keys a dict has.
///
/// # Safety
///
/// The object must be a dict, alive.
#[inline(always)]
pub(crate) unsafe fn dict_size(dict: Object) -> ffi::Py_ssize_t {
    // SAFETY: promised by the caller; see above for the field.
    unsafe { if IS_KNOWN { (*dict.cast::<Dict>()).used } else { ffi::PyDict_Size(dict) } }
}

/// Returns the number that a float is.
///
/// # Safety
///
/// The object must be a float, alive.
#[inline(always)]
pub(crate) unsafe fn float(object: Object) -> f64 {
    // SAFETY: promised by the caller; see above for the field.
    unsafe { if IS_KNOWN { (*object.cast::<Float>()).value } else { ffi::PyFloat_AsDouble(object) } }
}

/// Returns the number that an int is, if it has 64 bits; there is no error if it has more.
///
/// # Safety
///
/// The object must be an int, alive.
#[inline(always)]
pub(crate) unsafe fn int(object: Object) -> Option<i64> {
    // SAFETY: promised by the caller; see above for the fields.
    unsafe {
        if IS_KNOWN {
            let int = object.cast::<Int>();
            // One digit at most.
            if (*int).tag < 2 << 3 {
                return Some((1 - ((*int).tag & 3) as i64) * i64::from((*int).digit));
            }
        }
        let mut overflow = 0;
        let value = ffi::PyLong_AsLongLongAndOverflow(object, &raw mut overflow);
        (overflow == 0).then_some(value)
    }
}
