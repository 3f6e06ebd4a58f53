"""The worker's script: ordinary functions, exported to the page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from workerlib import export


@dataclass
class Histogram:
    """How many values lie between each two edges."""

    edges: list[float]
    counts: list[int]


@export
def mean(values: list[float]) -> float:
    """Returns the arithmetic mean."""
    return sum(values) / len(values)


@export
def histogram(values: list[float], bins: int) -> Histogram:
    """Counts the values in intervals of equal width."""
    low, high = min(values), max(values)
    width = (high - low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    return Histogram([low + width * number for number in range(bins + 1)], counts)


@export
def fullest(histogram: Histogram) -> int:
    """Tells which interval has the most values: the page's object arrives as a Histogram."""
    return histogram.counts.index(max(histogram.counts))


@export
async def count_to(last: int, callback: Callable[[int], Awaitable[None]]) -> None:
    """Counts; the callback is a function of the page's."""
    for number in range(1, last + 1):
        await callback(number)
