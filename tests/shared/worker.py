"""The worker of the shared suite: functions for its tests to call, on every host.

It imports nothing that a host may lack. Tests may share one worker, so each names what it leaves here.
"""

from __future__ import annotations

import asyncio
import builtins
import inspect
import time
import warnings
from collections.abc import Iterator
from typing import Any

import workerlib

# A generator among the results is meant: the warning would stand in a page's console as an error.
warnings.simplefilter("ignore", workerlib.ConversionWarning)

events: dict[str, asyncio.Event] = {}
notes: dict[str, list[Any]] = {}


class OddError(Exception):
    """A class that the other side does not have."""


@workerlib.export
def echo(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


@workerlib.export
def add(a, b=10, *, scale: int = 1) -> int:  # type: ignore[no-untyped-def]
    """Adds two numbers.

    The result is scaled.
    """
    return (a + b) * scale  # type: ignore[no-any-return]


@workerlib.export
async def add_slowly(a: int, b: int) -> int:
    await asyncio.sleep(0.01)
    return a + b


def subtract(a: float, b: float) -> float:
    return a - b


def multiply(a: float, b: float) -> float:
    return a * b


workerlib.export(subtract, multiply)


@workerlib.export(name="divide")
def _divide(a: float, b: float) -> float:
    return a / b


@workerlib.export
def close() -> str:
    return "the worker's own close"


class Counter:
    """Counts, in a method that is exported."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def count(self, key: str, by: int = 1) -> int:
        self.counts[key] = self.counts.get(key, 0) + by
        return self.counts[key]


workerlib.export(Counter().count)
workerlib.export(name="largest")(max)
workerlib.export(name="text")(str)


@workerlib.export
async def hold(key: str) -> str:
    """Returns its key when release(key) has been called."""
    try:
        await events.setdefault(key, asyncio.Event()).wait()
    finally:
        events.pop(key, None)
    return key


@workerlib.export
async def release(key: str) -> None:
    events.setdefault(key, asyncio.Event()).set()


@workerlib.export
def held(begin: str = "") -> list[str]:
    return sorted(key for key in events if key.startswith(begin))


@workerlib.export
async def clean_up(key: str) -> None:
    """Waits for ever, and notes how that ended."""
    events[key] = asyncio.Event()
    try:
        await events[key].wait()
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        notes.setdefault(key, []).append("cleaned up")
        raise
    finally:
        del events[key]


@workerlib.export
def note(key: str, value: object) -> None:
    notes.setdefault(key, []).append(value)


@workerlib.export
def noted(key: str) -> list[Any]:
    return notes.get(key, [])


@workerlib.export
def busy(seconds: float) -> int:
    """Computes without a pause, as a long sync function does."""
    end = time.perf_counter() + seconds
    turns = 0
    while time.perf_counter() < end:
        turns += 1
    return turns


@workerlib.export
def describe(value: object) -> tuple[str, str]:
    return type(value).__name__, repr(value)


@workerlib.export
def change(items: list[str]) -> int:
    items.append("changed in the worker")
    return len(items)


@workerlib.export
def fill(size: int, byte: int) -> bytes:
    return bytes([byte]) * size


@workerlib.export
def length(data: bytes) -> int:
    return len(data)


@workerlib.export
def squares(count: int) -> Iterator[int]:
    """Returns a generator."""
    return (number * number for number in range(count))


@workerlib.export
def raise_named(name: str, *args: Any) -> None:
    """Raises the builtin exception of that name."""
    raise getattr(builtins, name)(*args)


@workerlib.export
async def raise_later() -> None:
    await asyncio.sleep(0.01)
    raise LookupError("after an await")


@workerlib.export
def raise_odd() -> None:
    raise OddError("odd", 1)


@workerlib.export
def raise_from_a_cause() -> None:
    try:
        {}["missing"]
    except KeyError as error:
        raise ValueError("outer") from error


@workerlib.export
def raise_with_notes() -> None:
    error = ValueError("with notes")
    error.add_note("the first note")
    error.add_note("the second note")
    raise error


@workerlib.export
def raise_group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), ExceptionGroup("inner", [KeyError("two")])])


@workerlib.export
def give_a_thing() -> dict[str, Any]:
    return {"rows": [1, (2, object())]}


@workerlib.export
def nest(levels: int) -> Any:
    """Makes lists within lists."""
    value: Any = None
    for _ in range(levels):
        value = [value]
    return value


class Celsius:
    """A class of this side's own: the adapter's key makes it that of the other side's."""

    def __init__(self, degrees: float) -> None:
        self.degrees = degrees


class Picture:
    """Its encoders and decoders are async."""

    def __init__(self, pixels: bytearray) -> None:
        self.pixels = pixels


async def _encode_picture(picture: Picture) -> bytearray:
    await asyncio.sleep(0)
    return picture.pixels


async def _decode_picture(pixels: bytearray) -> Picture:
    await asyncio.sleep(0)
    return Picture(pixels)


workerlib.register_adapter(Celsius, lambda value: value.degrees, Celsius, name="shared: Celsius")
workerlib.register_adapter(Picture, _encode_picture, _decode_picture, name="shared: Picture")


@workerlib.export
def warm(readings: Any) -> Celsius:
    first, step = readings
    assert type(first) is type(step["by"]) is Celsius
    return Celsius(first.degrees + step["by"].degrees)


@workerlib.export
def invert(*pictures: Picture) -> list[Picture]:
    return [Picture(bytearray(255 - pixel for pixel in picture.pixels)) for picture in pictures]


@workerlib.export
async def call_page(name: str, *args: Any, **kwargs: Any) -> Any:
    return await workerlib.page()[name](*args, **kwargs)


@workerlib.export
async def call_page_for(seconds: float, name: str, *args: Any) -> Any:
    return await workerlib.page()[name].options(timeout=seconds)(*args)


@workerlib.export
def describe_page_function(name: str) -> tuple[str, str | None]:
    function = workerlib.page()[name]
    return str(inspect.signature(function)), function.__doc__


@workerlib.export
async def call_given(function: Any, *args: Any) -> Any:
    return await function(*args)


@workerlib.export
async def count_down(key: str, levels: int) -> int:
    return 0 if levels == 0 else 1 + await workerlib.page().page_count_down(key, levels - 1)


later: list[asyncio.Task[Any]] = []


@workerlib.export
def call_page_later(name: str, *args: Any) -> None:
    """Has a task call the page when this call has ended."""

    async def call() -> Any:
        await asyncio.sleep(0.01)
        return await workerlib.page()[name](*args)

    later.append(asyncio.create_task(call()))


@workerlib.export
async def what_came_later() -> Any:
    return await later.pop()
