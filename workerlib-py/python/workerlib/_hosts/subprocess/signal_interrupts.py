"""Interrupts outside of a browser: by a signal to the worker's process.

A thread hears which call is to be interrupted. If that call's code is running, it sends SIGINT to the main
thread, where Python calls the handler between two steps of whatever runs then. Unlike in a browser, what
waits in the system, such as `time.sleep`, is interrupted as well.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading

from workerlib._rpc.interruptible import InterruptibleGuard, heed_interrupts


class SignalGuard(InterruptibleGuard):
    """Runs the code of calls so that a signal can interrupt it."""

    def __init__(self) -> None:
        """Takes over SIGINT; to be made in the main thread.

        Ctrl-C in a terminal reaches every process there, and is ignored by this one.
        """
        super().__init__()
        self._running: int | None = None
        self._order: tuple[int | None, int] = (None, 0)
        heed_interrupts()

    def interrupt(self, call: int, cancels: int) -> None:
        """Raises KeyboardInterrupt in the code of a call, if it is running at this moment.

        Args:
            call: The call's id.
            cancels: The number of times that it has been cancelled: it is interrupted once for each time.
        """
        if call == self._running:
            self._send(call, cancels)

    def interrupt_all(self) -> None:
        """Raises KeyboardInterrupt in the code of whichever call is running, once in each."""
        self._send(None, sys.maxsize)

    def _send(self, call: int | None, cancels: int) -> None:
        self._order = (call, cancels)
        if sys.platform == "win32":
            _thread.interrupt_main()
        else:
            # Sent to the thread itself: that ends what it waits for in the system.
            ident = threading.main_thread().ident
            assert ident is not None
            signal.pthread_kill(ident, signal.SIGINT)

    def _publish(self, call: int | None) -> None:
        self._running = call

    def _wanted(self, call: int) -> int:
        meant, cancels = self._order
        return cancels if meant in (call, None) else 0
