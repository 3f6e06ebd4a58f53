"""Calls from a page's main thread to its worker, as issue 2 lists them."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page


@pytest.mark.every_engine
@in_page
async def test_sync_and_async_functions(worker: Any) -> None:
    """Both kinds are called the same way, by position, by keyword and with defaults."""
    assert await worker.add(1, 2) == 3
    assert await worker.add(1) == 11
    assert await worker.add(b=2, a=1, scale=5) == 15
    assert await worker.add_slowly(1, b=2) == 3


@in_page
async def test_each_way_to_export(worker: Any) -> None:
    """`export(f, g)` and `export(name=…)` export as the decorator does."""
    assert await worker.subtract(5, 3) == 2
    assert await worker.multiply(5, 3) == 15
    assert await worker.divide(5, 2) == 2.5
    assert "_divide" not in dir(worker)


@pytest.mark.every_engine
@in_page
async def test_wrong_arguments(worker: Any, raises: Any) -> None:
    """Arguments that do not fit are a TypeError, as for a local function, and the worker lives on."""
    for args, kwargs in (((), {}), ((1, 2, 3), {}), ((1,), {"c": 2}), ((1,), {"a": 1})):
        with raises(TypeError, "add"):
            await worker.add(*args, **kwargs)
    assert await worker.add(1, 2) == 3


@pytest.mark.every_engine
@in_page
async def test_many_at_a_time(worker: Any) -> None:
    """A thousand calls in flight each get their own answer."""
    import asyncio

    calls = [worker.add_slowly(number, 1) if number % 2 else worker.add(number, 1) for number in range(1000)]
    assert await asyncio.gather(*calls) == [number + 1 for number in range(1000)]


@in_page
async def test_answers_in_any_order(worker: Any) -> None:
    """Calls end in the order of their answers, not of their start."""
    import asyncio

    ended = []

    async def hold(number: int) -> None:
        ended.append(await worker.hold(number))

    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(hold(number))
        while len(await worker.held()) < 5:
            pass
        for number in (3, 1, 4, 0, 2):
            await worker.release(number)
            while number not in ended:
                await asyncio.sleep(0)
    assert ended == [3, 1, 4, 0, 2]


@in_page
async def test_a_call_behind_a_busy_function_waits_its_turn(worker: Any) -> None:
    """Calls that arrive while a sync function computes are answered after it."""
    import asyncio

    busy = asyncio.create_task(worker.busy(0.3))
    await asyncio.sleep(0)
    assert await worker.add(1, 2) == 3
    assert busy.done() or await busy > 0
    assert await busy > 0


@pytest.mark.every_engine
@in_page
async def test_the_page_never_freezes(worker: Any, frames: Any) -> None:
    """The page's animation goes on while the worker computes for two seconds."""
    frames.start()
    assert await worker.busy(2) > 0
    frames.stop()
    # 120 at 60 Hz; a busy machine with two cores may give far fewer, a frozen page at most two.
    assert frames.count >= 20, (frames.count, frames.longest)
    assert frames.longest < 1000, (frames.count, frames.longest)


@in_page
async def test_run_sync_in_exported_functions(worker: Any) -> None:
    """Where the engine has JSPI, sync and async functions may block on an awaitable."""
    assert await worker.wait_in_sync_function(0.01) == "waited"
    assert await worker.wait_in_async_function(0.01) == "waited"


@in_page
async def test_several_run_sync_at_a_time(worker: Any) -> None:
    """Functions that block so do not stand in the way of others."""
    import asyncio

    blocked = [asyncio.create_task(worker.wait_in_sync_function(0.05 * number)) for number in (4, 3, 2, 1)]
    assert await worker.add(1, 2) == 3
    assert await asyncio.gather(*blocked) == ["waited"] * 4


@pytest.mark.every_engine
@in_page
async def test_run_sync_after_a_call(worker: Any) -> None:
    """The code after `await worker.f()` may block on an awaitable, on another call as well."""
    import asyncio

    import js
    from pyodide.ffi import run_sync

    if not hasattr(js.WebAssembly, "Suspending"):
        return  # this engine has no JSPI
    assert await worker.add(1, 2) == 3
    run_sync(asyncio.sleep(0.01))
    assert await worker.add(1, 3) == 4
    assert run_sync(worker.add(1, 4)) == 5
    assert run_sync(worker.add_slowly(1, 5)) == 6


@in_page
async def test_run_sync_in_tasks_after_a_call(worker: Any) -> None:
    """The same in tasks of their own, many at a time."""
    import asyncio

    from pyodide.ffi import run_sync

    async def task(number: int) -> int:
        first = await worker.add_slowly(number, 1)
        run_sync(asyncio.sleep(0.005))
        return first + run_sync(worker.add(number, 0))

    assert await asyncio.gather(*(task(number) for number in range(10))) == [2 * n + 1 for n in range(10)]


@in_page
async def test_a_call_is_a_coroutine(worker: Any) -> None:
    """create_task, wait_for, TaskGroup and timeout take it as they take an `async def`'s."""
    import asyncio
    from collections.abc import Coroutine

    call = worker.add(1, 2)
    assert isinstance(call, Coroutine)
    assert asyncio.iscoroutine(call)
    assert await asyncio.wait_for(call, 10) == 3
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(worker.add(number, 1)) for number in range(3)]
    assert [task.result() for task in tasks] == [1, 2, 3]
    assert await asyncio.shield(asyncio.create_task(worker.add(1, 2))) == 3


@in_page
async def test_arguments_are_read_when_the_call_starts(worker: Any) -> None:
    """A change before the await is sent, one after the start is not."""
    import asyncio

    items = [1]
    call = worker.echo(items)
    items.append(2)
    assert await call == (([1, 2],), {})
    task = asyncio.create_task(worker.echo(items))
    await asyncio.sleep(0)
    items.append(3)
    assert await task == (([1, 2],), {})


@in_page
async def test_a_cancelled_call(worker: Any, raises: Any) -> None:
    """A caller that gives up is free at once; the connection lives on."""
    import asyncio

    with raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await worker.hold("never released")
    task = asyncio.create_task(worker.hold("cancelled"))
    await asyncio.sleep(0)
    task.cancel()
    with raises(asyncio.CancelledError):
        await task
    assert await worker.add(1, 2) == 3
    await worker.release("never released")
    await worker.release("cancelled")
    assert await worker.add(1, 2) == 3


@in_page
async def test_what_a_worker_shows(worker: Any) -> None:
    """dir, help, repr and inspect.signature tell what the worker script says."""
    import inspect
    import pydoc

    for name in ("add", "add_slowly", "subtract", "divide", "echo", "close"):
        assert name in dir(worker), name
    assert "bench" in repr(worker)
    text = pydoc.plain(pydoc.render_doc(worker.add))
    assert "add(a, b=10, *, scale: int = 1) -> int" in text.replace("'int'", "int")
    assert "Adds two numbers." in text
    assert "The result is scaled." in text
    assert list(inspect.signature(worker.add).parameters) == ["a", "b", "scale"]
    assert "add" in repr(worker.add)


@in_page
async def test_an_export_named_as_the_library_names_something(worker: Any) -> None:
    """`worker.close` stays the library's; `worker["close"]` is the export."""
    assert await worker["close"]() == "the worker's own close"
    assert await worker["add"](1, 2) == 3


@in_page
async def test_what_is_not_exported(worker: Any, workerlib: Any, raises: Any) -> None:
    """It is an AttributeError that lists what is, at once and in the caller."""
    for name in ("subtrakt", "events", "_divide", "plain"):
        with raises(AttributeError, "subtract") as caught:
            await getattr(worker, name)()
        assert isinstance(caught.value, workerlib.NotExportedError)
        assert name in str(caught.value)
        assert "multiply" in str(caught.value)
    with raises((AttributeError, LookupError), "subtract"):
        await worker["subtrakt"]()
    assert not hasattr(worker, "subtrakt")
    assert await worker.add(1, 2) == 3


@in_page
async def test_pyscripts_own_object(worker: Any) -> None:
    """`.worker` is what PyScript gives, through which its own exports are called."""
    assert await worker.worker.plain(1) == 2


@in_page
async def test_aliases(workerlib: Any, worker: Any) -> None:
    """The seed document's names exist."""
    assert workerlib.connectToWorker is workerlib.connect
    assert isinstance(worker, workerlib.Worker)
