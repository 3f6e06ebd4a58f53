"""The worker's script: what its users' type checkers should know of it."""

from __future__ import annotations

from dataclasses import dataclass

import workerlib


@dataclass
class Summary:
    """What `describe` returns."""

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
