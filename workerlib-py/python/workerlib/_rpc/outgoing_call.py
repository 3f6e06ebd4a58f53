"""The future that a call waits for, and how it ends when it is cancelled or runs out of time.

It is a future, but like a task that is awaited: `cancel()` only asks, and what comes of it is the outcome.
It decides nothing about the state of the call, which is the session's.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
from collections.abc import Callable
from functools import partial
from typing import Any

from workerlib._errors import ConnectionClosedError, WorkerDiedError
from workerlib._rpc.incoming_call import Served
from workerlib._rpc.timers import Timer, call_later

Outcome = tuple[bool, list[Any]]
"""Whether the call returned, and its result or its exception in a list, out of which it is taken.

The future would keep it alive otherwise until the loop's next turn, and with it memory, or a depth that its
user is about to dismantle. An exception is not an exception of the future's: asyncio would complain of it if
nobody were left to take it.
"""


def errors_of_end(has_died: bool, cause: BaseException | None) -> Callable[[str], ConnectionClosedError]:
    """Returns the function that makes the errors of a connection's end of their texts.

    Args:
        has_died: Whether the connection has ended because the other side is gone.
        cause: The error by which the other side ended, where one is known: the `__cause__` of each error.
    """

    def make(text: str) -> ConnectionClosedError:
        error = WorkerDiedError(text) if has_died else ConnectionClosedError(text)
        error.__cause__ = cause
        return error

    return make


class Driver:
    """Tells whether sync code steps through a coroutine, and sleeps until what that awaits is answered."""

    is_on = False


driver = Driver()
"""The driver of this Python, which `wait()` turns on (`_rpc/waiting.py`)."""


class Pending(asyncio.Future[Outcome | None]):
    """A call of this side that has not settled; its outcome is None if its turn to be sent has come."""

    # Each call sets these. The dict of a future, which is made for the first entry, would take a microsecond.
    __slots__ = ("call", "connection", "name")

    call: int
    """The call's id."""
    name: str
    """The name of the function, for messages."""
    timeout: float | None = None
    """The time in seconds that it may run."""
    inbox: Any = None
    """The `Inbox` of the stream that it returns, if it asks for one and has no answer."""
    connection: Any
    """The connection that makes the call."""
    parent: Served | None = None
    """The call of the other side on whose behalf it is made."""
    on_report: Callable[..., object] | None = None
    """Is called with what the function reports."""
    has_failed_report = False
    """Whether that has raised an exception, which ends the call."""
    is_cancelled = False
    """Whether its caller has cancelled it."""
    cancels = 0
    """The number of messages that have asked the other side to end it."""
    timers: dict[str, tuple[Timer, Callable[[], None]]] | None = None
    """Its timers by name, and what they do; None until there is one: most calls settle before that."""
    callback_errors: dict[int, BaseException] | None = None
    """The errors of its callbacks, by invocation, of which the function may not have heard."""
    _is_out_of_time = False
    _message: Any = None

    def on_cancel(self, call: int, pending: Pending) -> None:
        """Asks for the end of the call; a step of a stream has a way of its own in this place."""
        self.connection._cancel(call, pending)

    def cancel(self, msg: Any | None = None) -> bool:
        """Asks for the end of the call, which may come later, and otherwise than by a CancelledError."""
        if self.done():
            return False
        self._message = msg
        self.is_cancelled = True
        self.on_cancel(self.call, self)
        return True

    def has_started(self) -> None:
        """Notes that the function runs: its time counts from now."""
        if self.timeout is not None:
            self._set_timer("run", self.timeout, self._run_out_of_time)

    def give_grace(self, seconds: float) -> None:
        """Ends the call as cancelled after that time, unless the grace is extended."""
        self._set_timer("grace", seconds, self.end_cancelled)

    def extend_grace(self) -> None:
        """Lets the function clean up for as long as it takes."""
        self._stop_timer("grace")

    def end_cancelled(self) -> None:
        """Raises in the caller what it is to see of a call that was cancelled."""
        if self.done():
            return
        if self._is_out_of_time and not self.is_cancelled:
            text = f"{self.name}() was still running after {self.timeout} seconds"
            self.set_result((False, [TimeoutError(text)]))
        else:
            super().cancel(self._message)

    @property
    def is_ending(self) -> bool:
        """Whether its end has been asked for."""
        return self.is_cancelled or self._is_out_of_time

    def seconds_left(self) -> float:
        """Tells after how many seconds the next timer is due, for a thread in which the event loop stands."""
        now = self.get_loop().time()
        due = (timer.when - now for timer, _ in (self.timers or {}).values())
        return max(0.0, min(due, default=math.inf))

    def run_due_timers(self) -> None:
        """Does what the event loop would do if it did not stand."""
        now = self.get_loop().time()
        for name, (timer, then) in list((self.timers or {}).items()):
            if timer.when <= now:
                self._stop_timer(name)
                then()

    def forget_timers(self) -> None:
        """Stops all timers: the call has settled."""
        for name in list(self.timers or ()):
            self._stop_timer(name)

    def _run_out_of_time(self) -> None:
        if not self.done() and not self.is_ending:
            self._is_out_of_time = True
            self.on_cancel(self.call, self)

    def _set_timer(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer(name)
        if self.timers is None:
            self.timers = {}
        self.timers[name] = call_later(self.get_loop(), seconds, then), then

    def _stop_timer(self, name: str) -> None:
        if self.timers is not None and (timer := self.timers.pop(name, None)):
            timer[0].cancel()


def in_this_context(function: Callable[..., object]) -> Callable[..., object]:
    """Has a function run in copies of the current context, which may be running already."""
    return partial(_run_in, contextvars.copy_context(), function)


def _run_in(context: contextvars.Context, function: Callable[..., object], *args: Any) -> object:
    return context.copy().run(function, *args)
