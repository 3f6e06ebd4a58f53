"""Workers of a pool that are killed again and again: for the tests of each host, and for the benchmark of pools.

The pools run `pool_worker.py`. It knows no host and no pytest.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import workerlib
from workerlib import Pool

UNBOUNDED: dict[str, Any] = {"max_restarts": None, "backoff": None, "poison_after": None}
"""Options of a pool whose workers are started again however often they die."""


def running(pool: Pool) -> list[Any]:
    """Returns the workers that run, each with `terminate()`; no public object has them, since a pool replaces them."""
    members = [place.member for place in pool._driver._places]
    return [member for member in members if member is not None and not member.is_gone]


async def kill_during_map(
    pool: Pool,
    function: Any,
    *,
    kills: int,
    items: int,
    kill: Callable[[Any], object] = lambda member: member.terminate(),
) -> list[Any]:
    """Kills workers at random moments during a map with retries, and returns the results.

    Args:
        pool: A pool that is started with `UNBOUNDED`.
        function: The function that runs for each item.
        kills: The number of workers that are killed.
        items: The least number of items: the map goes on until the last worker has been killed.
        kill: Kills a worker.
    """
    chance = random.Random(20)
    killed = 0

    async def go_on_killing() -> None:
        nonlocal killed
        while killed < kills:
            await asyncio.sleep(chance.uniform(0, 0.05))
            if members := running(pool):
                kill(chance.choice(members))
                killed += 1

    killing = asyncio.create_task(go_on_killing())

    async def numbers() -> AsyncIterator[int]:
        number = 0
        while number < items or not killing.done():
            yield number
            number += 1
            # The kills need turns of the event loop.
            await asyncio.sleep(0)

    try:
        results = [result async for result in pool.map(function, numbers(), retries=10**6)]
        await killing
    finally:
        killing.cancel()
    assert killed == kills
    assert len(results) >= items
    return results


async def die_again_and_again(pool: Pool, times: int) -> None:
    """Has the worker of a pool of one die so many times, and answer after each."""
    for _ in range(times):
        try:
            await pool.die(5)
        except workerlib.WorkerDiedError:
            assert await pool.double(1) == 2
            continue
        raise AssertionError("the worker lives")


def _objects_of_workerlib(objects: list[Any]) -> int:
    return sum(str(type(one).__module__).startswith("workerlib") for one in objects)


_OF_CONNECTIONS = frozenset(
    {"Connection", "Session", "Streams", "References", "Member", "PortEndpoint", "SpawnedWorker", "Rest"}
)


async def connections_left(pool: Pool, times: int) -> int:
    """Has a pool's worker die so many times; returns how many objects of its connections are left without a garbage collection.

    Each connection has an inbox of 64 KiB, of which the garbage collector knows nothing: of a page with many objects it looks
    at the old ones so seldom that its memory would grow by hundreds of them.
    """

    def count() -> int:
        return sum(
            type(one).__name__ in _OF_CONNECTIONS and str(type(one).__module__).startswith("workerlib")
            for one in gc.get_objects()
        )

    await asyncio.sleep(0.3)
    gc.collect()
    gc.disable()
    try:
        before = count()
        await die_again_and_again(pool, times)
        # The frames of a call that has just ended are let go a little later.
        for _ in range(50):
            if (left := count() - before) <= 0:
                break
            await asyncio.sleep(0.1)
        return left
    finally:
        gc.enable()


async def held_by_process() -> dict[str, int]:
    """Returns how many objects of this library, tasks, threads and open files this process has, outside of a browser."""
    smallest: dict[str, int] = {}
    for _ in range(10):
        await asyncio.sleep(0.02)
        gc.collect()
        now = {
            "objects of workerlib": _objects_of_workerlib(gc.get_objects()),
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
            "files": len(os.listdir("/dev/fd")),
        }
        smallest = {what: min(count, smallest.get(what, count)) for what, count in now.items()}
    return smallest


async def held_by_page() -> dict[str, int]:
    """Returns how large the page's heap is, and of how many objects it consists: all, this library's, and proxies.

    Proxies are counted from `enable_pyproxy_allocation_tracing()` on.
    """
    import pyodide_js

    smallest: dict[str, int] = {}
    # The frames of a call that has just ended are let go a little later.
    for _ in range(10):
        await asyncio.sleep(0.02)
        gc.collect()
        objects = gc.get_objects()
        now = {
            "heap": pyodide_js._module.HEAPU8.byteLength,
            "objects": len(objects),
            "objects of workerlib": _objects_of_workerlib(objects),
            "proxies": pyodide_js._module.pyproxy_alloc_map.size,
        }
        del objects
        smallest = {what: min(count, smallest.get(what, count)) for what, count in now.items()}
    return smallest
