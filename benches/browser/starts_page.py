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


async def made():
    """Waits until there is a snapshot, which a first worker leads to."""
    await _answer(True)
    async with asyncio.timeout(_LIMIT_SECONDS):
        while not snapshots.is_ready:
            await asyncio.sleep(0.1)
