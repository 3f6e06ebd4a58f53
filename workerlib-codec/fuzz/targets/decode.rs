//! Any bytes are a value or an error, and a value that was read is written and read again as itself.
#![no_main]

use bytes::Bytes;
use fuzzing::same;
use libfuzzer_sys::fuzz_target;
use workerlib_codec::marker::ext;
use workerlib_codec::{EncodeError, Limits, Value};

fuzz_target!(|input: &[u8]| {
    let Some((&selector, frame)) = input.split_first() else { return };
    // The number of buffers that come along, and the size from which buffers leave again beside the frame.
    let buffers: Vec<Bytes> =
        (0..selector & 3).map(|number| Bytes::from(vec![number; usize::from(number) * 8])).collect();
    let out_of_band = [0, 8, 64, 16 * 1024][usize::from(selector >> 2 & 3)];
    let limits = Limits::default().with_out_of_band(out_of_band);
    let Ok(value) = Value::decode(frame, buffers, &limits) else { return };
    let (again, buffers) = match value.encode(&limits) {
        Ok(encoded) => encoded,
        // Of a value that is made when its content is complete and contains itself, the model keeps the reference only.
        Err(EncodeError::Source { .. }) if frame.contains(&ext::CYCLE) => return,
        Err(error) => panic!("what was read cannot be written: {error:?}"),
    };
    let read = Value::decode(&again, buffers.clone(), &limits).expect("what was written can be read");
    assert!(same(&value, &read), "{value:?}\nbecame\n{read:?}");
    assert_eq!(read.encode(&limits).expect("it was written before"), (again, buffers));
});
