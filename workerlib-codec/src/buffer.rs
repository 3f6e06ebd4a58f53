//! Buffers: bytes that travel in a frame or beside it (section 4.4).

/// Which of the buffer types a buffer is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Buffer {
    /// `bytes`.
    Bytes,
    /// `bytearray`.
    Bytearray,
    /// `memoryview`.
    View(ViewHeader),
}

/// A memoryview's description of its bytes: section 4.4. Its content is in C order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewHeader {
    /// Whether the receiver may not write to it.
    pub readonly: bool,
    /// The size of an item in bytes: that of `'l'` differs between machines.
    pub itemsize: u32,
    /// The items' format, as in Python's module `struct`.
    pub format: String,
    /// The number of items in each dimension; empty for a single item.
    pub shape: Vec<u64>,
}

impl ViewHeader {
    /// Describes a memoryview whose items of `itemsize` bytes have that format and shape.
    pub fn new(readonly: bool, itemsize: u32, format: impl Into<String>, shape: Vec<u64>) -> Self {
        Self { readonly, itemsize, format: format.into(), shape }
    }

    /// The number of bytes that the content has, or `None` if no address space could hold them.
    pub fn len(&self) -> Option<u64> {
        self.shape.iter().try_fold(u64::from(self.itemsize), |product, &length| product.checked_mul(length))
    }

    /// Returns whether the content has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}
