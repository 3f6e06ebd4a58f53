"""Workers with `restart=True`, and `worker.restart()`: tests that know no host and no pytest.

Each takes `start`, which starts a worker that runs `pool_worker.py`: `async with start(restart=True) as worker`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import workerlib
from workerlib import Worker

from expecting import raises
from pace import PACE

Start = Callable[..., AbstractAsyncContextManager[Worker]]


async def back(worker: Worker) -> None:
    """Waits until a worker that has died is there again."""
    async with asyncio.timeout(60 * PACE):
        while worker.closed:
            await asyncio.sleep(0.01)


async def test_a_dead_worker_is_started_again(start: Start) -> None:
    """The object becomes the new worker; functions that were taken from it before belong to the dead one."""
    async with start(restart=True) as worker:
        before, double = await worker.identity(), worker.double
        with raises(workerlib.WorkerDiedError):
            await worker.die(5)
        with raises(workerlib.WorkerDiedError):
            await worker.double(1)
        await back(worker)
        assert await worker.identity() != before
        assert await worker.double(1) == 2
        with raises(workerlib.ConnectionClosedError):
            await double(1)


async def test_restarts_are_bounded(start: Start) -> None:
    """The fourth death within a minute is the last one."""
    async with start(restart=True) as worker:
        for _ in range(3):
            with raises(workerlib.WorkerDiedError):
                await worker.die(5)
            await back(worker)
        with raises(workerlib.WorkerDiedError):
            await worker.die(5)
        await asyncio.sleep(1.5)
        assert worker.closed
        # A restart that the user asks for gives a new one all the same.
        await worker.restart()
        assert await worker.double(1) == 2


async def test_restart(start: Start) -> None:
    """`restart()` replaces a worker that lives, and one that was terminated; `close()` is for good."""
    async with start() as worker:
        before = await worker.identity()
        running = asyncio.ensure_future(worker.wait(600))
        await asyncio.sleep(0.05)
        await worker.restart()
        with raises(workerlib.WorkerDiedError):
            await running
        between = await worker.identity()
        worker.terminate()
        assert worker.closed
        await worker.restart()
        assert len({before, between, await worker.identity()}) == 3
    with raises(workerlib.ConnectionClosedError, "stays closed"):
        await worker.restart()


TESTS = {
    name.removeprefix("test_"): test for name, test in list(globals().items()) if name.startswith("test_")
}
