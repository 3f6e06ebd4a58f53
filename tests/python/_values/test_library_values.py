"""Every value that issue 3 lists beyond the builtin containers arrives as itself: type, content and attributes."""

from __future__ import annotations

import contextlib
import copy
import io
import struct
import sys
from array import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import PureWindowsPath
from types import MappingProxyType, SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
import workerlib
from workerlib import Worker
from workerlib._native import decode, encode

from alike import assert_alike
from library_values import BERLIN, LIBRARY_VALUES, is_hashable
from trip import frame_of, round_trip

Connect = Callable[[], contextlib.AbstractAsyncContextManager[Worker]]
KEYS = [name for name, value in LIBRARY_VALUES.items() if is_hashable(value)]
needs_zones = pytest.mark.skipif(
    BERLIN is None, reason="this Python has no time zones: the package tzdata is missing"
)


@pytest.mark.parametrize("name", LIBRARY_VALUES)
def test_value_arrives_as_itself(name: str) -> None:
    """With the same type, the same content and the same attributes."""
    assert_alike(round_trip(LIBRARY_VALUES[name]), LIBRARY_VALUES[name])


@pytest.mark.parametrize("name", LIBRARY_VALUES)
def test_value_arrives_inside_of_containers(name: str) -> None:
    """A value does not depend on what stands around it, and twice the same stays the same."""
    value = LIBRARY_VALUES[name]
    around = [value, (value,), {"key": value}, deque([value]), OrderedDict(k=value), SimpleNamespace(a=value)]
    around += [defaultdict(None, {1: value}), MappingProxyType({2: value}), ValueError(value), slice(value)]
    assert_alike(round_trip(around), around)


@pytest.mark.parametrize("name", KEYS)
def test_value_arrives_as_a_key(name: str) -> None:
    """Hashable values are keys and elements of sets, and are found there."""
    value = LIBRARY_VALUES[name]
    keyed = [{value: 1}, {(value, 1): 2}, OrderedDict([(value, 3)]), {value}, frozenset([value, (value, 2)])]
    back = cast(list[Any], round_trip(keyed))
    assert_alike(back, keyed)
    (key,) = back[0]
    assert back[0][key] == 1
    assert key in back[3]
    assert back[2][key] == 3


def test_there_are_keys_of_every_kind() -> None:
    """An empty list of keys would test nothing."""
    assert len(KEYS) > 150


def test_all_values_together() -> None:
    """Many in one frame are not mixed up, whichever come before."""
    values = list(LIBRARY_VALUES.values())
    assert_alike(round_trip(values), values)
    values.reverse()
    assert_alike(round_trip(values), values)


async def test_values_pass_over_a_connection(connect: Connect) -> None:
    """Values pass as arguments, as keyword arguments and as results."""

    @workerlib.export
    def echo(*args: object, **kwargs: object) -> object:
        return [*args, kwargs]

    async with connect() as worker:
        for name, value in LIBRARY_VALUES.items():
            back = await worker.echo(value, named=value)
            assert_alike(back, [value, {"named": value}])
            assert name


async def test_an_exception_that_is_returned_is_a_value(connect: Connect) -> None:
    """It is not raised, and it has no traceback of the worker as its cause."""
    workerlib.export(fail_softly)
    async with connect() as worker:
        error = await worker.fail_softly()
    assert_alike(error, ValueError("only a value"))
    assert error.__cause__ is None


def fail_softly() -> ValueError:
    """Returns an exception."""
    return ValueError("only a value")


@pytest.mark.parametrize("name", LIBRARY_VALUES)
def test_what_arrives_can_be_used_and_sent_on(name: str) -> None:
    """It can be printed and copied, and a second trip changes nothing."""
    back = round_trip(LIBRARY_VALUES[name])
    assert repr(back)
    if not isinstance(back, MappingProxyType):
        assert type(copy.copy(back)) is type(back)
    assert_alike(round_trip(back), LIBRARY_VALUES[name])


def test_arrays_can_grow_when_they_arrive() -> None:
    """They own their memory, and the source can be changed without that they notice."""
    for count in (3, 30_000):
        source = array("d", [1.5] * count)
        data, buffers = encode(source)
        copies = [bytes(memoryview(buffer)) for buffer in buffers]
        del buffers
        source[0] = 7.0
        source.append(2.5)
        back = cast("array[float]", decode(data, list(copies)))
        back.append(3.5)
        assert back[0] == 1.5
        assert len(back) == count + 1


def test_the_item_size_of_an_array_travels() -> None:
    """A 'l' of four bytes is read where 'l' has eight, and the other way round: as the code that has that size."""
    size = array("l").itemsize
    other = {8: 4, 4: 8}[size]
    code = {4: "i", 8: "q"}[other]
    frame, _ = frame_of(array(code, [-1, 2**31 - 1]))
    renamed = frame.replace(b"\xa1" + code.encode(), b"\xa1l")
    assert renamed != frame
    back = cast("array[int]", decode(renamed, []))
    assert back.itemsize == other
    assert back.tolist() == [-1, 2**31 - 1]


@needs_zones
def test_the_hour_that_comes_twice() -> None:
    """A datetime in a zone keeps its fold, and with it its offset."""
    first = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)
    second = first.replace(fold=1)
    back = cast(list[datetime], round_trip([first, second]))
    assert [one.utcoffset() for one in back] == [timedelta(hours=2), timedelta(hours=1)]
    assert back[0].tzinfo is back[1].tzinfo is BERLIN


def test_a_zone_from_a_file_has_no_name_to_be_found_by() -> None:
    """It is refused with the reason."""
    # The smallest file of a zone: a header with its six counts, one type of local time, and its name.
    content = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"
    zone = ZoneInfo.from_file(io.BytesIO(content))
    with pytest.raises(workerlib.UnsendableError, match="zoneinfo.ZoneInfo cannot be sent: .*file"):
        round_trip([zone])


def test_a_zone_that_this_side_does_not_know() -> None:
    """A frame that names one is refused as bytes that cannot be read, and says which."""
    name = "Nowhere/Atlantis"
    frame = b"\x90\xd4\x39\x01" + bytes([0xA0 | len(name)]) + name.encode()
    with pytest.raises(workerlib.FrameError, match="Nowhere/Atlantis"):
        decode(frame, [])


def test_a_windows_path_arrives_as_a_pure_one_elsewhere() -> None:
    """A concrete path of another system cannot be made."""
    text = "C:\\a"
    back = decode(b"\x90\xd4\x40\x01\xa4" + text.encode(), [])
    assert type(back) is PureWindowsPath
    assert back == PureWindowsPath(text)


def test_a_mappingproxy_arrives_as_a_snapshot() -> None:
    """It is read-only there, and its dict is a copy of its own."""
    content: dict[str, int] = {"a": 1}
    back = cast("MappingProxyType[str, int]", round_trip(MappingProxyType(content)))
    content["b"] = 2
    assert dict(back) == {"a": 1}
    with pytest.raises(TypeError):
        back["c"] = 3  # type: ignore[index]


def test_a_defaultdict_works_when_it_arrives() -> None:
    """Its factory is the class itself."""
    back = cast("defaultdict[str, list[int]]", round_trip(defaultdict(list, {"a": [1]})))
    back["new"].append(2)
    assert back == {"a": [1], "new": [2]}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (defaultdict(lambda: 0), "default_factory"),
        (defaultdict(fail_softly), "default_factory"),
        (type("Own", (), {}), "mark a class of your own by @workerlib.portable"),
        (type(sys), "mark a class of your own by @workerlib.portable"),
    ],
    ids=[
        "a function as factory",
        "an exported function as factory",
        "an own class",
        "a class without a name",
    ],
)
def test_what_is_refused_with_a_reason(value: object, reason: str) -> None:
    """The type could be sent, this one cannot: the error says why."""
    with pytest.raises(workerlib.UnsendableError, match=reason):
        round_trip([value])


def test_a_pattern_beyond_the_cap_is_refused() -> None:
    """Here and there: compiling it is work that the sender would make for the receiver."""
    import re

    with pytest.raises(workerlib.UnsendableError, match="10,000"):
        round_trip(re.compile("a" * 10_001))
    text = b"a" * 10_001
    frame = b"\x90\xd4\x47\x02\xda" + len(text).to_bytes(2, "big") + text + b"\x00"
    with pytest.raises(workerlib.FrameError):
        decode(frame, [])


@pytest.mark.parametrize(
    "patterns",
    [["[^\x00-\uffff]" * 100], [f"[\x00-\uffff]{number}" for number in range(100)]],
    ids=["in one", "in many"],
)
def test_patterns_that_take_long_to_compile_are_refused(patterns: list[str]) -> None:
    """Sender and receiver refuse them alike: what counts is what all patterns of a frame take together."""
    import re

    with pytest.raises(workerlib.UnsendableError, match="too long") as caught:
        round_trip([re.compile(pattern, re.IGNORECASE) for pattern in patterns])
    assert caught.value.type_name == "re.Pattern"
    assert caught.value.path == f"value[{59 if len(patterns) > 1 else 0}]"
    bodies = [frame_of(pattern)[0][1:] for pattern in patterns]
    frame = b"\x90\xdc" + len(bodies).to_bytes(2, "big")
    frame += b"".join(b"\xd4\x47\x02" + body + b"\x02" for body in bodies)
    with pytest.raises(workerlib.FrameError, match="too long"):
        decode(frame, [])


def test_patterns_of_programs_are_sent() -> None:
    """Patterns as people write them are far from the limit."""
    import re

    scripts = "[\u0370-\u03ff\u0400-\u04ff\u4e00-\u9fff\U0001f300-\U0001faff\uac00-\ud7af]+"
    tokens = [rf"\b(?:{word}|{word}s)\b[\w.-]*" for word in map(str, range(500))]
    patterns = [re.compile(pattern) for pattern in [*[scripts] * 10, *tokens, "|".join(tokens[:300])]]
    assert round_trip(patterns) == patterns


def test_exceptions_arrive_without_traceback() -> None:
    """Frames of the stack stay where they are."""
    error = cast(BaseException, LIBRARY_VALUES["exception: with cause and context"])
    assert error.__traceback__ is not None
    back = cast(BaseException, round_trip(error))
    assert back.__traceback__ is None
    assert back.__context__ is not None
    assert back.__context__.__traceback__ is None


def test_the_object_of_an_attribute_error_stays() -> None:
    """It may be anything, and nobody sent it on purpose."""
    error = AttributeError("no", name="x", obj=object())
    back = cast(AttributeError, round_trip(error))
    assert back.name == "x"
    assert back.obj is None
