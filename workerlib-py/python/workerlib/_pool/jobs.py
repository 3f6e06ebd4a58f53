"""The tasks of a pool as its driver knows them: what runs, who hears of the end, and how many there were.

`_pool/driver.py` keeps them by their numbers. The schedule knows the numbers only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from workerlib._pool.steps import Ending
from workerlib._rpc.remote_functions import OnReport
from workerlib._users.line import Line


class Answer(asyncio.Future[Any]):
    """The future of a task's caller. A cancel asks the schedule, which decides when the task ends."""

    on_cancel: Callable[[], None]
    """Cancels the task."""

    def cancel(self, msg: Any | None = None) -> bool:
        """Asks for the end of the task; it ends when its worker has heard of it."""
        if self.done():
            return False
        self.on_cancel()
        return True

    def end_cancelled(self) -> None:
        """Raises CancelledError in the caller."""
        super().cancel()


OnEnd = Callable[["Job", Ending], None]
"""Hears of the end of a task."""


@dataclass(slots=True)
class Job:
    """A task: the function, its arguments, and who hears of its end."""

    function: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    on_end: OnEnd
    timeout: float | None = None
    is_error: bool = False
    answer: Any = None
    """The result or the exception, once it is there."""
    on_begin: Callable[[], object] | None = None
    """Is called when the task is given to a worker, the first time."""
    on_report: OnReport | None = None
    """Is called with what the function reports while it runs."""
    title: str = ""
    """The function's name for messages, if it is not an export."""
    fate: str = ""
    """The death of the worker that ran it last, as text."""
    cause: BaseException | None = None
    """The error by which that worker ended, where one is known."""
    line: Line | None = None
    """The line of the user's that has asked for it, for warnings."""


class Items(Protocol):
    """A source of tasks as the driver knows it: items for each of which a function runs."""

    function: str
    """The function's name."""
    line: Line | None
    """The line of the user's that has asked for it, for warnings."""

    def read(self, most: int) -> None:
        """Reads so many further items, or fewer, and gives them to the schedule."""

    def values(self, numbers: range) -> list[Any] | None:
        """Returns items by their numbers; None if one of them has settled."""

    def hold(self, first: int, answers: list[Any]) -> None:
        """Keeps the results of consecutive items until the schedule settles them."""

    def job(self, number: int) -> Job | None:
        """Makes a task of an item to which something has happened; None if it has settled.

        Until the item settles, that task has the outcome.
        """

    def settle(self, numbers: range, ending: Ending) -> None:
        """Hears of the end of items."""


@dataclass(slots=True)
class Stats:
    """The numbers of a pool's work, at one moment."""

    size: int
    """The number of workers that the pool should have."""
    idle: int = 0
    """Workers that wait for a task."""
    busy: int = 0
    """Workers that run a task."""
    starting: int = 0
    """Workers that are being started, or wait for their restart."""
    parked: int = 0
    """Workers that died too often, and are not started again."""
    waiting: int = 0
    """Tasks that wait for a worker."""
    done: int = 0
    """Tasks that returned or raised."""
    lost: int = 0
    """Tasks that ended without an answer: their worker died, their time was up, or they were cancelled."""
    restarts: int = 0
    """Workers that were started in place of another."""
