"""Provides `Pace`: how often reports and output may be sent, which come as often as they like.

It is a token bucket (https://en.wikipedia.org/wiki/Token_bucket): some may go at once, then so many a second.
It counts, and sends nothing.
"""

from __future__ import annotations

from time import monotonic_ns

_SECOND = 1_000_000_000

AT_ONCE = 64
PER_SECOND = 125


class Pace:
    """The tokens of one sender."""

    __slots__ = ("_full", "_interval", "_next", "asked")

    def __init__(self, at_once: int = AT_ONCE, per_second: float = PER_SECOND) -> None:
        """Makes a full bucket.

        Args:
            at_once: The number of reports that may be sent without a pause.
            per_second: The number of reports that may be sent in each second from then on.
        """
        # All times are whole nanoseconds: a clock may stand still while all tokens are taken (Firefox rounds
        # to a millisecond), and sums of fractions would pass it.
        self._interval = round(_SECOND / per_second)
        # The bucket is kept as the moment when it was, or will be, empty but for one token.
        self._full = (at_once - 1) * self._interval
        self._next = -self._full
        self.asked = 0
        """The nanosecond, by the monotonic clock, when it was asked last."""

    def may_send(self) -> bool:
        """Takes a token, if there is one."""
        now = self.asked = monotonic_ns()
        if self._next > now:
            return False
        self._next = max(self._next, now - self._full) + self._interval
        return True

    def seconds_left(self) -> float:
        """Tells in how many seconds there is a token."""
        return max(0, self._next - monotonic_ns()) / _SECOND
