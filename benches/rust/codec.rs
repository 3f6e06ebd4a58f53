//! Measures the codec on its own `Value`, and rmp-serde on the same values where plain MessagePack has them.
//!
//! The shapes are those of `benches/python/shapes.py`, made anew from a fixed seed. Every buffer is inside the frame for
//! rmp-serde and beside it for the codec, as each sends it.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, BenchmarkId, Criterion};
use workerlib_codec::{Limits, Value};

use crate::plain::{Reading, Writing};

#[path = "../../workerlib-codec/fuzz/src/plain.rs"]
mod plain;

/// A generator that is the same everywhere: splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn list(count: usize, mut make: impl FnMut(usize) -> Value) -> Value {
    Value::List((0..count).map(&mut make).collect())
}

fn nested(numbers: &mut Numbers, levels: u32) -> Value {
    let tip = |numbers: &mut Numbers| Value::Int(numbers.below(1000) as i64);
    list(4, |_| if levels > 1 { nested(numbers, levels - 1) } else { tip(numbers) })
}

fn record(numbers: &mut Numbers, number: usize) -> Value {
    let key = |name: &str| Value::Str(name.to_owned());
    let tags = list(4, |_| Value::Int(numbers.below(1000) as i64));
    Value::Dict(vec![
        (key("id"), Value::Int(number as i64)),
        (key("name"), Value::Str(format!("kappa {number}"))),
        (key("score"), Value::Float(numbers.below(1 << 50) as f64 / 1e13)),
        (key("tags"), tags),
    ])
}

fn shapes() -> Vec<(&'static str, Value)> {
    let mut numbers = Numbers(20_260_101);
    // Every size up to 62 bits, either sign.
    let ints = list(50_000, |_| Value::Int(numbers.next() as i64 >> (1 + numbers.below(60))));
    let floats = list(50_000, |_| Value::Float(numbers.below(1 << 53) as f64 / 1e9 - 4e6));
    let short = list(50_000, |number| {
        let end = if numbers.below(10) == 0 { "é" } else { "" };
        Value::Str(format!("alph{number}{end}"))
    });
    let long = list(500, |number| Value::Str(format!("theta {number} ").repeat(400)));
    let records = list(5_000, |number| record(&mut numbers, number));
    let nested = nested(&mut numbers, 7);
    let buffer = Value::Bytes(Bytes::from(vec![7; 64 * 1024 * 1024]));
    vec![
        ("ints", ints),
        ("floats", floats),
        ("short strings", short),
        ("long strings", long),
        ("records", records),
        ("nested lists", nested),
        ("buffer of 64 MB", buffer),
    ]
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let limits = Limits::default();
    for (shape, value) in &shapes() {
        let (frame, buffers) = value.encode(&limits).expect("it can be encoded");
        let plain = rmp_serde::to_vec(&Writing(value)).expect("rmp-serde can encode it");
        let read: Reading = rmp_serde::from_slice(&plain).expect("rmp-serde can decode it");
        assert_eq!(&read.0, value, "both do the same work");
        let mut encode = criterion.benchmark_group("encode");
        encode.bench_function(BenchmarkId::new("workerlib", shape), |bencher| {
            bencher.iter(|| black_box(value).encode(&limits).expect("it can be encoded"));
        });
        encode.bench_function(BenchmarkId::new("rmp-serde", shape), |bencher| {
            bencher.iter(|| rmp_serde::to_vec(&Writing(black_box(value))).expect("it can be encoded"));
        });
        encode.finish();
        let mut decode = criterion.benchmark_group("decode");
        decode.bench_function(BenchmarkId::new("workerlib", shape), |bencher| {
            let decode =
                |buffers| Value::decode(black_box(&frame), buffers, &limits).expect("it can be decoded");
            bencher.iter_batched(|| buffers.clone(), decode, BatchSize::LargeInput);
        });
        decode.bench_function(BenchmarkId::new("rmp-serde", shape), |bencher| {
            let decode = || rmp_serde::from_slice::<Reading>(black_box(&plain)).expect("it can be decoded");
            bencher.iter_with_large_drop(decode);
        });
        decode.finish();
    }
    criterion.final_summary();
}
