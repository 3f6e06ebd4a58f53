//! What stands before the values of a frame: `docs/wire-format.md`, section 3.
//!
//! An envelope is one MessagePack array, `[kind, …]`. It goes through serde and rmp-serde: it is small,
//! and its shape is fixed by its kind.

use workerlib_core::{Adapter, CallId, Export, Message, Parameter, ParameterKind, Peer};

use crate::metadata::{self, Fields, Malformed};

/// The numbers of the message kinds; 11 to 14 and 16 to 63 are reserved (section 3.3).
mod kind {
    pub(super) const HELLO: u8 = 0;
    pub(super) const WELCOME: u8 = 1;
    pub(super) const REFUSE: u8 = 2;
    pub(super) const CALL: u8 = 3;
    pub(super) const RETURN: u8 = 4;
    pub(super) const RAISE: u8 = 5;
    pub(super) const CANCEL: u8 = 6;
    pub(super) const CLOSE: u8 = 7;
    pub(super) const STARTED: u8 = 8;
    pub(super) const CANCELLING: u8 = 9;
    pub(super) const CANCELLED: u8 = 10;
    pub(super) const EXPORTS: u8 = 15;
}

/// Appends the envelope of a message, whatever its payload is, to `out`.
pub fn write<P>(message: &Message<P>, out: &mut Vec<u8>) {
    match message {
        Message::Hello(peer) => put_peer(out, kind::HELLO, peer),
        Message::Welcome(peer) => put_peer(out, kind::WELCOME, peer),
        Message::Refuse { protocol, reason } => metadata::write(out, &(kind::REFUSE, protocol, reason)),
        // A field that is false is left out: nearly every call is as short as can be.
        Message::Call { id, function, reports_start: false, .. } => {
            metadata::write(out, &(kind::CALL, id.0, function))
        }
        Message::Call { id, function, .. } => metadata::write(out, &(kind::CALL, id.0, function, true)),
        Message::Return { id, .. } => metadata::write(out, &(kind::RETURN, id.0)),
        Message::Raise { id, .. } => metadata::write(out, &(kind::RAISE, id.0)),
        Message::Cancel { id } => metadata::write(out, &(kind::CANCEL, id.0)),
        Message::Close { reason } => metadata::write(out, &(kind::CLOSE, reason)),
        Message::Started { ids } => {
            let ids: Vec<u32> = ids.iter().map(|id| id.0).collect();
            metadata::write(out, &(kind::STARTED, ids));
        }
        Message::Cancelling { id } => metadata::write(out, &(kind::CANCELLING, id.0)),
        Message::Cancelled { id } => metadata::write(out, &(kind::CANCELLED, id.0)),
        Message::Exports(exports) => metadata::write(out, &(kind::EXPORTS, rows(exports))),
    }
}

/// Reads the envelope at the start of a frame; returns the message without its payload, and where the
/// payload begins.
///
/// # Errors
///
/// If the frame does not start with an envelope of this version; the text says what is wrong.
pub fn read(frame: &[u8]) -> Result<(Message<()>, usize), String> {
    let mut rest = frame;
    let message =
        metadata::read(&mut rest).and_then(message).map_err(|error| format!("no envelope: {error}"))?;
    Ok((message, frame.len() - rest.len()))
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
        },
        kind::RETURN => Message::Return { id: id(fields)?, payload: () },
        kind::RAISE => Message::Raise { id: id(fields)?, payload: () },
        kind::CANCEL => Message::Cancel { id: id(fields)? },
        kind::CLOSE => Message::Close { reason: fields.str("a reason")? },
        kind::STARTED => Message::Started { ids: fields.array("ids of calls", id)? },
        kind::CANCELLING => Message::Cancelling { id: id(fields)? },
        kind::CANCELLED => Message::Cancelled { id: id(fields)? },
        kind::EXPORTS => Message::Exports(exports(fields)?),
        _ => return Err(Malformed("a message kind of this version")),
    })
}

fn id(fields: &mut Fields) -> Result<CallId, Malformed> {
    fields.uint("a call's id").map(CallId)
}

type ParameterRow = (String, u8, Option<String>, Option<String>);
type ExportRow = (String, Option<String>, Option<Vec<ParameterRow>>, Option<String>);

/// The exports as the arrays that they are on the wire.
fn rows(exports: &[Export]) -> Vec<ExportRow> {
    let parameter = |p: &Parameter| (p.name.clone(), p.kind as u8, p.default.clone(), p.annotation.clone());
    let export = |export: &Export| {
        let parameters = export.parameters.as_ref();
        let parameters: Option<Vec<_>> = parameters.map(|all| all.iter().map(parameter).collect());
        (export.name.clone(), export.doc.clone(), parameters, export.returns.clone())
    };
    exports.iter().map(export).collect()
}

fn put_peer(out: &mut Vec<u8>, kind: u8, peer: &Peer) {
    let adapter = |adapter: &Adapter| (adapter.key.clone(), adapter.entry.clone(), adapter.is_async);
    let adapters: Vec<_> = peer.adapters.iter().map(adapter).collect();
    metadata::write(out, &(kind, peer.protocol, &peer.version, rows(&peer.exports), peer.window, adapters));
}

fn peer(fields: &mut Fields) -> Result<Peer, Malformed> {
    Ok(Peer {
        protocol: fields.uint("a protocol")?,
        version: fields.str("a version")?,
        exports: exports(fields)?,
        window: fields.uint("a window")?,
        adapters: fields.array("adapters", |all| {
            let mut adapter = all.fields("an adapter")?;
            Ok(Adapter {
                key: adapter.str("the key of an adapter")?,
                entry: adapter.optional_str("an entry of a configuration")?,
                is_async: adapter.bool("whether a decoder is async")?,
            })
        })?,
    })
}

fn exports(fields: &mut Fields) -> Result<Vec<Export>, Malformed> {
    fields.array("exports", |all| {
        let mut export = all.fields("an export")?;
        Ok(Export {
            name: export.str("the name of an export")?,
            doc: export.optional_str("a docstring")?,
            parameters: export.optional_array("parameters", |all| {
                let mut parameter = all.fields("a parameter")?;
                Ok(Parameter {
                    name: parameter.str("the name of a parameter")?,
                    kind: ParameterKind::from_number(parameter.uint("the kind of a parameter")?)
                        .ok_or(Malformed("the kind of a parameter"))?,
                    default: parameter.optional_str("a default")?,
                    annotation: parameter.optional_str("an annotation")?,
                })
            })?,
            returns: export.optional_str("a return annotation")?,
        })
    })
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

    #[test]
    fn envelopes_have_their_golden_bytes() {
        let id = CallId(300);
        let call = |reports_start| Message::Call { id, function: "f".into(), payload: (), reports_start };
        round_trip(&call(false), b"\x93\x03\xcd\x01\x2c\xa1f");
        round_trip(&call(true), b"\x94\x03\xcd\x01\x2c\xa1f\xc3");
        round_trip(&Message::Return { id, payload: () }, b"\x92\x04\xcd\x01\x2c");
        round_trip(&Message::Raise { id, payload: () }, b"\x92\x05\xcd\x01\x2c");
        round_trip(&Message::Cancel { id }, b"\x92\x06\xcd\x01\x2c");
        round_trip(&Message::Close { reason: "x".into() }, b"\x92\x07\xa1x");
        round_trip(&Message::Started { ids: vec![CallId(1), id] }, b"\x92\x08\x92\x01\xcd\x01\x2c");
        round_trip(&Message::Cancelling { id }, b"\x92\x09\xcd\x01\x2c");
        round_trip(&Message::Cancelled { id }, b"\x92\x0a\xcd\x01\x2c");
        round_trip(&Message::Refuse { protocol: 2, reason: "x".into() }, b"\x93\x02\x02\xa1x");
    }

    #[test]
    fn a_handshake_brings_names_signatures_and_docstrings() {
        let parameter = Parameter {
            name: "a".into(),
            kind: ParameterKind::KeywordOnly,
            default: Some("1".into()),
            annotation: None,
        };
        let export = Export {
            name: "f".into(),
            doc: Some("d".into()),
            parameters: Some(vec![parameter]),
            returns: None,
        };
        let adapter = Adapter { key: "m:C".into(), entry: Some("e".into()), is_async: true };
        let (exports, adapters) = (vec![export], vec![adapter]);
        let peer = Peer { protocol: 1, version: "0".into(), exports, window: 8, adapters };
        round_trip(
            &Message::Welcome(peer),
            b"\x96\x01\x01\xa10\x91\x94\xa1f\xa1d\x91\x94\xa1a\x03\xa11\xc0\xc0\x08\x91\x93\xa3m:C\xa1e\xc3",
        );
    }

    #[test]
    fn late_exports_are_written_as_in_the_handshake() {
        let export = Export { name: "f".into(), doc: None, parameters: None, returns: None };
        round_trip(&Message::Exports(vec![export]), b"\x92\x0f\x91\x94\xa1f\xc0\xc0\xc0");
    }

    #[test]
    fn fields_of_a_later_version_are_passed_over() {
        assert_eq!(
            read(b"\x94\x04\x07\xa1x\x91\x01rest"),
            Ok((Message::Return { id: CallId(7), payload: () }, 7))
        );
    }

    #[test]
    fn bytes_that_are_no_envelope_are_refused() {
        for bytes in [
            &b""[..],
            b"\xc0",
            b"\x90",
            b"\x91\x04",
            b"\x92\x63\x01",
            b"\x92\x04\xa1x",
            b"\xdd\xff\xff\xff\xff",
            b"\x93\x03\x01\xdb\xff\xff\xff\xff",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
