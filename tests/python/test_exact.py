"""Checks the checker: a comparison that sees no difference would make every other test worthless."""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable

import pytest

from exact import assert_same
from values import VALUES, dismantle, nested_dicts, nested_lists, nested_tuples

DIFFERENT = [
    (1, True),
    (0, False),
    (1, 1.0),
    (0.0, -0.0),
    (math.nan, -math.nan),
    (None, False),
    ("a", b"a"),
    (b"a", bytearray(b"a")),
    (b"a", memoryview(b"a")),
    (memoryview(b"a"), memoryview(bytearray(b"a"))),
    (memoryview(b"abcd"), memoryview(b"abcd").cast("H")),
    (memoryview(b"abcd"), memoryview(b"abcd").cast("B", (2, 2))),
    (memoryview(b"ab"), memoryview(b"ba")),
    ([], ()),
    ([1], [2]),
    ([1], [1, 2]),
    ([[1, 2], 3], [[1, 4], 3]),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1: 0}, {True: 0}),
    ({"a": 1}, {"a": 1, "b": 1}),
    ({"a": [1]}, {"a": (1,)}),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_differences_are_seen(one: object, other: object) -> None:
    """Differences that `==` overlooks are seen here, in both directions."""
    with pytest.raises(AssertionError):
        assert_same(one, other)
    with pytest.raises(AssertionError):
        assert_same(other, one)


@pytest.mark.parametrize("name", VALUES)
def test_each_value_is_the_same_as_itself(name: str) -> None:
    """nan, memoryviews and the rest are no difference where there is none."""
    assert_same(VALUES[name], VALUES[name])


def test_the_path_is_named() -> None:
    """The message leads to the difference."""
    with pytest.raises(
        AssertionError, match=r"value\[1\]\['rows'\]\[2\]: 3 of type int instead of 3.0 of type float"
    ):
        assert_same([0, {"rows": [1, 2, 3]}], [0, {"rows": [1, 2, 3.0]}])


@pytest.mark.parametrize("build", [nested_lists, nested_tuples, nested_dicts])
def test_deep_values_are_compared(build: Callable[[int], object]) -> None:
    """A hundred thousand levels neither overflow the stack nor hide a difference."""
    boxes = [[build(depth)] for depth in (100_000, 100_000, 99_999)]
    assert_same(boxes[0][0], boxes[1][0])
    try:
        assert_same(boxes[0][0], boxes[2][0])
    except AssertionError as error:
        message = str(error)
    else:
        message = ""
    for box in boxes:
        dismantle(box)
    assert "1 items instead of 0 items" in message


def test_unknown_types_are_refused() -> None:
    """A type without a rule is an error, not a pass."""
    with pytest.raises(TypeError):
        assert_same(array("i"), array("i"))
