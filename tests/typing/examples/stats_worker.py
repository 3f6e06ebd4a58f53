"""The worker's script: what its users' type checkers should know of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

import workerlib


@dataclass
class Summary:
    """The result of `describe`."""

    mean: float
    count: int


@workerlib.export
def mean(values: list[float], /, weight: float = 1.0, *, digits: int = 2) -> float:
    """Returns the arithmetic mean, rounded."""
    return round(weight * sum(values) / len(values), digits)


@workerlib.export
async def describe(*values: float, name: str | None = None) -> Summary:
    """Tells the mean of some values, and how many there are."""
    return Summary(sum(values) / len(values), len(values))


@workerlib.export(name="count")
def _count(rows: dict[str, list[int]]) -> int:
    return sum(map(len, rows.values()))


@workerlib.export
def rows(limit: int = 10) -> Iterator[Summary]:
    """Gives its rows one by one."""
    for number in range(limit):
        yield Summary(number, 1)


@workerlib.export
async def total(numbers: AsyncIterator[float]) -> float:
    return sum([number async for number in numbers])


@workerlib.export
async def train(progress: Callable[[float], None], ask: Callable[[str], Awaitable[bool]]) -> bool:
    progress(0.5)
    return await ask("Go on?")


@workerlib.export
def counter() -> Callable[[int], int]:
    return lambda by: by + 1


@workerlib.export
class Table:
    """Stays in the worker."""

    def __init__(self, path: str) -> None:
        self.path = path

    def query(self, sql: str) -> list[Summary]:
        return []

    async def rows(self, sql: str) -> AsyncIterator[Summary]:
        yield Summary(1, 1)

    def joined(self, other: Table) -> Table:
        return other
