//! On what plain MessagePack has too, the codec and rmp-serde write the same bytes, and read the same from any bytes.
#![no_main]

use arbitrary::Unstructured;
use fuzzing::plain::{Reading, Writing};
use fuzzing::{Subset, make, same};
use libfuzzer_sys::fuzz_target;
use rmp_serde::decode::Error as Refusal;
use serde::Deserialize as _;
use workerlib_codec::{DecodeErrorKind, Limits, Value};

/// An empty sharing table.
const TABLE: u8 = 0x90;

fuzz_target!(|input: &[u8]| {
    if let Ok(made) = make(&mut Unstructured::new(input), Subset::Plain) {
        writes_the_same(&made.value);
    }
    reads_the_same(input);
});

fn writes_the_same(value: &Value) {
    let limits = Limits::default().with_out_of_band(usize::MAX);
    let (frame, buffers) = value.encode(&limits).expect("it can be written");
    let bytes = rmp_serde::to_vec(&Writing(value)).expect("rmp-serde can write it");
    assert_eq!((&frame[1..], buffers.len()), (&bytes[..], 0), "{value:?}");
    let read: Reading = rmp_serde::from_slice(&frame[1..]).expect("rmp-serde can read it");
    assert!(same(value, &read.0), "{value:?}\nwas read by rmp-serde as\n{:?}", read.0);
}

fn reads_the_same(bytes: &[u8]) {
    let ours = Value::decode(&[&[TABLE], bytes].concat(), Vec::new(), &Limits::default());
    let mut reader = rmp_serde::Deserializer::new(bytes);
    let theirs = Reading::deserialize(&mut reader).map(|read| (read.0, reader.get_ref().len()));
    match (ours, theirs) {
        (Ok(ours), Ok((theirs, left))) => {
            assert_eq!(left, 0, "rmp-serde leaves bytes of {ours:?}");
            assert!(same(&ours, &theirs), "{ours:?}\nis to rmp-serde\n{theirs:?}");
        }
        // Values that rmp-serde does not have, or refuses to go into, are not plain MessagePack.
        (Ok(_), Err(Refusal::DepthLimitExceeded)) => {}
        (Ok(ours), Err(refusal)) => assert!(!is_plain(&ours), "{ours:?}\nis to rmp-serde: {refusal}"),
        (Err(error), Ok((theirs, left))) => match error.kind {
            DecodeErrorKind::Trailing(trailing) => assert_eq!(trailing, left, "{theirs:?}"),
            // rmp-serde reads such a str as bytes, and nests keys without limit.
            DecodeErrorKind::Utf8 | DecodeErrorKind::TooDeep(_) => {}
            // The same, told where the header stands: rmp-serde never reads beyond the first value.
            kind => panic!("rmp-serde reads {theirs:?}, the codec says: {kind}"),
        },
        (Err(_), Err(_)) => {}
    }
}

/// Returns whether plain MessagePack has a value and all that is in it.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Nil
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Uint(_)
        | Value::Float(_)
        | Value::Str(_)
        | Value::Bytes(_) => true,
        Value::List(values) => values.iter().all(is_plain),
        Value::Dict(pairs) => pairs.iter().all(|(key, value)| is_plain(key) && is_plain(value)),
        _ => false,
    }
}
