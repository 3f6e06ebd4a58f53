"""The functions of the shared suite's worker that take and give streams. `worker.py` imports them."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator
from typing import Any

import workerlib

from worker_state import events, note, notes


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
