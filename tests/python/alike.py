"""Says where two graphs of objects differ: in type, content, order, or in which places are the same object.

It knows every type that arrives as itself, which `exact.assert_same` does not, and it follows cycles. An object that
stands in two places of the one graph must stand in the same two places of the other. Only immutable values may be
shared where they were not, since Python itself does that (interned strs, cached patterns).
"""

from __future__ import annotations

import functools
import io
import struct
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PurePath
from re import Pattern
from types import FunctionType, MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

# The content of an object by itself, and the objects that it holds, each with the step that leads to it.
Parts = list[tuple[str, Any]]
Apart = tuple[object, Parts]

_NO_IDENTITY = (int, float, bool, type(None), type(...), type(NotImplemented))
_MAY_BE_SHARED = (str, bytes, complex, range, frozenset, ZoneInfo, timezone, Pattern, type)
_BY_CONTENT = (
    *(int, str, bytes, bool, type(None), type(...), type(NotImplemented)),
    *(type, FunctionType, date, timedelta),
)
_BY_TEXT = (PurePath, IPv4Address, IPv6Address, IPv4Network, IPv6Network, IPv4Interface, IPv6Interface)
_SLOTS = (
    *("errno", "strerror", "filename", "filename2", "characters_written"),
    *("name", "path", "msg", "lineno", "offset", "text", "end_lineno", "end_offset", "print_file_and_line"),
    *("encoding", "object", "start", "end", "reason", "value", "code", "message", "exceptions"),
)


def assert_alike(actual: object, expected: object) -> None:
    """Raises AssertionError with the path to the first difference."""
    pending: list[tuple[str, Any, Any]] = [("value", actual, expected)]
    # By identity; the objects are kept, so that no address is used twice.
    met_here: dict[int, tuple[str, object, object]] = {}
    met_there: dict[int, tuple[str, object, object]] = {}
    while pending:
        path, one, other = pending.pop()
        if type(one) is not type(other):
            raise AssertionError(f"{path}: {_short(one)} instead of {_short(other)}")
        if not isinstance(one, _NO_IDENTITY) and one != ():
            before, first = met_here.get(id(other)), met_there.get(id(one))
            if before is not None and before[1] is not one:
                raise AssertionError(f"{path} and {before[0]} should be the same object, and are two")
            if first is not None and first[2] is not other and not _may_be_shared(one):
                raise AssertionError(f"{path} and {first[0]} should be two objects, and are the same")
            if before is not None:
                continue
            met_here[id(other)] = met_there[id(one)] = (path, one, other)
        (own, parts), (other_own, other_parts) = take_apart(one), take_apart(other)
        if own != other_own or len(parts) != len(other_parts):
            raise AssertionError(f"{path}: {_short(one)} instead of {_short(other)}")
        for (step, part), (_, other_part) in zip(reversed(parts), reversed(other_parts), strict=True):
            pending.append((f"{path}{step}", part, other_part))


def _may_be_shared(value: object) -> bool:
    return isinstance(value, _MAY_BE_SHARED) and not isinstance(value, BaseException)


def take_apart(value: Any) -> Apart:
    """Gives what a value is by itself, and what it holds."""
    if isinstance(value, BaseException):
        return _take_apart_exception(value)
    if isinstance(value, datetime | time):
        return (str(value.replace(tzinfo=None)), value.fold), [(".tzinfo", value.tzinfo)]
    if isinstance(value, float):
        return struct.pack(">d", value), []
    if isinstance(value, complex):
        return struct.pack(">2d", value.real, value.imag), []
    if isinstance(value, _BY_CONTENT):
        return value, []
    if isinstance(value, _BY_TEXT):
        return str(value), []
    return _take_apart_container(value) or _take_apart_other(value)


def _take_apart_container(value: Any) -> Apart | None:
    if isinstance(value, list | tuple):
        return len(value), [(f"[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, deque):
        return value.maxlen, [(f"[{index}]", item) for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return len(value), [(f"{{{name}}}", item) for name, item in _sorted(value)]
    if isinstance(value, defaultdict):
        return len(value), [(".default_factory", value.default_factory), *_items(value)]
    if isinstance(value, dict | OrderedDict | Counter | MappingProxyType):
        return len(value), _items(value)
    if isinstance(value, SimpleNamespace):
        return len(value.__dict__), _items(value.__dict__)
    return None


def _take_apart_other(value: Any) -> Apart:
    if isinstance(value, bytearray):
        return bytes(value), []
    if isinstance(value, memoryview):
        return (value.format, value.itemsize, value.shape, value.readonly, value.tobytes()), []
    if isinstance(value, array):
        return (value.typecode, value.itemsize, value.tobytes()), []
    if isinstance(value, range | slice):
        return None, [(".start", value.start), (".stop", value.stop), (".step", value.step)]
    if isinstance(value, timezone):
        return (value.utcoffset(None), value.tzname(None)), []
    if isinstance(value, ZoneInfo):
        return value.key, []
    if isinstance(value, Decimal):
        return value.as_tuple(), []
    if isinstance(value, Fraction):
        return (value.numerator, value.denominator), []
    if isinstance(value, UUID):
        return (value.bytes, value.is_safe), []
    if isinstance(value, Pattern):
        # re keeps patterns in a cache: the str in one may be that of another.
        return (value.flags, type(value.pattern).__name__, value.pattern), []
    if isinstance(value, io.BytesIO | io.StringIO):
        return (value.getvalue(), value.tell()), [(".__dict__", vars(value))]
    if isinstance(value, functools.partial):
        return None, [(".func", value.func), (".args", value.args), (".keywords", value.keywords)]
    if isinstance(value, tzinfo):
        # The zones of pytz and dateutil.
        return (repr(value), value.tzname(None)), []
    raise TypeError(f"assert_alike knows no {type(value).__name__}")


def _take_apart_exception(error: BaseException) -> Apart:
    slots = [(f".{name}", getattr(error, name, None)) for name in _SLOTS if name in dir(type(error))]
    # The tuple in which a group keeps its members is its own.
    slots = [(step, [*part] if step == ".exceptions" and part else part) for step, part in slots]
    links = [(".__cause__", error.__cause__), (".__context__", error.__context__)]
    # Names of attributes are interned: which str it is says nothing.
    attributes = [(f".{name}", part) for name, part in error.__dict__.items()]
    parts = [(".args", error.args), *slots, *links, *attributes]
    return (error.__suppress_context__, *error.__dict__), parts


def _items(mapping: Any) -> Parts:
    parts: Parts = []
    for key, item in mapping.items():
        parts += [(f" key {_short(key)}", key), (f"[{_short(key)}]", item)]
    return parts


def _sorted(items: Any) -> list[tuple[str, object]]:
    """Puts a set's elements into an order that does not depend on where they are in memory."""
    return sorted(((_name(item), item) for item in items), key=lambda named: named[0])


def _name(item: Any) -> str:
    if isinstance(item, frozenset):
        return f"frozenset{[name for name, _ in _sorted(item)]}"
    if isinstance(item, tuple):
        return f"tuple{[_name(one) for one in item]}"
    if isinstance(item, BaseException):
        return f"{type(item).__name__}{_name(item.args)}"
    return f"{type(item).__name__} {item!r}"


def _short(value: object) -> str:
    try:
        text = ascii(value)
    except Exception as error:  # noqa: BLE001 - whatever a repr() raises
        text = f"one whose repr() raises {error!r}"
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
