"""The duties of every pool, wherever its workers run: tests that know no host and no pytest.

Each is an async function that takes by name what it needs:

- `pool`: a pool of two workers that run `pool_worker.py`. Tests share it, so none may close it or leave it changed.
- `start`: starts another pool of that script with the options of `workerlib.pool()`.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import workerlib
from workerlib import Pool

import pool_kills
from expecting import raises
from pace import PACE

# The suite's worker exports map().
warnings.filterwarnings("ignore", ".*a name that each Pool has", UserWarning)

Start = Callable[..., AbstractAsyncContextManager[Pool]]


async def run(name: str, pool: Pool, start: Start) -> None:
    """Runs one test, which raises if what it says is not so.

    Args:
        name: A key of `TESTS`.
        pool: A pool of two workers; it is open, and stays so.
        start: Starts another one.
    """
    test = TESTS[name]
    given: dict[str, Any] = {"pool": pool, "start": start}
    await test(**{parameter: given[parameter] for parameter in inspect.signature(test).parameters})
    assert await pool.double(1) == 2


async def all_up(pool: Pool) -> None:
    """Waits until all workers have started."""
    async with asyncio.timeout(60 * PACE):
        while pool.stats().starting:
            await asyncio.sleep(0.01)


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


async def test_nested_maps(pool: Pool) -> None:
    """A map in a callback uses the workers that are free, and is refused if none will be."""
    await all_up(pool)
    together = asyncio.Event()
    begun = 0

    async def doubled(count: int) -> Any:
        return [result async for result in pool.map(pool.double, range(count))]

    async def doubled_together(count: int) -> Any:
        nonlocal begun
        begun += 1
        if begun == 2:
            together.set()
        await together.wait()
        return await doubled(count)

    assert await pool.ask_with(doubled, 4) == [0, 2, 4, 6]
    tasks = [pool.ask_with(doubled_together, 4) for _ in range(2)]
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeadlockError", "list"], outcomes
    assert await pool.ask_with(doubled, 4) == [0, 2, 4, 6]


async def test_a_nested_map_that_cannot_begin(pool: Pool) -> None:
    """A map whose items cannot be iterated does not count as waiting: another task's map may begin meanwhile."""
    await all_up(pool)
    failed, begun = asyncio.Event(), asyncio.Event()

    class Unready:
        def __iter__(self) -> Iterator[int]:
            raise LookupError("no items")

    async def fail(_number: int) -> Any:
        results = pool.map(pool.double, Unready())
        for _ in range(2):
            with raises(LookupError, "no items"):
                await anext(results)
        failed.set()
        await begun.wait()
        return results.done

    async def begin(number: int) -> Any:
        await failed.wait()
        results = pool.map(pool.double, [number])
        step = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        begun.set()
        return await step

    assert await asyncio.gather(pool.ask_with(fail, 1), pool.ask_with(begin, 2)) == [0, 4]


async def test_both_workers_work(pool: Pool) -> None:
    """Two calls at a time run on two workers, each of which runs one."""
    await all_up(pool)
    both = await asyncio.gather(pool.identity(), pool.identity(), pool.wait(0.01), pool.wait(0.01))
    assert both[0] != both[1]


async def test_submit(pool: Pool) -> None:
    """`submit` gives a task of asyncio's."""
    tasks = [pool.submit(pool.double, number) for number in range(10)]
    assert sorted([await task for task in asyncio.as_completed(tasks)]) == list(range(0, 20, 2))
    with raises(TypeError, "no function of this pool"):
        pool.submit(len, "abc")  # type: ignore[arg-type]


async def test_map_in_order(pool: Pool) -> None:
    """Results come in the order of their items, however many there are."""
    assert [result async for result in pool.map(pool.double, range(500))] == list(range(0, 1000, 2))
    assert [result async for result in pool.map(pool.double, [])] == []
    assert [result async for result in pool.map(pool["map"], [1, 2], chunk=2)] == [-1, -2]


async def test_a_map_that_may_read_no_more_than_it_has(pool: Pool) -> None:
    """The end of the items is noticed when the last result has been taken, and ends the step that waits then."""
    await all_up(pool)

    class Failing:
        def __iter__(self) -> Iterator[int]:
            yield 1
            raise LookupError("no more items")

    async with asyncio.timeout(60 * PACE):
        for count in range(4):
            for ahead in (1, 2):
                results = pool.map(pool.double, range(count), ahead=ahead, chunk=1)
                assert [result async for result in results] == [2 * number for number in range(count)]
        results = pool.map(pool.double, range(4), ahead=2, chunk=2)
        assert await anext(results) == 0
        while results.done < 4:
            await asyncio.sleep(0.01)
        assert [result async for result in results] == [2, 4, 6]
        failing = pool.map(pool.double, Failing(), ahead=1, chunk=1)
        assert await anext(failing) == 2
        with raises(LookupError, "no more items"):
            await anext(failing)


async def test_map_as_completed(pool: Pool) -> None:
    """A slow item holds up no other one."""
    await all_up(pool)
    # On a busy machine the other items may take longer than a short wait.
    for slow in (0.3, 3, 30):
        seconds = [slow, 0, 0, 0, 0]
        results = [result async for result in pool.map(pool.wait, seconds, ordered=False)]
        assert sorted(results) == sorted(seconds)
        if results[-1] == slow:
            return
    raise AssertionError("the slow item held up the others")


async def test_map_gives_back_what_waits_behind_slow_items(pool: Pool) -> None:
    """Quick items make large chunks; when slow items follow in a chunk, other workers take what has not begun."""
    await all_up(pool)
    seconds = [0.0] * 400 + [0.05] * 20 + [0.0] * 400
    workers = [worker async for worker in pool.map(pool.spin_somewhere, seconds)]
    assert len(workers) == len(seconds)
    assert len(set(workers[400:420])) == 2
    # A worker itself says which items it has not begun.
    ended: list[float] = []
    member = pool_kills.running(pool)[0]
    await member.run_chunk("spin", [0.0, 0.3, 0.0, 0.0], 1, 0.2, lambda _kind, result: ended.append(result))
    assert ended in ([0.0, 0.3], [0.0])


async def test_a_chunk_follows_another(pool: Pool) -> None:
    """A chunk that is sent in advance begins when the one before it has ended, and only if all items of that have run."""
    await all_up(pool)
    heard: list[str] = []

    def chunk(
        name: str, items: list[float], patience: float = 60.0, follows: bool = True
    ) -> asyncio.Task[Any]:
        member = pool_kills.running(pool)[0]

        def hear(kind: int, _result: Any) -> None:
            heard.append(f"{name}{kind}")

        return asyncio.ensure_future(member.run_chunk("wait", items, 1, patience, hear, follows=follows))

    # The items await, so that nothing but the order of the chunks keeps the second one back.
    first, second = chunk("a", [0.02, 0.02], follows=False), chunk("b", [0.0, 0.0])
    assert await first >= 0.04
    assert await second < 60
    assert heard == ["a1", "a1", "b1", "b1"]
    heard.clear()
    first, second = chunk("a", [0.02, 0.0], patience=0.0, follows=False), chunk("b", [0.0])
    await asyncio.gather(first, second)
    assert heard == ["a1"]
    heard.clear()
    first, second = chunk("a", [0.3, 0.0], follows=False), chunk("b", [0.0])
    third = chunk("c", [0.0])
    await asyncio.sleep(0.05)
    second.cancel()
    await asyncio.wait([first, second, third])
    assert [outcome for outcome in heard if outcome[0] != "b"] == ["a1", "a1"]


async def test_map_is_lazy(pool: Pool) -> None:
    """Nothing is read before the first step, and then no more than `ahead` chunks beyond what is taken."""
    read = []

    def items() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    results = pool.map(pool.double, items(), ahead=3, chunk=2)
    assert read == []
    for taken in range(1, 10):
        await anext(results)
        assert len(read) - taken <= 6
    await results.aclose()
    with raises(StopAsyncIteration):
        await anext(results)
    await pool.double(1)
    assert len(read) <= 9 + 6


async def test_map_of_an_async_iterable(pool: Pool) -> None:
    """Items may come one by one; an error of theirs, sync or async, comes after the results of the items before."""

    async def items() -> AsyncIterator[int]:
        for number in range(5):
            await asyncio.sleep(0)
            yield number
        raise LookupError("no more")

    def sync_items() -> Iterator[int]:
        yield from range(5)
        raise LookupError("no more")

    for source in (items(), sync_items()):
        results = []
        with raises(LookupError, "no more"):
            async for result in pool.map(pool.double, source):
                results.append(result)
        assert results == [0, 2, 4, 6, 8]


async def test_map_with_errors(pool: Pool) -> None:
    """An exception costs its item: it is yielded in its place, or ends the map."""
    results = [result async for result in pool.map(pool.check, range(20), errors="yield", chunk=4)]
    assert [number for number, result in enumerate(results) if isinstance(result, ValueError)] == [3, 13]
    assert [result for result in results if not isinstance(result, ValueError)] == [
        number for number in range(20) if number not in {3, 13}
    ]
    results = []
    with raises(ValueError, "3 is odd"):
        async for result in pool.map(pool.check, range(20)):
            results.append(result)
    assert results == [0, 1, 2]


async def test_map_of_quick_items(pool: Pool) -> None:
    """Results of quick items share messages: each arrives as it was when its function returned, in its place."""
    results = [result async for result in pool.map(pool.kinds, range(512), errors="yield", chunk=256)]
    for number, result in enumerate(results):
        expected = [
            number,
            str(number),
            [number, 0],
            {"n": number},
            (number, None),
            "x" * 5000,
            b"x" * number,
        ]
        match number % 9:
            case 7:
                assert isinstance(result, ValueError)
                assert str(result) == f"no {number}"
            case 8:
                assert isinstance(result, workerlib.UnsendableError)
            case kind:
                assert type(result) is type(expected[kind])
                assert result == expected[kind]
    assert results[2] is not results[11]
    assert [result async for result in pool.map(pool.wait, [0] * 200, chunk=100)] == [0] * 200


async def test_map_of_values_that_cannot_be_sent(pool: Pool) -> None:
    """An argument or a result that cannot be sent costs one item."""
    items = [1, object(), 2]
    results = [result async for result in pool.map(pool.double, items, errors="yield", chunk=3)]
    assert results[0::2] == [2, 4]
    assert isinstance(results[1], workerlib.UnsendableError)
    results = [result async for result in pool.map(pool.unsendable, range(2), errors="yield", chunk=2)]
    assert isinstance(results[0], workerlib.UnsendableError)
    assert list(results[1]) == [0]


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


async def test_break_ends_a_map(pool: Pool) -> None:
    """After `break` the items that wait are dropped, and the worker is free for others."""
    async for _ in pool.map(pool.wait, [0, 60, 60, 60, 60]):
        break
    async with asyncio.timeout(30 * PACE):
        assert await asyncio.gather(*(pool.double(number) for number in range(4))) == [0, 2, 4, 6]


async def test_progress_that_raises(pool: Pool) -> None:
    """An exception of `on_progress` ends its map, as one of `on_report` ends its call, and costs nobody else anything."""

    def refuse(done: int, _total: int | None) -> None:
        if done == 3:
            raise LookupError("no bar")

    others = [pool.submit(pool.double, number) for number in range(20)]
    for errors in ("raise", "yield"):
        with raises(LookupError, "no bar"):
            async for _ in pool.map(pool.double, range(100), on_progress=refuse, errors=errors, chunk=4):
                pass
    assert await asyncio.gather(*others) == [2 * number for number in range(20)]
    assert [result async for result in pool.map(pool.double, range(3))] == [0, 2, 4]


async def test_a_map_of_several_consumers(pool: Pool) -> None:
    """Several tasks may take results of one map: each result comes once, and the end reaches all."""
    results = pool.map(pool.double_slowly, range(40), chunk=1)

    async def consume() -> list[int]:
        return [result async for result in results]

    taken = await asyncio.gather(*(consume() for _ in range(4)))
    assert sorted(number for part in taken for number in part) == list(range(0, 80, 2))


async def test_progress(pool: Pool) -> None:
    """A map tells how many items have ended, and of how many."""
    told: list[tuple[int, int | None]] = []
    results = pool.map(pool.double, [1, 2, 3], on_progress=lambda done, total: told.append((done, total)))
    assert (results.done, results.total) == (0, 3)
    async for _ in results:
        pass
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert results.done == 3

    async def tell(_done: int, _total: int | None) -> None: ...

    with raises(TypeError, "is async, and nothing would await it"):
        pool.map(pool.double, [1], on_progress=tell)


async def test_a_long_range(pool: Pool) -> None:
    """A map of more numbers than a `len()` may tell is begun all the same, and knows how many they are."""
    results = pool.map(pool.double, range(10, 10**30))
    assert results.total == 10**30 - 10
    assert [await anext(results) for _ in range(3)] == [20, 22, 24]
    await results.aclose()


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


async def test_a_task_that_cannot_be_interrupted(start: Start) -> None:
    """A worker that computes on for two seconds after its time is replaced, which is no death; nobody waits for it."""
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


async def test_each_and_share_refuse_iterators(pool: Pool) -> None:
    """One worker would get the items, and the others, or one that starts later, nothing, without an error."""
    with raises(workerlib.UnsendableError, r"args\[1\]: it is, or has, an iterator"):
        await pool.each.set_up(1, (row for row in [1, 2]))
    with raises(workerlib.UnsendableError, "rows: it is, or has, an iterator"):
        pool.share(limit=10, rows={"all": [iter([1, 2])]})
    with raises(workerlib.UnsendableError, "rows: it is, or has, an iterator"):
        pool.share(rows=workerlib.stream([1, 2]))


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
        # A worker that dies before its turn has no result: the one in its place runs the set-up first of all.
        dying = pool.submit(pool.die_later)
        while not pool.stats().busy:
            await asyncio.sleep(0.001)
        assert await pool.each.set_up("a") == []
        with raises(workerlib.WorkerDiedError):
            await dying


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


async def test_recycling(start: Start) -> None:
    """A worker whose memory has grown beyond the limit is replaced between two tasks, which is no death."""
    async with start(size=1, max_restarts=0, recycle_above=1) as pool:
        first = await pool.identity()
        async with asyncio.timeout(60 * PACE):
            while await pool.identity() == first:
                await asyncio.sleep(0)
        assert pool.stats().parked == 0


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


OF_HOSTS = {
    "calls_and_names",
    "both_workers_work",
    "time_limits",
    "a_death_costs_one_item",
    "a_task_that_cannot_be_interrupted",
    "shared_values",
    "map_in_order",
    "deaths_with_the_defaults",
    "nested_calls",
}
"""The tests that a host's own workers can change. The others test a pool's own code, which is the same on every host: a plain run has
them over subprocesses only (docs/adr/0068)."""

TESTS = {
    name.removeprefix("test_"): test for name, test in list(globals().items()) if name.startswith("test_")
}
