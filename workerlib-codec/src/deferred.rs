//! The announcement of deferred values, which are values that stand before those of a frame, because they are needed to build
//! these: the wire format, section 4.8.
//!
//! Each deferred value is values with a sharing table, as those of a frame are: the encoder writes and the decoder reads them.

use crate::marker::{self, ext};
use crate::write::write_count;

/// Announces deferred values that need none of each other.
pub fn write(out: &mut Vec<u8>, count: u32) {
    write_count(out, ext::DEFERRED, count);
}

/// Returns how many deferred values are announced at a position of a frame, and where the first of them starts; `None`
/// if it is something else that stands there.
pub fn read(frame: &[u8], position: usize) -> Option<(u32, usize)> {
    match *frame.get(position..)? {
        [marker::FIXEXT1, ext::DEFERRED, a, ..] => Some((u32::from(a), position + 3)),
        [marker::FIXEXT2, ext::DEFERRED, a, b, ..] => {
            Some((u32::from(u16::from_be_bytes([a, b])), position + 4))
        }
        [marker::FIXEXT4, ext::DEFERRED, a, b, c, d, ..] => {
            Some((u32::from_be_bytes([a, b, c, d]), position + 6))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Protects deferred values of every number that the announcement can say.
    #[test]
    fn what_announces_deferred_values_is_read_again() {
        for count in [0, 1, 255, 256, 65_535, 65_536, u32::MAX] {
            let mut out = b"envelope".to_vec();
            write(&mut out, count);
            assert_eq!(read(&out, 8), Some((count, out.len())));
            assert_eq!(read(&out[..out.len() - 1], 8), None);
        }
        assert_eq!(read(b"\x90\xc0", 0), None);
        assert_eq!(read(b"", 1), None);
    }
}
