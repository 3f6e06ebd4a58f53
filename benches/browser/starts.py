"""Measures how workers and pages start, with and without a memory snapshot: docs/starting.md.

Each kind takes turns with its counterpart, in one browser. A later visit is a page load in a browser context
that has loaded the page before. The result has the form of suite.py's: rows and goals.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "browser"))

from engines import AnyBrowser

_MILLISECONDS = 180_000
_WITH, _WITHOUT, _OWN = "workerlib", "without a snapshot", "PyScript's own interpreter"
_KEPT = "async () => (await (await caches.open('workerlib-snapshots')).keys()).length"


def measure(browser: AnyBrowser, url: str, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Measures all of it.

    Args:
        browser: The browser.
        url: The site's address.
        rounds: How often each kind takes its turn.

    Returns:
        `rows` and `goals`.
    """
    rows, weight = _workers(browser, url, rounds)
    rows += _visits(browser, url, rounds)
    by_name = {row["name"]: row["ratios"] for row in rows}
    wanted = [
        ("a further worker, times a start without a snapshot", by_name["a further worker"][_WITHOUT], 0.15),
        ("a pool of four, times a start without a snapshot", by_name["a pool of four"][_WITHOUT], 0.3),
        ("PyScript page on a later visit, times PyScript's own", by_name["a later visit"][_OWN], 0.35),
        ("PyScript page on its first visit, times PyScript's own", by_name["the first visit"][_OWN], 1.05),
        ("installing and importing workerlib, times Pyodide's start", weight, 0.08),
    ]
    goals = [
        {"name": name, "goal": f"<= {most}", "value": value, "met": value <= most}
        for name, value, most in wanted
    ]
    return {"rows": rows, "goals": goals}


def _workers(browser: AnyBrowser, url: str, rounds: int) -> tuple[list[dict[str, Any]], float]:
    context = browser.new_context()
    weights = []
    for _ in range(rounds):
        page = context.new_page()
        page.goto(f"{url}/bench/starts.html", timeout=_MILLISECONDS)
        page.wait_for_function("() => window.starts", timeout=_MILLISECONDS)
        boot, weight = page.evaluate("() => [window.starts.boot, window.starts.weight]")
        weights.append(weight / boot)
    page.evaluate("() => window.starts.made()")

    def start(snapshot: bool, count: int) -> Callable[[], float]:
        return lambda: page.evaluate("(given) => window.starts.start(...given)", [snapshot, count])

    rows = [
        _row("start of a worker", name, {_WITH: start(True, count), _WITHOUT: start(False, count)}, rounds)
        for name, count in (("a further worker", 1), ("a pool of four", 4))
    ]
    context.close()
    return rows, statistics.median(weights)


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


def _row(group: str, name: str, ways: dict[str, Callable[[], float]], rounds: int) -> dict[str, Any]:
    """Has the ways take turns; the ratios are those of workerlib's time to another's, round by round."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            times[way].append(run())
    return {
        "group": group,
        "name": name,
        "unit": "ms",
        "values": {way: statistics.median(measured) for way, measured in times.items()},
        "ratios": {
            way: statistics.median(own / other for own, other in zip(times[_WITH], measured, strict=True))
            for way, measured in times.items()
        },
        "details": {},
        "missing": {},
    }
