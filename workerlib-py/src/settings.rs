//! The settings by which one side of a connection encodes and decodes: [`Settings`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::{PyTraverseError, PyVisit};
use workerlib_codec::Limits;
use workerlib_core::RefId;

/// The number of levels of containers that an arriving value may have, unless the program says otherwise.
///
/// CPython frees a list within a list by recursion. In WebAssembly the stack ends before, and Pyodide with it: 1,000 levels
/// are safe there, and the user's code may drop a value at any time.
const RECEIVED: usize = if cfg!(target_os = "emscripten") { 1_000 } else { 1_000_000 };

/// From how many bytes on the content of a buffer travels beside a message, and not within its frame: below, two more copies
/// take less time than the second part of a message.
const BESIDE: usize = 320 << 10;

/// The settings of one side, and facts about the other one that encoding depends on.
#[derive(Default)]
pub(crate) struct Settings {
    /// The limits of values that are sent.
    pub(crate) sent: Limits,
    /// The limits of values that arrive.
    pub(crate) received: Limits,
    /// The connection's `SendingTable`, if the values are of one: how the objects of each class are sent.
    pub(crate) table: Option<Py<PyAny>>,
    /// The keys of the adapters whose decoders are async on the other side.
    pub(crate) slow: Option<Py<PyAny>>,
    /// A weak reference to the connection that the values are of, if they are of one.
    pub(crate) owner: Option<Py<PyAny>>,
    /// The references in the values that are being encoded.
    pub(crate) written: Arc<Mutex<References>>,
}

/// References in values that are encoded.
#[derive(Default)]
pub(crate) struct References {
    /// The references that are given to the other side.
    pub(crate) given: Vec<RefId>,
    /// The references that the other side has given, and gets back.
    pub(crate) carried: Vec<RefId>,
    /// The references that were given by values that have not been sent after all.
    pub(crate) unsent: Vec<RefId>,
}

/// Gets at references; what panicked meanwhile has left them whole.
pub(crate) fn lock(references: &Mutex<References>) -> MutexGuard<'_, References> {
    references.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Settings {
    /// Makes the settings of a connection; `depth` is for values in both directions, if the program says it.
    pub(crate) fn new(table: Option<Py<PyAny>>, depth: Option<usize>) -> Self {
        let limits = Limits::default().with_out_of_band(BESIDE);
        let sent = limits.with_depth(depth.unwrap_or(limits.depth));
        let received = limits.with_depth(depth.unwrap_or(RECEIVED));
        Self { sent, received, table, ..Self::default() }
    }

    /// Shows the garbage collector the objects that the settings refer to.
    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.slow.iter().chain(&self.owner).chain(&self.table).try_for_each(|object| visit.call(object))
    }

    #[inline(never)]
    pub(crate) fn clone_ref(&self, py: Python<'_>) -> Self {
        let slow = self.slow.as_ref().map(|keys| keys.clone_ref(py));
        let owner = self.owner.as_ref().map(|owner| owner.clone_ref(py));
        let table = self.table.as_ref().map(|table| table.clone_ref(py));
        let written = Arc::clone(&self.written);
        Self { sent: self.sent, received: self.received, table, slow, owner, written }
    }
}
