"""Callbacks and handles when the other process dies, and when both sides would wait for each other."""

from __future__ import annotations

import asyncio
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


async def test_a_callback_that_calls_the_worker_which_waits() -> None:
    """Sync code that waits for a callback starts no call: the callback's call raises instead of waiting for ever."""
    async with workerlib.connect(SCRIPT) as worker:

        async def call_back() -> int:
            return int(await worker.add(1, 2))

        with pytest.raises(workerlib.DeadlockError):
            await worker.ask_in_sync_code(call_back)
        assert await worker.ask(call_back) == 3
