"""Shows traced calls in the browser's performance panel, by the User Timing API.

A call is an entry of the track "workerlib" in the page's thread, with its phases below it. Its run is an
entry in the worker's thread. Chromium's panel reads `detail.devtools`; other browsers show the names.
https://developer.chrome.com/docs/devtools/performance/extension
"""

from __future__ import annotations

from typing import Any

import js
from pyodide.ffi import to_js

from workerlib._rpc import tracing
from workerlib._rpc.tracing import PHASES, Trace

_COLOURS = {"queued": "tertiary-light", "on_the_way": "secondary-light", "run": "primary-dark"}


def show_traces() -> None:
    """Adds each call that ends from now on to the panel, by the panel's own clock."""
    if _show not in tracing.exporters:
        tracing.exporters.append(_show)
        tracing.served_exporters.append(_show_served)
        tracing.clock = _now


def _now() -> float:
    # `time.time()` knows milliseconds only.
    return float(js.performance.timeOrigin + js.performance.now()) / 1000


def _show(trace: Trace) -> None:
    details = {
        "worker": trace.worker,
        "call": trace.number,
        "outcome": trace.outcome,
        "bytes sent": trace.sent_bytes,
        "bytes received": trace.received_bytes,
    }
    colour = "secondary" if trace.outcome == "returned" else "error"
    _measure(f"{trace.name}() #{trace.number}", trace.start, trace.duration, details, colour)
    start = trace.start
    for phase in PHASES:
        length = getattr(trace, phase)
        if length is not None:
            name = phase.replace("_", " ")
            _measure(name, start, length, {"call": trace.number}, _COLOURS.get(phase, "primary"))
            start += length


def _show_served(name: str, number: int, start: float, end: float, outcome: str) -> None:
    details = {"call": number, "outcome": outcome}
    _measure(f"{name}() #{number} runs", start, end - start, details, "primary-dark")


def _measure(name: str, start: float, length: float, properties: dict[str, Any], colour: str) -> None:
    begin = max(start * 1000 - js.performance.timeOrigin, 0)
    entry = {
        "dataType": "track-entry",
        "track": "workerlib",
        "color": colour,
        "properties": [[key, str(value)] for key, value in properties.items()],
    }
    measure = {"start": begin, "end": begin + length * 1000, "detail": {"devtools": entry}}
    js.performance.measure(f"workerlib: {name}", to_js(measure, dict_converter=js.Object.fromEntries))
