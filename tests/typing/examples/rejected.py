"""Code that type checkers must reject: each line that says so, and no other."""

from __future__ import annotations

import workerlib
from interfaces import Counting, Stats


async def main() -> None:
    """Uses a worker in wrong ways."""
    worker = await workerlib.connect("stats", interface=Stats)
    await worker.mean(["text"])  # rejected: a text in place of a number
    await worker.mean([1.0], digits="two")  # rejected: another type
    await worker.mean([1.0], places=2)  # rejected: no such parameter
    await worker.mean()  # rejected: an argument is missing
    await worker.median([1.0])  # rejected: no such function
    text: str = await worker.mean([1.0])  # rejected: another type of result
    number: float = worker.mean([1.0])  # rejected: not awaited
    async with workerlib.connect("stats", interface=Counting) as counting:
        await counting.count({"a": ["text"]})  # rejected: another type
        counting.close()  # rejected: an interface that does not say so
    async for row in worker.rows("3"):  # rejected: another type
        print(row.median)  # rejected: no field of an item
    await worker.rows(3)  # rejected: a stream is not an awaitable
    for _ in worker.rows(3):  # rejected: a stream is async
        pass
    await worker.total([1.0])  # rejected: no async iterable
    await worker.train(lambda: None, print)  # rejected: a callback without the parameter
    table = await worker.Table(1)  # rejected: another type
    await table.remove()  # rejected: no method of the class
    print(table.path)  # rejected: handles have no attributes
    await workerlib.connect("stats", interface="Stats")  # rejected: no interface
    print(text, number)
