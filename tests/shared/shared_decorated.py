"""Generators behind decorators, whatever carries them: a call is awaited or iterated over, as its caller says."""

from __future__ import annotations

import asyncio
import gc
import inspect
import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import workerlib
from workerlib import UnsendableError, Worker

from expecting import raises
from shared_streams import noted, open_streams, until

Connect = Callable[..., AbstractAsyncContextManager[Worker]]

EITHER = (
    *("passed_on", "passed_on_async", "passed_on_without_wraps", "passed_on_later", "passed_on_later_async"),
    *("without_annotation", "without_annotation_async", "by_expression", "perhaps"),
    *("passed_on_by_class", "passed_on_twice", "of_another", "of_another_async", "by_type"),
)
"""Exports that return a generator which a decorator passes on."""


async def test_a_generator_behind_a_decorator_is_a_stream(worker: Worker) -> None:
    """A loop over a call gets the items of the generator that the function returns, whichever decorator returns it."""
    for name in EITHER:
        assert [row async for row in worker[name](3)] == [0, 1, 2], name
        assert [row async for row in worker[name].options(ahead=1)(20)] == list(range(20)), name
    assert [row async for row in worker.partial_passed_on()] == [0, 1, 2]
    assert [row async for row in worker.cached_rows(2)] == [0, 1]
    assert [row async for row in worker.cached_rows(2)] == [], "as there: it is the same generator"
    assert await open_streams(worker) == (0, 0)


async def test_what_only_binds_arguments_is_no_decorator(worker: Worker) -> None:
    """A partial function of a generator function, and an object whose `__call__` yields, are streams as those are."""
    for stream in (worker.partial_rows(), worker.called_object(3)):
        assert [row async for row in stream] == [0, 1, 2]
    with raises(TypeError, match="is a stream: write `async for"):
        await worker.called_object(3)


async def test_a_generator_behind_a_decorator_can_be_awaited(worker: Worker) -> None:
    """As a result, a generator arrives as a list and an async one as a stream, as they do from any function."""
    for name in EITHER:
        result = await worker[name](3)
        rows = [row async for row in result] if isinstance(result, workerlib.Stream) else result
        assert rows == [0, 1, 2], name
        assert isinstance(result, workerlib.Stream) == ("async" in name), name
    assert await asyncio.gather(worker.passed_on(2), worker.passed_on(1)) == [[0, 1], [0]]
    assert await asyncio.create_task(worker.passed_on(2)) == [0, 1]
    assert await asyncio.wait_for(worker.passed_on(2), 60) == [0, 1]
    assert inspect.iscoroutinefunction(worker.passed_on) == hasattr(inspect, "markcoroutinefunction")


async def test_a_decorator_may_make_a_list(worker: Worker) -> None:
    """The list is awaited. Whoever iterates over the call is told so, also at `async with`."""
    assert await worker.listed_rows(3) == [0, 1, 2]
    for step in (
        lambda: anext(worker.listed_rows(3)),
        lambda: worker.listed_rows(3).__aenter__(),
    ):
        with raises(TypeError, match=r"listed_rows\(\) returned list, .* write `await listed_rows\(…\)`"):
            await step()


async def test_a_context_manager_stays_there(worker: Worker) -> None:
    """It is a decorated generator too, but nothing to iterate over: each way to call it says what to write instead."""
    for name in ("managed", "managed_async"):
        with raises(TypeError, match="nothing to be streamed: a context manager is entered where it is"):
            async with worker[name](3):
                pass
        with raises(UnsendableError, match="it is a context manager, which is entered where it is"):
            await worker[name](3)


async def test_a_call_is_awaited_or_iterated_over(worker: Worker) -> None:
    """Not both, and it starts as late as a coroutine or a stream does."""
    call = worker.noting_behind("behind-both", 1)
    assert repr(call) == "<workerlib.Stream 'noting_behind', not started>"
    assert await worker.noted("behind-both") == []
    assert await call == [0]
    with raises(RuntimeError, match="has been awaited: call it again"):
        await anext(call)
    call = worker.passed_on(3)
    assert await anext(call) == 0
    with raises(RuntimeError, match="is iterated over: call it again"):
        await call
    await call.aclose()
    never = worker.passed_on(3)
    never.close()
    with raises(RuntimeError, match=r"passed_on\(\) has been closed: call it again to await its result"):
        await never


async def test_a_call_that_has_been_closed(worker: Worker) -> None:
    """A call is not made after `close()` or `aclose()`, and its `repr()` says how it was used."""
    for end in ("close", "aclose"):
        call = worker.noting_behind("behind-closed", 1)
        if (ending := getattr(call, end)()) is not None:
            await ending
        assert repr(call) == "<workerlib.Stream 'noting_behind', ended>", end
        with raises(
            RuntimeError, match=r"noting_behind\(\) has been closed: call it again to await its result"
        ):
            await call
        assert [row async for row in call] == [], end
        call.close()
        await call.aclose()
    assert await worker.noted("behind-closed") == []
    call = worker.listed_rows(2)
    assert await call == [0, 1]
    assert repr(call) == "<workerlib.Stream 'listed_rows', awaited>"
    call.close()
    rows = worker.passed_on(1_000_000)
    assert await anext(rows) == 0
    assert repr(rows) == "<workerlib.Stream 'passed_on', open>"
    with raises(RuntimeError, match=r"passed_on\(\) is iterated over, .* write `await ….aclose\(\)`"):
        rows.close()
    await rows.aclose()
    rows.close()
    assert await open_streams(worker) == (0, 0)


async def test_an_export_that_returns_a_call_of_a_generator(worker: Worker) -> None:
    """An export without annotation is a stream if it returns a generator function's call, and a value if not."""
    assert await worker.sum_of_rows(4) == 6
    assert inspect.iscoroutine(call := worker.sum_of_rows(1))
    assert await call == 0
    assert await worker.perhaps(0) is None
    with raises(TypeError, match=r"perhaps\(\) returned NoneType, .* write `await perhaps\(…\)`"):
        await anext(worker.perhaps(0))


async def test_a_call_that_nobody_awaits_is_told(worker: Worker) -> None:
    """A forgotten `await` is a warning, as of any coroutine; a call that was given up, awaited or iterated over is none."""
    decorated = await worker.Decorated()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert await worker.listed_rows(2) == [0, 1]
        assert [row async for row in worker.passed_on(2)] == [0, 1]
        worker.passed_on(2).close()
        await worker.passed_on(2).aclose()
        assert not [str(one.message) for one in caught if one.category is RuntimeWarning]
        worker.listed_rows(3)
        decorated.listed(3)
        gc.collect()
        texts = [str(one.message) for one in caught if one.category is RuntimeWarning]
    assert texts == [
        "listed_rows() was never awaited, nor iterated over",
        "Decorated.listed() was never awaited, nor iterated over",
    ]


async def test_a_stream_behind_a_decorator_ends_as_others_do(worker: Worker) -> None:
    """`break` and `aclose()` close the generator; a cancelled `await` is that of a call."""
    async for row in worker.noting_behind("behind-break", 10_000_000):
        if row == 2:
            break
    del row
    assert await noted(worker, "behind-break", 2) == ["GeneratorExit", "end"]
    async with worker.noting_behind("behind-close", 10_000_000) as rows:
        assert await anext(rows) == 0
    assert await worker.noted("behind-close") == ["GeneratorExit", "end"]
    assert await open_streams(worker) == (0, 0)
    call = asyncio.ensure_future(worker.held_behind("behind-cancel"))
    assert await noted(worker, "behind-cancel") == ["begun"]
    call.cancel()
    with raises(asyncio.CancelledError):
        await call
    assert await noted(worker, "behind-cancel", 2) == ["begun", "CancelledError"]


async def test_a_call_is_passed_on_as_a_stream(worker: Worker) -> None:
    """Among arguments it streams, as each async iterable."""
    assert await worker.take(worker.passed_on(4), 9) == [0, 1, 2, 3]
    assert await open_streams(worker) == (0, 0)


async def test_a_handle_is_relayed_with_such_methods(worker: Worker, connect: Connect) -> None:
    """A third side iterates over them, or awaits them, by way of this one."""
    decorated = await worker.Decorated()
    async with connect() as other:
        for method in ("behind", "later_async", "annotated", "from_zero"):
            assert await other.rows_of(decorated, method, 3) == [0, 1, 2], method
        assert await other.result_of(decorated, "annotated", 3) == [0, 1, 2]
        assert await other.result_of(decorated, "listed", 3) == [0, 1, 2]
        with raises(TypeError, match=r"Decorated\.listed\(\) returned list"):
            await other.rows_of(decorated, "listed", 3)


async def test_methods_behind_decorators(worker: Worker) -> None:
    """Methods of handles, class methods and static methods are as functions; a cached property is no method."""
    decorated = await worker.Decorated()
    methods = ("behind", "later", "later_async", "by_type", "annotated")
    for call in (
        *(getattr(decorated, name) for name in methods),
        worker.Decorated.of_class,
        worker.Decorated.static,
    ):
        assert [row async for row in call(3)] == [0, 1, 2], call
        assert [row async for row in call.options(ahead=1)(20)] == list(range(20)), call
        result = await call(3)
        rows = [row async for row in result] if isinstance(result, workerlib.Stream) else result
        assert rows == [0, 1, 2], call
        assert isinstance(result, workerlib.Stream) == ("async" in call.__name__), call
    assert [row async for row in decorated.from_zero(3)] == [0, 1, 2]
    with raises(TypeError, match=r"Decorated\.from_zero\(\) is a stream"):
        await decorated.from_zero(3)
    assert [row async for row in decorated.cached(2)] == [0, 1]
    assert await decorated.listed(3) == [0, 1, 2]
    with raises(
        TypeError, match=r"Decorated\.listed\(\) returned list, .* write `await Decorated\.listed\(…\)`"
    ):
        await anext(decorated.listed(3))
    with raises(AttributeError, match="no public method 'no_method'"):
        decorated.no_method  # noqa: B018
    await until(lambda: worker._connection._session.streams == (0, 0), "the streams have ended")
