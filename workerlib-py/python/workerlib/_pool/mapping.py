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
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from workerlib._pool.driver import Driver
from workerlib._pool.jobs import Job
from workerlib._pool.steps import Ending, feed_of, items_of
from workerlib._rpc.reports import length_of
from workerlib._users.line import users_line
from workerlib._values.streams import IteratedOnly

Errors = Literal["raise", "yield"]
OnProgress = Callable[[int, int | None], object]
"""Is called with the number of items that have ended, and the number of all if it is known."""


_TAKEN = 32
"""After how many results at the latest the pool hears that they have been taken."""


class _Error:
    """An exception that comes in the place of a result."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


@dataclass(frozen=True)
class MapOptions:
    """The options of a map: the keyword arguments of `pool.map()`."""

    ordered: bool
    errors: Errors
    ahead: int
    chunk: int | None
    timeout: float | None
    retries: int
    on_progress: OnProgress | None


class _Feed:
    """A map as the pool knows it: an `Items` of `_pool/jobs.py`.

    An item is known by its number in the pool. Most items return, and many of them at a time: these cost no
    object of their own. An item to which something else happens has a `Job`.
    """

    def __init__(
        self, driver: Driver, function: str, items: Iterable[Any] | AsyncIterable[Any], options: MapOptions
    ) -> None:
        self.function = function
        self.line = users_line()
        self.options = options
        self.total = None if isinstance(items, AsyncIterable) else length_of(items)
        self.done = 0
        self.ready: deque[Any] = deque()
        """The results that can be given, in their order; an `_Error` for each that is none."""
        self._driver = driver
        self._items = items
        self._iterator: Iterator[Any] | AsyncIterator[Any] | None = None
        self._number: int | None = None
        self._wanted = 0
        self._reading: asyncio.Task[None] | None = None
        self._read = 0
        self._source_ended = False
        self._source_error: BaseException | None = None
        self._values: dict[int, Any] = {}
        """The items that have not settled, by number."""
        self._held: dict[int, Any] = {}
        """The results of items that are about to settle."""
        self._jobs: dict[int, Job] = {}
        self._next = 0
        """The item behind those whose results are ready, if they are given in order."""
        self._later: dict[int, list[Any]] = {}
        """The results that come later, by the item with which they begin."""
        self._taken = 0
        """The number of results that have been given and of which the pool has not heard."""
        self._given = 0
        self._waiters: list[asyncio.Future[None]] = []
        """Steps that wait for a result; several, if several tasks share the map."""
        self._end: BaseException | None = None
        self._end_nested: Callable[..., None] | None = None
        self.is_closed = False

    def begin(self) -> None:
        """Has the pool read the first items."""
        driver, options = self._driver, self.options
        driver.check_open()
        items = self._items
        # First of all: a map that cannot begin keeps no task waiting.
        self._iterator = aiter(items) if isinstance(items, AsyncIterable) else iter(items)
        self._end_nested = driver.begin_nested(f"pool.map({self.function}, …)")
        self._number = driver.open_feed(
            self,
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
            if self.ready:
                return self.give()
            if self._end is not None:
                end = self._end
                self.close()
                raise _as_error(end)
            if self.is_closed or (self._source_ended and self._given == self._read):
                error, self._source_error = self._source_error, None
                self.close()
                if error is not None:
                    raise _as_error(error)
                raise StopAsyncIteration
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def close(self) -> None:
        """Ends the map: items that wait are dropped, items that run are interrupted."""
        if self.is_closed:
            return
        self.is_closed = True
        if self._end_nested is not None:
            self._end_nested()
        if self._reading is not None:
            self._reading.cancel()
        if self._number is not None:
            self._driver.on_end.remove(self._on_pool_end)
            self._driver.close_feed(self._number)
        for kept in (self.ready, self._values, self._held, self._jobs, self._later):
            kept.clear()
        self._wake()

    def give(self) -> Any:
        """Returns the next of the results that are ready, or raises what came instead of it."""
        result = self.ready.popleft()
        self._given += 1
        self._taken += 1
        if self._taken == _TAKEN or not self.ready:
            assert self._number is not None
            self._driver.take(self._number, self._taken)
            self._taken = 0
        if type(result) is not _Error:
            return result
        if self.options.errors == "raise":
            self.close()
            raise result.error
        return result.error

    def read(self, most: int) -> None:
        """Reads items: `Items.read`."""
        self._wanted += most
        if isinstance(self._iterator, AsyncIterator):
            if self._reading is None or self._reading.done():
                self._reading = asyncio.ensure_future(self._read_async(self._iterator))
            return
        assert self._iterator is not None
        items: list[Any] = []
        try:
            # The list has the items before an exception, too.
            items.extend(islice(self._iterator, self._wanted))
        except BaseException as error:
            self._end_source(error)
        else:
            if len(items) < self._wanted:
                self._end_source(None)
        self._wanted = 0
        self._supply(items)
        if self._source_ended:
            # All results may have been given already: then a step waits for nothing but this.
            self._wake()

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
        numbers = items_of(self._number, self._read, len(items))
        self._read += len(items)
        self._values.update(zip(numbers, items, strict=True))
        self._driver.schedule.supply(self._number, numbers)

    def values(self, numbers: range) -> list[Any] | None:
        """Returns items: `Items.values`."""
        values = self._values
        return None if self.is_closed else [values[number] for number in numbers]

    def hold(self, first: int, answers: list[Any]) -> None:
        """Keeps results: `Items.hold`."""
        if not self.is_closed:
            self._held.update(zip(range(first, first + len(answers)), answers, strict=True))

    def job(self, number: int) -> Job | None:
        """Makes a task of an item: `Items.job`."""
        job = self._jobs.get(number)
        if job is None and number in self._values:
            job = Job(
                self.function, (self._values[number],), {}, _ignore, self.options.timeout, line=self.line
            )
            self._jobs[number] = job
        return job

    def settle(self, numbers: range, ending: Ending) -> None:
        """Hears of the end of items: `Items.settle`."""
        if self.is_closed:
            return
        if ending is Ending.BROKEN:
            self._end = self._end or self._driver.closing_error()
            self._wake()
            return
        held = self._held
        if ending is Ending.ANSWERED and not self._jobs:
            results = [held.pop(number) for number in numbers]
        else:
            results = [self._result(number, ending) for number in numbers]
        values = self._values
        for number in numbers:
            del values[number]
        if self.options.ordered:
            self._put_in_order(numbers.start - items_of(feed_of(numbers.start), 0, 0).start, results)
        else:
            self.ready.extend(results)
        if self.ready:
            self._wake()
        if (on_progress := self.options.on_progress) is None:
            self.done += len(numbers)
            return
        for _ in numbers:
            self.done += 1
            try:
                on_progress(self.done, self._read if self._source_ended else self.total)
            except Exception as error:
                # It ends the map, and not the pool's own work, in the midst of which it was called.
                self._end = self._end or error
                self._wake()
                return

    def _result(self, number: int, ending: Ending) -> Any:
        """Returns the result of an item that settles, or the error in its place."""
        job = self._jobs.pop(number, None)
        if ending is Ending.ANSWERED:
            if number in self._held:
                return self._held.pop(number)
            assert job is not None
            return _Error(job.answer) if job.is_error else job.answer
        if ending is Ending.CANCELLED:
            return _Error(asyncio.CancelledError())
        if job is None:
            job = Job(self.function, (), {}, _ignore, self.options.timeout)
        error = self._driver.error_of(job, ending)
        assert error is not None
        return _Error(error)

    def _put_in_order(self, index: int, results: list[Any]) -> None:
        self._later[index] = results
        while (following := self._later.pop(self._next, None)) is not None:
            self.ready.extend(following)
            self._next += len(following)

    def _on_pool_end(self) -> None:
        self._end = self._end or self._driver.closing_error()
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _as_error(error: BaseException) -> BaseException:
    """Returns the exception by which a map ends with an error of its items, or of `on_progress`.

    StopAsyncIteration would be the end of the results, as if no items followed. PEP 479 has generators raise
    a RuntimeError instead.
    """
    if not isinstance(error, StopAsyncIteration):
        return error
    end = RuntimeError("the items of pool.map(), or on_progress, raised StopAsyncIteration")
    end.__cause__ = error
    return end


def _ignore(_job: Job, _ending: Ending) -> None:
    """Hears of the end of an item's task, of which its feed hears."""


class PoolMap(IteratedOnly):
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
            options: The options of the map.
        """
        self._loop = asyncio.get_running_loop()
        self._feed = _Feed(driver, function, items, options)

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

    if not TYPE_CHECKING:
        # Type checkers refuse `await` and `for` then.
        def __await__(self) -> Any:
            raise TypeError(
                "pool.map(…) gives results one by one: write `async for result in pool.map(…)`, or"
                " `[result async for result in pool.map(…)]` for a list"
            )

        __iter__ = __await__

    async def __anext__(self) -> Any:
        feed = self._feed
        # Results often come many at a time: those that are there need no further coroutine.
        return feed.give() if feed.ready else await feed.next()

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
        # Items whose own `__len__` raises leave a map without a feed.
        feed: _Feed | None = getattr(self, "_feed", None)
        if feed is not None and not feed.is_closed and not self._loop.is_closed():
            # A finalizer may run anywhere, also in another thread.
            self._loop.call_soon_threadsafe(feed.close)
