"""Starts workers, for starts.html."""

import asyncio
from time import perf_counter

import workerlib
from workerlib._hosts.spawned.snapshots import snapshots

_LIMIT_SECONDS = 120


async def _answer(snapshot):
    async with workerlib.spawn("./starts_worker.py", snapshot=snapshot, timeout=None) as worker:
        assert await worker.echo(1) == 1


async def start(snapshot, count):
    """Starts workers at the same time; returns after how many milliseconds the last one has answered."""
    begun = perf_counter()
    await asyncio.gather(*(_answer(snapshot) for _ in range(count)))
    return (perf_counter() - begun) * 1e3


async def memory(snapshot):
    """Starts a worker; returns how many megabytes the memory of its Python has after a call."""
    async with workerlib.spawn("./starts_worker.py", snapshot=snapshot, timeout=None) as worker:
        assert await worker.echo(1) == 1
        return await worker.memory() / 2**20


async def first(snapshot):
    """Starts the first worker; returns how many milliseconds its first answer and two later calls take.

    The later calls compute. With `snapshot` they are made while another worker makes the snapshot: the first
    before a step of that, which waits for it; the second in the midst of the step that takes longest.
    """
    begun = perf_counter()
    async with workerlib.spawn("./starts_worker.py", snapshot=snapshot, timeout=None) as worker:
        assert await worker.echo(1) == 1
        answered = perf_counter() - begun
        async with asyncio.timeout(_LIMIT_SECONDS):
            while snapshot and snapshots._maker is None:
                await asyncio.sleep(0.01)
        before = await _compute(worker)
        assert not snapshot or snapshots._maker is not None, "the snapshot was there before the answer"
        # The maker looks for calls in flight every 50 ms, and loads Pyodide for a second at least.
        await asyncio.sleep(0.3)
        assert not snapshot or (snapshots._maker and not snapshots._soon), "the step has ended already"
        midst = await _compute(worker)
    return [answered * 1e3, before, midst]


async def _compute(worker):
    begun = perf_counter()
    await worker.compute()
    return (perf_counter() - begun) * 1e3


async def made():
    """Waits until there is a snapshot, which a first worker leads to, and its maker has ended."""
    await _answer(True)
    async with asyncio.timeout(_LIMIT_SECONDS):
        while not snapshots.is_ready or snapshots._maker is not None:
            await asyncio.sleep(0.1)
