"""A call of the other side that is being served here: how far it has come, and which cancels it knows of.

A cancel may be told to a function twice, by a message and by an interrupt that overtakes the message. They
are counted, so that a function hears of each once, and cleans up undisturbed. It decides nothing about the
state of the call, which is the session's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workerlib._rpc.trace_context import TraceContext


class Served:
    """A call that is being served."""

    # Most calls never change these fields, so they stand in the class: to set them would take as long as the
    # rest.
    name: str = ""
    """The exported name, of a call that is served without a task."""
    task: asyncio.Task[None] | None = None
    """Serves it; None for a sync function that is served in the event of its message."""
    has_begun: bool = False
    """Whether that task has had its first step."""
    is_computing: bool = False
    """Whether a step of the user's code has begun and not ended, though it may be suspended by `run_sync`."""
    is_cancelled: bool = False
    """Whether it was cancelled before it began."""
    cancels_heard: int = 0
    """The number of messages that said that it is cancelled."""
    cancels_told: int = 0
    """Of how many cancels the function knows."""
    is_answer_due: bool = False
    """Whether the other side has not been told yet that the function knows of its last message."""
    interrupt: KeyboardInterrupt | None = None
    """The exception that was raised in the function to interrupt it."""
    has_ended: bool = False
    """Whether it has been answered."""
    reporter: Any = None
    """Sends what it reports, from the first report on: a `Reporter` (`_rpc/reports.py`)."""
    waits: Sequence[asyncio.Future[Any]] = ()
    """The futures that its suspended code waits for; the last one must be done first."""
    is_blocking: bool = False
    """Whether the other side starts no call before it has the answer."""
    failure: BaseException | None = None
    """An error of a callback that nobody has taken, which is the outcome of the call."""
    brought: list[Any] | None = None
    """The callbacks among its arguments, each a `Held`."""
    replies: dict[int, Any] | None = None
    """The states of the answers of these callbacks that are not there yet, once there are callbacks."""

    trace: TraceContext | None = None
    """The span in which its code runs, on a connection that traces; before it runs, its caller's."""

    def __init__(self, call: int, connection: Any = None) -> None:
        """Makes one for the call of that id.

        Args:
            call: The call's id.
            connection: The connection that serves it.
        """
        self.call = call
        self.connection = connection

    def forget_task(self) -> None:
        """Notes that it has been answered, and lets go of its task.

        The task's context has this call, so both would live until the collector runs.
        """
        self.has_ended = True
        self.task = None

    def hear_cancel(self) -> None:
        """Notes a message that cancels it."""
        self.cancels_heard += 1
        self.is_answer_due = True

    def fail(self, error: BaseException) -> None:
        """Ends the function with an error of one of its callbacks, as a cancel does."""
        if self.failure is None:
            self.failure = error
            self.cancel()

    def tell(self) -> None:
        """Tells the function of the messages that were heard, unless it has been interrupted for them."""
        self.is_answer_due = False
        if self.cancels_heard > self.cancels_told:
            self.cancels_told = self.cancels_heard
            self.cancel()

    def cancel(self) -> None:
        """Raises CancelledError in the function, where it awaits something; or has it never begin."""
        if self.waits:
            self.waits[-1].cancel()
        elif self.task is not None and self.has_begun:
            self.task.cancel()
        else:
            # A task that is cancelled before its first step never runs, so nobody would answer the call.
            self.is_cancelled = True


current_call: ContextVar[Served | None] = ContextVar("call", default=None)
"""The call whose code runs, or has started the task that runs."""

serving_connections: list[Any] = []
"""The open connections over which this Python is called as a worker, in the order of their handshakes."""

on_serving: list[Callable[[Any], None]] = []
"""Functions that are called with each further one."""
