"""Streams of the other side: `Stream`, which users iterate over, and what has arrived for it.

The consumer grants credit for as many items as it is willing to keep (`ahead`), and grants again when half
of that has been taken, or a quarter of the bytes. So neither side's memory grows when the consumer is slow.
The state of a stream is the session's; how items are produced is in `streams_produced.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from workerlib._errors import CannotBlockError
from workerlib._native import Arrival, ItemQueue, dismantle, steps_of
from workerlib._rpc.outgoing_call import Pending, driver
from workerlib._values.async_adapters import restore
from workerlib._values.exceptions import raise_remote
from workerlib._values.streams import IteratedOnly

_T_co = TypeVar("_T_co", covariant=True)

AHEAD = 1024
"""The number of items that a stream may be ahead of its consumer, if nobody says otherwise."""
BYTES_AHEAD = 8 << 20
"""The number of bytes that it may be ahead; one item may be larger."""
_GRANTED_BYTES = BYTES_AHEAD // 4
"""At how many bytes of items that were taken more are granted: the producer has the other three quarters."""


class Step(Pending):
    """The future that a step, or the end of a stream, waits for. The item itself is in the inbox."""

    def on_cancel(self, call: int, pending: Pending) -> None:
        """Asks for the end of the stream."""
        self.connection.streams.cancel(call, pending)

    def end_cancelled(self) -> None:
        """Ends the wait: as cancelled or out of time if that was asked for, else without an error."""
        if self.is_ending:
            super().end_cancelled()
        elif not self.done():
            self.set_result(None)


class Inbox:
    """The items of one stream that have arrived and have not been taken, and its end."""

    # Short streams never change some of these fields, so they stand in the class.
    step: Step | None = None
    """The future of the next item, or of the end, if somebody waits."""
    is_over = False
    """Whether no more items come: the producer has said so, or the connection has ended."""
    error: BaseException | None = None
    """The exception to raise after the last item."""
    stops = 0
    """The number of times that the producer was asked to end."""
    stream = -1
    """The stream's id; negative before the answer that brings it."""
    _granted = 0
    _arrived = 0
    _bytes = 0
    _is_deep = False

    def __init__(self, streams: Any, name: str, ahead: int, *, is_granted: bool) -> None:
        """Makes an empty one, which `Streams` enters when it knows the stream's id.

        Args:
            streams: The streams of the connection.
            name: The stream's name in messages.
            ahead: The number of items that the producer may be ahead.
            is_granted: Whether the producer has that credit already.
        """
        self._streams = streams
        self.name = name
        self._half = _half_of(ahead)
        self.queue = ItemQueue(self._half)
        """The items, which knows how many were taken, and at how many of these more are to be granted."""
        self._ahead = ahead
        self._is_granted = is_granted
        # Of each message the number of items that had come with it, and its bytes.
        self._messages: deque[tuple[int, int]] = deque()

    def take(self) -> Any:
        """Takes out the next item, which is there; grants credit if half of it has been used."""
        queue = self.queue
        item = queue.take()
        if queue.taken >= queue.grant_at:
            self._grant(queue.taken)
        return item

    def _grant(self, taken: int) -> None:
        """Grants credit for the items that were taken."""
        items, self._granted = taken - self._granted, taken
        size = 0
        while self._messages and self._messages[0][0] <= taken:
            size += self._messages.popleft()[1]
        self._bytes -= size
        self.queue.grant_at = taken + self._half
        if self._bytes >= _GRANTED_BYTES:
            self._plan()
        self._streams.grant(self.stream, items, size)

    def ask(self, ahead: int | None = None) -> None:
        """Grants the first credit of a stream that came among values."""
        if not self._is_granted:
            self._is_granted = True
            self._ahead = ahead or self._ahead
            self._half = self.queue.grant_at = _half_of(self._ahead)
            self._streams.grant(self.stream, self._ahead, BYTES_AHEAD)

    def receive(self, items: list[Any], size: int, is_deep: bool) -> None:
        """Takes in the items of a message."""
        self.queue.extend(items)
        self._arrived += len(items)
        self._messages.append((self._arrived, size))
        self._bytes += size
        self._is_deep |= is_deep
        if self._bytes - size < _GRANTED_BYTES <= self._bytes:
            self.queue.grant_at = min(self.queue.grant_at, self._arrived)
        # As `wake` does it: each message comes by here.
        if (step := self.step) is not None and not step.done():
            step.set_result(None)

    def _plan(self) -> None:
        """Has credit granted at the item by which enough bytes have been taken.

        Few large items use up the bytes long before half of the items is taken.
        """
        size = 0
        for arrived, part in self._messages:
            size += part
            if size >= _GRANTED_BYTES:
                self.queue.grant_at = min(self.queue.grant_at, arrived)
                break

    def end(self, error: BaseException | None = None) -> None:
        """Notes the end of the stream, or what it raised, and that nothing follows."""
        if not self.is_over:
            self.is_over = True
            self.error = error
            self.wake()

    def stopped(self) -> None:
        """Notes that the stream has ended because it was stopped."""
        self.is_over = True
        if (step := self.step) is not None and step.is_ending:
            step.end_cancelled()
        else:
            self.wake()

    def wake(self) -> None:
        """Has the step look at what is there."""
        if (step := self.step) is not None and not step.done():
            step.set_result(None)

    def clear(self) -> None:
        """Drops the items that were not taken."""
        items = self.queue.clear()
        if self._is_deep:
            dismantle(items)

    def __del__(self) -> None:
        # It may run anywhere: in the middle of a call into the session, or in another thread.
        if self.stream < 0:
            return
        self._streams.inboxes.pop(self.stream, None)
        if self._is_deep:
            self.clear()
        if not self.is_over and not self.stops:
            self._streams.abandon(self.stream)


class Stream(IteratedOnly, Generic[_T_co]):
    """A stream of the other side: `async for item in worker.rows(…)`.

    It starts at its first step. It ends when there are no more items, when it is closed (`aclose()`, or
    `async with`), and when nobody has it any more, as after a `break`: the generator is closed then, and runs
    its `finally`. Its steps are taken by one task at a time.
    """

    # Most streams never change some of these fields, so they stand in the class.
    opening: asyncio.Future[Any] | None = None
    """The call that is under way."""
    keeps: object = None
    """The handle of the object whose method the stream is; it lives as long as the stream."""
    _is_closed = False
    _is_stepping = False

    def __init__(
        self,
        name: str,
        open_: Callable[[Stream[Any]], Awaitable[Any]] | None,
        inbox: Inbox | None = None,
        timeout: float | None = None,
        ahead: int = AHEAD,
    ) -> None:
        """Makes one; users get streams by calls, among arguments and among results.

        Args:
            name: The stream's name in messages.
            open_: Makes the call that returns the inbox; None if the stream came among values.
            inbox: The inbox, if it is there already.
            timeout: The number of seconds that a step may take.
            ahead: The number of items that the other side may be ahead.
        """
        self._name = name
        self._open = open_
        self._inbox = inbox
        self._timeout = timeout
        self.ahead = ahead
        """The number of items that the other side may be ahead."""

    @property
    def name(self) -> str:
        """The stream's name in messages."""
        return self._name

    @property
    def inbox(self) -> Inbox | None:
        """The items that have arrived; None before the first step."""
        return self._inbox

    @property
    def queue(self) -> ItemQueue | None:
        """The queue of these items, for `__aiter__`."""
        return None if self._inbox is None else self._inbox.queue

    def __aiter__(self) -> AsyncIterator[_T_co]:
        # It takes the items that are there, and comes back here for the others.
        return steps_of(self)

    async def __anext__(self) -> _T_co:
        inbox = self._inbox
        if inbox is None or not inbox.queue or self._is_stepping:
            return await self._next()  # type: ignore[no-any-return]
        item = inbox.take()
        return await self._restored(item) if type(item) is Arrival else item  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Ends the stream, and waits until its generator has cleaned up.

        A step that is pending in another task ends as at the end of the stream.

        Raises:
            BaseException: Any exception of the generator while it cleaned up.
            CannotBlockError: If sync code waits for it and the event loop stands.
        """
        if driver.is_on:
            raise cannot_step()
        self._is_closed = True
        if self.opening is not None:
            self.opening.cancel()
        inbox = self._inbox
        if inbox is None:
            return
        inbox.clear()
        while not inbox.is_over and inbox.step is not None:
            # The step of another task makes room for this one.
            inbox.wake()
            await asyncio.sleep(0)
        if not inbox.is_over and inbox._streams.stop(inbox, is_cancel=False):
            await inbox._streams.wait(inbox, None, is_end=True)
        self._raise(inbox)

    async def __aenter__(self) -> Stream[_T_co]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if self._is_closed or (self._inbox is not None and self._inbox.is_over):
            state = "ended"
        else:
            state = "not started" if self._inbox is None else "open"
        return f"<workerlib.Stream {self._name!r}, {state}>"

    if not TYPE_CHECKING:
        # Type checkers refuse `await` and `for` then.
        def __await__(self) -> Any:
            raise TypeError(
                f"{self._name}() is a stream: write `async for item in {self._name}(…)`, or"
                f" `[item async for item in {self._name}(…)]` for a list"
            )

        def __iter__(self) -> Any:
            raise TypeError(
                f"{self._name}() is a stream, whose items come one by one: write `async for item in …`, or"
                " `workerlib.wait(anext(…))` for each item in sync code"
            )

    async def _next(self) -> Any:
        """Takes a step that may have to wait."""
        if driver.is_on:
            raise cannot_step()
        if self._is_stepping:
            raise RuntimeError(f"a step of {self._name}() is pending in another task: let one iterate")
        self._is_stepping = True
        try:
            inbox = self._inbox
            if inbox is None:
                inbox = await self._opened()
            while not inbox.queue:
                if inbox.is_over or inbox.stops or self._is_closed:
                    if not self._is_closed:
                        self._raise(inbox)
                    raise StopAsyncIteration
                inbox.ask()
                await inbox._streams.wait(inbox, self._timeout)
            item = inbox.take()
            return await self._restored(item) if type(item) is Arrival else item
        finally:
            self._is_stepping = False

    async def _opened(self) -> Inbox:
        """Makes the call, at the first step."""
        open_, self._open = self._open, None
        if open_ is None or self._is_closed:
            raise StopAsyncIteration
        try:
            inbox = await open_(self)
        except asyncio.CancelledError:
            if self._is_closed and not _is_being_cancelled():
                raise StopAsyncIteration from None
            raise
        finally:
            self.opening = None
        if type(inbox) is not Inbox:
            raise TypeError(f"{self._name}() returned {type(inbox).__qualname__}, which is not a stream")
        self._inbox = inbox
        return inbox

    def _raise(self, inbox: Inbox) -> None:
        """Raises what ended the stream, once."""
        error, inbox.error = inbox.error, None
        try:
            if error is not None:
                raise_remote(error)
        finally:
            # It refers to this frame: they would keep each other alive.
            del error

    async def _restored(self, arrival: Arrival) -> Any:
        """Restores an item of which an adapter is async. An item that cannot be read ends the stream."""
        inbox = self._inbox
        assert inbox is not None
        try:
            await restore(arrival, inbox._streams.adapters)
            return arrival.item()
        except BaseException:
            inbox._streams.stop(inbox, is_cancel=False)
            inbox.clear()
            raise


STEPS = frozenset({Stream.__anext__.__code__, Stream.aclose.__code__})
"""The code of the coroutines that cannot be waited for while the event loop stands."""


def _half_of(ahead: int) -> int:
    """Tells after how many taken items more are granted."""
    return min(max(ahead // 2, 1), 1 << 32)


def cannot_step() -> CannotBlockError:
    """Makes the error of sync code that waits for a stream while the event loop stands."""
    return CannotBlockError(
        "workerlib.wait(…) cannot wait for the items or the end of a stream here: they need the event loop,"
        " which stands meanwhile; make the function async and write `async for`, or have the other side"
        " return a list"
    )


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
