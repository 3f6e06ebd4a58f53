//! The items of a stream that have arrived, and the steps of an `async for` over them.
//!
//! Most steps find their item there. A coroutine of Python's for each would take longer than all the rest that an item needs. So
//! `async for` gets an iterator that is its own awaitable and gives the item at once. All that is not such a step is left to
//! the stream (`workerlib/_rpc/streams_consumed.py`): its first one, one that waits, one that grants credit, and an item that
//! has to be restored.

use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::ptr;

use pyo3::exceptions::{PyRuntimeError, PyStopIteration};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyList, PyType};
use pyo3::{PyTraverseError, PyVisit};

use crate::deferred::Arrival;

/// The items of a stream that have arrived and have not been taken.
#[pyclass(module = "workerlib._native")]
pub(crate) struct ItemQueue {
    items: VecDeque<Py<PyAny>>,
    /// The number of items that were taken.
    #[pyo3(get)]
    taken: u64,
    /// At how many taken items more are to be granted.
    #[pyo3(get, set)]
    grant_at: u64,
}

impl ItemQueue {
    /// Returns whether the next item can be taken, and nothing else is to be done then.
    fn is_ready(&self, py: Python<'_>) -> bool {
        let is_arrival = |item: &Py<PyAny>| item.bind(py).is_exact_instance_of::<Arrival>();
        self.taken + 1 < self.grant_at && self.items.front().is_some_and(|item| !is_arrival(item))
    }
}

#[pymethods]
impl ItemQueue {
    // Makes an empty one.
    #[new]
    fn new(grant_at: u64) -> Self {
        Self { items: VecDeque::new(), taken: 0, grant_at }
    }

    // Shows the garbage collector the items.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.items.iter().try_for_each(|item| visit.call(item))
    }

    // Drops the items; nobody has this any more.
    fn __clear__(&mut self) {
        self.items.clear();
    }

    // The number of items.
    fn __len__(&self) -> usize {
        self.items.len()
    }

    // Puts the items of a list behind the others.
    fn extend(&mut self, items: &Bound<'_, PyList>) {
        self.items.extend(items.iter().map(Bound::unbind));
    }

    // Takes out the next item, which must be there.
    fn take(&mut self) -> PyResult<Py<PyAny>> {
        let item = self.items.pop_front().ok_or_else(|| PyRuntimeError::new_err(TAKEN))?;
        self.taken += 1;
        Ok(item)
    }

    // Takes out all items, which do not count as taken.
    fn clear<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        let items = std::mem::take(&mut slf.borrow_mut().items);
        PyList::new(slf.py(), items)
    }
}

const TAKEN: &str = "another step has taken the item that this one found";
const COLLECTED: &str = "the stream has been collected";

// The iterator. `am_send`, by which an awaitable gives its result without an exception, is not a slot that PyO3 knows, so the
// class is made by hand.

/// The iterator of `async for`.
#[repr(C)]
struct Steps {
    base: ffi::PyObject,
    /// The stream.
    stream: *mut ffi::PyObject,
    /// Its items, once they are known.
    queue: *mut ffi::PyObject,
}

/// Makes the iterator of a stream.
#[pyfunction]
pub(crate) fn steps_of(stream: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = stream.py();
    let class = CLASS.get_or_try_init(py, || make_class(py))?.bind(py).as_type_ptr();
    // SAFETY: the class is that of `Steps`; what is allocated is zero but for the header, and known to the collector.
    unsafe {
        let made = ffi::PyType_GenericAlloc(class, 0);
        let made = Bound::from_owned_ptr_or_err(py, made)?;
        (*made.as_ptr().cast::<Steps>()).stream = stream.into_ptr();
        Ok(made)
    }
}

fn make_class(py: Python<'_>) -> PyResult<Py<PyType>> {
    /// Lists what Python calls.
    macro_rules! slots {
        ($($slot:ident: $function:expr),* $(,)?) => {
            [$(ffi::PyType_Slot { slot: ffi::$slot, pfunc: $function as *mut c_void },)*
             ffi::PyType_Slot { slot: 0, pfunc: ptr::null_mut() }]
        };
    }
    let method = |name: &'static std::ffi::CStr, function, flags| ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: function,
        ml_flags: flags,
        ml_doc: ptr::null(),
    };
    let methods = [
        method(c"send", ffi::PyMethodDefPointer { PyCFunction: send }, ffi::METH_O),
        method(c"throw", ffi::PyMethodDefPointer { PyCFunction: throw }, ffi::METH_VARARGS),
        method(c"close", ffi::PyMethodDefPointer { PyCFunction: close }, ffi::METH_NOARGS),
        method(c"aclose", ffi::PyMethodDefPointer { PyCFunction: aclose }, ffi::METH_NOARGS),
        ffi::PyMethodDef::zeroed(),
    ];
    // Python keeps the address.
    let methods = Box::leak(Box::new(methods)).as_mut_ptr();
    let mut slots = slots! {
        Py_tp_dealloc: deallocate as ffi::destructor,
        Py_tp_traverse: traverse as ffi::traverseproc,
        Py_tp_clear: clear as ffi::inquiry,
        Py_tp_methods: methods,
        Py_am_aiter: itself as ffi::unaryfunc,
        Py_am_anext: step as ffi::unaryfunc,
        Py_am_await: itself as ffi::unaryfunc,
        Py_am_send: give as SendFunction,
        Py_tp_iter: itself as ffi::unaryfunc,
        Py_tp_iternext: raise as ffi::iternextfunc,
    };
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC | ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
    let mut spec = ffi::PyType_Spec {
        name: c"workerlib._native.Steps".as_ptr(),
        basicsize: size_of::<Steps>() as c_int,
        itemsize: 0,
        flags: flags as std::ffi::c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the functions have the signatures of their slots, and the size is that of the struct.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&raw mut spec))? };
    Ok(class.cast_into::<PyType>()?.unbind())
}

type Object = *mut ffi::PyObject;
type SendFunction = unsafe extern "C" fn(Object, Object, *mut Object) -> ffi::PySendResult;

/// Takes the next item of an iterator's queue.
///
/// # Safety
///
/// `steps` must be an object of the class, which Python passes to its functions; so in all below.
unsafe fn take(steps: Object) -> PyResult<Py<PyAny>> {
    // SAFETY: Python calls this, and a queue is one once it is known.
    unsafe {
        let py = Python::assume_attached();
        match Bound::from_borrowed_ptr_or_opt(py, (*steps.cast::<Steps>()).queue) {
            Some(queue) => queue.cast_unchecked::<ItemQueue>().try_borrow_mut()?.take(),
            None => Err(PyRuntimeError::new_err(TAKEN)),
        }
    }
}

/// `__anext__`: the iterator itself if the item is there, else the stream's coroutine.
unsafe extern "C" fn step(steps: Object) -> Object {
    // SAFETY: the fields are live objects, or null.
    unsafe {
        let py = Python::assume_attached();
        let this = steps.cast::<Steps>();
        let Some(stream) = Bound::from_borrowed_ptr_or_opt(py, (*this).stream) else {
            return raised(py, PyRuntimeError::new_err(COLLECTED));
        };
        if (*this).queue.is_null() {
            match stream.getattr(intern!(py, "queue")) {
                Ok(queue) if queue.is_exact_instance_of::<ItemQueue>() => (*this).queue = queue.into_ptr(),
                // The call is still to be made.
                Ok(_) => {}
                Err(error) => return raised(py, error),
            }
        }
        if let Some(queue) = Bound::from_borrowed_ptr_or_opt(py, (*this).queue)
            && queue.cast_unchecked::<ItemQueue>().try_borrow().is_ok_and(|queue| queue.is_ready(py))
        {
            return ffi::Py_NewRef(steps);
        }
        stream.call_method0(intern!(py, "__anext__")).map_or_else(|error| raised(py, error), Bound::into_ptr)
    }
}

/// Gives the item of a step that has found it.
unsafe extern "C" fn give(steps: Object, _: Object, result: *mut Object) -> ffi::PySendResult {
    // SAFETY: Python has a place for the result.
    unsafe {
        match take(steps) {
            Ok(item) => {
                *result = item.into_ptr();
                ffi::PySendResult::PYGEN_RETURN
            }
            Err(error) => {
                *result = raised(Python::assume_attached(), error);
                ffi::PySendResult::PYGEN_ERROR
            }
        }
    }
}

/// `__next__` and `send()`: does the same by StopIteration, for code that awaits by hand.
unsafe extern "C" fn raise(steps: Object) -> Object {
    // SAFETY: Python calls this.
    unsafe {
        let py = Python::assume_attached();
        match take(steps) {
            Ok(item) if may_be_raised(item.as_ptr()) => {
                // Python makes the exception. Each item of a stream comes by here, since Python 3.12.
                ffi::PyErr_SetObject(ffi::PyExc_StopIteration, item.as_ptr());
                ptr::null_mut()
            }
            Ok(item) => {
                let end = py.get_type::<PyStopIteration>().call1((item,));
                raised(py, end.map_or_else(|error| error, PyErr::from_value))
            }
            Err(error) => raised(py, error),
        }
    }
}

/// Returns whether Python makes a StopIteration with that value of it: it takes a tuple for the arguments, and an exception for
/// the StopIteration itself.
unsafe fn may_be_raised(item: Object) -> bool {
    // SAFETY: the item is alive.
    unsafe { ffi::PyTuple_Check(item) == 0 && ffi::PyExceptionInstance_Check(item) == 0 }
}

unsafe extern "C" fn send(steps: Object, _: Object) -> Object {
    // SAFETY: as `raise`.
    unsafe { raise(steps) }
}

/// `throw(exception)`: raises it. No item has been taken.
unsafe extern "C" fn throw(_: Object, arguments: Object) -> Object {
    // SAFETY: Python passes a tuple.
    unsafe {
        let py = Python::assume_attached();
        match Bound::from_borrowed_ptr(py, arguments).get_item(0) {
            Ok(exception) => raised(py, PyErr::from_value(exception)),
            Err(error) => raised(py, error),
        }
    }
}

/// `close()`: nothing is open.
unsafe extern "C" fn close(_: Object, _: Object) -> Object {
    // SAFETY: None is alive.
    unsafe { ffi::Py_NewRef(ffi::Py_None()) }
}

/// `aclose()`: the stream's.
unsafe extern "C" fn aclose(steps: Object, _: Object) -> Object {
    // SAFETY: the stream is a live object, or null.
    unsafe {
        let py = Python::assume_attached();
        let stream = Bound::from_borrowed_ptr_or_opt(py, (*steps.cast::<Steps>()).stream);
        let stream = stream.ok_or_else(|| PyRuntimeError::new_err(COLLECTED));
        let closing = stream.and_then(|stream| stream.call_method0(intern!(py, "aclose")));
        closing.map_or_else(|error| raised(py, error), Bound::into_ptr)
    }
}

unsafe extern "C" fn itself(steps: Object) -> Object {
    // SAFETY: the object is alive.
    unsafe { ffi::Py_NewRef(steps) }
}

unsafe extern "C" fn traverse(steps: Object, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: the fields are live objects, or null.
    unsafe {
        let this = steps.cast::<Steps>();
        for object in [ffi::Py_TYPE(steps).cast(), (*this).stream, (*this).queue] {
            if !object.is_null() {
                let code = visit(object, arg);
                if code != 0 {
                    return code;
                }
            }
        }
        0
    }
}

unsafe extern "C" fn clear(steps: Object) -> c_int {
    // SAFETY: the references are this object's own, and gone before they are given up.
    unsafe {
        let this = steps.cast::<Steps>();
        for field in [&raw mut (*this).stream, &raw mut (*this).queue] {
            ffi::Py_DecRef(ptr::replace(field, ptr::null_mut()));
        }
        0
    }
}

unsafe extern "C" fn deallocate(steps: Object) {
    // SAFETY: nobody has the object any more; its class has a reference of each object's.
    unsafe {
        ffi::PyObject_GC_UnTrack(steps.cast());
        clear(steps);
        let class = ffi::Py_TYPE(steps);
        let free = ffi::PyType_GetSlot(class, ffi::Py_tp_free);
        std::mem::transmute::<*mut c_void, ffi::freefunc>(free)(steps.cast());
        ffi::Py_DecRef(class.cast());
    }
}

/// Has Python raise an error.
fn raised(py: Python<'_>, error: PyErr) -> Object {
    error.restore(py);
    ptr::null_mut()
}
