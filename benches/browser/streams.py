"""Measures streams: items that a generator of the worker yields, as a loop of the page takes them.

The peers are the ways that users write by hand: a call for each item, a list as one result, and a callback
for each item, by Comlink and by PyScript's own `sync`. `suite.py` runs it. The page's loop counts the items,
so that the time is the one until the last item is there.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import js
from peers import COMLINK, PYSCRIPT, WORKERLIB, Connected
from pyodide.ffi import create_proxy

CALLS, IN_FLIGHT = "a call for each, awaited", "calls, 1,000 at a time"
ONE_RESULT = "one result"
COMLINK_CALLBACK, PYSCRIPT_CALLBACK = f"{COMLINK}, a callback for each", f"{PYSCRIPT} (sync) for each"
INTS, RECORDS, MEGABYTES, FIRST = "100,000 ints, an item", "5,000 records", "64 x 1 MB", "the first item"
SMALL_CALL = "a small call"
SLOW = "memory of a slow loop"
MANY, FEW = 100_000, 5_000
BLOCKS, MEGABYTE = 64, 1 << 20
SLOW_ITEMS, AHEAD = 1_000_000, 1_024


@dataclass(frozen=True)
class Way:
    """One way to get all items: from nothing to the milliseconds, or those of one of so many."""

    name: str
    take: Callable[[], Awaitable[Any]]
    share: int = 1

    async def in_a_row(self, _value: Any, count: int) -> list[float]:
        """Takes the time of the whole, so many times."""
        times = []
        for _ in range(count):
            start = perf_counter()
            await self.take()
            times.append((perf_counter() - start) * 1e3 / self.share)
        return times


@dataclass(frozen=True)
class FirstItem:
    """The first item of a stream: from the call to the item, without the time until the end of the stream."""

    name: str
    open: Callable[[], Any]

    async def in_a_row(self, _value: Any, count: int) -> list[float]:
        """Takes the times of so many streams."""
        times = []
        for _ in range(count):
            start = perf_counter()
            stream = self.open()
            await anext(stream)
            times.append((perf_counter() - start) * 1e3)
            # Otherwise the next one would be waited for together with the end of this one.
            await stream.aclose()
        return times


class Heard:
    """The page's function that gets items, for PyScript's way."""

    def __init__(self) -> None:
        """Waits for nothing."""
        self._left = 0
        self._all = asyncio.Event()

    async def all_of(self, count: int, call: Callable[[], Awaitable[Any]]) -> None:
        """Has the worker send items, and waits until the last one is there."""
        self._left = count
        self._all.clear()
        await call()
        await self._all.wait()

    def __call__(self, _item: Any) -> None:
        """Counts an item."""
        self._left -= 1
        if self._left == 0:
            self._all.set()


def streams(ways: Connected) -> dict[str, tuple[str, int, list[Any]]]:
    """Returns the unit, how many times in a row, and the ways of each row, by the row's name."""
    worker, own = ways.worker, ways.own
    heard = Heard()
    js.document.querySelector("script[name=bench]").xworker.sync.bench_item = create_proxy(heard)

    async def iterate(stream: Any, count: int) -> None:
        taken = 0
        async for _ in stream:
            taken += 1
        assert taken == count

    async def at_once(count: int) -> None:
        for _ in range(count // 1_000):
            await asyncio.gather(*(worker.echo(1) for _ in range(1_000)))

    async def one_by_one(count: int) -> None:
        for _ in range(count):
            await worker.echo(1)

    async def first() -> None:
        async with worker.stream_ints(MANY) as stream:
            await anext(stream)

    return {
        INTS: (
            "us",
            1,
            [
                Way(WORKERLIB, lambda: iterate(worker.stream_ints(MANY), MANY), MANY),
                # Fewer of them: they take ten times as long.
                Way(CALLS, lambda: one_by_one(MANY // 20), MANY // 20),
                Way(IN_FLIGHT, lambda: at_once(MANY // 5), MANY // 5),
                Way(COMLINK_CALLBACK, lambda: js.peers.comlinkItems("ints", MANY // 5), MANY // 5),
                Way(
                    PYSCRIPT_CALLBACK,
                    lambda: heard.all_of(MANY // 5, lambda: own.push("ints", MANY // 5)),
                    MANY // 5,
                ),
            ],
        ),
        RECORDS: (
            "ms",
            1,
            [
                Way(WORKERLIB, lambda: iterate(worker.stream_records(FEW), FEW)),
                Way(ONE_RESULT, lambda: worker.list_records(FEW)),
                Way(COMLINK_CALLBACK, lambda: js.peers.comlinkItems("records", FEW)),
                Way(PYSCRIPT_CALLBACK, lambda: heard.all_of(FEW, lambda: own.push("records", FEW))),
            ],
        ),
        MEGABYTES: (
            "ms",
            1,
            [
                Way(WORKERLIB, lambda: iterate(worker.stream_blocks(BLOCKS, MEGABYTE), BLOCKS)),
                Way(ONE_RESULT, lambda: worker.list_blocks(BLOCKS, MEGABYTE)),
                Way(COMLINK_CALLBACK, lambda: js.peers.comlinkItems("blocks", BLOCKS)),
            ],
        ),
        FIRST: (
            "us",
            200,
            [
                FirstItem(WORKERLIB, lambda: worker.stream_ints(1)),
                Way(SMALL_CALL, lambda: worker.echo(1)),
                Way("and the end", first),
            ],
        ),
    }


async def memory(
    worker: Any, heaps: Callable[[], Awaitable[dict[str, float]]]
) -> tuple[dict[str, float], int]:
    """Takes a million items slowly: how much the heaps have grown, and how far the generator was ahead."""
    before, most, taken = {}, 0, 0
    async for number in worker.stream_noting(SLOW_ITEMS):
        taken = number + 1
        if taken == SLOW_ITEMS // 20:
            gc.collect()
            before = await heaps()
        if taken % 10_000 == 0:
            # The page is busy, and then looks how far the generator has come.
            await asyncio.sleep(0.002)
            most = max(most, await worker.produced() - taken)
    after = await heaps()
    return {side: after[side] / before[side] for side in before}, most


def goals(find: Callable[..., Any]) -> Iterator[tuple[str, float | None, float]]:
    """Gives each goal of these rows: its name, the value, and the largest value that meets it.

    Args:
        find: Finds a row by its group and the beginning of its name.
    """
    for name, peer, most in (
        (INTS, CALLS, 0.1),
        (INTS, IN_FLIGHT, 0.333),
        (RECORDS, ONE_RESULT, 1.3),
        (MEGABYTES, ONE_RESULT, 1.2),
        (FIRST, SMALL_CALL, 1.3),
    ):
        if row := find("stream", name):
            yield f"stream, {name}, times {peer}", row.ratios.get(peer), most
    if row := find(SLOW):
        yield (
            "heaps after a stream of 1,000,000 items to a slow loop, times before",
            max(row.values.values()),
            1.05,
        )
        yield "items that the generator was ahead of the slow loop", row.details["ahead"]["most"], AHEAD
