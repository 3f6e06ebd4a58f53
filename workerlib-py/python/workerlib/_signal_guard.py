"""Interrupts outside of a browser: a signal ends what computes in a worker's process, and nothing else.

A thread hears which call is to be interrupted, and sends SIGINT to the main thread. Python runs the handler
there, between two steps of whatever runs: it looks whether that is the call's own code, and only then
raises KeyboardInterrupt. So neither another call is hit nor workerlib's own code; and unlike in a browser,
what waits in the system, such as `time.sleep`, is interrupted as well.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import Any

from workerlib._guard import Guard


class SignalGuard(Guard):
    """Runs the code of calls so that a signal can interrupt it."""

    def __init__(self) -> None:
        """Takes over SIGINT; to be made in the main thread.

        Ctrl-C in a terminal reaches every process there, and is ignored by this one.
        """
        self._running: int | None = None
        self._wanted: deque[int | None] = deque()
        self._interrupted: set[int] = set()
        signal.signal(signal.SIGINT, self._handle)

    def interrupt(self, call: int | None) -> None:
        """Raises KeyboardInterrupt in the code of a call, if it is running at this moment.

        Args:
            call: The call's id, or None for whichever is running.
        """
        self._wanted.append(call)
        if sys.platform == "win32":
            _thread.interrupt_main()
        else:
            # Sent to the thread itself: that ends what it waits for in the system.
            ident = threading.main_thread().ident
            assert ident is not None
            signal.pthread_kill(ident, signal.SIGINT)

    def run(self, call: int, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Calls a function of the user's, which may raise KeyboardInterrupt at any place then."""
        try:
            self._running = call
            return function(*args, **kwargs)
        finally:
            self._running = None

    def retract(self) -> None:
        """Makes what runs uninterruptible: it is suspended."""
        self._running = None

    def take_interrupted(self, call: int) -> bool:
        """Tells, once, whether a call was interrupted."""
        was_interrupted = call in self._interrupted
        self._interrupted.discard(call)
        return was_interrupted

    def _handle(self, _signal: int, _frame: FrameType | None) -> None:
        running = self._running
        is_wanted = False
        while self._wanted:
            is_wanted |= self._wanted.popleft() in (running, None)
        if running is not None and is_wanted:
            # At once: what raises here may keep `run` from doing it.
            self._running = None
            self._interrupted.add(running)
            raise KeyboardInterrupt
