"""The shared tests of workers that die or are replaced: what it costs, and what runs again. See `pools.py`."""

from __future__ import annotations

import asyncio
import warnings

import workerlib

from expecting import raises
from pace import PACE
from pool_states import Start, all_up


async def test_a_task_that_cannot_be_interrupted(start: Start) -> None:
    """A worker that computes on for two seconds after its time is replaced, which is not a death; nobody waits for it."""
    async with start(size=1, max_restarts=0) as pool:
        before = await pool.identity()
        with raises(TimeoutError):
            await pool.spin.options(timeout=0.1)(600)
        async with asyncio.timeout(60 * PACE):
            after = await pool.identity()
        stats = pool.stats()
        # Where the page can interrupt the worker, the worker stays.
        assert (before == after) == (stats.restarts == 0)


async def test_a_death_costs_one_item(start: Start) -> None:
    """A chunk in which one item kills its worker has an error for that item alone."""
    async with start(size=2, backoff=None) as pool:
        results = [result async for result in pool.map(pool.die, range(10), errors="yield", chunk=10)]
        assert [result for number, result in enumerate(results) if number != 5] == [0, 1, 2, 3, 4, 6, 7, 8, 9]
        assert isinstance(results[5], workerlib.WorkerDiedError)
        assert "while it ran die()" in str(results[5])
        await all_up(pool)
        assert pool.stats().restarts == 1
        with raises(workerlib.WorkerDiedError):
            await pool.die(5)


async def test_a_death_in_a_large_chunk(start: Start) -> None:
    """A large chunk may lose some neighbours of the item that kills its worker; with retries that item alone is lost."""
    async with start(size=1, backoff=None, max_restarts=None) as pool:
        if not await pool.can_die_at_once():
            return
        results = [result async for result in pool.map(pool.die_at_once, range(64), errors="yield", chunk=64)]
        lost = [number for number, result in enumerate(results) if result != number]
        assert 20 in lost
        assert lost == list(range(lost[0], lost[-1] + 1))
        # A sixteenth of the chunk shares a message.
        assert len(lost) <= 4
        for number in lost:
            assert isinstance(results[number], workerlib.WorkerDiedError)
            assert "while it ran die_at_once()" in str(results[number])
        mapped = pool.map(pool.die_at_once, range(64), errors="yield", chunk=64, retries=5)
        results = [result async for result in mapped]
        assert [number for number, result in enumerate(results) if result != number] == [20]
        assert "not tried again" in str(results[20])


async def test_poison(start: Start) -> None:
    """A task that kills two workers is not tried again, whatever its retries are."""
    async with start(size=1, backoff=None) as pool:
        with raises(workerlib.WorkerDiedError, "not tried again"):
            await pool.die.options(retries=9)(5)
        await all_up(pool)
        assert pool.stats().restarts == 2
        assert await pool.double(1) == 2


async def test_a_task_with_an_iterator_runs_once(start: Start) -> None:
    """An iterator gives each item once: its task does not run again without them, and is not sent twice."""
    asked = 0

    async def should_die() -> bool:
        nonlocal asked
        asked += 1
        return asked == 1

    async with start(size=2, backoff=None) as pool:
        total = pool.total_and_die.options(retries=3)
        with raises(workerlib.WorkerDiedError, "it runs once, since an argument is an iterator"):
            await total(workerlib.stream([1, 2]), should_die)
        assert asked == 1
        asked = 0
        assert await total([1, 2], should_die) == 3
        assert asked == 2
        items = [(row for row in [1, 2]), [(row for row in [3])], [object()]]
        with warnings.catch_warnings():
            # A generator arrives as a list, with a warning.
            warnings.simplefilter("ignore", workerlib.ConversionWarning)
            results = [result async for result in pool.map(pool.same, items, errors="yield", chunk=3)]
        assert results[:2] == [[1, 2], [[3]]]
        assert isinstance(results[2], workerlib.UnsendableError)


async def test_a_map_whose_function_has_retries(start: Start) -> None:
    """The item that kills its worker runs again, as it does with the map's own `retries`."""
    async with start(size=1, backoff=None) as pool:
        results = [
            result async for result in pool.map(pool.die.options(retries=9), [4, 5, 6], errors="yield")
        ]
        assert results[::2] == [4, 6]
        assert "not tried again" in str(results[1])
        assert pool.stats().restarts == 2


async def test_an_idempotent_export_runs_again(start: Start) -> None:
    """A function that may run twice does so after a death, without retries."""
    async with start(size=1, backoff=0.2) as pool:
        pool.share(victim=5)
        task = pool.submit(pool.die_once, 5)
        async with asyncio.timeout(60 * PACE):
            while not pool.stats().starting:
                await asyncio.sleep(0.001)
        pool.share(victim=None)
        assert await task == 5


async def test_a_broken_pool(start: Start) -> None:
    """A worker that dies too often stays down; without workers every call says so, and what waits, too."""
    async with start(size=1, max_restarts=1, backoff=None) as pool:
        outcomes = await asyncio.gather(*(pool.die(5) for _ in range(4)), return_exceptions=True)
        assert [type(outcome).__name__ for outcome in outcomes] == ["WorkerDiedError"] * 2 + [
            "PoolBrokenError"
        ] * 2
        with raises(workerlib.PoolBrokenError, "no worker left"):
            await pool.double(1)
        with raises(workerlib.PoolBrokenError):
            async for _ in pool.map(pool.double, [1]):
                pass
        assert pool.stats().parked == 1
        assert pool.closed


async def test_deaths_with_the_defaults(start: Start) -> None:
    """A task that kills two workers is poison; a worker that dies a fourth time stays down; then the pool is broken."""
    async with start(size=1) as pool:
        with raises(workerlib.WorkerDiedError, "not tried again"):
            await pool.die.options(retries=9)(5)
        assert await pool.double(1) == 2
        assert pool.stats().parked == 0
        with raises(workerlib.WorkerDiedError, "while it ran die"):
            await pool.die(5)
        assert await pool.double(2) == 4
        assert pool.stats().restarts == 3
        waiting = [pool.submit(function, 5) for function in (pool.die, pool.double, pool.double)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [
            workerlib.WorkerDiedError,
            workerlib.PoolBrokenError,
            workerlib.PoolBrokenError,
        ]
        assert pool.stats().parked == 1
        with raises(workerlib.PoolBrokenError, "died too often"):
            await pool.double(1)


async def test_each_and_share_reach_later_workers(start: Start) -> None:
    """Workers that start later get the calls and values that all workers were given, before anything else."""
    async with start(size=2, backoff=None) as pool:
        await all_up(pool)
        assert await pool.each.set_up("a") == [1, 1]
        assert await pool.each["set_up"]("b") == [2, 2]
        pool.share(limit=10)
        assert await pool.each.limits() == [(10, 10, 10)] * 2
        with raises(workerlib.WorkerDiedError):
            await pool.die(5)
        with raises(workerlib.WorkerDiedError):
            await pool.die(5)
        results = await asyncio.gather(*(pool.set_up_with() for _ in range(6)))
        assert results == [["a", "b"]] * 6
        assert (await pool.limits())[0] == 10


async def test_recycling(start: Start) -> None:
    """A worker whose memory has grown beyond the limit is replaced between two tasks, which is not a death."""
    async with start(size=1, max_restarts=0, recycle_above=1) as pool:
        first = await pool.identity()
        async with asyncio.timeout(60 * PACE):
            while await pool.identity() == first:
                await asyncio.sleep(0)
        assert pool.stats().parked == 0
