"""Calls from a page to its worker, as far as they need a page; the rest is in tests/shared."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page


@pytest.mark.every_engine
@pytest.mark.isolation("chromium")
@in_page
async def test_the_page_never_freezes(worker: Any, frames: Any, pace: Any) -> None:
    """The page's animation goes on while the worker computes for a second, or longer on a busy machine."""
    for seconds in (1, 4, 4 * pace.PACE):
        frames.start()
        assert await worker.busy(seconds) > 0
        frames.stop()
        # 60 at 60 Hz; a busy machine with two cores may give far fewer, a frozen page at most two.
        if frames.count >= 20 and frames.longest < seconds / 2 * 1000:
            return
    raise AssertionError((frames.count, frames.longest))


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
@pytest.mark.isolation("chromium")
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
async def test_pyscripts_own_object(worker: Any) -> None:
    """`.worker` is what PyScript gives, through which its own exports are called."""
    assert await worker.worker.plain(1) == 2


@in_page
async def test_aliases(workerlib: Any, worker: Any) -> None:
    """The names of the seed document exist."""
    assert workerlib.connectToWorker is workerlib.connect
    assert isinstance(worker, workerlib.Worker)
