"""Workers with `restart=True`, and `worker.restart()`: tests that know no host and no pytest.

Each takes `start`, which starts a worker that runs `pool_worker.py`: `async with start(restart=True) as worker`.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable
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


class CountedStarts:
    """Counts how often a worker is started again, and tells when that begins."""

    def __init__(self) -> None:
        self.count = 0
        self.begun: asyncio.Queue[None] = asyncio.Queue()


def counted_starts(worker: Worker) -> CountedStarts:
    """Has the starts of a worker counted from now on."""
    starts, start = CountedStarts(), worker._start_another
    assert start is not None

    def counted(name: str) -> Awaitable[Worker]:
        starts.count += 1
        starts.begun.put_nowait(None)
        return start(name)

    worker._start_another = counted
    return starts


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
    """The fourth death within a minute is the last one: a warning at the line of the start says so, with the cause."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        async with start(restart=True) as worker:
            for _ in range(3):
                with raises(workerlib.WorkerDiedError):
                    await worker.die(5)
                await back(worker)
            assert not [one for one in told if one.category is UserWarning]
            with raises(workerlib.WorkerDiedError):
                await worker.die(5)
            await asyncio.sleep(1.5)
            assert worker.closed
            (down,) = [one for one in told if one.category is UserWarning]
            assert down.filename == test_restarts_are_bounded.__code__.co_filename
            text = str(down.message)
            assert "died too often, and stays down; await worker.restart() starts it again" in text, text
            assert "the last cause: workerlib.WorkerDiedError: " in text, text
            # A restart that the user asks for gives a new one all the same.
            await worker.restart()
            assert await worker.double(1) == 2


async def test_a_restart_that_fails_is_told(start: Start) -> None:
    """A worker that died and whose script cannot be started again stays down, whatever the error is; a warning says so."""
    async with start(restart=True) as worker:
        for error in (workerlib.WorkerStartError("the script is broken"), OSError("no memory")):
            begin = worker._start_another

            async def fail(_name: str, error: BaseException = error) -> Worker:
                raise error

            worker._start_another = fail
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                with raises(workerlib.WorkerDiedError):
                    await worker.die(5)
                async with asyncio.timeout(60 * PACE):
                    while not (texts := [str(one.message) for one in told if one.category is UserWarning]):
                        await asyncio.sleep(0.01)
            (text,) = texts
            assert "died and cannot be started again, and stays down" in text, text
            assert f"{type(error).__name__}: {error}" in text, text
            worker._start_another = begin
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


async def test_restarts_at_a_time(start: Start) -> None:
    """A call of `restart()` during a restart waits for that one; it goes on until no call waits for it any more."""
    async with start() as worker:
        starts = counted_starts(worker)
        before = await worker.identity()
        await asyncio.gather(worker.restart(), worker.restart())
        assert starts.count == 1
        assert await worker.identity() != before
        first, second = (asyncio.ensure_future(worker.restart()) for _ in range(2))
        await starts.begun.get()
        await starts.begun.get()
        first.cancel()
        with raises(asyncio.CancelledError):
            await first
        await second
        assert starts.count == 2
        assert await worker.double(1) == 2
        only = asyncio.ensure_future(worker.restart())
        await starts.begun.get()
        only.cancel()
        with raises(asyncio.CancelledError):
            await only
        assert worker.closed
        await worker.restart()
        assert await worker.double(1) == 2


async def test_the_end_of_a_worker_that_is_started_again(start: Start) -> None:
    """`terminate()` and `close()` end a restart too, which says so, and a restart after a death."""
    async with start(restart=True) as worker:
        starts = counted_starts(worker)
        restart = asyncio.ensure_future(worker.restart())
        await starts.begun.get()
        worker.terminate()
        with raises(
            workerlib.ConnectionClosedError, r"ended by worker.terminate\(\) while it was started again"
        ):
            await restart
        assert worker.closed
        await worker.restart()
        await starts.begun.get()
        with raises(workerlib.WorkerDiedError):
            await worker.die(5)
        await starts.begun.get()
        worker.terminate()
        await asyncio.sleep(0.5)
        assert worker.closed
        await worker.restart()
        await starts.begun.get()
        restart = asyncio.ensure_future(worker.restart())
        await starts.begun.get()
        worker.close()
        with raises(workerlib.ConnectionClosedError, "stays closed"):
            await restart
        assert worker.closed


async def test_a_restart_that_has_ended_before_it_began(start: Start) -> None:
    """`terminate()` ends a restart also before its first step, and a restart that is asked for then is another one."""
    async with start() as worker:
        before = await worker.identity()
        restart = asyncio.ensure_future(worker.restart())
        await asyncio.sleep(0)
        worker.terminate()
        again = asyncio.ensure_future(worker.restart())
        with raises(workerlib.ConnectionClosedError, "while it was started again"):
            await restart
        await again
        assert await worker.identity() != before
        restart = asyncio.ensure_future(worker.restart())
        await asyncio.sleep(0)
        worker.terminate()
        with raises(workerlib.ConnectionClosedError, "while it was started again"):
            await restart
        await worker.restart()
        assert await worker.double(1) == 2


async def test_a_callback_restarts_its_worker(start: Start) -> None:
    """The end of the old worker cancels the callback, and not the restart that it has asked for."""
    async with start() as worker:
        before = await worker.identity()

        async def restart(_number: int) -> None:
            await worker.restart()

        with raises(workerlib.WorkerDiedError):
            await worker.ask_with(restart, 1)
        await back(worker)
        assert await worker.identity() != before


TESTS = {
    name.removeprefix("test_"): test for name, test in list(globals().items()) if name.startswith("test_")
}
