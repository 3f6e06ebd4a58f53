"""Calls between two sides in one Python: what a user of the library sees of a connection."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
import sys
import warnings
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import workerlib
from workerlib import Worker

from exact import assert_same
from pace import PACE
from values import VALUES, dismantle, nested_dicts, nested_lists, nested_tuples

Connect = Callable[[], AbstractAsyncContextManager[Worker]]


def echo(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


def add(a: int, b: int = 10, *, scale: int = 1) -> int:
    """Adds two numbers."""
    return (a + b) * scale


async def add_slowly(a: int, b: int) -> int:
    await asyncio.sleep(0.001)
    return a + b


async def test_values_as_arguments_and_results(connect: Connect) -> None:
    """Every listed value passes as an argument, as a keyword argument and in a result."""
    workerlib.export(echo)
    everything = list(VALUES.values())
    named = {f"value {index}": value for index, value in enumerate(everything)}
    async with connect() as worker:
        assert_same(await worker.echo(*everything, **named), (tuple(everything), named))


async def test_positions_keywords_and_defaults(connect: Connect) -> None:
    """A call binds as a local call does, for sync and async functions."""
    workerlib.export(add, add_slowly)
    async with connect() as worker:
        assert await worker.add(1, 2) == 3
        assert await worker.add(1) == 11
        assert await worker.add(b=1, a=2, scale=3) == 9
        assert await worker.add_slowly(a=1, b=2) == 3


async def test_any_keyword_name(connect: Connect) -> None:
    """Keywords are not mixed up with the library's own parameters."""
    workerlib.export(echo)
    named = {"self": 1, "name": 2, "args": 3, "kwargs": 4, "function": 5, "call": 6, "not a name": 7, "": 8}
    async with connect() as worker:
        assert_same(await worker.echo(**named), ((), named))


async def test_wrong_arguments(connect: Connect) -> None:
    """Arguments that do not fit are a TypeError that names the function, the fault and the signature."""
    workerlib.export(add)
    async with connect() as worker:
        for args, kwargs in (((), {}), ((1, 2, 3), {}), ((1,), {"c": 1}), ((1,), {"a": 1})):
            with pytest.raises(
                TypeError, match=r"add\(\) (got|missing) .*; its signature is add\(a: 'int', b: 'int' = 10, "
            ):
                await worker.add(*args, **kwargs)
        assert await worker.add(1, 2) == 3


async def test_functions_without_a_signature(connect: Connect) -> None:
    """Builtins whose signature Python cannot tell are called all the same; mistakes come from the worker."""
    workerlib.export(max)
    async with connect() as worker:
        assert await worker.max(1, 3, 2) == 3
        assert await worker.max([1, 2]) == 2
        with pytest.raises(TypeError):
            await worker.max()


async def test_kinds_of_callables(connect: Connect) -> None:
    """Methods, classes, partials and objects with __call__ are exported as functions are."""

    class Counter:
        def __init__(self) -> None:
            self.count = 0

        def step(self, by: int = 1) -> int:
            self.count += by
            return self.count

        async def __call__(self) -> int:
            return self.count

    counter = Counter()
    workerlib.export(counter.step)
    workerlib.export(name="count")(counter)
    workerlib.export(name="text")(str)
    async with connect() as worker:
        assert await worker.step() == 1
        assert await worker.step(by=2) == 3
        assert await worker.count() == 3
        assert await worker.text(7) == "7"


async def test_many_calls_at_a_time(connect: Connect) -> None:
    """A thousand calls in flight each get their own answer."""
    workerlib.export(add, add_slowly)
    async with connect() as worker:
        calls = [(worker.add_slowly if n % 2 else worker.add)(n, 1) for n in range(1000)]
        assert await asyncio.gather(*calls) == [n + 1 for n in range(1000)]


async def test_answers_in_any_order(connect: Connect) -> None:
    """Calls end in the order of their answers."""
    gates = [asyncio.Event() for _ in range(4)]
    ended: list[int] = []

    @workerlib.export
    async def hold(number: int) -> int:
        await gates[number].wait()
        return number

    async with connect() as worker:

        async def caller(number: int) -> None:
            ended.append(await worker.hold(number))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(caller(number)) for number in range(4)]
            for number in (2, 0, 3, 1):
                gates[number].set()
                while not tasks[number].done():
                    await asyncio.sleep(0)
    assert ended == [2, 0, 3, 1]


async def test_a_call_is_a_coroutine(connect: Connect) -> None:
    """It is a collections.abc.Coroutine, and asyncio takes it as such."""
    workerlib.export(add)
    async with connect() as worker:
        call = worker.add(1, 2)
        assert isinstance(call, Coroutine)
        assert asyncio.iscoroutine(call)
        assert await call == 3
        assert await asyncio.create_task(worker.add(1, 3)) == 4
        assert await asyncio.wait_for(worker.add(1, 4), 10 * PACE) == 5
        assert await asyncio.gather(worker.add(1, 5), worker.add(1, 6)) == [6, 7]
        async with asyncio.TaskGroup() as group:
            task = group.create_task(worker.add(1, 7))
        assert task.result() == 8
        with pytest.raises(RuntimeError, match="already awaited"):
            await call


async def test_a_call_starts_when_it_is_awaited(connect: Connect) -> None:
    """Nothing is sent before, and a call that nobody awaits warns as any coroutine does."""
    calls: list[int] = []

    @workerlib.export
    def note(number: int) -> None:
        calls.append(number)

    async with connect() as worker:
        call = worker.note(1)
        await asyncio.sleep(0.02)
        assert calls == []
        await call
        assert calls == [1]
        with pytest.warns(RuntimeWarning, match="never awaited"):
            worker.note(2)
        await worker.note(3)
    assert calls == [1, 3]


async def test_arguments_are_read_when_the_call_starts(connect: Connect) -> None:
    """Changes before the start are sent, changes after it are not."""
    workerlib.export(echo)
    async with connect() as worker:
        items = [1]
        data = bytearray(b"a" * 50_000)
        call = worker.echo(items, data)
        items.append(2)
        data[0] = 0
        assert_same(await call, (([1, 2], data), {}))
        task = asyncio.create_task(worker.echo(items, data))
        await asyncio.sleep(0)
        items.append(3)
        data[1] = 0
        received = (await task)[0]
        assert received[0] == [1, 2]
        assert received[1][:2] == b"\0a"
        # A buffer that is still held would refuse this.
        data.append(1)


async def test_a_cancelled_caller(connect: Connect) -> None:
    """The caller is free at once, the function is cancelled, and the connection lives on."""
    seen: list[str] = []
    started = asyncio.Event()

    @workerlib.export
    async def hold() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    workerlib.export(add)
    async with connect() as worker:
        task = asyncio.create_task(worker.hold())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await worker.add(1, 2) == 3
        assert seen == ["cancelled"]
        with pytest.raises(TimeoutError):
            # Wherever the call is by then.
            async with asyncio.timeout(0.02):
                await worker.hold()
        assert await worker.add(1, 2) == 3


async def test_a_function_that_does_not_let_itself_be_cancelled(connect: Connect) -> None:
    """Its own outcome is that of the call, as it is with a task of asyncio's."""
    started = asyncio.Event()

    @workerlib.export
    async def stubborn() -> str:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "an answer all the same"
        return ""

    workerlib.export(add)
    async with connect() as worker:
        task = asyncio.create_task(worker.stubborn())
        await started.wait()
        task.cancel()
        assert await task == "an answer all the same"
        for number in range(5):
            assert await worker.add(number, 1) == number + 1


async def test_a_call_cancelled_before_it_is_sent(connect: Connect) -> None:
    """A task that never ran sends nothing."""
    calls: list[int] = []

    @workerlib.export
    def note(number: int) -> None:
        calls.append(number)

    async with connect() as worker:
        task = asyncio.create_task(worker.note(1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await worker.note(2)
    assert calls == [2]


async def test_closing_ends_calls_in_flight(connect: Connect) -> None:
    """Pending calls get a ConnectionClosedError, and so do later ones."""
    started = asyncio.Semaphore(0)

    @workerlib.export
    async def hold() -> None:
        started.release()
        await asyncio.Event().wait()

    async with connect() as worker:
        tasks = [asyncio.create_task(worker.hold()) for _ in range(3)]
        for _ in tasks:
            await started.acquire()
        worker.close()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [workerlib.ConnectionClosedError] * 3
        assert len({id(result) for result in results}) == 3
        with pytest.raises(workerlib.ConnectionClosedError):
            await worker.hold()
        with pytest.raises(ConnectionError):
            await worker["hold"]()
        worker.close()


async def test_async_with_closes(connect: Connect) -> None:
    """A worker in an `async with` is closed at its end."""
    workerlib.export(add)
    async with connect() as worker:
        async with worker as same:
            assert same is worker
            assert await worker.add(1, 2) == 3
        with pytest.raises(workerlib.ConnectionClosedError):
            await worker.add(1, 2)


async def test_what_is_not_exported(connect: Connect) -> None:
    """It is an AttributeError that lists what is, and so is a name that vanished meanwhile."""
    workerlib.export(add, echo)
    async with connect() as worker:
        for access in (lambda: worker.subtract, lambda: worker["subtract"]):
            with pytest.raises(workerlib.NotExportedError, match="subtract.*add.*echo") as caught:
                access()
            assert isinstance(caught.value, AttributeError)
        assert not hasattr(worker, "subtract")
        assert not hasattr(worker, "__len__")
        assert not hasattr(worker, "_repr_html_")


async def test_nothing_exported(connect: Connect) -> None:
    """A worker without exports connects and says so."""
    async with connect() as worker:
        with pytest.raises(workerlib.NotExportedError, match="nothing"):
            _ = worker.add


async def test_a_function_that_vanished(connect: Connect) -> None:
    """A function that is no longer exported when the call arrives raises the worker's AttributeError."""
    from workerlib import _exports

    workerlib.export(add, echo)
    async with connect() as worker:
        del _exports.functions["add"]
        with pytest.raises(workerlib.NotExportedError, match="add.*echo"):
            await worker.add(1, 2)
        assert await worker.echo() == ((), {})


async def test_dir_help_repr_and_signature(connect: Connect) -> None:
    """A remote function shows what the worker's code says of it."""
    workerlib.export(add, echo)
    async with connect() as worker:
        assert {"add", "echo", "close", "worker"} <= set(dir(worker))
        assert "loopback" in repr(worker)
        assert "add" in repr(worker)
        signature = inspect.signature(worker.add)
        assert list(signature.parameters) == ["a", "b", "scale"]
        assert signature.parameters["scale"].kind is inspect.Parameter.KEYWORD_ONLY
        assert repr(signature.parameters["b"].default) == "10"
        text = pydoc.plain(pydoc.render_doc(worker.add))
        assert "Adds two numbers." in text
        assert "b: 'int' = 10" in text or "b: int = 10" in text
        assert worker.add.__name__ == "add"
        assert inspect.getdoc(worker.add) == "Adds two numbers."
        pydoc.render_doc(worker)


async def test_the_librarys_own_names_win(connect: Connect) -> None:
    """An export of such a name is reached by `worker[name]`."""
    for name in ("close", "closed", "worker", "name"):
        workerlib.export(name=name)(lambda name=name: f"the export {name}")
    async with connect() as worker:
        for name in ("close", "closed", "worker", "name"):
            assert await worker[name]() == f"the export {name}"
        worker.close()
        with pytest.raises(workerlib.ConnectionClosedError):
            await worker["close"]()


async def test_exported_functions_stay_what_they_are(connect: Connect) -> None:
    """The decorator returns the function itself."""
    assert workerlib.export(add) is add
    decorated = workerlib.export(name="other")(add_slowly)
    assert decorated is add_slowly
    async with connect() as worker:
        assert await worker.other(1, 2) == 3


def test_wrong_exports() -> None:
    """An object that cannot be exported is refused where it stands in the worker's script."""
    with pytest.raises(TypeError, match="int"):
        workerlib.export(3)  # type: ignore[type-var]
    with pytest.raises(TypeError, match="name"):
        workerlib.export(lambda: None)
    workerlib.export(add)
    with pytest.raises(ValueError, match="add"):
        workerlib.export(name="add")(echo)
    workerlib.export(add)


async def test_results_that_are_awaitable(connect: Connect) -> None:
    """A sync function that returns an awaitable has it awaited in the worker."""

    @workerlib.export
    def later() -> Coroutine[Any, Any, int]:
        return add_slowly(1, 2)

    async with connect() as worker:
        assert await worker.later() == 3


@pytest.mark.parametrize("build", [nested_lists, nested_tuples, nested_dicts])
async def test_a_deep_value_kills_nobody(connect: Connect, build: Callable[[int], object]) -> None:
    """The most levels that may arrive come back, and both sides live on: natively a hundred thousand."""
    workerlib.export(echo, add)
    async with connect() as worker:
        # The tuple of the arguments is a level too.
        box = [build(990 if sys.platform == "emscripten" else 100_000)]
        back = [(await worker.echo(box[0]))[0][0]]
        # Until its next turn the event loop holds the result as well, and would free it from the outside in.
        await asyncio.sleep(0)
        assert_same(back[0], box[0])
        dismantle(back)
        dismantle(box)
        assert await worker.add(1, 2) == 3


async def test_two_connections_to_one_side() -> None:
    """Connections share the functions and nothing else."""
    from loopback import connected, loopback_channel

    workerlib.export(add)
    async with connected(loopback_channel) as one, connected(loopback_channel) as other:
        one.close()
        assert await other.add(1, 2) == 3
        with pytest.raises(workerlib.ConnectionClosedError):
            await one.add(1, 2)


async def test_nothing_is_left_behind(connect: Connect) -> None:
    """After calls of every outcome neither side holds a call, and no task is left."""

    @workerlib.export
    def fail() -> None:
        raise ValueError

    workerlib.export(add, add_slowly)
    before = asyncio.all_tasks()
    async with connect() as worker:
        await asyncio.gather(*(worker.add_slowly(n, 1) for n in range(20)))
        with pytest.raises(ValueError):
            await worker.fail()
        task = asyncio.create_task(worker.add_slowly(1, 1))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await worker.add(1, 2)
        connection = worker._connection
        assert connection._calls == {}
        assert connection._session.in_flight == 0
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


@pytest.mark.skipif(
    sys.platform != "emscripten", reason="without a browser it starts a subprocess (tests/local)"
)
def test_connect_outside_of_a_page() -> None:
    """In a Pyodide without a page there is a clear error, and no warning of an un-awaited coroutine."""

    async def run() -> None:
        with pytest.raises(workerlib.ConnectError):
            await workerlib.connect("name", timeout=1)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        coroutine = run()
        with pytest.raises(StopIteration):
            coroutine.send(None)


def test_aliases() -> None:
    """The names of the seed document exist."""
    assert workerlib.connectToWorker is workerlib.connect
    assert workerlib.Worker is Worker
