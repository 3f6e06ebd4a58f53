"""Bytes that no peer of ours would send: an error, never a crash, never memory out of proportion."""

from __future__ import annotations

import contextlib
import gc
import json
import random
import tracemalloc
from pathlib import Path

import pytest
import workerlib
from workerlib._native import decode

from pace import IN_PYODIDE, UNDER_VALGRIND, repeats
from trip import Frame, frame_of
from values import VALUES

RUNS = repeats(20_000)
VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "values.json").read_text(encoding="utf-8"))
GOLDEN: list[Frame] = [(bytes.fromhex(one["frame"]), []) for one in [*VECTORS["shared"], *VECTORS["library"]]]
SMALL = [frame for frame in [*map(frame_of, VALUES.values()), *GOLDEN] if len(frame[0]) < 2_000]

# The sharing table of a frame in which nothing is shared (docs/wire-format.md, section 4.5); the value follows.
TABLE = b"\x90"

# Each announces more than there is, or what there cannot be.
LIARS = {
    "nothing": b"",
    "unused marker": b"\xc1",
    "list of 2**32-1": b"\xdd\xff\xff\xff\xff",
    "dict of 2**32-1": b"\xdf\xff\xff\xff\xff",
    "str of 2**32-1": b"\xdb\xff\xff\xff\xff",
    "bytes of 2**32-1": b"\xc6\xff\xff\xff\xff",
    "extension of 2**32-1": b"\xc9\xff\xff\xff\xff\x01",
    "tuple of 2**32-1": b"\xd6\x10\xff\xff\xff\xff",
    "unknown extension": b"\xd4\x7fx",
    "list of lists of 2**32-1": b"\xdd\x00\x00\x00\x05" + b"\xdd\xff\xff\xff\xff" * 5,
    "unhashable key": b"\x81\x90\xc0",
    "unhashable key deep down": b"\x81\xd4\x10\x01\x80\xc0",
    "str that is not UTF-8": b"\xa2\xff\xff",
    "a surrogate in a plain str": b"\xa3\xed\xa0\x80",
    "extension of surrogates that is not UTF-8": b"\xd5\x02\xff\xff",
    "big int of no bytes": b"\xc7\x00\x01",
    "buffer that did not come": b"\xd6\x05\x00\x00\x00\x00",
    "buffer number 2**32-1": b"\xd6\x05\xff\xff\xff\xff",
    "object of a host's that did not come": b"\xd6\x60\x00\x00\x00\x00",
    "object of a host's with a short number": b"\xd5\x60\x00\x00",
    "view without a header": b"\xc7\x00\x04\xc4\x00",
    "view without data": b"\xc7\x05\x04\x94\xc3\x01\xa1B",
    "trailing bytes": b"\xc0\xc0",
    "MessagePack's timestamp": b"\xd6\xff\x00\x00\x00\x00",
}

BAD_TABLES = [
    b"",
    b"\xc0",
    b"\x81\x00\x00",
    b"\x91\x09",
    b"\x91\xff",
    b"\x91\xa1x",
    b"\x92\x00\x00",
    b"\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdd\x00\x00\x00\x03\x00\x01",
]


def view_frame(header: bytes, data: bytes) -> bytes:
    """Makes the frame of a memoryview with a header of its own making."""
    return TABLE + b"\xc7" + bytes([len(header)]) + b"\x04" + header + b"\xc4" + bytes([len(data)]) + data


# MessagePack arrays of: read-only, itemsize, format, shape.
BAD_VIEWS = {
    "a shape of more than there is": b"\x94\xc3\x01\xa1B\x91\x64",
    "a shape whose product overflows": b"\x94\xc3\x01\xa1B\x94\xce\xff\xff\xff\xff\xce\xff\xff\xff\xff\xce\xff\xff\xff\xff\x00",
    "negative lengths": b"\x94\xc3\x01\xa1B\x91\xff",
    "an item size below the format's": b"\x94\xc3\x01\xa1d\x91\x04",
    "an item size of zero": b"\x94\xc3\x00\xa1B\x91\x04",
    "an item size of 2**32-1": b"\x94\xc3\xce\xff\xff\xff\xff\xa1B\x91\x04",
    "a format with a NUL": b"\x94\xc3\x01\xa2B\x00\x91\x04",
    "Python objects as items": b"\x94\xc3\x04\xa1O\x91\x01",
    "Python objects in a struct": b"\x94\xc3\x04\xa7T{O:a:}\x91\x01",
    "70 dimensions": b"\x94\xc3\x01\xa1B\xdc\x00\x46" + b"\x01" * 69 + b"\x04",
    "no array": b"\x81\xc3\x01",
}

# Formats that memoryview does not know: it may carry them, but not crash on them.
ODD_VIEWS = {
    "an item size above the format's": b"\x94\xc3\x02\xa1B\x91\x02",
    "a format that is none": b"\x94\xc3\x01\xa1\x01\x91\x04",
    "an empty format": b"\x94\xc3\x01\xa0\x91\x04",
    "pointers as items": b"\x94\xc3\x04\xa1P\x91\x01",
    "a struct": b"\x94\xc3\x04\xa7T{i:a:}\x91\x01",
}


def is_refused_or_read(data: bytes, buffers: list[bytes]) -> bool:
    """Decodes; whatever the bytes are, there is a value or a FrameError."""
    try:
        value = decode(data, list(buffers))
    except workerlib.FrameError as error:
        assert str(error)
        return True
    # A value that was read can be used: a view of a wrong size would crash here.
    repr(value)
    if isinstance(value, memoryview):
        value.tobytes()
        with contextlib.suppress(NotImplementedError):
            value.tolist()
    return False


@pytest.mark.parametrize("name", LIARS)
def test_frames_that_lie(name: str) -> None:
    """Each is refused with a FrameError."""
    assert is_refused_or_read(TABLE + LIARS[name], [])


@pytest.mark.parametrize("table", BAD_TABLES, ids=bytes.hex)
def test_sharing_tables_that_lie(table: bytes) -> None:
    """A table that does not fit the value is refused."""
    assert is_refused_or_read(table + b"\x92\xa1a\xa1b", [])


def test_frame_errors_are_value_errors_and_tell_the_place() -> None:
    """The message has the offset and the section of the format's document."""
    assert issubclass(workerlib.FrameError, ValueError)
    with pytest.raises(workerlib.FrameError, match="at byte 3:") as caught:
        decode(TABLE + b"\x92\xc0\xc1", [])
    assert "wire format" in str(caught.value)


@pytest.mark.parametrize("name", BAD_VIEWS)
def test_views_that_lie(name: str) -> None:
    """A header that does not fit its bytes is refused, and so is one with pointers or objects in it."""
    assert is_refused_or_read(view_frame(BAD_VIEWS[name], b"\x01\x02\x03\x04"), [])


@pytest.mark.parametrize("name", ODD_VIEWS)
def test_views_that_nobody_can_read(name: str) -> None:
    """Formats that are strange but harmless are refused or carried."""
    is_refused_or_read(view_frame(ODD_VIEWS[name], b"\x01\x02\x03\x04"), [])


def test_memory_stays_in_proportion() -> None:
    """A few bytes that announce gigabytes get none of it."""
    tracemalloc.start()
    try:
        for data in LIARS.values():
            is_refused_or_read(TABLE + data, [])
            is_refused_or_read(data, [])
        for header in BAD_VIEWS.values():
            is_refused_or_read(view_frame(header, b"\x01\x02\x03\x04"), [])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1_000_000


# Values that take much more memory than bytes, and the bound for their kind (docs/wire-format.md, section 6).
DENSE = {
    "empty list": (b"\x90", 120),
    "empty dict": (b"\x80", 120),
    "lists in each other": (b"\x91" * 150 + b"\x90", 120),
    "dicts in each other": (b"\x81\x00" * 150 + b"\x80", 120),
    "dict of one empty dict": (b"\x81\x00\x80", 120),
    "tuple of one empty list": (b"\xd4\x10\x01\x90", 120),
    "empty set": (b"\xd4\x11\x00", 120),
    "set of one frozenset": (b"\xd4\x11\x01\xd4\x12\x00", 120),
    "short str": (b"\xa2xy", 120),
    "float": (b"\xcb" + b"\x01" * 8, 120),
    "OrderedDict of one item": (b"\xd4\x14\x03\xc0\x00\x80", 192),
    "empty deque": (b"\xd4\x13\x01\xc0", 192),
}


@pytest.mark.skipif(UNDER_VALGRIND, reason="it takes hours")
@pytest.mark.parametrize("name", DENSE)
def test_memory_of_a_good_frame(name: str) -> None:
    """The objects of a frame take at most so many bytes for each of its bytes."""
    value, bound = DENSE[name]
    count = 60_000 // len(value)
    frame = TABLE + b"\xdd" + count.to_bytes(4, "big") + value * count
    decode(frame, [])
    gc.collect()
    tracemalloc.start()
    try:
        kept = decode(frame, [])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == count
    assert peak <= bound * len(frame) + 100_000, f"{peak / len(frame):.0f} bytes for each byte"


def test_random_bytes() -> None:
    """No bytes crash the decoder: each frame is a value or a FrameError."""
    chance = random.Random(20261122)
    outcomes = set()
    for number in range(RUNS):
        table = (TABLE, TABLE, b"\x91" + chance.randbytes(1), b"")[number % 4]
        body = chance.randbytes(chance.randrange(1, 64))
        # Half of them begin with a container or an extension, which random bytes seldom do.
        start = chance.choice((b"", b"", b"\x92", b"\x81", b"\xd4", b"\xd5", b"\xd6", b"\xc7"))
        outcomes.add(is_refused_or_read(table + start + body, [b"buffer"]))
    # Few of them can be read: under valgrind there are too few for that.
    assert outcomes == ({True} if UNDER_VALGRIND else {True, False})


@pytest.mark.parametrize("step", [101 if UNDER_VALGRIND else 7 if IN_PYODIDE else 1])
def test_truncated_frames(step: int) -> None:
    """Every value's frame, cut short anywhere, is refused."""
    cuts = 0
    for data, buffers in SMALL:
        for end in range(0, len(data), step):
            assert is_refused_or_read(data[:end], buffers), (data, end)
            cuts += 1
    assert cuts > 1_000 // step


def test_flipped_bits() -> None:
    """Frames with a few bits changed are read as something or refused."""
    chance = random.Random(7)
    refused = 0
    for _ in range(RUNS):
        data, buffers = chance.choice(SMALL)
        damaged = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        refused += is_refused_or_read(bytes(damaged), buffers)
    assert 0 < refused < RUNS


def test_spliced_frames() -> None:
    """Frames made of pieces of frames are read as something or refused."""
    chance = random.Random(11)

    def piece() -> bytes:
        data, _ = chance.choice(SMALL)
        start = chance.randrange(len(data))
        return data[start : start + chance.randrange(1, 40)]

    for _ in range(RUNS):
        frame: Frame = (TABLE + b"".join(piece() for _ in range(chance.randrange(1, 6))), [b"one", b"two"])
        is_refused_or_read(*frame)


def test_deep_frames() -> None:
    """A million openings without an end neither overflow the stack nor take long."""
    for opening in (b"\x91", b"\x81\xc0", b"\xd4\x10\x01"):
        assert is_refused_or_read(TABLE + opening * 1_000_000, [])


def test_a_buffer_is_no_object_of_a_hosts() -> None:
    """A reader that has no such objects refuses the frame."""
    with pytest.raises(workerlib.FrameError, match="buffer 0 is not an object of JavaScript's"):
        decode(TABLE + b"\xd6\x60\x00\x00\x00\x00", [b"buffer"])


def test_buffers_that_do_not_belong() -> None:
    """Buffers that are missing, swapped or too short are refused."""
    data, buffers = frame_of([b"x" * 50_000, memoryview(bytearray(b"y" * 60_000)).cast("H")])
    assert len(buffers) == 2
    assert not is_refused_or_read(data, buffers)
    assert is_refused_or_read(data, [])
    assert is_refused_or_read(data, buffers[:1])
    assert is_refused_or_read(data, [buffers[0], buffers[1][:-2]])
    assert is_refused_or_read(data, [buffers[0], buffers[1] + b"zz"])


HASHED = {
    "key": (b"\x81", b"\xc0"),
    "set": (b"\xd4\x11\x01", b""),
    "frozenset": (b"\xd4\x12\x01", b""),
    "OrderedDict": (b"\xd4\x14\x03\xc0", b"\xc0"),
}


@pytest.mark.parametrize("place", HASHED)
def test_keys_that_would_be_hashed_for_ever(place: str) -> None:
    """A tuple that holds the one before it twice, sixty levels deep, has few bytes and 2**60 values to visit."""
    head, tail = HASHED[place]
    levels, tuple_of_two, reference = 60, b"\xd4\x10\x02", b"\xd4\x50"
    # The tuples stand within each other; each but the outermost is referred to behind it, the innermost first.
    positions = [len(head) + 3 * (levels - number - 1) for number in range(levels - 1)]
    table = b"\xdc" + (levels - 1).to_bytes(2, "big")
    table += b"".join(b"\xcd" + position.to_bytes(2, "big") for position in positions)
    body = tuple_of_two * levels + b"\xc0\xc0"
    body += b"".join(reference + bytes([number]) for number in range(levels - 1))
    with pytest.raises(workerlib.FrameError, match="too long to hash"):
        decode(table + head + body + tail, [])
