"""The shared tests of calls on pools: names, nested calls, time limits, `each`, `share` and the end. See `pools.py`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import workerlib
from workerlib import Pool

import pool_kills
from expecting import raises
from pace import PACE
from pool_states import Start, all_up


async def test_calls_and_names(pool: Pool) -> None:
    """A call runs on some worker; a name that the pool has itself is reached by brackets; others are refused."""
    assert await pool.double(21) == 42
    assert await pool["map"](3) == -3
    with raises(workerlib.NotExportedError, "does not export 'treble'"):
        await pool.treble(1)
    with raises(ValueError, "13 is odd"):
        await pool.check(13)
    assert "double" in dir(pool)
    assert "2 workers" in repr(pool)


async def test_callbacks_and_streams(pool: Pool) -> None:
    """A function among the arguments is called back; an export that is a stream is refused with the remedy."""
    assert await pool.ask(lambda question: f"{question} 3") == "how many? 3"
    with raises(workerlib.NotSupportedError, "call it on a single worker"):
        await pool.numbers(3)


async def test_nested_calls(pool: Pool) -> None:
    """Callbacks of more tasks than there are workers call the pool, at any depth, and each call ends."""
    await all_up(pool)

    async def double(number: int) -> Any:
        return await pool.double(number)

    async def deeper(number: int) -> Any:
        return await pool.ask_with(deeper, number - 1) if number else await pool.double(21)

    async def limited(_number: int) -> Any:
        with raises(TimeoutError, "wait"):
            await pool.wait.options(timeout=0.05)(600)

    async def fails(number: int) -> Any:
        with raises(ValueError, "13 is odd"):
            await pool.check(number)

    for question, results in (
        (double, [2 * number for number in range(5)]),
        (deeper, [42] * 5),
        (limited, [None] * 5),
    ):
        tasks = [pool.ask_with(question, number) for number in range(5)]
        assert await asyncio.gather(*tasks) == results
    await asyncio.gather(*(pool.ask_with(fails, 13) for _ in range(3)))


async def test_both_workers_work(pool: Pool) -> None:
    """Two calls at a time run on two workers, each of which runs one."""
    await all_up(pool)
    both = await asyncio.gather(pool.identity(), pool.identity(), pool.wait(0.01), pool.wait(0.01))
    assert both[0] != both[1]


async def test_submit(pool: Pool) -> None:
    """`submit` gives a task of asyncio's."""
    tasks = [pool.submit(pool.double, number) for number in range(10)]
    assert sorted([await task for task in asyncio.as_completed(tasks)]) == list(range(0, 20, 2))
    with raises(TypeError, "not a function of this pool"):
        pool.submit(len, "abc")  # type: ignore[arg-type]
    # A function that calls a worker is none that a worker could run.
    with raises(TypeError, r"double\(\) is called here and runs in workers already"):
        await pool.run(pool.double, 1)


async def test_errors_name_the_places_that_users_know(pool: Pool) -> None:
    """A pool sends values inside of calls of its own; an error names the user's argument, value or result."""
    with raises(workerlib.UnsendableError, "^args.0.: object cannot be sent"):
        await pool.double(object())
    with raises(workerlib.UnsendableError, "^args.1..'key'.: object cannot be sent"):
        await pool.run(max, 1, {"key": object()})
    with raises(workerlib.UnsendableError, "^kwargs.'key'.: object cannot be sent"):
        await pool.run(max, 1, key=object())
    with raises(workerlib.UnsendableError, "^shared.'limit'.: object cannot be sent"):
        pool.share(limit=object())
    async for result in pool.map(pool.unsendable, [0, 0], errors="yield", chunk=2):
        assert str(result).startswith("result: "), result


async def test_reports(pool: Pool) -> None:
    """A call's `on_report` hears what the function reports, on whichever worker it runs."""
    heard: list[tuple[int, int]] = []

    def hear(done: int, total: int) -> None:
        heard.append((done, total))

    assert await asyncio.gather(*(pool.steps.options(on_report=hear)(3) for _ in range(2))) == [3, 3]
    assert sorted(heard) == [(0, 3), (0, 3), (1, 3), (1, 3), (2, 3), (2, 3)]

    def refuse(*_: int) -> None:
        raise LookupError("no bar")

    with raises(LookupError, "no bar"):
        await pool.steps.options(on_report=refuse)(3)


async def test_time_limits(pool: Pool) -> None:
    """A call that runs for too long raises TimeoutError, also one that computes; the pool goes on."""
    with raises(TimeoutError, "wait.. was still running after 0.05 seconds"):
        await pool.wait.options(timeout=0.05)(600)
    # A busy machine may need longer than a short limit for a short call.
    for seconds in (0.2, 2.0 * PACE):
        results = [
            result
            async for result in pool.map(pool.wait, [0, 600, 0, 0], timeout=seconds, errors="yield", chunk=4)
        ]
        kinds = [type(result) for result in results]
        if kinds == [int, TimeoutError, int, int]:
            break
    assert kinds == [int, TimeoutError, int, int]
    with raises(ValueError, "is over before"):
        pool.wait.options(timeout=0)


async def test_cancel(pool: Pool) -> None:
    """A call that waits for a worker is dropped, one that runs is interrupted."""
    running = [pool.submit(pool.wait, 600) for _ in range(2)]
    waiting = pool.submit(pool.wait, 600)
    await asyncio.sleep(0.05)
    for task in (waiting, *running):
        task.cancel()
    done = await asyncio.gather(waiting, *running, return_exceptions=True)
    assert [type(outcome) for outcome in done] == [asyncio.CancelledError] * 3


async def test_each_and_share_refuse_iterators(pool: Pool) -> None:
    """One worker would get the items, and the others, or one that starts later, nothing, without an error."""
    with raises(workerlib.UnsendableError, r"args\[1\]: it is, or has, an iterator"):
        await pool.each.set_up(1, (row for row in [1, 2]))
    with raises(workerlib.UnsendableError, "rows: it is, or has, an iterator"):
        pool.share(limit=10, rows={"all": [iter([1, 2])]})
    with raises(workerlib.UnsendableError, "rows: it is, or has, an iterator"):
        pool.share(rows=workerlib.stream([1, 2]))


async def test_each_refuses_streams(pool: Pool) -> None:
    """No worker of a pool runs a stream, also not each of them."""
    with raises(workerlib.NotSupportedError, "is a stream"):
        await pool.each.numbers(3)


async def test_each_while_a_worker_is_interrupted(start: Start) -> None:
    """A worker that is being interrupted runs what all workers run as soon as it is idle."""
    async with start(size=1) as pool:
        running = pool.submit(pool.clean_up_slowly)
        while not pool.stats().busy:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.sleep(0)
        assert await pool.each.set_up("a") == [1]
        assert await pool.set_up_with() == ["a"]
        with raises(asyncio.CancelledError):
            await running


async def test_each_that_fails(start: Start) -> None:
    """A set-up that raises everywhere is its caller's error, and not that of workers that start later."""
    async with start(size=1, backoff=None, max_restarts=1) as pool:
        with raises(ValueError, "3 is odd"):
            await pool.each.check(3)
        assert await pool.each.check(4) == [4]
        with raises(workerlib.WorkerDiedError):
            await pool.die(5)
        assert await pool.double(1) == 2
        assert pool.stats().restarts == 1


async def test_each_without_a_worker(start: Start) -> None:
    """If no worker runs the set-up, its outcome is that of the first one that starts; a mistake costs no worker."""
    async with start(size=1, backoff=None, max_restarts=3) as pool:
        # The worker dies before its turn, and the one in its place runs the set-up first of all.
        dying = pool.submit(pool.die_later)
        while not pool.stats().busy:
            await asyncio.sleep(0.001)
        assert await pool.each.set_up("a") == [1]
        with raises(workerlib.WorkerDiedError):
            await dying
        assert await pool.set_up_with() == ["a"]
        # Each call begins while no worker runs.
        for _ in range(2):
            with raises(workerlib.WorkerDiedError):
                await pool.die(5)
            assert pool.stats().starting == 1
            with raises(ValueError, "3 is odd"):
                await pool.each.check(3)
            assert await pool.set_up_with() == ["a"]
        with raises(workerlib.WorkerDiedError):
            await pool.die(5)
        with raises(workerlib.PoolBrokenError):
            await pool.each.set_up("b")
    async with start(size=1, backoff=(600, 600)) as pool:
        with raises(workerlib.WorkerDiedError):
            await pool.die(5)
        waiting = asyncio.ensure_future(pool.each.set_up("c"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await pool.close()
        with raises(workerlib.ConnectionClosedError, "is closed"):
            await waiting


async def test_each_that_is_cancelled(start: Start) -> None:
    """A set-up that is cancelled, because it does not end, keeps no later worker from its work."""
    async with start(size=2, backoff=None) as pool:
        await all_up(pool)
        with raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await pool.each.wait(600)
        with raises(workerlib.WorkerDiedError):
            await pool.die(5)
        async with asyncio.timeout(60 * PACE):
            while pool.stats().restarts < 1:
                await asyncio.sleep(0.01)
        # A worker that starts meanwhile runs it as well, and not any more when it is cancelled.
        begun = 0

        def begin() -> None:
            nonlocal begun
            begun += 1

        setting_up = asyncio.ensure_future(pool.each.tell_and_wait(begin))
        async with asyncio.timeout(60 * PACE):
            while begun < 2:
                await asyncio.sleep(0.01)
            pool_kills.running(pool)[0].terminate()
            while begun < 3:
                await asyncio.sleep(0.01)
            setting_up.cancel()
            with raises(asyncio.CancelledError):
                await setting_up
            await all_up(pool)
            assert await asyncio.gather(*(pool.double(number) for number in range(4))) == [0, 2, 4, 6]


async def test_shared_values(pool: Pool) -> None:
    """Each call that is sent after `share` sees it, on each worker; a worker only reads."""
    for limit in range(20):
        pool.share(limit=limit, other="stays")
        seen = await asyncio.gather(pool.limits(), pool.limits())
        assert seen == [(limit, limit, limit)] * 2
    pool.share(limit=0)
    first = asyncio.gather(pool.limits(), pool.limits())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    pool.share(limit=1)
    for before, same, _ in await first:
        assert before == same
    assert (await pool.limits())[0] == 1
    texts = await pool.missing_value()
    assert "has not shared 'nothing_of_this_name'; it has shared limit, other" in texts
    assert "a worker only reads it" in texts
    with raises(workerlib.UnsendableError):
        pool.share(limit=object())
    assert (await pool.limits())[0] == 1


async def test_closing(start: Start) -> None:
    """At the end of the block, what has no answer gets one; a closed pool says that it is closed."""
    async with start(size=1) as pool:
        running, waiting = pool.submit(pool.wait, 600), pool.submit(pool.double, 1)
        results = pool.map(pool.wait, [600] * 3)
        step = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0.05)
    for task in (running, waiting, step):
        with raises(workerlib.ConnectionClosedError, "is closed"):
            await task
    with raises(workerlib.ConnectionClosedError, "is closed"):
        await pool.double(1)
    with raises(workerlib.ConnectionClosedError, "is closed"):
        pool.share(limit=1)
    assert pool.closed
    stats = pool.stats()
    assert (stats.idle, stats.busy, stats.starting, stats.waiting) == (0, 0, 0, 0)


async def test_two_workers_are_faster_than_one(pool: Pool) -> None:
    """Tasks run side by side: 40 waits on two workers take less than what one would need."""
    await all_up(pool)
    # The calls themselves take a busy machine longer than short waits.
    for seconds in (0.02, 0.1, 0.5):
        start = time.monotonic()
        async for _ in pool.map(pool.wait, [seconds] * 40, ordered=False):
            pass
        if time.monotonic() - start < 40 * seconds:
            return
    raise AssertionError("one worker would be as fast")
