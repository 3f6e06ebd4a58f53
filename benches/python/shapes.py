"""The shapes of data that the codecs are measured on.

Every shape is made from a fixed seed, so that two runs measure the same values. Nothing here knows a codec.
"""

from __future__ import annotations

import random
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

MEGABYTE = 1024 * 1024
SEED = 20_260_101
WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
]


@dataclass(frozen=True)
class Shape:
    """One shape: its name, how its value is made, and what the measurement has to know about it."""

    name: str
    make: Callable[[], Any]
    #: How often a codec runs within one measurement: what takes microseconds is run many times.
    repeat: int = 1
    #: Whether the whole is one buffer, so that most of the work is copying.
    is_buffer: bool = False


def ints() -> list[int]:
    """Makes ints of every size up to 64 bits, small ones more often, as in real data."""
    source = random.Random(SEED)
    return [source.randrange(-(1 << bits), 1 << bits) for bits in source.choices(range(4, 63), k=50_000)]


def floats() -> list[float]:
    """Makes floats that are not round numbers."""
    source = random.Random(SEED)
    return [source.uniform(-1e6, 1e6) for _ in range(50_000)]


def short_strings() -> list[str]:
    """Makes distinct strings of 4 to 16 characters, one in ten beyond ASCII."""
    source = random.Random(SEED)
    ends = ["", "é", "ß"]
    return [
        f"{source.choice(WORDS)[:4]}{number}{ends[source.choices([0, 1, 2], [18, 1, 1])[0]]}"
        for number in range(50_000)
    ]


def long_strings() -> list[str]:
    """Makes texts of about 4,000 characters, one in ten beyond ASCII."""
    source = random.Random(SEED)
    texts = [" ".join(source.choices(WORDS, k=800)) for _ in range(500)]
    return [text + " ünïcödé" if number % 10 == 0 else text for number, text in enumerate(texts)]


def record(source: random.Random, number: int) -> dict[str, Any]:
    """Makes one record of an int, a str, a float and a list."""
    return {
        "id": number,
        "name": f"{source.choice(WORDS)} {number}",
        "score": source.uniform(0, 100),
        "tags": [source.randrange(1000) for _ in range(4)],
    }


def records(count: int = 5_000) -> list[dict[str, Any]]:
    """Makes so many records."""
    source = random.Random(SEED)
    return [record(source, number) for number in range(count)]


def parsed_records() -> list[dict[str, Any]]:
    """Makes 5,000 records whose keys are equal and not the same objects, as from many small messages."""
    return [{"".join(list(key)): value for key, value in each.items()} for each in records()]


@dataclass
class Record:
    """One record as a program would have it."""

    id: int
    name: str
    score: float
    tags: list[int]


def objects() -> list[Record]:
    """Makes the same 5,000 records as objects of a dataclass."""
    return [Record(**each) for each in records()]


def tuple_keys() -> dict[tuple[int, str], float]:
    """Makes a dict of 5,000 keys that are tuples, as a table of cells by row and column."""
    source = random.Random(SEED)
    return {(number, WORDS[number % len(WORDS)]): source.uniform(0, 100) for number in range(5_000)}


def int_tuple_keys() -> dict[tuple[int, int], int]:
    """Makes a dict of 5,000 keys that are pairs of ints, as a grid."""
    return {(number // 70, number % 70): number for number in range(5_000)}


def nested_lists() -> list[Any]:
    """Makes a tree of lists: seven levels, four branches each, an int at every tip."""
    source = random.Random(SEED)

    def branch(levels: int) -> list[Any]:
        return [branch(levels - 1) if levels > 1 else source.randrange(1000) for _ in range(4)]

    return branch(7)


def small_message() -> dict[str, Any]:
    """Makes one record: what a small call sends."""
    return record(random.Random(SEED), 1)


def big_array() -> array[float]:
    """Makes an array of 64 MB."""
    return array("d", bytes(64 * MEGABYTE))


def big_ndarray() -> Any:
    """Makes a numpy array of 64 MB."""
    import numpy  # only where this shape is asked for: Pyodide's own packages are not on npm

    return numpy.arange(8 * MEGABYTE, dtype="float64").reshape(1024, -1)


def datetimes() -> list[Any]:
    """Makes 1,000 datetimes without a zone."""
    from datetime import datetime, timedelta

    source = random.Random(SEED)
    return [datetime(2026, 1, 1) + timedelta(seconds=source.randrange(10**7)) for _ in range(1000)]


def exceptions() -> list[Exception]:
    """Makes 1,000 exceptions of builtin classes."""
    return [ValueError("no such row", number) for number in range(1000)]


class Pair(NamedTuple):
    """A named tuple as a program would have it."""

    left: int
    right: str


def named_tuples() -> list[Pair]:
    """Makes 1,000 named tuples."""
    return [Pair(number, WORDS[number % len(WORDS)]) for number in range(1000)]


def numpy_scalars() -> list[Any]:
    """Makes 1,000 scalars of numpy."""
    import numpy

    return list(numpy.random.default_rng(SEED).uniform(size=1000))


def pandas_strings() -> Any:
    """Makes a column of 100,000 strs of pandas' default kind."""
    import pandas

    return pandas.Series([f"{WORDS[number % len(WORDS)]} {number}" for number in range(100_000)])


def small_frame() -> Any:
    """Makes a table of three rows and three columns."""
    import pandas

    return pandas.DataFrame({"id": [1, 2, 3], "name": ["a", "b", "c"], "score": [1.5, 2.5, 3.5]})


def all_shapes() -> list[Shape]:
    """Lists the shapes that can be made in this Python."""
    shapes = [
        Shape("ints", ints),
        Shape("floats", floats),
        Shape("short strings", short_strings),
        Shape("long strings", long_strings),
        Shape("records", records),
        Shape("records, keys not shared", parsed_records),
        Shape("records as dataclasses", objects),
        Shape("nested lists", nested_lists),
        Shape("keys of int and str", tuple_keys),
        Shape("keys of two ints", int_tuple_keys),
        Shape("one record", small_message, repeat=500),
        Shape("datetimes", datetimes, repeat=10),
        Shape("exceptions", exceptions, repeat=10),
        Shape("named tuples", named_tuples, repeat=10),
        Shape("array of 64 MB", big_array, is_buffer=True),
    ]
    if sys.platform != "emscripten":
        shapes += [
            Shape("ndarray of 64 MB", big_ndarray, is_buffer=True),
            Shape("numpy scalars", numpy_scalars, repeat=10),
            Shape("pandas strings", pandas_strings),
            Shape("small frame", small_frame, repeat=50),
        ]
    return shapes
