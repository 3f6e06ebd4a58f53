"""Frames that no sender of ours would make of the extension types: an error, never a crash, never out of proportion."""

from __future__ import annotations

import contextlib
import copy
import random
import re
import sys
import time
import traceback
import tracemalloc
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import pytest
import workerlib
from workerlib._native import decode

from library_values import BERLIN, LIBRARY_VALUES
from pace import IN_PYODIDE, repeats, seconds
from trip import frame_of

RUNS = repeats(30_000)
NUMBERS = range(128)
SMALL = [frame for frame in map(frame_of, LIBRARY_VALUES.values()) if len(frame[0]) < 500 and not frame[1]]

# The values that may stand where the table of types expects something else.
ARGUMENTS: list[object] = [
    *(
        None,
        True,
        0,
        1,
        -1,
        2**31,
        -(2**31),
        2**63,
        -(2**63) - 1,
        2**64,
        10**50,
        1.5,
        float("nan"),
        float("inf"),
    ),
    *("", "a", "utf-8", "\ud800", "a" * 300, "1/2", "::1", "1.2.3.4/8", "ValueError", "UnicodeDecodeError"),
    *("builtins.int", "builtins.mappingproxy", "os.system", "datetime.datetime", "d", "u", "O", "UTC"),
    *(b"", b"x", b"x" * 16, bytearray(b"x" * 10), memoryview(b"x" * 8), memoryview(b"x" * 8).cast("d")),
    *(
        [],
        [1],
        (),
        (1, 2),
        ("ValueError",),
        ((), "ValueError"),
        {},
        {"a": 1},
        {1: 2},
        {"args": 5},
        {"__class__": int},
    ),
    *(
        {"start": -(2**62), "end": -(2**62) + 1},
        {"object": 5},
        set(),
        {1},
        frozenset({1}),
        1j,
        ...,
        NotImplemented,
    ),
    *(
        range(3),
        slice(1),
        date(2026, 1, 1),
        datetime(2026, 1, 1, tzinfo=UTC),
        timedelta(1),
        UTC,
        Decimal("NaN"),
    ),
    *(Fraction(1, 2), int, dict, ValueError, ValueError("x"), OSError(2, "x"), SimpleNamespace(a=1)),
]
BODIES = [frame_of(argument)[0][1:] for argument in ARGUMENTS]


def extension(kind: int, bodies: list[bytes]) -> bytes:
    """Makes an extension that is followed by values."""
    return b"\xd4" + bytes([kind, len(bodies)]) + b"".join(bodies)


def is_refused_or_usable(data: bytes, buffers: list[bytes]) -> bool:
    """Decodes; whatever the bytes are, there is a FrameError, or a value that can be used without a crash."""
    try:
        value = decode(data, list(buffers))
    except workerlib.FrameError as error:
        assert str(error)
        return True
    # Errors of Python's are fine here: a Decimal may have no hash, an exception a name that is not a name.
    with contextlib.suppress(Exception):
        repr(value)
    with contextlib.suppress(Exception):
        str(value)
    with contextlib.suppress(Exception):
        hash(value)
    with contextlib.suppress(Exception):
        copy.copy(value)
    if isinstance(value, BaseException):
        with contextlib.suppress(Exception):
            "".join(traceback.format_exception(value))
    return False


def test_every_extension_type_with_no_values() -> None:
    """Numbers that are not in the table too."""
    outcomes = {kind: is_refused_or_usable(b"\x90" + extension(kind, []), []) for kind in NUMBERS}
    # A payload of one zero is an int, a str and a bytearray; empty containers are those that are not others.
    assert [kind for kind, refused in outcomes.items() if not refused] == [1, 2, 3, 16, 17, 18]


@pytest.mark.parametrize("kind", NUMBERS)
def test_every_extension_type_with_one_wrong_value(kind: int) -> None:
    """Each type is given one value of every kind alone: it is refused, or its value can be used."""
    for body in BODIES:
        is_refused_or_usable(b"\x90" + extension(kind, [body]), [])


def test_extension_types_with_any_values() -> None:
    """Extensions get as many values as may come, of any type, in any order."""
    chance = random.Random(3)
    refused = 0
    for _ in range(RUNS):
        kind = chance.choice([*range(16, 32), *range(48, 82)])
        bodies = [chance.choice(BODIES) for _ in range(chance.choice([1, 2, 2, 3, 3, 4, 5, 6, 9]))]
        refused += is_refused_or_usable(b"\x90" + extension(kind, bodies), [])
    assert RUNS // 2 < refused < RUNS


def test_good_frames_with_one_value_replaced() -> None:
    """Frames that are right but for one value."""
    chance = random.Random(4)
    refused = 0
    for _ in range(RUNS):
        name = chance.choice(REPLACED)
        kind, values = GOOD[name]
        bodies = [frame_of(value)[0][1:] for value in values]
        bodies[chance.randrange(len(bodies))] = chance.choice(BODIES)
        refused += is_refused_or_usable(b"\x90" + extension(kind, bodies), [])
    assert 0 < refused < RUNS


GOOD: dict[str, tuple[int, tuple[object, ...]]] = {
    "deque": (19, (3, 1, 2)),
    "OrderedDict": (20, (None, "a", 1)),
    "defaultdict": (21, (list, "a", 1)),
    "Counter": (22, (None, "a", 1)),
    "SimpleNamespace": (23, (None, "a", 1)),
    "exception": (24, (("x", "ValueError"), None, None, False, {})),
    "OSError": (24, ((2, "x", "ValueError"), None, None, False, {"filename": "f"})),
    "UnicodeDecodeError": (24, (("utf-8", b"x", 0, 1, "r", "UnicodeDecodeError"), None, None, False, {})),
    "UnicodeEncodeError": (24, (("utf-8", "x", 0, 1, "r", "UnicodeEncodeError"), None, None, False, {})),
    "SyntaxError": (24, (("x", ("f", 1, 2, "t", 3, 4), "SyntaxError"), None, None, False, {"lineno": 1})),
    "range": (48, (0, 1, 2)),
    "slice": (49, (0, 1, 2)),
    "mappingproxy": (50, ({},)),
    "array": (51, ("d", memoryview(bytes(8)).cast("d"))),
    "datetime": (52, (bytes([7, 234, 1, 1, 0, 0, 0, 0, 0, 0]), UTC)),
    "date": (53, (2026, 1, 1)),
    "time": (54, (0, 0, 0, 0, UTC, 0)),
    "timedelta": (55, (1, 2, 3)),
    "timezone": (56, (timedelta(1) / 24, "x")),
    "ZoneInfo": (57, ("UTC",)),
    "Decimal": (58, ("1",)),
    "Fraction": (59, (1, 2)),
    "UUID": (60, (bytes(16), None)),
    "PurePosixPath": (61, ("a",)),
    "IPv4Address": (65, ("1.2.3.4",)),
    "IPv6Network": (68, ("::/0",)),
    "Pattern": (71, ("a", 0)),
    "class": (72, ("builtins.int",)),
}
REPLACED = list(GOOD)


@pytest.mark.parametrize("name", GOOD)
def test_the_good_frames_are_good(name: str) -> None:
    """The frames of which the other tests replace a part are accepted whole."""
    kind, values = GOOD[name]
    if name == "ZoneInfo" and BERLIN is None:
        pytest.skip("this Python has no time zones: the package tzdata is missing")
    bodies = [frame_of(value)[0][1:] for value in values]
    assert not is_refused_or_usable(b"\x90" + extension(kind, bodies), [])


@pytest.mark.parametrize("kind", [*range(16, 32), *range(48, 82)])
def test_an_open_container_among_the_values(kind: int) -> None:
    """A list, dict or set that is still being read is seen by the type that stands in it, without empty slots."""
    reference = b"\xd4\x50\x00"
    for opening, rest in ((b"\x93", b"\x00\x00"), (b"\x81\xc0", b""), (b"\xd4\x13\x03\xc0", b"\x00")):
        for bodies in (
            [reference],
            [reference, b"\x00"],
            [b"\xa1u", reference],
            [b"\xc0", reference, b"\x01"],
        ):
            is_refused_or_usable(b"\x91\x00" + opening + extension(kind, bodies) + rest, [])
    # The same where an exception's arguments are what is open: here a list of exceptions for a group.
    name = b"\xae" + b"ExceptionGroup"
    first = extension(16, [b"\xa1m", reference, name])
    is_refused_or_usable(
        b"\x91\x00\x93" + extension(24, [first, b"\xc0", b"\xc0", b"\xc2", b"\x80"]) + b"\x00\x00", []
    )


def test_flipped_bits_and_splices_of_good_frames() -> None:
    """Frames of every value that issue 3 lists."""
    chance = random.Random(5)
    refused = 0
    for _ in range(RUNS):
        data, buffers = chance.choice(SMALL)
        damaged = bytearray(data)
        if chance.random() < 0.3:
            other = chance.choice(SMALL)[0]
            start = chance.randrange(len(other))
            damaged[chance.randrange(len(damaged)) :] = other[start : start + 40]
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        refused += is_refused_or_usable(bytes(damaged), buffers)
    assert 0 < refused < RUNS


BIG = 10**20_000
EXPENSIVE: dict[str, tuple[int, tuple[object, ...]]] = {
    "Decimal of a long int": (58, (10**300_000,)),
    "Decimal of a long text": (58, ("9" * 500_000,)),
    "Decimal with a long exponent": (58, ("1e" + "9" * 1_000,)),
    "Fraction of long ints": (59, (BIG, BIG + 1)),
    "range of long ints": (48, (-BIG, BIG, 1)),
    "timedelta of long ints": (55, (BIG, BIG, BIG)),
    "a deque that may be long": (19, (2**62 if not IN_PYODIDE else 2**31 - 1, 1)),
    "an address of colons": (66, (":" * 300_000,)),
    "an address of digits": (65, ("1" * 300_000,)),
    "a network with a long prefix": (68, ("::/" + "9" * 300_000,)),
    "a path of slashes": (61, ("/" * 300_000,)),
    "a path of parts": (61, ("a/" * 150_000,)),
    "a pattern of groups": (71, ("(" * 4_999 + ")" * 4_999, 0)),
    "a pattern of repeats": (71, ("(?:a{65535}){65535}" * 500, 0)),
    "a pattern of ranges": (71, ("[" + "\x00-\uffff" * 3_000 + "]", 0)),
    "a pattern of many branches": (71, ("|".join("ab" for _ in range(3_000)), 2)),
    "a pattern of wide sets": (71, ("[^\x00-\uffff]" * 1_990, 2)),
    "a pattern of wide sets, escaped": (71, (r"[\0-\uffff]" * 900, 2)),
    "a pattern of sets with another case beyond Latin 1": (71, ("[sk]" * 2_500, 2)),
    "a pattern of groups that become sets": (71, ("(s|k)" * 2_000, 2)),
    "a pattern of names that do not end": (71, ("\\N{" * 3_300, 2)),
    "many patterns": (16, tuple(re.compile("[a-z]" * 30 + str(number)) for number in range(200))),
    "a long pattern": (71, ("a" * 500_000, 0)),
    "a zone with a long name": (57, ("a/" * 100_000,)),
    "a zone outside of the zones": (57, ("../../../../etc/passwd",)),
    "a class with a long name": (72, ("builtins." + "a" * 300_000,)),
    "a timezone with a long name": (56, (timedelta(0), "a" * 300_000)),
    "an exception with a long argument": (24, (("a" * 300_000, "OSError"), None, None, False, {})),
}


@pytest.mark.parametrize("name", EXPENSIVE)
def test_one_frame_takes_no_time_or_memory_out_of_proportion(name: str) -> None:
    """A long frame may take time in proportion to its length, but not to its square."""
    kind, values = EXPENSIVE[name]
    data = b"\x90" + extension(kind, [frame_of(value)[0][1:] for value in values])
    start = time.perf_counter()
    is_refused_or_usable(data, [])
    assert time.perf_counter() - start < seconds(2)
    tracemalloc.start()
    try:
        with contextlib.suppress(workerlib.FrameError):
            decode(data, [])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(data) + 2_000_000


def test_unicode_errors_read_nothing_outside_of_their_object() -> None:
    """CPython believes the position: natively `str()` of such an error would read any address."""
    positions = [
        (-1, 0),
        (-(2**31), -(2**31) + 1),
        (-(2**62), -(2**62) + 1),
        (2**62, 2**62 + 1),
        (5, 2),
        (0, 10**6),
    ]
    for kind, content in (
        ("UnicodeDecodeError", b"x"),
        ("UnicodeEncodeError", "x"),
        ("UnicodeTranslateError", "x"),
    ):
        encoding = () if kind == "UnicodeTranslateError" else ("utf-8",)
        for start, end in positions:
            good = (*encoding, content, 0, 1, "r", kind)
            bad = (*encoding, content, start, end, "r", kind)
            for first, state in (
                (bad, {}),
                (good, {"start": start, "end": end}),
                (good, {"object": [start, end]}),
            ):
                values = (first, None, None, False, state)
                data = b"\x90" + extension(24, [frame_of(value)[0][1:] for value in values])
                is_refused_or_usable(data, [])


FORBIDDEN = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.print",
    "builtins.__import__",
    "os",
    "__main__.X",
]
FORBIDDEN += [
    "antigravity.x",
    "concurrent.futures:ProcessPoolExecutor",
    "this:x",
    "builtins.open",
    "collections.abc.Iterable",
]


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_frame_can_name_no_function_and_no_module(name: str) -> None:
    """Where classes, exceptions and kinds are named: nothing is called, nothing is imported."""
    before = set(sys.modules)
    text = frame_of(name)[0][1:]
    kinds = [
        frame_of(kind)[0][1:] for kind in ("portable", "exception", "enum", "dataclass", "namedtuple", None)
    ]
    frames = [extension(72, [text])]
    frames += [extension(72, [text, kind]) for kind in kinds]
    frames += [
        extension(kind, [extension(16, [text]), b"\xc0", b"\xc0", b"\xc2", b"\x80"]) for kind in (24, 25)
    ]
    frames += [extension(25, [extension(16, [kind, text, b"\xc0"]), b"\xa1a", b"\x01"]) for kind in kinds]
    frames += [extension(kind, [text, text, b"\x01"]) for kind in (76, 77)]
    frames += [extension(21, [text])]
    for frame in frames:
        with pytest.raises(workerlib.FrameError):
            decode(b"\x90" + frame, [])
    assert set(sys.modules) - before <= set()


def test_attributes_that_python_acts_on_are_refused() -> None:
    """A frame cannot set attributes of an exception that Python itself acts on."""
    for name in ("__class__", "__traceback__", "__dict__", "__setattr__", "__cause__", "__reduce__"):
        values = (("x", "ValueError"), None, None, False, {name: None})
        data = b"\x90" + extension(24, [frame_of(value)[0][1:] for value in values])
        with pytest.raises(workerlib.FrameError):
            decode(data, [])


def test_hostile_frames_leave_nothing_behind() -> None:
    """A refused frame frees what it had built, and the collector is on again."""
    import gc

    frames = [
        b"\x90" + extension(19, [BODIES[3], *BODIES[:20], b"\xc1"]),
        b"\x91\x00\x92" + extension(58, [b"\xd4\x50\x00"]),
    ]
    for frame in frames:
        is_refused_or_usable(frame, [])
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(500):
        for frame in frames:
            is_refused_or_usable(frame, [])
    gc.collect()
    assert sys.getallocatedblocks() - before < 200
    assert gc.isenabled()
