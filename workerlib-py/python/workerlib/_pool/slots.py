"""The tasks, the feeds and the slots of a pool's schedule (`_pool/schedule.py`). Nothing is decided here."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum

from workerlib._pool.restarts import Restarts
from workerlib._pool.steps import Ending


class State(Enum):
    """The states of a slot, which is the place of a worker and of those that replace it."""

    WAITING = "waiting"
    """It has no worker, and gets one when its time has come."""
    STARTING = "starting"
    IDLE = "idle"
    BUSY = "busy"
    CONDEMNED = "condemned"
    """Its worker is being interrupted, or terminated."""
    PARKED = "parked"
    """It has no worker, and gets none."""


@dataclass(slots=True, eq=False)
class Task:
    """A task that was submitted alone, or items of a feed to which the same has happened."""

    numbers: range
    timeout: float | None
    retries: float
    feed: Feed | None = None
    slot: int | None = None
    """The slot for whose worker it is; None for any."""
    deaths: int = 0
    where: Slot | None = None
    """The slot whose worker runs it."""
    settled_from: float = math.inf
    """The first of the numbers at the end that have settled already: they were cancelled."""

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left of it."""
        return not self.numbers or self.settled_from <= self.numbers.start

    def split_off(self, count: int) -> Task:
        """Takes out the first of its items."""
        first, self.numbers = self.numbers[:count], self.numbers[count:]
        return replace(self, numbers=first)


@dataclass(slots=True, eq=False)
class Feed:
    number: int
    ahead: int
    chunk: int | None
    timeout: float | None
    retries: float
    buffer: deque[Task] = field(default_factory=deque)
    """Items that have been read and wait, in their order."""
    size: int = 1
    """The number of items that the next chunk has."""
    each: float = math.inf
    """The time in seconds that each item of the last chunk took."""
    untaken: int = 0
    """The number of items that have been read, and not been taken."""
    requested: int = 0
    has_ended: bool = False


@dataclass(slots=True, eq=False)
class Given:
    """Tasks that a worker has been given at a time."""

    task: Task | None
    """Those of them without an outcome; the first runs, or is the next to run."""
    count: int
    """The number of all of them."""
    feed: Feed | None
    """Their feed, if they are the next chunk of one."""
    at: float
    """When they were given."""
    together: int
    """Of how many items the outcomes may travel in one message."""


@dataclass(slots=True, eq=False)
class Slot:
    number: int
    restarts: Restarts
    state: State = State.WAITING
    incarnation: int = 0
    start_at: float = 0.0
    runs: list[Given] = field(default_factory=list)
    """The tasks that its worker has been given and has not ended: the first runs, the next one follows."""
    pinned: deque[Task] = field(default_factory=deque)
    """Tasks for its worker and no other."""
    begun_at: float = 0.0
    """When the task that runs began."""
    meant: int | None = None
    """The task for which the worker is being interrupted."""
    meaning: Ending = Ending.CANCELLED
    grace_ends: float = math.inf
    is_own_kill: bool = False
    is_too_large: bool = False
    """Whether its worker is to be replaced when it is idle."""

    @property
    def current(self) -> Given | None:
        """The run whose first task is the one that runs; None if every task that was given has an outcome."""
        return next((run for run in self.runs if run.task is not None), None)
