"""The worker of the shared suite: functions for its tests to call, on every host.

It imports nothing that a host may lack. Tests may share one worker, so each names what it leaves here.
"""

from __future__ import annotations

import asyncio
import builtins
import contextvars
import gc
import inspect
import sys
import time
import warnings
from collections.abc import AsyncIterator, Iterator
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


# Streams.


@workerlib.export
def count_up(count: int) -> Iterator[int]:
    yield from range(count)


@workerlib.export
async def count_up_async(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


@workerlib.export
async def count_up_slowly(count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0.001)
        yield number


@workerlib.export
def each_of(items: list[Any]) -> Iterator[Any]:
    yield from items


@workerlib.export
def growing(count: int) -> Iterator[list[int]]:
    row: list[int] = []
    for number in range(count):
        row.append(number)
        yield row


@workerlib.export
def without_end() -> Iterator[int]:
    while True:
        yield 1


@workerlib.export
def noting(key: str, count: int) -> Iterator[int]:
    """Notes how it ends."""
    note(key, "begun")
    try:
        yield from range(count)
    except BaseException as error:
        note(key, type(error).__name__)
        raise
    finally:
        note(key, "finally")


@workerlib.export
async def noting_async(key: str, count: int) -> AsyncIterator[int]:
    """Notes how it ends, after it has awaited."""
    note(key, "begun")
    try:
        for number in range(count):
            yield number
    except BaseException as error:
        note(key, type(error).__name__)
        raise
    finally:
        await asyncio.sleep(0.01)
        note(key, "finally")


@workerlib.export
def noting_numbers(key: str, count: int) -> Iterator[int]:
    for number in range(count):
        notes[key] = [number + 1]
        yield number


@workerlib.export
async def noting_numbers_async(key: str, count: int) -> AsyncIterator[int]:
    for number in range(count):
        notes[key] = [number + 1]
        yield number


@workerlib.export
async def noting_numbers_slowly(key: str, count: int) -> AsyncIterator[int]:
    for number in range(count):
        await asyncio.sleep(0)
        notes[key] = [number + 1]
        yield number


@workerlib.export
async def blocks_slowly(count: int, size: int) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number]) * size
        await asyncio.sleep(0.001)


_scope: contextvars.ContextVar[str] = contextvars.ContextVar("scope")


@workerlib.export
async def in_one_task(key: str, count: int) -> AsyncIterator[int]:
    """Notes in each step whether it runs in the task of the first one."""
    first = asyncio.current_task()
    token = _scope.set(key)

    def compare() -> None:
        if len(notes.get(key, ())) < 4 or count < 10:
            note(key, "same" if asyncio.current_task() is first and _scope.get() == key else "another")

    compare()
    try:
        async with asyncio.timeout(600):
            for number in range(count):
                yield number
                compare()
    finally:
        await asyncio.sleep(0)
        note(key, "same" if asyncio.current_task() is first else "another")
        # It raises in another context.
        _scope.reset(token)


@workerlib.export
async def items_then_wait(key: str, count: int) -> AsyncIterator[int]:
    """Yields some numbers, then waits for ever, and notes how that ended."""
    for number in range(count):
        yield number
    events[key] = asyncio.Event()
    try:
        await events[key].wait()
    except BaseException as error:
        await asyncio.sleep(0.01)
        note(key, type(error).__name__)
        raise
    finally:
        del events[key]


@workerlib.export
async def survive(key: str) -> AsyncIterator[int]:
    """Waits for ever, and ends otherwise than by the cancel."""
    events[key] = asyncio.Event()
    try:
        await events[key].wait()
    except asyncio.CancelledError:
        if key == "raises":
            raise LookupError("instead of a cancel") from None
        return
    finally:
        del events[key]
    yield 1


@workerlib.export
def fail_after(count: int) -> Iterator[int]:
    if count < 0:
        raise ValueError("no stream at all")
    yield from range(count)
    raise LookupError(f"after {count}")


@workerlib.export
async def fail_after_async(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number
    raise LookupError(f"after {count}")


@workerlib.export
def fail_at_the_end(count: int) -> Iterator[int]:
    try:
        yield from range(count)
    finally:
        raise LookupError("while it cleaned up")


@workerlib.export
def yield_a_thing(key: str, count: int) -> Iterator[Any]:
    try:
        yield from range(count)
        yield {"thing": object()}
    except BaseException as error:
        note(key, type(error).__name__)
        raise


@workerlib.export
def blocks(count: int, size: int) -> Iterator[bytes]:
    for number in range(count):
        yield bytes([number]) * size


@workerlib.export
def texts(count: int) -> Iterator[str]:
    for number in range(count):
        yield "x" * number


@workerlib.export
async def total(lines: Any, *others: Any) -> int:
    return sum([len(line) async for line in lines])


@workerlib.export
async def totals(lines: dict[str, Any]) -> list[int]:
    return [await total(one) for one in (lines["first"], *lines["second"])]


@workerlib.export
async def take(numbers: AsyncIterator[Any], count: int) -> list[Any]:
    taken = []
    async for number in numbers:
        taken.append(number)
        if len(taken) == count:
            break
    return taken


@workerlib.export
async def take_for_ever(numbers: AsyncIterator[Any]) -> None:
    async for _ in numbers:
        pass


@workerlib.export
def ignore(*_streams: Any) -> int:
    return len(_streams)


@workerlib.export
def give_rows(count: int) -> AsyncIterator[int]:
    return count_up_async(count)


@workerlib.export
def give_both(count: int) -> dict[str, Any]:
    return {"first": count_up_async(count), "second": workerlib.stream(count_up(count))}


@workerlib.export
async def streams_of(count: int) -> AsyncIterator[AsyncIterator[int]]:
    for number in range(count):
        yield count_up_async(number)


# Callbacks.

kept: dict[str, Any] = {}
"""Callbacks that a call has left here."""


@workerlib.export
def train(steps: int, progress: Any) -> int:
    """Reports progress from sync code, and computes between the reports."""
    for step in range(steps):
        busy(0.001)
        progress(step / steps)
    return steps


@workerlib.export
async def train_slowly(steps: int, progress: Any) -> int:
    """Reports progress from async code, which goes on before the next step."""
    for step in range(steps):
        progress(step)
        await asyncio.sleep(0)
    return steps


@workerlib.export
async def ask(question: Any, *args: Any, **kwargs: Any) -> Any:
    """Awaits the answer of a callback."""
    return await question(*args, **kwargs)


@workerlib.export
async def ask_all(questions: list[Any]) -> list[Any]:
    """Awaits the answers of several callbacks at a time."""
    return await asyncio.gather(*[question() for question in questions])


@workerlib.export
def call_order(order: Any) -> str:
    """Calls the callback among the attributes of an object."""
    for row in range(order.rows):
        order.on_row(row)
    return type(order.on_row).__name__


@workerlib.export
def call_within(nested: Any) -> int:
    """Calls every callback at any depth of dicts and lists."""
    if isinstance(nested, dict):
        return sum(call_within(value) for value in nested.values())
    if isinstance(nested, list | tuple):
        return sum(call_within(value) for value in nested)
    if callable(nested):
        nested("called")
        return 1
    return 0


@workerlib.export
async def call_then(progress: Any, then: str) -> str:
    """Calls a callback, drops the reply, and then does something else."""
    progress()
    if then == "wait":
        await asyncio.Event().wait()
    elif then == "turn":
        for _ in range(100):
            await asyncio.sleep(0.001)
    return then


@workerlib.export
def call_and_return(progress: Any) -> str:
    """Calls a callback from sync code and returns before it can be answered."""
    progress()
    return "returned"


@workerlib.export
async def catch(question: Any) -> str:
    """Awaits a callback and handles what it raises."""
    try:
        await question()
    except ValueError as error:
        return f"caught {error}"
    return "nothing raised"


@workerlib.export
def keep(key: str, callback: Any) -> None:
    kept[key] = callback


@workerlib.export
async def call_kept(key: str, *args: Any) -> Any:
    return await kept[key](*args)


@workerlib.export
def call_kept_unawaited(key: str, *args: Any) -> None:
    kept[key](*args)


@workerlib.export
def drop_kept(key: str) -> None:
    del kept[key]


@workerlib.export
def return_kept(key: str) -> Any:
    return kept[key]


@workerlib.export
def make_adder(first: int) -> Any:
    """Returns a function, which the page calls where it is."""
    return lambda second: first + second


@workerlib.export
async def ask_until_cancelled(key: str, question: Any) -> None:
    """Awaits a callback that never answers, and notes how that ended."""
    try:
        await question()
    except asyncio.CancelledError:
        notes.setdefault(key, []).append("cancelled")
        raise


@workerlib.export
async def cancel_a_question(question: Any) -> str:
    """Cancels the await of a callback."""
    task = asyncio.ensure_future(question())
    await asyncio.sleep(0.01)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        return "cancelled"
    return "not cancelled"


@workerlib.export
async def keep_and_wait(key: str, progress: Any) -> None:
    """Keeps its callback, waits until it is cancelled, and reports that it cleans up."""
    kept[key] = progress
    events[key] = asyncio.Event()
    try:
        await asyncio.Event().wait()
    finally:
        del events[key]
        progress("cleaning up")


@workerlib.export
def flood(times: int, progress: Any) -> str:
    """Calls a callback from sync code so many times without a pause, whatever comes of it."""
    try:
        for number in range(times):
            progress(number)
    except workerlib.BackPressureError as error:
        return str(error)
    return "all were sent"


@workerlib.export
async def misuse(callback: Any, use: str) -> str:
    """Uses a reply as a value, which raises TypeError."""
    reply = callback(1)
    uses: dict[str, Any] = {
        "truth": lambda: bool(reply),
        "if": lambda: 1 if callback(1) else 2,
        "filter": lambda: list(filter(callback, [1, 2])),
        "sorted": lambda: sorted([1, 2], key=callback),
        "equal": lambda: reply == 1,
        "unequal": lambda: reply != 1,
        "less": lambda: reply < 1,
        "add": lambda: reply + 1,
        "radd": lambda: 1 + reply,
        "sum": lambda: sum([reply]),
        "iterate": lambda: list(reply),
        "unpack": lambda: print(*reply),
        "hash": lambda: {reply},
        "index": lambda: [1, 2][reply],
        "item": lambda: reply[0],
        "format": lambda: f"{reply}",
        "call": lambda: reply(1),
        "max": lambda: max(reply, 2),
        "in": lambda: 1 in reply,
    }
    try:
        uses[use]()
    except TypeError as error:
        return str(error)
    finally:
        await reply
    return "no error"


@workerlib.export
def ask_in_sync_code(question: Any, *args: Any) -> Any:
    """Takes the answer of a callback without an await."""
    return question(*args).result()


@workerlib.export
async def await_and_take(question: Any, *args: Any) -> list[Any]:
    """Awaits one answer of a callback, and takes another in a sync helper."""
    return [await question(*args), ask_in_sync_code(question, *args)]


@workerlib.export
async def ask_often(question: Any, count: int) -> list[Any]:
    """Awaits the answers of a callback, one after the other."""
    return [await question(number) for number in range(count)]


@workerlib.export
def return_a_reply(callback: Any) -> Any:
    return callback(1)


@workerlib.export
async def nest_calls(depth: int, go_deeper: Any) -> int:
    """Asks the page, which calls the worker again, and so on."""
    return 0 if depth == 0 else 1 + await go_deeper(depth - 1)


@workerlib.export
def is_callback(value: Any) -> bool:
    return isinstance(value, workerlib.Callback)


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


# Remote objects.


@workerlib.export
class Table:
    """Stays in the worker; its handles travel."""

    open_tables = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.rows_there = [1, 2, 3]
        Table.open_tables += 1

    def query(self, factor: int = 1) -> list[int]:
        return [factor * row for row in self.rows_there]

    async def query_slowly(self, factor: int = 1) -> list[int]:
        await asyncio.sleep(0.01)
        return self.query(factor)

    def rows(self) -> Iterator[int]:
        yield from self.rows_there

    async def rows_async(self) -> AsyncIterator[int]:
        for row in self.rows_there:
            yield row

    def add(self, row: int) -> Table:
        self.rows_there.append(row)
        return self

    def fail(self) -> None:
        raise LookupError(f"nothing in {self.name}")

    async def wait(self, key: str) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.setdefault(key, []).append("cancelled")
            raise

    def each(self, call: Any) -> None:
        for row in self.rows_there:
            call(row)

    def _private(self) -> None:
        raise AssertionError("nobody calls this")

    def close(self) -> None:
        Table.open_tables -= 1
        notes.setdefault("closed tables", []).append(self.name)


class Model:
    """Is not exported: one instance is sent by `workerlib.remote`."""

    def __init__(self) -> None:
        self.asked = 0

    def ask(self, question: str) -> str:
        self.asked += 1
        return f"{question}? {self.asked}"

    def close(self) -> None:
        raise AssertionError("the worker keeps it")


model = Model()


@workerlib.export
def load_model() -> Any:
    return workerlib.remote(model)


@workerlib.export
def is_the_model(value: Any) -> bool:
    return value is model


@workerlib.export
def name_of(table: Any) -> str:
    return f"{type(table).__name__} {table.name}"


@workerlib.export
async def ask_object(thing: Any, method: str, *args: Any) -> Any:
    return await getattr(thing, method)(*args)
