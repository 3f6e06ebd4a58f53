"""`[workerlib] trace = true`: the phases of each call, as data and as spans of OpenTelemetry."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib._rpc.connection import Connection
from workerlib._rpc.tracing import PHASES

SCRIPT = """
import asyncio
import workerlib

@workerlib.export
def add(left, right):
    return left + right

@workerlib.export
async def rest(seconds):
    await asyncio.sleep(seconds)

@workerlib.export
def fail():
    raise KeyError("nowhere")

@workerlib.export
def report_and_return():
    from workerlib._rpc.incoming_call import current_call

    served = current_call.get()
    served.connection._session.report(served.call, ("half",))
    return "whole"
"""
TRACED = {"workerlib": {"trace": True}}


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """The worker's script."""
    path = tmp_path / "worker.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Forgets the calls of other tests."""
    workerlib.traces(clear=True)
    yield
    workerlib.traces(clear=True)


async def test_the_phases_of_a_call(script: Path) -> None:
    """Each phase has a length, together they are the whole call, and a function that rests shows in its run."""
    async with workerlib.connect(script, config=TRACED) as worker:
        await worker.rest(0.2)
        assert await worker.add(b"x" * 1_000_000, b"y") == b"x" * 1_000_000 + b"y"
    rested, added = workerlib.traces()
    for trace in (rested, added):
        assert all(getattr(trace, phase) >= 0 for phase in PHASES), trace
        assert (trace.worker, trace.outcome) == (str(script), "returned")
    assert (rested.name, added.name) == ("rest", "add")
    assert 0.2 <= rested.run <= rested.duration
    assert added.sent_bytes > 1_000_000
    assert added.received_bytes > 1_000_000
    assert rested.sent_bytes < 1_000
    assert rested.start + rested.duration <= added.start + 0.001
    assert rested.number != added.number


async def test_outcomes(script: Path) -> None:
    """A call that raises, one that is cancelled, and one that waits for its turn are told as what they are."""
    async with workerlib.connect(script, config=TRACED, max_in_flight=1) as worker:
        with pytest.raises(KeyError):
            await worker.fail()
        first, second = (asyncio.ensure_future(worker.rest(0.2)) for _ in range(2))
        await asyncio.gather(first, second)
        resting = asyncio.ensure_future(worker.rest(60))
        await asyncio.sleep(0.1)
        resting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await resting
    failed, rested, waited, cancelled = workerlib.traces()
    assert failed.outcome == "raised KeyError"
    assert failed.run is not None
    assert rested.queued < 0.15 <= waited.queued
    assert cancelled.outcome == "cancelled"


async def test_reports_of_the_function_are_not_lost(script: Path) -> None:
    """The times travel as a report, which the user's on_report never sees, and the user's own reports arrive."""
    heard: list[Any] = []
    async with workerlib.connect(script, config=TRACED) as worker:
        assert await worker.report_and_return.options(on_report=heard.append)() == "whole"
    assert heard == ["half"]
    [trace] = workerlib.traces()
    assert trace.run is not None


async def test_a_connection_that_does_not_trace(script: Path) -> None:
    """Without the setting the connection is the plain one, so that it pays nothing."""
    async with workerlib.connect(script) as worker:
        await worker.add(1, 2)
        assert type(worker._connection) is Connection
    assert workerlib.traces() == []


async def test_spans_of_open_telemetry(script: Path) -> None:
    """A call is a span below the current one, with a span for each phase, in the order of the phases."""
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry's SDK is not installed")
    from opentelemetry import trace as api
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    api.set_tracer_provider(provider)
    async with workerlib.connect(script, config=TRACED) as worker:
        with api.get_tracer("test").start_as_current_span("a visit"):
            await worker.add(1, 2)
        with pytest.raises(KeyError):
            await worker.fail()
    spans = {span.name: span for span in kept.get_finished_spans() if span.name not in PHASES}
    phases = [span for span in kept.get_finished_spans() if span.name in PHASES]
    added = spans["add"]
    assert added.parent is not None
    assert added.parent.span_id == spans["a visit"].context.span_id
    assert added.attributes is not None
    assert added.attributes["rpc.method"] == "add"
    below = [span for span in phases if span.parent and span.parent.span_id == added.context.span_id]
    assert [span.name for span in below] == list(PHASES)
    assert all(one.end_time == other.start_time for one, other in itertools.pairwise(below))
    assert spans["fail"].status.status_code is api.StatusCode.ERROR
