"""Makes spans of traced calls by OpenTelemetry's API, where that is installed.

A call is a span of kind client. Its parent is the span that was current where the call was made, and its
phases are spans below it. https://opentelemetry.io/docs/specs/semconv/rpc/
"""

from __future__ import annotations

from typing import Any

from workerlib._rpc import tracing
from workerlib._rpc.tracing import PHASES, Trace


def export_traces() -> None:
    """Makes spans of each call that ends from now on; does nothing where OpenTelemetry is not installed."""
    try:
        import opentelemetry.trace  # noqa: F401
    except ImportError:
        return
    if _export not in tracing.exporters:
        tracing.exporters.append(_export)


def _export(trace: Trace) -> None:
    from opentelemetry import trace as api

    tracer = api.get_tracer("workerlib")
    attributes: dict[str, Any] = {
        "rpc.system": "workerlib",
        "rpc.service": trace.worker,
        "rpc.method": trace.name,
        "workerlib.call": trace.number,
        "workerlib.outcome": trace.outcome,
        "workerlib.sent_bytes": trace.sent_bytes,
        "workerlib.received_bytes": trace.received_bytes,
    }
    start = _nanoseconds(trace.start)
    span = tracer.start_span(trace.name, kind=api.SpanKind.CLIENT, attributes=attributes, start_time=start)
    if trace.outcome != "returned":
        span.set_status(api.StatusCode.ERROR, trace.outcome)
    context = api.set_span_in_context(span)
    for phase in PHASES:
        length = getattr(trace, phase)
        if length is not None:
            end = start + _nanoseconds(length)
            tracer.start_span(phase, context=context, start_time=start).end(end)
            start = end
    span.end(start)


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
