"""Tests of the library types that `_native` reads and builds without their rows: `workerlib-py/src/frequent.rs`.

The rows in Python have their own tests; these protect the border between both ways.
"""

from __future__ import annotations

import collections
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, NamedTuple

import pytest
import workerlib
from workerlib._native import decode, encode

from trip import frame_of

GOOD = (0x07, 0xEA, 11, 30, 23, 59, 59, 0x0F, 0x42, 0x3F)


def trip(value: Any) -> Any:
    """Sends a value through a frame."""
    return decode(*encode(value))


def extension(kind: int, *values: object) -> bytes:
    """Makes an extension that is followed by values."""
    return b"\x90\xd4" + bytes([kind, len(values)]) + b"".join(frame_of(value)[0][1:] for value in values)


def test_a_state_is_a_date_and_a_time() -> None:
    """The last microsecond of a day arrives: the bounds of the checks below are the right ones."""
    assert decode(extension(52, bytes(GOOD)), []) == datetime(2026, 11, 30, 23, 59, 59, 999_999)
    assert decode(extension(52, bytes([0x07, 0xE8, 2, 29, *bytes(6)])), []) == datetime(2024, 2, 29)
    assert decode(extension(52, bytes([0x07, 0xD0, 2, 29, *bytes(6)])), []) == datetime(2000, 2, 29)


@pytest.mark.parametrize(
    ("place", "byte"),
    [(0, 0x28), (2, 0), (2, 13), (2, 0x7F), (3, 0), (3, 31), (4, 24), (5, 60), (6, 60), (7, 0x10)],
)
def test_a_state_of_no_moment_is_refused(place: int, byte: int) -> None:
    """`datetime` takes any bytes with a month for its state: neither way hands others on to it."""
    state = bytearray(GOOD)
    state[place] = byte
    for zone in ((), (UTC,)):
        with pytest.raises(workerlib.FrameError):
            decode(extension(52, bytes(state), *zone), [])


@pytest.mark.parametrize(
    "values",
    [
        (),
        (bytes(GOOD)[:9],),
        (bytes([*GOOD, 0]),),
        (bytearray(GOOD),),
        ("x" * 10,),
        (bytes([0x07, 0xE9, 2, 29, *bytes(6)]),),
        (bytes([0x07, 0x6C, 2, 29, *bytes(6)]),),
        (bytes(10),),
        (bytes(GOOD), 5),
        (bytes(GOOD), "UTC"),
        (bytes(GOOD), UTC, UTC),
    ],
)
def test_other_values_than_a_state_and_a_zone_are_refused(values: tuple[object, ...]) -> None:
    """Other values in the place of state and zone are an error of the frame, and make no object."""
    with pytest.raises(workerlib.FrameError):
        decode(extension(52, *values), [])


@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=-1), "x")])
@pytest.mark.parametrize("fold", [0, 1])
def test_datetimes_keep_zone_and_fold(zone: timezone | None, fold: int) -> None:
    """The fold stands in the month's byte, with a zone and without."""
    value = datetime(1, 12, 31, 23, 59, 59, 999_999, zone, fold=fold)
    back = trip(value)
    assert (back, back.fold, back.tzinfo, type(back)) == (value, fold, zone, datetime)


def test_a_zone_of_two_datetimes_is_one_object() -> None:
    """The zone is referred to, not written twice, although each datetime is read by itself."""
    zone = timezone(timedelta(hours=2))
    first, second = trip([datetime(2026, 1, 1, tzinfo=zone), datetime(2026, 1, 2, tzinfo=zone)])
    assert first.tzinfo is second.tzinfo


def test_exceptions_are_more_than_their_arguments() -> None:
    """Notes, attributes and links take the way of the row, in a list with exceptions that have none."""
    plain, noted, linked, own = ValueError("a", 1), ValueError("b"), KeyError("c"), TypeError("d")
    noted.add_note("remember")
    linked.__cause__ = plain
    own.attribute = [1]  # type: ignore[attr-defined]
    back = trip([plain, noted, linked, own])
    assert [type(error) for error in back] == [ValueError, ValueError, KeyError, TypeError]
    assert [error.args for error in back] == [("a", 1), ("b",), ("c",), ("d",)]
    assert back[1].__notes__ == ["remember"]
    assert back[2].__cause__ is back[0]
    assert back[2].__suppress_context__
    assert back[3].attribute == [1]
    assert trip(linked).__cause__.args == ("a", 1)


@pytest.mark.parametrize(
    "error",
    [OSError(2, "no"), UnicodeDecodeError("utf-8", b"x", 0, 1, "why"), SystemExit(3), StopIteration(4)],
)
def test_exceptions_with_a_constructor_of_their_own_keep_what_it_sets(error: BaseException) -> None:
    """Only classes that add nothing to `Exception` are made here."""
    back = trip([error, error.__class__])[0]
    assert (type(back), str(back), back.args) == (type(error), str(error), error.args)
    assert getattr(back, "errno", None) == getattr(error, "errno", None)


@pytest.mark.parametrize("name", ["int", "print", "eval", "ValueError ", "", "Warning:x"])
def test_a_frame_names_no_other_builtin_as_an_exception(name: str) -> None:
    """A builtin that is not an exception is not called."""
    with pytest.raises(workerlib.FrameError):
        decode(extension(24, ("x", name), None, None, False, {}), [])


class Point(NamedTuple):
    """A named tuple."""

    x: int
    y: object = None


Other = collections.namedtuple("Other", "x y")


def test_named_tuples_of_two_classes_take_turns() -> None:
    """The class that was found last is not the class of the next."""
    values = [Point(1, 2), Other(1, 2), Point(3), Other(Point(5), 6)]
    back = trip(values)
    assert back == values
    assert [type(value) for value in [*back, back[3].x]] == [Point, Other, Point, Other, Point]
