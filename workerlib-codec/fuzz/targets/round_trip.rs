//! Any value is written, and read as itself.
#![no_main]

use arbitrary::Unstructured;
use fuzzing::{Made, Subset, make, same};
use libfuzzer_sys::fuzz_target;
use workerlib_codec::cost::SHALLOW;
use workerlib_codec::{EncodeError, Limits, Value};

fuzz_target!(|input: &[u8]| {
    let mut input = Unstructured::new(input);
    let Ok(out_of_band) = input.int_in_range(0..=64) else { return };
    let Ok(Made { value, containers }) = make(&mut input, Subset::All) else { return };
    let limits = Limits::default().with_out_of_band(out_of_band);
    let (frame, buffers) = match value.encode(&limits) {
        Ok(encoded) => encoded,
        // References can pile up to what is too deep for a set or a key.
        Err(EncodeError::TooDeep { limit: SHALLOW, .. }) if containers > SHALLOW => return,
        // And to what would be hashed for ever.
        Err(EncodeError::Hashing { .. }) if is_held_twice(&value) => return,
        Err(error) => panic!("{value:?}\ncannot be written: {error:?}"),
    };
    let read = Value::decode(&frame, buffers.clone(), &limits).expect("what was written can be read");
    assert!(same(&value, &read), "{value:?}\nbecame\n{read:?}");
    assert_eq!(read.encode(&limits).expect("it was written before"), (frame, buffers));
});

/// Tells whether there is a reference in a value.
fn is_held_twice(value: &Value) -> bool {
    format!("{value:?}").contains("Shared(")
}
