"""Calls from the worker to the page: what this side exports, the worker calls, with the same values and errors."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import workerlib
from workerlib import Worker

from expecting import raises

# Pyodide 315.0.0a2 mixes up stacks that wait at the same time, and Python fails fatally; 314.0.7 has the correction.
AT_ONCE = 1 if getattr(sys.modules.get("pyodide"), "__version__", "") == "315.0.0a2" else 20

events: dict[str, asyncio.Event] = {}
workers: dict[str, Worker] = {}


@workerlib.export
def page_echo(*args: Any, **kwargs: Any) -> Any:
    return args, kwargs


@workerlib.export
def page_greet(name: str, greeting: str = "Hello", *, mark: str = "!") -> str:
    """Greets somebody."""
    return f"{greeting}, {name}{mark}"


@workerlib.export
async def page_hold(key: str) -> str:
    """Waits until release() is called, and notes how that ended."""
    event = events[key] = asyncio.Event()
    try:
        await event.wait()
    except asyncio.CancelledError:
        events[f"{key} was cancelled"] = event
        raise
    return key


@workerlib.export
def page_fail() -> None:
    raise LookupError("in the page", 1)


@workerlib.export
async def page_count_down(key: str, levels: int) -> int:
    return 0 if levels == 0 else 1 + await workers[key].count_down(key, levels - 1)


async def test_the_worker_calls_the_page(worker: Worker) -> None:
    """Arguments, results and exceptions of the page's functions arrive as themselves."""
    args, kwargs = await worker.call_page("page_echo", 1, [2.5, "three"], key={4})
    assert (args, kwargs) == ((1, [2.5, "three"]), {"key": {4}})
    assert type(args) is tuple
    assert await worker.call_page("page_greet", "Ada", mark="?") == "Hello, Ada?"
    with raises(LookupError) as caught:
        await worker.call_page("page_fail")
    assert caught.value.args == ("in the page", 1)


async def test_the_page_s_functions_are_described(worker: Worker) -> None:
    """`help()` and the signature in the worker are those of the page's function; wrong arguments are not sent."""
    signature, doc = await worker.describe_page_function("page_greet")
    assert signature == "(name: 'str', greeting: 'str' = 'Hello', *, mark: 'str' = '!') -> 'str'"
    assert doc == "Greets somebody."
    with raises(TypeError, r"page_greet\(\) missing"):
        await worker.call_page("page_greet")
    with raises(workerlib.NotExportedError, "the page does not export 'page_gret'; it exports .*page_greet"):
        await worker.call_page("page_gret")


async def test_what_the_page_exports_late(worker: Worker) -> None:
    """An export that the page makes after the handshake can be called too."""

    @workerlib.export(name="page_late")
    def late() -> str:
        return "late"

    assert await worker.call_page("page_late") == "late"


async def test_a_function_of_the_page_among_values(worker: Worker) -> None:
    """An exported function of the page arrives as a function of the worker's that calls it, and comes back as itself."""
    assert await worker.call_given(page_greet, "Ada") == "Hello, Ada!"
    [returned], _ = await worker.echo(page_greet)
    assert returned is page_greet


async def test_calls_of_the_page_come_in_order(worker: Worker) -> None:
    """Calls that the worker has in flight at a time start in the page in the order in which they were made."""
    heard: list[int] = []

    @workerlib.export(name="page_in_order")
    async def hear(number: int) -> int:
        heard.append(number)
        await asyncio.sleep(0)
        return number

    assert await worker.call_page_many("page_in_order", 20) == [*range(20)]
    assert heard == [*range(20)]


async def test_the_end_of_the_connection_ends_calls_of_the_page(connect: Callable[..., Any]) -> None:
    """The page's function that runs for the worker is cancelled, and so is what waits for it."""
    async with connect() as worker:
        call = asyncio.ensure_future(worker.call_page("page_hold", "close"))
        while "close" not in events:
            await asyncio.sleep(0)
    with raises(workerlib.ConnectionClosedError):
        await call
    while "close was cancelled" not in events:
        await asyncio.sleep(0)


async def test_a_cancel_reaches_the_page(worker: Worker) -> None:
    """A call of the worker's that is cancelled cancels the page's function that it awaits."""
    call = asyncio.create_task(worker.call_page("page_hold", "cancel"))
    while "cancel" not in events:
        await asyncio.sleep(0)
    call.cancel()
    with raises(asyncio.CancelledError):
        await call
    assert "cancel was cancelled" in events


async def test_a_timeout_for_the_page(worker: Worker) -> None:
    """`options(timeout=)` limits a call of the page's function."""
    with raises(TimeoutError, r"page_hold\(\) was still running"):
        await worker.call_page_for(0.05, "page_hold", "timeout")
    assert "timeout was cancelled" in events


async def test_nested_calls_pass_the_limit(connect: Callable[..., Any]) -> None:
    """Calls between page and worker go to any depth where one may be in flight: what is nested waits for nobody."""
    async with connect(max_in_flight=1) as worker:
        workers["nested"] = worker
        assert await worker.count_down("nested", 30) == 30
        del workers["nested"]


async def test_the_page_of_a_call_is_its_caller(worker: Worker, connect: Callable[..., Any]) -> None:
    """With two connections to one worker, `page()` is the side that made the call, also in tasks that outlive it."""
    async with connect() as other:
        for one in (worker, other):
            assert await one.call_page("page_echo", 1) == ((1,), {})
            await one.call_page_later("page_echo", 2)
            assert await one.what_came_later() == ((2,), {})


async def can_wait(worker: Worker) -> bool:
    """Tells whether sync code of the worker can wait for the page: see docs/two-way.md."""
    return bool(await worker.can_wait())


async def test_sync_code_waits_for_the_page(worker: Worker) -> None:
    """Results and exceptions come as by `await`; where sync code cannot wait, the error says what to change."""
    if not await can_wait(worker):
        with raises(workerlib.CannotBlockError, "headers Cross-Origin-Opener-Policy"):
            await worker.wait_for_page("page_echo", 1)
        return
    assert await worker.wait_for_page("page_echo", 1, key=[2]) == ((1,), {"key": [2]})
    with raises(LookupError, "in the page"):
        await worker.wait_for_page("page_fail")
    calls = [worker.wait_for_page("page_echo", number) for number in range(AT_ONCE)]
    assert await asyncio.gather(*calls) == [((number,), {}) for number in range(AT_ONCE)]
    assert await worker.add(1, 2) == 3


async def test_large_values_for_code_that_waits(worker: Worker) -> None:
    """Sync code that waits for the page gets large values too."""
    if await can_wait(worker):
        (data, rows), _ = await worker.wait_for_page("page_echo", bytes(3_000_000), [*range(50_000)])
        assert data == bytes(3_000_000)
        assert rows == [*range(50_000)]


async def test_collections_while_code_waits(worker: Worker) -> None:
    """Many wait at a time, again and again: a collection that walked their stacks would end the worker (pyodide#6464)."""
    if await can_wait(worker):
        waiting = [worker.wait_for_page, *([worker.run_page_sync] if await worker.can_run_sync() else [])]
        for wait in waiting:
            for _ in range(40):
                calls = [wait("page_echo", number) for number in range(AT_ONCE)]
                collected = [worker.make_cycles(1_000) for _ in range(3)]
                assert await asyncio.gather(*calls) == [((number,), {}) for number in range(AT_ONCE)]
                await asyncio.gather(*collected)
        assert await worker.make_cycles(100_000) > 0, "the collector does not run any more"


async def test_a_timeout_of_code_that_waits(worker: Worker) -> None:
    """`options(timeout=)` ends the wait, and cancels the page's function."""
    if await can_wait(worker):
        with raises(TimeoutError, r"page_hold\(\) was still running"):
            await worker.wait_for_page_for(0.05, "page_hold", "timeout of a wait")
        while "timeout of a wait was cancelled" not in events:
            await asyncio.sleep(0)
        assert await worker.add(1, 2) == 3


async def test_a_cancel_of_code_that_waits(worker: Worker) -> None:
    """A cancel ends the wait, and the page's function that it waits for."""
    if await can_wait(worker):
        call = asyncio.create_task(worker.wait_for_page("page_hold", "cancel of a wait"))
        while "cancel of a wait" not in events:
            await asyncio.sleep(0)
        call.cancel()
        with raises(asyncio.CancelledError):
            await call
        while "cancel of a wait was cancelled" not in events:
            await asyncio.sleep(0)
        assert await worker.add(1, 2) == 3


async def test_calls_back_while_code_waits(worker: Worker) -> None:
    """A page's function that calls the worker which waits for it goes on, or is refused: it never hangs."""
    if await can_wait(worker):
        workers["waits"] = worker
        try:
            assert await worker.wait_for_page("page_count_down", "waits", 1) == 1
        except workerlib.DeadlockError as error:
            assert "count_down() cannot be called: the worker waits" in str(error)
        finally:
            del workers["waits"]
        assert await worker.add(1, 2) == 3
