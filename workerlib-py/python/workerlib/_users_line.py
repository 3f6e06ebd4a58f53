"""Finds the user's line on the stack, to which a warning is to point. Every room uses it."""

from __future__ import annotations

import sys

_LOOPS = frozenset({"asyncio", "pyodide", "_pyodide"})
"""Packages whose code runs an event loop: behind it there is no line of a user's."""


def stacklevel() -> int:
    """Returns the `stacklevel` with which a warning of the calling function points to the user's line.

    Where no code of a user's is on the stack, as in a task of this package's, it is the calling line itself.
    """
    level, frame = 1, sys._getframe(1)
    while (package := frame.f_globals.get("__name__", "").partition(".")[0]) == "workerlib":
        level += 1
        if frame.f_back is None:
            return 1
        frame = frame.f_back
    return 1 if package in _LOOPS else level
