"""A small frame cannot keep its reader busy: hashes that a peer can choose, and numbers that take long to handle.

docs/wire-format.md, section 6, has the bounds.
"""

from __future__ import annotations

import collections
import dataclasses
import fractions
import functools
import random
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import workerlib
from workerlib._native import decode, encode

from pace import IN_PYODIDE, seconds

MODULUS = sys.hash_info.modulus
MANY = 10_000


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """No test takes as long as it did before there were bounds, which was from two seconds to minutes."""
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < seconds(10)


def value(content: object) -> bytes:
    """Writes one value, without its sharing table, which must be empty."""
    frame, _ = encode(content)
    assert frame[0] == 0x90
    return frame[1:]


def counted(kind: int, values: list[bytes]) -> bytes:
    """Writes an extension type whose payload is the number of the values that follow."""
    return b"\xd6" + bytes([kind]) + len(values).to_bytes(4, "big") + b"".join(values)


CONTAINERS: dict[str, Any] = {
    "dict": lambda keys: b"\xdf" + len(keys).to_bytes(4, "big") + b"".join(key + b"\xc0" for key in keys),
    "set": lambda keys: counted(17, keys),
    "frozenset": lambda keys: counted(18, keys),
    "OrderedDict": lambda keys: counted(20, [b"\xc0", *(part for key in keys for part in (key, b"\xc0"))]),
    "defaultdict": lambda keys: counted(21, [b"\xc0", *(part for key in keys for part in (key, b"\xc0"))]),
    "Counter": lambda keys: counted(22, [b"\xc0", *(part for key in keys for part in (key, b"\x01"))]),
}


@workerlib.portable
@dataclasses.dataclass(frozen=True)
class Point:
    """A user's class whose hash tells little."""

    x: int

    def __hash__(self) -> int:
        return 7


KEYS: dict[str, Any] = {
    "int": lambda number: number * MODULUS,
    "negative int": lambda number: -number * MODULUS,
    "int of 64 bits": lambda number: 2**61 + number * MODULUS if MODULUS < 2**60 else number * MODULUS,
    "Fraction": lambda number: fractions.Fraction(number * MODULUS, 1),
    "tuple": lambda number: (number * MODULUS, None),
    "tuple of tuples": lambda number: ((0,), (1, (number * MODULUS,))),
    "frozenset": lambda number: frozenset([number * MODULUS]),
    "complex": lambda number: (
        complex(0.0, float(2 * number * MODULUS)) if MODULUS < 2**60 else number * MODULUS
    ),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_one_hash_are_refused(container: str, kind: str) -> None:
    """Python compares each of them with all others: 10,000 ints took two seconds, 5,000 Fractions nineteen."""
    keys = [value(KEYS[kind](number)) for number in range(MANY)]
    with pytest.raises(workerlib.FrameError, match="have the same hash.*list of pairs"):
        decode(b"\x90" + CONTAINERS[container](keys), [])


def test_a_users_class_counts_for_more() -> None:
    """Its comparison is a function of Python's, so fewer of them may have one hash."""
    points = {Point(number) for number in range(1_000)}
    with pytest.raises(workerlib.FrameError, match="have the same hash"):
        decode(*encode(points))
    few = {Point(number) for number in range(100)}
    assert decode(*encode(few)) == few


@pytest.mark.skipif(not IN_PYODIDE, reason="where hashes have 64 bits, few floats share one")
def test_floats_of_one_hash_are_refused() -> None:
    """A float has more bits than a hash in WebAssembly."""
    keys = [value(float(number * MODULUS)) for number in range(MANY)]
    with pytest.raises(workerlib.FrameError, match="have the same hash"):
        decode(b"\x90" + CONTAINERS["dict"](keys), [])


def test_many_containers_are_counted_together() -> None:
    """Each of them has few such keys, all of them many."""
    keys = [value(number * MODULUS) for number in range(500)]
    few = CONTAINERS["set"](keys)
    assert len(decode(b"\x90" + counted(16, [few] * 8), [])) == 8
    with pytest.raises(workerlib.FrameError, match="have the same hash"):
        decode(b"\x90" + counted(16, [few] * 100), [])


def test_containers_in_containers_are_told_apart() -> None:
    """The keys of a dict are compared with each other, not with those of a dict in it, before, between or behind them."""
    inner = {number * MODULUS: number for number in range(20)}
    outer: dict[Any, Any] = {number * MODULUS: dict(inner) for number in range(20)}
    outer[(1, frozenset([MODULUS, 2 * MODULUS]))] = [dict(inner)]
    assert decode(*encode(outer)) == outer


@functools.cache
def keys_of_one_path() -> list[int]:
    """Makes ints with different hashes that CPython's search for a place in a dict leads along one path.

    The path is `place = 5 * place + 1`, which a search follows when nothing of the hash is left. The first keys are the
    places of a path; those that follow come to it and walk to its end.
    """
    mask = 2**15 - 1
    path, place = [], 0
    for _ in range(10_925):
        path.append(place)
        place = (5 * place + 1) & mask
    taken = set(path)
    keys = list(path)
    for start in path:
        for high in range(1, 32):
            key = rest = start | high << 15
            place = key & mask
            while place in taken:
                if not rest:
                    keys.append(key)
                    break
                rest >>= 5
                place = (5 * place + rest + 1) & mask
    # The table has 32,768 places for so many keys.
    return keys[:21_844]


@pytest.mark.parametrize("container", ["dict", "OrderedDict", "defaultdict", "Counter"])
def test_keys_that_take_each_others_places_are_refused(container: str) -> None:
    """Their hashes differ, and a frame of 250 kilobytes took more than four seconds."""
    keys = [value(key) for key in keys_of_one_path()]
    with pytest.raises(workerlib.FrameError, match="the same places of Python's table.*list of pairs"):
        decode(b"\x90" + CONTAINERS[container](keys), [])


def test_keys_behind_strs_take_places_too() -> None:
    """A dict that has strs at first grows in another way, and keys may come again: what counts is how many it has."""
    keys = [value(key) for key in keys_of_one_path()]
    with pytest.raises(workerlib.FrameError, match="the same places of Python's table"):
        decode(b"\x90" + CONTAINERS["dict"]([value("a")] * 30_000 + keys), [])


@pytest.mark.parametrize("step", [1, 7, 1 << 10, 1 << 16, 1 << 20, -3])
@pytest.mark.parametrize("container", CONTAINERS)
def test_large_tables_of_regular_keys_arrive(container: str, step: int) -> None:
    """Ints in a row, with strs among them, take few steps each; so do multiples of a power of two."""
    keys: list[Any] = [number * step for number in range(30_000)] + [f"{number}" for number in range(5_000)]
    assert len(decode(b"\x90" + CONTAINERS[container](list(map(value, keys))), [])) == len(keys)


@pytest.mark.parametrize("container", CONTAINERS)
def test_what_people_send_arrives(container: str) -> None:
    """Some equal hashes are not an attack, nor are large numbers, floats or tuples as keys."""
    generator = random.Random(1)
    keys: dict[Any, None] = {number * MODULUS: None for number in range(1_000)}
    keys.update((generator.getrandbits(100), None) for _ in range(20_000))
    keys.update((generator.random() * 2**200, None) for _ in range(20_000))
    keys.update(((x, y), None) for x in range(100) for y in range(100))
    keys.update((x << 32 | y, None) for x in range(100) for y in range(100))
    keys.update({-1: None, -2: None, None: None, True: None, (): None, "a": None, b"a": None})
    assert len(decode(b"\x90" + CONTAINERS[container]([value(key) for key in keys]), [])) == len(keys)


def test_a_long_int_in_many_tuples_is_refused() -> None:
    """Python does not keep the hash of an int: a reference of three bytes has it computed again."""
    long, count = value(1 << 8_000_000), 60_000
    tuples = [counted(16, [b"\xd4\x50\x00", value(number)]) for number in range(count)]
    with pytest.raises(workerlib.FrameError, match="too long to hash"):
        decode(b"\x91\x06" + counted(16, [long, counted(17, tuples)]), [])


def test_a_fraction_in_many_tuples_is_refused() -> None:
    """The hash of a library type is a function of its own, and counts for more than that of an int."""
    fraction, count = value(fractions.Fraction(1, 3)), 200_000
    tuples = [counted(16, [b"\xd4\x50\x00"] * 20)] * (count // 20)
    with pytest.raises(workerlib.FrameError, match="too long to hash|same hash"):
        decode(b"\x91\x06" + counted(16, [fraction, counted(17, tuples * 4)]), [])


@pytest.mark.parametrize("part", range(3))
def test_a_range_of_huge_numbers_is_refused(part: int) -> None:
    """Python divides them to know its length: one of a megabyte took seven seconds."""
    parts = [0, 1 << 8_000_000, 3]
    parts[part] = 1 << 8_000_000 | 1
    with pytest.raises(workerlib.FrameError, match="a range has to be made from ints"):
        decode(b"\x90" + counted(48, [value(number) for number in parts]), [])
    if part == 0:
        with pytest.raises(workerlib.UnsendableError, match="8,192 bits"):
            encode(range(1 << 8_193))


def test_ranges_that_people_have_arrive() -> None:
    """Ranges of ints far beyond 64 bits arrive."""
    for numbers in (range(10), range(0, -(2**100), -3), range(2**8_000, 2**8_001, 2**7_990)):
        assert decode(*encode(numbers)) == numbers


def test_an_equal_key_is_compared_once() -> None:
    """A frame may name a key again, whatever for: the dict has it once."""
    counter = decode(b"\x90" + CONTAINERS["Counter"]([value("a")] * MANY), [])
    assert counter == collections.Counter({"a": 1})
