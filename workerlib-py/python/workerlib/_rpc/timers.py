"""Timers that leave nothing in the event loop when they are cancelled.

Each module that cancels timers before they are due sets them here. Pyodide's event loop keeps a cancelled
timer until it would have been due: calls with a timeout of a minute would keep the objects of a minute. The
timers of a loop wait here in one list instead, and the loop itself has one timer, for the earliest of them.
That timer is never cancelled. When it runs, it starts the timers that are due, and sets itself anew.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from operator import itemgetter
from types import TracebackType
from weakref import WeakKeyDictionary

# Browsers count in milliseconds: a loop that is asked for less may run the timer early, again and again.
_SHORTEST = 0.001
# Browsers run a timer at once that is further away than 24 days.
_LONGEST = 86_400.0


class Timer:
    """A function that is called at a certain time, unless the timer is cancelled."""

    __slots__ = ("_callback", "_context", "_number", "_queue", "when")

    def __init__(self, queue: _Queue, when: float, callback: Callable[[], object]) -> None:
        """Sets the timer; `call_at()` does."""
        self.when = when
        """The time of the event loop at which it is due."""
        self._callback: Callable[[], object] | None = callback
        self._context: Context | None = copy_context()
        self._queue = queue
        # Not the entry itself, which refers to this timer: both would wait for the garbage collector.
        self._number = queue.add(self)

    def cancel(self) -> None:
        """Keeps the function from being called, and forgets it."""
        if self._callback is not None:
            self._callback = self._context = None
            self._queue.remove(self.when, self._number)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has the loop call the function next: the timer is due."""
        loop.call_soon(self._run, context=self._context)

    def _run(self) -> None:
        callback, self._callback, self._context = self._callback, None, None
        if callback is not None:
            callback()


_Entry = tuple[float, int, Timer]


class _Queue:
    """The timers of one event loop, the earliest first."""

    __slots__ = ("__weakref__", "_entries", "_number", "_wakes")

    def __init__(self) -> None:
        """Starts without timers."""
        self._entries: list[_Entry] = []
        self._number = 0
        self._wakes: list[float] = []
        """When the loop's own timers are due: each is earlier than all that were set before it."""

    def add(self, timer: Timer) -> int:
        """Takes in a timer, and returns its number."""
        self._number += 1
        # Numbers differ, so no timer is compared.
        insort(self._entries, (timer.when, self._number, timer))
        return self._number

    def remove(self, when: float, number: int) -> None:
        """Forgets a timer; nothing happens if it has been due."""
        place = bisect_left(self._entries, (when, number), key=itemgetter(0, 1))
        if place < len(self._entries) and self._entries[place][1] == number:
            del self._entries[place]

    def arm(self, loop: asyncio.AbstractEventLoop) -> None:
        """Has the loop look at the timers when the earliest is due, or earlier."""
        if not self._entries or (when := self._entries[0][0]) == math.inf:
            return
        now = loop.time()
        at = now + min(max(when - now, _SHORTEST), _LONGEST)
        if not self._wakes or at < self._wakes[-1]:
            self._wakes.append(at)
            # The context of whoever has set the first timer is none of the others' business.
            loop.call_later(at - now, self._wake, loop, at, context=Context())

    def _wake(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._wakes.remove(at)
        due = bisect_right(self._entries, loop.time(), key=itemgetter(0))
        timers = [timer for _, _, timer in self._entries[:due]]
        del self._entries[:due]
        for timer in timers:
            timer.start(loop)
        self.arm(loop)


_queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()


def call_at(
    loop: asyncio.AbstractEventLoop, when: float, callback: Callable[..., object], *args: object
) -> Timer:
    """Has a function called at a time of an event loop, in the current context.

    Args:
        loop: The loop, in whose thread this is.
        when: The time; if it is past, the function is called soon. Infinity is never.
        callback: The function.
        args: Its arguments.
    """
    queue = _queues.get(loop)
    if queue is None:
        queue = _queues[loop] = _Queue()
    timer = Timer(queue, when, partial(callback, *args) if args else callback)
    queue.arm(loop)
    return timer


def call_later(
    loop: asyncio.AbstractEventLoop, seconds: float, callback: Callable[..., object], *args: object
) -> Timer:
    """Has a function called after so many seconds: see `call_at()`."""
    return call_at(loop, loop.time() + seconds, callback, *args)


async def sleep(seconds: float) -> None:
    """Waits for so many seconds, like `asyncio.sleep()`."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def end() -> None:
        if not future.done():
            future.set_result(None)

    timer = call_later(loop, seconds, end)
    try:
        await future
    finally:
        timer.cancel()


class TimeLimit:
    """Ends a block of code by a TimeoutError if it takes too long, as `asyncio.timeout()` does.

    It is used by `async with`.
    """

    def __init__(self, seconds: float | None) -> None:
        """Sets the limit.

        Args:
            seconds: The time in seconds that the block may take; None for any time.
        """
        self._seconds = seconds
        self._timer: Timer | None = None
        self._since = 0.0
        # It has no timer of its own: it is told when the time is up.
        self._timeout = asyncio.timeout(None)

    async def __aenter__(self) -> TimeLimit:
        await self._timeout.__aenter__()
        self.begin_anew()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        # It raises the TimeoutError itself.
        await self._timeout.__aexit__(kind, error, traceback)

    def begin_anew(self) -> None:
        """Counts the time from now, unless it is up already."""
        if self._seconds is None or self._timeout.expired():
            return
        loop = asyncio.get_running_loop()
        self._since = loop.time()
        if self._seconds <= 0:
            # A block that soon gets what it waits for would be done before a timer is, and before an end
            # that each step puts off.
            if self._timeout.when() is None:
                self._timeout.reschedule(self._since)
            return
        # A timer that is set stays: it looks at the time when it is due.
        if self._timer is None:
            self._timer = call_later(loop, self._seconds, self._look)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._seconds is not None
        due = self._since + self._seconds
        if due > loop.time():
            self._timer = call_at(loop, due, self._look)
        else:
            self._timeout.reschedule(loop.time())
