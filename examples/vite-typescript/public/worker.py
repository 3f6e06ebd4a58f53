"""The worker's script: ordinary functions, exported to the page."""

from workerlib import export


@export
def mean(values: list[float]) -> float:
    """Returns the arithmetic mean."""
    return sum(values) / len(values)


@export
def histogram(values: list[float], bins: int) -> dict[str, list]:
    """Counts the values in intervals of equal width."""
    low, high = min(values), max(values)
    width = (high - low) / bins
    counts = [0] * bins
    for value in values:
        counts[min(int((value - low) / width), bins - 1)] += 1
    return {"edges": [low + width * number for number in range(bins + 1)], "counts": counts}


@export
async def count_to(last: int, callback) -> None:
    """Counts; the callback is a function of the page's."""
    for number in range(1, last + 1):
        await callback(number)
