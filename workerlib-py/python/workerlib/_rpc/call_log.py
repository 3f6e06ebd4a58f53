"""The log of calls: a line in the console for each, with its worker's name and its time.

It is off unless the configuration says `[workerlib] log = true`, or `log(True)` was called. It changes
nothing about a call but the time that printing takes.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from workerlib._exports import Function
from workerlib._values.safe_text import class_name, text_of

_by_configuration = False
_by_call: bool | None = None

_short = reprlib.Repr()
_short.maxstring = _short.maxother = 200
_short.maxlist = _short.maxtuple = _short.maxdict = 12


def log(on: bool = True) -> None:
    """Turns the log of calls on or off for this side, whatever the configuration says.

    Args:
        on: Whether each call is to be logged.
    """
    global _by_call
    _by_call = on


def configure(on: bool) -> None:
    """Takes over what the configuration says."""
    global _by_configuration
    _by_configuration = on


def is_on() -> bool:
    """Returns whether calls are logged."""
    return _by_configuration if _by_call is None else _by_call


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


async def waiting(worker: str, function: str, answer: Awaitable[Any]) -> Any:
    """Awaits the answer of a worker and logs how long that took, the ways of the values included."""
    start = time.time()
    try:
        result = await answer
    except BaseException as error:
        write(worker, f"Raised {elapsed_time(start)} after calling {function}(): {_told(error)}", error=True)
        raise
    write(worker, f"Transferred and returned {elapsed_time(start)} from {function}()")
    return result


class LoggedFunctions(Mapping[str, Function]):
    """The functions that a worker exports, each logged while the log is on."""

    def __init__(self, worker: str, functions: Mapping[str, Function]) -> None:
        """Wraps what is exported now and later under the worker's name."""
        self._worker = worker
        self._functions = functions

    def __getitem__(self, name: str) -> Function:
        function = self._functions[name]
        return _logged(self._worker, name, function) if is_on() else function

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)


def _logged(worker: str, name: str, function: Function) -> Function:
    def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[str, Any], None]:
        write(worker, f"Calling {name}(): {_shown(args)} {_shown(kwargs)}")
        start = time.time()

        def end(outcome: str, shown: Any) -> None:
            is_error = outcome == "Exception"
            text = _told(shown) if is_error else _shown(shown)
            write(worker, f"{outcome} {elapsed_time(start)} from {name}(): {text}", error=is_error)

        return end

    async def finish(result: Awaitable[Any], end: Callable[[str, Any], None]) -> Any:
        try:
            value = await result
        except BaseException as error:
            end("Exception", error)
            raise
        end("Returned", value)
        return value

    @functools.wraps(function)
    def logged(*args: Any, **kwargs: Any) -> Any:
        end = begin(args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end("Exception", error)
            raise
        if inspect.isawaitable(result):
            return finish(result, end)
        end("Returned", result)
        return result

    return logged


def _told(error: BaseException) -> str:
    return f"{class_name(type(error))}: {text_of(error)}"


def _shown(value: object) -> str:
    """Gives the `repr()` of a value, shortened; what a user's class raises meanwhile ends no call."""
    return text_of(value, _short.repr)
