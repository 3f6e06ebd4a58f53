//! Objects of users' classes, read and filled without a call of Python's where all that they are stands in their
//! `__dict__` and slots.
//!
//! Which classes those are, and what of them travels, is decided in `workerlib/_values/user_classes.py`, once for a class;
//! here that is carried out for each object. No method, property or descriptor of the class runs: a slot is read
//! and written by the descriptor that Python made for it.

use std::{mem, ptr};

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};
use workerlib_codec::PlainReader;

use crate::gc_pause::with_collector;
use crate::hooks::HOOKS;
use crate::plain::make;

/// The number of names of a class's attributes that are remembered.
const MOST_NAMES: usize = 256;

type Named<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>);

/// The way in which objects of one class are read: `Plan` of `_values/user_classes.py`.
pub(crate) struct Plan<'py> {
    class: Bound<'py, PyType>,
    /// The first of an object's values: kind, class and fields.
    pub(crate) first: Bound<'py, PyAny>,
    /// The names of the slots, and what reads them.
    slots: Vec<Named<'py>>,
    has_dict: bool,
    /// Gives the attributes, where they are not the slots and `__dict__`.
    get_state: Option<Bound<'py, PyAny>>,
    /// Names that stood in a `__dict__`, by their place there, and may be sent.
    names: Vec<Bound<'py, PyAny>>,
}

/// The content by which an object is walked.
pub(crate) enum Content<'py> {
    /// Its `__dict__`, which has all of it.
    Dict(Bound<'py, PyDict>),
    /// All of its values.
    Values(Bound<'py, PyTuple>),
}

impl<'py> Plan<'py> {
    /// Finds the plan of a class, if it has one.
    pub(crate) fn find(class: &Bound<'py, PyType>) -> PyResult<Option<Self>> {
        static PLANS: PyOnceLock<Py<PyDict>> = PyOnceLock::new();
        let plans = PLANS.import(class.py(), HOOKS, "PLANS")?;
        let Some(plan) = plans.get_item(class)? else { return Ok(None) };
        let (first, slots, has_dict, get_state) = plan.extract()?;
        Ok(Some(Self { class: class.clone(), first, slots, has_dict, get_state, names: Vec::new() }))
    }

    /// Returns whether it is the plan of that class.
    #[inline]
    pub(crate) fn is_of(&self, class: *mut ffi::PyTypeObject) -> bool {
        ptr::eq(self.class.as_type_ptr(), class)
    }

    /// Returns whether Python code runs when an object of the class is read.
    pub(crate) fn calls_python(&self) -> bool {
        self.get_state.is_some()
    }

    /// Gives what there is in an object of the class; `None` if it takes Python to see what of that is sent.
    pub(crate) fn content(&mut self, object: &Bound<'py, PyAny>) -> PyResult<Option<Content<'py>>> {
        if let Some(get_state) = &self.get_state {
            let state = with_collector(object.py(), || get_state.call1((object,)))?;
            let state: Bound<'py, PyDict> = state.cast_into()?;
            return self.values(None, Some(&state)).map(Content::Values).map(Some);
        }
        let dict = if self.has_dict { Some(dict_of(object)?) } else { None };
        if let Some(dict) = &dict
            && !self.may_be_sent(dict)
        {
            return Ok(None);
        }
        match dict {
            Some(dict) if self.slots.is_empty() => Ok(Some(Content::Dict(dict))),
            dict => self.values(Some(object), dict.as_ref()).map(Content::Values).map(Some),
        }
    }

    /// Puts together the values of an object: from its slots, if there is one, and from a dict.
    fn values(
        &self,
        object: Option<&Bound<'py, PyAny>>,
        dict: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let mut values = vec![self.first.clone()];
        if let Some(object) = object {
            let read =
                |(name, slot): &Named<'py>| Some([name.clone(), read_slot(slot, object, &self.class)?]);
            values.extend(self.slots.iter().filter_map(read).flatten());
        }
        if let Some(dict) = dict {
            values.extend(dict.iter().flat_map(<[_; 2]>::from));
        }
        PyTuple::new(self.first.py(), values)
    }

    /// Returns whether all names of a `__dict__` are such that they can be sent as they are.
    fn may_be_sent(&mut self, dict: &Bound<'py, PyDict>) -> bool {
        let (mut position, mut key, mut place) = (0, ptr::null_mut(), 0);
        // SAFETY: the dict is alive, and no Python code runs here that could change it; the key is borrowed.
        while unsafe { ffi::PyDict_Next(dict.as_ptr(), &raw mut position, &raw mut key, ptr::null_mut()) }
            != 0
        {
            if !self.names.get(place).is_some_and(|known| ptr::eq(known.as_ptr(), key)) {
                // SAFETY: as above.
                let name = unsafe { Bound::from_borrowed_ptr(dict.py(), key) };
                let Ok(text) = name.cast_exact::<PyString>() else { return false };
                if is_pythons(text) || is_hash_of_attrs(text) {
                    return false;
                }
                if place == self.names.len() && place < MOST_NAMES {
                    self.names.push(name);
                }
            }
            place += 1;
        }
        true
    }
}

/// The way in which objects of one class are made again: `recipe` of `_values/user_classes.py`.
pub(crate) struct Recipe<'py> {
    /// The value that asks for it.
    first: Bound<'py, PyAny>,
    class: Bound<'py, PyType>,
    /// The functions that write the slots, by their names.
    slots: Bound<'py, PyDict>,
    has_dict: bool,
    /// Takes the attributes together, where they do not go into slots and `__dict__`.
    fill: Option<Bound<'py, PyAny>>,
    /// Names that came, by their place.
    names: Vec<Name<'py>>,
}

/// A name of an attribute.
struct Name<'py> {
    /// As it came.
    given: Bound<'py, PyAny>,
    /// As Python has it everywhere else.
    own: Bound<'py, PyAny>,
    /// The descriptor that writes it, if that is not the `__dict__`.
    slot: Option<Bound<'py, PyAny>>,
}

/// An object that receives its attributes.
pub(crate) struct Filling<'b> {
    pub(crate) made: *mut ffi::PyObject,
    /// Its `__dict__`, or a list that collects what it receives together.
    pub(crate) content: *mut ffi::PyObject,
    /// The number of attributes that it has received.
    pub(crate) filled: &'b mut ffi::Py_ssize_t,
    /// The name of the next, if it is there, owned.
    pub(crate) key: &'b mut *mut ffi::PyObject,
}

impl<'py> Recipe<'py> {
    /// Finds the recipe for the first of an object's values.
    ///
    /// # Errors
    ///
    /// If there is no such class here.
    pub(crate) fn find(first: &Bound<'py, PyAny>) -> PyResult<Self> {
        static RECIPE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let found = RECIPE.import(first.py(), HOOKS, "recipe")?.call1((first,))?;
        let (class, slots, has_dict, fill) = found.extract()?;
        Ok(Self { first: first.clone(), class, slots, has_dict, fill, names: Vec::new() })
    }

    /// Returns whether it is the one for that value.
    pub(crate) fn is_for(&self, first: &Bound<'py, PyAny>) -> bool {
        self.first.is(first)
    }

    /// Makes an object without attributes, and what takes them: its `__dict__`, or a list.
    pub(crate) fn make(&self) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let py = self.class.py();
        let arguments = PyTuple::empty(py);
        // SAFETY: `object` has a constructor of that type; it is called as `object.__new__(class)` calls it, and
        // returns a new reference, or null and an exception.
        let made = unsafe {
            let new = ffi::PyType_GetSlot(&raw mut ffi::PyBaseObject_Type, ffi::Py_tp_new);
            let new = mem::transmute::<*mut std::ffi::c_void, ffi::newfunc>(new);
            let made = new(self.class.as_type_ptr(), arguments.as_ptr(), ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, made)?
        };
        let content = if self.has_dict && self.fill.is_none() {
            dict_of(&made)?.into_any()
        } else {
            PyList::empty(py).into_any()
        };
        Ok((made, content))
    }

    /// Gives an object the attributes that it receives together.
    pub(crate) fn finish(&self, made: &Bound<'py, PyAny>, content: &Bound<'py, PyAny>) -> PyResult<()> {
        let Some(fill) = &self.fill else { return Ok(()) };
        with_collector(made.py(), || fill.call1((made, content))).map(drop)
    }

    /// Gives an object the attributes that the reader finds to be plain.
    pub(crate) fn plain(
        &mut self,
        object: &mut Filling<'_>,
        reader: &mut PlainReader<'_, '_, Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let py = self.class.py();
        while let Some(plain) = reader.next() {
            let Some(value) = make(py, plain) else {
                reader.give_back();
                break;
            };
            self.push(object, value)?;
        }
        Ok(())
    }

    /// Gives an object the next name, or the attribute of that name.
    pub(crate) fn push(&mut self, object: &mut Filling<'_>, value: Bound<'py, PyAny>) -> PyResult<()> {
        let py = self.class.py();
        if self.fill.is_some() {
            // SAFETY: the list is alive.
            let code = unsafe { ffi::PyList_Append(object.content, value.as_ptr()) };
            return if code == 0 { Ok(()) } else { Err(PyErr::fetch(py)) };
        }
        if object.key.is_null() {
            *object.key = value.into_ptr();
            return Ok(());
        }
        // SAFETY: the reference is taken over.
        let given = unsafe { Bound::from_owned_ptr(py, mem::replace(object.key, ptr::null_mut())) };
        let place = *object.filled as usize;
        *object.filled += 1;
        let other;
        let name = match self.names.get(place) {
            Some(known) if known.given.is(&given) => known,
            Some(_) => {
                other = self.name(given)?;
                &other
            }
            None => {
                let name = self.name(given)?;
                if place < MOST_NAMES {
                    self.names.push(name);
                    &self.names[place]
                } else {
                    other = name;
                    &other
                }
            }
        };
        // SAFETY: the object and its content are alive; so are name and value.
        let code = unsafe {
            match &name.slot {
                None => ffi::PyDict_SetItem(object.content, name.own.as_ptr(), value.as_ptr()),
                Some(slot) => write_slot(slot, object.made, value.as_ptr()),
            }
        };
        if code == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
    }

    /// Checks a name, and finds where the attribute is kept.
    #[cold]
    fn name(&self, given: Bound<'py, PyAny>) -> PyResult<Name<'py>> {
        let text = given.cast_exact::<PyString>().ok().filter(|text| !is_pythons(text));
        let Some(text) = text else {
            let text = given.repr().map_or_else(|_| "…".to_owned(), |text| text.to_string());
            return Err(PyValueError::new_err(format!("{text} cannot be the name of an attribute")));
        };
        let slot = self.slots.get_item(text)?;
        if slot.is_none() && !self.has_dict {
            let (module, class, name) = (self.class.module()?, self.class.qualname()?, text.repr()?);
            let text = format!("{module}:{class} has no place for the attribute {name} on this side");
            return Err(PyValueError::new_err(text));
        }
        let mut own = text.clone().into_any().into_ptr();
        // SAFETY: takes over the reference, and gives one to the same text.
        let own = unsafe {
            ffi::PyUnicode_InternInPlace(&raw mut own);
            Bound::from_owned_ptr(given.py(), own)
        };
        Ok(Name { given, own, slot })
    }
}

/// Gives the `__dict__` of an object, whatever its class says.
fn dict_of<'py>(object: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    // SAFETY: returns a new reference, or null and an exception.
    let dict = unsafe {
        let dict = ffi::PyObject_GenericGetDict(object.as_ptr(), ptr::null_mut());
        Bound::from_owned_ptr_or_err(object.py(), dict)?
    };
    Ok(dict.cast_into()?)
}

/// Reads a slot by the descriptor that Python made for it; `None` if it is empty.
fn read_slot<'py>(
    slot: &Bound<'py, PyAny>,
    object: &Bound<'py, PyAny>,
    class: &Bound<'py, PyType>,
) -> Option<Bound<'py, PyAny>> {
    // SAFETY: every such descriptor has this function, which returns a new reference, or null and an exception.
    let value = unsafe {
        let get = ffi::PyType_GetSlot(ffi::Py_TYPE(slot.as_ptr()), ffi::Py_tp_descr_get);
        let get = mem::transmute::<*mut std::ffi::c_void, Option<ffi::descrgetfunc>>(get)?;
        Bound::from_owned_ptr_or_opt(slot.py(), get(slot.as_ptr(), object.as_ptr(), class.as_ptr()))
    };
    if value.is_none() {
        drop(PyErr::take(slot.py()));
    }
    value
}

/// Writes a slot by the descriptor that Python made for it; returns 0, or another number and sets an exception.
///
/// # Safety
///
/// `object` and `value` must be alive.
unsafe fn write_slot(slot: &Bound<'_, PyAny>, object: *mut ffi::PyObject, value: *mut ffi::PyObject) -> i32 {
    // SAFETY: every such descriptor has this function, which checks what the object is.
    unsafe {
        let set = ffi::PyType_GetSlot(ffi::Py_TYPE(slot.as_ptr()), ffi::Py_tp_descr_set);
        mem::transmute::<*mut std::ffi::c_void, ffi::descrsetfunc>(set)(slot.as_ptr(), object, value)
    }
}

/// Returns whether a name is one of those that belong to Python, as `_is_pythons` of `_values/user_classes.py` does.
fn is_pythons(name: &Bound<'_, PyString>) -> bool {
    let name = name.as_ptr();
    // SAFETY: it is a str, alive, and read within its length; the other text ends with a NUL.
    unsafe {
        let len = ffi::PyUnicode_GetLength(name);
        let is_line = |index| ffi::PyUnicode_ReadChar(name, index) == u32::from('_');
        len >= 2
            && is_line(0)
            && is_line(1)
            && is_line(len - 2)
            && is_line(len - 1)
            && ffi::PyUnicode_CompareWithASCIIString(name, c"__notes__".as_ptr()) != 0
    }
}

/// Returns whether attrs keeps the hash of an object under that name, which is another one in another Python.
fn is_hash_of_attrs(name: &Bound<'_, PyString>) -> bool {
    // SAFETY: it is a str, alive; the other text ends with a NUL.
    unsafe { ffi::PyUnicode_CompareWithASCIIString(name.as_ptr(), c"_attrs_cached_hash".as_ptr()) == 0 }
}
