//! The extension module `workerlib._native`: Python's objects for the codec, and the session for Python.
//!
//! Nothing is decided here. Bytes are `workerlib-codec`'s business, the state of a connection is
//! `workerlib-core`'s, and the user's view is the Python package's (`python/workerlib`).

mod block;
mod call;
mod deep;
mod deferred;
mod descriptions;
mod direct;
mod errors;
mod frame;
mod frequent;
mod gc_pause;
mod hooks;
mod inlet;
mod interpreter;
mod item_queue;
mod layout;
mod objects;
mod plain;
mod sending;
mod session;
mod settings;
mod sink;
mod source;
mod streams;
mod turn;
mod types;

use pyo3::prelude::*;

/// The part of workerlib that is written in Rust; its names are private to the package.
// Borrowed references are read without further locks: the GIL is what makes that right.
#[pymodule(gil_used = true)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::block::{Block, region, room};
    #[pymodule_export]
    use crate::deep::dismantle;
    #[pymodule_export]
    use crate::deferred::{Arrival, Unfinished};
    #[pymodule_export]
    use crate::direct::{Direct, send_together};
    #[pymodule_export]
    use crate::frame::{decode, encode};
    #[pymodule_export]
    use crate::inlet::Inlet;
    #[pymodule_export]
    use crate::item_queue::{ItemQueue, steps_of};
    #[pymodule_export]
    use crate::session::Session;
    #[pymodule_export]
    use crate::streams::Batch;
    #[pymodule_export]
    use crate::turn::Turn;

    #[pymodule_export]
    use crate::types::adapt_builtins;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        crate::interpreter::refuse_a_second(module.py())
    }

    /// The version of the wire format: the wire format, section 1.
    #[pymodule_export]
    const PROTOCOL: u32 = workerlib_core::PROTOCOL;

    /// The version of the package: all parts of the workspace have one.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");
}
