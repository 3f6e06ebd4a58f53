//! The items of streams as bytes, on their way out and on their way in: the wire format, section 2.
//!
//! A message with items is a sequence of runs, each of which is a list with a sharing table of its own. An item is encoded
//! when it is produced, since the generator may change it afterwards.

mod run;

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyIterator, PyList};
use pyo3::{PyTraverseError, PyVisit};
use workerlib_core::RefId;

use crate::deep::{DEEP, dismantle};
use crate::deferred::Unfinished;
use crate::errors::frame_error;
use crate::frame::{self, Frame, Part, Values};
use crate::settings::Settings;
use crate::source::PySource;
use crate::types::adapts_builtins;
use run::Run;

/// From how many bytes on a message is sent: more in one does not make it cheaper.
const ENOUGH: usize = 64 << 10;
/// If the steps since the last look at the clock took less than so many seconds, twice as many go by until the next look.
const QUICK: f64 = 0.000_25;
/// The number of steps that go by at most.
const MOST_UNSEEN: u32 = 16;

/// The items of a stream that have been produced and not been sent.
#[pyclass(module = "workerlib._native")]
pub(crate) struct Batch {
    settings: Arc<Settings>,
    content: Content,
}

/// What a batch has; taken out of it while Python code may run.
#[derive(Default)]
struct Content {
    /// The run that the next item may share; it stands behind `runs`.
    run: Option<Run>,
    /// The runs that are complete.
    runs: Vec<u8>,
    /// The buffers beside all of them.
    buffers: Vec<Py<PyAny>>,
    /// The number of bytes that these have.
    beside: usize,
    /// The references that the items give to the other side.
    given: Vec<RefId>,
    count: u32,
    /// The number of bytes that the run of the last message had.
    expected: usize,
    /// Whether Python code had to run for the last item, and so perhaps for the next one.
    needs_python: bool,
}

/// The work that follows an item.
enum Next<'py> {
    /// Another item may be produced.
    Produce,
    /// The batch is to be sent first.
    Send,
    /// The batch is to be sent first, and the item to be taken apart by `dismantle`, since it is deep.
    SendAndDismantle,
    /// The item is not in the batch: an adapter for it is async.
    Finish(Bound<'py, Unfinished>),
}

impl Content {
    /// The number of bytes that the items take.
    fn size(&self) -> usize {
        self.runs.len() + self.run.as_ref().map_or(0, Run::len) + self.beside
    }

    /// Adds an item as it is now; `source` may walk the next one, too.
    #[inline]
    fn add<'py>(
        &mut self,
        settings: &Arc<Settings>,
        source: &mut Option<PySource<'py>>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Next<'py>> {
        if self.needs_python || !self.share(settings, source, item) {
            *source = None;
            return self.add_alone(settings, item);
        }
        self.count += 1;
        Ok(if self.size() >= ENOUGH || self.beside > 0 { Next::Send } else { Next::Produce })
    }

    /// Adds an item to the run that others share; returns false if it has to be alone.
    #[inline]
    fn share<'py>(
        &mut self,
        settings: &Settings,
        source: &mut Option<PySource<'py>>,
        item: &Bound<'py, PyAny>,
    ) -> bool {
        let py = item.py();
        if source.is_none() || adapts_builtins() {
            *source = PySource::plain_only(py, settings);
        }
        let Some(source) = source else { return false };
        let run = self.run.get_or_insert_with(|| Run::new(settings, self.expected));
        if !run.add(py, source, item) {
            return false;
        }
        if !source.buffers.is_empty() {
            self.beside += frame::size_of_buffers(py, &source.buffers);
            self.buffers.append(&mut source.buffers);
        }
        true
    }

    /// Adds an item in a run of its own.
    #[inline(never)]
    fn add_alone<'py>(&mut self, settings: &Arc<Settings>, item: &Bound<'py, PyAny>) -> PyResult<Next<'py>> {
        let py = item.py();
        if let Some(run) = self.run.take() {
            run.close(Vec::new()).append_to(&mut self.runs);
        }
        let item = PyList::new(py, [item])?;
        let values = Values::encode(py, &[("item", item.as_any())], settings, None)?;
        self.needs_python = !values.is_plain;
        if values.needs_deferred(py)? {
            let unfinished = Unfinished::new(py, values, Arc::clone(settings))?;
            return Ok(Next::Finish(Bound::new(py, unfinished)?));
        }
        self.count += 1;
        values.append_to(&mut self.runs);
        self.beside += frame::size_of_buffers(py, &values.buffers);
        self.buffers.extend(values.buffers);
        self.given.extend(values.given);
        Ok(match values.deepest {
            // The list around the item is a level, too.
            deepest if deepest > DEEP => Next::SendAndDismantle,
            // Buffers beside the frame have not been copied.
            _ if self.size() >= ENOUGH || self.beside > 0 => Next::Send,
            _ => Next::Produce,
        })
    }

    /// Takes steps of an iterator until its items are to be sent: returns whether it has ended, or an item that is unfinished.
    fn fill<'py>(
        &mut self,
        settings: &Arc<Settings>,
        mut iterator: Bound<'py, PyIterator>,
        most: usize,
        seconds: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = iterator.py();
        let (start, mut seen) = (Instant::now(), 0.0);
        // A look at the clock takes longer than a step.
        let (mut unseen, mut stride) = (0, 1);
        let mut source = None;
        for _ in 0..most {
            let Some(item) = iterator.next().transpose()? else {
                return Ok(PyBool::new(py, true).to_owned().into_any());
            };
            match self.add(settings, &mut source, &item)? {
                Next::Produce => {
                    unseen += 1;
                    if unseen >= stride {
                        let now = start.elapsed().as_secs_f64();
                        if now >= seconds {
                            break;
                        }
                        stride = if now - seen < QUICK { MOST_UNSEEN.min(2 * stride) } else { 1 };
                        (unseen, seen) = (0, now);
                    }
                }
                Next::Send => break,
                Next::SendAndDismantle => {
                    let items = PyList::new(py, [item])?;
                    dismantle(&items)?;
                    break;
                }
                Next::Finish(unfinished) => return Ok(unfinished.into_any()),
            }
        }
        Ok(PyBool::new(py, false).to_owned().into_any())
    }
}

impl Batch {
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, content: Content::default() }
    }

    /// Takes the items out: how many they are, the bytes that stand before the last run, and this with what belongs to all.
    pub(crate) fn take(&mut self) -> (u32, Vec<u8>, Values) {
        let Content { run, runs, buffers, given, count, needs_python, .. } = mem::take(&mut self.content);
        self.content.needs_python = needs_python;
        let mut values = match run {
            Some(run) => {
                self.content.expected = run.len().min(ENOUGH);
                run.close(buffers)
            }
            None => Values::of_encoded(Default::default(), Vec::new(), buffers),
        };
        values.given = given;
        (count, runs, values)
    }

    /// Does something with the content, while Python code may run.
    fn with_content<'py, T>(
        slf: &Bound<'py, Self>,
        work: impl FnOnce(&mut Content, &Arc<Settings>) -> PyResult<T>,
    ) -> PyResult<T> {
        let (mut content, settings) = {
            let mut this = slf.borrow_mut();
            (mem::take(&mut this.content), Arc::clone(&this.settings))
        };
        let result = work(&mut content, &settings);
        slf.borrow_mut().content = content;
        result
    }
}

#[pymethods]
impl Batch {
    // Shows the garbage collector the objects that wait to be sent.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.content.buffers.iter().try_for_each(|object| visit.call(object))?;
        self.settings.traverse(&visit)
    }

    // Drops these objects; nobody has this any more.
    fn __clear__(&mut self) {
        self.content = Content::default();
        self.settings = Arc::default();
    }

    // The number of items.
    fn __len__(&self) -> usize {
        self.content.count as usize
    }

    // Adds an item as it is now. Returns 1 if the batch is to be sent before the next item is produced, 2 if the item is
    // so deep besides that it has to be taken apart by `dismantle`, else 0; or what is unfinished of the item if an
    // adapter is async, which is not added then.
    fn add<'py>(slf: &Bound<'py, Self>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let next = Self::with_content(slf, |content, settings| content.add(settings, &mut None, item))?;
        let code: u8 = match next {
            Next::Produce => 0,
            Next::Send => 1,
            Next::SendAndDismantle => 2,
            Next::Finish(unfinished) => return Ok(unfinished.into_any()),
        };
        Ok(code.into_pyobject(slf.py())?.into_any())
    }

    // Takes at most so many steps of an iterator, until its items are to be sent or so many seconds are over. Returns whether
    // it has ended, or what is unfinished of an item as `add` does.
    fn fill<'py>(
        slf: &Bound<'py, Self>,
        iterator: &Bound<'py, PyIterator>,
        most: usize,
        seconds: f64,
    ) -> PyResult<Bound<'py, PyAny>> {
        Self::with_content(slf, |content, settings| content.fill(settings, iterator.clone(), most, seconds))
    }
}

/// Reads the items of a message, and tells whether one of them is deep.
pub(crate) fn read_items<'py>(
    py: Python<'py>,
    frame: &Frame,
    count: u32,
    settings: &Settings,
) -> PyResult<(Bound<'py, PyList>, bool)> {
    let end = frame.bytes.as_bytes(py).len();
    let (mut part, mut deepest) = (Part::first(frame.body), 0);
    let mut items: Option<Bound<'py, PyList>> = None;
    while part.at < end {
        let ([run], depth, rest) = frame.decode_part(py, ["item"], settings, part, None)?;
        let run: Bound<'py, PyList> =
            run.cast_into_exact().map_err(|_| frame_error(py, "items that are not a list"))?;
        (part, deepest) = (rest, deepest.max(depth));
        match &items {
            None => items = Some(run),
            Some(items) => items.as_any().call_method1(pyo3::intern!(py, "extend"), (run,)).map(drop)?,
        }
    }
    let items = items.filter(|items| items.len() == count as usize);
    let items = items.ok_or_else(|| frame_error(py, "another number of items than their message says"))?;
    // The list around each item is ours.
    Ok((items, deepest > DEEP + 1))
}

/// The number of bytes that the items of a message take, buffers included: as the producer counts them.
pub(crate) fn size_of(py: Python<'_>, frame: &Frame) -> usize {
    frame.bytes.as_bytes(py).len() - frame.body + frame::size_of_buffers(py, &frame.buffers)
}
