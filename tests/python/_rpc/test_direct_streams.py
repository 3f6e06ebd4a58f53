"""Streams whose first step Rust takes, from the second call of an export on: they are as the first one."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any

import pytest
import workerlib
from workerlib import Worker
from workerlib._rpc import call_log, starts
from workerlib._rpc.incoming_call import current_call
from workerlib._rpc.streams import Streams

Connect = Callable[[], AbstractAsyncContextManager[Worker]]

mark: ContextVar[int] = ContextVar("mark", default=0)


def connection_of(worker: Worker) -> Any:
    return worker._connection


async def all_of(stream: Any) -> list[Any]:
    return [item async for item in stream]


async def test_only_the_first_stream_of_an_export_is_opened_by_python(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later ones take the direct path, which the other tests of this module need; else a first item takes twice as long.

    Where sync code can wait, the loop starts the first call of an export, and its code is looked at when the second one comes.
    """
    served: list[str] = []
    serve = Streams.serve

    async def note(streams: Streams, call: Any, name: str, *rest: Any) -> None:
        served.append(name)
        await serve(streams, call, name, *rest)

    monkeypatch.setattr(Streams, "serve", note)

    def count(most: int) -> Iterator[int]:
        yield from range(most)

    workerlib.export(count)
    async with connect() as worker:
        assert [await all_of(worker.count(most)) for most in (3, 0, 1, 2_000)] == [
            [0, 1, 2],
            [],
            [0],
            [*range(2_000)],
        ]
        assert connection_of(worker)._session.streams == (0, 0)
    # Without eager tasks the event loop starts each call.
    by_python = 4 if sys.version_info < (3, 12) else 1 if starts.on_new_caller is None else 2
    assert served == ["count"] * by_python


async def test_all_steps_share_a_context(connect: Connect) -> None:
    """A variable that the first step sets is there in the others and in the `finally`, and nowhere else."""
    found: list[int] = []

    def enter() -> Iterator[int]:
        found.append(mark.get())
        token = mark.set(7)
        try:
            for _ in range(3):
                yield mark.get()
        finally:
            mark.reset(token)
            found.append(mark.get())

    workerlib.export(enter)
    async with connect() as worker:
        for _ in range(3):
            assert await all_of(worker.enter()) == [7, 7, 7]
    assert found == [0, 0] * 3
    assert mark.get() == 0
    assert current_call.get() is None


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("after", [0, 1, 3])
async def test_errors_come_in_their_place(connect: Connect, kind: type[BaseException], after: int) -> None:
    """An error of the first step, and one after items, are raised where they are in the loop."""

    def fail() -> Iterator[int]:
        yield from range(after)
        raise kind("told")

    workerlib.export(fail)
    async with connect() as worker:
        for _ in range(3):
            items = []
            with pytest.raises(BaseException, match="told"):
                async for item in worker.fail():
                    items.append(item)
            assert items == [*range(after)]
        assert connection_of(worker)._session.streams == (0, 0)


async def test_a_generator_is_closed_when_nobody_has_the_stream(connect: Connect) -> None:
    """Its `finally` runs after `break`, after `aclose()` and after one step; it is not ahead of a loop."""
    closed: list[int] = []
    produced = 0

    def count() -> Iterator[int]:
        nonlocal produced
        try:
            while True:
                produced += 1
                yield produced
        finally:
            closed.append(1)

    workerlib.export(count)
    async with connect() as worker:
        for _ in range(3):
            produced = 0
            stream = worker.count.options(ahead=4)()
            assert [await anext(stream), await anext(stream)] == [1, 2]
            await stream.aclose()
            assert produced <= 8
        async for item in worker.count():
            if item % 10 == 0:
                break
        await worker.count().aclose()
        async with worker.count() as stream:
            assert await anext(stream) > 0
    assert len(closed) == 5


async def test_items_that_need_more(connect: Connect) -> None:
    """Items that cannot be sent, deep ones, large ones, and callbacks as items and as arguments."""

    def give(kind: str, callback: Any = None) -> Iterator[Any]:
        if kind == "unsendable":
            yield object()
        elif kind == "deep":
            value: list[Any] = []
            for _ in range(300):
                value = [value]
            yield value
        elif kind == "large":
            yield bytes(1 << 20)
            yield bytes(1 << 10)
        else:
            callback(5)
            yield len

    heard: list[int] = []
    workerlib.export(give)
    async with connect() as worker:
        for _ in range(3):
            with pytest.raises(workerlib.UnsendableError):
                await all_of(worker.give("unsendable"))
            assert len(await all_of(worker.give("deep"))) == 1
            assert [len(item) for item in await all_of(worker.give("large"))] == [1 << 20, 1 << 10]
            (function,) = await all_of(worker.give("callback", heard.append))
            assert function is len or await function([1, 2]) == 2
    assert heard == [5, 5, 5]


async def test_calls_of_a_generator_function_for_no_stream_and_of_others_for_one(connect: Connect) -> None:
    """An export that is replaced by one of another kind gives what that gives."""

    def rows() -> Iterator[int]:
        yield from (1, 2)

    workerlib.export(rows)
    async with connect() as worker:
        for _ in range(3):
            assert await all_of(worker.rows()) == [1, 2]

        async def other() -> AsyncIterator[int]:
            yield 3

        other.__name__, other.__qualname__ = rows.__name__, rows.__qualname__
        workerlib.export(other)
        for _ in range(3):
            assert await all_of(worker.rows()) == [3]


async def test_the_log_sees_streams(connect: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    """The log may be turned on between two streams."""

    def rows(count: int) -> Iterator[int]:
        yield from range(count)

    workerlib.export(rows)
    async with connect() as worker:
        try:
            for _ in range(3):
                await all_of(worker.rows(2))
            capsys.readouterr()
            workerlib.log()
            await all_of(worker.rows(3))
            assert "rows" in capsys.readouterr().out
        finally:
            call_log.switch(None)


async def test_a_first_step_that_is_cancelled(connect: Connect) -> None:
    """The call is given up while its answer is on the way: the generator is closed, and the next stream works."""
    closed: list[int] = []

    def count() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(1)

    workerlib.export(count)
    async with connect() as worker:
        for _ in range(3):
            step = asyncio.ensure_future(anext(worker.count()))
            await asyncio.sleep(0)
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            async with worker.count() as stream:
                assert await anext(stream) == 1
        for _ in range(100):
            await asyncio.sleep(0)
        assert connection_of(worker)._session.streams == (0, 0)
