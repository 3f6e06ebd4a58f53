//! The part of a frame before its values: the wire format, section 3.
//!
//! An envelope is one MessagePack array, `[kind, …]`. serde writes it: it is small, and its shape is
//! fixed by its kind.

use workerlib_core::message::kind;
use workerlib_core::{
    Adapter, CallId, Credit, Export, ExportKind, Exports, Message, Parameter, ParameterKind, Peer, RefId,
    StopKind, StreamId,
};

use crate::metadata::{self, Fields, Malformed};

/// The number of bytes that an envelope has at most: a field may take 32 bytes of memory for each byte.
pub const LONGEST_ENVELOPE: usize = 16 << 20;

/// The number of exports that one message describes at most.
pub const MOST_EXPORTS: usize = 10_000;

/// Bytes that are not an envelope of this version, and why not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the envelope cannot be read: {0}")]
pub struct EnvelopeError(Malformed);

/// Appends the envelope of a message, whatever its payload is, to `out`.
pub fn write<P>(message: &Message<P>, out: &mut Vec<u8>) {
    metadata::write(out, message);
}

/// Reads the envelope at the start of a frame; returns the message without its payload, and where the
/// payload begins.
///
/// # Errors
///
/// If the frame does not start with an envelope of this version.
pub fn read(frame: &[u8]) -> Result<(Message<()>, usize), EnvelopeError> {
    read_plain(frame).map_or_else(|| read_any(frame), Ok)
}

fn read_any(frame: &[u8]) -> Result<(Message<()>, usize), EnvelopeError> {
    // A text that a program prints may have any length.
    let is_output = frame.get(1) == Some(&kind::OUTPUT);
    let start = if is_output { frame } else { &frame[..frame.len().min(LONGEST_ENVELOPE)] };
    let mut rest = start;
    let message = match metadata::read(&mut rest) {
        Err(_) if start.len() < frame.len() => {
            return Err(EnvelopeError(Malformed("an envelope of at most 16 MiB")));
        }
        fields => fields.and_then(message).map_err(EnvelopeError)?,
    };
    Ok((message, start.len() - rest.len()))
}

/// Reads the envelope of a message that is one of many, in its shortest form: without fields in between, which take
/// several times as long. It leaves anything else to `read`.
fn read_plain(frame: &[u8]) -> Option<(Message<()>, usize)> {
    let (&[fields, number], rest) = frame.split_first_chunk()?;
    // Most answers of callbacks come alone.
    let is_heard = (fields, number) == (0x92, kind::HEARD);
    let mut plain = Plain(if is_heard { rest.strip_prefix(&[0x91])? } else { rest });
    let first = plain.uint()?;
    let (id, stream, payload) = (CallId(first), StreamId(first), ());
    let message = match (fields, number) {
        (0x93 | 0x95, kind::CALL) => {
            let function = plain.str()?;
            let (reports_start, trace) = (false, None);
            let credit = if fields == 0x93 { None } else { Some(plain.credit()?) };
            Message::Call { id, function, payload, reports_start, credit, trace }
        }
        (0x92, kind::RETURN) => Message::Return { id, payload, unheard: Vec::new() },
        (0x93, kind::STREAM) => Message::Stream { id, stream: StreamId(plain.uint()?) },
        (0x93, kind::ITEMS) => Message::Items { stream, count: plain.uint()?, bytes: 0, payload },
        (0x95, kind::INVOKE) => {
            let (reference, member) = (RefId(plain.uint()?), plain.str()?);
            let is_urgent = plain.uint()? & 1 == 1;
            Message::Invoke { id, reference, member, is_urgent, payload }
        }
        (0x92, kind::HEARD) => Message::Heard { ids: vec![id] },
        _ => return None,
    };
    Some((message, frame.len() - plain.0.len()))
}

/// The rest of an envelope whose fields are expected in their shortest form.
struct Plain<'f>(&'f [u8]);

impl Plain<'_> {
    fn uint(&mut self) -> Option<u32> {
        let (value, rest) = match *self.0 {
            [value @ 0..0x80, ref rest @ ..] | [0xcc, value, ref rest @ ..] => (u32::from(value), rest),
            [0xcd, a, b, ref rest @ ..] => (u32::from(u16::from_be_bytes([a, b])), rest),
            [0xce, a, b, c, d, ref rest @ ..] => (u32::from_be_bytes([a, b, c, d]), rest),
            _ => return None,
        };
        self.0 = rest;
        Some(value)
    }

    /// A text of at most 31 bytes.
    fn str(&mut self) -> Option<String> {
        let (len, rest) = self.0.split_first().filter(|(marker, _)| (0xa0..0xc0).contains(*marker))?;
        let (text, rest) = rest.split_at_checked(usize::from(len - 0xa0))?;
        self.0 = rest;
        Some(std::str::from_utf8(text).ok()?.to_owned())
    }

    /// The fields behind the function of a call for a stream: its start is not reported, and its credit follows.
    fn credit(&mut self) -> Option<Credit> {
        self.0 = self.0.strip_prefix(&[0xc2, 0x92])?;
        Some(Credit { items: self.uint()?, bytes: self.uint()? })
    }
}

fn message(mut fields: Fields) -> Result<Message<()>, Malformed> {
    let fields = &mut fields;
    Ok(match fields.uint::<u8>("a message kind")? {
        kind::HELLO => Message::Hello(peer(fields)?),
        kind::WELCOME => Message::Welcome(peer(fields)?),
        kind::REFUSE => {
            Message::Refuse { protocol: fields.uint("a protocol")?, reason: fields.str("a reason")? }
        }
        kind::CALL => Message::Call {
            id: id(fields)?,
            function: fields.str("a function's name")?,
            payload: (),
            reports_start: !fields.is_empty() && fields.bool("whether the start is reported")?,
            credit: if fields.is_empty() { None } else { call_credit(fields)? },
            trace: if fields.is_empty() { None } else { fields.optional_str("a trace")? },
        },
        kind::RETURN => Message::Return {
            id: id(fields)?,
            payload: (),
            unheard: if fields.is_empty() { Vec::new() } else { fields.array("ids of invocations", id)? },
        },
        kind::RAISE => Message::Raise { id: id(fields)?, payload: () },
        kind::CANCEL => Message::Cancel { id: id(fields)? },
        kind::CLOSE => Message::Close { reason: fields.str("a reason")? },
        kind::STARTED => Message::Started { ids: fields.array("ids of calls", id)? },
        kind::CANCELLING => Message::Cancelling { id: id(fields)? },
        kind::CANCELLED => Message::Cancelled { id: id(fields)? },
        kind::REPORT => Message::Report { id: id(fields)?, payload: () },
        kind::OUTPUT => {
            Message::Output { stream: fields.str("the name of a stream")?, text: fields.str("a text")? }
        }
        kind::BLOCKED => Message::Blocked { ids: fields.array("ids of calls", id)? },
        kind::EXPORTS => Message::Exports(exports(fields)?),
        kind::NEXT => Message::Next { stream: stream(fields)?, credit: credit(fields)? },
        kind::ITEMS => Message::Items {
            stream: stream(fields)?,
            count: fields.uint("a number of items")?,
            bytes: 0,
            payload: (),
        },
        kind::END => Message::End { stream: stream(fields)? },
        kind::FAIL => Message::Fail { stream: stream(fields)?, payload: () },
        kind::STOP => Message::Stop {
            stream: stream(fields)?,
            how: StopKind::from_number(fields.uint("how a stream is stopped")?)
                .ok_or(Malformed("how a stream is stopped"))?,
        },
        kind::STOPPED => Message::Stopped { stream: stream(fields)? },
        kind::STREAM => Message::Stream { id: id(fields)?, stream: stream(fields)? },
        kind::STOPPING => Message::Stopping { stream: stream(fields)? },
        kind::INVOKE => Message::Invoke {
            id: id(fields)?,
            reference: reference(fields)?,
            member: fields.str("the name of a method, or nothing")?,
            // Of the flags, the others are of a later version.
            is_urgent: fields.uint::<u32>("flags of an invocation")? & 1 == 1,
            payload: (),
        },
        kind::HEARD => Message::Heard { ids: fields.array("ids of invocations", id)? },
        kind::RELEASE => Message::Release {
            counts: fields.array("references and counts", |all| {
                let mut pair = all.fields("a reference and a count")?;
                Ok((reference(&mut pair)?, pair.uint("how often it was held")?))
            })?,
        },
        _ => return Err(Malformed("a message kind of this version")),
    })
}

fn id(fields: &mut Fields) -> Result<CallId, Malformed> {
    fields.uint("a call's id").map(CallId)
}

fn stream(fields: &mut Fields) -> Result<StreamId, Malformed> {
    fields.uint("a stream's id").map(StreamId)
}

fn credit(fields: &mut Fields) -> Result<Credit, Malformed> {
    Ok(Credit { items: fields.uint("credit in items")?, bytes: fields.uint("credit in bytes")? })
}

/// Reads the credit of a call, which a later field may stand behind though there is none.
fn call_credit(fields: &mut Fields) -> Result<Option<Credit>, Malformed> {
    fields.optional_fields("the credit of a stream")?.map(|mut fields| credit(&mut fields)).transpose()
}

fn reference(fields: &mut Fields) -> Result<RefId, Malformed> {
    fields.uint("a reference").map(RefId)
}

#[inline(never)]
fn peer(fields: &mut Fields) -> Result<Peer, Malformed> {
    let mut peer = Peer::default();
    peer.protocol = fields.uint("a protocol")?;
    peer.version = fields.str("a version")?;
    peer.exports = exports(fields)?;
    peer.window = fields.uint("a window")?;
    peer.adapters = fields.array("adapters", |all| {
        let mut adapter = all.fields("an adapter")?;
        let key = adapter.str("the key of an adapter")?;
        let entry = adapter.optional_str("an entry of a configuration")?;
        Ok(Adapter::new(key, entry, adapter.bool("whether a decoder is async")?))
    })?;
    // A peer that does not say so takes none.
    peer.invoke_window = if fields.is_empty() { 0 } else { fields.uint("a window of invocations")? };
    Ok(peer)
}

#[inline(never)]
fn exports(fields: &mut Fields) -> Result<Exports, Malformed> {
    let mut number = 0;
    let exports = fields.array("exports", |all| {
        number += 1;
        if number > MOST_EXPORTS {
            return Err(Malformed("at most 10,000 exports in one message"));
        }
        let mut fields = all.fields("an export")?;
        let mut export = Export::new(fields.str("the name of an export")?);
        export.doc = fields.optional_str("a docstring")?;
        export.parameters = fields.optional_array("parameters", parameter)?;
        export.returns = fields.optional_str("a return annotation")?;
        if !fields.is_empty() {
            export.kind = ExportKind::from_number(fields.uint("the kind of an export")?)
                .ok_or(Malformed("the kind of an export"))?;
        }
        Ok(export)
    })?;
    Ok(exports.into_iter().collect())
}

#[inline(never)]
fn parameter(all: &mut Fields) -> Result<Parameter, Malformed> {
    let mut fields = all.fields("a parameter")?;
    let name = fields.str("the name of a parameter")?;
    let kind = ParameterKind::from_number(fields.uint("the kind of a parameter")?)
        .ok_or(Malformed("the kind of a parameter"))?;
    let mut parameter = Parameter::new(name, kind);
    parameter.default = fields.optional_str("a default")?;
    parameter.annotation = fields.optional_str("an annotation")?;
    Ok(parameter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(message: &Message<()>, expected: &[u8]) {
        let mut out = Vec::new();
        write(message, &mut out);
        assert_eq!(out, expected, "the golden bytes of {message:?}");
        out.extend_from_slice(b"payload");
        assert_eq!(read(&out), Ok((message.clone(), expected.len())));
    }

    /// Protects the wire format: these bytes are part of it (section 7).
    #[test]
    fn envelopes_have_their_golden_bytes() {
        let id = CallId(300);
        let call = |reports_start, credit, trace: Option<&str>| {
            let (function, trace) = ("f".to_owned(), trace.map(str::to_owned));
            Message::Call { id, function, payload: (), reports_start, credit, trace }
        };
        round_trip(&call(false, None, None), b"\x93\x03\xcd\x01\x2c\xa1f");
        round_trip(&call(true, None, None), b"\x94\x03\xcd\x01\x2c\xa1f\xc3");
        let credit = Some(Credit { items: 5, bytes: 300 });
        round_trip(&call(false, credit, None), b"\x95\x03\xcd\x01\x2c\xa1f\xc2\x92\x05\xcd\x01\x2c");
        round_trip(&call(false, None, Some("t")), b"\x96\x03\xcd\x01\x2c\xa1f\xc2\xc0\xa1t");
        let returned = |unheard| Message::Return { id, payload: (), unheard };
        round_trip(&returned(vec![]), b"\x92\x04\xcd\x01\x2c");
        round_trip(&returned(vec![CallId(1), id]), b"\x93\x04\xcd\x01\x2c\x92\x01\xcd\x01\x2c");
        round_trip(&Message::Raise { id, payload: () }, b"\x92\x05\xcd\x01\x2c");
        round_trip(&Message::Cancel { id }, b"\x92\x06\xcd\x01\x2c");
        round_trip(&Message::Close { reason: "x".into() }, b"\x92\x07\xa1x");
        round_trip(&Message::Started { ids: vec![CallId(1), id] }, b"\x92\x08\x92\x01\xcd\x01\x2c");
        round_trip(&Message::Cancelling { id }, b"\x92\x09\xcd\x01\x2c");
        round_trip(&Message::Cancelled { id }, b"\x92\x0a\xcd\x01\x2c");
        round_trip(&Message::Report { id, payload: () }, b"\x92\x0b\xcd\x01\x2c");
        round_trip(&Message::Output { stream: "s".into(), text: "t\n".into() }, b"\x93\x0c\xa1s\xa2t\n");
        round_trip(&Message::Blocked { ids: vec![id] }, b"\x92\x0e\x91\xcd\x01\x2c");
        round_trip(&Message::Refuse { protocol: 2, reason: "x".into() }, b"\x93\x02\x02\xa1x");
    }

    /// Protects the short way of reading, which must tell the same as the other one, or nothing.
    #[test]
    fn frequent_messages_are_read_as_any_message_is() {
        let names = ["", "f", "é", &"n".repeat(31), &"n".repeat(32), &"n".repeat(300)];
        let mut plain = 0;
        for number in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, u32::MAX] {
            let (id, stream, payload) = (CallId(number), StreamId(number), ());
            let credit = Some(Credit { items: 300, bytes: number });
            let mut messages = vec![
                Message::Return { id, payload, unheard: Vec::new() },
                Message::Stream { id, stream },
                Message::Items { stream, count: 5, bytes: 0, payload },
                Message::Heard { ids: vec![id] },
                Message::Heard { ids: vec![id, id] },
            ];
            for function in names.map(str::to_owned) {
                for (reports_start, credit) in [(false, None), (false, credit), (true, credit)] {
                    let (function, trace) = (function.clone(), None);
                    messages.push(Message::Call { id, function, payload, reports_start, credit, trace });
                }
                let (reference, member, is_urgent) = (RefId(number), function, number == 1);
                messages.push(Message::Invoke { id, reference, member, is_urgent, payload });
            }
            for message in messages {
                let mut out = Vec::new();
                write(&message, &mut out);
                out.push(0xc0);
                plain += usize::from(read_plain(&out).is_some());
                for len in 0..=out.len() {
                    let found = read_plain(&out[..len]);
                    assert!(
                        found.is_none() || found == read_any(&out[..len]).ok(),
                        "{message:?}, {len} bytes"
                    );
                }
            }
        }
        assert_eq!(plain, 9 * (4 + 4 * 3), "names of up to 31 bytes are read in the short way");
        assert_eq!(read_plain(b"\x93\x03\x01\xa1\xff\x90\x80"), None, "no UTF-8");
    }

    /// Protects the messages of streams: these bytes are part of the format.
    #[test]
    fn messages_of_streams_have_their_golden_bytes() {
        let (id, stream) = (CallId(300), StreamId(7));
        let credit = Credit { items: 5, bytes: 300 };
        round_trip(&Message::Next { stream, credit }, b"\x94\x10\x07\x05\xcd\x01\x2c");
        round_trip(&Message::Items { stream, count: 2, bytes: 0, payload: () }, b"\x93\x11\x07\x02");
        round_trip(&Message::End { stream }, b"\x92\x12\x07");
        round_trip(&Message::Fail { stream, payload: () }, b"\x92\x13\x07");
        round_trip(&Message::Stop { stream, how: StopKind::Close }, b"\x93\x14\x07\x00");
        round_trip(&Message::Stop { stream, how: StopKind::Cancel }, b"\x93\x14\x07\x01");
        round_trip(&Message::Stopped { stream }, b"\x92\x15\x07");
        round_trip(&Message::Stream { id, stream }, b"\x93\x18\xcd\x01\x2c\x07");
        round_trip(&Message::Stopping { stream }, b"\x92\x19\x07");
    }

    /// Protects the wire format of callbacks and objects.
    #[test]
    fn invocations_have_their_golden_bytes() {
        let (id, reference) = (CallId(300), RefId(7));
        let invoke = |member: &str, is_urgent| Message::Invoke {
            id,
            reference,
            member: member.into(),
            is_urgent,
            payload: (),
        };
        round_trip(&invoke("", false), b"\x95\x20\xcd\x01\x2c\x07\xa0\x00");
        round_trip(&invoke("m", true), b"\x95\x20\xcd\x01\x2c\x07\xa1m\x01");
        round_trip(&Message::Heard { ids: vec![CallId(1), id] }, b"\x92\x21\x92\x01\xcd\x01\x2c");
        round_trip(&Message::Release { counts: vec![(reference, 2)] }, b"\x92\x30\x91\x92\x07\x02");
    }

    /// Protects a page's memory from a worker that describes a million exports, or one without an end.
    #[test]
    fn a_description_that_is_too_large_is_refused() {
        let exports = |number: usize, doc: &str| {
            let export = |number: usize| {
                let mut export = Export::new(number.to_string());
                export.doc = Some(doc.into());
                export
            };
            let mut out = Vec::new();
            write(&Message::<()>::Exports((0..number).map(export).collect()), &mut out);
            read(&out).map(|(message, _)| message)
        };
        assert!(exports(MOST_EXPORTS, "").is_ok());
        let error = exports(MOST_EXPORTS + 1, "").expect_err("one more");
        assert_eq!(
            error.to_string(),
            "the envelope cannot be read: expected at most 10,000 exports in one message"
        );
        let error = exports(17, &"x".repeat(1 << 20)).expect_err("17 MB");
        assert_eq!(error.to_string(), "the envelope cannot be read: expected an envelope of at most 16 MiB");
        let text = "x".repeat(LONGEST_ENVELOPE + 1);
        let mut out = Vec::new();
        write(&Message::<()>::Output { stream: "stdout".into(), text }, &mut out);
        assert!(read(&out).is_ok(), "a text that is printed");
    }

    /// Protects what a page knows of its worker before the first call.
    #[test]
    fn a_handshake_brings_names_signatures_and_docstrings() {
        let mut parameter = Parameter::new("a", ParameterKind::KeywordOnly);
        parameter.default = Some("1".into());
        let mut export = Export::new("f");
        (export.doc, export.parameters) = (Some("d".into()), Some(vec![parameter]));
        let adapter = Adapter::new("m:C", Some("e".into()), true);
        let peer = Peer::local("0")
            .with_exports([export])
            .with_adapters([adapter])
            .with_window(8)
            .with_invoke_window(9);
        round_trip(
            &Message::Welcome(peer),
            b"\x97\x01\x01\xa10\x91\x94\xa1f\xa1d\x91\x94\xa1a\x03\xa11\xc0\xc0\x08\x91\x93\xa3m:C\xa1e\xc3\x09",
        );
    }

    /// Protects the difference of streams, decorated functions and others, and the bytes of functions, which have no
    /// kind.
    #[test]
    fn the_kind_of_an_export_is_told() {
        for (kind, number) in [
            (ExportKind::Stream, 1),
            (ExportKind::Decorated, 2),
            (ExportKind::DecoratedStream, 3),
            (ExportKind::Either, 4),
            (ExportKind::DecoratedEither, 6),
        ] {
            assert_eq!(ExportKind::from_number(number), Some(kind));
            let mut export = Export::new("f");
            export.kind = kind;
            let exports = [export].into_iter().collect();
            round_trip(
                &Message::Exports(exports),
                &[&b"\x92\x0f\x91\x95\xa1f\xc0\xc0\xc0"[..], &[number]].concat(),
            );
        }
        assert!([5, 7, 8].map(ExportKind::from_number).iter().all(Option::is_none));
    }

    /// Protects exports that are made after the handshake.
    #[test]
    fn late_exports_are_written_as_in_the_handshake() {
        let exports = [Export::new("f")].into_iter().collect();
        round_trip(&Message::Exports(exports), b"\x92\x0f\x91\x94\xa1f\xc0\xc0\xc0");
    }

    /// Protects this version from a later one that appends fields (section 1).
    #[test]
    fn fields_of_a_later_version_are_passed_over() {
        assert_eq!(
            read(b"\x95\x04\x07\x90\xa1x\x91\x01rest"),
            Ok((Message::Return { id: CallId(7), payload: (), unheard: Vec::new() }, 8))
        );
    }

    /// Protects the session from bytes of any other origin.
    #[test]
    fn bytes_that_are_no_envelope_are_refused() {
        for bytes in [
            &b""[..],
            b"\xc0",
            b"\x90",
            b"\x91\x04",
            b"\x92\x63\x01",
            b"\x92\x04\xa1x",
            b"\x92\x17\x01",
            b"\x92\x11\x01",
            b"\x93\x10\x01\x02",
            b"\x93\x14\x01\x02",
            b"\x95\x03\x01\xa1f\xc2\x91\x05",
            b"\x92\x0f\x91\x95\xa1f\xc0\xc0\xc0\x63",
            b"\xdd\xff\xff\xff\xff",
            b"\x93\x03\x01\xdb\xff\xff\xff\xff",
            // An invocation without flags, and a release of a reference without a count.
            b"\x94\x20\x01\x07\xa0",
            b"\x92\x30\x91\x91\x07",
            b"\x92\x30\x91\x07",
            b"\x92\x21\x07",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
