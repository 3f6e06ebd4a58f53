"""Provides `report()`: a running function tells its caller something, such as how far it has come.

The caller hears of it by `options(on_report=…)`. A report is news: of reports that follow each other faster
than `Pace` allows only the newest is sent, so a loop may report as often as it likes. This module holds
reports back; the connection sends them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sized
from operator import length_hint
from typing import Any, Generic, TypeVar

from workerlib._rpc.incoming_call import Served, current_call
from workerlib._rpc.pace import Pace

_T = TypeVar("_T")

# To look at the clock takes longer than all the rest. Where reports come within so many nanoseconds, the
# clock is asked once for so many further ones.
_QUICK = 1_000_000
_FURTHER = 3


class Reporter:
    """The reports of one call."""

    def __init__(self, served: Served) -> None:
        """Makes one for a call that is being served."""
        self._served = served
        self._pace = Pace()
        self.held: tuple[Any, ...] | None = None
        """The newest report that was not sent."""
        self.further = 0
        """The number of reports that replace that one before the clock is asked again."""
        self._timer: asyncio.Handle | None = None

    def report(self, values: tuple[Any, ...]) -> None:
        """Sends a report, or keeps it in place of the one that was kept before."""
        before = self._pace.asked
        if self._pace.may_send():
            self.held, self.further = None, 0
            self._send(values)
            return
        self.held = values
        self.further = _FURTHER if self._pace.asked - before < _QUICK else 0
        if self._timer is None:
            # It runs when the function awaits or has ended: while it computes, nobody has timers.
            self._timer = asyncio.get_running_loop().call_soon(self._wait)

    def flush(self) -> None:
        """Sends what is kept, if there is something: the function ends."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.further = 0
        if self.held is not None:
            held, self.held = self.held, None
            self._send(held)

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._pace.seconds_left(), self._send_held)

    def _send_held(self) -> None:
        self._timer = None
        if self.held is not None:
            # It takes a token, as every report that is sent while the function runs.
            self.report(self.held)

    def _send(self, values: tuple[Any, ...]) -> None:
        if not self._served.has_ended:
            self._served.connection.report(self._served.call, values)


def report(*values: Any) -> None:
    """Reports something from a running function to its caller: the arguments of the caller's `on_report`.

    The page hears of it while the function runs, also while it computes. Of reports that follow each other
    quickly (64 at once, then 125 a second) only the newest is sent, and the last one always, before the
    function returns. Outside of a call, nothing happens: the function runs without a page as it does with
    one.

    Args:
        values: The arguments of the caller's `options(on_report=…)`.

    Raises:
        UnsendableError: If a value cannot be sent, or has an async adapter.
    """
    served = current_call.get()
    if served is None or served.has_ended:
        return
    reporter: Reporter | None = served.reporter
    if reporter is None:
        reporter = served.reporter = Reporter(served)
    elif reporter.further:
        reporter.further -= 1
        reporter.held = values
        return
    reporter.report(values)


def length_of(items: object) -> int | None:
    """Returns the number of items of an iterable, as far as it tells; None if it does not.

    Args:
        items: The iterable.
    """
    try:
        length = length_hint(items, -1)
    except OverflowError:
        # `len()` refuses a long range: in WebAssembly already one of 2**31 numbers.
        return (items[-1] - items[0]) // items.step + 1 if isinstance(items, range) else None
    return None if length < 0 else length


class _Progress(Generic[_T]):
    """Yields what an iterable yields, and reports how far it has come."""

    def __init__(self, iterable: Iterable[_T] | AsyncIterable[_T], total: int | None) -> None:
        self._iterable: Any = iterable
        self._total = length_of(iterable) if total is None and isinstance(iterable, Sized) else total

    def __len__(self) -> int:
        return len(self._iterable)

    def __iter__(self) -> Iterator[_T]:
        done = 0
        report(done, self._total)
        for item in self._iterable:
            yield item
            done += 1
            report(done, self._total)

    async def __aiter__(self) -> AsyncIterator[_T]:
        done = 0
        report(done, self._total)
        async for item in self._iterable:
            yield item
            done += 1
            report(done, self._total)


def progress(iterable: Iterable[_T] | AsyncIterable[_T], total: int | None = None) -> _Progress[_T]:
    """Reports the progress of a loop: `for row in workerlib.progress(rows):`.

    The caller's `options(on_report=…)` is called with two numbers: how many items are done, and how many
    there are, or None. It is called with 0 first. Quick reports are thinned as those of `report()`.

    Args:
        iterable: The items; for an `async for`, an async iterable.
        total: The number of items; by default the length of the iterable, if it has one.

    Returns:
        An iterable of the same items.
    """
    return _Progress(iterable, total)
