"""Buffers in memory, structures of the operating system, partial functions, zones of other libraries, odd named tuples."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import functools
import io
import os
import platform
import time
from typing import Any, NamedTuple

import pytest
import workerlib
from workerlib import FrameError, UnsendableError
from workerlib._native import decode, encode
from workerlib._values import sending

from library_values import BERLIN
from trip import frame_of_extension, round_trip


def bytes_at(content: bytes, position: int) -> io.BytesIO:
    made = io.BytesIO(content)
    made.seek(position)
    return made


def text_at(content: str, position: int, newline: str | None = "\n") -> io.StringIO:
    made = io.StringIO(newline=newline)
    made.write(content)
    made.seek(position)
    return made


@pytest.mark.parametrize("position", [0, 2, 3, 10])
@pytest.mark.parametrize("content", [b"", b"abc", b"x" * 50_000], ids=["empty", "short", "large"])
def test_a_buffer_of_bytes(content: bytes, position: int) -> None:
    """Content and position arrive; the receiver goes on where the sender stood."""
    back: Any = round_trip([bytes_at(content, position)])[0]  # type: ignore[index]
    assert type(back) is io.BytesIO
    assert (back.getvalue(), back.tell()) == (content, position)
    assert back.read() == content[position:]


def test_a_buffer_after_writing() -> None:
    """It arrived as an empty list once: it stands at its end."""
    buffer = io.BytesIO()
    buffer.write(b"abc")
    back: Any = round_trip(buffer)
    back.write(b"d")
    assert back.getvalue() == b"abcd"


@pytest.mark.parametrize("newline", ["\n", "", None, "\r\n", "\r"])
def test_a_buffer_of_text(newline: str | None) -> None:
    """Content, position, and how it translates ends of lines."""
    buffer = text_at("a\nß\r\nc", 2, newline)
    back: Any = round_trip(buffer)
    assert type(back) is io.StringIO
    assert (back.getvalue(), back.tell()) == (buffer.getvalue(), 2)
    for one in (back, buffer):
        one.seek(0, 2)
        one.write("d\ne")
    assert back.getvalue() == buffer.getvalue()


def test_attributes_of_buffers() -> None:
    """Libraries give them a name, for example."""
    for buffer in (io.BytesIO(b"x"), io.StringIO("x")):
        buffer.name = "a.txt"  # type: ignore[union-attr]
        back: Any = round_trip(buffer)
        assert vars(back) == {"name": "a.txt"}


def test_a_closed_buffer() -> None:
    """A closed buffer is refused, because its content is gone."""
    for buffer in (io.BytesIO(b"x"), io.StringIO("x")):
        buffer.close()
        with pytest.raises(UnsendableError, match="closed"):
            encode([buffer])


def test_a_subclass_of_a_buffer() -> None:
    """It may be anything: as any other stream it is refused."""
    with pytest.raises(UnsendableError, match=r"getvalue\(\)"):
        encode(type("Own", (io.BytesIO,), {})(b"x"))


STRUCTURES: list[Any] = [
    time.gmtime(0),
    time.localtime(1_000_000_000),
    time.strptime("2026-11-22", "%Y-%m-%d"),
    os.stat("."),
    os.terminal_size((80, 24)),
    os.times(),
]


@pytest.mark.parametrize("value", STRUCTURES, ids=lambda value: type(value).__name__)
def test_structures_of_the_operating_system(value: Any) -> None:
    """Their items, and what they have beside these: the zone of a time, the nanoseconds of a file."""
    back: Any = round_trip([value])[0]  # type: ignore[index]
    assert type(back) is type(value)
    assert back.__reduce__() == value.__reduce__()


@workerlib.register
def by_name(row: Any, key: str = "name") -> Any:
    """The function of which the tests make partial functions."""
    return row[key]


@pytest.mark.parametrize(
    "value",
    [
        functools.partial(by_name, key="other"),
        functools.partial(by_name, {"name": [1]}),
        functools.partial(functools.partial(by_name, {"a": 1}), key="a"),
        functools.partial(int, base=2),
    ],
    ids=["by keyword", "positional", "nested", "of a class"],
)
def test_a_partial_function(value: Any) -> None:
    """A partial travels if its function does."""
    value.label = "a label"
    back: Any = round_trip(value)
    assert type(back) is functools.partial
    assert (back.func, back.args, back.keywords, vars(back)) == (
        value.func,
        value.args,
        value.keywords,
        {"label": "a label"},
    )


def test_a_partial_function_of_what_stays() -> None:
    """The error names the function: without a connection it could not be called."""
    with pytest.raises(UnsendableError, match="neither exported nor registered"):
        encode(functools.partial(lambda: 1))
    with pytest.raises(UnsendableError, match=r"strict: send workerlib\.callback\(…\)"):
        encode(functools.partial(lambda: 1), table=sending.STRICT)


def test_a_partial_function_arrives_strictly_and_twice() -> None:
    """It is not a likeness of something: there is no warning, and two places have the same one."""
    partial = functools.partial(int, base=2)
    data, _ = encode([partial, partial], table=sending.STRICT)
    one, other = decode(bytes(data), [])
    assert one is other
    assert (one.func, one.keywords) == (int, {"base": 2})


@dataclasses.dataclass
class Order:
    """A class that travels."""

    number: int = 0


def test_a_dict_with_a_factory_that_travels() -> None:
    """A class of the user's, or a function that both sides have."""
    for factory in (Order, by_name, int, collections.OrderedDict, None):
        back: Any = round_trip(collections.defaultdict(factory, a=Order(1)))  # type: ignore[arg-type]
        assert type(back) is collections.defaultdict
        assert back.default_factory is factory
        assert back == {"a": Order(1)}
    back = round_trip(collections.defaultdict(Order))
    assert back["new"] == Order()
    for stays in (lambda: 1, functools.partial(int), type("Local", (), {})):
        with pytest.raises(UnsendableError):
            encode(collections.defaultdict(stays))


class Base(NamedTuple):
    """A base of a user's class."""

    x: int
    y: object


class Extended(Base):
    """A class with a field more than the tuple has items, as `platform.uname_result` has."""

    _fields = ("x", "y", "z")  # type: ignore[misc]

    @property
    def z(self) -> int:
        return self.x + 1


def test_named_tuples_whose_class_has_more_fields() -> None:
    """The tuple's own items arrive, also if the last is a dict."""
    for value in (Extended(1, 2), Extended(1, {"a": 1}), Base(1, {"z": 2})):
        back: Any = round_trip([value])[0]  # type: ignore[index]
        assert type(back) is type(value)
        assert tuple(back) == tuple(value)
    named: Any = round_trip(platform.uname())
    assert named == platform.uname()
    assert type(named) is type(platform.uname())
    assert named.processor == platform.uname().processor


def test_a_named_tuple_with_a_dict_and_attributes() -> None:
    """Which dict is which is told by the number of the tuple's own items."""
    value = Extended(1, {"a": 1})
    value.extra = [2]  # type: ignore[attr-defined]
    back: Any = round_trip(value)
    assert (back.y, vars(back)) == ({"a": 1}, {"extra": [2]})


@pytest.mark.skipif(BERLIN is None, reason="this Python has no time zones: the package tzdata is missing")
def test_zones_of_pytz() -> None:
    """The zone itself, for each offset that it has; the second of two equal times stays the second."""
    pytz = pytest.importorskip("pytz", reason="pytz is not installed")
    berlin = pytz.timezone("Europe/Berlin")
    bare = datetime.datetime(2026, 10, 25, 2, 30)
    moments = [
        datetime.datetime(2026, 1, 1, tzinfo=berlin),
        berlin.localize(bare, is_dst=True),
        berlin.localize(bare, is_dst=False),
        datetime.datetime(2026, 1, 1, tzinfo=pytz.UTC),
        datetime.datetime(2026, 1, 1, tzinfo=pytz.FixedOffset(90)),
        datetime.datetime(2026, 1, 1, tzinfo=pytz.timezone("Etc/GMT+3")),
        datetime.time(1, 2, tzinfo=pytz.UTC),
    ]
    for moment in moments:
        back: Any = round_trip([moment])[0]  # type: ignore[index]
        assert back.tzinfo is moment.tzinfo
        assert (back, back.fold) == (moment, 0)


@pytest.mark.skipif(BERLIN is None, reason="this Python has no time zones: the package tzdata is missing")
def test_a_receiver_without_pytz(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets the standard library's zone of the same name, and the same moments."""
    pytz = pytest.importorskip("pytz", reason="pytz is not installed")
    from workerlib._values import time_zones

    berlin = pytz.timezone("Europe/Berlin")
    bare = datetime.datetime(2026, 10, 25, 2, 30)
    moments = [berlin.localize(bare, is_dst=is_dst) for is_dst in (True, False)]
    moments.append(datetime.datetime(2026, 1, 1, tzinfo=pytz.FixedOffset(90)))
    frame, buffers = encode(moments)
    monkeypatch.setattr(time_zones, "_library", lambda name: None)
    back: Any = decode(frame, buffers)
    assert [one.tzinfo for one in back[:2]] == [BERLIN, BERLIN]
    assert [one.fold for one in back] == [0, 1, 0]
    assert [one.astimezone(datetime.UTC) for one in back] == [one.astimezone(datetime.UTC) for one in moments]


@pytest.mark.skipif(BERLIN is None, reason="this Python has no time zones: the package tzdata is missing")
def test_zones_of_dateutil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Zones travel by their names, and with the fold; a zone without a name is refused with what to use."""
    tz = pytest.importorskip("dateutil.tz", reason="dateutil is not installed")
    from workerlib._values import time_zones

    zones = [tz.gettz("Europe/Berlin"), tz.UTC, tz.tzoffset("x", 3600), tz.tzoffset(None, -60)]
    moments = [datetime.datetime(2026, 10, 25, 2, 30, tzinfo=zone, fold=1) for zone in zones]
    back: Any = round_trip(moments)
    assert [one.tzinfo for one in back] == zones
    assert [type(one.tzinfo) for one in back] == [type(zone) for zone in zones]
    assert [one.fold for one in back] == [1] * 4
    frame, buffers = encode(moments)
    monkeypatch.setattr(time_zones, "_library", lambda name: None)
    back = decode(frame, buffers)
    assert back[0].tzinfo == BERLIN
    assert [one.utcoffset() for one in back] == [one.utcoffset() for one in moments]
    with pytest.raises(UnsendableError):
        encode(datetime.datetime(2026, 1, 1, tzinfo=tz.tzlocal()))


@pytest.mark.parametrize(
    "values",
    [
        ("io.BytesIO", "x", 0),
        ("io.BytesIO", b"x", -1),
        ("io.BytesIO", b"x", 1 << 70),
        ("io.BytesIO", b"x", True),
        ("io.BytesIO", b"x", 0, {1: 2}),
        ("io.BytesIO", b"x", 0, {}, {}),
        ("io.StringIO", b"x", 0, None),
        ("io.StringIO", "x", 0, "x"),
        ("time.struct_time", (1, 2), {}),
        ("time.struct_time", [1] * 9, {}),
        ("time.struct_time", (1,) * 9, 7),
        ("os.system", (1,), {}),
        ("functools.partial", "len", (), {}),
        ("functools.partial", int, [], {}),
        ("functools.partial", int, (), {}, {1: 2}),
        ("functools.partial", int, (), {1: 2}),
        ("pytz.tzinfo", "name", "../../etc/passwd"),
        ("pytz.tzinfo", "name", "x" * 300),
        ("pytz.tzinfo", "name", 7),
        ("pytz.tzinfo", "other"),
        ("dateutil.tz", "name", "/etc/passwd"),
        ("dateutil.tz", "name", "nothing/like/this"),
        ("dateutil.tz", "offset", 7, None),
        ("dateutil.tz",),
        ("nothing",),
        (None,),
        (),
    ],
    ids=lambda values: repr(values)[:60],
)
def test_values_that_lie(values: tuple[object, ...]) -> None:
    """A frame that describes no such object is refused; a zone's name leads to no other file."""
    if values and str(values[0]).split(".")[0] in ("pytz", "dateutil"):
        pytest.importorskip(str(values[0]).split(".")[0])
    frame, buffers = frame_of_extension(78, values)
    with pytest.raises(FrameError):
        decode(frame, list(buffers))


def test_a_factory_that_lies() -> None:
    """Only a class or a function of this side may be called for a missing key."""
    for factory in (7, "len", functools.partial(int), Order(1)):
        frame, buffers = frame_of_extension(21, (factory,))
        with pytest.raises(FrameError):
            decode(frame, list(buffers))
