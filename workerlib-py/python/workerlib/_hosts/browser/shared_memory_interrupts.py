"""Interrupts over shared memory: they end what computes in a worker.

Where a page is isolated, and in Node, it shares a few bytes with each connection of its worker. The worker
publishes there which call's code is running, or has run last. The page looks whether that is the call that
it wants to interrupt; if so, it writes the call there too, and sets the flag at which Pyodide's interpreter
looks between two steps. The interpreter calls the handler of SIGINT then (`_rpc/interruptible.py`), which
compares: an interrupt that comes too late meets another call, or none, and does nothing.

Suspended code cannot be interrupted: a function that awaits is cancelled there, and a function that waits by
`run_sync` is interrupted when it goes on.
"""

from __future__ import annotations

from typing import Any

import js

from workerlib._hosts.browser.web_worker import is_node
from workerlib._rpc.interruptible import InterruptibleGuard, heed_interrupts

# Pyodide's flag is the first byte; 2 is SIGINT.
_SIZE = 12
_SIGINT = 2
# Indices of 32-bit ints: which call runs; which is to be interrupted and for how many cancels, in one.
_RUNNING, _WANTED = 1, 2
_BITS_OF_CANCELS = 6
_MOST_CANCELS = (1 << _BITS_OF_CANCELS) - 1
_TOKENS = (1 << 31 - _BITS_OF_CANCELS) - 1


def _token(call: int) -> int:
    """Makes a positive int of 25 bits of a call's id; two calls in flight never have the same in practice."""
    return call % _TOKENS + 1


class Interrupter:
    """The page's end: interrupts calls of one connection."""

    def __init__(self, buffer: Any) -> None:
        """Takes the `SharedArrayBuffer` of the worker's `MemoryGuard`."""
        # Its views are made when a call is interrupted: to connect does not wait for them.
        self._buffer = buffer

    def __call__(self, call: int, cancels: int) -> None:
        """Raises KeyboardInterrupt in the code of that call, if it is running at this moment.

        Args:
            call: The call's id.
            cancels: The number of times that it has been cancelled: it is interrupted once for each time.
        """
        token = _token(call)
        ints = js.Int32Array.new(self._buffer)
        if js.Atomics.load(ints, _RUNNING) == token:
            wanted = token << _BITS_OF_CANCELS | min(cancels, _MOST_CANCELS)
            js.Atomics.store(ints, _WANTED, wanted)
            js.Atomics.store(js.Uint8Array.new(self._buffer), 0, _SIGINT)


class MemoryGuard(InterruptibleGuard):
    """The worker's end: runs the code of calls so that the page can interrupt it."""

    _watched: MemoryGuard | None = None
    """The guard whose flag the interpreter looks at: each connection has a guard."""

    def __init__(self, buffer: Any) -> None:
        """Takes what `new_memory()` made, here or on the page."""
        super().__init__()
        self._published: int | None = None
        self._flag = js.Uint8Array.new(buffer)
        self._ints = js.Int32Array.new(buffer)
        heed_interrupts()

    def _publish(self, call: int | None) -> None:
        is_watched = MemoryGuard._watched is self
        # A write takes as long as all else that runs the code of a call. The steps of one call follow each
        # other, and an interrupt between two calls does nothing.
        if call is None or (call == self._published and is_watched):
            return
        if not is_watched:
            from pyodide_js import setInterruptBuffer

            setInterruptBuffer(self._flag)
            MemoryGuard._watched = self
        # Not by Atomics, which costs more than all the rest: if the page sees it late, it interrupts late.
        self._ints[_RUNNING] = _token(call)
        self._published = call

    def _wanted(self, call: int) -> int:
        wanted: int = js.Atomics.load(self._ints, _WANTED)
        return wanted & _MOST_CANCELS if wanted >> _BITS_OF_CANCELS == _token(call) else 0


def can_share() -> bool:
    """Tells whether this Python can share memory with its worker, or its page."""
    return hasattr(js, "SharedArrayBuffer") and (is_node() or bool(getattr(js, "crossOriginIsolated", False)))


def new_memory() -> Any:
    """Makes the `SharedArrayBuffer` of one connection; None where memory cannot be shared."""
    return js.SharedArrayBuffer.new(_SIZE) if can_share() else None
