//! Reads `vectors.json`, the golden bytes that Rust and Python share.

use bytes::Bytes;
use serde_json::Value as Json;
use workerlib_codec::{DecodeErrorKind, Limits, Value, ViewHeader};

fn vectors() -> Json {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors.json");
    let text = std::fs::read_to_string(path).expect("the vectors stand beside this file");
    serde_json::from_str(&text).expect("the vectors are JSON")
}

fn hex(text: &Json) -> Bytes {
    let text = text.as_str().expect("hex is a str");
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex")).collect()
}

fn list(values: &Json) -> Vec<Value> {
    values.as_array().expect("a list").iter().map(value).collect()
}

/// Little-endian two's complement of a decimal number, as short as can be.
fn big_int(decimal: &str) -> Bytes {
    let number: i128 = decimal.parse().expect("the vectors' ints fit 128 bits");
    let bytes = number.to_le_bytes();
    let fits = |len: &usize| {
        let mut wide = [if number < 0 { 0xff } else { 0 }; 16];
        wide[..*len].copy_from_slice(&bytes[..*len]);
        let sign = bytes[*len - 1] >= 0x80;
        i128::from_le_bytes(wide) == number && sign == (number < 0)
    };
    let len = (1..=16).find(fits).expect("16 bytes hold 128 bits");
    Bytes::copy_from_slice(&bytes[..len])
}

fn value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::String(value) => Value::Str(value.clone()),
        Json::Array(_) => Value::List(list(json)),
        Json::Number(_) => panic!("numbers are tagged"),
        Json::Object(fields) => {
            let (tag, content) = fields.iter().next().expect("one tag");
            match tag.as_str() {
                "int" => {
                    let decimal = content.as_str().expect("a decimal");
                    if let Ok(int) = decimal.parse() {
                        Value::Int(int)
                    } else if let Ok(uint) = decimal.parse() {
                        Value::Uint(uint)
                    } else {
                        Value::BigInt(big_int(decimal))
                    }
                }
                "float" => {
                    Value::Float(f64::from_be_bytes(hex(content)[..].try_into().expect("eight bytes")))
                }
                "surrogates" => Value::Surrogates(hex(content)),
                "bytes" => Value::Bytes(hex(content)),
                "bytearray" => Value::Bytearray(hex(content)),
                "tuple" => Value::Tuple(list(content)),
                "set" => Value::Set(list(content)),
                "frozenset" => Value::Frozenset(list(content)),
                "ellipsis" => Value::Ellipsis,
                "notimplemented" => Value::NotImplemented,
                "complex" => {
                    let bytes = hex(content);
                    let half =
                        |at: usize| f64::from_be_bytes(bytes[at..at + 8].try_into().expect("two floats"));
                    Value::Complex(half(0), half(8))
                }
                "dict" => {
                    let pair = |pair: &Json| (value(&pair[0]), value(&pair[1]));
                    Value::Dict(content.as_array().expect("pairs").iter().map(pair).collect())
                }
                "view" => {
                    let lengths = content["shape"].as_array().expect("a list").iter();
                    let header = ViewHeader::new(
                        content["readonly"].as_bool().expect("a bool"),
                        content["itemsize"].as_u64().expect("an int") as u32,
                        content["format"].as_str().expect("a str"),
                        lengths.map(|length| length.as_u64().expect("an int")).collect(),
                    );
                    Value::View(header, hex(&content["data"]))
                }
                unknown => panic!("no tag {unknown}"),
            }
        }
    }
}

#[test]
fn values_have_their_golden_bytes() {
    let vectors = vectors();
    let values = vectors["values"].as_array().expect("a list");
    assert!(values.len() > 60, "the vectors were read");
    for vector in values {
        let name = &vector["name"];
        let expected = (hex(&vector["frame"]), Vec::<Bytes>::new());
        let (frame, buffers) = value(&vector["value"]).encode(&Limits::default()).expect("it can be sent");
        assert_eq!((Bytes::from(frame), buffers), expected, "{name}");
    }
}

#[test]
fn golden_bytes_are_read_as_their_values() {
    for vector in vectors()["values"].as_array().expect("a list") {
        let (name, frame) = (&vector["name"], hex(&vector["frame"]));
        let decoded = Value::decode(&frame, Vec::new(), &Limits::default()).expect("it can be read");
        // Not compared as values: a NaN equals nothing.
        assert_eq!(format!("{decoded:?}"), format!("{:?}", value(&vector["value"])), "{name}");
    }
}

/// Values that Python wrote are read and written again to the letter, references and cycles included.
#[test]
fn shared_and_library_values_are_kept_as_they_are() {
    let vectors = vectors();
    for group in ["shared", "library"] {
        for vector in vectors[group].as_array().expect("a list") {
            let (name, frame) = (&vector["name"], hex(&vector["frame"]));
            let decoded = Value::decode(&frame, Vec::new(), &Limits::default()).expect("it can be read");
            // Of a tuple in itself the model keeps the reference only, not what it was read from.
            if name != "a tuple in itself" {
                let (again, _) = decoded.encode(&Limits::default()).expect("it can be sent");
                assert_eq!(Bytes::from(again), frame, "{name}: {decoded:?}");
            }
        }
    }
}

#[test]
fn bytes_that_are_no_value_are_refused_at_their_offset() {
    for vector in vectors()["refused"].as_array().expect("a list") {
        let (name, frame) = (&vector["name"], hex(&vector["frame"]));
        let error = Value::decode(&frame, Vec::new(), &Limits::default()).expect_err("it must be refused");
        let kind = match error.kind {
            DecodeErrorKind::Truncated => "Truncated",
            DecodeErrorKind::Trailing(_) => "Trailing",
            DecodeErrorKind::UnknownMarker(_) => "UnknownMarker",
            DecodeErrorKind::UnknownExtension(_) => "UnknownExtension",
            DecodeErrorKind::ExtensionLength(..) => "ExtensionLength",
            DecodeErrorKind::Metadata(_) => "Metadata",
            DecodeErrorKind::Utf8 => "Utf8",
            DecodeErrorKind::Overlong { .. } => "Overlong",
            DecodeErrorKind::BufferOrder { .. } => "BufferOrder",
            DecodeErrorKind::Reference(_) => "Reference",
            DecodeErrorKind::Sharing(_) => "Sharing",
            ref other => panic!("{name}: {other:?}"),
        };
        assert_eq!(vector["error"].as_str(), Some(kind), "{name}");
        assert_eq!(vector["offset"].as_u64(), Some(error.offset as u64), "{name}");
        assert_eq!(vector["section"].as_str(), Some(error.section), "{name}");
    }
}
