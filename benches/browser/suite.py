"""The measurements of one run on one page: all ways to the worker take turns, round by round.

The result is plain data: rows of medians with their ratios, and what became of the goals.
"""

import asyncio
import gc
import json
import statistics
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import callbacks
import js
import peers
import pyodide_js
import shapes
import streams
import workerlib
from peers import COMLINK, MEMCPY, PICKLE_PORT, PING_BYTES, PYSCRIPT, WORKERLIB, Connected, Peer

KILOBYTE, MEGABYTE = 1 << 10, 1 << 20
SMALL_CALLS = 1000
WARM_UP_CALLS = 4 * SMALL_CALLS
"""Engines compile what a call takes while the first thousands go by, some pages sooner than others."""
IN_FLIGHT = (1, 10, 100, 1000)
SIZES = tuple(KILOBYTE << shift for shift in range(0, 19, 2))
MEMORY_CALLS = 10_000
LIMIT_SECONDS = 60
"""The longest that one way may take for its part of a round."""


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int
    largest: int
    memory_calls: int


QUICK = Effort(rounds=3, largest=64 * MEGABYTE, memory_calls=0)
FULL = Effort(rounds=5, largest=256 * MEGABYTE, memory_calls=MEMORY_CALLS)


@dataclass
class Row:
    """One measurement of all its peers."""

    group: str
    name: str
    unit: str
    """ms and us are better when small, calls/s and times when large."""
    values: dict[str, float] = field(default_factory=dict)
    details: dict[str, dict[str, float]] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    """How many times as long workerlib takes as a peer: medians of the rounds' ratios."""
    by_round: dict[str, list[float]] = field(default_factory=dict)
    """The ratio of each round, by peer, and workerlib's own times."""
    missing: dict[str, str] = field(default_factory=dict)
    """The peers that could not do it, and why."""


@dataclass
class Goal:
    """A goal, and whether it is met."""

    name: str
    goal: str
    value: float
    met: bool


class Suite:
    """One run."""

    def __init__(self, connected: Connected, effort: Effort, tell: Callable[[str], None]) -> None:
        self.ways = connected
        self.effort = effort
        self.tell = tell
        self.rows: list[Row] = []
        self.isolated = bool(js.crossOriginIsolated)

    async def run(self, only: Sequence[str] = ()) -> dict[str, Any]:
        """Measures everything, or what is named."""
        parts: dict[str, Callable[[], Any]] = {
            "small": self.small_calls,
            "flight": self.in_flight,
            "bytes": lambda: self.buffers("bytes", bytes, peers.comlink_bytes),
            "floats": lambda: self.buffers(
                "float64 array", lambda size: array("d", bytes(size)), peers.comlink_floats
            ),
            "records": self.records,
            "callbacks": self.callbacks,
            "reports": self.reports,
            "streams": self.streams,
            "connect": self.connecting,
            "memory": self.memories,
        }
        if unknown := sorted(set(only) - set(parts)):
            raise ValueError(f"no part is called {', '.join(unknown)}; there are {', '.join(parts)}")
        for name in only or parts:
            await parts[name]()
        return {
            "agent": js.navigator.userAgent,
            "cores": js.navigator.hardwareConcurrency,
            "isolated": self.isolated,
            "pyodide": pyodide_js.version,
            "workerlib": workerlib.__version__,
            "rows": [vars(row) for row in self.rows],
            "goals": [vars(goal) for goal in self.goals()],
        }

    async def rounds(
        self, row: Row, ways: Sequence[Any], value: Any, count: int, *, rounds: int, warm_up: int = 1
    ) -> None:
        """Has all ways take turns; a way that fails, or hangs, drops out of the row, which says why."""
        self.tell(f"{row.group}: {row.name}")
        by_round: dict[str, list[float]] = {way.name: [] for way in ways}
        singles: dict[str, list[float]] = {way.name: [] for way in ways}
        able = list(ways)
        for number in range(warm_up + rounds):
            for way in list(able):
                await self.ways.settle()
                gc.collect()
                try:
                    async with asyncio.timeout(LIMIT_SECONDS):
                        times = await way.in_a_row(value, count)
                except Exception as error:
                    if way.name == WORKERLIB:
                        raise
                    row.missing[way.name] = repr(error)
                    able.remove(way)
                    continue
                if number >= warm_up:
                    by_round[way.name].append(statistics.fmean(times) if count > 1 else times[0])
                    singles[way.name].extend(times)
        scale = 1e3 if row.unit == "us" else 1
        for way in able:
            name = way.name
            row.values[name] = statistics.median(by_round[name]) * scale
            if count > 1:
                cuts = statistics.quantiles(singles[name], n=100)
                row.details[name] = {
                    "median": cuts[49] * scale,
                    "p95": cuts[94] * scale,
                    "p99": cuts[98] * scale,
                }
            # A clock may be too coarse for what takes no time.
            if all(by_round[name]):
                pairs = zip(by_round[WORKERLIB], by_round[name], strict=True)
                row.by_round[name] = [own / other for own, other in pairs]
                row.ratios[name] = statistics.median(row.by_round[name])
        row.by_round[WORKERLIB] = [time * scale for time in by_round[WORKERLIB]]
        self.rows.append(row)

    async def small_calls(self) -> None:
        """A number there and back, a thousand in a row."""
        ways = [*self.ways.ping, *self.ways.python, peers.comlink_number()]
        row = Row("small call", f"mean of {SMALL_CALLS:,} in a row", "us")
        warm_up = WARM_UP_CALLS // SMALL_CALLS
        await self.rounds(row, ways, 1, SMALL_CALLS, rounds=max(5, self.effort.rounds), warm_up=warm_up)

    async def in_flight(self) -> None:
        """Calls per second, by how many are in flight at a time."""
        ways: list[Any] = [AtOnce(peer) for peer in self.ways.python]
        ways.append(ComlinkAtOnce())
        for at_once in IN_FLIGHT:
            row = Row("calls in flight", f"{at_once:,} at a time", "us")
            for way in ways:
                way.at_once = at_once
            await self.rounds(row, ways, 1, 1, rounds=self.effort.rounds)

    async def buffers(self, kind: str, make: Callable[[int], Any], comlink: Callable[[int], Any]) -> None:
        """An echo of one buffer, by its size."""
        for size in SIZES:
            if size > self.effort.largest:
                break
            count = max(1, min(200, 4 * MEGABYTE // size))
            ways = [peers.FourCopies(), *self.ways.python, comlink(size)]
            rounds = self.effort.rounds if size < 64 * MEGABYTE else max(3, self.effort.rounds)
            row = Row(f"echo of {kind}", size_name(size), "ms")
            # It may be the first row of a page.
            warm_up = WARM_UP_CALLS // count if size == SIZES[0] else 1
            await self.rounds(row, ways, make(size), count, rounds=rounds, warm_up=warm_up)

    async def records(self) -> None:
        """An echo of 5,000 and of 100,000 dicts of int, str, float, list."""
        for count, rounds in ((5_000, 2 * self.effort.rounds), (100_000, self.effort.rounds)):
            records = shapes.records(count)
            ways = [*self.ways.python, peers.comlink_json(json.dumps(records))]
            row = Row("echo of records", f"{len(records):,} dicts", "ms")
            await self.rounds(row, ways, records, 1, rounds=rounds)

    async def callbacks(self) -> None:
        """Functions of the page, called by a function of the worker's."""
        for name, ways in callbacks.callbacks(self.ways).items():
            row = Row("callback", name, "us")
            await self.rounds(row, ways, 1, callbacks.CALLS, rounds=max(5, self.effort.rounds), warm_up=2)

    async def reports(self) -> None:
        """Reports of a function that computes, and what the page shows meanwhile."""
        measured = callbacks.Reports(self.ways)
        self.tell("reports")
        await measured.measure(self.effort.rounds)
        times, frames = measured.values()
        name = f"{callbacks.MANY_REPORTS:,}; of the peers {callbacks.CALLS_OF_PEERS:,} callbacks"
        self.rows.append(Row(callbacks.REPORTS, name, "us", values=times))
        self.rows.append(Row(callbacks.FRAME, "of the page meanwhile", "ms", values=frames))

    async def streams(self) -> None:
        """Items one by one, and the ways that users would write by hand."""
        for name, (unit, count, ways) in streams.streams(self.ways).items():
            row = Row("stream", name, unit)
            # Streams are compared to small calls, which are as warm as in their own row.
            warm_up = WARM_UP_CALLS // count if count > 1 else 1
            await self.rounds(row, ways, 1, count, rounds=max(5, self.effort.rounds), warm_up=warm_up)
        if self.effort.memory_calls:
            row = Row(streams.SLOW, f"{streams.SLOW_ITEMS:,} items", "times")
            self.tell(row.group)
            row.values, most = await streams.memory(self.ways.worker, self.heaps)
            row.details = {"ahead": {"most": most}}
            self.rows.append(row)

    async def connecting(self) -> None:
        """From `connect()` to an open connection with a worker that is up, and a first call."""
        await self.rounds(Row("connect", "and one call", "ms"), [Connect()], 1, 1, rounds=self.effort.rounds)

    async def memories(self) -> None:
        """Memory after many calls, small and larger."""
        if self.effort.memory_calls:
            await self.memory(None, "a number")
            await self.memory(bytes(MEGABYTE), "1 MB each")

    async def memory(self, value: Any, name: str) -> None:
        """Measures by how much the heaps of both sides have grown after many calls."""
        calls = self.effort.memory_calls
        worker = self.ways.worker
        self.tell(f"memory: {calls:,} calls with {name}")
        for _ in range(calls // 20):
            await worker.echo(value)
        before = await self.heaps()
        for _ in range(calls):
            await worker.echo(value)
        after = await self.heaps()
        row = Row("memory", f"after {calls:,} calls with {name}", "times")
        row.values = {side: after[side] / before[side] for side in before}
        row.details = {"before": before, "after": after}
        self.rows.append(row)

    async def heaps(self) -> dict[str, float]:
        """The bytes of both sides' Python heaps, and of JavaScript where the browser tells."""
        gc.collect()
        heaps = {"page": pyodide_js._module.HEAPU8.byteLength, "worker": await self.ways.worker.heap()}
        if hasattr(js.performance, "measureUserAgentSpecificMemory"):
            heaps["browser"] = (await js.performance.measureUserAgentSpecificMemory()).bytes
        return heaps

    def goals(self) -> list[Goal]:
        """Holds the rows against the goals of the project."""
        found = []

        def goal(name: str, value: float | None, most: float) -> None:
            if value is not None:
                found.append(Goal(name, f"<= {most}", value, value <= most))

        def worst(group: str, sizes: Sequence[str], peer: str) -> float | None:
            rows = [self.row(group, size) for size in sizes]
            return max((row.ratios[peer] for row in rows if row and peer in row.ratios), default=None)

        if small := self.row("small call"):
            goal("small call, times a JS ping of the same form", small.ratios.get(PING_BYTES), 1.5)
            goal("small call, times PyScript's own", small.ratios.get(PYSCRIPT), 0.75)
        if many := self.row("calls in flight", "1,000 at"):
            goal("1,000 in flight, times PyScript's own per call", many.ratios.get(PYSCRIPT), 0.5)
        if hundred := self.row("calls in flight", "100 at"):
            goal("100 in flight, times Comlink's", hundred.ratios.get(COMLINK), 1)
        for count, most in (("5,000 dicts", 0.65), ("100,000 dicts", 0.6)):
            if records := self.row("echo of records", count):
                name = f"{count}, times pickle 5 over a port"
                goal(name, records.ratios.get(PICKLE_PORT), most)
        floats = worst("echo of float64 array", ("1 KB", "4 KB", "16 KB"), PYSCRIPT)
        goal("float64 arrays of 1 to 16 KB, times PyScript's own, the worst", floats, 0.9)
        sizes = ("1 KB", "4 KB", "16 KB", "64 KB", "256 KB")
        goal("bytes of 1 to 256 KB, times Comlink's, the worst", worst("echo of bytes", sizes, COMLINK), 1.1)
        if large := self.row("echo of bytes", "64 MB"):
            goal("64 MB of bytes, times four memcpys", large.ratios.get(MEMCPY), 0.9)
        if largest := self.row("echo of bytes", "256 MB"):
            goal("256 MB of bytes, times four memcpys", largest.ratios.get(MEMCPY), 0.9)
        if connect := self.row("connect"):
            goal("connecting to a running worker and one call, ms", connect.values.get(WORKERLIB), 3)
        if memory := self.row("memory", "after 10,000 calls with 1 MB"):
            grown = max(memory.values["page"], memory.values["worker"])
            goal("heaps after 10,000 calls with 1 MB, times before", grown, 1.05)
        for name, value, most in (*callbacks.goals(self.row), *streams.goals(self.row)):
            goal(name, value, most)
        slower = [ratio for row in self.rows if (ratio := row.ratios.get(PYSCRIPT)) is not None]
        goal("all measurements, times PyScript's own, the worst", max(slower, default=None), 1)
        return found

    def row(self, group: str, name: str = "") -> Row | None:
        """Finds a row by its group and the beginning of its name."""
        found = (row for row in self.rows if row.group == group and row.name.startswith(name))
        return next(found, None)


@dataclass
class AtOnce:
    """A thousand calls of a peer, so many at a time; the time is that of one call."""

    peer: Peer
    at_once: int = 1

    @property
    def name(self) -> str:
        """The peer's."""
        return self.peer.name

    async def in_a_row(self, value: Any, _count: int) -> list[float]:
        """Takes the time of the whole."""
        start = perf_counter()
        for _ in range(SMALL_CALLS // self.at_once):
            if self.at_once == 1:
                await self.peer.echo(value)
            else:
                await asyncio.gather(*(self.peer.echo(value) for _ in range(self.at_once)))
        return [(perf_counter() - start) * 1e3 / SMALL_CALLS]


@dataclass
class ComlinkAtOnce:
    """The same by Comlink."""

    name = COMLINK
    at_once: int = 1

    async def in_a_row(self, _value: Any, _count: int) -> list[float]:
        """Takes the time of the whole."""
        times = [
            await js.peers.comlinkNumbersAtOnce(self.at_once) for _ in range(SMALL_CALLS // self.at_once)
        ]
        return [sum(times) / SMALL_CALLS]


class Connect:
    """Connects, calls and closes."""

    name = WORKERLIB

    async def in_a_row(self, value: Any, _count: int) -> list[float]:
        """Takes the time until the first answer."""
        start = perf_counter()
        async with workerlib.connect("bench") as worker:
            await worker.echo(value)
            return [(perf_counter() - start) * 1e3]


def size_name(size: int) -> str:
    """Writes a size for people."""
    return f"{size // MEGABYTE} MB" if size >= MEGABYTE else f"{size // KILOBYTE} KB"
