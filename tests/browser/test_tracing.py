"""Traced calls in a page: as data, and as entries of the performance timeline on both sides."""

from __future__ import annotations

from typing import Any

import pytest

from in_page import in_page


@pytest.mark.every_engine
@pytest.mark.repeated("webkit")
@in_page
async def test_a_traced_call_is_in_the_timelines_of_page_and_worker(workerlib: Any) -> None:
    """The page's thread has the call and its phases, the worker's its run, under one number and by one clock."""
    from pathlib import Path

    import js

    script = Path("traced.py")
    script.write_text("""
import js
import workerlib

@workerlib.export
def add(left, right):
    return left + right

@workerlib.export
def timeline():
    found = js.performance.getEntriesByType("measure")
    return [
        (
            entry.name,
            js.performance.timeOrigin + entry.startTime,
            entry.duration,
            dict(list(pair) for pair in entry.detail.devtools.properties),
        )
        for entry in found
    ]
""")
    workerlib.traces(clear=True)
    async with workerlib.spawn(script, config={"workerlib": {"trace": True}}) as worker:
        assert await worker.add(b"x" * 100_000, b"y") == b"x" * 100_000 + b"y"
        there = await worker.timeline()
    trace = workerlib.traces(clear=True)[0]
    assert (trace.name, trace.outcome) == ("add", "returned")
    assert trace.run is not None
    assert trace.sent_bytes > 100_000
    assert trace.received_bytes > 100_000
    here = {entry.name: entry for entry in js.performance.getEntriesByType("measure")}
    call = here[f"workerlib: add() #{trace.number}"]
    assert call.detail.devtools.track == "workerlib"
    assert abs(call.duration / 1000 - trace.duration) < 0.01
    for phase in ("queued", "encoded", "on the way", "run", "way back", "decoded"):
        assert f"workerlib: {phase}" in here
    [(start, length, properties)] = [
        rest for name, *rest in there if name == f"workerlib: add() #{trace.number} runs"
    ]
    assert (properties["trace"], properties["parent"]) == (trace.trace_id, trace.span_id)
    assert ["span", trace.span_id] in [list(pair) for pair in call.detail.devtools.properties]
    began = js.performance.timeOrigin + call.startTime
    assert began - 5 <= start <= start + length <= began + call.duration + 5
