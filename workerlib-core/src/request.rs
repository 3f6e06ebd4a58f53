//! What a call asks for: [`Request`].

/// From how many bytes on a call is heavy.
const HEAVY: usize = 64 << 10;

/// A call without its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'f> {
    function: &'f str,
    size: usize,
    reports_start: bool,
}

impl<'f> Request<'f> {
    /// Asks for a call of a function, whose arguments take `size` bytes.
    ///
    /// A heavy call takes up an eighth of the peer's window. Its start is always reported, because the peer does not
    /// know how much of its window that gives back.
    pub fn new(function: &'f str, size: usize) -> Self {
        Self { function, size, reports_start: size >= HEAVY }
    }

    /// Asks for an [`Event::Started`](crate::Event::Started) too.
    pub fn reporting_start(mut self) -> Self {
        self.reports_start = true;
        self
    }

    /// The function's name.
    pub fn function(&self) -> &'f str {
        self.function
    }

    /// Whether the peer is to say when the call starts.
    pub fn reports_start(&self) -> bool {
        self.reports_start
    }

    /// How much the call takes up of a window.
    pub(crate) fn weight(&self, window: u32) -> u32 {
        if self.size < HEAVY { 1 } else { (window / 8).max(1) }
    }
}
