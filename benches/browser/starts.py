"""Measures how workers and pages start, with and without a memory snapshot: docs/starting.md.

Each kind takes turns with its counterpart, in one browser. A later visit is a page load in a browser context
that has loaded the page before. The result has the form of suite.py's: rows and goals.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from engines import AnyBrowser

_MILLISECONDS = 180_000
_WITH, _WITHOUT, _OWN = "workerlib", "without a snapshot", "PyScript's own interpreter"
_PYODIDE = "Pyodide alone"
_WEIGHT, _MEMORY = "installing and importing workerlib", "Python's memory"
_FIRST, _MEANWHILE = "the first worker", "a call while the snapshot is written"
_MIDST = "a call in the midst of a step of that"
_KEPT = "async () => (await (await caches.open('workerlib-snapshots')).keys()).length"


def measure(browser: AnyBrowser, url: str, rounds: int, engine: str) -> dict[str, list[dict[str, Any]]]:
    """Measures all of it.

    Args:
        browser: The browser.
        url: The site's address.
        rounds: How often each kind takes its turn.
        engine: The browser's name, on which the goal of a further worker depends.

    Returns:
        `rows` and `goals`.
    """
    rows = (
        _workers(browser, url, rounds) + _first_workers(browser, url, rounds) + _visits(browser, url, rounds)
    )
    by_name = {row["name"]: row["ratios"] for row in rows}
    wanted = [
        (
            "a further worker, times a start without a snapshot",
            by_name["a further worker"][_WITHOUT],
            0.15 if engine == "chromium" else 0.3,
        ),
        ("a pool of four, times a start without a snapshot", by_name["a pool of four"][_WITHOUT], 0.3),
        ("PyScript page on a later visit, times PyScript's own", by_name["a later visit"][_OWN], 0.35),
        ("PyScript page on its first visit, times PyScript's own", by_name["the first visit"][_OWN], 1.05),
        ("first worker of the first visit, times one without a snapshot", by_name[_FIRST][_WITHOUT], 1.05),
        ("call while the snapshot is written, times one without", by_name[_MEANWHILE][_WITHOUT], 1.05),
        ("call in the midst of a step of that, times one without", by_name[_MIDST][_WITHOUT], 1.05),
        ("memory of Python in a worker, times without a snapshot", by_name[_MEMORY][_WITHOUT], 1.0),
        ("installing and importing workerlib, times Pyodide's start", by_name[_WEIGHT][_PYODIDE], 0.08),
    ]
    goals = [
        {"name": name, "goal": f"<= {most}", "value": value, "met": round(value, 2) <= most}
        for name, value, most in wanted
    ]
    return {"rows": rows, "goals": goals}


def _workers(browser: AnyBrowser, url: str, rounds: int) -> list[dict[str, Any]]:
    context = browser.new_context()
    page: Any = None

    def load() -> tuple[float, float]:
        nonlocal page
        page = _open(context, url)
        boot, weight = page.evaluate("() => [window.starts.boot, window.starts.weight]")
        return weight, boot

    # Pyodide's start and workerlib's part of it are of one page load.
    loads = [load() for _ in range(rounds)]
    ways = {_WITH: iter([weight for weight, _ in loads]), _PYODIDE: iter([boot for _, boot in loads])}
    rows = [
        _row("start of Python on a page", _WEIGHT, {way: one.__next__ for way, one in ways.items()}, rounds)
    ]
    page.evaluate("() => window.starts.made()")

    def start(snapshot: bool, count: int) -> Callable[[], float]:
        return lambda: page.evaluate("(given) => window.starts.start(...given)", [snapshot, count])

    def memory(snapshot: bool) -> Callable[[], float]:
        return lambda: page.evaluate("(snapshot) => window.starts.memory(snapshot)", snapshot)

    rows += [
        _row("start of a worker", name, {_WITH: start(True, count), _WITHOUT: start(False, count)}, rounds)
        for name, count in (("a further worker", 1), ("a pool of four", 4))
    ]
    rows.append(
        _row("memory of a worker", _MEMORY, {_WITH: memory(True), _WITHOUT: memory(False)}, 1, unit="MB")
    )
    context.close()
    return rows


def _first_workers(browser: AnyBrowser, url: str, rounds: int) -> list[dict[str, Any]]:
    """Measures a first worker, and calls while the snapshot is written, each time in a new context."""

    def first(snapshot: bool) -> list[float]:
        context = browser.new_context()
        times: list[float] = _open(context, url).evaluate("(given) => window.starts.first(given)", snapshot)
        context.close()
        return times

    turns = [(first(True), first(False)) for _ in range(rounds)]
    rows = []
    for place, name in enumerate((_FIRST, _MEANWHILE, _MIDST)):
        ways = {
            _WITH: iter([own[place] for own, _ in turns]),
            _WITHOUT: iter([other[place] for _, other in turns]),
        }
        rows.append(
            _row(
                "first visit of a page that spawns",
                name,
                {way: one.__next__ for way, one in ways.items()},
                rounds,
            )
        )
    return rows


def _open(context: Any, url: str) -> Any:
    page = context.new_page()
    page.goto(f"{url}/bench/starts.html", timeout=_MILLISECONDS)
    page.wait_for_function("() => window.starts", timeout=_MILLISECONDS)
    return page


def _visits(browser: AnyBrowser, url: str, rounds: int) -> list[dict[str, Any]]:
    def visit(page: Any, kind: str) -> float:
        page.goto("about:blank", timeout=_MILLISECONDS)
        page.goto(f"{url}/bench/visit_{kind}.html", timeout=_MILLISECONDS)
        page.wait_for_function("() => window.answered", timeout=_MILLISECONDS)
        return float(page.evaluate("() => window.answered"))

    def first_visit(kind: str) -> Callable[[], float]:
        def measured() -> float:
            context = browser.new_context()
            answered = visit(context.new_page(), kind)
            context.close()
            return answered

        return measured

    group = "first answer of a PyScript page"
    rows = [
        _row(group, "the first visit", {_WITH: first_visit("snapshot"), _OWN: first_visit("own")}, rounds)
    ]
    context = browser.new_context()
    page = context.new_page()
    for kind in ("own", "snapshot"):
        visit(page, kind)
    deadline = time.monotonic() + _MILLISECONDS / 1e3
    while not page.evaluate(_KEPT) and time.monotonic() < deadline:
        time.sleep(0.2)
    later = {_WITH: lambda: visit(page, "snapshot"), _OWN: lambda: visit(page, "own")}
    rows.append(_row(group, "a later visit", later, rounds))
    context.close()
    return rows


def _row(
    group: str, name: str, ways: dict[str, Callable[[], float]], rounds: int, unit: str = "ms"
) -> dict[str, Any]:
    """Has the ways take turns; the ratios are those of workerlib's time to another's, round by round."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            times[way].append(run())
    return {
        "group": group,
        "name": name,
        "unit": unit,
        "values": {way: statistics.median(measured) for way, measured in times.items()},
        "ratios": {
            way: statistics.median(own / other for own, other in zip(times[_WITH], measured, strict=True))
            for way, measured in times.items()
        },
        "details": {},
        "missing": {},
    }
