//! A call of this side that is about to be sent: [`Sending`].

/// A call that is about to be sent: its id, the function, whether its start is to be reported, and the items and bytes
/// of the credit if it asks for a stream.
pub(crate) struct Sending<'f> {
    pub(crate) id: u32,
    pub(crate) function: &'f str,
    pub(crate) reports_start: bool,
    pub(crate) credit: Option<(u32, u32)>,
}
