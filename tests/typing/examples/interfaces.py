"""Interfaces as users write them: with what every worker has, and without."""

from __future__ import annotations

from typing import Protocol

from stats_worker import Summary
from workerlib import Interface


class Stats(Interface, Protocol):
    """What the worker exports, as the page sees it."""

    async def mean(self, values: list[float], /, weight: float = ..., *, digits: int = ...) -> float:
        """Returns the arithmetic mean, rounded."""
        ...

    async def describe(self, *values: float, name: str | None = ...) -> Summary: ...

    async def count(self, rows: dict[str, list[int]]) -> int: ...


class Counting(Protocol):
    """A part of it."""

    async def count(self, rows: dict[str, list[int]]) -> int: ...
