"""Callbacks that Rust invokes and whose answers it settles: they mean the same as those that Python runs."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from typing import Any

import pytest
import workerlib
from workerlib import Reply, Worker
from workerlib._rpc import connection as driver
from workerlib._rpc.incoming_call import current_call

Connect = Callable[[], AbstractAsyncContextManager[Worker]]
CallBack = Callable[..., Reply[Any]]

mark: ContextVar[int] = ContextVar("mark", default=0)


def connection_of(worker: Worker) -> Any:
    return worker._connection


async def twice(callback: CallBack, *values: Any) -> list[Any]:
    return [await callback(*values), await callback(*values)]


@pytest.mark.parametrize("returned", [None, 7, [1, "two"]])
async def test_no_step_of_a_callback_is_done_by_python(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, returned: object
) -> None:
    """The invocation, and both kinds of answers, take the direct path; else an awaited callback takes 1.5 small calls."""
    done: list[str] = []

    def noting(name: str, step: Callable[..., None]) -> Callable[..., None]:
        def note(*arguments: Any) -> None:
            done.append(name)
            step(*arguments)

        return note

    for name in ("invoke", "heard", "return"):
        monkeypatch.setitem(driver._DONE_BY, name, noting(name, driver._DONE_BY[name]))
    workerlib.export(twice)
    async with connect() as worker:
        assert await worker.twice(lambda _value: returned, 1) == [returned, returned]
    assert done == []


async def test_the_context_of_a_callback_is_the_one_in_which_it_was_passed(connect: Connect) -> None:
    """Each invocation has a copy of it, and is the running call there."""
    found: list[tuple[int, bool]] = []

    def hear() -> None:
        found.append((mark.get(), current_call.get() is not None))
        mark.set(99)

    workerlib.export(twice)
    async with connect() as worker:
        mark.set(5)
        call = worker.twice(hear)
        await call
        mark.set(6)
        await worker.twice(hear)
        assert mark.get() == 6
    assert found == [(5, True)] * 2 + [(6, True)] * 2
    assert current_call.get() is None


@pytest.mark.parametrize(
    "kind", [ValueError, KeyboardInterrupt, SystemExit, StopIteration, asyncio.CancelledError]
)
async def test_exceptions_of_callbacks(connect: Connect, kind: type[BaseException]) -> None:
    """Every exception is the outcome of its invocation; the next one runs."""
    is_failing = True

    def hear() -> str:
        if is_failing:
            raise kind("told")
        return "heard"

    async def catch(callback: CallBack) -> list[str]:
        nonlocal is_failing
        caught = []
        for _ in range(3):
            try:
                await callback()
            except BaseException as error:  # noqa: BLE001 - each kind is an outcome
                caught.append(str(error))
        is_failing = False
        return [*caught, await callback()]

    workerlib.export(catch)
    async with connect() as worker:
        *told, heard = await worker.catch(hear)
        assert ["told" in text for text in told] == [True] * 3, told
        assert heard == "heard"
        assert not connection_of(worker)._served
        assert connection_of(worker)._session.serving == 0


async def test_callbacks_that_need_more(connect: Connect) -> None:
    """Async callbacks, callbacks among the arguments, deep values, and results that cannot be sent."""

    async def hear_later(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    def hear_callback(other: CallBack) -> None:
        other("from the page")

    def make(value: Any = None) -> object:
        return object() if value is None else value

    def deep(levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels):
            value = [value]
        return value

    heard: list[str] = []

    async def try_all(later: CallBack, with_callback: CallBack, echo: CallBack, bad: CallBack) -> list[Any]:
        results = [await later(1), await with_callback(heard.append), await echo(deep(300)) == deep(300)]
        try:
            await bad()
        except workerlib.UnsendableError:
            results.append("unsendable")
        return [*results, await later(2)]

    workerlib.export(try_all)
    async with connect() as worker:
        for _ in range(2):
            results = await worker.try_all(hear_later, hear_callback, make, make)
            assert results == [2, None, True, "unsendable", 3]
        assert connection_of(worker)._session.serving == 0
    assert heard == ["from the page"] * 2


async def test_methods_of_objects_are_invoked_directly(connect: Connect) -> None:
    """A method that does not exist, and one whose object is closed, raise as before."""

    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def add(self, more: int) -> int:
            self.count += more
            return self.count

        async def add_later(self, more: int) -> int:
            await asyncio.sleep(0)
            return self.add(more)

    workerlib.export(Counter)
    async with connect() as worker:
        counter = await worker.Counter()
        assert [await counter.add(1), await counter.add(2), await counter.add_later(3)] == [1, 3, 6]
        references = connection_of(worker).references
        with pytest.raises(AttributeError, match="has no public method 'take'"):
            await references.call(counter._held, "take", (), {})
        with pytest.raises(TypeError, match="missing 1 required positional argument"):
            await counter.add()


async def test_several_tasks_that_wait_for_one_answer(connect: Connect) -> None:
    """Each of them gets it, and so does who asks for it before they go on."""
    found: list[Any] = []

    async def wait_together(callback: CallBack) -> list[Any]:
        reply = callback(3)

        async def wait() -> Any:
            value = await reply
            found.append(reply.done())
            return value

        return [*await asyncio.gather(wait(), wait(), wait()), await reply, reply.done(), reply.result()]

    workerlib.export(wait_together)
    async with connect() as worker:
        assert await worker.wait_together(lambda value: [value]) == [[3]] * 4 + [True, [3]]
    assert found == [True] * 3


async def test_an_error_that_several_tasks_wait_for(connect: Connect) -> None:
    """Each of them raises it."""

    def fail() -> None:
        raise LookupError("told")

    async def wait_together(callback: CallBack) -> list[str]:
        reply = callback()

        async def wait() -> Any:
            return await reply

        outcomes = await asyncio.gather(wait(), wait(), return_exceptions=True)
        return [repr(outcome) for outcome in outcomes]

    workerlib.export(wait_together)
    async with connect() as worker:
        assert await worker.wait_together(fail) == ["LookupError('told')"] * 2


async def test_a_wait_that_is_cancelled_leaves_nothing(connect: Connect) -> None:
    """The callback is cancelled with it, the reply says so, and the next one works."""
    ended: list[str] = []

    async def hear(is_endless: bool) -> str:
        try:
            if is_endless:
                await asyncio.Event().wait()
        finally:
            ended.append("ended")
        return "heard"

    async def give_up(callback: CallBack) -> list[Any]:
        reply = callback(True)
        waiting = asyncio.ensure_future(_wait(reply))
        await callback(False)
        waiting.cancel()
        outcome = await asyncio.gather(waiting, return_exceptions=True)
        return [type(outcome[0]).__name__, reply.done(), await callback(False)]

    workerlib.export(give_up)
    async with connect() as worker:
        for _ in range(2):
            assert await worker.give_up(hear) == ["CancelledError", True, "heard"]
        for connection in (connection_of(worker), *_others(worker)):
            assert not connection.references.replies
            assert not connection._calls
    assert ended == ["ended"] * 6


async def _wait(reply: Awaitable[Any]) -> Any:
    return await reply


def _others(worker: Worker) -> list[Any]:
    """Finds the connections of the other sides in this Python."""
    mine = connection_of(worker)
    return [
        one
        for one in gc.get_objects()
        if type(one) is type(mine) and one is not mine and not one.closed.done()
    ]


async def test_answers_of_a_connection_that_ends(connect: Connect) -> None:
    """Callers that wait hear of the end, an answer that nobody waits for tells whoever asks, and nothing is left."""
    replies: list[Reply[Any]] = []

    async def ask(callback: CallBack) -> None:
        replies.extend([callback(), callback()])
        await replies[0]

    async def never() -> None:
        await asyncio.Event().wait()

    workerlib.export(ask)
    async with connect() as worker:
        call = asyncio.ensure_future(worker.ask(never))
        while not replies:
            await asyncio.sleep(0)
        connection_of(worker).close()
        with pytest.raises(workerlib.ConnectionClosedError):
            await call
        for _ in range(20):
            await asyncio.sleep(0)
        assert [reply.done() for reply in replies] == [True, True]
        with pytest.raises(workerlib.ConnectionClosedError):
            await replies[1]
