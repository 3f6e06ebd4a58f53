//! The function that JavaScript calls with a small frame: the frame goes to its session without a proxy of Pyodide's.
//!
//! `_channels/message_port.js` writes the frame into memory that Python has given it, and calls an [`Inlet`] by its address,
//! by Python's own C interface. A frame with buffers goes to `_channels/message_port.py`.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyList, PyString};
use pyo3::{PyTraverseError, PyVisit};

use crate::call::{call, method};
use crate::direct::put_together;
use crate::errors::frame_error;
use crate::session::Session;
use crate::turn::Turn;

/// The number of bytes in front of a frame that tell its size, little-endian.
const HEAD: usize = 4;

/// The size that says that the frame is an object of its own, whose address follows.
#[cfg(target_os = "emscripten")]
const ELSEWHERE: [u8; HEAD] = u32::MAX.to_le_bytes();

/// Takes in frames for a connection.
#[pyclass(module = "workerlib._native", frozen)]
pub(crate) struct Inlet {
    /// The size of the frame, and the frame.
    room: Py<PyByteArray>,
    session: Py<Session>,
    connection: Py<PyAny>,
    /// Runs the callbacks that a message schedules.
    turn: Py<Turn>,
    /// Ends the connection with the reason.
    on_broken: Py<PyAny>,
}

#[pymethods]
impl Inlet {
    #[new]
    fn new(
        room: Py<PyByteArray>,
        session: Py<Session>,
        connection: Py<PyAny>,
        turn: Py<Turn>,
        on_broken: Py<PyAny>,
    ) -> Self {
        Self { room, session, connection, turn, on_broken }
    }

    // Shows the garbage collector the objects of the connection.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.session)?;
        visit.call(&self.connection)?;
        visit.call(&self.turn)?;
        visit.call(&self.on_broken)
    }

    // Takes in the frame that JavaScript has written. Nothing is raised: JavaScript could not read it.
    fn __call__(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        // The connection may let go of it meanwhile.
        let this = slf.clone();
        if let Err(error) = this.get().arrive(py) {
            let reason = format!("a message could not be taken in: {error}");
            call(this.get().on_broken.bind(py), &[&PyString::new(py, &reason)])?;
        }
        Ok(())
    }
}

impl Inlet {
    fn arrive(&self, py: Python<'_>) -> PyResult<()> {
        let frames = {
            // SAFETY: nothing runs meanwhile that could write to it, or change its size.
            let room = unsafe { self.room.bind(py).as_bytes() };
            #[cfg(target_os = "emscripten")]
            let large = read_large_frame(py, room);
            #[cfg(not(target_os = "emscripten"))]
            let large = None;
            large
                .map(|frame| vec![frame])
                .or_else(|| read_frames(py, room))
                .ok_or_else(|| frame_error(py, "a frame that has no room"))?
        };
        let turn = self.turn.bind(py);
        let is_together = frames.len() > 1;
        Turn::begin(turn)?;
        if is_together {
            put_together(true);
        }
        let done = frames.into_iter().try_for_each(|frame| self.take_in(py, frame));
        if is_together {
            put_together(false);
        }
        Turn::end(turn)?;
        done
    }

    fn take_in(&self, py: Python<'_>, frame: Bound<'_, PyBytes>) -> PyResult<()> {
        let connection = self.connection.bind(py);
        if connection.getattr(intern!(py, "_is_hearing"))?.is_truthy()? {
            method(connection, intern!(py, "_receive"), &[&frame, &PyList::empty(py)])?;
            return Ok(());
        }
        let session = self.session.bind(py);
        session.borrow_mut().take_in(frame, Vec::new());
        if let Some(step) = Session::carry_out_directly(session, connection)? {
            method(connection, intern!(py, "_carry_out_from"), &[&step])?;
        }
        Ok(())
    }
}

/// Reads the frames that have arrived: one behind its size, or behind a size of 0 several, each behind its size, and a size
/// of 0 at the end. `None` if they do not fit.
fn read_frames<'py>(py: Python<'py>, room: &[u8]) -> Option<Vec<Bound<'py, PyBytes>>> {
    let frame = |at: usize| {
        let (head, rest) = room.get(at..)?.split_first_chunk::<HEAD>()?;
        rest.get(..u32::from_le_bytes(*head) as usize)
    };
    let first = frame(0)?;
    if !first.is_empty() {
        return Some(vec![PyBytes::new(py, first)]);
    }
    let (mut frames, mut at) = (Vec::new(), HEAD);
    loop {
        let next = frame(at)?;
        if next.is_empty() {
            return Some(frames);
        }
        frames.push(PyBytes::new(py, next));
        at += HEAD + next.len();
    }
}

/// Takes the frame that has not fitted into the room: `None` if there is none.
#[cfg(target_os = "emscripten")]
fn read_large_frame<'py>(py: Python<'py>, room: &[u8]) -> Option<Bound<'py, PyBytes>> {
    let (head, rest) = room.split_first_chunk::<HEAD>()?;
    let (address, _) = rest.split_first_chunk::<HEAD>()?;
    if *head != ELSEWHERE {
        return None;
    }
    let object = u32::from_le_bytes(*address) as usize as *mut pyo3::ffi::PyObject;
    // SAFETY: only `message_port.js` writes a head. It has made a bytes object, which nobody else refers to, and gives it away.
    let frame = unsafe { Bound::from_owned_ptr(py, object) };
    frame.cast_into::<PyBytes>().ok()
}
