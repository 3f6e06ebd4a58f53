"""Delays of flights by their distance: the rows of the table, and the flights that are like a given one.

Invariant: every number is computed from all flights, in plain Python; the same question gives the same answer
(the random numbers of the ranges are seeded).
It does not read files and does not draw.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

from flights import BY_HOUR, HOURS, LATE_FROM_MINUTES
from steps import Steps

BAND_MILES = 100
RESAMPLES = 100


def band_rows(by_hour: list[BY_HOUR]) -> Iterator[Steps[dict[str, Any]]]:
    """Gives the work of each row of the table: one row for the flights of each hundred miles."""
    bands = _delays_by_band(by_hour)
    for band in sorted(bands):
        yield _row(band, bands[band])


def _row(band: int, delays: list[int]) -> Steps[dict[str, Any]]:
    """Describes the flights of a band; bootstrap resamples give the range of their mean."""
    draw = Random(band).choices
    means = []
    for number in range(RESAMPLES):
        yield "resampling the flights of a band", number / RESAMPLES
        means.append(sum(draw(delays, k=len(delays))) / len(delays))
    means.sort()
    tail = int(0.025 * RESAMPLES)
    return {
        "miles": (band * BAND_MILES, (band + 1) * BAND_MILES),
        "flights": len(delays),
        "mean": sum(delays) / len(delays),
        "range": (means[tail], means[-1 - tail]),
        "late": sum(minutes >= LATE_FROM_MINUTES for minutes in delays) / len(delays),
    }


def _delays_by_band(by_hour: list[BY_HOUR]) -> dict[int, list[int]]:
    bands: dict[int, list[int]] = {}
    for delays, distances in by_hour:
        for minutes, miles in zip(delays, distances, strict=True):
            bands.setdefault(miles // BAND_MILES, []).append(minutes)
    return bands


class AlikeFlights:
    """All flights by hour and distance, so that those like a given one are found at once."""

    def __init__(self, by_hour: list[BY_HOUR]) -> None:
        """Sorts the flights.

        Args:
            by_hour: The delays and the distances of each hour's flights.
        """
        self._bands = [_delays_by_band([flights]) for flights in by_hour]

    def like(self, hour: int, miles: int) -> dict[str, Any]:
        """Describes the flights of the hour and the hundred miles, and of the neighbours of both.

        Args:
            hour: The hour of departure, 0 to 23.
            miles: The distance.
        """
        band = miles // BAND_MILES
        delays = sorted(
            minutes
            for near_hour in range(max(hour - 1, 0), min(hour + 2, HOURS))
            for near_band in range(band - 1, band + 2)
            for minutes in self._bands[near_hour].get(near_band, ())
        )
        if not delays:
            return {"flights": 0, "late": None, "median": None}
        return {
            "flights": len(delays),
            "late": sum(minutes >= LATE_FROM_MINUTES for minutes in delays) / len(delays),
            "median": delays[len(delays) // 2],
        }
