"""The rows of the standard library's types: what each is taken apart into, and built from.

A builder gets what stands in a frame, which may be anything: it checks what the constructor does not check.
Modules are imported when the first object of theirs is seen.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from datetime import tzinfo as datetime_tzinfo
from typing import Any

from workerlib._values import functions, time_zones, zone_names
from workerlib._values.row import Built, Filled, Parts, RefusedError, TakeApart, lazy
from workerlib._values.safe_text import text_of


def _empty(path: str) -> Callable[[Any], Any]:
    """Makes a function that makes an empty object of a class, whatever its first value is."""
    create = lazy(path)
    return lambda _first: create()


_LONGEST_OF_RANGE = 8_192
"""The number of bits that ints of a range may have: Python divides them to make one, in quadratic time."""


def _take_apart_range(value: range) -> Parts:
    parts = (value.start, value.stop, value.step)
    if any(part.bit_length() > _LONGEST_OF_RANGE for part in parts):
        raise RefusedError(f"its ints have more than {_LONGEST_OF_RANGE:,} bits: send them as a tuple")
    return parts


def _build_range(*parts: Any) -> Any:
    for part in parts:
        if type(part) is not int or part.bit_length() > _LONGEST_OF_RANGE:
            raise ValueError("a range has to be made from ints")
    return range(*parts)


def _attributes(*names: str) -> TakeApart:
    get = operator.attrgetter(*names)
    return get if len(names) > 1 else lambda value: (get(value),)


def _text(value: object) -> Parts:
    return (str(value),)


def _from_text(path: str) -> Callable[..., Any]:
    """Makes a function that builds from a str; from a long int, say, it might take minutes."""
    build = lazy(path)

    def from_text(text: object) -> Any:
        if not isinstance(text, str):
            raise ValueError(f"a {path.partition(':')[2]} has to be made from a str")
        return build(text)

    return from_text


# Containers of the standard library.


def _pairs(mapping: Mapping[Any, Any]) -> Iterator[Any]:
    for key, value in mapping.items():
        yield key
        yield value


def _fill_mapping(mapping: Any, values: list[Any]) -> None:
    if len(values) % 2:
        raise ValueError("the last key has no value")
    # The class's own method: an instance cannot be asked what it thinks of it.
    set_item = type(mapping).__setitem__
    for key, value in zip(values[::2], values[1::2], strict=True):
        set_item(mapping, key, value)


def _fill_namespace(namespace: Any, values: list[Any]) -> None:
    _fill_mapping(namespace.__dict__, values)


def _make_deque(maxlen: object) -> Any:
    from collections import deque

    return deque(maxlen=maxlen)  # type: ignore[call-overload]


def _make_default_dict(factory: object) -> Any:
    from collections import defaultdict

    if factory is not None and not isinstance(factory, (type, *functions.TYPES)):
        raise ValueError("the factory of a defaultdict has to be a class or a function")
    return defaultdict(factory)


def _take_apart_default_dict(value: Any) -> Parts:
    factory = value.default_factory
    if factory is not None and not functions.is_factory(factory):
        # A callback answers later, and a frame must not say with which arguments a factory is called.
        raise RefusedError(
            f"the other side does not know its default_factory, {text_of(factory, repr)}: send dict(…), or"
            " have both sides register the function by @workerlib.register"
        )
    return (factory, *_pairs(value))


def _fill_deque(deque: Any, values: list[Any]) -> None:
    deque.extend(values)


def _build_mapping_proxy(content: object) -> Any:
    from types import MappingProxyType

    if type(content) is not dict:
        raise ValueError("a mappingproxy has to be made from a dict")
    return MappingProxyType(content)


# Dates and times.


def _take_apart_datetime(value: datetime) -> Parts:
    # The state that `datetime` gives to pickle: by the class's own method, whatever a subclass does.
    reduced: Any = datetime.__reduce_ex__(value, 4)
    state, *zone = reduced[1]
    if zone and time_zones.fold_of(value) != value.fold:
        state = bytes([*state[:2], state[2] ^ _FOLD, *state[3:]])
    return (state, *zone)


_FOLD = 0x80
"""The bit of a datetime's month that is its fold."""


def _build_datetime(state: object, *zone: Any) -> datetime:
    if type(state) is not bytes or len(state) != 10 or len(zone) > 1:
        raise ValueError("a datetime has to be made from 10 bytes, and a time zone")
    date_and_time = (int.from_bytes(state[:2]), state[2] & ~_FOLD, *state[3:7], int.from_bytes(state[7:]))
    tzinfo = _time_zone(*zone) if zone else None
    # A zone of pytz has one offset: there is no second of two equal times.
    fold = 0 if time_zones.is_of_pytz(tzinfo) else state[2] >> 7
    return datetime(*date_and_time, tzinfo, fold=fold)  # type: ignore[misc,arg-type]


def _build_timedelta(days: Any, seconds: Any, microseconds: Any) -> Any:
    from datetime import timedelta

    return timedelta(days, seconds, microseconds)


def _take_apart_time(value: Any) -> Parts:
    return (value.hour, value.minute, value.second, value.microsecond, value.tzinfo, value.fold)


def _build_time(*parts: Any) -> Any:
    from datetime import time

    *numbers, tzinfo, fold = parts
    return time(*numbers, _time_zone(tzinfo), fold=fold)  # type: ignore[misc]


def _time_zone(tzinfo: Any) -> Any:
    if tzinfo is not None and not isinstance(tzinfo, datetime_tzinfo):
        raise ValueError("a time zone has to be a tzinfo")
    return tzinfo


def _take_apart_timezone(value: Any) -> Parts:
    # (offset,) or (offset, name): whether a name was given cannot be seen otherwise.
    return tuple(value.__getinitargs__())


def _take_apart_zone(value: Any) -> Parts:
    if value.key is None:
        raise RefusedError("a ZoneInfo made from a file has no name by which the other side could find it")
    return (value.key,)


def _build_zone(key: object) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(zone_names.check(key))


# Numbers and names.


def _build_fraction(numerator: object, denominator: object) -> Any:
    from fractions import Fraction

    if type(numerator) is not int or type(denominator) is not int or denominator < 1:
        raise ValueError("a Fraction has to be made from two ints, the second one above 0")
    fraction = object.__new__(Fraction)
    # Not by Fraction(n, d): reducing what another Fraction had reduced may take minutes for long numbers.
    fraction._numerator, fraction._denominator = numerator, denominator  # type: ignore[attr-defined]
    return fraction


def _take_apart_uuid(value: Any) -> Parts:
    return (value.bytes, value.is_safe.value)


def _build_uuid(content: object, is_safe: object) -> Any:
    from uuid import UUID, SafeUUID

    return UUID(bytes=content, is_safe=SafeUUID(is_safe))  # type: ignore[arg-type]


def _path_builder(name: str) -> Callable[..., Any]:
    # A concrete path of the other system (a WindowsPath in the browser) arrives as the pure one.
    def build(path: str) -> Any:
        import pathlib

        return getattr(pathlib, name)(path)

    return build


def _build_path(path: str) -> Any:
    from pathlib import Path

    return Path(path)


# Arrays.


def _take_apart_array(value: Any) -> Parts:
    # Their characters have no format that a memoryview could be cast to.
    if value.typecode in "uw":
        return (value.typecode, str(value.tounicode()))
    return (value.typecode, memoryview(value))


def _build_array(typecode: object, content: Any) -> Any:
    from array import array

    if typecode in ("u", "w"):
        # Of bytes, an array takes characters that Unicode does not have.
        if not isinstance(content, str):
            raise ValueError("an array of characters has to be made from a str")
        # 'u' is on its way out of Python, 'w' came with 3.13.
        return array("w" if sys.version_info >= (3, 13) else "u", content)
    if not isinstance(content, memoryview) or not isinstance(typecode, str):
        raise ValueError("the content of an array has to be a memoryview, behind its typecode")
    made = array(typecode)
    if made.itemsize != content.itemsize:
        # 'l' has four bytes here and eight there: the content decides.
        made = array(content.format)
    made.frombytes(content.cast("B"))
    return made


ROWS: tuple[Built | Filled, ...] = (
    Filled(19, "collections.deque", lambda v: (v.maxlen, *v), _make_deque, _fill_deque),
    Filled(
        20,
        "collections.OrderedDict",
        lambda v: (None, *_pairs(v)),
        _empty("collections:OrderedDict"),
        _fill_mapping,
    ),
    Filled(
        21,
        "collections.defaultdict",
        _take_apart_default_dict,
        _make_default_dict,
        _fill_mapping,
    ),
    Filled(
        22,
        "collections.Counter",
        lambda v: (None, *_pairs(v)),
        _empty("collections:Counter"),
        _fill_mapping,
    ),
    Filled(
        23,
        "types.SimpleNamespace",
        lambda v: (None, *_pairs(v.__dict__)),
        _empty("types:SimpleNamespace"),
        _fill_namespace,
    ),
    Built(48, "builtins.range", _take_apart_range, _build_range),
    Built(49, "builtins.slice", _attributes("start", "stop", "step"), slice),
    Built(50, "builtins.mappingproxy", lambda v: (dict(v),), _build_mapping_proxy),
    Built(51, "array.array", _take_apart_array, _build_array),
    Built(52, "datetime.datetime", _take_apart_datetime, _build_datetime),
    Built(53, "datetime.date", _attributes("year", "month", "day"), lazy("datetime:date")),
    Built(54, "datetime.time", _take_apart_time, _build_time),
    Built(55, "datetime.timedelta", _attributes("days", "seconds", "microseconds"), _build_timedelta),
    Built(56, "datetime.timezone", _take_apart_timezone, lazy("datetime:timezone")),
    Built(57, "zoneinfo.ZoneInfo", _take_apart_zone, _build_zone),
    Built(58, "decimal.Decimal", _text, _from_text("decimal:Decimal")),
    Built(59, "fractions.Fraction", _attributes("numerator", "denominator"), _build_fraction),
    Built(60, "uuid.UUID", _take_apart_uuid, _build_uuid),
    Built(61, "pathlib.PurePosixPath", _text, _path_builder("PurePosixPath")),
    Built(62, "pathlib.PureWindowsPath", _text, _path_builder("PureWindowsPath")),
    Built(63, "pathlib.PosixPath", _text, _build_path),
    Built(64, "pathlib.WindowsPath", _text, _path_builder("PureWindowsPath")),
    Built(65, "ipaddress.IPv4Address", _text, _from_text("ipaddress:IPv4Address")),
    Built(66, "ipaddress.IPv6Address", _text, _from_text("ipaddress:IPv6Address")),
    Built(67, "ipaddress.IPv4Network", _text, _from_text("ipaddress:IPv4Network")),
    Built(68, "ipaddress.IPv6Network", _text, _from_text("ipaddress:IPv6Network")),
    Built(69, "ipaddress.IPv4Interface", _text, _from_text("ipaddress:IPv4Interface")),
    Built(70, "ipaddress.IPv6Interface", _text, _from_text("ipaddress:IPv6Interface")),
    Built(
        71,
        "re.Pattern",
        lazy("workerlib._values.patterns:take_apart_pattern"),
        lazy("workerlib._values.patterns:build_pattern"),
    ),
)
"""The rows, but those that need the whole table."""
