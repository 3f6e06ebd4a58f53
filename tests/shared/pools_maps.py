"""The shared tests of `pool.map()`: order, laziness, chunks, errors, progress, and its end. See `pools.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import workerlib
from workerlib import Pool

import pool_kills
from expecting import raises
from pace import PACE
from pool_states import all_up


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


async def test_the_options_of_a_maps_function(pool: Pool) -> None:
    """The options of the function hold for each item, and those of the map come before them."""
    limited = pool.wait.options(timeout=0.1)
    results = [result async for result in pool.map(limited, [0, 600, 0], errors="yield")]
    assert results[::2] == [0, 0]
    assert isinstance(results[1], TimeoutError)
    assert [result async for result in pool.map(limited, [0, 0.2], timeout=60 * PACE)] == [0, 0.2]
    with raises(workerlib.NotSupportedError, "on_progress= hears"):
        pool.map(pool.steps.options(on_report=lambda *_: None), [1])


async def test_map_of_what_raises_the_end(pool: Pool) -> None:
    """StopAsyncIteration of the items or of `on_progress` is an error, and no end with results missing."""

    def items() -> Iterator[int]:
        yield 1
        raise StopAsyncIteration

    def end(done: int, _total: int | None) -> None:
        if done == 2:
            raise StopAsyncIteration

    for results in (
        pool.map(pool.double, items()),
        pool.map(pool.double, [1, 2, 3], on_progress=end),
    ):
        with raises(RuntimeError, "raised StopAsyncIteration"):
            async for _ in results:
                pass


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
