"""Round trips leave the heap and the reference counts where they were.

`WORKERLIB_LEAK_TRIPS` is the number of round trips in all: a million natively, fewer inside Pyodide, where one takes
longer and the whole suite should not.
"""

from __future__ import annotations

import functools
import gc
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib import ConversionWarning
from workerlib._native import decode, encode

from library_values import LIBRARY_VALUES
from trip import frame_of, round_trip
from users_classes import FrozenSlotted, Place, Slotted

IN_PYODIDE = sys.platform == "emscripten"
TRIPS = int(os.environ.get("WORKERLIB_LEAK_TRIPS", "20000" if IN_PYODIDE else "1000000"))
# From Python 3.12 on None, static classes and others have a count as high as this, which Python itself no longer
# changes but an extension for the stable ABI of 3.11 does: it means nothing.
IMMORTAL = 2**28
STATM = Path("/proc/self/statm")

# The values of values.py and library_values.py are too many for each trip; this has each type and both ways of sharing.
SHARED: list[Any] = ["shared", b"shared"]
SMALL: list[Any] = [
    1,
    2**70,
    1.5,
    "text",
    SHARED,
    (SHARED, ()),
    {"k": SHARED, (1, 2): None},
    {3},
    bytearray(b"x"),
]
SMALL.append(SMALL)

PLACE = Place(1, 2.5, "a place", ["x"])
PLACE.parent = [PLACE, Slotted(1, Slotted(2)), FrozenSlotted(x=3, y=[SHARED])]


# CPython itself loses the content of an empty array('u'). A long pattern is only slow.
LEFT_OUT = ("empty array of u", "pattern of 10,000 characters")
EACH = {name: value for name, value in LIBRARY_VALUES.items() if name not in LEFT_OUT}


@pytest.fixture(autouse=True, scope="module")
def nothing_else() -> None:
    """Spares the collector what was there before, other tests' objects included: each test collects several times."""
    gc.collect()
    gc.freeze()


class OwnList(list[Any]):
    """Arrives as a list."""


def everything() -> list[Any]:
    """Each listed value once, what is converted, and a large buffer."""
    return [*EACH.values(), OwnList([1, SHARED]), bytes(50_000), memoryview(bytearray(50_000)), SHARED, PLACE]


def resident() -> int:
    """The process's memory in bytes, Rust's heap included; 0 where the system does not tell."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.exists() else 0


def watched() -> list[Any]:
    """The objects that would have another reference count after a leak: classes, constants, and sent values."""
    classes = {type(value) for value in [*LIBRARY_VALUES.values(), PLACE, *PLACE.parent]}
    return [*classes, *LIBRARY_VALUES.values(), None, True, ..., (), SHARED, *SHARED, SMALL]


def heap() -> tuple[int, int, int]:
    """Counts blocks of memory, objects that the collector knows, and bytes."""
    gc.collect()
    return sys.getallocatedblocks(), len(gc.get_objects()), resident()


def growth(trip: Callable[[], object], times: int) -> dict[str, object]:
    """Runs `trip` and gives what has grown by a tenth of one for each trip, or more."""
    objects = watched()
    references = [sys.getrefcount(one) for one in objects]
    before = heap()
    for _ in range(times):
        trip()
    after = heap()
    bound = times // 10 + 20
    counted = [(one, count, sys.getrefcount(one)) for one, count in zip(objects, references, strict=True)]
    grown: dict[str, object] = {
        "references": [
            one
            for one, count, now in counted
            if abs(now - count) > bound and count < IMMORTAL and now < IMMORTAL
        ],
        "blocks": max(after[0] - before[0] - bound, 0),
        "objects": max(after[1] - before[1] - bound, 0),
        # Pages that an allocator keeps do not matter.
        "bytes": max(after[2] - before[2] - 4_000_000 - 4 * times, 0),
    }
    return {name: what for name, what in grown.items() if what}


def assert_nothing_stays(trip: Callable[[], object], times: int) -> None:
    """Runs `trip` until caches are warm, and then `times` more: nothing may have grown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        for _ in range(5):
            trip()
        # CPython's caches (of attributes by type, of strs) grow until they are full, a leak grows each time.
        for _ in range(10):
            grown = growth(trip, times)
            if not grown:
                return
    raise AssertionError(f"grew each time: {grown}")


def test_a_million_round_trips_leave_the_heap_where_it_was() -> None:
    """A value with the builtin types, with shared objects, and with a circle."""
    assert_nothing_stays(lambda: round_trip(SMALL), TRIPS)


def test_round_trips_of_everything_leave_the_heap_where_it_was() -> None:
    """Every value that is listed, with conversions and large buffers."""
    value = everything()
    assert_nothing_stays(lambda: round_trip(value), max(20, TRIPS // 10_000))


@pytest.mark.parametrize("name", EACH)
def test_round_trips_of_each_value_leave_the_heap_where_it_was(name: str) -> None:
    """Each value by itself, so that a leak is found where it is."""
    value = LIBRARY_VALUES[name]
    assert_nothing_stays(lambda: round_trip(value), max(100, TRIPS // 5_000))


def test_round_trips_of_objects_leave_the_heap_where_it_was() -> None:
    """Objects of users' classes, with a `__dict__`, with slots, in a circle."""
    assert_nothing_stays(lambda: round_trip(PLACE), max(100, TRIPS // 100))


def object_fails() -> None:
    """Decodes an object that ends behind each of its bytes."""
    data, _ = frame_of(PLACE)
    for end in range(len(data)):
        with pytest.raises(workerlib.FrameError):
            decode(data[:end], [])


def encode_fails() -> None:
    """Encodes what cannot be sent, behind what can."""
    with pytest.raises(workerlib.UnsendableError):
        encode([SMALL, LIBRARY_VALUES["deque"], {"k": (SHARED, object())}])


def strict_fails() -> None:
    """Encodes what strict refuses."""
    with pytest.raises(workerlib.UnsendableError):
        encode([SHARED, OwnList()], strict=True)


@functools.cache
def good_frame() -> tuple[bytes, list[bytes]]:
    """The frame of everything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConversionWarning)
        return frame_of(everything())


def decode_fails() -> None:
    """Decodes a frame that ends in the middle, and one with something behind its end."""
    data, buffers = good_frame()
    for frame in (data[: len(data) // 2], data + b"\xc1"):
        with pytest.raises(workerlib.FrameError):
            decode(frame, list(buffers))


def buffers_are_missing() -> None:
    """Decodes a frame without what should be beside it."""
    with pytest.raises(workerlib.FrameError):
        decode(good_frame()[0], [])


@pytest.mark.parametrize(
    "fail", [encode_fails, strict_fails, decode_fails, object_fails, buffers_are_missing]
)
def test_errors_leave_the_heap_where_it_was(fail: Callable[[], None]) -> None:
    """Objects that were begun before the error are freed."""
    assert_nothing_stays(fail, max(20, TRIPS // 10_000))


def test_a_leak_would_be_found() -> None:
    """A test that could not fail would be worth nothing."""
    kept: list[object] = []
    with pytest.raises(AssertionError):
        assert_nothing_stays(lambda: kept.append([round_trip([])]), 200)
    with pytest.raises(AssertionError):
        assert_nothing_stays(lambda: kept.append(SHARED), 200)
