//! The limits that each side sets for itself.

/// The limits of a codec, whatever a value or a frame asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The number of containers that may stand inside each other.
    pub depth: usize,
    /// From how many bytes on a buffer travels beside the frame instead of in it.
    pub out_of_band: usize,
}

impl Limits {
    /// Sets how many containers may stand inside each other.
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Sets from how many bytes on a buffer travels beside the frame.
    pub fn with_out_of_band(mut self, out_of_band: usize) -> Self {
        self.out_of_band = out_of_band;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        // A copy into and out of the frame costs less than a transferred buffer of its own up to about here.
        Self { depth: 1_000_000, out_of_band: 16 * 1024 }
    }
}
