"""What type checkers must reject: each line that says so, and no other."""

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
    await workerlib.connect("stats", interface="Stats")  # rejected: no interface
    print(text, number)
