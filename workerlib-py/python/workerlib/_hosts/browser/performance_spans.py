"""Shows traced calls in the browser's performance panel, by the User Timing API.

A call is an entry of the track "workerlib" in the page's thread, with its phases below it. Its run is an
entry in the worker's thread, in the same trace and with the call as its parent. Chromium's panel reads
`detail.devtools`; other browsers show the names.
https://developer.chrome.com/docs/devtools/performance/extension
"""

from __future__ import annotations

from typing import Any

import js
from pyodide.ffi import to_js

from workerlib._rpc import tracing
from workerlib._rpc.trace_context import TraceContext
from workerlib._rpc.tracing import PHASES, Observer, Run, Trace

_COLOURS = {"queued": "tertiary-light", "on_the_way": "secondary-light", "run": "primary-dark"}


def show_traces() -> None:
    """Adds each call that ends from now on to the panel, by the panel's own clock."""
    if not any(isinstance(observer, _Panel) for observer in tracing.observers):
        tracing.observers.append(_Panel())
        tracing.clock = _now


def _now() -> float:
    # `time.time()` knows milliseconds only.
    return float(js.performance.timeOrigin + js.performance.now()) / 1000


class _Panel(Observer):
    """Adds an entry for each call that has ended, and for each run."""

    def call_ended(self, trace: Trace) -> None:
        """Adds the call and its phases."""
        details = {
            "worker": trace.worker,
            "call": trace.number,
            "outcome": trace.outcome,
            "bytes sent": trace.sent_bytes,
            "bytes received": trace.received_bytes,
            **_place(TraceContext(trace.trace_id, trace.span_id), trace.parent_id),
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

    def run_ended(self, run: Run) -> None:
        """Adds the run."""
        caller = None if run.caller is None else run.caller.span_id
        details = {"call": run.number, "outcome": run.outcome, **_place(run.context, caller)}
        _measure(f"{run.name}() #{run.number} runs", run.start, run.end - run.start, details, "primary-dark")


def _place(context: TraceContext, parent: str | None) -> dict[str, str]:
    """Returns the properties that tell where in its trace a span is."""
    place = {"trace": context.trace_id, "span": context.span_id}
    return place if parent is None else {**place, "parent": parent}


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
