"""A thousand connections with callbacks, streams and objects come and go, and leave neither references nor tasks."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import workerlib

from pace import seconds

_CYCLES = 1_000


def _left() -> Counter[str]:
    """Counts the objects of this package, and the tasks."""
    gc.collect()
    left = Counter(
        f"{kind.__module__}.{kind.__qualname__}"
        for kind in map(type, gc.get_objects())
        # A class may have something else by that name.
        if str(kind.__module__).startswith(("workerlib._rpc", "workerlib._native", "workerlib._channels"))
    )
    left["tasks"] = len(asyncio.all_tasks())
    return left


@pytest.mark.skipif(sys.platform == "emscripten", reason="the loop of a page ends ports in its own time")
async def test_nothing_is_left_of_a_thousand_connections(connect: Any) -> None:
    """Callbacks that were called, awaited, kept by the worker and returned to the page end with their connection."""
    kept: dict[str, Any] = {}

    @workerlib.export
    async def use(callback: Any) -> Any:
        callback(1)
        assert await callback(2) == 4
        kept["callback"] = callback
        return lambda: "of the worker"

    async def cycle() -> None:
        async with connect() as worker:
            function = await worker.use(lambda value: 2 * value)
            assert await function() == "of the worker"

    await _leave_nothing(cycle)


@pytest.mark.skipif(sys.platform == "emscripten", reason="the loop of a page ends ports in its own time")
async def test_nothing_is_left_of_streams_and_objects(connect: Any) -> None:
    """Streams that ended, broke off or stand open, and handles that were closed, kept or sent back, end with their connection."""
    kept: dict[str, Any] = {}

    @workerlib.export
    class Table:
        def rows(self, count: int) -> Iterator[int]:
            yield from range(count)

        async def rows_later(self) -> AsyncIterator[int]:
            yield 1
            await asyncio.Event().wait()

        def same(self, table: object) -> bool:
            return table is self

    @workerlib.export
    def rows(count: int) -> Iterator[int]:
        yield from range(count)

    @workerlib.export
    async def total(numbers: AsyncIterator[int]) -> int:
        kept["numbers"] = numbers
        return await anext(numbers) + await anext(numbers)

    async def numbers() -> AsyncIterator[int]:
        for number in range(2):
            yield number

    async def cycle() -> None:
        async with connect() as worker:
            assert [row async for row in worker.rows(3)] == [0, 1, 2]
            async for _ in worker.rows.options(ahead=4)(100):
                break
            kept["open"] = worker.rows.options(ahead=4)(100)
            assert await anext(kept["open"]) == 0
            assert await worker.total(numbers()) == 1
            async with await worker.Table() as table:
                assert [row async for row in table.rows(2)] == [0, 1]
            kept["table"] = await worker.Table()
            assert await kept["table"].same(kept["table"])
            kept["waiting"] = kept["table"].rows_later()
            assert await anext(kept["waiting"]) == 1

    await _leave_nothing(cycle)


async def _leave_nothing(cycle: Callable[[], Awaitable[None]]) -> None:
    """Checks that a thousand cycles leave no more than ten of them."""
    for _ in range(10):
        await cycle()
    before = _left()
    for _ in range(_CYCLES):
        await cycle()
    async with asyncio.timeout(seconds(20)):
        # The loop may have callbacks left, which run a little later.
        while (more := _left() - before).total() > 0:
            await asyncio.sleep(0.05)
    assert not more
