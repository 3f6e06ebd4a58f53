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
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from engines import AnyBrowser

_MILLISECONDS = 180_000
_OWN, _ONE, _SINGLE, _IDEAL = "workerlib", "one worker", "single calls", "the ideal"
_JAVASCRIPT = "worker-pool (from JS)"
_PEER = "pyodide-pool (our stand-in for its JavaScript)"
_MEGABYTE = 1 << 20

Row = dict[str, Any]
InPage = Callable[..., dict[str, Any]]
Round = dict[str, Any]
Opened = Callable[[], AbstractContextManager[InPage]]
Told = list[tuple[Row, list[tuple[str, str, float, float]]]]
"""Rows, each with its goals: the name, `>=` or `<=`, the value and the wanted one."""


def measure(browser: AnyBrowser, url: str, quick: bool) -> dict[str, list[Row]]:
    """Measures all of it. A measurement that fails, or takes too long, costs its own rows only.

    Args:
        browser: The browser.
        url: The site's address.
        quick: Whether to measure once, with less data.

    Returns:
        `rows` and `goals`.
    """
    rows: list[Row] = []
    goals: list[Row] = []
    # A death is the same on each site, and a thousand of them take minutes: the plain site has them all.
    has_few_deaths = quick or _is_isolated(browser, url)
    for part in (_tasks, _tiny, _stragglers, _graph, _kills, _restarts):
        try:
            told = part(lambda: _Page(browser, url), has_few_deaths if part in (_kills, _restarts) else quick)
        except Exception as error:
            goals.append(not_measured(_NAMES[part.__name__], error))
            continue
        for row, wanted in told:
            rows.append(row)
            for name, sign, value, goal in wanted:
                is_met = value >= goal if sign == ">=" else value <= goal
                goals.append({"name": name, "goal": f"{sign} {goal}", "value": value, "met": is_met})
    return {"rows": rows, "goals": goals}


def not_measured(part: str, error: Exception) -> Row:
    """Makes the goal that is not met because a part of the benchmark failed, and prints why."""
    print(f"{part} failed: {error!r}", file=sys.stderr, flush=True)
    name = f"{part}: measured at all ({type(error).__name__})"
    return {"name": name, "goal": ">= 1", "value": 0, "met": False}


class _Page:
    """A page of its own, in a browser context of its own."""

    def __init__(self, browser: AnyBrowser, url: str) -> None:
        self._browser = browser
        self._url = url

    def __enter__(self) -> InPage:
        self._context = self._browser.new_context()
        page = self._context.new_page()
        page.on("console", lambda message: print(f"{message.type}: {message.text}", file=sys.stderr))
        page.goto(f"{self._url}/bench/pools.html", timeout=_MILLISECONDS)
        page.wait_for_function("() => window.pools", timeout=_MILLISECONDS)

        def in_page(name: str, *arguments: Any, limit: int = 300) -> dict[str, Any]:
            began = time.monotonic()
            told: dict[str, Any] = json.loads(page.evaluate(_WITHIN, [name, list(arguments), limit * 1000]))
            print(f"pools: {name}{arguments}: {told}", file=sys.stderr, flush=True)
            print(f"pools: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
            return told

        return in_page

    def __exit__(self, *_: object) -> None:
        self._context.close()


def _is_isolated(browser: AnyBrowser, url: str) -> bool:
    """Tells whether the site's pages are isolated; a page without Python can say it."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/bench/style.css", timeout=_MILLISECONDS)
    is_isolated = bool(page.evaluate("() => crossOriginIsolated"))
    context.close()
    return is_isolated


_WITHIN = """([name, given, limit]) => Promise.race([
  window.pools[name](...given),
  new Promise((_, reject) => setTimeout(() => reject(new Error(`${name} takes too long`)), limit)),
])"""


def _tasks(opened: Opened, quick: bool) -> Told:
    count = 50 if quick else 200
    with opened() as in_page:
        told = [in_page("tasks", count) for _ in range(1 if quick else 3)]
    name = f"{count} tasks of 20 ms on two workers"
    row = _row(name, "ms", told, {_OWN: "two", _ONE: "one", _JAVASCRIPT: "peer"})
    speed = 1 / row["ratios"][_ONE]
    return [(row, [("tasks of 20 ms on two workers, times one worker's speed", ">=", speed, 1.7)])]


def _tiny(opened: Opened, quick: bool) -> Told:
    count = 20_000 if quick else 100_000
    with opened() as in_page:
        told = [in_page("tiny", count) for _ in range(1 if quick else 3)]
    name = f"{count:,} tiny tasks by map, each"
    row = _row(name, "us", told, {_OWN: "map", _SINGLE: "single", _JAVASCRIPT: "peer"})
    speed = 1 / row["ratios"][_SINGLE]
    return [(row, [("tiny tasks by map, times the rate of single calls", ">=", speed, 10)])]


def _stragglers(opened: Opened, quick: bool) -> Told:
    with opened() as in_page:
        told = [in_page("stragglers", 200 if quick else 400) for _ in range(1 if quick else 3)]
    name = "one task in 50 takes 20 times as long"
    row = _row(name, "ms", told, {_OWN: "pool", _IDEAL: "ideal", _JAVASCRIPT: "peer"})
    return [(row, [("stragglers, times the ideal", "<=", row["ratios"][_IDEAL], 1.2)])]


def _graph(opened: Opened, quick: bool) -> Told:
    size = _MEGABYTE // 8 if quick else _MEGABYTE
    told: list[Round] = []
    for _ in range(1 if quick else 3):
        measured: Round = {}
        for way in ("workerlib", "pyodide-pool"):
            ms, heap = None, None
            try:
                with opened() as in_page:
                    one = in_page("graph", way, size)
                ms, heap = one["ms"], one["after"] / _MEGABYTE
            except Exception as error:
                if way == "workerlib":
                    raise
                print(f"pools: {way} failed: {error!r}", file=sys.stderr, flush=True)
            measured[f"{way} ms"], measured[f"{way} heap"] = ms, heap
        told.append(measured)
    name = f"dask's graph: 100 chains of 10 tasks and a tree of 500, {size // 1024} KB between them"
    time_row = _row(name, "ms", told, {_OWN: "workerlib ms", _PEER: "pyodide-pool ms"})
    # Without the peer there is no figure, and the goal is not met.
    speed = 1 / time_row["ratios"].get(_PEER, float("inf"))
    name = "that graph: the page's heap"
    heap_row = _row(name, "MB", told, {_OWN: "workerlib heap", _PEER: "pyodide-pool heap"})
    share = heap_row["ratios"].get(_PEER, 1.0)
    return [
        (time_row, [("dask's graph, times pyodide-pool's speed", ">=", speed, 2)]),
        (heap_row, [("the page's heap after that graph, times pyodide-pool's", "<=", share, 0.25)]),
    ]


def _kills(opened: Opened, has_few: bool) -> Told:
    with opened() as in_page:
        kills, items = (20, 400) if has_few else (200, 2000)
        told = in_page("kills", kills, items, limit=900)
    row = _row(f"{kills} workers killed during a map", "s", [told], {_OWN: "seconds"})
    row["details"] = {"items": told["items"]}
    return [(row, [(f"results lost or doubled in {kills} kills", "<=", told["wrong"], 0)])]


def _restarts(opened: Opened, has_few: bool) -> Told:
    with opened() as in_page:
        count = 20 if has_few else 1000
        told = in_page("restarts", count, limit=1500)
    row = _row(f"{count:,} restarts, each", "ms", [told], {_OWN: "each"})
    row["details"] = told
    grown = {what: told["after"][what] / max(1, told["before"][what]) for what in told["after"]}
    names = {what: f"the page's {what} after {count:,} restarts, times before" for what in grown}
    return [(row, [(names[what], "<=", grown[what], 1.05) for what in grown])]


_NAMES = {
    "_tasks": "tasks of 20 ms",
    "_tiny": "tiny tasks by map",
    "_stragglers": "stragglers",
    "_graph": "dask's graph",
    "_kills": "workers killed during a map",
    "_restarts": "restarts",
}


def _row(name: str, unit: str, told: list[Round], ways: dict[str, str]) -> Row:
    """Makes a row of rounds; a way that has failed in one of them is missing.

    Args:
        name: The row's name.
        unit: The unit of its numbers.
        told: The numbers of each round by name; None of a way that has failed.
        ways: The name of each way's number; one is of `_OWN`.
    """
    row: Row = {"group": "pool", "name": name, "unit": unit, "values": {}, "ratios": {}}
    row.update(details={}, missing={})
    own = [one[ways[_OWN]] for one in told]
    for way, key in ways.items():
        times = [one[key] for one in told]
        if None in times:
            row["missing"][way] = "it failed"
            continue
        row["values"][way] = statistics.median(times)
        pairs = zip(own, times, strict=True)
        row["ratios"][way] = statistics.median(mine / other for mine, other in pairs)
    return row
