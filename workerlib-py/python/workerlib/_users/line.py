"""Finds the user's line on the stack, to which a warning is to point. Every room uses it."""

from __future__ import annotations

import sys
import warnings
from contextvars import ContextVar
from types import FrameType
from typing import Any, NamedTuple

_LOOPS = frozenset({"asyncio", "pyodide", "_pyodide"})
"""Packages whose code runs an event loop: behind it there is no line of a user's."""

_BETWEEN = frozenset({"workerlib", "concurrent"})
"""Packages whose code stands between the user's line and the place that needs it."""


class Line(NamedTuple):
    """A line of a user's code."""

    file: str
    number: int
    module: dict[str, Any]
    """The global names of its module."""


noted: ContextVar[Line | None] = ContextVar("workerlib_users_line", default=None)
"""The user's line for which code works that a task runs later; None if nobody has noted it."""


def stacklevel() -> int:
    """Returns the `stacklevel` with which a warning of the calling function points to the user's line.

    Where no code of a user's is on the stack, as in a task of this package's, it is the calling line itself.
    """
    level, frame = 1, sys._getframe(1)
    while (package := _package(frame)) == "workerlib":
        level += 1
        if frame.f_back is None:
            return 1
        frame = frame.f_back
    return 1 if package in _LOOPS else level


def users_line() -> Line | None:
    """Returns the user's line, on the stack or else as it is noted; None if neither is there."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _package(frame) in _BETWEEN:
        frame = frame.f_back
    if frame is None or _package(frame) in _LOOPS:
        return noted.get()
    return Line(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)


def warn(text: str, category: type[Warning], line: Line | None = None) -> None:
    """Warns; the warning points to the user's line, if that is known.

    Args:
        text: The text of the warning.
        category: Its class.
        line: The user's line; by default the one on the stack, or the one that is noted.
    """
    line = line or users_line()
    if line is None:
        warnings.warn(text, category, stacklevel=2)
        return
    warnings.warn_explicit(
        text,
        category,
        line.file,
        line.number,
        module=line.module.get("__name__"),
        registry=line.module.setdefault("__warningregistry__", {}),
        module_globals=line.module,
    )


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]
