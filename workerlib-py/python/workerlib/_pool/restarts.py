"""Decides when a worker that died is started again, and when it is not.

A pool has one `Restarts` for each of its workers, and so has a single worker with `restart=True`. It has no
clock: callers pass the time.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from workerlib._users.options import require_count, require_number

WINDOW = 60.0
"""For how many seconds a death counts."""


@dataclass(frozen=True)
class Policy:
    """The limits and the delays of a worker's restarts."""

    max_restarts: float = 3
    """The number of restarts within `WINDOW` seconds; infinity for any."""
    first_delay: float = 0.1
    """The number of seconds before the first restart. Each further death in the window doubles it."""
    longest_delay: float = 5.0
    """The longest delay in seconds."""


def policy(max_restarts: int | None, backoff: float | tuple[float, float] | None) -> Policy:
    """Reads the arguments `max_restarts=` and `backoff=` of `pool()`, `spawn()` and `connect()`.

    Args:
        max_restarts: The number of restarts within a minute; None for any.
        backoff: The first and the longest delay in seconds, or one number for both; None for no delay.

    Raises:
        TypeError: If one of them is not a number.
        ValueError: If a number is negative, or the longest delay is shorter than the first.
    """
    given = (0.0, 0.0) if backoff is None else backoff if isinstance(backoff, tuple) else (backoff, backoff)
    delays = [require_number("backoff", delay, "of seconds, or two: (0.1, 5)") for delay in given]
    if len(delays) != 2 or not 0 <= delays[0] <= delays[1]:
        raise ValueError(
            f"backoff={backoff!r}: write the first and the longest delay in seconds, such as (0.1, 5)"
        )
    if max_restarts is not None:
        require_count("max_restarts", max_restarts, 0)
    return Policy(math.inf if max_restarts is None else max_restarts, *delays)


class Restarts:
    """The deaths of one worker, as far as they count."""

    def __init__(self, policy: Policy) -> None:
        """Starts without a death.

        Args:
            policy: The limits of the worker's restarts.
        """
        self._policy = policy
        self._deaths: deque[float] = deque()

    def delay_after_death(self, now: float) -> float | None:
        """Notes a death.

        Args:
            now: The time in seconds.

        Returns:
            The number of seconds to wait before the restart; None if the worker stays down.
        """
        self._deaths.append(now)
        while self._deaths[0] <= now - WINDOW:
            self._deaths.popleft()
        count = len(self._deaths)
        if count > self._policy.max_restarts:
            return None
        # Without a limit the count may be large, and 2 ** count would not be a float.
        doubled = self._policy.first_delay * 2.0 ** min(count - 1, 64)
        return min(doubled, self._policy.longest_delay)
