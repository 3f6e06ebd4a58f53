"""Calls bind, run side by side, and are answered, whatever carries them."""

from __future__ import annotations

import asyncio
import inspect
import pydoc
from collections.abc import Coroutine

from workerlib import NotExportedError, Worker

from expecting import raises
from pace import PACE


async def test_sync_and_async_functions(worker: Worker) -> None:
    """Both kinds are called the same way, by position, by keyword and with defaults."""
    assert await worker.add(1, 2) == 3
    assert await worker.add(1) == 11
    assert await worker.add(b=2, a=1, scale=5) == 15
    assert await worker.add_slowly(1, b=2) == 3


async def test_each_way_to_export(worker: Worker) -> None:
    """`export(f, g)` and `export(name=…)` export as the decorator does; so do methods, classes and builtins."""
    assert await worker.subtract(5, 3) == 2
    assert await worker.multiply(5, 3) == 15
    assert await worker.divide(5, 2) == 2.5
    assert "_divide" not in dir(worker)
    assert await worker.count("each way") == 1
    assert await worker.count("each way", by=2) == 3
    assert await worker.largest(1, 3, 2) == 3
    assert await worker.text(7) == "7"


async def test_wrong_arguments(worker: Worker) -> None:
    """Arguments that do not fit are a TypeError, as for a local function, and the worker lives on."""
    for args, kwargs in (((), {}), ((1, 2, 3), {}), ((1,), {"c": 2}), ((1,), {"a": 1})):
        with raises(TypeError, "add"):
            await worker.add(*args, **kwargs)
    # A builtin that has no signature to check against.
    with raises(TypeError):
        await worker.largest()
    assert await worker.add(1, 2) == 3


async def test_a_decorator_that_adds_an_argument(worker: Worker) -> None:
    """The decorated function takes what it takes there, though it shows the signature of the function inside."""
    assert await worker.add_scaled(2) == 30
    assert await worker.add_scaled(2, b=3) == 50
    assert await worker.add_scaled(a=2) == 30
    assert list(inspect.signature(worker.add_scaled).parameters) == ["scale", "a", "b"]
    with raises(TypeError, "add_scaled"):
        await worker.add_scaled()


async def test_many_at_a_time(worker: Worker) -> None:
    """A thousand calls in flight each get their own answer."""
    calls = [worker.add_slowly(number, 1) if number % 2 else worker.add(number, 1) for number in range(1000)]
    assert await asyncio.gather(*calls) == [number + 1 for number in range(1000)]


async def test_calls_start_in_the_order_in_which_they_were_made(worker: Worker) -> None:
    """The worker sees them so, small ones and large ones mixed."""
    ballast = [b"", b"x" * 200_000]
    calls = [worker.note("order", (number, ballast[number % 2])) for number in range(200)]
    await asyncio.gather(*calls)
    assert [number for number, _ in await worker.noted("order")] == list(range(200))


async def test_answers_in_any_order(worker: Worker) -> None:
    """Calls end in the order of their answers, not of their start."""
    ended = []

    async def hold(number: int) -> None:
        await worker.hold(f"any order {number}")
        ended.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(hold(number))
        while len(await worker.held("any order")) < 5:
            pass
        for number in (3, 1, 4, 0, 2):
            await worker.release(f"any order {number}")
            while number not in ended:
                await asyncio.sleep(0)
    assert ended == [3, 1, 4, 0, 2]


async def test_a_call_behind_a_busy_function_waits_its_turn(worker: Worker) -> None:
    """Calls that arrive while a sync function computes are answered after it."""
    busy = asyncio.ensure_future(worker.busy(0.3))
    await asyncio.sleep(0)
    assert await worker.add(1, 2) == 3
    assert await busy > 0


async def test_a_call_is_a_coroutine(worker: Worker) -> None:
    """create_task, wait_for, TaskGroup, gather, shield and timeout take it as they take an `async def`'s."""
    call = worker.add(1, 2)
    assert isinstance(call, Coroutine)
    assert asyncio.iscoroutine(call)
    assert await asyncio.wait_for(call, 60 * PACE) == 3
    with raises(RuntimeError, "already awaited"):
        await call
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker.add(number, 1)) for number in range(3)]
    assert [task.result() for task in tasks] == [1, 2, 3]
    assert await asyncio.shield(asyncio.create_task(worker.add(1, 2))) == 3
    async with asyncio.timeout(60 * PACE):
        assert await asyncio.gather(worker.add(1, 5), worker.add(1, 6)) == [6, 7]


async def test_a_call_starts_when_it_is_awaited(worker: Worker) -> None:
    """Calling a function sends nothing before the call is awaited."""
    call = worker.note("starts", 1)
    await asyncio.sleep(0.02)
    assert await worker.noted("starts") == []
    await call
    assert await worker.noted("starts") == [1]


async def test_arguments_are_read_when_the_call_starts(worker: Worker) -> None:
    """A change before the await is sent, one after the start is not."""
    items = [1]
    call = worker.echo(items)
    items.append(2)
    assert await call == (([1, 2],), {})
    task = asyncio.ensure_future(worker.echo(items))
    await asyncio.sleep(0)
    items.append(3)
    assert await task == (([1, 2],), {})


async def test_what_a_worker_shows(worker: Worker) -> None:
    """dir, help, repr and inspect.signature tell what the worker's script says."""
    for name in ("add", "add_slowly", "subtract", "divide", "echo", "close"):
        assert name in dir(worker), name
    assert worker.name in repr(worker)
    text = pydoc.plain(pydoc.render_doc(worker.add))
    assert "add(a, b=10, *, scale: int = 1) -> int" in text.replace("'int'", "int")
    assert "Adds two numbers." in text
    assert "The result is scaled." in text
    assert list(inspect.signature(worker.add).parameters) == ["a", "b", "scale"]
    assert "add" in repr(worker.add)


async def test_an_export_named_as_the_library_names_something(worker: Worker) -> None:
    """`worker.close` stays the library's; `worker["close"]` is the export."""
    assert await worker["close"]() == "the worker's own close"
    assert await worker["add"](1, 2) == 3


async def test_what_is_not_exported(worker: Worker) -> None:
    """It is an AttributeError that lists what is, at once and in the caller."""
    for name in ("subtrakt", "events", "_divide", "asyncio"):
        with raises(AttributeError, "subtract") as caught:
            await getattr(worker, name)()
        assert isinstance(caught.value, NotExportedError)
        assert name in str(caught.value)
        assert "multiply" in str(caught.value)
    with raises((AttributeError, LookupError), "subtract"):
        await worker["subtrakt"]()
    assert not hasattr(worker, "subtrakt")
    assert await worker.add(1, 2) == 3
