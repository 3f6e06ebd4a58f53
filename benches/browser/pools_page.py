"""Runs tasks on a pool, on a single worker, and dask's graphs on the peer's pool, for pools.html."""

import asyncio
import gc
import json
from collections import Counter
from time import perf_counter

import dask
import js
import pool_kills
import pyodide_js
import workerlib
from pyodide.ffi import to_js

PACKAGES = ["dask", "cloudpickle"]


async def pool(size, packages=()):
    """Starts a pool whose workers are all there."""
    started = await workerlib.pool("./pools_worker.py", size, packages=list(packages))
    while started.stats().starting:
        await asyncio.sleep(0.05)
    return started


async def all_of(started, seconds):
    """Returns how many milliseconds a pool needs for tasks of these lengths."""
    begun = perf_counter()
    async for _ in started.map(started.spin, seconds, ordered=False):
        pass
    return (perf_counter() - begun) * 1e3


async def peer(name, values):
    """Returns how many milliseconds the peer's JavaScript takes; None if it fails, which costs its own column only."""
    try:
        return await js.workerPool(name, to_js(values))
    except Exception as error:
        js.console.error(f"worker-pool: {error}")
        return None


async def tasks(count):
    """Runs tasks of 20 ms on one worker, on two, and on two of the peer's, whose tasks are JavaScript."""
    times = []
    for size in (1, 2):
        async with await pool(size) as started:
            await all_of(started, [0.001] * 20)
            times.append(await all_of(started, [0.02] * count))
    return json.dumps({"one": times[0], "two": times[1], "peer": await peer("spin", [0.02] * count)})


async def tiny(count):
    """Calls a function that does nothing: for each item of a map, and a call at a time on a single worker.

    The peer's tasks are JavaScript, and each of them travels alone.
    """
    async with workerlib.spawn("./pools_worker.py") as worker:
        for warm in range(500):
            await worker.echo(warm)
        begun = perf_counter()
        for number in range(count // 20):
            await worker.echo(number)
        single = (perf_counter() - begun) / (count // 20)
    async with await pool(2) as started:
        results = [result async for result in started.map(started.echo, range(count // 10))]
        begun = perf_counter()
        results = [result async for result in started.map(started.echo, range(count))]
        mapped = (perf_counter() - begun) / count
    assert results == list(range(count))
    took = await peer("echo", list(range(count)))
    each = None if took is None else took * 1e3 / count
    return json.dumps({"single": single * 1e6, "map": mapped * 1e6, "peer": each})


async def stragglers(count):
    """Runs tasks of which one in 50 takes 20 times as long; the ideal divides their sum by the workers."""
    seconds = [0.1 if number % 50 == 25 else 0.005 for number in range(count)]
    async with await pool(2) as started:
        await all_of(started, [0.001] * 20)
        took = await all_of(started, seconds)
    ideal = sum(seconds) / 2 * 1e3
    return json.dumps({"pool": took, "ideal": ideal, "peer": await peer("spin", seconds)})


def make(number, size):
    return bytes([number % 256]) * size


def change(data):
    return data[1:] + data[:1]


def both(left, right):
    return left[: len(left) // 2] + right[len(right) // 2 :]


def collections(size):
    """Makes 100 chains of 10 tasks and a tree of 500, with so many bytes between them."""
    make_, change_, both_, length = (dask.delayed(one, pure=False) for one in (make, change, both, len))
    ends = []
    for number in range(100):
        data = make_(number, size)
        for _ in range(8):
            data = change_(data)
        ends.append(length(data))
    tree = [make_(number, size) for number in range(250)]
    while len(tree) > 1:
        pairs = [both_(left, right) for left, right in zip(tree[::2], tree[1::2], strict=False)]
        tree = pairs + tree[2 * len(pairs) :]
    return [*ends, length(tree[0])]


async def graph(way, size):
    """Computes the graph by "workerlib" or "pyodide-pool"; tells the time and the page's heap."""
    warm = [dask.delayed(make, pure=False)(number, 10) for number in range(4)]
    if way == "workerlib":
        started = await pool(2, PACKAGES)
        compute = started.compute
    else:
        import pyodide_pool

        compute = pyodide_pool.compute
    await compute(*warm)
    wanted = collections(size)
    gc.collect()
    before = pyodide_js._module.HEAPU8.byteLength
    begun = perf_counter()
    results = await compute(*wanted)
    took = (perf_counter() - begun) * 1e3
    assert tuple(results) == (size,) * 101, results
    return json.dumps({"ms": took, "before": before, "after": pyodide_js._module.HEAPU8.byteLength})


async def kills(count, items):
    """Terminates workers at random during a map with retries; tells how many results are wrong."""
    async with workerlib.pool("./pool_worker.py", 2, **pool_kills.UNBOUNDED) as started:
        begun = perf_counter()
        results = await pool_kills.kill_during_map(started, started.double, kills=count, items=items)
        seconds = perf_counter() - begun
    times = Counter(results)
    wrong = sum(abs(times[2 * number] - 1) for number in range(len(results)))
    return json.dumps({"wrong": wrong, "items": len(results), "seconds": seconds})


async def restarts(count):
    """Restarts a worker that dies again and again; tells what the page holds before and after."""
    async with workerlib.pool("./pool_worker.py", 1, **pool_kills.UNBOUNDED) as started:
        pyodide_js._module.enable_pyproxy_allocation_tracing()
        await pool_kills.die_again_and_again(started, 20)
        before = await pool_kills.held_by_page()
        begun = perf_counter()
        await pool_kills.die_again_and_again(started, count)
        seconds = perf_counter() - begun
        after = await pool_kills.held_by_page()
        assert started.stats().restarts == count + 20
    return json.dumps({"before": before, "after": after, "each": seconds * 1e3 / count})
