"""The streams of one connection, in both directions: finds whom a message or a value is about.

`streams_produced.py` has what this side produces, `streams_consumed.py` what it consumes.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any

from workerlib._errors import FrameError
from workerlib._exports import Function
from workerlib._native import Batch, Unfinished, dismantle
from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.outgoing_call import Pending
from workerlib._rpc.serving import answer_error
from workerlib._rpc.streams_consumed import AHEAD, BYTES_AHEAD, Inbox, Step, Stream
from workerlib._rpc.streams_produced import FirstStep, Producer, served_key
from workerlib._values.exceptions import rebuild
from workerlib._values.functions import enter, leave
from workerlib._values.row import RefusedError
from workerlib._values.safe_text import class_name
from workerlib._values.streams import Streamed, is_awaitable, is_stream, to_stream

_streaming: weakref.WeakValueDictionary[int, Streams] = weakref.WeakValueDictionary()
"""The `Streams` by which an iterator was sent last, by the iterator's id. It tells whether that goes on."""


class Streams:
    """The streams of one connection."""

    def __init__(self, connection: Any) -> None:
        """Starts with none.

        Args:
            connection: The `Connection`, which imports this module.
        """
        # A connection that has ended is to be freed with its last reference.
        self._connection = weakref.ref(connection)
        self._calls = connection._calls
        self.session = connection._session
        self.guard = connection._guard
        self.loop = connection._loop
        self.table = connection._table
        self.adapters = connection._table.adapters
        self.together = connection._together
        """Has the tasks that become ready in a block go on at its end: `Endpoint.together`."""
        self.unsent: list[int] = []
        """The streams among the values that are being encoded."""
        self._producers: dict[int, tuple[Producer, Context]] = {}
        # The ids of the iterators that have a producer already, which keeps them alive.
        self._sources: set[int] = set()
        # An inbox that nobody has any more takes itself out.
        self.inboxes: dict[int, weakref.ref[Inbox]] = {}

    @property
    def connection(self) -> Any:
        """The `Connection`; None if it has ended and been freed, while a stream of it is still held."""
        return self._connection()

    @property
    def is_in_use(self) -> bool:
        """Whether a stream has not ended."""
        return bool(self._producers) or any(not inbox.is_over for inbox in self._held())

    # Streams that this side produces.

    def send(self, source: Any) -> int:
        """Opens a stream for an async iterable among values that are being encoded, and returns its id.

        Raises:
            RefusedError: If it is an iterator that is streamed already.
        """
        streaming = _streaming.get(id(source))
        if streaming is not None and id(source) in streaming._sources:
            raise RefusedError("it is being streamed already: an iterator gives each item once")
        stream: int = self.session.open_stream()
        self.unsent.append(stream)
        if type(source) is Streamed or hasattr(type(source), "__anext__"):
            self._sources.add(id(source))
            _streaming[id(source)] = self
        producer = Producer(self, stream, source, class_name(type(source)))
        self._producers[stream] = producer, copy_context()
        return stream

    def withdraw(self) -> None:
        """Takes back the streams among values that are not sent, since others of them cannot be."""
        for stream in self.unsent:
            self.session.stream("withdraw", stream)
            producer, _ = self._producers.pop(stream)
            self._sources.discard(id(producer.source))
        self.unsent.clear()

    async def serve(self, served: Served, name: str, arguments: list[Any], is_deep: bool) -> None:
        """Runs a call of the other side that asks for a stream, and produces that.

        Args:
            served: The call.
            name: The exported name.
            arguments: The positional and the keyword arguments, to which nothing else refers.
            is_deep: Whether Python would overflow the stack if it freed them.
        """
        producer = first = None
        # It may end meanwhile, and is freed when this has ended.
        connection = self.connection
        current_call.set(served)
        try:
            source = await self._source(served, name, arguments)
            steps = source.iterator if type(source) is Streamed else source
            if not is_stream(type(steps)) and self.session.may_begin(served.call):
                # Its item goes with the answer, and its error is the answer.
                first = FirstStep.take(self, served, steps)
            if (stream := self.session.open_stream(served.call)) is not None:
                producer = Producer(self, stream, source, name, first=first)
                self._producers[stream] = producer, copy_context()
        except BaseException as error:
            if served.interrupt is not None:
                # The message that says the same may still be on its way.
                self.session.note_cancel(served.call)
            answer_error(connection, served.call, error, served.interrupt is not None)
        finally:
            del connection._served[served.call]
            served.forget_task()
            # It refers to this frame, and this frame to it.
            served.interrupt = None
        try:
            if producer is not None:
                if first is None:
                    # A generator that computes says nothing meanwhile.
                    self.transmit()
                await producer.run()
        finally:
            if served.brought is not None:
                connection.references.leave(served)
            if is_deep:
                dismantle(arguments)

    def begin(
        self, served: Served, function: Function, arguments: tuple[tuple[Any, ...], dict[str, Any]]
    ) -> tuple[int, Any, Batch, bool | Unfinished] | None:
        """Takes the first step of a sync generator, and answers its call with the stream and the item.

        Args:
            served: The call.
            function: The function, of which no code runs before the first step.
            arguments: The positional and the keyword arguments.

        Returns:
            The argument `begun` of `produce`; None if nobody wants the stream.
        """
        generator = function(*arguments[0], **arguments[1])
        session = self.session
        batch: Batch = session.batch()
        outcome = self.guard.run(served, batch.fill, (generator, 1, 0.0), {})
        stream = session.open_stream(served.call)
        if stream is None:
            return None
        if len(batch):
            session.send_items(stream, batch)
            served.connection._transmit()
        return stream, generator, batch, outcome

    def produce(self, context: Context, name: str, begun: tuple[int, Any, Batch, bool | Unfinished]) -> None:
        """Goes on with a stream whose call has been answered, and whose first item has been sent.

        Args:
            context: The context of the first step, in which the others are taken.
            name: The exported name.
            begun: The stream's id, the generator, the batch of the first step, and what filled it returned.
        """
        stream, generator, batch, outcome = begun
        producer = Producer(self, stream, generator, name, first=FirstStep(batch, outcome))
        self._producers[stream] = producer, context
        name = f"workerlib: {name}"
        asyncio.Task(producer.run(), loop=self.loop, name=name, context=context, eager_start=True)  # type: ignore[call-arg]

    async def _source(self, served: Served, name: str, arguments: list[Any]) -> Any:
        """Calls a function whose result is to be streamed."""
        served.has_begun = True
        if served.is_cancelled:
            raise asyncio.CancelledError
        made = self.guard.run(served, self.connection.exported(name), *arguments)
        if type(made) is CoroutineType:
            made = await self.connection.steps(served, made)
        elif is_awaitable(made) and not is_stream(type(made)):
            made = await made
        return to_stream(name, made)

    def forget(self, stream: int, source: Any) -> None:
        """Forgets a stream that has ended."""
        self._producers.pop(stream, None)
        self._sources.discard(id(source))

    def on_granted(self, stream: int) -> None:
        if found := self._producers.get(stream):
            producer, context = found
            producer.start(context)
            producer.granted()

    def on_stop(self, stream: int, is_cancel: bool) -> None:
        if found := self._producers.get(stream):
            found[0].stop(is_cancel)

    # Streams that this side consumes.

    def _inbox(self, stream: int) -> Inbox | None:
        """Returns the inbox of a stream; None if nobody has it any more."""
        held = self.inboxes.get(stream)
        return None if held is None else held()

    def _held(self) -> list[Inbox]:
        """Returns the inboxes that somebody has."""
        return [inbox for held in list(self.inboxes.values()) if (inbox := held()) is not None]

    def receive(self, stream: int) -> Stream[Any]:
        """Makes the stream that a value means.

        Raises:
            ValueError: If it came before.
        """
        if not self.session.stream("consume", stream):
            raise ValueError(f"stream {stream} came before, or the connection is closed")
        inbox = Inbox(self, "stream", AHEAD, is_granted=False)
        inbox.stream = stream
        self.inboxes[stream] = weakref.ref(inbox)
        return Stream("stream", None, inbox)

    def begin_opening(self, stream: Stream[Any], pending: Pending) -> tuple[int, int]:
        """Notes the call that is to return a stream; returns the credit that goes with it.

        The inbox is made here: most calls are on their way already, and the caller waits for the answer.
        """
        stream.opening = pending
        pending.inbox = Inbox(self, pending.name, stream.ahead, is_granted=True)
        return stream.ahead, BYTES_AHEAD

    def on_stream(self, call: int, stream: int) -> None:
        pending = self._calls.get(call)
        if pending is None or pending.done():
            # Its caller was cancelled in this turn of the loop.
            self.session.stream("close", stream)
            return
        inbox, pending.inbox = pending.inbox, None
        inbox.stream = stream
        self.inboxes[stream] = weakref.ref(inbox)
        pending.set_result((True, [inbox]))

    def on_items(self, stream: int, items: list[Any], size: int, is_deep: bool) -> None:
        # Without `_inbox`: this is done for each message.
        held = self.inboxes.get(stream)
        if held is not None and (inbox := held()) is not None:
            inbox.receive(items, size, is_deep)

    def on_bad_items(self, stream: int, error: BaseException) -> None:
        if inbox := self._inbox(stream):
            self.stop(inbox, is_cancel=False)
            inbox.end(error)

    def on_ended(self, stream: int) -> None:
        self._end_interrupts(stream)
        if inbox := self._inbox(stream):
            inbox.end()

    def on_failed(self, stream: int, description: object) -> None:
        self._end_interrupts(stream)
        token = enter(self.connection)
        try:
            error = rebuild(description, self.table)
        except FrameError as unreadable:
            error = unreadable
        finally:
            leave(token)
        if inbox := self._inbox(stream):
            inbox.end(error)
        else:
            text = "a stream that nobody has any more raised while it was closed"
            self.loop.call_exception_handler({"message": text, "exception": error})

    def on_stopping(self, stream: int) -> None:
        self._end_interrupts(stream)
        if (inbox := self._inbox(stream)) and inbox.step is not None:
            inbox.step.extend_grace()

    def on_stopped(self, stream: int) -> None:
        self._end_interrupts(stream)
        if inbox := self._inbox(stream):
            inbox.stopped()

    def grant(self, stream: int, items: int, size: int) -> None:
        """Grants credit to the producer of a stream."""
        most = (1 << 32) - 1
        self.session.stream("grant", stream, min(items, most), min(size, most))
        self.transmit()

    def stop(self, inbox: Inbox, *, is_cancel: bool) -> bool:
        """Asks the producer of a stream to end it; returns False if it has ended."""
        if not self.session.stream("cancel" if is_cancel else "close", inbox.stream):
            return False
        inbox.stops += 1
        if insistence := self.connection._insistence:
            insistence.begin(served_key(inbox.stream), inbox.stops)
        self.carry_out()
        return True

    async def wait(self, inbox: Inbox, timeout: float | None, *, is_end: bool = False) -> None:
        """Waits until there is something in an inbox, or its stream has ended.

        Raises:
            TimeoutError: If that took too long.
        """
        step = Step(loop=self.loop)
        step.call, step.name, step.timeout = inbox.stream, inbox.name, timeout
        step.connection = self.connection
        inbox.step = step
        try:
            step.has_started()
            if is_end:
                step.give_grace(self.connection.grace)
            outcome = await step
            if outcome is not None:
                raise outcome[1].pop()
        finally:
            inbox.step = None
            if step.timers:
                step.forget_timers()

    def cancel(self, stream: int, step: Any) -> None:
        """Asks for the end of a stream, since a step that waits for it is cancelled."""
        inbox = self._inbox(stream)
        if inbox is not None and self.stop(inbox, is_cancel=True):
            step.cancels += 1
            step.give_grace(self.connection.grace)
        else:
            step.end_cancelled()

    def abandon(self, stream: int) -> None:
        """Has a stream stopped soon, since nobody has it any more; it may be called anywhere."""
        try:
            self.loop.call_soon_threadsafe(self._stop_abandoned, stream)
        except RuntimeError:
            # The loop is closed, and so are its connections.
            return

    def _stop_abandoned(self, stream: int) -> None:
        if self.session.stream("close", stream):
            if insistence := self.connection._insistence:
                insistence.begin(served_key(stream), 1)
            self.carry_out()

    def _end_interrupts(self, stream: int) -> None:
        if insistence := self.connection._insistence:
            insistence.end(served_key(stream))

    # Both.

    def end_all(self, error: Callable[[], BaseException]) -> None:
        """Ends every stream: the connection has ended."""
        for inbox in self._held():
            if inbox.step is not None and inbox.step.is_ending:
                inbox.stopped()
            else:
                inbox.end(error())
        for producer, _ in list(self._producers.values()):
            producer.stop(is_cancel=False)

    def transmit(self) -> None:
        """Sends what the session wants sent, small messages together."""
        if (connection := self.connection) is not None:
            connection._transmit()

    def carry_out(self) -> None:
        if (connection := self.connection) is not None:
            connection._carry_out()


def _handler(name: str) -> Callable[..., None]:
    def handle(connection: Any, *arguments: Any) -> None:
        getattr(connection.streams, name)(*arguments)

    return handle


DONE_BY: dict[str, Callable[..., None]] = {
    step: _handler(f"on_{step}")
    for step in (
        *("stream", "items", "bad_items", "ended", "failed", "stopping", "stopped"),
        *("granted", "stop"),
    )
}
"""The functions that do the session's steps of streams, by name."""
