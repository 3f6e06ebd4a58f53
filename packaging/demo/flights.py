"""Delays of flights by the hour of their departure: the numbers behind the first chart.

Invariant: every number is computed from the flights that pass the filters, in plain Python; the same question
gives the same answer, the confidence band included (its random numbers are seeded).
It does not read files and does not draw.
"""

from bisect import bisect_left
from itertools import pairwise
from random import Random
from statistics import median
from typing import Any

from steps import Steps
from tables import Table

HOURS = 24
LATE_FROM_MINUTES = 15
BIN_START, BIN_WIDTH, BIN_COUNT = -60, 10, 26
METRICS = ("mean", "median", "late", "flights")
BY_HOUR = tuple[list[int], list[int]]


def flights_by_hour(table: Table) -> Steps[list[BY_HOUR]]:
    """Sorts the flights of a table into hours: the delays and the distances of each."""
    missing = [name for name in ("delay", "distance", "time") if name not in table.columns]
    if missing:
        raise ValueError(f"{table.name} is not a file of flights: it has no column {', '.join(missing)}")
    hours: list[BY_HOUR] = [([], []) for _ in range(HOURS)]
    delay, distance, time = (table.columns[name].values for name in ("delay", "distance", "time"))
    for start in range(0, table.rows, 10_000):
        yield "sorting the flights by hour", start / table.rows
        rows = slice(start, start + 10_000)
        for minutes, miles, departure in zip(delay[rows], distance[rows], time[rows], strict=True):
            delays, distances = hours[int(departure)]
            delays.append(minutes)
            distances.append(miles)
    return hours


def summarise(
    by_hour: list[BY_HOUR],
    distance: tuple[int, int],
    hours: tuple[int, int],
    least_delay: int | None,
    metric: str,
    resamples: int,
) -> Steps[dict[str, Any]]:
    """Filters the flights and describes each hour, all of them, and how delays are spread.

    `resamples` asks for a 95 % confidence band of `metric` by so many bootstrap resamples; 0 for none.
    """
    if metric not in METRICS:
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, not {metric!r}")
    chosen: list[list[int]] = [[] for _ in range(HOURS)]
    share = 0.1 if resamples else 0.8
    for hour in range(hours[0], hours[1] + 1):
        yield "filtering", share * (hour - hours[0]) / (hours[1] - hours[0] + 1)
        chosen[hour] = _delays_in(by_hour[hour], distance, least_delay)
    everything = sorted(minutes for delays in chosen for minutes in delays)
    yield "summing up", share
    answer = {
        "rows": sum(len(delays) for delays, _ in by_hour),
        "matching": len(everything),
        "overall": {name: _measure(everything, name) for name in METRICS},
        "hours": {name: [_measure(delays, name) for delays in chosen] for name in METRICS},
        "histogram": _histogram(everything),
        "band": None,
    }
    if resamples and metric != "flights":
        answer["band"] = yield from _band(chosen, metric, resamples, share)
    return answer


def _delays_in(flights: BY_HOUR, distance: tuple[int, int], least_delay: int | None) -> list[int]:
    shortest, longest = distance
    delays = [minutes for minutes, miles in zip(*flights, strict=True) if shortest <= miles <= longest]
    delays.sort()
    return delays if least_delay is None else delays[bisect_left(delays, least_delay) :]


def _measure(delays: list[int], metric: str) -> float | None:
    """Measures sorted delays; None where there is no flight to measure."""
    if metric == "flights":
        return len(delays)
    if not delays:
        return None
    if metric == "mean":
        return sum(delays) / len(delays)
    if metric == "median":
        return median(delays)
    return (len(delays) - bisect_left(delays, LATE_FROM_MINUTES)) / len(delays)


def _histogram(delays: list[int]) -> dict[str, Any]:
    """Counts sorted delays in bins; the first and the last bin are open to the outside."""
    inner_edges = [BIN_START + BIN_WIDTH * number for number in range(1, BIN_COUNT)]
    cuts = [0, *(bisect_left(delays, edge) for edge in inner_edges), len(delays)]
    counts = [after - before for before, after in pairwise(cuts)]
    return {"start": BIN_START, "width": BIN_WIDTH, "counts": counts}


def _band(
    chosen: list[list[int]], metric: str, resamples: int, done: float
) -> Steps[list[tuple[float, float] | None]]:
    """Resamples each hour's flights with replacement; the middle 95 % of the results is the band."""
    band: list[tuple[float, float] | None] = []
    total = sum(map(len, chosen)) or 1
    drawn = 0
    for hour, delays in enumerate(chosen):
        if not delays:
            band.append(None)
            continue
        draw = Random(hour).choices
        results = []
        for _ in range(resamples):
            sample = draw(delays, k=len(delays))
            if metric == "mean":
                results.append(sum(sample) / len(sample))
            elif metric == "median":
                results.append(median(sample))
            else:
                results.append(sum(minutes >= LATE_FROM_MINUTES for minutes in sample) / len(sample))
            drawn += len(delays)
            yield (
                f"resampling the flights of {hour}:00",
                done + (1 - done) * drawn / (total * resamples),
            )
        results.sort()
        tail = int(0.025 * resamples)
        band.append((results[tail], results[-1 - tail]))
    return band
