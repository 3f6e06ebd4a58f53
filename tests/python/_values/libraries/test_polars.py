"""Frames and series of polars arrive as themselves, by Arrow's stream, without pyarrow: natively with the real polars."""

from __future__ import annotations

import datetime
import decimal
import io
import random
import struct
from typing import Any

import pytest

pl: Any = pytest.importorskip(
    "polars", reason="polars is not installed: in Pyodide its wheel is neither in npm nor in PyPI"
)

from workerlib import FrameError, UnsendableError
from workerlib._native import decode, encode
from workerlib._values.libraries.arrow_streams import check_stream

from trip import frame_of_extension, round_trip

SERIES: dict[str, Any] = {
    "ints": pl.Series("n", [1, None, 3]),
    "int 8": pl.Series([1, -1], dtype=pl.Int8),
    "int 128": pl.Series([2**100, None], dtype=pl.Int128),
    "floats": pl.Series([1.5, float("nan"), None]),
    "float 32": pl.Series([1.5], dtype=pl.Float32),
    "bools": pl.Series([True, None, False]),
    "strings": pl.Series("", ["a", None, "ß" * 50, "\U0001f600"]),
    "bytes": pl.Series([b"x", None]),
    "categories": pl.Series(["a", "b", "a", None], dtype=pl.Categorical),
    "an enum": pl.Series(["a", "b"], dtype=pl.Enum(["b", "a", "unused"])),
    "lists": pl.Series([[1, 2], [], None]),
    "arrays": pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)),
    "structures": pl.Series([{"a": 1, "b": ["x"]}, {"a": None, "b": []}]),
    "dates": pl.Series([datetime.date(2026, 1, 1), None]),
    "datetimes": pl.Series([datetime.datetime(2026, 1, 1)], dtype=pl.Datetime("ns")),
    "datetimes with a zone": pl.Series(
        [datetime.datetime(2026, 1, 1)], dtype=pl.Datetime("us", "Europe/Berlin")
    ),
    "durations": pl.Series([datetime.timedelta(1)], dtype=pl.Duration("ms")),
    "times": pl.Series([datetime.time(1, 2, 3)]),
    "decimals": pl.Series([decimal.Decimal("1.50")], dtype=pl.Decimal(10, 2)),
    "nothing": pl.Series([None, None]),
    "empty": pl.Series([], dtype=pl.String),
    "many": pl.Series([f"name {index}" for index in range(20_000)]),
}


@pytest.mark.parametrize("name", SERIES)
def test_a_series_of_every_type(name: str) -> None:
    """Name, type and each value, by itself and as a column."""
    series = SERIES[name]
    back: Any = round_trip({"deep": [series]})["deep"][0]  # type: ignore[index]
    assert type(back) is pl.Series
    assert (back.name, back.dtype, back.to_list().__repr__()) == (
        series.name,
        series.dtype,
        series.to_list().__repr__(),
    )
    frame = pl.DataFrame({"x": series, "n": range(len(series))})
    assert_same_frame(round_trip(frame), frame)


def assert_same_frame(actual: Any, expected: Any) -> None:
    assert type(actual) is pl.DataFrame
    assert actual.schema == expected.schema
    assert actual.shape == expected.shape
    assert actual.equals(expected, null_equal=True) or repr(actual.to_dicts()) == repr(expected.to_dicts())


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame(),
        pl.DataFrame(height=3),
        pl.DataFrame({"a": []}),
        pl.concat([pl.DataFrame({"a": [1]}), pl.DataFrame({"a": [2]})], rechunk=False),
        pl.DataFrame({"a": range(10)})[3:7],
        pl.DataFrame({"ß": ["x"], "": [1]}),
    ],
    ids=["nothing", "rows only", "no rows", "two chunks", "a slice", "names"],
)
def test_frames_at_the_edge(frame: Any) -> None:
    """Frames of every kind that polars can make."""
    assert_same_frame(round_trip(frame), frame)


def test_many_values_go_out_of_band() -> None:
    """The stream is one buffer beside the frame."""
    frame, buffers = encode(SERIES["many"])
    assert len(frame) < 200
    assert len(buffers) == 1


def test_what_cannot_be_sent() -> None:
    """Python objects, wherever they are in a type; and what is computed later."""
    for value in (pl.Series([object()]), pl.DataFrame({"o": [object()]})):
        with pytest.raises(UnsendableError, match="Python objects"):
            encode([value])
    for value, remedy in ((pl.LazyFrame({"a": [1]}), r"collect\(\)"), (pl.col("a"), "meta")):
        with pytest.raises(UnsendableError, match=remedy):
            encode([value])


def streams() -> list[bytes]:
    """Makes streams of frames of all types."""
    columns = {str(number): series for number, series in enumerate(SERIES.values()) if 0 < len(series) < 100}
    made = []
    for series in columns.values():
        sink = io.BytesIO()
        series.to_frame().write_ipc_stream(sink, compat_level=pl.CompatLevel.newest())
        made.append(sink.getvalue())
    return made


def test_streams_of_polars_pass_the_check() -> None:
    """The check accepts the streams that polars writes, with every type."""
    for stream in streams():
        check_stream(memoryview(stream))
    check_stream(memoryview(b""))


def outcome(stream: bytes) -> str:
    """Has a stream read as a frame; an error is one of the frame."""
    frame, buffers = frame_of_extension(78, ("polars.DataFrame", memoryview(stream)))
    try:
        decode(frame, list(buffers))
    except FrameError:
        return "refused"
    return "read"


def test_streams_that_lie() -> None:
    """Changed bytes are refused or read as something else: polars never asks for memory that nobody has, nor ends."""
    chance = random.Random(1)
    outcomes = set()
    for stream in streams():
        for _ in range(100):
            changed = bytearray(stream)
            for _ in range(chance.choice((1, 1, 2, 3))):
                changed[chance.randrange(len(changed))] = chance.choice(
                    (chance.randrange(256), 255, 127, 0, 1)
                )
            outcomes.add(outcome(bytes(changed)))
    assert outcomes == {"refused", "read"}


@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 1, -1, 1 << 40])
def test_lengths_that_lie(size: int) -> None:
    """Each length in the metadata, one after the other, is set to one that is not there."""
    stream = streams()[0]
    refused = 0
    for position in range(0, len(stream) - 8, 8):
        changed = bytearray(stream)
        struct.pack_into("<q", changed, position, size)
        refused += outcome(bytes(changed)) == "refused"
    assert refused > 10


@pytest.mark.parametrize(
    "content", [b"x", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\x7f\xff\xff\x7f", b"\0" * 64], ids=repr
)
def test_what_is_no_stream(content: bytes) -> None:
    """Bytes that are not a stream are refused before polars reads them."""
    with pytest.raises(ValueError, match="Arrow"):
        check_stream(memoryview(content))
    assert outcome(content) == "refused"


def test_a_compressed_stream() -> None:
    """A few bytes could be any number of them: the writer never compresses."""
    sink = io.BytesIO()
    pl.DataFrame({"a": ["x" * 10_000]}).write_ipc_stream(sink, compression="zstd")
    with pytest.raises(ValueError, match="compressed"):
        check_stream(memoryview(sink.getvalue()))


@pytest.mark.parametrize(
    "values", [("polars.DataFrame", b"x"), ("polars.DataFrame",), ("polars.Series", "x")], ids=repr
)
def test_values_that_are_none(values: tuple[object, ...]) -> None:
    """A frame without a stream is an error of the frame."""
    frame, buffers = frame_of_extension(78, values)
    with pytest.raises(FrameError):
        decode(frame, list(buffers))


def test_a_series_of_several_columns() -> None:
    """A frame that gives a Series two columns is refused."""
    sink = io.BytesIO()
    pl.DataFrame({"a": [1], "b": [2]}).write_ipc_stream(sink)
    frame, buffers = frame_of_extension(78, ("polars.Series", memoryview(sink.getvalue())))
    with pytest.raises(FrameError, match="a Series cannot have 2 columns"):
        decode(frame, list(buffers))
