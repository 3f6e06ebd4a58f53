"""Makes spans of traced calls by OpenTelemetry's API, where that is installed.

A call is a span of kind client. Its parent is the span that is current where the call is made, and its
phases are spans below it. In the process of the function, its run is a span of kind server below the call,
and the current span while the function's code runs. https://opentelemetry.io/docs/specs/semconv/rpc/
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from workerlib._rpc import tracing
from workerlib._rpc.trace_context import TraceContext
from workerlib._rpc.tracing import PHASES, Observer, Run, Span, Trace


def export_traces() -> None:
    """Makes spans of each call from now on; does nothing where OpenTelemetry is not installed."""
    try:
        import opentelemetry.trace  # noqa: F401
    except ImportError:
        return
    if not any(isinstance(observer, _Spans) for observer in tracing.observers):
        tracing.observers.append(_Spans())


class _Spans(Observer):
    """Makes the spans, by the tracer provider that is set where a span begins."""

    def __init__(self) -> None:
        from opentelemetry import trace

        self._api = trace
        self._open: dict[str, Any] = {}
        """Spans that have begun, by their ids."""

    def call_begins(self, span: Span) -> None:
        """Begins the span of a call."""
        self._begin(span, span.name, self._api.SpanKind.CLIENT, span.began, None)

    def call_ended(self, trace: Trace) -> None:
        """Ends the span of a call, with its attributes and its phases."""
        span = self._open.pop(trace.span_id, None)
        if span is None:
            return
        span.set_attributes(
            {
                "rpc.system": "workerlib",
                "rpc.service": trace.worker,
                "rpc.method": trace.name,
                "workerlib.call": trace.number,
                "workerlib.outcome": trace.outcome,
                "workerlib.sent_bytes": trace.sent_bytes,
                "workerlib.received_bytes": trace.received_bytes,
            }
        )
        context = self._api.set_span_in_context(span)
        start = _nanoseconds(trace.start)
        for phase in PHASES:
            length = getattr(trace, phase)
            if length is not None:
                end = start + _nanoseconds(length)
                self._tracer().start_span(phase, context=context, start_time=start).end(end)
                start = end
        self._end(span, trace.outcome, start)

    def run_begins(self, run: Run) -> None:
        """Begins the span of a run: below the call, which is a span of another process."""
        context = None
        if run.caller is not None:
            caller = self._api.SpanContext(
                int(run.caller.trace_id, 16),
                int(run.caller.span_id, 16),
                is_remote=True,
                trace_flags=self._api.TraceFlags(int(run.caller.is_sampled)),
            )
            context = self._api.set_span_in_context(self._api.NonRecordingSpan(caller))
        self._begin(run, run.name, self._api.SpanKind.SERVER, run.start, context)

    def during(self, run: Run) -> AbstractContextManager[Any]:
        """Makes the run the current span."""
        span = self._open.get(run.context.span_id)
        if span is None:
            return super().during(run)
        current: AbstractContextManager[Any] = self._api.use_span(
            span, record_exception=False, set_status_on_exception=False
        )
        return current

    def run_ended(self, run: Run) -> None:
        """Ends the span of a run."""
        span = self._open.pop(run.context.span_id, None)
        if span is not None:
            span.set_attributes(
                {"rpc.system": "workerlib", "rpc.method": run.name, "workerlib.call": run.number}
            )
            self._end(span, run.outcome, _nanoseconds(run.end))

    def _begin(self, traced: Span | Run, name: str, kind: Any, start: float, context: Any) -> None:
        span = self._tracer().start_span(name, context, kind, start_time=_nanoseconds(start))
        its = span.get_span_context()
        # Without an SDK there is no span to be recorded, and the call keeps the context that it has.
        if its.is_valid and span.is_recording():
            trace_id, span_id = f"{its.trace_id:032x}", f"{its.span_id:016x}"
            traced.context = TraceContext(trace_id, span_id, its.trace_flags.sampled)
            self._open[traced.context.span_id] = span
            if isinstance(traced, Span) and (parent := getattr(span, "parent", None)) is not None:
                traced.parent_id = f"{parent.span_id:016x}"

    def _end(self, span: Any, outcome: str, end: int) -> None:
        if outcome != "returned":
            span.set_status(self._api.StatusCode.ERROR, outcome)
        span.end(end)

    def _tracer(self) -> Any:
        return self._api.get_tracer("workerlib")


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
