"""Provides traces of calls: when each phase of a call began and ended, on both sides of a connection.

A side whose configuration says `[workerlib] trace = true` makes a `TracedConnection`. It measures the calls
that it makes. Of the calls that it serves it tells how long they ran, in a report before the answer. So a
call has all phases if both sides trace. `traces()` returns the finished calls. Exporters, which hosts add,
show each of them elsewhere. A connection that does not trace runs none of this.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from workerlib._exports import Function
from workerlib._rpc.connection import Connection
from workerlib._rpc.incoming_call import current_call
from workerlib._rpc.outgoing_call import Outcome, Pending
from workerlib._rpc.streams_consumed import Stream
from workerlib._values.safe_text import class_name

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
    """How long the arguments took to become bytes and to be posted."""
    on_the_way: float
    """The time until its function began: the way of the message, and the wait for a worker that was busy."""
    run: float | None
    """How long the function ran."""
    way_back: float | None
    """The time until the answer had arrived, its encoding included."""
    decoded: float
    """How long the answer took to become values."""
    sent_bytes: int
    """The size of the call's message, buffers included."""
    received_bytes: int
    """The size of the answer's message, buffers included."""

    @property
    def duration(self) -> float:
        """The seconds from the call to its outcome."""
        return sum(getattr(self, phase) or 0.0 for phase in PHASES)


clock: Callable[[], float] = time.time
"""Tells the seconds since 1970, in a page and in its worker by the same clock."""

_finished: deque[Trace] = deque(maxlen=_KEPT)

exporters: list[Callable[[Trace], None]] = []
"""Functions that are called with each call that has ended."""


def traces(*, clear: bool = False) -> list[Trace]:
    """Returns the calls of this side that have ended and were traced, the last thousand of them.

    Args:
        clear: Whether to forget them.
    """
    found = list(_finished)
    if clear:
        _finished.clear()
    return found


served_exporters: list[Callable[[str, int, float, float, str], None]] = []
"""Functions that are called with each call that was served here: name, number, start, end and outcome."""


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
        self.began = self.encoding = self.sent = clock()
        self.sent_bytes = self.received_bytes = 0
        self.arrived = self.decoded = 0.0
        self.ran: tuple[float, float] | None = None

    def end(self, outcome: str) -> None:
        """Ends it, and tells the exporters.

        Args:
            outcome: How the call ended.
        """
        end = clock()
        sent = max(self.sent, self.encoding)
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
            queued=self.encoding - self.began,
            encoded=sent - self.encoding,
            on_the_way=on_the_way,
            run=run,
            way_back=way_back,
            decoded=max(self.decoded - arrived, 0.0),
            sent_bytes=self.sent_bytes,
            received_bytes=self.received_bytes,
        )
        _finished.append(trace)
        for export in exporters:
            export(trace)


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
            self._spans.pop(span.number, None)
            span.end(outcome)

    def _expect(self, call: int, function: str, timeout: float | None) -> Pending:
        # For the first time in the first step of `call`, and once more when its turn has come.
        if (beginning := self._beginning) is not None:
            self._beginning = None
            beginning.number = call
            self._spans[call] = beginning
        span = self._encoding = self._spans[call]
        span.encoding = clock()
        pending = super()._expect(call, function, timeout)
        settle = pending.set_result

        def note(outcome: Outcome | None) -> None:
            # Without an outcome its turn has come.
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

    def _receive(self, frame: bytes, buffers: list[Any]) -> None:
        self._arrived, self._arrived_bytes = clock(), _size(frame, buffers)
        super()._receive(frame, buffers)

    def exported(self, name: str) -> Function:
        """Returns the export of that name, which tells its times: see `Connection.exported`."""
        function = super().exported(name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = clock()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._tell_times(name, start, f"raised {class_name(type(error))}")
                raise
            if inspect.isawaitable(result):
                return self._finish(name, start, result)
            self._tell_times(name, start, "returned")
            return result

        return timed

    async def _finish(self, name: str, start: float, result: Awaitable[Any]) -> Any:
        outcome = "returned"
        try:
            return await result
        except BaseException as error:
            outcome = f"raised {class_name(type(error))}"
            raise
        finally:
            self._tell_times(name, start, outcome)

    def _tell_times(self, name: str, start: float, outcome: str) -> None:
        end = clock()
        served = current_call.get()
        if served is not None and served.connection is self:
            self._session.report(served.call, (MARK, start, end))
            for export in served_exporters:
                export(name, served.call, start, end, outcome)


def _size(frame: bytes, buffers: Sequence[Any]) -> int:
    """Tells the size of a message, whose buffers are Python's or JavaScript's."""
    return len(frame) + sum(map(_size_of, buffers))


def _size_of(buffer: Any) -> int:
    try:
        return memoryview(buffer).nbytes
    except TypeError:
        return int(getattr(buffer, "byteLength", 0))
