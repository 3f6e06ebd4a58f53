"""Takes apart and builds the time zones of pytz and of dateutil: by their names.

The table of types calls it for the `tzinfo` of a datetime and for the zone of an index of pandas. A
receiver without the library gets the zone of the standard library that has the same name. A zone that was
read from a file of its own, or that is the machine's, has no name: it is refused.
"""

from __future__ import annotations

import importlib
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any

from workerlib._values import zone_names
from workerlib._values.row import Named, RefusedError

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
"""The form of a zone's name: never one that leads to another file."""
_NAME_LENGTH = 255


def is_of_pytz(zone: object) -> bool:
    """Returns whether a time zone is one of pytz."""
    cls = type(zone)
    return cls is not timezone and cls.__module__.partition(".")[0] == "pytz"


def fold_of(moment: datetime) -> int:
    """Gives the fold that a datetime has with the standard library's zone of the same name (PEP 495).

    pytz has a zone for each offset instead, and leaves the fold of both of two equal times 0.
    """
    zone = moment.tzinfo
    name = getattr(zone, "zone", None) if zone is not None and is_of_pytz(zone) else None
    if name is None:
        return moment.fold
    try:
        named = find_zone(name)
    except (ValueError, LookupError):
        return moment.fold
    first, second = (moment.replace(tzinfo=named, fold=fold).utcoffset() for fold in (0, 1))
    return int(first != moment.utcoffset() == second)


def find_zone(name: object) -> tzinfo:
    """Finds the standard library's zone of that name.

    Raises:
        ValueError: If it is not a name of a zone.
        zoneinfo.ZoneInfoNotFoundError: If this Python does not know the zone.
    """
    from zoneinfo import ZoneInfo

    return ZoneInfo(zone_names.check(name))


# Zones of pytz: one object for each offset that a zone ever had.


def _take_apart_pytz(zone: Any) -> tuple[Any, ...]:
    if zone.zone is None:
        return ("offset", zone.utcoffset(None))
    # The name, and of a zone with several offsets which one this is: offset and DST in seconds, abbreviation.
    return ("name", *zone.__reduce__()[1]) if zone.zone != "UTC" else ("name", "UTC")


def _build_pytz(kind: object, *parts: Any) -> tzinfo:
    pytz: Any = _library("pytz")
    match (kind, *parts):
        case ("offset", timedelta() as offset):
            minutes, rest = divmod(offset, timedelta(minutes=1))
            return timezone(offset) if pytz is None or rest else pytz.FixedOffset(minutes)
        case ("name", str(name), *which) if len(which) in (0, 3):
            if pytz is None:
                return find_zone(name)
            zone = pytz.timezone(_checked(name))
            if which and all(type(seconds) is int and abs(seconds) < 10**6 for seconds in which[:2]):
                offset, dst = (timedelta(seconds=seconds) for seconds in which[:2])
                return zone._tzinfos.get((offset, dst, which[2]), zone)  # type: ignore[no-any-return]
            return zone  # type: ignore[no-any-return]
    raise ValueError("a zone of pytz has to be a name, or an offset")


# Zones of dateutil.


def _take_apart_dateutil(zone: Any) -> tuple[Any, ...]:
    tz: Any = importlib.import_module("dateutil.tz")
    match type(zone).__name__:
        case "tzutc":
            return ("utc",)
        case "tzoffset":
            return ("offset", zone.utcoffset(None), zone.tzname(None))
    # A version keeps the name, another one the path of the file.
    file = getattr(zone, "_key", None) or getattr(zone, "_filename", None)
    name = str(file).rpartition("zoneinfo/")[2]
    if _NAME.fullmatch(name) and tz.gettz(name) == zone:
        return ("name", name)
    raise RefusedError(
        f"the zone {zone!r} of dateutil has no name by which the other side could find it: use"
        ' zoneinfo.ZoneInfo or dateutil.tz.gettz with a name such as "Europe/Berlin"'
    )


def _build_dateutil(kind: object, *parts: Any) -> tzinfo:
    tz: Any = _library("dateutil.tz")
    match (kind, *parts):
        case ("utc",):
            return UTC if tz is None else tz.UTC
        case ("offset", timedelta() as offset, str() | None as name):
            if tz is not None:
                return tz.tzoffset(name, offset)  # type: ignore[no-any-return]
            return timezone(offset) if name is None else timezone(offset, name)
        case ("name", str(name)):
            found = None if tz is None else tz.gettz(_checked(name))
            return find_zone(name) if found is None else found
    raise ValueError("a zone of dateutil has to be a name, or an offset")


def _checked(name: object) -> str:
    if not isinstance(name, str) or len(name) > _NAME_LENGTH or not _NAME.fullmatch(name):
        raise ValueError("the name of a time zone has to be a short str")
    return name


def _library(name: str) -> Any:
    """Imports a library of time zones; None if this Python does not have it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


ROWS = (
    Named("pytz.tzinfo", "pytz zone", _take_apart_pytz, _build_pytz),
    Named("dateutil.tz", "dateutil zone", _take_apart_dateutil, _build_dateutil),
)
