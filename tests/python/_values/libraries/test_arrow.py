"""Tables, record batches and arrays of pyarrow arrive as themselves: natively with the real pyarrow."""

from __future__ import annotations

import datetime
import random
import tracemalloc
from typing import Any

import pytest

pa: Any = pytest.importorskip(
    "pyarrow", reason="pyarrow is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)

import workerlib
from workerlib._native import decode, encode

import second_process
from same import assert_same_arrow
from trip import frame_of_extension, round_trip

ARRAYS: dict[str, Any] = {
    **{
        kind: pa.array([1, None, 3], getattr(pa, kind)())
        for kind in ("int8", "int64", "uint16", "float32", "float64")
    },
    "bool": pa.array([True, None, False]),
    "null": pa.nulls(3),
    "string": pa.array(["a", None, "ß"]),
    "large string": pa.array(["a", None], pa.large_string()),
    "string view": pa.array(["a", "a text that is longer than twelve bytes", None], pa.string_view()),
    "binary": pa.array([b"a", None, b""]),
    "bytes of one length": pa.array([b"abc", None], pa.binary(3)),
    "dictionary": pa.array(["x", "y", None, "x"]).dictionary_encode(),
    "timestamp": pa.array([datetime.datetime(2026, 1, 1), None], pa.timestamp("us", "Europe/Berlin")),
    "date": pa.array([datetime.date(2026, 1, 1), None]),
    "decimal": pa.array([None, 1], pa.decimal128(10, 2)),
    "list": pa.array([[1, 2], None, []]),
    "struct": pa.array([{"a": 1, "b": "x"}, None]),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "a part": pa.array(range(100))[10:20],
    "a part of bools": pa.array([True, False] * 20)[3:9],
    "runs": pa.RunEndEncodedArray.from_arrays([2, 5], ["a", "b"]),
    "empty": pa.array([], pa.string()),
    "out of band": pa.array(range(100_000)),
}
TABLE = pa.table({"a": ARRAYS["int64"], "b": ARRAYS["string"], "c": ARRAYS["list"]}).replace_schema_metadata(
    {"k": "v"}
)
TABLES: dict[str, Any] = {
    "a table": TABLE,
    "with chunks": pa.concat_tables([TABLE, TABLE]),
    "with other chunks in each column": pa.table(
        {"a": pa.chunked_array([[1], [2, 3]]), "b": pa.chunked_array([[1, 2], [3]])}
    ),
    "without rows": TABLE.schema.empty_table(),
    "without columns": pa.table({}),
    "names that occur twice": pa.Table.from_arrays([ARRAYS["int8"], ARRAYS["bool"]], names=["a", "a"]),
    "dictionaries that differ": pa.table(
        {"d": pa.chunked_array([pa.array(["x"]).dictionary_encode(), pa.array(["y"]).dictionary_encode()])}
    ),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_every_type(name: str) -> None:
    """Alone, in chunks, in a batch and in a table."""
    array = ARRAYS[name]
    assert_same_arrow(round_trip(array), array)
    assert_same_arrow(round_trip(pa.chunked_array([array, array])), pa.chunked_array([array, array]))
    batch = pa.record_batch([array, array], names=["a", "b"])
    assert_same_arrow(round_trip(batch), batch)
    assert_same_arrow(round_trip(batch.slice(0, 0)), batch.slice(0, 0))
    assert_same_arrow(round_trip(pa.table(batch)), pa.table(batch))


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    """With metadata, chunks, and without anything."""
    assert_same_arrow(round_trip({"deep": [TABLES[name]]})["deep"][0], TABLES[name])  # type: ignore[index]


def test_chunks_stay() -> None:
    """A column arrives in the chunks in which it was sent; one without any, too."""
    chunks = pa.chunked_array([[1, 2], [3]])
    assert round_trip(chunks).num_chunks == 2  # type: ignore[attr-defined]
    empty = pa.chunked_array([], pa.int8())
    assert_same_arrow(round_trip(empty), empty)


def test_content_goes_out_of_band_and_is_not_copied_again() -> None:
    """The content is one buffer, in which the table lies when it arrives."""
    table = pa.table({"a": pa.array(range(100_000)), "b": pa.array(range(100_000))})
    data, buffers = encode(table)
    assert len(data) < 100
    assert len(buffers) == 1
    assert 1_600_000 <= memoryview(buffers[0]).nbytes < 1_601_000
    before = pa.total_allocated_bytes()
    back: Any = decode(data, [bytes(memoryview(buffer)) for buffer in buffers])
    assert pa.total_allocated_bytes() - before < 1_000
    assert back.equals(table)


def test_a_table_in_two_places_is_one() -> None:
    """A table that occurs twice in a value arrives as one object."""
    one, other = round_trip([TABLE, TABLE])  # type: ignore[misc]
    assert one is other


def test_to_another_process_and_back() -> None:
    """Which imports pyarrow when the table comes, and not before."""
    values = [*TABLES.values(), *ARRAYS.values(), TABLE.to_batches()[0]]
    modules, back = second_process.there_and_back(values)
    assert "pyarrow" not in modules
    for one, value in zip(back, values, strict=True):
        assert_same_arrow(one, value)


def stream_of(table: Any, **options: Any) -> bytes:
    """Writes a table as Arrow's stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


STREAM = stream_of(TABLE)
HOSTILE: dict[str, tuple[object, ...]] = {
    "nothing": (),
    "a kind that is none": ("file", memoryview(STREAM)),
    "a stream of bytes": ("table", STREAM),
    "a stream of nothing": ("table", memoryview(b"")),
    "a stream that is none": ("table", memoryview(b"x" * 100)),
    "a table as an array": ("array", memoryview(STREAM)),
    "two batches as one": ("batch", memoryview(stream_of(TABLES["with chunks"]))),
    "two chunks as an array": ("array", memoryview(stream_of(pa.table({"a": pa.chunked_array([[1], [2]])})))),
    "a stream cut short": ("table", memoryview(STREAM[: len(STREAM) // 2])),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_streams_that_lie(name: str) -> None:
    """Each is refused with a FrameError."""
    data, buffers = frame_of_extension(93, HOSTILE[name])
    with pytest.raises(workerlib.FrameError):
        decode(data, list(buffers))


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
@pytest.mark.parametrize("with_dictionary", [False, True], ids=["batch", "dictionary"])
def test_compressed_streams_are_refused(codec: str, with_dictionary: bool) -> None:
    """A few bytes of them would take any amount of memory; no sender of ours compresses."""
    if not pa.Codec.is_available(codec):
        pytest.skip(f"this pyarrow was built without {codec}")
    array = (
        pa.array(["x" * 1_000_000]).dictionary_encode() if with_dictionary else pa.array(["x" * 1_000_000])
    )
    data, buffers = frame_of_extension(
        93, ("array", memoryview(stream_of(pa.table({"": array}), compression=codec)))
    )
    with pytest.raises(workerlib.FrameError, match="compressed"):
        decode(data, list(buffers))


def test_any_change_of_a_stream_is_refused_or_harmless() -> None:
    """Arrow believes what a stream says of its own offsets until it is validated: no crash, no memory out of proportion."""
    chance = random.Random(4)
    tables = [
        TABLE,
        pa.table({"d": ARRAYS["dictionary"], "v": pa.array(["x" * 20, "y", None, "z"])}),
        pa.table({"r": ARRAYS["runs"]}),
    ]
    tables.append(pa.table({"m": ARRAYS["map"], "s": ARRAYS["struct"]}))
    outcomes = {"refused": 0, "read": 0}
    tracemalloc.start()
    for stream in map(stream_of, tables):
        for _ in range(2_000):
            changed = bytearray(stream)
            for _ in range(chance.choice((1, 1, 2, 5))):
                place = chance.randrange(len(changed))
                changed[place] = chance.choice(
                    (0, 1, 127, 128, 255, changed[place] ^ 1, chance.randrange(256))
                )
            data, buffers = frame_of_extension(93, ("table", memoryview(bytes(changed))))
            try:
                back: Any = decode(data, list(buffers))
                outcomes["read"] += 1
            except workerlib.FrameError:
                outcomes["refused"] += 1
                continue
            try:
                repr(back.to_pylist()[:100] if back.num_rows < 10_000 else back.slice(0, 10).to_pylist())
            except (ValueError, OverflowError, KeyError, TypeError, pa.ArrowException):
                # Not every moment has a datetime, nor is every text one.
                pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(outcomes.values()) > 100
    assert peak < 50_000_000
    assert pa.default_memory_pool().max_memory() < 200_000_000
