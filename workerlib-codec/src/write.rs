//! The bytes of single values and headers: the wire format, sections 4.1 to 4.4.
//!
//! Each function appends to what is written already. The order of values, sharing and limits are the encoder's.

use crate::buffer::{Buffer, ViewHeader};
use crate::marker::{self, Container, ext};

/// A length that MessagePack cannot say: more than 2³² - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

#[inline]
pub(crate) fn write_int(out: &mut Vec<u8>, value: i64) {
    match value {
        0.. => write_uint(out, value.unsigned_abs()),
        -32..0 => out.push(value as u8),
        _ => {
            if let Ok(value) = i8::try_from(value) {
                put(out, marker::INT8, value.to_be_bytes());
            } else if let Ok(value) = i16::try_from(value) {
                put(out, marker::INT16, value.to_be_bytes());
            } else if let Ok(value) = i32::try_from(value) {
                put(out, marker::INT32, value.to_be_bytes());
            } else {
                put(out, marker::INT64, value.to_be_bytes());
            }
        }
    }
}

#[inline]
pub(crate) fn write_uint(out: &mut Vec<u8>, value: u64) {
    match value {
        0..=0x7f => out.push(value as u8),
        0x80..=0xff => out.extend_from_slice(&[marker::UINT8, value as u8]),
        0x100..=0xffff => put(out, marker::UINT16, (value as u16).to_be_bytes()),
        0x1_0000..=0xffff_ffff => put(out, marker::UINT32, (value as u32).to_be_bytes()),
        _ => put(out, marker::UINT64, value.to_be_bytes()),
    }
}

#[inline]
pub(crate) fn write_float(out: &mut Vec<u8>, value: f64) {
    put(out, marker::FLOAT64, value.to_be_bytes());
}

#[inline]
pub(crate) fn write_str(out: &mut Vec<u8>, value: &str) -> Result<(), TooLong> {
    write_str_header(out, value.len())?;
    write_text(out, value.as_bytes());
    Ok(())
}

#[inline]
pub(crate) fn write_str_header(out: &mut Vec<u8>, len: usize) -> Result<(), TooLong> {
    match length(len)? {
        count @ 0..=31 => out.push(marker::FIXSTR | count as u8),
        count => write_length(out, count, [marker::STR8, marker::STR16, marker::STR32]),
    }
    Ok(())
}

/// Appends bytes of which there mostly are few.
#[inline]
fn write_text(out: &mut Vec<u8>, bytes: &[u8]) {
    // Up to here a copy of known length costs less than a call of `memcpy`, which is in another module.
    const SHORT: usize = 16;
    let len = bytes.len();
    let mut block = [0; SHORT];
    match len {
        8..=SHORT => {
            block[..8].copy_from_slice(&bytes[..8]);
            block[len - 8..len].copy_from_slice(&bytes[len - 8..]);
        }
        4..8 => {
            block[..4].copy_from_slice(&bytes[..4]);
            block[len - 4..len].copy_from_slice(&bytes[len - 4..]);
        }
        0..4 => {
            for (to, from) in block.iter_mut().zip(bytes) {
                *to = *from;
            }
        }
        _ => return out.extend_from_slice(bytes),
    }
    let end = out.len() + len;
    out.extend_from_slice(&block);
    out.truncate(end);
}

fn write_bin(out: &mut Vec<u8>, data: &[u8]) -> Result<(), TooLong> {
    write_length(out, length(data.len())?, [marker::BIN8, marker::BIN16, marker::BIN32]);
    out.extend_from_slice(data);
    Ok(())
}

pub(crate) fn write_ext(out: &mut Vec<u8>, kind: u8, payload: &[u8]) -> Result<(), TooLong> {
    match length(payload.len())? {
        1 => out.push(marker::FIXEXT1),
        2 => out.push(marker::FIXEXT2),
        4 => out.push(marker::FIXEXT4),
        8 => out.push(marker::FIXEXT8),
        16 => out.push(marker::FIXEXT16),
        count => write_length(out, count, [marker::EXT8, marker::EXT16, marker::EXT32]),
    }
    out.push(kind);
    out.extend_from_slice(payload);
    Ok(())
}

pub(crate) fn write_buffer(
    out: &mut Vec<u8>,
    kind: &Buffer,
    data: &[u8],
    number: Option<u32>,
) -> Result<(), TooLong> {
    if let Buffer::View(header) = kind {
        let mut payload = Vec::with_capacity(32);
        write_view_header(&mut payload, header)?;
        write_ext(out, ext::VIEW, &payload)?;
    }
    match (kind, number) {
        (Buffer::Bytearray, None) => write_ext(out, ext::BYTEARRAY, data),
        (Buffer::Bytearray, Some(number)) => write_ext(out, ext::BUFFER_BYTEARRAY, &number.to_be_bytes()),
        (Buffer::Bytes | Buffer::View(_), None) => write_bin(out, data),
        (Buffer::Bytes | Buffer::View(_), Some(number)) => {
            write_ext(out, ext::BUFFER_BYTES, &number.to_be_bytes())
        }
    }
}

/// Writes the description of a memoryview: an array of its fields.
fn write_view_header(out: &mut Vec<u8>, header: &ViewHeader) -> Result<(), TooLong> {
    let ViewHeader { readonly, itemsize, format, shape } = header;
    write_header(out, Container::List, 4)?;
    out.push(if *readonly { marker::TRUE } else { marker::FALSE });
    write_uint(out, u64::from(*itemsize));
    write_str(out, format)?;
    write_header(out, Container::List, shape.len())?;
    shape.iter().for_each(|&length| write_uint(out, length));
    Ok(())
}

/// Writes a sharing table: an array of positions, each of them behind `before` bytes that they do not count.
pub(crate) fn write_positions(out: &mut Vec<u8>, positions: &[u32], before: usize) {
    // A frame has no more of them than bytes.
    let written = write_header(out, Container::List, positions.len());
    debug_assert!(written.is_ok(), "{written:?}");
    positions.iter().for_each(|&position| write_uint(out, u64::from(position) + before as u64));
}

#[inline]
pub(crate) fn write_header(out: &mut Vec<u8>, kind: Container, count: usize) -> Result<(), TooLong> {
    let count = length(count)?;
    match kind {
        Container::List if count < 16 => out.push(marker::FIXARRAY | count as u8),
        Container::List => write_long_length(out, count, [marker::ARRAY16, marker::ARRAY32]),
        Container::Dict if count < 16 => out.push(marker::FIXMAP | count as u8),
        Container::Dict => write_long_length(out, count, [marker::MAP16, marker::MAP32]),
        Container::Tuple => write_count(out, ext::TUPLE, count),
        Container::Set => write_count(out, ext::SET, count),
        Container::Frozenset => write_count(out, ext::FROZENSET, count),
        Container::Extension(kind) => write_count(out, kind, count),
    }
    Ok(())
}

/// Writes an extension whose payload is the number of the values that follow: section 4.3.
#[inline]
pub(crate) fn write_count(out: &mut Vec<u8>, kind: u8, count: u32) {
    match count {
        0..=0xff => out.extend_from_slice(&[marker::FIXEXT1, kind, count as u8]),
        0x100..=0xffff => {
            out.extend_from_slice(&[marker::FIXEXT2, kind]);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[marker::FIXEXT4, kind]);
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
}

#[inline]
fn write_length(out: &mut Vec<u8>, count: u32, [short, medium, long]: [u8; 3]) {
    match u8::try_from(count) {
        Ok(count) => out.extend_from_slice(&[short, count]),
        Err(_) => write_long_length(out, count, [medium, long]),
    }
}

#[inline]
fn write_long_length(out: &mut Vec<u8>, count: u32, [medium, long]: [u8; 2]) {
    match u16::try_from(count) {
        Ok(count) => put(out, medium, count.to_be_bytes()),
        Err(_) => put(out, long, count.to_be_bytes()),
    }
}

#[inline]
fn length(count: usize) -> Result<u32, TooLong> {
    u32::try_from(count).map_err(|_| TooLong)
}

/// Appends a marker and its bytes in one go, so that the vector checks its capacity once.
#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, marker: u8, bytes: [u8; N]) {
    let mut whole = [0; 9];
    whole[0] = marker;
    whole[1..=N].copy_from_slice(&bytes);
    out.extend_from_slice(&whole[..=N]);
}
