"""Suspends the running stack, by Pyodide's `run_sync`, so that nothing harms it meanwhile."""

from __future__ import annotations

import gc
import sys
from collections.abc import Awaitable
from typing import Any

from pyodide.ffi import run_sync

_suspended = 0
"""The number of stacks that wait."""
_resumes = False
"""Whether the collector ran before the first of them waited."""


def _suspend(awaitable: Awaitable[Any]) -> Any:
    """Waits by `run_sync`, while no collection starts by itself.

    A collection of Python 3.14 walks the frames of all stacks, those that are suspended too, whose memory
    other code uses meanwhile: Pyodide then fails fatally (https://github.com/pyodide/pyodide/issues/6464).
    The collector goes on when no stack waits any more; a full `gc.collect()` does not walk them.

    Args:
        awaitable: The awaitable to wait for.

    Raises:
        RuntimeError: If the running code has not been entered by the event loop.
        BaseException: Any exception of the awaitable.
    """
    global _suspended, _resumes
    if not _suspended:
        _resumes = gc.isenabled()
        gc.disable()
    _suspended += 1
    try:
        return run_sync(awaitable)
    finally:
        _suspended -= 1
        if not _suspended and _resumes:
            gc.enable()
        # An error refers to this frame, and the awaitable may refer to the error.
        del awaitable


suspend = _suspend if sys.version_info >= (3, 14) else run_sync
"""Waits for an awaitable with the running stack suspended: Pyodide's `run_sync`, or what makes it safe."""
