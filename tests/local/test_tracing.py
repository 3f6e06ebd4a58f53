"""`[workerlib] trace = true`: the phases of each call, as data and as spans of OpenTelemetry."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import workerlib
from workerlib._rpc.connection import Connection
from workerlib._rpc.trace_context import TraceContext
from workerlib._rpc.tracing import PHASES

SCRIPT = """
import asyncio
import os
import workerlib

@workerlib.export
def add(left, right):
    return left + right

@workerlib.export
async def rest(seconds):
    await asyncio.sleep(seconds)

@workerlib.export
async def rest_and_die(seconds):
    await asyncio.sleep(seconds)
    os._exit(3)

@workerlib.export
def fail():
    raise KeyError("nowhere")

@workerlib.export
def report_and_return():
    from workerlib._rpc.incoming_call import current_call

    served = current_call.get()
    served.connection._session.report(served.call, ("half",))
    return "whole"

@workerlib.export
async def ask_the_page():
    answer = await workerlib.page().answer()
    return answer, [(trace.name, trace.trace_id, trace.parent_id) for trace in workerlib.traces()]

@workerlib.export
class Model:
    def predict(self, value):
        workerlib.report("half")
        return value

@workerlib.export
def spans():
    # The first call sets a tracer provider; the next ones tell the spans that it has kept.
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    global kept
    if "kept" not in globals():
        kept = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(kept))
        trace.set_tracer_provider(provider)
    return [
        (span.name, span.kind.name, context.trace_id, context.span_id, span.parent and span.parent.span_id)
        for span in kept.get_finished_spans()
        for context in [span.context]
    ]

@workerlib.export
async def work():
    from opentelemetry import trace

    with trace.get_tracer("user").start_as_current_span("a step"):
        await asyncio.sleep(0)
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


async def test_a_call_that_is_not_sent_spends_its_time_where_it_was(script: Path) -> None:
    """The time of an argument that cannot be sent is in `encoded`, that of a call cancelled in the queue in `queued`."""
    async with workerlib.connect(script, config=TRACED, max_in_flight=1) as worker:
        with pytest.raises(workerlib.UnsendableError):
            await worker.add([["x"]] * 100_000, object())
        first, second = (asyncio.ensure_future(worker.rest(0.2)) for _ in range(2))
        await asyncio.sleep(0.1)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        await first
    refused, cancelled, _ = workerlib.traces()
    for trace in (refused, cancelled):
        assert (trace.on_the_way, trace.decoded, trace.sent_bytes) == (0, 0, 0)
    assert refused.encoded > refused.queued
    assert cancelled.queued > 0.05
    assert cancelled.encoded == 0


async def test_a_call_without_an_answer_has_nothing_decoded(script: Path) -> None:
    """The time until the worker's death counts as the way, not as the decoding of some earlier message."""
    async with workerlib.connect(script, config=TRACED) as worker:
        await worker.add(1, 2)
        with pytest.raises(workerlib.WorkerDiedError):
            await worker.rest_and_die(0.2)
    _, ended = workerlib.traces()
    assert ended.outcome == "raised workerlib.WorkerDiedError"
    assert ended.on_the_way >= 0.2
    assert (ended.decoded, ended.received_bytes) == (0, 0)


async def test_methods_have_options_on_a_connection_that_traces(script: Path) -> None:
    """The call of an object's method takes a timeout and on_report, and its reports arrive."""
    heard: list[Any] = []
    async with workerlib.connect(script, config=TRACED) as worker, await worker.Model() as model:
        assert await model.predict.options(timeout=60, on_report=heard.append)(5) == 5
    assert heard == ["half"]


async def test_reports_of_the_function_are_not_lost(script: Path) -> None:
    """The times travel as a report, which the user's on_report never sees, and the user's own reports arrive."""
    heard: list[Any] = []
    async with workerlib.connect(script, config=TRACED) as worker:
        assert await worker.report_and_return.options(on_report=heard.append)() == "whole"
    assert heard == ["half"]
    [trace] = workerlib.traces()
    assert trace.run is not None


async def test_calls_of_a_traced_function_are_in_its_trace(script: Path) -> None:
    """The trace travels with the call: a function's own call, to the page, is in the trace of the page's call."""
    workerlib.export(lambda: 42, name="answer")
    async with workerlib.connect(script, config=TRACED) as worker:
        answer, [(name, trace_id, parent_id)] = await worker.ask_the_page()
        await worker.add(1, 2)
    asked, added = workerlib.traces()
    assert (answer, name) == (42, "answer")
    assert trace_id == asked.trace_id != added.trace_id
    assert asked.parent_id is None
    # The run of ask_the_page() is between the two calls.
    assert parent_id not in (None, asked.span_id)
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    assert re.fullmatch("[0-9a-f]{16}", asked.span_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
        "00-" + "1" * 32 + "-" + "0" * 16 + "-01",
        "00-" + "A" * 32 + "-" + "1" * 16 + "-01",
        "x" * 100_000,
        "00-" + "1" * 32 + "-" + "1" * 16 + "-01\n",
    ],
)
def test_a_text_that_is_no_trace(text: str) -> None:
    """Another side may send any text as its trace: a run then begins a trace of its own."""
    assert TraceContext.read(text) is None


def test_a_trace_context_is_read_as_it_was_written() -> None:
    """W3C's text carries the trace, the span, and whether the trace is recorded."""
    for context in (TraceContext.below(None), TraceContext("1" * 32, "2" * 16, is_sampled=False)):
        assert TraceContext.read(str(context)) == context
    assert str(TraceContext("1" * 32, "2" * 16)) == "00-" + "1" * 32 + "-" + "2" * 16 + "-01"


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
        traced = next(trace for trace in workerlib.traces() if trace.name == "add")
    spans = {span.name: span for span in kept.get_finished_spans() if span.name not in PHASES}
    phases = [span for span in kept.get_finished_spans() if span.name in PHASES]
    added = spans["add"]
    assert added.parent is not None
    assert added.parent.span_id == spans["a visit"].context.span_id
    assert (f"{added.context.trace_id:032x}", f"{added.context.span_id:016x}") == (
        traced.trace_id,
        traced.span_id,
    )
    assert traced.parent_id == f"{spans['a visit'].context.span_id:016x}"
    assert added.attributes is not None
    assert added.attributes["rpc.method"] == "add"
    below = [span for span in phases if span.parent and span.parent.span_id == added.context.span_id]
    assert [span.name for span in below] == list(PHASES)
    assert all(one.end_time == other.start_time for one, other in itertools.pairwise(below))
    assert spans["fail"].status.status_code is api.StatusCode.ERROR


async def test_spans_of_both_processes_are_one_trace(script: Path) -> None:
    """In the worker, a run is a span below the page's call, and the function's own spans are below the run."""
    pytest.importorskip("opentelemetry.sdk", reason="OpenTelemetry's SDK is not installed")
    async with workerlib.connect(script, config=TRACED) as worker:
        await worker.spans()
        await worker.work()
        found = {name: (kind, *ids) for name, kind, *ids in await worker.spans()}
    call = next(trace for trace in workerlib.traces() if trace.name == "work")
    kind, trace_id, run, parent = found["work"]
    assert (kind, f"{trace_id:032x}", f"{parent:016x}") == ("SERVER", call.trace_id, call.span_id)
    assert found["a step"][1:2] + found["a step"][3:] == (trace_id, run)
