"""Measures pools: docs/pools.md.

Tasks of a pool are measured against those of a single worker and of npm's @fideus-labs/worker-pool, whose
tasks are JavaScript; dask's graphs against pyodide-pool, whose JavaScript is a stand-in of ours
(pools_peer.mjs). Each way to compute a graph has a page of its own, because the heap of a Pyodide never
shrinks. The result has the form of suite.py's: rows and goals.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from engines import AnyBrowser

_MILLISECONDS = 180_000
_OWN, _ONE, _SINGLE, _IDEAL = "workerlib", "one worker", "single calls", "the ideal"
_JAVASCRIPT = "worker-pool (from JS)"
_PEER = "pyodide-pool (our stand-in for its JavaScript)"
_MEGABYTE = 1 << 20

Row = dict[str, Any]
InPage = Callable[..., dict[str, Any]]


def measure(browser: AnyBrowser, url: str, quick: bool) -> dict[str, list[Row]]:
    """Measures all of it.

    Args:
        browser: The browser.
        url: The site's address.
        quick: Whether to measure once, with less data.

    Returns:
        `rows` and `goals`.
    """
    rows: list[Row] = []
    goals: list[Row] = []

    @contextmanager
    def opened() -> Iterator[InPage]:
        context = browser.new_context()
        page = context.new_page()
        page.on("console", lambda message: print(f"{message.type}: {message.text}", file=sys.stderr))
        page.goto(f"{url}/bench/pools.html", timeout=_MILLISECONDS)
        page.wait_for_function("() => window.pools", timeout=_MILLISECONDS)

        def in_page(name: str, *arguments: Any) -> dict[str, Any]:
            print(f"pools: {name}{arguments}", file=sys.stderr, flush=True)
            script = "([name, given]) => window.pools[name](...given)"
            told: dict[str, Any] = json.loads(page.evaluate(script, [name, list(arguments)]))
            print(f"pools: {told}", file=sys.stderr, flush=True)
            return told

        yield in_page
        context.close()

    def add(row: Row, *wanted: tuple[str, str, float, float]) -> None:
        rows.append(row)
        for name, sign, value, goal in wanted:
            is_met = value >= goal if sign == ">=" else value <= goal
            goals.append({"name": name, "goal": f"{sign} {goal}", "value": value, "met": is_met})

    with opened() as in_page:
        _add_tasks(add, in_page, quick)
    _add_graph(add, opened, quick)
    # A death is the same on each site, and a thousand of them take minutes: the plain site has them all.
    with opened() as in_page:
        _add_deaths(add, in_page, quick or in_page("is_isolated")["is"])
    return {"rows": rows, "goals": goals}


def _add_tasks(add: Callable[..., None], in_page: InPage, quick: bool) -> None:
    rounds = 1 if quick else 3
    count = 50 if quick else 200
    told = [in_page("tasks", count) for _ in range(rounds)]
    name = f"{count} tasks of 20 ms on two workers"
    row = _row(name, "ms", told, {_OWN: "two", _ONE: "one", _JAVASCRIPT: "peer"})
    speed = 1 / row["ratios"][_ONE]
    add(row, ("tasks of 20 ms on two workers, times one worker's speed", ">=", speed, 1.7))
    count = 20_000 if quick else 100_000
    told = [in_page("tiny", count) for _ in range(rounds)]
    name = f"{count:,} tiny tasks by map, each"
    row = _row(name, "us", told, {_OWN: "map", _SINGLE: "single", _JAVASCRIPT: "peer"})
    speed = 1 / row["ratios"][_SINGLE]
    add(row, ("tiny tasks by map, times the rate of single calls", ">=", speed, 10))
    told = [in_page("stragglers", 200 if quick else 400) for _ in range(rounds)]
    name = "one task in 50 takes 20 times as long"
    row = _row(name, "ms", told, {_OWN: "pool", _IDEAL: "ideal", _JAVASCRIPT: "peer"})
    add(row, ("stragglers, times the ideal", "<=", row["ratios"][_IDEAL], 1.2))


def _add_graph(add: Callable[..., None], opened: Callable[..., Any], quick: bool) -> None:
    size = _MEGABYTE // 8 if quick else _MEGABYTE
    told: list[dict[str, float]] = []
    for _ in range(1 if quick else 3):
        measured: dict[str, float] = {}
        for way in ("workerlib", "pyodide-pool"):
            with opened() as in_page:
                one = in_page("graph", way, size)
            measured[f"{way} ms"], measured[f"{way} heap"] = one["ms"], one["after"] / _MEGABYTE
        told.append(measured)
    name = f"dask's graph: 100 chains of 10 tasks and a tree of 500, {size // 1024} KB between them"
    row = _row(name, "ms", told, {_OWN: "workerlib ms", _PEER: "pyodide-pool ms"})
    add(row, ("dask's graph, times pyodide-pool's speed", ">=", 1 / row["ratios"][_PEER], 2))
    row = _row(
        "that graph: the page's heap", "MB", told, {_OWN: "workerlib heap", _PEER: "pyodide-pool heap"}
    )
    add(row, ("the page's heap after that graph, times pyodide-pool's", "<=", row["ratios"][_PEER], 0.25))


def _add_deaths(add: Callable[..., None], in_page: InPage, few: bool) -> None:
    kills, items = (20, 400) if few else (200, 2000)
    told = in_page("kills", kills, items)
    row = _row(f"{kills} workers killed during a map", "s", [told], {_OWN: "seconds"})
    row["details"] = {"items": told["items"]}
    add(row, (f"results lost or doubled in {kills} kills", "<=", told["wrong"], 0))
    count = 20 if few else 1000
    told = in_page("restarts", count)
    row = _row(f"{count:,} restarts, each", "ms", [told], {_OWN: "each"})
    row["details"] = told
    grown = {what: told["after"][what] / max(1, told["before"][what]) for what in told["after"]}
    names = {what: f"the page's {what} after {count:,} restarts, times before" for what in grown}
    add(row, *((names[what], "<=", grown[what], 1.05) for what in grown))


def _row(name: str, unit: str, told: list[dict[str, float]], ways: dict[str, str]) -> Row:
    """Makes a row of rounds.

    Args:
        name: The row's name.
        unit: The unit of its numbers.
        told: The numbers of each round by name.
        ways: The name of each way's number; one is of `_OWN`.
    """
    return {
        "group": "pool",
        "name": name,
        "unit": unit,
        "values": {way: statistics.median(one[key] for one in told) for way, key in ways.items()},
        "ratios": {
            way: statistics.median(one[ways[_OWN]] / one[key] for one in told) for way, key in ways.items()
        },
        "details": {},
        "missing": {},
    }
