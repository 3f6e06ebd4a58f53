"""Code that type checkers must accept, and whose types they must know."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_type

import stats_worker
import workerlib
from interfaces import Counting, Stats
from stats_worker import Summary


async def main() -> None:
    """Uses a worker in each way."""
    worker = await workerlib.connect("stats", interface=Stats)
    assert_type(worker, Stats)
    assert_type(await worker.mean([1.0, 2]), float)
    assert_type(await worker.mean([1.0], 2.0, digits=3), float)
    assert_type(await worker.describe(1.0, 2.0, name="both"), Summary)
    assert_type((await worker.describe(1.0)).count, int)
    assert_type(worker.name, str)
    assert_type(worker.closed, bool)
    await stream(worker)
    await call_back(worker)
    await hold(worker)
    worker.close()
    await worker.close()

    async with workerlib.connect(interface=Counting, timeout=5, strict=True) as counting:
        assert_type(counting, Counting)
        assert_type(await counting.count({"a": [1]}), int)

    plain = await workerlib.connect("stats")
    assert_type(plain, workerlib.Worker)
    await plain.anything(1, x=2)
    checked = await workerlib.connect("stats", interface=stats_worker)
    assert_type(checked, workerlib.Worker)
    await checked.mean([1.0])


async def numbers() -> AsyncIterator[float]:
    """Is an async iterable."""
    yield 1.0


async def stream(worker: Stats) -> None:
    """Takes items, and gives some."""
    async for row in worker.rows(3):
        assert_type(row, Summary)
    async with worker.rows() as rows:
        assert_type(await anext(rows), Summary)
    assert_type(await worker.total(numbers()), float)
    assert_type(await worker.total(workerlib.stream([1.0])), float)


async def ask(question: str) -> bool:
    """Is an async callback."""
    return bool(question)


async def call_back(worker: Stats) -> None:
    """Gives callbacks, sync and async, and gets one."""
    assert_type(await worker.train(print, ask), bool)
    await worker.train(lambda part: part * 2, lambda question: question == "Go on?")
    count = await worker.counter()
    assert_type(await count(1), int)


async def hold(worker: Stats) -> None:
    """Holds objects of the worker."""
    async with await worker.Table("a.db") as table:
        assert_type((await table.query("select"))[0].mean, float)
        async for row in table.rows("select"):
            assert_type(row.count, int)
        await (await table.joined(await worker.Table("b.db"))).query("select")
