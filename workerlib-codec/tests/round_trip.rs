//! Properties of every value and of every sequence of bytes.

use bytes::Bytes;
use proptest::prelude::*;
use workerlib_codec::{DecodeErrorKind, EncodeError, Limits, Path, Step, Value, ViewHeader};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

/// An int beyond 64 bits, as short as can be: its last byte is needed for its sign.
fn big_int() -> impl Strategy<Value = Bytes> {
    let low = prop::collection::vec(any::<u8>(), 8..20);
    (low, 1..=0x7fu8).prop_map(|(mut low, high)| {
        low.push(high);
        Bytes::from(low)
    })
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (i64::MAX as u64 + 1..).prop_map(Value::Uint),
        big_int().prop_map(Value::BigInt),
        any::<f64>().prop_map(Value::Float),
        any::<(f64, f64)>().prop_map(|(real, imaginary)| Value::Complex(real, imaginary)),
        Just(Value::Ellipsis),
        Just(Value::NotImplemented),
        ".*".prop_map(Value::Str),
        bytes().prop_map(Value::Surrogates),
        bytes().prop_map(Value::Bytes),
        bytes().prop_map(Value::Bytearray),
        (any::<bool>(), bytes()).prop_map(|(readonly, data)| {
            Value::View(ViewHeader::new(readonly, 1, "B", vec![data.len() as u64]), data)
        }),
    ];
    leaf.prop_recursive(6, 200, 20, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::List),
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Tuple),
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Set),
            prop::collection::vec(inner.clone(), 0..20).prop_map(Value::Frozenset),
            (prop_oneof![19..=31u8, 48..=79u8], prop::collection::vec(inner.clone(), 0..20))
                .prop_map(|(kind, values)| Value::Extension(kind, values)),
            prop::collection::vec((inner.clone(), inner), 0..20).prop_map(Value::Dict),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_was_encoded_is_decoded_as_itself(value in value(), out_of_band in 0..60usize) {
        let limits = Limits::default().with_out_of_band(out_of_band);
        let (frame, buffers) = value.encode(&limits).expect("it can be sent");
        let decoded = Value::decode(&frame, buffers.clone(), &limits).expect("it can be read");
        // Compared by their bytes: a NaN equals nothing.
        prop_assert_eq!(decoded.encode(&limits).expect("it can be sent"), (frame, buffers));
    }

    #[test]
    fn any_bytes_are_a_value_or_an_error(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(Value::decode(&frame, vec![Bytes::new(); 3], &Limits::default()));
    }

    #[test]
    fn a_frame_with_a_changed_byte_is_a_value_or_an_error(
        value in value(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<prop::sample::Index>(),
    ) {
        let (mut frame, buffers) = value.encode(&Limits::default()).expect("it can be sent");
        let at = at.index(frame.len());
        frame[at] = byte;
        drop(Value::decode(&frame, buffers.clone(), &Limits::default()));
        frame.truncate(cut.index(frame.len()));
        prop_assert!(Value::decode(&frame, buffers, &Limits::default()).is_err() || !frame.is_empty());
    }

    /// The subset that plain MessagePack has too means the same to rmp-serde.
    #[test]
    fn rmp_serde_reads_plain_values_as_the_same(
        ints in prop::collection::vec(any::<i64>(), 0..20),
        floats in prop::collection::vec(-1e300..1e300f64, 0..20),
        pairs in prop::collection::vec((".*", any::<bool>()), 0..20),
    ) {
        let value = Value::List(vec![
            Value::List(ints.iter().copied().map(Value::Int).collect()),
            Value::List(floats.iter().copied().map(Value::Float).collect()),
            Value::Dict(pairs.iter().map(|(key, flag)| (Value::Str(key.clone()), Value::Bool(*flag))).collect()),
        ]);
        let (frame, _) = value.encode(&Limits::default()).expect("it can be sent");
        type Plain = (Vec<i64>, Vec<f64>, Vec<(String, bool)>);
        let (read_ints, read_floats, _): (Vec<i64>, Vec<f64>, serde_json::Value) =
            rmp_serde::from_slice(&frame[1..]).expect("it is MessagePack");
        prop_assert_eq!(&read_ints, &ints);
        prop_assert_eq!(&read_floats, &floats);
        let written: Plain = (ints, floats, Vec::new());
        let plain = rmp_serde::to_vec(&(&written.0, &written.1)).expect("it is MessagePack");
        prop_assert_eq!(&frame[2..=plain.len()], &plain[1..], "rmp-serde writes the same bytes");
    }
}

/// Protects tools and tests: no operation of `Value` needs a stack that grows with its depth.
#[test]
fn values_are_copied_compared_and_shown_on_a_small_stack() {
    let test = || {
        let nested = |tip| {
            (0..100_000).fold(tip, |inner, level| match level % 4 {
                0 => Value::List(vec![inner]),
                1 => Value::Dict(vec![(Value::Int(level), inner)]),
                2 => Value::Defined(level as usize, Box::new(inner)),
                _ => Value::Extension(48, vec![Value::Nil, inner]),
            })
        };
        let deep = nested(Value::Int(1));
        assert_eq!(deep.clone(), deep);
        assert_ne!(nested(Value::Int(2)), deep);
        let text = format!("{deep:?}");
        assert!(text.contains("Int(1)") && text.ends_with(")])") && text.len() > 1_000_000, "{}", text.len());
    };
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(test);
    thread.expect("a thread").join().expect("no overflow");
}

/// Protects messages of tests and fuzzers, which show values as any other Rust type shows itself.
#[test]
fn values_are_shown_as_they_are_written() {
    let value = Value::Dict(vec![
        (Value::Str("a".into()), Value::Tuple(vec![])),
        (Value::Int(-1), Value::Defined(0, Box::new(Value::List(vec![Value::Nil, Value::Float(1.0)])))),
        (Value::Complex(0.0, 1.0), Value::Extension(21, vec![Value::Bool(true), Value::Shared(0)])),
    ]);
    assert_eq!(
        format!("{value:?}"),
        r#"Dict([(Str("a"), Tuple([])), (Int(-1), Defined(0, List([Nil, Float(1.0)]))), "#.to_owned()
            + "(Complex(0.0, 1.0), Extension(21, [Bool(true), Shared(0)]))])"
    );
}

/// Protects what tests compare: a value that differs anywhere is another one.
#[test]
fn values_that_differ_in_one_place_are_not_equal() {
    let all = |change: usize| {
        let pick = |place: usize, usual: Value, other: Value| if place == change { other } else { usual };
        let list = Value::List(vec![pick(1, Value::Nil, Value::Bool(false)), Value::Shared(1)]);
        let defined = Value::Defined(if change == 2 { 2 } else { 1 }, Box::new(list));
        let shorter = if change == 3 { vec![] } else { vec![Value::Int(1)] };
        Value::Dict(vec![
            (pick(4, Value::Int(1), Value::Uint(1)), defined),
            (Value::Str("b".into()), Value::Extension(if change == 5 { 50 } else { 49 }, shorter)),
            (Value::Nil, pick(6, Value::Tuple(vec![]), Value::List(vec![]))),
        ])
    };
    for change in 0..=6 {
        assert_eq!(all(change) == all(0), change == 0, "{change}");
        assert_eq!(all(change), all(change).clone());
    }
}

/// Depth costs memory, never the stack: this thread has a quarter of a browser worker's.
#[test]
fn a_hundred_thousand_levels_pass_on_a_small_stack() {
    let test = || {
        let deep = (0..100_000).fold(Value::Nil, |inner, level| {
            if level % 2 == 0 { Value::List(vec![inner]) } else { Value::Tuple(vec![inner]) }
        });
        let (frame, _) = deep.encode(&Limits::default()).expect("it can be sent");
        let decoded = Value::decode(&frame, Vec::new(), &Limits::default()).expect("it can be read");
        assert_eq!(decoded.encode(&Limits::default()).expect("it can be sent").0, frame);
    };
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(test);
    thread.expect("a thread").join().expect("no overflow");
}

#[test]
fn depth_beyond_the_limit_is_refused_both_ways() {
    let limits = Limits::default().with_depth(3);
    let nested = |depth| (0..depth).fold(Value::Nil, |inner, _| Value::List(vec![inner]));
    let (frame, _) = nested(4).encode(&Limits::default()).expect("the default limit is higher");
    let path = Path::new(vec![Step::Index(0); 3]);
    assert_eq!(nested(4).encode(&limits), Err(EncodeError::TooDeep { path, limit: 3 }));
    let refused = Value::decode(&frame, Vec::new(), &limits).expect_err("it must be refused");
    assert_eq!(refused.kind, DecodeErrorKind::TooDeep(3));
    assert!(nested(3).encode(&limits).is_ok());
}

/// The writer counts the levels behind a reference as a reader does.
#[test]
fn the_levels_of_what_is_referred_to_are_counted_both_ways() {
    let nested = |depth| (0..depth).fold(Value::Nil, |inner, _| Value::Tuple(vec![inner]));
    let twice = |depth| {
        let deep = Value::Defined(0, Box::new(nested(depth)));
        Value::List(vec![deep, Value::Set(vec![Value::Tuple(vec![Value::Shared(0)])])])
    };
    let (frame, _) = twice(199).encode(&Limits::default()).expect("200 levels may stand in a set");
    assert!(Value::decode(&frame, Vec::new(), &Limits::default()).is_ok());
    let path = Path::new(vec![Step::Index(1), Step::Index(0)]);
    assert_eq!(twice(200).encode(&Limits::default()), Err(EncodeError::TooDeep { path, limit: 200 }));
}

/// Neither refuses what the other would let pass.
#[test]
fn library_types_nest_as_deep_both_ways() {
    let nested =
        |depth| (0..depth).fold(Value::Nil, |inner, _| Value::Extension(19, vec![Value::Nil, inner]));
    let (frame, _) = nested(201).encode(&Limits::default()).expect("200 levels may stand in one");
    assert!(Value::decode(&frame, Vec::new(), &Limits::default()).is_ok());
    assert!(matches!(nested(202).encode(&Limits::default()), Err(EncodeError::TooDeep { .. })));
}

/// A tuple that holds the one before twice, and so on, has few bytes, and is hashed for ever.
#[test]
fn keys_that_are_hashed_for_ever_are_refused_both_ways() {
    let doubled = |levels| {
        (0..levels).fold(Value::Tuple(vec![Value::Nil]), |inner, number| {
            Value::Tuple(vec![Value::Defined(number, Box::new(inner)), Value::Shared(number)])
        })
    };
    for levels in [10, 20, 60] {
        let fits = levels < 24;
        assert_eq!(Value::Set(vec![doubled(levels)]).encode(&Limits::default()).is_ok(), fits, "{levels}");
        // The same bytes with a frozenset in place of the outermost tuple.
        let (mut frame, _) = Value::List(vec![doubled(levels)]).encode(&Limits::default()).expect("no key");
        let list = frame.windows(3).position(|bytes| bytes == [0x91, 0xd4, 0x10]).expect("the list");
        frame[list + 2] = 0x12;
        assert_eq!(Value::decode(&frame, Vec::new(), &Limits::default()).is_ok(), fits, "{levels}");
    }
}

/// The path of an error takes no time or memory that grows with its depth.
#[test]
fn the_path_to_what_is_too_deep_has_its_ends_only() {
    let limits = Limits::default().with_depth(100_000);
    let deep = (0..100_001).fold(Value::Nil, |inner, _| Value::List(vec![inner]));
    let Err(EncodeError::TooDeep { path, .. }) = deep.encode(&limits) else { panic!("it must be refused") };
    assert_eq!((path.steps.len(), path.omitted), (2 * Path::END, 100_000 - 2 * Path::END));
    assert!(path.to_string().len() < 200);
}

/// A frame of nested headers that each announce as much as the bytes could hold, were they alone.
#[test]
fn announced_lengths_do_not_add_up_beyond_the_bytes_that_are_left() {
    let mut frame = vec![0x90];
    for _ in 0..10_000 {
        frame.extend_from_slice(&[0xdd, 0, 0, 0x40, 0]);
    }
    let refused = Value::decode(&frame, Vec::new(), &Limits::default()).expect_err("it must be refused");
    assert!(matches!(refused.kind, DecodeErrorKind::Overlong { .. }));
    assert!(refused.offset < 100, "the third header at the latest: {}", refused.offset);
}

/// A frame in which every value refers to the one before twice: were they copied, memory would end.
#[test]
fn references_do_not_multiply() {
    let levels = 200;
    let mut value = Value::Defined(0, Box::new(Value::List(vec![Value::Nil])));
    for number in 1..levels {
        let list = Value::List(vec![value, Value::Shared(number - 1)]);
        value = Value::Defined(number, Box::new(list));
    }
    let last = Value::List(vec![value, Value::Shared(levels - 1)]);
    let (frame, _) = last.encode(&Limits::default()).expect("it can be sent");
    assert!(frame.len() < 20 * levels, "{}", frame.len());
    let decoded = Value::decode(&frame, Vec::new(), &Limits::default()).expect("it can be read");
    assert_eq!(decoded.encode(&Limits::default()).expect("it can be sent").0, frame);
}
