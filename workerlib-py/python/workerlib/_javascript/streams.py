"""Streams for pages in JavaScript: the page asks for batches of items, one after the other.

A `PageStream` stands in the place of a session and its connection for a `Producer`, so one task takes all
steps of a generator here as well, and closes it. The items are converted as results are. There is no credit:
nothing is produced before the page asks for the next batch.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from time import monotonic
from types import GeneratorType
from typing import Any

from workerlib._rpc.incoming_call import Served
from workerlib._rpc.interruptible import Guard
from workerlib._rpc.streams_produced import Producer
from workerlib._values.streams import is_stream

# The number of items that a batch has at most.
_MOST = 1024


def is_streamed(value: object) -> bool:
    """Tells whether a result is streamed to the page: an async iterable, or a generator.

    Args:
        value: The result.
    """
    return is_stream(type(value)) or type(value) is GeneratorType


class PageStream:
    """One stream, for one page."""

    def __init__(self, source: Any, name: str, key: int, guard: Guard, convert: Callable[..., Any]) -> None:
        """Starts nothing before the first batch is asked for; the steps see today's context variables.

        Args:
            source: An async iterable, or a generator.
            name: The name of the stream in messages.
            key: The number by which the page interrupts the steps: that of the call that returned it.
            guard: Runs the steps of the user's code.
            convert: `to_javascript` of `_javascript/values.py`.
        """
        # These are asked for by a producer.
        self.session = self.connection = self
        self.guard = guard
        self.loop = asyncio.get_running_loop()
        self._convert = convert
        self._context = copy_context()
        self._items: list[Any] = []
        self._buffers: list[Any] = []
        self._count = 0
        self._wanted = 0
        self._error: BaseException | None = None
        self._is_stopped = self._has_ended = False
        self._change: asyncio.Future[None] | None = None
        self._producer = Producer(self, 0, source, name, Served(key))

    async def next_batch(self) -> tuple[list[Any], bool, list[Any]]:
        """Returns the next items, whether they are the last ones, and the buffers to transfer.

        Raises:
            BaseException: If the generator raised it, after the items before.
        """
        while not self._items and not self._has_ended:
            self._wanted = _MOST
            self._producer.start(self._context)
            self._producer.granted()
            await self._changed()
        items, self._items = self._items, []
        buffers, self._buffers = self._buffers, []
        if not items and self._error is not None:
            error, self._error = self._error, None
            raise error
        return items, self._has_ended and self._error is None, buffers

    async def close(self) -> None:
        """Closes the generator, and waits until it has cleaned up.

        Raises:
            BaseException: If the generator raised it meanwhile.
        """
        self.stop(is_cancel=False)
        while not self._has_ended:
            await self._changed()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def stop(self, *, is_cancel: bool) -> None:
        """Has the generator end.

        Args:
            is_cancel: Whether it is told by a CancelledError also where it stands at a `yield`.
        """
        self._is_stopped = True
        self._items.clear()
        self._buffers.clear()
        if not self._has_ended:
            self._error = None
            self._producer.stop(is_cancel)

    async def _changed(self) -> None:
        if self._change is None or self._change.done():
            self._change = self.loop.create_future()
        await asyncio.shield(self._change)

    def _tell(self) -> None:
        if self._change is not None and not self._change.done():
            self._change.set_result(None)

    # A producer asks these of a batch, of the session, and of the connection.

    def batch(self) -> PageStream:
        """Returns the collector of items: this."""
        return self

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Any) -> int:
        """Converts an item as it is now; returns 1 if the batch is to be sent."""
        path, self._count = f"items[{self._count}]", self._count + 1
        self._items.append(self._convert(item, path, self._buffers))
        # Large items move, and are worth a message of their own.
        return int(bool(self._buffers))

    def fill(self, iterator: Iterator[Any], most: int, seconds: float) -> bool:
        """Takes at most so many steps, until items are to be sent or the time is over.

        Returns:
            Whether there are no more items.
        """
        end = monotonic() + seconds
        for _ in range(most):
            try:
                item = next(iterator)
            except StopIteration:
                return True
            if self.add(item) or monotonic() >= end:
                break
        return False

    def credit(self, _stream: int) -> tuple[int, int] | None:
        """Tells how many items are wanted; None if the page wants no more."""
        return None if self._is_stopped else (self._wanted, self._wanted)

    def send_items(self, _stream: int, _items: object, _rows: object = None) -> None:
        """Hands the items over, and produces no more before the page asks again."""
        self._wanted = 0
        self._tell()

    def stream(self, action: str, _stream: int) -> bool:
        """Hears that the stream has ended."""
        self._has_ended |= action in ("end", "stopped")
        self._tell()
        return True

    def describe_error(self, error: BaseException) -> BaseException:
        """Returns an exception as it is."""
        return error

    def raise_error(self, _stream: int, error: BaseException, *, is_stream: bool) -> bool:
        """Hears that the generator has raised."""
        self._error, self._has_ended = error, is_stream
        self._tell()
        return True

    def forget(self, _stream: int, _source: object) -> None:
        """Hears that nothing follows."""
        self._has_ended = True
        self._tell()

    def together(self) -> AbstractContextManager[None]:
        """Returns a block in which tasks become ready as they do elsewhere."""
        return nullcontext()

    def transmit(self) -> None:
        """Does nothing: the page asks."""

    def carry_out(self) -> None:
        """Does nothing: the page asks."""
