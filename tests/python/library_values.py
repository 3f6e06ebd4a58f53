"""The values that issue 3 lists beyond those of `values.py`; used natively and inside Pyodide.

Each is named, so that a failing test says which one.
"""

from __future__ import annotations

import math
import re
import struct
import sys
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path, PurePosixPath, PureWindowsPath
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID, SafeUUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

try:
    BERLIN: ZoneInfo | None = ZoneInfo("Europe/Berlin")
except ZoneInfoNotFoundError:
    # Pyodide comes without time zones; the package tzdata brings them.
    BERLIN = None

_ODD_ZONE = timezone(timedelta(hours=-11, minutes=-59, seconds=-1, microseconds=-7))


def _scalars() -> dict[str, object]:
    odd_nan = struct.unpack(">d", bytes.fromhex("fff8000000000abc"))[0]
    parts = (0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, odd_nan, 5e-324)
    values: dict[str, object] = {f"complex({a!r}, {b!r})": complex(a, b) for a in parts for b in parts}
    ends = (0, 1, -1, 2**31, -(2**63), 2**64, 10**100)
    values |= {
        f"range({a}, {b}, {c})": range(a, b, c) for a, b, c in zip(ends, ends[1:], ends[2:], strict=False)
    }
    values |= {
        "...": ...,
        "NotImplemented": NotImplemented,
        "range(0)": range(0),
        "range(5, 5, -1)": range(5, 5, -1),
        "slice(None)": slice(None),
        "slice(1, 2, 3)": slice(1, 2, 3),
        "slice of other things": slice("a", [1.5, None], (b"x",)),
    }
    return values


def _arrays() -> dict[str, object]:
    values: dict[str, object] = {}
    for code in "bBhHiIlLqQfd":
        numbers: list[Any] = [0, 1, 100] if code in "BHILQ" else [0, -1, 100]
        values[f"array of {code}"] = array(code, numbers)
        values[f"empty array of {code}"] = array(code)
        values[f"array of {code}, out of band"] = array(code, numbers * 10_000)
    code = "w" if sys.version_info >= (3, 13) else "u"
    values[f"array of {code}"] = array(code, "a\0ß\U0001f600")
    values[f"empty array of {code}"] = array(code, "")
    return values


def _containers() -> dict[str, object]:
    counted = Counter("abracadabra")
    counted["negative"] = -3
    ordered = OrderedDict(b=1, a=2, c=3)
    ordered.move_to_end("b")
    mixed = {1, "1", b"1", (1, (2,)), frozenset({3}), None, 2.5, -1, 2**70, "", ()}
    return {
        "empty set": set(),
        "empty frozenset": frozenset(),
        "set": mixed,
        "frozenset": frozenset(mixed),
        "set of 1000": set(range(1000)),
        "frozenset of frozensets": frozenset({frozenset(), frozenset({frozenset({1})})}),
        "empty deque": deque(),
        "deque": deque([1, [2], "three"]),
        "deque with maxlen": deque([1, 2], 5),
        "deque that is full": deque(range(10), 3),
        "deque with maxlen 0": deque([], 0),
        "deque of None": deque([None, None], None),
        "OrderedDict": ordered,
        "OrderedDict with odd keys": OrderedDict([((1, 2), 3), (None, [4])]),
        "empty OrderedDict": OrderedDict(),
        "defaultdict of list": defaultdict(list, {"a": [1]}),
        "defaultdict of int": defaultdict(int, {1: 1}),
        "defaultdict of nothing": defaultdict(None, {1: 1}),
        "defaultdict of Counter": defaultdict(Counter, {"a": counted}),
        "Counter": counted,
        "Counter with a zero": Counter({"a": 1, "b": -1} | {"c": 0}),
        "empty Counter": Counter(),
        "mappingproxy": MappingProxyType({"a": [1], 2: 3}),
        "SimpleNamespace": SimpleNamespace(a=1, b=[2], c=SimpleNamespace(d=3)),
        "empty SimpleNamespace": SimpleNamespace(),
    }


def _dates() -> dict[str, object]:
    values: dict[str, object] = {
        "date.min": date.min,
        "date.max": date.max,
        "date": date(2024, 2, 29),
        "timedelta.min": timedelta.min,
        "timedelta.max": timedelta.max,
        "timedelta": timedelta(days=-1, seconds=5, microseconds=7),
        "timedelta(0)": timedelta(0),
        "utc": UTC,
        "timezone without a name": _ODD_ZONE,
        "timezone with a name": timezone(timedelta(hours=5, minutes=45), "Kathmandu"),
        "timezone with an empty name": timezone(timedelta(hours=1), ""),
        "timezone called UTC": timezone(timedelta(0), "UTC"),
        "time.min": time.min,
        "time.max": time.max,
        "time with fold": time(2, 30, fold=1),
        "time with a zone": time(2, 30, 15, 999_999, tzinfo=_ODD_ZONE, fold=1),
        "datetime.min": datetime.min,
        "datetime.max": datetime.max,
        "datetime with fold": datetime(2024, 10, 27, 2, 30, fold=1),
        "datetime in UTC": datetime(2026, 11, 22, 1, 2, 3, 4, tzinfo=UTC),
        "datetime in an odd zone": datetime(1900, 1, 1, tzinfo=_ODD_ZONE),
    }
    if BERLIN is not None:
        # The hour that comes twice: only fold tells the two apart.
        twice = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)
        values |= {
            "ZoneInfo": BERLIN,
            "ZoneInfo UTC": ZoneInfo("UTC"),
            "datetime in a zone": twice,
            "datetime in a zone, with fold": twice.replace(fold=1),
            "time in a zone": time(12, tzinfo=BERLIN),
        }
    return values


def _numbers() -> dict[str, object]:
    decimals = [
        "0",
        "-0",
        "1.50",
        "1E+5",
        "-1E-6176",
        "Infinity",
        "-Infinity",
        "NaN",
        "-NaN123",
        "sNaN",
        "sNaN5",
    ]
    decimals += ["3.14159265358979323846264338327950288419716939937510", "0E+10", "9" * 2_000]
    values: dict[str, object] = {f"Decimal {text[:30]}": Decimal(text) for text in decimals}
    for numerator, denominator in ((0, 1), (1, 3), (-7, 2), (10**50, 3), (5, 1)):
        values[f"Fraction {numerator}/{denominator}"] = Fraction(numerator, denominator)
    return values


def _names() -> dict[str, object]:
    addresses = [
        "0.0.0.0",
        "255.255.255.255",
        "::",
        "::1",
        "2001:db8::8a2e:370:7334",
        "fe80::1%eth0",
        "::ffff:1.2.3.4",
    ]
    networks = ["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32"]
    interfaces = ["10.1.2.3/8", "192.0.2.1/32", "2001:db8::1/32", "fe80::1%eth0/64"]
    paths = ["", ".", "/", "a/b.txt", "../a", "//host/share", "/a b/ü", "C:\\x"]
    values: dict[str, object] = {f"address {text}": ip_address(text) for text in addresses}
    values |= {f"network {text}": ip_network(text) for text in networks}
    values |= {f"interface {text}": ip_interface(text) for text in interfaces}
    for text in paths:
        values[f"PurePosixPath {text}"] = PurePosixPath(text)
        values[f"PureWindowsPath {text}"] = PureWindowsPath(text)
        values[f"Path {text}"] = Path(text)
    values |= {
        "UUID": UUID("12345678-1234-5678-9234-567812345678"),
        "UUID 0": UUID(int=0),
        "UUID that is safe": UUID(int=2**128 - 1, is_safe=SafeUUID.safe),
        "UUID that is unsafe": UUID(int=1, is_safe=SafeUUID.unsafe),
    }
    return values


def _patterns() -> dict[str, object]:
    flags = [0, re.IGNORECASE, re.MULTILINE | re.DOTALL, re.VERBOSE, re.ASCII, re.ASCII | re.IGNORECASE]
    values: dict[str, object] = {
        f"pattern with flags {int(one)}": re.compile(r"(?P<n>ä|b)+", one) for one in flags
    }
    return values | {
        "pattern of bytes": re.compile(rb"\xff[a-z]"),
        "pattern of bytes with the locale": re.compile(rb"[a-z]", re.LOCALE),
        "pattern with flags inside": re.compile("(?im)^x$"),
        "empty pattern": re.compile(""),
        "pattern of 10,000 characters": re.compile("a" * 10_000),
    }


def _classes() -> dict[str, object]:
    classes = [
        int,
        str,
        bytes,
        list,
        dict,
        object,
        type,
        bool,
        float,
        memoryview,
        range,
        slice,
        property,
        super,
    ]
    classes += [ValueError, KeyboardInterrupt, ExceptionGroup, OSError, UserWarning]
    classes += [type(None), type(...), type(NotImplemented), MappingProxyType, SimpleNamespace]
    classes += [
        deque,
        OrderedDict,
        defaultdict,
        Counter,
        array,
        date,
        datetime,
        timedelta,
        Decimal,
        UUID,
        ZoneInfo,
    ]
    classes += [re.Pattern, PurePosixPath]
    return {f"class {one.__module__}.{one.__qualname__}": one for one in classes}


def _with(error: BaseException, **attributes: object) -> BaseException:
    for name, value in attributes.items():
        setattr(error, name, value)
    return error


def _noted(error: BaseException, *notes: str) -> BaseException:
    for note in notes:
        error.add_note(note)
    return error


def _raised() -> BaseException:
    """Makes an exception that was raised while another one was handled, and from a third one."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second", 2) from LookupError("cause")
    except ValueError as error:
        return error


def _suppressed() -> BaseException:
    try:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None
    except ValueError as error:
        return error


def _exceptions() -> dict[str, object]:
    syntax = SyntaxError("bad", ("file.py", 3, 7, "x = = 1\n", 3, 9))
    errors: dict[str, BaseException] = {
        "without arguments": ValueError(),
        "with arguments": ValueError("text", 1, [2.5], {"a": b"b"}),
        "KeyError": KeyError(("a", 1)),
        "BaseException": BaseException("x"),
        "SystemExit": SystemExit(3),
        "KeyboardInterrupt": KeyboardInterrupt(),
        "GeneratorExit": GeneratorExit(),
        "a warning": DeprecationWarning("old"),
        "StopIteration": StopIteration(("value",)),
        "StopIteration with another value": _with(StopIteration(1), value=2),
        "SystemExit with another code": _with(SystemExit(1), code="text"),
        "with attributes": _with(ValueError("x"), extra=[1, (2,)], other=None),
        "with notes": _noted(ValueError("x"), "one", "two\nlines"),
        "with cause and context": _raised(),
        "with a context that is suppressed": _suppressed(),
        "OSError with a text only": OSError("text"),
        "OSError without anything": OSError(),
        "FileNotFoundError": OSError(2, "No such file", "a/b"),
        "OSError with two files": OSError(18, "Cross-device link", "a", None, "b"),
        "OSError of bytes": PermissionError(13, "Permission denied", b"a"),
        "OSError that was changed": _with(OSError(5, "x"), filename="later", errno=7, strerror="other"),
        "BlockingIOError": BlockingIOError(11, "again", 5),
        "BlockingIOError with characters_written": _with(BlockingIOError(11, "again"), characters_written=9),
        "ImportError": ImportError("no", name="module", path="/x.py"),
        "ModuleNotFoundError": ModuleNotFoundError("no", name="module"),
        "NameError": NameError("no", name="x"),
        "UnboundLocalError": UnboundLocalError("no", name="x"),
        "AttributeError": AttributeError("no", name="x"),
        "SyntaxError": syntax,
        "SyntaxError with a text only": SyntaxError("bad"),
        "IndentationError": IndentationError("bad", ("f", 1, 2, "t")),
        "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"\xff\xfe", 0, 1, "invalid start byte"),
        "UnicodeEncodeError": UnicodeEncodeError("ascii", "aü\ud800", 1, 3, "ordinal not in range"),
        "UnicodeTranslateError": UnicodeTranslateError("ü", 0, 1, "no"),
        "UnicodeDecodeError that was changed": _with(
            UnicodeDecodeError("utf-8", b"\xff\xfe", 0, 1, "x"), start=1, end=2, reason="y", object=b"other"
        ),
        "ExceptionGroup": ExceptionGroup("many", [ValueError(1), KeyError("k")]),
        "ExceptionGroup in a group": ExceptionGroup("outer", [ExceptionGroup("inner", [OSError(2, "x")])]),
        "BaseExceptionGroup": BaseExceptionGroup("base", [KeyboardInterrupt(), ValueError()]),
        "ExceptionGroup with everything": _noted(
            _with(BaseExceptionGroup("g", [_raised(), _noted(KeyError(), "n")]), extra={"a": 1}), "note"
        ),
        "OSError that another one caused": _with(
            OSError(1, "x"), __cause__=ValueError(), __suppress_context__=False
        ),
    }
    return {f"exception: {name}": error for name, error in errors.items()}


LIBRARY_VALUES: dict[str, object] = {
    **_scalars(),
    **_arrays(),
    **_containers(),
    **_dates(),
    **_numbers(),
    **_names(),
    **_patterns(),
    **_classes(),
    **_exceptions(),
}
"""The values by name; none of them is changed by a test."""


def is_hashable(value: object) -> bool:
    """Returns whether a value can be a key."""
    try:
        hash(value)
    except (TypeError, ValueError):
        return False
    return True
