//! Runs of items: lists whose elements are encoded one after the other, each when it was produced.
//!
//! The generator goes on between two items, and may change all that can be changed. So the items of a run share strs and
//! nothing else. An item for which Python code has to run is not among them: such code may do anything, and what it has done
//! cannot be taken back.

use pyo3::prelude::*;
use workerlib_codec::Encoder;

use crate::deep::DEEP;
use crate::frame::Values;
use crate::gc_pause::GcPause;
use crate::settings::Settings;
use crate::source::PySource;

/// A run that is being written.
pub(super) struct Run {
    encoder: Encoder,
    count: usize,
    /// Long strs whose content is still to be put among what the encoder wrote, and where.
    late: Vec<(usize, Py<PyAny>)>,
    /// The strs that further items may refer to, which live until the run is closed.
    texts: Vec<Py<PyAny>>,
}

impl Run {
    /// Starts a run, for which it makes room for `capacity` bytes.
    pub(super) fn new(settings: &Settings, capacity: usize) -> Self {
        // The run itself is the outermost level. Deeper items are alone, since they have to be taken apart with care.
        let limits = settings.sent.with_depth(settings.sent.depth.min(DEEP).saturating_sub(1));
        let encoder = Encoder::new(&limits, capacity);
        Self { encoder, count: 0, late: Vec::new(), texts: Vec::new() }
    }

    /// The number of bytes that its items take so far, without the buffers beside them.
    pub(super) fn len(&self) -> usize {
        self.encoder.position()
    }

    /// Adds an item; returns false if it cannot share a run.
    #[inline]
    pub(super) fn add<'py>(
        &mut self,
        py: Python<'py>,
        source: &mut PySource<'py>,
        item: &Bound<'py, PyAny>,
    ) -> bool {
        // That two items are the same str tells nobody anything: each is written as one that nothing else refers to.
        if !source.write_plain_apart(item.as_ptr(), usize::MAX, None, &mut self.encoder.plain()) {
            let _pause = GcPause::new(py);
            let mark = self.encoder.mark();
            if self.encoder.encode(source, item.as_ptr()).is_err() {
                // Whoever encodes it alone is told the same error, or none.
                self.encoder.take_back(mark);
                return false;
            }
        }
        self.count += 1;
        self.late.append(&mut source.late);
        let Self { encoder, texts, .. } = self;
        source.end_walk(texts, |identity| encoder.forget(identity));
        true
    }

    /// Ends the run, to which these buffers belong.
    pub(super) fn close(self, buffers: Vec<Py<PyAny>>) -> Values {
        Values::of_encoded(self.encoder.finish_list(self.count), self.late, buffers)
    }
}
