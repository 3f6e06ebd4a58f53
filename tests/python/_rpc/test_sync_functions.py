"""Sync functions that run in the event of their message: without a task, and as if they had one."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any

import pytest
import workerlib
from workerlib import Worker

from awaitables import Endless, Later, add_later
from pace import PACE

Connect = Callable[[], AbstractAsyncContextManager[Worker]]

mark: ContextVar[int] = ContextVar("mark", default=0)


async def test_each_call_has_a_context_of_its_own(connect: Connect) -> None:
    """A context variable that one call sets is not seen by another, and is by what the call started."""

    def enter(value: int) -> int:
        before = mark.get()
        mark.set(value)
        return before

    async def look_later() -> int:
        await asyncio.sleep(0)
        return mark.get()

    def start(value: int) -> Awaitable[int]:
        mark.set(value)
        return look_later()

    workerlib.export(enter, start)
    async with connect() as worker:
        assert [await worker.enter(1), await worker.enter(2)] == [0, 0]
        assert await asyncio.gather(worker.start(3), worker.start(4)) == [3, 4]
    assert mark.get() == 0


async def test_a_call_leaves_nothing_to_the_collector(connect: Connect) -> None:
    """Calls of each kind are freed when they end: a cycle costs time at each call, and memory until it is found."""

    def add(a: int, b: int) -> int:
        return a + b

    async def add_at_once(a: int, b: int) -> int:
        return a + b

    async def add_later(a: int, b: int) -> int:
        await asyncio.sleep(0)
        return a + b

    async def call_back(callback: Callable[[int], Awaitable[int]], value: int) -> int:
        return await callback(value)

    async def double(value: int) -> int:
        await asyncio.sleep(0)
        return 2 * value

    workerlib.export(add, add_at_once, add_later, call_back)
    async with connect() as worker:
        kinds: dict[str, Callable[[], Awaitable[Any]]] = {
            "sync": lambda: worker.add(1, 2),
            "async": lambda: worker.add_at_once(1, 2),
            "suspended": lambda: worker.add_later(1, 2),
            "callback": lambda: worker.call_back(double, 3),
        }
        left = {}
        for kind, call in kinds.items():
            for _ in range(3):
                await call()
            gc.collect()
            gc.disable()
            try:
                for _ in range(20):
                    await call()
                await asyncio.sleep(0)
                left[kind] = gc.collect()
            finally:
                gc.enable()
    # The event loop and the test's own tasks may leave an object or two.
    assert {kind: count for kind, count in left.items() if count >= 20} == {}


async def test_an_awaitable_of_a_sync_function_is_awaited(connect: Connect) -> None:
    """A coroutine, a task and an object with __await__ give their outcome, errors too, and a cancel reaches them."""
    endless = Endless()

    def coroutine(b: int) -> Awaitable[int]:
        return add_later(1, b)

    def task() -> Awaitable[int]:
        return asyncio.ensure_future(add_later(3, 4))

    def later() -> Awaitable[int]:
        return Later()

    def wait() -> Awaitable[None]:
        return endless.wait()

    workerlib.export(coroutine, task, later, wait)
    async with connect() as worker:
        assert [await worker.coroutine(2), await worker.task(), await worker.later()] == [3, 7, 11]
        with pytest.raises(ValueError, match="negative"):
            await worker.coroutine(-1)
        waiting = asyncio.ensure_future(worker.wait())
        # Calls start in order, so that one runs when the next has its answer.
        await worker.task()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert endless.is_cancelled


@pytest.mark.parametrize(
    "kind", [KeyboardInterrupt, SystemExit, StopIteration, asyncio.CancelledError, GeneratorExit]
)
async def test_no_exception_of_a_sync_function_leaves_its_call(
    connect: Connect, kind: type[BaseException]
) -> None:
    """Exceptions with a meaning for the loop or for generators end the call, and the next one works."""

    def fail() -> None:
        raise kind("told")

    def work() -> str:
        return "worked"

    workerlib.export(fail, work)
    async with connect() as worker:
        with pytest.raises(BaseException, match="told"):
            await worker.fail()
        assert await worker.work() == "worked"


async def test_results_that_cannot_be_sent_are_errors_of_the_call(connect: Connect) -> None:
    """The answer of a function without a task may fail, which its caller hears."""

    def give() -> Any:
        return object()

    workerlib.export(give)
    async with connect() as worker:
        with pytest.raises(workerlib.UnsendableError):
            await worker.give()
        with pytest.raises(workerlib.UnsendableError):
            await worker.give()


async def test_a_sync_function_never_has_a_task_of_others(connect: Connect) -> None:
    """The task that the function finds is that of its call, or none: it could cancel it."""
    found: list[asyncio.Task[Any] | None] = []

    def look() -> None:
        found.append(asyncio.current_task())

    workerlib.export(look)
    async with connect() as worker:
        caller = asyncio.current_task()
        await worker.look()
        await asyncio.gather(worker.look(), worker.look())
    assert len(found) == 3
    assert all(task is None or task.get_name() == "workerlib: look" for task in found)
    assert caller not in found
    if sys.version_info >= (3, 12):
        assert None in found


async def test_a_function_that_ends_the_connection(connect: Connect) -> None:
    """The end of the connection within a function is not an error of the worker, and what it gives is not awaited for ever."""
    ended = asyncio.Event()

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    connections: list[Any] = []

    def end() -> Awaitable[None]:
        from workerlib._rpc.incoming_call import current_call

        served = current_call.get()
        assert served is not None
        connections.append(served.connection)
        served.connection.close("enough")
        return forever()

    workerlib.export(end)
    async with connect() as worker:
        with pytest.raises(workerlib.ConnectionClosedError):
            await worker.end()
        async with asyncio.timeout(10 * PACE):
            await ended.wait()
    assert not connections[0]._served
