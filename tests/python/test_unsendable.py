"""What cannot be sent is named, with its type and the path to it."""

from __future__ import annotations

import datetime
import fractions
from array import array
from typing import Any

import pytest
import workerlib

from trip import round_trip


class Odd:
    """A user's class."""


class OddList(list[Any]):
    """A subclass of a builtin: it would lose its class on the way."""


DATE = datetime.date(2026, 1, 2)
CASES: list[tuple[object, str, str]] = [
    (DATE, "value", "datetime.date"),
    ([DATE], "value[0]", "datetime.date"),
    ({"when": DATE}, "value['when']", "datetime.date"),
    ([{"when": DATE}], "value[0]['when']", "datetime.date"),
    ([0, (1, {"a": [2, DATE]})], "value[1][1]['a'][1]", "datetime.date"),
    ({1: {(2, "x"): DATE}}, "value[1][(2, 'x')]", "datetime.date"),
    ({b"k": {None: DATE}}, "value[b'k'][None]", "datetime.date"),
    ({"it's": DATE}, 'value["it\'s"]', "datetime.date"),
    ([fractions.Fraction(1, 2)], "value[0]", "fractions.Fraction"),
    ([Odd], "value[0]", "type"),
    ([len], "value[0]", "builtin_function_or_method"),
    ([iter([])], "value[0]", "list_iterator"),
    ([object()], "value[0]", "object"),
    ([lambda: None], "value[0]", "function"),
    ([array], "value[0]", "type"),
]


@pytest.mark.parametrize(("value", "path", "type_name"), CASES, ids=[path for _, path, _ in CASES])
def test_type_and_path_are_named(value: object, path: str, type_name: str) -> None:
    """The message reads `args[0]['when']: datetime.date`, and both parts are attributes."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip(value)
    assert caught.value.path == path
    assert caught.value.type_name == type_name
    assert f"{path}: {type_name}" in str(caught.value)


def test_a_users_class_is_named_with_its_module() -> None:
    """The name is the one by which a user would import the class."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip([Odd()])
    assert caught.value.type_name == f"{Odd.__module__}.Odd"


def test_subclasses_of_builtins_are_no_builtins() -> None:
    """A subclass is refused rather than silently flattened."""
    for value in (
        OddList([1]),
        datetime.datetime.max,
        type("OddInt", (int,), {})(1),
        type("OddDict", (dict,), {})(),
    ):
        with pytest.raises(workerlib.UnsendableError):
            round_trip([value])


def test_a_key_that_cannot_be_sent() -> None:
    """A dict's key is looked at as its values are."""
    with pytest.raises(workerlib.UnsendableError, match=r"datetime\.date"):
        round_trip({"a": 1, DATE: 2})
    with pytest.raises(workerlib.UnsendableError, match=r"datetime\.date"):
        round_trip([{(1, (DATE,)): 2}])


def test_a_value_that_contains_itself() -> None:
    """A cycle ends in an error, not in an endless frame."""
    cycle: list[object] = []
    cycle.append(cycle)
    with pytest.raises(workerlib.UnsendableError, match="level|itself|deep"):
        round_trip(cycle)


def test_a_released_view() -> None:
    """A memoryview without memory raises what Python raises for it."""
    view = memoryview(b"abc")
    view.release()
    with pytest.raises((ValueError, workerlib.UnsendableError)):
        round_trip([view])


def test_it_is_a_type_error() -> None:
    """Callers may catch it as Python's own class, or as the library's."""
    assert issubclass(workerlib.UnsendableError, TypeError)
    assert issubclass(workerlib.UnsendableError, workerlib.WorkerlibError)


def test_the_remedy_is_named() -> None:
    """The message says what could be sent instead."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip(DATE)
    assert "list" in str(caught.value)
    assert "dict" in str(caught.value)
