"""`pool.map()`: results of a function for each item, in order or as they come.

The items are read as far as there are workers for them; the schedule says when. The iterator that users hold
(`PoolMap`) and the state that the pool holds (`_Feed`) are two objects, so that a `break` out of
`async for` ends the map: nobody refers to the iterator then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import length_hint
from types import TracebackType
from typing import Any, Literal

from workerlib._pool.driver import Driver
from workerlib._pool.jobs import Job
from workerlib._pool.schedule import Ending

Errors = Literal["raise", "yield"]
OnProgress = Callable[[int, int | None], object]
"""Is called with the number of items that have ended, and the number of all if it is known."""


@dataclass(slots=True)
class _Item(Job):
    index: int = 0


@dataclass(frozen=True)
class MapOptions:
    """How a map runs: the keyword arguments of `pool.map()`."""

    ordered: bool
    errors: Errors
    ahead: int
    chunk: int | None
    timeout: float | None
    retries: int
    on_progress: OnProgress | None


class _Feed:
    """A map as the pool knows it."""

    def __init__(
        self, driver: Driver, function: str, items: Iterable[Any] | AsyncIterable[Any], options: MapOptions
    ) -> None:
        self.options = options
        self.total = None if isinstance(items, AsyncIterable) else length_hint(items, -1)
        if self.total == -1:
            self.total = None
        self.done = 0
        self._driver = driver
        self._function = function
        self._items = items
        self._iterator: Iterator[Any] | AsyncIterator[Any] | None = None
        self._number: int | None = None
        self._wanted = 0
        self._reading: asyncio.Task[None] | None = None
        self._read = 0
        self._source_ended = False
        self._source_error: BaseException | None = None
        self._yielded = 0
        self._results: dict[int, tuple[bool, Any]] = {}
        self._order: deque[int] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._end: BaseException | None = None
        self.is_closed = False

    def begin(self) -> None:
        """Has the pool read the first items."""
        driver, options = self._driver, self.options
        driver.check_open()
        items = self._items
        self._iterator = aiter(items) if isinstance(items, AsyncIterable) else iter(items)
        self._number = driver.open_feed(
            self._read_items,
            self._function,
            ahead=options.ahead,
            chunk=options.chunk,
            timeout=options.timeout,
            retries=options.retries,
        )
        driver.on_end.append(self._on_pool_end)
        driver.pump()

    async def next(self) -> Any:
        """Returns the next result, or raises what comes instead of it."""
        if self._number is None and not self.is_closed:
            self.begin()
        while True:
            index = self.next_index()
            if index is not None:
                return self.give(index)
            if self._end is not None:
                end = self._end
                self.close()
                raise end
            if self.is_closed or (self._source_ended and self._yielded == self._read):
                error, self._source_error = self._source_error, None
                self.close()
                if error is not None:
                    raise error
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def close(self) -> None:
        """Ends the map: items that wait are dropped, items that run are interrupted."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._reading is not None:
            self._reading.cancel()
        if self._number is not None:
            self._driver.on_end.remove(self._on_pool_end)
            self._driver.close_feed(self._number)
        self._results.clear()
        self._order.clear()
        self._wake()

    def next_index(self) -> int | None:
        """Returns the number of the item whose result is to be given next; None if it is not there yet."""
        if not self.options.ordered:
            return self._order.popleft() if self._order else None
        return self._yielded if self._yielded in self._results else None

    def give(self, index: int) -> Any:
        """Returns a result that is there, or raises what came instead of it."""
        is_error, value = self._results.pop(index)
        self._yielded += 1
        assert self._number is not None
        self._driver.take(self._number)
        if is_error and self.options.errors == "raise":
            self.close()
            raise value
        return value

    def _read_items(self, count: int) -> None:
        self._wanted += count
        if isinstance(self._iterator, AsyncIterator):
            if self._reading is None or self._reading.done():
                self._reading = asyncio.ensure_future(self._read_async(self._iterator))
            return
        assert self._iterator is not None
        items = []
        try:
            while self._wanted:
                items.append(next(self._iterator))
                self._wanted -= 1
        except StopIteration:
            self._end_source(None)
        except BaseException as error:
            self._end_source(error)
        self._supply(items)

    async def _read_async(self, iterator: AsyncIterator[Any]) -> None:
        try:
            while self._wanted:
                item = await anext(iterator)
                self._wanted -= 1
                self._supply([item])
                self._driver.pump()
        except StopAsyncIteration:
            self._end_source(None)
        except asyncio.CancelledError:
            if not self.is_closed:
                self._end_source(asyncio.CancelledError())
            raise
        except BaseException as error:
            self._end_source(error)
        self._driver.pump()
        self._wake()

    def _end_source(self, error: BaseException | None) -> None:
        self._source_ended = True
        self._source_error = error
        if self._number is not None and not self.is_closed:
            self._driver.schedule.end_feed(self._number)

    def _supply(self, items: list[Any]) -> None:
        if self.is_closed or self._number is None:
            return
        numbers = []
        for item in items:
            made = _Item(
                self._function, (item,), {}, self._on_item_end, self.options.timeout, index=self._read
            )
            self._read += 1
            numbers.append(self._driver.number(made))
        self._driver.schedule.supply(self._number, numbers)

    def _on_item_end(self, job: Job, ending: Ending) -> None:
        assert isinstance(job, _Item)
        if self.is_closed:
            return
        if ending is Ending.BROKEN:
            self._end = self._end or self._driver.closing_error()
            self._wake()
            return
        self.done += 1
        error = self._driver.error_of(job, ending)
        if ending is Ending.CANCELLED:
            error = asyncio.CancelledError()
        self._results[job.index] = (False, job.answer) if error is None else (True, error)
        if not self.options.ordered:
            self._order.append(job.index)
        self._wake()
        if self.options.on_progress is not None:
            self.options.on_progress(self.done, self._read if self._source_ended else self.total)

    def _on_pool_end(self) -> None:
        self._end = self._end or self._driver.closing_error()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class PoolMap:
    """The results of `pool.map()`: an async iterator.

    `async for` reads it to its end. A `break` ends the map, and so do `aclose()` and the end of
    `async with`: items that have not begun are dropped, those that run are interrupted.
    """

    def __init__(
        self, driver: Driver, function: str, items: Iterable[Any] | AsyncIterable[Any], options: MapOptions
    ) -> None:
        """Makes a map that has not begun. Users get one by `pool.map()`.

        Args:
            driver: The pool.
            function: The name of the export.
            items: The items.
            options: How the map runs.
        """
        self._feed = _Feed(driver, function, items, options)
        self._loop = asyncio.get_running_loop()

    @property
    def done(self) -> int:
        """The number of items that have ended."""
        return self._feed.done

    @property
    def total(self) -> int | None:
        """The number of all items; None while it is not known."""
        return self._feed.total

    def __aiter__(self) -> PoolMap:
        return self

    async def __anext__(self) -> Any:
        feed = self._feed
        # Results often come many at a time: those that are there need no further coroutine.
        index = feed.next_index()
        return await feed.next() if index is None else feed.give(index)

    async def aclose(self) -> None:
        """Ends the map."""
        self._feed.close()

    async def __aenter__(self) -> PoolMap:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._feed.close()

    def __del__(self) -> None:
        feed = self._feed
        if not feed.is_closed and not self._loop.is_closed():
            # A finalizer may run anywhere, also in another thread.
            self._loop.call_soon_threadsafe(feed.close)
