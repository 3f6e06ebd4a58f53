"""Measures what the worker sends to the page while a function runs: callbacks and reports.

The peers are the other ways by which a function of the worker calls the page: a callback of Comlink's, and
PyScript's own `sync`. `suite.py` runs it. Small calls take their turns among the callbacks, because the goals
count in small calls.
"""

import asyncio
import statistics
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import js
from peers import COMLINK, PYSCRIPT, WORKERLIB, Connected, Peer

SMALL_CALL = "a small call"
PYSCRIPT_SYNC = f"{PYSCRIPT} (sync)"
UNAWAITED, AWAITED = "not awaited, the worker's time", "awaited"
UNTIL_HEARD = "not awaited, until all are heard"
REPORTS, FRAME = "a report", "longest frame"
CALLS = 1_000
MANY_REPORTS = 1_000_000
CALLS_OF_PEERS = 10_000
"""The peers have no reports, and a callback of theirs is a message each: a million would take minutes."""


@dataclass(frozen=True)
class Way:
    """One way from the worker to the page: from a count to the milliseconds of each call, in the worker."""

    name: str
    call: Callable[[int], Awaitable[float]]
    whole: bool = False
    """Whether the time until the function's return is taken instead, which the page's part is in, too."""

    async def in_a_row(self, _value: Any, count: int) -> list[float]:
        """Returns the mean as often as there were calls: the worker looks at the clock only twice."""
        start = perf_counter()
        mean = await self.call(count)
        if self.whole:
            mean = (perf_counter() - start) * 1e3 / count
        return [mean] * count


def hear(_value: Any) -> None:
    """The page's function that is called."""


def callbacks(ways: Connected) -> dict[str, list[Any]]:
    """Returns the ways of each row that takes callbacks, by the row's name."""
    js.document.querySelector("script[name=bench]").xworker.sync.bench_heard = hear
    worker, own = ways.worker, ways.own
    small = Peer(SMALL_CALL, worker.echo)

    def all_ways(awaited: bool, whole: bool = False) -> list[Any]:
        def by_workerlib(count: int) -> Awaitable[float]:
            call = worker.call_back_awaited if awaited else worker.call_back
            return call(hear, count)

        def by_pyscript(count: int) -> Awaitable[float]:
            return own.call_sync_awaited(count) if awaited else own.call_sync(count)

        return [
            Way(WORKERLIB, by_workerlib, whole),
            small,
            Way(COMLINK, lambda count: js.peers.comlinkCallbacks(count, awaited), whole),
            Way(PYSCRIPT_SYNC, by_pyscript, whole),
        ]

    return {UNAWAITED: all_ways(False), AWAITED: all_ways(True), UNTIL_HEARD: all_ways(False, whole=True)}


class Reports:
    """A million reports, and fewer callbacks of the peers, with the page's longest frame meanwhile."""

    def __init__(self, ways: Connected) -> None:
        """Says by which ways."""
        self.ways = ways
        self.times: dict[str, list[float]] = {}
        self.frames: dict[str, list[float]] = {}

    async def measure(self, rounds: int) -> None:
        """Has the ways take turns."""
        calls: dict[str, Callable[[], Awaitable[float]]] = {
            WORKERLIB: lambda: self.ways.worker.report_often.options(on_report=self.show)(MANY_REPORTS),
            COMLINK: lambda: js.peers.comlinkCallbacks(CALLS_OF_PEERS, False),
            PYSCRIPT_SYNC: lambda: self.ways.own.call_sync(CALLS_OF_PEERS),
        }
        for _ in range(rounds):
            for name, call in calls.items():
                # The frames of what was before are over.
                await asyncio.sleep(0.1)
                frames = js.peers.watchFrames()
                self.times.setdefault(name, []).append(await call())
                self.frames.setdefault(name, []).append(await frames.longest())

    @staticmethod
    def show(done: int, total: int) -> None:
        """Does what a page does with a report: moves a bar, as text."""
        js.document.querySelector("#status").textContent = f"Measuring: reports, {done:,} of {total:,} …"

    def values(self) -> tuple[dict[str, float], dict[str, float]]:
        """Returns the microseconds of a report, and the milliseconds of the longest frame of all rounds."""
        return (
            {name: statistics.median(times) * 1e3 for name, times in self.times.items()},
            {name: max(frames) for name, frames in self.frames.items()},
        )


def goals(find: Callable[..., Any]) -> Iterator[tuple[str, float | None, float]]:
    """Gives each goal of these rows: its name, the value, and the largest value that meets it.

    Args:
        find: Finds a row by its group and the beginning of its name.
    """
    for name, most in ((UNAWAITED, 0.2), (AWAITED, 1.1)):
        if row := find("callback", name):
            yield f"a callback, {name}, times a small call", row.ratios.get(SMALL_CALL), most
    if row := find(REPORTS):
        yield "a report, us", row.values[WORKERLIB], 2
    if row := find(FRAME):
        yield "the page's longest frame during reports, ms", row.values[WORKERLIB], 50
