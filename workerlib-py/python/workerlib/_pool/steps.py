"""The words between a pool's schedule and its driver: the steps, how tasks end, and the numbers of items.

`_pool/schedule.py` returns the steps, and `_pool/driver.py` carries them out. Nothing is decided here.
"""

from __future__ import annotations

import math
from enum import Enum
from typing import NamedTuple

_SHIFT = 40


def items_of(feed: int, first: int, count: int) -> range:
    """Returns the numbers of items of a feed: consecutive ones, which no task of another kind has.

    Args:
        feed: The feed's number, from 1 on.
        first: The number of items that come before these.
        count: The number of items.
    """
    start = (feed << _SHIFT) + first
    return range(start, start + count)


def feed_of(task: int) -> int:
    """Returns the number of the feed of which a task is an item; 0 for a task that was submitted alone."""
    return task >> _SHIFT


class Ending(Enum):
    """The ways in which a task settles."""

    ANSWERED = "answered"
    """The function returned or raised: the driver has the answer."""
    DIED = "died"
    """Its worker died while it ran."""
    LOST = "lost"
    """Its worker died while it ran, or after it had ended, and before its outcome was sent."""
    POISONED = "poisoned"
    """As many workers as may die of a task died while it ran: it is not tried again."""
    TIMED_OUT = "timed out"
    """It ran for longer than it may."""
    CANCELLED = "cancelled"
    """Its caller cancelled it."""
    DISTURBED = "disturbed"
    """It began in the moment in which the task before it was interrupted, and was interrupted instead."""
    GONE = "gone"
    """It was for one worker, which died before the task began."""
    BROKEN = "broken"
    """The pool has no worker left."""


class Start(NamedTuple):
    """Start a worker."""

    slot: int
    incarnation: int


class Run(NamedTuple):
    """Have a worker run tasks, one after the other; runs end in their order."""

    slot: int
    incarnation: int
    tasks: range
    is_chunk: bool = False
    """Whether they are items of a feed, which may travel in one call."""
    together: int = 1
    """Of how many items the outcomes may travel in one message."""
    patience: float = math.inf
    """After how many seconds the worker gives back the items that have not begun."""
    follows: bool = False
    """Whether they begin when the worker has ended those that it runs, and only if it has ended them all."""


class Interrupt(NamedTuple):
    """Interrupt what a worker runs, and say by `handle_ended` when it is idle."""

    slot: int
    incarnation: int


class Terminate(NamedTuple):
    """Terminate a worker, and say by `handle_died` when it is gone."""

    slot: int
    incarnation: int


class Settle(NamedTuple):
    """Tell the caller of tasks how they ended."""

    tasks: range
    ending: Ending


class Read(NamedTuple):
    """Read further items of a feed, and give them by `supply`: `most` of them, or fewer."""

    feed: int
    most: int


class Break(NamedTuple):
    """Tell everybody that no worker is left."""


Step = Start | Run | Interrupt | Terminate | Settle | Read | Break
