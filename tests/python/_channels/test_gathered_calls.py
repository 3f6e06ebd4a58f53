"""Calls that `asyncio.gather()` starts have no task, and end as those that have one: where there are ports, which is in Pyodide."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import traceback
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
import workerlib
from workerlib import ConnectionClosedError, UnsendableError, Worker, __version__, _exports
from workerlib._native import Session
from workerlib._rpc.connection import Connection
from workerlib._rpc.gathered_calls import Gathered

from loopback import connected, port_channel

pytestmark = pytest.mark.skipif(sys.platform != "emscripten", reason="there are no ports outside of Pyodide")

mark: ContextVar[str] = ContextVar("mark", default="")

Start = Callable[..., Awaitable[list[Any]]]


def gather(*calls: Any) -> Awaitable[list[Any]]:
    return asyncio.gather(*calls, return_exceptions=True)


def gather_tasks(*calls: Any) -> Awaitable[list[Any]]:
    return asyncio.gather(*map(asyncio.create_task, calls), return_exceptions=True)


BOTH = pytest.mark.parametrize("start", [gather, gather_tasks])
"""What is true of calls with tasks is true of those without."""


@contextlib.asynccontextmanager
async def over_port() -> AsyncIterator[Worker]:
    async with connected(port_channel) as worker:
        yield worker
        assert not worker._connection._calls


@pytest.fixture
def futures(monkeypatch: pytest.MonkeyPatch) -> list[Gathered]:
    """All futures of calls without a task that the test makes."""
    made: list[Gathered] = []
    init = Gathered.__init__

    def note(self: Gathered, **options: Any) -> None:
        made.append(self)
        init(self, **options)

    monkeypatch.setattr(Gathered, "__init__", note)
    return made


def export_echo() -> list[Any]:
    """Exports a function that notes what it is called with."""
    heard: list[Any] = []

    @workerlib.export
    def echo(value: Any) -> Any:
        heard.append(value)
        return value

    return heard


async def test_gather_makes_no_task(futures: list[Gathered]) -> None:
    """Hundreds of calls are in flight, of which asyncio knows no task; every one has its own result, in order."""
    export_echo()
    async with over_port() as worker:
        for _ in range(3):
            futures.clear()
            both = asyncio.gather(*(worker.echo(number) for number in range(200)))
            assert len(asyncio.all_tasks()) == 1
            assert len(futures) == 200
            assert await both == list(range(200))


@BOTH
async def test_calls_begin_in_order_and_with_what_their_arguments_are_then(start: Start) -> None:
    """Calls with and without options begin in the order of `gather()`, when the code that called it waits."""
    heard = export_echo()
    items: list[int] = []
    async with over_port() as worker:
        slow = worker.echo.options(timeout=60)
        both = start(*(slow([n, items]) if n % 3 == 1 else worker.echo([n, items]) for n in range(9)))
        items.append(7)
        assert heard == []
        assert await both == [[n, [7]] for n in range(9)]
    assert [n for n, _ in heard] == list(range(9))


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("kind", [ValueError, StopIteration, asyncio.CancelledError, GeneratorExit])
async def test_exceptions(kind: type[BaseException], is_async: bool) -> None:
    """The exception of a call is that of a call that is awaited, with the same stack frames of the function."""

    def inner() -> None:
        raise kind("told")

    def fail() -> None:
        inner()

    async def fail_async() -> None:
        inner()

    def told(error: BaseException) -> tuple[str, list[str]]:
        frames = traceback.extract_tb(error.__traceback__) if kind is ValueError else []
        return repr(error), [frame.name for frame in frames][-2:]

    export_echo()
    workerlib.export(fail, fail_async)
    async with over_port() as worker:
        failing = worker.fail_async if is_async else worker.fail
        with pytest.raises(BaseException, match="told|StopIteration") as raised:
            await failing()
        expected = told(raised.value)
        for _ in range(2):
            first, error, last = await gather(worker.echo(1), failing(), worker.echo(2))
            assert (first, last) == (1, 2)
            assert told(error) == expected
    assert expected[1] == ([failing.__name__, "inner"] if kind is ValueError else [])


async def test_the_first_exception_is_raised() -> None:
    """Without `return_exceptions`, by the await of the `gather()`, while the other calls go on."""
    heard = export_echo()

    @workerlib.export
    def fail() -> None:
        raise ValueError("told")

    async with over_port() as worker:
        await worker.echo(0)
        with pytest.raises(ValueError, match="told") as raised:
            await asyncio.gather(worker.fail(), worker.echo(1), worker.fail())
        assert raised.traceback[-1].name == "fail"
        await worker.echo(2)
    assert heard == [0, 1, 2]


@BOTH
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
async def test_the_end_of_the_program(
    start: Start, kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A callback of the page that ends the program ends its call, and reaches the loop."""
    loop: Any = asyncio.get_running_loop()
    ended: list[str] = []
    monkeypatch.setattr(loop, "_system_exit_handler", lambda *_: ended.append("SystemExit"))
    monkeypatch.setattr(loop, "_keyboard_interrupt_handler", lambda *_: ended.append("KeyboardInterrupt"))

    def hear() -> None:
        raise kind("told")

    @workerlib.export
    def call_back(callback: Callable[[], Any]) -> None:
        callback()

    async with over_port() as worker:
        (error,) = await start(worker.call_back(hear))
        assert type(error) is kind
        while not ended:
            await asyncio.sleep(0)
    assert ended == [kind.__name__]


@BOTH
async def test_a_call_that_is_cancelled_before_it_begins_is_not_sent(start: Start) -> None:
    """A `gather()` that is cancelled at once sends none of its calls, and ends as cancelled."""
    heard = export_echo()
    async with over_port() as worker:
        both: Any = start(worker.echo(1), worker.echo(2))
        assert both.cancel("enough")
        assert not both.done()
        with pytest.raises(asyncio.CancelledError):
            await both
        assert await worker.echo(3) == 3
    assert heard == [3]


@BOTH
async def test_a_running_call_is_cancelled_in_the_worker(start: Start) -> None:
    """The functions hear of it; the `gather()` ends when they have ended."""
    ended: list[str] = []
    begun = asyncio.Event()

    @workerlib.export
    async def hold(name: str, result: str | None = None) -> str | None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            ended.append(name)
            if result is None:
                raise
        return result

    async with over_port() as worker:
        both: Any = start(worker.hold("one"), worker.hold("other", "a result"))
        await begun.wait()
        assert both.cancel()
        with pytest.raises(asyncio.CancelledError):
            await both
        assert sorted(ended) == ["one", "other"]
        begun.clear()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await start(worker.hold("third"))
        assert ended[2:] == ["third"]


@BOTH
async def test_a_call_that_gives_its_cancel_up_ends_by_the_grace(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that does not say anything about the cancel keeps nobody waiting."""
    monkeypatch.setattr("workerlib._rpc.connection._GRACE", 0.02)
    silent = asyncio.Event()

    @workerlib.export
    async def hold() -> None:
        silent.set()
        await asyncio.sleep(0.5)

    async with over_port() as worker:
        both: Any = start(worker.hold())
        await silent.wait()
        monkeypatch.setattr(Connection, "_on_cancel", lambda *_: None)
        monkeypatch.setitem(sys.modules["workerlib._rpc.connection"]._DONE_BY, "cancel", lambda *_: None)
        both.cancel()
        with pytest.raises(asyncio.CancelledError):
            await both
        assert not worker._connection._calls


@BOTH
async def test_a_call_is_used_up(start: Start) -> None:
    """It cannot be awaited, and not be gathered again, before or after it has begun."""
    heard = export_echo()
    async with over_port() as worker:
        call = worker.echo(1)
        first, again = start(call), start(call)
        assert await first == [1]
        (error,) = await again
        assert isinstance(error, RuntimeError)
        with pytest.raises(RuntimeError, match="already awaited"):
            await call
        (error,) = await start(call)
        assert isinstance(error, RuntimeError)
        other = worker.echo(2)
        assert await asyncio.gather(other, other) == [2, 2]
    assert heard == [1, 2]


async def test_arguments_that_cannot_be_sent(futures: list[Gathered]) -> None:
    """They fail their own call only. The error keeps neither the future nor the arguments alive."""
    export_echo()

    class Kept:
        pass

    async with over_port() as worker:
        for last in (worker.echo, None):
            kept = Kept()
            freed = weakref.ref(kept)
            failing = worker.echo([kept, lambda: 0, object()])
            results = await gather(worker.echo(1), failing, *([last(2)] if last is not None else []))
            assert [results[0], *results[2:]] == ([1] if last is None else [1, 2])
            assert isinstance(results[1], UnsendableError)
            ended = weakref.ref(futures[1])
            futures.clear()
            gc.disable()
            try:
                del kept, results, failing
                await asyncio.sleep(0)
                assert freed() is None
                assert ended() is None
            finally:
                gc.enable()


async def test_errors_of_calls_leave_no_cycle(futures: list[Gathered]) -> None:
    """A future is freed with the last reference to it and to its error."""

    @workerlib.export
    def fail() -> None:
        raise ValueError("told")

    async with over_port() as worker:
        for _ in range(2):
            (error,) = await gather(worker.fail())
            ended = weakref.ref(futures.pop())
            gc.disable()
            try:
                del error
                await asyncio.sleep(0)
                assert ended() is None
            finally:
                gc.enable()


async def test_results_are_freed_with_the_list(futures: list[Gathered]) -> None:
    """Nothing of workerlib's keeps a result, or a future."""
    export_echo()
    async with over_port() as worker:
        for _ in range(3):
            results = await gather(worker.echo({1, 2}), worker.echo({3}))
            ended = [weakref.ref(results[0]), *map(weakref.ref, futures)]
            futures.clear()
            gc.disable()
            try:
                del results
                await asyncio.sleep(0)
                assert [one() for one in ended] == [None] * 3
            finally:
                gc.enable()


@BOTH
async def test_the_end_of_the_connection(start: Start) -> None:
    """Each call in flight has an error of its own, and so has each call after it."""

    @workerlib.export
    async def hold() -> None:
        await asyncio.Event().wait()

    async with over_port() as worker:
        both = start(worker.hold(), worker.hold())
        await asyncio.sleep(0.01)
        worker.close()
        errors = [*await both, *await start(worker.hold(), worker.hold())]
        assert [type(error) for error in errors] == [ConnectionClosedError] * 4
        assert len(set(map(id, errors))) == 4


async def test_calls_that_wait_for_their_turn_have_tasks() -> None:
    """Where as many calls are in flight as may be, the others begin one after the other, and can be cancelled meanwhile."""
    end, page_end = port_channel()
    heard = export_echo()
    functions = dict(_exports.functions)
    serving = Connection(Session.listen(__version__, _exports.describe_exports()), end, functions)
    page = Connection(Session.connect(__version__, max_in_flight=2), page_end, {})
    await page.opened
    assert await asyncio.gather(*(page.call("echo", (number,), {}) for number in range(20))) == list(
        range(20)
    )
    assert heard == list(range(20))
    calls = [page.call("echo", (number,), {}) for number in range(20, 26)]
    both = asyncio.gather(*calls)
    await asyncio.sleep(0)
    both.cancel()
    with pytest.raises(asyncio.CancelledError):
        await both
    assert not page._calls
    assert await page.call("echo", (1,), {}) == 1
    assert len(heard) < 27
    page.close()
    await serving.closed


async def test_what_needs_a_task_has_one(futures: list[Gathered], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a program can see the task: a task factory, adapters, `create_task()`, options."""
    export_echo()
    seen: list[Any] = []

    class Text:
        pass

    def send(_text: Text) -> str:
        seen.append(asyncio.current_task())
        return "a text"

    loop = asyncio.get_running_loop()
    async with over_port() as worker:
        made: list[Any] = []

        def factory(loop: Any, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
            made.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **options)

        # Pyodide calls a function that Python 3.14 does not have.
        monkeypatch.setattr(asyncio.tasks, "_set_task_name", lambda *_: None, raising=False)
        loop.set_task_factory(factory)
        try:
            calls = [worker.echo(1), worker.echo(2)]
            assert await asyncio.gather(*calls) == [1, 2]
        finally:
            loop.set_task_factory(None)
        assert made == calls
        task = asyncio.create_task(worker.echo(1))
        assert isinstance(task, asyncio.Task)
        assert isinstance(asyncio.ensure_future(worker.echo(1)), asyncio.Task)
        async with asyncio.TaskGroup() as group:
            assert isinstance(group.create_task(worker.echo(1), name="named"), asyncio.Task)
        assert await asyncio.gather(worker.echo.options(timeout=60)(3), task) == [3, 1]
        assert futures == []
    workerlib.register_adapter(Text, send, str)
    async with over_port() as worker:
        assert await asyncio.gather(worker.echo(Text()), worker.echo(Text())) == ["a text"] * 2
    assert futures == []
    assert all(isinstance(one, asyncio.Task) for one in seen)
    assert len(set(map(id, seen))) == 2


@BOTH
async def test_the_context_is_that_of_gather(start: Start) -> None:
    """A callback among the arguments runs in the context in which `gather()` was called."""
    found: list[str] = []

    def hear() -> None:
        found.append(mark.get())

    @workerlib.export
    async def call_back(callback: Callable[[], Awaitable[None]]) -> None:
        await callback()

    async with over_port() as worker:
        mark.set("gathered")
        both = start(worker.call_back(hear), worker.call_back(hear))
        mark.set("later")
        await both
    assert found == ["gathered"] * 2


async def test_an_error_of_a_callback_ends_its_call() -> None:
    """The callback's error is the outcome of the call that it was passed to, and of no other."""
    error = ValueError("in the callback")

    def hear(number: int) -> None:
        if number == 2:
            raise error

    @workerlib.export
    def call_back(callback: Callable[[int], Any], number: int) -> int:
        callback(number)
        return number

    async with over_port() as worker:
        for _ in range(2):
            results = await gather(*(worker.call_back(hear, number) for number in range(4)))
            assert results[:2] == [0, 1]
            assert results[3] == 3
            assert repr(results[2]) == repr(error)


async def test_calls_of_two_connections_in_one_gather(futures: list[Gathered]) -> None:
    """They begin in the order in which they were given."""
    heard = export_echo()
    async with over_port() as one, over_port() as other:
        calls = [(one, other)[n % 2].echo(n) for n in range(6)]
        assert await asyncio.gather(*calls) == list(range(6))
    assert len(futures) == 6
    assert sorted(heard) == list(range(6))
