"""Callbacks and handles when the other process dies, and when both sides would wait for each other."""

from __future__ import annotations

import asyncio
import gc
import weakref
from pathlib import Path

import pytest
import workerlib

import suite
from shared_callbacks import unanswered

SCRIPT = Path(suite.__file__).with_name("worker.py")


async def test_the_death_of_the_worker() -> None:
    """Pending and later calls raise WorkerDiedError; an async callback is cancelled; nothing is held."""
    never, asked, ended = unanswered()
    async with workerlib.connect(SCRIPT) as worker:
        add, table = await worker.make_adder(1), await worker.Table("dies")
        call = asyncio.ensure_future(worker.ask(never))
        waiting = asyncio.ensure_future(table.wait("dies"))
        await asked.wait()
        worker.terminate()
        for task in (call, waiting):
            with pytest.raises(workerlib.WorkerDiedError):
                await task
        for later in (lambda: add(1), lambda: table.query()):
            with pytest.raises(workerlib.WorkerDiedError):
                await later()
        await asyncio.sleep(0)
        assert ended == ["cancelled"]
        assert worker.references() == []


async def test_later_calls_say_how_the_worker_died() -> None:
    """So they do when nobody has the `Worker` any more, as in a pool, and the connection is freed."""
    worker = await workerlib.connect(SCRIPT)
    add, table = await worker.make_adder(1), await worker.Table("dies")
    connection = weakref.ref(worker._connection)
    worker.terminate()
    await worker.close()
    del worker
    gc.collect()
    assert connection() is None
    for later in (lambda: add(1), lambda: table.query()):
        with pytest.raises(workerlib.WorkerDiedError, match=r"ended by worker.terminate\(\)"):
            await later()


async def test_a_callback_that_calls_the_worker_which_waits() -> None:
    """Sync code that waits for a callback starts no call: the callback's call raises instead of waiting for ever."""
    async with workerlib.connect(SCRIPT) as worker:

        async def call_back() -> int:
            return int(await worker.add(1, 2))

        with pytest.raises(workerlib.DeadlockError):
            await worker.ask_in_sync_code(call_back)
        assert await worker.ask(call_back) == 3
