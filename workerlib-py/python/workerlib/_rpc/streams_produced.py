"""Produces streams: takes the steps of a generator, and sends its items.

One task takes all steps of a stream and closes it, so that context variables, timeouts and task groups in the
generator work. No step is taken without credit. Items go together until the generator awaits, or until they
have 64 KiB or 4 ms; the first ones go alone. After 4 ms at the latest the event loop has a turn. The first
step of a sync generator is part of the call that asks for the stream, so that the answer and the first item
go together: it may run without that task, in the same context. The state of a stream is the session's.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Generator, Iterator
from contextvars import Context, copy_context
from time import monotonic
from typing import Any, NamedTuple

from workerlib._native import Batch, Unfinished, dismantle
from workerlib._rpc.guarded_steps import guarded_steps
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.interruptible import STEPPING
from workerlib._values.async_adapters import finish
from workerlib._values.exceptions import describe
from workerlib._values.safe_text import class_name, text_of
from workerlib._values.streams import Streamed, is_stream

# The time in seconds that a generator may go on before its items are sent, and the event loop has a turn.
_SECONDS = 0.004
# The largest number of items in one message, and by how much it may exceed that of the one before.
_MOST = 1024
_GROWTH = 4
# The flag in a batch of an item that Python cannot free by recursion.
_DEEP = 2


def served_key(stream: int) -> int:
    """Names the code of a stream for interrupts, beside the ids of calls, which are not negative."""
    return -1 - stream


class FirstStep(NamedTuple):
    """The first step of a sync generator, taken as a part of the call that asks for the stream."""

    batch: Batch
    """The item, unless it is unfinished or has been sent."""
    outcome: bool | Unfinished
    """The outcome of `Batch.fill`."""

    @classmethod
    def take(cls, streams: Any, served: Served, iterator: Iterator[Any]) -> FirstStep:
        """Takes it.

        Args:
            streams: The streams of the connection.
            served: The call.
            iterator: The generator, or another iterator.

        Raises:
            BaseException: Any exception of the generator.
        """
        batch: Batch = streams.session.batch()
        return cls(batch, streams.guard.run(served, batch.fill, (iterator, 1, 0.0), {}))


class Producer:
    """A stream that this side produces."""

    def __init__(
        self,
        streams: Any,
        stream: int,
        source: Any,
        name: str,
        served: Served | None = None,
        *,
        first: FirstStep | None = None,
    ) -> None:
        """Makes one, which does nothing before it runs.

        Args:
            streams: The streams of the connection.
            stream: The stream's id.
            source: An async iterable, or an iterator that is not an async one.
            name: The stream's name in messages.
            served: By what the other side interrupts the steps, if it is not the stream's id.
            first: The first step, if it has been taken.
        """
        self._streams = streams
        self._session = streams.session
        self._guard = streams.guard
        self._stream = stream
        self._source = self.source = source
        self._name = name
        self._served = Served(served_key(stream)) if served is None else served
        self._first = first
        self._batch: Batch = self._session.batch() if first is None else first.batch
        self._steps: Any = None
        self._unfinished: Unfinished | None = None
        self._has_ended = False
        self._waiting: asyncio.Future[None] | None = None
        self._is_stopped = self._is_cancelled = False
        self._has_begun = False
        self._task: asyncio.Task[None] | None = None

    def start(self, context: Context) -> None:
        """Runs it as a task of its own, unless it runs."""
        if self._task is None:
            name = f"workerlib: {self._name}"
            self._task = asyncio.Task(self.run(), loop=self._streams.loop, name=name, context=context)

    def granted(self) -> None:
        """Hears that there is credit."""
        self._wake()

    def stop(self, is_cancel: bool) -> None:
        """Hears that the consumer wants no more, or that the connection has ended."""
        self._is_stopped = True
        self._is_cancelled |= is_cancel
        self._served.hear_cancel()
        if not self._has_begun:
            # A task that is cancelled before its first step would never close the generator.
            self.start(copy_context())
        elif self._waiting is not None:
            self._wake()
        elif not self._served.is_computing:
            self._tell()
        # A step that computes is suspended (by `run_sync`); it is told when it awaits.

    def _tell(self) -> None:
        """Cancels what the generator awaits, and tells the other side."""
        served = self._served
        served.is_answer_due = False
        if served.cancels_heard > served.cancels_told:
            served.cancels_told = served.cancels_heard
            if self._task is not None:
                self._task.cancel()
        self._session.stream("acknowledge", self._stream)
        self._streams.transmit()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def run(self) -> None:
        """Takes all steps, sends the items, and closes the generator."""
        self._task, self._has_begun = asyncio.current_task(), True
        failure: BaseException | None = None
        try:
            try:
                await self._produce()
            except BaseException as error:
                failure = error
            if failure is not None and self._is_interrupt(failure):
                # The message that says why may still be on its way.
                while not self._is_stopped:
                    await self._wait(self._streams.loop.create_future())
            if failure is None and self._has_ended:
                self._send_items()
                self._session.stream("end", self._stream)
            else:
                self._flush()
                await self._end_early(failure)
        finally:
            self._streams.forget(self._stream, self.source)
            self._source = self.source = self._steps = None
            # They refer to this frame, and this frame to them.
            self._served.interrupt = failure = None
            self._streams.carry_out()

    async def _produce(self) -> None:
        source = self._source
        if type(source) is Streamed:
            self._source = source.iterator
        elif is_stream(type(source)):
            iterate = type(source).__aiter__
            self._source = self._guard.run(self._served, iterate, (source,), {})
            await self._take_steps(self._source.__anext__)
            return
        await self._take_steps(None)

    async def _take_steps(self, step: Callable[[], Any] | None) -> None:
        """Takes steps until there are no more items, or the consumer wants no more.

        Args:
            step: The method of an async generator that takes one; None for a sync one.
        """
        most = 1
        # The time of the event loop's next iteration. A step that has awaited something has given it one.
        end = monotonic() + _SECONDS
        if self._first is not None:
            first, self._first = self._first, None
            self._note(first.outcome)
            if await self._send():
                return
            most *= _GROWTH
        while (credit := self._session.credit(self._stream)) is not None:
            items, size = credit
            if not items or not size:
                await self._wait(self._streams.loop.create_future())
                end = monotonic() + _SECONDS
                continue
            has_waited = False
            if step is None:
                arguments = (self._source, min(items, most), end - monotonic())
                self._note(self._guard.run(self._served, self._batch.fill, arguments, {}))
            else:
                has_waited = await self._advance(step, min(items, most))
                if has_waited and len(self._batch):
                    await self._wait_for_bytes()
            if await self._send():
                return
            if has_waited or monotonic() >= end:
                if not has_waited:
                    await self._turn()
                end = monotonic() + _SECONDS
            most = min(most * _GROWTH, _MOST)

    async def _send(self) -> bool:
        """Sends what was produced; returns whether nothing follows."""
        if self._has_ended:
            # It goes with the message that says so.
            return True
        self._flush()
        if self._unfinished is not None:
            unfinished, self._unfinished = self._unfinished, None
            deferred = await finish(unfinished)
            self._session.send_items(self._stream, unfinished, deferred)
            self._streams.transmit()
        return False

    async def _turn(self) -> None:
        """Gives the event loop a turn: messages that have arrived meanwhile come first."""
        turn = self._streams.loop.create_future()
        self._streams.loop.call_later(0, self._end_turn, turn)
        await self._wait(turn)

    def _end_turn(self, turn: asyncio.Future[None]) -> None:
        """Goes on at the end of a turn, without another one."""
        with self._streams.together():
            if not turn.done():
                turn.set_result(None)

    async def _wait_for_bytes(self) -> None:
        """Waits until an item may be sent that was being produced when others used up the credit in bytes."""
        while (credit := self._session.credit(self._stream)) is not None and not credit[1]:
            await self._wait(self._streams.loop.create_future())

    async def _wait(self, future: asyncio.Future[None]) -> None:
        """Waits between two steps, for no longer than the consumer wants more."""
        self._waiting = future
        try:
            await future
        finally:
            self._waiting = None

    @types.coroutine
    def _advance(self, step: Callable[[], Any], most: int) -> Generator[Any, Any, bool]:
        """Takes steps of an async generator until its items are to be sent; sends them where it awaits.

        Returns whether it awaited anything.
        """
        resume: Callable[[Any], Any] | None = None
        # A value is taken out of the list before it is used: an error refers to the frames that it passes.
        values: list[Any] = [None]
        while True:
            values = [self._guard.run(self._served, self._fill_async, (step, most, resume, values), {})]
            if self._steps is None:
                return resume is not None
            self._flush()
            if self._served.is_answer_due:
                self._tell()
            # The step that is under way has credit; whether the next one has is to be looked up.
            most = 1
            try:
                values = [(yield values.pop())]
                resume = self._steps.send
            except BaseException as error:
                resume, values = self._steps.throw, [error]

    def _fill_async(
        self, step: Callable[[], Any], most: int, resume: Callable[[Any], Any] | None, values: list[Any]
    ) -> Any:
        """Takes steps until an async generator awaits, which is returned, or its items are to be sent."""
        add, end = self._batch.add, monotonic() + _SECONDS
        try:
            for _ in range(most):
                try:
                    if resume is None:
                        awaitable = step()
                        self._steps = awaitable if hasattr(awaitable, "send") else awaitable.__await__()
                        return self._steps.send(None)
                    go_on, resume = resume, None
                    return go_on(values.pop())
                except StopIteration as done:
                    item = done.value
                if code := add(item):
                    held, item = [item], None
                    if code == _DEEP:
                        dismantle(held)
                    self._note(code)
                    break
                if monotonic() >= end:
                    break
        except StopAsyncIteration:
            self._has_ended = True
        self._steps = None
        return None

    def _note(self, outcome: int | Unfinished) -> None:
        """Notes what the batch said of an item: it is unfinished, no more follow (`True`), or neither."""
        if isinstance(outcome, Unfinished):
            self._unfinished = outcome
        elif outcome is True:
            self._has_ended = True

    def _send_items(self) -> None:
        """Hands the items that were produced to the session, which has them sent."""
        if len(self._batch):
            self._session.send_items(self._stream, self._batch)

    def _flush(self) -> None:
        """Sends the items that were produced."""
        self._send_items()
        self._streams.transmit()

    async def _end_early(self, failure: BaseException | None) -> None:
        """Closes the generator: it failed, or an item cannot be sent, or the consumer wants no more."""
        if self._served.is_answer_due:
            self._served.is_answer_due = False
            self._served.cancels_told = self._served.cancels_heard
            self._session.stream("acknowledge", self._stream)
            self._streams.transmit()
        try:
            await self._close()
        except BaseException as error:
            failure = failure if failure is not None and not self._is_by_stop(failure) else error
        if failure is None or self._is_by_stop(failure):
            self._session.stream("stopped", self._stream)
        else:
            self._fail(failure)

    async def _close(self) -> None:
        """Runs what a generator does when it is closed."""
        source = self._source
        kind = type(source)
        if hasattr(kind, "aclose"):
            if self._is_cancelled and hasattr(kind, "athrow"):
                try:
                    await self._stepped(source.athrow(asyncio.CancelledError()))
                except (StopAsyncIteration, asyncio.CancelledError):
                    return
            await self._stepped(source.aclose())
        elif hasattr(kind, "close"):
            self._guard.run(self._served, source.close, (), {})

    async def _stepped(self, awaitable: Any) -> Any:
        """Awaits something of the user's, each of whose steps may be interrupted."""
        steps = awaitable if hasattr(awaitable, "send") else awaitable.__await__()
        return await guarded_steps(self._guard, self._served, steps, lambda _: self._tell())

    def _is_interrupt(self, error: BaseException) -> bool:
        """Tells whether an exception is what the other side has interrupted the generator by."""
        # By its type: `isinstance` would ask the exception for its `__class__`, which may raise.
        return self._served.interrupt is not None and issubclass(type(error), KeyboardInterrupt)

    def _is_by_stop(self, error: BaseException) -> bool:
        """Tells whether an exception comes of the consumer's stop."""
        is_cancel = issubclass(type(error), asyncio.CancelledError) or self._is_interrupt(error)
        return is_cancel and self._is_stopped

    def _fail(self, error: BaseException) -> None:
        """Ends the stream with what was raised."""
        try:
            described = self._streams.connection.describe_error(error)
            self._session.raise_error(self._stream, described, is_stream=True)
        except BaseException as failure:
            # After any failure at all, the consumer must not wait for ever.
            text = f"{class_name(type(error))} was raised and could not be sent: {text_of(failure, repr)}"
            self._session.raise_error(self._stream, describe(RuntimeError(text)), is_stream=True)


STEPPING.add(Producer._fill_async.__code__)
