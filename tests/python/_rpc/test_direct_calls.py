"""Calls that Rust makes, serves and settles without Python in between: they are as the others are.

The first call of an export is served by `_rpc/serving.py`, later ones directly, so each test calls several times.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any

import pytest
import workerlib
from workerlib import Worker
from workerlib._rpc import call_log, serving
from workerlib._rpc.incoming_call import current_call

from awaitables import Endless, Later, add_later

Connect = Callable[[], AbstractAsyncContextManager[Worker]]

mark: ContextVar[int] = ContextVar("mark", default=0)


def connection_of(worker: Worker) -> Any:
    return worker._connection


async def test_only_the_first_call_of_an_export_is_served_by_python(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later calls take the direct path, which the other tests of this module need; else small calls take twice as long."""
    served: list[str] = []
    serve = serving._serve_at_once

    def note(connection: Any, call: Any, name: str, *rest: Any) -> None:
        served.append(name)
        serve(connection, call, name, *rest)

    monkeypatch.setattr(serving, "_serve_at_once", note)

    def add(a: int, b: int = 2) -> int:
        return a + b

    workerlib.export(add)
    async with connect() as worker:
        assert [await worker.add(1), await worker.add(2, b=3), await worker.add(3)] == [3, 5, 5]
    # Without eager tasks the event loop starts each call.
    assert served == (["add"] if sys.version_info >= (3, 12) else [])


async def test_the_context_of_a_direct_call_is_its_own(connect: Connect) -> None:
    """A variable that one call sets is not seen by the next, and each finds itself as the call that runs."""
    found: list[int] = []

    def enter(value: int) -> int:
        before = mark.get()
        mark.set(value)
        served = current_call.get()
        assert served is not None
        found.append(served.call)
        return before

    workerlib.export(enter)
    async with connect() as worker:
        assert [await worker.enter(1) for _ in range(4)] == [0, 0, 0, 0]
    assert len(found) == 4
    assert mark.get() == 0
    assert current_call.get() is None


@pytest.mark.parametrize(
    "kind", [ValueError, KeyboardInterrupt, SystemExit, StopIteration, asyncio.CancelledError, GeneratorExit]
)
async def test_exceptions_of_direct_calls(connect: Connect, kind: type[BaseException]) -> None:
    """Every exception is the outcome of its call, with the same stack frames of the function as at the first call."""

    def inner() -> None:
        raise kind("told")

    def fail() -> None:
        inner()

    workerlib.export(fail)
    seen = []
    async with connect() as worker:
        for _ in range(3):
            with pytest.raises(BaseException, match="told") as raised:
                await worker.fail()
            frames = traceback.extract_tb(raised.value.__traceback__)
            seen.append((type(raised.value), [frame.name for frame in frames][-2:]))
        assert not connection_of(worker)._calls
    assert len(set(map(repr, seen))) == 1


async def test_an_awaitable_that_a_direct_call_gives_is_awaited(connect: Connect) -> None:
    """A coroutine, and an object with `__await__`, give their outcome; a cancel reaches them."""
    endless = Endless()

    def give(kind: str) -> Any:
        if kind == "object":
            return Later()
        return endless.wait() if kind == "wait" else add_later(1, 2)

    workerlib.export(give)
    async with connect() as worker:
        for _ in range(2):
            endless.is_cancelled = False
            assert [await worker.give("object"), await worker.give("coroutine")] == [11, 3]
            waiting = asyncio.ensure_future(worker.give("wait"))
            await worker.give("object")
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert endless.is_cancelled


async def test_an_export_that_is_replaced(connect: Connect) -> None:
    """The function that has the name now is called, though another one was served directly."""

    def answer() -> int:
        return 1

    workerlib.export(answer)
    async with connect() as worker:
        assert [await worker.answer() for _ in range(3)] == [1, 1, 1]

        def other() -> int:
            return 2

        # As a cell of a notebook that runs again.
        other.__name__, other.__qualname__ = answer.__name__, answer.__qualname__
        workerlib.export(other)
        assert [await worker.answer() for _ in range(3)] == [2, 2, 2]


async def test_the_log_sees_direct_calls(connect: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    """The log may be turned on and off between two calls."""

    def add(a: int, b: int) -> int:
        return a + b

    workerlib.export(add)
    async with connect() as worker:
        try:
            for _ in range(3):
                await worker.add(1, 2)
            assert capsys.readouterr().out == ""
            workerlib.log()
            await worker.add(3, 4)
            assert "Calling add(): (3, 4)" in capsys.readouterr().out
            workerlib.log(False)
            await worker.add(5, 6)
            assert capsys.readouterr().out == ""
        finally:
            call_log.switch(None)


async def test_arguments_and_results_that_need_more(connect: Connect) -> None:
    """Callbacks, deep values, large values and reports among direct calls of the same function."""
    reported: list[int] = []

    def take(value: Any) -> Any:
        if callable(value):
            value(7)
            return None
        if isinstance(value, str):
            workerlib.report(len(value))
        return value

    def deep(levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels):
            value = [value]
        return value

    heard: list[int] = []
    workerlib.export(take)
    async with connect() as worker:
        for _ in range(2):
            assert await worker.take(1) == 1
            await worker.take(heard.append)
            assert await worker.take(deep(300)) == deep(300)
            assert await worker.take(bytes(100_000)) == bytes(100_000)
            assert await worker.take.options(on_report=reported.append)("abc") == "abc"
    assert heard == [7, 7]
    assert reported == [3, 3]


async def test_calls_that_cannot_be_sent_leave_nothing(connect: Connect) -> None:
    """An argument that cannot be sent, and a closed connection, are errors of the call alone."""

    def take(value: Any) -> Any:
        return value

    workerlib.export(take)
    async with connect() as worker:
        for _ in range(3):
            with pytest.raises(workerlib.UnsendableError, match=r"args\[0\]\[1\]"):
                await worker.take([1, object()])
            assert await worker.take(2) == 2
        connection = connection_of(worker)
        assert not connection._calls
        assert connection._session.in_flight == 0
        connection.close()
        with pytest.raises(workerlib.ConnectionClosedError):
            await worker.take(3)


async def test_direct_calls_that_are_cancelled(connect: Connect) -> None:
    """A call that has been sent is cancelled as every other; the next one works."""
    started = asyncio.Event()

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    def work() -> str:
        return "worked"

    workerlib.export(wait, work)
    async with connect() as worker:
        for _ in range(3):
            waiting: Awaitable[None] = asyncio.ensure_future(worker.wait())
            await started.wait()
            started.clear()
            waiting.cancel()  # type: ignore[attr-defined]
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await worker.work() == "worked"


async def test_many_direct_calls_at_a_time(connect: Connect) -> None:
    """Calls that start together, whose answers come together: each has its own answer, an error too."""

    def halve(value: int) -> int:
        if value % 2:
            raise ValueError(str(value))
        return value // 2

    workerlib.export(halve)
    async with connect() as worker:
        for _ in range(3):
            outcomes = await asyncio.gather(
                *(worker.halve(value) for value in range(300)), return_exceptions=True
            )
            for value, outcome in enumerate(outcomes):
                assert str(outcome) == (str(value) if value % 2 else str(value // 2))
                assert isinstance(outcome, ValueError) == bool(value % 2)
