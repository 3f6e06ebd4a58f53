"""Interfaces as users write them: with what every worker has, and without."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Protocol, Self

from stats_worker import Summary
from workerlib import Interface, Reply, Stream


class TableHandle(Protocol):
    """Stays in the worker."""

    async def query(self, sql: str) -> list[Summary]: ...

    def rows(self, sql: str) -> Stream[Summary]: ...

    async def joined(self, other: TableHandle) -> TableHandle: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *error: object) -> None: ...


class Stats(Interface, Protocol):
    """The worker's exports, as the page sees them."""

    async def mean(self, values: list[float], /, weight: float = ..., *, digits: int = ...) -> float:
        """Returns the arithmetic mean, rounded."""
        ...

    async def describe(self, *values: float, name: str | None = ...) -> Summary: ...

    async def count(self, rows: dict[str, list[int]]) -> int: ...

    def rows(self, limit: int = ...) -> Stream[Summary]:
        """Gives its rows one by one."""
        ...

    async def total(self, numbers: AsyncIterable[float]) -> float: ...

    async def train(
        self, progress: Callable[[float], object], ask: Callable[[str], bool | Awaitable[bool]]
    ) -> bool: ...

    async def counter(self) -> Callable[[int], Reply[int]]: ...

    async def Table(self, path: str) -> TableHandle:
        """Stays in the worker."""
        ...


class Counting(Protocol):
    """A part of it."""

    async def count(self, rows: dict[str, list[int]]) -> int: ...
