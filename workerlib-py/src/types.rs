//! The tables in `workerlib/_values/`: what types beyond the builtin ones are sent as, and built from.
//!
//! The one place that knows how these tables look.

use std::cell::{OnceCell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};
use workerlib_codec::Step;
use workerlib_codec::marker::ext;
use workerlib_core::RefId;

use crate::frequent::{self, Builders, Reader};
use crate::gc_pause::with_collector;
use crate::hooks::HOOKS;
use crate::settings::{References, Settings, lock};

/// The number of types, and of builders, that are remembered for a frame: most frames have few.
const MOST_KNOWN: usize = 16;

/// The way in which objects of one type are sent.
#[derive(Clone)]
pub(crate) struct Sending<'py> {
    /// The extension type whose values `function` makes, as a tuple; `None` if it makes another object that
    /// is sent instead.
    pub(crate) kind: Option<u8>,
    /// Takes an object of that type.
    pub(crate) function: Bound<'py, PyAny>,
    /// Reads an object of that type without the function, if it is simple.
    pub(crate) reader: Reader<'py>,
}

/// The tables, looked up when the first object needs them.
pub(crate) struct Types<'py> {
    py: Python<'py>,
    /// The table by which objects are sent over the connection; none for values that belong to no connection.
    table: Option<Py<PyAny>>,
    /// The object that keeps count of objects on their way through adapters, once there are such.
    pub(crate) outgoing: Option<Bound<'py, PyAny>>,
    /// A weak reference to the connection that the values are of; none where the context tells it.
    owner: Option<Py<PyAny>>,
    /// Ends the time in which the context tells the owner.
    entered: OnceCell<Bound<'py, PyAny>>,
    /// The references in the connection's values that are being encoded.
    written: Arc<Mutex<References>>,
    /// The references of the values around these, in which Python code began to encode or decode these.
    outer: RefCell<References>,
    /// The types that were met so far, and how their objects are sent.
    known: RefCell<Vec<(Bound<'py, PyType>, Sending<'py>)>>,
    /// The builders of the extension types that were met so far.
    builders: RefCell<Vec<(u8, Bound<'py, PyAny>)>>,
    /// The builders of the types that come in thousands.
    frequent: Builders<'py>,
}

impl<'py> Types<'py> {
    pub(crate) fn new(py: Python<'py>, settings: &Settings) -> Self {
        let owner = settings.owner.as_ref().map(|owner| owner.clone_ref(py));
        let table = settings.table.as_ref().map(|table| table.clone_ref(py));
        let (known, builders) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let (entered, written, outer) = (OnceCell::new(), Arc::clone(&settings.written), RefCell::default());
        let frequent = Builders::default();
        Self { py, table, outgoing: None, owner, entered, written, outer, known, builders, frequent }
    }

    /// Gives the connection's `SendingTable`, or that of values that belong to no connection.
    fn table(&self) -> PyResult<Bound<'py, PyAny>> {
        static DEFAULT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        match &self.table {
            Some(table) => Ok(table.bind(self.py).clone()),
            None => DEFAULT.import(self.py, HOOKS, "DEFAULT").cloned(),
        }
    }

    /// Has the context tell of which connection the values are: functions among them ask. Most frames need
    /// nothing of Python, and to enter a context takes as long as the rest of a small one.
    #[cold]
    #[inline(never)]
    pub(crate) fn enter(&self) -> PyResult<()> {
        if let (Some(owner), None) = (&self.owner, self.entered.get()) {
            let token = context("enter", &owner.bind(self.py).call0()?)?;
            self.entered.get_or_init(|| token);
            let mut written = lock(&self.written);
            let mut outer = self.outer.borrow_mut();
            std::mem::swap(&mut outer.given, &mut written.given);
            std::mem::swap(&mut outer.carried, &mut written.carried);
        }
        Ok(())
    }

    /// Takes out the references in the values that were encoded: none as long as no Python function was called.
    pub(crate) fn take_references(&self) -> (Vec<RefId>, Vec<RefId>) {
        if self.entered.get().is_none() {
            return (Vec::new(), Vec::new());
        }
        let mut written = lock(&self.written);
        (std::mem::take(&mut written.given), std::mem::take(&mut written.carried))
    }

    /// Passes an object through its adapter: gives a tuple of its values, or the slot of a deferred value.
    ///
    /// `slow` has the keys of the adapters whose decoders are async on the other side.
    pub(crate) fn adapt(
        &mut self,
        object: &Bound<'py, PyAny>,
        adapter: &Bound<'py, PyAny>,
        slow: Option<&Py<PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        static OUTGOING: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let outgoing = match &self.outgoing {
            Some(outgoing) => outgoing,
            None => {
                let made = OUTGOING.import(self.py, HOOKS, "Outgoing")?.call1((slow,))?;
                self.outgoing.insert(made)
            }
        };
        with_collector(self.py, || outgoing.call_method1(intern!(self.py, "adapt"), (object, adapter)))
    }

    /// Tells how objects of a type are sent, if that was asked before; no Python code runs.
    #[inline]
    pub(crate) fn known(&self, class: &Bound<'py, PyType>) -> Option<Sending<'py>> {
        self.known.borrow().iter().find(|(known, _)| known.is(class)).map(|(_, sending)| sending.clone())
    }

    /// Tells how objects of a type are sent; `None` if they cannot be.
    pub(crate) fn sending(&self, class: &Bound<'py, PyType>) -> PyResult<Option<Sending<'py>>> {
        if let Some(sending) = self.known(class) {
            return Ok(Some(sending));
        }
        let table = self.table()?;
        let ways = table.getattr(intern!(self.py, "ways"))?.cast_into::<PyDict>()?;
        let found = match ways.get_item(class)? {
            Some(known) => known,
            None => table.call_method1(intern!(self.py, "find"), (class,))?,
        };
        let Some((kind, function)) = found.extract::<Option<(Option<u8>, Bound<'py, PyAny>)>>()? else {
            return Ok(None);
        };
        let reader = Reader::find(class, kind)?;
        let sending = Sending { kind, function, reader };
        let mut known = self.known.borrow_mut();
        if known.len() < MOST_KNOWN {
            known.push((class.clone(), sending.clone()));
        }
        Ok(Some(sending))
    }

    /// Gives the builtin types that adapters are for, if there are any.
    pub(crate) fn adapted_builtins(&self) -> Option<Bound<'py, PyAny>> {
        if !ADAPTS_BUILTINS.load(Ordering::Relaxed) {
            return None;
        }
        let classes = self.table().ok()?.getattr(intern!(self.py, "adapted_builtins")).ok()?;
        classes.is_truthy().ok()?.then_some(classes)
    }

    /// Tells the user, once for each class, that an object at `path` arrives as something like it.
    pub(crate) fn warn(&self, class: &Py<PyType>, path: String) -> PyResult<()> {
        self.table()?.call_method1(intern!(self.py, "warn"), (class, path)).map(drop)
    }

    /// Tells why a value cannot be sent, if that is what a function of the tables raised.
    pub(crate) fn reason(&self, error: &PyErr) -> Option<String> {
        static REFUSED: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let class = REFUSED.import(self.py, HOOKS, "RefusedError").ok()?;
        error.is_instance(self.py, class).then(|| error.value(self.py).to_string())
    }

    /// Adds what a pattern with these values weighs to `so_far`, and refuses what is too much.
    pub(crate) fn weigh(&self, so_far: usize, values: &Bound<'py, PyAny>) -> PyResult<usize> {
        static WEIGH: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let pattern = values.get_item(0)?;
        WEIGH.import(self.py, HOOKS, "weigh_pattern")?.call1((so_far, pattern))?.extract()
    }

    /// Makes an array of numpy's from the values before its content, for `len` bytes, and tells where they belong;
    /// `None` if the content has to be looked at.
    pub(crate) fn ndarray(
        &self,
        values: &Bound<'py, PyTuple>,
        len: usize,
    ) -> PyResult<Option<(Bound<'py, PyAny>, usize)>> {
        static ARRAY: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let array = ARRAY.import(self.py, HOOKS, "receive_numpy_array")?;
        let values = values.to_list();
        values.append(len)?;
        array.call1(values.to_tuple())?.extract()
    }

    /// Builds an object of an extension type from all of its values.
    pub(crate) fn build(&self, kind: u8, values: Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(built) = self.frequent.build(kind, &values)? {
            return Ok(built);
        }
        self.enter()?;
        // An adapter's decoder is the user's code.
        if kind == ext::ADAPTED {
            let table = self.table()?;
            let build = || table.call_method1(intern!(self.py, "build_adapted"), values);
            return with_collector(self.py, build);
        }
        // Not borrowed while it builds: that may decode another frame.
        let known =
            self.builders.borrow().iter().find(|(known, _)| *known == kind).map(|(_, one)| one.clone());
        known.map_or_else(|| self.find_builder(kind), Ok)?.call1(values)
    }

    #[cold]
    fn find_builder(&self, kind: u8) -> PyResult<Bound<'py, PyAny>> {
        static FIND: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        let found = FIND.import(self.py, HOOKS, "find_builder")?.call1((kind,))?;
        let mut builders = self.builders.borrow_mut();
        if builders.len() < MOST_KNOWN {
            builders.push((kind, found.clone()));
        }
        Ok(found)
    }

    /// Makes an object of an extension type from the first of its values.
    pub(crate) fn make(&self, kind: u8, first: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        static MAKE: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if kind == ext::EXCEPTION
            && let Some(made) = frequent::make_exception(&first)?
        {
            return Ok(made);
        }
        MAKE.import(self.py, HOOKS, "make")?.call1((kind, first))
    }

    /// Fills an object that was made with the rest of its values.
    pub(crate) fn fill(
        &self,
        kind: u8,
        object: &Bound<'py, PyAny>,
        values: &Bound<'py, PyAny>,
    ) -> PyResult<()> {
        static FILL: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if kind == ext::EXCEPTION && frequent::is_complete(object, values) {
            return Ok(());
        }
        FILL.import(self.py, HOOKS, "fill")?.call1((kind, object, values)).map(drop)
    }
}

impl Drop for Types<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.entered.take() {
            // It cannot fail: nothing was awaited since, so the context is the one that was entered.
            let _ = context("leave", &token);
            let mut written = lock(&self.written);
            let outer = self.outer.take();
            let unsent = std::mem::replace(&mut written.given, outer.given);
            written.carried = outer.carried;
            written.unsent.extend(unsent);
        }
    }
}

/// Calls a function of the hooks that enters or leaves a context.
#[cold]
#[inline(never)]
fn context<'py>(function: &str, argument: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    argument.py().import(HOOKS)?.getattr(function)?.call1((argument,))
}

/// Whether a connection has adapters for builtin types: nothing else need be asked if not.
static ADAPTS_BUILTINS: AtomicBool = AtomicBool::new(false);

/// Says whether there are classes in the `adapted_builtins` of any table.
#[pyfunction]
pub(crate) fn adapt_builtins(adapts: bool) {
    ADAPTS_BUILTINS.store(adapts, Ordering::Relaxed);
}

/// Returns whether any connection has adapters for builtin types.
pub(crate) fn adapts_builtins() -> bool {
    ADAPTS_BUILTINS.load(Ordering::Relaxed)
}

/// Tells whether a value of an extension type is something of ours, and whether its elements are too.
pub(crate) fn is_structure(kind: u8, index: usize) -> (bool, bool) {
    match kind {
        // Factory or maxlen, then the content.
        ext::DEQUE | ext::ORDERED_DICT | ext::DEFAULT_DICT | ext::COUNTER => (index == 0, false),
        // Names, and the values of these names.
        ext::NAMESPACE => (index == 0 || index % 2 == 1, false),
        ext::OBJECT => (index == 0 || index % 2 == 1, index == 0),
        // The arguments, and the attributes.
        ext::EXCEPTION => (true, index == 0 || index == 4),
        ext::NAMED_TUPLE => (index < 2, index == 1),
        _ => (true, false),
    }
}

/// Tells where in an object of an extension type the value with that index stands, as Python would say it.
///
/// `before` is the value before it: its key or its name, where the type has such.
pub(crate) fn step(kind: u8, index: usize, before: Option<&Bound<'_, PyAny>>) -> Step {
    match (kind, index) {
        (ext::DEQUE, 1..) => Step::Index(index - 1),
        (ext::DEFAULT_DICT, 0) => Step::Attribute("default_factory".to_owned()),
        (ext::MAPPING_FIRST..=ext::MAPPING_LAST, 1..) if index % 2 == 1 => Step::KeyAt(index / 2),
        (ext::MAPPING_FIRST..=ext::MAPPING_LAST, 1..) => before.map_or(Step::KeyAt(index / 2), key_step),
        (ext::NAMESPACE | ext::OBJECT, 1..) => Step::Attribute(name_of(before)),
        (ext::EXCEPTION, _) => {
            let names = ["args", "__cause__", "__context__", "__suppress_context__", "__dict__"];
            Step::Attribute(names.get(index).map_or_else(String::new, |&name| name.to_owned()))
        }
        (ext::MAPPING_PROXY | ext::NAMED, _) | (ext::OBJECT | ext::NAMED_TUPLE, 0) => Step::Within,
        // The class and its fields come first.
        (ext::NAMED_TUPLE, 2..) => Step::Index(index - 2),
        // The names are those that pandas has for these parts.
        (ext::DATA_FRAME, 0) => Step::Attribute("columns".to_owned()),
        (ext::DATA_FRAME | ext::SERIES, 1) => Step::Attribute("index".to_owned()),
        (ext::DATA_FRAME, 2) | (ext::SERIES, 0) => Step::Attribute("array".to_owned()),
        (ext::DATA_FRAME | ext::SERIES, 3) => Step::Attribute("attrs".to_owned()),
        (ext::DATETIME, 1) | (ext::TIME, 4) => Step::Attribute("tzinfo".to_owned()),
        (ext::ADAPTED, _) => Step::Attribute(format!("<what {} made>", name_of(before))),
        _ => Step::Index(index),
    }
}

/// Gives what should be a name; in a frame it may be anything, whose text may be anybody's code.
pub(crate) fn name_of(value: Option<&Bound<'_, PyAny>>) -> String {
    let name = value.and_then(|value| value.cast_exact::<PyString>().ok());
    name.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Tells the way to the value of a key, which Python's `repr()` shows if it is short.
pub(crate) fn key_step(key: &Bound<'_, PyAny>) -> Step {
    const SHOWN: usize = 40;
    let text = key.repr().map_or_else(|_| "…".to_owned(), |text| text.to_string_lossy().into_owned());
    if text.chars().count() <= SHOWN {
        return Step::Key(text);
    }
    Step::Key(text.chars().take(SHOWN).chain(['…']).collect())
}
