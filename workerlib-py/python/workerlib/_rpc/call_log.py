"""Provides the log of calls: a line in the console for each call, with the worker's name and the time.

Each connection has a log of its own, which its configuration turns on by `[workerlib] log = true`; `log()`
turns the logs of all connections on or off. The log wraps each call that it tells of, and never what is
exported.
"""

from __future__ import annotations

import reprlib
import sys
import time
from collections.abc import Awaitable
from typing import Any
from weakref import WeakSet

from workerlib._exports import Function
from workerlib._values.safe_text import class_name, text_of
from workerlib._values.streams import is_awaitable

_by_call: bool | None = None
_logs: WeakSet[CallLog] = WeakSet()
"""The logs of the connections, whose switches follow `log()`."""

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 200
_short.maxlist = _short.maxtuple = _short.maxdict = 12


def log(on: bool = True) -> None:
    """Turns the log of calls on or off for all connections of this side, whatever their configurations say.

    Args:
        on: Whether each call is to be logged.
    """
    switch(on)


def switch(on: bool | None) -> None:
    """Turns all logs on or off; None has each follow its configuration.

    Args:
        on: Whether each call is to be logged.
    """
    global _by_call
    _by_call = on
    for each in _logs:
        each.follow()


def elapsed_time(start_time: float) -> str:
    """Tells the time since a moment, in milliseconds or, from one second on, in seconds.

    Args:
        start_time: The moment, as `time.time()` gave it.
    """
    elapsed = time.time() - start_time
    return f"{round(elapsed)}s" if elapsed >= 1 else f"{round(elapsed * 1000)}ms"


def write(name: str, text: str, *, error: bool = False) -> None:
    """Prints a line with a worker's name as its prefix."""
    print(f"[{name}]", text, flush=True, file=sys.stderr if error else sys.stdout)


class CallLog:
    """The log of the calls of one connection, on either side of it."""

    def __init__(self, worker: str, on: bool) -> None:
        """Starts with what the configuration says.

        Args:
            worker: The worker's name, the prefix of each line.
            on: Whether calls are logged as long as nobody has called `log()`.
        """
        self.worker = worker
        """The name of the worker."""
        self._on = on
        self.is_on = on
        """Whether calls are logged: a plain field, since each call asks."""
        self.follow()
        _logs.add(self)

    def follow(self) -> None:
        """Follows `log()`, or the configuration if nobody has called that."""
        self.is_on = self._on if _by_call is None else _by_call

    async def waiting(self, function: str, answer: Awaitable[Any]) -> Any:
        """Awaits the answer of a worker and logs how long that took, the ways of the values included.

        Args:
            function: The name of the function that was called.
            answer: The call.
        """
        start = time.time()
        try:
            result = await answer
        except BaseException as error:
            text = f"Raised {elapsed_time(start)} after calling {function}(): {_told(error)}"
            write(self.worker, text, error=True)
            raise
        write(self.worker, f"Transferred and returned {elapsed_time(start)} from {function}()")
        return result

    def logged(self, name: str, function: Function) -> Function:
        """Makes a function that logs its call: for one call, since the log may be off at the next one.

        Args:
            name: The function's exported name.
            function: The function.
        """

        def logged(*args: Any, **kwargs: Any) -> Any:
            write(self.worker, f"Calling {name}(): {_shown(args)} {_shown(kwargs)}")
            start = time.time()
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                self._end(name, start, error)
                raise
            if is_awaitable(result):
                return self._finish(name, start, result)
            self._end(name, start, None, result)
            return result

        return logged

    async def _finish(self, name: str, start: float, result: Awaitable[Any]) -> Any:
        try:
            value = await result
        except BaseException as error:
            self._end(name, start, error)
            raise
        self._end(name, start, None, value)
        return value

    def _end(self, name: str, start: float, error: BaseException | None, value: object = None) -> None:
        outcome, shown = ("Returned", _shown(value)) if error is None else ("Exception", _told(error))
        write(
            self.worker,
            f"{outcome} {elapsed_time(start)} from {name}(): {shown}",
            error=error is not None,
        )


def _told(error: BaseException) -> str:
    return f"{class_name(type(error))}: {text_of(error)}"


def _shown(value: object) -> str:
    """Gives the `repr()` of a value, shortened; what a user's class raises meanwhile ends no call."""
    return text_of(value, _short.repr)
