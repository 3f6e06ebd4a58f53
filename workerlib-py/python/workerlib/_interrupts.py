"""Interrupts over shared memory: they end what computes in a worker, and never anything else.

Where a page is isolated, and in Node, it shares a few bytes with each connection of its worker. The worker
publishes there which call's code is running; the page swaps that for a mark of its own, and only if that
succeeds sets the flag that Pyodide's interpreter looks at. The worker takes its call back the same way when
the code has ended: either the page was late and finds nothing, or the worker waits for the flag that is about
to be set, and takes it away. So an interrupt never hits another call; and as the interpreter looks for the
flag only while a user's code runs, it never hits workerlib's own.

What is suspended cannot be interrupted, and is cancelled where it awaits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import js

from workerlib._guard import Guard
from workerlib._web_worker import is_node

# Pyodide's flag is the first byte; 2 is SIGINT.
_SIZE = 12
_SIGINT = 2
# Indices of 32-bit ints: which call runs (negative when the page has swapped it), for which the flag was set.
_RUNNING, _FLAGGED = 1, 2


def _token(call: int) -> int:
    """Makes a positive int of 31 bits of a call's id; two calls in flight never have the same in practice."""
    return (call & 0x3FFF_FFFF) + 1


class _Memory:
    """The bytes that page and worker share."""

    def __init__(self, buffer: Any) -> None:
        self.flag = js.Uint8Array.new(buffer)
        self._ints = js.Int32Array.new(buffer)
        self._load = js.Atomics.load
        self._store = js.Atomics.store
        self._compare_exchange = js.Atomics.compareExchange

    def load(self, index: int) -> int:
        value: int = self._load(self._ints, index)
        return value

    def store(self, index: int, value: int) -> None:
        self._store(self._ints, index, value)

    def swap(self, index: int, expected: int, value: int) -> bool:
        """Sets an int if it is what is expected; tells whether it was."""
        return bool(self._compare_exchange(self._ints, index, expected, value) == expected)

    def set_flag(self, value: int) -> None:
        self._store(self.flag, 0, value)


class Interrupter:
    """The page's end: interrupts calls of one connection."""

    def __init__(self, buffer: Any) -> None:
        """Takes the `SharedArrayBuffer` of the worker's `MemoryGuard`."""
        self._memory = _Memory(buffer)

    def __call__(self, call: int) -> None:
        """Raises KeyboardInterrupt in the code of that call, if it is running at this moment."""
        token = _token(call)
        if self._memory.swap(_RUNNING, token, -token):
            self._memory.set_flag(_SIGINT)
            self._memory.store(_FLAGGED, token)


class MemoryGuard(Guard):
    """The worker's end: runs the code of calls so that the page can interrupt it."""

    def __init__(self, buffer: Any) -> None:
        """Takes what `new_memory()` made, here or on the page."""
        from pyodide_js import setInterruptBuffer

        self._memory = _Memory(buffer)
        self._watch_flag = setInterruptBuffer
        self._running = 0
        self._interrupted: set[int] = set()

    def run(self, call: int, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Calls a function of the user's, which may raise KeyboardInterrupt at any place then."""
        self.retract()
        token = self._running = _token(call)
        self._memory.store(_RUNNING, token)
        try:
            self._watch_flag(self._memory.flag)
            return function(*args, **kwargs)
        finally:
            # Written out here: the beginning of another function is a place where it may be raised.
            while self._running == token:
                try:
                    self._take_back(token)
                except KeyboardInterrupt:
                    # It came when the user's code had ended. Once it has been raised it is gone.
                    continue

    def retract(self) -> None:
        """Makes what runs uninterruptible: as this is called, it is suspended (by `run_sync`)."""
        while self._running:
            try:
                self._take_back(self._running)
            except KeyboardInterrupt:
                continue

    def take_interrupted(self, call: int) -> bool:
        """Tells, once, whether the page has interrupted a call."""
        was_interrupted = _token(call) in self._interrupted
        self._interrupted.discard(_token(call))
        return was_interrupted

    def _take_back(self, token: int) -> None:
        """Makes a call uninterruptible; it may be interrupted itself, and is repeated then."""
        self._watch_flag(None)
        memory = self._memory
        if not memory.swap(_RUNNING, token, 0) and memory.load(_RUNNING) == -token:
            self._interrupted.add(token)
            while memory.load(_FLAGGED) != token:
                pass
            memory.set_flag(0)
            memory.store(_FLAGGED, 0)
            memory.store(_RUNNING, 0)
        # Python may have seen the flag and not have raised yet: it does when a loop turns.
        for _ in range(2):
            pass
        self._running = 0


def new_memory() -> Any:
    """Makes the `SharedArrayBuffer` of one connection; None where memory cannot be shared."""
    can_share = hasattr(js, "SharedArrayBuffer") and (
        is_node() or bool(getattr(js, "crossOriginIsolated", False))
    )
    return js.SharedArrayBuffer.new(_SIZE) if can_share else None
