"""The script of the workers that the pages in JavaScript start."""

import asyncio
import builtins
import contextlib
import dataclasses
import enum
import functools
import time
from collections.abc import AsyncIterator

from workerlib import RemoteError, export, page, report

begun = []
ended = []
releases = {}


@export
def mean(values):
    return sum(values) / len(values)


@export
def keywords(first, *, second=2, third=3):
    return [first, second, third]


@export
def with_defaults(first, second=2, third=None):
    return [first, second, third]


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Dot:
    at: tuple[int, int]
    colour: Colour


@export
def moved(dots: list[Dot], by: int) -> list[Dot]:
    return [dataclasses.replace(dot, at=(dot.at[0] + by, dot.at[1])) for dot in dots]


@dataclasses.dataclass
class Cut:
    text: str
    length: int = 2


@export
def cut(given: Cut) -> str:
    return given.text[: given.length]


@export(name="constructor")
def named_like_an_objects():
    """Has the name of a property of every object."""
    return "the function"


@export
async def sleep(seconds, name="sleep"):
    await asyncio.sleep(seconds)
    return name


@export
async def hold(name):
    """Returns its name when release(name) has been called."""
    begun.append(name)
    try:
        await releases.setdefault(name, asyncio.Event()).wait()
    except asyncio.CancelledError:
        ended.append(f"{name} was cancelled")
        raise
    return name


@export
def release(name):
    releases.setdefault(name, asyncio.Event()).set()


@export
def have_begun():
    return begun


@export
def how_they_ended():
    return ended


@export
def compute(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


@export
async def each(items, callback):
    return [await callback(item, {"twice": item * 2}) for item in items]


@export
def train(steps, progress):
    """Reports progress from sync code, and computes between the reports."""
    for step in range(steps):
        compute(0.01)
        progress(step)
    return steps


@export
async def train_for_ever(progress):
    """Drops the answer of its callback, and waits."""
    progress(1)
    await asyncio.sleep(3600)


@export
async def misuse(callback):
    try:
        return "true" if callback(1) else "false"
    except TypeError as error:
        return str(error)


@export
def total(data):
    return [type(data).__name__, len(data), sum(data)]


@export
def make_bytes(size):
    return bytearray(b"x" * size)


@export
def fail(kind, *args):
    raise getattr(builtins, kind)(*args)


@export
def fail_with_a_note():
    error = LookupError("not there")
    error.add_note("look elsewhere")
    raise error


@export
def evaluate(expression):
    return eval(expression, namespace())


@export
def echo(value):
    return value


@export
def is_shared(pair):
    return pair[0] is pair[1]


@export
def is_exactly(value, expression):
    wanted = eval(expression, namespace())
    return same(value, wanted) or repr(value)


def same(left, right):
    if type(left) is not type(right):
        return False
    if isinstance(left, memoryview):
        return left.format == right.format and left.tolist() == right.tolist()
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and same(list(left.values()), list(right.values()))
    return left == right or left != left  # noqa: PLR0124 - a NaN


def namespace():
    """Names for the expressions of docs/javascript.md."""
    names = {}
    exec(NAMES, names)  # noqa: S102
    return names


NAMES = """
import enum
from array import array
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from uuid import UUID

class Colour(enum.Enum):
    RED = "red"

@dataclass
class Point:
    x: int
    y: float
"""


@export
async def ask_page(name, *args, **kwargs):
    return await page()[name](*args, **kwargs)


@export
async def ask_page_and_catch(name):
    try:
        await page()[name]()
    except RemoteError as error:
        return [error.type_name, str(error)]


@export
def report_and_compute(count, seconds):
    for number in range(count):
        report(number, {"of": count})
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


notes = []


@export
def noted():
    """Gives what the generators have noted, and forgets it."""
    told = list(notes)
    notes.clear()
    return told


@export
def rows(count):
    """A sync generator, which notes how far it is, and its end."""
    try:
        for number in range(count):
            notes.append(number)
            yield {"number": number, "name": f"row {number}"}
    finally:
        notes.append("closed")


@export
async def rows_async(count, seconds=0.0):
    """An async generator, which awaits before each item."""
    try:
        for number in range(count):
            await asyncio.sleep(seconds)
            yield number
    except BaseException as error:
        notes.append(type(error).__name__)
        raise
    finally:
        await asyncio.sleep(0)
        notes.append("closed")


@export
async def one_then_wait():
    """Yields once, and then awaits for ever."""
    try:
        yield 1
        await asyncio.sleep(3600)
    except BaseException as error:
        notes.append(type(error).__name__)
        raise
    finally:
        await asyncio.sleep(0)
        notes.append("closed")


def passed_on(function):
    """Decorates a function as timers and caches do: returns what it returns."""

    @functools.wraps(function)
    def passing(*args):
        return function(*args)

    return passing


@export
@passed_on
def rows_behind(count):
    yield from range(count)


@export
@passed_on
async def rows_behind_async(count):
    for number in range(count):
        yield number


@export
class Source:
    """A class whose methods give streams, behind decorators."""

    @classmethod
    @passed_on
    def rows(cls, count):
        yield from range(count)

    @staticmethod
    @functools.lru_cache
    def cached(count):
        yield from range(count)


@export
@contextlib.contextmanager
def managed():
    yield 1


@export
def rows_that_fail(count):
    yield from range(count)
    raise LookupError("no more rows")


@export
def unsendable_rows():
    try:
        yield 1
        yield {"cell": [1j]}
    finally:
        notes.append("closed")


@export
def blocks(count, size):
    for number in range(count):
        yield bytes([number]) * size


@export
def changing():
    row = []
    for number in range(3):
        row.append(number)
        yield row


@export
def fails_to_close():
    try:
        while True:
            yield 1
    finally:
        raise ValueError("cannot clean up")


@export
def compute_rows(seconds):
    """Yields once, and computes for the next item."""
    yield "first"
    try:
        compute(seconds)
    except KeyboardInterrupt:
        notes.append("interrupted")
        raise
    yield "second"


@export
async def ask_for_rows():
    """Has the page's functions while it is iterated over."""
    for number in range(2):
        yield await page().twice(number)


@export
def generator_object(count):
    return (number for number in range(count))


@export
async def sum_of(numbers, count=None):
    """Adds the items of an async iterable of the page, all or some."""
    total = taken = 0
    async for number in numbers:
        total, taken = total + number, taken + 1
        if taken == count:
            break
    return total


@export
async def all_of(items, seconds=0):
    taken = []
    try:
        async for item in items:
            taken.append(item)
            await asyncio.sleep(seconds)
    except Exception as error:  # noqa: BLE001 - the test looks at it
        taken.append(str(error))
    return taken


@export
async def close_all(items):
    async for _ in items:
        break
    await items.aclose()
    return "closed"


@export
async def colours_of(dots: AsyncIterator[Dot]) -> list[Colour]:
    return [dot.colour async for dot in dots]


@export
async def doubled(numbers):
    async for number in numbers:
        yield number * 2
