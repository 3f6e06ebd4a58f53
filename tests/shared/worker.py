"""The worker of the shared suite: functions for its tests to call, on every host.

It imports nothing that a host may lack. Tests may share one worker, so each names what it leaves here. Functions for streams
and for callbacks stand in modules of their own; `worker_files.py` tells hosts where these are.
"""

from __future__ import annotations

import asyncio
import builtins
import functools
import gc
import inspect
import sys
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import workerlib

import worker_callbacks  # noqa: F401 - importing it exports its functions
import worker_decorated  # noqa: F401 - as above
import worker_streams  # noqa: F401 - as above
from worker_state import busy, events, note, notes

# A generator among the results is meant: the warning would stand in a page's console as an error.
warnings.simplefilter("ignore", workerlib.ConversionWarning)


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


def with_scale(function: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function that gets its first argument here, and not from its caller."""

    @functools.wraps(function)
    def scaled(*args: Any, **kwargs: Any) -> Any:
        return function(10, *args, **kwargs)

    return scaled


@workerlib.export
@with_scale
def add_scaled(scale: int, a: int, *, b: int = 1) -> int:
    """Adds two numbers, scaled by what the decorator says."""
    return scale * (a + b)


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


workerlib.export(note)


@workerlib.export
def noted(key: str) -> list[Any]:
    return notes.get(key, [])


workerlib.export(busy)


@workerlib.export
def collect_garbage() -> None:
    gc.collect()


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
async def call_page_many(name: str, count: int) -> list[Any]:
    """Calls a function of the page many times at a time."""
    return await asyncio.gather(*(workerlib.page()[name](number) for number in range(count)))


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


# Reports, and sync code that waits for the page.


@workerlib.export
def report_and_compute(seconds: float) -> None:
    workerlib.report(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


@workerlib.export
def report_each(count: int) -> int:
    for number in range(count):
        workerlib.report(number, {"of": count})
    return count


@workerlib.export
async def report_and_hold(key: str, count: int) -> None:
    for number in range(count):
        workerlib.report(number)
    await hold(key)


@workerlib.export
def loop_with_progress(count: int) -> None:
    for _ in workerlib.progress(range(count)):
        pass


@workerlib.export
async def loop_with_async_progress(count: int) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(count):
            yield number

    async for _ in workerlib.progress(numbers()):
        pass


@workerlib.export
def report_a_thing() -> None:
    workerlib.report(object())


@workerlib.export(blocking=True)
def wait_for_page(name: str, *args: Any, **kwargs: Any) -> Any:
    return workerlib.wait(workerlib.page()[name](*args, **kwargs))


@workerlib.export
def can_run_sync() -> bool:
    """Tells whether Pyodide's own way to wait works here: by JSPI."""
    if sys.platform != "emscripten":
        return False
    import js

    return hasattr(js.WebAssembly, "Suspending")


@workerlib.export(blocking=True)
def run_page_sync(name: str, *args: Any) -> Any:
    """Waits for the page by Pyodide's own function."""
    from pyodide.ffi import run_sync

    return run_sync(workerlib.page()[name](*args))


@workerlib.export
def make_cycles(count: int) -> int:
    """Makes garbage that only collections free; returns how many have run meanwhile."""
    before = sum(one["collections"] for one in gc.get_stats())
    for _ in range(count):
        cycle: list[Any] = []
        cycle.append(cycle)
    return sum(one["collections"] for one in gc.get_stats()) - before


@workerlib.export(blocking=True)
def wait_for_page_for(seconds: float, name: str, *args: Any) -> Any:
    return workerlib.wait(workerlib.page()[name].options(timeout=seconds)(*args))


@workerlib.export
def can_wait() -> bool:
    """Tells whether sync code can wait here: natively, where memory is shared, or by JSPI."""
    if sys.platform != "emscripten":
        return sys.platform != "win32"
    import js

    is_node = hasattr(js, "process") and not hasattr(js, "Worker")
    return is_node or bool(js.crossOriginIsolated) or hasattr(js.WebAssembly, "Suspending")


@workerlib.export
def wait_for_steps(items: AsyncIterator[Any]) -> tuple[bool, list[Any]]:
    """Waits for the first step of a stream, and tells whether the event loop goes on meanwhile."""
    from workerlib._rpc.waiting import ways

    def attempt(awaitable: Any) -> Any:
        try:
            return workerlib.wait(awaitable)
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return type(error).__name__, str(error)

    goes_on = ways.suspend() is not None
    told = [attempt(anext(items)), attempt(items), attempt(once()), attempt(5)]
    return goes_on, [*told, attempt(anext(once()))]


async def once() -> AsyncIterator[int]:
    yield 1


# Remote objects.


@workerlib.export
class Table:
    """Stays in the worker; its handles travel."""

    open_tables = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows_there = [1, 2, 3]
        Table.open_tables += 1

    @classmethod
    def make(cls, name: str, rows: int = 3) -> Table:
        """Makes a table with so many rows."""
        table = cls(name)
        table.rows_there = [*range(1, rows + 1)]
        return table

    @classmethod
    async def make_slowly(cls, name: str) -> Table:
        await asyncio.sleep(0.01)
        return cls(name)

    @staticmethod
    def plus(left: int, right: int) -> int:
        return left + right

    @classmethod
    def numbers(cls, count: int) -> Iterator[int]:
        for number in range(count):
            workerlib.report(number)
            yield number

    @classmethod
    def _hidden(cls) -> None:
        raise AssertionError("nobody calls this")

    def query(self, factor: int = 1) -> list[int]:
        """Returns the rows.

        Each is multiplied.
        """
        return [factor * row for row in self.rows_there]

    async def query_slowly(self, factor: int = 1) -> list[int]:
        await asyncio.sleep(0.01)
        return self.query(factor)

    def rows(self) -> Iterator[int]:
        """Yields the rows."""
        yield from self.rows_there

    def report_rows(self) -> int:
        for row in self.rows_there:
            workerlib.report("row", row)
        return len(self.rows_there)

    async def rows_async(self) -> AsyncIterator[int]:
        for row in self.rows_there:
            yield row

    async def rows_for_ever(self, key: str) -> AsyncIterator[int]:
        try:
            while True:
                await asyncio.sleep(0)
                notes.setdefault(key, []).append("step")
                yield len(notes[key])
        except BaseException as error:
            notes[key].append(type(error).__name__)
            raise
        finally:
            notes[key].append(f"{len(self.rows_there)} rows")

    async def rows_after(self, key: str) -> AsyncIterator[int]:
        await self.wait(key)
        yield 1

    def rows_that_fail(self) -> Iterator[int]:
        yield 1
        raise LookupError(f"no more rows in {self.name}")

    def add(self, row: int) -> Table:
        self.rows_there.append(row)
        return self

    def fail(self) -> None:
        raise LookupError(f"nothing in {self.name}")

    async def wait(self, key: str) -> None:
        event = events[key] = asyncio.Event()
        try:
            await event.wait()
        except asyncio.CancelledError:
            notes.setdefault(key, []).append("cancelled")
            raise
        finally:
            del events[key]

    def each(self, call: Any) -> None:
        for row in self.rows_there:
            call(row)

    def _private(self) -> None:
        raise AssertionError("nobody calls this")

    def close(self) -> None:
        Table.open_tables -= 1
        notes.setdefault("closed tables", []).append(self.name)


@workerlib.export(name="NarrowTable")
class Narrow(Table):
    """Is exported under another name, and has the class methods of its base."""

    @staticmethod
    def plus(left: int, right: int) -> int:
        return left + right + 100


class Model:
    """Is not exported: one instance is sent by `workerlib.remote`."""

    def __init__(self) -> None:
        self.asked = 0

    def has_methods(self) -> str:
        return "a method of the user's"

    def ask(self, question: str) -> str:
        """Answers a question."""
        self.asked += 1
        return f"{question}? {self.asked}"

    def close(self) -> None:
        raise AssertionError("the worker keeps it")


model = Model()


@workerlib.export
def load_model() -> Any:
    return workerlib.remote(model)


@workerlib.export
def signature_of(table: Any, method: str) -> tuple[str, str | None]:
    return str(inspect.signature(getattr(table, method))), getattr(table, method).__doc__


@workerlib.export
def is_table(thing: Any, member: str = "") -> bool:
    return thing is Table if not member else thing == getattr(Table, member)


@workerlib.export
def is_the_model(value: Any) -> bool:
    return value is model


@workerlib.export
def name_of(table: Any) -> str:
    return f"{type(table).__name__} {table.name}"


@workerlib.export
async def ask_object(thing: Any, method: str, *args: Any) -> Any:
    return await getattr(thing, method)(*args)


@workerlib.export
async def rows_of_object(thing: Any) -> list[Any]:
    return [row async for row in thing.rows()]
