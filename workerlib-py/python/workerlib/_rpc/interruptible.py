"""Runs the code of calls in such a way that the other side can interrupt it.

Hosts derive their guards from it: in a browser the interrupt comes by shared memory
(`_hosts/browser/shared_memory_interrupts.py`), elsewhere by a signal
(`_hosts/subprocess/signal_interrupts.py`). Both end in Python's SIGINT, whose handler stands here. The
handler looks at the code that it has stopped, and raises KeyboardInterrupt only in the code of the
interrupted call. It raises nothing in another call, in the worker's other work, or in workerlib's own code
that the user's function is using. The other side repeats the interrupt until there is an answer, so an
interrupt that stops other code is late and not lost.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from workerlib._rpc.incoming_call import Served

# A connection that is stopped in the middle of something would not go on. These are its modules, whose
# functions change what all calls share. Modules that run the user's code, as `progress()` does, are not among
# them.
_UNTOUCHABLE = frozenset(
    f"workerlib._rpc.{name}"
    for name in (
        *(
            "connection",
            "calls_in_steps",
            "serving",
            "guarded_steps",
            "references",
            "invocations",
            "output",
            "wakeup",
        ),
        *("streams", "streams_consumed", "streams_produced", "calls_or_streams"),
    )
)

STEPPING: set[CodeType] = set()
"""The code of functions in those modules that call the user's code, such as the steps of generators. An
interrupt passes through them to that code, and does not stop the function itself."""


class Guard:
    """Runs the code of calls, which nobody can interrupt."""

    def run(self, served: Served, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Calls a function of the user's."""
        served.is_computing = True
        try:
            return function(*args, **kwargs)
        finally:
            served.is_computing = False


class InterruptibleGuard(Guard):
    """Runs the code of calls so that the other side can interrupt it; its subclasses know how it says so."""

    def __init__(self) -> None:
        """Makes one for a connection."""
        self._computing: list[Served] = []

    def run(self, served: Served, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Calls a function of the user's, which may raise KeyboardInterrupt at any place then."""
        served.is_computing = True
        self._computing.append(served)
        self._publish(served.call)
        try:
            return _call(self, served, function, args, kwargs)
        finally:
            # Others may have begun, and not ended, while this one was suspended by `run_sync`.
            self._computing.remove(served)
            self._publish(self._computing[-1].call if self._computing else None)
            served.is_computing = False

    def _publish(self, call: int | None) -> None:
        """Tells the other side which call's code is running, as far as is known."""

    def _wanted(self, call: int) -> int:
        """Tells how many cancels of a call the other side interrupts for; 0 if it means another call."""
        return 0

    def interrupt_now(self, served: Served) -> None:
        """Raises KeyboardInterrupt if the other side interrupts a call for a cancel that is news to it."""
        wanted = self._wanted(served.call)
        if wanted > served.cancels_told:
            served.cancels_told = wanted
            served.interrupt = KeyboardInterrupt()
            raise served.interrupt


def _call(
    guard: InterruptibleGuard, served: Served, function: Callable[..., Any], args: Any, kwargs: Any
) -> Any:
    """Does nothing but call: where this is on the stack, the guard's `run` catches what is raised."""
    return function(*args, **kwargs)


def _interrupted(frame: FrameType | None) -> FrameType | None:
    """Finds the frame of `_call` below what runs; None if what runs must not be interrupted."""
    innermost = frame
    while frame is not None and frame.f_code is not _call.__code__:
        lets_through = frame is not innermost and frame.f_code in STEPPING
        if frame.f_globals.get("__name__") in _UNTOUCHABLE and not lets_through:
            return None
        frame = frame.f_back
    return frame


def _on_signal(_signal: int, frame: FrameType | None) -> None:
    if (call := _interrupted(frame)) is not None:
        call.f_locals["guard"].interrupt_now(call.f_locals["served"])


def heed_interrupts() -> None:
    """Takes over SIGINT, in the main thread.

    Python catches an exception in a destructor or the like, and only writes a line on the console. An
    interrupt that meets such a place counts as if it had not come.
    """
    signal.signal(signal.SIGINT, _on_signal)
    tell = sys.unraisablehook
    if getattr(tell, "__module__", None) == __name__:
        return

    def take_back(unraisable: sys.UnraisableHookArgs) -> None:
        call = _interrupted(sys._getframe())
        served: Served | None = None if call is None else call.f_locals["served"]
        if served is not None and served.interrupt is unraisable.exc_value is not None:
            served.cancels_told -= 1
            served.interrupt = None
        else:
            tell(unraisable)

    sys.unraisablehook = take_back
