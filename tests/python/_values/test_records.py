"""Lists of dicts with the same keys, and their small values: the codec has short ways for them, which change nothing."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from workerlib._native import decode, encode

from trip import round_trip

# Objects of their own: nothing else refers to them, so that their counts tell something.
KEYS = ["".join(["key ", str(number)]) for number in range(40)]
EQUAL = ["".join(["key ", str(number)]) for number in range(40)]


def dicts() -> Iterator[tuple[str, list[dict[Any, Any]]]]:
    """Makes lists of dicts whose keys are not in the places in which an earlier dict had them."""
    a, b, c, d = KEYS[:4]
    yield "the same keys", [{a: 1, b: 2}, {a: 3, b: 4}, {a: 5, b: 6}, {a: 7, b: 8}]
    yield "another order", [{a: 1, b: 2}, {b: 3, a: 4}, {a: 5, b: 6}, {b: 7, a: 8}, {b: 9, a: 0}]
    yield (
        "fewer and more keys",
        [{a: 1, b: 2, c: 3}, {b: 4}, {}, {c: 5, b: 6}, {d: 7, a: 8, b: 9, c: 0}, {b: 1}],
    )
    yield (
        "a key in between",
        [{a: 1, c: 2}, {a: 3, c: 4}, {a: 5, b: 6, c: 7}, {a: 8, b: 9, c: 0}, {a: 1, c: 2}],
    )
    yield "equal keys", [{a: 1}, {a: 2}, {EQUAL[0]: 3}, {EQUAL[0]: 4}, {a: 5}, {EQUAL[0]: 6}]
    yield "dicts in dicts", [{a: {a: {b: 1}, b: 2}, b: {b: 3, a: 4}} for _ in range(4)]
    yield "values that are keys", [{a: b, b: a}, {a: b, b: a}, {b: b, a: a}, {a: a, b: b}]
    yield "keys of other types", [{a: 1, 2: 3, (4, a): 5, None: 6, b: 7} for _ in range(4)]
    yield "more keys than are noted", [dict.fromkeys(KEYS, number) for number in range(4)]
    yield "a shared dict", [{a: 1, b: 2}] * 3
    yield "values that are no plain ones", [{a: [a], b: (b, a), c: {a}, d: b"d"} for _ in range(4)]


@pytest.mark.parametrize(("name", "value"), list(dicts()), ids=[name for name, _ in dicts()])
def test_keys_arrive_in_their_places(name: str, value: list[dict[Any, Any]]) -> None:
    """Protects dicts: a key is that of its own dict, in its order, and the same object as in pickle."""
    arrived: Any = round_trip(value)
    assert arrived == value
    assert [list(each) for each in arrived] == [list(each) for each in value], "the order of the keys"

    def pattern(dicts: list[dict[Any, Any]]) -> list[int]:
        """Tells which of the keys are the same object."""
        strs = [key for each in dicts for key in each if isinstance(key, str)]
        first: dict[int, int] = {}
        return [first.setdefault(id(key), len(first)) for key in strs]

    assert pattern(arrived) == pattern(pickle.loads(pickle.dumps(value, 5)))


@pytest.mark.parametrize("bits", [1, 8, 10, 29, 30, 31, 32, 59, 60, 61, 62, 63, 64, 90])
def test_ints_around_the_ends_of_digits(bits: int) -> None:
    """Protects ints: those of one digit are read without CPython, in Pyodide."""
    for number in (2**bits - 1, 2**bits, 2**bits + 1):
        value = [number, -number, {"key": number}, {"key": -number}, (number, -number)]
        assert round_trip(value) == value


def test_ints_that_are_kept() -> None:
    """Protects small ints: each of those that are kept is the right one, whatever was decoded before."""
    value = list(range(-300, 2_000))
    for _ in range(2):
        arrived: Any = round_trip(value)
        assert arrived == value
        assert {type(each) for each in arrived} == {int}


def test_floats_are_read_as_they_are() -> None:
    """Protects floats, which are read without CPython, in Pyodide."""
    value = [0.0, -0.0, 1.5, -1e308, 5e-324, float("inf"), float("-inf"), float("nan")]
    assert repr(round_trip(value)) == repr(value)
    assert repr(round_trip({"key": value[5], "other": value[1]})) == repr(
        {"key": value[5], "other": value[1]}
    )


def test_references_are_given_up() -> None:
    """Protects memory: keys, kept ints and other values have as many references afterwards as before."""
    # No small int: the lists of counts refer to those.
    frame, buffers = encode([{KEYS[0]: 300, KEYS[1]: 1_000, -7: 2**40, KEYS[2]: "text"} for _ in range(100)])

    def counts() -> list[int]:
        arrived = decode(frame, buffers)
        objects = [*arrived[0], *arrived[0].values()]
        del arrived
        return [sys.getrefcount(each) for each in objects]

    counts()
    assert counts() == counts()
    one, two = decode(frame, buffers), decode(frame, buffers)
    key, kept = next(iter(one[0])), one[0][KEYS[1]]
    # Besides the dicts, this function and the call refer to it.
    assert 100 <= sys.getrefcount(key) <= 103
    assert kept is two[0][KEYS[1]]
    before = sys.getrefcount(kept)
    del two
    assert before - sys.getrefcount(kept) == 100


def test_a_key_that_comes_twice_leaves_no_reference() -> None:
    """Protects memory from frames that no encoder writes: the value that is replaced is freed."""
    table, values = b"\x90", b"\x82" + b"\xa1k" + b"\xcd\x07\xd0" + b"\xa1k" + b"\xcd\x07\xd1"
    before = sys.getallocatedblocks()
    for _ in range(1_000):
        assert decode(table + values, []) == {"k": 2_001}
    assert sys.getallocatedblocks() - before < 500
