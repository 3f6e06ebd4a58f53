"""Provides traces of calls: when each phase of a call began and ended, on both sides of a connection.

A side whose configuration says `[workerlib] trace = true` makes a `TracedConnection`. It measures the calls
that it makes. In a report before the answer it tells how long a call that it served has run. A call has all
phases if both sides trace. The call carries its trace context, by which the run of the function,
and the calls that the function makes, are joined to it. `traces()` returns the finished calls. Observers,
which hosts add, show each of them elsewhere. A connection that does not trace runs none of this.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

from workerlib._exports import Function
from workerlib._native import Session
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.outgoing_call import Outcome, Pending
from workerlib._rpc.streams_consumed import Stream
from workerlib._rpc.trace_context import TraceContext
from workerlib._values.safe_text import class_name
from workerlib._values.streams import is_awaitable

_KEPT = 1000
PHASES = ("queued", "encoded", "on_the_way", "run", "way_back", "decoded")
"""The phases of a call, in their order: fields of `Trace`."""
MARK = "\0workerlib.trace"
"""The first value of the report that tells the times of a call: no user's text begins with this character."""


@dataclass(frozen=True)
class Trace:
    """A call that has ended: its phases follow each other without a gap.

    Times are seconds. `run` and `way_back` are None if the other side told no times, for example because it
    does not trace, or the call ended before it ran: then `on_the_way` is all the time until the answer.
    """

    name: str
    """The name of the function."""
    worker: str
    """The name of the worker."""
    number: int
    """The number of the call in its connection, which both sides know."""
    outcome: str
    """`"returned"`, `"cancelled"`, or `"raised ValueError"` with the class of the exception."""
    start: float
    """When the call was made: seconds since 1970."""
    queued: float
    """For how long it waited for its turn (`max_in_flight`)."""
    encoded: float
    """The time that the arguments took to become bytes and to be posted, or until one could not be sent."""
    on_the_way: float
    """The time until its function began: the way of the message, and the wait for a worker that was busy.
    It is 0 for a call that was not sent."""
    run: float | None
    """The time for which the function ran."""
    way_back: float | None
    """The time until the answer had arrived, its encoding included."""
    decoded: float
    """The time that the answer took to become values."""
    sent_bytes: int
    """The size of the call's message, buffers included."""
    received_bytes: int
    """The size of the answer's message, buffers included."""
    trace_id: str
    """The trace that the call belongs to. A traced function's calls are in the trace of its own call."""
    span_id: str
    """The call in its trace. It travels with the call, as W3C's `traceparent`."""
    parent_id: str | None
    """The span in which the call was made: the run of a traced function, for example; else None."""

    @property
    def duration(self) -> float:
        """The seconds from the call to its outcome."""
        return sum(getattr(self, phase) or 0.0 for phase in PHASES)


clock: Callable[[], float] = time.time
"""Tells the seconds since 1970, in a page and in its worker by the same clock."""

_finished: deque[Trace] = deque(maxlen=_KEPT)


def traces(*, clear: bool = False) -> list[Trace]:
    """Returns the calls of this side that have ended and were traced, the last thousand of them.

    Args:
        clear: Whether to forget them.
    """
    found = list(_finished)
    if clear:
        _finished.clear()
    return found


class Run:
    """A call of the other side whose function runs here, on a connection that traces."""

    def __init__(self, name: str, number: int, caller: TraceContext | None) -> None:
        """Begins now.

        Args:
            name: The exported name.
            number: The number of the call in its connection.
            caller: The call, if its side traces.
        """
        self.name = name
        self.number = number
        self.caller = caller
        self.context = TraceContext.below(caller)
        """The run as a span, in which the function's own calls begin."""
        self.start = self.end = clock()
        self.outcome = "returned"


class Observer:
    """Sees traced calls: hosts override what they need. Nothing is to be raised."""

    def call_begins(self, span: Span) -> None:
        """Sees a call that this side makes, and may give it another `context`."""

    def call_ended(self, trace: Trace) -> None:
        """Sees such a call that has ended."""

    def run_begins(self, run: Run) -> None:
        """Sees a run that is about to begin, and may give it another `context`."""

    def during(self, run: Run) -> AbstractContextManager[Any]:
        """Returns what is entered while code of the function runs."""
        return nullcontext()

    def run_ended(self, run: Run) -> None:
        """Sees a run that has ended."""


observers: list[Observer] = []
"""They are asked in this order."""


class Span:
    """A call of this side that is being traced."""

    def __init__(self, name: str, worker: str) -> None:
        """Begins with the wait for its turn.

        Args:
            name: The name of the function.
            worker: The name of the worker.
        """
        self.name = name
        self.worker = worker
        self.number = 0
        self.began = clock()
        self.encoding: float | None = None
        """When its turn came."""
        self.sent: float | None = None
        """When its message was posted."""
        self.sent_bytes = self.received_bytes = 0
        self.arrived = self.decoded = 0.0
        self.ran: tuple[float, float] | None = None
        served = current_call.get()
        parent = None if served is None else served.trace
        self.parent_id = None if parent is None else parent.span_id
        self.context = TraceContext.below(parent)
        for observer in observers:
            observer.call_begins(self)

    def end(self, outcome: str) -> None:
        """Ends it, and tells the observers.

        Args:
            outcome: The end of the call, in a word.
        """
        end = clock()
        # A call may end while it waits for its turn, or because an argument cannot be sent.
        encoding = end if self.encoding is None else self.encoding
        sent = end if self.sent is None else self.sent
        # A call that ended without an answer has none that arrived and was decoded.
        arrived = self.arrived or end
        waited = max(arrived - sent, 0.0)
        on_the_way, run, way_back = waited, None, None
        if self.ran is not None:
            # The clocks of two threads differ by some microseconds, and no phase may be negative.
            on_the_way = min(max(self.ran[0] - sent, 0.0), waited)
            run = min(max(self.ran[1] - self.ran[0], 0.0), waited - on_the_way)
            way_back = waited - on_the_way - run
        trace = Trace(
            name=self.name,
            worker=self.worker,
            number=self.number,
            outcome=outcome,
            start=self.began,
            queued=encoding - self.began,
            encoded=sent - encoding,
            on_the_way=on_the_way,
            run=run,
            way_back=way_back,
            decoded=max(self.decoded - arrived, 0.0),
            sent_bytes=self.sent_bytes,
            received_bytes=self.received_bytes,
            trace_id=self.context.trace_id,
            span_id=self.context.span_id,
            parent_id=self.parent_id,
        )
        _finished.append(trace)
        for observer in observers:
            observer.call_ended(trace)


class TracedConnection(Connection):
    """A connection that measures its calls; all else is that of a connection."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Takes what a connection takes."""
        # Before anything is posted, which the start of a connection does.
        self._spans: dict[int, Span] = {}
        self._beginning: Span | None = None
        self._encoding: Span | None = None
        self._arrived = 0.0
        self._arrived_bytes = 0
        super().__init__(*args, **options)
        # Each call of the other side is put here as soon as the session has told it.
        self._served = _TracedCalls(self._session)

    async def call(
        self,
        function: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None = None,
        on_report: Any = None,
        *,
        stream: Stream[Any] | None = None,
    ) -> Any:
        """Calls a function of the other side, and notes the times: see `Connection.call`."""
        span = self._beginning = Span(function, self.log.worker)

        def hear(*values: Any) -> Any:
            if len(values) == 3 and values[0] == MARK:
                span.ran = values[1:]
                return None
            return None if on_report is None else on_report(*values)

        outcome = "returned"
        try:
            return await super().call(function, args, kwargs, timeout, hear, stream=stream)
        except BaseException as error:
            is_cancel = isinstance(error, asyncio.CancelledError)
            outcome = "cancelled" if is_cancel else f"raised {class_name(type(error))}"
            raise
        finally:
            # A call that could not begin has no number of its own.
            if self._spans.get(span.number) is span:
                del self._spans[span.number]
                self._session.set_trace(span.number, None)
            if self._beginning is span:
                self._beginning = None
            if self._encoding is span:
                self._encoding = None
            span.end(outcome)

    def _span_of(self, call: int) -> Span | None:
        """Finds the span of a call. The calls of an object's methods have none."""
        if (beginning := self._beginning) is not None:
            # This is the first step of `call`.
            self._beginning = None
            beginning.number = call
            self._spans[call] = beginning
        return self._spans.get(call)

    def _expect_turn(self, call: int, function: str, timeout: float | None) -> Pending:
        self._span_of(call)
        return super()._expect(call, function, timeout)

    def _expect(self, call: int, function: str, timeout: float | None) -> Pending:
        pending = super()._expect(call, function, timeout)
        span = self._span_of(call)
        if span is None:
            return pending
        self._encoding = span
        span.encoding = clock()
        self._session.set_trace(call, str(span.context))
        settle = pending.set_result

        def note(outcome: Outcome | None) -> None:
            if outcome is not None:
                span.arrived, span.decoded = self._arrived, clock()
                span.received_bytes = self._arrived_bytes
            settle(outcome)

        pending.set_result = note  # type: ignore[method-assign]
        return pending

    async def _send_with_deferred(self, call: int, *arguments: Any) -> None:
        await super()._send_with_deferred(call, *arguments)
        self._encoding = self._spans[call]

    def _post(self, frame: bytes, buffers: list[Any], calls: list[int] | None = None) -> None:
        super()._post(frame, buffers, calls)
        if (span := self._encoding) is not None:
            self._encoding = None
            span.sent, span.sent_bytes = clock(), _size(frame, buffers)

    def _post_all(self, messages: list[tuple[Any, ...]]) -> None:
        for message in messages:
            self._post(*message)

    def _receive(self, frame: bytes, buffers: list[Any]) -> None:
        self._arrived, self._arrived_bytes = clock(), _size(frame, buffers)
        try:
            super()._receive(frame, buffers)
        finally:
            # A call that times out, or ends with the connection, has no answer that arrived.
            self._arrived, self._arrived_bytes = 0.0, 0

    def _be_direct(self) -> None:
        # Each step is measured.
        pass

    def exported(self, name: str) -> Function:
        """Returns the export of that name, whose runs are traced: see `Connection.exported`."""
        function = super().exported(name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            served = current_call.get()
            if served is None or served.connection is not self:
                return function(*args, **kwargs)
            run = Run(name, served.call, served.trace)
            for observer in observers:
                observer.run_begins(run)
            served.trace = run.context
            try:
                with _during(run):
                    result = function(*args, **kwargs)
            except BaseException as error:
                self._end(run, f"raised {class_name(type(error))}")
                raise
            if is_awaitable(result):
                return self._finish(run, result)
            self._end(run)
            return result

        return timed

    async def _finish(self, run: Run, result: Awaitable[Any]) -> Any:
        outcome = "returned"
        try:
            with _during(run):
                return await result
        except BaseException as error:
            outcome = f"raised {class_name(type(error))}"
            raise
        finally:
            self._end(run, outcome)

    def _end(self, run: Run, outcome: str = "returned") -> None:
        run.end, run.outcome = clock(), outcome
        self._session.report(run.number, (MARK, run.start, run.end))
        for observer in observers:
            observer.run_ended(run)


class _TracedCalls(dict[int, Served]):
    """The calls that are being served, each of which gets the trace of its caller when it is put here."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def __setitem__(self, call: int, served: Served) -> None:
        served.trace = TraceContext.read(self._session.arrived_trace)
        super().__setitem__(call, served)


def _during(run: Run) -> ExitStack:
    stack = ExitStack()
    for observer in observers:
        stack.enter_context(observer.during(run))
    return stack


def _size(frame: bytes, buffers: Sequence[Any]) -> int:
    """Tells the size of a message, whose buffers are Python's or JavaScript's."""
    return len(frame) + sum(map(_size_of, buffers))


def _size_of(buffer: Any) -> int:
    try:
        return memoryview(buffer).nbytes
    except TypeError:
        return int(getattr(buffer, "byteLength", 0))
