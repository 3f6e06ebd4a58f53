"""Connections that have come and gone leave nothing: no object, no task, no reference, whatever they were used for."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import workerlib
from workerlib import Worker

from pace import PACE

CYCLES = 100 if sys.platform == "emscripten" else 1_000
COUNTED = (
    *("Connection", "Streams", "Stream", "Inbox", "Producer", "Worker", "Session"),
    *(
        "References",
        "RemoteObject",
        "Held",
        "GivenObject",
        "GivenFunction",
        "ReplyState",
        "Callback",
        "Served",
    ),
    *("coroutine", "async_generator", "generator", "Task", "JsProxy"),
)

_name_of = type.__dict__["__name__"].__get__

closed: list[str] = []
ended: list[str] = []


class Table:
    """Stays where it is."""

    def rows(self, count: int) -> Any:
        """Gives numbers, and notes its end."""
        try:
            yield from range(count)
        finally:
            ended.append("rows")

    def call(self, callback: Callable[[int], object]) -> None:
        """Calls a callback, and drops the answer."""
        callback(1)

    def close(self) -> None:
        """Is called when nobody has a handle."""
        closed.append("table")


async def numbers() -> AsyncIterator[int]:
    """Gives numbers without an end, and notes that it was closed."""
    try:
        while True:
            await asyncio.sleep(0)
            yield 1
    finally:
        ended.append("numbers")


async def first(items: AsyncIterator[int]) -> int:
    """Takes one item, and keeps nothing."""
    async for item in items:
        return item
    raise AssertionError("no item")


def counts() -> Counter[str]:
    """Counts the objects of the kinds of which each connection has some."""
    gc.collect()
    # By the type's own descriptor: other tests leave classes whose metaclass raises whatever is asked of it.
    found = Counter(map(_name_of, map(type, gc.get_objects())))
    return Counter({name: found[name] for name in COUNTED})


async def test_nothing_is_left_of_many_connections(
    connect: Callable[[], AbstractAsyncContextManager[Worker]],
) -> None:
    """Each has an object, streams that have not ended in both directions, and a callback when it closes."""
    workerlib.export(Table, numbers, first)

    async def use_one() -> None:
        async with connect() as worker:
            table = await worker.Table()
            rows = table.rows(1_000_000)
            assert await anext(rows) == 0
            assert await anext(worker.numbers()) == 1
            assert await worker.first(numbers()) == 1
            heard: list[int] = []
            await table.call(heard.append)
            assert heard == [1]

    for _ in range(3):
        await use_one()
    await asyncio.sleep(0)
    before, tasks = counts(), len(asyncio.all_tasks())
    closed.clear()
    ended.clear()
    for _ in range(CYCLES):
        await use_one()
    async with asyncio.timeout(30 * PACE):
        while len(asyncio.all_tasks()) > tasks or len(ended) < 3 * CYCLES or len(closed) < CYCLES:
            await asyncio.sleep(0.005)
    assert len(closed) == CYCLES
    assert len(ended) == 3 * CYCLES
    # The last connection may have a turn of the loop before it; each of them would leave something.
    left = counts() - before
    assert max(left.values(), default=0) < 3, left
