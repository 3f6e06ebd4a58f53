"""Interrupts cancelled calls until the other side has answered: whatever computes there says nothing.

It goes on when the caller has given up and gone on itself. A worker that could not be interrupted yet,
because it was busy with one long call into C, with something besides its calls, or not given a processor, may
begin to compute what nobody wants any more, and would keep every other call waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from workerlib._rpc.timers import Timer, call_later

# After how many seconds, and how often from then on, what can be interrupted is.
_PATIENCE = 0.02
# After so many times the pauses double, up to so many seconds.
_TIMES = 25
_LONGEST_PAUSE = 1.0


class Insistence:
    """The interrupts of one connection."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        interrupt: Callable[[int, int], None],
        is_in_flight: Callable[[int], bool],
    ) -> None:
        """Makes one.

        Args:
            loop: The event loop.
            interrupt: Interrupts a call that has been cancelled so many times, if its code is running.
            is_in_flight: Tells whether a call has no answer yet.
        """
        self._loop = loop
        self._interrupt = interrupt
        self._is_in_flight = is_in_flight
        self._timers: dict[int, Timer] = {}

    def begin(self, call: int, cancels: int) -> None:
        """Begins to interrupt a call, which has been cancelled for the first time, or once more."""
        self.end(call)
        self._wait(call, _PATIENCE, partial(self._insist, call, cancels, 1, _PATIENCE))

    def end(self, call: int) -> None:
        """Interrupts a call no more: its function knows."""
        if timer := self._timers.pop(call, None):
            timer.cancel()

    def end_all(self) -> None:
        """Interrupts nothing more: the connection has ended."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _wait(self, call: int, seconds: float, then: Callable[[], None]) -> None:
        self._timers[call] = call_later(self._loop, seconds, then)

    def _insist(self, call: int, cancels: int, times: int, pause: float) -> None:
        del self._timers[call]
        if not self._is_in_flight(call):
            return
        self._interrupt(call, cancels)
        if times >= _TIMES:
            pause = min(pause * 2, _LONGEST_PAUSE)
        self._wait(call, pause, partial(self._insist, call, cancels, times + 1, pause))
