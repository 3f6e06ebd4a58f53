"""What cannot be sent is named, with its type and the path to it."""

from __future__ import annotations

import sys

import pytest
import workerlib

from trip import round_trip


class Odd:
    """A user's class."""


THING = object()
CASES: list[tuple[object, str, str]] = [
    (THING, "value", "object"),
    ([THING], "value[0]", "object"),
    ({"when": THING}, "value['when']", "object"),
    ([{"when": THING}], "value[0]['when']", "object"),
    ([0, (1, {"a": [2, THING]})], "value[1][1]['a'][1]", "object"),
    ({1: {(2, "x"): THING}}, "value[1][(2, 'x')]", "object"),
    ({b"k": {None: THING}}, "value[b'k'][None]", "object"),
    ({"it's": THING}, 'value["it\'s"]', "object"),
    ([Odd], "value[0]", "type"),
    ([len], "value[0]", "builtin_function_or_method"),
    ([object()], "value[0]", "object"),
    ([lambda: None], "value[0]", "function"),
    ([sys], "value[0]", "module"),
    ({"a": Odd()}, "value['a']", f"{__name__}.Odd"),
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


def test_a_key_that_cannot_be_sent() -> None:
    """A dict's key is looked at as its values are."""
    with pytest.raises(workerlib.UnsendableError, match="object"):
        round_trip({"a": 1, THING: 2})
    with pytest.raises(workerlib.UnsendableError, match="object"):
        round_trip([{(1, (THING,)): 2}])


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
    """The message says what to do about it."""
    with pytest.raises(workerlib.UnsendableError) as caught:
        round_trip(THING)
    assert "docs/values.md" in str(caught.value)
